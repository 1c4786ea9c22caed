"""Imports point down only (`pyvrrp/ARCHITECTURE.md`)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pyvrrp

BELOW = {
    "protocol": {"errors"},
    "config": {"protocol", "errors"},
    "net": {"protocol", "errors"},
    "trackers": {"net", "config", "protocol", "errors"},
    "engine": {"net", "protocol", "errors"},
    "explain": {"config", "protocol", "errors"},
    "manifest": {"config", "errors"},
    "lab": {"net", "protocol", "errors"},
    "daemon": {"engine", "trackers", "net", "config", "protocol", "errors", "version"},
    "pod": {"daemon", "trackers", "net", "config", "protocol", "errors"},
}
"""What the modules of a room may import beside each other; those of the ground floor may import any room."""

ROOT = Path(pyvrrp.__file__).parent


def imported(file: Path) -> Iterator[str]:
    """The rooms that a module imports from."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "pyvrrp":
            names = [f"pyvrrp.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (name.split(".")[1] for name in names if name.startswith("pyvrrp."))


def test_every_room_has_its_place() -> None:
    rooms = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert rooms == set(BELOW)


@pytest.mark.parametrize("room", BELOW)
def test_imports_point_down(room: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {other}"
        for file in sorted((ROOT / room).rglob("*.py"))
        for other in imported(file)
        if other not in BELOW[room] | {room}
    ]
    assert wrong == []
