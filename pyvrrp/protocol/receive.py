"""
Whether a virtual router believes an advertisement: the receive checks of the RFCs as one ordered ladder.

Rules:

* `LADDER` is the order; the first rung that a packet fails names the one reason it is dropped for;
* climbing it changes nothing of ours, so a dropped packet changes nothing but a counter;
* what is suspicious but not fatal becomes a `Notice` beside the advertisement.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Final, Literal, TypeAlias

from pyvrrp.errors import DropReason, PacketError, UsageError
from pyvrrp.protocol.advertisement import (
    AUTH_TYPE_UNKNOWN,
    CHECKSUM,
    COUNT_LENGTH,
    COUNT_ZERO,
    INTERVAL_ZERO,
    NO_OCTETS,
    TRAILING,
    TRUNCATED,
    TYPE,
    VERSION,
    VRID_ZERO,
    Advertisement,
    Message,
    Rung,
    check_addresses,
    check_auth,
    check_interval,
    check_version,
    check_vrid,
)
from pyvrrp.protocol.checksum import ChecksumForm
from pyvrrp.protocol.constants import AUTH_AH, AUTH_NONE, AUTH_PASS, PRIORITY_OWNER, TTL, US_PER_S, Family, IPAddress
from pyvrrp.protocol.headers import IpHeader
from pyvrrp.protocol.settings import ListMismatch

_NAMED_MAX: Final = 3  # addresses in one complaint

COUNTERS: Final[Mapping[DropReason, str | None]] = {
    DropReason.TTL: "ip-ttl-errors",
    DropReason.VERSION: "version-errors",
    DropReason.TYPE: "invalid-type-pkts-rcvd",
    DropReason.TRUNCATED: "packet-length-errors",
    DropReason.COUNT_LENGTH_MISMATCH: "packet-length-errors",
    DropReason.TRAILING_BYTES: "packet-length-errors",
    DropReason.CHECKSUM: "checksum-errors",
    DropReason.VRID_ZERO: "vrid-errors",
    DropReason.VRID_UNKNOWN: "vrid-errors",
    DropReason.NOT_MULTICAST_DESTINATION: None,
    DropReason.NOT_UNICAST_PEER: None,
    DropReason.OWN_SOURCE: None,
    DropReason.RECEIVER_IS_OWNER: None,
    DropReason.AUTH_TYPE_UNKNOWN: "auth-type-unknown",
    DropReason.AUTH_TYPE_MISMATCH: "auth-type-mismatch",
    DropReason.AUTH_FAILURE: "auth-failures",
    DropReason.SOURCE_NOT_LINK_LOCAL: None,
    DropReason.COUNT_ZERO: "address-list-errors",
    DropReason.FIRST_ADDRESS_NOT_LINK_LOCAL: "address-list-errors",
    DropReason.ADDRESS_LIST_MISMATCH: "address-list-errors",
    DropReason.INTERVAL_ZERO: "interval-errors",
    DropReason.INTERVAL_MISMATCH: "interval-errors",
    DropReason.MALFORMED_IP: None,
}
"""The counter of RFC 8347 for each reason (of RFC 2787 for authentication, in the same spelling), None without one."""


class Notice(enum.StrEnum):
    """What is odd about an advertisement that was accepted all the same; the words are those of `DropReason`."""

    INTERVAL_MISMATCH = "interval-mismatch"
    ADDRESS_LIST_MISMATCH = "address-list-mismatch"
    RECEIVER_IS_OWNER = "receiver-is-owner"

    @property
    def counter(self) -> str | None:
        """The counter of RFC 8347 that it moves (STAT-09, STAT-13), None without one."""
        return COUNTERS[DropReason(self.value)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """
    A virtual router as the receive checks see it; addresses are without a zone.

    Attributes:
        vrid: Virtual Router Identifier, 1-255.
        version: VRRP version it speaks, 2 or 3.
        family: Address family.
        primary: Our source address: what carries it is our own, come back.
        addresses: The virtual addresses, in the order of our own advertisements.
        advertisement_interval_us: What we are configured to.
        owner: Its priority is 255.
        auth_type: v2 only: 0 none, 1 password, 2 IP AH (which no packet can pass: AH is not built).
        auth_data: v2 only: the password, at most 8 octets.
        group: Multicast group, None for the family's own.
        unicast_peers: Peers in unicast mode; empty is multicast mode.
        check_unicast_source: In unicast mode, drop what comes from others than the peers.
        ttl_bounds: Least and greatest TTL to accept from a unicast peer; without bounds any is, for peers may be beyond
            routers (keepalived 3.4.4). The group's TTL is 255, always.
        list_mismatch: What other addresses than ours mean in v2 (V2-RX-08).
        erratum_8298: An owner processes what it hears, with a notice; off is the published text, which discards.
        check_first_link_local: Erratum 8300: an IPv6 list begins with a link-local address.
        check_source_link_local: An IPv6 source is link-local.
        versions, address_block, destination: Worked out once: the version as a tuple, the addresses as octets, the
            group that multicast comes to.

    Raises:
        UsageError: A field is not legal, or does not go with another.
    """

    vrid: int
    version: Literal[2, 3]
    family: Family
    primary: IPAddress
    addresses: tuple[IPAddress, ...]
    advertisement_interval_us: int
    owner: bool = False
    auth_type: int = AUTH_NONE
    auth_data: bytes = field(default=b"", repr=False)
    group: IPAddress | None = None
    unicast_peers: tuple[IPAddress, ...] = ()
    check_unicast_source: bool = False
    ttl_bounds: Mapping[IPAddress, tuple[int, int]] = field(default_factory=dict)
    list_mismatch: ListMismatch = ListMismatch.WARN
    erratum_8298: bool = True
    check_first_link_local: bool = True
    check_source_link_local: bool = True
    versions: tuple[int, ...] = field(init=False, repr=False, compare=False)
    address_block: bytes = field(init=False, repr=False, compare=False)
    destination: IPAddress = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_version(self.version)
        check_vrid(self.vrid)
        check_interval(self.version, self.advertisement_interval_us)
        check_addresses(self.version, self.addresses)
        destination = self.family.group if self.group is None else self.group
        for address in (self.addresses[0], self.primary, destination, *self.unicast_peers):
            if address.version != self.family:
                raise UsageError(f"{address} is not of IPv{self.family:d}")
            if isinstance(address, IPv6Address) and address.scope_id is not None:
                raise UsageError(f"{address} has a zone, which no received address has")
        object.__setattr__(self, "auth_data", check_auth(self.version, self.auth_type, self.auth_data))
        object.__setattr__(self, "versions", (self.version,))
        object.__setattr__(self, "address_block", b"".join([address.packed for address in self.addresses]))
        object.__setattr__(self, "destination", destination)


@dataclass(frozen=True, slots=True)
class Received:
    """
    An advertisement that passed every check.

    Attributes:
        receiver: The virtual router it is for.
        advertisement: The message.
        warnings: What is to be logged and counted all the same.
        checksum_form: Which checksum the sender makes; BOTH says nothing (V3-CK-03).
    """

    receiver: Receiver
    advertisement: Advertisement
    warnings: tuple[Notice, ...]
    checksum_form: ChecksumForm

    def explain(self, notice: Notice) -> str:
        """What *notice* means here, in words for the log."""
        receiver, advertisement = self.receiver, self.advertisement
        if notice is Notice.INTERVAL_MISMATCH:
            return _intervals(advertisement.max_advertise_interval_us, receiver)
        if notice is Notice.ADDRESS_LIST_MISMATCH:
            return _lists(advertisement.addresses, receiver)
        return "we are the address owner, priority 255, yet somebody advertises"


class Heard(Message):
    """
    A message on its way up the ladder, with the virtual router that its second octet names.

    Attributes:
        receiver: That virtual router, None if there is none.
        known: The same for the rungs above VRID_UNKNOWN; not set if there is none.
    """

    __slots__ = ("_addresses", "known", "receiver")

    known: Receiver
    receiver: Receiver | None

    def __init__(self, payload: bytes, header: IpHeader, receivers: Mapping[int, Receiver]) -> None:
        receiver = receivers.get(payload[1]) if len(payload) > 1 else None
        super().__init__(payload, header, None if receiver is None else receiver.versions)
        self.receiver = receiver
        if receiver is not None:
            self.known = receiver
        self._addresses: tuple[IPAddress, ...] | None = None

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """The addresses it lists; the receiver's own tuple where the octets are the same, which is the usual case."""
        if self._addresses is None:
            same = self.address_block() == self.known.address_block
            self._addresses = self.known.addresses if same else self.unpack_addresses()
        return self._addresses

    @property
    def lists_other_addresses(self) -> bool:
        """Not the receiver's addresses, order aside (V3-PKT-09)."""
        theirs, ours = self.addresses, self.known.addresses
        return theirs is not ours and (len(theirs) != len(ours) or set(theirs) != set(ours))


def _ttl(heard: Heard) -> str:
    ttl, receiver = heard.header.ttl, heard.receiver
    if receiver is not None and receiver.unicast_peers:
        least, most = receiver.ttl_bounds.get(heard.header.source, (0, TTL))
        return "" if least <= ttl <= most else f"TTL {ttl} is not within {least}-{most}, as set for this peer"
    return "" if ttl == TTL else f"TTL {ttl}, not {TTL}: it came through a router"


def _vrid_unknown(heard: Heard) -> str:
    return "" if heard.receiver is not None else f"VRID {heard.vrid} is not configured here"


def _not_multicast_destination(heard: Heard) -> str:
    receiver = heard.known
    if receiver.unicast_peers or heard.header.destination == receiver.destination:
        return ""
    return f"sent to {heard.header.destination}, not to the group {receiver.destination}"


def _not_unicast_peer(heard: Heard) -> str:
    receiver = heard.known
    if not receiver.unicast_peers:
        return ""
    if heard.header.destination.is_multicast:
        return f"sent to the group {heard.header.destination}, but we are in unicast mode"
    if receiver.check_unicast_source and heard.header.source not in receiver.unicast_peers:
        return f"{heard.header.source} is not one of the unicast peers"
    return ""


def _own_source(heard: Heard) -> str:
    return "" if heard.header.source != heard.known.primary else "our own advertisement came back"


def _receiver_is_owner(heard: Heard) -> str:
    receiver = heard.known
    return "we are the address owner, priority 255" if receiver.owner and not receiver.erratum_8298 else ""


def _auth_type_mismatch(heard: Heard) -> str:
    theirs, ours = heard.auth_type, heard.known.auth_type
    return "" if theirs == ours else f"authentication type {theirs}, ours is {ours}"


def _auth_failure(heard: Heard) -> str:
    # A plain comparison: the password crosses the wire in clear, there is nothing that timing could tell.
    auth_type, auth_data = heard.auth()
    if auth_type == AUTH_PASS and auth_data != heard.known.auth_data:
        return "another password"
    return "no IP Authentication Header" if auth_type == AUTH_AH else ""


def _source_not_link_local(heard: Heard) -> str:
    if is_link_local(heard.header.source) or not heard.known.check_source_link_local:
        return ""
    return f"the source {heard.header.source} is not link-local"


def _first_address_not_link_local(heard: Heard) -> str:
    if not heard.known.check_first_link_local or is_link_local(heard.addresses[0]):
        return ""
    return f"the first address {heard.addresses[0]} is not link-local"


def _address_list_mismatch(heard: Heard) -> str:
    receiver = heard.known
    if receiver.list_mismatch is ListMismatch.WARN or heard.priority == PRIORITY_OWNER:
        return ""
    return _lists(heard.addresses, receiver) if heard.lists_other_addresses else ""


def _interval_mismatch(heard: Heard) -> str:
    if heard.interval_us == heard.known.advertisement_interval_us:
        return ""
    return _intervals(heard.interval_us, heard.known)


def is_link_local(address: IPAddress) -> bool:
    """Whether an IPv6 address is in fe80::/10 (RFC 4291 2.5.6); several times faster than ipaddress's own property."""
    return int(address) >> 118 == 0xFE80 >> 6


def _intervals(theirs_us: int, receiver: Receiver) -> str:
    return f"an interval of {theirs_us / US_PER_S:g} s, ours is {receiver.advertisement_interval_us / US_PER_S:g} s"


def _lists(theirs: tuple[IPAddress, ...], receiver: Receiver) -> str:
    """What is more and what is less in a list; only a few are named, a list may hold 255."""
    ours = receiver.addresses
    differences = (("it adds", set(theirs).difference(ours)), ("it lacks", set(ours).difference(theirs)))
    parts = [f"{word} {_few(addresses)}" for word, addresses in differences if addresses]
    return f"{len(theirs)} addresses, ours are {len(ours)}: {'; '.join(parts) or 'one is repeated'}"


def _few(addresses: set[IPAddress]) -> str:
    first = ", ".join(map(str, sorted(addresses, key=int)[:_NAMED_MAX]))
    return first if len(addresses) <= _NAMED_MAX else f"{first} and {len(addresses) - _NAMED_MAX} more"


LADDER: Final[tuple[Rung[Heard], ...]] = (
    Rung(DropReason.TTL, "RFC 9568 7.1, 5.1.1.3, 5.1.2.3, RFC 3768 7.1", _ttl),
    NO_OCTETS,
    VERSION,
    TYPE,
    TRUNCATED,
    COUNT_LENGTH,
    TRAILING,
    CHECKSUM,
    VRID_ZERO,
    Rung(DropReason.VRID_UNKNOWN, "RFC 9568 7.1, RFC 3768 7.1", _vrid_unknown),
    Rung(DropReason.NOT_MULTICAST_DESTINATION, "policy; RFC 9568 5.1.1.2, 5.1.2.2", _not_multicast_destination),
    Rung(DropReason.NOT_UNICAST_PEER, "policy", _not_unicast_peer),
    Rung(DropReason.OWN_SOURCE, "policy", _own_source),
    Rung(DropReason.RECEIVER_IS_OWNER, "RFC 9568 7.1 before erratum 8298, RFC 3768 7.1", _receiver_is_owner),
    AUTH_TYPE_UNKNOWN,
    Rung(DropReason.AUTH_TYPE_MISMATCH, "RFC 3768 7.1", _auth_type_mismatch, version=2),
    Rung(DropReason.AUTH_FAILURE, "RFC 3768 7.1, RFC 2338 5.3.6", _auth_failure, version=2),
    Rung(DropReason.SOURCE_NOT_LINK_LOCAL, "policy; RFC 9568 5.1.2.1", _source_not_link_local, family=Family.V6),
    COUNT_ZERO,
    Rung(
        DropReason.FIRST_ADDRESS_NOT_LINK_LOCAL,
        "RFC 9568 5.2.9, erratum 8300",
        _first_address_not_link_local,
        family=Family.V6,
    ),
    Rung(DropReason.ADDRESS_LIST_MISMATCH, "RFC 3768 7.1", _address_list_mismatch, version=2),
    Rung(DropReason.INTERVAL_MISMATCH, "RFC 3768 7.1", _interval_mismatch, version=2),
    INTERVAL_ZERO,
)
"""Every receive check in the order in which it is made (V2-RX-01, V3-RX-01)."""

_Climb: TypeAlias = tuple[tuple[Callable[[Heard], str], DropReason], ...]


def _climb(version: int, family: int) -> _Climb:
    """The rungs that such a message has to pass: those of another version or family are left out beforehand."""
    return tuple(
        (rung.check, rung.reason)
        for rung in LADDER
        if rung.version in {None, version} and rung.family in {None, family}
    )


# By version nibble: versions that do not exist never get beyond the VERSION rung, which stands in all of them.
_CLIMBS: Final[Mapping[int, tuple[_Climb, ...]]] = {
    family: tuple(_climb(version, family) for version in range(16)) for family in (4, 6)
}


def receive(payload: bytes, header: IpHeader, receivers: Mapping[int, Receiver]) -> Received:
    """
    Check one packet as the virtual router that it is for.

    Args:
        payload: Octets after the IP header.
        header: Source, destination and TTL or Hop Limit as received.
        receivers: The virtual routers of this interface and family, by VRID.

    Returns:
        The advertisement, whom it is for, and what is odd about it.

    Raises:
        PacketError: The peer broke a rule. *reason* names the first, in the order of `LADDER`; *vrid* is set where the
            VRID octet names one of *receivers*, even if the packet failed before it was looked at.

    Source:
        RFC 9568 7.1 with errata 8298-8301 (VRRPv3); RFC 3768 7.1 (VRRPv2).
    """
    heard = Heard(payload, header, receivers)
    for check, reason in _CLIMBS[header.source.version][heard.version]:
        complaint = check(heard)
        if complaint:
            raise PacketError(reason, complaint, vrid=heard.vrid if heard.receiver is not None else None)
    receiver = heard.known
    warnings: tuple[Notice, ...] = ()
    if heard.interval_us != receiver.advertisement_interval_us:
        warnings = (Notice.INTERVAL_MISMATCH,)
    if heard.lists_other_addresses:
        warnings += (Notice.ADDRESS_LIST_MISMATCH,)
    if receiver.owner:
        warnings += (Notice.RECEIVER_IS_OWNER,)
    return Received(receiver, heard.advertisement(heard.addresses), warnings, heard.form)
