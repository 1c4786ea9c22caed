"""IP and Ethernet headers around a VRRP message, built and stripped."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from pyvrrp.errors import DropReason, PacketError, UsageError
from pyvrrp.protocol.checksum import checksum
from pyvrrp.protocol.constants import IP_PROTOCOL, TRAFFIC_CLASS, TTL, Family, IPAddress

ETHER_TYPE_IPV4: Final = 0x0800  # RFC 894
ETHER_TYPE_ARP: Final = 0x0806  # RFC 826
ETHER_TYPE_IPV6: Final = 0x86DD  # RFC 2464 3
HARDWARE_ADDRESS_LENGTH: Final = 6
HARDWARE_BROADCAST: Final = b"\xff" * HARDWARE_ADDRESS_LENGTH

_ETHERNET: Final = struct.Struct("!6s6sH")
_IPV4: Final = struct.Struct("!BBHHHBBHII")  # RFC 791 3.1
_IPV6: Final = struct.Struct("!IHBB16s16s")  # RFC 8200 3
_FRAGMENT: Final = 0x3FFF  # More Fragments and the offset; RFC 791 3.1
_LENGTH_MAX: Final = 0xFFFF
# Next Header values that lead to another header of (next, length in 8 octets beyond the first 8); RFC 8200 4.
_IPV6_OPTIONS: Final = frozenset({0, 43, 60})


@dataclass(frozen=True, slots=True)
class IpHeader:
    """
    What the receive checks need of an IP header.

    Attributes:
        source: Sender's address.
        destination: The group, or our own address in unicast mode.
        ttl: TTL or Hop Limit as received, 0-255.
    """

    source: IPAddress
    destination: IPAddress
    ttl: int = TTL

    @property
    def family(self) -> Family:
        """Address family of the packet."""
        return Family(self.source.version)


class EthernetFrame(NamedTuple):
    """An Ethernet frame taken apart; the payload keeps its padding, if any."""

    destination: bytes
    source: bytes
    ether_type: int
    payload: bytes


def build_ipv4(
    header: IpHeader,
    payload: bytes,
    *,
    identification: int = 0,
    protocol: int = IP_PROTOCOL,
    traffic_class: int = TRAFFIC_CLASS,
) -> bytes:
    """
    Put an IPv4 header of 20 octets before *payload*, DF clear, its checksum filled in.

    Args:
        header: Source, destination and TTL.
        payload: What follows the header.
        identification: Identification field, 0-65535. Linux fills in its own where it is zero (raw(7)).
        protocol: Protocol number of the payload.
        traffic_class: The octet once called Type of Service.

    Raises:
        UsageError: A field is out of range, or an address is not IPv4.

    Source:
        RFC 791 3.1; RFC 9568 5.1.1.
    """
    if header.source.version != 4 or header.destination.version != 4:
        raise UsageError(f"an IPv4 header cannot hold {header.source} and {header.destination}")
    if len(payload) > _LENGTH_MAX - _IPV4.size:
        raise UsageError(f"{len(payload)} octets do not fit in an IPv4 packet")
    try:
        octets = _IPV4.pack(
            0x45,
            traffic_class,
            _IPV4.size + len(payload),
            identification,
            0,
            header.ttl,
            protocol,
            0,
            int(header.source),
            int(header.destination),
        )
    except struct.error as error:
        raise UsageError(f"a field of the IPv4 header is out of range: {error}") from None
    return octets[:10] + checksum(octets).to_bytes(2, "big") + octets[12:] + payload


def strip_ipv4(packet: bytes, *, protocol: int = IP_PROTOCOL) -> tuple[IpHeader, bytes]:
    """
    Take the IPv4 header off a packet as a raw socket or a capture gives it.

    Options are stepped over by IHL, link padding is cut by the total length (RX-PAD-01, -02). The header checksum is
    not looked at: the kernel drops such packets before a raw socket sees them.

    Args:
        packet: From the IPv4 header on.
        protocol: The protocol number that is asked for.

    Returns:
        The header and what it carries.

    Raises:
        PacketError: MALFORMED_IP: the header contradicts itself or the packet, it is a fragment, or carries another
            protocol.

    Source:
        RFC 791 3.1.
    """
    if len(packet) < _IPV4.size:
        raise PacketError(DropReason.MALFORMED_IP, f"{len(packet)} octets are no IPv4 header")
    version_ihl, _, total, _, fragment, ttl, carried, _, source, destination = _IPV4.unpack_from(packet)
    start = (version_ihl & 0xF) * 4
    if version_ihl >> 4 != 4 or not _IPV4.size <= start <= total <= len(packet):
        raise PacketError(
            DropReason.MALFORMED_IP,
            f"IP version {version_ihl >> 4}, header of {start} octets, total length {total} in {len(packet)} octets",
        )
    if fragment & _FRAGMENT:
        raise PacketError(DropReason.MALFORMED_IP, "a fragment")
    if carried != protocol:
        raise PacketError(DropReason.MALFORMED_IP, f"protocol {carried}, not {protocol}")
    return IpHeader(IPv4Address(source), IPv4Address(destination), ttl), packet[start:total]


def build_ipv6(
    header: IpHeader, payload: bytes, *, protocol: int = IP_PROTOCOL, traffic_class: int = TRAFFIC_CLASS
) -> bytes:
    """
    Put an IPv6 header before *payload*; the kernel does this for raw sockets, so it serves announcements and tests.

    Args:
        header: Source, destination and Hop Limit.
        payload: What follows the header.
        protocol: Next Header.
        traffic_class: Traffic Class octet.

    Raises:
        UsageError: A field is out of range, or an address is not IPv6.

    Source:
        RFC 8200 3; RFC 9568 5.1.2.
    """
    if header.source.version != 6 or header.destination.version != 6:
        raise UsageError(f"an IPv6 header cannot hold {header.source} and {header.destination}")
    if len(payload) > _LENGTH_MAX:
        raise UsageError(f"{len(payload)} octets do not fit in an IPv6 packet")
    if not 0 <= traffic_class <= 255:
        raise UsageError(f"traffic class {traffic_class} is not in 0-255")
    try:
        octets = _IPV6.pack(
            6 << 28 | traffic_class << 20,
            len(payload),
            protocol,
            header.ttl,
            header.source.packed,
            header.destination.packed,
        )
    except struct.error as error:
        raise UsageError(f"a field of the IPv6 header is out of range: {error}") from None
    return octets + payload


def strip_ipv6(packet: bytes, *, protocol: int = IP_PROTOCOL) -> tuple[IpHeader, bytes]:
    """
    Take the IPv6 header and its options off a packet.

    Args:
        packet: From the IPv6 header on.
        protocol: The protocol number that is asked for.

    Returns:
        The header and what it carries; link padding is cut by the payload length (RX-PAD-01).

    Raises:
        PacketError: MALFORMED_IP: the header contradicts the packet, or it carries another protocol (a fragment does).

    Source:
        RFC 8200 3, 4.
    """
    if len(packet) < _IPV6.size:
        raise PacketError(DropReason.MALFORMED_IP, f"{len(packet)} octets are no IPv6 header")
    first, length, carried, hop_limit, source, destination = _IPV6.unpack_from(packet)
    start, end = _IPV6.size, _IPV6.size + length
    if first >> 28 != 6 or end > len(packet):
        raise PacketError(
            DropReason.MALFORMED_IP, f"IP version {first >> 28}, payload length {length} in {len(packet)} octets"
        )
    while carried in _IPV6_OPTIONS and start + 8 <= end:  # each turn moves on by at least 8 octets
        carried, start = packet[start], start + 8 + packet[start + 1] * 8
    if carried != protocol or start > end:
        raise PacketError(DropReason.MALFORMED_IP, f"next header {carried} at octet {start} of {end}, not {protocol}")
    return IpHeader(IPv6Address(source), IPv6Address(destination), hop_limit), packet[start:end]


def build_ip(header: IpHeader, payload: bytes, *, identification: int = 0) -> bytes:
    """Put the IP header of the addresses' family before a VRRP message; *identification* is IPv4's alone."""
    if header.source.version == 4:
        return build_ipv4(header, payload, identification=identification)
    return build_ipv6(header, payload)


def strip_ip(packet: bytes) -> tuple[IpHeader, bytes]:
    """
    Take the IP header off a VRRP message, whichever version its first octet names.

    Raises:
        PacketError: MALFORMED_IP, as `strip_ipv4` and `strip_ipv6` say.
    """
    return strip_ipv6(packet) if packet[:1] and packet[0] >> 4 == 6 else strip_ipv4(packet)


def build_ethernet(destination: bytes, source: bytes, ether_type: int, payload: bytes) -> bytes:
    """
    Put an Ethernet header before *payload*; the padding of short frames is the link's affair.

    Args:
        destination: Six octets.
        source: Six octets.
        ether_type: 0x0600-0xffff.
        payload: What the frame carries.

    Raises:
        UsageError: An address is not six octets, or the type is a length.

    Source:
        RFC 894; RFC 2464 3.
    """
    check_hardware_address(destination)
    check_hardware_address(source)
    if not 0x0600 <= ether_type <= 0xFFFF:
        raise UsageError(f"{ether_type:#06x} is no Ethernet type")
    return _ETHERNET.pack(destination, source, ether_type) + payload


def strip_ethernet(frame: bytes) -> EthernetFrame:
    """
    Take the Ethernet header off; a VLAN tag shows as its own type.

    Raises:
        PacketError: MALFORMED_IP: fewer than 14 octets.
    """
    if len(frame) < _ETHERNET.size:
        raise PacketError(DropReason.MALFORMED_IP, f"{len(frame)} octets are no Ethernet frame")
    destination, source, ether_type = _ETHERNET.unpack_from(frame)
    return EthernetFrame(destination, source, ether_type, frame[_ETHERNET.size :])


def multicast_hardware_address(group: IPAddress) -> bytes:
    """
    The Ethernet address that a multicast group is sent to (TX-08).

    Raises:
        UsageError: *group* is no multicast address.

    Source:
        RFC 1112 6.4 (IPv4: the low 23 bits); RFC 2464 7 (IPv6: the low 32 bits).
    """
    if not group.is_multicast:
        raise UsageError(f"{group} is no multicast address")
    if group.version == 4:
        return b"\x01\x00\x5e" + (int(group) & 0x7FFFFF).to_bytes(3, "big")
    return b"\x33\x33" + group.packed[-4:]


def check_hardware_address(hardware_address: bytes) -> None:
    """
    Refuse what is no Ethernet address.

    Raises:
        UsageError: It is not six octets.
    """
    if len(hardware_address) != HARDWARE_ADDRESS_LENGTH:
        raise UsageError(f"an Ethernet address has 6 octets, not {len(hardware_address)}")
