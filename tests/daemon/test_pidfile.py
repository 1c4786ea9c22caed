"""Pid files: keepalived's text and mode, one owner, stale ones taken over."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvrrp.daemon import pidfile
from pyvrrp.daemon.locks import lock_file
from pyvrrp.daemon.pidfile import PidFile, is_daemon, running_pid
from pyvrrp.daemon.runtime import AlreadyRunning
from pyvrrp.errors import KernelError

FORK = """
import os, sys
from pathlib import Path
from pyvrrp.daemon.pidfile import *
path = Path(sys.argv[1])
held = PidFile.claim(path)
child = os.fork()
if not child:
    held.release()
    os._exit(0)
os.waitpid(child, 0)
print(path.read_text() == f"{os.getpid()}\\n", running_pid(path) == os.getpid())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keepalived.pid"


@pytest.fixture
def keepalived(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose name is keepalived and that holds no lock, as version 2.2.7."""
    program = tmp_path / "bin" / "keepalived"
    program.parent.mkdir()
    shutil.copy(shutil.which("cat") or "/bin/cat", program)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"started\n")
        process.stdin.flush()
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A live process that is no daemon of ours."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


class TestFile:
    def test_text_and_mode_whatever_the_umask(self, path: Path) -> None:
        before = os.umask(0o177)
        try:
            held = PidFile.claim(path)
        finally:
            os.umask(before)
        assert path.read_text() == f"{os.getpid()}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        held.release()

    def test_another_pid(self, path: Path) -> None:
        """Control keeps the file of the engine."""
        with PidFile.claim(path, 4711) as held:
            assert held.pid == 4711
            assert path.read_text() == "4711\n"

    def test_nothing_is_left(self, path: Path) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        held = PidFile.claim(path)
        held.rewrite(12)
        held.release()
        held.release()
        assert list(path.parent.iterdir()) == []
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_relative_path_survives_a_change_of_directory(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(path.parent)
        held = PidFile.claim(Path(path.name))
        monkeypatch.chdir("/")
        held.release()
        assert not path.exists()

    def test_reader_never_sees_half_a_file(self, path: Path) -> None:
        """The new file comes by rename: the old one, open elsewhere, keeps its text."""
        path.write_text("1234567\n")
        with path.open() as old, PidFile.claim(path):
            assert old.read() == "1234567\n"

    def test_forked_child_removes_nothing(self, path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", FORK, path], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "True True\n"

    def test_somebody_elses_file_is_not_removed(self, path: Path) -> None:
        held = PidFile.claim(path)
        path.unlink()
        path.write_text("1\n")
        held.release()
        assert path.read_text() == "1\n"


class TestOwner:
    def test_second_daemon_is_told_who_runs(self, path: Path) -> None:
        with PidFile.claim(path, 4711), pytest.raises(AlreadyRunning) as caught:
            PidFile.claim(path)
        assert caught.value.pid == 4711
        assert str(caught.value) == f"daemon is already running (pid 4711 holds {path})"

    def test_the_lock_counts_even_if_the_pid_is_ours(self, path: Path) -> None:
        with PidFile.claim(path), pytest.raises(AlreadyRunning):
            PidFile.claim(path)

    def test_keepalived_that_holds_no_lock(self, path: Path, keepalived: subprocess.Popen[bytes]) -> None:
        path.write_text(f"{keepalived.pid}\n")
        with pytest.raises(AlreadyRunning) as caught:
            PidFile.claim(path)
        assert caught.value.pid == keepalived.pid
        assert path.read_text() == f"{keepalived.pid}\n"

    def test_pid_of_a_process_of_our_own_is_stale(self, path: Path, keepalived: subprocess.Popen[bytes]) -> None:
        """In a container pids come again: what was the engine's before may be the parent's now."""
        path.write_text(f"{keepalived.pid}\n")
        PidFile.claim(path, ours=[keepalived.pid]).release()

    def test_own_pid_is_stale(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A daemon that is process 1 in its container always finds its own pid there."""
        monkeypatch.setattr(pidfile, "is_daemon", lambda _: True)
        path.write_text(f"{os.getpid()}\n")
        PidFile.claim(path).release()

    @pytest.mark.parametrize("text", ["", "\n", "garbage\n", "0\n", "-1\n", "99999999999999\n", "\0\xff", "4194304\n"])
    def test_stale_file_is_taken_over(self, path: Path, text: str) -> None:
        path.write_text(text, "latin-1")
        with PidFile.claim(path):
            assert path.read_text() == f"{os.getpid()}\n"

    def test_pid_that_went_to_another_program_is_stale(self, path: Path, stranger: subprocess.Popen[bytes]) -> None:
        path.write_text(f"{stranger.pid}\n")
        PidFile.claim(path).release()

    def test_killed_daemon_leaves_a_stale_file(self, path: Path) -> None:
        dead = PidFile.claim(path, 4711)
        os.close(dead._descriptor)
        with PidFile.claim(path):
            assert path.read_text() == f"{os.getpid()}\n"
        assert not path.exists()


class TestRace:
    def test_file_that_appears_meanwhile(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two daemons start together where no file was: the second finds the first's."""
        original = pidfile._write_aside
        first: list[PidFile] = []

        def race(target: Path, pid: int) -> int:
            monkeypatch.undo()
            first.append(PidFile.claim(path, 4711))
            return original(target, pid)

        monkeypatch.setattr(pidfile, "_write_aside", race)
        with pytest.raises(AlreadyRunning):
            PidFile.claim(path)
        assert path.read_text() == "4711\n"
        first[0].release()
        assert list(path.parent.iterdir()) == []

    def test_file_that_is_replaced_meanwhile(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two daemons take over one stale file: the loser does not overwrite the winner's."""
        path.write_text("")
        original = lock_file
        first: list[PidFile] = []

        def race(descriptor: int) -> bool:
            monkeypatch.undo()
            first.append(PidFile.claim(path, 4711))
            return original(descriptor)

        monkeypatch.setattr(pidfile, "lock_file", race)
        with pytest.raises(AlreadyRunning):
            PidFile.claim(path)
        assert path.read_text() == "4711\n"
        first[0].release()

    def test_file_that_never_stays(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pidfile, "_replace", lambda *_: None)
        with pytest.raises(KernelError, match="made and removed all the time"):
            PidFile.claim(path)


class TestUnsafe:
    def test_symlink_is_not_followed(self, path: Path, tmp_path: Path) -> None:
        (tmp_path / "victim").write_text("precious")
        path.symlink_to("victim")
        with pytest.raises(KernelError) as caught:
            PidFile.claim(path)
        assert caught.value.errno == errno.ELOOP
        assert (tmp_path / "victim").read_text() == "precious"

    def test_fifo(self, path: Path) -> None:
        os.mkfifo(path)
        with pytest.raises(KernelError, match="not a plain file"):
            PidFile.claim(path)

    def test_absent_directory(self, tmp_path: Path) -> None:
        with pytest.raises(KernelError, match=r"cannot write pid file .*absent/x\.pid.*ENOENT"):
            PidFile.claim(tmp_path / "absent" / "x.pid")


class TestRewrite:
    def test_new_pid_under_the_same_lock(self, path: Path) -> None:
        with PidFile.claim(path, 11) as held:
            held.rewrite(12)
            assert held.pid == 12
            assert path.read_text() == "12\n"
            with pytest.raises(AlreadyRunning):
                PidFile.claim(path)
        assert not path.exists()

    def test_file_that_is_no_longer_ours(self, path: Path) -> None:
        with PidFile.claim(path, 11) as held:
            path.unlink()
            with pytest.raises(KernelError, match="somebody else replaced or removed it"):
                held.rewrite(12)


class TestRunning:
    def test_owner_with_a_lock(self, path: Path) -> None:
        with PidFile.claim(path, 4711):
            assert running_pid(path) == 4711

    def test_owner_without_a_lock(self, path: Path, keepalived: subprocess.Popen[bytes]) -> None:
        path.write_text(f"{keepalived.pid}\n")
        assert running_pid(path) == keepalived.pid
        assert running_pid(path, ours=[keepalived.pid]) is None

    @pytest.mark.parametrize("text", ["", "garbage", "4194304\n"])
    def test_stale(self, path: Path, text: str) -> None:
        path.write_text(text)
        assert running_pid(path) is None

    def test_absent(self, path: Path) -> None:
        assert running_pid(path) is None

    def test_no_plain_file(self, tmp_path: Path) -> None:
        assert running_pid(tmp_path) is None


class TestIsDaemon:
    def test_by_what_was_started(self, tmp_path: Path) -> None:
        """A Python program's name is that of the interpreter, unless it changes it."""
        script = tmp_path / "pyvrrp"
        script.write_text("print('started', flush=True)\ninput()\n")
        with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            assert is_daemon(process.pid)
            process.kill()

    def test_an_editor_with_its_file_is_not_it(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "keepalived")
        with subprocess.Popen(["cat", tmp_path / "keepalived"]) as process:
            assert not is_daemon(process.pid)
            process.kill()

    def test_by_a_name_it_gave_itself(self) -> None:
        libc = ctypes.CDLL(None)
        before = Path("/proc/self/comm").read_bytes().strip()
        libc.prctl(15, b"a) S keepalived", 0, 0, 0)  # PR_SET_NAME: a name may hold anything
        try:
            assert not is_daemon(os.getpid())
            libc.prctl(15, b"keepalived_vrrp", 0, 0, 0)
            assert is_daemon(os.getpid())
        finally:
            libc.prctl(15, before, 0, 0, 0)

    def test_unreaped_corpse_is_not_it(self, keepalived: subprocess.Popen[bytes]) -> None:
        assert is_daemon(keepalived.pid)
        keepalived.kill()
        os.waitid(os.P_PID, keepalived.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{keepalived.pid}/stat").exists()
        assert not is_daemon(keepalived.pid)

    def test_nobody(self) -> None:
        assert not is_daemon(4194304)
