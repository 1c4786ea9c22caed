"""
The Internet checksum (RFC 1071) and the pseudo-headers that VRRPv3 and ICMPv6 put under it.

2**16 is 1 modulo 65535. So the one's complement sum of 16-bit words is the octets, read as one big number, modulo
65535; sums of parts may be added up, and an address counts as its own number without being cut into words.
"""

from __future__ import annotations

import enum
from typing import Final

from pyvrrp.protocol.constants import IP_PROTOCOL, IPAddress

MODULUS: Final = 0xFFFF


class ChecksumForm(enum.Flag):
    """
    Over what a checksum was made (RFC 9568 5.2.8, RFC 5798 5.2.8).

    In IPv4 a VRRPv3 sender may leave the pseudo-header out (RFC 9568) or put it in (RFC 5798 as keepalived and FRR
    read it). Both verify at once when the pseudo-header itself sums to zero: such a packet says nothing of its sender.
    """

    NONE = 0
    MESSAGE = 1
    PSEUDO = 2
    BOTH = MESSAGE | PSEUDO


def word_sum(octets: bytes) -> int:
    """
    The one's complement sum of 16-bit words, an odd last octet padded with zero.

    Returns:
        0 to 65534, where 0 stands for both zeros, 0x0000 and 0xffff.

    Source:
        RFC 1071 1, 2.
    """
    number = int.from_bytes(octets, "big")
    return (number << 8 if len(octets) & 1 else number) % MODULUS


def pseudo_sum(source: IPAddress, destination: IPAddress, length: int, protocol: int = IP_PROTOCOL) -> int:
    """
    The sum of the pseudo-header, not yet reduced; the IPv4 form and the IPv6 form add up to the same.

    Args:
        source: Source address of the IP header.
        destination: Destination address of the IP header.
        length: Octets of the message.
        protocol: Protocol number or Next Header.

    Source:
        RFC 8200 8.1 (IPv6); RFC 793 3.1 (the 12 octets of IPv4).
    """
    return int(source) + int(destination) + length + protocol


def complement(total: int) -> int:
    """
    The checksum field for a sum that was made with the field as zero.

    A sum of 0xffff gives 0x0000; its twin 0xffff is as good on the wire, but never ours.
    """
    return -total % MODULUS


def checksum(octets: bytes) -> int:
    """The RFC 1071 checksum of *octets*, whose own checksum field, if any, is zero; at least one octet is not."""
    return complement(word_sum(octets))


def message_checksum(
    version: int, message: bytes, source: IPAddress, destination: IPAddress, *, pseudo_header: bool = True
) -> int:
    """
    The checksum field of a VRRP message.

    Args:
        version: VRRP version, 2 or 3.
        message: The message with zero in its checksum field.
        source: Source address of the IP header.
        destination: Destination address of the IP header.
        pseudo_header: IPv4 VRRPv3 only: the form of RFC 5798. VRRPv2 never has a pseudo-header, IPv6 always.

    Source:
        RFC 9568 5.2.8; RFC 5798 5.2.8; RFC 3768 5.3.8.
    """
    total = word_sum(message)
    if version == 3 and (pseudo_header or source.version == 6):
        total += pseudo_sum(source, destination, len(message))
    return complement(total)


def verify(version: int, message: bytes, source: IPAddress, destination: IPAddress) -> ChecksumForm:
    """
    Which forms of checksum the message carries.

    The field is summed with the rest, not made anew and compared, so that 0x0000 and its twin 0xffff both hold.

    Args:
        version: VRRP version of the message, 2 or 3.
        message: The whole message, an even number of octets, not all of them zero.
        source: Source address of the IP header.
        destination: Destination address of the IP header.

    Returns:
        NONE if the checksum is wrong; VRRPv2 knows MESSAGE only, IPv6 knows PSEUDO only.

    Source:
        RFC 9568 5.2.8; RFC 5798 5.2.8; RFC 3768 5.3.8; RFC 1071 1.
    """
    total = int.from_bytes(message, "big") % MODULUS
    if version == 2:
        return ChecksumForm.NONE if total else ChecksumForm.MESSAGE
    with_pseudo_header = not (total + int(source) + int(destination) + len(message) + IP_PROTOCOL) % MODULUS
    if total or source.version == 6:
        return ChecksumForm.PSEUDO if with_pseudo_header else ChecksumForm.NONE
    return ChecksumForm.BOTH if with_pseudo_header else ChecksumForm.MESSAGE
