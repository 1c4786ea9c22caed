"""What does not fit together in the files of two nodes: each kind once, and whether it splits."""

from __future__ import annotations

import pytest

from pyvrrp.explain.election import What
from pyvrrp.explain.hearing import Mismatch
from tests.explain.nodes import SECURE, cluster, instance, router


def unicast(own: int | None, *peers: int, more: str = "") -> str:
    source = f" unicast_src_ip 10.0.0.{own}\n" if own else ""
    listed = "\n".join(f"  10.0.0.{peer}" for peer in peers)
    return f"{source} unicast_peer {{\n{listed}\n }}\n{more}"


def password(word: str) -> str:
    return f" authentication {{\n  auth_type PASS\n  auth_pass {word}\n }}"


PLAIN = instance(priority=150)
V3 = " version 3\n"
GROUPED = "vrrp_sync_group G {\n group {\n  V\n  W\n }\n}\n"


def pair(one: int, two: int) -> str:
    return instance(priority=one) + instance(name="W", vrid=52, priority=two, vips="192.0.2.7/24") + GROUPED


CASES: dict[Mismatch, tuple[str, str, str, bool]] = {
    Mismatch.MODE: (PLAIN, instance(unicast(2, 1)), "b speaks to its peers and a to the multicast group", True),
    Mismatch.GROUP: (PLAIN, instance(" mcast_dst_ip 224.0.0.19"), "group 224.0.0.18 and b to 224.0.0.19", True),
    Mismatch.PEERS: (
        instance(unicast(1, 3), priority=150),
        instance(unicast(2, 1)),
        "a does not send to b: 10.0.0.2",
        True,
    ),
    Mismatch.PEERS_UNKNOWN: (
        instance(unicast(1, 2), priority=150),
        instance(unicast(None, 1)),
        "b names no unicast_src_ip",
        False,
    ),
    Mismatch.TTL: (
        instance(unicast(1, 2, more=" unicast_ttl 10"), priority=150),
        instance(unicast(2, 1).replace("10.0.0.1\n", "10.0.0.1 min_ttl 64\n")),
        "b wants a TTL of 64-255 from a, which sends 10",
        True,
    ),
    Mismatch.SAME_SOURCE: (
        instance(" mcast_src_ip 10.0.0.1", priority=150),
        instance(" mcast_src_ip 10.0.0.1"),
        "for its own",
        True,
    ),
    Mismatch.VERSION: (PLAIN, instance(V3), "a speaks VRRPv2 and b VRRPv3", True),
    Mismatch.AUTHENTICATION: (
        instance(password("one"), priority=150),
        instance(password("two")),
        "different passwords",
        True,
    ),
    Mismatch.INTERVAL: (PLAIN, instance(" advert_int 2"), "every 1 s and b every 2 s: VRRPv2 drops", True),
    Mismatch.INTERVAL_LEARNT: (instance(V3, priority=150), instance(V3 + " advert_int 0.5"), "a BACKUP learns", False),
    Mismatch.ADDRESSES: (
        PLAIN,
        instance(vips="192.0.2.101/24"),
        "192.0.2.100 on a alone, 192.0.2.101 on b alone",
        False,
    ),
    Mismatch.CHECKSUM: (
        instance(V3, priority=150),
        instance(V3 + " v3_checksum_as_v2"),
        "different IPv4 checksums",
        False,
    ),
    Mismatch.OWNERS: (instance(priority=255), instance(priority=255), "both say that they own the addresses", False),
    Mismatch.EQUAL: (instance(), instance(), "the same priority, 100", False),
    Mismatch.VRID: (PLAIN, instance(vrid=52), "192.0.2.100: on a of VRID 51, on b of VRID 52", True),
    Mismatch.ABSENT: (PLAIN, "", "b has no virtual router", False),
    Mismatch.SOURCE_IS_VIRTUAL: (
        instance(" mcast_src_ip 192.0.2.101", priority=150),
        instance(vips="192.0.2.101/24"),
        "a speaks from 192.0.2.101",
        False,
    ),
    Mismatch.LINK_LOCAL: (
        instance(priority=150, vips="fe80::51/64"),
        instance(vips="2001:db8::51/64"),
        "a drops it (erratum 8300)",
        True,
    ),
    Mismatch.NOT_RUN: (PLAIN, instance().replace(" virtual_router_id 51\n", ""), "b starts nothing", False),
    Mismatch.ALONE: (PLAIN, instance(vips="fe80::51/64"), "b does not know VRID 51 of IPv4: nobody takes over", False),
    Mismatch.SYNC_GROUP: (pair(150, 100), pair(100, 150), "a wins the one and b the other", True),
    Mismatch.STATES: (
        instance(" state MASTER", priority=150),
        instance(" state MASTER"),
        "a and b all say state",
        False,
    ),
    Mismatch.TIMERS: (PLAIN, instance(" down_timer_adverts 2"), "wait for 3 and 2 advertisements", False),
}


def test_no_mismatch_is_without_a_case() -> None:
    assert set(CASES) == set(Mismatch)


@pytest.mark.parametrize("code", CASES)
def test_mismatches(code: Mismatch) -> None:
    one, two, words, splits = CASES[code]
    found = cluster(SECURE + one, SECURE + two)
    told = [split for report in found.routers for split in report.splits] + list(found.splits)
    (first, *_) = [split for split in told if split.code == code]
    assert words in first.text
    assert first.splits is splits
    assert code == Mismatch.SYNC_GROUP or "vrrp_sync_group" not in one


def test_nodes_that_fit_together() -> None:
    found = cluster(SECURE + PLAIN, SECURE + instance())
    assert (found.splits, found.routers[0].splits) == ((), ())
    found = cluster(SECURE + instance(unicast(1, 2), priority=150), SECURE + instance(unicast(2, 1)))
    assert (found.splits, found.routers[0].splits) == ((), ())


@pytest.mark.parametrize(
    "code",
    [Mismatch.MODE, Mismatch.GROUP, Mismatch.PEERS, Mismatch.VERSION, Mismatch.AUTHENTICATION, Mismatch.INTERVAL],
)
def test_two_masters_at_once(code: Mismatch) -> None:
    """Who would have to yield does not hear the better one."""
    one, two, *_ = CASES[code]
    (report,) = cluster(SECURE + one, SECURE + two).routers
    assert report.election.normal.masters == ("a", "b")


def test_deafness_of_the_better_one_is_no_split_yet() -> None:
    """b hears a and yields; that a does not hear b matters to nobody while a lives."""
    one, two = instance(unicast(1, 2), priority=150), instance(unicast(2, 3))
    (report,) = cluster(SECURE + one, SECURE + two).routers
    assert report.election.normal.masters == ("a",)
    assert [(split.code, split.deaf) for split in report.splits] == [(Mismatch.PEERS, "a")]


def test_a_checked_source() -> None:
    """a sends to b, and b wants to hear c alone."""
    one = instance(unicast(1, 2), priority=150)
    two = instance(unicast(2, 3, more=" check_unicast_src"))
    (report,) = cluster(SECURE + one, SECURE + two).routers
    assert "b drops what a sends: 10.0.0.1 is not one of its peers" in [split.text for split in report.splits]


def test_no_secret_is_said() -> None:
    one, two, *_ = CASES[Mismatch.AUTHENTICATION]
    (report,) = cluster(SECURE + one, SECURE + two).routers
    assert not any("one" in split.text.split() and "two" in split.text.split() for split in report.splits)


def test_who_hears_a_third_node_alone() -> None:
    """b and c hear a and not each other: each is MASTER, as with keepalived 2.2.7."""
    unicast = " unicast_src_ip 192.0.2.{}\n unicast_peer {{\n  {}\n }}"
    a = instance(unicast.format(1, "192.0.2.2\n  192.0.2.3"), priority=90)
    b, c = (instance(unicast.format(me, "192.0.2.1"), priority=priority) for me, priority in ((2, 150), (3, 140)))
    election = router(a, b, c).election
    assert election.normal.masters == ("b", "c")
    dead = {each.node: each for each in election.scenarios if each.what is What.DEAD}
    assert {node: set(each.outcome.masters) for node, each in dead.items()} == {"a": {"b", "c"}, "b": {"c"}, "c": {"b"}}
    assert all(set(each.back.masters) == {"b", "c"} for each in dead.values())


def test_who_is_left_when_the_one_whom_all_hear_dies() -> None:
    unicast = " unicast_src_ip 192.0.2.{}\n unicast_peer {{\n  {}\n }}"
    a = instance(unicast.format(1, "192.0.2.2\n  192.0.2.3"), priority=200)
    b, c = (instance(unicast.format(me, "192.0.2.1"), priority=priority) for me, priority in ((2, 150), (3, 140)))
    election = router(a, b, c).election
    assert election.normal.masters == ("a",)
    [dead] = [each for each in election.scenarios if each.node == "a" and each.what is What.DEAD]
    assert (set(dead.outcome.masters), dead.back.masters) == ({"b", "c"}, ("a",))
