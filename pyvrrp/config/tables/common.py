"""What the parts of the table share: short names, readers of values that come up again, rows that differ by word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pyvrrp.config.readers import SECONDS_MAX, UINT_MAX, Integer, Reader, Seconds
from pyvrrp.config.rows import Block, Row, Shape, Status
from pyvrrp.protocol.constants import US_PER_S

BLOCK, LINES, SKIP = Shape.BLOCK, Shape.LINES, Shape.SKIP
NO_EFFECT, NOT_YET = Status.NO_EFFECT, Status.NOT_YET
INT_MAX: Final = 2**31 - 1
MS_DIGITS: Final = 3
SECONDS: Final = Integer(0, SECONDS_MAX, unit=US_PER_S, lenient=True)
REFRESH: Final = Integer(0, UINT_MAX, unit=US_PER_S, lenient=True)
REPEAT: Final = Integer(1, UINT_MAX, zero=1, lenient=True)
REPEAT_OR_NONE: Final = Integer(0, UINT_MAX, lenient=True)
PACING: Final = Seconds(0, SECONDS_MAX * US_PER_S)  # the packaged sample says 0
SIZE: Final = Integer(0, UINT_MAX, required=False)


def many(block: Block, status: Status, words: str, reads: Reader | None = None, **fields: Any) -> Iterator[Row]:
    """Rows that differ by their word alone."""
    for word in words.split():
        if reads is None:
            yield Row(block, word, status=status, **fields)
        else:
            yield Row(block, word, reads, status=status, **fields)
