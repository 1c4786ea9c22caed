"""The small values that configurations are made of: places, commands, addresses, how an instance announces itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final, Literal, Protocol, TypeAlias

from pyvrrp.protocol.constants import IPAddress

IPInterface: TypeAlias = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something was said; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Located(Protocol):
    """A line of the file; where its words are is worked out only when somebody asks."""

    def place(self, word: int) -> Place:
        """Where that word of the line stands."""


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
class Track:
    """Something tracked; *weight* None takes the tracker's own, 0 means FAULT when it is down."""

    name: str
    weight: int | None = None
    reverse: bool | None = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class AddressLine:
    """
    One line of `virtual_ipaddress`, `virtual_ipaddress_excluded` or `static_ipaddress`.

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
        use_vmac: On another interface than the instance's it gets a VMAC of its own.
        track_group: Of a static address: whose instances go to FAULT when it is lost.
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
    use_vmac: bool = False
    track_group: str | None = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Authentication:
    """VRRPv2 authentication; *password* is at most 8 octets and never shown."""

    auth_type: Literal["PASS", "AH"]
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notify:
    """
    Programs that are told about state changes.

    Attributes:
        any: Told about every one, after the others.
        deleted: Told when a reload takes the instance away.
        lower_priority: Told when a MASTER hears a lower priority (`notify_master_rx_lower_pri`).
    """

    master: Command | None = None
    backup: Command | None = None
    fault: Command | None = None
    stop: Command | None = None
    any: Command | None = None
    deleted: Command | None = None
    lower_priority: Command | None = None


NO_NOTIFY: Final = Notify()


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
        extra_interval_us: Period of announcements on interfaces that carry addresses and no advertisements; 0 for none.
        extra_all: On all such interfaces, not on VMACs alone.
    """

    master_delay_us: int = 5_000_000
    master_repeat: int = 5
    master_refresh_us: int = 0
    master_refresh_repeat: int = 1
    lower_prio_delay_us: int | None = None
    lower_prio_repeat: int | None = None
    interval_us: int = 0
    gna_interval_us: int = 0
    extra_interval_us: int = 0
    extra_all: bool = False


GARP_DEFAULTS: Final = GarpSettings()


@dataclass(frozen=True, slots=True)
class Vmac:
    """
    `use_vmac`: an interface of its own with the virtual router's MAC address.

    Attributes:
        name: Of the interface; None is made of the prefix and the VRID.
        mac: Six octets; None is the virtual router's own (RFC 9568 7.3).
        notify: `netlink_notify_msg`: tell the kernel's listeners about it.
        group: Interface group, a number or a name.
    """

    name: str | None = None
    mac: bytes | None = None
    notify: bool = False
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Ipvlan:
    """`use_ipvlan`: an L2 ipvlan interface instead of a VMAC; *address* is the source of advertisements there."""

    name: str | None = None
    address: IPInterface | None = None
    mode: Literal["bridge", "private", "vepa"] = "bridge"
    group: str | None = None


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A key of `auth_hmac`: *secret* as typed, text, `hex:...` or `file:...`; never shown."""

    key_id: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hmac:
    """
    `auth_hmac`: advertisements that are signed, an extension of keepalived 2.4.0.

    Attributes:
        active_key: Id of the key that signs; None if none was named.
        time_window_us: How old a message may be; None is three intervals, 5 s at least.
        anti_replay: What tells an old message: the clock, or a growing number alone.
        mode: What becomes of unsigned messages.
    """

    keys: tuple[HmacKey, ...] = ()
    active_key: int | None = None
    time_window_us: int | None = None
    anti_replay: Literal["time", "monotonic"] = "time"
    mode: Literal["enforce", "permissive", "receive-only"] = "enforce"
