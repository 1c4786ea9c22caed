"""Skew_Time and Master_Down_Interval, in whole microseconds; fractions are dropped once, at the end (decision D14)."""

from __future__ import annotations

from pyvrrp.protocol.constants import DOWN_TIMER_ADVERTS, US_PER_S


def _skew_scaled(version: int, priority: int, interval_us: int) -> int:
    """Skew_Time in 1/256 microseconds, so that sums can be rounded once."""
    return (256 - priority) * (US_PER_S if version == 2 else interval_us)


def skew_time_us(version: int, priority: int, interval_us: int) -> int:
    """
    How much longer a router of this priority waits than one of priority 256 would.

    Args:
        version: 2 or 3.
        priority: Effective priority, 1-255.
        interval_us: Master_Adver_Interval; version 2 does not look at it.

    Returns:
        Skew_Time in microseconds, 0 or more.

    Source:
        RFC 9568 6.1 (version 3); RFC 3768 6.1 (version 2: not scaled by the interval).
    """
    return _skew_scaled(version, priority, interval_us) // 256


def master_down_interval_us(
    version: int, priority: int, interval_us: int, down_timer_adverts: int = DOWN_TIMER_ADVERTS
) -> int:
    """
    How long a BACKUP waits for an advertisement before it takes over.

    Args:
        version: 2 or 3.
        priority: Effective priority, 1-255.
        interval_us: Master_Adver_Interval in version 3, Advertisement_Interval in version 2.
        down_timer_adverts: Advertisements that may be missed; the RFCs say 3, keepalived lets it be set.

    Returns:
        Master_Down_Interval in microseconds.

    Source:
        RFC 9568 6.1; RFC 3768 6.1.
    """
    return down_timer_adverts * interval_us + _skew_scaled(version, priority, interval_us) // 256
