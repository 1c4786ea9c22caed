"""Real children: small shell scripts, ended as groups, reaped, and told apart by how they end."""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import signal
import stat
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyvrrp.config.model import Command, GlobalSettings
from pyvrrp.daemon.daemonise import reset_signals
from pyvrrp.errors import ConfigError, KernelError
from pyvrrp.trackers import children
from pyvrrp.trackers.children import (
    ChildResult,
    Identity,
    ScriptPolicy,
    command_trouble,
    identity,
    locate,
    run,
    script_trouble,
    start,
)

LONG_S = 60.0
OURS = ScriptPolicy()
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")

Script = Callable[..., Command]


@pytest.fixture(name="script")
def _script(tmp_path: Path) -> Script:
    """Write an executable and answer the command that runs it."""

    def write(body: str, *words: str, head: str = "#!/bin/sh\n", mode: int = 0o755) -> Command:
        path = tmp_path / "check.sh"
        path.write_text(head + textwrap.dedent(body))
        path.chmod(mode)
        return Command((str(path), *words))

    return write


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(name="_like_the_daemon")
def _none_ignored() -> Iterator[None]:
    """Ignore no signal, as the daemon from its start on; who started the tests may, as `nohup` does."""
    ignored = [number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN]
    reset_signals()
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def _no_descriptor_left() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


def alive(pid: int) -> bool:
    """It runs; a zombie that init has not yet fetched does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110  what a child does comes with no event
            await asyncio.sleep(0.01)


async def written(path: Path) -> str:
    """What a child puts into a file, when a whole line is there."""
    text = ""

    def complete() -> bool:
        nonlocal text
        text = path.read_text() if path.exists() else ""
        return text.endswith("\n")

    await until(complete)
    return text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "code", "number", "reason"),
    [
        ("exit 0", 0, None, "exited with status 0"),
        ("exit 3", 3, None, "exited with status 3"),
        ("kill -9 $$", None, 9, "ended by signal 9 (SIGKILL)"),
        ("kill -15 $$", None, 15, "ended by signal 15 (SIGTERM)"),
    ],
)
async def test_how_a_program_ends(script: Script, body: str, code: int | None, number: int | None, reason: str) -> None:
    result = await run(script(body), OURS, timeout_s=LONG_S)
    assert (result.exit_code, result.signal, result.reason) == (code, number, reason)
    assert result.succeeded == (code == 0)
    assert not result.timed_out


@pytest.mark.asyncio
async def test_words_and_variables(script: Script) -> None:
    command = script('echo "$1|$2|$3|$PYVRRP_STATE|$HOME_OF_TEST"', "a b", "c")
    os.environ["HOME_OF_TEST"] = "inherited"
    try:
        result = await run(
            command, OURS, timeout_s=LONG_S, arguments=("d",), environment={"PYVRRP_STATE": "MASTER"}, capture=True
        )
    finally:
        del os.environ["HOME_OF_TEST"]
    assert result.output == "a b|c|d|MASTER|inherited"
    assert result.argv == (*command.argv, "d")


@pytest.mark.asyncio
@pytest.mark.usefixtures("_like_the_daemon")
async def test_what_a_program_is_given(script: Script) -> None:
    """Own group, /dev/null to read, nothing else open, keepalived's umask, default signals."""
    body = """
        echo "group $(ps -o pgid= -p $$ 2>/dev/null || cut -d' ' -f5 /proc/$$/stat) $$" | tr -s ' '
        readlink /proc/$$/fd/0
        ls /proc/$$/fd/77 2>/dev/null || echo closed
        umask
        grep -E '^Sig(Blk|Ign)' /proc/self/status
    """
    with open("/dev/null", "rb") as any_file:  # noqa: ASYNC230, PTH123  opens at once
        leaked = os.dup2(any_file.fileno(), 77, inheritable=True)
    try:
        result = await run(script(body), OURS, timeout_s=LONG_S, capture=True)
    finally:
        os.close(leaked)
    group, stdin, other, umask, blocked, ignored = result.output.splitlines()
    assert group.split()[1] == group.split()[2]
    assert stdin == "/dev/null"
    assert other == "closed"
    assert umask == "0177"
    assert blocked.split()[1].strip("0") == ""
    assert ignored.split()[1].strip("0") == ""


@pytest.mark.asyncio
async def test_output_is_kept_from_its_end(script: Script) -> None:
    """Both streams, the last 4096 octets, whatever their encoding."""
    result = await run(
        script("""
            head -c 300000 /dev/zero | tr '\\0' a
            printf '\\377'
            echo the end >&2
            exit 1
        """),
        OURS,
        timeout_s=LONG_S,
        capture=True,
    )
    assert result.output.endswith("a\N{REPLACEMENT CHARACTER}the end")
    assert len(result.output) == 4096 - 1  # the newline is stripped


@pytest.mark.asyncio
async def test_output_is_not_kept_unless_asked_for(script: Script) -> None:
    assert (await run(script("echo secret"), OURS, timeout_s=LONG_S)).output == ""


@pytest.mark.asyncio
async def test_a_background_child_that_keeps_the_output_open_does_not_delay_the_result(
    script: Script, tmp_path: Path
) -> None:
    """And what its leader left behind by itself is left alone."""
    result = await run(
        script(f"sleep 1000 & echo $! > {tmp_path}/pid; echo started"), OURS, timeout_s=LONG_S, capture=True
    )
    pid = int((tmp_path / "pid").read_text())
    try:
        assert (result.exit_code, result.output) == (0, "started")
        assert alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.asyncio
async def test_a_hanging_program_is_ended_with_all_its_children(script: Script, tmp_path: Path) -> None:
    command = script(f"sleep 1000 & echo $! > {tmp_path}/pid; echo waiting; wait")
    child = start(command, OURS, capture=True)
    async with child:
        grandchild = int(await written(tmp_path / "pid"))
        await until(lambda: bytes(child._tail) == b"waiting\n")
        child.expire_in(0.05)
        result = await child.wait()
    assert result.timed_out
    assert not result.succeeded
    assert result.reason == "timed out after 0.05 s"
    assert result.signal == signal.SIGTERM
    assert result.output == "waiting"
    assert not alive(child.pid)
    await until(lambda: not alive(grandchild))


@pytest.mark.asyncio
async def test_who_ignores_sigterm_is_killed(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict does not wait for that."""
    monkeypatch.setattr(children, "KILL_DELAY_S", 0.2)
    command = script(f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1000; done")
    async with start(command, OURS) as child:
        await written(tmp_path / "pid")
        child.expire_in(0)
        verdict = await child.verdict()
        assert (verdict.timed_out, verdict.signal, verdict.exit_code) == (True, None, None)
        assert child.running
        result = await child.wait()
    assert (result.timed_out, result.signal) == (True, signal.SIGKILL)


@pytest.mark.asyncio
async def test_what_outlives_its_leader_after_a_timeout_is_killed(script: Script, tmp_path: Path) -> None:
    """The leader ends on SIGTERM, its child ignores it."""
    command = script(f"""
        sh -c 'trap "" TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1000; done' &
        wait
    """)
    async with start(command, OURS) as child:
        grandchild = int(await written(tmp_path / "pid"))
        child.expire_in(0)
        result = await child.wait()
    assert result.signal == signal.SIGTERM
    await until(lambda: not alive(grandchild))


@pytest.mark.asyncio
async def test_a_late_success_is_still_too_late(script: Script, tmp_path: Path) -> None:
    """Status 0 out of a SIGTERM handler is no success."""
    command = script(f"trap 'exit 0' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.05; done")
    async with start(command, OURS) as child:
        await written(tmp_path / "pid")
        child.expire_in(0)
        result = await child.wait()
    assert (result.exit_code, result.timed_out, result.succeeded) == (0, True, False)


@pytest.mark.asyncio
async def test_a_limit_can_be_moved(script: Script, tmp_path: Path) -> None:
    command = script(f"echo $$ > {tmp_path}/pid; sleep 1000")
    async with start(command, OURS) as child:
        child.expire_in(LONG_S)
        await written(tmp_path / "pid")
        child.expire_in(0, "ended: somebody waits")
        result = await child.wait()
        child.expire_in(0)
        child.end("too late to matter")
    assert result.reason == "ended: somebody waits"


@pytest.mark.asyncio
async def test_a_cancelled_task_takes_its_child_with_it(script: Script, tmp_path: Path) -> None:
    command = script(f"trap '' TERM; sleep 1000 & echo $$ $! > {tmp_path}/pid; wait; wait")
    task = asyncio.create_task(run(command, OURS, timeout_s=LONG_S, capture=True))
    leader, grandchild = map(int, (await written(tmp_path / "pid")).split())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(leader)
    await until(lambda: not alive(grandchild))


@pytest.mark.asyncio
async def test_many_at_once(script: Script) -> None:
    """No thread for each, none left over."""
    command = script('exit "$1"')
    results = await asyncio.gather(
        *(run(command, OURS, timeout_s=LONG_S, arguments=(str(number),)) for number in range(30))
    )
    assert [result.exit_code for result in results] == list(range(30))


@pytest.mark.asyncio
async def test_a_missing_program(tmp_path: Path) -> None:
    result = await run(Command((f"{tmp_path}/nothing",)), OURS, timeout_s=LONG_S)
    assert result.reason == f"cannot run {tmp_path}/nothing: No such file or directory (ENOENT)"
    assert not result.succeeded
    result = await run(Command(("no-such-program",)), OURS, timeout_s=LONG_S)
    assert result.reason == "cannot run no-such-program: No such file or directory (ENOENT): not found in PATH"


@pytest.mark.asyncio
async def test_a_program_that_is_not_executable(script: Script, tmp_path: Path) -> None:
    command = script("exit 0", mode=0o644)
    result = await run(command, OURS, timeout_s=LONG_S)
    assert result.reason == (
        f"cannot run {command.argv[0]}: Permission denied (EACCES): it is not executable, its mode is 0644"
    )
    assert "it is not a file" in (await run(Command((str(tmp_path),)), OURS, timeout_s=LONG_S)).reason


@pytest.mark.asyncio
async def test_an_interpreter_that_is_missing(script: Script) -> None:
    command = script("", head="#!/no/such/interpreter\n")
    result = await run(command, OURS, timeout_s=LONG_S, capture=True)
    assert result.reason == f"cannot run {command.argv[0]}: No such file or directory (ENOENT)"


@pytest.mark.asyncio
async def test_a_script_without_its_first_line_is_given_to_the_shell(script: Script) -> None:
    command = script('echo "$1"; exit 4', "word", head="")
    result = await run(command, OURS, timeout_s=LONG_S, capture=True)
    assert (result.exit_code, result.output) == (4, "word")
    assert result.warning == f"{command.argv[0]} has no '#!' line and is run by /bin/sh"


@pytest.mark.asyncio
async def test_octets_that_are_no_program(tmp_path: Path) -> None:
    program = tmp_path / "wrong"
    program.write_bytes(b"\x7fELF\0\0\0\0")
    program.chmod(0o755)
    result = await run(Command((str(program),)), OURS, timeout_s=LONG_S, capture=True)
    assert result.reason == f"cannot run {program}: Exec format error (ENOEXEC)"


@pytest.mark.asyncio
async def test_a_nul_in_a_word_or_variable() -> None:
    for command, variables in (
        (Command(("true",)), {"A": "b\0c"}),
        (Command(("true", "b\0c")), {}),
        (Command(("/bin/tr\0ue",)), {}),
    ):
        result = await run(command, OURS, timeout_s=LONG_S, environment=variables)
        assert "Invalid argument (EINVAL)" in result.reason


@pytest.mark.asyncio
async def test_a_child_that_cannot_be_watched_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError(errno.EMFILE, f"no descriptor for {pid}")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    result = await run(Command(("sleep", "1000")), OURS, timeout_s=LONG_S, capture=True)
    assert "cannot watch" in result.reason
    assert "EMFILE" in result.reason


def steal(pid: int) -> None:
    """Kill and reap a child; the loop learns nothing of it until that is done."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.asyncio
async def test_a_lost_exit_status_is_no_success(script: Script, tmp_path: Path) -> None:
    """Somebody who waits for every child takes the status; subprocess would say 0."""
    child = start(script(f"read line < {tmp_path}/go; exit 0"), OURS)
    os.mkfifo(tmp_path / "go")
    async with child:
        child.expire_in(LONG_S)
        steal(child.pid)
        result = await child.wait()
    assert not result.succeeded
    assert "exit status is lost" in result.reason


@pytest.mark.asyncio
async def test_the_form_that_opens_a_file(tmp_path: Path) -> None:
    there = tmp_path / "a file"
    there.touch()
    assert (await run(Command((f"<{there}",)), OURS, timeout_s=LONG_S)).succeeded
    assert not (await run(Command((f"<{tmp_path}/none",)), OURS, timeout_s=LONG_S)).succeeded


@pytest.mark.asyncio
async def test_a_setuid_program_is_looked_at_whoever_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It becomes root all the same."""
    program = tmp_path / "program"
    program.symlink_to("/bin/true")
    monkeypatch.setattr(children, "_becomes_root", lambda path: path == str(program))
    monkeypatch.setattr(children, "script_trouble", "not {}".format)
    command = Command((str(program),), "65534", "65534")
    assert command_trouble(command, ScriptPolicy(security=True)) == f"{program} is not run as root: not {program}"
    assert command_trouble(command, OURS) is None


# Users and groups


def test_users_by_name_and_number() -> None:
    assert identity("root") == Identity(0, 0, "root")
    assert identity("0") == Identity(0, 0, "root")
    assert identity("root", "12345") == Identity(0, 12345, "root")
    assert identity("root", "root") == Identity(0, 0, "root")
    assert identity("4000000001", "7") == Identity(4000000001, 7, "4000000001")


@pytest.mark.parametrize(
    ("user", "group", "message"),
    [
        ("no-such-user", None, "user no-such-user does not exist"),
        ("root", "no-such-group", "group no-such-group does not exist"),
        ("4000000001", None, "has no group"),
        ("4294967295", None, "is no user or group number"),
        ("root", "99999999999", "is no user or group number"),
    ],
)
def test_users_that_are_none(user: str, group: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        identity(user, group)


@pytest.mark.asyncio
async def test_a_bad_user_is_a_result() -> None:
    result = await run(Command(("true",), user="no-such-user"), OURS, timeout_s=LONG_S)
    assert result.reason == "user no-such-user does not exist"


def test_the_default_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """`script_user`, else `keepalived_script` if there is one, else ourselves."""
    assert ScriptPolicy.of(GlobalSettings(script_user="root", enable_script_security=True)) == ScriptPolicy(
        Identity(0, 0, "root"), security=True
    )
    with pytest.raises(ConfigError):
        ScriptPolicy.of(GlobalSettings(script_user="no-such-user"))

    def none(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", none)
    assert ScriptPolicy.of(GlobalSettings()).default is None
    entry = pwd.struct_passwd(("keepalived_script", "x", 77, 78, "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwnam", {"keepalived_script": entry}.__getitem__)
    policy = ScriptPolicy.of(GlobalSettings())
    assert policy.default == Identity(77, 78, "keepalived_script")
    assert policy.identity_of(Command(("true",))) == policy.default
    assert policy.identity_of(Command(("true",), group="5")) == Identity(77, 5, "keepalived_script")
    assert OURS.identity_of(Command(("true",), group="5")) == Identity(os.geteuid(), 5, str(os.geteuid()))


@pytest.mark.root
@pytest.mark.asyncio
@as_root
async def test_another_user() -> None:
    """Real, effective and saved ids, and no supplementary group of ours."""
    command = Command(("grep", "-E", "^(Uid|Gid|Groups)", "/proc/self/status"), str(NOBODY), "12345")
    result = await run(command, OURS, timeout_s=LONG_S, capture=True)
    uid, gid, groups = (line.split()[1:] for line in result.output.splitlines())
    assert uid == [str(NOBODY)] * 4
    assert gid == ["12345"] * 4
    assert groups == ["12345"]


@pytest.mark.root
@pytest.mark.asyncio
@as_root
async def test_a_program_that_its_user_may_not_run(script: Script) -> None:
    command = script("exit 0", mode=0o700)
    result = await run(Command(command.argv, str(NOBODY), str(NOBODY)), OURS, timeout_s=LONG_S)
    assert f"cannot run {command.argv[0]} as user " in result.reason
    assert "Permission denied (EACCES)" in result.reason


@pytest.mark.root
@pytest.mark.asyncio
@as_root
async def test_another_user_hanging_is_ended() -> None:
    async with start(Command(("sleep", "1000"), str(NOBODY), str(NOBODY)), OURS) as child:
        child.expire_in(0)
        assert (await child.wait()).signal == signal.SIGTERM


@pytest.mark.asyncio
async def test_another_user_without_the_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    result = await run(Command(("/bin/true",), "4000000001", "7"), OURS, timeout_s=LONG_S, capture=True)
    assert result.reason.endswith("run /bin/true as user 4000000001: Operation not permitted (EPERM)")


# Script security


def fake(tree: dict[str, tuple[int, int, int]]) -> Callable[[str], os.stat_result]:
    """An lstat that knows these paths: mode with its type, uid, gid."""

    def lstat(path: str) -> os.stat_result:
        if path not in tree:
            raise FileNotFoundError(errno.ENOENT, "no", path)
        mode, uid, gid = tree[path]
        return os.stat_result((mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))

    return lstat


DIRECTORY, FILE, LINK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK
SAFE = {
    "/": (DIRECTORY | 0o755, 0, 0),
    "/opt": (DIRECTORY | 0o755, 0, 0),
    "/opt/check": (FILE | 0o755, 0, 0),
}


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({}, None),
        ({"/": (DIRECTORY | 0o755, 4000000001, 0)}, "/ does not belong to root (owner 4000000001, mode 0755)"),
        ({"/opt": (DIRECTORY | 0o700, 4000000001, 0)}, "/opt does not belong to root (owner 4000000001, mode 0700)"),
        ({"/opt": (DIRECTORY | 0o777, 0, 0)}, "/opt can be written by everybody (owner root, mode 0777)"),
        ({"/opt": (DIRECTORY | 0o1777, 0, 0)}, None),
        ({"/opt": (DIRECTORY | 0o775, 0, 0)}, None),
        (
            {"/opt": (DIRECTORY | 0o775, 0, 4000000001)},
            "/opt can be written by group 4000000001 (owner root, mode 0775)",
        ),
        ({"/opt/check": (FILE | 0o1757, 0, 0)}, "/opt/check can be written by everybody (owner root, mode 1757)"),
        (
            {"/opt/check": (FILE | 0o755, 4000000001, 0)},
            "/opt/check does not belong to root (owner 4000000001, mode 0755)",
        ),
    ],
)
def test_each_component_is_looked_at(change: dict[str, tuple[int, int, int]], trouble: str | None) -> None:
    assert script_trouble("/opt/check", lstat=fake({**SAFE, **change})) == trouble
    assert script_trouble("/opt/./no/../check", lstat=fake({**SAFE, "/opt/no": SAFE["/opt"], **change})) == trouble


def test_a_path_that_leads_nowhere() -> None:
    assert script_trouble("/opt/none", lstat=fake(SAFE)) == "/opt/none: No such file or directory (ENOENT)"


def owned_by_root(path: str) -> os.stat_result:
    """Real modes and links, as if root owned everything."""
    values = list(os.lstat(path)[:10])
    values[4] = values[5] = 0
    return os.stat_result(values)


def test_links_are_followed_component_by_component(tmp_path: Path) -> None:
    """A link is as good as its directory and what it leads to; its own mode (0777) says nothing."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "check").touch()
    (real / "check").chmod(0o755)
    (tmp_path / "absolute").symlink_to(real)
    (tmp_path / "relative").symlink_to("real/../real/check")
    for path in (tmp_path / "absolute" / "check", tmp_path / "relative"):
        assert script_trouble(str(path), lstat=owned_by_root) is None
    real.chmod(0o777)
    for path in (tmp_path / "absolute" / "check", tmp_path / "relative"):
        trouble = script_trouble(str(path), lstat=owned_by_root)
        assert trouble == f"{real} can be written by everybody (owner root, mode 0777)"


def test_a_link_that_somebody_else_owns_or_that_leads_in_circles(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    path = str(tmp_path / "loop")
    assert script_trouble(path, lstat=owned_by_root) == f"{path}: Too many levels of symbolic links (ELOOP)"

    def link_of_another(component: str) -> os.stat_result:
        values = list(owned_by_root(component))
        values[4] = 4000000001 if component == path else 0
        return os.stat_result(values)

    assert script_trouble(path, lstat=link_of_another) == (
        f"{path} does not belong to root (owner 4000000001, mode 0777)"
    )


@pytest.mark.root
@pytest.mark.asyncio
@as_root
async def test_security_refuses_and_runs(script: Script, tmp_path: Path) -> None:
    command = script("exit 0", mode=0o757)
    secure = ScriptPolicy(security=True)
    trouble = (
        f"{command.argv[0]} is not run as root: {command.argv[0]} can be written by everybody (owner root, mode 0757)"
    )
    assert (await run(command, secure, timeout_s=LONG_S)).reason == trouble
    assert command_trouble(command, secure) == trouble
    assert command_trouble(command, OURS) is None
    assert command_trouble(Command(command.argv, str(NOBODY), str(NOBODY)), secure) is None
    command = script("exit 0")
    assert (await run(command, secure, timeout_s=LONG_S)).succeeded
    (tmp_path / "link").symlink_to(command.argv[0])
    assert (await run(Command((f"{tmp_path}/link",)), secure, timeout_s=LONG_S)).succeeded


def test_looking_before_starting(tmp_path: Path) -> None:
    assert command_trouble(Command(("sh",)), OURS) is None
    assert "ENOENT" in (command_trouble(Command((f"{tmp_path}/none",)), OURS) or "")
    assert locate("/bin/sh") == "/bin/sh"
    assert locate("sh").endswith("/sh")
    with pytest.raises(KernelError):
        locate("no-such-program")


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (ChildResult(("a",), exit_code=1), "exited with status 1"),
        (ChildResult(("a",), signal=64), "ended by signal 64 (SIGRTMAX)"),
        (ChildResult(("a",), signal=40), "ended by signal 40 (SIGRTMIN+6)"),
        (ChildResult(("a",), exit_code=0, ended="timed out after 2 s", timed_out=True), "timed out after 2 s"),
        (ChildResult(("a",), refusal="cannot"), "cannot"),
    ],
)
def test_reasons(result: ChildResult, reason: str) -> None:
    assert result.reason == reason
    assert not result.succeeded
