"""
Containers as a kubelet has them made: by runc, the runtime under most of them, from a root file system as it was built.

A pod here has its own mount, process, host-name and IPC namespaces, the network of its node (`hostNetwork: true`), and
of rights exactly what it is given. What it writes to its root is its own and gone with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tests import netns
from tests.netns import PATIENCE_S, Namespace

NET_ADMIN: Final = "CAP_NET_ADMIN"
NET_RAW: Final = "CAP_NET_RAW"
# linux/capability.h, in order.
_NAMES_OF_CAPABILITIES: Final = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
T = TypeVar("T")

_NAMES: Final = count(1)
_MASKED: Final = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware")
_READ_ONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Spec:
    """
    What a pod's container is made of.

    Attributes:
        root: Root file system, which is not changed.
        arguments: What it runs, empty for the image's entry point.
        environment: Its own variables.
        directory: Where it works; empty for the image's directory.
        user: User and group.
        capabilities: Which the container has: effective for root, a bound for anybody else, as Docker and Podman do it.
        permitted: Anybody else is permitted them, too, as containerd and CRI-O do it; a program's file must have them
            all the same.
        privileged: As `privileged: true`; then *capabilities* does not count.
        read_only: Its root cannot be written to.
        no_new_privs: As `allowPrivilegeEscalation: false`.
        mounts: What is bound where, read only.
        empty: Directories of its own that anybody can write to: volumes of the kind emptyDir.
    """

    root: Path
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    user: tuple[int, int] = (0, 0)
    capabilities: Sequence[str] = (NET_ADMIN, NET_RAW)
    permitted: bool = False
    privileged: bool = False
    read_only: bool = False
    no_new_privs: bool = False
    mounts: Mapping[str, Path] = field(default_factory=dict)
    empty: Sequence[str] = ()


def until(condition: Callable[[], T], what: str, patience_s: float = PATIENCE_S) -> T:
    """As in tests.netns, but at leisure: what is asked here starts programs, and a dozen scenarios ask at once."""
    return netns.until(condition, what, patience_s, pause_s=0.1)


class Runtime:
    """Makes pods, and sees that nothing of them is left."""

    def __init__(self, directory: Path, about: Any) -> None:
        """
        Args:
            directory: For what belongs to pods.
            about: OCI configuration of the image.
        """
        self._directory = directory
        self._about = about["config"]
        self._pods: list[Pod] = []
        self._layers = directory / "layers"
        self._layers.mkdir(parents=True)
        # In memory, because one may lie above this machine's own root, where its changes cannot be.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self._layers], check=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.ExitStack() as stack:  # whatever happens to one of them
            stack.callback(lambda: subprocess.run(["umount", self._layers], check=True))
            for pod in self._pods:
                stack.callback(pod.remove)
        if error is not None:
            for pod in self._pods:
                error.add_note(f"--- pod {pod.name}\n{pod.text[-6000:]}")

    def start(self, name: str, spec: Spec, namespace: Namespace) -> Pod:
        """Start a pod on a node."""
        pod = Pod(f"{name}-{os.getpid()}-{next(_NAMES)}", spec, self._about, namespace, self._directory)
        self._pods.append(pod)
        return pod

    def run(self, name: str, spec: Spec, namespace: Namespace) -> tuple[int, str]:
        """Run a pod that ends by itself; its exit code and what it said."""
        pod = self.start(name, spec, namespace)
        code = pod.wait()
        pod.remove()
        return code, pod.text


class Pod:
    """A container that was started; `Runtime.start` makes it."""

    def __init__(self, name: str, spec: Spec, about: Any, namespace: Namespace, directory: Path) -> None:
        self.name = name
        self.spec = spec
        self._state = directory / "runc"
        self._bundle = directory / name
        self._root = self._bundle / "root"
        self._root.mkdir(parents=True)
        layer = directory / "layers" / name
        upper, work = layer / "upper", layer / "work"
        for one in (upper, work):
            one.mkdir(parents=True)
        subprocess.run(
            [
                *("mount", "-t", "overlay", "-o", f"lowerdir={spec.root},upperdir={upper},workdir={work}"),
                *("overlay", self._root),
            ],
            check=True,
        )
        self._mounted = True
        (self._bundle / "config.json").write_text(json.dumps(_configuration(name, spec, about, namespace, self._root)))
        self.log = self._bundle / "log"
        self.started_s = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                # The suite's own load must not starve what runs in it: checks have two seconds.
                ["nice", "-n", "-10", *self._runc(), "run", "--bundle", str(self._bundle), name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _runc(self) -> list[str]:
        return ["runc", "--root", str(self._state)]

    @property
    def text(self) -> str:
        """All it has said."""
        return self.log.read_text(errors="replace")

    @property
    def lines(self) -> list[str]:
        """The same, without empty lines."""
        return [line for line in self.text.splitlines() if line.strip()]

    def says(self, words: str, count: int = 1, patience_s: float = PATIENCE_S) -> Self:
        """Wait until that many lines had these words."""

        def said() -> bool:
            if sum(words in line for line in self.lines) >= count:
                return True
            assert self.process.poll() is None, f"{self.name} has ended with {self.process.returncode}:\n{self.text}"
            return False

        until(said, f"{self.name} says {words}", patience_s)
        return self

    def state(self, number: int = 1) -> str:
        """State of a group by its log, which is in the same words for either program; empty before the first."""
        states = re.findall(rf"\(\w*_VIP_{number}\) Entering (\w+) STATE", self.text)
        return str(states[-1]) if states else ""

    def execute(self, *arguments: str, check: bool = True) -> str:
        """Run a program in the container, as `kubectl exec` does, and return what it printed."""
        done = self.exec(*arguments)
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout

    def exec(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same, with all there is to know."""
        command = [*self._runc(), "exec", self.name, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def probe(self, *arguments: str, timeout_s: float = 1.0) -> list[str]:
        """
        Ask as the kubelet's exec probe: three failures in a row, the container would be killed.

        Returns:
            What was wrong each time; fewer than three are a living container.
        """
        wrong: list[str] = []
        for _ in range(_ATTEMPTS):
            began = time.monotonic()
            done = self.exec(*arguments)
            took = time.monotonic() - began
            if done.returncode == 0 and took < timeout_s:
                return wrong
            wrong.append(f"{arguments}: exit code {done.returncode} after {took:.2f} s: {done.stdout}{done.stderr}")
        return wrong

    def signal(self, number: signal.Signals) -> None:
        """Signal its first process."""
        subprocess.run([*self._runc(), "kill", self.name, number.name], check=True, capture_output=True)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(patience_s)

    def terminate(self) -> int:
        """End it as the kubelet does, and wait; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it as a kubelet without patience, or a lack of memory, does: at once and all of it."""

        def ended() -> bool:
            with contextlib.suppress(subprocess.CalledProcessError):  # it may not quite have begun
                self.signal(signal.SIGKILL)
            return self.process.poll() is not None

        until(ended, f"{self.name} is dead")

    def remove(self) -> None:
        """End it and let go of its files, but for what it has said."""
        if self.process.poll() is None:
            self.kill()
        subprocess.run([*self._runc(), "delete", "--force", self.name], check=False, capture_output=True)
        if self._mounted:
            subprocess.run(["umount", self._root], check=True)
            self._mounted = False


def _all_there_are() -> list[str]:
    """The capabilities of a privileged container: all that whoever runs this can give."""
    status = Path("/proc/self/status").read_text()
    bound = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:"))
    return [f"CAP_{name}" for bit, name in enumerate(_NAMES_OF_CAPABILITIES.split()) if bound >> bit & 1]


def _configuration(name: str, spec: Spec, about: Any, namespace: Namespace, root: Path) -> dict[str, Any]:
    """The runtime's configuration, from the image's and the pod's as CRI-O makes it."""
    capabilities = list(_all_there_are() if spec.privileged else spec.capabilities)
    uid, gid = spec.user
    kinds = ("bounding", "effective", "permitted") if uid == 0 or spec.permitted else ("bounding",)
    environment = [
        *about["Env"],
        f"HOSTNAME={namespace.name}",
        *(f"{key}={one}" for key, one in spec.environment.items()),
    ]
    return {
        "ociVersion": "1.0.2",
        "hostname": namespace.name,
        "root": {"path": str(root), "readonly": spec.read_only},
        "process": {
            "terminal": False,
            "user": {"uid": uid, "gid": gid},
            "args": list(spec.arguments or about["Entrypoint"]),
            "env": environment,
            "cwd": spec.directory or about["WorkingDir"],
            "capabilities": dict.fromkeys(kinds, capabilities),
            "noNewPrivileges": spec.no_new_privs,
        },
        "mounts": list(_mounts(spec, root.parent / "volumes")),
        "linux": {
            "namespaces": [
                *({"type": kind} for kind in ("pid", "mount", "uts", "ipc")),
                {"type": "network", "path": namespace.path},
            ],
            "cgroupsPath": f"/pyvrrp-test/{name}",
            **({} if spec.privileged else {"maskedPaths": list(_MASKED), "readonlyPaths": list(_READ_ONLY)}),
        },
    }


def _mounts(spec: Spec, volumes: Path) -> Iterator[dict[str, Any]]:
    def mount(kind: str, where: str, *options: str) -> dict[str, Any]:
        return {"destination": where, "type": kind, "source": kind, "options": ["nosuid", *options]}

    yield mount("proc", "/proc", "noexec", "nodev")
    yield mount("tmpfs", "/dev", "strictatime", "mode=755", "size=65536k")
    yield mount("devpts", "/dev/pts", "noexec", "newinstance", "ptmxmode=0666", "mode=0620")
    yield mount("tmpfs", "/dev/shm", "noexec", "nodev", "mode=1777", "size=65536k")
    yield mount("sysfs", "/sys", "noexec", "nodev", *(() if spec.privileged else ("ro",)))
    for where in spec.empty:
        volume = volumes / where.strip("/").replace("/", "-")
        volume.mkdir(parents=True)
        volume.chmod(0o777)
        yield {"destination": where, "type": "bind", "source": str(volume), "options": ["rbind", "rw"]}
    for where, what in spec.mounts.items():
        yield {"destination": where, "type": "bind", "source": str(what), "options": ["rbind", "ro"]}
