"""What a configuration may ask of the machine that it is read on; the real one is in `load.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Protocol

FILES_MAX: Final = 1000  # includes of one configuration; keepalived ends at its limit of open files, mostly 1024
WILDCARDS: Final = frozenset("*?[")  # a name with one of them is a pattern
NAMES_MAX: Final = 100_000  # in the directories that patterns of one configuration look through
SIZE_MAX: Final = 16 * 1024 * 1024  # octets of all files; 255 routers with 255 addresses each fit a hundred times


class Unreadable(Exception):  # noqa: N818  says what the file is, not what failed
    """
    A file that is there and cannot be included.

    Attributes:
        directory: It is a directory, which a pattern may well match.
        hint: What to do about it.
    """

    def __init__(self, reason: str, *, directory: bool = False, hint: str = "") -> None:
        super().__init__(reason)
        self.directory = directory
        self.hint = hint


class NoFiles(Exception):  # noqa: N818  a text from somewhere has no place in a file system
    """Nothing can be included here."""


class TooManyNames(Exception):  # noqa: N818  as above: of the file system, not of us
    """The patterns of this configuration have looked at `NAMES_MAX` names."""


@dataclass(frozen=True, slots=True)
class Included:
    """The text of a file, and its size in octets."""

    text: str
    size: int


class Host(Protocol):
    """Files and environment."""

    def find(self, pattern: str, beside: str, most: int) -> Sequence[str]:
        """
        Names of files that match a pattern without alternatives in braces, sorted, at most that many.

        A relative pattern begins at the directory of the file *beside*, and so do the names.

        Raises:
            NoFiles: There are no files here.
            TooManyNames: It takes too long.
        """

    def read(self, name: str, most: int) -> Included:
        """
        A file of at most *most* octets.

        Raises:
            Unreadable: It cannot be read, or is something that is not to be read.
        """

    def identity(self, name: str) -> str:
        """The same for all names of one file."""

    def directory(self, name: str) -> str:
        """The directory of a file, as `${_PWD}` shows it."""

    def variable(self, name: str) -> str | None:
        """A variable of the environment; None if it is not set."""


class NoHost:
    """A text that comes from nowhere: no files, no environment."""

    def find(self, pattern: str, beside: str, most: int) -> Sequence[str]:  # noqa: ARG002  there is nothing to look at
        """There is nothing to find."""
        raise NoFiles

    def read(self, name: str, most: int) -> Included:
        """Never asked, as nothing is found."""
        raise NotImplementedError

    def identity(self, name: str) -> str:
        """Each name is its own."""
        return name

    def directory(self, name: str) -> str:
        """What the name says."""
        return str(PurePosixPath(name).parent)

    def variable(self, name: str) -> str | None:  # noqa: ARG002  as above
        """None is set."""
        return None


@dataclass(frozen=True, slots=True)
class Setting:
    """
    In which surroundings a configuration is read.

    Attributes:
        host: Files and environment.
        config_id: What `@ID` lines are compared with; None matches no ID, as there is no name to compare with.
        check_includes: Every include is checked as `includea` (`--all-config`).
    """

    host: Host
    config_id: str | None = None
    check_includes: bool = False
