"""
Packets off a raw socket in batches, each with the time at which the kernel took it in.

One recvmmsg(2) reads up to `BATCH` packets. The times are the kernel's, so they say when an advertisement came even
if it was read much later: after a busy moment, or because nobody was in a hurry to read it.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import time
from typing import Final, NamedTuple

from pyvrrp.protocol.constants import Family

BATCH: Final = 64

_SO_TIMESTAMPNS: Final = 64  # asm-generic/socket.h, SO_TIMESTAMPNS_NEW: 64-bit seconds on every machine; Linux 5.1
_LONGEST: Final = {Family.V4: 2048, Family.V6: 8192}  # 255 addresses, options, trailer: 1,136 and 4,116 octets
_NAME: Final = 32  # sockaddr_in6 is 28 octets
_CONTROL: Final = 128  # time, and for IPv6 destination and Hop Limit: 32 + 40 + 24 octets

# bits/socket.h in the machine's own layout
_MMSGHDR: Final = struct.Struct("@PIPNPNi0PI0P")
_IOVEC: Final = struct.Struct("@PN")
_CMSGHDR: Final = struct.Struct("@Nii")
_STAMP: Final = struct.Struct("=qq")
_HOPS: Final = struct.Struct("@i")
_CMSG_DATA: Final = socket.CMSG_LEN(0)
_CMSG_ALIGN: Final = struct.calcsize("N") - 1
_NS_PER_S: Final = 1_000_000_000
_NS_PER_US: Final = 1000

_recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_recvmmsg.restype = ctypes.c_int


class Packet(NamedTuple):
    """
    A packet as it was read.

    Attributes:
        came_us: When the kernel took it in, monotonic microseconds.
        octets: IPv4: from its header on; IPv6: what follows the header.
        source: IPv6: the sender's 16 octets.
        destination: IPv6: 16 octets; empty if the kernel did not tell.
        hops: IPv6: the Hop Limit; -1 if the kernel did not tell.
    """

    came_us: int
    octets: bytes
    source: bytes = b""
    destination: bytes = b""
    hops: int = -1


def ask_for_times(sock: socket.socket) -> None:
    """Let the kernel note when each packet comes; one that cannot leaves us the time of reading."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise


class Intake:
    """
    Memory that packets are read into; one for each family will do for all sockets of a thread.

    Attributes:
        full: The last `read` filled it: there may be more.
    """

    def __init__(self, family: Family) -> None:
        self.full = False
        self._family = family
        self._room = _LONGEST[family]
        records = BATCH * _MMSGHDR.size
        vectors_at = records
        names_at = vectors_at + BATCH * _IOVEC.size
        self._names_at = names_at
        self._controls_at = names_at + BATCH * _NAME
        self._octets_at = self._controls_at + BATCH * _CONTROL
        # Pages of it come to be when a packet is written there, and one batch seldom needs more than the first few.
        self._memory = mmap.mmap(-1, self._octets_at + BATCH * self._room)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        template = []
        for at in range(BATCH):
            vector = vectors_at + at * _IOVEC.size
            self._memory[vector : vector + _IOVEC.size] = _IOVEC.pack(
                self._base + self._octets_at + at * self._room, self._room
            )
            template.append(
                _MMSGHDR.pack(
                    self._base + names_at + at * _NAME,
                    _NAME,
                    self._base + vector,
                    1,
                    self._base + self._controls_at + at * _CONTROL,
                    _CONTROL,
                    0,
                    0,
                )
            )
        self._template = b"".join(template)
        self._stale = BATCH  # records that the kernel has written to since they were laid out

    def read(self, descriptor: int, now_us: int) -> list[Packet]:
        """
        Read what is there, `BATCH` packets at most, oldest first.

        Args:
            descriptor: A non-blocking raw socket of the family.
            now_us: The present; what the kernel gives no time for came now.

        Raises:
            OSError: As recvmmsg(2) has it, but not for want of packets.
        """
        memory = self._memory
        size = _MMSGHDR.size
        memory[: self._stale * size] = self._template[: self._stale * size]
        count = _recvmmsg(descriptor, self._base, BATCH, socket.MSG_DONTWAIT, None)
        self.full = count == BATCH
        if count < 0:
            self._stale = 1
            number = ctypes.get_errno()
            if number in {errno.EAGAIN, errno.EINTR}:
                return []
            raise OSError(number, os.strerror(number))
        self._stale = count
        if not count:
            return []
        # The kernel stamps packets with the time of day; how far that is from ours is the same for all of a batch.
        ahead_ns = time.time_ns() - time.monotonic_ns()
        take = self._take4 if self._family is Family.V4 else self._take6
        return [
            take(at, length, control, now_us, ahead_ns)
            for at, (_, _, _, _, _, control, _, length) in enumerate(_MMSGHDR.iter_unpack(memory[: count * size]))
        ]

    def _take4(self, at: int, length: int, control: int, now_us: int, ahead_ns: int) -> Packet:
        begin = self._octets_at + at * self._room
        came_us = now_us
        if control:
            place = self._controls_at + at * _CONTROL
            _, level, kind = _CMSGHDR.unpack_from(self._memory, place)
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                came_us = self._time(place, now_us, ahead_ns)
        return Packet(came_us, self._memory[begin : begin + length])

    def _take6(self, at: int, length: int, control: int, now_us: int, ahead_ns: int) -> Packet:
        memory = self._memory
        begin = self._octets_at + at * self._room
        name = self._names_at + at * _NAME + 8  # sin6_addr
        came_us, destination, hops = now_us, b"", -1
        place = self._controls_at + at * _CONTROL
        end = place + control
        while place + _CMSG_DATA <= end:
            size, level, kind = _CMSGHDR.unpack_from(memory, place)
            data = place + _CMSG_DATA
            if level == socket.IPPROTO_IPV6:
                if kind == socket.IPV6_PKTINFO:
                    destination = memory[data : data + 16]
                elif kind == socket.IPV6_HOPLIMIT:
                    (hops,) = _HOPS.unpack_from(memory, data)
            elif level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                came_us = self._time(place, now_us, ahead_ns)
            place += max(size, _CMSG_DATA) + _CMSG_ALIGN & ~_CMSG_ALIGN
        return Packet(came_us, memory[begin : begin + length], memory[name : name + 16], destination, hops)

    def _time(self, place: int, now_us: int, ahead_ns: int) -> int:
        seconds, nanoseconds = _STAMP.unpack_from(self._memory, place + _CMSG_DATA)
        # Never in the future, should the clock have been set meanwhile.
        return min(now_us, int((seconds * _NS_PER_S + nanoseconds - ahead_ns) // _NS_PER_US))
