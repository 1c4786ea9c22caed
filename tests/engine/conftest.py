from __future__ import annotations

from collections.abc import Iterator

import pytest

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


@pytest.fixture(params=["simulated", pytest.param("namespaces", marks=pytest.mark.root)])
def lan(request: pytest.FixtureRequest) -> Iterator[Lan]:
    """Both worlds; the real one is skipped where namespaces cannot be made."""
    if request.param == "simulated":
        yield SimulatedLan()
        return
    reason = why_impossible()
    if reason is not None:
        pytest.skip(reason)
    with Network() as made:
        real = RealLan(made)
        yield real
        real.close()
