"""Interfaces as a kernel in memory tells of them."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pyvrrp.errors import KernelError
from pyvrrp.net.system import KernelEvent, Link, LinkChanged, LinkRemoved, Resynchronise
from pyvrrp.trackers.base import TrackerReport, TrackerResult
from pyvrrp.trackers.interface import InterfaceTracker, judge

ETH1 = Link(2, "eth1", b"\x02\x00\x00\x00\x00\x01")
ETH2 = Link(3, "eth2", b"\x02\x00\x00\x00\x00\x02")


class FakeMonitor:
    """Events from a list; a pipe wakes the loop, where there is one."""

    def __init__(self, *, descriptor: bool) -> None:
        self.events: list[KernelEvent | KernelError] = []
        self.closed = False
        self._pipe = os.pipe() if descriptor else None

    def fileno(self) -> int:
        return -1 if self._pipe is None else self._pipe[0]

    def close(self) -> None:
        if self._pipe is not None and not self.closed:
            os.close(self._pipe[0])
            os.close(self._pipe[1])
        self.closed = True

    def tell(self, *events: KernelEvent | KernelError) -> None:
        self.events += events
        if self._pipe is not None:
            os.write(self._pipe[1], b"!")

    def receive(self) -> Sequence[KernelEvent]:
        if self._pipe is not None:
            os.read(self._pipe[0], 1)
        events, self.events = self.events, []
        for event in events:
            if isinstance(event, KernelError):
                raise event
        return [event for event in events if not isinstance(event, KernelError)]


class FakeSystem:
    """As much of a kernel as the tracker asks for."""

    def __init__(self, *links: Link, descriptor: bool = False) -> None:
        self.present = list(links)
        self.the_monitor = FakeMonitor(descriptor=descriptor)

    def monitor(self) -> FakeMonitor:
        return self.the_monitor

    def links(self) -> Sequence[Link]:
        return self.present


class Watched:
    """A tracker that runs."""

    def __init__(self, system: FakeSystem, *names: str) -> None:
        self.reports: asyncio.Queue[TrackerReport] = asyncio.Queue()
        self.tracker = InterfaceTracker(names, system, self.reports.put_nowait)  # type: ignore[arg-type]
        self.task = asyncio.create_task(self.tracker.run())

    async def news(self) -> tuple[str, bool | None, str]:
        report = await self.reports.get()
        assert isinstance(report, TrackerResult)
        return report.name, report.up, report.reason

    async def end(self) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


@pytest.mark.parametrize(
    ("link", "up", "reason"),
    [
        (ETH1, True, "interface eth1 is up"),
        (replace(ETH1, running=False), False, "interface eth1 has no carrier"),
        (replace(ETH1, up=False, running=False), False, "interface eth1 is down"),
        (replace(ETH1, up=False), False, "interface eth1 is down"),
        (None, False, "interface eth1 does not exist"),
    ],
)
def test_what_a_link_means(link: Link | None, up: bool, reason: str) -> None:
    assert judge("eth1", link) == TrackerResult("eth1", up, reason)


@pytest.mark.asyncio
async def test_the_life_of_an_interface() -> None:
    system = FakeSystem(ETH1, ETH2, descriptor=True)
    watched = Watched(system, "eth1")
    assert await watched.news() == ("eth1", True, "interface eth1 is up")
    system.the_monitor.tell(LinkChanged(replace(ETH1, running=False)))
    assert await watched.news() == ("eth1", False, "interface eth1 has no carrier")
    system.the_monitor.tell(LinkRemoved(2, "eth1"))
    assert await watched.news() == ("eth1", False, "interface eth1 does not exist")
    system.the_monitor.tell(LinkChanged(replace(ETH1, index=9)))
    assert await watched.news() == ("eth1", True, "interface eth1 is up")
    assert watched.tracker.results["eth1"].up
    await watched.end()
    assert system.the_monitor.closed


@pytest.mark.asyncio
async def test_each_interface_is_reported_and_only_when_it_changes() -> None:
    system = FakeSystem(ETH1)
    watched = Watched(system, "eth1", "eth9", "eth1")
    assert await watched.news() == ("eth1", True, "interface eth1 is up")
    assert await watched.news() == ("eth9", False, "interface eth9 does not exist")
    system.the_monitor.tell(LinkChanged(ETH2), LinkChanged(replace(ETH1, mtu=9000)))
    watched.tracker.poll()
    assert watched.reports.empty()
    await watched.end()


@pytest.mark.asyncio
async def test_a_renamed_interface_is_gone_under_its_old_name() -> None:
    system = FakeSystem(ETH1)
    watched = Watched(system, "eth1", "wan")
    await watched.news()
    await watched.news()
    system.the_monitor.tell(LinkChanged(replace(ETH1, name="wan")))
    watched.tracker.poll()
    assert await watched.news() == ("eth1", False, "interface eth1 does not exist")
    assert await watched.news() == ("wan", True, "interface wan is up")
    await watched.end()


@pytest.mark.asyncio
async def test_lost_news_are_asked_for_again() -> None:
    system = FakeSystem(ETH1)
    watched = Watched(system, "eth1", "eth2")
    await watched.news()
    await watched.news()
    system.present = [ETH2]
    system.the_monitor.tell(Resynchronise())
    watched.tracker.poll()
    assert await watched.news() == ("eth1", False, "interface eth1 does not exist")
    assert await watched.news() == ("eth2", True, "interface eth2 is up")
    await watched.end()


@pytest.mark.asyncio
async def test_a_broken_monitor_ends_the_task() -> None:
    """Whoever owns the task must learn that nobody watches any longer."""
    system = FakeSystem(ETH1, descriptor=True)
    watched = Watched(system, "eth1")
    await watched.news()
    system.the_monitor.tell(KernelError("read", "netlink", errno.EBADF))
    with pytest.raises(KernelError, match="netlink"):
        await watched.task
    assert system.the_monitor.closed


def test_polling_before_it_runs_does_nothing() -> None:
    InterfaceTracker(["eth1"], FakeSystem(ETH1), print).poll()  # type: ignore[arg-type]
