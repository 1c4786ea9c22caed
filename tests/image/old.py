"""A pod as the old image makes it: keepalived itself, with the file that the old image's scripts write on that node."""

from __future__ import annotations

import random
from collections.abc import Mapping
from ipaddress import ip_interface
from pathlib import Path

from pyvrrp.config.openshift import NodeFacts, read_environment
from tests.image.runtime import Pod, Spec
from tests.image.stage import INTERFACE, Node, Stage

COMMAND = ("/usr/sbin/keepalived", "-n", "-l", "-D")
NAMES_DRAWN = random.Random(0)


def deploy(stage: Stage, node: Node, environment: Mapping[str, str], scripts: Mapping[str, str]) -> Pod:
    """Start it on a node; its root is this machine's own, with a layer above it."""
    address = ip_interface(node.address).ip
    facts = NodeFacts(node.name, {INTERFACE: (address,)}, None)
    told = read_environment({**environment, "PYVRRP_COMPAT": "exact"}, facts, lambda _: NAMES_DRAWN.randrange(32))
    written = node.directory / "old"
    written.mkdir(exist_ok=True)
    (written / "keepalived.conf").write_text(told.text)
    spec = Spec(
        Path("/"),
        COMMAND,
        environment,
        directory="/",
        privileged=True,
        mounts={"/etc/keepalived": written, "/etc/keepalive": node.config_map(scripts)},
        empty=("/run",),
    )
    return stage.start(node, spec, f"{node.name}-old")
