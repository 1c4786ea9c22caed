"""
Checks that count only while their instance is MASTER, as that of a port on a virtual address.

Elsewhere the address is another node's, or nobody's: a check of it would find the wrong service, or none, and would
hold every node in FAULT. So it runs from a take-over to its end. What follows from that:

* **A service may need the address before it can listen on it**, or be started by the notify script. For
  `grace_s` after a take-over (three intervals, 5 s at least) no failure counts; a success counts at once. Later the
  check has its own `fall`.
* **The end of being MASTER is known here a moment late.** A look in that moment finds the successor's service. So a
  failure counts only when the instance is still MASTER `CONFIRM_S` after it, and nothing better was found.
* **A node in FAULT cannot see its check succeed**, for it is MASTER no more. So a fault has a term, after which the
  node is BACKUP again and the election decides: with a lower priority, or `nopreempt`, it waits until it is needed;
  one that preempts takes over and is checked again.
* **Such a node must not flap with its peer.** Each try costs clients up to the grace plus `fall` intervals, so the term
  begins with `HOLD_S` and doubles up to `HOLD_MAX_S`: a preferred node whose service stays down takes at most two
  hundredths of the time from its peer. A check that has held for as long as the last term starts from the beginning.
* **The bound is small because the service may be down everywhere.** Then every node is in its term, and nobody serves
  for at most `HOLD_MAX_S` after the service is back. That is `preempt_delay 300`, which pods have anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pyvrrp.config.model import VrrpScript
from pyvrrp.protocol.constants import US_PER_S
from pyvrrp.trackers.base import Report, Tracker, TrackerNotice, TrackerReport, TrackerResult

HOLD_S: Final = 30.0
HOLD_MAX_S: Final = 300.0
CONFIRM_S: Final = 0.5
GRACE_S: Final = 5.0
GRACE_INTERVALS: Final = 3

OFF_DUTY: Final = "checked as MASTER only"


class Duty:
    """
    Runs a check while there is duty, and keeps its instance out for a term after a failure.

    Args:
        script: The check.
        make: Makes a tracker for it; each take-over has a new one.
        report: Told of verdicts that count, and of notices. *up* None means: nothing is held against the instance.
        quiet: Told of what need not be in the log.
    """

    def __init__(
        self,
        script: VrrpScript,
        make: Callable[[Report], Tracker],
        report: Report,
        quiet: Callable[[TrackerResult], None],
    ) -> None:
        self.name = script.name
        self.grace_s = max(GRACE_S, GRACE_INTERVALS * script.interval_us / US_PER_S)
        self.note = OFF_DUTY
        self._against = script.reverse
        self._make = make
        self._report = report
        self._quiet = quiet
        self._on_duty = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._verdict: TrackerResult | None = None
        self._doubtful: TrackerResult | None = None
        self._believe_at: asyncio.TimerHandle | None = None
        self._counts_from = 0.0
        self._good_from: float | None = None
        self._good_for_s = 0.0
        self._hold_s = 0.0

    def serve(self, *, on_duty: bool) -> None:
        """An instance that is checked is MASTER, or none is."""
        if on_duty:
            self._on_duty.set()
            return
        self._on_duty.clear()
        self._withdraw()
        if self._running is not None:
            self._running.cancel()

    async def run(self) -> None:
        """
        Check whenever there is duty, until cancelled.

        Raises:
            Exception: Whatever ended the tracker; may be called again then.
        """
        while True:
            if self._verdict is not None and self._verdict.up is self._against:  # also if an error ended the check
                await self._stay_out()
            self._quiet(TrackerResult(self.name, None, OFF_DUTY))
            self.note = OFF_DUTY
            await self._duty()
            self.note = ""
            await self._check()

    async def _duty(self) -> None:
        """Wait for duty; that may be over before whoever waits for its beginning comes to run."""
        while not self._on_duty.is_set():
            await self._on_duty.wait()

    async def _check(self) -> None:
        """Check until there is no duty."""
        loop = asyncio.get_running_loop()
        self._verdict = self._good_from = None
        self._good_for_s = 0.0
        self._counts_from = loop.time() + self.grace_s
        running = self._running = loop.create_task(self._make(self._hear).run(), name=f"check {self.name}")
        try:
            await asyncio.wait({running})
            if not running.cancelled():
                running.result()
        finally:
            self._running = None
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._withdraw()
            self._forgive(loop.time())

    def _forgive(self, now: float) -> None:
        """A check that has held to the end of the duty for as long as the last term starts from the beginning."""
        if self._good_from is not None and now - self._good_from >= self._hold_s:
            self._hold_s = 0.0

    def _hear(self, report: TrackerReport) -> None:
        if isinstance(report, TrackerNotice):
            self._report(report)
            return
        now = asyncio.get_running_loop().time()
        if report.up is not self._against:
            self._good_from = now if self._good_from is None else self._good_from
        elif self._good_from is not None:
            self._good_for_s, self._good_from = now - self._good_from, None
        if report.up is self._against and (self._verdict is None or self._verdict.up is not self._against):
            self._doubt(report, now)
            return
        self._withdraw()
        self._verdict = report
        self._report(report)

    def _doubt(self, report: TrackerResult, now: float) -> None:
        """Keep a failure back until it counts."""
        if self._believe_at is None:
            at = max(self._counts_from, now + CONFIRM_S)
            self._believe_at = asyncio.get_running_loop().call_at(at, self._believe)
        self._doubtful = report
        if now < self._counts_from:
            self._quiet(replace(report, up=None, reason=f"{report.reason}; counts {self.grace_s:g} s after take-over"))

    def _believe(self) -> None:
        self._verdict = self._doubtful
        self._withdraw()
        if self._verdict is not None:
            self._report(self._verdict)

    def _withdraw(self) -> None:
        self._doubtful = None
        if self._believe_at is not None:
            self._believe_at.cancel()
            self._believe_at = None

    async def _stay_out(self) -> None:
        """Keep the verdict for its term, or until there is duty all the same: weights do not forbid it."""
        if self._good_for_s >= self._hold_s:
            self._hold_s = 0.0
        self._hold_s = min(HOLD_MAX_S, 2 * self._hold_s or HOLD_S)
        self.note = f"kept for {self._hold_s:g} s"
        self._report(
            TrackerNotice(
                self.name, f"failed as MASTER, and only a MASTER is checked: that counts for {self._hold_s:g} s"
            )
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._hold_s):
                await self._duty()
        self._verdict = None
        if not self._on_duty.is_set():
            self._report(TrackerResult(self.name, None, "no longer counts as failed"))
