"""
Carries out what may take long, in order: in the engine's thread, or in one of its own.

The kernel's lock of rtnetlink is one for all network namespaces: while somebody else holds it, for tens or hundreds of
milliseconds, whoever changes an address or lists links waits. Advertisements must go on meanwhile. Only *work* is done
in the other thread; what is made of its result is done in the engine's, in the order of the tasks, when it collects.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

T = TypeVar("T")

INLINE_CHANGES_MAX: Final = 8
"""So many address changes are not worth two hand-overs (0.1 ms), where nobody minds a stall now and then."""

LENIENT_INTERVAL_US: Final = 100_000
"""Where no advertisement interval is shorter, a stall is far from any Master_Down_Interval."""

MOMENT_S: Final = 0.001
"""So long a small task is waited for, lest its end costs another wake-up; no advertisement minds."""

PATIENCE_S: Final = 5.0
"""Whoever ends waits that long for what is in flight, as long as one request of netlink may take."""


class _Task(Generic[T]):
    """Something to be done: *work* (None: nothing) in either thread, then *finish* in the engine's."""

    __slots__ = ("_finish", "_result", "error", "work")

    def __init__(self, work: Callable[[], T] | None, finish: Callable[[T | None, int], None]) -> None:
        self.work = work
        self.error: Exception | None = None
        self._finish = finish
        self._result: T | None = None

    def run(self) -> None:
        """Work; called in the applier's thread."""
        assert self.work is not None
        try:
            self._result = self.work()
        except Exception as error:  # noqa: BLE001  a fault of ours: raised again where it is collected
            self.error = error

    def end(self, now_us: int) -> None:
        """Make something of the result."""
        if self.error is not None:
            raise self.error
        self._finish(self._result, now_us)


class Applier:
    """
    Tasks in order; the thread is started for the first that needs it.

    Readable when something can be collected; without a thread there is nothing to poll.
    """

    def __init__(self, *, threaded: bool = False) -> None:
        """
        Be ready.

        Args:
            threaded: There may be a thread; False does everything inline.
        """
        self._threaded = threaded
        self._lenient = True
        self._likely = False
        self._pending: deque[_Task[object]] = deque()
        self._handed: SimpleQueue[_Task[object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._signal = -1
        self._done = 0  # tasks the thread is through with that are not collected; it takes them in order

    @property
    def busy(self) -> bool:
        """Something is in flight."""
        return bool(self._pending)

    def fileno(self) -> int:
        """Descriptor for the event loop, or -1."""
        return self._signal

    def inline(self, changes: int = 0) -> bool:
        """Whether a task with so many address changes would be done at once, by the caller."""
        if not self._threaded:
            return True
        return not self._pending and self._lenient and changes <= INLINE_CHANGES_MAX

    def expect(self, interval_us: int, changes: int) -> None:
        """
        Say what is to come.

        Args:
            interval_us: The shortest advertisement interval.
            changes: How many addresses may have to be changed at once.
        """
        self._lenient = interval_us >= LENIENT_INTERVAL_US
        self._likely = changes > INLINE_CHANGES_MAX or not self._lenient

    def prepare(self) -> bool:
        """Start the thread if one will be needed: that takes longer than a hand-over. Returns whether it did."""
        return self._threaded and self._likely and self._start()

    def do(
        self, work: Callable[[], T], finish: Callable[[T | None, int], None], now_us: int, *, changes: int = 0
    ) -> None:
        """
        Do something that may take long, after all that was given before.

        Args:
            work: Called in either thread.
            finish: Takes its result and the time; called in the engine's thread, at once or in `collect`. No result
                (None) where it did not come in time.
            now_us: Monotonic time.
            changes: How many addresses it changes.
        """
        if self.inline(changes):
            finish(work(), now_us)
            return
        alone = not self._pending
        task = _Task(work, finish)
        self._pending.append(task)  # type: ignore[arg-type]  # what comes out of work goes into its own finish
        self._handed.put(task)  # type: ignore[arg-type]
        self._start()
        if alone and 0 < changes <= INLINE_CHANGES_MAX:
            # The thread gets the interpreter at once; without a stall it is through in a fraction of this time.
            select.select((self._signal,), (), (), MOMENT_S)
            self.collect(now_us)

    def then(self, finish: Callable[[int], None], now_us: int) -> None:
        """Do something in the engine's thread once all that was given before is done: at once, or in `collect`."""
        if self._pending:
            self._pending.append(_Task(None, lambda _, then_us: finish(then_us)))
        else:
            finish(now_us)

    def collect(self, now_us: int) -> None:
        """
        Finish what is done.

        Raises:
            Exception: What the work raised.
        """
        if not self._pending:
            return
        with contextlib.suppress(BlockingIOError):
            self._done += os.eventfd_read(self._signal)
        while self._pending:
            if self._pending[0].work is not None:
                if not self._done:
                    return
                self._done -= 1
            self._pending.popleft().end(now_us)

    def wait(self, clock: Callable[[], int]) -> bool:
        """
        Wait until all is done and finish it; `PATIENCE_S` at most, then finish what is left without a result.

        Returns:
            All was done.
        """
        if not self._pending:
            return True
        poll = select.poll()
        poll.register(self._signal, select.POLLIN)
        end = time.monotonic() + PATIENCE_S
        while self._pending and (left_s := end - time.monotonic()) > 0:
            poll.poll(left_s * 1e3)
            self.collect(clock())
        complete = not self._pending
        while self._pending:
            self._pending.popleft().end(clock())
        self._threaded = complete  # else its end is not waited for once more
        return complete

    def close(self) -> None:
        """End the thread, when it is through with what it was given; closing twice is harmless."""
        patience_s = PATIENCE_S if self._threaded else 0
        self._threaded = False
        self._pending.clear()
        if self._thread is not None:
            self._handed.put(None)
            self._thread.join(patience_s)
            if self._thread.is_alive():
                return  # it will signal yet, so the descriptor must stay its own
            self._thread = None
        if self._signal >= 0:
            os.close(self._signal)
            self._signal = -1

    def _start(self) -> bool:
        if self._thread is not None:
            return False
        self._signal = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._work, name="pyvrrp-applier", daemon=True)
        self._thread.start()
        return True

    def _work(self) -> None:
        while (task := self._handed.get()) is not None:
            task.run()
            os.eventfd_write(self._signal, 1)
