"""
`$NAME=VALUE` and the lines in which `$NAME` and `${NAME}` are replaced.

* Replaced is late and again: a value may use others, also those that are defined only later.
* `$NAME` counts before a blank, `,`, `)` or the end of the line, `${NAME}` anywhere; what is not defined is text.
* The first line of a value of several lines replaces a reference at the end of a line; the others follow as lines.
* Nothing is endless: a value that needs itself is refused, and a line does not grow beyond what is read of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pyvrrp.config.expansion import Expansion, Part
from pyvrrp.config.values import Place

if TYPE_CHECKING:
    from random import Random

LINE_STEPS: Final = 1000  # replacements in one line; empty values make long ways without a long line
STEPS: Final = 30_000  # replacements in all; 255 routers with 20 addresses each need no 6,000

DEFINITION: Final = re.compile(r"[ \t]*+\$(?P<name>[A-Za-z_][A-Za-z0-9_]*+)=[ \t]*+", re.ASCII)
_USE: Final = re.compile(
    r"\$(?:\{(?P<long>[A-Za-z_][A-Za-z0-9_]*+)(?P<words> [^{}]*+)?\}"
    r"|(?P<short>[A-Za-z_][A-Za-z0-9_]*+)(?=[ \t,)]|$))",
    re.ASCII,
)
_RANDOM_WORDS: Final = re.compile(r"(?:[0-9]{1,18}(?: ++[0-9]{1,18})?)?", re.ASCII)
_RANDOM_MOST: Final = 32767


class BadExpansion(Exception):  # noqa: N818  says what is bad about it
    """A line cannot be expanded; *part* is the culprit."""

    def __init__(self, message: str, part: Part) -> None:
        super().__init__(message)
        self.part = part


class TooMuch(Exception):  # noqa: N818  nothing is wrong with the line itself
    """All replacements together are more than a configuration can need."""


@dataclass(frozen=True, slots=True)
class Definition:
    """
    What a name stands for.

    Attributes:
        name: Without the `$`.
        lines: Its value, at least one line.
        place: Where it was defined; line 0 for what is built in.
    """

    name: str
    lines: tuple[str, ...]
    place: Place


class Undefined(NamedTuple):
    """A reference that nothing is known of: its name, its column in the file from 0, and whether it is in braces."""

    name: str
    column: int
    braces: bool


@dataclass(frozen=True, slots=True)
class Expanded:
    """
    A line after all replacements.

    Attributes:
        text: The line.
        expansion: Where its parts come from.
        used: The names that were replaced.
        rests: Definitions whose first line ends this line, with the column of the reference in the file, from 0; the
            other lines of the last one come next.
        undefined: References without a definition, each with its name and column in the file, from 0.
    """

    text: str
    expansion: Expansion
    used: frozenset[str]
    rests: tuple[tuple[Definition, int], ...]
    undefined: tuple[Undefined, ...]


class Definitions:
    """All definitions so far."""

    def __init__(self, built_in: Callable[[str], str | None], line_length: int) -> None:
        """
        Args:
            built_in: Values of `_PWD`, `_INSTANCE` and `_ENV VAR`, which change from line to line.
            line_length: More characters make no line.
        """
        self._built_in = built_in
        self._line_length = line_length
        self._known: dict[str, Definition] = {}
        self._random: Random | None = None
        self._steps = 0

    def define(self, name: str, lines: tuple[str, ...], place: Place) -> None:
        """A later definition replaces an earlier one, also one that is built in."""
        self._known[name] = Definition(name, lines, place)

    def seed(self, seed: int | None) -> Random:
        """`random_seed`: from now on the random numbers are the same each time; None makes them others each time."""
        from random import Random  # noqa: PLC0415  hardly any configuration pays for it

        self._random = Random(seed)  # noqa: S311  numbers for priorities and delays
        return self._random

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def _find(self, name: str, words: str, file: str) -> Definition | None:
        known = self._known.get(name)
        if known is not None:
            return None if words else known
        value: str | None = None
        if name == "_RANDOM":
            value = self._random_number(words)
        elif name == "_ENV":
            value = self._built_in(f"_ENV {words}") if words else None
        elif not words:
            value = {"_HASH": "#", "_BANG": "!"}.get(name) or self._built_in(name)
        return None if value is None else Definition(name, (value,), Place(file, 0, 0))

    def _random_number(self, words: str) -> str | None:
        if not _RANDOM_WORDS.fullmatch(words):
            return None
        given = [int(word) for word in words.split()]
        least, most = given[0] if given else 0, given[1] if len(given) > 1 else _RANDOM_MOST
        dice = self._random or self.seed(None)
        return str(dice.randint(min(least, most), max(least, most)))

    def expand(
        self, text: str, file: str, expansion: Expansion | None = None, active: Collection[str] = ()
    ) -> Expanded | None:
        """
        Replace all references in a line.

        Args:
            text: The line, without its comment.
            file: Where it stands.
            expansion: How the line was expanded already.
            active: Names whose values this line is part of; they would need themselves.

        Returns:
            None if there is nothing to replace.

        Raises:
            BadExpansion: A value needs itself, or the line grows too long.
            TooMuch: As above.
        """
        references = [(match["long"] or match["short"], match) for match in _USE.finditer(text)]
        if not references:
            return None
        if any(name in self._known or name.startswith("_") for name, _ in references):
            return _Expander(self, text, file, expansion).run(self._line_length, active)
        parts = expansion or Expansion([Part(0, 0)])
        undefined = (
            Undefined(
                name, parts.place(file, 1, match.start(), match.start() + 1).column - 1, match["long"] is not None
            )
            for name, match in references
        )
        return Expanded(text, parts, frozenset(), (), tuple(undefined))

    def find(self, name: str, words: str, file: str) -> Definition | None:
        """
        The definition of a name.

        Raises:
            TooMuch: As above.
        """
        found = self._find(name, words, file)
        if found is not None:
            self._steps += 1
            if self._steps > STEPS:
                raise TooMuch
        return found


class _Piece:
    """Text that is still to be looked through: how much is left of it, where it stands, whose value it is."""

    __slots__ = ("column", "definition", "left", "name", "source")

    def __init__(
        self, left: int, column: int, source: Place | None = None, name: str = "", definition: str = ""
    ) -> None:
        self.left = left
        self.column = column
        self.source = source
        self.name = name
        self.definition = definition  # replaced in this very run; earlier ones are done with


class _Expander:
    """
    One line while it is expanded: what is done, and what is still to be looked through.

    The next piece is the last one. A piece that is used up stays until the next reference begins behind it, so that a
    value which needs itself at its end is seen.
    """

    def __init__(self, known: Definitions, text: str, file: str, expansion: Expansion | None) -> None:
        self._known = known
        self._file = file
        self._text = text
        self._done: list[str] = []
        self._length = 0
        self._parts: list[Part] = []
        self._inside: set[str] = set()  # names whose values the next character is part of
        parts = expansion.parts if expansion is not None else [Part(0, 0)]
        ends = [part.start for part in parts[1:]] + [len(text)]
        self._pieces = [
            _Piece(end - part.start, part.column, part.source, part.name)
            for part, end in zip(reversed(parts), reversed(ends), strict=True)
        ]

    def run(self, line_length: int, active: Collection[str]) -> Expanded | None:
        used: set[str] = set()
        undefined: list[Undefined] = []
        rests: list[tuple[Definition, int]] = []
        position = steps = 0
        while match := _USE.search(self._text, position):
            name = match["long"] or match["short"]
            found = self._known.find(name, (match["words"] or "").strip(" "), self._file)
            if found is None or (len(found.lines) > 1 and match.end() < len(self._text)):
                if found is None:
                    undefined.append(Undefined(name, self._column(match.start()), match["long"] is not None))
                position = match.end()
                continue
            self._take(match.start())
            while not self._pieces[-1].left:
                self._pop()
            column = self._pieces[-1].column
            steps += 1
            culprit = Part(0, column, found.place, name)
            if name in active or name in self._inside:
                raise BadExpansion(f"${name} needs its own value", culprit)
            self._drop(match.end() - match.start())
            value = found.lines[0]
            length = self._length + len(value) + len(self._text) - (match.end() - match.start())
            if length > line_length or steps > LINE_STEPS:
                most = f"{line_length} characters" if length > line_length else f"{LINE_STEPS} replacements"
                raise BadExpansion(f"${name} makes more than {most} of this line", culprit)
            if len(found.lines) > 1:
                rests.append((found, column))
            self._pieces.append(_Piece(len(value), column, found.place, name, name))
            self._inside.add(name)
            self._text = value + self._text[match.end() - match.start() :]
            position = 0
            used.add(name)
            if not self._length and value.startswith("~"):  # what it repeats is replaced later, each time anew
                break
        if not used and not undefined:
            return None
        self._take(len(self._text))
        expansion = Expansion(self._parts or [Part(0, 0)])
        return Expanded("".join(self._done), expansion, frozenset(used), tuple(rests), tuple(undefined))

    def _pop(self) -> None:
        self._inside.discard(self._pieces.pop().definition)

    def _column(self, offset: int) -> int:
        """Column in the file of a character that is still to come."""
        at = len(self._pieces) - 1
        while offset >= self._pieces[at].left:
            offset -= self._pieces[at].left
            at -= 1
        piece = self._pieces[at]
        return piece.column + (0 if piece.source else offset)

    def _take(self, count: int) -> None:
        """The next characters are done."""
        self._done.append(self._text[:count])
        self._text = self._text[count:]
        self._consume(count, keep=True)

    def _drop(self, count: int) -> None:
        """The next characters are a reference; they are not kept."""
        self._consume(count, keep=False)

    def _consume(self, count: int, *, keep: bool) -> None:
        at = len(self._pieces) - 1
        while count:
            piece = self._pieces[at]
            taken = min(count, piece.left)
            if keep and taken:
                self._parts.append(Part(self._length, piece.column, piece.source, piece.name))
                self._length += taken
            if piece.source is None:
                piece.column += taken
            piece.left -= taken
            count -= taken
            if keep and count:
                self._pop()
            at -= 1
