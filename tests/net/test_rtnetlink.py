"""Messages for links and addresses: octets by hand, and pyroute2 as a judge that shares no code with us."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvrrp.errors import KernelError
from pyvrrp.net.netlink import rtnetlink, wire
from pyvrrp.net.netlink.wire import Message, Request
from pyvrrp.net.system import (
    AddressAdded,
    AddressRemoved,
    AssignedAddress,
    Link,
    LinkChanged,
    LinkRemoved,
    Scope,
)

little_endian = pytest.mark.skipif(
    sys.byteorder != "little", reason="netlink is in host order, the octets here are not"
)


def judged(request: Request) -> Any:
    """What pyroute2 makes of a request of ours."""
    from pyroute2.netlink.rtnl.marshal import MarshalRtnl

    [message] = MarshalRtnl().parse(wire.pack_message(request, 1))
    return message


@little_endian
def test_an_ipv4_address_octet_by_octet() -> None:
    request = rtnetlink.new_address(
        3, IPv4Interface("192.0.2.100/24"), label="eth0:1", broadcast=IPv4Address("192.0.2.255"), protocol=112
    )
    assert request.kind == 20
    assert request.flags == 0x600  # CREATE, EXCL
    assert request.payload.hex() == (
        "02180000"
        "03000000"  # AF_INET /24, flags 0, scope global; index 3
        "08000200"
        "c0000264"  # IFA_LOCAL
        "08000100"
        "c0000264"  # IFA_ADDRESS
        "0b000300"
        "657468303a310000"  # IFA_LABEL, with its NUL, padded
        "08000400"
        "c00002ff"  # IFA_BROADCAST
        "05000b00"
        "70000000"  # IFA_PROTO
    )


@little_endian
def test_an_ipv6_address_octet_by_octet() -> None:
    request = rtnetlink.new_address(3, IPv6Interface("2001:db8::64/64"), flags=0x202, preferred_s=0)
    assert request.payload.hex() == (
        "0a400200"
        "03000000"  # AF_INET6 /64, the low octet of the flags; index 3
        "14000200"
        "20010db8000000000000000000000064"
        "14000100"
        "20010db8000000000000000000000064"
        "08000800"
        "02020000"  # IFA_FLAGS: NODAD, NOPREFIXROUTE
        "14000600"
        "00000000"
        "ffffffff"
        "00000000"
        "00000000"  # preferred 0, valid for ever
    )


@little_endian
def test_a_removal_names_address_and_prefix_and_no_more() -> None:
    request = rtnetlink.delete_address(3, IPv4Interface("192.0.2.100/24"))
    assert (request.kind, request.flags) == (21, 0)
    assert request.payload.hex() == "021800000300000008000200c000026408000100c0000264"


@little_endian
def test_promote_secondaries_octet_by_octet() -> None:
    request = rtnetlink.set_promote_secondaries(3, 1)
    assert request.kind == 19
    assert request.payload.hex() == (
        "00000000"
        "03000000"
        "00000000"
        "00000000"
        "14001a80"  # IFLA_AF_SPEC, nested
        "10000280"  # AF_INET
        "0c000180"  # IFLA_INET_CONF
        "08001400"
        "01000000"  # 20: promote_secondaries
    )


def test_pyroute2_reads_our_ipv4_address() -> None:
    message = judged(
        rtnetlink.new_address(
            3,
            IPv4Interface("192.0.2.100/32"),
            peer=IPv4Interface("198.51.100.1/30"),
            scope=Scope.LINK,
            flags=rtnetlink.IFA_F_NOPREFIXROUTE,
            label="eth0:vip",
            broadcast=IPv4Address("192.0.2.255"),
            preferred_s=1800,
            protocol=112,
        )
    )
    assert message["event"] == "RTM_NEWADDR"
    assert (message["family"], message["prefixlen"], message["scope"], message["index"]) == (socket.AF_INET, 30, 253, 3)
    assert message.get("IFA_LOCAL") == "192.0.2.100"
    assert message.get("IFA_ADDRESS") == "198.51.100.1"
    assert message.get("IFA_LABEL") == "eth0:vip"
    assert message.get("IFA_BROADCAST") == "192.0.2.255"
    assert message.get("IFA_FLAGS") == 0x200
    assert message.get("IFA_CACHEINFO")["ifa_preferred"] == 1800
    assert message.get("IFA_CACHEINFO")["ifa_valid"] == 0xFFFFFFFF
    assert message.get("IFA_PROTO") in (112, b"\x70", "70")  # its type differs between releases


def test_pyroute2_reads_our_ipv6_address() -> None:
    message = judged(rtnetlink.new_address(3, IPv6Interface("2001:db8::64/64"), flags=rtnetlink.IFA_F_NODAD))
    assert (message["family"], message["prefixlen"], message["index"]) == (socket.AF_INET6, 64, 3)
    assert message.get("IFA_LOCAL") == message.get("IFA_ADDRESS") == "2001:db8::64"
    assert message.get("IFA_FLAGS") == 2
    assert message.get("IFA_CACHEINFO") is None
    assert message.get("IFA_PROTO") is None


def test_pyroute2_reads_our_questions() -> None:
    assert judged(rtnetlink.get_links())["event"] == "RTM_GETLINK"
    assert judged(rtnetlink.get_link(7))["index"] == 7
    assert judged(rtnetlink.get_link(7)).get("IFLA_EXT_MASK") == 8
    assert judged(rtnetlink.get_addresses(7))["index"] == 7


LINK = struct.pack("=BxHiII", 0, 1, 2, 0x11043, 0)
NAME = wire.pack_attribute(rtnetlink.IFLA_IFNAME, b"eth0\0")
MTU = wire.pack_u32(rtnetlink.IFLA_MTU, 1400)
MAC = wire.pack_attribute(rtnetlink.IFLA_ADDRESS, b"\x02\0\0\0\0\x01")
ETH0 = Link(2, "eth0", b"\x02\0\0\0\0\x01", 1400, up=True, running=True, loopback=False, arp=True)


def news(kind: int, payload: bytes) -> Message:
    return Message(kind, 0, 0, payload)


def test_a_link() -> None:
    message = news(rtnetlink.RTM_NEWLINK, LINK + NAME + MTU + MAC)
    assert rtnetlink.read_link(message) == ETH0
    assert rtnetlink.read_event(message, marks=True) == LinkChanged(ETH0)


@pytest.mark.parametrize(
    ("flags", "up", "running", "loopback", "arp"),
    [
        (0x1003, True, False, False, True),  # no carrier
        (0x1002, False, False, False, True),
        (0x49, True, True, True, True),
        (0xC1, True, True, False, False),
    ],
)
def test_the_flags_of_a_link(flags: int, up: bool, running: bool, loopback: bool, arp: bool) -> None:
    link = rtnetlink.read_link(news(16, struct.pack("=BxHiII", 0, 1, 2, flags, 0) + NAME + MTU))
    assert link is not None
    assert (link.up, link.running, link.loopback, link.arp) == (up, running, loopback, arp)


@pytest.mark.parametrize("kind", [772, 768, 32])
def test_what_is_no_ethernet_address_is_left_out(kind: int) -> None:
    """Loopback, ipip (four octets) and InfiniBand (twenty): no frame of ours fits them."""
    link = rtnetlink.read_link(news(16, struct.pack("=BxHiII", 0, kind, 2, 0, 0) + NAME + MTU + MAC))
    assert link is not None
    assert link.hardware_address == b""


def test_news_of_a_wireless_driver_say_nothing_of_the_link() -> None:
    wireless = wire.pack_attribute(11, bytes(24))
    assert rtnetlink.read_event(news(rtnetlink.RTM_NEWLINK, LINK + NAME + wireless), marks=True) is None


@pytest.mark.parametrize("kind", [rtnetlink.RTM_NEWLINK, rtnetlink.RTM_DELLINK])
def test_what_a_bridge_says_of_its_port_is_not_about_the_link(kind: int) -> None:
    port = struct.pack("=BxHiII", 7, 1, 2, 0x11043, 0)
    assert rtnetlink.read_event(news(kind, port + NAME + MTU), marks=True) is None


def test_a_removed_link() -> None:
    assert rtnetlink.read_event(news(rtnetlink.RTM_DELLINK, LINK + NAME), marks=True) == LinkRemoved(2, "eth0")


def test_other_news_are_passed_over() -> None:
    assert rtnetlink.read_event(news(24, b""), marks=True) is None


IPV4 = struct.pack("=BBBBI", socket.AF_INET, 24, 0x81, 0, 2)
LOCAL = wire.pack_attribute(rtnetlink.IFA_LOCAL, bytes((192, 0, 2, 100)))
FAR = wire.pack_attribute(rtnetlink.IFA_ADDRESS, bytes((192, 0, 2, 1)))
LABEL = wire.pack_attribute(rtnetlink.IFA_LABEL, b"eth0\0")
MARK = wire.pack_attribute(rtnetlink.IFA_PROTO, b"\x70")


@pytest.mark.parametrize(("marks", "mark", "protocol"), [(True, MARK, 112), (True, b"", 0), (False, MARK, None)])
def test_an_ipv4_address(marks: bool, mark: bytes, protocol: int | None) -> None:
    """Without IFA_PROTO in the message it is 0 where the kernel knows it, and unknown where it does not."""
    message = news(rtnetlink.RTM_NEWADDR, IPV4 + LOCAL + FAR + LABEL + mark)
    expected = AssignedAddress(2, IPv4Interface("192.0.2.100/24"), 0, "eth0", protocol, secondary=True)
    assert rtnetlink.read_address(message, marks=marks) == expected
    assert rtnetlink.read_event(message, marks=marks) == AddressAdded(expected)
    assert rtnetlink.read_event(message._replace(kind=21), marks=marks) == AddressRemoved(expected)


@pytest.mark.parametrize(("flags", "tentative"), [(0x80, False), (0xC0, True), (0x88, True), (0x81, False)])
def test_an_ipv6_address(flags: int, tentative: bool) -> None:
    octets = IPv6Interface("fe80::1/64").packed
    header = struct.pack("=BBBBI", socket.AF_INET6, 64, 0, 253, 2)
    address = rtnetlink.read_address(
        news(20, header + wire.pack_attribute(1, octets) + wire.pack_u32(rtnetlink.IFA_FLAGS, flags)), marks=True
    )
    assert address == AssignedAddress(2, IPv6Interface("fe80::1/64"), 253, None, 0, tentative=tentative)


def test_an_address_of_another_family_is_passed_over() -> None:
    assert rtnetlink.read_address(news(20, struct.pack("=BBBBI", 12, 0, 0, 0, 2)), marks=True) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        IPV4,
        IPV4 + wire.pack_attribute(2, b"\1\2\3"),
        IPV4 + LOCAL + wire.pack_attribute(rtnetlink.IFA_PROTO, b"\1\2"),
        IPV4 + LOCAL + wire.pack_attribute(rtnetlink.IFA_FLAGS, b"\1\2"),
        struct.pack("=BBBBI", socket.AF_INET, 33, 0, 0, 2) + LOCAL,
    ],
)
def test_a_malformed_address_is_a_kernel_error(payload: bytes) -> None:
    with pytest.raises(KernelError) as caught:
        rtnetlink.read_address(news(20, payload), marks=True)
    assert caught.value.errno == errno.EBADMSG


@pytest.mark.parametrize("payload", [b"", LINK + NAME + wire.pack_attribute(4, b"\1"), bytes(16) + NAME + MTU])
def test_a_malformed_link_is_a_kernel_error(payload: bytes) -> None:
    with pytest.raises(KernelError) as caught:
        rtnetlink.read_link(news(16, payload))
    assert caught.value.errno == errno.EBADMSG


def test_promote_secondaries_is_read_from_the_link() -> None:
    table = bytearray(33 * 4)
    table[19 * 4 : 20 * 4] = struct.pack("=I", 1)
    conf = wire.pack_attribute(26, wire.pack_attribute(2, wire.pack_attribute(1, bytes(table))))
    assert rtnetlink.read_promote_secondaries(news(16, LINK + conf)) == 1
    assert rtnetlink.read_promote_secondaries(news(16, LINK)) is None


@contextlib.contextmanager
def only_malformed() -> Iterator[None]:
    """Let the one error pass that a parser may end with."""
    try:
        yield
    except KernelError as error:
        if error.errno != errno.EBADMSG:
            raise


@given(st.integers(14, 26), st.binary(max_size=120), st.booleans())
def test_any_octets_give_an_event_or_none_or_a_kernel_error(kind: int, payload: bytes, marks: bool) -> None:
    with only_malformed():
        rtnetlink.read_event(news(kind, payload), marks=marks)


@st.composite
def almost_messages(draw: st.DrawFn) -> bytes:
    """A sound header and attributes of known types with any contents: gets past the first checks."""
    header = draw(st.sampled_from([LINK, IPV4, struct.pack("=BBBBI", socket.AF_INET6, 64, 0, 0, 2)]))
    attributes = draw(st.lists(st.tuples(st.integers(0, 30), st.binary(max_size=40)), max_size=6))
    return header + b"".join(wire.pack_attribute(kind, value) for kind, value in attributes)


@given(st.sampled_from([16, 17, 20, 21]), almost_messages(), st.booleans())
def test_any_attributes_give_an_event_or_none_or_a_kernel_error(kind: int, payload: bytes, marks: bool) -> None:
    with only_malformed():
        rtnetlink.read_event(news(kind, payload), marks=marks)
    with only_malformed():
        rtnetlink.read_promote_secondaries(news(kind, payload))
