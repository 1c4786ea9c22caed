"""The TCP check against real ports of the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import pytest

from pyvrrp.config.model import Command, TcpTarget, VrrpScript
from pyvrrp.errors import UsageError
from pyvrrp.protocol.constants import IPAddress
from pyvrrp.trackers.base import TrackerReport, TrackerResult
from pyvrrp.trackers.tcp import TcpTracker, _socket_address, probe

LOCALHOST = IPv4Address("127.0.0.1")
LOCALHOST6 = IPv6Address("::1")
LONG_S = 60.0


@contextlib.contextmanager
def listener(family: int = socket.AF_INET, address: str = "127.0.0.1", backlog: int = 5) -> Iterator[int]:
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind((address, 0))
        server.listen(backlog)
        yield server.getsockname()[1]


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port that is taken, so that nobody else gets it, and not listened on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as trial:
            trial.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.asyncio
async def test_an_open_port() -> None:
    with listener() as port:
        found = await probe(LOCALHOST, port, LONG_S)
    assert found.success
    assert found.reason == f"connected to 127.0.0.1:{port}"


@pytest.mark.asyncio
@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on the loopback interface")
async def test_an_open_port_over_ipv6() -> None:
    with listener(socket.AF_INET6, "::1") as port:
        found = await probe(LOCALHOST6, port, LONG_S)
    assert found.success
    assert found.reason == f"connected to [::1]:{port}"


@pytest.mark.asyncio
async def test_a_closed_port() -> None:
    with closed_port() as port:
        found = await probe(LOCALHOST, port, LONG_S)
    assert not found.success
    assert not found.timed_out
    assert found.reason == f"connection to 127.0.0.1:{port} refused"


@pytest.mark.asyncio
async def test_a_port_that_does_not_answer() -> None:
    """With its backlog full a listener drops what comes, as a filter would."""
    with contextlib.ExitStack() as crowd, listener(backlog=0) as port:
        for _ in range(4):
            waiting = crowd.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        found = await probe(LOCALHOST, port, 0.2)
    assert not found.success
    assert found.timed_out
    assert found.reason == f"connection to 127.0.0.1:{port} timed out after 0.2 s"


@pytest.mark.asyncio
async def test_the_server_sees_an_orderly_end() -> None:
    """End of file, no reset."""
    seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.set_result(await reader.read())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        assert (await probe(LOCALHOST, server.sockets[0].getsockname()[1], LONG_S)).success
        assert await seen == b""


@pytest.mark.asyncio
async def test_a_port_that_connects_to_itself_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Source and destination the same: nobody listens there."""
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def from_the_same_port(sock: socket.socket, _: object) -> None:
        sock.bind(("127.0.0.1", 0))
        await connect(sock, sock.getsockname())

    monkeypatch.setattr(loop, "sock_connect", from_the_same_port)
    found = await probe(LOCALHOST, 80, LONG_S)
    assert not found.success
    assert found.reason == "connection to 127.0.0.1:80 refused"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            OSError(errno.EHOSTUNREACH, "no"),
            "connection to 192.0.2.1:80 failed: No route to host (EHOSTUNREACH)",
        ),
        (TimeoutError(errno.ETIMEDOUT, "no"), "connection to 192.0.2.1:80 timed out"),
    ],
)
async def test_other_failures_name_the_errno(monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", fail)
    found = await probe(IPv4Address("192.0.2.1"), 80, LONG_S)
    assert (found.success, found.reason) == (False, reason)


def test_a_zone_becomes_a_number() -> None:
    """Otherwise asyncio would look the address up in a thread."""
    index = socket.if_nametoindex("lo")
    assert _socket_address(IPv6Address("fe80::1%lo"), 80) == ("fe80::1", 80, 0, index)
    assert _socket_address(IPv6Address("fe80::1%7"), 80) == ("fe80::1", 80, 0, 7)
    assert _socket_address(LOCALHOST6, 80) == ("::1", 80, 0, 0)
    assert _socket_address(LOCALHOST, 80) == ("127.0.0.1", 80)


@pytest.mark.asyncio
async def test_the_tracker_follows_a_port_and_its_default_address() -> None:
    """No address, then a port that is closed, then one that listens."""
    reports: asyncio.Queue[TrackerReport] = asyncio.Queue()
    address: IPAddress | None = None
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        target = VrrpScript("port", tcp=TcpTarget(port), interval_us=20_000, timeout_us=60_000_000)
        task = asyncio.create_task(TcpTracker(target, reports.put_nowait, lambda: address).run())
        expected = [TrackerResult("port", up=False, reason=f"no address yet to reach port {port} at")]
        assert await reports.get() == expected[0]
        address = LOCALHOST
        assert await reports.get() == TrackerResult("port", up=False, reason=f"connection to 127.0.0.1:{port} refused")
        server.listen()
        assert await reports.get() == TrackerResult("port", up=True, reason=f"connected to 127.0.0.1:{port}")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_a_script_without_a_port() -> None:
    with pytest.raises(UsageError, match="no TCP port"):
        TcpTracker(VrrpScript("chk", Command(("true",))), print)
