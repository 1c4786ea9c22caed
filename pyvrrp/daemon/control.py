"""
The control socket of a running daemon: how `pyvrrp status` and its like ask and order; `asking.py` is their end.

A Unix stream socket, mode 0600, in the daemon's own directory (`runtime.py`). A request is one line of JSON,
`{"command": "status", ...}`; the answer is one line, `{"ok": true, ...}` or `{"ok": false, "error": "..."}`. A client
may send one request after another. Rules:

* only root and the daemon's own user are heard; commands that change something are marked, go through the
  authorisation with that mark, and run one at a time;
* sizes, clients and times are bounded: nobody who connects can hold the daemon up;
* a request that is no good gets an error for an answer, and the connection goes on; only after a line that exceeds
  the limit it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from pyvrrp.daemon.asking import ControlError, ControlFailure, address_of, peer_of
from pyvrrp.daemon.locks import refusal
from pyvrrp.errors import KernelError, VrrpError

REQUEST_LIMIT: Final = 64 << 10  # a request names a command and an instance or two


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is on the other end of a control connection."""

    pid: int
    uid: int
    gid: int


Handler: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Takes the request (all its members), answers with the members that follow `"ok": true`."""

Commands: TypeAlias = Mapping[str, tuple[Handler, bool]]
"""For each command its handler, and whether it changes anything."""

Authorise: TypeAlias = Callable[[Peer, bool], bool]
"""Whether this peer may read (False) or write (True)."""


def own_user_or_root(peer: Peer, writes: bool) -> bool:  # noqa: ARG001  the default makes no difference
    """The default authorisation: reading tells secrets of the network, so it is no freer than writing."""
    return peer.uid in {0, os.geteuid()}


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """
    Bounds of the server.

    Attributes:
        clients: Connections at a time; one more is told so and closed.
        idle_s: How long a client may take for its next request.
        handler_s: How long a command may take.
        send_s: How long a client may take to read its answer.
        stop_s: How long `stop` waits for answers under way.
    """

    clients: int = 16
    idle_s: float = 30.0
    handler_s: float = 30.0
    send_s: float = 10.0
    stop_s: float = 1.0


class ControlServer:
    """
    Serves *commands* on a socket at *path*, in the running asyncio loop.

    Args:
        path: `RuntimeDirectory.socket_path`.
        commands: Name, handler, whether it writes.
        authorise: Who may do what.
        on_error: Told of a handler that failed unexpectedly: command and exception. The client hears its name only.
        limits: Bounds.
    """

    def __init__(
        self,
        path: Path,
        commands: Commands,
        *,
        authorise: Authorise = own_user_or_root,
        on_error: Callable[[str, Exception], None] | None = None,
        limits: ControlLimits | None = None,
    ) -> None:
        self.path = path
        self._commands = commands
        self._authorise = authorise
        self._on_error = on_error
        self._limits = limits if limits is not None else ControlLimits()
        self._server: asyncio.Server | None = None
        self._identity: tuple[int, int] | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()

    async def start(self) -> None:
        """
        Listen; a socket that a dead daemon left goes, that of a live one is never taken.

        Raises:
            ControlError: Somebody listens there.
            KernelError: The socket cannot be made.
        """
        listener = _listen(self.path)
        try:
            facts = self.path.lstat()
            self._identity = (facts.st_dev, facts.st_ino)
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=REQUEST_LIMIT)
        except BaseException:
            listener.close()
            raise

    async def stop(self) -> None:
        """Stop listening, give answers under way a moment, close all connections, remove the socket."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in self._clients - self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(self._busy, timeout=self._limits.stop_s)
        for task in self._clients:
            task.cancel()
        if self._clients:
            await asyncio.wait(self._clients)
        await server.wait_closed()
        with contextlib.suppress(FileNotFoundError):
            facts = self.path.lstat()
            if (facts.st_dev, facts.st_ino) == self._identity:
                self.path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        writer.transport.set_write_buffer_limits(high=0)  # so that drain means: all of it has left
        try:
            peer = Peer(*peer_of(writer.get_extra_info("socket")))
            if len(self._clients) > self._limits.clients:
                await self._send(writer, _no(f"too many clients, {self._limits.clients} are served at a time"))
            elif self._authorise(peer, False):
                await self._converse(task, peer, reader, writer)
            else:
                await self._send(writer, _no(f"uid {peer.uid} may not ask this daemon"))
        except (OSError, TimeoutError):
            writer.transport.abort()  # it went away, or does not read: nobody is left to tell
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            self._clients.discard(task)
            writer.close()

    async def _converse(
        self, task: asyncio.Task[None], peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while self._server is not None:
            async with asyncio.timeout(self._limits.idle_s):
                line = await _read_line(reader)
            if line == b"":
                return
            if line is None:
                await self._send(writer, _no(f"a request has at most {REQUEST_LIMIT} octets; good-bye"))
                return
            self._busy.add(task)
            try:
                await self._send(writer, await self._answer(peer, line))
            finally:
                self._busy.discard(task)

    async def _answer(self, peer: Peer, line: bytes) -> bytes:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            return _no(f"not JSON: {error}")
        name = request.get("command") if isinstance(request, dict) else None
        if not isinstance(name, str):
            return _no('a request is an object with a "command"')
        if name not in self._commands:
            return _no(f"no command {name[:64]!r}; there are: {', '.join(sorted(self._commands))}")
        handler, writes = self._commands[name]
        if not self._authorise(peer, writes):
            return _no(f"uid {peer.uid} may not use {name}")
        try:
            async with asyncio.timeout(self._limits.handler_s):
                if writes:
                    async with self._writing:
                        answer = await handler(request)
                else:
                    answer = await handler(request)
            return json.dumps({"ok": True, **answer}, default=str).encode() + b"\n"
        except TimeoutError:
            return _no(f"{name} took longer than {self._limits.handler_s:g} s")
        except VrrpError as error:
            return _no(str(error))
        except Exception as error:  # noqa: BLE001  whatever a handler does, the daemon lives on
            if self._on_error is not None:
                self._on_error(name, error)
            return _no(f"{name} failed inside: {type(error).__name__}")

    async def _send(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        writer.write(octets)
        async with asyncio.timeout(self._limits.send_s):
            await writer.drain()


def _no(error: str) -> bytes:
    return json.dumps({"ok": False, "error": error}).encode() + b"\n"


def _listen(path: Path) -> socket.socket:
    """A listening socket at *path*, in the place of a stale one."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        os.fchmod(listener.fileno(), 0o600)  # before bind: on Linux the file is made with this mode
        with address_of(path) as address:
            try:
                listener.bind(address)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                _remove_stale(path, address)
                listener.bind(address)
        path.chmod(0o600)  # the umask may have taken more than it should
        listener.listen(16)
    except OSError as error:
        listener.close()
        raise refusal("listen on", path, error) from error
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path, address: str) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise KernelError("listen on", str(path), errno.EADDRINUSE, "it is not a socket, and not ours to remove")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # alive, with a full backlog
    raise ControlError(ControlFailure.REFUSED, f"a live daemon listens on {path}")


async def _read_line(reader: asyncio.StreamReader) -> bytes | None:
    """The next line; b"" at the end, None if it is too long."""
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            line = error.partial  # the last request may lack its newline
        except asyncio.LimitOverrunError:
            return None
        if line.strip() or not line:
            return line
