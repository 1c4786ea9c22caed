"""
Text to logical lines: comments gone, words with their columns, braces told apart from words.

* A logical line ends at the end of the line, after `{`, and before and after `}`.
* `"..."` is one word; `!` and `#` outside quotes start a comment, unless a backslash stands before them.
* Keywords whose value is a command are lexed like a shell does it, see `split_command`.
* A word ends at a quote that is never closed, and the line has only the words before it, as in keepalived.
* Nothing here fails: a line that cannot be read carries its problem.

What `preprocess.py` replaced is lexed as it would be if it had been typed; its places stay those of the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import count, repeat
from typing import Final

from pyvrrp.config.expansion import Expansion, Physical
from pyvrrp.config.values import Place

LINE_LENGTH: Final = 1024  # keepalived's own limit; a longer line is reported and ignored
UNTERMINATED: Final = "unterminated quote"
NUL: Final = "the line holds a NUL octet and is ignored"

_BLANK = r" \t\r\f\v"
_BLANKS: Final = " \t\r\f\v"
_WORD: Final = re.compile(rf'"([^"]*+)"|([^{_BLANK}"]++)|(")')
_PLAIN_WORD: Final = re.compile(rf"[^{_BLANK}]++")
_SPECIAL_IN_LINE: Final = re.compile(r'[{}"!#\\\0]')
_KEYWORD: Final = re.compile(rf"[{_BLANK}]*+([A-Za-z0-9_]++)")
_DOUBLE_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SINGLE_QUOTED = r"'[^'\\]*+(?:\\.[^'\\]*+)*+'"
_PARAMETER = r'\$\{[^{}"\n]*+\}'
_SPECIAL: Final = re.compile(rf'\\.|{_DOUBLE_QUOTED}|{_PARAMETER}|["{{}}!#]')
_SPECIAL_IN_COMMAND: Final = re.compile(rf'\\.|{_DOUBLE_QUOTED}|{_SINGLE_QUOTED}|{_PARAMETER}|["{{}}!#]')


class Line:
    """
    A logical line.

    Attributes:
        file: Where it stands, as in messages.
        number: Line number in the file, from 1.
        start: Column where *text* begins, from 0.
        text: What stands there, without comment and brace.
        words: Its words, unquoted.
        opens: A `{` follows.
        closes: It is a `}` and nothing else.
        problem: Why the line cannot be read, or empty.
        mended: It is read nevertheless.
        expansion: Where its parts come from if it was expanded.
        order: It is the so manieth line of all that are read, over all files.
    """

    __slots__ = (
        "closes",
        "expansion",
        "file",
        "mended",
        "number",
        "opens",
        "order",
        "problem",
        "start",
        "text",
        "words",
    )

    def __init__(self, file: str, number: int, start: int, text: str, *, opens: bool, closes: bool) -> None:
        self.file = file
        self.number = number
        self.start = start
        self.text = text
        self.opens = opens
        self.closes = closes
        self.words: list[str] = []
        self.problem = ""
        self.mended = False
        self.expansion: Expansion | None = None
        self.order = 0

    def place(self, word: int) -> Place:
        """Where that word begins; after the last word if there are not so many."""
        if not word:
            first = _WORD.search(self.text)
            begin, end = first.span() if first else (0, 0)
        else:
            spans = [match.span() for match in _WORD.finditer(self.text)]
            if word < len(spans):
                begin, end = spans[word]
            else:
                begin = end = spans[-1][1] if spans else 0
        if self.expansion is None:
            return Place(self.file, self.number, self.start + begin + 1)
        return self.expansion.place(self.file, self.number, self.start + begin, self.start + end)

    def seen_from(self, other: Line) -> str:
        """Where it is, as a message about the other line says it."""
        return f"line {self.number}" + ("" if self.file == other.file else f" of {self.file}")

    @property
    def command(self) -> str:
        """What follows the first word, as it was typed."""
        match = _PLAIN_WORD.search(self.text)
        return self.text[match.end() :] if match else ""


def physical_lines(text: str, file: str) -> Iterator[Physical]:
    """The lines of a file as they stand there."""
    return zip(repeat(file), count(1), text.removeprefix("\ufeff").removesuffix("\n").split("\n"), repeat(None))


def lex(physical: Iterable[Physical], commands: AbstractSet[str]) -> Iterator[Line]:
    """
    Cut physical lines into logical ones.

    Args:
        physical: Lines of one or several files.
        commands: Keywords whose value is a command.

    Yields:
        Logical lines with at least one word, a brace or a problem. A `{` that stands alone belongs to the line before.
    """
    waiting: Line | None = None
    for line in _logical_lines(physical, commands):
        if line.opens and not line.words and waiting is not None and not (waiting.opens or waiting.closes):
            waiting.opens = True
            continue
        if waiting is not None:
            yield waiting
        waiting = line
    if waiting is not None:
        yield waiting


def _logical_lines(physical: Iterable[Physical], commands: AbstractSet[str]) -> Iterator[Line]:
    for file, number, raw, expansion in physical:
        if expansion is not None:
            yield from _expanded(raw, file, number, commands, expansion)
            continue
        special = _SPECIAL_IN_LINE.search(raw)
        if special is None:
            words = _PLAIN_WORD.findall(raw)
            if words:
                line = Line(file, number, 0, raw, opens=False, closes=False)
                line.words = words
                if len(raw) > LINE_LENGTH:
                    _too_long(line)
                yield line
            continue
        if len(raw) <= LINE_LENGTH and special.end() == len(raw.rstrip(_BLANKS)) and special.group() in "{}":
            text = raw[: special.start()]  # the usual form of a block's first and last line
            words = _PLAIN_WORD.findall(text)
            if special.group() == "{":
                line = Line(file, number, 0, text, opens=True, closes=False)
                line.words = words
                yield line
                continue
            if not words:
                yield Line(file, number, special.start(), "}", opens=False, closes=True)
                continue
        yield from _cut(raw, file, number, commands)


def _expanded(raw: str, file: str, number: int, commands: AbstractSet[str], expansion: Expansion) -> Iterator[Line]:
    if expansion.problem:
        line = Line(file, number, 0, raw, opens=raw.endswith("{"), closes=False)
        line.problem = expansion.problem
        line.expansion = expansion
        yield line
        return
    for line in _cut(raw, file, number, commands):
        line.expansion = expansion
        yield line


def _too_long(line: Line) -> None:
    line.problem = f"the line has {len(line.text)} characters; more than {LINE_LENGTH} are ignored"
    line.words = line.words[:1]


def marks(raw: str, commands: AbstractSet[str]) -> Iterator[re.Match[str]]:
    """What is special in a line outside of quotes: braces, up to an open quote or the begin of a comment."""
    position = 0
    special = _special_at(raw, 0, commands)
    while match := special.search(raw, position):
        position = match.end()
        found = match.group()
        if found in ("{", "}"):
            yield match
            special = _special_at(raw, position, commands)
        elif found in ('"', "!", "#"):
            yield match
            return


def comment_at(raw: str, commands: AbstractSet[str]) -> int:
    """Where the comment of a line begins; its length if it has none."""
    if "#" in raw or "!" in raw:
        for mark in marks(raw, commands):
            if mark.group() in ("!", "#"):
                return mark.start()
    return len(raw)


def _cut(raw: str, file: str, number: int, commands: AbstractSet[str]) -> Iterator[Line]:
    """Cut one physical line at its braces."""
    stray = raw.endswith("\\") and not raw.endswith("\\\\")
    if stray:
        raw = raw[:-1]
    pieces: list[Line] = []
    problem = ""
    begin = 0
    end = len(raw)
    for mark in marks(raw, commands):
        if mark.start() > LINE_LENGTH:
            break
        found = mark.group()
        if found == '"':
            problem = UNTERMINATED
        elif found in ("!", "#"):
            end = mark.start()
        else:
            opens = found == "{"
            _take(pieces, Line(file, number, begin, raw[begin : mark.start()], opens=opens, closes=False), commands)
            if not opens:
                pieces.append(Line(file, number, mark.start(), "}", opens=False, closes=True))
            begin = mark.end()
    last = Line(file, number, begin, raw[begin:end], opens=False, closes=False)
    last.problem = problem
    _take(pieces, last, commands)
    if end > LINE_LENGTH or "\0" in raw[:end]:
        whole = Line(file, number, 0, raw[:end], opens=raw[:end].rstrip(_BLANKS).endswith("{"), closes=False)
        if end > LINE_LENGTH:
            _too_long(whole)
        else:
            whole.problem = NUL
        yield whole
        return
    if stray:
        _tell_stray(pieces, Line(file, number, len(raw), "\\", opens=False, closes=False))
    yield from pieces


def _tell_stray(pieces: list[Line], stray: Line) -> None:
    r"""keepalived takes a `\` at the end for a part of the last word, which is never what was meant."""
    if not pieces or pieces[-1].opens or pieces[-1].closes:
        pieces.append(stray)
    if not pieces[-1].problem:
        pieces[-1].problem = "a backslash at the end of a line continues definitions only; it is ignored"
        pieces[-1].mended = True


def _special_at(raw: str, begin: int, commands: AbstractSet[str]) -> re.Pattern[str]:
    keyword = _KEYWORD.match(raw, begin)
    return _SPECIAL_IN_COMMAND if keyword and keyword[1] in commands else _SPECIAL


def _take(pieces: list[Line], line: Line, commands: AbstractSet[str]) -> None:
    """Find the words of a piece; a piece without any counts only if it opens a block, or cannot be read."""
    is_command = False
    for quoted, bare, quote in _WORD.findall(line.text):
        if quote and not is_command:
            line.problem = UNTERMINATED
            break
        if bare:
            line.words.append(bare.replace("\\#", "#").replace("\\!", "!") if "\\" in bare else bare)
            is_command = is_command or line.words[0] in commands
        else:
            line.words.append(quoted)
    line.mended = bool(line.problem and line.words and not is_command)
    if line.words or line.opens or line.problem:
        pieces.append(line)


_COMMAND_PART: Final = re.compile(
    rf"(?P<blank>[{_BLANK}\n]++)|(?P<quote>[\"'])|\\(?P<code>[0-7]{{1,3}}|x[0-9A-Fa-f]{{1,2}}|c.|.|$)"
    rf"|(?P<plain>[^{_BLANK}\n\\\"']++)",
    re.DOTALL,
)
_QUOTED_PART: Final = {
    quote: re.compile(
        rf"(?P<quote>{quote})|\\(?P<code>[0-7]{{1,3}}|x[0-9A-Fa-f]{{1,2}}|c.|.|$)|(?P<plain>[^\\{quote}]++)", re.DOTALL
    )
    for quote in "\"'"
}
_ESCAPES: Final = {
    "a": "\a",
    "b": "\b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


def split_command(text: str) -> list[str]:
    r"""
    Split into words as a shell would, with `"..."`, `'...'` and C-like escapes in and out of quotes.

    Raises:
        ValueError: A quote is not closed; the message names which.

    Source:
        keepalived.conf(5); `\q` for a letter without meaning is `q`, as run with 2.2.7.
    """
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    position = 0
    while position < len(text):
        match = (_QUOTED_PART[quote] if quote else _COMMAND_PART).match(text, position)
        assert match is not None  # every character is one of the parts
        position = match.end()
        kind = match.lastgroup
        if kind == "blank":
            if word is not None:
                words.append("".join(word))
            word = None
            continue
        word = [] if word is None else word
        if kind == "quote":
            quote = "" if quote else match["quote"]
        elif kind == "code":
            word.append(_unescape(match["code"]))
        else:
            word.append(match["plain"])
    if quote:
        raise ValueError(f"missing terminating {quote}")
    if word is not None:
        words.append("".join(word))
    return words


def _unescape(code: str) -> str:
    if code[:1].isdigit() and code.isascii() and code[0] < "8":
        return chr(int(code, 8) & 0xFF)
    if len(code) > 1:
        return chr(int(code[1:], 16)) if code[0] == "x" else chr(ord(code[1]) & 0x1F)
    return _ESCAPES.get(code, code)
