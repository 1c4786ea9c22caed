"""`/healthz` and `/readyz` over HTTP: any octets, good clients and bad ones, and a whole daemon beside a probe."""

# A test may poll.
# ruff: noqa: ASYNC110

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyvrrp.config.listening import Listening, read_listening
from pyvrrp.daemon.health import Reason, Verdict
from pyvrrp.daemon.http import HttpHealth, HttpLimits
from pyvrrp.daemon.http_message import HEAD_LIMIT, BadRequest, Request, end_of_head, read_request, write_answer
from tests.daemon.conftest import Daemon, Daemons, Lines, block, daemons, instance, network
from tests.netns import PATIENCE_S, until

__all__ = ["daemons", "network"]

PLAIN = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:8112\r\nUser-Agent: kube-probe/1.31\r\n\r\n"
LOST = Reason("addresses-missing", "VI_1 is MASTER without 192.0.2.100 on the interface", "VI_1")
FAULT = Reason("not-taking-part", "VI_1 is FAULT: exited with 1", "VI_1", liveness=False)


class TestReading:
    @pytest.mark.parametrize(
        ("head", "expected"),
        [
            (PLAIN, Request("GET", "/healthz")),
            (b"HEAD /readyz HTTP/1.0\r\n\r\n", Request("HEAD", "/readyz")),
            (b"GET /readyz?verbose HTTP/1.1\nHost:\n\n", Request("GET", "/readyz")),
            (b"GET http://node:8112/readyz HTTP/1.1\r\nHost: x\r\n\r\n", Request("GET", "/readyz")),
            (b"GET HTTP://node HTTP/1.1\r\nhOsT: x\r\n\r\n", Request("GET", "/")),
            (b"DELETE * HTTP/1.9\r\nHost: x\r\nA: \xff\t\r\n\r\n", Request("DELETE", "*")),
        ],
    )
    def test_good(self, head: bytes, expected: Request) -> None:
        assert end_of_head(head + b"rest") == len(head)
        assert read_request(head) == expected

    @pytest.mark.parametrize(
        ("head", "status"),
        [
            (b"\r\n\r\n", 400),
            (b"GET /healthz\r\n\r\n", 400),
            (b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            (b"GET /heal\xffthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
            (b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
            (b"GET /healthz HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
            (b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n", 400),
            (b"GET /healthz HTTP/1.1\r\nHost: x\0\r\n\r\n", 400),
            (b"GET /healthz HTTP/1.1\r\nHost: x\r\ry\r\n\r\n", 400),
            (b"GET /healthz HTTP/2.0\r\n\r\n", 505),
            (b"GET /healthz HTTP/1.0\r\nA: " + b"x" * HEAD_LIMIT + b"\r\n\r\n", 431),
        ],
    )
    def test_bad(self, head: bytes, status: int) -> None:
        assert end_of_head(head) == len(head)
        with pytest.raises(BadRequest) as caught:
            read_request(head)
        assert caught.value.status == status

    @given(st.binary() | st.binary().map(lambda octets: PLAIN[:30] + octets + b"\r\n\r\n"))
    @example(b"GET http:// HTTP/1.0\r\n\r\n")
    def test_any_octets(self, octets: bytes) -> None:
        """They are a request or they are not; nothing else happens, and a part of a head is never taken for one."""
        end = end_of_head(octets)
        assert end is None or re.search(rb"\r?\n\r?\n\Z", octets[:end])
        with contextlib.suppress(BadRequest):
            path = read_request(octets if end is None else octets[:end]).path
            assert path.isprintable()
            assert " " not in path

    def test_answer(self) -> None:
        assert write_answer(405, b"{}\n", now_s=784111777.0) == (
            b"HTTP/1.1 405 Method Not Allowed\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            b"Content-Type: application/json\r\nContent-Length: 3\r\nCache-Control: no-store\r\n"
            b"X-Content-Type-Options: nosniff\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n{}\n"
        )


class Look:
    """Gives a verdict when it may."""

    def __init__(self, verdict: Verdict | Exception) -> None:
        self.verdict = verdict
        self.asked = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> Verdict:
        self.asked += 1
        await self.go.wait()
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


WELL = Verdict({"MASTER": 1})


class Served:
    """A server on a port of its own."""

    def __init__(self, look: Look, limits: HttpLimits | None = None, where: str = "[::1]:1", **more: Any) -> None:
        self.log = Lines()
        address = read_listening(where).address
        self.server = HttpHealth(Listening(address, more.pop("port", 0)), look, self.log, limits=limits, **more)
        self.task = asyncio.create_task(self.server.run())

    async def listens(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            while not self.log.of("info"):
                await asyncio.sleep(0.001)
        return self.server.where.port

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(str(self.server.where.address), await self.listens())

    async def ask(self, *octets: bytes, end: bool = False) -> bytes:
        """Send these one after another, and read until the server ends its side."""
        reader, writer = await self.open()
        for each in octets:
            writer.write(each)
            await writer.drain()
            await asyncio.sleep(0)
        if end:
            writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return answer

    @property
    def connections(self) -> int:
        return len(self.server._connections)

    async def has(self, connections: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.connections != connections:
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def serving(look: Look, limits: HttpLimits | None = None, **more: Any) -> AsyncIterator[Served]:
    served = Served(look, limits, **more)
    try:
        await served.listens()
        yield served
    finally:
        served.task.cancel()
        await asyncio.gather(served.task, return_exceptions=True)
        await served.has(0)


def parsed(answer: bytes) -> tuple[int, Any]:
    """Status and body; the head says how long the body is."""
    head, _, body = answer.partition(b"\r\n\r\n")
    match = re.search(rb"\r\nContent-Length: (\d+)\r\n", head + b"\r\n")
    assert match is not None
    assert int(match[1]) == len(body)
    return int(head.split()[1]), json.loads(body)


@pytest.mark.asyncio
class TestServer:
    @pytest.mark.parametrize(
        ("path", "verdict", "status", "codes"),
        [
            ("/healthz", WELL, 200, []),
            ("/readyz", WELL, 200, []),
            ("/healthz", Verdict({"FAULT": 1}, (FAULT,)), 200, []),
            ("/readyz", Verdict({"FAULT": 1}, (FAULT,)), 503, ["not-taking-part"]),
            ("/healthz", Verdict({"MASTER": 1, "FAULT": 1}, (LOST, FAULT)), 503, ["addresses-missing"]),
            (
                "/readyz",
                Verdict({"MASTER": 1, "FAULT": 1}, (LOST, FAULT)),
                503,
                ["addresses-missing", "not-taking-part"],
            ),
            ("/readyz", Verdict(None, (Reason("timeout", "no status"),)), 503, ["timeout"]),
        ],
    )
    async def test_verdicts(self, path: str, verdict: Verdict, status: int, codes: list[str]) -> None:
        """What `pyvrrp health --json` says; without the reasons that do not count."""
        async with serving(Look(verdict)) as served:
            found, told = parsed(await served.ask(b"GET %s HTTP/1.0\r\n\r\n" % path.encode()))
        assert (found, [reason["code"] for reason in told["reasons"]]) == (status, codes)
        assert (told["alive"], told["ready"]) == (verdict.alive, verdict.ready)
        assert told["instances"] == (verdict.states or {})

    @pytest.mark.parametrize(
        ("octets", "status"),
        [
            (b"GET / HTTP/1.0\r\n\r\n", 404),
            (b"POST / HTTP/1.0\r\n\r\n", 404),
            (b"POST /healthz HTTP/1.0\r\nContent-Length: 9\r\n\r\n", 405),
            (b"nonsense\r\n\r\n", 400),
            (b"GET /healthz HTTP/3.0\r\n\r\n", 505),
            (b"x" * (HEAD_LIMIT + 1), 431),
        ],
    )
    async def test_what_nobody_looks_for(self, octets: bytes, status: int) -> None:
        look = Look(WELL)
        async with serving(look) as served:
            found, told = parsed(await served.ask(octets, b"and more" * 1000))
        assert (found, list(told), look.asked) == (status, ["error"], 0)

    async def test_head(self) -> None:
        async with serving(Look(WELL)) as served:
            head = await served.ask(b"HEAD /healthz HTTP/1.0\r\n\r\n")
            whole = await served.ask(b"GET /healthz HTTP/1.0\r\n\r\n")
            missing = await served.ask(b"HEAD /nothing HTTP/1.0\r\n\r\n")
        assert head.endswith(b"\r\n\r\n")
        assert re.sub(rb"Date: .*\r\n", b"", head) == re.sub(rb"Date: .*\r\n", b"", whole.partition(b"{")[0])
        assert missing.startswith(b"HTTP/1.1 404 ")
        assert missing.endswith(b"\r\n\r\n")

    async def test_octet_by_octet(self) -> None:
        async with serving(Look(WELL)) as served:
            assert parsed(await served.ask(*(bytes([octet]) for octet in PLAIN)))[0] == 200

    async def test_a_client_that_ends_its_side_first(self) -> None:
        look = Look(WELL)
        look.go.clear()
        async with serving(look) as served:
            asking = asyncio.create_task(served.ask(PLAIN, end=True))
            while not look.asked:
                await asyncio.sleep(0.001)
            look.go.set()
            assert parsed(await asking)[0] == 200
            assert await served.ask(b"GET /heal", end=True) == b""
            assert await served.ask(end=True) == b""
            await served.has(0)

    async def test_a_look_that_fails(self) -> None:
        """It is an answer, a line in the log, and nothing that the client sees of the inside."""
        async with serving(Look(KeyError("secret"))) as served:
            status, told = parsed(await served.ask(PLAIN))
            assert (status, told) == (500, {"error": "Internal Server Error"})
            assert served.log.of("error") == ["health over HTTP failed: KeyError('secret')"]

    async def test_a_look_that_takes_too_long(self) -> None:
        look = Look(WELL)
        look.go.clear()
        async with serving(look, HttpLimits(answer_s=0.1)) as served:
            assert parsed(await served.ask(PLAIN))[0] == 503

    async def test_the_end_waits_for_nobody(self) -> None:
        look = Look(WELL)
        look.go.clear()
        async with serving(look) as served:
            reader, writer = await served.open()
            writer.write(PLAIN)
            while not look.asked:
                await asyncio.sleep(0.001)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.asyncio
class TestBounds:
    async def test_a_slow_client(self) -> None:
        async with serving(Look(WELL), HttpLimits(request_s=0.05)) as served:
            assert parsed(await served.ask(b"GET /healthz HTTP/1.0\r\n"))[0] == 408

    async def test_a_silent_client(self) -> None:
        async with serving(Look(WELL), HttpLimits(request_s=0.05)) as served:
            reader, writer = await served.open()
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            await served.has(0)
            writer.close()

    async def test_slow_clients_keep_nobody_out(self) -> None:
        """Each place is taken by one that will never ask; the one that asks is answered, the oldest of them gone."""
        async with serving(Look(WELL), HttpLimits(clients=4, request_s=3600)) as served:
            slow = []
            for number in range(1, 8):
                slow.append(await served.open())
                slow[-1][1].write(b"GET /healthz HTTP/1.1\r\nX: ")
                await served.has(min(number, 4))
            assert parsed(await served.ask(PLAIN))[0] == 200
            with contextlib.suppress(ConnectionResetError):
                assert await slow[0][0].read() == b""
            for _, writer in slow:
                writer.close()
            await served.has(0)

    async def test_more_who_wait_than_places(self) -> None:
        """They have asked and are owed an answer; the newcomer has to try again."""
        look = Look(WELL)
        look.go.clear()
        async with serving(look, HttpLimits(clients=3)) as served:
            asking = [asyncio.create_task(served.ask(PLAIN)) for _ in range(3)]
            while look.asked < 3:
                await asyncio.sleep(0.001)
            with contextlib.suppress(ConnectionResetError):
                assert await served.ask(PLAIN) == b""
            look.go.set()
            assert [parsed(answer)[0] for answer in await asyncio.gather(*asking)] == [200] * 3

    async def test_many_clients(self) -> None:
        async with serving(Look(WELL)) as served:
            for _ in range(10):
                answers = await asyncio.gather(*(served.ask(PLAIN) for _ in range(20)))
                assert [parsed(answer)[0] for answer in answers] == [200] * 20

    async def test_a_client_that_goes_on_talking(self) -> None:
        async with serving(Look(WELL), HttpLimits(rest=1000)) as served:
            with contextlib.suppress(ConnectionError):
                await served.ask(PLAIN, *[b"x" * 1000] * 100)
            await served.has(0)

    async def test_a_client_that_does_not_leave(self) -> None:
        async with serving(Look(WELL), HttpLimits(answer_s=0.05)) as served:
            reader, writer = await served.open()
            writer.write(PLAIN)
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
            await served.has(0)
            writer.close()


@pytest.mark.asyncio
class TestPort:
    @pytest.mark.parametrize("where", ["127.0.0.1:1", "[::1]:1", "0.0.0.0:1", "[::]:1"])
    async def test_addresses(self, where: str) -> None:
        async with serving(Look(WELL), where=where) as served:
            assert served.log.of("info") == [f"Health over HTTP on {served.server.where}: /healthz, /readyz"]
            assert parsed(await served.ask(PLAIN))[0] == 200

    async def test_every_address_is_those_of_ipv4_too(self) -> None:
        async with serving(Look(WELL), where="[::]:1") as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.server.where.port)
            writer.write(PLAIN)
            assert parsed(await reader.read())[0] == 200
            writer.close()

    async def test_a_port_that_is_taken(self) -> None:
        """One error, whatever the number of attempts; and it is served when it is free."""
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
            port = other.getsockname()[1]
            served = Served(Look(WELL), port=port, retry_s=0.001)
            while not served.server.problem:
                await asyncio.sleep(0.001)
            for _ in range(20):
                await asyncio.sleep(0.001)
        expected = f"cannot serve health over HTTP on [::1]:{port}: Address already in use (EADDRINUSE)"
        assert await served.listens() == port
        assert served.server.problem == ""
        assert served.log.of("error") == [f"{expected}; tried again every 0.001 s"]
        assert parsed(await served.ask(PLAIN))[0] == 200
        served.task.cancel()
        await asyncio.gather(served.task, return_exceptions=True)


def get(daemon: Daemon, path: str, method: str = "GET", timeout_s: float = PATIENCE_S) -> tuple[int, Any]:
    """Status and body, as a probe of the same node sees them."""

    def ask() -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", 8112, timeout=timeout_s)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            assert response.getheader("Cache-Control") == "no-store"
            body = response.read()
            return response.status, json.loads(body) if body else None
        finally:
            connection.close()

    return daemon.namespace.call(ask)


@pytest.mark.root
class TestDaemon:
    def test_off_by_default(self, daemons: Daemons) -> None:
        daemon = daemons.serve(instance()).enters("MASTER")
        with pytest.raises(ConnectionRefusedError):
            get(daemon, "/healthz")

    def test_a_life(self, daemons: Daemons) -> None:
        """Ready, not ready but alive, not alive; a stuck engine is told within the second that probes wait."""
        check = block("vrrp_script chk", "script '/usr/bin/test -e ok'", "interval 1", "user root")
        (daemons.directory / "ok").touch()
        text = check.replace("-e ok", f"-e {daemons.directory}/ok") + instance("track_script {", "    chk", "}")
        daemon = daemons.serve(text, "--http-health", "8112").enters("MASTER")
        until(lambda: get(daemon, "/readyz")[0] == 200, "ready")
        status, told = get(daemon, "/healthz")
        assert (status, told["instances"]) == (200, {"MASTER": 1})
        assert get(daemon, "/readyz", "HEAD") == (200, None)
        assert get(daemon, "/readyz", "POST")[0] == 405
        assert get(daemon, "/")[0] == 404

        (daemons.directory / "ok").unlink()
        daemon.enters("FAULT")
        until(lambda: get(daemon, "/readyz")[0] == 503, "not ready")
        _, told = get(daemon, "/readyz")
        assert [reason["code"] for reason in told["reasons"]] == ["not-taking-part"]
        assert get(daemon, "/healthz")[0] == 200

        (daemons.directory / "ok").touch()
        daemon.enters("MASTER", count=2)
        engine = daemon.status()["daemon"]["engine_pid"]
        os.kill(engine, signal.SIGSTOP)
        until(lambda: get(daemon, "/healthz")[0] == 503, "not alive")
        _, told = get(daemon, "/healthz")
        assert (told["alive"], told["ready"], [reason["code"] for reason in told["reasons"]]) == (
            False, None, ["timeout"],
        )  # fmt: skip
        assert get(daemon, "/readyz")[0] == 503
        os.kill(engine, signal.SIGCONT)
        until(lambda: get(daemon, "/healthz")[0] == 200, "alive again")
        assert daemon.end() == 0

    def test_a_port_that_is_taken(self, daemons: Daemons) -> None:
        """The daemon serves all the same, and says so."""
        with daemons.namespace.inside():
            other = socket.create_server(("127.0.0.1", 8112))
        with other:
            daemon = daemons.serve(instance(), "--http-health", "8112").enters("MASTER")
            problem = "cannot serve health over HTTP on 127.0.0.1:8112: Address already in use (EADDRINUSE)"
            daemon.says(re.escape(problem))
            assert daemon.status()["daemon"]["warnings"] == [problem]
        assert daemon.text.count(problem) == 1
        assert daemon.end() == 0
