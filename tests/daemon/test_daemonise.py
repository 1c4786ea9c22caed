"""Going into the background: what the starter sees, what the daemon has."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pyvrrp.daemon.daemonise import Readiness, daemonise, reset_signals
from pyvrrp.errors import UsageError

HEAD = """
import atexit, json, os, signal, sys, time
from pathlib import Path
from pyvrrp.daemon.daemonise import daemonise

def facts():
    return {
        "pid": os.getpid(),
        "sid": os.getsid(0),
        "cwd": os.getcwd(),
        "umask": os.umask(0o22),
        "stdio": [os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)],
        "open": sorted(int(n) for n in os.listdir("/proc/self/fd")),
    }

def publish(where, content):
    Path(where + ".tmp").write_text(json.dumps(content))
    os.rename(where + ".tmp", where)

where = sys.argv[1]
"""

Start: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Path]:
    """The file in which the daemon of a test says what it has; the daemon ends with the test."""
    path = tmp_path / "facts.json"
    yield path
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(json.loads(path.read_text())["pid"], signal.SIGKILL)


@pytest.fixture
def start(where: Path) -> Start:
    def run(body: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", HEAD + body, str(where)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **options,
        )

    return run


class TestReady:
    SERVE = """
print("before", flush=False)
readiness = daemonise()
publish(where, facts())
readiness.ready()
signal.pause()
"""

    def test_starter_ends_with_0_once_the_daemon_serves(self, start: Start, where: Path) -> None:
        """Its output ends with it, though the daemon lives on; what was printed before comes once."""
        done = start(self.SERVE)
        assert (done.returncode, done.stdout, done.stderr) == (0, "before\n", "")
        os.kill(json.loads(where.read_text())["pid"], 0)

    def test_starter_does_not_end_before(self, start: Start, where: Path) -> None:
        """A pid file written before `ready` is there when the starter has ended."""
        start("readiness = daemonise()\ntime.sleep(0.2)\npublish(where, facts())\nreadiness.ready()\nsignal.pause()\n")
        assert where.exists()

    def test_what_the_daemon_has(self, start: Start, where: Path) -> None:
        start(self.SERVE)
        facts = json.loads(where.read_text())
        assert facts["cwd"] == "/"
        assert facts["stdio"] == ["/dev/null"] * 3
        assert facts["sid"] not in {facts["pid"], os.getsid(0)}  # a session of its own that it does not lead
        assert facts["open"][:3] == [0, 1, 2]
        assert len(facts["open"]) == 5  # with the pipe to the starter and the listing itself

    def test_umask_and_directory(self, start: Start, where: Path, tmp_path: Path) -> None:
        start(self.SERVE.replace("daemonise()", f"daemonise(directory={str(tmp_path)!r}, umask=0o177)"))
        facts = json.loads(where.read_text())
        assert (facts["cwd"], facts["umask"]) == (str(tmp_path), 0o177)

    def test_nothing_of_the_daemon_runs_in_the_starter(self, start: Start) -> None:
        """An atexit function that removes the pid file must not run where the starter ends."""
        done = start("atexit.register(lambda: os.write(2, b'atexit ran'))\n" + self.SERVE)
        assert done.stderr == ""

    def test_started_without_standard_descriptors(self, start: Start, where: Path) -> None:
        """The pipe must not get one of their numbers, to be overwritten by /dev/null."""
        body = self.SERVE.replace('print("before", flush=False)', "for n in (0, 1, 2): os.close(n)")
        assert start(body).returncode == 0
        assert json.loads(where.read_text())["stdio"] == ["/dev/null"] * 3

    def test_second_word_is_ignored(self, start: Start) -> None:
        body = "readiness = daemonise()\nreadiness.ready()\nreadiness.failed(3, 'late')\nreadiness.close()\n"
        assert start(body).returncode == 0


class TestFailed:
    def test_code_and_message_reach_the_starter(self, start: Start) -> None:
        done = start("daemonise().failed(2, 'cannot read the configuration\\n')\n")
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "cannot read the configuration\n")

    def test_without_a_message(self, start: Start) -> None:
        done = start("daemonise().failed(4)\n")
        assert (done.returncode, done.stderr) == (4, "")

    def test_long_message_is_cut(self, start: Start) -> None:
        done = start("daemonise().failed(1, 'x' * 100_000)\n")
        assert (done.returncode, done.stderr) == (1, "x" * 4000 + "\n")

    @pytest.mark.parametrize(
        ("death", "code"),
        [
            ("sys.exit(7)", 7),
            ("os._exit(8)", 8),
            ("raise RuntimeError", 1),
            ("os.kill(os.getpid(), signal.SIGKILL)", 137),
            ("pass", 0),
        ],
    )
    def test_daemon_that_ends_without_a_word(self, start: Start, death: str, code: int) -> None:
        assert start(f"readiness = daemonise()\n{death}\n").returncode == code

    def test_child_of_a_dead_daemon_does_not_keep_the_starter(self, start: Start) -> None:
        """The engine is forked before the daemon is ready, and may outlive it for a while."""
        body = """
readiness = daemonise()
if not os.fork():
    publish(where, facts())
    signal.pause()
while not os.path.exists(where):
    time.sleep(0.01)
os._exit(9)
"""
        assert start(body).returncode == 9


class TestStarter:
    def test_interrupted_starter_says_nothing(self, where: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", HEAD + "daemonise()\npublish(where, facts())\nsignal.pause()\n", str(where)],
            stderr=subprocess.PIPE,
            text=True,
        ) as starter:
            while not where.exists():
                time.sleep(0.01)
            starter.send_signal(signal.SIGINT)
            assert starter.wait() == -signal.SIGINT
            os.kill(json.loads(where.read_text())["pid"], signal.SIGKILL)  # the leader holds stderr until then
            assert starter.stderr is not None
            assert starter.stderr.read() == ""

    def test_daemon_without_a_starter_lives_on(self, where: Path) -> None:
        body = """
readiness = daemonise()
os.kill(os.getppid(), signal.SIGKILL)
while os.getppid() == os.getsid(0):
    time.sleep(0.01)
readiness.ready()
publish(where, facts())
signal.pause()
"""
        with subprocess.Popen([sys.executable, "-c", HEAD + body, str(where)]) as starter:
            assert starter.wait() == 128 + signal.SIGKILL
        while not where.exists():
            time.sleep(0.01)

    def test_not_with_threads(self) -> None:
        release = threading.Event()
        thread = threading.Thread(target=release.wait)
        thread.start()
        try:
            with pytest.raises(UsageError, match="daemonise comes before threads"):
                daemonise()
        finally:
            release.set()
            thread.join()

    @pytest.mark.asyncio
    async def test_not_in_an_event_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("threading.active_count", lambda: 1)  # other tests may have left some
        assert asyncio.get_running_loop() is not None
        with pytest.raises(UsageError, match="daemonise comes before the event loop"):
            daemonise()


class TestForeground:
    def test_nobody_waits(self) -> None:
        readiness = Readiness()
        readiness.ready()
        readiness.failed(1, "unheard")
        readiness.close()


def test_signals_left_by_our_parent_are_undone() -> None:
    """SIGCHLD ignored would lose every exit status."""
    program = textwrap.dedent("""
        import signal
        from pyvrrp.daemon.daemonise import reset_signals
        reset_signals()
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    """)
    parent = textwrap.dedent("""
        import os, signal, sys
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
    """)
    done = subprocess.run([sys.executable, "-c", parent, program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert callable(reset_signals)
