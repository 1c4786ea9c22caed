"""
Looking at the own health from inside: the daemon's status, judged by `health.py`, within a time.

A full status keeps an engine of many virtual routers busy for a millisecond or two. So the looks of those who are not
known, over HTTP, are shared: however many ask, the engine is asked once in `FRESH_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pyvrrp.daemon.health import Reason, Verdict, alive, judge, lasting, states
from pyvrrp.errors import UsageError, VrrpError

ANSWER_S: Final = 0.9
"""For a look that is shared: the kubelet gives up after 1 s unless it is told otherwise."""

FRESH_S: Final = 1.0
"""How old a shared look may be; probes come every second at most."""

CONFIRM_S: Final = 0.5
"""Until the second look at a daemon that seems unhealthy; what is put right at once is put right by then."""

WAIT_S: Final = 2.0
"""How long those wait who do not say."""

WAIT_MAX_S: Final = 3600.0
"""Nobody waits longer for a probe."""

_OURS: Final = 0.9  # of the time of whoever waits; the rest is for the way

STUCK: Final = "timeout"
"""The engine, or the daemon itself, does not come to answering; the same word where nobody answers at all."""

UNKNOWN: Final = "no-status"


class Looks:
    """
    Looks at one daemon, in the running asyncio loop.

    Args:
        status: Asks the daemon for its status; raises VrrpError if there is none to be had.
    """

    def __init__(self, status: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        self._status = status
        self._shared: asyncio.Task[Verdict] | None = None
        self._shared_s = 0.0

    async def look(self, limit_s: float) -> Verdict:
        """
        Look, and where something seems wrong look again.

        Args:
            limit_s: For all of it.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        try:
            async with asyncio.timeout_at(end):
                status = await self._status()
                reasons = judge(status)
                if not alive(reasons):
                    await asyncio.sleep(min(CONFIRM_S, max(0.0, end - loop.time()) / 2))
                    status = await self._status()
                    reasons = lasting(reasons, judge(status))
        except TimeoutError:
            return Verdict(None, (Reason(STUCK, f"no status within {limit_s:g} s: the engine is stuck"),))
        except VrrpError as error:
            return Verdict(None, (Reason(UNKNOWN, str(error)),))
        return Verdict(states(status), reasons)

    async def command(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        The control command `health`; *within_s* is how long whoever asks will wait.

        Raises:
            UsageError: It is no time.
        """
        wait_s = request.get("within_s", WAIT_S)
        if not isinstance(wait_s, int | float) or not 0 < wait_s <= WAIT_MAX_S:
            raise UsageError(f"within_s is a number of seconds, {WAIT_MAX_S:g} at most")
        return (await self.look(wait_s * _OURS)).as_json()

    async def shared(self) -> Verdict:
        """A look that others may have begun, `FRESH_S` ago at most."""
        now_s = asyncio.get_running_loop().time()
        if self._shared is None or (self._shared.done() and now_s - self._shared_s >= FRESH_S):
            self._shared = asyncio.create_task(self.look(ANSWER_S), name="health")
            self._shared_s = now_s
        return await asyncio.shield(self._shared)  # one client that goes away must not take it from the others

    async def close(self) -> None:
        """End a look that is under way."""
        if self._shared is not None:
            self._shared.cancel()
            await asyncio.gather(self._shared, return_exceptions=True)
            self._shared = None
