"""The built-in TCP check: a port that must accept connections. No shell, no child."""

from __future__ import annotations

import asyncio
import errno as errno_codes
import os
import socket
from collections.abc import Callable

from pyvrrp.config.model import VrrpScript
from pyvrrp.errors import UsageError
from pyvrrp.protocol.constants import IPAddress
from pyvrrp.trackers.base import Outcome, PeriodicCheck, Report


class TcpTracker(PeriodicCheck):
    """
    Connects to a port every interval; rise, fall and weight as for a script.

    Args:
        script: A block with *tcp* set.
        report: Told what is new.
        default_address: Where to connect if the block names no address; None as long as there is none.
        up: As in `PeriodicCheck`.
    """

    def __init__(
        self,
        script: VrrpScript,
        report: Report,
        default_address: Callable[[], IPAddress | None] = lambda: None,
        *,
        up: bool | None = None,
    ) -> None:
        if script.tcp is None:
            raise UsageError(f"script {script.name} has no TCP port")
        super().__init__(script, report, up=up)
        self._target = script.tcp
        self._default_address = default_address

    async def check(self) -> None:
        """Connect once."""
        address = self._target.address or self._default_address()
        if address is None:
            self.settle(Outcome(success=False, reason=f"no address yet to reach port {self._target.port} at"))
        else:
            self.settle(await probe(address, self._target.port, self.timeout_s))


async def probe(address: IPAddress, port: int, timeout_s: float) -> Outcome:
    """
    Whether a port accepts a connection in time.

    The connection is closed in the orderly way: a reset would fill the logs of many servers.
    """
    where = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().sock_connect(connection, _socket_address(address, port))
            # A port of our own that nobody listens on and that the kernel happens to pick as our source connects
            # to itself (RFC 9293 3.5, simultaneous open).
            if connection.getsockname() == connection.getpeername():
                return Outcome(success=False, reason=f"connection to {where} refused")
    except TimeoutError as error:
        # The kernel's own time-out (ETIMEDOUT) is one too, and comes earlier if ours is long.
        limit = "" if error.errno else f" after {timeout_s:g} s"
        return Outcome(success=False, reason=f"connection to {where} timed out{limit}", timed_out=True)
    except ConnectionRefusedError:
        return Outcome(success=False, reason=f"connection to {where} refused")
    except OSError as error:
        number = error.errno or 0
        why = f"{os.strerror(number)} ({errno_codes.errorcode.get(number, number)})"
        return Outcome(success=False, reason=f"connection to {where} failed: {why}")
    return Outcome(success=True, reason=f"connected to {where}")


def _socket_address(address: IPAddress, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    if address.version == 4:
        return str(address), port
    # Given as text, a zone would send asyncio to getaddrinfo in a thread.
    zone = address.scope_id
    index = 0 if zone is None else int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)
    return str(address).partition("%")[0], port, 0, index
