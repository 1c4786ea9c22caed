"""`pyvrrp health` beside real daemons: who is well, who is not, and who does not answer."""

from __future__ import annotations

import argparse
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pyvrrp import health
from pyvrrp.daemon import asking
from pyvrrp.health import EXIT_NOT_READY, EXIT_OK, EXIT_UNHEALTHY
from tests.daemon.conftest import Daemon, Daemons, block, daemons, instance, network
from tests.netns import PATIENCE_S, until

__all__ = ["daemons", "network"]

VIP = "192.0.2.100"


def run(runtime: Path, *words: str, timeout_s: float = PATIENCE_S) -> int:
    parser = argparse.ArgumentParser()
    health.add_parser(parser.add_subparsers())
    chosen = parser.parse_args(["health", "--runtime-dir", str(runtime), "--timeout", str(timeout_s), *words])
    code: int = chosen.command(chosen)
    return code


def settled(daemon: Daemon) -> None:
    """Wait until its state is old enough to be judged by its addresses."""
    until(lambda: daemon.instance()["since_s"] > 2, "it stays in its state")


class TestUnknown:
    def test_no_daemon(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(tmp_path) == EXIT_UNHEALTHY
        assert capsys.readouterr().out == f"no daemon is running (looked in {tmp_path})\n"

    def test_no_daemon_as_json(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What is not known is null, not false."""
        assert run(tmp_path, "--json", "--ready") == EXIT_UNHEALTHY
        told = json.loads(capsys.readouterr().out)
        assert (told["alive"], told["ready"], told["instances"]) == (False, None, {})
        (reason,) = told["reasons"]
        assert (reason["code"], reason["instance"], reason["liveness"]) == ("not-running", None, True)

    @pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon"])
    def test_a_time_limit_must_be_one(self, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            run(tmp_path, f"--timeout={text}")
        assert f"argument --timeout: '{text}' is no number of seconds above 0" in capsys.readouterr().err


class TestWords:
    """Doctored answers of a daemon that is not there."""

    @staticmethod
    def doctor(monkeypatch: pytest.MonkeyPatch, **answer: Any) -> list[tuple[Path, str, dict[str, Any]]]:
        """Answer with that; returns what is asked."""
        asked: list[tuple[Path, str, dict[str, Any]]] = []

        def request(path: Path, command: str, **more: Any) -> dict[str, Any]:
            asked.append((path, command, more))
            return {"alive": True, "ready": True, "instances": {"MASTER": 1}, "reasons": [], **answer}

        monkeypatch.setattr(asking, "find", lambda base, _name: base / "control.sock")
        monkeypatch.setattr(asking, "request", request)
        return asked

    def test_the_daemon_judges_itself(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of many virtual routers a status is a megabyte; the verdict is a line."""
        asked = self.doctor(monkeypatch)
        assert run(tmp_path, timeout_s=7) == EXIT_OK
        assert asked == [(tmp_path / "control.sock", "health", {"timeout_s": 7, "within_s": 7})]

    def test_what_a_script_said_does_nothing_to_a_terminal(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reason = {"code": "x", "instance": "VI_1", "liveness": False, "message": "VI_1 is FAULT: evil \x1b[2J\nmore"}
        self.doctor(monkeypatch, ready=False, reasons=[reason])
        assert run(tmp_path, "--ready") == EXIT_NOT_READY
        assert capsys.readouterr().out == "VI_1 is FAULT: evil \\x1b[2J\\nmore\n"
        assert run(tmp_path) == EXIT_OK
        assert capsys.readouterr().out == "healthy: 1 MASTER\n"


@pytest.mark.root
class TestDaemons:
    def test_master_and_backup(self, daemons: Daemons, capsys: pytest.CaptureFixture[str]) -> None:
        """Both are well and ready; asked is the one of the own network namespace, or the one that is named."""
        one = daemons.serve(instance(priority=200), name="one").enters("MASTER")
        daemons.namespace, router = daemons.peer, daemons.namespace
        other = daemons.serve(instance(priority=100), name="other").enters("BACKUP")
        settled(one)
        settled(other)
        with router.inside():
            assert run(daemons.runtime, "--ready") == EXIT_OK
            assert capsys.readouterr().out == "ready: 1 MASTER\n"
            assert run(daemons.runtime, "--name", "other") == EXIT_OK
            assert capsys.readouterr().out == "healthy: 1 BACKUP\n"
        with daemons.peer.inside():
            assert run(daemons.runtime, "--ready", "--json") == EXIT_OK
        assert json.loads(capsys.readouterr().out) == {
            "alive": True, "ready": True, "instances": {"BACKUP": 1}, "reasons": [],
        }  # fmt: skip

    def test_a_vip_that_is_gone(self, daemons: Daemons, capsys: pytest.CaptureFixture[str]) -> None:
        """One that is put back is no fault; one that nobody may put back (no_track) is."""
        vips = (f"{VIP}/24 no_track", "192.0.2.101/24")
        daemon = daemons.serve(instance(vips=vips)).enters("MASTER")
        settled(daemon)
        daemons.namespace.ip("addr", "del", "192.0.2.101/24", "dev", "eth0")
        assert run(daemons.runtime, "--ready") == EXIT_OK
        capsys.readouterr()
        daemons.namespace.ip("addr", "del", f"{VIP}/24", "dev", "eth0")
        assert run(daemons.runtime) == EXIT_UNHEALTHY
        assert capsys.readouterr().out == f"VI_1 is MASTER without {VIP} on the interface\n"

    def test_a_failed_check_is_alive_and_not_ready(self, daemons: Daemons, capsys: pytest.CaptureFixture[str]) -> None:
        check = block("vrrp_script chk", "script /bin/false", "interval 1", "user root")
        daemon = daemons.serve(check + instance("track_script {", "    chk", "}")).enters("FAULT")
        settled(daemon)
        assert run(daemons.runtime) == EXIT_OK
        assert capsys.readouterr().out == "healthy: 1 FAULT\n"
        assert run(daemons.runtime, "--ready") == EXIT_NOT_READY
        assert capsys.readouterr().out.startswith("VI_1 is FAULT: ")
        daemons.namespace.ip("addr", "add", f"{VIP}/24", "dev", "eth0")
        assert run(daemons.runtime, "--json") == EXIT_UNHEALTHY
        told = json.loads(capsys.readouterr().out)
        assert [reason["code"] for reason in told["reasons"]] == ["addresses-left"]
        assert (told["alive"], told["ready"]) == (False, False)

    def test_an_interface_that_is_down_is_alive(self, daemons: Daemons) -> None:
        """Addresses and all: what the kernel has must agree with FAULT too."""
        daemon = daemons.serve(instance()).enters("MASTER")
        daemons.namespace.ip("link", "set", "eth0", "down")
        daemon.enters("FAULT")
        settled(daemon)
        assert run(daemons.runtime) == EXIT_OK
        assert run(daemons.runtime, "--ready") == EXIT_NOT_READY

    @pytest.mark.parametrize("stuck", ["daemon", "engine"])
    def test_a_stuck_process(self, stuck: str, daemons: Daemons, capsys: pytest.CaptureFixture[str]) -> None:
        daemon = daemons.serve(instance()).enters("MASTER")
        told = daemon.status()["daemon"]
        pid = told["pid" if stuck == "daemon" else "engine_pid"]
        assert told["pid"] != told["engine_pid"]
        os.kill(pid, signal.SIGSTOP)
        assert run(daemons.runtime, timeout_s=0.5) == EXIT_UNHEALTHY
        said = capsys.readouterr().out
        if stuck == "engine" and said.startswith("no status"):  # else the daemon had no time to say so
            assert said == "no status within 0.45 s: the engine is stuck\n"
        else:
            assert said.startswith("no answer within 0.5 s: the daemon is stuck (")
        os.kill(pid, signal.SIGCONT)
        assert daemon.instance()["name"] == "VI_1"
        assert run(daemons.runtime) == EXIT_OK
