"""What is told to people and programs of the engine's reports: the log, notify scripts, and the words of `status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from pyvrrp.config.model import Notify, VrrpInstance
from pyvrrp.daemon import words
from pyvrrp.daemon.deciding import Decided
from pyvrrp.daemon.grouped import KnownGroup
from pyvrrp.daemon.lines import Line
from pyvrrp.daemon.logs import RateLimiter, suppressed_note
from pyvrrp.daemon.notify import STOP, Notification, Notifier
from pyvrrp.engine.commands import Configure
from pyvrrp.engine.reports import Entered, GroupEntered, Remarked, Report
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.protocol.actions import Note
from pyvrrp.protocol.states import State
from pyvrrp.trackers.children import ScriptPolicy

_CAUSES: Final = 1024  # three for each of 255 routers


class Logger(Protocol):
    """What is asked of a structlog logger."""

    def debug(self, event: str, **fields: Any) -> Any:
        """Shown with `--log-detail` only."""

    def info(self, event: str, **fields: Any) -> Any:
        """What an operator wants to read afterwards."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Something is odd, the daemon copes."""

    def error(self, event: str, **fields: Any) -> Any:
        """Something was asked for and is not done."""


@dataclass(slots=True)
class Known:
    """
    What is remembered of an instance between reports.

    Attributes:
        drained: It was told to stay out.
        stopped: Its scripts have been told STOP, and nothing since.
    """

    instance: VrrpInstance
    settings: InstanceSettings
    priority: int
    state: State = State.INITIALIZE
    drained: bool = False
    stopped: bool = False


class Teller:
    """
    Turns reports into lines and notifications.

    Args:
        log: Takes the lines.
        now_us: The clock of the system, for what is said only now and then.

    Attributes:
        known: The instances that run, by name.
        groups: Their sync groups, by name.
        notifier: Runs the scripts; somebody has to run it.
    """

    def __init__(self, log: Logger, now_us: Callable[[], int]) -> None:
        self._log = log
        self._now_us = now_us
        self._limiter = RateLimiter(causes=_CAUSES)
        self.known: dict[str, Known] = {}
        self.groups: dict[str, KnownGroup] = {}
        self.notifier = Notifier(lambda report: self.write(words.of_notify(report)))

    @property
    def settings(self) -> list[InstanceSettings]:
        """Those of all instances that run."""
        return [known.settings for known in self.known.values()]

    @property
    def command(self) -> Configure:
        """What an engine has to be told that knows nothing."""
        return Configure(tuple(self.settings), tuple(known.settings for known in self.groups.values()))

    def together(self, names: Iterable[str]) -> list[str]:
        """Instances with those that move with them, each once."""
        found: dict[str, None] = {}
        for name in names:
            moving = (one.settings.members for one in self.groups.values() if not one.settings.may_part)
            found |= dict.fromkeys(next((members for members in moving if name in members), (name,)))
        return list(found)

    def adopt(self, decided: Decided, *, drained: bool) -> None:
        """
        From now on these are the instances; what runs on keeps its state, what is gone is told.

        Args:
            decided: What runs.
            drained: What is new stays out, too.
        """
        self.notifier.policy = decided.policy or ScriptPolicy()
        by_name = {instance.name: instance for instance in decided.configuration.instances}
        before = {known.settings.key: known for known in self.known.values()}
        out = {name: known.drained for name, known in self.known.items()}  # the engine goes by names, too
        self.known = {}
        for one in decided.settings:
            known = Known(by_name[one.name], one, one.router.priority, drained=out.get(one.name, drained))
            self.known[one.name] = known
            if (old := before.pop(one.key, None)) is not None:
                known.state, known.drained, known.stopped = old.state, old.drained, old.stopped
                if old.settings.router.priority == one.router.priority:
                    known.priority = old.priority
        groups_before, self.groups = self.groups, {}
        for group, settings in zip(decided.groups, decided.command.groups, strict=True):
            if (was := groups_before.pop(group.name, None)) is not None:
                self.groups[group.name] = was
                was.change(group, settings)
            else:
                self.groups[group.name] = KnownGroup(group, settings)
            if not settings.may_part and any(self.known[name].drained for name in settings.members):
                for name in settings.members:
                    self.known[name].drained = True
        for lost in groups_before.values():
            lost.forget_parting()
        for gone in before.values():
            # An instance that a reload took away: the general script hears FAULT, as with keepalived 3.10.
            gone.instance = replace(gone.instance, notify=Notify(any=gone.instance.notify.any))
            self._notify(gone, "FAULT", "no longer in the configuration", str(gone.state))

    def tell(self, report: Report) -> bool:
        """
        Tell what the engine reports.

        Returns:
            An instance has changed its state.
        """
        name = getattr(report, "instance", None)
        known = self.known.get(name) if name is not None else None
        own = words.Own() if known is None else words.Own(known.state, known.priority)
        for line in words.of_report(report, own):
            self.write(line)
        if isinstance(report, GroupEntered):
            self._tell_group(report)
        if known is None:
            return False
        if isinstance(report, Remarked) and report.remark.note is Note.PRIORITY and report.remark.priority:
            known.priority = report.remark.priority
        if not isinstance(report, Entered):
            return False
        transition = report.transition
        known.state, known.priority = transition.state, transition.priority
        if transition.state is not State.INITIALIZE:
            known.stopped = False
            self._notify(known, str(transition.state), transition.reason, str(transition.previous))
        elif known.drained:  # what a script started for MASTER has to end now as at the end of the daemon
            self.tell_stop(known, "drained")
        return True

    def tell_stop(self, known: Known, reason: str) -> None:
        """Tell an instance's scripts that it has stopped, unless that is what they heard last."""
        if not known.stopped:
            known.stopped = True
            self._notify(known, STOP, reason)

    def tell_end(self) -> None:
        """Tell all scripts that the daemon stops: those of groups last, as keepalived does."""
        for known in self.known.values():
            self.tell_stop(known, "the daemon stops")
        for group in self.groups.values():
            group.forget_parting()
            self._tell_group_stop(group, "the daemon stops")

    def forget_states(self) -> None:
        """The engine was started anew."""
        for known in self.known.values():
            known.state = State.INITIALIZE
        for group in self.groups.values():
            group.state = State.INITIALIZE
            group.forget_parting()

    def write(self, line: Line) -> None:
        """Write a line into the log, unless it is one of many."""
        note = ""
        if line.repeats:
            kept_back = self._limiter.check(line.repeats, line.fields.get("peer"), self._now_us())
            if kept_back is None:
                return
            note = suppressed_note(kept_back)
        getattr(self._log, line.level)(line.text + note, **line.fields)

    def write_kept_back(self) -> None:
        """Say what was kept back of lines that a peer can repeat."""
        for kept_back in self._limiter.pending(self._now_us()):
            peer = f" from {kept_back.peer}" if kept_back.peer else ""
            self._log.warning(f"{kept_back.count} more lines were not shown{peer}: {kept_back.cause}")

    def summary(self) -> str:
        """How many instances are in which state."""
        states = Counter(str(known.state) for known in self.known.values())
        return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no instances"

    def _tell_group(self, report: GroupEntered) -> None:
        """A sync group is in another state, or its members have parted or met."""
        known = self.groups.get(report.group)
        if known is None:
            return
        previous, known.state = known.state, report.state
        if report.parted:
            members = [self.known[name] for name in known.group.members]
            interval_us = max(one.settings.router.advertisement_interval_us for one in members)
            known.part(lambda: {name: self.known[name].state for name in known.group.members}, interval_us, self.write)
        else:
            known.meet(self.write)
        if known.state is previous:
            return
        if known.state is not State.INITIALIZE:
            known.stopped = False
            reason = f"the instances {', '.join(known.group.members)} move together"
            self._notify_group(known, str(known.state), reason, str(previous))
        elif all(self.known[name].drained for name in known.group.members):
            self._tell_group_stop(known, "drained")

    def _tell_group_stop(self, known: KnownGroup, reason: str) -> None:
        if not known.stopped:
            known.stopped = True
            self._notify_group(known, STOP, reason)

    def _notify_group(self, known: KnownGroup, state: str, reason: str, previous: str = "") -> None:
        told = Notification(known.group.name, state, 0, "GROUP", previous_state=previous, reason=reason)
        self.notifier.tell(told, known.group.notify)

    def _notify(self, known: Known, state: str, reason: str, previous: str = "") -> None:
        self.notifier.tell(
            Notification(
                known.instance.name,
                state,
                known.priority,
                previous_state=previous,
                reason=reason,
                vrid=known.instance.vrid,
                interface=known.settings.interface,
            ),
            known.instance.notify,
        )
