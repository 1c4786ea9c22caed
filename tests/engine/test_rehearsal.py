"""A take-over on paper: it runs the code of a real one, as often as it is asked to, and touches nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from pyvrrp.engine import rehearsal as rehearsal_module
from pyvrrp.engine.commands import Ask, Configure, SetPriority
from pyvrrp.engine.loop import AUDIT_US, Engine
from pyvrrp.engine.rehearsal import Rehearsal
from pyvrrp.engine.reports import InstanceStatus, Report, Status
from pyvrrp.errors import KernelError
from pyvrrp.net.simulated import SimulatedSystem, World
from pyvrrp.net.system import ReceivePath, VirtualAddress
from pyvrrp.protocol.states import State
from tests.engine.worlds import INTERVAL_US, SimulatedLan, settings

S = 1_000_000


class Kernel(SimulatedSystem):
    """A host that counts what it is asked to go through the motions of."""

    def __init__(self) -> None:
        super().__init__(World(), "a")
        self.rehearsed = 0

    def rehearse(self) -> None:
        self.rehearsed += 1


def inner_state(rehearsal: Rehearsal) -> State:
    [runner] = rehearsal._engine._runners.values()
    return runner.router.state


def test_play_takes_over_and_reset_makes_it_a_backup_again() -> None:
    kernel = Kernel()
    rehearsal = Rehearsal(kernel)
    assert inner_state(rehearsal) is State.BACKUP
    assert kernel.rehearsed == 0
    rehearsal.play()
    assert inner_state(rehearsal) is State.MASTER
    assert kernel.rehearsed == 1
    rehearsal.reset()
    assert inner_state(rehearsal) is State.BACKUP
    assert kernel.rehearsed == 1


def test_it_takes_over_each_time() -> None:
    """Over more rounds than there are Master_Down_Intervals in the time between two audits."""
    kernel = Kernel()
    rehearsal = Rehearsal(kernel)
    states = []
    for _ in range(AUDIT_US // (3 * S)):
        rehearsal.play()
        states.append(inner_state(rehearsal))
        rehearsal.reset()
    assert set(states) == {State.MASTER}
    assert kernel.rehearsed >= len(states)


def test_it_goes_through_what_a_take_over_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Advertisement, addresses, announcement, in that order."""
    done: list[str] = []
    kernel = Kernel()
    rehearsal = Rehearsal(kernel)
    stage, silence = rehearsal_module._Stage, rehearsal_module._Silence
    real_install, real_send = stage.install, silence.send

    def install(self: rehearsal_module._Stage, addresses: Sequence[VirtualAddress]) -> Sequence[KernelError | None]:
        done.append("install")
        return real_install(self, addresses)

    def send(self: rehearsal_module._Silence, datagrams: Sequence[object]) -> object:
        done.append("send")
        return real_send(self, datagrams)  # type: ignore[arg-type]  # they are datagrams

    monkeypatch.setattr(stage, "install", install)
    monkeypatch.setattr(silence, "send", send)
    monkeypatch.setattr(stage, "announce", lambda _, __: done.append("announce"))
    rehearsal.play()
    assert done == ["send", "install", "announce"]


def test_nothing_of_it_is_seen() -> None:
    """No packet, no address, no socket: the real kernel is asked for nothing but the motions."""
    kernel = Kernel()
    kernel.add_link("eth0")
    rehearsal = Rehearsal(kernel)
    for _ in range(50):
        rehearsal.play()
        rehearsal.reset()
    assert kernel.world.journal == []
    assert kernel.sockets == kernel.monitors == []
    assert list(kernel.addresses()) == []


def test_played_and_reset_for_ever_it_grows_not() -> None:
    rehearsal = Rehearsal(Kernel())
    engine = rehearsal._engine

    def size() -> int:
        [runner] = engine._runners.values()
        [listener] = engine._listeners.values()
        kept = engine._commands, engine._leaving, engine._past_counters, runner.counters, listener.complaints._pending
        return sum(len(one) for one in kept)

    for _ in range(20):
        rehearsal.play()
        rehearsal.reset()
    before = size()
    for _ in range(500):
        rehearsal.play()
        rehearsal.reset()
    assert size() == before


# What is laid out beforehand, and when the engine wants to be awake early


def test_each_instance_is_prepared_once_and_again_when_it_changes() -> None:
    lan = SimulatedLan()
    a = lan.host("a", "192.0.2.1/24")
    one, two = settings(), settings("VI_2", vrid=52, vips=["192.0.2.200/24"])
    a.configure(one, two)
    lan.rest(0)
    assert [a.engine.prepare_next() for _ in range(4)] == [True, True, False, False]
    a.configure(settings(priority=101), two)
    lan.rest(0)
    assert [a.engine.prepare_next() for _ in range(3)] == [True, False, False]
    a.command(SetPriority("VI_2", 7))
    lan.rest(0)
    assert [a.engine.prepare_next() for _ in range(3)] == [True, False, False]
    a.delete_address("192.0.2.1/24")
    a.add_address("192.0.2.3/24")
    lan.rest(0)
    assert [a.engine.prepare_next() for _ in range(3)] == [True, True, False]


def test_a_kernel_that_refuses_to_prepare_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lan = SimulatedLan()
    a = lan.host("a", "192.0.2.1/24")
    a.configure(settings())
    lan.rest(0)

    def refuse(*_: object) -> None:
        raise KernelError("open", "packet socket", 1)

    monkeypatch.setattr(SimulatedSystem, "prepare", refuse)
    assert [a.engine.prepare_next() for _ in range(3)] == [True, False, False]
    lan.until(a.is_master, "master all the same")


def test_an_instance_without_address_or_link_is_prepared_as_far_as_it_goes() -> None:
    lan = SimulatedLan()
    a = lan.host("a")
    a.configure(settings(), settings("VI_2", interface="eth7"))
    lan.rest(0)
    assert [a.engine.prepare_next() for _ in range(3)] == [True, True, False]
    a.add_address("192.0.2.1/24")
    lan.until(a.is_master, "master")
    lan.rest(0)
    assert a.engine.prepare_next()


@pytest.mark.parametrize("path", list(ReceivePath), ids=str)
def test_eager_before_a_take_over_only(path: ReceivePath) -> None:
    lan = SimulatedLan()
    lan.world.path = path
    a = lan.host("a", "192.0.2.1/24")
    a.configure(settings())
    lan.rest(0)
    a.step()
    assert a.engine.eager is (path is not ReceivePath.SPLIT)  # there the next poll comes first
    lan.until(a.is_master, "master")
    lan.rest(0.001)
    a.step()
    assert not a.engine.eager


@pytest.mark.parametrize("path", list(ReceivePath), ids=str)
def test_to_reconsider_changes_no_deadline(path: ReceivePath) -> None:
    """Asked at any moment it says what a step would, and nobody is forgotten for it."""
    chance = random.Random(4)
    stories = []
    for reconsidering in (False, True):
        lan = SimulatedLan()
        lan.world.path = path
        hosts = [lan.host(name, f"192.0.2.{n}/24") for n, name in enumerate("abc", start=1)]
        for n, host in enumerate(hosts, start=1):
            host.configure(settings(priority=50 * n))
        lan.rest(0.001)
        moments = random.Random(5)
        for _ in range(300):
            lan.rest(moments.randrange(1, 30_000) / 1e6)
            what, host = moments.randrange(40), moments.choice(hosts)
            if what == 0:
                host.command(SetPriority("VI_1", moments.randrange(1, 255)))
            elif what == 1:
                host.set_link(up=False)
            elif what == 2:
                host.set_link(up=True)
            lan.rest(0)
            if reconsidering:
                for one in hosts:
                    if chance.random() < 0.5:
                        at_us = one.engine.reconsider()
                        assert at_us is None or at_us > lan.world.now_us or path is ReceivePath.SPLIT
        stories.append([(t.at_us, t.state, t.cause) for host in hosts for t in host.transitions()])
    assert stories[0] == stories[1]
    assert len(stories[0]) > 10


def test_reconsidered_after_repetitions_the_deadline_is_later() -> None:
    """eBPF: the kernel heard the master; the engine may go back to sleep without a step."""
    lan = SimulatedLan()
    lan.world.path = ReceivePath.EBPF
    a, b = lan.host("a", "192.0.2.1/24"), lan.host("b", "192.0.2.2/24")
    a.configure(settings(priority=200))
    b.configure(settings(priority=100))
    lan.until(lambda: a.is_master() and b.state() is State.BACKUP, "the election")
    lan.rest(2 * INTERVAL_US / 1e6)
    first_us = b.engine.reconsider()
    lan.rest(2 * INTERVAL_US / 1e6)
    second_us = b.engine.reconsider()
    assert first_us is not None
    assert second_us is not None
    assert second_us - first_us == 2 * INTERVAL_US


# Only what is ready is read


def test_what_is_not_ready_is_not_read_and_what_must_be_is() -> None:
    """A step that is told that nothing is ready does what is due all the same, and answers questions."""
    world = World()
    system = world.host("a")
    system.add_link("eth0")
    reports: list[Report] = []
    engine = Engine(system, reports.append)
    engine.command(Configure((settings(),)))
    engine.step(())
    engine.command(Ask(1))
    engine.step(())
    [status] = [one for one in reports if isinstance(one, Status)]
    assert [type(one) for one in status.instances] == [InstanceStatus]
