"""
Sends prepared frames at a steady rate from a process of its own, until its time is over or somebody kills it.

Run by `Generator`, not by hand: the work order comes on standard input. Spread is one frame at a time, evenly; a burst
is all frames at once, each period. With *spin* it does not sleep between frames, so that what arrives is really spread:
it takes a core for that.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time

LIMIT_S = 120.0


class Generator:
    """Frames on a port, from now on until `kill`."""

    def __init__(
        self,
        lan: object,
        port: str,
        frames: list[bytes],
        period_us: float,
        *,
        burst: bool = False,
        spin: bool = False,
        seconds: float = LIMIT_S,
        core: int | None = None,
        urgent: bool = True,
    ) -> None:
        from bench.lan import Lan  # noqa: PLC0415  the sending process needs none of it

        assert isinstance(lan, Lan)
        order = {
            "frames": [frame.hex() for frame in frames],
            "period_us": period_us,
            "burst": burst,
            "spin": spin,
            "seconds": min(seconds, LIMIT_S),
            "core": core,
            "urgent": urgent,
        }
        self.process = lan.hosts[port].start(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode())
        self.process.stdin.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def send(order: dict[str, object]) -> None:
    frames = [bytes.fromhex(frame) for frame in order["frames"]]  # type: ignore[attr-defined]
    period_s = float(order["period_us"]) / 1e6  # type: ignore[arg-type]
    seconds = float(order["seconds"])  # type: ignore[arg-type]
    burst, spin = bool(order["burst"]), bool(order["spin"])
    if isinstance(order["core"], int):
        os.sched_setaffinity(0, {order["core"]})
    elif order["urgent"]:
        with contextlib.suppress(OSError):  # a late master would be the generator's failover, not the daemon's
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(30))
    if order["urgent"]:
        with contextlib.suppress(OSError):
            os.nice(-10)
    parent = os.getppid()
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    out.bind(("eth0", 0))
    emit, clock = out.send, time.monotonic
    batches = [frames] if burst else [[frame] for frame in frames]
    step_s = period_s / len(batches)
    at = clock()
    end = at + seconds
    number, count = 0, len(batches)
    while at < end:
        now = clock()
        if now < at:
            if not spin:
                time.sleep(at - now)
            continue
        for frame in batches[number]:
            with contextlib.suppress(BlockingIOError):
                emit(frame)
        at += step_s
        number += 1
        if number == count:
            number = 0
            if os.getppid() != parent:  # nobody is left who would end this
                return


if __name__ == "__main__":
    send(json.load(sys.stdin))
