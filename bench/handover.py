"""
The master is stopped in order: how long is a client without an answer?

    python -m bench.handover

The program is stopped beside a successor that runs pyvrrp, and beside one that runs keepalived. The client sends an
echo request every millisecond through its own neighbour table; the kernel writes requests and answers down at the
client's port.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import threading
import time
from functools import partial
from ipaddress import IPv4Address
from itertools import pairwise

from bench.daemons import Daemon, Plan, Program, Setting
from bench.harness import Case, Question, Samples, main
from bench.lan import ECHO, Lan, Ring, mac
from bench.rows import Metric
from pyvrrp.protocol.checksum import checksum

_REQUEST, _REPLY = 8, 0  # RFC 792
_ECHO = struct.Struct("!BBHHH")
_IDENTIFIER = 0x5652
_SOL_RAW, _ICMP_FILTER = 255, 1


class Probing:
    """Requests from the client, one a millisecond, while it is entered."""

    def __init__(self, lan: Lan, target: str) -> None:
        with lan.hosts["client"].inside():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        # Answers are read at the port; here they would only fill the queue.
        self._socket.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("@I", 0xFFFF_FFFF))
        self._socket.setblocking(False)
        self._target = target
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _send(self) -> None:
        at = time.monotonic()
        for number in range(65535):
            if self._stop.is_set():
                return
            message = _ECHO.pack(_REQUEST, 0, 0, _IDENTIFIER, number)
            message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
            with contextlib.suppress(OSError):  # nobody answers ARP: that is what is measured
                self._socket.sendto(message, (self._target, 0))
            at += 0.001
            time.sleep(max(0.0, at - time.monotonic()))


def measure(interval_us: int, successor: Program, setting: Setting, program: Program, quick: bool) -> Samples:
    del quick
    plan = Plan(interval_us=interval_us)
    vip = str(IPv4Address(plan.addresses(1)[0].packed))
    with Lan() as lan, Ring(lan, "client", ECHO, frames=30000, outgoing=True) as ring:
        with (
            Daemon(setting, lan, "r1", program, plan.configuration({1: 200})) as leaving,
            Daemon(setting, lan, "r2", successor, plan.configuration()) as staying,
        ):
            leaving.wait_joined()
            staying.wait_joined()
            time.sleep(plan.deadline_us / 1e6 + 0.2)
            with Probing(lan, vip):
                time.sleep(0.3)
                asked_s = time.monotonic()
                leaving.signal(signal.SIGTERM)
                leaving.process.wait(10)
                ended_s = time.monotonic() - asked_s
                time.sleep(interval_us / 1e6 + 0.3)
        return {**outage(ring), "exit": [ended_s * 1000]}


def outage(ring: Ring) -> Samples:
    """
    What the client noticed, from the frames at its port.

    Raises:
        RuntimeError: It was not answered before, or not by the successor after.
    """
    sent: dict[int, float] = {}
    answered: dict[int, bytes] = {}
    for at_us, frame in ring.frames():
        kind, _, _, identifier, number = _ECHO.unpack_from(frame, 34)
        if identifier != _IDENTIFIER:
            continue
        if kind == _REQUEST:
            sent.setdefault(number, at_us)
        elif kind == _REPLY:
            answered.setdefault(number, frame[6:12])
    order = sorted(answered)
    if not order or answered[order[0]] != mac("r1") or answered[order[-1]] != mac("r2"):
        raise RuntimeError(f"{len(order)} answers, not first by r1 and last by r2")
    gaps = [sent[late] - sent[early] for early, late in pairwise(order) if late > early + 1]
    # A request that waits for ARP never reaches the port: count by number, not by frame.
    lost = order[-1] - order[0] + 1 - len(order)
    return {"outage": [sum(gaps) / 1000], "lost": [lost]}


def case(interval_us: int, name: str, successor: Program, leg_s: tuple[float, float]) -> Case:
    title = f"graceful stop at {name}, {successor} succeeds"
    return Case(
        (
            Metric("outage", f"{title}: client without an answer", "ms", "0", 0),
            Metric("lost", f"{title}: probes lost (one a ms)", "probes", "0", 0),
            Metric("exit", f"{title}: TERM to exit", "ms", "-", 0),
        ),
        partial(measure, interval_us, successor),
        leg_s,
        quick=interval_us < 500_000,
        turns=(2, 2 if interval_us > 500_000 else 4),
    )


QUESTION = Question(
    "Graceful stop",
    tuple(
        case(interval_us, name, successor, leg_s)
        for interval_us, name, leg_s in ((1_000_000, "1 s", (9.0, 9.0)), (100_000, "100 ms", (3.1, 3.5)))
        for successor in (Program.PYVRRP, Program.KEEPALIVED)
    ),
)

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
