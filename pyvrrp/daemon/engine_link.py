"""Control's end of an engine in a process of its own: commands go down, reports come up, its death is noticed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Self

from pyvrrp.engine import process
from pyvrrp.engine.commands import Configure, Reconfigure, Sent, Stop
from pyvrrp.engine.pipe import Pipe
from pyvrrp.engine.reports import Report, Stopped
from pyvrrp.errors import VrrpError

if TYPE_CHECKING:
    import asyncio
    import socket

END_S: Final = 2.0
"""How long an engine that was told to stop, or whose control is going, may take to end; then it is killed."""

_LOOK_S: Final = 0.002


class EngineProcess:
    """
    A started engine; it does nothing before `begin`.

    Attributes:
        pid: Its process.
        pipe: Control's end of the streams.
    """

    def __init__(self, pid: int, sock: socket.socket) -> None:
        self.pid = pid
        self.pipe = Pipe(sock)
        self._sock = sock
        self._begun = False
        self._ended = False
        self._configured: Configure | None = None

    @classmethod
    def fork(cls, name: str) -> Self:
        """The first one: before control has threads, or imports what an engine shall not carry."""
        return cls(*process.start(name))

    @classmethod
    def spawn(cls, name: str) -> Self:
        """One more, from a control process that is too grown up to fork."""
        import subprocess  # noqa: PLC0415  not for the start

        ours, theirs = Pipe.pair()
        with theirs:
            number = theirs.fileno()
            child = subprocess.Popen(
                [sys.executable, "-m", "pyvrrp.engine", str(number), name], pass_fds=[number], stdin=subprocess.DEVNULL
            )
        child.returncode = 0  # reaped by `end`, not by subprocess
        return cls(child.pid, ours)

    def begin(self, descriptors: Sequence[int] = (), path: str = "auto") -> None:
        """
        Let it work. Comes before the first command.

        Args:
            descriptors: Open files, locks, that it keeps for as long as it lives.
            path: How advertisements are to be received, one of `engine.paths.PATHS`.
        """
        self._begun = True
        process.entrust(self._sock, descriptors, path)

    def send(self, command: Sent) -> None:
        """Send a command, a configuration that resembles the last one in short."""
        if isinstance(command, Configure):
            before, self._configured = self._configured, command
            if before is not None:
                command = Reconfigure.of(command, before)
        self.pipe.send(command)

    def end(self) -> None:
        """
        Collect it: one that is still there sees that control is gone and lets go in order.

        Waits `END_S` at most, then the engine is killed; at once if it has not begun.
        """
        if self._ended:
            return
        self._ended = True
        if not self._begun:
            os.kill(self.pid, signal.SIGKILL)
        self.pipe.finish(END_S)
        self.pipe.close()
        end = time.monotonic() + END_S
        while not self._gone():
            if time.monotonic() >= end:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            time.sleep(_LOOK_S)

    def give_up(self) -> None:
        """Have it let go at once, and collect it; nothing to do if that was done already."""
        if not self._ended and self._begun:
            self.pipe.send(Stop())
        self.end()

    def _gone(self) -> bool:
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:  # somebody else collected it
            return True


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
