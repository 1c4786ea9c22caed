"""
A switch with cables in network namespaces of its own, and captures at its ports that cost nothing while they run.

The kernel writes what passes a port, with its time stamp, into a ring in memory; it is read after the measurement.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from pyvrrp.lab.capture import (
    AT_ETHER_TYPE,
    AT_ICMP_V6,
    AT_NEXT_HEADER,
    AT_PROTOCOL_V4,
    JUMP_IF_EQUAL,
    LOAD_HALF,
    LOAD_OCTET,
    NEIGHBOR_ADVERTISEMENT,
    RETURN,
    WHOLE,
    Instruction,
)
from pyvrrp.protocol.constants import IP_PROTOCOL
from pyvrrp.protocol.headers import ETHER_TYPE_ARP, ETHER_TYPE_IPV4, ETHER_TYPE_IPV6
from pyvrrp.protocol.neighbours import ICMPV6

PORTS: Final = ("r1", "r2", "client")
"""r1 has the peer or the generator, r2 the daemon that is measured, client whoever asks or floods."""

PREFIX_V4: Final = "10.77"
PREFIX_V6: Final = "fd77::"

VRRP: Final[Sequence[Instruction]] = (  # advertisements and announcements; jumps count what is left out
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
ECHO: Final[Sequence[Instruction]] = (
    (LOAD_HALF, 0, 0, AT_ETHER_TYPE),
    (JUMP_IF_EQUAL, 0, 3, ETHER_TYPE_IPV4),
    (LOAD_OCTET, 0, 0, AT_PROTOCOL_V4),
    (JUMP_IF_EQUAL, 0, 1, 1),
    (RETURN, 0, 0, WHOLE),
    (RETURN, 0, 0, 0),
)

# linux/if_packet.h
_SOL_PACKET: Final = 263
_PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION, _PACKET_IGNORE_OUTGOING = 5, 6, 10, 23
_TPACKET_V2: Final = 1
_TP_STATUS_USER: Final = 1
_RING_HEADER: Final = struct.Struct("@IIIHHII")  # status, length, captured, offset of the frame, of IP, s, ns
_SLOT: Final = 160  # 66 octets of headers and padding, 94 of the frame: an IPv6 announcement needs 78
_BLOCK: Final = 512 * _SLOT
_SO_ATTACH_FILTER: Final = 26
_ETH_P_ALL: Final = 3

_CLONE_NEWNET: Final = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _own_namespace() -> int:
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Namespace:
    """A network namespace that lives as long as its descriptor."""

    def __init__(self) -> None:
        before = _own_namespace()
        try:
            _check(_libc.unshare(_CLONE_NEWNET))
            self.descriptor = _own_namespace()
        finally:
            _check(_libc.setns(before, _CLONE_NEWNET))
            os.close(before)
        self.ip("link set lo up")

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is inside: what it opens or starts there stays there."""
        before = _own_namespace()
        try:
            _check(_libc.setns(self.descriptor, _CLONE_NEWNET))
            yield
        finally:
            _check(_libc.setns(before, _CLONE_NEWNET))
            os.close(before)

    def ip(self, *lines: str) -> str:
        """Run iproute2 with these lines."""
        with self.inside():
            done = subprocess.run(
                ["ip", "-batch", "-"], input="\n".join(lines), capture_output=True, text=True, check=False
            )
        if done.returncode:
            raise OSError(f"ip {lines}: {done.stderr.strip()}")
        return done.stdout

    def sysctl(self, key: str, value: object) -> None:
        with self.inside(), open(f"/proc/sys/{key}", "w", encoding="ascii") as file:  # noqa: PTH123  the thread's file
            file.write(str(value))

    def start(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program inside, nothing in between."""
        with self.inside():
            return subprocess.Popen(argv, start_new_session=True, **options)

    def sent(self) -> int:
        """Packets that left by eth0 so far."""
        with self.inside(), open("/proc/thread-self/net/dev", encoding="ascii") as file:  # noqa: PTH123
            return next(int(line.split()[10]) for line in file if line.strip().startswith("eth0:"))

    def close(self) -> None:
        os.close(self.descriptor)


class Seen(NamedTuple):
    """An advertisement, or an announcement (*vrid* 0) of *address*."""

    at_us: float
    vrid: int
    priority: int
    address: bytes


class Ring:
    """What comes in at a port of the switch, written down by the kernel."""

    def __init__(
        self, lan: Lan, port: str, program: Sequence[Instruction] = VRRP, *, frames: int = 4096, outgoing: bool = False
    ) -> None:
        packed = b"".join(struct.pack("@HBBI", *instruction) for instruction in program)
        code = ctypes.create_string_buffer(packed, len(packed))
        blocks = -(-frames * _SLOT // _BLOCK)
        self._slots = blocks * _BLOCK // _SLOT
        with lan.switch.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code))
        )
        self._socket.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
        if not outgoing:
            self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_RX_RING, struct.pack("@IIII", _BLOCK, blocks, _SLOT, self._slots))
        self._memory = mmap.mmap(self._socket.fileno(), blocks * _BLOCK)
        self._next = 0
        self._socket.bind((port, _ETH_P_ALL))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._memory.close()
        self._socket.close()

    def frames(self) -> Iterator[tuple[float, bytes]]:
        """Time in microseconds and beginning of each frame since the last call."""
        memory = self._memory
        while True:
            place = self._next % self._slots * _SLOT
            status, _, captured, offset, _, seconds, nanoseconds = _RING_HEADER.unpack_from(memory, place)
            if not status & _TP_STATUS_USER:
                break
            start = place + offset
            yield seconds * 1e6 + nanoseconds / 1e3, memory[start : start + captured]
            memory[place : place + 4] = b"\0\0\0\0"
            self._next += 1
        _, lost = struct.unpack("@II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        if lost:
            raise RuntimeError(f"the capture lost {lost} frames")

    def seen(self) -> list[Seen]:
        """All advertisements and announcements since the last call."""
        return [item for at_us, frame in self.frames() if (item := _read(at_us, frame)) is not None]


def _read(at_us: float, frame: bytes) -> Seen | None:
    kind = int.from_bytes(frame[12:14], "big")
    if kind == ETHER_TYPE_IPV4:
        return Seen(at_us, frame[35], frame[36], b"")
    if kind == ETHER_TYPE_ARP:
        return Seen(at_us, 0, 0, frame[28:32]) if frame[28:32] == frame[38:42] else None
    if frame[20] == IP_PROTOCOL:
        return Seen(at_us, frame[55], frame[56], b"")
    solicited = frame[58] & 0x40
    return None if solicited else Seen(at_us, 0, 0, frame[62:78])


class Lan:
    """A bridge and three hosts, each with `eth0`."""

    def __init__(self) -> None:
        self.switch = Namespace()
        self.hosts = {port: Namespace() for port in PORTS}
        self.switch.ip("link add br0 up type bridge stp_state 0 mcast_snooping 0 forward_delay 0")
        for number, (port, host) in enumerate(self.hosts.items(), 1):
            self.switch.ip(
                f"link add {port} type veth peer name eth0 address {mac(port).hex(':')} netns {host.path}",
                f"link set {port} master br0 up",
            )
            for path in ("net/ipv6/conf/eth0/accept_dad", "net/ipv6/conf/default/accept_dad"):
                host.sysctl(path, 0)
            host.ip(
                "link set eth0 up",
                f"addr add {PREFIX_V4}.0.{number}/16 dev eth0",
                f"addr add {PREFIX_V6}{number}/64 dev eth0 nodad",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for namespace in (*self.hosts.values(), self.switch):
            namespace.close()


def mac(port: str) -> bytes:
    return bytes((2, 0, 0, 0, 0, PORTS.index(port) + 1))


def link_local(port: str) -> str:
    """The kernel's own address of a host, made from its MAC (RFC 4291, appendix A)."""
    return f"fe80::ff:fe00:{PORTS.index(port) + 1:x}"
