"""
Runs questions: both programs in turns (ABBA), noise noted and noisy runs repeated, a table and JSON at the end.

A leg is one run of one program. Load by others is what the machine was busy with, less this process tree. With
BENCH_DEBUG in the environment every leg is told, and where one failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

from bench.daemons import PATHS, Program, Setting, adopt_orphans, busy_s, tree_cpu_s
from bench.plot import plot
from bench.rows import Metric, Row, line, markdown, table

NOISE_CORES: Final = 0.25
"""A leg with more load by others than this is repeated."""

REPEATS: Final = 2
"""So many legs of a case may be repeated for noise, and as many for failure, where the time allows."""

LIMIT_S: Final = {True: 285.0, False: 1750.0}
"""For all questions; what is over of it is for repeats."""

Samples = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Case:
    """
    One comparison.

    Attributes:
        metrics: Rows that it fills.
        measure: One leg.
        leg_s: What a leg takes, about, with --quick and without; its budget follows from it.
        quick: Whether it is part of --quick.
        turns: How often each program runs, with --quick and without; 2 is ABBA, 4 that twice.
        paths: pyvrrp's receive paths that are compared each for itself, and what is wanted of each where a metric does
            not say; empty for the one of the command line.
    """

    metrics: Sequence[Metric]
    measure: Callable[[Setting, Program, bool], Samples]
    leg_s: tuple[float, float]
    quick: bool = True
    turns: tuple[int, int] = (2, 4)
    paths: Mapping[str, str] = field(default_factory=dict)

    def budget_s(self, *, quick: bool) -> float:
        if quick and not self.quick:
            return 0.0
        at = 0 if quick else 1
        return self.leg_s[at] * self.turns[at] * (1 + max(1, len(self.paths)))


@dataclass(frozen=True)
class Question:
    """Cases of one file."""

    title: str
    cases: Sequence[Case]

    def budget_s(self, *, quick: bool) -> float:
        return sum(case.budget_s(quick=quick) for case in self.cases)


class Entrant(NamedTuple):
    """Who runs in a leg."""

    program: Program
    path: str | None = None

    def __str__(self) -> str:
        return self.program.value + (f" ({self.path})" if self.path else "")


def run_case(question: str, case: Case, setting: Setting, *, quick: bool, end: float) -> list[Row]:
    """All legs of a case and what repeats there is time for until *end*; each program runs once in any case."""
    paths: list[str | None] = [path for path in case.paths if setting.path in (None, path)] or [None]
    rows = [
        Row(question, metric, path, metric.wanted or case.paths.get(path or "", ""))
        for path in paths
        for metric in case.metrics
    ]
    entrants = [Entrant(Program.KEEPALIVED), *(Entrant(Program.PYVRRP, path) for path in paths)]
    todo = [entrant for turn in range(case.turns[0 if quick else 1]) for entrant in entrants[:: -1 if turn % 2 else 1]]
    leg_s = case.leg_s[0 if quick else 1]
    noise_left = failures_left = REPEATS
    done = dict.fromkeys(entrants, 0)
    while todo:
        entrant = todo.pop(0)
        if time.monotonic() > end and min(done.values()):
            break
        # keepalived's figures stand in the rows of all paths.
        filled = [row for row in rows if entrant.program is Program.KEEPALIVED or row.path == entrant.path]
        began, busy, own = time.monotonic(), busy_s(), tree_cpu_s(os.getpid())
        try:
            found = case.measure(replace(setting, path=entrant.path or setting.path), entrant.program, quick)
        except Exception as error:  # noqa: BLE001  one leg must not take the other figures along; it is said and counted
            say(f"    {entrant}: {type(error).__name__}: {error}")
            if os.environ.get("BENCH_DEBUG"):
                traceback.print_exc()
            for row in filled:
                row.failed += 1
            if failures_left and time.monotonic() + leg_s * (len(todo) + 1) < end:
                failures_left -= 1
                todo.insert(0, entrant)
            else:
                done[entrant] += 1  # it had its turn
            continue
        took_s = time.monotonic() - began
        load = (busy_s() - busy - tree_cpu_s(os.getpid()) + own) / took_s
        noisy = load > NOISE_CORES
        if os.environ.get("BENCH_DEBUG"):
            say(f"    {entrant}: {took_s:.1f} s of {leg_s:g}, load by others {load:.2f} cores")
        for row in filled:
            row.load = max(row.load, load)
            row.noisy += noisy
            row.legs += 1
        if noisy and noise_left and time.monotonic() + leg_s * (len(todo) + 1) < end:
            noise_left -= 1
            todo.insert(0, entrant)
            continue
        done[entrant] += 1
        for row in filled:
            row.samples[entrant.program].extend(found.get(row.metric.key, ()))
    return rows


def run(questions: Sequence[Question], options: argparse.Namespace) -> list[Row]:
    """All questions in order; what was measured is written down even if somebody ends it early."""
    rows: list[Row] = []
    began = time.monotonic()
    later_s = sum(question.budget_s(quick=options.quick) for question in questions)
    # A single question may take half as long again for repeats, all of them together what the limit says.
    end = began + min(LIMIT_S[options.quick], later_s * 1.5)
    with prepared(options) as setting:
        described = about(setting)
        say(f"{described}\nBudget of all: {later_s:.0f} s.")
        try:
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
        finally:
            say(f"\n{described}\nAll of it took {time.monotonic() - began:.0f} s.\n")
            write_down(rows, described, options)
    return rows


def write_down(rows: Sequence[Row], described: str, options: argparse.Namespace) -> None:
    print(table(rows))
    content = [row.as_json() for row in rows]
    if options.json:
        whole = {"about": described, "quick": options.quick, "rows": content}
        options.json.write_text(json.dumps(whole, indent=1) + "\n")
    if options.plot:
        options.plot.write_text(plot(content, described))
    if options.markdown:
        name = Path(sys.argv[0]).stem
        command = f"python -m bench{'' if name == '__main__' else f'.{name}'}{' --quick' if options.quick else ''}"
        options.markdown.write_text(markdown(rows, described, command))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def about(setting: Setting) -> str:
    """Machine, versions, interpreter and date."""
    described = subprocess.run(
        [setting.python, "-c", _DESCRIBE], env=setting.environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    version = subprocess.run([setting.keepalived, "--version"], capture_output=True, text=True, check=False)
    name = (version.stderr or version.stdout).split(" (", 1)[0].strip()
    classes = (
        "SCHED_RR for both where a row says RR" if setting.realtime else "no SCHED_RR permitted: all as SCHED_OTHER"
    )
    path = f" with --offload {setting.path}" if setting.path else ""
    return (
        f"{name} against pyvrrp{path} on {described} ({setting.interpreter}); Linux {platform.release()}, "
        f"{os.cpu_count()} cores; {classes}; {datetime.now(UTC):%Y-%m-%d}."
    )


_DESCRIBE: Final = (
    "import platform, sys, sysconfig\n"
    "pgo = '--enable-optimizations' in (sysconfig.get_config_var('CONFIG_ARGS') or '')\n"
    "build = 'the distribution' if sys.prefix == '/usr' else 'with PGO' if pgo else 'without PGO'\n"
    "print(platform.python_implementation(), platform.python_version() + ', built', \n"
    "      'by ' + build if build.startswith('the') else build)"
)


def _end(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def prepared(options: argparse.Namespace) -> Iterator[Setting]:
    """
    A directory with a compiled copy of pyvrrp, so that the tree may change meanwhile, and an interpreter for it.

    SIGTERM and SIGHUP end like an exception from here on, so that daemons and directory go.

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
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
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
        own = unshared(python, environment, directory)
        yield Setting(own, python, environment, keepalived, directory, realtime, options.offload)


def interpreter(wanted: str | None, environment: dict[str, str]) -> str:
    """The interpreter asked for; else the distribution's, built with PGO, if it can run pyvrrp; else our own."""
    for candidate in [wanted] if wanted else ["/usr/bin/python3", sys.executable]:
        done = subprocess.run(
            [candidate, "-m", "pyvrrp", "--version"], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return candidate
    raise SystemExit(f"bench: {wanted or 'no interpreter'} runs pyvrrp: {done.stderr[-300:]}")


def unshared(python: str, environment: dict[str, str], directory: Path) -> str:
    """
    The same program as a file of its own: proportional memory would be divided among all that run the interpreter,
    bench and its generators included, and come out too small. Where the copy does not find its library, the original.
    """

    def told(program: str) -> str:
        ask = [program, "-c", "import pyvrrp.cli, sys; print(sys.version, sys.prefix, sys.base_prefix)"]
        return subprocess.run(ask, env=environment, capture_output=True, text=True, check=False).stdout

    real = subprocess.run(
        [python, "-c", "import os, sys; print(os.path.realpath(sys.executable))"],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    copy = shutil.copy2(real, directory / Path(real).name)
    if told(real) and told(str(copy)) == told(real):
        return str(copy)
    say(f"{python} cannot be copied: its memory is shared with other programs that run it, and looks smaller.")
    return python


def arguments(description: str) -> argparse.ArgumentParser:
    """What all command lines here have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples")
    parser.add_argument("--python", metavar="PROGRAM", help="interpreter for pyvrrp (/usr/bin/python3 if it can)")
    parser.add_argument("--keepalived", default="keepalived", metavar="PROGRAM", help="which keepalived")
    parser.add_argument(
        "--offload", choices=PATHS, help="pyvrrp's receive path (its own choice; rows about the paths take all of them)"
    )
    return parser


def main(questions: Sequence[Question], argv: Sequence[str] | None = None) -> int:
    """Command line of one file, and of all."""
    parser = arguments("; ".join(question.title for question in questions))
    parser.add_argument("--quick", action="store_true", help="one turn of each, shorter: under 5 minutes for all")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the ratios")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="write the table for README")
    rows = run(questions, parser.parse_args(argv))
    return 0 if all(row.complete for row in rows) else 1
