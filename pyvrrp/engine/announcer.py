"""Puts announcements on the wire: all together, or paced for each interface where `garp_interval` asks for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from pyvrrp.engine.reports import KernelFailed, Report
from pyvrrp.errors import KernelError
from pyvrrp.net.system import System

Frame: TypeAlias = tuple[int, int, bytes]
"""Interface index, IP version and octets."""

_Lane: TypeAlias = tuple[int, int]
"""Interface index and IP version: what is paced together."""

_Paced: TypeAlias = tuple[_Lane, bytes, int]
"""Where it waits its turn, octets, and the pause after it in microseconds."""


class Announcer:
    """Sends announcement frames, of many owners in one system call, and keeps those that have to wait their turn."""

    __slots__ = ("_due", "_later", "_next_us", "_repeats", "_report", "_system", "_waiting")

    def __init__(self, system: System, report: Callable[[Report], None]) -> None:
        self._system = system
        self._report = report
        self._due: list[tuple[object, list[tuple[int, bytes]], int]] = []
        self._repeats: list[tuple[object, list[tuple[int, bytes]], int]] = []
        self._later: list[tuple[object, list[_Paced], int]] = []  # repetitions, as above
        self._waiting: dict[_Lane, deque[tuple[object, bytes, int]]] = {}
        self._next_us: dict[_Lane, int] = {}

    @property
    def next_deadline_us(self) -> int | None:
        """When the next frame may go; None when none waits."""
        return min((self._next_us[lane] for lane in self._waiting), default=None)

    def send(
        self,
        owner: object,
        frames: Sequence[Frame],
        rounds: int,
        *,
        arp_interval_us: int,
        na_interval_us: int,
        now_us: int,
    ) -> None:
        """
        Take frames; those that may go now are sent by `flush`.

        Args:
            owner: Whose they are, for `forget`.
            frames: In the order in which they are to go.
            rounds: How often each is to go; again only after the first time of all that leave together.
            arp_interval_us: Pause between gratuitous ARPs of one interface; 0 for none.
            na_interval_us: Pause between Neighbor Advertisements of one interface; 0 for none.
            now_us: Monotonic time.
        """
        if not (arp_interval_us or na_interval_us or self._waiting):
            self._due.append((owner, [(index, frame) for index, _, frame in frames], rounds))
            return
        at_once: list[tuple[int, bytes]] = []
        paced: list[_Paced] = []
        # Once more than what is not yet on its way would say nothing new, and bursts may come faster than they leave.
        waiting = {frame for queue in self._waiting.values() for whose, frame, _ in queue if whose is owner}
        waiting.update(frame for whose, some, _ in self._later if whose is owner for _, frame, _ in some)
        for index, version, frame in frames:
            gap_us = arp_interval_us if version == 4 else na_interval_us
            lane = (index, version)
            if frame in waiting:
                continue
            if gap_us or lane in self._waiting:
                paced.append((lane, frame, gap_us))
            else:
                at_once.append((index, frame))
        self._due.append((owner, at_once, rounds))
        if paced:
            self._queue(owner, paced, now_us)
            if rounds > 1:
                self._later.append((owner, paced, rounds - 1))
        if self._waiting:
            self._let_go(now_us)

    def wake(self, now_us: int) -> None:
        """Send what may go now; whoever flushes next sees to repetitions."""
        self._let_go(now_us)
        self.flush(repeat=False)

    def flush(self, *, repeat: bool = True) -> None:
        """
        Send what was taken and does not have to wait.

        Args:
            repeat: Also those that are to go more than once; False leaves that to another time, for more are coming
                that go first.
        """
        frames: list[tuple[int, bytes]] = []
        for owner, some, rounds in self._due:
            frames += some
            if rounds > 1:
                self._repeats.append((owner, some, rounds - 1))
        self._due.clear()
        if repeat and self._repeats:
            for number in range(max(rounds for _, _, rounds in self._repeats)):
                for _, some, rounds in self._repeats:
                    if number < rounds:
                        frames += some
            self._repeats.clear()
        if repeat and self._later:
            later, self._later = self._later, []
            for number in range(max(rounds for _, _, rounds in later)):
                for owner, paced, rounds in later:
                    if number < rounds:
                        self._queue(owner, paced)  # a lane that is known no more has made its pause
        if not frames:
            return
        try:
            self._system.announce(frames)
        except KernelError as error:
            self._report(KernelFailed(None, error.operation, str(error)))

    def _queue(self, owner: object, paced: Sequence[_Paced], now_us: int = 0) -> None:
        for lane, frame, gap_us in paced:
            self._waiting.setdefault(lane, deque()).append((owner, frame, gap_us))
            self._next_us.setdefault(lane, now_us)

    def _let_go(self, now_us: int) -> None:
        due = []
        for lane, queue in list(self._waiting.items()):
            while queue and self._next_us[lane] <= now_us:
                _, frame, gap_us = queue.popleft()
                due.append((lane[0], frame))
                self._next_us[lane] = now_us + gap_us
            if not queue:
                del self._waiting[lane]
        for lane in [lane for lane, at in self._next_us.items() if lane not in self._waiting and at <= now_us]:
            del self._next_us[lane]
        self._due.append((None, due, 1))

    def forget(self, owner: object, frames: Collection[bytes] | None = None) -> None:
        """Drop what waits for that owner, who is MASTER no more; or those frames only, of addresses it has no more."""

        def stays(whose: object, frame: bytes) -> bool:
            return whose is not owner or (frames is not None and frame not in frames)

        self._repeats = [
            (whose, kept, rounds)
            for whose, some, rounds in self._repeats
            if (kept := [one for one in some if stays(whose, one[1])])
        ]
        self._later = [
            (whose, left, rounds)
            for whose, paced, rounds in self._later
            if (left := [one for one in paced if stays(whose, one[1])])
        ]
        for lane, queue in list(self._waiting.items()):
            waiting = deque(item for item in queue if stays(item[0], item[1]))
            if waiting:
                self._waiting[lane] = waiting
            else:
                del self._waiting[lane]
