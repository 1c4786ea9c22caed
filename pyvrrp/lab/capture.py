"""
What goes over the lab's switch: advertisements and announcements, each with the cable it came in by.

A cable tells who sent a frame even where a MAC address does not. Times are the kernel's, of CLOCK_REALTIME: it stamps
received packets with no other clock.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from pyvrrp.errors import KernelError, PacketError
from pyvrrp.protocol.advertisement import Advertisement, decode
from pyvrrp.protocol.constants import IP_PROTOCOL, IPAddress
from pyvrrp.protocol.headers import (
    ETHER_TYPE_ARP,
    ETHER_TYPE_IPV4,
    ETHER_TYPE_IPV6,
    IpHeader,
    strip_ethernet,
    strip_ip,
    strip_ipv6,
)
from pyvrrp.protocol.neighbours import ICMPV6

Instruction: TypeAlias = tuple[int, int, int, int]

# linux/bpf_common.h: classes, sizes and modes put together
LOAD_OCTET: Final = 0x30
LOAD_HALF: Final = 0x28
JUMP_IF_EQUAL: Final = 0x15
RETURN: Final = 0x06
WHOLE: Final = 0xFFFF

# Octets of an Ethernet frame; IP options, which no lab daemon sends, would move ICMP.
AT_ETHER_TYPE: Final = 12
AT_PROTOCOL_V4: Final = 23
AT_NEXT_HEADER: Final = 20
AT_ICMP_V4: Final = 34
AT_ICMP_V6: Final = 54
NEIGHBOR_ADVERTISEMENT: Final = 136

# Jumps count the instructions left out: to the end but one is a yes, to the end a no.
_FILTER: Final[Sequence[Instruction]] = (
    (LOAD_HALF, 0, 0, AT_ETHER_TYPE),
    (JUMP_IF_EQUAL, 9, 0, ETHER_TYPE_ARP),
    (JUMP_IF_EQUAL, 0, 2, ETHER_TYPE_IPV4),
    (LOAD_OCTET, 0, 0, AT_PROTOCOL_V4),
    (JUMP_IF_EQUAL, 6, 7, IP_PROTOCOL),
    (JUMP_IF_EQUAL, 0, 6, ETHER_TYPE_IPV6),
    (LOAD_OCTET, 0, 0, AT_NEXT_HEADER),
    (JUMP_IF_EQUAL, 3, 0, IP_PROTOCOL),
    (JUMP_IF_EQUAL, 0, 3, ICMPV6),
    (LOAD_OCTET, 0, 0, AT_ICMP_V6),
    (JUMP_IF_EQUAL, 0, 1, NEIGHBOR_ADVERTISEMENT),
    (RETURN, 0, 0, WHOLE),
    (RETURN, 0, 0, 0),
)

_ETH_P_ALL: Final = 3
_PACKET_OUTGOING: Final = 4
_SO_ATTACH_FILTER: Final = 26
_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@ll")
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826
_FRAME: Final = 9216


@dataclass(frozen=True, slots=True)
class Frame:
    """A received frame: when, by which interface, from which MAC address."""

    at_us: int
    interface: str
    source: bytes
    octets: bytes


class Tap:
    """A packet socket that gives what passes a classic BPF program, with the kernel's time stamps."""

    def __init__(self, program: Sequence[Instruction], interface: str = "") -> None:
        """
        Start to listen.

        Args:
            program: Classic BPF over the Ethernet frame.
            interface: Where to listen; empty is on all of this network namespace.

        Raises:
            KernelError: The kernel gives no packet socket.
        """
        packed = b"".join(struct.pack("@HBBI", *instruction) for instruction in program)
        code = ctypes.create_string_buffer(packed, len(packed))
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            try:
                self._socket.setblocking(False)
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                self._socket.setsockopt(
                    socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code))
                )
                if interface:
                    self._socket.bind((interface, _ETH_P_ALL))
                # What slipped in before the filter was there.
                with contextlib.suppress(BlockingIOError):
                    while self._socket.recv(1):
                        pass
            except OSError:
                self._socket.close()
                raise
        except OSError as error:
            raise KernelError("capture on", interface or "the switch", error.errno or errno.EIO) from None

    def fileno(self) -> int:
        """Becomes readable when there are frames."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop to listen."""
        self._socket.close()

    def receive(self) -> Iterator[Frame]:
        """All frames that came in and wait to be read; those this network namespace sends are left out."""
        while True:
            try:
                octets, ancillary, _, address = self._socket.recvmsg(_FRAME, socket.CMSG_SPACE(_TIMESPEC.size))
            except BlockingIOError:
                return
            interface, _, direction, _, source = address
            if direction == _PACKET_OUTGOING:
                continue
            seconds, nanoseconds = next(
                _TIMESPEC.unpack(data) for _, kind, data in ancillary if kind == _SO_TIMESTAMPNS
            )
            yield Frame(seconds * 1_000_000 + nanoseconds // 1000, interface, source, octets)


@dataclass(frozen=True, slots=True)
class Sent:
    """An advertisement on the switch; *router* is the cable it came by."""

    at_us: int
    router: str
    header: IpHeader
    advertisement: Advertisement


@dataclass(frozen=True, slots=True)
class Announced:
    """A gratuitous ARP or unsolicited Neighbor Advertisement: *router* says that it has *address*."""

    at_us: int
    router: str
    address: IPAddress


class Capture:
    """All advertisements and announcements on the switch, in the order of its kernel."""

    def __init__(self) -> None:
        self._tap = Tap(_FILTER)
        self.malformed = 0

    def fileno(self) -> int:
        """Becomes readable when there is something to receive."""
        return self._tap.fileno()

    def close(self) -> None:
        """Stop to listen."""
        self._tap.close()

    def receive(self, routers: Sequence[str]) -> Iterator[Sent | Announced]:
        """What came in since the last call by the cables of *routers*; malformed packets are counted."""
        for frame in self._tap.receive():
            if frame.interface not in routers:
                continue  # the switch's own port sees every multicast a second time
            try:
                seen = read(frame)
            except PacketError:
                self.malformed += 1
                continue
            if seen is not None:
                yield seen


def read(frame: Frame) -> Sent | Announced | None:
    """
    Read a frame.

    Returns:
        What it says, None if it is neither an advertisement nor an announcement.

    Raises:
        PacketError: It breaks a rule of the protocol.
    """
    ethernet = strip_ethernet(frame.octets)
    if ethernet.ether_type == ETHER_TYPE_ARP:
        return _announced_v4(frame, ethernet.payload)
    if ethernet.ether_type == ETHER_TYPE_IPV6 and ethernet.payload[6:7] == bytes((ICMPV6,)):
        _, message = strip_ipv6(ethernet.payload, protocol=ICMPV6)
        solicited = message[4:5] and message[4] & 0x40
        if len(message) < 24 or solicited:
            return None
        return Announced(frame.at_us, frame.interface, IPv6Address(message[8:24]))
    header, payload = strip_ip(ethernet.payload)
    return Sent(frame.at_us, frame.interface, header, decode(payload, header))


def _announced_v4(frame: Frame, payload: bytes) -> Announced | None:
    if len(payload) < _ARP.size:
        return None
    _, _, _, _, _, _, sender, _, target = _ARP.unpack_from(payload)
    return Announced(frame.at_us, frame.interface, IPv4Address(sender)) if sender == target else None
