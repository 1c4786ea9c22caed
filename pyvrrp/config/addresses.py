# ruff: noqa: D102  what a call reads is said by its class

"""
The lines of value blocks: addresses with their options, unicast peers, what is tracked.

A line that keepalived drops raises `BadValue`; of a line that it keeps, unknown words are complained about one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface
from typing import Any, Final, NamedTuple

from pyvrrp.config.codes import Code
from pyvrrp.config.model import AddressLine, IPInterface, Track
from pyvrrp.config.readers import BadValue, Reading
from pyvrrp.config.texts import host_address, interface_name, parse_address
from pyvrrp.protocol.constants import IPAddress

LABEL_LENGTH: Final = 15  # IFNAMSIZ with its NUL
SCOPES: Final = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}  # rtnetlink's numbers
TTL_MAX: Final = 255

_NUMBER: Final = re.compile(r"[0-9]++", re.ASCII)
_WEIGHT: Final = re.compile(r"[+-]?[0-9]++", re.ASCII)
_WEIGHT_MAX: Final = 254  # of anything that is tracked; what can bear less gets the nearest to it


class Peer(NamedTuple):
    """A line of `unicast_peer`."""

    address: IPAddress
    min_ttl: int
    max_ttl: int
    bounded: bool


def interface_of(address: IPAddress, prefix: int) -> IPInterface:
    """The address with that prefix length."""
    number = int(address)  # of an address, ipaddress would make a text and read that again
    if isinstance(address, IPv4Address):
        return IPv4Interface((number, prefix))
    return IPv6Interface((number, prefix))


def read_address(reading: Reading, word: int, what: str) -> IPInterface:
    """`ADDR[/LEN]`; a length that cannot be is complained about, and the host's is used, as keepalived does."""
    text, slash, length = reading.words[word].partition("/")
    address = parse_address(text)
    if address is None:
        raise BadValue(f"{what} {reading.shown(word)} is no IP address. skipping...", Code.BAD_ADDRESS, word=word)
    longest: int = address.max_prefixlen
    prefix = longest
    if slash and length:
        number = _NUMBER.match(length)
        if number is None or int(number.group()) > longest:
            message = f"Invalid address prefix len in {reading.shown(word)} - using {longest}"
            reading.lose(message, Code.BAD_PREFIX, word=word)
        else:
            prefix = int(number.group())
            if number.end() < len(length):
                message = f"Invalid address prefix len in {reading.shown(word)} - using {prefix}"
                reading.mend(message, Code.BAD_PREFIX, word=word)
    return interface_of(address, prefix)


class _Options:
    """What has been read of an address line so far."""

    __slots__ = ("address", "fields", "static")

    def __init__(self, address: IPInterface, *, static: bool) -> None:
        self.address = address
        self.static = static
        self.fields: dict[str, Any] = {}


def _dev(reading: Reading, word: int, options: _Options) -> None:
    if "dev" in options.fields:
        raise BadValue(f"a second interface {reading.shown(word)}. skipping...", Code.DUPLICATE, word=word)
    options.fields["dev"] = interface_name(reading, word)


def _scope(reading: Reading, word: int, options: _Options) -> None:
    name = reading.words[word]
    scope = SCOPES.get(name, int(name) if _NUMBER.fullmatch(name) else None)
    if scope is None or scope > 255:
        message = f"Invalid scope {reading.shown(word)} specified - ignoring"
        reading.lose(message, Code.BAD_VALUE, word=word, hint=", ".join(SCOPES) + " or 0-255")
    elif options.address.version == 6:
        reading.mend("Cannot specify scope for IPv6 addresses - ignoring scope", Code.FAMILY, word=word)
    else:
        options.fields["scope"] = scope


def _broadcast(reading: Reading, word: int, options: _Options) -> None:
    text = reading.words[word]
    interface = options.address
    if not isinstance(interface, IPv4Interface):
        raise BadValue("an IPv6 address has no broadcast address. skipping...", Code.FAMILY, word=word)
    if text in ("+", "-"):
        network: IPv4Network = interface.network
        if network.prefixlen > 30:
            message = f"Address prefix length {network.prefixlen} too long for broadcast"
            reading.mend(message, Code.BAD_PREFIX, word=word)
        else:
            options.fields["broadcast"] = network.broadcast_address if text == "+" else network.network_address
        return
    address = parse_address(text)
    if not isinstance(address, IPv4Address):
        raise BadValue(f"invalid broadcast address {reading.shown(word)}. skipping...", Code.BAD_ADDRESS, word=word)
    options.fields["broadcast"] = address


def _label(reading: Reading, word: int, options: _Options) -> None:
    if options.address.version == 6:
        reading.mend("Cannot specify label for IPv6 addresses - ignoring label", Code.FAMILY, word=word)
    elif len(reading.words[word]) > LABEL_LENGTH:
        raise BadValue(
            f"Address label {reading.shown(word)} is longer than maximum length {LABEL_LENGTH} - removing address",
            Code.BAD_VALUE,
            word=word,
        )
    else:
        options.fields["label"] = reading.words[word]


def _peer(reading: Reading, word: int, options: _Options) -> None:
    peer = read_address(reading, word, "peer")
    if peer.version != options.address.version:
        raise BadValue(f"peer {reading.shown(word)} is of another family. skipping...", Code.FAMILY, word=word)
    options.fields["peer"] = peer


def _preferred(reading: Reading, word: int, options: _Options) -> None:
    text = reading.words[word]
    if text == "forever":
        options.fields["preferred_lifetime_s"] = None
    elif _NUMBER.fullmatch(text) and int(text) < 2**32:
        options.fields["preferred_lifetime_s"] = int(text)
    else:
        reading.lose(f"preferred_lft {reading.shown(word)} is invalid", Code.BAD_NUMBER, word=word)


def _track_group(reading: Reading, word: int, options: _Options) -> None:
    if options.static:
        options.fields["track_group"] = reading.words[word]
    else:
        reading.lose("track_group is for static addresses - ignoring", Code.UNKNOWN_OPTION, word=word)


_WITH_VALUE: Final[dict[str, Callable[[Reading, int, _Options], None]]] = {
    "dev": _dev,
    "scope": _scope,
    "brd": _broadcast,
    "broadcast": _broadcast,
    "label": _label,
    "peer": _peer,
    "preferred_lft": _preferred,
    "track_group": _track_group,
}
_FLAGS: Final = {
    "home": "home",
    "mngtmpaddr": "manage_temporary",
    "noprefixroute": "no_prefix_route",
    "autojoin": "autojoin",
    "-nodad": "dad",
    "no_track": "no_track",
}


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """
    `ADDR[/LEN] [option ...]`, a line of `virtual_ipaddress` or `virtual_ipaddress_excluded`.

    Attributes:
        static: A line of `static_ipaddress`, where `track_group` is known and `use_vmac` is not.
    """

    static: bool = False

    def __call__(self, reading: Reading) -> AddressLine:
        words = reading.words
        interface = read_address(reading, 0, "virtual address")
        options = _Options(interface, static=self.static)
        if len(words) > 1:
            self._options(reading, options)
        fields = options.fields
        if interface.version == 6 and interface.network.prefixlen == 128:
            # Not to be chosen as a source: the kernel prefers addresses that are not deprecated.
            fields.setdefault("preferred_lifetime_s", 0)
        if "peer" in fields:
            interface = interface_of(interface.ip, interface.max_prefixlen)
        return AddressLine(interface, place=reading.line.place(0), **fields)

    def _options(self, reading: Reading, options: _Options) -> None:
        words = reading.words
        at = 1
        while at < len(words):
            word = words[at]
            if word in _FLAGS:
                options.fields[_FLAGS[word]] = True
                at += 1
            elif word in _WITH_VALUE:
                if at + 1 == len(words):
                    message = f"No {word} parameter specified for {reading.shown(0)}"
                    raise BadValue(message, Code.MISSING_VALUE, word=at)
                _WITH_VALUE[word](reading, at + 1, options)
                at += 2
            elif word == "use_vmac" and not self.static:
                options.fields["use_vmac"] = True
                reading.refuse("use_vmac", word=at)
                at += 1
            else:
                hint = reading.log.nearest(word, (*_WITH_VALUE, *_FLAGS))
                message = f"Unknown configuration entry {reading.shown(at)} for ip address - ignoring"
                reading.lose(message, Code.UNKNOWN_OPTION, word=at, hint=hint)
                at += 1


class UnicastPeer:
    """`ADDR [min_ttl N] [max_ttl N]`."""

    def __call__(self, reading: Reading) -> Peer:
        words = reading.words
        address = host_address(reading, 0)
        if address is None:
            raise BadValue(f"malformed unicast peer address {reading.shown(0)}. Skipping...", Code.BAD_ADDRESS, word=0)
        bounds = {"min_ttl": 0, "max_ttl": TTL_MAX}
        bounded = False
        for at in range(1, len(words), 2):
            if words[at] not in bounds:
                reading.lose(
                    f"unknown unicast_peer option {reading.shown(at)} - ignoring the rest of the line",
                    Code.UNKNOWN_OPTION,
                    word=at,
                    hint="one peer on a line, then min_ttl N or max_ttl N",
                )
                break
            value = words[at + 1] if at + 1 < len(words) else ""
            if not _NUMBER.fullmatch(value) or int(value) > TTL_MAX:
                reading.lose(f"{words[at]} needs a number in [0, {TTL_MAX}] - ignoring", Code.VALUE_RANGE, word=at)
                break
            bounds[words[at]] = int(value)
            bounded = True
        if bounds["min_ttl"] > bounds["max_ttl"]:
            message = f"min_ttl {bounds['min_ttl']} > max_ttl {bounds['max_ttl']} - all packets will be discarded"
            reading.mend(message, Code.VALUE_RANGE, word=0)
        return Peer(address, bounds["min_ttl"], bounds["max_ttl"], bounded)


@dataclass(frozen=True, slots=True)
class Tracked:
    """
    `NAME [weight N [reverse|noreverse]]`.

    Attributes:
        what: The keyword, for messages.
        high: Greatest weight.
        weight: When none is given; None takes the tracker's own.
        reverse: The same; if None, `noreverse` is known too.
        interface: The name is an interface's.
    """

    what: str
    high: int = 253
    weight: int | None = None
    reverse: bool | None = None
    interface: bool = False

    def __call__(self, reading: Reading) -> Track:
        words = reading.words
        name = interface_name(reading, 0) if self.interface else words[0]
        place = reading.line.place(0)
        weight, reverse = self.weight, self.reverse
        if len(words) == 1:
            return Track(name, weight, reverse, place)
        label = f"{self.what} {reading.shown(0)}"
        if words[1] != "weight":
            raise BadValue(
                f"unknown {label} option {reading.shown(1)} - ignoring", Code.UNKNOWN_OPTION, hint="weight N"
            )
        if len(words) == 2:
            raise BadValue(f"weight without value specified for {label} - ignoring", Code.MISSING_VALUE)
        weight = self._weight(reading, label)
        if len(words) > 3:
            if words[3] == "reverse":
                reverse = True
            elif words[3] == "noreverse" and self.reverse is None:
                reverse = False
            else:
                message = f"unknown {label} weight option {reading.shown(3)} - ignoring"
                reading.lose(message, Code.UNKNOWN_OPTION, word=3)
        return Track(name, weight, reverse, place)

    def _weight(self, reading: Reading, label: str) -> int | None:
        """The number as keepalived reads it: what follows its digits is passed over, and 254 becomes 253."""
        text = reading.words[2]
        match = _WEIGHT.match(text)
        message = f"{label}: weight must be between [-{self.high}..{self.high}] inclusive"
        if match is None or abs(int(match.group())) > _WEIGHT_MAX:
            reading.lose(f"{message}, ignoring...", Code.VALUE_RANGE, word=2)
            return self.weight
        weight = max(-self.high, min(int(match.group()), self.high))
        if match.end() < len(text) or weight != int(text):
            reading.mend(f"{message}, using {weight}", Code.VALUE_RANGE, word=2)
        return weight
