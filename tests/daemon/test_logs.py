"""Log lines, octet for octet, and what becomes of them when nobody can take them."""

from __future__ import annotations

import contextlib
import enum
import json
import logging
import os
import pty
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.daemon.logs import (
    MASK,
    Line,
    LogFormat,
    Logs,
    LogSettings,
    RateLimiter,
    Suppressed,
    configure,
    mask,
    redact,
    render,
    suppressed_note,
    syslog_facility,
)
from pyvrrp.errors import UsageError
from pyvrrp.protocol.constants import Family

NOW = 1795353875.125  # 2026-11-22 13:24:35.125 UTC, a Sunday

Say = Callable[[Any], None]


class Pipe:
    """A pipe in the place of standard error."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)

    def text(self) -> str:
        """All that can be read now."""
        octets = b""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.reading, 1 << 20):
                octets += chunk
        return octets.decode()

    def fill(self) -> int:
        """Write until it takes no more, as if its reader hung."""
        os.set_blocking(self.writing, False)
        size = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                size += os.write(self.writing, b"x" * 4096)
        os.set_blocking(self.writing, True)
        return size


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    for descriptor in (pipe.reading, pipe.writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def lines_of(settings: LogSettings, pipe: Pipe, say: Say) -> str:
    with configure(settings, stderr=pipe.writing, clock=lambda: NOW) as logs:
        say(logs.logger)
        assert logs.lost == 0
    return pipe.text()


def transition(log: Any) -> None:
    log.info(
        "(VI_1) Entering MASTER STATE",
        kind="transition",
        instance="VI_1",
        state="MASTER",
        reason="no advertisement from 192.0.2.2 for 3.61 s",
    )


class TestForms:
    def test_keepalived(self, pipe: Pipe) -> None:
        """What operators' alert patterns match, to the octet."""
        text = lines_of(LogSettings(LogFormat.KEEPALIVED), pipe, transition)
        assert text == "Sun Nov 22 13:24:35 2026: (VI_1) Entering MASTER STATE\n"

    def test_keepalived_pads_the_day_as_keepalived(self) -> None:
        assert render(Line("info", 1793626475.0, "x"), LogFormat.KEEPALIVED) == ["Mon Nov  2 13:34:35 2026: x"]

    def test_keepalived_takes_its_own_words_where_they_differ(self, pipe: Pipe) -> None:
        def say(log: Any) -> None:
            log.warning("VI_1: bad checksum from 192.0.2.9", message="(VI_1) Invalid VRRPv3 checksum from 192.0.2.9")

        text = lines_of(LogSettings(LogFormat.KEEPALIVED), pipe, say)
        assert text == "Sun Nov 22 13:24:35 2026: (VI_1) Invalid VRRPv3 checksum from 192.0.2.9\n"

    def test_console(self, pipe: Pipe) -> None:
        text = lines_of(LogSettings(LogFormat.CONSOLE), pipe, transition)
        assert text == (
            "2026-11-22 13:24:35.125 info     (VI_1) Entering MASTER STATE  kind=transition instance=VI_1 "
            'state=MASTER reason="no advertisement from 192.0.2.2 for 3.61 s"\n'
        )

    def test_console_without_fields(self, pipe: Pipe) -> None:
        text = lines_of(LogSettings(LogFormat.CONSOLE), pipe, lambda log: log.error("Stopping", message="Stopping"))
        assert text == "2026-11-22 13:24:35.125 error    Stopping\n"

    def test_json(self, pipe: Pipe) -> None:
        text = lines_of(LogSettings(LogFormat.JSON), pipe, transition)
        assert text == (
            '{"timestamp": "2026-11-22T13:24:35.125000Z", "level": "info", "event": "(VI_1) Entering MASTER STATE", '
            '"kind": "transition", "instance": "VI_1", "state": "MASTER", '
            '"reason": "no advertisement from 192.0.2.2 for 3.61 s"}\n'
        )

    def test_json_has_both_wordings(self, pipe: Pipe) -> None:
        text = lines_of(LogSettings(LogFormat.JSON), pipe, lambda log: log.info("ours", message="theirs"))
        assert json.loads(text)["event"] == "ours"
        assert json.loads(text)["message"] == "theirs"

    def test_fields_cannot_take_the_place_of_ours(self, pipe: Pipe) -> None:
        text = lines_of(LogSettings(LogFormat.JSON), pipe, lambda log: log.info("x", timestamp=0, level="none"))
        assert json.loads(text) == {"timestamp": "2026-11-22T13:24:35.125000Z", "level": "info", "event": "x"}

    def test_bound_fields(self, pipe: Pipe) -> None:
        text = lines_of(LogSettings(LogFormat.JSON), pipe, lambda log: log.bind(instance="VI_1").info("x"))
        assert json.loads(text)["instance"] == "VI_1"

    def test_global_logger_is_the_same(self, pipe: Pipe) -> None:
        import structlog

        text = lines_of(LogSettings(LogFormat.KEEPALIVED), pipe, lambda _: structlog.get_logger().info("from afar"))
        assert text == "Sun Nov 22 13:24:35 2026: from afar\n"

    def test_time_zone_of_people_and_of_machines(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "XXX-02")
        time.tzset()
        line = Line("info", NOW, "x")
        assert render(line, LogFormat.KEEPALIVED) == ["Sun Nov 22 15:24:35 2026: x"]
        assert render(line, LogFormat.CONSOLE) == ["2026-11-22 15:24:35.125 info     x"]
        assert "2026-11-22T13:24:35.125000Z" in render(line, LogFormat.JSON)[0]


class Colour(enum.Enum):
    RED = 1


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")


VALUES = {
    "text": "plain",
    "address": ip_address("2001:db8::1"),
    "family": Family.V4,
    "flag": True,
    "nothing": None,
    "ratio": 0.5,
    "nan": float("nan"),
    "octets": b"\x00a",
    "path": Path("/run/x"),
    "list": [1, ip_address("192.0.2.1")],
    "object": {"a": {"b": {"c": {"d": {"e": 1}}}}},
    "member": Colour.RED,
    "hostile": Hostile(),
}


class TestValues:
    def test_in_json(self, pipe: Pipe) -> None:
        got = json.loads(lines_of(LogSettings(LogFormat.JSON), pipe, lambda log: log.info("x", **VALUES)))
        assert {name: got[name] for name in VALUES} == {
            "text": "plain",
            "address": "2001:db8::1",
            "family": 4,
            "flag": True,
            "nothing": None,
            "ratio": 0.5,
            "nan": "nan",
            "octets": "\x00a",
            "path": "/run/x",
            "list": [1, "192.0.2.1"],
            "object": {"a": {"b": {"c": {"d": "{'e': 1}"}}}},
            "member": "Colour.RED",
            "hostile": "<Hostile>",
        }

    def test_on_the_console(self, pipe: Pipe) -> None:
        text = lines_of(LogSettings(LogFormat.CONSOLE), pipe, lambda log: log.info("x", **VALUES))
        assert text == (
            "2026-11-22 13:24:35.125 info     x  text=plain address=2001:db8::1 family=4 flag=true nothing=null "
            'ratio=0.5 nan=nan octets=\\x00a path=/run/x list=[1, "192.0.2.1"] '
            'object={"a": {"b": {"c": {"d": "{\'e\': 1}"}}}} member=Colour.RED hostile=<Hostile>\n'
        )

    @pytest.mark.parametrize("log_format", [LogFormat.KEEPALIVED, LogFormat.CONSOLE])
    def test_one_event_is_one_line(self, pipe: Pipe, log_format: LogFormat) -> None:
        """What a script or a peer says must not forge a line, nor speak to the terminal."""
        said = "a\nSun Nov 22 13:24:35 2026: (VI_1) Entering MASTER STATE\r\t\x1b[31m\x7f\x9b\u2028"
        text = lines_of(LogSettings(log_format), pipe, lambda log: log.info(said, **{"n\n": said}))
        assert text.count("\n") == 1
        assert "a\\nSun Nov 22 13:24:35 2026: (VI_1) Entering MASTER STATE\\r\\t\\x1b[31m\\x7f\\x9b\\u2028" in text
        assert not set(text[:-1]) & {"\r", "\t", "\x1b", "\x7f", "\x9b", "\u2028"}

    @pytest.mark.parametrize("log_format", list(LogFormat))
    def test_text_that_is_no_unicode(self, pipe: Pipe, log_format: LogFormat) -> None:
        """A file name may be any octets."""
        assert "\\udcff" in lines_of(LogSettings(log_format), pipe, lambda log: log.info(os.fsdecode(b"\xff")))


class TestExceptions:
    def say(self, log: Any) -> None:
        try:
            {"": 0}["k"]
        except KeyError:
            log.exception("it failed")

    def test_each_line_is_stamped_for_keepalived(self, pipe: Pipe) -> None:
        lines = lines_of(LogSettings(LogFormat.KEEPALIVED), pipe, self.say).splitlines()
        assert lines[0] == "Sun Nov 22 13:24:35 2026: it failed"
        assert lines[1] == "Sun Nov 22 13:24:35 2026: Traceback (most recent call last):"
        assert lines[-1] == "Sun Nov 22 13:24:35 2026: KeyError: 'k'"

    def test_indented_on_the_console(self, pipe: Pipe) -> None:
        lines = lines_of(LogSettings(LogFormat.CONSOLE), pipe, self.say).splitlines()
        assert lines[0] == "2026-11-22 13:24:35.125 error    it failed"
        assert lines[-1] == "    KeyError: 'k'"

    def test_one_field_in_json(self, pipe: Pipe) -> None:
        got = json.loads(lines_of(LogSettings(LogFormat.JSON), pipe, self.say))
        assert got["event"] == "it failed"
        assert got["exception"].splitlines()[-1] == "KeyError: 'k'"

    def test_given_one(self, pipe: Pipe) -> None:
        text = lines_of(LogSettings(LogFormat.JSON), pipe, lambda log: log.error("x", exc_info=ValueError("v")))
        assert json.loads(text)["exception"] == "ValueError: v"

    @pytest.mark.parametrize("exc_info", [None, False, True, (None, None, None), ()])
    def test_none(self, pipe: Pipe, exc_info: object) -> None:
        text = lines_of(LogSettings(LogFormat.JSON), pipe, lambda log: log.error("x", exc_info=exc_info))
        assert "exception" not in json.loads(text)


class TestSecrets:
    def test_field_by_its_name(self, pipe: Pipe) -> None:
        def say(log: Any) -> None:
            log.info("x", auth_pass="hunter2", Password=b"hunter2", inner={"key": "hunter2"}, token="", n=1)

        got = json.loads(lines_of(LogSettings(LogFormat.JSON), pipe, say))
        assert [got[name] for name in ("auth_pass", "Password", "inner", "token", "n")] == [
            MASK,
            MASK,
            {"key": MASK},
            "",
            1,
        ]

    def test_mask_does_not_tell_the_length(self) -> None:
        assert mask("a") == mask(b"much longer") == MASK
        assert mask("") == mask(None) == ""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("    auth_pass hunter2", "    auth_pass ********"),
            ('auth_pass "two words" # why', "auth_pass ******** # why"),
            ("key 1 hex:00ff", "key 1 ********"),
            ("active_key 1", "active_key 1"),
            ("password=abc, priority 100", "password=******** priority 100"),
            ("no secrets", "no secrets"),
        ],
    )
    def test_redact_by_keyword(self, text: str, shown: str) -> None:
        assert redact(text) == shown

    def test_redact_known_ones(self) -> None:
        assert redact("said hunter2 and hunter3", ["hunter2", b"hunter3", ""]) == f"said {MASK} and {MASK}"


class TestDetail:
    def say(self, log: Any) -> None:
        log.debug("(VI_1) setting VIPs.")
        log.info("(VI_1) Entering MASTER STATE")

    def test_without(self, pipe: Pipe) -> None:
        text = lines_of(LogSettings(LogFormat.KEEPALIVED), pipe, self.say)
        assert text == "Sun Nov 22 13:24:35 2026: (VI_1) Entering MASTER STATE\n"

    def test_with(self, pipe: Pipe) -> None:
        text = lines_of(LogSettings(LogFormat.KEEPALIVED, detail=True), pipe, self.say)
        assert text == (
            "Sun Nov 22 13:24:35 2026: (VI_1) setting VIPs.\nSun Nov 22 13:24:35 2026: (VI_1) Entering MASTER STATE\n"
        )


class TestColour:
    def on_terminal(self, monkeypatch: pytest.MonkeyPatch, **environ: str) -> str:
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        master, slave = pty.openpty()
        try:
            with configure(LogSettings(), stderr=slave, clock=lambda: NOW) as logs:
                logs.logger.warning("careful", n=1)
            assert select.select([master], [], [], 60)[0]
            return os.read(master, 1000).decode()
        finally:
            os.close(master)
            os.close(slave)

    def test_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.on_terminal(monkeypatch) == (
            "\x1b[2m2026-11-22 13:24:35.125\x1b[0m \x1b[33mwarning \x1b[0m careful  \x1b[2mn=\x1b[0m1\r\n"
        )

    @pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
    def test_unless_unwanted(self, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
        assert self.on_terminal(monkeypatch, **environ) == "2026-11-22 13:24:35.125 warning  careful  n=1\r\n"

    def test_when_asked_for(self, pipe: Pipe) -> None:
        assert "\x1b[33m" in lines_of(LogSettings(colour=True), pipe, lambda log: log.warning("x"))

    @pytest.mark.parametrize("log_format", [LogFormat.JSON, LogFormat.KEEPALIVED])
    def test_never_in_other_forms(self, pipe: Pipe, log_format: LogFormat) -> None:
        assert "\x1b" not in lines_of(LogSettings(log_format, colour=True), pipe, lambda log: log.warning("x"))


class TestStuck:
    """A reader of standard error that hangs, or is gone, must not stop the daemon."""

    def logs(self, pipe: Pipe) -> Logs:
        return configure(LogSettings(LogFormat.KEEPALIVED), stderr=pipe.writing, clock=lambda: NOW)

    def test_full_pipe(self, pipe: Pipe) -> None:
        size = pipe.fill()
        with self.logs(pipe) as logs:
            for number in range(100):
                logs.logger.info(f"line {number}")
            assert logs.lost == 100
            assert pipe.text() == "x" * size
            logs.logger.info("again")
            assert pipe.text() == (
                "Sun Nov 22 13:24:35 2026: 100 log lines were lost\nSun Nov 22 13:24:35 2026: again\n"
            )
            assert logs.lost == 100

    def test_line_that_does_not_fit(self, pipe: Pipe) -> None:
        """The rest of it is lost, and the next begins a line of its own."""
        with self.logs(pipe) as logs:
            logs.logger.info("x" * (1 << 20))
            assert logs.lost == 1
            torn = pipe.text()
            assert "\n" not in torn
            logs.logger.info("again")
            assert pipe.text() == (
                "\nSun Nov 22 13:24:35 2026: 1 log lines were lost\nSun Nov 22 13:24:35 2026: again\n"
            )

    def test_reader_that_is_gone(self, pipe: Pipe) -> None:
        os.close(pipe.reading)
        with self.logs(pipe) as logs:
            logs.logger.info("x")
            assert logs.lost == 1

    def test_standard_error_that_is_closed(self, pipe: Pipe) -> None:
        os.close(pipe.writing)
        with self.logs(pipe) as logs:
            assert logs.problems == ("cannot log to standard error: Bad file descriptor",)
            logs.logger.info("x")

    def test_number_of_standard_error_that_gets_another_meaning(self, pipe: Pipe, tmp_path: Path) -> None:
        with self.logs(pipe) as logs:
            with (tmp_path / "precious").open("w") as precious:
                os.dup2(precious.fileno(), pipe.writing)
            logs.logger.info("x")
        assert (tmp_path / "precious").read_text() == ""

    def test_nothing_that_is_logged_raises(self, pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pyvrrp.daemon.logs.render", lambda *_, **__: 1 / 0)
        with self.logs(pipe) as logs:
            logs.logger.info("x")
            assert logs.lost == 1

    def test_value_that_logs_while_it_is_logged(self, pipe: Pipe) -> None:
        with self.logs(pipe) as logs:

            class Chatty:
                def __str__(self) -> str:
                    logs.logger.info("inner")
                    return "outer"

            logs.logger.info("x", value=Chatty())
        assert pipe.text().splitlines() == ["Sun Nov 22 13:24:35 2026: inner", "Sun Nov 22 13:24:35 2026: x"]

    def test_after_the_end(self, pipe: Pipe) -> None:
        with self.logs(pipe) as logs:
            pass
        logs.logger.info("x")
        logs.reopen()
        assert pipe.text() == ""


class TestFile:
    def test_lines_are_appended(self, tmp_path: Path) -> None:
        path = tmp_path / "keepalived.log"
        path.write_text("before\n")
        settings = LogSettings(LogFormat.KEEPALIVED, console=False, file=path)
        with configure(settings, clock=lambda: NOW) as logs:
            logs.logger.info("x")
        assert path.read_text() == "before\nSun Nov 22 13:24:35 2026: x\n"

    def test_rotation(self, tmp_path: Path) -> None:
        path = tmp_path / "keepalived.log"
        settings = LogSettings(LogFormat.KEEPALIVED, console=False, file=path)
        with configure(settings, clock=lambda: NOW) as logs:
            logs.logger.info("first")
            path.rename(tmp_path / "old")
            logs.reopen()
            logs.logger.info("second")
        assert path.read_text() == "Sun Nov 22 13:24:35 2026: second\n"
        assert (tmp_path / "old").read_text() == "Sun Nov 22 13:24:35 2026: first\n"

    def test_one_that_cannot_be_opened(self, tmp_path: Path, pipe: Pipe) -> None:
        path = tmp_path / "absent" / "x.log"
        settings = LogSettings(LogFormat.KEEPALIVED, file=path)
        problem = f"cannot open log file {path}: No such file or directory"
        with configure(settings, stderr=pipe.writing, clock=lambda: NOW) as logs:
            assert logs.problems == (problem,)
            logs.reopen()
            assert pipe.text() == f"Sun Nov 22 13:24:35 2026: {problem}\n"
            path.parent.mkdir()
            logs.reopen()
            logs.logger.info("x")
        assert path.read_text().endswith(": x\n")

    def test_symlink_in_a_shared_directory_is_not_followed(self, tmp_path: Path) -> None:
        """keepalived's default for `-g` is a file in /tmp."""
        shared = tmp_path / "shared"
        shared.mkdir()
        shared.chmod(0o1777)
        (shared / "keepalived.log").symlink_to(tmp_path / "victim")
        with configure(LogSettings(console=False, file=shared / "keepalived.log")) as logs:
            assert logs.problems
        assert not (tmp_path / "victim").exists()

    def test_symlink_elsewhere_is_the_administrators(self, tmp_path: Path) -> None:
        """`-g /dev/stdout` is what people write in containers."""
        (tmp_path / "link").symlink_to(tmp_path / "real")
        with configure(LogSettings(LogFormat.KEEPALIVED, console=False, file=tmp_path / "link")) as logs:
            logs.logger.info("x")
        assert (tmp_path / "real").read_text().endswith(": x\n")

    def test_no_descriptor_is_left_open(self, tmp_path: Path, pipe: Pipe) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        settings = LogSettings(file=tmp_path / "x", syslog=True, syslog_socket=tmp_path / "log")
        with listening(tmp_path / "log"):
            with configure(settings, stderr=pipe.writing) as logs:
                logs.logger.info("x")
                logs.reopen()
            assert len(list(Path("/proc/self/fd").iterdir())) == before + 1


@contextlib.contextmanager
def listening(path: Path, kind: socket.SocketKind = socket.SOCK_DGRAM) -> Iterator[socket.socket]:
    """A syslog daemon."""
    with socket.socket(socket.AF_UNIX, kind) as listener:
        listener.bind(str(path))
        listener.settimeout(60)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        yield listener


class TestSyslog:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "log"

    def logs(self, path: Path, log_format: LogFormat = LogFormat.KEEPALIVED, **settings: Any) -> Logs:
        return configure(
            LogSettings(log_format, console=False, syslog=True, syslog_socket=path, **settings), clock=lambda: NOW
        )

    def test_line_of_keepalived(self, path: Path) -> None:
        """Facility daemon (3), severity info (6): 3 * 8 + 6."""
        with listening(path) as daemon, self.logs(path) as logs:
            transition(logs.logger)
            expected = f"<30>Nov 22 13:24:35 Keepalived_vrrp[{os.getpid()}]: (VI_1) Entering MASTER STATE"
            assert daemon.recv(10_000) == expected.encode()

    @pytest.mark.parametrize(
        ("level", "priority"), [("debug", 143), ("info", 142), ("warning", 140), ("error", 139), ("critical", 138)]
    )
    def test_priorities(self, path: Path, level: str, priority: int) -> None:
        with listening(path) as daemon, self.logs(path, facility=17, detail=True) as logs:
            getattr(logs.logger, level)("x")
            assert daemon.recv(10_000).startswith(f"<{priority}>".encode())

    def test_other_forms(self, path: Path) -> None:
        head = f"<30>Nov 22 13:24:35 pyvrrp[{os.getpid()}]: "
        with listening(path) as daemon, self.logs(path, LogFormat.CONSOLE) as logs:
            logs.logger.info("x", n=1)
            assert daemon.recv(10_000).decode() == f"{head}x  n=1"
        path.unlink()
        with listening(path) as daemon, self.logs(path, LogFormat.JSON) as logs:
            logs.logger.info("x", n=1)
            assert json.loads(daemon.recv(10_000).decode().removeprefix(head))["n"] == 1

    def test_ident(self, path: Path) -> None:
        with listening(path) as daemon, self.logs(path, ident="Keepalived_vrrp_ns1") as logs:
            logs.logger.info("x")
            assert b" Keepalived_vrrp_ns1[" in daemon.recv(10_000)

    def test_traceback_is_one_message_a_line(self, path: Path) -> None:
        with listening(path) as daemon, self.logs(path) as logs:
            logs.logger.error("failed", exc_info=ValueError("v"))
            assert daemon.recv(10_000).endswith(b"]: failed")
            assert daemon.recv(10_000).endswith(b"]: ValueError: v")

    def test_long_line_is_cut(self, path: Path) -> None:
        with listening(path) as daemon, self.logs(path) as logs:
            logs.logger.info("x" * 100_000)
            assert len(daemon.recv(100_000)) == 8000

    def test_absence_is_no_error(self, path: Path) -> None:
        with self.logs(path) as logs:
            logs.logger.info("x")
            assert logs.lost == 0
            assert logs.problems == ()

    def test_daemon_that_comes_later(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [0.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        with self.logs(path) as logs:
            logs.logger.info("unheard")
            with listening(path) as daemon:
                logs.logger.info("too soon to look again")
                now[0] += 1
                logs.logger.info("heard")
                assert daemon.recv(10_000).endswith(b": heard")

    def test_daemon_that_is_restarted(self, path: Path) -> None:
        with self.logs(path) as logs:
            for text in ("first", "second"):
                with listening(path) as daemon:
                    logs.logger.info(text)
                    assert daemon.recv(10_000).endswith(f": {text}".encode())
                path.unlink()
            assert logs.lost == 0

    def test_daemon_that_does_not_read(self, path: Path) -> None:
        with listening(path) as daemon, self.logs(path) as logs:
            for _ in range(100_000):
                logs.logger.info("x" * 1000)
                if logs.lost:
                    break
            else:
                pytest.fail("it took everything")
            lost = logs.lost
            daemon.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    daemon.recv(10_000)
            logs.logger.info("again")
            assert daemon.recv(10_000).endswith(f": {lost} log lines were lost".encode())
            assert daemon.recv(10_000).endswith(b": again")

    def test_daemon_that_listens_for_streams(self, path: Path) -> None:
        with listening(path, socket.SOCK_STREAM) as daemon, self.logs(path) as logs:
            logs.logger.info("first")
            logs.logger.info("second")
            connection, _ = daemon.accept()
            with connection:
                first, second, rest = connection.recv(10_000).split(b"\0")
            assert (first[-7:], second[-8:], rest) == (b": first", b": second", b"")

    @pytest.mark.parametrize(
        ("text", "number"), [("0", 16), ("7", 23), ("local3", 19), ("LOCAL3", 19), ("user", 1), ("daemon", 3)]
    )
    def test_facility(self, text: str, number: int) -> None:
        assert syslog_facility(text) == number

    @pytest.mark.parametrize("text", ["8", "-1", "local8", "mail", "", "\u00b2"])
    def test_no_such_facility(self, text: str) -> None:
        with pytest.raises(UsageError, match="no log facility"):
            syslog_facility(text)


class TestLogging:
    def test_warnings_of_libraries_are_lines_of_ours(self, pipe: Pipe) -> None:
        def say(_: Any) -> None:
            log = logging.getLogger("asyncio")
            log.info("of no interest")
            log.warning("slow callback: %d s", 3)
            # Past pytest's own handler, which does not bear this.
            record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "mismatch: %d", ("x",), None)
            logging.getLogger().handlers[-1].handle(record)

        text = lines_of(LogSettings(LogFormat.CONSOLE), pipe, say)
        assert text == (
            "2026-11-22 13:24:35.125 warning  slow callback: 3 s  logger=asyncio\n"
            "2026-11-22 13:24:35.125 error    mismatch: %d  logger=asyncio\n"
        )

    def test_with_its_traceback(self, pipe: Pipe) -> None:
        def say(_: Any) -> None:
            logging.getLogger("x").error("failed", exc_info=ValueError("v"))

        assert json.loads(lines_of(LogSettings(LogFormat.JSON), pipe, say))["exception"] == "ValueError: v"

    def test_no_longer_after_the_end(self, pipe: Pipe) -> None:
        handlers = list(logging.getLogger().handlers)
        lines_of(LogSettings(), pipe, lambda _: None)
        assert logging.getLogger().handlers == handlers


class TestImports:
    def run(self, program: str, *path: Path) -> str:
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, env=environ
        )
        return done.stdout

    def test_module_alone_is_light(self) -> None:
        """`pyvrrp --help` imports this."""
        program = "import sys, pyvrrp.daemon.logs; print({'structlog', 'logging', 'asyncio'} & set(sys.modules))"
        assert self.run(program) == "set()\n"

    def test_logging_imports_no_rich(self, tmp_path: Path) -> None:
        """structlog would, wherever it is installed, and the extra `lab` installs it."""
        (tmp_path / "rich").mkdir()
        (tmp_path / "rich" / "__init__.py").write_text("raise SystemError('imported')")
        program = (
            "import sys\n"
            "from pyvrrp.daemon.logs import *\n"
            "with configure(LogSettings(console=False)): print('structlog' in sys.modules, 'rich' in sys.modules)\n"
        )
        assert self.run(program, tmp_path) == "True False\n"


class TestRateLimiter:
    MINUTE = 60_000_000

    def test_a_burst_then_one_an_interval(self) -> None:
        limiter = RateLimiter(burst=3, interval_us=self.MINUTE)
        shown = {
            at: answer
            for at in range(0, 4 * self.MINUTE, self.MINUTE // 10)
            if (answer := limiter.check("ttl", "192.0.2.9", at)) is not None
        }
        step = self.MINUTE // 10
        # Three at once, seven kept back; then each minute one that tells of those before it.
        assert shown == {0: 0, step: 0, 2 * step: 0, self.MINUTE: 7, 2 * self.MINUTE: 9, 3 * self.MINUTE: 9}

    def test_after_a_quiet_interval_a_new_burst(self) -> None:
        limiter = RateLimiter(burst=2, interval_us=self.MINUTE)
        assert [limiter.check("ttl", "a", at) for at in (0, 1, self.MINUTE, self.MINUTE + 1, self.MINUTE + 2)] == [
            0,
            0,
            0,
            0,
            None,
        ]

    def test_causes_and_peers_are_apart(self) -> None:
        limiter = RateLimiter(burst=1)
        assert [limiter.check(*key, 0) for key in (("ttl", "a"), ("ttl", "b"), ("checksum", "a"), ("ttl", "a"))] == [
            0,
            0,
            0,
            None,
        ]

    def test_flood_of_forged_sources(self) -> None:
        """A million sources cost what a handful does, in memory and in lines."""
        limiter = RateLimiter(burst=5, interval_us=self.MINUTE, peers=16)
        shown = sum(limiter.check("ttl", source, source) is not None for source in range(100_000))
        assert shown == 17 * 1 + 4  # sixteen sources of one packet each, and the burst that all others share
        assert len(limiter) == 17

    def test_flood_does_not_hide_who_was_there_before(self) -> None:
        limiter = RateLimiter(burst=2, interval_us=self.MINUTE, peers=2)
        assert limiter.check("ttl", "neighbour", 0) == 0
        for source in range(1000):
            limiter.check("ttl", source, 1)
        assert limiter.check("ttl", "neighbour", 2) == 0

    def test_places_of_those_who_fell_silent_are_given_away(self) -> None:
        limiter = RateLimiter(burst=1, interval_us=self.MINUTE, peers=2)
        for peer in ("a", "a", "b"):
            limiter.check("ttl", peer, 0)
        assert limiter.check("ttl", "c", self.MINUTE) == 0
        # What was kept back for one of them is still told, as of many.
        assert limiter.pending(2 * self.MINUTE) == [Suppressed("ttl", None, 1)]

    def test_causes_are_bounded_too(self) -> None:
        limiter = RateLimiter(burst=1, causes=3)
        for cause in range(1000):
            limiter.check(str(cause), "a", 0)
        assert len(limiter) == 4

    def test_pending_tells_the_end_of_a_flood_once(self) -> None:
        limiter = RateLimiter(burst=1, interval_us=self.MINUTE)
        for at in (0, 1, 2):
            limiter.check("ttl", "a", at)
        assert limiter.pending(self.MINUTE - 1) == []
        assert limiter.pending(self.MINUTE) == [Suppressed("ttl", "a", 2)]
        assert limiter.pending(self.MINUTE) == []
        assert limiter.pending(2 * self.MINUTE) == []
        assert len(limiter) == 0

    def test_pending_during_a_flood_leaves_one_line_an_interval(self) -> None:
        limiter = RateLimiter(burst=3, interval_us=self.MINUTE)
        lines = 0
        for second in range(300):
            lines += len(limiter.pending(second * 1_000_000))
            lines += limiter.check("ttl", "a", second * 1_000_000) is not None
        assert lines == 3 + 4

    def test_note(self) -> None:
        assert suppressed_note(0) == ""
        assert suppressed_note(7) == " (7 similar suppressed)"
