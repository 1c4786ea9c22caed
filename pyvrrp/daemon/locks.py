"""
Where daemons keep their directories, and which of them live: the locks that say so.

`runtime.py` has what else is in such a directory. Probes look here every few seconds, so nothing heavy is imported, not
even `typing` and `dataclasses`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from pathlib import Path

from pyvrrp.errors import KernelError, NotPermitted

TYPE_CHECKING = False  # as the `typing` module has it
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final, TypeVar

    T = TypeVar("T")

LOCK_FILE: Final = "lock"
SOCKET_FILE: Final = "control.sock"

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")  # one component, short: sun_path has 108 octets
PATIENCE: Final = 500
"""Attempts, a millisecond each, while others merely probe a lock."""

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO in the place of a file must not stop us


def refusal(operation: str, path: Path | str, error: OSError) -> KernelError:
    """The `KernelError` for a refused system call on a file."""
    number = error.errno or errno.EIO
    kind = NotPermitted if number in {errno.EACCES, errno.EPERM} else KernelError
    return kind(operation, os.fspath(path), number)


def base_directory(
    argument: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    uid: int | None = None,
    run: Path = Path("/run"),
) -> Path:
    """
    Where the directories of daemons are; daemon and command line come to the same answer.

    Args:
        argument: `--runtime-dir`; a relative one is made absolute, since a daemon changes its directory.
        environ: Environment; PYVRRP_RUNTIME_DIR and XDG_RUNTIME_DIR count.
        uid: Effective user.
        run: Directory for what lives until the next boot; root skips it where it is read-only, as in some pods.
    """
    environ = os.environ if environ is None else environ
    uid = os.geteuid() if uid is None else uid
    chosen = argument or environ.get("PYVRRP_RUNTIME_DIR")
    if chosen:
        return Path(chosen).absolute()
    if uid == 0:
        ours = run / "pyvrrp"
        if os.access(ours if ours.exists() else run, os.W_OK | os.X_OK):
            return ours
    session = environ.get("XDG_RUNTIME_DIR", "")
    if session.startswith("/") and os.access(session, os.W_OK | os.X_OK):
        return Path(session) / "pyvrrp"
    return Path(f"/tmp/pyvrrp-{uid}")  # noqa: S108  owner is checked and no symlink followed, see `enter`


def namespace_inode() -> int:
    """
    The inode that names the network namespace of this thread.

    Raises:
        KernelError: /proc is not there.
    """
    path = Path("/proc/thread-self/ns/net")
    try:
        return path.stat().st_ino
    except OSError as error:
        raise refusal("look at", path, error) from error


def lock_file(descriptor: int) -> bool:
    """
    Take the exclusive lock of an open file.

    Returns:
        False if another process holds it; one that merely asks with `is_locked` is waited out.
    """
    for _ in range(PATIENCE):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if is_locked(descriptor):
            return False
        time.sleep(0.001)
    return False


def is_locked(descriptor: int) -> bool:
    """Whether another process holds the exclusive lock; the open file must hold none itself."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def read_pid(descriptor: int) -> int | None:
    """The pid a lock or pid file holds, None if there is none to be read."""
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() and len(text) <= 10 and int(text) > 0 else None


def is_same_file(descriptor: int, name: str | Path, directory: int | None = None) -> bool:
    """Whether *name* still leads to the open file."""
    try:
        there = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def survey(
    base: Path, namespace: int | None, look: Callable[[Path, int, int, int], T]
) -> tuple[tuple[T, ...], tuple[Path, ...]]:
    """
    Look at the live daemons below *base*, in name order.

    Args:
        base: See `base_directory`; one that is absent holds none.
        namespace: Inode of one network namespace, None for all.
        look: Makes of a daemon what the caller wants: its directory's path, the inode, the directory's descriptor and
            the lock's, both open while it looks.

    Returns:
        What *look* made, and the directories that could not be looked into.

    Raises:
        KernelError: *base* itself may not be looked into.
    """
    found: list[T] = []
    unreadable: list[Path] = []
    try:
        inodes = sorted(int(entry.name) for entry in base.iterdir() if entry.name.isascii() and entry.name.isdigit())
    except (FileNotFoundError, NotADirectoryError):
        return (), ()
    except OSError as error:
        raise refusal("look into", base, error) from error
    for inode in inodes if namespace is None else [namespace]:
        try:
            middle = enter(base / str(inode))
        except KernelError as error:
            if error.errno != errno.ENOENT:
                unreadable.append(base / str(inode))
            continue
        try:
            entries = os.listdir(middle)  # noqa: PTH208  of the directory that was checked, not of its path
            for name in sorted(entry for entry in entries if NAME.fullmatch(entry)):
                path = base / str(inode) / name
                try:
                    found += _look(path, inode, middle, look)
                except KernelError:
                    unreadable.append(path)
        finally:
            os.close(middle)
    return tuple(found), tuple(unreadable)


def _look(path: Path, inode: int, parent: int, look: Callable[[Path, int, int, int], T]) -> list[T]:
    """What is made of the daemon of that directory, nothing if it is dead."""
    with contextlib.ExitStack() as stack:
        try:
            directory = enter(path, parent=parent)
            stack.callback(os.close, directory)
            lock = open_file(path / LOCK_FILE, os.O_RDONLY, directory)
        except KernelError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR}:
                return []
            raise
        stack.callback(os.close, lock)
        return [look(path, inode, directory, lock)] if is_locked(lock) else []


def enter(path: Path, *, parent: int | None = None, create: bool = False, private: bool = True) -> int:
    """
    Open a directory that is ours or root's, following no symlink in its last component.

    A private one nobody else may write into. The base is not: it may be a volume that everybody can write to.

    Raises:
        KernelError: It cannot be opened, or is not safe to use.
    """
    name: Path | str = path if parent is None else path.name
    try:
        made = False
        if create:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=parent)
                made = True
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        detail = "a symbolic link is not followed" if error.errno in {errno.ELOOP, errno.ENOTDIR} else ""
        raised = refusal("open directory", path, error)
        raise type(raised)(raised.operation, raised.subject, raised.errno, detail) from error
    facts = os.fstat(descriptor)
    if facts.st_uid not in {0, os.geteuid()}:
        os.close(descriptor)
        raise NotPermitted(
            "use directory", str(path), errno.EPERM, f"it belongs to uid {facts.st_uid}, not to us: --runtime-dir"
        )
    if made:
        os.fchmod(descriptor, 0o700)  # the umask may have taken the x away (keepalived runs with 0177)
    elif private and facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        os.close(descriptor)
        raise NotPermitted(
            "use directory", str(path), errno.EPERM, f"others may write to it (mode {facts.st_mode & 0o7777:04o})"
        )
    return descriptor


def open_file(path: Path, flags: int, directory: int) -> int:
    """
    Open a plain file of a directory of ours.

    Raises:
        KernelError: It cannot be opened, or is something else.
    """
    try:
        descriptor = os.open(path.name, flags | _FILE, 0o600, dir_fd=directory)
    except OSError as error:
        raise refusal("open", path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise KernelError("open", str(path), errno.EINVAL, "not a plain file")
    return descriptor
