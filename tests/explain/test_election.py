"""Who wins and who is next, with times worked out by hand from RFC 3768 6.1 and RFC 9568 6.1."""

from __future__ import annotations

from pyvrrp.explain.election import Scenario
from tests.explain.nodes import CHECK, SECURE, cluster, instance, router

TRACK = " track_script {\n  chk weight %s\n }"
ETH1 = " track_interface {\n  eth1\n }"


def by_text(*texts: str) -> dict[str, Scenario]:
    return {f"{each.node}: {each.text}".removeprefix(": "): each for each in router(*texts).election.scenarios}


def three(weight: int = -60, more: str = "") -> list[str]:
    return [
        SECURE + CHECK + instance(f"{TRACK % weight}\n{ETH1}\n{more}", priority=priority) for priority in (150, 100, 50)
    ]


def test_three_nodes() -> None:
    """Version 2, 1 s: Skew_Time of 100 is 156/256 s (TM-03), Master_Down_Interval 3 s and that."""
    found = by_text(*three())
    told = {text: (each.outcome.masters, each.after_us, each.back.masters) for text, each in found.items()}
    assert told["a: dead"] == (("b",), 3_609_375, ("a",))
    assert told["a: interface eth0 is down (FAULT)"] == (("b",), 3_609_375, ("a",))  # no priority 0 gets out
    assert told["a: interface eth1 is down (FAULT)"] == (("b",), 609_375, ("a",))
    assert told["a: check chk fails (150 -> 90)"] == (("b",), 3_609_375, ("a",))
    assert told["b: dead"] == (("a",), None, ("a",))
    assert told["check chk fails on all nodes"] == (("a",), None, ("a",))
    assert told["interface eth1 is down on all nodes"] == ((), None, ("a",))


def test_version_3_scales_skew_time() -> None:
    """0.1 s: Skew_Time of 100 is 156/256 of 100 ms, 60.9375 ms (TM-01, TM-02, D14: cut to whole microseconds)."""
    texts = [SECURE + instance(" version 3\n advert_int 0.1", priority=priority) for priority in (150, 100)]
    assert by_text(*texts)["a: dead"].after_us == 360_937


def test_a_backup_has_learnt_the_interval() -> None:
    """TM-08: b's own 0.1 s does not count, it waits for 3 times a's 2 s and 156/256 of 2 s."""
    texts = [
        SECURE + instance(f" version 3\n advert_int {interval}", priority=priority)
        for interval, priority in (("2", 150), ("0.1", 100))
    ]
    assert by_text(*texts)["a: dead"].after_us == 7_218_750


def test_nopreempt() -> None:
    """PRE-03: silence is taken over from, a lower MASTER is left alone, also by the one that comes back."""
    found = by_text(*three(more=" nopreempt"))
    assert found["a: dead"].outcome.masters == found["a: dead"].back.masters == ("b",)
    assert found["a: check chk fails (150 -> 90)"].outcome.masters == ("a",)


def test_preempt_delay() -> None:
    """EXT-PD-01: one interval until the lower priority is heard, 5 s, and Master_Down_Interval."""
    found = by_text(*three(more=" preempt_delay 5"))
    assert found["a: dead"].after_us == 3_609_375
    assert found["a: check chk fails (150 -> 90)"].after_us == 1_000_000 + 5_000_000 + 3_609_375


def test_equal_priorities() -> None:
    """V3-FSM-23: a BACKUP leaves an equal MASTER alone, so the first one stays it."""
    report = router(SECURE + instance(), SECURE + instance())
    assert report.election.normal.tied == ("a", "b")
    assert report.election.normal.text == "a or b"


def test_an_owner() -> None:
    """It is MASTER at once, whatever the others are; without it the next."""
    found = by_text(SECURE + instance(priority=255), SECURE + instance(priority=254))
    assert found["a: dead"].outcome.masters == ("b",)
    assert found["a: dead"].after_us == 3_007_812  # 3 s and 2/256 s


def test_a_sync_group_fails_together() -> None:
    """An interface of W puts V into FAULT too, and weights do not count there."""
    group = "vrrp_sync_group G {\n group {\n  V\n  W\n }\n}\n"
    other = instance(ETH1, name="W", vrid=52, vips="192.0.2.7/24")
    texts = [
        SECURE + CHECK + group + instance(TRACK % -60, priority=priority) + other.replace("100\n", f"{priority}\n")
        for priority in (150, 100)
    ]
    first = cluster(*texts).routers[0].election
    told = {each.text: each.outcome.masters for each in first.scenarios if each.node == "a"}
    assert told == {
        "dead": ("b",),
        "interface eth0 is down (FAULT)": ("b",),
        "interface eth1 is down (of W) (FAULT)": ("b",),
    }


def test_a_vrid_on_two_links() -> None:
    """The same VRID twice on a node: those belong together that share addresses."""

    def both(priority: int) -> str:
        inside = instance(name="IN", priority=priority, vips="10.0.0.1/24").replace("eth0", "eth1")
        return SECURE + instance(priority=priority) + inside

    reports = cluster(both(150), both(100)).routers
    assert [[member.outlook.instance.name for member in one.election.router.members] for one in reports] == [
        ["V", "V"],
        ["IN", "IN"],
    ]


def test_names_of_nodes() -> None:
    from pyvrrp.explain.routers import nodes_of
    from tests.explain.nodes import read

    def names(*files: tuple[str, str]) -> list[str]:
        return [each.name for each in nodes_of([("", file, read(text, file)) for file, text in files])]

    ids = [f"global_defs {{\n router_id r{number}\n}}\n" for number in (1, 2)]
    assert names(("x/a.conf", ""), ("x/b.conf", "")) == ["a", "b"]
    assert names(("x/k.conf", ids[0]), ("y/k.conf", ids[1])) == ["r1", "r2"]
    assert names(("x/k.conf", ""), ("y/k.conf", "")) == ["x", "y"]
    assert names(("x/1/k.conf", ""), ("y/1/k.conf", "")) == ["x/1/k.conf", "y/1/k.conf"]
    assert names(("k.conf", ""), ("k.conf", "")) == ["1:k.conf", "2:k.conf"]
