"""Skew_Time and Master_Down_Interval against numbers worked by hand from the RFCs."""

from __future__ import annotations

import pytest

from pyvrrp.protocol.timing import master_down_interval_us, skew_time_us

# (priority, interval in cs, Skew_Time, Master_Down_Interval), exact fractions of a microsecond dropped (D14)
VERSION_3 = [
    (100, 100, 609_375, 3_609_375),  # (256-100)/256 s = 0.609375 s
    (200, 100, 218_750, 3_218_750),
    (254, 100, 7_812, 3_007_812),  # 7812.5 us
    (255, 100, 3_906, 3_003_906),  # 3906.25 us
    (1, 100, 996_093, 3_996_093),  # 996093.75 us
    (254, 1, 78, 30_078),  # 78.125 us; in whole centiseconds it would be 0 (TM-05)
    (255, 1, 39, 30_039),
    (150, 25, 103_515, 853_515),  # 103515.625 us
    (1, 4095, 40_790_039, 163_640_039),  # 40.7900390625 s (TM-09)
]

# (priority, interval in s, Skew_Time, Master_Down_Interval): version 2 does not scale the skew (TM-03)
VERSION_2 = [
    (100, 1, 609_375, 3_609_375),
    (100, 10, 609_375, 30_609_375),
    (200, 255, 218_750, 765_218_750),
    (1, 2, 996_093, 6_996_093),
]


@pytest.mark.parametrize(("priority", "interval_cs", "skew_us", "down_us"), VERSION_3)
def test_version_3(priority: int, interval_cs: int, skew_us: int, down_us: int) -> None:
    """TM-01, TM-02: the skew scales with the interval and is not rounded to centiseconds."""
    assert skew_time_us(3, priority, interval_cs * 10_000) == skew_us
    assert master_down_interval_us(3, priority, interval_cs * 10_000) == down_us


@pytest.mark.parametrize(("priority", "interval_s", "skew_us", "down_us"), VERSION_2)
def test_version_2(priority: int, interval_s: int, skew_us: int, down_us: int) -> None:
    """TM-03: the skew is a part of a second whatever the interval."""
    assert skew_time_us(2, priority, interval_s * 1_000_000) == skew_us
    assert master_down_interval_us(2, priority, interval_s * 1_000_000) == down_us


def test_down_timer_adverts() -> None:
    """keepalived's `down_timer_adverts`: 5 intervals of 1 s and the skew of priority 100."""
    assert master_down_interval_us(3, 100, 1_000_000, 5) == 5_609_375
