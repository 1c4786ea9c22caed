"""
What the first process of a container owes to the others: whoever loses its parent becomes its child, and is reaped.

Children of our own are left to those who started them: they want to know how these ended. So the kernel is asked who
has ended without taking it from it (WNOWAIT), and what is ours is looked at again a moment later, for as long as it is
there it may hide others.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Final

AGAIN_S: Final = 0.02
"""Until the next look where a child of ours has ended that nobody has collected yet."""

_BOUND: Final = 256  # at one time; a storm of orphans shall not hold the loop


class Orphans:
    """
    Reaps what is not ours, as long as the loop runs.

    Args:
        ours: Whether a child of that number is somebody's here.
        loop: Its event loop; nobody else may handle SIGCHLD in it.
    """

    def __init__(self, ours: Callable[[int], bool], loop: asyncio.AbstractEventLoop) -> None:
        self._ours = ours
        self._loop = loop
        self._later: asyncio.TimerHandle | None = None
        self._loop.add_signal_handler(signal.SIGCHLD, self.reap)
        self.reap()  # some may have ended before

    def reap(self) -> None:
        """Collect those that have ended."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        for _ in range(_BOUND):
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # there are no children
                return
            if ended is None:
                return
            if self._ours(ended.si_pid):
                break
            os.waitpid(ended.si_pid, os.WNOHANG)
        self._later = self._loop.call_later(AGAIN_S, self.reap)


def adopts() -> bool:
    """Whether orphans become children of this process: it is the first of its process numbers."""
    return os.getpid() == 1
