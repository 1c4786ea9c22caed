"""Text of at most so many columns: labels on the left, what belongs to them wrapped beside."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from pyvrrp.explain.paint import Paint

WIDTH: Final = 100
LABEL: Final = 26
_GAP: Final = 2
_BLANKS: Final = "\t\n\v\f\r"  # textwrap makes one blank of any of them
_LEAST: Final = 30  # a column is not made narrower than that for the sake of the width


class Layout:
    """Collects lines; what is wider than the page is wrapped, words that are themselves wider stay whole."""

    def __init__(self, paint: Paint) -> None:
        self.paint = paint
        self._lines: list[str] = []

    def line(self, text: str = "", what: str = "") -> None:
        """A line as it is."""
        self._lines.append(self.paint(text, what) if what else text)

    def row(self, label: str, text: str, indent: int = 2) -> None:
        """A label, and text beside it."""
        head = " " * indent + label
        first = f"{head:<{LABEL}}" if len(head) < LABEL else f"{head} "
        lines = wrap(text, WIDTH - LABEL)
        if len(head) >= LABEL and len(first) + len(lines[0]) > WIDTH:
            self._lines.append(head)
            first = " " * LABEL
        self._lines.append(first + lines[0])
        self._lines += [" " * LABEL + each for each in lines[1:]]

    def rows(self, label: str, texts: Iterable[str], indent: int = 2) -> None:
        """Several texts under one label."""
        for text in texts:
            self.row(label, text, indent)
            label = ""

    def paragraph(self, text: str, indent: int, sign: str = "", what: str = "") -> None:
        """Wrapped text, with a sign before its first line."""
        inner = indent + len(sign)
        for number, each in enumerate(wrap(text, WIDTH - inner)):
            head = " " * indent + self.paint(sign, what) if sign and not number else " " * inner
            self._lines.append(head + each)

    def value(self, name: str, text: str, origin: str) -> None:
        """A value between its name and where it came from; both move to lines of their own where they must."""
        lines = wrap(text, 41)
        head = f"    {name} "
        if len(head) > 30:
            self._lines.append(head.rstrip())
            head = ""
        for number, each in enumerate(lines):
            last = number == len(lines) - 1
            body = f"{'' if number else head:<30}{each}"
            if last and len(body) < 71 and len(origin) <= WIDTH - 72:
                self._lines.append(f"{body:<72}{self.paint(origin, 'dim')}")
            else:
                self._lines.append(body)
                if last:
                    self.paragraph(origin, 32)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], indent: int = 2) -> None:
        """Columns as wide as they need to be; the first gives way where they are too wide together."""
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        room = WIDTH - indent - sum(width + _GAP for width in widths[1:])
        widths[0] = max(min(widths[0], room), min(_LEAST, widths[0]))
        for number, cells in enumerate((heads, *rows)):
            first = wrap(cells[0], widths[0])
            rest = (f"{cell:<{width + _GAP}}" for cell, width in zip(cells[1:], widths[1:], strict=True))
            text = f"{' ' * indent}{first[0]:<{widths[0] + _GAP}}{''.join(rest)}".rstrip()
            self._lines.append(text if number else self.paint(text, "dim"))
            self._lines += [" " * (indent + 2) + each for each in first[1:]]

    def text(self) -> str:
        """All of it."""
        return "".join(f"{line.rstrip()}\n" for line in self._lines)


def wrap(text: str, width: int) -> list[str]:
    """Lines of that width, of characters that do nothing to a terminal; one that is empty for no text."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() or each in _BLANKS else ascii(each)[1:-1] for each in text)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
