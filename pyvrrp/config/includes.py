"""
Which files an `include` line means, and what must hold for them.

`include` wants nothing; the other words and `include_check` want more, and what is wanted and is not there forbids the
start, as in keepalived:

    read            includer    what matches can be read, and is no directory and no executable file
    match           includem    a pattern without wildcards matches
    wildcard_match  includew    a pattern with wildcards matches, too
    brace_match     includeb    every alternative in braces without wildcards matches

Source:
    keepalived.conf(5), and as run with 2.2.7: each of the words but `include` wants `read`, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Severity, shown
from pyvrrp.config.host import FILES_MAX, NAMES_MAX, SIZE_MAX, WILDCARDS, NoFiles, Setting, TooManyNames, Unreadable
from pyvrrp.config.values import Place

PATTERNS_MAX: Final = 2000  # looked for in all, each alternative in braces counts
_READ, _MATCH, _WILDCARD, _BRACE = "read", "match", "wildcard_match", "brace_match"
_ALL: Final = frozenset({_READ, _MATCH, _WILDCARD, _BRACE})
_WANTS: Final = {
    "include": frozenset[str](),
    "includer": frozenset({_READ}),
    "includem": frozenset({_READ, _MATCH}),
    "includew": frozenset({_READ, _MATCH, _WILDCARD}),
    "includeb": frozenset({_READ, _BRACE}),
    "includea": _ALL,
}
_CHECKS: Final = {check: check for check in _ALL} | {"readable": _READ}


class Source(NamedTuple):
    """A file that is read: its name as messages show it, its text, and what is the same for all names of it."""

    name: str
    text: str
    identity: str


class Includes:
    """Follows the include lines of a configuration, a bounded number of them."""

    def __init__(self, log: Log, setting: Setting) -> None:
        self._log = log
        self._host = setting.host
        self._checks = [_ALL if setting.check_includes else frozenset[str]()]
        self._files_left = FILES_MAX
        self._size_left = SIZE_MAX
        self._patterns_left = PATTERNS_MAX

    def leave(self) -> None:
        """The file that is read ends, and with it what it said of checks."""
        self._checks.pop()

    def check(self, words: Sequence[str], place: Place) -> None:
        """`include_check`: from here to the end of the file."""
        checks = frozenset[str]() if words else _ALL
        if words and words[0][0] in "+-":
            checks = self._checks[-1]
        for word in words:
            name = _CHECKS.get(word.lstrip("+-"))
            if name is None:
                message = f"Unknown include_check type '{shown(word)}' - ignoring"
                hint = "known: " + ", ".join(sorted(_ALL))
                self._log.add(Severity.ERROR, place, message, hint=hint, dropped=True, code=Code.BAD_VALUE)
            elif word.startswith("-"):
                checks -= {name}
            else:
                checks |= {name}
        self._checks[-1] = checks

    def follow(self, word: str, pattern: str, place: Place, chain: Sequence[Source]) -> list[Source]:
        """
        The files that an include line means.

        Args:
            word: `include` or one of its variants.
            pattern: What follows it.
            place: Where.
            chain: The files that are being read, the including one last.

        Returns:
            The files in the order in which they are to be read, without those that there is a complaint about.
        """
        wants = self._checks[-1] | _WANTS[word]
        names = self._find(pattern, place, wants)
        sources = [source for name in names if (source := self._read(name, pattern, place, wants, chain)) is not None]
        self._checks += [self._checks[-1]] * len(sources)
        return sources

    def _find(self, pattern: str, place: Place, wants: frozenset[str]) -> list[str]:
        choices = alternatives(pattern, self._patterns_left)
        if choices is None:
            self._patterns_left = 0
            if self._log.once("include patterns"):
                self._refuse(place, f"more than {PATTERNS_MAX} names and patterns are included", Code.TOO_MUCH)
            return []
        self._patterns_left -= len(choices)
        names: list[str] = []
        for choice in choices:
            try:
                found = self._host.find(choice, place.file, self._files_left + 1 - len(names))
            except NoFiles:
                self._refuse(place, "include is not possible here, this text is in no file")
                return []
            except TooManyNames:
                self._patterns_left = 0
                message = f"include patterns look through more than {NAMES_MAX} names"
                self._refuse(place, message, Code.TOO_MUCH)
                return []
            if not found:
                self._tell_missing(choice, place, wants, one_of_many=len(choices) > 1)
            names += found
        if len(names) > self._files_left:
            self._refuse(place, f"more than {FILES_MAX} files are included", Code.TOO_MUCH)
            return []
        self._files_left -= len(names)
        return names

    def _tell_missing(self, pattern: str, place: Place, wants: frozenset[str], *, one_of_many: bool) -> None:
        wild = not WILDCARDS.isdisjoint(pattern)
        wanted = (_BRACE if one_of_many else _MATCH) in wants if not wild else _WILDCARD in wants and not one_of_many
        hint = "quotes and blanks are part of the name" if not _QUOTES_AND_BLANKS.isdisjoint(pattern) else ""
        severity = Severity.ABSENT if wanted else Severity.NOTE
        message = f"no file matches '{shown(pattern)}'" if wild else f"there is no file '{shown(pattern)}'"
        self._log.add(severity, place, message, hint=hint, dropped=wanted or not wild, code=Code.INCLUDE)

    def _read(
        self, name: str, pattern: str, place: Place, wants: frozenset[str], chain: Sequence[Source]
    ) -> Source | None:
        identity = self._host.identity(name)
        for at, source in enumerate(chain):
            if source.identity == identity:
                way = " -> ".join(shown(each) for each in (*(each.name for each in chain[at:]), name))
                self._refuse(place, f"the file includes itself: {way}")
                return None
        try:
            included = self._host.read(name, self._size_left)
        except Unreadable as error:
            wanted = _READ in wants
            passing = error.directory and not WILDCARDS.isdisjoint(pattern) and not wanted
            severity = Severity.ABSENT if wanted else Severity.NOTE
            message = f"'{shown(name)}' {error} - skipping"
            self._log.add(severity, place, message, hint=error.hint, dropped=not passing, code=Code.INCLUDE)
            return None
        self._size_left -= included.size
        return Source(name, included.text, identity)

    def _refuse(self, place: Place, message: str, code: Code = Code.INCLUDE) -> None:
        self._log.add(Severity.UNUSABLE, place, message, dropped=True, code=code)


_QUOTES_AND_BLANKS: Final = frozenset("\"' \t")


def alternatives(pattern: str, most: int) -> list[str] | None:
    """
    A pattern without its braces: all that `{a,b}` can stand for, also inside of each other, in order.

    Returns:
        None if there are more than *most*. What is no pair of braces with a comma between stays as it is.
    """
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        if len(done) + len(waiting) > most:
            return None
        current = waiting.pop()
        group = _first_group(current)
        if group is None:
            done.append(current)
            continue
        begin, end = group[0], group[-1]
        choices = [current[left + 1 : right] for left, right in pairwise(group)]
        waiting += [current[:begin] + choice + current[end + 1 :] for choice in reversed(choices)]
    return done


def _first_group(text: str) -> list[int] | None:
    """The braces with a comma between that begin first: where they begin, their own commas, where they end."""
    first: list[int] | None = None
    opened: list[list[int]] = []
    for at, letter in enumerate(text):
        if letter == "{":
            opened.append([at])
        elif letter == "," and opened:
            opened[-1].append(at)
        elif letter == "}" and opened:
            group = opened.pop()
            if len(group) > 1 and (first is None or group[0] < first[0]):
                first = [*group, at]
    return first
