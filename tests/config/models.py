"""
Random configurations for Hypothesis: models that a file can say, built from the dataclasses field by field.

Each `..._FIELDS` names all fields of its dataclass; a test compares them with the model, so that a new field must come
along here, and with it through both forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields, replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any, TypeVar

from hypothesis import strategies as st

from pyvrrp.config.model import (
    AddressLine,
    Authentication,
    BfdInstance,
    Buffers,
    Command,
    Configuration,
    Fifo,
    Files,
    Firewall,
    GarpGroup,
    GarpSettings,
    GlobalSettings,
    Hmac,
    HmacKey,
    InterfaceDelay,
    Ipvlan,
    Linkbeat,
    NextHop,
    Notify,
    ProcessNames,
    ReloadSettings,
    Route,
    RouteMetric,
    Rule,
    SyncGroup,
    TcpTarget,
    Track,
    TrackFile,
    TrackGroup,
    TrackProcess,
    Vmac,
    VrrpInstance,
    VrrpScript,
)
from pyvrrp.protocol.constants import Family

Strategies = dict[str, st.SearchStrategy[Any]]
_T = TypeVar("_T")
MADE: dict[type[Any], frozenset[str]] = {}
PLACES = frozenset({"place", "interface_place", "origins", "may_part"})  # no text says these


def made(kind: type[_T], most: int = 6, /, **values: Any) -> st.SearchStrategy[_T]:
    """
    Values of a dataclass; of the fields with a default a few are drawn.

    Args:
        kind: The dataclass.
        most: So many fields with a default are drawn.
        **values: Strategies for its fields, or what they are.
    """
    MADE[kind] = MADE.get(kind, frozenset()) | values.keys()
    return _drawn(kind, most, values)


@st.composite
def _drawn(draw: st.DrawFn, kind: type[_T], most: int, values: dict[str, Any]) -> _T:
    drawn = {name: value for name, value in values.items() if isinstance(value, st.SearchStrategy)}
    open_fields = {each.name for each in fields(kind) if each.default is not MISSING}  # type: ignore[arg-type]
    may = [name for name in drawn if name in open_fields]
    chosen = draw(st.lists(st.sampled_from(may), unique=True, max_size=most)) if may else []
    said = {name: value for name, value in values.items() if name not in drawn}
    for name, value in drawn.items():
        if name in chosen or name not in open_fields:
            said[name] = draw(value)
    return kind(**said)


def or_none(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


def several(values: st.SearchStrategy[Any], most: int = 3, least: int = 0, **how: Any) -> st.SearchStrategy[Any]:
    return st.lists(values, min_size=least, max_size=most, **how).map(tuple)


BOOLEANS = st.booleans()
UINTS = st.integers(0, 2**32 - 1)
# What needs quotes, or looks like something else.
WORDS = st.one_of(
    st.from_regex(r"[A-Za-z][A-Za-z0-9_.:/-]{0,8}", fullmatch=True),
    st.text("ab19 #!{};'@~=é-", min_size=1, max_size=8),
    st.sampled_from(
        ["include", "include_check", "random_seed", "weight", "reverse", "script", "group", "name", "true"]
    ),
)
SIMPLE = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
INTERFACES = st.one_of(SIMPLE, st.text("ab0.@#! {é", min_size=1, max_size=15)).filter(lambda name: name != "lo")
SECONDS = st.integers(0, 4294).map(lambda number: number * 1_000_000)
V4 = st.integers(1, 2**32 - 2).map(IPv4Address)
V6 = st.integers(1, 2**128 - 2).map(IPv6Address)
V4_LINES = st.builds(lambda number, prefix: IPv4Interface((number, prefix)), UINTS, st.integers(0, 32))
V6_LINES = st.builds(
    lambda number, prefix: IPv6Interface((number, prefix)), st.integers(0, 2**128 - 1), st.integers(0, 128)
)

ARGUMENTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
COMMANDS = st.builds(
    Command,
    st.tuples(ARGUMENTS.filter(lambda word: word and not word.startswith("</")), several(ARGUMENTS)).map(
        lambda pair: (pair[0], *pair[1])
    ),
).flatmap(
    lambda command: st.one_of(
        st.just(command),
        st.builds(replace, st.just(command), user=SIMPLE, group=or_none(st.one_of(SIMPLE, st.just(":g")))),
    )
)
MADE[Command] = frozenset({"argv", "user", "group"})
NOTIFY: Strategies = {name: or_none(COMMANDS) for name in ("master", "backup", "fault", "stop", "any")}


def addresses_of(family: int) -> st.SearchStrategy[Any]:
    return V4 if family == 4 else V6


def lines_of(family: int) -> st.SearchStrategy[Any]:
    return V4_LINES if family == 4 else V6_LINES


@st.composite
def address_lines(draw: st.DrawFn, family: int | None = None, groups: Sequence[str] | None = None) -> AddressLine:
    """Of `static_ipaddress` if groups are given."""
    version = family or draw(st.sampled_from((4, 6)))
    address = draw(lines_of(version))
    peer = draw(or_none(lines_of(version)))
    if peer is not None:
        address = type(address)((int(address.ip), address.max_prefixlen))
    v4 = version == 4
    return draw(
        made(
            AddressLine,
            address=address,
            dev=or_none(INTERFACES),
            scope=st.integers(0, 255) if v4 else st.just(0),
            broadcast=or_none(V4) if v4 else st.none(),
            label=or_none(st.text("eth0:19 ", min_size=1, max_size=15)) if v4 else st.none(),
            dad=BOOLEANS,
            preferred_lifetime_s=or_none(UINTS),
            no_prefix_route=BOOLEANS,
            home=BOOLEANS,
            peer=peer,
            no_track=BOOLEANS,
            manage_temporary=BOOLEANS,
            autojoin=BOOLEANS,
            use_vmac=False if groups is not None else BOOLEANS,
            track_group=or_none(st.sampled_from(groups)) if groups else st.none(),
        )
    )


METRICS = st.one_of(
    made(RouteMetric, name=st.sampled_from(("mtu", "advmss", "window")), value=UINTS, lock=BOOLEANS),
    st.builds(RouteMetric, st.sampled_from(("rtt", "rto_min")), st.sampled_from(("5", "10ms", "1s")), BOOLEANS),
    st.just(RouteMetric("features", "ecn")),
)
ENCAPS = st.sampled_from(
    (
        (),
        ("mpls", "100"),
        ("mpls", "100", "ttl", "4"),
        ("ip", "id", "5", "dst", "192.0.2.1", "tos", "4"),
        ("ila", "1:2"),
    )
)


@st.composite
def routes(draw: st.DrawFn, groups: Sequence[str] | None = None) -> Route:
    version = draw(st.sampled_from((4, 6)))
    hops = draw(
        several(
            made(
                NextHop,
                via=or_none(addresses_of(version)),
                dev=or_none(INTERFACES),
                weight=or_none(st.integers(1, 256)),
                onlink=BOOLEANS,
                realm=or_none(SIMPLE),
                encap=ENCAPS,
            ).filter(lambda hop: hop != NextHop())
        )
    )
    no_track = draw(BOOLEANS) or not (hops and hops[0].dev)
    return draw(
        made(
            Route,
            destination=lines_of(version),
            kind=st.sampled_from(("unicast", "blackhole", "throw")),
            hops=hops,
            source=or_none(addresses_of(version)),
            source_network=or_none(lines_of(version)),
            table=or_none(st.one_of(UINTS, st.just("mine"))),
            metric=or_none(UINTS),
            scope=or_none(st.integers(0, 255)),
            protocol=or_none(st.one_of(st.integers(0, 255), st.just("mine"))) if no_track else 18,
            tos=or_none(st.integers(0, 255)),
            vrf=or_none(INTERFACES),
            metrics=several(METRICS),
            expires_s=or_none(UINTS),
            preference=or_none(st.sampled_from(("low", "high"))) if version == 6 else st.none(),
            action=or_none(st.sampled_from(("add", "append"))),
            no_track=no_track,
            track_group=or_none(st.sampled_from(groups)) if groups else st.none(),
        )
    )


def spans(most: int) -> st.SearchStrategy[Any]:
    return or_none(st.tuples(st.integers(0, most), st.integers(0, most)))


@st.composite
def rules(draw: st.DrawFn, groups: Sequence[str] | None = None) -> Rule:
    version = draw(st.sampled_from((4, 6)))
    action = draw(st.sampled_from(("table", "goto", "nop", "blackhole", "l3mdev")))
    preference = draw(st.integers(0, 30000))
    tables = st.one_of(UINTS, st.just("mine"))
    return draw(
        made(
            Rule,
            family=Family(version),
            action="table" if action == "l3mdev" else action,
            table=draw(tables) if action == "table" else None if action == "l3mdev" else or_none(tables),
            goto=draw(st.integers(preference + 1, 40000)) if action == "goto" else None,
            preference=preference,
            negated=BOOLEANS,
            from_network=or_none(lines_of(version)),
            to_network=or_none(lines_of(version)),
            iif=or_none(INTERFACES),
            oif=or_none(INTERFACES),
            tos=or_none(st.integers(0, 255)),
            mark=or_none(st.tuples(UINTS, or_none(UINTS))),
            realms=or_none(SIMPLE),
            suppress_prefix_length=or_none(st.integers(0, 128)),
            suppress_group=or_none(st.one_of(UINTS, st.just("mine"))),
            tunnel_id=or_none(st.integers(0, 2**64 - 1)),
            uids=spans(2**32 - 1),
            l3mdev=action == "l3mdev",
            protocol=or_none(st.one_of(st.integers(0, 255), st.just("mine"))),
            ip_protocol=or_none(st.one_of(st.integers(0, 255), st.just("mine"))),
            sport=spans(65535),
            dport=spans(65535),
            no_track=BOOLEANS,
            track_group=or_none(st.sampled_from(groups)) if groups else st.none(),
        )
    )


# What is tracked.


@st.composite
def scripts(draw: st.DrawFn, name: str) -> VrrpScript:
    command = draw(or_none(COMMANDS))
    target = made(TcpTarget, port=st.integers(1, 65535), address=or_none(st.one_of(V4, V6)))
    milliseconds = st.integers(1, 4_294_000).map(lambda number: number * 1000)
    return draw(
        made(
            VrrpScript,
            name=name,
            command=command,
            tcp=None if command is not None else draw(target),
            interval_us=milliseconds,
            timeout_us=or_none(milliseconds),
            weight=st.integers(-253, 253),
            reverse=BOOLEANS,
            rise=st.integers(1, 2**31 - 1),
            fall=st.integers(1, 2**31 - 1),
            init_fail=BOOLEANS,
            only_as_master=BOOLEANS,
        )
    )


@st.composite
def files(draw: st.DrawFn, name: str) -> TrackFile:
    initial = draw(or_none(st.integers(-(2**31), 2**31 - 1)))
    return draw(
        made(
            TrackFile,
            name=name,
            path=WORDS,
            weight=st.integers(-254, 254),
            reverse=BOOLEANS,
            initial=initial,
            overwrite=BOOLEANS if initial is not None else st.just(False),
        )
    )


@st.composite
def processes(draw: st.DrawFn, name: str) -> TrackProcess:
    quorum = draw(st.integers(1, 65535))
    delays = st.integers(0, 3_600_000_000)
    return draw(
        made(
            TrackProcess,
            name=name,
            process=several(WORDS, least=1),
            parameter_match=st.sampled_from(("exact", "partial", "initial")),
            full_command=BOOLEANS,
            weight=st.integers(-254, 254),
            reverse=BOOLEANS,
            quorum=quorum,
            quorum_max=or_none(st.integers(quorum, 65535)),
            fork_delay_us=delays,
            terminate_delay_us=delays,
        )
    )


@st.composite
def bfds(draw: st.DrawFn, name: str) -> BfdInstance:
    version = draw(st.sampled_from((4, 6)))
    for_vrrp = draw(BOOLEANS)
    times = st.integers(1000, 4_294_967_000)
    return draw(
        made(
            BfdInstance,
            name=name,
            neighbour=addresses_of(version),
            source=or_none(addresses_of(version)),
            min_rx_us=times,
            min_tx_us=times,
            idle_tx_us=st.integers(1_000_000, 4_294_967_000),
            multiplier=st.integers(1, 255),
            passive=BOOLEANS,
            ttl=or_none(st.integers(1, 255)),
            max_hops=st.integers(-1, 255),
            multihop=BOOLEANS,
            weight=st.integers(-253, 253),
            reverse=BOOLEANS,
            for_vrrp=for_vrrp,
            for_checker=BOOLEANS if for_vrrp else st.just(True),
        )
    )


@st.composite
def tracks(draw: st.DrawFn, names: Sequence[str], *, high: int = 253, owner: bool = False, plain: bool = False) -> Any:
    """Those of a block; an owner's have no weight, and interfaces (*plain*) have one in any case."""
    kept = []
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=2)) if names else ():
        weight = 0 if owner else draw(st.integers(-high, high))
        if owner or plain or draw(BOOLEANS):
            kept.append(Track(name, weight, draw(BOOLEANS if plain else st.sampled_from((None, True, False)))))
        else:
            kept.append(Track(name))
    return tuple(kept)


MADE[Track] = frozenset({"name", "weight", "reverse"})


@st.composite
def tracking(draw: st.DrawFn, known: dict[str, list[str]], own: str | None = None, *, owner: bool = False) -> Any:
    interfaces = [name for name in ("trk0", "trk1") if name != own]
    return {
        "track_scripts": draw(tracks(known["scripts"], owner=owner)),
        "track_interfaces": draw(tracks(interfaces, owner=owner, plain=True)),
        "track_files": draw(tracks(known["track_files"], high=254)),
        "track_processes": draw(tracks(known["track_processes"], high=254)),
        "track_bfds": draw(tracks(known["bfd_instances"])),
    }


# Instances.


@st.composite
def hmacs(draw: st.DrawFn) -> Hmac:
    secrets = st.one_of(st.text("abcé#", min_size=32, max_size=32).map(str.encode), st.just(b"hex:" + b"0f" * 40))
    keys = draw(
        several(
            made(
                HmacKey,
                key_id=st.integers(1, 255),
                secret=secrets.filter(lambda it: len(it) <= 64 or it[:4] == b"hex:"),
            ),
            least=1,
            unique_by=lambda key: key.key_id,
        )
    )
    return draw(
        made(
            Hmac,
            keys=keys,
            active_key=or_none(st.sampled_from([key.key_id for key in keys])),
            time_window_us=or_none(st.integers(1, 300).map(lambda number: number * 1_000_000)),
            anti_replay=st.sampled_from(("time", "monotonic")),
            mode=st.sampled_from(("enforce", "permissive", "receive-only")),
        )
    )


@st.composite
def vmacs(draw: st.DrawFn) -> Vmac:
    macs = st.binary(min_size=5, max_size=5).map(lambda octets: bytes((octets[0] & 0xFC | 2, *octets[1:], 7)))
    names = st.one_of(INTERFACES, st.sampled_from(("group", "name", "00:01:02:03:04:05"[:14], "netlink_notify")))
    return draw(made(Vmac, name=or_none(names), mac=or_none(macs), notify=BOOLEANS, group=or_none(WORDS)))


@st.composite
def instances(draw: st.DrawFn, name: str, known: dict[str, list[str]], pacing: tuple[int, int]) -> VrrpInstance:
    """Only what keepalived's rules leave as it is."""
    family = draw(st.sampled_from((4, 6)))
    version = draw(st.sampled_from((2, 3)))
    priority = draw(st.one_of(st.integers(1, 254), st.just(255)))
    owner = priority == 255
    strict = draw(BOOLEANS)
    grouped = name in known["grouped"]
    free = owner or not grouped
    state = draw(st.sampled_from(("MASTER", "BACKUP"))) if free and not strict else "MASTER" if owner else "BACKUP"
    unicast = not strict and draw(BOOLEANS)
    peers = draw(several(addresses_of(family), least=1, unique=True)) if unicast else ()
    bounds = (
        draw(or_none(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=3))) if unicast else None
    )
    source = draw(or_none(addresses_of(family)))
    interface = None if unicast and source is not None and draw(BOOLEANS) else draw(INTERFACES)
    authentication = draw(authentications(family)) if version == 2 and not strict else None
    if authentication is not None and authentication.auth_type == "AH" and not owner:
        state = "BACKUP"
    preempt = owner or state == "MASTER" or draw(BOOLEANS)
    delayed = preempt and state == "BACKUP" and not strict
    virtual = draw(several(address_lines(family), least=1, most=4, unique_by=lambda line: int(line.address)))
    excluded = draw(several(address_lines(), unique_by=lambda line: (line.address.version, int(line.address))))
    excluded = tuple(line for line in excluded if int(line.address) not in {int(each.address) for each in virtual})
    accept = True if owner else draw(BOOLEANS) if version == 3 or not strict else False
    vmac = draw(or_none(vmacs()))
    deleted = draw(BOOLEANS)
    notify = made(
        Notify,
        2,
        **NOTIFY,
        deleted=or_none(COMMANDS) if deleted else st.none(),
        lower_priority=or_none(COMMANDS),
    )
    counts = st.integers(1, 2**32 - 1)
    garp = made(
        GarpSettings,
        master_delay_us=SECONDS,
        master_repeat=counts,
        master_refresh_us=SECONDS,
        master_refresh_repeat=counts,
        lower_prio_delay_us=0 if strict else draw(SECONDS),
        lower_prio_repeat=0 if strict else draw(UINTS),
        interval_us=pacing[0],
        gna_interval_us=pacing[1],
        extra_interval_us=st.integers(0, 86400).map(lambda number: number * 1_000_000),
        extra_all=BOOLEANS,
    )
    groups = (
        st.integers(0, 0x0FFFFFFF).map(lambda number: IPv4Address(0xE0000000 | number))
        if family == 4
        else st.integers(1, 0xFFFF).map(lambda number: IPv6Address((0xFF02 << 112) | number))
    ).filter(lambda group: group != Family(family).group)
    ipvlan = made(
        Ipvlan,
        name=or_none(st.one_of(INTERFACES, st.sampled_from(("bridge", "group", "1.2.3.4", "fe80::1")))),
        address=or_none(lines_of(family)),
        mode=st.sampled_from(("bridge", "private", "vepa")),
        group=or_none(WORDS),
    )
    intervals = (
        st.integers(1, 255).map(lambda it: it * 1_000_000)
        if version == 2
        else st.integers(1, 4095).map(lambda it: it * 10_000)
    )
    tracked = draw(tracking(known, interface, owner=owner))
    return draw(
        made(
            VrrpInstance,
            name=name,
            vrid=st.integers(1, 255),
            interface=interface,
            version=version,
            state=state,
            priority=priority,
            advertisement_interval_us=intervals,
            preempt=preempt,
            preempt_delay_us=st.integers(0, 1_000_000_000) if delayed else st.just(0),
            authentication=authentication,
            source=source,
            unicast_peers=peers,
            group=st.none() if unicast else or_none(groups),
            virtual_addresses=virtual,
            excluded_addresses=excluded,
            track_primary=BOOLEANS,
            notify=notify,
            garp=draw(garp),
            accept=accept,
            down_timer_adverts=3 if strict else st.integers(1, 100),
            lower_prio_no_advert=True if strict else BOOLEANS,
            higher_prio_send_advert=False if strict else BOOLEANS,
            checksum_without_pseudo_header=BOOLEANS,
            strict=strict,
            skip_address_check=BOOLEANS,
            unicast_ttl=or_none(st.integers(0, 255)) if unicast else st.none(),
            check_unicast_source=True if bounds else BOOLEANS if unicast else False,
            unicast_ttl_bounds=tuple(bounds[: len(peers)]) if bounds else (),
            no_addresses=BOOLEANS,
            hmac=or_none(hmacs()),
            unicast_fault_no_peer=BOOLEANS,
            track_source=BOOLEANS,
            old_unicast_checksum=or_none(st.sampled_from(("force", "never"))),
            vrf=or_none(INTERFACES) if interface is None else st.none(),
            receive_buffer=or_none(UINTS),
            vmac=vmac,
            ipvlan=or_none(ipvlan),
            vmac_addresses=BOOLEANS,
            vmac_transmit_base=(vmac is not None and unicast) if vmac is None or unicast else BOOLEANS,
            promote_secondaries=BOOLEANS,
            routes=several(routes(), most=2),
            rules=several(rules(), most=2),
            notify_deleted=deleted,
            notify_priority_changes=BOOLEANS,
            smtp_alert=or_none(BOOLEANS),
            timer_expired_backup=or_none(st.integers(1, 254)),
            owner_ignore_adverts=BOOLEANS,
            linkbeat_use_polling=BOOLEANS,
            **tracked,
        )
    )


def authentications(family: int) -> st.SearchStrategy[Any]:
    passwords = st.text("abc #{!é", min_size=1, max_size=8).map(lambda text: text.encode()[:8])
    types = st.sampled_from(("PASS", "AH")) if family == 4 else st.just("PASS")
    return or_none(made(Authentication, auth_type=types, password=passwords))


# The whole.


@st.composite
def fifos(draw: st.DrawFn) -> Fifo:
    path = draw(or_none(WORDS))
    user = None if path is None else draw(or_none(SIMPLE))
    group = None if user is None else draw(or_none(SIMPLE))
    return draw(made(Fifo, path=path, user=user, group=group, script=or_none(COMMANDS)))


@st.composite
def settings_of(draw: st.DrawFn) -> GlobalSettings:
    fifo = fifos()
    user = draw(or_none(SIMPLE))
    dynamic = draw(BOOLEANS)
    check, mark = draw(BOOLEANS), draw(BOOLEANS)
    short = st.text("ab #é", min_size=1, max_size=15)
    timeouts = st.integers(1, 1000).map(lambda number: number * 1_000_000)
    reload = made(
        ReloadSettings,
        check=check,
        check_log=or_none(WORDS) if check else st.none(),
        time_file=or_none(WORDS),
        repeat=BOOLEANS,
        mark=mark,
        mark_file=or_none(WORDS) if mark else st.none(),
    )
    firewall = made(
        Firewall,
        nftables=or_none(WORDS),
        nftables_priority=st.integers(-(2**31), 2**31 - 1),
        nftables_counters=BOOLEANS,
        nftables_ifindex=BOOLEANS,
        iptables=or_none(several(WORDS, most=2)),
        ipsets=or_none(several(WORDS, most=6)),
        disable_local_igmp=BOOLEANS,
    )
    sizes = or_none(UINTS)
    buffers = made(
        Buffers,
        command=sizes,
        command_force=BOOLEANS,
        monitor=sizes,
        monitor_force=BOOLEANS,
        process=sizes,
        process_force=BOOLEANS,
        policy=st.one_of(st.none(), UINTS, st.sampled_from(("MTU", "ADVERT"))),
        multiplier=st.integers(1, 2**32 - 1),
    )
    names = made(ProcessNames, standard=BOOLEANS, parent=or_none(short), vrrp=or_none(short))
    paths = made(
        Files,
        umask=or_none(st.integers(0, 0o777)),
        save_directory=or_none(WORDS),
        temporary_directory=or_none(WORDS),
        use_instance=BOOLEANS,
        state_dump=or_none(WORDS),
        json_version=st.sampled_from((1, 2)),
        iproute_usr=or_none(WORDS),
        iproute_etc=or_none(WORDS),
    )
    servers = st.one_of(SIMPLE, st.builds("{} {}".format, SIMPLE, st.integers(1, 65535)))
    return draw(
        made(
            GlobalSettings,
            router_id=or_none(WORDS),
            script_user=user,
            script_group=or_none(SIMPLE) if user is not None else st.none(),
            enable_script_security=BOOLEANS,
            notification_email=several(WORDS),
            notification_email_from=or_none(WORDS),
            smtp_server=or_none(servers),
            smtp_connect_timeout_us=SECONDS.filter(bool),
            dynamic_interfaces=dynamic,
            instance_name=or_none(WORDS),
            net_namespace=or_none(WORDS),
            use_pid_dir=BOOLEANS,
            child_wait_time_us=SECONDS,
            rt_priority=or_none(st.integers(1, 99)),
            max_auto_priority=st.integers(-1, 99),
            process_priority=st.integers(-20, 19),
            no_swap=BOOLEANS,
            cpu_affinity=st.frozensets(st.integers(0, 8191), max_size=3),
            rlimit_rttime_us=or_none(st.integers(1, 2**32 - 1)),
            auto_priority_delay_us=st.integers(1, 10_000_000),
            interfaces_may_change=BOOLEANS if dynamic else st.just(False),
            default_interface=or_none(INTERFACES),
            startup_delay_us=st.one_of(st.just(0), st.integers(1000, 4_294_000_000)),
            boot_delay_us=st.one_of(st.just(0), st.integers(1000, 4_294_000_000)),
            log_unknown_vrids=BOOLEANS,
            write_states_on_reload=BOOLEANS,
            notify_fifo=fifo,
            vrrp_notify_fifo=fifo,
            startup_script=or_none(COMMANDS),
            startup_timeout_us=timeouts,
            shutdown_script=or_none(COMMANDS),
            shutdown_timeout_us=timeouts,
            use_symlink_paths=BOOLEANS,
            supplementary_groups=BOOLEANS,
            smtp_helo_name=or_none(st.one_of(st.just(""), WORDS)),
            smtp_alert=or_none(BOOLEANS),
            smtp_alert_vrrp=or_none(BOOLEANS),
            no_email_faults=BOOLEANS,
            random_seed=or_none(UINTS),
            include_checks=or_none(several(st.sampled_from(("+readable", "-match", "brace_match")))),
            linkbeat_use_polling=BOOLEANS,
            vmac_prefix=WORDS,
            vmac_address_prefix=or_none(WORDS),
            process_names=names,
            reload=reload,
            firewall=firewall,
            buffers=buffers,
            files=paths,
        )
    )


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    def named(most: int = 2) -> list[str]:
        return draw(st.lists(WORDS, max_size=most, unique=True))

    known = {kind: named() for kind in ("scripts", "track_files", "track_processes", "bfd_instances")}
    instance_names = named(3)
    known["grouped"] = grouped = draw(st.lists(st.sampled_from(instance_names), unique=True)) if instance_names else []
    pacing = (draw(SECONDS), draw(SECONDS)) if instance_names else (0, 0)
    sync_groups = []
    if grouped:
        tracked = draw(tracking(known))
        sync_groups.append(
            draw(
                made(
                    SyncGroup,
                    name=WORDS,
                    members=tuple(grouped),
                    notify=made(Notify, 2, **NOTIFY),
                    notify_priority_changes=BOOLEANS,
                    smtp_alert=or_none(BOOLEANS),
                    global_tracking=BOOLEANS,
                    tracking_weight=BOOLEANS,
                    **tracked,
                )
            )
        )
    members = several(st.sampled_from(instance_names), unique=True) if instance_names else st.just(())
    track_groups = tuple(draw(made(TrackGroup, name=name, members=members)) for name in named())
    watching = [group.name for group in track_groups]
    interfaces = draw(st.lists(WORDS, unique=True, max_size=2))
    paces = st.tuples(or_none(SECONDS), or_none(SECONDS)).filter(lambda pair: pair != (None, None))
    garp_groups = []
    if interfaces:
        interval, gna = draw(paces)
        garp_groups.append(
            draw(
                made(
                    GarpGroup,
                    interfaces=tuple(interfaces),
                    interval_us=interval,
                    gna_interval_us=gna,
                )
            )
        )
    methods = or_none(st.sampled_from(("MII", "ETHTOOL", "IOCTL")))
    delays = st.integers(0, 255_000_000)
    return draw(
        made(
            Configuration,
            globals=settings_of(),
            scripts=draw(st.tuples(*map(scripts, known["scripts"]))),
            instances=draw(st.tuples(*(instances(name, known, pacing) for name in instance_names))),
            sync_groups=tuple(sync_groups),
            track_files=draw(st.tuples(*map(files, known["track_files"]))),
            track_processes=draw(st.tuples(*map(processes, known["track_processes"]))),
            bfd_instances=draw(st.tuples(*map(bfds, known["bfd_instances"]))),
            track_groups=track_groups,
            garp_groups=tuple(garp_groups),
            static_addresses=several(address_lines(groups=watching)),
            static_routes=several(routes(watching)),
            static_rules=several(rules(watching)),
            linkbeat=several(made(Linkbeat, interface=INTERFACES, method=methods)),
            interface_delays=several(made(InterfaceDelay, interface=INTERFACES, down_us=delays, up_us=delays)),
        )
    )


def fields_of(kind: type[Any]) -> frozenset[str]:
    """All fields of a part of the model that say something."""
    return frozenset(each.name for each in fields(kind)) - PLACES
