"""`check`, `keywords` and `explain` on the command line: what is printed where, and the exit codes."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import pytest

from pyvrrp import answers
from pyvrrp.config.openshift import NodeFacts
from pyvrrp.errors import ConfigError
from pyvrrp.pod import node
from tests.explain.nodes import SECURE, instance
from tests.netns import Network, network

__all__ = ["network"]

Capsys = pytest.CaptureFixture[str]


def run(*words: str) -> int:
    """The exit code of a command."""
    parser = argparse.ArgumentParser(prog="pyvrrp")
    answers.add_parser(parser.add_subparsers())
    chosen = parser.parse_args(words)
    code = chosen.command(chosen)
    assert isinstance(code, int)
    return code


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a file that is right, one that is mended, one that is wrong."""
    monkeypatch.chdir(tmp_path)
    Path("good.conf").write_text(SECURE + instance(priority=150))
    Path("mended.conf").write_text(SECURE + instance(" state MASTER\n nopreempt"))
    Path("wrong.conf").write_text(SECURE + instance(" prioritty 7"))
    Path("including.conf").write_text("include wrong.conf\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["good.conf"], 0),
        (["mended.conf"], 3),
        (["--strict", "mended.conf"], 2),
        (["wrong.conf"], 2),
        (["good.conf", "mended.conf"], 3),
        (["good.conf", "none.conf"], 2),
        (["--on-this-host", "good.conf"], 2),
        (["--all-config", "good.conf"], 0),
    ],
)
def test_exit_codes(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys, words: list[str], code: int) -> None:
    monkeypatch.setattr(answers, "_interfaces", lambda: frozenset({"lo"}))
    assert place.exists()
    assert run("check", *words) == code
    assert capsys.readouterr().err == ""


def test_an_included_file_shows_its_own_line(place: Path, capsys: Capsys) -> None:
    """Once, though two of the files have it in them."""
    run("check", "including.conf", "wrong.conf")
    out = capsys.readouterr().out
    assert out == (
        "wrong.conf:12:2: error: Unknown keyword 'prioritty' [unknown-keyword]\n"
        "    12 |  prioritty 7\n"
        "       |  ^~~~~~~~~\n"
        "       = hint: did you mean 'priority'?\n"
        "2 files: 1 error\n"
    ), place


def test_json(place: Path, capsys: Capsys) -> None:
    run("check", "--json", "wrong.conf", "none.conf")
    first, second = json.loads(capsys.readouterr().out)
    assert first == {
        "file": "wrong.conf",
        "line": 12,
        "column": 2,
        "severity": "error",
        "code": "unknown-keyword",
        "message": "Unknown keyword 'prioritty'",
        "hint": "did you mean 'priority'?",
        "dropped": True,
    }
    assert (second["file"], second["line"], second["code"]) == ("none.conf", None, "unreadable"), place


def test_the_default_file() -> None:
    parser = argparse.ArgumentParser()
    answers.add_parser(parser.add_subparsers())
    assert parser.parse_args(["check"]).files == ["/etc/keepalived/keepalived.conf"]


def test_the_configuration_id(place: Path, capsys: Capsys) -> None:
    Path("two.conf").write_text(
        "@n1 $P=150\n@n2 $P=100\n" + SECURE + instance(priority=None).replace(" interface", " priority $P\n interface")
    )
    assert run("check", "-i", "n1", "two.conf") == 0
    capsys.readouterr()
    assert run("explain", "-i", "n1", "-i", "n2", "two.conf") == 0
    out = capsys.readouterr().out
    assert "  n1: dead " in out
    assert "  MASTER                  n1\n" in out
    assert run("explain", "-i", "n1", "-i", "n2", "two.conf", "good.conf") == 1
    assert "several files, or several --config-id" in capsys.readouterr().err, place


def test_keywords(capsys: Capsys) -> None:
    assert run("keywords", "virtual_router_id") == 0
    assert "  virtual_router_id  works  since 0.1.0\n" in capsys.readouterr().out
    assert run("keywords", "--json", "virtual_router_id") == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["block"], one["state"]) == ("vrrp_instance", "works")
    assert run("keywords") == 0
    assert "vrrp_instance" in capsys.readouterr().out
    assert run("keywords", "prioritty") == 1
    assert capsys.readouterr().err == "pyvrrp: no keyword has 'prioritty' in it; did you mean 'priority'?\n"
    assert run("keywords", "--json", "zzzz") == 1
    assert json.loads(capsys.readouterr().out) == []


def test_explain(place: Path, capsys: Capsys) -> None:
    assert run("explain", "good.conf") == 0
    short = capsys.readouterr().out
    assert "vrrp_instance V: VRID 51" in short
    assert run("explain", "--all", "good.conf") == 0
    assert len(capsys.readouterr().out) > len(short)
    assert run("explain", "good.conf", "mended.conf") == 0
    assert "  good: dead " in capsys.readouterr().out
    assert run("explain", "--json", "good.conf", "mended.conf") == 0
    assert json.loads(capsys.readouterr().out)["virtual_routers"][0]["masters"] == ["good"]
    with pytest.raises(ConfigError, match="cannot be read"):
        run("explain", "none.conf")
    assert place.exists()


def test_a_file_that_is_gone_when_its_line_is_shown() -> None:
    assert answers._texts(["/nonexistent/file"]) == {}


def test_names_that_the_terminal_cannot_show(place: Path) -> None:
    """A name that is no UTF-8, and an output that is ASCII."""
    name = str(place / "caf\udce9.conf")
    Path(name).write_text("vrrp_instance \u65e5 {\n}\n")
    script = (
        "import argparse, sys; from pyvrrp.answers import add_parser; p = argparse.ArgumentParser();"
        " add_parser(p.add_subparsers()); a = p.parse_args(); sys.exit(a.command(a))"
    )
    for command in ("check", "explain"):
        done = subprocess.run(
            [sys.executable, "-c", script, command, name],
            env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin", "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (2 if command == "check" else 0, b"")
        assert b"caf?" in done.stdout


def test_asking_imports_nothing_before(place: Path) -> None:
    """The command line knows the three commands without paying for them."""
    script = "import sys; import pyvrrp.answers; print([m for m in sys.modules if m.startswith('pyvrrp.')])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=place,
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/bin"},
    )
    assert "explain" not in done.stdout


class TestPod:
    """`explain --env`: which variables, which node."""

    FILE = "OPENSHIFT_HA_VIRTUAL_IPS=10.0.0.100-101\nOPENSHIFT_HA_REPLICA_COUNT='2'\n"

    @pytest.fixture
    def file(self, tmp_path: Path) -> str:
        file = tmp_path / "pod.env"
        file.write_text(self.FILE)
        return str(file)

    def test_of_another_node(self, file: str, capsys: Capsys) -> None:
        assert run("explain", "--env-file", file, "--node", "10.0.0.41") == 0
        out = capsys.readouterr().out
        assert out.startswith("ipfailover pod on 10.0.0.41\n")
        assert "10.0.0.41, its last octet modulo 128 is slot 41" in out
        assert re.search(r"^  interface +eth0, because of the route to 8\.8\.8\.8$", out, re.MULTILINE)
        assert "41-72, drawn" in out
        assert "vrrp_instance" not in out
        assert run("explain", "--env-file", file, "--node", "10.0.0.41", "--interface", "ens3", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["interface"] == {"name": "ens3", "chosen_by": "one of the old image's names", "waits_for": []}
        assert "configuration" not in told

    def test_the_named_interface_is_there(self, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
        """A node that one only imagines has what the environment names; the variables are those of the process."""
        monkeypatch.setenv("OPENSHIFT_HA_VIRTUAL_IPS", "10.0.0.100")
        monkeypatch.setenv("OPENSHIFT_HA_NETWORK_INTERFACE", "br-ex eth1")
        assert run("explain", "--env", "--node", "10.0.0.41") == 0
        assert "br-ex, because of OPENSHIFT_HA_NETWORK_INTERFACE" in capsys.readouterr().out

    def test_of_this_node(self, file: str, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the kernel says of it, and which programs are missing."""
        here = NodeFacts("here", {"eth1": (ip_address("10.0.0.42"),)}, None, frozenset({"/check"}))
        asked: list[Mapping[str, str]] = []

        def facts(environment: Mapping[str, str]) -> NodeFacts:
            asked.append(environment)
            return here

        monkeypatch.setattr(node, "facts", facts)
        monkeypatch.setenv("OPENSHIFT_HA_VIRTUAL_IPS", "10.9.9.9")
        Path(file).write_text(self.FILE + "OPENSHIFT_HA_CHECK_SCRIPT=/check\n")
        assert run("explain", "--env-file", file, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["hostname"], told["slot"], told["interface"]["name"]) == ("here", 42, "eth1")
        assert told["groups"][0]["addresses"] == ["10.0.0.100"]
        assert any("/check cannot be run" in finding["message"] for finding in told["findings"])
        assert asked == [{
            "OPENSHIFT_HA_VIRTUAL_IPS": "10.0.0.100-101", "OPENSHIFT_HA_REPLICA_COUNT": "2",
            "OPENSHIFT_HA_CHECK_SCRIPT": "/check",
        }]  # fmt: skip

    def test_the_effective_configuration(self, file: str, capsys: Capsys) -> None:
        """As of a file, with the lines of the file that the pod writes."""
        words = ["explain", "--env-file", file, "--node", "10.0.0.41", "--effective"]
        assert run(*words) == 0
        out = capsys.readouterr().out
        assert "vrrp_instance OpenShift_IPFailover_VIP_1: VRID 11, IPv4, VRRPv2, every 1 s" in out
        assert "keepalived.conf:" in out
        short = len(out)
        assert run(*words, "--all") == 0
        assert len(capsys.readouterr().out) > short
        assert run(*words, "--json") == 0
        (told,) = json.loads(capsys.readouterr().out)["configuration"]["nodes"]
        assert [router["vrid"] for router in told["routers"]] == [11, 12]

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            ([], "files, or --env"),
            (["--env", "k.conf"], "files, or --env"),
            (["--effective", "k.conf"], "files, or --env"),
            (["--env", "--interface", "eth0"], "--interface goes with --node"),
        ],
    )
    def test_wrong_usage(self, words: list[str], why: str, capsys: Capsys) -> None:
        assert run("explain", *words) == 1
        assert capsys.readouterr().err == f"pyvrrp explain: {why}\n"

    def test_what_is_no_address(self, capsys: Capsys) -> None:
        with pytest.raises(SystemExit):
            run("explain", "--env", "--node", "worker-1")
        assert "argument --node: 'worker-1' is no address" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["none.env", "."])
    def test_a_file_that_cannot_be_read(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read"):
            run("explain", "--env-file", str(tmp_path / name), "--node", "10.0.0.41")

    @pytest.mark.root
    def test_a_real_node(self, file: str, network: Network) -> None:
        """Nothing is doctored: the kernel of a namespace is asked."""
        namespace = network.namespace("worker")
        network.veth(namespace, "ens3", network.namespace("other"), "ens3")
        namespace.ip("addr", "add", "10.0.0.41/24", "dev", "ens3")
        argv = namespace.command([sys.executable, "-m", "pyvrrp", "explain", "--env-file", file, "--json"])
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        assert (told["interface"]["name"], told["node_address"], told["slot"]) == ("ens3", "10.0.0.41", 41)
