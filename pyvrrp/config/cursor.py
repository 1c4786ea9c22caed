"""The words of a route or a rule, taken one after the other as iproute2 does."""

from __future__ import annotations

import re
from typing import Final

from pyvrrp.config.addresses import SCOPES, interface_of, read_address
from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Severity
from pyvrrp.config.model import IPInterface
from pyvrrp.config.readers import UINT_MAX, BadValue, Reading
from pyvrrp.config.texts import interface_name, parse_address
from pyvrrp.protocol.constants import Family, IPAddress

ANYWHERE: Final = frozenset({"default", "any", "all"})
TABLES: Final = {"default": 253, "main": 254, "local": 255}
# Of rt_protos as the kernel names them; others may be defined on the host, and are kept as names.
PROTOCOLS: Final = {
    "redirect": 1,
    "kernel": 2,
    "boot": 3,
    "static": 4,
    "gated": 8,
    "ra": 9,
    "mrt": 10,
    "zebra": 11,
    "bird": 12,
    "dnrouted": 13,
    "xorp": 14,
    "ntk": 15,
    "dhcp": 16,
    "keepalived": 18,
    "babel": 42,
    "bgp": 186,
    "isis": 187,
    "ospf": 188,
    "rip": 189,
    "eigrp": 192,
}
_NUMBER: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,16}|[0-9]{1,20}", re.ASCII)
_FAMILIES: Final = {"inet": Family.V4, "inet6": Family.V6}


class Cursor:
    """
    Where in a line the reading is.

    Attributes:
        reading: The line.
        at: The next word.
        family: Of the addresses so far; None while nothing has decided it.
    """

    __slots__ = ("at", "family", "reading")

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.at = 0
        self.family: Family | None = None

    @property
    def word(self) -> str:
        """The next word; empty at the end."""
        words = self.reading.words
        return words[self.at] if self.at < len(words) else ""

    def take(self) -> str:
        """The next word, which is used up; at the end keepalived exits."""
        words = self.reading.words
        if self.at == len(words):
            before = words[self.at - 1]
            message = f"'{before}' is missing its value"
            raise BadValue(message, Code.MISSING_VALUE, word=self.at, severity=Severity.MISSING)
        self.at += 1
        return words[self.at - 1]

    def bad(self, message: str, code: Code = Code.BAD_LINE, hint: str = "") -> BadValue:
        """The line cannot be used for the word that was taken last."""
        return BadValue(message, code, word=max(self.at - 1, 0), hint=hint)

    @property
    def shown(self) -> str:
        """The word that was taken last, in quotes."""
        return self.reading.shown(self.at - 1)

    def number(self, high: int = UINT_MAX, low: int = 0) -> int:
        """A number, hexadecimal with 0x."""
        return self.checked(self.take(), low, high)

    def checked(self, text: str, low: int, high: int) -> int:
        """The number that a part of the last word is."""
        if not _NUMBER.fullmatch(text):
            raise self.bad(f"invalid number {self.shown}", Code.BAD_NUMBER)
        number = int(text, 16 if text[1:2] in ("x", "X") else 10)
        if not low <= number <= high:
            raise self.bad(f"number {self.shown} outside range [{low}, {high}]", Code.VALUE_RANGE)
        return number

    def numbers(self, separator: str, high: int) -> tuple[int, int]:
        """`A` or `A-B`; the order is not looked at, as in keepalived."""
        first, found, last = self.take().partition(separator)
        number = self.checked(first, 0, high)
        return number, self.checked(last, 0, high) if found else number

    def number_or_name(self, known: dict[str, int], high: int = UINT_MAX) -> int | str:
        """A number, or a name that the host may know."""
        word = self.take()
        if word[:1].isdigit():
            return self.checked(word, 0, high)
        return known.get(word, word)

    def scope(self) -> int:
        """A scope by name or number."""
        word = self.take()
        if word in SCOPES:
            return SCOPES[word]
        if not word.isdigit():
            raise self.bad(f"Scope {self.shown} not found or invalid", Code.BAD_VALUE, ", ".join(SCOPES) + " or 0-255")
        return self.checked(word, 0, 255)

    def interface(self) -> str:
        """The name of an interface."""
        self.take()
        return interface_name(self.reading, self.at - 1)

    def same_family(self, family: int, what: str) -> None:
        """All addresses of a line are of one family, the first decides which."""
        if self.family is None:
            self.family = Family(family)
        elif self.family != family:
            raise self.bad(f"Cannot mix IPv4 and IPv6 addresses for {what}", Code.FAMILY)

    def address(self, what: str) -> IPAddress:
        """One address."""
        address = parse_address(self.take())
        if address is None:
            raise self.bad(f"{self.shown} is no IP address", Code.BAD_ADDRESS)
        self.same_family(address.version, what)
        return address

    def network(self, what: str) -> IPInterface | None:
        """A network, None for any."""
        if self.take() in ANYWHERE:
            return None
        network = read_address(self.reading, self.at - 1, "address")
        self.same_family(network.version, what)
        return network

    def families(self) -> None:
        """`inet` or `inet6` before an address decide the family."""
        if self.word in _FAMILIES:
            family = _FAMILIES[self.take()]
            self.same_family(family, "one line")

    def any_network(self) -> IPInterface:
        """All addresses of the family, which is IPv4 if nothing says otherwise."""
        zero = parse_address("::" if self.family is Family.V6 else "0.0.0.0")  # noqa: S104  a network, nobody listens
        assert zero is not None
        return interface_of(zero, 0)
