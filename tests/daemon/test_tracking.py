"""Trackers and their instances: weights, faults, what a start waits for, what a reload keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.config.model import Command as Program
from pyvrrp.config.model import Configuration, TcpTarget, Track, VrrpInstance, VrrpScript
from pyvrrp.daemon.plan import Plan
from pyvrrp.daemon.tracking import Check, Tracking
from pyvrrp.engine.commands import ClearFault, Command, RaiseFault, SetPriority
from pyvrrp.net.simulated import World
from pyvrrp.trackers.base import TrackerReport, TrackerResult
from pyvrrp.trackers.children import ScriptPolicy

POLICY = ScriptPolicy()
LONG_S = 60.0


def script(name: str, command: str = "/bin/true", **more: Any) -> VrrpScript:
    return VrrpScript(name, Program((command,)), interval_us=20_000, timeout_us=60_000_000, **more)


def configuration(*scripts: VrrpScript, priority: int = 100, **tracks: tuple[Track, ...]) -> Configuration:
    """One instance VI_1 that tracks all scripts, or what *tracks* says."""
    tracks.setdefault("track_scripts", tuple(Track(one.name) for one in scripts))
    instance = VrrpInstance("VI_1", 51, "eth0", priority=priority, **tracks)  # type: ignore[arg-type]
    return Configuration(scripts=scripts, instances=(instance,))


class Stage:
    """
    Tracking with a system in memory, whose commands and reports are kept.

    Attributes:
        commands: What the engine would be told.
        verdicts: What was reported, by tracker name.
    """

    def __init__(self) -> None:
        self.system = World().host("r1")
        self.system.add_link("eth0", ip_interface("192.0.2.1/24"))
        self.commands: list[Command] = []
        self.verdicts: list[tuple[str, str, bool | None]] = []
        self.crashes: list[str] = []
        self.source = ip_address("127.0.0.1")
        self._news = asyncio.Event()
        self.tracking = Tracking(
            self.system,
            self.commands.append,
            self._report,
            lambda _: self.source,
            self._crashed,
        )

    def _report(self, kind: str, report: TrackerReport) -> None:
        if isinstance(report, TrackerResult):
            self.verdicts.append((kind, report.name, report.up))
        self._news.set()

    def _crashed(self, name: str, error: BaseException) -> None:
        self.crashes.append(f"{name}: {error!r}")
        self._news.set()

    def start(self, wanted: Configuration, policy: ScriptPolicy = POLICY) -> None:
        self.tracking.start(Plan.of(wanted), policy)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONG_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def verdict(self, name: str, *, up: bool) -> None:
        await self.until(lambda: any(verdict[1:] == (name, up) for verdict in self.verdicts))

    def taken(self) -> list[Command]:
        """Commands since the last call."""
        taken, self.commands[:] = list(self.commands), []
        return taken

    @asynccontextmanager
    async def running(self, wanted: Configuration) -> AsyncIterator[Tracking]:
        self.start(wanted)
        try:
            yield self.tracking
        finally:
            await self.tracking.stop()


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("weight", "reverse", "up", "priority"),
    [
        (10, False, True, 110), (10, False, False, 100),
        (-10, False, True, 100), (-10, False, False, 90),
        (10, True, True, 90), (10, True, False, 100),
        (-10, True, True, 100), (-10, True, False, 110),
        (253, False, True, 254), (-253, False, False, 1),
    ],
)  # fmt: skip
async def test_weights(stage: Stage, weight: int, reverse: bool, up: bool, priority: int) -> None:
    """The table of keepalived.md 3.6; the sum stays within 1-254."""
    chk = script("chk", "/bin/true" if up else "/bin/false", weight=weight, reverse=reverse)
    async with stage.running(configuration(chk)) as tracking:
        assert stage.taken() == [SetPriority("VI_1", 100)]
        assert tracking.checks("VI_1") == (Check("script", "chk", weight, reverse, None, "no result yet"),)
        await stage.verdict("chk", up=up)
        assert stage.taken() == [SetPriority("VI_1", priority)]
        (check,) = tracking.checks("VI_1")
        assert (check.up, check.reason) == (up, f"exited with status {0 if up else 1}")


@pytest.mark.asyncio
@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
async def test_without_a_weight_it_is_a_fault(stage: Stage, up: bool, reverse: bool) -> None:
    """Reversed it is a fault while the check is up."""
    chk = script("chk", "/bin/true" if up else "/bin/false", reverse=reverse)
    async with stage.running(configuration(chk)):
        stage.taken()
        await stage.verdict("chk", up=up)
        word, _ = stage.taken()
        if up == reverse:
            assert word == RaiseFault("VI_1", "script:chk", f"script chk: exited with status {0 if up else 1}")
        else:
            assert word == ClearFault("VI_1", "script:chk")


@pytest.mark.asyncio
async def test_an_owner_keeps_its_priority(stage: Stage) -> None:
    async with stage.running(configuration(script("chk", weight=-10), priority=255)):
        await stage.verdict("chk", up=True)
        assert set(stage.taken()) == {SetPriority("VI_1", 255)}


@pytest.mark.asyncio
async def test_the_weight_of_the_line_wins_over_that_of_the_script() -> None:
    one = script("one", weight=10, reverse=True)
    two = script("two", weight=-5)
    tracks = (Track("one", weight=20, reverse=False), Track("two", weight=0))
    plan = Plan.of(configuration(one, two, track_scripts=tracks))
    assert [(line.weight, line.reverse) for line in plan.instances["VI_1"]] == [(20, False), (0, False)]
    assert plan.awaited("VI_1") == {"script:two"}


def test_a_start_waits_for_all_that_can_be_a_fault() -> None:
    """Also for what is known already: the settings of an instance do not depend on what happened to be known."""
    wanted = configuration(
        script("vital"),
        script("weighted", weight=-5),
        track_scripts=(Track("vital"), Track("weighted"), Track("none")),
        track_interfaces=(Track("eth1"), Track("eth2", weight=10)),
    )
    plan = Plan.of(wanted)
    assert plan.awaited("VI_1") == {"script:vital", "interface:eth1"}
    assert plan.awaited("unknown") == frozenset()
    assert dict(plan.only([]).instances) == {}


@pytest.mark.asyncio
async def test_interfaces(stage: Stage) -> None:
    """With weights as scripts; one that does not exist is down."""
    wanted = configuration(track_interfaces=(Track("eth0", weight=10), Track("eth9")))
    async with stage.running(wanted) as tracking:
        await stage.verdict("eth9", up=False)
        assert stage.taken()[-2:] == [
            RaiseFault("VI_1", "interface:eth9", "interface eth9 does not exist"),
            SetPriority("VI_1", 110),
        ]
        assert [check.up for check in tracking.checks("VI_1")] == [True, False]


@pytest.mark.asyncio
async def test_what_no_instance_tracks_is_not_run(stage: Stage) -> None:
    wanted = configuration(script("used"), script("unused"), track_scripts=(Track("used"),))
    async with stage.running(wanted):
        assert [key for key in stage.tracking._tasks] == [("script", "used")]  # noqa: C416  the keys are the point
        await stage.verdict("used", up=True)


def long_script(path: Path, name: str, body: str, **more: Any) -> VrrpScript:
    """A script that says when it was started, and is not started again."""
    program = path / name
    program.write_text(f"#!/bin/sh\necho {name} >> {path}/started\n{body}\n")
    program.chmod(0o755)
    return VrrpScript(name, Program((str(program),)), interval_us=3_600_000_000, timeout_us=60_000_000, **more)


def started(path: Path) -> list[str]:
    return (path / "started").read_text().split()


@pytest.mark.asyncio
async def test_a_reload_keeps_the_results_of_what_did_not_change(stage: Stage, tmp_path: Path) -> None:
    """
    And tells them again at once; what changed starts anew, but its verdict counts until there is another.

    Else a master whose script takes longer than a peer's preemption would lose its place for a new interval.
    keepalived 2.2.7: "considered successful on reload".
    """
    same, other = long_script(tmp_path, "same", "exit 1"), long_script(tmp_path, "other", "exit 1", weight=-10)
    async with stage.running(configuration(same, other)) as tracking:
        await stage.verdict("same", up=False)
        await stage.verdict("other", up=False)
        tasks = dict(tracking._tasks)
        stage.taken()
        changed = long_script(tmp_path, "other", "exit 1", weight=-20)
        stage.start(configuration(same, changed))
        assert stage.taken() == [
            RaiseFault("VI_1", "script:same", "script same: exited with status 1"),
            SetPriority("VI_1", 80),
        ]
        assert tracking._tasks["script", "same"] is tasks["script", "same"]
        assert tracking._tasks["script", "other"] is not tasks["script", "other"]
        await stage.until(lambda: len(started(tmp_path)) == 3)
        stage.start(configuration(same, long_script(tmp_path, "another", "exit 0", weight=-20)))
        assert stage.taken()[-1] == SetPriority("VI_1", 100)
    assert sorted(started(tmp_path)) == ["other", "other", "same"]


@pytest.mark.asyncio
async def test_another_policy_starts_all_scripts_anew(stage: Stage, tmp_path: Path) -> None:
    wanted = configuration(long_script(tmp_path, "chk", "exit 0"))
    async with stage.running(wanted):
        await stage.verdict("chk", up=True)
        stage.start(wanted)
        stage.start(wanted, ScriptPolicy(umask=0o77))
        await stage.until(lambda: stage.verdicts.count(("script", "chk", True)) == 2)
    assert started(tmp_path) == ["chk", "chk"]


@pytest.mark.asyncio
async def test_what_is_no_longer_tracked_is_forgotten(stage: Stage) -> None:
    """Its program ends, and should it come back it starts without a result."""
    tracked = configuration(script("chk"), track_interfaces=(Track("eth0"),))
    async with stage.running(tracked) as tracking:
        await stage.verdict("chk", up=True)
        await stage.verdict("eth0", up=True)
        stage.start(configuration())
        assert tracking._tasks == {}
        assert tracking._results == {}
        stage.taken()
        stage.start(tracked)
        assert [check.up for check in tracking.checks("VI_1")] == [None, None]
        assert stage.taken() == [SetPriority("VI_1", 100)]


@pytest.mark.asyncio
async def test_a_plan_changes_nothing(stage: Stage) -> None:
    """Until it is started: the configuration may yet be refused."""
    async with stage.running(configuration(script("chk"))) as tracking:
        await stage.verdict("chk", up=True)
        tasks = dict(tracking._tasks)
        stage.taken()
        Plan.of(configuration(script("chk", "/bin/false"), script("new")))
        assert tracking._tasks == tasks
        assert [check.name for check in tracking.checks("VI_1")] == ["chk"]
        assert stage.taken() == []


@pytest.mark.asyncio
async def test_a_new_engine_is_told_all_that_is_known(stage: Stage) -> None:
    async with stage.running(configuration(script("chk", "/bin/false"))) as tracking:
        await stage.verdict("chk", up=False)
        stage.taken()
        tracking.tell_all()
        assert stage.taken() == [
            RaiseFault("VI_1", "script:chk", "script chk: exited with status 1"),
            SetPriority("VI_1", 100),
        ]


@pytest.mark.asyncio
async def test_one_script_for_several_instances(stage: Stage) -> None:
    chk = script("chk", "/bin/false")
    instances = (
        VrrpInstance("A", 1, "eth0", track_scripts=(Track("chk"),)),
        VrrpInstance("B", 2, "eth0", track_scripts=(Track("chk", weight=-7),)),
        VrrpInstance("C", 3, "eth0"),
    )
    async with stage.running(Configuration(scripts=(chk,), instances=instances)) as tracking:
        await stage.verdict("chk", up=False)
        assert stage.taken()[3:] == [
            RaiseFault("A", "script:chk", "script chk: exited with status 1"),
            SetPriority("A", 100),
            SetPriority("B", 93),
        ]
        assert tracking.checks("C") == ()
        assert tracking.checks("unknown") == ()


@pytest.mark.asyncio
async def test_a_port_check_without_an_address_asks_for_that_of_its_instance(stage: Stage) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        chk = VrrpScript("port", tcp=TcpTarget(port), interval_us=20_000, timeout_us=60_000_000)
        async with stage.running(configuration(chk)):
            await stage.verdict("port", up=True)


@pytest.mark.asyncio
async def test_a_tracker_that_crashes_is_said_and_started_again(stage: Stage) -> None:
    def broken() -> Any:
        if len(stage.crashes) < 1:
            raise RuntimeError("our own fault")
        return original()

    original = stage.system.monitor
    stage.system.monitor = broken  # type: ignore[method-assign]
    async with stage.running(configuration(track_interfaces=(Track("eth0"),))):
        await stage.verdict("eth0", up=True)
    assert stage.crashes == ["interface: RuntimeError('our own fault')"]
