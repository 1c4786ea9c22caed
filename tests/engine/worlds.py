"""
One body, two worlds: hosts with engines on one LAN, in memory or in network namespaces.

A test says `lan.host("a", "192.0.2.1/24")`, configures it and lets time pass until something is true. In the simulated
world that costs nothing; in the real one the engines are stepped by poll(2) in this thread, each in its namespace.
"""

from __future__ import annotations

import abc
import contextlib
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import Literal

from pyvrrp.engine.commands import Ask, Command, Configure
from pyvrrp.engine.loop import Engine
from pyvrrp.engine.reports import Entered, InstanceStatus, Report, Status
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.errors import PacketError
from pyvrrp.net.simulated import SimulatedSystem, World
from pyvrrp.net.system import Datagram, ReceivePath, System, VirtualAddress
from pyvrrp.protocol.actions import Transition
from pyvrrp.protocol.advertisement import Advertisement, decode, encode
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.headers import IpHeader, strip_ipv4
from pyvrrp.protocol.settings import AnnouncementSettings, RouterSettings
from pyvrrp.protocol.states import State
from tests.netns import PATIENCE_S, Capture, Namespace, Network, until

INTERVAL_US = 100_000
"""Advertisement interval of the tests: three of them are bearable in real time."""

QUIET = AnnouncementSettings(delay_us=0, repeat=1, lower_delay_us=0, lower_repeat=1)
"""One announcement of each address, once."""

VIP = "192.0.2.100/24"
VIP6 = "fe80::100/64"


def vip(text: str, interface: str = "eth0") -> VirtualAddress:
    """A virtual address as the engine takes it."""
    return VirtualAddress(interface, ip_interface(text))


def settings(
    name: str = "VI_1",
    *,
    vrid: int = 51,
    priority: int = 100,
    vips: Sequence[str] = (VIP,),
    excluded: Sequence[str] = (),
    version: Literal[2, 3] = 3,
    interval_us: int = INTERVAL_US,
    preempt: bool = True,
    interface: str = "eth0",
    source: str | None = None,
    peers: Sequence[str] = (),
    announcements: AnnouncementSettings = QUIET,
    track_interface: bool = True,
    awaited: Sequence[str] = (),
) -> InstanceSettings:
    """Settings of an instance, the family that of its first address."""
    addresses = tuple(vip(text, interface) for text in vips)
    return InstanceSettings(
        name=name,
        interface=interface,
        router=RouterSettings(
            vrid=vrid,
            family=Family(addresses[0].ip.version),
            version=version,
            priority=priority,
            advertisement_interval_us=interval_us,
            preempt=preempt,
        ),
        vips=addresses,
        excluded=tuple(vip(text, interface) for text in excluded),
        source=None if source is None else ip_address(source),
        unicast_peers=tuple(ip_address(text) for text in peers),
        announcements=announcements,
        track_interface=track_interface,
        awaited=frozenset(awaited),
    )


def advertisement(
    source: str,
    priority: int,
    *,
    vrid: int = 51,
    version: Literal[2, 3] = 3,
    interval_us: int = INTERVAL_US,
    vips: Sequence[str] = (VIP,),
    destination: str | None = None,
    ttl: int = 255,
) -> Datagram:
    """What a peer at *source* would send."""
    addresses = tuple(ip_interface(text).ip for text in vips)
    group = Family(addresses[0].version).group
    header = IpHeader(ip_address(source), group if destination is None else ip_address(destination), ttl)
    message = Advertisement(version, vrid, priority, interval_us, addresses)
    return Datagram(header, encode(message, header))


@dataclass(frozen=True, slots=True)
class Sent:
    """An advertisement on the wire."""

    vrid: int
    priority: int
    source: IPAddress
    destination: IPAddress
    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class Announced:
    """A gratuitous ARP or an unsolicited Neighbor Advertisement on the wire."""

    address: IPAddress


def read_datagram(datagram: Datagram) -> Sent:
    """An advertisement as sent."""
    message = decode(datagram.payload, datagram.header)
    header = datagram.header
    return Sent(message.vrid, message.priority, header.source, header.destination, message.addresses)


def read_frame(frame: bytes) -> Sent | Announced | None:
    """An Ethernet frame, if it is one of ours."""
    kind, rest = frame[12:14], frame[14:]
    if kind == b"\x08\x06":
        sender, target = rest[14:18], rest[24:28]
        return Announced(IPv4Address(sender)) if sender == target else None
    if kind == b"\x86\xdd" and rest[6] == 58 and rest[40] == 136:
        return Announced(IPv6Address(rest[48:64]))
    with contextlib.suppress(PacketError):
        if kind == b"\x08\x00" and rest[9] == 112:
            return read_datagram(Datagram(*strip_ipv4(rest)))
        if kind == b"\x86\xdd" and rest[6] == 112:
            header = IpHeader(IPv6Address(rest[8:24]), IPv6Address(rest[24:40]), rest[7])
            length = int.from_bytes(rest[4:6], "big")
            return read_datagram(Datagram(header, rest[40 : 40 + length]))
    return None


class Host(abc.ABC):
    """A host with one interface, eth0, and an engine."""

    system: System
    engine: Engine

    def __init__(self, name: str, addresses: Sequence[str]) -> None:
        self.name = name
        self.own = list(addresses)
        self.reports: list[Report] = []
        self.interface = "eth0"
        self._token = 0

    def command(self, *commands: Command) -> None:
        """Hand commands to the engine, to be carried out in its next step."""
        for command in commands:
            self.engine.command(command)
        self.wake()

    def configure(self, *instances: InstanceSettings) -> None:
        """Run exactly these."""
        self.command(Configure(instances))

    def transitions(self, name: str = "VI_1") -> list[Transition]:
        """What the engine reported of an instance so far."""
        return [r.transition for r in self.reports if isinstance(r, Entered) and r.instance == name]

    def moves(self, name: str = "VI_1") -> list[str]:
        """States it entered so far."""
        return [str(transition.state) for transition in self.transitions(name)]

    def state(self, name: str = "VI_1") -> State:
        """Where an instance is."""
        runner = self.engine._runners.get(name)
        return State.INITIALIZE if runner is None else runner.router.state

    def is_master(self, name: str = "VI_1") -> bool:
        """Whether an instance is MASTER and its addresses are there."""
        runner = self.engine._runners.get(name)
        if runner is None or runner.router.state is not State.MASTER:
            return False
        there = self.addresses()
        return all(str(address.address) in there for address in runner._addresses)

    def status(self) -> Status:
        """The engine's answer to a question, when what is in flight is done."""
        self._token += 1
        self.engine.command(Ask(self._token))

        def answer() -> Status | None:
            self.step()
            return next((r for r in reversed(self.reports) if isinstance(r, Status) and r.token == self._token), None)

        found = until(answer, "the engine's answer")
        assert found is not None
        return found

    def status_of(self, name: str = "VI_1") -> InstanceStatus:
        """What it says of one instance."""
        return next(one for one in self.status().instances if one.name == name)

    def sent(self) -> list[Sent]:
        """Advertisements it put on the wire since `forget`."""
        return [item for item in self.wire() if isinstance(item, Sent)]

    def announced(self) -> list[str]:
        """Addresses it announced since `forget`."""
        return [str(item.address) for item in self.wire() if isinstance(item, Announced)]

    @abc.abstractmethod
    def wake(self) -> None:
        """See that the engine is stepped soon."""

    @abc.abstractmethod
    def step(self) -> int | None:
        """Step the engine now."""

    @abc.abstractmethod
    def wire(self) -> list[Sent | Announced]:
        """What it put on the wire since `forget`."""

    @abc.abstractmethod
    def forget(self) -> None:
        """Begin the list of what was on the wire anew."""

    @abc.abstractmethod
    def addresses(self) -> set[str]:
        """Addresses of its interface, with prefix lengths."""

    @abc.abstractmethod
    def set_link(self, *, up: bool) -> None:
        """Set the interface up or down."""

    @abc.abstractmethod
    def delete_link(self) -> None:
        """Take the interface away."""

    @abc.abstractmethod
    def create_link(self) -> None:
        """Give it an interface eth0 again, another one."""

    @abc.abstractmethod
    def rename_link(self, name: str) -> None:
        """Rename the interface."""

    @abc.abstractmethod
    def add_address(self, address: str) -> None:
        """Somebody adds an address."""

    @abc.abstractmethod
    def delete_address(self, address: str) -> None:
        """Somebody deletes an address."""


class Lan(abc.ABC):
    """Hosts on one LAN."""

    @abc.abstractmethod
    def host(self, name: str, *addresses: str) -> Host:
        """Add a host."""

    @abc.abstractmethod
    def until(self, condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        """Let time pass until that is true."""

    @abc.abstractmethod
    def rest(self, seconds: float) -> None:
        """Let time pass."""


class SimulatedHost(Host):
    """A host in memory."""

    def __init__(self, world: World, name: str, addresses: Sequence[str]) -> None:
        super().__init__(name, addresses)
        self.world = world
        self.kernel: SimulatedSystem = world.host(name)
        self.system = self.kernel
        self.create_link()
        self.engine = Engine(self.kernel, self.reports.append)
        world.attach(name, self.engine)
        self._read = 0

    def wake(self) -> None:
        self.world.wake(self.kernel)

    def step(self) -> int | None:
        self.world.wake(self.kernel)
        return self.engine.step()

    def wire(self) -> list[Sent | Announced]:
        seen: list[Sent | Announced] = []
        for entry in self.world.journal[self._read :]:
            if entry.host != self.name:
                continue
            if isinstance(entry.subject, Datagram) and entry.verb == "sends":
                seen.append(read_datagram(entry.subject))
            elif isinstance(entry.subject, bytes):
                frame = read_frame(entry.subject)
                assert frame is not None
                seen.append(frame)
        return seen

    def forget(self) -> None:
        self._read = len(self.world.journal)

    def addresses(self) -> set[str]:
        names = {link.index: link.name for link in self.kernel.links()}
        return {str(a.address) for a in self.kernel.addresses() if names[a.index] == self.interface}

    def set_link(self, *, up: bool) -> None:
        self.kernel.set_link(self.interface, up=up)

    def delete_link(self) -> None:
        self.kernel.remove_link(self.interface)

    def create_link(self) -> None:
        self.interface = "eth0"
        self.kernel.add_link("eth0", *(ip_interface(text) for text in self.own))

    def rename_link(self, name: str) -> None:
        self.kernel.rename_link(self.interface, name)
        self.interface = name

    def add_address(self, address: str) -> None:
        self.kernel.add_address(self.interface, ip_interface(address))

    def delete_address(self, address: str) -> None:
        self.kernel.delete_address(self.interface, ip_interface(address))


class SimulatedLan(Lan):
    """A LAN in memory, in virtual time."""

    def __init__(self, path: ReceivePath = ReceivePath.OFF) -> None:
        self.world = World(path=path)

    def host(self, name: str, *addresses: str) -> SimulatedHost:
        return SimulatedHost(self.world, name, addresses)

    def until(self, condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        end_us = self.world.now_us + round(patience_s * 1e6)
        while not condition():
            if self.world.now_us >= end_us:
                raise AssertionError(f"{what}: did not come within {patience_s} s of virtual time")
            self.rest(0.001)

    def rest(self, seconds: float) -> None:
        self.world.run(self.world.now_us + round(seconds * 1e6))


class RealHost(Host):
    """A network namespace."""

    def __init__(self, lan: RealLan, namespace: Namespace, number: int, name: str, addresses: Sequence[str]) -> None:
        from pyvrrp.net.linux import LinuxSystem

        super().__init__(name, addresses)
        self.lan, self.namespace, self.number = lan, namespace, number
        self._captures: list[Capture] = []
        self._seen: list[Sent | Announced] = []
        self.create_link()
        self.deadline_us: int | None = 0
        with namespace.inside():
            self.system = LinuxSystem(path=lan.path)
            self.engine = Engine(self.system, self.reports.append)

    def close(self) -> None:
        self.engine.close()
        self.system.close()
        for capture in self._captures:
            capture.__exit__()

    def wake(self) -> None:
        self.deadline_us = 0

    def step(self) -> int | None:
        with self.namespace.inside():
            self.deadline_us = self.engine.step()
        return self.deadline_us

    def wire(self) -> list[Sent | Announced]:
        read = [read_frame(frame) for capture in self._captures for frame in capture.pending()]
        self._seen += [item for item in read if item is not None]
        return self._seen

    def forget(self) -> None:
        self.wire()
        self._seen = []

    def addresses(self) -> set[str]:
        return {str(ip_interface(text)) for text in self._texts()}

    def _texts(self) -> Iterator[str]:
        for entry in self.namespace.ip_json("addr", "show", "dev", self.interface):
            for one in entry.get("addr_info", []):
                yield f"{one['local']}/{one['prefixlen']}"

    def set_link(self, *, up: bool) -> None:
        self.namespace.ip("link", "set", self.interface, "up" if up else "down")

    def delete_link(self) -> None:
        self.namespace.ip("link", "del", self.interface)

    def create_link(self) -> None:
        self.interface = "eth0"
        port, switch = f"port{self.number}", self.lan.switch
        self.lan.network.veth(switch, port, self.namespace, "eth0")
        switch.ip("link", "set", port, "master", "br0")
        self._captures.append(Capture(switch, port))
        for address in self.own:
            self.add_address(address)

    def rename_link(self, name: str) -> None:
        self.namespace.ip("link", "set", self.interface, "name", name)
        self.interface = name

    def add_address(self, address: str) -> None:
        extra = ["nodad"] if ":" in address else []
        self.namespace.ip("addr", "add", address, "dev", self.interface, *extra)

    def delete_address(self, address: str) -> None:
        self.namespace.ip("addr", "del", address, "dev", self.interface)


class RealLan(Lan):
    """Network namespaces on one bridge, in real time."""

    def __init__(self, network: Network, path: ReceivePath | None = None) -> None:
        self.network = network
        self.path = path
        self.switch = network.lan({})
        self.hosts: list[RealHost] = []

    def close(self) -> None:
        for host in self.hosts:
            host.close()

    def host(self, name: str, *addresses: str) -> RealHost:
        host = RealHost(self, self.network.namespace(name), len(self.hosts), name, addresses)
        self.hosts.append(host)
        return host

    def until(self, condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        end = time.monotonic() + patience_s
        while not condition():
            left_s = end - time.monotonic()
            if left_s <= 0:
                raise AssertionError(f"{what}: did not come within {patience_s} s")
            self._turn(min(left_s, 0.05))

    def rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            self._turn(left_s)

    def _turn(self, limit_s: float) -> None:
        poll = select.poll()
        owners = {fd: host for host in self.hosts for fd in host.engine.readables}
        for fd in owners:
            poll.register(fd, select.POLLIN)
        now_us = time.monotonic_ns() // 1000
        waits = [host.deadline_us - now_us for host in self.hosts if host.deadline_us is not None]
        ready = poll.poll(max(0.0, min([limit_s * 1e3, *(wait / 1e3 for wait in waits)])))
        now_us = time.monotonic_ns() // 1000
        readable = {owners[fd].name for fd, _ in ready}
        for host in self.hosts:
            if host.name in readable or (host.deadline_us is not None and host.deadline_us <= now_us):
                host.step()


def with_priority(one: InstanceSettings, priority: int) -> InstanceSettings:
    """The same with another configured priority."""
    return replace(one, router=replace(one.router, priority=priority))
