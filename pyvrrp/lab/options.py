"""What the lab can be asked for; light to import, for the command line needs it before it knows what it was asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from pyvrrp.errors import UsageError

ROUTER_NAMES: Final = ("r1", "r2", "r3")
CLIENT: Final = "client"
SWITCH: Final = "switch"
PEER: Final = "r2"  # which router is somebody else's daemon with --peer: it takes over first, and is then stopped
DAEMON_NAMES: Final = ("pyvrrp", "keepalived")

Command: TypeAlias = Callable[[str, Path], Sequence[str]]
"""From the name of a router and the directory of its files to the command line of its daemon, in the foreground."""


@dataclass(frozen=True, slots=True)
class LabOptions:
    """
    What to do in the lab.

    Attributes:
        advert_int: Advertisement interval in seconds, 0.01-40.95, in steps of 0.01.
        family: 4 or 6.
        keep: Build it, wait for a MASTER and leave it running.
        daemon: What the routers run, one of `DAEMON_NAMES`.
        peer: What the router `PEER` runs instead, or None.
        json: Put one JSON document on standard output; the story goes to standard error.
        commands: Command lines by router name, before *daemon* and *peer*.

    Raises:
        UsageError: An option is out of range.
    """

    advert_int: float = 1.0
    family: int = 4
    keep: bool = False
    daemon: str = "pyvrrp"
    peer: str | None = None
    json: bool = False
    commands: Mapping[str, Command] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hundredths = self.advert_int * 100
        if not (0.5 < hundredths < 4095.5 and math.isclose(hundredths, round(hundredths))):
            raise UsageError(f"an interval of {self.advert_int:g} s: VRRPv3 has 0.01-40.95 s, in steps of 0.01 s")
        if self.family not in {4, 6}:
            raise UsageError(f"address family {self.family} is neither 4 nor 6")
        for daemon in {self.daemon, self.peer} - {None}:
            if daemon not in DAEMON_NAMES:
                raise UsageError(f"{daemon} is none of {', '.join(DAEMON_NAMES)}")

    def daemon_of(self, router: str) -> str:
        """Name of the program that *router* runs."""
        return self.peer if self.peer and router == PEER else self.daemon
