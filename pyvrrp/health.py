"""
`pyvrrp health` on the command line, for exec probes: has the running daemon judge itself, and says what it found.

The judgement is in `daemon/health.py` and made by the daemon. This runs every few seconds for as long as it lives,
beside engines that must not be late: nothing is imported that is not needed.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as the `typing` module has it
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any, Final

EXIT_OK: Final = 0
EXIT_UNHEALTHY: Final = 2
EXIT_NOT_READY: Final = 3

TIMEOUT_S: Final = 2.0
"""A status takes milliseconds; probes have a limit of some seconds, of which a busy node takes some to start us."""

TIMEOUT_MAX_S: Final = 3600.0
"""Nobody waits longer for a probe, and what a socket takes is not unlimited."""

_ABOUT: Final = """\
Say whether the running daemon does its work: it and its engine answer, its timers are not overdue, and the kernel has
the virtual addresses of every MASTER and of nobody else. A fault that comes from outside (a check fails, an interface
is down) is no reason to end a daemon and does not count, nor does a drain; with --ready both do.
"""
_END: Final = """\
exit codes: 0 healthy (with --ready: and every instance is MASTER or BACKUP), 1 wrong usage, 2 unhealthy, 3 healthy but
not ready (with --ready only). Each reason is a line.

--json prints an object: alive; ready, null if the daemon did not tell; instances, how many in each state; reasons, a
list of objects: code, which is stable and what tools should match; instance, null for the daemon itself; liveness,
false if it only keeps from being ready; message.
"""


def add_parser(subparsers: Any) -> None:
    """
    Add `health` to the commands of a parser.

    Args:
        subparsers: What `ArgumentParser.add_subparsers` gave. The parsed arguments get `command`, a function from
            these arguments to the exit status.
    """
    from argparse import RawDescriptionHelpFormatter  # noqa: PLC0415  here as below: others need not pay for it
    from pathlib import Path  # noqa: PLC0415

    health = subparsers.add_parser(
        "health",
        help="is the running daemon well (for exec probes)",
        description=_ABOUT,
        epilog=_END,
        formatter_class=RawDescriptionHelpFormatter,
    )
    health.add_argument("--ready", action="store_true", help="readiness: every instance must be MASTER or BACKUP, too")
    health.add_argument(
        "--timeout", metavar="S", type=_seconds, default=TIMEOUT_S, help=f"for all of it ({TIMEOUT_S:g})"
    )
    health.add_argument("--name", help="which daemon, where several run")
    health.add_argument("--runtime-dir", metavar="DIR", type=Path, help="where running daemons keep what they know")
    health.add_argument("--json", action="store_true", help="as JSON, see below")
    health.set_defaults(command=_health)


def _seconds(text: str) -> float:
    from argparse import ArgumentTypeError  # noqa: PLC0415  as above

    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= TIMEOUT_MAX_S:
        raise ArgumentTypeError(f"{text!r} is no number of seconds above 0, {TIMEOUT_MAX_S:g} at most")
    return seconds


def _health(chosen: argparse.Namespace) -> int:
    verdict = examine(chosen.runtime_dir, chosen.name, chosen.timeout)
    shown = [reason for reason in verdict["reasons"] if chosen.ready or reason["liveness"]]
    if chosen.json:
        import json  # noqa: PLC0415  as above

        print(json.dumps({**verdict, "reasons": shown}, indent=2))
    else:
        for reason in shown:
            _print(reason["message"])
        if not shown:
            counts = ", ".join(f"{count} {state}" for state, count in sorted(verdict["instances"].items()))
            _print(f"{'ready' if chosen.ready else 'healthy'}: {counts or 'no instances'}")
    if not verdict["alive"]:
        return EXIT_UNHEALTHY
    return EXIT_NOT_READY if shown else EXIT_OK


def examine(runtime_directory: Path | None, name: str | None, timeout_s: float) -> Mapping[str, Any]:
    """
    Have a daemon judge itself; that it does not answer is a verdict, too.

    Args:
        runtime_directory: As `--runtime-dir`.
        name: As `--name`.
        timeout_s: For all of it.

    Returns:
        See `Verdict.as_json`.
    """
    from pyvrrp.daemon.asking import ControlError, ControlFailure, find, request  # noqa: PLC0415  as above
    from pyvrrp.daemon.locks import base_directory  # noqa: PLC0415

    try:
        path = find(base_directory(runtime_directory), name)
        return request(path, "health", timeout_s=timeout_s, within_s=timeout_s)
    except ControlError as error:
        text = str(error)
        if error.failure is ControlFailure.TIMEOUT:
            text = f"no answer within {timeout_s:g} s: the daemon is stuck ({path})"
        reason = {"code": error.failure.value, "instance": None, "liveness": True, "message": text}
        return {"alive": False, "ready": None, "instances": {}, "reasons": [reason]}


def _print(line: str) -> None:
    """One line that does nothing to a terminal: names and details may hold anything."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = line if line.isprintable() else ascii(line)[1:-1]
    print(shown.encode(encoding, "backslashreplace").decode(encoding))
