"""
Where dump files are, and how they are written there: a directory that is shared with everybody, so with care.

What has the name already is never opened, followed or written to. A new file of our own is made beside it and put in
its place whole. What belongs to another user, or is no file, stays, and the dump is refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pyvrrp.config.model import GlobalSettings
from pyvrrp.errors import KernelError

SHARED: Final = "/tmp"  # noqa: S108  keepalived's own place

UMASK: Final = 0o177
"""keepalived's own: files are for the daemon's user alone."""

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE: Final = "write dump file"


def directory(environment: Mapping[str, str]) -> Path:
    """`TMPDIR` if it is absolute, else /tmp."""
    said = environment.get("TMPDIR", "")
    return Path(said) if said.startswith("/") else Path(SHARED)


def data_file(settings: GlobalSettings, *, parent: bool = False) -> str:
    """
    What `keepalived.data` is called: `state_dump_file`, or with `data_use_instance` by the names of the daemon.

    Args:
        settings: The global definitions.
        parent: The file of keepalived's parent.
    """
    files = settings.files
    mark = "_parent" if parent else ""
    if files.state_dump is not None:
        path = Path(files.state_dump)
        return str(path.with_name(f"{path.stem}{mark}{path.suffix}"))
    names = [settings.net_namespace, settings.instance_name] if files.use_instance else []
    return "".join(["keepalived", mark, *(f".{name}" for name in names if name), ".data"])


def write(path: Path, text: str, umask: int) -> None:
    """
    Put a file in place.

    Args:
        path: Absolute.
        text: Octets that are no UTF-8 as surrogates.
        umask: Rights that it shall not give.

    Raises:
        KernelError: It cannot be written, or something that is not ours has its name.
    """
    try:
        _refuse_others(path)
        _replace(path, text.encode("utf-8", "surrogateescape"), 0o666 & ~umask)
    except OSError as error:
        raise KernelError(_WRITE, str(path), error.errno or errno.EIO) from error


def _refuse_others(path: Path) -> None:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if there.st_uid != os.geteuid():
        raise KernelError(_WRITE, str(path), errno.EPERM, f"a file of uid {there.st_uid} is in its place")
    if not (stat.S_ISREG(there.st_mode) or stat.S_ISLNK(there.st_mode)):
        raise KernelError(_WRITE, str(path), errno.EEXIST, "what is in its place is no file")


def _replace(path: Path, octets: bytes, mode: int) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()  # of a process that had our pid and died here
    descriptor = os.open(aside, _NEW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # whatever our own umask
            file.write(octets)
        aside.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
