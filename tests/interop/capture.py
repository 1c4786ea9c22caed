"""All VRRP, gratuitous ARP and unsolicited NA that enter a switch, told apart by port and stamped by the kernel."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterable
from itertools import groupby
from types import TracebackType
from typing import Self

from tests.interop.wire import Advertisement, Announcement, IPAddress, read
from tests.netns import PATIENCE_S, Namespace

ETH_P_ALL = 3
SO_TIMESTAMPNS = 35  # and the type of the control message, asm-generic/socket.h
TIMESPEC = struct.Struct("@ll")


def reigns(advertisements: Iterable[Advertisement]) -> list[str]:
    """
    Say who was the advertiser, one name for each reign.

    A reign begins with an advertisement of priority above 0 by a router that is not the advertiser. The one before it
    may be heard once more until the new one's second: that message crossed the new one's first on its way. Anything
    beyond begins a reign of its own. Two routers that both keep advertising so make a list that grows with every
    message and equals no expected one; "one advertiser throughout" is that the list is the one the scenario planned.
    """
    names: list[str] = []
    may_cross: str | None = None
    for sender in (seen.sender for seen in advertisements if seen.priority > 0):
        if names and sender in (names[-1], may_cross):
            may_cross = None
            continue
        may_cross = names[-1] if names else None
        names.append(sender)
    return names


class Capture:
    """A packet socket at a switch, read by a thread of its own while the object is entered."""

    def __init__(self, switch: Namespace, ports: Iterable[str]) -> None:
        """
        Start to listen; what is heard is read once the object is entered.

        Args:
            switch: Where the ports are.
            ports: Their names, which are those of the senders behind them, too.
        """
        self._socket = switch.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.settimeout(0.2)
        self._ports = frozenset(ports)
        self._news = threading.Condition()
        self._advertisements: list[Advertisement] = []
        self._announcements: list[Announcement] = []
        self._stop = False
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop = True
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        while not self._stop:
            try:
                frame, controls, _, (port, _, direction, *_) = self._socket.recvmsg(2048, 64)
            except TimeoutError:
                continue
            except OSError:  # ENETDOWN: a port went down; the others go on
                continue
            if direction == socket.PACKET_OUTGOING or port not in self._ports:
                continue
            seconds, nanoseconds = TIMESPEC.unpack(controls[0][2])
            item = read(frame, seconds + nanoseconds / 1e9, port)
            if item is None:
                continue
            with self._news:
                if isinstance(item, Advertisement):
                    self._advertisements.append(item)
                else:
                    self._announcements.append(item)
                self._news.notify_all()

    def now(self) -> float:
        """Now, on the clock of the captured packets."""
        return time.time()

    def advertisements(
        self, sender: str | None = None, *, vrid: int | None = None, since: float = 0.0
    ) -> list[Advertisement]:
        """All advertisements so far, oldest first, or those of one router, of one virtual router, after a moment."""
        with self._news:
            return [
                seen
                for seen in self._advertisements
                if sender in {None, seen.sender} and vrid in {None, seen.vrid} and seen.at > since
            ]

    def announced(self, sender: str, address: IPAddress, hardware_address: str, *, since: float) -> bool:
        """Whether *sender* has said after a moment that *address* is at *hardware_address*."""
        with self._news:
            return any(
                (seen.sender, seen.address, seen.hardware_address) == (sender, address, hardware_address)
                and seen.at > since
                for seen in self._announcements
            )

    def wait(
        self,
        sender: str,
        *,
        count: int = 1,
        vrid: int | None = None,
        since: float = 0.0,
        priority: int | None = None,
    ) -> list[Advertisement]:
        """
        Wait until *sender* has advertised *count* times after *since*.

        Args:
            sender: Name of the router.
            count: How many advertisements to wait for.
            vrid: Of this virtual router, None for any.
            since: Moment of the capture's clock.
            priority: With exactly this priority; None is any above 0.

        Returns:
            Those advertisements, at least *count*.
        """

        def wanted() -> list[Advertisement]:
            return [
                seen
                for seen in self.advertisements(sender, vrid=vrid, since=since)
                if (seen.priority > 0 if priority is None else seen.priority == priority)
            ]

        end = time.monotonic() + PATIENCE_S
        with self._news:
            while len(found := wanted()) < count:
                left = end - time.monotonic()
                assert left > 0, f"{sender}: {len(found)} of {count} advertisements within {PATIENCE_S:g} s"
                self._news.wait(left)
        return found

    def story(self) -> str:
        """What was heard, equal neighbours counted, for whoever reads a failure."""
        runs = groupby(self.advertisements(), lambda seen: (seen.sender, seen.vrid, seen.version, seen.priority))
        lines = []
        for (sender, vrid, version, priority), group in runs:
            run = list(group)
            wrong = sum(not seen.checksum_ok for seen in run)
            note = f", {wrong} with a wrong checksum" if wrong else ""
            when = f"{run[0].at:.3f} to {run[-1].at:.3f}"
            lines.append(f"{when}: {len(run)} from {sender}, v{version} vrid {vrid} priority {priority}{note}")
        return "\n".join(lines)
