"""
What systemd is told (sd_notify): ready, reloading, stopping, a line of status, and that we are alive.

Without NOTIFY_SOCKET nothing is sent. A failure never reaches the daemon: each call answers whether the message left,
and the first failure is handed to *on_failure*, once.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

_SEND_TIMEOUT_S: Final = 1.0  # a service manager that does not read must not hold the daemon up


class SdNotify:
    """
    The way to the service manager; made by `from_environment`.

    Args:
        address: NOTIFY_SOCKET: a path, or an abstract name after an `@`; None for no service manager.
        watchdog_us: How often it wants to hear that we are alive, None if it does not.
        on_failure: Told once, in a sentence, why a message could not be sent.
    """

    def __init__(
        self,
        address: str | None,
        *,
        watchdog_us: int | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        self._address = address
        self._on_failure = on_failure
        self._stream: Any = None
        self.failure = ""
        self.watchdog_interval_s = watchdog_us / 2_000_000 if address is not None and watchdog_us else None

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        pid: int | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> Self:
        """Read NOTIFY_SOCKET, and WATCHDOG_USEC where WATCHDOG_PID is absent or *pid* (this process)."""
        environ = os.environ if environ is None else environ
        number = str(os.getpid() if pid is None else pid)
        usec = environ.get("WATCHDOG_USEC", "")
        wanted = usec.isascii() and usec.isdigit() and environ.get("WATCHDOG_PID", number) == number
        return cls(
            environ.get("NOTIFY_SOCKET") or None, watchdog_us=int(usec) if wanted else None, on_failure=on_failure
        )

    async def ready(self, status: str = "") -> bool:
        """READY=1: started, or a reload is over."""
        return await self.send("READY=1", *_status(status))

    async def reloading(self, status: str = "") -> bool:
        """RELOADING=1; `ready` follows. The time is what Type=notify-reload asks for."""
        return await self.send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", *_status(status))

    async def stopping(self, status: str = "") -> bool:
        """STOPPING=1."""
        return await self.send("STOPPING=1", *_status(status))

    async def status(self, text: str) -> bool:
        """STATUS=: what `systemctl status` shows."""
        return await self.send(*_status(text))

    async def watchdog(self) -> bool:
        """WATCHDOG=1: alive."""
        return await self.send("WATCHDOG=1")

    async def run_watchdog(self, alive: Callable[[], bool] = lambda: True) -> None:
        """Say that we are alive, twice in each period, for as long as *alive* says so; nothing if not wanted."""
        while self.watchdog_interval_s is not None:
            if alive():
                await self.watchdog()
            await asyncio.sleep(self.watchdog_interval_s)

    async def send(self, *assignments: str) -> bool:
        """
        Send one message.

        Returns:
            Whether it left; False without a service manager too.
        """
        if self._address is None or not assignments:
            return False
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                if self._stream is None:
                    self._stream = await _connect(self._address)
                await self._stream.send("\n".join(assignments).encode(errors="backslashreplace"))
            # A datagram transport keeps what send(2) answered for the next call: ask now.
            _ = self._stream.exception
        except Exception as error:  # noqa: BLE001  the service manager's troubles are not the daemon's
            self.close()
            self._fail(error)
            return False
        return True

    def close(self) -> None:
        """Close the socket and drop what a manager that does not read has not taken; the next message opens it anew."""
        stream, self._stream = self._stream, None
        if stream is not None:
            # close() would wait for a manager that does not read, and asyncio-dgram offers nothing harder.
            stream._transport.abort()  # noqa: SLF001

    def _fail(self, error: Exception) -> None:
        if not self.failure:
            self.failure = f"cannot notify the service manager at {self._address}: {str(error) or type(error).__name__}"
            if self._on_failure is not None:
                self._on_failure(self.failure)


async def _connect(address: str) -> Any:
    import asyncio_dgram  # noqa: PLC0415  only a daemon under systemd needs it

    if not address.startswith(("/", "@")):
        raise ValueError("only a path or @name is understood")
    return await asyncio_dgram.connect("\0" + address[1:] if address.startswith("@") else address)


def _status(text: str) -> tuple[str, ...]:
    """One line: a newline would begin another assignment."""
    return (f"STATUS={' '.join(text.split())}",) if text else ()
