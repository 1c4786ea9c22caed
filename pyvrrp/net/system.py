"""
What the engine may ask of a kernel: links, addresses, sockets, announcements, a clock.

`linux.py` is the kernel, `simulated.py` a LAN in memory. Rules that both keep:

* nothing here blocks: `receive` answers None when there is nothing to read;
* every refusal is a `KernelError` that says the operation, its object and the errno;
* times are integer microseconds of a monotonic clock.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import Protocol, TypeAlias

from pyvrrp.errors import KernelError
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.headers import IpHeader

IPInterface: TypeAlias = IPv4Interface | IPv6Interface

ADDRESS_PROTOCOL = 112
"""IFA_PROTO of every address that pyvrrp installs: its mark, the protocol number of VRRP itself."""


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


class Readable(Protocol):
    """Something that becomes readable; the simulated world answers -1, there is nothing to poll."""

    def fileno(self) -> int:
        """File descriptor for the event loop, or -1."""
        ...

    def close(self) -> None:
        """Give it back; closing twice is harmless."""
        ...


class AdvertisementSocket(Readable, Protocol):
    """One raw socket for (interface, family, multicast group or unicast), never one per virtual router."""

    def receive(self) -> Datagram | None:
        """
        Read the next packet, TTL and destination included.

        Returns:
            The packet, or None if there is nothing to read now.

        Raises:
            PacketError: The IP header cannot be read (MALFORMED_IP).
            KernelError: The socket is broken, for example its interface went down.
        """
        ...

    def send(self, datagrams: Sequence[Datagram]) -> None:
        """
        Send packets in order, as they are: source, destination and TTL are those of each header.

        Raises:
            KernelError: The first failure; those after it were tried all the same.
        """
        ...


class KernelMonitor(Readable, Protocol):
    """News of links and addresses."""

    def receive(self) -> Sequence[KernelEvent]:
        """All that is known since the last call, oldest first; empty when there is nothing."""
        ...


class System(Protocol):
    """A kernel: the real one of a network namespace, or one in memory."""

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

    def close(self) -> None:
        """Give back what this object holds; sockets and monitors it opened stay their owners' affair."""
        ...
