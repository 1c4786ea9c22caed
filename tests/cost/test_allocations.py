"""
What the engine keeps of memory while nothing new happens: nothing, and nothing that only the garbage collector finds.

The daemon's engine runs with the collector off for long, so garbage in cycles would be kept, too.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator

import pytest

from pyvrrp.net.system import ReceivePath
from tests.cost.bounds import hold
from tests.cost.engines import Wire, listening, masters, received, run, sent
from tests.netns import until

pytestmark = pytest.mark.root

TRIES = 3
"""The least of so many counts: what is kept for each packet is kept each time, a cache that fills is not."""


@pytest.fixture
def without_gc() -> Iterator[None]:
    """The collector does not run by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def kept(action: Callable[[], None]) -> tuple[int, int, int]:
    """Blocks and containers that are left over by *action*, and what of it is garbage in cycles; the least of each."""
    found = []
    for _ in range(TRIES):
        gc.collect()
        action()  # a collection empties the interpreter's free lists; what fills them again is nothing kept
        containers, blocks = gc.get_count()[0], sys.getallocatedblocks()
        action()
        blocks, containers = sys.getallocatedblocks() - blocks, gc.get_count()[0] - containers
        found.append((blocks, containers, gc.collect()))
    least = tuple(min(column) for column in zip(*found, strict=True))
    return least[0], least[1], least[2]


@pytest.mark.usefixtures("without_gc")
def test_receiving(wire: Wire, monkeypatch: pytest.MonkeyPatch, path: ReceivePath) -> None:
    host = wire.engine(monkeypatch, path)
    frames = listening(wire, host)
    before = received(host)

    def receive() -> None:
        for _ in range(1000 // len(frames)):
            wire.send(frames)
            host.step()

    receive()
    blocks, containers, garbage = kept(receive)
    count = (1 + 2 * TRIES) * 1000
    until(lambda: received(host) - before >= count, "all that was sent is heard")  # a path may keep it back for a while
    hold(f"blocks kept, 1,000 received, {path}", blocks)
    hold(f"containers kept, 1,000 received, {path}", containers)
    hold(f"cyclic garbage, 1,000 received, {path}", garbage)


@pytest.mark.usefixtures("without_gc")
def test_sending(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    host = wire.engine(monkeypatch)
    masters(host, 20_000)
    before = sent(host)
    blocks, containers, garbage = kept(lambda: run(host, 1))
    assert sent(host) - before >= 2 * TRIES * 255, "next to nothing was sent"
    hold("blocks kept, 50 ticks of 255", blocks)
    hold("containers kept, 50 ticks of 255", containers)
    hold("cyclic garbage, 50 ticks of 255", garbage)
