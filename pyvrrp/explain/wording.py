"""
Values of the configuration as people type and read them, and as JSON has them; secrets are masked in both.

A value's name is the keyword that sets it, as the rows of the keyword table say.
"""

from __future__ import annotations

import dataclasses
import enum
import shlex
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any, Final

from pyvrrp.config.keywords import BY_BLOCK, ROWS
from pyvrrp.config.model import (
    AddressLine,
    Authentication,
    Command,
    Hmac,
    IPInterface,
    Ipvlan,
    NextHop,
    Place,
    Route,
    RouteMetric,
    Rule,
    TcpTarget,
    Track,
    Vmac,
)
from pyvrrp.config.rows import Block, Status
from pyvrrp.protocol.constants import US_PER_S, Family

MASK: Final = "********"

# What the rows call it and what the model calls it, where that differs.
_FIELD_OF: Final = {
    "mcast_source": "source",
    "unicast_source": "source",
    "peers": "unicast_peers",
    "auth_type": "authentication",
    "deleted": "notify.deleted",
    "garp.extra": "garp.extra_interval_us",
    "init_file": "initial",
    "vrrp": "for_vrrp",
    "checker": "for_checker",
}
_BLOCKS: Final = {Block.AUTHENTICATION: Block.INSTANCE, Block.AUTH_HMAC: Block.INSTANCE, Block.ROOT: Block.GLOBAL}
# Fields that no single row has for its target.
_APART: Final = {
    ("vrrp_instance", "authentication"): "authentication",
    ("vrrp_instance", "hmac"): "auth_hmac",
    ("vrrp_instance", "source"): "mcast_src_ip",
    ("vrrp_instance", "preempt"): "preempt",
    ("vrrp_instance", "accept"): "accept",
    ("vrrp_instance", "track_primary"): "track_primary",
    ("vrrp_instance", "unicast_ttl_bounds"): "min_ttl/max_ttl",
    ("vrrp_instance", "garp.interval_us"): "garp_interval",
    ("vrrp_instance", "garp.gna_interval_us"): "gna_interval",
    ("vrrp_instance", "garp.extra_all"): "garp_extra_if all",
}


def _keywords() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = dict(_APART)
    for row in ROWS:
        if row.target:
            block = _BLOCKS.get(row.block, row.block)
            found.setdefault((block.value, _FIELD_OF.get(row.target, row.target)), row.keyword)
    return found


_KEYWORDS: Final = _keywords()


def works(block: Block, keyword: str) -> bool:
    """Whether this release does what a keyword asks for."""
    return BY_BLOCK[block][keyword].status is Status.WORKS


def keyword_of(block: str, field: str) -> str:
    """The keyword that sets a field of the model; where none does alone, the field's own name."""
    return _KEYWORDS.get((block, field), field.removesuffix("_us"))


def seconds(us: int) -> str:
    """A time for people: seconds from one second on, else milliseconds."""
    return milliseconds(us) if 0 < us < US_PER_S else f"{us / US_PER_S:.6f}".rstrip("0").rstrip(".") + " s"


def milliseconds(us: int) -> str:
    """A time in milliseconds, with all digits that it has."""
    return f"{us / 1000:.3f}".rstrip("0").rstrip(".") + " ms"


def names(words: Iterable[object], last: str = "and") -> str:
    """`a, b and c`."""
    listed = [str(word) for word in words]
    return " ".join((", ".join(listed[:-1]), last, listed[-1])) if len(listed) > 1 else "".join(listed)


def address_of(interface: IPInterface) -> str:
    """An address, with its prefix length unless that is of one host."""
    host = interface.network.prefixlen == interface.max_prefixlen
    return str(interface.ip) if host else str(interface)


def command_of(command: Command) -> str:
    """A command as it could be typed into a shell, and who runs it."""
    who = " ".join(filter(None, (command.user, command.group)))
    return shlex.join(command.argv) + (f" (as {who})" if who else "")


def line_of(line: AddressLine) -> str:
    """An address as one types it."""
    words = [str(line.address) if line.peer is None else f"{line.address.ip} peer {line.peer}"]
    words += [f"dev {line.dev}"] if line.dev else []
    words += [f"scope {line.scope}"] if line.scope else []
    words += [f"brd {line.broadcast}"] if line.broadcast else []
    words += [f"label {line.label}"] if line.label else []
    words += ["-nodad"] if line.dad else []
    words += [f"preferred_lft {line.preferred_lifetime_s}"] if line.preferred_lifetime_s is not None else []
    switches = (
        ("home", line.home),
        ("mngtmpaddr", line.manage_temporary),
        ("noprefixroute", line.no_prefix_route),
        ("autojoin", line.autojoin),
        ("no_track", line.no_track),
        ("use_vmac", line.use_vmac),
    )
    words += [word for word, on in switches if on]
    words += [f"track_group {line.track_group}"] if line.track_group else []
    return " ".join(words)


def _track(track: Track) -> str:
    words = [track.name]
    words += [f"weight {track.weight}"] if track.weight is not None else []
    words += ["reverse" if track.reverse else "noreverse"] if track.reverse is not None else []
    return " ".join(words)


def _parts(value: Any) -> str:
    """A part of the model: its fields that are not as they would be anyway."""
    said = [
        f"{each.name.removesuffix('_us')} {text_of(each.name, getattr(value, each.name))}"
        for each in dataclasses.fields(value)
        if each.name != "place" and getattr(value, each.name) != each.default
    ]
    return ", ".join(said) or "as usual"


def text_of(field: str, value: Any) -> str:
    """
    A value as people read it.

    Args:
        field: The field's name in the model; its unit is at its end.
        value: Any value of the model.
    """
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case Authentication():
            return f"{value.auth_type} {MASK}"
        case Hmac():
            ids = names(key.key_id for key in value.keys) or "none"
            return f"keys {ids}, active {value.active_key}, {value.mode}, {MASK}"
        case Command():
            return command_of(value)
        case AddressLine():
            return line_of(value)
        case Track():
            return _track(value)
        case Vmac() | Ipvlan() | Route() | Rule() | NextHop() | RouteMetric() | TcpTarget():
            return _parts(value)
        case bytes():
            return value.hex(":")
        case enum.Enum():
            return str(value.value)
        case () | frozenset() if not value:
            return "none"
        case tuple() | frozenset():
            return ", ".join(
                text_of(field, each) for each in (sorted(value) if isinstance(value, frozenset) else value)
            )
        case int() if field.endswith("_us"):
            return seconds(value)
        case _:
            return str(value)


def json_of(value: Any) -> Any:
    """A value as JSON has it: times stay microseconds, as the field's name says."""
    match value:
        case enum.Enum():
            return value.value
        case None | bool() | int() | str():
            return value
        case Authentication():
            return {"auth_type": value.auth_type, "password": MASK}
        case Hmac():
            known = {each.name: json_of(getattr(value, each.name)) for each in dataclasses.fields(value)}
            return known | {"keys": [{"key_id": key.key_id, "secret": MASK} for key in value.keys]}
        case Place():
            return {"file": value.file, "line": value.line, "column": value.column}
        case bytes():
            return value.hex(":")
        case tuple() | list():
            return [json_of(each) for each in value]
        case frozenset():
            return [json_of(each) for each in sorted(value)]
        case IPv4Address() | IPv6Address() | IPv4Interface() | IPv6Interface():
            return str(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {
                each.name: json_of(getattr(value, each.name))
                for each in dataclasses.fields(value)
                if each.name != "place"
            }
        case _:
            return str(value)


def family_name(family: Family) -> str:
    """`IPv4` or `IPv6`."""
    return f"IPv{family:d}"
