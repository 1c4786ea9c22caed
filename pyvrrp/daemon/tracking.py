"""Trackers and what their verdicts do to the instances that name them: another priority, or FAULT."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pyvrrp.config.model import VrrpScript
from pyvrrp.daemon.duty import Duty
from pyvrrp.daemon.plan import INTERFACE, NOTHING, SCRIPT, Plan
from pyvrrp.engine.commands import ClearFault, Command, RaiseFault, SetPriority
from pyvrrp.net.system import System
from pyvrrp.protocol.constants import IPAddress
from pyvrrp.protocol.priority import Contribution, effective_priority
from pyvrrp.protocol.states import State
from pyvrrp.trackers.base import Report, Tracker, TrackerReport, TrackerResult
from pyvrrp.trackers.children import ScriptPolicy
from pyvrrp.trackers.interface import InterfaceTracker
from pyvrrp.trackers.script import ScriptTracker
from pyvrrp.trackers.tcp import TcpTracker


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
        self._plan = NOTHING
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._interfaces: tuple[str, ...] = ()
        self._results: dict[tuple[str, str], TrackerResult] = {}
        self._watchers: dict[tuple[str, str], list[str]] = {}
        self._duties: dict[str, Duty] = {}
        self._masters: set[str] = set()

    def start(self, plan: Plan, policy: ScriptPolicy) -> None:
        """
        Run what *plan* tracks instead of what ran before, and tell the engine what is known already.

        Scripts keep their result if they ask the same as before, and run on if nothing else about them has changed.
        """
        before, self._plan = self._plan, plan
        self._watchers = {}
        for instance, tracked in plan.instances.items():
            for one in tracked:
                self._watchers.setdefault((one.kind, one.name), []).append(instance)
        self._masters.intersection_update(plan.instances)
        for kind, name in list(self._tasks):
            if kind == SCRIPT and (
                (kind, name) not in self._watchers
                or policy != self._policy
                or before.scripts[name] != plan.scripts[name]
            ):
                self._tasks.pop((kind, name)).cancel()
                if (kind, name) not in self._watchers or not _same_check(before.scripts[name], plan.scripts[name]):
                    self._results.pop((kind, name), None)  # else it counts until there is another, as in keepalived
                self._duties.pop(name, None)
        self._policy = policy
        for kind, name in self._watchers:
            if kind == SCRIPT and (kind, name) not in self._tasks:
                self._run(SCRIPT, name, lambda name=name: self._tracker(name))  # type: ignore[misc]  # lambda default
        for name in self._duties:
            self._serve(name)
        interfaces = tuple(name for kind, name in self._watchers if kind == INTERFACE)
        if interfaces != self._interfaces:
            self._interfaces = interfaces
            if task := self._tasks.pop((INTERFACE, ""), None):
                task.cancel()
            for name in [name for kind, name in self._results if kind == INTERFACE and name not in interfaces]:
                del self._results[INTERFACE, name]
            if interfaces:
                self._run(INTERFACE, "", lambda: InterfaceTracker(interfaces, self._system, self._take(INTERFACE)))
        self.tell_all()

    def tell_all(self) -> None:
        """Tell the engine all that is known."""
        for name in self._plan.instances:
            self._tell(name, None)

    def entered(self, instance: str, state: State) -> None:
        """Start or end what is checked only as MASTER."""
        if (state is State.MASTER) == (instance in self._masters):
            return
        self._masters.symmetric_difference_update({instance})
        for one in self._plan.instances.get(instance, ()):
            if one.kind == SCRIPT and one.name in self._duties:
                self._serve(one.name)

    def restarted(self) -> None:
        """Tell a new engine all that is known; none of its instances is MASTER yet."""
        self._masters.clear()
        for name in self._duties:
            self._serve(name)
        self.tell_all()

    def checks(self, instance: str) -> tuple[Check, ...]:
        """What an instance watches, and how that is."""
        checks = []
        for one in self._plan.instances.get(instance, ()):
            result = self._results.get((one.kind, one.name))
            up, reason = (None, "no result yet") if result is None else (result.up, result.reason)
            if one.kind == SCRIPT and (duty := self._duties.get(one.name)) is not None and duty.note:
                reason = duty.note if up is None else f"{reason}; {duty.note}"
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
        script = self._plan.scripts[name]
        if not script.only_as_master:
            known = self._results.get((SCRIPT, name))
            return self._check(name, self._take(SCRIPT), up=None if known is None else known.up)
        if (duty := self._duties.get(name)) is None:
            quiet = self._take(SCRIPT, told=False)
            duty = self._duties[name] = Duty(
                script, lambda report: self._check(name, report), self._take(SCRIPT), quiet
            )
        self._serve(name)
        return duty

    def _check(self, name: str, report: Report, up: bool | None = None) -> Tracker:
        script = self._plan.scripts[name]
        if script.tcp is None:
            return ScriptTracker(script, report, self._policy, up=up)
        return TcpTracker(script, report, lambda: self._address_for(name), up=up)

    def _serve(self, name: str) -> None:
        watchers = self._watchers.get((SCRIPT, name), ())
        self._duties[name].serve(on_duty=any(instance in self._masters for instance in watchers))

    def _address_for(self, script: str) -> IPAddress | None:
        """Own address of the first instance that watches a script."""
        watchers = self._watchers.get((SCRIPT, script))
        return self._source_of(watchers[0]) if watchers else None

    def _run(self, kind: str, name: str, make: Callable[[], Tracker]) -> None:
        async def run() -> None:
            while True:
                try:
                    await make().run()
                except Exception as error:  # noqa: BLE001  a tracker's fault must not end the daemon; it is reported
                    self._crashed(name or kind, error)
                await asyncio.sleep(1)

        self._tasks[kind, name] = asyncio.get_running_loop().create_task(run(), name=f"{kind} {name}")

    def _take(self, kind: str, *, told: bool = True) -> Callable[[TrackerReport], None]:
        def take(report: TrackerReport) -> None:
            if isinstance(report, TrackerResult):
                self._results[kind, report.name] = report
                for name in self._watchers.get((kind, report.name), ()):
                    self._tell(name, (kind, report.name))
            if told:
                self._report(kind, report)

        return take

    def _tell(self, name: str, only: tuple[str, str] | None) -> None:
        """Tell the engine what an instance's trackers say: all of them, or *only* what changed."""
        contributions = []
        for one in self._plan.instances[name]:
            result = self._results.get((one.kind, one.name))
            up = None if result is None else result.up
            contribution = Contribution(one.name, one.weight, one.reverse, up)
            contributions.append(contribution)
            if result is None or one.weight or only not in {None, (one.kind, one.name)}:
                continue
            if contribution.fault:
                detail = result.reason if one.kind == INTERFACE else f"script {one.name}: {result.reason}"
                self._command(RaiseFault(name, one.cause, detail))
            else:
                self._command(ClearFault(name, one.cause))
        self._command(SetPriority(name, effective_priority(self._plan.priorities[name], contributions)))


def _same_check(one: VrrpScript, other: VrrpScript) -> bool:
    """Whether they ask the same thing, however often and with whatever weight."""
    return (one.command, one.tcp, one.only_as_master) == (other.command, other.tcp, other.only_as_master)
