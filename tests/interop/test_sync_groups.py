"""
A sync group moves between a keepalived and a pyvrrp, each in either part: two members, each on a LAN of its own.

r1 has the higher priority, 150 against r2's 100, in both. The second LAN has no client and no capture; what is served
there is seen by the addresses on the interfaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pytest

from tests.interop.capture import reigns
from tests.interop.configuration import QUICK, Form, instance, whole
from tests.interop.conftest import Case
from tests.interop.lan import Daemon, Lan, Node
from tests.interop.test_switching import BOTH_WAYS, MORE_THAN_MASTER_DOWN
from tests.netns import until

pytestmark = [pytest.mark.root]

OTHER = Form("other", version=3, interval="0.1", vips=("198.51.100.100/24",))


def second_lan(lan: Lan) -> None:
    """eth1 on both routers, and a switch between them."""
    lan._switch.ip("link", "add", "bridge2", "up", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
    for node in (lan.r1, lan.r2):
        port = f"{node.name}-eth1"
        cable = ["type", "veth", "peer", "name", "eth1", "netns", node.namespace.path]
        lan._switch.ip("link", "add", port, *cable)
        lan._switch.ip("link", "set", port, "master", "bridge2", "up")
        node.namespace.ip("link", "set", "eth1", "up")
        node.namespace.ip("address", "add", f"198.51.100.{node.number}/24", "dev", "eth1")


def start(lan: Lan, node: Node, *in_group: str, scripts: str = "") -> Daemon:
    """Run the group on a router."""
    program, priority, peer = (lan.first, 150, lan.r2) if node is lan.r1 else (lan.second, 100, lan.r1)
    group = "\n    ".join(["vrrp_sync_group G {", "group {", "    V1", "    V2", "}", *in_group]) + "\n}\n"
    one = instance(QUICK, node, peer, priority=priority, name="V1")
    two = instance(OTHER, node, peer, priority=priority, name="V2", vrid=52).replace("eth0", "eth1")
    return node.start(program, whole(scripts, group, one, two))


def start_both(lan: Lan, *in_group: str, scripts: str = "") -> tuple[Daemon, Daemon]:
    """r1 serves, r2 is BACKUP in both."""
    second_lan(lan)
    r1 = start(lan, lan.r1, *in_group, scripts=scripts)
    expect_served_by(lan, lan.r1)
    r2 = start(lan, lan.r2, *in_group, scripts=scripts.replace(str(lan.directory), "/"))
    for name in ("V1", "V2"):
        r2.wait_state("BACKUP", name)
    return r1, r2


def served(node: Node) -> list[bool]:
    """Whether each of the two addresses is on its interface."""
    return [
        str(form.vip) in {one["local"] for link in links for one in link["addr_info"]}
        for form, device in ((QUICK, "eth0"), (OTHER, "eth1"))
        for links in [node.namespace.ip_json("address", "show", "dev", device)]
    ]


def expect_served_by(lan: Lan, router: Node, *, since: float = 0.0) -> None:
    """Both addresses are at *router* and nowhere else, and stay there for longer than the other's patience."""
    other = lan.r2 if router is lan.r1 else lan.r1

    def moved() -> bool:
        return served(router) == [True, True] and served(other) == [False, False]

    until(moved, f"both addresses are at {router.name} only")
    lan.expect_served_by(router, QUICK.vip, since=since)
    lan.capture.wait(router.name, since=lan.capture.now(), count=MORE_THAN_MASTER_DOWN)
    assert moved()


def group_states(daemon: Daemon) -> list[str]:
    """What the log says of the group, which both programs have in the same words."""
    return re.findall(r"VRRP_Group\(G\) Syncing instances to (\w+) state", daemon.text)


def stop_and_return(lan: Lan) -> None:
    """Who stops releases both, who comes back takes both."""
    r1, r2 = start_both(lan)
    now = lan.capture.now()
    assert r1.terminate() == 0
    expect_served_by(lan, lan.r2, since=now)
    now = lan.capture.now()
    r1 = start(lan, lan.r1)
    expect_served_by(lan, lan.r1, since=now)
    until(lambda: group_states(r2)[-1] == "BACKUP", "r2 says that it is BACKUP")
    assert group_states(r1) == ["MASTER"]
    assert group_states(r2) == ["MASTER", "BACKUP"]
    assert reigns(lan.capture.advertisements()) == ["r1", "r2", "r1"]


def interface_down(lan: Lan) -> None:
    """An interface of one member takes the other along, and brings both back."""
    r1, r2 = start_both(lan)
    now = lan.capture.now()
    lan.r1.namespace.ip("link", "set", "eth1", "down")
    expect_served_by(lan, lan.r2, since=now)
    assert {r1.state(name) for name in ("V1", "V2")} == {"FAULT"}
    now = lan.capture.now()
    lan.r1.namespace.ip("link", "set", "eth1", "up")
    expect_served_by(lan, lan.r1, since=now)
    until(lambda: group_states(r2)[-1] == "BACKUP", "r2 says that it is BACKUP")
    assert group_states(r1) == ["MASTER", "FAULT", "BACKUP", "MASTER"]
    assert group_states(r2) == ["MASTER", "BACKUP"]


def power_cut(lan: Lan) -> None:
    """A dead node is followed in both."""
    start_both(lan)
    lan.r1.cut_power()
    lan._switch.ip("link", "set", "r1-eth1", "down")
    now = lan.capture.now()
    until(lambda: served(lan.r2) == [True, True], "both addresses are at r2")
    lan.expect_served_by(lan.r2, QUICK.vip, since=now)


def script_of_the_group(lan: Lan) -> None:
    """A check of the group that fails puts both into FAULT; one with a weight lowers the priority of both."""
    trouble, weighty = lan.directory / "trouble", lan.directory / "weighty"
    checks = []
    for name, file, more in (("hard", trouble, ""), ("soft", weighty, "weight -60")):
        check = lan.directory / name
        check.write_text(f"#!/bin/sh\ntest ! -e {file}\n")
        check.chmod(0o755)
        checks.append(f"vrrp_script {name} {{\n    script {check}\n    interval 1\n    {more}\n}}\n")
    second_lan(lan)
    tracked = ("track_script {", "    hard", "    soft", "}")
    r1 = start(lan, lan.r1, *tracked, scripts="".join(checks))
    expect_served_by(lan, lan.r1)
    start(lan, lan.r2)
    trouble.touch()
    expect_served_by(lan, lan.r2)
    assert {r1.state(name) for name in ("V1", "V2")} == {"FAULT"}
    trouble.unlink()
    expect_served_by(lan, lan.r1)
    weighty.touch()
    expect_served_by(lan, lan.r2)
    assert {r1.state(name) for name in ("V1", "V2")} == {"BACKUP"}


SCENARIOS: tuple[tuple[str, Callable[[Lan], None]], ...] = (
    ("stop-and-return", stop_and_return),
    ("interface-down", interface_down),
    ("power-cut", power_cut),
    ("script", script_of_the_group),
)
CASES = [Case(partial(scenario), *sides, f"group-{name}") for name, scenario in SCENARIOS for sides in BOTH_WAYS]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sync_groups(case: Case, outcome: Callable[[Case], None]) -> None:
    outcome(case)
