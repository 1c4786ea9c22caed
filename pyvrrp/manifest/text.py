"""
Plain values as YAML: mappings, lists, strings, integers, booleans; nothing else occurs in a manifest.

A string stands bare only where no reader, of YAML 1.1 or 1.2, can take it for anything else; one of several lines
stands as it is (`|`) where that is exact, and everything else in double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from pyvrrp.errors import UsageError

Value: TypeAlias = "Mapping[str, Value] | Sequence[Value] | str | int | bool"
Object: TypeAlias = Mapping[str, Value]

_BARE: Final = re.compile(r"[A-Za-z/](?:[A-Za-z0-9_./-]|:(?=[A-Za-z0-9_./-]))*", re.ASCII)
_WORDS: Final = frozenset(
    {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}
)  # YAML 1.1 has a meaning for them
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
_IN_BLOCK: Final = frozenset("\n\t\u00a0\u3000")  # beside what is printable: breaks, and blanks of a script's comments
_WIDTH: Final = 2


def to_yaml(documents: Iterable[Object]) -> str:
    """
    Write documents, with `---` between them.

    Raises:
        UsageError: A string holds octets that are no UTF-8, which YAML cannot say.
    """
    return "---\n".join("".join(f"{line}\n" for line in _lines(document)) for document in documents)


def _lines(value: Mapping[str, Value] | Sequence[Value]) -> list[str]:
    """A block collection that is not empty, unindented."""
    if isinstance(value, Mapping):
        return [line for key, entry in value.items() for line in _entry(f"{_scalar(key)}:", entry)]
    return [line for entry in value for line in _item(entry)]


def _entry(head: str, value: Value) -> list[str]:
    if isinstance(value, str):
        return _block(head, value) or [f"{head} {_scalar(value)}"]
    if isinstance(value, int) or not value:
        return [f"{head} {_scalar(value)}"]
    return [head, *_indented(_lines(value))]


def _item(value: Value) -> list[str]:
    if isinstance(value, (str, int)) or not value:
        return [f"- {_scalar(value)}"]
    first, *rest = _lines(value)
    return [f"- {first}", *_indented(rest)]


def _indented(lines: Iterable[str]) -> list[str]:
    return [" " * _WIDTH + line if line else line for line in lines]


def _block(head: str, text: str) -> list[str]:
    """A text of several lines as it is; nothing where that would change it."""
    if "\n" not in text or text[0].isspace():
        return []  # without a line of its own to measure by, the depth of the block would be a guess
    if not all(character.isprintable() or character in _IN_BLOCK for character in text):
        return []
    body = text.rstrip("\n")
    breaks = len(text) - len(body)
    chomping = ("-", "", "+")[min(breaks, 2)]
    return [f"{head} |{chomping}", *_indented((body + "\n" * max(breaks - 1, 0)).split("\n"))]


def _scalar(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return value if _is_bare(value) else _quoted(value)
        case Mapping():
            return "{}"
        case _:
            return "[]"


def _is_bare(text: str) -> bool:
    return _BARE.fullmatch(text) is not None and text.lower() not in _WORDS


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(character) or _character(character) for character in text) + '"'


def _character(character: str) -> str:
    number = ord(character)
    if 0xD800 <= number <= 0xDFFF:
        raise UsageError("a value holds octets that are no UTF-8; a manifest cannot say them")
    if character.isprintable():
        return character
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
