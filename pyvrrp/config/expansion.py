"""
Where the characters of an expanded line come from, so that a complaint can show the place that somebody typed.

A line out of which `$NAME` was replaced consists of parts: some stand in the file as they are, all characters of the
others have the place of the reference that they replace.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from pyvrrp.config.values import Place


@dataclass(frozen=True, slots=True)
class ExpandedPlace(Place):
    """
    A place whose text is not what stands there.

    Attributes:
        via: Where the text comes from, in a few words.
    """

    via: str = field(default="", compare=False)


class Part(NamedTuple):
    """
    A part of an expanded line.

    Attributes:
        start: Where it begins in the expanded line, from 0.
        column: Where it stands in the file, from 0.
        source: The definition that it comes out of; None is the file itself.
    """

    start: int
    column: int
    source: Place | None = None
    name: str = ""


class Expansion:
    """
    How one line was expanded.

    Attributes:
        parts: Its parts in their order; the first begins at 0.
        problem: Why it could not be; the line is then as it was, and all of it has the place of what is wrong.
    """

    __slots__ = ("parts", "problem")

    def __init__(self, parts: list[Part], problem: str = "") -> None:
        self.parts = parts
        self.problem = problem

    def place(self, file: str, number: int, start: int, end: int) -> Place:
        """The place of the word from *start* to *end* (from 0, in the expanded line)."""
        first = bisect_right(self.parts, start, key=_start) - 1
        part = self.parts[first]
        column = part.column if part.source else part.column + start - part.start
        for each in self.parts[first:]:
            if each.start >= max(end, start + 1):
                break
            if each.source is not None:
                return ExpandedPlace(file, number, column + 1, _via(each, file))
        return Place(file, number, column + 1)


def _start(part: Part) -> int:
    return part.start


def _via(part: Part, file: str) -> str:
    assert part.source is not None
    where = f"line {part.source.line}" if part.source.file == file else f"{part.source.file}:{part.source.line}"
    return f"out of ${part.name}, see {where}" if part.source.line else f"out of ${part.name}"


# A line as it is lexed: file, line number from 1, text, and how it was expanded if it was.
Physical: TypeAlias = tuple[str, int, str, Expansion | None]
