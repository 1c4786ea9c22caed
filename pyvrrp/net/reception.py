"""
How a raw socket comes by its packets: three paths that hear the same, at the same times, for different prices.

* `Reception` ("off"): every packet of ours wakes us; repetitions of an armed advertisement are told apart here.
* `SplitReception`: two sockets share the work. What differs from the armed advertisement in sender or priority wakes
  us; what does not is read when we are awake anyway, and every few milliseconds lest its queue runs over.
* `OffloadedReception` ("ebpf"): the kernel keeps the repetitions. Nothing is read at all while nothing happens.

In front of each stands a filter that drops what has none of our VRIDs, but for a share.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from pyvrrp.net import filters
from pyvrrp.net.intake import Intake, Known, Packet
from pyvrrp.net.offload import Offload, fingerprint, open_offload
from pyvrrp.net.system import Datagram, ReceivePath
from pyvrrp.protocol.constants import Family

BATCHES_MAX: Final = 8
"""Batches read from one socket in one go; then others get their turn."""

POLL_MIN_US: Final = 4_000
POLL_MAX_US: Final = 100_000
POLL_PACKETS: Final = 256
"""Of the split path: so many packets at a time are good to read, and a receive buffer holds ten times as many."""

_REARM_US: Final = 20_000
"""Of the split path: filters are compiled anew at most this often, for all that was armed and disarmed meanwhile."""

_PRIORITY_AT: Final = 2
_SO_MEMINFO: Final = 55  # asm-generic/socket.h
_MEMINFO: Final = struct.Struct("=9I")  # linux/sock_diag.h
_LOST: Final = 8  # SK_MEMINFO_DROPS
_NOTHING: Final[Counter[str]] = Counter()


class _Slot(Known):
    """What is known of the advertisement that a VRID is or was armed with."""

    __slots__ = ("expected",)

    def __init__(self) -> None:
        super().__init__()
        self.expected: filters.Expected | None = None


class Reception:
    """
    The packets of one raw socket, every one of which wakes us.

    Attributes:
        path: What `status` calls it.
        poll_us: Read it that often even if the socket is not readable; None where that is not needed.
        more: `read` met its bound.
        share: One in so many of what is not for us is handed up.
        sock: The socket.
    """

    path = ReceivePath.OFF
    poll_us: int | None = None

    def __init__(self, sock: socket.socket, family: Family, ttl: int | None, intake: Intake) -> None:
        self.sock = sock
        self.more = False
        self.share = 1
        self._family = family
        self._ttl = ttl
        self._intake = intake
        self._vrids: frozenset[int] = frozenset()
        self._slots: dict[int, _Slot] = {}
        self._armed: dict[bytes, _Slot] = {}
        self._overflows: dict[int, int] = {}  # packets lost for want of room, by descriptor
        self._unheard: dict[int, Counter[str]] = {}  # by filters that are no more, and not told yet

    def serve(self, vrids: Collection[int], longest: int) -> None:
        """
        Let the packets of these VRIDs through.

        Args:
            vrids: VRIDs; all others are disarmed.
            longest: Octets of the longest advertisement to be armed.

        Raises:
            KernelError: The kernel refused; this path cannot be gone.
        """
        self._vrids = frozenset(vrids)
        for vrid in self._slots.keys() - self._vrids:
            self.disarm(vrid)
        self._attach(longest)

    def set_share(self, share: int) -> None:
        """
        Hand up one in so many of what is not for us.

        Raises:
            KernelError: The kernel refused.
        """
        self.share = share
        self._attach(0)

    def arm(self, vrid: int, datagram: Datagram, came_us: int) -> None:
        """Keep repetitions of this advertisement."""
        slot = self._slots.get(vrid)
        if slot is None:
            slot = self._slots[vrid] = _Slot()
        elif slot.key is not None:
            del self._armed[slot.key]
        slot.key = fingerprint(datagram.header, datagram.payload)
        slot.ttl = datagram.header.ttl
        slot.heard_us = came_us
        self._armed[slot.key] = slot

    def disarm(self, vrid: int) -> None:
        """Hand them up again."""
        slot = self._slots.get(vrid)
        if slot is not None and slot.key is not None:
            del self._armed[slot.key]
            slot.key = None

    def adopt(self, other: Reception) -> None:
        """Know what *other* knew, which is closed; what it had armed in the kernel is disarmed."""
        self.share = other.share
        self._unheard = other._unheard
        self._slots, self._armed = other._slots, other._armed

    def heard_us(self, vrid: int) -> int:
        """When the armed one last came; 0 if none was ever armed."""
        slot = self._slots.get(vrid)
        return 0 if slot is None else slot.heard_us

    def oldest_us(self, vrids: Collection[int]) -> int:
        """The least of `heard_us`."""
        return min(map(self.heard_us, vrids))

    def take_repetitions(self, vrid: int) -> int:
        """How many were kept since this was last asked."""
        slot = self._slots.get(vrid)
        if slot is None:
            return 0
        count, slot.repetitions = slot.repetitions, 0
        return count

    def take_unheard(self) -> Mapping[int, Mapping[str, int]]:
        """Counts of what the filter dropped since this was last asked, by VRID and reason; a classic one has none."""
        found, self._unheard = self._unheard, {}
        return found

    def read(self, now_us: int) -> list[Packet]:
        """
        Read what came, but for the repetitions.

        Raises:
            OSError: The socket is broken.
        """
        found: list[Packet] = []
        self.more = self._read_from(self.sock, now_us, found)
        return found

    def close(self) -> None:
        """Give back what is held beside the socket."""

    def _attach(self, longest: int) -> None:  # noqa: ARG002  for those that keep advertisements in the kernel
        program = filters.advertisement_filter(self._family, self._vrids, self.share, ttl=self._ttl)
        filters.attach(self.sock, program)

    def _read_from(self, sock: socket.socket, now_us: int, found: list[Packet]) -> bool:
        """Read a socket, keep repetitions, add the rest to *found*; answers whether there may be more."""
        intake, descriptor, armed = self._intake, sock.fileno(), self._armed
        many = self.more
        for _ in range(BATCHES_MAX):
            found += intake.read(descriptor, now_us, armed)
            if not intake.full:
                break
            many = True
        if many and not intake.full and self._has_overflowed(sock):
            # What came last is lost, for a full queue keeps what came first: it may have been of any of them.
            for slot in armed.values():
                slot.heard_us = now_us
        return intake.full

    def _has_overflowed(self, sock: socket.socket) -> bool:
        """Whether packets were lost since this was last asked."""
        lost: int = _MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[_LOST]
        before = self._overflows.get(sock.fileno(), 0)
        self._overflows[sock.fileno()] = lost
        return lost != before


class SplitReception(Reception):
    """
    The packets of two raw sockets that are bound and joined alike.

    Args:
        rest: The second socket, closed with this object.
    """

    path = ReceivePath.SPLIT

    def __init__(
        self, sock: socket.socket, family: Family, ttl: int | None, intake: Intake, rest: socket.socket
    ) -> None:
        super().__init__(sock, family, ttl, intake)
        self._rest = rest
        self._expected: dict[int, filters.Expected] = {}  # as it stands in the filters
        self._changed = False
        self._next_us = self._read_us = 0

    def arm(self, vrid: int, datagram: Datagram, came_us: int) -> None:
        """Keep repetitions of this advertisement."""
        super().arm(vrid, datagram, came_us)
        expected = filters.Expected(datagram.header.source, datagram.payload[_PRIORITY_AT])
        self._slots[vrid].expected = expected
        self._changed = self._changed or self._expected.get(vrid) != expected

    def disarm(self, vrid: int) -> None:
        """Hand them up again; those that come are read no later than the next time."""
        super().disarm(vrid)
        self._changed = self._changed or vrid in self._expected

    def read(self, now_us: int) -> list[Packet]:
        """
        Read both sockets.

        Raises:
            OSError: A socket is broken.
            KernelError: New filters were refused.
        """
        if self._changed and now_us >= self._next_us:
            self._next_us = now_us + _REARM_US
            self._attach(0)
        found: list[Packet] = []
        kept = self._intake.count
        # Urgent first: what came to the other before the last of them is read behind it, and all is put in order.
        more = self._read_from(self.sock, now_us, found)
        urgent = len(found)
        self.more = self._read_from(self._rest, now_us, found) or more
        if urgent and len(found) > urgent:
            found.sort(key=_came_us)
        self._pace(self._intake.count - kept, now_us)
        return found

    def _pace(self, count: int, now_us: int) -> None:
        """Read again when about as many will have come as are good to read together."""
        assert self.poll_us is not None
        if count > POLL_PACKETS:
            self.poll_us = max(self.poll_us // 2, POLL_MIN_US)
        elif now_us - self._read_us >= self.poll_us and count < POLL_PACKETS // 2:
            self.poll_us = min(self.poll_us * 2, POLL_MAX_US)
        self._read_us = now_us

    def close(self) -> None:
        """Close the second socket."""
        self._rest.close()

    def _attach(self, longest: int) -> None:  # noqa: ARG002  nothing is kept in the kernel
        expected = {
            vrid: slot.expected
            for vrid, slot in self._slots.items()
            if slot.key is not None and slot.expected is not None
        }
        split = filters.split_filters(self._family, self._vrids, expected, self.share, ttl=self._ttl)
        filters.attach_split(self.sock, self._rest, split)
        self._expected = expected
        self._changed = False
        self.poll_us = self.poll_us or POLL_MIN_US


class OffloadedReception(Reception):
    """The packets of a raw socket that the eBPF filter lets through."""

    path = ReceivePath.EBPF

    def __init__(self, sock: socket.socket, family: Family, ttl: int | None, intake: Intake) -> None:
        super().__init__(sock, family, ttl, intake)
        self._offload: Offload | None = None
        self._longest = 0
        self._kept: Counter[int] = Counter()  # repetitions that were taken, by VRID
        self._told: dict[int, Counter[str]] = {}  # what was counted when it was last asked

    def arm(self, vrid: int, datagram: Datagram, came_us: int) -> None:
        """Keep repetitions of this advertisement, in the kernel if they are not too long for it."""
        key = fingerprint(datagram.header, datagram.payload)
        if self._offload is not None and self._offload.arm(vrid, key, came_us, ttl=datagram.header.ttl):
            super().disarm(vrid)
        else:
            super().arm(vrid, datagram, came_us)

    def disarm(self, vrid: int) -> None:
        """Hand them up again."""
        super().disarm(vrid)
        if self._offload is not None:
            self._offload.disarm(vrid)

    def heard_us(self, vrid: int) -> int:
        """When the armed one last came."""
        here_us = super().heard_us(vrid)
        return here_us if self._offload is None else max(here_us, self._offload.last_seen_us(vrid))

    def oldest_us(self, vrids: Collection[int]) -> int:
        """The least of `heard_us`."""
        oldest_us = None if self._offload is None or self._armed else self._offload.oldest_us(vrids)
        return super().oldest_us(vrids) if oldest_us is None else oldest_us

    def take_repetitions(self, vrid: int) -> int:
        """How many were kept since this was last asked."""
        count = super().take_repetitions(vrid)
        if self._offload is not None:
            hits = self._offload.hits(vrid)
            count += hits - self._kept[vrid]
            self._kept[vrid] = hits
        return count

    def take_unheard(self) -> Mapping[int, Mapping[str, int]]:
        """Counts of what the filter dropped since this was last asked, by VRID (0: none of ours) and reason."""
        found = {vrid: Counter(counts) for vrid, counts in self._unheard.items()}
        self._unheard.clear()
        if self._offload is not None:
            total = {0: Counter(self._offload.dropped())}
            for vrid in self._vrids:
                total[vrid] = Counter(self._offload.dropped(vrid))
                total[0].subtract(total[vrid])
            for vrid, counts in total.items():
                new = counts - self._told.get(vrid, _NOTHING)
                if new:
                    found.setdefault(vrid, Counter()).update(new)
            self._told = total
        return found

    def close(self) -> None:
        """Take the filter off the socket."""
        if self._offload is not None:
            self._unheard = {vrid: Counter(counts) for vrid, counts in self.take_unheard().items()}
            for vrid in self._vrids:  # whoever asks later hears what was true
                slot = self._slots.setdefault(vrid, _Slot())
                count = self.take_repetitions(vrid)  # which empties the slot
                slot.repetitions += count
                slot.heard_us = max(slot.heard_us, self._offload.last_seen_us(vrid))
            self._kept.clear()
            self._told.clear()
            self._offload.close()
            self._offload = None

    def _attach(self, longest: int) -> None:
        if self._offload is None or longest > self._longest:
            self.close()
            self._longest = max(longest, self._longest)
            self._offload = open_offload(
                self.sock, self._family, self._vrids, self._longest, sample=self.share, ttl=self._ttl
            )
            return
        self._offload.serve(self._vrids)
        self._offload.set_share(self.share)


def _came_us(packet: Packet) -> int:
    return packet.came_us
