"""What the engine says to control, in small frozen values without a word for people; see `commands.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pyvrrp.errors import DropReason
from pyvrrp.protocol.actions import Remark, Transition
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.receive import Notice
from pyvrrp.protocol.states import State


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
