"""PYVRRP_CHECK_EACH_VIP: the port is checked on every virtual address too, by the node that serves it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.netns import Namespace, network, until
from tests.pod.conftest import QUICK, Cluster, cluster

__all__ = ["cluster", "network"]

pytestmark = pytest.mark.root

PORT = "30060"
VIP = "10.0.0.100/32"
CHECKED = {
    **QUICK,
    "VIRTUAL_IPS": "10.0.0.100",
    "NETWORK_INTERFACE": "eth0",
    "MONITOR_PORT": PORT,
    "CHECK_INTERVAL": "1",
    "CONFIG_NAME": "web",
    "PYVRRP_CHECK_EACH_VIP": "1",
}
_SERVICE = (
    "import socket, sys\ns = socket.create_server((sys.argv[1], int(sys.argv[2])))\nwhile True: s.accept()[0].close()"
)


@contextmanager
def service(host: Namespace, address: str) -> Iterator[None]:
    """A service on that address of a node, 0.0.0.0 for all."""
    running = host.popen([sys.executable, "-c", _SERVICE, address, PORT])
    try:
        until(lambda: f"{address}:{PORT}" in host.run(["ss", "-Hltn"]), "the service")
        yield
    finally:
        running.kill()
        assert isinstance(running, subprocess.Popen)
        running.wait()


def test_a_node_whose_service_is_not_on_the_address_gives_it_to_one_where_it_is(cluster: Cluster) -> None:
    """The check of the node's own address, as the old image has it, sees no difference between the two."""
    one, two = cluster.make("10.0.0.35/24", "10.0.0.36/24")
    with service(one.namespace, "10.0.0.35"), service(two.namespace, "0.0.0.0"):
        first = one.start(**CHECKED).enters("MASTER")
        first.says(r"VRRP_Script\(chk_web_VIP_1_1\) failed \(connection to 10.0.0.100:30060 refused\)")
        first.enters("FAULT").says("that counts for 30 s")
        second = two.start(**CHECKED).enters("MASTER").says(r"VRRP_Script\(chk_web_VIP_1_1\) succeeded")
        until(lambda: two.vips == {VIP}, "the address")
        assert one.vips == set()
        (found,) = json.loads(second.pyvrrp("status", "--json").stdout)["instances"]
        assert [(check["name"], check["up"]) for check in found["checks"]] == [
            ("chk_web", True),
            ("chk_web_VIP_1_1", True),
        ]
        assert second.pyvrrp("health").returncode == 0
        assert first.end() == second.end() == 0
