"""A switch, routers and a client in network namespaces, with real daemons of either program on the routers."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.interop.capture import Capture
from tests.interop.wire import IPAddress
from tests.netns import PATIENCE_S, Namespace, process_tree, until


class Program(enum.StrEnum):
    """What runs on a router."""

    KEEPALIVED = "keepalived"
    PYVRRP = "pyvrrp"


class Daemon:
    """A keepalived or a pyvrrp on a node."""

    def __init__(self, node: Node, program: Program, configuration: str, name: str) -> None:
        directory = node.directory / name
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.program = program
        self.node = node
        self._runtime = ["--runtime-dir", str(node.directory / "run"), "--name", name]
        self.file = directory / "keepalived.conf"
        self.file.write_text(configuration)
        self.log = directory / f"{program}.log"
        own = ["--pid", str(directory / "pid"), "--vrrp_pid", str(directory / "vrrp_pid")]
        argv = ["-n", "-l", "-D", "-f", str(self.file), *own]
        if program is Program.KEEPALIVED:
            argv = ["keepalived", "-G", *argv]  # without -G each line goes to the console too, at its price
        else:
            argv = [sys.executable, "-m", "pyvrrp", "run", *argv, *self._runtime]
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        # The suite's own load must not starve the routers: at 0.1 s a third of a second is a failover.
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                node.namespace.command(["nice", "-n", "-10", *argv]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has logged since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def status(self) -> dict[str, Any]:
        """The answer of `pyvrrp status --json`."""
        assert self.program is Program.PYVRRP
        argv = [sys.executable, "-m", "pyvrrp", "status", "--json", *self._runtime]
        answer: dict[str, Any] = json.loads(self.node.namespace.run(argv))
        return answer

    def instance(self, name: str = "VI_1") -> dict[str, Any]:
        """That part of `status` that is about one instance."""
        (found,) = (one for one in self.status()["instances"] if one["name"] == name)
        instance: dict[str, Any] = found
        return instance

    def state(self, name: str = "VI_1") -> str:
        """State of an instance by its log line, which both programs have in the same words; empty before the first."""
        states = re.findall(rf"\({name}\) Entering (\w+) STATE", self.text)
        return states[-1] if states else ""

    def wait_state(self, state: str, name: str = "VI_1") -> Self:
        """Wait until an instance is in *state*."""

        def reached() -> bool:
            assert self.process.poll() is None, f"{self.program} on {self.node.name} ended:\n{self.text}"
            return self.state(name) == state

        until(reached, f"{self.program} on {self.node.name} is {state}")
        return self

    def terminate(self) -> int:
        """Ask it to stop, as an operator does, and wait for its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End the whole process tree with SIGKILL; addresses stay where they are."""
        if self.process.returncode is not None:
            return
        # Stopped first: a parent must not start another child between our look and our kill.
        for kind in (signal.SIGSTOP, signal.SIGKILL):
            tree = process_tree(self.process.pid)
            for pid in tree:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, kind)
        self.process.wait(PATIENCE_S)
        # Whoever comes next may ask whether the process ids in the pid files are alive.
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in tree), f"processes {tree} are gone")


class Node:
    """A machine: a namespace, `eth0` in it, and a cable to the switch."""

    def __init__(self, switch: Namespace, name: str, number: int, directory: Path) -> None:
        self.name = name
        self.number = number
        self.mac = f"02:00:00:00:00:{number:02x}"
        self.ipv4 = IPv4Address(f"192.0.2.{number}")
        self.namespace = Namespace(name)
        self.daemons: list[Daemon] = []
        self._switch = switch
        self.directory = directory / name
        for key in ("all", "default"):
            # Duplicate Address Detection would keep the link-local address, VRRP's source in IPv6, back for a second.
            self.namespace.sysctl(f"net/ipv6/conf/{key}/accept_dad", 0)
        cable = ["type", "veth", "peer", "name", "eth0", "address", self.mac, "netns", self.namespace.path]
        switch.ip("link", "add", name, *cable)
        switch.ip("link", "set", name, "master", "bridge", "up")
        self._bring_up()

    def start(self, program: Program, configuration: str, name: str = "daemon") -> Daemon:
        """Start a daemon; one *name* is one place for files, whatever program uses it next time."""
        daemon = Daemon(self, program, configuration, name)
        self.daemons.append(daemon)
        return daemon

    def cut_power(self) -> None:
        """Make it a dead node: no process says farewell, and its kernel answers nobody for the addresses it has."""
        for daemon in self.daemons:
            daemon.kill()
        self._switch.ip("link", "set", self.name, "down")
        self.plugged = False

    def plug_in(self) -> None:
        """Boot it again: its own addresses, no others, and the cable back in."""
        self.namespace.ip("link", "set", "eth0", "down")
        self.namespace.ip("address", "flush", "dev", "eth0")
        self._switch.ip("link", "set", self.name, "up")
        self._bring_up()

    def _bring_up(self) -> None:
        self.plugged = True
        self.namespace.ip("link", "set", "eth0", "up")
        self.namespace.ip("address", "add", f"{self.ipv4}/24", "dev", "eth0")
        self.namespace.ip("address", "add", f"2001:db8::{self.number}/64", "dev", "eth0")

    @property
    def link_local(self) -> str:
        """Its own link-local address, as the kernel makes it from the hardware address."""
        return f"fe80::ff:fe00:{self.number:x}"

    def has(self, address: IPAddress) -> bool:
        """Whether *address* is on its interface."""
        (link,) = self.namespace.ip_json("address", "show", "dev", "eth0")
        return str(address) in {one["local"] for one in link["addr_info"]}

    def neighbour(self, address: IPAddress) -> str:
        """Hardware address that it has for *address*, empty if none."""
        entries = self.namespace.ip_json("neighbour", "show", "to", str(address), "dev", "eth0")
        return next((str(entry.get("lladdr", "")) for entry in entries), "")

    def reaches(self, address: IPAddress) -> bool:
        """Whether one ping is answered."""
        where = f"{address}%eth0" if address.is_link_local else str(address)
        ping = self.namespace.command(["ping", "-n", "-q", "-c", "1", "-W", "1", where])
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0

    def packet_socket(self) -> socket.socket:
        """A socket that sends whole frames from its interface."""
        sock = self.namespace.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind(("eth0", 0))
        return sock

    def close(self) -> None:
        """End what runs here, and the namespace."""
        for daemon in self.daemons:
            daemon.kill()
        self.namespace.close()


class Lan:
    """Routers r1 and r2, a client, and a capture of all that they send to the switch between them."""

    def __init__(self, directory: Path, first: Program, second: Program) -> None:
        """
        Make the namespaces and cables.

        Args:
            directory: For files of the daemons.
            first: What runs on r1, which scenarios give the higher priority.
            second: What runs on r2.
        """
        self.directory = directory
        self.first = first
        self.second = second
        self._switch = Namespace("switch")
        self._switch.ip("link", "add", "bridge", "up", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        self.r1 = Node(self._switch, "r1", 1, directory)
        self.r2 = Node(self._switch, "r2", 2, directory)
        self.client = Node(self._switch, "client", 9, directory)
        self.nodes = (self.r1, self.r2, self.client)
        self.capture = Capture(self._switch, [node.name for node in self.nodes])

    def __enter__(self) -> Self:
        self.capture.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.close()
        self.capture.__exit__(kind, error, traceback)
        self._switch.close()
        if error is not None:
            error.add_note(self.story())

    def story(self) -> str:
        """Packets and the ends of all logs, for whoever reads a failure."""
        parts = ["--- captured", self.capture.story()]
        for daemon in self.daemons():
            lines = [line for line in daemon.text.splitlines() if not re.search("gratuitous|Neighbour", line)]
            tail = "\n".join(lines[-30:])
            parts.append(f"--- {daemon.node.name} {daemon.program}, exit code {daemon.process.returncode}\n{tail}")
        return "\n".join(parts)

    def daemons(self) -> Iterator[Daemon]:
        """All daemons ever started here."""
        for node in self.nodes:
            yield from node.daemons

    def expect_served_by(self, router: Node, *vips: IPAddress, since: float = 0.0) -> None:
        """
        The client finds each VIP at *router*, which has announced it after a moment.

        Its neighbour entry is looked at before it sends anything: an entry that it has already can so be changed by
        an announcement only. Then a ping is answered, and no other router that is plugged in has the address.
        """
        for vip in vips:
            announced = partial(self.capture.announced, router.name, vip, router.mac, since=since)
            until(announced, f"{vip} is announced by {router.name}")
            if self.client.neighbour(vip):
                until(partial(self._leads_to, vip, router), f"{vip} leads the client to {router.name}")
            until(partial(self.client.reaches, vip), f"{vip} answers the client")
            assert self._leads_to(vip, router)
            until(partial(self._only_at, vip, router), f"{vip} is at {router.name} only")

    def _only_at(self, vip: IPAddress, router: Node) -> bool:
        return [node for node in self.nodes if node.plugged and node.has(vip)] == [router]

    def _leads_to(self, vip: IPAddress, router: Node) -> bool:
        return self.client.neighbour(vip) == router.mac
