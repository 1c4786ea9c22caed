"""What is known at one moment, put together for the texts: the configuration, the engine's answer, links, verdicts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pyvrrp.config.model import Command, Configuration, SyncGroup, Track, VrrpInstance
from pyvrrp.daemon.dumps.statistics import Statistics
from pyvrrp.daemon.plan import INTERFACE, SCRIPT
from pyvrrp.daemon.tracking import Check
from pyvrrp.engine.reports import InstanceStatus
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.errors import ConfigError
from pyvrrp.net.system import AssignedAddress, Link
from pyvrrp.protocol.states import State
from pyvrrp.trackers.children import ScriptPolicy

WORDS: Final[Mapping[State, str]] = {
    State.INITIALIZE: "INIT",
    State.BACKUP: "BACKUP",
    State.MASTER: "MASTER",
    State.FAULT: "FAULT",
}
"""keepalived's words for states."""

NUMBERS: Final[Mapping[State, int]] = {State.INITIALIZE: 0, State.BACKUP: 1, State.MASTER: 2, State.FAULT: 3}
"""keepalived's numbers for states."""

_WORST_FIRST: Final = (State.FAULT, State.INITIALIZE, State.BACKUP, State.MASTER)


@dataclass(frozen=True, slots=True)
class Router:
    """
    One instance.

    Attributes:
        instance: Its block.
        settings: What the engine was told.
        status: What the engine answered.
        checks: What it watches, and how that is.
        statistics: Its counters since they were last cleared.
        since_us: Time of day of its last transition, microseconds since 1970.
        wakes_us: Time of day of its next deadline, None without one.
        group: Its sync group.
        smtp: Mail was asked for.
    """

    instance: VrrpInstance
    settings: InstanceSettings
    status: InstanceStatus
    checks: tuple[Check, ...]
    statistics: Statistics
    since_us: int
    wakes_us: int | None
    group: str | None
    smtp: bool

    @property
    def state(self) -> State:
        """Its state as keepalived has it: before the first results of its checks it is in FAULT."""
        return State.FAULT if self.status.held else self.status.state

    @property
    def wanted(self) -> State:
        """The state it would be in if it were not for those."""
        return State.BACKUP if self.status.held else self.status.state

    @property
    def scripts(self) -> tuple[Check, ...]:
        """The check scripts that its block names."""
        return self._named(SCRIPT, self.instance.track_scripts)

    @property
    def interfaces(self) -> tuple[Check, ...]:
        """The interfaces that its block names, besides its own."""
        return self._named(INTERFACE, self.instance.track_interfaces)

    def _named(self, kind: str, tracks: Iterable[Track]) -> tuple[Check, ...]:
        """Without what is watched for its sync group."""
        names = {track.name for track in tracks}
        return tuple(check for check in self.checks if check.kind == kind and check.name in names)


@dataclass(frozen=True, slots=True)
class Picture:
    """
    All of it.

    Attributes:
        configuration: What runs.
        routers: The instances that run, in the order of the file.
        links: The interfaces.
        addresses: Their addresses.
        identity: Whom a program runs as, as `uid:gid`.
        umask: For files that are written.
    """

    configuration: Configuration
    routers: tuple[Router, ...]
    links: tuple[Link, ...]
    addresses: tuple[AssignedAddress, ...]
    identity: Callable[[Command], str]
    umask: int

    def members(self, group: SyncGroup) -> tuple[Router, ...]:
        """The members of a group that run."""
        return tuple(one for one in self.routers if one.instance.name in group.members)

    def watchers(self, script: str) -> list[tuple[Router, Check]]:
        """Who watches a script."""
        checks = [(one, check) for one in self.routers for check in one.checks]
        return [(one, check) for one, check in checks if (check.kind, check.name) == (SCRIPT, script)]


def state_of(group: Iterable[Router]) -> State:
    """The state of a sync group: that of its members, the worst where they differ for a moment."""
    states = {one.state for one in group}
    return next((state for state in _WORST_FIRST if state in states), State.INITIALIZE)


def identities(policy: ScriptPolicy) -> Callable[[Command], str]:
    """Whom programs run as under a policy; of a user that does not exist the name is shown."""

    def identity(command: Command) -> str:
        try:
            found = policy.identity_of(command)
        except ConfigError:
            return f"{command.user}:{command.group or command.user}"
        return f"{os.geteuid()}:{os.getegid()}" if found is None else f"{found.uid}:{found.gid}"

    return identity
