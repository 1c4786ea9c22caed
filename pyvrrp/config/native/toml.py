"""
The model to the native form: TOML that `tomllib` reads back to the same values, with comments that say units.

A small writer, total and exact: strings are escaped, numbers are the digits that the words have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pyvrrp.config.model import Command, Configuration
from pyvrrp.config.native.forms import LINES, LISTS, NUMBERS, OCTAL, TABLES, Part, table_of, unit_of
from pyvrrp.config.native.say import statements
from pyvrrp.config.native.statement import Statement, reader_of
from pyvrrp.config.readers import Boolean
from pyvrrp.config.rows import Row, Shape
from pyvrrp.config.write import line_text, shell_text, statement_text

HEAD: Final = """\
# The native form of pyvrrp: the keywords of keepalived.conf as keys. `pyvrrp convert --schema` prints its schema,
# `pyvrrp convert FILE.toml` writes a keepalived.conf that means the same.
"""
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+", re.ASCII)
_SPECIAL: Final = re.compile(r'[\0-\x1f\x7f"\\]')
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_WIDTH: Final = 100  # a longer list has a line for each value


def to_native(configuration: Configuration, *, full: bool = False) -> str:
    """
    Write a configuration.

    Args:
        configuration: What to write, usually `Parsed.everything`.
        full: Defaults are written too.

    Raises:
        UsageError: It holds what a file cannot say; no configuration that was read does.
    """
    said = statements(configuration, full=full)
    plain = [each for each in said if each.row.shape is not Shape.BLOCK]
    lines = [HEAD.rstrip("\n"), *_lines(plain)]
    for each in said:
        if each.row.shape is Shape.BLOCK:
            keyword = each.row.keyword
            several = each.row.named or each.row.repeats
            lines += ["", f"[[{keyword}]]" if several else f"[{keyword}]"]
            if each.words:
                lines.append(f"name = {string(each.words[0])}")
            lines += _lines(each.body)
    return "".join(line + "\n" for line in lines)


def string(text: str) -> str:
    """A string of TOML; without escapes where that is possible."""
    if not _SPECIAL.search(text):
        return f'"{text}"'
    if "'" not in text and not re.search(r"[\0-\x1f\x7f]", text):
        return f"'{text}'"
    return '"' + _SPECIAL.sub(lambda found: _escape(found.group()), text) + '"'


def _escape(letter: str) -> str:
    return _ESCAPES.get(letter) or f"\\u{ord(letter):04X}"


def _lines(said: tuple[Statement, ...] | list[Statement]) -> Iterator[str]:
    for each in said:
        unit = unit_of(each.row)
        yield f"{each.row.keyword} = {_value(each)}" + (f"  # {unit}" if unit else "")


def _list(values: list[str]) -> str:
    short = f"[{', '.join(values)}]"
    if len(short) <= _WIDTH:
        return short
    return "[\n" + "".join(f"    {value},\n" for value in values) + "]"


def _inline(values: dict[str, str]) -> str:
    return "{ " + ", ".join(f"{key} = {value}" for key, value in values.items()) + " }"


def _value(said: Statement) -> str:
    """The value of a key."""
    row = said.row
    if row.shape is Shape.BLOCK:
        keys: dict[str, list[str]] = {}
        for each in said.body:
            keys.setdefault(each.row.keyword, []).append(_value(each))
        repeating = {each.row.keyword for each in said.body if each.row.repeats}
        return _inline({key: f"[{', '.join(found)}]" if key in repeating else found[0] for key, found in keys.items()})
    if row.shape is Shape.LINES:
        for words in said.lines:
            line_text(words)  # what keepalived.conf cannot hold, this form does not either
        return _list([_words(row, words) for words in said.lines])
    if said.off:
        return "false"
    statement_text(said)
    return _words(row, said.words) if said.command is None else _command(said.command)


def _command(command: Command) -> str:
    text = string(shell_text(command.argv))
    if command.user is None:
        return text
    table = {"command": text, "user": string(command.user)}
    if command.group is not None:
        table["group"] = string(command.group)
    return _inline(table)


def _words(row: Row, words: tuple[str, ...]) -> str:
    """The value that says these words."""
    reads = reader_of(row)
    if not words:
        return "true"
    if isinstance(reads, Boolean):
        return "true" if words[0] == "on" else "false"
    if isinstance(reads, OCTAL):
        return f"0o{words[0]}"
    parts = TABLES.get(type(reads), ())
    table = table_of(parts, words) if parts else {}
    if (len(words) > 1 and parts) or True in table.values():
        known = {part.key: part for part in parts}
        return _inline({key: _part(known[key], value) for key, value in table.items()})
    if isinstance(reads, LINES):
        return string(line_text(words))
    numeric = isinstance(reads, NUMBERS) or any(part.number and part.key in table for part in parts)
    scalars = [_scalar(word, number=numeric) for word in words]
    return _list(scalars) if len(words) > 1 or isinstance(reads, LISTS) else scalars[0]


def _part(part: Part, value: str | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _scalar(value, number=part.number)


def _scalar(word: str, *, number: bool) -> str:
    return word if number and _NUMBER.fullmatch(word) else string(word)
