"""What an engine does on its interface, in memory and on real kernels: the same body for both."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pyvrrp.engine.commands import Configure, Stop
from pyvrrp.engine.reports import KernelFailed, Stopped
from pyvrrp.protocol.actions import Cause
from pyvrrp.protocol.constants import GROUP_V4
from pyvrrp.protocol.states import State
from tests.engine.worlds import INTERVAL_US, VIP, VIP6, Host, Lan, RealLan, SimulatedHost, settings, with_priority

INTERVAL_S = INTERVAL_US / 1e6


def masters(*hosts: Host) -> list[str]:
    return [host.name for host in hosts if host.is_master()]


def pair(lan: Lan) -> tuple[Host, Host]:
    """Two routers, the first of which is the better one and MASTER."""
    a, b = lan.host("a", "192.0.2.1/24"), lan.host("b", "192.0.2.2/24")
    a.configure(settings(priority=200))
    b.configure(settings(priority=100))
    lan.until(lambda: masters(a, b) == ["a"] and b.state() is State.BACKUP, "the election")
    return a, b


def test_the_better_one_serves_and_the_other_takes_over(lan: Lan) -> None:
    a, b = pair(lan)
    assert VIP not in b.addresses()
    assert [sent.priority for sent in b.sent()] == []
    assert a.announced() == ["192.0.2.100"]
    a.command(Stop())
    lan.until(lambda: masters(b) == ["b"], "the take-over")
    assert b.transitions()[-1].cause is Cause.MASTER_RELEASED
    assert VIP not in a.addresses()


def test_stop_says_priority_0_once_and_leaves_nothing(lan: Lan) -> None:
    a = lan.host("a", "192.0.2.1/24")
    a.configure(settings())
    lan.until(a.is_master, "master")
    fds = set(a.engine.readables)
    a.command(Stop())
    lan.until(lambda: Stopped() in a.reports, "the end")
    lan.rest(3 * INTERVAL_S)
    assert [sent.priority for sent in a.sent()].count(0) == 1
    assert a.sent()[-1].priority == 0
    assert a.addresses() & {VIP} == set()
    assert a.engine.stopped
    assert a.engine.readables == {}
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]
    assert a.reports[-1] == Stopped()
    assert isinstance(a, SimulatedHost) or len(fds) == 2  # the monitor's and the socket's
    if isinstance(a, SimulatedHost):
        assert a.kernel.sockets == []
        assert a.kernel.monitors == []


def test_stop_may_leave_the_addresses(lan: Lan) -> None:
    a = lan.host("a", "192.0.2.1/24")
    a.configure(settings(excluded=["192.0.2.101/24"]))
    lan.until(a.is_master, "master")
    a.command(Stop(keep_addresses=True))
    lan.until(lambda: Stopped() in a.reports, "the end")
    assert a.sent()[-1].priority == 0
    assert {VIP, "192.0.2.101/24"} <= a.addresses()


def test_excluded_addresses_move_along_unadvertised(lan: Lan) -> None:
    a = lan.host("a", "192.0.2.1/24")
    a.configure(settings(excluded=["192.0.2.101/24", "2001:db8::1/64"]))
    lan.until(a.is_master, "master")
    assert {"192.0.2.101/24", "2001:db8::1/64"} <= a.addresses()
    assert a.sent()[0].addresses == (ip_address("192.0.2.100"),)
    assert a.announced() == ["192.0.2.100", "192.0.2.101", "2001:db8::1"]
    a.configure()
    lan.until(lambda: a.addresses() & {VIP, "192.0.2.101/24", "2001:db8::1/64"} == set(), "addresses gone")


def test_an_instance_taken_out_of_the_configuration_ends_in_order(lan: Lan) -> None:
    """Priority 0 is sent before the socket is taken away from it."""
    a, b = pair(lan)
    a.forget()
    a.configure()
    lan.until(lambda: masters(b) == ["b"], "the take-over")
    assert [sent.priority for sent in a.sent()][-1] == 0
    assert b.transitions()[-1].cause is Cause.MASTER_RELEASED
    assert VIP not in a.addresses()


def test_one_of_several_is_taken_out(lan: Lan) -> None:
    """It ends in order, and the socket they share serves the other on."""
    a = lan.host("a", "192.0.2.1/24")
    first, second = settings(), settings("VI_2", vrid=52, vips=["192.0.2.200/24"])
    a.configure(first, second)
    lan.until(lambda: a.is_master() and a.is_master("VI_2"), "masters")
    a.forget()
    a.configure(second)
    lan.until(lambda: [sent.vrid for sent in a.sent()].count(52) >= 2, "advertisements of the other")
    assert [(sent.vrid, sent.priority) for sent in a.sent() if sent.vrid == 51] == [(51, 0)]
    assert a.moves("VI_2") == ["BACKUP", "MASTER"]


def test_a_difference_of_addresses_is_applied_in_place(lan: Lan) -> None:
    """MASTER stays MASTER: what is gone is removed, what is new is installed and announced, the rest not touched."""
    a = lan.host("a", "192.0.2.1/24")
    a.configure(settings(vips=["192.0.2.100/24", "192.0.2.101/24"]))
    lan.until(a.is_master, "master")
    lan.rest(INTERVAL_S)
    a.forget()
    a.configure(settings(vips=["192.0.2.101/24", "192.0.2.102/24"]))
    lan.until(lambda: a.is_master() and "192.0.2.100/24" not in a.addresses(), "the difference")
    lan.rest(2 * INTERVAL_S)
    assert a.moves() == ["BACKUP", "MASTER"]
    assert a.announced() == ["192.0.2.102"]
    assert {sent.addresses for sent in a.sent()} == {(ip_address("192.0.2.101"), ip_address("192.0.2.102"))}


def test_another_priority_in_place(lan: Lan) -> None:
    """A reload that lowers the priority of the master makes the other take over; nobody restarts."""
    a, b = pair(lan)
    a.configure(settings(priority=50))
    lan.until(lambda: masters(a, b) == ["b"], "the preemption")
    assert a.moves() == ["BACKUP", "MASTER", "BACKUP"]
    assert a.transitions()[-1].cause is Cause.HIGHER_PRIORITY


def test_both_families_with_one_vrid(lan: Lan) -> None:
    a, b = lan.host("a", "192.0.2.1/24", "fe80::1/64"), lan.host("b", "192.0.2.2/24", "fe80::2/64")
    for host, priority, priority6 in ((a, 200, 100), (b, 100, 200)):
        host.configure(settings(priority=priority), settings("VI_6", priority=priority6, vips=[VIP6]))
    lan.until(lambda: a.is_master() and b.is_master("VI_6"), "both elections")
    lan.until(lambda: a.state("VI_6") is b.state() is State.BACKUP, "losers yield")
    lan.until(lambda: len(b.sent()) >= 2, "advertisements")
    assert {sent.destination for sent in b.sent()} == {ip_address("ff02::12")}
    assert VIP6 not in a.addresses()
    assert b.announced() == ["fe80::100"]


def test_several_vrids_on_one_socket(lan: Lan) -> None:
    a, b = lan.host("a", "192.0.2.1/24"), lan.host("b", "192.0.2.2/24")
    for host, odd, even in ((a, 200, 100), (b, 100, 200)):
        host.configure(
            *(
                settings(f"VI_{n}", vrid=n, priority=odd if n % 2 else even, vips=[f"192.0.2.{100 + n}/24"])
                for n in range(1, 6)
            )
        )
    lan.until(lambda: all((a if n % 2 else b).is_master(f"VI_{n}") for n in range(1, 6)), "the elections")
    # A loser that had taken over before its better was there hears of it a moment later.
    lan.until(lambda: all((b if n % 2 else a).state(f"VI_{n}") is State.BACKUP for n in range(1, 6)), "losers yield")
    assert len(a.engine._listeners) == 1


def test_unicast_beside_multicast_on_one_interface(lan: Lan) -> None:
    """Both with one VRID: each hears its own packets and counts none of the other's."""
    a, b = lan.host("a", "192.0.2.1/24"), lan.host("b", "192.0.2.2/24")
    for host, priority, peer in ((a, 200, "192.0.2.2"), (b, 100, "192.0.2.1")):
        host.configure(
            settings(priority=priority), settings("VI_U", priority=priority, vips=["192.0.2.200/24"], peers=[peer])
        )
    lan.until(lambda: a.is_master() and a.is_master("VI_U"), "the elections")
    lan.until(lambda: len(a.sent()) >= 6, "advertisements")
    assert b.state() is b.state("VI_U") is State.BACKUP
    assert {str(sent.destination) for sent in a.sent()} == {str(GROUP_V4), "192.0.2.2"}
    for name in ("VI_1", "VI_U"):
        assert set(b.status_of(name).counters) == {"advertisements-received"}
    assert b.status().interfaces["eth0"] == {}


def test_link_down_and_up(lan: Lan) -> None:
    a, b = pair(lan)
    a.set_link(up=False)
    lan.until(lambda: masters(b) == ["b"] and a.state() is State.FAULT, "the take-over")
    assert a.status_of().faults["interface"] == "interface eth0 is down"
    assert VIP not in a.addresses()
    a.set_link(up=True)
    lan.until(lambda: masters(a, b) == ["a"], "the preemption")
    assert a.moves() == ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER"]


def test_link_removed_and_created_again(lan: Lan) -> None:
    """The new interface gets a new socket; no state is entered for a moment only."""
    a, b = pair(lan)
    a.delete_link()
    lan.until(lambda: masters(b) == ["b"] and a.state() is State.FAULT, "the take-over")
    assert "interface" in a.status_of().faults
    assert a.engine._listeners == {}
    a.create_link()
    lan.until(lambda: masters(a, b) == ["a"], "the preemption")
    assert a.moves() == ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER"]


def test_link_renamed(lan: Lan) -> None:
    """The interface of that name is gone: priority 0 is said, and no address stays on the one with the new name."""
    a, b = pair(lan)
    a.forget()
    a.rename_link("lan0")
    lan.until(lambda: masters(b) == ["b"] and a.state() is State.FAULT, "the take-over")
    assert [sent.priority for sent in a.sent()][-1] == 0
    assert VIP not in a.addresses()
    a.rename_link("eth0")
    lan.until(lambda: masters(a, b) == ["a"], "the preemption")


def test_source_address_removed_and_replaced(lan: Lan) -> None:
    a, b = pair(lan)
    a.forget()
    a.delete_address("192.0.2.1/24")
    lan.until(lambda: masters(b) == ["b"] and a.state() is State.FAULT, "the take-over")
    assert a.status_of().faults == {"address": "no IPv4 address for interface"}
    assert b.transitions()[-1].cause is Cause.MASTER_RELEASED
    a.add_address("192.0.2.3/24")
    lan.until(lambda: masters(a, b) == ["a"], "the preemption")
    assert str(a.sent()[-1].source) == "192.0.2.3"
    lan.until(lambda: str(b.status_of().master) == "192.0.2.3", "its new address is heard")


def test_ipv6_without_link_local(lan: Lan) -> None:
    a = lan.host("a", "2001:db8::1/64")
    if not isinstance(a, SimulatedHost):  # the kernel makes one of its own
        lan.until(lambda: any(text.startswith("fe80") for text in a.addresses()), "the kernel's address")
    for address in [text for text in a.addresses() if text.startswith("fe80")]:
        a.delete_address(address)
    a.configure(settings(vips=[VIP6]))
    lan.until(lambda: a.moves()[-1:] == ["FAULT"], "the fault")
    assert a.status_of().faults == {"address": "no IPv6 link-local address for interface"}
    a.add_address("fe80::1/64")
    lan.until(a.is_master, "master")
    assert str(a.sent()[0].source) == "fe80::1"


def test_an_address_that_somebody_deletes_comes_back(lan: Lan) -> None:
    a = lan.host("a", "192.0.2.1/24")
    a.configure(settings(vips=[VIP, "192.0.2.101/24"]))
    lan.until(a.is_master, "master")
    lan.rest(INTERVAL_S)
    a.forget()
    a.delete_address(VIP)
    lan.until(a.is_master, "the address")
    lan.until(lambda: "192.0.2.100" in a.announced(), "the announcement")
    assert a.moves() == ["BACKUP", "MASTER"]


def test_the_only_address_is_the_virtual_one(lan: Lan) -> None:
    """It may move, so nothing can be sent from it: FAULT until there is another; what is there is not taken away."""
    a = lan.host("a", VIP)
    a.configure(settings())
    lan.until(lambda: a.moves() == ["FAULT"], "the fault")
    assert a.status_of().faults == {"address": "no IPv4 address for interface"}
    assert VIP in a.addresses()
    a.add_address("192.0.2.1/24")
    lan.until(a.is_master, "master")
    assert str(a.sent()[0].source) == "192.0.2.1"


def test_an_owner_keeps_its_own_addresses(lan: Lan) -> None:
    """Priority 255 says that the addresses are the interface's own: they are somebody else's to remove."""
    a = lan.host("a", VIP)
    a.configure(settings(priority=255, vips=[VIP, "192.0.2.101/24"]))
    lan.until(a.is_master, "master")
    assert str(a.sent()[0].source) == "192.0.2.100"
    a.set_link(up=False)
    lan.until(lambda: a.state() is State.FAULT, "the fault")
    a.set_link(up=True)
    lan.until(a.is_master, "master again")
    a.command(Stop())
    lan.until(lambda: Stopped() in a.reports, "the end")
    assert VIP in a.addresses()
    assert "192.0.2.101/24" not in a.addresses()


def test_owner_by_reload(lan: Lan) -> None:
    """To become the owner is a restart: priority 0 on the old terms, the old addresses gone, MASTER at once."""
    a = lan.host("a", "192.0.2.1/24")
    a.configure(settings())
    lan.until(a.is_master, "master")
    a.forget()
    a.configure(with_priority(settings(vips=["192.0.2.101/24"]), 255))
    lan.until(lambda: a.is_master() and VIP not in a.addresses(), "the owner")
    assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE", "MASTER"]
    assert [sent.priority for sent in a.sent()][:2] == [0, 255]


def test_another_version_by_reload(lan: Lan) -> None:
    a = lan.host("a", "192.0.2.1/24")
    a.configure(settings())
    lan.until(a.is_master, "master")
    a.configure(settings(version=2, interval_us=1_000_000))
    lan.until(lambda: a.moves() == ["BACKUP", "MASTER", "INITIALIZE", "BACKUP", "MASTER"], "master again")
    assert a.is_master()
    assert a.status_of().version == 2


def test_a_socket_is_opened_for_a_link_that_comes_up_later(lan: Lan) -> None:
    a = lan.host("a", "192.0.2.1/24")
    a.set_link(up=False)
    a.configure(settings())
    lan.until(lambda: a.moves() == ["FAULT"], "the fault")
    a.set_link(up=True)
    lan.until(a.is_master, "master")
    assert a.moves() == ["FAULT", "BACKUP", "MASTER"]
    assert [r for r in a.reports if isinstance(r, KernelFailed)] == []


def test_an_interface_that_does_not_exist_yet(lan: Lan) -> None:
    a = lan.host("a", "192.0.2.1/24")
    a.delete_link()
    a.command(Configure((settings(),)))
    lan.until(lambda: a.moves() == ["FAULT"], "the fault")
    assert a.status_of().faults == {"interface": "interface eth0 does not exist"}
    a.create_link()
    lan.until(a.is_master, "master")
    assert a.moves() == ["FAULT", "BACKUP", "MASTER"]


def test_points_to_point_addresses_are_found_again(lan: Lan) -> None:
    """The kernel keeps such an address with the prefix length of its peer; it is not missing."""
    from dataclasses import replace
    from ipaddress import ip_interface

    a = lan.host("a", "192.0.2.1/24")
    one = settings(vips=["192.0.2.100/32"])
    one = replace(one, vips=(replace(one.vips[0], peer=ip_interface("198.51.100.0/24")),))
    a.configure(one)
    lan.until(lambda: a.state() is State.MASTER, "master")
    lan.rest(INTERVAL_S)
    a.forget()
    a.add_address("192.0.2.3/24")
    lan.rest(3 * INTERVAL_S)
    assert a.announced() == []


@pytest.mark.root
@pytest.mark.parametrize(
    ("away", "back"),
    [
        pytest.param(["mtu", "1000"], ["mtu", "1500"], id="an MTU too small for IPv6"),
        pytest.param(["down"], ["up"], id="down"),
    ],
)
def test_ipv6_taken_from_the_interface_and_given_back(real: RealLan, away: list[str], back: list[str]) -> None:
    """The kernel forgets its group memberships with it: a socket that stayed open would hear no master any more."""
    a, b = real.host("a"), real.host("b")
    for host, priority in ((a, 200), (b, 100)):
        host.configure(settings(priority=priority, vips=[VIP6]))
    real.until(lambda: a.is_master() and b.state() is State.BACKUP, "the election")
    b.namespace.ip("link", "set", "eth0", *away)
    real.until(lambda: b.state() is State.FAULT, "the fault")
    b.namespace.ip("link", "set", "eth0", *back)
    real.until(lambda: b.state() is not State.FAULT, "the recovery")
    real.rest(10 * INTERVAL_S)
    assert b.state() is State.BACKUP
    assert b.moves().count("MASTER") == 0
    assert b.status_of().master is not None


@pytest.mark.root
def test_ipv6_switched_off_and_on(real: RealLan) -> None:
    a, b = real.host("a"), real.host("b")
    for host, priority in ((a, 200), (b, 100)):
        host.configure(settings(priority=priority, vips=[VIP6]))
    real.until(lambda: a.is_master() and b.state() is State.BACKUP, "the election")
    b.namespace.sysctl("net/ipv6/conf/eth0/disable_ipv6", 1)
    real.until(lambda: b.state() is State.FAULT, "the fault")
    b.namespace.sysctl("net/ipv6/conf/eth0/disable_ipv6", 0)
    real.until(lambda: b.state() is not State.FAULT, "the recovery")
    real.rest(10 * INTERVAL_S)
    assert b.moves().count("MASTER") == 0
