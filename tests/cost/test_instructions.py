"""Machine instructions for advertisements sent and heard in memory; only with PYVRRP_CALLGRIND=1, see conftest.py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cost.bounds import hold
from tests.cost.instructions import VRIDS

FEW, MANY = 10, 60


def collected(intervals: int) -> int:
    """Instructions of a whole run."""
    root = Path(__file__).resolve().parents[2]
    # The same hashes each time, or sets and dictionaries of strings take other ways.
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    # A virtual environment's python is a link; valgrind needs no more than that it can be executed.
    argv = [*valgrind, sys.executable, "-m", "tests.cost.instructions", str(intervals)]
    done = subprocess.run(argv, env=environment, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr[-2000:]
    return int(found[1])


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs the program valgrind")
def test_sending_and_hearing() -> None:
    advertisements = (MANY - FEW) * len(VRIDS)
    instructions = collected(MANY) - collected(FEW)
    hold("instructions, 1,000 sent and heard in memory", round(1000 * instructions / advertisements))
