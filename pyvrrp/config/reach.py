"""
Whom an instance speaks for and to: its family and version, addresses, peers, source, group, interface.

The order matters: family, version, addresses, peers, and then what depends on the mode.
"""

from __future__ import annotations

from typing import Final, Literal

from pyvrrp.config.addresses import Peer
from pyvrrp.config.assembly import Assembly, is_after
from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Severity, shown
from pyvrrp.config.lexer import Line
from pyvrrp.config.model import AddressLine
from pyvrrp.config.parser import Item
from pyvrrp.protocol.constants import Family, IPAddress

# How many addresses fit: an Ethernet frame of 1500 octets, of which keepalived sets 14 aside for the link header; the
# count field has one octet.
COUNT_MAX: Final = 255
_ROOM_V6: Final = (1500 - 14 - 40 - 8) // 16
_UNICAST_TARGETS: Final = ("unicast_source", "check_unicast_source", "old_unicast_checksum")


def decide_family(assembly: Assembly) -> tuple[Family, Line | None]:
    """The family of whatever came first: an address of ours, or the word; and the line that decided it."""
    draft = assembly.draft
    first: list[tuple[int, int, int, Line]] = []
    for target in ("mcast_source", "unicast_source", "group", "native_ipv6"):
        said = draft.said.get(target)
        if said is not None:
            version = 6 if target == "native_ipv6" else said.value.version
            first.append((said.line.order, said.line.start, version, said.line))
    for target in ("peers", "virtual_addresses"):
        for item in draft.items.get(target, ())[:1]:
            value = item.value.address
            first.append((item.line.order, item.line.start, value.version, item.line))
    if not first:
        return Family.V4, None
    _order, _start, version, line = min(first, key=lambda entry: entry[:2])
    if version == 4 and assembly.values["native_ipv6"]:
        assembly.lose("Cannot specify native_ipv6 with IPv4 addresses", Code.FAMILY, "native_ipv6")
    return Family(version), line


def decide_version(assembly: Assembly, family: Family, decided_by: Line | None) -> Literal[2, 3]:
    """keepalived's order: what comes first wins, be it the word or an IPv6 address."""
    said = assembly.draft.said.get("version")
    if said is None:
        if family is Family.V6:
            assembly.derive("version", "IPv6 is version 3")
            return 3
        assembly.inherit("version", "version")
        return 3 if assembly.settings["version"] == 3 else 2
    too_late = family is Family.V6 and decided_by is not None and is_after(said.line, decided_by)
    if said.value == 2 and too_late:
        assembly.derive("version", "IPv6 is version 3")
        message = "version 2 conflicts with the version 3 deduced from an IPv6 address; ignoring."
        assembly.lose(message, Code.VERSION, said, hint="version must come first")
        return 3
    return 3 if said.value == 3 else 2


def decide_addresses(
    assembly: Assembly, family: Family, version: int
) -> tuple[tuple[AddressLine, ...], tuple[AddressLine, ...]]:
    """The addresses that are advertised, and those that are only installed."""
    kept: list[AddressLine] = []
    seen: set[int] = set()
    for item in assembly.draft.items.get("virtual_addresses", ()):
        line: AddressLine = item.value
        number = int(line.address)
        if line.address.version != family:
            assembly.lose(
                f"address family must match VRRP instance [{line.address}] - ignoring",
                Code.FAMILY,
                item,
                hint="virtual_ipaddress_excluded takes both families",
            )
        elif number in seen:
            assembly.mend(f"duplicate address {shown(item.line.words[0])} - ignoring", Code.DUPLICATE, item)
        else:
            seen.add(number)
            kept.append(line)
    _check_count(assembly, kept, family, version)
    room = COUNT_MAX if family is Family.V4 else _ROOM_V6
    excluded = kept[room:]
    if excluded:
        assembly.mend(
            f"Number of VIPs ({len(kept)}) exceeds maximum/space available in packet (max {room} addresses)"
            " - excess moved to eVIPs",
            Code.TOO_MANY_ADDRESSES,
        )
    own = assembly.values["interface"]
    installed = {(line.address.version, int(line.address), line.dev or own) for line in kept}
    for item in assembly.draft.items.get("excluded_addresses", ()):
        line = item.value
        key = (line.address.version, int(line.address), line.dev or own)
        if key in installed:
            assembly.mend(f"duplicate address {shown(item.line.words[0])} - ignoring", Code.DUPLICATE, item)
        else:
            installed.add(key)
            excluded.append(line)
    return tuple(kept[:room]), tuple(excluded)


def _check_count(assembly: Assembly, kept: list[AddressLine], family: Family, version: int) -> None:
    if not kept:
        # keepalived runs it in version 2, or where it is told that this is meant; RFC 9568 5.2.5 wants an address.
        if assembly.values["no_addresses"]:
            assembly.refuse("an instance without virtual addresses", "no_addresses")
        elif version == 3 or assembly.strict:
            assembly.fatal("No VIP specified; at least one is required", Code.NO_ADDRESS, hint="virtual_ipaddress")
        else:
            assembly.mend("No VIP specified; at least one is sensible", Code.NO_ADDRESS, hint="virtual_ipaddress")
            assembly.refuse("an instance without virtual addresses")
    elif family is Family.V6 and not kept[0].address.is_link_local:
        # Legal, and in the order that operators chose; RFC 9568 5.2.9 wants it, and some receivers insist.
        message = "the first IPv6 address should be link-local"
        assembly.tell(Severity.NOTE, message, Code.LINK_LOCAL, _first_item(assembly))


def _first_item(assembly: Assembly) -> Item:
    items: list[Item] = assembly.draft.items["virtual_addresses"]
    return items[0]


def decide_peers(assembly: Assembly, family: Family) -> list[Peer]:
    """The unicast peers of our family; none means multicast."""
    draft = assembly.draft
    kept: dict[IPAddress, Peer] = {}
    for item in draft.items.get("peers", ()):
        peer: Peer = item.value
        if peer.address.version != family:
            message = f"unicast peer address {peer.address} is of another family. Skipping..."
            assembly.lose(message, Code.FAMILY, item)
        elif peer.address in kept:
            message = f"duplicate unicast peer {peer.address} - ignoring"
            assembly.tell(Severity.NOTE, message, Code.DUPLICATE, item)
        else:
            kept[peer.address] = peer
    keywords = [target for target in _UNICAST_TARGETS if target in draft.said]
    if not kept and (keywords or "unicast_peer" in draft.blocks):
        line = draft.said[keywords[0]].line if keywords else draft.blocks["unicast_peer"]
        if assembly.values["unicast_fault_no_peer"]:
            assembly.refuse("FAULT for want of a unicast peer (unicast_fault_no_peer)", Item(None, line))
        else:
            assembly.mend(
                "A unicast keyword has been specified without any unicast peers. Defaulting to multicast.",
                Code.UNICAST,
                Item(None, line),
                "name the other routers in unicast_peer",
            )
    return list(kept.values())


def decide_source(assembly: Assembly, family: Family) -> IPAddress | None:
    """The last source that was said; one of the other family is not used."""
    said = [
        assembly.draft.said[target] for target in ("mcast_source", "unicast_source") if target in assembly.draft.said
    ]
    if not said:
        return None
    chosen = max(said, key=lambda each: (each.line.order, each.line.start))
    assembly.record.said["source"] = chosen.line
    address: IPAddress = chosen.value
    if address.version != family:
        assembly.lose(f"source address {address} is of another family. Skipping...", Code.FAMILY, chosen)
        assembly.derive("source", "what was said is of another family", chosen)
        return None
    return address


def decide_interface(assembly: Assembly, source: IPAddress | None, *, unicast: bool) -> None:
    """Only unicast with a source of its own can do without an interface."""
    if assembly.values["interface"] is not None:
        return
    if not unicast:
        assembly.fatal("Unknown interface!", Code.NO_INTERFACE, hint="interface NAME")
    elif source is None:
        assembly.fatal("Unknown interface!", Code.NO_INTERFACE, hint="interface NAME, or unicast_src_ip")


def decide_group(assembly: Assembly, family: Family, *, unicast: bool) -> IPAddress | None:
    """The multicast group, None for the family's own or in unicast mode."""
    group: IPAddress | None = assembly.values["group"]
    if group is not None and unicast:
        assembly.mend("multicast destination specified with unicast - ignoring", Code.GROUP, "group")
        assembly.derive("group", "unicast")
        return None
    if group is not None and group.version != family:
        assembly.lose(f"mcast_dst_ip {group} is of another family. Skipping...", Code.FAMILY, "group")
        assembly.derive("group", "what was said is of another family", "group")
        group = None
    if group is None and not unicast:
        target = "group4" if family is Family.V4 else "group6"
        assembly.inherit("group", target)
        group = assembly.settings[target]
    return None if group == family.group else group


def decide_unicast_ttl(assembly: Assembly, *, unicast: bool) -> int | None:
    """The TTL of unicast advertisements, None for the default."""
    ttl: int | None = assembly.values["unicast_ttl"]
    if ttl is not None and not unicast:
        assembly.mend("Cannot use unicast_ttl without unicast peers - resetting", Code.UNICAST, "unicast_ttl")
        assembly.derive("unicast_ttl", "no unicast peers", "unicast_ttl")
        return None
    return ttl
