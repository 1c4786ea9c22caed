"""Announcements: bursts, their second round, refreshing, pacing, and that what waits is bounded."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from pyvrrp.engine.announcer import Announcer, Frame
from pyvrrp.engine.commands import Drain, RaiseFault
from pyvrrp.engine.reports import KernelFailed, Report
from pyvrrp.errors import KernelError
from pyvrrp.net.simulated import World
from pyvrrp.protocol.settings import AnnouncementSettings
from pyvrrp.protocol.states import State
from tests.engine.worlds import QUIET, VIP, SimulatedHost, SimulatedLan, advertisement, settings

OTHER = "192.0.2.101/24"

CONSTANTLY = AnnouncementSettings(refresh_us=1_000, delay_us=1_000)
"""Whoever is not told to be silent announces without a pause."""


class Wire:
    """Takes frames with the time they were sent at."""

    def __init__(self) -> None:
        self.system = World().host("a")
        self.now_us = 0
        self.sent: list[tuple[int, int, bytes]] = []
        self.reports: list[Report] = []
        self.system.announce = self._announce  # type: ignore[method-assign]
        self.announcer = Announcer(self.system, self.reports.append)

    def _announce(self, frames: Iterable[tuple[int, bytes]]) -> None:
        self.sent += [(self.now_us, index, frame) for index, frame in frames]

    def send(
        self, owner: object, frames: Sequence[Frame], arp_interval_us: int, na_interval_us: int, now_us: int
    ) -> None:
        self.announcer.send(
            owner, frames, 1, arp_interval_us=arp_interval_us, na_interval_us=na_interval_us, now_us=now_us
        )
        self.announcer.flush()

    def run(self, until_us: int) -> None:
        while (at := self.announcer.next_deadline_us) is not None and at <= until_us:
            assert at >= self.now_us
            self.now_us = at
            self.announcer.wake(at)
        self.now_us = until_us


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_without_pauses_all_go_at_once(wire: Wire) -> None:
    wire.send(wire, [(1, 4, b"a"), (1, 6, b"b"), (2, 4, b"a")], 0, 0, 0)
    assert wire.sent == [(0, 1, b"a"), (0, 1, b"b"), (0, 2, b"a")]
    assert wire.announcer.next_deadline_us is None


def test_those_of_several_owners_leave_together(wire: Wire) -> None:
    calls: list[list[tuple[int, bytes]]] = []
    wire.system.announce = lambda frames: calls.append(list(frames))  # type: ignore[method-assign]
    wire.announcer.send("one", [(1, 4, b"a")], 3, arp_interval_us=0, na_interval_us=0, now_us=0)
    wire.announcer.send("other", [(1, 4, b"b")], 2, arp_interval_us=0, na_interval_us=0, now_us=0)
    assert calls == []
    wire.announcer.flush()
    wire.announcer.flush()
    a, b = (1, b"a"), (1, b"b")
    assert calls == [[a, b, a, b, a]]  # nobody hears of one for the second time before all were heard of


def test_those_that_leave_for_the_first_time_go_before_repetitions(wire: Wire) -> None:
    wire.announcer.send("one", [(1, 4, b"a")], 3, arp_interval_us=0, na_interval_us=0, now_us=0)
    wire.announcer.flush(repeat=False)
    wire.announcer.send("gone", [(1, 4, b"x")], 2, arp_interval_us=0, na_interval_us=0, now_us=0)
    wire.announcer.flush(repeat=False)
    wire.announcer.send("other", [(1, 4, b"b")], 2, arp_interval_us=0, na_interval_us=0, now_us=0)
    wire.announcer.forget("gone")
    wire.announcer.flush()
    wire.announcer.flush()
    assert [frame for _, _, frame in wire.sent] == [b"a", b"x", b"b", b"a", b"b", b"a"]


def test_paced_by_interface_and_family(wire: Wire) -> None:
    frames = [(1, 4, b"a"), (1, 4, b"b"), (1, 6, b"c"), (1, 6, b"d"), (2, 4, b"e")]
    wire.send(wire, frames, 100, 30, 0)
    assert wire.sent == [(0, 1, b"a"), (0, 1, b"c"), (0, 2, b"e")]
    wire.run(1000)
    assert wire.sent[3:] == [(30, 1, b"d"), (100, 1, b"b")]


def test_paced_repetitions_wait_for_the_first_time_of_others(wire: Wire) -> None:
    """More may come after `flush`, and paced ones take long: nobody waits behind what has been heard."""
    wire.announcer.send("one", [(1, 4, b"a"), (1, 4, b"b")], 2, arp_interval_us=100, na_interval_us=0, now_us=0)
    wire.announcer.flush(repeat=False)
    wire.run(500)  # all that may go has gone, and the pause is over
    wire.announcer.send("one", [(1, 4, b"a")], 2, arp_interval_us=100, na_interval_us=0, now_us=500)  # still to come
    wire.announcer.send("other", [(1, 4, b"c")], 3, arp_interval_us=100, na_interval_us=0, now_us=500)
    wire.announcer.flush()
    wire.run(2000)
    assert [frame for _, _, frame in wire.sent] == [b"a", b"b", b"c", b"a", b"b", b"c", b"c"]
    times = [at for at, _, _ in wire.sent]
    assert all(later - at >= 100 for at, later in itertools.pairwise(times))
    assert wire.announcer.next_deadline_us is None


def test_paced_repetitions_after_a_pause_that_is_over(wire: Wire) -> None:
    wire.announcer.send("one", [(1, 4, b"a")], 2, arp_interval_us=100, na_interval_us=0, now_us=0)
    wire.announcer.flush(repeat=False)
    wire.now_us = 500
    wire.announcer.wake(500)
    wire.announcer.flush()
    assert wire.announcer.next_deadline_us is not None
    wire.announcer.wake(500)
    assert wire.sent == [(0, 1, b"a"), (500, 1, b"a")]


def test_paced_repetitions_of_a_reign_that_is_over(wire: Wire) -> None:
    wire.announcer.send("one", [(1, 4, b"a")], 3, arp_interval_us=100, na_interval_us=0, now_us=0)
    wire.announcer.send("other", [(1, 4, b"b")], 1, arp_interval_us=100, na_interval_us=0, now_us=0)
    wire.announcer.flush(repeat=False)
    wire.announcer.forget("one")
    wire.announcer.flush()
    wire.run(1000)
    assert [frame for _, _, frame in wire.sent] == [b"a", b"b"]


def test_a_paced_one_does_not_let_repetitions_go(wire: Wire) -> None:
    wire.announcer.send("one", [(1, 4, b"a")], 2, arp_interval_us=0, na_interval_us=0, now_us=0)
    wire.announcer.send("other", [(1, 4, b"b"), (1, 4, b"c")], 1, arp_interval_us=100, na_interval_us=0, now_us=0)
    wire.announcer.flush(repeat=False)
    wire.run(100)
    assert [frame for _, _, frame in wire.sent] == [b"a", b"b", b"c"]
    wire.announcer.flush()
    assert wire.sent[-1] == (100, 1, b"a")


def test_single_frames_are_forgotten(wire: Wire) -> None:
    for gap_us in (0, 100):
        wire.announcer.send("one", [(1, 4, b"a"), (1, 4, b"b")], 2, arp_interval_us=gap_us, na_interval_us=0, now_us=0)
    wire.announcer.send("other", [(1, 4, b"b")], 1, arp_interval_us=100, na_interval_us=0, now_us=0)
    wire.announcer.flush(repeat=False)
    wire.sent.clear()
    wire.announcer.forget("one", {b"b"})
    wire.announcer.flush()
    wire.run(1000)
    assert [frame for _, _, frame in wire.sent] == [b"a", b"b", b"a"]


def test_the_pause_holds_between_bursts_and_after_a_late_wake_up(wire: Wire) -> None:
    wire.send(wire, [(1, 4, b"a")], 100, 0, 0)
    wire.run(50)
    wire.send(wire, [(1, 4, b"b"), (1, 4, b"c"), (1, 4, b"d")], 100, 0, 50)
    assert len(wire.sent) == 1
    wire.now_us = 350
    wire.announcer.wake(350)
    wire.run(1000)
    assert [at for at, _, _ in wire.sent] == [0, 350, 450, 550]


def test_those_without_a_pause_do_not_overtake(wire: Wire) -> None:
    """Another instance of the interface waits until the paced ones are through."""
    wire.send(wire, [(1, 4, b"a"), (1, 4, b"b")], 100, 0, 0)
    wire.send(object(), [(1, 4, b"c")], 0, 0, 10)
    wire.run(1000)
    assert [(at, frame) for at, _, frame in wire.sent] == [(0, b"a"), (100, b"b"), (200, b"c")]


def test_forgotten_when_no_longer_master(wire: Wire) -> None:
    other = object()
    wire.send(wire, [(1, 4, b"a"), (1, 4, b"b")], 100, 0, 0)
    wire.send(other, [(1, 4, b"c")], 100, 0, 0)
    wire.announcer.forget(wire)
    wire.run(1000)
    assert [frame for _, _, frame in wire.sent] == [b"a", b"c"]
    wire.announcer.forget(other)
    assert wire.announcer.next_deadline_us is None


def test_bursts_that_come_faster_than_they_leave(wire: Wire) -> None:
    """What waits is not queued once more; every address has its turn all the same."""
    frames = [(1, 4, bytes((n,))) for n in range(20)]
    for round_ in range(100):
        wire.send(wire, frames, 100, 0, wire.now_us)
        wire.run(100 * (round_ + 1))
    assert sum(len(queue) for queue in wire.announcer._waiting.values()) <= 20
    last = [frame for _, _, frame in wire.sent[-40:]]
    assert {frame: last.count(frame) for frame in last} == {frame: 2 for _, _, frame in frames}


def test_a_refusal_is_reported(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise KernelError("send", "frame", errno.ENOBUFS)

    monkeypatch.setattr(wire.system, "announce", refuse)
    wire.send(wire, [(1, 4, b"a")], 0, 0, 0)
    assert [(type(report), report.operation) for report in wire.reports if isinstance(report, KernelFailed)] == [
        (KernelFailed, "send")
    ]


def times(lan: SimulatedLan) -> list[float]:
    """When announcements were sent, in seconds after the first."""
    at = [entry.at_us for entry in lan.world.journal if entry.verb == "announces"]
    return [(one - at[0]) / 1e6 for one in at]


def serving(lan: SimulatedLan, announcements: AnnouncementSettings, seconds: float) -> SimulatedHost:
    made = lan.host("a", "192.0.2.1/24")
    made.configure(settings(announcements=announcements))
    lan.until(made.is_master, "master")
    lan.rest(seconds)
    return made


def test_both_bursts_of_a_new_master(simulated: SimulatedLan) -> None:
    """keepalived's defaults: five, and five more 5 s later."""
    serving(simulated, AnnouncementSettings(), 60)
    assert times(simulated) == [0.0] * 5 + [5.0] * 5


def test_refreshed_and_paced(simulated: SimulatedLan) -> None:
    announcements = AnnouncementSettings(
        delay_us=2_000_000, repeat=2, refresh_us=3_000_000, refresh_repeat=1, arp_interval_us=250_000
    )
    serving(simulated, announcements, 9)
    assert times(simulated) == [0.0, 0.25, 2.0, 2.25, 5.0, 8.0]


def test_after_a_lower_priority(simulated: SimulatedLan) -> None:
    made = serving(simulated, replace(QUIET, lower_repeat=2, lower_delay_us=1_000_000), 1)
    made.forget()
    made.kernel.sockets[0].put(advertisement("192.0.2.9", 50))
    made.wake()
    simulated.rest(5)
    assert made.announced() == ["192.0.2.100"] * 4


@pytest.mark.parametrize("announcements", [AnnouncementSettings(repeat=9, arp_interval_us=2_000), CONSTANTLY])
def test_silent_while_it_hands_over(simulated: SimulatedLan, announcements: AnnouncementSettings) -> None:
    """The neighbours are to believe the successor, who announces itself while the old one serves on."""
    made = serving(simulated, announcements, 0)
    made.forget()
    made.command(Drain(None))
    simulated.rest(0.05)
    made.kernel.sockets[0].put(advertisement("192.0.2.9", 50))
    made.delete_address(VIP)
    made.wake()
    simulated.rest(0.005)
    assert made.state() is State.MASTER
    simulated.rest(1)
    assert made.moves() == ["BACKUP", "MASTER", "INITIALIZE"]
    assert made.announced() == []


@pytest.mark.parametrize("arp_interval_us", [0, 100_000])
def test_an_address_that_a_reload_takes_away(simulated: SimulatedLan, arp_interval_us: int) -> None:
    announcements = AnnouncementSettings(delay_us=0, repeat=3, arp_interval_us=arp_interval_us)
    made = simulated.host("a", "192.0.2.1/24")
    made.configure(settings(vips=[VIP, OTHER], announcements=announcements))
    simulated.until(made.is_master, "master")
    made.configure(settings(announcements=announcements))
    simulated.rest(0)
    made.forget()
    simulated.rest(2)
    assert made.announced() == ["192.0.2.100"] * (2 if arp_interval_us else 0)


def test_a_burst_ends_with_the_reign(simulated: SimulatedLan) -> None:
    made = serving(simulated, AnnouncementSettings(repeat=5, arp_interval_us=1_000_000), 2.5)
    made.command(RaiseFault("VI_1", "x", "x"))
    simulated.rest(10)
    assert times(simulated) == [0.0, 1.0, 2.0]
