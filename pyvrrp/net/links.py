"""What links and their addresses mean for a virtual router; pure functions over what the kernel said."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import IPv6Address

from pyvrrp.net.system import AssignedAddress, Link, Scope
from pyvrrp.protocol.constants import Family, IPAddress


def without_zone(address: IPAddress) -> IPAddress:
    """Drop the zone of an IPv6 address: `fe80::1%eth0` and `fe80::1` are one address on one interface."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return IPv6Address(int(address))
    return address


def find_link(links: Iterable[Link], name: str) -> Link | None:
    """The link of that name, if there is one."""
    return next((link for link in links if link.name == name), None)


def primary_address(
    link: Link, addresses: Iterable[AssignedAddress], family: Family, exclude: Collection[IPAddress] = ()
) -> IPAddress | None:
    """
    Choose the address that advertisements are sent from.

    IPv4: as keepalived, the first address of the interface; before it, though, none that is secondary or not of global
    scope, since after a VIP came first the interface's own address is a secondary one. IPv6: the first link-local
    address that has passed Duplicate Address Detection (RFC 9568 5.1.2.1).

    Args:
        link: The interface.
        addresses: Addresses in the kernel's order; those of other links are passed over.
        family: Which family to look for.
        exclude: VIPs: they move, so they cannot be what a router is known by.

    Returns:
        The address without zone, or None if the interface has none to use.
    """
    barred = {without_zone(address) for address in exclude}
    candidates = [
        found
        for found in addresses
        if found.index == link.index
        and found.address.version == family
        and not found.tentative
        and found.scope < Scope.HOST
        and without_zone(found.address.ip) not in barred
    ]
    if family is Family.V6:
        candidates = [found for found in candidates if found.address.ip.is_link_local]
    else:
        candidates.sort(key=lambda found: (found.scope >= Scope.LINK, found.secondary))  # stable: else the kernel's
    return without_zone(candidates[0].address.ip) if candidates else None
