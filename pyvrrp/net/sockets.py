"""Raw sockets for advertisements: what is sent is laid out once, what is received comes by one of three paths."""

from __future__ import annotations

import abc
import contextlib
import errno
import fcntl
import socket
import struct
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv6Address
from typing import Final

from pyvrrp.errors import DropReason, KernelError, LinkNotReady, PacketError
from pyvrrp.net import filters
from pyvrrp.net.batches import Outgoing, enlarge, send_all
from pyvrrp.net.intake import Intake, Packet, ask_for_times
from pyvrrp.net.reception import OffloadedReception, Reception, SplitReception
from pyvrrp.net.refusals import CAP_NET_RAW, refusal
from pyvrrp.net.system import SEND, Arrival, Datagram, Link, ReceivePath
from pyvrrp.protocol.constants import IP_PROTOCOL, TRAFFIC_CLASS, TTL, Family, IPAddress
from pyvrrp.protocol.headers import IpHeader, build_ipv4, strip_ipv4

# linux/in.h; the socket module of 3.11 has it not
_IP_MULTICAST_ALL: Final = 49

# linux/sockios.h
_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFINDEX: Final = 0x8933

_IFF_UP: Final = 0x1

_CACHE_BOUND: Final = 1024  # 255 virtual routers with four unicast peers each; beyond it the oldest is laid out again

_NO_FAILURES: Final[Mapping[int, KernelError]] = {}

_DRAIN_BOUND: Final = 1024  # more than a default receive buffer holds

_IFREQ_NAME: Final = 16
_IFREQ: Final = struct.Struct("@16si20x")
_IFREQ_FLAGS: Final = struct.Struct("@16sH22x")
_MREQN: Final = struct.Struct("=4s4xi")
_MREQ6: Final = struct.Struct("=16si")

# bits/socket.h in the machine's own layout
_CMSGHDR: Final = struct.Struct("@Nii")
_SOCKADDR_IN: Final = struct.Struct("=H2x4s8x")
_SOCKADDR_IN6: Final = struct.Struct("=H6x16sI")
_PKTINFO6: Final = struct.Struct("=16sI")
_INT: Final = struct.Struct("@i")


def _control(kind: int, data: bytes) -> bytes:
    head = _CMSGHDR.pack(socket.CMSG_LEN(len(data)), socket.IPPROTO_IPV6, kind)
    return (head + data).ljust(socket.CMSG_SPACE(len(data)), b"\0")


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
    """
    What the sockets of the two families share.

    Attributes:
        refused: Why it does not go the path that was wished for, None while it does.
    """

    family: Family
    _family: socket.AddressFamily

    def __init__(
        self,
        link: Link,
        group: IPAddress | None,
        path: ReceivePath | None = None,
        intake: Intake | None = None,
    ) -> None:
        """
        Open the socket in the network namespace of the calling thread.

        Args:
            link: Interface it is bound to.
            group: Multicast group to join, or None for unicast.
            path: How to receive; None is the best that this process may use.
            intake: Memory to read into, where it is shared with others.

        Raises:
            LinkNotReady: The interface is gone or down.
            NotPermitted: CAP_NET_RAW is missing.
        """
        self._subject = f"raw socket for protocol {IP_PROTOCOL} on {link.name}"
        self._link = link
        self._index = link.index
        self._group = group
        self._ttl = TTL if group is not None else None  # peers may be beyond routers
        self._intake = Intake(self.family) if intake is None else intake
        # By identity, which is cheaper than a hash of all fields; the entry keeps its datagram, so no id comes twice.
        self._prepared: dict[int, tuple[Datagram, Outgoing]] = {}
        self._path = path if path is not None else ReceivePath.EBPF
        self.refused: KernelError | None = None
        self._socket = self._open()
        self._reception = Reception(self._socket, self.family, self._ttl, self._intake)
        self._served: tuple[Collection[int], int] | None = None

    def _open(self) -> socket.socket:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            sock = socket.socket(self._family, kind, IP_PROTOCOL)
        except OSError as error:
            raise refusal("open", self._subject, error.errno, needs=CAP_NET_RAW) from error
        try:
            # First of all, lest the socket collects what other interfaces hear.
            filters.attach(sock, filters.NOTHING)
            self._drain(sock)
            _bind(sock, self._link)
            enlarge(sock)
            ask_for_times(sock)
            self._configure(sock, self._group)
        except OSError as error:
            sock.close()
            raise refusal("open", self._subject, error.errno, needs=CAP_NET_RAW) from error
        except KernelError:
            sock.close()
            raise
        return sock

    @staticmethod
    def _drain(sock: socket.socket) -> None:
        # What came between socket(2) and the filter may be of another interface.
        with contextlib.suppress(BlockingIOError):
            for _ in range(_DRAIN_BOUND):
                sock.recv(1)

    @abc.abstractmethod
    def _configure(self, sock: socket.socket, group: IPAddress | None) -> None:
        """Set the options of the family and join the group; OSError as it comes."""

    @abc.abstractmethod
    def _prepare(self, datagram: Datagram) -> Outgoing:
        """Lay out a datagram for sending."""

    @abc.abstractmethod
    def _unpack(self, packet: Packet) -> Datagram:
        """Take the header off; PacketError if that cannot be done."""

    def fileno(self) -> int:
        """File descriptor to poll, -1 once closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Leave the group and give the socket back; closing twice is harmless."""
        self._reception.close()
        self._socket.close()
        self._prepared.clear()

    # Receiving

    @property
    def path(self) -> ReceivePath:
        """How it comes by its packets."""
        return self._reception.path

    @property
    def share(self) -> int:
        """One in so many of the packets that are not for us is handed up."""
        return self._reception.share

    @property
    def more(self) -> bool:
        """The last `read` met its bound."""
        return self._reception.more

    @property
    def poll_us(self) -> int | None:
        """Read that often even if it is not readable."""
        return self._reception.poll_us

    def serve(self, vrids: Collection[int], longest: int) -> None:
        """
        Say which packets are for us.

        A path that is refused is left for the next one, see `refused`. Without any filter all is heard.

        Args:
            vrids: VRIDs.
            longest: Octets of the longest advertisement that will be armed.
        """
        if self._served is None:
            self._enter(self._path)
        self._served = vrids, longest
        try:
            self._reception.serve(vrids, longest)
        except KernelError as error:
            self._fall_back(error)

    def set_share(self, share: int) -> None:
        """Hand up one in so many of what is not for us."""
        try:
            self._reception.set_share(share)
        except KernelError as error:
            self._fall_back(error)

    def arm(self, vrid: int, datagram: Datagram, came_us: int) -> None:
        """Keep repetitions of this advertisement."""
        self._reception.arm(vrid, datagram, came_us)

    def disarm(self, vrid: int) -> None:
        """Hand them up again."""
        self._reception.disarm(vrid)

    def heard_us(self, vrid: int) -> int:
        """When the armed one last came; 0 if none was ever armed."""
        return self._reception.heard_us(vrid)

    def oldest_us(self, vrids: Collection[int]) -> int:
        """The least of `heard_us`."""
        return self._reception.oldest_us(vrids)

    def take_repetitions(self, vrid: int) -> int:
        """How many were kept since this was last asked."""
        return self._reception.take_repetitions(vrid)

    def take_unheard(self) -> Mapping[int, Mapping[str, int]]:
        """What the filter dropped since this was last asked, where it counts."""
        return self._reception.take_unheard()

    def read(self, now_us: int) -> Sequence[Arrival]:
        """
        Read what has come, oldest first.

        Raises:
            KernelError: The socket is broken.
        """
        try:
            packets = self._reception.read(now_us)
        except OSError as error:
            raise refusal("receive from", self._subject, error.errno) from error
        except KernelError as error:  # of a filter, not of the socket
            self._fall_back(error)
            return ()
        if not packets:
            return ()
        arrivals = []
        for packet in packets:
            try:
                arrivals.append(Arrival(packet.came_us, self._unpack(packet)))
            except PacketError as error:
                arrivals.append(Arrival(packet.came_us, error))
        return arrivals

    def _enter(self, path: ReceivePath) -> None:
        """Go that path, or the next that can be gone."""
        before = self._reception
        before.close()
        common = (self._socket, self.family, self._ttl, self._intake)
        if path is ReceivePath.EBPF:
            self._reception = OffloadedReception(*common)
        elif path is ReceivePath.SPLIT:
            try:
                self._reception = SplitReception(*common, self._open())
            except KernelError as error:
                self.refused = error
                self._reception = Reception(*common)
        else:
            self._reception = Reception(*common)
        self._reception.adopt(before)

    def _fall_back(self, error: KernelError) -> None:
        self.refused = error
        if self._reception.path is ReceivePath.OFF:
            filters.detach(self._socket)
            return
        self._enter(ReceivePath.SPLIT if self._reception.path is ReceivePath.EBPF else ReceivePath.OFF)
        assert self._served is not None
        try:
            self._reception.serve(*self._served)
        except KernelError as again:
            self._fall_back(again)

    # Sending

    def prepare(self, datagrams: Sequence[Datagram]) -> None:
        """Lay out datagrams that may have to be sent in a hurry."""
        for datagram in datagrams:
            self._outgoing(datagram)

    def send(self, datagrams: Sequence[Datagram]) -> Mapping[int, KernelError]:
        """
        Send packets in order, with source, destination and TTL of each header, in one system call.

        A datagram is laid out when it is first seen: send the same object again, not an equal one.

        Returns:
            What failed, by position; those after it were sent all the same.
        """
        prepared = self._prepared
        messages = []
        for datagram in datagrams:
            entry = prepared.get(id(datagram))
            messages.append(self._outgoing(datagram) if entry is None else entry[1])
        failed = send_all(self._socket.fileno(), messages)
        if not failed:
            return _NO_FAILURES
        return {at: self._unsent(datagrams[at].header, number) for at, number in failed.items()}

    def _outgoing(self, datagram: Datagram) -> Outgoing:
        entry = self._prepared.get(id(datagram))
        if entry is None:
            entry = (datagram, self._prepare(datagram))
            if len(self._prepared) >= _CACHE_BOUND:
                del self._prepared[next(iter(self._prepared))]
            self._prepared[id(datagram)] = entry
        return entry[1]

    def _unsent(self, header: IpHeader, number: int) -> KernelError:
        return refusal(SEND, f"{header.destination} by {self._subject}", number)


class RawSocketV4(RawSocket):
    """IPv4: header included both ways."""

    family = Family.V4
    _family = socket.AF_INET

    def _configure(self, sock: socket.socket, group: IPAddress | None) -> None:
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

    def _unpack(self, packet: Packet) -> Datagram:
        header, payload = strip_ipv4(packet.octets)
        return Datagram(header, payload)


class RawSocketV6(RawSocket):
    """
    IPv6: the kernel keeps the header, and tells of it and is told in ancillary data.

    IPV6_CHECKSUM stays off: with it the kernel would drop what is wrong before it can be counted. A raw socket hears
    every group that anybody on the interface has joined (IPV6_MULTICAST_ALL is for those bound to an address); the
    receive checks sort that out.
    """

    family = Family.V6
    _family = socket.AF_INET6

    def _configure(self, sock: socket.socket, group: IPAddress | None) -> None:
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

    def _unpack(self, packet: Packet) -> Datagram:
        if not packet.destination or packet.hops < 0:
            raise PacketError(DropReason.MALFORMED_IP, "no destination or Hop Limit from the kernel")
        header = IpHeader(IPv6Address(packet.source), IPv6Address(packet.destination), packet.hops)
        return Datagram(header, packet.octets)


def open_raw_socket(
    link: Link,
    family: Family,
    group: IPAddress | None,
    path: ReceivePath | None = None,
    intake: Intake | None = None,
) -> RawSocketV4 | RawSocketV6:
    """Open a raw socket for protocol 112 on *link*; see `RawSocket`."""
    return (RawSocketV4 if family is Family.V4 else RawSocketV6)(link, group, path, intake)
