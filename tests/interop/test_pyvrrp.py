"""What pyvrrp must withstand: broken packets, its own sudden death, another one beside it, a bad reload."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from itertools import cycle

import pytest

from tests.interop.capture import reigns
from tests.interop.configuration import PLAIN, Form, instance, whole
from tests.interop.conftest import Case
from tests.interop.lan import Daemon, Lan, Node, Program
from tests.interop.wire import ipv4_frame, vrrp_v2
from tests.netns import until

pytestmark = pytest.mark.root

OTHER = Form("v2-other", vips=("192.0.2.101/24",))
FOREIGN = ip_address("192.0.2.77")


def start(lan: Lan, node: Node, priority: int, form: Form = PLAIN) -> Daemon:
    peer = lan.r2 if node is lan.r1 else lan.r1
    program = lan.first if node is lan.r1 else lan.second
    return node.start(program, whole(instance(form, node, peer, priority=priority)))


def malformed_packets(lan: Lan) -> None:
    """Fifty broken packets a second for ten seconds change nothing but counters, at the master and at the backup."""
    first = start(lan, lan.r1, 150)
    lan.capture.wait("r1")  # or the other one might be MASTER before it
    daemons = (first, start(lan, lan.r2, 100).wait_state("BACKUP"))
    lan.capture.wait("r1", since=lan.capture.now(), count=2)
    before = [daemon.instance() for daemon in daemons]

    vip, attacker = IPv4Address("192.0.2.100"), lan.client.ipv4
    hardware = bytes.fromhex(lan.client.mac.replace(":", ""))
    # Each breaks one rule only, and would end the mastership of r1 if it were believed.
    broken = {
        "checksum": ipv4_frame(hardware, attacker, vrrp_v2(51, 255, vip, wrong_checksum=True)),
        "ttl": ipv4_frame(hardware, attacker, vrrp_v2(51, 255, vip), ttl=254),
        "version": ipv4_frame(hardware, attacker, vrrp_v2(51, 255, vip, version=3)),
        "truncated": ipv4_frame(hardware, attacker, vrrp_v2(51, 255, vip)[:6]),
    }
    began = time.monotonic()
    with lan.client.packet_socket() as sock:
        for number, frame in zip(range(500), cycle(broken.values()), strict=False):
            sock.send(frame)
            time.sleep(max(0.0, began + number / 50 - time.monotonic()))
    lasted_s = time.monotonic() - began

    for daemon, earlier in zip(daemons, before, strict=True):
        now = daemon.instance()
        assert {reason: now["counters"].get(reason) for reason in broken} == dict.fromkeys(broken, 125)
        for word in ("state", "effective_priority", "cause"):
            assert now[word] == earlier[word]
        assert len(re.findall("Entering .* STATE", daemon.text)) == (2 if daemon is daemons[0] else 1)
        for reason in broken:
            lines = [line for line in daemon.text.splitlines() if f"dropped a packet from {attacker}, {reason}" in line]
            assert 1 <= len(lines) <= lasted_s + 2
    assert reigns(seen for seen in lan.capture.advertisements() if seen.sender != "client") == ["r1"]


def killed_and_restarted_as_backup(lan: Lan) -> None:
    """The stray address is gone before the first packet, also if the file names another now; a foreign one stays."""
    lan.r1.namespace.ip("address", "add", f"{FOREIGN}/24", "dev", "eth0")
    daemon = start(lan, lan.r1, 150)
    lan.capture.wait("r1")
    start(lan, lan.r2, 100)
    lan.expect_served_by(lan.r1, PLAIN.vip)
    now = lan.capture.now()
    daemon.kill()
    lan.capture.wait("r2")
    assert lan.r1.has(PLAIN.vip)
    daemon = start(lan, lan.r1, 50).wait_state("BACKUP")
    assert not lan.r1.has(PLAIN.vip)
    assert lan.r1.has(FOREIGN)
    lan.expect_served_by(lan.r2, PLAIN.vip, since=now)
    assert not lan.capture.advertisements("r1", since=now)

    now = lan.capture.now()
    lan.r2.cut_power()
    lan.capture.wait("r1", since=now)
    lan.expect_served_by(lan.r1, PLAIN.vip, since=now)
    daemon.kill()
    start(lan, lan.r1, 50, OTHER).wait_state("BACKUP")
    assert not lan.r1.has(PLAIN.vip)
    assert lan.r1.has(FOREIGN)


def two_in_one_namespace(lan: Lan) -> None:
    """Two daemons on one interface, whatever becomes of one, never touch each other's address."""

    def start_one(form: Form, vrid: int) -> Daemon:
        text = whole(instance(form, lan.r1, lan.r2, priority=150, vrid=vrid))
        return lan.r1.start(lan.first, text, form.name)

    one, other = start_one(PLAIN, 51), start_one(OTHER, 52)
    lan.capture.wait("r1", vrid=51)
    lan.capture.wait("r1", vrid=52)
    lan.expect_served_by(lan.r1, PLAIN.vip, OTHER.vip)
    one.kill()
    one = start_one(PLAIN, 51).wait_state("BACKUP")
    assert not lan.r1.has(PLAIN.vip)
    assert lan.r1.has(OTHER.vip)
    one.wait_state("MASTER")
    lan.expect_served_by(lan.r1, PLAIN.vip, OTHER.vip)
    assert one.terminate() == 0
    assert not lan.r1.has(PLAIN.vip)
    lan.capture.wait("r1", vrid=52, since=lan.capture.now(), count=2)
    lan.expect_served_by(lan.r1, OTHER.vip)
    assert other.state() == "MASTER"
    assert len(re.findall("Entering .* STATE", other.text)) == 2


def bad_reload(lan: Lan) -> None:
    """A file with a mistake is refused with its place, and the old one runs on; then a good one is applied."""
    daemon = start(lan, lan.r1, 150)
    lan.capture.wait("r1")
    good = daemon.file.read_text()
    daemon.file.write_text(good.replace("virtual_router_id 51", "virtual_router_id 300"))
    line = good[: good.index("virtual_router_id")].count("\n") + 1
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: "Reload refused" in daemon.text, "the reload is refused")
    assert re.search(rf"keepalived\.conf:{line}:\d+: .*300", daemon.text)
    lan.capture.wait("r1", vrid=51, since=lan.capture.now(), priority=150)
    daemon.file.write_text(good.replace("priority 150", "priority 140"))
    daemon.process.send_signal(signal.SIGHUP)
    lan.capture.wait("r1", vrid=51, priority=140)
    assert daemon.state() == "MASTER"
    assert len(re.findall("Entering .* STATE", daemon.text)) == 2
    assert not [seen for seen in lan.capture.advertisements("r1") if seen.priority == 0]
    lan.expect_served_by(lan.r1, PLAIN.vip)


CASES = (
    Case(malformed_packets, Program.PYVRRP, Program.PYVRRP, "malformed-packets"),
    Case(killed_and_restarted_as_backup, Program.PYVRRP, Program.KEEPALIVED, "killed-and-restarted-as-backup"),
    Case(two_in_one_namespace, Program.PYVRRP, Program.PYVRRP, "two-in-one-namespace"),
    Case(bad_reload, Program.PYVRRP, Program.PYVRRP, "bad-reload"),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pyvrrp(case: Case, outcome: Callable[[Case], None]) -> None:
    outcome(case)
