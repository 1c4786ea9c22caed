"""An engine in an asyncio event loop that is shared: with a library user's program, or with a daemon in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pyvrrp.engine.commands import Command
from pyvrrp.engine.loop import IDLE_US, Engine
from pyvrrp.net.system import Readable, System


class EngineDriver:
    """Wakes an engine in an asyncio event loop: when something can be read, when a deadline comes, when told to."""

    def __init__(
        self,
        engine: Engine,
        system: System,
        loop: asyncio.AbstractEventLoop,
        crashed: Callable[[Exception], None],
    ) -> None:
        self._engine = engine
        self._crashed = crashed
        self._closed = False
        self._system = system
        self._loop = loop
        self._watched: dict[int, Readable] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None

    def command(self, command: Command) -> None:
        """Hand a command to the engine and wake it."""
        self._engine.command(command)
        if self._soon is None and not self._closed:
            self._soon = self._loop.call_soon(self.wake)

    def wake(self) -> None:
        """Step the engine and arm its next deadline."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed:
            return
        try:
            deadline_us = self._engine.step()
        except Exception as error:  # noqa: BLE001  a fault of ours: the owner of the engine decides what becomes of it
            self._watch({})  # what was not read would wake us again at once, for ever
            self._crashed(error)
            return
        if self._engine.readables is not self._watched:
            self._watch(self._engine.readables)
        if deadline_us is None:
            return
        delay_us = deadline_us - self._system.now_us()
        if delay_us <= 0 or (delay_us > IDLE_US and self._engine.prepare_next()):
            self._soon = self._loop.call_soon(self.wake)
        else:
            self._timer = self._loop.call_later(delay_us / 1e6, self.wake)

    def close(self) -> None:
        """Watch nothing any more and close the engine's sockets."""
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()
        self._timer = self._soon = None
        self._closed = True
        self._watch({})
        self._engine.close()

    def _watch(self, readables: dict[int, Readable]) -> None:
        for fd, readable in self._watched.items():
            if readables.get(fd) is not readable:
                self._loop.remove_reader(fd)
        for fd, readable in readables.items():
            if self._watched.get(fd) is not readable:
                self._loop.add_reader(fd, self.wake)
        self._watched = readables
