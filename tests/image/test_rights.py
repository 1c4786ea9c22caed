"""
Which rights the image needs, as a grid: who, with which capabilities, on a root that can be written to or not.

The interpreter's file permits the capabilities and does not make them effective, because the kernel refuses to start a
program whose file wants more effective ones than the container has; `why_they_are_not_effective` pins that.
"""

from __future__ import annotations

import itertools
import os
import struct
from functools import partial

import pytest

from tests.image.build import TARGETS
from tests.image.conftest import Outcomes, Scenario
from tests.image.runtime import NET_ADMIN, NET_RAW, Spec, until
from tests.image.stage import Stage
from tests.netns import Namespace

pytestmark = [pytest.mark.root]

ROOT = (0, 0)
OPENSHIFT = (1000660000, 0)  # a number that no file of passwords knows, in root's group
STRANGER = (4711, 4711)
USERS = {"root": ROOT, "any uid, group 0": OPENSHIFT, "any uid and gid": STRANGER}
CAPABILITIES = ((), (NET_RAW,), (NET_ADMIN,), (NET_ADMIN, NET_RAW))
ENVIRONMENT = {
    "OPENSHIFT_HA_CONFIG_NAME": "ipfailover",
    "OPENSHIFT_HA_VIRTUAL_IPS": "192.0.2.100-101",
    "OPENSHIFT_HA_NETWORK_INTERFACE": "eth0",
    "OPENSHIFT_HA_MONITOR_PORT": "0",
    "OPENSHIFT_HA_IPTABLES_CHAIN": "INPUT",
}
ADDRESS = "192.0.2.35/24"
VIPS = ("192.0.2.100/32", "192.0.2.101/32")
MOUNTS = ("/etc/keepalived", "/run", "/tmp")  # as `pyvrrp manifest` mounts them


def lonely_node(stage: Stage) -> Namespace:
    """A node with nobody else on its switch."""
    node = stage.network.namespace("node")
    stage.network.lan({node: ADDRESS})
    return node


def serves(stage: Stage, spec: Spec, node: Namespace) -> None:
    """It becomes MASTER, is healthy by both probes, and ends in order."""
    pod = stage.runtime.start("serves", spec, node)
    pod.says("(ipfailover_VIP_1) Entering MASTER STATE").says("(ipfailover_VIP_2) Entering MASTER STATE")
    until(lambda: node.addresses() == {*VIPS, ADDRESS}, "the addresses are there")
    assert len(pod.probe("pgrep", "keepalived")) < 3
    wrong = pod.probe("pyvrrp", "health", "--ready", timeout_s=5)
    assert len(wrong) < 3, wrong
    assert pod.terminate() == 0, pod.text
    assert node.addresses() == {ADDRESS}
    assert "Traceback" not in pod.text
    pod.remove()


def refuses(stage: Stage, spec: Spec, node: Namespace) -> str:
    """It ends at once with an error; the one line that says which right is missing."""
    code, text = stage.runtime.run("refuses", spec, node)
    assert code == 4, text
    (line,) = (line for line in text.splitlines() if "cannot run without" in line)
    assert "Traceback" not in text
    assert node.addresses() == {ADDRESS}
    return line.removeprefix("pyvrrp: ")


def row(stage: Stage, target: str, user: str, read_only: bool) -> None:
    """Works with both capabilities, else ends with an exit code that is not 0 and one line naming what is missing."""
    node = lonely_node(stage)
    for given in CAPABILITIES:
        missing = [name for name in (NET_ADMIN, NET_RAW) if name not in given]
        root = stage.images[target].root
        spec = Spec(root, (), ENVIRONMENT, user=USERS[user], capabilities=given, read_only=read_only)
        if missing:
            line = refuses(stage, spec, node)
            assert line.startswith(f"cannot run without {' and '.join(missing)}: ")
            outcome = f"exit 4, {line}"
        else:
            serves(stage, spec, node)
            outcome = "serves"
        have = "+".join(name.removeprefix("CAP_") for name in given) or "none"
        kind = "read-only" if read_only else "writable"
        stage.record("grid of rights", f"{target:<8} {user:<17} root {kind:<9} {have:<17} {outcome}")


def mounts(stage: Stage, user: tuple[int, int]) -> None:
    """On a read-only root with the manifest's volumes the file is written, and nothing is complained about."""
    spec = Spec(stage.images["slim"].root, (), ENVIRONMENT, user=user, read_only=True, empty=MOUNTS)
    pod = stage.runtime.start("mounts", spec, lonely_node(stage)).says("(ipfailover_VIP_1) Entering MASTER STATE")
    assert "cannot be written" not in pod.text
    written = pod.execute("/opt/pyvrrp/bin/python3", "-c", "print(open('/etc/keepalived/keepalived.conf').read())")
    assert "virtual_router_id 11" in written


def scripts(stage: Stage, user: tuple[int, int], privileged: bool) -> None:
    """Root's have what the pod has, as in the old image; any other user's have none, though the daemon has them."""
    directory = stage.directory / "scripts"
    directory.mkdir()
    check = directory / "check.sh"
    check.write_text("#!/bin/bash\ngrep CapEff /proc/self/status > /tmp/rights\n")
    check.chmod(0o755)
    spec = Spec(
        stage.images["default"].root,
        environment={**ENVIRONMENT, "OPENSHIFT_HA_CHECK_SCRIPT": "/etc/keepalive/check.sh"},
        user=user,
        privileged=privileged,
        mounts={"/etc/keepalive": directory},
    )
    pod = stage.runtime.start("script", spec, lonely_node(stage)).says("(ipfailover_VIP_1) Entering MASTER STATE")
    effective = int(pod.execute("cat", "/tmp/rights").split()[1], 16)
    assert bool(effective) is (user == ROOT), hex(effective)
    assert pod.terminate() == 0


def no_new_privs(stage: Stage) -> None:
    """The file's capabilities are void for a user that has not got them; where a runtime permits them, it works."""
    node = lonely_node(stage)
    root = stage.images["slim"].root
    line = refuses(stage, Spec(root, (), ENVIRONMENT, user=STRANGER, no_new_privs=True), node)
    assert "no_new_privs is set (allowPrivilegeEscalation: false)" in line
    table = "rights with no_new_privs"
    stage.record(table, f"any uid, of a runtime that only bounds   exit 4, {line}")
    serves(stage, Spec(root, (), ENVIRONMENT, user=STRANGER, no_new_privs=True, permitted=True), node)
    stage.record(table, "any uid, of a runtime that permits       serves")
    serves(stage, Spec(root, (), ENVIRONMENT, no_new_privs=True), node)
    stage.record(table, "root                                     serves")


def privileged_as_today(stage: Stage) -> None:
    """As the documented Deployment has it."""
    serves(stage, Spec(stage.images["default"].root, (), ENVIRONMENT, privileged=True), lonely_node(stage))


def another_engine(stage: Stage) -> None:
    """An engine that is started again is another program, in which the capabilities of the file are asleep again."""
    node = lonely_node(stage)
    spec = Spec(stage.images["default"].root, (), ENVIRONMENT, user=STRANGER)
    pod = stage.runtime.start("again", spec, node).says("(ipfailover_VIP_1) Entering MASTER STATE")
    before = pod.execute("pgrep", "-x", "keepalived_vrrp").split()
    pod.execute("kill", "-KILL", *before)
    pod.says("(ipfailover_VIP_1) Entering MASTER STATE", 2)
    after = pod.execute("pgrep", "-x", "keepalived_vrrp").split()
    assert after != before
    assert pod.terminate() == 0
    assert node.addresses() == {ADDRESS}


def why_they_are_not_effective(stage: Stage) -> None:
    """With the effective bit on the file the kernel does not start it, not even for root, and does not say why."""
    given = stage.images["slim"].root / "opt/pyvrrp/bin/python3"
    interpreter = stage.directory / "python3"
    interpreter.write_bytes(given.read_bytes())
    interpreter.chmod(0o755)
    first, *others = struct.unpack("<5I", os.getxattr(given, "security.capability"))
    os.setxattr(interpreter, "security.capability", struct.pack("<5I", first | 1, *others))
    for user in (ROOT, STRANGER):
        spec = Spec(
            stage.images["slim"].root,
            ("/opt/pyvrrp/bin/python3", "-c", "print('started')"),
            user=user,
            capabilities=(NET_ADMIN,),
            mounts={"/opt/pyvrrp/bin/python3": interpreter},
        )
        code, text = stage.runtime.run("effective", spec, lonely_node(stage))
        assert code != 0
        assert "operation not permitted" in text


SCENARIOS: dict[str, Scenario] = {
    **{
        f"grid-{target}-{user}-{'read-only' if read_only else 'writable'}": partial(
            row, target=target, user=user, read_only=read_only
        )
        for target, user, read_only in itertools.product(TARGETS, USERS, (False, True))
    },
    **{f"mounts-{name}": partial(mounts, user=user) for name, user in USERS.items()},
    **{
        f"scripts-{name}-{'privileged' if privileged else 'two'}": partial(scripts, user=user, privileged=privileged)
        for (name, user), privileged in itertools.product(USERS.items(), (True, False))
    },
    "no-new-privs": no_new_privs,
    "privileged": privileged_as_today,
    "another-engine": another_engine,
    "why-not-effective": why_they_are_not_effective,
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_rights(scenario: Scenario, outcome: Outcomes) -> None:
    outcome(scenario)
