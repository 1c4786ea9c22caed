"""
Announcements of a virtual address, as whole Ethernet frames: gratuitous ARP and unsolicited Neighbor Advertisement.

Neighbours that hold an entry for the address update it from these; no entry is created by them.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from pyvrrp.errors import UsageError
from pyvrrp.protocol.checksum import complement, pseudo_sum, word_sum
from pyvrrp.protocol.constants import TTL, VRID_MAX, VRID_MIN, Family, IPAddress
from pyvrrp.protocol.headers import (
    ETHER_TYPE_ARP,
    ETHER_TYPE_IPV4,
    ETHER_TYPE_IPV6,
    HARDWARE_BROADCAST,
    IpHeader,
    build_ethernet,
    build_ipv6,
    check_hardware_address,
    multicast_hardware_address,
)

ALL_NODES: Final = IPv6Address("ff02::1")  # RFC 4291 2.7.1
ALL_NODES_HARDWARE_ADDRESS: Final = multicast_hardware_address(ALL_NODES)
ICMPV6: Final = 58  # RFC 4443 1
VMAC_PREFIX_V4: Final = bytes.fromhex("00005e0001")  # RFC 9568 7.3
VMAC_PREFIX_V6: Final = bytes.fromhex("00005e0002")  # RFC 9568 7.3

_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826
_ARP_ETHERNET: Final = 1
_ARP_REQUEST: Final = 1
_NA: Final = struct.Struct("!BBHI16sBB6s")  # RFC 4861 4.4, 4.6.1
_NA_TYPE: Final = 136
_NA_ROUTER: Final = 1 << 31
_NA_OVERRIDE: Final = 1 << 29
_TARGET_LINK_LAYER_ADDRESS: Final = 2
_BEST_EFFORT: Final = 0  # Neighbor Discovery carries no precedence


def vmac(vrid: int, family: Family) -> bytes:
    """
    The virtual router MAC address (MAC-01, MAC-02).

    Raises:
        UsageError: *vrid* is not in 1-255.

    Source:
        RFC 9568 7.3.
    """
    if not VRID_MIN <= vrid <= VRID_MAX:
        raise UsageError(f"VRID {vrid} is not in 1-255")
    return (VMAC_PREFIX_V4 if family is Family.V4 else VMAC_PREFIX_V6) + bytes((vrid,))


def gratuitous_arp(vip: IPAddress, hardware_address: bytes, *, target_is_sender: bool = False) -> bytes:
    """
    An ARP request for *vip* from *vip*, broadcast.

    Args:
        vip: The IPv4 address to announce.
        hardware_address: Where it now lives: the virtual router MAC or the interface's.
        target_is_sender: Put *hardware_address* in the target field, as RFC 9568 has it (ARP-06), instead of the
            broadcast address that keepalived sends. Receivers look at the sender fields only (ARP-12).

    Raises:
        UsageError: *vip* is not IPv4, or *hardware_address* is not six octets.

    Source:
        RFC 9568 6.4.1, 6.4.2; RFC 826.
    """
    if vip.version != 4:
        raise UsageError(f"gratuitous ARP is IPv4's, {vip} is not")
    check_hardware_address(hardware_address)
    target = hardware_address if target_is_sender else HARDWARE_BROADCAST
    arp = _ARP.pack(
        _ARP_ETHERNET, ETHER_TYPE_IPV4, 6, 4, _ARP_REQUEST, hardware_address, vip.packed, target, vip.packed
    )
    return build_ethernet(HARDWARE_BROADCAST, hardware_address, ETHER_TYPE_ARP, arp)


def unsolicited_na(vip: IPAddress, hardware_address: bytes, *, router: bool = True) -> bytes:
    """
    A Neighbor Advertisement for *vip* that nobody asked for, to all nodes: S clear, O set, target link-layer address.

    Args:
        vip: The IPv6 address to announce, and the packet's source.
        hardware_address: Where it now lives.
        router: The R flag. Clear it only where this machine forwards nothing: hosts drop such an address from their
            default routers (ND-12).

    Raises:
        UsageError: *vip* is not IPv6, or *hardware_address* is not six octets.

    Source:
        RFC 9568 6.4.1, 6.4.2; RFC 4861 4.4, 7.2.6.
    """
    if vip.version != 6:
        raise UsageError(f"Neighbor Advertisements are IPv6's, {vip} is not")
    check_hardware_address(hardware_address)
    flags = _NA_OVERRIDE | (_NA_ROUTER if router else 0)
    octets = _NA.pack(_NA_TYPE, 0, 0, flags, vip.packed, _TARGET_LINK_LAYER_ADDRESS, 1, hardware_address)
    total = word_sum(octets) + pseudo_sum(vip, ALL_NODES, len(octets), ICMPV6)
    message = octets[:2] + complement(total).to_bytes(2, "big") + octets[4:]
    packet = build_ipv6(IpHeader(vip, ALL_NODES, TTL), message, protocol=ICMPV6, traffic_class=_BEST_EFFORT)
    return build_ethernet(ALL_NODES_HARDWARE_ADDRESS, hardware_address, ETHER_TYPE_IPV6, packet)


def announcement(vip: IPAddress, hardware_address: bytes) -> bytes:
    """
    The frame that tells the neighbours of *vip* where it now lives, by its family.

    Raises:
        UsageError: *hardware_address* is not six octets.
    """
    if isinstance(vip, IPv4Address):
        return gratuitous_arp(vip, hardware_address)
    return unsolicited_na(vip, hardware_address)
