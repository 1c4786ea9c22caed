"""The file that the pod writes: the effective configuration, for people and for tools that grep in it."""

from __future__ import annotations

import contextlib
import os
from typing import Final

_MODE: Final = 0o644  # as the old image; what is secret in it the deployment says, too
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_configuration(path: str, text: str) -> str:
    """
    Write the file in one step, so that no reader sees half of it.

    Where it is mounted alone, and so cannot be replaced, it is written over.

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
        _write(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC), octets)
    except OSError:
        return False
    return True


def _write(descriptor: int, octets: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(octets)
