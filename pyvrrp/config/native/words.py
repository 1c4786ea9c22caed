"""
Values to the words that say them: for each reader of `readers.py` and its neighbours the way back.

A value that the reader cannot have made has no words; who asks for them has made a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pyvrrp.config.addresses import SCOPES, Peer, Tracked, UnicastPeer, VirtualAddress
from pyvrrp.config.commands import TcpCheck, User
from pyvrrp.config.interfaces import MAC, MODES, DelayLine, ExtraInterfaces, LinkbeatLine, UseIpvlan, UseVmac
from pyvrrp.config.model import (
    AddressLine,
    HmacKey,
    InterfaceDelay,
    Ipvlan,
    Linkbeat,
    NextHop,
    Route,
    Rule,
    TcpTarget,
    Track,
    Vmac,
)
from pyvrrp.config.readers import Anything, Boolean, Flag, Integer, Numbers, Seconds, Weight
from pyvrrp.config.routes import RouteLine
from pyvrrp.config.rules import RuleLine
from pyvrrp.config.system import (
    BufferPolicy,
    FifoPath,
    IncludeChecks,
    InitFile,
    Key,
    OldChecksum,
    Options,
    Process,
    SmtpServer,
    Umask,
)
from pyvrrp.config.texts import Address, Choice, Interface, Names, Secret, Word, Words, parse_address
from pyvrrp.protocol.constants import US_PER_S, Family

Said: TypeAlias = list[str]
_SCOPE_NAMES: Final = {number: name for name, number in SCOPES.items()}


def decimal(value_us: int, unit: int = US_PER_S) -> str:
    """Microseconds as a decimal number of *unit*, exact."""
    whole, rest = divmod(value_us, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest * (US_PER_S // unit)).zfill(6).rstrip('0')}"


def octets_text(octets: bytes) -> str:
    """Octets as they stand in a text that was read; those that are no UTF-8 as surrogates."""
    return octets.decode("utf-8", "surrogateescape")


def _integer(reads: Integer, value: int) -> Said:
    return [str(value // reads.unit)]


def _seconds(reads: Seconds, value: int) -> Said:
    return [decimal(value, reads.unit)]


def _weight(_reads: Weight, value: tuple[int, bool]) -> Said:
    return [str(value[0]), *_if(value[1], "reverse")]


def _word(reads: Word | Choice, value: str) -> Said:
    return [] if value == reads.optional else [value]


def _user(_reads: User, value: tuple[str, str | None]) -> Said:
    return [value[0]] if value[1] is None else [value[0], _group(value[1])]


def _group(name: str) -> str:
    """A group that begins with a colon keeps it only behind another one."""
    return f":{name}" if name.startswith(":") else name


def _fifo(_reads: FifoPath, value: tuple[str, str | None, str | None]) -> Said:
    path, user, group = value
    return [path] if user is None else [path, *_user(User(), (user, group))]


def _init_file(_reads: InitFile, value: tuple[int, bool]) -> Said:
    return [str(value[0]), *_if(value[1], "overwrite")]


def _mail_server(_reads: SmtpServer, value: str) -> Said:
    host, _blank, port = value.rpartition(" ")
    return [host, port] if host and port.isdecimal() else [value]


def _tcp(_reads: TcpCheck, value: TcpTarget) -> Said:
    return [str(value.port)] if value.address is None else [str(value.port), str(value.address)]


def _key(_reads: Key, value: HmacKey) -> Said:
    return [str(value.key_id), octets_text(value.secret)]


def _extra(_reads: ExtraInterfaces, value: tuple[int, bool]) -> Said:
    return [*_if(value[1], "all"), str(value[0] // US_PER_S)]


def _linkbeat(_reads: LinkbeatLine, value: Linkbeat) -> Said:
    return [value.interface] if value.method is None else [value.interface, value.method]


def _delay(_reads: DelayLine, value: InterfaceDelay) -> Said:
    return [value.interface, decimal(value.down_us), decimal(value.up_us)]


def _if(condition: object, *words: str) -> Said:
    return list(words) if condition else []


def _named(word: str, value: object) -> Said:
    return [] if value is None else [word, str(value)]


def _is_marked(word: str) -> bool:
    """It would not be taken for a name."""
    reserved = word in ("group", "name", "netlink_notify_msg", *MODES)
    return reserved or MAC.fullmatch(word) is not None or parse_address(word.partition("/")[0]) is not None


def _name(value: str | None) -> Said:
    # `name` is not known to 2.2.7, so it is said only where it must be.
    return [] if value is None else ["name", value] if _is_marked(value) else [value]


def _vmac(_reads: UseVmac, value: Vmac) -> Said:
    mac = [] if value.mac is None else [value.mac.hex(":")]
    return [*_name(value.name), *mac, *_if(value.notify, "netlink_notify_msg"), *_named("group", value.group)]


def _ipvlan(_reads: UseIpvlan, value: Ipvlan) -> Said:
    address = [] if value.address is None else [str(value.address)]
    return [*_name(value.name), *address, *_if(value.mode != "bridge", value.mode), *_named("group", value.group)]


def _address(_reads: VirtualAddress, value: AddressLine) -> Said:
    said = [str(value.address.ip) if value.peer is not None else str(value.address)]
    host = value.address.version == 6 and (value.peer is not None or value.address.network.prefixlen == 128)
    lifetime: Said = []
    if value.preferred_lifetime_s is None:
        lifetime = _if(host, "preferred_lft", "forever")
    elif not host or value.preferred_lifetime_s:
        lifetime = ["preferred_lft", str(value.preferred_lifetime_s)]
    return [
        *said,
        *_named("peer", value.peer),
        *_named("brd", value.broadcast),
        *_named("dev", value.dev),
        *_if(value.scope, "scope", _SCOPE_NAMES.get(value.scope, str(value.scope))),
        *_named("label", value.label),
        *lifetime,
        *_if(value.home, "home"),
        *_if(value.dad, "-nodad"),
        *_if(value.manage_temporary, "mngtmpaddr"),
        *_if(value.no_prefix_route, "noprefixroute"),
        *_if(value.autojoin, "autojoin"),
        *_if(value.no_track, "no_track"),
        *_if(value.use_vmac, "use_vmac"),
        *_named("track_group", value.track_group),
    ]


def _peer(_reads: UnicastPeer, value: Peer) -> Said:
    bounds = ["min_ttl", str(value.min_ttl), "max_ttl", str(value.max_ttl)]
    return [str(value.address), *_if(value.bounded, *bounds)]


def _tracked(reads: Tracked, value: Track) -> Said:
    if (value.weight, value.reverse) == (reads.weight, reads.reverse):
        return [value.name]
    said = [value.name, "weight", str(value.weight)]
    if value.reverse:
        return [*said, "reverse"]
    return [*said, *_if(value.reverse is False and reads.reverse is None, "noreverse")]


def _encapsulation(hop: NextHop) -> Said:
    return _if(hop.encap, "encap", *hop.encap)


def _route(_reads: RouteLine, value: Route) -> Said:
    """The encapsulation is the last of a way, its words could be a route's; the further ways are the last of all."""
    hops = value.hops
    plain = hops[:1] if hops and hops[0].weight is None and hops[0].realm is None else ()
    said = [
        *_if(value.kind != "unicast", value.kind),
        str(value.destination),
        *_named("src", value.source),
        *_named("from", value.source_network),
        *_named("tos", value.tos),
        *_named("table", value.table),
        *_named("protocol", value.protocol),
        *_named("scope", value.scope),
        *_named("metric", value.metric),
        *_named("vrf", value.vrf),
        *_named("expires", value.expires_s),
        *_named("pref", value.preference),
        *_if(value.action, str(value.action)),
        *_if(value.no_track, "no_track"),
        *_named("track_group", value.track_group),
    ]
    for metric in value.metrics:
        said += [metric.name, *_if(metric.lock, "lock"), str(metric.value)]
    for hop in plain:
        said += [*_named("via", hop.via), *_named("dev", hop.dev), *_if(hop.onlink, "onlink"), *_encapsulation(hop)]
    for hop in hops[len(plain) :]:
        said += ["nexthop", *_named("via", hop.via), *_named("dev", hop.dev), *_named("weight", hop.weight)]
        said += [*_if(hop.onlink, "onlink"), *_named("realms", hop.realm), *_encapsulation(hop)]
    return said


def _span(word: str, value: tuple[int, int] | None) -> Said:
    return [] if value is None else [word, f"{value[0]}-{value[1]}" if value[0] != value[1] else str(value[0])]


def _rule(_reads: RuleLine, value: Rule) -> Said:
    inferred = value.from_network is not None or value.to_network is not None
    mark = None
    if value.mark is not None:
        number, mask = value.mark
        mark = str(number) if mask is None else f"{number}/{mask}"
    return [
        *_if(value.family is Family.V6 and not inferred, "inet6"),
        *_if(value.negated, "not"),
        *_named("from", value.from_network),
        *_named("to", value.to_network),
        *_named("preference", value.preference),
        *_named("iif", value.iif),
        *_named("oif", value.oif),
        *_named("tos", value.tos),
        *_named("fwmark", mark),
        *_named("realms", value.realms),
        *_named("suppress_prefixlength", value.suppress_prefix_length),
        *_named("suppress_ifgroup", value.suppress_group),
        *_named("tunnel-id", value.tunnel_id),
        *_span("uidrange", value.uids),
        *_named("protocol", value.protocol),
        *_named("ipproto", value.ip_protocol),
        *_span("sport", value.sport),
        *_span("dport", value.dport),
        *_if(value.l3mdev, "l3mdev"),
        *_named("table", value.table),
        *_named("goto", value.goto),
        *_if(value.action not in ("table", "goto"), value.action),
        *_if(value.no_track, "no_track"),
        *_named("track_group", value.track_group),
    ]


def _each(_reads: object, value: tuple[str, ...]) -> Said:
    return list(value)


def _one(_reads: object, value: object) -> Said:
    return [str(value)]


SAYS: Final[Mapping[type[Any], Callable[[Any, Any], Said]]] = {
    Address: _one,
    Anything: _each,
    Boolean: lambda _reads, value: ["on" if value else "off"],
    BufferPolicy: _one,
    Choice: _word,
    DelayLine: _delay,
    ExtraInterfaces: _extra,
    FifoPath: _fifo,
    Flag: lambda _reads, _value: [],
    IncludeChecks: _each,
    InitFile: _init_file,
    Integer: _integer,
    Interface: _one,
    Key: _key,
    LinkbeatLine: _linkbeat,
    Names: _each,
    Numbers: lambda _reads, value: [str(number) for number in sorted(value)],
    OldChecksum: lambda _reads, value: ["never"] if value == "never" else [],
    Options: _each,
    Process: _each,
    RouteLine: _route,
    RuleLine: _rule,
    Seconds: _seconds,
    Secret: lambda _reads, value: [octets_text(value)],
    SmtpServer: _mail_server,
    TcpCheck: _tcp,
    Tracked: _tracked,
    Umask: lambda _reads, value: [f"0{value:o}"],
    UnicastPeer: _peer,
    UseIpvlan: _ipvlan,
    UseVmac: _vmac,
    User: _user,
    VirtualAddress: _address,
    Weight: _weight,
    Word: _word,
    Words: _one,
}
