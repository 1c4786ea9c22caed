"""What is judged of a status: each fault, each look-alike that is none, and what a second look forgives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from pyvrrp.daemon.health import Reason, alive, judge, lasting
from pyvrrp.daemon.status import as_json
from pyvrrp.engine.reports import InstanceStatus, Status
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.states import State

NOW_US = 1_000_000_000
OWN, PEER, VIP, OTHER = map(ip_address, ("192.0.2.1", "192.0.2.2", "192.0.2.100", "192.0.2.101"))
SOME = tuple(ip_address(f"192.0.2.{last}") for last in range(100, 107))

BACKUP = InstanceStatus(
    name="VI_1",
    interface="eth0",
    vrid=51,
    family=Family.V4,
    version=3,
    state=State.BACKUP,
    since_us=NOW_US - 60_000_000,
    entered=None,
    base_priority=100,
    effective_priority=100,
    source=OWN,
    master=PEER,
    master_priority=150,
    master_heard_us=NOW_US - 250_000,
    advertisement_interval_us=1_000_000,
    master_adver_interval_us=1_000_000,
    master_down_interval_us=3_609_375,
    skew_time_us=609_375,
    next_deadline_us=NOW_US + 3_359_375,
    preempt_delay_until_us=None,
    faults={},
    held=(),
    vips=(VIP, OTHER),
    addresses=(),
    counters={},
)
MASTER = replace(
    BACKUP, state=State.MASTER, master=OWN, addresses=(VIP, OTHER), next_deadline_us=NOW_US + 500_000,
)  # fmt: skip
FAULT = replace(
    BACKUP, state=State.FAULT, master=None, next_deadline_us=None, faults={"script:chk": "script chk: exited with 1"},
)  # fmt: skip
WAITING = replace(
    BACKUP, state=State.INITIALIZE, master=None, master_heard_us=None, next_deadline_us=None, held=("script:chk",),
)  # fmt: skip
DRAINED = replace(WAITING, held=(), drained=True)
YOUNG_US = NOW_US - 2_000_000
SILENT_US = NOW_US - 4_700_000  # Master_Down_Interval, 1 s and a little


def told(*instances: InstanceStatus) -> Mapping[str, Any]:
    status = Status(1, NOW_US, instances, {}, ())
    answer: Mapping[str, Any] = json.loads(json.dumps(as_json(status, lambda _name: (), {"idle": ""}, 1.8e9)))
    return answer


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(MASTER, id="master"),
        pytest.param(BACKUP, id="backup"),
        pytest.param(replace(MASTER, addresses=(), since_us=YOUNG_US), id="take-over-under-way"),
        pytest.param(replace(BACKUP, addresses=(VIP,), since_us=YOUNG_US), id="release-under-way"),
        pytest.param(replace(BACKUP, master=None, master_heard_us=SILENT_US), id="no-master-yet"),
        pytest.param(replace(BACKUP, master_heard_us=None), id="master-never-heard"),
        pytest.param(replace(BACKUP, master_heard_us=SILENT_US), id="sync-group-not-ready"),
        pytest.param(
            replace(BACKUP, master_heard_us=NOW_US - 4_609_375, next_deadline_us=NOW_US - 1_000_000), id="just-in-time"
        ),
        pytest.param(replace(BACKUP, base_priority=255, addresses=(VIP,)), id="owner-keeps-its-addresses"),
        pytest.param(replace(MASTER, next_deadline_us=NOW_US - 1_000_000), id="a-little-late"),
        pytest.param(replace(MASTER, vips=(), addresses=()), id="nothing-to-serve"),
    ],
)
def test_healthy_and_ready(one: InstanceStatus) -> None:
    assert judge(told(one)) == ()


@pytest.mark.parametrize(
    ("one", "code", "text"),
    [
        (
            replace(MASTER, addresses=(OTHER,)),
            "addresses-missing",
            "VI_1 is MASTER without 192.0.2.100 on the interface",
        ),
        (
            replace(MASTER, vips=SOME, addresses=()),
            "addresses-missing",
            f"VI_1 is MASTER without {', '.join(map(str, SOME[:5]))} and 2 more on the interface",
        ),
        (
            replace(BACKUP, addresses=(VIP,)),
            "addresses-left",
            "VI_1 is BACKUP, and 192.0.2.100 on the interface all the same",
        ),
        (
            replace(BACKUP, master_heard_us=SILENT_US, next_deadline_us=None),
            "advertisement-old",
            "VI_1 is BACKUP, heard its master 4.7 s ago and did not act after 3.6 s",
        ),
        (
            replace(BACKUP, master_heard_us=SILENT_US, next_deadline_us=NOW_US),
            "advertisement-old",
            "VI_1 is BACKUP, heard its master 4.7 s ago and did not act after 3.6 s",
        ),
        (
            replace(MASTER, next_deadline_us=NOW_US - 1_200_000),
            "deadline-missed",
            "VI_1 should have acted 1.2 s ago",
        ),
    ],
)
def test_unhealthy(one: InstanceStatus, code: str, text: str) -> None:
    """Each fault is one reason, and one instance's fault is not hidden by another that is well."""
    reasons = judge(told(replace(MASTER, name="VI_0", vips=(), addresses=()), one))
    assert reasons == (Reason(code, text, "VI_1"),)
    assert not alive(reasons)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (FAULT, "VI_1 is FAULT: script chk: exited with 1"),
        (WAITING, "VI_1 is INITIALIZE: waits for script:chk"),
        (DRAINED, "VI_1 is INITIALIZE: drained"),
        (replace(DRAINED, drained=False), "VI_1 is INITIALIZE: not started"),
    ],
)
def test_alive_but_not_ready(one: InstanceStatus, text: str) -> None:
    """What comes from outside is no reason to end the daemon."""
    reasons = judge(told(one))
    assert reasons == (Reason("not-taking-part", text, "VI_1", liveness=False),)
    assert alive(reasons)


@pytest.mark.parametrize("one", [FAULT, DRAINED], ids=["fault", "drained"])
def test_addresses_that_stayed_are_unhealthy_in_every_state_but_master(one: InstanceStatus) -> None:
    """Two routers with one address is the worst that can be; a drained one is no exception."""
    codes = [(reason.code, reason.liveness) for reason in judge(told(replace(one, addresses=(VIP,))))]
    assert codes == [("addresses-left", True), ("not-taking-part", False)]


def test_an_address_that_another_instance_serves_was_not_left() -> None:
    both = judge(told(replace(BACKUP, addresses=(VIP, OTHER)), replace(MASTER, name="VI_2")))
    assert both == ()
    one = judge(told(replace(BACKUP, addresses=(VIP, OTHER)), replace(MASTER, name="VI_2", vips=(VIP,))))
    assert [reason.text for reason in one] == ["VI_1 is BACKUP, and 192.0.2.101 on the interface all the same"]


def test_a_daemon_without_instances_is_healthy() -> None:
    assert judge(told()) == ()


def test_a_second_look_forgives_what_has_passed() -> None:
    """A VIP that was being put back at the first look, and another one at the second, are no fault."""
    missing, left = (Reason(code, code, "VI_1") for code in ("addresses-missing", "addresses-left"))
    of_another = replace(missing, instance="VI_2")
    not_ready = Reason("not-taking-part", "", "VI_3", liveness=False)
    assert lasting([missing], []) == ()
    assert lasting([missing], [of_another, left]) == ()
    assert lasting([missing, left], [replace(left, text="now another")]) == (replace(left, text="now another"),)
    assert lasting([missing], [not_ready]) == (not_ready,)


def test_json_of_a_reason() -> None:
    assert Reason("not-taking-part", "why", "VI_1", liveness=False).as_json() == {
        "code": "not-taking-part", "instance": "VI_1", "liveness": False, "message": "why",
    }  # fmt: skip


def test_what_waits_for_its_interface_is_alive_and_not_ready() -> None:
    """The pod that a roll-out has just made must not count as one that serves."""
    [reason] = judge({"daemon": {"idle": "Waiting for interface br-ex"}, "instances": []})
    assert (reason.code, reason.liveness) == ("idle", False)
