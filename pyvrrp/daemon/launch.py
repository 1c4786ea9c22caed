"""
`pyvrrp run`: from the options to a daemon that serves.

The order is made for an early first advertisement. In the foreground the engine is forked first of all, and imports
what it needs while the configuration is read here; into the background, daemons go with as few processes as possible,
so there it comes after that. Then: claim the name, decide what runs, remove leftovers, write the state file, and the
engine may speak. Event loop, logs and supervisor are imported while it does. Until there is a log its lines are kept.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from pyvrrp.daemon import drop_in, reading
from pyvrrp.daemon.engine_process import EngineProcess
from pyvrrp.daemon.options import RunOptions
from pyvrrp.errors import ConfigError, KernelError, NotPermitted, VrrpError
from pyvrrp.net import rights
from pyvrrp.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from pyvrrp.config.complaints import Parsed
    from pyvrrp.config.model import Configuration
    from pyvrrp.daemon.daemonise import Readiness
    from pyvrrp.daemon.deciding import Decided, Decider
    from pyvrrp.daemon.lines import Line
    from pyvrrp.daemon.pidfile import PidFile
    from pyvrrp.daemon.runtime import RuntimeDirectory
    from pyvrrp.net.linux import LinuxSystem

PID_FILES: Final = "/run"

POD_ENTRIES: Final = {"monitor.sh": "run", "remove-failover.sh": "remove"}

DEFAULT_LOG_FILE: Final = "/tmp/keepalived.log"  # noqa: S108  keepalived's own place

ORPHAN_S: Final = 5.0
"""How long to wait for the engine of a dead predecessor; a handover takes 3 s at most."""

EXIT_OK: Final = 0
EXIT_FATAL: Final = 1  # also an option that does not exist
EXIT_CONFIG: Final = 2
EXIT_NO_PERMISSION: Final = 4
EXIT_INTERNAL: Final = 70

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are, absolute, since a daemon changes its directory; None is nowhere."""

    config: Path
    pid: Path | None
    vrrp_pid: Path | None
    runtime_dir: Path | None
    log_file: Path | None


def called_keepalived() -> bool:
    """Started under that name we behave as it does."""
    return os.path.basename(sys.argv[0]) == "keepalived"  # noqa: PTH119  pathlib takes milliseconds to import


def called_as_pod() -> str | None:
    """The command of `pod` that a name of the old ipfailover image's entry points stands for."""
    return POD_ENTRIES.get(os.path.basename(sys.argv[0]))  # noqa: PTH119  as above


def exit_code(error: Exception) -> int:
    """What keepalived ends with when that is wrong."""
    from pyvrrp.daemon.runtime import AlreadyRunning  # noqa: PLC0415  here as below: not before the fork

    match error:
        case AlreadyRunning():
            return EXIT_OK
        case ConfigError():
            return EXIT_CONFIG
        case NotPermitted():
            return EXIT_NO_PERMISSION
        case VrrpError():
            return EXIT_FATAL
        case _:
            return EXIT_INTERNAL


def run(options: RunOptions) -> int:
    """
    Run the daemon, or only check its configuration.

    Returns:
        The exit code.

    Raises:
        VrrpError: It cannot, and nobody has been told yet.
    """
    if options.namespace is not None:
        reading.enter_namespace(options.namespace)
    if options.config_test is not None:
        return reading.check(options)
    from pyvrrp.daemon.daemonise import occupy_standard_descriptors  # noqa: PLC0415

    occupy_standard_descriptors()  # or a pid file could get the number of standard error, and the log be written there
    if called_keepalived():
        drop_in.take_name(drop_in.KEEPALIVED)
    rights.take_effect()
    collecting = gc.isenabled()
    gc.disable()  # nothing that is made during the start is garbage
    engine = _first_engine() if options.dont_fork else None
    try:
        return _serve(options, engine)
    finally:
        if engine is not None:
            engine.give_up()
        if collecting:
            gc.enable()


def words_of(error: Exception) -> str:
    """What people are told of an error that ends the daemon."""
    return str(error) if isinstance(error, VrrpError) else f"internal error: {error!r}"


def _first_engine() -> EngineProcess:
    """Fork the engine; signals wait until there are handlers, and the engine's are blocked for ever."""
    from pyvrrp.daemon.daemonise import SUPERVISED_SIGNALS, reset_signals  # noqa: PLC0415

    reset_signals(SUPERVISED_SIGNALS)
    return EngineProcess.fork(_engine_name())


def _engine_name() -> str:
    return "keepalived_vrrp" if called_keepalived() else "pyvrrp_engine"


def _serve(options: RunOptions, engine: EngineProcess | None) -> int:
    from pyvrrp.daemon.daemonise import Readiness, daemonise  # noqa: PLC0415
    from pyvrrp.daemon.pidfile import running_pid  # noqa: PLC0415

    try:
        if options.late_source is not None:
            options.source = options.late_source()
        parsed, moved = (options.source.load(), False) if options.source else reading.load_first(options)
    except ConfigError as error:
        print(f"pyvrrp: {error}", file=sys.stderr)
        return EXIT_CONFIG if options.source else reading.EXIT_NO_CONFIG
    places = settle(options, parsed)
    ours = {os.getpid(), *([engine.pid] if engine else ())}  # in a container a stale file often says one of these
    if places.pid is not None and (pid := running_pid(places.pid, ours)) is not None and _is_alive(pid):
        print("daemon is already running", file=sys.stderr)
        return EXIT_OK
    if parsed.fatal or (options.strict and parsed.mistakes):
        for complaint in parsed.complaints:
            print(complaint, file=sys.stderr)
        return EXIT_CONFIG
    missing = _missing_rights()
    if missing:
        print(f"pyvrrp: cannot run without {' and '.join(missing)}: {rights.why_missing(missing)}", file=sys.stderr)
        return EXIT_NO_PERMISSION
    readiness = Readiness() if options.dont_fork else daemonise(umask=options.umask)
    if options.umask is not None:
        os.umask(options.umask)
    if engine is not None and moved:  # it is in another network namespace
        engine.end()
        engine = None
    try:
        return _claim(options, parsed, places, readiness, engine)
    except Exception as error:  # noqa: BLE001  the log has more; a traceback is nothing for whoever started us
        readiness.failed(exit_code(error), f"pyvrrp: {words_of(error)}")
        print(f"pyvrrp: {words_of(error)}", file=sys.stderr)
        return exit_code(error)


def settle(options: RunOptions, parsed: Parsed) -> Places:
    """Make paths absolute and decide where pid files go."""
    from pathlib import Path  # noqa: PLC0415

    def absolute(name: str | Path | None) -> Path | None:
        return None if name is None else Path(name).absolute()

    settings = parsed.configuration.globals
    pid: str | Path | None = options.pid
    vrrp_pid: str | Path | None = options.vrrp_pid
    if called_keepalived():
        directory, suffix = Path(PID_FILES), ""
        if settings.instance_name or settings.use_pid_dir or options.namespace or settings.net_namespace:
            directory /= "keepalived"
            with contextlib.suppress(OSError):  # writing there says what is wrong
                directory.mkdir(mode=0o755, exist_ok=True)
            suffix = f"_{settings.instance_name}" if settings.instance_name else ""
        pid = pid or directory / f"keepalived{suffix}.pid"
        vrrp_pid = vrrp_pid or directory / f"vrrp{suffix}.pid"
    elif not options.dont_fork:
        pid = pid or Path(PID_FILES) / (f"pyvrrp-{options.name}.pid" if options.name else "pyvrrp.pid")
    log_file = None if options.log_file is None else options.log_file or DEFAULT_LOG_FILE
    return Places(
        Path(options.use_file).absolute(),
        absolute(pid),
        absolute(vrrp_pid),
        absolute(options.runtime_dir),
        absolute(log_file),
    )


def _missing_rights() -> list[str]:
    from pyvrrp.net.linux import missing_capabilities  # noqa: PLC0415

    return missing_capabilities()


def _claim(
    options: RunOptions, parsed: Parsed, places: Places, readiness: Readiness, engine: EngineProcess | None
) -> int:
    """What runs in the daemon's own process: claim its name, have the engine work, be control."""
    import re  # noqa: PLC0415

    from pyvrrp.daemon import lines  # noqa: PLC0415
    from pyvrrp.daemon.daemonise import SUPERVISED_SIGNALS  # noqa: PLC0415
    from pyvrrp.daemon.deciding import Decider  # noqa: PLC0415
    from pyvrrp.daemon.locks import base_directory  # noqa: PLC0415
    from pyvrrp.daemon.pidfile import PidFile  # noqa: PLC0415
    from pyvrrp.daemon.runtime import RuntimeDirectory  # noqa: PLC0415
    from pyvrrp.net.linux import LinuxSystem  # noqa: PLC0415

    first = engine or _first_engine()
    stem = re.sub(r"[^\w.+-]", "_", places.pid.stem, flags=re.ASCII)[:64] if places.pid else "pyvrrp"
    name = options.name or parsed.configuration.globals.instance_name or stem
    with contextlib.ExitStack() as stack:
        stack.callback(first.give_up)
        locks: list[PidFile | RuntimeDirectory] = []
        if (path := places.pid) is not None:
            locks.append(stack.enter_context(_when_free(lambda: PidFile.claim(path, ours={first.pid}))))
        base = base_directory(places.runtime_dir)
        runtime = stack.enter_context(_when_free(lambda: RuntimeDirectory.acquire(base, name)))
        locks.append(runtime)
        vrrp_pid = None
        if places.vrrp_pid not in {None, places.pid}:
            assert places.vrrp_pid is not None
            vrrp_pid = stack.enter_context(PidFile.claim(places.vrrp_pid, first.pid, ours={first.pid}))
        stack.callback(first.give_up)  # before the claims go
        descriptors = [each.lock for each in locks]

        def again() -> EngineProcess:
            # Inherited, and never taken back: as with the first engine.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISED_SIGNALS)
            try:
                spawned = EngineProcess.spawn(_engine_name())
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            spawned.begin(descriptors, options.offload)
            if vrrp_pid is not None:
                try:
                    vrrp_pid.rewrite(spawned.pid)
                except KernelError as error:  # no reason to go without an engine
                    decider.say(lines.Line("error", str(error)))
            return spawned

        first.begin(descriptors, options.offload)
        system = stack.enter_context(contextlib.closing(LinuxSystem()))
        kept: list[Line] = []
        decider = Decider(system, runtime, kept.append)
        try:
            decided: Decided | Exception = _begin(first, decider, parsed.configuration)
        except Exception as error:  # noqa: BLE001  to be said in the log, as soon as there is one
            decided = error
        begun = _Begun(runtime, system, first, again, decider, decided, kept)
        return _control(options, places, parsed, readiness, begun)


def _begin(engine: EngineProcess, decider: Decider, configuration: Configuration) -> Decided:
    """Decide what is run, and have the engine run it."""
    from pyvrrp.engine.commands import Hardening  # noqa: PLC0415

    decided = decider.decide(configuration, at_start=True)
    decider.remove_leftovers(decided.settings)
    decider.save(decided.settings)
    if decided.hardening != Hardening():
        engine.send(decided.hardening)
    engine.send(decided.command)
    return decided


@dataclass(frozen=True, slots=True)
class _Begun:
    """What there is when the engine works; *decided* is what was decided, or why there is nothing to run."""

    runtime: RuntimeDirectory
    system: LinuxSystem
    engine: EngineProcess
    again: Callable[[], EngineProcess]
    decider: Decider
    decided: Decided | Exception
    kept: list[Line]


def _is_alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")  # noqa: PTH110  pathlib takes milliseconds to import


def _when_free(claim: Callable[[], T]) -> T:
    """Claim what the engine of a control process that was killed still holds: it hands over, and ends in a moment."""
    from pyvrrp.daemon.runtime import AlreadyRunning  # noqa: PLC0415

    end = time.monotonic() + ORPHAN_S
    while True:
        try:
            return claim()
        except AlreadyRunning as error:
            if error.pid is None or _is_alive(error.pid) or time.monotonic() >= end:
                raise
        time.sleep(0.02)


def _event_loop() -> ModuleType:
    """asyncio without TLS, which nobody here speaks: it would take `ssl` along, 4 MB and 10 ms, but can do without."""
    absent = "ssl" not in sys.modules
    if absent:
        sys.modules["ssl"] = None  # type: ignore[assignment]  # documented: an import of it fails
    import asyncio  # noqa: PLC0415

    if absent:
        del sys.modules["ssl"]  # whoever wants it later may have it
    return asyncio


def _control(options: RunOptions, places: Places, parsed: Parsed, readiness: Readiness, begun: _Begun) -> int:
    """All of the daemon that is not the engine, until it ends."""
    asyncio = _event_loop()

    from pyvrrp.daemon.daemonise import SUPERVISED_SIGNALS  # noqa: PLC0415
    from pyvrrp.daemon.logs import LogFormat, LogSettings, configure, syslog_facility  # noqa: PLC0415
    from pyvrrp.daemon.supervisor import Begun, Options, Supervisor  # noqa: PLC0415

    settings = LogSettings(
        format=LogFormat(options.log_format or ("keepalived" if called_keepalived() else "console")),
        console=options.log_console,
        file=places.log_file,
        syslog=not options.no_syslog,
        facility=syslog_facility(options.log_facility),
        detail=bool(options.log_detail),
    )
    with configure(settings) as logs:
        log = logs.logger
        log.info(f"Starting pyvrrp v{__version__}", pid=os.getpid(), name=begun.runtime.name)
        log.info(f"Configuration file {places.config}")
        for problem in logs.problems:
            log.warning(problem)

        def complain(about: Parsed) -> None:
            for complaint in about.complaints:
                (log.error if complaint.dropped else log.warning)(str(complaint))

        def reload() -> Configuration:
            logs.reopen()
            if options.source is not None:
                return options.source.again(log)
            anew = reading.load(places.config, options)
            if anew.drops:
                raise ConfigError("\n".join(map(str, anew.drops)))
            complain(anew)
            return anew.configuration

        complain(parsed)
        if options.source is not None:
            options.source.begun(log)
        for line in begun.kept:
            getattr(log, line.level)(line.text, **line.fields)

        async def supervise() -> int:
            if isinstance(begun.decided, Exception):
                raise begun.decided
            supervisor = Supervisor(
                parsed.configuration,
                begun.system,
                begun.runtime,
                log,
                Options(
                    source=str(places.config),
                    load=reload,
                    ready=readiness.ready,
                    keep_addresses=options.dont_release_vrrp,
                    ignore_sigint=options.ignore_sigint,
                    handover=not options.release_at_once,
                    engine=begun.again,
                    begun=Begun(begun.engine, begun.decider, begun.decided),
                    beside=options.source,
                    umask=options.umask,
                    http_health=options.http_health,
                ),
            )
            gc.collect()  # each class with slots has left one without
            gc.freeze()
            gc.enable()
            try:
                return await supervisor.run()
            finally:
                # The handlers end with the loop: a second SIGTERM must not kill what is left to do.
                signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISED_SIGNALS)

        try:
            code: int = asyncio.run(supervise())
        except Exception as error:
            for text in words_of(error).splitlines():
                log.error(text)  # noqa: TRY400  the traceback goes where it is asked for
            log.debug("where that was", exc_info=error)
            if not options.log_console:
                raise
            readiness.failed(exit_code(error), f"pyvrrp: {words_of(error)}")
            return exit_code(error)
        if code:
            readiness.failed(code, "pyvrrp: the daemon has failed, its log says why")
        log.info(f"Stopped pyvrrp v{__version__}")
        return code
