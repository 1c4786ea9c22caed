"""Several files, one for each node: which of their instances are the same virtual router."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from pyvrrp.config.complaints import Parsed
from pyvrrp.explain.outlook import Outlook, outlooks
from pyvrrp.explain.traps import Warned, traps
from pyvrrp.explain.watches import Key
from pyvrrp.protocol.constants import Family, IPAddress


@dataclass(frozen=True, slots=True)
class Node:
    """
    One file and what it comes to.

    Attributes:
        name: Short, different from all others'.
        file: As it was named.
    """

    name: str
    file: str
    parsed: Parsed
    outlooks: tuple[Outlook, ...]
    traps: tuple[Warned, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """One node's part in a virtual router."""

    node: str
    outlook: Outlook

    @property
    def source(self) -> IPAddress | None:
        """The address that it speaks from, None where the file does not say."""
        return self.outlook.instance.source

    def priority(self, wrong: frozenset[Key] = frozenset()) -> int | None:
        """Effective priority when these things are wrong; None is FAULT."""
        return self.outlook.priority_when(wrong)


@dataclass(frozen=True, slots=True)
class Router:
    """A virtual router and the nodes that take part in it, in the order of the files."""

    vrid: int
    family: Family
    members: tuple[Member, ...]

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """The virtual addresses that any of them advertises, each once."""
        lines = [line for member in self.members for line in member.outlook.instance.virtual_addresses]
        return tuple(dict.fromkeys(line.address.ip for line in lines))


def nodes_of(files: Sequence[tuple[str, str, Parsed]]) -> tuple[Node, ...]:
    """
    The nodes that some files are for.

    Args:
        files: Of each a name that somebody gave the node, else empty; the file's name; what was read.
    """
    given = [name for name, _file, _parsed in files]
    names = given if all(given) else _names([(file, parsed) for _name, file, parsed in files])
    found: list[Node] = []
    for name, (_given, file, parsed) in zip(names, files, strict=True):
        looks = outlooks(parsed)
        found.append(Node(name, file, parsed, looks, traps(parsed, looks)))
    return tuple(found)


def _names(files: Sequence[tuple[str, Parsed]]) -> list[str]:
    """The file's name where that is another one for each, else router_id, the directory, or the whole path."""
    paths = [PurePath(file) for file, _parsed in files]
    choices = (
        [path.stem for path in paths],
        [parsed.everything.globals.router_id or "" for _file, parsed in files],
        [path.parent.name for path in paths],
        [str(path) for path in paths],
    )
    for names in choices:
        if all(names) and len(set(names)) == len(names):
            return list(names)
    return [f"{number}:{path}" for number, path in enumerate(paths, 1)]  # one file, named twice


def routers_of(nodes: Sequence[Node]) -> tuple[Router, ...]:
    """
    The virtual routers of all nodes, by VRID and family.

    Where a node has several of one VRID and family, on different links, those belong together that share addresses,
    else an interface's name, else their own name.
    """
    found: dict[tuple[Family, int], list[list[Member]]] = {}
    crowded = _crowded(nodes)
    for node in nodes:
        for outlook in node.outlooks:
            member = Member(node.name, outlook)
            key = (outlook.family, outlook.instance.vrid)
            groups = found.setdefault(key, [])
            home = max(groups, key=lambda group, new=member: _likeness(group, new), default=None)  # type: ignore[misc]
            least = (0, 0, 1) if crowded[key] else (0, 0, 0)
            if home is None or _likeness(home, member) < least:
                groups.append([member])
            else:
                home.append(member)
    return tuple(Router(vrid, family, tuple(group)) for (family, vrid), groups in found.items() for group in groups)


def _crowded(nodes: Sequence[Node]) -> Mapping[tuple[Family, int], bool]:
    found: dict[tuple[Family, int], bool] = {}
    for node in nodes:
        keys = [(outlook.family, outlook.instance.vrid) for outlook in node.outlooks]
        for key in keys:
            found[key] = found.get(key, False) or keys.count(key) > 1
    return found


def _likeness(group: Sequence[Member], new: Member) -> tuple[int, int, int]:
    """How much two have in common: addresses, interface, name; below all where the node is there already."""
    if any(member.node == new.node for member in group):
        return -1, 0, 0
    one, two = group[0].outlook.instance, new.outlook.instance
    mine = {line.address.ip for line in one.virtual_addresses}
    theirs = {line.address.ip for line in two.virtual_addresses}
    return len(mine & theirs), int(one.interface == two.interface), int(one.name == two.name)
