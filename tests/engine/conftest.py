from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyvrrp.net.system import ReceivePath
from tests.engine.worlds import Lan, RealLan, SimulatedLan
from tests.netns import Network, network, why_impossible

__all__ = ["network"]


@pytest.fixture
def simulated() -> SimulatedLan:
    """A LAN in memory."""
    return SimulatedLan()


@pytest.fixture
def real(network: Network) -> Iterator[RealLan]:
    """Network namespaces on a bridge."""
    lan = RealLan(network)
    yield lan
    lan.close()


WORLDS = [
    *(pytest.param((False, path), id=f"simulated-{path}") for path in ReceivePath),
    *(pytest.param((True, path), id=f"namespaces-{path}", marks=pytest.mark.root) for path in ReceivePath),
]


@pytest.fixture(params=WORLDS)
def lan(request: pytest.FixtureRequest) -> Iterator[Lan]:
    """Both worlds, each on all three receive paths; the real one is skipped where namespaces cannot be made."""
    in_kernel, path = request.param
    if not in_kernel:
        yield SimulatedLan(path)
        return
    reason = why_impossible()
    if reason is not None:
        pytest.skip(reason)
    with Network() as made:
        real = RealLan(made, path)
        yield real
        refused = {listener.sock.refused for host in real.hosts for listener in host.engine._listeners.values()} - {
            None
        }
        real.close()
        if refused:
            pytest.skip(f"eBPF is refused here: {refused}")
