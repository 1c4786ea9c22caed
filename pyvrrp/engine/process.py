"""
The engine in a process of its own, so that no log line, script or status answer makes an advertisement late.

Forked before control imports anything heavy, and with as little as can be: what it needs, `child.py`, it imports while
control reads the configuration. It ignores the signals that are meant for control.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from typing import TYPE_CHECKING, Final

from pyvrrp.engine.paths import PATHS
from pyvrrp.engine.pipe import Pipe

if TYPE_CHECKING:
    from collections.abc import Sequence

_PR_SET_NAME: Final = 15  # linux/prctl.h
_PR_SET_TIMERSLACK: Final = 29

GIFTS_MAX: Final = 8
"""So many files can be entrusted to it."""

ALIVE: Final = -1
"""Token of a `Sync` that only asks for a sign of life."""

EXIT_CRASHED: Final = 70


def start(name: str) -> tuple[int, socket.socket]:
    """
    Fork the engine; it waits for `entrust`, or ends when the socket is closed before.

    Args:
        name: What its process is called, at most 15 characters.

    Returns:
        Its pid, and control's end of the streams.
    """
    ours, theirs = Pipe.pair()
    gc.freeze()  # what is not looked at by the collector stays shared between the two
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours
    code = EXIT_CRASHED
    try:
        ours.close()
        code = run(theirs, name)
    finally:
        os._exit(code)  # what the fork copied (exit handlers, buffers) is control's affair


def entrust(sock: socket.socket, descriptors: Sequence[int], path: str = "auto") -> None:
    """
    Let a started engine begin: hand it open files to keep.

    Args:
        sock: Control's end of the streams, fresh.
        path: How advertisements are to be received, one of `PATHS`.
        descriptors: Locks of the runtime directory and the pid file: they are held as long as there is an engine.
    """
    try:
        socket.send_fds(sock, [bytes([PATHS.index(path)])], list(descriptors))
    except BrokenPipeError:  # it has ended already, and whoever reads what it said will see that
        return


def run(sock: socket.socket, name: str) -> int:
    """
    Be the engine until told to stop.

    Returns:
        The exit code.
    """
    import ctypes  # noqa: PLC0415  here as below: not before the fork

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    from pyvrrp.engine.child import Child  # noqa: PLC0415

    # Nothing of the engine is closed for its whole life: the system may take the locks back when the process ends.
    return Child(sock).run()
