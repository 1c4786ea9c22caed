"""Facts a virtual router is told; each class names its column of the state table."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from pyvrrp.protocol.advertisement import Advertisement
from pyvrrp.protocol.constants import IPAddress

GROUP: Final = "group"
"""Cause of a fault that a member of a sync group has because another one has a fault."""


class On(enum.Enum):
    """The kinds of events, as the state table names them."""

    __hash__ = object.__hash__  # looked up for every event; Enum's own is written in Python

    STARTUP = "startup"
    SHUTDOWN = "shutdown"
    DRAIN = "drain"
    ADVERTISEMENT = "advertisement"
    DEADLINE = "deadline"
    PRIORITY = "priority changed"
    FAULT = "fault"
    RECOVERY = "recovery"
    VIPS_MISSING = "addresses missing"
    GROUP_TAKES_OVER = "group takes over"
    GROUP_YIELDS = "group yields"


@dataclass(frozen=True, slots=True)
class Startup:
    """The router may begin: its interface is known and the first results of its checks are in."""

    on: ClassVar[On] = On.STARTUP


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The router was told to end, in order."""

    on: ClassVar[On] = On.SHUTDOWN


@dataclass(frozen=True, slots=True)
class Drain:
    """
    The router was told to hand over: a MASTER says goodbye and serves on until its successor is heard.

    Attributes:
        patience_us: Wait for it at least so long, not just for one interval: others hand over with it, and are slower.
    """

    patience_us: int = 0
    on: ClassVar[On] = On.DRAIN


@dataclass(frozen=True, slots=True)
class AdvertisementReceived:
    """A peer's advertisement passed every receive check."""

    advertisement: Advertisement
    source: IPAddress
    on: ClassVar[On] = On.ADVERTISEMENT


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """Somebody thinks that `next_deadline_us` has come; if it has not, nothing happens."""

    on: ClassVar[On] = On.DEADLINE


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """The trackers' weights give another effective priority (1-255)."""

    priority: int
    on: ClassVar[On] = On.PRIORITY


@dataclass(frozen=True, slots=True)
class FaultRaised:
    """Something without which the router cannot serve is gone; *cause* is its key, *detail* for people."""

    cause: str
    detail: str
    on: ClassVar[On] = On.FAULT


@dataclass(frozen=True, slots=True)
class FaultCleared:
    """The fault of that key is over."""

    cause: str
    on: ClassVar[On] = On.RECOVERY


@dataclass(frozen=True, slots=True)
class VipsMissing:
    """Addresses that should be there are not: somebody removed them, or they could not be installed."""

    addresses: tuple[IPAddress, ...]
    on: ClassVar[On] = On.VIPS_MISSING


@dataclass(frozen=True, slots=True)
class GroupTakesOver:
    """Every member of the sync group wants to be MASTER: all switch now."""

    on: ClassVar[On] = On.GROUP_TAKES_OVER


@dataclass(frozen=True, slots=True)
class GroupYields:
    """Another member of the sync group became BACKUP: all do. *detail* says why, in words."""

    detail: str = ""
    on: ClassVar[On] = On.GROUP_YIELDS


Event: TypeAlias = (
    Startup
    | Shutdown
    | Drain
    | AdvertisementReceived
    | DeadlineReached
    | PriorityChanged
    | FaultRaised
    | FaultCleared
    | VipsMissing
    | GroupTakesOver
    | GroupYields
)
