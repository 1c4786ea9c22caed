"""A pod as a container runtime would run it: its own mounts and process numbers, on a node that is a namespace."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import pytest

from tests.netns import PATIENCE_S, Namespace, Network, network, process_tree, says, until

__all__ = ["network"]

REPOSITORY = Path(__file__).parents[2]

QUICK = {"PREEMPTION": "version 3\n advert_int 0.05"}
"""The raw line of an instance takes any keyword; alone it is MASTER 0.2 s after its start."""

# What a runtime does before the first process: fresh directories, and /etc that can be written to.
SETUP = """
set -e
cd "$1"; shift
mount -t tmpfs tmpfs layers
mkdir layers/etc layers/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=layers/etc,workdir=layers/work /etc
mkdir -p /etc/keepalived /etc/sysconfig
rm -f /etc/keepalived/keepalived.conf
mount --bind run /run
if [ -e sysconfig ]; then cp sysconfig /etc/sysconfig/keepalived; fi
if [ -e before ]; then . ./before; fi
exec "$@"
"""


def entry(directory: Path, name: str) -> Path:
    """A console program, as installers write it, and a link to it under one of the old image's names."""
    program = directory / "bin" / "pyvrrp"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom pyvrrp.cli import main\nsys.exit(main())\n")
    program.chmod(0o755)
    link = directory / name
    with contextlib.suppress(FileExistsError):
        link.symlink_to(program)
    return link


class Pod:
    """One start of a pod; `Node.start` makes it."""

    def __init__(self, node: Node, environment: Mapping[str, str], command: Sequence[str], name: str) -> None:
        self.node = node
        self.output = node.directory / f"{name}.log"
        arguments = [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("sh", "-c", SETUP, "setup", str(node.directory), *command),
        ]
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OPENSHIFT_", "PYVRRP_"))}
        self.begun_s = time.monotonic()
        with self.output.open("wb") as output:
            self.process = node.namespace.popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**clean, "PYTHONPATH": str(REPOSITORY), **environment},
            )

    @property
    def text(self) -> str:
        """What it has printed and logged."""
        return self.output.read_text(errors="replace")

    @property
    def first(self) -> int:
        """The first process of the container, by its number outside."""

        def children() -> list[str]:
            assert self.process.poll() is None, self.text
            try:
                return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            except FileNotFoundError:
                return []

        return int(until(children, "the first process")[0])

    def says(self, pattern: str, count: int = 1) -> Self:
        """Wait until its output has that so many times."""
        says(self.process, lambda: self.text, pattern, count, "the pod")
        return self

    def serves(self) -> Self:
        """Wait until it serves."""
        return self.says("Startup complete")

    def enters(self, state: str, number: int = 1, count: int = 1) -> Self:
        """Wait until a group has been in that state so many times."""
        return self.says(rf"VIP_{number}\) Entering {state} STATE", count)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program in the container, as `kubectl exec` does."""
        inside = ["nsenter", "--target", str(self.first), "--net", "--mount", "--pid", "--", *command]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(inside, capture_output=True, text=True, check=check, env=environment)

    def pyvrrp(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of our commands in the container."""
        return self.run(sys.executable, "-m", "pyvrrp", *arguments, check=check)

    def file(self, path: str = "/etc/keepalived/keepalived.conf") -> str:
        """A file as the container has it."""
        return Path(f"/proc/{self.first}/root{path}").read_text(errors="surrogateescape")

    def send(self, *signals: int) -> Self:
        """Signal the first process, as a runtime does."""
        first = self.first
        for number in signals:
            os.kill(first, number)
        return self

    def end(self, *signals: int) -> int:
        """Signal it and wait for its exit code."""
        self.send(*(signals or (signal.SIGTERM,)))
        return self.wait()

    def wait(self) -> int:
        """Its exit code."""
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            error.add_note(self.text)
            raise

    def kill(self) -> None:
        """
        End all of it at once, as a runtime does by its cgroup.

        The first process alone is not enough: its files are closed before the kernel ends the others, and an engine
        that sees this has time to say farewell.
        """
        if self.process.poll() is None:
            for kind in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: none may see another die
                for pid in process_tree(self.process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, kind)
            self.process.wait()


class Node:
    """
    A node of the cluster, and the pods on it.

    Attributes:
        directory: Its files: `run` is /run of its containers, `sysconfig` the file that is mounted into them, `before`
            a piece of shell that runs before the first process.
    """

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self.namespace = namespace
        self.directory = directory
        self.started: list[Pod] = []
        for name in ("run", "layers"):
            (directory / name).mkdir(parents=True, exist_ok=True)

    def program(self, *arguments: str, name: str = "pyvrrp") -> tuple[str, ...]:
        """The command line of our program under that name."""
        return (str(entry(self.directory, name)), *arguments)

    def start(self, *command: str, **variables: str) -> Pod:
        """
        Start a pod.

        Args:
            command: Nothing for the old image's own entry point.
            variables: Its environment; OPENSHIFT_HA_ is put before names that have no other prefix.
        """
        environment = {
            name if name.startswith(("PYVRRP_", "KEEPALIVED_", "HA_")) else f"OPENSHIFT_HA_{name}": value
            for name, value in variables.items()
        }
        pod = Pod(self, environment, command or self.program(name="monitor.sh"), f"pod{len(self.started)}")
        self.started.append(pod)
        return pod

    @property
    def vips(self) -> set[str]:
        """Addresses of the node that a router put there."""
        return {address for address in self.namespace.addresses() if address.endswith(("/32", "/128"))}

    def close(self) -> None:
        for pod in self.started:
            pod.kill()
        for pod in self.started:
            assert "Traceback" not in pod.text, pod.text


class Cluster:
    """Nodes on one switch."""

    def __init__(self, network: Network, directory: Path) -> None:
        self._network = network
        self._directory = directory
        self.nodes: list[Node] = []

    def make(self, *addresses: str | Sequence[str]) -> list[Node]:
        """Nodes with these addresses on eth0."""
        hosts = [self._network.namespace(f"node{number}") for number, _ in enumerate(addresses)]
        self._network.lan(dict(zip(hosts, addresses, strict=True)))
        self.nodes = [Node(host, self._directory / host.name) for host in hosts]
        return self.nodes

    def close(self) -> None:
        for node in self.nodes:
            node.close()


@pytest.fixture
def cluster(network: Network, tmp_path: Path) -> Iterator[Cluster]:
    """Nodes of a test; no pod outlives it, and none ever shows a traceback."""
    made = Cluster(network, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def node(cluster: Cluster) -> Node:
    """One node, 10.0.0.35 as in the golden examples; nobody else is there."""
    (made,) = cluster.make("10.0.0.35/24")
    return made
