"""
255 routers lose their master at once: how late is the last one's first announcement, counted from its own deadline?

    python -m bench.mass_failover
"""

from __future__ import annotations

import statistics

from bench.daemons import Plan, Program, Setting
from bench.harness import Case, Question, Samples, main
from bench.rows import Metric
from bench.takeover import takeovers


def measure(setting: Setting, program: Program, quick: bool) -> Samples:
    found = takeovers(setting, program, Plan(routers=255), 2 if quick else 5, settle_s=1.0)
    return {
        "last": [max(one.values()) for one in found],
        "median": [statistics.median(one.values()) for one in found],
    }


QUESTION = Question(
    "255 routers lose their master at once (RR)",
    (
        Case(
            (
                Metric("last", "255 take over at once: the last announcement after its own deadline", "ms", "≤ 0.3"),
                Metric("median", "255 take over at once: half of them announced, after the deadline", "ms", "-"),
            ),
            measure,
            (4.4, 10),
        ),
    ),
)

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
