"""
`~SEQ` and `~LST`: a line that is repeated with other values for its parameters.

    ~SEQ(var, end)  ~SEQ(var, start, end)  ~SEQ(var, start, step, end)      ~SEQx writes the numbers in hexadecimal
    ~LST(var, value, ...)  ~LST({var, var}, {value, value}, ...)

Source:
    keepalived.conf(5), and as run with 2.2.7: blanks are allowed around the parts, a missing number is 0, a missing
    value is empty, one that holds a blank is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pyvrrp.config.complaints import shown

_SEQUENCE: Final = re.compile(r"~SEQ(?P<hex>x?)[ \t]*+\([ \t]*+(?P<var>[^ \t,()]++)[ \t]*+,(?P<numbers>[^)]*+)\)")
_LIST: Final = re.compile(r"~LST[ \t]*+\((?P<parts>[^)]*+)\)")
_NUMBER: Final = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]++|0[0-7]*+|[1-9][0-9]*+)", re.ASCII)
_PART: Final = re.compile(r"[ \t]*+(?:\{(?P<group>[^{}]*+)\}|(?P<word>[^{},\s\"]*+))[ \t]*+(?P<end>,|$)")
_NUMBER_MAX: Final = 2**63 - 1


class BadRepeat(Exception):  # noqa: N818  says what is bad about it
    """It says how often in no way that can be understood."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """
    A line to be repeated.

    Attributes:
        names: Its parameters.
        count: How many lines it becomes.
        rows: A value for each parameter, for each line.
        end: Where the line that is repeated begins.
    """

    names: tuple[str, ...]
    count: int
    rows: Iterator[Sequence[str]]
    end: int


def read_repeat(text: str, start: int, expand: Callable[[str], str]) -> Repeat:
    """
    Read the `~SEQ` or `~LST` that begins there.

    Args:
        text: The line.
        start: Where the `~` stands.
        expand: Puts definitions in; the numbers of a sequence may be some.

    Raises:
        BadRepeat: It cannot be understood.
    """
    if text.startswith("~LST", start):
        return _list(text, start)
    match = _SEQUENCE.match(text, start)
    if match is None:
        raise BadRepeat("~SEQ wants (VAR, [START, [STEP,]] END)")
    numbers = [_number(part.strip(" \t")) for part in expand(match["numbers"]).split(",")]
    if len(numbers) == 1:
        first, last = (-1 if numbers[0] < 0 else 1), numbers[0]
        step = -1 if last < 1 else 1
    elif len(numbers) == 2:
        first, last = numbers
        step = 1 if first <= last else -1
    elif len(numbers) == 3:
        first, step, last = numbers
    else:
        raise BadRepeat("~SEQ has too many numbers")
    if not step or (first < last and step < 0) or (first > last and step > 0):
        raise BadRepeat(f"~SEQ never comes from {first} to {last} in steps of {step}")
    if match["hex"] and min(first, last) < 0:
        raise BadRepeat("~SEQx is for positive numbers only")
    values = range(first, last + (1 if step > 0 else -1), step)
    form = "{:x}" if match["hex"] else "{}"
    rows = ((form.format(value),) for value in values)
    return Repeat((match["var"],), _length(values), rows, match.end())


def _length(values: range) -> int:
    return (values[-1] - values[0]) // values.step + 1  # len() ends at 2**63 - 1


def _number(text: str) -> int:
    if not text:
        return 0
    if not _NUMBER.fullmatch(text):
        raise BadRepeat(f"'{shown(text)}' is no number for ~SEQ")
    digits = text.lstrip("+-")
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
    value = int(text, base)
    if abs(value) > _NUMBER_MAX:
        raise BadRepeat(f"'{shown(text)}' is too large for ~SEQ")
    return value


def _list(text: str, start: int) -> Repeat:
    match = _LIST.match(text, start)
    if match is None:
        raise BadRepeat("~LST wants (VAR, VALUE, ...) or ({VAR, VAR}, {VALUE, VALUE}, ...)")
    parts = list(_parts(match["parts"]))
    names, rows = parts[0], parts[1:]
    if not rows or not all(names):
        raise BadRepeat("~LST wants (VAR, VALUE, ...) or ({VAR, VAR}, {VALUE, VALUE}, ...)")
    longest = max(map(len, rows))
    if longest > len(names):
        raise BadRepeat(f"~LST has {longest} values for {len(names)} parameter(s)")
    filled = ((*row, *[""] * (len(names) - len(row))) for row in rows)
    return Repeat(tuple(names), len(rows), filled, match.end())


def _parts(text: str) -> Iterator[list[str]]:
    position = 0
    while True:
        match = _PART.match(text, position)
        if match is None:
            raise BadRepeat("a value of ~LST is no single word")
        group = match["group"]
        yield [match["word"]] if group is None else [word.strip(" \t") for word in group.split(",")]
        position = match.end()
        if not match["end"]:
            return
