"""
Who is MASTER, and who is after each failure: the rules of RFC 9568 6.4 over the nodes of one virtual router.

Times are the longest that they can be, from the failure on, without the time that a check needs to notice it. Who hears
whom is `hearing.py`; nodes that do not take each other's advertisements elect among themselves.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pyvrrp.explain.hearing import Priorities, Split, apart
from pyvrrp.explain.outlook import Timers
from pyvrrp.explain.routers import Member, Router
from pyvrrp.explain.traps import Trap
from pyvrrp.explain.watches import Key, Watch
from pyvrrp.explain.wording import names
from pyvrrp.protocol.constants import PRIORITY_OWNER


class What(enum.StrEnum):
    """Kinds of failures."""

    DEAD = "node dead"
    CHECK = "check"
    EVERYWHERE = "check on all nodes"


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    Who is MASTER, of each part of nodes that hear each other.

    Attributes:
        masters: Names of nodes; empty is nobody.
        tied: Nodes of which the files do not say who is first and stays it; *masters* then has the likeliest.
    """

    masters: tuple[str, ...]
    tied: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """For people."""
        if self.tied:
            return names(self.tied, "or")
        return names(self.masters) or "nobody"


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    One failure.

    Attributes:
        what: Its kind.
        node: Where; empty is everywhere.
        text: What fails, for people.
        outcome: Who is MASTER then.
        after_us: How long that may take; None where nothing changes, or nobody takes over.
        how: What the time is made of.
        back: Who is MASTER when all is well again.
    """

    what: What
    node: str
    text: str
    outcome: Outcome
    after_us: int | None
    how: str
    back: Outcome

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "failure": self.what.value,
            "node": self.node,
            "text": self.text,
            "masters": list(self.outcome.masters),
            "tied": list(self.outcome.tied),
            "after_us": self.after_us,
            "how": self.how,
            "masters_when_well_again": list(self.back.masters),
            "tied_when_well_again": list(self.back.tied),
        }


@dataclass(frozen=True, slots=True)
class Election:
    """A virtual router's election: who is MASTER while all is well, and after each failure."""

    router: Router
    parts: tuple[tuple[Member, ...], ...]
    normal: Outcome
    scenarios: tuple[Scenario, ...]


def elect(router: Router) -> Election:
    """Work out who wins, and who is next."""
    members = [member for member in router.members if member.outlook.runs]
    parts = _parts(members)
    normal = _start(parts, _well)
    return Election(router, parts, normal, tuple(_scenarios(parts, normal)))


def _well(member: Member) -> int | None:
    return member.priority()


def _parts(members: Sequence[Member]) -> tuple[tuple[Member, ...], ...]:
    """Nodes that hear each other, directly or through others; with one of its own for whoever hears nobody."""
    parts: list[list[Member]] = []
    for member in members:
        near = [part for part in parts if any(not apart(member, other) for other in part)]
        joined = [each for part in near for each in part]
        parts = [part for part in parts if part not in near]
        parts.append([*joined, member])
    return tuple(map(tuple, parts))


def _start(parts: Sequence[Sequence[Member]], priorities: Priorities) -> Outcome:
    """All begin at once: whose Master_Down_Interval ends first is MASTER, then whoever may preempt."""
    return _together(outcome for part in parts for outcome in _begins(part, priorities))


def _begins(part: Sequence[Member], priorities: Priorities) -> Iterator[Outcome]:
    """The winner, and of those that do not hear it (but somebody else who does) the next one, and so on."""
    left = [member for member in part if priorities(member) is not None]
    while left:
        outcome = _begin(left, priorities)
        yield outcome
        winner = next(member for member in left if member.node == outcome.masters[0])
        left = [member for member in left if member is not winner and apart(member, winner, priorities)]


def _together(outcomes: Iterator[Outcome]) -> Outcome:
    listed = list(outcomes)
    masters = tuple(name for each in listed for name in each.masters)
    tied = tuple(name for each in listed for name in each.tied)
    return Outcome(masters, tied if len(masters) == 1 else ())


def _begin(part: Sequence[Member], priorities: Priorities) -> Outcome:
    alive = [member for member in part if priorities(member) is not None]
    if not alive:
        return Outcome(())
    first, _wait_us = _fastest(alive, lambda member: _first_wait_us(member, _value(priorities, member)))
    winner = _settle(first, alive, priorities)
    best = _value(priorities, winner)
    # Who of equals is first is decided by more than their timers where a MASTER of a third interval came before them.
    learnt = len({each.outlook.instance.advertisement_interval_us for each in alive}) > 1
    return Outcome(
        (winner.node,), _tied(winner, alive, priorities, lambda each: 0 if learnt else _first_wait_us(each, best))
    )


def _tied(
    winner: Member, alive: Sequence[Member], priorities: Priorities, wait_us: Callable[[Member], int]
) -> tuple[str, ...]:
    """
    The nodes that are equal to the winner in all that decides; empty if there are none.

    A BACKUP leaves a MASTER of equal priority alone, so whoever is first stays it, be it by a millisecond. Of two that
    become MASTER at the same moment the greater source address stays it.
    """
    best, waited_us = _value(priorities, winner), wait_us(winner)
    tied = [each.node for each in alive if (_value(priorities, each), wait_us(each)) == (best, waited_us)]
    return tuple(tied) if len(tied) > 1 else ()


def _first_wait_us(member: Member, priority: int) -> int:
    instance = member.outlook.instance
    if instance.priority == PRIORITY_OWNER and instance.state == "MASTER":
        return 0
    return Timers.of(instance, priority).down_us


def _value(priorities: Priorities, member: Member) -> int:
    priority = priorities(member)
    assert priority is not None
    return priority


def _address(member: Member) -> int:
    return 0 if member.source is None else int(member.source)


def _fastest(members: Sequence[Member], wait_us: Callable[[Member], int]) -> tuple[Member, int]:
    winner = min(members, key=lambda member: (wait_us(member), -_address(member)))
    return winner, wait_us(winner)


def _may_preempt(member: Member) -> bool:
    return member.outlook.instance.preempt or member.outlook.instance.priority == PRIORITY_OWNER


def _settle(master: Member, alive: Sequence[Member], priorities: Priorities) -> Member:
    """The MASTER in the end: the best of those that take over from a lower priority, or the one that is it."""
    better = _challengers(master, alive, priorities)
    if not better:
        return master
    return min(better, key=lambda each: (-_value(priorities, each), *_pace(each, master, priorities)))


def _return(master: Member, home: Sequence[Member], returning: Member | None) -> Outcome:
    """
    Who is MASTER when all is well again.

    A router that begins anew has its own interval in its timer. Where that ends before the MASTER's next advertisement
    comes, it is MASTER without having heard of one, `nopreempt` or not.
    """
    settled = _settle(master, [each for each in home if each.priority() is not None], _well)
    if returning is None:
        return Outcome((settled.node,))
    priority, ours = _value(_well, returning), _value(_well, settled)
    hasty = _first_wait_us(returning, priority) < settled.outlook.instance.advertisement_interval_us
    race = hasty and priority >= ours and returning is not settled
    return Outcome((settled.node,), (settled.node, returning.node) if race else ())


def _challengers(master: Member, alive: Sequence[Member], priorities: Priorities) -> list[Member]:
    ours = _value(priorities, master)
    return [each for each in alive if _may_preempt(each) and _value(priorities, each) > ours]


def _pace(member: Member, master: Member, priorities: Priorities) -> tuple[int, int]:
    """Who takes over sooner; of two at the same moment the greater source address."""
    return _taking_over(member, master, priorities)[0], -_address(member)


def _scenarios(parts: Sequence[Sequence[Member]], normal: Outcome) -> Iterator[Scenario]:
    for part in parts:
        for member in part:
            yield _failure(parts, normal, member, None)
            for watch in member.outlook.watches:
                if not watch.countless:
                    yield _failure(parts, normal, member, watch)
    yield from _everywhere(parts, normal)


def _failure(parts: Sequence[Sequence[Member]], normal: Outcome, failing: Member, watch: Watch | None) -> Scenario:
    wrong: frozenset[Key] = frozenset() if watch is None else frozenset({watch.key})

    def priorities(member: Member) -> int | None:
        if member is not failing:
            return member.priority()
        return None if watch is None else member.priority(wrong)

    before, after = failing.priority(), priorities(failing)
    what, text = (What.DEAD, "dead") if watch is None else (What.CHECK, watch.wrong)
    if watch is not None:
        text += f" ({'FAULT' if after is None else f'{before} -> {after}'})"
    home = next(part for part in parts if failing in part)
    master = next((each for each in home if each.node in normal.masters), None)
    released = watch is not None and after is None and not watch.own  # its own link carries no priority 0 any more
    now, tied, after_us, how = _next(home, master, priorities, released=released)
    elsewhere = tuple(name for name in normal.masters if name not in {each.node for each in home})
    others = elsewhere + (_beside(now, home, priorities) if now else ())
    outcome = Outcome((*others, *([now.node] if now else [])), () if others else tied)
    back = outcome
    if now is not None:
        settled = _return(now, home, failing if after is None and failing is not now else None)
        better = next(each for each in home if each.node == settled.masters[0])
        others = elsewhere + _beside(better, home, Member.priority)
        back = Outcome((*others, *settled.masters), () if others else settled.tied)
    elif failing.priority() is not None:
        back = normal
    return Scenario(what, failing.node, text, outcome, after_us, how, back)


def _beside(master: Member, home: Sequence[Member], priorities: Priorities) -> tuple[str, ...]:
    """Who is MASTER at the same time as another, for they do not hear each other."""
    left = [each for each in home if each is not master and priorities(each) is not None]
    return _start(([each for each in left if apart(each, master, priorities)],), priorities).masters


def _next(
    home: Sequence[Member], master: Member | None, priorities: Priorities, *, released: bool
) -> tuple[Member | None, tuple[str, ...], int | None, str]:
    """Who is MASTER after a failure of one node, who is equal to it, how long that may take, and why so long."""
    alive = [each for each in home if priorities(each) is not None]
    if not alive or master is None:
        return None, (), None, "" if alive else "nobody is left"
    if master in alive:
        settled = _settle(master, alive, priorities)
        if settled is master:
            return settled, (), None, ""
        first = min(_challengers(master, alive, priorities), key=lambda each: _pace(each, master, priorities))
        longest_us, how = _taking_over(first, master, priorities)
        return settled, (), longest_us, how + _detour(first, settled)
    interval_us = master.outlook.instance.advertisement_interval_us

    def wait_us(member: Member) -> int:
        timers = Timers.of(member.outlook.instance, _value(priorities, member), interval_us)
        return timers.skew_us if released else timers.down_us

    first, longest_us = _fastest(alive, wait_us)
    settled = _settle(first, alive, priorities)
    how = "Skew_Time after its priority 0" if released else "Master_Down_Interval"
    return settled, _tied(settled, alive, priorities, wait_us), longest_us, how + _detour(first, settled)


def _detour(first: Member, settled: Member) -> str:
    return "" if first is settled else f"; first {first.node}, then {settled.node} preempts"


def _taking_over(member: Member, master: Member, priorities: Priorities) -> tuple[int, str]:
    """How long it may take to take over from a MASTER that lives and has a lower priority."""
    instance = member.outlook.instance
    interval_us = master.outlook.instance.advertisement_interval_us
    down_us = Timers.of(instance, _value(priorities, member), interval_us).down_us
    if instance.preempt_delay_us and instance.priority != PRIORITY_OWNER:
        return interval_us + instance.preempt_delay_us + down_us, "an interval, preempt_delay, Master_Down_Interval"
    return down_us, "Master_Down_Interval: lower priorities are not listened to"


def idle_weights(router: Router) -> Iterator[Split]:
    """Weights whose loss cannot make a MASTER yield to any of the nodes that come after it."""
    for member in router.members:
        before = member.priority()
        rivals = [each for each in router.members if each is not member and _weaker(each, before)]
        for watch in member.outlook.watches:
            after = member.priority(frozenset({watch.key}))
            if not watch.weight or watch.countless or before is None or after is None or not rivals:
                continue
            if after >= before or any(_may_preempt(each) and (each.priority() or 0) > after for each in rivals):
                continue
            above = [each for each in rivals if (each.priority() or 0) > after]
            reason = f"{names(each.node for each in above)} may not preempt" if above else _still_above(rivals)
            text = f"{member.node} stays MASTER when {watch.wrong}: priority {before} -> {after}, and {reason}"
            hint = "another weight, or 0 for FAULT" if not above else "without nopreempt, or weight 0 for FAULT"
            yield Split(Trap.WEIGHT_IDLE, (member.node,), text, hint, splits=False)


def _weaker(member: Member, than: int | None) -> bool:
    priority = member.priority()
    return priority is not None and than is not None and priority <= than


def _still_above(rivals: Sequence[Member]) -> str:
    best = max(rivals, key=lambda each: each.priority() or 0)
    return f"the best of the others, {best.node}, has {best.priority()}"


def _everywhere(parts: Sequence[Sequence[Member]], normal: Outcome) -> Iterator[Scenario]:
    """The same check fails on all nodes that have it."""
    seen: dict[Key, list[Watch]] = {}
    members = [member for part in parts for member in part]
    for member in members:
        for watch in member.outlook.watches:
            if not watch.countless and not watch.own:
                seen.setdefault(watch.key, []).append(watch)
    for key, watches in seen.items():
        if len(watches) == len(members) > 1:
            outcome = _when_all(parts, normal, frozenset({key}))
            yield Scenario(What.EVERYWHERE, "", f"{watches[0].wrong} on all nodes", outcome, None, "", normal)


def _when_all(parts: Sequence[Sequence[Member]], normal: Outcome, wrong: frozenset[Key]) -> Outcome:
    def priorities(member: Member) -> int | None:
        return member.priority(wrong)

    outcomes: list[Outcome] = []
    for part in parts:
        master = next((each for each in part if each.node in normal.masters), None)
        alive = [each for each in part if priorities(each) is not None]
        if master is not None and master in alive:
            outcomes.append(Outcome((_settle(master, alive, priorities).node,)))
        else:
            outcomes.append(_begin(alive, priorities))
    return _together(iter(outcomes))
