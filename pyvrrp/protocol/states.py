"""
The state machine as a table. Read this first.

Rules of this file:

* A row says: in this state, on this event, if this guard holds, go there and do this, because of that source.
* Rows of one state and event are tried from top to bottom; the first whose guard holds is taken.
* The last row of each state and event is ALWAYS, so the table is total: there is no event without an answer.
* Steps are carried out in the order written. What they mean is in `router.py`, beside the guards.
* Nothing else changes a router's state.

RFC 9568 names the states Active and Backup; here they are MASTER and BACKUP, as operators type them.
FAULT is keepalived's: the router wants to take part and cannot.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pyvrrp.protocol.events import On


class State(enum.StrEnum):
    """Where a virtual router is in its life."""

    INITIALIZE = "INITIALIZE"
    BACKUP = "BACKUP"
    MASTER = "MASTER"
    FAULT = "FAULT"


class If(enum.Enum):
    """Guards of rows; the value says when they hold."""

    ALWAYS = "always"
    FAULTY = "a fault is present"
    OWNER = "owner (255) that may start as MASTER"
    PRIORITY_ZERO = "its priority is 0"
    NO_PREEMPT_OR_NOT_LOWER = "no preemption, or its priority is not lower"
    PREEMPT_DELAYED = "preempt_delay has not run out"
    OUTRANKED = "its priority is higher, or equal with a greater address"
    DOUBTFUL = "we overslept"
    DOUBTFUL_AND_RELEASED = "we overslept, and its priority is 0"
    DOUBTFUL_AND_NOT_BETTER = "we overslept, and are not better or may not preempt at once"
    DRAINING = "we hand over"
    SUCCESSOR = "we hand over, and it is a successor (its priority is not 0)"
    FAR_TOO_LATE = "we overslept a whole Master_Down_Interval"
    WAITS_FOR_GROUP = "other members of the sync group are not ready"


class Do(enum.Enum):
    """Steps of rows; the value says what is done."""

    SEND = "send an advertisement"
    SEND_LAST_WORD = "send one more advertisement if so configured"
    SEND_PRIORITY_ZERO = "send priority 0"
    ASSERT = "answer with an advertisement and announce, unless just done for that sender"
    INSTALL_VIPS = "install the addresses"
    REINSTALL_VIPS = "install the missing addresses again"
    ANNOUNCE = "announce the addresses"
    REMOVE_VIPS = "remove the addresses"
    ARM_ADVER = "Adver_Timer := own interval, on the grid"
    RESTART_ADVER = "Adver_Timer := own interval from now"
    ARM_MASTER_DOWN = "Master_Down_Timer := Master_Down_Interval"
    ARM_SKEW = "Master_Down_Timer := Skew_Time"
    SHIFT_BY_SKEW = "Master_Down_Timer moves by the change of Skew_Time"
    LISTEN = "stop sending and listen for one Master_Down_Interval"
    START_DRAIN = "serve on for one interval, in silence"
    LET_GO_SOON = "serve on until its announcements are out"
    CANCEL = "cancel the timer"
    RESET_INTERVAL = "Master_Adver_Interval := own interval"
    ADOPT_INTERVAL = "Master_Adver_Interval := the sender's, from now on it is the master"
    START_PREEMPT_DELAY = "start preempt_delay if it does not run"
    STOP_PREEMPT_DELAY = "stop preempt_delay"
    NOTE_LOWER = "note the lower priority"
    NOTE_RELEASE = "note the priority 0"
    NOTE_PRIORITY = "note the new priority"
    NOTE_FAULT = "note one more fault"
    NOTE_RECOVERY = "note one fault less"
    ASK_GROUP = "tell the sync group that we are ready"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    state: State
    on: On
    guard: If
    to: State
    do: tuple[Do, ...]
    source: str


_INITIALIZE, _BACKUP, _MASTER, _FAULT = State.INITIALIZE, State.BACKUP, State.MASTER, State.FAULT

_TAKE_OVER = (Do.SEND, Do.INSTALL_VIPS, Do.ANNOUNCE, Do.RESTART_ADVER, Do.STOP_PREEMPT_DELAY)
_RETAKE = (Do.SEND, Do.ANNOUNCE, Do.RESTART_ADVER)
_YIELD = (Do.CANCEL, Do.REMOVE_VIPS, Do.STOP_PREEMPT_DELAY)
_LET_GO = (Do.CANCEL, Do.REMOVE_VIPS)
_NOT_TOLD = "RFC 9568 6.4 (event not of this state)"

# fmt: off
TRANSITIONS: tuple[Row, ...] = (
    # INITIALIZE: waits for Startup, hears nothing
    Row(_INITIALIZE, On.STARTUP,       If.FAULTY,  _FAULT,      (),                                       "keepalived 3.2.2"),
    Row(_INITIALIZE, On.STARTUP,       If.OWNER,   _MASTER,     _TAKE_OVER,                               "RFC 9568 6.4.1; RFC 3768 6.4.1"),
    Row(_INITIALIZE, On.STARTUP,       If.ALWAYS,  _BACKUP,     (Do.RESET_INTERVAL, Do.ARM_MASTER_DOWN),  "RFC 9568 6.4.1; RFC 3768 6.4.1"),
    Row(_INITIALIZE, On.SHUTDOWN,      If.ALWAYS,  _INITIALIZE, (),                                       _NOT_TOLD),
    Row(_INITIALIZE, On.DRAIN,         If.ALWAYS,  _INITIALIZE, (),                                       _NOT_TOLD),
    Row(_INITIALIZE, On.ADVERTISEMENT, If.ALWAYS,  _INITIALIZE, (),                                       "RFC 9568 6.4.1 (V3-FSM-32)"),
    Row(_INITIALIZE, On.DEADLINE,      If.ALWAYS,  _INITIALIZE, (),                                       _NOT_TOLD),
    Row(_INITIALIZE, On.PRIORITY,      If.ALWAYS,  _INITIALIZE, (),                                       "keepalived 3.6"),
    Row(_INITIALIZE, On.FAULT,         If.ALWAYS,  _INITIALIZE, (),                                       "keepalived 3.2.2 (counted, judged at Startup)"),
    Row(_INITIALIZE, On.RECOVERY,      If.ALWAYS,  _INITIALIZE, (),                                       "keepalived 3.2.2 (counted, judged at Startup)"),
    Row(_INITIALIZE, On.VIPS_MISSING,  If.ALWAYS,  _INITIALIZE, (),                                       "keepalived 3.9"),
    Row(_INITIALIZE, On.GROUP_TAKES_OVER, If.ALWAYS, _INITIALIZE, (),                                     "keepalived 3.5"),
    Row(_INITIALIZE, On.GROUP_YIELDS,  If.ALWAYS,  _INITIALIZE, (),                                       "keepalived 3.5"),

    # BACKUP: listens to the master, ready to take its place
    Row(_BACKUP, On.STARTUP,       If.ALWAYS,        _BACKUP,     (),                                     _NOT_TOLD),
    Row(_BACKUP, On.SHUTDOWN,      If.ALWAYS,        _INITIALIZE, (Do.CANCEL, Do.STOP_PREEMPT_DELAY),     "RFC 9568 6.4.2; RFC 3768 6.4.2"),
    Row(_BACKUP, On.DRAIN,         If.ALWAYS,        _INITIALIZE, (Do.CANCEL, Do.STOP_PREEMPT_DELAY),     "design: make before break"),
    Row(_BACKUP, On.ADVERTISEMENT, If.PRIORITY_ZERO, _BACKUP,     (Do.NOTE_RELEASE, Do.ARM_SKEW),         "RFC 9568 6.4.2; RFC 3768 6.4.2"),
    Row(_BACKUP, On.ADVERTISEMENT, If.NO_PREEMPT_OR_NOT_LOWER, _BACKUP,
        (Do.STOP_PREEMPT_DELAY, Do.ADOPT_INTERVAL, Do.ARM_MASTER_DOWN),                                   "RFC 9568 6.4.2; RFC 3768 6.4.2"),
    Row(_BACKUP, On.ADVERTISEMENT, If.PREEMPT_DELAYED, _BACKUP,
        (Do.START_PREEMPT_DELAY, Do.ADOPT_INTERVAL, Do.ARM_MASTER_DOWN),                                  "keepalived 3.3 (EXT-PD-01, RFC 8347 hold-time)"),
    Row(_BACKUP, On.ADVERTISEMENT, If.ALWAYS,        _BACKUP,     (Do.NOTE_LOWER,),                       "RFC 9568 6.4.2; RFC 3768 6.4.2"),
    Row(_BACKUP, On.DEADLINE,      If.WAITS_FOR_GROUP, _BACKUP,   (Do.ARM_MASTER_DOWN, Do.ASK_GROUP),     "keepalived 3.5"),
    Row(_BACKUP, On.DEADLINE,      If.ALWAYS,        _MASTER,     _TAKE_OVER,                             "RFC 9568 6.4.2; RFC 3768 6.4.2"),
    Row(_BACKUP, On.PRIORITY,      If.ALWAYS,        _BACKUP,     (Do.NOTE_PRIORITY, Do.SHIFT_BY_SKEW),   "keepalived 3.6 (TM-11)"),
    Row(_BACKUP, On.FAULT,         If.ALWAYS,        _FAULT,      (Do.CANCEL, Do.STOP_PREEMPT_DELAY),     "keepalived 3.2 (V3-FSM-34)"),
    Row(_BACKUP, On.RECOVERY,      If.ALWAYS,        _BACKUP,     (),                                     _NOT_TOLD),
    Row(_BACKUP, On.VIPS_MISSING,  If.ALWAYS,        _BACKUP,     (),                                     "keepalived 3.9"),
    Row(_BACKUP, On.GROUP_TAKES_OVER, If.ALWAYS,     _MASTER,     _TAKE_OVER,                             "keepalived 3.5"),
    Row(_BACKUP, On.GROUP_YIELDS,  If.ALWAYS,        _BACKUP,     (Do.ARM_MASTER_DOWN,),                  "keepalived 3.5"),

    # MASTER: serves the addresses and says so
    Row(_MASTER, On.STARTUP,       If.ALWAYS,        _MASTER,     (),                                     _NOT_TOLD),
    Row(_MASTER, On.SHUTDOWN,      If.DRAINING,      _INITIALIZE, _LET_GO,                                "design: make before break"),
    Row(_MASTER, On.SHUTDOWN,      If.ALWAYS,        _INITIALIZE,
        (Do.CANCEL, Do.SEND_PRIORITY_ZERO, Do.REMOVE_VIPS),                                               "RFC 9568 6.4.3; RFC 3768 6.4.3"),
    Row(_MASTER, On.DRAIN,         If.DRAINING,      _MASTER,     (),                                     "design: make before break"),
    Row(_MASTER, On.DRAIN,         If.ALWAYS,        _MASTER,     (Do.SEND_PRIORITY_ZERO, Do.START_DRAIN), "design: make before break"),
    Row(_MASTER, On.ADVERTISEMENT, If.SUCCESSOR,     _MASTER,     (Do.LET_GO_SOON,),                      "design: make before break"),
    Row(_MASTER, On.ADVERTISEMENT, If.DRAINING,      _MASTER,     (),                                     "design: make before break"),
    Row(_MASTER, On.ADVERTISEMENT, If.DOUBTFUL_AND_RELEASED, _MASTER, (Do.NOTE_RELEASE, *_RETAKE),        "design: late means doubtful"),
    Row(_MASTER, On.ADVERTISEMENT, If.PRIORITY_ZERO, _MASTER,     (Do.NOTE_RELEASE, Do.SEND, Do.RESTART_ADVER),
        "RFC 9568 6.4.3; RFC 3768 6.4.3"),
    Row(_MASTER, On.ADVERTISEMENT, If.OUTRANKED,     _BACKUP,
        (Do.SEND_LAST_WORD, *_YIELD, Do.ADOPT_INTERVAL, Do.ARM_MASTER_DOWN),                              "RFC 9568 6.4.3; RFC 3768 6.4.3"),
    Row(_MASTER, On.ADVERTISEMENT, If.DOUBTFUL_AND_NOT_BETTER, _BACKUP,
        (*_YIELD, Do.ADOPT_INTERVAL, Do.ARM_MASTER_DOWN),                                                 "design: late means doubtful"),
    Row(_MASTER, On.ADVERTISEMENT, If.DOUBTFUL,      _MASTER,     (Do.NOTE_LOWER, *_RETAKE),              "design: late means doubtful"),
    Row(_MASTER, On.ADVERTISEMENT, If.ALWAYS,        _MASTER,     (Do.NOTE_LOWER, Do.ASSERT),             "RFC 9568 6.4.3 (D6); version 2 as keepalived 3.2"),
    Row(_MASTER, On.DEADLINE,      If.DRAINING,      _INITIALIZE, _LET_GO,                                "design: make before break"),
    Row(_MASTER, On.DEADLINE,      If.FAR_TOO_LATE,  _MASTER,     (Do.LISTEN,),                           "design: late means doubtful"),
    Row(_MASTER, On.DEADLINE,      If.DOUBTFUL,      _MASTER,     _RETAKE,                                "design: late means doubtful"),
    Row(_MASTER, On.DEADLINE,      If.ALWAYS,        _MASTER,     (Do.SEND, Do.ARM_ADVER),                "RFC 9568 6.4.3; RFC 3768 6.4.3"),
    Row(_MASTER, On.PRIORITY,      If.ALWAYS,        _MASTER,     (Do.NOTE_PRIORITY,),                    "keepalived 3.6 (said in the next advertisement)"),
    Row(_MASTER, On.FAULT,         If.DRAINING,      _INITIALIZE, _LET_GO,                                "design: make before break"),
    Row(_MASTER, On.FAULT,         If.ALWAYS,        _FAULT,
        (Do.CANCEL, Do.SEND_PRIORITY_ZERO, Do.REMOVE_VIPS),                                               "keepalived 3.2 (one priority 0, not two)"),
    Row(_MASTER, On.RECOVERY,      If.ALWAYS,        _MASTER,     (),                                     _NOT_TOLD),
    Row(_MASTER, On.VIPS_MISSING,  If.ALWAYS,        _MASTER,     (Do.REINSTALL_VIPS, Do.ANNOUNCE),       "better than keepalived 3.9: put back, no flap"),
    Row(_MASTER, On.GROUP_TAKES_OVER, If.ALWAYS,     _MASTER,     (),                                     "keepalived 3.5"),
    Row(_MASTER, On.GROUP_YIELDS,  If.DRAINING,      _INITIALIZE, _LET_GO,                                "design: make before break"),
    Row(_MASTER, On.GROUP_YIELDS,  If.ALWAYS,        _BACKUP,     (*_YIELD, Do.ARM_MASTER_DOWN),          "keepalived 3.5"),

    # FAULT: would like to, cannot
    Row(_FAULT, On.STARTUP,       If.ALWAYS,  _FAULT,      (),                                            _NOT_TOLD),
    Row(_FAULT, On.SHUTDOWN,      If.ALWAYS,  _INITIALIZE, (),                                            "keepalived 3.11"),
    Row(_FAULT, On.DRAIN,         If.ALWAYS,  _INITIALIZE, (),                                            "keepalived 3.11"),
    Row(_FAULT, On.ADVERTISEMENT, If.ALWAYS,  _FAULT,      (),                                            "keepalived 3.4.2"),
    Row(_FAULT, On.DEADLINE,      If.ALWAYS,  _FAULT,      (),                                            _NOT_TOLD),
    Row(_FAULT, On.PRIORITY,      If.ALWAYS,  _FAULT,      (Do.NOTE_PRIORITY,),                           "keepalived 3.6"),
    Row(_FAULT, On.FAULT,         If.ALWAYS,  _FAULT,      (Do.NOTE_FAULT,),                              "keepalived 3.6 (counted)"),
    Row(_FAULT, On.RECOVERY,      If.FAULTY,  _FAULT,      (Do.NOTE_RECOVERY,),                           "keepalived 3.6 (ends when all are gone)"),
    Row(_FAULT, On.RECOVERY,      If.OWNER,   _MASTER,     _TAKE_OVER,                                    "keepalived 3.2; RFC 9568 6.4.1"),
    Row(_FAULT, On.RECOVERY,      If.ALWAYS,  _BACKUP,     (Do.RESET_INTERVAL, Do.ARM_MASTER_DOWN),       "keepalived 3.2; RFC 9568 6.4.1"),
    Row(_FAULT, On.VIPS_MISSING,  If.ALWAYS,  _FAULT,      (),                                            "keepalived 3.9"),
    Row(_FAULT, On.GROUP_TAKES_OVER, If.ALWAYS, _FAULT,    (),                                            "keepalived 3.5"),
    Row(_FAULT, On.GROUP_YIELDS,  If.ALWAYS,  _FAULT,      (),                                            "keepalived 3.5"),
)
# fmt: on


def rows_by_cell() -> dict[tuple[State, On], tuple[Row, ...]]:
    """The table, looked up by state and event; rows keep their order."""
    cells: dict[tuple[State, On], tuple[Row, ...]] = {}
    for row in TRANSITIONS:
        cells[row.state, row.on] = (*cells.get((row.state, row.on), ()), row)
    return cells


def diagram() -> str:
    """The moves between states as a Mermaid diagram; it stands in ARCHITECTURE.md and a test compares them."""
    moves: dict[tuple[State, State], list[str]] = {}
    for row in TRANSITIONS:
        if row.to is not row.state:
            label = row.on.value if row.guard is If.ALWAYS else f"{row.on.value}, {row.guard.value}"
            moves.setdefault((row.state, row.to), []).append(label)
    lines = ["stateDiagram-v2", "    [*] --> INITIALIZE"]
    for (origin, target), labels in moves.items():
        lines.append(f"    {origin} --> {target}: {'<br/>'.join(labels)}")
    return "\n".join(lines)
