"""One sync group among the instances: what happens to a member is told to it, what it orders is handed to members."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyvrrp.engine.reports import GroupEntered, GroupStatus
from pyvrrp.protocol.actions import Action, AskGroup, Transition
from pyvrrp.protocol.events import AdvertisementReceived, Event
from pyvrrp.protocol.states import State
from pyvrrp.protocol.sync_group import GroupSettings, Order, SyncGroup

if TYPE_CHECKING:
    from pyvrrp.engine.batch import Batch
    from pyvrrp.engine.instance import InstanceRunner


class GroupRunner:
    """
    A sync group, connected to the instances that are its members.

    Attributes:
        settings: As configured.
        runners: Its members by name.
    """

    __slots__ = ("_at_work", "_group", "_orders", "_since_us", "_told", "runners", "settings")

    def __init__(
        self,
        settings: GroupSettings,
        runners: Mapping[str, InstanceRunner],
        now_us: int,
        before: GroupRunner | None = None,
    ) -> None:
        """
        Bring instances together; `revise` is due then.

        Args:
            settings: As configured.
            runners: The instances by name, all of the members among them.
            now_us: Monotonic time.
            before: The group of that name until now, if there was one.
        """
        self.settings = settings
        self.runners = {name: runners[name] for name in settings.members}
        self._group = SyncGroup(settings, {name: runner.router for name, runner in self.runners.items()})
        was = None if before is None else before.status()
        self._told = (State.INITIALIZE, False) if was is None else (was.state, was.parted)
        self._since_us = now_us if was is None else was.since_us
        self._orders: deque[Order] = deque()
        self._at_work = False

    @property
    def handover_us(self) -> int:
        """How long a handover takes: as long as that of the slowest member, unless they may part."""
        if self.settings.may_part:
            return 0
        return max(runner.settings.router.advertisement_interval_us for runner in self.runners.values())

    def told(self, member: str, event: Event, actions: Sequence[Action], now_us: int, batch: Batch) -> None:
        """A member was handed an event: carry out what follows for the others, now."""
        if (self.settings.may_part or self._told[1]) and (
            isinstance(event, AdvertisementReceived) or AskGroup() in actions
        ):
            for runner in self.runners.values():
                runner.catch_up()  # what the sockets kept to themselves was heard, too
        orders = self._group.told(member, event, actions, now_us)
        if orders:
            self._orders.extend(orders)
            self._carry_out(now_us, batch)
        if orders or (actions and isinstance(actions[-1], Transition)):
            self.report(now_us, batch)

    def revise(self, now_us: int, batch: Batch) -> None:
        """Members, or their state machines, may be others than before; `report` is due when they have started."""
        for name, runner in self.runners.items():
            self._group.routers[name] = runner.router
        self._orders.extend(self._group.revise())
        self._carry_out(now_us, batch)

    def report(self, now_us: int, batch: Batch) -> None:
        """Tell control if it is in another state: one in which it stays, unless its members may part."""
        if self._at_work:
            return
        previous, state, parted = self._told[0], self._group.state, self._group.parted
        if parted and previous is not State.INITIALIZE and not self.settings.may_part:
            state = previous  # a member that has just joined is not so far yet
        elif state is State.INITIALIZE and previous is not state and not self.settings.may_part and self._waits():
            state = State.BACKUP  # nor is that a start of the others
        if (state, parted) == self._told:
            return
        if state is not previous:
            self._since_us = now_us
        self._told = (state, parted)
        batch.report(GroupEntered(self.settings.name, previous, state, parted, now_us))

    def status(self) -> GroupStatus:
        """What is true of it now."""
        state, parted = self._told
        return GroupStatus(
            self.settings.name, self.settings.members, state, self._since_us, parted, self.settings.may_part
        )

    def _waits(self) -> bool:
        """A member listens, whatever the others do."""
        return any(runner.router.state is State.BACKUP for runner in self.runners.values())

    def _carry_out(self, now_us: int, batch: Batch) -> None:
        if self._at_work:
            return  # further up the stack
        self._at_work = True
        try:
            while self._orders:
                order = self._orders.popleft()
                batch.regrouped = True  # that member's deadline may be earlier than it was
                self.runners[order.member].tell(order.event, now_us, batch)
        finally:
            self._at_work = False
