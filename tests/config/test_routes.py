"""Lines of `virtual_routes`, word by word; judgements as seen with keepalived 2.2.7."""

from __future__ import annotations

from dataclasses import fields
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Parsed, Severity
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import NextHop, Route, RouteMetric
from pyvrrp.protocol.constants import Family

DEV = (NextHop(dev="eth0"),)
VIA = (NextHop(ip_address("192.0.2.254"), "eth0"),)


def parse(line: str, block: str = "static_routes") -> tuple[Parsed, Route | None]:
    result = parse_text(f"track_group G {{\n}}\n{block} {{\n{line}\n}}\n", "f")
    routes = result.everything.static_routes
    return result, routes[0] if routes else None


def differing(route: Route) -> dict[str, Any]:
    """The fields that are not as usual, without the destination."""
    plain = Route(route.destination)
    return {
        each.name: getattr(route, each.name)
        for each in fields(route)
        if each.compare and getattr(route, each.name) != getattr(plain, each.name)
    }


@pytest.mark.parametrize(
    ("line", "destination", "expected"),
    [
        ("10.1.0.0/24 dev eth0", "10.1.0.0/24", {"hops": DEV}),
        ("to 10.1.0.0/24 oif eth0", "10.1.0.0/24", {"hops": DEV}),
        ("10.1.0.1 via 192.0.2.254 dev eth0", "10.1.0.1/32", {"hops": VIA}),
        ("default via 192.0.2.254 dev eth0", "0.0.0.0/0", {"hops": VIA}),
        ("inet6 default dev eth0", "::/0", {"hops": DEV}),
        ("any via fe80::1 dev eth0", "::/0", {"hops": (NextHop(ip_address("fe80::1"), "eth0"),)}),
        ("10.0.0.0/8 via inet 192.0.2.254 dev eth0", "10.0.0.0/8", {"hops": VIA}),
        ("add default via 192.0.2.254 dev eth0", "0.0.0.0/0", {"hops": VIA, "action": "add"}),
        ("all dev eth0 append", "0.0.0.0/0", {"hops": DEV, "action": "append"}),
        (
            "src 192.0.2.1 to 10.0.0.0/8 dev eth0 scope link table 100 metric 0x10",
            "10.0.0.0/8",
            {"hops": DEV, "source": ip_address("192.0.2.1"), "scope": 253, "table": 100, "metric": 16},
        ),
        ("10.0.0.0/8 dev eth0 scope 50 table main tos 0x10", "10.0.0.0/8",
         {"hops": DEV, "scope": 50, "table": 254, "tos": 16}),
        ("10.0.0.0/8 dev eth0 table vrf-red vrf red", "10.0.0.0/8", {"hops": DEV, "table": "vrf-red", "vrf": "red"}),
        ("10.0.0.0/8 dev eth0 no_track protocol static", "10.0.0.0/8",
         {"hops": DEV, "protocol": 4, "no_track": True}),
        ("10.0.0.0/8 dev eth0 protocol keepalived", "10.0.0.0/8", {"hops": DEV, "protocol": 18}),
        ("blackhole 10.0.0.0/8 no_track", "10.0.0.0/8", {"kind": "blackhole", "no_track": True}),
        ("10.0.0.0/8 dev eth0 track_group G", "10.0.0.0/8", {"hops": DEV, "track_group": "G"}),
        (
            "10.0.0.0/8 via 192.0.2.254 dev eth0 onlink",
            "10.0.0.0/8",
            {"hops": (NextHop(ip_address("192.0.2.254"), "eth0", onlink=True),)},
        ),
        (
            "10.0.0.0/8 nexthop via 192.0.2.1 dev eth0 weight 5 onlink nexthop dev eth1 realms 1/2 encap mpls 100",
            "10.0.0.0/8",
            {
                "hops": (
                    NextHop(ip_address("192.0.2.1"), "eth0", 5, onlink=True),
                    NextHop(dev="eth1", realm="1/2", encap=("mpls", "100")),
                )
            },
        ),
        (
            "10.0.0.0/8 dev eth0 encap ip id 5 dst 192.0.2.4 ttl 3",
            "10.0.0.0/8",
            {"hops": (NextHop(dev="eth0", encap=("ip", "id", "5", "dst", "192.0.2.4", "ttl", "3")),)},
        ),
        (
            "2001:db8::/64 from 2001:db8:1::/64 dev eth0 pref high expires 100",
            "2001:db8::/64",
            {
                "hops": DEV,
                "source_network": ip_interface("2001:db8:1::/64"),
                "preference": "high",
                "expires_s": 100,
            },
        ),
        (
            (
                "10.0.0.0/8 dev eth0 mtu lock 1400 hoplimit 9 rtt 20ms features ecn congctl lock cubic realms 1/2"
                " ttl-propagate disabled quickack 1"
            ),
            "10.0.0.0/8",
            {
                "hops": DEV,
                "metrics": (
                    RouteMetric("mtu", 1400, lock=True),
                    RouteMetric("hoplimit", 9),
                    RouteMetric("rtt", "20ms"),
                    RouteMetric("features", "ecn"),
                    RouteMetric("congctl", "cubic", lock=True),
                    RouteMetric("realms", "1/2"),
                    RouteMetric("ttl-propagate", "disabled"),
                    RouteMetric("quickack", 1),
                ),
            },
        ),
    ],
)  # fmt: skip
def test_words(line: str, destination: str, expected: dict[str, Any]) -> None:
    result, route = parse(line)
    assert route is not None
    assert str(route.destination) == destination
    assert route.family == Family(route.destination.version)
    assert differing(route) == expected
    assert not result.drops


@pytest.mark.parametrize(
    ("line", "message", "code", "exit_code"),
    [
        ("foo 10.0.0.0/8", "unknown route keyword 'foo'", Code.UNKNOWN_OPTION, 5),
        ("10.0.0.0/8 10.0.0.0/8", "unknown route keyword '10.0.0.0/8'", Code.UNKNOWN_OPTION, 5),
        ("10.0.0.0/8 to 10.1.0.0/16", "the destination is there already, before '10.1.0.0/16'", Code.BAD_LINE, 5),
        ("via 192.0.2.1 dev eth0", "Route must have a destination", Code.BAD_LINE, 5),
        ("10.0.0.0/8 via", "'via' is missing its value", Code.MISSING_VALUE, 2),
        ("10.0.0.0/8 via gw1", "'gw1' is no IP address", Code.BAD_ADDRESS, 5),
        ("to gw1", "address 'gw1' is no IP address. skipping...", Code.BAD_ADDRESS, 5),
        ("10.0.0.0/8 via fe80::1 dev eth0", "Cannot mix IPv4 and IPv6 addresses for route", Code.FAMILY, 5),
        ("10.0.0.0/8 via inet6 fe80::1", "Cannot mix IPv4 and IPv6 addresses for one line", Code.FAMILY, 5),
        ("10.0.0.0/8 dev eth0 scope foo", "Scope 'foo' not found or invalid", Code.BAD_VALUE, 5),
        ("10.0.0.0/8 dev eth0 scope 256", "number '256' outside range [0, 255]", Code.VALUE_RANGE, 5),
        ("10.0.0.0/8 dev eth0 metric x", "invalid number 'x'", Code.BAD_NUMBER, 5),
        ("10.0.0.0/8 dev eth0 hoplimit 300", "number '300' outside range [0, 255]", Code.VALUE_RANGE, 5),
        ("10.0.0.0/8 dev eth0 table 5000000000", "outside range [0, 4294967295]", Code.VALUE_RANGE, 5),
        ("10.0.0.0/8 dev eth0 pref high", "pref is only valid for IPv6", Code.FAMILY, 5),
        ("::/0 dev eth0 pref best", "unknown pref 'best'", Code.BAD_VALUE, 5),
        ("10.0.0.0/8 dev eth0 rtt x", "invalid time 'x' for rtt", Code.BAD_NUMBER, 5),
        ("10.0.0.0/8 dev eth0 features x", "unknown features 'x'", Code.BAD_VALUE, 5),
        ("10.0.0.0/8 dev eth0 encap x", "unknown encapsulation 'x'", Code.BAD_VALUE, 5),
        ("10.0.0.0/8 nexthop weight 0", "number '0' outside range [1, 256]", Code.VALUE_RANGE, 5),
        ("10.0.0.0/8 nexthop foo", "a nexthop needs via or dev", Code.MISSING_VALUE, 5),
        ("10.0.0.0/8 dev anInterfaceNameTooLong", "cannot be the name of an interface", Code.BAD_INTERFACE, 5),
    ],
)
def test_mistakes_drop_the_line(line: str, message: str, code: Code, exit_code: int) -> None:
    """Half a route would lead somewhere else."""
    result, route = parse(line)
    assert route is None
    [complaint] = result.drops
    assert message in complaint.message
    assert complaint.code is code
    assert complaint.place.line == 4
    assert result.exit_code == exit_code


@pytest.mark.parametrize(
    ("line", "expected", "message"),
    [
        (
            "10.0.0.0/8 via 192.0.2.254",
            {"hops": (NextHop(ip_address("192.0.2.254")),), "no_track": True},
            "Warning - cannot track route 10.0.0.0/8 with no interface specified, not tracking",
        ),
        (
            "10.0.0.0/8 dev eth0 protocol static",
            {"hops": DEV},
            "Route cannot be tracked if its protocol is not keepalived, resetting protocol",
        ),
        ("10.0.0.0/8 gw 192.0.2.254 dev eth0", {"hops": VIA}, '"gw" for routes is deprecated. Please use "via"'),
        (
            "10.0.0.0/8 dev eth0 or 192.0.2.1",
            {"hops": (*DEV, NextHop(ip_address("192.0.2.1")))},
            '"or" for routes is deprecated. Please use "nexthop"',
        ),
    ],
)
def test_mended(line: str, expected: dict[str, Any], message: str) -> None:
    result, route = parse(line)
    assert route is not None
    assert differing(route) == expected
    assert [one.message for one in result.complaints if one.severity is Severity.WARNING] == [message]
    assert result.exit_code == 5


def test_groups_are_for_static_routes() -> None:
    line = "10.0.0.0/8 dev eth0 track_group G"
    text = f"vrrp_instance I {{\ninterface eth0\nvirtual_router_id 1\nvirtual_routes {{\n{line}\n}}\n}}"
    result = parse_text(text, "f")
    assert "f:5:21: (I) unknown route keyword 'track_group'" in [str(one) for one in result.drops]
