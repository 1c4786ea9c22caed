"""Python calls in `Engine.step`, on real sockets: for what it hears, for what it says, for a take-over."""

from __future__ import annotations

import pytest

from pyvrrp.net.system import ReceivePath
from tests.cost.bounds import hold
from tests.cost.engines import ROUTERS, Calls, Wire, is_woken, listening, masters, received, run, sent, vips
from tests.engine.worlds import settings
from tests.netns import until

pytestmark = pytest.mark.root


@pytest.mark.parametrize(("burst", "name"), [(1, "one by one"), (100, "in bursts")])
def test_receiving(wire: Wire, monkeypatch: pytest.MonkeyPatch, path: ReceivePath, burst: int, name: str) -> None:
    host = wire.engine(monkeypatch, path)
    frames = listening(wire, host)
    before, calls = received(host), Calls()
    for number in range(0, 1000, burst):
        wire.send([frames[(number + each) % ROUTERS] for each in range(burst)])
        while is_woken(host):
            with calls:
                host.step()

    def caught_up() -> bool:
        if is_woken(host):
            with calls:
                host.step()
        return received(host) - before == 1000

    until(caught_up, "all that was sent is heard")  # what a path keeps back for a while
    assert host.moves("VI_1") == ["BACKUP"]
    hold(f"calls, 1,000 received {name}, {path}", calls.count)


def test_sending(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    host = wire.engine(monkeypatch)
    masters(host, 100_000)
    before, calls = sent(host), Calls()
    run(host, 1, calls)
    count = sent(host) - before
    assert count >= 255, "next to nothing was sent"
    hold("calls, 1,000 sent by 255 routers", round(1000 * calls.count / count))


def test_taking_over(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the peer's goodbye until all addresses are there and announced; in this thread, an applier's is not seen."""
    host = wire.engine(monkeypatch)
    addresses = vips(1, 250)
    host.configure(settings(vrid=1, vips=addresses))
    frame = wire.frame(1, interval_us=100_000, count=250)

    def heard() -> bool:
        wire.send([frame])
        host.step()
        return host.status_of().master is not None

    until(heard, "the engine hears its peer")
    wire.send([wire.frame(1, priority=0, interval_us=100_000, count=250)])
    host.forget()
    calls = Calls()

    def served() -> bool:
        with calls:
            host.step()
        return set(addresses) <= host.addresses() and len(host.announced()) >= 250

    until(served, "all addresses are announced")
    hold("calls, take-over of 250 addresses", calls.count)
