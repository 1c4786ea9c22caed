"""Puts announcements on the wire: all together, or paced for each interface where `garp_interval` asks for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pyvrrp.engine.streams import KernelFailed, Report
from pyvrrp.errors import KernelError
from pyvrrp.net.system import System

Frame: TypeAlias = tuple[int, int, bytes]
"""Interface index, IP version and octets."""


class Announcer:
    """Sends announcement frames, of many owners in one system call, and keeps those that have to wait their turn."""

    __slots__ = ("_due", "_next_us", "_repeats", "_report", "_system", "_waiting")

    def __init__(self, system: System, report: Callable[[Report], None]) -> None:
        self._system = system
        self._report = report
        self._due: list[tuple[object, list[tuple[int, bytes]], int]] = []
        self._repeats: list[tuple[object, list[tuple[int, bytes]], int]] = []
        self._waiting: dict[tuple[int, int], deque[tuple[object, bytes, int]]] = {}
        self._next_us: dict[tuple[int, int], int] = {}

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
        at_once = []
        # Once more than what is not yet on its way would say nothing new, and bursts may come faster than they leave.
        waiting = {frame for queue in self._waiting.values() for whose, frame, _ in queue if whose is owner}
        for index, version, frame in (*frames,) * rounds:
            gap_us = arp_interval_us if version == 4 else na_interval_us
            lane = (index, version)
            if frame in waiting:
                continue
            if gap_us or lane in self._waiting:
                self._waiting.setdefault(lane, deque()).append((owner, frame, gap_us))
                self._next_us.setdefault(lane, now_us)
            else:
                at_once.append((index, frame))
        self._due.append((owner, at_once, 1))
        if self._waiting:
            self._let_go(now_us)

    def wake(self, now_us: int) -> None:
        """Send what may go now."""
        self._let_go(now_us)
        self.flush()

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
        if not frames:
            return
        try:
            self._system.announce(frames)
        except KernelError as error:
            self._report(KernelFailed(None, error.operation, str(error)))

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

    def forget(self, owner: object) -> None:
        """Drop what waits for that owner: it is MASTER no more."""
        self._repeats = [one for one in self._repeats if one[0] is not owner]
        for lane, queue in list(self._waiting.items()):
            kept = deque(item for item in queue if item[0] is not owner)
            if kept:
                self._waiting[lane] = kept
            else:
                del self._waiting[lane]
