"""`pyvrrp status`: all fields of the JSON, and the text as people see it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from pyvrrp.daemon.status import as_json, render
from pyvrrp.daemon.tracking import Check
from pyvrrp.engine.reports import GroupStatus, InstanceStatus, SocketStatus, Status
from pyvrrp.protocol.actions import Cause, Transition
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.states import State

NOW_US = 1_000_000_000
WALL_S = 1_795_000_000.0  # 2026-11-18T11:06:40Z
DAEMON: Mapping[str, Any] = {
    "version": "1.0", "pid": 77, "name": "pyvrrp", "config": "/etc/k.conf", "up_s": 93_784.5, "warnings": [],
}  # fmt: skip
PEER = ip_address("192.0.2.2")

BACKUP = InstanceStatus(
    name="VI_1",
    interface="eth0",
    vrid=51,
    family=Family.V4,
    version=3,
    state=State.BACKUP,
    since_us=NOW_US - 61_000_000,
    entered=Transition(State.MASTER, State.BACKUP, Cause.HIGHER_PRIORITY, 0, 80, PEER, 150),
    base_priority=100,
    effective_priority=80,
    source=ip_address("192.0.2.1"),
    master=PEER,
    master_priority=150,
    master_heard_us=NOW_US - 250_000,
    advertisement_interval_us=1_000_000,
    master_adver_interval_us=500_000,
    master_down_interval_us=1_843_750,
    skew_time_us=343_750,
    next_deadline_us=NOW_US + 1_593_750,
    preempt_delay_until_us=NOW_US + 2_000_000,
    faults={},
    held=(),
    vips=(ip_address("192.0.2.100"), ip_address("192.0.2.101")),
    addresses=(),
    counters={"received": 7, "checksum": 2},
)
CHECKS = (
    Check("script", "chk", -20, False, False, "exited with status 1"),
    Check("script", "vital", 0, False, True, "connected to 192.0.2.1 port 80"),
    Check("interface", "eth1", 0, True, None, "no result yet"),
)
MASTER = replace(
    BACKUP,
    name="VI_2",
    state=State.MASTER,
    since_us=NOW_US - 500_000,
    entered=Transition(State.BACKUP, State.MASTER, Cause.MASTER_TIMEOUT, 0, 100, silent_us=3_609_375),
    effective_priority=100,
    master=ip_address("192.0.2.1"),
    addresses=(ip_address("192.0.2.100"),),
    preempt_delay_until_us=None,
    counters={},
)
WAITING = replace(
    MASTER,
    name="VI_3",
    state=State.INITIALIZE,
    entered=None,
    source=None,
    master=None,
    held=("script:chk", "interface:eth1"),
    next_deadline_us=None,
    addresses=(),
)
FAULTY = replace(
    MASTER,
    name="VI_4",
    family=Family.V6,
    state=State.FAULT,
    entered=Transition(State.MASTER, State.FAULT, Cause.FAULT, 0, 100, detail="interface eth0 is down"),
    master=None,
    faults={"interface": "interface eth0 is down", "script:chk": "script chk: exited with status 1"},
    addresses=(),
    vips=(),
)


SOCKETS = (
    SocketStatus("eth0", Family.V4, "split", "cannot load eBPF program: no", 64, estimated=True, polled=False),
    SocketStatus("eth1", Family.V6, "ebpf", "", 1, estimated=False, polled=False),
)


def told(
    *instances: InstanceStatus, daemon: Mapping[str, Any] = DAEMON, groups: tuple[GroupStatus, ...] = ()
) -> dict[str, Any]:
    status = Status(1, NOW_US, instances, {"eth0": {"vrid-unknown": 3}, "eth1": {}}, SOCKETS, groups)
    return as_json(status, lambda name: CHECKS if name == "VI_1" else (), daemon, WALL_S)


def test_json_of_a_backup() -> None:
    """Ages are seconds, `since` is a time of day, and all of it can be written as JSON."""
    status = told(BACKUP)
    assert json.loads(json.dumps(status)) == status
    assert status["daemon"] == DAEMON
    assert status["interfaces"] == {
        "eth0": {"counters": {"vrid-unknown": 3}, "estimated": True},
        "eth1": {"counters": {}, "estimated": False},
    }
    assert [(one["interface"], one["path"], one["refused"]) for one in status["sockets"]] == [
        ("eth0", "split", "cannot load eBPF program: no"),
        ("eth1", "ebpf", ""),
    ]
    assert status["instances"] == [
        {
            "name": "VI_1",
            "interface": "eth0",
            "vrid": 51,
            "family": "IPv4",
            "version": 3,
            "state": "BACKUP",
            "since": "2026-11-18T11:05:39.000+00:00",
            "since_s": 61.0,
            "reason": "192.0.2.2 (priority 150) has a higher priority than ours, 80",
            "cause": "higher-priority-backup",
            "previous_state": "MASTER",
            "base_priority": 100,
            "effective_priority": 80,
            "source": "192.0.2.1",
            "master": {
                "address": "192.0.2.2",
                "priority": 150,
                "self": False,
                "last_advertisement_age_s": 0.25,
            },
            "advertisement_interval_s": 1.0,
            "master_adver_interval_s": 0.5,
            "master_down_interval_s": 1.84375,
            "skew_time_s": 0.34375,
            "wakes_in_s": 1.59375,
            "preempt_delay_left_s": 2.0,
            "faults": {},
            "waits_for": [],
            "drained": False,
            "virtual_addresses": ["192.0.2.100", "192.0.2.101"],
            "addresses": [],
            "checks": [
                {
                    "kind": "script", "name": "chk", "up": False, "weight": -20, "reverse": False,
                    "reason": "exited with status 1",
                },
                {
                    "kind": "script", "name": "vital", "up": True, "weight": 0, "reverse": False,
                    "reason": "connected to 192.0.2.1 port 80",
                },
                {
                    "kind": "interface", "name": "eth1", "up": None, "weight": 0, "reverse": True,
                    "reason": "no result yet",
                },
            ],
            "counters": {"checksum": 2, "received": 7},
            "sync_group": None,
        }
    ]  # fmt: skip
    assert status["sync_groups"] == []


GROUPS = (
    GroupStatus("G", ("VI_1", "VI_2"), State.BACKUP, NOW_US - 2_000_000),
    GroupStatus("H", ("VI_3",), State.BACKUP, NOW_US - 2_000_000, parted=True, may_part=True),
)


def test_sync_groups() -> None:
    status = told(BACKUP, MASTER, FAULTY, groups=GROUPS)
    assert [one["sync_group"] for one in status["instances"]] == ["G", "G", None]
    assert status["sync_groups"][0] == {
        "name": "G",
        "state": "BACKUP",
        "since": "2026-11-18T11:06:38.000+00:00",
        "since_s": 2.0,
        "members": ["VI_1", "VI_2"],
        "parted": False,
        "may_part": False,
    }
    text = render(status).splitlines()
    at = text.index("G  BACKUP  for 2.0 s (sync group of VI_1, VI_2)")
    assert text[at - 1 : at + 3 : 2] == ["", ""]
    assert text[at + 2] == "H  BACKUP  for 2.0 s (sync group of VI_3; not all in one state)"


def test_json_of_others() -> None:
    master, waiting, faulty = told(MASTER, WAITING, FAULTY)["instances"]
    assert master["master"] == {
        "address": "192.0.2.1", "priority": 100, "self": True, "last_advertisement_age_s": None,
    }  # fmt: skip
    assert master["preempt_delay_left_s"] is None
    assert (waiting["state"], waiting["reason"], waiting["cause"], waiting["previous_state"]) == (
        "INITIALIZE",
        "",
        "",
        "",
    )
    assert (waiting["source"], waiting["master"], waiting["wakes_in_s"]) == (None, None, None)
    assert waiting["waits_for"] == ["script:chk", "interface:eth1"]
    assert faulty["faults"]["script:chk"] == "script chk: exited with status 1"
    assert faulty["family"] == "IPv6"


def test_a_preempt_delay_that_is_over_is_not_negative() -> None:
    (one,) = told(replace(BACKUP, preempt_delay_until_us=NOW_US - 1))["instances"]
    assert one["preempt_delay_left_s"] == 0.0


def test_the_text() -> None:
    assert render(told(BACKUP, MASTER, WAITING, FAULTY)).splitlines() == [
        "pyvrrp 1.0, pid 77, /etc/k.conf, up 1 d 2 h 3 min 4 s",
        "",
        "VI_1  BACKUP  for 1 min 1 s (192.0.2.2 (priority 150) has a higher priority than ours, 80)",
        "  router     VRID 51 on eth0, VRRPv3 IPv4, priority 80 (configured 100), source 192.0.2.1",
        "  master     192.0.2.2 (priority 150), heard 0.250 s ago",
        "  timers     advertises every 1 s, Master_Down_Interval 1.844 s, Skew_Time 0.344 s",
        "  addresses  192.0.2.100 not here, 192.0.2.101 not here",
        "  check      chk: DOWN, exited with status 1 (weight -20)",
        "  check      vital: up, connected to 192.0.2.1 port 80 (FAULT when down)",
        "  check      eth1: unknown, no result yet (FAULT when up)",
        "  counters   checksum 2, received 7",
        "",
        "VI_2  MASTER  for 0.5 s (no master heard for 3.609 s)",
        "  router     VRID 51 on eth0, VRRPv3 IPv4, priority 100, source 192.0.2.1",
        "  master     this router (192.0.2.1)",
        "  timers     advertises every 1 s, Master_Down_Interval 1.844 s, Skew_Time 0.344 s",
        "  addresses  192.0.2.100 installed, 192.0.2.101 not here",
        "",
        "VI_3  INITIALIZE  for 0.5 s (not started, waits for script:chk, interface:eth1)",
        "  router     VRID 51 on eth0, VRRPv3 IPv4, priority 100, source none",
        "  master     none known",
        "  timers     advertises every 1 s, Master_Down_Interval 1.844 s, Skew_Time 0.344 s",
        "  addresses  192.0.2.100 not here, 192.0.2.101 not here",
        "",
        "VI_4  FAULT  for 0.5 s (interface eth0 is down)",
        "  router     VRID 51 on eth0, VRRPv3 IPv6, priority 100, source 192.0.2.1",
        "  master     none known",
        "  timers     advertises every 1 s, Master_Down_Interval 1.844 s, Skew_Time 0.344 s",
        "  addresses  none",
        "  fault      interface eth0 is down",
        "  fault      script chk: exited with status 1",
        "",
        "eth0: dropped without a virtual router to tell: vrid-unknown ~3",
        "",
        "receives by ebpf: eth1 IPv6",
        "",
        "receives by split: eth0 IPv4 (cannot load eBPF program: no)",
    ]


def test_warnings_of_the_daemon_come_first() -> None:
    text = render(told(daemon={**DAEMON, "warnings": ["reload refused: x:1:2: y"], "up_s": 3.21}))
    assert text.splitlines()[:2] == ["pyvrrp 1.0, pid 77, /etc/k.conf, up 3.2 s", "  reload refused: x:1:2: y"]


def test_a_reversed_weight_is_shown_as_it_counts() -> None:
    """What adds 10 when the check is up, takes 10 when it is reversed."""
    status = told(BACKUP)
    status["instances"][0]["checks"] = [
        {"kind": "script", "name": "r", "up": True, "weight": 10, "reverse": True, "reason": "ok"}
    ]
    assert "  check      r: up, ok (weight +10 reverse)" in render(status)


def test_a_master_that_was_never_heard_is_no_error() -> None:
    (line,) = (line for line in render(told(replace(BACKUP, master_heard_us=None))).splitlines() if "master" in line)
    assert line == "  master     192.0.2.2 (priority 150)"


def test_control_characters_do_not_reach_the_terminal() -> None:
    """The reason may quote what a failing check printed, or an error of the file."""
    status = told(replace(BACKUP, faults={"x": "evil \x1b[2J\x07 text\nmore"}))
    assert "evil" in render(status)
    assert not any(ord(letter) < 32 and letter != "\n" for letter in render(status))
    assert "\nmore" not in render(status)


def test_a_drained_instance_says_so() -> None:
    text = render(told(replace(BACKUP, drained=True)))
    assert ", drained)" in text.splitlines()[2]
    assert "drained" not in render(told(BACKUP))
