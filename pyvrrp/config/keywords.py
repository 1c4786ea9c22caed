"""
Every keyword of keepalived.conf that concerns VRRP, one row each, and those of other subsystems by name.

Ranges and defaults are keepalived's, as described in keepalived.conf(5) and as run with 2.2.7; `source` says where a
row is from a later release or our own. The rows stand in `tables/`.
"""

from __future__ import annotations

from typing import Final

from pyvrrp.config.commands import DeletedScript, Script
from pyvrrp.config.rows import Block, Row
from pyvrrp.config.tables.instance import INSTANCE_ROWS
from pyvrrp.config.tables.root import ROOT_ROWS
from pyvrrp.config.tables.settings import SETTINGS_ROWS
from pyvrrp.config.tables.tracked import TRACKED_ROWS

ROWS: Final = (*ROOT_ROWS, *SETTINGS_ROWS, *TRACKED_ROWS, *INSTANCE_ROWS)


def _by_block() -> dict[Block, dict[str, Row]]:
    found: dict[Block, dict[str, Row]] = {block: {} for block in Block}
    for row in ROWS:
        assert row.keyword not in found[row.block], row
        found[row.block][row.keyword] = row
    return found


BY_BLOCK: Final = _by_block()
COMMANDS: Final = frozenset(row.keyword for row in ROWS if isinstance(row.reads, Script | DeletedScript))
INCLUDES: Final = frozenset({"include", "includer", "includem", "includew", "includeb", "includea"})
