"""What a configuration tracks, before anything runs: known at the start, before the trackers' heavy imports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pyvrrp.config.model import Configuration, SyncGroup, Track, VrrpInstance, VrrpScript
from pyvrrp.protocol.constants import PRIORITY_OWNER

SCRIPT = "script"
INTERFACE = "interface"


@dataclass(frozen=True, slots=True)
class Tracked:
    """One line of `track_script` or `track_interface`: this instance watches that tracker with this weight."""

    kind: str
    name: str
    weight: int
    reverse: bool

    @property
    def cause(self) -> str:
        """Its key among the faults of an instance."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a configuration tracks; nothing runs yet.

    Attributes:
        instances: The lines of each instance with those of its sync group, by its name.
        scripts: The scripts that are tracked, by name.
        priorities: Configured priority of each instance.
    """

    instances: Mapping[str, tuple[Tracked, ...]]
    scripts: Mapping[str, VrrpScript]
    priorities: Mapping[str, int]

    @classmethod
    def of(cls, configuration: Configuration) -> Plan:
        """What a configuration tracks; what runs now is not touched, the configuration may yet be refused."""
        scripts = {script.name: script for script in configuration.scripts}
        groups = {member: group for group in configuration.sync_groups for member in group.members}
        return cls(
            {
                instance.name: tuple(_watched(instance, groups.get(instance.name), scripts))
                for instance in configuration.instances
            },
            scripts,
            {instance.name: instance.priority for instance in configuration.instances},
        )

    def awaited(self, instance: str) -> frozenset[str]:
        """
        Causes whose verdict the start of an instance waits for: all that can force FAULT before it is MASTER.

        Also those whose verdict is known: it is told at once, and settings that differ only in what happens to be
        known would disturb an instance at a reload.

        Source:
            keepalived 3.2.6 for scripts; interfaces are known after a moment.
        """
        return frozenset(
            one.cause for one in self.instances.get(instance, ()) if one.weight == 0 and not self._later(one)
        )

    def _later(self, one: Tracked) -> bool:
        return one.kind == SCRIPT and self.scripts[one.name].only_as_master

    def only(self, names: Iterable[str]) -> Plan:
        """The same without the instances that are not run."""
        return replace(self, instances={name: self.instances[name] for name in names})


NOTHING = Plan({}, {}, {})


def _watched(instance: VrrpInstance, group: SyncGroup | None, scripts: Mapping[str, VrrpScript]) -> Iterable[Tracked]:
    """
    What an instance watches, each thing once.

    The trackers of its sync group are its own. What it names itself has no weight in a group that does not allow it:
    priorities of their own would tear the members apart.

    Source:
        keepalived 2.2.7: a script with a weight is not tracked then. Its dump shows an interface's weight as 0, but the
        interface never forces FAULT (as run: the priority changes with it all the same).
    """
    watched: dict[str, Tracked] = {}
    free = group is None or group.tracking_weight or group.may_part or instance.priority == PRIORITY_OWNER
    for one in _tracked(instance, scripts):
        if free or one.weight == 0:
            watched.setdefault(one.cause, one)
    for one in () if group is None else _tracked(group, scripts):
        watched.setdefault(one.cause, one)
    return watched.values()


def _tracked(tracking: VrrpInstance | SyncGroup, scripts: Mapping[str, VrrpScript]) -> Iterable[Tracked]:
    for track in tracking.track_scripts:
        if (script := scripts.get(track.name)) is not None:
            yield _one(SCRIPT, track, script.weight, script.reverse)
    for track in tracking.track_interfaces:
        yield _one(INTERFACE, track, 0, reverse=False)


def _one(kind: str, track: Track, weight: int, reverse: bool) -> Tracked:
    return Tracked(
        kind,
        track.name,
        weight if track.weight is None else track.weight,
        reverse if track.reverse is None else track.reverse,
    )
