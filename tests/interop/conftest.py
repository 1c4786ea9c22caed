"""Scenarios wait far more than they compute: those selected run at the same time, each on a LAN of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.lan import Lan, Program
from tests.netns import why_impossible

AT_ONCE = 14


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario, and what runs on r1 and r2."""

    scenario: Callable[[Lan], None]
    first: Program
    second: Program
    name: str

    def __str__(self) -> str:
        return f"{self.name}-{self.first}-{self.second}"

    def run(self, directory: Path) -> None:
        """Play it."""
        with Lan(directory, self.first, self.second) as lan:
            self.scenario(lan)


@pytest.fixture(scope="session")
def outcome(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Case], None]]:
    """Call it with a case to wait for its end; the error of a scenario that failed is raised then."""
    reason = why_impossible()
    if reason is None:
        reason = next((f"needs {command}" for command in ("keepalived", "ping") if not shutil.which(command)), None)
    if reason is not None:
        pytest.skip(reason)
    futures: dict[Case, Future[None]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for item in request.session.items:
            if isinstance(item, pytest.Function) and "outcome" in item.fixturenames:
                case = item.callspec.params["case"]
                assert isinstance(case, Case)
                futures[case] = pool.submit(case.run, tmp_path_factory.mktemp(str(case)))
        yield lambda case: futures[case].result()
        pool.shutdown(cancel_futures=True)
