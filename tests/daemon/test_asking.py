"""The asking end of the control socket: servers good and bad, which daemon is found, and what an asker imports."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.daemon import asking
from pyvrrp.daemon.asking import ControlError, ControlFailure, find, request
from pyvrrp.daemon.runtime import RuntimeDirectory
from tests.daemon.test_control import ask, serving

HEAVY = {"asyncio", "dataclasses", "typing", "logging", "structlog", "pyvrrp.daemon.launch", "pyvrrp.daemon.runtime"}
"""Each costs a probe as much as what it does, or more."""

ASKER = """
import sys
from pyvrrp import cli
code = cli.main(sys.argv[1:])
print("IMPORTED", *sys.modules)
sys.exit(code)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@contextlib.contextmanager
def answering(path: Path, octets: bytes) -> Iterator[None]:
    """A server that reads a request and answers with *octets*, good or bad, then hangs up."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(octets)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield
        finally:
            thread.join()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("health --ready", b'{"ok": true, "alive": true, "ready": true, "instances": {}, "reasons": []}\n'),
        ("health --json", b'{"ok": true, "alive": true, "ready": true, "instances": {}, "reasons": []}\n'),
        ("status --json", b'{"ok": true, "status": {}}\n'),
        ("drain --wait", b'{"ok": true, "instances": []}\n'),
    ],
)
def test_an_asker_imports_little(tmp_path: Path, words: str, answer: bytes) -> None:
    """Probes run every few seconds, for ever, beside engines that must not be late."""
    with RuntimeDirectory.acquire(tmp_path, "a") as held, answering(held.socket_path, answer):
        argv = [sys.executable, "-c", ASKER, *words.split(), "--runtime-dir", str(tmp_path)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    imported = set(done.stdout.rpartition("IMPORTED ")[2].split())
    assert "pyvrrp.daemon.asking" in imported
    assert imported & HEAVY == set()


class TestClient:
    def failure(self, path: Path, **arguments: Any) -> tuple[ControlFailure, str]:
        with pytest.raises(ControlError) as caught:
            request(path, "status", **arguments)
        return caught.value.failure, str(caught.value)

    def test_no_socket(self, path: Path) -> None:
        assert self.failure(path) == (ControlFailure.NOT_RUNNING, f"no daemon is running ({path})")

    def test_no_directory_and_a_long_path(self, tmp_path: Path) -> None:
        path = tmp_path / ("d" * 200) / "control.sock"
        assert self.failure(path)[0] is ControlFailure.NOT_RUNNING

    def test_nobody_listens(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(path))
        assert self.failure(path)[0] is ControlFailure.NOT_RUNNING

    def test_no_right(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(asking, "_connect", refuse)
        assert self.failure(path) == (
            ControlFailure.NOT_PERMITTED,
            f"no right to use {path}: ask as root or as the daemon's user",
        )

    def test_served_by_a_stranger(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a directory that others can write to, somebody may pose as the daemon."""
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(asking, "peer_of", lambda _: (1, 1001, 1001))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(path))
            listener.listen()
            assert self.failure(path) == (
                ControlFailure.NOT_PERMITTED,
                f"{path} is served by uid 1001, neither root nor us: not asked",
            )

    def test_no_answer(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(path))
            listener.listen()
            assert self.failure(path, timeout_s=0.01) == (
                ControlFailure.TIMEOUT,
                f"no answer from the daemon within 0.01 s ({path})",
            )

    def test_full_backlog(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, contextlib.ExitStack() as stack:
            listener.bind(str(path))
            listener.listen(0)
            with contextlib.suppress(BlockingIOError):
                for _ in range(10):
                    client = stack.enter_context(
                        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                    )
                    client.connect(str(path))
            assert self.failure(path, timeout_s=0.05)[0] is ControlFailure.TIMEOUT

    @pytest.mark.parametrize(
        ("octets", "said"),
        [
            (b"", "hung up without an answer"),
            (b'{"ok": tr', "gave an answer that is not understood"),
            (b"[1]\n", "gave an answer that is not understood"),
            (b'{"ok": 1}\n', "gave an answer that is not understood"),
            (b"[" * 100_000, "gave an answer that is not understood"),
        ],
    )
    def test_bad_answer(self, path: Path, octets: bytes, said: str) -> None:
        with answering(path, octets):
            assert self.failure(path) == (ControlFailure.BROKEN, f"the daemon {said} ({path})")

    def test_answer_without_end(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "ANSWER_LIMIT", 1000)
        with answering(path, b"x" * 1001):
            assert self.failure(path)[0] is ControlFailure.BROKEN

    def test_refusal_without_a_reason(self, path: Path) -> None:
        with answering(path, b'{"ok": false}\n'):
            assert self.failure(path) == (ControlFailure.REFUSED, "refused without a reason")


class TestFind:
    @pytest.fixture
    def base(self, tmp_path: Path) -> Path:
        return tmp_path / "run"

    def failure(self, base: Path, name: str | None = None) -> tuple[ControlFailure, str]:
        with pytest.raises(ControlError) as caught:
            find(base, name, namespace=1)
        return caught.value.failure, str(caught.value)

    def test_the_only_one(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=1) as held:
            assert find(base, namespace=1) == held.socket_path
            assert find(base, "a", namespace=1) == held.socket_path

    def test_in_the_network_namespace_of_the_caller(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a") as held, RuntimeDirectory.acquire(base, "a", namespace=1):
            assert find(base) == held.socket_path

    def test_one_here_goes_before_others_elsewhere(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=2), RuntimeDirectory.acquire(base, "b", namespace=1) as held:
            assert find(base, namespace=1) == held.socket_path

    def test_the_only_one_elsewhere(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=2) as held:
            assert find(base, namespace=1) == held.socket_path

    def test_by_name_elsewhere(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=2) as held, RuntimeDirectory.acquire(base, "b", namespace=1):
            assert find(base, "a", namespace=1) == held.socket_path

    def test_several_here(self, base: Path) -> None:
        us = os.getpid()
        with RuntimeDirectory.acquire(base, "a", namespace=1), RuntimeDirectory.acquire(base, "b", namespace=1):
            assert self.failure(base) == (
                ControlFailure.AMBIGUOUS,
                (
                    "several daemons run in this network namespace; say which: "
                    f"a (pid {us}, network namespace 1), b (pid {us}, network namespace 1)"
                ),
            )

    def test_several_elsewhere(self, base: Path) -> None:
        us = os.getpid()
        with RuntimeDirectory.acquire(base, "a", namespace=2), RuntimeDirectory.acquire(base, "a", namespace=3):
            assert self.failure(base, "a") == (
                ControlFailure.AMBIGUOUS,
                (
                    "several daemons called a run in other network namespaces, none in this one; say which: "
                    f"a (pid {us}, network namespace 2), a (pid {us}, network namespace 3)"
                ),
            )

    def test_none(self, base: Path) -> None:
        assert self.failure(base) == (ControlFailure.NOT_RUNNING, f"no daemon is running (looked in {base})")

    def test_none_of_that_name(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a", namespace=1):
            assert self.failure(base, "b") == (
                ControlFailure.NOT_RUNNING,
                (
                    f"no daemon called b is running (looked in {base}); "
                    f"there are: a (pid {os.getpid()}, network namespace 1)"
                ),
            )

    def test_dead_ones_do_not_count(self, base: Path) -> None:
        (base / "1" / "a").mkdir(parents=True, mode=0o700)
        (base / "1").chmod(0o700)
        (base / "1" / "a" / "lock").write_text("1\n")
        assert self.failure(base)[0] is ControlFailure.NOT_RUNNING

    def test_where_one_may_not_look(self, base: Path) -> None:
        (base / "1").mkdir(parents=True)
        (base / "1").chmod(0o777)
        assert self.failure(base) == (
            ControlFailure.NOT_PERMITTED,
            f"no daemon to be seen in {base}, but no right to look into {base}/1",
        )

    def test_base_one_may_not_look_into(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: Path) -> Iterator[Path]:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "iterdir", refuse)
        failure, text = self.failure(base)
        assert failure is ControlFailure.NOT_PERMITTED
        assert text == f"cannot look for the daemon: cannot look into {base}: Permission denied (EACCES)"

    @pytest.mark.asyncio
    async def test_all_together(self, base: Path) -> None:
        with RuntimeDirectory.acquire(base, "a") as held:
            async with serving(held.socket_path):
                assert (await ask(find(base), "status"))["instances"] == ["VI_1"]
