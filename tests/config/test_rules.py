"""Lines of `virtual_rules`, word by word; judgements as seen with keepalived 2.2.7."""

from __future__ import annotations

from dataclasses import fields
from ipaddress import ip_interface
from typing import Any

import pytest

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Parsed
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import Rule
from pyvrrp.protocol.constants import Family

NET = ip_interface("10.0.0.0/8")


def parse(line: str) -> tuple[Parsed, Rule | None]:
    result = parse_text(f"track_group G {{\n}}\nstatic_rules {{\n{line}\n}}\n", "f")
    rules = result.everything.static_rules
    return result, rules[0] if rules else None


def differing(rule: Rule) -> dict[str, Any]:
    """The fields that are not as usual, without the preference, which each line here says as 9."""
    plain = Rule(Family.V4, preference=9)
    return {
        each.name: getattr(rule, each.name)
        for each in fields(rule)
        if each.compare and getattr(rule, each.name) != getattr(plain, each.name)
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from 10.0.0.0/8 table 100", {"from_network": NET, "table": 100}),
        ("to 10.0.0.0/8 lookup main", {"to_network": NET, "table": 254}),
        ("not from all table red", {"negated": True, "table": "red"}),
        ("inet6 iif eth0 table 5", {"family": Family.V6, "iif": "eth0", "table": 5}),
        ("dev eth0 oif eth1 goto 500", {"iif": "eth0", "oif": "eth1", "action": "goto", "goto": 500}),
        ("to 10.0.0.0/8 blackhole", {"to_network": NET, "action": "blackhole"}),
        ("from any nop", {"action": "nop"}),
        ("l3mdev", {"l3mdev": True}),
        ("fwmark 5/0x7 table 5", {"mark": (5, 7), "table": 5}),
        ("fwmark 5 table 5", {"mark": (5, None), "table": 5}),
        ("table 5 tos 8 realms 1/2", {"table": 5, "tos": 8, "realms": "1/2"}),
        ("table 5 suppress_prefixlength 3 sup_group 2", {"table": 5, "suppress_prefix_length": 3, "suppress_group": 2}),
        ("table 5 tunnel-id 6 uidrange 5-9", {"table": 5, "tunnel_id": 6, "uids": (5, 9)}),
        ("table 5 sport 10-20 dport 30", {"table": 5, "sport": (10, 20), "dport": (30, 30)}),
        ("table 5 protocol static ipproto udp", {"table": 5, "protocol": 4, "ip_protocol": 17}),
        ("table 5 no_track track_group G", {"table": 5, "no_track": True, "track_group": "G"}),
    ],
)
def test_words(line: str, expected: dict[str, Any]) -> None:
    result, rule = parse(f"{line} priority 9")
    assert rule is not None
    assert differing(rule) == expected
    assert not result.drops
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("line", "message", "code", "exit_code"),
    [
        ("from 10.0.0.0/8 foo table 5", "Unknown rule option 'foo'", Code.UNKNOWN_OPTION, 5),
        ("from x table 5", "address 'x' is no IP address. skipping...", Code.BAD_ADDRESS, 5),
        ("from 10.0.0.0/8 to ::/0 table 5", "Cannot mix IPv4 and IPv6 addresses for rule", Code.FAMILY, 5),
        ("from 10.0.0.0/8 table", "'table' is missing its value", Code.MISSING_VALUE, 2),
        ("from 10.0.0.0/8 priority 6", "No action specified for rule - ignoring", Code.BAD_LINE, 5),
        ("l3mdev table 5", "Cannot specify l3mdev with other action", Code.BAD_LINE, 5),
        ("priority 100 goto 5", "Invalid rule - preference 100 >= goto target 5", Code.BAD_LINE, 5),
        ("table 5 priority x", "invalid number 'x'", Code.BAD_NUMBER, 5),
        ("table 5 sport 70000", "outside range [0, 65535]", Code.VALUE_RANGE, 5),
    ],
)
def test_mistakes_drop_the_line(line: str, message: str, code: Code, exit_code: int) -> None:
    """Half a rule would match too much."""
    result, rule = parse(line)
    assert rule is None
    [complaint] = result.drops
    assert message in complaint.message
    assert complaint.code is code
    assert complaint.place.line == 4
    assert result.exit_code == exit_code


def test_preferences_are_given_out_downwards() -> None:
    """In the order of the file, over all blocks, and with a warning."""
    text = (
        "static_rules {\nfrom 10.0.0.0/8 table 1\ntable 2 priority 7\n}\n"
        "vrrp_instance I {\ninterface eth0\nvirtual_router_id 1\nvirtual_rules {\ntable 3\n}\n}\n"
        "static_rules {\ntable 4\n}\n"
    )
    result = parse_text(text, "f")
    assert [rule.preference for rule in result.everything.static_rules] == [16384, 7, 16382]
    assert [rule.preference for rule in result.everything.instances[0].rules] == [16383]
    warnings = [one for one in result.complaints if one.code is Code.BAD_LINE]
    assert [one.place.line for one in warnings] == [2, 9, 13]
    assert warnings[0].message.startswith("Rule has no preference specified - setting to 16384.")
