"""What a virtual router is told once; apart from its machine, which takes longer to import than a file to read."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

from pyvrrp.errors import UsageError
from pyvrrp.protocol.constants import (
    DOWN_TIMER_ADVERTS,
    INTERVAL_DEFAULT_US,
    PRIORITY_DEFAULT,
    PRIORITY_OWNER,
    VRID_MAX,
    VRID_MIN,
    Family,
)


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """
    What a virtual router is told once.

    Attributes:
        vrid: 1-255.
        family: IPv4 or IPv6.
        version: VRRP version, 2 or 3.
        priority: Effective priority to begin with, 1-255; 255 is the owner.
        advertisement_interval_us: Own interval.
        preempt: Take over from a lower-priority master (an owner always does).
        preempt_delay_us: Wait so long after first hearing one.
        down_timer_adverts: Advertisements that may be missed.
        answer_lower_priority: As MASTER answer a lower-priority advertisement at once (RFC 9568, keepalived) or
            stay silent (RFC 5798, RFC 3768, `lower_prio_no_advert`).
        last_word: Send one more advertisement before yielding (`higher_prio_send_advert`).
        owner_starts_as_master: An owner is MASTER at once (RFC); keepalived lets `state BACKUP` wait.
        grouped: Member of a sync group: ask before taking over.
    """

    vrid: int
    family: Family
    version: Literal[2, 3] = 3
    priority: int = PRIORITY_DEFAULT
    advertisement_interval_us: int = INTERVAL_DEFAULT_US
    preempt: bool = True
    preempt_delay_us: int = 0
    down_timer_adverts: int = DOWN_TIMER_ADVERTS
    answer_lower_priority: bool = True
    last_word: bool = False
    owner_starts_as_master: bool = True
    grouped: bool = False

    def __post_init__(self) -> None:
        if not VRID_MIN <= self.vrid <= VRID_MAX:
            raise UsageError(f"vrid {self.vrid} is not between 1 and 255")
        if not 1 <= self.priority <= PRIORITY_OWNER:
            raise UsageError(f"priority {self.priority} is not between 1 and 255")
        if self.advertisement_interval_us <= 0:
            raise UsageError("the advertisement interval must be positive")
        if self.preempt_delay_us < 0:
            raise UsageError("preempt_delay must not be negative")
        if self.down_timer_adverts < 1:
            raise UsageError("down_timer_adverts must be at least 1")


@dataclass(frozen=True, slots=True)
class AnnouncementSettings:
    """
    How often a MASTER tells its neighbours where the addresses are.

    Attributes:
        delay_us: Second burst this long after becoming MASTER; 0 for none.
        repeat: Rounds in a burst, each naming every address once.
        refresh_us: Period of refreshing bursts; 0 for none. The first comes at delay and refresh together.
        refresh_repeat: Rounds in a refreshing burst.
        lower_delay_us: Second burst this long after a lower-priority advertisement; 0 for none.
        lower_repeat: Rounds in each burst after a lower-priority advertisement.
        arp_interval_us: Pause between gratuitous ARPs on an interface.
        na_interval_us: Pause between unsolicited Neighbor Advertisements on an interface.

    Source:
        keepalived 3.8; RFC 9568 6.4 asks for one round.
    """

    delay_us: int = 5_000_000
    repeat: int = 5
    refresh_us: int = 0
    refresh_repeat: int = 1
    lower_delay_us: int = 5_000_000
    lower_repeat: int = 5
    arp_interval_us: int = 0
    na_interval_us: int = 0


class ListMismatch(enum.StrEnum):
    """What a VRRPv2 advertisement with other addresses than ours means; VRRPv3 always warns."""

    WARN = "warn"
    DROP = "drop"
