"""Links, addresses and their news as the kernel has them, seen by us, by iproute2 and by pyroute2."""

from __future__ import annotations

import errno
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, ip_interface
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.errors import KernelError, LinkNotReady
from pyvrrp.net import addresses, linux
from pyvrrp.net.linux import LinuxSystem, missing_capabilities
from pyvrrp.net.netlink import rtnetlink
from pyvrrp.net.netlink.wire import Request
from pyvrrp.net.system import (
    ADDRESS_PROTOCOL,
    AddressAdded,
    AddressRemoved,
    KernelEvent,
    KernelMonitor,
    LinkChanged,
    LinkRemoved,
    System,
    VirtualAddress,
)
from tests.netns import PATIENCE_S, Namespace, Network

# The package without its own __init__, whose public names bring in more than net/ asks for.
LEAN = """
import importlib.util, sys
sys.modules["pyvrrp"] = importlib.util.module_from_spec(importlib.util.find_spec("pyvrrp"))
import pyvrrp.net.linux
print(*sorted({"pyroute2", "structlog", "logging", "ssl", "asyncio", "argparse", "scapy"} & sys.modules.keys()))
"""


def test_net_imports_little() -> None:
    done = subprocess.run([sys.executable, "-c", LEAN], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("effective", "missing"),
    [
        ("000001ffffffffff", []),
        ("0000000000003000", []),
        ("0000000000001000", ["CAP_NET_RAW"]),
        ("0000000000002000", ["CAP_NET_ADMIN"]),
        ("0000000000000000", ["CAP_NET_ADMIN", "CAP_NET_RAW"]),
    ],
)
def test_missing_capabilities(
    effective: str, missing: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapPrm:\t0\nCapEff:\t{effective}\nCapBnd:\t0\n")
    monkeypatch.setattr("builtins.open", lambda _path, **_: status.open())
    assert missing_capabilities() == missing


@pytest.mark.parametrize(
    ("release", "marks"),
    [("4.18.0-553.el8", False), ("5.17.9", False), ("5.18.0-rc1", True), ("6.18.44-x", True), ("odd", False)],
)
def test_the_kernel_release_tells_whether_marks_are_told(
    release: str, marks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Uname:
        pass

    uname = Uname()
    uname.release = release  # type: ignore[attr-defined]  # all that is asked of it
    monkeypatch.setattr("os.uname", lambda: uname)
    assert linux._kernel_marks() is marks


def test_time_goes_forward_in_microseconds() -> None:
    with closing(LinuxSystem()) as system:
        before = time.monotonic_ns()
        assert before // 1000 <= system.now_us() <= time.monotonic_ns() // 1000


def vip(text: str, interface: str = "eth0") -> VirtualAddress:
    return VirtualAddress(interface, ip_interface(text))


def vips_of(count: int, version: int = 4) -> list[VirtualAddress]:
    form = "10.0.0.{}/32" if version == 4 else "2001:db8:1::{:x}/128"
    return [vip(form.format(number)) for number in range(1, count + 1)]


@pytest.fixture
def host(network: Network) -> Iterator[Namespace]:
    """A host with eth0, up, 192.0.2.1/24; the test's thread is inside."""
    made = network.namespace("host")
    network.lan({made: "192.0.2.1/24"})
    for scope in ("all", "default", "eth0"):
        made.sysctl(f"net/ipv4/conf/{scope}/promote_secondaries", 0)
    with made.inside():
        yield made


@pytest.fixture
def system(host: Namespace) -> Iterator[LinuxSystem]:
    with closing(LinuxSystem()) as made:
        assert host.index()
        yield made


def test_linux_is_a_system(system: LinuxSystem) -> None:
    port: System = system
    assert port.links()


@pytest.mark.root
def test_links_as_iproute2_sees_them(network: Network) -> None:
    host = network.namespace()
    network.lan({host: "192.0.2.1/24"})
    host.ip("link", "add", "spare0", "mtu", "1400", "type", "bridge")
    with host.inside(), closing(LinuxSystem()) as system:
        links = {link.name: link for link in system.links()}
        seen = {entry["ifname"]: entry for entry in host.ip_json("link")}
    assert links.keys() == seen.keys() >= {"lo", "eth0", "spare0"}
    for name, link in links.items():
        entry = seen[name]
        assert (link.index, link.mtu) == (entry["ifindex"], entry["mtu"])
        assert link.up == ("UP" in entry["flags"])
        assert link.loopback == ("LOOPBACK" in entry["flags"])
        assert link.arp == ("NOARP" not in entry["flags"])
    assert links["eth0"].hardware_address.hex(":") == seen["eth0"]["address"]
    assert links["eth0"].usable
    assert not links["spare0"].usable


@pytest.mark.root
def test_installed_addresses_are_the_kernels(host: Namespace, system: LinuxSystem) -> None:
    wanted = [
        VirtualAddress("eth0", IPv4Interface("192.0.2.100/24"), broadcast=IPv4Address("192.0.2.255"), label="eth0:vip"),
        VirtualAddress("eth0", ip_interface("198.51.100.7/32"), scope=253),
        VirtualAddress("eth0", ip_interface("10.9.0.1/32"), peer=ip_interface("10.9.0.2/32")),
        VirtualAddress("eth0", ip_interface("2001:db8::64/64"), preferred_lifetime_s=0),
        VirtualAddress("eth0", ip_interface("2001:db8::65/64"), no_prefix_route=True, home=True),
    ]
    assert system.install(wanted) == [None] * 5
    found = system.addresses(host.index())
    assert addresses.installed(wanted, found, system.links()) == wanted

    info = {one["local"]: one for one in host.ip_json("addr", "show", "dev", "eth0")[0]["addr_info"]}
    first = info["192.0.2.100"]
    assert (first["prefixlen"], first["broadcast"], first["label"]) == (24, "192.0.2.255", "eth0:vip")
    assert first["secondary"] is True
    assert info["198.51.100.7"]["scope"] == "link"
    assert info["10.9.0.1"]["address"] == "10.9.0.2"
    assert info["2001:db8::64"]["preferred_life_time"] == 0
    assert info["2001:db8::64"]["valid_life_time"] == 0xFFFFFFFF
    assert info["2001:db8::64"]["nodad"] is True
    assert info["2001:db8::65"]["noprefixroute"] is True
    assert info["2001:db8::65"]["home"] is True
    ours = {str(one.address) for one in found if not one.tentative}
    assert ours >= {"192.0.2.100/24", "198.51.100.7/32", "10.9.0.1/32", "2001:db8::64/64", "2001:db8::65/64"}

    assert system.remove(wanted) == [None] * 5
    assert host.addresses() == {"192.0.2.1/24"}


def marks_by_pyroute2(index: int) -> dict[str, Any]:
    """Each address of a link with its IFA_PROTO, as somebody else reads it."""
    from pyroute2 import IPRoute

    with IPRoute() as route:
        return {one.get("IFA_ADDRESS"): one.get("IFA_PROTO") for one in route.get_addr(index=index)}


@pytest.mark.root
def test_the_mark_is_in_the_kernel(host: Namespace, system: LinuxSystem) -> None:
    if not linux._kernel_marks():
        pytest.skip("kernel has no IFA_PROTO")
    assert system.install([vip("192.0.2.100/24"), vip("2001:db8::64/64")]) == [None, None]
    marks = {str(one.address): one.protocol for one in system.addresses(host.index())}
    assert marks["192.0.2.100/24"] == marks["2001:db8::64/64"] == ADDRESS_PROTOCOL
    assert marks["192.0.2.1/24"] == 0
    seen = host.call(marks_by_pyroute2, host.index())
    for ours in ("192.0.2.100", "2001:db8::64"):
        assert seen[ours] in (112, b"\x70", "70")  # its type differs between releases
    assert seen["192.0.2.1"] is None


@pytest.mark.root
def test_without_marks_nothing_is_marked_and_nothing_told(host: Namespace) -> None:
    wanted = [vip("192.0.2.100/24"), vip("2001:db8::64/64")]
    with closing(LinuxSystem(mark=False)) as system:
        assert system.install(wanted) == [None, None]
        assert {one.protocol for one in system.addresses()} == {None}
    with closing(LinuxSystem()) as judge:
        assert addresses.marked(judge.addresses()) == []
        assert addresses.installed(wanted, judge.addresses(), judge.links()) == wanted
    assert host.addresses() >= {"192.0.2.100/24"}


@pytest.mark.root
@pytest.mark.parametrize("version", [4, 6])
def test_a_batch_of_250_with_a_bad_one_among_them(host: Namespace, system: LinuxSystem, version: int) -> None:
    wanted = vips_of(250, version)
    bad = replace(wanted[100], interface="eth9")
    results = system.install([*wanted[:100], bad, *wanted[101:]])
    assert [at for at, result in enumerate(results) if result is not None] == [100]
    error = results[100]
    assert isinstance(error, LinkNotReady)
    assert (error.operation, error.subject, error.errno) == ("add address", f"{bad.address} on eth9", errno.ENODEV)
    here = {str(one.address) for one in wanted} - {str(bad.address)}
    assert host.addresses() - {"192.0.2.1/24"} == here
    assert system.remove(wanted) == [None] * 250
    assert host.addresses() == {"192.0.2.1/24"}


@pytest.mark.root
def test_what_the_kernel_refuses_it_explains(host: Namespace, system: LinuxSystem) -> None:
    """The text comes from the kernel, for the one message of the batch that failed."""
    good, bad, last = (
        vip("10.0.0.1/32"),
        replace(vip("10.0.0.2/32"), label="longer-than-15-characters"),
        vip("10.0.0.3/32"),
    )
    [first, error, third] = system.install([good, bad, last])
    assert first is third is None
    assert isinstance(error, KernelError)
    assert not isinstance(error, LinkNotReady)
    assert (error.operation, error.subject) == ("add address", "10.0.0.2/32 on eth0")
    assert error.detail  # "Attribute failed policy validation" in 6.18
    assert host.addresses() == {"192.0.2.1/24", "10.0.0.1/32", "10.0.0.3/32"}


@pytest.mark.root
def test_what_is_there_is_no_error_and_stays_as_it_is(host: Namespace, system: LinuxSystem) -> None:
    host.ip("addr", "add", "10.0.0.1/32", "dev", "eth0", "label", "eth0:mine")
    host.ip("addr", "add", "2001:db8::64/64", "dev", "eth0", "nodad")
    wanted = [vip("10.0.0.1/32"), vip("2001:db8::64/64"), vip("10.0.0.2/32")]
    assert system.install(wanted) == [None] * 3
    assert system.install(wanted) == [None] * 3
    found = {str(one.address): one for one in system.addresses(host.index())}
    assert found["10.0.0.1/32"].label == "eth0:mine"
    if linux._kernel_marks():
        assert found["10.0.0.1/32"].protocol == found["2001:db8::64/64"].protocol == 0


@pytest.mark.root
def test_what_is_not_there_is_no_error(host: Namespace, system: LinuxSystem) -> None:
    host.sysctl("net/ipv6/conf/lo/disable_ipv6", 1)
    absent = [vip("10.0.0.1/32"), vip("2001:db8::64/64"), vip("10.0.0.1/32", "eth9"), vip("2001:db8::64/64", "lo")]
    assert system.remove(absent) == [None] * 4
    assert system.install([]) == system.remove([]) == []


@pytest.mark.root
def test_a_removal_takes_exactly_the_address_with_its_prefix(host: Namespace, system: LinuxSystem) -> None:
    for address in ("10.0.0.1/24", "10.0.0.1/32", "10.0.0.2/32", "2001:db8::64/64"):
        host.ip("addr", "add", address, "dev", "eth0")
    before = host.addresses()
    assert system.remove([vip("10.0.0.1/25"), vip("2001:db8::64/128"), vip("10.0.0.2/24")]) == [None] * 3
    assert host.addresses() == before
    assert system.remove([vip("10.0.0.1/32")]) == [None]
    assert host.addresses() == before - {"10.0.0.1/32"}


@pytest.mark.root
def test_ipv6_switched_off_is_no_missing_right(host: Namespace, system: LinuxSystem) -> None:
    host.sysctl("net/ipv6/conf/eth0/disable_ipv6", 1)
    [error] = system.install([vip("2001:db8::64/64")])
    assert type(error) is KernelError
    assert error.errno == errno.EACCES


def promote(host: Namespace, value: int | None = None) -> str:
    return host.sysctl("net/ipv4/conf/eth0/promote_secondaries", value)


def first_comes_the_vip(host: Namespace, system: LinuxSystem) -> None:
    """Make 203.0.113.100 the primary of its subnet, and two addresses of other people its secondaries."""
    assert system.install([vip("203.0.113.100/24")]) == [None]
    host.ip("addr", "add", "203.0.113.5/24", "dev", "eth0")
    host.ip("addr", "add", "203.0.113.6/24", "dev", "eth0")


@pytest.mark.root
def test_the_kernel_would_take_other_peoples_addresses_along(host: Namespace, system: LinuxSystem) -> None:
    """The hazard is real: without care a removal deletes more than it says."""
    first_comes_the_vip(host, system)
    host.ip("addr", "del", "203.0.113.100/24", "dev", "eth0")
    assert host.addresses() == {"192.0.2.1/24"}


@pytest.mark.root
@pytest.mark.parametrize("setting", [0, 1])
def test_a_vip_that_was_primary_goes_alone(host: Namespace, system: LinuxSystem, setting: int) -> None:
    first_comes_the_vip(host, system)
    others = vips_of(3)
    assert system.install([*others, vip("203.0.113.101/24")]) == [None] * 4
    promote(host, setting)
    # A route through a gateway of that subnet is what people lose with the last address in it.
    host.ip("route", "add", "default", "via", "203.0.113.254", "dev", "eth0")
    assert system.remove([vip("203.0.113.100/24"), *others]) == [None] * 4
    assert host.addresses() == {"192.0.2.1/24", "203.0.113.5/24", "203.0.113.6/24", "203.0.113.101/24"}
    assert promote(host) == str(setting)
    assert host.ip("route", "show", "default").split()[:3] == ["default", "via", "203.0.113.254"]
    primaries = [str(one.address) for one in system.addresses(host.index()) if not one.secondary]
    assert "203.0.113.5/24" in primaries


@pytest.mark.root
def test_not_knowing_who_else_is_there_removes_with_care(
    host: Namespace, system: LinuxSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_comes_the_vip(host, system)

    def refuses(*_: object) -> None:
        raise KernelError("list", "addresses", errno.EINTR)

    with monkeypatch.context() as patch:
        patch.setattr(system._questions, "dump", refuses)
        assert system.remove([vip("203.0.113.100/24")]) == [None]
    assert host.addresses() == {"192.0.2.1/24", "203.0.113.5/24", "203.0.113.6/24"}
    assert promote(host) == "1"  # what it was could not be known, and set it harms nobody


@pytest.mark.root
def test_secondaries_that_could_not_be_kept_are_said(
    host: Namespace, system: LinuxSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_comes_the_vip(host, system)
    broken = Request(rtnetlink.RTM_SETLINK, 0, rtnetlink.get_link(9999).payload)
    monkeypatch.setattr(rtnetlink, "set_promote_secondaries", lambda _index, _value: broken)
    [error] = system.remove([vip("203.0.113.100/24")])
    assert isinstance(error, KernelError)
    assert (error.operation, error.subject) == ("keep secondaries beside", "203.0.113.100/24 on eth0")


@pytest.mark.root
def test_addresses_of_one_link_or_of_none(host: Namespace, system: LinuxSystem) -> None:
    host.ip("link", "add", "eth1", "type", "bridge")
    host.ip("addr", "add", "10.0.0.1/32", "dev", "eth1")
    assert {one.index for one in system.addresses()} == {1, host.index("eth0"), host.index("eth1")}
    assert [str(one.address) for one in system.addresses(host.index("eth1"))] == ["10.0.0.1/32"]
    assert system.addresses(9999) == []


@pytest.mark.root
def test_install_in_one_thread_and_questions_in_another(host: Namespace, system: LinuxSystem) -> None:
    """As the engine does it: the batch in a thread, the rest in the loop."""
    wanted = vips_of(250)
    results: list[KernelError | None] = []

    def work() -> None:
        host.enter()
        for _ in range(4):
            results.extend(system.install(wanted))
            results.extend(system.remove(wanted))

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        assert {str(one.address) for one in system.addresses()} >= {"192.0.2.1/24"}
        assert len(system.links()) == 2
    thread.join()
    assert results == [None] * 2000


class Newsreader:
    """Reads news until the wanted one has come, and keeps those before it."""

    def __init__(self, monitor: KernelMonitor) -> None:
        self._monitor = monitor
        self.seen: list[KernelEvent] = []

    def until(self, *wanted: KernelEvent) -> None:
        end = time.monotonic() + PATIENCE_S
        missing = [event for event in wanted if event not in self.seen]
        while missing:
            left = end - time.monotonic()
            assert left > 0, f"{missing} not among {self.seen}"
            select.select([self._monitor], [], [], left)
            self.seen += self._monitor.receive()
            missing = [event for event in wanted if event not in self.seen]


@pytest.mark.root
def test_news_of_a_links_life(host: Namespace, system: LinuxSystem) -> None:
    with closing(system.monitor()) as monitor:
        news = Newsreader(monitor)
        assert list(monitor.receive()) == []
        host.ip("link", "add", "left", "type", "veth", "peer", "name", "right")
        host.ip("link", "set", "left", "up")
        host.ip("link", "set", "right", "up")
        [link] = [link for link in system.links() if link.name == "left"]
        assert link.usable
        news.until(LinkChanged(link))
        host.ip("link", "set", "right", "down")
        news.until(LinkChanged(replace(link, running=False)))
        host.ip("link", "set", "left", "down")
        news.until(LinkChanged(replace(link, up=False, running=False)))
        host.ip("link", "set", "left", "name", "renamed")
        news.until(LinkChanged(replace(link, name="renamed", up=False, running=False)))
        host.ip("link", "del", "renamed")
        news.until(LinkRemoved(link.index, "renamed"))
        assert list(monitor.receive()) == []
        assert monitor.fileno() >= 0
    monitor.close()
    assert monitor.fileno() == -1


@pytest.mark.root
def test_a_port_that_leaves_its_bridge_is_no_removed_link(host: Namespace, system: LinuxSystem) -> None:
    host.ip("link", "add", "br0", "type", "bridge")
    host.ip("link", "set", "eth0", "master", "br0")
    with closing(system.monitor()) as monitor:
        news = Newsreader(monitor)
        host.ip("link", "set", "eth0", "nomaster")
        host.ip("link", "set", "eth0", "mtu", "1234")
        [link] = [link for link in system.links() if link.name == "eth0"]
        news.until(LinkChanged(link))
    assert not [event for event in news.seen if isinstance(event, LinkRemoved)]


@pytest.mark.root
def test_news_of_addresses(host: Namespace, system: LinuxSystem) -> None:
    with closing(system.monitor()) as monitor:
        news = Newsreader(monitor)
        wanted = [vip("192.0.2.100/24"), vip("2001:db8::64/64")]
        assert system.install(wanted) == [None, None]
        host.ip("addr", "add", "10.0.0.1/32", "dev", "eth0")
        found = [
            one
            for one in system.addresses(host.index())
            if str(one.address) in ("192.0.2.100/24", "2001:db8::64/64", "10.0.0.1/32")
        ]
        assert len(found) == 3
        news.until(*[AddressAdded(one) for one in found])
        assert system.remove(wanted) == [None, None]
        host.ip("addr", "del", "10.0.0.1/32", "dev", "eth0")
        news.until(*[AddressRemoved(one) for one in found])


def test_a_closed_system_says_so_as_a_kernel_error() -> None:
    system = LinuxSystem()
    system.close()
    system.close()
    with pytest.raises(KernelError):
        system.links()
