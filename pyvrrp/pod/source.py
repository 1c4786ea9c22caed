"""
The environment as the daemon's configuration, read again when the interface that it names has come.

Read once, as in the old image: slot, priorities and the checked address are those of the node's address at the start.
Of an interface that loses its address, or gets another, the pod makes nothing: the other nodes count on the numbers
that it has said, advertisements need a source and say so, and VIPs go on or come back with the link, by the engine's
own rules. The new address counts from the next start. An interface that had none at the start is as the old image had
it (slot 0, a priority of 255 said loudly); only one that was waited for is given a moment to get its first.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from pyvrrp.config.complaints import Complaint, Parsed, Severity
from pyvrrp.config.model import Configuration
from pyvrrp.config.openshift import PATH, PodConfiguration, read_environment
from pyvrrp.config.openshift.reach import choose_interface
from pyvrrp.config.openshift.scripts import ALWAYS
from pyvrrp.config.openshift.variables import KEEPALIVED_CONFIG, VIRTUAL_IPS, Remarks, Variables, read_switches
from pyvrrp.errors import ConfigError, KernelError
from pyvrrp.pod.files import write_configuration
from pyvrrp.pod.node import facts
from pyvrrp.protocol.constants import IPAddress

if TYPE_CHECKING:
    import asyncio

    from pyvrrp.daemon.telling import Logger

LOOK_S: Final = 2.0
"""How often an interface is looked for, besides after all news of links and addresses: routes make no such news."""

ADDRESS_S: Final = 5.0
"""How long an interface that has come may take to get its IPv4 address: the priority follows from it."""

AGAIN_S: Final = 30.0
"""Until the next attempt where there is an interface, and nothing could be run on it."""

_DRAWS: Final = 32  # a drawn number is below this, and 256 is a multiple of it
_QUIET: Final = frozenset({Severity.NOTE, Severity.SECURITY})


class Draws:
    """Random numbers from 0 to 31, one for each group, drawn anew at every start and not while the pod runs."""

    def __init__(self) -> None:
        self._drawn: dict[int, int] = {}

    def __call__(self, group: int) -> int:
        """The number of that group."""
        if group not in self._drawn:
            self._drawn[group] = os.urandom(1)[0] % _DRAWS
        return self._drawn[group]


class PodSource:
    """
    The environment of this pod; a `daemon.source.Source`.

    Args:
        environment: Its variables.
        said: What there is to be said besides, once there is a log; one warning each.
        levels: Lines of the log do not show their level, so begin with its word.
    """

    def __init__(self, environment: Mapping[str, str], said: Iterable[str] = (), *, levels: bool = False) -> None:
        self._environment = environment
        self._said = list(said)
        self._levels = levels
        self._draws = Draws()
        self._tell_read: Callable[[], object] = lambda: None
        self._complained: frozenset[Complaint] = frozenset()
        self._pod: PodConfiguration | None = None

    @property
    def pod(self) -> PodConfiguration:
        """What the environment comes to; there is none before it was read."""
        assert self._pod is not None
        return self._pod

    @property
    def hangup_ends(self) -> bool:
        """As in the old image, unless the environment says otherwise."""
        return self._pod is None or not self._pod.hangup_reloads

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is mended and lost, and what else was said."""
        return (*self._said, *(in_words(one) for one in self.pod.complaints if one.severity not in _QUIET))

    @property
    def idle(self) -> str:
        """See `Source`: it is healthy, but a roll-out must not go on to the next node."""
        if self.pod.configuration.instances or not (self._environment.get(VIRTUAL_IPS) or "").strip():
            return ""
        return _summary(self.pod) if not self.pod.interface else "nothing of the list can be served"

    def load(self) -> Parsed:
        """
        Read the environment for this node.

        Raises:
            ConfigError: It forbids a start, most likely because it is strict.
            KernelError: The kernel does not tell what is there.
        """
        return Parsed(_runnable(self._read().configuration))  # `begun` says the complaints

    def begun(self, log: Logger) -> None:
        """Say what is mended and lost, write the file, let VRRP in."""
        for text in self._said:
            self._warn(text, log)
        self._settle(log)
        if self.pod.firewall_rule:
            self._allow_vrrp(log)

    def again(self, log: Logger) -> Configuration:
        """
        Look at the node again; the environment of a process does not change.

        Raises:
            ConfigError, KernelError: As `load`.
        """
        pod = self._read(again=True)
        self._settle(log)
        self._tell_read()
        return _runnable(pod.configuration)

    async def attend(self, reload: Callable[[], Awaitable[bool]]) -> None:
        """Whenever the interface is missing, have it looked for until it is there."""
        import asyncio  # noqa: PLC0415  here as below: the engine waits for this module

        loop, read = asyncio.get_running_loop(), asyncio.Event()
        self._tell_read = lambda: loop.call_soon_threadsafe(read.set)
        while True:
            read.clear()
            if self._waits():
                await self._look_for_interface(reload)
            await read.wait()

    async def _look_for_interface(self, reload: Callable[[], Awaitable[bool]]) -> None:
        import asyncio  # noqa: PLC0415  as above

        from pyvrrp.net.netlink.client import Monitor  # noqa: PLC0415

        loop, news = asyncio.get_running_loop(), asyncio.Event()
        monitor = Monitor(marks=True)

        def hear() -> None:
            monitor.receive()
            news.set()

        loop.add_reader(monitor.fileno(), hear)
        try:
            came_s: float | None = None
            while True:
                news.clear()
                name, addresses = self._look()
                now_s = loop.time()
                came_s = (came_s or now_s) if name else None
                left_s = LOOK_S if came_s is None else came_s + ADDRESS_S - now_s
                if name and (left_s <= 0 or any(isinstance(one, IPv4Address) for one in addresses)):
                    if await reload() and not self._waits():
                        return
                    left_s = AGAIN_S  # it went again, or nothing can be run there; the log says why
                    await asyncio.sleep(LOOK_S)  # a node may have news all the time
                await _within(news, left_s)
        finally:
            loop.remove_reader(monitor.fileno())
            monitor.close()

    def _waits(self) -> bool:
        return not self.pod.interface

    def _look(self) -> tuple[str, tuple[IPAddress, ...]]:
        """The interface that would be taken now, empty for none, and its addresses."""
        try:
            node = facts(self._environment)
        except KernelError:  # its tables change all the time: it is asked again
            return "", ()
        variables, remarks = Variables(self._environment), Remarks()
        read_switches(variables, remarks)
        name = choose_interface(variables, node, remarks).name
        return name, node.addresses.get(name, ())

    def _read(self, *, again: bool = False) -> PodConfiguration:
        """Raises ConfigError if it forbids a start, and then a reload as well: what ran before runs on."""
        pod = read_environment(self._environment, facts(self._environment), self._draws)
        if pod.refusals:
            raise ConfigError("\n".join(map(in_words, pod.refusals)))
        before = self._pod
        if again and before and before.interface == pod.interface and before.node_address and not pod.node_address:
            raise ConfigError(f"{pod.interface} has lost its IPv4 address, which the priority follows from")
        self._pod = pod
        return pod

    def _allow_vrrp(self, log: Logger) -> None:
        from pyvrrp.net import firewall  # noqa: PLC0415

        try:
            added = firewall.allow_vrrp()
        except KernelError as error:
            self._warn(f"the firewall rule that lets VRRP in is not there: {error}", log)
            return
        for rule in added:
            log.info(f"Firewall: {rule}")

    def _warn(self, text: str, log: Logger) -> None:
        log.warning(f"WARNING: {text}" if self._levels else text)

    def _complain(self, complaint: Complaint, log: Logger) -> None:
        text = in_words(complaint)
        if complaint.severity in _QUIET:
            log.info(text)
        elif complaint.dropped or complaint.fatal:
            log.error(f"ERROR: {text}" if self._levels else text)
        else:
            self._warn(text, log)

    def _settle(self, log: Logger) -> None:
        """Say what has not been said, and write the file."""
        pod = self.pod
        for complaint in pod.complaints:
            if complaint not in self._complained:
                self._complain(complaint, log)
        self._complained = frozenset(pod.complaints)
        path = PATH
        if pod.exact:
            path = self._environment.get(KEEPALIVED_CONFIG) or PATH
        if trouble := write_configuration(path, pod.text):
            self._warn(f"{trouble}; the pod serves all the same", log)
        log.info(_summary(pod), interface=pod.interface, slot=pod.slot, step=pod.step)


def _runnable(configuration: Configuration) -> Configuration:
    """Without checks that always pass: nobody need wait for their first result, and an image may lack the program."""
    vain = {one.name for one in configuration.scripts if one.command is not None and one.command.argv == (ALWAYS,)}
    if not vain:
        return configuration
    return replace(
        configuration,
        scripts=tuple(one for one in configuration.scripts if one.name not in vain),
        instances=tuple(
            replace(one, track_scripts=tuple(track for track in one.track_scripts if track.name not in vain))
            for one in configuration.instances
        ),
    )


def in_words(complaint: Complaint) -> str:
    """A complaint about a variable; line and column only where there is more than one of them."""
    place = complaint.place
    text = str(complaint)
    return text.replace(f"{place}: ", f"{place.file}: ", 1) if (place.line, place.column) == (1, 1) else text


def _summary(pod: PodConfiguration) -> str:
    """One line on what this node is about to do."""
    if not pod.interface:
        return f"Waiting for interface {' or '.join(pod.waits_for)}" if pod.waits_for else "Waiting for an interface"
    addresses = sum(len(group.addresses) for group in pod.groups if group.instances)
    preferred = sum(group.preferred for group in pod.groups if group.instances)
    serving = sum(bool(group.instances) for group in pod.groups)
    return (
        f"Interface {pod.interface} ({pod.interface_from}), node address {pod.node_address or 'unknown'}:"
        f" {addresses} virtual addresses in {serving} groups, preferred for {preferred}"
    )


async def _within(event: asyncio.Event, timeout_s: float) -> None:
    import asyncio  # noqa: PLC0415  as above

    try:
        async with asyncio.timeout(max(0.0, timeout_s)):
            await event.wait()
    except TimeoutError:
        return
