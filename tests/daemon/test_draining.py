"""`pyvrrp drain`: instances hand over, stay out and come back while the daemon runs on."""

from __future__ import annotations

import json
import signal
from ipaddress import ip_address
from pathlib import Path

import pytest

from pyvrrp.config.load import parse_text
from pyvrrp.daemon.asking import ControlError, request
from pyvrrp.daemon.runtime import RuntimeDirectory
from pyvrrp.errors import UsageError, VrrpError
from tests.daemon.conftest import (
    Daemons,
    advertisements,
    daemons,
    eventually,
    executable,
    instance,
    lines,
    network,
    play,
)
from tests.daemon.test_supervisor import OWN, VIP, Stage, break_next
from tests.netns import Capture, until

__all__ = ["daemons", "network"]

TWO = instance() + instance(name="VI_2", vrid=52, vips=["192.0.2.102/24"])

root = pytest.mark.root


class TwoStage(Stage):
    """Two instances, both MASTER as nobody else is there."""

    def __init__(self) -> None:
        super().__init__(parse_text(TWO).configuration)

    async def drain(self, *names: str, undo: bool = False, wait: bool = True) -> list[str]:
        return await self.supervisor._draining.drain(names, undo=undo, wait=wait)

    async def states(self) -> list[tuple[str, bool]]:
        status = await self.supervisor.status()
        return [(one["state"], one["drained"]) for one in status["instances"]]


def test_one_instance_leaves_and_comes_back() -> None:
    stage = TwoStage()

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            assert await stage.drain("VI_1") == ["VI_1"]
            assert await stage.states() == [("INITIALIZE", True), ("MASTER", False)]
            assert not stage.has_vip()
            assert stage.system.has_address(ip_address("192.0.2.102"))
            assert stage.log.has("Draining: VI_1$")
            assert await stage.drain("VI_1", undo=True) == ["VI_1"]
            await stage.entered("MASTER", 3)
            assert await stage.states() == [("MASTER", False), ("MASTER", False)]
            assert stage.log.has("Taking part again: VI_1$")

    play(stage.world, scene())


def test_all_leave_and_a_reload_adds_nothing_that_serves() -> None:
    stage = TwoStage()

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            assert await stage.drain() == ["VI_1", "VI_2"]
            stage.configuration = parse_text(
                TWO.replace("priority 100", "priority 120") + instance(name="VI_3", vrid=53, vips=["192.0.2.103/24"])
            ).configuration
            assert await stage.supervisor.reload()
            assert await stage.states() == [("INITIALIZE", True)] * 3
            assert (await stage.supervisor.status())["daemon"]["drained"] is True
            await stage.drain("VI_2", undo=True)
            assert [drained for _, drained in await stage.states()] == [True, False, True]
            await stage.drain(undo=True)
            await stage.entered("MASTER", 5)
            assert (await stage.supervisor.status())["daemon"]["drained"] is False

    play(stage.world, scene())


def test_a_renamed_instance_stays_drained() -> None:
    """An instance is what it advertises, not what it is called."""
    stage = TwoStage()

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            await stage.drain("VI_1")
            stage.configuration = parse_text(TWO.replace("VI_1", "VI_9")).configuration
            assert await stage.supervisor.reload()
            assert await stage.states() == [("INITIALIZE", True), ("MASTER", False)]
            assert await stage.drain("VI_9", undo=True) == ["VI_9"]

    play(stage.world, scene())


@pytest.mark.parametrize("everything", [False, True])
def test_what_is_drained_stays_so_in_a_new_engine(everything: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = TwoStage()

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            if everything:
                await stage.drain()
                await stage.drain("VI_2", undo=True)
                await stage.entered("MASTER", 3)
            else:
                await stage.drain("VI_1")
            break_next(stage.system, "now_us", monkeypatch)
            await eventually(lambda: stage.log.has("the engine failed"), "it fails")
            await stage.entered("MASTER", 4 if everything else 3)
            assert await stage.states() == [("INITIALIZE", True), ("MASTER", False)]

    play(stage.world, scene())


def test_who_does_not_exist_is_not_drained() -> None:
    stage = TwoStage()

    async def scene() -> None:
        async with stage.serving():
            with pytest.raises(UsageError, match="no instance is called 'VI_3'; there are: VI_1, VI_2"):
                await stage.drain("VI_1", "VI_3")
            assert [drained for _, drained in await stage.states()] == [False, False]

    play(stage.world, scene())


def test_a_wait_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = TwoStage()
    monkeypatch.setattr("pyvrrp.daemon.draining._settled", lambda *_, **__: False)

    async def scene() -> None:
        async with stage.serving():
            assert await stage.drain("VI_1", wait=False) == ["VI_1"]
            with pytest.raises(VrrpError, match="not all of it has happened within 10 s: VI_1"):
                await stage.drain("VI_1")

    play(stage.world, scene())


def test_a_request_that_makes_no_sense(tmp_path: Path) -> None:
    """The control socket takes names only."""
    runtime = RuntimeDirectory.acquire(tmp_path / "run", "one")
    stage = Stage(runtime=runtime)

    async def scene() -> None:
        import asyncio

        async with stage.serving():
            with pytest.raises(ControlError, match="instances is a list of names"):
                await asyncio.to_thread(request, runtime.socket_path, "drain", instances="VI_1")

    play(stage.world, scene())
    runtime.release()


@root
def test_the_command(daemons: Daemons) -> None:
    """Priority 0 goes out, the address goes, STOP is told; after --undo all is as it was."""
    log = daemons.directory / "notified"
    notify = executable(daemons.directory / "notify", f'echo "$3" >> {log}')
    with Capture(daemons.peer) as capture:
        daemon = daemons.start(instance(f"notify {notify}"), "-G").enters("MASTER")
        until(lambda: lines(log) == ["BACKUP", "MASTER"], "notified")
        ask = ("--runtime-dir", str(daemons.runtime), "VI_1")
        done = daemons.run("drain", "--wait", "--json", *ask)
        assert json.loads(done.stdout) == {"instances": ["VI_1"], "drained": True, "waited": True}
        assert daemons.namespace.addresses() == {OWN}
        assert advertisements(capture)[-1] == (51, 0)
        status = daemons.run("status", "--runtime-dir", str(daemons.runtime)).stdout
        assert "VI_1  INITIALIZE  for" in status
        assert ", drained)" in status
        until(lambda: lines(log) == ["BACKUP", "MASTER", "STOP"], "STOP is told")
        daemon.reload(instance(f"notify {notify}", priority=150))
        assert daemon.instance()["state"] == "INITIALIZE"
        assert daemons.run("drain", "--undo", *ask).stdout == "taking part again: VI_1\n"
        daemon.enters("MASTER", count=2)
        until(lambda: VIP in daemons.namespace.addresses(), "it serves again")
        assert daemons.run("drain", *ask).stdout == "handing over: VI_1\n"
        until(lambda: VIP not in daemons.namespace.addresses(), "it is out again")
        until(lambda: lines(log)[-1] == "STOP", "STOP is told")
    said = lines(log)
    assert daemon.end(signal.SIGTERM) == 0
    assert lines(log) == said  # it has stopped already
    refused = daemons.run("drain", "--runtime-dir", str(daemons.runtime), check=False)
    assert refused.returncode == 1
