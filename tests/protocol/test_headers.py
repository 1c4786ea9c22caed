"""IP and Ethernet headers, octet by octet, and everything that can be wrong with them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from pyvrrp.errors import DropReason, PacketError, UsageError
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.headers import (
    EthernetFrame,
    IpHeader,
    build_ethernet,
    build_ip,
    build_ipv4,
    build_ipv6,
    multicast_hardware_address,
    strip_ethernet,
    strip_ip,
    strip_ipv4,
    strip_ipv6,
)

V4 = IpHeader(IPv4Address("192.0.2.1"), IPv4Address("224.0.0.18"))
V6 = IpHeader(IPv6Address("fe80::1"), IPv6Address("ff02::12"))
PAYLOAD = bytes.fromhex("31336401006404d8c00002fe")
PAYLOAD_V6 = bytes.fromhex("3133640100646d75fe800000000000000000000000510001")
# 45c0+0020+0007+ff70+c000+0201+e000+0012 = e76c with its carries
PACKET_V4 = bytes.fromhex("45c0002000070000ff701893c0000201e0000012") + PAYLOAD
PACKET_V6 = (
    bytes.fromhex("6c000000001870fffe800000000000000000000000000001ff020000000000000000000000000012") + PAYLOAD_V6
)


def refusal(packet: bytes) -> str:
    with pytest.raises(PacketError) as caught:
        strip_ip(packet)
    assert caught.value.reason is DropReason.MALFORMED_IP
    return caught.value.detail


def test_family() -> None:
    assert V4.family is Family.V4
    assert V6.family is Family.V6


def test_ipv4_octets() -> None:
    """TX-06, TX-07, TX-11: protocol 112, TTL 255, CS6; DF is clear."""
    assert build_ipv4(V4, PAYLOAD, identification=7) == PACKET_V4
    assert build_ip(V4, PAYLOAD, identification=7) == PACKET_V4
    assert strip_ipv4(PACKET_V4) == (V4, PAYLOAD)
    assert strip_ip(PACKET_V4) == (V4, PAYLOAD)


def test_ipv6_octets() -> None:
    """TX-06, TX-07, TX-11: next header 112, Hop Limit 255, CS6."""
    assert build_ipv6(V6, PAYLOAD_V6) == PACKET_V6
    assert build_ip(V6, PAYLOAD_V6) == PACKET_V6
    assert strip_ipv6(PACKET_V6) == (V6, PAYLOAD_V6)
    assert strip_ip(PACKET_V6) == (V6, PAYLOAD_V6)


def test_ipv4_as_scapy_builds_it() -> None:
    from scapy.layers.inet import IP

    theirs = IP(src="192.0.2.9", dst="192.0.2.2", ttl=64, tos=0x20, id=0xBEEF, proto=112) / PAYLOAD
    ours = build_ipv4(
        IpHeader(IPv4Address("192.0.2.9"), IPv4Address("192.0.2.2"), 64),
        PAYLOAD,
        identification=0xBEEF,
        traffic_class=0x20,
    )
    assert ours == bytes(theirs)


def test_ipv6_as_scapy_builds_it() -> None:
    from scapy.layers.inet6 import IPv6

    theirs = IPv6(src="fe80::9", dst="fe80::2", hlim=64, tc=0x20, nh=112) / PAYLOAD_V6
    header = IpHeader(IPv6Address("fe80::9"), IPv6Address("fe80::2"), 64)
    assert build_ipv6(header, PAYLOAD_V6, traffic_class=0x20) == bytes(theirs)


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 14, b"\xde\xad"])
def test_link_padding_is_cut(padding: bytes) -> None:
    """RX-PAD-01."""
    assert strip_ip(PACKET_V4 + padding) == (V4, PAYLOAD)
    assert strip_ip(PACKET_V6 + padding) == (V6, PAYLOAD_V6)


def test_ipv4_options_are_stepped_over() -> None:
    """RX-PAD-02: IHL 6, four octets of Router Alert."""
    packet = bytes.fromhex("46c0002400070000ff700000c0000201e000001294040000") + PAYLOAD
    assert strip_ipv4(packet) == (V4, PAYLOAD)


def test_ipv6_options_are_stepped_over() -> None:
    """RX-PAD-01: a hop-by-hop header of 8 octets, then destination options of 16."""
    options = bytes.fromhex("3c00010400000000") + bytes.fromhex("7001010c") + bytes(12)
    packet = PACKET_V6[:4] + (24 + 24).to_bytes(2, "big") + b"\x00" + PACKET_V6[7:40] + options + PAYLOAD_V6
    assert strip_ipv6(packet) == (V6, PAYLOAD_V6)


def test_an_empty_payload_is_stripped_too() -> None:
    """What VRRP makes of it is not the IP header's affair."""
    assert strip_ip(build_ip(V4, b"")) == (V4, b"")
    assert strip_ip(build_ip(V6, b"")) == (V6, b"")


def test_every_prefix_of_a_packet_is_malformed() -> None:
    for packet in (PACKET_V4, PACKET_V6):
        for length in range(len(packet)):
            refusal(packet[:length])


@pytest.mark.parametrize(
    ("at", "octets", "detail"),
    [
        (0, "55", "IP version 5"),
        (0, "44", "header of 16 octets"),
        (0, "4f", "header of 60 octets"),  # longer than the packet
        (2, "0013", "total length 19"),  # shorter than the header
        (2, "0021", "total length 33"),  # longer than the packet
        (6, "2000", "fragment"),  # More Fragments
        (6, "0001", "fragment"),
        (9, "33", "protocol 51, not 112"),
    ],
)
def test_malformed_ipv4(at: int, octets: str, detail: str) -> None:
    damage = bytes.fromhex(octets)
    packet = PACKET_V4[:at] + damage + PACKET_V4[at + len(damage) :]
    with pytest.raises(PacketError, match=detail) as caught:
        strip_ipv4(packet)
    assert caught.value.reason is DropReason.MALFORMED_IP


def test_dont_fragment_is_no_fragment() -> None:
    assert strip_ipv4(PACKET_V4[:6] + b"\x40" + PACKET_V4[7:]) == (V4, PAYLOAD)


@pytest.mark.parametrize(
    ("at", "octets", "detail"),
    [
        (0, "4c", "IP version 4"),
        (4, "0019", "payload length 25"),
        (6, "2c", "next header 44"),  # a fragment
        (6, "3a", "next header 58 at octet 40 of 64, not 112"),
        (6, "00", "at octet"),  # hop-by-hop options that say they are longer than the packet
    ],
)
def test_malformed_ipv6(at: int, octets: str, detail: str) -> None:
    damage = bytes.fromhex(octets)
    packet = PACKET_V6[:at] + damage + PACKET_V6[at + len(damage) :]
    with pytest.raises(PacketError, match=detail) as caught:
        strip_ipv6(packet)
    assert caught.value.reason is DropReason.MALFORMED_IP


def test_ipv6_options_that_end_beyond_the_packet() -> None:
    """The last header names VRRP, but its length leaves the packet."""
    packet = PACKET_V6[:4] + b"\x00\x08\x00" + PACKET_V6[7:40] + bytes.fromhex("7001010400000000")
    assert "at octet 56 of 48" in refusal(packet)


@pytest.mark.parametrize(
    "header",
    [V6, IpHeader(V4.source, V6.destination), IpHeader(V4.source, V4.destination, 256)],
)
def test_ipv4_that_cannot_be_built(header: IpHeader) -> None:
    with pytest.raises(UsageError):
        build_ipv4(header, PAYLOAD)


@pytest.mark.parametrize(
    "header",
    [V4, IpHeader(V6.source, V4.destination), IpHeader(V6.source, V6.destination, 256)],
)
def test_ipv6_that_cannot_be_built(header: IpHeader) -> None:
    with pytest.raises(UsageError):
        build_ipv6(header, PAYLOAD)


def test_fields_out_of_range() -> None:
    with pytest.raises(UsageError, match="out of range"):
        build_ipv4(V4, PAYLOAD, identification=0x10000)
    with pytest.raises(UsageError, match="traffic class 256"):
        build_ipv6(V6, PAYLOAD, traffic_class=256)
    with pytest.raises(UsageError, match="65516 octets"):
        build_ipv4(V4, bytes(65516))  # 65535 - 20 + 1
    with pytest.raises(UsageError, match="65536 octets"):
        build_ipv6(V6, bytes(65536))


def test_ethernet() -> None:
    frame = bytes.fromhex("01005e00001200005e0001330800") + PACKET_V4
    destination, source = bytes.fromhex("01005e000012"), bytes.fromhex("00005e000133")
    assert build_ethernet(destination, source, 0x0800, PACKET_V4) == frame
    assert strip_ethernet(frame) == EthernetFrame(destination, source, 0x0800, PACKET_V4)


def test_ethernet_frame_that_is_too_short() -> None:
    with pytest.raises(PacketError, match="13 octets are no Ethernet frame"):
        strip_ethernet(bytes(13))


@pytest.mark.parametrize(
    ("destination", "source", "ether_type"),
    [(bytes(5), bytes(6), 0x0800), (bytes(6), bytes(7), 0x0800), (bytes(6), bytes(6), 1500), (bytes(6), bytes(6), -1)],
)
def test_ethernet_that_cannot_be_built(destination: bytes, source: bytes, ether_type: int) -> None:
    with pytest.raises(UsageError):
        build_ethernet(destination, source, ether_type, b"")


@pytest.mark.parametrize(
    ("group", "hardware_address"),
    [
        ("224.0.0.18", "01005e000012"),
        ("239.129.2.3", "01005e010203"),  # the 24th bit is not carried
        ("ff02::12", "333300000012"),
        ("ff02::1:ff51:1", "3333ff510001"),
    ],
)
def test_multicast_hardware_address(group: str, hardware_address: str) -> None:
    """TX-08."""
    assert multicast_hardware_address(ip_address(group)).hex() == hardware_address


def test_a_unicast_address_has_no_multicast_hardware_address() -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.1 is no multicast address"):
        multicast_hardware_address(IPv4Address("192.0.2.1"))


def test_what_follows_from_the_family() -> None:
    """What follows from the family alone: group (RFC 9568 5.1.1.2, 5.1.2.2) and length of an address."""
    assert [str(family.group) for family in Family] == ["224.0.0.18", "ff02::12"]
    assert [family.address_length for family in Family] == [4, 16]
