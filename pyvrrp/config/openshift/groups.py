"""
Addresses to groups, groups to virtual router ids and priorities: the formulas that the other nodes rely on.

Nothing here may change: two nodes elect a master by these numbers, one of them perhaps with the old image.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeVar

from pyvrrp.protocol.constants import PRIORITY_OWNER, VRID_MAX, VRID_MIN, IPAddress

SLOTS: Final = 128  # slots are the last octet modulo this
DRAWN_SLOTS: Final = 64  # the part of the slot that counts where a number is drawn
DRAWS: Final = 32  # a drawn number is below this

Draw = Callable[[int], int]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Election:
    """
    How a group stands in the election on this node.

    Attributes:
        priority: 0-255; 0 is for keepalived to mend.
        preferred: This node is meant to serve the group.
        drawn: A part of the priority is random.
        state_master: `state MASTER` is set, which cancels `preempt_delay` and `nopreempt`.
    """

    priority: int
    preferred: bool = False
    drawn: bool = False
    state_master: bool = False


def split(members: Sequence[_T], wanted: int) -> list[list[_T]]:
    """Cut into *wanted* groups, the first ones greater by one; not above 0 means one member each."""
    count = min(wanted, len(members)) if wanted > 0 else len(members)
    if not count:
        return []
    size, greater = divmod(len(members), count)
    begins = [number * size + min(number, greater) for number in range(count + 1)]
    return [list(members[begin:end]) for begin, end in pairwise(begins)]


def router_ids(offset: int, excluded: Collection[str]) -> Iterator[int]:
    """The ids of groups 1, 2, ...: excluded numbers are passed over, by this group and all later ones."""
    vrid = offset
    while True:
        vrid += 1
        while str(vrid) in excluded:
            vrid += 1
        yield vrid


def is_router_id(vrid: int) -> bool:
    """It can be sent."""
    return VRID_MIN <= vrid <= VRID_MAX


def arrange(
    old: Sequence[IPAddress | None], new: Sequence[IPAddress], wanted: int, ids: Iterator[int]
) -> list[list[IPAddress]]:
    """
    Put the addresses into groups so that both images agree wherever the old one was right.

    An address that the old image serves stays in its group there; the others take the places that this leaves, then new
    groups, then the smallest. If no address stays, they are split as the old image would split them.

    Args:
        old: The old image's list, None for what it cannot serve.
        new: The addresses to serve, each once.
        wanted: The number of groups asked for.
        ids: Virtual router ids of the groups; an address in a group without one may move to a better place.

    Returns:
        The members of group 1, 2, ...; a group may be empty.
    """
    places = split(range(len(old)), wanted)
    usable = [is_router_id(vrid) for _, vrid in zip(places, ids, strict=False)]
    wanted_set = set(new)
    home: dict[IPAddress, tuple[int, int]] = {}
    for number, indexes in enumerate(places):
        for index in indexes:
            address = old[index]
            if address in wanted_set and (address not in home or not usable[home[address][0]]):
                assert address is not None
                home[address] = (number, index)
    settled = {index: address for address, (number, index) in home.items() if usable[number]}
    if not settled:
        return split(new, wanted)
    taken = set(settled.values())
    free = [index for number, indexes in enumerate(places) if usable[number] for index in indexes]
    free = [index for index in free if index not in settled][::-1]
    left: list[IPAddress] = []
    for address in new:
        if address in taken:
            continue
        if free:
            settled[free.pop()] = address
        elif address in home:
            settled[home[address][1]] = address
        else:
            left.append(address)
    groups = [[settled[index] for index in indexes if index in settled] for indexes in places]
    for address in left:
        if wanted <= 0 or len(groups) < wanted:
            groups.append([address])
        else:
            min(groups, key=len).append(address)
    return groups


def slot_of(last_octet: int) -> int:
    """The node's place among the nodes."""
    return last_octet % SLOTS


def step_of(slot: int, replicas: int) -> int:
    """Every how many groups this node is preferred."""
    return slot % replicas + 1


def elect(number: int, slot: int, replicas: int, *, nopreempt: bool, draw: Draw) -> Election:
    """
    How group *number* (from 1) stands on the node in that slot.

    Args:
        number: The group.
        slot: See `slot_of`.
        replicas: Number of nodes, at least 1.
        nopreempt: The preemption setting is exactly that word.
        draw: A number from 0 to 31 for that group; asked only where the node is not preferred.
    """
    turn, rest = divmod(number, step_of(slot, replicas))
    if rest:
        return Election(slot % DRAWN_SLOTS + draw(number), drawn=True)
    if nopreempt:
        return Election(PRIORITY_OWNER - slot, preferred=True)
    priority = PRIORITY_OWNER - slot if turn % 2 else slot + 1
    return Election(priority, preferred=True, state_master=True)
