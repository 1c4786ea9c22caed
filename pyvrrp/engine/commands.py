"""
What control says to the engine, in small frozen values; `reports.py` has what the engine says.

In a library user's program both run in one event loop; the daemon may put the engine into a process of its own. So
nothing here holds a socket, a callback or a word for people, and the engine never waits for an answer. Commands and
reports are apart for the daemon's start: its first command is sent before it knows a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pyvrrp.engine.settings import InstanceSettings

if TYPE_CHECKING:
    from pyvrrp.protocol.sync_group import GroupSettings


@dataclass(frozen=True, slots=True)
class Configure:
    """
    Run exactly these instances; those that did not change are not disturbed, those that are gone end in order.

    Attributes:
        groups: Which of them move together: all members are instances, each of one group at most, and are `grouped`.
    """

    instances: tuple[InstanceSettings, ...]
    groups: tuple[GroupSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """
    `Configure` between processes, when most of it is as in the one before: only what differs travels.

    Attributes:
        names: All instances, in their order.
        changed: Settings of those that are new or not as before.
        groups: All sync groups.
    """

    names: tuple[str, ...]
    changed: tuple[InstanceSettings, ...]
    groups: tuple[GroupSettings, ...] = ()

    @classmethod
    def of(cls, command: Configure, before: Configure) -> Reconfigure:
        """What tells *command* to somebody who knows *before*."""
        old = {one.name: one for one in before.instances}
        changed = tuple(one for one in command.instances if (was := old.get(one.name)) is not one and was != one)
        return cls(tuple(one.name for one in command.instances), changed, command.groups)

    def after(self, before: Configure) -> Configure:
        """The whole, for who knows *before*."""
        known = {one.name: one for one in (*before.instances, *self.changed)}
        return Configure(tuple(known[name] for name in self.names), self.groups)


@dataclass(frozen=True, slots=True)
class SetPriority:
    """The trackers' weights give this effective priority."""

    instance: str
    priority: int


@dataclass(frozen=True, slots=True)
class RaiseFault:
    """A tracker says that the instance must not serve."""

    instance: str
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class ClearFault:
    """That tracker has no objection (any more)."""

    instance: str
    cause: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Answer with a `Status` of the same token."""

    token: int


@dataclass(frozen=True, slots=True)
class Sync:
    """
    Answer with an empty `Status` of the same token when all commands before are carried out.

    For the process of the engine: a full `Status` of 255 virtual routers keeps it busy for milliseconds.
    """

    token: int


@dataclass(frozen=True, slots=True)
class Stop:
    """
    End all instances in order: priority 0, addresses gone; then `Stopped`.

    Attributes:
        keep_addresses: Leave the addresses in place.
        handover: Make before break: a MASTER serves on until it hears its successor, one interval at most. Another
            `Stop` without it ends that at once.
    """

    keep_addresses: bool = False
    handover: bool = False


@dataclass(frozen=True, slots=True)
class Drain:
    """
    Hand over as at a planned end (make before break) and stay out, in INITIALIZE, until `Resume`.

    A `Configure` keeps an instance drained that it keeps; a second `Drain` changes nothing.

    Attributes:
        instance: Its name; None is all instances, also those that a later `Configure` adds.
    """

    instance: str | None


@dataclass(frozen=True, slots=True)
class Resume:
    """Take part again after `Drain`, as after a start; *instance* None is all instances."""

    instance: str | None


@dataclass(frozen=True, slots=True)
class Hardening:
    """
    How the engine's process is scheduled and kept in memory; carried out by the process, not by the `Engine`.

    Each one tells all: what is not said goes back to what it was before.

    Attributes:
        rt_priority: SCHED_RR priority, None for the ordinary class.
        max_auto_priority: Where timers run late SCHED_RR is taken by itself, up to this priority; 0 is never.
        nice: Nice value in the ordinary class; 0 leaves the one it was started with.
        no_swap: Lock the memory.
        cpus: Numbers of the CPUs to run on; empty is those it was started with.
    """

    rt_priority: int | None = None
    max_auto_priority: int = 0
    nice: int = 0
    no_swap: bool = False
    cpus: frozenset[int] = frozenset()


Command: TypeAlias = Configure | SetPriority | RaiseFault | ClearFault | Ask | Stop | Drain | Resume | Hardening

Sent: TypeAlias = Command | Reconfigure | Sync
"""What goes to the engine's process, which makes commands for the engine of it."""
