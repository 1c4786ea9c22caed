"""The rtnetlink messages for links and addresses: requests as octets, what the kernel says as values."""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final

from pyvrrp.net.netlink import wire
from pyvrrp.net.netlink.wire import Message, Request
from pyvrrp.net.system import (
    AddressAdded,
    AddressRemoved,
    AssignedAddress,
    IPInterface,
    KernelEvent,
    Link,
    LinkChanged,
    LinkRemoved,
)
from pyvrrp.protocol.constants import IPAddress

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_SETLINK: Final = 19
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_GETADDR: Final = 22

GROUPS: Final = 0x001 | 0x010 | 0x100  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR

IFLA_ADDRESS: Final = 1
IFLA_IFNAME: Final = 3
IFLA_MTU: Final = 4
IFLA_AF_SPEC: Final = 26
IFLA_EXT_MASK: Final = 29
IFLA_INET_CONF: Final = 1
_RTEXT_FILTER_SKIP_STATS: Final = 8  # half the octets of every link are statistics
_IPV4_DEVCONF_PROMOTE_SECONDARIES: Final = 20

IFA_ADDRESS: Final = 1
IFA_LOCAL: Final = 2
IFA_LABEL: Final = 3
IFA_BROADCAST: Final = 4
IFA_CACHEINFO: Final = 6
IFA_FLAGS: Final = 8
IFA_PROTO: Final = 11

IFA_F_SECONDARY: Final = 0x01  # of IPv6 the same bit says "temporary"
IFA_F_NODAD: Final = 0x02
IFA_F_DADFAILED: Final = 0x08
IFA_F_HOMEADDRESS: Final = 0x10
IFA_F_TENTATIVE: Final = 0x40
IFA_F_MANAGETEMPADDR: Final = 0x100
IFA_F_NOPREFIXROUTE: Final = 0x200
IFA_F_MCAUTOJOIN: Final = 0x400

_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_RUNNING: Final = 0x40
_IFF_NOARP: Final = 0x80
_ARPHRD_ETHER: Final = 1

_FOREVER: Final = 0xFFFFFFFF

_IFINFOMSG: Final = struct.Struct("=BxHiII")  # family, type, index, flags, change
_IFADDRMSG: Final = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_CACHEINFO: Final = struct.Struct("=IIII")  # preferred, valid, created, updated
_WITHOUT_STATISTICS: Final = wire.pack_u32(IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)


def get_links() -> Request:
    """Ask for all links; to be dumped."""
    return Request(RTM_GETLINK, 0, _IFINFOMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + _WITHOUT_STATISTICS)


def get_link(index: int) -> Request:
    """Ask for one link."""
    return Request(RTM_GETLINK, 0, _IFINFOMSG.pack(socket.AF_UNSPEC, 0, index, 0, 0) + _WITHOUT_STATISTICS)


def get_addresses(index: int = 0) -> Request:
    """
    Ask for the addresses of both families, of one link or (0) of all; to be dumped.

    Kernels without strict checking (before 4.20) ignore *index* and answer with all.
    """
    return Request(RTM_GETADDR, 0, _IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, index))


def new_address(
    index: int,
    local: IPInterface,
    *,
    peer: IPInterface | None = None,
    scope: int = 0,
    flags: int = 0,
    label: str | None = None,
    broadcast: IPAddress | None = None,
    preferred_s: int | None = None,
    protocol: int = 0,
) -> Request:
    """Ask for an address; one that is there already stays as it is and answers EEXIST."""
    parts = [_address(index, local, peer, flags & 0xFF, scope)]
    if flags:
        parts.append(wire.pack_u32(IFA_FLAGS, flags))
    if label is not None:
        parts.append(wire.pack_attribute(IFA_LABEL, os.fsencode(label) + b"\0"))
    if broadcast is not None:
        parts.append(wire.pack_attribute(IFA_BROADCAST, broadcast.packed))
    if preferred_s is not None:
        parts.append(wire.pack_attribute(IFA_CACHEINFO, _CACHEINFO.pack(preferred_s, _FOREVER, 0, 0)))
    if protocol:
        parts.append(wire.pack_attribute(IFA_PROTO, bytes((protocol,))))
    return Request(RTM_NEWADDR, wire.NLM_F_CREATE | wire.NLM_F_EXCL, b"".join(parts))


def delete_address(index: int, local: IPInterface, *, peer: IPInterface | None = None) -> Request:
    """Ask to take away exactly this address, with this prefix length, from this link."""
    return Request(RTM_DELADDR, 0, _address(index, local, peer, 0, 0))


def _address(index: int, local: IPInterface, peer: IPInterface | None, flags: int, scope: int) -> bytes:
    family = socket.AF_INET if local.version == 4 else socket.AF_INET6
    far = local if peer is None else peer
    # Without a peer IFA_ADDRESS is the address itself; with one it is the peer, whose prefix is the one that counts.
    return (
        _IFADDRMSG.pack(family, far.network.prefixlen, flags, scope, index)
        + wire.pack_attribute(IFA_LOCAL, local.packed)
        + wire.pack_attribute(IFA_ADDRESS, far.packed)
    )


def set_promote_secondaries(index: int, value: int) -> Request:
    """
    Ask for the sysctl net.ipv4.conf.IFACE.promote_secondaries to be set.

    By netlink, because /proc/sys is read-only in most containers.
    """
    conf = wire.pack_u32(_IPV4_DEVCONF_PROMOTE_SECONDARIES, value)
    for kind in (IFLA_INET_CONF, int(socket.AF_INET), IFLA_AF_SPEC):
        conf = wire.pack_attribute(kind | wire.NLA_F_NESTED, conf)
    return Request(RTM_SETLINK, 0, _IFINFOMSG.pack(socket.AF_UNSPEC, 0, index, 0, 0) + conf)


def read_promote_secondaries(message: Message) -> int | None:
    """
    Read that sysctl from the answer to `get_link`.

    Returns:
        Its value, or None if the link has no IPv4 settings.

    Raises:
        KernelError: The message is malformed (EBADMSG).
    """
    _link_header(message)
    conf = wire.parse_attributes(message.payload, _IFINFOMSG.size).get(IFLA_AF_SPEC, b"")
    for kind in (int(socket.AF_INET), IFLA_INET_CONF):
        conf = wire.parse_attributes(conf).get(kind, b"")
    at = 4 * (_IPV4_DEVCONF_PROMOTE_SECONDARIES - 1)
    return wire.read_u32(conf[at : at + 4]) if len(conf) >= at + 4 else None


def _link_header(message: Message) -> tuple[int, int, int, int]:
    if len(message.payload) < _IFINFOMSG.size:
        raise wire.malformed(f"link message of {len(message.payload)} octets")
    family, kind, index, flags, _change = _IFINFOMSG.unpack_from(message.payload)
    if index <= 0:
        raise wire.malformed(f"link with index {index}")
    return family, kind, index, flags


def _name(value: bytes) -> str:
    return os.fsdecode(value.split(b"\0", 1)[0])


def read_link(message: Message) -> Link | None:
    """
    Read an RTM_NEWLINK.

    Returns:
        The link; None if the message does not describe one whole: news of a wireless driver carry a name and little
        else, and those of another family (a bridge about its port) are not about the link.

    Raises:
        KernelError: The message is malformed (EBADMSG).
    """
    family, kind, index, flags = _link_header(message)
    if family != socket.AF_UNSPEC:
        return None
    attributes = wire.parse_attributes(message.payload, _IFINFOMSG.size)
    name = attributes.get(IFLA_IFNAME)
    mtu = attributes.get(IFLA_MTU)
    if name is None or mtu is None:
        return None
    return Link(
        index=index,
        name=_name(name),
        hardware_address=attributes.get(IFLA_ADDRESS, b"") if kind == _ARPHRD_ETHER else b"",
        mtu=wire.read_u32(mtu),
        up=bool(flags & _IFF_UP),
        running=bool(flags & _IFF_RUNNING),
        loopback=bool(flags & _IFF_LOOPBACK),
        arp=not flags & _IFF_NOARP,
    )


def read_address(message: Message, *, marks: bool) -> AssignedAddress | None:
    """
    Read an RTM_NEWADDR or RTM_DELADDR.

    Args:
        message: What the kernel sent.
        marks: The kernel knows IFA_PROTO, so that its absence means 0.

    Returns:
        The address, or None if it is of a family other than IPv4 and IPv6.

    Raises:
        KernelError: The message is malformed (EBADMSG).
    """
    payload = message.payload
    if len(payload) < _IFADDRMSG.size:
        raise wire.malformed(f"address message of {len(payload)} octets")
    family, prefix_length, flags, scope, index = _IFADDRMSG.unpack_from(payload)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    attributes = wire.parse_attributes(payload, _IFADDRMSG.size)
    if IFA_FLAGS in attributes:
        flags = wire.read_u32(attributes[IFA_FLAGS])
    protocol: int | None = None
    if marks:
        mark = attributes.get(IFA_PROTO, b"\0")
        if len(mark) != 1:
            raise wire.malformed(f"address protocol of {len(mark)} octets")
        protocol = mark[0]
    return AssignedAddress(
        index=index,
        address=_interface(family, attributes.get(IFA_LOCAL, attributes.get(IFA_ADDRESS, b"")), prefix_length),
        scope=scope,
        label=_name(attributes[IFA_LABEL]) if IFA_LABEL in attributes else None,
        protocol=protocol,
        secondary=family == socket.AF_INET and bool(flags & IFA_F_SECONDARY),
        tentative=bool(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)),
    )


def _interface(family: int, octets: bytes, prefix_length: int) -> IPInterface:
    length = 4 if family == socket.AF_INET else 16
    if len(octets) != length or prefix_length > 8 * length:
        raise wire.malformed(f"address of {len(octets)} octets with prefix length {prefix_length}")
    return IPv4Interface((octets, prefix_length)) if length == 4 else IPv6Interface((octets, prefix_length))


def read_event(message: Message, *, marks: bool) -> KernelEvent | None:
    """
    Read one piece of news.

    Returns:
        The event, or None if the message says nothing of links and addresses that we follow.

    Raises:
        KernelError: The message is malformed (EBADMSG).
    """
    if message.kind == RTM_NEWLINK:
        link = read_link(message)
        return None if link is None else LinkChanged(link)
    if message.kind == RTM_DELLINK:
        family, _kind, index, _flags = _link_header(message)
        # A port that leaves its bridge is a DELLINK too, of the bridge's family; the link lives on.
        if family != socket.AF_UNSPEC:
            return None
        attributes = wire.parse_attributes(message.payload, _IFINFOMSG.size)
        return LinkRemoved(index, _name(attributes.get(IFLA_IFNAME, b"")))
    if message.kind in (RTM_NEWADDR, RTM_DELADDR):
        address = read_address(message, marks=marks)
        if address is None:
            return None
        return AddressAdded(address) if message.kind == RTM_NEWADDR else AddressRemoved(address)
    return None
