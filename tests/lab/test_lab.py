"""Whole runs of `pyvrrp lab`: as root and as anybody, to their end, interrupted, and left running."""

from __future__ import annotations

import functools
import json
import re
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import User

FAST = ("--advert-int", "0.1")
KEPT = ("--keep", "--daemon", "keepalived", *FAST)

pytestmark = pytest.mark.root


def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check(result: dict[str, Any]) -> None:
    """The switch went as the RFC has it; how fast is a report, not a test."""
    cut, stop = result["power_cut"], result["graceful_stop"]
    assert result["election"]["master"] == cut["router"] == "r1"
    assert cut["successor"] == stop["router"] == "r2"
    assert stop["successor"] == "r3"
    assert stop["exit_status"] == 0
    # By hand, for an interval of 0.1 s: 0.3 + 0.1 x 136/256, and 0.1 x 156/256; centiseconds may be dropped.
    assert cut["master_down_interval_s"] == pytest.approx(0.353125)
    assert stop["skew_time_s"] == pytest.approx(0.0609375, abs=1e-6)
    # One millisecond for the distance between the two clocks that are read.
    assert cut["last_advertisement_to_first_answer_s"] > 0.349
    assert cut["client_outage_s"] > 0.2
    assert cut["lost_probes"] > 0


@pytest.mark.parametrize("family", ["4", "6"])
def test_whole_run(root: User, daemon: str, family: str) -> None:
    done = root.run("--json", "--family", family, "--daemon", daemon, *FAST)
    assert done.returncode == 0, done.stderr
    check(json.loads(done.stdout))


def test_peer(root: User, daemon: str) -> None:
    """The router that takes over first, and is then stopped, is the other program."""
    others = "keepalived" if daemon == "pyvrrp" else "pyvrrp"
    done = root.run("--json", "--daemon", others, "--peer", daemon, *FAST)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [router["daemon"] for router in result["routers"]] == [others, daemon, others]
    check(result)


def test_story(root: User) -> None:
    """What a person reads: times, a table, what was measured beside what the RFC says; no colours in a file."""
    done = root.run(*FAST)
    assert (done.returncode, done.stderr) == (0, "")
    line = functools.partial(re.search, string=done.stdout, flags=re.MULTILINE)
    assert line(r"^ +\d\.\d s  r1 is MASTER and answers the client$")
    assert re.search(r"^ +r1 +192\.0\.2\.1 +150  MASTER  \d\.\d s$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^ +0\.353 s  is r2's Master_Down_Interval, 3 x 0\.1 s \+ 136/256 x 0\.1 s", done.stdout, re.MULTILINE
    )
    assert done.stdout.endswith("all is gone: no process, namespace or file is left\n")
    assert "\033" not in done.stdout


def test_ordinary_user(ordinary: User, daemon: str) -> None:
    """No root is needed; where user namespaces are forbidden, it says by what."""
    done = ordinary.run("--json", "--daemon", daemon, *FAST)
    if done.returncode == 1 and "namespaces" in done.stderr:
        assert re.search(r"sysctl -w |seccomp", done.stderr)
        return
    assert done.returncode == 0, done.stderr
    check(json.loads(done.stdout))


def test_forbidden(ordinary: User) -> None:
    """The refusal names the setting and is no traceback."""
    # The limit is that of a user namespace of our own; the host's is not touched.
    forbid = (
        "echo 0 > /proc/sys/user/max_user_namespaces;"
        ' exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"'
    )
    command = ["unshare", "--user", "--map-root-user", "sh", "-ec", forbid, "sh"]
    forbidden = User([*command, *ordinary.prefix], ordinary.environment, ordinary.temporary, ordinary.uid)
    done = forbidden.run(*FAST)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "namespaces" in done.stderr


STAGES = {
    "at once": "",
    "while it builds": "on one switch",
    "while it waits": "once up",
    "in the story": "loses its power",
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_interrupted(root: User, signum: signal.Signals, stage: str) -> None:
    """Whenever and however the front ends, all of the lab ends with it; the fixture looks for what is left."""
    with root.start("--daemon", "keepalived", "--advert-int", "0.3") as front:
        assert front.stdout is not None
        if stage:
            for line in front.stdout:
                if stage in line:
                    break
        else:
            until(lambda: len(root.processes()) > 1)
        front.send_signal(signum)
        front.communicate(timeout=20)
    assert front.returncode == (-signal.SIGKILL if signum is signal.SIGKILL else 128 + signum)
    if signum is signal.SIGKILL:  # nobody waited for the rest
        until(lambda: not root.processes())


def test_reader_has_seen_enough(root: User) -> None:
    """`pyvrrp lab | head -1` ends quietly."""
    with root.start(*FAST, "--daemon", "keepalived") as front:
        assert front.stdout is not None
        assert front.stderr is not None
        front.stdout.readline()
        front.stdout.close()
        errors = front.stderr.read()
        front.wait(20)
    assert errors == ""
    until(lambda: not root.processes())


def test_daemon_that_ends(root: User) -> None:
    """The complaint says which, how, and what it said last."""
    program = """
from pyvrrp.lab.options import LabOptions
from pyvrrp.lab.run import main
fail = lambda name, home: ["/bin/sh", "-c", f"echo {name} sees no point in {home}; exit 3"]
raise SystemExit(main(LabOptions(commands=dict.fromkeys(["r1", "r2", "r3"], fail))))
"""
    done = root.run(program=("-c", program))
    assert done.returncode == 1
    assert re.search(r"the daemon of r\d ended with status 3; the last it said:\n +r\d sees no point in /", done.stderr)


def test_program_that_is_not_there(root: User) -> None:
    program = """
from pyvrrp.lab.options import LabOptions
from pyvrrp.lab.run import main
raise SystemExit(main(LabOptions(commands={"r1": lambda name, home: ["/nonexistent"]})))
"""
    done = root.run(program=("-c", program))
    assert (done.returncode, done.stderr) == (1, "pyvrrp: r1: /nonexistent: No such file or directory\n")


# --- left running


@pytest.fixture(params=["root", "ordinary"])
def kept(request: pytest.FixtureRequest) -> Iterator[User]:
    """A lab that was left running, and its owner."""
    user: User = request.getfixturevalue(request.param)
    done = user.run(*KEPT)
    if request.param == "ordinary" and "sysctl -w" in done.stderr:
        return  # test_ordinary_user looks at this refusal
    assert done.returncode == 0, done.stderr
    yield user
    user.run("stop")
    until(lambda: not user.processes())


def masters(user: User) -> list[str]:
    done = user.run("status", "--json")
    assert done.returncode == 0, done.stderr
    return [row["router"] for row in json.loads(done.stdout) if row["state"] == "MASTER"]


def test_play(kept: User) -> None:
    """Look, pull a cable, plug it in again, end it."""
    assert masters(kept) == ["r1"]
    assert kept.run("cut", "r1").returncode == 0
    until(lambda: masters(kept) == ["r2"])
    assert re.search(r"^r1 .* CUT +pulled +running$", kept.run("status").stdout, re.MULTILINE)
    assert kept.run("mend", "r1").returncode == 0
    until(lambda: masters(kept) == ["r1"])
    assert kept.run("stop").returncode == 0
    assert kept.processes() == []
    done = kept.run("stop")
    assert (done.returncode, done.stderr) == (1, "pyvrrp: no lab is running; `pyvrrp lab --keep` starts one\n")


def test_execute(kept: User) -> None:
    """A command sees the machine's own files, processes and network, and its exit status is ours."""
    assert "priority 120" in kept.run("exec", "r2", "--", "cat", "/run/keepalived.conf").stdout
    assert "192.0.2.100" in kept.run("exec", "r1", "--", "cat", "/proc/net/fib_trie").stdout
    assert "192.0.2.100" not in kept.run("exec", "r2", "--", "cat", "/proc/net/fib_trie").stdout
    interfaces = kept.run("exec", "switch", "cat", "/proc/net/dev").stdout
    assert all(f"{name}:" in interfaces for name in ("switch", "r1", "r2", "r3", "client"))
    assert kept.run("exec", "client", "--", "sh", "-c", "exit 7").returncode == 7
    assert kept.run("exec", "client", "--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    missing = kept.run("exec", "r1", "--", "nonexistent")
    assert (missing.returncode, missing.stderr) == (127, "pyvrrp: nonexistent: No such file or directory\n")
    assert kept.run("exec", "r1").returncode == 1


def test_only_one(kept: User) -> None:
    done = kept.run(*KEPT)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "pyvrrp: a lab is running already; `pyvrrp lab stop` ends it\n"
    assert masters(kept) == ["r1"]


def test_record_is_private(kept: User) -> None:
    (directory,) = kept.temporary.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "lab.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("victim", ["keeper", "switch"])
def test_killed(kept: User, victim: str) -> None:
    """A kill of either of its first two processes ends all of it; its record is believed no longer."""
    (directory,) = kept.temporary.iterdir()
    about = json.loads((directory / "lab.json").read_text())
    pid = about["keeper"] if victim == "keeper" else about["pids"]["switch"]
    subprocess.run(["kill", "-KILL", str(pid)], check=True)
    until(lambda: not kept.processes())
    assert kept.run("status").returncode == 1
    assert list(kept.temporary.iterdir()) == []


def test_record_of_somebody_else(root: User) -> None:
    """A link, or a directory that others can write to, where the record should be is not followed."""
    directory = root.temporary / "pyvrrp-lab-0"
    target = root.temporary / "target"
    target.mkdir(mode=0o700)
    directory.symlink_to(target)
    done = root.run(*KEPT)
    assert (done.returncode, list(target.iterdir())) == (1, [])
    assert "must be a directory that only you can use" in done.stderr
    directory.unlink()
    directory.mkdir()
    directory.chmod(0o777)
    assert root.run(*KEPT).returncode == 1
    directory.rmdir()
    target.rmdir()


def test_runtime_directory(root: User) -> None:
    """The record is where the user's runtime directory is, if he has one."""
    runtime = root.temporary / "runtime"
    runtime.mkdir(mode=0o700)
    user = User(root.prefix, {**root.environment, "XDG_RUNTIME_DIR": str(runtime)}, root.temporary)
    assert user.run(*KEPT).returncode == 0
    try:
        assert [path.name for path in Path(runtime).iterdir()] == ["pyvrrp-lab"]
    finally:
        assert user.run("stop").returncode == 0
    runtime.rmdir()
    assert user.processes() == []
