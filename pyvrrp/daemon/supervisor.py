"""
The daemon: configuration, trackers, notify scripts, status and logs around one engine.

Everything that runs is a task with a name. Start, reload and end go through here, and only here. `deciding.py` says
what is run; in the daemon it has said so for the first time, and the engine has been told, before this is imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pyvrrp.config.listening import Listening
from pyvrrp.config.model import Configuration
from pyvrrp.daemon import words
from pyvrrp.daemon.control import ControlServer
from pyvrrp.daemon.daemonise import SUPERVISED_SIGNALS
from pyvrrp.daemon.deciding import Decided, Decider
from pyvrrp.daemon.draining import Draining
from pyvrrp.daemon.dumps.dumper import PREPARE_S, SIGNALS, Dumper, Subject
from pyvrrp.daemon.engine_process import EngineProcess
from pyvrrp.daemon.keeper import ANSWER_TIMEOUT_S, EngineGoneError, EngineKeeper
from pyvrrp.daemon.looks import Looks
from pyvrrp.daemon.orphans import Orphans, adopts
from pyvrrp.daemon.runtime import RuntimeDirectory
from pyvrrp.daemon.sd_notify import SdNotify
from pyvrrp.daemon.source import Source
from pyvrrp.daemon.status import as_json
from pyvrrp.daemon.telling import Logger, Teller
from pyvrrp.daemon.tracking import Tracking
from pyvrrp.daemon.translate import installed
from pyvrrp.engine.commands import Hardening, Stop
from pyvrrp.engine.reports import Entered, Report, Status, Stopped
from pyvrrp.errors import UsageError, VrrpError
from pyvrrp.net.links import primary_address
from pyvrrp.net.system import System
from pyvrrp.protocol.constants import IPAddress
from pyvrrp.trackers.base import TrackerReport
from pyvrrp.trackers.children import ScriptPolicy, is_ours
from pyvrrp.version import __version__

if TYPE_CHECKING:
    from pyvrrp.daemon.http import HttpHealth

HOUSEKEEPING_S: Final = 60.0

GRACE_S: Final = 0.1

EXIT_INTERNAL: Final = 70
"""keepalived's code, from sysexits.h: a fault of the program itself."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An engine that was told a configuration before the supervisor was there."""

    engine: EngineProcess
    decider: Decider
    decided: Decided


@dataclass(frozen=True, slots=True)
class Options:
    """
    What the command line decides for the daemon.

    Attributes:
        source: Where the configuration came from, for `status`.
        load: Reads the configuration anew, for a reload; raises ConfigError, whose words say what is wrong.
        ready: Called once when the daemon serves (writes pid files, tells the starting process).
        keep_addresses: Leave addresses in place at the end (`--dont-release-vrrp`).
        ignore_sigint: As it says.
        handover: At the end a MASTER serves on until its successor is heard; else it lets go at once, as keepalived.
        engine: Starts an engine process, each time it is called. None runs the engine in this process.
        begun: The first engine, if it works already.
        beside: Where the configuration comes from if not from a file.
        umask: `--umask`, for dump files; None if it was not said.
        http_health: Where health is told over HTTP, None for nowhere.
    """

    source: str
    load: Callable[[], Configuration]
    ready: Callable[[], None] = lambda: None
    keep_addresses: bool = False
    ignore_sigint: bool = False
    handover: bool = True
    engine: Callable[[], EngineProcess] | None = None
    begun: Begun | None = None
    beside: Source | None = None
    umask: int | None = None
    http_health: Listening | None = None


class Supervisor:
    """
    Runs a configuration until told to stop.

    Args:
        configuration: What to run at first.
        system: The kernel, or a simulated one.
        runtime: The daemon's own directory, locked; None for none (tests).
        log: Takes everything that people may want to know.
        options: See there.
    """

    def __init__(
        self,
        configuration: Configuration,
        system: System,
        runtime: RuntimeDirectory | None,
        log: Logger,
        options: Options,
    ) -> None:
        self._configuration = configuration
        self._system = system
        self._runtime = runtime
        self._log = log
        self._options = options
        self._teller = Teller(log, system.now_us)
        if options.begun is not None:
            self._decider = options.begun.decider
            self._decider.say = self._teller.write
        else:
            self._decider = Decider(system, runtime, self._teller.write)
        self._reports: asyncio.Queue[Report] = asyncio.Queue()
        self._keeper = EngineKeeper(system, options.engine, self._reports.put_nowait, self, log)
        self._stop = asyncio.Event()
        self._stopped = asyncio.Event()
        self._hurried = False
        self._code = 0
        self._started_s = time.monotonic()
        self._warnings: list[str] = []
        self._draining = Draining(self._keeper, self._teller, log)
        self._hardening: Hardening | None = None
        self._reloading = asyncio.Lock()
        self._reload_waits = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tracking = Tracking(system, self._keeper.command, self._tracked, self._source_of, self._tracker_crashed)
        self._sd = SdNotify.from_environment(on_failure=log.warning)
        about = Subject(system, self._keeper, self._teller, self._tracking, lambda: self._configuration, options.umask)
        self._dumper = Dumper(about, log)
        self._looks = Looks(self.status)
        self._http: HttpHealth | None = None
        self._status_text = ""

    async def run(self) -> int:
        """
        Serve until a signal says stop.

        Returns:
            Exit code: 0 after an orderly end.

        Raises:
            ConfigError: Nothing of the configuration can be run.
            KernelError: The kernel refuses what nothing works without.
        """
        self._install_signals(asyncio.get_running_loop())
        self._keep(self._consume(), "reports")
        self._keep(self._teller.notifier.run(), "notify")
        control = self._control()
        try:
            self._begin()
            await self._start_up(control)
            await self._stop.wait()
            await self._shut_down()
        finally:
            if not self._stopped.is_set():
                self._stop.set()
                self._keeper.let_go(keep_addresses=self._options.keep_addresses)
            if control is not None:
                await control.stop()
            await self._tracking.stop()
            await self._looks.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._keeper.close()
            self._sd.close()
        return self._code

    def stop(self, code: int = 0) -> None:
        """End in order; asked a second time, at once."""
        if self._stop.is_set() and not self._hurried:
            self._hurried = True
            self._keeper.command(Stop(keep_addresses=self._options.keep_addresses))
        self._code = self._code or code
        self._stop.set()

    async def status(self) -> Mapping[str, Any]:
        """
        All that is known, as `pyvrrp status --json` prints it.

        Raises:
            VrrpError: The engine does not answer.
        """
        answer = await self._keeper.ask()
        daemon = {
            "version": __version__,
            "pid": os.getpid(),
            "engine_pid": self._keeper.pid,
            "name": self._runtime.name if self._runtime is not None else None,
            "config": self._options.source,
            "up_s": round(time.monotonic() - self._started_s, 3),
            "drained": self._draining.everything,
            "idle": self._options.beside.idle if self._options.beside else "",
            "warnings": [
                *self._warnings,
                *(self._options.beside.warnings if self._options.beside else ()),
                *([self._http.problem] if self._http is not None and self._http.problem else ()),
            ],
        }
        return as_json(answer, self._tracking.checks, daemon, time.time())

    async def reload(self) -> bool:
        """
        Read the configuration anew and apply it if all of it is good.

        Returns:
            Whether it was applied; if not, the old one runs on and the log says what is wrong.
        """
        self._reload_waits = True
        async with self._reloading:
            self._reload_waits = False
            self._log.info("Reloading ...")
            await self._sd.reloading("reloading")
            try:
                # In a thread: a large file takes longer to read than a script's verdict or a question should wait.
                configuration = await asyncio.to_thread(self._options.load)
                if self._stop.is_set():
                    self._log.info("Reload dropped: the daemon stops")
                    return False
                decided = self._decider.decide(configuration, at_start=self._options.beside is not None)
            except VrrpError as error:
                for line in str(error).splitlines():
                    self._log.error(line)
                self._log.error("Reload refused, the old configuration runs on")
                self._warnings = [f"reload refused: {error}".splitlines()[0]]
                return False
            else:
                self._warnings = []
                self._decider.claim(decided.settings)
                self._keeper.command(decided.command)  # first of all: somebody may wait for it
                self._adopt(decided)
                await self._keeper.sync()
                self._decider.save(decided.settings)  # what is no longer configured is gone
                self._log.info("Reload complete", instances=len(decided.settings))
                return True
            finally:
                if not self._stop.is_set():
                    await self._sd.ready(self._teller.summary())

    # Start, reload and end

    def _begin(self) -> None:
        """Start the engine and tell it what to run, unless that was done before."""
        if (begun := self._options.begun) is not None:
            decided = begun.decided
            self._keeper.start(begun.engine)
        else:
            decided = self._decider.decide(self._configuration, at_start=True)
            self._decider.remove_leftovers(decided.settings)
            self._decider.save(decided.settings)
            self._keeper.start()
            self._keeper.command(decided.hardening)
            self._keeper.command(decided.command)
        self._hardening = decided.hardening
        self._warnings += decided.warnings
        self._adopt(decided)

    def _adopt(self, decided: Decided) -> None:
        """Have everything but the engine follow a configuration that the engine has been told."""
        if self._hardening != decided.hardening:
            self._keeper.command(decided.hardening)
        self._hardening = decided.hardening
        self._configuration = decided.configuration
        self._teller.adopt(decided, drained=self._draining.everything)
        self._tracking.start(decided.plan, decided.policy or ScriptPolicy())

    def _install_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        if self._options.ignore_sigint:
            loop.add_signal_handler(signal.SIGINT, lambda: None)  # SIG_IGN would be inherited by scripts
        else:
            loop.add_signal_handler(signal.SIGINT, self.stop)
        ends = self._options.beside is not None and self._options.beside.hangup_ends
        loop.add_signal_handler(signal.SIGHUP, self.stop if ends else self._reload_soon)
        if adopts():
            Orphans(lambda pid: pid == self._keeper.pid or is_ours(pid), loop)
        for number in SIGNALS:
            loop.add_signal_handler(number, self._dump_soon, number)
        # A flood of signals fills the loop's pipe; by default the interpreter shows a traceback for each one more.
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SUPERVISED_SIGNALS)

    def _reload_soon(self) -> None:
        if not self._reload_waits and not self._stop.is_set():
            self._keep(self.reload(), "reload")

    def _dump_soon(self, number: int) -> None:
        if not self._stop.is_set() and self._dumper.want(number):
            self._keep(self._dumper.run(), "dump")

    async def _start_up(self, control: ControlServer | None) -> None:
        """See that the engine works, then tell everybody that we serve."""
        with contextlib.suppress(EngineGoneError):  # it has said so, and asked to stop
            await self._keeper.sync()
        if self._code or self._stopped.is_set():  # it was told to stop twice before it had answered
            return
        if control is not None:
            try:
                await control.start()
            except VrrpError as error:
                self._log.error(f"{error}; nobody can ask this daemon for its status")
                self._warnings.append(str(error))
        self._keep(self._sd.run_watchdog(self._keeper.is_alive), "watchdog")
        self._keep(self._look_after(), "housekeeping")
        if self._options.http_health is not None:
            from pyvrrp.daemon.http import HttpHealth  # noqa: PLC0415  for those who ask for it

            self._http = HttpHealth(self._options.http_health, self._looks.shared, self._log)
            self._keep(self._http.run(), "health over HTTP")
        if self._options.beside is not None:
            self._keep(self._options.beside.attend(self.reload), "attendance")
        self._options.ready()
        await self._sd.ready(self._teller.summary())
        self._log.info("Startup complete", instances=len(self._teller.known))
        asyncio.get_running_loop().call_later(PREPARE_S, self._dumper.prepare)

    async def _look_after(self) -> None:
        """Say now and then what was kept back of lines that a peer can repeat."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            self._teller.write_kept_back()

    def _keep(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Run a task to the daemon's end at most; one that fails is said, never lost."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error(f"{task.get_name()} failed: {error!r}")
            self._log.debug("where that was", exc_info=error)

    def _control(self) -> ControlServer | None:
        if self._runtime is None:
            return None

        async def status(_request: Mapping[str, Any]) -> Mapping[str, Any]:
            return {"status": await self.status()}

        async def drain(request: Mapping[str, Any]) -> Mapping[str, Any]:
            names, undo, wait = request.get("instances", []), request.get("undo", False), request.get("wait", False)
            if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
                raise UsageError("instances is a list of names")
            return {"instances": await self._draining.drain(names, undo=bool(undo), wait=bool(wait))}

        return ControlServer(
            self._runtime.socket_path,
            {"status": (status, False), "health": (self._looks.command, False), "drain": (drain, True)},
            on_error=lambda command, error: self._log.error(f"control command {command} failed: {error!r}"),
        )

    async def _shut_down(self) -> None:
        self._log.info("Stopping")
        self._keeper.command(Stop(self._options.keep_addresses, self._options.handover))
        await self._sd.stopping()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._stopped.wait()
        except TimeoutError:
            await asyncio.sleep(GRACE_S)  # a loop kept busy by a flood of signals sees its answer and the timer at once
        if not self._stopped.is_set():
            self._log.error(f"the engine did not stop within {ANSWER_TIMEOUT_S:g} s")
            self._code = self._code or EXIT_INTERNAL
            self._keeper.close()  # or it would put them back
            self._decider.clean_up(self._teller.settings)
        self._teller.tell_end()
        await self._tracking.stop()
        await self._teller.notifier.close()
        if not self._options.keep_addresses:
            self._decider.save(())

    # What the keeper asks

    @property
    def stopping(self) -> bool:
        """An engine that fails now is not started again."""
        return self._stop.is_set()

    def engine_failed(self) -> None:
        """Take away the addresses of an engine that cannot do it any more."""
        self._decider.clean_up(self._teller.settings)

    def engine_restarted(self) -> None:
        """Tell a new engine all the old one knew."""
        self._teller.forget_states()
        if self._hardening is not None:
            self._keeper.command(self._hardening)
        self._draining.before_configure()
        self._keeper.command(self._teller.command)
        self._draining.after_configure()
        self._tracking.restarted()

    def engine_given_up(self) -> None:
        """There is no engine any more, and there will be none."""
        self._stopped.set()
        self.stop(EXIT_INTERNAL)

    # Reports

    async def _consume(self) -> None:
        while True:
            report = await self._reports.get()
            try:
                self._hear(report)
            except Exception as error:  # noqa: BLE001  one report that cannot be told must not silence the others
                self._log.error(f"cannot tell {report!r}: {error!r}")

    def _hear(self, report: Report) -> None:
        match report:
            case Status():
                self._keeper.answered(report)
            case Stopped():
                self._stopped.set()
                self._keeper.ended()
            case _:
                if self._teller.tell(report):
                    self._say_status()
                if isinstance(report, Entered):
                    self._tracking.entered(report.instance, report.transition.state)

    def _tracked(self, kind: str, report: TrackerReport) -> None:
        self._teller.write(words.of_tracker(kind, report))

    def _tracker_crashed(self, name: str, error: BaseException) -> None:
        self._log.error(f"tracker {name} failed: {error!r}; it is started again")

    def _say_status(self) -> None:
        text = self._teller.summary()
        if text != self._status_text:
            self._status_text = text
            self._keep(self._sd.status(text), "service manager")

    def _source_of(self, name: str) -> IPAddress | None:
        known = self._teller.known.get(name)
        if known is None:
            return None
        if known.settings.source is not None:
            return known.settings.source
        vips = {address.ip for address in installed(known.settings)}
        for link in self._system.links():
            if link.name == known.settings.interface:
                return primary_address(link, self._system.addresses(link.index), known.instance.family, vips)
        return None
