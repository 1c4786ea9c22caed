"""
Text to logical lines: comments gone, words with their columns, braces told apart from words.

* A logical line ends at the end of the line, after `{`, and before and after `}`.
* `"..."` is one word; `!` and `#` outside quotes start a comment, unless a backslash stands before them.
* Keywords whose value is a command are lexed like a shell does it, see `split_command`.
* Nothing here fails: a line that cannot be read carries its problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from pyvrrp.config.model import Place

LINE_LENGTH: Final = 1024  # keepalived's own limit; a longer line is reported and ignored

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
_DEFINITION: Final = re.compile(rf"[{_BLANK}]*+\$[A-Za-z_][A-Za-z0-9_]*+=")


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
    """

    __slots__ = ("closes", "file", "number", "opens", "problem", "start", "text", "words")

    def __init__(self, file: str, number: int, start: int, text: str, *, opens: bool, closes: bool) -> None:
        self.file = file
        self.number = number
        self.start = start
        self.text = text
        self.opens = opens
        self.closes = closes
        self.words: list[str] = []
        self.problem = ""

    def place(self, word: int) -> Place:
        """Where that word begins; after the last word if there are not so many."""
        if not word:
            first = _WORD.search(self.text)
            return Place(self.file, self.number, self.start + (first.start() if first else 0) + 1)
        spans = [match.span() for match in _WORD.finditer(self.text)]
        if word < len(spans):
            column = spans[word][0]
        elif spans:
            column = spans[-1][1]
        else:
            column = 0
        return Place(self.file, self.number, self.start + column + 1)

    @property
    def command(self) -> str:
        """What follows the first word, as it was typed."""
        match = _PLAIN_WORD.search(self.text)
        return self.text[match.end() :] if match else ""


def lex(text: str, file: str, commands: AbstractSet[str]) -> Iterator[Line]:
    """
    Cut a text into logical lines.

    Args:
        text: All of the file.
        file: Its name, as in messages.
        commands: Keywords whose value is a command.

    Yields:
        Logical lines with at least one word, a brace or a problem. A `{` that stands alone belongs to the line before.
    """
    waiting: Line | None = None
    for line in _logical_lines(text, file, commands):
        if line.opens and not line.words and waiting is not None and not (waiting.opens or waiting.closes):
            waiting.opens = True
            continue
        if waiting is not None:
            yield waiting
        waiting = line
    if waiting is not None:
        yield waiting


def _logical_lines(text: str, file: str, commands: AbstractSet[str]) -> Iterator[Line]:
    in_definition = False
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if in_definition:  # the value of `$NAME= \` goes on while lines end in a backslash
            in_definition = raw.rstrip(_BLANKS).endswith("\\")
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
        if "$" in raw and _DEFINITION.match(raw):
            in_definition = raw.rstrip(_BLANKS).endswith("\\")
            line = Line(file, number, 0, raw, opens=False, closes=False)
            line.words = _PLAIN_WORD.findall(raw)
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
        if raw.endswith("\\") and not raw.endswith("\\\\"):  # means something in definitions only
            raw = raw[:-1]  # noqa: PLW2901
        yield from _cut(raw, file, number, commands)


def _too_long(line: Line) -> None:
    line.problem = f"the line has {len(line.text)} characters; more than {LINE_LENGTH} are ignored"
    line.words = line.words[:1]


def _cut(raw: str, file: str, number: int, commands: AbstractSet[str]) -> Iterator[Line]:
    """Cut one physical line at its braces."""
    pieces: list[Line] = []
    problem = ""
    begin = position = 0
    end = len(raw)
    special = _special_at(raw, begin, commands)
    while match := special.search(raw, position):
        position = match.end()
        if match.start() > LINE_LENGTH:
            break
        found = match.group()
        if found == '"':
            problem = "unterminated quote"
            break
        if found in ("!", "#"):
            end = match.start()
            break
        if found in ("{", "}"):
            opens = found == "{"
            _take(pieces, Line(file, number, begin, raw[begin : match.start()], opens=opens, closes=False), commands)
            if not opens:
                pieces.append(Line(file, number, match.start(), "}", opens=False, closes=True))
            begin = position
            special = _special_at(raw, begin, commands)
    last = Line(file, number, begin, raw[begin:end], opens=False, closes=False)
    last.problem = problem
    if problem:
        pieces.append(last)
    else:
        _take(pieces, last, commands)
    if end > LINE_LENGTH or "\0" in raw[:end]:
        whole = Line(file, number, 0, raw[:end], opens=raw[:end].rstrip(_BLANKS).endswith("{"), closes=False)
        if end > LINE_LENGTH:
            _too_long(whole)
        else:
            whole.problem = "the line holds a NUL octet and is ignored"
        yield whole
    else:
        yield from pieces


def _special_at(raw: str, begin: int, commands: AbstractSet[str]) -> re.Pattern[str]:
    keyword = _KEYWORD.match(raw, begin)
    return _SPECIAL_IN_COMMAND if keyword and keyword[1] in commands else _SPECIAL


def _take(pieces: list[Line], line: Line, commands: AbstractSet[str]) -> None:
    """Find the words of a piece; a piece without any counts only if it opens a block."""
    is_command = False
    for quoted, bare, quote in _WORD.findall(line.text):
        if quote and not is_command:
            line.problem = line.problem or "unterminated quote"
        if bare:
            line.words.append(bare.replace("\\#", "#").replace("\\!", "!") if "\\" in bare else bare)
            is_command = is_command or line.words[0] in commands
        else:
            line.words.append(quoted)
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
