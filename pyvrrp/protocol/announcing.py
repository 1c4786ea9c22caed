"""When addresses are announced again: rounds over all addresses, repeated, refreshed (keepalived's `garp_*`)."""

from __future__ import annotations

from pyvrrp.protocol.actions import Burst
from pyvrrp.protocol.settings import AnnouncementSettings


class AnnouncementPlan:
    """
    What is still to be announced while a router is MASTER; pure, the deadline is part of the state.

    Attributes:
        next_deadline_us: When `due` has something to say; None for never.
    """

    __slots__ = ("_again_us", "_lower_again_us", "_refresh_us", "next_deadline_us", "settings")

    def __init__(self, settings: AnnouncementSettings) -> None:
        self.settings = settings
        self._again_us: int | None = None
        self._lower_again_us: int | None = None
        self._refresh_us: int | None = None
        self.next_deadline_us: int | None = None

    def begin(self, burst: Burst, now_us: int) -> int:
        """
        Start a burst.

        Returns:
            Rounds to send now.
        """
        settings = self.settings
        if burst is Burst.LOWER_PRIORITY:
            if settings.lower_delay_us and settings.lower_repeat:
                self._lower_again_us = now_us + settings.lower_delay_us
                self._look_ahead()
            return settings.lower_repeat
        if settings.delay_us:
            self._again_us = now_us + settings.delay_us
        if settings.refresh_us:
            self._refresh_us = now_us + settings.delay_us + settings.refresh_us
        self._look_ahead()
        return settings.repeat

    def due(self, now_us: int) -> int:
        """Rounds to send now; 0 when nothing is due."""
        settings = self.settings
        rounds = 0
        if self._again_us is not None and now_us >= self._again_us:
            self._again_us = None
            rounds = max(rounds, settings.repeat)
        if self._lower_again_us is not None and now_us >= self._lower_again_us:
            self._lower_again_us = None
            rounds = max(rounds, settings.lower_repeat)
        if self._refresh_us is not None and now_us >= self._refresh_us:
            missed = (now_us - self._refresh_us) // settings.refresh_us
            self._refresh_us += (missed + 1) * settings.refresh_us
            rounds = max(rounds, settings.refresh_repeat)
        self._look_ahead()
        return rounds

    def stop(self) -> None:
        """No longer MASTER: nothing more is announced."""
        self._again_us = self._lower_again_us = self._refresh_us = self.next_deadline_us = None

    def _look_ahead(self) -> None:
        waiting = (self._again_us, self._lower_again_us, self._refresh_us)
        self.next_deadline_us = min((at for at in waiting if at is not None), default=None)
