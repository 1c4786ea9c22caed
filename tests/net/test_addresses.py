from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_interface

import pytest

from pyvrrp.net import addresses
from pyvrrp.net.netlink import rtnetlink, wire
from pyvrrp.net.netlink.wire import Request
from pyvrrp.net.system import AssignedAddress, Link, VirtualAddress

LINKS = [Link(1, "lo", b""), Link(2, "eth0", bytes(6)), Link(3, "eth1", bytes(6))]


def vip(text: str, interface: str = "eth0", peer: str | None = None) -> VirtualAddress:
    return VirtualAddress(interface, ip_interface(text), peer=None if peer is None else ip_interface(peer))


def found(text: str, index: int = 2, *, secondary: bool = False, protocol: int | None = 0) -> AssignedAddress:
    return AssignedAddress(index, ip_interface(text), secondary=secondary, protocol=protocol)


def attributes(request: Request) -> dict[int, bytes]:
    return wire.parse_attributes(request.payload, 8)


def flags(address: VirtualAddress) -> int:
    octets = attributes(addresses.add_request(address, 2)).get(rtnetlink.IFA_FLAGS, bytes(4))
    return wire.read_u32(octets)


def test_a_vip_bears_the_mark_of_vrrp() -> None:
    assert attributes(addresses.add_request(vip("192.0.2.100/24"), 2))[rtnetlink.IFA_PROTO] == b"\x70"
    assert rtnetlink.IFA_PROTO not in attributes(addresses.add_request(vip("192.0.2.100/24"), 2, mark=False))


def test_an_ipv6_vip_serves_at_once() -> None:
    """A VIP under Duplicate Address Detection answers nobody for a second or more."""
    address = IPv6Interface("2001:db8::64/64")
    assert flags(VirtualAddress("eth0", address)) == rtnetlink.IFA_F_NODAD
    assert flags(VirtualAddress("eth0", address, dad=True)) == 0
    assert flags(VirtualAddress("eth0", address, home=True, dad=True)) == rtnetlink.IFA_F_HOMEADDRESS
    assert flags(VirtualAddress("eth0", address, no_prefix_route=True, dad=True)) == rtnetlink.IFA_F_NOPREFIXROUTE
    assert flags(VirtualAddress("eth0", address, manage_temporary=True, dad=True)) == rtnetlink.IFA_F_MANAGETEMPADDR
    assert flags(VirtualAddress("eth0", address, autojoin=True, dad=True)) == rtnetlink.IFA_F_MCAUTOJOIN


def test_flags_of_ipv6_are_not_put_on_ipv4() -> None:
    assert flags(VirtualAddress("eth0", IPv4Interface("192.0.2.100/24"), home=True)) == 0


def test_label_and_broadcast_are_for_ipv4_alone() -> None:
    broadcast = IPv4Address("192.0.2.255")
    long = "a-label-too-long-for-the-kernel"
    four = addresses.add_request(VirtualAddress("eth0", IPv4Interface("192.0.2.1/24"), 0, broadcast, long), 2)
    six = addresses.add_request(VirtualAddress("eth0", IPv6Interface("2001:db8::1/64"), 0, broadcast, long), 2)
    assert attributes(four)[rtnetlink.IFA_LABEL] == long.encode() + b"\0"  # never cut: the kernel refuses it
    assert attributes(four)[rtnetlink.IFA_BROADCAST] == broadcast.packed
    assert not {rtnetlink.IFA_LABEL, rtnetlink.IFA_BROADCAST} & attributes(six).keys()


def test_what_is_installed_is_told_by_interface_address_and_prefix() -> None:
    wanted = [
        vip("192.0.2.100/24"),
        vip("192.0.2.101/24"),
        vip("192.0.2.102/24"),
        vip("192.0.2.100/24", "eth1"),
        vip("192.0.2.100/24", "eth9"),
        vip("2001:db8::64/64"),
        vip("10.0.0.1/32", peer="10.0.0.9/30"),
    ]
    there = [
        found("192.0.2.100/24"),
        found("192.0.2.101/32"),
        found("192.0.2.102/24", 3),
        found("2001:db8::64/64"),
        found("10.0.0.1/30"),
    ]
    assert addresses.installed(wanted, there, LINKS) == [wanted[0], wanted[5], wanted[6]]


def test_a_zone_does_not_hide_an_address() -> None:
    wanted = VirtualAddress("eth0", IPv6Interface("fe80::64%eth0/64"))
    assert addresses.installed([wanted], [found("fe80::64/64")], LINKS) == [wanted]


def test_the_marked_are_those_with_our_number() -> None:
    there = [found("192.0.2.1/24"), found("192.0.2.2/24", protocol=112), found("192.0.2.3/24", protocol=None)]
    assert addresses.marked(there) == [there[1]]


def test_an_address_is_described_with_its_interface() -> None:
    assert addresses.describe(vip("192.0.2.100/24")) == "192.0.2.100/24 on eth0"


@pytest.mark.parametrize(
    ("there", "doomed", "shaky"),
    [
        pytest.param([found("192.0.2.100/24")], ["192.0.2.100/24"], set(), id="alone"),
        pytest.param(
            [found("192.0.2.1/24"), found("192.0.2.100/24", secondary=True)], ["192.0.2.100/24"], set(), id="usual"
        ),
        pytest.param(
            [found("192.0.2.100/24"), found("192.0.2.5/24", secondary=True)], ["192.0.2.100/24"], {2}, id="VIP first"
        ),
        pytest.param(
            [found("192.0.2.100/24"), found("192.0.2.101/24", secondary=True)],
            ["192.0.2.100/24", "192.0.2.101/24"],
            set(),
            id="all go",
        ),
        pytest.param(
            [found("192.0.2.100/24"), found("198.51.100.5/25", secondary=True)],
            ["192.0.2.100/24"],
            set(),
            id="another prefix length",
        ),
        pytest.param(
            [found("192.0.2.100/24"), found("192.0.2.5/24", 3, secondary=True)],
            ["192.0.2.100/24"],
            set(),
            id="another link",
        ),
        pytest.param(
            [found("2001:db8::64/64"), found("2001:db8::5/64", secondary=True)], ["2001:db8::64/64"], set(), id="IPv6"
        ),
    ],
)
def test_links_where_a_removal_would_take_others_along(
    there: list[AssignedAddress], doomed: list[str], shaky: set[int]
) -> None:
    keys = {addresses.key_of(vip(text), 2) for text in doomed}
    assert addresses.shaky_links(there, keys) == shaky
