"""Runs of the lab as its users start it, and what such a run leaves behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NOBODY = 65534
ROOT = Path(__file__).parents[2]
MARK = "PYVRRP_LAB_TEST"


def become(uid: int | None) -> dict[str, Any]:
    """For Popen. Not setpriv: it would still be root when it looks for the program."""
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}


@dataclass
class User:
    """Somebody who uses the lab: his way to start it, and a directory for temporary files that is his own."""

    prefix: Sequence[str]
    environment: dict[str, str]
    temporary: Path
    uid: int | None = None
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def start(self, *arguments: str, program: Sequence[str] = ("-m", "pyvrrp", "lab")) -> subprocess.Popen[str]:
        """Start `pyvrrp lab`."""
        return subprocess.Popen(
            [*self.prefix, *program, *arguments],
            env={**self.environment, MARK: self.mark},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **become(self.uid),
        )

    def run(
        self, *arguments: str, program: Sequence[str] = ("-m", "pyvrrp", "lab")
    ) -> subprocess.CompletedProcess[str]:
        """Run `pyvrrp lab` to its end."""
        with self.start(*arguments, program=program) as process:
            output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def processes(self) -> list[int]:
        """Everything that descends from what this user started, daemons in routers too."""
        found = []
        wanted = f"{MARK}={self.mark}".encode()
        for directory in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                pid = int(directory.name)
                if wanted in (directory / "environ").read_bytes().split(b"\0"):
                    found.append(pid)
        return found


@dataclass(frozen=True)
class Host:
    """What a run must leave as it was."""

    mounts: str
    links: Sequence[tuple[int, str]]
    run: Sequence[str]

    @classmethod
    def now(cls) -> Host:
        """How it is."""
        run = sorted(entry.name for entry in Path("/run").iterdir())
        return cls(Path("/proc/self/mountinfo").read_text("utf-8"), socket.if_nameindex(), run)


def can_make_namespaces() -> bool:
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def temporary_directory(owner: int) -> Iterator[Path]:
    """Where nobody can get at it too: pytest's own directories are closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="pyvrrp-lab-test-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            os.chown(directory, owner, owner)
        yield directory
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def leaving_nothing(user: User) -> Iterator[None]:
    before = Host.now()
    yield
    assert user.processes() == []
    assert list(user.temporary.iterdir()) == []
    assert Host.now() == before


@pytest.fixture
def root() -> Iterator[User]:
    """Root, with this interpreter."""
    if os.geteuid() != 0 or not can_make_namespaces():
        pytest.skip("needs root and the right to make network namespaces")
    with temporary_directory(0) as directory:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(directory)}
        user = User([sys.executable, "-W", "error"], environment, directory)
        with leaving_nothing(user):
            yield user


def interpreter_for_all() -> str | None:
    """A CPython that any user may execute; version managers like to live in a home directory."""
    candidates = [sys.executable, *(f"/usr/bin/python3{minor}" for minor in ("", ".14", ".13", ".12", ".11"))]
    wanted = "import sys; sys.exit(sys.version_info < (3, 11))"
    for candidate in candidates:
        with contextlib.suppress(OSError):
            command = [candidate, "-I", "-c", wanted]
            if subprocess.run(command, capture_output=True, check=False, cwd="/", **become(nobody())).returncode == 0:
                return candidate
    return None


def nobody() -> int | None:
    """Whom root becomes to be an ordinary user; others are one already."""
    return NOBODY if os.geteuid() == 0 else None


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """Pyvrrp and what it needs, where any user can read it."""
    with temporary_directory(0) as directory:
        site = Path(sysconfig.get_path("purelib"))
        shutil.copytree(ROOT / "pyvrrp", directory / "pyvrrp", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyroute2", "structlog", "asyncio_dgram"):
            shutil.copytree(site / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in [directory, *directory.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield directory


@pytest.fixture
def ordinary(installed: Path) -> Iterator[User]:
    """An ordinary user, with no home and no runtime directory."""
    python = interpreter_for_all()
    if python is None:
        pytest.skip("no CPython from 3.11 on that an ordinary user may execute")
    with temporary_directory(NOBODY) as directory:
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(installed), "TMPDIR": str(directory)}
        user = User([python, "-W", "error"], environment, directory, nobody())
        with leaving_nothing(user):
            yield user


@pytest.fixture(params=["pyvrrp", "keepalived"])
def daemon(request: pytest.FixtureRequest) -> str:
    """What the routers run."""
    name = str(request.param)
    if name == "keepalived" and shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("keepalived is not installed")
    return name
