"""keepalived's dump files: their texts, line by line beside keepalived, and how they come into a shared place."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from ipaddress import ip_address, ip_interface
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyvrrp.config.load import parse_text
from pyvrrp.config.model import (
    AddressLine,
    Command,
    Configuration,
    Files,
    GlobalSettings,
    NextHop,
    Route,
    Rule,
    TcpTarget,
    VrrpScript,
)
from pyvrrp.daemon.drop_in import signals
from pyvrrp.daemon.dumps import data, files, records, words
from pyvrrp.daemon.dumps.data import script_words
from pyvrrp.daemon.dumps.dumper import DATA, JSON, SIGNALS, STATS, STATS_CLEAR
from pyvrrp.daemon.dumps.picture import Picture, identities, state_of
from pyvrrp.daemon.dumps.statistics import Cleared, Statistics
from pyvrrp.daemon.supervisor import Options, Supervisor
from pyvrrp.errors import KernelError, VrrpError
from pyvrrp.net.simulated import World
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.states import State
from pyvrrp.trackers.children import ScriptPolicy
from tests.daemon.conftest import Daemons, Lines, Waker, block, daemons, eventually, executable, instance, network, play
from tests.daemon.exporters import read_data, read_json, read_scripts, read_stats
from tests.netns import Namespace, until

__all__ = ["daemons", "network"]

root = pytest.mark.root


# Where they go


@pytest.mark.parametrize(("said", "directory"), [(None, "/tmp"), ("/x/y", "/x/y"), ("x/y", "/tmp"), ("", "/tmp")])
def test_the_directory(said: str | None, directory: str) -> None:
    """keepalived takes an absolute TMPDIR only."""
    assert files.directory({} if said is None else {"TMPDIR": said}) == Path(directory)


@pytest.mark.parametrize(
    ("said", "data", "parent"),
    [
        ({}, "keepalived.data", "keepalived_parent.data"),
        ({"instance_name": "foo"}, "keepalived.data", "keepalived_parent.data"),
        (
            {"instance_name": "foo", "files": Files(use_instance=True)},
            "keepalived.foo.data",
            "keepalived_parent.foo.data",
        ),
        ({"files": Files(state_dump="/var/d/my.txt")}, "/var/d/my.txt", "/var/d/my_parent.txt"),
    ],
)
def test_the_name_of_the_data_file(said: dict[str, Any], data: str, parent: str) -> None:
    settings = GlobalSettings(**said)
    assert files.data_file(settings) == data
    assert files.data_file(settings, parent=True) == parent


@pytest.fixture
def umask() -> Iterator[None]:
    """A process that gives nobody else anything."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("umask_said", "mode"), [(0o177, 0o600), (0o022, 0o644), (0o027, 0o640)])
def test_the_mode_is_that_of_the_umask_that_was_said(tmp_path: Path, umask_said: int, mode: int) -> None:
    files.write(tmp_path / "keepalived.data", "text\n", umask_said)
    assert stat.S_IMODE((tmp_path / "keepalived.data").stat().st_mode) == mode


def test_a_file_is_put_in_place_whole(tmp_path: Path) -> None:
    """A reader that has the old one open goes on reading it, and nothing else is left in the directory."""
    path = tmp_path / "keepalived.json"
    files.write(path, "old\n", 0o177)
    with path.open() as old:
        files.write(path, "new\udcff\n", 0o177)
        assert old.read() == "old\n"
    assert path.read_bytes() == b"new\xff\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["keepalived.json"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "keepalived.data"
    victim.write_text("mine\n")
    path.symlink_to(victim)
    files.write(path, "text\n", 0o177)
    assert victim.read_text() == "mine\n"
    assert not path.is_symlink()
    assert path.read_text() == "text\n"


def test_an_old_file_aside_is_no_obstacle(tmp_path: Path) -> None:
    """It may be of a process that had our pid and died while it wrote, or somebody's trap."""
    victim, aside = tmp_path / "victim", tmp_path / f".keepalived.data.{os.getpid()}"
    victim.write_text("mine\n")
    aside.symlink_to(victim)
    files.write(tmp_path / "keepalived.data", "text\n", 0o177)
    assert victim.read_text() == "mine\n"
    assert not aside.exists()


def test_what_is_no_file_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keepalived.data")
    with pytest.raises(KernelError, match=r"cannot write dump file .*keepalived\.data.*is no file"):
        files.write(tmp_path / "keepalived.data", "text\n", 0o177)


@root
def test_what_is_anothers_stays(tmp_path: Path) -> None:
    path = tmp_path / "keepalived.data"
    path.write_text("theirs\n")
    os.chown(path, 65534, 65534)
    with pytest.raises(KernelError, match="a file of uid 65534 is in its place"):
        files.write(path, "text\n", 0o177)
    assert path.read_text() == "theirs\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_directory_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="No such file or directory"):
        files.write(tmp_path / "nowhere" / "keepalived.data", "text\n", 0o177)


def test_a_file_that_cannot_be_put_in_place_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(KernelError, match="ENOSPC"):
        files.write(tmp_path / "keepalived.data", "text\n", 0o177)
    assert list(tmp_path.iterdir()) == []


# The parts of the texts; all lines were written by keepalived 2.2.7


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (AddressLine(ip_interface("192.0.2.101/32")), "192.0.2.101 dev eth0 scope global"),
        (
            AddressLine(ip_interface("192.0.2.100/24"), label="eth0:1"),
            "192.0.2.100/24 dev eth0 scope global label eth0:1",
        ),
        (
            AddressLine(ip_interface("192.0.2.1/24"), scope=253, broadcast=ip_address("192.0.2.255"), no_track=True),
            "192.0.2.1/24 brd 192.0.2.255 dev eth0 scope link no_track",
        ),
        (AddressLine(ip_interface("192.0.2.9/24"), dev="lo", scope=77), "192.0.2.9/24 dev lo scope 77"),
        (
            AddressLine(ip_interface("fe80::1/128"), dad=True, preferred_lifetime_s=0),
            "fe80::1 dev eth0 scope global -nodad deprecated",
        ),
        (
            AddressLine(ip_interface("fd00::1/64"), home=True, dad=True, no_track=True, manage_temporary=True),
            "fd00::1/64 dev eth0 scope global home -nodad mngtmpaddr no_track preferred_lft forever",
        ),
        (
            AddressLine(ip_interface("fd00::3/64"), preferred_lifetime_s=100, no_prefix_route=True),
            "fd00::3/64 dev eth0 scope global noprefixroute preferred_lft 100",
        ),
    ],
)
def test_an_address(line: AddressLine, shown: str) -> None:
    assert words.address(line, "eth0", installed=False) == shown
    assert words.address(line, "eth0", installed=True) == f"{shown} set"


@pytest.mark.parametrize(
    ("route", "shown"),
    [
        (
            Route(ip_interface("10.7.0.0/16"), hops=(NextHop(ip_address("192.0.2.2"), "eth0"),)),
            "prepend 10.7.0.0/16 via inet 192.0.2.2 dev eth0 proto 18",
        ),
        (
            Route(ip_interface("0.0.0.0/0"), hops=(NextHop(ip_address("192.0.2.2"), "eth0"),), table=33),
            "prepend 0.0.0.0/0 via inet 192.0.2.2 dev eth0 table 33 proto 18",
        ),
        (
            Route(
                ip_interface("192.0.2.7/32"),
                hops=(NextHop(dev="eth0"),),
                source=ip_address("192.0.2.1"),
                metric=5,
                scope=253,
            ),
            "prepend 192.0.2.7 src 192.0.2.1 dev eth0 proto 18 scope 253 metric 5",
        ),
        (
            Route(ip_interface("10.0.0.0/8"), hops=(NextHop(ip_address("192.0.2.1")),), no_track=True),
            "prepend 10.0.0.0/8 via inet 192.0.2.1 proto 18 no_track",
        ),
    ],
)
def test_a_route(route: Route, shown: str) -> None:
    assert words.route(route) == shown


def test_a_blackhole() -> None:
    assert words.route(Route(ip_interface("10.0.0.0/8"), kind="blackhole")) == "prepend blackhole 10.0.0.0/8 proto 18"


def test_a_rule() -> None:
    rule = Rule(Family.V4, table=33, from_network=ip_interface("192.0.2.100/32"), preference=99)
    assert words.rule(rule) == "from 192.0.2.100 priority 99 tos 0x0 protocol 18 lookup 33"
    assert words.rule(replace(rule, negated=True, action="prohibit")).startswith("not from")


def test_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local time, the day padded with a blank."""
    monkeypatch.setenv("TZ", "UTC0")
    import time

    time.tzset()
    assert words.moment(1795385529899013) == "1795385529.899013 (Sun Nov 22 22:12:09.899013 2026)"
    assert words.moment(5_000_000) == "5.000000 (Thu Jan  1 00:00:05.000000 1970)"


def test_the_built_in_check_is_shown_as_the_shell_would_write_it() -> None:
    script = VrrpScript("port", tcp=TcpTarget(80, ip_address("192.0.2.1")))
    assert script_words(script) == "'</dev/tcp/192.0.2.1/80'"


# Counters


def test_counters_are_keepalived_s() -> None:
    counters = {
        "advertisements-received": 9,
        "truncated": 1,
        "trailing-bytes": 2,
        "interval-mismatch": 3,
        "noticed-interval-mismatch": 4,
        "noticed-address-list-mismatch": 5,
        "checksum": 6,
        "auth-failure": 7,
    }
    found = Statistics.of(counters, {})
    assert (found.advert_rcvd, found.packet_len_err, found.advert_interval_err) == (9, 3, 7)
    assert (found.addr_list_err, found.auth_failure) == (5, 7)
    assert sum(found.by_name().values()) == sum(counters.values()) - counters["checksum"]


def test_counters_are_cleared() -> None:
    cleared = Cleared()
    counters = {"advertisements-sent": 10}
    assert cleared.statistics("A", counters).advert_sent == 10
    cleared.clear([("A", counters)])
    counters["advertisements-sent"] = 13
    assert cleared.statistics("A", counters).advert_sent == 3
    assert cleared.statistics("B", counters).advert_sent == 13


def test_an_engine_started_anew_counts_from_zero() -> None:
    """What was cleared of the old one must not be taken from the counters of the new one, now or later."""
    cleared = Cleared()
    cleared.clear([("A", {"advertisements-sent": 10})])
    assert cleared.statistics("A", {"advertisements-sent": 2}).advert_sent == 2
    assert cleared.statistics("A", {"advertisements-sent": 12}).advert_sent == 12


# Signals, in a world of virtual time


def test_the_signals_are_those_that_signum_names() -> None:
    known = signals()
    assert (known["DATA"], known["STATS"], known["JSON"], known["STATS_CLEAR"]) == (DATA, STATS, JSON, STATS_CLEAR)
    assert {known["STOP"], known["RELOAD"]}.isdisjoint(SIGNALS)


class Stage:
    """A supervisor in a simulated world, whose dump files go into a directory of the test."""

    def __init__(self, directory: Path, configuration: Configuration) -> None:
        self.world = World()
        self.log = Lines()
        self.directory = directory
        self.asked = 0
        self.ready = False
        system = self.world.host("r1")
        system.add_link("eth0", ip_interface("192.0.2.1/24"))
        options = Options("test.conf", lambda: configuration, self._ready)
        self.supervisor = Supervisor(configuration, system, None, self.log, options)
        keeper = self.supervisor._keeper
        ask = keeper.ask

        async def counted() -> Any:
            self.asked += 1
            return await ask()

        keeper.ask = counted  # type: ignore[method-assign]
        self.supervisor._dumper._environment = {"TMPDIR": str(directory)}

        def wake() -> None:
            if keeper.driver is not None:
                keeper.driver.wake()

        self.world.attach("r1", Waker(wake))

    def _ready(self) -> None:
        self.ready = True

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.supervisor.run())
        await eventually(lambda: self.ready or task.done(), "ready")
        try:
            yield
        finally:
            self.supervisor.stop()
            await asyncio.wait([task])

    async def dump(self, *numbers: int) -> None:
        """Have signals come, all in one moment, and wait until all is written."""
        for number in numbers:
            self.supervisor._dump_soon(number)
        dumper = self.supervisor._dumper
        await eventually(lambda: not dumper._due, "written")

    def read(self, name: str) -> str:
        return (self.directory / name).read_text()


SECRET = "s3cr3t"
V2 = f"""
vrrp_instance VI_2 {{
    interface eth0
    virtual_router_id 52
    authentication {{
        auth_type PASS
        auth_pass {SECRET}
    }}
    virtual_ipaddress {{
        192.0.2.102/24
    }}
}}
"""


def stage(directory: Path, text: str = instance()) -> Stage:
    return Stage(directory, parse_text(text).configuration)


def test_a_burst_of_signals_is_two_rounds(tmp_path: Path) -> None:
    """The engine is asked once for what came together, and once for all that came while that was written."""
    on = stage(tmp_path)

    async def scene() -> None:
        async with on.serving():
            await on.dump(*[DATA, STATS, JSON] * 100)
            assert on.asked == 1
            first = asyncio.create_task(on.dump(DATA))
            await asyncio.sleep(0)
            await on.dump(*[DATA, JSON] * 100)
            await first
            assert on.asked <= 3

    play(on.world, scene())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "keepalived.data",
        "keepalived.json",
        "keepalived.stats",
        "keepalived_parent.data",
    ]
    assert on.log.has(re.escape(f"Writing {tmp_path}/keepalived.json, as a signal asks"))


def test_no_password_is_written(tmp_path: Path) -> None:
    on = stage(tmp_path, V2)

    async def scene() -> None:
        async with on.serving():
            await on.dump(DATA, JSON)

    play(on.world, scene())
    everything = "".join(entry.read_text() for entry in tmp_path.iterdir())
    assert SECRET not in everything
    assert everything.count("********") == 2


def test_the_time_of_a_transition_stays_the_same(tmp_path: Path) -> None:
    """It is worked out once: the wall clock may be set, and monitors compare."""
    on = stage(tmp_path)

    async def scene() -> list[float]:
        seen = []
        async with on.serving():
            await eventually(lambda: on.log.has("Entering MASTER"), "MASTER")
            for _ in range(3):
                await on.dump(JSON, DATA)
                seen.append(read_json(on.read("keepalived.json"))["VI_1"][0]["last_transition"])
                seen.append(read_data(on.read("keepalived.data"))["VI_1"]["Last transition"])
                await asyncio.sleep(0.1)
        return seen

    assert len(set(play(on.world, scene()))) == 1


def test_clearing_shows_the_counters_and_then_counts_anew(tmp_path: Path) -> None:
    on = stage(tmp_path)

    async def scene() -> list[int]:
        seen = []
        async with on.serving():
            await eventually(lambda: on.log.has("Entering MASTER"), "MASTER")
            for number in (STATS, STATS_CLEAR, STATS):
                await on.dump(number)
                seen.append(read_stats(on.read("keepalived.stats"))["VI_1"]["Became master"])
            status = await on.supervisor.status()
            seen.append(status["instances"][0]["counters"]["became-master"])
        return seen

    assert play(on.world, scene()) == [1, 1, 0, 1]


def test_an_engine_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on = stage(tmp_path)

    async def silent() -> None:
        raise VrrpError("no answer")

    async def scene() -> None:
        async with on.serving():
            with monkeypatch.context() as patch:
                patch.setattr(on.supervisor._keeper, "ask", silent)
                await on.dump(DATA)
            assert on.log.of("error") == ["dump files are not written: no answer"]
            await on.dump(STATS)

    play(on.world, scene())
    assert [entry.name for entry in tmp_path.iterdir()] == ["keepalived.stats"]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    on = stage(tmp_path / "nowhere")

    async def scene() -> None:
        async with on.serving():
            await on.dump(STATS)

    play(on.world, scene())
    assert len(on.log.of("error")) == 1
    assert "keepalived.stats: No such file or directory" in on.log.of("error")[0]


def test_without_virtual_routers_there_is_only_the_parents_file(tmp_path: Path) -> None:
    """keepalived has no VRRP process then."""
    on = stage(tmp_path, "global_defs {\n    umask 022\n}\n")

    async def scene() -> None:
        async with on.serving():
            await on.dump(*SIGNALS)

    play(on.world, scene())
    assert [entry.name for entry in tmp_path.iterdir()] == ["keepalived_parent.data"]
    assert on.read("keepalived_parent.data").endswith(" umask = 022\n")
    assert stat.S_IMODE((tmp_path / "keepalived_parent.data").stat().st_mode) == 0o644


GROUP = block("vrrp_sync_group G", "group {", "    VI_1", "    VI_3", "}", 'notify "/bin/true g"')


def test_a_sync_group(tmp_path: Path) -> None:
    """Named by its members, and listed with the state that they have."""
    on = stage(tmp_path, instance() + instance(name="VI_3", vrid=53, vips=("192.0.2.103/24",)) + GROUP)

    async def scene() -> None:
        async with on.serving():
            await eventually(lambda: len(re.findall("Entering MASTER", "".join(on.log.texts))) >= 2, "MASTER")
            await on.dump(DATA)

    play(on.world, scene())
    data = on.read("keepalived.data")
    assert data.count("   Sync group = G\n") == 2
    assert (
        f"""
------< VRRP Sync groups >------
 VRRP Sync Group = G, MASTER
   Num member fault 0, num member init 0
   VRRP member instances :
     VI_1
     VI_3
   Using smtp notification = no
   Generic state transition script = '/bin/true' 'g', uid:gid {_default_identity()}
"""
        in data
    )


def _default_identity() -> str:
    """Whom programs run as that name no user."""
    policy = ScriptPolicy.of(GlobalSettings())
    return identities(policy)(Command(("any",)))


def test_a_user_that_does_not_exist_is_shown_by_name() -> None:
    assert identities(ScriptPolicy())(Command(("any",), "no-such-user")) == "no-such-user:no-such-user"
    assert identities(ScriptPolicy())(Command(("any",))) == f"{os.geteuid()}:{os.getegid()}"


def test_what_waits_for_a_check_is_in_fault_and_wants_to_be_backup(tmp_path: Path) -> None:
    """As with keepalived; monitors know no other word for it."""
    on = stage(tmp_path)

    async def scene() -> Picture:
        async with on.serving():
            return on.supervisor._dumper._picture(await on.supervisor._keeper.ask())

    picture = play(on.world, scene())
    (one,) = picture.routers
    waiting = replace(one, status=replace(one.status, held=("script:chk",), state=State.INITIALIZE))
    shown = replace(picture, routers=(waiting,))
    assert (waiting.state, waiting.wanted) == (State.FAULT, State.BACKUP)
    found = read_data(data.text(shown))["VI_1"]
    assert (found["State"], found["Wantstate"]) == (3, 1)
    assert "   Number of track scripts init = 1\n" in data.text(shown)
    record = read_json(records.text(shown))["VI_1"][0]
    assert (record["state"], record["wantstate"], record["vipset"]) == (3, 1, False)


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ([State.MASTER, State.MASTER], State.MASTER),
        ([State.MASTER, State.BACKUP], State.BACKUP),
        ([State.FAULT, State.BACKUP], State.FAULT),
        ([State.INITIALIZE, State.BACKUP], State.INITIALIZE),
        ([], State.INITIALIZE),
    ],
)
def test_the_state_of_a_group_is_the_worst_of_its_members(states: list[State], whole: State) -> None:
    assert state_of([SimpleNamespace(state=state) for state in states]) is whole  # type: ignore[misc]


def test_json_of_version_2_names_its_list(tmp_path: Path) -> None:
    on = stage(tmp_path, "global_defs {\n    json_version 2\n}\n" + instance())

    async def scene() -> None:
        async with on.serving():
            await on.dump(JSON)

    play(on.world, scene())
    whole = json.loads(on.read("keepalived.json"))
    assert list(whole) == ["vrrp", "track_process"]
    assert [one["data"]["iname"] for one in whole["vrrp"]] == ["VI_1"]


def test_all_is_imported_before_the_first_signal() -> None:
    """Some exporters wait for 10 ms only."""
    code = (
        "import sys; from pyvrrp.daemon.dumps.dumper import Dumper; Dumper.prepare(None); before = set(sys.modules)\n"
        "from pyvrrp.daemon.dumps import data, definitions, files, picture, records, statistics, words\n"
        "print(sorted(set(sys.modules) - before))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# Beside keepalived

BESIDE = """
global_defs {{
    router_id R1
    enable_script_security
    script_user root
}}
vrrp_script chk {{
    script "{script} a"
    interval 1
    weight 5
    fall 2
}}
vrrp_script dead {{
    script "{dead}"
    interval 1
    timeout 2
    weight -7
}}
vrrp_instance PLAIN {{
    version 3
    interface eth0
    virtual_router_id 1
    advert_int 0.1
    virtual_ipaddress {{
        192.0.2.101/24 label eth0:1
        192.0.2.102 dev lo
    }}
    virtual_ipaddress_excluded {{
        fd99::100
    }}
    track_interface {{
        lo
    }}
    track_script {{
        chk
        dead weight -9
    }}
    notify "{script} x y"
    notify_master "{script} m"
    garp_master_refresh 60
    preempt_delay 1.5
}}
vrrp_instance OWNER {{
    interface eth0
    state MASTER
    virtual_router_id 2
    priority 255
    authentication {{
        auth_type PASS
        auth_pass secret
    }}
    virtual_ipaddress {{
        192.0.2.120/24 brd + scope link
    }}
}}
vrrp_instance SIX {{
    interface eth0
    virtual_router_id 3
    advert_int 0.1
    nopreempt
    virtual_ipaddress {{
        fe80::1:1
        fd99::200/64
    }}
}}
vrrp_instance UNICAST {{
    version 3
    interface eth0
    virtual_router_id 4
    priority 50
    advert_int 0.1
    unicast_src_ip 192.0.2.1
    check_unicast_src
    unicast_peer {{
        192.0.2.2 min_ttl 3 max_ttl 250
        192.0.2.3
    }}
    virtual_ipaddress {{
        192.0.2.110
    }}
}}
vrrp_instance BROKEN {{
    version 3
    interface eth0
    virtual_router_id 5
    advert_int 0.1
    dont_track_primary
    track_interface {{
        idle0
    }}
    virtual_ipaddress {{
        192.0.2.105
    }}
}}
vrrp_instance SERVED {{
    version 3
    interface eth0
    virtual_router_id 6
    advert_int 0.1
    virtual_ipaddress {{
        192.0.2.106/24
    }}
}}
"""

MASTER = """
vrrp_instance SERVED {
    version 3
    interface eth0
    virtual_router_id 6
    priority 200
    advert_int 0.2
    virtual_ipaddress {
        192.0.2.106/24
    }
}
"""

_OURS_ALONE = (
    (r"\d{10}\.\d{6} \(.*\)", "TIME"),
    (r"fd_in -?\d+", "fd_in N"),
    (r"fd_out (= )?-?\d+", "fd_out N"),
    (r"fe80::[0-9a-f:]*:[0-9a-f:]*ff:fe[0-9a-f:]*", "LINK-LOCAL"),
    (r"..:..:..:..:..:..", "MAC"),
    (r"   Password = .*", "   Password = ********"),
    (r"   Master down timer = (1|3003906) usecs", "   Master down timer of an owner"),
)
_NOT_OURS = re.compile(r" nftables| libnftnl|   Not IPv6 forwarding|   Seen up")


def comparable(text: str) -> list[str]:
    """Lines without what two programs on two networks cannot have in common."""
    for pattern, instead in _OURS_ALONE:
        text = re.sub(pattern, instead, text)
    return [line for line in text.splitlines() if not _NOT_OURS.match(line)]


FILES = ("keepalived.data", "keepalived_parent.data", "keepalived.stats", "keepalived.json")


class Side:
    """One of the two programs, alone with a MASTER of one of its virtual routers on a cable."""

    def __init__(self, router: Daemons, text: str) -> None:
        self.router = router
        self.place = router.directory / "tmp"
        self.place.mkdir(parents=True)
        self.text = text
        self.started: list[subprocess.Popen[Any]] = []
        self.pid = 0
        router.namespace.ip("link", "add", "idle0", "type", "veth", "peer", "name", "far", "netns", router.peer.path)
        self._keepalived(router.peer, "master", MASTER)

    def start_keepalived(self) -> None:
        self.pid = self._keepalived(self.router.namespace, "k", self.text).pid

    def start_pyvrrp(self) -> None:
        daemon = self.router.start(self.text, name="k", environment={"TMPDIR": str(self.place)})
        self.pid = daemon.says("Startup complete").pid

    def _keepalived(self, namespace: Namespace, name: str, text: str) -> subprocess.Popen[Any]:
        file = self.router.directory / f"{name}.conf"
        file.write_text(text)
        argv = ["keepalived", "-n", "-l", "-G", "-f", str(file), "-p", f"{file}.pid", "-r", f"{file}.vrrp"]
        environment = {**os.environ, "TMPDIR": str(self.place)}
        process = namespace.popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        self.started.append(process)
        return process

    def dump(self) -> dict[str, str]:
        """
        Have all files written anew, and read them.

        keepalived writes the texts bit by bit and puts the JSON in place: that is asked for last, and there last.
        """
        for name in FILES:
            (self.place / name).unlink(missing_ok=True)
        for number in (DATA, STATS, JSON):
            os.kill(self.pid, number)
        until(lambda: all((self.place / name).exists() for name in FILES), "dump files")
        return {name: (self.place / name).read_text() for name in FILES}

    def settled(self) -> dict[str, str]:
        """The files, when every instance is where it will stay and no check is being run; nothing before."""
        written = self.dump()
        data = written["keepalived.data"]
        waited = {"PLAIN": 2, "OWNER": 2, "SIX": 2, "UNICAST": 2, "BROKEN": 3, "SERVED": 1}
        there = {name: one["State"] for name, one in read_data(data).items()} == waited
        there = there and read_scripts(data) == {"chk": ("GOOD", "idle"), "dead": ("BAD", "idle")}
        return written if there and "   Master router = 192.0.2.2\n   Master priority = 200\n" in data else {}

    def close(self) -> None:
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.wait(30)


@root
def test_every_line_is_keepalived_s(daemons: Daemons, tmp_path: Path) -> None:
    """The same file, a network each, the same moment of their lives; then the four files line by line."""
    if not shutil.which("keepalived"):
        pytest.skip("needs keepalived")
    script, dead = executable(tmp_path / "ok.sh", "exit 0"), executable(tmp_path / "dead.sh", "exit 1")
    text = BESIDE.format(script=script, dead=dead)
    ours, theirs = Side(daemons, text), Side(Daemons(daemons._network, tmp_path / "theirs"), text)
    try:
        theirs.start_keepalived()
        ours.start_pyvrrp()
        until((Path(f"{theirs.router.file('k')}.vrrp")).exists, "keepalived has started")
        own, real = (until(side.settled, "all have settled") for side in (ours, theirs))
    finally:
        ours.close()
        theirs.close()
    assert comparable(own["keepalived.data"]) == comparable(real["keepalived.data"])
    # 2.2.7 has not worked these out in its parent.
    assert comparable(own["keepalived_parent.data"]) == comparable(
        real["keepalived_parent.data"].replace("4294967295", "5")
    )
    assert [*map(key_of, own["keepalived.stats"].splitlines())] == [*map(key_of, real["keepalived.stats"].splitlines())]
    assert list(read_stats(own["keepalived.stats"])) == list(read_data(own["keepalived.data"]))
    same_records(read_json(own["keepalived.json"]), read_json(real["keepalived.json"]))


def key_of(line: str) -> str:
    return line if line.startswith("VRRP Instance") else line.rpartition(":")[0]


def same_records(ours: dict[str, Any], real: dict[str, Any]) -> None:
    """The same keys in the same order, and the same values, but for times, counts and the password."""
    assert list(ours) == list(real)
    for name, (record, stats) in real.items():
        own_data, own_stats = ours[name]
        assert list(own_data) == list(record)
        assert list(own_stats) == list(stats) == [one.name for one in fields(Statistics)]
        different = {key for key in record if own_data[key] != record[key]}
        assert different <= {"last_transition", "auth_data"}, {key: (own_data[key], record[key]) for key in different}
