"""
The engine over the keyword table: logical lines in, what each block said out.

It knows shapes, not keywords. It never stops: what cannot be understood is complained about at its place and passed
over, a block as a block. Blocks are followed with a list, so nesting costs no recursion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pyvrrp.config.complaints import Log, Severity, shown
from pyvrrp.config.keywords import BY_BLOCK, COMMANDS, INCLUDES
from pyvrrp.config.lexer import Line, lex
from pyvrrp.config.readers import BadValue, Reading
from pyvrrp.config.rows import Block, Row, Shape, Status

_DEFINITION: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*+)=")
_USE: Final = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*+)(?: [^}]*+)?\}|([A-Za-z_][A-Za-z0-9_]*+)(?=[\s,)]|$))")
VALUES_MAX: Final = 255 * 255  # addresses of all the virtual routers that one interface can have in one family
# Of a block that is not supported as a whole, its keywords need not be told one by one.
_TOLD: Final = frozenset({Block.ROOT, Block.GLOBAL, Block.INSTANCE})
_BUILT_IN: Final = frozenset({"_PWD", "_INSTANCE", "_RANDOM", "_ENV", "_HASH", "_BANG"})


class Said(NamedTuple):
    """A value, and the line that said it."""

    value: Any
    line: Line


class Item(NamedTuple):
    """One line of a block of values."""

    value: Any
    line: Line


@dataclass(slots=True)
class Draft:
    """
    What a block said, not yet put together.

    Attributes:
        block: Which kind.
        name: Its name; empty if it has none.
        line: Where it begins.
        said: Values by target.
        items: Lines of its blocks of values by target.
        blocks: Keywords of the blocks of values that were there, empty or not.
        refusals: What it is not run for.
        misspoken: Lines whose value could not be used, by target.
    """

    block: Block
    name: str
    line: Line
    said: dict[str, Said] = field(default_factory=dict)
    items: dict[str, list[Item]] = field(default_factory=dict)
    blocks: dict[str, Line] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    misspoken: dict[str, Line] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Begin of a message about it."""
        return f"({shown(self.name)}) " if self.name else ""


@dataclass(slots=True)
class _Frame:
    """A block that is open: one of keywords, or if *row* is set one of values."""

    block: Block
    draft: Draft
    line: Line
    row: Row | None = None


@dataclass(slots=True)
class Drafts:
    """All blocks of a text."""

    root: Draft
    globals: Draft
    named: dict[Block, dict[str, Draft]]


def read(text: str, log: Log) -> Drafts:
    """Read a text to drafts; whatever is wrong with it goes to the log."""
    return _Engine(log).run(text)


class _Engine:
    def __init__(self, log: Log) -> None:
        self._log = log
        nowhere = Line(log.file, 1, 0, "", opens=False, closes=False)
        root = Draft(Block.ROOT, "", nowhere)
        self._drafts = Drafts(root, Draft(Block.GLOBAL, "", nowhere), {block: {} for block in Block})
        self._stack = [_Frame(Block.ROOT, root, nowhere)]
        self._passing = 0  # depth inside a block that is passed over
        self._passed_from = nowhere
        self._secret_line = 0  # number of the last line that held a secret
        self._defined: set[str] = set()
        self._values = 0  # lines of blocks of values so far

    def run(self, text: str) -> Drafts:
        for line in lex(text, self._log.file, COMMANDS):
            if self._passing:
                if line.closes:
                    self._passing -= 1
                elif line.opens:
                    self._passing += 1
            elif line.closes:
                self._close(line)
            elif line.problem:
                self._log.add(Severity.ERROR, line, line.problem, dropped=True)
                self._pass_over(line)
            elif not line.words:
                self._log.add(Severity.ERROR, line, "Unexpected '{' - its block is ignored", dropped=True)
                self._pass_over(line)
            elif self._is_preprocessed(line):
                self._pass_over(line)
            else:
                self._take(line)
        self._end()
        return self._drafts

    def _pass_over(self, line: Line) -> None:
        """If the line opens a block, nothing in it is read."""
        if line.opens:
            self._passing = 1
            self._passed_from = line

    def _close(self, line: Line) -> None:
        if len(self._stack) > 1:
            self._stack.pop()
        else:
            self._log.add(Severity.ERROR, line, "Extra '}' found", hint="nothing is open here", dropped=True)

    def _end(self) -> None:
        unclosed = [frame.line for frame in self._stack[1:]]
        if self._passing:
            unclosed.append(self._passed_from)
        for line in unclosed:
            what = f" of '{shown(line.words[0])}'" if line.words else ""
            self._log.add(Severity.ERROR, line, f"missing '}}': the block{what} is never closed", dropped=True)

    def _is_preprocessed(self, line: Line) -> bool:
        """Lines that keepalived's preprocessor would replace; said once for each kind, and passed over."""
        first = line.words[0]
        what = ""
        if first in INCLUDES:
            kind = first
        elif first.startswith("@"):
            kind, what = "@", "ID, a line for one configuration id,"
        elif first.startswith(("~SEQ", "~LST")):
            kind = first[:4]
        elif "$" in line.text and (name := self._parameter(line)):
            kind, what = "$", shown(name)
        else:
            return False
        if self._log.once(kind):
            self._log.add(
                Severity.UNUSABLE,
                line,
                f"{kind}{what} is not supported yet; without it this file cannot be understood",
                dropped=True,
            )
        return True

    def _parameter(self, line: Line) -> str:
        """Name of the parameter that the line defines or uses; empty if none, as `$` may be part of a value."""
        if definition := _DEFINITION.match(line.words[0]):
            self._defined.add(definition[1])
            return definition[1]
        for in_braces, bare in _USE.findall(line.text):
            if in_braces in self._defined or bare in self._defined or in_braces in _BUILT_IN:
                return str(in_braces or bare)
        return ""

    def _take(self, line: Line) -> None:
        frame = self._stack[-1]
        if frame.row is not None:
            if not line.opens:
                self._value(line, frame, frame.row)
            elif not self._stray_block(line):
                self._unknown(line, frame)
            return
        row = BY_BLOCK[frame.block].get(line.words[0])
        if row is None:
            if not (line.opens and self._stray_block(line)):
                self._unknown(line, frame)
        elif row.shape is Shape.LINE:
            self._keyword(line, frame, row)
            if line.opens:
                self._log.add(Severity.ERROR, line, "Unexpected '{' - its block is ignored", word=1, dropped=True)
                self._pass_over(line)
        elif not line.opens:
            self._log.add(Severity.ERROR, line, f"Missing '{{' at the beginning of block {row.keyword}", dropped=True)
        else:
            self._open(line, frame, row)

    def _outer(self, word: str) -> int:
        """Depth of the innermost open block in which that keyword may open a block; -1 for none."""
        for depth in range(len(self._stack) - 1, -1, -1):
            frame = self._stack[depth]
            row = BY_BLOCK[frame.block].get(word) if frame.row is None else None
            if row is not None and row.shape is not Shape.LINE:
                return depth
        return -1

    def _stray_block(self, line: Line) -> bool:
        """A block inside of one that holds none: if it belongs further out, a `}` was forgotten."""
        word = line.words[0]
        depth = self._outer(word)
        if depth < 0:
            return False
        frame, opened = self._stack[depth], self._stack[depth + 1].line
        self._log.add(
            Severity.ERROR,
            line,
            f"'{word}' inside of '{shown(opened.words[0])}'",
            hint=f"is the '}}' missing of the block that begins in line {opened.number}?",
            dropped=True,
        )
        del self._stack[depth + 1 :]
        self._open(line, frame, BY_BLOCK[frame.block][word])
        return True

    def _unknown(self, line: Line, frame: _Frame) -> None:
        """Say it, with the nearest known word; a whole block is passed over."""
        if self._log.full:
            self._log.add(Severity.ERROR, line, "Unknown keyword", dropped=True)
            self._pass_over(line)
            return
        word = line.words[0]
        # A secret with a brace or a blank in it ends up as a keyword.
        secret = frame.block in (Block.AUTHENTICATION, Block.AUTH_HMAC) or line.number == self._secret_line
        elsewhere = [block for block, rows in BY_BLOCK.items() if word in rows]
        if elsewhere:
            hint = f"it belongs in {' or '.join(elsewhere)}"
        else:
            hint = self._log.nearest(word, BY_BLOCK[frame.block])
        if secret and not elsewhere:
            word, hint = "***", hint or "a value with blanks or braces needs quotes"
        self._log.add(Severity.ERROR, line, f"Unknown keyword '{shown(word)}'", hint=hint, dropped=True)
        self._pass_over(line)

    def _open(self, line: Line, frame: _Frame, row: Row) -> None:
        words = line.words
        if row.shape is Shape.SKIP or row.shape is Shape.BLOCK:
            self._tell_status(row, frame.draft, line)
        if row.shape is Shape.SKIP:
            self._pass_over(line)
        elif row.shape is Shape.LINES:
            if len(words) > 1:
                self._log.add(Severity.ERROR, line, f"Block {row.keyword} has extra parameters", word=1, dropped=True)
            frame.draft.blocks.setdefault(row.keyword, line)
            self._stack.append(_Frame(frame.block, frame.draft, line, row))
        elif row.named:
            self._open_named(line, row)
        else:
            assert row.opens is not None
            draft = self._drafts.globals if row.opens is Block.GLOBAL else frame.draft
            self._stack.append(_Frame(row.opens, draft, line))

    def _open_named(self, line: Line, row: Row) -> None:
        assert row.opens is not None
        words = line.words
        known = self._drafts.named[row.opens]
        if len(words) != 2 or not words[1]:
            self._log.add(Severity.ERROR, line, f"{row.keyword} must have a name", word=1, dropped=True)
            self._pass_over(line)
        elif words[1] in known:
            self._log.add(
                Severity.ERROR,
                line,
                f"{row.keyword} {shown(words[1])} already defined",
                word=1,
                hint=f"in line {known[words[1]].line.number}",
                dropped=True,
            )
            self._pass_over(line)
        else:
            draft = known[words[1]] = Draft(row.opens, words[1], line)
            self._stack.append(_Frame(row.opens, draft, line))

    def _keyword(self, line: Line, frame: _Frame, row: Row) -> None:
        """A keyword with its arguments on the line."""
        if row.secret:
            self._secret_line = line.number
        draft = frame.draft
        reading = Reading(self._log, line, draft.label, draft.refusals, secret=row.secret)
        try:
            value = row.reads(reading)
        except BadValue as bad:
            self._complain(reading, bad)
            if row.on_bad is None:
                draft.misspoken[row.target] = line
                return
            value = row.on_bad
        self._tell_status(row, draft, line)
        if not row.target or value is None:
            return
        before = draft.said.get(row.target)
        if before is not None and before.value != value:
            if row.sticky is not None and before.value == row.sticky:
                reading.mend(f"{row.keyword} previously set as {row.sticky} - ignoring {shown(line.words[1])}")
                return
            if row.first_wins:
                reading.lose(
                    f"{row.keyword} already specified - ignoring this one", hint=f"see line {before.line.number}"
                )
                return
        if before is None or before.value != value:
            draft.said[row.target] = Said(value, line)

    def _value(self, line: Line, frame: _Frame, row: Row) -> None:
        """A line of a block of values."""
        self._values += 1
        if self._values > VALUES_MAX:
            if self._log.once("too many values"):
                self._log.add(
                    Severity.ERROR, line, f"more than {VALUES_MAX} lines in blocks; the rest is ignored", dropped=True
                )
            return
        draft = frame.draft
        reading = Reading(self._log, line, draft.label, draft.refusals, secret=row.secret)
        try:
            value = row.reads(reading)
        except BadValue as bad:
            self._complain(reading, bad)
            return
        self._tell_status(row, draft, frame.line)
        if row.target:
            draft.items.setdefault(row.target, []).append(Item(value, line))

    @staticmethod
    def _complain(reading: Reading, bad: BadValue) -> None:
        reading.complain(bad.severity, bad.message, word=bad.word, hint=bad.hint, dropped=bad.dropped)

    def _tell_status(self, row: Row, draft: Draft, line: Line) -> None:
        """What is accepted without doing anything is said once for each keyword; what is not yet built too."""
        if row.status is Status.WORKS or row.block not in _TOLD:
            return
        if row.refuses:
            if row.keyword not in draft.refusals:
                Reading(self._log, line, draft.label, draft.refusals).refuse(row.keyword)
        elif self._log.once((row.block, row.keyword)):
            if row.status is Status.NO_EFFECT:
                self._log.add(Severity.NOTE, line, f"{row.keyword}: accepted, no effect here")
            else:
                self._log.add(Severity.UNSUPPORTED, line, f"{row.keyword} is not supported yet and is ignored")
