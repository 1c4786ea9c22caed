"""What `pyvrrp status` says: the engine's values as JSON, and the same for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pyvrrp.daemon.tracking import Check
from pyvrrp.engine.reports import InstanceStatus, Status
from pyvrrp.protocol.constants import US_PER_S


def as_json(
    status: Status,
    checks: Callable[[str], Iterable[Check]],
    daemon: Mapping[str, Any],
    wall_s: float,
) -> dict[str, Any]:
    """
    All that is known, with times of day and ages in seconds.

    Args:
        status: The engine's answer.
        checks: What an instance watches, by its name.
        daemon: What is true of the daemon as a whole.
        wall_s: The time of day (seconds since 1970) at *status.now_us*.
    """
    estimated = {one.interface for one in status.sockets if one.estimated}
    group_of = {member: group.name for group in status.groups for member in group.members}
    return {
        "daemon": dict(daemon),
        "instances": [
            {**_instance(one, checks(one.name), status.now_us, wall_s), "sync_group": group_of.get(one.name)}
            for one in status.instances
        ],
        "sync_groups": [
            {
                "name": one.name,
                "state": str(one.state),
                "since": _clock(wall_s - (status.now_us - one.since_us) / US_PER_S),
                "since_s": _age(status.now_us, one.since_us),
                "members": list(one.members),
                "parted": one.parted,
                "may_part": one.may_part,
            }
            for one in status.groups
        ],
        "interfaces": {
            name: {"counters": dict(counters), "estimated": name in estimated}
            for name, counters in status.interfaces.items()
        },
        "sockets": [
            {
                "interface": one.interface,
                "family": f"IPv{one.family:d}",
                "path": one.path,
                "refused": one.refused,
                "share": one.share,
                "polled": one.polled,
            }
            for one in status.sockets
        ],
    }


def _instance(one: InstanceStatus, checks: Iterable[Check], now_us: int, wall_s: float) -> dict[str, Any]:
    own = one.state == "MASTER"
    heard_us = None if own else one.master_heard_us
    entered = one.entered
    return {
        "name": one.name,
        "interface": one.interface,
        "vrid": one.vrid,
        "family": f"IPv{one.family:d}",
        "version": one.version,
        "state": str(one.state),
        "since": _clock(wall_s - (now_us - one.since_us) / US_PER_S),
        "since_s": _age(now_us, one.since_us),
        "reason": entered.reason if entered is not None else "",
        "cause": str(entered.cause) if entered is not None else "",
        "previous_state": str(entered.previous) if entered is not None else "",
        "base_priority": one.base_priority,
        "effective_priority": one.effective_priority,
        "source": _text(one.source),
        "master": None
        if one.master is None
        else {
            "address": str(one.master),
            "priority": one.effective_priority if own else one.master_priority,
            "self": own,
            "last_advertisement_age_s": None if heard_us is None else _age(now_us, heard_us),
        },
        "advertisement_interval_s": one.advertisement_interval_us / US_PER_S,
        "master_adver_interval_s": one.master_adver_interval_us / US_PER_S,
        "master_down_interval_s": one.master_down_interval_us / US_PER_S,
        "skew_time_s": one.skew_time_us / US_PER_S,
        "wakes_in_s": None if one.next_deadline_us is None else (one.next_deadline_us - now_us) / US_PER_S,
        "preempt_delay_left_s": _left(one.preempt_delay_until_us, now_us),
        "faults": dict(one.faults),
        "waits_for": list(one.held),
        "drained": one.drained,
        "virtual_addresses": [str(address) for address in one.vips],
        "addresses": [str(address) for address in one.addresses],
        "checks": [
            {"kind": c.kind, "name": c.name, "up": c.up, "weight": c.weight, "reverse": c.reverse, "reason": c.reason}
            for c in checks
        ],
        "counters": dict(sorted(one.counters.items())),
    }


def render(status: Mapping[str, Any]) -> str:
    """The same for people."""
    daemon = status["daemon"]
    lines = [f"pyvrrp {daemon['version']}, pid {daemon['pid']}, {daemon['config']}, up {_duration(daemon['up_s'])}"]
    lines += [f"  {warning}" for warning in daemon.get("warnings", ())]
    for one in status["instances"]:
        lines.append("")
        waits = f", waits for {', '.join(one['waits_for'])}" if one["waits_for"] else ""
        waits += ", drained" if one["drained"] else ""
        lines.append(
            f"{one['name']}  {one['state']}  for {_duration(one['since_s'])} ({one['reason'] or 'not started'}{waits})"
        )
        priority = str(one["effective_priority"])
        if one["effective_priority"] != one["base_priority"]:
            priority += f" (configured {one['base_priority']})"
        lines.append(
            f"  router     VRID {one['vrid']} on {one['interface']}, VRRPv{one['version']} {one['family']}, "
            f"priority {priority}, source {one['source'] or 'none'}"
        )
        lines.append(f"  master     {_master(one)}")
        lines.append(
            f"  timers     advertises every {one['advertisement_interval_s']:g} s, "
            f"Master_Down_Interval {one['master_down_interval_s']:.3f} s, Skew_Time {one['skew_time_s']:.3f} s"
        )
        lines.append(f"  addresses  {_addresses(one)}")
        for check in one["checks"]:
            verdict = {True: "up", False: "DOWN", None: "unknown"}[check["up"]]
            if check["weight"]:
                effect = f"weight {check['weight']:+d}{' reverse' if check['reverse'] else ''}"
            else:
                effect = f"FAULT when {'up' if check['reverse'] else 'down'}"
            lines.append(f"  check      {check['name']}: {verdict}, {check['reason']} ({effect})")
        lines += [f"  fault      {detail}" for detail in one["faults"].values()]
        if one["counters"]:
            lines.append("  counters   " + ", ".join(f"{name} {count}" for name, count in one["counters"].items()))
    lines += [line for group in status.get("sync_groups", ()) for line in ("", _group(group))]
    for name, interface in status["interfaces"].items():
        if interface["counters"]:
            about = "~" if interface["estimated"] else ""
            counters = ", ".join(f"{reason} {about}{count}" for reason, count in interface["counters"].items())
            lines += ["", f"{name}: dropped without a virtual router to tell: {counters}"]
    for path in sorted({one["path"] for one in status["sockets"]}):
        where = ", ".join(f"{one['interface']} {one['family']}" for one in status["sockets"] if one["path"] == path)
        why = next((one["refused"] for one in status["sockets"] if one["path"] == path and one["refused"]), "")
        lines += ["", f"receives by {path}: {where}{f' ({why})' if why else ''}"]
    return "\n".join(map(_printable, lines))


def _group(one: Mapping[str, Any]) -> str:
    parted = "; not all in one state" if one["parted"] else ""
    members = ", ".join(one["members"])
    return f"{one['name']}  {one['state']}  for {_duration(one['since_s'])} (sync group of {members}{parted})"


def _printable(line: str) -> str:
    """One line that does nothing to a terminal: words in it may come from a peer, a script or a file."""
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


def _master(one: Mapping[str, Any]) -> str:
    master = one["master"]
    if master is None:
        return "none known"
    if master["self"]:
        return f"this router ({master['address']})"
    text = f"{master['address']} (priority {master['priority']})"
    age_s = master["last_advertisement_age_s"]
    return text if age_s is None else f"{text}, heard {age_s:.3f} s ago"


def _addresses(one: Mapping[str, Any]) -> str:
    there = set(one["addresses"])
    words = [f"{address} {'installed' if address in there else 'not here'}" for address in one["virtual_addresses"]]
    return ", ".join(words) or "none"


def _clock(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")


def _age(now_us: int, then_us: int) -> float:
    return (now_us - then_us) / US_PER_S


def _left(until_us: int | None, now_us: int) -> float | None:
    return None if until_us is None else max(0.0, (until_us - now_us) / US_PER_S)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min", f"{seconds} s"]
    return " ".join(part for part in parts if part)
