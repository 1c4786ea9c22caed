"""What the pod sees of its node."""

from __future__ import annotations

import contextlib
import os
import socket
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from pyvrrp.net.linux import LinuxSystem
from pyvrrp.net.system import VirtualAddress
from pyvrrp.pod.node import facts
from tests.daemon.conftest import executable
from tests.netns import Namespace, Network, network

__all__ = ["network"]


@pytest.fixture
def place(network: Network) -> Namespace:
    """A namespace with two cables, eth0 and eth1."""
    here, there = network.namespace(), network.namespace()
    for name in ("eth0", "eth1"):
        network.veth(here, name, there, name)
    return here


@pytest.mark.root
def test_interfaces_and_addresses(place: Namespace) -> None:
    """All of them, in the kernel's order; one without an address is there, too."""
    for address in ("10.0.0.35/24", "10.0.0.7/24", "192.0.2.1/24", "2001:db8::1/64"):
        place.ip("addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
    found = place.call(facts, {}).addresses
    assert list(found) == ["lo", "eth0", "eth1"] or set(found) == {"lo", "eth0", "eth1"}
    assert found["lo"][0] == ip_address("127.0.0.1")
    assert [str(one) for one in found["eth0"] if one.version == 4] == ["10.0.0.35", "192.0.2.1", "10.0.0.7"]
    assert ip_address("2001:db8::1") in found["eth0"]
    assert all(one.is_link_local for one in found["eth1"])


@pytest.mark.root
def test_what_a_dead_predecessor_left_is_no_address_of_the_node(place: Namespace) -> None:
    """An interface that lost its address and got it back has our VIP first: the priority must not follow from it."""
    vip = VirtualAddress("eth0", ip_interface("10.0.0.100/32"))

    def leave() -> None:
        with contextlib.closing(LinuxSystem()) as system:
            assert system.install([vip]) == [None]

    place.call(leave)
    place.ip("addr", "add", "10.0.0.35/24", "dev", "eth0")
    found = place.call(facts, {}).addresses["eth0"]
    assert [str(one) for one in found if one.version == 4] == ["10.0.0.35"]


@pytest.mark.root
def test_what_a_dead_keepalived_left_is_no_address_of_the_node(place: Namespace) -> None:
    """It bears no mark, but it is on the list and has a router's prefix length; what stands alone is the node's own."""
    for address in ("10.0.0.100/32", "10.0.0.35/24", "10.0.0.101/24"):
        place.ip("addr", "add", address, "dev", "eth0")
    place.ip("addr", "add", "10.0.0.102/32", "dev", "eth1")
    found = place.call(facts, {"OPENSHIFT_HA_VIRTUAL_IPS": "10.0.0.100-102"}).addresses
    assert [str(one) for one in found["eth0"] if one.version == 4] == ["10.0.0.35", "10.0.0.101"]
    assert [str(one) for one in found["eth1"] if one.version == 4] == ["10.0.0.102"]


@pytest.mark.root
def test_the_interface_that_leads_outside(place: Namespace) -> None:
    """The kernel decides, by its most special route; without one there is none."""
    place.ip("addr", "add", "10.0.0.35/24", "dev", "eth0")
    place.ip("addr", "add", "10.0.1.35/24", "dev", "eth1")
    assert place.call(facts, {}).route_interface is None
    place.ip("route", "add", "default", "via", "10.0.0.1")
    assert place.call(facts, {}).route_interface == "eth0"
    place.ip("route", "add", "8.8.0.0/16", "via", "10.0.1.1")
    assert place.call(facts, {}).route_interface == "eth1"
    place.ip("route", "add", "blackhole", "8.8.8.8/32")
    assert place.call(facts, {}).route_interface is None


def test_programs_that_cannot_be_run(tmp_path: Path) -> None:
    """Those of the environment that are not there or not executable; names are looked up in PATH."""
    good, plain = executable(tmp_path / "good", "true"), tmp_path / "plain"
    plain.touch(0o644)

    def missing(check: str, notify: str) -> set[str]:
        environment = {"OPENSHIFT_HA_CHECK_SCRIPT": check, "OPENSHIFT_HA_NOTIFY_SCRIPT": notify}
        return set(facts(environment).missing_programs)

    assert missing(f"{good} with words", "true") == set()
    assert missing(f"{plain} x", "/nowhere/at/all") == {str(plain), "/nowhere/at/all"}
    assert missing("", "no-such-program x") == {"no-such-program"}


def test_the_name() -> None:
    assert facts({}).hostname == socket.gethostname() == os.uname().nodename
