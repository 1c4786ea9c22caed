"""`pyvrrp manifest` on the command line; all else is imported when it is asked for."""

from __future__ import annotations

import argparse
from typing import Any

from pyvrrp.manifest.flags import TARGETS, add_to

_ABOUT = {
    "openshift": "a Deployment with its service account and security context constraints",
    "kubernetes": "a DaemonSet with its service account",
    "systemd": "the unit that runs this program's daemon",
}


def add_parser(subparsers: Any) -> None:
    """
    Add `manifest` to the commands of a parser.

    Args:
        subparsers: What `ArgumentParser.add_subparsers` gave. The parsed arguments get `command`, a function from
            these arguments to the exit status, which raises VrrpError.
    """
    manifest = subparsers.add_parser(
        "manifest",
        help="print what runs the daemon elsewhere: for Kubernetes, OpenShift, systemd",
        description="Print what runs the daemon elsewhere. Flags win over the OPENSHIFT_HA_ variables of the"
        " environment. Doubts go to standard error; what would not be served is refused.",
    )
    targets = manifest.add_subparsers(title="for", metavar="TARGET", required=True)
    for target in TARGETS:
        parser = targets.add_parser(target, help=_ABOUT[target], description=f"Print {_ABOUT[target]}.")
        add_to(parser)
        parser.set_defaults(command=_print_objects, target=target)
    systemd = targets.add_parser("systemd", help=_ABOUT["systemd"], description=f"Print {_ABOUT['systemd']}.")
    systemd.set_defaults(command=_print_unit)


def _print_objects(chosen: argparse.Namespace) -> int:
    import json  # noqa: PLC0415  see the top of this file
    import os  # noqa: PLC0415
    import sys  # noqa: PLC0415

    from pyvrrp.manifest.environment import judge  # noqa: PLC0415
    from pyvrrp.manifest.objects import objects  # noqa: PLC0415
    from pyvrrp.manifest.options import read  # noqa: PLC0415
    from pyvrrp.manifest.request import SCRIPTS  # noqa: PLC0415
    from pyvrrp.manifest.text import to_yaml  # noqa: PLC0415

    request = read(chosen, chosen.target, os.environ)
    doubts = judge(request.variables, scripts="" if request.config_map else SCRIPTS)
    made = objects(request)
    text = to_yaml(made)  # for JSON too: it refuses what neither can say
    if chosen.json:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made}, indent=2, ensure_ascii=False) + "\n"
    for doubt in doubts:
        print(f"pyvrrp: {doubt}", file=sys.stderr)
    print(text, end="")
    return 0


def _print_unit(_: argparse.Namespace) -> int:
    from pyvrrp.manifest.unit import unit  # noqa: PLC0415  see the top of this file

    print(unit(), end="")
    return 0
