"""
What happens to lines before they are lexed: `include`, `@ID` lines, definitions, and lines that are repeated.

A stack of sources, the innermost last: a file, the further lines of a value, the repetitions of a line. So nothing
recurses, each source is read where it is named, and what is on the stack tells whether something needs itself.

The order of a line's treatment is keepalived's: its condition, a definition, `~SEQ` and `~LST`, replacement (and all of
them again where something was replaced), `include`. What stands behind a brace is treated like a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Severity, shown
from pyvrrp.config.definitions import DEFINITION, BadExpansion, Definition, Definitions, TooMuch, Undefined
from pyvrrp.config.expansion import Expansion, Part, Physical
from pyvrrp.config.host import Setting
from pyvrrp.config.includes import Includes, Source
from pyvrrp.config.keywords import COMMANDS
from pyvrrp.config.lexer import LINE_LENGTH, UNTERMINATED, comment_at, marks, physical_lines
from pyvrrp.config.repeats import BadRepeat, read_repeat
from pyvrrp.config.values import Place

LINES_MAX: Final = 100_000  # of all files; all addresses that one interface can have are 65,025
MADE_MAX: Final = 20_000  # lines out of definitions and repetitions, each of which is a little work
_BLANKS: Final = " \t\r\f\v"
_SPECIAL: Final = re.compile(r"[$@~]|include|random_seed")
_CONDITION: Final = re.compile(r"[ \t]*+@(?P<other>\^?)(?P<id>[^ \t]*+)[ \t]++")
_HEAD = r"[ \t]*+(?:@|\$[A-Za-z_][A-Za-z0-9_]*+=|~SEQ|~LST|include)"
_HEAD_BEHIND_BRACE: Final = re.compile(rf"[{{}}]{_HEAD}", re.ASCII)
_IS_HEAD: Final = re.compile(_HEAD, re.ASCII)
_INCLUDE: Final = re.compile(r"[ \t]*+(?P<word>include[rmwba]?)[ \t]++(?P<pattern>.++)")
_SETTING: Final = re.compile(r"[ \t]*+(?P<word>include_check|random_seed)(?![^ \t])(?P<rest>.*+)")
_ESCAPED: Final = re.compile(r"\\[#!]")
_LATE_MAX: Final = 1000  # names that are looked at again in the end


def preprocess(text: str, log: Log, setting: Setting) -> Iterator[Physical]:
    """
    The lines of a text and of all that it includes, ready to be lexed.

    Args:
        text: What stands in the file `log.file`.
        log: Takes the complaints.
        setting: Files, environment and the configuration id.
    """
    if _SPECIAL.search(text) is None:
        lines = physical_lines(text, log.file)
        if _count(text) > LINES_MAX:
            _tell_too_many(log, Place(log.file, LINES_MAX + 1, 1))
            return islice(lines, LINES_MAX)
        return lines
    return _Preprocessor(text, log, setting).lines()


def _count(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n"))


def _tell_too_many(log: Log, place: Place) -> None:
    if not log.once("too many lines"):
        return
    message = f"more than {LINES_MAX} lines; the rest is not read"
    log.add(Severity.UNUSABLE, place, message, dropped=True, code=Code.TOO_MUCH)


@dataclass(slots=True)
class _Frame:
    """
    Where lines come from.

    Attributes:
        lines: What is left of them.
        names: Definitions whose values these lines are.
        source: The file whose lines they are; None for lines that were made.
        counted: They count as made.
    """

    lines: Iterator[Physical]
    names: frozenset[str] = frozenset()
    source: Source | None = None
    counted: bool = False


@dataclass(slots=True)
class _OpenDefinition:
    """A definition whose value goes on in the next line."""

    name: str
    place: Place
    lines: list[str] = field(default_factory=list)


class _Preprocessor:
    def __init__(self, text: str, log: Log, setting: Setting) -> None:
        self._log = log
        self._setting = setting
        self._file = log.file
        self._includes = Includes(log, setting)
        self._definitions = Definitions(self._built_in, LINE_LENGTH)
        self._stack: list[_Frame] = []
        self._active: dict[str, int] = {}  # how many sources on the stack are values of that name
        self._open: _OpenDefinition | None = None
        self._made = 0
        self._lines_left = LINES_MAX
        self._late: dict[str, tuple[Undefined, Place]] = {}
        self._enter(Source(log.file, text, setting.host.identity(log.file)), Place(log.file, LINES_MAX + 1, 1))

    def lines(self) -> Iterator[Physical]:
        while self._stack:
            frame = self._stack[-1]
            physical = next(frame.lines, None)
            if physical is None:
                self._leave()
                continue
            file, number, raw, expansion = physical
            self._file = file
            if frame.counted:
                self._made += 1
                if self._made > MADE_MAX:
                    message = f"definitions and repetitions make more than {MADE_MAX} lines; the rest is not read"
                    self._give_up(Place(file, number, 1), message)
                    break
            if self._open is not None:
                self._continue(raw)
            elif frame.source is not None and _SPECIAL.search(raw) is None:
                yield physical
            else:
                try:
                    yield from self._line(file, number, raw, expansion, frame.names)
                except TooMuch:
                    self._give_up(Place(file, number, 1), "more is replaced than any configuration needs")
        if self._open is not None:
            self._end_definition()
        self._tell_late()

    # Sources

    def _enter(self, source: Source, place: Place) -> None:
        """Read a file next."""
        lines = _count(source.text)
        if lines > self._lines_left:
            _tell_too_many(self._log, place)
        self._push(_Frame(islice(physical_lines(source.text, source.name), self._lines_left), source=source))
        self._lines_left = max(0, self._lines_left - lines)

    def _push(self, frame: _Frame) -> None:
        self._stack.append(frame)
        for name in frame.names:
            self._active[name] = self._active.get(name, 0) + 1

    def _leave(self) -> None:
        frame = self._stack.pop()
        for name in frame.names:
            self._active[name] -= 1
            if not self._active[name]:
                del self._active[name]
        if frame.source is not None:
            self._includes.leave()

    def _give_up(self, place: Place, message: str) -> None:
        self._log.add(Severity.UNUSABLE, place, message, dropped=True, code=Code.TOO_MUCH)
        self._stack.clear()

    def _built_in(self, name: str) -> str | None:
        if name == "_PWD":
            return self._setting.host.directory(self._file)
        if name == "_INSTANCE":
            return self._setting.config_id or ""
        word, _, variable = name.partition(" ")
        return self._setting.host.variable(variable) if word == "_ENV" else None

    # One line

    def _line(
        self, file: str, number: int, raw: str, expansion: Expansion | None, names: frozenset[str]
    ) -> Iterator[Physical]:
        text = raw[: comment_at(raw, COMMANDS)].rstrip(_BLANKS)
        if len(text) > LINE_LENGTH:
            yield file, number, raw, expansion
            return
        expanded = False
        undefined: tuple[Undefined, ...] = ()
        while True:
            if condition := _CONDITION.match(text):
                if (condition["id"] == self._setting.config_id) is bool(condition["other"]):
                    return
                text = " " * condition.end() + text[condition.end() :]
            elif text.lstrip(" \t").startswith("@"):
                return  # nothing depends on the condition
            if definition := DEFINITION.match(text):
                self._define(definition, text, raw, self._place(file, number, definition.start("name") - 1, expansion))
                return
            start = len(text) - len(text.lstrip(" \t"))
            if text.startswith(("~SEQ", "~LST"), start):
                self._repeat(start, (file, number, text, expansion), names)
                return
            if "$" not in text:
                break
            try:
                done = self._definitions.expand(text, file, expansion, self._active)
            except BadExpansion as bad:
                yield file, number, text, Expansion([bad.part], str(bad))
                return
            if done is None:
                break
            undefined = done.undefined
            if not done.used:
                break
            expanded = True
            text, expansion, names = done.text, done.expansion, names | done.used
            for rest, column in done.rests:
                self._push(_Frame(_rest(rest, file, number, column), frozenset((rest.name,)), counted=True))
        if expanded:
            self._tell_comment(text, file, number, expansion)
        head, behind = _split(text)
        if behind:
            self._push(_Frame(iter([(file, number, behind, expansion)]), names, counted=True))
        if undefined and not behind:  # else it is seen again, when what the rest defines is known
            self._note_late(undefined, file, number)
        yield from self._ready(head, file, number, expansion)

    def _ready(self, text: str, file: str, number: int, expansion: Expansion | None) -> Iterator[Physical]:
        """A line that nothing more is replaced in."""
        if include := _INCLUDE.match(text):
            place = self._place(file, number, include.start("pattern"), expansion)
            chain = [frame.source for frame in self._stack if frame.source is not None]
            for source in reversed(self._includes.follow(include["word"], include["pattern"], place, chain)):
                self._enter(source, place)
            return
        if setting := _SETTING.match(text):
            place = self._place(file, number, setting.start("word"), expansion)
            if setting["word"] == "include_check":
                self._includes.check(setting["rest"].split(), place)
            elif setting["rest"].strip().isdecimal():
                self._definitions.seed(int(setting["rest"]))
        yield file, number, text, expansion

    @staticmethod
    def _place(file: str, number: int, column: int, expansion: Expansion | None) -> Place:
        if expansion is None:
            return Place(file, number, column + 1)
        return expansion.place(file, number, column, column + 1)

    def _repeat(self, start: int, physical: Physical, names: frozenset[str]) -> None:
        file, number, text, expansion = physical
        place = self._place(file, number, start, expansion)
        try:
            repeat = read_repeat(text, start, lambda numbers: self._numbers(numbers, file))
        except (BadRepeat, BadExpansion) as bad:
            self._log.add(Severity.ERROR, place, str(bad), dropped=True, code=Code.PARAMETER)
            return
        if repeat.count > MADE_MAX - self._made:
            message = f"this makes {repeat.count} lines; more than {MADE_MAX} are not made, and the rest is not read"
            self._give_up(place, message)
            return
        line = " " * repeat.end + text[repeat.end :]

        def lines() -> Iterator[Physical]:
            for row in repeat.rows:
                for name, value in zip(repeat.names, row, strict=True):
                    self._definitions.define(name, (value,), Place(file, number, start + 1))
                yield file, number, line, expansion

        self._push(_Frame(lines(), names, counted=True))

    def _numbers(self, text: str, file: str) -> str:
        done = self._definitions.expand(text, file, None, self._active)
        return text if done is None else done.text

    # Definitions

    def _define(self, match: re.Match[str], text: str, raw: str, place: Place) -> None:
        if any(mark.group() == '"' for mark in marks(text, COMMANDS)):
            self._log.add(Severity.ERROR, place, UNTERMINATED, dropped=True, code=Code.QUOTE)
        value = text[match.end() :]
        self._open = _OpenDefinition(match["name"], place)
        if not (_goes_on(raw) or _goes_on(text)):  # the backslash may stand before a comment
            self._open.lines.append(value)
            self._end_definition()
        elif first := _without_backslash(value):
            self._open.lines.append(first)

    def _continue(self, raw: str) -> None:
        assert self._open is not None
        text = raw[: comment_at(raw, COMMANDS)].strip(_BLANKS)
        goes_on = _goes_on(raw) or _goes_on(text)
        line = _without_backslash(text) if goes_on else text
        if line:
            self._open.lines.append(line)
        if not goes_on:
            self._end_definition()

    def _end_definition(self) -> None:
        assert self._open is not None
        self._definitions.define(self._open.name, tuple(self._open.lines) or ("",), self._open.place)
        self._open = None

    # What is worth saying

    def _tell_comment(self, text: str, file: str, number: int, expansion: Expansion | None) -> None:
        begin = comment_at(text, COMMANDS)
        if begin < len(text):
            self._log.add(
                Severity.WARNING,
                self._place(file, number, begin, expansion),
                f"'{text[begin]}' begins a comment here, though it was put in",
                hint="quotes keep it",
                code=Code.PARAMETER,
            )
        elif escaped := _ESCAPED.search(text):
            self._log.add(
                Severity.WARNING,
                self._place(file, number, escaped.start(), expansion),
                f"'{escaped.group()}' in a line with parameters is '{escaped.group()[1]}'",
                hint="keepalived begins a comment there; quotes make both agree",
                code=Code.PARAMETER,
            )

    def _note_late(self, undefined: tuple[Undefined, ...], file: str, number: int) -> None:
        for each in undefined:
            if each.name not in self._late and len(self._late) < _LATE_MAX:
                self._late[each.name] = each, Place(file, number, each.column + 1)

    def _tell_late(self) -> None:
        """In the end it is known whether a name was used too early, or is none; what is none may be of a password."""
        for name, (undefined, place) in self._late.items():
            if name in self._definitions:
                message, hint = f"${shown(name)} is used before it is defined, and read as text", ""
            elif undefined.braces:
                message = "a parameter in braces is not defined, and read as text"
                hint = "keepalived takes such braces for those of a block"
            else:
                continue
            self._log.add(Severity.WARNING, place, message, hint=hint, code=Code.PARAMETER)


def _split(text: str) -> tuple[str, str]:
    """A line up to a brace behind which the next line begins with something that is looked at here, and that line."""
    if _HEAD_BEHIND_BRACE.search(text):
        for mark in marks(text, COMMANDS):
            if mark.group() in "{}" and _IS_HEAD.match(text, mark.end()):
                return text[: mark.end()], " " * mark.end() + text[mark.end() :]
    return text, ""


def _rest(definition: Definition, file: str, number: int, column: int) -> Iterator[Physical]:
    """All lines of a value but the first."""
    expansion = Expansion([Part(0, column, definition.place, definition.name)])
    return iter([(file, number, line, expansion) for line in definition.lines[1:]])


def _goes_on(raw: str) -> bool:
    text = raw.rstrip(_BLANKS)
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _without_backslash(text: str) -> str:
    return text.removesuffix("\\").rstrip(_BLANKS)
