# ruff: noqa: D102  what a call reads is said by its class

"""
Lines of `virtual_routes` and `static_routes`, in the words of iproute2.

A line with a mistake is dropped as a whole, as keepalived does: half a route would lead somewhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pyvrrp.config.codes import Code
from pyvrrp.config.cursor import ANYWHERE, PROTOCOLS, TABLES, Cursor
from pyvrrp.config.model import IPInterface, NextHop, Route, RouteMetric
from pyvrrp.config.readers import UINT_MAX, BadValue, Reading
from pyvrrp.config.routing import PROTOCOL_KEEPALIVED
from pyvrrp.config.texts import parse_address

KINDS: Final = frozenset(
    "unicast local broadcast anycast multicast blackhole unreachable prohibit throw nat xresolve".split()  # noqa: SIM905
)
WEIGHT_MAX: Final = 256
_TIME: Final = re.compile(r"[0-9]{1,9}(?:ms|s)?", re.ASCII)
# Metrics and their greatest value.
_NUMBERS: Final = {
    "mtu": UINT_MAX,
    "hoplimit": 255,
    "advmss": UINT_MAX,
    "reordering": UINT_MAX,
    "window": UINT_MAX,
    "cwnd": UINT_MAX,
    "ssthresh": UINT_MAX,
    "initcwnd": UINT_MAX,
    "initrwnd": UINT_MAX,
    "quickack": 1,
    "fastopen_no_cookie": 1,
}
_TIMES: Final = ("rtt", "rttvar", "rto_min")
_CHOICES: Final = {"features": ("ecn",), "ttl-propagate": ("enabled", "disabled")}
_PREFERENCES: Final = ("low", "medium", "high")
_ACTIONS: Final = frozenset({"add", "prepend", "append"})
# Encapsulations: words without a name first, then those that have one.
_ENCAPS: Final[dict[str, tuple[int, frozenset[str]]]] = {
    "ip": (0, frozenset({"id", "dst", "src", "tos", "ttl", "flags"})),
    "ip6": (0, frozenset({"id", "dst", "src", "tc", "hoplimit", "flags"})),
    "mpls": (1, frozenset({"ttl"})),
    "ila": (1, frozenset({"csum-mode", "ident-type", "hook-type"})),
}


class _Draft:
    """A route while its words are read."""

    __slots__ = ("destination", "fields", "hop", "hops", "metrics")

    def __init__(self) -> None:
        self.destination: IPInterface | str | None = None  # a word for any network, until the family is known
        self.fields: dict[str, Any] = {}
        self.hop: dict[str, Any] = {}  # the way that stands in the route itself
        self.hops: list[NextHop] = []
        self.metrics: list[RouteMetric] = []


def _destination(cursor: Cursor, draft: _Draft) -> None:
    cursor.families()
    if draft.destination is not None:
        raise cursor.bad(f"the destination is there already, before {cursor.reading.shown(cursor.at)}")
    if cursor.word in ANYWHERE:
        draft.destination = cursor.take()
    else:
        draft.destination = cursor.network("route")


def _via(cursor: Cursor, draft: _Draft) -> None:
    draft.hop["via"] = _gateway(cursor)


def _gateway(cursor: Cursor) -> Any:
    cursor.families()
    return cursor.address("route")


def _old_gateway(cursor: Cursor, draft: _Draft) -> None:
    _deprecated(cursor, "gw", "via")
    _via(cursor, draft)


def _or(cursor: Cursor, draft: _Draft) -> None:
    _deprecated(cursor, "or", "nexthop")
    draft.hops.append(NextHop(via=_gateway(cursor)))


def _deprecated(cursor: Cursor, word: str, instead: str) -> None:
    message = f'"{word}" for routes is deprecated. Please use "{instead}"'
    cursor.reading.mend(message, Code.DEPRECATED, word=cursor.at - 1)


def _encap(cursor: Cursor) -> tuple[str, ...]:
    kind = cursor.take()
    if kind not in _ENCAPS:
        raise cursor.bad(f"unknown encapsulation {cursor.shown}", Code.BAD_VALUE, ", ".join(_ENCAPS))
    plain, named = _ENCAPS[kind]
    words = [kind, *(cursor.take() for _ in range(plain))]
    while cursor.word in named:
        words += [cursor.take(), cursor.take()]
    return tuple(words)


def _next_hop(cursor: Cursor, draft: _Draft) -> None:
    fields: dict[str, Any] = {}
    while True:
        word = cursor.word
        if word == "onlink":
            cursor.take()
            fields["onlink"] = True
        elif word in _HOP_WORDS:
            cursor.take()
            name, read = _HOP_WORDS[word]
            fields[name] = read(cursor)
        else:
            break
    if not fields:
        raise cursor.bad("a nexthop needs via or dev", Code.MISSING_VALUE)
    draft.hops.append(NextHop(**fields))


def _preference(cursor: Cursor) -> str:
    word = cursor.take()
    if word not in _PREFERENCES:
        raise cursor.bad(f"unknown pref {cursor.shown}", Code.BAD_VALUE, ", ".join(_PREFERENCES))
    return word


def _metric(cursor: Cursor, draft: _Draft, name: str) -> None:
    lock = cursor.word == "lock"
    if lock:
        cursor.take()
    value: int | str
    if name in _NUMBERS:
        value = cursor.number(_NUMBERS[name])
    else:
        value = cursor.take()
        if name in _TIMES and not _TIME.fullmatch(value):
            raise cursor.bad(
                f"invalid time {cursor.shown} for {name}", Code.BAD_NUMBER, "a number, or one with ms or s"
            )
        if name in _CHOICES and value not in _CHOICES[name]:
            raise cursor.bad(f"unknown {name} {cursor.shown}", Code.BAD_VALUE, ", ".join(_CHOICES[name]))
    draft.metrics.append(RouteMetric(name, value, lock))


_METRICS: Final = frozenset({*_NUMBERS, *_TIMES, *_CHOICES, "congctl", "realms"})
_HOP_WORDS: Final[dict[str, tuple[str, Callable[[Cursor], Any]]]] = {
    "via": ("via", _gateway),
    "dev": ("dev", Cursor.interface),
    "oif": ("dev", Cursor.interface),
    "weight": ("weight", lambda cursor: cursor.number(WEIGHT_MAX, 1)),
    "encap": ("encap", _encap),
    "realms": ("realm", Cursor.take),
}
_TOS_MAX: Final = 255
# A word, the field that it fills, and how its value is read.
_FIELDS: Final[dict[str, tuple[str, Callable[[Cursor], Any]]]] = {
    "src": ("source", lambda cursor: cursor.address("route")),
    "from": ("source_network", lambda cursor: cursor.network("route")),
    "tos": ("tos", lambda cursor: cursor.number(_TOS_MAX)),
    "dsfield": ("tos", lambda cursor: cursor.number(_TOS_MAX)),
    "table": ("table", lambda cursor: cursor.number_or_name(TABLES)),
    "protocol": ("protocol", lambda cursor: cursor.number_or_name(PROTOCOLS, 255)),
    "scope": ("scope", Cursor.scope),
    "metric": ("metric", Cursor.number),
    "priority": ("metric", Cursor.number),
    "preference": ("metric", Cursor.number),
    "vrf": ("vrf", Cursor.interface),
    "expires": ("expires_s", Cursor.number),
    "pref": ("preference", _preference),
}
_TO_HOP: Final[dict[str, tuple[str, Callable[[Cursor], Any]]]] = {
    "dev": ("dev", Cursor.interface),
    "oif": ("dev", Cursor.interface),
    "encap": ("encap", _encap),
}
_STEPS: Final[dict[str, Callable[[Cursor, _Draft], None]]] = {
    "to": _destination,
    "via": _via,
    "gw": _old_gateway,
    "or": _or,
    "nexthop": _next_hop,
}


def _is_destination(word: str) -> bool:
    return word in ANYWHERE or parse_address(word.partition("/")[0]) is not None


@dataclass(frozen=True, slots=True)
class RouteLine:
    """One route; *static* knows `track_group`."""

    static: bool = False

    def __call__(self, reading: Reading) -> Route:
        cursor, draft = Cursor(reading), _Draft()
        cursor.families()
        while cursor.word:
            self._step(cursor, draft)
        return _finished(reading, cursor, draft)

    def _step(self, cursor: Cursor, draft: _Draft) -> None:
        word = cursor.take()
        if word in _STEPS:
            _STEPS[word](cursor, draft)
        elif word in _FIELDS:
            name, read = _FIELDS[word]
            draft.fields[name] = read(cursor)
        elif word in _TO_HOP:
            name, read = _TO_HOP[word]
            draft.hop[name] = read(cursor)
        elif word in _METRICS:
            _metric(cursor, draft, word)
        elif word in _ACTIONS:
            draft.fields["action"] = word
        elif word in KINDS:
            draft.fields["kind"] = word
        elif word in ("onlink", "no_track"):
            (draft.hop if word == "onlink" else draft.fields)[word] = True
        elif word == "track_group" and self.static:
            draft.fields["track_group"] = cursor.take()
        elif draft.destination is None and _is_destination(word):
            cursor.at -= 1
            _destination(cursor, draft)
        else:
            known = (*_STEPS, *_FIELDS, *_TO_HOP, *_METRICS, "onlink", "no_track")
            hint = cursor.reading.log.nearest(word, known)
            raise cursor.bad(f"unknown route keyword {cursor.shown}", Code.UNKNOWN_OPTION, hint)


def _finished(reading: Reading, cursor: Cursor, draft: _Draft) -> Route:
    destination = draft.destination
    if destination is None:
        raise BadValue("Route must have a destination", Code.BAD_LINE, word=0)
    if isinstance(destination, str):
        destination = cursor.any_network()
    fields = draft.fields
    if "preference" in fields and destination.version == 4:
        raise BadValue("pref is only valid for IPv6", Code.FAMILY, word=0)
    hops = ([NextHop(**draft.hop)] if draft.hop else []) + draft.hops
    if not any(hop.dev for hop in hops[:1]) and not fields.get("no_track"):
        message = f"Warning - cannot track route {destination} with no interface specified, not tracking"
        reading.mend(message, Code.BAD_LINE, word=0, hint="dev INTERFACE, or no_track")
        fields["no_track"] = True
    elif fields.get("protocol") not in (None, PROTOCOL_KEEPALIVED) and not fields.get("no_track"):
        message = "Route cannot be tracked if its protocol is not keepalived, resetting protocol"
        reading.mend(message, Code.BAD_LINE, word=0, hint="no_track keeps the protocol")
        del fields["protocol"]
    return Route(destination, hops=tuple(hops), metrics=tuple(draft.metrics), place=reading.line.place(0), **fields)
