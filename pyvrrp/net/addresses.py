"""Virtual addresses as rtnetlink asks for them, and as they are found again among what the kernel has."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeAlias

from pyvrrp.net.netlink import rtnetlink
from pyvrrp.net.netlink.wire import Request
from pyvrrp.net.system import ADDRESS_PROTOCOL, AssignedAddress, Link, VirtualAddress

Key: TypeAlias = tuple[int, bytes, int]
"""What makes an address one: index of its link, its octets, its prefix length."""


def describe(address: VirtualAddress) -> str:
    """Say which address where, for errors: `192.0.2.100/24 on eth0`."""
    return f"{address.address} on {address.interface}"


def add_request(address: VirtualAddress, index: int, *, mark: bool = True) -> Request:
    """
    Translate an address into the request to install it.

    Args:
        address: What to install; whether it can be is for the kernel to say, nothing is cut to fit.
        index: Index of its interface.
        mark: Mark it with `ADDRESS_PROTOCOL`; kernels before 5.18 pass over the mark.
    """
    local = address.address
    flags = rtnetlink.IFA_F_NOPREFIXROUTE if address.no_prefix_route else 0
    if address.autojoin:
        flags |= rtnetlink.IFA_F_MCAUTOJOIN
    if local.version == 6:
        if not address.dad:
            flags |= rtnetlink.IFA_F_NODAD
        if address.home:
            flags |= rtnetlink.IFA_F_HOMEADDRESS
        if address.manage_temporary:
            flags |= rtnetlink.IFA_F_MANAGETEMPADDR
    return rtnetlink.new_address(
        index,
        local,
        peer=address.peer,
        scope=address.scope,
        flags=flags,
        label=address.label if local.version == 4 else None,
        broadcast=address.broadcast if local.version == 4 else None,
        preferred_s=address.preferred_lifetime_s,
        protocol=ADDRESS_PROTOCOL if mark else 0,
    )


def remove_request(address: VirtualAddress, index: int) -> Request:
    """Translate an address into the request to remove it and no other."""
    return rtnetlink.delete_address(index, address.address, peer=address.peer)


def key_of(address: VirtualAddress, index: int) -> Key:
    """The key under which the kernel keeps a virtual address."""
    prefix = address.address if address.peer is None else address.peer
    return index, address.address.packed, prefix.network.prefixlen


def found_key(found: AssignedAddress) -> Key:
    """The key of an address that the kernel has."""
    return found.index, found.address.packed, found.address.network.prefixlen


def installed(
    wanted: Iterable[VirtualAddress], found: Iterable[AssignedAddress], links: Iterable[Link]
) -> list[VirtualAddress]:
    """Those virtual addresses that the kernel has on their interfaces, with their prefix lengths, whoever put them."""
    indexes = {link.name: link.index for link in links}
    there = {found_key(one) for one in found}
    return [
        address
        for address in wanted
        if address.interface in indexes and key_of(address, indexes[address.interface]) in there
    ]


def marked(found: Iterable[AssignedAddress]) -> list[AssignedAddress]:
    """Those that bear the mark of pyvrrp; of which daemon, the mark does not tell."""
    return [one for one in found if one.protocol == ADDRESS_PROTOCOL]


def shaky_links(found: Iterable[AssignedAddress], doomed: Collection[Key]) -> set[int]:
    """
    Find the links where removing *doomed* would take other addresses along.

    Linux deletes the secondary IPv4 addresses of a subnet with their primary unless promote_secondaries is set. A VIP
    that was there first is the primary, and the secondaries are somebody else's.

    Args:
        found: What the kernel has.
        doomed: Keys of what is to go.

    Returns:
        Indexes of links where a primary goes and a secondary of the same prefix length stays. The subnet is not
        compared: for point-to-point addresses it is the peer's, and one link too many does no harm.
    """
    primaries: set[tuple[int, int]] = set()
    secondaries: set[tuple[int, int]] = set()
    for one in found:
        if one.address.version != 4:
            continue
        key = found_key(one)
        if one.secondary and key not in doomed:
            secondaries.add((one.index, key[2]))
        elif not one.secondary and key in doomed:
            primaries.add((one.index, key[2]))
    return {index for index, _ in primaries & secondaries}
