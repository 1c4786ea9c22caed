"""Other interfaces than an instance's own: up means IFF_UP and IFF_RUNNING."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from pyvrrp.net.system import KernelMonitor, Link, LinkChanged, LinkRemoved, Resynchronise, System
from pyvrrp.trackers.base import Report, TrackerResult


class InterfaceTracker:
    """
    Watches interfaces by name, all of them through one monitor; an interface that is not there is down.

    Args:
        names: Interfaces to report on; each report carries the interface's name.
        system: The kernel to ask.
        report: Told of each interface at first, then when its verdict or the reason changes.
    """

    name = "interfaces"

    def __init__(self, names: Iterable[str], system: System, report: Report) -> None:
        self.results: dict[str, TrackerResult] = {}
        self._names = tuple(dict.fromkeys(names))
        self._system = system
        self._report = report
        self._links: dict[int, Link] = {}
        self._monitor: KernelMonitor | None = None
        self._failed: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """
        Watch until cancelled.

        Raises:
            KernelError: The kernel no longer tells.
        """
        loop = asyncio.get_running_loop()
        self._failed = loop.create_future()
        monitor = self._monitor = self._system.monitor()
        descriptor = monitor.fileno()
        try:
            # Listen first: what happens while we ask is then news, not lost.
            self._resynchronise()
            self._publish()
            if descriptor >= 0:
                loop.add_reader(descriptor, self._readable)
            await self._failed
        finally:
            if descriptor >= 0:
                loop.remove_reader(descriptor)
            self._monitor = None
            monitor.close()

    def poll(self) -> None:
        """Read the news; for a system without descriptors, whose owner knows when there are any."""
        if self._monitor is None:
            return
        for event in self._monitor.receive():
            match event:
                case LinkChanged(link):
                    self._links[link.index] = link
                case LinkRemoved(index):
                    self._links.pop(index, None)
                case Resynchronise():
                    self._resynchronise()
                case _:
                    pass  # addresses are not what this tracks
        self._publish()

    def _readable(self) -> None:
        try:
            self.poll()
        except Exception as error:  # noqa: BLE001  whatever it is, it ends `run`, where the task's owner sees it
            if self._failed is not None and not self._failed.done():
                self._failed.set_exception(error)

    def _resynchronise(self) -> None:
        self._links = {link.index: link for link in self._system.links()}

    def _publish(self) -> None:
        by_name = {link.name: link for link in self._links.values()}
        for name in self._names:
            result = judge(name, by_name.get(name))
            if result != self.results.get(name):
                self.results[name] = result
                self._report(result)


def judge(name: str, link: Link | None) -> TrackerResult:
    """What a link's state means; None is a link that is not there."""
    if link is None:
        return TrackerResult(name, up=False, reason=f"interface {name} does not exist")
    if not link.up:
        return TrackerResult(name, up=False, reason=f"interface {name} is down")
    if not link.running:
        return TrackerResult(name, up=False, reason=f"interface {name} has no carrier")
    return TrackerResult(name, up=True, reason=f"interface {name} is up")
