"""The adapter to asyncio, with real descriptors: what is watched, when it wakes, and what a crash leaves."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_interface
from pathlib import Path

import pytest

from pyvrrp.engine.commands import Ask, Configure, Stop
from pyvrrp.engine.driver import EngineDriver
from pyvrrp.engine.loop import Engine
from pyvrrp.engine.reports import Entered, Report, Status, Stopped
from pyvrrp.errors import KernelError
from pyvrrp.net.linux import LinuxSystem
from pyvrrp.net.simulated import SimulatedSocket, SimulatedSystem, World
from pyvrrp.net.system import Arrival, Datagram, Link, Readable
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.states import State
from tests.engine.worlds import VIP, advertisement, settings
from tests.netns import Network, why_impossible


class Pipe(SimulatedSocket):
    """A socket of the simulated LAN with a descriptor of its own: readable when something waits."""

    def __init__(self, kernel: LivingSystem, index: int, family: Family, group: IPAddress | None) -> None:
        super().__init__(kernel, index, family, group)
        self.kernel = kernel
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)

    def fileno(self) -> int:
        return self.ours.fileno()

    def close(self) -> None:
        if self.ours.fileno() >= 0:
            self.kernel.pipes.remove(self)
        self.ours.close()
        self.theirs.close()

    def read(self, now_us: int) -> Sequence[Arrival]:
        try:
            count = len(self.ours.recv(64))
        except BlockingIOError:
            count = 0
        return [Arrival(now_us, advertisement("192.0.2.9", 200))] * count

    def send(self, datagrams: Sequence[Datagram]) -> Mapping[int, KernelError]:
        self.kernel.sent += len(datagrams)
        return {}


class LivingSystem(SimulatedSystem):
    """A kernel in memory with a real clock and real descriptors."""

    def __init__(self) -> None:
        super().__init__(World(), "a")
        self.pipes: list[Pipe] = []
        self.sent = 0
        self.world.hosts["a"] = self

    def now_us(self) -> int:
        return time.monotonic_ns() // 1000

    def open_socket(self, link: Link, family: Family, group: IPAddress | None) -> Pipe:
        pipe = Pipe(self, link.index, family, group)
        self.pipes.append(pipe)
        return pipe


class Rig:
    """An engine in the running loop."""

    def __init__(self) -> None:
        self.system = LivingSystem()
        self.system.add_link("eth0", ip_interface("192.0.2.1/24"))
        self.reports: list[Report] = []
        self.crashes: list[Exception] = []
        self.engine = Engine(self.system, self.reports.append)
        self.loop = asyncio.get_running_loop()
        self.driver = EngineDriver(self.engine, self.system, self.loop, self.crashes.append)

    def state(self) -> State | None:
        entered = [report for report in self.reports if isinstance(report, Entered)]
        return entered[-1].transition.state if entered else None


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  the engine tells no event
            await asyncio.sleep(0.001)


def watched(loop: asyncio.AbstractEventLoop) -> set[int]:
    """Descriptors with a reader, but for the loop's own."""
    own = loop._ssock.fileno()  # type: ignore[attr-defined]
    return set(loop._selector.get_map()) - {own}  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_it_wakes_for_deadlines_and_for_packets() -> None:
    rig = Rig()
    rig.driver.command(Configure((settings(interval_us=10_000),)))
    await until(lambda: rig.state() is State.MASTER)
    await until(lambda: rig.system.sent >= 5)
    rig.system.pipes[0].theirs.send(b"x")
    await until(lambda: rig.state() is State.BACKUP)
    rig.driver.close()
    assert watched(rig.loop) == set()
    assert rig.crashes == []


@pytest.mark.asyncio
async def test_commands_are_carried_out_together_and_soon() -> None:
    rig = Rig()
    rig.driver.command(Configure((settings(),)))
    rig.driver.command(Ask(1))
    assert rig.reports == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [type(report) for report in rig.reports] == [Entered, Status]
    rig.driver.close()


@pytest.mark.asyncio
async def test_a_descriptor_that_is_used_again_is_watched_again() -> None:
    """The old socket is closed and the new one gets its number in one step: it must not be deaf."""
    rig = Rig()
    rig.driver.command(Configure((settings(interval_us=1_000_000),)))
    await until(lambda: rig.state() is State.BACKUP)
    before = rig.system.pipes[0].fileno()
    for _ in range(3):
        rig.system.remove_link("eth0")
        rig.system.add_link("eth0", ip_interface("192.0.2.1/24"))
        rig.driver.wake()
        assert rig.system.pipes[0].fileno() == before
        assert watched(rig.loop) == {before}
    rig.reports.clear()
    rig.system.pipes[0].theirs.send(b"x")
    rig.driver.command(Ask(1))

    def heard() -> bool:
        rig.driver.command(Ask(1))
        answers = [report for report in rig.reports if isinstance(report, Status)]
        return bool(answers) and answers[-1].instances[0].master is not None

    await until(heard)
    rig.driver.close()


@pytest.mark.asyncio
async def test_sockets_that_come_and_go() -> None:
    rig = Rig()
    one, two = settings(), settings("VI_U", vips=["192.0.2.101/24"], peers=["192.0.2.9"])
    for wanted in ((one, two), (two,), (one,), (), (one, two)):
        rig.driver.command(Configure(wanted))
        rig.driver.wake()
        assert len(rig.system.pipes) == len(wanted)
        assert watched(rig.loop) == {pipe.fileno() for pipe in rig.system.pipes}
    rig.driver.command(Stop())
    rig.driver.wake()
    assert rig.reports[-1] == Stopped()
    assert watched(rig.loop) == set()
    rig.driver.wake()
    rig.driver.close()


@pytest.mark.asyncio
async def test_a_crash_is_told_once_and_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be read stays readable; nobody must wake for it for ever."""
    rig = Rig()
    rig.driver.command(Configure((settings(interval_us=1_000_000),)))
    await until(lambda: rig.state() is State.BACKUP)
    fault = RuntimeError("a fault of ours")

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(rig.engine, "_drain", fail)
    rig.system.pipes[0].theirs.send(b"x")
    await until(lambda: rig.crashes)
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert rig.crashes == [fault]
    assert watched(rig.loop) == set()
    monkeypatch.undo()
    rig.driver.command(Stop())
    rig.driver.wake()
    assert rig.reports[-1] == Stopped()
    rig.driver.close()


@pytest.mark.asyncio
async def test_after_closing_nothing_wakes() -> None:
    rig = Rig()
    rig.driver.command(Configure((settings(),)))
    rig.driver.close()
    rig.driver.command(Configure((settings(),)))
    rig.driver.wake()
    await asyncio.sleep(0.01)
    assert rig.reports == []
    assert rig.system.pipes == []
    rig.driver.close()


@pytest.mark.asyncio
async def test_a_command_out_of_a_report() -> None:
    """Control may answer a report at once; the driver is in the middle of a step then."""
    rig = Rig()

    def hear(report: Report) -> None:
        rig.reports.append(report)
        if isinstance(report, Entered):
            rig.driver.command(Ask(7))

    rig.engine._report = hear
    rig.driver.command(Configure((settings(),)))
    await until(lambda: any(isinstance(report, Status) for report in rig.reports))
    rig.driver.close()


@pytest.fixture
def namespace() -> Iterator[Network]:
    reason = why_impossible()
    if reason is not None:
        pytest.skip(reason)
    with Network() as network:
        yield network


@pytest.mark.root
@pytest.mark.timeout(60)
def test_in_a_namespace(namespace: Network) -> None:
    """The whole of it on a real kernel: elected alone, the interface taken away and given again, stopped in order."""
    inside, other = namespace.namespace("inside"), namespace.namespace("other")
    namespace.veth(inside, "eth0", other, "eth0")
    inside.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")

    async def story() -> None:
        reports: list[Report] = []
        crashes: list[Exception] = []
        system = LinuxSystem()
        loop = asyncio.get_running_loop()
        driver = EngineDriver(Engine(system, reports.append), system, loop, crashes.append)

        def states() -> list[State]:
            return [report.transition.state for report in reports if isinstance(report, Entered)]

        driver.command(Configure((settings(),)))
        await until(lambda: states() == [State.BACKUP, State.MASTER])
        assert VIP in inside.addresses()
        inside.ip("link", "del", "eth0")
        await until(lambda: states()[2:] == [State.FAULT])
        namespace.veth(inside, "eth0", other, "eth0")
        inside.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
        await until(lambda: states()[3:] == [State.BACKUP, State.MASTER])
        driver.command(Stop())
        await until(lambda: Stopped() in reports)
        assert VIP not in inside.addresses()
        driver.close()
        system.close()
        assert crashes == []

    with inside.inside():
        before = set(Path("/proc/self/fd").iterdir())
        asyncio.run(story())
        assert set(Path("/proc/self/fd").iterdir()) == before


def test_the_simulated_world_has_nothing_to_watch() -> None:
    system = World().host("a")
    engine = Engine(system, print)
    readables: dict[int, Readable] = engine.readables
    assert readables == {}
