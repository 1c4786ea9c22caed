"""Rise and fall by hand, the schedule, and what is reported when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from pyvrrp.config.model import Command, VrrpScript
from pyvrrp.errors import UsageError
from pyvrrp.trackers.base import (
    Outcome,
    PeriodicCheck,
    Report,
    RiseFall,
    TrackerNotice,
    TrackerReport,
    TrackerResult,
    next_run,
)

# rise, fall, init_fail, results (+ success, - failure), counter after each, verdict after each (U up, d down)
RISE_FALL = [
    (1, 1, False, "+-+-", [1, 0, 1, 0], "UdUd"),
    (1, 1, False, "-+", [0, 1], "dU"),
    (1, 3, False, "+---+", [3, 2, 1, 0, 3], "UUUdU"),
    (1, 3, False, "+--+--+---", [3, 2, 1, 3, 2, 1, 3, 2, 1, 0], "UUUUUUUUUd"),
    (3, 1, False, "-+++-", [0, 1, 2, 3, 0], "dddUd"),
    (3, 1, False, "-++-+++", [0, 1, 2, 0, 1, 2, 3], "ddddddU"),
    (2, 3, False, "+---++---", [4, 3, 2, 0, 1, 4, 3, 2, 0], "UUUddUUUd"),
    # The first result decides alone: one success whatever rise, one failure whatever fall.
    (5, 2, False, "+", [6], "U"),
    (2, 5, False, "-", [0], "d"),
    # init_fail has decided already: rise successes are needed.
    (1, 1, True, "+", [1], "U"),
    (3, 2, True, "+++", [1, 2, 4], "ddU"),
    (3, 2, True, "+-+++", [1, 0, 1, 2, 4], "ddddU"),
    (3, 2, True, "-", [0], "d"),
]


@pytest.mark.parametrize(("rise", "fall", "init_fail", "results", "counters", "verdicts"), RISE_FALL)
def test_rise_and_fall(
    *, rise: int, fall: int, init_fail: bool, results: str, counters: list[int], verdicts: str
) -> None:
    verdict = RiseFall(rise, fall, init_fail=init_fail)
    seen: list[int | None] = []
    said = ""
    letters = {None: "?", True: "U", False: "d"}
    before = letters[verdict.up]
    assert before == ("d" if init_fail else "?")
    for result in results:
        changed = verdict.record(success=result == "+")
        now = letters[verdict.up]
        assert changed == (now != before)
        seen.append(verdict.counter)
        said += now
        before = now
    assert (seen, said) == (counters, verdicts)


@pytest.mark.parametrize(("up", "results", "verdicts"), [(True, "---+-", "UUddd"), (False, "+++-+", "ddUUU")])
def test_a_verdict_to_go_on_from(*, up: bool, results: str, verdicts: str) -> None:
    """It is as if that verdict had been settled for long: rise and fall count, and init_fail has nothing to say."""
    verdict = RiseFall(3, 3, init_fail=up, up=up)
    assert verdict.up is up
    said = ""
    for result in results:
        verdict.record(success=result == "+")
        said += "U" if verdict.up else "d"
    assert said == verdicts


@pytest.mark.parametrize(("rise", "fall"), [(0, 1), (1, 0)])
def test_rise_and_fall_are_at_least_one(rise: int, fall: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        RiseFall(rise, fall)


@pytest.mark.parametrize(
    ("number", "elapsed_s", "following"),
    [
        (0, 0.0, 1),  # ended at once
        (0, 1.9, 1),  # ended in time
        (0, 2.0, 1),  # ended when the next one was due: that one runs
        (0, 2.1, 2),  # run 1 was skipped
        (0, 7.0, 4),  # runs 1, 2 and 3 were
        (4, 8.0, 5),
        (4, 7.9, 5),  # woken a little early: never the same run twice
    ],
)
def test_the_schedule_skips_and_does_not_drift(number: int, elapsed_s: float, following: int) -> None:
    """Interval 2 s: run n is due at 2n, whatever the runs before took."""
    assert next_run(number, elapsed_s, 2.0) == following


class Scripted(PeriodicCheck):
    """A check with given outcomes; when they are used up it says so and waits."""

    def __init__(self, script: VrrpScript, report: Report, outcomes: Iterator[Outcome]) -> None:
        super().__init__(script, report)
        self.outcomes = outcomes
        self.done = asyncio.Event()

    async def check(self) -> None:
        try:
            self.settle(next(self.outcomes))
        except StopIteration:
            self.done.set()
            await asyncio.Event().wait()


def script(**changes: int | bool) -> VrrpScript:
    values: dict[str, int | bool] = {"interval_us": 1000, **changes}
    return VrrpScript("chk", Command(("true",)), **values)  # type: ignore[arg-type]


async def played(check_of: Callable[[Report], Scripted]) -> list[TrackerReport]:
    reports: list[TrackerReport] = []
    check = check_of(reports.append)
    task = asyncio.create_task(check.run())
    await check.done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return [report for report in reports if isinstance(report, TrackerResult)]


OK = Outcome(success=True, reason="exited with status 0", exit_code=0)
BAD = Outcome(success=False, reason="exited with status 1", exit_code=1)


@pytest.mark.asyncio
async def test_only_news_are_reported() -> None:
    """Six runs, three reports: the first verdict, the new exit status, the new verdict."""
    outcomes = iter([OK, OK, BAD, BAD, BAD, BAD])
    assert await played(lambda report: Scripted(script(fall=2), report, outcomes)) == [
        TrackerResult("chk", up=True, reason="exited with status 0", exit_code=0),
        TrackerResult("chk", up=True, reason="exited with status 1", exit_code=1),
        TrackerResult("chk", up=False, reason="exited with status 1", exit_code=1),
    ]


@pytest.mark.asyncio
async def test_new_output_alone_is_no_news() -> None:
    outcomes = iter(
        [Outcome(success=False, reason="no", output="12:00"), Outcome(success=False, reason="no", output="12:01")]
    )
    assert await played(lambda report: Scripted(script(), report, outcomes)) == [
        TrackerResult("chk", up=False, reason="no", output="12:00")
    ]


@pytest.mark.asyncio
async def test_init_fail_is_a_verdict_before_the_first_run() -> None:
    outcomes = iter([OK, OK])
    assert await played(lambda report: Scripted(script(rise=2, init_fail=True), report, outcomes)) == [
        TrackerResult("chk", up=False, reason="assumed to fail until it succeeds (init_fail)"),
        TrackerResult("chk", up=False, reason="exited with status 0", exit_code=0),
        TrackerResult("chk", up=True, reason="exited with status 0", exit_code=0),
    ]


class Slow(PeriodicCheck):
    """A check that ends when told."""

    def __init__(self, script: VrrpScript, report: Report) -> None:
        super().__init__(script, report)
        self.started = asyncio.Semaphore(0)
        self.go_on = asyncio.Semaphore(0)
        self.overdue = asyncio.Semaphore(0)

    def _overdue(self) -> None:
        super()._overdue()
        self.overdue.release()

    async def check(self) -> None:
        self.started.release()
        await self.go_on.acquire()
        self.settle(OK)


@pytest.mark.asyncio
async def test_a_skipped_run_is_reported_once_while_runs_are_slow() -> None:
    reports: asyncio.Queue[TrackerReport] = asyncio.Queue()
    check = Slow(script(interval_us=10_000), reports.put_nowait)
    task = asyncio.create_task(check.run())
    await check.started.acquire()
    await check.overdue.acquire()
    notice = await reports.get()
    assert isinstance(notice, TrackerNotice)
    assert "still running" in notice.text
    check.go_on.release()
    assert await reports.get() == TrackerResult("chk", up=True, reason="exited with status 0", exit_code=0)
    await check.started.acquire()
    await check.overdue.acquire()
    assert reports.empty(), "the second slow run in a row is no news"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.asyncio
async def test_what_a_callback_raises_ends_the_task() -> None:
    def refuse(report: TrackerReport) -> None:
        raise RuntimeError(report.name)

    with pytest.raises(RuntimeError, match="chk"):
        await Scripted(script(), refuse, iter([OK])).run()


def test_an_interval_of_nothing() -> None:
    with pytest.raises(UsageError, match="interval"):
        Scripted(script(interval_us=0), print, iter([]))


def test_the_timeout_is_the_interval_unless_said() -> None:
    assert Scripted(script(interval_us=3_000_000), print, iter([])).timeout_s == 3.0
    assert Scripted(script(interval_us=3_000_000, timeout_us=500_000), print, iter([])).timeout_s == 0.5
