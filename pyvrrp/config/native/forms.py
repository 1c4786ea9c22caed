"""
Which values of TOML say the words of a keyword.

A number, a text or a list is the words themselves, `true` is a keyword without any, and a table names its words. What
a value means, and its range, is the affair of the keyword's reader alone, in both forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyvrrp.config.addresses import Tracked, UnicastPeer, VirtualAddress
from pyvrrp.config.commands import TcpCheck, User
from pyvrrp.config.interfaces import MAC, MODES, DelayLine, ExtraInterfaces, LinkbeatLine, UseIpvlan, UseVmac
from pyvrrp.config.native.statement import reader_of
from pyvrrp.config.readers import Integer, Numbers, Seconds, Weight
from pyvrrp.config.routes import RouteLine
from pyvrrp.config.rows import Row
from pyvrrp.config.rules import RuleLine
from pyvrrp.config.system import BufferPolicy, FifoPath, IncludeChecks, InitFile, Key, SmtpServer, Umask
from pyvrrp.config.texts import Names, parse_address
from pyvrrp.protocol.constants import US_PER_S


@dataclass(frozen=True, slots=True)
class Part:
    """
    One key of a table.

    Attributes:
        key: As it is typed in TOML.
        word: What stands before its value in keepalived.conf; empty if the place alone tells.
        switch: There is no value, the word is there or not.
        off: Word that says that it is not.
        number: The value is a number.
        like: What the words look like that need no word before them.
        bare: keepalived.conf may leave out its word.
        unit: Of a number.
        required: The table makes no sense without it.
    """

    key: str
    word: str = ""
    switch: bool = False
    off: str = ""
    number: bool = False
    like: Callable[[str], bool] | None = None
    bare: bool = False
    unit: str = ""
    required: bool = False


def _switches(**words: str) -> tuple[Part, ...]:
    return tuple(Part(key, word, switch=True) for key, word in words.items())


def _is_mac(word: str) -> bool:
    return MAC.fullmatch(word) is not None


def _is_address(word: str) -> bool:
    return parse_address(word.partition("/")[0]) is not None


TABLES: Final[Mapping[type[Any], tuple[Part, ...]]] = {
    VirtualAddress: (
        Part("address", required=True),
        Part("peer", "peer"),
        Part("broadcast", "brd"),
        Part("dev", "dev"),
        Part("scope", "scope"),
        Part("label", "label"),
        Part("preferred_lft", "preferred_lft", number=True, unit="seconds"),  # or "forever"
        *_switches(
            home="home",
            nodad="-nodad",
            mngtmpaddr="mngtmpaddr",
            noprefixroute="noprefixroute",
            autojoin="autojoin",
            no_track="no_track",
            use_vmac="use_vmac",
        ),
        Part("track_group", "track_group"),
    ),
    UnicastPeer: (
        Part("address", required=True),
        Part("min_ttl", "min_ttl", number=True),
        Part("max_ttl", "max_ttl", number=True),
    ),
    Tracked: (
        Part("name", required=True),
        Part("weight", "weight", number=True),
        Part("reverse", "reverse", switch=True, off="noreverse"),
    ),
    Weight: (Part("weight", number=True, required=True), Part("reverse", "reverse", switch=True)),
    InitFile: (Part("value", number=True), Part("overwrite", "overwrite", switch=True)),
    FifoPath: (Part("path", required=True), Part("user"), Part("group")),
    User: (Part("user", required=True), Part("group")),
    SmtpServer: (Part("host", required=True), Part("port", number=True)),
    TcpCheck: (Part("port", number=True, required=True), Part("address")),
    Key: (Part("id", number=True, required=True), Part("secret", required=True)),
    LinkbeatLine: (Part("interface", required=True), Part("method")),
    DelayLine: (
        Part("interface", required=True),
        Part("down", number=True, unit="seconds"),
        Part("up", number=True, unit="seconds"),
    ),
    ExtraInterfaces: (
        Part("all", "all", switch=True),
        Part("interval", number=True, required=True, unit="seconds"),
    ),
    UseVmac: (
        Part("name", "name", bare=True),
        Part("mac", like=_is_mac),
        Part("netlink_notify_msg", "netlink_notify_msg", switch=True),
        Part("group", "group"),
    ),
    UseIpvlan: (
        Part("name", "name", bare=True),
        Part("address", like=_is_address),
        Part("mode", like=MODES.__contains__),
        Part("group", "group"),
    ),
}
# A text is a line of words, as in keepalived.conf; elsewhere it is one word.
LINES: Final = (VirtualAddress, UnicastPeer, RouteLine, RuleLine, LinkbeatLine, DelayLine)
LISTS: Final = (Numbers, IncludeChecks, Names)
NUMBERS: Final = (Integer, Seconds, Numbers, BufferPolicy)
OCTAL: Final = (Umask,)


def table_of(parts: Sequence[Part], words: Sequence[str]) -> dict[str, str | bool]:
    """The table that says these words, which a reader's way back has made."""
    table: dict[str, str | bool] = {}
    labelled = {part.word: part for part in parts if part.word}
    off = {part.off: part for part in parts if part.off}
    places = [part for part in parts if not part.word]
    rest = iter(words)
    for number, word in enumerate(rest):
        first = number == 0 and places[:1] == list(parts[:1]) and places[0].like is None
        if not first and word in labelled:
            part = labelled[word]
            table[part.key] = True if part.switch else next(rest)
        elif not first and word in off:
            table[off[word].key] = False
        else:
            part = next(
                part
                for part in (*places, *(part for part in parts if part.bare))
                if part.key not in table and (part.like is None or part.like(word))
            )
            table[part.key] = word
    return table


def unit_of(row: Row) -> str:
    """The unit of a keyword's number, or empty."""
    if not row.target.endswith("_us"):
        return ""
    return {1: "microseconds", US_PER_S // 1000: "milliseconds", US_PER_S: "seconds"}[reader_of(row).unit]
