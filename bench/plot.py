"""
The ratios as a picture: SVG written by hand, one line for each row, on a logarithmic scale.

A bar starts at 1, where both are equal: to the left, in green, pyvrrp needs less, to the right, in red, more. The thin
line spans the ratios that single legs would give, the best of one against the worst of the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any, Final

WIDTH: Final = 1120
LEFT, RIGHT, TOP = 470, 800, 92
LINE, GAP = 24, 34
DECADES: Final = (-3.0, 2.0)
"""Ratios beyond these are drawn at the edge."""

LESS, MORE, INK, FAINT = "#2a9d62", "#d1495b", "#22303c", "#8797a5"


def plot(rows: Sequence[dict[str, Any]], about: str) -> str:
    """A whole SVG file of what `Row.as_json` says."""
    parts: list[str] = []
    y = TOP
    for question, group in groupby(rows, key=lambda row: row["question"]):
        parts.append(f'<text x="24" y="{y + 12}" class="question">{escape(str(question))}</text>')
        y += LINE
        for row in group:
            parts += _line(row, y)
            y += LINE
        y += GAP - LINE
    bottom = y
    height = bottom + 62
    style = (
        f"text{{font:12px system-ui,sans-serif;fill:{INK}}}"
        ".title{font-size:20px;font-weight:600}.question{font-weight:600}"
        f".faint{{fill:{FAINT};font-size:11px}}.value{{font-variant-numeric:tabular-nums}}"
        f".less{{fill:{LESS}}}.more{{fill:{MORE}}}"
    )
    note = (
        "Medians of one run, both programs in turns, measured from outside; smaller is better everywhere. "
        "Thin lines: smallest and largest ratio that single samples allow."
    )
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    whole = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<style>{style}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        '<text x="24" y="34" class="title">pyvrrp and keepalived, side by side</text>',
        f'<text x="24" y="54" class="faint">{escape(about)}</text>',
        *_axis(bottom),
        *parts,
        f'<text x="24" y="{height - 14}" class="faint">{note}</text>',
        "</svg>",
    ]
    return "\n".join(whole) + "\n"


def _x(value: float) -> float:
    low, high = DECADES
    place = min(high, max(low, math.log10(value))) if value > 0 else low
    return LEFT + (place - low) / (high - low) * (RIGHT - LEFT)


def _axis(bottom: float) -> list[str]:
    parts = []
    for exponent in range(int(DECADES[0]), int(DECADES[1]) + 1):
        x = _x(10.0**exponent)
        equal = exponent == 0
        stroke = f'stroke="{INK if equal else FAINT}" stroke-width="{1.5 if equal else 0.5}"'
        label = "equal" if equal else f"{10.0**exponent:g} ×"
        parts += [
            f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{bottom}" {stroke}/>',
            f'<text x="{x:.1f}" y="{TOP - 12}" text-anchor="middle" class="faint">{label}</text>',
        ]
    parts += [
        f'<text x="{RIGHT + 70}" y="{TOP - 12}" text-anchor="end" class="faint">ratio</text>',
        f'<text x="{RIGHT + 90}" y="{TOP - 12}" class="faint">pyvrrp / keepalived</text>',
    ]
    return parts


def _line(row: dict[str, Any], y: float) -> list[str]:
    title = f'<text x="40" y="{y + 12}">{escape(_short(row["row"]))}<title>{escape(row["row"])}</title></text>'
    ours, theirs = row.get("pyvrrp"), row.get("keepalived")
    if not ours or not theirs:
        return [title, f'<text x="{RIGHT + 90}" y="{y + 12}" class="faint">not measured</text>']
    if row["private"]:
        alone = escape(f"{_number(ours['median'])} {row['unit']}, pyvrrp alone")
        return [title, f'<text x="{RIGHT + 90}" y="{y + 12}" class="value">{alone}</text>']
    values = f"{_number(ours['median'])} / {_number(theirs['median'])} {row['unit']}"
    parts = [title, f'<text x="{RIGHT + 90}" y="{y + 12}" class="value">{escape(values)}</text>']
    ratio = row["ratio"]
    if ratio is None:
        said = "both 0" if not ours["median"] else "0 there"
        return [*parts, f'<text x="{RIGHT + 70}" y="{y + 12}" text-anchor="end" class="faint">{said}</text>']
    kind = "less" if ratio <= 1 else "more"
    start, end = sorted((_x(1), _x(ratio)))
    parts.append(
        f'<rect x="{start:.1f}" y="{y + 2}" width="{max(1.5, end - start):.1f}" height="12" rx="2" class="{kind}"/>'
    )
    if theirs["min"] > 0:
        low, high = _x(ours["min"] / theirs["max"]), _x(ours["max"] / theirs["min"])
        parts.append(
            f'<line x1="{low:.1f}" y1="{y + 8}" x2="{high:.1f}" y2="{y + 8}" stroke="{INK}" stroke-width="1"/>'
        )
    text = "0" if ratio == 0 else f"{ratio:.2f}" if ratio >= 0.095 else f"{ratio:.3f}"
    parts.append(f'<text x="{RIGHT + 70}" y="{y + 12}" text-anchor="end" class="value {kind}">{text}</text>')
    return parts


def _short(title: str, limit: int = 68) -> str:
    return title if len(title) <= limit else title[: limit - 1] + "…"


def _number(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
