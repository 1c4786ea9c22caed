"""Stories made at random for two nodes with a sync group: whatever happens, what belongs together stays together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pyvrrp.engine.commands import ClearFault, Drain, RaiseFault, Resume, SetPriority
from pyvrrp.net.system import ReceivePath
from pyvrrp.protocol.states import State
from tests.engine.sites import Node, S, Site

APART_S = 5.0
"""Five intervals: who joins a group that serves waits one Master_Down_Interval for whoever else may serve."""

QUIET_S = 60.0
"""Groups that are each better than the other in another member wait a little longer each time they disagree."""

# Not made smaller when one fails: each takes a quarter of a second.
STORIES = hypothesis_settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Step:
    """Wait, then do that to a member of a node."""

    wait_us: int
    what: str
    node: str
    member: int
    priority: int


PEACEFUL = ("priority", "fault", "clear", "down", "up", "leave", "join", "shrink", "drain", "resume")
ROUGH = (*PEACEFUL, "freeze", "thaw", "cut", "mend", "pull", "plug", "loss")


def steps(words: tuple[str, ...]) -> st.SearchStrategy[list[Step]]:
    return st.lists(
        st.builds(
            Step,
            st.sampled_from([0, 1, 10_000, 330_000, S, 3 * S, 4 * S, 15 * S]),
            st.sampled_from(words),
            st.sampled_from("ab"),
            st.integers(1, 3),
            st.integers(1, 254),
        ),
        max_size=20,
    )


class Story:
    """Two nodes, and what happens to them."""

    def __init__(self, priorities: dict[str, list[int]], path: ReceivePath, delay_us: int) -> None:
        self.site = Site(path, lans=len(priorities["a"]))
        self.site.world.delay_us = delay_us
        self.priorities = priorities
        for name in priorities:
            self._join(name)

    def _join(self, name: str, members: int | None = None) -> None:
        self.site[name].run(*self.priorities[name][:members])

    def take(self, step: Step) -> None:
        self.site.rest(step.wait_us / S)
        node, world = self.site[step.node], self.site.world
        lan = 1 + step.member % len(self.priorities[step.node])
        name = f"V{lan}"
        actions: dict[str, Callable[[], object]] = {
            "priority": lambda: node.command(SetPriority(name, step.priority)),
            "fault": lambda: node.command(RaiseFault(name, "x", "x failed")),
            "clear": lambda: node.command(ClearFault(name, "x")),
            "down": lambda: node.kernel.set_link(f"eth{lan - 1}", up=False),
            "up": lambda: node.kernel.set_link(f"eth{lan - 1}", up=True),
            "leave": node.run,
            "join": lambda: self._join(step.node),
            "shrink": lambda: self._join(step.node, lan),
            "drain": lambda: node.command(Drain(name)),
            "resume": lambda: node.command(Resume(name)),
            "freeze": lambda: world.freeze(step.node),
            "thaw": lambda: world.thaw(step.node),
            "cut": lambda: world.cut(step.node),
            "mend": lambda: world.mend(step.node),
            "pull": lambda: node.pull(lan),
            "plug": lambda: node.plug_in(lan),
            "loss": lambda: setattr(world, "loss", (step.priority % 4) / 5),
        }
        actions[step.what]()

    def mend_all(self) -> None:
        """All faults are over, everybody takes part."""
        world = self.site.world
        world.loss = 0
        for name, node in self.site.nodes.items():
            world.mend(name)
            world.thaw(name)
            self._join(name)
            node.command(Resume(None))
            for number, priority in enumerate(self.priorities[name], 1):
                node.plug_in(number)
                node.kernel.set_link(f"eth{number - 1}", up=True)
                node.command(ClearFault(f"V{number}", "x"), SetPriority(f"V{number}", priority))

    def check_quiet(self) -> None:
        """One node serves all, the other nothing; if one is better in all members, it is that."""
        a, b = self.site["a"], self.site["b"]
        masters = [node.name for node in (a, b) if node.is_master()]
        assert len(masters) == 1, (a.states, b.states)
        (other,) = (node for node in (a, b) if node.name not in masters)
        assert set(other.states) == {State.BACKUP}
        pairs = list(zip(self.priorities["a"], self.priorities["b"], strict=True))
        if all(one > two for one, two in pairs):
            assert masters == ["a"]
        if all(one < two for one, two in pairs):  # where they are equal, who serves serves on
            assert masters == ["b"]

    def longest_apart_s(self, node: Node) -> float:
        return max((ended - began for began, ended in node.parted()), default=0) / S


def priorities() -> st.SearchStrategy[dict[str, list[int]]]:
    values = st.sampled_from([1, 50, 100, 101, 200, 254])
    return st.integers(2, 3).flatmap(
        lambda count: st.fixed_dictionaries({name: st.lists(values, min_size=count, max_size=count) for name in "ab"})
    )


def told_to_its_end(chosen: dict[str, list[int]], path: ReceivePath, delay_us: int, happenings: list[Step]) -> Story:
    """A story after all its happenings, with everything mended, once it is quiet."""
    story = Story(chosen, path, delay_us)
    for step in happenings:
        story.take(step)
    story.mend_all()
    story.site.rest(QUIET_S)
    story.check_quiet()
    return story


@STORIES
@given(priorities(), st.sampled_from(list(ReceivePath)), st.sampled_from([0, 100, 20_000]), steps(ROUGH))
def test_when_it_is_quiet_one_node_serves_all(
    chosen: dict[str, list[int]], path: ReceivePath, delay_us: int, happenings: list[Step]
) -> None:
    story = told_to_its_end(chosen, path, delay_us, happenings)
    before = [node.moves() for node in story.site.nodes.values()]
    story.site.rest(QUIET_S / 2)
    assert [node.moves() for node in story.site.nodes.values()] == before
    for node in story.site.nodes.values():
        assert story.longest_apart_s(node) <= APART_S
        assert not node.group().parted


@STORIES
@given(priorities(), st.sampled_from(list(ReceivePath)), st.sampled_from([0, 100, 20_000]), steps(PEACEFUL))
def test_without_loss_two_nodes_never_serve_for_long(
    chosen: dict[str, list[int]], path: ReceivePath, delay_us: int, happenings: list[Step]
) -> None:
    """Until one hears the other: a delivery and an answer; a handover serves on for as long, and a moment more."""
    story = told_to_its_end(chosen, path, delay_us, happenings)
    a, b = story.site["a"], story.site["b"]
    for name in a.engine._runners:
        for began, ended in a.reigns(name):
            for began_too, ended_too in b.reigns(name):
                assert min(ended, ended_too) - max(began, began_too) <= 2 * delay_us + 10_000
    for node in (a, b):
        assert story.longest_apart_s(node) <= APART_S
