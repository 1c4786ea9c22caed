"""
The checked configuration: frozen values, whether they came from a file, from code or (later) from the environment.

Times are integer microseconds (`_us`); None means "not said", so that a default can depend on something else. The parts
stand in files of their own and are all to be had here: `values.py`, `tracked.py`, `routing.py`, `settings.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Literal

from pyvrrp.config.origins import Origin, OriginKind, Origins
from pyvrrp.config.routing import NextHop, Route, RouteMetric, Rule
from pyvrrp.config.settings import (
    SETTINGS_DEFAULTS,
    Buffers,
    Fifo,
    Files,
    Firewall,
    GlobalSettings,
    ProcessNames,
    ReloadSettings,
)
from pyvrrp.config.tracked import BfdInstance, TcpTarget, TrackFile, TrackProcess, VrrpScript
from pyvrrp.config.values import (
    GARP_DEFAULTS,
    NO_NOTIFY,
    AddressLine,
    Authentication,
    Command,
    GarpSettings,
    Hmac,
    HmacKey,
    IPInterface,
    Ipvlan,
    Located,
    Notify,
    Place,
    Track,
    Vmac,
)
from pyvrrp.protocol.constants import INTERVAL_DEFAULT_US, Family, IPAddress

__all__ = [
    "AddressLine",
    "Authentication",
    "BfdInstance",
    "Buffers",
    "Command",
    "Configuration",
    "Fifo",
    "Files",
    "Firewall",
    "GarpGroup",
    "GarpSettings",
    "GlobalSettings",
    "Hmac",
    "HmacKey",
    "IPInterface",
    "InterfaceDelay",
    "Ipvlan",
    "Linkbeat",
    "Located",
    "NextHop",
    "Notify",
    "Origin",
    "OriginKind",
    "Origins",
    "Place",
    "ProcessNames",
    "ReloadSettings",
    "Route",
    "RouteMetric",
    "Rule",
    "SyncGroup",
    "TcpTarget",
    "Track",
    "TrackFile",
    "TrackGroup",
    "TrackProcess",
    "Vmac",
    "VrrpInstance",
    "VrrpScript",
]


@dataclass(frozen=True, slots=True)
class VrrpInstance:
    """
    A `vrrp_instance` block, with global defaults already filled in.

    Attributes:
        version: 2 or 3, already decided (IPv6 is 3).
        state: What the file said; a hint only, as in keepalived.
        interface: Interface of the advertisements; None only in unicast mode with a source address.
        priority: Base priority 1-255; 255 owns the addresses.
        advertisement_interval_us: Whole seconds in version 2, hundredths in version 3.
        preempt: False for `nopreempt`, already cancelled where keepalived cancels it.
        preempt_delay_us: As above.
        unicast: Unicast mode: *unicast_peers* is not empty.
        source: `mcast_src_ip` or `unicast_src_ip`; None is the interface's primary address.
        group: Multicast group; None is the family's own.
        strict: `vrrp_strict`; what it forces is already in the other fields.
        skip_address_check: The address list need not be compared again while the same router is MASTER.
        unicast_ttl: TTL or Hop Limit to send in unicast mode; None is 255.
        check_unicast_source: Drop what does not come from one of the peers.
        unicast_ttl_bounds: Least and greatest TTL accepted, for each of *unicast_peers*; empty when there are none.
        interface_place: Where the interface was named.
        no_addresses: `no_virtual_ipaddress`: that there are none is meant so.
        hmac: `auth_hmac`.
        unicast_fault_no_peer: FAULT rather than multicast when unicast was meant and no peer is left.
        track_source: FAULT while *source* is not on the host.
        old_unicast_checksum: `force` sends the checksum of keepalived 1.3.6, `never` does not take it either.
        vrf: VRF to work in, for unicast without an interface.
        receive_buffer: Octets of the socket's receive buffer; None is not said.
        vmac: `use_vmac`; None is the interface's own MAC address.
        ipvlan: `use_ipvlan`.
        vmac_addresses: `use_vmac_addr`: addresses on other interfaces get VMACs of their own.
        vmac_transmit_base: Advertisements leave by the interface that the VMAC is built on.
        promote_secondaries: Set the interface's switch of that name while MASTER.
        routes: Installed while MASTER.
        rules: Installed while MASTER.
        track_files: `track_file`; likewise *track_processes* and *track_bfds*.
        notify_deleted: A reload that takes the instance away says DELETED, not FAULT.
        notify_priority_changes: Pipes are told when the priority changes.
        smtp_alert: Mail about state changes; None is not said.
        timer_expired_backup: With `nopreempt`: a MASTER that wakes too late gives way; the highest priority that others
            may have. None is off.
        owner_ignore_adverts: An owner does not listen.
        linkbeat_use_polling: Ask the interface for its link state, rather than listen.
    """

    name: str
    vrid: int
    interface: str | None
    version: Literal[2, 3] = 2
    state: Literal["MASTER", "BACKUP"] = "BACKUP"
    priority: int = 100
    advertisement_interval_us: int = INTERVAL_DEFAULT_US
    preempt: bool = True
    preempt_delay_us: int = 0
    authentication: Authentication | None = None
    source: IPAddress | None = None
    unicast_peers: tuple[IPAddress, ...] = ()
    group: IPAddress | None = None
    virtual_addresses: tuple[AddressLine, ...] = ()
    excluded_addresses: tuple[AddressLine, ...] = ()
    track_scripts: tuple[Track, ...] = ()
    track_interfaces: tuple[Track, ...] = ()
    track_primary: bool = True
    notify: Notify = NO_NOTIFY
    garp: GarpSettings = GARP_DEFAULTS
    accept: bool = True
    down_timer_adverts: int = 3
    lower_prio_no_advert: bool = False
    higher_prio_send_advert: bool = False
    checksum_without_pseudo_header: bool = False
    strict: bool = False
    skip_address_check: bool = False
    unicast_ttl: int | None = None
    check_unicast_source: bool = False
    unicast_ttl_bounds: tuple[tuple[int, int], ...] = ()
    interface_place: Place | None = field(default=None, compare=False)
    place: Place | None = field(default=None, compare=False)
    no_addresses: bool = False
    hmac: Hmac | None = None
    unicast_fault_no_peer: bool = False
    track_source: bool = False
    old_unicast_checksum: Literal["force", "never"] | None = None
    vrf: str | None = None
    receive_buffer: int | None = None
    vmac: Vmac | None = None
    ipvlan: Ipvlan | None = None
    vmac_addresses: bool = False
    vmac_transmit_base: bool = False
    promote_secondaries: bool = False
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    track_files: tuple[Track, ...] = ()
    track_processes: tuple[Track, ...] = ()
    track_bfds: tuple[Track, ...] = ()
    notify_deleted: bool = False
    notify_priority_changes: bool = False
    smtp_alert: bool | None = None
    timer_expired_backup: int | None = None
    owner_ignore_adverts: bool = False
    linkbeat_use_polling: bool = False

    @property
    def unicast(self) -> bool:
        """Advertisements go to the listed peers, not to the group."""
        return bool(self.unicast_peers)

    @property
    def family(self) -> Family:
        """That of the first virtual address, else of the source, the peers or the group."""
        others = (self.source, *self.unicast_peers, self.group)
        said = (*(line.address for line in self.virtual_addresses), *others)
        return Family(next((address.version for address in said if address is not None), 4))


@dataclass(frozen=True, slots=True)
class SyncGroup:
    """
    A `vrrp_sync_group` block: instances that move together.

    Attributes:
        members: Names of instances that exist, each of this group alone.
        track_scripts: For all members; likewise the other trackers.
        global_tracking: keepalived's old word for that, no longer needed.
        tracking_weight: Members may have weighted trackers of their own; otherwise their weights do not count.
        may_part: They move together while others run all of them, and are elected alone beside who does not; no file
            says this, the pod does.
    """

    name: str
    members: tuple[str, ...]
    track_scripts: tuple[Track, ...] = ()
    track_interfaces: tuple[Track, ...] = ()
    track_files: tuple[Track, ...] = ()
    track_processes: tuple[Track, ...] = ()
    track_bfds: tuple[Track, ...] = ()
    notify: Notify = NO_NOTIFY
    notify_priority_changes: bool = False
    smtp_alert: bool | None = None
    global_tracking: bool = False
    tracking_weight: bool = False
    may_part: bool = False
    place: Place | None = field(default=None, compare=False)

    def only(self, names: Collection[str]) -> SyncGroup:
        """The same without the members that are not among *names*."""
        return replace(self, members=tuple(member for member in self.members if member in names))


@dataclass(frozen=True, slots=True)
class TrackGroup:
    """A `track_group` block: instances that go to FAULT when a static address, route or rule is lost."""

    name: str
    members: tuple[str, ...]
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class GarpGroup:
    """A `garp_group` block: interfaces behind one switch, that announce one after the other; None is not said."""

    interfaces: tuple[str, ...]
    interval_us: int | None = None
    gna_interval_us: int | None = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Linkbeat:
    """A line of `linkbeat_interfaces`: ask this interface for its link state, in that way first."""

    interface: str
    method: Literal["MII", "ETHTOOL", "IOCTL"] | None = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class InterfaceDelay:
    """A line of `interface_up_down_delays`: how long a change of the link must last before it counts."""

    interface: str
    down_us: int = 0
    up_us: int = 0
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """
    A whole file (with what it includes): only what is defined and used, references already checked.

    Attributes:
        origins: Where the values came from; knows nothing of what was built by code.
    """

    globals: GlobalSettings = SETTINGS_DEFAULTS
    scripts: tuple[VrrpScript, ...] = ()
    instances: tuple[VrrpInstance, ...] = ()
    sync_groups: tuple[SyncGroup, ...] = ()
    track_files: tuple[TrackFile, ...] = ()
    track_processes: tuple[TrackProcess, ...] = ()
    bfd_instances: tuple[BfdInstance, ...] = ()
    track_groups: tuple[TrackGroup, ...] = ()
    garp_groups: tuple[GarpGroup, ...] = ()
    static_addresses: tuple[AddressLine, ...] = ()
    static_routes: tuple[Route, ...] = ()
    static_rules: tuple[Rule, ...] = ()
    linkbeat: tuple[Linkbeat, ...] = ()
    interface_delays: tuple[InterfaceDelay, ...] = ()
    origins: Origins = field(default_factory=Origins, compare=False, repr=False)

    def script(self, name: str) -> VrrpScript | None:
        """The script of that name."""
        return next((script for script in self.scripts if script.name == name), None)
