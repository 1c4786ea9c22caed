"""
What the OpenShift ipfailover pod would do on a node: its environment and the node, worked out. Pure.

A priority may have a random part, drawn at each start; here it is a span. What else is shown of the configuration is as
it comes out with one of the numbers that could be drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pyvrrp.config.complaints import Parsed
from pyvrrp.config.model import Configuration, VrrpInstance
from pyvrrp.config.openshift import PATH, NodeFacts, PodConfiguration, PodGroup, read_environment
from pyvrrp.config.openshift import variables as names
from pyvrrp.config.openshift.groups import DRAWN_SLOTS, DRAWS
from pyvrrp.config.openshift.settings import read_settings
from pyvrrp.config.openshift.variables import Remarks, Variables
from pyvrrp.explain.diagnostics import Finding, findings_of
from pyvrrp.explain.outlook import Outlook, outlooks
from pyvrrp.protocol.constants import PRIORITY_DEFAULT, PRIORITY_OWNER


@dataclass(frozen=True, slots=True)
class Stand:
    """
    How a group stands in the election on this node.

    Attributes:
        least, greatest: The priority, or the numbers between which it is drawn; 0 stands for `PRIORITY_DEFAULT`.
        master: It starts as MASTER, which cancels a preemption delay.
    """

    group: PodGroup
    least: int
    greatest: int
    master: bool

    @property
    def random(self) -> bool:
        """Each start draws another number."""
        return self.least != self.greatest

    @property
    def priority(self) -> str:
        """In words."""
        if not self.random:
            return str(self.least)
        if not self.least:
            return f"1-{self.greatest} or {PRIORITY_DEFAULT}, drawn"
        return f"{self.least}-{self.greatest}, drawn"

    @property
    def served(self) -> bool:
        """There is an instance for it."""
        return bool(self.group.instances)

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "number": self.group.number,
            "vrid": self.group.vrid,
            "priority": {"least": self.least, "greatest": self.greatest, "random": self.random},
            "preferred": self.group.preferred,
            "begins_as_master": self.master,
            "served": self.served,
            "instances": list(self.group.instances),
            "addresses": list(self.group.addresses),
        }


@dataclass(frozen=True, slots=True)
class PodOutlook:
    """
    What the pod would do.

    Attributes:
        pod: As read, with one of the numbers that could be drawn.
        facts: The node.
        replicas: Number of nodes.
        stands: The groups, in order.
        kinds: Of each family that is served one virtual router, for what they have in common.
        preemptions: What is done about a MASTER of lower priority, and in which groups.
        findings: All that is said about the environment.
        values: The variables that are set, for findings to be shown in; none that a secret is made of.
    """

    pod: PodConfiguration
    facts: NodeFacts
    replicas: int
    stands: tuple[Stand, ...]
    kinds: tuple[Outlook, ...]
    preemptions: tuple[tuple[str, tuple[Stand, ...]], ...]
    findings: tuple[Finding, ...]
    values: Mapping[str, str]

    @property
    def starts(self) -> bool:
        """The pod starts with this environment."""
        return not self.pod.refusals

    @property
    def parsed(self) -> Parsed:
        """The effective configuration, to be explained like a file."""
        return _parsed(self.pod.configuration)

    @property
    def file(self) -> str:
        """Where the pod writes it."""
        return PATH


def pod_outlook(environment: Mapping[str, str], facts: NodeFacts) -> PodOutlook:
    """Work it out, whatever the environment."""
    pod = read_environment(environment, facts, lambda _: 1)  # drawn 0, a priority may be mended
    other = read_environment(environment, facts, lambda _: 2)
    instances = {instance.name: instance for instance in pod.configuration.instances}
    variables = Variables(environment)
    stands = tuple(
        _stand(one, another, pod.slot, instances) for one, another in zip(pod.groups, other.groups, strict=True)
    )
    return PodOutlook(
        pod=pod,
        facts=facts,
        replicas=read_settings(variables, Remarks()).replicas,
        stands=stands,
        kinds=_kinds(pod.configuration),
        preemptions=_preemptions(pod.configuration, stands, instances),
        findings=findings_of(Parsed(pod.configuration, pod.complaints)),
        values={
            name: value for name, value in environment.items() if name in names.DEFAULTS and name != names.CONFIG_NAME
        },
    )


def _stand(one: PodGroup, another: PodGroup, slot: int, instances: Mapping[str, VrrpInstance]) -> Stand:
    first = instances.get(one.instances[0]) if one.instances else None
    master = first is not None and first.state == "MASTER"
    if one.priority == another.priority:
        return Stand(one, one.priority, one.priority, master)
    least = slot % DRAWN_SLOTS
    return Stand(one, least, least + DRAWS - 1, master)


def _kinds(configuration: Configuration) -> tuple[Outlook, ...]:
    """One of each family: of hundreds of virtual routers all others are watched and sent alike."""
    firsts: dict[bool, VrrpInstance] = {}
    for instance in configuration.instances:
        firsts.setdefault(any(line.address.version == 6 for line in instance.virtual_addresses), instance)
    chosen = tuple(firsts.values())
    members = {instance.name for instance in chosen}
    groups = tuple(group for group in configuration.sync_groups if members.issuperset(group.members))
    return outlooks(_parsed(replace(configuration, instances=chosen, sync_groups=groups)))


def _preemptions(
    configuration: Configuration, stands: Iterable[Stand], instances: Mapping[str, VrrpInstance]
) -> tuple[tuple[str, tuple[Stand, ...]], ...]:
    alike: dict[tuple[bool, bool, int], list[Stand]] = {}
    for stand in stands:
        if stand.served:
            one = instances[stand.group.instances[0]]
            alike.setdefault((one.priority == PRIORITY_OWNER, one.preempt, one.preempt_delay_us), []).append(stand)
    found: list[tuple[str, tuple[Stand, ...]]] = []
    for members in alike.values():
        first = replace(configuration, instances=(instances[members[0].group.instances[0]],), sync_groups=())
        found.append((outlooks(_parsed(first))[0].preemption, tuple(members)))
    return tuple(found)


def _parsed(configuration: Configuration) -> Parsed:
    return Parsed(configuration, everything=configuration)


def numbers(stands: Iterable[Stand]) -> str:
    """Their numbers, runs of them as `3-7`."""
    runs: list[tuple[int, int]] = []
    for stand in stands:
        number = stand.group.number
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
