"""
What one `vrrp_instance` block comes to: keepalived's defaults, what cancels what, and what makes it impossible.

All of `global_defs` counts, wherever it stands in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pyvrrp.config.assembly import Assembly, part
from pyvrrp.config.complaints import Log, shown
from pyvrrp.config.lexer import Line
from pyvrrp.config.model import Authentication, GarpSettings, Notify, Track, VrrpInstance
from pyvrrp.config.parser import Draft, Item
from pyvrrp.config.reach import (
    decide_addresses,
    decide_family,
    decide_group,
    decide_interface,
    decide_peers,
    decide_source,
    decide_unicast_ttl,
    decide_version,
)
from pyvrrp.protocol.constants import (
    AUTH_DATA_LENGTH,
    INTERVAL_V3_MAX_US,
    PRIORITY_DEFAULT,
    PRIORITY_OWNER,
    US_PER_CS,
    US_PER_S,
    Family,
)


def build_instance(
    draft: Draft, settings: Mapping[str, Any], scripts: Mapping[str, Line], log: Log
) -> tuple[VrrpInstance | None, bool]:
    """
    Put an instance together.

    Args:
        draft: What the block said.
        settings: The values of `global_defs` by target.
        scripts: The scripts that can be tracked, with the line where each is defined.
        log: Takes the complaints.

    Returns:
        The instance, None if not even that can be made; and whether it may be run. If not, a complaint says why.
    """
    assembly = Assembly(draft, settings, log)
    values = assembly.values
    if values["vrid"] is None:
        wrong = draft.misspoken.get("vrid")
        if wrong is None or not log.worsen(wrong.number):  # one line for one mistake
            assembly.fatal("the virtual router id must be set", hint="virtual_router_id 1-255")
        return None, False
    family, decided_by = decide_family(assembly)
    version = decide_version(assembly, family, decided_by)
    addresses, excluded = decide_addresses(assembly, family, version)
    peers = decide_peers(assembly, family)
    unicast, bounded = bool(peers), any(peer.bounded for peer in peers)
    source = decide_source(assembly, family)
    decide_interface(assembly, source, unicast=unicast)
    state, priority = _state(assembly)
    if assembly.strict:
        _enforce_strict(assembly, unicast=unicast)
    preempt, delay = _preemption(assembly, state, priority)
    instance = VrrpInstance(
        name=draft.name,
        vrid=values["vrid"],
        interface=values["interface"],
        version=version,
        state=state,
        priority=priority,
        advertisement_interval_us=_interval(assembly, version),
        preempt=preempt,
        preempt_delay_us=delay,
        authentication=_authentication(assembly, family, version),
        source=source,
        unicast_peers=tuple(peer.address for peer in peers),
        group=decide_group(assembly, family, unicast=unicast),
        virtual_addresses=addresses,
        excluded_addresses=excluded,
        track_scripts=_track_scripts(assembly, scripts),
        track_interfaces=_track_interfaces(assembly),
        track_primary=values["track_primary"],
        notify=Notify(**part(values, "notify.")),
        garp=_garp(assembly),
        accept=_accept(assembly, version, priority),
        down_timer_adverts=values["down_timer_adverts"],
        lower_prio_no_advert=values["lower_prio_no_advert"],
        higher_prio_send_advert=values["higher_prio_send_advert"],
        checksum_without_pseudo_header=values["checksum_without_pseudo_header"],
        strict=assembly.strict,
        skip_address_check=values["skip_address_check"],
        unicast_ttl=decide_unicast_ttl(assembly, unicast=unicast),
        check_unicast_source=unicast and (values["check_unicast_source"] or bounded),
        unicast_ttl_bounds=tuple((peer.min_ttl, peer.max_ttl) for peer in peers if bounded),
        interface_place=assembly.place_of("interface"),
        place=draft.line.place(0),
    )
    return instance, assembly.usable


def _state(assembly: Assembly) -> tuple[Literal["MASTER", "BACKUP"], int]:
    state, priority = assembly.values["state"], assembly.values["priority"]
    if priority is None:
        priority = PRIORITY_OWNER if state == "MASTER" else PRIORITY_DEFAULT
    owner = priority == PRIORITY_OWNER
    if state is None:
        state = "MASTER" if owner else "BACKUP"
    elif assembly.strict and (state == "MASTER") != owner:
        assembly.mend("State MASTER must match being address owner", "state")
        state = "MASTER" if owner else "BACKUP"
    return state, priority


def _preemption(assembly: Assembly, state: str, priority: int) -> tuple[bool, int]:
    preempt: bool = assembly.values["preempt"]
    delay: int = assembly.values["preempt_delay_us"]
    if not preempt and priority == PRIORITY_OWNER:
        assembly.mend("nopreempt is incompatible with priority 255. resetting nopreempt", "preempt")
        preempt = True
    elif not preempt and state == "MASTER":
        assembly.mend(
            "Warning - nopreempt will not work with initial state MASTER - clearing",
            "preempt",
            "state BACKUP allows it",
        )
        preempt = True
    if delay and assembly.strict:
        assembly.mend("preempt_delay is incompatible with strict mode - resetting", "preempt_delay_us")
        delay = 0
    elif delay and state == "MASTER":
        assembly.mend(
            "Warning - preempt delay will not work with initial state MASTER - clearing",
            "preempt_delay_us",
            "state BACKUP allows it",
        )
        delay = 0
    elif delay and not preempt:
        assembly.mend("preempt_delay is incompatible with nopreempt mode - resetting", "preempt_delay_us")
        delay = 0
    return preempt, delay


def _enforce_strict(assembly: Assembly, *, unicast: bool) -> None:
    """What RFC strictness forbids, each with keepalived's words."""
    values = assembly.values
    if unicast:
        assembly.fatal("unicast is incompatible with strict mode", Item(None, assembly.draft.blocks["unicast_peer"]))
    forced: tuple[tuple[str, Any, str], ...] = (
        ("down_timer_adverts", 3, "down_timer_adverts is incompatible with strict mode - resetting"),
        ("garp.lower_prio_repeat", 0, "Strict mode requires no repeat garps. resetting"),
        ("garp.lower_prio_delay_us", 0, "Strict mode requires no repeat garp delay. resetting"),
        ("lower_prio_no_advert", True, "Strict mode requires lower_prio_no_advert. resetting"),
        (
            "higher_prio_send_advert",
            False,
            "strict mode requires higher_prio_send_advert to be clear. resetting",
        ),
    )
    for target, value, message in forced:
        said = assembly.draft.said.get(target)
        if said is not None and said.value != value:
            assembly.mend(message, said)
        values[target] = value


def _accept(assembly: Assembly, version: int, priority: int) -> bool:
    """Whether packets to the addresses are accepted; keepalived drops them with nftables."""
    accept: bool | None = assembly.values["accept"]
    if assembly.strict and version == 2 and accept:
        assembly.mend("warning - accept mode for VRRP version 2 does not comply with RFC3768 - resetting", "accept")
        accept = None
    accept = not assembly.strict if accept is None else accept
    if priority == PRIORITY_OWNER:
        return True
    if not accept and not assembly.draft.refusals:
        hint = "strict mode drops packets to the addresses; with version 3, accept allows them"
        assembly.refuse("no_accept", "strict", hint)
    return accept


def _authentication(assembly: Assembly, family: Family, version: int) -> Authentication | None:
    values = assembly.values
    auth_type, password = values["auth_type"], values["auth_pass"]
    if auth_type is None:
        if password:
            assembly.mend("auth_pass without auth_type: no authentication is used", "auth_pass", "auth_type PASS")
        return None
    if not password:
        assembly.mend("Authentication specified but no password given. Ignoring", "auth_type")
        return None
    if version == 3:
        assembly.mend("VRRP version 3 does not support authentication. Ignoring.", "auth_type")
        return None
    if assembly.strict:
        assembly.mend("Strict mode does not support authentication. Ignoring.", "auth_type")
        return None
    if auth_type == "AH":
        if family is Family.V6:
            assembly.mend("auth_type AH does not support IPv6. Ignoring.", "auth_type")
            return None
        assembly.refuse("auth_type AH", "auth_type")
    if len(password) > AUTH_DATA_LENGTH:
        assembly.mend(f"Truncating auth_pass to {AUTH_DATA_LENGTH} characters", "auth_pass")
    return Authentication(auth_type, password[:AUTH_DATA_LENGTH])


def _interval(assembly: Assembly, version: int) -> int:
    interval: int = assembly.values["advertisement_interval_us"]
    seconds = f"{interval / US_PER_S:f}"
    if version == 2:
        if interval % US_PER_S:
            assembly.mend(
                f"VRRPv2 advertisement interval {seconds}s must be an integer. rounding",
                "advertisement_interval_us",
                "version 3 knows fractions",
            )
        return max(1, (interval + US_PER_S // 2) // US_PER_S) * US_PER_S
    if interval > INTERVAL_V3_MAX_US:
        assembly.mend(
            f"VRRPv3 advertisement interval {interval / US_PER_S:.2f}s is out of range. Must be less than 40.96s."
            " Setting to 40.95s",
            "advertisement_interval_us",
        )
        return INTERVAL_V3_MAX_US
    if interval % US_PER_CS:
        assembly.mend(
            f"VRRPv3 advertisement interval {seconds}s must be in units of 10ms - rounding",
            "advertisement_interval_us",
        )
    return (interval + US_PER_CS // 2) // US_PER_CS * US_PER_CS


def _garp(assembly: Assembly) -> GarpSettings:
    fields = {name: value for name, value in part(assembly.values, "garp.").items() if value is not None}
    settings = assembly.settings
    # The instance's own master_* do not reach these: their default is made of the global ones.
    fields.setdefault("lower_prio_delay_us", settings["garp.master_delay_us"])
    fields.setdefault("lower_prio_repeat", settings["garp.master_repeat"])
    return GarpSettings(
        **fields, interval_us=settings["garp.interval_us"], gna_interval_us=settings["garp.gna_interval_us"]
    )


def _track_scripts(assembly: Assembly, scripts: Mapping[str, Line]) -> tuple[Track, ...]:
    kept: dict[str, Track] = {}
    for item in assembly.draft.items.get("track_scripts", ()):
        track: Track = item.value
        name = shown(track.name)
        defined = scripts.get(track.name)
        if defined is None:
            hint = assembly.log.nearest(track.name, scripts)
            assembly.lose(f"track script {name} not found, ignoring...", item, hint)
        elif defined.number > item.line.number:
            assembly.lose(
                f"track script {name} not found, ignoring...",
                item,
                f"it is defined further down, in line {defined.number}; it must come first",
            )
        elif track.name in kept:
            assembly.mend(f"duplicate track_script {name} - ignoring", item)
        else:
            kept[track.name] = track
    return tuple(kept.values())


def _track_interfaces(assembly: Assembly) -> tuple[Track, ...]:
    kept: dict[str, Track] = {}
    for item in assembly.draft.items.get("track_interfaces", ()):
        track: Track = item.value
        name = shown(track.name)
        if track.name == assembly.values["interface"]:
            assembly.mend(f"Ignoring track_interface {name} since own interface", item)
        elif track.name in kept:
            assembly.mend(f"duplicate track_interface {name} - ignoring", item)
        else:
            kept[track.name] = track
    return tuple(kept.values())
