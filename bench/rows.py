"""
What is measured, and how it is written down: for the terminal, as JSON, and as the table that README carries.

Everything is one side by side: minimum, median and maximum of each program, and the ratio of the medians.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from bench.daemons import Program


@dataclass(frozen=True)
class Metric:
    """
    What a case yields: a row of the table. Smaller is better.

    Attributes:
        key: Name of its samples in what a leg returns.
        title: The question, for people.
        unit: Of the samples.
        wanted: The ratio that is aimed at.
        digits: After the decimal point.
        private: How keepalived does is not for publication: it stands in the terminal's table and in the JSON, not in
            what README carries or the picture shows.
    """

    key: str
    title: str
    unit: str
    wanted: str = ""
    digits: int = 2
    private: bool = False


@dataclass
class Row:
    """All that was measured for one metric, on one receive path of pyvrrp where the case asks for several."""

    question: str
    metric: Metric
    path: str | None = None
    wanted: str = ""
    samples: dict[Program, list[float]] = field(default_factory=lambda: {program: [] for program in Program})
    legs: int = 0
    noisy: int = 0
    failed: int = 0
    load: float = 0.0

    @property
    def title(self) -> str:
        return self.metric.title + (f" ({self.path})" if self.path else "")

    def median(self, program: Program) -> float:
        return statistics.median(self.samples[program])

    @property
    def complete(self) -> bool:
        return all(self.samples.values())

    @property
    def ratio(self) -> float | None:
        if not self.complete:
            return None
        ours, theirs = self.median(Program.PYVRRP), self.median(Program.KEEPALIVED)
        return ours / theirs if theirs else None

    def as_json(self) -> dict[str, Any]:
        return {
            "question": self.question,
            "row": self.title,
            "unit": self.metric.unit,
            "wanted": self.wanted,
            "private": self.metric.private,
            "ratio": self.ratio,
            "legs": self.legs,
            "noisy_legs": self.noisy,
            "failed_legs": self.failed,
            "load_by_others_cores_max": round(self.load, 3),
            **{
                program.value: {
                    "min": min(values),
                    "median": statistics.median(values),
                    "max": max(values),
                    "samples": list(values),
                }
                for program, values in self.samples.items()
                if values
            },
        }


def number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.0f}"


def three(row: Row, program: Program) -> str:
    values = row.samples[program]
    if not values:
        return "-"
    shown = (min(values), statistics.median(values), max(values))
    return " / ".join(number(value, row.metric.digits) for value in shown)


def ratio(row: Row) -> str:
    value = row.ratio
    if value is None:
        return "both 0" if row.complete and not row.median(Program.PYVRRP) else "-"
    return "0" if value == 0 else f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def remarks(row: Row) -> str:
    noisy = f"{row.noisy} of {row.legs} noisy, others up to {row.load:.1f} cores" if row.noisy else ""
    parts = [noisy, f"{row.failed} failed" if row.failed else ""]
    return ", ".join(part for part in parts if part)


def line(row: Row) -> str:
    note = remarks(row)
    return (
        f"{row.title}, {row.metric.unit}: keepalived {three(row, Program.KEEPALIVED)}, "
        f"pyvrrp {three(row, Program.PYVRRP)}, ratio {ratio(row)}" + (f" ({note})" if note else "")
    )


def table(rows: Sequence[Row]) -> str:
    """For the terminal: all that is known, as Markdown."""
    lines = [
        "| question | unit | keepalived min / median / max | pyvrrp min / median / max | ratio | wanted | runs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            row.title,
            row.metric.unit,
            three(row, Program.KEEPALIVED),
            three(row, Program.PYVRRP),
            ratio(row),
            row.wanted or "-",
            remarks(row) or "quiet",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def markdown(rows: Sequence[Row], about: str, command: str) -> str:
    """For README: medians, question by question, and below them what they were measured with."""
    lines = ["| | keepalived | pyvrrp | ratio | wanted |", "|---|--:|--:|--:|--:|"]
    for question, group in groupby(rows, key=lambda row: row.question):
        lines.append(f"| **{question}** | | | | |")
        for row in group:
            theirs = "" if row.metric.private else _median(row, Program.KEEPALIVED)
            compared = "" if row.metric.private else ratio(row)
            lines.append(f"| {row.title} | {theirs} | {_median(row, Program.PYVRRP)} | {compared} | {row.wanted} |")
    noisy, legs = sum(row.noisy for row in rows), sum(row.legs for row in rows)
    doubts = f" {noisy} of {legs} figures come from runs that others disturbed." if noisy else ""
    lines += ["", f"Medians, smaller is better, both in turns on one machine: {about}{doubts} Again: `{command}`."]
    return "\n".join(lines) + "\n"


def _median(row: Row, program: Program) -> str:
    if not row.samples[program]:
        return "not measured"
    return f"{number(row.median(program), row.metric.digits)} {row.metric.unit}".strip()
