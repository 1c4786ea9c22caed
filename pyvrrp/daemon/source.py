"""Where a daemon's configuration comes from if not from a file: what `launch` and `supervisor` ask of such a place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyvrrp.config.complaints import Parsed
    from pyvrrp.config.model import Configuration
    from pyvrrp.daemon.telling import Logger


class Source(Protocol):
    """A configuration, and what goes with it; of it everything that can be run is run, at a reload too."""

    @property
    def hangup_ends(self) -> bool:
        """SIGHUP is an end like SIGTERM, not a reload."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not as it was asked for, for `status`."""
        ...

    @property
    def idle(self) -> str:
        """Why nothing is served although something is asked for; empty if something is, or nothing is asked for."""
        ...

    def load(self) -> Parsed:
        """
        Read it for the first time: the engine has been forked, and everybody waits.

        Raises:
            ConfigError: Nothing of it shall be run; the text is for people.
        """
        ...

    def begun(self, log: Logger) -> None:
        """The engine works and there is a log: say what is to be said, do what may take a moment."""
        ...

    def again(self, log: Logger) -> Configuration:
        """
        Read it anew for a reload, in a thread of its own.

        Raises:
            ConfigError: The old one shall run on.
        """
        ...

    async def attend(self, reload: Callable[[], Awaitable[bool]]) -> None:
        """Run beside the daemon; *reload* has it read the configuration anew."""
        ...
