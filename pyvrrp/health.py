"""
`pyvrrp health` on the command line, for exec probes: asks the running daemon, and says what is wrong with it.

How it is judged is in `daemon/health.py`, which is pure. This runs every few seconds for as long as a daemon lives,
beside engines that must not be late: nothing is imported that is not needed, and a healthy daemon is asked once.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from pyvrrp.daemon.health import Reason

EXIT_OK: Final = 0
EXIT_UNHEALTHY: Final = 2
EXIT_NOT_READY: Final = 3

TIMEOUT_S: Final = 2.0
"""A status takes milliseconds; probes have a limit of some seconds, of which a busy node takes some to start us."""

TIMEOUT_MAX_S: Final = 3600.0
"""Nobody waits longer for a probe, and what a socket takes is not unlimited."""

CONFIRM_S: Final = 0.5
"""Until the second look at a daemon that seems unhealthy; what is put right at once is put right by then."""

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
    from pyvrrp.daemon.health import alive  # noqa: PLC0415  as above

    states, reasons = examine(chosen.runtime_dir, chosen.name, chosen.timeout)
    lives, ready = alive(reasons), not reasons
    shown = [reason for reason in reasons if chosen.ready or reason.liveness]
    if chosen.json:
        _print_json(lives, None if states is None else ready, states or {}, shown)
    else:
        for reason in shown:
            _print(reason.text)
        if not shown:
            counts = ", ".join(f"{count} {state}" for state, count in sorted((states or {}).items()))
            _print(f"{'ready' if chosen.ready else 'healthy'}: {counts or 'no instances'}")
    if not lives:
        return EXIT_UNHEALTHY
    return EXIT_NOT_READY if shown else EXIT_OK


def examine(
    runtime_directory: Path | None, name: str | None, timeout_s: float
) -> tuple[dict[str, int] | None, tuple[Reason, ...]]:
    """
    Ask a daemon and judge what it says.

    Args:
        runtime_directory: As `--runtime-dir`.
        name: As `--name`.
        timeout_s: For all of it.

    Returns:
        How many instances are in each state, None if it did not say; and what is wrong.
    """
    from pyvrrp.daemon.control import ControlError, ControlFailure, find, request  # noqa: PLC0415  as above
    from pyvrrp.daemon.health import Reason, alive, judge, lasting  # noqa: PLC0415
    from pyvrrp.daemon.runtime import base_directory  # noqa: PLC0415

    deadline = time.monotonic() + timeout_s
    try:
        path = find(base_directory(runtime_directory), name)
        status = request(path, "status", timeout_s=deadline - time.monotonic())["status"]
        reasons = judge(status)
        if not alive(reasons):
            time.sleep(max(0.0, min(CONFIRM_S, (deadline - time.monotonic()) / 2)))
            status = request(path, "status", timeout_s=deadline - time.monotonic())["status"]
            reasons = lasting(reasons, judge(status))
    except ControlError as error:
        text = str(error)
        if error.failure is ControlFailure.TIMEOUT:
            text = f"no answer within {timeout_s:g} s: the daemon or its engine is stuck ({path})"
        return None, (Reason(error.failure.value, text),)
    states: dict[str, int] = {}
    for one in status["instances"]:
        states[one["state"]] = states.get(one["state"], 0) + 1
    return states, reasons


def _print(line: str) -> None:
    """One line that does nothing to a terminal: names and details may hold anything."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = line if line.isprintable() else ascii(line)[1:-1]
    print(shown.encode(encoding, "backslashreplace").decode(encoding))


def _print_json(lives: bool, ready: bool | None, states: dict[str, int], reasons: list[Reason]) -> None:
    import json  # noqa: PLC0415  as above

    told = {"alive": lives, "ready": ready, "instances": states, "reasons": [one.as_json() for one in reasons]}
    print(json.dumps(told, indent=2))
