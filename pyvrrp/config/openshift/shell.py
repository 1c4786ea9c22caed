"""
Numbers as the old image's shell reads them: `test` for counts, arithmetic for the offset.

Arithmetic here is numbers (decimal, 0octal, 0xhex), words (unset variables, so 0), + - * / % and parentheses, in 64
bits. What else a shell knows is not understood.
"""

from __future__ import annotations

import re
from typing import Final

LENGTH_MAX: Final = 64  # of an expression; bounds the recursion

_COUNT: Final = re.compile(r"\s*([+-]?[0-9]{1,18})\s*", re.ASCII)
_TOKEN: Final = re.compile(r"\s*([0-9][0-9A-Za-z_#@]*|[A-Za-z_][A-Za-z0-9_]*|[-+*/%()])", re.ASCII)
_NUMBER: Final = re.compile(r"0[xX](?P<hex>[0-9A-Fa-f]+)|0(?P<octal>[0-7]*)|(?P<decimal>[1-9][0-9]*)", re.ASCII)
_BASES: Final = {"hex": 16, "octal": 8, "decimal": 10}
_HALF: Final = 2**63


def count(text: str) -> int | None:
    """A decimal number as `test` takes it, leading zeros and all; None if it is none."""
    match = _COUNT.fullmatch(text)
    return int(match[1]) if match else None


def arithmetic(text: str) -> int | None:
    """The value of an arithmetic expression; None if it cannot be understood."""
    if len(text) > LENGTH_MAX:
        return None
    tokens: list[str] = []
    text = text.rstrip()
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        tokens.append(match[1])
        at = match.end()
    expression = _Expression(tokens)
    try:
        value = expression.sum() if tokens else 0
    except ValueError:
        return None
    return None if expression.tokens else value


class _Expression:
    """
    A list of tokens that is used up from its begin.

    Attributes:
        tokens: What is left, backwards.
    """

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens[::-1]

    def _next(self, wanted: str) -> str:
        """Take the next token if it is one of those; else an empty text."""
        return self.tokens.pop() if self.tokens and self.tokens[-1] in tuple(wanted) else ""

    def sum(self) -> int:
        value = self._product()
        while sign := self._next("+-"):
            other = self._product()
            value = _wrap(value + other if sign == "+" else value - other)
        return value

    def _product(self) -> int:
        value = self._signed()
        while sign := self._next("*/%"):
            other = self._signed()
            if sign == "*":
                value = _wrap(value * other)
                continue
            if not other:
                raise ValueError("division by zero")
            quotient = abs(value) // abs(other) * (1 if (value < 0) == (other < 0) else -1)
            value = _wrap(quotient if sign == "/" else value - quotient * other)
        return value

    def _signed(self) -> int:
        negative = False
        while sign := self._next("+-"):
            negative ^= sign == "-"
        value = self._atom()
        return _wrap(-value) if negative else value

    def _atom(self) -> int:
        if self._next("("):
            value = self.sum()
            if not self._next(")"):
                raise ValueError("a parenthesis is not closed")
            return value
        token = self.tokens.pop() if self.tokens else ""
        if match := _NUMBER.fullmatch(token):
            kind = match.lastgroup or ""
            return _wrap(int(match[kind] or "0", _BASES[kind]))
        if token.isidentifier():
            return 0
        raise ValueError("no number")


def _wrap(value: int) -> int:
    return (value + _HALF) % (2 * _HALF) - _HALF
