"""An engine in a process of its own as control starts and ends it: what the daemon's start needs of it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final, Self

from pyvrrp.engine import process
from pyvrrp.engine.commands import Configure, Reconfigure, Stop
from pyvrrp.engine.pipe import Pipe

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from pyvrrp.engine.commands import Sent

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
