"""The table itself: total, without dead rows, every word of it has a meaning, and the picture shows it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import pyvrrp
from pyvrrp.protocol.events import On
from pyvrrp.protocol.router import VirtualRouter
from pyvrrp.protocol.states import TRANSITIONS, Do, If, State, diagram, rows_by_cell


@pytest.mark.parametrize(("state", "on"), list(itertools.product(State, On)))
def test_total(state: State, on: On) -> None:
    """Every State × Event has rows, and only the last of them is unconditional."""
    rows = rows_by_cell()[state, on]
    assert [row.guard is If.ALWAYS for row in rows] == [False] * (len(rows) - 1) + [True]


def test_no_row_twice() -> None:
    heads = [(row.state, row.on, row.guard) for row in TRANSITIONS]
    assert len(heads) == len(set(heads))


def test_every_row_names_its_source() -> None:
    assert all(row.source for row in TRANSITIONS)


def test_every_word_has_a_meaning() -> None:
    """Guards and steps of the table are those the router knows, and none is unused."""
    assert {*VirtualRouter._GUARDS, If.ALWAYS} == set(If) == {row.guard for row in TRANSITIONS}
    assert set(VirtualRouter._STEPS) == set(Do) == {step for row in TRANSITIONS for step in row.do}


def test_order_at_take_over() -> None:
    """RFC 9568 6.4: the advertisement goes out before the addresses are installed, those before they are announced."""
    for row in TRANSITIONS:
        if row.to is State.MASTER and row.state is not State.MASTER:
            order = [row.do.index(step) for step in (Do.SEND, Do.INSTALL_VIPS, Do.ANNOUNCE, Do.RESTART_ADVER)]
            assert order == sorted(order), row


def test_leaving_master_removes_addresses() -> None:
    for row in TRANSITIONS:
        if row.state is State.MASTER and row.to is not State.MASTER:
            assert Do.REMOVE_VIPS in row.do, row


def test_architecture_shows_the_table() -> None:
    """The diagram in ARCHITECTURE.md is printed from the table: `pyvrrp.protocol.states.diagram()`."""
    text = (Path(pyvrrp.__file__).parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert diagram() in text
