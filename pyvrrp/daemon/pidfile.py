"""
Pid files as keepalived's: text "PID" and a newline, mode 0644, so that the same scripts and monitors read them.

Whether the daemon runs already is decided by the lock its owner holds on the file. keepalived 2.2.7 holds none; there
it is a live process of that pid that is called keepalived or pyvrrp. Anything else is stale and taken over.

A new file is written aside, locked and then put in place: a reader never sees half of one. The old file is locked
meanwhile, so that of two daemons that start together one wins. As in `runtime.py` a forked child that keeps the
descriptor keeps the lock, and only the process that made the file removes it. Daemonise first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pyvrrp.daemon.locks import is_locked, is_same_file, lock_file, read_pid, refusal
from pyvrrp.daemon.runtime import AlreadyRunning
from pyvrrp.errors import KernelError

_NAMES: Final = frozenset({"keepalived", "keepalived_vrrp", "pyvrrp"})
_ATTEMPTS: Final = 100


class PidFile:
    """
    A pid file of ours, locked; made by `claim`.

    Attributes:
        path: Where it is.
        pid: What it says.
    """

    def __init__(self, path: Path, pid: int, descriptor: int) -> None:
        self.path = path
        self.pid = pid
        self._descriptor = descriptor
        self._process = os.getpid()

    @classmethod
    def claim(cls, path: Path, pid: int | None = None, *, ours: Collection[int] = ()) -> Self:
        """
        Write a pid file.

        Args:
            path: A relative one is made absolute, since a daemon may change its directory.
            pid: What to write, None for this process.
            ours: Pids of this daemon's processes. In a container a stale file often holds one of them again; that
                of this process is always among them.

        Raises:
            AlreadyRunning: Another daemon owns the file.
            KernelError: It cannot be written, or is no plain file.
        """
        path = path.absolute()
        number = os.getpid() if pid is None else pid
        for _ in range(_ATTEMPTS):
            try:
                descriptor = _replace(path, number, {os.getpid(), *ours})
            except OSError as error:
                raise refusal("write pid file", path, error) from error
            if descriptor is not None:
                return cls(path, number, descriptor)
        raise KernelError("write pid file", str(path), errno.EAGAIN, "it is made and removed all the time")

    @property
    def lock(self) -> int:
        """The descriptor that holds the lock: who has it open keeps the file ours."""
        return self._descriptor

    def rewrite(self, pid: int) -> None:
        """
        Put another pid into the file, for an engine that was started again.

        Raises:
            KernelError: It cannot be written, or is no longer ours.
        """
        if not is_same_file(self._descriptor, self.path):
            raise KernelError("write pid file", str(self.path), errno.ESTALE, "somebody else replaced or removed it")
        try:
            descriptor = _write_aside(self.path, pid)
            try:
                _aside(self.path).rename(self.path)
            except OSError:
                os.close(descriptor)
                raise
        except OSError as error:
            raise refusal("write pid file", self.path, error) from error
        os.close(self._descriptor)
        self._descriptor = descriptor
        self.pid = pid

    def release(self) -> None:
        """Remove the file if it is still ours; in a forked child, only close."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):  # at the end of the daemon there is nobody to tell
            if os.getpid() == self._process and is_same_file(self._descriptor, self.path):
                self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def running_pid(path: Path, ours: Collection[int] = ()) -> int | None:
    """
    The pid of the daemon that owns a pid file, None if the file is absent, stale or not to be read.

    Args:
        path: The file.
        ours: Pids that do not count.
    """
    try:
        descriptor = _open(path)
    except (OSError, KernelError):
        return None
    try:
        pid = read_pid(descriptor)
        held = is_locked(descriptor)
    finally:
        os.close(descriptor)
    return pid if pid is not None and (held or (pid not in ours and is_daemon(pid))) else None


def is_daemon(pid: int) -> bool:
    """Whether a live process of that pid is keepalived or pyvrrp, by its name or by what was started."""
    process = Path("/proc", str(pid))
    try:
        status = (process / "stat").read_bytes()
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    # "PID (name) S ...", and the name may hold anything, parentheses too
    name, _, rest = status.partition(b"(")[2].rpartition(b")")
    if rest.split()[:1] in ([b"Z"], [b"X"]):
        return False  # an unreaped corpse runs nothing
    started = [Path(os.fsdecode(word)).name for word in words[:3]]
    if not started[0].startswith("python"):
        del started[1:]  # an editor with the file of that name open is not the daemon
    return not _NAMES.isdisjoint({*started, os.fsdecode(name)})


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise KernelError("write pid file", str(path), errno.EINVAL, "not a plain file")
    return descriptor


def _replace(path: Path, pid: int, ours: Collection[int]) -> int | None:
    """One attempt: the new file, open and locked, or None if another process was quicker with this step."""
    with contextlib.ExitStack() as stack:
        old: int | None = None
        with contextlib.suppress(FileNotFoundError):
            old = _open(path)
        if old is not None:
            stack.callback(os.close, old)
            holder = read_pid(old)
            if not lock_file(old):
                raise AlreadyRunning(path, holder)
            if not is_same_file(old, path):
                return None
            if holder is not None and holder not in ours and is_daemon(holder):
                raise AlreadyRunning(path, holder)
        descriptor = _write_aside(path, pid)
        try:
            if old is None:
                path.hardlink_to(_aside(path))  # unlike a rename this fails if another made the file meanwhile
                _aside(path).unlink()
            else:
                _aside(path).rename(path)
        except OSError as error:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                _aside(path).unlink()
            if isinstance(error, FileExistsError):
                return None
            raise
        return descriptor


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _write_aside(path: Path, pid: int) -> int:
    """A new file beside *path*, locked before it can be found under its name."""
    aside = _aside(path)
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()  # of a process that had our pid and died here
    descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        os.fchmod(descriptor, 0o644)  # whatever the umask: monitors of other users read it
        os.write(descriptor, b"%d\n" % pid)
        lock_file(descriptor)
    except OSError:
        os.close(descriptor)
        aside.unlink()
        raise
    return descriptor
