"""`Drain` and `Resume`: an instance hands over, stays out whatever comes, and takes part again when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pyvrrp.engine.commands import ClearFault, Command, Configure, Drain, RaiseFault, Resume, SetPriority, Stop
from pyvrrp.engine.reports import Stopped
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.net.system import ReceivePath
from pyvrrp.protocol.actions import Cause
from pyvrrp.protocol.states import State
from tests.engine.worlds import INTERVAL_US, VIP, Host, Lan, SimulatedHost, SimulatedLan, settings, with_priority

INTERVAL_S = INTERVAL_US / 1e6
DOWN_S = 4 * INTERVAL_S
"""Longer than any Master_Down_Interval here."""

HANDOVER_US = INTERVAL_US + 10_000
"""How long a MASTER serves on whom nobody follows."""

EVERY_PATH = pytest.mark.parametrize("path", list(ReceivePath), ids=str)


def pair(lan: Lan) -> tuple[Host, Host]:
    """Two routers, the first of which is the better one and MASTER."""
    a, b = lan.host("a", "192.0.2.1/24"), lan.host("b", "192.0.2.2/24")
    a.configure(settings(priority=200))
    b.configure(settings(priority=100))
    lan.until(lambda: a.is_master() and b.state() is State.BACKUP, "the election")
    return a, b


def lone_master(simulated: SimulatedLan, one: InstanceSettings | None = None) -> SimulatedHost:
    a = simulated.host("a", "192.0.2.1/24")
    a.configure(one or settings())
    simulated.until(a.is_master, "master")
    return a


# Handing over


def test_drain_hands_over_without_a_gap_and_resume_takes_it_back(lan: Lan) -> None:
    a, b = pair(lan)
    a.forget()
    a.command(Drain("VI_1"))
    lan.until(lambda: a.state() is State.INITIALIZE, "the handover")
    assert b.is_master()
    assert [sent.priority for sent in a.sent()] == [0]
    assert a.transitions()[-1].cause is Cause.HANDED_OVER
    assert a.addresses() & {VIP} == set()
    assert a.status_of().drained
    lan.rest(2 * DOWN_S)
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]
    a.command(Resume("VI_1"))
    lan.until(lambda: a.is_master() and b.state() is State.BACKUP, "the way back")
    assert not a.status_of().drained
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE", "BACKUP", "MASTER"]


@EVERY_PATH
def test_a_drained_backup_hears_nothing_and_is_not_armed(path: ReceivePath) -> None:
    simulated = SimulatedLan()
    simulated.world.path = path
    a, b = pair(simulated)
    simulated.rest(DOWN_S)
    b.command(Drain("VI_1"))
    simulated.rest(0)
    assert b.state() is State.INITIALIZE
    runner = b.engine._runners["VI_1"]
    assert runner._again is None
    assert runner.listener is not None
    assert runner.listener.armed == {}
    a.command(Stop())
    simulated.rest(2 * DOWN_S)
    assert b.moves() == ["BACKUP", "INITIALIZE"]
    b.command(Resume("VI_1"))
    simulated.until(b.is_master, "master again")


def test_who_has_no_successor_lets_go_all_the_same(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    at_us = simulated.world.now_us
    a.command(Drain("VI_1"))
    simulated.rest(DOWN_S)
    last = a.transitions()[-1]
    assert (last.state, last.cause, last.at_us) == (State.INITIALIZE, Cause.NO_SUCCESSOR, at_us + HANDOVER_US)


def test_a_second_drain_changes_nothing(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    at_us = simulated.world.now_us
    a.forget()
    a.command(Drain("VI_1"))
    simulated.rest(INTERVAL_S / 2)
    a.command(Drain("VI_1"), Drain(None))
    simulated.rest(DOWN_S)
    assert [sent.priority for sent in a.sent()] == [0]
    assert a.transitions()[-1].at_us == at_us + HANDOVER_US
    a.command(Drain("VI_1"))
    simulated.rest(DOWN_S)
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]


def test_resume_without_drain_changes_nothing(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.command(Resume("VI_1"), Resume(None))
    simulated.rest(DOWN_S)
    assert a.moves() == ["BACKUP", "MASTER"]


@pytest.mark.parametrize("command", [Drain("nobody"), Resume("nobody")])
def test_an_unknown_name_changes_nothing(simulated: SimulatedLan, command: Command) -> None:
    a = lone_master(simulated)
    a.command(command)
    simulated.rest(DOWN_S)
    assert a.moves() == ["BACKUP", "MASTER"]
    assert not a.status_of().drained


def test_one_of_two(simulated: SimulatedLan) -> None:
    a = simulated.host("a", "192.0.2.1/24")
    a.configure(settings(), settings("VI_2", vrid=52, vips=["192.0.2.200/24"]))
    simulated.until(lambda: a.is_master() and a.is_master("VI_2"), "masters")
    a.command(Drain("VI_2"))
    simulated.rest(DOWN_S)
    assert a.is_master()
    assert a.state("VI_2") is State.INITIALIZE
    assert [one.drained for one in a.status().instances] == [False, True]


# Changes of mind


def test_resume_while_it_hands_over_starts_it_again_afterwards(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(INTERVAL_S / 2)
    a.command(Resume("VI_1"))
    assert a.state() is State.MASTER
    simulated.until(lambda: a.moves().count("BACKUP") == 2, "the start")
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE", "BACKUP"]
    simulated.until(a.is_master, "master again")


def test_drain_after_a_resume_that_came_too_early(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"), Resume("VI_1"), Drain("VI_1"))
    simulated.rest(2 * DOWN_S)
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]


def test_an_owner_resumes_as_master_at_once(simulated: SimulatedLan) -> None:
    a = lone_master(simulated, with_priority(settings(), 255))
    a.command(Drain("VI_1"))
    simulated.rest(INTERVAL_S / 2)
    a.command(Resume("VI_1"))
    simulated.rest(DOWN_S)
    assert a.moves() == ["MASTER", "INITIALIZE", "MASTER"]


# Together with a stop


@pytest.mark.parametrize("handover", [False, True])
@pytest.mark.parametrize("wait_us", [0, INTERVAL_US // 2, 3 * INTERVAL_US])
def test_stop_after_drain(simulated: SimulatedLan, handover: bool, wait_us: int) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(wait_us / 1e6)
    a.command(Stop(handover=handover))
    simulated.until(lambda: Stopped() in a.reports, "the end")
    assert [sent.priority for sent in a.sent()].count(0) == 1
    assert a.addresses() & {VIP} == set()


def test_stop_after_a_resume_that_came_too_early(simulated: SimulatedLan) -> None:
    """Drain, resume and a planned end within one interval: the engine ends."""
    a = lone_master(simulated)
    a.command(Drain("VI_1"), Resume("VI_1"), Stop(handover=True))
    simulated.rest(10 * DOWN_S)
    assert Stopped() in a.reports


def test_stop_at_once_after_a_resume_that_came_too_early(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"), Resume("VI_1"), Stop())
    simulated.rest(DOWN_S)
    assert Stopped() in a.reports
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]


def test_no_resume_while_the_engine_ends(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(DOWN_S)
    a.command(Stop(handover=True), Resume("VI_1"))
    simulated.rest(2 * DOWN_S)
    assert Stopped() in a.reports
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]


# Together with a reload


def _changes() -> list[tuple[str, InstanceSettings]]:
    one = settings()
    return [
        ("nothing", one),
        ("priority", settings(priority=150)),
        ("addresses", settings(vips=["192.0.2.101/24"])),
        ("interval", settings(interval_us=2 * INTERVAL_US)),
        ("version", settings(version=2, interval_us=1_000_000)),
        ("owner", with_priority(one, 255)),
        ("name", settings("VI_2")),
    ]


CHANGES = pytest.mark.parametrize("change", [pytest.param(change, id=word) for word, change in _changes()])


@CHANGES
def test_a_reload_keeps_it_drained(simulated: SimulatedLan, change: InstanceSettings) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(DOWN_S)
    a.forget()
    a.configure(change)
    simulated.rest(4)
    assert a.state(change.name) is State.INITIALIZE
    assert a.status_of(change.name).drained
    assert a.sent() == []
    assert a.addresses() == {"192.0.2.1/24"}
    a.command(Resume(change.name))
    simulated.until(lambda: a.is_master(change.name), "master with the new settings", patience_s=10)
    assert a.sent()[-1].priority == change.router.priority


def test_a_reload_that_moves_it_to_another_vrid_keeps_it_drained(simulated: SimulatedLan) -> None:
    """Operators drain a name; it must not begin to serve because its VRID was corrected."""
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(DOWN_S)
    a.configure(settings(vrid=52))
    simulated.rest(DOWN_S)
    assert a.state() is State.INITIALIZE
    assert a.status_of().drained


@pytest.mark.parametrize("change", [pytest.param(change, id=word) for word, change in _changes()])
def test_a_reload_while_it_hands_over(simulated: SimulatedLan, change: InstanceSettings) -> None:
    """The successor has heard priority 0 and waits for Skew_Time: no advertisement may call it back."""
    a, b = lone_master(simulated), simulated.host("b", "192.0.2.2/24")
    b.configure(settings(priority=1, vips=["192.0.2.100/24"]))
    simulated.rest(DOWN_S)
    a.forget()
    a.command(Drain("VI_1"))
    simulated.rest(0.01)
    at_us = simulated.world.now_us
    a.configure(change)
    simulated.rest(2 * DOWN_S)
    assert {sent.priority for sent in a.sent()} == {0}
    assert a.state(change.name) is State.INITIALIZE
    assert b.is_master()
    assert a.transitions(change.name)[-1].at_us <= at_us + HANDOVER_US


def test_a_longer_interval_does_not_stretch_the_handover(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(0.01)
    at_us = simulated.world.now_us
    a.configure(settings(interval_us=40_000_000))
    simulated.rest(60)
    assert a.transitions()[-1].state is State.INITIALIZE
    assert a.transitions()[-1].at_us <= at_us + HANDOVER_US


def test_all_are_drained_also_those_that_come_later(simulated: SimulatedLan) -> None:
    one, two = settings(), settings("VI_2", vrid=52, vips=["192.0.2.200/24"])
    a = lone_master(simulated, one)
    a.command(Drain(None))
    a.configure(one, two)
    simulated.rest(2 * DOWN_S)
    assert a.state() is a.state("VI_2") is State.INITIALIZE
    assert a.moves("VI_2") == []
    a.command(Resume("VI_2"))
    simulated.until(lambda: a.is_master("VI_2"), "the one that was resumed")
    assert a.state() is State.INITIALIZE
    a.configure(one, two, settings("VI_3", vrid=53, vips=["192.0.2.201/24"]))
    simulated.rest(2 * DOWN_S)
    assert a.moves("VI_3") == []
    a.command(Resume(None))
    simulated.until(lambda: all(a.is_master(name) for name in ("VI_1", "VI_2", "VI_3")), "all")
    a.configure(one, two, settings("VI_4", vrid=54, vips=["192.0.2.202/24"]))
    simulated.until(lambda: a.is_master("VI_4"), "a new one, which takes part")


def test_taken_out_and_put_in_again_it_takes_part(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(DOWN_S)
    a.command(Configure(()), Configure((settings(),)))
    simulated.until(a.is_master, "master")


def test_taken_out_while_it_hands_over(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.forget()
    a.command(Drain("VI_1"))
    simulated.rest(0.01)
    a.configure()
    simulated.rest(DOWN_S)
    assert [sent.priority for sent in a.sent()] == [0]
    assert a.addresses() == {"192.0.2.1/24"}
    assert simulated.world.hosts["a"].sockets == []


# Together with faults, trackers and the interface


def test_held_and_drained(simulated: SimulatedLan) -> None:
    """It waits for both: the first word of its tracker, and the word of its operator."""
    for order in ((ClearFault("VI_1", "check"), Resume("VI_1")), (Resume("VI_1"), ClearFault("VI_1", "check"))):
        lan = SimulatedLan()
        a = lan.host("a", "192.0.2.1/24")
        a.configure(settings(awaited=["check"]))
        a.command(Drain("VI_1"))
        for command in order:
            lan.rest(DOWN_S)
            assert a.moves() == []
            a.command(command)
        lan.until(a.is_master, "master")
    assert simulated.world.now_us == 0


@pytest.mark.parametrize("clear_first", [False, True])
def test_a_fault_while_drained(simulated: SimulatedLan, clear_first: bool) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(DOWN_S)
    a.command(RaiseFault("VI_1", "check", "exit 1"))
    simulated.rest(DOWN_S)
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]
    steps: list[Command] = [ClearFault("VI_1", "check"), Resume("VI_1")]
    for command in steps if clear_first else reversed(steps):
        a.command(command)
        simulated.rest(0.001)
    fault = [] if clear_first else ["FAULT"]
    simulated.until(a.is_master, "master")
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE", *fault, "BACKUP", "MASTER"]


def test_a_fault_while_it_hands_over_lets_go_at_once(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.forget()
    a.command(Drain("VI_1"))
    simulated.rest(0.01)
    at_us = simulated.world.now_us
    a.command(RaiseFault("VI_1", "check", "exit 1"))
    simulated.rest(DOWN_S)
    assert a.transitions()[-1].at_us == at_us
    assert [sent.priority for sent in a.sent()] == [0]
    assert a.addresses() == {"192.0.2.1/24"}


def test_a_fault_after_resume_while_it_hands_over(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"), Resume("VI_1"), RaiseFault("VI_1", "check", "exit 1"))
    simulated.rest(DOWN_S)
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE", "FAULT"]
    a.command(ClearFault("VI_1", "check"))
    simulated.until(a.is_master, "master")


@pytest.mark.parametrize(
    "flap",
    [
        pytest.param(lambda a: (a.set_link(up=False), a.set_link(up=True)), id="link"),
        pytest.param(lambda a: (a.delete_link(), a.create_link()), id="another link"),
        pytest.param(lambda a: (a.delete_address("192.0.2.1/24"), a.add_address("192.0.2.3/24")), id="address"),
        pytest.param(lambda a: a.command(SetPriority("VI_1", 250)), id="priority"),
    ],
)
def test_a_flap_does_not_wake_who_is_drained(simulated: SimulatedLan, flap: Callable[[SimulatedHost], object]) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(DOWN_S)
    flap(a)
    simulated.rest(2)
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]
    assert VIP not in a.addresses()
    a.command(Resume("VI_1"))
    simulated.until(a.is_master, "master")


def test_addresses_deleted_while_it_hands_over_are_put_back_and_then_go(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(0.01)
    a.delete_address(VIP)
    simulated.rest(0.01)
    assert VIP in a.addresses()
    simulated.rest(DOWN_S)
    assert VIP not in a.addresses()


def test_settings_that_wait_for_a_word_and_another_version_while_drained(simulated: SimulatedLan) -> None:
    a = lone_master(simulated)
    a.command(Drain("VI_1"))
    simulated.rest(DOWN_S)
    a.configure(replace(settings(version=2, interval_us=1_000_000), awaited=frozenset({"check"})))
    a.command(Resume("VI_1"))
    simulated.rest(5)
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]
    a.command(ClearFault("VI_1", "check"))
    simulated.until(a.is_master, "master", patience_s=10)


def test_a_check_that_fails_ends_a_planned_end_at_once(simulated: SimulatedLan) -> None:
    """Nobody has followed yet, but whoever asks is better off without an answer than with a dead service's."""
    a = lone_master(simulated, settings(interval_us=2_000_000))
    a.command(Stop(handover=True))
    simulated.rest(0.1)
    assert VIP in a.addresses()
    a.command(RaiseFault("VI_1", "script:chk", "exited with status 1"))
    a.command(RaiseFault("gone", "script:chk", "exited with status 1"))
    simulated.rest(0)
    assert VIP not in a.addresses()
    simulated.until(lambda: Stopped() in a.reports, "the end")


def test_a_check_that_fails_at_the_end_starts_nobody(simulated: SimulatedLan) -> None:
    """An instance that still waits for its first verdict hears it, and stays where it is."""
    a = lone_master(simulated)
    a.configure(settings(), settings("VI_2", vrid=2, vips=["192.0.2.101/24"], awaited=["script:chk"]))
    simulated.rest(0.1)
    a.command(Stop(handover=True))
    a.command(RaiseFault("VI_2", "script:chk", "exited with status 1"))
    simulated.until(lambda: Stopped() in a.reports, "the end")
    assert a.moves("VI_2") == []
