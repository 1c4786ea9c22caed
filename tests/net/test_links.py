from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_interface

import pytest

from pyvrrp.net.links import find_link, primary_address, without_zone
from pyvrrp.net.system import AssignedAddress, Link, Scope
from pyvrrp.protocol.constants import Family

ETH0 = Link(2, "eth0", b"\x02\0\0\0\0\x01")


def on(
    text: str, index: int = 2, scope: int = Scope.GLOBAL, *, secondary: bool = False, tentative: bool = False
) -> AssignedAddress:
    return AssignedAddress(index, ip_interface(text), scope, secondary=secondary, tentative=tentative)


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        pytest.param([], None, id="none"),
        pytest.param([on("192.0.2.1/24"), on("198.51.100.1/24")], "192.0.2.1", id="the first"),
        pytest.param([on("192.0.2.1/24", 3)], None, id="another link"),
        pytest.param([on("192.0.2.100/24")], None, id="only a VIP"),
        pytest.param([on("192.0.2.100/24"), on("192.0.2.1/24")], "192.0.2.1", id="a VIP first"),
        pytest.param([on("192.0.2.2/24", secondary=True), on("192.0.2.1/24")], "192.0.2.1", id="no secondary"),
        pytest.param(
            [on("192.0.2.100/24"), on("192.0.2.1/24", secondary=True)], "192.0.2.1", id="unless a VIP made it secondary"
        ),
        pytest.param(
            [on("169.254.1.1/16", scope=Scope.LINK), on("192.0.2.1/24")], "192.0.2.1", id="global before link scope"
        ),
        pytest.param([on("169.254.1.1/16", scope=Scope.LINK)], "169.254.1.1", id="link scope if there is no other"),
        pytest.param([on("127.0.0.1/8", scope=Scope.HOST)], None, id="never host scope"),
        pytest.param([on("fe80::1/64", scope=Scope.LINK)], None, id="not of the other family"),
    ],
)
def test_the_source_of_ipv4_advertisements(addresses: list[AssignedAddress], expected: str | None) -> None:
    source = primary_address(ETH0, addresses, Family.V4, [ip_address("192.0.2.100")])
    assert source == (None if expected is None else ip_address(expected))


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        pytest.param([on("2001:db8::1/64")], None, id="no global one"),
        pytest.param([on("2001:db8::1/64"), on("fe80::1/64", scope=Scope.LINK)], "fe80::1", id="the link-local one"),
        pytest.param([on("fe80::1/64", scope=Scope.LINK, tentative=True)], None, id="not a tentative one"),
        pytest.param(
            [on("fe80::64/64", scope=Scope.LINK), on("fe80::1/64", scope=Scope.LINK)], "fe80::1", id="not a VIP"
        ),
    ],
)
def test_the_source_of_ipv6_advertisements(addresses: list[AssignedAddress], expected: str | None) -> None:
    source = primary_address(ETH0, addresses, Family.V6, [ip_address("fe80::64%eth0")])
    assert source == (None if expected is None else ip_address(expected))


def test_the_source_has_no_zone() -> None:
    source = primary_address(ETH0, [on("fe80::1%eth0/64", scope=Scope.LINK)], Family.V6)
    assert isinstance(source, IPv6Address)
    assert source.scope_id is None


def test_a_zone_is_dropped_and_nothing_else() -> None:
    assert without_zone(ip_address("fe80::1%7")) == ip_address("fe80::1")
    assert without_zone(ip_address("192.0.2.1")) == ip_address("192.0.2.1")


def test_a_link_is_found_by_its_name() -> None:
    assert find_link([ETH0], "eth0") is ETH0
    assert find_link([ETH0], "eth1") is None
