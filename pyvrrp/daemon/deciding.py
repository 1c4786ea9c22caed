"""
What can be run of a configuration, and what has to be so before the engine may speak.

Used twice: at the start, before the daemon's heavy imports, so that the first advertisement does not wait for them; and
at each reload. The order at the start is: claim the runtime directory, remove what a dead predecessor left, write the
state file, then let the engine speak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyvrrp.config.model import Configuration, SyncGroup, VrrpInstance
from pyvrrp.daemon.lines import Line
from pyvrrp.daemon.plan import Plan
from pyvrrp.daemon.runtime import LiveDaemon, RuntimeDirectory, clashes, leftovers
from pyvrrp.daemon.translate import claims, engine_settings, group_settings, installed
from pyvrrp.engine.commands import Configure, Hardening
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.errors import ConfigError, KernelError, UsageError
from pyvrrp.net.system import ADDRESS_PROTOCOL, AssignedAddress, IPInterface
from pyvrrp.protocol.constants import PRIORITY_OWNER

if TYPE_CHECKING:
    from pyvrrp.config.model import Command
    from pyvrrp.net.system import System
    from pyvrrp.trackers.children import ScriptPolicy


@dataclass(frozen=True, slots=True)
class Decided:
    """
    A configuration that can be run; nothing of it is in force yet.

    Attributes:
        configuration: Without scripts that cannot be run.
        policy: How its scripts are run, None where there are none: then nobody has looked for users.
        plan: What is tracked.
        settings: What the engine is told of the instances that are run.
        groups: The sync groups, with the members that are run.
        warnings: What is not as the configuration says; nothing at a reload, which is refused for it.
    """

    configuration: Configuration
    policy: ScriptPolicy | None
    plan: Plan
    settings: tuple[InstanceSettings, ...]
    groups: tuple[SyncGroup, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def command(self) -> Configure:
        """What the engine is told."""
        instances = {instance.name: instance for instance in self.configuration.instances}
        return Configure(self.settings, tuple(group_settings(group, instances) for group in self.groups))

    @property
    def hardening(self) -> Hardening:
        """How the engine's process is to be scheduled."""
        said = self.configuration.globals
        return Hardening(
            rt_priority=said.rt_priority,
            max_auto_priority=max(0, said.max_auto_priority),
            nice=said.process_priority,
            no_swap=said.no_swap,
            cpus=said.cpu_affinity,
        )


class Decider:
    """
    Decides, and keeps the runtime directory and the kernel in step with what was decided.

    Args:
        system: The kernel, or a simulated one.
        runtime: The daemon's own directory, None for none.
        say: Takes lines for the log; at the start they are kept until there is one.

    Attributes:
        say: As above; somebody else may take them later.
    """

    def __init__(self, system: System, runtime: RuntimeDirectory | None, say: Callable[[Line], None]) -> None:
        self._system = system
        self._runtime = runtime
        self.say = say
        self._claimed: tuple[InstanceSettings, ...] = ()
        self._made: dict[str, tuple[VrrpInstance, InstanceSettings]] = {}

    def decide(self, configuration: Configuration, *, at_start: bool) -> Decided:
        """
        Decide what can be run: interfaces are there, and nobody else runs the same virtual router here.

        Args:
            configuration: What is wanted.
            at_start: Leave out what cannot be run and say so; else it is an error.

        Raises:
            ConfigError: Nothing can be run, or at a reload not everything.
        """
        warnings: list[str] = []
        policy = None
        if _runs_programs(configuration):
            from pyvrrp.trackers.children import ScriptPolicy  # noqa: PLC0415  asyncio comes with it, 25 ms

            policy = ScriptPolicy.of(configuration.globals)
            configuration = self._without_broken_scripts(configuration, policy, warnings, at_start=at_start)
        plan = Plan.of(configuration)
        names = {instance.name for instance in configuration.instances}
        self._made = {name: made for name, made in self._made.items() if name in names}
        grouped = {member for group in configuration.sync_groups for member in group.members}
        refused: dict[str, str] = {}
        settings: list[InstanceSettings] = []
        for instance in configuration.instances:
            try:
                one = self._settings_of(instance, plan, grouped=instance.name in grouped)
            except ConfigError as error:
                refused[instance.name] = str(error)
            except UsageError as error:
                refused[instance.name] = f"({instance.name}) cannot be run: {error}"
            else:
                settings.append(one)
        others = self._others()
        for router, other in clashes(claims(settings).routers, others) if others else ():
            refused[router.instance] = (
                f"({router.instance}) virtual router {router.vrid} on {router.interface} is already run by pid "
                f"{other.pid} (daemon {other.name})"
            )
        kept = tuple(one for one in settings if one.name not in refused)
        if configuration.instances and not kept:
            refused[""] = "no instance is left to run"
        if refused and not (at_start and kept):
            raise ConfigError("\n".join(refused.values()))
        for text in refused.values():
            self.say(Line("error", text))
            warnings.append(text)
        if policy is not None:
            self._check_notify_scripts(configuration, policy)
        running = [one.name for one in kept]
        groups = tuple(left for group in configuration.sync_groups if (left := group.only(running)).members)
        return Decided(configuration, policy, plan.only(running), kept, groups, tuple(warnings))

    def _settings_of(self, instance: VrrpInstance, plan: Plan, *, grouped: bool) -> InstanceSettings:
        """What the engine is told; for an instance that is as before the very same object, which is soon compared."""
        interface, awaited = self._interface_of(instance), plan.awaited(instance.name)
        if (made := self._made.get(instance.name)) is not None:
            before, settings = made
            as_before = (settings.interface, settings.awaited, settings.router.grouped)
            if before == instance and as_before == (interface, awaited, grouped):
                return settings
        settings = engine_settings(instance, interface, awaited, grouped=grouped)
        settings.check()
        self._made[instance.name] = instance, settings
        return settings

    def remove_leftovers(self, settings: Iterable[InstanceSettings]) -> None:
        """What a killed predecessor left must be gone before the first advertisement."""
        if self._runtime is None:
            return
        for warning in self._runtime.warnings:
            self.say(Line("warning", warning))
        present = self._present()
        # An owner's, too, if they bear our mark: priority 255 may come of mere arithmetic, as in the ipfailover pod.
        configured = [address for one in settings for address in installed(one)]
        native = _native(settings, present)
        stray = [
            address
            for address in leftovers(present, self._runtime.predecessor, configured, self._others())
            if (address.interface, address.address) not in native
        ]
        if not stray:
            return
        for address, error in zip(stray, self._system.remove(stray), strict=True):
            if error is None:
                self.say(Line("info", f"removed leftover {address.address} from {address.interface}"))
            else:
                self.say(Line("error", str(error)))

    def claim(self, settings: Iterable[InstanceSettings]) -> None:
        """Claim the addresses of these instances, too, before the engine may install them."""
        claimed = {id(one) for one in self._claimed}
        new = [one for one in settings if id(one) not in claimed]
        if new:
            self.save([*self._claimed, *new])

    def save(self, settings: Iterable[InstanceSettings]) -> None:
        """Claim the addresses of these instances in the state file, and no others."""
        settings = tuple(settings)
        self._claimed = settings
        if self._runtime is None:
            return
        try:
            self._runtime.save(claims(settings))
        except KernelError as error:
            self.say(Line("error", f"{error}; a successor could not tell our addresses from others'"))

    def clean_up(self, settings: Iterable[InstanceSettings]) -> None:
        """Take away the addresses of an engine that cannot do it any more."""
        settings = tuple(settings)
        try:
            native = _native(settings, self._present())
            addresses = [address for one in settings for address in installed(one)]
            failures = self._system.remove([one for one in addresses if (one.interface, one.address) not in native])
        except Exception as error:  # noqa: BLE001  what broke the engine may break this too
            self.say(Line("error", f"cannot remove addresses: {error!r}"))
            return
        for failure in failures:
            if failure is not None:
                self.say(Line("error", str(failure)))

    def _others(self) -> tuple[LiveDaemon, ...]:
        return self._runtime.others() if self._runtime is not None else ()

    def _present(self) -> list[tuple[str, AssignedAddress]]:
        names = {link.index: link.name for link in self._system.links()}
        return [(names.get(assigned.index, ""), assigned) for assigned in self._system.addresses()]

    def _without_broken_scripts(
        self, configuration: Configuration, policy: ScriptPolicy, warnings: list[str], *, at_start: bool
    ) -> Configuration:
        """Drop check scripts that cannot be run, as keepalived does at the start; a reload is refused for one."""
        from pyvrrp.trackers.children import command_trouble  # noqa: PLC0415  see `decide`

        troubles = {
            script.name: f"Disabling track script {script.name}: {trouble}"
            for script in configuration.scripts
            if script.command is not None and (trouble := command_trouble(script.command, policy))
        }
        if troubles and not at_start:
            raise ConfigError("\n".join(troubles.values()))
        for text in troubles.values():
            self.say(Line("error", text))
            warnings.append(text)
        return replace(configuration, scripts=tuple(s for s in configuration.scripts if s.name not in troubles))

    def _check_notify_scripts(self, configuration: Configuration, policy: ScriptPolicy) -> None:
        from pyvrrp.trackers.children import command_trouble  # noqa: PLC0415  see `decide`

        who: Iterable[tuple[str, str, VrrpInstance | SyncGroup]] = (
            *((f"({one.name})", "instance", one) for one in configuration.instances),
            *((f"VRRP_Group({one.name})", "group", one) for one in configuration.sync_groups),
        )
        for label, kind, one in who:
            for command in _notify_commands(one):
                if trouble := command_trouble(command, policy):
                    self.say(Line("error", f"{label} notify script: {trouble}", {kind: one.name}))

    def _interface_of(self, instance: VrrpInstance) -> str:
        """The interface of an instance; in unicast mode it may be known by its source address alone."""
        if instance.interface is not None:
            return instance.interface
        for name, assigned in self._present():
            if name and assigned.address.ip == instance.source:
                return name
        raise ConfigError(
            f"({instance.name}) no interface has the source address {instance.source}",
            hint="name the interface in the block",
        )


def _native(
    settings: Iterable[InstanceSettings], present: Iterable[tuple[str, AssignedAddress]]
) -> set[tuple[str, IPInterface]]:
    """Addresses of owners that are there without our mark: the host's own, which are not ours to remove."""
    unmarked = {(name, assigned.address) for name, assigned in present if assigned.protocol != ADDRESS_PROTOCOL}
    owners = [one for one in settings if one.router.priority == PRIORITY_OWNER]
    return {(address.interface, address.address) for one in owners for address in installed(one)} & unmarked


def _notify_commands(thing: VrrpInstance | SyncGroup) -> list[Command]:
    notify = thing.notify
    commands = (notify.master, notify.backup, notify.fault, notify.stop, notify.any)
    return [command for command in commands if command is not None]


def _runs_programs(configuration: Configuration) -> bool:
    """Whether users and files have to be looked for."""
    return bool(
        configuration.globals.script_user is not None
        or any(script.command is not None for script in configuration.scripts)
        or any(map(_notify_commands, configuration.instances))
        or any(map(_notify_commands, configuration.sync_groups))
    )
