"""Trackers and what their verdicts do to the instances that name them: another priority, or FAULT."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pyvrrp.config.model import Configuration, Track, VrrpInstance, VrrpScript
from pyvrrp.engine.streams import ClearFault, Command, RaiseFault, SetPriority
from pyvrrp.net.system import System
from pyvrrp.protocol.constants import IPAddress
from pyvrrp.protocol.priority import Contribution, effective_priority
from pyvrrp.trackers.base import Tracker, TrackerReport, TrackerResult
from pyvrrp.trackers.children import ScriptPolicy
from pyvrrp.trackers.interface import InterfaceTracker
from pyvrrp.trackers.script import ScriptTracker
from pyvrrp.trackers.tcp import TcpTracker

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
class Check:
    """What `status` says of a tracked thing."""

    kind: str
    name: str
    weight: int
    reverse: bool
    up: bool | None
    reason: str


class Tracking:
    """
    Runs the trackers of a configuration.

    Args:
        system: For interfaces.
        command: Takes commands for the engine.
        report: Told of every verdict and notice, after the engine.
        source_of: Own address of an instance, for port checks that name none.
        crashed: Told of a tracker that ended by an error; it is started anew.
    """

    def __init__(
        self,
        system: System,
        command: Callable[[Command], None],
        report: Callable[[str, TrackerReport], None],
        source_of: Callable[[str], IPAddress | None],
        crashed: Callable[[str, BaseException], None],
    ) -> None:
        self._system = system
        self._command = command
        self._report = report
        self._source_of = source_of
        self._crashed = crashed
        self._policy = ScriptPolicy()
        self._instances: dict[str, tuple[VrrpInstance, tuple[Tracked, ...]]] = {}
        self._scripts: dict[str, VrrpScript] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._interfaces: tuple[str, ...] = ()
        self._results: dict[tuple[str, str], TrackerResult] = {}

    def prepare(self, configuration: Configuration, policy: ScriptPolicy) -> Mapping[str, frozenset[str]]:
        """
        Take a configuration, before the engine does.

        Returns:
            For each instance the causes whose first verdict its start has to wait for (keepalived 3.2.6).
        """
        scripts = {script.name: script for script in configuration.scripts}
        if policy != self._policy:
            self._forget(self._scripts)
        else:
            self._forget(name for name, script in self._scripts.items() if scripts.get(name) != script)
        self._policy, self._scripts = policy, scripts
        self._instances = {
            instance.name: (instance, tuple(_tracked(instance, scripts))) for instance in configuration.instances
        }
        return {
            name: frozenset(
                one.cause
                for one in tracked
                if one.kind == SCRIPT and one.weight == 0 and (one.kind, one.name) not in self._results
            )
            for name, (_, tracked) in self._instances.items()
        }

    def start(self) -> None:
        """Run what the configuration tracks, and tell the engine what is known already."""
        wanted = {one.name for _, tracked in self._instances.values() for one in tracked if one.kind == SCRIPT}
        self._forget(name for name in self._scripts if name not in wanted)
        for name in wanted:
            if (SCRIPT, name) not in self._tasks:
                self._run(SCRIPT, name, lambda name=name: self._tracker(name))  # type: ignore[misc]  # lambda default
        interfaces = tuple(
            dict.fromkeys(
                one.name for _, tracked in self._instances.values() for one in tracked if one.kind == INTERFACE
            )
        )
        if interfaces != self._interfaces:
            self._interfaces = interfaces
            if task := self._tasks.pop((INTERFACE, ""), None):
                task.cancel()
            if interfaces:
                self._run(INTERFACE, "", lambda: InterfaceTracker(interfaces, self._system, self._take(INTERFACE)))
        for name in self._instances:
            self._tell(name, None)

    def checks(self, instance: str) -> tuple[Check, ...]:
        """What an instance watches, and how that is."""
        _, tracked = self._instances.get(instance, (None, ()))
        checks = []
        for one in tracked:
            result = self._results.get((one.kind, one.name))
            up, reason = (None, "no result yet") if result is None else (result.up, result.reason)
            checks.append(Check(one.kind, one.name, one.weight, one.reverse, up, reason))
        return tuple(checks)

    async def stop(self) -> None:
        """End all trackers and what they run."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tracker(self, name: str) -> Tracker:
        script = self._scripts[name]
        if script.tcp is None:
            return ScriptTracker(script, self._take(SCRIPT), self._policy)
        return TcpTracker(script, self._take(SCRIPT), lambda: self._address_for(name))

    def _address_for(self, script: str) -> IPAddress | None:
        """Own address of the first instance that watches a script."""
        for name, (_, tracked) in self._instances.items():
            if any(one.kind == SCRIPT and one.name == script for one in tracked):
                return self._source_of(name)
        return None

    def _run(self, kind: str, name: str, make: Callable[[], Tracker]) -> None:
        async def run() -> None:
            while True:
                try:
                    await make().run()
                except Exception as error:  # noqa: BLE001  a tracker's fault must not end the daemon; it is reported
                    self._crashed(name or kind, error)
                await asyncio.sleep(1)

        self._tasks[kind, name] = asyncio.get_running_loop().create_task(run(), name=f"{kind} {name}")

    def _forget(self, names: Iterable[str]) -> None:
        for name in list(names):
            self._results.pop((SCRIPT, name), None)
            if task := self._tasks.pop((SCRIPT, name), None):
                task.cancel()

    def _take(self, kind: str) -> Callable[[TrackerReport], None]:
        def take(report: TrackerReport) -> None:
            if isinstance(report, TrackerResult):
                self._results[kind, report.name] = report
                for name, (_, tracked) in self._instances.items():
                    if any((one.kind, one.name) == (kind, report.name) for one in tracked):
                        self._tell(name, (kind, report.name))
            self._report(kind, report)

        return take

    def _tell(self, name: str, only: tuple[str, str] | None) -> None:
        """Tell the engine what an instance's trackers say: all of them, or *only* what changed."""
        instance, tracked = self._instances[name]
        contributions = []
        for one in tracked:
            result = self._results.get((one.kind, one.name))
            up = None if result is None else result.up
            contribution = Contribution(one.name, one.weight, one.reverse, up)
            contributions.append(contribution)
            if result is None or up is None or one.weight or only not in {None, (one.kind, one.name)}:
                continue
            if contribution.fault:
                what = one.name if one.kind == INTERFACE else f"script {one.name}"
                self._command(RaiseFault(name, one.cause, f"{what}: {result.reason}"))
            else:
                self._command(ClearFault(name, one.cause))
        self._command(SetPriority(name, effective_priority(instance.priority, contributions)))


def _tracked(instance: VrrpInstance, scripts: Mapping[str, VrrpScript]) -> Iterable[Tracked]:
    for track in instance.track_scripts:
        if (script := scripts.get(track.name)) is not None:
            yield _one(SCRIPT, track, script.weight, script.reverse)
    for track in instance.track_interfaces:
        yield _one(INTERFACE, track, 0, reverse=False)


def _one(kind: str, track: Track, weight: int, reverse: bool) -> Tracked:
    return Tracked(
        kind,
        track.name,
        weight if track.weight is None else track.weight,
        reverse if track.reverse is None else track.reverse,
    )
