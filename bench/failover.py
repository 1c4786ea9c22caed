"""
The master is killed: how long after the deadline does the backup's first announcement come?

    python -m bench.failover
"""

from __future__ import annotations

from functools import partial

from bench.daemons import Plan, Program, Setting
from bench.harness import Case, Question, Samples, main
from bench.rows import Metric
from bench.takeover import takeovers


def measure(interval_us: int, counts: tuple[int, int], setting: Setting, program: Program, quick: bool) -> Samples:
    found = takeovers(setting, program, Plan(interval_us=interval_us), counts[0] if quick else counts[1], settle_s=0.3)
    return {"late": [late for one in found for late in one.values()]}


def case(interval_us: int, name: str, counts: tuple[int, int], leg_s: tuple[float, float]) -> Case:
    metric = Metric("late", f"master killed, 1 VIP, v3 at {name}: first announcement after the deadline", "ms", "≤ 1.3")
    slow = interval_us > 500_000
    return Case((metric,), partial(measure, interval_us, counts), leg_s, quick=not slow, turns=(2, 2 if slow else 4))


QUESTION = Question(
    "Kill of the master (RR)",
    (
        case(1_000_000, "1 s", (1, 2), (7, 13)),
        case(100_000, "100 ms", (3, 6), (3.7, 8)),
        case(10_000, "10 ms", (4, 8), (3.4, 6)),
    ),
)

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
