"""How the engine's process is scheduled: what is asked for, what is refused, and what is taken for lateness."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from pyvrrp.engine import hardening
from pyvrrp.engine.commands import Hardening
from pyvrrp.engine.hardening import LATE_US, Scheduling
from pyvrrp.engine.reports import Hastened, KernelFailed, Report


class Kernel:
    """What would have been asked of it; refuses what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.refused: dict[str, int] = {}
        self.reports: list[Report] = []
        monkeypatch.setattr(hardening, "_threads", lambda: [11, 12])
        monkeypatch.setattr("os.sched_getscheduler", lambda _: os.SCHED_OTHER)
        monkeypatch.setattr("os.sched_getparam", lambda _: os.sched_param(0))
        monkeypatch.setattr("os.getpriority", lambda *_: 3)
        monkeypatch.setattr("os.sched_setscheduler", self._scheduler)
        monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
        monkeypatch.setattr("os.sched_setaffinity", lambda thread, cpus: self._call("cpus", thread, *sorted(cpus)))
        monkeypatch.setattr("os.setpriority", lambda _, thread, nice: self._call("nice", thread, nice))
        monkeypatch.setattr(hardening, "_call", self._call)

    def _scheduler(self, thread: int, policy: int, param: os.sched_param) -> None:
        self._call({os.SCHED_RR: "rr", os.SCHED_OTHER: "other"}[policy], thread, param.sched_priority)

    def _call(self, name: str, *arguments: int) -> None:
        self.calls.append((name, *arguments))
        if name in self.refused:
            raise OSError(self.refused[name], name)

    def taken(self) -> list[tuple[object, ...]]:
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


@pytest.fixture
def scheduling(kernel: Kernel) -> Scheduling:
    return Scheduling(kernel.reports.append)


def test_nothing_is_asked_for_nothing(kernel: Kernel, scheduling: Scheduling) -> None:
    scheduling.apply(Hardening())
    assert kernel.taken() == []


def test_what_is_asked_for_is_done_for_all_threads_and_undone(kernel: Kernel, scheduling: Scheduling) -> None:
    told = Hardening(rt_priority=50, nice=-5, no_swap=True)
    scheduling.apply(told)
    assert kernel.taken() == [("nice", 11, -5), ("nice", 12, -5), ("rr", 11, 50), ("rr", 12, 50), ("mlockall", 7)]
    scheduling.apply(told)
    assert kernel.taken() == []
    scheduling.apply(Hardening())
    assert kernel.taken() == [
        ("nice", 11, 3), ("nice", 12, 3), ("other", 11, 0), ("other", 12, 0), ("munlockall",),
    ]  # fmt: skip
    assert kernel.reports == []


def test_the_cpus_that_are_asked_for(kernel: Kernel, scheduling: Scheduling) -> None:
    scheduling.apply(Hardening(cpus=frozenset({1})))
    scheduling.apply(Hardening(cpus=frozenset({1}), nice=1))
    assert kernel.taken() == [("cpus", 11, 1), ("cpus", 12, 1), ("nice", 11, 1), ("nice", 12, 1)]
    scheduling.apply(Hardening())
    assert kernel.taken()[2:] == [("cpus", 11, 0, 1), ("cpus", 12, 0, 1)]


def test_memory_asked_for_later_is_not_locked_under_a_limit(
    kernel: Kernel, scheduling: Scheduling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be refused, and the engine with it."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (8 << 20, 8 << 20))
    monkeypatch.setattr(hardening, "_may_lock", lambda: False)
    scheduling.apply(Hardening(no_swap=True))
    assert kernel.taken() == [("mlockall", 5)]


@pytest.mark.parametrize(
    ("told", "name", "text"),
    [
        (Hardening(rt_priority=50), "rr", "cannot use real-time priority 50: Operation not permitted (EPERM)"),
        (Hardening(nice=-5), "nice", "cannot set the nice value -5: Operation not permitted (EPERM)"),
        (Hardening(cpus=frozenset({0, 9})), "cpus", "cannot run on CPU 0 and 9: Operation not permitted (EPERM)"),
        (Hardening(no_swap=True), "mlockall", "cannot lock the memory: Operation not permitted (EPERM)"),
    ],
)
def test_a_refusal_is_said_once(kernel: Kernel, scheduling: Scheduling, told: Hardening, name: str, text: str) -> None:
    kernel.refused = {name: 1}
    for _ in range(3):
        scheduling.apply(told)
    (report,) = kernel.reports
    assert isinstance(report, KernelFailed)
    assert report.text == f"{text}; serving without"


def test_lateness_takes_priority_step_by_step(kernel: Kernel, scheduling: Scheduling) -> None:
    scheduling.apply(Hardening(max_auto_priority=2))
    scheduling.late(LATE_US - 1)
    assert kernel.taken() == []
    for _ in range(3):
        scheduling.late(LATE_US)
    assert kernel.taken() == [("rr", 11, 1), ("rr", 12, 1), ("rr", 11, 2), ("rr", 12, 2)]
    assert kernel.reports == [Hastened(1, LATE_US), Hastened(2, LATE_US)]
    scheduling.apply(Hardening(max_auto_priority=1))
    assert kernel.taken() == [("other", 11, 0), ("other", 12, 0)]
    scheduling.late(LATE_US)
    assert kernel.taken() == [("rr", 11, 1), ("rr", 12, 1)]


def test_lateness_adds_to_the_priority_there_is(kernel: Kernel, scheduling: Scheduling) -> None:
    scheduling.apply(Hardening(rt_priority=10, max_auto_priority=11))
    kernel.taken()
    scheduling.late(LATE_US)
    scheduling.late(LATE_US)
    assert kernel.taken() == [("rr", 11, 11), ("rr", 12, 11)]


def test_lateness_is_tried_once_where_it_is_refused(kernel: Kernel, scheduling: Scheduling) -> None:
    kernel.refused = {"rr": 1}
    scheduling.apply(Hardening(max_auto_priority=9))
    for _ in range(3):
        scheduling.late(LATE_US)
    assert len(kernel.reports) == 1


def test_without_a_limit_lateness_changes_nothing(kernel: Kernel, scheduling: Scheduling) -> None:
    scheduling.late(10_000_000)
    assert kernel.taken() == []


def in_a_process(code: str) -> str:
    """What a process of its own prints that does it with the real kernel."""
    head = "import os\nfrom pyvrrp.engine.hardening import *\nreports = []\ns = Scheduling(reports.append)\n"
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, check=True)
    return done.stdout


def may(action: Callable[[], object]) -> bool:
    """Whether the kernel lets us, as it does not in many containers."""
    pid = os.fork()
    if not pid:
        try:
            action()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


@pytest.mark.root
def test_the_kernel_schedules_so() -> None:
    if not may(lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(7))):
        pytest.skip("SCHED_RR is not permitted here")
    code = "s.apply(Hardening(rt_priority=7, nice=4))\nprint(os.sched_getscheduler(0) == os.SCHED_RR, "
    code += "os.sched_getparam(0).sched_priority, os.nice(0), reports)\ns.apply(Hardening())\n"
    code += "print(os.sched_getscheduler(0) == os.SCHED_OTHER)"
    assert in_a_process(code) == "True 7 4 []\nTrue\n"


@pytest.mark.root
def test_the_kernel_locks_the_memory() -> None:
    if not may(lambda: ctypes.CDLL(None).mlockall(7) and os._exit(1)):
        pytest.skip("mlockall is not permitted here")
    code = "s.apply(Hardening(no_swap=True))\nlocked = lambda: int(next(l for l in open('/proc/self/status') "
    code += "if l.startswith('VmLck')).split()[1]) > 0\nprint(locked(), reports)\ns.apply(Hardening())\nprint(locked())"
    assert in_a_process(code) == "True []\nFalse\n"
