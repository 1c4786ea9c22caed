"""
The processes and namespaces of the lab, made so that whichever of them dies, all below it die too.

    front          what the user started; waits
      keeper       outside the lab's PID namespace: ends it when told to, and dies with the front
        holder     PID 1 of the lab: owns the switch, watches, tells the story
          node     PID 1 of one router or client: own network, mount and PID namespace
            daemon

Rules:

* The front is watched by PR_SET_PDEATHSIG, all else by the PID namespaces, so a SIGKILL anywhere leaves no process.
* Files live on a tmpfs that only the lab's mount namespace has, so none can be left behind.
* As root no user namespace is made; anyone else is root in one that maps only him.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyvrrp.errors import KernelError, NotPermitted, UsageError, VrrpError

_CLONE_NEWNS = 0x0002_0000
_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWPID = 0x2000_0000
_CLONE_NEWNET = 0x4000_0000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x4_0000
_PR_SET_PDEATHSIG = 1
_SO_PASSCRED, _SCM_CREDENTIALS = 16, 2
_UCRED = struct.Struct("@iII")
_MESSAGE = 1 << 16

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc = ctypes.CDLL(None, use_errno=True)


def _call(operation: str, subject: str, function: str, *arguments: Any) -> None:
    """Call libc, which CPython 3.11 does not do for these; a refusal is a KernelError."""
    if getattr(_libc, function)(*arguments) != 0:
        raise KernelError(operation, subject, ctypes.get_errno())


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), data.encode() or None)
    _call("mount", target, "mount", *arguments)


def _die_with_parent(signum: int = signal.SIGKILL) -> None:
    _call("watch", "the parent process", "prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(signum))


def _live_without_parent() -> None:
    _call("leave", "the parent process", "prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(0))


def complain(error: VrrpError) -> int:
    """Say on standard error what went wrong; the answer is the exit status for it."""
    print(f"pyvrrp: {error}", file=sys.stderr)
    return 1


def _fork(child: Callable[[], int]) -> int:
    """Run *child* in a new process that ends with its answer; a traceback means a bug in the lab."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        status = child()
        sys.stdout.flush()
    except VrrpError as error:
        status = complain(error)
    except BrokenPipeError:  # our reader, such as head, has seen enough
        status = 128 + signal.SIGPIPE
    except BaseException:  # noqa: BLE001  nothing may return into the parent's code
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(status)


# --- what the front does


def hold(body: Callable[[Holder], int], record: int | None = None) -> int:
    """
    Run *body* as PID 1 of a new lab and wait for it.

    Args:
        body: What the holder does; its answer is the exit status. When it returns, the lab ends.
        record: File descriptor that `Holder.release` writes the lab's process ids to.

    Returns:
        The exit status; 0 as soon as the lab is released; 128 + signal if one ended it. Except after a release, all
        processes of the lab have ended.
    """
    interrupted: list[int] = []
    released_read, released_write = os.pipe()
    front = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    keeper = _fork(lambda: _keep(body, front, record, released_write))
    os.close(released_write)

    def end(signum: int, _frame: object) -> None:
        interrupted.append(signum)
        with contextlib.suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGTERM)

    before = {signum: signal.signal(signum, end) for signum in ENDING_SIGNALS}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
        if os.read(released_read, 1) and not interrupted:
            return 0
        status = os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    finally:
        os.close(released_read)
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if interrupted:
        return 128 + interrupted[0]
    return status if status >= 0 else 128 - status


def run_in(pid: int, body: Callable[[], int]) -> int:
    """
    Run *body* in all namespaces of a process of the lab.

    Args:
        pid: Process id of a holder or node as seen here.
        body: Runs in a process of its own; its answer is the exit status.

    Returns:
        The exit status, 128 + signal if one ended it.
    """
    before = {signum: signal.signal(signum, signal.SIG_IGN) for signum in (signal.SIGINT, signal.SIGQUIT)}

    def inner() -> int:
        _die_with_parent(signal.SIGTERM)
        for signum, handler in before.items():
            signal.signal(signum, handler)
        return body()

    def outer() -> int:
        _die_with_parent()
        _enter(pid)
        # Only a child of this process is in the PID namespace it joined.
        status = os.waitstatus_to_exitcode(os.waitpid(_fork(inner), 0)[1])
        return status if status >= 0 else 128 - status

    try:
        return os.waitstatus_to_exitcode(os.waitpid(_fork(outer), 0)[1])
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _enter(pid: int) -> None:
    """Join the namespaces of *pid*: the user namespace first, it gives the right to join the others."""
    kinds = ("user", "pid", "net", "mnt")
    try:
        namespaces = {kind: os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds}
    except (FileNotFoundError, ProcessLookupError):
        raise UsageError("it is not running any more") from None
    except OSError as error:
        raise KernelError("enter", "the lab", error.errno or errno.EPERM, "only its owner may") from None
    directory = str(Path.cwd())
    for kind, namespace in namespaces.items():
        ours = Path(f"/proc/self/ns/{kind}").stat()
        # A process may not join the user namespace it is in.
        if not os.path.samestat(ours, os.fstat(namespace)):
            _call("enter", f"the lab's {kind} namespace", "setns", namespace, 0)
        os.close(namespace)
    with contextlib.suppress(OSError):
        os.chdir(directory)


# --- what the keeper does


def _keep(body: Callable[[Holder], int], front: int, record: int | None, released: int) -> int:
    os.setsid()  # the terminal's Ctrl-C is for the front, which then ends us in order
    _unshare()
    _die_with_parent()  # after the change of credentials, which would clear it
    if os.getppid() != front:
        return 1

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, _SO_PASSCRED, 1)
    alive_read, alive_write = os.pipe()

    def child() -> int:
        ours.close()
        os.close(alive_write)
        os.close(released)
        return _hold(body, theirs, alive_read)

    holder = _fork(child)
    theirs.close()
    os.close(alive_read)

    def end(_signum: int, _frame: object) -> None:
        os.kill(holder, signal.SIGKILL)

    for signum in ENDING_SIGNALS:
        signal.signal(signum, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)

    pids: dict[str, int] = {}
    while message := _receive_with_pid(ours):
        said, pid = message
        if said["is"] != "released":
            pids[said["is"]] = pid
            continue
        if record is not None:
            os.ftruncate(record, 0)
            os.pwrite(record, json.dumps({**said["about"], "keeper": os.getpid(), "pids": pids}).encode(), 0)
        _live_without_parent()
        with contextlib.suppress(BrokenPipeError):
            os.write(released, b"!")
        os.close(released)
        _forget_terminal()
    # Returns when every process of the PID namespace has ended, not only its first.
    status = os.waitstatus_to_exitcode(os.waitpid(holder, 0)[1])
    ours.close()
    return status if status >= 0 else 128 - status


def _receive_with_pid(channel: socket.socket) -> tuple[dict[str, Any], int] | None:
    """A message and the process it is about; the kernel translates the id into our PID namespace."""
    data, ancillary, _, _ = channel.recvmsg(_MESSAGE, socket.CMSG_SPACE(_UCRED.size))
    if not data:
        return None
    pid = next(_UCRED.unpack(value)[0] for _, kind, value in ancillary if kind == _SCM_CREDENTIALS)
    return json.loads(data), pid


def _unshare() -> None:
    """Make the lab's namespaces; a user namespace only where we are not root enough without."""
    rest = _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWNET
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        try:
            return _call("make", "namespaces", "unshare", rest)
        except KernelError as error:
            if error.errno != errno.EPERM:
                raise
    try:
        _call("make", "namespaces", "unshare", _CLONE_NEWUSER | rest)
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", "ascii")
    except (KernelError, OSError) as error:
        raise NotPermitted("make", "namespaces", error.errno or errno.EPERM, _why_refused()) from None


def _why_refused() -> str:
    """What keeps an ordinary user from making namespaces, and what to do about it."""
    for name, closed, remedy in (
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user/max_user_namespaces", "0", "10000"),
    ):
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name).read_text("ascii").strip() == closed:
                setting = name.replace("/", ".")
                return f"{setting} is {closed}; run the lab as root, or allow it: sysctl -w {setting}={remedy}"
    return (
        "user namespaces are forbidden here, in a container by its seccomp profile or a missing CAP_SYS_ADMIN; run the"
        " lab as root, outside of the container, or in a privileged one"
    )


def _forget_terminal() -> None:
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for standard in range(3):
        os.dup2(nothing, standard)
    os.close(nothing)


# --- what the holder does


def _hold(body: Callable[[Holder], int], keeper: socket.socket, keeper_alive: int) -> int:
    for signum in ENDING_SIGNALS:
        signal.signal(signum, signal.SIG_DFL)  # PID 1 does not die of them; the keeper's SIGKILL ends us
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
    _die_with_parent()
    if select.select([keeper_alive], [], [], 0)[0]:
        return 1  # end of file: it died before we watched it
    home = _home()
    # Without this, as root, the host would see every mount of ours.
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount_proc()
    _mount("pyvrrp-lab", str(home), "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755,size=256m")
    with keeper, contextlib.closing(Holder(home, keeper)) as holder:
        return body(holder)


def _home() -> Path:
    """Where the tmpfs goes: a directory every Linux has, and that hides nothing of this Python."""
    needed = {sys.executable, sys.prefix, sys.base_prefix, __file__, *sysconfig.get_paths().values()}
    needed = {str(Path(path).resolve()) for path in needed} | needed
    for candidate in ("/run", "/mnt", "/srv", "/media"):
        if Path(candidate).is_dir() and not any(Path(path).is_relative_to(candidate) for path in needed):
            return Path(candidate)
    raise UsageError("Python lives below each of /run, /mnt, /srv and /media, where the lab would hide it")


def _mount_proc() -> None:
    # Refused in containers that mask parts of /proc; the host's then stays and all but `ps` in a router works.
    with contextlib.suppress(KernelError):
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


class Holder:
    """PID 1 of the lab, as seen by what runs in it."""

    def __init__(self, home: Path, keeper: socket.socket) -> None:
        self.home = home
        self.nodes: dict[str, Node] = {}
        self._keeper = keeper

    def node(self, name: str) -> Node:
        """Make a node: an own network, mount and PID namespace whose `home` is a directory of its own."""
        directory = self.home / name
        directory.mkdir()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Not the same channel: the node may have its say before its maker has.
        birth, midwife = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def middle() -> int:
            _call("make", f"namespaces of {name}", "unshare", _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWNET)
            network = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            init = _fork(lambda: _be_node(theirs, directory, self.home))
            socket.send_fds(midwife, [str(init).encode()], [network])
            return 0

        process = _fork(middle)
        theirs.close()
        midwife.close()
        with birth:
            os.waitpid(process, 0)
            init, descriptors, _, _ = socket.recv_fds(birth, _MESSAGE, 1)
        if not init:
            raise VrrpError(f"{name} could not be made")
        node = Node(name, directory, int(init), descriptors[0], ours)
        node.expect("up")
        self.nodes[name] = node
        return node

    def release(self, about: Mapping[str, Any]) -> None:
        """Let the front end while the lab lives on; *about* is recorded beside the process ids."""
        sys.stdout.flush()
        _forget_terminal()
        self._tell("switch", os.getpid())
        for node in self.nodes.values():
            self._tell(node.name, node.pid)
        self._tell("released", os.getpid(), about)

    def _tell(self, name: str, pid: int, about: Mapping[str, Any] | None = None) -> None:
        credentials = _UCRED.pack(pid, os.getuid(), os.getgid())
        message = json.dumps({"is": name, "about": about}).encode()
        self._keeper.sendmsg([message], [(socket.SOL_SOCKET, _SCM_CREDENTIALS, credentials)])

    def close(self) -> None:
        """Give back the descriptors of all nodes; they end when we do."""
        for node in self.nodes.values():
            node.close()

    def rest(self) -> int:
        """Live on, burying the dead, until somebody ends the lab."""
        while True:
            try:
                os.wait()
            except ChildProcessError:
                signal.pause()


class Node:
    """
    One machine of the lab, as its holder sees it.

    Attributes:
        name: `r1`, `client`.
        directory: Its files, which the node itself sees at the lab's home.
        pid: Its PID 1, in the holder's PID namespace.
        network_descriptor: Its network namespace, as netlink's IFLA_NET_NS_FD wants it.
        alive: False once `poll` has seen that PID 1 ended, and the machine with it.
        daemon_exit: Exit status of its daemon, negative for a signal; None while it runs or before.
    """

    def __init__(self, name: str, directory: Path, pid: int, network: int, channel: socket.socket) -> None:
        self.name = name
        self.directory = directory
        self.pid = pid
        self.alive = True
        self.daemon_exit: int | None = None
        self.network_descriptor = network
        self._channel = channel

    def fileno(self) -> int:
        """Becomes readable when the node has news for `poll`."""
        return self._channel.fileno()

    def close(self) -> None:
        """Give back our descriptors."""
        self._channel.close()
        os.close(self.network_descriptor)

    def expect(self, news: str) -> None:
        """Wait until the node says *news*."""
        said = json.loads(self._channel.recv(_MESSAGE) or '{"failed": "it died"}')
        if news not in said:
            raise VrrpError(f"{self.name}: {said.get('failed', said)}")

    def poll(self) -> None:
        """Read what the node has to say; never waits."""
        with contextlib.suppress(BlockingIOError):
            said = self._channel.recv(_MESSAGE, socket.MSG_DONTWAIT)
            if said:
                self.daemon_exit = json.loads(said).get("exit", self.daemon_exit)
            else:
                self.alive = False

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Sockets made in this block, by this thread, belong to the node's network namespace."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("enter", f"the network of {self.name}", "setns", self.network_descriptor, _CLONE_NEWNET)
            try:
                yield
            finally:
                _call("leave", f"the network of {self.name}", "setns", own, _CLONE_NEWNET)
        finally:
            os.close(own)

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the node's daemon; its output goes to `daemon.log`."""
        self._channel.send(json.dumps({"command": list(command), "environment": dict(environment)}).encode())
        self.expect("started")

    def stop(self) -> None:
        """Tell the daemon to end, as an operator would: SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End every process of the node at once: the power is gone."""
        os.kill(self.pid, signal.SIGKILL)


# --- what a node does


def _be_node(channel: socket.socket, directory: Path, home: Path) -> int:
    """PID 1 of a node: start the daemon when told to, pass SIGTERM on to it, bury the dead."""
    # What is open here stays open in the lab's eyes: the record's lock, and the holder's ends of all channels.
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor != channel.fileno():
            with contextlib.suppress(OSError):  # the listing's own
                os.close(descriptor)
    os.setsid()
    wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    for signum in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(signum, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    _mount_proc()
    # A daemon finds its own files, and nobody else's, where it looks for them.
    _mount(str(directory), str(home), None, _MS_BIND)
    _forget_terminal()
    channel.send(json.dumps({"up": os.getpid()}).encode())

    daemon = 0
    while True:
        readable, _, _ = select.select([channel.fileno(), wake_read], [], [])
        if channel.fileno() in readable:
            request = channel.recv(_MESSAGE)
            if not request:
                return 0
            daemon = _start(channel, home, **json.loads(request))
        if wake_read in readable:
            if signal.SIGTERM in os.read(wake_read, 64) and daemon:
                os.kill(daemon, signal.SIGTERM)
            for pid, status in _buried():
                if pid == daemon:
                    daemon = 0
                    _note_state(home, f"exit {status}")
                    channel.send(json.dumps({"exit": status}).encode())


def _start(channel: socket.socket, home: Path, command: list[str], environment: dict[str, str]) -> int:
    log = (os.POSIX_SPAWN_OPEN, 1, str(home / "daemon.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        pid = os.posix_spawn(
            command[0],
            command,
            environment,
            file_actions=[log, (os.POSIX_SPAWN_DUP2, 1, 2)],
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    except OSError as error:
        channel.send(json.dumps({"failed": f"{command[0]}: {error.strerror}"}).encode())
        return 0
    _note_state(home, "running")
    channel.send(json.dumps({"started": pid}).encode())
    return pid


def _note_state(home: Path, state: str) -> None:
    """For `pyvrrp lab status`, which is no child of ours."""
    (home / "daemon.state").write_text(state, "ascii")


def _buried() -> Iterator[tuple[int, int]]:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended[0], os.waitstatus_to_exitcode(ended[1])
