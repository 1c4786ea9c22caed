"""
`/healthz` and `/readyz` over HTTP, for probes that start no program: `pyvrrp health` from the same judgement.

Off unless asked for, since whoever reaches the port may ask. Rules:

* one request a connection, GET or HEAD; octets, clients and times are bounded, and answers hold nothing secret;
* when all places are taken the oldest connection that has not asked yet has to go: a client that is slow on purpose
  keeps nobody out;
* the engine is asked by `looks.py`, once a second at most;
* a port that cannot be had is one error in the log, and is tried again: the daemon serves its addresses meanwhile. To
  refuse would take them from the network for the sake of a question about them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from pyvrrp.config.listening import Listening
from pyvrrp.daemon.health import Verdict
from pyvrrp.daemon.http_message import (
    HEAD_LIMIT,
    METHODS,
    REASONS,
    BadRequest,
    Request,
    end_of_head,
    read_request,
    write_answer,
)
from pyvrrp.daemon.telling import Logger

ALIVE: Final = "/healthz"
READY: Final = "/readyz"

RETRY_S: Final = 5.0
"""Until a port that could not be had is tried again: a predecessor ends, an address comes."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """
    Bounds of the server.

    Attributes:
        clients: Connections at a time.
        request_s: How long a client may take to ask.
        answer_s: How long the answer may take to be there, and then to be read.
        rest: Octets after a request that are thrown away, before the connection is.
    """

    clients: int = 32
    request_s: float = 2.0
    answer_s: float = 5.0
    rest: int = 64 << 10


class HttpHealth:
    """
    The server, in the running asyncio loop.

    Args:
        where: Address and port.
        look: Gives the verdict; it is asked once for each request.
        log: Told of a port that cannot be had, and when it can.
        limits: Bounds.
        retry_s: See `RETRY_S`.

    Attributes:
        problem: Why nobody can ask at present, empty if all is well.
        where: Address and port; where any port will do (0), the one that was given.
    """

    def __init__(
        self,
        where: Listening,
        look: Callable[[], Awaitable[Verdict]],
        log: Logger,
        *,
        limits: HttpLimits | None = None,
        retry_s: float = RETRY_S,
    ) -> None:
        self.where = where
        self.problem = ""
        self.limits = limits if limits is not None else HttpLimits()
        self._look = look
        self._log = log
        self._retry_s = retry_s
        self._connections: dict[_Connection, None] = {}  # oldest first

    async def run(self) -> None:
        """Serve until cancelled."""
        server = await self._listen()
        try:
            await server.start_serving()
            await asyncio.Event().wait()  # serve_forever would, at its end, wait for clients
        finally:
            server.close()
            for connection in list(self._connections):
                connection.abort()

    async def _listen(self) -> asyncio.Server:
        while True:
            try:
                listener = _listener(self.where)
            except OSError as error:
                problem = f"cannot serve health over HTTP on {self.where}: {_words(error)}"
                if problem != self.problem:
                    self._log.error(f"{problem}; tried again every {self._retry_s:g} s")
                self.problem = problem
                await asyncio.sleep(self._retry_s)
                continue
            self.problem = ""
            self.where = Listening(self.where.address, listener.getsockname()[1])
            self._log.info(f"Health over HTTP on {self.where}: {ALIVE}, {READY}")
            loop = asyncio.get_running_loop()
            return await loop.create_server(lambda: _Connection(self), sock=listener, start_serving=False)

    def admit(self, connection: _Connection) -> None:
        """Take one more; if that is too many, the oldest that waits for nothing of ours goes, or this one."""
        self._connections[connection] = None
        if len(self._connections) > self.limits.clients:
            oldest = next((one for one in self._connections if not one.awaits_answer), connection)
            oldest.abort()
            self.forget(oldest)

    def forget(self, connection: _Connection) -> None:
        """It is gone."""
        self._connections.pop(connection, None)

    async def answer(self, request: Request) -> bytes:
        """Everything that is sent for a request."""
        head_only = request.method == "HEAD"
        if request.path not in {ALIVE, READY}:
            return refusal(404, head_only=head_only)
        if request.method not in METHODS:
            return refusal(405)
        try:
            async with asyncio.timeout(self.limits.answer_s):
                verdict = await self._look()
        except TimeoutError:
            return refusal(503, head_only=head_only)
        except Exception as error:  # noqa: BLE001  whatever a look meets, the daemon lives on
            self._log.error(f"health over HTTP failed: {error!r}")
            return refusal(500, head_only=head_only)
        told = verdict.as_json()
        if request.path == ALIVE:
            told["reasons"] = [reason.as_json() for reason in verdict.reasons if reason.liveness]
        good = verdict.alive if request.path == ALIVE else bool(verdict.ready)
        return write_answer(200 if good else 503, _body(told), head_only=head_only)


class _Connection(asyncio.Protocol):
    """One client: its request, our answer, and a moment to read it."""

    def __init__(self, server: HttpHealth) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._head = bytearray()
        self._rest = 0
        self._asked = False
        self._ended = False
        self._task: asyncio.Task[None] | None = None

    @property
    def awaits_answer(self) -> bool:
        """It has asked, and has not been answered."""
        return self._task is not None and not self._task.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._wait(self._server.limits.request_s, self._too_late)
        self._server.admit(self)

    def data_received(self, data: bytes) -> None:
        if self._asked:
            self._rest += len(data)
            if self._rest > self._server.limits.rest:
                self.abort()
            return
        self._head += data
        end = end_of_head(self._head)
        if end is None and len(self._head) <= HEAD_LIMIT:
            return
        try:
            request = read_request(bytes(self._head[:end]))
        except BadRequest as error:
            self._send(refusal(error.status))
            return
        self._asked = True
        self._wait(self._server.limits.answer_s * 2, self.abort)
        self._task = asyncio.get_running_loop().create_task(self._answer(request))

    def eof_received(self) -> bool:
        """A client may end its side once it has asked, and is answered all the same."""
        self._ended = True
        return self.awaits_answer

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  of the protocol
        self._server.forget(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()

    async def _answer(self, request: Request) -> None:
        self._send(await self._server.answer(request))

    def _too_late(self) -> None:
        if self._head:
            self._send(refusal(408))
        else:
            self.abort()  # it has only connected, as load balancers do to see whether they can

    def _send(self, octets: bytes) -> None:
        """The answer and the end of our side. What still comes is thrown away: a reset would overtake the answer."""
        assert self._transport is not None
        self._asked = True
        self._head.clear()
        if self._transport.is_closing():
            return
        self._wait(self._server.limits.answer_s, self.abort)
        self._transport.write(octets)
        if self._ended:
            self._transport.close()
        else:
            self._transport.write_eof()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)


def refusal(status: int, *, head_only: bool = False) -> bytes:
    """An answer that says only why there is none."""
    return write_answer(status, _body({"error": REASONS[status]}), head_only=head_only)


def _body(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode("ascii") + b"\n"


def _listener(where: Listening) -> socket.socket:
    """A listening socket; raises OSError."""
    family = socket.AF_INET if where.address.version == 4 else socket.AF_INET6
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a predecessor's last connections do not count
        if family == socket.AF_INET6:  # [::] is every address, those of IPv4 too
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not where.address.is_unspecified)
        listener.bind((str(where.address), where.port))
        listener.listen(64)
        stack.pop_all()
    return listener


def _words(error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    return f"{os.strerror(error.errno or 0)} ({name})"
