"""One engine at a time: started, asked, and started again after it has failed, but not for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from pyvrrp.daemon.engine_link import EngineLink
from pyvrrp.daemon.engine_process import EngineProcess
from pyvrrp.daemon.telling import Logger
from pyvrrp.engine.commands import Ask, Command, Hardening, Stop, Sync
from pyvrrp.engine.process import ALIVE
from pyvrrp.engine.reports import Report, Status
from pyvrrp.errors import VrrpError
from pyvrrp.net.system import System

if TYPE_CHECKING:
    from pyvrrp.engine.driver import EngineDriver

ANSWER_TIMEOUT_S: Final = 5.0
"""An engine that does not answer within this time is stuck."""

CRASHES_MAX: Final = 5
"""An engine that fails so often within `CRASH_WINDOW_S` is not started again: somebody else may serve better."""

CRASH_WINDOW_S: Final = 60.0

START_AGAIN_S: Final = 1.0
"""An engine that cannot be started is tried again after this time: what is lacking may be there then."""

STARTS_MAX: Final = 30
"""So often in a row."""


class EngineGoneError(VrrpError):
    """The engine failed too often, and the daemon ends."""


class Owner(Protocol):
    """What the keeper asks of the supervisor."""

    @property
    def stopping(self) -> bool:
        """An engine that fails now is not started again."""

    def engine_failed(self) -> None:
        """Clean up: the engine cannot do it any more."""

    def engine_restarted(self) -> None:
        """Tell the new one all it has to know."""

    def engine_given_up(self) -> None:
        """There is no engine any more, and there will be none."""


class EngineKeeper:
    """
    Keeps an engine for the supervisor.

    Args:
        system: The kernel, for an engine in this process.
        make: Starts an engine process, each time it is called; None runs the engine in this process.
        report: Takes every report.
        owner: Decides what becomes of failures.
        log: Takes the lines about them.

    Attributes:
        driver: The engine's end in this process; None before the start.
    """

    def __init__(
        self,
        system: System,
        make: Callable[[], EngineProcess] | None,
        report: Callable[[Report], None],
        owner: Owner,
        log: Logger,
    ) -> None:
        self._system = system
        self._make = make
        self._report = report
        self._owner = owner
        self._log = log
        self._answers: dict[int, tuple[Ask | Sync, asyncio.Future[Status]]] = {}
        self._token = 0
        self._answered = True
        self._over = False
        self._crashes: deque[float] = deque()
        self._unstarted = 0
        self.driver: EngineDriver | EngineLink | None = None

    @property
    def pid(self) -> int:
        """The process the engine runs in."""
        return self.driver.pid if isinstance(self.driver, EngineLink) else os.getpid()

    def start(self, begun: EngineProcess | None = None) -> None:
        """Start an engine, or take over one that was begun before there was an event loop."""
        loop = asyncio.get_running_loop()
        if self._make is None:
            from pyvrrp.engine.driver import EngineDriver  # noqa: PLC0415  a megabyte that a process of its own has
            from pyvrrp.engine.loop import Engine  # noqa: PLC0415

            engine = Engine(self._system, self._report)
            self.driver = EngineDriver(engine, self._system, loop, self._crashed)
        else:
            self.driver = EngineLink(begun or self._make(), loop, self._report, self._crashed)

    def command(self, command: Command) -> None:
        """Hand a command to the engine if there is one; how a process is scheduled concerns an engine with its own."""
        if self.driver is None or (self._make is None and isinstance(command, Hardening)):
            return
        self.driver.command(command)

    def _send(self, question: Ask | Sync) -> None:
        if isinstance(self.driver, EngineLink):
            self.driver.command(question)
        else:
            self.command(Ask(question.token))

    async def ask(self) -> Status:
        """
        The engine's status.

        Raises:
            VrrpError: It does not answer in time.
            EngineGoneError: There is no engine any more.
        """
        return await self._answer(Ask)

    async def sync(self) -> None:
        """
        Wait until the engine has carried out all commands before.

        Raises:
            VrrpError: It does not answer in time.
            EngineGoneError: There is no engine any more.
        """
        await self._answer(Sync)

    async def _answer(self, kind: type[Ask | Sync]) -> Status:
        if self._over:
            raise EngineGoneError("the engine has ended")
        self._token += 1
        token = self._token  # others may ask meanwhile
        future: asyncio.Future[Status] = asyncio.get_running_loop().create_future()
        question = kind(token)
        self._answers[token] = question, future
        self._send(question)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer: Status = await future
        except TimeoutError as error:
            raise VrrpError(f"the engine did not answer within {ANSWER_TIMEOUT_S:g} s") from error
        finally:
            del self._answers[token]
        return answer

    def answered(self, status: Status) -> None:
        """Hand an answer to whoever asked."""
        self._answered = True
        if status.token in self._answers and not (future := self._answers[status.token][1]).done():
            future.set_result(status)

    def ended(self) -> None:
        """The engine has ended as it was told to: what it was asked it will not answer any more."""
        self._over = True
        self._fail("the engine has ended")

    def is_alive(self) -> bool:
        """The engine has answered since it was last asked; it is asked anew."""
        answered, self._answered = self._answered, False
        self._send(Sync(ALIVE))
        return answered

    def let_go(self, *, keep_addresses: bool) -> None:
        """Whatever ends the daemon, it must not leave its addresses behind."""
        if self.driver is not None:
            self.driver.command(Stop(keep_addresses=keep_addresses))
            self.driver.wake()

    def close(self) -> None:
        """End the engine; a process is waited for."""
        if self.driver is not None:
            self.driver.close()

    def _crashed(self, error: Exception) -> None:
        """The engine met a fault of ours: clean up what it did and start it again, but not for ever."""
        self._log.error(f"the engine failed: {error!r}")
        self._log.debug("where that was", exc_info=error)
        with contextlib.suppress(Exception):  # it is broken; its sockets go with it
            self.close()
        self._owner.engine_failed()
        now_s = time.monotonic()
        self._crashes.append(now_s)
        while self._crashes and now_s - self._crashes[0] > CRASH_WINDOW_S:
            self._crashes.popleft()
        if len(self._crashes) >= CRASHES_MAX or self._owner.stopping:
            self._give_up()
            return
        self._start_again()

    def _start_again(self) -> None:
        """Start another; no descriptor or no memory may be left for one, and soon there is."""
        if self._owner.stopping:
            self._give_up()
            return
        try:
            self.start()
        except Exception as error:  # noqa: BLE001  as above
            self._log.error(f"the engine cannot be started: {error!r}")
            self._log.debug("where that was", exc_info=error)
            self._unstarted += 1
            if self._unstarted >= STARTS_MAX:
                self._give_up()
            else:
                asyncio.get_running_loop().call_later(START_AGAIN_S, self._start_again)
            return
        self._unstarted = 0
        self._owner.engine_restarted()
        for question, _ in self._answers.values():  # they went with the engine that was asked
            self._send(question)

    def _give_up(self) -> None:
        if not self._owner.stopping:
            self._log.error("the engine fails again and again: giving up")
        self._fail("the engine has failed")
        self._owner.engine_given_up()

    def _fail(self, why: str) -> None:
        for _, future in self._answers.values():
            if not future.done():
                future.set_exception(EngineGoneError(why))
