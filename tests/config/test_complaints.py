"""What complaints mean: exit codes of `-t`, what a start forbids, what a reload does not put up with, secrets."""

from __future__ import annotations

import pytest

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Complaint, Log, Parsed, Severity, exit_code, shown
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import Configuration, Place

HERE = Place("f", 3, 4)
CORE = "interface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n192.0.2.1\n}\n"
SCRIPT = "vrrp_script chk {\nscript /bin/true\n}\n"


def test_a_complaint_is_one_line() -> None:
    assert str(Complaint(Severity.ERROR, HERE, "what", "why")) == "f:3:4: what (why)"
    assert str(Complaint(Severity.ERROR, HERE, "what")) == "f:3:4: what"


@pytest.mark.parametrize(
    ("severities", "code"),
    [
        ([], 0),
        ([Severity.NOTE, Severity.UNSUPPORTED], 0),
        ([Severity.UNUSABLE], 4),
        ([Severity.UNUSABLE, Severity.WARNING], 5),
        ([Severity.ERROR], 5),
        ([Severity.FATAL], 5),
        ([Severity.SECURITY, Severity.FATAL, Severity.ERROR], 6),
        ([Severity.SECURITY, Severity.MISSING], 2),
    ],
)
def test_exit_codes(severities: list[Severity], code: int) -> None:
    complaints = [Complaint(severity, HERE, "") for severity in severities]
    assert exit_code(complaints) == code
    assert Parsed(Configuration(), tuple(complaints)).exit_code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        (f"vrrp_instance I {{\n{CORE}}}", 0),
        (f"vrrp_instance I {{\n{CORE}use_vmac\n}}", 0),
        (f"vrrp_instance I {{\n{CORE}foo\n}}", 5),
        (f"vrrp_instance I {{\n{CORE}priority\n}}", 2),
        ("vrrp_instance I {\ninterface eth0\n}", 5),
        ("vrrp_instance I {\ninterface eth0\nvirtual_router_id\n}", 2),
        ("vrrp_instance I {\ninterface eth0\nvirtual_router_id 256\n}", 5),
        (f"{SCRIPT}vrrp_instance I {{\n{CORE}}}", 6),
        (f"{SCRIPT}vrrp_instance I {{\n{CORE}foo\n}}", 6),
        (f"{SCRIPT}vrrp_instance I {{\n}}", 6),
        (f"vrrp_instance I {{\n{CORE}nopreempt off\n}}", 0),
        (f"global_defs {{\nenable_script_security\n}}\n{SCRIPT}vrrp_instance I {{\n{CORE}}}", 0),
        (f"vrrp_instance I {{\n{CORE}notify /bin/true\n}}", 6),
        (f"vrrp_script chk {{\ntcp_check 80\n}}\nvrrp_instance I {{\n{CORE}}}", 0),
        (SCRIPT, 0),
        ("include /x", 4),
    ],
)
def test_exit_codes_of_texts(text: str, code: int) -> None:
    """As keepalived 2.2.7 exits for them with -t."""
    assert parse_text(text).exit_code == code


def test_codes_are_words_with_a_meaning() -> None:
    """Lower case and hyphens, each once, each explained in one line."""
    assert len({code.value for code in Code}) == len(Code)
    for code in Code:
        assert code == code.value
        assert code.replace("-", "").isalpha()
        assert code.islower()
        assert code.meaning
        assert "\n" not in code.meaning


def test_a_complaint_has_a_code() -> None:
    """The one that its maker gave it, else that of its severity."""
    log = Log("f")
    log.add(Severity.WARNING, HERE, "a", code=Code.ROUNDED)
    log.add(Severity.WARNING, HERE, "b")
    log.add(Severity.UNSUPPORTED, HERE, "c")
    assert [complaint.code for complaint in log.complaints()] == [Code.ROUNDED, Code.MENDED, Code.NOT_SUPPORTED]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"vrrp_instance I {{\n{CORE}foo\n}}", Code.UNKNOWN_KEYWORD),
        (f"vrrp_instance I {{\n{CORE}priority 300\n}}", Code.VALUE_RANGE),
        (f"vrrp_instance I {{\n{CORE}", Code.MISSING_BRACE),
        (f"vrrp_instance I {{\n{CORE}priority\n}}", Code.MISSING_VALUE),
        (f"vrrp_instance I {{\n{CORE}use_vmac\n}}", Code.REFUSED),
        (f"vrrp_instance I {{\n{CORE}smtp_alert\n}}", Code.NO_EFFECT),
        (f"vrrp_instance I {{\n{CORE}promote_secondaries\n}}", Code.NOT_SUPPORTED),
        (f"{SCRIPT}global_defs {{\nenable_script_security\n}}\nvrrp_instance I {{\n{CORE}}}", Code.UNUSED),
    ],
)
def test_codes_of_texts(text: str, code: Code) -> None:
    assert [complaint.code for complaint in parse_text(text).complaints] == [code]


def test_fatal_and_drops() -> None:
    complaints = (
        Complaint(Severity.NOTE, HERE, "1"),
        Complaint(Severity.WARNING, HERE, "2"),
        Complaint(Severity.ERROR, HERE, "3", dropped=True),
        Complaint(Severity.MISSING, HERE, "4"),
    )
    parsed = Parsed(Configuration(), complaints)
    assert [complaint.message for complaint in parsed.fatal] == ["4"]
    assert [complaint.message for complaint in parsed.drops] == ["3", "4"]
    assert [complaint.message for complaint in parsed.mistakes] == ["2", "3", "4"]


@pytest.mark.parametrize(
    "inside",
    ["state MASTER\npriority 9\nnopreempt", "unicast_peer {\n}", "preempt_delay 9\nnopreempt", "priority 300"],
)
def test_what_is_mended_is_a_mistake(inside: str) -> None:
    """Where keepalived's habit is mended or kept with a word, the strict say no."""
    assert len(parse_text(f"vrrp_instance I {{\n{CORE}{inside}\n}}").mistakes) == 1


def test_old_words_are_no_mistakes() -> None:
    parsed = parse_text(f"vrrp_instance I {{\n{CORE}linkbeat_use_polling\n}}")
    assert parsed.exit_code == 5
    assert parsed.mistakes == ()


def test_shown() -> None:
    assert shown("eth0") == "eth0"
    assert shown("a\nb\udc80") == r"a\nb\udc80"
    assert shown("x" * 100) == "x" * 64 + "..."


SECRET = "hunter2"


@pytest.mark.parametrize(
    "inside",
    [
        f"auth_type PASS\nauth_pass {SECRET}",
        f"auth_type PASS\nauth_pass {SECRET * 4}",
        f"auth_pass {SECRET}",
        f"auth_type PASS auth_pass {SECRET}",
        f"auth_type {SECRET}",
        f"auth_pass x {SECRET}",
        f'auth_pass "{SECRET}',
        f'auth_pass x"{SECRET}',
        f"auth_pass x}}{SECRET}",
        f"auth_pass x{{{SECRET}",
        f"auth_pass x {{ {SECRET} }}",
        f"auth_pass {SECRET} {{ {SECRET} }}",
        f"auth_pas {SECRET}",
        f"{SECRET}",
        f"{SECRET} {{\n}}",
        f"auth_pass\n{SECRET}",
        f"auth_pass\n{{{SECRET}",
        f"auth_pass {SECRET}\0",
        f"auth_pass {SECRET}{'x' * 1024}",
        f"auth_pass {SECRET}\nversion 3",
        f"auth_type AH\nauth_pass {SECRET}",
        f"}}\nauth_hmac {{\nkey 1 {SECRET}",
        f"}}\nauth_pass {SECRET}\nx {{",
    ],
)
@pytest.mark.parametrize("version", ["", "version 3\n"])
def test_secrets_are_never_shown(inside: str, version: str) -> None:
    result = parse_text(f"vrrp_instance I {{\n{version}{CORE}authentication {{\n{inside}\n}}\n}}\n")
    assert not [str(complaint) for complaint in result.complaints if SECRET in str(complaint)]
    assert SECRET not in repr(result.configuration)
