"""
The streams between control and an engine in a process of its own: pickled values on a socket pair, length first.

Both ends are the same program in the same version, and nobody else can reach the socket: pickle is safe here and here
only. Neither end ever blocks: what the socket does not take at once waits here, up to a bound; then `send` says no.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections import deque
from typing import Any, Final

_LENGTH: Final = struct.Struct("=I")
_CHUNK: Final = 1 << 18

WAITING_MAX: Final = 16 << 20
"""Octets that may wait for the other end; a configuration of 255 instances with 20 addresses each has about 1 MB."""


class Pipe:
    """
    One end.

    Attributes:
        dropped: Values that were not sent because too much waited.
    """

    __slots__ = ("_incoming", "_outgoing", "_sock", "_waiting", "dropped")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._incoming = bytearray()
        self._outgoing: deque[memoryview] = deque()
        self._waiting = 0
        self.dropped = 0

    @classmethod
    def pair(cls) -> tuple[socket.socket, socket.socket]:
        """Two connected sockets; make a `Pipe` of one in each process."""
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)

    @property
    def waiting(self) -> bool:
        """Something could not be sent yet: call `flush` when the socket is writable."""
        return bool(self._outgoing)

    def fileno(self) -> int:
        """For the event loop; -1 after `close`."""
        return self._sock.fileno()

    def send(self, value: object) -> bool:
        """
        Send a value, now or as soon as the other end reads.

        Returns:
            False if it was dropped: the other end has not read for too long, or is gone.
        """
        if self._waiting > WAITING_MAX:
            self.dropped += 1
            return False
        octets = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        self._outgoing.append(memoryview(_LENGTH.pack(len(octets)) + octets))
        self._waiting += _LENGTH.size + len(octets)
        self.flush()
        return True

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it; what a dead other end never reads is forgotten."""
        while self._outgoing:
            first = self._outgoing[0]
            try:
                count = self._sock.send(first)
            except (BlockingIOError, TimeoutError):
                return
            except OSError:
                self._outgoing.clear()
                self._waiting = 0
                return
            self._waiting -= count
            if count == len(first):
                self._outgoing.popleft()
            else:
                self._outgoing[0] = first[count:]

    def receive(self) -> list[Any]:
        """
        All values that have arrived whole.

        Raises:
            EOFError: The other end is gone, and nothing of it is left to read.
        """
        ended = False
        while True:
            try:
                octets = self._sock.recv(_CHUNK)
            except BlockingIOError:
                break
            except ConnectionResetError:
                octets = b""
            if not octets:
                ended = True
                break
            self._incoming += octets
        values = []
        start = 0
        while len(self._incoming) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._incoming, start)
            end = start + _LENGTH.size + length
            if end > len(self._incoming):
                break
            values.append(pickle.loads(bytes(self._incoming[start + _LENGTH.size : end])))  # noqa: S301  see the top
            start = end
        if start:
            del self._incoming[:start]
        if ended and not values:
            raise EOFError("the other end is gone")
        return values

    def finish(self, timeout_s: float) -> None:
        """Before the end: wait for the other end to take what still waits, but not longer than that."""
        self._sock.settimeout(timeout_s)
        self.flush()

    def close(self) -> None:
        """Close this end."""
        self._sock.close()
