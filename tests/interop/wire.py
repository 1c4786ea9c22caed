"""
VRRP, ARP and Neighbor Advertisements as they are on the wire, read and built without any help of pyvrrp's own codec.

A mistake in `pyvrrp.protocol` must not be able to excuse itself here.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address

VRRP = 112
ICMPV6 = 58
NEIGHBOR_ADVERTISEMENT = 136
ETHERNET = struct.Struct("!6s6sH")
ARP = struct.Struct("!HHBBH6s4s6s4s")
ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x86DD
GROUP_MAC = bytes.fromhex("01005e000012")


@dataclass(frozen=True, slots=True)
class Advertisement:
    """
    A VRRP message as captured.

    Attributes:
        at: When the kernel had it, seconds of the wall clock.
        sender: Name of the router, told by the switch port that it came in on and not by what it says itself.
        interval_s: Advertisement interval as it stands in the message.
        password: Authentication data of version 2, trailing zeros stripped.
        checksum_ok: The sum is right, in version 3 with the pseudo-header: what keepalived 2.2.7 sends and expects.
    """

    at: float
    sender: str
    source: IPAddress
    destination: IPAddress
    ttl: int
    version: int
    vrid: int
    priority: int
    interval_s: float
    addresses: tuple[IPAddress, ...]
    auth_type: int
    password: bytes
    checksum_ok: bool


@dataclass(frozen=True, slots=True)
class Announcement:
    """A gratuitous ARP or an unsolicited Neighbor Advertisement: *address* is now at *hardware_address*."""

    at: float
    sender: str
    address: IPAddress
    hardware_address: str


def checksum(octets: bytes) -> int:
    """One's complement sum of RFC 1071; 0 over octets that contain their own right checksum."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo_header(source: IPAddress, destination: IPAddress, length: int, protocol: int = VRRP) -> bytes:
    """What stands before a message when its checksum is taken (RFC 9568 5.2.8)."""
    form = "!BBH" if source.version == 4 else "!IxxxB"
    numbers = (0, protocol, length) if source.version == 4 else (length, protocol)
    return source.packed + destination.packed + struct.pack(form, *numbers)


def colons(hardware_address: bytes) -> str:
    """A hardware address as people write it."""
    return hardware_address.hex(":")


def read(frame: bytes, at: float, sender: str) -> Advertisement | Announcement | None:
    """Read an Ethernet frame; None if it is neither of the things we look for, or too broken to be one."""
    if len(frame) < ETHERNET.size:
        return None
    kind = ETHERNET.unpack_from(frame)[2]
    rest = frame[ETHERNET.size :]
    if kind == ETHERTYPE_ARP:
        return _read_arp(rest, at, sender)
    source: IPAddress
    destination: IPAddress
    if kind == ETHERTYPE_IPV4 and len(rest) >= 20:
        head, total, ttl, protocol = (rest[0] & 15) * 4, int.from_bytes(rest[2:4], "big"), rest[8], rest[9]
        source, destination = IPv4Address(rest[12:16]), IPv4Address(rest[16:20])
    elif kind == ETHERTYPE_IPV6 and len(rest) >= 40:
        head, total, protocol, ttl = 40, 40 + int.from_bytes(rest[4:6], "big"), rest[6], rest[7]
        source, destination = IPv6Address(rest[8:24]), IPv6Address(rest[24:40])
    else:
        return None
    payload = rest[head:total]  # what is behind is padding of a short frame
    if protocol == VRRP:
        return _read_vrrp(payload, at, sender, source=source, destination=destination, ttl=ttl)
    if protocol == ICMPV6:
        return _read_neighbor_advertisement(payload, at, sender)
    return None


def _read_arp(octets: bytes, at: float, sender: str) -> Announcement | None:
    if len(octets) < ARP.size:
        return None
    _, _, _, _, _, hardware, address, _, target = ARP.unpack_from(octets)
    return Announcement(at, sender, IPv4Address(address), colons(hardware)) if address == target else None


def _read_neighbor_advertisement(octets: bytes, at: float, sender: str) -> Announcement | None:
    # 24 octets and the option Target Link-Layer Address; the Solicited flag marks the answer to a question.
    if len(octets) < 32 or octets[0] != NEIGHBOR_ADVERTISEMENT or octets[4] & 0x40 or octets[24:26] != b"\2\1":
        return None
    return Announcement(at, sender, IPv6Address(octets[8:24]), colons(octets[26:32]))


def _read_vrrp(
    octets: bytes, at: float, sender: str, *, source: IPAddress, destination: IPAddress, ttl: int
) -> Advertisement | None:
    if len(octets) < 8:
        return None
    version, count = octets[0] >> 4, octets[3]
    size, address = (4, IPv4Address) if source.version == 4 else (16, IPv6Address)
    end = 8 + size * count
    summed = octets if version == 2 else pseudo_header(source, destination, len(octets)) + octets
    return Advertisement(
        at=at,
        sender=sender,
        source=source,
        destination=destination,
        ttl=ttl,
        version=version,
        vrid=octets[1],
        priority=octets[2],
        interval_s=float(octets[5]) if version == 2 else (int.from_bytes(octets[4:6], "big") & 0xFFF) / 100,
        addresses=tuple(address(octets[start : start + size]) for start in range(8, min(end, len(octets)), size)),
        auth_type=octets[4] if version == 2 else 0,
        password=octets[end:].rstrip(b"\0"),
        checksum_ok=checksum(summed) == 0,
    )


def vrrp_v2(vrid: int, priority: int, vip: IPv4Address, *, version: int = 2, wrong_checksum: bool = False) -> bytes:
    """A version 2 message without authentication, one address, one second; its checksum right or one off."""
    head = struct.pack("!BBBBBB", version << 4 | 1, vrid, priority, 1, 0, 1)
    tail = vip.packed + bytes(8)
    total = checksum(head + b"\0\0" + tail)
    return head + struct.pack("!H", total ^ 1 if wrong_checksum else total) + tail


def ipv4_frame(hardware_source: bytes, source: IPv4Address, payload: bytes, *, ttl: int = 255) -> bytes:
    """A multicast frame with a VRRP message in it."""
    group = socket.inet_aton("224.0.0.18")
    head = struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(payload), 1, 0, ttl, VRRP, 0) + source.packed + group
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return ETHERNET.pack(GROUP_MAC, hardware_source, ETHERTYPE_IPV4) + head + payload
