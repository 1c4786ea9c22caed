"""A file or a text to a checked configuration; of `config/` this module alone reads files."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from typing import Final

from pyvrrp.config.build import build, runnable
from pyvrrp.config.check import check, check_interfaces
from pyvrrp.config.complaints import Log, Parsed
from pyvrrp.config.parser import read
from pyvrrp.errors import ConfigError

SIZE_MAX: Final = 16 * 1024 * 1024  # 255 routers with 255 addresses each fit a hundred times


def parse_text(text: str, file: str = "<text>", interfaces: Collection[str] | None = None) -> Parsed:
    """
    Parse a configuration.

    Args:
        text: What stands in the file; octets that are no UTF-8 as surrogates.
        file: Name of the file, as in messages.
        interfaces: Names of the interfaces that exist; None does not check them.

    Returns:
        The configuration and everything there is to say about it. Never an exception, whatever the text.
    """
    log = Log(file)
    everything, refused = build(read(text, log), log)
    check(everything, refused, log)
    if interfaces is not None:
        check_interfaces(everything, interfaces, log)
    return Parsed(runnable(everything, refused), log.complaints(), tuple(sorted(refused)))


def load(path: str | os.PathLike[str], interfaces: Collection[str] | None = None) -> Parsed:
    """
    Read and parse a file.

    Raises:
        ConfigError: The file cannot be read.
    """
    name = os.fspath(path)
    try:
        # Not blocking: the open of a pipe without a writer would wait for ever.
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from error
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise ConfigError("is a directory", file=name, hint="name a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError("is not a regular file", file=name)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            octets = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise _unreadable(name, error) from error
    finally:
        os.close(descriptor)
    if len(octets) > SIZE_MAX:
        raise ConfigError(f"is larger than {SIZE_MAX} octets", file=name, hint="this is no configuration file")
    return parse_text(octets.decode("utf-8", "surrogateescape"), name, interfaces)


def _unreadable(name: str, error: OSError | ValueError) -> ConfigError:
    hints: dict[type[Exception], str] = {
        FileNotFoundError: "create it, or name another one",
        PermissionError: "this user may not read it",
    }
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ConfigError(f"cannot be read: {reason}", file=name, hint=hints.get(type(error), ""))
