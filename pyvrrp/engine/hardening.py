"""
How the engine's process is scheduled and kept in memory: what `Hardening` asks for, as far as the kernel permits it.

A refusal is no reason not to serve: it is reported, once for what is asked. All threads of the process are treated
alike; programs that control starts are not, they are no children of the engine.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from typing import TYPE_CHECKING, Final

from pyvrrp.engine.commands import Hardening
from pyvrrp.engine.reports import Hastened, KernelFailed, Report
from pyvrrp.net import rights

if TYPE_CHECKING:
    from collections.abc import Callable

LATE_US: Final = 10_000
"""A wake-up that comes that much too late would have come in time with another priority."""

_MCL_CURRENT: Final = 1  # asm-generic/mman.h
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4  # what is never touched needs no memory
_CAP_IPC_LOCK: Final = 14  # linux/capability.h


class Scheduling:
    """
    What this process was started with, and what it has been told since.

    Args:
        report: Hears of refusals, and of priority taken for lateness.
    """

    def __init__(self, report: Callable[[Report], None]) -> None:
        self._report = report
        self._policy, self._priority = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
        self._nice = os.getpriority(os.PRIO_PROCESS, 0)
        self._cpus = frozenset(os.sched_getaffinity(0))
        self._told = Hardening()
        self._taken = 0

    def apply(self, told: Hardening) -> None:
        """Do what is asked and undo what is asked no more; what has not changed is not tried again."""
        before, self._told = self._told, told
        if told.nice != before.nice:
            self._try("set the nice value", lambda: self._set_nice(told.nice or self._nice), told.nice)
        if told.rt_priority != before.rt_priority or told.max_auto_priority < self._taken:
            self._taken = 0
            self._try("use real-time priority", lambda: self._set_priority(told.rt_priority), told.rt_priority or 0)
        if told.cpus != before.cpus:
            names = " and ".join(map(str, sorted(told.cpus)))
            self._try(f"run on CPU {names}" if names else "run on all CPUs", lambda: self._set_cpus(told.cpus), 1)
        if told.no_swap != before.no_swap:
            self._try("lock the memory", _lock if told.no_swap else _unlock, 1)

    def late(self, late_us: int) -> None:
        """A wake-up came that much too late: take one more of the priority that may be taken for it."""
        now = self._taken or self._told.rt_priority or self._own_priority()
        if late_us < LATE_US or now >= self._told.max_auto_priority:
            return
        wanted = now + 1
        if self._try("take real-time priority", lambda: self._set_priority(wanted), wanted):
            self._taken = wanted
            self._report(Hastened(wanted, late_us))
        else:
            self._taken = self._told.max_auto_priority  # it would be refused each time

    def _own_priority(self) -> int:
        return self._priority if self._policy in {os.SCHED_RR, os.SCHED_FIFO} else 0

    def _try(self, operation: str, work: Callable[[], None], value: int) -> bool:
        try:
            work()
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "")
            why = f"{os.strerror(error.errno or 0)} ({name})"
            what = f" {value}" if value not in {0, 1} or "priority" in operation else ""
            self._report(KernelFailed(None, operation, f"cannot {operation}{what}: {why}; serving without"))
            return False
        return True

    def _set_priority(self, priority: int | None) -> None:
        policy, number = (self._policy, self._priority) if priority is None else (os.SCHED_RR, priority)
        for thread in _threads():
            os.sched_setscheduler(thread, policy, os.sched_param(number))

    def _set_cpus(self, cpus: frozenset[int]) -> None:
        for thread in _threads():
            os.sched_setaffinity(thread, cpus or self._cpus)

    def _set_nice(self, nice: int) -> None:
        for thread in _threads():
            os.setpriority(os.PRIO_PROCESS, thread, nice)


def _threads() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/task")]  # noqa: PTH208  pathlib takes milliseconds to import


def _lock() -> None:
    flags = _MCL_CURRENT | _MCL_ONFAULT
    # Under a limit memory that is asked for later would be refused, and the engine with it.
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY or _may_lock():
        flags |= _MCL_FUTURE
    _call("mlockall", flags)


def _unlock() -> None:
    _call("munlockall")


def _may_lock() -> bool:
    return bool(rights.effective() >> _CAP_IPC_LOCK & 1)


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)
