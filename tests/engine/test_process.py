"""The engine as a process; its life and death under control are tested in tests/daemon."""

from __future__ import annotations

import select
from contextlib import closing

import pytest

from pyvrrp.engine import process
from pyvrrp.engine.pipe import Pipe
from pyvrrp.engine.streams import Ask, Status, Stop, Stopped
from pyvrrp.errors import VrrpError
from tests.netns import Network, network

__all__ = ["network"]


def next_value(pipe: Pipe) -> object:
    """Wait for the engine to say something."""
    while True:
        assert select.select([pipe.fileno()], [], [], 30)[0], "the engine says nothing"
        for value in pipe.receive():
            return value


@pytest.mark.root
def test_a_fault_is_told_with_the_place(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words reach control in a class that can be read there, where it happened goes along as a note."""
    ours, theirs = Pipe.pair()

    def fail(_: object) -> int:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("pyvrrp.engine.loop.Engine.step", fail)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # they are the test's own here
    monkeypatch.setattr("gc.freeze", lambda: None)
    monkeypatch.setattr("gc.disable", lambda: None)
    with network.namespace("a").inside(), closing(Pipe(ours)) as control:
        control.send(Ask(1))
        assert process._Child(Pipe(theirs)).run() == process.EXIT_CRASHED
        failure = next_value(control)
    theirs.close()
    assert isinstance(failure, VrrpError)
    assert str(failure) == "ZeroDivisionError: by nothing"
    assert "in fail" in failure.__notes__[0]


@pytest.mark.root
def test_it_answers_and_stops(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gc.freeze", lambda: None)
    monkeypatch.setattr("gc.disable", lambda: None)
    ours, theirs = Pipe.pair()
    with network.namespace("a").inside(), closing(Pipe(ours)) as control:
        control.send(Ask(7))
        control.send(Stop(handover=True))
        assert process._Child(Pipe(theirs)).run() == 0
        values = control.receive()
    theirs.close()
    assert isinstance(values[0], Status)
    assert (values[0].token, values[-1]) == (7, Stopped())


def test_the_selector_has_microseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits in select(2), which is asked for exactly the time wanted, and only looks with epoll afterwards."""
    asked: list[float] = []
    monkeypatch.setattr("select.select", lambda *arguments: asked.append(arguments[3]))
    with closing(process.PreciseSelector()) as selector:
        assert selector.select(0.000_2) == []
        assert selector.select(0) == []
    assert asked == [0.000_2]
