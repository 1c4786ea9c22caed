"""Every trap of one file, each with a file that contains it."""

from __future__ import annotations

import pytest

from pyvrrp.explain.traps import Trap
from tests.explain.nodes import CHECK, SECURE, instance, node, read, router

TRACK = " track_script {\n  chk weight %s\n }"

CASES = {
    Trap.STATE_IS_A_HINT: (instance(" state MASTER"), "the priority decides"),
    Trap.PRIORITY_DEFAULT: (instance(priority=None), "so it is 100"),
    Trap.OWNER: (instance(priority=255), "the interface's own (nothing here says so)"),
    Trap.SHARED_VRID: (
        instance() + instance(" mcast_dst_ip 224.0.0.19", name="W", vips="192.0.2.7/24"),
        "VRID 51 of IPv4 on eth0 is also V's",
    ),
    Trap.ADDRESS_TWICE: (instance() + instance(name="W", vrid=52), "192.0.2.100 belongs to V and W"),
    Trap.WEIGHT_CLAMPED: (
        CHECK + instance(TRACK % 20, priority=250),
        "come to 270, and 254 is the highest: the first 16",
    ),
    Trap.WEIGHT_IDLE: (CHECK + instance(TRACK % -1), "from 100 to 99: no priority lies between"),
    Trap.EVERYWHERE: (CHECK + instance(TRACK % 0), "where it fails on all nodes at once"),
    Trap.SHORT_INTERVAL: (instance(" version 3\n advert_int 0.02"), "an interval of 20 ms"),
    Trap.LONG_INTERVAL: (instance(" advert_int 10"), "a dead MASTER is missed for 30.609375 s"),  # 3 x 10 + 156/256
    Trap.ONE_LOST: (instance(" down_timer_adverts 1"), "one lost advertisement"),
    Trap.CABLE: (instance(" dont_track_primary"), "with eth0 down it stays MASTER"),
    Trap.OTHER_INTERFACE: (instance(vips="192.0.2.100/24 dev eth1"), "addresses go to eth1, whose loss nobody notices"),
    Trap.CLEAR_PASSWORD: (instance(" authentication {\n  auth_type PASS\n  auth_pass abc\n }"), "in clear"),
    Trap.VERSION_2_IPV6: (
        instance(" version 2", vips="fe80::1/64").replace(" priority", " version 2\n priority"),
        "no RFC",
    ),
    Trap.NOTIFY_USER: (instance(" notify_master /bin/true MASTER"), "run by the user MASTER"),
    Trap.INIT_FAIL: (CHECK.replace("fall 2", "init_fail") + instance(TRACK % 0), "init_fail of chk works here"),
    Trap.SOURCE_IS_VIRTUAL: (instance(" mcast_src_ip 192.0.2.100"), "which as BACKUP it does not have"),
}


def test_no_trap_is_without_a_case() -> None:
    assert set(CASES) == set(Trap)


@pytest.mark.parametrize("code", CASES)
def test_traps(code: Trap) -> None:
    text, words = CASES[code]
    found = [trap.text for trap in node(SECURE + text).traps if trap.code == code]
    assert any(words in each for each in found), found


def test_a_plain_file_has_none() -> None:
    assert node(SECURE + instance()).traps == ()


def test_the_lowest_priority() -> None:
    """1 is what an advertisement of a weight below it says."""
    found = [trap.text for trap in node(SECURE + CHECK + instance(TRACK % -150)).traps]
    assert found == [
        "when check chk fails, the priority would be -50, and 1 is the lowest: two nodes that fail alike are equal then"
    ]


def test_what_the_parser_says_of_an_instance_is_a_trap() -> None:
    """`state MASTER` cancels both, and says so in the parser's words and at its place."""
    found = node(SECURE + instance(" state MASTER\n nopreempt\n preempt_delay 5")).traps
    told = [(trap.code, trap.place.line if trap.place else 0) for trap in found if trap.code == "preemption"]
    assert told == [("preemption", 13), ("preemption", 14)]
    assert all(trap.instance == "V" for trap in found)


def test_an_owner_that_speaks_from_its_address() -> None:
    assert not node(SECURE + instance(" mcast_src_ip 192.0.2.100", priority=255)).traps


def test_json() -> None:
    (trap,) = node(SECURE + instance(" down_timer_adverts 1")).traps
    assert trap.as_json() == {
        "code": "one-lost-advertisement",
        "instance": "V",
        "text": "down_timer_adverts 1: one lost advertisement makes a second MASTER",
        "hint": "3, as the RFCs say",
        "place": {"file": "a.conf", "line": 5, "column": 1},
    }
    assert not read(SECURE + instance()).complaints


def test_a_weight_that_never_changes_the_winner() -> None:
    """150 - 20 is still above 100."""
    texts = [SECURE + CHECK + instance(TRACK % -20, priority=priority) for priority in (150, 100)]
    idle = [split for split in router(*texts).splits if split.code == Trap.WEIGHT_IDLE]
    assert [split.text for split in idle] == [
        "a stays MASTER when check chk fails: priority 150 -> 130, and the best of the others, b, has 100"
    ]
    texts[1] = SECURE + CHECK + instance(TRACK % -20 + "\n nopreempt", priority=140)
    idle = [split for split in router(*texts).splits if split.code == Trap.WEIGHT_IDLE]
    assert [split.text for split in idle] == [
        "a stays MASTER when check chk fails: priority 150 -> 130, and b may not preempt"
    ]
