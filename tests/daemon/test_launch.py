"""The start: what comes before what, so that the first advertisement is not late and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.conftest import Daemons, alive, daemons, instance, network
from tests.netns import process_tree, until

__all__ = ["daemons", "network"]

root = pytest.mark.root

HEAVY = {
    "asyncio",
    "logging",
    "argparse",
    "structlog",
    "pyroute2",
    "ssl",
    "json",
    "subprocess",
    "dataclasses",
    "inspect",
}

AT_THE_FORK = """
import sys
from pyvrrp import cli
from pyvrrp.daemon import launch
def fork():
    print(*sys.modules)
    sys.exit(0)
launch._first_engine = fork
cli.main(["run", "-n", "-G", "-f", "k.conf", "-p", "pid", "--runtime-dir", "run"])
"""


def test_what_is_imported_before_the_engine_is_forked() -> None:
    """It comes along into the engine, and every millisecond of it makes the first advertisement later."""
    done = subprocess.run([sys.executable, "-c", AT_THE_FORK], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "pyvrrp.engine.process" in modules
    assert modules & (HEAVY - {"dataclasses", "inspect"}) == set()
    assert {name for name in modules if name.startswith(("pyvrrp.config", "pyvrrp.lab", "pyvrrp.trackers"))} == set()


BEFORE_THE_ENGINE_SPEAKS = """
import sys
from pyvrrp import cli
from pyvrrp.daemon import launch
def control(*_):
    print(*sys.modules)
    return 0
launch._control = control
sys.exit(cli.main(["run", "-n", "-G", "-f", "one.conf", "-p", "pid", "--runtime-dir", "run"]))
"""


@root
def test_what_is_imported_before_the_engine_may_speak(daemons: Daemons) -> None:
    """The event loop, the log and the supervisor come after that."""
    daemons.file().write_text(instance())
    argv = daemons.namespace.command([sys.executable, "-c", BEFORE_THE_ENGINE_SPEAKS])
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=daemons.directory)
    modules = set(done.stdout.split())
    assert "pyvrrp.daemon.deciding" in modules
    assert modules & (HEAVY - {"dataclasses", "inspect"}) == set()
    assert not list(daemons.runtime.glob("*/*"))


@root
def test_the_order_at_the_start(daemons: Daemons) -> None:
    """The state file is written before the engine hears of the first address."""
    code = BEFORE_THE_ENGINE_SPEAKS.replace(
        "launch._control = control",
        "import os\nfrom pathlib import Path\nfrom pyvrrp.daemon.engine_process import EngineProcess\n"
        "send = EngineProcess.send\ndef noted(self, command):\n"
        "    print(type(command).__name__, len(list(Path('run').glob('*/*/state.json'))), file=sys.stderr)\n"
        "    send(self, command)\nEngineProcess.send = noted\nlaunch._control = control",
    )
    daemons.file().write_text(instance(priority=255))
    argv = daemons.namespace.command([sys.executable, "-c", code])
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=daemons.directory)
    assert done.stderr == "Configure 1\n"


@root
@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        ("vrrp_instance {", ("--strict",), 2),
        (instance(interface="eth9"), ("--strict",), 2),
        (instance(), ("-f", "nowhere.conf"), 6),
        (instance(), ("-g", "/nowhere/log/file"), 0),
    ],
)
def test_a_start_that_fails_leaves_no_engine(daemons: Daemons, text: str, options: tuple[str, ...], code: int) -> None:
    """It was forked before anybody could know."""
    daemon = daemons.start(text, *options)
    tree: set[int] = set()
    while daemon.process.poll() is None:
        tree |= set(process_tree(daemon.pid))
        if "Startup complete" in daemon.text:
            daemon.end()
    assert daemon.wait() == code
    assert not [pid for pid in tree if alive(pid)]


@root
def test_the_namespace_of_the_file_is_that_of_the_engine(daemons: Daemons, tmp_path: Path) -> None:
    """The engine that was forked in the wrong one is replaced."""
    name = f"pyvrrp-test-{daemons.namespace.index()}-{id(daemons) & 0xFFFF:x}"
    place = Path("/run/netns") / name
    place.parent.mkdir(exist_ok=True)
    place.touch()
    try:
        subprocess.run(["mount", "--bind", daemons.namespace.path, str(place)], check=True)
        file = tmp_path / "k.conf"
        file.write_text(f"net_namespace {name}\n" + instance())
        argv = [
            sys.executable,
            "-m",
            "pyvrrp",
            "run",
            "-n",
            "-l",
            "-G",
            "-f",
            str(file),
            "--runtime-dir",
            str(tmp_path),
        ]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
            until(lambda: "192.0.2.100/24" in daemons.namespace.addresses(), "it serves there")
            process.terminate()
            assert process.wait(30) == 0
        assert "192.0.2.100/24" not in daemons.namespace.addresses()
    finally:
        subprocess.run(["umount", str(place)], check=False)
        place.unlink()


def test_the_event_loop_comes_without_tls() -> None:
    """4 MB that nobody here needs; whoever wants it later gets it."""
    code = (
        "import sys; from pyvrrp.daemon import launch\n"
        "loop = launch._event_loop(); print('ssl' in sys.modules)\n"
        "async def main(): await loop.sleep(0); return 5\n"
        "print(loop.run(main())); import ssl; print(bool(ssl.SSLContext), launch._event_loop() is loop)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n5\nTrue True\n"
