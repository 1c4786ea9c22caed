"""The engine as a process; its life and death under control are tested in tests/daemon."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pyvrrp.engine import child, paths, process
from pyvrrp.engine.commands import Ask, Command, Configure, Hardening, Reconfigure, Stop, Sync
from pyvrrp.engine.loop import Engine
from pyvrrp.engine.pipe import Pipe
from pyvrrp.engine.reports import KernelFailed, Report, Status, Stopped
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.errors import VrrpError
from pyvrrp.net.system import ReceivePath
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.settings import RouterSettings
from tests.netns import Network, network

__all__ = ["network"]


def test_the_receive_paths_have_the_words_of_the_option() -> None:
    assert ("auto", *ReceivePath) == paths.PATHS


def next_value(pipe: Pipe) -> object:
    """Wait for the engine to say something."""
    while True:
        assert select.select([pipe.fileno()], [], [], 30)[0], "the engine says nothing"
        for value in pipe.receive():
            return value


def settings(name: str, vrid: int) -> InstanceSettings:
    return InstanceSettings(name, "eth0", RouterSettings(vrid, Family.V4))


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Control's and the engine's; the engine runs in this process, and leaves its signals and collector alone."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("gc.freeze", lambda: None)
    monkeypatch.setattr("gc.disable", lambda: None)
    ours, theirs = Pipe.pair()
    with ours, theirs:
        yield ours, theirs


Ends = tuple[socket.socket, socket.socket]


@pytest.mark.root
def test_a_fault_is_told_with_the_place(network: Network, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words reach control in a class that can be read there, where it happened goes along as a note."""

    def fail(*_: object) -> int:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("pyvrrp.engine.loop.Engine.step", fail)
    with network.namespace("a").inside(), closing(Pipe(ends[0])) as control:
        process.entrust(ends[0], ())
        control.send(Ask(1))
        assert child.Child(ends[1]).run() == process.EXIT_CRASHED
        failure = next_value(control)
    assert isinstance(failure, VrrpError)
    assert str(failure) == "ZeroDivisionError: by nothing"
    assert "in fail" in failure.__notes__[0]


@pytest.mark.root
def test_a_kernel_that_refuses_is_told(network: Network, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before it has begun."""
    monkeypatch.setattr("pyvrrp.net.linux.LinuxSystem.monitor", lambda _: 1 / 0)
    with network.namespace("a").inside(), closing(Pipe(ends[0])) as control:
        assert child.Child(ends[1]).run() == process.EXIT_CRASHED
        assert isinstance(next_value(control), VrrpError)


@pytest.mark.root
def test_it_answers_and_stops(network: Network, ends: Ends) -> None:
    with network.namespace("a").inside(), closing(Pipe(ends[0])) as control:
        process.entrust(ends[0], ())
        control.send(Ask(7))
        control.send(Stop(handover=True))
        assert child.Child(ends[1]).run() == 0
        values = control.receive()
    assert isinstance(values[0], Status)
    assert (values[0].token, values[-1]) == (7, Stopped())


@pytest.mark.root
def test_without_control_it_ends_in_order(network: Network, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[object] = []
    original = Engine.command

    def noted(self: Engine, command: Command) -> None:
        commands.append(command)
        original(self, command)

    monkeypatch.setattr(Engine, "command", noted)
    monkeypatch.setattr(child.Vigil, "prepare", lambda _: False)  # a rehearsal has an engine too
    with network.namespace("a").inside():
        process.entrust(ends[0], ())
        ends[0].close()
        assert child.Child(ends[1]).run() == 0
    assert commands == [Stop(handover=True)]


@pytest.mark.root
def test_what_is_never_begun_ends(network: Network, ends: Ends) -> None:
    """Control has read a configuration that is no good: nothing is done, nothing is said."""
    with network.namespace("a").inside():
        ends[0].close()
        assert child.Child(ends[1]).run() == 0


@pytest.mark.root
def test_it_holds_the_locks_it_was_given(network: Network, ends: Ends, tmp_path: Path) -> None:
    """As long as it lives, whatever becomes of control."""
    file = tmp_path / "lock"
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process.entrust(ends[0], [held.fileno()])
    with network.namespace("a").inside():
        one = child.Child(ends[1])
        with file.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ends[0].close()
        assert one.run() == 0
        with file.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for descriptor in one._gifts:
            os.close(descriptor)
        with file.open() as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.root
def test_how_it_is_scheduled_is_the_affair_of_the_process(network: Network, ends: Ends) -> None:
    """The engine itself never hears of it; a refusal is a report."""
    with network.namespace("a").inside(), closing(Pipe(ends[0])) as control:
        process.entrust(ends[0], ())
        control.send(Hardening(rt_priority=1000))
        control.send(Ask(1))
        control.send(Stop())
        assert child.Child(ends[1]).run() == 0
        failed, *others = control.receive()
    assert isinstance(failed, KernelFailed)
    assert "cannot use real-time priority 1000: Invalid argument (EINVAL)" in failed.text
    assert isinstance(others[0], Status)


@pytest.mark.root
def test_a_configuration_may_come_in_short(network: Network, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not change is the engine's own; a `Sync` is answered when it has been done."""
    seen: list[object] = []
    original = Engine.command

    def noted(self: Engine, command: Command) -> None:
        seen.append(command)
        original(self, command)

    monkeypatch.setattr(Engine, "command", noted)
    monkeypatch.setattr(child.Vigil, "prepare", lambda _: False)  # a rehearsal has an engine too
    first = Configure((settings("a", 1), settings("b", 2)))
    second = Configure((settings("b", 2), settings("c", 3), settings("a", 9)))
    short = Reconfigure.of(second, first)
    assert [one.name for one in short.changed] == ["c", "a"]
    with network.namespace("a").inside(), closing(Pipe(ends[0])) as control:
        process.entrust(ends[0], ())
        for command in (first, short, Sync(5), Stop()):
            control.send(command)
        assert child.Child(ends[1]).run() == 0
        values = control.receive()
    assert seen == [first, second, Stop()]
    configured = [command for command in seen if isinstance(command, Configure)]
    assert configured[1].instances[0] is configured[0].instances[1]
    assert isinstance(values[-1], Stopped)


@pytest.mark.root
def test_a_sync_is_answered_with_nothing(network: Network, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """And after the commands before it."""
    with network.namespace("a").inside(), closing(Pipe(ends[0])) as control:
        process.entrust(ends[0], ())
        control.send(Configure((settings("a", 1),)))
        control.send(Sync(5))
        one = child.Child(ends[1])
        original = one._report

        def stop_then(report: Report) -> None:
            original(report)
            if isinstance(report, Status):
                control.send(Stop())

        monkeypatch.setattr(one, "_report", stop_then)
        assert one.run() == 0
        values = control.receive()
    (status,) = (value for value in values if isinstance(value, Status))
    assert (status.token, status.instances, status.interfaces) == (5, (), {})
    assert values.index(status) > 0  # the instance has said that its interface is not there


@pytest.mark.root
def test_reports_that_nobody_reads_are_counted(network: Network, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyvrrp.engine.pipe.WAITING_MAX", -1)
    with network.namespace("a").inside(), closing(Pipe(ends[0])) as control:
        one = child.Child(ends[1])
        one._report(Stopped())
        one._report(Stopped())  # to say so is tried, and lost as well
        monkeypatch.setattr("pyvrrp.engine.pipe.WAITING_MAX", 1000)
        one._report(Stopped())
        lost, *rest = control.receive()
    assert isinstance(lost, KernelFailed)
    assert "3 reports of the engine were lost" in lost.text
    assert rest == [Stopped()]


LEAN = """
import gc, os, sys
from pyvrrp.engine import process
from pyvrrp.engine.pipe import Pipe
from pyvrrp.engine.commands import Ask, Stop
before = set(sys.modules)
pid, sock = process.start("lean")
if pid: pass
process.entrust(sock, ())
pipe = Pipe(sock)
pipe.send(Ask(1)); pipe.send(Stop())
os.waitpid(pid, 0)
"""


@pytest.mark.root
def test_what_it_imports_is_little(network: Network) -> None:
    """Each of these costs milliseconds at the start, and megabytes; the list is what a whole life has imported."""
    code = "import os; end = os._exit\ndef shown(code):\n import sys; print(*sys.modules, flush=True); end(code)\n"
    code += "os._exit = shown\n" + LEAN
    with network.namespace("a").inside():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert {"pyvrrp.engine.loop", "pyvrrp.net.linux"} <= modules
    heavy = "asyncio logging argparse structlog pyroute2 ssl json subprocess traceback pathlib concurrent pwd urllib"
    assert modules & {*heavy.split()} == set()
    assert {name for name in modules if name.startswith("pyvrrp.")} & {
        "pyvrrp.config",
        "pyvrrp.daemon",
        "pyvrrp.api",
    } == set()


# Waiting


@pytest.fixture
def waiter() -> Iterator[tuple[child.Waiter, socket.socket]]:
    ours, theirs = Pipe.pair()
    with ours, theirs, closing(child.Waiter(ours.fileno())) as made:
        yield made, theirs


def test_the_wait_has_microseconds(waiter: tuple[child.Waiter, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits in select(2), which is asked for exactly the time wanted."""
    asked: list[float] = []

    def noted(*arguments: object) -> tuple[list[int], list[int], list[int]]:
        asked.append(arguments[3])  # type: ignore[arg-type]
        return [], [], []

    monkeypatch.setattr("select.select", noted)
    assert not waiter[0].wait(0.000_2, writing=False)[0]
    assert asked == [0.000_2]


def test_the_pipe_is_heard(waiter: tuple[child.Waiter, socket.socket]) -> None:
    made, other = waiter
    assert not made.wait(0, writing=False)[0]
    assert not made.wait(30, writing=True)[0]  # at once: it can be written to
    other.send(b"x")
    assert made.wait(30, writing=False)[0]
    made.forget_pipe()
    assert not made.wait(0, writing=True)[0]


@pytest.mark.parametrize("at_least", [0, 1024])
def test_any_descriptor_is_heard(waiter: tuple[child.Waiter, socket.socket], at_least: int) -> None:
    """Also one that select(2) cannot take."""
    made, _ = waiter
    resource_limit(at_least + 100)
    reading, writing = os.pipe()
    high = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, at_least)
    made.watch({high: None})
    assert not made.wait(0, writing=False)[0]
    os.write(writing, b"x")
    assert not made.wait(30, writing=False)[0]  # the time is not over, or the test would be
    made.watch({reading: None})
    assert made._highs == set()
    os.close(high)
    made.watch({})
    os.close(reading)
    os.close(writing)


def test_a_closed_descriptor_is_forgotten(waiter: tuple[child.Waiter, socket.socket]) -> None:
    resource_limit(1200)
    null = os.open(os.devnull, os.O_RDONLY)
    reading, writing = os.pipe()
    high = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, 1024)
    waiter[0].watch({high: None})
    for descriptor in (null, reading, writing, high):
        os.close(descriptor)
    waiter[0].watch({})
    assert not waiter[0].wait(0, writing=False)[0]


def resource_limit(least: int) -> None:
    """That many descriptors may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(least, hard)), hard))
