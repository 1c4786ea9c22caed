"""
Where the keys and values of a TOML text stand, which `tomllib` does not tell.

A scan that knows the shape of TOML and none of its meanings: it stops without a word at the first thing that no TOML
can hold, and leaves it to `tomllib` to say what is wrong there. It runs first, in linear time, and its limits keep what
would cost `tomllib` more than that from it: long dotted keys and deep nesting.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

DEPTH_MAX: Final = 16  # values in values, parts of a key; the deepest that means anything is 5
_BLANK: Final = re.compile(r"[ \t]*+")
_EMPTY: Final = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]++")
_STRING: Final = re.compile(
    r"""
    \"{3}(?:[^"\\]|\\.|"(?!""))*+"{3,5}
    |'{3}(?:[^']|'(?!''))*+'{3,5}
    |"(?:[^"\\\n]|\\.)*+"
    |'[^'\n]*+'
    """,
    re.DOTALL | re.VERBOSE,
)
_SCALAR: Final = re.compile(r"[^\s,\[\]{}#=\"'][^,\[\]{}#\n]*+")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_LETTERS: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


class Lost(Exception):  # noqa: N818  the scan knows no further, whatever the reason
    """
    The scan stops.

    Attributes:
        at: Where, as an offset.
        too_deep: A limit is the reason, not the syntax.
    """

    def __init__(self, at: int, *, too_deep: bool = False) -> None:
        super().__init__(at)
        self.at = at
        self.too_deep = too_deep


class Places:
    """
    Offsets of what a text holds, by path: keys and, of arrays, numbers from 0.

    Attributes:
        keys: Where a key stands, or the header of a table.
        values: Where its value begins.
        lost: Where and why the scan stopped; None at the end of the text.
    """

    def __init__(self, text: str) -> None:
        self.keys: dict[Path, int] = {}
        self.values: dict[Path, int] = {}
        self.lost: Lost | None = None
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        try:
            _Scan(text, self).run()
        except Lost as lost:
            self.lost = lost

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1."""
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def key(self, path: Path) -> int:
        """Offset of a key; of what has none, that of what it is in."""
        while path and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path, 0)

    def value(self, path: Path) -> int:
        """Offset of a value, else of its key."""
        found = self.values.get(path)
        return self.key(path) if found is None else found


class _Scan:
    def __init__(self, text: str, places: Places) -> None:
        self._text = text
        self._places = places
        self._at = 0
        self._tables: dict[Path, int] = {}  # how many `[[...]]` of that name there were

    def run(self) -> None:
        prefix: Path = ()
        while True:
            self._skip(_EMPTY)
            if self._at == len(self._text):
                return
            if self._text[self._at] == "[":
                prefix = self._header()
            else:
                self._value(self._pair(prefix))

    def _skip(self, what: re.Pattern[str]) -> None:
        match = what.match(self._text, self._at)
        assert match is not None  # both match nothing too
        self._at = match.end()

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise Lost(self._at)
        self._at = match.end()
        return match.group()

    def _expect(self, word: str) -> None:
        if not self._text.startswith(word, self._at):
            raise Lost(self._at)
        self._at += len(word)

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            if self._next() in ('"', "'"):
                parts.append(_unquoted(self._take(_STRING)))
            else:
                parts.append(self._take(_BARE))
            if len(parts) > DEPTH_MAX:
                raise Lost(self._at, too_deep=True)
            self._skip(_BLANK)
            if self._next() != ".":
                return tuple(parts)
            self._at += 1

    def _next(self) -> str:
        """The next character, empty at the end."""
        return self._text[self._at : self._at + 1]

    def _header(self) -> Path:
        begin = self._at
        double = self._text.startswith("[[", begin)
        self._at += 2 if double else 1
        parts = self._key()
        self._expect("]]" if double else "]")
        path: Path = ()
        for number, part in enumerate(parts, 1):
            path = (*path, part)
            self._places.keys.setdefault(path, begin)
            if double and number == len(parts):
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        self._places.keys[path] = begin
        return path

    def _pair(self, prefix: Path) -> Path:
        """A key and its `=`; the value is next."""
        begin = self._at
        path = prefix
        for part in self._key():
            path = (*path, part)
            self._places.keys.setdefault(path, begin)
        self._expect("=")
        self._skip(_BLANK)
        return path

    def _value(self, path: Path) -> None:
        """A value, and all that is in it."""
        holders: list[_Holder] = []
        while True:
            self._places.values[path] = self._at
            if self._next() in ("[", "{"):
                if len(holders) == DEPTH_MAX:
                    raise Lost(self._at, too_deep=True)
                holders.append(_Holder(path, "]" if self._next() == "[" else "}"))
                self._at += 1
                self._skip(_EMPTY)
            else:
                self._take(_STRING if self._next() in ('"', "'") else _SCALAR)
            while holders and self._is_over(holders[-1]):
                holders.pop()
            if not holders:
                return
            path = self._member(holders[-1])

    def _is_over(self, holder: _Holder) -> bool:
        """Behind a value: whether its holder ends here, else the next value begins."""
        self._skip(_EMPTY)
        if holder.count and self._next() != holder.end:
            self._expect(",")
            self._skip(_EMPTY)
        if self._next() != holder.end:
            return False
        self._at += 1
        return True

    def _member(self, holder: _Holder) -> Path:
        holder.count += 1
        if holder.end == "]":
            return (*holder.path, holder.count - 1)
        return self._pair(holder.path)


class _Holder:
    """An array or an inline table that is open; *count* is how many values it has so far."""

    __slots__ = ("count", "end", "path")

    def __init__(self, path: Path, end: str) -> None:
        self.path = path
        self.end = end
        self.count = 0


def _unquoted(text: str) -> str:
    if text[0] == "'":
        return text[1:-1]
    return _ESCAPE.sub(_unescaped, text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    if code is None:
        return _LETTERS.get(match[3], match[3])
    number = int(code, 16)
    return chr(number) if number <= sys.maxunicode else match.group()
