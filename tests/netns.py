"""
Network namespaces for tests: real kernels' networks, with nothing to clean up by hand.

A `Namespace` is a descriptor, not a process: it ends when the last of its users closes it. In a test file:

    from tests.netns import Network

    @pytest.mark.root
    def test_it(network: Network) -> None:
        left, right = network.namespace("left"), network.namespace("right")
        network.lan({left: "192.0.2.1/24", right: "192.0.2.2/24"})   # eth0 in each, on one bridge
        left.run(["ip", "addr"])                                     # a program inside
        with left.inside(): ...                                      # this thread inside
        left.call(function, 1)                                       # a thread of its own inside

The fixture is `network` below; a conftest.py that wants it says `from tests.netns import network`.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import json
import os
import re
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

import pytest

_CLONE_NEWNET = 0x40000000
_ETH_P_ALL = 0x0003

PATIENCE_S = 30.0
"""How long to wait for what must come: for a busy machine, not a measure of anything."""

_libc = ctypes.CDLL(None, use_errno=True)

P = ParamSpec("P")
T = TypeVar("T")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _own_namespace() -> int:
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def process_tree(pid: int) -> list[int]:
    """A process and all its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it may end while we look
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    tree = [pid]
    for member in tree:
        tree.extend(children.get(member, ()))
    return tree


def why_impossible() -> str | None:
    """Why this process cannot make namespaces, or None if it can."""
    for tool in ("ip", "nsenter"):
        if shutil.which(tool) is None:
            return f"needs the program {tool}"
    try:
        in_thread(_unshare)
    except OSError as error:
        return f"needs the right to make network namespaces ({error})"
    return None


def _unshare() -> None:
    _check(_libc.unshare(_CLONE_NEWNET), "unshare")


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call in a thread of its own, whose namespace ends with it; an exception comes through."""
    results: list[T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  raised again in the caller
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def until(condition: Callable[[], T], what: str, patience_s: float = PATIENCE_S, *, pause_s: float = 0.01) -> T:
    """Wait until *condition* answers something true, and return that."""
    end = time.monotonic() + patience_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what}: did not come within {patience_s} s")
        time.sleep(pause_s)


def says(process: subprocess.Popen[Any], text: Callable[[], str], pattern: str, count: int, name: str) -> None:
    """Wait until the output of a program has that so many times; it must not end before."""

    def said() -> bool:
        if len(re.findall(pattern, text())) >= count:
            return True
        assert process.poll() is None, f"ended with {process.returncode}:\n{text()}"
        return False

    try:
        until(said, f"{name} says {pattern}")
    except AssertionError as error:
        error.add_note(text())
        raise


class Namespace:
    """A network namespace with its loopback up."""

    def __init__(self, name: str) -> None:
        """
        Make one; OSError where that is not permitted.

        Args:
            name: For people only.
        """
        self.name = name
        self.descriptor = in_thread(self._make)
        self.run(["ip", "link", "set", "lo", "up"])

    def __repr__(self) -> str:
        return f"Namespace({self.name!r})"

    @staticmethod
    def _make() -> int:
        _unshare()
        return _own_namespace()

    @property
    def path(self) -> str:
        """A path that iproute2's `netns` and `nsenter --net=` take."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def close(self) -> None:
        """Let go of it; closing twice is harmless."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def enter(self) -> None:
        """Move the calling thread in for good."""
        _check(_libc.setns(self.descriptor, _CLONE_NEWNET), f"setns {self.name}")

    @contextlib.contextmanager
    def inside(self) -> Iterator[Self]:
        """The calling thread is inside; sockets opened there stay there."""
        before = _own_namespace()
        try:
            self.enter()
            yield self
        finally:
            _check(_libc.setns(before, _CLONE_NEWNET), "setns back")
            os.close(before)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function inside, in a thread of its own; an exception comes through."""

        def entered() -> T:
            self.enter()
            return function(*args, **kwargs)

        return in_thread(entered)

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs *arguments* inside."""
        return ["nsenter", f"--net={self.path}", "--", *arguments]

    def run(self, arguments: Sequence[str], *, check: bool = True) -> str:
        """Run a program inside and return what it printed."""
        done = subprocess.run(self.command(arguments), capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{self.name}: {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def popen(self, arguments: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program inside; whoever starts it ends it. nsenter execs it, so its pid is the program's."""
        return subprocess.Popen(self.command(arguments), **options)

    def ip(self, *arguments: str) -> str:
        """Run `ip` inside."""
        return self.run(["ip", *arguments])

    def ip_json(self, *arguments: str) -> list[dict[str, Any]]:
        """What `ip -json` says inside."""
        found: list[dict[str, Any]] = json.loads(self.run(["ip", "-json", *arguments]) or "[]")
        return found

    def index(self, interface: str = "eth0") -> int:
        """Index of an interface."""
        return self.call(socket.if_nametoindex, interface)

    def hardware_address(self, interface: str = "eth0") -> bytes:
        """MAC address of an interface."""
        return bytes.fromhex(self.ip_json("link", "show", "dev", interface)[0]["address"].replace(":", ""))

    def addresses(self, interface: str = "eth0") -> set[str]:
        """Addresses of an interface with prefix lengths, as iproute2 sees them, without the kernel's link-local one."""
        return {
            f"{one['local']}/{one['prefixlen']}"
            for entry in self.ip_json("addr", "show", "dev", interface)
            for one in entry.get("addr_info", [])
            if one.get("protocol") != "kernel_ll" and not (one["scope"] == "link" and one["family"] == "inet6")
        }

    def sysctl(self, key: str, value: object | None = None) -> str:
        """Read `net.…` (with slashes: `net/ipv4/ip_forward`), or write it."""

        def access() -> str:
            with open(f"/proc/sys/{key}", "w" if value is not None else "r", encoding="ascii") as file:  # noqa: PTH123  Path has no mode "either"
                if value is None:
                    return file.read().strip()
                file.write(str(value))
                return str(value)

        return self.call(access)


class Capture:
    """What an interface hears and says, whole frames, kept from the moment this is made."""

    def __init__(self, namespace: Namespace, interface: str = "eth0", *, outgoing: bool = False) -> None:
        """
        Start to listen.

        Args:
            namespace: Where.
            interface: On which interface.
            outgoing: Keep what the interface itself sends, too.
        """
        self._outgoing = outgoing
        with namespace.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
            self._socket.bind((interface, _ETH_P_ALL))
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def pending(self) -> list[bytes]:
        """All frames that are there now."""
        frames = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, address = self._socket.recvfrom(65536)
                if self._outgoing or address[2] != socket.PACKET_OUTGOING:
                    frames.append(frame)
        return frames

    def wait(self, wanted: Callable[[bytes], bool], count: int = 1, patience_s: float = PATIENCE_S) -> list[bytes]:
        """Wait for that many frames of the wanted kind and return them; what else there is, is dropped."""
        found: list[bytes] = []
        end = time.monotonic() + patience_s
        while True:
            found += [frame for frame in self.pending() if wanted(frame)]
            if len(found) >= count:
                return found
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{len(found)} of {count} frames came within {patience_s} s")
            select.select([self._socket], [], [], left)


class Network:
    """Namespaces and the wires between them, for one test."""

    def __init__(self) -> None:
        self._namespaces: list[Namespace] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all namespaces; the kernel takes their interfaces away."""
        for namespace in self._namespaces:
            namespace.close()
        self._namespaces.clear()

    def namespace(self, name: str = "ns") -> Namespace:
        """Make a namespace with nothing but its loopback."""
        made = Namespace(name)
        self._namespaces.append(made)
        return made

    def veth(self, left: Namespace, left_name: str, right: Namespace, right_name: str) -> None:
        """Put a cable between two namespaces, up at both ends, with usable IPv6 link-local addresses at once."""
        left.ip("link", "add", left_name, "type", "veth", "peer", "name", right_name, "netns", right.path)
        for namespace, name in ((left, left_name), (right, right_name)):
            # Duplicate Address Detection takes seconds and proves nothing here.
            namespace.sysctl(f"net/ipv6/conf/{name}/accept_dad", 0)
            namespace.ip("link", "set", name, "up")

    def lan(self, hosts: Mapping[Namespace, str | Sequence[str]], interface: str = "eth0") -> Namespace:
        """
        Put hosts on one switch, each with an interface of that name and these addresses.

        Returns:
            The switch's namespace: bridge `br0`, and a port for each host in order, `port0` and so on; setting a port
            down pulls a cable.
        """
        switch = self.namespace("switch")
        switch.ip("link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0", "forward_delay", "0")
        switch.ip("link", "set", "br0", "up")
        for number, (host, addresses) in enumerate(hosts.items()):
            self.veth(switch, f"port{number}", host, interface)
            switch.ip("link", "set", f"port{number}", "master", "br0")
            for address in [addresses] if isinstance(addresses, str) else addresses:
                extra = ["nodad"] if ipaddress.ip_interface(address).version == 6 else []
                host.ip("addr", "add", address, "dev", interface, *extra)
        return switch


@pytest.fixture
def network() -> Iterator[Network]:
    """An empty network; the test is skipped where namespaces cannot be made."""
    reason = why_impossible()
    if reason is not None:
        pytest.skip(reason)
    with Network() as made:
        yield made
