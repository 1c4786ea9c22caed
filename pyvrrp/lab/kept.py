"""
A lab that was left running: where it is recorded, and what can be done with it.

The lock on the record, not the process ids in it, decides whether there is a lab: ids are used again, locks are not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from pyvrrp.errors import UsageError, VrrpError
from pyvrrp.lab.capture import Capture, Sent
from pyvrrp.lab.console import Console
from pyvrrp.lab.holder import run_in
from pyvrrp.lab.options import SWITCH
from pyvrrp.lab.probe import now_us
from pyvrrp.lab.topology import ROUTERS, Plan, plug_cable, plugged_cables, pull_cable
from pyvrrp.protocol.constants import US_PER_S, Family

_RECORD_SIZE: Final = 1 << 16
_PROGRESS_US: Final = 100_000


class Record:
    """The file that says where the user's lab is; it is locked as long as the lab lives."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self._path = path

    @classmethod
    def create(cls) -> Record:
        """
        Claim the one lab of this user.

        Raises:
            UsageError: One is running already.
        """
        while True:
            path = _record_path()
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:  # a `stop` took the directory away just now
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise UsageError("a lab is running already; `pyvrrp lab stop` ends it") from None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                    os.ftruncate(descriptor, 0)
                    return cls(descriptor, path)
            os.close(descriptor)  # its owner took it away between our open and our lock

    @classmethod
    def find(cls) -> dict[str, Any]:
        """
        What the running lab wrote at its release.

        Raises:
            UsageError: No lab is running.
        """
        path = _record_path()
        none = UsageError("no lab is running; `pyvrrp lab --keep` starts one")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            _remove_empty(path.parent)
            raise none from None
        record = cls(descriptor, path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            written = os.pread(descriptor, _RECORD_SIZE, 0)
            os.close(descriptor)
            if not written:
                raise UsageError("the lab is still being built; try again in a moment") from None
            return dict(json.loads(written))
        record.remove()
        raise none

    def remove(self) -> None:
        """Take the file away; the lab is no more, or was never released."""
        self._path.unlink(missing_ok=True)
        os.close(self.descriptor)
        _remove_empty(self._path.parent)

    def leave(self) -> None:
        """Keep the file: from now on the lab holds the lock."""
        os.close(self.descriptor)


def _record_path() -> Path:
    """The file in the user's runtime directory, or in one of his own below the shared temporary directory."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    parent = Path(runtime) if runtime and os.access(runtime, os.W_OK) else Path(tempfile.gettempdir())
    directory = parent / (f"pyvrrp-lab-{os.geteuid()}" if str(parent) != runtime else "pyvrrp-lab")
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    # Others can write to the shared directory: a link or a directory of theirs must not be followed.
    found = directory.lstat()
    if not directory.is_dir() or directory.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise UsageError(f"{directory} must be a directory that only you can use; remove it, or set XDG_RUNTIME_DIR")
    return directory / "lab.json"


def _remove_empty(directory: Path) -> None:
    with contextlib.suppress(OSError):
        directory.rmdir()


def end(keeper: int, limit_s: float = 10.0) -> None:
    """End the lab that *keeper* keeps and wait until all of it is gone."""
    try:
        process = os.pidfd_open(keeper)
    except ProcessLookupError:
        return
    with contextlib.closing(os.fdopen(process, "rb", buffering=0)):
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], limit_s)[0]:
            raise VrrpError(f"the lab did not end within {limit_s:g} s")


def execute(machine: str, command: Sequence[str]) -> int:
    """Run *command* in a machine of the kept lab; the answer is its exit status."""
    if not command:
        raise UsageError("a command is missing: pyvrrp lab exec r1 -- COMMAND")

    def body() -> int:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and so would the command
        try:
            # So that `pyvrrp status` is found where pyvrrp was installed into a virtual environment.
            os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
            os.execvp(command[0], list(command))  # noqa: S606  no shell is wanted
        except OSError as error:
            print(f"pyvrrp: {command[0]}: {error.strerror}", file=sys.stderr)
            return 127 if isinstance(error, FileNotFoundError) else 126

    return run_in(Record.find()["pids"][machine], body)


def cut(machine: str) -> int:
    """Pull the cable of a machine of the kept lab."""
    return _at_switch(lambda: pull_cable(machine))


def mend(machine: str) -> int:
    """Plug it in again."""
    return _at_switch(lambda: plug_cable(machine))


def _at_switch(act: Callable[[], None]) -> int:
    def body() -> int:
        act()
        return 0

    return run_in(Record.find()["pids"][SWITCH], body)


def stop() -> int:
    """End the kept lab; nothing of it is left afterwards."""
    end(Record.find()["keeper"])
    with contextlib.suppress(UsageError):
        Record.find()  # finds no lab any more and takes the file away
    return 0


def status(*, as_json: bool = False) -> int:
    """Listen at the switch of the kept lab for one interval and say who is what."""
    about = Record.find()
    console = Console(sys.stderr if as_json else sys.stdout, time.monotonic())

    def body() -> int:
        plan = Plan(Family(about["family"]), about["interval_us"])
        heard = _listen(plan.advertisement_interval_us + plan.advertisement_interval_us // 10 + 20_000, console)
        plugged = plugged_cables()
        rows: list[dict[str, Any]] = []
        for router in ROUTERS:
            daemon = Path(about["home"], router.name, "daemon.state").read_text("ascii")
            state = "MASTER" if router.name in heard else "BACKUP" if daemon == "running" else "-"
            if router.name not in plugged:
                state = "CUT"
            rows.append(
                {
                    "router": router.name,
                    "address": str(plan.address(router).ip),
                    "priority": heard[router.name].advertisement.priority if router.name in heard else router.priority,
                    "state": state,
                    "cable": "plugged" if router.name in plugged else "pulled",
                    "daemon": daemon,
                }
            )
        if as_json:
            print(json.dumps(rows, indent=2))
            return 0
        width = max(len(row["address"]) for row in rows)
        console.say(console.paint(f"router  {'address':{width}}  priority  state   cable    daemon", "bold"))
        for row in rows:
            state = console.paint(f"{row['state']:6}", row["state"])
            console.say(
                f"{row['router']:6}  {row['address']:{width}}  {row['priority']:8}  {state}  {row['cable']:7}"
                f"  {row['daemon']}"
            )
        return 0

    return run_in(about["pids"][SWITCH], body)


def _listen(length_us: int, console: Console) -> dict[str, Sent]:
    heard: dict[str, Sent] = {}
    until = now_us() + length_us
    with contextlib.closing(Capture()) as capture:
        while (left := until - now_us()) > 0:
            console.progress(f"listening for {left / US_PER_S:.1f} s")
            if select.select([capture], [], [], min(left, _PROGRESS_US) / US_PER_S)[0]:
                for seen in capture.receive([router.name for router in ROUTERS]):
                    if isinstance(seen, Sent) and seen.advertisement.priority:
                        heard[seen.router] = seen
    console.clear()
    return heard
