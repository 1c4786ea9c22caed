"""What a virtual router can track: scripts, files, processes, BFD sessions. Frozen values, times in microseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pyvrrp.config.values import Command, Place
from pyvrrp.protocol.constants import IPAddress


@dataclass(frozen=True, slots=True)
class TcpTarget:
    """A TCP port that must accept connections; None as address means the instance's own source address."""

    port: int
    address: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class VrrpScript:
    """
    A `vrrp_script` block: a check that is run every so often, a program or the built-in TCP port check.

    Exactly one of *command* and *tcp* is set.

    Attributes:
        only_as_master: It is run only while an instance that tracks it is MASTER, for what is to be had there alone: a
            service on a virtual address. `daemon/duty.py` says how a node that fails it comes back.
    """

    name: str
    command: Command | None = None
    tcp: TcpTarget | None = None
    interval_us: int = 1_000_000
    timeout_us: int | None = None
    weight: int = 0
    reverse: bool = False
    rise: int = 1
    fall: int = 1
    init_fail: bool = False
    only_as_master: bool = False
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TrackFile:
    """
    A `track_file` block: a number in a file, times *weight*, is added to the priority.

    Attributes:
        path: The file; what is missing or no number counts as 0.
        weight: 0 means FAULT while the number is not 0.
        initial: Number to write at the start, None to write nothing.
        overwrite: Also into a file that exists.
    """

    name: str
    path: str
    weight: int = 1
    reverse: bool = False
    initial: int | None = None
    overwrite: bool = False
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TrackProcess:
    """
    A `vrrp_track_process` block: so many processes of a name must run.

    Attributes:
        process: Name of the program and, if they count, its parameters.
        parameter_match: How parameters are compared: all equal, the first ones equal (`partial`), or the last one only
            up to its length (`initial`).
        full_command: The whole command line is compared, not the short name.
        weight: 0 means FAULT when there are not enough.
        quorum: So many at least.
        quorum_max: So many at most; None is any number.
        fork_delay_us: How long a new process must run before it counts.
        terminate_delay_us: How long one that ended still counts.
    """

    name: str
    process: tuple[str, ...]
    parameter_match: Literal["exact", "partial", "initial"] = "exact"
    full_command: bool = False
    weight: int = 0
    reverse: bool = False
    quorum: int = 1
    quorum_max: int | None = None
    fork_delay_us: int = 0
    terminate_delay_us: int = 0
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class BfdInstance:
    """
    A `bfd_instance` block: one session of Bidirectional Forwarding Detection (RFC 5880).

    Attributes:
        neighbour: The other end.
        source: Our address; None leaves it to the kernel.
        min_rx_us: Least interval in which packets are taken.
        min_tx_us: Least interval in which we want to send.
        idle_tx_us: The same while the session is down.
        multiplier: So many packets missing, and the session is down.
        passive: The other end speaks first.
        ttl: TTL or Hop Limit of what is sent; None is 255, for IPv6 64.
        max_hops: So much less of it is accepted; 255 does not look, -1 neither.
        multihop: A session over routers (RFC 5883).
        weight: 0 means FAULT while the session is down.
        for_vrrp: Virtual routers may track it.
        for_checker: So may health checks of real servers.
    """

    name: str
    neighbour: IPAddress
    source: IPAddress | None = None
    min_rx_us: int = 10_000
    min_tx_us: int = 10_000
    idle_tx_us: int = 1_000_000
    multiplier: int = 5
    passive: bool = False
    ttl: int | None = None
    max_hops: int = 0
    multihop: bool = False
    weight: int = 0
    reverse: bool = False
    for_vrrp: bool = True
    for_checker: bool = True
    place: Place | None = field(default=None, compare=False)
