"""The file that the pod writes: the effective configuration, for people and for tools that grep in it."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Final

_MODE: Final = 0o644  # as the old image; what is secret in it the deployment says, too
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not stop us


def write_configuration(path: str, text: str) -> str:
    """
    Write the file in one step, so that no reader sees half of it.

    Where it is mounted alone, and so cannot be replaced, it is written over. Whoever else may write to the directory
    can keep us from replacing it, too: so only a plain file without another name is.

    Args:
        path: Absolute; its directory is made if need be.
        text: Octets that are no UTF-8 as surrogates.

    Returns:
        Why it could not be written, or nothing.
    """
    octets = text.encode("utf-8", "surrogateescape")
    aside = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)  # noqa: PTH103, PTH120  pathlib takes milliseconds
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)  # noqa: PTH108  of a predecessor with our pid, killed while it wrote
        _write(os.open(aside, _NEW, _MODE), octets)
        os.replace(aside, path)  # noqa: PTH105  as above
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(aside)  # noqa: PTH108
        return f"{path} cannot be written: {error.strerror}" if not _write_over(path, octets) else ""
    return ""


def _write_over(path: str, octets: bytes) -> bool:
    """Write into the file that is there; answers whether that went well."""
    try:
        descriptor = os.open(path, _OLD)
    except OSError:
        return False
    try:
        there = os.fstat(descriptor)
        if not stat.S_ISREG(there.st_mode) or there.st_nlink > 1:
            return False
        os.ftruncate(descriptor, 0)
        _write(os.dup(descriptor), octets)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _write(descriptor: int, octets: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(octets)
