"""
What a tracker is: a task that watches one thing and reports a verdict.

* A report is made for the first verdict and whenever verdict, exit status or reason change, never for each run.
* Trackers do not log: what people should read is in the values they report.
* Whatever a callback or a check raises ends `run`, so that the task's owner sees it.
"""

from __future__ import annotations

import abc
import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from pyvrrp.config.model import VrrpScript
from pyvrrp.errors import UsageError
from pyvrrp.protocol.constants import US_PER_S


@dataclass(frozen=True, slots=True)
class TrackerResult:
    """
    What a tracker knows now.

    Attributes:
        name: The tracker's name; for interfaces the interface's.
        up: Verdict after rise and fall; None as long as there is none.
        reason: What the last look found, for people: `exited with status 1`.
        exit_code: Exit status of the last run, None where there was none.
        signal: Signal that ended the last run, or None.
        timed_out: The last run was ended because it took too long.
        output: End of what a failing program printed.
    """

    name: str
    up: bool | None
    reason: str
    exit_code: int | None = None
    signal: int | None = None
    timed_out: bool = False
    output: str = ""


@dataclass(frozen=True, slots=True)
class TrackerNotice:
    """Something about a tracker that people should know and that changes no verdict: a skipped run, for example."""

    name: str
    text: str


TrackerReport: TypeAlias = TrackerResult | TrackerNotice
Report: TypeAlias = Callable[[TrackerReport], None]


class Tracker(Protocol):
    """Something with a name that runs until it is cancelled."""

    @property
    def name(self) -> str:
        """Name for logs and status."""
        ...

    async def run(self) -> None:
        """Watch and report until cancelled."""
        ...


class RiseFall:
    """
    Verdict out of single results: up after *rise* successes in a row, down after *fall* failures in a row.

    One counter from 0 to rise + fall - 1 holds it all: from *rise* on the verdict is up. The first result of all
    decides alone, whatever *rise* and *fall* say, unless *init_fail* has decided already, or *up* says what the verdict
    was before.

    Source:
        keepalived's `vrrp_script`; there *init_fail* has no effect.
    """

    def __init__(self, rise: int = 1, fall: int = 1, *, init_fail: bool = False, up: bool | None = None) -> None:
        if rise < 1 or fall < 1:
            raise UsageError(f"rise {rise} and fall {fall} must be at least 1")
        self.rise = rise
        self.fall = fall
        self._counter: int | None = 0 if init_fail else None
        if up is not None:
            self._counter = rise + fall - 1 if up else 0

    @property
    def counter(self) -> int | None:
        """Where the counter stands; None before the first result."""
        return self._counter

    @property
    def up(self) -> bool | None:
        """The verdict."""
        return None if self._counter is None else self._counter >= self.rise

    def record(self, *, success: bool) -> bool:
        """
        Take in one result.

        Returns:
            The verdict changed; the first one is a change too.
        """
        before = self.up
        if success:
            self._counter = (
                self._counter + 1
                if self._counter is not None and self._counter < self.rise - 1
                else self.rise + self.fall - 1
            )
        else:
            self._counter = self._counter - 1 if self._counter is not None and self._counter > self.rise else 0
        return self.up is not before


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a check found; the fields are those of `TrackerResult`."""

    success: bool
    reason: str
    exit_code: int | None = None
    signal: int | None = None
    timed_out: bool = False
    output: str = ""


def next_run(number: int, elapsed_s: float, interval_s: float) -> int:
    """
    Which run of a fixed schedule comes next.

    Args:
        number: The run that has just ended; run n is due n intervals after the first one.
        elapsed_s: Time since the first run was due.
        interval_s: The period.

    Returns:
        The first later run that is not yet overdue: those that fell due meanwhile are skipped, not made up for.
    """
    return max(number + 1, math.ceil(elapsed_s / interval_s))


class PeriodicCheck(abc.ABC):
    """
    A check that starts anew every interval, on a schedule that does not drift.

    The first run is at once. A run that is due while the one before goes on is skipped; the first such run after
    one that ended in time is reported.

    Args:
        script: Its `vrrp_script` block.
        report: Told what is new.
        up: The verdict to go on from, that of the same check before its block changed; None starts without one.
    """

    def __init__(self, script: VrrpScript, report: Report, *, up: bool | None = None) -> None:
        if script.interval_us <= 0:
            raise UsageError(f"script {script.name}: the interval must be more than 0")
        self.script = script
        self.interval_s = script.interval_us / US_PER_S
        self.timeout_s = self.interval_s if script.timeout_us is None else script.timeout_us / US_PER_S
        self.result: TrackerResult | None = None
        self._report = report
        self._verdict = RiseFall(script.rise, script.fall, init_fail=script.init_fail, up=up)
        self._assumed = script.init_fail and up is None
        self._late = False  # the run going on has made others be skipped
        self._was_late = False  # the one before it had

    @property
    def name(self) -> str:
        """Name of the `vrrp_script` block."""
        return self.script.name

    @abc.abstractmethod
    async def check(self) -> None:
        """Run the check once: call `settle` as soon as its result is known, return when the next run may start."""

    def settle(self, outcome: Outcome) -> None:
        """Take in the result of one run, and report if anything is new."""
        self._verdict.record(success=outcome.success)
        self._publish(
            TrackerResult(
                self.name,
                self._verdict.up,
                outcome.reason,
                outcome.exit_code,
                outcome.signal,
                outcome.timed_out,
                outcome.output,
            )
        )

    def notice(self, text: str) -> None:
        """Report something that changes no verdict."""
        self._report(TrackerNotice(self.name, text))

    async def run(self) -> None:
        """Check until cancelled."""
        loop = asyncio.get_running_loop()
        first = loop.time()
        number = 0
        if self._assumed and self.result is None:
            self._publish(TrackerResult(self.name, self._verdict.up, "assumed to fail until it succeeds (init_fail)"))
        while True:
            following = next_run(number, loop.time() - first, self.interval_s)
            overdue = loop.call_at(first + following * self.interval_s, self._overdue)
            self._was_late, self._late = self._late, False
            try:
                await self.check()
            finally:
                overdue.cancel()
            number = next_run(number, loop.time() - first, self.interval_s)
            await asyncio.sleep(first + number * self.interval_s - loop.time())

    def _publish(self, result: TrackerResult) -> None:
        before, self.result = self.result, result
        # What a failing program prints may hold a date or a counter: that alone is no news.
        if before is None or replace(before, output="") != replace(result, output=""):
            self._report(result)

    def _overdue(self) -> None:
        self._late = True
        if not self._was_late:
            self.notice(f"still running when its next run was due after {self.interval_s:g} s; that run is skipped")
