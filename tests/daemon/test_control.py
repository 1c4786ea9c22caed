"""The control socket: real sockets, good and bad clients."""

# A test may poll, and a file in tmp_path holds nobody up.
# ruff: noqa: ASYNC110, ASYNC240

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.daemon import control
from pyvrrp.daemon.asking import ControlError, ControlFailure, request
from pyvrrp.daemon.control import (
    REQUEST_LIMIT,
    Authorise,
    ControlLimits,
    ControlServer,
    Peer,
    own_user_or_root,
)
from pyvrrp.errors import KernelError, UsageError

Answer = dict[str, Any]


async def status(asked: Mapping[str, Any]) -> Answer:
    return {"instances": ["VI_1"], "asked": dict(asked)}


async def refuse(asked: Mapping[str, Any]) -> Answer:
    raise UsageError(f"no instance {asked.get('instance')}")


async def fail(_: Mapping[str, Any]) -> Answer:
    raise ZeroDivisionError("secret detail")


async def hang(_: Mapping[str, Any]) -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


async def large(_: Mapping[str, Any]) -> Answer:
    return {"text": "x" * 3_000_000}


COMMANDS: control.Commands = {
    "status": (status, False),
    "refuse": (refuse, False),
    "fail": (fail, False),
    "hang": (hang, False),
    "large": (large, False),
}


@contextlib.asynccontextmanager
async def serving(
    path: Path,
    commands: control.Commands = COMMANDS,
    *,
    authorise: Authorise = own_user_or_root,
    limits: ControlLimits | None = None,
    errors: list[tuple[str, Exception]] | None = None,
) -> AsyncIterator[ControlServer]:
    def on_error(name: str, error: Exception) -> None:
        if errors is not None:
            errors.append((name, error))

    server = ControlServer(path, commands, authorise=authorise, limits=limits, on_error=on_error)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(path: Path, command: str, **arguments: Any) -> Answer:
    """The client is synchronous, so it runs beside the loop."""
    return await asyncio.to_thread(request, path, command, **arguments)


async def converse(path: Path, octets: bytes) -> list[Answer]:
    """Send octets, shut our side, read all answers."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(octets)
    writer.write_eof()
    answers = [json.loads(line) async for line in reader]
    writer.close()
    await writer.wait_closed()
    return answers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.mark.asyncio
class TestExchange:
    async def test_request_and_answer(self, path: Path) -> None:
        async with serving(path):
            answer = await ask(path, "status", instance="VI_1", brief=True)
        assert answer == {
            "instances": ["VI_1"],
            "asked": {"command": "status", "instance": "VI_1", "brief": True},
        }

    async def test_answer_is_one_line_on_the_wire(self, path: Path) -> None:
        async with serving(path):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b'{"command": "refuse", "instance": 7}\n')
            assert await reader.readline() == b'{"ok": false, "error": "no instance 7"}\n'
            writer.close()
            await writer.wait_closed()

    async def test_large_answer(self, path: Path) -> None:
        async with serving(path):
            assert len((await ask(path, "large"))["text"]) == 3_000_000

    async def test_several_requests_on_one_connection(self, path: Path) -> None:
        async with serving(path):
            answers = await converse(path, b'{"command": "status"}\n\n  \n{"command": "status"}')
        assert [answer["ok"] for answer in answers] == [True, True]

    @pytest.mark.parametrize(
        ("octets", "error"),
        [
            (b"status", "not JSON: "),
            (b"\xff\xfe\x00", "not JSON: "),
            (b"[" * 50_000, "not JSON: "),
            (b"[1, 2]", 'a request is an object with a "command"'),
            (b"{}", 'a request is an object with a "command"'),
            (b'{"command": ["status"]}', 'a request is an object with a "command"'),
            (b'{"command": "nonsense"}', "no command 'nonsense'; there are: fail, hang, large, refuse, status"),
        ],
    )
    async def test_bad_request_gets_an_answer_and_the_next_is_served(
        self, path: Path, octets: bytes, error: str
    ) -> None:
        async with serving(path):
            bad, good = await converse(path, octets + b'\n{"command": "status"}\n')
        assert bad["ok"] is False
        assert bad["error"].startswith(error)
        assert good["ok"] is True

    async def test_line_beyond_the_limit(self, path: Path) -> None:
        async with serving(path):
            with pytest.raises(ControlError, match=f"a request has at most {REQUEST_LIMIT} octets") as caught:
                await ask(path, "status", filler="x" * (4 << 20))
            assert caught.value.failure is ControlFailure.REFUSED
            assert (await ask(path, "status"))["instances"] == ["VI_1"]

    async def test_failure_inside_is_reported_to_the_daemon_only(self, path: Path) -> None:
        errors: list[tuple[str, Exception]] = []
        async with serving(path, errors=errors):
            with pytest.raises(ControlError, match=r"^fail failed inside: ZeroDivisionError$"):
                await ask(path, "fail")
        assert [(name, str(error)) for name, error in errors] == [("fail", "secret detail")]

    async def test_answer_that_is_not_json_is_a_failure_inside(self, path: Path) -> None:
        async def odd(_: Mapping[str, Any]) -> Answer:
            loop: Answer = {}
            loop["self"] = loop
            return loop

        async with serving(path, {"odd": (odd, False)}):
            with pytest.raises(ControlError, match="odd failed inside: ValueError"):
                await ask(path, "odd")

    async def test_command_that_takes_too_long(self, path: Path) -> None:
        async with serving(path, limits=ControlLimits(handler_s=0.01)):
            with pytest.raises(ControlError, match=r"hang took longer than 0\.01 s"):
                await ask(path, "hang")

    async def test_writes_run_one_at_a_time_and_reads_beside_them(self, path: Path) -> None:
        running = 0
        most = 0
        entered = asyncio.Event()
        release = asyncio.Event()

        async def write(_: Mapping[str, Any]) -> Answer:
            nonlocal running, most
            running += 1
            most = max(most, running)
            entered.set()
            await release.wait()
            running -= 1
            return {}

        async with serving(path, {"write": (write, True), "status": (status, False)}):
            writes = [asyncio.create_task(ask(path, "write")) for _ in range(3)]
            await entered.wait()
            await ask(path, "status")
            release.set()
            await asyncio.gather(*writes)
        assert most == 1


@pytest.mark.asyncio
class TestWho:
    async def test_socket_is_ours_alone(self, path: Path) -> None:
        before = os.umask(0)
        try:
            async with serving(path):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
        finally:
            os.umask(before)

    async def test_peer_is_who_the_kernel_says(self, path: Path) -> None:
        seen: list[tuple[Peer, bool]] = []

        def authorise(peer: Peer, writes: bool) -> bool:
            seen.append((peer, writes))
            return True

        async with serving(path, {"write": (status, True)}, authorise=authorise):
            await ask(path, "write")
        us = Peer(os.getpid(), os.getuid(), os.getgid())
        assert seen == [(us, False), (us, True)]

    async def test_stranger_is_told_so(self, path: Path) -> None:
        async with serving(path, authorise=lambda _peer, _writes: False):
            with pytest.raises(ControlError, match=f"uid {os.getuid()} may not ask this daemon"):
                await ask(path, "status")

    async def test_reader_may_not_write(self, path: Path) -> None:
        commands: control.Commands = {"status": (status, False), "stop": (hang, True)}
        async with serving(path, commands, authorise=lambda _peer, writes: not writes):
            await ask(path, "status")
            with pytest.raises(ControlError, match=f"uid {os.getuid()} may not use stop"):
                await ask(path, "stop")

    async def test_default_is_root_and_the_own_user(self) -> None:
        assert own_user_or_root(Peer(1, os.geteuid(), 0), writes=True)
        assert own_user_or_root(Peer(1, 0, 0), writes=True)
        assert not own_user_or_root(Peer(1, 54321, 0), writes=False)


@pytest.mark.asyncio
class TestBounds:
    async def test_one_client_too_many(self, path: Path) -> None:
        async with serving(path, limits=ControlLimits(clients=1)):
            _, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b'{"command": "hang"}\n')
            with pytest.raises(ControlError, match="too many clients, 1 are served at a time"):
                await ask(path, "status")
            writer.close()
            await writer.wait_closed()

    async def test_silent_client_is_hung_up_on(self, path: Path) -> None:
        async with serving(path, limits=ControlLimits(idle_s=0.01)):
            reader, writer = await asyncio.open_unix_connection(str(path))
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    async def test_client_that_does_not_read_is_hung_up_on(self, path: Path) -> None:
        async with serving(path, limits=ControlLimits(send_s=0.01)) as server:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.connect(str(path))
                client.sendall(b'{"command": "large"}\n')
                while not server._clients:
                    await asyncio.sleep(0)
                while server._clients:
                    await asyncio.sleep(0.001)

    async def test_client_that_goes_away_harms_nobody(self, path: Path) -> None:
        async with serving(path):
            for octets in (b"", b'{"comm', b'{"command": "large"}\n'):
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                    client.connect(str(path))
                    client.sendall(octets)
            assert (await ask(path, "status"))["instances"] == ["VI_1"]

    async def test_stop_waits_for_an_answer_under_way(self, path: Path) -> None:
        entered = asyncio.Event()
        release = asyncio.Event()

        async def slow(_: Mapping[str, Any]) -> Answer:
            entered.set()
            await release.wait()
            return {"done": 1}

        async with serving(path, {"slow": (slow, False)}, limits=ControlLimits(stop_s=60)) as server:
            asked = asyncio.create_task(ask(path, "slow"))
            await entered.wait()
            stopping = asyncio.create_task(server.stop())
            await asyncio.sleep(0)
            release.set()
            await stopping
            assert await asked == {"done": 1}

    async def test_stop_does_not_wait_for_ever(self, path: Path) -> None:
        async with serving(path, limits=ControlLimits(stop_s=0.01)) as server:
            asked = asyncio.create_task(ask(path, "hang"))
            while not server._busy:
                await asyncio.sleep(0.001)
            await server.stop()
            with pytest.raises(ControlError, match="hung up without an answer") as caught:
                await asked
            assert caught.value.failure is ControlFailure.BROKEN


@pytest.mark.asyncio
class TestSocketFile:
    async def test_it_goes_with_the_server(self, path: Path) -> None:
        async with serving(path) as server:
            assert path.is_socket()
            await server.stop()
            assert not path.exists()
            await server.stop()

    async def test_a_stale_one_is_replaced(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(path))
        async with serving(path):
            await ask(path, "status")

    async def test_a_live_one_is_not_taken(self, path: Path) -> None:
        async with serving(path):
            with pytest.raises(ControlError, match="a live daemon listens on"):
                await ControlServer(path, COMMANDS).start()
            await ask(path, "status")

    async def test_one_with_a_full_backlog_is_live(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as live, contextlib.ExitStack() as stack:
            live.bind(str(path))
            live.listen(0)
            with contextlib.suppress(BlockingIOError):
                for _ in range(10):
                    client = stack.enter_context(
                        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                    )
                    client.connect(str(path))
            with pytest.raises(ControlError, match="a live daemon listens on"):
                await ControlServer(path, COMMANDS).start()
            assert path.exists()

    async def test_what_is_no_socket_stays(self, path: Path) -> None:
        path.write_text("precious")
        with pytest.raises(KernelError, match="it is not a socket, and not ours to remove"):
            await ControlServer(path, COMMANDS).start()
        assert path.read_text() == "precious"

    async def test_a_successors_socket_is_not_removed(self, path: Path) -> None:
        async with serving(path) as server:
            path.unlink()
            async with serving(path):
                await server.stop()
                await ask(path, "status")

    async def test_absent_directory(self, tmp_path: Path) -> None:
        with pytest.raises(KernelError, match=r"cannot listen on .*ENOENT"):
            await ControlServer(tmp_path / "absent" / "control.sock", COMMANDS).start()

    async def test_path_longer_than_sun_path(self, tmp_path: Path) -> None:
        deep = tmp_path / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        path = deep / "control.sock"
        async with serving(path):
            assert path.is_socket()
            assert (await ask(path, "status"))["instances"] == ["VI_1"]
            with pytest.raises(ControlError, match="a live daemon listens on"):
                await ControlServer(path, COMMANDS).start()
        assert not path.exists()

    async def test_name_longer_than_sun_path(self, tmp_path: Path) -> None:
        with pytest.raises(KernelError, match="ENAMETOOLONG"):
            await ControlServer(tmp_path / ("x" * 200), COMMANDS).start()
