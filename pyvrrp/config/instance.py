"""
What one `vrrp_instance` block comes to: keepalived's defaults, what cancels what, and what makes it impossible.

All of `global_defs` counts, wherever it stands in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pyvrrp.config.assembly import Assembly, Defaults, part, said_part
from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log
from pyvrrp.config.interfaces import MAC_LENGTH
from pyvrrp.config.model import Authentication, GarpSettings, Hmac, Notify, Origins, Vmac, VrrpInstance
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
from pyvrrp.config.rows import Block
from pyvrrp.config.tracking import Known, TrackList, without_weights
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
    draft: Draft, defaults: Defaults, known: Known, log: Log, origins: Origins
) -> tuple[VrrpInstance | None, bool]:
    """
    Put an instance together.

    Args:
        draft: What the block said.
        defaults: What `global_defs` says.
        known: What can be tracked.
        log: Takes the complaints.
        origins: Takes where the values came from.

    Returns:
        The instance, None if not even that can be made; and whether it may be run. If not, a complaint says why.
    """
    assembly = Assembly(draft, defaults, log)
    origins.add(Block.INSTANCE, draft.name, assembly.record)
    values = assembly.values
    if values["vrid"] is None:
        wrong = draft.misspoken.get("vrid")
        if wrong is None or not log.worsen(wrong.number, wrong.file):  # one line for one mistake
            assembly.fatal("the virtual router id must be set", Code.NO_VRID, hint="virtual_router_id 1-255")
        return None, False
    family, decided_by = decide_family(assembly)
    version = decide_version(assembly, family, decided_by)
    addresses, excluded = decide_addresses(assembly, family, version)
    peers = decide_peers(assembly, family)
    unicast, bounded = bool(peers), any(peer.bounded for peer in peers)
    source = decide_source(assembly, family)
    decide_interface(assembly, source, unicast=unicast)
    authentication = _authentication(assembly, family, version)
    state, priority = _state(assembly, authentication)
    if assembly.strict:
        _enforce_strict(assembly, unicast=unicast)
    preempt, delay = _preemption(assembly, state, priority)
    _check_interfaces_of_its_own(assembly, family, unicast=unicast)
    tracks = TrackList(draft, known, log)
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
        authentication=authentication,
        source=source,
        unicast_peers=tuple(peer.address for peer in peers),
        group=decide_group(assembly, family, unicast=unicast),
        virtual_addresses=addresses,
        excluded_addresses=excluded,
        track_scripts=without_weights(assembly, "track_scripts", tracks.of("track_scripts"), known.scripts, priority),
        track_interfaces=without_weights(
            assembly, "track_interfaces", tracks.interfaces(values["interface"]), {}, priority
        ),
        track_primary=values["track_primary"],
        notify=_notify(values),
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
        no_addresses=values["no_addresses"],
        hmac=_hmac(assembly),
        unicast_fault_no_peer=values["unicast_fault_no_peer"],
        track_source=values["track_source"],
        old_unicast_checksum=values["old_unicast_checksum"],
        vrf=values["vrf"],
        receive_buffer=values["receive_buffer"],
        vmac=_vmac(values),
        ipvlan=values["ipvlan"],
        vmac_addresses=values["vmac_addresses"],
        vmac_transmit_base=values["vmac_transmit_base"],
        promote_secondaries=values["promote_secondaries"],
        routes=tuple(item.value for item in draft.items.get("routes", ())),
        rules=tuple(item.value for item in draft.items.get("rules", ())),
        track_files=tracks.of("track_files"),
        track_processes=tracks.of("track_processes"),
        track_bfds=tracks.of("track_bfds"),
        notify_deleted=values["deleted"] is not None,
        notify_priority_changes=values["notify_priority_changes"],
        smtp_alert=values["smtp_alert"],
        timer_expired_backup=values["timer_expired_backup"],
        owner_ignore_adverts=values["owner_ignore_adverts"],
        linkbeat_use_polling=values["linkbeat_use_polling"],
    )
    return instance, assembly.usable


def _state(assembly: Assembly, authentication: Authentication | None) -> tuple[Literal["MASTER", "BACKUP"], int]:
    state, priority = assembly.values["state"], assembly.values["priority"]
    if priority is None:
        priority = PRIORITY_OWNER if state == "MASTER" else PRIORITY_DEFAULT
        if state == "MASTER":
            assembly.derive("priority", "state MASTER and no priority", "state")
    owner = priority == PRIORITY_OWNER
    if state is None:
        state = "MASTER" if owner else "BACKUP"
        if owner:
            assembly.derive("state", "priority 255", "priority")
    elif assembly.strict and (state == "MASTER") != owner:
        assembly.mend("State MASTER must match being address owner", Code.STATE, "state")
        state = "MASTER" if owner else "BACKUP"
        assembly.derive("state", "RFC strictness", "state")
    if state == "MASTER" and not owner and authentication is not None and authentication.auth_type == "AH":
        message = "Initial state master is incompatible with AH authentication - clearing"
        assembly.mend(message, Code.STATE, "state")
        assembly.derive("state", "auth_type AH", "auth_type")
        state = "BACKUP"
    return state, priority


def _preemption(assembly: Assembly, state: str, priority: int) -> tuple[bool, int]:
    preempt: bool = assembly.values["preempt"]
    delay: int = assembly.values["preempt_delay_us"]
    why, hint = "", ""
    if not preempt and priority == PRIORITY_OWNER:
        message = "nopreempt is incompatible with priority 255. resetting nopreempt"
        _reset(assembly, "preempt", message, "priority 255")
        preempt = True
    elif not preempt and state == "MASTER":
        message = "Warning - nopreempt will not work with initial state MASTER - clearing"
        _reset(assembly, "preempt", message, "state MASTER", "state BACKUP allows it")
        preempt = True
    if not delay:
        return preempt, 0
    message = ""
    if assembly.strict:
        message, why = "preempt_delay is incompatible with strict mode - resetting", "RFC strictness"
    elif state == "MASTER":
        message, why = "Warning - preempt delay will not work with initial state MASTER - clearing", "state MASTER"
        hint = "state BACKUP allows it"
    elif not preempt:
        message, why = "preempt_delay is incompatible with nopreempt mode - resetting", "nopreempt"
    if message:
        _reset(assembly, "preempt_delay_us", message, why, hint)
        return preempt, 0
    return preempt, delay


def _reset(assembly: Assembly, target: str, message: str, why: str, hint: str = "") -> None:
    assembly.mend(message, Code.STRICT if assembly.strict else Code.PREEMPTION, target, hint)
    assembly.derive(target, f"{why} cancels what was said", target)


def _enforce_strict(assembly: Assembly, *, unicast: bool) -> None:
    """What RFC strictness forbids, each with keepalived's words."""
    values = assembly.values
    if unicast:
        peers = Item(None, assembly.draft.blocks["unicast_peer"])
        assembly.fatal("unicast is incompatible with strict mode", Code.STRICT, peers)
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
            assembly.mend(message, Code.STRICT, said)
        if values[target] != value:
            assembly.derive(target, "RFC strictness", said)
        values[target] = value


def _accept(assembly: Assembly, version: int, priority: int) -> bool:
    """Whether packets to the addresses are accepted; keepalived drops them with nftables."""
    accept: bool | None = assembly.values["accept"]
    if assembly.strict and version == 2 and accept:
        message = "warning - accept mode for VRRP version 2 does not comply with RFC3768 - resetting"
        assembly.mend(message, Code.ACCEPT, "accept")
        accept = None
    if accept is None:
        accept = not assembly.strict
        if not accept:
            assembly.derive("accept", "RFC strictness")
    if priority == PRIORITY_OWNER:
        assembly.derive("accept", "priority 255")
        return True
    if not accept and not assembly.draft.refusals:
        hint = "strict mode drops packets to the addresses; with version 3, accept allows them"
        assembly.refuse("no_accept", "strict", hint)
    return accept


def _authentication(assembly: Assembly, family: Family, version: int) -> Authentication | None:
    values = assembly.values
    auth_type, password = values["auth_type"], values["auth_pass"]
    trouble = ""
    about, hint = "auth_type", ""
    if auth_type is None:
        if not password:
            return None
        trouble, about = "auth_pass without auth_type: no authentication is used", "auth_pass"
        hint = "auth_type PASS"
    elif not password:
        trouble = "Authentication specified but no password given. Ignoring"
    elif version == 3:
        trouble = "VRRP version 3 does not support authentication. Ignoring."
    elif assembly.strict:
        trouble = "Strict mode does not support authentication. Ignoring."
    elif auth_type == "AH" and family is Family.V6:
        trouble = "auth_type AH does not support IPv6. Ignoring."
    if trouble:
        assembly.mend(trouble, Code.AUTHENTICATION, about, hint)
        assembly.derive("authentication", "what was said cannot be used", about)
        return None
    if auth_type == "AH":
        assembly.refuse("auth_type AH", "auth_type")
    if len(password) > AUTH_DATA_LENGTH:
        assembly.mend(f"Truncating auth_pass to {AUTH_DATA_LENGTH} characters", Code.TRUNCATED, "auth_pass")
    return Authentication(auth_type, password[:AUTH_DATA_LENGTH])


def _interval(assembly: Assembly, version: int) -> int:
    target = "advertisement_interval_us"
    interval: int = assembly.values[target]
    seconds = f"{interval / US_PER_S:f}"
    if version == 2:
        if interval % US_PER_S:
            message = f"VRRPv2 advertisement interval {seconds}s must be an integer. rounding"
            assembly.mend(message, Code.ROUNDED, target, "version 3 knows fractions")
            assembly.derive(target, f"rounded from {seconds} s", target)
        return max(1, (interval + US_PER_S // 2) // US_PER_S) * US_PER_S
    if interval > INTERVAL_V3_MAX_US:
        message = (
            f"VRRPv3 advertisement interval {interval / US_PER_S:.2f}s is out of range. Must be less than 40.96s."
            " Setting to 40.95s"
        )
        assembly.mend(message, Code.VALUE_RANGE, target)
        assembly.derive(target, "the longest of version 3", target)
        return INTERVAL_V3_MAX_US
    if interval % US_PER_CS:
        message = f"VRRPv3 advertisement interval {seconds}s must be in units of 10ms - rounding"
        assembly.mend(message, Code.ROUNDED, target)
        assembly.derive(target, f"rounded from {seconds} s", target)
    return (interval + US_PER_CS // 2) // US_PER_CS * US_PER_CS


def _garp(assembly: Assembly) -> GarpSettings:
    fields = said_part(assembly.values, "garp.")
    settings = assembly.settings
    extra_us, everywhere = fields.pop("extra", (0, False))
    # The instance's own master_* do not reach these: their default is made of the global ones.
    fields.setdefault("lower_prio_delay_us", settings["garp.master_delay_us"])
    fields.setdefault("lower_prio_repeat", settings["garp.master_repeat"])
    minimal = assembly.spoken.get("min_garp")
    if minimal is not None and minimal.value:
        for target in ("garp.master_delay_us", "garp.master_repeat", "garp.master_refresh_us"):
            if target not in assembly.spoken and target not in assembly.draft.said:
                assembly.derive(target, "vrrp_min_garp", minimal)
    for name in ("interval_us", "gna_interval_us"):
        fields[name] = settings[f"garp.{name}"]
        assembly.inherit(f"garp.{name}", f"garp.{name}")
    return GarpSettings(**fields, extra_interval_us=extra_us, extra_all=everywhere)


def _notify(values: Mapping[str, Any]) -> Notify:
    notify = Notify(**part(values, "notify."))
    deleted = values["deleted"]
    return notify if deleted is None else replace(notify, deleted=deleted[1])


def _vmac(values: Mapping[str, Any]) -> Vmac | None:
    """The VMAC, an address of five octets with the VRID as the sixth."""
    vmac: Vmac | None = values["vmac"]
    if vmac is None or vmac.mac is None or len(vmac.mac) == MAC_LENGTH:
        return vmac
    return replace(vmac, mac=vmac.mac + bytes([values["vrid"]]))


def _check_interfaces_of_its_own(assembly: Assembly, family: Family, *, unicast: bool) -> None:
    """What VMAC, ipvlan and VRF do not go together with; said also where the instance is refused for them."""
    values = assembly.values
    if values["vmac_transmit_base"] and values["vmac"] is None:
        message = "vmac_xmit_base is only valid with a vmac"
        assembly.mend(message, Code.VMAC, "vmac_transmit_base", "use_vmac")
        assembly.derive("vmac_transmit_base", "there is no VMAC", "vmac_transmit_base")
        values["vmac_transmit_base"] = False
    if values["vmac"] is not None and unicast and not values["vmac_transmit_base"]:
        assembly.mend("unicast with use_vmac requires vmac_xmit_base - setting", Code.VMAC, "vmac")
        assembly.derive("vmac_transmit_base", "unicast", "vmac")
        values["vmac_transmit_base"] = True
    ipvlan = values["ipvlan"]
    if ipvlan is not None and ipvlan.address is None and family is Family.V4:
        message = "IPv4 ipvlan requires a source ip address to be configured. setting instance to fault state"
        assembly.mend(message, Code.VMAC, "ipvlan", "use_ipvlan ADDRESS")
    if values["vmac_addresses"]:
        for target in ("virtual_addresses", "excluded_addresses"):
            for item in assembly.draft.items.get(target, ()):
                if item.value.use_vmac:
                    message = f"use_vmac_addr specified and use_vmac specified for {item.value.address.ip}"
                    assembly.mend(message, Code.DUPLICATE, item, "one or the other")
    if values["vrf"] is not None and values["interface"] is not None:
        assembly.lose("Cannot specify VRF interface and interface - ignoring", Code.VMAC, "vrf")
        values["vrf"] = None


def _hmac(assembly: Assembly) -> Hmac | None:
    draft = assembly.draft
    keys = {item.value.key_id: item for item in reversed(draft.items.get("hmac.keys", ()))}
    fields = said_part(assembly.values, "hmac.")
    if not keys and not fields:
        return None
    for item in draft.items.get("hmac.keys", ()):
        if keys[item.value.key_id] is not item:
            assembly.lose(f"key {item.value.key_id} is there already - ignoring", Code.DUPLICATE, item)
    if fields.get("active_key") not in keys:
        assembly.lose("auth_hmac: the active_key has no key", Code.AUTHENTICATION, "hmac.active_key")
    return Hmac(keys=tuple(item.value for item in reversed(keys.values())), **fields)
