"""
What one wake-up wants of the kernel, gathered over all instances and carried out together.

The order is that of a take-over: advertisements first (they must not wait for addresses), then address changes in one
netlink batch, then announcements in one call, then reports, which wait while more addresses are in flight. What fails
is handed back to its instance, never lost. All but the advertisements goes to the applier, which may be some time about
it; the next wake-up's wishes queue behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeAlias

from pyvrrp.engine.announcer import Announcer
from pyvrrp.engine.applier import Applier
from pyvrrp.engine.reports import KernelFailed, Remarked, Report
from pyvrrp.errors import KernelError
from pyvrrp.net.system import Datagram, System, VirtualAddress
from pyvrrp.protocol.actions import Note, Remark
from pyvrrp.protocol.constants import PRIORITY_RELEASE

if TYPE_CHECKING:
    from pyvrrp.engine.instance import InstanceRunner
    from pyvrrp.engine.listener import Listener

    _Send: TypeAlias = tuple[InstanceRunner, Sequence[Datagram], int]
    _Change: TypeAlias = tuple[bool, InstanceRunner, VirtualAddress]
    _Results: TypeAlias = Sequence[KernelError | None]

_TOLD_MAX: Final = 1024
"""More reports are not kept back."""


_PIECE: Final = 64
"""So many addresses are announced while the next are installed."""


class _Wishes:
    """What one wake-up leaves to the applier."""

    __slots__ = ("addresses", "announcements", "reports")

    def __init__(self) -> None:
        self.addresses: list[_Change] = []
        # Each with the reign that it belongs to.
        self.announcements: list[tuple[InstanceRunner, int, int, Sequence[VirtualAddress]]] = []
        self.reports: list[Report] = []

    def __bool__(self) -> bool:
        return bool(self.addresses or self.announcements or self.reports)

    def pieces(self) -> list[_Wishes]:
        """The same in pieces, so that the first are announced while the last are installed; told is in the end."""
        if len(self.addresses) <= _PIECE or not all(installing for installing, _, _ in self.addresses):
            return [self]
        found = []
        homes: dict[int, _Wishes] = {}
        for start in range(0, len(self.addresses), _PIECE):
            piece = _Wishes()
            piece.addresses = self.addresses[start : start + _PIECE]
            homes.update((id(address), piece) for _, _, address in piece.addresses)
            found.append(piece)
        for runner, reign, rounds, addresses in self.announcements:
            for piece, some in groupby(addresses, lambda address: homes.get(id(address), found[-1])):
                piece.announcements.append((runner, reign, rounds, tuple(some)))
        found[-1].reports = self.reports
        return found


class Batch:
    """
    Wishes of one wake-up.

    Attributes:
        changes: How often addresses were changed; what was learned of them before the last time is old.
        refused: The kernel refused some since somebody last set this to False; their instances have a new deadline.
        regrouped: A sync group moved members since somebody last set this to False; likewise.
    """

    __slots__ = (
        "_announcer",
        "_applier",
        "_flying",
        "_sends",
        "_told",
        "_wishes",
        "changes",
        "refused",
        "regrouped",
    )

    def __init__(self, applier: Applier | None = None, announcer: Announcer | None = None) -> None:
        """
        Be empty.

        Args:
            applier: Carries out what may take long; None does it inline.
            announcer: Of the instances; None if none of them announces.
        """
        self.changes = 0
        self.refused = False
        self.regrouped = False
        self._applier = Applier() if applier is None else applier
        self._sends: list[_Send] = []
        self._announcer = announcer
        self._flying = 0  # changes of addresses that were handed over and did not come back
        self._told: list[Report] = []
        self._wishes = _Wishes()

    @property
    def changing(self) -> bool:
        """Addresses are to be changed."""
        return bool(self._wishes.addresses)

    def send(self, runner: InstanceRunner, datagrams: Sequence[Datagram], priority: int) -> None:
        """Send these advertisements, which carry that priority."""
        self._sends.append((runner, datagrams, priority))

    def install(self, runner: InstanceRunner, addresses: Sequence[VirtualAddress]) -> None:
        """Install these addresses."""
        self._wishes.addresses += [(True, runner, address) for address in addresses]

    def remove(self, runner: InstanceRunner, addresses: Sequence[VirtualAddress]) -> None:
        """Remove these addresses."""
        self._wishes.addresses += [(False, runner, address) for address in addresses]

    def removals_first(self) -> None:
        """Let what is removed and what is installed be of different instances: the latter shall stay."""
        self._wishes.addresses.sort(key=lambda change: change[0])

    def announce(self, runner: InstanceRunner, rounds: int, addresses: Sequence[VirtualAddress]) -> None:
        """Announce these addresses, so many times each."""
        self._wishes.announcements.append((runner, runner.reign, rounds, addresses))

    def report(self, report: Report) -> None:
        """Tell control, when all else of this wake-up is done."""
        self._wishes.reports.append(report)

    def carry_out(self, system: System, now_us: int, report: Callable[[Report], None]) -> None:
        """Send advertisements, see that the rest is done, and be empty again."""
        if self._sends:
            sends, self._sends = self._sends, []
            by_listener: dict[Listener, list[_Send]] = {}
            for send in sends:
                listener = send[0].listener
                if listener is not None:  # else the interface is gone: there is nobody to tell
                    by_listener.setdefault(listener, []).append(send)
            for listener, theirs in by_listener.items():
                self._transmit(listener, theirs)
        if not self._wishes:
            return
        wishes, self._wishes = self._wishes, _Wishes()
        if wishes.addresses:
            self.changes += 1
            changes = len(wishes.addresses)
            for piece in [wishes] if self._applier.inline(changes) else wishes.pieces():
                self._flying += 1
                self._applier.do(
                    partial(_apply, system, piece.addresses),
                    partial(self._finish, piece, report),
                    now_us,
                    changes=changes,
                )
        else:
            self._applier.then(partial(self._finish, wishes, report, ()), now_us)

    def _transmit(self, listener: Listener, sends: Sequence[_Send]) -> None:
        """Send all that goes by one socket in one system call."""
        datagrams = sends[0][1] if len(sends) == 1 else [datagram for _, some, _ in sends for datagram in some]
        failed = listener.sock.send(datagrams)
        at = 0
        for runner, some, priority in sends:
            end = at + len(some)
            error = next((failed[one] for one in range(at, end) if one in failed), None) if failed else None
            at = end
            if error is not None:
                runner.count("send-errors")
                if runner.link is not None and runner.link.usable:
                    self.report(KernelFailed(runner.settings.name, error.operation, str(error)))
                continue
            runner.counters["advertisements-sent"] += 1
            if priority == PRIORITY_RELEASE:
                runner.count("priority-zero-sent")
                # People read that the goodbye went out, then what became of the router.
                self._wishes.reports.insert(0, Remarked(runner.settings.name, Remark(Note.RELEASE_SENT)))

    def _finish(self, wishes: _Wishes, report: Callable[[Report], None], results: _Results | None, now_us: int) -> None:
        """Addresses are changed: announce, then tell. Without results nobody knows whether they are."""
        for (installing, runner, address), error in zip(wishes.addresses, results or (), strict=results is not None):
            if error is not None:
                self.refused = True
                runner.address_failed(address, installing=installing, now_us=now_us)
                wishes.reports.append(KernelFailed(runner.settings.name, error.operation, str(error)))
            elif installing:
                runner.address_there(address)
        self._flying -= bool(wishes.addresses)
        if results is not None:
            for runner, reign, rounds, wanted in wishes.announcements:
                if runner.reign == reign:  # else it is MASTER no more, and they are another's
                    runner.announce(rounds, wanted, now_us)
            if self._announcer is not None:
                self._announcer.flush(repeat=not self._flying)
        self._told += wishes.reports
        if not self._flying or len(self._told) > _TOLD_MAX:
            self.tell_all(report)

    def tell_all(self, report: Callable[[Report], None]) -> None:
        """Tell control what is done, and has not been told because others waited for their addresses."""
        told, self._told = self._told, []
        for item in told:
            report(item)


def _apply(system: System, changes: Sequence[_Change]) -> _Results:
    """Change addresses, those in a row that go the same way in one batch; the results in the same order."""
    results: list[KernelError | None] = []
    start = 0
    for end in range(1, len(changes) + 1):
        if end < len(changes) and changes[end][0] == changes[start][0]:
            continue
        wanted = [address for _, _, address in changes[start:end]]
        results += system.install(wanted) if changes[start][0] else system.remove(wanted)
        start = end
    return results
