"""
Runs questions: both programs in turns (ABBA), noise noted and noisy runs repeated, a table and JSON at the end.

A leg is one run of one program. Load by others is what the machine was busy with, less this process tree.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.daemons import Program, Setting, adopt_orphans, busy_s, tree_cpu_s
from bench.plot import plot

NOISE_CORES: Final = 0.25
"""A leg with more load by others than this is repeated."""

REPEATS: Final = 2
"""So many legs of a case may be repeated for noise, and as many for failure, where the time allows."""

ROUNDS: Final = {True: 1, False: 2}
"""ABBA this often, with --quick and without."""

LIMIT_S: Final = {True: 285.0, False: 1750.0}
"""For all questions; what is over of it is for repeats."""

Samples = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Metric:
    """What a case yields: a row of the table. Smaller is better."""

    key: str
    title: str
    unit: str
    wanted: str = ""
    digits: int = 2


@dataclass(frozen=True)
class Case:
    """
    One comparison.

    Attributes:
        metrics: Rows that it fills.
        measure: One leg.
        leg_s: What a leg takes, about, with --quick and without; its budget follows from it.
        quick: Whether it is part of --quick.
    """

    metrics: Sequence[Metric]
    measure: Callable[[Setting, Program, bool], Samples]
    leg_s: tuple[float, float]
    quick: bool = True

    def budget_s(self, *, quick: bool) -> float:
        if quick and not self.quick:
            return 0.0
        return self.leg_s[0 if quick else 1] * 4 * ROUNDS[quick]


@dataclass(frozen=True)
class Question:
    """Cases of one file."""

    title: str
    cases: Sequence[Case]

    def budget_s(self, *, quick: bool) -> float:
        return sum(case.budget_s(quick=quick) for case in self.cases)


@dataclass
class Row:
    """All that was measured for one metric."""

    question: str
    metric: Metric
    samples: dict[Program, list[float]] = field(default_factory=lambda: {program: [] for program in Program})
    legs: int = 0
    noisy: int = 0
    failed: int = 0
    load: float = 0.0

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
            "row": self.metric.title,
            "unit": self.metric.unit,
            "wanted": self.metric.wanted,
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


def run_case(question: str, case: Case, setting: Setting, *, quick: bool, end: float) -> list[Row]:
    """All legs of a case and what repeats there is time for until *end*; each program runs once in any case."""
    rows = [Row(question, metric) for metric in case.metrics]
    legs = [Program.KEEPALIVED, Program.PYVRRP, Program.PYVRRP, Program.KEEPALIVED]
    todo = legs * ROUNDS[quick]
    leg_s = case.leg_s[0 if quick else 1]
    noise_left = failures_left = REPEATS
    done = dict.fromkeys(Program, 0)
    while todo:
        program = todo.pop(0)
        if time.monotonic() > end and min(done.values()):
            break
        began, busy, own = time.monotonic(), busy_s(), tree_cpu_s(os.getpid())
        try:
            found = case.measure(setting, program, quick)
        except (OSError, RuntimeError, ValueError) as error:
            say(f"    {program}: {type(error).__name__}: {error}")
            if os.environ.get("BENCH_DEBUG"):
                traceback.print_exc()
            for row in rows:
                row.failed += 1
            if failures_left and time.monotonic() + leg_s * (len(todo) + 1) < end:
                failures_left -= 1
                todo.insert(0, program)
            continue
        load = (busy_s() - busy - tree_cpu_s(os.getpid()) + own) / (time.monotonic() - began)
        noisy = load > NOISE_CORES
        for row in rows:
            row.load = max(row.load, load)
            row.noisy += noisy
            row.legs += 1
        if noisy and noise_left and time.monotonic() + leg_s * (len(todo) + 1) < end:
            noise_left -= 1
            todo.insert(0, program)
            continue
        done[program] += 1
        for row in rows:
            row.samples[program].extend(found.get(row.metric.key, ()))
    return rows


def run(questions: Sequence[Question], options: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    began = time.monotonic()
    later_s = sum(question.budget_s(quick=options.quick) for question in questions)
    # A single question may take half as long again for repeats, all of them together what the limit says.
    end = began + min(LIMIT_S[options.quick], later_s * 1.5)
    with prepared(options) as setting:
        say(about(setting))
        for question in questions:
            say(f"\n{question.title} (budget {question.budget_s(quick=options.quick):.0f} s)")
            at = time.monotonic()
            for case in question.cases:
                if case.quick or not options.quick:
                    later_s -= case.budget_s(quick=options.quick)
                    found = run_case(question.title, case, setting, quick=options.quick, end=end - later_s)
                    rows += found
                    for row in found:
                        say("  " + line(row))
            say(f"  took {time.monotonic() - at:.0f} s")
        described = about(setting)
    say(f"\n{described}\nAll of it took {time.monotonic() - began:.0f} s.\n")
    print(table(rows))
    if options.json:
        content = {"about": described, "quick": options.quick, "rows": [row.as_json() for row in rows]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    if options.plot:
        options.plot.write_text(plot([row.as_json() for row in rows], described))
    return rows


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
    return "-" if value is None else "0" if value == 0 else f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def remarks(row: Row) -> str:
    noisy = f"{row.noisy} of {row.legs} noisy, others up to {row.load:.1f} cores" if row.noisy else ""
    parts = [noisy, f"{row.failed} failed" if row.failed else ""]
    return ", ".join(part for part in parts if part)


def line(row: Row) -> str:
    note = remarks(row)
    return (
        f"{row.metric.title}, {row.metric.unit}: keepalived {three(row, Program.KEEPALIVED)}, "
        f"pyvrrp {three(row, Program.PYVRRP)}, ratio {ratio(row)}" + (f" ({note})" if note else "")
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown: minimum, median and maximum of each, and the ratio of the medians."""
    lines = [
        "| question | unit | keepalived min / median / max | pyvrrp min / median / max | ratio | wanted | runs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            row.metric.title,
            row.metric.unit,
            three(row, Program.KEEPALIVED),
            three(row, Program.PYVRRP),
            ratio(row),
            row.metric.wanted or "-",
            remarks(row) or "quiet",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def about(setting: Setting) -> str:
    """Machine, versions and interpreter."""
    described = subprocess.run(
        [setting.python, "-c", _DESCRIBE], env=setting.environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    version = subprocess.run([setting.keepalived, "--version"], capture_output=True, text=True, check=False)
    name = (version.stderr or version.stdout).split(" (", 1)[0].strip()
    classes = (
        "SCHED_RR for both where a row says RR" if setting.realtime else "no SCHED_RR permitted: all as SCHED_OTHER"
    )
    return (
        f"{name} against pyvrrp on {described} ({setting.python}); Linux {platform.release()}, {os.cpu_count()} cores; "
        f"{classes}."
    )


_DESCRIBE: Final = (
    "import platform, sys, sysconfig\n"
    "pgo = '--enable-optimizations' in (sysconfig.get_config_var('CONFIG_ARGS') or '')\n"
    "build = 'the distribution' if sys.prefix == '/usr' else 'with PGO' if pgo else 'without PGO'\n"
    "print(platform.python_implementation(), platform.python_version() + ', built', \n"
    "      'by ' + build if build.startswith('the') else build)"
)


@contextlib.contextmanager
def prepared(options: argparse.Namespace) -> Iterator[Setting]:
    """
    A directory with a compiled copy of pyvrrp, so that the tree may change meanwhile, and an interpreter for it.

    Raises:
        SystemExit: Something is missing.
    """
    if os.geteuid() != 0:
        raise SystemExit("bench: needs root, for network namespaces and raw sockets")
    keepalived = shutil.which(options.keepalived)
    missing = [name for name in ("ip", "chrt", "taskset") if shutil.which(name) is None]
    if keepalived is None or missing:
        raise SystemExit(
            f"bench: not installed: {', '.join([*missing, *([] if keepalived else [options.keepalived])])}"
        )
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="pyvrrp-bench-") as name:
        directory = Path(name)
        source = Path(__file__).resolve().parent.parent / "pyvrrp"
        shutil.copytree(source, directory / "lib" / "pyvrrp", ignore=shutil.ignore_patterns("__pycache__"))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        environment["PYTHONPATH"] = os.pathsep.join([str(directory / "lib"), sysconfig.get_paths()["purelib"]])
        python = interpreter(options.python, environment)
        subprocess.run(
            [python, "-m", "compileall", "-q", str(directory / "lib")], env=environment, check=True, capture_output=True
        )
        realtime = subprocess.run(["chrt", "-r", "20", "true"], capture_output=True, check=False).returncode == 0
        yield Setting(python, environment, keepalived, directory, realtime)


def interpreter(wanted: str | None, environment: dict[str, str]) -> str:
    """The interpreter asked for; else the distribution's, built with PGO, if it can run pyvrrp; else our own."""
    for candidate in [wanted] if wanted else ["/usr/bin/python3", sys.executable]:
        done = subprocess.run(
            [candidate, "-m", "pyvrrp", "--version"], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return candidate
    raise SystemExit(f"bench: {wanted or 'no interpreter'} runs pyvrrp: {done.stderr[-300:]}")


def main(questions: Sequence[Question], argv: Sequence[str] | None = None) -> int:
    """Command line of one file, and of all."""
    parser = argparse.ArgumentParser(description="; ".join(question.title for question in questions))
    parser.add_argument("--quick", action="store_true", help="one turn of each, shorter: under 5 minutes for all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the ratios")
    parser.add_argument("--python", metavar="PROGRAM", help="interpreter for pyvrrp (/usr/bin/python3 if it can)")
    parser.add_argument("--keepalived", default="keepalived", metavar="PROGRAM", help="which keepalived")
    rows = run(questions, parser.parse_args(argv))
    return 0 if all(row.complete for row in rows) else 1
