"""An engine's process in control's event loop: commands go down, reports come up, its death is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyvrrp.engine.reports import Report, Stopped
from pyvrrp.errors import VrrpError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from pyvrrp.daemon.engine_process import EngineProcess
    from pyvrrp.engine.commands import Sent


class EngineLink:
    """
    An engine process, as seen from control's event loop.

    Args:
        engine: The engine.
        loop: Control's event loop.
        report: Takes every report.
        crashed: Told once that the engine met an error, or ended without being told to.
    """

    def __init__(
        self,
        engine: EngineProcess,
        loop: asyncio.AbstractEventLoop,
        report: Callable[[Report], None],
        crashed: Callable[[Exception], None],
    ) -> None:
        self.pid = engine.pid
        self._engine = engine
        self._pipe = engine.pipe
        self._loop = loop
        self._report = report
        self._crashed = crashed
        self._writing = False
        self._closed = False
        self._stopped = False
        self._loop.add_reader(self._pipe.fileno(), self._read)
        self._write_on()

    def command(self, command: Sent) -> None:
        """Hand a command to the engine."""
        if self._closed:
            return
        self._engine.send(command)
        self._write_on()

    def _write_on(self) -> None:
        if self._pipe.waiting and not self._writing:
            self._writing = True
            self._loop.add_writer(self._pipe.fileno(), self._flush)

    def wake(self) -> None:
        """Nothing to do: the engine wakes itself."""

    def close(self) -> None:
        """Watch it no more and end it, see `EngineProcess.end`."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._pipe.fileno())
        if self._writing:
            self._loop.remove_writer(self._pipe.fileno())
        self._engine.end()

    def _read(self) -> None:
        try:
            values = self._pipe.receive()
        except EOFError:
            self._loop.remove_reader(self._pipe.fileno())
            if not self._stopped:
                self._crashed(VrrpError(f"its process {self.pid} has ended"))
            return
        for value in values:
            if self._closed:
                return
            if isinstance(value, Exception):
                self._loop.remove_reader(self._pipe.fileno())
                self._crashed(value)
                return
            self._stopped = self._stopped or isinstance(value, Stopped)
            self._report(value)

    def _flush(self) -> None:
        self._pipe.flush()
        if not self._pipe.waiting:
            self._writing = False
            self._loop.remove_writer(self._pipe.fileno())
