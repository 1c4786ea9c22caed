"""
The engine in a process of its own, so that no log line, script or status answer makes an advertisement late.

Forked before control imports anything heavy. It ignores the signals that are meant for control; when control dies
without a word the engine ends in order: priority 0, addresses gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import select
import selectors
import signal
import socket
import traceback
from typing import Final

from pyvrrp.engine.loop import Engine, EngineDriver
from pyvrrp.engine.pipe import Pipe
from pyvrrp.engine.streams import KernelFailed, Report, Stop, Stopped
from pyvrrp.errors import VrrpError
from pyvrrp.net.linux import LinuxSystem

_PR_SET_NAME: Final = 15  # linux/prctl.h
_PR_SET_TIMERSLACK: Final = 29
_FD_SETSIZE: Final = 1024
_COLLECT_S: Final = 30.0
_FAREWELL_S: Final = 1.0

EXIT_CRASHED: Final = 70


class PreciseSelector(selectors.EpollSelector):
    """epoll_wait's unit is a millisecond, and the standard selector rounds up to it; select has microseconds."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events as EpollSelector does, but not longer than asked."""
        if timeout is not None and timeout > 0 and self.fileno() < _FD_SETSIZE:
            select.select((self.fileno(),), (), (), timeout)
            timeout = 0
        return super().select(timeout)


def start(name: str) -> tuple[int, socket.socket]:
    """
    Fork the engine.

    Args:
        name: What its process is called, at most 15 characters.

    Returns:
        Its pid, and control's end of the streams.
    """
    ours, theirs = Pipe.pair()
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours
    code = EXIT_CRASHED
    try:
        ours.close()
        code = run(theirs, name)
    finally:
        os._exit(code)  # what the fork copied (exit handlers, buffers) is control's affair


def run(sock: socket.socket, name: str) -> int:
    """
    Be the engine until told to stop.

    Returns:
        The exit code.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    return _Child(Pipe(sock)).run()


class _Child:
    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._loop = asyncio.SelectorEventLoop(PreciseSelector())
        self._system = LinuxSystem()
        self._engine = Engine(self._system, self._report)
        self._driver = EngineDriver(self._engine, self._system, self._loop, self._crashed)
        self._writing = False
        self._error: Exception | None = None

    def run(self) -> int:
        self._loop.add_reader(self._pipe.fileno(), self._read)
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            self._loop.call_later(_COLLECT_S, self._collect)
            self._loop.run_forever()
            self._pipe.finish(_FAREWELL_S)
        finally:
            self._driver.close()
            self._system.close()
            self._loop.close()
        return EXIT_CRASHED if self._error is not None else 0

    def _collect(self) -> None:
        gc.collect()  # what the start made is frozen and not looked at: some microseconds
        self._loop.call_later(_COLLECT_S, self._collect)

    def _read(self) -> None:
        try:
            commands = self._pipe.receive()
        except EOFError:  # control is gone: nobody will tell us to stop, so we do it ourselves
            self._loop.remove_reader(self._pipe.fileno())
            commands = [Stop(handover=True)]
        for command in commands:
            self._driver.command(command)

    def _report(self, report: Report) -> None:
        if self._pipe.dropped and self._pipe.send(_lost(self._pipe.dropped)):
            self._pipe.dropped = 0
        self._pipe.send(report)
        if isinstance(report, Stopped):
            self._loop.call_soon(self._loop.stop)
        elif self._pipe.waiting and not self._writing:
            self._writing = True
            self._loop.add_writer(self._pipe.fileno(), self._flush)

    def _flush(self) -> None:
        self._pipe.flush()
        if not self._pipe.waiting:
            self._writing = False
            self._loop.remove_writer(self._pipe.fileno())

    def _crashed(self, error: Exception) -> None:
        self._error = error
        failure = VrrpError(f"{type(error).__name__}: {error}")  # a class that can be read at the other end
        failure.add_note("".join(traceback.format_exception(error)))
        self._pipe.send(failure)
        self._loop.stop()


def _lost(count: int) -> KernelFailed:
    return KernelFailed(None, "report", f"{count} reports of the engine were lost: control did not read them", count)
