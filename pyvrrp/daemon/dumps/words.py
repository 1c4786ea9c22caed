"""The parts that keepalived's texts are made of: times, numbers, addresses, routes, rules and programs. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final

from pyvrrp.config.model import AddressLine, IPInterface, NextHop, Route, Rule
from pyvrrp.net.system import Scope
from pyvrrp.protocol.constants import US_PER_S, IPAddress

SECRET: Final = "*" * 8
"""In the place of a password."""

_PROTOCOL: Final = 18  # keepalived's own number, of which it says that routes and rules bear it


def seconds(us: int) -> str:
    """A time in seconds, with as many digits as it needs."""
    return f"{us / US_PER_S:g}"


def moment(at_us: int) -> str:
    """A time of day (microseconds since 1970) as a number and, in local time, for people."""
    whole, us = divmod(at_us, US_PER_S)
    local = time.localtime(whole)
    return f"{whole}.{us:06} ({time.strftime('%a %b %e %H:%M:%S', local)}.{us:06} {local.tm_year})"


def bare(address: IPInterface) -> str:
    """An address, with the length of its prefix unless that is all of it."""
    if address.network.prefixlen == address.max_prefixlen:
        return str(address.ip)
    return f"{address.ip}/{address.network.prefixlen}"


def scope(number: int) -> str:
    """A scope by its name, if it has one."""
    return Scope(number).name.lower() if number in set(Scope) else str(number)


def address(line: AddressLine, interface: str, *, installed: bool) -> str:
    """
    One address.

    Args:
        line: As it was configured.
        interface: That of its instance.
        installed: It is there now.
    """
    words = [bare(line.address)]
    if line.broadcast is not None:
        words.append(f"brd {line.broadcast}")
    words.append(f"dev {line.dev or interface}")
    words.append(f"scope {scope(line.scope)}")
    if line.label is not None:
        words.append(f"label {line.label}")
    flags = (
        ("noprefixroute", line.no_prefix_route),
        ("home", line.home),
        ("-nodad", line.dad),
        ("mngtmpaddr", line.manage_temporary),
        ("autojoin", line.autojoin),
        ("no_track", line.no_track),
    )
    words += [word for word, said in flags if said]
    if line.address.version == 6:
        words.append(_lifetime(line.preferred_lifetime_s))
    if installed:
        words.append("set")
    return " ".join(words)


def _lifetime(preferred_s: int | None) -> str:
    if preferred_s == 0:
        return "deprecated"
    return f"preferred_lft {'forever' if preferred_s is None else preferred_s}"


def route(one: Route) -> str:
    """A virtual route; of several ways the first one."""
    words: list[str] = [one.action or "prepend"]
    if one.kind != "unicast":
        words.append(one.kind)
    words.append(_network(one.destination))
    hop = one.hops[0] if one.hops else NextHop()
    if hop.via is not None:
        words.append(f"via {'inet6' if hop.via.version == 6 else 'inet'} {hop.via}")
    words += _said(("src", one.source), ("dev", hop.dev), ("table", one.table))
    words.append(f"proto {_PROTOCOL if one.protocol is None else one.protocol}")
    words += _said(("scope", one.scope), ("metric", one.metric))
    if one.no_track:
        words.append("no_track")
    return " ".join(words)


def rule(one: Rule) -> str:
    """A virtual rule, by the words that most have."""
    words = ["not"] if one.negated else []
    for word, network in (("from", one.from_network), ("to", one.to_network)):
        if network is not None:
            words.append(f"{word} {bare(network)}")
    words += _said(("priority", one.preference), ("iif", one.iif), ("oif", one.oif))
    words += [f"tos {one.tos or 0:#x}", f"protocol {_PROTOCOL if one.protocol is None else one.protocol}"]
    words.append(f"lookup {one.table}" if one.action == "table" else one.action)
    return " ".join(words)


def _network(destination: IPInterface) -> str:
    return f"{destination.ip}/0" if destination.network.prefixlen == 0 else bare(destination)


def _said(*pairs: tuple[str, int | str | IPAddress | None]) -> Iterator[str]:
    return (f"{word} {value}" for word, value in pairs if value is not None)


def program(argv: Iterable[str]) -> str:
    """A program with its words, each in quotes."""
    return " ".join(f"'{word}'" for word in argv)
