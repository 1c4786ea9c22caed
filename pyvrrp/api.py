"""A virtual router for your own program: `async with pyvrrp.Instance(...)`, transitions as they happen."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import ip_address, ip_interface
from types import TracebackType
from typing import Literal, Self

from pyvrrp.engine.commands import Ask, ClearFault, Command, Configure, RaiseFault, SetPriority, Stop
from pyvrrp.engine.driver import EngineDriver
from pyvrrp.engine.loop import Engine
from pyvrrp.engine.reports import Entered, InstanceStatus, Report, Status, Stopped
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.errors import UsageError, VrrpError
from pyvrrp.net.system import ADDRESS_PROTOCOL, System, VirtualAddress
from pyvrrp.protocol.actions import Transition
from pyvrrp.protocol.constants import (
    AUTH_DATA_LENGTH,
    AUTH_NONE,
    AUTH_PASS,
    PRIORITY_DEFAULT,
    PRIORITY_OWNER,
    US_PER_S,
    Family,
)
from pyvrrp.protocol.settings import RouterSettings
from pyvrrp.protocol.states import State


class Instance:
    """
    One virtual router on one interface, run in the current asyncio event loop. It moves alone: sync groups are the
    daemon's.

    Entering starts it as BACKUP (as MASTER with priority 255); leaving sends priority 0 if it is MASTER and removes the
    addresses. Iterating gives its transitions, the first one included; the iteration ends when it has stopped.

    Addresses that a killed program left with pyvrrp's mark are removed at the start. Unlike with the daemon, nothing
    keeps two programs from running one virtual router on one host, and SIGTERM is yours to handle.

    Args:
        interface: Interface of the advertisements.
        vrid: Virtual Router Identifier, 1-255.
        addresses: Virtual addresses, with prefix length (`192.0.2.100/24`), else a host's (/32, /128); one family.
        priority: 1-254, or 255 for the owner of the addresses.
        version: VRRP version; 2 is IPv4 only.
        advertisement_interval_s: Seconds; whole ones in version 2, hundredths in version 3.
        preempt: Take over from a master of lower priority.
        preempt_delay_s: Wait so many seconds before that.
        source: Source address, None for the interface's own.
        unicast_peers: Send to these instead of the multicast group.
        password: VRRPv2 simple password, at most 8 octets; it stops accidents, not attackers.
        excluded: More addresses that move along but are not advertised.
        name: For reports.
        on_report: Told of everything else: dropped packets, remarks, refusals of the kernel.
        system: The kernel; None for the real one.

    Raises:
        UsageError: The arguments cannot be.
    """

    def __init__(
        self,
        interface: str,
        vrid: int,
        addresses: Sequence[str],
        *,
        priority: int = PRIORITY_DEFAULT,
        version: Literal[2, 3] = 3,
        advertisement_interval_s: float = 1.0,
        preempt: bool = True,
        preempt_delay_s: float = 0.0,
        source: str | None = None,
        unicast_peers: Sequence[str] = (),
        password: str | bytes | None = None,
        excluded: Sequence[str] = (),
        name: str | None = None,
        on_report: Callable[[Report], None] | None = None,
        system: System | None = None,
    ) -> None:
        if isinstance(addresses, str) or not addresses:
            raise UsageError("a virtual router needs a list of at least one address")
        for argument, value in (
            ("advertisement_interval_s", advertisement_interval_s),
            ("preempt_delay_s", preempt_delay_s),
        ):
            if not math.isfinite(value):
                raise UsageError(f"{argument} {value} is no number of seconds")
        try:
            vips = tuple(VirtualAddress(interface, ip_interface(text)) for text in addresses)
            others = tuple(VirtualAddress(interface, ip_interface(text)) for text in excluded)
            peers = tuple(ip_address(text) for text in unicast_peers)
            own = None if source is None else ip_address(source)
        except ValueError as error:
            raise UsageError(str(error)) from error
        secret = password.encode() if isinstance(password, str) else password
        if secret is not None and (version != 2 or len(secret) > AUTH_DATA_LENGTH):
            raise UsageError("a password belongs to version 2 and has at most 8 octets")
        self.settings = InstanceSettings(
            name=name or f"{interface}/{vrid}",
            interface=interface,
            router=RouterSettings(
                vrid=vrid,
                family=Family(vips[0].ip.version),
                version=version,
                priority=priority,
                advertisement_interval_us=round(advertisement_interval_s * US_PER_S),
                preempt=preempt,
                preempt_delay_us=round(preempt_delay_s * US_PER_S),
            ),
            vips=vips,
            excluded=others,
            source=own,
            unicast_peers=peers,
            check_unicast_source=True,
            auth_type=AUTH_NONE if secret is None else AUTH_PASS,
            auth_data=b"" if secret is None else secret.ljust(AUTH_DATA_LENGTH, b"\0"),
        )
        self.settings.check()
        self.state = State.INITIALIZE
        self._system = system
        self._on_report = on_report
        self._driver: EngineDriver | None = None
        self._news: asyncio.Queue[Transition | Exception | None] = asyncio.Queue()
        self._stopped = False
        self._ended = asyncio.Event()
        self._answers: dict[int, asyncio.Future[InstanceStatus]] = {}
        self._token = 0
        self._resources = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        """
        Start.

        Raises:
            NotPermitted: CAP_NET_ADMIN or CAP_NET_RAW is missing.
            UsageError: It was started before.
        """
        if self._driver is not None:
            raise UsageError("an instance runs once; make another")
        with contextlib.ExitStack() as on_failure:
            if self._system is None:
                from pyvrrp.net.linux import LinuxSystem, require_capabilities  # noqa: PLC0415  not for simulated worlds

                require_capabilities()
                self._system = LinuxSystem()
                on_failure.callback(self._system.close)
            self._remove_leftovers(self._system)
            engine = Engine(self._system, self._hear)
            self._resources = on_failure.pop_all()
        self._driver = EngineDriver(engine, self._system, asyncio.get_running_loop(), self._crashed)
        self._command(Configure((self.settings,)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End in order: priority 0, addresses gone. Without waiting for anything, so that nothing can cut it short."""
        assert self._driver is not None
        with self._resources:
            if not self._stopped:
                self._driver.command(Stop())
                self._driver.wake()
            self._driver.close()

    def __aiter__(self) -> AsyncIterator[Transition]:
        """Transitions as they happen; those not yet read are kept."""
        return self._transitions()

    def set_priority(self, priority: int) -> None:
        """
        Take another effective priority (1-254), for example because something you watch is not well.

        Raises:
            UsageError: It is not within 1-254.
        """
        if not 1 <= priority <= 254:
            raise UsageError(f"priority {priority} is not within 1-254")
        self._command(SetPriority(self.settings.name, priority))

    def raise_fault(self, cause: str, detail: str = "") -> None:
        """Leave the election until `clear_fault` of the same cause; *detail* is the reason people read."""
        self._command(RaiseFault(self.settings.name, cause, detail or cause))

    def clear_fault(self, cause: str) -> None:
        """That cause is over; the last one gone, the router is BACKUP again."""
        self._command(ClearFault(self.settings.name, cause))

    async def drain(self) -> None:
        """
        End without a gap: a MASTER says goodbye and serves on until its successor is heard, one interval at most.

        Returns when it has stopped; leaving the block does nothing more then. Cancelled, the handover still goes on.
        """
        self._command(Stop(handover=True))
        await self._ended.wait()

    async def status(self) -> InstanceStatus:
        """What is true of it now: timers, master, addresses as the kernel has them, counters."""
        self._token += 1
        self._command(Ask(self._token))
        future = self._answers[self._token] = asyncio.get_running_loop().create_future()
        answer: InstanceStatus = await future
        return answer

    async def _transitions(self) -> AsyncIterator[Transition]:
        while (item := await self._news.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
        self._news.put_nowait(None)  # for whoever else iterates

    def _command(self, command: Command) -> None:
        if self._driver is None or self._stopped:
            raise UsageError("the instance is not running: use `async with`")
        self._driver.command(command)

    def _hear(self, report: Report) -> None:
        match report:
            case Entered(_, transition):
                self.state = transition.state
                self._news.put_nowait(transition)
            case Status(token, _, instances, _):
                future = self._answers.pop(token, None)
                if future is not None and not future.done():
                    if instances:
                        future.set_result(instances[0])
                    else:
                        future.set_exception(UsageError("the instance is not running"))
                return
            case Stopped():
                self._stopped = True
                self._ended.set()
                self._news.put_nowait(None)
                return
            case _:
                pass
        if self._on_report is not None:
            try:
                self._on_report(report)
            except Exception as error:  # noqa: BLE001  the caller's fault must not end the virtual router
                loop = asyncio.get_running_loop()
                loop.call_exception_handler({"message": f"on_report of {self.settings.name}", "exception": error})

    def _remove_leftovers(self, system: System) -> None:
        """What a killed program left with our mark must be gone before the first advertisement."""
        names = {link.name: link.index for link in system.links()}
        marked = {(one.index, one.address) for one in system.addresses() if one.protocol == ADDRESS_PROTOCOL}
        wanted = (*self.settings.vips, *self.settings.excluded)
        system.remove([one for one in wanted if (names.get(one.interface), one.address) in marked])

    def _not_native(self, system: System) -> list[VirtualAddress]:
        """Its addresses, without those of an owner that were there before: they lack our mark."""
        addresses = [*self.settings.vips, *self.settings.excluded]
        if self.settings.router.priority != PRIORITY_OWNER:
            return addresses
        marked = {one.address for one in system.addresses() if one.protocol == ADDRESS_PROTOCOL}
        return [address for address in addresses if address.address in marked]

    def _crashed(self, error: Exception) -> None:
        """The engine met a fault of ours: nobody else would take its addresses away."""
        assert self._system is not None
        assert self._driver is not None
        failure = VrrpError(f"the engine failed: {error!r}")
        failure.__cause__ = error
        with contextlib.suppress(Exception):  # what broke the engine may break this too
            self._driver.close()  # or the news of what goes next would wake it again
        with contextlib.suppress(Exception):
            self._system.remove(self._not_native(self._system))
        self.state = State.INITIALIZE
        self._news.put_nowait(failure)
        self._news.put_nowait(None)
        for future in self._answers.values():
            if not future.done():
                future.set_exception(failure)
        self._stopped = True
        self._ended.set()
