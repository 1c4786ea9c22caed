"""
What does it cost to advertise, and how evenly is it done? 255 masters, looked at from their port of the switch.

    python -m bench.master_cpu
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from functools import partial
from itertools import pairwise

from bench.daemons import Daemon, Plan, Program, Setting, percentile
from bench.harness import Case, Question, Samples, main
from bench.lan import Lan, Ring
from bench.rows import Metric


def measure(interval_us: int, setting: Setting, program: Program, quick: bool) -> Samples:
    # The second round of announcements has to be over before anything is counted.
    plan = Plan(routers=255, interval_us=interval_us, priority=200, body="    garp_master_delay 1")
    seconds = 1.6 if quick else 5
    with Lan() as lan, Ring(lan, "r2", frames=int(255 * 1e6 / interval_us * (seconds + 4)) + 8192) as ring:
        with Daemon(setting, lan, "r2", program, plan.configuration(), realtime=True) as daemon:
            daemon.wait_joined()
            time.sleep(plan.deadline_us / 1e6 + 1.7)
            from_us = time.time_ns() / 1e3
            began, cpu = time.monotonic(), daemon.cpu_s()
            time.sleep(seconds)
            used = (daemon.cpu_s() - cpu) / (time.monotonic() - began)
            until_us = time.time_ns() / 1e3
        times: dict[int, list[float]] = defaultdict(list)
        for item in ring.seen():
            if item.vrid and from_us <= item.at_us <= until_us:
                times[item.vrid].append(item.at_us)
    if len(times) != 255 or min(map(len, times.values())) < 3:
        raise RuntimeError(f"{len(times)} of 255 routers advertised")
    periods = [late - early for row in times.values() for early, late in pairwise(row)]
    # Over the whole row of each router, so that jitter at its ends does not count as drift.
    drifts = [(row[-1] - row[0]) / (len(row) - 1) - interval_us for row in times.values()]
    nominal = 255 * (until_us - from_us) / interval_us
    return {
        "cpu": [used * 100],
        "jitter": [percentile([abs(period - interval_us) for period in periods], 0.99) / 1000],
        "drift": [abs(statistics.fmean(drifts))],
        "missing": [max(0.0, 100 - 100 * sum(map(len, times.values())) / nominal)],
    }


def case(interval_us: int) -> Case:
    name = f"255 routers at {interval_us // 1000} ms"
    return Case(
        (
            Metric("cpu", f"master CPU, {name}", "% core", "≤ 0.4", 1),
            Metric("jitter", f"advertisement jitter p99, {name}", "ms", "≤ 1"),
            Metric("drift", f"mean drift of the interval (either way), {name}", "µs", "0", 1),
            Metric("missing", f"advertisements not sent in time, {name}", "%", "0", 1),
        ),
        partial(measure, interval_us),
        (4.4, 8.5),
        quick=interval_us < 50_000,
    )


QUESTION = Question("Master CPU and jitter (RR)", (case(100_000), case(10_000)))

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
