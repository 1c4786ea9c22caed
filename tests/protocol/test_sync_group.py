"""Sync groups: each rule by hand, then what holds for any story of two or three nodes."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.errors import UsageError
from pyvrrp.protocol.actions import Action, InstallVips, RemoveVips, SendAdvertisement, Transition
from pyvrrp.protocol.advertisement import Advertisement
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.events import (
    GROUP,
    AdvertisementReceived,
    DeadlineReached,
    Drain,
    Event,
    FaultCleared,
    FaultRaised,
    GroupTakesOver,
    PriorityChanged,
    Shutdown,
    Startup,
)
from pyvrrp.protocol.router import VirtualRouter
from pyvrrp.protocol.settings import RouterSettings
from pyvrrp.protocol.states import State
from pyvrrp.protocol.sync_group import GroupSettings, SyncGroup

S = 1_000_000
DELAY_US = 200

# Priority 100 at 1 s: Skew_Time 156/256 s, Master_Down_Interval 3609375 us
DOWN = 3_609_375

Fault = FaultRaised("web", "web failed")
VIPS: dict[Family, IPAddress] = {Family.V4: IPv4Address("192.0.2.254"), Family.V6: IPv6Address("fe80::254")}


class EagerGroup(SyncGroup):
    """As keepalived: it takes over as soon as it can, however often that went wrong."""

    def _patience(self) -> int:
        return 0


@dataclass
class Node:
    """One node: its routers, the group around them, and which of its cables are in."""

    name: str
    routers: dict[str, VirtualRouter]
    group: SyncGroup | None
    connected: dict[str, bool] = field(default_factory=dict)
    running: bool = True

    @property
    def states(self) -> list[State]:
        return [router.state for router in self.routers.values()]


class Site:
    """Nodes on as many LANs as they have members; time is virtual, everything happens in order."""

    def __init__(self) -> None:
        self.now_us = 0
        self.nodes: dict[str, Node] = {}
        self.log: list[tuple[int, str, str, Action]] = []
        self._post: list[tuple[int, int, str, str, AdvertisementReceived]] = []
        self._number = count()
        self.shared_us: int | None = None
        self.longest_shared_us = 0

    def add(
        self,
        name: str,
        priorities: Iterable[int],
        hosts: Iterable[int],
        *,
        families: Iterable[Family] = (Family.V4,) * 9,
        kind: type[SyncGroup] | None = SyncGroup,
        group: dict[str, Any] | None = None,
        **router: Any,
    ) -> Node:
        """A node whose n-th member has the n-th priority, and on the n-th LAN the n-th host number."""
        members = {}
        for number, (priority, host, family) in enumerate(zip(priorities, hosts, families, strict=False), 1):
            primary: IPAddress = (
                IPv4Address(f"10.0.{number}.{host}") if family is Family.V4 else IPv6Address(f"fe80::{host}")
            )
            chosen = RouterSettings(
                vrid=51 + number,
                family=family,
                priority=priority,
                grouped=kind is not None,
                owner_starts_as_master=False,
                **router,
            )
            members[f"V{number}"] = VirtualRouter(chosen, primary)
        made = None if kind is None else kind(GroupSettings("G", tuple(members), **(group or {})), members)
        node = self.nodes[name] = Node(name, members, made, dict.fromkeys(members, True))
        return node

    def tell(self, node: Node, member: str, event: Event) -> None:
        """Hand an event to one member and all that follows to the others, as the engine does."""
        waiting = deque([(member, event)])
        while waiting:
            name, event = waiting.popleft()
            actions = node.routers[name].handle(event, self.now_us)
            for action in actions:
                self.log.append((self.now_us, node.name, name, action))
                if isinstance(action, SendAdvertisement):
                    self._send(node, name, action.priority)
            if node.group is not None:
                waiting.extend((o.member, o.event) for o in node.group.told(name, event, actions, self.now_us))
            assert len(waiting) < 50

    def all(self, node: Node, event: Event) -> None:
        for member in node.routers:
            self.tell(node, member, event)

    def start(self, *names: str) -> None:
        for name in names or self.nodes:
            self.all(self.nodes[name], Startup())

    def run(self, until_s: float) -> None:
        """Let time pass: what arrives is heard before deadlines are looked at."""
        until_us = round(until_s * S)
        while True:
            deadlines = [
                (at, 0)
                for node in self.nodes.values()
                if node.running
                for r in node.routers.values()
                if (at := r.next_deadline_us) is not None
            ]
            next_us = min([*deadlines, *((at, 0) for at, *_ in self._post)], default=(until_us + 1, 0))[0]
            if next_us > until_us:
                self.now_us = until_us
                return
            self.now_us = max(self.now_us, next_us)
            while self._post and self._post[0][0] <= self.now_us:
                _, _, name, member, event = heapq.heappop(self._post)
                self.tell(self.nodes[name], member, event)
            for node in self.nodes.values():
                for member in node.routers if node.running else ():
                    self.tell(node, member, DeadlineReached())
            self.look()

    def look(self) -> None:
        """What must hold at every moment."""
        serving = []
        for node in self.nodes.values():
            if not node.running or node.group is None:
                continue
            may_part = node.group.settings.may_part
            assert may_part or not node.group.parted, (self.now_us, node.name, node.states)
            own = {name for name, router in node.routers.items() if set(router.faults) - {GROUP}}
            for name, router in node.routers.items():
                if not may_part:
                    assert (GROUP in router.faults) == bool(own - {name})
                if router.faults:
                    assert router.state in {State.FAULT, State.INITIALIZE}
            if State.MASTER in node.states and all(node.connected.values()):
                serving.append(node)
        if len(serving) > 1:
            self.shared_us = self.now_us if self.shared_us is None else self.shared_us
            self.longest_shared_us = max(self.longest_shared_us, self.now_us - self.shared_us)
        else:
            self.shared_us = None

    def moves(self, since_s: float = 0) -> list[tuple[float, str, str, str]]:
        """Transitions as (seconds, node, member, state)."""
        return [
            (round(at / S, 3), node, member, str(action.state))
            for at, node, member, action in self.log
            if isinstance(action, Transition) and at >= since_s * S
        ]

    def sent(self, name: str, since_s: float = 0) -> list[tuple[str, int]]:
        """Priorities that a node sent, by member."""
        return [
            (member, action.priority)
            for at, node, member, action in self.log
            if isinstance(action, SendAdvertisement) and node == name and at >= since_s * S
        ]

    def _send(self, sender: Node, member: str, priority: int) -> None:
        router = sender.routers[member]
        message = Advertisement(
            version=router.settings.version,
            vrid=router.settings.vrid,
            priority=priority,
            max_advertise_interval_us=router.settings.advertisement_interval_us,
            addresses=(VIPS[router.settings.family],),
        )
        event = AdvertisementReceived(message, router.primary)
        if not sender.connected[member]:
            return
        for node in self.nodes.values():
            if node is not sender and node.running and node.connected.get(member):
                heapq.heappush(self._post, (self.now_us + DELAY_US, next(self._number), node.name, member, event))


def pair(first: tuple[int, ...] = (150, 150), second: tuple[int, ...] = (100, 100), **more: Any) -> Site:
    """Nodes a and b, b with the greater addresses."""
    site = Site()
    site.add("a", first, (1, 1, 1), **more)
    site.add("b", second, (2, 2, 2), **more)
    return site


# By hand


def test_a_group_has_members_and_their_routers() -> None:
    routers = Site().add("a", (100, 100), (1, 1)).routers
    with pytest.raises(UsageError, match="has no members"):
        GroupSettings("G", ())
    with pytest.raises(UsageError, match="a member twice"):
        GroupSettings("G", ("V1", "V1"))
    with pytest.raises(UsageError, match="needs exactly the routers V1, V3"):
        SyncGroup(GroupSettings("G", ("V1", "V3")), routers)


def test_all_want_it_before_one_is_master() -> None:
    """keepalived 3.5: V1 (skew 106/256 s) waits for V2 (206/256 s), then both switch in the same moment."""
    site = Site()
    node = site.add("a", (150, 50), (1, 1))
    site.start()
    site.run(3.8)
    assert node.states == [State.BACKUP, State.BACKUP]
    assert node.group is not None
    assert node.group.state is State.BACKUP
    site.run(4)
    assert site.moves(1) == [(3.805, "a", "V1", "MASTER"), (3.805, "a", "V2", "MASTER")]
    assert node.group.state is State.MASTER


def test_who_hears_a_master_again_is_not_ready() -> None:
    """One LAN is cut for a while: V2 asked, but accepts an advertisement before V1 wants it too."""
    site = pair()
    site.start()
    site.run(4)
    b = site.nodes["b"]
    b.connected["V2"] = False
    site.run(8)
    b.connected["V2"] = True
    site.run(9.1)
    b.connected["V1"] = False
    site.run(14)
    assert site.moves(4) == []
    assert b.states == [State.BACKUP, State.BACKUP]


def test_a_member_that_has_not_started_holds_the_others() -> None:
    site = Site()
    node = site.add("a", (100, 100), (1, 1))
    site.tell(node, "V1", Startup())
    site.run(10)
    assert node.states == [State.BACKUP, State.INITIALIZE]
    assert node.group is not None
    assert node.group.state is State.INITIALIZE


def test_one_that_finds_its_better_pulls_all() -> None:
    """a is better in V1 only and hears of b there; b in nothing else, yet a keeps no half."""
    site = pair((100, 100), (150, 100))
    site.start("a")
    site.run(5)
    b = site.nodes["b"]
    assert b.group is not None
    b.group = None  # as an ungrouped router beside us
    b.routers["V1"].settings = RouterSettings(vrid=52, family=Family.V4, priority=150)
    site.tell(b, "V1", Startup())
    site.run(9)
    assert site.nodes["a"].states == [State.BACKUP, State.BACKUP]
    assert ("a", "V2", "BACKUP") in [move[1:] for move in site.moves(8)]
    assert ("V2", 0) not in site.sent("a")  # keepalived: no priority 0


def test_a_fault_is_a_fault_of_all() -> None:
    """Each says goodbye once; it ends when the last own fault does, whatever the order."""
    site = pair()
    site.start()
    site.run(4)
    a = site.nodes["a"]
    site.tell(a, "V1", Fault)
    assert site.sent("a", 4) == [("V1", 0), ("V2", 0)]
    assert a.states == [State.FAULT, State.FAULT]
    assert a.routers["V2"].faults == {GROUP: "V1 of sync group G: web failed"}
    assert a.group is not None
    assert a.group.state is State.FAULT
    site.run(5)
    assert site.nodes["b"].states == [State.MASTER, State.MASTER]
    site.tell(a, "V2", Fault)
    site.tell(a, "V1", FaultCleared("web"))
    assert a.states == [State.FAULT, State.FAULT]
    site.tell(a, "V2", FaultCleared("web"))
    assert a.states == [State.BACKUP, State.BACKUP]
    site.run(10)
    assert a.states == [State.MASTER, State.MASTER]
    assert site.nodes["b"].states == [State.BACKUP, State.BACKUP]


def test_a_fault_before_the_start_counts() -> None:
    site = Site()
    node = site.add("a", (100, 100), (1, 1))
    site.tell(node, "V2", Fault)
    site.start()
    assert node.states == [State.FAULT, State.FAULT]


def test_owners_are_master_together_at_once() -> None:
    """keepalived: all members 255; the last one to start or to recover moves them."""
    site = Site()
    node = site.add("a", (255, 255), (1, 1), group={"owners_start_as_master": True})
    site.tell(node, "V1", Startup())
    assert node.states == [State.BACKUP, State.INITIALIZE]
    site.tell(node, "V2", Startup())
    assert node.states == [State.MASTER, State.MASTER]
    site.tell(node, "V2", Fault)
    assert node.states == [State.FAULT, State.FAULT]
    site.tell(node, "V2", FaultCleared("web"))
    assert node.states == [State.MASTER, State.MASTER]


def test_who_ends_one_ends_all() -> None:
    site = pair()
    site.start()
    site.run(4)
    site.tell(site.nodes["a"], "V2", Shutdown())
    assert site.sent("a", 4) == [("V2", 0), ("V1", 0)]
    assert site.nodes["a"].states == [State.INITIALIZE, State.INITIALIZE]


def test_a_handover_ends_for_all_when_it_ends_for_one() -> None:
    """V1's successor is heard: V2, which has not heard its own, lets go with it."""
    site = pair()
    site.start()
    site.run(4)
    a, b = site.nodes["a"], site.nodes["b"]
    site.tell(a, "V1", Drain())
    assert site.sent("a", 4) == [("V1", 0), ("V2", 0)]
    assert a.states == [State.MASTER, State.MASTER]
    a.connected["V2"] = False
    site.run(4.7)
    assert b.states == [State.MASTER, State.MASTER]
    gone = [at for at, node, _, action in site.log if node == "a" and action == RemoveVips()]
    assert len(gone) == 2
    assert gone[0] == gone[1]
    assert a.states == [State.INITIALIZE, State.INITIALIZE]


def test_a_fault_ends_a_handover_for_all() -> None:
    site = pair()
    site.start()
    site.run(4)
    a = site.nodes["a"]
    site.all(a, Drain())
    site.tell(a, "V1", Fault)
    assert a.states == [State.INITIALIZE, State.INITIALIZE]
    assert site.sent("a", 4) == [("V1", 0), ("V2", 0)]


def test_a_new_router_under_an_old_name() -> None:
    """A reload: it learns of the fault of the others, and joins them if they are MASTER."""
    site = Site()
    node = site.add("a", (100, 100), (1, 1))
    site.start()
    site.run(4)
    assert node.group is not None
    fresh = VirtualRouter(node.routers["V2"].settings, node.routers["V2"].primary, site.now_us)
    node.routers["V2"] = node.group.routers["V2"] = fresh
    assert node.group.revise() == ()
    fresh.handle(Startup(), site.now_us)
    assert node.group.parted
    site.now_us = 4 * S + DOWN
    site.tell(node, "V2", DeadlineReached())
    assert node.states == [State.MASTER, State.MASTER]
    assert not node.group.parted


# Two groups that disagree


def crossing(kind: type[SyncGroup] = SyncGroup, other: type[SyncGroup] = SyncGroup) -> Site:
    """Equal priorities; a has the greater address in V1, b in V2: each is better once. Answers would upset the step."""
    site = Site()
    site.add("a", (100, 100), (2, 1), kind=kind, answer_lower_priority=False)
    site.add("b", (100, 100), (1, 2), kind=other, answer_lower_priority=False)
    site.start()
    return site


def test_two_groups_that_disagree_come_to_rest() -> None:
    """Both take over, both yield; a, better in the first member, is MASTER after one down timer, b waits for two."""
    site = crossing()
    site.run(60)
    assert site.nodes["a"].states == [State.MASTER, State.MASTER]
    assert site.nodes["b"].states == [State.BACKUP, State.BACKUP]
    assert [move[1:] for move in site.moves(5)] == [("a", "V1", "MASTER"), ("a", "V2", "MASTER")]
    assert site.moves(5)[0][0] == pytest.approx(2 * DOWN / S, abs=0.001)


@pytest.mark.parametrize("first", [True, False])
def test_one_group_with_patience_is_enough(first: bool) -> None:
    """Beside keepalived, which never waits: we wait longer each time, and soon it is alone."""
    site = crossing(SyncGroup if first else EagerGroup, EagerGroup if first else SyncGroup)
    site.run(60)
    patient, eager = ("a", "b") if first else ("b", "a")
    assert site.nodes[eager].states == [State.MASTER, State.MASTER]
    assert site.nodes[patient].states == [State.BACKUP, State.BACKUP]
    assert site.moves(15) == []


def test_without_patience_it_would_go_on_for_ever() -> None:
    """What the tests above are about: they would not notice if the model did not meet it."""
    site = crossing(EagerGroup, EagerGroup)
    site.run(60)
    assert len(site.moves(30)) > 20


def test_once_somebody_serves_nobody_waits_longer() -> None:
    """The disagreement is forgotten: when a dies later, b takes over after one down timer."""
    site = crossing()
    site.run(20)
    site.nodes["a"].running = False
    site.run(30)
    assert site.nodes["b"].states == [State.MASTER, State.MASTER]
    assert site.moves(20)[0][0] < 20 + DOWN / S


# Halves that may part

HALVES: dict[str, Any] = {"families": (Family.V4, Family.V6), "group": {"may_part": True}}


def test_beside_an_old_node_each_half_is_elected_alone() -> None:
    """b runs V1 alone, and better: a serves V2 all the same, at once, and keeps it."""
    site = Site()
    a = site.add("a", (100, 100), (1, 1), **HALVES)
    site.add("b", (150,), (2,), kind=None)
    site.start()
    site.run(3.8)
    assert a.states == [State.BACKUP, State.MASTER]
    assert a.group is not None
    assert a.group.parted
    site.run(30)
    assert site.moves(3.8) == []
    site.nodes["b"].running = False
    site.run(34)
    assert a.states == [State.MASTER, State.MASTER]


def test_an_old_node_that_comes_back_takes_its_half_only() -> None:
    site = Site()
    a = site.add("a", (100, 100), (1, 1), **HALVES)
    site.add("b", (150,), (2,), kind=None)
    site.start("a")
    site.run(5)
    assert a.states == [State.MASTER, State.MASTER]
    site.start("b")
    site.run(20)
    assert a.states == [State.BACKUP, State.MASTER]


def test_beside_a_node_that_runs_both_halves_they_move_together() -> None:
    """a is better in V1, equal in V2, where its address is greater: it takes both, and keeps both."""
    site = Site()
    b = site.add("b", (100, 100), (1, 1), **HALVES)
    a = site.add("a", (150, 120), (2, 2), **HALVES)
    site.start("b")
    site.run(5)
    assert b.states == [State.MASTER, State.MASTER]
    site.start("a")
    site.run(12)
    assert a.states == [State.MASTER, State.MASTER]
    assert b.states == [State.BACKUP, State.BACKUP]
    taken = [at for at, _, _, state in site.moves(5.1) if state == "MASTER"]
    assert len(taken) == 2
    assert taken[0] == taken[1]  # V1 (skew 106/256 s) waited for V2 (136/256 s)


def test_each_half_yields_alone() -> None:
    """b finds its better in V1; in V2 it is the better one, and stays."""
    site = Site()
    a = site.add("a", (150, 100), (1, 1), kind=None, families=HALVES["families"])
    b = site.add("b", (100, 100), (2, 2), **HALVES)
    a.connected = dict.fromkeys(a.connected, False)
    site.start()
    site.run(6.3)
    assert b.states == [State.MASTER, State.MASTER]
    a.connected = dict.fromkeys(a.connected, True)
    site.run(9)
    assert a.states == [State.MASTER, State.BACKUP]
    assert b.states == [State.BACKUP, State.MASTER]


def test_halves_that_lose_their_master_move_with_it() -> None:
    """It falls silent in both, or says goodbye in both: no half waits, none stays."""
    for last_word in (Shutdown(), None):
        site = pair(**HALVES)
        site.start()
        site.run(5)
        a, b = site.nodes["a"], site.nodes["b"]
        if last_word is None:
            a.running = False
        else:
            site.all(a, last_word)
        site.run(9)
        assert b.states == [State.MASTER, State.MASTER]
        taken = [at for at, node, _, state in site.moves(5) if (node, state) == ("b", "MASTER")]
        assert taken[0] == taken[1] == pytest.approx(5.609 if last_word else 4.414 + 3.609, abs=0.003)


def test_each_half_has_its_faults_and_its_end_alone() -> None:
    site = Site()
    a = site.add("a", (100, 100), (1, 1), **HALVES)
    site.start()
    site.run(4)
    site.tell(a, "V2", Fault)
    assert a.states == [State.MASTER, State.FAULT]
    assert GROUP not in a.routers["V1"].faults
    site.tell(a, "V2", FaultCleared("web"))
    site.run(8)
    assert a.states == [State.MASTER, State.MASTER]
    site.tell(a, "V1", Shutdown())
    assert a.states == [State.INITIALIZE, State.MASTER]


def test_a_half_that_is_released_does_not_wait() -> None:
    """The other side lost V2 and says so: V2 moves after its skew (156/256 s), V1 stays."""
    site = pair(**HALVES)
    site.start()
    site.run(5)
    assert site.nodes["a"].states == [State.MASTER, State.MASTER]
    site.tell(site.nodes["a"], "V2", Fault)
    site.run(5.62)
    assert site.nodes["b"].states == [State.BACKUP, State.MASTER]


def test_repetitions_kept_by_the_socket_count_as_heard() -> None:
    """The state machine is told of them by `heard_again`, the group is not."""
    site = pair((100, 100), (150, 150), **HALVES)
    site.start()
    site.run(4)
    a = site.nodes["a"]
    assert a.states == [State.BACKUP, State.BACKUP]
    assert a.group is not None
    router = a.routers["V2"]
    router.heard_again(9 * S)
    router = a.routers["V1"]
    router.settings = RouterSettings(vrid=52, family=Family.V4, priority=200, grouped=True)
    site.now_us = 9 * S + 500_000
    heard = AdvertisementReceived(
        Advertisement(
            version=3, vrid=52, priority=100, max_advertise_interval_us=S, addresses=(IPv4Address("192.0.2.254"),)
        ),
        IPv4Address("10.0.1.2"),
    )
    router.effective_priority = 200
    site.tell(a, "V1", heard)
    site.tell(a, "V1", DeadlineReached())
    assert a.states == [State.BACKUP, State.BACKUP]  # it wanted to, and waits for V2


@pytest.mark.parametrize("late_us", [0, DELAY_US])
def test_three_that_disagree_in_step_come_to_rest(late_us: int) -> None:
    """Each is better than another somewhere; the best one in the first member has heard two others, and goes first."""
    site = Site()
    for name, hosts in (("a", (1, 2)), ("b", (2, 3)), ("c", (3, 1))):
        site.add(name, (100, 100), hosts, preempt=False)
    site.start("b", "c")
    site.now_us = late_us
    site.start("a")
    site.run(60)
    before = site.moves()
    assert sorted(node.states[0] for node in site.nodes.values()) == [State.BACKUP, State.BACKUP, State.MASTER]
    site.run(120)
    assert site.moves() == before


# What holds for any story

OPERATIONS = ("fault", "clear", "cut", "mend", "stop", "start", "drain", "kill", "priority")
stories = st.lists(
    st.tuples(
        st.integers(0, 6_000_000) | st.sampled_from([0, S, DOWN, DOWN + DELAY_US]),
        st.sampled_from(OPERATIONS),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(1, 254),
    ),
    max_size=14,
)
priorities = st.sampled_from([100, 100, 100, 101, 150]) | st.integers(1, 254)


@st.composite
def sites(draw: st.DrawFn, *, may_part: bool) -> Site:
    site = Site()
    size = 2 if may_part else draw(st.integers(1, 3))
    nodes = draw(st.integers(2, 3))
    # Host numbers: on each LAN another order, so that equal priorities are decided differently.
    hosts = [draw(st.permutations(range(1, nodes + 1))) for _ in range(size)]
    same = draw(st.booleans())
    more: dict[str, Any] = {"preempt": draw(st.booleans()), "answer_lower_priority": draw(st.booleans())}
    more |= HALVES if may_part else {}
    eager = draw(st.integers(0, 5))  # at most one is as keepalived: two of them may never come to rest
    for number in range(nodes):
        own = [draw(priorities)] * size if same else [draw(priorities) for _ in range(size)]
        kind = EagerGroup if number == eager else SyncGroup
        site.add("abc"[number], own, [order[number] for order in hosts], kind=kind, **more)
    return site


def revive(site: Site, node: Node) -> None:
    """A killed node comes back as a new program."""
    fresh = {name: VirtualRouter(router.settings, router.primary, site.now_us) for name, router in node.routers.items()}
    assert node.group is not None
    node.routers, node.group = fresh, type(node.group)(node.group.settings, fresh)
    node.running = True
    site.all(node, Startup())


def carry_out(site: Site, what: str, node: Node, member: str, number: int) -> None:
    match what:
        case "fault":
            site.tell(node, member, FaultRaised(f"f{number % 2}", "it failed"))
        case "clear":
            site.tell(node, member, FaultCleared(f"f{number % 2}"))
        case "cut" | "mend":
            node.connected[member] = what == "mend"
        case "stop":
            site.all(node, Shutdown())
        case "start":
            site.all(node, Startup())
        case "drain":
            site.tell(node, member, Drain())
        case "kill":
            node.running = False
        case "priority":
            site.all(node, PriorityChanged(number))


def tell_story(site: Site, story: list[tuple[int, str, int, int, int]]) -> None:
    site.start()
    for gap_us, what, at, of, number in story:
        site.run((site.now_us + gap_us) / S)
        node = list(site.nodes.values())[at % len(site.nodes)]
        member = list(node.routers)[of % len(node.routers)]
        if node.running:
            carry_out(site, what, node, member, number)
        elif what == "start":
            revive(site, node)
        site.look()


def heal(site: Site) -> None:
    """Everything is well again, and everybody runs."""
    for node in site.nodes.values():
        node.connected = dict.fromkeys(node.connected, True)
        if not node.running:
            revive(site, node)
        for member in node.routers:
            for cause in ("f0", "f1"):
                site.tell(node, member, FaultCleared(cause))
    site.run((site.now_us + 2 * S) / S)  # handovers end
    for node in site.nodes.values():
        site.all(node, Startup())


@settings(deadline=None, max_examples=80)
@given(sites(may_part=False), stories)
def test_any_story_of_groups(site: Site, story: list[tuple[int, str, int, int, int]]) -> None:
    """
    No group is ever half MASTER, a fault is everybody's (`look`, at every step), and what was done heals.

    Once all is well two nodes serve together for no longer than an interval and what the way takes; after a minute one
    alone serves all, and nothing moves any more.
    """
    tell_story(site, story)
    heal(site)
    site.shared_us, site.longest_shared_us = None, 0
    healed_s = site.now_us / S
    site.run(healed_s + 60)
    states = sorted(tuple(set(node.states)) for node in site.nodes.values())
    assert states == [(State.BACKUP,)] * (len(site.nodes) - 1) + [(State.MASTER,)]
    assert site.longest_shared_us <= S + 2 * DELAY_US
    site.run(healed_s + 90)
    assert site.moves(healed_s + 60) == []
    assert len(site.moves(healed_s)) <= 12 * sum(len(node.routers) for node in site.nodes.values())


@settings(deadline=None, max_examples=80)
@given(sites(may_part=True), stories)
def test_any_story_of_halves(site: Site, story: list[tuple[int, str, int, int, int]]) -> None:
    """Each half has one MASTER in the end, nothing moves any more, and nobody waits for ever."""
    tell_story(site, story)
    heal(site)
    healed_s = site.now_us / S
    site.run(healed_s + 60)
    for member in ("V1", "V2"):
        states = sorted(node.routers[member].state for node in site.nodes.values())
        assert states == [State.BACKUP] * (len(site.nodes) - 1) + [State.MASTER]
    site.run(healed_s + 90)
    assert site.moves(healed_s + 60) == []


@settings(deadline=None, max_examples=40)
@given(sites(may_part=False), stories)
def test_no_storm(site: Site, story: list[tuple[int, str, int, int, int]]) -> None:
    """Whatever happens: in any second a member installs its addresses a few times at most, and sends little."""
    tell_story(site, story)
    heal(site)
    site.run(site.now_us / S + 20)
    asked = len(story) + 4 * len(site.nodes)
    for name, node in site.nodes.items():
        for member in node.routers:
            mine = [(at, action) for at, who, which, action in site.log if (who, which) == (name, member)]
            installed = [at for at, action in mine if action == InstallVips()]
            quick = sum(later - earlier < S // 4 for earlier, later in pairwise(installed))
            assert quick <= asked
            sends = sum(isinstance(action, SendAdvertisement) for _, action in mine)
            assert sends <= 4 * (site.now_us // S + 1) + 4 * asked


def test_the_group_does_not_answer_itself() -> None:
    """Its own orders come back to it, and end there."""
    site = Site()
    node = site.add("a", (100, 100), (1, 1))
    site.start()
    assert node.group is not None
    for event in (GroupTakesOver(), FaultRaised(GROUP, "x"), FaultCleared(GROUP)):
        assert node.group.told("V1", event, node.routers["V1"].handle(event, 1), 1) == ()
