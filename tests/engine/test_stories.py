"""Stories made at random on the LAN in memory: whatever happened, once it is quiet there is one MASTER, the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pyvrrp.engine.commands import ClearFault, RaiseFault, SetPriority
from pyvrrp.protocol.states import State
from tests.engine.worlds import INTERVAL_US, VIP, SimulatedHost, SimulatedLan, settings

QUIET_S = 4.0
"""Forty intervals: a fault that ends, a whole Master_Down_Interval, another one of doubt, and some to spare."""

STORIES = hypothesis_settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@dataclass(frozen=True)
class Step:
    """Wait, then do that to a host."""

    wait_us: int
    what: str
    host: int
    number: int


PEACEFUL = ("priority", "fault", "clear", "delete", "down", "up", "leave", "join", "readdress")
ROUGH = (*PEACEFUL, "freeze", "thaw", "cut", "mend", "partition", "heal", "loss")


def steps(words: tuple[str, ...]) -> st.SearchStrategy[list[Step]]:
    return st.lists(
        st.builds(
            Step,
            st.sampled_from([0, 1, 10_000, 33_000, INTERVAL_US, 3 * INTERVAL_US, 4 * INTERVAL_US, 1_500_000]),
            st.sampled_from(words),
            st.integers(0, 3),
            st.integers(1, 254),
        ),
        max_size=25,
    )


class Story:
    """Two to four routers and what happens to them."""

    def __init__(self, priorities: list[int], delay_us: int) -> None:
        self.lan = SimulatedLan()
        self.lan.world.delay_us = delay_us
        self.priorities = list(priorities)
        self.hosts = [self.lan.host(f"r{n}", f"192.0.2.{n}/24") for n in range(1, len(priorities) + 1)]
        for number, host in enumerate(self.hosts):
            self._join(number, host)

    def _join(self, number: int, host: SimulatedHost) -> None:
        host.configure(settings(priority=self.priorities[number]))

    def take(self, step: Step) -> None:
        self.lan.rest(step.wait_us / 1e6)
        number = step.host % len(self.hosts)
        host = self.hosts[number]
        actions: dict[str, Callable[[], object]] = {
            "priority": lambda: self._prioritise(number, step.number),
            "fault": lambda: host.command(RaiseFault("VI_1", "x", "x")),
            "clear": lambda: host.command(ClearFault("VI_1", "x")),
            "delete": lambda: host.delete_address(VIP),
            "down": lambda: host.set_link(up=False),
            "up": lambda: host.set_link(up=True),
            "leave": host.configure,
            "join": lambda: self._join(number, host),
            "readdress": lambda: self._readdress(host, step.number),
            "freeze": lambda: self.lan.world.freeze(host.name),
            "thaw": lambda: self.lan.world.thaw(host.name),
            "cut": lambda: self.lan.world.cut(host.name),
            "mend": lambda: self.lan.world.mend(host.name),
            "partition": lambda: self.lan.world.partition([one.name for one in self.hosts[: number + 1]]),
            "heal": self.lan.world.partition,
            "loss": lambda: setattr(self.lan.world, "loss", (step.number % 5) / 5),
        }
        actions[step.what]()

    def _prioritise(self, number: int, priority: int) -> None:
        self.priorities[number] = priority
        self.hosts[number].command(SetPriority("VI_1", priority))

    def _readdress(self, host: SimulatedHost, last: int) -> None:
        # An address of its own: hosts have 1-4, these are 10 apart.
        address = f"192.0.{2 + int(host.name[1:])}.{last}/24"
        for old in [text for text in host.addresses() if text != VIP]:
            host.delete_address(old)
        host.add_address(address)

    def mend_all(self) -> None:
        """All faults are over, everybody takes part."""
        world = self.lan.world
        world.loss = 0
        world.partition()
        for number, host in enumerate(self.hosts):
            world.mend(host.name)
            host.set_link(up=True)
            host.command(ClearFault("VI_1", "x"))
            self._join(number, host)
            host.command(SetPriority("VI_1", self.priorities[number]))
            world.thaw(host.name)

    def check_quiet(self) -> None:
        """One MASTER, of the highest priority, and the address there and nowhere else."""
        masters = [number for number, host in enumerate(self.hosts) if host.state() is State.MASTER]
        assert len(masters) == 1
        assert self.priorities[masters[0]] == max(self.priorities)
        assert [VIP in host.addresses() for host in self.hosts] == [n in masters for n in range(len(self.hosts))]
        assert {host.state() for host in self.hosts} == {State.MASTER, State.BACKUP}

    def reigns(self, host: SimulatedHost) -> Iterator[tuple[int, int]]:
        """When it was MASTER."""
        began: int | None = None
        for transition in host.transitions():
            if transition.state is State.MASTER:
                began = transition.at_us
            elif began is not None:
                yield began, transition.at_us
                began = None
        if began is not None:
            yield began, self.lan.world.now_us


@STORIES
@given(
    priorities=st.lists(st.sampled_from([1, 50, 100, 101, 200, 254]), min_size=2, max_size=4),
    delay_us=st.sampled_from([0, 100, 20_000]),
    happenings=steps(ROUGH),
)
def test_when_it_is_quiet_the_best_one_serves(priorities: list[int], delay_us: int, happenings: list[Step]) -> None:
    story = Story(priorities, delay_us)
    for step in happenings:
        story.take(step)
    story.mend_all()
    story.lan.rest(QUIET_S)
    story.check_quiet()
    before = [host.moves() for host in story.hosts]
    for host in story.hosts:
        host.forget()
    story.lan.rest(1)
    story.check_quiet()
    assert [host.moves() for host in story.hosts] == before
    assert sorted(len(host.sent()) for host in story.hosts)[:-1] == [0] * (len(story.hosts) - 1)


@STORIES
@given(
    priorities=st.lists(st.integers(1, 254), min_size=2, max_size=4),
    delay_us=st.sampled_from([0, 100, 5_000, 20_000]),
    happenings=steps(PEACEFUL),
)
def test_without_loss_two_are_never_master_for_long(
    priorities: list[int], delay_us: int, happenings: list[Step]
) -> None:
    """Until the one hears the other: a delivery, and its answer where the better one had not said its priority yet."""
    story = Story(priorities, delay_us)
    story.lan.rest(1)
    for step in happenings:
        story.take(step)
    story.mend_all()
    story.lan.rest(QUIET_S)
    story.check_quiet()
    for one, other in combinations(story.hosts, 2):
        for began, ended in story.reigns(one):
            for began_too, ended_too in story.reigns(other):
                assert min(ended, ended_too) - max(began, began_too) <= 2 * delay_us


@STORIES
@given(happenings=steps(ROUGH), priority=st.integers(1, 254))
def test_a_story_repeats_itself(happenings: list[Step], priority: int) -> None:
    stories = [Story([priority, 100], 100) for _ in range(2)]
    for story in stories:
        for step in happenings[:8]:
            story.take(step)
        story.lan.rest(0.5)
    first, second = stories
    assert first.lan.world.journal == second.lan.world.journal
