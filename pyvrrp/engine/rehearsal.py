"""
A take-over on paper, just before a real one may be due.

Code that has not run for some hundred milliseconds has left the processor's caches, and runs ten times slower. Who has
to take over in the next moment does it once before, with a scratch engine on a kernel that does nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import IPv4Interface
from typing import Final

from pyvrrp.engine.commands import ClearFault, Configure, RaiseFault
from pyvrrp.engine.loop import Engine
from pyvrrp.engine.reports import Report
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.errors import KernelError
from pyvrrp.net.system import (
    Arrival,
    AssignedAddress,
    Datagram,
    KernelEvent,
    Link,
    ReceivePath,
    System,
    VirtualAddress,
)
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.settings import AnnouncementSettings, RouterSettings

_NAME: Final = "rehearsal"
_LINK: Final = Link(1, "eth0", b"\x02\0\0\0\0\1")
_OWN: Final = AssignedAddress(1, IPv4Interface("192.0.2.1/24"))
_SETTINGS: Final = InstanceSettings(
    name=_NAME,
    interface=_LINK.name,
    router=RouterSettings(vrid=1, family=Family.V4),
    vips=(VirtualAddress(_LINK.name, IPv4Interface("192.0.2.2/24")),),
    announcements=AnnouncementSettings(delay_us=0),
)


class _Silence:
    """A socket, and a monitor, on which nothing comes; what is sent goes through the motions."""

    path = ReceivePath.OFF
    refused: KernelError | None = None
    share = 1
    more = False
    poll_us: int | None = None

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        pass

    def serve(self, vrids: Collection[int], longest: int) -> None:
        pass

    def set_share(self, share: int) -> None:
        pass

    def arm(self, vrid: int, datagram: Datagram, came_us: int) -> None:
        pass

    def disarm(self, vrid: int) -> None:
        pass

    def heard_us(self, vrid: int) -> int:  # noqa: ARG002
        return 0

    def oldest_us(self, vrids: Collection[int]) -> int:  # noqa: ARG002
        return 0

    def take_repetitions(self, vrid: int) -> int:  # noqa: ARG002
        return 0

    def take_unheard(self) -> Mapping[int, Mapping[str, int]]:
        return {}

    def read(self, now_us: int) -> Sequence[Arrival]:  # noqa: ARG002
        return ()

    def receive(self) -> Sequence[KernelEvent]:
        return ()

    def prepare(self, datagrams: Sequence[Datagram]) -> None:
        pass

    def send(self, datagrams: Sequence[Datagram]) -> Mapping[int, KernelError]:  # noqa: ARG002
        return {}


class _Stage:
    """A kernel with one link, on which nothing is done."""

    threaded = False

    def __init__(self, real: System) -> None:
        self.time_us = 0
        self._real = real
        self._silence = _Silence()

    def now_us(self) -> int:
        return self.time_us

    def links(self) -> Sequence[Link]:
        return (_LINK,)

    def addresses(self, index: int | None = None) -> Sequence[AssignedAddress]:  # noqa: ARG002
        return (_OWN,)

    def monitor(self) -> _Silence:
        return self._silence

    def open_socket(self, link: Link, family: Family, group: IPAddress | None) -> _Silence:  # noqa: ARG002
        return self._silence

    def prepare(self, addresses: Sequence[VirtualAddress], frames: Iterable[tuple[int, bytes]]) -> None:
        pass

    def install(self, addresses: Sequence[VirtualAddress]) -> Sequence[KernelError | None]:
        self._real.rehearse()
        return [None] * len(addresses)

    def remove(self, addresses: Sequence[VirtualAddress]) -> Sequence[KernelError | None]:
        return [None] * len(addresses)

    def announce(self, frames: Iterable[tuple[int, bytes]]) -> None:
        pass

    def rehearse(self) -> None:
        pass

    def close(self) -> None:
        pass


class Rehearsal:
    """A scratch engine that takes over whenever it is told to."""

    def __init__(self, system: System) -> None:
        self._stage = _Stage(system)
        self._engine = Engine(self._stage, _forget)
        self._engine.command(Configure((_SETTINGS,)))
        self._deadline_us = 0
        self.reset()

    def play(self) -> None:
        """Take over."""
        self._stage.time_us = self._deadline_us
        self._engine.step()

    def reset(self) -> None:
        """Be a BACKUP again; when there is time."""
        self._engine.command(RaiseFault(_NAME, _NAME, ""))
        self._engine.step()
        self._engine.command(ClearFault(_NAME, _NAME))
        self._engine.step()
        self._deadline_us = self._engine.next_router_deadline_us or 0


def _forget(report: Report) -> None:
    pass
