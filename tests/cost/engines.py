"""
What is measured: an engine in this process that is stepped by hand, or a daemon, on a wire with one peer.

The peer is no engine but prepared frames, so that nothing but the measured side is counted. An advertisement crosses a
veth and a bridge within the call that sends it; `Wire.arrived` says so for sockets that hand it up.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest

import pyvrrp
from pyvrrp.net import linux
from pyvrrp.net.system import ReceivePath
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.headers import (
    ETHER_TYPE_IPV4,
    build_ethernet,
    build_ipv4,
    multicast_hardware_address,
)
from pyvrrp.protocol.states import State
from tests.engine.worlds import RealHost, RealLan, advertisement, settings
from tests.netns import PATIENCE_S, Capture, Namespace, Network, process_tree, until

OWN, PEER = "192.0.2.1", "192.0.2.9"
ROUTERS = 10
"""Virtual routers that listen: more than one, so that nothing is cheap because it is always the same one."""

_PACKAGE = str(Path(pyvrrp.__file__).parent)


def vips(vrid: int, count: int = 1) -> list[str]:
    """Addresses of a virtual router."""
    return [f"10.{vrid}.{number // 250}.{number % 250 + 1}/8" for number in range(count)]


class Wire:
    """
    A host to be measured, a peer's frames, and a capture at the host's port of the switch.

    Attributes:
        lan: For an engine in this process.
        host: Namespace for a daemon.
        capture: What leaves the host.
    """

    def __init__(self, network: Network) -> None:
        self._closing = contextlib.ExitStack()
        self.lan = RealLan(network)
        self._closing.callback(self.lan.close)
        self._network = network
        self._peer = network.namespace("peer")
        network.veth(self.lan.switch, "peer", self._peer, "eth0")
        self.lan.switch.ip("link", "set", "peer", "master", "br0")
        with self._peer.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
            self._closing.callback(self._socket.close)
            self._socket.bind(("eth0", 0))
        self._hardware_address = self._peer.hardware_address()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def engine(self, monkeypatch: pytest.MonkeyPatch, path: ReceivePath | None = None) -> RealHost:
        """A host with an engine in this process, on one of the receive paths or on its own choice."""
        system = linux.LinuxSystem
        monkeypatch.setattr(linux, "LinuxSystem", lambda **_: system(path=path))  # RealHost asks for the class by name
        return self.lan.host("measured", f"{OWN}/8")

    def namespace(self) -> tuple[Namespace, Capture]:
        """A host for a daemon, and what leaves it."""
        host = self._network.namespace("measured")
        self._network.veth(self.lan.switch, "host", host, "eth0")
        self.lan.switch.ip("link", "set", "host", "master", "br0")
        host.ip("addr", "add", f"{OWN}/8", "dev", "eth0")
        return host, self._closing.enter_context(Capture(self.lan.switch, "host"))

    def frame(self, vrid: int, priority: int = 200, *, interval_us: int, count: int = 1) -> bytes:
        """An advertisement of the peer."""
        sent = advertisement(PEER, priority, vrid=vrid, interval_us=interval_us, vips=vips(vrid, count))
        group = multicast_hardware_address(Family.V4.group)
        packet = build_ipv4(sent.header, sent.payload)
        return build_ethernet(group, self._hardware_address, ETHER_TYPE_IPV4, packet)

    def send(self, frames: Sequence[bytes]) -> None:
        """Put frames on the wire."""
        for frame in frames:
            self._socket.send(frame)


def unread(host: Namespace) -> int:
    """Octets in the raw sockets of a host that nobody has read."""
    text = host.call(Path("/proc/thread-self/net/raw").read_text)
    return sum(int(line.split()[4].split(":")[1], 16) for line in text.splitlines()[1:])


def is_backup_of_peer(host: RealHost, names: Sequence[str]) -> bool:
    """Whether the engine has heard the peer for all of them."""
    told = {one.name: one for one in host.status().instances}
    return all(told[name].state is State.BACKUP and str(told[name].master) == PEER for name in names)


def listening(wire: Wire, host: RealHost, interval_us: int = 1_000_000) -> list[bytes]:
    """Let the engine be BACKUP of the peer in all its routers; returns the peer's frames."""
    names = [f"VI_{vrid}" for vrid in range(1, ROUTERS + 1)]
    host.configure(
        *(settings(name, vrid=vrid, vips=vips(vrid), interval_us=interval_us) for vrid, name in enumerate(names, 1))
    )
    frames = [wire.frame(vrid, interval_us=interval_us) for vrid in range(1, ROUTERS + 1)]

    def heard() -> bool:
        wire.send(frames)
        host.step()
        return is_backup_of_peer(host, names)

    until(heard, "the engine hears its peer")
    for _ in range(20):  # whatever is learned from a repetition is learned now
        wire.send(frames)
        host.step()

    def all_read() -> bool:
        host.step()
        return not unread(host.namespace)

    until(all_read, "what was sent is read")
    return frames


def received(host: RealHost) -> int:
    """Advertisements that the engine has counted, on whatever path."""
    return sum(one.counters.get("advertisements-received", 0) for one in host.status().instances)


def sent(host: RealHost) -> int:
    """Advertisements that the engine has sent."""
    return sum(one.counters.get("advertisements-sent", 0) for one in host.status().instances)


class Calls:
    """Counts function calls of pyvrrp in this thread while it is entered; it may be entered again and again."""

    def __init__(self) -> None:
        self.count = 0
        self._ours: dict[Any, bool] = {}

    def __enter__(self) -> Self:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if event in {"call", "c_call"}:
            code = frame.f_code
            ours = self._ours.get(code)
            if ours is None:
                ours = self._ours[code] = code.co_filename.startswith(_PACKAGE)
            self.count += ours


def is_woken(host: RealHost) -> bool:
    """Whether an event loop would step the engine now."""
    poll = select.poll()
    for descriptor in host.engine.readables:
        poll.register(descriptor, select.POLLIN)
    due = host.deadline_us is not None and host.deadline_us <= time.monotonic_ns() // 1000
    return due or bool(poll.poll(0))


def run(host: RealHost, seconds: float, calls: Calls | None = None) -> None:
    """Wake the engine when it wants to be woken, for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        deadline_us = host.deadline_us
        assert deadline_us is not None
        time.sleep(max(0.0, min(0.1, deadline_us / 1e6 - time.monotonic())))
        if calls is None:
            host.step()
        else:
            with calls:
                host.step()


def masters(host: RealHost, interval_us: int) -> None:
    """Let 255 routers be masters, and done with their announcements."""
    names = {vrid: f"VI_{vrid}" for vrid in range(1, 256)}
    host.configure(
        *(settings(name, vrid=vrid, vips=vips(vrid), interval_us=interval_us) for vrid, name in names.items())
    )

    def all_serve() -> bool:
        host.step()
        return all(one.state == "MASTER" for one in host.status().instances)

    until(all_serve, "all are masters")
    run(host, 0.5)


class Daemon:
    """`pyvrrp run` in a namespace, watched from outside; leaving the context ends it."""

    def __init__(self, host: Namespace, directory: Path, configuration: str, path: ReceivePath | None = None) -> None:
        file, self._engine = directory / "keepalived.conf", directory / "engine.pid"
        file.write_text(configuration)
        self.log = directory / "log"
        argv = [sys.executable, "-m", "pyvrrp", "run", "-n", "-l", "-G", "-f", str(file), "-p", str(directory / "pid")]
        argv += ["-r", str(self._engine), "--runtime-dir", str(directory / "run")]
        if path is not None:
            argv += ["--offload", path]
        self._host = host
        with self.log.open("wb") as log:
            self.process = host.popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for kind in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, lest a parent starts another child meanwhile
            for pid in process_tree(self.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, kind)
        self.process.wait(PATIENCE_S)

    @property
    def engine(self) -> int:
        """Pid of the engine's process."""
        return int(self._engine.read_text())

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until that is true, or the daemon has ended."""

        def reached() -> bool:
            assert self.process.poll() is None, f"the daemon ended: {self.log.read_text(errors='replace')}"
            return bool(condition())

        until(reached, what)

    def waits(self) -> int:
        """Octets in its raw sockets that it has not read."""
        return unread(self._host)

    def listens(self) -> bool:
        """Whether it has a raw socket."""
        return len(self._host.call(Path("/proc/thread-self/net/raw").read_text).splitlines()) > 1


class SystemCalls:
    """
    Counts the system calls of a process and its threads by strace, from the entry on.

    Those by which threads wait for each other are not in the total: a thread that wants the interpreter asks again
    after each switch interval, so that their number says how slow the machine was and not what was done.

    Attributes:
        calls: By name, after the exit.
    """

    def __init__(self, pid: int, directory: Path, meanwhile: Callable[[], object] = lambda: None) -> None:
        """
        Prepare.

        Args:
            pid: The process.
            directory: For strace's table.
            meanwhile: Called again and again while strace attaches.
        """
        self.calls: dict[str, int] = {}
        self._pid, self._table, self._meanwhile = pid, directory / "calls", meanwhile

    @property
    def total(self) -> int:
        return sum(number for name, number in self.calls.items() if name != "futex")

    def __enter__(self) -> Self:
        argv = ["strace", "-f", "-c", "-o", str(self._table), "-p", str(self._pid)]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

        def attached() -> bool:
            self._meanwhile()
            assert self._process.poll() is None, f"strace ended: {self._said()}"
            tasks = Path(f"/proc/{self._pid}/task").iterdir()
            return all("\nTracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)

        try:
            until(attached, "strace is there")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        for fields in map(str.split, self._table.read_text().splitlines()):
            if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
                self.calls[fields[-1]] = int(fields[3])

    def _end(self) -> None:
        self._process.send_signal(signal.SIGINT)  # detaches and writes the table
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.read().decode(errors="replace")

    def most(self, count: int = 8) -> Iterator[str]:
        """The commonest, for people."""
        for name, number in sorted(self.calls.items(), key=lambda one: -one[1])[:count]:
            yield f"{name} {number}"
