"""
Going into the background as daemons do, with a starting process that waits until the daemon serves.

Three processes, for as long as the start takes:

    starter   what the shell, systemd (Type=forking), neutron or octavia started: waits for the leader, ends as it does
    leader    of the new session: waits for the daemon's word on a pipe, or for its death
    daemon    no session leader, so it can never get a terminal; in /, with /dev/null for input, output and errors

When the daemon reports `ready`, with its pid files written, starter and leader end with 0. When it reports `failed`
they print why on the errors of the starter and end with its code; when it ends without a word, with its exit status,
or 128 and the number of the signal. Input, output and errors are let go at once, so that whoever reads the starter's
output to its end does not wait for the daemon's.

Fork copies one thread: this comes before threads and event loops.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final, NoReturn

from pyvrrp.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

SUPERVISED_SIGNALS: Final = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    | {signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN + 2, signal.SIGRTMAX - 1}  # dump files: `dumps/dumper.py`
)
"""What the daemon is told by signals; blocked while nobody listens: none may kill it or get lost."""

_READY: Final = b"\0"
_FAILED: Final = b"\1"
_MESSAGE_LIMIT: Final = 4000  # with its head within PIPE_BUF: one write, whole or not at all


def reset_signals(blocked: Collection[int] = ()) -> None:
    """
    Undo what our own parent left to us and children would inherit: blocked and ignored signals.

    For a daemon's start, before it installs handlers. With SIGCHLD ignored no child's exit status could be learnt.

    Args:
        blocked: Are blocked from now on, without a moment in which one that has come already would be lost.
    """
    for number in signal.valid_signals():
        # Python ignores these two itself, and gives them back to children by itself.
        if number not in {signal.SIGPIPE, signal.SIGXFSZ} and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class Readiness:
    """
    The daemon's word to its starter: `ready` or `failed`, once; what comes later is ignored.

    Without a descriptor (a daemon in the foreground) nothing happens.
    """

    def __init__(self, descriptor: int = -1) -> None:
        self._descriptor = descriptor

    def ready(self) -> None:
        """The daemon serves and its pid files are written: the starter ends with 0."""
        self._say(_READY)

    def failed(self, code: int, message: str = "") -> None:
        """The daemon cannot start: the starter prints *message* and ends with *code*."""
        text = message.encode(errors="backslashreplace")[:_MESSAGE_LIMIT]
        self._say(_FAILED + bytes([code & 0xFF]) + text)

    def close(self) -> None:
        """Say nothing; the starter waits for the end of this process and takes its status."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _say(self, octets: bytes) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # nobody waits any more
                os.write(self._descriptor, octets)
            self.close()


def daemonise(*, directory: str = "/", umask: int | None = None) -> Readiness:
    """
    Go into the background; only the daemon returns from this.

    Args:
        directory: Where the daemon goes, so that it keeps no file system busy; make relative paths absolute before.
        umask: Its umask, None to keep that of the starter.

    Returns:
        How it says that it serves. Children it forks do not keep the starter waiting, nor do programs it runs.

    Raises:
        UsageError: There are threads, or an event loop runs.
    """
    if threading.active_count() > 1:
        raise UsageError("daemonise comes before threads: fork would lose them")
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:  # noqa: SLF001  the public one raises instead
        raise UsageError("daemonise comes before the event loop: starter and daemon would share it")
    occupy_standard_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):  # closed by whoever started us
                stream.flush()  # or it would come twice
    # An interrupted starter ends without a traceback; the daemon gets its handler back below.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)
    leader = os.fork()
    if leader:
        _end_as(leader)
    os.setsid()
    reading, writing = os.pipe()
    daemon = os.fork()
    if daemon:
        os.close(writing)
        _wait_for_word(reading, daemon)
    os.close(reading)
    if interrupt is not None:
        signal.signal(signal.SIGINT, interrupt)
    os.chdir(directory)
    if umask is not None:
        os.umask(umask)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    readiness = Readiness(writing)
    os.register_at_fork(after_in_child=readiness.close)
    return readiness


def occupy_standard_descriptors() -> None:
    """Started with some of 0, 1 and 2 closed, a pipe could get their numbers and be overwritten."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _end_as(child: int) -> NoReturn:
    """Wait for a child and end as it ends, running no atexit functions: those are the daemon's."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def _wait_for_word(reading: int, daemon: int) -> NoReturn:
    word = os.read(reading, _MESSAGE_LIMIT + 2)
    if word[:1] == _READY:
        os._exit(0)
    if word[:1] != _FAILED:
        _end_as(daemon)
    with contextlib.suppress(OSError):
        if len(word) > 2:
            os.write(2, word[2:].rstrip(b"\n") + b"\n")
    os._exit(word[1])
