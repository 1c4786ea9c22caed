"""What the lab makes of frames, and which of them its filters let through."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import pytest

from pyvrrp.errors import PacketError
from pyvrrp.lab import capture, probe
from pyvrrp.lab.capture import Announced, Frame, Instruction, Sent, read
from pyvrrp.protocol.advertisement import Advertisement, encode
from pyvrrp.protocol.constants import GROUP_V4, GROUP_V6, Family
from pyvrrp.protocol.headers import (
    ETHER_TYPE_ARP,
    ETHER_TYPE_IPV4,
    ETHER_TYPE_IPV6,
    IpHeader,
    build_ethernet,
    build_ip,
    build_ipv4,
    build_ipv6,
)
from pyvrrp.protocol.neighbours import gratuitous_arp, unsolicited_na

MAC = bytes.fromhex("020000000001")
CLIENT_MAC = bytes.fromhex("02000000000a")
R1, R1_V6 = IPv4Address("192.0.2.1"), IPv6Address("fe80::1")
VIP, VIP_V6 = IPv4Address("192.0.2.100"), IPv6Address("2001:db8::100")


def advertisement_frame(family: Family) -> bytes:
    if family is Family.V4:
        message = Advertisement(3, 51, 150, 100_000, (VIP,))
        header, ether_type = IpHeader(R1, GROUP_V4), ETHER_TYPE_IPV4
    else:
        message = Advertisement(3, 51, 150, 100_000, (IPv6Address("fe80::100"), VIP_V6))
        header, ether_type = IpHeader(R1_V6, GROUP_V6), ETHER_TYPE_IPV6
    return build_ethernet(MAC, MAC, ether_type, build_ip(header, encode(message, header)))


def echo_frame(family: Family, kind: int) -> bytes:
    message = bytes((kind, 0)) + bytes(14)
    if family is Family.V4:
        packet = build_ipv4(IpHeader(VIP, R1), message, protocol=1)
        return build_ethernet(MAC, MAC, ETHER_TYPE_IPV4, packet)
    packet = build_ipv6(IpHeader(VIP_V6, R1_V6), message, protocol=58)
    return build_ethernet(MAC, MAC, ETHER_TYPE_IPV6, packet)


def udp_frame() -> bytes:
    return build_ethernet(MAC, MAC, ETHER_TYPE_IPV4, build_ipv4(IpHeader(VIP, R1), bytes(16), protocol=17))


def passed(program: Sequence[Instruction], frames: Sequence[bytes]) -> list[bytes]:
    """What the kernel lets through to a socket with this filter; filters are alike for all kinds of sockets."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *instruction) for instruction in program))
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        attach = struct.pack("@HP", len(program), ctypes.addressof(code))
        receiver.setsockopt(socket.SOL_SOCKET, 26, attach)
        receiver.setblocking(False)
        seen = []
        for frame in frames:
            sender.send(frame)
            try:
                seen.append(receiver.recv(9000))
            except BlockingIOError:
                continue
    return seen


def test_switch_filter() -> None:
    """Advertisements, ARP and Neighbor Advertisements pass, the client's own traffic does not."""
    wanted = [
        advertisement_frame(Family.V4),
        advertisement_frame(Family.V6),
        gratuitous_arp(VIP, MAC),
        unsolicited_na(VIP_V6, MAC),
    ]
    others = [echo_frame(Family.V4, 0), echo_frame(Family.V6, 129), udp_frame()]
    assert passed(capture._FILTER, [*others, *wanted]) == wanted


@pytest.mark.parametrize(("family", "request_", "reply"), [(Family.V4, 8, 0), (Family.V6, 128, 129)])
def test_client_filter(family: Family, request_: int, reply: int) -> None:
    """Only echo replies pass."""
    wanted = [echo_frame(family, reply)]
    others = [echo_frame(family, request_), udp_frame(), advertisement_frame(family), gratuitous_arp(VIP, MAC)]
    assert passed(probe._filter(family), [*others, *wanted]) == wanted


@pytest.mark.parametrize("family", list(Family))
def test_advertisement(family: Family) -> None:
    """It is attributed to the cable it came by."""
    seen = read(Frame(7, "r1", MAC, advertisement_frame(family)))
    assert isinstance(seen, Sent)
    assert (seen.at_us, seen.router, seen.header.ttl) == (7, "r1", 255)
    assert (seen.advertisement.priority, seen.advertisement.max_advertise_interval_us) == (150, 100_000)


def test_announcements() -> None:
    assert read(Frame(7, "r2", MAC, gratuitous_arp(VIP, MAC))) == Announced(7, "r2", VIP)
    assert read(Frame(7, "r2", MAC, unsolicited_na(VIP_V6, MAC))) == Announced(7, "r2", VIP_V6)


def test_questions_are_no_announcements() -> None:
    """An ordinary ARP request, and a Neighbor Advertisement that was asked for, announce nothing."""
    request = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, CLIENT_MAC, R1.packed, bytes(6), VIP.packed)
    assert read(Frame(7, "client", CLIENT_MAC, build_ethernet(MAC, CLIENT_MAC, ETHER_TYPE_ARP, request))) is None
    answer = bytearray(unsolicited_na(VIP_V6, MAC))
    answer[14 + 40 + 4] |= 0x40
    assert read(Frame(7, "r1", MAC, bytes(answer))) is None


def test_broken_advertisement() -> None:
    """One wrong octet is the peer's fault and said so."""
    frame = bytearray(advertisement_frame(Family.V4))
    frame[-1] ^= 1
    with pytest.raises(PacketError):
        read(Frame(7, "r1", MAC, bytes(frame)))


def test_outage() -> None:
    """From the last answered probe to the next, by the times they were sent; nothing lost is no outage."""
    before, after = probe.Answer(10, 1000, 1100, b"a"), probe.Answer(12, 5000, 5100, b"b")
    outage = probe.Outage(before, after)
    assert (outage.lost, outage.length_us) == (1, 4000)
    outage = probe.Outage(before, probe.Answer(11, 3000, 3100, b"b"))
    assert (outage.lost, outage.length_us) == (0, 0)
