"""What the engine knows of an instance, and what makes it the same over a reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from pyvrrp.errors import UsageError
from pyvrrp.net.system import VirtualAddress
from pyvrrp.protocol.advertisement import Advertisement
from pyvrrp.protocol.constants import AUTH_NONE, Family, IPAddress
from pyvrrp.protocol.settings import AnnouncementSettings, ListMismatch, RouterSettings


@dataclass(frozen=True, slots=True)
class Key:
    """What makes two instances the same over a reload, and one socket serve several: all but the VRID is its socket."""

    interface: str
    family: Family
    destination: IPAddress | None
    source: IPAddress | None
    vrid: int


@dataclass(frozen=True, slots=True)
class InstanceSettings:
    """
    All the engine knows of one instance.

    Attributes:
        name: For reports; unique.
        interface: Interface of the advertisements.
        router: Settings of the state machine; they hold VRID, family and version.
        vips: Addresses that are advertised and installed, in the order of the advertisement.
        excluded: Addresses that are only installed.
        source: Source address of advertisements; None is the interface's primary address (IPv6: link-local).
        group: Multicast group; None for the family's own. Meaningless with *unicast_peers*.
        unicast_peers: Peers to send to; empty for multicast.
        unicast_ttl: TTL or Hop Limit to send in unicast mode; None is 255.
        ttl_bounds: Least and greatest TTL accepted from a unicast peer; without bounds any is.
        check_unicast_source: Drop unicast advertisements from others than the peers.
        auth_type: VRRPv2 authentication type.
        auth_data: Its eight octets.
        pseudo_header: Checksum form sent in IPv4 VRRPv3 (decision D1).
        list_mismatch: What a different VRRPv2 address list means.
        announcements: How often addresses are announced.
        track_interface: The interface being down is a FAULT.
        awaited: Causes of which a first word (`RaiseFault` or `ClearFault`) must come before the start.
    """

    name: str
    interface: str
    router: RouterSettings
    vips: tuple[VirtualAddress, ...] = ()
    excluded: tuple[VirtualAddress, ...] = ()
    source: IPAddress | None = None
    group: IPAddress | None = None
    unicast_peers: tuple[IPAddress, ...] = ()
    unicast_ttl: int | None = None
    ttl_bounds: Mapping[IPAddress, tuple[int, int]] = field(default_factory=dict)
    check_unicast_source: bool = False
    auth_type: int = AUTH_NONE
    auth_data: bytes = field(default=b"", repr=False)
    pseudo_header: bool = True
    list_mismatch: ListMismatch = ListMismatch.WARN
    announcements: AnnouncementSettings = field(default_factory=AnnouncementSettings)
    track_interface: bool = True
    awaited: frozenset[str] = frozenset()

    def check(self) -> None:
        """
        See whether an advertisement can be made of it.

        Raises:
            UsageError: It cannot; the text says why.
        """
        router, family = self.router, self.router.family
        Advertisement(
            version=router.version,
            vrid=router.vrid,
            priority=router.priority,
            max_advertise_interval_us=router.advertisement_interval_us,
            addresses=tuple(vip.ip for vip in self.vips),
            auth_type=self.auth_type,
            auth_data=self.auth_data,
        )
        others = (self.source, self.group, *self.unicast_peers, *(vip.ip for vip in self.vips))
        for address in others:
            if address is not None and address.version != family:
                raise UsageError(f"{address} is not of IPv{family:d}, the family of this virtual router")
            if isinstance(address, IPv6Address) and address.scope_id is not None:
                raise UsageError(f"{address} has a zone; the interface says it")

    @property
    def key(self) -> Key:
        """What it is known by over a reload; its name is not."""
        source = self.source if self.unicast_peers else None
        return Key(self.interface, self.router.family, self.destination, source, self.router.vrid)

    @property
    def destination(self) -> IPAddress | None:
        """The multicast group, None in unicast mode."""
        if self.unicast_peers:
            return None
        return self.group if self.group is not None else self.router.family.group
