"""The node's file and KEEPALIVED_OPTIONS."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyvrrp.daemon.options import RunOptions
from pyvrrp.pod import options
from pyvrrp.pod.options import choose_pid_files, options_of_the_node, run_options
from pyvrrp.pod.sysconfig import parse_sysconfig, read_sysconfig


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("KEEPALIVED_OPTIONS=-D", {"KEEPALIVED_OPTIONS": "-D"}),
        ("# comment\n\n  export A=\"b c\" # why\nB='$x `y`'\n", {"A": "b c", "B": "$x `y`"}),
        ("A=\nA=2", {"A": "2"}),
        ("A=b'c d'\"e\"\\ f", {"A": "bc de f"}),
    ],
)
def test_assignments(text: str, variables: dict[str, str]) -> None:
    """As a shell reads them."""
    found = parse_sysconfig(text, "file")
    assert found.variables == variables
    assert found.complaints == ()


@pytest.mark.parametrize(
    "line",
    [
        "ulimit -c 0",
        "A=$B",
        'A="`id`"',
        "A=b c",
        'A="b',
        "if true; then A=1; fi",
        "A=1; B=2",
        "A = 1",
        "1A=2",
        "A=$(id)",
        "A=a\0b",
    ],
)
def test_what_takes_a_shell(line: str) -> None:
    """It is not done; one line says so, whatever the number of lines."""
    found = parse_sysconfig(f"X=1\n{line}\n" + f"{line}\n" * 9, "file")
    assert found.variables == {"X": "1"}
    assert found.complaints == (
        "file: line 2, 3, 4, 5, 6, ...: only assignments are understood, no shell is run; not used",
    )


def test_exported() -> None:
    """What is exported is seen by programs that are run."""
    assert parse_sysconfig("A=1\nexport B=2", "file").exported == {"B"}


def test_the_file(tmp_path: Path) -> None:
    """Octets that are no text, and a file without end, are no matter."""
    file = tmp_path / "keepalived"
    file.write_bytes(b"A=\xff\n")
    assert read_sysconfig(str(file)).variables == {"A": "\udcff"}
    file.write_bytes(b"A=1\n" * 20000)
    assert read_sysconfig(str(file)).variables == {}
    assert read_sysconfig(str(file)).complaints == (f"{file}: is too long to be a list of assignments, and not used",)


def test_the_file_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not set comes from the environment; what it exports, or what is there already, goes into that."""
    file = tmp_path / "keepalived"
    monkeypatch.setattr(options, "SYSCONFIG", str(file))
    monkeypatch.setenv("KEEPALIVED_OPTIONS", "-D")
    monkeypatch.setenv("HERE", "1")
    monkeypatch.setenv("NEW", "")  # so that it is taken away afterwards
    monkeypatch.delenv("NEW")
    assert options_of_the_node() == ("-D", [])
    file.write_text("HERE=2\nOTHER=3\nexport NEW=4\nid\n")
    words, said = options_of_the_node()
    assert (words, len(said)) == ("-D", 1)
    assert (os.environ["HERE"], os.environ["NEW"], "OTHER" in os.environ) == ("2", "4", False)
    file.write_text("KEEPALIVED_OPTIONS=")
    assert options_of_the_node() == ("", [])


def test_the_file_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "keepalived"
    file.touch()
    monkeypatch.setattr("builtins.open", refuse)
    assert read_sysconfig(str(file)).complaints == (f"{file}: cannot be read: Permission denied",)


@pytest.mark.parametrize(
    ("words", "complaints"),
    [
        ("", []),
        ("  -D\t--log-detail ", []),
        ("--frobnicate -D x", ["KEEPALIVED_OPTIONS: --frobnicate x is not known and not used"]),
        ("--log-format nonsense", ["KEEPALIVED_OPTIONS: not used: argument --log-format: invalid choice"]),
        ("-f /a/b", ["KEEPALIVED_OPTIONS: --use-file is not followed: the configuration is made of the environment"]),
        ("-t -v", ["config-test is not followed: a pod serves", "show-version is not followed: a pod serves"]),
        ("--signum=STOP", ["signum is not followed: a pod serves"]),
        ("-V", ["KEEPALIVED_OPTIONS: --dont-release-vrrp is not followed: at its end"]),
        ("-S 9", []),
        ("--use-fi x", ["KEEPALIVED_OPTIONS: --use-fi x is not known and not used"]),
    ],
)
def test_options_that_are_said(words: str, complaints: list[str]) -> None:
    """What the pod has to decide is not followed, what nobody knows is said; none of it keeps the pod from serving."""
    found, said = run_options(words)
    assert (found.dont_fork, found.log_console, found.no_syslog) == (True, True, True)
    assert (found.log_format, found.name) == ("keepalived", "keepalived")
    assert (found.use_file, found.config_test, found.signum) == (RunOptions().use_file, None, None)
    assert len(said) == len(complaints)
    for one, wanted in zip(said, complaints, strict=True):
        assert wanted in one
    assert bool(found.log_detail) is ("-D" in words)


def test_options_that_count() -> None:
    found, said = run_options("--log-format=json --name other --release-at-once -p /x/pid")
    assert said == []
    assert (found.log_format, found.name, found.release_at_once, found.pid) == ("json", "other", True, "/x/pid")


def test_pid_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where keepalived has them, else where they can be; what the options say is left alone."""
    writable, full = {"/run", "/tmp"}, set()
    monkeypatch.setattr("os.access", lambda path, _: path in writable)
    monkeypatch.setattr(
        "os.statvfs", lambda path: SimpleNamespace(f_bavail=int(path not in full), f_favail=0, f_files=0)
    )
    chosen, _ = run_options("")
    assert choose_pid_files(chosen) == []
    assert (chosen.pid, chosen.vrrp_pid) == ("/run/keepalived.pid", "/run/vrrp.pid")
    writable.remove("/run")
    chosen, _ = run_options("-p /x/pid")
    assert choose_pid_files(chosen) == ["/run cannot be written to: pid files are in /tmp"]
    assert (chosen.pid, chosen.vrrp_pid) == ("/x/pid", "/tmp/vrrp.pid")
    assert choose_pid_files(chosen) == []
    writable.add("/run")
    full.add("/run")
    chosen, _ = run_options("")
    assert choose_pid_files(chosen) == ["/run cannot be written to: pid files are in /tmp"]
    writable.clear()
    chosen, _ = run_options("")
    assert choose_pid_files(chosen) == []
    assert (chosen.pid, chosen.vrrp_pid) == ("/run/keepalived.pid", "/run/vrrp.pid")
