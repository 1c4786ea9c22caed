"""
Child processes for asyncio: started without a thread, ended as a whole group, reaped through a pidfd.

* A child leads its own process group. When it takes too long the group gets SIGTERM, 2 s later SIGKILL; when
  the leader ends earlier than that, what is left of its group gets SIGKILL then. A group whose leader ended by
  itself is left alone: notify scripts start services.
* Members of the group are only signalled while its leader is not reaped: until then nobody else can get its number.
* No handler for SIGCHLD, no waitpid(-1): children of others are their affair. `is_ours` tells those that are started
  here from orphans that a first process inherits (`daemon/orphans.py`).
* A program that cannot be started is a result, not an exception.
* PR_SET_PDEATHSIG is not set: between fork and exec only a `preexec_fn` could do it, which may deadlock where there
  are threads and costs a fork of the whole process. What a killed daemon leaves behind is for its cgroup to end.
* Starting holds the loop until the exec: 0.2 ms, with another user 2.6 ms, as CPython then forks the whole process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno as errno_codes
import grp
import os
import pwd
import shlex
import signal
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from pyvrrp.config.model import Command, GlobalSettings
from pyvrrp.errors import ConfigError, KernelError, VrrpError

OUTPUT_LIMIT: Final = 4096  # octets: about fifty lines, the end of most complaints
KILL_DELAY_S: Final = 2.0  # from SIGTERM to SIGKILL, as keepalived
REAP_LIMIT_S: Final = 1.0  # a killed child that is stuck in the kernel (dead NFS) must not hold up the daemon's end
SCRIPT_UMASK: Final = 0o177  # keepalived's: scripts that write files are used to it
DEFAULT_USER: Final = "keepalived_script"
SHELL: Final = "/bin/sh"
ID_LIMIT: Final = 2**32 - 2  # the highest uid or gid; the one above means "do not change"
LINK_LIMIT: Final = 40  # symbolic links in one path, as the kernel
PIPE_READ: Final = 65536  # a whole pipe, in one read


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a program runs as; *name* is for people."""

    uid: int
    gid: int
    name: str

    @property
    def is_ours(self) -> bool:
        """We are it already."""
        return self.uid == os.geteuid() and self.gid == os.getegid()


def identity(user: str, group: str | None = None) -> Identity:
    """
    Look a user and a group up.

    Args:
        user: Name or number.
        group: Name or number; None is the user's own group.

    Raises:
        ConfigError: One of them does not exist.
    """
    try:
        entry = pwd.getpwuid(_number(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        if not user.isdecimal():
            raise ConfigError(f"user {user} does not exist") from None
        if group is None:
            raise ConfigError(f"user {user} does not exist, so it has no group", hint="name a group") from None
        return Identity(_number(user), _group(group), user)
    return Identity(entry.pw_uid, entry.pw_gid if group is None else _group(group), entry.pw_name)


def _group(group: str) -> int:
    if group.isdecimal():
        return _number(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(f"group {group} does not exist") from None


def _number(text: str) -> int:
    if (number := int(text)) > ID_LIMIT:
        raise ConfigError(f"{text} is no user or group number, the highest is {ID_LIMIT}")
    return number


@dataclass(frozen=True, slots=True)
class ScriptPolicy:
    """
    How scripts are run.

    Attributes:
        default: Whom scripts run as that name nobody; None is ourselves.
        security: Refuse to run as root what others than root can change (`enable_script_security`).
        umask: File mode creation mask.
    """

    default: Identity | None = None
    security: bool = False
    umask: int = SCRIPT_UMASK

    @classmethod
    def of(cls, settings: GlobalSettings) -> Self:
        """
        As `global_defs` says: without `script_user` the user `keepalived_script` if there is one, else ourselves.

        Raises:
            ConfigError: `script_user` does not exist.
        """
        default: Identity | None = None
        if settings.script_user is not None:
            default = identity(settings.script_user, settings.script_group)
        else:
            with contextlib.suppress(ConfigError):
                default = identity(DEFAULT_USER)
        return cls(default, settings.enable_script_security)

    def identity_of(self, command: Command) -> Identity | None:
        """
        Whom *command* runs as; None is ourselves.

        Raises:
            ConfigError: Its user or group does not exist.
        """
        if command.user is not None:
            return identity(command.user, command.group)
        if command.group is None:
            return self.default
        uid, name = (os.geteuid(), str(os.geteuid())) if self.default is None else (self.default.uid, self.default.name)
        return Identity(uid, _group(command.group), name)


@dataclass(frozen=True, slots=True)
class ChildResult:
    """
    How a program ended, or why it could not start.

    Attributes:
        argv: Its words.
        exit_code: Exit status, None if a signal ended it, if it did not start or if it is still being ended.
        signal: Number of the signal that ended it, or None.
        duration_s: From its start until this result.
        output: End of what it printed, where that was asked for.
        timed_out: It took too long; set whatever its exit status is.
        ended: Why we ended it, empty if it ended by itself.
        refusal: Why it could not be started or watched, empty if it could.
        warning: What people should know though it runs.
    """

    argv: tuple[str, ...]
    exit_code: int | None = None
    signal: int | None = None
    duration_s: float = 0.0
    output: str = ""
    timed_out: bool = False
    ended: str = ""
    refusal: str = ""
    warning: str = ""

    @property
    def succeeded(self) -> bool:
        """It ended by itself with status 0."""
        return self.exit_code == 0 and not self.ended and not self.refusal

    @property
    def reason(self) -> str:
        """What happened, for people."""
        if self.refusal or self.ended:
            return self.refusal or self.ended
        if self.signal is not None:
            return f"ended by signal {self.signal} ({_signal_name(self.signal)})"
        return f"exited with status {self.exit_code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def script_trouble(path: str, *, lstat: Callable[[str], os.stat_result] = os.lstat) -> str | None:
    """
    Whether others than root could change what runs when root runs *path*.

    Every directory and link on the way is looked at, and the file it leads to, so that a link is only as good as the
    directory it is in. A directory with the sticky bit may be writable for all: what root owns in it is safe there.

    Args:
        path: A program; relative means from the current directory.
        lstat: For tests.

    Returns:
        The first component in trouble with its owner and mode, or None.
    """
    current, links = "/", 0
    try:
        # Not abspath, which would take ".." out before links are followed.
        todo = list(reversed(os.path.join(os.getcwd(), path).split("/")))  # noqa: PTH109, PTH118  as the words have it
        if trouble := _component_trouble("/", lstat("/")):
            return trouble
        while todo:
            part = todo.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                current = os.path.dirname(current)  # noqa: PTH120  octets as they are
                continue
            component = f"{current.rstrip('/')}/{part}"
            status = lstat(component)
            if trouble := _component_trouble(component, status):
                return trouble
            if not stat.S_ISLNK(status.st_mode):
                current = component
                continue
            links += 1
            if links > LINK_LIMIT:
                return f"{path}: {_strerror(errno_codes.ELOOP)}"
            target = os.readlink(component)  # noqa: PTH115  octets as they are
            current = "/" if target.startswith("/") else current
            todo += reversed(target.split("/"))
    except OSError as error:
        return f"{error.filename or path}: {_strerror(error.errno)}"
    return None


def _component_trouble(component: str, status: os.stat_result) -> str | None:
    mode = stat.S_IMODE(status.st_mode)
    who = f"owner {_user_name(status.st_uid)}, mode {mode:04o}"
    if status.st_uid != 0:
        return f"{component} does not belong to root ({who})"
    sticky = stat.S_ISDIR(status.st_mode) and mode & stat.S_ISVTX
    if stat.S_ISLNK(status.st_mode) or sticky:  # a link's mode means nothing
        return None
    if mode & stat.S_IWOTH:
        return f"{component} can be written by everybody ({who})"
    if mode & stat.S_IWGRP and status.st_gid != 0:
        return f"{component} can be written by group {_group_name(status.st_gid)} ({who})"
    return None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _strerror(errno: int | None) -> str:
    return f"{os.strerror(errno or 0)} ({errno_codes.errorcode.get(errno or 0, errno)})"


def locate(program: str) -> str:
    """
    Where a program is: as named if it has a slash, else found in PATH.

    Raises:
        KernelError: It is not there, not a file, or not executable.
    """
    if "/" not in program:
        candidates = (f"{directory}/{program}" for directory in os.get_exec_path())
        found = next((path for path in candidates if os.path.isfile(path) and os.access(path, os.X_OK)), None)  # noqa: PTH113  PATH is octets
        if found is None:
            raise KernelError("run", program, errno_codes.ENOENT, "not found in PATH")
        return found
    try:
        status = os.stat(program)  # noqa: PTH116  as the words have it
    except OSError as error:
        raise KernelError("run", program, error.errno or errno_codes.EIO) from error
    except ValueError as error:  # a NUL in it
        raise KernelError("run", program, errno_codes.EINVAL, str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise KernelError("run", program, errno_codes.EACCES, "it is not a file")
    if not status.st_mode & 0o111:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        raise KernelError("run", program, errno_codes.EACCES, f"it is not executable, its mode is {mode}")
    return program


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to hand to the kernel."""

    argv: tuple[str, ...]
    executable: str
    identity: Identity | None


def _plan(command: Command, policy: ScriptPolicy) -> _Plan:
    who = policy.identity_of(command)
    argv = command.argv
    if argv[0].startswith("<"):  # keepalived gives the form "</path" to a shell: can the file be opened?
        opened, *rest = argv
        argv = (SHELL, "-c", " ".join([f"<{shlex.quote(opened[1:])}", *map(shlex.quote, rest)]))
    executable = locate(argv[0])
    if policy.security and ((os.geteuid() if who is None else who.uid) == 0 or _becomes_root(executable)):
        if trouble := script_trouble(executable):
            raise ConfigError(f"{executable} is not run as root: {trouble}")
        # Without links: nobody but root can change what this name leads to from here on.
        executable = os.path.realpath(executable)
    return _Plan(argv, executable, who)


def _becomes_root(path: str) -> bool:
    try:
        status = os.stat(path)  # noqa: PTH116  as the words have it
    except OSError as error:
        raise KernelError("run", path, error.errno or errno_codes.EIO) from error
    return bool(status.st_mode & stat.S_ISUID) and status.st_uid == 0


def command_trouble(command: Command, policy: ScriptPolicy) -> str | None:
    """Why *command* would be refused if it were run now, or None: for those who look before they start."""
    try:
        _plan(command, policy)
    except VrrpError as error:
        return str(error)
    return None


_watched: Final[set[int]] = set()


def is_ours(pid: int) -> bool:
    """A child of that number was started here and has not been reaped: nobody else must do that."""
    return pid in _watched


class Child:
    """
    A running program, the leader of its own process group; `start` makes one.

    Leaving `async with` kills the whole group if it still runs, and reaps its leader.
    """

    def __init__(self, process: subprocess.Popen[bytes], argv: tuple[str, ...], output: int | None) -> None:
        self.argv = argv
        self.warning = ""
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._output = output
        self._tail = bytearray()
        self._started = self._loop.time()
        self._expiry: asyncio.TimerHandle | None = None
        self._kill: asyncio.TimerHandle | None = None
        self._ended = ""
        self._timed_out = False
        self._verdict: asyncio.Future[ChildResult] = self._loop.create_future()
        self._gone: asyncio.Future[ChildResult] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._exited)
        _watched.add(process.pid)
        if output is not None:
            self._loop.add_reader(output, self._read)

    @property
    def pid(self) -> int:
        """Process number, which is that of its group too."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """It has not been reaped yet."""
        return not self._gone.done()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._gone.done():
            return
        self._ended = self._ended or "killed: nobody waits for it any longer"
        self._signal(signal.SIGKILL)
        # The reader reaps it whenever it ends, even after this gave up waiting.
        await asyncio.wait((self._gone,), timeout=REAP_LIMIT_S)

    def expire_in(self, timeout_s: float, why: str = "") -> None:
        """Give it that much time from now on, instead of what it was given before; then the group is ended."""
        if self._expiry is not None:
            self._expiry.cancel()
        if not self._gone.done():
            self._expiry = self._loop.call_later(timeout_s, self._expire, why or f"timed out after {timeout_s:g} s")

    def end(self, why: str) -> None:
        """Ask the group to end (SIGTERM) and make it (SIGKILL) `KILL_DELAY_S` later; *why* is for people."""
        if self._ended or self._gone.done():
            return
        self._ended = why
        self._kill = self._loop.call_later(KILL_DELAY_S, self._signal, signal.SIGKILL)
        self._signal(signal.SIGTERM)
        self._verdict.set_result(self._result())

    async def verdict(self) -> ChildResult:
        """Its result as soon as that is known: when it ends, or when it has taken too long and is being ended."""
        await asyncio.wait((self._verdict,))  # unlike await, leaves the future alone when we are cancelled
        return self._verdict.result()

    async def wait(self) -> ChildResult:
        """Its result when it is gone."""
        await asyncio.wait((self._gone,))
        return self._gone.result()

    def _expire(self, why: str) -> None:
        self._timed_out = not self._ended
        self.end(why)

    def _signal(self, number: signal.Signals) -> None:
        # Its number is its group's as long as the leader is not reaped. Not by us; the first call asks about others.
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, 0)
            os.killpg(self._process.pid, number)

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        for timer in (self._expiry, self._kill):
            if timer is not None:
                timer.cancel()
        if self._ended:
            self._signal(signal.SIGKILL)
        refusal, code, number = "", None, None
        try:
            how = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        except ChildProcessError:
            # Popen would call this success. Somebody set SIGCHLD to be ignored, or waits for all children.
            refusal = "its exit status is lost: SIGCHLD is ignored, or somebody else reaped it"
        else:
            if how is not None and how.si_code == os.CLD_EXITED:
                code = how.si_status
            elif how is not None:
                number = how.si_status
        finally:
            os.close(self._pidfd)
            _watched.discard(self._process.pid)
        self._process.returncode = -number if number is not None else code or 0
        if self._output is not None:
            self._read()
            self._close_output()
        result = self._result(code, number, refusal)
        if not self._verdict.done():
            self._verdict.set_result(result)
        self._gone.set_result(result)

    def _result(self, code: int | None = None, number: int | None = None, refusal: str = "") -> ChildResult:
        return ChildResult(
            argv=self.argv,
            exit_code=code,
            signal=number,
            duration_s=self._loop.time() - self._started,
            output=self._tail.decode(errors="replace").strip(),
            timed_out=self._timed_out,
            ended=self._ended,
            refusal=refusal,
            warning=self.warning,
        )

    def _read(self) -> None:
        """One read is a whole pipe, so none is left when the child has ended; a flood lets others have their turn."""
        if self._output is None:
            return
        try:
            octets = os.read(self._output, PIPE_READ)
        except BlockingIOError:
            return
        if not octets:
            self._close_output()
            return
        self._tail += octets
        del self._tail[:-OUTPUT_LIMIT]

    def _close_output(self) -> None:
        if self._output is not None:
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._output = None


_NO_VARIABLES: Final[Mapping[str, str]] = {}


def start(
    command: Command,
    policy: ScriptPolicy,
    *,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] = _NO_VARIABLES,
    capture: bool = False,
) -> Child:
    """
    Start a program.

    It gets its own process group, /dev/null as standard input, no other descriptor of ours, our environment, and no
    supplementary group when its user is another. It would inherit blocked and ignored signals: that
    there are none is the affair of the daemon's start (`daemonise.reset_signals`), and of no SIG_IGN afterwards.

    Args:
        command: The program, its words and its user.
        policy: Whom it runs as by default, and what is refused.
        arguments: More words behind the command's own.
        environment: Variables besides ours.
        capture: Keep the end of what it prints; else that goes to /dev/null. The pipe is closed when the program ends:
            what it leaves behind in the background can then no longer print.

    Raises:
        ConfigError: Its user does not exist, or it is not safe to be run as root.
        KernelError: It cannot be started.
    """
    plan = _plan(command, policy)
    argv = (*plan.argv, *arguments)
    switch = plan.identity if plan.identity is not None and not plan.identity.is_ours else None
    subject = plan.executable if switch is None else f"{plan.executable} as user {switch.name}"
    variables = {**os.environ, **environment} if environment else None
    warning = ""
    with contextlib.ExitStack() as on_failure:
        try:
            readable, writable = os.pipe() if capture else (None, None)
            if readable is not None and writable is not None:
                os.set_blocking(readable, False)
                on_failure.callback(os.close, readable)
                on_failure.callback(os.close, writable)

            def spawn(words: Sequence[str], executable: str) -> subprocess.Popen[bytes]:
                return subprocess.Popen(
                    words,
                    executable=executable,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL if writable is None else writable,
                    stderr=subprocess.STDOUT,
                    env=variables,
                    process_group=0,
                    umask=policy.umask,
                    user=None if switch is None else switch.uid,
                    group=None if switch is None else switch.gid,
                    extra_groups=None if switch is None else [switch.gid],
                )

            try:
                process = spawn(argv, plan.executable)
            except OSError as error:
                if error.errno != errno_codes.ENOEXEC or not _is_text(plan.executable):
                    raise
                warning = f"{plan.executable} has no '#!' line and is run by {SHELL}"
                process = spawn((SHELL, plan.executable, *argv[1:]), SHELL)
        except OSError as error:
            raise KernelError("run", subject, error.errno or errno_codes.EIO) from error
        except ValueError as error:  # a NUL in a word or variable
            raise KernelError("run", subject, errno_codes.EINVAL, str(error)) from error
        try:
            child = Child(process, argv, readable)
        except OSError as error:  # no descriptor left, or no pidfds: unwatched it must not run
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise KernelError("watch", subject, error.errno or errno_codes.EIO) from error
        child.warning = warning
        on_failure.pop_all()  # it has not failed: the reading end is the child's from here on
        if writable is not None:
            os.close(writable)
    return child


def _is_text(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  as the words have it
            return b"\0" not in file.read(512)
    except OSError:
        return False  # then it is not ours to read, and the first error stands


async def run(
    command: Command,
    policy: ScriptPolicy,
    *,
    timeout_s: float,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] = _NO_VARIABLES,
    capture: bool = False,
) -> ChildResult:
    """
    Run a program to its end; whatever becomes of it is the result. Arguments as for `start`.

    Args:
        command: The program.
        policy: How scripts are run.
        timeout_s: Then its group is ended.
        arguments: More words.
        environment: More variables.
        capture: Keep the end of what it prints.
    """
    try:
        child = start(command, policy, arguments=arguments, environment=environment, capture=capture)
    except VrrpError as error:
        return ChildResult((*command.argv, *arguments), refusal=str(error))
    async with child:
        child.expire_in(timeout_s)
        return await child.wait()
