"""
The vendor's own acceptance cases for the old image, with ours in their Deployment (ipfailover.md, section 12).

Their numbers are in the names. Left out are those for clusters with IPv6 alone, remote workers and cloud platforms, as
the vendor's own runs do. What a cluster does, two nodes and a hand do here: a variable that changes is two new pods.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from pyvrrp.lab.probe import now_us
from tests.image.build import Image
from tests.image.conftest import Outcomes, Record, Scenario
from tests.image.runtime import Pod, until
from tests.image.stage import CLIENTS, INTERFACE, NODES, Node, Stage

pytestmark = [pytest.mark.root]

VIP = "1.1.1.1"
TEMPLATE = {
    "OPENSHIFT_HA_CONFIG_NAME": "ipfailover",
    "OPENSHIFT_HA_VIRTUAL_IPS": VIP,
    "OPENSHIFT_HA_VIP_GROUPS": "10",
    "OPENSHIFT_HA_NETWORK_INTERFACE": INTERFACE,
    "OPENSHIFT_HA_MONITOR_PORT": "22",
    "OPENSHIFT_HA_VRRP_ID_OFFSET": "9",
    "OPENSHIFT_HA_REPLICA_COUNT": "2",
    "OPENSHIFT_HA_USE_UNICAST": "false",
    "OPENSHIFT_HA_NFTABLES_RULE": "INPUT",
    "OPENSHIFT_HA_PREEMPTION": "nopreempt",
    "OPENSHIFT_HA_CHECK_INTERVAL": "5",
}
ELECTED_S = 100.0  # what the vendor's cases wait for an election
MOVED_S = 50.0  # and for an address that has moved
PORTS = (22, 30061)


def two_pods(stage: Stage, changed: Mapping[str, str]) -> tuple[list[Node], list[Pod]]:
    """Pods on two nodes, with services on their ports; no ConfigMap is mounted."""
    nodes = list(stage.cluster())
    for node in nodes:
        for port in PORTS:
            node.listen(port)
    return nodes, [stage.deploy(node, {**TEMPLATE, **changed}) for node in nodes]


def elect(pods: list[Pod]) -> Pod:
    """
    What every case waits for, by the words that they look for in the last line of each pod's log with "Entering".

    Returns:
        The MASTER.
    """
    first = ("(ipfailover_VIP_1) Entering MASTER STATE", "(ipfailover_VIP_1) Entering BACKUP STATE")

    def elected() -> Pod | None:
        ends = [next((line for line in reversed(pod.lines) if "Entering" in line), "") for pod in pods]
        for master, backup in ((0, 1), (1, 0)):
            if first[0] in ends[master] and first[1] in ends[backup]:
                return pods[master]
        return None

    master = until(elected, "one pod is MASTER and the other BACKUP", ELECTED_S)
    assert master is not None
    return master


def owner(pods: list[Pod]) -> Pod:
    """By `ip address | grep` in the pods, as the cases do it."""

    def found() -> list[Pod]:
        return [pod for pod in pods if pod.exec("bash", "-c", f"ip address |grep {VIP}").returncode == 0]

    (pod,) = until(found, f"a pod has {VIP}", MOVED_S)
    return pod


def case_41025(stage: Stage) -> None:
    """Deployed: one MASTER, one BACKUP."""
    _, pods = two_pods(stage, {})
    elect(pods)


def case_41027(stage: Stage, changed: Mapping[str, str]) -> None:
    """The pod that has the address is deleted: it moves to the other, and the one that is made anew stays back."""
    nodes, pods = two_pods(stage, changed)
    client = stage.asks(VIP)
    master = elect(pods)
    assert owner(pods) is master
    at = pods.index(master)
    since = now_us()
    assert master.terminate() == 0
    assert owner([pods[1 - at]]) is pods[1 - at]
    client.served_by(nodes[1 - at], since, MOVED_S)
    pods[at] = stage.deploy(nodes[at], {**TEMPLATE, **changed})
    if changed.get("OPENSHIFT_HA_PREEMPTION", "nopreempt") == "nopreempt":
        assert elect(pods) is pods[1 - at]
    else:
        elect(pods)


CHANGES = {
    "groups": {"OPENSHIFT_HA_VIP_GROUPS": "4"},
    "port": {"OPENSHIFT_HA_MONITOR_PORT": "30061"},
    "offset": {"OPENSHIFT_HA_VRRP_ID_OFFSET": "2"},
    "replicas": {"OPENSHIFT_HA_REPLICA_COUNT": "3"},
    "unicast": {"OPENSHIFT_HA_USE_UNICAST": "true"},
    "notify": {"OPENSHIFT_HA_NOTIFY_SCRIPT": "/etc/keepalive/mynotifyscript.sh"},
    "check": {"OPENSHIFT_HA_CHECK_SCRIPT": "/etc/keepalive/mycheckscript.sh"},
    "preemption": {"OPENSHIFT_HA_PREEMPTION": "preempt_delay 600"},
    "interval": {"OPENSHIFT_HA_CHECK_INTERVAL": "3"},
}


def case_41028(stage: Stage, changed: Mapping[str, str]) -> None:
    """A variable is changed; scripts that are named and not there, and unicast without peers: still elected."""
    _, pods = two_pods(stage, changed)
    elect(pods)
    for name, value in changed.items():
        assert f"{name}={value}" in pods[0].execute("bash", "-c", "/usr/bin/env").splitlines()


def case_41029(stage: Stage) -> None:
    """255 addresses in 238 groups: pods get ready. With the times from start to all served, and to all gone."""
    changed = {
        "OPENSHIFT_HA_VIRTUAL_IPS": "192.168.254.1-255",
        "OPENSHIFT_HA_VIP_GROUPS": "238",
        "OPENSHIFT_HA_VRRP_ID_OFFSET": "0",
    }
    nodes, pods = two_pods(stage, changed)
    for pod in pods:
        pod.says("Startup complete")

    def served_at(node: Node) -> int:
        return sum(one.startswith("192.168.254.") for one in node.namespace.addresses(INTERFACE))

    def all_are_served() -> bool:
        return sum(served_at(node) for node in nodes) == 255

    table = "255 addresses in 238 groups"
    began = min(pod.started_s for pod in pods)
    until(all_are_served, "all 255 addresses are served", ELECTED_S)
    stage.record(table, f"1. start of both pods to all served   {time.monotonic() - began:4.1f} s")
    for pod in pods:
        wrong = pod.probe("pyvrrp", "health", "--ready", timeout_s=5)
        assert len(wrong) < 3, wrong
    at = max((0, 1), key=lambda one: served_at(nodes[one]))
    count = served_at(nodes[at])
    now = time.monotonic()
    assert pods[at].terminate() == 0
    stage.record(table, f"2. the pod that serves {count:3} is told to end, and has     {time.monotonic() - now:4.1f} s")
    assert served_at(nodes[at]) == 0
    until(all_are_served, "the other has taken over all", MOVED_S)
    stage.record(table, f"3. and the other serves all     {time.monotonic() - now:4.1f} s")


def case_49214(stage: Stage) -> None:
    """An excluded id is in no line of the file."""
    changed = {
        "OPENSHIFT_HA_VIRTUAL_IPS": "192.168.254.1-254",
        "OPENSHIFT_HA_VIP_GROUPS": "238",
        "OPENSHIFT_HA_VRRP_ID_OFFSET": "0",
        "HA_EXCLUDED_VRRP_IDS": "9",
    }
    _, pods = two_pods(stage, changed)
    for pod in pods:
        pod.says("Startup complete")
        told = pod.execute("bash", "-c", "cat /etc/keepalived/keepalived.conf | grep virtual_router_id")
        ids = [int(one) for one in re.findall(r"virtual_router_id (\d+)", told)]
        assert ids == [one for one in range(1, 240) if one != 9]


def unicast(stage: Stage) -> None:
    """On platforms without multicast the peers are all nodes, the own one among them."""
    peers = ",".join(address.partition("/")[0] for _, address in (*NODES, *CLIENTS))
    _, pods = two_pods(stage, {"OPENSHIFT_HA_USE_UNICAST": "true", "OPENSHIFT_HA_UNICAST_PEERS": peers})
    elect(pods)


SCENARIOS: dict[str, Scenario] = {
    "41025": case_41025,
    "41027": partial(case_41027, changed={}),
    **{f"41028-{name}": partial(case_41028, changed=changed) for name, changed in CHANGES.items()},
    "41030": partial(case_41027, changed={"OPENSHIFT_HA_PREEMPTION": "preempt_delay 120"}),
    "49214": case_49214,
    "unicast": unicast,
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_acceptance(scenario: Scenario, outcome: Outcomes) -> None:
    outcome(scenario)


def test_acceptance_41029(outcome: Outcomes, images: dict[str, Image], tmp_path: Path, record: Record) -> None:
    """After all others, for its times are told."""
    outcome.all_over()
    with Stage(images, tmp_path, record) as stage:
        case_41029(stage)
