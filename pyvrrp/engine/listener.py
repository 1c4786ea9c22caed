"""
One raw socket and the virtual routers that listen on it: from a packet to an event for the right one.

An advertisement that would only restart a down timer again is armed: the socket keeps its repetitions to itself. Whose
master may be silent is then asked of the socket, when the earliest of them could be: `patience_us`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Final

from pyvrrp.engine.reports import Dropped, Noticed, Report, SocketStatus
from pyvrrp.errors import DropReason, PacketError
from pyvrrp.net.system import AdvertisementSocket, Datagram, Link, ReceivePath
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.events import AdvertisementReceived
from pyvrrp.protocol.headers import IpHeader
from pyvrrp.protocol.receive import Notice, Received, Receiver, receive

if TYPE_CHECKING:
    from pyvrrp.engine.batch import Batch
    from pyvrrp.engine.instance import InstanceRunner

BUSY: Final = 100
"""Packets in one `WINDOW_US` that are more than one wants to be woken for; from then on the socket is polled."""

CALM: Final = 25
"""So few in one window, and it wakes us again."""

WINDOW_US: Final = 100_000

POLLS: Final = 5
"""How often a busy socket is read in the shortest advertisement interval, within these bounds."""

POLL_MIN_US: Final = 4_000
POLL_MAX_US: Final = 20_000

STRANGERS: Final = 32
"""Packets not for us that are looked at in one `LOOK_US`; of more, only a share is."""

LOOK_US: Final = 1_000_000

SHARE_STEP: Final = 8
SHARE_MAX: Final = 4096

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


class _Bracket:
    """Armed virtual routers whose Master_Down_Intervals are alike, within a factor of two."""

    __slots__ = ("down_us", "floor_us", "vrids")

    def __init__(self) -> None:
        self.vrids: list[int] = []
        self.down_us = 0  # the shortest
        self.floor_us = 0  # nobody is due before

    def add(self, vrid: int, down_us: int) -> None:
        self.down_us = down_us if not self.vrids else min(down_us, self.down_us)
        self.vrids.append(vrid)

    def next_us(self, sock: AdvertisementSocket) -> int:
        """When somebody may be due at the earliest."""
        return max(sock.oldest_us(self.vrids) + self.down_us, self.floor_us)


class Listener:
    """
    A socket for (interface, family, group or own unicast address) with its virtual routers by VRID.

    Attributes:
        interface: Name of the interface.
        family: IPv4 or IPv6.
        index: Its index; a recreated interface needs another socket.
        changed: A deadline may have moved to an earlier time since this was last looked at.
        group: Multicast group, None in unicast mode.
        own: Own address in unicast mode, None in multicast mode.
        counters: Dropped packets that belong to no virtual router here, by reason; see `collect`.
        armed: Virtual routers whose master's repetitions the socket keeps, by VRID.
        later: Virtual routers that have a repetition to hear when all is read.
        polled: It is too busy to be woken for each packet.
        next_poll_us: When to read it even if nothing wakes us; None for never.
        estimated: Some of the counters are estimates.
        stale: An address that is sent from was taken away, and with it perhaps all that the kernel knew of this family
            on the interface, the membership in the group too (IPv6 off, a tiny MTU): to be opened anew.
    """

    __slots__ = (
        "_brackets",
        "_failed",
        "_load",
        "_look_us",
        "_passed",
        "_patience_us",
        "_poll_us",
        "_receivers",
        "_served",
        "_strangers",
        "_window_us",
        "armed",
        "changed",
        "complaints",
        "counters",
        "estimated",
        "family",
        "group",
        "index",
        "interface",
        "later",
        "next_poll_us",
        "own",
        "polled",
        "runners",
        "sock",
        "stale",
    )

    def __init__(self, sock: AdvertisementSocket, link: Link, family: Family, group: IPAddress | None) -> None:
        self.sock = sock
        self.family = family
        self.group = group
        self.interface = link.name
        self.index = link.index
        self.changed = False
        self.stale = False
        self.own: IPAddress | None = None
        self.runners: dict[int, InstanceRunner] = {}
        self.armed: dict[int, InstanceRunner] = {}
        self.later: list[InstanceRunner] = []
        self.polled = False
        self.next_poll_us: int | None = None
        self.estimated = False
        self._receivers: dict[int, Receiver] = {}
        self._passed: dict[int, tuple[bytes, IpHeader, Received]] = {}
        self._failed: dict[int, tuple[bytes, IpHeader, PacketError]] = {}
        self.counters: Counter[str] = Counter()
        self._served: tuple[frozenset[int], int] | None = None
        self._brackets: list[_Bracket] | None = None
        self._patience_us: int | None = None
        self._poll_us = POLL_MIN_US
        self._load = self._window_us = 0
        self._strangers = self._look_us = 0
        self.complaints = Complaints()

    def add(self, runner: InstanceRunner) -> None:
        """Let a virtual router listen, or let it change what it accepts."""
        vrid = runner.settings.router.vrid
        self.runners[vrid] = runner
        self._receivers[vrid] = runner.receiver
        self._passed.pop(vrid, None)
        self._failed.clear()
        if runner.settings.unicast_peers:
            self.own = runner.source

    def discard(self, runner: InstanceRunner) -> None:
        """Let it listen no more."""
        vrid = runner.settings.router.vrid
        if self.runners.get(vrid) is runner:
            del self.runners[vrid], self._receivers[vrid]
            self._passed.pop(vrid, None)
            self._failed.clear()

    def serve(self) -> None:
        """Tell the socket which packets are for us, if that has changed."""
        longest = max((runner.advertisement_length for runner in self.runners.values()), default=0)
        shortest_us = min((one.settings.router.advertisement_interval_us for one in self.runners.values()), default=0)
        self._poll_us = min(max(shortest_us // POLLS, POLL_MIN_US), POLL_MAX_US)
        served = frozenset(self.runners), longest
        if served != self._served:
            self._served = served
            self.sock.serve(*served)
            if self.sock.poll_us is not None and self.next_poll_us is None:
                self.next_poll_us = 0

    @property
    def destination(self) -> tuple[str, IPAddress | None]:
        """Interface and address of the packets it is for."""
        return self.interface, self.own if self.group is None else self.group

    def collect(self) -> None:
        """Learn what the socket's filter dropped and counted."""
        for vrid, counts in self.sock.take_unheard().items():
            runner = self.runners.get(vrid)
            (self.counters if runner is None else runner.counters).update(counts)

    def status(self) -> SocketStatus:
        """What is true of its socket now."""
        sock = self.sock
        return SocketStatus(
            interface=self.interface,
            family=self.family,
            path=str(sock.path),
            refused="" if sock.refused is None else str(sock.refused),
            share=sock.share,
            estimated=self.estimated,
            polled=self.polled,
        )

    # Repetitions that the socket keeps

    def arm(self, vrid: int, datagram: Datagram, came_us: int) -> None:
        """Hear no more of that advertisement."""
        self.sock.arm(vrid, datagram, came_us)
        self.armed[vrid] = self.runners[vrid]
        self._rearmed()

    def disarm(self, vrid: int) -> None:
        """Hear of every advertisement of that VRID again."""
        self.sock.disarm(vrid)
        self.armed.pop(vrid, None)
        self._rearmed()

    @property
    def patience_us(self) -> int | None:
        """When the first of the armed may have to be woken; None while there are none."""
        if not self.armed:
            return None
        if self._patience_us is None:
            self._patience_us = min(bracket.next_us(self.sock) for bracket in self._bracketed())
        return self._patience_us

    def overdue(self, now_us: int) -> list[InstanceRunner]:
        """Those of the armed whose master is silent: they are to be woken."""
        overdue = []
        for bracket in self._bracketed():
            if bracket.next_us(self.sock) > now_us:
                continue
            deadlines = []
            for vrid in bracket.vrids:
                runner = self.armed[vrid]
                runner.catch_up()
                deadline_us = runner.router.next_deadline_us
                assert deadline_us is not None
                if deadline_us <= now_us:
                    overdue.append(runner)
                else:
                    deadlines.append(deadline_us)
            bracket.floor_us = min(deadlines, default=0)
        self._patience_us = None
        return overdue

    def _bracketed(self) -> list[_Bracket]:
        if self._brackets is None:
            brackets: dict[int, _Bracket] = {}
            for vrid, runner in self.armed.items():
                down_us = runner.router.master_down_interval_us
                brackets.setdefault(down_us.bit_length(), _Bracket()).add(vrid, down_us)
            self._brackets = list(brackets.values())
        return self._brackets

    def regroup(self) -> None:
        """Work out anew when the first of the armed may be due."""
        self._patience_us = None

    def _rearmed(self) -> None:
        self._brackets = self._patience_us = None
        self.changed = True

    # Packets

    def drain(self, now_us: int, batch: Batch, served: Collection[tuple[str, IPAddress | None]]) -> bool:
        """
        Read what has arrived and tell the virtual routers.

        Args:
            now_us: The present.
            batch: Takes what they answer.
            served: What the sockets of this engine are for; a raw socket may hear what is meant for another of them.

        Returns:
            Whether everything was read; False when a bound was met and more may wait.

        Raises:
            KernelError: The socket is broken.
        """
        arrivals = self.sock.read(now_us)
        for came_us, datagram in arrivals:
            if isinstance(datagram, PacketError):
                self._drop(datagram, None, now_us, batch)
            else:
                self._take(datagram, came_us, now_us, batch, served)
        if self.later and not self.sock.more:
            later, self.later = self.later, []
            for runner in later:
                runner.hear_later(now_us, batch)
        self._judge_load(len(arrivals), now_us)
        poll_us = self._poll_us if self.polled else self.sock.poll_us
        self.next_poll_us = None if poll_us is None else now_us + poll_us
        return not self.sock.more

    def _judge_load(self, count: int, now_us: int) -> None:
        """See whether there is too much to be woken for each packet, and too much that is not for us."""
        self._load += count
        if self._load > BUSY:
            self.polled = True
        if now_us >= self._window_us:
            if self._load < CALM:
                self.polled = False
            self._load = 0
            self._window_us = now_us + WINDOW_US
        if self._strangers > STRANGERS:
            self._set_share(min(self.sock.share * SHARE_STEP, SHARE_MAX), now_us)
        elif now_us >= self._look_us:
            share = self.sock.share
            if share > 1 and self._strangers * SHARE_STEP < STRANGERS // 2:
                share = max(share // SHARE_STEP, 1)
            self._set_share(share, now_us)

    def _set_share(self, share: int, now_us: int) -> None:
        self._strangers = 0
        self._look_us = now_us + LOOK_US
        if share != self.sock.share:
            self.sock.set_share(share)

    def _take(
        self,
        datagram: Datagram,
        came_us: int,
        now_us: int,
        batch: Batch,
        served: Collection[tuple[str, IPAddress | None]],
    ) -> None:
        header = datagram.header
        meant = (self.interface, header.destination)
        if meant != self.destination and meant in served:
            return
        received = self._check(datagram.payload, header)
        if isinstance(received, PacketError):
            self._drop(received, header.source, now_us, batch)
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
        event = AdvertisementReceived(received.advertisement, header.source)
        runner.hear(event, came_us, now_us, batch)
        if not received.warnings:
            runner.arm(event, datagram, came_us)
        after_us = runner.next_deadline_us
        if before_us is None or after_us is None or after_us < before_us:
            self.changed = True  # else the engine wakes at the old deadline and looks again: that costs less

    def _check(self, payload: bytes, header: IpHeader) -> Received | PacketError:
        """The receive checks; octets that passed or failed a moment ago do so again (one of each kept for a VRID)."""
        vrid = payload[1] if len(payload) > 1 else 0
        known = self._passed.get(vrid)
        if known is not None and known[0] == payload and known[1] == header:
            return known[2]
        failed = self._failed.get(vrid)
        if failed is not None and failed[0] == payload and failed[1] == header:
            return failed[2]
        try:
            received = receive(payload, header, self._receivers)
        except PacketError as error:
            self._failed[vrid] = (payload, header, error.with_traceback(None))
            return error
        self._passed[vrid] = (payload, header, received)
        return received

    def _drop(self, error: PacketError, source: IPAddress | None, now_us: int, batch: Batch) -> None:
        runner = None if error.vrid is None else self.runners.get(error.vrid)
        weight = 1
        if self._is_stranger(error):
            self._strangers += 1
            if self.sock.path is not ReceivePath.EBPF:  # that one counts what it does not hand up
                weight = self.sock.share
                self.estimated = self.estimated or weight > 1
        counters = self.counters if runner is None else runner.counters
        counters[error.reason.value] += weight
        if error.reason is DropReason.OWN_SOURCE:
            return  # D10: counted, not said
        name = None if runner is None else runner.settings.name
        make = partial(_dropped, self.interface, name, error, source)
        self.complaints.add((name, error.reason.value), now_us, make, batch)

    def _is_stranger(self, error: PacketError) -> bool:
        """Whether it is of those of which the socket's filter hands up a share only."""
        if error.reason is DropReason.TTL:
            return self.group is not None
        return error.vrid is None or error.vrid not in self.runners


def _dropped(interface: str, name: str | None, error: PacketError, source: IPAddress | None, count: int) -> Dropped:
    return Dropped(interface, name, error.reason, source, error.detail, count)


def _noticed(name: str, notice: Notice, source: IPAddress, detail: str, count: int) -> Noticed:
    return Noticed(name, notice, source, detail, count)
