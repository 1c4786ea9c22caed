"""
The table of all keywords with how far each has come, made of the rows: what `pyvrrp keywords` shows.

Nothing here is written by hand, so the table says what the parser does.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from pyvrrp.config.keywords import ROWS
from pyvrrp.config.rows import Row, Shape, Status


class State(enum.StrEnum):
    """How far a keyword has come, as users are told."""

    WORKS = "works"
    IN_PART = "works in part"
    NO_EFFECT = "accepted, no effect here"
    NOT_YET = "accepted, not supported yet"
    REFUSED = "refuses the instance, not supported yet"


@dataclass(frozen=True, slots=True)
class Keyword:
    """
    One line of the table.

    Attributes:
        block: Where it stands.
        keyword: As it is typed.
        state: How far it has come.
        since: Release of pyvrrp from which on that holds.
        form: What stands behind it.
        note: What works, where it works in part; else empty.
        source: Where it is described.
    """

    block: str
    keyword: str
    state: State
    since: str
    form: str
    note: str
    source: str

    def as_json(self) -> dict[str, str]:
        """The same as plain text values."""
        return {
            "block": self.block,
            "keyword": self.keyword,
            "state": self.state.value,
            "since": self.since,
            "form": self.form,
            "note": self.note,
            "source": self.source,
        }


def _state(row: Row) -> State:
    if row.refuses:
        return State.REFUSED
    if row.status is Status.WORKS:
        return State.IN_PART if row.partly else State.WORKS
    return State.NO_EFFECT if row.status is Status.NO_EFFECT else State.NOT_YET


def keyword_table(rows: Iterable[Row] = ROWS) -> tuple[Keyword, ...]:
    """All keywords, in the order of the table: block by block as the rows stand."""
    return tuple(
        Keyword(
            block=row.block.value,
            keyword=row.keyword,
            state=_state(row),
            since=row.since,
            form=Shape.BLOCK.value if row.shape is Shape.SKIP else row.shape.value,
            note=row.partly,
            source=row.source,
        )
        for row in rows
    )


def keyword_json(table: Iterable[Keyword] | None = None) -> list[dict[str, str]]:
    """The table for `--json`."""
    return [keyword.as_json() for keyword in (keyword_table() if table is None else table)]
