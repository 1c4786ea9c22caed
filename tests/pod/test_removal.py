"""The second entry: what a pod may have left on the node goes, and nothing else."""

from __future__ import annotations

import re
import signal
import sys

import pytest

from tests.netns import network, until
from tests.pod.conftest import QUICK, Node, Pod, cluster, node

__all__ = ["cluster", "network", "node"]

pytestmark = pytest.mark.root

ENVIRONMENT = {
    "VIRTUAL_IPS": "10.0.0.100-101,2001:db8::a-c",
    "NETWORK_INTERFACE": "eth0",
    "MONITOR_PORT": "0",
    **QUICK,
}


def removal(node: Node, **variables: str) -> Pod:
    """Run it under its old name, and wait for its end."""
    pod = node.start(*node.program(name="remove-failover.sh"), **variables)
    pod.wait()
    return pod


def test_what_a_dead_pod_left(node: Node) -> None:
    """Both families, each with its prefix length, after the container and its files are gone; nobody else's address."""
    pod = node.start(**ENVIRONMENT)
    for number in range(1, 6):
        pod.enters("MASTER", number)
    pod.kill()
    assert node.vips == {"10.0.0.100/32", "10.0.0.101/32", *(f"2001:db8::{digit}/128" for digit in "abc")}
    (node.directory / "run").rename(node.directory / "gone")
    (node.directory / "run").mkdir()
    for address in ("10.0.0.200/32", "10.0.0.101/24"):
        node.namespace.ip("addr", "add", address, "dev", "eth0")
    done = removal(node, **ENVIRONMENT)
    assert done.wait() == 0
    assert node.namespace.addresses() == {"10.0.0.35/24", "10.0.0.200/32", "10.0.0.101/24"}
    assert len(re.findall(r"  - Removed \S+ from eth0", done.text)) == 5


def test_output_that_nobody_takes_keeps_nothing_here(node: Node) -> None:
    (node.directory / "before").write_text("exec > /dev/full\n")
    node.namespace.ip("addr", "add", "10.0.0.100/32", "dev", "eth0")
    assert removal(node, **ENVIRONMENT).wait() == 0
    assert node.vips == set()


def test_what_a_dead_pod_wrote_down(node: Node) -> None:
    """Also if the variables have changed since."""
    node.start(**ENVIRONMENT).enters("MASTER", 1).enters("MASTER", 5).kill()
    done = removal(node, **ENVIRONMENT | {"VIRTUAL_IPS": ""})
    assert done.wait() == 0
    assert node.vips == set()


def test_without_variables_nothing_is_done(node: Node) -> None:
    """As the documented Job runs it: no network of the node, no right, no variable."""
    node.namespace.ip("addr", "add", "10.0.0.100/32", "dev", "eth0")
    pod = node.start("setpriv", "--bounding-set", "-all", *node.program(name="remove-failover.sh"))
    assert pod.wait() == 0
    assert node.vips == {"10.0.0.100/32"}
    assert pod.text.endswith("  - No virtual address is left here\n")


def test_a_right_that_is_missing(node: Node) -> None:
    """Something stays: that is said, and no success."""
    node.namespace.ip("addr", "add", "10.0.0.100/32", "dev", "eth0")
    pod = node.start("setpriv", "--bounding-set", "-all", *node.program("pod", "remove"), **ENVIRONMENT)
    assert pod.wait() == 4
    assert "ERROR: cannot remove address 10.0.0.100/32 on eth0" in pod.text
    assert "CAP_NET_ADMIN" in pod.text


def test_a_daemon_that_runs_is_ended(node: Node) -> None:
    """And waited for: what it serves it hands over itself."""
    pod = node.start("sh", "-c", f"{node.program(name='monitor.sh')[0]}; sleep 1000", **ENVIRONMENT).enters("MASTER", 1)
    done = pod.run(node.program(name="remove-failover.sh")[0])
    assert re.search(r"  - Ending the daemon, pid \d+\n", done.stdout)
    assert node.vips == set()
    pod.says("service terminated")
    assert pod.run("pgrep", "keepalived", check=False).returncode == 1


def test_it_ends_with_the_daemon_it_ends(node: Node) -> None:
    """The daemon is the container's first process: its end is that of the whole container, this program included."""
    pod = node.start(**ENVIRONMENT).enters("MASTER", 1)
    assert pod.run(node.program(name="remove-failover.sh")[0], check=False).returncode != 0
    assert pod.wait() == 0
    until(lambda: not node.vips, "addresses go")


def test_the_file_of_the_node_is_not_the_environment(node: Node) -> None:
    """The old image reads it after the variables, and for removal not at all: it is for the daemon's options."""
    (node.directory / "sysconfig").write_text("OPENSHIFT_HA_VIRTUAL_IPS=10.0.0.200\n")
    pod = node.start(**ENVIRONMENT).enters("MASTER", 5)
    assert "10.0.0.100/32" in node.vips
    assert "10.0.0.200/32" not in node.vips
    pod.kill()
    assert removal(node, **ENVIRONMENT).wait() == 0
    assert node.vips == set()


SOON = "import sys; from pyvrrp.pod import removal; removal.END_S = 1.0; sys.exit(removal.remove())"
"""The second entry with less patience."""


def test_a_daemon_that_does_not_end_keeps_what_it_needs(node: Node) -> None:
    """Its rule as well as its addresses: a node that hears nobody would be MASTER beside another."""
    pod = node.start(**ENVIRONMENT, NFTABLES_RULE="INPUT").enters("MASTER", 1).serves()
    pod.send(signal.SIGSTOP)
    variables = [f"OPENSHIFT_HA_{name}={value}" for name, value in {**ENVIRONMENT, "NFTABLES_RULE": "1"}.items()]
    done = pod.run("env", *variables, sys.executable, "-c", SOON, check=False)
    assert done.returncode == 1, done.stdout
    assert "did not end within 1 s" in done.stdout
    assert "224.0.0.18 accept" in node.namespace.run(["nft", "list", "table", "inet", "keepalived"])
    assert "10.0.0.100/32" in node.vips
    pod.send(signal.SIGCONT)
    assert pod.wait() == 0  # as it was asked


def test_a_number_of_another_container_is_not_signalled(node: Node) -> None:
    """Containers that share /run do not share process numbers: the daemon's is here somebody else's."""
    pod = node.start(**ENVIRONMENT).enters("MASTER", 1).serves()
    script = f"trap 'echo signalled' TERM; {sys.executable} -c '{SOON}'; echo it was $?"
    done = node.start("sh", "-c", script, **ENVIRONMENT)
    assert done.wait() == 0
    assert done.text.endswith("it was 1\n")
    assert "signalled" not in done.text
    assert "it is no process of this container" in done.text
    assert "10.0.0.100/32" in node.vips
    assert pod.end() == 0
