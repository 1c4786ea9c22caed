"""What is remembered and told of sync groups between the engine's reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyvrrp.config.model import SyncGroup
from pyvrrp.daemon.lines import Line
from pyvrrp.protocol.constants import US_PER_S
from pyvrrp.protocol.states import State

if TYPE_CHECKING:
    from pyvrrp.protocol.sync_group import GroupSettings

DOWN_INTERVALS: Final = 4
"""A Master_Down_Interval is shorter than so many advertisement intervals: who is parted longer is not about to meet."""


@dataclass(slots=True)
class KnownGroup:
    """
    What is remembered of a sync group.

    Attributes:
        group: As configured, with the members that are run.
        settings: As the engine was told.
        state: As the engine reported it last.
        stopped: Its scripts have been told STOP, and nothing since.
        parting: Runs while its members are parted, until that is said.
        parted: That was said.
    """

    group: SyncGroup
    settings: GroupSettings
    state: State = State.INITIALIZE
    stopped: bool = False
    parting: asyncio.TimerHandle | None = None
    parted: bool = False

    def change(self, group: SyncGroup, settings: GroupSettings) -> None:
        """Go on under a new configuration; what the engine reported last is true until it reports anew."""
        self.group, self.settings = group, settings
        if not settings.may_part:
            self.forget_parting()

    def forget_parting(self) -> None:
        """Whatever it was about to say is not true any more."""
        if self.parting is not None:
            self.parting.cancel()
            self.parting = None

    def part(self, states: Callable[[], Mapping[str, State]], interval_us: int, write: Callable[[Line], None]) -> None:
        """
        Its members are not all MASTER, or all something else: say so if that lasts, and they may.

        Args:
            states: Where each member is.
            interval_us: The longest of their advertisement intervals.
            write: Takes the line.
        """
        if not self.settings.may_part or self.parting is not None or self.parted:
            return

        def say() -> None:
            self.parting = None
            self.parted = True
            now = states()
            masters = [name for name, state in now.items() if state is State.MASTER]
            others = [name for name in now if name not in masters]
            text = (
                f"VRRP_Group({self.group.name}) {', '.join(masters)} is MASTER here and {', '.join(others)} is not: no"
                " other router is heard to run all of them, each is elected alone"
            )
            write(Line("warning", text, {"group": self.group.name}))

        delay_s = DOWN_INTERVALS * interval_us / US_PER_S
        self.parting = asyncio.get_running_loop().call_later(delay_s, say)

    def meet(self, write: Callable[[Line], None]) -> None:
        """Its members are in one state again."""
        self.forget_parting()
        if self.parted:
            self.parted = False
            text = f"VRRP_Group({self.group.name}) {', '.join(self.group.members)} move together again"
            write(Line("info", text, {"group": self.group.name}))
