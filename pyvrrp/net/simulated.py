"""
A LAN in memory: hosts with links and addresses on segments that can be cut, slowed and made to lose packets.

Time is virtual and moves only in `World.run`; the same run gives the same story every time. What a host does stands in
`World.journal`, in order.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from pyvrrp.errors import DropReason, KernelError, LinkNotReady, UsageError
from pyvrrp.net.system import (
    ADDRESS_PROTOCOL,
    AddressAdded,
    AddressRemoved,
    Arrival,
    AssignedAddress,
    Datagram,
    IPInterface,
    KernelEvent,
    Link,
    LinkChanged,
    LinkRemoved,
    ReceivePath,
    VirtualAddress,
)
from pyvrrp.protocol.constants import TTL, Family, IPAddress

SPLIT_POLL_US: Final = 5_000
READ_MAX: Final = 512
"""Packets handed up by one `read`."""


class Participant(Protocol):
    """Something that lives on a host and is woken by the world."""

    def step(self) -> int | None:
        """Do what is due; answer when to be woken next (microseconds), None for only on news."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal: at that time, that host did this (*verb*) with that."""

    at_us: int
    host: str
    verb: str
    subject: object


@dataclass(slots=True)
class _Armed:
    """What a simulated socket knows of the advertisement that a VRID is or was armed with."""

    datagram: Datagram | None = None  # None: disarmed
    heard_us: int = 0
    repetitions: int = 0


class SimulatedSocket:
    """
    One raw socket of a simulated host.

    Attributes:
        queue: What came and is not read yet, with the time of its coming.
        rest: The same, of what does not wake anybody (`ReceivePath.SPLIT`).
    """

    refused: KernelError | None = None

    def __init__(self, system: SimulatedSystem, index: int, family: Family, group: IPAddress | None) -> None:
        self._system = system
        self.index = index
        self.family = family
        self.group = group
        self.path = system.world.path
        self.share = 1
        self.more = False
        self.queue: deque[tuple[int, Datagram]] = deque()
        self.rest: deque[tuple[int, Datagram]] = deque()
        self._open = True
        self._vrids: frozenset[int] = frozenset()
        self._armed: dict[int, _Armed] = {}
        self._foreign = 0
        self._unheard: dict[int, Counter[str]] = {}

    @property
    def poll_us(self) -> int | None:
        """The split path is read every few milliseconds."""
        return SPLIT_POLL_US if self.path is ReceivePath.SPLIT else None

    def fileno(self) -> int:
        """There is nothing to poll."""
        return -1

    def close(self) -> None:
        """Leave the segment."""
        if self._open:
            self._open = False
            self._system.sockets.remove(self)

    def serve(self, vrids: Collection[int], longest: int) -> None:  # noqa: ARG002  here is room for any length
        """Let the packets of these VRIDs through."""
        self._vrids = frozenset(vrids)
        for vrid in self._armed.keys() - self._vrids:
            self.disarm(vrid)

    def set_share(self, share: int) -> None:
        """Hand up one in so many of what is not for us."""
        self.share = share

    def arm(self, vrid: int, datagram: Datagram, came_us: int) -> None:
        """Keep repetitions of this advertisement."""
        armed = self._armed.setdefault(vrid, _Armed())
        armed.datagram, armed.heard_us = datagram, came_us

    def disarm(self, vrid: int) -> None:
        """Hand them up again."""
        if vrid in self._armed:
            self._armed[vrid].datagram = None

    def heard_us(self, vrid: int) -> int:
        """When the armed one last came."""
        return self._armed[vrid].heard_us if vrid in self._armed else 0

    def oldest_us(self, vrids: Collection[int]) -> int:
        """The least of `heard_us`."""
        return min(map(self.heard_us, vrids))

    def take_repetitions(self, vrid: int) -> int:
        """How many were kept since this was last asked."""
        if vrid not in self._armed:
            return 0
        count, self._armed[vrid].repetitions = self._armed[vrid].repetitions, 0
        return count

    def take_unheard(self) -> Mapping[int, Mapping[str, int]]:
        """What the filter dropped since this was last asked, where it counts."""
        unheard, self._unheard = self._unheard, {}
        return unheard if self.path is ReceivePath.EBPF else {}

    def read(self, now_us: int) -> Sequence[Arrival]:  # noqa: ARG002  the world knows the time
        """What came, oldest first, but for repetitions."""
        self._check("receive on")
        came = sorted((*self.rest, *self.queue), key=_came_us)
        came, left = came[:READ_MAX], came[READ_MAX:]
        self.more = bool(left)
        self.rest.clear()
        self.queue = deque(left)
        return [Arrival(came_us, datagram) for came_us, datagram in came if not self._keep(datagram, came_us)]

    def prepare(self, datagrams: Sequence[Datagram]) -> None:
        """There is no hurry."""

    def send(self, datagrams: Sequence[Datagram]) -> Mapping[int, KernelError]:
        """Put packets on the segment of the interface."""
        try:
            link = self._check("send on")
            if not link.up:
                raise LinkNotReady("send on", link.name, errno.ENETDOWN)
        except KernelError as error:
            return dict.fromkeys(range(len(datagrams)), error)
        for datagram in datagrams:
            self._system.world.transmit(self._system, link, datagram)
        return {}

    def hears(self, destination: IPAddress) -> bool:
        """Whether a packet to *destination* reaches this socket."""
        if int(destination.version) != self.family:
            return False
        return destination == self.group if destination.is_multicast else self._system.has_address(destination)

    def put(self, *datagrams: Datagram) -> None:
        """Packets are in the queue as if they had come now and passed all filters."""
        self.queue += [(self._system.world.now_us, datagram) for datagram in datagrams]

    def deliver(self, datagram: Datagram, now_us: int) -> bool:
        """A packet has come; answers whether that wakes anybody."""
        if not self._is_for_us(datagram):
            self._foreign += 1
            if self._foreign % self.share:
                reason = DropReason.VRID_UNKNOWN if datagram.header.ttl == TTL else DropReason.TTL
                self._unheard.setdefault(0, Counter())[reason.value] += 1
                return False
        elif self.path is ReceivePath.EBPF and self._keep(datagram, now_us):
            return False
        elif self.path is ReceivePath.SPLIT and self._is_expected(datagram):
            self.rest.append((now_us, datagram))
            return False
        self.queue.append((now_us, datagram))
        return True

    def _is_for_us(self, datagram: Datagram) -> bool:
        right_ttl = self.group is None or datagram.header.ttl == TTL
        return right_ttl and len(datagram.payload) > 1 and datagram.payload[1] in self._vrids

    def _keep(self, datagram: Datagram, came_us: int) -> bool:
        armed = self._armed.get(datagram.payload[1]) if len(datagram.payload) > 1 else None
        if armed is None or armed.datagram != datagram:
            return False
        armed.heard_us = came_us
        armed.repetitions += 1
        return True

    def _is_expected(self, datagram: Datagram) -> bool:
        armed = self._armed.get(datagram.payload[1])
        if armed is None or armed.datagram is None or len(datagram.payload) < 3:
            return False
        known = armed.datagram
        return known.header.source == datagram.header.source and known.payload[2] == datagram.payload[2]

    def _check(self, operation: str) -> Link:
        if not self._open:
            raise KernelError(operation, "a closed socket", errno.EBADF)
        return self._system.link_of(self.index, operation)


class SimulatedMonitor:
    """News of links and addresses of a simulated host."""

    def __init__(self, system: SimulatedSystem) -> None:
        self._system = system
        self.queue: list[KernelEvent] = []

    def fileno(self) -> int:
        """There is nothing to poll."""
        return -1

    def close(self) -> None:
        """Hear no more."""
        if self in self._system.monitors:
            self._system.monitors.remove(self)

    def receive(self) -> Sequence[KernelEvent]:
        """All news since the last call."""
        news, self.queue = self.queue, []
        return news


class SimulatedSystem:
    """The kernel of one simulated host."""

    threaded = False

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.sockets: list[SimulatedSocket] = []
        self.monitors: list[SimulatedMonitor] = []
        self.participants: list[Participant] = []
        self.frozen = False
        self.refuse_installs: int | None = None
        self.refuse_removes: int | None = None
        self._links: dict[int, Link] = {}
        self._addresses: list[AssignedAddress] = []
        self._indices = itertools.count(1)

    # What a test or a scenario does to the host.

    def add_link(self, name: str, *addresses: IPInterface, segment: str = "lan") -> Link:
        """Give the host an interface on a segment."""
        index = next(self._indices)
        serial = self.world.next_serial()
        link = Link(index=index, name=name, hardware_address=bytes((2, 0, 0, 0, serial >> 8, serial & 255)))
        self._links[index] = link
        self.world.plug(self, index, segment)
        self._tell(LinkChanged(link))
        for address in addresses:
            self.add_address(name, address)
        return link

    def set_link(self, name: str, *, up: bool | None = None, running: bool | None = None) -> None:
        """Take an interface down or up, or change its carrier."""
        link = self._by_name(name, "change")
        changed = replace(link, up=link.up if up is None else up, running=link.running if running is None else running)
        self._links[link.index] = changed
        self._tell(LinkChanged(changed))

    def remove_link(self, name: str) -> None:
        """Delete an interface with its addresses."""
        link = self._by_name(name, "delete")
        for assigned in [a for a in self._addresses if a.index == link.index]:
            self._addresses.remove(assigned)
            self._tell(AddressRemoved(assigned))
        del self._links[link.index]
        self._tell(LinkRemoved(link.index, name))

    def rename_link(self, name: str, new_name: str) -> None:
        """Give an interface another name; all else stays."""
        link = replace(self._by_name(name, "rename"), name=new_name)
        self._links[link.index] = link
        self._tell(LinkChanged(link))

    def add_address(self, name: str, address: IPInterface, protocol: int = 0) -> None:
        """Somebody (an operator) adds an address."""
        assigned = AssignedAddress(self._by_name(name, "add address to").index, address, protocol=protocol)
        self._addresses.append(assigned)
        self._tell(AddressAdded(assigned))

    def delete_address(self, name: str, address: IPInterface) -> None:
        """Somebody (an operator) deletes an address."""
        index = self._by_name(name, "delete address from").index
        for assigned in [a for a in self._addresses if a.index == index and a.address == address]:
            self._addresses.remove(assigned)
            self._tell(AddressRemoved(assigned))

    def has_address(self, address: IPAddress) -> bool:
        """Whether any interface has it."""
        return any(assigned.address.ip == address for assigned in self._addresses)

    # The System protocol.

    def now_us(self) -> int:
        """The world's time."""
        return self.world.now_us

    def links(self) -> Sequence[Link]:
        """All links."""
        return tuple(self._links.values())

    def addresses(self, index: int | None = None) -> Sequence[AssignedAddress]:
        """All addresses, or those of one link."""
        return tuple(a for a in self._addresses if index is None or a.index == index)

    def monitor(self) -> SimulatedMonitor:
        """Start to listen for news."""
        monitor = SimulatedMonitor(self)
        self.monitors.append(monitor)
        return monitor

    def open_socket(self, link: Link, family: Family, group: IPAddress | None) -> SimulatedSocket:
        """Open a socket on a link that is there and up."""
        known = self.link_of(link.index, "open a socket on")
        if not known.up:
            raise LinkNotReady("open a socket on", known.name, errno.ENETDOWN)
        sock = SimulatedSocket(self, link.index, family, group)
        self.sockets.append(sock)
        return sock

    def prepare(self, addresses: Sequence[VirtualAddress], frames: Iterable[tuple[int, bytes]]) -> None:
        """There is no hurry."""

    def install(self, addresses: Sequence[VirtualAddress]) -> Sequence[KernelError | None]:
        """Put addresses on their interfaces."""
        results: list[KernelError | None] = []
        done: list[IPAddress] = []
        for wanted in addresses:
            if self.refuse_installs is not None:
                results.append(KernelError("add address", str(wanted.address), self.refuse_installs))
                continue
            try:
                index = self._by_name(wanted.interface, f"add address {wanted.address} to").index
            except KernelError as error:
                results.append(error)
                continue
            results.append(None)
            done.append(wanted.ip)
            if not any(a.index == index and a.address == _as_kept(wanted) for a in self._addresses):
                self.add_address(wanted.interface, _as_kept(wanted), ADDRESS_PROTOCOL)
        if done:
            self.world.write(self.name, "installs", tuple(done))
        return results

    def remove(self, addresses: Sequence[VirtualAddress]) -> Sequence[KernelError | None]:
        """Take addresses away; what is not there is no error."""
        if self.refuse_removes is not None:
            return [KernelError("remove address", str(one.address), self.refuse_removes) for one in addresses]
        names = {link.name for link in self._links.values()}
        for unwanted in addresses:
            if unwanted.interface in names:
                self.delete_address(unwanted.interface, _as_kept(unwanted))
        self.world.write(self.name, "removes", tuple(unwanted.ip for unwanted in addresses))
        return [None] * len(addresses)

    def announce(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """Write the frames into the journal."""
        for index, frame in frames:
            if index in self._links:
                self.world.write(self.name, "announces", frame)

    def rehearse(self) -> None:
        """There is no hurry."""

    def close(self) -> None:
        """Nothing is held."""

    # For sockets and the world.

    def link_of(self, index: int, operation: str) -> Link:
        """The link of that index."""
        link = self._links.get(index)
        if link is None:
            raise LinkNotReady(operation, f"interface {index}", errno.ENODEV)
        return link

    def _by_name(self, name: str, operation: str) -> Link:
        for link in self._links.values():
            if link.name == name:
                return link
        raise LinkNotReady(operation, name, errno.ENODEV)

    def _tell(self, news: KernelEvent) -> None:
        for monitor in self.monitors:
            monitor.queue.append(news)
        self.world.wake(self)


class World:
    """
    Hosts, segments and the time that passes for them.

    Attributes:
        now_us: Virtual time.
        delay_us: How long a packet is under way.
        loss: Share of packets that get lost, 0-1.
        path: How sockets come by their packets.
        journal: What happened.
    """

    def __init__(
        self, *, delay_us: int = 0, loss: float = 0.0, seed: int = 0, path: ReceivePath = ReceivePath.OFF
    ) -> None:
        self.now_us = 0
        self.delay_us = delay_us
        self.loss = loss
        self.path = path
        self.journal: list[Entry] = []
        self.hosts: dict[str, SimulatedSystem] = {}
        self._random = random.Random(seed)  # noqa: S311  a simulation must repeat itself
        self._plugs: dict[tuple[str, int], str] = {}
        self._cut: set[str] = set()
        self._partition: dict[str, int] = {}
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._serials = itertools.count(1)
        self._wakes: dict[str, int | None] = {}

    def host(self, name: str) -> SimulatedSystem:
        """Add a host."""
        if name in self.hosts:
            raise UsageError(f"there is a host {name} already")
        self.hosts[name] = SimulatedSystem(self, name)
        return self.hosts[name]

    def next_serial(self) -> int:
        """A number for the next MAC address."""
        return next(self._serials)

    def plug(self, system: SimulatedSystem, index: int, segment: str) -> None:
        """Connect an interface to a segment."""
        self._plugs[system.name, index] = segment

    def cut(self, name: str) -> None:
        """Pull the cable of a host at the switch: its own links still look up."""
        self._cut.add(name)

    def mend(self, name: str) -> None:
        """Plug it in again."""
        self._cut.discard(name)

    def partition(self, *sides: Iterable[str]) -> None:
        """Let only hosts of one side hear each other; those not named are a side too. No side: one LAN again."""
        self._partition = {name: number for number, side in enumerate(sides, start=1) for name in side}

    def freeze(self, name: str) -> None:
        """Stop a host's programs; its sockets go on receiving."""
        self.hosts[name].frozen = True

    def thaw(self, name: str) -> None:
        """Let a frozen host's programs run on."""
        self.hosts[name].frozen = False
        self.wake(self.hosts[name])

    def kill(self, name: str) -> None:
        """Power off: the host's programs are gone and its cable is dead."""
        self.hosts[name].participants.clear()
        self._wakes.pop(name, None)
        self.cut(name)

    def attach(self, name: str, participant: Participant) -> None:
        """Let a program live on a host; it is stepped at once."""
        self.hosts[name].participants.append(participant)
        self.wake(self.hosts[name])

    def wake(self, system: SimulatedSystem) -> None:
        """Step a host's programs at the present time."""
        self._wakes[system.name] = self.now_us

    def at(self, time_us: int, action: Callable[[], None]) -> None:
        """Do something at a time."""
        heapq.heappush(self._agenda, (time_us, next(self._order), action))

    def write(self, host: str, verb: str, subject: object) -> None:
        """Add a line to the journal."""
        self.journal.append(Entry(self.now_us, host, verb, subject))

    def transmit(self, sender: SimulatedSystem, link: Link, datagram: Datagram) -> None:
        """Carry a packet to everybody on the sender's segment who can hear it."""
        self.write(sender.name, "sends", datagram)
        if sender.name in self._cut or not link.running:
            return
        segment = self._plugs[sender.name, link.index]
        for (name, index), other in self._plugs.items():
            if other != segment or name == sender.name or name in self._cut:
                continue
            if self._partition.get(name) != self._partition.get(sender.name):
                continue
            if self.loss and self._random.random() < self.loss:
                self.write(name, "loses", datagram)
                continue
            self.at(self.now_us + self.delay_us, lambda n=name, i=index: self._deliver(n, i, datagram))  # type: ignore[misc]  # lambda defaults

    def run(self, until_us: int) -> None:
        """Let time pass until that moment, everything due then included."""
        while True:
            upcoming = [at for name, at in self._wakes.items() if at is not None and not self.hosts[name].frozen]
            if self._agenda:
                upcoming.append(self._agenda[0][0])
            if not upcoming or (moment := min(upcoming)) > until_us:
                break
            self.now_us = max(self.now_us, moment)
            while self._agenda and self._agenda[0][0] <= self.now_us:
                heapq.heappop(self._agenda)[2]()
            for name, system in self.hosts.items():
                at = self._wakes.get(name)
                if at is None or at > self.now_us or system.frozen:
                    continue
                self._wakes[name] = None
                steps = [participant.step() for participant in list(system.participants)]
                due = [at for at in (*steps, self._wakes[name]) if at is not None]
                self._wakes[name] = min(due, default=None)
        self.now_us = max(self.now_us, until_us)

    def _deliver(self, name: str, index: int, datagram: Datagram) -> None:
        system = self.hosts[name]
        link = next((link for link in system.links() if link.index == index), None)
        if name in self._cut or link is None or not link.usable:
            return
        for sock in system.sockets:
            hears = sock.index == index and sock.hears(datagram.header.destination)
            if hears and sock.deliver(datagram, self.now_us):
                self.wake(system)


def _came_us(item: tuple[int, Datagram]) -> int:
    return item[0]


def _as_kept(address: VirtualAddress) -> IPInterface:
    """An address as a kernel keeps it: the prefix length is its peer's, if it has one."""
    if address.peer is None:
        return address.address
    return type(address.address)((address.ip.packed, address.peer.network.prefixlen))
