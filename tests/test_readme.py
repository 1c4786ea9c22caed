"""The README's example does what the README shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.netns import Network, network

__all__ = ["network"]

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    """The fenced blocks of that language, in order."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```\n", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for found, text in fenced if found == language]


@pytest.mark.root
def test_the_example(network: Network) -> None:
    """It becomes MASTER on a real interface, prints its transitions, and leaves no address behind."""
    (example,) = blocks("python")
    router, other = network.namespace("router"), network.namespace("other")
    network.lan({router: "192.0.2.1/24", other: "192.0.2.2/24"})
    printed = router.run([sys.executable, "-c", example])
    assert re.fullmatch(
        r"INITIALIZE -> BACKUP: starting\nBACKUP -> MASTER: no master heard for 3\.4\d\d s\n", printed
    ), printed
    assert router.addresses() == {"192.0.2.1/24"} | {a for a in router.addresses() if a.startswith("fe80")}


def test_the_configuration() -> None:
    """The example configuration is clean."""
    from pyvrrp.config.load import parse_text

    (text,) = (block for block in blocks("") if "vrrp_instance" in block)
    parsed = parse_text(text)
    assert [complaint for complaint in parsed.complaints if complaint.dropped] == []
    (instance,) = parsed.configuration.instances
    assert instance.track_scripts[0].name == "web"


@pytest.mark.parametrize("command", ["run", "status", "lab"])
def test_the_commands_exist(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyvrrp", command, "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert f"pyvrrp {command}" in done.stdout
