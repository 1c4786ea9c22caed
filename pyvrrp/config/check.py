"""Checks across blocks, on the finished model: nothing here reads, and all complaints have their place."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Severity, shown
from pyvrrp.config.model import AddressLine, Configuration, Place, VrrpInstance
from pyvrrp.config.values import NO_NOTIFY
from pyvrrp.protocol.constants import Family, IPAddress

_UNKNOWN_PLACE: Final = Place("<configuration>", 1, 1)


def check(configuration: Configuration, refused: Collection[str], log: Log) -> frozenset[str]:
    """
    Check what does not depend on the host.

    Args:
        configuration: All that is defined.
        refused: Names of the instances that are not run, among them those that are not even in the configuration.
        log: Takes the complaints.

    Returns:
        The names in *refused*, and of those who cannot be run beside the others.
    """
    if not (configuration.instances or refused):
        log.add(Severity.NOTE, Place(log.file, 1, 1), "there is no virtual router here", code=Code.NO_ROUTER)
        return frozenset()
    alike = _check_duplicates(configuration, log)
    _check_security(configuration, log)
    return alike.union(refused)


def check_interfaces(configuration: Configuration, interfaces: Collection[str], log: Log) -> None:
    """
    Check that every interface that is named exists.

    Args:
        configuration: What to check.
        interfaces: Names of those that do.
        log: Takes the complaints: fatal ones, or notes if interfaces may come later.
    """
    dynamic = configuration.globals.dynamic_interfaces
    known = frozenset(interfaces)
    for instance in configuration.instances:
        for name, place, what in _named_interfaces(instance):
            if name in known:
                continue
            message = f"({shown(instance.name)}) {what} {shown(name)} doesn't exist"
            if dynamic:
                log.add(Severity.NOTE, place, f"{message} - will use if created", code=Code.INTERFACE_MISSING)
            else:
                hint = log.nearest(name, known) or "dynamic_interfaces allows it to come later"
                log.add(Severity.FATAL, place, message, hint=hint, dropped=True, code=Code.INTERFACE_MISSING)


def _named_interfaces(instance: VrrpInstance) -> Iterator[tuple[str, Place, str]]:
    if instance.interface is not None:
        yield instance.interface, instance.interface_place or instance.place or _UNKNOWN_PLACE, "interface"
    lines: tuple[AddressLine, ...] = (*instance.virtual_addresses, *instance.excluded_addresses)
    for line in lines:
        if line.dev is not None and line.dev != instance.interface:
            yield line.dev, line.place or _UNKNOWN_PLACE, f"interface of {line.address}"
    for track in instance.track_interfaces:
        yield track.name, track.place or _UNKNOWN_PLACE, "tracked interface"
    for route in instance.routes:
        for hop in route.hops:
            if hop.dev is not None and hop.dev != instance.interface:
                yield hop.dev, route.place or _UNKNOWN_PLACE, f"interface of route {route.destination}"
    for rule in instance.rules:
        for name in (rule.iif, rule.oif):
            if name is not None:
                yield name, rule.place or _UNKNOWN_PLACE, "interface of rule"


def _identity(instance: VrrpInstance) -> tuple[str | None, int, Family, bool, IPAddress | None]:
    """What no two instances may share: whoever receives could not tell them apart."""
    destination = instance.source if instance.unicast else instance.group
    return instance.interface, instance.vrid, instance.family, instance.unicast, destination


def _check_duplicates(configuration: Configuration, log: Log) -> frozenset[str]:
    """
    Complain of instances that share a VRID; nothing is run then.

    Returns:
        Those that keepalived tells apart by their peers, and we do not yet: the first of them is run.
    """
    seen: dict[tuple[str | None, int, Family, bool, IPAddress | None], list[VrrpInstance]] = {}
    alike = set()
    for instance in configuration.instances:
        others = seen.setdefault(_identity(instance), [])
        peers = set(instance.unicast_peers)
        same = next((one for one in others if not peers or peers & {*one.unicast_peers}), None)
        first = same or next(iter(others), None)
        others.append(instance)
        if first is None:
            continue
        message = (
            f"{shown(first.name)} and {shown(instance.name)} both use VRID {instance.vrid} with"
            f" IPv{instance.family:d} on interface {shown(str(instance.interface))}"
        )
        if same is None:
            alike.add(instance.name)
            message += f"; not supported yet with other peers, so {shown(instance.name)} is not run"
        log.add(
            Severity.UNSUPPORTED if same is None else Severity.FATAL,
            instance.place or _UNKNOWN_PLACE,
            message,
            hint=_seen_from(first.place, instance.place),
            dropped=True,
            code=Code.DUPLICATE_VRID,
        )
    return frozenset(alike)


def _seen_from(first: Place | None, other: Place | None) -> str:
    if first is None:
        return ""
    elsewhere = f" of {first.file}" if other is not None and other.file != first.file else ""
    return f"the first is in line {first.line}{elsewhere}"


def _check_security(configuration: Configuration, log: Log) -> None:
    """Said once, as keepalived does: scripts run, and nobody looks at who may change them."""
    if configuration.globals.enable_script_security:
        return
    places = [script.place for script in configuration.scripts if script.command is not None]
    for instance in configuration.instances:
        notify = instance.notify
        if notify != NO_NOTIFY:
            places.append(instance.place)
    settings = configuration.globals
    commands = (
        ("notify_fifo.script", settings.notify_fifo.script),
        ("vrrp_notify_fifo.script", settings.vrrp_notify_fifo.script),
        ("startup_script", settings.startup_script),
        ("shutdown_script", settings.shutdown_script),
    )
    for name, command in commands:
        if command is not None:
            places.append(configuration.origins.origin("global_defs", "", name).place)
    places += [group.place for group in configuration.sync_groups if group.notify != NO_NOTIFY]
    if places:
        log.add(
            Severity.SECURITY,
            places[0] or _UNKNOWN_PLACE,
            "SECURITY VIOLATION - scripts are being executed but script_security not enabled.",
            hint="enable_script_security in global_defs",
            code=Code.SCRIPT_SECURITY,
        )
