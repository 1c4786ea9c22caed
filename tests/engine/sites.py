"""Nodes with as many LANs as their sync group has members, in memory: eth0 on the first, eth1 on the second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

from pyvrrp.engine.commands import Ask as AskStatus
from pyvrrp.engine.commands import Command, Configure
from pyvrrp.engine.loop import Engine
from pyvrrp.engine.reports import Entered, GroupEntered, GroupStatus, Report, Status
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.net.simulated import SimulatedSystem, World
from pyvrrp.net.system import Datagram, ReceivePath
from pyvrrp.protocol.actions import Transition
from pyvrrp.protocol.states import State
from pyvrrp.protocol.sync_group import GroupSettings
from tests.engine.worlds import Sent, read_datagram, settings

S = 1_000_000


def member(number: int, priority: int, **more: Any) -> InstanceSettings:
    """The member V1, V2, ... on its LAN, at 1 s; *more* are fields of the router's settings, or of `settings`."""
    router = {key: more.pop(key) for key in list(more) if key in ROUTER}
    one = settings(
        f"V{number}",
        vrid=50 + number,
        priority=priority,
        vips=[f"10.0.{number}.100/24"],
        interface=f"eth{number - 1}",
        **{"interval_us": S, **more},
    )
    grouped = {"grouped": True, "owner_starts_as_master": False, **router}
    return replace(one, router=replace(one.router, **grouped))


ROUTER = {"grouped", "preempt_delay_us", "owner_starts_as_master"}


def configure(*members: InstanceSettings, name: str = "G", **group: Any) -> Configure:
    """These, as one group."""
    names = tuple(one.name for one in members)
    return Configure(members, (GroupSettings(name, names, **group),) if members else ())


class Node:
    """A host with an engine."""

    def __init__(self, world: World, name: str, number: int, lans: int) -> None:
        self.world, self.name = world, name
        self.kernel: SimulatedSystem = world.host(name)
        for lan in range(1, lans + 1):
            self.kernel.add_link(f"eth{lan - 1}", ip_interface(f"10.0.{lan}.{number}/24"), segment=f"lan{lan}")
        self.reports: list[Report] = []
        self.engine = Engine(self.kernel, self.reports.append)
        world.attach(name, self.engine)
        self._token = 0

    def command(self, *commands: Command) -> None:
        for command in commands:
            self.engine.command(command)
        self.world.wake(self.kernel)

    def run(self, *priorities: int, group: dict[str, Any] | None = None, **more: Any) -> None:
        """Run members of these priorities as one group."""
        self.command(configure(*(member(n, p, **more) for n, p in enumerate(priorities, 1)), **(group or {})))

    @property
    def states(self) -> list[State]:
        return [runner.router.state for runner in self.engine._runners.values()]

    def is_master(self) -> bool:
        return set(self.states) == {State.MASTER}

    def pull(self, lan: int) -> None:
        """Pull one cable at the switch, which does not show on the link."""
        index = next(link.index for link in self.kernel.links() if link.name == f"eth{lan - 1}")
        self.world.plug(self.kernel, index, f"nowhere-{self.name}")

    def plug_in(self, lan: int) -> None:
        """Put it back."""
        index = next(link.index for link in self.kernel.links() if link.name == f"eth{lan - 1}")
        self.world.plug(self.kernel, index, f"lan{lan}")

    def group(self) -> GroupStatus:
        """What the engine says of its one group."""
        self._token += 1
        self.command(AskStatus(self._token))
        self.world.run(self.world.now_us)
        (status,) = (report for report in self.reports if isinstance(report, Status) and report.token == self._token)
        (group,) = status.groups
        return group

    def transitions(self, name: str) -> list[Transition]:
        return [r.transition for r in self.reports if isinstance(r, Entered) and r.instance == name]

    def moves(self, since_s: float = 0) -> list[tuple[float, str, str]]:
        """Transitions of members and groups as (seconds, name, state)."""
        found = []
        for report in self.reports:
            if isinstance(report, Entered):
                found.append((report.transition.at_us, report.instance, report.transition.state))
            elif isinstance(report, GroupEntered):
                found.append((report.at_us, report.group, report.state))
        return [(round(at / S, 3), name, str(state)) for at, name, state in found if at >= since_s * S]

    def sent(self, since_s: float = 0) -> list[Sent]:
        return [
            read_datagram(entry.subject)
            for entry in self.world.journal
            if entry.host == self.name and isinstance(entry.subject, Datagram) and entry.at_us >= since_s * S
        ]

    def parted(self) -> Iterator[tuple[int, int]]:
        """When some of its members were MASTER and others were not, those that were not configured left out."""
        states: dict[str, State] = {}
        changes: list[tuple[int, bool]] = []
        for report in self.reports:
            if isinstance(report, Entered):
                states[report.instance] = report.transition.state
                masters = [state is State.MASTER for state in states.values() if state is not State.INITIALIZE]
                changes.append((report.transition.at_us, any(masters) and not all(masters)))
        since_us: int | None = None
        for at_us, apart in (*changes, (self.world.now_us, False)):
            if apart and since_us is None:
                since_us = at_us
            elif not apart and since_us is not None:
                if at_us > since_us:
                    yield since_us, at_us
                since_us = None

    def reigns(self, name: str) -> Iterator[tuple[int, int]]:
        """When a member was MASTER."""
        began: int | None = None
        for transition in self.transitions(name):
            if transition.state is State.MASTER:
                began = transition.at_us
            elif began is not None:
                yield began, transition.at_us
                began = None
        if began is not None:
            yield began, self.world.now_us


class Site:
    """Nodes a, b, ... on *lans* LANs; those later in the alphabet have the greater addresses."""

    def __init__(self, path: ReceivePath = ReceivePath.OFF, *, lans: int = 2, names: str = "ab") -> None:
        self.world = World(path=path)
        self.nodes = {name: Node(self.world, name, number, lans) for number, name in enumerate(names, 1)}

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    @property
    def now_s(self) -> float:
        return self.world.now_us / S

    def run(self, until_s: float) -> None:
        """Let time pass until then."""
        self.world.run(round(until_s * S))

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.world.now_us + round(seconds * S))

    def pair(self, first: Sequence[int] = (150, 150), second: Sequence[int] = (100, 100), **more: Any) -> None:
        """Run groups of these priorities on a and b, until a serves."""
        self["a"].run(*first, **more)
        self["b"].run(*second, **more)
        self.rest(10)
        assert self["a"].is_master()
        assert set(self["b"].states) == {State.BACKUP}
