"""Interface, source address and peers: where the advertisements of this node go, and from where."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pyvrrp.config.complaints import shown
from pyvrrp.config.openshift import variables as names
from pyvrrp.config.openshift.facts import NodeFacts
from pyvrrp.config.openshift.variables import Remarks, Variables
from pyvrrp.config.openshift.vips import address_of
from pyvrrp.protocol.constants import IPAddress

OLD_INTERFACES: Final = ("enp0s3", "enp0s8", "eth1", "ens3")  # tried in this order when none is named

_SEPARATORS: Final = re.compile(r"[\s,;\uff0c\uff1b\u3001]+")  # with those of a Chinese keyboard
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Chosen:
    """
    The interface.

    Attributes:
        name: Empty if there is none.
        why: For people.
        waits_for: Named and absent, all of them; *name* is then empty.
    """

    name: str
    why: str
    waits_for: tuple[str, ...] = ()


def choose_interface(variables: Variables, facts: NodeFacts, remarks: Remarks) -> Chosen:
    """The first interface that exists: of those named, else of the old image's list, else that of the route."""
    named = tuple(variables[names.NETWORK_INTERFACE].split())
    variable = names.NETWORK_INTERFACE
    for name in named:
        if name in facts.addresses:
            return Chosen(name, variable)
    if named and not remarks.exact:
        remarks.mend(
            variable,
            f"{shown(' or '.join(named))} does not exist here: waiting for it, no other interface is taken",
            f"here are {', '.join(facts.addresses) or 'none'}",
        )
        return Chosen("", variable, named)
    for name in OLD_INTERFACES:
        if name in facts.addresses:
            return Chosen(name, "one of the old image's names")
    if facts.route_interface:
        return Chosen(facts.route_interface, "the route to 8.8.8.8")
    remarks.lose(variable, "there is no interface: none is named, and no route leads out", "name one")
    return Chosen("", "nothing")


@dataclass(frozen=True, slots=True)
class Reach:
    """
    Source and peers of the instances of each family (4 and 6).

    Attributes:
        sources: Lines of the file, each with its variable.
        peers: None for multicast.
        unicast: Peers were asked for.
        leads: Family that these lines give to an instance, whatever its addresses are; None leaves it to them.
    """

    sources: dict[int, tuple[tuple[str, str], ...]]
    peers: dict[int, tuple[str, ...] | None]
    unicast: bool
    leads: int | None = None


def read_reach(variables: Variables, own: Collection[IPAddress], remarks: Remarks) -> Reach:
    """
    Read sources and peers.

    Args:
        variables: The environment.
        own: All addresses of this node; they are no peers.
        remarks: Told what is mended.
    """
    given = variables[names.UNICAST_PEERS]
    if remarks.exact:
        sources = tuple(
            (f"{keyword} {variables[variable]}", variable)
            for keyword, variable in (
                ("mcast_src_ip", names.MULTICAST_SOURCE),
                ("unicast_src_ip", names.UNICAST_SOURCE),
            )
            if variables.given(variable)
        )
        peers = tuple(item.strip() for item in given.split(",") if item.strip()) if given else None
        return Reach({4: sources, 6: sources}, {4: peers, 6: peers}, bool(given))
    _tell_use_unicast(variables, remarks)
    found: dict[int, tuple[str, ...] | None] = _peers(given, own, remarks) if given else {4: None, 6: None}
    return Reach(_sources(variables, found, remarks), found, bool(given), _leads(variables))


def _leads(variables: Variables) -> int | None:
    """keepalived takes the family of the first address that it reads, and these stand before the virtual ones."""
    peers = _SEPARATORS.split(variables[names.UNICAST_PEERS])
    texts = (variables[names.MULTICAST_SOURCE].strip(), variables[names.UNICAST_SOURCE].strip(), *peers)
    return next((address.version for address in map(address_of, texts) if address is not None), None)


def _tell_use_unicast(variables: Variables, remarks: Remarks) -> None:
    text = variables[names.USE_UNICAST]
    word = text.strip().lower()
    peers = variables.given(names.UNICAST_PEERS)
    if word in _TRUE and not peers:
        hint = f"unicast needs {names.UNICAST_PEERS}"
        remarks.mend(names.USE_UNICAST, "changes nothing without peers: advertisements are multicast", hint)
    elif word in _FALSE and peers:
        hint = f"unset {names.UNICAST_PEERS} for multicast"
        remarks.mend(names.USE_UNICAST, "changes nothing: there are peers, so advertisements are unicast", hint)
    elif word and word not in _TRUE | _FALSE:
        remarks.note(names.USE_UNICAST, f"'{shown(text)}' changes nothing: peers alone decide")


def _peers(text: str, own: Collection[IPAddress], remarks: Remarks) -> dict[int, tuple[str, ...] | None]:
    variable = names.UNICAST_PEERS
    if any(len(_SEPARATORS.split(item.strip())) > 1 for item in text.split(",")):
        remarks.mend(variable, "commas separate peers; blanks and semicolons are read as such")
    found: dict[IPAddress, None] = {}
    for item in _SEPARATORS.split(text):
        address = address_of(item)
        if address is not None and not address.is_unspecified:
            found[address] = None
        elif item:
            remarks.lose(variable, f"'{shown(item)}' is no address and no peer")
    if not found:
        remarks.mend(variable, "no peer is left: advertisements are multicast")
    mine = [address for address in found if address in own]
    if mine:
        remarks.note(variable, f"{', '.join(map(str, mine))} is this node itself and left out")
    peers: dict[int, tuple[str, ...] | None] = {4: None, 6: None}
    for version in (4, 6):
        of_family = [address for address in found if address.version == version]
        others = [str(address) for address in of_family if address not in own]
        if of_family and not others:
            remarks.mend(variable, f"no other node is a peer for IPv{version}: nobody hears this one")
            others = [str(address) for address in of_family]  # without any it would be multicast
        peers[version] = tuple(others) or None
    return peers


def _sources(
    variables: Variables, peers: dict[int, tuple[str, ...] | None], remarks: Remarks
) -> dict[int, tuple[tuple[str, str], ...]]:
    """As with keepalived the one that comes last counts, whether advertisements are unicast or not."""
    chosen: dict[int, tuple[IPAddress, str]] = {}
    for variable in (names.MULTICAST_SOURCE, names.UNICAST_SOURCE):
        text = variables[variable].strip()
        if not text:
            continue
        address = address_of(text)
        if address is None or address.is_unspecified:
            remarks.lose(variable, f"'{shown(text)}' is no address and not used")
            continue
        before = chosen.get(address.version)
        if before is not None and before[0] != address:
            remarks.mend(before[1], f"is not used: {variable} comes after it")
        chosen[address.version] = (address, variable)
        if variable == names.UNICAST_SOURCE and peers[address.version] is None:
            remarks.mend(variable, "is used as the source of multicast advertisements: there are no peers")
    lines: dict[int, tuple[tuple[str, str], ...]] = {4: (), 6: ()}
    for version, (address, variable) in chosen.items():
        keyword = "mcast_src_ip" if peers[version] is None else "unicast_src_ip"
        lines[version] = ((f"{keyword} {address}", variable),)
    return lines
