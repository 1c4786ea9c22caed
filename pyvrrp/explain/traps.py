"""
What one file contains that does not do what it seems to.

Two sources: what the parser mended or dropped in an instance, in its own words, and what is legal and still surprises.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Parsed, Severity
from pyvrrp.config.model import Configuration, OriginKind, Place, VrrpInstance
from pyvrrp.config.rows import Block
from pyvrrp.explain.outlook import Outlook
from pyvrrp.explain.watches import Kind
from pyvrrp.explain.wording import family_name, json_of, names, seconds
from pyvrrp.protocol.constants import PRIORITY_OWNER, US_PER_S, Family
from pyvrrp.protocol.priority import PRIORITY_MAX, PRIORITY_MIN

SHORT_US: Final = 100_000
"""Below this a pause of the host (a migration, a stolen CPU) is soon longer than Master_Down_Interval."""

LONG_US: Final = 10 * US_PER_S
"""From here on a dead MASTER is missed for half a minute."""

_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?|\d+")
_STATES: Final = frozenset({"MASTER", "BACKUP", "FAULT", "STOP", "master", "backup", "fault", "stop"})


class Trap(enum.StrEnum):
    """Stable codes of traps; those that the parser tells have the codes of `config.codes.Code`."""

    STATE_IS_A_HINT = "state-is-a-hint"
    PRIORITY_DEFAULT = "priority-default"
    OWNER = "owner-without-address"
    SHARED_VRID = "shared-vrid"
    ADDRESS_TWICE = "address-twice"
    WEIGHT_CLAMPED = "weight-clamped"
    WEIGHT_IDLE = "weight-without-effect"
    EVERYWHERE = "fault-everywhere"
    SHORT_INTERVAL = "short-interval"
    LONG_INTERVAL = "long-interval"
    ONE_LOST = "one-lost-advertisement"
    CABLE = "cable-not-watched"
    OTHER_INTERFACE = "interface-not-watched"
    CLEAR_PASSWORD = "password-in-clear"  # noqa: S105  the name of a trap
    VERSION_2_IPV6 = "version-2-with-ipv6"
    NOTIFY_USER = "notify-user"
    INIT_FAIL = "init-fail"
    SOURCE_IS_VIRTUAL = "source-is-virtual"


@dataclass(frozen=True, slots=True)
class Warned:
    """
    One trap.

    Attributes:
        code: Stable.
        instance: Whose it is; empty is the whole file's.
        text: What happens, in one sentence.
        hint: What to do about it, or empty.
        place: Where it stands, if anywhere.
    """

    code: str
    instance: str
    text: str
    hint: str = ""
    place: Place | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "code": self.code,
            "instance": self.instance,
            "text": self.text,
            "hint": self.hint,
            "place": json_of(self.place),
        }


def traps(parsed: Parsed, outlooks: Sequence[Outlook]) -> tuple[Warned, ...]:
    """All traps of a file: first what the parser says of its instances, then the others, instance by instance."""
    configuration = parsed.everything
    found = list(_told(parsed))
    for outlook in outlooks:
        found += _of_state(configuration, outlook)
        found += _of_watches(configuration, outlook)
        found += _of_timers(outlook)
        found += _of_addresses(outlook)
        found += _of_programs(outlook.instance)
    found += _shared(outlooks)
    return tuple(dict.fromkeys(found))


def _told(parsed: Parsed) -> Iterator[Warned]:
    """What the parser says of an instance, but not what is a mistake in the text alone."""
    names_known = {instance.name for instance in parsed.everything.instances}
    for complaint in parsed.complaints:
        name, found, text = complaint.message.removeprefix("(").partition(") ")
        if not (found and complaint.message.startswith("(") and name in names_known):
            continue
        if complaint.severity is Severity.NOTE and complaint.code is not Code.LINK_LOCAL:
            continue
        yield Warned(complaint.code.value, name, text, complaint.hint, complaint.place)


def _of_state(configuration: Configuration, outlook: Outlook) -> Iterator[Warned]:
    instance = outlook.instance
    origins = configuration.origins
    state = origins.origin(Block.INSTANCE, instance.name, "state")
    priority = origins.origin(Block.INSTANCE, instance.name, "priority")
    owner = instance.priority == PRIORITY_OWNER
    if instance.state == "MASTER" and not owner:
        yield Warned(
            Trap.STATE_IS_A_HINT,
            instance.name,
            "state MASTER is only a hint: it begins as BACKUP all the same, the priority decides; but nopreempt and"
            " preempt_delay do not work with it",
            "state BACKUP on all nodes says the same and allows both",
            state.place,
        )
    if priority.kind is OriginKind.DEFAULT and not owner:
        yield Warned(
            Trap.PRIORITY_DEFAULT,
            instance.name,
            f"no priority is said, so it is {instance.priority}, as on every other node that says none",
            "priority, another one on each node",
            instance.place,
        )
    virtual = {line.address.ip for line in instance.virtual_addresses}
    if owner and (instance.source is None or instance.source not in virtual):
        what = "that address is not its source" if instance.source is not None else "nothing here says so"
        derived = ", which state MASTER without a priority comes to" if priority.kind is OriginKind.DERIVED else ""
        yield Warned(
            Trap.OWNER,
            instance.name,
            f"priority 255{derived} means that the virtual addresses are the interface's own ({what}); no weight"
            " changes it, it always preempts, and a second one on the link is an error",
            "priority 1-254 unless they are",
            priority.place or instance.place,
        )
    if instance.source is not None and instance.source in virtual and not owner:
        yield Warned(
            Trap.SOURCE_IS_VIRTUAL,
            instance.name,
            f"it speaks from {instance.source}, its own virtual address, which as BACKUP it does not have",
            "the node's own address",
            origins.origin(Block.INSTANCE, instance.name, "source").place,
        )


def _of_watches(configuration: Configuration, outlook: Outlook) -> Iterator[Warned]:
    instance = outlook.instance
    owner = instance.priority == PRIORITY_OWNER
    total = instance.priority + sum(
        max(0, watch.contribution(well=True).points) for watch in outlook.watches if not owner
    )
    if total > PRIORITY_MAX and not owner:
        yield Warned(
            Trap.WEIGHT_CLAMPED,
            instance.name,
            f"priority and weights come to {total}, and 254 is the highest: the first {total - PRIORITY_MAX} points"
            " of failures change nothing",
            "a lower priority",
            instance.place,
        )
    for effect in outlook.effects:
        watch, after = effect.watch, effect.priority
        if watch.countless or owner:
            continue
        if watch.weight and after is not None and abs(outlook.priority - after) < 2:
            yield Warned(
                Trap.WEIGHT_IDLE,
                instance.name,
                f"when {watch.wrong}, the priority goes from {outlook.priority} to {after}: no priority lies between,"
                " so the winner cannot change",
                "a weight greater than the distance to the next node's priority, or 0 for FAULT",
                watch.place,
            )
        elif watch.weight and after == PRIORITY_MIN and instance.priority - abs(watch.weight) < PRIORITY_MIN:
            yield Warned(
                Trap.WEIGHT_CLAMPED,
                instance.name,
                f"when {watch.wrong}, the priority would be {instance.priority - abs(watch.weight)}, and 1 is the"
                " lowest: two nodes that fail alike are equal then",
                place=watch.place,
            )
        if not watch.weight and watch.kind is Kind.SCRIPT:
            yield Warned(
                Trap.EVERYWHERE,
                instance.name,
                f"check {watch.name} has no weight: where it {'succeeds' if watch.reverse else 'fails'} on all nodes at"
                " once, all are in FAULT and nobody has the addresses",
                "a weight keeps the best of the bad in charge",
                watch.place,
            )
        script = configuration.script(watch.name) if watch.kind is Kind.SCRIPT else None
        if script is not None and script.init_fail:
            yield Warned(
                Trap.INIT_FAIL,
                instance.name,
                f"init_fail of {script.name} works here: it counts as failed until it has succeeded {script.rise}"
                " time(s); keepalived accepts the word and does nothing",
                place=script.place,
            )
    if not instance.track_primary:
        yield Warned(
            Trap.CABLE,
            instance.name,
            f"dont_track_primary: with {instance.interface} down it stays MASTER, while another takes over",
            place=instance.place,
        )
    watched = {watch.name for watch in outlook.watches if watch.kind is Kind.INTERFACE} | {instance.interface}
    lines = (*instance.virtual_addresses, *instance.excluded_addresses)
    apart = dict.fromkeys(line.dev for line in lines if line.dev is not None and line.dev not in watched)
    for dev in apart:
        yield Warned(
            Trap.OTHER_INTERFACE,
            instance.name,
            f"addresses go to {dev}, whose loss nobody notices",
            f"track_interface {dev}",
            next(line.place for line in lines if line.dev == dev),
        )


def _of_timers(outlook: Outlook) -> Iterator[Warned]:
    instance = outlook.instance
    interval_us = instance.advertisement_interval_us
    down = seconds(outlook.timers.down_us)
    if interval_us < SHORT_US:
        yield Warned(
            Trap.SHORT_INTERVAL,
            instance.name,
            f"an interval of {seconds(interval_us)}: a MASTER whose host pauses for {down} is replaced, and takes over"
            " again when it is back",
            "vrrp_rt_priority and vrrp_no_swap, or 100 ms and more",
            instance.place,
        )
    if interval_us >= LONG_US:
        yield Warned(
            Trap.LONG_INTERVAL,
            instance.name,
            f"an interval of {seconds(interval_us)}: a dead MASTER is missed for {down}",
            place=instance.place,
        )
    if instance.down_timer_adverts == 1:
        yield Warned(
            Trap.ONE_LOST,
            instance.name,
            "down_timer_adverts 1: one lost advertisement makes a second MASTER",
            "3, as the RFCs say",
            instance.place,
        )


def _of_addresses(outlook: Outlook) -> Iterator[Warned]:
    instance = outlook.instance
    if outlook.family is Family.V6 and instance.version == 2:
        yield Warned(
            Trap.VERSION_2_IPV6,
            instance.name,
            "no RFC knows VRRPv2 with IPv6: only keepalived understands it",
            "version 3",
            instance.place,
        )
    if instance.authentication is not None and instance.authentication.auth_type == "PASS":
        yield Warned(
            Trap.CLEAR_PASSWORD,
            instance.name,
            "auth_pass crosses the network in clear, and RFC 3768 has withdrawn it: it keeps accidents apart, not"
            " attackers",
            place=instance.place,
        )


def _of_programs(instance: VrrpInstance) -> Iterator[Warned]:
    """`notify_master /bin/x arg` means the user `arg`: arguments need quotes."""
    notify = instance.notify
    commands = (notify.master, notify.backup, notify.fault, notify.stop, notify.any, notify.deleted)
    for command in commands:
        if command is None or command.user is None:
            continue
        words = [command.user, *([command.group] if command.group else [])]
        if any(word in _STATES or not _USER.fullmatch(word) for word in words):
            yield Warned(
                Trap.NOTIFY_USER,
                instance.name,
                f"{command.argv[0]} would be run by the user {command.user}: words behind a command are user and group",
                'quotes around the command and its arguments: "COMMAND ARGUMENT"',
                instance.place,
            )


def _shared(outlooks: Sequence[Outlook]) -> Iterator[Warned]:
    seen: dict[tuple[str | None, int, Family], VrrpInstance] = {}
    holders: dict[str, list[str]] = {}
    for outlook in outlooks:
        instance = outlook.instance
        first = seen.setdefault((instance.interface, instance.vrid, outlook.family), instance)
        if first is not instance:
            yield Warned(
                Trap.SHARED_VRID,
                instance.name,
                f"VRID {instance.vrid} of {family_name(outlook.family)} on {instance.interface} is also {first.name}'s:"
                " only group or peers keep the two apart, other routers of the link may not",
                "another virtual_router_id",
                instance.place,
            )
        for line in (*instance.virtual_addresses, *instance.excluded_addresses):
            holders.setdefault(str(line.address.ip), []).append(instance.name)
    for address, owners in holders.items():
        different = list(dict.fromkeys(owners))
        if len(different) > 1:
            yield Warned(
                Trap.ADDRESS_TWICE,
                different[0],
                f"{address} belongs to {names(different)}: whoever leaves MASTER first takes it from the other",
            )
