"""
The two programs under test on one configuration file: how they are started, watched from outside and ended.

CPU time and memory are those of the whole process tree, as the kernel accounts them.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, Self

from bench.lan import PREFIX_V4, Lan, Namespace, link_local, mac
from pyvrrp.protocol.advertisement import Advertisement, encode
from pyvrrp.protocol.constants import IPAddress
from pyvrrp.protocol.headers import (
    ETHER_TYPE_IPV4,
    ETHER_TYPE_IPV6,
    IpHeader,
    build_ethernet,
    build_ip,
    multicast_hardware_address,
)
from pyvrrp.protocol.timing import master_down_interval_us

PATIENCE_S: Final = 10.0
GROUP_V4, GROUP_V6 = IPv4Address("224.0.0.18"), IPv6Address("ff02::12")

_PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


PATHS: Final = ("auto", "ebpf", "split", "off")
"""What `pyvrrp run --offload` takes: how advertisements reach the engine."""


class Program(enum.StrEnum):
    KEEPALIVED = "keepalived"
    PYVRRP = "pyvrrp"


@dataclass(frozen=True)
class Plan:
    """
    What routers are configured; VRIDs are 1 to *routers*.

    Attributes:
        routers: How many virtual routers.
        interval_us: Between advertisements.
        priority: Of all of them.
        vips: Addresses of each.
        family: 4 or 6.
        head: Lines before the instances.
        body: Lines in each instance.
    """

    routers: int = 1
    interval_us: int = 100_000
    priority: int = 100
    vips: int = 1
    family: int = 4
    head: str = ""
    body: str = ""

    @property
    def deadline_us(self) -> int:
        """From the last advertisement to the end of a backup's patience."""
        return master_down_interval_us(3, self.priority, self.interval_us)

    @property
    def vrids(self) -> range:
        return range(1, self.routers + 1)

    def addresses(self, vrid: int) -> list[IPAddress]:
        """Its virtual addresses; in IPv6 the first is link-local."""
        if self.family == 4:
            base = int(IPv4Address(f"{PREFIX_V4}.16.0")) + vrid * 256 if self.vips > 1 else 0
            single = int(IPv4Address(f"{PREFIX_V4}.1.0")) + vrid
            return [IPv4Address(base + number if base else single) for number in range(1, self.vips + 1)]
        first: list[IPAddress] = [IPv6Address(f"fe80::77:{vrid:x}:0")]
        return first + [IPv6Address(f"fd77::77:{vrid:x}:{number:x}") for number in range(1, self.vips)]

    def configuration(self, priorities: dict[int, int] | None = None) -> str:
        """The file; *priorities* differ from the others."""
        parts = [f"global_defs {{\n    router_id bench\n    vrrp_version 3\n{self.head}\n}}"]
        for vrid in self.vrids:
            priority = (priorities or {}).get(vrid, self.priority)
            lines = [f"{address}/{16 if self.family == 4 else 64}" for address in self.addresses(vrid)]
            # 250 IPv6 addresses do not fit into a message: all but the first go without being advertised.
            listed, more = (lines, []) if self.family == 4 else (lines[:1], lines[1:])
            excluded = "virtual_ipaddress_excluded {\n" + "\n".join(more) + "\n}" if more else ""
            parts.append(
                f"vrrp_instance VI_{vrid} {{\n    interface eth0\n    virtual_router_id {vrid}\n"
                f"    state {'MASTER' if priority == 255 else 'BACKUP'}\n    priority {priority}\n"
                f"    advert_int {self.interval_us / 1e6:g}\n{self.body}\n"
                "virtual_ipaddress {\n" + "\n".join(listed) + f"\n}}\n{excluded}\n}}"
            )
        return "\n".join(parts) + "\n"

    def frames(self, port: str = "r1", priority: int = 200) -> list[bytes]:
        """What a master of another machine sends, one frame for each virtual router."""
        frames = []
        for vrid in self.vrids:
            addresses = self.addresses(vrid)
            listed = tuple(addresses if self.family == 4 else addresses[:1])
            frames.append(frame(port, vrid, priority, self.interval_us, listed))
        return frames


def frame(
    port: str, vrid: int, priority: int, interval_us: int, addresses: tuple[IPAddress, ...], *, ttl: int = 255
) -> bytes:
    """One advertisement as it leaves a port's host."""
    v4 = addresses[0].version == 4
    source: IPAddress = IPv4Address(f"{PREFIX_V4}.0.{mac(port)[-1]}") if v4 else IPv6Address(link_local(port))
    group: IPAddress = GROUP_V4 if v4 else GROUP_V6
    header = IpHeader(source, group, ttl)
    payload = encode(Advertisement(3, vrid, priority, interval_us, addresses), header)
    return build_ethernet(
        multicast_hardware_address(group),
        mac(port),
        ETHER_TYPE_IPV4 if v4 else ETHER_TYPE_IPV6,
        build_ip(header, payload),
    )


@dataclass(frozen=True)
class Setting:
    """
    How programs are started.

    Attributes:
        python: Interpreter of pyvrrp, a file that nobody else runs.
        interpreter: What it is a copy of.
        environment: For it.
        keepalived: The other program.
        directory: For files.
        realtime: Whether SCHED_RR is permitted here.
        path: Which receive path pyvrrp is told to take; None for its own choice.
    """

    python: str
    interpreter: str
    environment: dict[str, str]
    keepalived: str
    directory: Path
    realtime: bool
    path: str | None = None

    @cached_property
    def cores(self) -> tuple[int | None, int | None]:
        """One core for the daemon and one for the generator, where there are two."""
        cores = sorted(os.sched_getaffinity(0))
        return (cores[0], cores[-1]) if len(cores) > 1 else (None, None)


class Daemon:
    """A running daemon; leaving the context ends it."""

    def __init__(
        self,
        setting: Setting,
        lan: Lan,
        port: str,
        program: Program,
        configuration: str,
        *,
        realtime: bool = False,
        pinned: bool = False,
    ) -> None:
        directory = Path(tempfile.mkdtemp(prefix=f"{port}-", dir=setting.directory))
        self.host: Namespace = lan.hosts[port]
        self.file = directory / "keepalived.conf"
        self.file.write_text(configuration)
        self.log = directory / "log"
        self._engine = directory / "vrrp.pid"
        self._runtime = directory / "run"
        self._setting = setting
        self.program = program
        argv = ["-n", "-G", "-f", str(self.file), "-p", str(directory / "pid"), "-r", str(self._engine)]
        if program is Program.PYVRRP:
            argv = [setting.python, "-m", "pyvrrp", "run", *argv, "--runtime-dir", str(self._runtime)]
            if setting.path is not None:
                argv += ["--offload", setting.path]
        else:
            argv = [setting.keepalived, *argv]
        if pinned and setting.cores[0] is not None:
            argv = ["taskset", "-c", str(setting.cores[0]), *argv]
        if realtime and setting.realtime:
            argv = ["chrt", "-r", "20", *argv]
        with self.log.open("wb") as log:
            self.started_us = time.time_ns() / 1e3
            self.process = self.host.start(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                env=setting.environment if program is Program.PYVRRP else None,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_joined(self, family: int = 4) -> Self:
        """Wait until it listens to the VRRP group, which is the last that can be seen from outside of a backup."""
        kind, group = ("igmp", "120000E0") if family == 4 else ("igmp6", "ff020000000000000000000000000012")

        def joined() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended: {self.log.read_text(errors='replace')[-600:]}")
            with self.host.inside():
                return group in Path(f"/proc/thread-self/net/{kind}").read_text()

        wait(joined, "the daemon listens")
        time.sleep(0.4)
        return self

    @property
    def engine(self) -> int:
        """Pid of the process that speaks VRRP."""
        return int(self._engine.read_text()) if self._engine.exists() else self.process.pid

    def ask(self) -> list[str]:
        """The command line of a status query (pyvrrp's alone)."""
        return [self._setting.python, "-m", "pyvrrp", "status", "--json", "--runtime-dir", str(self._runtime)]

    def check_path(self) -> None:
        """
        See that pyvrrp took the receive path that it was told to.

        Raises:
            RuntimeError: It did not, and says which it took.
        """
        if self.program is Program.KEEPALIVED or self._setting.path in (None, "auto"):
            return
        done = subprocess.run(self.ask(), env=self._setting.environment, capture_output=True, check=True)
        taken = {path for path in _values(json.loads(done.stdout), ("path", "offload")) if path in PATHS}
        if taken != {self._setting.path}:
            raise RuntimeError(f"told to take the path {self._setting.path}, status says {', '.join(taken) or 'none'}")

    def cpu_s(self) -> float:
        return tree_cpu_s(self.process.pid)

    def pss_kib(self) -> tuple[int, int]:
        """Proportional memory of the process that speaks VRRP, and of all."""
        tree = process_tree(self.process.pid)
        by_pid = {pid: _pss_kib(pid) for pid in tree}
        return by_pid.get(self.engine, 0), sum(by_pid.values())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """End the whole tree at once: how a daemon ends is a question of its own, and its LAN goes, too."""
        if self.process.poll() is not None:
            return
        # Stopped first: a parent must not start another child between our look and our kill.
        for kind in (signal.SIGSTOP, signal.SIGKILL):
            tree = process_tree(self.process.pid)
            for pid in tree:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, kind)
        self.process.wait()
        for pid in tree[1:]:  # they are ours now, see `adopt_orphans`, and their CPU time is no load by others
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _values(tree: object, keys: Sequence[str]) -> Iterator[str]:
    """What stands under one of *keys*, however deep."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name in keys and isinstance(value, str):
                yield value
            yield from _values(value, keys)
    elif isinstance(tree, list):
        for value in tree:
            yield from _values(value, keys)


def adopt_orphans() -> None:
    """Become the parent of children whose parents we kill."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {patience_s:g} s")
        time.sleep(0.01)


def process_tree(pid: int) -> list[int]:
    """A process and all its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    tree = [pid]
    for member in tree:
        tree.extend(children.get(member, ()))
    return tree


def tree_cpu_s(pid: int) -> float:
    """CPU time of all threads of a process tree, and of those children that it has reaped (in ticks)."""
    total = 0.0
    for member in process_tree(pid):
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{member}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0]) / 1e9
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[13]) + int(fields[14])) * _TICK_S
    return total


def _pss_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def busy_s() -> float:
    """CPU time of the whole machine that somebody used, or took from it."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) * _TICK_S


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
