"""
Messages laid out once, in the form that sendmmsg(2) takes, so that all that are due leave in one system call.

Advertisements (`sockets.py`) and announcements (`FrameSocket`) are sent that way.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pyvrrp.net.refusals import CAP_NET_RAW, refusal

_SO_SNDBUFFORCE: Final = 32  # asm-generic/socket.h
_SO_RCVBUFFORCE: Final = 33
_TC_PRIO_CONTROL: Final = 7  # linux/pkt_sched.h: the first to leave a congested interface
_KEPT_MAX: Final = 8192  # frames laid out; beyond it the oldest is laid out again
_BUFFER: Final = 1 << 20  # a tick of 255 routers and their peers, each about 1 KiB in the kernel, several times over

# bits/socket.h in the machine's own layout
_IOVEC: Final = struct.Struct("@PN")
_MMSGHDR: Final = struct.Struct("@PIPNPNi0PI0P")
_SOCKADDR_LL: Final = struct.Struct("=H2siHBB8x")

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


def send_all(descriptor: int, messages: Sequence[Outgoing]) -> Mapping[int, int]:
    """
    Send messages in order, all of them whatever happens to one.

    Returns:
        Position and errno of those that failed.
    """
    failed: dict[int, int] = {}
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
            failed[at] = number
            sent = 1  # the one that failed
        at += sent
    return failed


def enlarge(sock: socket.socket) -> None:
    """Give a socket large buffers, and its packets the way before others."""
    # Without CAP_NET_ADMIN the kernel's limits hold, which is no reason to stop.
    for force, plain in ((_SO_SNDBUFFORCE, socket.SO_SNDBUF), (_SO_RCVBUFFORCE, socket.SO_RCVBUF)):
        try:
            sock.setsockopt(socket.SOL_SOCKET, force, _BUFFER)
        except OSError:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, plain, _BUFFER)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _TC_PRIO_CONTROL)


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
        enlarge(self._socket)
        # By identity, as advertisements are; the entry keeps its frame, so no id comes twice.
        self._prepared: dict[int, tuple[bytes, int, Outgoing]] = {}

    def close(self) -> None:
        """Give the socket back; closing twice is harmless."""
        self._socket.close()

    def prepare(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """Lay out frames that may have to be sent in a hurry; the same objects must be sent then."""
        for index, frame in frames:
            self._outgoing(index, frame)

    def send(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """
        Send frames in order, each on the interface with that index, in one system call.

        Raises:
            KernelError: The first failure; those after it were tried all the same.
        """
        due = list(frames)
        failed = send_all(self._socket.fileno(), [self._outgoing(index, frame) for index, frame in due])
        for at, number in failed.items():
            raise refusal("send", f"frame on {_interface_name(due[at][0])}", number)

    def _outgoing(self, index: int, frame: bytes) -> Outgoing:
        entry = self._prepared.get(id(frame))
        if entry is None or entry[1] != index:
            address = _SOCKADDR_LL.pack(socket.AF_PACKET, frame[12:14], index, 0, 0, 0)
            entry = (frame, index, Outgoing(frame, address))
            if len(self._prepared) >= _KEPT_MAX:
                del self._prepared[next(iter(self._prepared))]
            self._prepared[id(frame)] = entry
        return entry[2]


def _interface_name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except (OSError, OverflowError):
        return f"interface {index}"
