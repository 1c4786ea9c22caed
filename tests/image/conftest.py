"""
The image, built once for all tests here; tables of what was seen are printed at the end of the run.

Scenarios wait far more than they compute: those selected run at the same time, each on a stage of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import cast

import pytest

from tests.image.build import TOOLS, Image, build
from tests.image.runtime import Runtime
from tests.image.stage import Stage
from tests.netns import network, why_impossible

__all__ = ["network"]

Record = Callable[[str, str], None]

Scenario = Callable[[Stage], None]

AT_ONCE = 14
PATIENCE_S = 900
"""For the first test, which builds the image."""

_seen: dict[str, list[str]] = {}


@pytest.fixture(scope="session")
def record() -> Record:
    """Call it with a table's name and a line for it."""

    def add(table: str, line: str) -> None:
        _seen.setdefault(table, []).append(line)

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for table, lines in _seen.items():
        terminalreporter.section(table)
        for line in sorted(lines):
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def images(record: Record) -> dict[str, Image]:
    """The image by target; skipped where nothing can build or run it."""
    reason = why_impossible()
    if reason is None:
        missing = [tool for tool in (*TOOLS, "runc") if shutil.which(tool) is None]
        reason = f"needs {', '.join(missing)}" if missing else None
    if reason is not None:
        pytest.skip(reason)
    found = build()
    for target, image in found.items():
        layers = len(image.about["rootfs"]["diff_ids"])
        how = f"built in {image.built_s:.0f} s" if image.built_s else "built before"
        record("the image", f"{target:<8} {image.size / 1e6:6.1f} MB in {layers} layers, {how}")
    return found


@pytest.fixture
def runtime(images: dict[str, Image], tmp_path: Path) -> Iterator[Runtime]:
    """Starts containers, and removes them at the end."""
    with Runtime(tmp_path / "pods", images["default"].about) as made:
        yield made


class Outcomes:
    """Call it with a scenario to wait for its end; the error of one that failed is raised then."""

    def __init__(self, futures: dict[Scenario, Future[None]]) -> None:
        self._futures = futures

    def __call__(self, scenario: Scenario) -> None:
        self._futures[scenario].result()

    def all_over(self) -> None:
        """Wait for the end of all, whatever it is: for who wants the machine for himself."""
        wait(self._futures.values())


@pytest.fixture(scope="session")
def outcome(
    request: pytest.FixtureRequest,
    images: dict[str, Image],
    record: Record,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outcomes]:
    """Plays all selected scenarios."""

    def play(scenario: Scenario, directory: Path) -> None:
        with Stage(images, directory, record) as stage:
            scenario(stage)

    futures: dict[Scenario, Future[None]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for item in request.session.items:
            if isinstance(item, pytest.Function) and "scenario" in item.fixturenames:
                scenario = cast("Scenario", item.callspec.params["scenario"])
                futures[scenario] = pool.submit(play, scenario, tmp_path_factory.mktemp("scenario"))
        yield Outcomes(futures)
        pool.shutdown(cancel_futures=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(PATIENCE_S))
