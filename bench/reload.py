"""
255 masters, the priority of one is changed: when is it on the wire, and do the others notice?

    python -m bench.reload
"""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from itertools import pairwise

from bench.daemons import Daemon, Plan, Program, Setting
from bench.harness import Case, Question, Samples, main
from bench.lan import Lan, Ring
from bench.rows import Metric

CHANGED = 128


def measure(setting: Setting, program: Program, quick: bool) -> Samples:
    plan = Plan(routers=255, priority=200)
    delays, missed, withdrawn, used = [], [], [], []
    with (
        Lan() as lan,
        Ring(lan, "r2", frames=40000) as ring,
        Daemon(setting, lan, "r2", program, plan.configuration()) as daemon,
    ):
        daemon.wait_joined()
        time.sleep(plan.deadline_us / 1e6 + 1)
        for number in range(1 if quick else 3):
            priority = 201 + number
            daemon.file.write_text(plan.configuration({CHANGED: priority}))
            ring.seen()
            time.sleep(0.3)
            cpu = daemon.cpu_s()
            at_us = time.time_ns() / 1e3
            daemon.signal(signal.SIGHUP)
            time.sleep(1.5)
            used.append((daemon.cpu_s() - cpu) * 1000)
            seen = [item for item in ring.seen() if item.vrid]
            changed = [item.at_us for item in seen if item.vrid == CHANGED and item.priority == priority]
            if not changed:
                raise RuntimeError("the new priority is not on the wire within 1.5 s")
            delays.append((changed[0] - at_us) / 1000)
            missed.append(gaps([(item.vrid, item.at_us) for item in seen], plan.interval_us))
            withdrawn.append(sum(item.priority == 0 for item in seen))
    return {"delay": delays, "missed": missed, "withdrawn": withdrawn, "cpu": used}


def gaps(advertisements: list[tuple[int, float]], interval_us: int) -> float:
    """Advertisements that a listener would have expected and that are not there."""
    times: dict[int, list[float]] = defaultdict(list)
    for vrid, at_us in advertisements:
        times[vrid].append(at_us)
    return sum(
        round((late - early) / interval_us) - 1
        for row in times.values()
        for early, late in pairwise(row)
        if late - early > 1.5 * interval_us
    )


QUESTION = Question(
    "Reload",
    (
        Case(
            (
                Metric("delay", "reload of 255, one changed: HUP to the new priority on the wire", "ms", "≤ 2", 0),
                Metric("missed", "reload of 255: advertisements missed", "", "0", 0),
                Metric("withdrawn", "reload of 255: advertisements of priority 0", "", "0", 0),
                Metric("cpu", "reload of 255: CPU in 1.5 s, with 15 advertisements each", "ms", "-", 0),
            ),
            measure,
            (3.9, 8),
        ),
    ),
)

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
