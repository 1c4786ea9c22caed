"""The systemd unit, with the path of this program in it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from pyvrrp.errors import UsageError

UNIT: Final = Path(__file__).parents[1] / "deploy" / "pyvrrp.service"

_PROGRAM: Final = re.compile(r"^(Exec\w+=)/usr/bin/pyvrrp(?=\s)", re.MULTILINE)


def unit(program: Path | None = None) -> str:
    """
    Read the unit.

    Args:
        program: Absolute path of `pyvrrp`; None for the one beside this interpreter.

    Raises:
        UsageError: The path cannot stand in a unit as it is.
    """
    path = str(program or Path(sys.executable).parent / "pyvrrp")
    if not re.fullmatch(r"/[A-Za-z0-9_/.+-]+", path):
        raise UsageError(f"{path}: systemd would not take this path as it stands; use a plainer one")
    return _PROGRAM.sub(lambda match: match[1] + path, UNIT.read_text("utf-8"))
