"""The daemon as a stranger meets it: in a network namespace, with files and signals, and in a world of virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from pyvrrp.daemon.asking import find, request
from pyvrrp.net.simulated import World
from tests.netns import PATIENCE_S, Capture, Network, network, process_tree, says

__all__ = ["network"]

T = TypeVar("T")

IP_PROTOCOL_VRRP = 112
PEER = "192.0.2.2"


def block(name: str, *lines: str) -> str:
    """A block of a configuration."""
    return "\n    ".join((f"{name} {{", *lines)) + "\n}\n"


def instance(
    *more: str,
    name: str = "VI_1",
    vrid: int = 51,
    interface: str = "eth0",
    priority: int = 100,
    vips: Sequence[str] = ("192.0.2.100/24",),
    interval: float = 0.05,
) -> str:
    """A virtual router, quick enough for a test: alone it is MASTER 0.2 s after its start."""
    return block(
        f"vrrp_instance {name}",
        "version 3",
        f"interface {interface}",
        f"virtual_router_id {vrid}",
        f"priority {priority}",
        f"advert_int {interval}",
        "virtual_ipaddress {",
        *(f"    {vip}" for vip in vips),
        "}",
        *more,
    )


class Daemon:
    """A pyvrrp in a namespace; `Daemons` makes them."""

    def __init__(self, owner: Daemons, name: str, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.namespace = owner.namespace
        self.file = owner.file(name)
        self.output = owner.directory / f"{name}.log"
        self._runtime = owner.runtime
        self._log_from = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self.process = owner.namespace.popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=owner.directory,
                env={**os.environ, **environment},
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def text(self) -> str:
        """What it has printed and logged."""
        with self.output.open("rb") as output:
            output.seek(self._log_from)
            return output.read().decode(errors="replace")

    @property
    def messages(self) -> list[str]:
        """The lines without the time, for `--log-format keepalived`."""
        return [re.sub(r"^\w+ \w+ +\d+ [\d:]+ \d+: ", "", line) for line in self.text.splitlines()]

    def says(self, pattern: str, count: int = 1) -> Self:
        """Wait until its output has that so many times."""
        says(self.process, lambda: self.text, pattern, count, self.name)
        return self

    def enters(self, state: str, name: str = "VI_1", count: int = 1) -> Self:
        """Wait until it serves and an instance has been in that state so many times: the engine is there earlier."""
        return self.says("Startup complete").says(rf"\({name}\) Entering {state} STATE", count)

    def status(self) -> dict[str, Any]:
        """What it says of itself."""
        answer: dict[str, Any] = request(find(self._runtime, self.name), "status")["status"]
        return answer

    def instance(self, name: str = "VI_1") -> dict[str, Any]:
        """What it says of one instance."""
        (found,) = (one for one in self.status()["instances"] if one["name"] == name)
        result: dict[str, Any] = found
        return result

    def write(self, text: str) -> Self:
        """Another configuration in its file."""
        self.file.write_text(text)
        return self

    def send(self, number: int) -> Self:
        self.process.send_signal(number)
        return self

    def reload(self, text: str, expect: str = "Reload complete") -> Self:
        """Give it another configuration and wait until it says so."""
        count = len(re.findall(expect, self.text))
        return self.write(text).send(signal.SIGHUP).says(expect, count + 1)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop and wait for its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit code."""
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            error.add_note(self.text)
            raise

    def kill(self) -> None:
        """End it, engine and all, without a chance to clean up."""
        if self.process.poll() is None:
            for kind in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: none may see another die
                for pid in process_tree(self.process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, kind)
            self.process.wait()


class Daemons:
    """
    A router with a cable to a peer, and daemons on the router.

    Attributes:
        namespace: The router, 192.0.2.1 on eth0.
        peer: The other end, 192.0.2.2 on eth0.
    """

    def __init__(self, network: Network, directory: Path) -> None:
        self.directory = directory
        self.runtime = directory / "run"
        self.namespace = network.namespace("router")
        self.peer = network.namespace("peer")
        self.started: list[Daemon] = []
        self._network = network
        self.plug()

    def plug(self) -> None:
        """Put the cable in."""
        self._network.veth(self.namespace, "eth0", self.peer, "eth0")
        self.namespace.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
        self.peer.ip("addr", "add", f"{PEER}/24", "dev", "eth0")

    def file(self, name: str = "one") -> Path:
        return self.directory / f"{name}.conf"

    def command(self, name: str, options: Sequence[str]) -> list[str]:
        """The command line of a daemon."""
        own = ["-f", str(self.file(name)), "--name", name, "--runtime-dir", str(self.runtime), "-G"]
        return [sys.executable, "-m", "pyvrrp", "run", *own, *options]

    def start(
        self,
        text: str,
        *options: str,
        name: str = "one",
        wrapper: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        foreground: bool = True,
    ) -> Daemon:
        """Start a daemon; *wrapper* comes before its command line."""
        self.file(name).write_text(text)
        front = ("-n", "-l", "--log-format", "keepalived") if foreground else ()
        argv = [*wrapper, *self.command(name, (*front, *options))]
        daemon = Daemon(self, name, argv, environment or {})
        self.started.append(daemon)
        return daemon

    def serve(self, text: str, *options: str, **more: Any) -> Daemon:
        """Start one and wait until it serves."""
        return self.start(text, *options, **more).says("Startup complete")

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of pyvrrp in the router."""
        argv = self.namespace.command([sys.executable, "-m", "pyvrrp", *arguments])
        return subprocess.run(argv, capture_output=True, text=True, check=check, cwd=self.directory)

    def close(self) -> None:
        for daemon in self.started:
            daemon.kill()
        for daemon in self.started:
            assert "Traceback" not in daemon.output.read_text(errors="replace")


@pytest.fixture
def daemons(network: Network, tmp_path: Path) -> Iterator[Daemons]:
    """Daemons of a test; none outlives it, and none ever shows a traceback."""
    made = Daemons(network, tmp_path)
    try:
        yield made
    finally:
        made.close()


def advertised(frame: bytes) -> tuple[int, int] | None:
    """VRID and priority of an IPv4 advertisement; None if the frame is none."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] != IP_PROTOCOL_VRRP:
        return None
    payload = frame[14 + (frame[14] & 15) * 4 :]
    return payload[1], payload[2]


def advertisements(capture: Capture) -> list[tuple[int, int]]:
    """VRID and priority of all advertisements that came so far."""
    return [found for frame in capture.pending() if (found := advertised(frame)) is not None]


def alive(pid: int) -> bool:
    """Whether that process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def executable(path: Path, text: str) -> Path:
    """A script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def lines(path: Path) -> list[str]:
    """Lines of a file that need not be there yet."""
    return path.read_text().splitlines() if path.exists() else []


# Virtual time


class _Selector(selectors.DefaultSelector):
    """Waits in the world's time; in real time as long as something real, a child for example, is watched."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        step_s = 0.001 if timeout is None else min(max(timeout, 0.0), 0.001)
        real = len(self.get_map()) > 1  # the loop itself watches one descriptor
        ready = super().select(step_s if real else 0)
        if not ready:
            self._world.run(self._world.now_us + round(step_s * 1e6))
        return ready


class WorldLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of a simulated world."""

    def __init__(self, world: World) -> None:
        super().__init__(_Selector(world))
        self._world = world

    def time(self) -> float:
        return self._world.now_us / 1e6


def play(world: World, scene: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the world's time."""
    with asyncio.Runner(loop_factory=lambda: WorldLoop(world)) as runner:
        return runner.run(scene)


class Waker:
    """Lives on a simulated host and calls a function when there are packets or news for it."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake

    def step(self) -> None:
        self._wake()


async def eventually(condition: Callable[[], T], what: str) -> T:
    """Wait, a minute of the loop's time at most, until *condition* answers something true."""
    end = asyncio.get_running_loop().time() + 60
    while not (result := condition()):
        assert asyncio.get_running_loop().time() < end, f"{what}: did not come"
        await asyncio.sleep(0.001)
    return result


class Lines:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, dict[str, Any]]] = []

    def debug(self, event: str, **fields: Any) -> None:
        self.kept.append(("debug", event, fields))

    def info(self, event: str, **fields: Any) -> None:
        self.kept.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.kept.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.kept.append(("error", event, fields))

    @property
    def texts(self) -> list[str]:
        return [text for _, text, _ in self.kept]

    def of(self, level: str) -> list[str]:
        return [text for kept, text, _ in self.kept if kept == level]

    def has(self, pattern: str) -> bool:
        return any(re.search(pattern, text) for text in self.texts)
