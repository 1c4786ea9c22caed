"""The short cuts of the state machine do what `handle` would do, or say that they cannot."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pyvrrp.protocol.actions import SendAdvertisement
from pyvrrp.protocol.advertisement import Advertisement
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.events import (
    AdvertisementReceived,
    DeadlineReached,
    Drain,
    Event,
    FaultCleared,
    FaultRaised,
    GroupTakesOver,
    GroupYields,
    PriorityChanged,
    Shutdown,
    Startup,
    VipsMissing,
)
from pyvrrp.protocol.router import VirtualRouter
from pyvrrp.protocol.settings import RouterSettings
from pyvrrp.protocol.states import State

VIP = IPv4Address("192.0.2.254")
OWN = IPv4Address("192.0.2.2")
PEER = IPv4Address("192.0.2.1")
S = 1_000_000
DOWN = 3_414_062  # own priority 150 at 1 s: 3 s + (256 - 150) / 256 s

many = hypothesis_settings(deadline=None, max_examples=400)


def heard(priority: int, source: IPv4Address = PEER, interval_us: int = S, version: Literal[2, 3] = 3) -> Event:
    return AdvertisementReceived(Advertisement(version, 51, priority, interval_us, (VIP,)), source)


def router(**settings: Any) -> VirtualRouter:
    wanted: dict[str, Any] = {"vrid": 51, "family": Family.V4, "priority": 150} | settings
    return VirtualRouter(RouterSettings(**wanted), OWN)


def state_of(one: VirtualRouter) -> dict[str, Any]:
    """All it remembers; the list of actions is an answer, not memory."""
    return {name: copy.copy(getattr(one, name)) for name in VirtualRouter.__slots__ if name != "_actions"}


def twin(one: VirtualRouter) -> VirtualRouter:
    """Another router in the same state."""
    other = VirtualRouter(one.settings, one.primary)
    for name, value in state_of(one).items():
        setattr(other, name, value)
    return other


@dataclass(frozen=True)
class Moment:
    """An event, and how long after the one before; the time may be that of the deadline instead."""

    event: Event
    wait_us: int
    at_deadline: bool = False


def settings_of(version: Literal[2, 3]) -> st.SearchStrategy[RouterSettings]:
    return st.builds(
        RouterSettings,
        vrid=st.just(51),
        family=st.just(Family.V4),
        version=st.just(version),
        priority=st.sampled_from([1, 100, 150, 254, 255]),
        advertisement_interval_us=st.sampled_from([S, 3 * S] if version == 2 else [10_000, 100_000, S, 40_950_000]),
        preempt=st.booleans(),
        preempt_delay_us=st.sampled_from([0, 0, 2 * S, 100 * S]),
        down_timer_adverts=st.sampled_from([1, 3, 3, 10]),
        answer_lower_priority=st.booleans(),
        last_word=st.booleans(),
        owner_starts_as_master=st.booleans(),
        grouped=st.sampled_from([False, False, False, True]),
    )


def moments_of(version: Literal[2, 3]) -> st.SearchStrategy[list[Moment]]:
    advertisements: st.SearchStrategy[Event] = st.builds(
        heard,
        st.sampled_from([0, 1, 99, 100, 101, 150, 254, 255]),
        st.sampled_from([IPv4Address(f"192.0.2.{last}") for last in (1, 2, 3, 9)]),
        st.sampled_from([S, 2 * S] if version == 2 else [10_000, S, 40_950_000]),
        st.just(version),
    )
    others: st.SearchStrategy[Event] = st.sampled_from(
        [
            Startup(),
            DeadlineReached(),
            DeadlineReached(),
            Shutdown(),
            Drain(),
            PriorityChanged(1),
            PriorityChanged(100),
            PriorityChanged(254),
            FaultRaised("x", "x"),
            FaultCleared("x"),
            VipsMissing((VIP,)),
            GroupTakesOver(),
            GroupYields(),
        ]
    )
    waits = st.sampled_from([0, 1, 5_000, 10_000, 100_000, S, 3 * S, 10 * S, 200 * S])
    return st.lists(st.builds(Moment, advertisements | advertisements | others, waits, st.booleans()), max_size=30)


histories = st.one_of([st.tuples(settings_of(version), moments_of(version)) for version in (2, 3)])
pauses = st.lists(st.sampled_from([0, 1, 9_000, 100_000, S, 3 * S]), min_size=1, max_size=4)


def check_short_cuts(one: VirtualRouter, event: Event, now_us: int, waits: Sequence[int]) -> None:
    if isinstance(event, AdvertisementReceived) and one.would_only_wait(event):
        long_way, short_cut = twin(one), twin(one)
        at_us = now_us
        for wait_us in waits:
            at_us += wait_us
            assert long_way.handle(event, at_us) == ()
            short_cut.heard_again(at_us)
            assert state_of(short_cut) == state_of(long_way)
            assert short_cut.would_only_wait(event)
    for wait_us in waits:
        long_way, short_cut = twin(one), twin(one)
        before = state_of(short_cut)
        if short_cut.tick(now_us + wait_us):
            expected = (SendAdvertisement(one.effective_priority),)
            assert long_way.handle(DeadlineReached(), now_us + wait_us) == expected
            assert state_of(short_cut) == state_of(long_way)
        else:
            assert state_of(short_cut) == before


@many
@given(histories, pauses)
def test_a_short_cut_ends_where_the_long_way_does(
    history: tuple[RouterSettings, list[Moment]], waits: list[int]
) -> None:
    """After any history, whenever they offer themselves."""
    settings, moments = history
    one = VirtualRouter(settings, OWN)
    one.handle(Startup(), 0)
    now_us = 0
    for moment in moments:
        now_us += moment.wait_us
        if moment.at_deadline and one.next_deadline_us is not None:
            now_us = max(now_us, one.next_deadline_us)
        one.handle(moment.event, now_us)
        check_short_cuts(one, moment.event, now_us, waits)


@many
@given(histories, pauses)
def test_they_may_be_mixed_with_the_long_way(history: tuple[RouterSettings, list[Moment]], waits: list[int]) -> None:
    """A router that takes every short cut it can lives through the same as one that takes none."""
    settings, moments = history
    slow, fast = VirtualRouter(settings, OWN), VirtualRouter(settings, OWN)
    slow.handle(Startup(), 0)
    fast.handle(Startup(), 0)
    now_us = 0
    for moment in moments:
        now_us += moment.wait_us
        if moment.at_deadline and slow.next_deadline_us is not None:
            now_us = max(now_us, slow.next_deadline_us)
        expected = slow.handle(moment.event, now_us)
        if isinstance(moment.event, DeadlineReached) and fast.tick(now_us):
            assert expected == (SendAdvertisement(slow.effective_priority),)
        else:
            assert fast.handle(moment.event, now_us) == expected
        event = moment.event
        if isinstance(event, AdvertisementReceived) and fast.would_only_wait(event):
            for wait_us in waits:
                now_us += wait_us
                slow.handle(event, now_us)
                fast.heard_again(now_us)
        assert state_of(fast) == state_of(slow)


@pytest.mark.parametrize(
    ("settings", "event", "waits"),
    [
        pytest.param({}, heard(150), True, id="an equal one"),
        pytest.param({}, heard(200), True, id="a better one"),
        pytest.param({}, heard(149), False, id="a lower one, which we replace"),
        pytest.param({"preempt": False}, heard(1), True, id="a lower one, which we let be"),
        pytest.param({"preempt_delay_us": S}, heard(1), False, id="a lower one, whose time runs"),
        pytest.param({}, heard(0), False, id="one that leaves"),
        pytest.param({"preempt": False}, heard(0), False, id="one that leaves, and we let all be"),
        pytest.param({"priority": 255, "owner_starts_as_master": False}, heard(254), False, id="owner, a lower one"),
        pytest.param({"priority": 255, "owner_starts_as_master": False}, heard(255), True, id="owner, another owner"),
        pytest.param(
            {"priority": 255, "owner_starts_as_master": False, "preempt": False},
            heard(254),
            False,
            id="an owner always preempts",
        ),
    ],
)
def test_which_advertisements_would_only_wait(
    settings: dict[str, Any], event: AdvertisementReceived, waits: bool
) -> None:
    one = router(**settings)
    assert not one.would_only_wait(event)  # INITIALIZE
    one.handle(Startup(), 0)
    one.handle(event, S)
    assert one.state is State.BACKUP
    assert one.would_only_wait(event) is waits


def test_only_that_of_the_master_does() -> None:
    """One handled before that of another router is not the last heard: to hear it again would change the master."""
    one = router()
    one.handle(Startup(), 0)
    first, second = heard(200), heard(200, IPv4Address("192.0.2.9"))
    assert isinstance(first, AdvertisementReceived)
    one.handle(first, 1)
    one.handle(second, 2)
    assert not one.would_only_wait(first)


def test_heard_again_by_hand() -> None:
    one = router()
    one.handle(Startup(), 0)
    one.handle(heard(200), S)
    one.heard_again(3 * S)
    assert (one.master_heard_us, one.next_deadline_us) == (3 * S, 3 * S + DOWN)
    assert one.handle(DeadlineReached(), 3 * S + DOWN - 1) == ()
    one.handle(DeadlineReached(), 3 * S + DOWN)
    assert one.state is State.MASTER
    assert one.entered is not None
    assert one.entered.silent_us == DOWN


def test_a_master_that_yields_may_hear_its_better_by_the_short_cut() -> None:
    one = router()
    one.handle(Startup(), 0)
    one.handle(DeadlineReached(), DOWN)
    better = heard(200)
    assert isinstance(better, AdvertisementReceived)
    assert not one.would_only_wait(better)
    one.handle(better, DOWN + S)
    assert one.state is State.BACKUP
    assert one.would_only_wait(better)


@pytest.mark.parametrize(
    ("late_us", "ticks"), [(-1, False), (0, True), (S - 1, True), (S, False), (DOWN, False)], ids=str
)
def test_tick_by_hand(late_us: int, ticks: bool) -> None:
    """On the grid, up to one interval late; an advertisement that was missed is the long way's affair."""
    one = router()
    one.handle(Startup(), 0)
    one.handle(DeadlineReached(), DOWN)
    assert one.next_deadline_us == DOWN + S
    assert one.tick(DOWN + S + late_us) is ticks
    assert one.next_deadline_us == DOWN + (2 * S if ticks else S)


def test_no_tick_for_who_is_no_plain_master() -> None:
    backup = router()
    backup.handle(Startup(), 0)
    assert not backup.tick(DOWN)

    draining = router()
    draining.handle(Startup(), 0)
    draining.handle(DeadlineReached(), DOWN)
    draining.handle(Drain(), DOWN + 1)
    assert draining.next_deadline_us is not None
    assert not draining.tick(draining.next_deadline_us)

    doubtful = router()
    doubtful.handle(Startup(), 0)
    doubtful.handle(DeadlineReached(), DOWN)
    doubtful.handle(DeadlineReached(), 20 * S)
    assert doubtful.next_deadline_us is not None
    assert not doubtful.tick(doubtful.next_deadline_us)

    assert not router().tick(0)
