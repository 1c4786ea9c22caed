"""
The command line: arguments in, exit code out.

`run` takes keepalived's options; started under the name `keepalived` it is `run`, and under the names of the old
ipfailover image's entry points it is `pod`. Exit codes of `run` and of its `--config-test` are keepalived's. A
daemon's start comes through here, and every probe: nothing is imported that only others need.
"""

from __future__ import annotations

import os
import sys

from pyvrrp.errors import VrrpError
from pyvrrp.version import __version__

TYPE_CHECKING = False  # as the `typing` module has it, which takes milliseconds to import
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any, Final

    from pyvrrp.daemon.options import RunOptions

EXIT_OK: Final = 0
EXIT_FATAL: Final = 1  # also an option that does not exist

_ROOMS: Final = {
    "check": "pyvrrp.answers",
    "explain": "pyvrrp.answers",
    "keywords": "pyvrrp.answers",
    "convert": "pyvrrp.convert",
    "health": "pyvrrp.health",
    "manifest": "pyvrrp.manifest.run",
    "lab": "pyvrrp.lab.run",
    "pod": "pyvrrp.pod.command",
}
"""Commands that other modules add, each with its `add_parser`."""

_OWN_NAMES: Final = frozenset({"pyvrrp", "__main__.py"})

DRAIN_TIMEOUT_S: Final = 15.0
"""For a handover that is waited for; the daemon itself gives up after 10 s."""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:
        arguments: Without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and os.path.basename(sys.argv[0]) not in _OWN_NAMES:  # noqa: PTH119  as above
        words = _by_another_name(words)
    command = _understand(words or ["--help"])
    try:
        code = command()
        if sys.stdout is not None:
            sys.stdout.flush()  # or a reader that went away is noticed where nobody can catch it
    except VrrpError as error:
        from pyvrrp.daemon import launch  # noqa: PLC0415  as all that only one command needs

        print(f"pyvrrp: {error}", file=sys.stderr)
        return launch.exit_code(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has what it wanted
        return EXIT_OK
    except KeyboardInterrupt:
        return 130  # 128 and the number of SIGINT
    return code


def _by_another_name(words: list[str]) -> list[str]:
    """What the words mean after the name by which this program was started."""
    from pyvrrp.daemon import launch  # noqa: PLC0415  as above

    if launch.called_keepalived():
        return ["run", *words]
    entry = launch.called_as_pod()
    return words if entry is None else ["pod", entry]


def _understand(words: list[str]) -> Callable[[], int]:
    """What is to be done; ends the program where that cannot be said, or is only to print help."""
    if words[0] == "run":
        from pyvrrp.daemon.options import quick  # noqa: PLC0415  as above

        if (run := quick(words[1:])) is not None:
            return lambda: _run(run)
    if words == ["pod", "run"]:
        from pyvrrp.pod import entry  # noqa: PLC0415  as all that only one command needs

        return entry.run
    options = _parser(words[0]).parse_args(words)
    command: Callable[[argparse.Namespace], int] = options.command
    return lambda: command(options)


def _parser(command: str = "") -> argparse.ArgumentParser:
    """The parser: with that command alone, or if there is no such command with all of them."""
    import argparse  # noqa: PLC0415  a daemon's start does without

    class Parser(argparse.ArgumentParser):
        """Ends with keepalived's code for a wrong option."""

        def error(self, message: str) -> Any:
            self.print_usage(sys.stderr)
            print(f"{self.prog}: {message}", file=sys.stderr)
            sys.exit(EXIT_FATAL)

        def print_help(self, file: Any = None) -> None:
            """Where keepalived prints it, if we were started by that name."""
            named = os.path.basename(sys.argv[0]) == "keepalived"  # noqa: PTH119  as above
            super().print_help(file or (sys.stderr if named else None))

    parser = Parser(prog="pyvrrp", description="VRRPv2 and VRRPv3: virtual IPs that survive their router.")
    parser.add_argument("--version", action="version", version=f"pyvrrp {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    own = {"run": _add_run, "status": _add_status, "drain": _add_drain}
    every = command not in own and command not in _ROOMS
    for name, add in own.items():
        if every or name == command:
            add(commands)
    from importlib import import_module  # noqa: PLC0415  nobody pays for another's command

    for module in dict.fromkeys(_ROOMS.values() if every else filter(None, [_ROOMS.get(command)])):
        import_module(module).add_parser(commands)
    return parser


# run


def _add_run(commands: Any) -> None:
    from pyvrrp.daemon.options import add_to, of_namespace  # noqa: PLC0415  as above

    run = commands.add_parser("run", help="run the daemon (keepalived's options)", description=_run.__doc__)
    run.set_defaults(command=lambda namespace: _run(of_namespace(namespace)))
    add_to(run)


def _run(options: RunOptions) -> int:
    """Run the daemon. SIGHUP reloads the configuration, SIGTERM ends in order: priority 0, addresses gone."""
    from pyvrrp.daemon import launch  # noqa: PLC0415  as above

    if options.show_version or options.signum is not None:
        from pyvrrp.daemon import drop_in  # noqa: PLC0415  as above

        return drop_in.answer(options.signum, as_keepalived=launch.called_keepalived())
    return launch.run(options)


# status, drain


def _add_asking(commands: Any, name: str, about: str, command: Callable[[argparse.Namespace], int]) -> Any:
    """A command that asks a running daemon."""
    from pathlib import Path  # noqa: PLC0415  as above

    parser = commands.add_parser(name, help=about, description=command.__doc__)
    parser.set_defaults(command=command)
    parser.add_argument("--name", help="which daemon, where several run")
    parser.add_argument("--runtime-dir", metavar="DIR", type=Path, help="where running daemons keep what they know")
    return parser


def _add_status(commands: Any) -> None:
    status = _add_asking(commands, "status", "ask the running daemon", _status)
    status.add_argument("--json", action="store_true", help="everything, as JSON")


def _add_drain(commands: Any) -> None:
    drain = _add_asking(commands, "drain", "hand over and stay out, while the daemon runs on", _drain)
    drain.add_argument("instances", metavar="INSTANCE", nargs="*", help="which; without one all, and those to come")
    drain.add_argument("--undo", action="store_true", help="take part again")
    drain.add_argument("--wait", action="store_true", help="until the handover is over")
    drain.add_argument("--json", action="store_true", help="which instances, as JSON")


def _socket(options: argparse.Namespace) -> Path:
    from pyvrrp.daemon.asking import find  # noqa: PLC0415  as above
    from pyvrrp.daemon.locks import base_directory  # noqa: PLC0415

    return find(base_directory(options.runtime_dir), options.name)


def _print_json(value: object) -> None:
    import json  # noqa: PLC0415  as above

    print(json.dumps(value, indent=2))


def _status(options: argparse.Namespace) -> int:
    """State, since when and why, priorities, master, timers, addresses as the kernel has them, counters by reason."""
    from pyvrrp.daemon.asking import request  # noqa: PLC0415  as above

    answer = request(_socket(options), "status")["status"]
    if options.json:
        _print_json(answer)
    else:
        from pyvrrp.daemon.status import render  # noqa: PLC0415  as above

        print(render(answer))
    return EXIT_OK


def _drain(options: argparse.Namespace) -> int:
    """Hand over, make before break, and stay out until --undo; reloads do not end it, the end of the daemon does."""
    from pyvrrp.daemon.asking import request  # noqa: PLC0415  as above

    answer = request(
        _socket(options),
        "drain",
        timeout_s=DRAIN_TIMEOUT_S,
        instances=options.instances,
        undo=options.undo,
        wait=options.wait,
    )
    if options.json:
        _print_json({"instances": answer["instances"], "drained": not options.undo, "waited": options.wait})
    else:
        what = "taking part again" if options.undo else "drained" if options.wait else "handing over"
        print(f"{what}: {', '.join(answer['instances']) or 'no instance'}")
    return EXIT_OK
