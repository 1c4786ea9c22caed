"""
The engine over the keyword table: logical lines in, what each block said out.

It knows shapes, not keywords. It never stops: what cannot be understood is complained about at its place and passed
over, a block as a block. Blocks are followed with a list, so nesting costs no recursion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Severity, shown
from pyvrrp.config.host import NoHost, Setting
from pyvrrp.config.keywords import BY_BLOCK, COMMANDS
from pyvrrp.config.lexer import NUL, UNTERMINATED, Line, lex
from pyvrrp.config.preprocess import preprocess
from pyvrrp.config.readers import BadValue, Reading
from pyvrrp.config.rows import Block, Row, Shape, Status

PROBLEMS: Final = {
    UNTERMINATED: Code.QUOTE,
    NUL: Code.NUL_OCTET,
}
VALUES_MAX: Final = 255 * 255  # addresses of all the virtual routers that one interface can have in one family
# Of a block that is not supported as a whole, its keywords need not be told one by one.
_TOLD: Final = frozenset({Block.ROOT, Block.GLOBAL, Block.INSTANCE, Block.SYNC_GROUP})

# Their names are one word, or they are not there; of the others, the first word is the name.
_ONE_WORD: Final = frozenset({Block.INSTANCE, Block.SYNC_GROUP, Block.TRACK_GROUP})


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
    """
    A block that is open: one of keywords, or if *row* is set one of values.

    Attributes:
        stray: So many braces are open in it that open nothing.
        strayed: There was one, so it is not sure which `}` is the block's own.
    """

    block: Block
    draft: Draft
    line: Line
    row: Row | None = None
    stray: int = 0
    strayed: bool = False


@dataclass(slots=True)
class Drafts:
    """All blocks of a text."""

    root: Draft
    globals: Draft
    named: dict[Block, dict[str, Draft]]


def read(text: str, log: Log, setting: Setting | None = None) -> Drafts:
    """Read a text, and what it includes, to drafts; whatever is wrong with it goes to the log."""
    return read_lines(lex(preprocess(text, log, setting or Setting(NoHost())), COMMANDS), log)


def read_lines(lines: Iterable[Line], log: Log) -> Drafts:
    """Read logical lines to drafts, whatever they were made of."""
    return _Engine(log).run(lines)


class _Engine:
    def __init__(self, log: Log) -> None:
        self._log = log
        nowhere = Line(log.file, 1, 0, "", opens=False, closes=False)
        root = Draft(Block.ROOT, "", nowhere)
        self._drafts = Drafts(root, Draft(Block.GLOBAL, "", nowhere), {block: {} for block in Block})
        self._stack = [_Frame(Block.ROOT, root, nowhere)]
        self._passing = 0  # depth inside a block that is passed over
        self._passed_from = nowhere
        self._secret_line = ("", 0)  # file and number of the last line that held a secret
        self._values = 0  # lines of blocks of values so far

    def run(self, lines: Iterable[Line]) -> Drafts:
        for order, line in enumerate(lines):
            line.order = order
            if self._passing:
                if line.closes:
                    self._passing -= 1
                elif line.opens:
                    self._passing += 1
            elif line.closes:
                self._close(line)
            elif line.problem:
                self._problem(line)
            elif not line.words:
                self._stray_brace(line)
            else:
                self._take(line)
        self._end()
        return self._drafts

    def _problem(self, line: Line) -> None:
        """A line that cannot be read, or only after it was mended."""
        if not line.mended:
            self._log.add(Severity.ERROR, line, line.problem, dropped=True, code=PROBLEMS.get(line.problem))
            self._pass_over(line)
            return
        word = len(line.words)
        if line.problem == UNTERMINATED:  # what follows is lost, so a value may be missing
            self._log.add(Severity.ERROR, line, line.problem, word=word, dropped=True, code=Code.QUOTE)
        else:
            self._log.add(Severity.WARNING, line, line.problem, word=word, code=Code.EXTRA_WORDS)
        if line.words:
            self._take(line)

    def _pass_over(self, line: Line) -> None:
        """If the line opens a block, nothing in it is read."""
        if line.opens:
            self._passing = 1
            self._passed_from = line

    def _stray_brace(self, line: Line, word: int = 0) -> None:
        """A brace that opens nothing: what stands in it is read as if it and the one that closes it were not there."""
        self._log.add(Severity.ERROR, line, "Unexpected '{' - ignoring", word=word, dropped=True, code=Code.EXTRA_BRACE)
        frame = self._stack[-1]
        frame.stray += 1
        frame.strayed = True

    def _close(self, line: Line) -> None:
        if self._stack[-1].stray:
            self._stack[-1].stray -= 1
        elif len(self._stack) > 1:
            self._stack.pop()
        else:
            self._log.add(
                Severity.ERROR,
                line,
                "Extra '}' found",
                hint="nothing is open here",
                dropped=True,
                code=Code.EXTRA_BRACE,
            )

    def _end(self) -> None:
        unclosed = [frame.line for frame in self._stack[1:]]
        if self._passing:
            unclosed.append(self._passed_from)
        for line in unclosed:
            what = f" of '{shown(line.words[0])}'" if line.words else ""
            self._log.add(
                Severity.ERROR,
                line,
                f"missing '}}': the block{what} is never closed",
                dropped=True,
                code=Code.MISSING_BRACE,
            )

    def _take(self, line: Line) -> None:
        frame = self._stack[-1]
        if frame.row is not None:
            if frame.strayed and line.words[0] in BY_BLOCK[frame.block]:
                self._stack.pop()  # no value is called so: the last `}` was the block's own
                self._take(line)
            elif not (line.opens and self._stray_block(line)):
                self._value(line, frame, frame.row)
                if line.opens:
                    self._stray_brace(line, len(line.words))
            return
        row = BY_BLOCK[frame.block].get(line.words[0])
        if row is None:
            if not (line.opens and self._stray_block(line)):
                self._unknown(line, frame)
        elif row.shape is Shape.LINE:
            self._keyword(line, frame, row)
            if line.opens:
                self._stray_brace(line, 1)
        else:
            if not line.opens:  # it is read nevertheless
                message = f"Missing '{{' at the beginning of block {row.keyword}"
                self._log.add(Severity.ERROR, line, message, dropped=True, code=Code.MISSING_BRACE)
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
            hint=f"is the '}}' missing of the block that begins in {opened.seen_from(line)}?",
            dropped=True,
            code=Code.MISPLACED_BLOCK,
        )
        for left in self._stack[depth + 1 :]:
            self._forget_empty(left)
        del self._stack[depth + 1 :]
        self._open(line, frame, BY_BLOCK[frame.block][word])
        return True

    def _forget_empty(self, frame: _Frame) -> None:
        """A name without a brace and without a block, as another block follows, defines nothing."""
        draft = frame.draft
        if not (draft.line.opens or draft.said or draft.items or draft.blocks or draft.misspoken):
            self._drafts.named[draft.block].pop(draft.name, None)

    def _unknown(self, line: Line, frame: _Frame) -> None:
        """Say it, with the nearest known word; a whole block is passed over."""
        if self._log.full:
            self._log.add(Severity.ERROR, line, "Unknown keyword", dropped=True, code=Code.UNKNOWN_KEYWORD)
            self._pass_over(line)
            return
        word = line.words[0]
        # A secret with a brace or a blank in it ends up as a keyword.
        secret = frame.block in (Block.AUTHENTICATION, Block.AUTH_HMAC) or (line.file, line.number) == self._secret_line
        elsewhere = [block for block, rows in BY_BLOCK.items() if word in rows]
        if elsewhere:
            hint = f"it belongs in {' or '.join(elsewhere)}"
        else:
            hint = self._log.nearest(word, BY_BLOCK[frame.block])
        if secret and not elsewhere:
            word, hint = "***", hint or "a value with blanks or braces needs quotes"
        self._log.add(
            Severity.ERROR, line, f"Unknown keyword '{shown(word)}'", hint=hint, dropped=True, code=Code.UNKNOWN_KEYWORD
        )
        self._pass_over(line)

    def _open(self, line: Line, frame: _Frame, row: Row) -> None:
        words = line.words
        if row.shape is Shape.SKIP or row.shape is Shape.BLOCK:
            self._tell_status(row, frame.draft, line)
        if row.shape is Shape.SKIP:
            self._pass_over(line)
        elif row.shape is Shape.LINES:
            if len(words) > 1:
                self._log.add(
                    Severity.ERROR,
                    line,
                    f"Block {row.keyword} has extra parameters",
                    word=1,
                    dropped=True,
                    code=Code.EXTRA_WORDS,
                )
            before = frame.draft.blocks.setdefault(row.keyword, line)
            if row.first_wins and before is not line:
                message = f"a second {row.keyword} in one block, both are used"
                hint = f"the first is in {before.seen_from(line)}; keepalived ends the block here"
                self._log.add(Severity.WARNING, line, message, hint=hint, code=Code.ALREADY_SAID)
            self._stack.append(_Frame(frame.block, frame.draft, line, row))
        elif row.named:
            self._open_named(line, row)
        elif row.repeats:
            assert row.opens is not None
            known = self._drafts.named[row.opens]
            draft = known[str(len(known))] = Draft(row.opens, "", line)
            self._stack.append(_Frame(row.opens, draft, line))
        else:
            assert row.opens is not None
            draft = self._drafts.globals if row.opens is Block.GLOBAL else frame.draft
            self._stack.append(_Frame(row.opens, draft, line))

    def _open_named(self, line: Line, row: Row) -> None:
        assert row.opens is not None
        words = line.words
        known = self._drafts.named[row.opens]
        strict = row.opens in _ONE_WORD
        if len(words) < 2 or not words[1] or (strict and len(words) > 2):
            severity = Severity.MISSING if len(words) < 2 and not strict else Severity.ERROR
            self._log.add(
                severity, line, f"{row.keyword} must have a name", word=1, dropped=True, code=Code.MISSING_NAME
            )
            self._pass_over(line)
        elif words[1] in known:
            self._log.add(
                Severity.ERROR,
                line,
                f"{row.keyword} {shown(words[1])} already defined",
                word=1,
                hint=f"in {known[words[1]].line.seen_from(line)}",
                dropped=True,
                code=Code.DUPLICATE_NAME,
            )
            self._pass_over(line)
        else:
            draft = known[words[1]] = Draft(row.opens, words[1], line)
            Reading(self._log, line, "", draft.refusals).end(2)
            self._stack.append(_Frame(row.opens, draft, line))

    def _keyword(self, line: Line, frame: _Frame, row: Row) -> None:
        """A keyword with its arguments on the line."""
        if row.secret:
            self._secret_line = (line.file, line.number)
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
        if row.repeats:
            draft.items.setdefault(row.target, []).append(Item(value, line))
            return
        before = draft.said.get(row.target)
        if before is not None and before.value != value:
            if row.sticky is not None and before.value == row.sticky:
                reading.mend(
                    f"{row.keyword} previously set as {row.sticky} - ignoring {shown(line.words[1])}", Code.ALREADY_SAID
                )
                return
            if row.first_wins:
                reading.lose(
                    f"{row.keyword} already specified - ignoring this one",
                    Code.ALREADY_SAID,
                    hint=f"see {before.line.seen_from(line)}",
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
                    Severity.ERROR,
                    line,
                    f"more than {VALUES_MAX} lines in blocks; the rest is ignored",
                    dropped=True,
                    code=Code.TOO_MUCH,
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
        draft.items.setdefault(row.target, []).append(Item(value, line))

    @staticmethod
    def _complain(reading: Reading, bad: BadValue) -> None:
        reading.complain(bad.severity, bad.message, word=bad.word, hint=bad.hint, dropped=bad.dropped, code=bad.code)

    def _tell_status(self, row: Row, draft: Draft, line: Line) -> None:
        """What is accepted without doing anything is said once for each keyword; what is not yet built too."""
        if row.status is Status.WORKS or row.block not in _TOLD:
            return
        if row.refuses:
            if row.keyword not in draft.refusals:
                Reading(self._log, line, draft.label, draft.refusals).refuse(row.keyword)
        elif self._log.once((row.block, row.keyword)):
            if row.status is Status.NO_EFFECT:
                self._log.add(Severity.NOTE, line, f"{row.keyword}: accepted, no effect here", code=Code.NO_EFFECT)
            else:
                self._log.add(
                    Severity.UNSUPPORTED,
                    line,
                    f"{row.keyword} is not supported yet and is ignored",
                    code=Code.NOT_SUPPORTED,
                )
