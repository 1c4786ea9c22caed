"""`pyvrrp pod` on the command line; under the names of the old image's entry points nobody needs to say so."""

from __future__ import annotations

import argparse
from typing import Any

_RUN = """\
Be the OpenShift ipfailover pod: what the environment asks for, on this node. As in the old image there are no
arguments; options of the daemon go into KEEPALIVED_OPTIONS. The same as starting this program by the name monitor.sh.
"""
_REMOVE = """\
Take away what a pod with this environment may have left on the node: end a daemon that runs here, remove the virtual
addresses of the environment, and the firewall table if the environment asks for it. The same as starting this program
by the name remove-failover.sh.
"""


def add_parser(subparsers: Any) -> None:
    """
    Add `pod` to the commands of a parser.

    Args:
        subparsers: What `ArgumentParser.add_subparsers` gave. The parsed arguments get `command`, a function from
            these arguments to the exit status, which raises VrrpError.
    """
    pod = subparsers.add_parser("pod", help="be the OpenShift ipfailover pod", description=_RUN)
    what = pod.add_subparsers(title="what", metavar="COMMAND", required=True)
    run = what.add_parser("run", help="serve what the environment says", description=_RUN)
    run.set_defaults(command=_run)
    remove = what.add_parser("remove", help="take away what a pod left on the node", description=_REMOVE)
    remove.set_defaults(command=_remove)


def _run(_: argparse.Namespace) -> int:
    from pyvrrp.pod import entry  # noqa: PLC0415  for this command alone

    return entry.run()


def _remove(_: argparse.Namespace) -> int:
    from pyvrrp.pod import removal  # noqa: PLC0415  as above

    return removal.remove()
