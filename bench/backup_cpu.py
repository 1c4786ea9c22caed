"""
What does it cost to listen? 255 backups hear a master's advertisements, evenly spread or all at once each interval.

    python -m bench.backup_cpu

The generator sends from another core than the daemon's. Nothing may be sent by the daemon meanwhile.
"""

from __future__ import annotations

import time
from functools import partial

from bench.daemons import Daemon, Plan, Program, Setting
from bench.generator import Generator
from bench.harness import Case, Metric, Question, Samples, main
from bench.lan import Lan, Ring


def measure(interval_us: int, burst: bool, setting: Setting, program: Program, quick: bool) -> Samples:
    plan = Plan(routers=255, interval_us=interval_us)
    seconds = 1.5 if quick else 6
    with Lan() as lan, Ring(lan, "r2") as ring:
        # Sleeping between 25,000 frames a second would make little bursts of them.
        spin = not burst and interval_us < 50_000
        core = setting.cores[1]
        generator = Generator(lan, "r1", plan.frames(), interval_us, burst=burst, spin=spin, core=core)
        try:
            with Daemon(setting, lan, "r2", program, plan.configuration(), pinned=True) as daemon:
                daemon.wait_joined()
                time.sleep(0.5)
                ring.seen()
                began, cpu = time.monotonic(), daemon.cpu_s()
                time.sleep(seconds)
                used = (daemon.cpu_s() - cpu) / (time.monotonic() - began)
                if any(item.vrid for item in ring.seen()):
                    raise RuntimeError("a backup became master: the generator was late")
        finally:
            generator.kill()
    return {"cpu": [used * 100]}


def case(interval_us: int, burst: bool) -> Case:
    how = "in bursts" if burst else "spread"
    metric = Metric("cpu", f"backup CPU, 255 routers at {interval_us // 1000} ms, {how}", "% core", "≤ 0.1 (eBPF)")
    return Case((metric,), partial(measure, interval_us, burst), (2.9, 8), quick=not burst or interval_us > 50_000)


QUESTION = Question(
    "Backup CPU", tuple(case(interval_us, burst) for interval_us in (100_000, 10_000) for burst in (False, True))
)

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
