"""Sync groups as people see them: what is watched, said, told to scripts, shown by `status`, drained and reloaded."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.config.load import parse_text
from pyvrrp.config.model import AddressLine, Configuration, SyncGroup, Track, VrrpInstance, VrrpScript
from pyvrrp.daemon.deciding import Decider
from pyvrrp.daemon.lines import Line
from pyvrrp.daemon.plan import Plan, Tracked
from pyvrrp.daemon.translate import engine_settings, group_settings
from pyvrrp.engine.commands import RaiseFault
from pyvrrp.net.simulated import World
from pyvrrp.protocol.sync_group import GroupSettings
from tests.daemon.conftest import Daemons, block, daemons, eventually, executable, instance, lines, network, play
from tests.daemon.test_supervisor import Stage, break_next
from tests.netns import until

__all__ = ["daemons", "network"]

TWO = instance() + instance(name="VI_2", vrid=52, vips=["192.0.2.102/24"])
SECOND_VIP = ip_address("192.0.2.102")


def group(*more: str, members: tuple[str, ...] = ("VI_1", "VI_2"), name: str = "G") -> str:
    return block(f"vrrp_sync_group {name}", "group {", *members, "}", *more)


def parsed(text: str) -> Configuration:
    return parse_text(text).configuration


class GroupStage(Stage):
    """Two instances that move together, and nobody else."""

    def __init__(self, *more: str, configuration: Configuration | None = None) -> None:
        super().__init__(configuration or parsed(TWO + group(*more)))

    async def groups(self) -> list[tuple[str, str, list[str]]]:
        status = await self.supervisor.status()
        return [(one["name"], one["state"], one["members"]) for one in status["sync_groups"]]

    async def states(self) -> list[str]:
        return [one["state"] for one in (await self.supervisor.status())["instances"]]

    def said(self) -> list[str]:
        """What the log says of groups."""
        return [text for text in self.log.texts if text.startswith("VRRP_Group(")]

    def fault(self, name: str) -> None:
        self.supervisor._keeper.command(RaiseFault(name, "web", "web failed"))


# What the engine is told


BARE = VrrpInstance("A", 7, "eth0", state="MASTER", virtual_addresses=(AddressLine(ip_interface("192.0.2.100/32")),))
OWNER = replace(BARE, priority=255)


def test_a_member_waits_for_its_group() -> None:
    assert engine_settings(OWNER, "eth0").router.owner_starts_as_master
    router = engine_settings(OWNER, "eth0", grouped=True).router
    assert router.grouped
    assert not router.owner_starts_as_master


@pytest.mark.parametrize(
    ("first", "second", "at_once"),
    [
        (OWNER, OWNER, True),
        (OWNER, replace(OWNER, state="BACKUP"), False),
        (OWNER, BARE, False),
        (BARE, BARE, False),
    ],
)
def test_owners_start_together(first: VrrpInstance, second: VrrpInstance, at_once: bool) -> None:
    told = group_settings(SyncGroup("G", ("A", "B"), may_part=True), {"A": first, "B": second})
    assert told == GroupSettings("G", ("A", "B"), owners_start_as_master=at_once, may_part=True)


def decide(text: str, *, at_start: bool = True, said: list[Line] | None = None) -> Any:
    world = World()
    system = world.host("r1")
    system.add_link("eth0", ip_interface("192.0.2.1/24"))
    kept: list[Line] = [] if said is None else said
    return Decider(system, None, kept.append).decide(parsed(text), at_start=at_start)


def test_only_members_that_run_are_told_to_the_engine() -> None:
    """An instance that cannot be run is missing in its group; a group that has no other is none."""
    lost = instance(name="VI_3", vrid=53, vips=["192.0.2.103/24"]).replace("interface eth0", "")
    lost = lost.replace("advert_int", "unicast_src_ip 192.0.2.77\nunicast_peer {\n192.0.2.78\n}\nadvert_int")
    text = TWO + lost + group(members=("VI_3", "VI_1")) + group(members=("VI_2",), name="H")
    decided = decide(text)
    assert [one.name for one in decided.settings] == ["VI_1", "VI_2"]
    assert decided.command.groups == (GroupSettings("G", ("VI_1",)), GroupSettings("H", ("VI_2",)))
    assert [one.router.grouped for one in decided.command.instances] == [True, True]
    assert decide(TWO + lost + group(members=("VI_3",))).command.groups == ()


def test_who_leaves_a_group_is_told_so() -> None:
    world = World()
    system = world.host("r1")
    system.add_link("eth0", ip_interface("192.0.2.1/24"))
    decider = Decider(system, None, print)
    first = decider.decide(parsed(TWO + group()), at_start=True)
    again = decider.decide(parsed(TWO + group()), at_start=False)
    assert all(one is other for one, other in zip(first.settings, again.settings, strict=True))
    alone = decider.decide(parsed(TWO + group(members=("VI_1",))), at_start=False)
    assert [one.router.grouped for one in alone.settings] == [True, False]


# What is watched


SCRIPTS = (
    VrrpScript("hard", tcp=None),
    VrrpScript("soft", tcp=None, weight=-20),
    VrrpScript("own", tcp=None, weight=-30),
)
MEMBER = replace(
    BARE,
    priority=150,
    track_scripts=(Track("own"), Track("hard")),
    track_interfaces=(Track("eth1", 5, reverse=True),),
)
TRACKING = SyncGroup(
    "G", ("A", "B"), track_scripts=(Track("soft"), Track("hard", 7)), track_interfaces=(Track("eth2"),)
)


def watched(first: VrrpInstance, **more: Any) -> tuple[Tracked, ...]:
    groups = (replace(TRACKING, **more),)
    both = (first, replace(BARE, name="B"), replace(BARE, name="C"))
    plan = Plan.of(Configuration(instances=both, scripts=SCRIPTS, sync_groups=groups))
    assert plan.instances["B"] == (
        Tracked("script", "soft", -20, reverse=False),
        Tracked("script", "hard", 7, reverse=False),
        Tracked("interface", "eth2", 0, reverse=False),
    )
    assert plan.instances["C"] == ()
    return plan.instances["A"]


def test_members_watch_what_their_group_watches() -> None:
    """What has a weight of its own does not count; as with keepalived 2.2.7, no such interface forces FAULT."""
    assert watched(MEMBER) == (
        Tracked("script", "hard", 0, reverse=False),
        Tracked("script", "soft", -20, reverse=False),
        Tracked("interface", "eth2", 0, reverse=False),
    )


@pytest.mark.parametrize("free", [{"tracking_weight": True}, {"may_part": True}])
def test_a_group_may_allow_weights(free: dict[str, bool]) -> None:
    assert watched(MEMBER, **free) == (
        Tracked("script", "own", -30, reverse=False),
        Tracked("script", "hard", 0, reverse=False),
        Tracked("interface", "eth1", 5, reverse=True),
        Tracked("script", "soft", -20, reverse=False),
        Tracked("interface", "eth2", 0, reverse=False),
    )


# What people see


def test_the_log_and_status_of_a_group() -> None:
    stage = GroupStage()

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            assert await stage.groups() == [("G", "MASTER", ["VI_1", "VI_2"])]
            status = await stage.supervisor.status()
            assert [one["sync_group"] for one in status["instances"]] == ["G", "G"]
            stage.fault("VI_2")
            await stage.entered("FAULT", 2)
            assert await stage.groups() == [("G", "FAULT", ["VI_1", "VI_2"])]
            assert stage.log.has(r"\(VI_1\) entering FAULT state \(VI_2 of sync group G: web failed\)")

    play(stage.world, scene())
    assert stage.said() == [
        "VRRP_Group(G) Syncing instances to MASTER state",
        "VRRP_Group(G) Syncing instances to FAULT state",
    ]


def scripts(directory: Path, log: Path) -> list[str]:
    script = executable(directory / "notify", f'echo "$@" >> {log}')
    return [
        *(f'notify_{state} "{script} {state}"' for state in ("master", "backup", "fault", "stop")),
        f'notify "{script} any"',
    ]


def test_scripts_of_a_group(tmp_path: Path) -> None:
    """In keepalived's words; its priority is 0. At the end it hears STOP."""
    log = tmp_path / "log"
    stage = GroupStage(*scripts(tmp_path, log))

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            await eventually(lambda: "any GROUP G MASTER 0" in lines(log), "the scripts are told")
            stage.fault("VI_2")
            await eventually(lambda: "any GROUP G FAULT 0" in lines(log), "the scripts are told")

    play(stage.world, scene())
    said = [
        line for state in ("BACKUP", "MASTER", "FAULT", "STOP") for line in (state.lower(), f"any GROUP G {state} 0")
    ]
    assert lines(log) == said


def test_a_drained_group_hears_stop_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stage = GroupStage(*scripts(tmp_path, log))

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            drain = stage.supervisor._draining.drain
            assert await drain(["VI_2"], undo=False, wait=True) == ["VI_1", "VI_2"]
            assert await stage.states() == ["INITIALIZE", "INITIALIZE"]
            await eventually(lambda: "any GROUP G STOP 0" in lines(log), "the scripts are told")
            assert await drain(["VI_1"], undo=True, wait=True) == ["VI_1", "VI_2"]
            await stage.entered("MASTER", 4)
            await drain(["VI_2"], undo=False, wait=True)
            await eventually(lambda: lines(log).count("any GROUP G STOP 0") == 2, "the scripts are told")

    play(stage.world, scene())
    told = [line.split()[3] for line in lines(log) if line.startswith("any")]
    assert told == ["BACKUP", "MASTER", "STOP", "BACKUP", "MASTER", "STOP"]


def test_a_script_of_a_group_that_cannot_be_run_is_said() -> None:
    said: list[Line] = []
    decide(TWO + group("notify_fault /nowhere/notify"), said=said)
    assert [(line.text, line.fields) for line in said] == [
        (
            "VRRP_Group(G) notify script: cannot run /nowhere/notify: No such file or directory (ENOENT)",
            {"group": "G"},
        )
    ]


def test_reloads_that_make_change_and_unmake_groups() -> None:
    """Those whom it does not concern hear nothing of it."""
    three = TWO + instance(name="VI_3", vrid=53, vips=["192.0.2.103/24"])
    stage = GroupStage(configuration=parsed(three))

    async def reload(text: str) -> None:
        stage.configuration = parsed(text)
        assert await stage.supervisor.reload()

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 3)
            assert await stage.groups() == []
            await reload(three + group())
            assert await stage.groups() == [("G", "MASTER", ["VI_1", "VI_2"])]
            await reload(three + group(members=("VI_1", "VI_3")))
            assert await stage.groups() == [("G", "MASTER", ["VI_1", "VI_3"])]
            stage.fault("VI_1")
            await stage.entered("FAULT", 2)
            assert await stage.states() == ["FAULT", "MASTER", "FAULT"]
            await reload(three)
            assert await stage.groups() == []
            await stage.entered("MASTER", 5)
            assert await stage.states() == ["MASTER"] * 3

    play(stage.world, scene())
    assert not [text for text in stage.log.texts if "Entering BACKUP" in text and "VI_2" in text and "init" not in text]


def test_a_reload_keeps_what_scripts_of_a_group_know(tmp_path: Path) -> None:
    log = tmp_path / "log"
    said = scripts(tmp_path, log)
    stage = GroupStage(*said)
    stage.configuration = parsed(TWO + group(*said[:-1], 'notify "/bin/true"') + group(members=("VI_9",), name="H"))

    async def scene() -> None:
        async with stage.serving():
            await eventually(lambda: "any GROUP G MASTER 0" in lines(log), "the scripts are told")
            stage.configuration = parsed(TWO + group(*said))
            assert await stage.supervisor.reload()
            assert await stage.groups() == [("G", "MASTER", ["VI_1", "VI_2"])]

    play(stage.world, scene())
    assert [line for line in lines(log) if line.startswith("any")] == [
        f"any GROUP G {state} 0" for state in ("BACKUP", "MASTER", "STOP")
    ]


def test_who_joins_a_drained_group_is_drained() -> None:
    stage = GroupStage(configuration=parsed(TWO + group(members=("VI_1",))))

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            await stage.supervisor._draining.drain(["VI_1"], undo=False, wait=True)
            stage.configuration = parsed(TWO + group())
            assert await stage.supervisor.reload()
            await eventually(lambda: not stage.system.has_address(SECOND_VIP), "it has let go")
            assert all(known.drained for known in stage.supervisor._teller.known.values())
            status = await stage.supervisor.status()
            assert [one["drained"] for one in status["instances"]] == [True, True]

    play(stage.world, scene())


def test_who_is_drained_stays_so_as_another_virtual_router(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine knows it by its name then, and so does control: a new engine is told."""
    stage = GroupStage()

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            await stage.supervisor._draining.drain(["VI_2"], undo=False, wait=True)
            other = [instance(name=f"VI_{n}", vrid=60 + n, vips=[f"192.0.2.10{n}/24"]) for n in (1, 2)]
            stage.configuration = parsed("".join(other) + group())
            assert await stage.supervisor.reload()
            break_next(stage.system, "now_us", monkeypatch)
            await eventually(lambda: stage.log.has("the engine failed"), "it fails")
            await asyncio.sleep(5)  # of virtual time
            status = await stage.supervisor.status()
            assert [(one["vrid"], one["state"], one["drained"]) for one in status["instances"]] == [
                (61, "INITIALIZE", True),
                (62, "INITIALIZE", True),
            ]

    play(stage.world, scene())


def test_a_new_engine_knows_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = GroupStage()

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            break_next(stage.system, "now_us", monkeypatch)
            await eventually(lambda: stage.log.has("the engine failed"), "it fails")
            await stage.entered("MASTER", 4)
            assert await stage.groups() == [("G", "MASTER", ["VI_1", "VI_2"])]

    play(stage.world, scene())
    assert stage.said() == ["VRRP_Group(G) Syncing instances to MASTER state"] * 2


# Halves that may part


def halves() -> Configuration:
    both = parsed(TWO)
    return replace(both, sync_groups=(SyncGroup("pair", ("VI_1", "VI_2"), may_part=True),))


def test_halves_beside_who_runs_one_of_them() -> None:
    """It is said once, when it lasts, and once when it is over; each half is drained alone."""
    stage = GroupStage(configuration=halves())

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            for _ in range(40):  # 0.8 s of a better one that runs the first half only
                stage.hear(200)
                await asyncio.sleep(0.02)  # of virtual time
            await eventually(lambda: stage.log.has("each is elected alone"), "it is said")
            assert await stage.groups() == [("pair", "BACKUP", ["VI_1", "VI_2"])]
            (status,) = (await stage.supervisor.status())["sync_groups"]
            assert status["may_part"]
            await eventually(lambda: stage.log.has("move together again"), "it is over")
            names = await stage.supervisor._draining.drain(["VI_2"], undo=False, wait=True)
            assert names == ["VI_2"]
            assert await stage.states() == ["MASTER", "INITIALIZE"]

    play(stage.world, scene())
    assert [text for text in stage.said() if "Syncing" not in text][:2] == [
        (
            "VRRP_Group(pair) VI_2 is MASTER here and VI_1 is not: no other router is heard to run all of them, each is"
            " elected alone"
        ),
        "VRRP_Group(pair) VI_1, VI_2 move together again",
    ]


def test_halves_that_part_for_a_moment_are_not_worth_a_line() -> None:
    stage = GroupStage(configuration=halves())

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            stage.hear(200)
            await stage.entered("BACKUP", 3)
            await stage.entered("MASTER", 3)

    play(stage.world, scene())
    assert not [text for text in stage.said() if "Syncing" not in text]


def test_a_reload_neither_hides_nor_forgets_that_halves_have_parted() -> None:
    """Before it is said, and between that and their meeting."""
    stage = GroupStage(configuration=halves())

    async def reload_while(better: float) -> None:
        """Hear a better one that runs the first half only, over a reload that changes nothing."""
        for number in range(round(better / 0.02)):
            stage.hear(200)
            await asyncio.sleep(0.02)  # of virtual time
            if number == 3:
                assert await stage.supervisor.reload()

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            await reload_while(better=0.8)
            assert stage.log.has("each is elected alone")
            assert await stage.supervisor.reload()
            await eventually(lambda: stage.log.has("move together again"), "it is over")

    play(stage.world, scene())
    assert len([text for text in stage.said() if "Syncing" not in text]) == 2


# The real daemon


@pytest.mark.root
def test_a_group_in_the_real_daemon(daemons: Daemons) -> None:
    """A check of the group is watched for both; a reload takes the group apart and puts it together."""
    log, trouble = daemons.directory / "notified", daemons.directory / "trouble"
    check = executable(daemons.directory / "check", f"test ! -e {trouble}")
    script = block("vrrp_script chk", f"script {check}", "interval 0.1", "fall 1", "rise 1")
    notify = scripts(daemons.directory, log)
    whole = script + group(*notify, "track_script {", "    chk", "}") + TWO
    daemon = daemons.start(whole, "-G")
    daemon.enters("MASTER").enters("MASTER", "VI_2")
    shown = daemons.run("status", "--runtime-dir", str(daemons.runtime)).stdout
    assert "G  MASTER  for" in shown
    assert "(sync group of VI_1, VI_2)" in shown
    trouble.touch()
    daemon.enters("FAULT").enters("FAULT", "VI_2")
    daemon.says(r"VRRP_Group\(G\) Syncing instances to FAULT state")
    daemon.reload(TWO)
    daemon.enters("MASTER", count=2).enters("MASTER", "VI_2", count=2)
    assert daemon.status()["sync_groups"] == []
    trouble.unlink()
    daemon.reload(whole)
    until(lambda: [one["state"] for one in daemon.status()["sync_groups"]] == ["MASTER"], "the group is back")
    daemon.end()
    assert lines(log)[-2:] == ["stop", "any GROUP G STOP 0"]
