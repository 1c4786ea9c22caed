"""Script trackers with real scripts; how children end is in test_children."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pyvrrp.config.model import Command, TcpTarget, VrrpScript
from pyvrrp.errors import UsageError
from pyvrrp.trackers.base import TrackerNotice, TrackerReport, TrackerResult
from pyvrrp.trackers.script import ScriptTracker

LONG_US = 60_000_000


class Watched:
    """A tracker that runs a script whose text can be changed."""

    def __init__(self, path: Path, body: str, *, head: str = "#!/bin/sh\n", **settings: int) -> None:
        self.path = path / "check.sh"
        self.head = head
        self.write(body)
        values: dict[str, int] = {"interval_us": 20_000, "timeout_us": LONG_US, **settings}
        script = VrrpScript("chk", Command((str(self.path),)), **values)  # type: ignore[arg-type]
        self.reports: asyncio.Queue[TrackerReport] = asyncio.Queue()
        self.tracker = ScriptTracker(script, self.reports.put_nowait)
        self.task = asyncio.create_task(self.tracker.run())

    def write(self, body: str) -> None:
        # A script that is being written to cannot be run (ETXTBSY), so it is put in place whole.
        new = self.path.with_suffix(".new")
        new.write_text(self.head + body)
        new.chmod(0o755)
        new.replace(self.path)

    async def result(self) -> TrackerResult:
        """The next result; a busy machine may skip runs, which is no matter here."""
        while not isinstance(report := await self.reports.get(), TrackerResult):
            pass
        return report

    async def notice(self) -> TrackerNotice:
        while not isinstance(report := await self.reports.get(), TrackerNotice):
            pass
        return report

    async def end(self) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


@pytest.mark.asyncio
async def test_the_first_run_is_at_once(tmp_path: Path) -> None:
    """With an interval of an hour nothing else would come."""
    watched = Watched(tmp_path, "exit 0", interval_us=3_600_000_000)
    assert await watched.result() == TrackerResult("chk", up=True, reason="exited with status 0", exit_code=0)
    await watched.end()


@pytest.mark.asyncio
async def test_failure_says_why_and_shows_its_output(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "echo all is well")
    assert await watched.result() == TrackerResult("chk", up=True, reason="exited with status 0", exit_code=0)
    watched.write("echo it is broken >&2; exit 7")
    assert await watched.result() == TrackerResult(
        "chk", up=False, reason="exited with status 7", exit_code=7, output="it is broken"
    )
    watched.write("kill -9 $$")
    assert await watched.result() == TrackerResult("chk", up=False, reason="ended by signal 9 (SIGKILL)", signal=9)
    watched.path.unlink()
    reason = f"cannot run {watched.path}: No such file or directory (ENOENT)"
    assert await watched.result() == TrackerResult("chk", up=False, reason=reason)
    watched.write("exit 0")
    assert (await watched.result()).up
    await watched.end()


@pytest.mark.asyncio
async def test_a_script_that_hangs_fails_when_its_time_is_up(tmp_path: Path) -> None:
    """It ignores SIGTERM: the verdict comes all the same, before the script is gone."""
    watched = Watched(tmp_path, "trap '' TERM; while :; do sleep 1000; done", timeout_us=50_000)
    result = await watched.result()
    assert (result.up, result.timed_out, result.reason) == (False, True, "timed out after 0.05 s")
    await watched.end()


@pytest.mark.asyncio
async def test_a_run_that_is_due_too_early_is_skipped_and_said(tmp_path: Path) -> None:
    """One run goes on until it is let go; none starts beside it."""
    go, runs = tmp_path / "go", tmp_path / "runs"
    os.mkfifo(go)
    watched = Watched(tmp_path, f"echo run >> {runs}; read line < {go}; exit 0")
    assert await watched.notice() == TrackerNotice(
        "chk", "still running when its next run was due after 0.02 s; that run is skipped"
    )
    watched.write("exit 0")
    # Opening to write waits for the script, so it has started and has not ended.
    await asyncio.to_thread(go.write_text, "on\n")
    assert (await watched.result()).up
    assert runs.read_text() == "run\n"
    await watched.end()


@pytest.mark.asyncio
async def test_a_script_without_its_first_line_is_warned_about_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "exit 0", head="")
    assert await watched.notice() == TrackerNotice("chk", f"{watched.path} has no '#!' line and is run by /bin/sh")
    assert (await watched.result()).up
    watched.write("exit 1")
    while not isinstance(report := await watched.reports.get(), TrackerResult):
        assert "#!" not in report.text
    assert not report.up
    await watched.end()


@pytest.mark.asyncio
async def test_fall_counts_real_runs(tmp_path: Path) -> None:
    """fall 3: the exit status is news at once, the verdict with the third failure."""
    count = tmp_path / "count"
    watched = Watched(tmp_path, "exit 0", fall=3)
    assert (await watched.result()).up
    watched.write(f"echo >> {count}; exit 1")
    assert (await watched.result()).up
    assert not (await watched.result()).up
    assert len(count.read_text()) >= 3
    await watched.end()


def test_a_script_without_a_command() -> None:
    with pytest.raises(UsageError, match="no command"):
        ScriptTracker(VrrpScript("chk", tcp=TcpTarget(80)), print)
