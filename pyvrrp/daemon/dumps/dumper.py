"""
Signals that ask for keepalived's dump files, and what is done about them.

Control does all of it; the engine is asked once, as by `pyvrrp status`, however many files are wanted. Signals that
come while files are being written are done together after that, so a burst of them is two rounds at most. Most of
what is needed is imported at the first signal, or by `prepare` when there is time: some readers wait for 10 ms only.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyvrrp.config.model import Configuration
from pyvrrp.daemon.keeper import EngineKeeper
from pyvrrp.daemon.telling import Known, Logger, Teller
from pyvrrp.daemon.tracking import Tracking
from pyvrrp.engine.reports import InstanceStatus, Status
from pyvrrp.errors import KernelError, VrrpError
from pyvrrp.net.system import System

if TYPE_CHECKING:
    from pyvrrp.daemon.dumps.picture import Picture, Router

DATA: Final = signal.SIGUSR1
STATS: Final = signal.SIGUSR2
JSON: Final = signal.SIGRTMIN + 2
STATS_CLEAR: Final = signal.SIGRTMAX - 1

SIGNALS: Final[Mapping[int, str]] = {
    DATA: "Printing VRRP data",
    STATS: "Printing VRRP stats",
    JSON: "Printing VRRP as json",
    STATS_CLEAR: "Printing and clearing VRRP stats",
}
"""What each asks for, in the words of keepalived's log."""

PREPARE_S: Final = 1.0
"""How long after the start `prepare` is due: by then the first advertisements are out."""


@dataclass(frozen=True, slots=True)
class Subject:
    """
    What is dumped, by who knows it.

    Attributes:
        configuration: What runs now.
        umask: `--umask`, which wins over that of the configuration; None if it was not said.
    """

    system: System
    keeper: EngineKeeper
    teller: Teller
    tracking: Tracking
    configuration: Callable[[], Configuration]
    umask: int | None = None


class Dumper:
    """
    Writes the files that were asked for.

    Args:
        subject: See there.
        log: Takes a line for each file, and what went wrong.
        environment: Where `TMPDIR` may be set.
    """

    def __init__(self, subject: Subject, log: Logger, environment: Mapping[str, str] = os.environ) -> None:
        from pyvrrp.daemon.dumps.statistics import Cleared  # noqa: PLC0415  light

        self._subject = subject
        self._log = log
        self._environment = environment
        self._wanted: dict[int, None] = {}
        self._due = False
        self._cleared = Cleared()
        self._since: dict[str, tuple[int, int]] = {}

    def want(self, number: int) -> bool:
        """
        Note a signal.

        Returns:
            Somebody has to call `run` for it; else a `run` that is under way sees to it.
        """
        self._wanted[number] = None
        first, self._due = not self._due, True
        return first

    async def run(self) -> None:
        """Write what is wanted, until nothing is; an error is said, and the next signal tries again."""
        try:
            while self._wanted:
                numbers, self._wanted = list(self._wanted), {}
                try:
                    answer = await self._subject.keeper.ask()
                except VrrpError as error:
                    self._log.error(f"dump files are not written: {error}")
                    continue
                self._write(numbers, self._picture(answer))
                if STATS_CLEAR in numbers:
                    self._cleared.clear((one.name, one.counters) for one in answer.instances)
        finally:
            self._due = False

    def prepare(self) -> None:
        """Import what the first signal needs."""
        from pyvrrp.daemon.dumps import data, files, records  # noqa: F401, PLC0415  that is all

    def _write(self, numbers: list[int], picture: Picture) -> None:
        """Write files; without virtual routers there is only that of keepalived's parent, as with keepalived."""
        from pyvrrp.daemon.dumps import files  # noqa: PLC0415  see `prepare`

        directory = files.directory(self._environment)
        for number in numbers:
            for what, name, text in self._texts(number, picture):
                path = directory / name
                self._log.info(f"Writing {path}, as a signal asks", message=f"{what} on signal")
                try:
                    files.write(path, text, picture.umask)
                except KernelError as error:
                    self._log.error(str(error))

    def _texts(self, number: int, picture: Picture) -> Iterator[tuple[str, str, str]]:
        """The files that a signal asks for: what keepalived's log says of it, name or path, text."""
        from pyvrrp.daemon.dumps import data, files, records, statistics  # noqa: PLC0415  see `prepare`

        settings = picture.configuration.globals
        if number == DATA:
            what = f"Printing parent data for process({os.getpid()})"
            yield what, files.data_file(settings, parent=True), data.parents(picture)
        if not picture.routers:
            return
        what = f"{SIGNALS[number]} for process({self._subject.keeper.pid})"
        if number == DATA:
            yield what, files.data_file(settings), data.text(picture)
        elif number == JSON:
            yield what, "keepalived.json", records.text(picture)
        else:
            counted = ((one.instance.name, one.statistics) for one in picture.routers)
            yield what, "keepalived.stats", statistics.text(counted)

    def _picture(self, answer: Status) -> Picture:
        from pyvrrp.daemon.dumps.files import UMASK  # noqa: PLC0415  see `prepare`
        from pyvrrp.daemon.dumps.picture import Picture, identities  # noqa: PLC0415

        subject, configuration = self._subject, self._subject.configuration()
        known, system = subject.teller.known, subject.system
        offset_us = time.time_ns() // 1000 - system.now_us()
        groups = {name: group.name for group in configuration.sync_groups for name in group.members}
        umasks = (subject.umask, configuration.globals.files.umask)
        return Picture(
            configuration,
            tuple(
                self._router(one, known[one.name], groups.get(one.name), offset_us)
                for one in answer.instances
                if one.name in known
            ),
            tuple(system.links()),
            tuple(system.addresses()),
            identities(subject.teller.notifier.policy),
            next((umask for umask in umasks if umask is not None), UMASK),
        )

    def _router(self, status: InstanceStatus, known: Known, group: str | None, offset_us: int) -> Router:
        from pyvrrp.daemon.dumps.picture import Router  # noqa: PLC0415  see `prepare`

        settings = self._subject.configuration().globals
        alerts = (known.instance.smtp_alert, settings.smtp_alert_vrrp, settings.smtp_alert)
        return Router(
            instance=known.instance,
            settings=known.settings,
            status=status,
            checks=self._subject.tracking.checks(status.name),
            statistics=self._cleared.statistics(status.name, status.counters),
            since_us=self._since_us(status, offset_us),
            wakes_us=None if status.next_deadline_us is None else offset_us + status.next_deadline_us,
            group=group,
            smtp=next((alert for alert in alerts if alert is not None), False),
        )

    def _since_us(self, status: InstanceStatus, offset_us: int) -> int:
        """The time of day of a transition, the same each time: readers compare it, and clocks are set."""
        monotonic_us, at_us = self._since.get(status.name, (None, 0))
        if monotonic_us != status.since_us:
            at_us = offset_us + status.since_us
            self._since[status.name] = status.since_us, at_us
        return at_us
