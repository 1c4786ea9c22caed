"""One raw socket and the virtual routers that listen on it: from a packet to an event for the right one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Final

from pyvrrp.engine.streams import Dropped, Noticed, Report
from pyvrrp.errors import DropReason, PacketError
from pyvrrp.net.system import AdvertisementSocket, Datagram, Link
from pyvrrp.protocol.constants import IPAddress
from pyvrrp.protocol.events import AdvertisementReceived
from pyvrrp.protocol.headers import IpHeader
from pyvrrp.protocol.receive import Notice, Received, Receiver, receive

if TYPE_CHECKING:
    from pyvrrp.engine.batch import Batch
    from pyvrrp.engine.instance import InstanceRunner

DRAIN_MAX: Final = 512
"""Packets read from one socket in one wake-up; then others get their turn, and no deadline is believed meanwhile."""

REPORT_INTERVAL_US: Final = 1_000_000
"""One kind of complaint is reported at most once a second; what comes in between is counted."""


class Complaints:
    """Counts what is wrong with packets and reports each kind at a bounded rate; bounded, as kinds are."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: dict[tuple[str | None, str], tuple[int, int, Callable[[int], Report] | None]] = {}

    @property
    def next_deadline_us(self) -> int | None:
        """When a held-back report is due; None when there is none."""
        return min((at for at, count, _ in self._pending.values() if count), default=None)

    def add(self, kind: tuple[str | None, str], now_us: int, make: Callable[[int], Report], batch: Batch) -> None:
        """One more of that kind: report it now, or keep it for the next report."""
        next_us, count, _ = self._pending.get(kind, (now_us, 0, None))
        if now_us >= next_us:
            batch.report(make(count + 1))
            self._pending[kind] = (now_us + REPORT_INTERVAL_US, 0, None)
        else:
            self._pending[kind] = (next_us, count + 1, make)

    def flush(self, now_us: int, batch: Batch) -> None:
        """Report what was held back long enough."""
        for kind, (next_us, count, make) in list(self._pending.items()):
            if now_us < next_us:
                continue
            if make is None:
                del self._pending[kind]
            else:
                batch.report(make(count))
                self._pending[kind] = (now_us + REPORT_INTERVAL_US, 0, None)


class Listener:
    """
    A socket for (interface, family, group or own unicast address) with its virtual routers by VRID.

    Attributes:
        interface: Name of the interface.
        index: Its index; a recreated interface needs another socket.
        changed: A packet has moved a deadline to an earlier time since this was last looked at.
        group: Multicast group, None in unicast mode.
        own: Own address in unicast mode, None in multicast mode.
        counters: Dropped packets that belong to no virtual router here, by reason.
        stale: An address that is sent from was taken away, and with it perhaps all that the kernel knew of this family
            on the interface, the membership in the group too (IPv6 off, a tiny MTU): to be opened anew.
    """

    __slots__ = (
        "_passed",
        "_receivers",
        "changed",
        "complaints",
        "counters",
        "group",
        "index",
        "interface",
        "own",
        "runners",
        "sock",
        "stale",
    )

    def __init__(self, sock: AdvertisementSocket, link: Link, group: IPAddress | None) -> None:
        self.sock = sock
        self.group = group
        self.interface = link.name
        self.index = link.index
        self.changed = False
        self.stale = False
        self.own: IPAddress | None = None
        self.runners: dict[int, InstanceRunner] = {}
        self._receivers: dict[int, Receiver] = {}
        self._passed: dict[int, tuple[bytes, IpHeader, Received]] = {}
        self.counters: Counter[str] = Counter()
        self.complaints = Complaints()

    def add(self, runner: InstanceRunner) -> None:
        """Let a virtual router listen, or let it change what it accepts."""
        vrid = runner.settings.router.vrid
        self.runners[vrid] = runner
        self._receivers[vrid] = runner.receiver
        self._passed.pop(vrid, None)
        if runner.settings.unicast_peers:
            self.own = runner.source

    def discard(self, runner: InstanceRunner) -> None:
        """Let it listen no more."""
        vrid = runner.settings.router.vrid
        if self.runners.get(vrid) is runner:
            del self.runners[vrid], self._receivers[vrid]
            self._passed.pop(vrid, None)

    @property
    def destination(self) -> tuple[str, IPAddress | None]:
        """Interface and address of the packets it is for."""
        return self.interface, self.own if self.group is None else self.group

    def drain(self, now_us: int, batch: Batch, served: Collection[tuple[str, IPAddress | None]]) -> bool:
        """
        Read what has arrived and tell the virtual routers.

        Args:
            now_us: Time of arrival, as far as we can tell.
            batch: Takes what they answer.
            served: What the sockets of this engine are for; a raw socket may hear what is meant for another of them.

        Returns:
            Whether everything was read; False when the bound was met and more may wait.

        Raises:
            KernelError: The socket is broken.
        """
        for _ in range(DRAIN_MAX):
            try:
                datagram = self.sock.receive()
            except PacketError as error:
                self._drop(error, None, now_us, batch)
                continue
            if datagram is None:
                return True
            self._take(datagram, now_us, batch, served)
        return False

    def _take(
        self, datagram: Datagram, now_us: int, batch: Batch, served: Collection[tuple[str, IPAddress | None]]
    ) -> None:
        header = datagram.header
        meant = (self.interface, header.destination)
        if meant != self.destination and meant in served:
            return
        try:
            received = self._check(datagram.payload, header)
        except PacketError as error:
            self._drop(error, header.source, now_us, batch)
            return
        runner = self.runners[received.receiver.vrid]
        runner.count("advertisements-received")
        if not received.advertisement.priority:
            runner.count("priority-zero-received")
        for notice in received.warnings:
            runner.count(f"noticed-{notice.value}")
            make = partial(_noticed, runner.settings.name, notice, header.source, received.explain(notice))
            self.complaints.add((runner.settings.name, notice.value), now_us, make, batch)
        before_us = runner.next_deadline_us
        runner.tell(AdvertisementReceived(received.advertisement, header.source), now_us, batch)
        after_us = runner.next_deadline_us
        if before_us is None or after_us is None or after_us < before_us:
            self.changed = True  # else the engine wakes at the old deadline and looks again: that costs less

    def _check(self, payload: bytes, header: IpHeader) -> Received:
        """The receive checks; octets that passed them a moment ago pass again (one packet for each VRID is kept)."""
        vrid = payload[1] if len(payload) > 1 else 0
        known = self._passed.get(vrid)
        if known is not None and known[0] == payload and known[1] == header:
            return known[2]
        received = receive(payload, header, self._receivers)
        self._passed[vrid] = (payload, header, received)
        return received

    def _drop(self, error: PacketError, source: IPAddress | None, now_us: int, batch: Batch) -> None:
        runner = None if error.vrid is None else self.runners.get(error.vrid)
        if runner is None:
            self.counters[error.reason.value] += 1
        else:
            runner.count(error.reason.value)
        if error.reason is DropReason.OWN_SOURCE:
            return  # D10: counted, not said
        name = None if runner is None else runner.settings.name
        make = partial(_dropped, self.interface, name, error, source)
        self.complaints.add((name, error.reason.value), now_us, make, batch)


def _dropped(interface: str, name: str | None, error: PacketError, source: IPAddress | None, count: int) -> Dropped:
    return Dropped(interface, name, error.reason, source, error.detail, count)


def _noticed(name: str, notice: Notice, source: IPAddress, detail: str, count: int) -> Noticed:
    return Noticed(name, notice, source, detail, count)
