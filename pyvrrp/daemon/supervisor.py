"""
The daemon: configuration, trackers, notify scripts, status and logs around one engine.

Everything that runs is a task with a name. Start, reload and end go through here, and only here; the order at the
start is: claim the runtime directory, remove what a dead predecessor left, then let the engine speak.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from pyvrrp.config.model import Configuration, Notify, VrrpInstance
from pyvrrp.daemon import words
from pyvrrp.daemon.control import ControlServer
from pyvrrp.daemon.daemonise import SUPERVISED_SIGNALS
from pyvrrp.daemon.engine_link import EngineLink
from pyvrrp.daemon.logs import RateLimiter, suppressed_note
from pyvrrp.daemon.notify import STOP, Notification, Notifier
from pyvrrp.daemon.runtime import RuntimeDirectory, clashes, leftovers
from pyvrrp.daemon.sd_notify import SdNotify
from pyvrrp.daemon.status import as_json
from pyvrrp.daemon.tracking import Plan, Tracking
from pyvrrp.daemon.translate import claims, engine_settings, family_of, installed
from pyvrrp.engine.loop import Engine, EngineDriver
from pyvrrp.engine.streams import (
    Ask,
    Command,
    Configure,
    Entered,
    InstanceSettings,
    Remarked,
    Report,
    Status,
    Stop,
    Stopped,
)
from pyvrrp.errors import ConfigError, KernelError, UsageError, VrrpError
from pyvrrp.net.links import primary_address
from pyvrrp.net.system import ADDRESS_PROTOCOL, IPInterface, System
from pyvrrp.protocol.actions import Note
from pyvrrp.protocol.constants import PRIORITY_OWNER, IPAddress
from pyvrrp.protocol.states import State
from pyvrrp.trackers.base import TrackerReport
from pyvrrp.trackers.children import ScriptPolicy, command_trouble
from pyvrrp.version import __version__

ANSWER_TIMEOUT_S: Final = 5.0
"""An engine that does not answer within this time is stuck."""

CRASHES_MAX: Final = 5
"""An engine that fails so often within `CRASH_WINDOW_S` is not started again: somebody else may serve better."""

CRASH_WINDOW_S: Final = 60.0

HOUSEKEEPING_S: Final = 60.0

GRACE_S: Final = 0.1

_ALIVE: Final = -1
"""Token of a question that only asks for a sign of life."""

EXIT_INTERNAL: Final = 70
"""keepalived's code, from sysexits.h: a fault of the program itself."""

DUMPS: Final = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN + 2, signal.SIGRTMAX - 1)
"""keepalived writes files on these; left alone they would end the daemon and leave its addresses behind."""


class Logger(Protocol):
    """What the supervisor asks of a structlog logger."""

    def debug(self, event: str, **fields: Any) -> Any:
        """Shown with `--log-detail` only."""

    def info(self, event: str, **fields: Any) -> Any:
        """What an operator wants to read afterwards."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Something is odd, the daemon copes."""

    def error(self, event: str, **fields: Any) -> Any:
        """Something was asked for and is not done."""


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
        engine: Starts an engine process, each time it is called; its pid and the streams to it. None runs the engine in
            this process.
        handover: At the end a MASTER serves on until its successor is heard; else it lets go at once, as keepalived.
    """

    source: str
    load: Callable[[], Configuration]
    ready: Callable[[], None] = lambda: None
    keep_addresses: bool = False
    ignore_sigint: bool = False
    handover: bool = True
    engine: Callable[[], tuple[int, socket.socket]] | None = None


@dataclass(slots=True)
class _Known:
    """What the supervisor remembers of an instance between reports."""

    instance: VrrpInstance
    settings: InstanceSettings
    priority: int
    state: State = State.INITIALIZE


@dataclass(frozen=True, slots=True)
class _Decided:
    """A configuration that can be run; nothing of it is in force yet."""

    configuration: Configuration
    policy: ScriptPolicy
    plan: Plan
    settings: tuple[InstanceSettings, ...]


class _EngineGoneError(VrrpError):
    """The engine failed too often, and the daemon ends."""


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
        self._known: dict[str, _Known] = {}
        self._reports: asyncio.Queue[Report] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[Status]] = {}
        self._token = 0
        self._driver: EngineDriver | EngineLink | None = None
        self._crashes: deque[float] = deque()
        self._stop = asyncio.Event()
        self._stopped = asyncio.Event()
        self._hurried = False
        self._answered = True
        self._code = 0
        self._started_s = time.monotonic()
        self._warnings: list[str] = []
        self._reloading = asyncio.Lock()
        self._reload_waits = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tracking = Tracking(system, self._command, self._tracked, self._source_of, self._tracker_crashed)
        self._notifier = Notifier(lambda report: self._write(words.of_notify(report)))
        self._limiter = RateLimiter(causes=1024)  # three for each of 255 routers
        self._sd = SdNotify.from_environment(on_failure=log.warning)
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
        self._keep(self._notifier.run(), "notify")
        control = self._control()
        try:
            decided = self._decide(self._configuration, at_start=True)
            self._remove_leftovers(decided.settings)
            self._start_engine()
            self._apply(decided)
            await self._start_up(control)
            await self._stop.wait()
            await self._shut_down()
        finally:
            self._let_go()
            if control is not None:
                await control.stop()
            await self._tracking.stop()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._driver is not None:
                self._driver.close()
            self._sd.close()
        return self._code

    def stop(self, code: int = 0) -> None:
        """End in order; asked a second time, at once."""
        if self._stop.is_set() and not self._hurried:
            self._hurried = True
            self._command(Stop(keep_addresses=self._options.keep_addresses))
        self._code = self._code or code
        self._stop.set()

    async def status(self) -> Mapping[str, Any]:
        """
        All that is known, as `pyvrrp status --json` prints it.

        Raises:
            VrrpError: The engine does not answer.
        """
        answer = await self._ask()
        daemon = {
            "version": __version__,
            "pid": os.getpid(),
            "engine_pid": getattr(self._driver, "pid", os.getpid()),
            "name": self._runtime.name if self._runtime is not None else None,
            "config": self._options.source,
            "up_s": round(time.monotonic() - self._started_s, 3),
            "warnings": list(self._warnings),
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
                # In a thread: a large file takes longer to read than a master may be silent.
                configuration = await asyncio.to_thread(self._options.load)
                if self._stop.is_set():
                    self._log.info("Reload dropped: the daemon stops")
                    return False
                decided = self._decide(configuration, at_start=False)
            except VrrpError as error:
                for line in str(error).splitlines():
                    self._log.error(line)
                self._log.error("Reload refused, the old configuration runs on")
                self._warnings = [f"reload refused: {error}".splitlines()[0]]
                return False
            else:
                self._warnings = []
                self._apply(decided)
                await self._ask()
                self._log.info("Reload complete", instances=len(decided.settings))
                return True
            finally:
                if not self._stop.is_set():
                    await self._sd.ready(self._summary())

    # Start, reload and end

    def _install_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        if self._options.ignore_sigint:
            loop.add_signal_handler(signal.SIGINT, lambda: None)  # SIG_IGN would be inherited by scripts
        else:
            loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        for number in DUMPS:
            loop.add_signal_handler(number, self._refuse_dump, number)
        # A flood of signals fills the loop's pipe; by default the interpreter shows a traceback for each one more.
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SUPERVISED_SIGNALS)

    def _reload_soon(self) -> None:
        if not self._reload_waits and not self._stop.is_set():
            self._keep(self.reload(), "reload")

    def _refuse_dump(self, number: int) -> None:
        self._log.warning(f"signal {number}: dump files are not written, ask with `pyvrrp status --json`")

    async def _start_up(self, control: ControlServer | None) -> None:
        """See that the engine works, then tell everybody that we serve."""
        with contextlib.suppress(_EngineGoneError):  # it has said so, and asked to stop
            await self._ask()
        if self._code:
            return
        if control is not None:
            try:
                await control.start()
            except VrrpError as error:
                self._log.error(f"{error}; nobody can ask this daemon for its status")
                self._warnings.append(str(error))
        self._keep(self._sd.run_watchdog(self._is_alive), "watchdog")
        self._keep(self._look_after(), "housekeeping")
        self._options.ready()
        await self._sd.ready(self._summary())
        self._log.info("Startup complete", instances=len(self._known))

    def _is_alive(self) -> bool:
        """The engine has answered since it was last asked; it is asked anew."""
        answered, self._answered = self._answered, False
        self._command(Ask(_ALIVE))
        return answered

    async def _look_after(self) -> None:
        """Say now and then what was kept back of lines that a peer can repeat."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            for kept_back in self._limiter.pending(self._system.now_us()):
                peer = f" from {kept_back.peer}" if kept_back.peer else ""
                self._log.warning(f"{kept_back.count} more lines were not shown{peer}: {kept_back.cause}")

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

        return ControlServer(
            self._runtime.socket_path,
            {"status": (status, False)},
            on_error=lambda command, error: self._log.error(f"control command {command} failed: {error!r}"),
        )

    def _decide(self, configuration: Configuration, *, at_start: bool) -> _Decided:
        """Decide what can be run: interfaces, and nobody else runs the same virtual router here."""
        policy = ScriptPolicy.of(configuration.globals)
        configuration = self._without_broken_scripts(configuration, policy, at_start=at_start)
        plan = self._tracking.plan(configuration)
        others = self._runtime.others() if self._runtime is not None else ()
        refused: dict[str, str] = {}
        settings: list[InstanceSettings] = []
        for instance in configuration.instances:
            try:
                interface = self._interface_of(instance)
            except ConfigError as error:
                refused[instance.name] = str(error)
            else:
                settings.append(engine_settings(instance, interface, plan.awaited(instance.name)))
        for one in settings:
            try:
                one.check()
            except UsageError as error:
                refused[one.name] = f"({one.name}) cannot be run: {error}"
        for router, other in clashes(claims(settings).routers, others):
            refused[router.instance] = (
                f"({router.instance}) virtual router {router.vrid} on {router.interface} is already run by pid "
                f"{other.pid} (daemon {other.name})"
            )
        kept = tuple(one for one in settings if one.name not in refused)
        if configuration.instances and not kept:
            refused[""] = "no instance is left to run"
        if refused and not (at_start and kept):
            raise ConfigError("\n".join(refused.values()))
        for text in refused.values():
            self._log.error(text)
            self._warnings.append(text)
        self._check_scripts(configuration, policy)
        return _Decided(configuration, policy, plan.only(one.name for one in kept), kept)

    def _without_broken_scripts(
        self, configuration: Configuration, policy: ScriptPolicy, *, at_start: bool
    ) -> Configuration:
        """Drop check scripts that cannot be run, as keepalived does at the start; a reload is refused for one."""
        troubles = {
            script.name: f"Disabling track script {script.name}: {trouble}"
            for script in configuration.scripts
            if script.command is not None and (trouble := command_trouble(script.command, policy))
        }
        if troubles and not at_start:
            raise ConfigError("\n".join(troubles.values()))
        for text in troubles.values():
            self._log.error(text)
            self._warnings.append(text)
        return replace(configuration, scripts=tuple(s for s in configuration.scripts if s.name not in troubles))

    def _check_scripts(self, configuration: Configuration, policy: ScriptPolicy) -> None:
        for instance in configuration.instances:
            notify = instance.notify
            for command in (notify.master, notify.backup, notify.fault, notify.stop, notify.any):
                if command is not None and (trouble := command_trouble(command, policy)):
                    self._log.error(f"({instance.name}) notify script: {trouble}", instance=instance.name)

    def _interface_of(self, instance: VrrpInstance) -> str:
        """The interface of an instance; in unicast mode it may be known by its source address alone."""
        if instance.interface is not None:
            return instance.interface
        names = {link.index: link.name for link in self._system.links()}
        for assigned in self._system.addresses():
            if assigned.address.ip == instance.source and assigned.index in names:
                return names[assigned.index]
        raise ConfigError(
            f"({instance.name}) no interface has the source address {instance.source}",
            hint="name the interface in the block",
        )

    def _remove_leftovers(self, settings: Iterable[InstanceSettings]) -> None:
        """What a killed predecessor left must be gone before the first advertisement."""
        if self._runtime is None:
            return
        for warning in self._runtime.warnings:
            self._log.warning(warning)
        names = {link.index: link.name for link in self._system.links()}
        found = [(names.get(a.index, ""), a) for a in self._system.addresses()]
        configured = [
            address for one in settings if one.router.priority != PRIORITY_OWNER for address in installed(one)
        ]
        native = self._native(settings)
        stray = [
            address
            for address in leftovers(found, self._runtime.predecessor, configured, self._runtime.others())
            if (address.interface, address.address) not in native
        ]
        if not stray:
            return
        for address, error in zip(stray, self._system.remove(stray), strict=True):
            if error is None:
                self._log.info(f"removed leftover {address.address} from {address.interface}")
            else:
                self._log.error(str(error))

    def _native(self, settings: Iterable[InstanceSettings]) -> set[tuple[str, IPInterface]]:
        """Addresses of owners that are there without our mark: the host's own, which are not ours to remove."""
        names = {link.index: link.name for link in self._system.links()}
        unmarked = {
            (names.get(assigned.index, ""), assigned.address)
            for assigned in self._system.addresses()
            if assigned.protocol != ADDRESS_PROTOCOL
        }
        owners = [one for one in settings if one.router.priority == PRIORITY_OWNER]
        return {(address.interface, address.address) for one in owners for address in installed(one)} & unmarked

    def _start_engine(self) -> None:
        loop = asyncio.get_running_loop()
        if self._options.engine is None:
            engine = Engine(self._system, self._reports.put_nowait)
            self._driver = EngineDriver(engine, self._system, loop, self._engine_crashed)
        else:
            pid, sock = self._options.engine()
            self._driver = EngineLink(pid, sock, loop, self._reports.put_nowait, self._engine_crashed)

    def _apply(self, decided: _Decided) -> None:
        self._configuration = decided.configuration
        self._notifier.policy = decided.policy
        by_name = {instance.name: instance for instance in decided.configuration.instances}
        before = {known.settings.key: known for known in self._known.values()}
        self._save([*(known.settings for known in self._known.values()), *decided.settings])
        self._known = {}
        for one in decided.settings:
            known = self._known[one.name] = _Known(by_name[one.name], one, one.router.priority)
            if (old := before.pop(one.key, None)) is not None:
                known.state = old.state
                if old.settings.router.priority == one.router.priority:
                    known.priority = old.priority
        for gone in before.values():
            self._tell_removed(gone)
        self._command(Configure(decided.settings))
        self._tracking.start(decided.plan, decided.policy)
        self._command(Ask(0))  # its answer says that old addresses are gone: then they need not be claimed any more

    def _save(self, settings: Iterable[InstanceSettings]) -> None:
        if self._runtime is None:
            return
        try:
            self._runtime.save(claims(settings))
        except KernelError as error:
            self._log.error(f"{error}; a successor could not tell our addresses from others'")

    async def _shut_down(self) -> None:
        self._log.info("Stopping")
        self._command(Stop(self._options.keep_addresses, self._options.handover))
        await self._sd.stopping()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._stopped.wait()
        except TimeoutError:
            await asyncio.sleep(GRACE_S)  # a loop kept busy by a flood of signals sees its answer and the timer at once
        if not self._stopped.is_set():
            self._log.error(f"the engine did not stop within {ANSWER_TIMEOUT_S:g} s")
            self._code = self._code or EXIT_INTERNAL
            if self._driver is not None:
                self._driver.close()  # or it would put them back
            self._clean_up()
        for known in self._known.values():
            self._notify(known, STOP, "the daemon stops")
        await self._tracking.stop()
        await self._notifier.close()
        if not self._options.keep_addresses:
            self._save(())

    def _let_go(self) -> None:
        """Whatever ends the daemon, it must not leave its addresses behind."""
        if self._driver is not None and not self._stopped.is_set():
            self._stop.set()
            self._driver.command(Stop(keep_addresses=self._options.keep_addresses))
            self._driver.wake()

    async def _ask(self) -> Status:
        """The engine's status, and with it the certainty that all commands before are carried out."""
        self._token += 1
        future = self._answers[self._token] = asyncio.get_running_loop().create_future()
        self._command(Ask(self._token))
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer: Status = await future
        except TimeoutError as error:
            raise VrrpError(f"the engine did not answer within {ANSWER_TIMEOUT_S:g} s") from error
        finally:
            del self._answers[self._token]
        return answer

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
            case Status(token):
                self._answered = True
                if token == 0:
                    self._save(known.settings for known in self._known.values())
                elif (future := self._answers.get(token)) is not None and not future.done():
                    future.set_result(report)
                return
            case Stopped():
                self._stopped.set()
                return
            case _:
                pass
        name = getattr(report, "instance", None)
        known = self._known.get(name) if name is not None else None
        own = words.Own() if known is None else words.Own(known.state, known.priority)
        for line in words.of_report(report, own):
            self._write(line)
        if known is None:
            return
        if isinstance(report, Remarked) and report.remark.note is Note.PRIORITY and report.remark.priority:
            known.priority = report.remark.priority
        if isinstance(report, Entered):
            transition = report.transition
            known.state, known.priority = transition.state, transition.priority
            if transition.state is not State.INITIALIZE:
                self._notify(known, str(transition.state), transition.reason, str(transition.previous))
            self._say_status()

    def _tracked(self, kind: str, report: TrackerReport) -> None:
        self._write(words.of_tracker(kind, report))

    def _tracker_crashed(self, name: str, error: BaseException) -> None:
        self._log.error(f"tracker {name} failed: {error!r}; it is started again")

    def _engine_crashed(self, error: Exception) -> None:
        """The engine met a fault of ours: clean up what it did and start it again, but not for ever."""
        self._log.error(f"the engine failed: {error!r}")
        self._log.debug("where that was", exc_info=error)
        assert self._driver is not None
        with contextlib.suppress(Exception):  # it is broken; its sockets go with it
            self._driver.close()
        self._clean_up()
        now_s = time.monotonic()
        self._crashes.append(now_s)
        while self._crashes and now_s - self._crashes[0] > CRASH_WINDOW_S:
            self._crashes.popleft()
        if len(self._crashes) >= CRASHES_MAX or self._stop.is_set():
            self._give_up()
            return
        try:
            self._start_engine()
        except Exception as again:  # noqa: BLE001  as above; the number of attempts bounds the recursion
            self._engine_crashed(again)
            return
        for known in self._known.values():
            known.state = State.INITIALIZE
        self._command(Configure(tuple(known.settings for known in self._known.values())))
        self._tracking.tell_all()
        for token in self._answers:  # the questions went with the engine that was asked
            self._command(Ask(token))

    def _give_up(self) -> None:
        if not self._stop.is_set():
            self._log.error("the engine fails again and again: giving up")
        for future in self._answers.values():
            if not future.done():
                future.set_exception(_EngineGoneError("the engine has failed"))
        self._stopped.set()
        self.stop(EXIT_INTERNAL)

    def _clean_up(self) -> None:
        """Take away the addresses of an engine that cannot do it any more."""
        settings = [known.settings for known in self._known.values()]
        try:
            native = self._native(settings)
            addresses = [address for one in settings for address in installed(one)]
            failures = self._system.remove([one for one in addresses if (one.interface, one.address) not in native])
        except Exception as error:  # noqa: BLE001  what broke the engine may break this too
            self._log.error(f"cannot remove addresses: {error!r}")
            return
        for failure in failures:
            if failure is not None:
                self._log.error(str(failure))

    # Telling others

    def _command(self, command: Command) -> None:
        if self._driver is not None:
            self._driver.command(command)

    def _write(self, line: words.Line) -> None:
        note = ""
        if line.repeats:
            kept_back = self._limiter.check(line.repeats, line.fields.get("peer"), self._system.now_us())
            if kept_back is None:
                return
            note = suppressed_note(kept_back)
        getattr(self._log, line.level)(line.text + note, **line.fields)

    def _notify(self, known: _Known, state: str, reason: str, previous: str = "") -> None:
        self._notifier.tell(
            Notification(
                known.instance.name,
                state,
                known.priority,
                previous_state=previous,
                reason=reason,
                vrid=known.instance.vrid,
                interface=known.settings.interface,
            ),
            known.instance.notify,
        )

    def _tell_removed(self, known: _Known) -> None:
        """An instance that a reload took away: the general script hears FAULT, as with keepalived 3.10."""
        known.instance = replace(known.instance, notify=Notify(any=known.instance.notify.any))
        self._notify(known, "FAULT", "no longer in the configuration", str(known.state))

    def _summary(self) -> str:
        states = Counter(str(known.state) for known in self._known.values())
        return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no instances"

    def _say_status(self) -> None:
        text = self._summary()
        if text != self._status_text:
            self._status_text = text
            self._keep(self._sd.status(text), "service manager")

    def _source_of(self, name: str) -> IPAddress | None:
        known = self._known.get(name)
        if known is None:
            return None
        if known.settings.source is not None:
            return known.settings.source
        vips = {address.ip for address in installed(known.settings)}
        for link in self._system.links():
            if link.name == known.settings.interface:
                return primary_address(link, self._system.addresses(link.index), family_of(known.instance), vips)
        return None
