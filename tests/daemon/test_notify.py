"""Notify scripts: which words, in which order, and what happens when they are slow."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pyvrrp.config.model import Command, Notify
from pyvrrp.daemon import notify as module
from pyvrrp.daemon.notify import Notification, Notifier, NotifyReport, invocations
from tests.children import no_child_left

LONG_S = 60.0

__all__ = ["no_child_left"]


class Stage:
    """Scripts that write down how they were called, and a notifier that runs them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log"
        self.log.touch()
        self.reports: list[NotifyReport] = []
        self.news = asyncio.Event()
        self.notifier = Notifier(self.hear)

    def hear(self, report: NotifyReport) -> None:
        self.reports.append(report)
        self.news.set()

    def script(self, name: str, body: str = "") -> Command:
        path = self.path / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> {self.log}\n{body}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return Command((str(path),))

    @property
    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    async def logged(self, line: str) -> None:
        async with asyncio.timeout(LONG_S):
            while line not in self.lines:  # noqa: ASYNC110  what a child does comes with no event
                await asyncio.sleep(0.01)

    async def reported(self, count: int) -> None:
        async with asyncio.timeout(LONG_S):
            while len(self.reports) < count:
                self.news.clear()
                await self.news.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Notifier]:
        task = asyncio.create_task(self.notifier.run())
        try:
            yield self.notifier
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


@pytest.fixture(name="stage")
def _stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


A, B, C, D, E = (Command((word,)) for word in "abcde")
WORDS = ("INSTANCE", "V1", "MASTER", "150")


@pytest.mark.parametrize(
    ("state", "notify", "expected"),
    [
        ("MASTER", Notify(A, B, C, D, E), ((A, ()), (E, ("INSTANCE", "V1", "MASTER", "150")))),
        ("BACKUP", Notify(A, B, C, D, E), ((B, ()), (E, ("INSTANCE", "V1", "BACKUP", "150")))),
        ("FAULT", Notify(A, B, C, D, E), ((C, ()), (E, ("INSTANCE", "V1", "FAULT", "150")))),
        ("STOP", Notify(A, B, C, D, E), ((D, ()), (E, ("INSTANCE", "V1", "STOP", "150")))),
        ("DELETED", Notify(A, B, C, D, E), ((E, ("INSTANCE", "V1", "DELETED", "150")),)),
        ("MASTER", Notify(backup=B), ()),
        ("MASTER", Notify(master=A), ((A, ()),)),
    ],
)
def test_which_scripts_run(state: str, notify: Notify, expected: tuple[tuple[Command, tuple[str, ...]], ...]) -> None:
    assert invocations(Notification("V1", state, 150), notify) == expected


def test_a_group_has_priority_0_and_its_own_word() -> None:
    group = Notification("G1", "MASTER", 0, kind="GROUP")
    assert invocations(group, Notify(any=E)) == ((E, ("GROUP", "G1", "MASTER", "0")),)


def test_variables() -> None:
    """What is not known is not set; a NUL or a novel would keep the script from starting."""
    assert Notification("V1", "MASTER", 150).environment == {
        "PYVRRP_KIND": "INSTANCE",
        "PYVRRP_INSTANCE": "V1",
        "PYVRRP_STATE": "MASTER",
        "PYVRRP_PRIORITY": "150",
    }
    full = Notification("V1", "FAULT", 150, "INSTANCE", "MASTER", "a\0" + "b" * 9000, 51, "eth0").environment
    assert full["PYVRRP_PREVIOUS_STATE"] == "MASTER"
    assert full["PYVRRP_VRID"] == "51"
    assert full["PYVRRP_INTERFACE"] == "eth0"
    assert full["PYVRRP_REASON"] == "a?" + "b" * 4094


@pytest.mark.asyncio
async def test_words_variables_and_report(stage: Stage) -> None:
    master = stage.script("master", f'echo "$PYVRRP_REASON/$PYVRRP_PREVIOUS_STATE/$PYVRRP_VRID" >> {stage.log}')
    general = stage.script("general", "exit 3")
    event = Notification("V1", "MASTER", 150, previous_state="BACKUP", reason="no master heard", vrid=51)
    async with stage.running() as notifier:
        notifier.tell(event, Notify(master=Command((*master.argv, "own word")), any=general))
        await notifier.drain()
    assert stage.lines == ["master own word", "no master heard/BACKUP/51", "general INSTANCE V1 MASTER 150"]
    first, second = stage.reports
    assert (first.notification, first.argv) == (event, (*master.argv, "own word"))
    assert first.result is not None
    assert first.result.succeeded
    assert first.text.startswith("exited with status 0, 0.")
    assert second.argv == (*general.argv, *WORDS)
    assert second.text.startswith("exited with status 3, ")


@pytest.mark.asyncio
async def test_events_of_one_instance_keep_their_order(stage: Stage) -> None:
    """The first is the slowest; the general script of an event comes before the next event."""
    notify = Notify(
        master=stage.script("master", "sleep 0.1"), backup=stage.script("backup"), any=stage.script("general")
    )
    for state in ("BACKUP", "MASTER", "BACKUP"):
        stage.notifier.tell(Notification("V1", state, 100), notify)
    async with stage.running() as notifier:
        await notifier.drain()
    assert stage.lines == [
        "backup",
        "general INSTANCE V1 BACKUP 100",
        "master",
        "general INSTANCE V1 MASTER 100",
        "backup",
        "general INSTANCE V1 BACKUP 100",
    ]


@pytest.mark.asyncio
async def test_instances_do_not_wait_for_each_other(stage: Stage) -> None:
    """The script of V1 ends only when that of V2 lets it."""
    fifo = stage.path / "fifo"
    os.mkfifo(fifo)
    async with stage.running() as notifier:
        notifier.tell(Notification("V1", "MASTER", 100), Notify(any=stage.script("one", f"read line < {fifo}")))
        notifier.tell(Notification("V2", "MASTER", 100), Notify(any=stage.script("two", f"echo on > {fifo}")))
        await notifier.drain()
    assert {report.text.partition(",")[0] for report in stage.reports} == {"exited with status 0"}


@pytest.mark.asyncio
async def test_a_script_that_cannot_start_is_reported_and_the_next_one_runs(stage: Stage) -> None:
    async with stage.running() as notifier:
        notifier.tell(
            Notification("V1", "FAULT", 100),
            Notify(fault=Command((f"{stage.path}/none",)), any=stage.script("general")),
        )
        await notifier.drain()
    assert stage.reports[0].text == f"cannot run {stage.path}/none: No such file or directory (ENOENT)"
    assert stage.lines == ["general INSTANCE V1 FAULT 100"]


@pytest.mark.asyncio
async def test_a_script_without_its_first_line_is_warned_about(stage: Stage) -> None:
    plain = stage.path / "plain"
    plain.write_text("exit 0\n")
    plain.chmod(0o755)
    async with stage.running() as notifier:
        notifier.tell(Notification("V1", "FAULT", 100), Notify(any=Command((str(plain),))))
        await notifier.drain()
    assert stage.reports[0].text.endswith("has no '#!' line and is run by /bin/sh")


@pytest.mark.asyncio
async def test_a_hanging_script_is_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANG_LIMIT_S", 0.05)
    async with stage.running() as notifier:
        notifier.tell(Notification("V1", "MASTER", 100), Notify(any=stage.script("hang", "sleep 1000")))
        await notifier.drain()
    assert stage.reports[0].text.startswith("timed out after 0.05 s, ")


@pytest.mark.asyncio
@pytest.mark.parametrize("early", [True, False])
async def test_a_newer_event_shortens_the_time_of_the_one_that_runs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    """Whether it came before the hanging script started or after."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    notify = Notify(master=stage.script("master", "sleep 1000"), fault=stage.script("fault"))
    async with stage.running() as notifier:
        notifier.tell(Notification("V1", "MASTER", 100), notify)
        if not early:
            await stage.logged("master")
        notifier.tell(Notification("V1", "FAULT", 100), notify)
        await notifier.drain()
    assert stage.reports[0].text.startswith("ended: still running 0.05 s after a newer event came, ")
    assert stage.lines[-1] == "fault"


@pytest.mark.asyncio
async def test_too_many_waiting_events_lose_the_oldest(stage: Stage) -> None:
    notify = Notify(any=stage.script("general"))
    for priority in range(1, module.QUEUE_LIMIT + 2):
        stage.notifier.tell(Notification("V1", "MASTER", priority), notify)
    assert [(report.notification.priority, report.result) for report in stage.reports] == [(1, None)]
    assert stage.reports[0].text == "not told: 32 newer events wait, the scripts are too slow"
    async with stage.running() as notifier:
        await notifier.drain()
    assert [line.split()[-1] for line in stage.lines] == [str(number) for number in range(2, 34)]


@pytest.mark.asyncio
async def test_stop_waits_for_nobody_for_long(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is let go of, what waits is dropped, and `close` ends what still runs."""
    monkeypatch.setattr(module, "STOP_WAIT_S", 0.05)
    notify = Notify(
        master=stage.script("master", "sleep 1000"),
        fault=stage.script("fault"),
        stop=stage.script("stop", "sleep 1000"),
        any=stage.script("general"),
    )
    async with stage.running() as notifier:
        notifier.tell(Notification("V1", "MASTER", 100), Notify(master=notify.master))
        await stage.logged("master")
        notifier.tell(Notification("V1", "FAULT", 100), notify)
        notifier.tell(Notification("V1", "STOP", 100), notify)
        await notifier.drain()
        await notifier.close()
    assert stage.lines == ["master", "stop", "general INSTANCE V1 STOP 100"]
    texts = [(report.notification.state, report.text.partition(", 0")[0]) for report in stage.reports]
    assert texts[0] == ("FAULT", "not told: the instance stops")
    assert ("MASTER", "still running, not waited for any longer") in texts
    assert ("STOP", "still running, not waited for any longer") in texts
    ended = [report for report in stage.reports if report.result is not None and report.result.ended]
    assert {report.text.partition(",")[0] for report in ended} == {"ended because the daemon stops"}
    assert {report.notification.state for report in ended} == {"MASTER", "STOP"}


@pytest.mark.asyncio
async def test_close_without_stop_does_not_wait_either(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_WAIT_S", 0.05)
    notify = Notify(master=stage.script("master", "sleep 1000"), any=stage.script("general", "sleep 1000"))
    async with stage.running() as notifier:
        notifier.tell(Notification("V1", "MASTER", 100), notify)
        await stage.logged("master")
        notifier.tell(Notification("V1", "BACKUP", 100), notify)
        await notifier.close()
    assert stage.lines == ["master", "general INSTANCE V1 MASTER 100"]
    assert "not told: the daemon stops" in [report.text for report in stage.reports]


@pytest.mark.asyncio
async def test_cancelling_kills_what_runs(stage: Stage) -> None:
    async with stage.running() as notifier:
        notifier.tell(Notification("V1", "MASTER", 100), Notify(any=stage.script("hang", "trap '' TERM; sleep 1000")))
        await stage.logged("hang INSTANCE V1 MASTER 100")
    await notifier.drain()


@pytest.mark.asyncio
async def test_an_event_without_scripts_is_nothing(stage: Stage) -> None:
    stage.notifier.tell(Notification("V1", "MASTER", 100), Notify(backup=A))
    await stage.notifier.drain()
    assert stage.reports == []
