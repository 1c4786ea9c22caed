"""The systemd unit: systemd's own judgement, and a daemon under its rules that speaks to a service manager of ours."""

from __future__ import annotations

import configparser
import contextlib
import os
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from pyvrrp.daemon import keeper, launch, locks, reading, supervisor
from pyvrrp.errors import UsageError
from pyvrrp.manifest.unit import UNIT, unit
from tests.daemon.conftest import Daemon, Daemons, daemons, instance, network
from tests.deploy.conftest import run
from tests.netns import PATIENCE_S, process_tree, until

__all__ = ["daemons", "network"]

QUIET_S = 1.0
"""Five times what the watchdog of these tests allows: nothing came for so long, so nothing was sent."""


class _Parser(configparser.ConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr


def read_unit() -> configparser.ConfigParser:
    parser = _Parser(interpolation=None)
    parser.read_string(UNIT.read_text("utf-8"))
    return parser


SERVICE = read_unit()["Service"]


def seconds(text: str) -> float:
    """A time as the unit writes it."""
    assert text.endswith("s")
    return float(text[:-1])


# Judged by systemd


def complaints(text: str, directory: Path) -> str:
    """What systemd says about a unit."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs the program systemd-analyze")
    path = directory / "pyvrrp.service"
    path.write_text(text)
    argv = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    about = [line for line in done.stderr.splitlines() if "pyvrrp.service" in line]
    assert about or done.returncode == 0, done.stderr
    return "\n".join(about)


def test_systemd_takes_it(tmp_path: Path) -> None:
    program = tmp_path / "pyvrrp"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert complaints(unit(program), tmp_path) == ""


def test_systemd_would_complain(tmp_path: Path) -> None:
    assert "Bogus" in complaints(unit(Path("/bin/true")).replace("Type=", "Bogus=1\nType="), tmp_path)
    assert "/nonexistent/pyvrrp" in complaints(unit(Path("/nonexistent/pyvrrp")), tmp_path)


# Fits the daemon


def test_the_words_are_ones_that_run_takes() -> None:
    """Without argparse, so the start is a quick one."""
    from pyvrrp.daemon.options import quick

    program, command, *words = shlex.split(SERVICE["ExecStart"])
    assert (program, command) == ("/usr/bin/pyvrrp", "run")
    options = quick(words)
    assert options is not None
    assert options.dont_fork  # or systemd would wait for a message of another process
    assert options.log_console
    assert options.no_syslog  # the journal has standard error; not every line twice


def test_restarts_cure_what_they_can() -> None:
    assert SERVICE["Restart"] == "on-failure"
    final = {launch.EXIT_CONFIG, launch.EXIT_NO_PERMISSION, reading.EXIT_NO_CONFIG}
    assert {int(code) for code in SERVICE["RestartPreventExitStatus"].split()} == final


def test_an_orderly_end_has_time() -> None:
    assert SERVICE["KillMode"] == "mixed"
    assert seconds(SERVICE["TimeoutStopSec"]) > keeper.ANSWER_TIMEOUT_S + supervisor.GRACE_S


def test_what_it_knows_outlives_a_crash() -> None:
    """systemd would remove the state file with its directory."""
    assert locks.base_directory(None, {}, uid=0) == Path("/run") / SERVICE["RuntimeDirectory"]
    assert SERVICE["RuntimeDirectoryPreserve"] == "yes"


# Printed


def test_printed_with_the_path_of_this_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("systemd") == 0
    text = capsys.readouterr().out
    assert f"ExecStart={Path(sys.executable).parent}/pyvrrp run " in text
    assert "/usr/bin/pyvrrp" not in text
    assert len(text.splitlines()) == len(UNIT.read_text("utf-8").splitlines())


@pytest.mark.parametrize("path", ["relative/pyvrrp", "/with space/pyvrrp", "/with%i/pyvrrp", "/a\nExecStop=/b"])
def test_a_path_that_systemd_would_read_otherwise(path: str) -> None:
    with pytest.raises(UsageError, match="plainer"):
        unit(Path(path))


# A daemon under its rules


class Manager:
    """A service manager's socket; knows who sends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def receive(self, patience_s: float = PATIENCE_S) -> tuple[int, dict[str, str]]:
        """The sender's pid and the assignments of the next message; TimeoutError if none comes."""
        self._socket.settimeout(patience_s)
        data, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(12))
        ((_, _, credentials),) = ancillary
        pid: int = struct.unpack("iii", credentials)[0]
        return pid, dict(line.split("=", 1) for line in data.decode().splitlines())

    def wait(self, pid: int, name: str) -> dict[str, str]:
        """The next message with that assignment; every one comes from the daemon itself (NotifyAccess=main)."""
        while True:
            sender, message = self.receive()
            assert sender == pid
            if name in message:
                return message

    def quiet(self) -> int:
        """How many messages come before none does for `QUIET_S`."""
        for count in range(20):
            try:
                self.receive(QUIET_S)
            except TimeoutError:
                return count
        raise AssertionError("it does not fall silent")


def under_its_rules() -> list[str]:
    """What systemd does before it starts the program, as far as setpriv can."""
    rights = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in SERVICE["CapabilityBoundingSet"].split())
    assert SERVICE["NoNewPrivileges"] == "yes"
    return ["setpriv", f"--bounding-set=-all,{rights}", "--inh-caps=-all", "--no-new-privs"]


Start = Callable[[], tuple[Daemon, Manager]]


@pytest.fixture
def started(daemons: Daemons, tmp_path: Path) -> Iterator[Start]:
    """Start a daemon as the unit does, with a shorter watchdog."""
    with contextlib.ExitStack() as stack:

        def start() -> tuple[Daemon, Manager]:
            manager = stack.enter_context(Manager(tmp_path / "notify"))
            daemon = daemons.start(
                instance(),
                *shlex.split(SERVICE["ExecStart"])[2:], "--log-format", "keepalived",
                wrapper=under_its_rules(),
                environment={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "200000"},
                foreground=False,
            )  # fmt: skip
            return daemon, manager

        yield start


@pytest.mark.root
def test_a_life_under_systemd(started: Start, daemons: Daemons) -> None:
    """READY, WATCHDOG, RELOADING and READY again by ExecReload, STOPPING, and nothing is left."""
    daemon, manager = started()
    assert SERVICE["Type"] == "notify"
    assert SERVICE["NotifyAccess"] == "main"
    assert "STATUS" in manager.wait(daemon.pid, "READY")
    manager.wait(daemon.pid, "WATCHDOG")
    daemon.enters("MASTER")
    until(lambda: "192.0.2.100/24" in daemons.namespace.addresses(), "the address is there")

    program, *words = shlex.split(SERVICE["ExecReload"])
    argv = [program, *(str(daemon.pid) if word == "$MAINPID" else word for word in words)]
    subprocess.run(argv, check=True)
    assert manager.wait(daemon.pid, "RELOADING")["RELOADING"] == "1"
    assert manager.wait(daemon.pid, "READY")["READY"] == "1"
    daemon.says("Reload complete")

    daemon.send(signal.SIGTERM)  # KillMode=mixed: to it alone
    assert manager.wait(daemon.pid, "STOPPING")["STOPPING"] == "1"
    assert daemon.wait() == 0
    assert "192.0.2.100/24" not in daemons.namespace.addresses()


@pytest.mark.root
def test_the_watchdog_starves_with_the_engine(started: Start) -> None:
    """Control alone is well, but what matters has stopped: systemd hears nothing any more, until it is well again."""
    daemon, manager = started()
    manager.wait(daemon.pid, "WATCHDOG")
    daemon.enters("MASTER")
    (engine,) = process_tree(daemon.pid)[1:]
    os.kill(engine, signal.SIGSTOP)
    try:
        manager.quiet()
        assert daemon.process.poll() is None
    finally:
        os.kill(engine, signal.SIGCONT)
    manager.wait(daemon.pid, "WATCHDOG")
    assert daemon.end() == 0


@pytest.mark.root
def test_a_right_that_the_unit_does_not_give(daemons: Daemons) -> None:
    """The rules of these tests bind: without NET_RAW it ends with the code that is not tried again."""
    wrapper = [word.replace("+net_raw,", "") for word in under_its_rules()]
    daemon = daemons.start(instance(), wrapper=wrapper)
    assert daemon.wait() == launch.EXIT_NO_PERMISSION
    assert "NET_RAW" in daemon.text
