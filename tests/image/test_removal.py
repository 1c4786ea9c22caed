"""The second entry point: what a pod left on its node is taken away by a Job with the same environment."""

from __future__ import annotations

import pytest

from tests.image.conftest import Outcomes, Scenario
from tests.image.runtime import Spec, until
from tests.image.stage import INTERFACE, Node, Stage

pytestmark = [pytest.mark.root]

REMOVE = ("/var/lib/ipfailover/keepalived/remove-failover.sh",)
ENVIRONMENT = {
    "OPENSHIFT_HA_CONFIG_NAME": "ipfailover",
    "OPENSHIFT_HA_VIRTUAL_IPS": "1.1.1.1-2,2001:db8::5",
    "OPENSHIFT_HA_NETWORK_INTERFACE": INTERFACE,
    "OPENSHIFT_HA_MONITOR_PORT": "0",
    "OPENSHIFT_HA_NFTABLES_RULE": "INPUT",
}
VIPS = {"1.1.1.1/32", "1.1.1.2/32", "2001:db8::5/128"}


def table(stage: Stage, node: Node) -> str:
    """The firewall table as `nft` shows it."""
    look = Spec(stage.images["default"].root, ("nft", "list", "ruleset"), privileged=True)
    code, text = stage.runtime.run("nft", look, node.namespace)
    assert code == 0, text
    return text


def left_by_a_killed_pod(stage: Stage) -> Node:
    node, _ = stage.cluster()
    pod = stage.deploy(node, ENVIRONMENT)
    until(lambda: node.namespace.addresses(INTERFACE) >= VIPS, "all addresses are served")
    pod.kill()
    assert node.namespace.addresses(INTERFACE) == {*VIPS, node.address}
    assert "table inet keepalived" in table(stage, node)
    assert "ip daddr 224.0.0.18 accept" in table(stage, node)
    return node


def job(stage: Stage) -> None:
    """As a Job with the node's network, the rights and the variables: addresses and table are gone, and no others."""
    node = left_by_a_killed_pod(stage)
    node.namespace.ip("address", "add", "1.1.1.77/32", "dev", INTERFACE)
    root = stage.images["slim"].root  # no ip, no nft
    code, text = stage.runtime.run("remove", Spec(root, REMOVE, ENVIRONMENT), node.namespace)
    assert code == 0, text
    assert node.namespace.addresses(INTERFACE) == {node.address, "1.1.1.77/32"}
    assert table(stage, node) == ""
    code, text = stage.runtime.run("remove", Spec(root, REMOVE, ENVIRONMENT), node.namespace)
    assert code == 0, f"the second time: {text}"


def any_user(stage: Stage) -> None:
    """By the rights of the interpreter's file."""
    node = left_by_a_killed_pod(stage)
    spec = Spec(stage.images["slim"].root, REMOVE, ENVIRONMENT, user=(4711, 4711))
    code, text = stage.runtime.run("remove", spec, node.namespace)
    assert code == 0, text
    assert node.namespace.addresses(INTERFACE) == {node.address}


def as_documented(stage: Stage) -> None:
    """With its own network, no right and no variable, as the documentation prints the Job: it harms nothing."""
    node = left_by_a_killed_pod(stage)
    own = stage.network.namespace("job")
    spec = Spec(stage.images["default"].root, REMOVE, capabilities=())
    code, text = stage.runtime.run("remove", spec, own)
    assert code == 0, text
    assert node.namespace.addresses(INTERFACE) == {*VIPS, node.address}


SCENARIOS: dict[str, Scenario] = {"job": job, "any-user": any_user, "as-documented": as_documented}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_removal(scenario: Scenario, outcome: Outcomes) -> None:
    outcome(scenario)
