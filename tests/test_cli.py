"""The command line: what is printed where, and the exit codes, which are keepalived's for `run`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp import cli
from pyvrrp.config.load import parse_text
from pyvrrp.daemon import launch, reading
from pyvrrp.daemon.options import OPTIONS, RunOptions, of_namespace, quick
from pyvrrp.daemon.runtime import AlreadyRunning
from pyvrrp.errors import ConfigError, KernelError, NotPermitted, UsageError
from pyvrrp.version import __version__
from tests.daemon.conftest import Daemons, daemons, instance
from tests.netns import network

__all__ = ["daemons", "network"]

GOOD = instance()


@pytest.fixture(autouse=True)
def _one_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has."""
    monkeypatch.setattr(reading, "interface_names", lambda: frozenset({"eth0"}))
    monkeypatch.setattr(launch, "_first_engine", lambda: None)  # not of the process that runs the tests


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors."""
    code: int | str | None
    try:
        code = cli.main(arguments)
    except SystemExit as end:
        code = end.code
    assert isinstance(code, int)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


Capsys = pytest.CaptureFixture[str]
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration and get its file."""

    def write(text: str) -> Path:
        file = tmp_path / "k.conf"
        file.write_text(text)
        return file

    return write


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help(capsys: Capsys, arguments: Sequence[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    for command in ("run", "status", "drain", "lab"):
        assert re.search(rf"^    {command} ", out, re.MULTILINE)


def test_help_of_run_names_what_it_does(capsys: Capsys) -> None:
    """Options accepted for keepalived's sake are not shown."""
    code, out, _ = run(capsys, "run", "--help")
    assert code == 0
    assert "SIGHUP reloads" in out
    for option in ("--use-file", "--dont-fork", "--log-console", "--config-test", "--vrrp_pid", "--strict", "--signum"):
        assert option in out
    assert "--snmp" not in out


@pytest.mark.parametrize("option", ["-v", "--version"])
def test_the_version_of_run_is_on_standard_error(capsys: Capsys, option: str) -> None:
    """As keepalived's, where scripts look for `v([0-9.]+)`."""
    code, out, err = run(capsys, "run", option)
    assert (code, out, err) == (0, "", f"pyvrrp v{__version__}\n")
    assert re.search(r"v([0-9.]+)", err)


def test_the_version_of_pyvrrp(capsys: Capsys) -> None:
    assert run(capsys, "--version") == (0, f"pyvrrp {__version__}\n", "")


@pytest.mark.parametrize(
    ("name", "number"), [("STOP", 15), ("RELOAD", 1), ("DATA", 10), ("STATS", 12), ("STATS_CLEAR", 63), ("JSON", 36)]
)
def test_signal_numbers(capsys: Capsys, name: str, number: int) -> None:
    assert run(capsys, "run", f"--signum={name}") == (0, f"{number}\n", "")


def test_a_signal_that_does_not_exist(capsys: Capsys) -> None:
    code, out, err = run(capsys, "run", "--signum=NONE")
    assert (code, out) == (1, "")
    assert "no signal is called 'NONE': STOP, RELOAD" in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["run", "word"], "unrecognized arguments: word"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["run", "-u", "999"], "'999' is no mode"),
        (["run", "-u", "77777"], "'77777' is no mode"),
        (["run", "--http-health", "http"], "'http' is no port, and no address with one"),
        (["run", "--http-health", "1985"], "'1985' has a port on which nothing may listen"),
        (["run", "--log-format", "xml"], "invalid choice: 'xml'"),
        (["run", "-s", "no/such"], "cannot enter network namespace"),
    ],
)
def test_wrong_options(capsys: Capsys, arguments: Sequence[str], complaint: str) -> None:
    """keepalived ends with 1."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert complaint in err


# -t


def test_a_good_file(tmp_path: Path, capsys: Capsys) -> None:
    file = tmp_path / "k.conf"
    file.write_text(GOOD)
    assert run(capsys, "run", "-t", "-f", str(file)) == (0, "", "")
    assert run(capsys, "run", "--config-test", "--use-file", str(file), "-P", "-D", "--snmp") == (0, "", "")


def test_a_script_that_is_missing(write: Write, capsys: Capsys) -> None:
    """A start would leave the check out; keepalived's `-t` ends with 5 for it too."""
    script = "vrrp_script chk {\n    script /nowhere/check\n}\n"
    secure = "global_defs {\n    enable_script_security\n    script_user root\n}\n"
    file = write(secure + script + instance("track_script {", "    chk", "}"))
    found, _, err = run(capsys, "run", "-t", "-f", str(file))
    assert found == 5
    assert f"{file}:5:" in err
    assert "track script chk: cannot run /nowhere/check: No such file or directory" in err


@pytest.mark.parametrize(
    ("text", "line", "word", "code"),
    [
        (GOOD.replace("priority", "prority"), 5, "prority", 5),
        (GOOD.replace("51", "300"), 4, "300", 5),
        (GOOD.removesuffix("}\n"), 1, "vrrp_instance", 5),
        (GOOD.replace("eth0", "nosuch0"), 3, "nosuch0", 5),
        (GOOD.replace("priority 100", "priority"), 5, "priority", 2),
        (instance("notify /bin/true"), 1, "SECURITY", 6),
    ],
)
def test_a_wrong_file(write: Write, capsys: Capsys, text: str, line: int, word: str, code: int) -> None:  # noqa: PLR0917
    """A line for the mistake, at its place; exit codes as keepalived 2.2.7, which tests/interop asks."""
    file = write(text)
    found, out, err = run(capsys, "run", "-t", "-f", str(file))
    assert (found, out) == (code, "")
    place = rf"{re.escape(str(file))}:{line}:\d+: "
    assert any(word in complaint for complaint in err.splitlines() if re.match(place, complaint))


def test_a_file_that_is_not_there(tmp_path: Path, capsys: Capsys) -> None:
    file = tmp_path / "none.conf"
    code, _, err = run(capsys, "run", "-t", "-f", str(file))
    assert code == 6
    assert err == f"{file}: cannot be read: No such file or directory (create it, or name another one)\n"
    assert run(capsys, "run", "-n", "-f", str(file))[0] == 6


def test_the_report_may_go_to_a_file(tmp_path: Path, capsys: Capsys) -> None:
    """It is appended to; where that is impossible one line says so."""
    file, report = tmp_path / "k.conf", tmp_path / "report"
    file.write_text(GOOD.replace("51", "300"))
    report.write_text("before\n")
    code, out, err = run(capsys, "run", f"--config-test={report}", "-f", str(file))
    assert (code, out, err) == (5, "", "")
    assert re.fullmatch(r"before\n(.*\n)*.*k\.conf:4:\d+: .*300.*\n", report.read_text())
    code, out, err = run(capsys, "run", f"--config-test={tmp_path}", "-f", str(file))
    assert (code, out, err) == (1, "", f"pyvrrp: cannot write to {tmp_path}: Is a directory\n")


def test_a_file_in_no_known_encoding(tmp_path: Path, capsys: Capsys) -> None:
    """What stands in a message can be printed, to a file too."""
    file, report = tmp_path / "k.conf", tmp_path / "report"
    file.write_bytes(GOOD.replace("priority", "\udcff").encode(errors="surrogateescape"))
    assert run(capsys, "run", "-t", "-f", str(file))[0] == 5
    assert run(capsys, "run", f"-t{report}", "-f", str(file))[0] == 5
    assert "k.conf:5:" in report.read_text()


# run, as far as no daemon is needed


def test_a_wrong_file_does_not_start(tmp_path: Path, capsys: Capsys) -> None:
    file = tmp_path / "k.conf"
    file.write_text(GOOD.replace("eth0", "nosuch0"))
    code, _, err = run(capsys, "run", "-n", "-f", str(file))
    assert code == 2
    assert "nosuch0" in err


def test_strict_refuses_what_would_be_dropped(tmp_path: Path, capsys: Capsys) -> None:
    file = tmp_path / "k.conf"
    file.write_text(GOOD.replace("priority", "prority"))
    code, _, err = run(capsys, "run", "-n", "--strict", "-f", str(file))
    assert code == 2
    assert "prority" in err


def test_a_missing_right(tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "k.conf"
    file.write_text(GOOD)
    monkeypatch.setattr(launch, "_missing_rights", lambda: ["CAP_NET_ADMIN", "CAP_NET_RAW"])
    code, _, err = run(capsys, "run", "-n", "-f", str(file))
    assert code == 4
    assert err.startswith("pyvrrp: cannot run without CAP_NET_ADMIN and CAP_NET_RAW: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AlreadyRunning(Path("/x"), 1), 0),
        (ConfigError("x"), 2),
        (NotPermitted("x", "y", 1), 4),
        (KernelError("x", "y", 1), 1),
        (UsageError("x"), 1),
        (RuntimeError("x"), 70),
    ],
)
def test_exit_codes(
    tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    """Whatever goes wrong is one line, never a traceback."""
    file = tmp_path / "k.conf"
    file.write_text(GOOD)

    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(launch, "_missing_rights", list)
    monkeypatch.setattr(launch, "_claim", fail)
    found, out, err = run(capsys, "run", "-n", "-f", str(file))
    assert (found, out) == (code, "")
    assert err == f"pyvrrp: {error if code != 70 else f'internal error: {error!r}'}\n"


def settled(called: str, arguments: Sequence[str], text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.setattr(sys, "argv", [called])
    places = launch.settle(read(*arguments), parse_text(text))
    return tuple("" if path is None else str(path) for path in (places.pid, places.vrrp_pid))


def read(*arguments: str) -> RunOptions:
    """The options of `run`, by argparse."""
    return of_namespace(cli._parser().parse_args(["run", *arguments]))


@pytest.mark.parametrize(
    ("called", "arguments", "text", "expected"),
    [
        ("/usr/bin/pyvrrp", ["-n"], "", ("", "")),
        ("/usr/bin/pyvrrp", [], "", ("RUN/pyvrrp.pid", "")),
        ("/usr/bin/pyvrrp", ["--name", "two"], "", ("RUN/pyvrrp-two.pid", "")),
        ("/usr/bin/pyvrrp", ["-p", "/x/p", "-r", "/x/r"], "", ("/x/p", "/x/r")),
        ("/usr/sbin/keepalived", ["-n"], "", ("RUN/keepalived.pid", "RUN/vrrp.pid")),
        ("keepalived", ["-p", "/x/p"], "", ("/x/p", "RUN/vrrp.pid")),
        ("keepalived", [], "instance A\n", ("RUN/keepalived/keepalived_A.pid", "RUN/keepalived/vrrp_A.pid")),
        ("keepalived", [], "use_pid_dir\n", ("RUN/keepalived/keepalived.pid", "RUN/keepalived/vrrp.pid")),
        ("keepalived", ["-s", "ns"], "", ("RUN/keepalived/keepalived.pid", "RUN/keepalived/vrrp.pid")),
    ],
)
def test_where_pid_files_go(  # noqa: PLR0917
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    called: str,
    arguments: Sequence[str],
    text: str,
    expected: tuple[str, str],
) -> None:
    """keepalived.md 3.1."""
    monkeypatch.setattr(launch, "PID_FILES", str(tmp_path))
    found = settled(called, arguments, text, monkeypatch)
    assert found == tuple(path.replace("RUN", str(tmp_path)) for path in expected)


def test_paths_are_absolute_before_the_directory_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    options = read("-f", "k.conf", "-p", "p", "-r", "r", "-g", "log", "--runtime-dir", "d")
    places = launch.settle(options, parse_text(""))
    for path in (places.config, places.pid, places.vrrp_pid, places.log_file, places.runtime_dir):
        assert path is not None
        assert path.parent == tmp_path
    assert launch.settle(read("-g"), parse_text("")).log_file == Path("/tmp/keepalived.log")


WORDS = [
    *(flag for option in OPTIONS for flag in option.flags), "-nlD", "-DD", "-nf", "-fk.conf", "-nfk.conf", "-f=k.conf",
    "-tx", "-Px", "--use-file=k.conf", "--use-file=", "--pid==p", "--dont-fork=1", "--log-con", "--strict=x", "-", "--",
    "word", "", "0", "022", "-1", "999", "json", "xml", "-u=7", "-u22", "--umask=77", "--help", "-h", "-nh", "-no",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=6))
@settings(max_examples=600, deadline=None)
def test_what_is_read_quickly_is_what_argparse_reads(words: list[str]) -> None:
    """Two readers of one table: where the quick one answers, the other says the same."""
    found = quick(words)
    if found is not None:
        assert found == of_namespace(PARSER.parse_args(["run", *words]))


PARSER = cli._parser()


@pytest.mark.parametrize(
    "words", ["", "-n -G -f k.conf -p p -r r --runtime-dir d", "-nlGD -fk.conf", "--umask=022 --name two -A x -P"]
)
def test_plain_command_lines_are_read_quickly(words: str) -> None:
    assert quick(words.split()) is not None


def test_called_keepalived_it_is_run(monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/sbin/keepalived", "--version"])
    assert cli.main() == 0
    assert capsys.readouterr().err.startswith(f"Keepalived v2.2.7 (pyvrrp v{__version__} ")


def test_the_namespace_of_the_file_is_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    """The command line's comes first."""
    entered: list[str] = []
    monkeypatch.setattr(reading, "enter_namespace", entered.append)
    file = tmp_path / "k.conf"
    file.write_text("net_namespace blue\n" + GOOD)
    assert run(capsys, "run", "-t", "-f", str(file))[0] == 0
    assert run(capsys, "run", "-t", "-s", "red", "-f", str(file))[0] == 0
    assert entered == ["blue", "red"]


# status


def test_status_without_a_daemon(tmp_path: Path, capsys: Capsys) -> None:
    code, out, err = run(capsys, "status", "--runtime-dir", str(tmp_path))
    assert (code, out, err) == (1, "", f"pyvrrp: no daemon is running (looked in {tmp_path})\n")


@pytest.mark.root
def test_a_reader_that_goes_away_is_no_error(daemons: Daemons) -> None:
    daemon = daemons.serve(instance())
    argv = [sys.executable, "-m", "pyvrrp", "status", "--json", "--runtime-dir", str(daemons.runtime)]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *argv]
    done = subprocess.run(shell, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.end(signal.SIGTERM) == 0
