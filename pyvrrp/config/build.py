"""Drafts to the model: `global_defs` and what stands outside here, the blocks by `blocks.py` and `instance.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Final

from pyvrrp.config.assembly import Defaults, compose, fill, names_of
from pyvrrp.config.blocks import build_garp_groups, build_sync_groups, build_track_groups, build_trackers
from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Severity, not_built, shown
from pyvrrp.config.instance import build_instance
from pyvrrp.config.keywords import BY_BLOCK
from pyvrrp.config.model import (
    AddressLine,
    Configuration,
    GarpSettings,
    GlobalSettings,
    Origins,
    Route,
    Rule,
    SyncGroup,
    VrrpInstance,
)
from pyvrrp.config.origins import Record
from pyvrrp.config.parser import Draft, Drafts, Item
from pyvrrp.config.rows import Block
from pyvrrp.protocol.constants import PRIORITY_OWNER

RULE_PREFERENCE: Final = 16384  # keepalived counts down from here
_GLOBAL_ROWS: Final = tuple(row for row in BY_BLOCK[Block.GLOBAL].values() if row.target)
_ROOT_ROWS: Final = tuple(row for row in BY_BLOCK[Block.ROOT].values() if row.target)
# Values that become several fields, or a field of another name; the rest has its field's name.
_APART: Final = ("script_user", "notification_email", "dynamic_interfaces")
_FIELDS_OF: Final = {
    "script_user": ("script_user", "script_group"),
    "dynamic_interfaces": ("dynamic_interfaces", "interfaces_may_change"),
    "notify_fifo.path": ("notify_fifo.path", "notify_fifo.user", "notify_fifo.group"),
    "vrrp_notify_fifo.path": ("vrrp_notify_fifo.path", "vrrp_notify_fifo.user", "vrrp_notify_fifo.group"),
    "reload.check_log": ("reload.check", "reload.check_log"),
    "reload.mark_file": ("reload.mark", "reload.mark_file"),
}


def build(drafts: Drafts, log: Log) -> tuple[Configuration, frozenset[str]]:
    """
    Put the configuration together.

    Returns:
        All that is defined, and the names of the instances that must not be run; see `runnable`.
    """
    origins = Origins()
    settings = _settings(drafts.globals)
    defaults = Defaults(settings, drafts.globals.said)
    known = build_trackers(drafts, log, origins)
    _number_rules(drafts, log)
    instances: dict[str, VrrpInstance] = {}
    refused: set[str] = set()
    for name, draft in drafts.named[Block.INSTANCE].items():
        instance, usable = build_instance(draft, defaults, known, log, origins)
        if instance is not None:
            instances[name] = instance
        if not usable:
            refused.add(name)
    groups = build_sync_groups(drafts, known, instances, log, origins)
    for group in groups:
        for member in group.members:
            _begin_as_backup(instances, member, origins)
    track_groups = build_track_groups(drafts, origins)
    members = {group.name: group.members for group in track_groups}
    static = _Static(drafts.root, members, log)
    for name in sorted(static.watched):
        draft = drafts.named[Block.INSTANCE][name]
        message = draft.label + not_built("track_group")
        log.add(Severity.UNSUPPORTED, draft.line, message, word=1, dropped=True, code=Code.REFUSED)
        refused.add(name)
    _refuse_members(drafts, groups, refused, log)
    _tell_unused(drafts, known.scripts, log)
    items = drafts.root.items
    configuration = Configuration(
        _globals(drafts, settings, origins),
        tuple(known.scripts.values()),
        tuple(instances.values()),
        groups,
        tuple(known.files.values()),
        tuple(known.processes.values()),
        tuple(known.bfds.values()),
        track_groups,
        build_garp_groups(drafts, log),
        static.addresses,
        static.routes,
        static.rules,
        tuple(item.value for item in items.get("linkbeat", ())),
        tuple(item.value for item in items.get("interface_delays", ())),
        origins,
    )
    return configuration, frozenset(refused)


def runnable(configuration: Configuration, refused: Collection[str]) -> Configuration:
    """Without the refused instances, and without groups that have no others and scripts that nobody tracks then."""
    instances = tuple(instance for instance in configuration.instances if instance.name not in refused)
    names = {instance.name for instance in instances}
    groups = tuple(left for group in configuration.sync_groups if (left := group.only(names)).members)
    tracked = {track.name for instance in instances for track in instance.track_scripts}
    tracked |= {track.name for group in groups for track in group.track_scripts}
    scripts = tuple(script for script in configuration.scripts if script.name in tracked)
    return replace(configuration, scripts=scripts, instances=instances, sync_groups=groups)


def _settings(draft: Draft) -> dict[str, Any]:
    """The defaults of the instances; what is None was not said."""
    values = fill(_GLOBAL_ROWS, draft.said, {})
    minimal = {"garp.master_repeat": 1, "garp.master_delay_us": 0, "garp.master_refresh_us": 0}
    plain = GarpSettings()
    for target, least in minimal.items():
        if values[target] is None:
            values[target] = least if values["min_garp"] else getattr(plain, target.removeprefix("garp."))
    if values["garp.master_refresh_repeat"] is None:
        values["garp.master_refresh_repeat"] = plain.master_refresh_repeat
    for own, other in (("lower_prio_delay_us", "master_delay_us"), ("lower_prio_repeat", "master_repeat")):
        if values[f"garp.{own}"] is None:
            values[f"garp.{own}"] = values[f"garp.{other}"]
    return values


def _globals(drafts: Drafts, settings: dict[str, Any], origins: Origins) -> GlobalSettings:
    said = drafts.globals.said
    values = {**settings, **fill(_ROOT_ROWS, drafts.root.said, {})}
    for target in _APART:
        values.pop(target, None)
    values["script_user"], values["script_group"] = settings["script_user"] or (None, None)
    emails = drafts.globals.items.get("notification_email", ())
    values["notification_email"] = tuple(word for item in emails for word in item.value)
    options = settings["dynamic_interfaces"]
    values["dynamic_interfaces"] = options is not None
    values["interfaces_may_change"] = bool(options)
    for fifo in ("notify_fifo", "vrrp_notify_fifo"):
        path = settings[f"{fifo}.path"]
        if path is not None:
            values[f"{fifo}.path"], values[f"{fifo}.user"], values[f"{fifo}.group"] = path
    for switch, file in (("reload.check", "reload.check_log"), ("reload.mark", "reload.mark_file")):
        values[switch] = file in said
        values[file] = settings[file] or None
    record = Record(names_of(GlobalSettings))
    for draft in (drafts.globals, drafts.root):
        for target, (_value, line) in draft.said.items():
            record.said.update(dict.fromkeys(_FIELDS_OF.get(target, (target,)), line))
    if emails:
        record.said["notification_email"] = emails[0].line
    origins.add(Block.GLOBAL, "", record)
    return compose(GlobalSettings, values)


def _refuse_members(drafts: Drafts, groups: Iterable[SyncGroup], refused: set[str], log: Log) -> None:
    """What a group cannot do without is that of its members; of a member that is not run the others are told."""
    for group in groups:
        draft = drafts.named[Block.SYNC_GROUP][group.name]
        if draft.refusals:
            for member in group.members:
                line = drafts.named[Block.INSTANCE][member].line
                message = f"({shown(member)}) is a member of vrrp_sync_group {shown(group.name)}, which is not run"
                log.add(Severity.UNSUPPORTED, line, message, word=1, dropped=True, code=Code.REFUSED)
                refused.add(member)
        elif lost := [member for member in group.members if member in refused]:
            names = ", ".join(map(shown, lost))
            message = f"Sync group {shown(group.name)} moves without {names}, not run here"
            log.add(Severity.WARNING, draft.line, message, word=1, code=Code.SYNC_GROUP)


def _begin_as_backup(instances: dict[str, VrrpInstance], name: str, origins: Origins) -> None:
    """A member of a group waits for the others, whatever its state says."""
    instance = instances.get(name)
    if instance is not None and instance.state == "MASTER" and instance.priority != PRIORITY_OWNER:
        instances[name] = replace(instance, state="BACKUP")
        origins.derive(Block.INSTANCE, name, "state", "member of a sync group")


class _Static:
    """
    Static addresses, routes and rules.

    Attributes:
        watched: Instances that would have to go to FAULT with one of them.
    """

    def __init__(self, draft: Draft, groups: dict[str, tuple[str, ...]], log: Log) -> None:
        self._draft = draft
        self._groups = groups
        self._log = log
        self.watched: set[str] = set()
        self.addresses: tuple[AddressLine, ...] = tuple(map(self._checked, draft.items.get("static_addresses", ())))
        self.routes: tuple[Route, ...] = tuple(map(self._checked, draft.items.get("static_routes", ())))
        self.rules: tuple[Rule, ...] = tuple(map(self._checked, draft.items.get("static_rules", ())))

    def _checked(self, item: Item) -> Any:
        """The value; a group that is not defined is left out of it."""
        name = item.value.track_group
        if name is None:
            return item.value
        if name in self._groups:
            self.watched.update(self._groups[name])
            return item.value
        message = f"track_group {shown(name)} not found"
        hint = self._log.nearest(name, self._groups)
        self._log.add(Severity.ERROR, item.line, message, hint=hint, dropped=True, code=Code.NOT_FOUND)
        return replace(item.value, track_group=None)


def _number_rules(drafts: Drafts, log: Log) -> None:
    """Give rules without a preference one, in the order of the file, as keepalived does and warns of."""
    lists = [(drafts.root.items, "static_rules"), *((draft.items, "rules") for draft in _instances(drafts))]
    found = [(items[name], at) for items, name in lists for at in range(len(items.get(name, ())))]
    preference = RULE_PREFERENCE
    for items, at in sorted(found, key=lambda each: each[0][each[1]].line.order):
        item = items[at]
        if item.value.preference is None:
            message = f"Rule has no preference specified - setting to {preference}. This is probably not what you want."
            log.add(Severity.WARNING, item.line, message, hint="preference N", code=Code.BAD_LINE)
            items[at] = Item(replace(item.value, preference=preference), item.line)
            preference -= 1


def _instances(drafts: Drafts) -> Iterable[Draft]:
    return drafts.named[Block.INSTANCE].values()


def _tell_unused(drafts: Drafts, scripts: Collection[str], log: Log) -> None:
    """Who defines a script that nobody names is told."""
    named: set[str] = set()
    for block in (Block.INSTANCE, Block.SYNC_GROUP):
        for draft in drafts.named[block].values():
            named.update(item.value.name for item in draft.items.get("track_scripts", ()))
    for name in scripts:
        if name not in named:
            line = drafts.named[Block.SCRIPT][name].line
            log.add(Severity.NOTE, line, f"Warning - script {shown(name)} is not used", word=1, code=Code.UNUSED)
