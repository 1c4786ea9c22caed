"""The order of a pod's start: nothing that takes time comes before the engine's fork, or before it may speak."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.test_launch import HEAVY
from tests.netns import Network, network

__all__ = ["network"]

AT_THE_FORK = """
import sys
sys.argv = ["/var/lib/ipfailover/keepalived/monitor.sh"]
from pyvrrp import cli
from pyvrrp.daemon import launch
def fork():
    print(*sys.modules)
    sys.exit(0)
launch._first_engine = fork
cli.main()
"""

BEFORE_IT_SPEAKS = """
import sys
sys.argv = ["/var/lib/ipfailover/keepalived/monitor.sh"]
from pyvrrp import cli
from pyvrrp.daemon import launch
def control(*_):
    print(*sys.modules)
    return 0
launch._control = control
sys.exit(cli.main())
"""


def run(code: str, directory: Path, wrapper: list[str], **variables: str) -> set[str]:
    """Modules that were there."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(directory), "PYVRRP_RUNTIME_DIR": str(directory / "run")}
    environment |= {"KEEPALIVED_OPTIONS": f"-p {directory}/pid -r {directory}/vrrp", **variables}
    argv = [*wrapper, sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment, cwd=directory)
    assert done.stderr == ""
    return {word for line in done.stdout.splitlines() if not line.startswith("  - ") for word in line.split()}


def test_what_is_imported_before_the_engine_is_forked(tmp_path: Path) -> None:
    """As for a daemon with a file: no configuration, nothing heavy."""
    modules = run(AT_THE_FORK, tmp_path, [])
    assert "pyvrrp.pod.entry" in modules
    assert modules & (HEAVY - {"dataclasses", "inspect"}) == set()
    assert {name for name in modules if name.startswith(("pyvrrp.config", "pyvrrp.trackers"))} == set()


@pytest.mark.root
def test_what_is_imported_before_the_engine_may_speak(tmp_path: Path, network: Network) -> None:
    """Neither event loop nor log; nor what runs programs, where the environment names none."""
    wrapper = network.namespace().command([])
    more = {"OPENSHIFT_HA_VIRTUAL_IPS": "192.0.2.1", "OPENSHIFT_HA_NETWORK_INTERFACE": "lo"}
    modules = run(BEFORE_IT_SPEAKS, tmp_path, wrapper, **more)
    assert "pyvrrp.config.openshift.pod" in modules
    assert modules & (HEAVY - {"dataclasses", "inspect"}) == set()
