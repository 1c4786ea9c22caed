"""All nodes together: each virtual router's election and what could split it, and what concerns several of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from pyvrrp.explain.election import Election, elect, idle_weights
from pyvrrp.explain.hearing import Mismatch, Split, of_router
from pyvrrp.explain.routers import Member, Node, Router, routers_of
from pyvrrp.explain.wording import family_name, names
from pyvrrp.protocol.constants import IPAddress


@dataclass(frozen=True, slots=True)
class RouterReport:
    """One virtual router: who wins, who is next, and what could split it."""

    election: Election
    splits: tuple[Split, ...]


@dataclass(frozen=True, slots=True)
class Cluster:
    """
    What several files come to.

    Attributes:
        nodes: In the order of the files.
        routers: By VRID and family, in the order in which they are defined.
        splits: What concerns more than one virtual router.
    """

    nodes: tuple[Node, ...]
    routers: tuple[RouterReport, ...]
    splits: tuple[Split, ...]


def cluster_of(nodes: Sequence[Node]) -> Cluster:
    """Explain the nodes together."""
    routers = routers_of(nodes)
    reports = tuple(
        RouterReport(elect(router), (*of_router(router), *idle_weights(router), *_of_presence(router, nodes)))
        for router in routers
    )
    return Cluster(tuple(nodes), reports, (*_of_files(nodes), *_of_addresses(routers), *_of_groups(reports)))


def _of_presence(router: Router, nodes: Sequence[Node]) -> Iterator[Split]:
    there = {member.node for member in router.members}
    absent = [node for node in nodes if node.name not in there]
    if absent:
        where = f"VRID {router.vrid} of {family_name(router.family)}"
        others = [
            f"{node.name} has it for {family_name(outlook.family)}"
            for node in absent
            for outlook in node.outlooks
            if outlook.instance.vrid == router.vrid and outlook.family is not router.family
        ]
        text = f"{names(node.name for node in absent)} {'does' if len(absent) == 1 else 'do'} not know {where}"
        if len(there) == 1:
            text += f": nobody takes over from {names(there)}"
        code = Mismatch.ALONE if len(there) == 1 else Mismatch.ABSENT
        yield Split(code, tuple(node.name for node in absent), text, "; ".join(others), splits=False)
    refused = [member for member in router.members if member.outlook.refused]
    if refused:
        text = (
            f"this release of pyvrrp does not run it on {names(member.node for member in refused)}, see pyvrrp check;"
            " what is said here is what would happen"
        )
        yield Split(Mismatch.NOT_RUN, tuple(member.node for member in refused), text, splits=False)


def _of_files(nodes: Sequence[Node]) -> Iterator[Split]:
    for node in nodes:
        if node.parsed.fatal:
            text = f"{node.name} starts nothing: {node.parsed.fatal[0]}"
            yield Split(Mismatch.NOT_RUN, (node.name,), text, "pyvrrp check", splits=False)
        elif not node.outlooks:
            text = f"{node.name} has no virtual router"
            yield Split(Mismatch.ABSENT, (node.name,), text, splits=False)


def _of_addresses(routers: Sequence[Router]) -> Iterator[Split]:
    """One address in two virtual routers of different nodes: two routers that do not hear each other."""
    holders: dict[IPAddress, list[tuple[Router, Member]]] = {}
    for router in routers:
        for member in router.members:
            for line in member.outlook.instance.virtual_addresses:
                holders.setdefault(line.address.ip, []).append((router, member))
    found: dict[tuple[str, int, str, int], list[IPAddress]] = {}
    for address, held in holders.items():
        for (one, first), (two, second) in combinations(held, 2):
            if one is not two and first.node != second.node:
                found.setdefault((first.node, one.vrid, second.node, two.vrid), []).append(address)
    for (node, vrid, other, another), addresses in found.items():
        vrids = f"VRID {vrid}, on {other} of VRID {another}"
        text = f"{names(addresses)}: on {node} of {vrids}; these do not hear each other, so both nodes have it at once"
        yield Split(Mismatch.VRID, (node, other), text, "one virtual_router_id on all nodes")


def _of_groups(reports: Sequence[RouterReport]) -> Iterator[Split]:
    """Members of a sync group whose elections are won by different nodes."""
    for one, two in combinations(reports, 2):
        first, second = (
            {(member.node, member.outlook.group) for member in report.election.router.members if member.outlook.group}
            for report in (one, two)
        )
        together = sorted(first & second)
        masters = one.election.normal.masters, two.election.normal.masters
        if len(together) > 1 and masters[0] != masters[1] and all(map(len, masters)):
            vrids = f"VRID {one.election.router.vrid} and VRID {two.election.router.vrid}"
            text = (
                f"{vrids} move together in sync group {together[0][1]}, yet {names(masters[0])} wins the one and"
                f" {names(masters[1])} the other: the group is MASTER nowhere, or goes back and forth"
            )
            hint = "the same order of priorities in all members"
            yield Split(Mismatch.SYNC_GROUP, tuple(dict.fromkeys(node for node, _group in together)), text, hint)
