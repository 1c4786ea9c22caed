# ruff: noqa: D102  what a call reads is said by its class

"""
Lines of `virtual_rules` and `static_rules`, in the words of iproute2.

A line with a mistake is dropped as a whole, as keepalived does: half a rule would match too much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pyvrrp.config.codes import Code
from pyvrrp.config.cursor import PROTOCOLS, TABLES, Cursor
from pyvrrp.config.model import Rule
from pyvrrp.config.readers import UINT_MAX, BadValue, Reading
from pyvrrp.protocol.constants import Family

ULONG_MAX: Final = 2**64 - 1
IP_PROTOCOLS: Final = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "ipv6-icmp": 58, "vrrp": 112, "sctp": 132}
_PORT_MAX: Final = 65535
_TOS_MAX: Final = 255


def _mark(cursor: Cursor) -> tuple[int, int | None]:
    mark, found, mask = cursor.take().partition("/")
    return cursor.checked(mark, 0, UINT_MAX), cursor.checked(mask, 0, UINT_MAX) if found else None


_FIELDS: Final[dict[str, tuple[str, Callable[[Cursor], Any]]]] = {
    "from": ("from_network", lambda cursor: cursor.network("rule")),
    "to": ("to_network", lambda cursor: cursor.network("rule")),
    "table": ("table", lambda cursor: cursor.number_or_name(TABLES)),
    "lookup": ("table", lambda cursor: cursor.number_or_name(TABLES)),
    "preference": ("preference", Cursor.number),
    "order": ("preference", Cursor.number),
    "priority": ("preference", Cursor.number),
    "tos": ("tos", lambda cursor: cursor.number(_TOS_MAX)),
    "dsfield": ("tos", lambda cursor: cursor.number(_TOS_MAX)),
    "fwmark": ("mark", _mark),
    "realms": ("realms", Cursor.take),
    "suppress_prefixlength": ("suppress_prefix_length", lambda cursor: cursor.number(128)),
    "sup_pl": ("suppress_prefix_length", lambda cursor: cursor.number(128)),
    "suppress_ifgroup": ("suppress_group", lambda cursor: cursor.number_or_name({})),
    "sup_group": ("suppress_group", lambda cursor: cursor.number_or_name({})),
    "dev": ("iif", Cursor.interface),
    "iif": ("iif", Cursor.interface),
    "oif": ("oif", Cursor.interface),
    "tunnel-id": ("tunnel_id", lambda cursor: cursor.number(ULONG_MAX)),
    "uidrange": ("uids", lambda cursor: cursor.numbers("-", UINT_MAX)),
    "protocol": ("protocol", lambda cursor: cursor.number_or_name(PROTOCOLS, 255)),
    "ipproto": ("ip_protocol", lambda cursor: cursor.number_or_name(IP_PROTOCOLS, 255)),
    "ip_proto": ("ip_protocol", lambda cursor: cursor.number_or_name(IP_PROTOCOLS, 255)),
    "sport": ("sport", lambda cursor: cursor.numbers("-", _PORT_MAX)),
    "dport": ("dport", lambda cursor: cursor.numbers("-", _PORT_MAX)),
    "goto": ("goto", Cursor.number),
}
_ACTIONS: Final = frozenset({"nop", "blackhole", "unreachable", "prohibit"})
_FLAGS: Final = {"not": "negated", "l3mdev": "l3mdev", "no_track": "no_track"}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule; *static* knows `track_group`."""

    static: bool = False

    def __call__(self, reading: Reading) -> Rule:
        cursor = Cursor(reading)
        fields: dict[str, Any] = {}
        cursor.families()
        while cursor.word:
            word = cursor.take()
            if word in _FIELDS:
                name, read = _FIELDS[word]
                fields[name] = read(cursor)
            elif word in _FLAGS:
                fields[_FLAGS[word]] = True
            elif word in _ACTIONS:
                fields["action"] = word
            elif word == "track_group" and self.static:
                fields["track_group"] = cursor.take()
            else:
                hint = reading.log.nearest(word, (*_FIELDS, *_FLAGS, *_ACTIONS))
                raise cursor.bad(f"Unknown rule option {cursor.shown}", Code.UNKNOWN_OPTION, hint)
        if "goto" in fields:
            fields["action"] = "goto"
        if not fields.keys() & {"table", "action", "l3mdev"}:
            raise BadValue("No action specified for rule - ignoring", Code.BAD_LINE, word=0, hint="table TABLE")
        if "l3mdev" in fields and fields.keys() & {"table", "action"}:
            raise BadValue("Cannot specify l3mdev with other action", Code.BAD_LINE, word=0)
        preference, goto = fields.get("preference"), fields.get("goto")
        if preference is not None and goto is not None and preference >= goto:
            message = f"Invalid rule - preference {preference} >= goto target {goto}"
            raise BadValue(message, Code.BAD_LINE, word=0)
        return Rule(cursor.family or Family.V4, place=reading.line.place(0), **fields)
