"""Sync groups in the engine: members take over, yield, fault and end in the same moment, however they are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvrrp.engine.commands import ClearFault, Configure, Drain, RaiseFault, Reconfigure, Resume, SetPriority, Stop
from pyvrrp.engine.group import GroupRunner
from pyvrrp.engine.reports import GroupEntered, Stopped
from pyvrrp.net.system import ReceivePath
from pyvrrp.protocol.actions import Cause
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.events import GROUP
from pyvrrp.protocol.states import State
from pyvrrp.protocol.sync_group import GroupSettings
from tests.engine.sites import Node, S, Site, configure, member
from tests.engine.worlds import INTERVAL_US, Host, Lan, settings

INTERVAL_S = INTERVAL_US / 1e6


@pytest.fixture(params=list(ReceivePath), ids=str)
def site(request: pytest.FixtureRequest) -> Site:
    """Two nodes on two LANs, on each receive path."""
    return Site(request.param)


def both(at_s: float, state: str) -> list[tuple[float, str, str]]:
    return [(at_s, "V1", state), (at_s, "V2", state), (at_s, "G", state)]


# The same in both worlds


def pair_on(lan: Lan) -> tuple[Host, Host]:
    """Two routers with two virtual routers each that move together, the first of which is MASTER."""
    a, b = lan.host("a", "192.0.2.1/24"), lan.host("b", "192.0.2.2/24")
    for host, priority in ((a, 200), (b, 100)):
        host.command(on_one_link(priority))
    lan.until(lambda: serves(a) and states_of(b) == {State.BACKUP}, "the election")
    return a, b


def on_one_link(priority: int) -> Configure:
    one = settings("V1", vrid=51, priority=priority)
    two = settings("V2", vrid=52, priority=priority, vips=["192.0.2.101/24"])
    members = tuple(replace(each, router=replace(each.router, grouped=True)) for each in (one, two))
    return Configure(members, (GroupSettings("G", ("V1", "V2")),))


def serves(host: Host) -> bool:
    return host.is_master("V1") and host.is_master("V2")


def states_of(host: Host) -> set[State]:
    return {host.state("V1"), host.state("V2")}


def group_moves(host: Host) -> list[tuple[str, bool]]:
    return [(str(r.state), r.parted) for r in host.reports if isinstance(r, GroupEntered)]


def test_a_fault_of_one_moves_all_and_its_end_brings_all_back(lan: Lan) -> None:
    a, b = pair_on(lan)
    a.forget()
    a.command(RaiseFault("V2", "web", "web failed"))
    lan.until(lambda: serves(b), "the take-over")
    assert states_of(a) == {State.FAULT}
    assert a.transitions("V1")[-1].reason == "V2 of sync group G: web failed"
    assert sorted(sent.vrid for sent in a.sent() if sent.priority == 0) == [51, 52]
    assert not {"192.0.2.100/24", "192.0.2.101/24"} & a.addresses()
    assert {one.state for one in a.status().groups} == {State.FAULT}
    a.command(ClearFault("V2", "web"))
    lan.until(lambda: serves(a) and states_of(b) == {State.BACKUP}, "the way back")
    for host, expected in ((a, "BACKUP MASTER FAULT BACKUP MASTER"), (b, "BACKUP MASTER BACKUP")):
        assert group_moves(host) == [(state, False) for state in expected.split()]
        assert host.moves("V1") == host.moves("V2") == expected.split()
    assert a.transitions("V1")[-1].cause is Cause.GROUP


def test_a_drain_of_one_hands_all_over_without_a_gap(lan: Lan) -> None:
    a, b = pair_on(lan)
    a.command(Drain("V2"))
    lan.until(lambda: states_of(a) == {State.INITIALIZE}, "the handover")
    assert serves(b)
    assert Cause.HANDED_OVER in {a.transitions(name)[-1].cause for name in ("V1", "V2")}
    assert all(a.status_of(name).drained for name in ("V1", "V2"))
    a.command(Resume("V1"))
    lan.until(lambda: serves(a), "the way back")


def test_a_stop_hands_all_over_without_a_gap(lan: Lan) -> None:
    a, b = pair_on(lan)
    a.command(Stop(handover=True))
    lan.until(lambda: Stopped() in a.reports, "the end")
    assert serves(b)
    assert not {"192.0.2.100/24", "192.0.2.101/24"} & a.addresses()
    assert a.moves("V1") == a.moves("V2") == ["BACKUP", "MASTER", "INITIALIZE"]
    taken = max(b.transitions(name)[-1].at_us for name in ("V1", "V2"))
    assert taken <= min(a.transitions(name)[-1].at_us for name in ("V1", "V2"))


def test_who_is_armed_follows_the_group(lan: Lan) -> None:
    """b hears a on both, until a dies: then both take over in the same moment."""
    a, b = pair_on(lan)
    lan.rest(5 * INTERVAL_S)
    assert b.moves("V1") == ["BACKUP"]
    a.command(Stop())
    lan.until(lambda: serves(b), "the take-over")
    first, second = (b.transitions(name)[-1] for name in ("V1", "V2"))
    assert first.at_us == second.at_us
    assert b.status_of("V1").counters["asked-group"] >= 1


def test_a_group_that_was_not_one_before(lan: Lan) -> None:
    """A reload that makes a group of two routers whose MASTERs are on different nodes brings them together."""
    a, b = lan.host("a", "192.0.2.1/24"), lan.host("b", "192.0.2.2/24")
    for host, first, second in ((a, 200, 100), (b, 100, 200)):
        alone = on_one_link(100)
        v1, v2 = (replace(one, router=replace(one.router, grouped=False)) for one in alone.instances)
        host.configure(
            replace(v1, router=replace(v1.router, priority=first)),
            replace(v2, router=replace(v2.router, priority=second)),
        )
    lan.until(lambda: a.is_master("V1") and b.is_master("V2"), "the elections")
    a.command(on_one_link(200))
    b.command(on_one_link(100))
    lan.until(lambda: serves(a) and states_of(b) == {State.BACKUP}, "the group")


# On two LANs


def test_an_interface_that_goes_down_moves_the_group(site: Site) -> None:
    """V2 cannot say goodbye there, so b waits for the Master_Down_Interval of its V2."""
    site.pair()
    a, b = site["a"], site["b"]
    a.kernel.set_link("eth1", up=False)
    site.rest(10)
    assert a.moves(10) == [(10.0, "V2", "FAULT"), (10.0, "V1", "FAULT"), (10.0, "G", "FAULT")]
    assert [(sent.vrid, sent.priority) for sent in a.sent(10)] == [(51, 0)]
    assert b.moves(10) == both(13.023, "MASTER")  # 9.414 s + 3.609375 s
    assert a.transitions("V1")[-1].reason == "V2 of sync group G: interface eth1 is down"
    a.kernel.set_link("eth1", up=True)
    site.rest(10)
    assert a.is_master()
    assert set(b.states) == {State.BACKUP}


def test_all_are_released_in_one_moment(site: Site) -> None:
    """A fault says priority 0 in both: b waits for Skew_Time, 156/256 s."""
    site.pair()
    site["a"].command(RaiseFault("V1", "web", "web failed"))
    site.rest(5)
    assert site["a"].moves(10) == both(10.0, "FAULT")
    assert site["b"].moves(10) == both(10.609, "MASTER")


def test_who_has_lost_one_lan_does_not_take_over(site: Site) -> None:
    site.pair()
    b = site["b"]
    b.pull(2)
    site.rest(20)
    assert set(b.states) == {State.BACKUP}
    assert b.moves(5) == []
    b.plug_in(2)
    site["a"].kernel.set_link("eth0", up=False)
    site.rest(5)
    assert b.is_master()


def test_a_dead_node_is_followed_in_one_moment(site: Site) -> None:
    site.pair()
    site.world.kill("a")
    site.rest(5)
    assert site["b"].moves(5) == both(13.023, "MASTER")
    installed = [entry for entry in site.world.journal if entry.host == "b" and entry.verb == "installs"]
    assert len(installed) == 1  # in one batch


def test_preempt_delay_holds_for_all(site: Site) -> None:
    """The delay of V1 keeps V2 waiting, which has none."""
    a, b = site["a"], site["b"]
    b.run(100, 100)
    site.run(10)
    a.command(configure(member(1, 150, preempt_delay_us=8 * S), member(2, 150)))
    site.run(17)
    assert b.is_master()
    site.run(30)
    assert a.is_master()
    assert set(b.states) == {State.BACKUP}
    assert a.transitions("V1")[-1].at_us == a.transitions("V2")[-1].at_us >= 18 * S


def test_a_slow_member_gives_the_others_time_to_hand_over(site: Site) -> None:
    """V1 at 1 s waits with V2 at 4 s for the successor, whose V2 has a Skew_Time of 2.4 s."""
    for node, priority in ((site["a"], 150), (site["b"], 100)):
        node.command(configure(member(1, priority), member(2, priority, interval_us=4 * S)))
    site.run(40)
    a, b = site["a"], site["b"]
    assert a.is_master()
    a.command(Stop(handover=True))
    site.rest(5)
    (taken,) = (at_s for at_s, name, state in b.moves(40) if (name, state) == ("G", "MASTER"))
    (left,) = (at_s for at_s, name, state in a.moves(40) if (name, state) == ("G", "INITIALIZE"))
    assert 0 <= left - taken < 0.02


def test_one_that_yields_takes_the_others_along(site: Site) -> None:
    site.pair()
    site["b"].command(SetPriority("V1", 200), SetPriority("V2", 200))
    site.rest(10)
    assert site["b"].is_master()
    reasons = {site["a"].transitions(name)[-1].reason for name in ("V1", "V2")}
    assert reasons == {
        "10.0.1.2 (priority 200) has a higher priority than ours, 150",
        "the sync group moves together: V1 heard 10.0.1.2 (priority 200)",
    }


def test_groups_that_disagree_come_to_rest(site: Site) -> None:
    """Each is better in another member: one serves, the other waits."""
    site["a"].run(150, 100)
    site["b"].run(100, 150)
    site.run(60)
    assert [node.is_master() for node in site.nodes.values()].count(True) == 1
    before = [node.moves() for node in site.nodes.values()]
    site.rest(60)
    assert [node.moves() for node in site.nodes.values()] == before


def test_owners_start_as_master_when_all_are_there(site: Site) -> None:
    a = site["a"]
    owners = [member(1, 255, awaited=["x"]), member(2, 255)]
    a.command(configure(*owners, owners_start_as_master=True))
    site.run(2)
    assert a.states == [State.INITIALIZE, State.BACKUP]
    a.command(ClearFault("V1", "x"))
    site.run(2)
    assert a.is_master()


# Reloads


def test_a_reload_that_changes_nothing_disturbs_nobody(site: Site) -> None:
    site.pair()
    group = site["a"].engine._groups["G"]
    before = [len(node.reports) for node in site.nodes.values()]
    site["a"].run(150, 150)
    site["b"].run(100, 100)
    assert site["a"].engine._groups["G"] is group
    site.rest(10)
    assert [len(node.reports) for node in site.nodes.values()] == before


def test_a_member_that_joins_waits_for_whoever_may_serve(site: Site) -> None:
    site["a"].run(150)
    site["b"].run(100)
    site.run(10)
    site["a"].run(150, 150)
    site["b"].run(100, 100)
    site.run(13)
    a, b = site["a"], site["b"]
    assert a.states == [State.MASTER, State.BACKUP]
    assert a.group().parted
    site.run(20)
    assert a.is_master()
    assert not a.group().parted
    assert a.moves(5) == [
        (10.0, "V2", "BACKUP"),
        (10.0, "G", "MASTER"),
        (13.414, "V2", "MASTER"),
        (13.414, "G", "MASTER"),
    ]
    assert set(b.states) == {State.BACKUP}


def test_who_joins_before_its_first_result_is_in_moves_nobody(site: Site) -> None:
    """A group that has started does not start again; that it yields meanwhile is told at once."""
    site["a"].run(150)
    site["b"].run(100)
    site.run(10)
    a, b = site["a"], site["b"]
    a.command(configure(member(1, 150), member(2, 150, awaited=["x"])))
    b.command(configure(member(1, 100), member(2, 100, awaited=["x"])))
    site.run(11)
    assert a.states == [State.MASTER, State.INITIALIZE]
    assert b.states == [State.BACKUP, State.INITIALIZE]
    assert [move for move in b.moves() if move[1] == "G"] == [(0.0, "G", "BACKUP")]
    a.command(RaiseFault("V1", "web", "web failed"), ClearFault("V1", "web"))
    site.run(12)
    assert [state for at_s, name, state in a.moves(11) if name == "G"] == ["FAULT", "BACKUP"]
    a.command(ClearFault("V2", "x"))
    b.command(ClearFault("V2", "x"))
    site.run(20)
    assert a.is_master()
    assert [move for move in b.moves() if move[1] == "G"] == [(0.0, "G", "BACKUP")]


def test_a_member_that_leaves_ends_alone(site: Site) -> None:
    site.pair()
    site["a"].run(150)
    site.rest(0.5)
    assert site["a"].moves(10) == [(10.0, "V2", "INITIALIZE")]
    assert site["a"].is_master()
    assert site["a"].group().members == ("V1",)


def test_members_that_change_groups_are_brought_together(site: Site) -> None:
    """Nothing of their own settings changes, and what the sockets keep is heard once again."""
    site = Site(site.world.path, lans=4)
    a, b = site["a"], site["b"]
    four = {name: tuple(member(n, p) for n, p in enumerate(ps, 1)) for name, ps in PRIORITIES.items()}

    def group(*pairs: tuple[int, int]) -> None:
        for node in (a, b):
            groups = tuple(GroupSettings(f"G{one}{two}", (f"V{one}", f"V{two}")) for one, two in pairs)
            node.command(Configure(four[node.name], groups))

    group((1, 2), (3, 4))
    site.run(20)
    assert a.states == [State.MASTER, State.MASTER, State.BACKUP, State.BACKUP]
    assert b.states == [State.BACKUP, State.BACKUP, State.MASTER, State.MASTER]
    group((1, 3), (2, 4))
    site.run(80)
    for node in (a, b):
        assert node.states[0] is node.states[2]
        assert node.states[1] is node.states[3]
    assert sorted(states[0] for states in (a.states, b.states)) == [State.BACKUP, State.MASTER]


PRIORITIES = {"a": (150, 150, 100, 100), "b": (100, 100, 150, 150)}


def test_a_group_that_is_taken_apart(site: Site) -> None:
    """Who was in FAULT for another's sake recovers, and each goes on alone."""
    site.pair()
    a = site["a"]
    a.command(RaiseFault("V1", "web", "web failed"))
    site.rest(5)
    assert a.states == [State.FAULT, State.FAULT]
    members = [member(n, 150, grouped=False, awaited=["web"] if n == 1 else []) for n in (1, 2)]
    a.command(Configure(tuple(members)))
    site.rest(10)
    assert a.states == [State.FAULT, State.MASTER]
    assert a.engine._groups == {}
    assert GROUP not in a.engine._runners["V2"].router.faults


def test_a_faulty_member_joins(site: Site) -> None:
    a = site["a"]
    a.command(Configure((member(1, 150, grouped=False), member(2, 150, grouped=False))))
    site.run(10)
    a.command(RaiseFault("V2", "web", "web failed"))
    site.run(11)
    assert a.states == [State.MASTER, State.FAULT]
    one, two = member(1, 150), member(2, 150, awaited=["web"])
    a.command(configure(one, two))
    site.run(11)
    assert a.states == [State.FAULT, State.FAULT]
    assert a.group().state is State.FAULT


def test_a_member_under_another_name(site: Site) -> None:
    site.pair()
    a = site["a"]
    a.command(configure(member(1, 150), replace(member(2, 150), name="W2"), name="H"))
    site.rest(1)
    assert a.is_master()
    a.command(RaiseFault("W2", "web", "web failed"))
    site.rest(1)
    assert a.states == [State.FAULT, State.FAULT]


def test_another_version_starts_the_member_anew(site: Site) -> None:
    """The others serve on; it joins them as it would at first."""
    site.pair()
    a = site["a"]
    a.command(configure(member(1, 150), member(2, 150, version=2)))
    site.rest(1)
    assert a.states == [State.MASTER, State.BACKUP]
    site["b"].command(configure(member(1, 100), member(2, 100, version=2)))
    site.rest(10)
    assert a.is_master()
    a.command(RaiseFault("V2", "web", "web failed"))
    site.rest(0)
    assert a.states == [State.FAULT, State.FAULT]


def test_who_joins_a_drained_group_stays_out_with_it(site: Site) -> None:
    a = site["a"]
    a.run(150)
    site.run(10)
    a.command(Drain("V1"))
    site.run(12)
    a.run(150, 150)
    site.run(30)
    assert a.states == [State.INITIALIZE, State.INITIALIZE]
    a.command(Resume("V2"))
    site.run(40)
    assert a.is_master()


def test_who_was_called_back_stays_in_as_another_virtual_router(site: Site) -> None:
    """All were drained, one group takes part again: that it has another VRID is no reason to leave."""
    a = site["a"]
    a.run(150, 150)
    site.run(10)
    a.command(Drain(None))
    site.run(12)
    a.command(Resume("V1"))
    site.run(20)
    assert a.is_master()
    other = member(2, 150)
    a.command(configure(member(1, 150), replace(other, router=replace(other.router, vrid=77))))
    site.run(30)
    assert a.is_master()


def test_a_group_of_one_takes_over_as_it_would_alone(site: Site) -> None:
    """It has nobody to disagree with, however often it is beaten."""
    site["a"].run(150)
    site["b"].run(100)
    for _ in range(3):
        site.rest(5)
        site["a"].command(Drain("V1"))
        site.rest(1)
        assert site["b"].is_master()
        site["a"].command(Resume("V1"))
        site.rest(3.5)
        assert site["a"].is_master()


def test_a_drain_soon_after_a_preemption_is_no_disagreement(site: Site) -> None:
    """Who made room a moment ago takes over all the same when the other one says goodbye."""
    site["b"].run(100, 100)
    site.run(10)
    site["a"].run(150, 150)
    site.run(14)
    assert site["a"].is_master()
    site["a"].command(Drain("V1"))
    site.run(15)
    assert site["b"].is_master()
    assert {site["a"].transitions(name)[-1].cause for name in ("V1", "V2")} <= {Cause.HANDED_OVER, Cause.GROUP}


def test_a_second_stop_lets_go_at_once(site: Site) -> None:
    site["a"].run(150, 150)
    site.run(10)
    site["a"].command(Stop(handover=True))
    site.run(10.1)
    assert site["a"].is_master()
    site["a"].command(Stop())
    site.run(10.1)
    assert Stopped() in site["a"].reports
    assert [sent.priority for sent in site["a"].sent(10.05)] == []


def test_stop_says_goodbye_for_each(site: Site) -> None:
    site["a"].run(150, 150)
    site.run(10)
    site["a"].command(Stop())
    site.run(11)
    assert sorted((sent.vrid, sent.priority) for sent in site["a"].sent(10)) == [(51, 0), (52, 0)]


# Halves that may part


def half(number: int, priority: int) -> Configure:
    return configure(*(member(n, priority) for n in range(1, number + 1)), may_part=True)


def test_halves_beside_who_runs_one_of_them(site: Site) -> None:
    """The first is BACKUP to the better one there, the second serves: nobody else would."""
    site["a"].command(Configure((member(1, 150, grouped=False),)))
    site["b"].command(half(2, 100))
    site.run(20)
    b = site["b"]
    assert b.states == [State.BACKUP, State.MASTER]
    assert b.group().parted
    assert site["a"].is_master()
    b.command(RaiseFault("V2", "web", "web failed"))
    site.run(21)
    assert b.states == [State.BACKUP, State.FAULT]


def test_halves_beside_who_runs_both_move_together(site: Site) -> None:
    site["a"].command(half(2, 150))
    site["b"].command(half(2, 100))
    site.run(10)
    assert site["a"].is_master()
    assert set(site["b"].states) == {State.BACKUP}
    site["a"].command(Stop(handover=True))
    site.run(20)
    assert site["b"].is_master()
    site["b"].command(Drain("V1"))
    site.run(25)
    assert site["b"].states == [State.INITIALIZE, State.MASTER]
    assert not any(began for began in site["a"].parted())


# What control hears and says


def test_only_changes_travel_and_all_groups(site: Site) -> None:
    before = configure(member(1, 150), member(2, 150))
    after = configure(member(1, 150), member(2, 100), name="H")
    sent = Reconfigure.of(after, before)
    assert sent.changed == after.instances[1:]
    assert sent.after(before) == after
    assert site.nodes  # nothing runs for this


def test_who_has_no_group_is_not_told_of_any(site: Site) -> None:
    one = member(1, 150, grouped=False)
    site["a"].command(Configure((one,)))
    site.run(10)
    assert site["a"].is_master()
    assert site["a"].engine._runners["V1"].group is None
    assert not [report for report in site["a"].reports if isinstance(report, GroupEntered)]


def test_how_long_a_handover_takes(site: Site) -> None:
    node: Node = site["a"]
    node.command(configure(member(1, 150), member(2, 150, interval_us=2 * S)))
    site.run(1)
    group = node.engine._groups["G"]
    assert isinstance(group, GroupRunner)
    assert group.handover_us == 2 * S
    assert node.engine._runners["V1"].settings.router.family is Family.V4
