"""What will happen: each virtual router of one file, in the words of the RFCs, with its timers worked out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyvrrp.config.complaints import Parsed
from pyvrrp.config.model import AddressLine, Configuration, GarpSettings, VrrpInstance
from pyvrrp.config.rows import Block
from pyvrrp.explain.watches import Key, Watch, group_of, priority_of, watches_of
from pyvrrp.explain.wording import command_of, family_name, line_of, milliseconds, names, seconds, works
from pyvrrp.protocol.constants import PRIORITY_OWNER, Family
from pyvrrp.protocol.timing import master_down_interval_us, skew_time_us


@dataclass(frozen=True, slots=True)
class Timers:
    """
    The timers of RFC 9568 6.1 and RFC 3768 6.1, before another interval has been learnt.

    Attributes:
        priority: Effective priority that they are worked out for.
        adverts: Advertisements that may be missed, 3 in the RFCs.
        interval_us, skew_us, down_us: Advertisement_Interval, Skew_Time, Master_Down_Interval.
    """

    version: int
    priority: int
    adverts: int
    interval_us: int
    skew_us: int
    down_us: int

    @classmethod
    def of(cls, instance: VrrpInstance, priority: int, interval_us: int | None = None) -> Timers:
        """Those of a virtual router, of another MASTER's interval where one is given and version 3 learns it."""
        own_us = instance.advertisement_interval_us
        used_us = own_us if interval_us is None or instance.version == 2 else interval_us
        return cls(
            version=instance.version,
            priority=priority,
            adverts=instance.down_timer_adverts,
            interval_us=used_us,
            skew_us=skew_time_us(instance.version, priority, used_us),
            down_us=master_down_interval_us(instance.version, priority, used_us, instance.down_timer_adverts),
        )

    @property
    def skew_formula(self) -> str:
        """Skew_Time with its numbers."""
        scale = "1000 ms" if self.version == 2 else milliseconds(self.interval_us)
        return f"(256 - {self.priority}) x {scale} / 256 = {milliseconds(self.skew_us)}"

    @property
    def down_formula(self) -> str:
        """Master_Down_Interval with its numbers."""
        parts = f"{self.adverts} x {milliseconds(self.interval_us)} + {milliseconds(self.skew_us)}"
        return f"{parts} = {milliseconds(self.down_us)}"

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "priority": self.priority,
            "advertisement_interval_us": self.interval_us,
            "skew_time_us": self.skew_us,
            "master_down_interval_us": self.down_us,
            "skew_time": self.skew_formula,
            "master_down_interval": self.down_formula,
        }


@dataclass(frozen=True, slots=True)
class Effect:
    """
    What the failure of one thing does.

    Attributes:
        priority: The effective priority then; None is FAULT. Of a number out of a file that of 1.
        text: The same for people.
    """

    watch: Watch
    priority: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """
    One virtual router.

    Attributes:
        family: Of its addresses.
        priority: Effective while all is well.
        runs: False if nothing of its file can be started.
        refused: This release does not run it: something that it needs is not built yet.
        group: Name of its sync group, or empty.
        reach: Whom it speaks to.
        source: Which address it speaks from.
        start: How it begins.
        preemption: What it does about a MASTER of lower priority.
        announcements: How its addresses are made known.
        effects: What it watches, and what the failure of each does.
        addresses, excluded: Where each goes; the latter are not in advertisements.
        notify: Events, and the programs that are told.
    """

    instance: VrrpInstance
    family: Family
    priority: int
    runs: bool
    refused: bool
    group: str
    reach: str
    source: str
    start: str
    preemption: str
    timers: Timers
    announcements: str
    effects: tuple[Effect, ...]
    addresses: tuple[str, ...]
    excluded: tuple[str, ...]
    notify: tuple[tuple[str, str], ...]

    @property
    def watches(self) -> tuple[Watch, ...]:
        """All that is watched."""
        return tuple(effect.watch for effect in self.effects)

    def priority_when(self, wrong: frozenset[Key]) -> int | None:
        """The priority when these things go wrong; None is FAULT."""
        return priority_of(self.instance.priority, self.watches, wrong)


def outlooks(parsed: Parsed) -> tuple[Outlook, ...]:
    """All virtual routers that a file defines, also those that are not run."""
    configuration = parsed.everything
    runs = not parsed.fatal
    return tuple(
        _outlook(configuration, each, runs=runs, refused=each.name in parsed.refused)
        for each in configuration.instances
    )


def _outlook(configuration: Configuration, instance: VrrpInstance, *, runs: bool, refused: bool) -> Outlook:
    watches = watches_of(configuration, instance)
    # A check whose success is FAULT is no reason to show no timers.
    priority = priority_of(instance.priority, watches) or instance.priority
    timers = Timers.of(instance, priority)
    family = instance.family
    group = group_of(configuration, instance)
    return Outlook(
        instance=instance,
        family=family,
        priority=priority,
        runs=runs,
        refused=refused,
        group="" if group is None else group.name,
        reach=_reach(instance, family),
        source=_source(instance, family),
        start=_start(configuration, instance, timers),
        preemption=_preemption(instance),
        timers=timers,
        announcements=_announcements(instance.garp, family),
        effects=tuple(_effect(instance, watches, watch, priority) for watch in watches),
        addresses=tuple(_where(line, instance) for line in instance.virtual_addresses),
        excluded=tuple(_where(line, instance) for line in instance.excluded_addresses),
        notify=tuple(_notify(instance)),
    )


def _reach(instance: VrrpInstance, family: Family) -> str:
    if instance.unicast:
        ttl = 255 if instance.unicast_ttl is None else instance.unicast_ttl
        checked = ", and takes nothing from others" if instance.check_unicast_source else ""
        return f"unicast to {names(instance.unicast_peers)}, TTL {ttl}{checked}"
    return f"multicast to {instance.group or family.group}, TTL 255"


def _source(instance: VrrpInstance, family: Family) -> str:
    if instance.source is not None:
        keyword = "unicast_src_ip" if instance.unicast else "mcast_src_ip"
        return f"{instance.source} ({keyword})"
    kind = "link-local" if family is Family.V6 else "primary"
    return f"the {kind} address of {instance.interface}, whatever it is then"


def _start(configuration: Configuration, instance: VrrpInstance, timers: Timers) -> str:
    settings = configuration.globals
    delay_us = settings.startup_delay_us if works(Block.GLOBAL, "vrrp_startup_delay") else 0
    after = f", from {seconds(delay_us)} after the start on" if delay_us else ""
    if instance.priority == PRIORITY_OWNER and instance.state == "MASTER":
        return f"MASTER at once: it owns the addresses (priority 255){after}"
    first = f"as BACKUP; MASTER after {milliseconds(timers.down_us)} if no MASTER is heard that it must leave alone"
    waits = [watch.name for watch in watches_of(configuration, instance) if watch.weight == 0 and not watch.own]
    verdicts = f"; it waits for the first verdict of {names(waits)}" if waits else ""
    return f"{first}{after}{verdicts}"


def _preemption(instance: VrrpInstance) -> str:
    if instance.priority == PRIORITY_OWNER:
        return "always takes over: priority 255"
    if not instance.preempt:
        return "leaves a MASTER of lower priority alone; takes over after silence or priority 0 only"
    if instance.preempt_delay_us:
        return (
            f"takes over from a MASTER of lower priority, {seconds(instance.preempt_delay_us)} after it is first heard"
            " and once Master_Down_Interval has passed; at once after silence or priority 0"
        )
    return "takes over from a MASTER of lower priority when Master_Down_Interval ends"


def _announcements(garp: GarpSettings, family: Family) -> str:
    what = "gratuitous ARP" if family is Family.V4 else "unsolicited NA"
    first = f"{garp.master_repeat} {what}{'s' * (garp.master_repeat != 1)} for each address on becoming MASTER"
    parts = [first]
    if garp.master_delay_us:
        parts.append(f"{garp.master_repeat} more after {seconds(garp.master_delay_us)}")
    if garp.master_refresh_us:
        parts.append(f"{garp.master_refresh_repeat} every {seconds(garp.master_refresh_us)}")
    repeat = garp.master_repeat if garp.lower_prio_repeat is None else garp.lower_prio_repeat
    if repeat:
        parts.append(f"{repeat} when a lower priority is heard")
    gap_us = garp.interval_us if family is Family.V4 else garp.gna_interval_us
    if gap_us:
        parts.append(f"{seconds(gap_us)} between two of an interface")
    return ", ".join(parts)


def _effect(instance: VrrpInstance, watches: tuple[Watch, ...], watch: Watch, before: int) -> Effect:
    if watch.countless:
        signed = -watch.weight if watch.reverse else watch.weight
        after = min(max(before + signed, 1), 254) if instance.priority != PRIORITY_OWNER else before
        return Effect(watch, after, f"each 1 in it changes the priority by {signed:+d}, within 1-254")
    priority = priority_of(instance.priority, watches, frozenset({watch.key}))
    if priority is None:
        return Effect(watch, None, "FAULT: it gives the addresses up and takes no part")
    if priority == before:
        return Effect(watch, priority, f"nothing: the priority stays {before}")
    text = f"priority {before} -> {priority}"
    low, high = sorted((priority, before))
    if priority > before:
        return Effect(watch, priority, f"{text}, higher than while all is well")
    if high - low < 2:
        return Effect(watch, priority, f"{text}: no priority lies between, no other router takes over")
    between = f"{low + 1}-{high - 1}" if high - low > 2 else f"{low + 1}"
    return Effect(watch, priority, f"{text}: a router with {between} that may preempt takes over")


def _where(line: AddressLine, instance: VrrpInstance) -> str:
    text = line_of(line)
    if line.dev is not None:
        return text
    interface = instance.interface or f"the interface that has {instance.source}"
    if instance.vmac is not None:
        interface = instance.vmac.name or f"the VMAC of VRID {instance.vrid} on {interface}"
    return f"{text} on {interface}"


def _notify(instance: VrrpInstance) -> Iterator[tuple[str, str]]:
    notify = instance.notify
    commands = (
        ("MASTER", notify.master),
        ("BACKUP", notify.backup),
        ("FAULT", notify.fault),
        ("STOP", notify.stop),
        ("DELETED", notify.deleted),
        ("a lower priority is heard", notify.lower_priority),
        ("all states", notify.any),
    )
    rows = {"DELETED": "notify_deleted", "a lower priority is heard": "notify_master_rx_lower_pri"}
    for event, command in commands:
        if command is not None:
            told = event not in rows or works(Block.INSTANCE, rows[event])
            yield event, command_of(command) if told else f"{command_of(command)} (not run by this release)"


def headline(outlook: Outlook) -> str:
    """`VRID 51, IPv4, VRRPv3, every 1 s`."""
    instance = outlook.instance
    every = seconds(instance.advertisement_interval_us)
    return f"VRID {instance.vrid}, {family_name(outlook.family)}, VRRPv{instance.version}, every {every}"
