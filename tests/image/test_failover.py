"""
The documented Deployment with this image in it, on two nodes and seen by clients; also beside a pod of the old image.

Node .36 is preferred for the first address, node .35 for the second. A pod is killed, the port that it watches closes,
its check script fails: each time the address goes to the other node, and comes back when all is well again. Each is
played with pods of this image on both nodes, and with the old image's keepalived on either of them.
"""

from __future__ import annotations

import enum
import itertools
import time
from functools import partial
from pathlib import Path

import pytest
import yaml

from pyvrrp.lab.probe import Outage, now_us
from tests.image import old
from tests.image.conftest import Outcomes, Scenario
from tests.image.runtime import Pod, until
from tests.image.stage import Client, Node, Stage

pytestmark = [pytest.mark.root]

DOCUMENTED = yaml.safe_load((Path(__file__).parents[1] / "deploy" / "documented.yaml").read_text("utf-8"))
(CONTAINER,) = DOCUMENTED["spec"]["template"]["spec"]["containers"]
MANIFEST = {one["name"]: one["value"] for one in CONTAINER["env"]}
LIVENESS = CONTAINER["livenessProbe"]
PORT = int(MANIFEST["OPENSHIFT_HA_MONITOR_PORT"])
CHECK = "OPENSHIFT_HA_CHECK_SCRIPT"
FIRST, SECOND = "1.1.1.1", "1.1.1.2"
# What a user's script may be like: bash, its ways to open a port, a tool or two. It listens to this test, too.
SCRIPT = f"""#!/bin/bash
ip -4 address show > /dev/null || exit 3
[ ! -e /tmp/trouble ] && exec 3<>/dev/tcp/127.0.0.1/{PORT}
"""


class Kind(enum.StrEnum):
    """Whose image a pod is of."""

    NEW = "new"
    OLD = "old"


def deploy(stage: Stage, node: Node, kind: Kind, *, check: bool = True) -> Pod:
    environment = dict(MANIFEST)
    if not check:
        del environment[CHECK]
    scripts = {Path(MANIFEST[CHECK]).name: SCRIPT}
    if kind is Kind.OLD:
        return old.deploy(stage, node, environment, scripts)
    return stage.deploy(node, environment, scripts)


class Play:
    """Two pods that serve one address each, two clients that ask for them."""

    def __init__(self, stage: Stage, preferred: Kind, other: Kind, *, check: bool = True) -> None:
        """
        Args:
            stage: Where.
            preferred: What runs on the node that is to serve the first address, where things go wrong.
            other: What runs on the other node.
            check: With the check script; without it the port is watched.
        """
        self.stage = stage
        self.check = check
        self.kind = preferred
        self.other, self.node = stage.cluster()
        for node in (self.node, self.other):
            node.listen(PORT)
        self.clients = stage.asks(FIRST), stage.asks(SECOND)
        self.pod = deploy(stage, self.node, preferred, check=check)
        self.partner = deploy(stage, self.other, other, check=check)
        self.names = f"{preferred} on node .36, {other} on node .35"
        self._is_steady(self.pod)

    def _is_steady(self, pod: Pod) -> None:
        """Each serves its address, is BACKUP for the other's, and the clients know."""
        expected = ["MASTER", "BACKUP", "BACKUP", "MASTER"]

        def states() -> bool:
            return [one.state(number) for one in (pod, self.partner) for number in (1, 2)] == expected

        until(states, f"steady with {self.names}", 60)
        for client, node in zip(self.clients, (self.node, self.other), strict=True):
            client.served_by(node, now_us())
        assert states(), "a check was too slow, or worse"

    @property
    def client(self) -> Client:
        """That of the first address."""
        return self.clients[0]

    def moves(self, what: str, since_us: int) -> None:
        """The first address goes to the other node; nothing happens to the second."""
        outage = self.client.moved(self.node, self.other, since_us)
        self._tell(f"{what}, over", outage, since_us)
        self.clients[1].served_by(self.other, since_us)

    def comes_back(self, what: str, pod: Pod, since_us: int) -> None:
        """And back again: whoever is preferred starts as MASTER, for which the delay does not hold."""
        outage = self.client.moved(self.other, self.node, since_us)
        self._tell(f"{what}, back", outage, since_us)
        self._is_steady(pod)
        assert not self.other.has(FIRST)

    def _tell(self, what: str, outage: Outage, since_us: int) -> None:
        dark_s = outage.length_us / 1e6
        took_s = (outage.after.received_us - since_us) / 1e6
        self.stage.record(
            "failover seen by a client",
            f"{what:<26} {self.names:<32} moved after {took_s:4.1f} s, dark for {dark_s:4.1f} s",
        )


def killed(stage: Stage, preferred: Kind, other: Kind) -> None:
    """
    The kubelet starts it again on its node, and what the dead one left there is no trouble.

    After a Master_Down_Interval at the latest: our engine often sees that control is gone before the kernel ends it as
    well, and that is enough for a last advertisement of priority 0.
    """
    play = Play(stage, preferred, other)
    now = now_us()
    play.pod.kill()
    play.moves("pod killed", now)
    assert play.node.has(FIRST)  # nobody is left to take it away, and nobody asks it any more
    now = now_us()
    pod = deploy(stage, play.node, play.kind)
    until(lambda: not play.node.has(FIRST), "the dead pod's address is gone")
    play.comes_back("pod killed", pod, now)


def deleted(stage: Stage, preferred: Kind, other: Kind) -> None:
    """An orderly end: exit code 0, no address stays, and the other need not wait for silence."""
    play = Play(stage, preferred, other)
    now = now_us()
    assert play.pod.terminate() == 0
    assert not play.node.has(FIRST)
    play.moves("pod deleted", now)
    now = now_us()
    play.comes_back("pod deleted", deploy(stage, play.node, play.kind), now)


def port_closes(stage: Stage, preferred: Kind, other: Kind) -> None:
    play = Play(stage, preferred, other, check=False)
    now = now_us()
    play.node.close_ports()
    play.moves("port closes", now)
    until(lambda: not play.node.has(FIRST), "the address is gone")
    now = now_us()
    play.node.listen(PORT)
    play.comes_back("port closes", play.pod, now)


def script_fails(stage: Stage, preferred: Kind, other: Kind) -> None:
    play = Play(stage, preferred, other)
    now = now_us()
    play.pod.execute("touch", "/tmp/trouble")
    play.moves("check script fails", now)
    until(lambda: not play.node.has(FIRST), "the address is gone")
    now = now_us()
    play.pod.execute("rm", "/tmp/trouble")
    play.comes_back("check script fails", play.pod, now)


def liveness(stage: Stage, preferred: Kind, other: Kind) -> None:
    """After `initialDelaySeconds` the probe answers within a second, in a pod that serves and in one in FAULT."""
    play = Play(stage, preferred, other)
    play.pod.execute("touch", "/tmp/trouble")
    play.pod.says("(ipfailover_VIP_1) Entering FAULT STATE")
    for pod in (play.pod, play.partner):
        time.sleep(max(0.0, pod.started_s + LIVENESS["initialDelaySeconds"] - time.monotonic()))
        wrong = pod.probe(*LIVENESS["exec"]["command"])
        assert len(wrong) < 3, wrong
        wrong = pod.probe("pyvrrp", "health", timeout_s=5)
        assert len(wrong) < 3, wrong


SCENARIOS: dict[str, Scenario] = {
    f"{what.__name__}-{preferred}-{other}": partial(what, preferred=preferred, other=other)
    for what, (preferred, other) in itertools.product(
        (killed, deleted, port_closes, script_fails), ((Kind.NEW, Kind.NEW), (Kind.NEW, Kind.OLD), (Kind.OLD, Kind.NEW))
    )
}
SCENARIOS["liveness"] = partial(liveness, preferred=Kind.NEW, other=Kind.NEW)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_failover(scenario: Scenario, outcome: Outcomes) -> None:
    outcome(scenario)
