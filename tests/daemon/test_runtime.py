"""The daemon's own directory: one daemon for a name, what survives a crash, and which leftovers are ours."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import TypeAlias

import pytest

from pyvrrp.daemon import runtime
from pyvrrp.daemon.locks import base_directory, lock_file
from pyvrrp.daemon.runtime import (
    AlreadyRunning,
    InstalledAddress,
    LiveDaemon,
    RuntimeDirectory,
    RuntimeState,
    ServedRouter,
    clashes,
    leftovers,
    survey_daemons,
)
from pyvrrp.errors import KernelError, NotPermitted, UsageError
from pyvrrp.net.system import AssignedAddress, VirtualAddress
from pyvrrp.protocol.constants import Family

Damage: TypeAlias = Callable[[str], str]

V4_GROUP = ip_address("224.0.0.18")
ROUTER = ServedRouter("eth0", 51, Family.V4, "VI_1", group=V4_GROUP)
STATE = RuntimeState(
    (
        InstalledAddress("eth0", ip_interface("192.0.2.100/24")),
        InstalledAddress("eth0", ip_interface("2001:db8::100/64")),
    ),
    (
        ROUTER,
        ServedRouter("eth0", 51, Family.V6, "VI_6", group=ip_address("ff02::12")),
        ServedRouter(None, 7, Family.V4, "UNI", source=ip_address("198.51.100.1")),
    ),
)

HOLDER = """
import sys, time
from pathlib import Path
from typing import TypeAlias
from pyvrrp.daemon.runtime import *
from pyvrrp.daemon.runtime import ip_interface
held = RuntimeDirectory.acquire(Path(sys.argv[1]), sys.argv[2], namespace=int(sys.argv[3]))
held.save(RuntimeState((InstalledAddress("eth0", ip_interface("192.0.2.100/24")),)))
print("held", flush=True)
sys.stdin.read()
"""

FORK = """
import os, sys
from pathlib import Path
from pyvrrp.daemon.runtime import *
held = RuntimeDirectory.acquire(Path(sys.argv[1]), "a", namespace=1)
held.save(RuntimeState())
child = os.fork()
if not child:
    held.release()
    os._exit(0)
os.waitpid(child, 0)
print(sorted(os.listdir(held.path)), end=" ")
try:
    RuntimeDirectory.acquire(Path(sys.argv[1]), "a", namespace=1)
except AlreadyRunning:
    print("still ours")
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def holder(base: Path) -> Iterator[subprocess.Popen[str]]:
    """A daemon called `other` in namespace 1, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(base), "other", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


class TestBase:
    def test_argument_comes_first_and_is_made_absolute(self) -> None:
        assert base_directory("x", {"PYVRRP_RUNTIME_DIR": "/y"}, uid=0) == Path.cwd() / "x"

    def test_then_the_environment(self) -> None:
        assert base_directory(None, {"PYVRRP_RUNTIME_DIR": "/y"}, uid=0) == Path("/y")

    def test_root_has_run(self, tmp_path: Path) -> None:
        assert base_directory(None, {}, uid=0, run=tmp_path) == tmp_path / "pyvrrp"

    def test_root_without_run_goes_on(self, tmp_path: Path) -> None:
        """A pod may have a read-only /run, or none."""
        assert base_directory(None, {}, uid=0, run=tmp_path / "absent") == Path("/tmp/pyvrrp-0")

    def test_user_has_the_session_directory(self, tmp_path: Path) -> None:
        assert base_directory(None, {"XDG_RUNTIME_DIR": str(tmp_path)}, uid=1000) == tmp_path / "pyvrrp"

    @pytest.mark.parametrize("session", ["", "relative", "/nonexistent/1000"])
    def test_user_without_one_has_tmp(self, session: str) -> None:
        assert base_directory(None, {"XDG_RUNTIME_DIR": session}, uid=1000) == Path("/tmp/pyvrrp-1000")


class TestLock:
    def test_directory_is_keyed_by_namespace_and_name(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a") as held:
            inode = Path("/proc/self/ns/net").stat().st_ino
            assert held.path == base / str(inode) / "a"
            assert held.socket_path == held.path / "control.sock"
            assert (held.path / "lock").read_text() == f"{os.getpid()}\n"

    def test_modes_whatever_the_umask(self, base: Path) -> None:
        """keepalived runs with umask 0177, which would leave directories that nobody can enter."""
        before = os.umask(0o177)
        try:
            with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
                held.save(STATE)
                modes = {
                    path.name: stat.S_IMODE(path.stat().st_mode)
                    for path in (base, held.path.parent, held.path, held.path / "lock", held.path / "state.json")
                }
        finally:
            os.umask(before)
        assert modes == {"run": 0o700, "1": 0o700, "a": 0o700, "lock": 0o600, "state.json": 0o600}

    def test_second_of_a_name_is_told_who_holds_it(self, base: Path, holder: subprocess.Popen[str]) -> None:
        with pytest.raises(AlreadyRunning) as caught:
            RuntimeDirectory.acquire(base, "other", namespace=1)
        assert caught.value.pid == holder.pid
        assert str(caught.value) == f"daemon is already running (pid {holder.pid} holds {base}/1/other/lock)"

    def test_second_in_the_same_process_is_refused_too(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=1), pytest.raises(AlreadyRunning):
            RuntimeDirectory.acquire(base, "a", namespace=1)

    @pytest.mark.usefixtures("holder")
    def test_same_name_elsewhere_is_another_daemon(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "other", namespace=2) as held:
            assert held.others() == ()

    def test_killed_daemon_frees_it(self, base: Path, holder: subprocess.Popen[str]) -> None:
        kill(holder)
        with RuntimeDirectory.acquire(base, "other", namespace=1) as held:
            assert (held.path / "lock").read_text() == f"{os.getpid()}\n"

    def test_probing_neighbours_do_not_stop_a_start(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """`others` looks whether a lock is held by taking it shared for a moment."""
        (base / "1" / "a").mkdir(parents=True)
        (base / "1").chmod(0o700)
        with (base / "1" / "a" / "lock").open("w") as probe:
            fcntl.flock(probe, fcntl.LOCK_SH)
            monkeypatch.setattr(time, "sleep", lambda _: fcntl.flock(probe, fcntl.LOCK_UN))
            RuntimeDirectory.acquire(base, "a", namespace=1).release()

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".hidden", "x" * 65, "a\n"])
    def test_name_must_be_one_component(self, base: Path, name: str) -> None:
        with pytest.raises(UsageError):
            RuntimeDirectory.acquire(base, name, namespace=1)

    def test_release_leaves_nothing(self, base: Path) -> None:
        held = RuntimeDirectory.acquire(base, "a", namespace=1)
        held.save(STATE)
        held.socket_path.touch()
        held.release()
        held.release()
        assert list(base.iterdir()) == []

    @pytest.mark.usefixtures("holder")
    def test_release_leaves_the_neighbour(self, base: Path) -> None:
        RuntimeDirectory.acquire(base, "a", namespace=1).release()
        assert [entry.name for entry in (base / "1").iterdir()] == ["other"]

    def test_forked_child_does_not_release(self, base: Path) -> None:
        """An engine that ends must not take the lock and the state of its parent along."""
        done = subprocess.run(
            [sys.executable, "-c", FORK, str(base)], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "['lock', 'state.json'] still ours\n"

    def test_directory_removed_between_the_steps_is_made_again(
        self, base: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A daemon that starts while its predecessor releases."""
        first = RuntimeDirectory.acquire(base, "a", namespace=1)

        def race(descriptor: int) -> bool:
            first.release()
            return lock_file(descriptor)

        monkeypatch.setattr(runtime, "lock_file", race)
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            assert (held.path / "lock").read_text() == f"{os.getpid()}\n"
            monkeypatch.undo()
            with pytest.raises(AlreadyRunning):
                RuntimeDirectory.acquire(base, "a", namespace=1)

    def test_no_descriptor_is_left_open(self, base: Path) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            held.save(STATE)
            held.others()
            for _ in range(3):
                with pytest.raises(AlreadyRunning):
                    RuntimeDirectory.acquire(base, "a", namespace=1)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestUnsafe:
    def test_absent_parent(self, tmp_path: Path) -> None:
        with pytest.raises(KernelError, match=r"cannot open directory .*absent.*ENOENT"):
            RuntimeDirectory.acquire(tmp_path / "absent" / "run", "a", namespace=1)

    def test_base_that_is_a_symlink(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        with pytest.raises(KernelError, match="a symbolic link is not followed"):
            RuntimeDirectory.acquire(tmp_path / "link", "a", namespace=1)

    @pytest.mark.parametrize("where", ["1", "1/a"])
    def test_directory_that_is_a_symlink(self, base: Path, tmp_path: Path, where: str) -> None:
        (tmp_path / "elsewhere").mkdir()
        (base / where).parent.mkdir(parents=True, mode=0o700)
        (base / where).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(KernelError, match="a symbolic link is not followed"):
            RuntimeDirectory.acquire(base, "a", namespace=1)
        assert list((tmp_path / "elsewhere").iterdir()) == []

    def test_lock_that_is_a_symlink(self, base: Path, tmp_path: Path) -> None:
        (base / "1" / "a").mkdir(parents=True, mode=0o700)
        (base / "1").chmod(0o700)
        (base / "1" / "a" / "lock").symlink_to(tmp_path / "victim")
        with pytest.raises(KernelError) as caught:
            RuntimeDirectory.acquire(base, "a", namespace=1)
        assert caught.value.errno == errno.ELOOP
        assert not (tmp_path / "victim").exists()

    def test_lock_that_is_a_fifo(self, base: Path) -> None:
        (base / "1" / "a").mkdir(parents=True)
        (base / "1").chmod(0o700)
        os.mkfifo(base / "1" / "a" / "lock")
        with pytest.raises(KernelError, match="not a plain file"):
            RuntimeDirectory.acquire(base, "a", namespace=1)

    def test_directory_others_may_write_to(self, base: Path) -> None:
        (base / "1").mkdir(parents=True)
        (base / "1").chmod(0o777)
        with pytest.raises(NotPermitted, match=r"others may write to it \(mode 0777\)"):
            RuntimeDirectory.acquire(base, "a", namespace=1)

    def test_base_everybody_may_write_to_is_fine(self, base: Path) -> None:
        """An emptyDir volume of a pod is such a one."""
        base.mkdir()
        base.chmod(0o777)
        RuntimeDirectory.acquire(base, "a", namespace=1).release()

    def test_directory_of_somebody_else(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        base.mkdir()
        real = os.fstat

        def fstat(descriptor: int) -> os.stat_result:
            facts = list(real(descriptor))
            facts[stat.ST_UID] = 12345
            return os.stat_result(facts)

        monkeypatch.setattr(os, "fstat", fstat)
        with pytest.raises(NotPermitted, match="it belongs to uid 12345"):
            RuntimeDirectory.acquire(base, "a", namespace=1)


class TestState:
    def test_what_a_dead_daemon_saved_is_read_back(self, base: Path) -> None:
        first = RuntimeDirectory.acquire(base, "a", namespace=1)
        assert first.predecessor is None
        assert first.warnings == ()
        first.save(STATE)
        crash(first)
        with RuntimeDirectory.acquire(base, "a", namespace=1) as second:
            assert second.predecessor == STATE
            assert second.warnings == ()

    def test_a_clean_end_leaves_no_state(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=1) as first:
            first.save(STATE)
        with RuntimeDirectory.acquire(base, "a", namespace=1) as second:
            assert second.predecessor is None

    def test_state_outlives_a_successor_that_dies_before_its_first_save(self, base: Path) -> None:
        for _ in range(2):
            held = RuntimeDirectory.acquire(base, "a", namespace=1)
            if held.predecessor is None:
                held.save(STATE)
            crash(held)
        with RuntimeDirectory.acquire(base, "a", namespace=1) as last:
            assert last.predecessor == STATE

    def test_saving_the_same_again_writes_nothing(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            held.save(STATE)
            before = (held.path / "state.json").stat().st_ino
            held.save(STATE)
            assert (held.path / "state.json").stat().st_ino == before

    def test_save_replaces_in_one_step(self, base: Path) -> None:
        """Whoever reads sees the old file or the new one."""
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            held.save(STATE)
            with (held.path / "state.json").open() as old:
                held.save(RuntimeState())
                assert len(json.load(old)["addresses"]) == 2
            assert json.loads((held.path / "state.json").read_text())["addresses"] == []
            assert sorted(entry.name for entry in held.path.iterdir()) == ["lock", "state.json"]

    def test_save_does_not_follow_a_symlink(self, base: Path, tmp_path: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            (held.path / "state.json.tmp").symlink_to(tmp_path / "victim")
            with pytest.raises(KernelError, match=r"cannot write .*state\.json.*ELOOP"):
                held.save(STATE)
            assert not (tmp_path / "victim").exists()

    def test_save_replaces_a_symlink_in_its_place(self, base: Path, tmp_path: Path) -> None:
        (tmp_path / "victim").write_text("precious")
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            (held.path / "state.json").symlink_to(tmp_path / "victim")
            held.save(STATE)
        assert (tmp_path / "victim").read_text() == "precious"

    @pytest.mark.parametrize(
        "damage",
        [
            pytest.param(lambda _: "", id="empty"),
            pytest.param(lambda text: text[: len(text) // 2], id="truncated"),
            pytest.param(lambda _: "\0\xff garbage", id="garbage"),
            pytest.param(lambda _: "[]", id="array"),
            pytest.param(lambda _: "{}", id="no members"),
            pytest.param(lambda _: "[" * 100_000, id="nested"),
            pytest.param(lambda _: "9" * 10_000, id="long number"),
            pytest.param(lambda text: text.replace('"version":1', '"version":2'), id="other version"),
            pytest.param(lambda text: text.replace('"boot":"', '"boot":"x'), id="other boot"),
            pytest.param(lambda text: text.replace('"namespace_cookie":', '"namespace_cookie":9'), id="inode reused"),
            pytest.param(lambda text: text.replace("192.0.2.100/24", "192.0.2.300/24"), id="no address"),
            pytest.param(lambda text: text.replace('"192.0.2.100/24"', "3221225985"), id="address as number"),
            pytest.param(lambda text: text.replace('["eth0","192', '["192'), id="short pair"),
            pytest.param(lambda text: text.replace('"vrid":51', '"vrid":0'), id="no VRID"),
            pytest.param(lambda text: text.replace('"family":4', '"family":5'), id="no family"),
            pytest.param(lambda text: text.replace('"addresses":[', '"addresses":3,"x":['), id="no list"),
            pytest.param(lambda text: " " * (9 << 20) + text, id="too long"),
        ],
    )
    def test_what_cannot_be_understood_is_absent_and_said(self, base: Path, damage: Damage) -> None:
        held = RuntimeDirectory.acquire(base, "a", namespace=1)
        held.save(STATE)
        path = held.path / "state.json"
        crash(held)
        text = path.read_text()
        assert damage(text) != text
        path.write_text(damage(text), "latin-1")
        with RuntimeDirectory.acquire(base, "a", namespace=1) as second:
            assert second.predecessor is None
            assert len(second.warnings) == 1
            assert second.warnings[0].startswith(f"{path}: ignored")

    def test_state_that_is_no_plain_file(self, base: Path) -> None:
        (base / "1" / "a").mkdir(parents=True)
        (base / "1").chmod(0o700)
        os.mkfifo(base / "1" / "a" / "state.json")
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            assert held.predecessor is None
            assert "not a plain file" in held.warnings[0]

    def test_state_that_is_a_symlink_is_not_followed(self, base: Path, tmp_path: Path) -> None:
        with RuntimeDirectory.acquire(base, "b", namespace=1) as donor:
            donor.save(STATE)
            (tmp_path / "state").write_bytes((donor.path / "state.json").read_bytes())
        (base / "1" / "a").mkdir(parents=True)
        (base / "1").chmod(0o700)
        (base / "1" / "a" / "state.json").symlink_to(tmp_path / "state")
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            assert held.predecessor is None
            assert "cannot be opened" in held.warnings[0]


class TestOthers:
    def test_live_neighbour_and_its_claims(self, base: Path, holder: subprocess.Popen[str]) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            held.save(STATE)
            assert held.others() == (
                LiveDaemon(
                    "other",
                    1,
                    base / "1" / "other",
                    holder.pid,
                    RuntimeState((InstalledAddress("eth0", ip_interface("192.0.2.100/24")),)),
                ),
            )

    def test_dead_neighbour_claims_nothing(self, base: Path, holder: subprocess.Popen[str]) -> None:
        kill(holder)
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            assert held.others() == ()

    def test_neighbour_that_has_not_saved_yet_may_claim_anything(self, base: Path) -> None:
        with (
            RuntimeDirectory.acquire(base, "new", namespace=1) as new,
            RuntimeDirectory.acquire(base, "a", namespace=1) as held,
        ):
            assert held.others() == (LiveDaemon("new", 1, new.path, os.getpid()),)

    @pytest.mark.usefixtures("holder")
    def test_neighbour_with_a_broken_state(self, base: Path) -> None:
        (base / "1" / "other" / "state.json").write_text("{")
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            (other,) = held.others()
            assert other.state is None
            assert other.warning.startswith("ignored, not understood")

    def test_neighbour_that_cannot_be_looked_into_counts_as_live(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            (held.path.parent / "b").mkdir()
            (held.path.parent / "b").chmod(0o777)
            (other,) = held.others()
            assert (other.name, other.state) == ("b", None)

    def test_what_is_no_daemon_is_passed_over(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            (held.path.parent / "file").touch()
            (held.path.parent / "empty").mkdir(mode=0o700)
            assert held.others() == ()

    @pytest.mark.usefixtures("holder")
    def test_survey_goes_through_all_namespaces(self, base: Path) -> None:
        (base / "not-a-number").mkdir()
        with RuntimeDirectory.acquire(base, "a", namespace=2):
            found = survey_daemons(base)
            assert [(daemon.namespace, daemon.name) for daemon in found.daemons] == [(1, "other"), (2, "a")]
            assert [daemon.name for daemon in survey_daemons(base, 2).daemons] == ["a"]
            assert survey_daemons(base, 3).daemons == ()

    def test_survey_of_an_absent_base(self, base: Path) -> None:
        assert survey_daemons(base) == runtime.Survey()


def found(text: str, interface: str = "eth0", protocol: int | None = 0) -> tuple[str, AssignedAddress]:
    return interface, AssignedAddress(2, ip_interface(text), protocol=protocol)


def vip(text: str, interface: str = "eth0") -> VirtualAddress:
    return VirtualAddress(interface, ip_interface(text))


def live(*addresses: str, interface: str = "eth0") -> LiveDaemon:
    entries = tuple(InstalledAddress(interface, ip_interface(text)) for text in addresses)
    return LiveDaemon("other", 1, Path("/run/pyvrrp/1/other"), 77, RuntimeState(entries))


UNKNOWN = LiveDaemon("other", 1, Path("/run/pyvrrp/1/other"), 77, None)


class TestLeftovers:
    def test_addresses_of_nobody_stay(self) -> None:
        assert leftovers([found("192.0.2.1/24"), found("fe80::1/64")], None, [vip("192.0.2.100/24")], []) == []

    def test_what_the_predecessor_wrote_down_goes(self) -> None:
        """Even if the new configuration no longer knows it."""
        assert leftovers([found("192.0.2.1/24"), found("192.0.2.100/24")], STATE, [], []) == [vip("192.0.2.100/24")]

    def test_a_configured_vip_goes(self) -> None:
        """A killed keepalived leaves neither a state nor a mark."""
        configured = VirtualAddress("eth0", ip_interface("192.0.2.100/24"), label="eth0:vip")
        assert leftovers([found("192.0.2.100/24")], None, [configured], []) == [configured]

    def test_only_on_its_own_interface(self) -> None:
        assert leftovers([found("192.0.2.100/24", "eth1")], STATE, [vip("192.0.2.100/24")], []) == []

    def test_only_with_its_own_prefix_length(self) -> None:
        """The same address with another prefix is the administrator's: its subnet hangs on it."""
        assert leftovers([found("192.0.2.100/25")], STATE, [vip("192.0.2.100/32")], []) == []

    def test_a_vip_that_a_live_daemon_claims_stays(self) -> None:
        assert leftovers([found("192.0.2.100/24")], None, [vip("192.0.2.100/24")], [live("192.0.2.100/32")]) == []

    def test_a_live_claim_goes_before_our_old_state(self) -> None:
        assert leftovers([found("192.0.2.100/24")], STATE, [], [live("192.0.2.100/24")]) == []

    def test_a_claim_on_another_interface_is_no_claim(self) -> None:
        others = [live("192.0.2.100/24", interface="eth1")]
        assert leftovers([found("192.0.2.100/24")], None, [vip("192.0.2.100/24")], others) == [vip("192.0.2.100/24")]

    def test_beside_a_live_daemon_of_unknown_claims_only_the_state_counts(self) -> None:
        addresses = [found("192.0.2.100/24"), found("192.0.2.101/24")]
        assert leftovers(addresses, STATE, [vip("192.0.2.101/24")], [UNKNOWN]) == [vip("192.0.2.100/24")]

    @pytest.mark.parametrize("protocol", [1, 2, 3])
    def test_what_the_kernel_made_stays(self, protocol: int) -> None:
        addresses = [found("fe80::5/64", protocol=protocol)]
        assert leftovers(addresses, None, [vip("fe80::5/64")], []) == []

    @pytest.mark.parametrize("protocol", [None, 0, 18, 112])
    def test_other_marks_make_no_difference(self, protocol: int | None) -> None:
        """None is a kernel without IFA_PROTO, 18 is keepalived's own mark."""
        addresses = [found("192.0.2.100/24", protocol=protocol), found("192.0.2.9/24", protocol=protocol)]
        assert leftovers(addresses, None, [vip("192.0.2.100/24")], []) == [vip("192.0.2.100/24")]

    def test_ipv6(self) -> None:
        assert leftovers([found("2001:db8::100/64")], STATE, [], []) == [vip("2001:db8::100/64")]

    def test_two_daemons_in_one_namespace(self, base: Path) -> None:
        """Each takes back what it left itself, and neither touches what the other serves."""
        on_eth0 = [found("192.0.2.100/24"), found("192.0.2.200/24"), found("192.0.2.1/24")]
        both = [vip("192.0.2.100/24"), vip("192.0.2.200/24")]
        first = RuntimeDirectory.acquire(base, "first", namespace=1)
        first.save(RuntimeState((InstalledAddress("eth0", ip_interface("192.0.2.100/24")),)))
        second = RuntimeDirectory.acquire(base, "second", namespace=1)
        assert leftovers(on_eth0[::2], second.predecessor, both, second.others()) == []
        second.save(RuntimeState((InstalledAddress("eth0", ip_interface("192.0.2.200/24")),)))
        crash(second)
        with first, RuntimeDirectory.acquire(base, "second", namespace=1) as again:
            assert leftovers(on_eth0, again.predecessor, both, again.others()) == [vip("192.0.2.200/24")]


class TestClashes:
    def daemon(self, *routers: ServedRouter) -> LiveDaemon:
        return LiveDaemon("other", 1, Path("/run/pyvrrp/1/other"), 77, RuntimeState((), routers))

    def test_same_router(self) -> None:
        other = self.daemon(ServedRouter("eth0", 51, Family.V4, "THEIRS", group=V4_GROUP))
        assert clashes([ROUTER], [other, UNKNOWN]) == [(ROUTER, other)]

    @pytest.mark.parametrize(
        "theirs",
        [
            ServedRouter("eth1", 51, Family.V4, "X", group=V4_GROUP),
            ServedRouter("eth0", 52, Family.V4, "X", group=V4_GROUP),
            ServedRouter("eth0", 51, Family.V6, "X", group=ip_address("ff02::12")),
            ServedRouter("eth0", 51, Family.V4, "X", group=ip_address("224.0.0.28")),
            ServedRouter("eth0", 51, Family.V4, "X", source=ip_address("192.0.2.1")),
        ],
    )
    def test_another_router(self, theirs: ServedRouter) -> None:
        assert clashes([ROUTER], [self.daemon(theirs)]) == []

    def test_unicast_with_an_unknown_source_is_taken_for_the_same(self) -> None:
        ours = ServedRouter("eth0", 51, Family.V4, "U", source=ip_address("192.0.2.1"))
        assert ours.clashes(ServedRouter("eth0", 51, Family.V4, "X"))
        assert not ours.clashes(ServedRouter("eth0", 51, Family.V4, "X", source=ip_address("192.0.2.2")))


def crash(held: RuntimeDirectory) -> None:
    """What the kernel does for a killed process: the descriptors go, the files stay."""
    os.close(held._lock)
    os.close(held._directory)
    held._lock = held._directory = -1
