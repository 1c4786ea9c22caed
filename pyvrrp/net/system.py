"""
What the engine may ask of a kernel: links, addresses, sockets, announcements, a clock.

`linux.py` is the kernel, `simulated.py` a LAN in memory. Rules that both keep:

* nothing here blocks: `receive` answers None when there is nothing to read;
* every refusal is a `KernelError` that says the operation, its object and the errno;
* times are integer microseconds of a monotonic clock.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final, NamedTuple, Protocol, TypeAlias

from pyvrrp.errors import KernelError, PacketError
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.headers import IpHeader

IPInterface: TypeAlias = IPv4Interface | IPv6Interface

ADDRESS_PROTOCOL: Final = 112
"""IFA_PROTO of every address that pyvrrp installs: its mark, the protocol number of VRRP itself."""

SEND: Final = "send to"
"""The operation of a `KernelError` about an advertisement that did not go out."""


class Scope(enum.IntEnum):
    """Address scopes of rtnetlink; any other number 0-255 is legal too."""

    GLOBAL = 0
    SITE = 200
    LINK = 253
    HOST = 254
    NOWHERE = 255


@dataclass(frozen=True, slots=True)
class Link:
    """
    A network interface as the kernel has it.

    Attributes:
        index: Interface index, positive; a recreated interface has another.
        name: Interface name.
        hardware_address: MAC address octets, empty where the link has none.
        mtu: Octets.
        up: IFF_UP, set by the administrator.
        running: IFF_RUNNING: the carrier is there.
        loopback: It is a loopback device, unusable for VRRP.
        arp: Neighbour discovery is in use (no IFF_NOARP).
    """

    index: int
    name: str
    hardware_address: bytes
    mtu: int = 1500
    up: bool = True
    running: bool = True
    loopback: bool = False
    arp: bool = True

    @property
    def usable(self) -> bool:
        """Up with carrier: what interface tracking asks for."""
        return self.up and self.running


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """
    An address to put on an interface: a VIP, an excluded VIP.

    Attributes:
        interface: Name of the interface it goes on.
        address: Address with prefix length, host bits kept (`192.0.2.100/24`).
        scope: Scope number, see `Scope`.
        broadcast: Broadcast address, or None for none (IPv4 only).
        label: Alias label of at most 15 characters (IPv4 only).
        dad: Run Duplicate Address Detection (IPv6; normally off, a VIP must serve at once).
        preferred_lifetime_s: Preferred lifetime in seconds; None is for ever, 0 is deprecated (IPv6).
        no_prefix_route: Do not add the on-link route of the prefix.
        home: IPv6 Mobility home address flag.
        peer: Point-to-point peer, or None.
        manage_temporary: Make temporary addresses of it (IPv6 `mngtmpaddr`).
        autojoin: Join the multicast group of the address.
        tracked: Put it back when somebody removes it.
    """

    interface: str
    address: IPInterface
    scope: int = Scope.GLOBAL
    broadcast: IPAddress | None = None
    label: str | None = None
    dad: bool = False
    preferred_lifetime_s: int | None = None
    no_prefix_route: bool = False
    home: bool = False
    peer: IPInterface | None = None
    manage_temporary: bool = False
    autojoin: bool = False
    tracked: bool = True

    @property
    def ip(self) -> IPAddress:
        """The bare address, as it stands in an advertisement."""
        return self.address.ip


@dataclass(frozen=True, slots=True)
class AssignedAddress:
    """
    An address as the kernel has it.

    Attributes:
        index: Index of the interface it is on.
        address: Address with prefix length.
        scope: Scope number.
        label: Label, or None.
        protocol: IFA_PROTO (0 unspecified), None where the kernel does not tell (before 5.18).
        secondary: IPv4 secondary address (not the primary of its subnet).
        tentative: Duplicate Address Detection has not ended, or has failed.
    """

    index: int
    address: IPInterface
    scope: int = Scope.GLOBAL
    label: str | None = None
    protocol: int | None = None
    secondary: bool = False
    tentative: bool = False


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """A link appeared or changed: here is all that is now true of it."""

    link: Link


@dataclass(frozen=True, slots=True)
class LinkRemoved:
    """A link is gone."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class AddressAdded:
    """An address appeared, or its flags changed."""

    address: AssignedAddress


@dataclass(frozen=True, slots=True)
class AddressRemoved:
    """An address is gone."""

    address: AssignedAddress


@dataclass(frozen=True, slots=True)
class Resynchronise:
    """News were lost (ENOBUFS): ask for all links and addresses again."""


KernelEvent: TypeAlias = LinkChanged | LinkRemoved | AddressAdded | AddressRemoved | Resynchronise


@dataclass(frozen=True, slots=True)
class Datagram:
    """A VRRP message with its IP header. To send one, the whole is built beforehand and sent many times."""

    header: IpHeader
    payload: bytes


class Arrival(NamedTuple):
    """
    A packet, or why it cannot be read.

    Attributes:
        came_us: When the kernel took it in.
        datagram: The packet; the error is of reason MALFORMED_IP.
    """

    came_us: int
    datagram: Datagram | PacketError


class ReceivePath(enum.StrEnum):
    """How a socket comes by its packets; whatever the path, the same is heard at the same time."""

    EBPF = "ebpf"  # the kernel hears, in our stead, what changes nothing
    SPLIT = "split"  # what is as expected is read now and then, only the rest wakes us
    OFF = "off"  # every packet wakes us


class Readable(Protocol):
    """Something that becomes readable; the simulated world answers -1, there is nothing to poll."""

    def fileno(self) -> int:
        """File descriptor for the event loop, or -1."""
        ...

    def close(self) -> None:
        """Give it back; closing twice is harmless."""
        ...


class AdvertisementSocket(Readable, Protocol):
    """
    One raw socket for (interface, family, multicast group or unicast), never one per virtual router.

    An advertisement that would change nothing if it came again can be *armed*: its repetitions are not handed up, the
    socket remembers when the last one came. Where it does so, in the kernel or here, is its `path`.

    """

    @property
    def path(self) -> ReceivePath:
        """How it comes by its packets now."""
        ...

    @property
    def refused(self) -> KernelError | None:
        """Why that is not the path that was wished for; None while it is."""
        ...

    @property
    def share(self) -> int:
        """One in so many of the packets that are not for us is handed up; 1 is all."""
        ...

    @property
    def more(self) -> bool:
        """The last `read` met its bound: more may wait."""
        ...

    @property
    def poll_us(self) -> int | None:
        """Read it that often even if it is not readable; None where that is not needed."""
        ...

    def serve(self, vrids: Collection[int], longest: int) -> None:
        """
        Say which packets are for us; before the first time none is.

        Args:
            vrids: VRIDs; those that are no more among them are disarmed.
            longest: Octets of the longest advertisement that will be armed, as far as one knows.
        """
        ...

    def set_share(self, share: int) -> None:
        """Hand up one in so many of what is not for us."""
        ...

    def arm(self, vrid: int, datagram: Datagram, came_us: int) -> None:
        """Keep repetitions of this advertisement from now on, and call it the last one heard."""
        ...

    def disarm(self, vrid: int) -> None:
        """Hand up every advertisement of that VRID again; what is known of the armed one stays."""
        ...

    def heard_us(self, vrid: int) -> int:
        """When the advertisement that is or was armed last came; 0 if none ever was."""
        ...

    def oldest_us(self, vrids: Collection[int]) -> int:
        """The least of `heard_us`; there is at least one."""
        ...

    def take_repetitions(self, vrid: int) -> int:
        """How many were kept since this was last asked."""
        ...

    def take_unheard(self) -> Mapping[int, Mapping[str, int]]:
        """
        Ask what was not handed up because it was not for us, as far as it is counted.

        Returns:
            Packets since this was last asked, by VRID (0 for all that are not ours), by reason.
        """
        ...

    def read(self, now_us: int) -> Sequence[Arrival]:
        """
        Read what has come, oldest first; a bounded number, see `more`.

        Args:
            now_us: The present; no packet came later.

        Raises:
            KernelError: The socket is broken, for example its interface went down.
        """
        ...

    def prepare(self, datagrams: Sequence[Datagram]) -> None:
        """Lay out datagrams that may have to be sent in a hurry."""
        ...

    def send(self, datagrams: Sequence[Datagram]) -> Mapping[int, KernelError]:
        """
        Send packets in order, as they are: source, destination and TTL are those of each header.

        Returns:
            What failed, by position; those after it were sent all the same.
        """
        ...


class KernelMonitor(Readable, Protocol):
    """News of links and addresses."""

    def receive(self) -> Sequence[KernelEvent]:
        """All that is known since the last call, oldest first; empty when there is nothing."""
        ...


class System(Protocol):
    """A kernel: the real one of a network namespace, or one in memory."""

    @property
    def threaded(self) -> bool:
        """Whether `links`, `addresses`, `install` and `remove` may take long, and be called in another thread."""
        ...

    def now_us(self) -> int:
        """Monotonic time in microseconds."""
        ...

    def links(self) -> Sequence[Link]:
        """All links."""
        ...

    def addresses(self, index: int | None = None) -> Sequence[AssignedAddress]:
        """All addresses, or those of one link."""
        ...

    def monitor(self) -> KernelMonitor:
        """Start to listen for news; listen first, then ask for `links()` and `addresses()`."""
        ...

    def open_socket(self, link: Link, family: Family, group: IPAddress | None) -> AdvertisementSocket:
        """
        Open a raw socket for protocol 112 on *link*.

        Args:
            link: Interface it is bound to.
            family: IPv4 or IPv6.
            group: Multicast group to join, or None for unicast.

        Raises:
            LinkNotReady: The interface is gone or down.
            NotPermitted: CAP_NET_RAW is missing.
        """
        ...

    def prepare(self, addresses: Sequence[VirtualAddress], frames: Iterable[tuple[int, bytes]]) -> None:
        """Lay out what may have to be installed and announced in a hurry; the same objects must be given then."""
        ...

    def install(self, addresses: Sequence[VirtualAddress]) -> Sequence[KernelError | None]:
        """
        Put addresses on their interfaces, all in one batch; one that is there already is no error.

        Returns:
            For each address None, or why it could not be installed.
        """
        ...

    def remove(self, addresses: Sequence[VirtualAddress]) -> Sequence[KernelError | None]:
        """Take addresses away, all in one batch; one that is not there is no error."""
        ...

    def announce(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """
        Send whole Ethernet frames, each on the interface with that index: gratuitous ARP, Neighbor Advertisements.

        Raises:
            KernelError: The first failure; those after it were tried all the same.
        """
        ...

    def rehearse(self) -> None:
        """Go through the motions of `install` and `announce` without doing anything: code that ran just now is fast."""
        ...

    def close(self) -> None:
        """Give back what this object holds; sockets and monitors it opened stay their owners' affair."""
        ...
