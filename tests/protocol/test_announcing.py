"""The plan of announcements against keepalived 3.8, with times worked by hand."""

from __future__ import annotations

from pyvrrp.protocol.actions import Burst
from pyvrrp.protocol.announcing import AnnouncementPlan
from pyvrrp.protocol.settings import AnnouncementSettings

S = 1_000_000


def test_master_burst_comes_twice() -> None:
    """Five rounds at once, five more 5 s later, then silence."""
    plan = AnnouncementPlan(AnnouncementSettings())
    assert plan.begin(Burst.MASTER, 10 * S) == 5
    assert plan.next_deadline_us == 15 * S
    assert plan.due(15 * S - 1) == 0
    assert plan.due(15 * S) == 5
    assert plan.next_deadline_us is None
    assert plan.due(99 * S) == 0


def test_no_second_burst_without_delay() -> None:
    plan = AnnouncementPlan(AnnouncementSettings(delay_us=0, repeat=1))
    assert plan.begin(Burst.MASTER, 0) == 1
    assert plan.next_deadline_us is None


def test_refresh_starts_after_delay_and_period() -> None:
    """First at master_delay + master_refresh, then each master_refresh, on the grid even when woken late."""
    plan = AnnouncementPlan(AnnouncementSettings(delay_us=2 * S, refresh_us=10 * S, refresh_repeat=3))
    plan.begin(Burst.MASTER, 0)
    assert plan.due(2 * S) == 5
    assert plan.next_deadline_us == 12 * S
    assert plan.due(12 * S) == 3
    assert plan.next_deadline_us == 22 * S
    assert plan.due(45 * S) == 3
    assert plan.next_deadline_us == 52 * S


def test_lower_priority_burst() -> None:
    plan = AnnouncementPlan(AnnouncementSettings(lower_delay_us=3 * S, lower_repeat=2))
    assert plan.begin(Burst.LOWER_PRIORITY, 0) == 2
    assert plan.due(3 * S) == 2
    assert plan.next_deadline_us is None


def test_lower_priority_burst_can_be_off() -> None:
    plan = AnnouncementPlan(AnnouncementSettings(lower_repeat=0))
    assert plan.begin(Burst.LOWER_PRIORITY, 0) == 0
    assert plan.next_deadline_us is None
    plan = AnnouncementPlan(AnnouncementSettings(lower_delay_us=0))
    assert plan.begin(Burst.LOWER_PRIORITY, 0) == 5
    assert plan.next_deadline_us is None


def test_bursts_due_together_are_one() -> None:
    """Two bursts due at one moment: neighbours need to hear it as often as the longer asks, not the sum."""
    plan = AnnouncementPlan(AnnouncementSettings(lower_repeat=2))
    plan.begin(Burst.MASTER, 0)
    plan.begin(Burst.LOWER_PRIORITY, 0)
    assert plan.due(5 * S) == 5


def test_stop_forgets_everything() -> None:
    plan = AnnouncementPlan(AnnouncementSettings(refresh_us=S))
    plan.begin(Burst.MASTER, 0)
    plan.stop()
    assert plan.next_deadline_us is None
    assert plan.due(99 * S) == 0
