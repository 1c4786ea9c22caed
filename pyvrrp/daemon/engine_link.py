"""Control's end of an engine in a process of its own: commands go down, reports come up, its death is noticed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from pyvrrp.engine.pipe import Pipe
from pyvrrp.engine.streams import Command, Report, Stopped
from pyvrrp.errors import VrrpError

END_S: Final = 2.0
"""How long an engine that was told to stop, or whose control is going, may take to end; then it is killed."""

_LOOK_S: Final = 0.002


def spawn(name: str) -> tuple[int, socket.socket]:
    """
    Start an engine anew, from a control process that is too grown up to fork.

    Returns:
        Its pid, and control's end of the streams.
    """
    ours, theirs = Pipe.pair()
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "pyvrrp.engine", str(number), name], pass_fds=[number], stdin=subprocess.DEVNULL
        )
    process.returncode = 0  # reaped by EngineLink, not by subprocess
    return process.pid, ours


class EngineLink:
    """
    An engine process, as seen from control.

    Args:
        pid: The engine.
        sock: Control's end of the streams.
        loop: Control's event loop.
        report: Takes every report.
        crashed: Told once that the engine met an error, or ended without being told to.
    """

    def __init__(
        self,
        pid: int,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        report: Callable[[Report], None],
        crashed: Callable[[Exception], None],
    ) -> None:
        self.pid = pid
        self._pipe = Pipe(sock)
        self._loop = loop
        self._report = report
        self._crashed = crashed
        self._writing = False
        self._closed = False
        self._stopped = False
        self._loop.add_reader(self._pipe.fileno(), self._read)

    def command(self, command: Command) -> None:
        """Hand a command to the engine."""
        if self._closed:
            return
        self._pipe.send(command)
        if self._pipe.waiting and not self._writing:
            self._writing = True
            self._loop.add_writer(self._pipe.fileno(), self._flush)

    def wake(self) -> None:
        """Nothing to do: the engine wakes itself."""

    def close(self) -> None:
        """
        End the engine and collect it: one that is still there sees that control is gone and lets go in order.

        Waits `END_S` at most, then the engine is killed.
        """
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._pipe.fileno())
        if self._writing:
            self._loop.remove_writer(self._pipe.fileno())
        self._pipe.finish(END_S)
        self._pipe.close()
        end = time.monotonic() + END_S
        while self._ended() is None:
            if time.monotonic() >= end:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            time.sleep(_LOOK_S)

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

    def _ended(self) -> int | None:
        """Its wait status, None while it runs."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody else collected it
            return 0
        return status if pid else None
