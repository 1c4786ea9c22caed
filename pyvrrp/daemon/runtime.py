"""
A daemon's own directory and what it knows across a crash: a lock, the addresses it installed, its control socket.

    BASE/<inode of the network namespace>/<name>/   0700; nobody else writes here
        lock           flock held while the daemon lives; its text is "PID" and a newline
        state.json     what the daemon has put, or is about to put, on interfaces; which virtual routers it runs
        control.sock   see `control.py`

Daemons of different network namespaces may share BASE and never meet. Rules:

* **Order.** `save` names an address before it is installed, and drops it only after it was removed: a crash in
  between leaves a note about an address that is not there, never an address that nobody owns up to. For the
  same reason the leftovers of a predecessor are removed before the first `save`.
* A file of a predecessor may hold anything. What cannot be understood is absent, and said as a warning.
* The lock belongs to the open file: a forked child that keeps the descriptor keeps the lock, which is right for an
  engine that outlives its parent while it drains, since its addresses are still claimed. `release` acts only in the
  process that called `acquire`. Daemonise first, then `acquire`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from _json import encode_basestring_ascii as quoted  # what the json module itself uses
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pyvrrp.daemon.locks import (
    LOCK_FILE,
    NAME,
    PATIENCE,
    SOCKET_FILE,
    enter,
    is_same_file,
    lock_file,
    namespace_inode,
    open_file,
    read_pid,
    refusal,
    survey,
)
from pyvrrp.errors import KernelError, UsageError, VrrpError
from pyvrrp.net.system import AssignedAddress, IPInterface, VirtualAddress
from pyvrrp.protocol.constants import VRID_MAX, VRID_MIN, Family, IPAddress

STATE_VERSION: Final = 1
STATE_FILE: Final = "state.json"

_STATE_LIMIT: Final = 8 << 20  # 255 routers of 255 addresses are 5 MB; more was not written by us
_FILE: Final = os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO in the place of a file must not stop us
_SO_NETNS_COOKIE: Final = 71  # linux/socket.h since 5.14; not in the socket module
_MADE_BY_KERNEL: Final = frozenset({1, 2, 3})  # IFAPROT_KERNEL_LO, _RA, _LL: loopback, autoconfigured, link-local


class AlreadyRunning(VrrpError):  # noqa: N818  reads as the fact it is; keepalived ends with 0 on it
    """Another live daemon holds the lock; *pid* is what it wrote there, None if that cannot be read."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = f"pid {pid}" if pid is not None else "pid unknown"
        super().__init__(f"daemon is already running ({holder} holds {path})")
        self.path = path
        self.pid = pid


@dataclass(frozen=True, slots=True)
class InstalledAddress:
    """An address this daemon has put on an interface, or is about to."""

    interface: str
    address: IPInterface


@dataclass(frozen=True, slots=True)
class ServedRouter:
    """
    A virtual router this daemon runs.

    Attributes:
        interface: Interface of its advertisements; None in unicast mode without one.
        instance: Name in the configuration, for people.
        group: Multicast group, None in unicast mode.
        source: Source address in unicast mode, None if it is the interface's own.
    """

    interface: str | None
    vrid: int
    family: Family
    instance: str
    group: IPAddress | None = None
    source: IPAddress | None = None

    def clashes(self, other: ServedRouter) -> bool:
        """Both would be one virtual router: same interface, VRID and family, and nothing says they do not meet."""
        if (self.interface, self.vrid, self.family) != (other.interface, other.vrid, other.family):
            return False
        if (self.group is None) != (other.group is None):
            return False
        if self.group is not None:
            return self.group == other.group
        return self.source is None or other.source is None or self.source == other.source


@dataclass(frozen=True, slots=True)
class RuntimeState:
    """What a daemon says of itself to its successor and its neighbours."""

    addresses: tuple[InstalledAddress, ...] = ()
    routers: tuple[ServedRouter, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveDaemon:
    """
    A daemon whose lock is held.

    Attributes:
        namespace: Inode of its network namespace.
        path: Its directory.
        pid: As it wrote into its lock.
        state: What it claims; None if that cannot be read, and then it may claim anything.
        warning: Why *state* is None, where there is more to say than "none written yet".
    """

    name: str
    namespace: int
    path: Path
    pid: int | None
    state: RuntimeState | None = None
    warning: str = ""

    @property
    def socket_path(self) -> Path:
        """Its control socket."""
        return self.path / SOCKET_FILE


@dataclass(frozen=True, slots=True)
class Survey:
    """The live daemons below a base, and the directories that could not be looked into."""

    daemons: tuple[LiveDaemon, ...] = ()
    unreadable: tuple[Path, ...] = ()


class RuntimeDirectory:
    """
    The directory of this daemon, locked; made by `acquire`.

    Attributes:
        path: The directory.
        name: The daemon's name.
        namespace: Inode of the network namespace.
        predecessor: What a dead daemon of the same name left, None if nothing that can be used.
        warnings: What was wrong with it, for the log.
    """

    def __init__(self, base: Path, name: str, namespace: int, directory: int, lock: int) -> None:
        self.base = base
        self.name = name
        self.namespace = namespace
        self.path = base / str(namespace) / name
        self._directory = directory
        self._lock = lock
        self._process = os.getpid()
        self._saved: RuntimeState | None = None
        state, warning = _read_state(directory)
        self.predecessor = state
        self.warnings: tuple[str, ...] = (f"{self.path / STATE_FILE}: {warning}",) if warning else ()

    @classmethod
    def acquire(cls, base: Path, name: str, *, namespace: int | None = None) -> Self:
        """
        Make and lock the directory of the daemon *name*.

        Args:
            base: See `locks.base_directory`; it is made if its parent is there.
            name: One path component.
            namespace: Inode of the network namespace, None for that of this thread.

        Raises:
            AlreadyRunning: A live daemon holds it.
            KernelError: The directory cannot be made or is not safe to use.
            UsageError: *name* cannot be a directory name.
        """
        if not NAME.fullmatch(name):
            raise UsageError(f"{name!r} cannot name a daemon: letters, digits and _ . + - only, at most 64")
        inode = namespace_inode() if namespace is None else namespace
        path = base / str(inode) / name
        for _ in range(PATIENCE):
            held = cls._try(base, path)
            if held is not None:
                return cls(base, name, inode, *held)
        raise KernelError("lock", str(path / LOCK_FILE), errno.EAGAIN, "it is made and removed all the time")

    @staticmethod
    def _try(base: Path, path: Path) -> tuple[int, int] | None:
        """Directory and lock; None if another daemon removed one of them meanwhile."""
        with contextlib.ExitStack() as stack:
            try:
                top = enter(base, create=True, private=False)
                stack.callback(os.close, top)
                middle = enter(path.parent, parent=top, create=True)
                stack.callback(os.close, middle)
                directory = enter(path, parent=middle, create=True)
                stack.callback(os.close, directory)
                lock = open_file(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, directory)
                stack.callback(os.close, lock)
                if not lock_file(lock):
                    raise AlreadyRunning(path / LOCK_FILE, read_pid(lock))
                if not (is_same_file(lock, LOCK_FILE, directory) and is_same_file(directory, path)):
                    return None
                os.ftruncate(lock, 0)
                os.pwrite(lock, b"%d\n" % os.getpid(), 0)
            except KernelError as error:
                if error.errno == errno.ENOENT and base.exists():
                    return None
                raise
            except OSError as error:
                raise refusal("use", path, error) from error
            return os.dup(directory), os.dup(lock)  # a duplicate shares the lock: closing the first one keeps it

    @property
    def socket_path(self) -> Path:
        """Where the control socket goes."""
        return self.path / SOCKET_FILE

    @property
    def lock(self) -> int:
        """The descriptor that holds the lock: who has it open keeps the daemon's claims alive."""
        return self._lock

    def save(self, state: RuntimeState) -> None:
        """
        Write down what this daemon claims; call it *before* addresses are installed and *after* they are removed.

        The file is replaced in one step. There is no fsync: what a power cut loses is of no use after the boot.

        Raises:
            KernelError: It could not be written. Serving goes first: log it and go on.
        """
        if state == self._saved:
            return
        temporary = STATE_FILE + ".tmp"
        try:
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FILE, 0o600, dir_fd=self._directory
            )
            try:
                _write_all(descriptor, _encode_state(state))
            finally:
                os.close(descriptor)
            os.rename(temporary, STATE_FILE, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError as error:
            raise refusal("write", self.path / STATE_FILE, error) from error
        self._saved = state

    def others(self) -> tuple[LiveDaemon, ...]:
        """
        The other live daemons of this network namespace and what they claim.

        One that cannot be looked into is taken for alive, claiming anything.
        """
        survey = survey_daemons(self.base, self.namespace)
        hidden = (
            LiveDaemon(path.name, self.namespace, path, None, warning="it cannot be read")
            for path in survey.unreadable
            if path != self.path
        )
        return (*(daemon for daemon in survey.daemons if daemon.name != self.name), *hidden)

    def release(self) -> None:
        """Forget the state, remove the directory and let go of the lock; in a forked child, only close."""
        if self._lock < 0:
            return
        if os.getpid() == self._process and is_same_file(self._lock, LOCK_FILE, self._directory):
            # The lock goes last: while it is there it is held.
            for name in (STATE_FILE + ".tmp", STATE_FILE, SOCKET_FILE, LOCK_FILE):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._directory)
            for path in (self.path, self.path.parent):
                with contextlib.suppress(OSError):  # not empty: somebody else's
                    path.rmdir()
        os.close(self._lock)
        os.close(self._directory)
        self._lock = self._directory = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def survey_daemons(base: Path, namespace: int | None = None) -> Survey:
    """
    The live daemons below *base*, in name order.

    Args:
        base: See `locks.base_directory`; one that is absent holds none.
        namespace: Inode of one network namespace, None for all.

    Raises:
        NotPermitted: *base* itself may not be looked into.
    """
    return Survey(*survey(base, namespace, _live))


def _live(path: Path, inode: int, directory: int, lock: int) -> LiveDaemon:
    state, warning = _read_state(directory)
    return LiveDaemon(path.name, inode, path, read_pid(lock), state, warning)


def leftovers(
    found: Iterable[tuple[str, AssignedAddress]],
    own: RuntimeState | None,
    configured: Iterable[VirtualAddress],
    others: Iterable[LiveDaemon],
) -> list[VirtualAddress]:
    """
    Which addresses found at start are ours to remove; everything else is never touched.

    Ours is what a dead predecessor wrote into its state, and a VIP of this configuration that is on its interface
    with the same prefix length and claimed by no live daemon: so the leftovers of a killed keepalived go too. An
    address that a live daemon claims is that daemon's, and one that the kernel made itself is nobody's VIP.

    Args:
        found: Interface names and the addresses on them.
        own: State of the predecessor.
        configured: VIPs of this configuration. Of an address owner (priority 255) those without our mark are the
            interface's real addresses: whoever removes has to spare them.
        others: Live daemons of this network namespace.
    """
    others = tuple(others)
    claimed = {
        (entry.interface, entry.address.ip) for other in others if other.state for entry in other.state.addresses
    }
    anything_claimed = any(other.state is None for other in others)
    ours = {
        (entry.interface, entry.address): VirtualAddress(entry.interface, entry.address)
        for entry in (own.addresses if own is not None else ())
    }
    if not anything_claimed:
        ours.update({(vip.interface, vip.address): vip for vip in configured})
    result = []
    for interface, assigned in found:
        vip = ours.get((interface, assigned.address))
        theirs = (interface, assigned.address.ip) in claimed or assigned.protocol in _MADE_BY_KERNEL
        if vip is not None and not theirs:
            result.append(vip)
    return result


def clashes(routers: Iterable[ServedRouter], others: Iterable[LiveDaemon]) -> list[tuple[ServedRouter, LiveDaemon]]:
    """Which of *routers* a live daemon already runs, and which daemon that is."""
    routers = tuple(routers)
    return [
        (router, other)
        for other in others
        if other.state is not None
        for router in routers
        if any(router.clashes(theirs) for theirs in other.state.routers)
    ]


def _boot() -> str:
    """What this boot is called; a state from before it lists addresses that are gone."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _namespace_cookie() -> int | None:
    """What tells this network namespace from an earlier one with the same inode, None before Linux 5.14."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            return int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8), "little")
    except OSError:
        return None


def _encode_state(state: RuntimeState) -> bytes:
    """JSON, written without the module: its import would make the first advertisement 2 ms later."""
    cookie = _namespace_cookie()
    addresses = (f"[{quoted(entry.interface)},{quoted(str(entry.address))}]" for entry in state.addresses)
    routers = (
        f'{{"interface":{_maybe(router.interface)},"vrid":{router.vrid:d},"family":{router.family:d},'
        f'"instance":{quoted(router.instance)},"group":{_maybe(router.group)},"source":{_maybe(router.source)}}}'
        for router in state.routers
    )
    return (
        f'{{"version":{STATE_VERSION},"boot":{quoted(_boot())},'
        f'"namespace_cookie":{"null" if cookie is None else cookie},'
        f'"addresses":[{",".join(addresses)}],"routers":[{",".join(routers)}]}}'
    ).encode("ascii")


def _maybe(value: object) -> str:
    return "null" if value is None else quoted(str(value))


def _read_state(directory: int) -> tuple[RuntimeState | None, str]:
    """The state in a directory, or None and what was wrong; both empty if there is none."""
    try:
        descriptor = os.open(STATE_FILE, os.O_RDONLY | _FILE, dir_fd=directory)
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"ignored, it cannot be opened: {error.strerror}"
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None, "ignored, it is not a plain file"
        with open(descriptor, "rb", closefd=False) as stream:
            octets = stream.read(_STATE_LIMIT + 1)
    except OSError as error:
        return None, f"ignored, it cannot be read: {error.strerror}"
    finally:
        os.close(descriptor)
    if len(octets) > _STATE_LIMIT:
        return None, "ignored, it is too long"
    try:
        return _decode_state(octets), ""
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return None, f"ignored, not understood ({type(error).__name__}: {error})"


def _decode_state(octets: bytes) -> RuntimeState:
    """Raises ValueError, KeyError, TypeError or RecursionError for whatever is wrong."""
    import json  # noqa: PLC0415  2 ms, for those who find something

    content = json.loads(octets)
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004  one family for the caller
    if content["version"] != STATE_VERSION:
        raise ValueError(f"version {content['version']!r}, not {STATE_VERSION}")
    if content["boot"] != _boot():
        raise ValueError("written before the last boot")
    if content["namespace_cookie"] != _namespace_cookie():
        raise ValueError("written in an earlier network namespace")
    return RuntimeState(
        tuple(
            InstalledAddress(_text(interface), ip_interface(_text(address)))
            for interface, address in content["addresses"]
        ),
        tuple(
            ServedRouter(
                interface=None if entry["interface"] is None else _text(entry["interface"]),
                vrid=_vrid(entry["vrid"]),
                family=Family(entry["family"]),
                instance=_text(entry["instance"]),
                group=None if entry["group"] is None else ip_address(_text(entry["group"])),
                source=None if entry["source"] is None else ip_address(_text(entry["source"])),
            )
            for entry in content["routers"]
        ),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _vrid(value: object) -> int:
    if not isinstance(value, int) or not VRID_MIN <= value <= VRID_MAX:
        raise ValueError(f"{value!r} is not a VRID")
    return value


def _write_all(descriptor: int, octets: bytes) -> None:
    while octets:
        octets = octets[os.write(descriptor, octets) :]
