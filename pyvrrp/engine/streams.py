"""
What control and engine say to each other: commands down, reports up, all of them small frozen values.

In a library user's program both run in one event loop; the daemon may put the engine into a process of its own. So
nothing here holds a socket, a callback or a word for people, and the engine never waits for an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, TypeAlias

from pyvrrp.errors import DropReason, UsageError
from pyvrrp.net.system import VirtualAddress
from pyvrrp.protocol.actions import Remark, Transition
from pyvrrp.protocol.advertisement import Advertisement
from pyvrrp.protocol.announcing import AnnouncementSettings
from pyvrrp.protocol.constants import AUTH_NONE, Family, IPAddress
from pyvrrp.protocol.receive import ListMismatch, Notice
from pyvrrp.protocol.router import RouterSettings
from pyvrrp.protocol.states import State

if TYPE_CHECKING:
    from pyvrrp.protocol.sync_group import GroupSettings


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


# Commands


@dataclass(frozen=True, slots=True)
class Configure:
    """
    Run exactly these instances; those that did not change are not disturbed, those that are gone end in order.

    Attributes:
        groups: Which of them move together: all members are instances, each of one group at most, and are `grouped`.
    """

    instances: tuple[InstanceSettings, ...]
    groups: tuple[GroupSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """
    `Configure` between processes, when most of it is as in the one before: only what differs travels.

    Attributes:
        names: All instances, in their order.
        changed: Settings of those that are new or not as before.
        groups: All sync groups.
    """

    names: tuple[str, ...]
    changed: tuple[InstanceSettings, ...]
    groups: tuple[GroupSettings, ...] = ()

    @classmethod
    def of(cls, command: Configure, before: Configure) -> Reconfigure:
        """What tells *command* to somebody who knows *before*."""
        old = {one.name: one for one in before.instances}
        changed = tuple(one for one in command.instances if (was := old.get(one.name)) is not one and was != one)
        return cls(tuple(one.name for one in command.instances), changed, command.groups)

    def after(self, before: Configure) -> Configure:
        """The whole, for who knows *before*."""
        known = {one.name: one for one in (*before.instances, *self.changed)}
        return Configure(tuple(known[name] for name in self.names), self.groups)


@dataclass(frozen=True, slots=True)
class SetPriority:
    """The trackers' weights give this effective priority."""

    instance: str
    priority: int


@dataclass(frozen=True, slots=True)
class RaiseFault:
    """A tracker says that the instance must not serve."""

    instance: str
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class ClearFault:
    """That tracker has no objection (any more)."""

    instance: str
    cause: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Answer with a `Status` of the same token."""

    token: int


@dataclass(frozen=True, slots=True)
class Sync:
    """
    Answer with an empty `Status` of the same token when all commands before are carried out.

    For the process of the engine: a full `Status` of 255 virtual routers keeps it busy for milliseconds.
    """

    token: int


@dataclass(frozen=True, slots=True)
class Stop:
    """
    End all instances in order: priority 0, addresses gone; then `Stopped`.

    Attributes:
        keep_addresses: Leave the addresses in place.
        handover: Make before break: a MASTER serves on until it hears its successor, one interval at most. Another
            `Stop` without it ends that at once.
    """

    keep_addresses: bool = False
    handover: bool = False


@dataclass(frozen=True, slots=True)
class Drain:
    """
    Hand over as at a planned end (make before break) and stay out, in INITIALIZE, until `Resume`.

    A `Configure` keeps an instance drained that it keeps; a second `Drain` changes nothing.

    Attributes:
        instance: Its name; None is all instances, also those that a later `Configure` adds.
    """

    instance: str | None


@dataclass(frozen=True, slots=True)
class Resume:
    """Take part again after `Drain`, as after a start; *instance* None is all instances."""

    instance: str | None


@dataclass(frozen=True, slots=True)
class Hardening:
    """
    How the engine's process is scheduled and kept in memory; carried out by the process, not by the `Engine`.

    Each one tells all: what is not said goes back to what it was before.

    Attributes:
        rt_priority: SCHED_RR priority, None for the ordinary class.
        max_auto_priority: Where timers run late SCHED_RR is taken by itself, up to this priority; 0 is never.
        nice: Nice value in the ordinary class; 0 leaves the one it was started with.
        no_swap: Lock the memory.
        cpus: Numbers of the CPUs to run on; empty is those it was started with.
    """

    rt_priority: int | None = None
    max_auto_priority: int = 0
    nice: int = 0
    no_swap: bool = False
    cpus: frozenset[int] = frozenset()


Command: TypeAlias = Configure | SetPriority | RaiseFault | ClearFault | Ask | Stop | Drain | Resume | Hardening

Sent: TypeAlias = Command | Reconfigure | Sync
"""What goes to the engine's process, which makes commands for the engine of it."""


# Reports


@dataclass(frozen=True, slots=True)
class Entered:
    """An instance is in another state."""

    instance: str
    transition: Transition


@dataclass(frozen=True, slots=True)
class GroupEntered:
    """
    A sync group is in another state, or its halves have parted or met.

    Attributes:
        parted: Some members are MASTER and some are not.
    """

    group: str
    previous: State
    state: State
    parted: bool
    at_us: int


@dataclass(frozen=True, slots=True)
class Remarked:
    """Something worth knowing that changed no state."""

    instance: str
    remark: Remark


@dataclass(frozen=True, slots=True)
class Dropped:
    """
    Packets were dropped; said at most once a second for each interface, virtual router and reason.

    Attributes:
        interface: Where they came in.
        instance: The virtual router they were meant for, None when that cannot be said.
        reason: Why.
        source: Sender of the last one, None where it could not be read.
        detail: More on the last one.
        count: Packets since the last report of this kind.
    """

    interface: str
    instance: str | None
    reason: DropReason
    source: IPAddress | None
    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """A peer was accepted although something about it differs; said at most once a second for each kind."""

    instance: str
    notice: Notice
    source: IPAddress
    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class KernelFailed:
    """The kernel refused something; *text* names operation, object and errno."""

    instance: str | None
    operation: str
    text: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Hastened:
    """The engine's process woke up *late_us* too late, and has taken SCHED_RR of that priority: `max_auto_priority`."""

    rt_priority: int
    late_us: int


@dataclass(frozen=True, slots=True)
class FellBack:
    """Advertisements are received by *path*, which is not the one that was wished for; *reason* says why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """
    An instance as it is now; times are monotonic microseconds.

    Attributes:
        addresses: VIPs (and excluded ones) that the kernel has on their interfaces now.
        counters: Packets by kind and dropped packets by reason.
        held: Waiting for these first results; not started yet.
        drained: Told to stay out by `Drain`.
    """

    name: str
    interface: str
    vrid: int
    family: Family
    version: int
    state: State
    since_us: int
    entered: Transition | None
    base_priority: int
    effective_priority: int
    source: IPAddress | None
    master: IPAddress | None
    master_priority: int | None
    master_heard_us: int | None
    advertisement_interval_us: int
    master_adver_interval_us: int
    master_down_interval_us: int
    skew_time_us: int
    next_deadline_us: int | None
    preempt_delay_until_us: int | None
    faults: Mapping[str, str]
    held: tuple[str, ...]
    vips: tuple[IPAddress, ...]
    addresses: tuple[IPAddress, ...]
    counters: Mapping[str, int]
    drained: bool = False


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """
    A sync group as it is now.

    Attributes:
        members: Names of its instances.
        since_us: When it came into *state*.
        parted: Some members are MASTER and some are not.
        may_part: They may be elected alone: other nodes may not run all of them.
    """

    name: str
    members: tuple[str, ...]
    state: State
    since_us: int
    parted: bool = False
    may_part: bool = False


@dataclass(frozen=True, slots=True)
class SocketStatus:
    """
    A raw socket as it is now.

    Attributes:
        interface: Name of its interface.
        family: IPv4 or IPv6.
        path: How its packets are received: `ebpf`, `split` or `off`.
        refused: Why not by the path that was wished for; empty if it is that one.
        share: One in so many of the packets that are not for us is looked at.
        estimated: Counters of its interface are estimates for that reason.
        polled: There is so much to hear that it is read at intervals.
    """

    interface: str
    family: Family
    path: str
    refused: str
    share: int
    estimated: bool
    polled: bool


@dataclass(frozen=True, slots=True)
class Status:
    """
    The answer to `Ask`.

    Attributes:
        interfaces: Dropped packets that could not be attributed to an instance, by interface and reason.
        sockets: How advertisements are received.
        groups: The sync groups.
    """

    token: int
    now_us: int
    instances: tuple[InstanceStatus, ...]
    interfaces: Mapping[str, Mapping[str, int]]
    sockets: tuple[SocketStatus, ...] = ()
    groups: tuple[GroupStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """Every instance has ended, every address is gone."""


Report: TypeAlias = (
    Entered | GroupEntered | Remarked | Dropped | Noticed | KernelFailed | FellBack | Hastened | Status | Stopped
)
