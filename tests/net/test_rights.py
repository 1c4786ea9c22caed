"""Capabilities that are permitted are taken into effect; one that is missing is explained."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyvrrp.net import rights

MISSING = "import sys; from pyvrrp.net import rights; print(rights.why_missing(sys.argv[1:]))"
EFFECT = """
import re, sys
from pyvrrp.net import rights
def effective():
    return int(re.search("CapEff:\\t(.*)", open("/proc/self/status").read())[1], 16)
before = effective()
rights.take_effect()
print(hex(before), hex(effective()))
"""

# To another user, with three capabilities kept and permitted; what is imported is read before that.
FALL_ASLEEP = """
import ctypes, encodings.ascii, os, re, sys
from pyvrrp.net import rights
KEEP_CAPABILITIES = 8
libc = ctypes.CDLL(None)
assert libc.prctl(KEEP_CAPABILITIES, 1, 0, 0, 0) == 0
os.setresuid(4711, 4711, 4711)
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
assert libc.capset(header, (ctypes.c_uint32 * 6)(0, 1 << 12 | 1 << 13 | 1, 0, 0, 0, 0)) == 0
"""
NET_ADMIN, NET_RAW = 1 << 12, 1 << 13

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to start programs with fewer rights")


def run(code: str, *words: str, wrapper: tuple[str, ...] = ()) -> str:
    command = [*wrapper, sys.executable, "-c", code, *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def status(monkeypatch: pytest.MonkeyPatch, *, bound: int, no_new_privs: int = 0, user: int = 1000) -> None:
    """As if /proc/self/status said that."""
    sets = {"CapPrm": 0, "CapEff": 0, "CapBnd": bound, "NoNewPrivs": no_new_privs}
    monkeypatch.setattr(rights, "_status", lambda: sets)
    monkeypatch.setattr(os, "geteuid", lambda: user)


@root
def test_withheld_by_whoever_started_it() -> None:
    said = run(
        MISSING, "CAP_NET_ADMIN", "CAP_NET_RAW", wrapper=("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
    )
    assert said == "not in the bounding set; add NET_RAW to the container's capabilities"


def test_void_by_no_new_privs(monkeypatch: pytest.MonkeyPatch) -> None:
    status(monkeypatch, bound=0xFFFF, no_new_privs=1)
    said = rights.why_missing(["CAP_NET_RAW"])
    assert said.startswith("no_new_privs is set (allowPrivilegeEscalation: false), so user 1000 ")


def test_an_ordinary_user_is_told_what_to_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    status(monkeypatch, bound=0xFFFF)
    said = rights.why_missing(["CAP_NET_RAW"])
    assert said == f"run as root, or grant it: setcap cap_net_admin,cap_net_raw+p {os.path.realpath(sys.executable)}"


def test_a_root_that_gave_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    status(monkeypatch, bound=0xFFFF, no_new_privs=1, user=0)
    assert rights.why_missing(["CAP_NET_RAW"]).startswith("this root has given it up")


@root
def test_what_is_permitted_takes_effect() -> None:
    """As after the start of a program whose file permits it: nothing is effective, and not everything is ours."""
    before, after = run(FALL_ASLEEP + EFFECT).split()
    assert (int(before, 16), int(after, 16)) == (0, NET_ADMIN | NET_RAW)


@root
def test_root_is_left_alone() -> None:
    before, after = run(EFFECT).split()
    assert before == after != "0x0"
