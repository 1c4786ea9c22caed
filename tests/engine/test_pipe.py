"""The streams between two processes: whole values in order, never blocking, bounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from pyvrrp.engine import pipe as pipe_module
from pyvrrp.engine.commands import Ask, ClearFault, RaiseFault, Stop
from pyvrrp.engine.pipe import Pipe
from pyvrrp.engine.reports import Stopped


@pytest.fixture
def ends() -> Iterator[tuple[Pipe, Pipe]]:
    one, other = Pipe.pair()
    with closing(Pipe(one)) as left, closing(Pipe(other)) as right:
        yield left, right


def test_values_arrive_whole_and_in_order(ends: tuple[Pipe, Pipe]) -> None:
    left, right = ends
    values = [Ask(1), RaiseFault("VI_1", "script:a", "it failed"), ClearFault("VI_1", "script:a"), Stop()]
    for value in values:
        assert left.send(value)
    assert right.receive() == values
    assert right.receive() == []


def test_both_directions(ends: tuple[Pipe, Pipe]) -> None:
    left, right = ends
    left.send(Stop())
    right.send(Stopped())
    assert (left.receive(), right.receive()) == ([Stopped()], [Stop()])


def test_what_is_larger_than_the_socket_waits(ends: tuple[Pipe, Pipe]) -> None:
    left, right = ends
    text = "x" * 3_000_000
    assert left.send(text)
    assert left.waiting
    received: list[object] = []
    while not received:
        received += right.receive()
        left.flush()
    assert received == [text]
    assert not left.waiting


def test_a_reader_that_does_not_read_costs_a_bound(ends: tuple[Pipe, Pipe], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe_module, "WAITING_MAX", 100_000)
    left, _ = ends
    results = [left.send("x" * 50_000) for _ in range(50)]
    assert results[0]
    assert not results[-1]
    assert left.dropped == results.count(False)


def test_the_end_comes_after_the_last_value(ends: tuple[Pipe, Pipe]) -> None:
    left, right = ends
    left.send(Stop())
    left.close()
    assert right.receive() == [Stop()]
    with pytest.raises(EOFError):
        right.receive()


def test_sending_to_nobody_is_harmless(ends: tuple[Pipe, Pipe]) -> None:
    left, right = ends
    right.close()
    for _ in range(3):
        left.send("x")
    assert not left.waiting
    with pytest.raises(EOFError):
        left.receive()
