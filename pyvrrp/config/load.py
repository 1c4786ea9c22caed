"""A file or a text to a checked configuration; of `config/` this module alone asks the machine."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from pyvrrp.config.build import build, runnable
from pyvrrp.config.check import check, check_interfaces
from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Parsed, Severity
from pyvrrp.config.host import (
    FILES_MAX,
    NAMES_MAX,
    SIZE_MAX,
    WILDCARDS,
    Host,
    Included,
    NoHost,
    Setting,
    TooManyNames,
    Unreadable,
)
from pyvrrp.config.parser import Drafts, read
from pyvrrp.config.values import Place
from pyvrrp.errors import ConfigError

NATIVE_SUFFIX: Final = ".toml"
_ANY_EXECUTE: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def parse_text(
    text: str,
    file: str = "<text>",
    interfaces: Collection[str] | None = None,
    *,
    host: Host | None = None,
    config_id: str | None = None,
    check_includes: bool = False,
) -> Parsed:
    """
    Parse a configuration.

    Args:
        text: What stands in the file; octets that are no UTF-8 as surrogates.
        file: Name of the file, as in messages; relative includes begin at its directory.
        interfaces: Names of the interfaces that exist; None does not check them.
        host: Files and environment; without one nothing can be included, and no variable is set.
        config_id: What `@ID` lines are compared with; None is the name of this host up to its first dot.
        check_includes: What is included must be there (`--all-config`).

    Returns:
        The configuration and everything there is to say about it. Never an exception, whatever the text.
    """
    setting = Setting(host or NoHost(), _id_of(config_id), check_includes)
    return _parse(text, Log(file), interfaces, setting)


def _id_of(config_id: str | None) -> str:
    return os.uname().nodename.partition(".")[0] if config_id is None else config_id


def _parse(text: str, log: Log, interfaces: Collection[str] | None, setting: Setting) -> Parsed:
    return judge(read(text, log, setting), log, interfaces)


def judge(drafts: Drafts, log: Log, interfaces: Collection[str] | None) -> Parsed:
    """What a text comes to that has been read; arguments as for `parse_text`."""
    everything, refused = build(drafts, log)
    refused = check(everything, refused, log)
    if interfaces is not None:
        check_interfaces(everything, interfaces, log)
    return Parsed(runnable(everything, refused), log.complaints(), tuple(sorted(refused)), everything)


def is_native(name: str | os.PathLike[str]) -> bool:
    """Whether a file of that name is in the native form, and no keepalived.conf."""
    return os.fspath(name).endswith(NATIVE_SUFFIX)


def load(
    path: str | os.PathLike[str],
    interfaces: Collection[str] | None = None,
    *,
    config_id: str | None = None,
    check_includes: bool = False,
) -> Parsed:
    """
    Read and parse a file, and what it includes; in the native form if it is called `*.toml`.

    Args:
        path: The file; as with keepalived a pattern, if there is no file of that name: all that match are read in turn.
        interfaces: As for `parse_text`.
        config_id: As for `parse_text`; the native form has no such lines.
        check_includes: As for `parse_text`; the native form includes nothing.

    Raises:
        ConfigError: The file cannot be read.
    """
    name = os.fspath(path)
    names = _matching(name)
    if len(names) > 1:
        log = Log(name)
        log.add(Severity.WARNING, Place(name, 1, 1), f"{len(names)} files match, all are read", code=Code.INCLUDE)
        text = "".join(f"include {each}\n" for each in names)
        return _parse(text, log, interfaces, Setting(ThisHost(), _id_of(config_id), check_includes))
    name = names[0]
    try:
        included = _read(name, SIZE_MAX)
    except Unreadable as error:
        raise ConfigError(str(error), file=name, hint=error.hint) from error
    if is_native(name):
        from pyvrrp.config.native.read import parse_native  # noqa: PLC0415  most files are a keepalived.conf

        return parse_native(included.text, name, interfaces)
    return parse_text(
        included.text, name, interfaces, host=ThisHost(), config_id=config_id, check_includes=check_includes
    )


def _matching(name: str) -> Sequence[str]:
    """The files that are meant, at least one, whether it is there or not."""
    if WILDCARDS.isdisjoint(name) or is_native(name) or os.path.lexists(name):
        return (name,)
    try:
        found = ThisHost().find(os.path.abspath(name), "", FILES_MAX + 1)  # noqa: PTH100  `Path` imports a lot
    except TooManyNames as error:
        raise ConfigError(f"is a pattern that looks through more than {NAMES_MAX} names", file=name) from error
    return found or (name,)


class ThisHost:
    """The files and the environment of this machine, for one configuration."""

    def __init__(self) -> None:
        self._names_left = NAMES_MAX

    def find(self, pattern: str, beside: str, most: int) -> Sequence[str]:
        """As described in `Host`."""
        directory = os.path.dirname(beside)  # noqa: PTH120  names stay as they were typed, `Path` tidies them
        if "\0" in pattern:
            return ()
        name = os.path.join(directory, pattern)  # noqa: PTH118
        if WILDCARDS.isdisjoint(pattern):
            return (name,) if os.path.lexists(name) else ()
        absolute = "/" if name.startswith("/") else ""
        above = "" if pattern.startswith("/") else directory.lstrip("/")
        plain = len(above.split("/")) if above else 0
        return sorted(self._search(absolute, name.lstrip("/").split("/"), plain))[:most]

    def _search(self, above: str, parts: Sequence[str], plain: int) -> Iterator[str]:
        """Names that match *parts* beneath a directory; in the first so many a wildcard is a letter like others."""
        at = next((n for n, part in enumerate(parts) if n >= plain and not WILDCARDS.isdisjoint(part)), len(parts))
        directory = os.path.join(above, *parts[:at])  # noqa: PTH118
        if at == len(parts):
            if os.path.lexists(directory):
                yield directory
            return
        rest = parts[at + 1 :]
        for each in self._fitting(directory, parts[at], directories=bool(rest)):
            name = os.path.join(directory, each)  # noqa: PTH118
            if rest:
                yield from self._search(name, rest, 0)
            else:
                yield name

    def _fitting(self, directory: str, pattern: str, *, directories: bool) -> list[str]:
        from fnmatch import translate  # noqa: PLC0415  most configurations include nothing

        fits = re.compile(translate(pattern)).match
        found = []
        try:
            with os.scandir(directory or ".") as entries:
                for entry in entries:
                    self._names_left -= 1
                    if self._names_left < 0:
                        raise TooManyNames
                    hidden = entry.name.startswith(".") and not pattern.startswith(".")
                    if not hidden and fits(entry.name) and (entry.is_dir() or not directories):
                        found.append(entry.name)
        except OSError:
            pass  # whoever may not look finds nothing, as a shell does
        return found

    def read(self, name: str, most: int) -> Included:
        """As described in `Host`."""
        return _read(name, most, executable=False)

    def identity(self, name: str) -> str:
        """As described in `Host`."""
        try:
            status = os.stat(name)  # noqa: PTH116
        except (OSError, ValueError):
            return name
        return f"{status.st_dev}:{status.st_ino}"

    def directory(self, name: str) -> str:
        """As described in `Host`."""
        return os.path.dirname(os.path.abspath(name))  # noqa: PTH100, PTH120

    def variable(self, name: str) -> str | None:
        """As described in `Host`."""
        return os.environ.get(name)


def _read(name: str, most: int, *, executable: bool = True) -> Included:
    try:
        # Not blocking: the open of a pipe without a writer would wait for ever.
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise Unreadable("is a directory", directory=True, hint="name a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("is not a regular file")
        if status.st_mode & _ANY_EXECUTE and not executable:
            raise Unreadable("is an executable file", hint="chmod a-x")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            octets = file.read(most + 1)
    except OSError as error:
        raise _unreadable(error) from error
    finally:
        os.close(descriptor)
    if len(octets) > most:
        raise Unreadable(f"is larger than {most} octets", hint="this is no configuration file")
    text = octets.decode("utf-8", "surrogateescape")
    return Included(text, len(octets))


def _unreadable(error: OSError | ValueError) -> Unreadable:
    hints: dict[type[Exception], str] = {
        FileNotFoundError: "create it, or name another one",
        PermissionError: "this user may not read it",
    }
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Unreadable(f"cannot be read: {reason}", hint=hints.get(type(error), ""))
