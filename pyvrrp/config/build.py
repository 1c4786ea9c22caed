"""Drafts to the model: the global settings, the scripts, and the instances by `instance.py`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from pyvrrp.config.assembly import fill
from pyvrrp.config.complaints import Log, Severity, shown
from pyvrrp.config.instance import build_instance
from pyvrrp.config.keywords import BY_BLOCK
from pyvrrp.config.model import Configuration, GarpSettings, GlobalSettings, VrrpInstance, VrrpScript
from pyvrrp.config.parser import Draft, Drafts
from pyvrrp.config.rows import Block

_GLOBAL_ROWS: Final = tuple(row for row in BY_BLOCK[Block.GLOBAL].values() if row.target)
_ROOT_ROWS: Final = tuple(row for row in BY_BLOCK[Block.ROOT].values() if row.target)
_SCRIPT_ROWS: Final = tuple(row for row in BY_BLOCK[Block.SCRIPT].values() if row.target)
_PLAIN_SETTINGS: Final = (
    "router_id",
    "enable_script_security",
    "notification_email_from",
    "smtp_server",
    "smtp_connect_timeout_us",
    "dynamic_interfaces",
    "rt_priority",
    "max_auto_priority",
    "process_priority",
    "no_swap",
)
_ROOT_SETTINGS: Final = ("instance_name", "net_namespace", "use_pid_dir", "child_wait_time_us")


def build(drafts: Drafts, log: Log) -> tuple[Configuration, frozenset[str]]:
    """
    Put the configuration together.

    Returns:
        All that is defined, and the names of the instances that must not be run; see `runnable`.
    """
    settings = _settings(drafts.globals)
    scripts = _scripts(drafts, log)
    lines = {name: script.line for name, script in drafts.named[Block.SCRIPT].items() if name in scripts}
    instances: list[VrrpInstance] = []
    refused: set[str] = set()
    grouped = _groups(drafts, log)
    for name, draft in drafts.named[Block.INSTANCE].items():
        instance, usable = build_instance(draft, settings, lines, log)
        if instance is not None:
            instances.append(instance)
        if name in grouped:
            log.add(
                Severity.UNSUPPORTED,
                draft.line,
                f"{draft.label}is a member of vrrp_sync_group {shown(grouped[name])}, and sync groups are not supported"
                " yet; it is not run, as it would not move together with the others",
                word=1,
                dropped=True,
            )
        if name in grouped or not usable:
            refused.add(name)
    _tell_unused(drafts, scripts, log)
    configuration = Configuration(_globals(drafts, settings), tuple(scripts.values()), tuple(instances))
    return configuration, frozenset(refused)


def runnable(configuration: Configuration, refused: Collection[str]) -> Configuration:
    """Without the refused instances, and without scripts that nobody tracks then."""
    instances = tuple(instance for instance in configuration.instances if instance.name not in refused)
    tracked = {track.name for instance in instances for track in instance.track_scripts}
    scripts = tuple(script for script in configuration.scripts if script.name in tracked)
    return Configuration(configuration.globals, scripts, instances)


def _settings(draft: Draft) -> dict[str, Any]:
    """The defaults of the instances; what is None was not said."""
    values = fill(_GLOBAL_ROWS, draft, {})
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


def _globals(drafts: Drafts, settings: dict[str, Any]) -> GlobalSettings:
    user, group = settings["script_user"] or (None, None)
    emails = drafts.globals.items.get("notification_email", ())
    root = fill(_ROOT_ROWS, drafts.root, {})
    return GlobalSettings(
        script_user=user,
        script_group=group,
        notification_email=tuple(word for item in emails for word in item.value),
        **{name: settings[name] for name in _PLAIN_SETTINGS},
        **{name: root[name] for name in _ROOT_SETTINGS},
    )


def _scripts(drafts: Drafts, log: Log) -> dict[str, VrrpScript]:
    scripts: dict[str, VrrpScript] = {}
    for name, draft in drafts.named[Block.SCRIPT].items():
        values = fill(_SCRIPT_ROWS, draft, {})
        command, tcp = values["command"], values["tcp"]
        if command is None and tcp is None:
            log.add(
                Severity.ERROR,
                draft.line,
                f"No script set for vrrp_script {shown(name)} - removing",
                hint='script "COMMAND", or tcp_check PORT',
                dropped=True,
            )
            continue
        if command is not None and tcp is not None:
            log.add(
                Severity.ERROR,
                draft.said["tcp"].line,
                f"{draft.label}script is set too - ignoring tcp_check",
                hint="one or the other",
                dropped=True,
            )
            tcp = None
        if command is not None and values["user"] is not None:
            user, group = values["user"]
            command = replace(command, user=user, group=group)
        weight, reverse = values["weight"]
        scripts[name] = VrrpScript(
            name=name,
            command=command,
            tcp=tcp,
            interval_us=values["interval_us"],
            timeout_us=values["timeout_us"],
            weight=weight,
            reverse=reverse,
            rise=values["rise"],
            fall=values["fall"],
            init_fail=values["init_fail"],
            place=draft.line.place(0),
        )
    return scripts


def _groups(drafts: Drafts, log: Log) -> dict[str, str]:
    """Name of the sync group of each member."""
    grouped: dict[str, str] = {}
    instances = drafts.named[Block.INSTANCE]
    for name, draft in drafts.named[Block.SYNC_GROUP].items():
        for item in draft.items.get("members", ()):
            for word, member in enumerate(item.value):
                if member in instances:
                    grouped.setdefault(member, name)
                else:
                    log.add(
                        Severity.ERROR,
                        item.line,
                        f"{draft.label}Virtual router {shown(member)} specified in sync group doesn't exist - ignoring",
                        word=word,
                        hint=log.nearest(member, instances),
                        dropped=True,
                    )
    return grouped


def _tell_unused(drafts: Drafts, scripts: Collection[str], log: Log) -> None:
    """Who defines a script that nobody names is told."""
    named: set[str] = set()
    for block in (Block.INSTANCE, Block.SYNC_GROUP):
        for draft in drafts.named[block].values():
            for item in draft.items.get("track_scripts", ()):
                named.add(item.value[0] if isinstance(item.value, tuple) else item.value.name)
    for name in scripts:
        if name not in named:
            line = drafts.named[Block.SCRIPT][name].line
            log.add(Severity.NOTE, line, f"Warning - script {shown(name)} is not used", word=1)
