"""`pyvrrp lab` on the command line; all else is imported when it is asked for, `pyvrrp run` must not pay for it."""

from __future__ import annotations

import argparse
from typing import Any

from pyvrrp.lab.options import CLIENT, DAEMON_NAMES, PEER, ROUTER_NAMES, SWITCH, LabOptions


def main(options: LabOptions) -> int:
    """
    Run the lab.

    Returns:
        Exit status: 0, 1 after a complaint on standard error, 128 + signal if interrupted.
    """
    from pyvrrp.lab.story import run  # noqa: PLC0415  see the top of this file

    return run(options)


def add_parser(subparsers: Any) -> None:
    """
    Add `lab` to the commands of a parser.

    Args:
        subparsers: What `ArgumentParser.add_subparsers` gave. The parsed arguments get `command`, a function from
            these arguments to the exit status, which raises VrrpError.
    """
    lab = subparsers.add_parser(
        "lab",
        help="see a failover: three routers and a client in network namespaces, root or not",
        description="Build three routers and a client in network namespaces, kill the MASTER, and measure what the"
        " client notices. Needs no root where user namespaces are allowed. Nothing is left behind.",
    )
    add = lab.add_argument
    add("--advert-int", type=float, default=1.0, metavar="SECONDS", help="advertisement interval, 0.01-40.95 (1)")
    add("--family", type=int, choices=(4, 6), default=4, help="address family (4)")
    add("--keep", action="store_true", help="leave the lab running to play with")
    add("--peer", choices=DAEMON_NAMES, help=f"what {PEER} runs instead of what the others run")
    add("--daemon", choices=DAEMON_NAMES, default=DAEMON_NAMES[0], help=f"what the routers run ({DAEMON_NAMES[0]})")
    add("--json", action="store_true", help="print one JSON document; the story goes to standard error")
    lab.set_defaults(command=_main)

    actions = lab.add_subparsers(title="with a lab that was left running", metavar="ACTION")
    execute = actions.add_parser("exec", help="run a command in a router, in the client or at the switch")
    execute.add_argument("machine", choices=(*ROUTER_NAMES, CLIENT, SWITCH))
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    execute.set_defaults(command=_execute)
    status = actions.add_parser("status", help="who is MASTER")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(command=_status)
    for name, meaning in (("cut", "pull the cable of"), ("mend", "plug in the cable of")):
        cable = actions.add_parser(name, help=f"{meaning} a machine")
        cable.add_argument("machine", choices=(*ROUTER_NAMES, CLIENT))
        cable.set_defaults(command=_cable, plugged=name == "mend")
    actions.add_parser("stop", help="end it").set_defaults(command=_stop)


def _main(chosen: argparse.Namespace) -> int:
    return main(LabOptions(chosen.advert_int, chosen.family, chosen.keep, chosen.daemon, chosen.peer, chosen.json))


def _execute(chosen: argparse.Namespace) -> int:
    from pyvrrp.lab import kept  # noqa: PLC0415  see the top of this file

    words = chosen.words
    return kept.execute(chosen.machine, words[1:] if words[:1] == ["--"] else words)


def _status(chosen: argparse.Namespace) -> int:
    from pyvrrp.lab import kept  # noqa: PLC0415  see the top of this file

    return kept.status(as_json=chosen.json)


def _cable(chosen: argparse.Namespace) -> int:
    from pyvrrp.lab import kept  # noqa: PLC0415  see the top of this file

    return (kept.mend if chosen.plugged else kept.cut)(chosen.machine)


def _stop(_: argparse.Namespace) -> int:
    from pyvrrp.lab import kept  # noqa: PLC0415  see the top of this file

    return kept.stop()
