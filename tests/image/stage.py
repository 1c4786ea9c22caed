"""What a scenario plays on: a switch with two nodes and a client of its own, and the image to start pods from."""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import threading
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pyvrrp.lab.probe import Outage, Probe, now_us
from tests.image.build import Image
from tests.image.runtime import Pod, Runtime, Spec, until
from tests.netns import PATIENCE_S, Namespace, Network

INTERFACE: Final = "ens3"
NODES: Final = (("node35", "10.0.0.35/24"), ("node36", "10.0.0.36/24"))
CLIENTS: Final = (("client1", "10.0.0.9/24"), ("client2", "10.0.0.10/24"))  # each asks for one address
VIPS: Final = "1.1.1.0/24"

_PROBE_EVERY_S: Final = 0.02


class Node:
    """A machine of the cluster: its network, and what its pod mounts."""

    def __init__(self, name: str, address: str, namespace: Namespace, directory: Path) -> None:
        self.name = name
        self.address = address
        self.namespace = namespace
        self.directory = directory
        self._services: dict[int, socket.socket] = {}
        for volume in ("modules", "sysconfig"):
            (directory / volume).mkdir(parents=True)

    @property
    def mac(self) -> bytes:
        """Hardware address of its interface."""
        return self.namespace.hardware_address(INTERFACE)

    def has(self, vip: str) -> bool:
        """The address is on its interface."""
        return any(one.partition("/")[0] == vip for one in self.namespace.addresses(INTERFACE))

    def config_map(self, scripts: Mapping[str, str]) -> Path:
        """Scripts as a kubelet shows a ConfigMap: links to links, executable because its mode says so."""
        volume = self.directory / "config-map"
        shutil.rmtree(volume, ignore_errors=True)
        real = volume / "..2026_07_31"
        real.mkdir(parents=True)
        (volume / "..data").symlink_to(real.name)
        for name, text in scripts.items():
            (real / name).write_text(text)
            (real / name).chmod(0o755)
            (volume / name).symlink_to(f"..data/{name}")
        return volume

    def listen(self, port: int) -> None:
        """A service on a port of the node; the kernel takes connections, which is enough for those who only look."""
        with self.namespace.inside():
            self._services[port] = socket.create_server(("", port), backlog=4096)

    def close_ports(self) -> None:
        """End these services."""
        while self._services:
            self._services.popitem()[1].close()


class Stage:
    """Made for each scenario anew."""

    def __init__(self, images: Mapping[str, Image], directory: Path, record: Callable[[str, str], None]) -> None:
        self.images = images
        self.directory = directory
        self.record = record
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.network = self._stack.enter_context(Network())
        self.runtime = self._stack.enter_context(Runtime(self.directory / "pods", self.images["default"].about))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def cluster(self) -> tuple[Node, Node]:
        """Two nodes and two clients on a switch, and the clients look for virtual addresses there."""
        nodes = [Node(name, address, self.network.namespace(name), self.directory / name) for name, address in NODES]
        self._clients = {self.network.namespace(name): address for name, address in CLIENTS}
        hosts = {node.namespace: node.address for node in nodes} | self._clients
        self.network.lan(hosts, INTERFACE)
        for namespace in hosts:
            namespace.ip("route", "add", VIPS, "dev", INTERFACE)
        for node in nodes:
            self._stack.callback(node.close_ports)
        first, second = nodes
        return first, second

    def deploy(self, node: Node, environment: Mapping[str, str], scripts: Mapping[str, str] | None = None) -> Pod:
        """Start a pod as the documented Deployment makes it: privileged, with the node's files and a ConfigMap."""
        spec = Spec(
            self.images["default"].root,
            environment=environment,
            privileged=True,
            mounts={
                "/lib/modules": node.directory / "modules",
                "/host": node.directory,
                "/etc/sysconfig": node.directory / "sysconfig",
                **({} if scripts is None else {"/etc/keepalive": node.config_map(scripts)}),
            },
        )
        return self.start(node, spec, node.name)

    def start(self, node: Node, spec: Spec, name: str) -> Pod:
        """Start what is asked for on a node."""
        return self.runtime.start(name, spec, node.namespace)

    def asks(self, vip: str) -> Client:
        """A client that asks for a virtual address until the end of the scenario."""
        namespace, _ = self._clients.popitem()
        return self._stack.enter_context(Client(namespace, vip))


class Client:
    """Echo requests for a virtual address, fifty a second, and who answered them."""

    def __init__(self, namespace: Namespace, vip: str) -> None:
        self.vip = vip
        self._end = threading.Event()
        with namespace.inside():
            self._probe = Probe(ip_address(vip), INTERFACE)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._probe.close()

    def _run(self) -> None:
        while not self._end.wait(_PROBE_EVERY_S):
            self._probe.send_due(now_us())
            while select.select([self._probe], [], [], 0)[0]:
                self._probe.receive()

    def served_by(self, node: Node, since_us: int = 0, patience_s: float = PATIENCE_S) -> int:
        """Wait until that node answers, and nobody else has answered since; when it did so first."""
        mac = node.mac

        def answered() -> int:
            answers = [one for one in list(self._probe.answers) if one.sent_us >= since_us]
            return answers[-1].received_us if answers and answers[-1].source == mac else 0

        return until(answered, f"{self.vip} is served by {node.name}", patience_s)

    def moved(self, old: Node, new: Node, since_us: int, patience_s: float = PATIENCE_S) -> Outage:
        """Wait until *new* answers in the place of *old*; what the client noticed of that."""
        self.served_by(new, since_us, patience_s)
        first = self._probe.first_by_other(old.mac, since_us)
        assert first is not None
        assert first.source == new.mac
        return self._probe.outage(first)
