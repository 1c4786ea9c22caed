"""
The checked configuration: frozen values, whether they came from a file, from code or (later) from the environment.

Times are integer microseconds (`_us`); None means "not said", so that a default can depend on something else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from typing import Literal, TypeAlias

from pyvrrp.protocol.constants import INTERVAL_DEFAULT_US, IPAddress

IPInterface: TypeAlias = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something was said; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Command:
    """
    A program to run, already split into words, and who runs it.

    Attributes:
        argv: Program and arguments, at least one word.
        user: User name or number, None for the default (`script_user`).
        group: Group name or number, None for the user's own.
    """

    argv: tuple[str, ...]
    user: str | None = None
    group: str | None = None


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
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Track:
    """A tracked script or interface; *weight* None takes the tracker's own, 0 means FAULT when it is down."""

    name: str
    weight: int | None = None
    reverse: bool | None = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class AddressLine:
    """
    One line of `virtual_ipaddress` or `virtual_ipaddress_excluded`.

    Attributes:
        address: Address with prefix length (32 or 128 when none was given).
        dev: Interface; None is the instance's.
        scope: rtnetlink scope number.
        broadcast: Address, already worked out from `brd +` or `brd -`; None for none.
        label: IPv4 alias label.
        dad: `-nodad`: keep Duplicate Address Detection.
        preferred_lifetime_s: `preferred_lft`; None is for ever, 0 (of an IPv6 host address, if not said) is deprecated.
        no_prefix_route: `noprefixroute`.
        home: `home`, a flag of IPv6 addresses.
        peer: Other end of a point-to-point link; *address* is then without its network.
        no_track: Nothing happens when somebody removes the address.
        manage_temporary: `mngtmpaddr`, a flag of IPv6 addresses.
        autojoin: `autojoin`: join the multicast group.
    """

    address: IPInterface
    dev: str | None = None
    scope: int = 0
    broadcast: IPAddress | None = None
    label: str | None = None
    dad: bool = False
    preferred_lifetime_s: int | None = None
    no_prefix_route: bool = False
    home: bool = False
    peer: IPInterface | None = None
    no_track: bool = False
    manage_temporary: bool = False
    autojoin: bool = False
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Authentication:
    """VRRPv2 authentication; *password* is at most 8 octets and never shown."""

    auth_type: Literal["PASS", "AH"]
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notify:
    """Programs that are told about state changes."""

    master: Command | None = None
    backup: Command | None = None
    fault: Command | None = None
    stop: Command | None = None
    any: Command | None = None


@dataclass(frozen=True, slots=True)
class GarpSettings:
    """
    How often addresses are announced (gratuitous ARP, unsolicited NA); keepalived's `garp_*`.

    Attributes:
        master_delay_us: Second burst this long after becoming MASTER; 0 for none.
        master_repeat: Packets for each address in a burst.
        master_refresh_us: Period of refreshing bursts while MASTER; 0 for none.
        master_refresh_repeat: Packets for each address in a refresh.
        lower_prio_delay_us: Second burst after a lower-priority advertisement; None is master_delay.
        lower_prio_repeat: Packets in that burst; None is master_repeat.
        interval_us: Pause between successive gratuitous ARPs on an interface.
        gna_interval_us: The same for unsolicited NAs.
    """

    master_delay_us: int = 5_000_000
    master_repeat: int = 5
    master_refresh_us: int = 0
    master_refresh_repeat: int = 1
    lower_prio_delay_us: int | None = None
    lower_prio_repeat: int | None = None
    interval_us: int = 0
    gna_interval_us: int = 0


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
    notify: Notify = Notify()
    garp: GarpSettings = GarpSettings()
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

    @property
    def unicast(self) -> bool:
        """Advertisements go to the listed peers, not to the group."""
        return bool(self.unicast_peers)


@dataclass(frozen=True, slots=True)
class GlobalSettings:
    """
    `global_defs` and what stands outside of all blocks, as far as it is not already part of each instance.

    Attributes:
        instance_name: `instance`: one of several daemons on this host.
        net_namespace: Network namespace to work in.
        use_pid_dir: Pid files go to a directory of their own.
        child_wait_time_us: How long to wait for children at the end.
        rt_priority: SCHED_RR priority; None is none.
        max_auto_priority: Highest SCHED_RR priority that may be taken when timers run late; 0 is none.
        process_priority: Nice value.
        no_swap: Lock the memory.
    """

    router_id: str | None = None
    script_user: str | None = None
    script_group: str | None = None
    enable_script_security: bool = False
    notification_email: tuple[str, ...] = ()
    notification_email_from: str | None = None
    smtp_server: str | None = None
    smtp_connect_timeout_us: int = 30_000_000
    dynamic_interfaces: bool = False
    instance_name: str | None = None
    net_namespace: str | None = None
    use_pid_dir: bool = False
    child_wait_time_us: int = 5_000_000
    rt_priority: int | None = None
    max_auto_priority: int = 0
    process_priority: int = 0
    no_swap: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole file (with what it includes): only what is defined and used, references already checked."""

    globals: GlobalSettings = GlobalSettings()
    scripts: tuple[VrrpScript, ...] = ()
    instances: tuple[VrrpInstance, ...] = ()

    def script(self, name: str) -> VrrpScript | None:
        """The script of that name."""
        return next((script for script in self.scripts if script.name == name), None)
