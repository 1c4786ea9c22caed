"""
Wishes a virtual router answers with.

They are carried out in the order given: an advertisement goes out before the addresses move, addresses are there
before they are announced, and people are told last. A wish that fails comes back as an event
(`VipsMissing`, `FaultRaised`), it is never dropped.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from pyvrrp.protocol.constants import IPAddress
from pyvrrp.protocol.states import State


@dataclass(frozen=True, slots=True)
class SendAdvertisement:
    """Send an advertisement with this priority now."""

    priority: int


@dataclass(frozen=True, slots=True)
class InstallVips:
    """Put the virtual addresses on their interfaces: all, or only the *missing* ones."""

    missing: tuple[IPAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveVips:
    """Take the virtual addresses off their interfaces."""


class Burst(enum.Enum):
    """Why addresses are announced; each has its own count and repetition."""

    MASTER = "became master"
    LOWER_PRIORITY = "heard a lower priority"


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the neighbours where the addresses are: gratuitous ARP, unsolicited Neighbor Advertisement."""

    burst: Burst


@dataclass(frozen=True, slots=True)
class AskGroup:
    """Tell the sync group that this member is ready to be MASTER."""


class Cause(enum.StrEnum):
    """Why a state was entered; values follow `last-event` of RFC 8347 where it has one."""

    STARTUP = "startup"
    SHUTDOWN = "shutdown"
    HANDED_OVER = "handed-over"
    NO_SUCCESSOR = "no-successor"
    OWNER = "owner-preempt"
    MASTER_TIMEOUT = "master-timeout"
    MASTER_RELEASED = "master-released"
    LOWER_PRIORITY_MASTER = "lower-priority-master"
    HIGHER_PRIORITY = "higher-priority-backup"
    HIGHER_ADDRESS = "higher-address"
    OVERSLEPT = "overslept"
    FAULT = "fault"
    RECOVERY = "recovery"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Transition:
    """
    The router is in another state.

    Attributes:
        previous: State it was in.
        state: State it is in now.
        cause: Why.
        at_us: When, monotonic microseconds.
        priority: Own effective priority at that time.
        peer: The router this is about: who won, or who fell silent.
        peer_priority: Its priority as last heard.
        silent_us: How long that router had not been heard.
        detail: The fault in words, or why the group moves.
    """

    previous: State
    state: State
    cause: Cause
    at_us: int
    priority: int
    peer: IPAddress | None = None
    peer_priority: int | None = None
    silent_us: int | None = None
    detail: str = ""

    @property
    def reason(self) -> str:
        """Why, for people: who, which priority, since when."""
        peer = f"{self.peer} (priority {self.peer_priority})"
        silent = f"{(self.silent_us or 0) / 1e6:.3f} s"
        match self.cause:
            case Cause.STARTUP:
                return "starting"
            case Cause.SHUTDOWN:
                return "asked to stop"
            case Cause.HANDED_OVER:
                return f"asked to stop, and {peer} serves now"
            case Cause.NO_SUCCESSOR:
                return "asked to stop, and no successor was heard"
            case Cause.OWNER:
                return "owner of the addresses (priority 255)"
            case Cause.MASTER_TIMEOUT:
                if self.peer is None:
                    return f"no master heard for {silent}"
                return f"{peer} not heard for {silent}"
            case Cause.MASTER_RELEASED:
                return f"{self.peer} released the addresses (priority 0)"
            case Cause.LOWER_PRIORITY_MASTER:
                return f"{peer} has a lower priority than ours, {self.priority}"
            case Cause.HIGHER_PRIORITY:
                return f"{peer} has a higher priority than ours, {self.priority}"
            case Cause.HIGHER_ADDRESS:
                return f"{peer} has our priority and a higher address"
            case Cause.OVERSLEPT:
                return f"this router was stopped and {peer} took over meanwhile"
            case Cause.FAULT:
                return self.detail
            case Cause.RECOVERY:
                return "all faults are gone"
            case _:
                why = f": {self.detail}" if self.detail else ""
                return f"the sync group moves together{why}"


class Note(enum.StrEnum):
    """Things worth knowing that change no state."""

    LOWER_PRIORITY = "lower-priority"
    SAME_ADDRESS = "same-address"
    RELEASE_HEARD = "release-heard"
    RELEASE_SENT = "release-sent"
    NEW_MASTER = "new-master"
    INTERVAL_LEARNED = "interval-learned"
    PREEMPT_DELAY_STARTED = "preempt-delay-started"
    PREEMPT_DELAY_STOPPED = "preempt-delay-stopped"
    PRIORITY = "priority"
    OVERSLEPT = "overslept"
    HANDOVER = "handover"
    FAULT = "fault"
    FAULT_CLEARED = "fault-cleared"


@dataclass(frozen=True, slots=True)
class Remark:
    """
    Something worth a line in a log; values only, words are the reader's affair.

    Attributes:
        note: What.
        peer: The router it is about.
        priority: A priority that goes with it: the peer's, or our new one.
        before: What it was before: our old priority, the old interval in microseconds.
        value_us: A time that goes with it.
        detail: In words, where words came from outside.
    """

    note: Note
    peer: IPAddress | None = None
    priority: int | None = None
    before: int | None = None
    value_us: int | None = None
    detail: str = ""


Action: TypeAlias = SendAdvertisement | InstallVips | RemoveVips | Announce | AskGroup | Transition | Remark
