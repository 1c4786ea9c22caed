"""
When a socket keeps a master's repetitions to itself, when it stops, and that nothing is heard otherwise for it.

All of it on every path of reception, in the world in memory.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pyvrrp.engine import listener as listener_module
from pyvrrp.engine.commands import ClearFault, Configure, RaiseFault, SetPriority
from pyvrrp.engine.listener import BUSY, CALM, LOOK_US, POLL_MAX_US, SHARE_MAX, SHARE_STEP, STRANGERS, WINDOW_US
from pyvrrp.engine.loop import Engine
from pyvrrp.engine.reports import Dropped, FellBack, Remarked
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.errors import KernelError
from pyvrrp.net.simulated import SPLIT_POLL_US, SimulatedSocket, SimulatedSystem
from pyvrrp.net.system import Datagram, ReceivePath
from pyvrrp.protocol.actions import Cause, Note
from pyvrrp.protocol.states import State
from tests.engine.worlds import INTERVAL_US, SimulatedHost, SimulatedLan, advertisement, settings

PEER = "192.0.2.9"
THIRD = "192.0.2.8"

# Own priority 100 at 100 ms: 3 * 100 ms + 156/256 * 100 ms = 360937.5 us; Skew_Time 60937.5 us
DOWN = 360_937
SKEW = 60_937
S = 1_000_000

EVERY_PATH = pytest.mark.parametrize("path", list(ReceivePath), ids=str)


class Steps:
    """Counts the wake-ups of an engine; it stands in its place on the host."""

    def __init__(self, engine: Engine) -> None:
        self.count = 0
        self._engine = engine

    def step(self) -> int | None:
        self.count += 1
        return self._engine.step()


class Scene:
    """A host with an engine, and a wire on which anything can be said."""

    def __init__(self, path: ReceivePath, *instances: InstanceSettings, own: Sequence[str] = ("192.0.2.1/24",)) -> None:
        self.lan = SimulatedLan()
        self.world = self.lan.world
        self.world.path = path
        self.a: SimulatedHost = self.lan.host("a", *own)
        self.steps = Steps(self.a.engine)
        self.a.kernel.participants[:] = [self.steps]
        self.wire: SimulatedSystem = self.world.host("wire")
        self._link = self.wire.add_link("eth0")
        self.a.configure(*(instances or (settings(),)))
        self.lan.rest(0)

    @property
    def now_us(self) -> int:
        return self.world.now_us

    @property
    def sock(self) -> SimulatedSocket:
        return self.a.kernel.sockets[0]

    def runner(self, name: str = "VI_1") -> Any:
        return self.a.engine._runners[name]

    def armed(self, name: str = "VI_1") -> bool:
        """Whether runner, listener and socket agree that it is armed."""
        runner = self.runner(name)
        vrid = runner.settings.router.vrid
        found = {runner._again is not None}
        if runner.listener is not None:
            slot = runner.listener.sock._armed.get(vrid)
            found |= {vrid in runner.listener.armed, slot is not None and slot.datagram is not None}
        assert len(found) == 1
        return found.pop()

    def say(self, *datagrams: Datagram) -> None:
        """It is on the wire now, and heard by who is awake."""
        for datagram in datagrams:
            self.world.transmit(self.wire, self._link, datagram)
        self.lan.rest(0)
        if self.world.path is ReceivePath.SPLIT and not self.a.kernel.frozen:
            self.lan.rest(listener_module.POLL_MAX_US / 1e6 + 0.002)

    def say_at(self, *moments: tuple[int, Datagram]) -> None:
        """It will be on the wire at those times."""
        for at_us, datagram in moments:
            self.world.at(at_us, lambda one=datagram: self.world.transmit(self.wire, self._link, one))  # type: ignore[misc]  # lambda defaults

    def rest_us(self, us: int) -> None:
        self.world.run(self.world.now_us + us)

    def received(self, name: str = "VI_1") -> int:
        return self.a.status_of(name).counters.get("advertisements-received", 0)


GOOD = advertisement(PEER, 200)


# What is armed


@EVERY_PATH
@pytest.mark.parametrize(
    ("instance", "said", "wanted"),
    [
        pytest.param(settings(), GOOD, True, id="a better one"),
        pytest.param(settings(), advertisement(PEER, 100), True, id="an equal one"),
        pytest.param(settings(), advertisement(PEER, 99), False, id="a lower one"),
        pytest.param(settings(preempt=False), advertisement(PEER, 1), True, id="a lower one without preemption"),
        pytest.param(settings(), advertisement(PEER, 0), False, id="priority 0"),
        pytest.param(settings(preempt=False), advertisement(PEER, 0), False, id="priority 0 without preemption"),
        pytest.param(
            settings(), advertisement(PEER, 200, interval_us=40_950_000), False, id="another interval, a notice"
        ),
        pytest.param(
            settings(), advertisement(PEER, 200, vips=["192.0.2.7/24"]), False, id="other addresses, a notice"
        ),
        pytest.param(settings(), advertisement(PEER, 200, ttl=254), False, id="a wrong TTL"),
        pytest.param(settings(), replace(GOOD, payload=GOOD.payload[:-1] + b"\0"), False, id="a wrong checksum"),
        pytest.param(settings(), advertisement(PEER, 200, vrid=52), False, id="another VRID"),
        pytest.param(settings(), advertisement("192.0.2.1", 200), False, id="our own address"),
        pytest.param(settings(version=2, interval_us=S), GOOD, False, id="another version"),
        pytest.param(
            settings(version=2, interval_us=S), advertisement(PEER, 200, version=2, interval_us=S), True, id="version 2"
        ),
        pytest.param(
            settings(source="192.0.2.1", peers=[PEER]),
            advertisement(PEER, 200, destination="192.0.2.1", ttl=63),
            True,
            id="unicast, whatever its TTL",
        ),
    ],
)
def test_what_is_armed(path: ReceivePath, instance: InstanceSettings, said: Datagram, wanted: bool) -> None:
    """Passed all checks without a notice, and would only restart the timer."""
    scene = Scene(path, instance)
    scene.say(said)
    assert scene.a.state() is State.BACKUP
    assert scene.armed() is wanted


@EVERY_PATH
def test_not_while_preempt_delay_runs(path: ReceivePath) -> None:
    one = settings()
    scene = Scene(path, replace(one, router=replace(one.router, preempt_delay_us=10 * S)))
    scene.say(advertisement(PEER, 50))
    assert scene.a.state() is State.BACKUP
    assert not scene.armed()
    scene.say(GOOD)
    assert scene.armed()


@EVERY_PATH
def test_not_as_master_and_at_once_when_it_yields(path: ReceivePath) -> None:
    scene = Scene(path)
    scene.rest_us(2 * DOWN)
    assert scene.a.is_master()
    scene.say(advertisement(PEER, 50))
    assert not scene.armed()
    scene.say(GOOD)
    assert scene.a.state() is State.BACKUP
    scene.say(GOOD)
    assert scene.armed()
    assert scene.received() == 3


# What disarms


def _other_interval(one: InstanceSettings) -> InstanceSettings:
    return replace(one, router=replace(one.router, advertisement_interval_us=2 * INTERVAL_US))


@EVERY_PATH
@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(lambda s: s.a.command(SetPriority("VI_1", 150)), id="priority"),
        pytest.param(lambda s: s.a.command(SetPriority("VI_1", 250)), id="priority above it"),
        pytest.param(lambda s: s.a.command(RaiseFault("VI_1", "x", "x")), id="fault"),
        pytest.param(lambda s: s.a.configure(settings(priority=120)), id="reload, priority"),
        pytest.param(lambda s: s.a.configure(settings(preempt=False)), id="reload, preemption"),
        pytest.param(lambda s: s.a.configure(settings(vips=["192.0.2.77/24"])), id="reload, addresses"),
        pytest.param(lambda s: s.a.configure(_other_interval(settings())), id="reload, interval"),
        pytest.param(lambda s: s.a.configure(settings(version=2, interval_us=S)), id="reload, version"),
        pytest.param(lambda s: s.a.configure(settings(name="other")), id="reload, name"),
        pytest.param(lambda s: s.a.set_link(up=False), id="link down"),
        pytest.param(lambda s: s.a.delete_link(), id="link gone"),
        pytest.param(lambda s: s.a.delete_address("192.0.2.1/24"), id="source address gone"),
        pytest.param(lambda s: s.say(advertisement(PEER, 0)), id="priority 0"),
        pytest.param(lambda s: s.say(advertisement(PEER, 50)), id="the master is lower now"),
        pytest.param(lambda s: s.rest_us(2 * DOWN), id="silence"),
    ],
)
def test_what_disarms(path: ReceivePath, happens: Callable[[Scene], object]) -> None:
    scene = Scene(path)
    scene.say(GOOD, GOOD)
    assert scene.armed()
    happens(scene)
    scene.lan.rest(0)
    assert not scene.armed(next(iter(scene.a.engine._runners)))


@EVERY_PATH
def test_an_unchanged_neighbour_stays_armed_over_a_reload(path: ReceivePath) -> None:
    one, two = settings(), settings("VI_2", vrid=52, vips=["192.0.2.200/24"])
    scene = Scene(path, one, two)
    scene.say(GOOD, advertisement(PEER, 200, vrid=52, vips=["192.0.2.200/24"]))
    assert [scene.armed(), scene.armed("VI_2")] == [True, True]
    scene.a.configure(replace(one, router=replace(one.router, priority=101)), two)
    scene.lan.rest(0)
    assert not scene.armed()
    assert scene.armed("VI_2")


@EVERY_PATH
def test_news_that_do_not_concern_it_leave_it_armed(path: ReceivePath) -> None:
    """On a node of containers links and addresses come and go all day."""
    scene = Scene(path)
    scene.say(GOOD)
    scene.a.kernel.add_link("veth1", ip_interface("198.51.100.1/24"))
    scene.a.kernel.set_link("veth1", up=False)
    scene.lan.rest(0)
    assert scene.armed()


@EVERY_PATH
def test_taken_out_of_the_configuration_it_is_forgotten(path: ReceivePath) -> None:
    one, two = settings(), settings("VI_2", vrid=52, vips=["192.0.2.200/24"])
    scene = Scene(path, one, two)
    scene.say(GOOD)
    listener = scene.runner().listener
    scene.a.configure(two)
    scene.lan.rest(0)
    assert 51 not in listener.armed
    assert scene.sock._armed[51].datagram is None
    scene.say(GOOD)
    assert scene.a.status().interfaces["eth0"]["vrid-unknown"] == 1


@EVERY_PATH
def test_a_socket_opened_anew_keeps_nothing_and_hears_all(path: ReceivePath) -> None:
    """An address added in place of the old one: the source changes, the old socket goes."""
    scene = Scene(path, own=("192.0.2.1/24", "192.0.2.3/24"))
    scene.say(GOOD, GOOD)
    old = scene.sock
    scene.a.delete_address("192.0.2.1/24")
    scene.lan.rest(0)
    assert scene.sock is not old
    assert not scene.armed()
    assert scene.received() == 2
    scene.say(GOOD, GOOD, GOOD)
    assert scene.armed()
    assert scene.received() == 5
    assert scene.a.moves() == ["BACKUP"]


@EVERY_PATH
def test_the_own_address_of_a_peer(path: ReceivePath) -> None:
    """The source becomes the master's own address: what was believed is our own advertisement come back now."""
    scene = Scene(path)
    scene.say(GOOD)
    assert scene.armed()
    scene.a.add_address(f"{PEER}/24")
    scene.a.delete_address("192.0.2.1/24")
    scene.lan.rest(0)
    assert not scene.armed()
    scene.say(GOOD)
    assert not scene.armed()
    assert scene.a.status_of().counters["own-source"] == 1


# Deadlines


@EVERY_PATH
@pytest.mark.parametrize("repetitions", [1, 2, 7])
def test_the_deadline_is_that_of_the_last_repetition(path: ReceivePath, repetitions: int) -> None:
    scene = Scene(path)
    times = [50_000 + n * 97_000 for n in range(repetitions)]
    scene.say_at(*[(at_us, GOOD) for at_us in times])
    scene.rest_us(3 * S)
    [backup, master] = scene.a.transitions()
    assert backup.state is State.BACKUP
    assert master.at_us == times[-1] + DOWN
    assert (master.cause, master.silent_us) == (Cause.MASTER_TIMEOUT, DOWN)
    assert scene.received() == repetitions


@EVERY_PATH
def test_a_deadline_is_believed_only_after_looking(path: ReceivePath) -> None:
    """A host that stood still: what came meanwhile is read before its master is called silent."""
    scene = Scene(path)
    scene.say(GOOD, GOOD)
    start_us = scene.now_us
    scene.world.freeze("a")
    scene.say_at(*[(start_us + n * INTERVAL_US, GOOD) for n in range(1, 31)])
    scene.rest_us(31 * INTERVAL_US - 1)
    scene.world.thaw("a")
    scene.lan.rest(0)
    assert scene.a.moves() == ["BACKUP"]
    assert scene.received() == 32
    scene.rest_us(2 * S)
    assert [t.at_us for t in scene.a.transitions()][1:] == [start_us + 30 * INTERVAL_US + DOWN]


@EVERY_PATH
def test_a_deadline_is_believed_only_after_looking_even_if_nothing_was_ready(path: ReceivePath) -> None:
    """The master's advertisement came after the engine had been told what is ready, and before it came to its turn."""
    scene = Scene(path)
    scene.world.freeze("a")
    scene.say_at((DOWN - 1, GOOD))
    scene.rest_us(DOWN)
    scene.a.engine.step(())
    assert scene.a.state() is State.BACKUP


@EVERY_PATH
def test_the_master_died_while_we_stood_still(path: ReceivePath) -> None:
    """All that came is old: it is gone, and need not be waited for again."""
    scene = Scene(path)
    scene.say(GOOD, GOOD)
    scene.world.freeze("a")
    scene.say_at((scene.now_us + 1000, GOOD))
    scene.rest_us(10 * S)
    scene.world.thaw("a")
    scene.lan.rest(0)
    assert scene.a.moves() == ["BACKUP", "MASTER"]


@EVERY_PATH
@pytest.mark.parametrize("intervals_us", [(10_000,), (10_000, 20_000, 30_000), (10_000, 100_000, 40_950_000)], ids=str)
def test_masters_of_many_intervals_each_have_their_own_deadline(
    path: ReceivePath, intervals_us: tuple[int, ...]
) -> None:
    """Nobody is woken late, and the engine is not awake more often than somebody could be due."""
    chance = random.Random(7)
    ends: dict[str, tuple[int, int, int]] = {}  # times advertised, last time, Master_Down_Interval
    instances, said = [], []
    for vrid in range(1, 31):
        priority = chance.choice([1, 50, 100, 199])
        interval_us = intervals_us[vrid % len(intervals_us)]
        vips = [f"192.0.2.{vrid + 100}/24"]
        instances.append(settings(f"VI_{vrid}", vrid=vrid, priority=priority, vips=vips, interval_us=interval_us))
        first_us = chance.randrange(1, 30_000)
        times = [first_us + n * interval_us for n in range(20 if interval_us < S else 2)]
        said += [(at, advertisement(PEER, 200, vrid=vrid, vips=vips, interval_us=interval_us)) for at in times]
        ends[f"VI_{vrid}"] = len(times), times[-1], 3 * interval_us + (256 - priority) * interval_us // 256
    scene = Scene(path, *instances)
    scene.say_at(*said)
    for name, (count, last_us, down_us) in sorted(ends.items(), key=lambda one: sum(one[1][1:])):
        scene.world.run(last_us + down_us)
        [_, master] = scene.a.transitions(name)
        assert master.at_us == last_us + down_us
        assert scene.received(name) == count
        scene.a.command(RaiseFault(name, "x", "enough seen"))


@pytest.mark.parametrize("intervals_us", [(10_000,), (10_000, 20_000, 30_000), (10_000, 100_000, 40_950_000)], ids=str)
def test_armed_masters_cost_few_wake_ups(intervals_us: tuple[int, ...]) -> None:
    """
    eBPF: all masters advertise, nothing is handed up; an engine that is awake can sleep till the next could be silent.

    For each bracket of intervals that is the shortest Master_Down_Interval less one interval, so two of them at least.
    """
    instances = [
        settings(
            f"VI_{vrid}",
            vrid=vrid,
            priority=vrid,
            vips=[f"192.0.2.{vrid + 100}/24"],
            interval_us=intervals_us[vrid % len(intervals_us)],
        )
        for vrid in range(1, 31)
    ]
    scene = Scene(ReceivePath.EBPF, *instances)
    chance = random.Random(8)
    for one in instances:
        interval_us, vrid = one.router.advertisement_interval_us, one.router.vrid
        said = advertisement(PEER, 200, vrid=vrid, vips=[str(one.vips[0].address)], interval_us=interval_us)
        at_us = chance.randrange(1, min(interval_us, 100_000))
        while at_us < 2 * S:
            scene.say_at((at_us, said))
            at_us += interval_us
    scene.rest_us(S)
    before = scene.steps.count
    scene.rest_us(S)
    assert all(scene.armed(one.name) for one in instances)
    bound = sum(S // (2 * interval_us) + 2 for interval_us in intervals_us)
    assert scene.steps.count - before <= bound
    assert [one for one in instances if scene.a.moves(one.name) != ["BACKUP"]] == []


@EVERY_PATH
def test_a_learned_interval_is_that_of_the_deadline(path: ReceivePath) -> None:
    """V3: the master's interval counts. 3 * 2 s + 156/256 * 2 s = 7.21875 s after it was last heard."""
    scene = Scene(path)
    slow = advertisement(PEER, 200, interval_us=2 * S)
    scene.say_at((1000, GOOD), (90_000, GOOD), (190_000, slow), (2_190_000, slow), (4_190_000, slow))
    scene.rest_us(20 * S)
    assert [t.at_us for t in scene.a.transitions()] == [0, 4_190_000 + 7_218_750]


# Order


@EVERY_PATH
def test_a_release_before_the_last_repetition_is_no_release(path: ReceivePath) -> None:
    """Priority 0, then a normal one: the master is there. Read late, it must not be called gone."""
    scene = Scene(path)
    scene.say(GOOD, GOOD)
    scene.world.freeze("a")
    start_us = scene.now_us
    scene.say_at((start_us + 50_000, advertisement(PEER, 0)), (start_us + 90_000, GOOD))
    scene.rest_us(95_000)
    scene.world.thaw("a")
    scene.lan.rest(0)
    assert [r.remark.note for r in scene.a.reports if isinstance(r, Remarked)].count(Note.RELEASE_HEARD) == 1
    scene.rest_us(DOWN - 10_000)
    assert scene.a.moves() == ["BACKUP"]
    assert scene.received() == 4


@EVERY_PATH
def test_a_release_after_the_last_repetition_is_one(path: ReceivePath) -> None:
    scene = Scene(path)
    scene.say(GOOD, GOOD)
    scene.world.freeze("a")
    start_us = scene.now_us
    scene.say_at((start_us + 50_000, GOOD), (start_us + 90_000, advertisement(PEER, 0)))
    scene.rest_us(95_000)
    scene.world.thaw("a")
    scene.rest_us(SKEW)
    assert scene.a.moves() == ["BACKUP", "MASTER"]
    assert scene.a.transitions()[-1].cause is Cause.MASTER_RELEASED


@EVERY_PATH
def test_a_release_in_one_batch_with_a_repetition_is_one(path: ReceivePath, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel stamps all packets of a batch before its filter looks at the first, whose time is then the later."""
    original = SimulatedSocket.heard_us
    scene = Scene(path)
    scene.say(GOOD, GOOD)
    monkeypatch.setattr(SimulatedSocket, "heard_us", lambda sock, vrid: original(sock, vrid) + 500)
    scene.world.freeze("a")
    start_us = scene.now_us
    scene.say_at((start_us + 50_000, GOOD), (start_us + 50_010, advertisement(PEER, 0)))
    scene.rest_us(55_000)
    scene.world.thaw("a")
    scene.rest_us(SKEW)
    assert scene.a.moves() == ["BACKUP", "MASTER"]
    assert scene.a.transitions()[-1].cause is Cause.MASTER_RELEASED


@EVERY_PATH
def test_two_releases_before_the_last_repetition_are_none(path: ReceivePath) -> None:
    """keepalived says priority 0 twice when it enters FAULT."""
    scene = Scene(path)
    scene.say(GOOD, GOOD)
    scene.world.freeze("a")
    start_us = scene.now_us
    scene.say_at(
        (start_us + 50_000, advertisement(PEER, 0)),
        (start_us + 50_100, advertisement(PEER, 0)),
        (start_us + 90_000, GOOD),
    )
    scene.rest_us(95_000)
    scene.world.thaw("a")
    scene.rest_us(DOWN - 10_000)
    assert scene.a.moves() == ["BACKUP"]


@EVERY_PATH
def test_another_master_between_two_repetitions(path: ReceivePath) -> None:
    """What was last is what counts: here the first master again, and its advertisement is not armed as the other's."""
    scene = Scene(path)
    scene.say(GOOD, GOOD)
    scene.world.freeze("a")
    start_us = scene.now_us
    scene.say_at((start_us + 50_000, advertisement(THIRD, 150)), (start_us + 90_000, GOOD))
    scene.rest_us(95_000)
    scene.world.thaw("a")
    scene.lan.rest(0)
    assert str(scene.a.status_of().master) == PEER
    scene.say(GOOD)
    assert scene.armed()


@EVERY_PATH
def test_a_priority_that_was_taken_back_is_not_armed(path: ReceivePath) -> None:
    """Said once between two of the old kind: to hear it again would tell of another priority, so it is handed up."""
    scene = Scene(path)
    other = advertisement(PEER, 150)
    scene.say(GOOD, GOOD)
    scene.world.freeze("a")
    start_us = scene.now_us
    scene.say_at((start_us + 50_000, other), (start_us + 90_000, GOOD))
    scene.rest_us(95_000)
    scene.world.thaw("a")
    scene.lan.rest(0)
    assert scene.a.status_of().master_priority == 200
    scene.say(other)
    assert scene.a.status_of().master_priority == 150


# Counting


@EVERY_PATH
def test_counters_are_exact(path: ReceivePath) -> None:
    chance = random.Random(3)
    scene = Scene(path)
    wrong = replace(GOOD, payload=GOOD.payload[:-1] + b"\0")
    kinds = [GOOD] * 8 + [advertisement(THIRD, 201), advertisement(PEER, 0), wrong, advertisement(PEER, 100)]
    said = [chance.choice(kinds) for _ in range(500)]
    at_us = 0
    for one in said:
        at_us += chance.choice([0, 1, 3_000, 40_000])
        scene.say_at((at_us, one))
    scene.world.run(at_us + POLL_MAX_US + 2000)
    counters = scene.a.status_of().counters
    assert counters["advertisements-received"] == len([one for one in said if one != wrong])
    assert counters["checksum"] == said.count(wrong)
    assert counters["priority-zero-received"] == said.count(advertisement(PEER, 0))


@EVERY_PATH
def test_status_knows_of_repetitions_without_disarming(path: ReceivePath) -> None:
    scene = Scene(path)
    scene.say(GOOD)
    at_us = scene.now_us + 70_000
    scene.say_at((at_us, GOOD))
    scene.rest_us(80_000)
    status = scene.a.status_of()
    assert status.master_heard_us == at_us
    assert status.next_deadline_us == at_us + DOWN
    assert status.counters["advertisements-received"] == 2
    assert scene.armed()


# Load


def _wrong(number: int) -> Datagram:
    return replace(GOOD, payload=GOOD.payload[:-1] + bytes((GOOD.payload[-1] ^ (1 + number % 255),)))


@EVERY_PATH
def test_a_busy_socket_is_polled_and_calms_down(path: ReceivePath) -> None:
    scene = Scene(path)
    start_us = scene.now_us
    scene.say_at(*[(start_us + n * 200, _wrong(n)) for n in range(1, 5 * BUSY)])
    scene.rest_us(WINDOW_US // 2)
    assert scene.a.status().sockets[0].polled
    before = scene.steps.count
    scene.rest_us(40_000)
    assert (
        scene.steps.count - before <= 40_000 // POLL_MAX_US + 1 + 200
    )  # the world wakes it for each, it does not ask to
    scene.rest_us(5 * WINDOW_US)
    assert not scene.a.status().sockets[0].polled
    assert scene.a.status_of().counters["checksum"] == 5 * BUSY - 1
    scene.lan.rest(0)
    assert scene.a.engine._listeners[next(iter(scene.a.engine._listeners))].next_poll_us == (
        scene.now_us + 5_000 if path is ReceivePath.SPLIT else None
    )


@EVERY_PATH
def test_a_socket_that_is_not_busy_is_not_polled(path: ReceivePath) -> None:
    scene = Scene(path)
    start_us = scene.now_us
    scene.say_at(*[(start_us + n * (WINDOW_US // BUSY + 100), _wrong(n)) for n in range(1, 5 * BUSY)])
    for _ in range(10):
        scene.rest_us(WINDOW_US // 2)
        assert not scene.a.status().sockets[0].polled


@EVERY_PATH
def test_a_master_among_a_flood_of_our_own_vrid_stays_master(path: ReceivePath) -> None:
    """20,000 a second with a bad checksum: they count, and our peer's advertisements are heard among them."""
    scene = Scene(path)
    scene.say(GOOD)
    start_us = scene.now_us
    scene.say_at(*[(start_us + n * 50, _wrong(n)) for n in range(1, 20_000)])
    scene.say_at(*[(start_us + n * INTERVAL_US, GOOD) for n in range(1, 12)])
    scene.rest_us(11 * INTERVAL_US)
    assert scene.a.moves() == ["BACKUP"]
    assert scene.a.status_of().counters["checksum"] == 19_999
    assert scene.received() == 12
    assert len([r for r in scene.a.reports if isinstance(r, Dropped)]) <= 3


@EVERY_PATH
def test_strangers_are_thinned_out_and_looked_at_again(path: ReceivePath) -> None:
    scene = Scene(path)
    stranger = advertisement(PEER, 200, vrid=99)
    start_us = scene.now_us
    scene.say_at(*[(start_us + n * 100, stranger) for n in range(1, 20_001)])
    shares = []
    for _ in range(20):
        scene.rest_us(100_000)
        shares.append(scene.sock.share)
    assert shares == sorted(shares)
    assert SHARE_STEP <= shares[-1] <= SHARE_MAX
    status = scene.a.status()
    assert status.sockets[0].share == shares[-1]
    counted = status.interfaces["eth0"]["vrid-unknown"]
    if path is ReceivePath.EBPF:
        assert counted == 20_000
        assert not status.sockets[0].estimated
    else:
        assert status.sockets[0].estimated
        assert abs(counted - 20_000) <= 2 * shares[-1]
    for _ in range(6):
        scene.rest_us(LOOK_US + POLL_MAX_US)
        scene.a.step()
    assert scene.sock.share == 1


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            ReceivePath.EBPF,
            marks=pytest.mark.xfail(strict=True, reason="the table of one socket knows nothing of the others' VRIDs"),
        ),
        ReceivePath.SPLIT,
        ReceivePath.OFF,
    ],
    ids=str,
)
def test_what_another_socket_of_ours_is_for_is_no_stranger(path: ReceivePath) -> None:
    """A raw socket for the group is shown unicast packets, too; those that the unicast socket takes are no errors."""
    unicast = settings("VI_60", vrid=60, source="192.0.2.1", peers=[PEER], vips=["192.0.2.60/24"])
    scene = Scene(path, settings(), unicast)
    strangers = 2 * STRANGERS
    scene.say_at(*[(scene.now_us + n * 100, advertisement(PEER, 200, vrid=99)) for n in range(1, strangers + 1)])
    scene.rest_us(20_000)
    group = next(one for one in scene.a.kernel.sockets if one.group is not None)
    assert group.share == SHARE_STEP
    ours = advertisement(PEER, 200, vrid=60, destination="192.0.2.1", vips=["192.0.2.60/24"])
    start_us = scene.now_us
    scene.say_at(*[(start_us + n * 5_000, ours) for n in range(1, 101)])
    scene.rest_us(600_000)
    counted = scene.a.status().interfaces["eth0"]["vrid-unknown"]
    assert abs(counted - strangers) <= (0 if path is ReceivePath.EBPF else 2 * SHARE_STEP)
    assert scene.received("VI_60") == 100


@EVERY_PATH
def test_few_strangers_are_all_looked_at(path: ReceivePath) -> None:
    scene = Scene(path)
    start_us = scene.now_us
    stranger = advertisement(PEER, 200, vrid=99)
    scene.say_at(*[(start_us + n * (LOOK_US // (STRANGERS // 2)), stranger) for n in range(1, 100)])
    scene.rest_us(100 * LOOK_US // (STRANGERS // 2) + POLL_MAX_US)
    assert scene.sock.share == 1
    status = scene.a.status()
    assert status.interfaces["eth0"]["vrid-unknown"] == 99
    assert not status.sockets[0].estimated


def test_calm_is_less_than_busy() -> None:
    """Else a socket would be polled and not polled by turns."""
    assert CALM * 2 < BUSY


# What is told


def test_a_refused_path_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedSocket, "refused", KernelError("load", "eBPF program", 1))
    scene = Scene(ReceivePath.SPLIT, settings(), settings("VI_6", vips=["fe80::100/64"]), own=("192.0.2.1/24",))
    scene.a.add_address("fe80::1/64")
    scene.rest_us(S)
    scene.a.set_link(up=False)
    scene.rest_us(S)
    scene.a.set_link(up=True)
    scene.rest_us(S)
    assert len(scene.a.kernel.sockets) == 2
    [said] = [r for r in scene.a.reports if isinstance(r, FellBack)]
    assert said.path == "split"
    assert "eBPF program" in said.reason
    assert {one.refused for one in scene.a.status().sockets} == {str(SimulatedSocket.refused)}


# The same story on all paths

SOAK = hypothesis_settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

WORDS = (
    "priority",
    "fault",
    "clear",
    "down",
    "up",
    "leave",
    "join",
    "reload",
    "freeze",
    "thaw",
    "cut",
    "mend",
    "garbage",
)
STANDING = ("freeze", "thaw")
JUDGED = ("priority", "reload")


def happenings(*but: str) -> st.SearchStrategy[list[tuple[int, str, int, int]]]:
    """Waits, what happens, to whom, and a number; without those words."""
    return st.lists(
        st.tuples(
            st.sampled_from([0, 1, 10_000, 33_000, INTERVAL_US, 3 * INTERVAL_US, 4 * INTERVAL_US, 1_500_000]),
            st.sampled_from([word for word in WORDS if word not in but]),
            st.integers(0, 2),
            st.integers(1, 254),
        ),
        max_size=20,
    )


priorities_of_three = st.lists(st.sampled_from([1, 99, 100, 200, 254]), min_size=3, max_size=3)


def _story(path: ReceivePath, priorities: Sequence[int], told: Sequence[tuple[int, str, int, int]]) -> list[Any]:
    """Three routers and what happens to them; answers every transition of each."""
    lan = SimulatedLan()
    world = lan.world
    world.path = path
    hosts = [lan.host(f"r{n}", f"192.0.2.{n}/24") for n in (1, 2, 3)]
    wire = world.host("wire")
    link = wire.add_link("eth0", ip_interface("192.0.2.99/24"))
    current = list(priorities)

    def join(number: int) -> None:
        hosts[number].configure(settings(priority=current[number]))

    for number in range(3):
        join(number)
    for wait_us, word, number, value in told:
        lan.rest(wait_us / 1e6)
        host = hosts[number]
        match word:
            case "priority":
                host.command(SetPriority("VI_1", value))
            case "reload":
                current[number] = value
                join(number)
            case "fault":
                host.command(RaiseFault("VI_1", "x", "x"))
            case "clear":
                host.command(ClearFault("VI_1", "x"))
            case "down" | "up":
                host.set_link(up=word == "up")
            case "leave":
                host.command(Configure(()))
            case "join":
                join(number)
            case "slow" | "quick":
                world.delay_us = 20_000 if word == "slow" else 0
            case "garbage":
                world.transmit(wire, link, replace(advertisement("192.0.2.1", value), payload=bytes(value)))
            case _:
                getattr(world, word)(host.name)
    lan.rest(3)
    # Not the peers: of two packets of one microsecond either may be called the later.
    return [[(one.at_us, one.previous, one.state, one.cause) for one in host.transitions()] for host in hosts]


@SOAK
@given(priorities_of_three, happenings(*STANDING))
def test_ebpf_tells_the_same_story(priorities: list[int], told: list[tuple[int, str, int, int]]) -> None:
    """The same states at the same microseconds for the same causes."""
    assert _story(ReceivePath.EBPF, priorities, told) == _story(ReceivePath.OFF, priorities, told)


@SOAK
@given(priorities_of_three, happenings(*STANDING, *JUDGED))
def test_the_split_path_tells_the_same_story(priorities: list[int], told: list[tuple[int, str, int, int]]) -> None:
    """
    The same states for the same causes, and at the same times but for what is read a poll later.

    Without changes of our own priority: what came just before and is not read yet is judged by the new one.
    """
    for one, other in zip(
        _story(ReceivePath.SPLIT, priorities, told), _story(ReceivePath.OFF, priorities, told), strict=True
    ):
        assert [entry[1:] for entry in one] == [entry[1:] for entry in other]
        assert all(abs(here[0] - there[0]) <= 2 * SPLIT_POLL_US for here, there in zip(one, other, strict=True))


@SOAK
@given(priorities_of_three, happenings())
def test_every_path_ends_in_the_same_states(priorities: list[int], told: list[tuple[int, str, int, int]]) -> None:
    """Whatever happened: who stood still as well, and whose priority changed meanwhile."""
    ends = [[entries[-1][2] for entries in _story(path, priorities, told)] for path in ReceivePath]
    assert ends[0] == ends[1] == ends[2]


@EVERY_PATH
def test_nothing_grows(path: ReceivePath) -> None:
    """Ten thousand packets of everybody and everything later there is no more to remember than after a hundred."""

    def size(scene: Scene) -> int:
        [listener] = scene.a.engine._listeners.values()
        runner = scene.runner()
        return sum(
            map(
                len,
                (
                    listener._passed,
                    listener.armed,
                    listener.counters,
                    listener.complaints._pending,
                    runner.counters,
                    runner.router._asserted,
                    runner._datagrams,
                    scene.sock._armed,
                    scene.sock.queue,
                    scene.sock.rest,
                ),
            )
        )

    chance = random.Random(9)
    scene = Scene(path)

    def flood(count: int) -> None:
        for _ in range(count):
            source = f"192.0.2.{chance.randrange(2, 250)}"
            one = advertisement(
                source, chance.randrange(256), vrid=chance.choice([51, 52]), ttl=chance.choice([255, 9])
            )
            at = chance.randrange(len(one.payload))
            if chance.random() < 0.3:
                one = replace(one, payload=one.payload[:at] + bytes((chance.randrange(256),)) + one.payload[at + 1 :])
            scene.world.transmit(scene.wire, scene._link, one)
            scene.rest_us(chance.choice([0, 100, 1000]))

    flood(1000)
    before = size(scene)
    flood(3000)
    assert size(scene) <= before + 8
