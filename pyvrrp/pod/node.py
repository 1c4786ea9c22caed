"""What the pod has to know of its node, asked of the kernel: nothing is sent and nothing changed."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from pyvrrp.config.openshift import NodeFacts, programs
from pyvrrp.config.openshift.variables import VIRTUAL_IPS, Remarks, Variables
from pyvrrp.config.openshift.vips import old_addresses, read_addresses
from pyvrrp.errors import KernelError
from pyvrrp.net.netlink import rtnetlink, wire
from pyvrrp.net.netlink.client import Client
from pyvrrp.net.system import ADDRESS_PROTOCOL, IPInterface
from pyvrrp.protocol.constants import IPAddress

OUTSIDE: Final = "8.8.8.8"
"""The old image takes the interface of the route to this address where none of its names exists."""

_RTM_GETROUTE: Final = 26  # linux/rtnetlink.h
_RTA_DST: Final = 1
_RTA_OIF: Final = 4
_RTMSG: Final = struct.Struct("=BBBBBBBBI")  # family, lengths of destination and source, tos, table, ..., flags


def facts(environment: Mapping[str, str]) -> NodeFacts:
    """
    Look at the node.

    VIPs that a dead predecessor left are not the node's own addresses and left out: else a priority could follow from
    one of them. Ours bear the mark; keepalived's, and ours on a kernel without marks, are on the list and have the
    prefix length that a router gives, beside another address of the interface.

    Args:
        environment: For the check and notify programs that it names.

    Raises:
        KernelError: The kernel does not answer.
    """
    value = Variables(environment)[VIRTUAL_IPS]
    listed = {*old_addresses(value), *read_addresses(value, Remarks())}
    client = Client()
    try:
        links = _links(client)
        addresses: dict[str, list[IPInterface]] = {name: [] for name in links.values()}
        for message in client.dump(rtnetlink.get_addresses(), "addresses"):
            assigned = rtnetlink.read_address(message, marks=True) if message.kind == rtnetlink.RTM_NEWADDR else None
            if assigned is not None and assigned.protocol != ADDRESS_PROTOCOL and assigned.index in links:
                addresses[links[assigned.index]].append(assigned.address)
        route = _route(client)
    finally:
        client.close()
    return NodeFacts(
        hostname=os.uname().nodename,
        addresses={name: _own(found, listed) for name, found in addresses.items()},
        route_interface=links.get(route) if route is not None else None,
        missing_programs=frozenset(_missing(environment)),
    )


def _own(found: Sequence[IPInterface], listed: Collection[IPAddress | None]) -> tuple[IPAddress, ...]:
    """The addresses that are the node's; the only ones of their family always are."""
    left = {one.version for one in found if not _may_be_left(one, listed)}
    return tuple(one.ip for one in found if one.version not in left or not _may_be_left(one, listed))


def _may_be_left(address: IPInterface, listed: Collection[IPAddress | None]) -> bool:
    return address.ip in listed and address.network.prefixlen == address.max_prefixlen


def _links(client: Client) -> dict[int, str]:
    """Names by index, in the kernel's order."""
    found: dict[int, str] = {}
    for message in client.dump(rtnetlink.get_links(), "links"):
        link = rtnetlink.read_link(message) if message.kind == rtnetlink.RTM_NEWLINK else None
        if link is not None:
            found[link.index] = link.name
    return found


def _route(client: Client) -> int | None:
    """Index of the interface that leads outside, None if none does."""
    header = _RTMSG.pack(socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0)
    destination = wire.pack_attribute(_RTA_DST, socket.inet_aton(OUTSIDE))
    try:
        answer = client.ask(wire.Request(_RTM_GETROUTE, 0, header + destination), f"the route to {OUTSIDE}")
    except KernelError:  # unreachable, prohibited, a blackhole: the errno is the answer
        return None
    interface = wire.parse_attributes(answer.payload, _RTMSG.size).get(_RTA_OIF)
    return None if interface is None else wire.read_u32(interface)


def _missing(environment: Mapping[str, str]) -> list[str]:
    """Check and notify programs that cannot be run."""
    wanted = programs(environment)
    if not wanted:
        return []
    from pyvrrp.trackers.children import locate  # noqa: PLC0415  asyncio comes with it, 25 ms

    missing: list[str] = []
    for program in wanted:
        try:
            locate(program)
        except KernelError:
            missing.append(program)
    return missing
