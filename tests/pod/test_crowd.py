"""The largest pod that the documentation knows: 255 addresses in 238 groups."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.netns import network, until
from tests.pod.conftest import Cluster, Node, cluster

__all__ = ["cluster", "network"]

pytestmark = pytest.mark.root

ENVIRONMENT = {
    "VIRTUAL_IPS": "192.168.254.1-255",
    "VIP_GROUPS": "238",
    "VRRP_ID_OFFSET": "0",
    "NETWORK_INTERFACE": "eth0",
    "MONITOR_PORT": "0",
    "CONFIG_NAME": "ipfailover",
}
ALL = {f"192.168.254.{octet}/32" for octet in range(1, 256)}


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str, float], None]:
    """Notes how long something took; a report, no assertion: the machine is shared."""

    def note(what: str, begun_s: float) -> None:
        taken_s = round(time.monotonic() - begun_s, 2)
        record_property(what, taken_s)
        print(f"{what}: {taken_s} s")

    return note


def share(node: Node, wanted: set[str]) -> None:
    until(lambda: node.vips == wanted, "the addresses")


def test_a_day_of_two_nodes(cluster: Cluster, measured: Callable[[str, float], None]) -> None:
    """
    One serves all; another comes and takes what it is preferred for; one is killed, and comes again; both end.

    Every address is somewhere, nowhere twice, and none is left where it is not served; what the dead one left on its
    node goes when it comes again, before it speaks.
    """
    first, second = cluster.make("10.0.0.35/24", "10.0.0.36/24")
    one = first.start(**ENVIRONMENT)
    share(first, ALL)
    measured("start to all served, alone", one.begun_s)
    assert one.says("Entering MASTER STATE", 238).file().count("vrrp_instance ") == 238
    assert one.text.count("Entering MASTER STATE") == 238

    other = second.start(**ENVIRONMENT)
    until(lambda: len(second.vips) == 127, "the newcomer has its groups")
    measured("start to its own half served, beside a peer", other.begun_s)
    until(lambda: first.vips == ALL - second.vips, "the peer has let go of them")

    begun_s = time.monotonic()
    one.kill()
    share(second, ALL)
    measured("killed, until the peer serves all", begun_s)
    assert len(first.vips) == 128
    one = first.start(**ENVIRONMENT).says("removed leftover", 128).enters("BACKUP", 238)
    measured("and started again, until it takes part", one.begun_s)

    begun_s = time.monotonic()
    other.send(signal.SIGTERM)
    share(first, ALL)
    measured("told to end, until the peer serves all", begun_s)
    assert other.wait() == 0
    measured("told to end, until gone", begun_s)
    assert second.vips == set()

    begun_s = time.monotonic()
    assert one.end(signal.SIGTERM) == 0
    measured("told to end without a peer, until gone", begun_s)
    assert first.vips == set()
    assert "cannot" not in one.text + other.text
