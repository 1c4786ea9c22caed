"""
A virtual address moves between a keepalived and a pyvrrp, each in either part.

r1 has the higher priority, 150 against r2's 100, unless a scenario says otherwise. In every scenario there is one
advertiser throughout, in the sense of `capture.reigns`, and after each switch the client is led to the new one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import pytest

from tests.interop.capture import reigns
from tests.interop.configuration import PLAIN, QUICK, Form, instance, whole
from tests.interop.conftest import Case
from tests.interop.lan import Daemon, Lan, Node, Program
from tests.netns import until

pytestmark = [pytest.mark.root]

FORMS = (
    Form("v2-pass-multicast", password="s3cret", vips=("192.0.2.100/24", "192.0.2.101/32")),
    Form("v2-unicast", unicast=True),
    Form("v3-ipv4-1s", version=3, vips=("192.0.2.100/24", "192.0.2.101/32")),
    Form("v3-ipv4-100ms", version=3, interval="0.1"),
    Form("v3-ipv6", version=3, vips=("fe80::5e:100/64", "2001:db8::100/64")),
)
MORE_THAN_MASTER_DOWN = 5
"""So many advertisements of the master make more than a Master_Down_Interval, which is under four intervals."""


def start_r1(lan: Lan, form: Form, program: Program | None = None, *more: str, priority: int = 150) -> Daemon:
    text = whole(instance(form, lan.r1, lan.r2, priority=priority, more=more))
    return lan.r1.start(program or lan.first, text)


def start_r2(lan: Lan, form: Form, *more: str) -> Daemon:
    return lan.r2.start(lan.second, whole(instance(form, lan.r2, lan.r1, priority=100, more=more)))


def start_both(lan: Lan, form: Form, *more: str) -> tuple[Daemon, Daemon]:
    """Start r1, which is MASTER, then r2, which stays BACKUP because it hears and accepts r1."""
    r1 = start_r1(lan, form, None, *more)
    lan.capture.wait("r1")
    r2 = start_r2(lan, form, *more).wait_state("BACKUP")
    lan.capture.wait("r1", since=lan.capture.now(), count=MORE_THAN_MASTER_DOWN)
    expect_reigns(lan, "r1")
    lan.expect_served_by(lan.r1, *form.addresses)
    return r1, r2


def expect_master(lan: Lan, router: Node, form: Form, *, since: float) -> None:
    """The address is now at *router*, and stays there for longer than the other's patience."""
    lan.capture.wait(router.name, since=since)
    lan.expect_served_by(router, *form.addresses, since=since)
    lan.capture.wait(router.name, since=lan.capture.now(), count=MORE_THAN_MASTER_DOWN)


def expect_reigns(lan: Lan, *names: str) -> None:
    assert reigns(lan.capture.advertisements()) == list(names)


def form_on_the_wire(lan: Lan, form: Form) -> None:
    """Each side's messages are as they should be, octets and headers, and the other side takes them in."""
    r1, _ = start_both(lan, form)
    now = lan.capture.now()
    assert r1.terminate() == 0
    expect_master(lan, lan.r2, form, since=now)
    now = lan.capture.now()
    start_r1(lan, form)
    expect_master(lan, lan.r1, form, since=now)
    expect_reigns(lan, "r1", "r2", "r1")

    for seen in lan.capture.advertisements():
        me, peer = (lan.r1, lan.r2) if seen.sender == "r1" else (lan.r2, lan.r1)
        group = "ff02::12" if form.vip.version == 6 else "224.0.0.18"
        assert str(seen.source) == (me.link_local if form.vip.version == 6 else str(me.ipv4))
        assert str(seen.destination) == (str(peer.ipv4) if form.unicast else group)
        assert (seen.ttl, seen.version, seen.vrid) == (255, form.version, 51)
        assert seen.priority in ((150, 0) if me is lan.r1 else (100, 0))
        assert seen.interval_s == float(form.interval)
        assert seen.addresses == form.addresses
        assert (seen.auth_type, seen.password.decode()) == (1 if form.password else 0, form.password)
        assert seen.checksum_ok


def sigterm(lan: Lan) -> None:
    """A stop says priority 0, leaves no address and ends with 0; the other waits Skew_Time, not the whole interval."""
    r1, r2 = start_both(lan, PLAIN)
    now = lan.capture.now()
    assert r1.terminate() == 0
    assert not lan.r1.has(PLAIN.vip)
    (farewell, *_) = lan.capture.wait("r1", since=now, priority=0)
    (first, *_) = lan.capture.wait("r2", since=now)
    # Skew_Time of priority 100 is 156/256 s; a Master_Down_Interval would be 3 s more.
    assert 0.6 < first.at - farewell.at < 3
    assert not [seen for seen in lan.capture.advertisements("r1", since=farewell.at) if seen.priority > 0]
    expect_master(lan, lan.r2, PLAIN, since=now)
    now = lan.capture.now()
    assert r2.terminate() == 0
    assert not lan.r2.has(PLAIN.vip)
    lan.capture.wait("r2", since=now, priority=0)
    expect_reigns(lan, "r1", "r2")


def power_cut(form: Form, master_down_s: float, lan: Lan) -> None:
    """A dead master is followed after the Master_Down_Interval, not before; when it is back, it takes over again."""
    start_both(lan, form)
    lan.r1.cut_power()
    now = lan.capture.now()
    last = lan.capture.advertisements("r1")[-1]
    (first, *_) = lan.capture.wait("r2")
    assert first.at - last.at > master_down_s - 0.01
    expect_master(lan, lan.r2, form, since=now)
    lan.r1.plug_in()
    now = lan.capture.now()
    start_r1(lan, form)
    expect_master(lan, lan.r1, form, since=now)
    lan.r2.cut_power()
    lan.capture.wait("r1", since=lan.capture.now(), count=2)
    expect_reigns(lan, "r1", "r2", "r1")


def failing_script(lan: Lan) -> None:
    """A check that fails takes its weight away and with it the address; one that succeeds again gives both back."""
    trouble = lan.directory / "trouble"
    check = lan.directory / "check"
    check.write_text(f"#!/bin/sh\ntest ! -e {trouble}\n")
    check.chmod(0o755)
    script = f"vrrp_script check {{\n    script {check}\n    interval 1\n    weight -60\n    rise 1\n    fall 1\n}}\n"
    tracked = ("track_script {", "    check", "}")
    lan.r1.start(lan.first, whole(script, instance(PLAIN, lan.r1, lan.r2, priority=150, more=tracked)))
    lan.capture.wait("r1", priority=150)
    lan.r2.start(lan.second, whole(script.replace(str(trouble), "/"), instance(PLAIN, lan.r2, lan.r1, priority=100)))
    lan.capture.wait("r1", since=lan.capture.now(), count=MORE_THAN_MASTER_DOWN)
    lan.expect_served_by(lan.r1, PLAIN.vip)
    now = lan.capture.now()
    trouble.touch()
    lan.capture.wait("r1", since=now, priority=90)
    expect_master(lan, lan.r2, PLAIN, since=now)
    now = lan.capture.now()
    trouble.unlink()
    expect_master(lan, lan.r1, PLAIN, since=now)
    assert {seen.priority for seen in lan.capture.advertisements("r1", since=now)} == {150}
    expect_reigns(lan, "r1", "r2", "r1")


def nopreempt(lan: Lan) -> None:
    """A better router that comes back leaves a working master alone, and takes over when that one is dead."""
    r1, _ = start_both(lan, PLAIN, "nopreempt")
    now = lan.capture.now()
    assert r1.terminate() == 0
    expect_master(lan, lan.r2, PLAIN, since=now)
    start_r1(lan, PLAIN, None, "nopreempt").wait_state("BACKUP")
    lan.capture.wait("r2", since=lan.capture.now(), count=MORE_THAN_MASTER_DOWN)
    expect_reigns(lan, "r1", "r2")
    lan.expect_served_by(lan.r2, PLAIN.vip)
    lan.r2.cut_power()
    expect_master(lan, lan.r1, PLAIN, since=lan.capture.now())
    expect_reigns(lan, "r1", "r2", "r1")


def preempt_delay(lan: Lan) -> None:
    """A better router that comes back waits its delay, from the first worse advertisement on, and then the rest."""
    r1, _ = start_both(lan, PLAIN, "preempt_delay 5")
    now = lan.capture.now()
    assert r1.terminate() == 0
    expect_master(lan, lan.r2, PLAIN, since=now)
    now = lan.capture.now()
    start_r1(lan, PLAIN, None, "preempt_delay 5")
    (first, *_) = lan.capture.wait("r1", since=now)
    # The last advertisement within the delay is up to 1 s old at its end, and 3 + 106/256 s must pass from there.
    assert first.at - now > 5 + 2.41
    expect_master(lan, lan.r1, PLAIN, since=now)
    expect_reigns(lan, "r1", "r2", "r1")


def replaced(lan: Lan) -> None:
    """On a node where one program was killed, the other removes its stray address, then does its work; and back."""
    daemon, _ = start_both(lan, PLAIN)
    for successor in (lan.second, lan.first):
        now = lan.capture.now()
        daemon.kill()
        lan.capture.wait("r2", since=now)
        assert lan.r1.has(PLAIN.vip)
        now = lan.capture.now()
        daemon = start_r1(lan, PLAIN, successor)
        until(lambda: not lan.r1.has(PLAIN.vip), "the stray address is gone")
        assert not lan.capture.advertisements("r1", since=now)
        expect_master(lan, lan.r1, PLAIN, since=now)
    expect_reigns(lan, "r1", "r2", "r1", "r2", "r1")


SCENARIOS: tuple[tuple[str, Callable[[Lan], None]], ...] = (
    *((form.name, partial(form_on_the_wire, form=form)) for form in FORMS),
    ("sigterm", sigterm),
    # 3 x 1 s + 156/256 s, and a tenth of it
    ("power-cut-1s", partial(power_cut, PLAIN, 3.609375)),
    ("power-cut-100ms", partial(power_cut, QUICK, 0.3609375)),
    ("failing-script", failing_script),
    ("nopreempt", nopreempt),
    ("preempt-delay", preempt_delay),
    ("replaced", replaced),
)
BOTH_WAYS = ((Program.KEEPALIVED, Program.PYVRRP), (Program.PYVRRP, Program.KEEPALIVED))
# To try the scenarios themselves, keepalived can be put on both sides.
SIDES = ((Program.KEEPALIVED, Program.KEEPALIVED),) if "PYVRRP_INTEROP_KEEPALIVED_ONLY" in os.environ else BOTH_WAYS
CASES = [Case(scenario, *sides, name) for name, scenario in SCENARIOS for sides in SIDES]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_switching(case: Case, outcome: Callable[[Case], None]) -> None:
    outcome(case)
