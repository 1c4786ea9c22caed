"""
The state machine of one virtual router: `handle(event, now_us)` answers with actions, `next_deadline_us` says when
to wake it.

Pure: time is an argument, the deadline is part of the state. A wake-up that comes early, late or twice changes
nothing that is not due. What happens when stands in `states.py`; here is what its guards and steps mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final, TypeAlias

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
from pyvrrp.protocol.constants import (
    PRIORITY_OWNER,
    PRIORITY_RELEASE,
    IPAddress,
)
from pyvrrp.protocol.events import (
    AdvertisementReceived,
    DeadlineReached,
    Drain,
    Event,
    FaultCleared,
    FaultRaised,
    GroupYields,
    On,
    PriorityChanged,
    VipsMissing,
)
from pyvrrp.protocol.settings import RouterSettings
from pyvrrp.protocol.states import Do, If, Row, State, rows_by_cell
from pyvrrp.protocol.timing import master_down_interval_us, skew_time_us

DOUBT_FLOOR_US: Final = 200_000
"""Less late than this never makes a MASTER doubt itself: at short intervals a busy machine is no frozen one."""

DRAIN_MAX_US: Final = 3_000_000
"""How long a handover may take at most; one interval is the longest Skew_Time that any backup can have."""

DRAIN_GRACE_US: Final = 10_000
"""A successor is heard before its addresses are announced; so long the old one serves on."""

ASSERTED_SENDERS_MAX: Final = 32
"""Senders whose last answer is remembered (D6); more than that on one virtual router is forgery, the oldest goes."""


_Guard: TypeAlias = Callable[["VirtualRouter", Event], bool]
_Step: TypeAlias = Callable[["VirtualRouter", Event], None]


# Wishes that are always the same: in a take-over of hundreds of routers there is no time to make them.
_INSTALL_ALL: Final = InstallVips()
_REMOVE_ALL: Final = RemoveVips()
_ANNOUNCE: Final = Announce(Burst.MASTER)
_ASK_GROUP: Final = AskGroup()


def _look_up(
    cells: Mapping[tuple[State, On], Sequence[Row]], guards: Mapping[If, _Guard], steps: Mapping[Do, _Step]
) -> dict[tuple[State, On], tuple[tuple[_Guard | None, tuple[_Step, ...], Row], ...]]:
    return {
        cell: tuple(
            (None if row.guard is If.ALWAYS else guards[row.guard], tuple(steps[step] for step in row.do), row)
            for row in rows
        )
        for cell, rows in cells.items()
    }


class VirtualRouter:
    """
    One virtual router: (interface, VRID, family).

    Attributes:
        settings: As given.
        primary: Own source address, for the tie-break; may be set anew when the interface's address changes.
        state: Where it is.
        since_us: When it came there.
        entered: The last transition, None before the first.
        effective_priority: Priority after the trackers' weights.
        master_adver_interval_us: Interval of the current master, own interval until one was heard.
        master: Address of the master last accepted, or own address as MASTER; None when unknown.
        master_priority: Its priority.
        master_heard_us: When it was last heard.
        next_deadline_us: When to hand in `DeadlineReached`; None for never.
        faults: What keeps it in FAULT, by cause.
    """

    __slots__ = (
        "_actions",
        "_asserted",
        "_doubtful",
        "_draining",
        "_lower",
        "_now_us",
        "_old_priority",
        "_preempt_delay_until_us",
        "_released_by",
        "_successor",
        "effective_priority",
        "entered",
        "faults",
        "master",
        "master_adver_interval_us",
        "master_heard_us",
        "master_priority",
        "next_deadline_us",
        "primary",
        "settings",
        "since_us",
        "state",
    )

    def __init__(self, settings: RouterSettings, primary: IPAddress, now_us: int = 0) -> None:
        self.settings = settings
        self.primary = primary
        self.state = State.INITIALIZE
        self.since_us = now_us
        self.entered: Transition | None = None
        self.effective_priority = settings.priority
        self.master_adver_interval_us = settings.advertisement_interval_us
        self.master: IPAddress | None = None
        self.master_priority: int | None = None
        self.master_heard_us: int | None = None
        self.next_deadline_us: int | None = None
        self.faults: dict[str, str] = {}
        self._preempt_delay_until_us: int | None = None
        self._released_by: IPAddress | None = None
        self._lower: tuple[IPAddress, int, int] | None = None
        self._asserted: dict[IPAddress, int] = {}
        self._doubtful = False
        self._draining = False
        self._successor: tuple[IPAddress, int] | None = None
        self._old_priority = settings.priority
        self._now_us = now_us
        self._actions: list[Action] = []

    @property
    def owner(self) -> bool:
        """The addresses are its own (priority 255)."""
        return self.settings.priority == PRIORITY_OWNER

    @property
    def handing_over(self) -> bool:
        """MASTER no more for the others, and serving until its successor is heard."""
        return self._draining

    @property
    def skew_time_us(self) -> int:
        """Skew_Time now, in microseconds."""
        return skew_time_us(self.settings.version, self.effective_priority, self.master_adver_interval_us)

    @property
    def master_down_interval_us(self) -> int:
        """Master_Down_Interval now, in microseconds."""
        return master_down_interval_us(
            self.settings.version,
            self.effective_priority,
            self.master_adver_interval_us,
            self.settings.down_timer_adverts,
        )

    @property
    def preempt_delay_until_us(self) -> int | None:
        """When the running preempt_delay ends (it may lie in the past); None when it was not started."""
        return self._preempt_delay_until_us

    def handle(self, event: Event, now_us: int) -> tuple[Action, ...]:
        """
        Tell the router a fact.

        Args:
            event: What happened.
            now_us: Monotonic time in microseconds; it must not run backwards.

        Returns:
            What is to be done, in this order; the transition, if there is one, comes last.
        """
        self._now_us = now_us
        if not self._note_facts(event, now_us):
            return ()
        actions = self._actions = []
        rows = iter(self._CELLS[self.state, event.on])
        guard, steps, row = next(rows)
        while guard is not None and not guard(self, event):
            guard, steps, row = next(rows)
        for step in steps:
            step(self, event)
        if row.to is not self.state:
            self._enter(row, event)
        return tuple(actions)

    # Short cuts: each does what `handle` would do, or says that it cannot.

    def would_only_wait(self, event: AdvertisementReceived) -> bool:
        """Whether the advertisement that was just handled would, if it came again, only restart the down timer."""
        return (
            self.state is State.BACKUP
            and event.source == self.master
            and not self._priority_zero(event)
            and self._no_preempt_or_not_lower(event)
        )

    def heard_again(self, at_us: int) -> None:
        """
        Hear once more the advertisement of which `would_only_wait` said so, nothing else having happened since.

        Args:
            at_us: When it came; not before the last event.
        """
        self._now_us = at_us
        self._released_by = None
        self.master_heard_us = at_us
        self.next_deadline_us = at_us + self.master_down_interval_us

    def tick(self, now_us: int) -> bool:
        """
        Reach the deadline of a MASTER that has nothing to doubt: one advertisement of its effective priority is due.

        Returns:
            False if this is not all there is to it; nothing was done then, `handle` is to be asked.
        """
        at_us, interval_us = self.next_deadline_us, self.settings.advertisement_interval_us
        if self.state is not State.MASTER or self._draining or self._doubtful or at_us is None:
            return False
        if not at_us <= now_us < at_us + interval_us:
            return False
        self._now_us = now_us
        self.next_deadline_us = at_us + interval_us
        return True

    def _note_facts(self, event: Event, now_us: int) -> bool:
        """Keep what the event says whatever the state; False when it says nothing new."""
        if isinstance(event, DeadlineReached):
            return self.next_deadline_us is not None and now_us >= self.next_deadline_us
        if isinstance(event, PriorityChanged):
            if event.priority == self.effective_priority or self.owner:
                return False
            self._old_priority, self.effective_priority = self.effective_priority, event.priority
        elif isinstance(event, FaultRaised):
            known = event.cause in self.faults
            self.faults[event.cause] = event.detail
            return not known
        elif isinstance(event, FaultCleared):
            return self.faults.pop(event.cause, None) is not None
        return True

    def _enter(self, row: Row, event: Event) -> None:
        self.entered = self._transition(row, event)
        self._actions.append(self.entered)
        previous, self.state, self.since_us = self.state, row.to, self._now_us
        self._doubtful = self._draining = False
        self._successor = None
        self._lower = None
        self._released_by = None
        if row.to is State.MASTER:
            self.master, self.master_priority = self.primary, self.effective_priority
            self.master_adver_interval_us = self.settings.advertisement_interval_us
        elif row.to is not State.BACKUP or previous is not State.MASTER or row.on is On.GROUP_YIELDS:
            self.master = self.master_priority = None
        self.master_heard_us = self._now_us

    def _transition(self, row: Row, event: Event) -> Transition:
        cause = Cause.GROUP
        peer, peer_priority, silent_us, detail = self.master, self.master_priority, None, ""
        if row.on is On.STARTUP:
            cause = Cause.OWNER if row.to is State.MASTER else Cause.STARTUP
            if row.to is State.FAULT:
                cause, detail = Cause.FAULT, "; ".join(self.faults.values())
        elif row.on is On.SHUTDOWN or row.on is On.DRAIN or self._draining:
            cause = Cause.NO_SUCCESSOR if self._draining else Cause.SHUTDOWN
            if self._successor is not None:
                cause = Cause.HANDED_OVER
                peer, peer_priority = self._successor
        elif isinstance(event, FaultRaised):
            cause, detail = Cause.FAULT, event.detail
        elif row.on is On.RECOVERY:
            cause = Cause.RECOVERY
        elif isinstance(event, AdvertisementReceived):
            peer, peer_priority = event.source, event.advertisement.priority
            if row.guard is If.OUTRANKED:
                cause = Cause.HIGHER_PRIORITY if peer_priority > self.effective_priority else Cause.HIGHER_ADDRESS
            else:
                cause = Cause.OVERSLEPT
        elif isinstance(event, GroupYields):
            detail = event.detail
        else:  # its own down timer, or those of all members of its group
            cause = Cause.MASTER_TIMEOUT
            heard_us = self.master_heard_us if self.master_heard_us is not None else self.since_us
            silent_us = self._now_us - heard_us
            if self._released_by is not None:
                cause, peer, peer_priority = Cause.MASTER_RELEASED, self._released_by, PRIORITY_RELEASE
            elif self._lower is not None and self._now_us - self._lower[2] <= self.master_down_interval_us:
                cause = Cause.LOWER_PRIORITY_MASTER
                peer, peer_priority = self._lower[:2]
        transition = Transition(
            previous=self.state,
            state=row.to,
            cause=cause,
            at_us=self._now_us,
            priority=self.effective_priority,
            peer=peer,
            peer_priority=peer_priority,
            silent_us=silent_us,
            detail=detail,
        )
        if row.on is On.GROUP_TAKES_OVER:  # what would be the reason of this router alone
            transition = replace(transition, cause=Cause.GROUP, detail=transition.reason)
        return transition

    # Guards: each is asked in the state its rows are written for.

    def _faulty(self, _event: Event) -> bool:
        return bool(self.faults)

    def _may_start_as_owner(self, _event: Event) -> bool:
        return self.owner and self.settings.owner_starts_as_master

    def _priority_zero(self, event: Event) -> bool:
        assert isinstance(event, AdvertisementReceived)
        return event.advertisement.priority == PRIORITY_RELEASE

    def _no_preempt_or_not_lower(self, event: Event) -> bool:
        assert isinstance(event, AdvertisementReceived)
        return event.advertisement.priority >= self.effective_priority or not (self.settings.preempt or self.owner)

    def _preempt_delayed(self, _event: Event) -> bool:
        if not self.settings.preempt_delay_us or self.owner:
            return False
        return self._preempt_delay_until_us is None or self._now_us < self._preempt_delay_until_us

    def _outranked(self, event: Event) -> bool:
        assert isinstance(event, AdvertisementReceived)
        theirs = event.advertisement.priority
        if theirs != self.effective_priority:
            return theirs > self.effective_priority
        return int(event.source) > int(self.primary)  # V3-FSM-20: unsigned, network order

    def _far_too_late(self, _event: Event) -> bool:
        assert self.next_deadline_us is not None
        return self._now_us - self.next_deadline_us >= max(self.master_down_interval_us, DOUBT_FLOOR_US)

    def _is_doubtful(self, event: Event) -> bool:
        return self._doubtful or self._far_too_late(event)

    def _doubtful_and_released(self, event: Event) -> bool:
        return self._is_doubtful(event) and self._priority_zero(event)

    def _doubtful_and_not_better(self, event: Event) -> bool:
        assert isinstance(event, AdvertisementReceived)
        if not self._is_doubtful(event):
            return False
        not_better = event.advertisement.priority >= self.effective_priority
        return not_better or self._no_preempt_or_not_lower(event) or self._preempt_delayed(event)

    def _is_draining(self, _event: Event) -> bool:
        return self._draining

    def _hears_successor(self, event: Event) -> bool:
        return self._draining and not self._priority_zero(event)

    def _waits_for_group(self, _event: Event) -> bool:
        return self.settings.grouped

    # Steps.

    def _send(self, _event: Event) -> None:
        self._actions.append(SendAdvertisement(self.effective_priority))
        self._doubtful = False

    def _send_last_word(self, event: Event) -> None:
        if self.settings.last_word:
            self._send(event)

    def _send_priority_zero(self, _event: Event) -> None:
        self._actions.append(SendAdvertisement(PRIORITY_RELEASE))

    def _assert(self, event: Event) -> None:
        assert isinstance(event, AdvertisementReceived)
        if not self.settings.answer_lower_priority:
            return
        last_us = self._asserted.get(event.source)
        if last_us is not None and self._now_us - last_us < self.settings.advertisement_interval_us // 2:
            return  # D6: two MASTERs that never agree must not storm each other
        if last_us is None and len(self._asserted) >= ASSERTED_SENDERS_MAX:
            del self._asserted[next(iter(self._asserted))]
        self._asserted[event.source] = self._now_us
        self._send(event)
        self._actions.append(Announce(Burst.LOWER_PRIORITY))

    def _install_vips(self, _event: Event) -> None:
        self._actions.append(_INSTALL_ALL)

    def _reinstall_vips(self, event: Event) -> None:
        assert isinstance(event, VipsMissing)
        self._actions.append(InstallVips(event.addresses))

    def _announce(self, _event: Event) -> None:
        self._actions.append(_ANNOUNCE)

    def _remove_vips(self, _event: Event) -> None:
        self._actions.append(_REMOVE_ALL)

    def _arm_adver(self, _event: Event) -> None:
        assert self.next_deadline_us is not None
        interval_us = self.settings.advertisement_interval_us
        missed = (self._now_us - self.next_deadline_us) // interval_us
        self.next_deadline_us += (missed + 1) * interval_us  # TM-12: late wake-ups do not shift the grid

    def _restart_adver(self, _event: Event) -> None:
        self.next_deadline_us = self._now_us + self.settings.advertisement_interval_us

    def _arm_master_down(self, _event: Event) -> None:
        self._released_by = None
        self.next_deadline_us = self._now_us + self.master_down_interval_us

    def _arm_skew(self, event: Event) -> None:
        assert isinstance(event, AdvertisementReceived)
        self._released_by = event.source
        self.next_deadline_us = self._now_us + self.skew_time_us

    def _shift_by_skew(self, _event: Event) -> None:
        assert self.next_deadline_us is not None
        before_us = skew_time_us(self.settings.version, self._old_priority, self.master_adver_interval_us)
        self.next_deadline_us += self.skew_time_us - before_us

    def _listen(self, _event: Event) -> None:
        assert self.next_deadline_us is not None
        self._actions.append(Remark(Note.OVERSLEPT, value_us=self._now_us - self.next_deadline_us))
        self._doubtful = True
        self.next_deadline_us = self._now_us + self.master_down_interval_us

    def _start_drain(self, event: Event) -> None:
        assert isinstance(event, Drain)
        self._draining = True
        interval_us = max(self.settings.advertisement_interval_us, event.patience_us)
        wait_us = min(interval_us + DRAIN_GRACE_US, DRAIN_MAX_US)
        self._actions.append(Remark(Note.HANDOVER, value_us=wait_us))
        self.next_deadline_us = self._now_us + wait_us

    def _let_go_soon(self, event: Event) -> None:
        assert isinstance(event, AdvertisementReceived)
        assert self.next_deadline_us is not None
        if self._successor is None:
            self._successor = (event.source, event.advertisement.priority)
            self.next_deadline_us = min(self.next_deadline_us, self._now_us + DRAIN_GRACE_US)

    def _cancel(self, _event: Event) -> None:
        self.next_deadline_us = None

    def _reset_interval(self, _event: Event) -> None:
        self.master_adver_interval_us = self.settings.advertisement_interval_us

    def _adopt_interval(self, event: Event) -> None:
        assert isinstance(event, AdvertisementReceived)
        theirs = event.advertisement
        if self.settings.version == 3 and theirs.max_advertise_interval_us != self.master_adver_interval_us:
            self._actions.append(
                Remark(
                    Note.INTERVAL_LEARNED,
                    peer=event.source,
                    before=self.master_adver_interval_us,
                    value_us=theirs.max_advertise_interval_us,
                )
            )
            self.master_adver_interval_us = theirs.max_advertise_interval_us
        if event.source != self.master:
            self._actions.append(Remark(Note.NEW_MASTER, peer=event.source, priority=theirs.priority))
            self.master = event.source
        self.master_priority = theirs.priority
        self.master_heard_us = self._now_us

    def _start_preempt_delay(self, _event: Event) -> None:
        if self._preempt_delay_until_us is None:
            delay_us = self.settings.preempt_delay_us
            self._preempt_delay_until_us = self._now_us + delay_us
            self._actions.append(Remark(Note.PREEMPT_DELAY_STARTED, value_us=delay_us))

    def _stop_preempt_delay(self, _event: Event) -> None:
        if self._preempt_delay_until_us is not None:
            self._preempt_delay_until_us = None
            self._actions.append(Remark(Note.PREEMPT_DELAY_STOPPED))

    def _note_lower(self, event: Event) -> None:
        assert isinstance(event, AdvertisementReceived)
        priority = event.advertisement.priority
        self._lower = (event.source, priority, self._now_us)
        same = priority == self.effective_priority and event.source == self.primary
        note = Note.SAME_ADDRESS if same else Note.LOWER_PRIORITY
        self._actions.append(Remark(note, peer=event.source, priority=priority))

    def _note_release(self, event: Event) -> None:
        assert isinstance(event, AdvertisementReceived)
        self._actions.append(Remark(Note.RELEASE_HEARD, peer=event.source, priority=PRIORITY_RELEASE))

    def _note_priority(self, _event: Event) -> None:
        self._actions.append(Remark(Note.PRIORITY, priority=self.effective_priority, before=self._old_priority))

    def _note_fault(self, event: Event) -> None:
        assert isinstance(event, FaultRaised)
        self._actions.append(Remark(Note.FAULT, detail=event.detail))

    def _note_recovery(self, _event: Event) -> None:
        self._actions.append(Remark(Note.FAULT_CLEARED, detail="; ".join(self.faults.values())))

    def _ask_group(self, _event: Event) -> None:
        self._actions.append(_ASK_GROUP)

    # The two dictionaries give each word of the table but ALWAYS its meaning; a test sees that none is missing.
    _GUARDS: ClassVar[Mapping[If, _Guard]] = {
        If.FAULTY: _faulty,
        If.OWNER: _may_start_as_owner,
        If.PRIORITY_ZERO: _priority_zero,
        If.NO_PREEMPT_OR_NOT_LOWER: _no_preempt_or_not_lower,
        If.PREEMPT_DELAYED: _preempt_delayed,
        If.OUTRANKED: _outranked,
        If.DOUBTFUL: _is_doubtful,
        If.DOUBTFUL_AND_RELEASED: _doubtful_and_released,
        If.DOUBTFUL_AND_NOT_BETTER: _doubtful_and_not_better,
        If.DRAINING: _is_draining,
        If.SUCCESSOR: _hears_successor,
        If.FAR_TOO_LATE: _far_too_late,
        If.WAITS_FOR_GROUP: _waits_for_group,
    }

    _STEPS: ClassVar[Mapping[Do, _Step]] = {
        Do.SEND: _send,
        Do.SEND_LAST_WORD: _send_last_word,
        Do.SEND_PRIORITY_ZERO: _send_priority_zero,
        Do.ASSERT: _assert,
        Do.INSTALL_VIPS: _install_vips,
        Do.REINSTALL_VIPS: _reinstall_vips,
        Do.ANNOUNCE: _announce,
        Do.REMOVE_VIPS: _remove_vips,
        Do.ARM_ADVER: _arm_adver,
        Do.RESTART_ADVER: _restart_adver,
        Do.ARM_MASTER_DOWN: _arm_master_down,
        Do.ARM_SKEW: _arm_skew,
        Do.SHIFT_BY_SKEW: _shift_by_skew,
        Do.LISTEN: _listen,
        Do.START_DRAIN: _start_drain,
        Do.LET_GO_SOON: _let_go_soon,
        Do.CANCEL: _cancel,
        Do.RESET_INTERVAL: _reset_interval,
        Do.ADOPT_INTERVAL: _adopt_interval,
        Do.START_PREEMPT_DELAY: _start_preempt_delay,
        Do.STOP_PREEMPT_DELAY: _stop_preempt_delay,
        Do.NOTE_LOWER: _note_lower,
        Do.NOTE_RELEASE: _note_release,
        Do.NOTE_PRIORITY: _note_priority,
        Do.NOTE_FAULT: _note_fault,
        Do.NOTE_RECOVERY: _note_recovery,
        Do.ASK_GROUP: _ask_group,
    }

    # The table with its words looked up: for each cell its rows in order, the last of which holds always.
    _CELLS: ClassVar = _look_up(rows_by_cell(), _GUARDS, _STEPS)
