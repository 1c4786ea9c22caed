"""Routes and rules that move with a virtual router, or are always there. Frozen values, as iproute2 names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from pyvrrp.config.values import IPInterface, Place
from pyvrrp.protocol.constants import Family, IPAddress

PROTOCOL_KEEPALIVED: Final = 18  # RTPROT_KEEPALIVED, what keepalived marks its routes with


@dataclass(frozen=True, slots=True)
class NextHop:
    """
    One way of a route.

    Attributes:
        via: Gateway, of any family; None is directly on *dev*.
        dev: Interface.
        weight: 1-256, share of this way among several; None is 1.
        onlink: The gateway is on the link, whatever the addresses say.
        realm: Realms as typed.
        encap: Words of an encapsulation, `encap` left out; empty is none.
    """

    via: IPAddress | None = None
    dev: str | None = None
    weight: int | None = None
    onlink: bool = False
    realm: str | None = None
    encap: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteMetric:
    """One metric of a route, `mtu lock 1400`: iproute2's name, the value as a number or a name, and whether locked."""

    name: str
    value: int | str
    lock: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """
    A line of `virtual_routes` or `static_routes`.

    Attributes:
        destination: Network; a prefix length of 0 is the default route.
        kind: `unicast`, `blackhole` and so on.
        hops: The ways; none for a blackhole.
        source: Address that packets leave with (`src`).
        source_network: `from`, IPv6 only.
        table: Number, or a name of rt_tables.
        metric: `metric`, `priority` and `preference` are one.
        scope: rtnetlink's number, or None for what fits.
        protocol: Number or a name of rt_protos; None is our own mark.
        tos: `tos` or `dsfield`.
        vrf: Name of the VRF.
        metrics: `mtu`, `advmss` and the like.
        expires_s: Lifetime, IPv6 only.
        preference: `pref` of IPv6 routers.
        action: Where it goes among equal routes; None is the family's habit.
        no_track: Nothing happens when somebody removes it.
        track_group: Of a static route: whose instances go to FAULT when it is lost.
    """

    destination: IPInterface
    kind: str = "unicast"
    hops: tuple[NextHop, ...] = ()
    source: IPAddress | None = None
    source_network: IPInterface | None = None
    table: int | str | None = None
    metric: int | None = None
    scope: int | None = None
    protocol: int | str | None = None
    tos: int | None = None
    vrf: str | None = None
    metrics: tuple[RouteMetric, ...] = ()
    expires_s: int | None = None
    preference: Literal["low", "medium", "high"] | None = None
    action: Literal["add", "prepend", "append"] | None = None
    no_track: bool = False
    track_group: str | None = None
    place: Place | None = field(default=None, compare=False)

    @property
    def family(self) -> Family:
        """Family of the destination."""
        return Family(self.destination.version)


@dataclass(frozen=True, slots=True)
class Rule:
    """
    A line of `virtual_rules` or `static_rules`.

    Attributes:
        family: Of what it matches.
        action: What it does: `table`, `goto`, `nop`, or a refusal (`blackhole`, `unreachable`, `prohibit`).
        table: Of action `table`: number or a name of rt_tables; None with *l3mdev*.
        goto: Of action `goto`: the preference to go on with.
        preference: Place among the rules; None until one is given out.
        negated: `not`.
        from_network: Source addresses; None is any.
        to_network: Destination addresses; None is any.
        mark: Firewall mark and mask; a mask of None is all bits.
        sport: Source ports, first and last.
        dport: Destination ports, first and last.
        uids: User ids, first and last.
        realms: As typed.
        no_track: Nothing happens when somebody removes it.
        track_group: Of a static rule: whose instances go to FAULT when it is lost.
    """

    family: Family
    action: Literal["table", "goto", "nop", "blackhole", "unreachable", "prohibit"] = "table"
    table: int | str | None = None
    goto: int | None = None
    preference: int | None = None
    negated: bool = False
    from_network: IPInterface | None = None
    to_network: IPInterface | None = None
    iif: str | None = None
    oif: str | None = None
    tos: int | None = None
    mark: tuple[int, int | None] | None = None
    realms: str | None = None
    suppress_prefix_length: int | None = None
    suppress_group: int | str | None = None
    tunnel_id: int | None = None
    uids: tuple[int, int] | None = None
    l3mdev: bool = False
    protocol: int | str | None = None
    ip_protocol: int | str | None = None
    sport: tuple[int, int] | None = None
    dport: tuple[int, int] | None = None
    no_track: bool = False
    track_group: str | None = None
    place: Place | None = field(default=None, compare=False)
