"""
From exec to the first advertisement, and what memory the daemon holds then.

    python -m bench.start

The routers own their addresses (priority 255), so that no protocol's patience is in between.
"""

from __future__ import annotations

import time
from functools import partial

from bench.daemons import Daemon, Plan, Program, Setting
from bench.harness import Case, Question, Samples, main
from bench.lan import Lan, Ring
from bench.rows import Metric


def measure(routers: int, setting: Setting, program: Program, quick: bool) -> Samples:
    plan = Plan(routers=routers, interval_us=1_000_000, priority=255)
    with Lan() as lan, Ring(lan, "r2", frames=8192) as ring:
        with Daemon(setting, lan, "r2", program, plan.configuration()) as daemon:
            first: dict[int, float] = {}
            end = time.monotonic() + 10
            while len(first) < routers:
                if daemon.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{len(first)} of {routers} routers advertised")
                time.sleep(0.05)
                for item in ring.seen():
                    if item.vrid:
                        first.setdefault(item.vrid, item.at_us - daemon.started_us)
            time.sleep(0.5 if quick else 2)
            engine, tree = daemon.pss_kib()
        # keepalived's parent only waits: what speaks VRRP there shares its memory with it, and either may be meant.
        against = tree if program is Program.KEEPALIVED else engine
        return {
            "first": [min(first.values()) / 1000],
            "last": [max(first.values()) / 1000],
            "engine": [engine / 1024],
            "against": [against / 1024],
            "tree": [tree / 1024],
        }


def case(routers: int, leg_s: tuple[float, float]) -> Case:
    routers_said = f"{routers} router" + "s" * (routers > 1)
    last = (Metric("last", f"exec to the last of {routers} first advertisements", "ms", "≤ 4", 0),) * (routers > 1)
    return Case(
        (
            Metric("first", f"exec to first advertisement, {routers_said}", "ms", "≤ 4", 0),
            *last,
            Metric("engine", f"memory (PSS), the process that speaks VRRP, {routers_said}", "MiB", "-", 1),
            Metric(
                "against", f"memory (PSS), pyvrrp's engine against all of keepalived, {routers_said}", "MiB", "≤ 2", 1
            ),
            Metric("tree", f"memory (PSS), all processes, {routers_said}", "MiB", "≤ 4", 1),
        ),
        partial(measure, routers),
        leg_s,
    )


QUESTION = Question("Start and memory", (case(1, (0.9, 3)), case(255, (1.1, 3.5))))

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
