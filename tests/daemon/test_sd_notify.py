"""What systemd hears: real datagram sockets, by path and by abstract name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvrrp.daemon.sd_notify import SdNotify

pytestmark = pytest.mark.asyncio


@contextlib.contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    """The service manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + address[1:] if address.startswith("@") else address)
        listener.settimeout(60)
        yield listener


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@pyvrrp-test-{os.getpid()}"


async def test_what_is_sent(address: str) -> None:
    with manager(address) as systemd, contextlib.closing(SdNotify(address)) as notify:
        assert await notify.ready("2 virtual routers")
        assert await notify.status("VI_1 is MASTER\nREADY=1")
        assert await notify.watchdog()
        assert await notify.stopping()
        assert [systemd.recv(1000) for _ in range(4)] == [
            b"READY=1\nSTATUS=2 virtual routers",
            b"STATUS=VI_1 is MASTER READY=1",
            b"WATCHDOG=1",
            b"STOPPING=1",
        ]


async def test_reloading_carries_the_time(address: str) -> None:
    """Type=notify-reload matches it against the moment of its signal."""
    with manager(address) as systemd, contextlib.closing(SdNotify(address)) as notify:
        before = time.monotonic_ns() // 1000
        assert await notify.reloading()
        after = time.monotonic_ns() // 1000
        first, second = systemd.recv(1000).decode().split("\n")
    assert first == "RELOADING=1"
    name, value = second.split("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= after


async def test_nothing_to_say_is_nothing_sent(address: str) -> None:
    with manager(address), contextlib.closing(SdNotify(address)) as notify:
        assert not await notify.status("")


async def test_without_a_service_manager() -> None:
    notify = SdNotify.from_environment({"WATCHDOG_USEC": "1000"})
    assert not await notify.ready()
    await notify.run_watchdog()
    notify.close()
    assert notify.watchdog_interval_s is None
    assert notify.failure == ""


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("/nonexistent/notify", "No such file or directory"),
        ("vsock:2:1234", "only a path or @name is understood"),
        ("/" + "x" * 200, "AF_UNIX path too long"),
    ],
)
async def test_failure_is_told_once_and_harms_nobody(address: str, why: str) -> None:
    told: list[str] = []
    notify = SdNotify(address, on_failure=told.append)
    assert not await notify.ready()
    assert not await notify.status("still here")
    assert told == [notify.failure]
    assert notify.failure.startswith(f"cannot notify the service manager at {address}: ")
    assert why in notify.failure


async def test_manager_that_goes_and_comes_back(tmp_path: Path) -> None:
    """As when systemd re-executes itself."""
    address = str(tmp_path / "notify")
    with contextlib.closing(SdNotify(address)) as notify:
        with manager(address) as systemd:
            assert await notify.ready()
            systemd.recv(1000)
        assert not await notify.status("unheard")
        Path(address).unlink()  # noqa: ASYNC240  holds nobody up
        with manager(address) as systemd:
            assert await notify.status("heard")
            assert systemd.recv(1000) == b"STATUS=heard"


async def test_manager_that_does_not_read(tmp_path: Path) -> None:
    """The queue of its socket fills up; nobody waits for it."""
    address = str(tmp_path / "notify")
    with manager(address), contextlib.closing(SdNotify(address)) as notify:
        for _ in range(2000):
            if not await notify.status("x" * 1000):
                break
        else:
            pytest.fail("it took everything")


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "77"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "78"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
async def test_watchdog_interval(environ: dict[str, str], interval_s: float | None) -> None:
    notify = SdNotify.from_environment({"NOTIFY_SOCKET": "/run/notify", **environ}, pid=77)
    assert notify.watchdog_interval_s == interval_s


async def test_environment_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@x")
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert SdNotify.from_environment().watchdog_interval_s == 10


async def test_watchdog_is_fed_for_as_long_as_we_are_alive(address: str) -> None:
    answers = iter([True, False, True])

    def alive() -> bool:
        try:
            return next(answers)
        except StopIteration:
            feeding.cancel()
            return False

    with manager(address) as systemd, contextlib.closing(SdNotify(address, watchdog_us=2000)) as notify:
        feeding = asyncio.create_task(notify.run_watchdog(alive))
        with pytest.raises(asyncio.CancelledError):
            await feeding
        assert [systemd.recv(1000) for _ in range(2)] == [b"WATCHDOG=1"] * 2
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(1000)
