# ruff: noqa: D102  what a call reads is said by its class

"""How values that are words are read: names, choices, secrets, interfaces, single addresses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Severity
from pyvrrp.config.readers import BadValue, Reading, missing
from pyvrrp.protocol.constants import Family, IPAddress

INTERFACE_LENGTH: Final = 15  # IFNAMSIZ with its NUL
PROCESS_NAME_LENGTH: Final = 15  # TASK_COMM_LEN with its NUL


@dataclass(frozen=True, slots=True)
class Choice:
    """
    One of some words.

    Attributes:
        words: The words.
        optional: Value when there is none; without this keepalived exits.
    """

    words: tuple[str, ...]
    optional: str | None = None

    def __call__(self, reading: Reading) -> str:
        if len(reading.words) < 2 and self.optional is not None:
            return self.optional
        word = reading.word()
        if word not in self.words:
            known = " or ".join(self.words)
            raise BadValue(f"unknown {reading.words[0]} {reading.shown()}, not {known}")
        reading.end(2)
        return word


@dataclass(frozen=True, slots=True)
class Word:
    """
    One word.

    Attributes:
        required: Without it keepalived exits; else the line is dropped.
        optional: Value when there is none.
        length: Longer ones are cut to so many characters; 0 is any length.
    """

    required: bool = True
    optional: str | None = None
    length: int = 0

    def __call__(self, reading: Reading) -> str:
        if len(reading.words) < 2:
            if self.optional is not None:
                return self.optional
            if not self.required:
                raise missing(reading)
        word = reading.word()
        reading.end(2)
        if self.length and len(word) > self.length:
            reading.mend(f"{reading.words[0]} {reading.shown()} is cut to {self.length} characters", Code.TRUNCATED)
            return word[: self.length]
        return word


@dataclass(frozen=True, slots=True)
class Words:
    """
    The words after the keyword as one text.

    Attributes:
        required: Without any keepalived exits; else the line is dropped.
    """

    required: bool = True

    def __call__(self, reading: Reading) -> str:
        if len(reading.words) < 2 and not self.required:
            raise missing(reading)
        reading.word()
        return " ".join(reading.words[1:])


@dataclass(frozen=True, slots=True)
class Names:
    """The words after the keyword, none or so many at most."""

    most: int

    def __call__(self, reading: Reading) -> tuple[str, ...]:
        reading.end(self.most + 1)
        return tuple(reading.words[1 : self.most + 1])


class Secret:
    """One word that is never shown, as octets."""

    def __call__(self, reading: Reading) -> bytes:
        value = reading.word().encode("utf-8", "surrogateescape")
        if len(reading.words) > 2:
            message = f"{reading.words[0]} is one word; what follows is not used"
            reading.complain(Severity.NOTE, message, word=2, code=Code.EXTRA_WORDS)
        return value


def interface_name(reading: Reading, word: int) -> str:
    """Check the name of an interface."""
    name = reading.words[word]
    if not 0 < len(name) <= INTERFACE_LENGTH or "/" in name:
        raise BadValue(
            f"{reading.shown(word)} cannot be the name of an interface",
            Code.BAD_INTERFACE,
            word=word,
            hint=f"1 to {INTERFACE_LENGTH} characters without '/'",
        )
    return name


@dataclass(frozen=True, slots=True)
class Interface:
    """
    The name of an interface.

    Attributes:
        required: Without one keepalived exits; else the line is dropped.
        loopback: It may be the loopback interface, which carries no VRRP.
    """

    required: bool = True
    loopback: bool = True

    def __call__(self, reading: Reading) -> str:
        if len(reading.words) < 2 and not self.required:
            raise missing(reading)
        reading.word()
        name = interface_name(reading, 1)
        if name == "lo" and not self.loopback:
            raise BadValue(f"cannot use a loopback interface ({name}) for vrrp - ignoring", Code.BAD_INTERFACE)
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


def host_address(reading: Reading, word: int) -> IPAddress | None:
    """The address of a host; a prefix length behind it means nothing, and keepalived passes over it in silence."""
    text, slash, _length = reading.words[word].partition("/")
    address = parse_address(text)
    if slash and address is not None:
        message = f"the prefix length of {reading.shown(word)} means nothing here"
        reading.complain(Severity.NOTE, message, word=word, code=Code.EXTRA_WORDS)
    return address


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
        keyword, _text = reading.words[0], reading.word()
        address = host_address(reading, 1)
        if address is None:
            raise BadValue(f"malformed {keyword} address {reading.shown()}. Skipping...", Code.BAD_ADDRESS)
        if self.family is not None and address.version != self.family:
            raise BadValue(f"{keyword} {reading.shown()} is not IPv{self.family:d}. Skipping...", Code.FAMILY)
        if self.multicast and not address.is_multicast:
            raise BadValue(f"{keyword} {reading.shown()} is not multicast. Skipping...", Code.BAD_ADDRESS)
        if self.multicast and isinstance(address, ipaddress.IPv6Address) and address.packed[1] & 0x0F != 2:
            reading.mend(f"{keyword} {reading.shown()} should be link-local multicast.", Code.BAD_ADDRESS)
        reading.end(2)
        return address
