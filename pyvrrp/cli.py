"""
The command line: arguments in, exit code out.

`run` takes keepalived's options; started under the name `keepalived` it is `run`. Exit codes of `run` and of its
`--config-test` are keepalived's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from pyvrrp.errors import ConfigError, NotPermitted, VrrpError
from pyvrrp.version import __version__

if TYPE_CHECKING:
    from pyvrrp.config.complaints import Parsed
    from pyvrrp.daemon.daemonise import Readiness
    from pyvrrp.daemon.runtime import RuntimeDirectory

DEFAULT_CONFIG: Final = Path("/etc/keepalived/keepalived.conf")
PID_FILES: Final = Path("/run")

DEFAULT_LOG_FILE: Final = "/tmp/keepalived.log"  # noqa: S108  keepalived's own place

ORPHAN_S: Final = 5.0
"""How long to wait for the engine of a dead predecessor; a handover takes 3 s at most."""

T = TypeVar("T")

EXIT_OK: Final = 0
EXIT_FATAL: Final = 1  # also an option that does not exist
EXIT_CONFIG: Final = 2
EXIT_NO_PERMISSION: Final = 4
EXIT_MISTAKE: Final = 5  # of --config-test
EXIT_NO_CONFIG: Final = 6
EXIT_INTERNAL: Final = 70

SIGNALS: Final = {
    "STOP": signal.SIGTERM,
    "RELOAD": signal.SIGHUP,
    "DATA": signal.SIGUSR1,
    "STATS": signal.SIGUSR2,
    "JSON": signal.SIGRTMIN + 2,
    "STATS_CLEAR": signal.SIGRTMAX - 1,
}


class _Parser(argparse.ArgumentParser):
    """Ends with keepalived's code for a wrong option."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(EXIT_FATAL)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:
        arguments: Without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and _called_keepalived():
        words.insert(0, "run")
    if not words:
        words = ["--help"]
    options = _parser().parse_args(words)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        code = command(options)
        if sys.stdout is not None:
            sys.stdout.flush()  # or a reader that went away is noticed where nobody can catch it
    except VrrpError as error:
        print(f"pyvrrp: {error}", file=sys.stderr)
        return _exit_code(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has what it wanted
        return EXIT_OK
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return code


def _called_keepalived() -> bool:
    return Path(sys.argv[0]).name == "keepalived"


def _exit_code(error: Exception) -> int:
    """What keepalived ends with when that is wrong."""
    from pyvrrp.daemon.runtime import AlreadyRunning  # noqa: PLC0415  not for `--help`

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


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="pyvrrp", description="VRRPv2 and VRRPv3: virtual IPs that survive their router.")
    parser.add_argument("--version", action="version", version=f"pyvrrp {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_status(commands)
    from pyvrrp.lab.run import add_parser  # noqa: PLC0415  the daemon does not pay for the lab

    add_parser(commands)
    return parser


# run


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, VrrpError) else f"internal error: {error!r}"


def _octal(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise argparse.ArgumentTypeError(f"{text!r} is no mode, 0-777 in octal")
    return mode


def _add_run(commands: Any) -> None:
    run = commands.add_parser("run", help="run the daemon (keepalived's options)", description=_run.__doc__)
    run.set_defaults(command=_run)
    add = run.add_argument
    add("-f", "--use-file", metavar="FILE", type=Path, default=DEFAULT_CONFIG, help=f"configuration ({DEFAULT_CONFIG})")
    add("-n", "--dont-fork", action="store_true", help="stay in the foreground")
    add("-l", "--log-console", action="store_true", help="log to standard error")
    add("-D", "--log-detail", action="count", default=0, help="detailed log messages")
    add("-S", "--log-facility", metavar="N|NAME", default="daemon", help="syslog facility: 0-7, local0-7, user, daemon")
    add("-g", "--log-file", metavar="FILE", nargs="?", const="", help="log to a file")
    add("-G", "--no-syslog", action="store_true", help="do not log to syslog")
    add("--log-format", choices=("console", "json", "keepalived"), help="how lines look (console)")
    add("-t", "--config-test", metavar="FILE", nargs="?", const="", help="only check the configuration")
    add("--strict", action="store_true", help="refuse a configuration with a mistake in it, rather than run the rest")
    add("-p", "--pid", metavar="FILE", type=Path, help="pid file")
    add("-r", "--vrrp_pid", metavar="FILE", type=Path, help="pid file of the VRRP process")
    add("--name", help="name of this daemon, for several in one network namespace (that of the -p file)")
    add("--runtime-dir", metavar="DIR", type=Path, help="where running daemons keep what they know (/run/pyvrrp)")
    add("-s", "--namespace", metavar="NAME", help="network namespace to run in, as in `ip netns`")
    add("-u", "--umask", metavar="MODE", type=_octal, help="file mode creation mask")
    add("-V", "--dont-release-vrrp", action="store_true", help="leave addresses in place at the end")
    add("--release-at-once", action="store_true", help="at the end do not wait for a successor, as keepalived")
    add("--ignore-sigint", action="store_true", help="do not end on SIGINT")
    add("-v", "--version", action="store_true", dest="show_version", help="print the version")
    add("--signum", metavar="NAME", help=f"print the number of a signal: {', '.join(SIGNALS)}")
    # Accepted for keepalived's sake; what they ask for is always so here, or does not concern VRRP.
    for flags in (
        ("-P", "--vrrp"), ("-C", "--check"), ("-B", "--no_bfd"), ("--all",), ("-X", "--release-vips"),
        ("-I", "--dont-release-ipvs"), ("-R", "--dont-respawn"), ("-a", "--address-monitoring"), ("-m", "--core-dump"),
        ("-x", "--snmp"), ("-d", "--dump-conf"), ("-e", "--all-config"), ("--flush-log-file",), ("--no-mem-check",),
    ):  # fmt: skip
        add(*flags, action="store_true", help=argparse.SUPPRESS)
    for flags in (("-c", "--checkers_pid"), ("-b", "--bfd_pid"), ("-A", "--snmp-agent-socket"), ("-i", "--config-id")):
        add(*flags, metavar="X", help=argparse.SUPPRESS)
    add("-M", "--core-dump-pattern", nargs="?", help=argparse.SUPPRESS)
    add("--debug", nargs="?", const="", help=argparse.SUPPRESS)


def _run(options: argparse.Namespace) -> int:
    """Run the daemon. SIGHUP reloads the configuration, SIGTERM ends in order: priority 0, addresses gone."""
    if options.show_version:
        print(f"pyvrrp v{__version__}", file=sys.stderr)
        return EXIT_OK
    if options.signum is not None:
        return _print_signal(options.signum)
    if options.namespace is not None:
        _enter_namespace(options.namespace)
    if options.config_test is not None:
        return _test(options)
    return _serve(options)


def _print_signal(name: str) -> int:
    if name not in SIGNALS:
        print(f"pyvrrp: no signal is called {name!r}: {', '.join(SIGNALS)}", file=sys.stderr)
        return EXIT_FATAL
    print(int(SIGNALS[name]))
    return EXIT_OK


def _enter_namespace(name: str) -> None:
    from pyvrrp.net.linux import enter_namespace  # noqa: PLC0415  only here

    enter_namespace(name)


def _interface_names() -> frozenset[str]:
    from pyvrrp.net.linux import LinuxSystem  # noqa: PLC0415  not for `--help`

    system = LinuxSystem()
    try:
        return frozenset(link.name for link in system.links())
    finally:
        system.close()


def _load(path: Path) -> Parsed:
    from pyvrrp.config.load import load  # noqa: PLC0415  not for `--help`

    return load(path, interfaces=_interface_names())


def _load_first(options: argparse.Namespace) -> Parsed:
    """Read the configuration, in the network namespace that it names if the command line names none."""
    parsed = _load(options.use_file)
    named = parsed.configuration.globals.net_namespace
    if named is None or options.namespace is not None:
        return parsed
    _enter_namespace(named)
    return _load(options.use_file)  # its interfaces are others


def _test(options: argparse.Namespace) -> int:
    try:
        parsed = _load_first(options)
    except ConfigError as error:
        lines, code = [str(error)], EXIT_NO_CONFIG
    else:
        troubles = _script_troubles(parsed)
        lines = [*map(str, parsed.complaints), *troubles]
        code = parsed.exit_code or (EXIT_MISTAKE if troubles else EXIT_OK)
    if options.config_test:
        try:
            with Path(options.config_test).open("a", encoding="utf-8", errors="backslashreplace") as report:
                report.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            raise VrrpError(f"cannot write to {options.config_test}: {error.strerror}") from error
    else:
        for line in lines:
            print(line, file=sys.stderr)
    return code


def _script_troubles(parsed: Parsed) -> list[str]:
    """Check scripts that a start would leave out: missing, not executable, or not safe to be run as root."""
    from pyvrrp.trackers.children import ScriptPolicy, command_trouble  # noqa: PLC0415  not for `--help`

    try:
        policy = ScriptPolicy.of(parsed.configuration.globals)
    except ConfigError as error:
        return [str(error)]
    return [
        f"{script.place}: track script {script.name}: {trouble}"
        for script in parsed.configuration.scripts
        if script.command is not None and (trouble := command_trouble(script.command, policy))
    ]


def _serve(options: argparse.Namespace) -> int:
    from pyvrrp.daemon.daemonise import Readiness, daemonise, occupy_standard_descriptors  # noqa: PLC0415  not for `--help`
    from pyvrrp.daemon.pidfile import running_pid  # noqa: PLC0415

    occupy_standard_descriptors()  # or a pid file could get the number of standard error, and the log be written there
    try:
        parsed = _load_first(options)
    except ConfigError as error:
        print(f"pyvrrp: {error}", file=sys.stderr)
        return EXIT_NO_CONFIG
    _settle_paths(options, parsed)
    if options.pid is not None and (pid := running_pid(options.pid)) is not None and _is_alive(pid):
        print("daemon is already running", file=sys.stderr)
        return EXIT_OK
    if parsed.fatal or (options.strict and parsed.drops):
        for complaint in parsed.complaints:
            print(complaint, file=sys.stderr)
        return EXIT_CONFIG
    missing = _missing_rights()
    if missing:
        print(f"pyvrrp: cannot run without {' and '.join(missing)}: run as root or grant it", file=sys.stderr)
        return EXIT_NO_PERMISSION
    readiness = Readiness() if options.dont_fork else daemonise(umask=options.umask)
    if options.umask is not None:
        os.umask(options.umask)
    try:
        return _in_the_background(options, parsed, readiness)
    except Exception as error:  # noqa: BLE001  the log has more; a traceback is nothing for whoever started us
        readiness.failed(_exit_code(error), f"pyvrrp: {_words(error)}")
        print(f"pyvrrp: {_words(error)}", file=sys.stderr)
        return _exit_code(error)


def _settle_paths(options: argparse.Namespace, parsed: Parsed) -> None:
    """Make paths absolute, since a daemon changes its directory, and decide where pid files go."""
    settings = parsed.configuration.globals
    if _called_keepalived():
        directory, suffix = PID_FILES, ""
        if settings.instance_name or settings.use_pid_dir or options.namespace or settings.net_namespace:
            directory = PID_FILES / "keepalived"
            with contextlib.suppress(OSError):  # writing there says what is wrong
                directory.mkdir(mode=0o755, exist_ok=True)
            suffix = f"_{settings.instance_name}" if settings.instance_name else ""
        options.pid = options.pid or directory / f"keepalived{suffix}.pid"
        options.vrrp_pid = options.vrrp_pid or directory / f"vrrp{suffix}.pid"
    elif not options.dont_fork:
        options.pid = options.pid or PID_FILES / (f"pyvrrp-{options.name}.pid" if options.name else "pyvrrp.pid")
    for name in ("use_file", "pid", "vrrp_pid", "runtime_dir"):
        if (path := getattr(options, name)) is not None:
            setattr(options, name, path.absolute())
    if options.log_file is not None:
        options.log_file = Path(options.log_file or DEFAULT_LOG_FILE).absolute()


def _missing_rights() -> list[str]:
    from pyvrrp.net.linux import missing_capabilities  # noqa: PLC0415

    return missing_capabilities()


def _in_the_background(options: argparse.Namespace, parsed: Parsed, readiness: Readiness) -> int:
    """
    What runs in the daemon's own process: claim its name, fork the engine, be control.

    The engine is forked before the heavy imports: it shall not carry them, and they take longer than its start.
    """
    from contextlib import ExitStack  # noqa: PLC0415  see above, as below

    from pyvrrp.daemon.daemonise import SUPERVISED_SIGNALS  # noqa: PLC0415
    from pyvrrp.daemon.pidfile import PidFile  # noqa: PLC0415
    from pyvrrp.daemon.runtime import RuntimeDirectory, base_directory  # noqa: PLC0415
    from pyvrrp.engine import process  # noqa: PLC0415
    from pyvrrp.trackers.children import reset_signals  # noqa: PLC0415

    reset_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISED_SIGNALS)  # until there are handlers
    stem = re.sub(r"[^\w.+-]", "_", options.pid.stem, flags=re.ASCII)[:64] if options.pid else "pyvrrp"
    name = options.name or parsed.configuration.globals.instance_name or stem
    with ExitStack() as stack:
        if options.pid is not None:
            stack.enter_context(_when_free(lambda: PidFile.claim(options.pid)))
        base = base_directory(options.runtime_dir)
        runtime = stack.enter_context(_when_free(lambda: RuntimeDirectory.acquire(base, name)))
        engine_name = "keepalived_vrrp" if _called_keepalived() else "pyvrrp_engine"
        first = process.start(engine_name)
        vrrp_pid = None
        if options.vrrp_pid not in {None, options.pid}:
            vrrp_pid = stack.enter_context(PidFile.claim(options.vrrp_pid, first[0]))
        engines = [first]

        def engine() -> tuple[int, socket.socket]:
            if engines:
                return engines.pop()
            from pyvrrp.daemon.engine_link import spawn  # noqa: PLC0415

            again = spawn(engine_name)
            if vrrp_pid is not None:
                vrrp_pid.rewrite(again[0])
            return again

        return _control(options, parsed, readiness, runtime, engine)


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _when_free(claim: Callable[[], T]) -> T:
    """Claim what the engine of a control process that was killed still holds: it hands over, and ends in a moment."""
    from pyvrrp.daemon.runtime import AlreadyRunning  # noqa: PLC0415  as above

    end = time.monotonic() + ORPHAN_S
    while True:
        try:
            return claim()
        except AlreadyRunning as error:
            if error.pid is None or _is_alive(error.pid) or time.monotonic() >= end:
                raise
        time.sleep(0.02)


def _control(
    options: argparse.Namespace,
    parsed: Parsed,
    readiness: Readiness,
    runtime: RuntimeDirectory,
    engine: Callable[[], tuple[int, socket.socket]],
) -> int:
    """All of the daemon that is not the engine, until it ends."""
    import asyncio  # noqa: PLC0415  as above
    from contextlib import closing  # noqa: PLC0415

    from pyvrrp.config.model import Configuration  # noqa: PLC0415
    from pyvrrp.daemon.daemonise import SUPERVISED_SIGNALS  # noqa: PLC0415
    from pyvrrp.daemon.logs import LogFormat, LogSettings, configure, syslog_facility  # noqa: PLC0415
    from pyvrrp.daemon.supervisor import Options, Supervisor  # noqa: PLC0415
    from pyvrrp.net.linux import LinuxSystem  # noqa: PLC0415

    path = options.use_file
    settings = LogSettings(
        format=LogFormat(options.log_format or ("keepalived" if _called_keepalived() else "console")),
        console=options.log_console,
        file=options.log_file,
        syslog=not options.no_syslog,
        facility=syslog_facility(options.log_facility),
        detail=bool(options.log_detail),
    )
    with configure(settings) as logs, closing(LinuxSystem()) as system:
        log = logs.logger
        log.info(f"Starting pyvrrp v{__version__}", pid=os.getpid(), name=runtime.name)
        log.info(f"Configuration file {path}")
        for problem in logs.problems:
            log.warning(problem)

        def complain(about: Parsed) -> None:
            for complaint in about.complaints:
                (log.error if complaint.dropped else log.warning)(str(complaint))

        def reload() -> Configuration:
            logs.reopen()
            anew = _load(path)
            if anew.drops:
                raise ConfigError("\n".join(map(str, anew.drops)))
            complain(anew)
            return anew.configuration

        complain(parsed)
        supervisor = Supervisor(
            parsed.configuration,
            system,
            runtime,
            log,
            Options(
                source=str(path),
                load=reload,
                ready=readiness.ready,
                keep_addresses=options.dont_release_vrrp,
                ignore_sigint=options.ignore_sigint,
                handover=not options.release_at_once,
                engine=engine,
            ),
        )

        async def supervise() -> int:
            try:
                return await supervisor.run()
            finally:
                # The handlers end with the loop: a second SIGTERM must not kill what is left to do.
                signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISED_SIGNALS)

        try:
            code = asyncio.run(supervise())
        except Exception as error:
            for line in _words(error).splitlines():
                log.error(line)  # noqa: TRY400  the traceback goes where it is asked for
            log.debug("where that was", exc_info=error)
            if not options.log_console:
                raise
            readiness.failed(_exit_code(error), f"pyvrrp: {_words(error)}")
            return _exit_code(error)
        if code:
            readiness.failed(code, "pyvrrp: the daemon has failed, its log says why")
        log.info(f"Stopped pyvrrp v{__version__}")
        return code


# status


def _add_status(commands: Any) -> None:
    status = commands.add_parser("status", help="ask the running daemon", description=_status.__doc__)
    status.set_defaults(command=_status)
    status.add_argument("--json", action="store_true", help="everything, as JSON")
    status.add_argument("--name", help="which daemon, where several run")
    status.add_argument("--runtime-dir", metavar="DIR", type=Path, help="where running daemons keep what they know")


def _status(options: argparse.Namespace) -> int:
    """State, since when and why, priorities, master, timers, addresses as the kernel has them, counters by reason."""
    from pyvrrp.daemon.control import find, request  # noqa: PLC0415  not for `--help`
    from pyvrrp.daemon.runtime import base_directory  # noqa: PLC0415
    from pyvrrp.daemon.status import render  # noqa: PLC0415

    path = find(base_directory(options.runtime_dir), options.name)
    answer = request(path, "status")["status"]
    print(json.dumps(answer, indent=2) if options.json else render(answer))
    return EXIT_OK
