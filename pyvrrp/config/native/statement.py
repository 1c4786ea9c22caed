"""A configuration as what is said: keywords, words and blocks, before either form has given them a look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pyvrrp.config.model import Command
from pyvrrp.config.rows import Block, Row
from pyvrrp.config.system import Deprecated


@dataclass(frozen=True, slots=True)
class Statement:
    """
    A keyword and what stands behind it.

    Attributes:
        row: The keyword.
        words: Its arguments; of a block with a name the name.
        command: Of a keyword that takes one: program, user and group.
        lines: Of a block of values: the words of each line.
        body: Of a block of keywords: what it says.
        off: It is said that a switch is off, where keepalived has no word for that.
    """

    row: Row
    words: tuple[str, ...] = ()
    command: Command | None = None
    lines: tuple[tuple[str, ...], ...] = ()
    body: tuple[Statement, ...] = ()
    off: bool = False


# The blocks in this order: what is referred to stands before what refers to it, as keepalived wants it.
ORDER: Final = (
    Block.GLOBAL,
    Block.TRACK_GROUP,
    Block.TRACK_FILE,
    Block.TRACK_PROCESS,
    Block.BFD,
    Block.SCRIPT,
    Block.GARP_GROUP,
    Block.INSTANCE,
    Block.SYNC_GROUP,
)


def reader_of(row: Row) -> Any:
    """What reads its arguments, advice aside."""
    reads = row.reads
    return reads.reads if isinstance(reads, Deprecated) else reads
