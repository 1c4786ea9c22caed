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
from collections.abc import Mapping
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
_HOPS: Final = struct.Struct("@i")
_CMSG_DATA: Final = socket.CMSG_LEN(0)
# A control message with the time begins with these two words; seconds and nanoseconds of the day follow.
_STAMP_HEAD: Final = struct.unpack("=qq", _CMSGHDR.pack(socket.CMSG_LEN(16), socket.SOL_SOCKET, _SO_TIMESTAMPNS)[:16])
_PLAIN_HEADER: Final = 0x45  # IPv4 without options
_CMSG_ALIGN: Final = struct.calcsize("N") - 1
_NS_PER_S: Final = 1_000_000_000
_NS_PER_US: Final = 1000
_STEP_NS: Final = 10_000_000  # the time of day moves no further against ours between two batches unless it is set
_PAUSE_NS: Final = 200_000
_TRIES: Final = 4

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


class Known:
    """
    An advertisement whose repetitions are not handed up.

    Attributes:
        key: Source, destination and message, see `offload.fingerprint`; None while repetitions are handed up.
        ttl: The TTL it came with.
        heard_us: When it last came.
        repetitions: How often it came again since that was last asked.
    """

    __slots__ = ("heard_us", "key", "repetitions", "ttl")

    def __init__(self) -> None:
        self.key: bytes | None = None
        self.ttl = 0
        self.heard_us = 0
        self.repetitions = 0


def ask_for_times(sock: socket.socket) -> None:
    """Let the kernel note when each packet comes; one that cannot leaves us the time of reading."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise


def _ahead_ns() -> int:
    """By how much the time of day is ahead of monotonic time, asked without a pause between the two."""
    for _ in range(_TRIES):
        before_ns = time.monotonic_ns()
        day_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        if after_ns - before_ns < _PAUSE_NS:
            break
    return day_ns - (before_ns + after_ns) // 2


def _mark_of(marked: bytes, size: int) -> slice:
    """Where in an array of words of that size the field stands that is 1 in the record *marked*."""
    at = next(at for at in range(0, len(marked), size) if any(marked[at : at + size]))
    return slice(at // size, None, len(marked) // size)


class Intake:
    """
    Memory that packets are read into; one for each family will do for all sockets of a thread.

    Attributes:
        full: The last `read` filled it: there may be more.
        count: Packets read so far, by all sockets.
    """

    def __init__(self, family: Family) -> None:
        self.full = False
        self.count = 0
        self._ahead_ns = _ahead_ns()
        self._measured_us = -1
        self._stepped = False
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
        view = memoryview(self._memory)
        self._lengths = view[:records].cast("I")[_mark_of(_MMSGHDR.pack(0, 0, 0, 0, 0, 0, 0, 1), 4)]
        self._control_lengths = view[:records].cast("P")[
            _mark_of(_MMSGHDR.pack(0, 0, 0, 0, 0, 1, 0, 0), struct.calcsize("P"))
        ]
        controls = view[self._controls_at : self._octets_at].cast("q")
        self._stamps = tuple(controls[at :: _CONTROL // 8] for at in range(4))
        self._stale = BATCH  # records that the kernel has written to since they were laid out

    def read(self, descriptor: int, now_us: int, known: Mapping[bytes, Known]) -> list[Packet]:
        """
        Read what is there, `BATCH` packets at most, oldest first.

        Args:
            descriptor: A non-blocking raw socket of the family.
            now_us: The present; what the kernel gives no time for came now.
            known: Advertisements by key; what equals one is noted there and not part of the answer.

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
        self.count += count
        if not count:
            return []
        # The kernel stamps packets with the time of day; how far that is from ours is the same for all of a batch.
        # It is measured once for all that is read at one moment, for a difference would put them out of order.
        if now_us != self._measured_us:
            self._measured_us = now_us
            before_ns, self._ahead_ns = self._ahead_ns, _ahead_ns()
            self._stepped = abs(self._ahead_ns - before_ns) > _STEP_NS
        ahead_ns = self._ahead_ns
        # Columns of the records and of the control messages: a list at once costs a fifth of a look at each.
        first, second, seconds, nanoseconds = (column[:count].tolist() for column in self._stamps)
        stamped = self._control_lengths[:count].tolist()  # 0: what stands there is of an older packet
        times = [
            (second_of * _NS_PER_S + nanosecond - ahead_ns) // _NS_PER_US
            if control and one == _STAMP_HEAD[0] and other == _STAMP_HEAD[1]
            else now_us
            for control, one, other, second_of, nanosecond in zip(
                stamped, first, second, seconds, nanoseconds, strict=True
            )
        ]
        if self._stepped:  # the clock was set, perhaps while they waited
            times = [now_us] * count
        elif max(times) > now_us:
            times = [min(at_us, now_us) for at_us in times]
        found: list[Packet] = []
        sort = self._sort4 if self._family is Family.V4 else self._sort6
        sort(self._lengths[:count].tolist(), times, known, found)
        return found

    def _sort4(self, lengths: list[int], times: list[int], known: Mapping[bytes, Known], found: list[Packet]) -> None:
        memory, begin = self._memory, self._octets_at
        for length, came_us in zip(lengths, times, strict=True):
            one = known.get(memory[begin + 12 : begin + length])  # both addresses, and all that follows
            if one is not None and memory[begin + 8] == one.ttl and memory[begin] == _PLAIN_HEADER:
                one.heard_us = came_us
                one.repetitions += 1
            else:
                found.append(Packet(came_us, memory[begin : begin + length]))
            begin += self._room

    def _sort6(self, lengths: list[int], times: list[int], known: Mapping[bytes, Known], found: list[Packet]) -> None:
        controls = self._control_lengths[: len(lengths)].tolist()
        for at, (length, control, came_us) in enumerate(zip(lengths, controls, times, strict=True)):
            self._take6(at, length, control, came_us, known, found)

    def _take6(  # noqa: PLR0917
        self, at: int, length: int, control: int, came_us: int, known: Mapping[bytes, Known], found: list[Packet]
    ) -> None:
        memory = self._memory
        begin = self._octets_at + at * self._room
        name = self._names_at + at * _NAME + 8  # sin6_addr
        source, destination, hops = memory[name : name + 16], b"", -1
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
            place += max(size, _CMSG_DATA) + _CMSG_ALIGN & ~_CMSG_ALIGN
        octets = memory[begin : begin + length]
        one = known.get(source + destination + octets)
        if one is not None and hops == one.ttl:
            one.heard_us = came_us
            one.repetitions += 1
        else:
            found.append(Packet(came_us, octets, source, destination, hops))
