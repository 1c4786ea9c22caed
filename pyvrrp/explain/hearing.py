"""
Whether two nodes take each other's advertisements, and what else of theirs does not fit together.

The order and the rules are those of the receive checks (`protocol/receive.py`); what keepalived does otherwise is said.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeAlias

from pyvrrp.explain.routers import Member, Router
from pyvrrp.explain.wording import names, seconds
from pyvrrp.protocol.constants import PRIORITY_OWNER, Family

Priorities: TypeAlias = Callable[[Member], int | None]
"""What a node's priority is in some situation; None where it does not take part."""

_TTL: Final = 255


class Mismatch(enum.StrEnum):
    """Stable codes of what does not fit together."""

    MODE = "unicast-and-multicast"
    GROUP = "another-group"
    PEERS = "peers-not-symmetric"
    PEERS_UNKNOWN = "peers-unknown"
    TTL = "ttl"
    SAME_SOURCE = "same-source"
    VERSION = "another-version"
    AUTHENTICATION = "another-authentication"
    INTERVAL = "another-interval"
    INTERVAL_LEARNT = "interval-learnt"
    ADDRESSES = "another-address-list"
    CHECKSUM = "another-checksum"
    OWNERS = "two-owners"
    EQUAL = "equal-priorities"
    VRID = "another-vrid"
    ABSENT = "not-on-all-nodes"
    SOURCE_IS_VIRTUAL = "source-is-virtual"
    LINK_LOCAL = "link-local-first"
    NOT_RUN = "not-run"
    ALONE = "one-node-only"
    SYNC_GROUP = "sync-group-torn"
    STATES = "state-master-everywhere"
    TIMERS = "another-down-timer"


@dataclass(frozen=True, slots=True)
class Split:
    """
    Something that does not fit together.

    Attributes:
        code: Stable.
        nodes: Whose.
        text: What happens.
        hint: What to do, or empty.
        splits: Advertisements are not taken; else it is worth knowing.
        deaf: The node that alone does not hear the other; empty is both, or neither.
    """

    code: str
    nodes: tuple[str, ...]
    text: str
    hint: str = ""
    splits: bool = True
    deaf: str = ""

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "code": self.code,
            "nodes": list(self.nodes),
            "text": self.text,
            "hint": self.hint,
            "splits": self.splits,
            "deaf": self.deaf,
        }


def between(one: Member, two: Member) -> tuple[Split, ...]:
    """What does not fit together in two nodes of one virtual router."""
    return (*_deafness(one, two), *_deafness(two, one), *_common(one, two))


def apart(one: Member, two: Member, priorities: Priorities = Member.priority) -> bool:
    """Both would be MASTER: neither hears the other, or the one that would have to yield does not."""
    better = max(one, two, key=lambda member: priorities(member) or 0)
    return any(split.splits and split.deaf != better.node for split in between(one, two))


def of_router(router: Router) -> tuple[Split, ...]:
    """All that does not fit together in a virtual router, each once."""
    found: dict[Split, None] = {}
    for one, two in combinations(router.members, 2):
        found.update(dict.fromkeys(between(one, two)))
    found.update(dict.fromkeys(_all_masters(router)))
    return tuple(sorted(found, key=lambda split: not split.splits))


def _deafness(sender: Member, receiver: Member) -> Iterator[Split]:
    """Why *receiver* does not take what *sender* sends."""
    theirs, ours = sender.outlook.instance, receiver.outlook.instance
    nodes = (sender.node, receiver.node)
    if not theirs.unicast or not ours.unicast:
        return
    to = receiver.source
    if to is not None and to not in theirs.unicast_peers:
        text = f"{sender.node} does not send to {receiver.node}: {to} is not among its unicast_peer"
        yield Split(Mismatch.PEERS, nodes, text, f"{to} in unicast_peer of {sender.node}", deaf=receiver.node)
        return
    if to is None:
        text = (
            f"{receiver.node} names no unicast_src_ip: whether {sender.node} sends to it depends on the address that"
            f" its interface has; it must be one of {names(theirs.unicast_peers, 'or')}"
        )
        yield Split(Mismatch.PEERS_UNKNOWN, nodes, text, f"unicast_src_ip in {receiver.node}", splits=False)
    if ours.check_unicast_source and sender.source is not None and sender.source not in ours.unicast_peers:
        text = f"{receiver.node} drops what {sender.node} sends: {sender.source} is not one of its peers"
        hint = f"{sender.source} in unicast_peer of {receiver.node}"
        yield Split(Mismatch.PEERS, nodes, text, hint, deaf=receiver.node)
    if sender.source is not None and ours.unicast_ttl_bounds:
        bounds = dict(zip(ours.unicast_peers, ours.unicast_ttl_bounds, strict=False))
        least, most = bounds.get(sender.source, (0, _TTL))
        ttl = _TTL if theirs.unicast_ttl is None else theirs.unicast_ttl
        if ttl < least:
            text = f"{receiver.node} wants a TTL of {least}-{most} from {sender.node}, which sends {ttl}"
            yield Split(Mismatch.TTL, nodes, text, "unicast_ttl, or other bounds", deaf=receiver.node)


def _common(one: Member, two: Member) -> Iterator[Split]:
    first, second = one.outlook.instance, two.outlook.instance
    nodes, both = (one.node, two.node), f"{one.node} and {two.node}"
    if first.unicast != second.unicast:
        alone, group = (one, two) if first.unicast else (two, one)
        text = f"{alone.node} speaks to its peers and {group.node} to the multicast group: neither takes the other's"
        yield Split(Mismatch.MODE, nodes, text, "unicast_peer on both, or on none")
    elif not first.unicast and first.group != second.group:
        mine, theirs = (each.group or Family(one.outlook.family).group for each in (first, second))
        text = f"{one.node} speaks to the group {mine} and {two.node} to {theirs}"
        yield Split(Mismatch.GROUP, nodes, text, "one mcast_dst_ip or vrrp_mcast_group")
    if one.source is not None and one.source == two.source:
        text = f"{both} both speak from {one.source}: each takes the other's advertisements for its own"
        yield Split(Mismatch.SAME_SOURCE, nodes, text, "each node's own address")
    if first.version != second.version:
        text = f"{one.node} speaks VRRPv{first.version} and {two.node} VRRPv{second.version}: each drops the other's"
        yield Split(Mismatch.VERSION, nodes, text, "one version on both")
        return
    if first.version == 2:
        yield from _passwords(one, two)
    yield from _intervals(one, two)
    yield from _addresses(one, two)
    checksums = {first.checksum_without_pseudo_header, second.checksum_without_pseudo_header}
    if first.version == 3 and one.outlook.family is Family.V4 and len(checksums) > 1:
        text = f"{both} send different IPv4 checksums (v3_checksum_as_v2); pyvrrp takes both, other daemons one"
        yield Split(Mismatch.CHECKSUM, nodes, text, "v3_checksum_as_v2 on both, or on none", splits=False)
    if first.down_timer_adverts != second.down_timer_adverts:
        counts = f"{first.down_timer_adverts} and {second.down_timer_adverts}"
        text = f"{both} wait for {counts} advertisements: not the priority alone decides who is first"
        yield Split(Mismatch.TIMERS, nodes, text, splits=False)
    if first.priority == second.priority == PRIORITY_OWNER:
        text = f"{both} both say that they own the addresses (priority 255): both are MASTER until one hears the other"
        yield Split(Mismatch.OWNERS, nodes, text, "at most one node has 255", splits=False)
    elif (priority := one.priority()) is not None and priority == two.priority():
        text = f"{both} have the same priority, {priority}: whoever is MASTER first stays it"
        yield Split(Mismatch.EQUAL, nodes, text, "different priorities, unless that is meant", splits=False)
    for speaker, other in ((one, two), (two, one)):
        virtual = {line.address.ip for line in other.outlook.instance.virtual_addresses}
        if speaker.source in virtual and speaker.outlook.instance.priority != PRIORITY_OWNER:
            text = f"{speaker.node} speaks from {speaker.source}, which is a virtual address on {other.node}"
            yield Split(Mismatch.SOURCE_IS_VIRTUAL, nodes, text, splits=False)


def _passwords(one: Member, two: Member) -> Iterator[Split]:
    first, second = one.outlook.instance.authentication, two.outlook.instance.authentication
    kinds = ["none" if each is None else each.auth_type for each in (first, second)]
    if first == second:
        return
    text = f"{one.node} has authentication {kinds[0]} and {two.node} {kinds[1]}: each drops the other's"
    if kinds[0] == kinds[1]:
        text = f"{one.node} and {two.node} have different passwords (auth_pass): each drops the other's advertisements"
    yield Split(Mismatch.AUTHENTICATION, (one.node, two.node), text, "one authentication on both")


def _intervals(one: Member, two: Member) -> Iterator[Split]:
    first, second = one.outlook.instance, two.outlook.instance
    mine, theirs = seconds(first.advertisement_interval_us), seconds(second.advertisement_interval_us)
    if mine == theirs:
        return
    nodes = (one.node, two.node)
    text = f"{one.node} advertises every {mine} and {two.node} every {theirs}"
    if first.version == 2:
        text = f"{text}: VRRPv2 drops what has another interval (RFC 3768 7.1)"
        yield Split(Mismatch.INTERVAL, nodes, text, "one advert_int on both")
    else:
        text = f"{text}: a BACKUP learns the MASTER's, so how long a failure lasts depends on who is MASTER"
        yield Split(Mismatch.INTERVAL_LEARNT, nodes, text, "one advert_int on both", splits=False)


def _addresses(one: Member, two: Member) -> Iterator[Split]:
    first, second = one.outlook.instance, two.outlook.instance
    mine = [line.address.ip for line in first.virtual_addresses]
    theirs = [line.address.ip for line in second.virtual_addresses]
    nodes = (one.node, two.node)
    if set(mine) != set(theirs):
        parts = [
            f"{names(str(each) for each in sorted(extra, key=int))} on {node} alone"
            for node, extra in ((one.node, set(mine) - set(theirs)), (two.node, set(theirs) - set(mine)))
            if extra
        ]
        drop = "; keepalived 2.2.7 drops such advertisements, and two MASTERs come of it"
        text = f"other virtual addresses: {', '.join(parts)}; it is not served while the other node is MASTER{drop}"
        yield Split(Mismatch.ADDRESSES, nodes, text, "one list on all nodes", splits=False)
    if one.outlook.family is Family.V6 and mine and theirs and mine[0].is_link_local != theirs[0].is_link_local:
        strict, loose = (one, two) if mine[0].is_link_local else (two, one)
        text = (
            f"the list of {loose.node} does not begin with a link-local address and that of {strict.node} does:"
            f" {strict.node} drops it (erratum 8300)"
        )
        yield Split(Mismatch.LINK_LOCAL, nodes, text, "the same first address on all nodes")


def _all_masters(router: Router) -> Iterator[Split]:
    masters = [member for member in router.members if member.outlook.instance.state == "MASTER"]
    plain = [member for member in masters if member.outlook.instance.priority != PRIORITY_OWNER]
    if len(masters) > 1 and plain:
        said = names(member.node for member in masters)
        text = (
            f"{said} all say state MASTER: the priority decides, but nopreempt and preempt_delay work on none of them"
        )
        yield Split(Mismatch.STATES, tuple(member.node for member in masters), text, "state BACKUP", splits=False)
