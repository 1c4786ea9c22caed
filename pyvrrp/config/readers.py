# ruff: noqa: D102  what a call reads is said by its class

"""
How the arguments of a keyword are read: one small class for each kind of value, with its range.

A reader is called with the line it reads; it answers with the value, or raises `BadValue`: then the line is dropped.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pyvrrp.config.complaints import Log, Severity, not_built, shown
from pyvrrp.config.lexer import Line
from pyvrrp.protocol.constants import US_PER_S, Family, IPAddress

INTERFACE_LENGTH: Final = 15  # IFNAMSIZ with its NUL
UINT_MAX: Final = 4_294_967_295
SECONDS_MAX: Final = 4294  # keepalived keeps microseconds in 32 bits

_INTEGER: Final = re.compile(r"[+-]?[0-9]++", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?P<whole>[0-9]*+)(?:\.(?P<fraction>[0-9]*+))?+", re.ASCII)
_TRUE: Final = frozenset({"on", "true", "yes"})
_FALSE: Final = frozenset({"off", "false", "no"})


class BadValue(Exception):  # noqa: N818  says what is bad, not that something failed
    """The value cannot be used: the line is dropped, and this is why."""

    def __init__(
        self, message: str, *, word: int = 1, hint: str = "", severity: Severity = Severity.ERROR, dropped: bool = True
    ) -> None:
        super().__init__(message)
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
        raise BadValue(f"{self.words[0]} is missing its value", word=number, severity=Severity.MISSING)

    def shown(self, number: int = 1) -> str:
        """That word in quotes, as messages may show it."""
        return "'***'" if self.secret else f"'{shown(self.words[number])}'"

    def complain(
        self, severity: Severity, message: str, *, word: int = 1, hint: str = "", dropped: bool = False
    ) -> None:
        """Say something about the line."""
        self.log.add(severity, self.line, self.label + message, word=word, hint=hint, dropped=dropped)

    def mend(self, message: str, *, word: int = 1, hint: str = "") -> None:
        """The value is used, but not as it stands."""
        self.complain(Severity.WARNING, message, word=word, hint=hint)

    def lose(self, message: str, *, word: int = 1, hint: str = "") -> None:
        """A part of the line is not used."""
        self.complain(Severity.ERROR, message, word=word, hint=hint, dropped=True)

    def refuse(self, what: str, *, word: int = 0) -> None:
        """The enclosing block cannot be run because of this."""
        self.complain(Severity.UNSUPPORTED, not_built(what), word=word, dropped=True)
        self.refusals.append(what)

    def end(self, count: int) -> None:
        """Words after that many mean nothing to keepalived either, but somebody typed them."""
        if len(self.words) > count and not self.secret:
            self.complain(Severity.NOTE, f"{self.shown(count)} and what follows is not used", word=count)


Reader: TypeAlias = Callable[[Reading], Any]


@dataclass(frozen=True, slots=True)
class Anything:
    """Any words, kept as they are."""

    def __call__(self, reading: Reading) -> tuple[str, ...]:
        return tuple(reading.words)


@dataclass(frozen=True, slots=True)
class Flag:
    """A keyword that needs no value; *options* are words that may follow, *value* is what it then means."""

    value: bool = True
    options: tuple[str, ...] = ()

    def __call__(self, reading: Reading) -> bool:
        words = reading.words
        if len(words) > 1 and self.options and words[1] not in self.options:
            reading.lose(f"Unknown {words[0]} option {reading.shown()}", hint="known: " + ", ".join(self.options))
        elif len(words) > 1 and words[1] in _FALSE:
            reading.complain(Severity.NOTE, f"{words[0]} takes no value, and {reading.shown()} does not turn it off")
        elif not self.options:
            reading.end(1)
        return self.value


@dataclass(frozen=True, slots=True)
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
        optional: Value when there is none.
    """

    low: int
    high: int
    unit: int = 1
    zero: int | None = None
    lenient: bool = False
    optional: int | None = None

    def __call__(self, reading: Reading) -> int:
        keyword = reading.words[0]
        if len(reading.words) < 2 and self.optional is not None:
            return self.optional * self.unit
        number = self.number(reading, reading.word())
        if number == 0 and self.zero is not None:
            reading.mend(f"{keyword} must be greater than 0, setting to {self.zero}")
            number = self.zero
        if not self.low <= number <= self.high:
            raise BadValue(f"{keyword} {reading.shown()} outside range [{self.low}, {self.high}]")
        reading.end(2)
        return number * self.unit

    def number(self, reading: Reading, text: str) -> int:
        """The number without its range."""
        match = _INTEGER.match(text)
        if match is None or (match.end() < len(text) and not self.lenient):
            raise BadValue(f"invalid number {reading.shown()} for {reading.words[0]}")
        if match.end() < len(text):
            reading.mend(f"invalid number {reading.shown()} for {reading.words[0]}, using {shown(match.group())}")
        return int(match.group())


@dataclass(frozen=True, slots=True)
class Seconds:
    """
    Decimal seconds, kept in microseconds.

    Attributes:
        low_us: Least value.
        high_us: Greatest value.
        digits: Digits after the point that count.
        zero_us: What 0 becomes, where keepalived mends it.
    """

    low_us: int
    high_us: int
    digits: int = 6
    zero_us: int | None = None

    def __call__(self, reading: Reading) -> int:
        keyword, text = reading.words[0], reading.word()
        match = _DECIMAL.fullmatch(text)
        if match is None or not (match["whole"] or match["fraction"]):
            raise BadValue(f"invalid number {reading.shown()} for {keyword}")
        fraction = match["fraction"] or ""
        if len(fraction) > self.digits:
            reading.mend(f"number {reading.shown()} has too many decimal places for {keyword}, {self.digits} are used")
            fraction = fraction[: self.digits]
        value = int(match["whole"] or "0") * US_PER_S + int(fraction.ljust(6, "0"))
        if text[0] == "-":
            value = -value
        if value == 0 and self.zero_us is not None:
            reading.mend(f"{keyword} must be greater than 0, setting to {self.zero_us / US_PER_S:g}")
            value = self.zero_us
        if not self.low_us <= value <= self.high_us:
            low, high = self.low_us / US_PER_S, self.high_us / US_PER_S
            raise BadValue(f"{keyword} {reading.shown()} outside range [{low:.10g}, {high:.10g}]")
        reading.end(2)
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def __call__(self, reading: Reading) -> str:
        word = reading.word()
        if word not in self.words:
            known = " or ".join(self.words)
            raise BadValue(f"unknown {reading.words[0]} {reading.shown()}, not {known}")
        reading.end(2)
        return word


@dataclass(frozen=True, slots=True)
class Word:
    """One word; where keepalived goes on without it, it is not *required*."""

    required: bool = True

    def __call__(self, reading: Reading) -> str:
        if len(reading.words) < 2 and not self.required:
            raise BadValue(f"{reading.words[0]} is missing its value", word=1)
        word = reading.word()
        reading.end(2)
        return word


@dataclass(frozen=True, slots=True)
class Words:
    """The words after the keyword as one text, at least one."""

    def __call__(self, reading: Reading) -> str:
        reading.word()
        return " ".join(reading.words[1:])


@dataclass(frozen=True, slots=True)
class Secret:
    """One word that is never shown, as octets."""

    def __call__(self, reading: Reading) -> bytes:
        value = reading.word().encode("utf-8", "surrogateescape")
        if len(reading.words) > 2:
            reading.complain(Severity.NOTE, f"{reading.words[0]} is one word; what follows is not used", word=2)
        return value


def interface_name(reading: Reading, word: int) -> str:
    """Check the name of an interface."""
    name = reading.words[word]
    if not 0 < len(name) <= INTERFACE_LENGTH or "/" in name:
        raise BadValue(
            f"{reading.shown(word)} cannot be the name of an interface",
            word=word,
            hint=f"1 to {INTERFACE_LENGTH} characters without '/'",
        )
    return name


@dataclass(frozen=True, slots=True)
class Interface:
    """The interface of an instance; a loopback interface carries no VRRP."""

    def __call__(self, reading: Reading) -> str:
        reading.word()
        name = interface_name(reading, 1)
        if name == "lo":
            raise BadValue(f"cannot use a loopback interface ({name}) for vrrp - ignoring")
        reading.end(2)
        return name


def parse_address(text: str) -> IPAddress | None:
    """An address without prefix length or zone; None if it is none."""
    try:
        if ":" in text:
            return None if "%" in text else ipaddress.IPv6Address(text)
        return ipaddress.IPv4Address(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Address:
    """
    One IP address.

    Attributes:
        family: It must be of this family.
        multicast: It must be a multicast address.
    """

    family: Family | None = None
    multicast: bool = False

    def __call__(self, reading: Reading) -> IPAddress:
        keyword, text = reading.words[0], reading.word()
        address = parse_address(text)
        if address is None:
            raise BadValue(f"malformed {keyword} address {reading.shown()}. Skipping...")
        if self.family is not None and address.version != self.family:
            raise BadValue(f"{keyword} {reading.shown()} is not IPv{self.family:d}. Skipping...")
        if self.multicast and not address.is_multicast:
            raise BadValue(f"{keyword} {reading.shown()} is not multicast. Skipping...")
        if self.multicast and isinstance(address, ipaddress.IPv6Address) and address.packed[1] & 0x0F != 2:
            reading.mend(f"{keyword} {reading.shown()} should be link-local multicast.")
        reading.end(2)
        return address


@dataclass(frozen=True, slots=True)
class Weight:
    """`N [reverse]` of a script: the weight, mended to its range, and whether it is reversed."""

    high: int = 253

    def __call__(self, reading: Reading) -> tuple[int, bool]:
        words = reading.words
        match = _INTEGER.fullmatch(reading.word())
        if match is None:
            raise BadValue(f"invalid number {reading.shown()} for {words[0]}")
        weight = int(match.group())
        if abs(weight) > self.high:
            mended = max(-self.high, min(weight, self.high))
            reading.mend(f"weight {reading.shown()} must be in [-{self.high}, {self.high}], using {mended}")
            weight = mended
        if len(words) > 2 and words[2] != "reverse":
            reading.lose(f"unknown weight option {reading.shown(2)}", word=2)
        return weight, "reverse" in words[2:3]
