"""
What the engine's work may cost, in counts that do not depend on how fast a machine is: the one table to tighten.

To tighten it: run `pytest tests/cost`, read the summary at its end, set *seen* to what was counted and *most* to what
is still no regression (a fifth above *seen* for system calls and calls, which vary by a wake-up or two). Counts are per
1,000 advertisements or per take-over of 250 addresses, as the name says. Python calls are those of functions in pyvrrp,
and those to C functions from there; they hardly differ from one interpreter to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bound:
    """
    One row.

    Attributes:
        most: More than this fails.
        seen: What was counted when *most* was set; None where that has yet to be done, and *most* is a guess.
    """

    most: int
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What was counted, for the summary."""

    name: str
    value: int
    bound: Bound

    def __str__(self) -> str:
        seen = "a guess" if self.bound.seen is None else f"{self.bound.seen:,} when that was set"
        return f"{self.name}: {self.value:,} counted, at most {self.bound.most:,} ({seen})"


BOUNDS: Final[Mapping[str, Bound]] = {
    # System calls of the whole engine process, under strace.
    "system calls, 1,000 received one by one, ebpf": Bound(200, 31),
    "system calls, 1,000 received one by one, split": Bound(4_500, 3_021),
    "system calls, 1,000 received one by one, off": Bound(3_000, 1_998),
    "system calls, 1,000 sent by 255 routers": Bound(20, 8),
    "system calls, take-over of 250 addresses": Bound(500, 334),
    # Python calls in `Engine.step`, on real sockets. How often split looks depends on how long 1,000 take to send.
    "calls, 1,000 received one by one, ebpf": Bound(250, 0),
    "calls, 1,000 received one by one, split": Bound(6_000, 695),
    "calls, 1,000 received one by one, off": Bound(85_000, 71_000),
    "calls, 1,000 received in bursts, ebpf": Bound(250, 0),
    "calls, 1,000 received in bursts, split": Bound(6_000, 695),
    "calls, 1,000 received in bursts, off": Bound(4_000, 1_910),
    "calls, 1,000 sent by 255 routers": Bound(16_000, 13_287),
    "calls, take-over of 250 addresses": Bound(39_000, 33_021),
    # Memory that is not given back: blocks of the interpreter's allocator, containers, and what only gc would find. The
    # free lists of the interpreter take some tens, however long one measures.
    **{
        f"{what}, 1,000 received, {path}": bound
        for path in ("ebpf", "split", "off")
        for what, bound in (
            ("blocks kept", Bound(20, 1)),
            ("containers kept", Bound(10, 0)),
            ("cyclic garbage", Bound(0, 0)),
        )
    },
    "blocks kept, 50 ticks of 255": Bound(60, 30),
    "containers kept, 50 ticks of 255": Bound(50, 27),
    # ctypes makes a type for an array of some length anew, once after each collection.
    "cyclic garbage, 50 ticks of 255": Bound(20, 9),
    # Machine instructions by callgrind, with PYVRRP_CALLGRIND=1; they depend on how the interpreter was built.
    # Both ends and the LAN in memory between them are in it.
    "instructions, 1,000 sent and heard in memory": Bound(120_000_000, 65_667_832),
}

COUNTED: Final[list[Measured]] = []
"""All that `hold` was asked in this run."""


def hold(name: str, value: int) -> None:
    """Assert that a count is within its bound; the message has the count, the bound and what it once was."""
    measured = Measured(name, value, BOUNDS[name])
    COUNTED.append(measured)
    assert value <= measured.bound.most, str(measured)
