"""What the engine, trackers and notify scripts report, in words: keepalived's own where operators match on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyvrrp.daemon.lines import Line
from pyvrrp.daemon.notify import NotifyReport
from pyvrrp.engine.reports import (
    Dropped,
    Entered,
    FellBack,
    GroupEntered,
    Hastened,
    KernelFailed,
    Noticed,
    Remarked,
    Report,
)
from pyvrrp.net.system import SEND
from pyvrrp.protocol.actions import Cause, Note, Remark, Transition
from pyvrrp.protocol.constants import US_PER_S
from pyvrrp.protocol.states import State
from pyvrrp.trackers.base import TrackerNotice, TrackerReport


@dataclass(frozen=True, slots=True)
class Own:
    """State and effective priority of the instance itself, for the comparisons keepalived prints."""

    state: State = State.INITIALIZE
    priority: int = 0


def of_report(report: Report, own: Own) -> Iterator[Line]:
    """
    Lines for a report of the engine.

    Args:
        report: What the engine said.
        own: The instance as it was before the report.
    """
    match report:
        case Entered(name, transition):
            yield from _entered(name, transition)
        case GroupEntered(name, previous, state):
            # As keepalived, which is silent about the first state of a group that has nothing to wait for.
            silent = (State.BACKUP,) if previous is State.INITIALIZE else ()
            if state not in {previous, State.INITIALIZE, *silent}:
                states = {"state": str(state), "previous_state": str(previous)}
                yield Line("info", f"VRRP_Group({name}) Syncing instances to {state} state", {"group": name, **states})
        case Remarked(name, remark):
            yield _remarked(name, remark, own)
        case Dropped():
            yield _dropped(report)
        case Noticed(name, notice, source, detail, count):
            again = f" ({count} times)" if count > 1 else ""
            fields = {"instance": name, "notice": str(notice), "peer": str(source), "count": count}
            yield Line("warning", f"({name}) advertisement from {source}: {detail}{again}", fields)
        case KernelFailed(name, operation, text, _):
            who = f"({name}) " if name else ""
            # What cannot be sent is tried again in each interval.
            repeats = "advertisements cannot be sent" if operation == SEND else ""
            yield Line("error", f"{who}{text}", {"instance": name, "operation": operation} if name else {}, repeats)
        case FellBack(path, reason):
            text = f"advertisements are received by the path '{path}': {reason}"
            yield Line("warning", text, {"path": path})
        case Hastened(priority, late_us):
            text = f"the engine woke up {late_us / 1000:.1f} ms late and takes real-time priority {priority}"
            yield Line("warning", text, {"rt_priority": priority, "late_us": late_us})
        case _:
            return


def _entered(name: str, transition: Transition) -> Iterator[Line]:
    fields: dict[str, Any] = {
        "instance": name,
        "state": str(transition.state),
        "previous_state": str(transition.previous),
        "priority": transition.priority,
        "cause": str(transition.cause),
    }
    if transition.peer is not None:
        fields |= {"peer": str(transition.peer), "peer_priority": transition.peer_priority}
    explanation = _explanation(name, transition)
    if explanation:
        yield Line("debug" if transition.cause is Cause.STARTUP else "info", explanation, {"instance": name})
    if transition.state is State.INITIALIZE:
        yield Line("info", f"({name}) Stopped", fields | {"reason": transition.reason})
        return
    init = " (init)" if transition.previous is State.INITIALIZE and transition.state is not State.MASTER else ""
    yield Line("info", f"({name}) Entering {transition.state} STATE{init}", fields | {"reason": transition.reason})


def _explanation(name: str, transition: Transition) -> str:
    """A line of its own for why, as keepalived has one before some of its transitions."""
    peer, theirs = transition.peer, transition.peer_priority
    match transition.cause:
        case Cause.STARTUP | Cause.SHUTDOWN:
            return ""
        case Cause.HIGHER_PRIORITY:
            return (
                f"({name}) Master received advert from {peer} with higher priority {theirs}, ours {transition.priority}"
            )
        case Cause.HIGHER_ADDRESS:
            return (
                f"({name}) Master received advert from {peer} with same priority {theirs}"
                " but higher IP address than ours"
            )
        case Cause.FAULT:
            return f"({name}) entering FAULT state ({transition.detail})"
        case Cause.MASTER_TIMEOUT:
            return f"({name}) Receive advertisement timeout: {transition.reason}"
        case _:
            return f"({name}) {transition.reason}"


def _remarked(name: str, remark: Remark, own: Own) -> Line:
    fields: dict[str, Any] = {"instance": name, "note": str(remark.note)}
    if remark.peer is not None:
        fields["peer"] = str(remark.peer)
    seconds = (remark.value_us or 0) / US_PER_S
    limited = f"{name} {remark.note}"
    match remark.note:
        case Note.LOWER_PRIORITY:
            text = f"received lower priority ({remark.priority}) advert from {remark.peer} - discarding"
            if own.state is State.MASTER:
                text = (
                    f"Received advert from {remark.peer} with lower priority {remark.priority}, ours {own.priority},"
                    " forcing new election"
                )
            return Line("info", f"({name}) {text}", fields | {"peer_priority": remark.priority}, limited)
        case Note.SAME_ADDRESS:
            text = f"advert of our priority {remark.priority} from our own address {remark.peer}: is it used twice?"
            return Line("warning", f"({name}) {text}", fields, limited)
        case Note.RELEASE_HEARD:
            who, what = ("Master", "message") if own.state is State.MASTER else ("Backup", "advertisement")
            theirs = f"({name}) {who} received priority 0 {what}"
            return Line("info", f"{theirs} from {remark.peer}", fields | {"message": theirs}, limited)
        case Note.NEW_MASTER:
            return Line(
                "info", f"({name}) master set to {remark.peer}", fields | {"peer_priority": remark.priority}, limited
            )
        case Note.INTERVAL_LEARNED:
            before, after = (remark.before or 0) // 1000, (remark.value_us or 0) // 1000
            text = f"({name}) advertisement interval updated from {before}ms to {after}ms by master"
            return Line("info", text, fields, limited)
        case Note.PREEMPT_DELAY_STARTED:
            return Line("info", f"({name}) start preempt delay ({seconds:.6f})", fields, limited)
        case Note.PREEMPT_DELAY_STOPPED:
            return Line("debug", f"({name}) stop preempt delay", fields, limited)
        case Note.PRIORITY:
            text = f"({name}) Changing effective priority from {remark.before} to {remark.priority}"
            return Line("info", text, fields | {"priority": remark.priority})
        case Note.FAULT:
            return Line("info", f"({name}) one more fault: {remark.detail}", fields)
        case Note.FAULT_CLEARED:
            return Line("info", f"({name}) a fault is gone, what remains: {remark.detail}", fields)
        case Note.HANDOVER:
            return Line("debug", f"({name}) serving until a successor is heard, {seconds:g} s at most", fields)
        case Note.RELEASE_SENT:
            return Line("info", f"({name}) sent 0 priority", fields)
        case Note.OVERSLEPT:
            text = f"this process did not run for {seconds:.3f} s; silent until it is clear who is MASTER"
            return Line("warning", f"({name}) {text}", fields)


def _dropped(report: Dropped) -> Line:
    source = report.source if report.source is not None else "an unreadable sender"
    who = f"({report.instance})" if report.instance else report.interface
    again = f" ({report.count} packets)" if report.count > 1 else ""
    detail = f": {report.detail}" if report.detail else ""
    fields = {
        "instance": report.instance,
        "interface": report.interface,
        "drop": str(report.reason),
        "peer": str(source),
        "count": report.count,
    }
    return Line("warning", f"{who} dropped a packet from {source}, {report.reason}{detail}{again}", fields)


def of_tracker(kind: str, report: TrackerReport) -> Line:
    """A line for a verdict or a notice of a tracker."""
    fields: dict[str, Any] = {"tracker": report.name, "kind": kind}
    if isinstance(report, TrackerNotice):
        return Line("warning", f"{report.name}: {report.text}", fields)
    if report.output:
        fields["output"] = report.output
    if kind == "interface":
        return Line(
            "info", f"Netlink reports {report.name} {'up' if report.up else 'down'}", fields | {"reason": report.reason}
        )
    if report.up is None:
        return Line("info", f"VRRP_Script({report.name}) {report.reason}", fields)
    if report.up:
        return Line("info", f"VRRP_Script({report.name}) succeeded", fields)
    text = "timed_out" if report.timed_out else f"failed ({report.reason})"
    if report.signal is not None and not report.timed_out:
        fields["message"] = f"VRRP_Script({report.name}) failed (due to signal {report.signal})"
    return Line("warning", f"VRRP_Script({report.name}) {text}", fields)


def of_notify(report: NotifyReport) -> Line:
    """A line for what became of a notify script."""
    told = report.notification
    fields: dict[str, Any] = {"instance": told.name, "state": told.state}
    if report.argv:
        fields["script"] = report.argv[0]
    good = report.result is not None and report.result.succeeded
    script = f" {report.argv[0]}" if report.argv else ""
    return Line("debug" if good else "warning", f"({told.name}) notify {told.state}{script}: {report.text}", fields)
