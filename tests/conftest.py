"""
For all tests: where namespaces can be made, a test that is skipped though it could run makes the run fail.

A skip is fine on a machine that lacks a right. As root on a machine that has it, a skip hides a missing package or a
wrong guess of the test, and the only good reasons left are the kernel's own: those in `KERNEL_LACKS`.
"""

from __future__ import annotations

import os
import subprocess

import pytest

# Each entry: how the reason of an excused skip begins, and what the kernel of such a machine was built without.
KERNEL_LACKS: tuple[str, ...] = (
    "kernel has no IFA_PROTO",  # before 5.18
    "eBPF is refused here",  # bpf(2) kept from root: seccomp, a security module, or lockdown
)


def can_make_namespaces() -> bool:
    """Whether this process is root and may make network namespaces; both are asked for by most real-kernel tests."""
    if os.geteuid() != 0:
        return False
    try:
        return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class SkipsCount:
    """Collects skips that have no excuse and turns a green run with any of them red."""

    def __init__(self) -> None:
        self.unexcused: list[tuple[str, str]] = []

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Remember the skip in *report*, if it is one and is not excused."""
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        where = report.longrepr
        reason = str(where[2] if isinstance(where, tuple) else where).removeprefix("Skipped: ")
        if not reason.startswith(KERNEL_LACKS):
            self.unexcused.append((report.nodeid, reason))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexcused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unexcused:
            terminalreporter.section("skipped, though root could run them: this run has failed", red=True)
            for where, reason in self.unexcused:
                terminalreporter.line(f"{where}: {reason}")


def pytest_configure(config: pytest.Config) -> None:
    if can_make_namespaces():
        config.pluginmanager.register(SkipsCount(), "skips-count")
