"""
Notify scripts: for each instance in the order of its transitions, one at a time.

* For one event the script of its state comes first, then the general one; scripts of different instances run side
  by side.
* A script may take `HANG_LIMIT_S`. Once a newer event of its instance waits it has `PATIENCE_S` more: a hung
  `notify_master` must not keep `notify_fault` back. Then its group is ended.
* At most `QUEUE_LIMIT` events wait for an instance. When one more comes the oldest is dropped, for the last state
  is what counts.
* STOP drops what waits, and gives what runs `STOP_WAIT_S` more before it starts. Its scripts are waited for that long
  each and then left running, until `close` ends them.
* What scripts print goes to /dev/null, as with keepalived: a service that one starts would else die of
  a closed pipe.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from pyvrrp.config.model import Command, Notify
from pyvrrp.errors import VrrpError
from pyvrrp.trackers import children
from pyvrrp.trackers.children import Child, ChildResult, ScriptPolicy

HANG_LIMIT_S: Final = 300.0  # keepalived has none; starting a database takes minutes, five of them is a hang
PATIENCE_S: Final = 30.0  # systemd and most init scripts settle within that
QUEUE_LIMIT: Final = 32  # events: sixteen flaps while a script is being slow
STOP_WAIT_S: Final = 1.0  # keepalived's
CLOSE_WAIT_S: Final = 1.0  # about keepalived's pause at its end
VALUE_LIMIT: Final = 4096  # characters of one variable; the kernel refuses to start a program at 131,072 octets

STOP: Final = "STOP"


@dataclass(frozen=True, slots=True)
class Notification:
    """
    One thing to tell.

    Attributes:
        name: Instance or group.
        state: MASTER, BACKUP, FAULT, STOP or DELETED.
        priority: Effective priority, 0 for a group.
        kind: What *name* names.
        previous_state: The state before, empty at the start.
        reason: Why, for people.
        vrid: Virtual Router Identifier, None for a group.
        interface: Interface of the instance, or None.
    """

    name: str
    state: str
    priority: int
    kind: Literal["INSTANCE", "GROUP"] = "INSTANCE"
    previous_state: str = ""
    reason: str = ""
    vrid: int | None = None
    interface: str | None = None

    @property
    def words(self) -> tuple[str, str, str, str]:
        """What the general script gets behind its own words."""
        return self.kind, self.name, self.state, str(self.priority)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that every script gets besides ours; what is not known is not set."""
        known = {
            "PYVRRP_KIND": self.kind,
            "PYVRRP_INSTANCE": self.name,
            "PYVRRP_STATE": self.state,
            "PYVRRP_PREVIOUS_STATE": self.previous_state,
            "PYVRRP_PRIORITY": str(self.priority),
            "PYVRRP_REASON": self.reason,
            "PYVRRP_VRID": "" if self.vrid is None else str(self.vrid),
            "PYVRRP_INTERFACE": self.interface or "",
        }
        return {key: value.replace("\0", "?")[:VALUE_LIMIT] for key, value in known.items() if value}


def invocations(notification: Notification, notify: Notify) -> tuple[tuple[Command, tuple[str, ...]], ...]:
    """What to run for an event, in order: each command with the words to add to its own."""
    specific = {"MASTER": notify.master, "BACKUP": notify.backup, "FAULT": notify.fault, STOP: notify.stop}
    wanted: list[tuple[Command, tuple[str, ...]]] = []
    if (command := specific.get(notification.state)) is not None:
        wanted.append((command, ()))
    if notify.any is not None:
        wanted.append((notify.any, notification.words))
    return tuple(wanted)


@dataclass(frozen=True, slots=True)
class NotifyReport:
    """
    What became of one script, or of an event that was dropped.

    Attributes:
        notification: The event.
        argv: All words of the script; empty where the event was dropped before one started.
        text: What happened, for people.
        result: How the script ended; None if none was started, or if it still runs.
    """

    notification: Notification
    argv: tuple[str, ...]
    text: str
    result: ChildResult | None = None


Report: TypeAlias = Callable[[NotifyReport], None]


@dataclass(slots=True)
class _Line:
    """What one instance has to tell; *running* and *release* belong to the script that the line waits for."""

    waiting: deque[tuple[Notification, Notify]] = field(default_factory=deque)
    busy: bool = False
    running: Child | None = None
    release: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.TimerHandle | None = None

    def release_in(self, seconds: float) -> None:
        """Wait for the running script that long and no longer."""
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(seconds, self.release.set)


class Notifier:
    """
    Runs notify scripts; a task that is cancelled at the end, after `close`.

    Args:
        report: Told how each script ended, and what was dropped.
        policy: Whom scripts run as, and what is refused; a reload may set another.
    """

    name = "notify"

    def __init__(self, report: Report, policy: ScriptPolicy | None = None) -> None:
        self._report = report
        self.policy = policy or ScriptPolicy()
        self._lines: dict[tuple[str, str], _Line] = {}
        self._news = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()
        self._children: dict[Child, asyncio.Task[None]] = {}
        self._closing = False

    def tell(self, notification: Notification, notify: Notify) -> None:
        """Put an event behind those of the same instance or group; its scripts start when `run` runs."""
        if not invocations(notification, notify):
            return
        line = self._lines.setdefault((notification.kind, notification.name), _Line())
        if notification.state == STOP:
            while line.waiting:
                self._drop(line, "not told: the instance stops")
            if line.running is not None:
                line.release_in(STOP_WAIT_S)
        else:
            if len(line.waiting) == QUEUE_LIMIT:
                self._drop(line, f"not told: {QUEUE_LIMIT} newer events wait, the scripts are too slow")
            if line.running is not None and not line.waiting:
                self._hurry(line.running)
        line.waiting.append((notification, notify))
        self._all_told.clear()
        self._news.set()

    async def run(self) -> None:
        """Run scripts until cancelled; then those that still run are killed."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await self._news.wait()
                    self._news.clear()
                    for line in self._lines.values():
                        if line.waiting and not line.busy:
                            line.busy = True
                            tasks.create_task(self._work(line, tasks))
        finally:
            self._all_told.set()  # nobody will tell the rest: who waits for it must not wait for ever

    async def drain(self) -> None:
        """Wait until all that was told has been run; scripts that were left running do not count."""
        await self._all_told.wait()

    async def close(self) -> None:
        """
        The daemon's end, while `run` still runs: wait for the scripts of STOP, and end what still runs then.

        Takes `STOP_WAIT_S` for each script of the longest line and `CLOSE_WAIT_S` at most.
        """
        self._closing = True
        for line in self._lines.values():
            if line.running is not None:
                line.release_in(STOP_WAIT_S)
            while line.waiting and line.waiting[0][0].state != STOP:
                self._drop(line, "not told: the daemon stops")
        self._check_all_told()
        await self.drain()
        for child in self._children:
            child.end("ended because the daemon stops")
        if self._children:
            await asyncio.wait(self._children.values(), timeout=CLOSE_WAIT_S)

    async def _work(self, line: _Line, tasks: asyncio.TaskGroup) -> None:
        while line.waiting:
            notification, notify = line.waiting.popleft()
            for command, words in invocations(notification, notify):
                await self._run_one(line, tasks, notification, command, words)
        line.busy = False
        self._check_all_told()

    async def _run_one(
        self,
        line: _Line,
        tasks: asyncio.TaskGroup,
        notification: Notification,
        command: Command,
        words: tuple[str, ...],
    ) -> None:
        try:
            child = children.start(command, self.policy, arguments=words, environment=notification.environment)
        except VrrpError as error:
            refused = ChildResult((*command.argv, *words), refusal=str(error))
            self._report(NotifyReport(notification, refused.argv, refused.reason, refused))
            return
        attending = self._children[child] = tasks.create_task(self._attend(child, notification))
        line.running = child
        line.release.clear()
        child.expire_in(HANG_LIMIT_S)
        if self._closing or notification.state == STOP or any(event.state == STOP for event, _ in line.waiting):
            line.release_in(STOP_WAIT_S)
        elif line.waiting:
            self._hurry(child)
        released = asyncio.ensure_future(line.release.wait())
        try:
            await asyncio.wait((attending, released), return_when=asyncio.FIRST_COMPLETED)
        finally:
            released.cancel()
            if line.timer is not None:
                line.timer.cancel()
                line.timer = None
            line.running = None
        if child.running:
            self._report(NotifyReport(notification, child.argv, "still running, not waited for any longer"))

    async def _attend(self, child: Child, notification: Notification) -> None:
        try:
            async with child:
                result = await child.wait()
        finally:
            del self._children[child]
        text = f"{result.reason}, {result.duration_s:.3f} s after its start"
        if result.warning:
            text = f"{text}; {result.warning}"
        self._report(NotifyReport(notification, result.argv, text, result))

    @staticmethod
    def _hurry(child: Child) -> None:
        child.expire_in(PATIENCE_S, f"ended: still running {PATIENCE_S:g} s after a newer event came")

    def _drop(self, line: _Line, why: str) -> None:
        notification, _ = line.waiting.popleft()
        self._report(NotifyReport(notification, (), why))

    def _check_all_told(self) -> None:
        if not any(line.busy or line.waiting for line in self._lines.values()):
            self._all_told.set()
