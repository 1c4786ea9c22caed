"""
The engine: what may never be late. `Engine.step` is one wake-up.

In every wake-up: commands, news of the kernel, then all sockets are read, and only then are deadlines looked at, so
that no master is declared silent whose advertisement is already here. What asks the kernel for addresses or changes
them goes through the applier, which may do so in another thread; then the results come with a later wake-up.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from pyvrrp.engine.announcer import Announcer
from pyvrrp.engine.applier import LENIENT_INTERVAL_US, Applier
from pyvrrp.engine.batch import Batch
from pyvrrp.engine.commands import (
    Ask,
    ClearFault,
    Command,
    Configure,
    Drain,
    Hardening,
    RaiseFault,
    Resume,
    SetPriority,
    Stop,
)
from pyvrrp.engine.instance import InstanceRunner
from pyvrrp.engine.inventory import Inventory
from pyvrrp.engine.listener import Listener
from pyvrrp.engine.reports import FellBack, KernelFailed, Report, Status, Stopped
from pyvrrp.engine.settings import Key
from pyvrrp.errors import KernelError
from pyvrrp.net.system import (
    AddressAdded,
    AddressRemoved,
    AssignedAddress,
    Link,
    LinkChanged,
    LinkRemoved,
    Readable,
    Resynchronise,
    System,
)
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.events import GROUP, FaultCleared, PriorityChanged
from pyvrrp.protocol.states import State

if TYPE_CHECKING:
    from pyvrrp.engine.group import GroupRunner
    from pyvrrp.protocol.sync_group import GroupSettings

AUDIT_US: Final = 30_000_000
"""The kernel's links and addresses are compared with ours that often, should news ever have been lost unnoticed."""

REOPEN_US: Final = 1_000_000
"""A socket that could not be opened, or a list the kernel refused, is tried again after this time."""

IDLE_US: Final = 8_000
"""What can wait is done when nothing is due for so long."""

NEWS_US: Final = 20_000
"""
While something is in flight news are read that often, not as they come: each address that is being installed is news,
and to read them would hold up the thread that installs.
"""

NEAR_US: Final = 1_000
"""A take-over that is so near is not held up by looking at addresses again, of which the kernel has news."""

WOKEN_MAX: Final = 64
"""After so many instances were woken the addresses they want are handed over, while the others are woken."""

DRAINS_MAX: Final = 8
"""
After so many bounded drains deadlines are believed all the same: more than a receive buffer holds has been read, what
comes now is younger than the deadline. Else whoever sends fast enough could keep a MASTER silent.
"""

_Port = tuple[str, Family, IPAddress | None, IPAddress | None]
_World: TypeAlias = tuple[Sequence[Link], Sequence[AssignedAddress]] | KernelError


def _port(key: Key) -> _Port:
    return (key.interface, key.family, key.destination, key.source)


class Engine:
    """
    All instances of one network namespace.

    Attributes:
        eager: The next deadline is that of a BACKUP: to be awake just before it makes the take-over faster.
        readables: What to watch, by file descriptor; replaced as a whole when it changes.
        stopped: `Stop` was carried out.
    """

    def __init__(self, system: System, report: Callable[[Report], None]) -> None:
        self._system = system
        self._report = report
        self._commands: deque[Command] = deque()
        self._applier = Applier(threaded=system.threaded)
        self._announcer = Announcer(system, report)
        self._batch = Batch(self._applier, self._announcer)
        self._runners: dict[str, InstanceRunner] = {}
        self._groups: dict[str, GroupRunner] = {}
        self._listeners: dict[_Port, Listener] = {}
        self._ticks: dict[int, InstanceRunner] = {}
        self._leaving: list[InstanceRunner] = []
        self._inventory = Inventory()
        self._known = 0  # the changes of addresses that the inventory knows of
        self._surveying = False
        self._survey_again = False
        self._link_news: list[LinkChanged | LinkRemoved] = []  # since the survey began
        self._news_us: int | None = None  # when to read news; None: as they come
        self._patient_us: int | None = None  # when to look at addresses; sooner if no take-over is near
        self._served: frozenset[tuple[str, IPAddress | None]] = frozenset()
        self._past_counters: dict[str, Counter[str]] = {}  # of sockets that are closed, by interface
        self._told_refusals: set[str] = set()
        self._drains = 0
        self._draining = False
        self._drain_new = False  # all are drained, also those that a later configuration adds
        self._monitor = system.monitor()
        self._backup_next = False
        self._next_scan_us: int | None = None  # no deadline of a runner is earlier
        self._next_audit_us = system.now_us() + AUDIT_US
        self._reopen_us: int | None = None
        self.stopped = False
        self.eager = False
        self.readables: dict[int, Readable] = {}
        self._learn(self._ask_kernel())
        self._list_readables()

    @property
    def next_router_deadline_us(self) -> int | None:
        """The earliest deadline of a state machine; what the simulator's traces tell."""
        for runner in self._runners.values():
            runner.catch_up()
        deadlines = [runner.router.next_deadline_us for runner in self._runners.values()]
        return min((at for at in deadlines if at is not None), default=None)

    def command(self, command: Command) -> None:
        """Take a command; it is carried out in the next `step`."""
        self._commands.append(command)

    def step(self, ready: Collection[int] | None = None) -> int | None:
        """
        One wake-up: do all that is due.

        Args:
            ready: Descriptors of `readables` that can be read, as of this moment; the others need not be tried then.
                None is not known.

        Returns:
            When to wake it next, in microseconds of the system's clock (it may be now); None for only on news.
        """
        batch = self._batch
        now_us = self._system.now_us()
        self._applier.collect(now_us)
        while self._commands:
            self._obey(self._commands.popleft(), now_us)
        if self.stopped:
            return None
        now_us = self._system.now_us()  # a configuration of hundreds takes longer than a short Master_Down_Interval
        if self._may_have_news(now_us, ready):
            self._hear_news(now_us, hurried=ready is not None and self._backup_is_due(now_us + NEAR_US))
        if self._patient_us is not None and (now_us >= self._patient_us or not self._backup_is_due(now_us + NEAR_US)):
            self._patient_us = None
            self._survey(now_us)
        complete = self._drain(now_us, ready)
        now_us = self._system.now_us()
        if ready is not None and complete and self._backup_is_due(now_us):
            complete = self._drain(now_us, None)  # what came since *ready* was known may be its master
            now_us = self._system.now_us()
        self._drains += 1
        if complete or self._drains >= DRAINS_MAX:
            self._drains = 0
            self._wake_due(now_us)
        for listener in self._listeners.values():
            deadline_us = listener.complaints.next_deadline_us
            if deadline_us is not None and now_us >= deadline_us:
                listener.complaints.flush(now_us, batch)
        if self._reopen_us is not None and now_us >= self._reopen_us:
            self._reopen_us = None
            self._look(now_us)
        if now_us >= self._next_audit_us:
            self._next_audit_us = now_us + AUDIT_US
            self._survey(now_us)
        if self._draining and all(runner.router.state is State.INITIALIZE for runner in self._runners.values()):
            self._finish(now_us)
            return None
        batch.carry_out(self._system, now_us, self._report)
        if batch.refused or batch.regrouped:
            batch.refused = batch.regrouped = False
            self._next_scan_us = now_us
        announce_us = self._announcer.next_deadline_us
        if announce_us is not None and now_us >= announce_us:
            self._announcer.wake(now_us)
        if self._applier.busy != (self._news_us is not None):
            self._news_us = now_us + NEWS_US if self._applier.busy else None
            self._list_readables()
        if not complete:
            return now_us
        return self._next_deadline_us()

    def when_done(self, answer: Callable[[], None]) -> None:
        """Call back when all that is in flight has been carried out; at once if nothing is."""
        self._applier.then(lambda _: self._after_reports(answer), self._system.now_us())

    def _after_reports(self, answer: Callable[[], None]) -> None:
        self._batch.tell_all(self._report)
        answer()

    def reconsider(self) -> int | None:
        """Work out anew when to wake it next: packets that came meanwhile may have put that off."""
        self._next_scan_us = self._scan(None)
        for listener in self._listeners.values():
            listener.regroup()
        return self._next_deadline_us()

    def prepare_next(self) -> bool:
        """
        Lay out in octets what one instance needs for a take-over; for when there is nothing else to do.

        Returns:
            Whether there was something to prepare.
        """
        for runner in self._runners.values():
            if not runner.prepared:
                try:
                    runner.prepare(self._system)
                except KernelError as error:
                    self._report(KernelFailed(runner.settings.name, error.operation, str(error)))
                return True
        return self._applier.prepare()

    def close(self) -> None:
        """Close all sockets; addresses and states stay as they are (use `Stop` for an orderly end)."""
        for listener in self._listeners.values():
            listener.sock.close()
        self._listeners.clear()
        self._monitor.close()
        self._applier.close()
        self.readables = {}

    # Commands

    def _obey(self, command: Command, now_us: int) -> None:
        if self.stopped and not isinstance(command, Ask):
            return
        if self._draining and isinstance(command, RaiseFault):
            if runner := self._runners.get(command.instance):
                runner.fail(command.cause, command.detail, now_us, self._batch)
            return
        if self._draining and not isinstance(command, Ask | Stop):
            return
        match command:
            case Configure():
                self._configure(command, now_us)
            case SetPriority(name, priority):
                if runner := self._runners.get(name):
                    runner.tell(PriorityChanged(priority), now_us, self._batch)
            case RaiseFault(name, cause, detail):
                if runner := self._runners.get(name):
                    runner.object(cause, detail, now_us, self._batch)
            case ClearFault(name, cause):
                if runner := self._runners.get(name):
                    runner.release(cause, now_us, self._batch)
            case Drain(name):
                self._drain_new = self._drain_new or name is None
                for runner in self._named(name):
                    runner.stay_out(now_us, self._batch)
            case Resume(name):
                self._drain_new = self._drain_new and name is not None
                for runner in self._named(name):
                    runner.take_part(now_us, self._batch)
            case Ask(token):
                self._batch.carry_out(self._system, now_us, self._report)
                self._applier.do(self._ask_kernel, partial(self._answer, token), now_us)
            case Stop(keep_addresses, handover):
                self._draining = handover and not keep_addresses
                if not self._draining:
                    self._ungroup()  # each ends by itself, with its own goodbye
                for runner in self._runners.values():
                    if self._draining:
                        runner.drain(now_us, self._batch)
                    else:
                        runner.stop(now_us, self._batch, keep_addresses=keep_addresses)
                if not self._draining:
                    self._finish(now_us)
            case Hardening():
                pass  # the affair of the process that the engine runs in
        self._next_scan_us = now_us

    def _named(self, name: str | None) -> list[InstanceRunner]:
        """The instance of that name with those that move with it, if there is one; all of them for None."""
        runner = self._runners.get(name or "")
        if runner is not None and runner.group is not None and not runner.group.settings.may_part:
            return list(runner.group.runners.values())
        return [runner for key, runner in self._runners.items() if name in {None, key}]

    def _ungroup(self) -> None:
        for runner in self._runners.values():
            runner.group = None
        self._groups.clear()

    def _regroup(self, wanted: Sequence[GroupSettings], now_us: int) -> None:
        """Bring members together anew; a group that is as before keeps what it knows."""
        before, self._groups = self._groups, {}
        for runner in self._runners.values():
            runner.group = None
        for settings in wanted:
            runners = {name: self._runners[name] for name in settings.members}
            group = before.get(settings.name)
            if group is None or group.settings != settings or group.runners != runners:
                from pyvrrp.engine.group import GroupRunner  # noqa: PLC0415  not at the start of who has no group

                group = GroupRunner(settings, runners, now_us, group)
                for runner in runners.values():
                    runner.disarm()  # the group has to hear once who else serves
            self._groups[settings.name] = group
            for runner in runners.values():
                runner.group = group
        for group in self._groups.values():
            group.revise(now_us, self._batch)
            if any(runner.drained for runner in group.runners.values()) and not group.settings.may_part:
                for runner in group.runners.values():
                    runner.stay_out(now_us, self._batch)
        for runner in self._runners.values():
            if runner.group is None and GROUP in runner.router.faults:
                runner.tell(FaultCleared(GROUP), now_us, self._batch)

    def _finish(self, now_us: int) -> None:
        """All have ended: the last words go out, the sockets are closed."""
        self.stopped = True
        self._batch.carry_out(self._system, now_us, self._report)
        if not self._applier.wait(self._system.now_us):
            self._report(KernelFailed(None, "stop", "the kernel is still at it: addresses may have stayed"))
        self._runners.clear()
        self.close()
        self._report(Stopped())

    def _configure(self, command: Configure, now_us: int) -> None:
        self._batch.carry_out(self._system, now_us, self._report)
        old = {runner.key: runner for runner in self._runners.values()}
        kept: dict[str, InstanceRunner] = {}
        self._applier.expect(
            min((one.router.advertisement_interval_us for one in command.instances), default=LENIENT_INTERVAL_US),
            sum(len(one.vips) + len(one.excluded) for one in command.instances),
        )
        drained = {runner.settings.name: runner.drained for runner in old.values()}
        for settings in command.instances:
            runner = old.pop(settings.key, None)
            if runner is None:
                runner = InstanceRunner(settings, self._inventory, self._announcer, now_us, self._ticks)
                runner.drained = drained.get(settings.name, self._drain_new)
            elif runner.settings != settings:
                runner.update(settings, now_us, self._batch)
            kept[settings.name] = runner
        for runner in old.values():
            runner.group = None  # gone from the configuration is gone from its group: the others go on
            runner.stop(now_us, self._batch)
        self._batch.removals_first()  # an address may go from one of them to another
        self._batch.carry_out(self._system, now_us, self._report)
        for runner in old.values():
            runner.attach(None)  # not before its last word is sent
        self._leaving += old.values()  # until none of its addresses waits to be removed
        self._runners = kept
        self._regroup(command.groups, now_us)
        self._look(now_us)
        now_us = self._system.now_us()  # they listen from now on, so they wait from now on
        for runner in kept.values():
            runner.start(now_us, self._batch)
        for group in self._groups.values():
            group.report(now_us, self._batch)

    def _answer(self, token: int, world: _World | None, now_us: int) -> None:
        self._batch.tell_all(self._report)
        if isinstance(world, KernelError):
            self._report(KernelFailed(None, world.operation, str(world)))
        links, addresses = ((), ()) if world is None or isinstance(world, KernelError) else world
        names = {link.index: link.name for link in links}
        present = {(names.get(a.index, ""), a.address.ip) for a in addresses}
        self._report(self._status(token, present, now_us))

    def _status(self, token: int, present: Collection[tuple[str, IPAddress]], now_us: int) -> Status:
        interfaces = {name: Counter(counters) for name, counters in self._past_counters.items()}
        sockets = []
        for listener in self._listeners.values():
            listener.collect()
            interfaces.setdefault(listener.interface, Counter()).update(listener.counters)
            sockets.append(listener.status())
        instances = tuple(runner.status(present) for runner in self._runners.values())
        groups = tuple(group.status() for group in self._groups.values())
        return Status(token, now_us, instances, interfaces, tuple(sockets), groups)

    # The world

    def _ask_kernel(self) -> _World:
        try:
            return self._system.links(), self._system.addresses()
        except KernelError as error:
            return error

    def _learn(self, world: _World) -> bool:
        if isinstance(world, KernelError):
            self._report(KernelFailed(None, world.operation, str(world)))
            self._next_audit_us = self._system.now_us() + REOPEN_US
            return False
        self._inventory.replace(*world)
        return True

    def _read_world(self) -> None:
        """Learn what the kernel has, at once."""
        if self._learn(self._ask_kernel()):
            self._known = self._batch.changes

    def _survey(self, now_us: int) -> None:
        """Learn what the kernel has, and look at it then; at once or when the applier has come to it."""
        if self._applier.inline():
            self._read_world()
            self._look(now_us)
        elif self._surveying:
            self._survey_again = True
        else:
            self._surveying, self._survey_again = True, False
            self._link_news.clear()
            self._applier.do(self._ask_kernel, partial(self._end_survey, self._batch.changes), now_us)

    def _end_survey(self, changes: int, world: _World | None, now_us: int) -> None:
        self._surveying = False
        if world is None or self.stopped:
            return
        if self._learn(world):
            self._known = changes
            for event in self._link_news:  # the kernel may have told of them since it was asked
                self._take(event)
            self._look(now_us)
        if self._survey_again:
            self._survey(now_us)

    def _take(self, event: LinkChanged | LinkRemoved) -> None:
        if isinstance(event, LinkChanged):
            self._inventory.change(event.link)
        else:
            self._inventory.remove(event.index)

    def _may_have_news(self, now_us: int, ready: Collection[int] | None) -> bool:
        if self._news_us is not None:
            return now_us >= self._news_us or not self._applier.busy
        return ready is None or self._monitor.fileno() in ready

    def _hear_news(self, now_us: int, *, hurried: bool) -> None:
        """Links are looked at now; addresses too, unless somebody is in a hurry to take over."""
        try:
            news = self._monitor.receive()
        except KernelError as error:
            self._report(KernelFailed(None, error.operation, str(error)))
            news = (Resynchronise(),)
        if self._news_us is not None:
            self._news_us = now_us + NEWS_US
        again = linked = False
        for event in news:
            match event:
                case LinkChanged() | LinkRemoved():
                    linked = True
                    self._take(event)
                    if self._surveying:
                        self._link_news.append(event)
                case AddressRemoved(gone):
                    again = True
                    self._doubt_sockets(gone)
                case AddressAdded():
                    again = True
                case Resynchronise():
                    again = True
                    hurried = False  # of links, too
        if again and hurried:  # another take-over may be near after this one, but not for ever
            self._patient_us = self._patient_us or now_us + NEWS_US
        elif again:  # the kernel is the truth: a batch of news may tell of addresses that came and went
            self._patient_us = None
            self._survey(now_us)
        if linked and (self._surveying or hurried or not again):
            self._look(now_us)

    def _doubt_sockets(self, gone: AssignedAddress) -> None:
        for listener in self._listeners.values():
            if listener.index == gone.index and any(r.source == gone.address.ip for r in listener.runners.values()):
                listener.stale = True

    def _look(self, now_us: int) -> None:
        """Let every instance see its interface, and see that each has its socket."""
        self._batch.carry_out(self._system, now_us, self._report)  # what is about to be installed is not missing
        if self._batch.changes != self._known:
            if self._applier.inline():
                self._read_world()
            else:
                self._survey(now_us)
        fresh = self._batch.changes == self._known
        for runner in self._runners.values():
            runner.look(now_us, self._batch, fresh=fresh)
        self._open_sockets(now_us)
        for runner in self._runners.values():
            runner.settle(now_us, self._batch, fresh=fresh)
        self._next_scan_us = now_us

    def _open_sockets(self, now_us: int) -> None:
        wanted: dict[_Port, list[InstanceRunner]] = {}
        for runner in self._runners.values():
            if runner.link is not None:
                wanted.setdefault(_port(runner.key), []).append(runner)
        links = self._inventory.links
        for port, listener in list(self._listeners.items()):
            link = links.get(port[0])
            if port not in wanted or link is None or link.index != listener.index or listener.stale:
                self._batch.carry_out(self._system, now_us, self._report)  # last words
                self._close_listener(port)
        for runner in self._runners.values():
            if runner.link is None:
                runner.attach(None)
                runner.no_socket(None, now_us, self._batch)
        for port, runners in wanted.items():
            served = self._listeners.get(port) or self._open(port, runners, now_us)
            for runner in runners:
                if runner.listener is not served:
                    runner.attach(served)
                if served is not None:
                    runner.no_socket(None, now_us, self._batch)
        for listener in self._listeners.values():
            listener.serve()
            self._tell_refusal(listener)
        self._served = frozenset(listener.destination for listener in self._listeners.values())
        self._list_readables()

    def _close_listener(self, port: _Port) -> Listener:
        """Close a socket; what it knew and counted is kept."""
        listener = self._listeners.pop(port)
        listener.collect()
        for runner in listener.runners.values():
            runner.disarm()
        listener.sock.close()
        self._past_counters.setdefault(listener.interface, Counter()).update(listener.counters)
        return listener

    def _tell_refusal(self, listener: Listener) -> None:
        """Say once why packets do not come by the path that was wished for."""
        refused = listener.sock.refused
        if refused is not None and (text := str(refused)) not in self._told_refusals:
            self._told_refusals.add(text)
            self._batch.report(FellBack(str(listener.sock.path), text))

    def _open(self, port: _Port, runners: list[InstanceRunner], now_us: int) -> Listener | None:
        interface, family, destination, _ = port
        link = self._inventory.links[interface]
        try:
            sock = self._system.open_socket(link, family, destination)
        except KernelError as error:
            for runner in runners:
                runner.no_socket(str(error), now_us, self._batch)
            self._reopen_us = now_us + REOPEN_US
            return None
        listener = self._listeners[port] = Listener(sock, link, family, destination)
        return listener

    def _list_readables(self) -> None:
        readables: dict[int, Readable] = {}
        awaited = (listener.sock for listener in self._listeners.values() if not listener.polled)
        news = self._monitor if self._news_us is None else self._applier
        for readable in (news, *awaited):
            if readable.fileno() >= 0:
                readables[readable.fileno()] = readable
        self.readables = readables

    # Packets and deadlines

    def _drain(self, now_us: int, ready: Collection[int] | None) -> bool:
        complete = True
        for port, listener in list(self._listeners.items()):
            if ready is not None and listener.next_poll_us is None and listener.sock.fileno() not in ready:
                continue
            polled = listener.polled
            try:
                complete = listener.drain(now_us, self._batch, self._served) and complete
            except KernelError as error:
                runners = list(self._close_listener(port).runners.values())
                for runner in runners:
                    runner.attach(None)
                    runner.no_socket(str(error), now_us, self._batch)
                self._reopen_us = now_us + REOPEN_US
                self._list_readables()
                continue
            if listener.polled != polled:
                self._list_readables()
            if listener.changed:
                listener.changed = False
                self._next_scan_us = now_us
        return complete

    def _backup_is_due(self, now_us: int) -> bool:
        """Whether a master may be taken for silent now."""
        if self._backup_next and self._next_scan_us is not None and now_us >= self._next_scan_us:
            return True
        return any(
            patience_us is not None and now_us >= patience_us
            for patience_us in (listener.patience_us for listener in self._listeners.values())
        )

    def _wake_due(self, now_us: int) -> None:
        for listener in self._listeners.values():
            patience_us = listener.patience_us
            if patience_us is not None and now_us >= patience_us:
                for woken, runner in enumerate(listener.overdue(now_us), 1):
                    runner.wake(now_us, self._batch)
                    if not woken % WOKEN_MAX:
                        self._hand_over(now_us)
                if listener.changed:
                    listener.changed = False
                    self._next_scan_us = now_us
        if self._next_scan_us is None or now_us < self._next_scan_us:
            return
        if self._leaving and not self._applier.busy:
            self._leaving = [runner for runner in self._leaving if runner.next_deadline_us is not None]
        self._next_scan_us = self._scan(now_us)

    def _hand_over(self, now_us: int) -> None:
        """Have addresses changed while others are woken; advertisements alone go together."""
        if self._batch.changing:
            self._batch.carry_out(self._system, now_us, self._report)

    def _scan(self, now_us: int | None) -> int | None:
        """The earliest deadline of an instance that is not armed, once those due at *now_us* are woken."""
        earliest_us: int | None = None
        self._backup_next = False
        woken = 0
        for runner in (*self._runners.values(), *self._leaving):
            at_us = runner.next_deadline_us
            if at_us is not None and now_us is not None and at_us <= now_us:
                runner.wake(now_us, self._batch)
                at_us = runner.next_deadline_us
                woken += 1
                if not woken % WOKEN_MAX:
                    self._hand_over(now_us)
            if at_us is not None and (earliest_us is None or at_us < earliest_us):
                earliest_us = at_us
                self._backup_next = runner.router.state is State.BACKUP
        return earliest_us

    def _next_deadline_us(self) -> int | None:
        others = [self._announcer.next_deadline_us, self._reopen_us, self._next_audit_us]
        others += (self._news_us, self._patient_us)
        patience_us: int | None = None
        for listener in self._listeners.values():
            others += (listener.next_poll_us, listener.complaints.next_deadline_us)
            at_us = listener.patience_us
            if at_us is not None and (patience_us is None or at_us < patience_us):
                patience_us = at_us
        next_us = min((at for at in (*others, patience_us, self._next_scan_us) if at is not None), default=None)
        self.eager = next_us is not None and (
            next_us == patience_us or (self._backup_next and next_us == self._next_scan_us)
        )
        return next_us
