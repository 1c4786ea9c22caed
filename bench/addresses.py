"""
A take-over with many addresses: when has the last of them been announced for the first time?

    python -m bench.addresses
"""

from __future__ import annotations

from functools import partial

from bench.daemons import Plan, Program, Setting
from bench.harness import Case, Question, Samples, main
from bench.rows import Metric
from bench.takeover import takeovers


def measure(family: int, vips: int, setting: Setting, program: Program, quick: bool) -> Samples:
    plan = Plan(vips=vips, family=family)
    found = takeovers(setting, program, plan, 2 if quick else 4, settle_s=1.0)
    return {"late": [max(one.values()) for one in found]}


def case(family: int, vips: int, wanted: str, *, often: bool = True) -> Case:
    said = f"{vips} IPv{family} VIP" + "s" * (vips > 1)
    metric = Metric("late", f"{said}: deadline to the last one's first announcement", "ms", wanted)
    return Case((metric,), partial(measure, family, vips), (4.2, 8.5), quick=often, turns=(2, 4 if often else 2))


QUESTION = Question(
    "Many addresses (RR)",
    (
        case(4, 1, "≤ 1.3", often=False),
        case(4, 20, "-", often=False),
        case(4, 100, "-", often=False),
        case(4, 250, "≤ 0.6"),
        case(6, 250, "≤ 1"),
    ),
)

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
