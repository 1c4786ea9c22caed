"""Counts are shown at the end of the run, whether they hold or not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from pyvrrp.errors import KernelError
from pyvrrp.net.offload import open_offload
from pyvrrp.net.system import ReceivePath
from pyvrrp.protocol.constants import Family
from tests.cost.bounds import COUNTED
from tests.cost.engines import Wire
from tests.netns import Network, network

__all__ = ["network"]

# Python under callgrind takes a minute; a skip would be one more of those that root's run counts as failures.
collect_ignore = [] if os.environ.get("PYVRRP_CALLGRIND") else ["test_instructions.py"]


@pytest.fixture
def wire(network: Network) -> Iterator[Wire]:
    """A host for an engine or a daemon, and a peer that sends to it."""
    with Wire(network) as made:
        yield made


def why_no_ebpf() -> str | None:
    """Why this process may not use eBPF, or None if it may."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            open_offload(sock, Family.V4, [1], 64).close()
        except KernelError as error:
            return str(error)
    return None


@pytest.fixture(params=ReceivePath)
def path(request: pytest.FixtureRequest) -> ReceivePath:
    """Each receive path; where eBPF is refused another would be taken in its place, and counted."""
    asked: ReceivePath = request.param
    if asked is ReceivePath.EBPF and (reason := why_no_ebpf()):
        pytest.skip(f"eBPF is refused here: {reason}")
    return asked


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COUNTED:
        terminalreporter.section("what it costs")
        for measured in COUNTED:
            terminalreporter.line(str(measured))
