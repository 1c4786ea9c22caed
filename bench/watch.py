"""What a long run is watched by: advertisements on the wire, and what processes hold, over time."""

from __future__ import annotations

import contextlib
import math
import os
import statistics
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.lan import Seen

BOUNDS_US: Final = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
"""Upper ends of the histogram's buckets; one more takes what is above."""

WARM_UP: Final = 0.2
"""The first part of a run in which caches still fill: no growth is judged by it."""

GROWTH_KIB, GROWTH_SHARE, GROWTH_DESCRIPTORS = 1024, 0.05, 3
"""More than this, from the begin to the end of what is judged, is a leak."""


class Histogram:
    """How far from the interval advertisements followed each other, in steps of 1, 2 and 5."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_US) + 1)
        self.worst_us = 0.0

    def add(self, late_us: float) -> None:
        self.counts[bisect_left(BOUNDS_US, late_us)] += 1
        self.worst_us = max(self.worst_us, late_us)

    def percentile_us(self, share: float) -> float:
        """Upper end of the bucket in which that share is reached."""
        left = share * sum(self.counts)
        for count, bound in zip(self.counts, BOUNDS_US, strict=False):
            left -= count
            if left <= 0:
                return bound
        return self.worst_us

    def lines(self) -> list[str]:
        """A bar for each bucket; its length is logarithmic, so that a single straggler is seen."""
        total = max(1, sum(self.counts))
        names = [f"≤ {bound / 1000:g} ms" for bound in BOUNDS_US] + [f"> {BOUNDS_US[-1] / 1000:g} ms"]
        return [
            f"  {name:>10}  {count:>10}  {100 * count / total:8.4f} %  {'#' * round(6 * math.log10(1 + count))}"
            for name, count in zip(names, self.counts, strict=True)
        ]


@dataclass
class Wire:
    """
    The advertisements of a master at r1 and of a backup at r2, heard at the switch.

    Attributes:
        interval_us: Between advertisements.
        switched: The VRID that may change its master, and is watched for nothing else.
        heard: Advertisements so far.
        missed: That a listener would have expected and that are not there.
        false: Of the backup, which had nothing to say: when, which VRID, which priority. The first hundred.
        false_count: All of them.
        speaker: Who advertised *switched* last.
        changes: How often that changed.
    """

    interval_us: int
    switched: int
    histogram: Histogram = field(default_factory=Histogram)
    heard: int = 0
    missed: int = 0
    false: list[tuple[float, int, int]] = field(default_factory=list)
    false_count: int = 0
    speaker: str = ""
    changes: int = 0
    _last_us: dict[int, float] = field(default_factory=dict)
    _awaited: dict[int, tuple[frozenset[int], float]] = field(default_factory=dict)
    reached_ms: list[float] = field(default_factory=list)

    def feed(self, heard: Iterable[tuple[str, Seen]]) -> None:
        """Take what was heard since the last time, by port."""
        for port, item in sorted(heard, key=lambda one: one[1].at_us):
            if not item.vrid or not item.priority:
                continue
            if item.vrid == self.switched:
                self.changes += self.speaker not in ("", port)
                self.speaker = port
            elif port != "r1":
                self.false_count += 1
                if len(self.false) < 100:
                    self.false.append((item.at_us, item.vrid, item.priority))
            else:
                self._master(item)

    def _master(self, item: Seen) -> None:
        self.heard += 1
        before_us = self._last_us.get(item.vrid)
        self._last_us[item.vrid] = item.at_us
        if before_us is not None:
            gap_us = item.at_us - before_us
            self.histogram.add(abs(gap_us - self.interval_us))
            if gap_us > 1.5 * self.interval_us:
                self.missed += round(gap_us / self.interval_us) - 1
        if item.vrid in self._awaited:
            priorities, since_us = self._awaited[item.vrid]
            if item.priority in priorities:
                del self._awaited[item.vrid]
                self.reached_ms.append((item.at_us - since_us) / 1000)

    def expect(self, vrid: int, priorities: Iterable[int], since_us: float) -> None:
        """One of these priorities must come for that router."""
        self._awaited[vrid] = (frozenset(priorities), since_us)

    def outstanding(self) -> list[int]:
        """Routers whose new priority has not come; they are waited for no longer."""
        vrids = list(self._awaited)
        self._awaited.clear()
        return vrids

    def silent(self, now_us: float) -> list[int]:
        """Routers of which nothing was heard for ten intervals."""
        return [vrid for vrid, at_us in self._last_us.items() if now_us - at_us > 10 * self.interval_us]


class Sample(NamedTuple):
    """A process at one time: seconds since the start, KiB, numbers, seconds."""

    at_s: float
    pss_kib: int
    rss_kib: int
    descriptors: int
    cpu_s: float


def sample(pid: int, at_s: float) -> Sample:
    """
    Look at a process now.

    Raises:
        OSError: It is gone.
    """
    memory = {"Pss": 0, "Rss": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in memory:
            memory[name] = int(rest.split()[0])
    cpu_s = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
            cpu_s += int((task / "schedstat").read_text().split()[0]) / 1e9
    return Sample(at_s, memory["Pss"], memory["Rss"], len(os.listdir(f"/proc/{pid}/fd")), cpu_s)  # noqa: PTH208  names


@dataclass
class Series:
    """All samples of one process."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    def judged(self) -> list[Sample]:
        """Those after the warm-up."""
        return self.samples[int(len(self.samples) * WARM_UP) :]

    def slope(self, values: Sequence[float]) -> float:
        """Growth of what was judged, per hour, by least squares."""
        times = [one.at_s for one in self.judged()]
        if len(times) < 2:
            return 0.0
        return statistics.linear_regression(times, values).slope * 3600

    def leaks(self) -> list[str]:
        """What grew: the end of the run against its begin, after the warm-up."""
        judged = self.judged()
        tenth = max(1, len(judged) // 10)
        first, last = judged[:tenth], judged[-tenth:]
        found = []
        before, after = (statistics.median(one.rss_kib for one in part) for part in (first, last))
        if after - before > max(GROWTH_KIB, GROWTH_SHARE * before):
            found.append(f"{self.name}: memory grew from {before / 1024:.1f} to {after / 1024:.1f} MiB (RSS)")
        few, many = (max(one.descriptors for one in part) for part in (first, last))
        if many > few + GROWTH_DESCRIPTORS:
            found.append(f"{self.name}: open descriptors grew from {few} to {many}")
        return found

    def cpu_percent(self) -> float:
        """Of a core, over all of it."""
        first, last = self.samples[0], self.samples[-1]
        return 100 * (last.cpu_s - first.cpu_s) / max(1e-9, last.at_s - first.at_s)

    def as_json(self) -> dict[str, Any]:
        judged = self.judged()
        return {
            "name": self.name,
            "cpu_percent": self.cpu_percent(),
            **{
                key: {
                    "first": values[0],
                    "last": values[-1],
                    "max": max(values),
                    "per_hour": self.slope([getattr(one, key) for one in judged]),
                }
                for key in ("pss_kib", "rss_kib", "descriptors")
                if (values := [getattr(one, key) for one in self.samples])
            },
            "samples": [list(one) for one in self.samples],
        }

    def line(self) -> str:
        told = self.as_json()
        pss, rss, open_now = told["pss_kib"], told["rss_kib"], told["descriptors"]
        return (
            f"  {self.name:<12} PSS {_mib(pss)}, {pss['per_hour'] / 1024:+.2f} an hour; RSS {_mib(rss)}, "
            f"{rss['per_hour'] / 1024:+.2f} an hour; descriptors {open_now['first']} / {open_now['last']} / "
            f"{open_now['max']}; CPU {told['cpu_percent']:.2f} % of a core"
        )


def _mib(told: dict[str, float]) -> str:
    return " / ".join(f"{told[key] / 1024:.1f}" for key in ("first", "last", "max")) + " MiB"
