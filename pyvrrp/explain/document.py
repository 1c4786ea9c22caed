"""`pyvrrp explain --json`: everything that the text says, and every value, as one JSON document."""

from __future__ import annotations

from pyvrrp.explain.cluster import Cluster, RouterReport
from pyvrrp.explain.diagnostics import Level, findings_of
from pyvrrp.explain.effective import effective
from pyvrrp.explain.outlook import Effect, Outlook
from pyvrrp.explain.routers import Node
from pyvrrp.explain.wording import family_name

FORMAT = 1
"""Grows when a member is renamed or given another meaning; new members do not change it."""


def document(cluster: Cluster) -> dict[str, object]:
    """All nodes with their values and virtual routers; with several nodes also who wins, who is next, what splits."""
    several = len(cluster.nodes) > 1
    return {
        "format": FORMAT,
        "nodes": [_node(node) for node in cluster.nodes],
        "virtual_routers": [_router(report) for report in cluster.routers] if several else [],
        "splits": [split.as_json() for split in cluster.splits] if several else [],
    }


def _node(node: Node) -> dict[str, object]:
    findings = findings_of(node.parsed)
    return {
        "name": node.name,
        "file": node.file,
        "starts": not node.parsed.fatal,
        "findings": {level.value: sum(each.level is level for each in findings) for level in Level},
        "routers": [_outlook(outlook) for outlook in node.outlooks],
        "traps": [trap.as_json() for trap in node.traps],
        "blocks": [block.as_json() for block in effective(node.parsed.everything)],
    }


def _outlook(outlook: Outlook) -> dict[str, object]:
    instance = outlook.instance
    return {
        "name": instance.name,
        "vrid": instance.vrid,
        "family": family_name(outlook.family),
        "version": instance.version,
        "interface": instance.interface,
        "refused": outlook.refused,
        "sync_group": outlook.group or None,
        "sends": outlook.reach,
        "from": outlook.source,
        "base_priority": instance.priority,
        "priority": outlook.priority,
        "begins": outlook.start,
        "preempt": instance.preempt,
        "preemption": outlook.preemption,
        "preempt_delay_us": instance.preempt_delay_us,
        "timers": outlook.timers.as_json(),
        "announces": outlook.announcements,
        "addresses": list(outlook.addresses),
        "excluded_addresses": list(outlook.excluded),
        "watches": [_effect(effect) for effect in outlook.effects],
        "notify": [{"event": event, "command": command} for event, command in outlook.notify],
    }


def _effect(effect: Effect) -> dict[str, object]:
    watch = effect.watch
    return {
        "kind": watch.kind.value,
        "name": watch.name,
        "weight": watch.weight,
        "reverse": watch.reverse,
        "via": watch.via,
        "failure": watch.wrong,
        "about": watch.about,
        "fault": effect.priority is None,
        "priority": effect.priority,
        "effect": effect.text,
    }


def _router(report: RouterReport) -> dict[str, object]:
    router, election = report.election.router, report.election
    return {
        "vrid": router.vrid,
        "family": family_name(router.family),
        "addresses": [str(address) for address in router.addresses],
        "members": [
            {"node": member.node, "instance": member.outlook.instance.name, "priority": member.outlook.priority}
            for member in router.members
        ],
        "masters": list(election.normal.masters),
        "tied": list(election.normal.tied),
        "failures": [scenario.as_json() for scenario in election.scenarios],
        "splits": [split.as_json() for split in report.splits],
    }
