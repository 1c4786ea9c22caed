"""Packets as no honest sender makes them, and a wire to send them on: what kernel filters are tested with."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Self

from pyvrrp.net.filters import detach
from pyvrrp.net.links import find_link
from pyvrrp.net.linux import LinuxSystem
from pyvrrp.net.sockets import RawSocketV4, RawSocketV6, open_raw_socket
from pyvrrp.net.system import Datagram
from pyvrrp.protocol.advertisement import Advertisement, encode
from pyvrrp.protocol.checksum import checksum
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.headers import IpHeader, build_ethernet, build_ip, multicast_hardware_address
from tests.net.reading import take
from tests.netns import Network, until

VRID = 62

_ETHER_TYPES = {Family.V4: 0x0800, Family.V6: 0x86DD}
_JUMBO = 9000  # 255 IPv6 addresses are 4,088 octets


def sender(family: Family, number: int = 1) -> IPAddress:
    """An address of a router on the wire."""
    return IPv4Address(f"192.0.2.{number}") if family is Family.V4 else IPv6Address(f"fe80::{number:x}")


def header(family: Family, *, number: int = 1, ttl: int = 255) -> IpHeader:
    """The IP header of a multicast advertisement."""
    return IpHeader(sender(family, number), family.group, ttl)


def message(family: Family, vrid: int = VRID, priority: int = 100, count: int = 1) -> bytes:
    """A VRRPv3 message with that many addresses."""
    first = int(ip_address("198.51.100.0") if family is Family.V4 else ip_address("2001:db8::"))
    kind = IPv4Address if family is Family.V4 else IPv6Address
    addresses = tuple(kind(first + number) for number in range(1, count + 1))
    return encode(Advertisement(3, vrid, priority, 1_000_000, addresses), header(family))


def packet(
    payload: bytes, ip_header: IpHeader, *, options: bytes = b"", identification: int = 0, traffic_class: int = 0xC0
) -> bytes:
    """An IP packet; *options* are those of the IPv4 header, or an IPv6 extension header from its second octet on."""
    plain = bytearray(build_ip(ip_header, payload, identification=identification))
    if ip_header.family is Family.V6:
        plain[0:2] = (6 << 12 | traffic_class << 4).to_bytes(2, "big")
        if options:
            plain[4:6] = (len(payload) + 1 + len(options)).to_bytes(2, "big")
            plain[40:40] = plain[6:7] + options
            plain[6] = 60  # destination options
        return bytes(plain)
    plain[1] = traffic_class
    plain[0] += len(options) // 4
    plain[20:20] = options
    plain[2:4] = len(plain).to_bytes(2, "big")
    plain[10:12] = bytes(2)
    plain[10:12] = checksum(bytes(plain[: 20 + len(options)])).to_bytes(2, "big")
    return bytes(plain)


class Wire:
    """
    A sender of crafted packets and the raw socket of a receiver, on one switch.

    Attributes:
        host: Namespace of the receiver.
        family: What the socket is of.
        sock: Its wrapper, that of the engine.
        raw: The socket itself.
    """

    def __init__(self, network: Network, family: Family, *, macvlan: bool = False, multicast: bool = True) -> None:
        self.family = family
        self.host, self._there = network.namespace("receiver"), network.namespace("sender")
        switch = network.lan({self.host: "192.0.2.254/24", self._there: "192.0.2.1/24"})
        for namespace, names in ((self.host, ["eth0"]), (self._there, ["eth0"]), (switch, ["port0", "port1", "br0"])):
            for name in names:
                namespace.ip("link", "set", name, "mtu", str(_JUMBO))
        interface = "eth0"
        if macvlan:
            interface = "mac0"
            self.host.sysctl("net/ipv6/conf/default/accept_dad", 0)
            self.host.ip("link", "add", interface, "link", "eth0", "type", "macvlan", "mode", "bridge")
            self.host.ip("link", "set", interface, "up")
        self._interface = interface
        self._multicast = multicast
        self._sent = 0
        self._closing = contextlib.ExitStack()
        with self._there.inside():
            system = self._closing.enter_context(closing(LinuxSystem()))
            self._index = socket.if_nametoindex("eth0")
        self._sender = system
        self.sock = self.open()
        self.raw = self.sock._socket
        self._marker = message(family, priority=7, count=3)
        self.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def open(self) -> RawSocketV4 | RawSocketV6:
        """Another raw socket of the receiver."""
        with self.host.inside(), closing(LinuxSystem()) as system:
            link = find_link(system.links(), self._interface)
            assert link is not None
            sock = open_raw_socket(link, self.family, self.family.group if self._multicast else None)
        detach(sock._socket)  # filters are put on it by the tests
        return self._closing.enter_context(closing(sock))

    def settle(self) -> None:
        """Wait until a packet crosses: a bridge port that is just up forwards nothing yet."""

        def crosses() -> bool:
            self._send([self._mark()])
            return take(self.sock) is not None

        until(crosses, "the first packet")
        self.heard()

    def send(self, *packets: bytes) -> None:
        """Put IP packets on the wire as they are."""
        self._send(packets)

    def heard(self, sock: RawSocketV4 | RawSocketV6 | None = None) -> list[Datagram]:
        """What the socket was handed of all that was sent until now, which a marker of VRID 62 tells the end of."""
        mark = self._mark()
        self._send([mark])
        return self.until_marker(sock or self.sock)

    def until_marker(self, sock: RawSocketV4 | RawSocketV6) -> list[Datagram]:
        """Read until the last marker sent."""
        found: list[Datagram] = []
        last = self._marker + self._sent.to_bytes(4, "big")

        def ended() -> bool:
            while (datagram := take(sock)) is not None:
                if datagram.payload == last:
                    return True
                if not datagram.payload.startswith(self._marker):
                    found.append(datagram)
            return False

        until(ended, "the marker")
        return found

    def _mark(self) -> bytes:
        self._sent += 1
        return packet(self._marker + self._sent.to_bytes(4, "big"), header(self.family, number=9))

    def _send(self, packets: Iterable[bytes]) -> None:
        target = multicast_hardware_address(self.family.group)
        ether_type = _ETHER_TYPES[self.family]
        frames = [build_ethernet(target, b"\x02\0\0\0\0\x01", ether_type, octets) for octets in packets]
        with self._there.inside():
            self._sender.announce((self._index, frame) for frame in frames)


def payloads(datagrams: Iterable[Datagram]) -> list[bytes]:
    return [datagram.payload for datagram in datagrams]


def descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
