"""One wake-up of the engine: its order, its bounds, its commands, and what it does when the kernel refuses."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from pyvrrp.engine.commands import Ask, ClearFault, Configure, RaiseFault, SetPriority, Stop
from pyvrrp.engine.loop import AUDIT_US, DRAINS_MAX, NEAR_US, NEWS_US, REOPEN_US, Engine
from pyvrrp.engine.reports import Entered, KernelFailed, Remarked, Report, Status, Stopped
from pyvrrp.errors import KernelError, UsageError
from pyvrrp.net.simulated import READ_MAX, SimulatedSocket
from pyvrrp.net.system import AssignedAddress, Datagram, Link, Resynchronise
from pyvrrp.protocol.actions import Cause, Note
from pyvrrp.protocol.settings import AnnouncementSettings
from pyvrrp.protocol.states import State
from tests.engine.worlds import (
    INTERVAL_US,
    QUIET,
    VIP,
    SimulatedHost,
    SimulatedLan,
    advertisement,
    settings,
    vip,
)

INTERVAL_S = INTERVAL_US / 1e6
PEER = "192.0.2.9"


@pytest.fixture
def a(simulated: SimulatedLan) -> SimulatedHost:
    return simulated.host("a", "192.0.2.1/24")


def serving(lan: SimulatedLan, host: SimulatedHost, **options: object) -> SimulatedHost:
    """The host as MASTER of one instance."""
    host.configure(settings(**options))  # type: ignore[arg-type]  # passed through
    lan.until(host.is_master, "master")
    host.forget()
    return host


def socket_of(host: SimulatedHost) -> SimulatedSocket:
    return host.kernel.sockets[0]


def failures(host: SimulatedHost) -> list[KernelFailed]:
    return [report for report in host.reports if isinstance(report, KernelFailed)]


def refuse(*_: object) -> None:
    raise KernelError("try", "it", errno.EIO)


def test_a_long_configuration_is_no_silence(
    simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of virtual routers take longer to set up than a short Master_Down_Interval; they wait from then on."""
    original = a.kernel.open_socket

    def slow(*arguments: Any) -> Any:
        simulated.world.now_us += 500_000
        return original(*arguments)

    monkeypatch.setattr(a.kernel, "open_socket", slow)
    a.configure(settings(interval_us=100_000))
    simulated.rest(0)
    simulated.rest(0.3)
    assert a.moves() == ["BACKUP"]
    simulated.rest(0.1)
    assert a.moves() == ["BACKUP", "MASTER"]


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("order", ["AB", "BA"])
def test_an_address_moves_from_one_instance_to_another(
    simulated: SimulatedLan, a: SimulatedHost, order: str, *, gone: bool, tracked: bool
) -> None:
    """By a reload; it stays, whoever of them stands first, also if nobody would put it back."""

    def run(**vips: list[str]) -> None:
        made = [settings(name, vrid=ord(name), vips=vips[name]) for name in order if name in vips]
        a.configure(*(replace(one, vips=tuple(replace(vip, tracked=tracked) for vip in one.vips)) for one in made))
        simulated.rest(6)

    run(A=["192.0.2.100/24", "192.0.2.102/24"], B=["192.0.2.101/24"])
    run(**({} if gone else {"A": ["192.0.2.100/24"]}), B=["192.0.2.101/24", "192.0.2.102/24"])
    assert a.addresses() >= {"192.0.2.101/24", "192.0.2.102/24"}
    assert ("192.0.2.100/24" in a.addresses()) is not gone


class TestOrder:
    def test_sockets_are_read_before_deadlines_are_believed(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """A BACKUP that wakes late finds the master's advertisement in its queue, and stays."""
        a.configure(settings())
        simulated.rest(0.001)
        deadline_us = a.engine.next_router_deadline_us
        assert deadline_us is not None
        a.kernel.frozen = True
        simulated.rest(deadline_us / 1e6)
        socket_of(a).put(advertisement(PEER, 200))
        simulated.world.thaw("a")
        simulated.rest(0)
        assert a.moves() == ["BACKUP"]

    def test_a_bounded_drain_defers_deadlines(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """While packets wait unread no deadline is believed, and the engine asks to be woken at once."""
        a.configure(settings())
        simulated.rest(0.001)
        simulated.world.now_us += 1_000_000
        broken = replace(advertisement(PEER, 200), payload=b"\x31")
        socket_of(a).put(*[broken] * READ_MAX)
        socket_of(a).put(advertisement(PEER, 200))
        assert a.step() == simulated.world.now_us
        assert len(socket_of(a).queue) == 1
        assert a.moves() == ["BACKUP"]
        wake_us = a.step()
        assert wake_us is not None
        assert wake_us > simulated.world.now_us
        assert a.moves() == ["BACKUP"]

    def test_a_flood_cannot_silence_a_master(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """What comes faster than it can be read is not waited for without end."""
        serving(simulated, a)
        broken = replace(advertisement(PEER, 50), payload=b"\x31")
        simulated.world.now_us += INTERVAL_US
        for _ in range(DRAINS_MAX):
            socket_of(a).put(*[broken] * (READ_MAX + 1))
            assert a.step() == simulated.world.now_us
        assert [sent.priority for sent in a.sent()] == [100]

    def test_all_sockets_get_their_turn(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """One that is flooded does not keep the engine from reading another."""
        a.configure(settings(), settings("VI_U", vrid=52, vips=["192.0.2.101/24"], peers=[PEER]))
        simulated.rest(0.001)
        first, second = a.kernel.sockets
        broken = replace(advertisement(PEER, 200), payload=b"\x31")
        first.put(*[broken] * (READ_MAX + 1))
        second.put(*[broken] * (READ_MAX + 1))
        a.step()
        assert (len(first.queue), len(second.queue)) == (1, 1)

    def test_take_over(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """All advertisements, then all addresses in one batch, then announcements, over all instances."""
        a.configure(*(settings(f"VI_{n}", vrid=n, vips=[f"192.0.2.{100 + n}/24"]) for n in (1, 2)))
        simulated.until(lambda: a.is_master("VI_1") and a.is_master("VI_2"), "masters")
        verbs = [entry.verb for entry in simulated.world.journal]
        assert verbs == ["sends", "sends", "installs", "announces", "announces"]

    def test_an_early_wake_up_changes_nothing(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        a.configure(settings())
        simulated.rest(0.001)
        first = a.step()
        assert [a.step() for _ in range(5)] == [first] * 5
        assert a.moves() == ["BACKUP"]

    def test_without_instances_it_wakes_for_the_audit_alone(self, a: SimulatedHost) -> None:
        assert a.step() == AUDIT_US

    def test_it_never_asks_to_be_woken_at_once_for_nothing(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """A year of MASTER, looked at where it asks to be."""
        a.configure(settings(announcements=AnnouncementSettings(refresh_us=7_000_000, arp_interval_us=1_000)))
        last_us = -1
        again = 0
        for _ in range(500):
            wake_us = a.engine.step()
            assert wake_us is not None
            again = again + 1 if wake_us <= last_us else 0
            assert again < 2
            last_us = simulated.world.now_us = max(wake_us, simulated.world.now_us)
        assert a.state() is State.MASTER


class TestCommands:
    def test_priority_on_the_wire(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.command(SetPriority("VI_1", 42))
        simulated.rest(2 * INTERVAL_S)
        assert [sent.priority for sent in a.sent()] == [42, 42]
        assert a.status_of().effective_priority == 42
        assert a.status_of().base_priority == 100

    def test_commands_for_nobody(self, a: SimulatedHost) -> None:
        a.command(SetPriority("VI_9", 42), RaiseFault("VI_9", "x", "x"), ClearFault("VI_9", "x"))
        a.step()
        assert a.reports == []

    def test_a_held_start(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """Nothing starts before every awaited cause has had its first word; a good one lets it start as BACKUP."""
        a.configure(settings(awaited=["script:a", "script:b"]))
        simulated.rest(5)
        assert a.status_of().held == ("script:a", "script:b")
        assert a.moves() == []
        a.command(ClearFault("VI_1", "script:a"))
        simulated.rest(1)
        assert a.status_of().held == ("script:b",)
        a.command(ClearFault("VI_1", "script:b"))
        simulated.rest(0.001)
        assert a.moves() == ["BACKUP"]

    def test_a_bad_first_verdict(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        a.configure(settings(awaited=["script:a"]))
        a.command(RaiseFault("VI_1", "script:a", "it failed"))
        simulated.rest(1)
        assert a.moves() == ["FAULT"]
        assert a.transitions()[0].detail == "it failed"
        a.command(ClearFault("VI_1", "script:a"))
        simulated.rest(0.001)
        assert a.moves() == ["FAULT", "BACKUP"]

    def test_a_held_start_waits_for_what_a_reload_adds(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        a.configure(settings(awaited=["script:a", "script:b"]))
        a.command(ClearFault("VI_1", "script:a"))
        a.configure(settings(awaited=["script:a", "script:c"]))
        simulated.rest(1)
        assert a.status_of().held == ("script:c",)
        assert a.moves() == []

    def test_faults_are_counted(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.command(RaiseFault("VI_1", "x", "x failed"), RaiseFault("VI_1", "y", "y failed"))
        a.command(ClearFault("VI_1", "x"))
        simulated.rest(1)
        assert a.moves() == ["BACKUP", "MASTER", "FAULT"]
        assert a.status_of().faults == {"y": "y failed"}
        a.command(ClearFault("VI_1", "y"))
        simulated.until(a.is_master, "master again")

    def test_causes_of_control_are_not_the_engines(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """Whatever words a program uses, it cannot end a fault that the engine sees, nor the engine one of its."""
        serving(simulated, a)
        a.set_link(up=False)
        a.command(RaiseFault("VI_1", "address", "by hand"))
        simulated.rest(0.001)
        a.command(ClearFault("VI_1", "interface"))
        simulated.rest(1)
        assert a.state() is State.FAULT
        a.set_link(up=True)
        simulated.rest(1)
        assert a.status_of().faults == {"told:address": "by hand"}
        a.command(ClearFault("VI_1", "address"))
        simulated.until(a.is_master, "master")

    def test_a_reload_keeps_the_faults_of_what_is_still_tracked(
        self, simulated: SimulatedLan, a: SimulatedHost
    ) -> None:
        """And ends those of what is not: no tracker will ever clear them."""
        a.configure(settings(awaited=["x", "y"]))
        a.command(RaiseFault("VI_1", "x", "x failed"), RaiseFault("VI_1", "y", "y failed"))
        simulated.rest(0.001)
        a.configure(settings(awaited=["x"], vips=[VIP, "192.0.2.101/24"]))
        simulated.rest(1)
        assert a.status_of().faults == {"x": "x failed"}
        a.configure(settings())
        simulated.rest(0.001)
        assert a.moves() == ["FAULT", "BACKUP"]

    def test_what_did_not_change_is_not_disturbed(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        reports = list(a.reports)
        a.configure(settings())
        a.step()
        assert a.sent() == []
        assert a.reports == reports

    def test_a_reload_keeps_the_priority_of_the_trackers(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """Weights are control's to tell; only another base priority is in the settings."""
        serving(simulated, a)
        a.command(SetPriority("VI_1", 42))
        a.configure(settings(excluded=["192.0.2.200/24"]))
        simulated.rest(INTERVAL_S)
        assert {sent.priority for sent in a.sent()} == {42}

    def test_an_instance_renamed_by_a_reload(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """It is the same by its key; all that is told from then on has the new name."""
        serving(simulated, a)
        a.configure(settings("VI_new"))
        a.command(SetPriority("VI_new", 42))
        simulated.rest(INTERVAL_S)
        assert a.moves() == ["BACKUP", "MASTER"]
        assert a.sent()[-1].priority == 42
        a.reports.clear()
        a.command(Stop())
        simulated.rest(0)
        assert [report.instance for report in a.reports if isinstance(report, Entered)] == ["VI_new"]

    def test_a_rename_and_a_restart_in_one(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.reports.clear()
        a.configure(settings("VI_new", version=2, interval_us=1_000_000))
        simulated.rest(0)
        assert a.moves("VI_new") == ["INITIALIZE", "BACKUP"]
        assert a.moves("VI_1") == []

    def test_a_restart_does_not_forget_that_the_interface_is_down(
        self, simulated: SimulatedLan, a: SimulatedHost
    ) -> None:
        """An owner to be must not serve for a moment on an interface that is down."""
        serving(simulated, a)
        a.set_link(up=False)
        simulated.rest(0.001)
        a.reports.clear()
        a.configure(settings(priority=255))
        simulated.rest(0.001)
        assert a.moves() == ["INITIALIZE", "FAULT"]
        assert a.addresses() == {"192.0.2.1/24"}

    def test_a_restart_takes_the_old_addresses_away(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.configure(settings(version=2, interval_us=1_000_000, vips=["192.0.2.101/24"]))
        simulated.rest(0.001)
        assert a.addresses() == {"192.0.2.1/24"}

    def test_another_vrid_is_another_virtual_router(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.configure(settings(vrid=52))
        simulated.rest(0.001)
        assert [(sent.vrid, sent.priority) for sent in a.sent()] == [(51, 0)]
        assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE", "BACKUP"]
        assert len(a.kernel.sockets) == 1

    def test_from_multicast_to_unicast(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.configure(settings(peers=[PEER], source="192.0.2.1"))
        simulated.rest(0.001)
        simulated.until(a.is_master, "master by unicast")
        assert [str(sent.destination) for sent in a.sent()] == ["224.0.0.18", PEER]
        assert [sock.group for sock in a.kernel.sockets] == [None]

    def test_a_shorter_interval_of_a_master_holds_at_once(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """Its peers go by the interval in the advertisement that a reload sends."""
        serving(simulated, a, interval_us=5_000_000)
        a.configure(settings(interval_us=INTERVAL_US))
        simulated.rest(0.001)
        simulated.rest(3 * INTERVAL_S)
        assert len(a.sent()) == 4

    def test_another_interval_of_a_backup_in_version_2(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """It learns none from the master: what is configured is what it waits for."""
        a.configure(settings(version=2, interval_us=1_000_000))
        simulated.rest(1)
        a.configure(settings(version=2, interval_us=5_000_000))
        simulated.rest(15)
        assert a.moves() == ["BACKUP"]
        assert a.status_of().master_adver_interval_us == 5_000_000
        simulated.rest(1)
        assert a.moves() == ["BACKUP", "MASTER"]

    def test_another_interval_of_a_backup_in_version_3(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """It goes by the master's, once there is one."""
        a.configure(settings())
        simulated.rest(0.001)
        socket_of(a).put(advertisement(PEER, 200, interval_us=2_000_000))
        a.step()
        a.configure(settings(interval_us=20_000_000))
        simulated.rest(0.001)
        assert a.status_of().master_adver_interval_us == 2_000_000

    def test_refreshing_switched_off_by_a_reload(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a, announcements=replace(QUIET, refresh_us=1_000_000))
        simulated.rest(1)
        a.configure(settings())
        simulated.rest(0.001)
        a.forget()
        simulated.rest(10)
        assert a.announced() == []

    def test_refreshing_switched_on_by_a_reload(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.configure(settings(announcements=replace(QUIET, refresh_us=1_000_000)))
        simulated.rest(3.5)
        assert len(a.announced()) == 3

    def test_an_address_that_moves_from_one_instance_to_another(
        self, simulated: SimulatedLan, a: SimulatedHost
    ) -> None:
        """Whichever order the two are in, it is there afterwards."""
        both = ["192.0.2.101/24", "192.0.2.102/24"]
        a.configure(settings(vips=[VIP, both[0]]), settings("VI_2", vrid=52, vips=["192.0.2.110/24", both[1]]))
        simulated.until(lambda: a.is_master() and a.is_master("VI_2"), "masters")
        a.configure(settings(vips=[VIP, both[1]]), settings("VI_2", vrid=52, vips=["192.0.2.110/24", both[0]]))
        simulated.rest(0.01)
        assert a.is_master()
        assert a.is_master("VI_2")

    def test_after_the_end_nothing_begins(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """A question is answered, all else is not for this engine any more."""
        serving(simulated, a)
        a.command(Stop(), Configure((settings(),)), Ask(7), Stop())
        assert a.engine.step() is None
        assert [r for r in a.reports if isinstance(r, Stopped)] == [Stopped()]
        answer = a.reports[-1]
        assert isinstance(answer, Status)
        assert (answer.token, answer.instances) == (7, ())
        assert a.kernel.sockets == []
        assert a.engine.step() is None

    def test_settings_that_no_receiver_could_have(self) -> None:
        for one in (
            settings(vips=["fe80::100/64"], source="fe80::1%eth0"),
            settings(vips=["fe80::100/64"], peers=["fe80::2%eth0"]),
        ):
            with pytest.raises(UsageError, match="has a zone"):
                one.check()
        with pytest.raises(UsageError, match="not of IPv4"):
            settings(source="fe80::1").check()
        settings(source="192.0.2.1").check()

    def test_status(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        b = simulated.host("b", "192.0.2.2/24")
        a.configure(settings(priority=200, excluded=["192.0.2.200/24"]))
        b.configure(settings(priority=100))
        simulated.until(lambda: a.is_master() and b.state() is State.BACKUP, "the election")
        simulated.rest(INTERVAL_S)
        master, backup = a.status_of(), b.status_of()
        assert master.name == "VI_1"
        assert (master.interface, master.vrid, master.family, master.version) == ("eth0", 51, 4, 3)
        assert (master.state, master.base_priority, master.effective_priority) == (State.MASTER, 200, 200)
        assert master.master == master.source == ip_address("192.0.2.1")
        assert master.vips == master.addresses == (ip_address("192.0.2.100"), ip_address("192.0.2.200"))
        assert master.entered is a.transitions()[-1]
        # 3 × 100 ms and (256 - 200) / 256 of 100 ms, by hand
        assert (master.master_down_interval_us, master.skew_time_us) == (321_875, 21_875)
        assert master.since_us == 321_875
        assert master.counters["became-master"] == 1
        assert master.counters["advertisements-sent"] == len(a.sent())
        assert (backup.state, backup.master, backup.master_priority) == (State.BACKUP, master.source, 200)
        assert backup.addresses == ()
        assert backup.counters == {"advertisements-received": len(a.sent())}
        assert backup.next_deadline_us == (backup.master_heard_us or 0) + 360_937
        answer = a.status()
        assert answer.now_us == simulated.world.now_us
        assert answer.interfaces == {"eth0": {}}


class TestKernel:
    def test_a_refused_address_is_tried_again(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """Once a second, alone, and announced when it is there; MASTER all the while."""
        a.kernel.refuse_installs = errno.ENOBUFS
        a.configure(settings(vips=[VIP, "192.0.2.101/24"]))
        simulated.rest(5)
        assert a.state() is State.MASTER
        assert a.announced() == []
        assert a.status_of().counters["address-errors"] == 2 * 5
        assert {failure.instance for failure in failures(a)} == {"VI_1"}
        a.kernel.refuse_installs = None
        simulated.until(a.is_master, "addresses", 1.1)
        simulated.rest(5)
        assert a.announced() == ["192.0.2.100", "192.0.2.101"]
        assert a.status_of().counters["address-errors"] == 2 * 5

    def test_one_refused_address_does_not_disturb_the_others(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """Those that are there are not announced with every attempt, and one that is deleted comes back."""
        one = settings()
        one = replace(one, excluded=(vip("192.0.2.101/24", "eth9"),))
        a.configure(one)
        simulated.until(lambda: VIP in a.addresses(), "master")
        a.forget()
        simulated.rest(5)
        assert a.announced() == []
        a.delete_address(VIP)
        simulated.rest(0.001)
        assert VIP in a.addresses()
        assert a.announced() == ["192.0.2.100"]

    def test_a_refused_removal_is_tried_again(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.kernel.refuse_removes = errno.ENOBUFS
        a.command(RaiseFault("VI_1", "x", "x"))
        simulated.rest(3)
        assert VIP in a.addresses()
        a.kernel.refuse_removes = None
        simulated.until(lambda: VIP not in a.addresses(), "the removal", 1.1)

    def test_a_removal_refused_during_a_reload(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """The instance is MASTER, the address is none of its own any more."""
        serving(simulated, a, vips=[VIP, "192.0.2.101/24"])
        a.kernel.refuse_removes = errno.ENOBUFS
        a.configure(settings())
        simulated.rest(3)
        a.kernel.refuse_removes = None
        simulated.until(lambda: "192.0.2.101/24" not in a.addresses(), "the removal", 1.1)
        assert a.is_master()

    def test_a_removal_refused_when_the_instance_goes(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """It is tried again although nobody is left whose address it was."""
        serving(simulated, a)
        a.kernel.refuse_removes = errno.ENOBUFS
        a.configure()
        simulated.rest(3)
        a.kernel.refuse_removes = None
        simulated.until(lambda: VIP not in a.addresses(), "the removal", 1.1)
        assert a.step() is not None
        assert a.engine._leaving == []

    def test_a_removal_that_is_no_longer_wanted(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """Refused as BACKUP, MASTER again meanwhile: it stays."""
        serving(simulated, a)
        a.kernel.refuse_removes = errno.ENOBUFS
        a.command(RaiseFault("VI_1", "x", "x"))
        simulated.rest(0.01)
        a.command(ClearFault("VI_1", "x"))
        simulated.until(a.is_master, "master", 0.9)
        a.kernel.refuse_removes = None
        simulated.rest(3)
        assert a.is_master()
        assert [entry.verb for entry in simulated.world.journal].count("removes") == 0

    def test_news_that_were_lost(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """After an overrun all is read again."""
        serving(simulated, a)
        a.kernel._addresses[:] = [one for one in a.kernel._addresses if str(one.address) != VIP]
        a.kernel.monitors[0].queue.append(Resynchronise())
        a.wake()
        simulated.rest(0.001)
        assert a.is_master()

    def test_news_that_were_lost_unnoticed(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """The audit finds out."""
        serving(simulated, a, interval_us=5_000_000)
        a.kernel._addresses[:] = [one for one in a.kernel._addresses if str(one.address) != VIP]
        simulated.rest(AUDIT_US / 1e6)
        assert a.is_master()

    def test_a_monitor_that_fails_means_lost_news(
        self, simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        serving(simulated, a)
        a.kernel._addresses[:] = [one for one in a.kernel._addresses if str(one.address) != VIP]
        with monkeypatch.context() as patch:
            patch.setattr(a.kernel.monitors[0], "receive", refuse)
            a.step()
        a.step()
        assert a.is_master()
        assert [failure.operation for failure in failures(a)] == ["try"]

    @pytest.mark.parametrize("method", ["links", "addresses"])
    def test_a_list_that_the_kernel_refuses_is_asked_for_again(
        self, simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch, method: str
    ) -> None:
        """Soon: to wait for the audit would be half a minute of not knowing."""
        with monkeypatch.context() as patch:
            patch.setattr(a.kernel, method, refuse)
            engine = Engine(a.kernel, a.reports.append)
        a.engine.close()
        a.kernel.participants[:] = [engine]
        a.engine = engine
        a.configure(settings())
        simulated.until(a.is_master, "master", REOPEN_US / 1e6 + 1)
        assert failures(a)

    def test_status_when_the_kernel_does_not_answer(
        self, simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        serving(simulated, a)
        monkeypatch.setattr(a.kernel, "addresses", refuse)
        assert a.status_of().addresses == ()
        assert failures(a)

    def test_a_socket_that_breaks_is_opened_again(
        self, simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        serving(simulated, a)
        broken = socket_of(a)
        with monkeypatch.context() as patch:
            patch.setattr(broken, "read", refuse)
            patch.setattr(a.kernel, "open_socket", refuse)
            simulated.rest(INTERVAL_S)
        assert a.kernel.sockets == []
        assert a.moves()[-1] == "FAULT"
        assert a.engine._runners["VI_1"].router.faults == {"socket": "cannot try it: Input/output error (EIO)"}
        simulated.until(a.is_master, "master again", REOPEN_US / 1e6 + 1)
        assert socket_of(a) is not broken

    def test_a_socket_that_cannot_be_opened(
        self, simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(a.kernel, "open_socket", refuse)
            a.configure(settings())
            simulated.rest(3)
            assert a.moves() == ["FAULT"]
        simulated.until(a.is_master, "master", REOPEN_US / 1e6 + 1)
        assert a.moves() == ["FAULT", "BACKUP", "MASTER"]

    def test_an_advertisement_that_cannot_be_sent(
        self, simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        serving(simulated, a)
        with monkeypatch.context() as patch:
            patch.setattr(socket_of(a), "send", lambda _: {0: KernelError("try", "it", errno.EIO)})
            simulated.rest(INTERVAL_S)
        assert a.status_of().counters["send-errors"] == 1
        assert [failure.instance for failure in failures(a)] == ["VI_1"]
        simulated.rest(INTERVAL_S)
        assert len(a.sent()) == 1

    def test_an_announcement_that_cannot_be_sent(
        self, simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(a.kernel, "announce", refuse)
        serving(simulated, a)
        assert [failure.instance for failure in failures(a)] == [None]

    def test_a_loopback_cannot_serve(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        link = next(iter(a.kernel.links()))
        a.kernel._links[link.index] = replace(link, loopback=True)
        a.engine._read_world()
        a.configure(settings())
        simulated.rest(1)
        assert a.status_of().faults == {"interface": "interface eth0 is a loopback"}

    def test_carrier(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.kernel.set_link("eth0", running=False)
        simulated.rest(0.001)
        assert a.status_of().faults == {"interface": "interface eth0 has no carrier"}
        a.kernel.set_link("eth0", up=False)
        simulated.rest(0.001)
        assert a.status_of().faults == {"interface": "interface eth0 is down"}  # what is true now, not what was first

    def test_an_interface_that_is_not_tracked(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """It may be down and the router still be MASTER; what cannot be sent is counted, not told over and over."""
        serving(simulated, a, track_interface=False)
        a.set_link(up=False)
        simulated.rest(1)
        assert a.state() is State.MASTER
        assert failures(a) == []
        assert a.status_of().counters["send-errors"] == 10

    def test_recreated_in_one_moment(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """News of both ends arrive together: another socket, addresses put back, no state left."""
        serving(simulated, a)
        old = socket_of(a)
        a.delete_link()
        a.create_link()
        simulated.rest(INTERVAL_S)
        assert socket_of(a) is not old
        assert a.is_master()
        assert a.moves() == ["BACKUP", "MASTER"]

    def test_recreated_without_its_address(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """No state is entered for the moment between two looks."""
        serving(simulated, a)
        a.delete_link()
        simulated.rest(0.001)
        a.kernel.add_link("eth0")
        simulated.rest(0.001)
        assert a.moves() == ["BACKUP", "MASTER", "FAULT"]
        assert a.status_of().faults == {"address": "no IPv4 address for interface"}
        a.add_address("192.0.2.1/24")
        simulated.until(a.is_master, "master")
        assert a.moves() == ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER"]

    def test_a_virtual_address_on_another_interface(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """It is installed and announced there, and follows a rename there when it has to go."""
        a.kernel.add_link("eth1")
        one = replace(settings(), excluded=(vip("198.51.100.1/24", "eth1"),))
        a.configure(one)
        simulated.until(lambda: a.state() is State.MASTER, "master")
        there = [str(one.address) for one in a.kernel.addresses(2)]
        assert there == ["198.51.100.1/24"]
        a.kernel.rename_link("eth1", "lan1")
        simulated.rest(0.001)
        a.command(Stop())
        simulated.rest(0)
        assert a.kernel.addresses(2) == ()

    def test_the_source_stays_while_it_is_there(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.add_address("192.0.2.3/24")
        simulated.rest(INTERVAL_S)
        a.delete_address("192.0.2.1/24")
        simulated.rest(2 * INTERVAL_S)
        assert [str(sent.source) for sent in a.sent()] == ["192.0.2.1", "192.0.2.3", "192.0.2.3"]
        assert a.moves() == ["BACKUP", "MASTER"]

    def test_a_source_taken_away_costs_its_socket(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """Its membership in the group may be gone too, even if the address is there again when the news is read."""
        serving(simulated, a)
        old = socket_of(a)
        a.delete_address("192.0.2.1/24")
        a.add_address("192.0.2.1/24")
        simulated.rest(INTERVAL_S)
        assert socket_of(a) is not old
        assert len(a.kernel.sockets) == 1
        a.delete_address(VIP)
        old = socket_of(a)
        simulated.rest(INTERVAL_S)
        assert socket_of(a) is old
        assert a.moves() == ["BACKUP", "MASTER"]

    def test_a_tentative_source_is_none(self, simulated: SimulatedLan) -> None:
        """An IPv6 address cannot be sent from before Duplicate Address Detection has ended."""
        host = simulated.host("six")
        tentative = AssignedAddress(1, ip_interface("fe80::1/64"), tentative=True)
        host.kernel._addresses.append(tentative)
        host.engine._read_world()
        host.configure(settings(vips=["fe80::100/64"]))
        simulated.rest(1)
        assert host.moves() == ["FAULT"]

    def test_a_configured_source_needs_no_address(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a, source="192.0.2.77")
        simulated.rest(INTERVAL_S)
        assert [str(sent.source) for sent in a.sent()] == ["192.0.2.77"]

    def test_a_source_changed_by_a_reload(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        serving(simulated, a)
        a.configure(settings(source="192.0.2.77"))
        simulated.rest(0.001)
        a.forget()
        simulated.rest(INTERVAL_S)
        assert [str(sent.source) for sent in a.sent()] == ["192.0.2.77"]
        assert a.engine._listeners
        socket_of(a).put(advertisement("192.0.2.77", 250))
        a.step()
        assert a.is_master()
        assert a.status_of().counters["own-source"] == 1


class TestNear:
    """A master may be declared silent in a moment, and the kernel has news."""

    @pytest.fixture
    def deadline_us(self, simulated: SimulatedLan, a: SimulatedHost) -> int:
        a.configure(settings())
        simulated.rest(0.001)
        at_us = a.engine.next_router_deadline_us
        assert at_us is not None
        simulated.world.run(at_us - NEAR_US // 2)
        a.kernel.frozen = True
        return at_us

    @staticmethod
    def step(a: SimulatedHost, *, news: bool) -> int:
        """A wake-up as in the engine's own process, which knows what can be read."""
        at_us = a.engine.step([a.engine._monitor.fileno()] if news else [])
        assert at_us is not None
        return at_us

    def test_a_dead_link_is_heard_of_before(self, simulated: SimulatedLan, a: SimulatedHost, deadline_us: int) -> None:
        a.add_address("192.0.2.7/24")
        a.set_link(up=False)
        self.step(a, news=True)
        assert a.state() is State.FAULT
        simulated.world.run(deadline_us)
        self.step(a, news=False)
        assert a.moves() == ["BACKUP", "FAULT"]
        assert a.sent() == []

    def test_so_it_is_if_news_were_lost(self, simulated: SimulatedLan, a: SimulatedHost, deadline_us: int) -> None:
        """Nobody knows then what of: it may be the link."""
        a.set_link(up=False)
        a.kernel.monitors[0].queue[:] = [Resynchronise()]
        self.step(a, news=True)
        simulated.world.run(deadline_us)
        self.step(a, news=False)
        assert a.moves() == ["BACKUP", "FAULT"]

    def test_addresses_are_asked_for_afterwards(
        self, simulated: SimulatedLan, a: SimulatedHost, deadline_us: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It takes over first; and what comes then is no reason to be awake all the time."""
        asked: list[int] = []
        real = a.kernel.addresses

        def addresses() -> Sequence[AssignedAddress]:
            asked.append(a.world.now_us)
            return real()

        monkeypatch.setattr(a.kernel, "addresses", addresses)
        a.add_address("192.0.2.7/24")
        assert self.step(a, news=True) == deadline_us
        a.add_address("192.0.2.8/24")
        assert self.step(a, news=True) == deadline_us
        simulated.world.run(deadline_us)
        assert asked == []
        self.step(a, news=False)
        assert a.moves() == ["BACKUP", "MASTER"]
        assert asked == []
        assert self.step(a, news=False) > deadline_us
        assert asked == [deadline_us]

    def test_not_for_ever(
        self, simulated: SimulatedLan, a: SimulatedHost, deadline_us: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There may be a take-over near all the time: addresses are looked at all the same."""
        assert simulated.world.now_us < deadline_us
        monkeypatch.setattr(a.engine, "_backup_is_due", lambda _: True)
        monkeypatch.setattr(a.engine, "_wake_due", lambda _: None)
        now_us = simulated.world.now_us
        a.delete_address("192.0.2.1/24")
        for after_us in range(0, NEWS_US, 1_000):
            simulated.world.run(now_us + after_us)
            a.add_address(f"192.0.2.{50 + after_us // 1000}/32")
            self.step(a, news=True)
            assert a.state() is State.BACKUP
            assert a.engine._next_deadline_us() == min(deadline_us, now_us + NEWS_US)
        for number in range(50, 50 + NEWS_US // 1_000):
            a.delete_address(f"192.0.2.{number}/32")
        simulated.world.run(now_us + NEWS_US)
        self.step(a, news=False)
        assert a.moves() == ["BACKUP", "FAULT"]


class TestLate:
    def test_a_master_that_overslept_announces_nothing(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """Neither its second burst nor what waited its turn: the addresses may be another's by now."""
        announcements = AnnouncementSettings(
            delay_us=2_000_000, refresh_us=1_000_000, repeat=3, arp_interval_us=500_000
        )
        a.configure(settings(announcements=announcements))
        simulated.until(a.is_master, "master")
        simulated.rest(0.2)
        simulated.world.freeze("a")
        simulated.rest(20)
        a.forget()
        simulated.world.thaw("a")
        simulated.rest(0.2)
        assert [r.remark.note for r in a.reports if isinstance(r, Remarked)] == [Note.OVERSLEPT]
        assert a.announced() == []
        assert a.sent() == []
        simulated.rest(0.2)
        assert [sent.priority for sent in a.sent()] == [100]
        assert a.announced() == ["192.0.2.100"]

    def test_a_year_later(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        """A jump of the clock is no loop over all that was missed."""
        a.configure(settings(announcements=AnnouncementSettings(refresh_us=1_000_000, arp_interval_us=100)))
        simulated.until(a.is_master, "master")
        simulated.rest(10)
        simulated.world.now_us += 31_536_000_000_000
        a.forget()
        steps = 0
        while (wake_us := a.engine.step()) is not None and steps < 10_000:
            steps += 1
            if wake_us > simulated.world.now_us + INTERVAL_US:
                break
            simulated.world.now_us = max(simulated.world.now_us, wake_us)
        assert steps < 100


@pytest.mark.parametrize("count", [255])
def test_as_many_as_there_are_vrids(simulated: SimulatedLan, count: int) -> None:
    """One socket on each side, every election right, each address where its master is."""
    a, b = simulated.host("a", "192.0.2.1/24"), simulated.host("b", "192.0.2.2/24")
    for host, odd, even in ((a, 200, 100), (b, 100, 200)):
        host.configure(
            *(
                settings(
                    f"VI_{n}", vrid=n, priority=odd if n % 2 else even, vips=[f"10.0.0.{n}/32"], interval_us=1_000_000
                )
                for n in range(1, count + 1)
            )
        )
    simulated.rest(10)
    for host, mine in ((a, 1), (b, 0)):
        assert len(host.kernel.sockets) == 1
        assert host.addresses() - set(host.own) == {f"10.0.0.{n}/32" for n in range(1, count + 1) if n % 2 == mine}
        for n in range(1, count + 1):
            assert host.moves(f"VI_{n}") == (["BACKUP", "MASTER"] if n % 2 == mine else ["BACKUP"])
    a.command(Stop())
    simulated.rest(5)
    assert all(b.is_master(f"VI_{n}") for n in range(1, count + 1))
    assert a.addresses() == set(a.own)


def test_reports_come_last_and_may_ask_again(simulated: SimulatedLan) -> None:
    """Whoever hears a report may command at once: it is obeyed in the next wake-up at the latest."""
    host = simulated.host("a", "192.0.2.1/24")
    engine: Engine

    def hear(report: Report) -> None:
        host.reports.append(report)
        if isinstance(report, Entered) and report.transition.state is State.MASTER:
            engine.command(SetPriority("VI_1", 42))

    host.engine.close()
    engine = host.engine = Engine(host.kernel, hear)
    host.kernel.participants[:] = [engine]
    host.configure(settings())
    simulated.until(host.is_master, "master")
    simulated.rest(2 * INTERVAL_S)
    assert [sent.priority for sent in host.sent()] == [100, 42, 42]


def test_an_owner_is_master_at_once(simulated: SimulatedLan, a: SimulatedHost) -> None:
    """And announces once: what is about to be installed is not missing."""
    a.configure(settings(priority=255))
    a.add_address("192.0.2.3/24")
    simulated.rest(0.001)
    assert a.moves() == ["MASTER"]
    assert a.transitions()[0].cause is Cause.OWNER
    assert a.announced() == ["192.0.2.100"]


def test_a_backup_puts_nothing_back(simulated: SimulatedLan, a: SimulatedHost) -> None:
    b = simulated.host("b", "192.0.2.2/24")
    a.configure(settings(priority=100))
    b.configure(settings(priority=200))
    simulated.until(b.is_master, "master")
    a.add_address("192.0.2.3/24")
    simulated.rest(1)
    assert VIP not in a.addresses()


def test_closing_leaves_addresses_and_is_harmless_twice(simulated: SimulatedLan, a: SimulatedHost) -> None:
    serving(simulated, a)
    a.engine.close()
    a.engine.close()
    assert a.kernel.sockets == []
    assert VIP in a.addresses()


def test_a_link_without_neighbours_gets_no_announcements(simulated: SimulatedLan, a: SimulatedHost) -> None:
    link = next(iter(a.kernel.links()))
    changed = Link(link.index, link.name, b"", arp=False)
    a.kernel._links[link.index] = changed
    a.engine._read_world()
    serving(simulated, a)
    assert [entry.verb for entry in simulated.world.journal if entry.verb == "announces"] == []


def test_a_datagram_is_built_once(simulated: SimulatedLan, a: SimulatedHost) -> None:
    """The socket keeps what it has laid out by the object's identity."""
    serving(simulated, a)
    simulated.rest(1)
    sent = [entry.subject for entry in simulated.world.journal if isinstance(entry.subject, Datagram)]
    assert len({id(datagram) for datagram in sent}) == 1
