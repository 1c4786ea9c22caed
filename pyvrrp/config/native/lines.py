"""A TOML document as the lines that keepalived.conf would have, each word with its place in the TOML text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from pyvrrp.config.codes import Code
from pyvrrp.config.commands import DeletedScript, Script
from pyvrrp.config.complaints import Log, Severity, shown
from pyvrrp.config.keywords import BY_BLOCK
from pyvrrp.config.lexer import Line, lex, split_command
from pyvrrp.config.model import Command, Place
from pyvrrp.config.native.forms import LINES, OCTAL, TABLES, Part
from pyvrrp.config.native.locate import Path, Places
from pyvrrp.config.native.statement import ORDER, Statement, reader_of
from pyvrrp.config.readers import Boolean, Flag
from pyvrrp.config.rows import Block, Row, Shape
from pyvrrp.config.write import line_text, statement_text
from pyvrrp.errors import UsageError

_BITS_MAX: Final = 128  # of a number; none has a range like that
_DIGITS_MAX: Final = 40
_COMMAND: Final = (Part("command", required=True), Part("user"), Part("group"))
_NO_SHELL: Final = "</"  # a command that begins so is for the shell, as in keepalived
_Word: TypeAlias = tuple[str, Path]


class NativeLine(Line):
    """
    A line made of TOML.

    Attributes:
        offsets: Where each word stands, or what says it; further words stand where the last does.
        places: Makes line and column of them.
    """

    __slots__ = ("offsets", "places")

    def __init__(self, file: str, places: Places, offsets: list[int], words: list[str], text: str = "") -> None:
        super().__init__(file, places.position(offsets[0])[0], 0, text, opens=False, closes=False)
        self.words = words
        self.offsets = offsets
        self.places = places

    def place(self, word: int) -> Place:
        """Where that word stands."""
        return Place(self.file, *self.places.position(self.offsets[min(word, len(self.offsets) - 1)]))


class _Unusable(Exception):  # noqa: N818  says what is bad, not that something failed
    """A value that says nothing; *path* is where it stands, or its key if that is what is wrong."""

    def __init__(self, message: str, path: Path, hint: str = "", *, key: bool = False) -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.path = path
        self.hint = hint


def native_lines(document: Mapping[str, Any], places: Places, log: Log) -> Iterator[Line]:
    """
    The lines of a document; what is referred to comes first, whatever the order in the text.

    Args:
        document: As `tomllib` reads it, floats as Decimal.
        places: Where its values stand.
        log: Takes the complaints about values that say nothing.
    """
    opened = [row.keyword for block in ORDER for row in BY_BLOCK[Block.ROOT].values() if row.opens is block]
    rank = {keyword: number for number, keyword in enumerate(opened)}
    keys = sorted(document, key=lambda key: rank.get(key, -1))
    return _Lines(places, log).block(Block.ROOT, {key: document[key] for key in keys}, ())


class _Lines:
    def __init__(self, places: Places, log: Log) -> None:
        self._places = places
        self._log = log

    def block(self, block: Block, table: Mapping[str, Any], path: Path) -> Iterator[Line]:
        """What stands in a block of keywords."""
        rows = BY_BLOCK[block]
        for key, value in table.items():
            row, here = rows.get(key), (*path, key)
            try:
                if row is None:
                    yield self._line([(key, here)])  # the parser knows what may have been meant
                elif row.shape is Shape.LINE:
                    yield from self._keywords(row, value, here)
                elif row.shape is Shape.LINES:
                    yield from self._values(row, value, here)
                else:
                    for item, where in _tables(row, value, here):
                        yield from self._opened(row, item, where)
            except _Unusable as bad:
                self._tell(bad)

    def _tell(self, bad: _Unusable) -> None:
        offset = self._places.key(bad.path) if bad.key else self._places.value(bad.path)
        place = Place(self._log.file, *self._places.position(offset))
        self._log.add(Severity.ERROR, place, bad.message, hint=bad.hint, dropped=True, code=Code.BAD_VALUE)

    def _line(self, words: list[_Word], text: str = "") -> NativeLine:
        """A line; its first word is a key."""
        offsets = [self._places.key(words[0][1]), *(self._places.value(path) for _word, path in words[1:])]
        return NativeLine(self._log.file, self._places, offsets, [word for word, _path in words], text)

    def _brace(self, words: list[_Word], path: Path) -> NativeLine:
        """The begin of a block, or without words its end."""
        line = self._line(words or [("}", path)])
        line.opens, line.closes = bool(words), not words
        return line

    def _opened(self, row: Row, table: Mapping[str, Any], path: Path) -> Iterator[Line]:
        assert row.opens is not None
        words = [(row.keyword, path)]
        if row.named and "name" in table:
            where = (*path, "name")
            try:
                words.append((_scalar(table["name"], where), where))
                _sayable(lambda: line_text([word for word, _path in words]), where)
            except _Unusable as bad:  # the others have names of their own
                self._tell(bad)
                return
            table = {key: value for key, value in table.items() if key != "name"}
        yield self._brace(words, path)
        yield from self.block(row.opens, table, path)
        yield self._brace([], path)

    def _values(self, row: Row, value: Any, path: Path) -> Iterator[Line]:
        if not isinstance(value, list):
            raise _Unusable(f"{row.keyword} is a list", path, f"{row.keyword} = [...]")
        yield self._brace([(row.keyword, path)], path)
        for number, item in enumerate(value):
            where = (*path, number)
            try:
                words = _value_words(row, item, where, self._log)
            except _Unusable as bad:
                self._tell(bad)
                continue
            line = self._line(words)
            line.offsets[0] = self._places.value(words[0][1])
            yield line
        yield self._brace([], path)

    def _keywords(self, row: Row, value: Any, path: Path) -> Iterator[Line]:
        """The line of a keyword, or of each that a list of them says."""
        items = [(value, path)]
        if row.repeats and isinstance(value, list):
            items = [(item, (*path, number)) for number, item in enumerate(value)]
        for item, where in items:
            line = self._keyword(row, item, where)
            if line is not None:
                yield line

    def _keyword(self, row: Row, value: Any, path: Path) -> NativeLine | None:
        reads = reader_of(row)
        if isinstance(reads, Script | DeletedScript) and value is not True:
            return self._command(row, value, path)
        if isinstance(reads, Flag) and value is False:
            opposite = _opposite(row, reads)
            return self._line([(opposite, path)]) if opposite is not None else None
        words = _words(row, value, path, self._log)
        said = Statement(row, tuple(word for word, _path in words))
        _sayable(lambda: statement_text(said), path)
        return self._line([(row.keyword, path), *words])

    def _command(self, row: Row, value: Any, path: Path) -> NativeLine:
        user = group = None
        where = path
        if isinstance(value, dict):
            parts = _COMMAND if not isinstance(row.reads, Script) or row.reads.with_user else _COMMAND[:1]
            table = _checked(parts, row.keyword, value, path, self._log)
            user, group = (_scalar(table[key], (*path, key)) if key in table else None for key in ("user", "group"))
            where = (*path, "command")
            value = table["command"]
        argv = _argv(row.keyword, value, where)
        if not argv or not argv[0]:
            return self._line([(row.keyword, path), ("", where)], f'{row.keyword} ""')
        said = Statement(row, command=Command(argv, user, group))
        return self._line([(row.keyword, path), ("", where)], _sayable(lambda: statement_text(said), where))


def _argv(keyword: str, value: Any, path: Path) -> tuple[str, ...]:
    """Program and arguments: a list of them, or one text to be split like a shell does."""
    if isinstance(value, list):
        return tuple(_scalar(item, (*path, number)) for number, item in enumerate(value))
    if not isinstance(value, str):
        raise _Unusable(f"{keyword} is a text, or a list of words", path)
    try:
        argv = split_command(value)
    except ValueError as error:
        raise _Unusable(f"{keyword}: {error}", path) from None
    return ("/bin/sh", "-c", value.strip()) if argv and argv[0].startswith(_NO_SHELL) else tuple(argv)


def _sayable(write: Callable[[], str], path: Path) -> str:
    """The text of a line of keepalived.conf; what has none cannot be converted, nor shared with a peer."""
    try:
        return write()
    except UsageError as error:
        raise _Unusable(str(error), path) from None


def _opposite(row: Row, reads: Flag) -> str | None:
    """The keyword that means the other thing."""
    for other in BY_BLOCK[row.block].values():
        if other.target == row.target and reader_of(other).value is not reads.value:
            return other.keyword
    return None


def _tables(row: Row, value: Any, path: Path) -> list[tuple[dict[str, Any], Path]]:
    """The tables that say blocks of keywords: one, or if there may be several a list."""
    if row.shape is Shape.SKIP:
        raise _Unusable(f"{row.keyword} has no native form, and no effect in pyvrrp", path)
    if isinstance(value, dict):
        return [(value, path)]
    many = row.named or row.repeats
    if not many or not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        header = f"[[{row.keyword}]]" if many else f"[{row.keyword}]"
        raise _Unusable(f"{row.keyword} is a table", path, header)
    return [(item, (*path, number)) for number, item in enumerate(value)]


def _words(row: Row, value: Any, path: Path, log: Log) -> list[_Word]:
    """The words that a value says, without the keyword."""
    reads = reader_of(row)
    if value is True:
        return []
    if value is False:
        if isinstance(reads, Boolean):
            return [("off", path)]
        raise _Unusable(f"{row.keyword} cannot be turned off", path, "leave it out")
    if isinstance(value, dict):
        parts = TABLES.get(type(reads))
        if parts is None:
            raise _Unusable(f"{row.keyword} is no table", path)
        return _table_words(parts, _checked(parts, row.keyword, value, path, log), path)
    if isinstance(value, list):
        if row.shape is Shape.LINES:
            raise _Unusable(f"a value of {row.keyword} is no list", path)
        return [(_scalar(item, (*path, number)), (*path, number)) for number, item in enumerate(value)]
    if isinstance(value, str) and isinstance(reads, LINES):
        lines = list(lex([("", 1, value, None)], frozenset()))
        if len(lines) != 1 or lines[0].problem or lines[0].opens or lines[0].closes:
            raise _Unusable(f"a value of {row.keyword} is one line of words", path)
        return [(word, path) for word in lines[0].words]
    if isinstance(value, int) and isinstance(reads, OCTAL):
        return [(f"0{value:o}" if value >= 0 else str(value), path)]
    return [(_scalar(value, path), path)]


def _value_words(row: Row, value: Any, path: Path, log: Log) -> list[_Word]:
    """The words of a line of a block of values."""
    words = [] if isinstance(value, bool) else _words(row, value, path, log)
    if not words:
        raise _Unusable(f"this says nothing in {row.keyword}", path)
    _sayable(lambda: line_text([word for word, _path in words]), path)
    return words


def _table_words(parts: tuple[Part, ...], table: Mapping[str, Any], path: Path) -> list[_Word]:
    words: list[_Word] = []
    for part in parts:
        if part.key not in table:
            continue
        where, value = (*path, part.key), table[part.key]
        if part.switch:
            if not isinstance(value, bool):
                raise _Unusable(f"{part.key} is true or false", where)
            if value or part.off:
                words.append((part.word if value else part.off, where))
            continue
        if part.word:
            words.append((part.word, where))
        words.append((_scalar(value, where), where))
    return words


def _checked(parts: tuple[Part, ...], keyword: str, table: dict[str, Any], path: Path, log: Log) -> dict[str, Any]:
    """The table, if it has no other keys and none is missing."""
    known = [part.key for part in parts]
    for key in table:
        if key not in known:
            hint = log.nearest(key, known) or "known: " + ", ".join(known)
            raise _Unusable(f"{keyword} has no '{shown(key)}'", (*path, key), hint, key=True)
    missing = [part.key for part in parts if part.required and part.key not in table]
    if missing:
        raise _Unusable(f"{keyword} needs '{missing[0]}'", path)
    return table


def _scalar(value: Any, path: Path) -> str:
    """A text or a number as one word."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() and abs(value.adjusted()) < _DIGITS_MAX else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value.bit_length() <= _BITS_MAX else hex(value)[:_DIGITS_MAX]
    raise _Unusable("neither a text nor a number", path)
