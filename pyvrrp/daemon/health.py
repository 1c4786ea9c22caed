"""
Whether a daemon does its work, judged from its own `status`: pure. `looks.py` looks, for exec probes and for HTTP.

Liveness and readiness are two questions, and the first is the careful one: it fails only for what a restart of the
daemon may mend. A failing check, an interface that is down, a drain, first results that are waited for, a network
without a master: all that is the world, and daemon and state machine are right about it. Rules of this file:

* A *moment* passes before a state and the kernel's addresses must agree: take-over and release are under way so long.
* A single look may catch a VIP between its deletion and its return: see `lasting`.
* What is needed of the status is only read; a key that is missing is a mistake of ours and raises KeyError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

MOMENT_S: Final = 2.0
"""How long a state may differ from the addresses; a refused address is tried again each second, so twice."""

LATE_S: Final = 1.0
"""How late a deadline may be. A busy node is late by milliseconds, and half a second more is no reason to kill."""

ADDRESSES_MISSING: Final = "addresses-missing"
ADDRESSES_LEFT: Final = "addresses-left"
ADVERTISEMENT_OLD: Final = "advertisement-old"
DEADLINE_MISSED: Final = "deadline-missed"
NOT_TAKING_PART: Final = "not-taking-part"
IDLE: Final = "idle"

_TAKES_PART: Final = ("MASTER", "BACKUP")
_PRIORITY_OWNER: Final = 255  # as protocol.constants, whose import costs more than all of this

_Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reason:
    """
    Why a daemon is not healthy, or not ready.

    Attributes:
        code: For programs, stable.
        text: One line for people, as far as names and details are.
        instance: Whose it is; None if the daemon's.
        liveness: False if it only keeps from being ready.
    """

    code: str
    text: str
    instance: str | None = None
    liveness: bool = True

    def as_json(self) -> dict[str, Any]:
        """Its members, by their names."""
        return {"code": self.code, "instance": self.instance, "liveness": self.liveness, "message": self.text}


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What a look has found.

    Attributes:
        states: How many instances are in each state; None if the daemon does not know.
        reasons: What is wrong, and what keeps from being ready.
    """

    states: Mapping[str, int] | None
    reasons: tuple[Reason, ...] = ()

    @property
    def alive(self) -> bool:
        """It does its work."""
        return alive(self.reasons)

    @property
    def ready(self) -> bool | None:
        """Every instance takes part, too; None if nobody knows."""
        return None if self.states is None else not self.reasons

    def as_json(self) -> dict[str, Any]:
        """As `pyvrrp health --json` prints it."""
        return {
            "alive": self.alive,
            "ready": self.ready,
            "instances": dict(self.states or {}),
            "reasons": [reason.as_json() for reason in self.reasons],
        }


def states(status: _Json) -> dict[str, int]:
    """How many instances are in each state."""
    found: dict[str, int] = {}
    for one in status["instances"]:
        found[one["state"]] = found.get(one["state"], 0) + 1
    return found


def judge(status: _Json) -> tuple[Reason, ...]:
    """
    All that is wrong, and all that keeps from being ready, in the order of the instances.

    Args:
        status: What `status.as_json` made, also after a way through JSON.
    """
    instances = status["instances"]
    served = {address for one in instances if one["state"] == "MASTER" for address in one["virtual_addresses"]}
    found = tuple(reason for one in instances for reason in _of_instance(one, served))
    idle = status["daemon"].get("idle")  # an older daemon has no such word
    return (Reason(IDLE, idle, liveness=False), *found) if idle else found


def lasting(first: Sequence[Reason], second: Sequence[Reason]) -> tuple[Reason, ...]:
    """What the second look says, less the faults that the first did not see: those may pass like the first one's."""
    before = {(reason.code, reason.instance) for reason in first}
    return tuple(reason for reason in second if not reason.liveness or (reason.code, reason.instance) in before)


def alive(reasons: Sequence[Reason]) -> bool:
    """Whether none of them is about liveness."""
    return not any(reason.liveness for reason in reasons)


def _of_instance(one: _Json, served: set[str]) -> Iterator[Reason]:
    name, state = one["name"], one["state"]
    if one["since_s"] > MOMENT_S:
        if (differ := _missing(one)) and state == "MASTER":
            text = f"{name} is MASTER without {_listed(differ)} on the interface"
            yield Reason(ADDRESSES_MISSING, text, name)
        if (differ := _left(one, served)) and state != "MASTER":
            text = f"{name} is {state}, and {_listed(differ)} on the interface all the same"
            yield Reason(ADDRESSES_LEFT, text, name)
    if (age_s := _overdue_master(one)) is not None:
        down_s = one["master_down_interval_s"]
        text = f"{name} is BACKUP, heard its master {age_s:.1f} s ago and did not act after {down_s:.1f} s"
        yield Reason(ADVERTISEMENT_OLD, text, name)
    if (wakes_in_s := one["wakes_in_s"]) is not None and wakes_in_s < -LATE_S:
        yield Reason(DEADLINE_MISSED, f"{name} should have acted {-wakes_in_s:.1f} s ago", name)
    if state not in _TAKES_PART:
        yield Reason(NOT_TAKING_PART, f"{name} is {state}: {_why(one)}", name, liveness=False)


def _missing(one: _Json) -> list[str]:
    there = set(one["addresses"])
    return [address for address in one["virtual_addresses"] if address not in there]


def _left(one: _Json, served: set[str]) -> list[str]:
    """VIPs that the kernel has; not an owner's, which are the interface's own, nor those that another MASTER serves."""
    if one["base_priority"] == _PRIORITY_OWNER:
        return []
    return [address for address in one["addresses"] if address not in served]


def _overdue_master(one: _Json) -> float | None:
    """
    Seconds since the last advertisement, if that is too long for a BACKUP.

    A deadline that lies ahead is a reason to wait: a sync group is not ready, a reload made the interval shorter.
    """
    if one["state"] != "BACKUP" or one["master"] is None:
        return None
    age_s: float | None = one["master"]["last_advertisement_age_s"]
    wakes_in_s = one["wakes_in_s"]
    if age_s is None or age_s <= one["master_down_interval_s"] + LATE_S or (wakes_in_s is not None and wakes_in_s > 0):
        return None
    return age_s


def _why(one: _Json) -> str:
    if one["drained"]:
        return "drained"
    if one["waits_for"]:
        return f"waits for {', '.join(one['waits_for'])}"
    return "; ".join(one["faults"].values()) or one["reason"] or "not started"


def _listed(addresses: Sequence[str], limit: int = 5) -> str:
    """The addresses; of 255 the first few."""
    more = len(addresses) - limit
    return ", ".join(addresses[:limit]) + (f" and {more} more" if more > 0 else "")
