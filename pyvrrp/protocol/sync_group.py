"""
Virtual routers that move together: `SyncGroup` is told what happened to a member and answers with events for members.

Pure: time is an argument, no deadline of its own; the members' timers wake it. Rules of this file:

* Nobody becomes MASTER before all want it: whose down timer ends asks (`AskGroup`), rearms it, and is ready from then
  on until it accepts an advertisement. The last one's question moves them all, in the same moment.
* One that must yield pulls all: a member that found its better makes BACKUPs of the MASTERs beside it.
* A fault of one is a fault of all, under the cause `GROUP`; it ends when no member has one of its own left.
* Who ends one of them ends all; the first that lets go at the end of a handover takes the others along.
* Two groups may each be better than the other in another member; both yield then. That is not repeated for ever: the
  one that is not better in the first member waits a down timer more, and each time it happens again all wait longer,
  the better one half as much.

With `may_part` the members are halves that other nodes may not all run. A half that would take over from a living
MASTER waits for the others while every one of them hears somebody: then the other side runs all of them, and they move
together. Silence and priority 0 call each half alone (a node that dies falls silent in all of them at once), and each
yields, faults and ends alone: whom a half hears is not known to be the one that another half hears, and to yield to
somebody who is not better would have two nodes make room for each other for ever.

Source:
    keepalived 3.5. Deviations, and why: one priority 0 for each member that faults, not two; two groups that disagree
    come to rest, in keepalived both may yield and take over in step for ever; a lower priority heard by one member is
    answered by that member alone, the others answer what they hear themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyvrrp.errors import UsageError
from pyvrrp.protocol.actions import Action, AskGroup, Transition
from pyvrrp.protocol.constants import PRIORITY_RELEASE, IPAddress
from pyvrrp.protocol.events import (
    GROUP,
    AdvertisementReceived,
    Drain,
    Event,
    FaultCleared,
    FaultRaised,
    GroupTakesOver,
    GroupYields,
    Shutdown,
)
from pyvrrp.protocol.router import VirtualRouter
from pyvrrp.protocol.states import State


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """
    What a sync group is told once.

    Attributes:
        name: For reports; unique among groups.
        members: Names of its virtual routers; each is `grouped` and does not start as MASTER by itself.
        owners_start_as_master: All are owners (255) that may start as MASTER: the group does, as soon as all are there.
        may_part: See the top of this file.
    """

    name: str
    members: tuple[str, ...]
    owners_start_as_master: bool = False
    may_part: bool = False

    def __post_init__(self) -> None:
        if not self.members:
            raise UsageError(f"sync group {self.name} has no members")
        if len(set(self.members)) != len(self.members):
            raise UsageError(f"sync group {self.name} has a member twice")


@dataclass(frozen=True, slots=True)
class Order:
    """An event that a member is to be handed now, after those ordered before."""

    member: str
    event: Event


@dataclass(frozen=True, slots=True)
class _Question:
    """How often in a row a member's down timer ended with nobody heard, and when last."""

    count: int
    at_us: int


@dataclass(frozen=True, slots=True)
class _Heard:
    """The last advertisement a member was told of."""

    source: IPAddress
    priority: int
    at_us: int

    @property
    def rank(self) -> tuple[int, int]:
        """Who has the higher one wins the election."""
        return self.priority, int(self.source)


class SyncGroup:
    """
    Virtual routers that move together.

    Attributes:
        settings: As given.
        routers: Its members by name; a router may be replaced under its name, `revise` is due then.
        disagreements: How often in a row it yielded without having served for long.
    """

    __slots__ = (
        "_best",
        "_ending",
        "_heard",
        "_laggard",
        "_questions",
        "_took_over_us",
        "_yielded_us",
        "disagreements",
        "routers",
        "settings",
    )

    def __init__(self, settings: GroupSettings, routers: Mapping[str, VirtualRouter]) -> None:
        """
        Bring them together.

        Raises:
            UsageError: *routers* are not those that the settings name.
        """
        if set(routers) != set(settings.members):
            raise UsageError(f"sync group {settings.name} needs exactly the routers {', '.join(settings.members)}")
        self.settings = settings
        self.routers = {name: routers[name] for name in settings.members}
        self.disagreements = 0
        self._questions: dict[str, _Question] = {}
        self._heard: dict[str, _Heard] = {}
        self._best: dict[str, _Heard] = {}
        self._ending: set[str] = set()  # who was ordered to end, and has not been told yet
        self._laggard: str | None = None  # who was not ready when that was asked last
        self._took_over_us = 0
        self._yielded_us = 0

    @property
    def state(self) -> State:
        """FAULT if one is, else INITIALIZE if one is; MASTER if all are, else BACKUP."""
        states = {router.state for router in self.routers.values()}
        for state in (State.FAULT, State.INITIALIZE):
            if state in states:
                return state
        return State.MASTER if states == {State.MASTER} else State.BACKUP

    @property
    def parted(self) -> bool:
        """Some are MASTER and some are not."""
        masters = [router.state is State.MASTER for router in self.routers.values()]
        return any(masters) and not all(masters)

    def told(self, member: str, event: Event, actions: Sequence[Action], now_us: int) -> tuple[Order, ...]:
        """
        Learn that a member was handed an event; also those that the group ordered.

        Args:
            member: Its name.
            event: What it was handed.
            actions: What it answered.
            now_us: Monotonic time in microseconds.

        Returns:
            What members are to be handed now, in this order and before anything else.
        """
        moved = next((action for action in actions if isinstance(action, Transition)), None)
        if moved is not None:
            self._questions.pop(member, None)
        if _is_ordered(event):
            return ()
        orders: list[Order] = []
        if isinstance(event, FaultRaised | FaultCleared):
            orders += self.revise()
        if isinstance(event, AdvertisementReceived):
            self._hear(member, _Heard(event.source, event.advertisement.priority, now_us))
            if event.advertisement.priority == PRIORITY_RELEASE:
                self.disagreements = 0  # the other leaves the service, it does not make room
            else:
                orders += self._yield(moved, now_us)
        elif AskGroup() in actions:
            orders += self._ask(member, now_us)
        elif isinstance(event, Shutdown | Drain):
            orders += self._end(member, event if actions else None)
        elif moved is not None:
            orders += self._follow(member, moved, now_us)
        return tuple(orders)

    def revise(self) -> tuple[Order, ...]:
        """
        See that a fault of one is a fault of all, and that it ends for all.

        Returns:
            Orders, none if that is so; to be asked when a router was replaced.
        """
        faulty = (
            []
            if self.settings.may_part
            else [name for name, router in self.routers.items() if _own_fault(router) is not None]
        )
        orders = []
        for name, router in self.routers.items():
            other = next((each for each in faulty if each != name), None)
            if other is None and GROUP in router.faults:
                orders.append(Order(name, FaultCleared(GROUP)))
            elif other is not None and GROUP not in router.faults:
                detail = f"{other} of sync group {self.settings.name}: {_own_fault(self.routers[other])}"
                orders.append(Order(name, FaultRaised(GROUP, detail)))
        return tuple(orders)

    # What moves them

    def _ask(self, member: str, now_us: int) -> Iterable[Order]:
        """A member's down timer ended."""
        before = self._questions.get(member)
        since_us = self._yielded_us if before is None else before.at_us
        if now_us - since_us > 2 * self.routers[member].master_down_interval_us:
            self.disagreements = 0  # somebody served for long
        count = before.count if before is not None and self._is_waiting(member) else 0
        self._questions[member] = _Question(count + 1, now_us)
        patience = self._patience()
        if self._all_ready(patience):
            return self._take_over(self.routers, now_us)
        if self.settings.may_part and self._is_ready(member, patience) and not self._all_hear(now_us):
            return self._take_over((member,), now_us)
        return ()

    def _end(self, member: str, event: Shutdown | Drain | None) -> Iterable[Order]:
        """A member was told to end, and (None is no) had not been yet."""
        if member in self._ending:
            self._ending.remove(member)
            return ()
        if event is None or self.settings.may_part:
            return ()
        others = [name for name, router in self.routers.items() if router.state is not State.INITIALIZE]
        self._ending.update(others)
        return [Order(name, event) for name in others]

    def _follow(self, member: str, moved: Transition, now_us: int) -> Iterable[Order]:
        """A member moved, for another reason than a peer."""
        if moved.state is State.INITIALIZE and moved.previous is State.MASTER and not self.settings.may_part:
            return self._let_go(f"{member} has handed over")
        # Recovered members follow in the same moment, a member that has not started cannot.
        here = all(router.state in {State.BACKUP, State.FAULT} for router in self.routers.values())
        if self.settings.owners_start_as_master and here and not any(map(_own_fault, self.routers.values())):
            return self._take_over(self.routers, now_us)
        return ()

    def _take_over(self, members: Iterable[str], now_us: int) -> Iterable[Order]:
        self._took_over_us = now_us
        self._questions.clear()
        return [Order(name, GroupTakesOver()) for name in members if self.routers[name].state is not State.MASTER]

    def _yield(self, moved: Transition | None, now_us: int) -> Iterable[Order]:
        """A member may have found its better: then the others are no MASTERs either."""
        beaten = next((name for name, router in self.routers.items() if self._is_beaten(router, now_us)), None)
        if beaten is None or self.settings.may_part:
            return ()
        better = self.routers[beaten]
        orders = self._let_go(f"{beaten} heard {better.master} (priority {better.master_priority})")
        if moved is not None or orders:
            longest_us = max(router.master_down_interval_us for router in self.routers.values())
            self.disagreements = self.disagreements + 1 if now_us - self._took_over_us < longest_us else 1
            self._yielded_us = now_us
            self._questions.clear()
        return orders

    def _let_go(self, why: str) -> Sequence[Order]:
        return [Order(name, GroupYields(why)) for name, router in self.routers.items() if router.state is State.MASTER]

    # What they know

    def _is_waiting(self, member: str) -> bool:
        """It has asked, and accepted nothing since."""
        question, router = self._questions.get(member), self.routers[member]
        if question is None or router.state is not State.BACKUP:
            return False
        return router.master_heard_us is None or router.master_heard_us <= question.at_us

    def _is_ready(self, member: str, patience: int) -> bool:
        if self.routers[member].state is State.MASTER:
            return True
        return self._is_waiting(member) and self._questions[member].count > patience

    def _all_ready(self, patience: int) -> bool:
        """Whether nobody is missing; who was missing before is looked at first, or many would be looked at often."""
        if self._laggard is not None and not self._is_ready(self._laggard, patience):
            return False
        # From the end: timers of one length end in the order of the members.
        names = reversed(self.settings.members)
        self._laggard = next((name for name in names if not self._is_ready(name, patience)), None)
        return self._laggard is None

    def _patience(self) -> int:
        """How many down timers must end in vain before the one that counts, lest two groups move in step for ever."""
        if not self.disagreements or len(self.routers) == 1:
            return 0  # one has nobody to disagree with
        return self.disagreements // 2 if self._is_first_choice() else self.disagreements

    def _is_first_choice(self) -> bool:
        """Whether it is better than the others in the first member that heard one; all nodes see the same there."""
        # Somebody was heard: there would be nobody to disagree with.
        name = min(self._best, key=self._place)
        router = self.routers[name]
        return (router.effective_priority, int(router.primary)) > self._best[name].rank

    def _place(self, member: str) -> tuple[int, int]:
        settings = self.routers[member].settings
        return settings.vrid, settings.family

    def _hear(self, member: str, heard: _Heard) -> None:
        self._heard[member] = heard
        best = self._best.get(member)
        # Of several others the best one counts, as long as it is about.
        if (
            best is None
            or heard.rank >= best.rank
            or heard.source == best.source
            or heard.at_us - best.at_us > 2 * self.routers[member].master_down_interval_us
        ):
            self._best[member] = heard

    def _is_beaten(self, router: VirtualRouter, now_us: int) -> bool:
        """It is BACKUP, and somebody serves whom it accepts."""
        return (
            router.state is State.BACKUP
            and _has_master(router)
            and now_us - (router.master_heard_us or 0) < router.master_down_interval_us
        )

    def _all_hear(self, now_us: int) -> bool:
        """Every member hears a peer, that did not release it: the other side runs all of them."""
        return all(self._hears(name, now_us) for name in self.routers)

    def _hears(self, member: str, now_us: int) -> bool:
        heard_us = self._last_heard_us(member)
        return heard_us is not None and now_us - heard_us < self.routers[member].master_down_interval_us

    def _last_heard_us(self, member: str) -> int | None:
        """When a member last heard somebody who serves; None if never, or released since."""
        router, heard = self.routers[member], self._heard.get(member)
        # The socket may keep repetitions to itself; the router is told of them, the group is not.
        kept_us = router.master_heard_us if router.state is State.BACKUP and _has_master(router) else None
        if heard is None or (kept_us is not None and kept_us > heard.at_us):
            return kept_us
        return None if heard.priority == PRIORITY_RELEASE else heard.at_us


def _is_ordered(event: Event) -> bool:
    """What the group orders itself is no news to it."""
    if isinstance(event, FaultRaised | FaultCleared):
        return event.cause == GROUP
    return isinstance(event, GroupTakesOver | GroupYields)


def _own_fault(router: VirtualRouter) -> str | None:
    """A fault that is not the group's, in words; None when there is none."""
    return next((detail for cause, detail in router.faults.items() if cause != GROUP), None)


def _has_master(router: VirtualRouter) -> bool:
    """It knows a MASTER other than itself."""
    return router.master is not None and router.master != router.primary
