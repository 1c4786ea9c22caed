"""
What one wake-up wants of the kernel, gathered over all instances and carried out together.

The order is that of a take-over: advertisements first (they must not wait for addresses), then address changes in one
netlink batch, then announcements, then reports. What fails is handed back to its instance, never lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from pyvrrp.engine.streams import KernelFailed, Remarked, Report
from pyvrrp.net.system import Datagram, System, VirtualAddress
from pyvrrp.protocol.actions import Note, Remark
from pyvrrp.protocol.constants import PRIORITY_RELEASE

if TYPE_CHECKING:
    from pyvrrp.engine.instance import InstanceRunner
    from pyvrrp.engine.listener import Listener

    _Send: TypeAlias = tuple[InstanceRunner, Sequence[Datagram], int]


class Batch:
    """
    Wishes of one wake-up.

    Attributes:
        applied: Addresses were changed since somebody last set this to False; what was known of them is old.
        refused: The same of addresses that the kernel refused to change; their instances have a new deadline.
    """

    __slots__ = ("_addresses", "_announcements", "_reports", "_sends", "applied", "refused")

    def __init__(self) -> None:
        self.applied = False
        self.refused = False
        self._sends: list[_Send] = []
        self._addresses: list[tuple[bool, InstanceRunner, VirtualAddress]] = []
        self._announcements: list[tuple[InstanceRunner, int, Sequence[VirtualAddress]]] = []
        self._reports: list[Report] = []

    def send(self, runner: InstanceRunner, datagrams: Sequence[Datagram], priority: int) -> None:
        """Send these advertisements, which carry that priority."""
        self._sends.append((runner, datagrams, priority))

    def install(self, runner: InstanceRunner, addresses: Sequence[VirtualAddress]) -> None:
        """Install these addresses."""
        self._addresses += [(True, runner, address) for address in addresses]

    def remove(self, runner: InstanceRunner, addresses: Sequence[VirtualAddress]) -> None:
        """Remove these addresses."""
        self._addresses += [(False, runner, address) for address in addresses]

    def announce(self, runner: InstanceRunner, rounds: int, addresses: Sequence[VirtualAddress]) -> None:
        """Announce these addresses, so many times each."""
        self._announcements.append((runner, rounds, addresses))

    def report(self, report: Report) -> None:
        """Tell control, when all else is done."""
        self._reports.append(report)

    def carry_out(self, system: System, now_us: int, report: Callable[[Report], None]) -> None:
        """Do it all and be empty again."""
        if self._sends:
            sends, self._sends = self._sends, []
            by_listener: dict[Listener, list[_Send]] = {}
            for send in sends:
                listener = send[0].listener
                if listener is not None:  # else the interface is gone: there is nobody to tell
                    by_listener.setdefault(listener, []).append(send)
            for listener, theirs in by_listener.items():
                self._transmit(listener, theirs)
        if self._addresses:
            addresses, self._addresses = self._addresses, []
            self._apply(system, addresses, now_us)
            self.applied = True
        if self._announcements:
            announcements, self._announcements = self._announcements, []
            for runner, rounds, wanted in announcements:
                runner.announce(rounds, wanted, now_us)
        if self._reports:
            reports, self._reports = self._reports, []
            for item in reports:
                report(item)

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
                self._reports.insert(0, Remarked(runner.settings.name, Remark(Note.RELEASE_SENT)))

    def _apply(self, system: System, addresses: list[tuple[bool, InstanceRunner, VirtualAddress]], now_us: int) -> None:
        start = 0
        for end in range(1, len(addresses) + 1):
            if end < len(addresses) and addresses[end][0] == addresses[start][0]:
                continue
            run, start = addresses[start:end], end
            wanted = [address for _, _, address in run]
            installing = run[0][0]
            results = system.install(wanted) if installing else system.remove(wanted)
            for (_, runner, address), error in zip(run, results, strict=True):
                if error is not None:
                    self.refused = True
                    runner.address_failed(address, installing=installing, now_us=now_us)
                    self.report(KernelFailed(runner.settings.name, error.operation, str(error)))
