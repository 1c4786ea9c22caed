# ruff: noqa: D102  what a call reads is said by its class

"""
How the arguments of a keyword are read: one small class for each kind of value, with its range.

A reader is called with the line it reads; it answers with the value, or raises `BadValue`: then the line is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Severity, not_built, shown
from pyvrrp.config.lexer import Line
from pyvrrp.protocol.constants import US_PER_S

UINT_MAX: Final = 4_294_967_295
SECONDS_MAX: Final = 4294  # keepalived keeps microseconds in 32 bits
NUMBER_LENGTH: Final = 30  # digits; the greatest range has 20
ENDLESS: Final = 10**30

_INTEGER: Final = re.compile(r"[+-]?[0-9]++", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?P<whole>[0-9]*+)(?:\.(?P<fraction>[0-9]*+))?+", re.ASCII)
_TRUE: Final = frozenset({"on", "true", "yes"})
_FALSE: Final = frozenset({"off", "false", "no"})


class BadValue(Exception):  # noqa: N818  says what is bad, not that something failed
    """The value cannot be used: the line is dropped, and this is why."""

    def __init__(
        self,
        message: str,
        code: Code = Code.BAD_VALUE,
        *,
        word: int = 1,
        hint: str = "",
        severity: Severity = Severity.ERROR,
        dropped: bool = True,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.word = word
        self.hint = hint
        self.severity = severity
        self.dropped = dropped


class Reading:
    """
    One line being read, and whom to tell about it.

    Attributes:
        line: The line.
        words: Its words; the first is the keyword, or in a block of values the first value.
        label: Begin of every message, `(V1) ` in an instance.
        secret: Its words are not to be shown.
        refusals: What the enclosing block is refused for.
    """

    __slots__ = ("label", "line", "log", "refusals", "secret", "words")

    def __init__(self, log: Log, line: Line, label: str, refusals: list[str], *, secret: bool = False) -> None:
        self.log = log
        self.line = line
        self.words = line.words
        self.label = label
        self.secret = secret
        self.refusals = refusals

    def word(self, number: int = 1) -> str:
        """That word of the line; keepalived exits when it is not there."""
        if number < len(self.words):
            return self.words[number]
        raise BadValue(
            f"{self.words[0]} is missing its value", Code.MISSING_VALUE, word=number, severity=Severity.MISSING
        )

    def shown(self, number: int = 1) -> str:
        """That word in quotes, as messages may show it."""
        return "'***'" if self.secret else f"'{shown(self.words[number])}'"

    def complain(
        self,
        severity: Severity,
        message: str,
        *,
        word: int = 1,
        hint: str = "",
        dropped: bool = False,
        code: Code | None = None,
    ) -> None:
        """Say something about the line."""
        self.log.add(severity, self.line, self.label + message, word=word, hint=hint, dropped=dropped, code=code)

    def mend(self, message: str, code: Code, *, word: int = 1, hint: str = "") -> None:
        """The value is used, but not as it stands."""
        self.complain(Severity.WARNING, message, word=word, hint=hint, code=code)

    def lose(self, message: str, code: Code, *, word: int = 1, hint: str = "") -> None:
        """A part of the line is not used."""
        self.complain(Severity.ERROR, message, word=word, hint=hint, dropped=True, code=code)

    def refuse(self, what: str, *, word: int = 0) -> None:
        """The enclosing block cannot be run because of this."""
        self.complain(Severity.UNSUPPORTED, not_built(what), word=word, dropped=True, code=Code.REFUSED)
        self.refusals.append(what)

    def end(self, count: int) -> None:
        """Words after that many mean nothing to keepalived either, but somebody typed them."""
        if len(self.words) > count and not self.secret:
            message = f"{self.shown(count)} and what follows is not used"
            self.complain(Severity.NOTE, message, word=count, code=Code.EXTRA_WORDS)


Reader: TypeAlias = Callable[[Reading], Any]


def missing(reading: Reading) -> BadValue:
    """A value is missing, and keepalived goes on without the line."""
    return BadValue(f"{reading.words[0]} is missing its value", Code.MISSING_VALUE)


def whole(text: str) -> int:
    """The integer; one with more digits than any range has is as good as endless, and not worth the time."""
    if len(text) <= NUMBER_LENGTH:
        return int(text)
    return -ENDLESS if text[0] == "-" else ENDLESS


class Anything:
    """Any words, kept as they are."""

    def __call__(self, reading: Reading) -> tuple[str, ...]:
        return tuple(reading.words)


@dataclass(frozen=True, slots=True)
class Flag:
    """A keyword that needs no value; *value* is what it means."""

    value: bool = True

    def __call__(self, reading: Reading) -> bool:
        words = reading.words
        if len(words) > 1 and words[1] in _FALSE:
            message = f"{words[0]} takes no value, and {reading.shown()} does not turn it off"
            reading.complain(Severity.NOTE, message, code=Code.NO_SWITCH)
        else:
            reading.end(1)
        return self.value


class Boolean:
    """on, true, yes or nothing; off, false, no."""

    def __call__(self, reading: Reading) -> bool:
        words = reading.words
        if len(words) < 2 or words[1] in _TRUE:
            reading.end(2)
            return True
        if words[1] in _FALSE:
            reading.end(2)
            return False
        raise BadValue(f"invalid {words[0]} {reading.shown()} specified", hint="on, true, yes, off, false or no")


def _number(pattern: re.Pattern[str], reading: Reading, text: str, word: int, *, lenient: bool) -> re.Match[str]:
    """The number that a word begins with; what follows it is complained about, or too much."""
    match = pattern.match(text)
    digits = match is not None and match.group().strip("+-.")
    if match is not None and digits and match.end() == len(text):
        return match
    message = f"invalid number {reading.shown(word)} for {reading.words[0]}"
    if match is None or not digits or not lenient:
        raise BadValue(message, Code.BAD_NUMBER, word=word)
    reading.mend(f"{message}, using {shown(match.group())}", Code.BAD_NUMBER, word=word)
    return match


@dataclass(frozen=True, slots=True)
class Integer:
    """
    A decimal number.

    Attributes:
        low: Least value.
        high: Greatest value.
        unit: What 1 stands for.
        zero: What 0 becomes, where keepalived mends it.
        lenient: As in keepalived, characters after the number are complained about and ignored.
        clamp: The nearest bound is taken instead of a number outside.
        optional: Value when there is none.
        required: Without a number keepalived exits; else the line is dropped.
    """

    low: int
    high: int
    unit: int = 1
    zero: int | None = None
    lenient: bool = False
    clamp: bool = False
    optional: int | None = None
    required: bool = True

    def __call__(self, reading: Reading) -> int:
        if len(reading.words) < 2:
            if self.optional is not None:
                return self.optional * self.unit
            if not self.required:
                raise missing(reading)
        number = self.number(reading, reading.word())
        reading.end(2)
        return number * self.unit

    def number(self, reading: Reading, text: str, word: int = 1) -> int:
        """One number in its range, without its unit."""
        keyword = reading.words[0]
        match = _number(_INTEGER, reading, text, word, lenient=self.lenient)
        number = whole(match.group())
        if number == 0 and self.zero is not None:
            reading.mend(f"{keyword} must be greater than 0, setting to {self.zero}", Code.VALUE_RANGE, word=word)
            number = self.zero
        if not self.low <= number <= self.high:
            message = f"{keyword} {reading.shown(word)} outside range [{self.low}, {self.high}]"
            if not self.clamp:
                raise BadValue(message, Code.VALUE_RANGE, word=word)
            number = max(self.low, min(number, self.high))
            reading.mend(f"{message}, using {number}", Code.VALUE_RANGE, word=word)
        return number


@dataclass(frozen=True, slots=True)
class Seconds:
    """
    Decimal seconds, kept in microseconds.

    Attributes:
        low_us: Least value.
        high_us: Greatest value.
        digits: Digits after the point that count.
        zero_us: What 0 becomes, where keepalived mends it.
        unit: Microseconds of 1: a million for seconds, a thousand for milliseconds.
        lenient: As in keepalived, characters after the number are complained about and ignored.
    """

    low_us: int
    high_us: int
    digits: int = 6
    zero_us: int | None = None
    unit: int = US_PER_S
    lenient: bool = False

    def __call__(self, reading: Reading) -> int:
        value = self.number(reading, reading.word())
        reading.end(2)
        return value

    def number(self, reading: Reading, text: str, word: int = 1) -> int:
        """One number in its range, in microseconds."""
        keyword = reading.words[0]
        match = _number(_DECIMAL, reading, text, word, lenient=self.lenient)
        fraction = match["fraction"] or ""
        if len(fraction) > self.digits:
            message = f"number {reading.shown(word)} has too many decimal places for {keyword}, {self.digits} are used"
            reading.mend(message, Code.BAD_NUMBER, word=word)
            fraction = fraction[: self.digits]
        value = whole(match["whole"] or "0") * self.unit + int(fraction.ljust(6, "0")) * self.unit // US_PER_S
        if text[0] == "-":
            value = -value
        if value == 0 and self.zero_us is not None:
            message = f"{keyword} must be greater than 0, setting to {self.zero_us / self.unit:g}"
            reading.mend(message, Code.VALUE_RANGE, word=word)
            value = self.zero_us
        if not self.low_us <= value <= self.high_us:
            low, high = self.low_us / self.unit, self.high_us / self.unit
            message = f"{keyword} {reading.shown(word)} outside range [{low:.10g}, {high:.10g}]"
            raise BadValue(message, Code.VALUE_RANGE, word=word)
        return value


@dataclass(frozen=True, slots=True)
class Weight:
    """
    `N [reverse]`: the weight, and whether it is reversed.

    Attributes:
        high: Greatest value.
        clamp: A greater one is mended to it; else the line is dropped.
        required: Without a number keepalived exits; else the line is dropped.
    """

    high: int = 253
    clamp: bool = True
    required: bool = True

    def __call__(self, reading: Reading) -> tuple[int, bool]:
        words = reading.words
        if len(words) < 2 and not self.required:
            raise missing(reading)
        # Lenient, for without a weight a failure would be FAULT.
        weight = whole(_number(_INTEGER, reading, reading.word(), 1, lenient=True).group())
        if abs(weight) > self.high:
            message = f"weight {reading.shown()} must be in [-{self.high}, {self.high}]"
            if not self.clamp:
                raise BadValue(message, Code.VALUE_RANGE)
            weight = max(-self.high, min(weight, self.high))
            reading.mend(f"{message}, using {weight}", Code.VALUE_RANGE)
        if len(words) > 2 and words[2] != "reverse":
            reading.lose(f"unknown weight option {reading.shown(2)}", Code.UNKNOWN_OPTION, word=2)
        return weight, "reverse" in words[2:3]


@dataclass(frozen=True, slots=True)
class Numbers:
    """One or more numbers in [0, *high*], as a set; without one, or with a bad one, the line is dropped."""

    high: int

    def __call__(self, reading: Reading) -> frozenset[int]:
        if len(reading.words) < 2:
            raise missing(reading)
        one = Integer(0, self.high)
        return frozenset(one.number(reading, text, word) for word, text in enumerate(reading.words[1:], 1))
