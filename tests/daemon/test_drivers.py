"""
The programs that start, watch and steer a process called keepalived: each as it does that, with its own command line.

Started through a link of that name. Nothing but the environment says where files go that would be shared otherwise.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.version import __version__
from tests.daemon.conftest import Daemons, advertisements, alive, block, daemons, instance, lines, network
from tests.daemon.exporters import read_data, read_json, read_scripts, read_stats, version
from tests.netns import Capture, process_tree, until

__all__ = ["daemons", "network"]

pytestmark = pytest.mark.root

VIP = "192.0.2.100/24"
OTHER = "192.0.2.101/24"

NUMBERS = {"STOP": 15, "RELOAD": 1, "DATA": 10, "STATS": 12, "STATS_CLEAR": 63, "JSON": 36}


class Keepalived:
    """
    What a driver finds installed: a program of that name, in a directory of its own.

    Attributes:
        program: The link.
        temporary: Where dump files go.
        config: The configuration file.
        pid_file: For `-p`; `vrrp_file` for `-r`.
    """

    def __init__(self, router: Daemons) -> None:
        self.router = router
        self.directory = router.directory
        script = self.directory / "bin" / "pyvrrp"
        script.parent.mkdir()
        script.write_text(f"#!{sys.executable}\nimport sys\nfrom pyvrrp.cli import main\nsys.exit(main())\n")
        script.chmod(0o755)
        self.program = script.with_name("keepalived")
        self.program.symlink_to(script.name)
        self.temporary = self.directory / "tmp"
        self.temporary.mkdir()
        self.config = self.directory / "keepalived.conf"
        self.config.write_text(instance())
        self.pid_file, self.vrrp_file = self.directory / "ha.pid", self.directory / "ha.pid-vrrp"
        self.output = self.directory / "output"
        self.started: list[subprocess.Popen[Any]] = []

    @property
    def environment(self) -> dict[str, str]:
        own = {"TMPDIR": str(self.temporary), "PYVRRP_RUNTIME_DIR": str(self.directory / "run")}
        return {**os.environ, **own, "PATH": f"{self.program.parent}:{os.environ['PATH']}"}

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run it to its end: that of the starter where it goes into the background."""
        argv = self.router.namespace.command([str(self.program), *arguments])
        return subprocess.run(
            argv, capture_output=True, text=True, check=check, env=self.environment, cwd=self.directory, timeout=60
        )

    def start(self, *arguments: str, argv: Sequence[str] = ()) -> subprocess.Popen[Any]:
        """Start it in the foreground, or *argv* instead."""
        with self.output.open("ab") as output:
            process = self.router.namespace.popen(
                [*(argv or [str(self.program)]), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=self.directory,
            )
        self.started.append(process)
        return process

    def says(self, text: str) -> None:
        """Wait until the log has that."""
        until(lambda: text in self.output.read_text(), f"says {text}")

    def has(self, vip: str) -> bool:
        return vip in self.router.namespace.addresses()

    def serves(self, vip: str = VIP) -> None:
        until(lambda: self.has(vip), f"{vip} is there")

    def dump(self, pid: int, number: int, name: str) -> str:
        """Have a file written anew and read it, once it has the name."""
        path = self.temporary / name
        path.unlink(missing_ok=True)
        os.kill(pid, number)
        return until(lambda: path.exists() and path.read_text(), name) or ""

    def pids(self) -> list[int]:
        return [int(line) for path in (self.pid_file, self.vrrp_file) for line in lines(path)]

    def close(self) -> None:
        left = [pid for pid in self.pids() if alive(pid) and name_of(pid).startswith("keepalived")]
        for pid in {*left, *(one.pid for one in self.started if one.poll() is None)}:
            for member in process_tree(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, signal.SIGKILL)
        for process in self.started:
            process.wait()
        if self.output.exists():
            assert "Traceback" not in self.output.read_text()


@pytest.fixture
def keepalived(daemons: Daemons) -> Iterator[Keepalived]:
    made = Keepalived(daemons)
    try:
        yield made
    finally:
        made.close()


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_neutron(keepalived: Keepalived) -> None:
    """Both pid files name live processes, SIGHUP to the first reloads, SIGTERM ends both."""
    own = ("-P", "-f", str(keepalived.config), "-p", str(keepalived.pid_file), "-r", str(keepalived.vrrp_file), "-D")
    keepalived.run(*own)
    parent, child = keepalived.pids()
    assert (name_of(parent), name_of(child)) == ("keepalived", "keepalived_vrrp")
    keepalived.serves()
    keepalived.config.write_text(instance(vips=(VIP, OTHER)))
    os.kill(parent, signal.SIGHUP)
    keepalived.serves(OTHER)
    assert keepalived.pids() == [parent, child]
    os.kill(parent, signal.SIGTERM)
    until(lambda: not alive(parent) and not alive(child), "both have ended")
    assert not keepalived.has(VIP)
    assert not keepalived.has(OTHER)
    assert keepalived.pids() == []


def test_neutron_asks_for_the_version(keepalived: Keepalived) -> None:
    """The second word of the first line on standard error; from 2.0.3 on it writes `no_track`."""
    said = keepalived.run("--version")
    assert said.stdout == ""
    word = said.stderr.split()[1]
    assert word == "v2.2.7"
    assert tuple(map(int, word[1:].split("."))) >= (2, 0, 3)
    first, *others = said.stderr.splitlines()
    assert first == f"Keepalived v2.2.7 (pyvrrp v{__version__} in its place)"
    assert any(line.startswith("Config options:") for line in others)


def test_octavia(keepalived: Keepalived) -> None:
    """Of type forking: when the starter has ended well the daemon serves and its pid file is there."""
    keepalived.run("-D", "-d", "-f", str(keepalived.config), "-p", str(keepalived.pid_file), "--log-facility=1")
    (parent,) = keepalived.pids()
    assert alive(parent)
    assert os.getsid(parent) != os.getsid(0)
    keepalived.serves()
    os.kill(parent, signal.SIGTERM)
    until(lambda: not keepalived.pid_file.exists(), "it has ended")


MCO_PROBE = """
set -u
mount -t tmpfs none /run || exit
"$KEEPALIVED" -f keepalived.conf --dont-fork --vrrp --log-detail --log-console > output 2>&1 &
until grep -q 'Startup complete' output; do sleep 0.05; done
pgrep -o keepalived > oldest; pgrep -x keepalived > exact; echo $! > started
: > "$TMPDIR/keepalived.data"
kill -s SIGUSR1 "$(pgrep -o keepalived)"
for _ in $(seq 1 600); do
    if grep -q 'VRRP Instance' "$TMPDIR/keepalived.data"; then touch live; break; fi
    sleep 0.05
done
kill "$(pgrep -o keepalived)"; wait $!; echo $? > code
"""


def test_mco(keepalived: Keepalived) -> None:
    """In a container: the oldest process with that in its name is the one to signal, and the file fills up."""
    own = ["unshare", "--pid", "--fork", "--mount-proc", "bash", "-c", MCO_PROBE]
    argv = ["env", f"KEEPALIVED={keepalived.program}", *own]
    with keepalived.output.open("wb") as output:
        done = subprocess.run(
            keepalived.router.namespace.command(argv),
            stdout=output,
            stderr=output,
            env=keepalived.environment,
            cwd=keepalived.directory,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, keepalived.output.read_text()
    place = keepalived.directory
    assert lines(place / "oldest") == lines(place / "exact") == lines(place / "started")
    assert (place / "live").exists()
    assert lines(place / "code") == ["0"]


def test_the_name_does_not_depend_on_how_it_was_started(keepalived: Keepalived) -> None:
    """By an interpreter, as where the first line of a script may not be so long: the kernel says python then."""
    options = ("-n", "-l", "-G", "-f", str(keepalived.config), "-p", str(keepalived.pid_file))
    process = keepalived.start(*options, argv=[sys.executable, str(keepalived.program)])
    keepalived.says("Startup complete")
    assert [name_of(pid) for pid in process_tree(process.pid)] == ["keepalived", "keepalived_vrrp"]
    process.terminate()
    assert process.wait(30) == 0


def test_the_name_is_taken_without_proc() -> None:
    """With file capabilities that file is root's, and some pods have no /proc."""
    code = (
        "import os; from pyvrrp.daemon import drop_in\n"
        "def refuse(*_): raise PermissionError\n"
        "drop_in.os = type('', (), {**vars(os), 'open': refuse})\n"
        "drop_in.take_name('a-name-that-is-too-long'); print(open('/proc/self/comm').read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "a-name-that-is-"


def test_keepalived_operator(keepalived: Keepalived) -> None:
    """A ConfigMap: the file is a link through `..data`, which is put on another directory; then SIGHUP."""
    mount = keepalived.directory / "config"

    def publish(version_of_it: str, text: str) -> None:
        (mount / version_of_it).mkdir(parents=True)
        (mount / version_of_it / "keepalived.conf").write_text(text)
        (mount / "..tmp").symlink_to(version_of_it)
        (mount / "..tmp").rename(mount / "..data")

    file = mount / "keepalived.conf"
    publish("..1", "@^pod-1 nonsense\n" + instance(vips=("@pod-1 " + VIP, "@pod-2 " + OTHER)))
    file.symlink_to("..data/keepalived.conf")
    own = ("--dont-fork", "--log-console", f"--pid={keepalived.pid_file}", f"--use-file={file}", "--config-id=pod-1")
    keepalived.start(*own, "--no-syslog")
    keepalived.serves()
    (parent,) = keepalived.pids()
    publish("..2", instance(vips=(VIP, "@pod-1 " + OTHER)))
    os.kill(parent, signal.SIGHUP)
    keepalived.serves(OTHER)
    assert keepalived.pids() == [parent]


def test_an_exporter(keepalived: Keepalived) -> None:
    """The version, then numbers of signals by name, then the three files, whose readers are of the strict kind."""
    script = block("vrrp_script ok", 'script "/bin/true"', "interval 1", "user root")
    keepalived.config.write_text(script + instance("track_script {", "    ok", "}"))
    process = keepalived.start("-n", "-G", "-f", str(keepalived.config), "-p", str(keepalived.pid_file))
    keepalived.serves()
    said = keepalived.run("-v").stderr
    assert version(said) == "2.2.7"
    assert "--enable-json" in said
    numbers = {name: int(keepalived.run(f"--signum={name}").stdout) for name in NUMBERS}
    assert numbers == NUMBERS
    (pid,) = keepalived.pids()
    data = keepalived.dump(pid, numbers["DATA"], "keepalived.data")
    stats = read_stats(keepalived.dump(pid, numbers["STATS"], "keepalived.stats"))["VI_1"]
    records, counters = read_json(keepalived.dump(pid, numbers["JSON"], "keepalived.json"))["VI_1"]
    assert (records["iname"], records["ifp_ifname"]) == ("VI_1", "eth0")
    assert (records["vrid"], records["state"], records["wantstate"]) == (51, 2, 2)
    assert records["vips"] == [f"{VIP} dev eth0 scope global set"]
    assert counters["advert_sent"] >= stats["Advertisements/Sent"] >= 1
    assert counters["become_master"] == stats["Became master"] == 1
    assert read_data(data)["VI_1"] == {
        "vips": [(VIP, "eth0")],
        "State": 2,
        "Wantstate": 2,
        "Interface": "eth0",
        "Gratuitous ARP delay": 5,
        "Virtual Router ID": 51,
        "Last transition": records["last_transition"],
    }
    assert read_scripts(data) == {"ok": ("GOOD", "idle")}
    # Cleared after they were written: the next ones count what came since.
    keepalived.dump(pid, numbers["STATS_CLEAR"], "keepalived.stats")
    assert read_stats(keepalived.dump(pid, numbers["STATS"], "keepalived.stats"))["VI_1"]["Became master"] == 0
    os.kill(pid, numbers["STOP"])
    assert process.wait(30) == 0


def test_vyos_reads_the_state_by_name(keepalived: Keepalived) -> None:
    """Which files there are, and that they are for root alone, as with keepalived's own umask."""
    keepalived.start("-n", "-G", "-f", str(keepalived.config), "-p", str(keepalived.pid_file))
    keepalived.serves()
    (pid,) = keepalived.pids()
    for name, file in {"DATA": "keepalived.data", "STATS": "keepalived.stats", "JSON": "keepalived.json"}.items():
        assert keepalived.dump(pid, NUMBERS[name], file)
        assert (keepalived.temporary / file).stat().st_mode & 0o777 == 0o600
    assert (
        (keepalived.temporary / "keepalived_parent.data").read_text().startswith("------< Global definitions >------")
    )


@pytest.mark.parametrize("name", ["RELOAD_TIME", "STOP ", "stop", "TERM"])
def test_a_signal_that_keepalived_does_not_know(keepalived: Keepalived, name: str) -> None:
    said = keepalived.run(f"--signum={name}", check=False)
    assert (said.returncode, said.stdout, said.stderr) == (1, "", f"Unknown sigfunc {name}\n")


@pytest.mark.parametrize("arguments", [("--signum",), ("--bogus",), ("-q",)])
def test_options_that_are_wrong(keepalived: Keepalived, arguments: Sequence[str]) -> None:
    assert keepalived.run(*arguments, check=False).returncode == 1


def test_signals_to_the_vrrp_process(keepalived: Keepalived) -> None:
    """
    It takes none: whoever means the daemon reaches it by its own pid, and `pkill keepalived` means both.

    keepalived's VRRP process would write the files itself, read its configuration again at SIGHUP, and at SIGTERM let
    go and be started again by its parent: a failover that nobody wants.
    """
    pid_files = ("-p", str(keepalived.pid_file), "-r", str(keepalived.vrrp_file))
    keepalived.start("-n", "-l", "-G", "-f", str(keepalived.config), *pid_files)
    keepalived.says("Entering MASTER")
    parent, child = keepalived.pids()
    with Capture(keepalived.router.peer) as capture:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, *(NUMBERS[name] for name in ("DATA", "STATS"))):
            os.kill(child, number)
        os.kill(child, NUMBERS["JSON"])
        os.kill(child, NUMBERS["STATS_CLEAR"])
        heard: list[tuple[int, int]] = []

        def goes_on() -> bool:
            heard.extend(advertisements(capture))
            return len(heard) >= 5

        until(goes_on, "advertisements")
    assert {priority for _, priority in heard} == {100}
    assert keepalived.pids() == [parent, child]
    assert name_of(child) == "keepalived_vrrp"
    assert list(keepalived.temporary.iterdir()) == []
    assert keepalived.output.read_text().count("Entering MASTER") == 1


def test_an_engine_that_was_started_again_takes_no_signals_either(keepalived: Keepalived) -> None:
    pid_files = ("-p", str(keepalived.pid_file), "-r", str(keepalived.vrrp_file))
    keepalived.start("-n", "-l", "-G", "-f", str(keepalived.config), *pid_files)
    keepalived.says("Entering MASTER")  # else it may end between its address and its word of it
    parent, first = keepalived.pids()
    os.kill(first, signal.SIGKILL)
    until(lambda: keepalived.pids()[1:] not in ([], [first]), "another engine")
    second = keepalived.pids()[1]
    for number in NUMBERS.values():
        os.kill(second, number)
    until(lambda: keepalived.output.read_text().count("Entering MASTER") >= 2, "it serves")
    keepalived.dump(parent, NUMBERS["DATA"], "keepalived.data")
    assert keepalived.pids() == [parent, second]
    assert name_of(second) == "keepalived_vrrp"


def test_signals_during_the_start(keepalived: Keepalived) -> None:
    """Neither lost nor deadly from the moment on in which there is an engine, long before the pid file is written."""
    process = keepalived.start("-n", "-G", "-f", str(keepalived.config), "-p", str(keepalived.pid_file))
    until(lambda: len(process_tree(process.pid)) > 1, "there is an engine")
    while not keepalived.has(VIP):
        assert process.poll() is None
        for name in ("DATA", "STATS", "JSON", "STATS_CLEAR"):
            process.send_signal(NUMBERS[name])
        time.sleep(0.01)  # of two of these each that is sent is delivered, and a flood would fill the loop's pipe
    for name in ("data", "stats", "json"):
        until((keepalived.temporary / f"keepalived.{name}").exists, name)
    process.terminate()
    assert process.wait(30) == 0


def test_a_file_with_an_execute_bit(keepalived: Keepalived) -> None:
    """
    Read all the same, and its mistakes are found.

    keepalived 2.2.7 skips it: `--config-test` then ends with 0, a start with 6. A ConfigMap with such a mode would
    leave a pod without service. What is included, by a pattern perhaps, is skipped as keepalived skips it.
    """
    keepalived.config.write_text(instance() + "bogus\n")
    keepalived.config.chmod(0o755)
    assert keepalived.run("-t", "-f", str(keepalived.config), check=False).returncode == 5
    outer = keepalived.directory / "outer.conf"
    outer.write_text(f"include {keepalived.config}\n")
    assert keepalived.run("-t", "-f", str(outer), check=False).returncode == 0


def test_the_umask_that_was_said(keepalived: Keepalived) -> None:
    """`--umask` wins over the file; so monitors of another group may read."""
    keepalived.config.write_text(block("global_defs", "umask 0177") + instance())
    keepalived.start("-n", "-G", "-u", "027", "-f", str(keepalived.config), "-p", str(keepalived.pid_file))
    keepalived.serves()
    (pid,) = keepalived.pids()
    keepalived.dump(pid, NUMBERS["JSON"], "keepalived.json")
    assert (keepalived.temporary / "keepalived.json").stat().st_mode & 0o777 == 0o640


POD_PROBE = """
set -u
mount -t tmpfs none /etc/keepalived && mount -t tmpfs none /run || exit
"$MONITOR" > output 2>&1 &
until grep -q 'Startup complete' output; do sleep 0.05; done
for one in USR1:data USR2:stats $((2 + $(kill -l RTMIN))):json; do
    kill -s "${one%:*}" "$(pgrep -o keepalived)"
    for _ in $(seq 1 600); do [ -s "$TMPDIR/keepalived.${one#*:}" ] && break; sleep 0.05; done
done
kill "$(pgrep -o keepalived)"; wait $!; echo $? > code
"""


def test_the_pod(keepalived: Keepalived) -> None:
    """Under the name of the old image's entry point, beside a shell in its container: the same signals and files."""
    entry = keepalived.program.with_name("monitor.sh")
    entry.symlink_to("pyvrrp")
    said = {"OPENSHIFT_HA_VIRTUAL_IPS": "192.0.2.100", "OPENSHIFT_HA_NETWORK_INTERFACE": "eth0", "MONITOR": str(entry)}
    argv = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "bash", "-c", POD_PROBE]
    with keepalived.output.open("wb") as output:
        subprocess.run(
            keepalived.router.namespace.command(argv),
            stdout=output,
            stderr=output,
            env={**keepalived.environment, **said},
            cwd=keepalived.directory,
            timeout=100,
            check=True,
        )
    assert lines(keepalived.directory / "code") == ["0"], keepalived.output.read_text()
    data, stats, records = (
        (keepalived.temporary / f"keepalived.{name}").read_text() for name in ("data", "stats", "json")
    )
    assert list(read_data(data)) == list(read_stats(stats)) == list(read_json(records)) != []


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(keepalived: Keepalived, flag: str) -> None:
    """On standard error, as keepalived's, with its options and names of signals."""
    said = keepalived.run(flag)
    assert said.stdout == ""
    for word in ("--use-file", "--vrrp_pid", "--config-test", "--signum", *NUMBERS):
        assert word in said.stderr
