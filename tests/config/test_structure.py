# ruff: noqa: ISC004, Q003  each case is a list of messages, some of two lines

"""Blocks, unknown words and forgotten braces: text to complaint, with its line and column."""

from __future__ import annotations

import pytest

from pyvrrp.config import parser
from pyvrrp.config.complaints import LIMIT, Severity
from pyvrrp.config.load import parse_text

CORE = "interface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n192.0.2.1\n}\n"
ONE = f"vrrp_instance I {{\n{CORE}}}\n"


def said(text: str) -> list[str]:
    """What is complained about, notes left out."""
    return [str(one) for one in parse_text(text, "f").complaints if one.severity is not Severity.NOTE]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Unknown keywords, with the nearest known one or the block in which it belongs.
        (f"{ONE}vrrp_instanse J {{\npriority 1\nvirtual_ipaddress {{\nx\n}}\n}}\nrouter_id x", [
            "f:8:1: Unknown keyword 'vrrp_instanse' (did you mean 'vrrp_instance'?)",
            "f:14:1: Unknown keyword 'router_id' (it belongs in global_defs)",
        ]),
        (f"vrrp_instance I {{\n  prioritty 100\n{CORE}}}", [
            "f:2:3: Unknown keyword 'prioritty' (did you mean 'priority'?)",
        ]),
        (f"vrrp_instance I {{\n{CORE}frobnicate 1 {{ 2 }}\nqqqqqq\n}}", [
            "f:7:1: Unknown keyword 'frobnicate'",
            "f:8:1: Unknown keyword 'qqqqqq'",
        ]),
        (f"vrrp_instance I {{\n{CORE}{'x' * 70}\n\tauth_pass 1\n}}", [
            f"f:7:1: Unknown keyword '{'x' * 64}...'",
            "f:8:2: Unknown keyword 'auth_pass' (it belongs in authentication)",
        ]),
        (f"{ONE}\x1b[31m\u2028\udcff", [r"f:8:1: Unknown keyword '\x1b[31m\u2028\udcff'"]),
        # Braces.
        (f"{ONE}}}\n  }}", [
            "f:8:1: Extra '}' found (nothing is open here)",
            "f:9:3: Extra '}' found (nothing is open here)",
        ]),
        (ONE[:-2], ["f:1:1: missing '}': the block of 'vrrp_instance' is never closed"]),
        (f"{ONE}\n virtual_server 1 2 {{\na {{\n}}", [
            "f:9:2: missing '}': the block of 'virtual_server' is never closed",
        ]),
        (f"{ONE}\n{{\n", ["f:9:1: Unexpected '{' - ignoring"]),
        (f"{ONE}x\0{{\n", [
            "f:8:1: the line holds a NUL octet and is ignored",
            "f:8:1: missing '}': the block is never closed",
        ]),
        (f"vrrp_instance I {{\n{CORE}authentication {{{{\nauth_type x\n}}\n}}\n}}", [
            "f:7:17: Unexpected '{' - ignoring",
            "f:8:11: (I) unknown auth_type '***', not PASS or AH",
        ]),
        (f"vrrp_instance I {{\npriority 5 {{\npriority 6\n}}\n{CORE}}}", [
            "f:2:10: Unexpected '{' - ignoring",
        ]),
        (f"vrrp_instance I {{\n{CORE}track_script\npriority 5\n}}", [
            "f:1:1: missing '}': the block of 'vrrp_instance' is never closed",
            "f:7:1: Missing '{' at the beginning of block track_script",
            "f:8:10: (I) unknown track_script 'priority' option '5' - ignoring (weight N)",
        ]),
        (f"{ONE}virtual_server 192.0.2.1 80\ndelay_loop 3\n}}", [
            "f:8:1: Missing '{' at the beginning of block virtual_server",
            "f:9:1: Unknown keyword 'delay_loop'",
            "f:10:1: Extra '}' found (nothing is open here)",
        ]),
        (f"vrrp_instance I {{\n{CORE}virtual_ipaddress_excluded x {{\n}}\n}}", [
            "f:7:28: Block virtual_ipaddress_excluded has extra parameters",
        ]),
        # What stands behind a brace in a secret is one too.
        (f"vrrp_instance I {{\n{CORE}authentication {{\nauth_type PASS\nauth_pass ab{{cd\n}}\n}}\n}}", [
            "f:9:11: Unexpected '{' - ignoring",
            "f:9:14: Unknown keyword '***' (a value with blanks or braces needs quotes)",
        ]),
        # A forgotten brace is seen at the next block.
        (f"vrrp_instance I {{\nvirtual_ipaddress {{\n192.0.2.1\ntrack_interface {{\neth1\n}}\n{CORE}}}", [
            "f:4:1: 'track_interface' inside of 'virtual_ipaddress'"
            " (is the '}' missing of the block that begins in line 2?)",
            "f:10:1: (I) duplicate address 192.0.2.1 - ignoring",
        ]),
        (f"vrrp_instance H {{\ninterface e\nvirtual_router_id 1\nvirtual_ipaddress {{\n192.0.2.1\n}}\n{ONE}", [
            "f:7:1: 'vrrp_instance' inside of 'vrrp_instance'"
            " (is the '}' missing of the block that begins in line 1?)",
        ]),
        (f"vrrp_instance I {{\nauthentication {{\nauth_type AH\npriority 9\nvirtual_ipaddress {{\n}}\n{CORE}}}", [
            "f:4:1: Unknown keyword 'priority' (it belongs in vrrp_instance)",
            "f:5:1: 'virtual_ipaddress' inside of 'authentication'"
            " (is the '}' missing of the block that begins in line 2?)",
            "f:3:1: (I) Authentication specified but no password given. Ignoring",
        ]),
        (f"vrrp_instance I {{\n{CORE}track_interface {{\neth1 {{\neth2\n}}\n}}\n}}", [
            "f:8:5: Unexpected '{' - ignoring",
        ]),
        # Names.
        (f"{ONE}vrrp_instance I {{\npriority x\n}}", [
            "f:8:15: vrrp_instance I already defined (in line 1)",
        ]),
        (f"{ONE}vrrp_instance {{\npriority x\n}}\nvrrp_instance a b {{\n}}\nvrrp_instance \"\" {{\n}}", [
            "f:8:14: vrrp_instance must have a name",
            "f:11:15: vrrp_instance must have a name",
            "f:13:15: vrrp_instance must have a name",
        ]),
        (f"{ONE}vrrp_script {{\ninterval 1\n}}", ["f:8:12: vrrp_script must have a name"]),
        # Lines that cannot be read.
        (f"vrrp_instance I {{\n{CORE}notify \"/x\nnotify '/y\n}}", [
            "f:7:1: unterminated quote",
            "f:8:8: (I) notify: missing terminating '",
        ]),
        (f"vrrp_instance I {{\n{CORE}priority 7 \"8\nfrob \"x\n\"x\n}}", [
            "f:7:12: unterminated quote",
            "f:8:6: unterminated quote",
            "f:8:1: Unknown keyword 'frob'",
            "f:9:1: unterminated quote",
        ]),
        (f"{ONE}x\0y {{\npriority\n}}", ["f:8:1: the line holds a NUL octet and is ignored"]),
        # Values that are missing.
        (f"vrrp_instance I {{\n{CORE}  priority\n}}", ["f:7:11: (I) priority is missing its value"]),
        (f"vrrp_instance I {{\n{CORE}notify # x\n}}", ["f:7:7: (I) notify is missing its value"]),
        # A backslash at the end of a line.
        (f"vrrp_instance I {{\n{CORE}priority 5 \\\nnopreempt\n}}\n\\", [
            "f:7:11: a backslash at the end of a line continues definitions only; it is ignored",
            "f:10:1: a backslash at the end of a line continues definitions only; it is ignored",
        ]),
        # What is looked at before lines are lexed, and comes to nothing.
        (f"{ONE}include\n~foo\n$A = 5\n@one x", [
            "f:8:1: Unknown keyword 'include'",
            "f:9:1: Unknown keyword '~foo'",
            "f:10:1: Unknown keyword '$A'",
        ]),
        (f"vrrp_instance I {{\n{CORE}priority $P\n}}", ["f:7:10: (I) invalid number '$P' for priority"]),
    ],
)  # fmt: skip
def test_said(text: str, expected: list[str]) -> None:
    assert sorted(said(text)) == sorted(expected)


def test_an_unknown_block_does_not_harm_its_surroundings() -> None:
    """keepalived reads its lines as if they stood outside, and its brace closes the instance."""
    text = f"vrrp_instance I {{\nvirtual_adresses {{\npriority 7\n{{\n}}\n}}\n{CORE}priority 9\n}}"
    [instance] = parse_text(text).configuration.instances
    assert instance.priority == 9
    assert len(instance.virtual_addresses) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"vrrp_instance I\n{CORE}priority 9\n}}",
        f"vrrp_instance I {{\ntrack_interface\n}}\n{CORE}priority 9\n}}",
        f"vrrp_instance I {{\n{CORE.replace('address {', 'address')}priority 9\n}}",
        f"{{\nvrrp_instance I {{\n{CORE}priority 9\n}}\n}}",
        f"{{\nvrrp_instance I {{\n{CORE}priority 9\n}}",
        f"vrrp_instance I {{ {{\n{CORE}}}\npriority 9\n}}",
        f"vrrp_instance I {{\nnopreempt {{\n{CORE}priority 9\n}}",
        f"vrrp_instance I {{\nnopreempt {{\n}}\n{CORE}priority 9\n}}",
        f"vrrp_instance I {{\n{CORE.replace('address {', 'address {{')}}}\npriority 9\n}}",
        f"vrrp_instance I {{\npriority 9 {{\n{CORE}}}\ntrack_group G {{\n}}",
        f"vrrp_instance I\nvrrp_instance I {{\n{CORE}priority 9\n}}",
    ],
)
def test_a_brace_too_few_or_too_many_costs_nothing(text: str) -> None:
    """As in keepalived it is complained about, and what it begins is read as if it were right."""
    result = parse_text(text)
    assert result.exit_code == 5
    [instance] = result.configuration.instances
    assert (instance.name, instance.priority) == ("I", 9)
    assert [str(line.address) for line in instance.virtual_addresses] == ["192.0.2.1/32"]


@pytest.mark.parametrize("loose", [
    "192.0.2.51/24 {\n192.0.2.52\n}\n192.0.2.53\n}\npriority 5",
    "192.0.2.51/24 {\n192.0.2.52\n192.0.2.53\n}\npriority 5",
    "192.0.2.51/24 {}\n192.0.2.52\n192.0.2.53\n}\npriority 5",
    "192.0.2.51/24 {\n192.0.2.52\n192.0.2.53\npriority 5",
    "192.0.2.51/24\n{\n192.0.2.52\n192.0.2.53\n}\npriority 5",
    "192.0.2.51/24 {\n192.0.2.52\n192.0.2.53 {\n}\npriority 5",
])  # fmt: skip
def test_a_brace_behind_a_value_loses_nothing(loose: str) -> None:
    """Neither the value, nor those behind it, nor the rest of the instance, nor the next one; closed or not."""
    core = "interface eth0\nvirtual_router_id 51\n"
    text = f"vrrp_instance H {{\n{core}virtual_ipaddress {{\n{loose}\n}}\n{ONE.replace('51', '52')}"
    found = parse_text(text, "f")
    assert [(one.name, one.priority, len(one.virtual_addresses)) for one in found.everything.instances] == [
        ("H", 5, 3),
        ("I", 100, 1),
    ]
    assert "Unexpected '{' - ignoring" in [complaint.message for complaint in found.complaints]


@pytest.mark.parametrize("after", ["priority 5\n}", "}"])
def test_a_block_without_its_brace_keeps_its_name_if_it_says_anything(after: str) -> None:
    """It lacks the rest, and so nothing can be started; one that says nothing is forgotten with the next block."""
    result = parse_text(f"vrrp_instance H\n{after}\n{ONE}")
    assert [one.message for one in result.fatal] == ["(H) the virtual router id must be set"]
    result = parse_text(f"vrrp_instance H\n{ONE}")
    assert not result.fatal
    assert [instance.name for instance in result.configuration.instances] == ["I"]


@pytest.mark.parametrize(
    ("value", "password"),
    [
        ('"secret', None),
        ('"', None),
        ('"se { cr } et', None),
        ('ab "', b"ab"),
        ('ab"c', b"ab"),
        ('"ab" "c', b"ab"),
        ('"ab\\"', b"ab\\"),
        ('\\"ab', b"\\"),
        ("$P", None),
    ],
)
def test_a_password_lost_to_an_open_quote_is_missing(value: str, password: bytes | None) -> None:
    """As seen with 2.2.7 the line ends at the quote; without a value before it nothing starts, no open router."""
    text = f'$P="x y\nvrrp_instance I {{\n{CORE}authentication {{\nauth_type PASS\nauth_pass {value}\n}}\n}}'
    result = parse_text(text)
    assert any(one.message == "unterminated quote" for one in result.complaints)
    if password is None:
        assert result.exit_code == 2
        assert [one.message for one in result.fatal] == ["(I) auth_pass is missing its value"]
    else:
        authentication = result.configuration.instances[0].authentication
        assert not result.fatal
        assert authentication is not None
        assert authentication.password == password


def test_the_name_of_a_check_is_one_word() -> None:
    """The first; an instance with two is not read, see above."""
    text = f"vrrp_script a b {{\ntcp_check 80\n}}\nvrrp_instance I {{\n{CORE}track_script {{\na\n}}\n}}"
    result = parse_text(text, "f")
    assert [script.name for script in result.configuration.scripts] == ["a"]
    assert "f:1:15: 'b' and what follows is not used" in [str(one) for one in result.complaints]


def test_a_check_without_a_name_forbids_the_start() -> None:
    assert parse_text(f"{ONE}vrrp_script {{\ninterval 1\n}}").exit_code == 2


def test_a_forgotten_brace_loses_nothing() -> None:
    text = f"vrrp_instance H {{\ninterface e\nvirtual_router_id 1\nvirtual_ipaddress {{\n192.0.2.1\n{ONE}"
    assert [instance.name for instance in parse_text(text).configuration.instances] == ["H", "I"]


def test_parameters_that_nobody_defined_are_text() -> None:
    text = f"vrrp_instance I {{\n{CORE}authentication {{\nauth_type PASS\nauth_pass a$b${{c}}\n}}\n}}"
    authentication = parse_text(text).configuration.instances[0].authentication
    assert authentication is not None
    assert authentication.password == b"a$b${c}"


def test_one_line_blocks_and_values_after_each_other() -> None:
    text = (
        "vrrp_instance I { interface eth0\nvirtual_router_id 51 # x }\n virtual_ipaddress { 192.0.2.1 }"
        "virtual_ipaddress\n\n{ 192.0.2.2 } }"
    )
    [instance] = parse_text(text).configuration.instances
    assert [str(line.address) for line in instance.virtual_addresses] == ["192.0.2.1/32", "192.0.2.2/32"]
    assert str(instance.virtual_addresses[0].place) == "<text>:3:22"
    assert str(instance.interface_place) == "<text>:1:19"
    assert str(instance.place) == "<text>:1:1"


def test_global_defs_may_come_in_parts_and_late() -> None:
    """As seen with 2.2.7 at start: all of them count, also those below the instance."""
    text = f"global_defs {{\nrouter_id a\n}}\n{ONE}global_defs {{\nvrrp_version 3\nvrrp_garp_master_delay 9\n}}"
    result = parse_text(text)
    [instance] = result.configuration.instances
    assert result.configuration.globals.router_id == "a"
    assert instance.version == 3
    assert instance.garp.master_delay_us == 9_000_000


def test_words_that_are_not_used_are_a_note() -> None:
    text = f"vrrp_instance I {{\n{CORE}priority 100 200\nnopreempt x\nnotify /bin/x root adm y\n}}"
    result = parse_text(text, "f")
    notes = [str(one) for one in result.complaints if one.severity is Severity.NOTE]
    assert notes == [
        "f:7:14: (I) '200' and what follows is not used",
        "f:8:11: (I) 'x' and what follows is not used",
        "f:9:8: (I) notify: what follows is not used; arguments belong inside the quotes",
    ]
    assert not result.drops


def test_repeated_keywords() -> None:
    """The last one wins, or the first where keepalived says so; `state MASTER` stays."""
    text = (
        f"instance a\ninstance b\ninstance a\nvrrp_instance I {{\n{CORE}priority 5\npriority 6\nversion 3\nversion 2\n"
        "notify /a\nnotify /b\nnotify /a\nstate MASTER\nstate BACKUP\n}"
    )
    result = parse_text(text, "f")
    assert [str(one) for one in result.complaints if one.severity is not Severity.SECURITY] == [
        "f:2:10: instance already specified - ignoring this one (see line 1)",
        "f:13:9: (I) version already specified - ignoring this one (see line 12)",
        "f:15:8: (I) notify already specified - ignoring this one (see line 14)",
        "f:18:7: (I) state previously set as MASTER - ignoring BACKUP",
    ]
    [instance] = result.configuration.instances
    assert (instance.priority, instance.version, instance.state) == (6, 3, "MASTER")
    assert result.configuration.globals.instance_name == "a"


def test_complaints_are_bounded_and_no_kind_is_lost() -> None:
    """A thousand are listed; of what comes later still the first of each kind, so that exit codes stay right."""
    text = "x\n" * (LIMIT + 500) + "vrrp_instance I {\npriority\n}\n" + "x {\n}\n" * 20
    result = parse_text(text, "f")
    assert result.exit_code == 2
    assert [one.severity for one in result.fatal] == [Severity.FATAL, Severity.MISSING]
    assert len([one for one in result.complaints if one.severity is not Severity.NOTE]) == LIMIT + 2
    assert str(result.complaints[-1]) == f"f:{LIMIT + 502}:1: 520 more complaints are not listed"


def test_hints_stop_when_there_are_too_many() -> None:
    result = parse_text("".join(f"vrrp_instanc{number}\n" for number in range(300)))
    hinted = [one for one in result.complaints if one.hint]
    assert 0 < len(hinted) < 300


def test_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "VALUES_MAX", 3)
    text = f"{ONE}global_defs {{\nnotification_email {{\nx\ny\nz\nz\n}}\n}}\n"
    assert said(text) == ["f:12:1: more than 3 lines in blocks; the rest is ignored"]
    result = parse_text(text, "f")
    assert result.configuration.globals.notification_email == ("x", "y")
    assert len(result.configuration.instances[0].virtual_addresses) == 1
