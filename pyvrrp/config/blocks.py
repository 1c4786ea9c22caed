"""Drafts to the blocks that stand beside the instances: scripts, files, processes, BFD, and groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pyvrrp.config.assembly import fill, part, record_of
from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Severity, shown
from pyvrrp.config.keywords import BY_BLOCK
from pyvrrp.config.model import (
    BfdInstance,
    GarpGroup,
    Notify,
    Origins,
    SyncGroup,
    Track,
    TrackFile,
    TrackGroup,
    TrackProcess,
    VrrpInstance,
    VrrpScript,
)
from pyvrrp.config.parser import Draft, Drafts
from pyvrrp.config.rows import Block, Row
from pyvrrp.config.tracking import Known, TrackList, weight_of

BFD_NAME_LENGTH: Final = 31
_RENAMED: Final = {"init_file": "initial", "delay_us": "fork_delay_us", "vrrp": "for_vrrp", "checker": "for_checker"}


def _rows(block: Block) -> tuple[Row, ...]:
    return tuple(row for row in BY_BLOCK[block].values() if row.target)


_ROWS: Final = {block: _rows(block) for block in Block}


def build_trackers(drafts: Drafts, log: Log, origins: Origins) -> Known:
    """Everything that can be tracked."""
    known = Known()
    builders: tuple[tuple[Block, Any, type[Any], dict[str, Any]], ...] = (
        (Block.SCRIPT, _script, VrrpScript, known.scripts),
        (Block.TRACK_FILE, _file, TrackFile, known.files),
        (Block.TRACK_PROCESS, _process, TrackProcess, known.processes),
        (Block.BFD, _bfd, BfdInstance, known.bfds),
    )
    for block, build, kind, kept in builders:
        lines = known.lines[block] = {}
        for name, draft in drafts.named[block].items():
            built = build(draft, fill(_ROWS[block], draft.said, {}), log)
            if built is not None:
                kept[name] = built
                lines[name] = draft.line
                origins.add(block, name, record_of(kind, draft, _RENAMED))
    return known


def _remove(draft: Draft, log: Log, message: str, hint: str = "", code: Code = Code.INCOMPLETE) -> None:
    log.add(Severity.ERROR, draft.line, message, hint=hint, dropped=True, code=code)


def _script(draft: Draft, values: dict[str, Any], log: Log) -> VrrpScript | None:
    command, tcp = values["command"], values["tcp"]
    if command is None and tcp is None:
        message = f"No script set for vrrp_script {shown(draft.name)} - removing"
        _remove(draft, log, message, 'script "COMMAND", or tcp_check PORT')
        return None
    if command is not None and tcp is not None:
        log.add(
            Severity.ERROR,
            draft.said["tcp"].line,
            f"{draft.label}script is set too - ignoring tcp_check",
            hint="one or the other",
            dropped=True,
            code=Code.DUPLICATE,
        )
        tcp = None
    if command is not None and values["user"] is not None:
        user, group = values["user"]
        command = replace(command, user=user, group=group)
    weight, reverse = values["weight"]
    return VrrpScript(
        name=draft.name,
        command=command,
        tcp=tcp,
        interval_us=values["interval_us"],
        timeout_us=values["timeout_us"],
        weight=weight,
        reverse=reverse,
        rise=values["rise"],
        fall=values["fall"],
        init_fail=values["init_fail"],
        only_as_master=values["only_as_master"],
        place=draft.line.place(0),
    )


def _file(draft: Draft, values: dict[str, Any], log: Log) -> TrackFile | None:
    if values["path"] is None:
        _remove(draft, log, f"No file set for track_file {shown(draft.name)} - ignoring", 'file "PATH"')
        return None
    weight, reverse = values["weight"]
    initial, overwrite = values["init_file"]
    return TrackFile(draft.name, values["path"], weight, reverse, initial, overwrite, draft.line.place(0))


def _process(draft: Draft, values: dict[str, Any], log: Log) -> TrackProcess | None:
    if values["process"] is None:
        _remove(draft, log, f"track process '{shown(draft.name)}' process name not specified", "process NAME")
        return None
    weight, reverse = values["weight"]
    quorum, quorum_max = values["quorum"], values["quorum_max"]
    if quorum_max is not None and quorum_max < quorum and "quorum" in draft.said:
        log.add(
            Severity.ERROR,
            draft.said["quorum_max"].line,
            f"{draft.label}quorum_max is less than quorum - ignoring",
            dropped=True,
            code=Code.VALUE_RANGE,
        )
        quorum_max = None
    delay_us = values["delay_us"] or 0
    return TrackProcess(
        name=draft.name,
        process=values["process"],
        parameter_match=values["parameter_match"],
        full_command=values["full_command"],
        weight=weight,
        reverse=reverse,
        quorum=quorum,
        quorum_max=quorum_max,
        fork_delay_us=_later(draft, values, "fork_delay_us", delay_us),
        terminate_delay_us=_later(draft, values, "terminate_delay_us", delay_us),
        place=draft.line.place(0),
    )


def _later(draft: Draft, values: dict[str, Any], target: str, delay_us: int) -> int:
    """`delay` sets both delays; of it and the delay's own keyword the one that was said later counts."""
    own = draft.said.get(target)
    both = draft.said.get("delay_us")
    if own is None or (both is not None and both.line.order > own.line.order):
        return delay_us
    value: int = values[target]
    return value


def _bfd(draft: Draft, values: dict[str, Any], log: Log) -> BfdInstance | None:
    name = shown(draft.name)
    if len(draft.name) > BFD_NAME_LENGTH:
        message = f"BFD instance {name}: name too long (maximum length is {BFD_NAME_LENGTH} characters) - ignoring"
        _remove(draft, log, message, code=Code.NAME_LENGTH)
        return None
    neighbour, source = values["neighbour"], values["source"]
    if neighbour is None:
        _remove(draft, log, f"BFD instance {name} has no neighbor address set, disabling instance", "neighbor_ip ADDR")
        return None
    if source is not None and source.version != neighbour.version:
        message = f"BFD instance {name}: source and neighbor address are not of the same family, disabling instance"
        _remove(draft, log, message, code=Code.FAMILY)
        return None
    weight, reverse = values["weight"]
    nobody = not (values["vrrp"] or values["checker"])  # then both are told
    return BfdInstance(
        name=draft.name,
        neighbour=neighbour,
        source=source,
        min_rx_us=values["min_rx_us"],
        min_tx_us=values["min_tx_us"],
        idle_tx_us=values["idle_tx_us"],
        multiplier=values["multiplier"],
        passive=values["passive"],
        ttl=values["ttl"],
        max_hops=values["max_hops"],
        multihop=values["multihop"],
        weight=weight,
        reverse=reverse,
        for_vrrp=values["vrrp"] or nobody,
        for_checker=values["checker"] or nobody,
        place=draft.line.place(0),
    )


def build_sync_groups(
    drafts: Drafts, known: Known, instances: Mapping[str, VrrpInstance], log: Log, origins: Origins
) -> tuple[SyncGroup, ...]:
    """The sync groups that have members; each instance is in the first that names it."""
    groups: list[SyncGroup] = []
    grouped: dict[str, str] = {}
    for name, draft in drafts.named[Block.SYNC_GROUP].items():
        members = _members(draft, grouped, drafts.named[Block.INSTANCE], log)
        if not members:
            _remove(draft, log, f"Sync group {shown(name)} has no virtual router(s). removing", code=Code.SYNC_GROUP)
            continue
        if len(members) == 1:
            message = f"Sync group {shown(name)} has only 1 virtual router(s) - this probably isn't what you want"
            log.add(Severity.WARNING, draft.line, message, word=1, code=Code.SYNC_GROUP)
        values = fill(_ROWS[Block.SYNC_GROUP], draft.said, {})
        tracks = TrackList(draft, known, log)
        groups.append(
            SyncGroup(
                name=name,
                members=members,
                track_scripts=tracks.of("track_scripts"),
                track_interfaces=tracks.interfaces(None),
                track_files=tracks.of("track_files"),
                track_processes=tracks.of("track_processes"),
                track_bfds=tracks.of("track_bfds"),
                notify=Notify(**part(values, "notify.")),
                notify_priority_changes=values["notify_priority_changes"],
                smtp_alert=values["smtp_alert"],
                global_tracking=values["global_tracking"],
                tracking_weight=values["tracking_weight"],
                place=draft.line.place(0),
            )
        )
        origins.add(Block.SYNC_GROUP, name, record_of(SyncGroup, draft))
        if not values["tracking_weight"]:
            _check_weights(drafts, members, instances, known, log)
    return tuple(groups)


def _members(draft: Draft, grouped: dict[str, str], instances: Mapping[str, Draft], log: Log) -> tuple[str, ...]:
    kept: list[str] = []
    for item in draft.items.get("members", ()):
        for word, member in enumerate(item.value):
            code, hint = Code.SYNC_GROUP, ""
            if member not in instances:
                message = f"Virtual router {shown(member)} specified in sync group doesn't exist - ignoring"
                code, hint = Code.NOT_FOUND, log.nearest(member, instances)
            elif member in kept:
                message = f"Virtual router {shown(member)} is there twice - ignoring"
                code = Code.DUPLICATE
            elif member in grouped:
                message = f"Virtual router {shown(member)} cannot exist in more than one sync group - ignoring"
                hint = f"it is in {shown(grouped[member])}"
            else:
                kept.append(member)
                grouped[member] = draft.name
                continue
            text = draft.label + message
            log.add(Severity.ERROR, item.line, text, word=word, hint=hint, dropped=True, code=code)
    return tuple(kept)


def _check_weights(
    drafts: Drafts, members: tuple[str, ...], instances: Mapping[str, VrrpInstance], known: Known, log: Log
) -> None:
    """Members move together, so a priority of their own would tear them apart: their weights do not count."""
    for member in members:
        instance = instances.get(member)
        if instance is None:
            continue
        draft = drafts.named[Block.INSTANCE][member]
        kinds: tuple[tuple[str, tuple[Track, ...], Mapping[str, VrrpScript] | Mapping[str, TrackFile]], ...] = (
            ("track_scripts", instance.track_scripts, known.scripts),
            ("track_interfaces", instance.track_interfaces, {}),
            ("track_files", instance.track_files, known.files),
        )
        for target, tracks, weighty in kinds:
            items = {item.value.name: item for item in reversed(draft.items.get(target, ()))}
            for track in tracks:
                if weight_of(track, weighty):
                    message = f"{draft.label}ignoring the weight of tracked {shown(track.name)} due to SYNC group"
                    hint = "it is not watched: weight 0 for FAULT, or sync_group_tracking_weight in the group"
                    log.add(Severity.WARNING, items[track.name].line, message, hint=hint, code=Code.WEIGHT)


def build_track_groups(drafts: Drafts, origins: Origins) -> tuple[TrackGroup, ...]:
    """Groups that static addresses, routes and rules refer to; who is no instance is left out, as keepalived does."""
    groups: list[TrackGroup] = []
    instances = drafts.named[Block.INSTANCE]
    for name, draft in drafts.named[Block.TRACK_GROUP].items():
        words = [word for item in draft.items.get("members", ()) for word in item.value]
        members = tuple(dict.fromkeys(word for word in words if word in instances))
        groups.append(TrackGroup(name, members, draft.line.place(0)))
        origins.add(Block.TRACK_GROUP, name, record_of(TrackGroup, draft))
    return tuple(groups)


def build_garp_groups(drafts: Drafts, log: Log) -> tuple[GarpGroup, ...]:
    """Groups of interfaces; an interface is in the first that names it."""
    groups: list[GarpGroup] = []
    seen: set[str] = set()
    for draft in drafts.named[Block.GARP_GROUP].values():
        values = fill(_ROWS[Block.GARP_GROUP], draft.said, {})
        if values["interval_us"] is None and values["gna_interval_us"] is None:
            _remove(draft, log, "garp_group does not have any delay set - removing", "garp_interval or gna_interval")
            continue
        if "interfaces" in draft.blocks and "interfaces" not in draft.items:
            message = "Warning - empty garp_group interfaces block"
            log.add(Severity.WARNING, draft.blocks["interfaces"], message, code=Code.INCOMPLETE)
        named = [(values["interface"], draft.said["interface"].line, 1)] if values["interface"] is not None else []
        for item in draft.items.get("interfaces", ()):
            named += [(name, item.line, word) for word, name in enumerate(item.value)]
        kept: list[str] = []
        for name, line, word in named:
            if name in seen:
                message = f"garp_group already specified for {shown(name)} - ignoring"
                log.add(Severity.ERROR, line, message, word=word, dropped=True, code=Code.DUPLICATE)
            else:
                seen.add(name)
                kept.append(name)
        groups.append(GarpGroup(tuple(kept), values["interval_us"], values["gna_interval_us"], draft.line.place(0)))
    return tuple(groups)
