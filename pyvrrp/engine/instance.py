"""One instance on its interface: facts of the world become events, the state machine's wishes become calls to `net`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from pyvrrp.engine.announcer import Announcer
from pyvrrp.engine.batch import Batch
from pyvrrp.engine.listener import Listener
from pyvrrp.engine.streams import Entered, InstanceSettings, InstanceStatus, Remarked
from pyvrrp.net.links import primary_address
from pyvrrp.net.system import AssignedAddress, Datagram, Link, VirtualAddress
from pyvrrp.protocol.actions import (
    Action,
    Announce,
    AskGroup,
    InstallVips,
    Remark,
    RemoveVips,
    SendAdvertisement,
    Transition,
)
from pyvrrp.protocol.advertisement import Advertisement, encode
from pyvrrp.protocol.announcing import AnnouncementPlan
from pyvrrp.protocol.constants import PRIORITY_OWNER, PRIORITY_RELEASE, TTL, Family, IPAddress
from pyvrrp.protocol.events import (
    DeadlineReached,
    Event,
    FaultCleared,
    FaultRaised,
    PriorityChanged,
    Shutdown,
    Startup,
    VipsMissing,
)
from pyvrrp.protocol.headers import IpHeader
from pyvrrp.protocol.neighbours import announcement
from pyvrrp.protocol.receive import Receiver, is_link_local
from pyvrrp.protocol.router import VirtualRouter
from pyvrrp.protocol.states import State

RETRY_US: Final = 1_000_000
"""An address that could not be installed or removed is tried again after this time."""

INTERFACE: Final = "interface"
ADDRESS: Final = "address"
SOCKET: Final = "socket"
"""Causes of the faults the engine decides itself; those of trackers come from control under their own names."""

_NO_ADDRESS: Final[Mapping[Family, IPAddress]] = {Family.V4: IPv4Address(0), Family.V6: IPv6Address(0)}


@dataclass(frozen=True, slots=True)
class Key:
    """What makes two instances the same over a reload, and one socket serve several: all but the VRID is its socket."""

    interface: str
    family: Family
    destination: IPAddress | None
    source: IPAddress | None
    vrid: int


class InstanceRunner:
    """
    The state machine of one instance, connected to its interface.

    Attributes:
        settings: As configured.
        router: The state machine.
        link: Its interface, None while it does not exist.
        source: Source address of its advertisements, None while there is none.
        listener: Its socket, None while there is none.
        counters: Packets by kind, dropped ones by reason.
        held: Causes of which a first word is awaited before the start.
    """

    __slots__ = (
        "_addresses",
        "_announcer",
        "_datagrams",
        "_keep_addresses",
        "_links",
        "_plan",
        "_retry_us",
        "_to_remove",
        "counters",
        "held",
        "link",
        "listener",
        "router",
        "settings",
        "source",
        "started",
    )

    def __init__(
        self, settings: InstanceSettings, links: Mapping[str, Link], announcer: Announcer, now_us: int
    ) -> None:
        self.settings = settings
        self.router = VirtualRouter(settings.router, _NO_ADDRESS[settings.router.family], now_us)
        self.link: Link | None = None
        self.source: IPAddress | None = None
        self.listener: Listener | None = None
        self.counters: Counter[str] = Counter()
        self.held = set(settings.awaited)
        self.started = False
        self._links = links
        self._announcer = announcer
        self._plan = AnnouncementPlan(settings.announcements)
        self._datagrams: dict[int, tuple[Datagram, ...]] = {}
        self._addresses = (*settings.vips, *settings.excluded)
        self._keep_addresses = False
        self._retry_us: int | None = None
        self._to_remove: list[VirtualAddress] = []

    @property
    def key(self) -> Key:
        """What it is known by over a reload."""
        settings = self.settings
        return Key(
            settings.interface,
            settings.router.family,
            settings.destination,
            settings.source if settings.unicast_peers else None,
            settings.router.vrid,
        )

    @property
    def receiver(self) -> Receiver:
        """What it accepts, for the receive checks."""
        settings, router = self.settings, self.settings.router
        return Receiver(
            vrid=router.vrid,
            version=router.version,
            family=router.family,
            primary=self.router.primary,
            owner=router.priority == PRIORITY_OWNER,
            addresses=tuple(vip.ip for vip in settings.vips),
            advertisement_interval_us=router.advertisement_interval_us,
            auth_type=settings.auth_type,
            auth_data=settings.auth_data,
            unicast_peers=settings.unicast_peers,
            check_unicast_source=settings.check_unicast_source,
            ttl_bounds=settings.ttl_bounds,
            group=settings.destination,
            list_mismatch=settings.list_mismatch,
            # Whoever lists or sends as we do ourselves is no stranger (erratum 8300, decision D4).
            check_first_link_local=bool(settings.vips) and is_link_local(settings.vips[0].ip),
            check_source_link_local=not settings.unicast_peers and settings.source is None,
        )

    @property
    def next_deadline_us(self) -> int | None:
        """When `wake` has something to do; None for never."""
        candidates = (self.router.next_deadline_us, self._plan.next_deadline_us, self._retry_us)
        return min((at for at in candidates if at is not None), default=None)

    def count(self, counter: str) -> None:
        """One more of that."""
        self.counters[counter] += 1

    def tell(self, event: Event, now_us: int, batch: Batch) -> None:
        """Hand an event to the state machine and put its wishes into the batch."""
        for action in self.router.handle(event, now_us):
            self._grant(action, now_us, batch)

    def wake(self, now_us: int, batch: Batch) -> None:
        """Do what is due."""
        self.tell(DeadlineReached(), now_us, batch)
        if rounds := self._plan.due(now_us):
            batch.announce(self, rounds, self._addresses)
        if self._retry_us is not None and now_us >= self._retry_us:
            self._retry_us = None
            self._retry(now_us, batch)

    def release(self, cause: str, now_us: int, batch: Batch) -> None:
        """A tracker has no objection: a fault ends, or the start comes nearer."""
        self.held.discard(cause)
        self.tell(FaultCleared(cause), now_us, batch)
        self.start(now_us, batch)

    def object(self, cause: str, detail: str, now_us: int, batch: Batch) -> None:
        """A tracker objects."""
        self.held.discard(cause)
        self.tell(FaultRaised(cause, detail), now_us, batch)
        self.start(now_us, batch)

    def start(self, now_us: int, batch: Batch) -> None:
        """Start once nothing is awaited any more."""
        if not self.started and not self.held:
            self.started = True
            self.tell(Startup(), now_us, batch)

    def stop(self, now_us: int, batch: Batch, *, keep_addresses: bool = False) -> None:
        """End in order; the addresses may be left where they are."""
        self._keep_addresses = keep_addresses
        self.tell(Shutdown(), now_us, batch)

    def attach(self, listener: Listener | None) -> None:
        """Use that socket from now on; None: there is none."""
        if self.listener is not None:
            self.listener.discard(self)
        self.listener = listener
        if listener is not None:
            listener.add(self)

    def look(self, link: Link | None, addresses: Sequence[AssignedAddress], now_us: int, batch: Batch) -> None:
        """Learn what is true of the interface now: is it there, is it up, which address do we send from."""
        settings = self.settings
        self.link = link
        if link is None:
            self._judge(INTERFACE, f"interface {settings.interface} does not exist", now_us, batch)
        elif link.loopback:
            self._judge(INTERFACE, f"interface {settings.interface} is a loopback", now_us, batch)
        elif settings.track_interface and not link.usable:
            what = "has no carrier" if link.up else "is down"
            self._judge(INTERFACE, f"interface {settings.interface} {what}", now_us, batch)
        else:
            self._judge(INTERFACE, None, now_us, batch)
        if link is not None:
            self._look_for_source(link, addresses, now_us, batch)
            self._look_for_vips(addresses, now_us, batch)

    def no_socket(self, detail: str | None, now_us: int, batch: Batch) -> None:
        """The socket could not be opened, or (None) it could."""
        self._judge(SOCKET, detail, now_us, batch)

    def update(self, settings: InstanceSettings, now_us: int, batch: Batch) -> None:
        """Take new settings of the same key: the state survives, the difference is applied."""
        old_addresses, self._addresses = self._addresses, (*settings.vips, *settings.excluded)
        was_owner = self.settings.router.priority == PRIORITY_OWNER
        is_owner = settings.router.priority == PRIORITY_OWNER
        if was_owner != is_owner or self.settings.router.version != settings.router.version:
            self.stop(now_us, batch)
            self.router = VirtualRouter(settings.router, self.router.primary, now_us)
            self.started = False
            self.held = set(settings.awaited)
        self.settings = settings
        self.router.settings = settings.router
        self._plan.settings = settings.announcements
        self._datagrams.clear()
        if self.listener is not None:
            self.listener.add(self)
        self.tell(PriorityChanged(settings.router.priority), now_us, batch)
        for cause in set(self.router.faults) - {INTERFACE, ADDRESS, SOCKET} - settings.awaited:
            self.tell(FaultCleared(cause), now_us, batch)
        self.held &= settings.awaited
        if self.router.state is State.MASTER:
            gone = [address for address in old_addresses if address not in self._addresses]
            new = [address for address in self._addresses if address not in old_addresses]
            batch.remove(self, gone)
            batch.install(self, new)
            if new:
                batch.announce(self, settings.announcements.repeat, new)
            batch.send(self, self._advertisements(self.router.effective_priority))
        self.start(now_us, batch)

    def announce(self, rounds: int, addresses: Sequence[VirtualAddress], now_us: int) -> None:
        """Put announcements on the wire, or into the queue where they are paced."""
        frames = []
        for address in addresses:
            link = self._links.get(address.interface)
            if link is not None and link.arp and not link.loopback and len(link.hardware_address) == 6:
                frames.append((link.index, address.ip.version, announcement(address.ip, link.hardware_address)))
        settings = self.settings.announcements
        self._announcer.send(self, frames * rounds, settings.arp_interval_us, settings.na_interval_us, now_us)

    def address_failed(self, address: VirtualAddress, *, installing: bool, now_us: int) -> None:
        """The kernel refused: try again later."""
        self.count("address-errors")
        if not installing:
            self._to_remove.append(address)
        self._retry_us = now_us + RETRY_US

    def status(self, present: Iterable[tuple[str, IPAddress]]) -> InstanceStatus:
        """What is true of it now; *present* are the addresses the kernel has, by interface name."""
        router, settings = self.router, self.settings
        there = set(present)
        return InstanceStatus(
            name=settings.name,
            interface=settings.interface,
            vrid=settings.router.vrid,
            family=settings.router.family,
            version=settings.router.version,
            state=router.state,
            since_us=router.since_us,
            entered=router.entered,
            base_priority=settings.router.priority,
            effective_priority=router.effective_priority,
            source=self.source,
            master=router.master,
            master_priority=router.master_priority,
            master_heard_us=router.master_heard_us,
            advertisement_interval_us=settings.router.advertisement_interval_us,
            master_adver_interval_us=router.master_adver_interval_us,
            master_down_interval_us=router.master_down_interval_us,
            skew_time_us=router.skew_time_us,
            next_deadline_us=router.next_deadline_us,
            preempt_delay_until_us=router.preempt_delay_until_us,
            faults=dict(router.faults),
            held=tuple(sorted(self.held)),
            vips=tuple(address.ip for address in self._addresses),
            addresses=tuple(a.ip for a in self._addresses if (a.interface, a.ip) in there),
            counters=dict(self.counters),
        )

    def _grant(self, action: Action, now_us: int, batch: Batch) -> None:
        match action:
            case SendAdvertisement(priority):
                self.count("advertisements-sent")
                if priority == PRIORITY_RELEASE:
                    self.count("priority-zero-sent")
                if self.source is not None:
                    batch.send(self, self._advertisements(priority))
            case InstallVips(missing):
                wanted = [a for a in self._addresses if a.ip in missing] if missing else self._addresses
                batch.install(self, wanted)
            case RemoveVips():
                self._plan.stop()
                self._announcer.forget(self)
                if not self._keep_addresses:
                    batch.remove(self, self._addresses)
            case Announce(burst):
                if rounds := self._plan.begin(burst, now_us):
                    batch.announce(self, rounds, self._addresses)
            case Transition():
                if action.state is State.MASTER:
                    self.count("became-master")
                elif action.previous is State.MASTER:
                    self.count("released-master")
                batch.report(Entered(self.settings.name, action))
            case Remark():
                batch.report(Remarked(self.settings.name, action))
            case AskGroup():
                self.count("asked-group")

    def _advertisements(self, priority: int) -> tuple[Datagram, ...]:
        """The datagrams of that priority, one for each peer; built once until something in them changes."""
        ready = self._datagrams.get(priority)
        if ready is None:
            assert self.source is not None
            settings, router = self.settings, self.settings.router
            message = Advertisement(
                version=router.version,
                vrid=router.vrid,
                priority=priority,
                max_advertise_interval_us=router.advertisement_interval_us,
                addresses=tuple(vip.ip for vip in settings.vips),
                auth_type=settings.auth_type,
                auth_data=settings.auth_data,
            )
            group = settings.destination
            destinations = settings.unicast_peers if group is None else (group,)
            ttl = TTL if group is not None or settings.unicast_ttl is None else settings.unicast_ttl
            headers = [IpHeader(self.source, destination, ttl) for destination in destinations]
            ready = tuple(
                Datagram(header, encode(message, header, pseudo_header=settings.pseudo_header)) for header in headers
            )
            self._datagrams[priority] = ready
        return ready

    def _judge(self, cause: str, detail: str | None, now_us: int, batch: Batch) -> None:
        if detail is None:
            self.tell(FaultCleared(cause), now_us, batch)
        else:
            self.tell(FaultRaised(cause, detail), now_us, batch)

    def _look_for_source(self, link: Link, addresses: Sequence[AssignedAddress], now_us: int, batch: Batch) -> None:
        settings, family = self.settings, self.settings.router.family
        here = [assigned for assigned in addresses if assigned.index == link.index]
        source = settings.source
        if source is None:
            vips = frozenset() if self.router.owner else frozenset(address.ip for address in self._addresses)
            candidates = [a for a in here if a.address.ip == self.source and not a.tentative]
            still_there = self.source is not None and bool(candidates) and self.source not in vips
            source = self.source if still_there else primary_address(link, here, family, vips)
        if source != self.source:
            self.source = source
            self.router.primary = source if source is not None else _NO_ADDRESS[family]
            self._datagrams.clear()
            if self.listener is not None:
                self.listener.add(self)
        kind = "IPv4" if family is Family.V4 else "IPv6 link-local"
        self._judge(ADDRESS, None if source is not None else f"no {kind} address for interface", now_us, batch)

    def _look_for_vips(self, addresses: Sequence[AssignedAddress], now_us: int, batch: Batch) -> None:
        if self.router.state is not State.MASTER:
            return
        names = {link.index: link.name for link in self._links.values()}
        there = {(names.get(assigned.index), assigned.address) for assigned in addresses}
        missing = tuple(a.ip for a in self._addresses if (a.interface, a.address) not in there)
        if missing and self._retry_us is None:
            self.tell(VipsMissing(missing), now_us, batch)

    def _retry(self, now_us: int, batch: Batch) -> None:
        to_remove, self._to_remove = self._to_remove, []
        if self.router.state is State.MASTER:
            self.tell(VipsMissing(tuple(address.ip for address in self._addresses)), now_us, batch)
        else:
            batch.remove(self, to_remove)
