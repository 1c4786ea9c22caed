"""Whether a test left processes behind: an autouse fixture for those who import it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


def our_children() -> set[int]:
    """Processes, zombies too, whose parent we are."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(status.parent.name))
    return found


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    before = our_children()
    yield
    assert our_children() <= before
