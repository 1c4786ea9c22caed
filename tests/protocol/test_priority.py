"""Weights to priority: every cell of the table, worked out by hand."""

from __future__ import annotations

import pytest

from pyvrrp.errors import UsageError
from pyvrrp.protocol.priority import Contribution, effective_priority, faults, undecided

# weight, reverse, up: effective priority of base 100, FAULT, undecided
TABLE = [
    (20, False, True, 120, False, False),
    (20, False, False, 100, False, False),
    (20, False, None, 100, False, False),
    (-20, False, True, 100, False, False),
    (-20, False, False, 80, False, False),
    (-20, False, None, 100, False, False),
    (20, True, True, 80, False, False),
    (20, True, False, 100, False, False),
    (20, True, None, 100, False, False),
    (-20, True, True, 100, False, False),
    (-20, True, False, 120, False, False),
    (-20, True, None, 100, False, False),
    (0, False, True, 100, False, False),
    (0, False, False, 100, True, False),
    (0, False, None, 100, False, True),
    (0, True, True, 100, True, False),
    (0, True, False, 100, False, False),
    (0, True, None, 100, False, True),
]


@pytest.mark.parametrize(("weight", "reverse", "up", "priority", "fault", "waits"), TABLE)
def test_every_cell(*, weight: int, reverse: bool, up: bool | None, priority: int, fault: bool, waits: bool) -> None:
    one = [Contribution("chk", weight, reverse, up)]
    assert effective_priority(100, one) == priority
    assert faults(one) == (("chk",) if fault else ())
    assert undecided(one) == (("chk",) if waits else ())


def test_without_trackers_the_base_stands() -> None:
    assert effective_priority(150, ()) == 150
    assert faults(()) == ()


def test_several_weights_add_up() -> None:
    """100 + 20 (up) - 30 (down) - 5 (reverse, up) + 0 (unknown) = 85."""
    several = (
        Contribution("a", 20, up=True),
        Contribution("b", -30, up=False),
        Contribution("c", 5, reverse=True, up=True),
        Contribution("d", 50, up=None),
        Contribution("e", 0, up=True),
    )
    assert effective_priority(100, several) == 85


def test_the_sum_is_clamped_not_each_step() -> None:
    """200 + 100 - 90 = 210: clamping after the first weight would give 164."""
    assert effective_priority(200, (Contribution("a", 100, up=True), Contribution("b", -90, up=False))) == 210


@pytest.mark.parametrize(
    ("base", "weight", "priority"),
    [(250, 4, 254), (250, 5, 254), (254, 253, 254), (10, -9, 1), (10, -10, 1), (1, -253, 1)],
)
def test_nobody_becomes_an_owner_or_says_farewell(base: int, weight: int, priority: int) -> None:
    assert effective_priority(base, [Contribution("chk", weight, up=weight > 0)]) == priority


def test_the_owner_stays_the_owner() -> None:
    assert effective_priority(255, [Contribution("chk", -100, up=False)]) == 255


def test_each_fault_is_named_in_order() -> None:
    several = (
        Contribution("eth1", 0, up=False),
        Contribution("weighted", -10, up=False),
        Contribution("fine", 0, up=True),
        Contribution("standby", 0, reverse=True, up=True),
        Contribution("early", 0, up=None),
    )
    assert faults(several) == ("eth1", "standby")
    assert undecided(several) == ("early",)


@pytest.mark.parametrize("base", [-1, 0, 256])
def test_a_base_that_is_no_priority(base: int) -> None:
    with pytest.raises(UsageError, match="not within 1-255"):
        effective_priority(base, ())
