"""The state machine, one test for each sentence of RFC 9568 6.4 and each habit of keepalived; times by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvrrp.errors import UsageError
from pyvrrp.protocol.actions import (
    Action,
    Announce,
    AskGroup,
    Burst,
    Cause,
    InstallVips,
    Note,
    Remark,
    RemoveVips,
    SendAdvertisement,
    Transition,
)
from pyvrrp.protocol.advertisement import Advertisement
from pyvrrp.protocol.constants import Family, IPAddress
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
from pyvrrp.protocol.router import ASSERTED_SENDERS_MAX, VirtualRouter
from pyvrrp.protocol.settings import RouterSettings
from pyvrrp.protocol.states import State

VIP = IPv4Address("192.0.2.254")
OWN = IPv4Address("192.0.2.2")
PEER = IPv4Address("192.0.2.1")
ABOVE = IPv4Address("192.0.2.10")

# Own priority 150 at 1 s: Skew_Time (256-150)/256 s = 414062.5 us, Master_Down_Interval 3414062.5 us
SKEW = 414_062
DOWN = 3_414_062
S = 1_000_000

TAKE_OVER: tuple[Action, ...] = (SendAdvertisement(150), InstallVips(), Announce(Burst.MASTER))


def router(primary: IPAddress = OWN, **settings: Any) -> VirtualRouter:
    wanted: dict[str, Any] = {"vrid": 51, "family": Family.V4, "version": 3, "priority": 150} | settings
    return VirtualRouter(RouterSettings(**wanted), primary)


def heard(
    priority: int, source: IPAddress = PEER, interval_us: int = S, version: Any = 3, vip: IPAddress = VIP
) -> AdvertisementReceived:
    message = Advertisement(
        version=version, vrid=51, priority=priority, max_advertise_interval_us=interval_us, addresses=(vip,)
    )
    return AdvertisementReceived(message, source)


def backup(now_us: int = 0, **settings: Any) -> VirtualRouter:
    r = router(**settings)
    r.handle(Startup(), now_us)
    assert r.state is State.BACKUP
    return r


def master(**settings: Any) -> VirtualRouter:
    """MASTER since 3414062 (or the deadline of its settings)."""
    r = backup(**settings)
    assert r.next_deadline_us is not None
    r.handle(DeadlineReached(), r.next_deadline_us)
    assert r.state is State.MASTER
    return r


def wishes(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Without what is only told to people."""
    return tuple(action for action in actions if not isinstance(action, Transition | Remark))


def transition(actions: tuple[Action, ...]) -> Transition:
    last = actions[-1]
    assert isinstance(last, Transition)
    assert not any(isinstance(action, Transition) for action in actions[:-1])
    return last


# INITIALIZE


def test_startup_as_backup() -> None:
    """V3-FSM-04: Master_Down_Timer is set, nothing is sent."""
    r = router()
    actions = r.handle(Startup(), 7 * S)
    assert wishes(actions) == ()
    assert r.next_deadline_us == 7 * S + DOWN
    assert transition(actions).reason == "starting"


def test_startup_as_owner() -> None:
    """V3-FSM-03: advertisement, announcement, Adver_Timer; MASTER."""
    r = router(priority=255)
    actions = r.handle(Startup(), 0)
    assert wishes(actions) == (SendAdvertisement(255), InstallVips(), Announce(Burst.MASTER))
    assert r.state is State.MASTER
    assert r.next_deadline_us == S
    assert transition(actions).reason == "owner of the addresses (priority 255)"


def test_startup_of_an_owner_that_shall_wait() -> None:
    """keepalived 3.2.4: 255 with `state BACKUP` waits the normal timer, 3 s + 1/256 s."""
    r = backup(priority=255, owner_starts_as_master=False)
    assert r.next_deadline_us == 3_003_906


@pytest.mark.parametrize(
    "event",
    [
        heard(255),
        heard(0),
        DeadlineReached(),
        Shutdown(),
        PriorityChanged(9),
        VipsMissing((VIP,)),
        GroupYields(),
        GroupTakesOver(),
    ],
    ids=lambda event: type(event).__name__,
)
def test_initialize_waits_for_startup(event: Event) -> None:
    """V3-FSM-02, V3-FSM-32."""
    r = router()
    assert r.handle(event, 1) == ()
    assert r.state is State.INITIALIZE
    assert r.next_deadline_us is None


def test_startup_with_a_fault() -> None:
    """keepalived 3.2.2: a fault known at the start leads to FAULT, and its words are the reason."""
    r = router()
    assert r.handle(FaultRaised("interface", "interface eth0 is down"), 0) == ()
    actions = r.handle(Startup(), 0)
    assert r.state is State.FAULT
    assert transition(actions).reason == "interface eth0 is down"
    assert r.next_deadline_us is None


def test_fault_that_ends_before_the_start() -> None:
    r = router()
    r.handle(FaultRaised("interface", "interface eth0 is down"), 0)
    r.handle(FaultCleared("interface"), 0)
    r.handle(Startup(), 0)
    assert r.state is State.BACKUP


# BACKUP


def test_backup_shutdown_says_nothing() -> None:
    """V3-FSM-10."""
    r = backup()
    actions = r.handle(Shutdown(), S)
    assert wishes(actions) == ()
    assert (r.state, r.next_deadline_us) == (State.INITIALIZE, None)
    assert transition(actions).reason == "asked to stop"


def test_backup_takes_over_at_the_deadline_not_before() -> None:
    """V3-FSM-14: advertisement, addresses, announcement, Adver_Timer."""
    r = backup()
    assert r.handle(DeadlineReached(), DOWN - 1) == ()
    actions = r.handle(DeadlineReached(), DOWN)
    assert wishes(actions) == TAKE_OVER
    assert (r.state, r.next_deadline_us) == (State.MASTER, DOWN + S)
    assert transition(actions).reason == "no master heard for 3.414 s"
    assert r.master == OWN


def test_a_wake_up_twice_is_harmless() -> None:
    r = backup()
    r.handle(DeadlineReached(), DOWN)
    assert r.handle(DeadlineReached(), DOWN) == ()


def test_backup_accepts_its_better() -> None:
    """V3-FSM-12: Master_Down_Timer starts anew."""
    r = backup()
    actions = r.handle(heard(200), S)
    assert r.next_deadline_us == S + DOWN
    assert actions == (Remark(Note.NEW_MASTER, peer=PEER, priority=200),)
    assert (r.master, r.master_priority, r.master_heard_us) == (PEER, 200, S)
    assert r.handle(heard(200), 2 * S) == ()
    actions = r.handle(DeadlineReached(), 2 * S + DOWN)
    assert transition(actions).reason == "192.0.2.1 (priority 200) not heard for 3.414 s"


def test_backup_accepts_its_equal_whatever_the_address() -> None:
    """V3-FSM-23."""
    r = backup()
    r.handle(heard(150, source=IPv4Address("192.0.2.1")), S)
    assert r.next_deadline_us == S + DOWN


def test_backup_learns_the_interval() -> None:
    """V3-FSM-12: 25 cs of the master give 3 * 0.25 + 106/256 * 0.25 s = 853515.625 us."""
    r = backup()
    actions = r.handle(heard(200, interval_us=250_000), S)
    assert r.next_deadline_us == S + 853_515
    assert actions[0] == Remark(Note.INTERVAL_LEARNED, peer=PEER, before=S, value_us=250_000)


def test_version_2_learns_no_interval() -> None:
    """V2-FSM-09."""
    r = backup(version=2)
    r.handle(heard(200, interval_us=3 * S, version=2), S)
    assert r.next_deadline_us == S + DOWN
    assert r.master_adver_interval_us == S


def test_own_interval_is_back_after_the_take_over() -> None:
    """TM-06, TX-01: Adver_Timer is own, whatever was learned."""
    r = backup()
    r.handle(heard(200, interval_us=250_000), 0)
    r.handle(DeadlineReached(), 853_515)
    assert r.next_deadline_us == 853_515 + S
    assert r.master_adver_interval_us == S


def test_own_interval_is_back_after_a_restart() -> None:
    """TM-07."""
    r = backup()
    r.handle(heard(200, interval_us=250_000), 0)
    r.handle(Shutdown(), S)
    r.handle(Startup(), 2 * S)
    assert r.next_deadline_us == 2 * S + DOWN


def test_backup_discards_a_lower_priority() -> None:
    """V3-FSM-13: timer and learned interval are untouched."""
    r = backup()
    actions = r.handle(heard(100, interval_us=250_000), S)
    assert actions == (Remark(Note.LOWER_PRIORITY, peer=PEER, priority=100),)
    assert (r.next_deadline_us, r.master_adver_interval_us) == (DOWN, S)
    actions = r.handle(DeadlineReached(), DOWN)
    assert transition(actions).reason == "192.0.2.1 (priority 100) has a lower priority than ours, 150"
    assert transition(actions).cause is Cause.LOWER_PRIORITY_MASTER


def test_lower_priority_long_ago_is_no_reason() -> None:
    r = backup()
    r.handle(heard(100), 0)
    r.handle(heard(200), S)
    actions = r.handle(DeadlineReached(), S + DOWN)
    assert transition(actions).cause is Cause.MASTER_TIMEOUT


def test_backup_hears_the_release() -> None:
    """V3-FSM-11: Skew_Time, of the interval in force; then it takes over."""
    r = backup()
    r.handle(heard(200, interval_us=250_000), 0)
    actions = r.handle(heard(0, interval_us=S), 100)
    assert r.next_deadline_us == 100 + 103_515  # 106/256 * 0.25 s
    assert actions == (Remark(Note.RELEASE_HEARD, peer=PEER, priority=0),)
    actions = r.handle(DeadlineReached(), 103_615)
    assert transition(actions).reason == "192.0.2.1 released the addresses (priority 0)"


def test_nopreempt_accepts_any_priority() -> None:
    r = backup(preempt=False)
    r.handle(heard(1), S)
    assert r.next_deadline_us == S + DOWN


def test_nopreempt_still_hears_the_release() -> None:
    """PRE-03, V3-FSM-11."""
    r = backup(preempt=False)
    r.handle(heard(0), S)
    assert r.next_deadline_us == S + SKEW


def test_owner_preempts_whatever_is_set() -> None:
    """PRE-02, V3-FSM-22."""
    r = backup(priority=255, preempt=False, preempt_delay_us=9 * S, owner_starts_as_master=False)
    r.handle(heard(254), S)
    assert r.next_deadline_us == 3_003_906


def test_preempt_delay() -> None:
    """keepalived 3.3: from the first lower advertisement; then the Master_Down_Timer runs out as usual."""
    r = backup(preempt_delay_us=5 * S)
    actions = r.handle(heard(100), S)
    assert Remark(Note.PREEMPT_DELAY_STARTED, value_us=5 * S) in actions
    assert (r.next_deadline_us, r.preempt_delay_until_us) == (S + DOWN, 6 * S)
    for second in (2, 3, 4, 5):
        assert r.handle(heard(100), second * S) == ()
    assert r.next_deadline_us == 5 * S + DOWN
    r.handle(heard(100), 6 * S)
    r.handle(heard(100), 7 * S)
    assert r.next_deadline_us == 5 * S + DOWN
    actions = r.handle(DeadlineReached(), 5 * S + DOWN)
    assert transition(actions).cause is Cause.LOWER_PRIORITY_MASTER
    assert Remark(Note.PREEMPT_DELAY_STOPPED) in actions


def test_preempt_delay_is_stopped_by_a_better_router() -> None:
    r = backup(preempt_delay_us=5 * S)
    r.handle(heard(100), S)
    actions = r.handle(heard(200, source=ABOVE), 2 * S)
    assert actions[0] == Remark(Note.PREEMPT_DELAY_STOPPED)
    assert r.preempt_delay_until_us is None


def test_preempt_delay_does_not_hold_back_after_silence() -> None:
    """EXT-PD-01."""
    r = backup(preempt_delay_us=500 * S)
    r.handle(DeadlineReached(), DOWN)
    assert r.state is State.MASTER


@pytest.mark.parametrize(("priority", "shift_us"), [(100, 609_375 - SKEW), (200, 218_750 - SKEW)])
def test_backup_whose_priority_changes_moves_by_the_skew(priority: int, shift_us: int) -> None:
    """keepalived 3.6."""
    r = backup()
    assert r.handle(PriorityChanged(priority), S) == (Remark(Note.PRIORITY, priority=priority, before=150),)
    assert r.next_deadline_us == DOWN + shift_us


def test_priority_unchanged_or_owner() -> None:
    r = backup()
    r.handle(PriorityChanged(150), S)
    assert r.next_deadline_us == DOWN
    o = router(priority=255)
    o.handle(PriorityChanged(10), 0)
    assert o.effective_priority == 255


def test_backup_fault_and_recovery() -> None:
    """keepalived 3.2, 3.6: faults are counted; the last one gone, a whole Master_Down_Interval begins."""
    r = backup()
    actions = r.handle(FaultRaised("a", "script a failed"), S)
    assert wishes(actions) == ()
    assert transition(actions).reason == "script a failed"
    assert (r.state, r.next_deadline_us) == (State.FAULT, None)
    assert r.handle(FaultRaised("a", "script a still fails"), S) == ()
    assert r.faults == {"a": "script a still fails"}
    assert r.handle(FaultRaised("b", "interface eth1 is down"), 2 * S) == (
        Remark(Note.FAULT, detail="interface eth1 is down"),
    )
    assert r.handle(FaultCleared("a"), 3 * S) == (Remark(Note.FAULT_CLEARED, detail="interface eth1 is down"),)
    assert r.state is State.FAULT
    assert r.handle(FaultCleared("never raised"), 3 * S) == ()
    actions = r.handle(FaultCleared("b"), 4 * S)
    assert transition(actions).reason == "all faults are gone"
    assert (r.state, r.next_deadline_us) == (State.BACKUP, 4 * S + DOWN)


def test_owner_recovers_as_master() -> None:
    r = router(priority=255)
    r.handle(FaultRaised("a", "x"), 0)
    r.handle(Startup(), 0)
    r.handle(FaultCleared("a"), S)
    assert r.state is State.MASTER


@pytest.mark.parametrize(
    "event",
    [
        heard(255),
        heard(0),
        DeadlineReached(),
        Startup(),
        PriorityChanged(9),
        VipsMissing((VIP,)),
        GroupYields(),
        GroupTakesOver(),
    ],
    ids=lambda event: type(event).__name__,
)
def test_fault_hears_nothing(event: Event) -> None:
    """keepalived 3.4.2."""
    r = backup()
    r.handle(FaultRaised("a", "x"), 0)
    assert wishes(r.handle(event, 99 * S)) == ()
    assert r.state is State.FAULT


def test_fault_shutdown_says_nothing() -> None:
    r = backup()
    r.handle(FaultRaised("a", "x"), 0)
    assert wishes(r.handle(Shutdown(), S)) == ()
    assert r.state is State.INITIALIZE


def test_backup_is_not_moved_by_what_is_not_its_own() -> None:
    r = backup()
    r.faults["odd"] = "raised behind its back"
    for event in (Startup(), VipsMissing((VIP,)), FaultCleared("odd")):
        assert r.handle(event, S) == ()
        assert (r.state, r.next_deadline_us) == (State.BACKUP, DOWN)


# MASTER


def test_master_advertises_on_the_grid() -> None:
    """V3-FSM-15, TM-12: a late wake-up does not shift the grid, missed ticks give one advertisement."""
    r = master()
    assert r.handle(DeadlineReached(), DOWN + S) == (SendAdvertisement(150),)
    assert r.next_deadline_us == DOWN + 2 * S
    assert r.handle(DeadlineReached(), DOWN + 2 * S + 300_000) == (SendAdvertisement(150),)
    assert r.next_deadline_us == DOWN + 3 * S
    assert r.handle(DeadlineReached(), DOWN + 5 * S + 1) == (SendAdvertisement(150),)
    assert r.next_deadline_us == DOWN + 6 * S


def test_master_answers_a_release() -> None:
    """V3-FSM-16: Adver_Timer starts anew."""
    r = master()
    assert wishes(r.handle(heard(0), DOWN + 400_000)) == (SendAdvertisement(150),)
    assert r.next_deadline_us == DOWN + 400_000 + S


def test_master_yields_to_a_higher_priority() -> None:
    """V3-FSM-17, TM-10: with the winner's interval, and without priority 0 (keepalived 3.2)."""
    r = master()
    actions = r.handle(heard(200, interval_us=250_000), 4 * S)
    assert wishes(actions) == (RemoveVips(),)
    assert (r.state, r.next_deadline_us) == (State.BACKUP, 4 * S + 853_515)
    assert transition(actions).reason == "192.0.2.1 (priority 200) has a higher priority than ours, 150"
    assert (r.master, r.master_priority) == (PEER, 200)


def test_master_last_word() -> None:
    """`higher_prio_send_advert`."""
    r = master(last_word=True)
    assert wishes(r.handle(heard(200), 4 * S)) == (SendAdvertisement(150), RemoveVips())


@pytest.mark.parametrize("preempt", [True, False])
def test_master_does_not_look_at_preempt(preempt: bool) -> None:
    """V3-FSM-21."""
    r = master(preempt=preempt)
    r.handle(heard(100), 4 * S)
    assert r.state is State.MASTER
    r.handle(heard(151), 4 * S)
    assert r.state is State.BACKUP


@pytest.mark.parametrize(
    ("own", "theirs", "yields"),
    [
        ("192.0.2.9", "192.0.2.10", True),  # text order says the opposite
        ("10.0.1.1", "10.0.0.200", False),  # "any octet greater" says the opposite
        ("100.64.0.1", "198.51.100.7", True),  # a signed comparison says the opposite
        ("10.0.0.2", "10.0.1.1", True),  # little-endian words say the opposite
        ("fe80::9", "fe80::10", True),
        ("fe80::10", "fe80::9", False),
        ("192.0.2.2", "192.0.2.2", False),
    ],
)
def test_tie(own: str, theirs: str, yields: bool) -> None:
    """V3-FSM-20, V3-FSM-31: rfc.md 3.3."""
    family = Family(ip_address(own).version)
    vip = VIP if family is Family.V4 else ip_address("fe80::51:1")
    r = master(family=family, primary=ip_address(own))
    actions = r.handle(heard(150, source=ip_address(theirs), vip=vip), 4 * S)
    assert r.state is (State.BACKUP if yields else State.MASTER)
    if yields:
        assert transition(actions).reason == f"{theirs} (priority 150) has our priority and a higher address"
    else:
        assert SendAdvertisement(150) in actions


def test_same_address_is_noted() -> None:
    r = master()
    assert r.handle(heard(150, source=OWN), 4 * S)[0] == Remark(Note.SAME_ADDRESS, peer=OWN, priority=150)


def test_master_asserts_itself() -> None:
    """V3-FSM-18 (RFC 9568): at once; Adver_Timer goes on. D6: once in half an interval for each sender."""
    r = master()
    at = DOWN + 400_000
    answer = (SendAdvertisement(150), Announce(Burst.LOWER_PRIORITY))
    assert wishes(r.handle(heard(100), at)) == answer
    assert r.next_deadline_us == DOWN + S
    assert wishes(r.handle(heard(100), at + 499_999)) == ()
    assert wishes(r.handle(heard(100, source=ABOVE), at + 499_999)) == answer
    assert wishes(r.handle(heard(100), at + 500_000)) == answer


def test_master_stays_silent_if_asked() -> None:
    """V2-FSM-14, RFC 5798, `lower_prio_no_advert`."""
    r = master(answer_lower_priority=False)
    assert wishes(r.handle(heard(100), 4 * S)) == ()


def test_asserted_senders_are_bounded() -> None:
    r = master()
    for number in range(3 * ASSERTED_SENDERS_MAX):
        r.handle(heard(100, source=IPv4Address(0x0A000000 + number)), 4 * S)
    assert len(r._asserted) == ASSERTED_SENDERS_MAX


def test_master_shutdown() -> None:
    """V3-FSM-19: priority 0, then the addresses go."""
    r = master()
    actions = r.handle(Shutdown(), 4 * S)
    assert wishes(actions) == (SendAdvertisement(0), RemoveVips())
    assert (r.state, r.next_deadline_us) == (State.INITIALIZE, None)


def test_master_fault() -> None:
    """V3-FSM-34, keepalived 3.2 (but one priority 0)."""
    r = master()
    actions = r.handle(FaultRaised("interface", "interface eth0 is down"), 4 * S)
    assert wishes(actions) == (SendAdvertisement(0), RemoveVips())
    assert (r.state, r.next_deadline_us) == (State.FAULT, None)


def test_master_says_its_new_priority_next_time() -> None:
    r = master()
    assert wishes(r.handle(PriorityChanged(130), 4 * S)) == ()
    assert r.handle(DeadlineReached(), DOWN + S) == (SendAdvertisement(130),)


def test_master_puts_missing_addresses_back() -> None:
    """keepalived 8.3: no flap."""
    r = master()
    assert r.handle(VipsMissing((VIP,)), 4 * S) == (InstallVips((VIP,)), Announce(Burst.MASTER))
    assert r.state is State.MASTER


def test_master_is_not_moved_by_what_is_not_its_own() -> None:
    r = master()
    r.faults["odd"] = "raised behind its back"
    for event in (Startup(), FaultCleared("odd"), GroupTakesOver()):
        assert r.handle(event, 4 * S) == ()


# Late means doubtful


def test_master_that_overslept_listens_first() -> None:
    """A whole Master_Down_Interval too late: silence for another, then it serves on, announced anew."""
    r = master()
    late = DOWN + S + DOWN
    actions = r.handle(DeadlineReached(), late)
    assert actions == (Remark(Note.OVERSLEPT, value_us=DOWN),)
    assert r.next_deadline_us == late + DOWN
    assert r.handle(DeadlineReached(), late + DOWN) == (SendAdvertisement(150), Announce(Burst.MASTER))
    assert r.next_deadline_us == late + DOWN + S
    assert r.handle(DeadlineReached(), late + DOWN + S) == (SendAdvertisement(150),)


def test_master_a_little_late_is_not_doubtful() -> None:
    r = master()
    assert r.handle(DeadlineReached(), DOWN + S + DOWN - 1) == (SendAdvertisement(150),)


def test_doubt_has_a_floor() -> None:
    """At 10 ms a Master_Down_Interval is 34 ms; 199 ms late on a busy machine is no frozen machine, 200 ms is."""
    r = master(advertisement_interval_us=10_000)
    assert r.next_deadline_us is not None
    due = r.next_deadline_us
    assert r.handle(DeadlineReached(), due + 199_999) == (SendAdvertisement(150),)
    r = master(advertisement_interval_us=10_000)
    assert isinstance(r.handle(DeadlineReached(), due + 200_000)[0], Remark)


@pytest.mark.parametrize(
    ("settings", "priority", "yields"),
    [({}, 150, True), ({}, 149, False), ({"preempt": False}, 149, True), ({"preempt_delay_us": 1}, 149, True)],
)
def test_what_an_overslept_master_finds_in_its_queue(settings: dict[str, Any], priority: int, yields: bool) -> None:
    """An equal router's advertisement (even from a lower address) ends it; a lower one's does if we may not preempt."""
    r = master(**settings)
    actions = r.handle(heard(priority, source=IPv4Address("192.0.2.1")), DOWN + S + DOWN)
    if yields:
        assert wishes(actions) == (RemoveVips(),)
        assert transition(
            actions
        ).reason == "this router was stopped and 192.0.2.1 (priority 149) took over meanwhile".replace(
            "149", str(priority)
        )
    else:
        assert wishes(actions) == (SendAdvertisement(150), Announce(Burst.MASTER))
        assert r.next_deadline_us == DOWN + S + DOWN + S
        assert r.state is State.MASTER


def test_an_overslept_master_hears_that_its_successor_left() -> None:
    """Neighbours may still point at the router that left: the addresses are announced anew."""
    r = master()
    actions = r.handle(heard(0), DOWN + S + DOWN)
    assert wishes(actions) == (SendAdvertisement(150), Announce(Burst.MASTER))
    assert r.next_deadline_us == DOWN + S + DOWN + S


def test_a_doubtful_master_listens_to_the_end() -> None:
    r = master(preempt=False)
    late = DOWN + S + DOWN
    r.handle(DeadlineReached(), late)
    r.handle(heard(100), late + S)
    assert r.state is State.BACKUP


# Make before break: a planned end


def test_drain_serves_until_the_successor_is_heard() -> None:
    """Goodbye, then silence with the addresses kept; gone when the successor has had time to announce itself."""
    r = master()
    assert not r.handing_over
    assert wishes(r.handle(Drain(), 4 * S)) == (SendAdvertisement(0),)
    assert r.handing_over
    assert (r.state, r.next_deadline_us) == (State.MASTER, 4 * S + S + 10_000)
    assert wishes(r.handle(heard(0), 4 * S + 1)) == ()
    assert r.handle(heard(100), 4 * S + 600_000) == ()
    assert r.next_deadline_us == 4 * S + 610_000
    assert r.handle(heard(100), 4 * S + 605_000) == ()
    actions = r.handle(DeadlineReached(), 4 * S + 610_000)
    assert wishes(actions) == (RemoveVips(),)
    assert (r.state, r.next_deadline_us) == (State.INITIALIZE, None)
    assert transition(actions).reason == "asked to stop, and 192.0.2.1 (priority 100) serves now"


def test_drain_without_a_successor_ends_after_an_interval() -> None:
    r = master()
    r.handle(Drain(), 4 * S)
    actions = r.handle(DeadlineReached(), 4 * S + S + 10_000)
    assert wishes(actions) == (RemoveVips(),)
    assert transition(actions).reason == "asked to stop, and no successor was heard"


def test_drain_takes_three_seconds_at_most() -> None:
    r = master(advertisement_interval_us=10 * S)
    r.handle(Drain(), 99 * S)
    assert r.next_deadline_us == 102 * S


@pytest.mark.parametrize("event", [Shutdown(), FaultRaised("a", "x"), GroupYields()], ids=lambda e: type(e).__name__)
def test_drain_is_cut_short(event: Event) -> None:
    """A second TERM, a lost interface or a group that lets go: at once, and without another priority 0."""
    r = master()
    r.handle(Drain(), 4 * S)
    assert r.handle(Drain(), 4 * S) == ()
    assert wishes(r.handle(event, 4 * S + 1)) == (RemoveVips(),)
    assert r.state is State.INITIALIZE


def test_drain_of_others_than_a_master() -> None:
    for r in (router(), backup()):
        assert wishes(r.handle(Drain(), S)) == ()
        assert r.state is State.INITIALIZE
    r = backup()
    r.handle(FaultRaised("a", "x"), 0)
    r.handle(Drain(), S)
    assert r.state is State.INITIALIZE


def test_a_draining_router_can_start_again() -> None:
    r = master()
    r.handle(Drain(), 4 * S)
    r.handle(heard(100), 5 * S)
    r.handle(DeadlineReached(), 6 * S)
    r.handle(Startup(), 7 * S)
    r.handle(DeadlineReached(), 7 * S + DOWN)
    assert r.handle(DeadlineReached(), 8 * S + DOWN) == (SendAdvertisement(150),)


# Sync groups: the hooks


def test_group_member_asks_first() -> None:
    """keepalived 3.5: it rearms its timer, and moves when the group does."""
    r = backup(grouped=True)
    assert r.handle(DeadlineReached(), DOWN) == (AskGroup(),)
    assert (r.state, r.next_deadline_us) == (State.BACKUP, 2 * DOWN)
    actions = r.handle(GroupTakesOver(), DOWN + 5)
    assert wishes(actions) == TAKE_OVER
    assert transition(actions).reason == "the sync group moves together: no master heard for 3.414 s"
    actions = r.handle(GroupYields(), DOWN + S)
    assert (r.master, r.master_priority) == (None, None)  # nobody is known to serve instead
    assert wishes(actions) == (RemoveVips(),)
    assert (r.state, r.next_deadline_us) == (State.BACKUP, DOWN + S + DOWN)
    assert r.handle(GroupYields(), 9 * S) == ()
    assert r.next_deadline_us == 9 * S + DOWN


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vrid": 0}, "vrid 0 is not between 1 and 255"),
        ({"vrid": 256}, "vrid 256 is not between 1 and 255"),
        ({"priority": 0}, "priority 0 is not between 1 and 255"),
        ({"advertisement_interval_us": 0}, "the advertisement interval must be positive"),
        ({"preempt_delay_us": -1}, "preempt_delay must not be negative"),
        ({"down_timer_adverts": 0}, "down_timer_adverts must be at least 1"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        router(**settings)


# The vectors: what a BACKUP and a MASTER at priority 150 do with each valid packet

VECTORS = json.loads((Path(__file__).parent / "vectors" / "adverts.json").read_text(encoding="utf-8"))
VALID = [vector for vector in VECTORS if vector["valid"]]


def _from_vector(vector: dict[str, Any], **settings: Any) -> tuple[VirtualRouter, AdvertisementReceived]:
    fields, receiver = vector["fields"], vector["receiver"]
    version = receiver["version"]
    interval_us = fields["adver_int_s"] * S if version == 2 else fields["max_advertise_interval_cs"] * 10_000
    message = Advertisement(
        version=version,
        vrid=fields["vrid"],
        priority=fields["priority"],
        max_advertise_interval_us=interval_us,
        addresses=tuple(ip_address(a) for a in fields["addresses"]),
        auth_type=fields.get("auth_type", 0),
        auth_data=bytes.fromhex(fields.get("auth_data_hex", "")) if fields.get("auth_type") else b"",
    )
    own_us = receiver.get("advert_interval_s", 0) * S if version == 2 else receiver["advertise_interval_cs"] * 10_000
    r = router(
        primary=ip_address(receiver["primary"]),
        vrid=fields["vrid"],
        version=version,
        family=Family(vector["ip_version"]),
        priority=receiver["priority"],
        advertisement_interval_us=own_us,
        **settings,
    )
    return r, AdvertisementReceived(message, ip_address(vector["src"]))


@pytest.mark.parametrize("vector", VALID, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("preempt", [True, False])
def test_vector_at_a_backup(vector: dict[str, Any], preempt: bool) -> None:
    expected = vector["fsm"]["backup"]
    r, event = _from_vector(vector, preempt=preempt, owner_starts_as_master=False)
    r.handle(Startup(), 0)
    before_us = r.next_deadline_us
    r.handle(event, S)
    if expected.startswith("n/a"):
        assert vector["receiver"]["owner"]
    elif expected == "timer = Skew_Time":
        assert r.next_deadline_us == S + SKEW
    elif expected == "accept, timer = Active_Down_Interval" or not preempt:
        interval_us = event.advertisement.max_advertise_interval_us
        if r.settings.version == 3:
            assert r.next_deadline_us == S + 3 * interval_us + 106 * interval_us // 256
        else:
            assert r.next_deadline_us == S + 3 * r.settings.advertisement_interval_us + SKEW
    else:
        assert expected == "Preempt: discard, timer runs on; no Preempt: accept"
        assert r.next_deadline_us == before_us
    assert r.state is State.BACKUP


@pytest.mark.parametrize("vector", VALID, ids=lambda vector: vector["name"])
def test_vector_at_a_master(vector: dict[str, Any]) -> None:
    """Version 2 is set to RFC 3768 (silent), as the vectors were written."""
    expected = vector["fsm"]["active"]
    r, event = _from_vector(vector, answer_lower_priority=vector["receiver"]["version"] == 3)
    r.handle(Startup(), 0)
    if r.next_deadline_us is not None and r.state is State.BACKUP:
        r.handle(DeadlineReached(), r.next_deadline_us)
    assert r.state is State.MASTER
    assert r.next_deadline_us is not None
    due_us = r.next_deadline_us
    sent = SendAdvertisement(r.effective_priority)
    actions = wishes(r.handle(event, due_us - 1))
    if expected == "become Backup":
        assert actions == (RemoveVips(),)
        assert r.state is State.BACKUP
    elif expected == "send advert, restart Adver_Timer":
        assert actions == (sent,)
        assert r.next_deadline_us == due_us - 1 + r.settings.advertisement_interval_us
    elif expected == "discard silently":
        assert actions == ()
    else:
        assert expected == "discard, send advert at once (RFC 9568); silent (RFC 5798)"
        assert actions == (sent, Announce(Burst.LOWER_PRIORITY))
        assert r.next_deadline_us == due_us


# Whatever happens


def _events() -> st.SearchStrategy[Event]:
    causes = st.sampled_from(["a", "b"])
    return st.one_of(
        st.just(Startup()),
        st.just(Shutdown()),
        st.just(Drain()),
        st.just(DeadlineReached()),
        st.just(GroupYields()),
        st.just(GroupTakesOver()),
        st.just(VipsMissing((VIP,))),
        st.builds(PriorityChanged, st.integers(1, 254)),
        st.builds(FaultRaised, causes, st.just("x")),
        st.builds(FaultCleared, causes),
        st.builds(
            heard,
            st.integers(0, 255),
            st.sampled_from([PEER, OWN, ABOVE]),
            st.sampled_from([10_000, S, 40_950_000]),
        ),
    )


@given(
    st.lists(st.tuples(st.integers(0, 5 * S), _events()), max_size=40),
    st.booleans(),
    st.sampled_from([0, 5 * S]),
    st.booleans(),
)
def test_any_story(story: list[tuple[int, Event]], preempt: bool, delay_us: int, grouped: bool) -> None:
    """Addresses are there exactly while MASTER; MASTER and BACKUP have a deadline, the others none."""
    r = router(preempt=preempt, preempt_delay_us=delay_us, grouped=grouped)
    now_us, installed = 0, False
    for pause_us, event in story:
        now_us += pause_us
        for action in r.handle(event, now_us):
            if isinstance(action, InstallVips):
                installed = True
            elif isinstance(action, RemoveVips):
                installed = False
            elif isinstance(action, SendAdvertisement) and action.priority:
                assert action.priority == r.effective_priority
        assert installed is (r.state is State.MASTER)
        assert (r.next_deadline_us is not None) is (r.state in {State.MASTER, State.BACKUP})
        if r.state is State.MASTER:
            assert r.next_deadline_us is not None
            assert r.next_deadline_us > now_us - 5 * S


def test_reasons_are_words() -> None:
    """Every cause can be told to a person."""
    base = Transition(
        State.BACKUP, State.MASTER, Cause.STARTUP, 0, 150, peer=PEER, peer_priority=100, silent_us=1, detail="d"
    )
    for cause in Cause:
        assert replace(base, cause=cause).reason
