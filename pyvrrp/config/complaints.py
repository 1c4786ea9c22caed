"""
What is said about a configuration: each mistake once, at its place, in one line.

A complaint's severity tells what becomes of the start; from the same list come the exit codes of keepalived's `-t`.
Its code (`codes.py`) is what tools match: it stays when a message is worded better.
Messages never hold a secret: what a secret keyword was given is not shown, nor what stands beside it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from pyvrrp.config.codes import Code
from pyvrrp.config.expansion import ExpandedPlace
from pyvrrp.config.model import Configuration, Located, Origins, Place

SHOWN_LENGTH: Final = 64  # a word longer than this is no name; the rest of it helps nobody
LIMIT: Final = 1000  # more lines than a person reads; keeps a hostile megabyte from becoming a hundred
HINTS: Final = 200  # looking for the nearest known word costs about a millisecond
NEAR_LENGTH: Final = 40  # the longest keyword has 35 letters


class Severity(enum.StrEnum):
    """What a complaint means for a start; the classes differ in keepalived's `-t` exit code too."""

    NOTE = "note"  # legal, and nothing is lost
    UNSUPPORTED = "unsupported"  # legal for keepalived, not built here yet
    SECURITY = "security"  # scripts run without script security
    WARNING = "warning"  # used after being mended
    ERROR = "error"  # not used; the rest runs
    FATAL = "fatal"  # nothing can be started
    UNUSABLE = "unusable"  # the same: the text could not be read as a whole
    MISSING = "missing"  # the same: a keyword lacks its value
    ABSENT = "absent"  # the same: an include that must be there is not


FATAL_SEVERITIES: Final = frozenset({Severity.FATAL, Severity.UNUSABLE, Severity.MISSING, Severity.ABSENT})

# In the order in which keepalived lets one class win over another (as run with 2.2.7): it exits at once when a value
# is missing, and else takes the class with the highest number, where script security is the last.
_EXIT_CODES: Final = (
    (Severity.MISSING, 2),
    (Severity.ABSENT, 6),
    (Severity.SECURITY, 6),
    (Severity.FATAL, 5),
    (Severity.ERROR, 5),
    (Severity.WARNING, 5),
    (Severity.UNUSABLE, 4),
)

_CODE_OF: Final = {
    Severity.NOTE: Code.REMARK,
    Severity.UNSUPPORTED: Code.NOT_SUPPORTED,
    Severity.SECURITY: Code.SCRIPT_SECURITY,
    Severity.WARNING: Code.MENDED,
    Severity.ERROR: Code.DROPPED,
    Severity.FATAL: Code.FATAL,
    Severity.UNUSABLE: Code.UNREADABLE,
    Severity.ABSENT: Code.INCLUDE,
    Severity.MISSING: Code.MISSING_VALUE,
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """
    One thing to say about a configuration.

    Attributes:
        severity: What it means for a start.
        place: File, line and column of the word it is about.
        message: One line.
        hint: What to do about it, or empty.
        dropped: Something that was asked for is not done: a line, a value, an address, a whole instance.
        code: What kind of complaint it is; stable.
    """

    severity: Severity
    place: Place
    message: str
    hint: str = ""
    dropped: bool = False
    code: Code = Code.REMARK

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text

    @property
    def fatal(self) -> bool:
        """No start with this."""
        return self.severity in FATAL_SEVERITIES


@dataclass(frozen=True, slots=True)
class Parsed:
    """
    A configuration with all that is to be said about it; the caller decides what to do.

    Attributes:
        configuration: What can be run.
        complaints: In the order of their places.
        refused: Names of the instances that are defined, but not in *configuration*.
        everything: All that is defined, also what is refused; for who explains or converts, not for who runs.
    """

    configuration: Configuration
    complaints: tuple[Complaint, ...] = ()
    refused: tuple[str, ...] = ()
    everything: Configuration = field(default_factory=Configuration)

    @property
    def fatal(self) -> tuple[Complaint, ...]:
        """The complaints that forbid a start."""
        return tuple(complaint for complaint in self.complaints if complaint.fatal)

    @property
    def drops(self) -> tuple[Complaint, ...]:
        """The complaints that a reload does not put up with."""
        return tuple(complaint for complaint in self.complaints if complaint.dropped or complaint.fatal)

    @property
    def mistakes(self) -> tuple[Complaint, ...]:
        """The complaints that `--strict` does not put up with: the drops, and what is used but not as it stands."""
        return tuple(
            complaint
            for complaint in self.complaints
            if complaint.dropped
            or complaint.fatal
            or (complaint.severity is Severity.WARNING and complaint.code is not Code.DEPRECATED)
        )

    @property
    def origins(self) -> Origins:
        """Where each effective value came from, also of the instances that are refused."""
        return self.everything.origins

    @property
    def exit_code(self) -> int:
        """The exit code of `-t`."""
        return exit_code(self.complaints)


def exit_code(complaints: Iterable[Complaint]) -> int:
    """
    What keepalived's `-t` exits with.

    Source:
        Run with keepalived 2.2.7: 0 clean, 2 missing value, 4 unreadable, 5 any mistake, 6 script security.
    """
    found = {complaint.severity for complaint in complaints}
    return next((code for severity, code in _EXIT_CODES if severity in found), 0)


def shown(word: str) -> str:
    """A word of the file as it may stand in a message: one line, printable, not endless."""
    if len(word) > SHOWN_LENGTH:
        word = word[:SHOWN_LENGTH] + "..."
    if word.isprintable():
        return word
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in word
    )


def not_built(what: str) -> str:
    """The message for what only a later release can do."""
    return f"{what} is not supported yet; without it this would serve wrongly, so it is not run"


class Log:
    """
    Collects complaints while a text is read, at most LIMIT of them and then one of each further kind.

    Attributes:
        file: Name of the file, as in messages.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._complaints: list[Complaint] = []
        self._kinds: set[tuple[Severity, bool]] = set()
        self._said: set[object] = set()
        self._unlisted = 0
        self._hints_left = HINTS

    @property
    def full(self) -> bool:
        """The limit is reached; a message need not be polished any more."""
        return len(self._complaints) >= LIMIT

    def add(
        self,
        severity: Severity,
        where: Located | Place,
        message: str,
        *,
        word: int = 0,
        hint: str = "",
        dropped: bool = False,
        code: Code | None = None,
    ) -> None:
        """Say it; without a code it gets the one of its severity."""
        kind = (severity, dropped)
        if self.full and kind in self._kinds:
            self._unlisted += 1
            return
        self._kinds.add(kind)
        place = where if isinstance(where, Place) else where.place(word)
        if isinstance(place, ExpandedPlace):
            hint = f"{hint}; {place.via}" if hint else place.via
        self._complaints.append(Complaint(severity, place, message, hint, dropped, code or _CODE_OF[severity]))

    def worsen(self, line: int, file: str | None = None) -> bool:
        """
        Nothing can be started for what was said of that line; without a file it is one of the first.

        Returns:
            Whether anything was; if not, the caller has to say something itself.
        """
        where = (self.file if file is None else file, line)
        there = [
            position
            for position, said in enumerate(self._complaints)
            if said.dropped and (said.place.file, said.place.line) == where
        ]
        for position in there:
            if not self._complaints[position].fatal:  # a fatal one may have an exit code of its own
                self._complaints[position] = replace(self._complaints[position], severity=Severity.FATAL)
        return bool(there)

    def once(self, about: object) -> bool:
        """True the first time that it is asked for that thing."""
        if about in self._said:
            return False
        self._said.add(about)
        return True

    def nearest(self, word: str, known: Iterable[str]) -> str:
        """A hint that names the known word which is most like the given one; empty if none is."""
        if self.full or not self._hints_left or len(word) > NEAR_LENGTH:
            return ""
        self._hints_left -= 1
        from difflib import get_close_matches  # noqa: PLC0415  only a file with mistakes pays for it

        found = get_close_matches(word, known, n=1, cutoff=0.7)
        return f"did you mean '{shown(found[0])}'?" if found else ""

    def complaints(self) -> tuple[Complaint, ...]:
        """All that was said, in the order of the places; files in the order in which something was said of them."""
        ranks = {self.file: 0}
        for said in self._complaints:
            ranks.setdefault(said.place.file, len(ranks))
        listed = sorted(self._complaints, key=lambda said: (ranks[said.place.file], said.place.line, said.place.column))
        if self._unlisted:
            last = replace(listed[-1].place, column=1)
            message = f"{self._unlisted} more complaints are not listed"
            listed.append(Complaint(Severity.NOTE, last, message, code=Code.MORE_COMPLAINTS))
        return tuple(listed)
