"""
The life of the engine in a process of its own: a select(2) around `Engine.step`.

Its timers have microseconds, and its memory has no room for an event loop that could do more. When control dies without
a word the engine ends in order: priority 0, addresses gone.
"""

from __future__ import annotations

import gc
import select
import socket
import sys
from typing import TYPE_CHECKING, Final

from pyvrrp.engine.commands import Configure, Hardening, Reconfigure, Stop, Sync
from pyvrrp.engine.hardening import Scheduling
from pyvrrp.engine.loop import IDLE_US, Engine
from pyvrrp.engine.paths import PATHS
from pyvrrp.engine.pipe import Pipe
from pyvrrp.engine.process import ALIVE, EXIT_CRASHED, GIFTS_MAX
from pyvrrp.engine.reports import KernelFailed, Report, Status, Stopped
from pyvrrp.errors import VrrpError
from pyvrrp.net import sockets  # noqa: F401  `LinuxSystem` imports it late, and here that would be too late
from pyvrrp.net.linux import LinuxSystem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pyvrrp.engine.commands import Sent
    from pyvrrp.engine.rehearsal import Rehearsal

_FD_SETSIZE: Final = 1024  # select(2) takes descriptors below it
_COLLECT_US: Final = 30_000_000
_SWITCH_S: Final = 0.0001  # how long the engine and its applier's thread may keep the interpreter from each other
_LEAD_US: Final = 1_000
_WARM_US: Final = 50_000
_FAREWELL_S: Final = 1.0


class Child:
    """
    The engine's process from its first word to its last.

    Args:
        sock: Its end of the streams.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pipe = Pipe(sock)
        self._error: Exception | None = None
        self._over = False
        self._gifts: list[int] = []
        self._configured = Configure(())
        self._asked: list[int] = []

    def run(self) -> int:
        """Live; returns the exit code."""
        try:
            self._live()
        except Exception as error:  # noqa: BLE001  whatever it is, control hears of it and decides
            self._crashed(error)
        self._pipe.finish(_FAREWELL_S)
        return EXIT_CRASHED if self._error is not None else 0

    def _live(self) -> None:
        self._system = system = LinuxSystem()
        try:
            self._engine = engine = Engine(system, self._report)
            self._scheduling = Scheduling(self._report)
            try:
                _settle()
                if self._received_gifts():
                    self._serve()
            finally:
                engine.close()
        finally:
            system.close()

    def _received_gifts(self) -> bool:
        """Wait for control's word; False if it gave up before."""
        self._sock.setblocking(True)
        octets, self._gifts, _, _ = socket.recv_fds(self._sock, 1, GIFTS_MAX)
        self._sock.setblocking(False)
        if octets:
            self._system.receive_by(PATHS[octets[0]])
        return bool(octets)

    def _serve(self) -> None:
        engine, system, pipe = self._engine, self._system, self._pipe
        waiter = Waiter(pipe.fileno())
        vigil = Vigil(engine, system, waiter)
        watched = None
        ready: Collection[int] | None = None
        collect_us = system.now_us() + _COLLECT_US
        while True:
            at_us = engine.step(ready)
            if self._over:
                return
            while self._asked:
                self._answer(self._asked.pop(0))
            if engine.readables is not watched:
                watched = engine.readables
                waiter.watch(watched)
            if pipe.waiting:
                pipe.flush()
            now_us = system.now_us()
            idle = at_us is None or at_us - now_us > IDLE_US
            if idle and now_us >= collect_us:
                gc.collect()
                collect_us = now_us + _COLLECT_US
                now_us = system.now_us()
            busy = idle and (engine.prepare_next() or vigil.prepare())
            until_us = collect_us if at_us is None else at_us
            if busy:
                piped, ready = waiter.wait(0, writing=pipe.waiting)
            elif engine.eager and until_us == at_us:
                piped, ready = vigil.wait(until_us, now_us, writing=pipe.waiting)
            else:
                piped, ready = waiter.wait(max(0, until_us - now_us) / 1e6, writing=pipe.waiting)
                if not (piped or ready) and at_us is not None and at_us > now_us:
                    self._scheduling.late(system.now_us() - at_us)
            if piped:
                self._read(waiter)

    def _answer(self, token: int) -> None:
        """Answer a `Sync`: a sign of life at once, another when addresses are changed too."""
        answer = Status(token, self._system.now_us(), (), {})
        if token == ALIVE:
            self._report(answer)
        else:
            self._engine.when_done(lambda: self._report(answer))

    def _read(self, waiter: Waiter) -> None:
        commands: Iterable[Sent]
        try:
            commands = self._pipe.receive()
        except EOFError:  # control is gone: nobody will tell us to stop, so we do it ourselves
            waiter.forget_pipe()
            commands = [Stop(handover=True)]
        for command in commands:
            self._obey(command)

    def _obey(self, command: Sent) -> None:
        if isinstance(command, Hardening):
            self._scheduling.apply(command)
            return
        if isinstance(command, Sync):
            self._asked.append(command.token)
            return
        if isinstance(command, Reconfigure):
            command = command.after(self._configured)
        if isinstance(command, Configure):
            self._configured = command
        self._engine.command(command)

    def _report(self, report: Report) -> None:
        if self._pipe.dropped and self._pipe.send(_lost(self._pipe.dropped)):
            self._pipe.dropped = 0
        self._pipe.send(report)
        if isinstance(report, Stopped):
            self._over = True

    def _crashed(self, error: Exception) -> None:
        from traceback import format_exception  # noqa: PLC0415  only here

        self._error = error
        failure = VrrpError(f"{type(error).__name__}: {error}")  # a class that can be read at the other end
        failure.add_note("".join(format_exception(error)))
        self._pipe.send(failure)


class Waiter:
    """
    Waits for the pipe and for the engine's sockets with microseconds: poll(2) and epoll(2) have milliseconds only.

    What select(2) cannot take is watched by an epoll, which itself is a descriptor that it can.

    Args:
        pipe: Descriptor of the streams, below 1024.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._piped = [pipe]
        self._high = select.epoll()
        self._highs: set[int] = set()
        self._fds = [pipe]

    def watch(self, descriptors: Collection[int]) -> None:
        """Watch these, and nothing else but the pipe."""
        for fd in self._highs:
            try:
                self._high.unregister(fd)
            except OSError:  # closed: then it has left by itself
                continue
        self._highs = {fd for fd in descriptors if fd >= _FD_SETSIZE}
        for fd in self._highs:
            self._high.register(fd, select.EPOLLIN)
        self._fds = [*self._piped, *(fd for fd in descriptors if fd < _FD_SETSIZE)]
        if self._highs:
            self._fds.append(self._high.fileno())

    def wait(self, timeout_s: float, *, writing: bool) -> tuple[bool, Collection[int] | None]:
        """
        Wait for something to read, for *timeout_s* at most, or until the pipe takes more.

        Returns:
            Whether there is something in the pipe, and which descriptors can be read; None if it could be any.
        """
        found = select.select(self._fds, self._piped if writing else (), (), timeout_s)[0]
        return self._pipe in found, None if self._highs and self._high.fileno() in found else found

    def forget_pipe(self) -> None:
        """Watch the pipe no more: its other end is gone, which would wake us for ever."""
        self._piped = []
        self._fds.remove(self._pipe)

    def close(self) -> None:
        """Close what it opened; the descriptors it watched are others'."""
        self._high.close()


class Vigil:
    """
    Waits for the deadline of a BACKUP: just before it the process is awake, so that a take-over finds it warm.

    A processor that has slept takes its time, and code that has not run lately has left its caches. Both together
    cost more than the take-over of an address.
    """

    def __init__(self, engine: Engine, system: LinuxSystem, waiter: Waiter) -> None:
        self._engine = engine
        self._system = system
        self._waiter = waiter
        self._rehearsal: Rehearsal | None = None
        self._played_us = -_WARM_US
        self._stale = False

    def prepare(self) -> bool:
        """Be ready for the next rehearsal, if there is time; answers whether that took any."""
        if self._rehearsal is None:
            from pyvrrp.engine.rehearsal import Rehearsal  # noqa: PLC0415  not before the first advertisement

            self._rehearsal = Rehearsal(self._system)
            return True
        if self._stale:
            self._stale = False
            self._rehearsal.reset()
            return True
        return False

    def wait(self, until_us: int, now_us: int, *, writing: bool) -> tuple[bool, Collection[int] | None]:
        """
        Wait as `Waiter.wait` does, until that time at most.

        The last millisecond is spent awake, unless an advertisement that came meanwhile puts the deadline off.
        """
        asleep_us = until_us - _LEAD_US - now_us
        if asleep_us > 0:
            piped, ready = self._waiter.wait(asleep_us / 1e6, writing=writing)
            if piped or ready is None or ready:
                return piped, ready
            later_us = self._engine.reconsider()
            if later_us is None or later_us > until_us:
                return False, ()
        now_us = self._system.now_us()
        if self._rehearsal is not None and not self._stale and now_us - self._played_us > _WARM_US:
            self._played_us = now_us
            self._stale = True
            self._rehearsal.play()
        while True:
            piped, ready = self._waiter.wait(0, writing=writing)
            if piped or ready is None or ready or self._system.now_us() >= until_us:
                return piped, ready


def _settle() -> None:
    """What the start made lives as long as the process: the collector need not look at it."""
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(_SWITCH_S)


def _lost(count: int) -> KernelFailed:
    return KernelFailed(None, "report", f"{count} reports of the engine were lost: control did not read them", count)
