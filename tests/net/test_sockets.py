"""Raw and packet sockets between two hosts on a switch; what is asserted is octets that a third socket captured."""

from __future__ import annotations

import contextlib
import errno
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from ipaddress import IPv4Address, ip_address

import pytest

from pyvrrp.errors import KernelError, LinkNotReady
from pyvrrp.net.filters import detach
from pyvrrp.net.links import find_link, primary_address
from pyvrrp.net.linux import LinuxSystem
from pyvrrp.net.system import AdvertisementSocket, Datagram, Link
from pyvrrp.protocol.constants import GROUP_V4, Family, IPAddress
from pyvrrp.protocol.headers import IpHeader
from tests.net.reading import take
from tests.netns import PATIENCE_S, Capture, Namespace, Network, until

pytestmark = pytest.mark.root

PAYLOAD = bytes.fromhex("313ec90100640000c0000264")  # a VRRPv3 message of VRID 62; its checksum is not our affair here
BOTH = pytest.mark.parametrize("family", [Family.V4, Family.V6])


class Host:
    """A host with its view of the kernel."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        with namespace.inside():
            self.system = LinuxSystem()

    def link(self) -> Link:
        link = find_link(self.system.links(), "eth0")
        assert link is not None
        return link

    def open(self, family: Family, group: IPAddress | None) -> AdvertisementSocket:
        """A socket that hears everything: what a filter keeps from it is tested elsewhere."""
        with self.namespace.inside():
            sock = self.system.open_socket(self.link(), family, group)
        detach(sock._socket)  # type: ignore[attr-defined]  # a test may look inside
        return sock

    def address(self, family: Family) -> IPAddress:
        address = primary_address(self.link(), self.system.addresses(), family)
        assert address is not None
        return address


Pair = tuple[Host, Host]


@pytest.fixture
def pair(network: Network) -> Iterator[Pair]:
    left, right = network.namespace("left"), network.namespace("right")
    network.lan({left: "192.0.2.1/24", right: "192.0.2.2/24"})
    hosts = Host(left), Host(right)
    yield hosts
    for host in hosts:
        host.system.close()


def receive(sock: AdvertisementSocket) -> Datagram:
    datagram = take(sock)
    while datagram is None:
        readable, _, _ = select.select([sock], [], [], PATIENCE_S)
        assert readable, "nothing came"
        datagram = take(sock)
    return datagram


def vrrp(frame: bytes) -> bool:
    return (frame[12:14] == b"\x08\x00" and frame[23] == 112) or (frame[12:14] == b"\x86\xdd" and frame[20] == 112)


def test_ipv4_multicast_octet_by_octet(pair: Pair) -> None:
    left, right = pair
    sent = Datagram(IpHeader(IPv4Address("192.0.2.1"), GROUP_V4, 255), PAYLOAD)
    with (
        Capture(right.namespace) as capture,
        closing(left.open(Family.V4, GROUP_V4)) as out,
        closing(right.open(Family.V4, GROUP_V4)) as back,
    ):
        out.send([sent])
        assert receive(back) == sent
        [frame] = capture.wait(vrrp)
    assert frame[0:6].hex() == "01005e000012"
    assert frame[6:12] == left.namespace.hardware_address()
    assert frame[14:18].hex() == "45c00020"  # no options, class CS6, 20 + 12 octets
    assert frame[20:24].hex() == "0000ff70"  # no DF, no fragment; TTL 255, protocol 112
    assert frame[26:34].hex() == "c0000201e0000012"
    assert frame[34:] == PAYLOAD


def test_ipv6_multicast_octet_by_octet(pair: Pair) -> None:
    left, right = pair
    sent = Datagram(IpHeader(left.address(Family.V6), Family.V6.group, 255), PAYLOAD)
    with (
        Capture(right.namespace) as capture,
        closing(left.open(Family.V6, Family.V6.group)) as out,
        closing(right.open(Family.V6, Family.V6.group)) as back,
    ):
        out.send([sent])
        assert receive(back) == sent
        [frame] = capture.wait(vrrp)
    assert frame[0:6].hex() == "333300000012"
    assert frame[6:12] == left.namespace.hardware_address()
    assert frame[14:16].hex()[:3] == "6c0"  # version 6, class 0xc0; then the flow label, which the kernel chooses
    assert frame[18:22].hex() == "000c70ff"  # 12 octets, next header 112, hop limit 255
    assert frame[22:38] == left.address(Family.V6).packed
    assert frame[38:54].hex() == "ff020000000000000000000000000012"
    assert frame[54:] == PAYLOAD  # the checksum too: the kernel wrote none of its own


@BOTH
def test_our_own_multicast_does_not_come_back(pair: Pair, family: Family) -> None:
    left, right = pair
    with closing(left.open(family, family.group)) as out, closing(right.open(family, family.group)) as back:
        out.send([Datagram(IpHeader(left.address(family), family.group), PAYLOAD)])
        # When the answer has come, an echo would have been there before it.
        receive(back)
        back.send([Datagram(IpHeader(right.address(family), family.group), PAYLOAD)])
        assert receive(out).header.source == right.address(family)
        assert take(out) is None


@BOTH
def test_every_raw_socket_of_a_host_hears_all(pair: Pair, family: Family) -> None:
    """Several daemons share a host and its interfaces, keepalived among them."""
    left, right = pair
    with (
        closing(left.open(family, family.group)) as out,
        closing(right.open(family, family.group)) as first,
        closing(right.open(family, family.group)) as second,
    ):
        sent = Datagram(IpHeader(left.address(family), family.group), PAYLOAD)
        out.send([sent])
        assert receive(first) == receive(second) == sent


@BOTH
@pytest.mark.parametrize("ttl", [1, 64, 254])
def test_the_ttl_is_sent_and_told_as_it_is(pair: Pair, family: Family, ttl: int) -> None:
    left, right = pair
    with closing(left.open(family, family.group)) as out, closing(right.open(family, family.group)) as back:
        out.send([Datagram(IpHeader(left.address(family), family.group, ttl), PAYLOAD)])
        assert receive(back).header.ttl == ttl


@BOTH
def test_unicast_and_multicast_sockets(pair: Pair, family: Family) -> None:
    """
    A multicast socket is told of unicast too, and an IPv6 one of any group: the receive checks decide.

    An IPv4 unicast socket hears no group.
    """
    left, right = pair
    source, destination = left.address(family), right.address(family)
    multicast = Datagram(IpHeader(source, family.group), PAYLOAD)
    unicast = Datagram(IpHeader(source, destination), PAYLOAD)
    with (
        closing(left.open(family, None)) as out,
        closing(right.open(family, family.group)) as both,
        closing(right.open(family, None)) as alone,
    ):
        out.send([multicast, unicast])
        assert receive(both) == multicast
        assert receive(both) == unicast
        if family is Family.V6:
            assert receive(alone) == multicast
        assert receive(alone) == unicast
        assert take(alone) is None


@BOTH
def test_what_another_interface_hears_stays_there(network: Network, family: Family) -> None:
    left, right = network.namespace("left"), network.namespace("right")
    network.lan({left: "192.0.2.1/24", right: "192.0.2.2/24"})
    network.lan({left: "198.51.100.1/24", right: "198.51.100.2/24"}, "eth1")
    here, there = Host(left), Host(right)
    with closing(here.system), closing(there.system), right.inside(), contextlib.ExitStack() as stack:
        links = there.system.links()
        sockets = []
        for name in ("eth0", "eth1"):
            link = find_link(links, name)
            assert link is not None
            sockets.append(stack.enter_context(closing(there.system.open_socket(link, family, family.group))))
            sockets[-1].serve([62], 12)
        out = stack.enter_context(closing(here.open(family, family.group)))
        out.send([Datagram(IpHeader(here.address(family), family.group), PAYLOAD)])
        receive(sockets[0])
        assert take(sockets[1]) is None


@BOTH
def test_a_batch_leaves_in_order_and_again_from_the_same_objects(pair: Pair, family: Family) -> None:
    left, right = pair
    header = IpHeader(left.address(family), family.group)
    batch = [Datagram(header, number.to_bytes(2, "big")) for number in range(250)]
    with closing(left.open(family, family.group)) as out, closing(right.open(family, family.group)) as back:
        for _ in range(2):
            out.send(batch)
            assert [receive(back) for _ in batch] == batch


def test_an_address_with_a_zone_is_the_address(pair: Pair) -> None:
    family = Family.V6
    left, right = pair
    source = left.address(family)
    with closing(left.open(family, family.group)) as out, closing(right.open(family, family.group)) as back:
        out.send([Datagram(IpHeader(ip_address(f"{source}%eth0"), ip_address("ff02::12%eth0")), PAYLOAD)])
        assert receive(back).header == IpHeader(source, family.group)


def test_what_fails_is_said_and_the_rest_is_sent(pair: Pair) -> None:
    left, right = pair
    header = IpHeader(left.address(Family.V4), GROUP_V4)
    good = [Datagram(header, b"one"), Datagram(header, b"two")]
    with closing(left.open(Family.V4, GROUP_V4)) as out, closing(right.open(Family.V4, GROUP_V4)) as back:
        failed = out.send([good[0], Datagram(header, bytes(1501)), good[1]])
        assert list(failed) == [1]
        assert failed[1].errno == errno.EMSGSIZE
        assert failed[1].operation == "send to"
        assert failed[1].subject == "224.0.0.18 by raw socket for protocol 112 on eth0"
        assert [receive(back), receive(back)] == good


def test_more_datagrams_than_are_kept(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyvrrp.net.sockets._CACHE_BOUND", 4)
    left, right = pair
    header = IpHeader(left.address(Family.V4), GROUP_V4)
    batch = [Datagram(header, bytes((number,))) for number in range(10)]
    with closing(left.open(Family.V4, GROUP_V4)) as out, closing(right.open(Family.V4, GROUP_V4)) as back:
        out.send(batch)
        out.send(batch[::-1])
        assert [receive(back) for _ in range(20)] == batch + batch[::-1]


@BOTH
def test_an_interface_that_is_not_there(pair: Pair, family: Family) -> None:
    host = pair[0]
    link = host.link()
    for stale in (Link(99, "eth9", b""), Link(link.index + 1, "eth0", b""), Link(1, "x" * 20, b"")):
        with host.namespace.inside(), pytest.raises(LinkNotReady) as caught:
            host.system.open_socket(stale, family, family.group)
        assert caught.value.errno == errno.ENODEV
        assert caught.value.subject == f"raw socket for protocol 112 on {stale.name}"


@BOTH
@pytest.mark.parametrize("multicast", [True, False])
def test_an_interface_that_is_down(pair: Pair, family: Family, multicast: bool) -> None:
    host = pair[0]
    link = host.link()
    host.namespace.ip("link", "set", "eth0", "down")
    with host.namespace.inside(), pytest.raises(LinkNotReady) as caught:
        host.system.open_socket(link, family, family.group if multicast else None)
    assert caught.value.errno == errno.ENETDOWN


@BOTH
@pytest.mark.parametrize("end", [["set", "eth0", "down"], ["del", "eth0"]])
def test_an_interface_that_goes_while_the_socket_is_open(pair: Pair, family: Family, end: Sequence[str]) -> None:
    host = pair[0]
    datagram = Datagram(IpHeader(host.address(family), family.group), PAYLOAD)
    with closing(host.open(family, family.group)) as sock:
        sock.send([datagram])
        host.namespace.ip("link", *end)
        assert isinstance(sock.send([datagram])[0], LinkNotReady)
        assert take(sock) is None


def test_a_closed_socket_says_so_as_a_kernel_error(pair: Pair) -> None:
    sock = pair[0].open(Family.V4, GROUP_V4)
    sock.close()
    sock.close()
    assert sock.fileno() == -1
    with pytest.raises(KernelError):
        take(sock)
    failed = sock.send([Datagram(IpHeader(IPv4Address("192.0.2.1"), GROUP_V4), PAYLOAD)])
    assert failed[0].errno == errno.EBADF


GRATUITOUS_ARP = bytes.fromhex(
    "ffffffffffff 020000000001 0806"  # to all, from our MAC, ARP
    "0001 0800 06 04 0001"  # Ethernet, IPv4, lengths, request
    "020000000001 c0000264 ffffffffffff c0000264"
)


def test_announcements_arrive_as_they_are(pair: Pair) -> None:
    left, right = pair
    index = left.link().index
    frames = [GRATUITOUS_ARP[:-1] + bytes((host,)) for host in range(250)]
    with Capture(right.namespace) as capture:
        with left.namespace.inside():
            left.system.announce((index, frame) for frame in frames)
        seen = capture.wait(lambda frame: frame[:14] == GRATUITOUS_ARP[:14], len(frames))
    assert [frame[: len(GRATUITOUS_ARP)] for frame in seen] == frames


def test_an_announcement_that_fails_is_said_and_the_rest_is_sent(pair: Pair) -> None:
    left, right = pair
    index = left.link().index
    left.namespace.ip("link", "add", "down0", "type", "bridge")
    with Capture(right.namespace) as capture:
        with left.namespace.inside(), pytest.raises(LinkNotReady) as caught:
            left.system.announce(
                [
                    (index, GRATUITOUS_ARP),
                    (left.namespace.index("down0"), GRATUITOUS_ARP),
                    (9999, GRATUITOUS_ARP),
                    (index, GRATUITOUS_ARP),
                ]
            )
        capture.wait(lambda frame: frame[:42] == GRATUITOUS_ARP, 2)
    assert caught.value.errno == errno.ENETDOWN
    assert caught.value.subject == "frame on down0"


WITHOUT_RIGHTS = """
import sys
from pyvrrp.errors import NotPermitted
from pyvrrp.net.linux import LinuxSystem, missing_capabilities
from pyvrrp.net.system import VirtualAddress
from pyvrrp.protocol.constants import Family
from ipaddress import ip_interface

system = LinuxSystem()
link = next(link for link in system.links() if link.name == "eth0")
print(missing_capabilities())
for family in Family:
    try:
        system.open_socket(link, family, family.group)
    except NotPermitted as error:
        print(error)
try:
    system.announce([(link.index, bytes(60))])
except NotPermitted as error:
    print(error)
vip = VirtualAddress("eth0", ip_interface("192.0.2.100/24"))
for [error] in (system.install([vip]), system.remove([vip])):
    print(type(error).__name__, error)
"""


def test_without_capabilities_the_error_names_what_is_missing(pair: Pair) -> None:
    done = subprocess.run(
        pair[0].namespace.command(
            [
                "setpriv", "--bounding-set=-net_raw,-net_admin", "--inh-caps=-net_raw,-net_admin",
                sys.executable, "-c", WITHOUT_RIGHTS,
            ]
        ),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    denied = "Operation not permitted (EPERM): needs"
    raw = f"cannot open raw socket for protocol 112 on eth0: {denied} CAP_NET_RAW"
    assert done.stdout.splitlines() == [
        "['CAP_NET_ADMIN', 'CAP_NET_RAW']",
        raw,
        raw,
        f"cannot open packet socket: {denied} CAP_NET_RAW",
        f"NotPermitted cannot add address 192.0.2.100/24 on eth0: {denied} CAP_NET_ADMIN",
        f"NotPermitted cannot remove address 192.0.2.100/24 on eth0: {denied} CAP_NET_ADMIN",
    ]


def test_a_cable_that_is_pulled_and_put_back(network: Network) -> None:
    """The socket outlives a loss of carrier: nothing is to be opened anew."""
    left, right = network.namespace("left"), network.namespace("right")
    switch = network.lan({left: "192.0.2.1/24", right: "192.0.2.2/24"})
    here, there = Host(left), Host(right)
    datagram = Datagram(IpHeader(here.address(Family.V4), GROUP_V4), PAYLOAD)
    with (
        closing(here.system),
        closing(there.system),
        closing(here.open(Family.V4, GROUP_V4)) as out,
        closing(there.open(Family.V4, GROUP_V4)) as back,
    ):
        switch.ip("link", "set", "port1", "down")
        until(lambda: not there.link().running, "loss of carrier")
        out.send([datagram])
        switch.ip("link", "set", "port1", "up")
        until(lambda: there.link().running, "carrier")

        def arrives() -> Datagram | None:
            out.send([datagram])
            return take(back)

        assert until(arrives, "an advertisement") == datagram
