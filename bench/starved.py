"""
Two busy loops on each core: does the backup keep faith in a master that lives?

    python -m bench.starved

Both routers run the same program, in the ordinary scheduling class, beside loops of the same priority. Any
advertisement of the backup is a false failover, because the master is never stopped; the captures at both ports tell.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from types import TracebackType
from typing import Final, Self

from bench.daemons import Daemon, Plan, Program, Setting
from bench.harness import Case, Question, Samples, main
from bench.lan import Lan, Ring, Seen
from bench.rows import Metric

LOOPS_A_CORE: Final = 2
SECONDS: Final = (6.0, 60.0)
"""With --quick and without."""

# It ends by itself when nobody is left who would end it, or after five minutes.
_LOOP: Final = (
    "import os, time\nparent, end = os.getppid(), time.monotonic() + 300\n"
    "while os.getppid() == parent and time.monotonic() < end:\n    for _ in range(100000): pass\n"
)


class BusyLoops:
    """Processes that do nothing as fast as they can, so many on each core, while it is entered."""

    def __init__(self) -> None:
        self._loops: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            for core in sorted(os.sched_getaffinity(0)):
                for _ in range(LOOPS_A_CORE):
                    loop = subprocess.Popen([sys.executable, "-I", "-S", "-c", _LOOP])
                    self._loops.append(loop)
                    os.sched_setaffinity(loop.pid, {core})
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for loop in self._loops:
            loop.kill()
        for loop in self._loops:
            loop.wait()


def measure(interval_us: int, setting: Setting, program: Program, quick: bool) -> Samples:
    plan = Plan(interval_us=interval_us)
    seconds = SECONDS[0 if quick else 1]
    frames = int(2 * (seconds + 5) * 1e6 / interval_us) + 4096
    with (
        Lan() as lan,
        Ring(lan, "r1", frames=frames) as first,
        Ring(lan, "r2", frames=frames) as second,
        Daemon(setting, lan, "r1", program, plan.configuration({1: 200})) as master,
        Daemon(setting, lan, "r2", program, plan.configuration()) as backup,
    ):
        master.wait_joined()
        backup.wait_joined()
        time.sleep(plan.deadline_us / 1e6 + 0.5)
        settled = [item for item in first.seen() if item.vrid]
        if not settled:
            raise RuntimeError("the better router is no master before the loops start")
        second.seen()
        with BusyLoops():
            time.sleep(seconds)
        for port, daemon in (("r1", master), ("r2", backup)):
            if daemon.process.poll() is not None:
                raise RuntimeError(f"the daemon at {port} ended")
        from_us, until_us = settled[-1].at_us, time.time_ns() / 1e3
        sent, intruding = first.seen(), [item for item in second.seen() if item.vrid and item.priority]
    return {
        "false": [len(intruding)],
        "changes": [changes(sent, intruding)],
        "gap": [worst_gap_us([from_us, *(item.at_us for item in sent if item.vrid), until_us]) / 1000],
    }


def changes(master: Sequence[Seen], backup: Sequence[Seen]) -> int:
    """How often the backup began to speak: its advertisements that come after one of the master, or first of all."""
    order = sorted(
        [(item.at_us, False) for item in master if item.vrid and item.priority]
        + [(item.at_us, True) for item in backup]
    )
    return sum(late and not early for (_, early), (_, late) in pairwise([(0.0, False), *order]))


def worst_gap_us(times_us: Sequence[float]) -> float:
    """The longest silence, that at the ends included."""
    return max(late - early for early, late in pairwise(times_us))


def case(interval_us: int) -> Case:
    name = f"two busy loops a core, {interval_us // 1000} ms"
    return Case(
        (
            Metric("false", f"{name}: advertisements of the backup", "", "0", 0),
            Metric("changes", f"{name}: false failovers", "", "0", 0),
            Metric("gap", f"{name}: the master's longest silence", "ms", "-", 1),
        ),
        partial(measure, interval_us),
        (SECONDS[0] + 3, SECONDS[1] + 3),
        quick=interval_us < 50_000,
        turns=(1, 1),
    )


QUESTION = Question("Starved of CPU", (case(100_000), case(10_000)))

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
