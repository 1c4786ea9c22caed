"""
The list of virtual addresses as its writer meant it: no address is invented, none is lost without a word.

* Commas and line breaks separate; blanks and semicolons do too, and that is said.
* What cannot be read is left out and named; what can be read in one way only is used and named.
* Ranges stay within the start's /24, for IPv6 within its last group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from typing import Final

from pyvrrp.config.complaints import shown
from pyvrrp.config.openshift.legacy import COUNT_MAX, expand, expand_item
from pyvrrp.config.openshift.variables import VIRTUAL_IPS, Remarks
from pyvrrp.protocol.constants import IPAddress

_COMMA: Final = re.compile(r"[,\n]")
_AROUND_DASH: Final = re.compile(r"\s*-\s*")
_SEPARATORS: Final = re.compile(r"[\s;\uff0c\uff1b\u3001]+")  # with those of a Chinese keyboard
_WRAPPING: Final = "\"'`[](){}<>"
_DIGITS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,8}", re.ASCII)
_PADDED: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_SHOWN: Final = 3  # addresses that a message names

_BLANKS: Final = "only commas and line breaks separate"
_WRAPPED: Final = "quotes and brackets do not belong in the list"
_LENGTH: Final = "a virtual address has no prefix length here"
_ZONE: Final = "the interface is not part of an address"
_NO_END: Final = "a '-' with nothing behind it is no range"
_SECOND: Final = "what follows the second '-' is not used"
_LAST_OCTET: Final = "of a range's end only the last octet counts"
_CUT_V4: Final = "no octet is greater than 255"
_CUT_V6: Final = "no group is greater than ffff"
_ZEROS: Final = "leading zeros are left out"


class UnreadableError(Exception):
    """An item is no address and no range; the message says why."""


@dataclass(slots=True)
class _Item:
    """What one piece of the list came to, and why it had to be mended."""

    addresses: list[IPAddress] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def because(self, reason: str) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)


def read_addresses(value: str, remarks: Remarks) -> list[IPAddress]:
    """
    Read the list.

    Args:
        value: The variable.
        remarks: Told of every item that is mended or left out.

    Returns:
        Each address once, in the order of the list, at most COUNT_MAX.
    """
    seen: dict[IPAddress, None] = {}
    for text, at in _items(value):
        item = _Item()
        for piece in _pieces(text, item):
            try:
                _read(piece, item)
            except UnreadableError as error:
                remarks.lose(VIRTUAL_IPS, f"'{shown(piece)}' {error}; it is not served", at=at)
        _say(text, item, at, remarks)
        again: list[IPAddress] = []
        for address in item.addresses:
            if address in seen:
                again.append(address)
            seen[address] = None
        if again:
            remarks.mend(VIRTUAL_IPS, f"{summary(again)} is listed again; once is enough", at=at)
        if len(seen) > COUNT_MAX:
            remarks.lose(VIRTUAL_IPS, f"more than {COUNT_MAX} addresses; the rest of the list is not served", at=at)
            break
    return list(islice(seen, COUNT_MAX))


def old_addresses(value: str) -> list[IPAddress | None]:
    """What the old image makes of the list, place by place; None where it wrote something that is no address."""
    return [address_of(text) for text in islice(expand(value), COUNT_MAX)]


def summary(addresses: Sequence[object]) -> str:
    """A few addresses in full, of many the first and the last."""
    if len(addresses) > _SHOWN:
        return f"{addresses[0]} ... {addresses[-1]} ({len(addresses)} addresses)"
    return ", ".join(str(address) for address in addresses) or "nothing"


def _items(value: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """What stands between commas, with line and column of its first character."""
    begin, line, line_begin = 0, 1, 0
    for match in [*_COMMA.finditer(value), None]:
        end = match.start() if match else len(value)
        text = value[begin:end]
        if text.strip():
            yield text.strip(), (line, begin + len(text) - len(text.lstrip()) - line_begin + 1)
        begin = end + 1
        if match and match[0] == "\n":
            line, line_begin = line + 1, begin


def _pieces(text: str, item: _Item) -> list[str]:
    pieces: list[str] = []
    for piece in _SEPARATORS.split(_AROUND_DASH.sub("-", text)):
        bare = piece.strip(_WRAPPING)
        if bare != piece:
            item.because(_WRAPPED)
        if bare:
            pieces.append(bare)
    if len(pieces) > 1:
        item.because(_BLANKS)
    return pieces


def _read(piece: str, item: _Item) -> None:
    """Read `ADDRESS` or `START-END`."""
    reasons = _Item()  # nothing is mended of what is then refused
    start, dash, rest = piece.partition("-")
    end, second, _ = rest.partition("-")
    start = _without_length(start, reasons)
    if dash and not end:
        reasons.because(_NO_END)
    if second:
        reasons.because(_SECOND)
    if not end:
        found: list[IPAddress] = [_single(start)]
    elif ":" in start:
        found = _range_v6(start, _without_length(end, reasons), reasons)
    else:
        found = _range_v4(start, _without_length(end, reasons), reasons)
    item.addresses += found
    for reason in reasons.reasons:
        item.because(reason)


def _without_length(text: str, item: _Item) -> str:
    text, slash, length = text.partition("/")
    if slash:
        if not _DIGITS.fullmatch(length) or int(length) > (128 if ":" in text else 32):
            raise UnreadableError("has a prefix length that cannot be")
        item.because(_LENGTH)
    text, percent, _ = text.partition("%")
    if percent:
        item.because(_ZONE)
    return text


def _single(text: str) -> IPAddress:
    address = address_of(text)
    if address is None:
        if _PADDED.fullmatch(text):
            reason = "has an octet above 255" if any(int(o) > 255 for o in text.split(".")) else "has leading zeros"
            raise UnreadableError(reason)
        raise UnreadableError("is no address")
    if address.is_unspecified or (isinstance(address, IPv6Address) and address.ipv4_mapped):
        raise UnreadableError("cannot be a virtual address")
    return address


def address_of(text: str) -> IPAddress | None:
    """An address without prefix length or zone; None if it is none."""
    try:
        if ":" in text:
            return None if "%" in text else IPv6Address(text)
        return IPv4Address(text)
    except ValueError:
        return None


def _range_v4(start: str, end: str, item: _Item) -> list[IPAddress]:
    network, _, octet = start.rpartition(".")
    bare = octet.lstrip("0") or octet[-1:]
    if bare != octet:
        item.because(_ZEROS)
    first = _single(f"{network}.{bare}")
    above, _, last = end.rpartition(".")
    if not _DIGITS.fullmatch(last):
        raise UnreadableError("is a range without an end")
    if above and above != network:
        item.because(_LAST_OCTET)
    low, high = int(first) & 0xFF, int(last)
    if high < low:
        raise UnreadableError("is a range that ends before it begins")
    if high > 255:
        item.because(_CUT_V4)
    return [first + step for step in range(min(high, 255) - low + 1)]


def _range_v6(start: str, end: str, item: _Item) -> list[IPAddress]:
    first = _single(start)
    if start.endswith("::") or "." in start:
        raise UnreadableError("is a range whose start lacks its last group")
    low = int(first) & 0xFFFF
    if _HEX.fullmatch(end):
        high = int(end, 16)
    else:
        last = address_of(end)
        if last is None:
            raise UnreadableError("is a range without an end")
        if int(last) >> 16 != int(first) >> 16:
            raise UnreadableError("is a range over more than the last group")
        high = int(last) & 0xFFFF
    if high < low:
        raise UnreadableError("is a range that ends before it begins")
    if high > 0xFFFF:
        item.because(_CUT_V6)
    if min(high, 0xFFFF) - low >= COUNT_MAX:
        raise UnreadableError(f"is a range of more than {COUNT_MAX} addresses")
    return [first + step for step in range(min(high, 0xFFFF) - low + 1)]


def _say(text: str, item: _Item, at: tuple[int, int], remarks: Remarks) -> None:
    """One warning for an item that is not used as it stands."""
    old = list(islice(expand_item(text), COUNT_MAX))
    differs = [address_of(address) for address in old] != item.addresses
    if (item.reasons or differs) and item.addresses:
        contrast = f"; the old image made {summary(old)} of it" if differs else ""
        message = f"'{shown(text)}' is read as {summary(item.addresses)}{contrast}"
        remarks.mend(VIRTUAL_IPS, message, ", ".join(item.reasons), at)
