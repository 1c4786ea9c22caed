"""
What does it cost to listen? 255 backups hear a master's advertisements, evenly spread or all at once each interval.

    python -m bench.backup_cpu

Each receive path of pyvrrp has its row: in the kernel (ebpf), drained every few milliseconds (split), every packet
awake (off). The generator sends from another core than the daemon's. Nothing may be sent by the daemon meanwhile.

What the kernel does with a packet until it lies in a socket, filters included, is done in the sender's time, for either
program. So that no work is hidden there, the sender's time has rows, too, where it does not wait in a busy loop.
"""

from __future__ import annotations

import time
from functools import partial

from bench.daemons import Daemon, Plan, Program, Setting, tree_cpu_s
from bench.generator import Generator
from bench.harness import Case, Question, Samples, main
from bench.lan import Lan, Ring
from bench.rows import Metric


def measure(interval_us: int, burst: bool, setting: Setting, program: Program, quick: bool) -> Samples:
    plan = Plan(routers=255, interval_us=interval_us)
    seconds = 1.5 if quick else 5
    with Lan() as lan, Ring(lan, "r2") as ring:
        spin = spins(interval_us, burst)
        core = setting.cores[1]
        generator = Generator(lan, "r1", plan.frames(), interval_us, burst=burst, spin=spin, core=core)
        try:
            with Daemon(setting, lan, "r2", program, plan.configuration(), pinned=True) as daemon:
                daemon.wait_joined()
                daemon.check_path()
                time.sleep(0.5)
                ring.seen()
                sender = generator.process.pid
                began, cpu, sending = time.monotonic(), daemon.cpu_s(), tree_cpu_s(sender)
                time.sleep(seconds)
                elapsed_s = time.monotonic() - began
                used, sending = daemon.cpu_s() - cpu, tree_cpu_s(sender) - sending
                if any(item.vrid for item in ring.seen()):
                    raise RuntimeError("a backup became master: the generator was late")
        finally:
            generator.kill()
    return {"cpu": [used / elapsed_s * 100], "sender": [sending / elapsed_s * 100]}


def spins(interval_us: int, burst: bool) -> bool:
    """Whether the generator waits in a loop: sleeping between 25,000 frames a second would make little bursts."""
    return not burst and interval_us < 50_000


def case(interval_us: int, burst: bool) -> Case:
    name = f"255 routers at {interval_us // 1000} ms, {'in bursts' if burst else 'spread'}"
    wanted = {"ebpf": "≤ 0.1", "split": "≤ 1.1" if burst else "≤ 0.6", "off": "-"}
    metrics = [Metric("cpu", f"backup CPU, {name}", "% core")]
    if not spins(interval_us, burst):
        metrics.append(Metric("sender", f"the sender's CPU, {name}", "% core", "-"))
    return Case(
        metrics,
        partial(measure, interval_us, burst),
        (3.2, 7),
        quick=interval_us < 50_000,
        turns=(2, 2),
        paths=wanted,
    )


QUESTION = Question(
    "Backup CPU", tuple(case(interval_us, burst) for interval_us in (100_000, 10_000) for burst in (False, True))
)

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
