"""
`pyvrrp drain`: instances leave the service, make before break, while the daemon runs on; and come back.

keepalived has no such thing. What is drained stays so over reloads and over a new engine, not over the daemon's own
end: a daemon that is started takes part. Its scripts hear STOP, as at the end of the daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from pyvrrp.daemon.keeper import EngineKeeper
from pyvrrp.daemon.telling import Logger, Teller
from pyvrrp.engine.commands import Drain, Resume
from pyvrrp.engine.reports import InstanceStatus
from pyvrrp.errors import UsageError, VrrpError
from pyvrrp.protocol.states import State

HANDOVER_S: Final = 10.0
"""How long a handover that is waited for may take; the engine gives it 3 s."""

_LOOK_S: Final = 0.02


class Draining:
    """
    What is drained.

    Attributes:
        everything: All instances were drained, so those that a reload adds are, too.
    """

    def __init__(self, keeper: EngineKeeper, teller: Teller, log: Logger) -> None:
        self._keeper = keeper
        self._teller = teller
        self._log = log
        self.everything = False

    async def drain(self, instances: Collection[str], *, undo: bool, wait: bool) -> list[str]:
        """
        Take instances out of service or back in.

        Args:
            instances: Their names; none is all.
            undo: Take part again.
            wait: Come back only when they are out, or take part.

        Returns:
            The names of the instances that this was about: also those that move with one of them.

        Raises:
            UsageError: There is no such instance.
            VrrpError: It takes too long, or the engine does not answer.
        """
        known = self._teller.known
        if unknown := [name for name in instances if name not in known]:
            raise UsageError(f"no instance is called {unknown[0]!r}; there are: {', '.join(known) or 'none'}")
        names = self._teller.together(instances) or list(known)
        if not instances:
            self.everything = not undo
        for name in names:
            known[name].drained = not undo
        for one in names if instances else (None,):
            self._keeper.command(Resume(one) if undo else Drain(one))
        said = ", ".join(names) or "no instance"
        self._log.info(f"Taking part again: {said}" if undo else f"Draining: {said}")
        try:
            async with asyncio.timeout(HANDOVER_S):
                while not await self._done(names, undo=undo) and wait:  # noqa: ASYNC110  the engine has to be asked
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError as error:
            raise VrrpError(f"not all of it has happened within {HANDOVER_S:g} s: {said}") from error
        return names

    def before_configure(self) -> None:
        """Tell a new engine, so that what it starts is drained from the first moment on."""
        if self.everything:
            self._keeper.command(Drain(None))

    def after_configure(self) -> None:
        """Tell a new engine, which knows the instances now."""
        for name, known in self._teller.known.items():
            if known.drained is not self.everything:
                self._keeper.command(Drain(name) if known.drained else Resume(name))

    async def _done(self, names: Collection[str], *, undo: bool) -> bool:
        """Ask the engine, which also makes sure that it has the command."""
        answer = await self._keeper.ask()
        return all(_settled(one, undo=undo) for one in answer.instances if one.name in names)


def _settled(one: InstanceStatus, *, undo: bool) -> bool:
    if undo:
        return not one.drained and (one.state is not State.INITIALIZE or bool(one.held))
    return one.drained and one.state is State.INITIALIZE
