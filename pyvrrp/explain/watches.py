"""
What a virtual router watches, and what its priority is when one of these things goes wrong.

"Well" is the verdict that does no harm: success, or for what is tracked in `reverse` failure.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from pyvrrp.config.model import (
    BfdInstance,
    Configuration,
    Place,
    SyncGroup,
    Track,
    TrackFile,
    TrackProcess,
    VrrpInstance,
    VrrpScript,
)
from pyvrrp.explain.wording import command_of, seconds
from pyvrrp.protocol.constants import PRIORITY_OWNER
from pyvrrp.protocol.priority import Contribution, effective_priority


class Kind(enum.StrEnum):
    """What it is."""

    SCRIPT = "script"
    INTERFACE = "interface"
    FILE = "file"
    PROCESS = "process"
    BFD = "bfd"


Key: TypeAlias = tuple[Kind, str]

_CONFIRMED_US = 500_000  # CONFIRM_S of daemon/duty.py


@dataclass(frozen=True, slots=True)
class Watch:
    """
    One thing that is watched.

    Attributes:
        weight: 0 is FAULT when it goes wrong.
        reverse: Its success is what is wrong.
        about: What is done, and how soon it notices.
        via: Through whom it counts: the sync group, or another member of it; empty is the router itself.
        own: The interface of the advertisements.
        place: Where that was said.
    """

    kind: Kind
    name: str
    weight: int = 0
    reverse: bool = False
    about: str = ""
    via: str = ""
    own: bool = False
    place: Place | None = field(default=None, compare=False)

    @property
    def key(self) -> Key:
        """The thing itself, whoever watches it."""
        return self.kind, self.name

    @property
    def countless(self) -> bool:
        """A number out of a file, which has no two verdicts."""
        return self.kind is Kind.FILE and self.weight != 0

    @property
    def wrong(self) -> str:
        """What goes wrong, in words."""
        name = self.name
        what = {
            Kind.SCRIPT: f"check {name} {'succeeds' if self.reverse else 'fails'}",
            Kind.INTERFACE: f"interface {name} is {'up' if self.reverse else 'down'}",
            Kind.FILE: f"file {name} says {'0' if self.reverse else 'other than 0'}",
            Kind.PROCESS: f"process {name} is {'there' if self.reverse else 'gone'}",
            Kind.BFD: f"BFD session {name} is {'up' if self.reverse else 'down'}",
        }[self.kind]
        return f"{what} ({self.via})" if self.via else what

    def contribution(self, *, well: bool) -> Contribution:
        """What it brings to the priority."""
        if self.kind is Kind.FILE:
            # A file has no verdict: its number does nothing while it is 0.
            up = None if well or self.weight else self.reverse
            return Contribution(self.name, self.weight, self.reverse, up)
        return Contribution(self.name, self.weight, self.reverse, well is not self.reverse)


def priority_of(base: int, watches: Iterable[Watch], wrong: frozenset[Key] = frozenset()) -> int | None:
    """
    The priority of a virtual router; None is FAULT.

    Args:
        base: As configured.
        watches: All that it watches.
        wrong: What of it has gone wrong.
    """
    contributions = [watch.contribution(well=watch.key not in wrong) for watch in watches]
    if any(each.fault for each in contributions):
        return None
    return effective_priority(base, contributions)


def group_of(configuration: Configuration, instance: VrrpInstance) -> SyncGroup | None:
    """The sync group that an instance is a member of."""
    return next((group for group in configuration.sync_groups if instance.name in group.members), None)


def watches_of(configuration: Configuration, instance: VrrpInstance) -> tuple[Watch, ...]:
    """
    All that can change the priority of an instance, or put it into FAULT; each thing once.

    A member of a sync group goes to FAULT with the others, and has no weights of its own unless the group allows them
    (or they may part):
    keepalived 2.2.7 does not track what has a weight there, interfaces excepted, whose weight becomes 0.
    """
    group = group_of(configuration, instance)
    found: dict[Key, Watch] = {}
    for watch in _own(configuration, instance):
        found.setdefault(watch.key, watch)
    if group is not None:
        if not (group.tracking_weight or group.may_part or instance.priority == PRIORITY_OWNER):
            found = {watch.key: watch for watch in found.values() if watch.weight == 0}
        for watch in _tracked(configuration, group):
            found.setdefault(watch.key, replace(watch, via=f"group {group.name}"))
        others = set() if group.may_part else set(group.members) - {instance.name}
        for member in configuration.instances:
            if member.name in others:
                for watch in _own(configuration, member):
                    if watch.weight == 0:
                        found.setdefault(watch.key, replace(watch, via=f"of {member.name}", own=False))
    return tuple(found.values())


def _own(configuration: Configuration, instance: VrrpInstance) -> Iterator[Watch]:
    if instance.track_primary and instance.interface is not None:
        yield Watch(Kind.INTERFACE, instance.interface, about="noticed at once", own=True, place=instance.place)
    yield from _tracked(configuration, instance)


def _tracked(configuration: Configuration, thing: VrrpInstance | SyncGroup) -> Iterator[Watch]:
    for track in thing.track_scripts:
        script = configuration.script(track.name)
        if script is not None:
            yield _watch(Kind.SCRIPT, track, script.weight, script.reverse, _about_script(script))
    for track in thing.track_interfaces:
        yield _watch(Kind.INTERFACE, track, 0, False, "noticed at once")
    lists: tuple[
        tuple[Kind, tuple[Track, ...], Iterable[TrackFile] | Iterable[TrackProcess] | Iterable[BfdInstance]], ...
    ] = (
        (Kind.FILE, thing.track_files, configuration.track_files),
        (Kind.PROCESS, thing.track_processes, configuration.track_processes),
        (Kind.BFD, thing.track_bfds, configuration.bfd_instances),
    )
    for kind, tracks, defined in lists:
        known = {each.name: each for each in defined}
        for track in tracks:
            each = known[track.name]
            yield _watch(kind, track, each.weight, each.reverse, _about(each))


def _watch(kind: Kind, track: Track, weight: int, reverse: bool, about: str) -> Watch:
    return Watch(
        kind=kind,
        name=track.name,
        weight=weight if track.weight is None else track.weight,
        reverse=reverse if track.reverse is None else track.reverse,
        about=about,
        place=track.place,
    )


def _about_script(script: VrrpScript) -> str:
    what = ""
    if script.command is not None:
        what = command_of(script.command)
    elif script.tcp is not None:
        what = f"TCP port {script.tcp.port} of {script.tcp.address or 'the own address'}"
    timeout_us = script.interval_us if script.timeout_us is None else script.timeout_us
    # It may break just after a run, and the last run that counts may take as long as it is let.
    noticed_us = script.fall * script.interval_us + timeout_us
    rise = f", well again after {script.rise} successes in a row" if script.rise > 1 else ""
    when = ""
    if script.only_as_master:
        when = " while MASTER"
        noticed_us += _CONFIRMED_US
    return f"{what}; every {seconds(script.interval_us)}{when}, noticed within {seconds(noticed_us)}{rise}"


def _about(thing: TrackFile | TrackProcess | BfdInstance) -> str:
    match thing:
        case TrackFile():
            return f"the number in {thing.path}"
        case TrackProcess():
            most = "" if thing.quorum_max is None else f", at most {thing.quorum_max}"
            return f"at least {thing.quorum}{most} of {' '.join(thing.process)}"
        case BfdInstance():
            noticed = seconds(thing.multiplier * max(thing.min_rx_us, thing.min_tx_us))
            return f"to {thing.neighbour}; noticed after {noticed} or more, as both ends agree"
