"""
Tracker weights to effective priority: pure functions over what each tracker contributes.

| weight     | tracker up | tracker down | unknown                     |
|------------|------------|--------------|-----------------------------|
| +w         | +w         | 0            | 0                           |
| -w         | 0          | -w           | 0                           |
| +w reverse | -w         | 0            | 0                           |
| -w reverse | 0          | +w           | 0                           |
| 0          | nothing    | FAULT        | the router waits, silent    |
| 0 reverse  | FAULT      | nothing      | the router waits, silent    |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pyvrrp.errors import UsageError
from pyvrrp.protocol.constants import PRIORITY_OWNER

PRIORITY_MIN: Final = 1  # 0 is what a router sends when it leaves
PRIORITY_MAX: Final = PRIORITY_OWNER - 1  # weights make nobody an owner


@dataclass(frozen=True, slots=True)
class Contribution:
    """
    What one tracker brings to one virtual router.

    Attributes:
        name: The tracker's name, for the reason people read.
        weight: -253 to 253; 0 means FAULT rather than arithmetic.
        reverse: The tracker counts the other way round.
        up: Its verdict, None as long as there is none.
    """

    name: str
    weight: int = 0
    reverse: bool = False
    up: bool | None = None

    @property
    def points(self) -> int:
        """What it adds to the priority now."""
        if self.up is None:
            return 0
        signed = -self.weight if self.reverse else self.weight
        # A positive weight acts while the tracker is up, a negative one while it is down; reverse turns the sign alone.
        acts = self.up if self.weight > 0 else not self.up
        return signed if acts else 0

    @property
    def fault(self) -> bool:
        """It forces FAULT now."""
        return self.weight == 0 and self.up is not None and self.up == self.reverse

    @property
    def undecided(self) -> bool:
        """It could force FAULT, and has no verdict yet."""
        return self.weight == 0 and self.up is None


def effective_priority(base: int, contributions: Iterable[Contribution]) -> int:
    """
    The priority to advertise.

    Args:
        base: Configured priority, 1-255.
        contributions: All trackers of the virtual router.

    Returns:
        Base and weights, kept within 1-254; the owner's 255 never changes.

    Raises:
        UsageError: *base* is not a priority.
    """
    if not PRIORITY_MIN <= base <= PRIORITY_OWNER:
        raise UsageError(f"priority {base} is not within 1-255")
    if base == PRIORITY_OWNER:
        return base
    total = base + sum(contribution.points for contribution in contributions)
    return min(max(total, PRIORITY_MIN), PRIORITY_MAX)


def faults(contributions: Iterable[Contribution]) -> tuple[str, ...]:
    """Names of the trackers that force FAULT, each of them once for each time it is tracked; empty when none does."""
    return tuple(contribution.name for contribution in contributions if contribution.fault)


def undecided(contributions: Iterable[Contribution]) -> tuple[str, ...]:
    """Names of the unweighted trackers without a first verdict: until then the router neither sends nor listens."""
    return tuple(contribution.name for contribution in contributions if contribution.undecided)
