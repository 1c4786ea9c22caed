"""Groups to instances: who is elected how, which family each instance serves, and what its block says."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from pyvrrp.config.model import VrrpInstance
from pyvrrp.config.openshift import variables as names
from pyvrrp.config.openshift.facts import FamilyPair, NodeFacts, PodGroup
from pyvrrp.config.openshift.groups import DRAWS, Draw, Election, arrange, elect, is_router_id, router_ids, split
from pyvrrp.config.openshift.legacy import COUNT_MAX, expand
from pyvrrp.config.openshift.reach import Reach
from pyvrrp.config.openshift.rendering import InstanceText
from pyvrrp.config.openshift.settings import Settings
from pyvrrp.config.openshift.variables import Remarks, Switches, Variables
from pyvrrp.config.openshift.vips import old_addresses, read_addresses, summary
from pyvrrp.protocol.constants import PRIORITY_DEFAULT, PRIORITY_OWNER, IPAddress


@dataclass(frozen=True, slots=True)
class Plan:
    """What there will be: the groups, their instances as text, and which of these belong together."""

    groups: tuple[PodGroup, ...] = ()
    instances: tuple[InstanceText, ...] = ()
    pairs: tuple[FamilyPair, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """
    What a plan is made for.

    Attributes:
        interface: Its name.
        address: The node's own, which advertisements come from; None without one.
        slot: The node's place in the election.
        check_name: Check that the instances track, None for none.
        notify: Their notify command, empty for none.
    """

    settings: Settings
    switches: Switches
    reach: Reach
    interface: str
    address: IPAddress | None
    slot: int
    check_name: str | None
    notify: str
    draw: Draw

    def elect(self, number: int) -> Election:
        """How a group stands here."""
        settings = self.settings
        return elect(number, self.slot, settings.replicas, nopreempt=settings.nopreempt, draw=self.draw)

    def instance(self, name: str, group: PodGroup, state: str, addresses: Sequence[str], version: int) -> InstanceText:
        """One instance of a group, as its block says it; *version* is 0 where nobody looks at the family."""
        settings = self.settings
        vain = state == "MASTER" and settings.vain_where_master and not self.switches.exact
        return InstanceText(
            name=name,
            interface=self.interface,
            state=state,
            vrid=group.vrid,
            priority=group.priority,
            preemption="" if vain else settings.preemption,
            password=None if version == 6 else settings.password,
            check_name=self.check_name,
            notify=self.notify,
            sources=self.reach.sources[version or 4],
            peers=self.reach.peers[version or 4],
            addresses=tuple(addresses),
        )


def always_the_same(facts: NodeFacts, address: IPAddress | None) -> Draw:
    """A draw that a restart does not change, and that differs from node to node and from group to group."""
    who = facts.hostname if address is None else str(address)
    return lambda number: zlib.crc32(f"{who}/{number}".encode()) % DRAWS


def plan_exactly(variables: Variables, node: Node, remarks: Remarks) -> Plan:
    """What the old image would write, whatever becomes of it."""
    addresses = list(islice(expand(variables[names.VIRTUAL_IPS]), COUNT_MAX + 1))
    if len(addresses) > COUNT_MAX:
        remarks.insist(names.VIRTUAL_IPS, f"more than {COUNT_MAX} addresses; the rest of the list is not served")
    settings = node.settings
    groups: list[PodGroup] = []
    instances: list[InstanceText] = []
    ids = router_ids(settings.offset, settings.excluded)
    for number, members in enumerate(split(addresses[:COUNT_MAX], settings.wanted_groups), 1):
        election = node.elect(number)
        group = PodGroup(number, next(ids), election.priority, election.preferred, election.drawn, tuple(members))
        state = "MASTER" if election.state_master else ""
        name = f"{settings.scrubbed}_VIP_{number}"
        instances.append(node.instance(name, group, state, group.addresses, 0))
        groups.append(group)
    return Plan(tuple(groups), tuple(instances))


def plan_mended(variables: Variables, node: Node, remarks: Remarks) -> Plan:
    """What is meant by the environment, with the numbers that the other nodes count on."""
    settings = node.settings
    value = variables[names.VIRTUAL_IPS]
    new = read_addresses(value, remarks)
    if not value.strip():
        remarks.mend(names.VIRTUAL_IPS, "there is no address: nothing is served")
    arranged = arrange(
        old_addresses(value), new, settings.wanted_groups, router_ids(settings.offset, settings.excluded)
    )
    groups: list[PodGroup] = []
    instances: list[InstanceText] = []
    pairs: list[FamilyPair] = []
    states: set[str] = set()
    drew_zero = False
    ids = router_ids(settings.offset, settings.excluded)
    for number, listed in enumerate(arranged, 1):
        vrid = next(ids)
        members = [address for address in listed if address != node.address]
        if len(members) < len(listed):
            remarks.lose(
                names.VIRTUAL_IPS,
                f"{node.address} is this node's own address and cannot be a virtual one: it would go with a failover",
            )
        if not members:
            continue
        election = node.elect(number)
        drew_zero = drew_zero or not election.priority
        group = PodGroup(
            number=number,
            vrid=vrid,
            priority=_priority(election, node.switches),
            preferred=election.preferred,
            drawn=election.drawn,
            addresses=tuple(map(str, members)),
        )
        groups.append(group)
        if not is_router_id(vrid):
            continue
        states.add(state := _state(election, node.switches))
        name = f"{settings.scrubbed}_VIP_{number}"
        first, second = _families(members, node.reach.leads)
        instances.append(node.instance(name, group, state, list(map(str, first)), first[0].version))
        if second:
            version = second[0].version
            other = f"{name}_IPv{version}"
            instances.append(node.instance(other, group, state, list(map(str, second)), version))
            pairs.append(FamilyPair(f"{name}_both", name, other))
    if drew_zero:
        remarks.note(names.REPLICA_COUNT, f"a priority came out as 0, which nobody may have; it is {PRIORITY_DEFAULT}")
    if "MASTER" in states and settings.vain_where_master and "preempt_delay" in settings.preemption:
        remarks.note(
            names.PREEMPTION,
            "has no effect in the groups that this node is preferred for: they start as MASTER",
            f"{names.DELAY_EVERYWHERE}=1 keeps the delay",
        )
    plan = Plan(tuple(groups), tuple(instances), tuple(pairs))
    _tell(plan, node, remarks)
    return plan


def _priority(election: Election, switches: Switches) -> int:
    if switches.never_owner:
        return min(election.priority or PRIORITY_DEFAULT, PRIORITY_OWNER - 1)
    return election.priority or PRIORITY_DEFAULT


def _state(election: Election, switches: Switches) -> str:
    if not election.state_master:
        return ""
    return "BACKUP" if switches.delay_everywhere else "MASTER"


def _families(members: Sequence[IPAddress], leads: int | None) -> tuple[list[IPAddress], list[IPAddress]]:
    """Those that an old pod serves, which are of one family, and the others."""
    versions = {address.version for address in members}
    version = leads if leads in versions else members[0].version
    return (
        [address for address in members if address.version == version],
        [address for address in members if address.version != version],
    )


_WIDE: Final = "0 to 254, and one id for each group"


def _tell(plan: Plan, node: Node, remarks: Remarks) -> None:
    beyond = [group for group in plan.groups if not is_router_id(group.vrid)]
    if beyond:
        lost = [address for group in beyond for address in group.addresses]
        ids = summary([group.vrid for group in beyond])
        remarks.lose(
            names.VRRP_ID_OFFSET, f"no virtual router can have id {ids}: {summary(lost)} cannot be served", _WIDE
        )
    if plan.pairs:
        first = {pair.first for pair in plan.pairs}
        mixed = [group.number for group in plan.groups if f"{node.settings.scrubbed}_VIP_{group.number}" in first]
        remarks.mend(
            names.VIP_GROUPS,
            f"both families in group {summary(mixed)}: two virtual routers with one id, which move together;"
            " beside a pod of the old image each is elected alone",
        )
    if any(group.priority == PRIORITY_OWNER for group in plan.groups):
        remarks.mend(
            names.NETWORK_INTERFACE,
            "the node's address ends in 0 or 128, or is missing: that gives priority 255, which tells the others that"
            " the virtual addresses are this node's own",
            f"{names.NEVER_OWNER}=1 makes it 254",
        )
    if node.reach.unicast:
        for version in sorted({6 if ":" in instance.addresses[0] else 4 for instance in plan.instances}):
            if node.reach.peers[version] is None and any(node.reach.peers.values()):
                remarks.mend(
                    names.UNICAST_PEERS, f"there is no peer for IPv{version}: its advertisements are multicast"
                )


def with_instances(plan: Plan, running: Mapping[str, VrrpInstance]) -> tuple[PodGroup, ...]:
    """The groups with their instances that can be run, and what the preemption setting has made of these."""
    names_of: dict[int, list[str]] = {}
    for instance in plan.instances:
        if instance.name in running:
            names_of.setdefault(instance.vrid, []).append(instance.name)
    found: list[PodGroup] = []
    for group in plan.groups:
        serving = names_of.get(group.vrid, [])
        if serving:
            first = running[serving[0]]
            group = replace(group, vrid=first.vrid, priority=first.priority, instances=tuple(serving))  # noqa: PLW2901
        found.append(group)
    return tuple(found)
