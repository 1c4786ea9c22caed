"""What a first process owes to orphans, tried in one that is not the first, but that the kernel gives them to."""

from __future__ import annotations

import subprocess
import sys

import pytest

FRAME = """
import asyncio, contextlib, ctypes, os, signal, subprocess
from pyvrrp.config.model import Command
from pyvrrp.daemon.orphans import Orphans
from pyvrrp.trackers import children
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER

def ours():
    with open("/proc/self/task/%d/children" % os.getpid()) as file:
        return file.read().split()

async def none_left():
    async with asyncio.timeout(30):
        while ours():
            await asyncio.sleep(0.005)

async def scene():
    loop = asyncio.get_running_loop()
{body}

asyncio.run(scene())
print("done")
"""


def play(body: str) -> None:
    """Run a scene; what it asserts comes out as its error."""
    code = FRAME.format(body="\n".join(f"    {line}" for line in body.strip().splitlines()))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_orphans_are_reaped() -> None:
    """A thousand that end at once, more than are reaped at one time, and one that had ended before anybody looked."""
    play("""
subprocess.run(["sh", "-c", "true &"])
Orphans(children.is_ours, loop)
subprocess.run(["sh", "-c", "i=0; while [ $i -lt 1000 ]; do (exit 1) & i=$((i+1)); done"])
await none_left()
""")


@pytest.mark.parametrize("code", [0, 3])
def test_results_of_our_own_children_are_theirs(code: int) -> None:
    """While orphans end all the time: each exit status reaches whoever started the program."""
    play(f"""
Orphans(children.is_ours, loop)
command = Command(("/bin/sh", "-c", "(sleep 0.01 &) ; (true &) ; exit {code}"))
policy = children.ScriptPolicy()
for _ in range(20):
    results = await asyncio.gather(*(children.run(command, policy, timeout_s=30) for _ in range(10)))
    assert [(one.exit_code, one.refusal) for one in results] == [({code}, "")] * 10, results
await none_left()
""")


def test_one_of_ours_that_nobody_collects_yet_hides_others_for_a_moment_only() -> None:
    """It stands before them in the kernel's list; once it is collected they are reaped, without another signal."""
    play("""
own = subprocess.Popen(["true"])
os.waitid(os.P_PID, own.pid, os.WEXITED | os.WNOWAIT)
Orphans(lambda pid: pid == own.pid, loop)
subprocess.Popen(["sh", "-c", "true & exec true"]).pid
await asyncio.sleep(0.05)
assert str(own.pid) in ours()
assert own.wait() == 0
await none_left()
""")


def test_no_children_at_all() -> None:
    play("""
Orphans(children.is_ours, loop).reap()
os.kill(os.getpid(), signal.SIGCHLD)
await none_left()
""")
