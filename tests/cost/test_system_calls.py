"""System calls of the daemon's engine: for what it hears, for what it says, for a take-over."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from pyvrrp.net.system import ReceivePath
from tests.cost.bounds import hold
from tests.cost.engines import ROUTERS, Daemon, SystemCalls, Wire, vips
from tests.netns import until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs the program strace"),
]


def configuration(routers: int, interval_s: float, addresses: int = 1) -> str:
    """A file; addresses are announced once, so that nothing of it comes later."""
    text = "global_defs {\n    vrrp_version 3\n    vrrp_garp_master_repeat 1\n    vrrp_garp_master_delay 0\n}\n"
    for vrid in range(1, routers + 1):
        listed = "\n".join(vips(vrid, addresses))
        text += (
            f"vrrp_instance VI_{vrid} {{\n    interface eth0\n    virtual_router_id {vrid}\n    priority 100\n"
            f"    advert_int {interval_s:g}\n    virtual_ipaddress {{\n{listed}\n    }}\n}}\n"
        )
    return text


def is_advertisement(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[23] == 112


def is_announcement(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42]


def test_receiving(wire: Wire, tmp_path: Path, path: ReceivePath) -> None:
    """Each advertisement comes when the one before has been read: no two share a wake-up unless the path makes them."""
    host, capture = wire.namespace()
    frames = [wire.frame(vrid, interval_us=1_000_000) for vrid in range(1, ROUTERS + 1)]
    with Daemon(host, tmp_path, configuration(ROUTERS, 1), path) as daemon:
        daemon.wait(daemon.listens, "the daemon listens")
        for _ in range(50):  # whatever is learned from repetitions is learned now
            wire.send(frames)
            until(lambda: not daemon.waits(), "what was sent is read")
        with SystemCalls(daemon.engine, tmp_path, lambda: wire.send(frames)) as traced:
            until(lambda: not daemon.waits(), "what was sent is read")
            for number in range(1000):
                wire.send([frames[number % ROUTERS]])
                while daemon.waits():
                    time.sleep(0)
        assert not any(is_advertisement(frame) for frame in capture.pending()), "it was no backup throughout"
    print(", ".join(traced.most()))
    hold(f"system calls, 1,000 received one by one, {path}", traced.total)


def test_sending(wire: Wire, tmp_path: Path) -> None:
    """255 routers at 100 ms for eight ticks or more; what a tick costs besides is shared by what is sent in it."""
    host, capture = wire.namespace()
    count = 8 * 255
    with Daemon(host, tmp_path, configuration(255, 0.1)) as daemon:
        speaking: set[int] = set()

        def all_speak() -> bool:
            speaking.update(frame[35] for frame in capture.pending() if is_advertisement(frame))
            return len(speaking) == 255

        daemon.wait(all_speak, "all are masters")
        capture.wait(is_advertisement, 5 * 255)
        with SystemCalls(daemon.engine, tmp_path) as traced:
            capture.pending()
            capture.wait(is_advertisement, count)
    print(", ".join(traced.most()))
    hold("system calls, 1,000 sent by 255 routers", round(1000 * traced.total / count))


def test_taking_over(wire: Wire, tmp_path: Path) -> None:
    """From the peer's goodbye to the fifth advertisement after it: addresses, announcements, and news of both."""
    host, capture = wire.namespace()
    addresses = 250
    frame = wire.frame(1, interval_us=100_000, count=addresses)
    goodbye = wire.frame(1, priority=0, interval_us=100_000, count=addresses)
    with Daemon(host, tmp_path, configuration(1, 0.1, addresses)) as daemon:
        daemon.wait(daemon.listens, "the daemon listens")
        with SystemCalls(daemon.engine, tmp_path, lambda: wire.send([frame])) as traced:
            assert not any(is_advertisement(one) for one in capture.pending()), "it took over too early"
            wire.send([goodbye])
            announced: set[bytes] = set()
            said = 0

            def done() -> bool:
                nonlocal said
                for one in capture.pending():
                    if is_announcement(one):
                        announced.add(one[28:32])
                    said += is_advertisement(one)
                return len(announced) == addresses and said > 4

            daemon.wait(done, "all addresses are announced")
    print(", ".join(traced.most()))
    hold("system calls, take-over of 250 addresses", traced.total)
