"""
Complaints about files as a compiler shows them: the place, the line itself, the word underlined, what would be right.

* Nothing secret is shown: what stands behind `auth_pass` and its like, or in a block with keys, is masked.
* Pure: the texts of the files come from whoever read them.
"""

from __future__ import annotations

import enum
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pyvrrp.config.complaints import Complaint, Parsed, Severity
from pyvrrp.explain.paint import PLAIN, Paint

WIDTH: Final = 100
MASK: Final = "********"
EXIT_CLEAN: Final = 0
EXIT_ERRORS: Final = 2
EXIT_WARNINGS: Final = 3

_GUTTER: Final = 9  # "  1234 | "
_SECRET_BLOCK: Final = re.compile(r"(?<![\w$])(?:authentication|auth_hmac)(?!\w)")
_SECRET: Final = re.compile(r"(?<!\w)\$?(?:auth_(?!type)\w*|pass\w*|pw|key|secret\w*|psk)(?!\w)", re.IGNORECASE)
_HARMLESS: Final = re.compile(r"\s*(?:auth_type\s+(?:PASS|AH))?\s*\}?\s*")
_WORD: Final = re.compile(r'"[^"]*"?|[{}]|\$\{[^{}]*\}|[^\s{}"]+')


class Level(enum.StrEnum):
    """How bad a finding is, as people and tools are told."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


_LEVELS: Final = {
    Severity.NOTE: Level.NOTE,
    Severity.UNSUPPORTED: Level.WARNING,
    Severity.SECURITY: Level.WARNING,
    Severity.WARNING: Level.WARNING,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing to say about a file.

    Attributes:
        file: As it was named.
        line: From 1; None is the file as a whole.
        column: From 1; None likewise.
        level: How bad it is.
        code: Stable, one of `config.codes.Code`.
        message: One line.
        hint: What would be right, or empty.
        dropped: Something that was asked for is not done.
    """

    file: str
    line: int | None
    column: int | None
    level: Level
    code: str
    message: str
    hint: str = ""
    dropped: bool = False

    @property
    def where(self) -> str:
        """Place, as editors understand it."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": self.level.value,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "dropped": self.dropped,
        }


def findings_of(parsed: Parsed, *, strict: bool = False) -> tuple[Finding, ...]:
    """
    What there is to say about one configuration.

    Args:
        parsed: As read.
        strict: What `run --strict` refuses is an error.
    """
    mistakes = frozenset(map(id, parsed.mistakes)) if strict else frozenset()
    return tuple(_finding(complaint, worse=id(complaint) in mistakes) for complaint in parsed.complaints)


def _finding(complaint: Complaint, *, worse: bool) -> Finding:
    place = complaint.place
    return Finding(
        file=place.file,
        line=place.line,
        column=place.column,
        level=Level.ERROR if worse else _LEVELS.get(complaint.severity, Level.ERROR),
        code=complaint.code.value,
        message=complaint.message,
        hint=complaint.hint,
        dropped=complaint.dropped,
    )


def exit_code(findings: Iterable[Finding]) -> int:
    """What `pyvrrp check` ends with: 2 with errors, 3 with warnings, else 0."""
    levels = {finding.level for finding in findings}
    return EXIT_ERRORS if Level.ERROR in levels else EXIT_WARNINGS if Level.WARNING in levels else EXIT_CLEAN


def summary(findings: Sequence[Finding], files: int) -> str:
    """The last line: how many of what."""
    looked = "1 file" if files == 1 else f"{files} files"
    counts = [_count(level, sum(finding.level is level for finding in findings)) for level in Level]
    return f"{looked}: {', '.join(filter(None, counts)) or 'nothing to complain of'}"


def _count(level: Level, number: int) -> str:
    return "" if not number else f"{number} {level}" if number == 1 else f"{number} {level}s"


def render(findings: Iterable[Finding], texts: Mapping[str, str], paint: Paint = PLAIN) -> str:
    """
    All findings for people, each with its line.

    Args:
        findings: In the order in which they are shown.
        texts: Text of each file by name; of a file that is not there no line is shown.
        paint: Puts colours in, or does not.
    """
    pages = {name: _Page(text) for name, text in texts.items()}
    return "".join(f"{line}\n" for finding in findings for line in _show(finding, pages.get(finding.file), paint))


def _show(finding: Finding, page: _Page | None, paint: Paint) -> Iterator[str]:
    level = paint(f"{finding.level}:", finding.level)
    yield f"{paint(finding.where, 'bold')}: {level} {finding.message} {paint(f'[{finding.code}]', 'dim')}"
    if page is not None and finding.line is not None and finding.column is not None:
        shown = page.excerpt(finding.line, finding.column)
        if shown is not None:
            text, under = shown
            yield f"{paint(f'{finding.line:>6} |', 'dim')} {text}".rstrip()
            yield f"{paint('       |', 'dim')} {paint(under, finding.level)}"
    if finding.hint:
        for number, text in enumerate(textwrap.wrap(finding.hint, WIDTH - _GUTTER - 6, break_on_hyphens=False)):
            yield f"{paint('       =', 'dim')} {'hint: ' if not number else '      '}{text}"


class _Page:
    """The lines of a file, and which of them hold secrets."""

    def __init__(self, text: str) -> None:
        self._lines = text.removeprefix("\ufeff").split("\n")
        self._inside: tuple[bool, ...] | None = None

    def excerpt(self, line: int, column: int) -> tuple[str, str] | None:
        """A line as it may be shown, and what stands under it; None if there is no such line."""
        if line > len(self._lines):
            return None
        masked, mask_at = self._masked(line - 1)
        start = column - 1
        if mask_at is not None and start > mask_at:
            start = mask_at
        word = _WORD.match(masked, start)
        end = word.end() if word else start + 1
        return _window(masked, start, max(end, start + 1))

    def _masked(self, at: int) -> tuple[str, int | None]:
        """A line without its secrets, and where the mask begins."""
        text = self._lines[at].removesuffix("\r")
        if self._inside is None:
            self._inside = tuple(_inside_secret_blocks(self._lines))
        secret = _SECRET.search(text)
        block = _SECRET_BLOCK.search(text)
        if self._inside[at] and not _HARMLESS.fullmatch(text):
            secret = _WORD.search(text) if secret is None else secret
        elif block is not None and secret is None:
            secret = block
        if secret is None:
            return text, None
        behind = text[secret.end() :]
        kept = len(behind) - len(behind.lstrip(" \t={"))
        cut = secret.end() + kept
        return (text, None) if not text[cut:].strip(" \t{}") else (text[:cut] + MASK, cut)


def _inside_secret_blocks(lines: Iterable[str]) -> Iterator[bool]:
    """Of each line whether it begins inside of a block that holds secrets; comments and quotes are not looked at."""
    depth = 0
    waiting = False
    for line in lines:
        yield depth > 0 or waiting
        for token in re.finditer(r"[{}]|(?<![\w$])(?:authentication|auth_hmac)(?!\w)", line):
            match token[0]:
                case "{":
                    depth += depth > 0 or waiting
                    waiting = False
                case "}":
                    depth = max(0, depth - 1)
                case _:
                    waiting = not depth


def _window(text: str, start: int, end: int) -> tuple[str, str]:
    """As much of a long line as fits, around the word, in printable characters; and the underline."""
    room = WIDTH - _GUTTER
    begin = 0
    if end > room - 3:
        begin = max(0, min(start - 10, end - room + 3))
    before, word, after = text[begin:start], text[start:end], text[end:]
    before, word = _printable(before), _printable(word)
    if begin:
        before = "..." + before[3:]
    word = word[: max(1, room - _width(before))]
    after = _printable(after)
    left = room - _width(before) - _width(word)
    if _width(after) > left:
        after = after[: max(0, left - 3)] + "..."[: max(0, left)]
    pad = "".join("\t" if letter == "\t" else " " * _width(letter) for letter in before)
    return before + word + after, pad + "^" + "~" * max(0, _width(word) - 1)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\t" else "\ufffd" for letter in text)


def _width(text: str) -> int:
    """Columns on a terminal, a tab as one: the underline has tabs where the line has them."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
