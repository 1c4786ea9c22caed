"""One instance on its interface: facts of the world become events, the state machine's wishes become calls to `net`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pyvrrp.engine.announcer import Announcer, Frame
from pyvrrp.engine.batch import Batch
from pyvrrp.engine.inventory import Inventory
from pyvrrp.engine.listener import Listener
from pyvrrp.engine.reports import Entered, InstanceStatus, Remarked
from pyvrrp.engine.settings import InstanceSettings, Key
from pyvrrp.net.links import primary_address
from pyvrrp.net.system import Datagram, Link, System, VirtualAddress
from pyvrrp.protocol.actions import (
    Action,
    Announce,
    AskGroup,
    Burst,
    InstallVips,
    Note,
    Remark,
    RemoveVips,
    SendAdvertisement,
    Transition,
)
from pyvrrp.protocol.advertisement import Advertisement, encode
from pyvrrp.protocol.announcing import AnnouncementPlan
from pyvrrp.protocol.constants import (
    AUTH_DATA_LENGTH,
    HEADER_LENGTH,
    PRIORITY_OWNER,
    PRIORITY_RELEASE,
    TTL,
    Family,
    IPAddress,
)
from pyvrrp.protocol.events import (
    GROUP,
    AdvertisementReceived,
    DeadlineReached,
    Drain,
    Event,
    FaultCleared,
    FaultRaised,
    PriorityChanged,
    Shutdown,
    Startup,
    VipsMissing,
)
from pyvrrp.protocol.headers import HARDWARE_ADDRESS_LENGTH, IpHeader
from pyvrrp.protocol.neighbours import announcement
from pyvrrp.protocol.receive import Receiver, is_link_local
from pyvrrp.protocol.router import VirtualRouter
from pyvrrp.protocol.states import State

if TYPE_CHECKING:
    from pyvrrp.engine.group import GroupRunner

RETRY_US: Final = 1_000_000
"""An address that could not be installed or removed is tried again after this time."""

TOGETHER_US: Final = 5_000
"""
A repetition that the kernel's filter kept may have come before what is handed up though its time is later by that much:
the one has the time of the filter's work, the other that of its arrival, and of a batch all arrive before any is looked
at. Repetitions are a whole interval apart.
"""

INTERFACE: Final = "interface"
ADDRESS: Final = "address"
SOCKET: Final = "socket"
_OWN_CAUSES: Final = frozenset({INTERFACE, ADDRESS, SOCKET, GROUP})
"""Causes of the faults the engine decides itself; those of trackers come from control under their own names."""

_DEADLINE: Final = DeadlineReached()

_NO_ADDRESS: Final[Mapping[Family, IPAddress]] = {Family.V4: IPv4Address(0), Family.V6: IPv6Address(0)}


def _told(cause: str) -> str:
    """Control's word for a cause; should it be one of ours, the two must not end each other's faults."""
    return f"told:{cause}" if cause in _OWN_CAUSES else cause


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
        drained: It was told to stay out.
        group: The sync group that it is a member of, None if it moves alone.
        prepared: What it needs to take over is laid out, see `prepare`.
        reign: Another number whenever what it wanted to announce so far must not be announced any more.
    """

    __slots__ = (
        "_addresses",
        "_again",
        "_announcer",
        "_datagrams",
        "_frames",
        "_homes",
        "_inventory",
        "_keep_addresses",
        "_later",
        "_native",
        "_over",
        "_plan",
        "_pruned",
        "_refused",
        "_restart",
        "_retry_us",
        "_ticks",
        "_to_remove",
        "counters",
        "drained",
        "group",
        "held",
        "link",
        "listener",
        "prepared",
        "reign",
        "router",
        "settings",
        "source",
        "started",
    )

    def __init__(
        self,
        settings: InstanceSettings,
        inventory: Inventory,
        announcer: Announcer,
        now_us: int,
        ticks: dict[int, InstanceRunner] | None = None,
    ) -> None:
        self.settings = settings
        self.router = VirtualRouter(settings.router, _NO_ADDRESS[settings.router.family], now_us)
        self.link: Link | None = None
        self.source: IPAddress | None = None
        self.listener: Listener | None = None
        self.counters: Counter[str] = Counter()
        self.held = set(settings.awaited)
        self.started = False
        self.drained = False
        self.group: GroupRunner | None = None
        self.reign = 0
        self._restart = False
        self._inventory = inventory
        self._announcer = announcer
        # For each interval a MASTER that the others keep step with, so that one wake-up serves them all.
        self._ticks: dict[int, InstanceRunner] = {} if ticks is None else ticks
        self._plan = AnnouncementPlan(settings.announcements)
        self._datagrams: dict[int, tuple[Datagram, ...]] = {}
        self._frames: dict[int, tuple[VirtualAddress, Link, Frame]] = {}
        self.prepared = False
        self._pruned = False  # a reload took addresses away, of which announcements may be under way
        self._addresses = (*settings.vips, *settings.excluded)
        self._keep_addresses = False
        # An owner's addresses that were there before: not ours to remove.
        self._native: frozenset[VirtualAddress] = frozenset()
        # Index of each interface that addresses were installed on: it may have another name when they must go.
        self._homes: dict[str, int] = {}
        self._over: list[str] = []
        self._refused: set[VirtualAddress] = set()
        self._retry_us: int | None = None
        self._to_remove: list[VirtualAddress] = []
        # The advertisement whose repetitions the socket keeps to itself.
        self._again: AdvertisementReceived | None = None
        # A repetition that came after what is handed up just now, and when.
        self._later: tuple[int, AdvertisementReceived] | None = None

    @property
    def key(self) -> Key:
        """What it is known by over a reload."""
        return self.settings.key

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
    def advertisement_length(self) -> int:
        """Octets of its VRRP message, which a peer's is as long as."""
        settings = self.settings
        auth = AUTH_DATA_LENGTH if settings.router.version == 2 else 0
        return HEADER_LENGTH + len(settings.vips) * settings.router.family.address_length + auth

    @property
    def next_deadline_us(self) -> int | None:
        """When `wake` has something to do; None for never. While it is armed its listener knows that of the router."""
        at_us = self.router.next_deadline_us if self._again is None else None
        other_us = self._plan.next_deadline_us if self._retry_us is None else self._other_deadline_us()
        if other_us is None:
            return at_us
        return other_us if at_us is None or other_us < at_us else at_us

    def _other_deadline_us(self) -> int | None:
        return min((at for at in (self._plan.next_deadline_us, self._retry_us) if at is not None), default=None)

    def count(self, counter: str) -> None:
        """One more of that."""
        self.counters[counter] += 1

    def tell(self, event: Event, now_us: int, batch: Batch) -> None:
        """Hand an event to the state machine and put its wishes into the batch."""
        if self._again is not None:
            self.disarm()
        actions = self.router.handle(event, now_us)
        for action in actions:
            self._GRANTS[type(action)](self, action, now_us, batch)
        if self.group is not None:
            self.group.told(self.settings.name, event, actions, now_us, batch)
        if self._restart and self.router.state is State.INITIALIZE:
            self._restart = False
            self.tell(Startup(), now_us, batch)

    def hear(self, event: AdvertisementReceived, came_us: int, now_us: int, batch: Batch) -> None:
        """
        Take an advertisement that was handed up.

        One whose repetitions are kept may have been repeated after it: then that comes after it here too, and after all
        others that came before the repetition.
        """
        again = self._again
        if again is not None:
            listener = self.listener
            assert listener is not None
            heard_us = listener.sock.heard_us(self.settings.router.vrid)
            if heard_us > came_us + min(TOGETHER_US, self.router.master_adver_interval_us // 2):
                self._again = None
                listener.disarm(self.settings.router.vrid)
                self._later = heard_us, again
                listener.later.append(self)
        if self._later is not None and self._later[0] <= came_us:
            self.hear_later(now_us, batch)
        self.tell(event, now_us, batch)

    def hear_later(self, now_us: int, batch: Batch) -> None:
        """Hear the repetition that came after all that was handed up so far."""
        if self._later is not None:
            (_, event), self._later = self._later, None
            self.tell(event, now_us, batch)

    def arm(self, event: AdvertisementReceived, datagram: Datagram, came_us: int) -> None:
        """Let the socket keep the repetitions of the advertisement just heard, if they would change nothing."""
        if self._later is None and self.listener is not None and self.router.would_only_wait(event):
            self.listener.arm(self.settings.router.vrid, datagram, came_us)
            self._again = event

    def disarm(self) -> None:
        """Hear every advertisement again, and learn of those that the socket kept."""
        if self._again is not None and self.listener is not None:
            self.listener.disarm(self.settings.router.vrid)
            self.catch_up()
        self._again = None

    def catch_up(self) -> None:
        """Learn of the advertisements that the socket kept."""
        if self.listener is None:
            return
        vrid, sock, router = self.settings.router.vrid, self.listener.sock, self.router
        self.counters["advertisements-received"] += sock.take_repetitions(vrid)
        if self._again is not None:
            heard_us = sock.heard_us(vrid)
            if router.master_heard_us is None or heard_us > router.master_heard_us:
                router.heard_again(heard_us)

    def wake(self, now_us: int, batch: Batch) -> None:
        """Do what is due."""
        if self.router.tick(now_us):
            priority = self.router.effective_priority
            if self.source is not None and self.listener is not None:
                batch.send(self, self._datagrams.get(priority) or self._advertisements(priority), priority)
        else:
            self.tell(_DEADLINE, now_us, batch)
        if self._plan.next_deadline_us is not None and (rounds := self._plan.due(now_us)):
            batch.announce(self, rounds, self._addresses)
        if self._retry_us is not None and now_us >= self._retry_us:
            self._retry_us = None
            self._retry(batch)

    def release(self, cause: str, now_us: int, batch: Batch) -> None:
        """A tracker has no objection: a fault ends, or the start comes nearer."""
        self.held.discard(cause)
        self.tell(FaultCleared(_told(cause)), now_us, batch)
        self.start(now_us, batch)

    def object(self, cause: str, detail: str, now_us: int, batch: Batch) -> None:
        """A tracker objects."""
        self.held.discard(cause)
        self.fail(cause, detail, now_us, batch)
        self.start(now_us, batch)

    def fail(self, cause: str, detail: str, now_us: int, batch: Batch) -> None:
        """A tracker objects; who has not started does not start for it."""
        self.tell(FaultRaised(_told(cause), detail), now_us, batch)

    def start(self, now_us: int, batch: Batch) -> None:
        """Start once nothing is awaited any more."""
        if not (self.started or self.held or self.drained):
            self.started = True
            self.tell(Startup(), now_us, batch)

    def stop(self, now_us: int, batch: Batch, *, keep_addresses: bool = False) -> None:
        """End in order; the addresses may be left where they are."""
        self._keep_addresses = keep_addresses
        self._restart = False
        self.tell(Shutdown(), now_us, batch)

    def drain(self, now_us: int, batch: Batch) -> None:
        """End without a gap: a MASTER says goodbye and serves on until its successor is heard."""
        self._restart = False
        self.tell(Drain(0 if self.group is None else self.group.handover_us), now_us, batch)

    def stay_out(self, now_us: int, batch: Batch) -> None:
        """Hand over and take no part until `take_part`."""
        if not self.drained:
            self.drained = True
            self._restart = False
            self.drain(now_us, batch)

    def take_part(self, now_us: int, batch: Batch) -> None:
        """Start again; one that still hands over does so when it has."""
        if not self.drained:
            return
        self.drained = False
        if not self.started:
            self.start(now_us, batch)
        elif self.router.state is State.INITIALIZE:
            self.tell(Startup(), now_us, batch)
        else:
            self._restart = True

    def attach(self, listener: Listener | None) -> None:
        """Use that socket from now on; None: there is none."""
        self.disarm()
        self._later = None
        if self.listener is not None:
            self.catch_up()
            self.listener.discard(self)
        self.listener = listener
        if listener is not None:
            listener.add(self)

    def look(self, now_us: int, batch: Batch, *, fresh: bool) -> None:
        """
        Learn what is true of the interface now: is it there, is it up, which address do we send from.

        New faults are told at once; those that are over wait for `settle`, lest a state is entered for a moment.

        Args:
            now_us: Monotonic time.
            batch: Takes wishes.
            fresh: What is known of addresses is no older than the last change of ours.
        """
        settings = self.settings
        before, self.link = self.link, self._inventory.links.get(settings.interface)
        link = self.link
        self.prepared = self.prepared and link == before
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
            self._look_for_source(link, now_us, batch)
        if self.router.state is not State.MASTER and (fresh or not self.started):
            native = filter(self._inventory.is_native, self._addresses) if self.router.owner else ()
            self._native = frozenset(native)

    def no_socket(self, detail: str | None, now_us: int, batch: Batch) -> None:
        """The socket could not be opened, or (None) it could."""
        self._judge(SOCKET, detail, now_us, batch)

    def settle(self, now_us: int, batch: Batch, *, fresh: bool) -> None:
        """All is looked at: faults that are over end, addresses that are missing are put back if one can tell."""
        over, self._over = self._over, []
        for cause in over:
            if cause in self.router.faults:  # else it would only be heard again, whoever is armed
                self.tell(FaultCleared(cause), now_us, batch)
        if fresh and self.router.state is State.MASTER:
            missing = [
                a for a in self._addresses if a.tracked and a not in self._refused and self._inventory.find(a) is None
            ]
            if missing:
                self.tell(VipsMissing(tuple(address.ip for address in missing)), now_us, batch)

    def update(self, settings: InstanceSettings, now_us: int, batch: Batch) -> None:
        """Take new settings of the same key: the state survives, the difference is applied. `start` may be due then."""
        before = self.settings
        self.disarm()
        if settings.name != before.name:
            self.group = None  # it knows the old one
        self.settings = replace(before, name=settings.name)  # whatever is told from now on, it has the new name
        was_owner, is_owner = (one.router.priority == PRIORITY_OWNER for one in (before, settings))
        restart = was_owner != is_owner or before.router.version != settings.router.version
        if restart:
            self.group = None  # the others go on meanwhile
            self.stop(now_us, batch)
            self.router = VirtualRouter(settings.router, self.router.primary, now_us)
            self.started = False
            self.held = set(settings.awaited)
        elif not self.started:
            self.held = self.held & settings.awaited | settings.awaited - before.awaited
        old_addresses, self._addresses = self._addresses, (*settings.vips, *settings.excluded)
        self._refused.intersection_update(self._addresses)
        self.settings = settings
        self.router.settings = settings.router
        self._datagrams.clear()
        ours = frozenset(self._addresses)
        if not ours.issuperset(old_addresses):
            self._pruned = self.router.state is State.MASTER
            gone = {octets for address, _, (_, _, octets) in self._frames.values() if address not in ours}
            self._announcer.forget(self, gone)
        self._frames.clear()
        self.prepared = False
        if self.listener is not None:
            self.listener.add(self)
        if before.router.priority != settings.router.priority:
            self.tell(PriorityChanged(settings.router.priority), now_us, batch)
        for cause in set(self.router.faults) - _OWN_CAUSES - set(map(_told, settings.awaited)):
            self.tell(FaultCleared(cause), now_us, batch)
        if before.router.advertisement_interval_us != settings.router.advertisement_interval_us:
            self._take_interval(now_us)
        if before.announcements != settings.announcements:
            self._plan = AnnouncementPlan(settings.announcements)
            if self.router.state is State.MASTER:
                self._plan.begin(Burst.MASTER, now_us)  # what the old plan still had in mind
        if self.router.state is State.MASTER:
            self._remove([address for address in old_addresses if address not in self._addresses], batch)
            new = [address for address in self._addresses if address not in old_addresses]
            self._native |= frozenset(filter(self._inventory.is_native, new if is_owner else ()))
            self._install(new, batch)
            if new:
                batch.announce(self, settings.announcements.repeat, new)
            if not self.router.handing_over:  # that would call the successor back
                priority = self.router.effective_priority
                batch.send(self, self._advertisements(priority), priority)

    def announce(self, rounds: int, addresses: Sequence[VirtualAddress], now_us: int) -> None:
        """Put announcements on the wire, or into the queue where they are paced."""
        if self.router.handing_over:
            return  # the successor announces them
        if self._pruned:
            ours = frozenset(self._addresses)
            addresses = [address for address in addresses if address in ours]
        frames = []
        for address in addresses:
            if self._refused and address in self._refused:
                continue
            link = self._inventory.links.get(address.interface)
            if link is not None and (frame := self._frame(address, link)) is not None:
                frames.append(frame)
        settings = self.settings.announcements
        self._announcer.send(
            self,
            frames,
            rounds,
            arp_interval_us=settings.arp_interval_us,
            na_interval_us=settings.na_interval_us,
            now_us=now_us,
        )

    def _frame(self, address: VirtualAddress, link: Link) -> Frame | None:
        """The announcement of an address, the same object until its link changes; None where there is nobody to ask."""
        if not link.arp or link.loopback or len(link.hardware_address) != HARDWARE_ADDRESS_LENGTH:
            return None
        entry = self._frames.get(id(address))
        if entry is None or (entry[1] is not link and entry[1] != link):
            octets = announcement(address.ip, link.hardware_address)
            entry = (address, link, (link.index, address.address.version, octets))
            self._frames[id(address)] = entry
        return entry[2]

    def prepare(self, system: System) -> None:
        """
        Lay out in octets all that a take-over sends, while there is time.

        Raises:
            KernelError: The kernel gave no socket for it.
        """
        self.prepared = True
        if self.source is not None and self.listener is not None:
            for priority in (self.router.effective_priority, PRIORITY_RELEASE):
                self.listener.sock.prepare(self._advertisements(priority))
        frames = []
        for address in self._addresses:
            link = self._inventory.links.get(address.interface)
            if link is not None and (frame := self._frame(address, link)) is not None:
                frames.append((frame[0], frame[2]))
        system.prepare(self._addresses, frames)

    def address_failed(self, address: VirtualAddress, *, installing: bool, now_us: int) -> None:
        """The kernel refused: try again later."""
        self.count("address-errors")
        if installing:
            self._refused.add(address)
        else:
            self._to_remove.append(address)
        self._retry_us = now_us + RETRY_US

    def address_there(self, address: VirtualAddress) -> None:
        """The kernel has it; an older change may have failed and be heard of only now."""
        if self._refused:
            self._refused.discard(address)

    def status(self, present: Collection[tuple[str, IPAddress]]) -> InstanceStatus:
        """What is true of it now; *present* are the addresses the kernel has, by interface name."""
        self.catch_up()
        router, settings = self.router, self.settings
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
            addresses=tuple(a.ip for a in self._addresses if (a.interface, a.ip) in present),
            drained=self.drained,
            counters={name: count for name, count in self.counters.items() if count},
        )

    # What is done for each wish of the state machine.

    def _send(self, action: SendAdvertisement, _now_us: int, batch: Batch) -> None:
        if self.source is not None and self.listener is not None:
            priority = action.priority
            batch.send(self, self._datagrams.get(priority) or self._advertisements(priority), priority)

    def _install_vips(self, action: InstallVips, _now_us: int, batch: Batch) -> None:
        missing = action.missing
        self._install([a for a in self._addresses if a.ip in missing] if missing else self._addresses, batch)

    def _remove_vips(self, _action: RemoveVips, _now_us: int, batch: Batch) -> None:
        self._be_quiet()
        self._refused.clear()
        if not self._keep_addresses:
            self._remove(self._addresses, batch)

    def _announce(self, action: Announce, now_us: int, batch: Batch) -> None:
        if rounds := self._plan.begin(action.burst, now_us):
            batch.announce(self, rounds, self._addresses)

    def _move(self, action: Transition, _now_us: int, batch: Batch) -> None:
        if action.state is State.MASTER:
            self.count("became-master")
            self._fall_into_step()
        elif action.previous is State.MASTER:
            self.count("released-master")
        batch.report(Entered(self.settings.name, action))

    def _remark(self, action: Remark, _now_us: int, batch: Batch) -> None:
        if action.note is Note.PRIORITY:
            self.prepared = False
        if action.note is Note.OVERSLEPT or action.note is Note.HANDOVER:
            self._be_quiet()  # what it announced now might be another's
        batch.report(Remarked(self.settings.name, action))

    def _ask_group(self, _action: AskGroup, _now_us: int, _batch: Batch) -> None:
        self.count("asked-group")

    _GRANTS: ClassVar[Mapping[type[Action], Callable[[InstanceRunner, Any, int, Batch], None]]] = {
        SendAdvertisement: _send,
        InstallVips: _install_vips,
        RemoveVips: _remove_vips,
        Announce: _announce,
        Transition: _move,
        Remark: _remark,
        AskGroup: _ask_group,
    }

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

    def _fall_into_step(self) -> None:
        """Send the next advertisement no later than it is due, but together with another MASTER of that interval."""
        router, interval_us = self.router, self.settings.router.advertisement_interval_us
        leader = self._ticks.get(interval_us)
        if leader is None or not leader.leads(interval_us):
            self._ticks[interval_us] = self
        elif leader is not self and router.next_deadline_us is not None:
            assert leader.router.next_deadline_us is not None
            router.next_deadline_us -= (router.next_deadline_us - leader.router.next_deadline_us) % interval_us

    def leads(self, interval_us: int) -> bool:
        """Whether others can keep step with it."""
        router = self.router
        return (
            router.state is State.MASTER
            and router.next_deadline_us is not None
            and router.settings.advertisement_interval_us == interval_us
        )

    def _be_quiet(self) -> None:
        self.reign += 1
        self._pruned = False
        self._plan.stop()
        self._announcer.forget(self)

    def _install(self, addresses: Sequence[VirtualAddress], batch: Batch) -> None:
        for name in {address.interface for address in addresses}:
            if (link := self._inventory.links.get(name)) is not None:
                self._homes[name] = link.index
        if self._refused:
            self._refused.difference_update(addresses)
        batch.install(self, addresses)

    def _remove(self, addresses: Iterable[VirtualAddress], batch: Batch) -> None:
        batch.remove(self, [self._at_home(address) for address in addresses if address not in self._native])

    def _at_home(self, address: VirtualAddress) -> VirtualAddress:
        """The address on the interface that it was put on, should that have been renamed."""
        home = self._homes.get(address.interface)
        name = None if home is None else self._inventory.name_of(home)
        return address if name is None else replace(address, interface=name)

    def _take_interval(self, now_us: int) -> None:
        """The own interval is another: what was armed with the old one may be far too late, or too early."""
        router, interval_us = self.router, self.settings.router.advertisement_interval_us
        if router.handing_over:
            return
        if router.state is State.MASTER:
            router.master_adver_interval_us = interval_us
            router.next_deadline_us = now_us + interval_us
        elif router.settings.version == 2 or router.master is None:  # version 3 goes by the master's
            router.master_adver_interval_us = interval_us
            if router.state is State.BACKUP:
                router.next_deadline_us = now_us + router.master_down_interval_us

    def _judge(self, cause: str, detail: str | None, now_us: int, batch: Batch) -> None:
        if detail is None:
            self._over.append(cause)
            return
        self.tell(FaultRaised(cause, detail), now_us, batch)
        self.router.faults[cause] = detail  # it may be another than at first

    def _look_for_source(self, link: Link, now_us: int, batch: Batch) -> None:
        settings, family = self.settings, self.settings.router.family
        source = settings.source
        if source is None:
            here = self._inventory.addresses_of(link)
            vips = frozenset() if self.router.owner else frozenset(address.ip for address in self._addresses)
            still_there = self.source not in vips and any(a.address.ip == self.source and not a.tentative for a in here)
            source = self.source if still_there else primary_address(link, here, family, vips)
        kind = "IPv4" if family is Family.V4 else "IPv6 link-local"
        # Before the old one is forgotten: the last word of a MASTER is sent from it.
        self._judge(ADDRESS, None if source is not None else f"no {kind} address for interface", now_us, batch)
        if source != self.source:
            self.disarm()
            self.source = source
            self.router.primary = source if source is not None else _NO_ADDRESS[family]
            self._datagrams.clear()
            self.prepared = False
            if self.listener is not None:
                self.listener.add(self)

    def _retry(self, batch: Batch) -> None:
        to_remove, self._to_remove = self._to_remove, []
        if self.router.state is not State.MASTER:
            batch.remove(self, to_remove)
            return
        batch.remove(self, [address for address in to_remove if address not in self._addresses])
        if refused := [address for address in self._addresses if address in self._refused]:
            self._install(refused, batch)
            batch.announce(self, self.settings.announcements.repeat, refused)
