"""
Raw sockets for advertisements and a packet socket for announcements.

What is sent often is laid out once, in the form that sendmmsg(2) takes, so that all messages which are due leave in one
system call.
"""

from __future__ import annotations

import abc
import contextlib
import ctypes
import errno
import fcntl
import socket
import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address
from typing import Final

from pyvrrp.errors import DropReason, KernelError, LinkNotReady, PacketError
from pyvrrp.net.refusals import CAP_NET_RAW, refusal
from pyvrrp.net.system import Datagram, Link
from pyvrrp.protocol.constants import IP_PROTOCOL, TRAFFIC_CLASS, TTL, Family, IPAddress
from pyvrrp.protocol.headers import IpHeader, build_ipv4, strip_ipv4

# linux/in.h, asm-generic/socket.h; the socket module of 3.11 has none of these
_IP_MULTICAST_ALL: Final = 49
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33

# linux/sockios.h
_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFINDEX: Final = 0x8933

_TC_PRIO_CONTROL: Final = 7  # linux/pkt_sched.h: the first to leave a congested interface
_IFF_UP: Final = 0x1

_BUFFER: Final = 1 << 20  # a tick of 255 routers and their peers, each about 1 KiB in the kernel, several times over
_RECEIVE_V4: Final = 2048  # 255 addresses in a VRRPv3 message, options, trailer: 1,136 octets
_RECEIVE_V6: Final = 8192  # the same with 16 octets each: 4,116
_CACHE_BOUND: Final = 1024  # 255 virtual routers with four unicast peers each; beyond it the oldest is laid out again

_DRAIN_BOUND: Final = 1024  # more than a default receive buffer holds

_IFREQ_NAME: Final = 16
_IFREQ: Final = struct.Struct("@16si20x")
_IFREQ_FLAGS: Final = struct.Struct("@16sH22x")
_MREQN: Final = struct.Struct("=4s4xi")
_MREQ6: Final = struct.Struct("=16si")

# bits/socket.h in the machine's own layout
_IOVEC: Final = struct.Struct("@PN")
_MMSGHDR: Final = struct.Struct("@PIPNPNi0PI0P")
_CMSGHDR: Final = struct.Struct("@Nii")
_SOCKADDR_IN: Final = struct.Struct("=H2x4s8x")
_SOCKADDR_IN6: Final = struct.Struct("=H6x16sI")
_SOCKADDR_LL: Final = struct.Struct("=H2siHBB8x")
_PKTINFO6: Final = struct.Struct("=16sI")
_INT: Final = struct.Struct("@i")

_ANCILLARY_V6: Final = socket.CMSG_SPACE(_PKTINFO6.size) + socket.CMSG_SPACE(_INT.size)

_sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_sendmmsg.restype = ctypes.c_int


class Outgoing:
    """One message as sendmmsg(2) wants it: the octets and their address stay in place, *record* points at them."""

    __slots__ = ("_memory", "record")

    def __init__(self, octets: bytes, address: bytes, ancillary: bytes = b"") -> None:
        # Control messages are read in place by the kernel and must be aligned, so they come first.
        address_at = len(ancillary)
        vector_at = address_at + (len(address) + 7 & ~7)
        octets_at = vector_at + _IOVEC.size
        self._memory = ctypes.create_string_buffer(octets_at + len(octets))
        base = ctypes.addressof(self._memory)
        self._memory.raw = b"".join(
            (
                ancillary,
                address.ljust(vector_at - address_at, b"\0"),
                _IOVEC.pack(base + octets_at, len(octets)),
                octets,
            )
        )
        self.record = _MMSGHDR.pack(
            base + address_at, len(address), base + vector_at, 1, base if ancillary else 0, len(ancillary), 0, 0
        )


def send_all(descriptor: int, messages: Sequence[Outgoing]) -> tuple[int, int] | None:
    """
    Send messages in order, all of them whatever happens to one.

    Returns:
        Position and errno of the first that failed, or None.
    """
    failed: tuple[int, int] | None = None
    # A copy, because the kernel writes into it how much it sent.
    records = ctypes.create_string_buffer(b"".join([message.record for message in messages]))
    base = ctypes.addressof(records)
    at = 0
    while at < len(messages):
        sent = _sendmmsg(descriptor, base + at * _MMSGHDR.size, len(messages) - at, 0)
        if sent < 0:
            number = ctypes.get_errno()
            if number == errno.EINTR:
                continue
            failed = failed or (at, number)
            sent = 1  # the one that failed
        at += sent
    return failed


def _control(kind: int, data: bytes) -> bytes:
    head = _CMSGHDR.pack(socket.CMSG_LEN(len(data)), socket.IPPROTO_IPV6, kind)
    return (head + data).ljust(socket.CMSG_SPACE(len(data)), b"\0")


def _enlarge(sock: socket.socket) -> None:
    # Without CAP_NET_ADMIN the kernel's limits hold, which is no reason to stop.
    for force, plain in ((_SO_SNDBUFFORCE, socket.SO_SNDBUF), (_SO_RCVBUFFORCE, socket.SO_RCVBUF)):
        try:
            sock.setsockopt(socket.SOL_SOCKET, force, _BUFFER)
        except OSError:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, plain, _BUFFER)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _TC_PRIO_CONTROL)


def _bind(sock: socket.socket, link: Link) -> None:
    """Bind to the link that *link* means: a name may have passed to another since, and that one may be down."""
    name = link.name.encode(errors="surrogateescape")
    if not 0 < len(name) < _IFREQ_NAME:
        raise OSError(errno.ENODEV, "no interface can have that name")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name + b"\0")
    index = _IFREQ.unpack(fcntl.ioctl(sock, _SIOCGIFINDEX, _IFREQ.pack(name, 0)))[1]
    if index != link.index:
        raise OSError(errno.ENODEV, "another interface has that name now")
    flags = _IFREQ_FLAGS.unpack(fcntl.ioctl(sock, _SIOCGIFFLAGS, _IFREQ_FLAGS.pack(name, 0)))[1]
    if not flags & _IFF_UP:
        raise OSError(errno.ENETDOWN, "the interface is down")


class RawSocket(abc.ABC):
    """What the sockets of the two families share."""

    _family: socket.AddressFamily

    def __init__(self, link: Link, group: IPAddress | None) -> None:
        """
        Open the socket in the network namespace of the calling thread.

        Args:
            link: Interface it is bound to.
            group: Multicast group to join, or None for unicast.

        Raises:
            LinkNotReady: The interface is gone or down.
            NotPermitted: CAP_NET_RAW is missing.
        """
        self._subject = f"raw socket for protocol {IP_PROTOCOL} on {link.name}"
        self._index = link.index
        # By identity, which is cheaper than a hash of all fields; the entry keeps its datagram, so no id comes twice.
        self._prepared: dict[int, tuple[Datagram, Outgoing]] = {}
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            self._socket = socket.socket(self._family, kind, IP_PROTOCOL)
        except OSError as error:
            raise refusal("open", self._subject, error.errno, needs=CAP_NET_RAW) from error
        try:
            # First of all, lest the socket collects what other interfaces hear.
            _bind(self._socket, link)
            self._drain()
            _enlarge(self._socket)
            self._configure(group)
        except OSError as error:
            self._socket.close()
            raise refusal("open", self._subject, error.errno, needs=CAP_NET_RAW) from error

    @abc.abstractmethod
    def _configure(self, group: IPAddress | None) -> None:
        """Set the options of the family and join the group; OSError as it comes."""

    @abc.abstractmethod
    def _prepare(self, datagram: Datagram) -> Outgoing:
        """Lay out a datagram for sending."""

    def _drain(self) -> None:
        # What came between socket(2) and the binding may be of another interface.
        with contextlib.suppress(BlockingIOError):
            for _ in range(_DRAIN_BOUND):
                self._socket.recv(1)

    def fileno(self) -> int:
        """File descriptor to poll, -1 once closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Leave the group and give the socket back; closing twice is harmless."""
        self._socket.close()
        self._prepared.clear()

    def send(self, datagrams: Sequence[Datagram]) -> None:
        """
        Send packets in order, with source, destination and TTL of each header, in one system call.

        A datagram is laid out when it is first seen: send the same object again, not an equal one.

        Raises:
            KernelError: The first failure; those after it were tried all the same.
        """
        prepared = self._prepared
        messages = []
        for datagram in datagrams:
            entry = prepared.get(id(datagram))
            if entry is None:
                entry = (datagram, self._prepare(datagram))
                if len(prepared) >= _CACHE_BOUND:
                    del prepared[next(iter(prepared))]
                prepared[id(datagram)] = entry
            messages.append(entry[1])
        failed = send_all(self._socket.fileno(), messages)
        if failed is not None:
            at, number = failed
            raise self._unsent(datagrams[at].header, number)

    def _unsent(self, header: IpHeader, number: int) -> KernelError:
        return refusal("send to", f"{header.destination} by {self._subject}", number)

    def _refused(self, error: OSError) -> KernelError:
        return refusal("receive from", self._subject, error.errno)


class RawSocketV4(RawSocket):
    """IPv4: header included both ways."""

    _family = socket.AF_INET

    def _configure(self, group: IPAddress | None) -> None:
        sock = self._socket
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        # Else the socket hears every group that any program on this host has joined.
        sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _MREQN.pack(bytes(4), self._index))
        if group is not None:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _MREQN.pack(group.packed, self._index))

    def _prepare(self, datagram: Datagram) -> Outgoing:
        address = _SOCKADDR_IN.pack(socket.AF_INET, datagram.header.destination.packed)
        return Outgoing(build_ipv4(datagram.header, datagram.payload), address)

    def receive(self) -> Datagram | None:
        """
        Read the next packet, whatever its destination.

        Raises:
            PacketError: The IP header cannot be read, or the packet is longer than any advertisement.
            KernelError: The socket is broken.
        """
        try:
            packet = self._socket.recv(_RECEIVE_V4)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._refused(error) from error
        header, payload = strip_ipv4(packet)
        return Datagram(header, payload)


class RawSocketV6(RawSocket):
    """
    IPv6: the kernel keeps the header, and tells of it and is told in ancillary data.

    IPV6_CHECKSUM stays off: with it the kernel would drop what is wrong before it can be counted. A raw socket hears
    every group that anybody on the interface has joined (IPV6_MULTICAST_ALL is for those bound to an address); the
    receive checks sort that out.
    """

    _family = socket.AF_INET6

    def _configure(self, group: IPAddress | None) -> None:
        sock = self._socket
        for option, value in (
            (socket.IPV6_RECVHOPLIMIT, 1),
            (socket.IPV6_RECVPKTINFO, 1),
            (socket.IPV6_UNICAST_HOPS, TTL),
            (socket.IPV6_MULTICAST_HOPS, TTL),
            (socket.IPV6_TCLASS, TRAFFIC_CLASS),
            (socket.IPV6_MULTICAST_LOOP, 0),
            (socket.IPV6_MULTICAST_IF, self._index),
        ):
            sock.setsockopt(socket.IPPROTO_IPV6, option, value)
        if group is not None:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, _MREQ6.pack(group.packed, self._index))

    def _prepare(self, datagram: Datagram) -> Outgoing:
        header = datagram.header
        return Outgoing(
            datagram.payload,
            _SOCKADDR_IN6.pack(socket.AF_INET6, header.destination.packed, self._index),
            _control(socket.IPV6_PKTINFO, _PKTINFO6.pack(header.source.packed, self._index))
            + _control(socket.IPV6_HOPLIMIT, _INT.pack(header.ttl)),
        )

    def _unsent(self, header: IpHeader, number: int) -> KernelError:
        error = super()._unsent(header, number)
        if number != errno.EINVAL:
            return error
        # What the kernel says of a source that is not there (yet, or any more: an interface that goes down loses it).
        return LinkNotReady(error.operation, error.subject, number, f"{header.source} is no address of the interface")

    def receive(self) -> Datagram | None:
        """
        Read the next packet, whatever its destination.

        Raises:
            PacketError: The kernel did not tell of its header.
            KernelError: The socket is broken.
        """
        try:
            payload, ancillary, _flags, sender = self._socket.recvmsg(_RECEIVE_V6, _ANCILLARY_V6)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._refused(error) from error
        destination: IPv6Address | None = None
        hops: int | None = None
        for level, kind, data in ancillary:
            if level != socket.IPPROTO_IPV6:
                continue
            if kind == socket.IPV6_PKTINFO and len(data) == _PKTINFO6.size:
                destination = IPv6Address(data[:16])
            elif kind == socket.IPV6_HOPLIMIT and len(data) == _INT.size:
                hops = _INT.unpack(data)[0]
        if destination is None or hops is None:
            raise PacketError(DropReason.MALFORMED_IP, "no destination or Hop Limit from the kernel")
        source = IPv6Address(socket.inet_pton(socket.AF_INET6, sender[0].partition("%")[0]))
        return Datagram(IpHeader(source, destination, hops), payload)


def open_raw_socket(link: Link, family: Family, group: IPAddress | None) -> RawSocketV4 | RawSocketV6:
    """Open a raw socket for protocol 112 on *link*; see `RawSocket`."""
    return RawSocketV4(link, group) if family is Family.V4 else RawSocketV6(link, group)


class FrameSocket:
    """A packet socket that only sends: whole Ethernet frames on any interface."""

    def __init__(self) -> None:
        """
        Open the socket in the network namespace of the calling thread.

        Raises:
            NotPermitted: CAP_NET_RAW is missing.
        """
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            # Protocol 0: it is handed nothing to receive.
            self._socket = socket.socket(socket.AF_PACKET, kind, 0)
        except OSError as error:
            raise refusal("open", "packet socket", error.errno, needs=CAP_NET_RAW) from error
        _enlarge(self._socket)

    def close(self) -> None:
        """Give the socket back; closing twice is harmless."""
        self._socket.close()

    def send(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """
        Send frames in order, each on the interface with that index, in one system call.

        Raises:
            KernelError: The first failure; those after it were tried all the same.
        """
        due = list(frames)
        failed = send_all(
            self._socket.fileno(),
            [
                Outgoing(frame, _SOCKADDR_LL.pack(socket.AF_PACKET, frame[12:14], index, 0, 0, 0))
                for index, frame in due
            ],
        )
        if failed is not None:
            at, number = failed
            raise refusal("send", f"frame on {_interface_name(due[at][0])}", number)


def _interface_name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except (OSError, OverflowError):
        return f"interface {index}"
