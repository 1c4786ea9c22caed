"""A wrong file: one located line for each mistake, and the exit code of `keepalived -t`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.netns import Network, network

__all__ = ["network"]

pytestmark = pytest.mark.root

GOOD = """\
vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    virtual_ipaddress {
        192.0.2.100/24
        192.0.2.101/24
    }
}
"""
SCRIPT = """\
vrrp_script check {
    script /bin/true
}
"""
TRACKED = "    track_script {{\n        {}\n    }}\n    priority"


@dataclass(frozen=True, slots=True)
class Mistake:
    """
    A file with one mistake.

    Attributes:
        name: For the test's id.
        text: The file.
        line: Line number of the complaint.
        word: What the complaint must name.
    """

    name: str
    text: str
    line: int
    word: str

    def __str__(self) -> str:
        return self.name


MISTAKES = (
    Mistake("unknown-keyword", GOOD.replace("priority", "prio"), 5, "prio"),
    Mistake("vrid-300", GOOD.replace("51", "300"), 4, "300"),
    Mistake("missing-brace", GOOD.removesuffix("}\n"), 1, "vrrp_instance"),
    Mistake("interface-does-not-exist", GOOD.replace("eth0", "eth7"), 3, "eth7"),
    Mistake("address-that-is-none", GOOD.replace("192.0.2.100/24", "192.0.2.300/24"), 8, "192.0.2.300"),
    Mistake("value-missing", GOOD.replace("priority 100", "priority"), 5, "priority"),
    Mistake("script-not-defined", GOOD.replace("    priority", TRACKED.format("none")), 6, "none"),
)


def check(directory: Path, network: Network, text: str) -> tuple[int, int, list[str]]:
    """Exit codes of keepalived and pyvrrp for a file, and the lines of the latter."""
    if not shutil.which("keepalived"):
        pytest.skip("needs keepalived")
    file = directory / "keepalived.conf"
    file.write_text(text)
    router, other = network.namespace("router"), network.namespace("other")
    network.veth(router, "eth0", other, "eth0")
    router.ip("address", "add", "192.0.2.1/24", "dev", "eth0")

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        command = router.command([*argv, "-t", "-f", str(file)])
        return subprocess.run(command, capture_output=True, text=True, check=False)

    theirs, ours = run("keepalived"), run(sys.executable, "-m", "pyvrrp", "run")
    return theirs.returncode, ours.returncode, (ours.stdout + ours.stderr).splitlines()


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_one_located_line_and_the_exit_code_of_keepalived(mistake: Mistake, tmp_path: Path, network: Network) -> None:
    theirs, ours, lines = check(tmp_path, network, mistake.text)
    located = [line for line in lines if re.search(rf"keepalived\.conf:{mistake.line}:\d+: ", line)]
    assert len(lines) == len(located) == 1
    assert mistake.word in located[0]
    assert ours == theirs != 0


def test_a_right_file_says_nothing(tmp_path: Path, network: Network) -> None:
    assert check(tmp_path, network, GOOD) == (0, 0, [])


def test_scripts_without_script_security_have_an_exit_code_of_their_own(tmp_path: Path, network: Network) -> None:
    theirs, ours, _ = check(tmp_path, network, SCRIPT + GOOD.replace("    priority", TRACKED.format("check")))
    assert ours == theirs == 6
