"""Checks of a MASTER: in time that jumps from timer to timer, then with two nodes and a service on one of them."""

from __future__ import annotations

import asyncio
import selectors
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pyvrrp.config.load import parse_text
from pyvrrp.config.model import Configuration, TcpTarget, Track, VrrpInstance, VrrpScript
from pyvrrp.daemon.duty import GRACE_S, HOLD_MAX_S, HOLD_S, OFF_DUTY, Duty
from pyvrrp.daemon.plan import Plan
from pyvrrp.daemon.tracking import Tracking
from pyvrrp.engine.commands import ClearFault, Command, RaiseFault, SetPriority
from pyvrrp.net.simulated import World
from pyvrrp.protocol.states import State
from pyvrrp.trackers import tcp
from pyvrrp.trackers.base import Outcome, Report, TrackerNotice, TrackerReport, TrackerResult
from pyvrrp.trackers.children import ScriptPolicy
from tests.daemon.conftest import Daemon, Daemons, block, instance, network
from tests.netns import Namespace, Network, until

__all__ = ["network"]

T = TypeVar("T")

REFUSED = "connection refused"
VIP = "192.0.2.100"


class _Jumping(selectors.DefaultSelector):
    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("nothing will ever happen")
        if not ready and timeout is not None and timeout > 0:
            self.now_s += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer when there is nothing else to do."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def play(scene: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(scene)


def now() -> float:
    return asyncio.get_running_loop().time()


class Service:
    """
    What a check of it finds; each look takes no time.

    Attributes:
        up: It works.
        looks: How often it was looked at.
    """

    def __init__(self, *, up: bool) -> None:
        self.up = up
        self.looks = 0

    async def probe(self, *_: object) -> Outcome:
        self.looks += 1
        return Outcome(success=self.up, reason="connected" if self.up else REFUSED)


class Node:
    """
    A duty whose instance goes to FAULT as soon as the verdict is down, and is MASTER again when told.

    Attributes:
        said: What the log would have, with the second it came.
        told: What the engine would be told last: its verdict.
    """

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
        monkeypatch.setattr(tcp, "probe", service.probe)
        self.service = service
        self.said: list[tuple[float, str]] = []
        self.told: TrackerResult
        self._news = asyncio.Event()
        self.interval_s = 2.0
        self.script = VrrpScript("chk", tcp=TcpTarget(80, ip_address(VIP)), interval_us=2_000_000, **more)
        self.duty = Duty(self.script, lambda report: tcp.TcpTracker(self.script, report), self._report, self._quiet)

    def _report(self, report: TrackerReport) -> None:
        self._news.set()
        if isinstance(report, TrackerNotice):
            self.said.append((now(), report.text))
            return
        self.said.append((now(), {True: "up", False: "down", None: report.reason}[report.up]))
        self._quiet(report)

    def _quiet(self, result: TrackerResult) -> None:
        self.told = result
        if result.up is False:
            self.duty.serve(on_duty=False)

    def plays(self, scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the duty beside a scene."""

        async def both() -> None:
            task = asyncio.create_task(self.duty.run())
            await asyncio.sleep(1)
            try:
                await scene()
            finally:
                task.cancel()
                await asyncio.wait([task])

        play(both())

    async def until_said(self, text: str) -> float:
        """Wait until that is the last thing said; when that was."""
        while not self.said or text not in self.said[-1][1]:
            self._news.clear()
            await self._news.wait()
        return self.said[-1][0]


def test_it_runs_while_there_is_duty_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each take-over has its own verdict; the end of a good one is not worth a line."""
    node = Node(Service(up=True), monkeypatch)

    async def scene() -> None:
        await asyncio.sleep(100)
        assert (node.service.looks, node.told.up, node.told.reason, node.duty.note) == (0, None, OFF_DUTY, OFF_DUTY)
        for count in (1, 2):
            node.duty.serve(on_duty=True)
            await asyncio.sleep(9)
            assert (node.service.looks, node.told.up, node.duty.note) == (5 * count, True, "")
            node.duty.serve(on_duty=False)
            await asyncio.sleep(100)
            assert (node.service.looks, node.told.up, node.duty.note) == (5 * count, None, OFF_DUTY)
        assert [text for _, text in node.said] == ["up", "up"]

    node.plays(scene)


def test_a_service_has_time_to_come_up_after_a_take_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three intervals; what is found until then counts only if it is good."""
    node = Node(Service(up=False), monkeypatch)

    async def scene() -> None:
        node.duty.serve(on_duty=True)
        await asyncio.sleep(3)
        assert (node.told.up, node.told.reason) == (None, f"{REFUSED}; counts 6 s after take-over")
        node.service.up = True
        await asyncio.sleep(1000)
        assert node.said == [(5.0, "up")]

    node.plays(scene)


def test_a_service_that_does_not_come_up_is_a_failure_then(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(Service(up=False), monkeypatch)

    async def scene() -> None:
        node.duty.serve(on_duty=True)
        assert await node.until_said("failed as MASTER") == 7.0
        assert node.said == [
            (7.0, "down"),
            (7.0, "failed as MASTER, and only a MASTER is checked: that counts for 30 s"),
        ]
        assert (node.told.reason, node.duty.note) == (REFUSED, "kept for 30 s")
        assert await node.until_said("no longer") == 37.0
        assert (node.told.up, node.duty.note) == (None, OFF_DUTY)

    node.plays(scene)


def test_a_failure_that_is_found_when_it_is_no_longer_master_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address has moved, and control does not know yet. On duty it counts half a second later."""
    node = Node(Service(up=True), monkeypatch)

    async def scene() -> None:
        node.duty.serve(on_duty=True)
        await asyncio.sleep(9.5)
        node.service.up = False
        await asyncio.sleep(0.75)  # the look at 11 s fails
        node.duty.serve(on_duty=False)
        await asyncio.sleep(100)
        assert node.said == [(1.0, "up")]
        assert node.told.up is None
        node.duty.serve(on_duty=True)
        node.service.up = True
        await asyncio.sleep(9.5)
        node.service.up = False
        assert await node.until_said("down") == 121.75
        assert node.duty.note == ""

    node.plays(scene)


def test_the_grace_has_a_least(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever checks every second or oftener gives a service no less than that."""
    node = Node(Service(up=False), monkeypatch)
    for interval_us, grace_s in ((100_000, GRACE_S), (1_000_000, GRACE_S), (10_000_000, 30.0)):
        script = VrrpScript("chk", tcp=TcpTarget(80), interval_us=interval_us)
        assert Duty(script, lambda _: node.duty, node._report, node._quiet).grace_s == grace_s


def test_terms_double_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that takes over after each term, whose service stays down, serves for 2 % of the time in the end."""
    node = Node(Service(up=False), monkeypatch)

    async def scene() -> None:
        terms = []
        for _ in range(6):
            node.duty.serve(on_duty=True)
            failed = await node.until_said("failed as MASTER")
            terms.append(await node.until_said("no longer") - failed)
        assert terms == [HOLD_S, 60.0, 120.0, 240.0, HOLD_MAX_S, HOLD_MAX_S]

    node.plays(scene)


def test_a_service_that_worked_as_long_as_the_last_term_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that failed sooner than that does not."""
    node = Node(Service(up=False), monkeypatch)

    async def turn(works_s: float) -> float:
        """A take-over with a service that works for so long; the length of the term that follows."""
        node.service.up = works_s > 0
        node.duty.serve(on_duty=True)
        await asyncio.sleep(works_s)
        node.service.up = False
        failed = await node.until_said("failed as MASTER")
        return await node.until_said("no longer") - failed

    async def scene() -> None:
        assert [await turn(works_s) for works_s in (0, 0, 50, 0, 250, 0)] == [30.0, 60.0, 120.0, 240.0, 30.0, 60.0]

    node.plays(scene)


def test_a_duty_that_ends_before_it_has_begun_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two reports of the engine in one go: the second node would look at the first one's service."""
    node = Node(Service(up=False), monkeypatch)

    async def scene() -> None:
        node.duty.serve(on_duty=True)
        node.duty.serve(on_duty=False)
        await asyncio.sleep(60)
        assert (node.service.looks, node.said) == (0, [])
        node.duty.serve(on_duty=True)
        await node.until_said("failed as MASTER")

    node.plays(scene)


def test_a_duty_that_ends_before_it_has_begun_does_not_end_a_term(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(Service(up=False), monkeypatch)

    async def scene() -> None:
        node.duty.serve(on_duty=True)
        failed = await node.until_said("failed as MASTER")
        await asyncio.sleep(10)
        node.duty.serve(on_duty=True)
        node.duty.serve(on_duty=False)
        assert await node.until_said("no longer") - failed == HOLD_S

    node.plays(scene)


def test_a_check_that_holds_to_the_end_of_the_duty_begins_anew_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ended it, a peer with a higher priority perhaps, is no failure."""
    node = Node(Service(up=False), monkeypatch)

    async def scene() -> None:
        terms = []
        for _ in range(2):
            node.service.up = False
            node.duty.serve(on_duty=True)
            failed = await node.until_said("failed as MASTER")
            terms.append(await node.until_said("no longer") - failed)
            node.service.up = True
            node.duty.serve(on_duty=True)
            await asyncio.sleep(100)
            node.duty.serve(on_duty=False)
            await asyncio.sleep(1)
        assert terms == [HOLD_S, HOLD_S]

    node.plays(scene)


def test_a_tracker_that_fails_after_its_verdict_does_not_hold_it_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its end may meet an error of its own."""
    node = Node(Service(up=False), monkeypatch)
    working = node.duty._make

    class Broken:
        name = "chk"

        def __init__(self, report: Report) -> None:
            self._tracker = working(report)

        async def run(self) -> None:
            try:
                await self._tracker.run()
            finally:
                raise RuntimeError("our own fault")

    async def scene() -> None:
        node.duty._make = Broken
        first = asyncio.create_task(node.duty.run())
        await asyncio.sleep(1)
        node.duty.serve(on_duty=True)
        await node.until_said("down")
        with pytest.raises(RuntimeError, match="our own fault"):
            await first
        again = asyncio.create_task(node.duty.run())
        try:
            failed = await node.until_said("failed as MASTER")
            assert node.told.up is False
            assert await node.until_said("no longer") - failed == HOLD_S
        finally:
            again.cancel()
            await asyncio.wait([again])

    play(scene())


def test_weights_do_not_forbid_to_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """A MASTER that lost by a weight, and is needed again before the term is over, is checked again at once."""
    node = Node(Service(up=False), monkeypatch)

    async def scene() -> None:
        node.duty.serve(on_duty=True)
        failed = await node.until_said("failed as MASTER")
        node.service.up = True
        node.duty.serve(on_duty=True)
        assert await node.until_said("up") < failed + 5
        assert node.told.up is True

    node.plays(scene)


def test_a_reversed_check_fails_by_success(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(Service(up=True), monkeypatch, reverse=True)

    async def scene() -> None:
        node.duty.serve(on_duty=True)
        await asyncio.sleep(7)
        assert node.told.up is True
        node.duty.serve(on_duty=False)
        await node.until_said("failed as MASTER")
        assert node.told.up is True

    node.plays(scene)


def test_what_ends_the_tracker_ends_the_duty_until_it_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(Service(up=True), monkeypatch)
    working = node.duty._make

    def broken(_report: Report) -> Any:
        raise RuntimeError("our own fault")

    async def scene() -> None:
        node.duty._make = broken
        node.duty.serve(on_duty=True)
        with pytest.raises(RuntimeError, match="our own fault"):
            await node.duty.run()
        node.duty._make = working
        again = asyncio.create_task(node.duty.run())
        await node.until_said("up")
        again.cancel()
        await asyncio.wait([again])

    play(scene())


# Within what runs all trackers


class Stage:
    """Tracking of two instances with a check each, the second with another weight; commands are kept."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tcp, "probe", service.probe)
        self.service = service
        self.commands: list[Command] = []
        self.reports: list[TrackerReport] = []
        self.tracking = Tracking(
            World().host("r1"),
            self.commands.append,
            lambda _, report: self.reports.append(report),
            lambda _: None,
            lambda name, error: pytest.fail(f"{name}: {error}"),
        )

    @staticmethod
    def configuration(port: int = 80) -> Configuration:
        scripts = [
            VrrpScript(name, tcp=TcpTarget(port, ip_address(VIP)), interval_us=1_000_000, only_as_master=True)
            for name in ("one", "two")
        ]
        return Configuration(
            scripts=tuple(scripts),
            instances=(
                VrrpInstance("VI_1", 1, "eth0", track_scripts=(Track("one"),)),
                VrrpInstance("VI_2", 2, "eth0", track_scripts=(Track("two", weight=-7),)),
            ),
        )

    def start(self, configuration: Configuration) -> None:
        self.tracking.start(Plan.of(configuration), ScriptPolicy())

    def plays(self, scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def all_of_it() -> None:
            self.start(self.configuration())
            await asyncio.sleep(1)
            try:
                await scene()
            finally:
                await self.tracking.stop()

        play(all_of_it())

    def taken(self) -> list[Command]:
        taken, self.commands[:] = list(self.commands), []
        return taken

    def check(self, name: str = "VI_1") -> tuple[bool | None, str]:
        (check,) = self.tracking.checks(name)
        return check.up, check.reason


def test_a_start_does_not_wait_for_what_only_a_master_finds_out() -> None:
    plan = Plan.of(Stage.configuration())
    assert plan.awaited("VI_1") == plan.awaited("VI_2") == frozenset()


def test_a_fault_of_a_master(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised after the grace, kept out of duty, cleared after its term; `status` says where it stands."""
    stage = Stage(Service(up=False), monkeypatch)

    async def scene() -> None:
        assert stage.taken()[-3:] == [
            ClearFault("VI_1", "script:one"),
            SetPriority("VI_1", 100),
            SetPriority("VI_2", 100),
        ]
        assert stage.check() == (None, OFF_DUTY)
        stage.tracking.entered("VI_1", State.BACKUP)
        stage.tracking.entered("VI_1", State.MASTER)
        stage.tracking.entered("unknown", State.MASTER)
        await asyncio.sleep(2)
        assert stage.check() == (None, f"{REFUSED}; counts 5 s after take-over")
        await asyncio.sleep(4)
        assert stage.taken()[-2:] == [
            RaiseFault("VI_1", "script:one", f"script one: {REFUSED}"),
            SetPriority("VI_1", 100),
        ]
        stage.tracking.entered("VI_1", State.FAULT)
        await asyncio.sleep(29)
        assert stage.check() == (False, f"{REFUSED}; kept for 30 s")
        assert stage.taken() == []
        await asyncio.sleep(2)
        assert stage.taken() == [ClearFault("VI_1", "script:one"), SetPriority("VI_1", 100)] * 2
        assert stage.check() == (None, OFF_DUTY)
        assert stage.check("VI_2") == (None, OFF_DUTY)
        looks = stage.service.looks
        await asyncio.sleep(100)
        assert stage.service.looks == looks

    stage.plays(scene)


def test_a_weight_of_a_master(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is checked on while it is MASTER, and well again as soon as it works."""
    stage = Stage(Service(up=False), monkeypatch)

    async def scene() -> None:
        stage.tracking.entered("VI_2", State.MASTER)
        await asyncio.sleep(100)
        assert stage.taken()[-1] == SetPriority("VI_2", 93)
        stage.service.up = True
        await asyncio.sleep(2)
        assert stage.taken() == [SetPriority("VI_2", 100)]

    stage.plays(scene)


def test_a_new_engine_has_no_master_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(Service(up=True), monkeypatch)

    async def scene() -> None:
        stage.tracking.entered("VI_1", State.MASTER)
        await asyncio.sleep(1)
        assert stage.check() == (True, "connected")
        stage.tracking.restarted()
        await asyncio.sleep(1)
        assert stage.check() == (None, OFF_DUTY)
        stage.tracking.entered("VI_1", State.MASTER)
        await asyncio.sleep(1)
        assert stage.check() == (True, "connected")

    stage.plays(scene)


def test_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is as before goes on; a check that is another begins anew, without the fault of the one before."""
    stage = Stage(Service(up=False), monkeypatch)

    async def scene() -> None:
        stage.tracking.entered("VI_1", State.MASTER)
        stage.tracking.entered("VI_2", State.MASTER)
        await asyncio.sleep(6)
        stage.tracking.entered("VI_1", State.FAULT)
        await asyncio.sleep(1)
        stage.start(stage.configuration())
        await asyncio.sleep(1)
        assert stage.check() == (False, f"{REFUSED}; kept for 30 s")
        stage.taken()
        stage.start(stage.configuration(port=81))
        await asyncio.sleep(1)
        assert ClearFault("VI_1", "script:one") in stage.taken()
        assert stage.check() == (None, OFF_DUTY)
        assert stage.check("VI_2") == (None, f"{REFUSED}; counts 5 s after take-over")  # which is still MASTER

    stage.plays(scene)


def test_as_text() -> None:
    (script,) = parse_text("vrrp_script chk {\n tcp_check 80 192.0.2.100\n only_as_master\n}\n").everything.scripts
    assert script.only_as_master


# Two nodes

_QUICKLY = """
import sys
from pyvrrp.daemon import duty
duty.HOLD_S, duty.HOLD_MAX_S, duty.GRACE_S, duty.CONFIRM_S = 0.5, 1.0, 0.1, 1.0
from pyvrrp.cli import main
sys.exit(main())
"""


class QuickDaemons(Daemons):
    """A node of a LAN, whose terms and graces are short."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.runtime = directory / "run"
        self.namespace = namespace
        self.started = []

    def command(self, name: str, options: Sequence[str]) -> list[str]:
        python, _, _, *arguments = super().command(name, options)
        return [python, "-c", _QUICKLY, *arguments]


@pytest.fixture
def nodes(network: Network, tmp_path: Path) -> Iterator[tuple[QuickDaemons, QuickDaemons]]:
    namespaces = [network.namespace(name) for name in ("one", "two")]
    network.lan({host: f"192.0.2.{number}/24" for number, host in enumerate(namespaces, 1)})
    made = [QuickDaemons(host, tmp_path / host.name) for host in namespaces]
    try:
        yield made[0], made[1]
    finally:
        for one in made:
            one.close()


def text(priority: int, *more: str) -> str:
    check = block("vrrp_script chk", f"tcp_check 8080 {VIP}", "interval 0.05", "only_as_master")
    return check + instance("track_script {", "    chk", "}", *more, priority=priority)


def listen(host: Namespace) -> subprocess.Popen[bytes]:
    """A service on all addresses of a host, also those to come."""
    code = "import socket; s = socket.create_server(('0.0.0.0', 8080), backlog=100)\nwhile True: s.accept()[0].close()"
    service = host.popen([sys.executable, "-c", code])
    until(lambda: ":8080" in host.run(["ss", "-Hltn"]), "the service")
    return service


def count(daemon: Daemon, state: str) -> int:
    return daemon.text.count(f"Entering {state} STATE")


@pytest.mark.root
def test_the_address_goes_where_its_service_is_and_stays(nodes: tuple[QuickDaemons, QuickDaemons]) -> None:
    """The better node tries again after each term, no oftener, and serves again as soon as its service does."""
    service = listen(nodes[1].namespace)
    try:
        two = nodes[1].serve(text(100))
        two.enters("MASTER").says(r"VRRP_Script\(chk\) succeeded")
        one = nodes[0].serve(text(200))
        one.enters("FAULT")
        one.says("only a MASTER is checked: that counts for 0.5 s")
        two.enters("MASTER", count=2)
        one.says("that counts for 1 s")
        two.enters("MASTER", count=3)
        # A take-over for each term that is over: nothing else made it MASTER.
        assert count(one, "MASTER") <= one.text.count("no longer counts as failed") + 1
        assert count(two, "FAULT") == 0
        mended = listen(nodes[0].namespace)
        try:
            one.says(r"VRRP_Script\(chk\) succeeded")
            faults = count(one, "FAULT")
            assert one.instance()["state"] == "MASTER"
            (check,) = one.instance()["checks"]
            assert (check["up"], check["reason"]) == (True, f"connected to {VIP}:8080")
            until(lambda: two.instance()["state"] == "BACKUP", "the other node")
            assert two.instance()["checks"][0]["reason"] == OFF_DUTY
            assert count(one, "FAULT") == faults
        finally:
            mended.kill()
            mended.wait()
    finally:
        service.kill()
        service.wait()


@pytest.mark.root
def test_without_preemption_the_address_does_not_come_back(nodes: tuple[QuickDaemons, QuickDaemons]) -> None:
    """After its term the better node is BACKUP, and serves at once when it is needed."""
    services = [listen(node.namespace) for node in nodes]
    try:
        one = nodes[0].serve(text(200, "nopreempt")).enters("MASTER").says(r"VRRP_Script\(chk\) succeeded")
        two = nodes[1].serve(text(100)).enters("BACKUP")
        services[0].kill()
        one.enters("FAULT").says("no longer counts as failed")
        one.enters("BACKUP", count=2)
        two.enters("MASTER")
        assert count(one, "MASTER") == 1
        assert two.end() == 0
        one.enters("MASTER", count=2)
    finally:
        for service in services:
            service.kill()
            service.wait()
