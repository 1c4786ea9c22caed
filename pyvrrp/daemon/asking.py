"""
The asking end of the control socket: who runs, one request, its answer. What is said there is in `control.py`.

Probes run it every few seconds, so nothing is imported that only a daemon needs.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import json
import os
import socket
import struct
import time
from pathlib import Path

from pyvrrp.daemon.locks import SOCKET_FILE, namespace_inode, read_pid, survey
from pyvrrp.errors import KernelError, VrrpError

TYPE_CHECKING = False  # as the `typing` module has it, whose import is a tenth of a probe
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

ANSWER_LIMIT: Final = 64 << 20  # `status` of 255 routers is 1 MB

_SUN_PATH: Final = 107  # octets of sun_path less the closing NUL
_PEERCRED: Final = struct.Struct("3i")


class ControlFailure(enum.StrEnum):
    """What went wrong between the command line and the daemon."""

    NOT_RUNNING = "not-running"
    AMBIGUOUS = "ambiguous"
    NOT_PERMITTED = "not-permitted"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    BROKEN = "broken"


class ControlError(VrrpError):
    """The daemon could not be asked, or said no; *failure* says which, the text says it to a person."""

    def __init__(self, failure: ControlFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


def request(path: Path, command: str, /, *, timeout_s: float = 10.0, **arguments: object) -> dict[str, Any]:
    """
    Ask the daemon behind *path*, and wait for the answer.

    Args:
        path: See `find`.
        command: Name of the command.
        timeout_s: For the whole exchange.
        arguments: Further members of the request.

    Returns:
        The members of the answer, without `ok`.

    Raises:
        ControlError: It could not be asked, or said no.
    """
    line = json.dumps({"command": command, **arguments}, default=str).encode() + b"\n"
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection, path, deadline)
            _, uid, _ = peer_of(connection)
            if os.geteuid() not in {0, uid} and uid != 0:
                raise ControlError(
                    ControlFailure.NOT_PERMITTED, f"{path} is served by uid {uid}, neither root nor us: not asked"
                )
            # A server that hangs up early has said why: read that, whatever became of the sending.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(line)
            octets = _read_answer(connection, deadline)
        except TimeoutError as error:
            raise ControlError(
                ControlFailure.TIMEOUT, f"no answer from the daemon within {timeout_s:g} s ({path})"
            ) from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise ControlError(ControlFailure.NOT_RUNNING, f"no daemon is running ({path})") from error
        except PermissionError as error:
            raise ControlError(
                ControlFailure.NOT_PERMITTED, f"no right to use {path}: ask as root or as the daemon's user"
            ) from error
        except OSError as error:
            raise ControlError(ControlFailure.BROKEN, f"cannot talk to {path}: {error.strerror or error}") from error
    return _understand(path, octets)


def find(base: Path, name: str | None = None, *, namespace: int | None = None) -> Path:
    """
    The control socket of the running daemon.

    In the caller's own network namespace first; if none runs there, in the others.

    Args:
        base: See `locks.base_directory`.
        name: Of the daemon; None if there is but one.
        namespace: Inode of the own network namespace, None for that of this thread.

    Raises:
        ControlError: None runs, several do, or the directory may not be read.
    """
    try:
        inode = namespace_inode() if namespace is None else namespace
        daemons, unreadable = survey(base, None, _Daemon)
    except KernelError as error:
        raise ControlError(ControlFailure.NOT_PERMITTED, f"cannot look for the daemon: {error}") from error
    wanted = [daemon for daemon in daemons if name is None or daemon.name == name]
    here = [daemon for daemon in wanted if daemon.namespace == inode]
    candidates = here or wanted
    if len(candidates) == 1:
        return candidates[0].path / SOCKET_FILE
    called = f" called {name}" if name is not None else ""
    if candidates:
        where = "in this network namespace" if here else "in other network namespaces, none in this one"
        raise ControlError(
            ControlFailure.AMBIGUOUS,
            f"several daemons{called} run {where}; say which: {', '.join(map(_describe, candidates))}",
        )
    if unreadable:
        hidden = ", ".join(map(str, unreadable))
        raise ControlError(
            ControlFailure.NOT_PERMITTED, f"no daemon{called} to be seen in {base}, but no right to look into {hidden}"
        )
    running = f"; there are: {', '.join(map(_describe, daemons))}" if daemons else ""
    raise ControlError(ControlFailure.NOT_RUNNING, f"no daemon{called} is running (looked in {base}){running}")


class _Daemon:
    """A live daemon: its directory, and where it runs."""

    __slots__ = ("name", "namespace", "path", "pid")

    def __init__(self, path: Path, namespace: int, _directory: int, lock: int) -> None:
        self.name = path.name
        self.namespace = namespace
        self.path = path
        self.pid = read_pid(lock)


def _describe(daemon: _Daemon) -> str:
    return f"{daemon.name} (pid {daemon.pid or 'unknown'}, network namespace {daemon.namespace})"


def peer_of(connection: socket.socket) -> tuple[int, int, int]:
    """Who is on the other end, as the kernel says: pid, uid, gid."""
    return _PEERCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))


@contextlib.contextmanager
def address_of(path: Path) -> Iterator[str]:
    """What to hand to bind or connect: the path, or a short one to the same place if it exceeds sun_path."""
    if len(os.fsencode(path)) <= _SUN_PATH:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        short = f"/proc/self/fd/{directory}/{path.name}"
        if len(os.fsencode(short)) > _SUN_PATH:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path))
        yield short
    finally:
        os.close(directory)


def _connect(connection: socket.socket, path: Path, deadline: float) -> None:
    with address_of(path) as address:
        while True:
            connection.settimeout(_left(deadline))
            try:
                connection.connect(address)
            except BlockingIOError:
                time.sleep(0.01)  # the backlog is full; a Unix socket does not wait for that by itself
            else:
                return


def _read_answer(connection: socket.socket, deadline: float) -> bytes:
    octets = bytearray()
    while not octets.endswith(b"\n"):
        connection.settimeout(_left(deadline))
        chunk = connection.recv(1 << 16)
        octets += chunk
        if not chunk:
            break
        if len(octets) > ANSWER_LIMIT:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    return bytes(octets)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _understand(path: Path, octets: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(octets)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        said = "hung up without an answer" if not octets else "gave an answer that is not understood"
        raise ControlError(ControlFailure.BROKEN, f"the daemon {said} ({path})")
    if not answer.pop("ok"):
        raise ControlError(ControlFailure.REFUSED, str(answer.get("error", "refused without a reason")))
    return answer
