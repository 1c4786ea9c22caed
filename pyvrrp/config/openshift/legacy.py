"""
The list of virtual addresses as the old image expands it: lenient, silent, and sometimes with addresses nobody wrote.

What it yields is text, for some of it is no address. Two things are ours: the number of addresses has a bound, and of
what `bc` would do with a range's end, only the cases on record are followed; any other end gives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

COUNT_MAX: Final = 4096  # addresses; sixteen /24, and far more than 255 virtual routers want

_DELETED: Final = re.compile(r"[^0-9A-Fa-f:.,-]")
_V4: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_GROUPS: Final = re.compile(r"[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*", re.ASCII)
_UPPER_HEX: Final = re.compile(r"[0-9A-F]+", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]+", re.ASCII)


def expand(value: str) -> Iterator[str]:
    """All addresses of a list, in order; may be endless for all practical purposes."""
    for line in value.split("\n"):
        for item in _DELETED.sub("", line).split(","):
            yield from expand_item(item)


def expand_item(item: str) -> Iterator[str]:
    """The addresses of what stands between two commas, after the deletion; usually one, often none."""
    item = _DELETED.sub("", item)
    start, _, rest = item.partition("-")
    end = rest.partition("-")[0]
    if _V4.fullmatch(start) and all(int(octet) <= 255 for octet in start.split(".")):
        yield from _v4(start, end)
    elif _is_v6(start):
        yield from _v6(start, end)


def _v4(start: str, end: str) -> Iterator[str]:
    if not end:
        yield start
        return
    network, _, first = start.rpartition(".")
    last = end.rpartition(".")[2]
    if _DIGITS.fullmatch(last):
        for number in range(int(first), _bounded(last, 10) + 1):
            yield f"{network}.{number}"


def _is_v6(text: str) -> bool:
    head, double, tail = text.partition("::")
    if not double:
        return bool(_GROUPS.fullmatch(text)) and text.count(":") == 7
    if not _GROUPS.fullmatch(tail) or (head and not _GROUPS.fullmatch(head)):
        return False
    groups = tail.split(":") + (head.split(":") if head else [])
    return len(groups) <= 7


def _v6(start: str, end: str) -> Iterator[str]:
    if not end:
        yield start
        return
    network, _, first = start.rpartition(":")
    low = _bc(first)
    high = low if ":" in end else _bc(end)
    if low is not None and high is not None:
        for number in range(low, high + 1):
            yield f"{network}:{number:X}"


def _bc(text: str) -> int | None:
    """A hexadecimal number as `bc` reads it: a small letter is a variable, and empty."""
    if _UPPER_HEX.fullmatch(text):
        return _bounded(text, 16)
    return 0 if len(text) == 1 and text.islower() else None


def _bounded(digits: str, base: int) -> int:
    """The number, or one that is large enough: who reads thousands of digits waits."""
    digits = digits.lstrip("0") or "0"
    return int(digits, base) if len(digits) <= 8 else base**8
