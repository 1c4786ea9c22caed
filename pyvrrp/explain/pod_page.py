"""`pyvrrp explain --env`: what the pod would do, for people and as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pyvrrp.config.listening import Listening
from pyvrrp.config.openshift.scripts import ALWAYS
from pyvrrp.explain.diagnostics import Level, render
from pyvrrp.explain.layout import Layout
from pyvrrp.explain.outlook import headline
from pyvrrp.explain.paint import PLAIN, Paint
from pyvrrp.explain.pod import PodOutlook, Stand, numbers
from pyvrrp.explain.wording import family_name, names
from pyvrrp.protocol.constants import PRIORITY_OWNER

FORMAT: Final = 1
"""As that of `document.py`."""


def render_pod(outlook: PodOutlook, paint: Paint = PLAIN) -> str:
    """Interface, slot, groups and all else that follows from the environment, and everything said about it."""
    pod = outlook.pod
    page = Layout(paint)
    page.line(f"ipfailover pod on {outlook.facts.hostname or pod.node_address or 'a node'}", "bold")
    for refusal in pod.refusals:
        page.paragraph(f"does not start: {refusal}", 2, "! ", "error")
    page.row("interface", _interface(outlook))
    if pod.interface:
        page.row("node address", _address(outlook))
        page.row("preferred for", _preferred(outlook))
    for kind in outlook.kinds:
        version = headline(kind).partition(f"{family_name(kind.family)}, ")[2]
        page.row(family_name(kind.family), f"{version}; {kind.reach}; from {kind.source}")
    page.rows("checks", _checks(outlook) or ("none",))
    page.rows("preemption", _preemptions(outlook))
    page.rows("tells", _tells(outlook) or ("nobody of transitions",))
    page.row("firewall", "a rule that lets VRRP in is put in" if pod.firewall_rule else "nothing is changed")
    page.row("health", _health(pod.health))
    page.row("SIGHUP", "has the node looked at again" if pod.hangup_reloads else "ends the pod")
    page.row("file", f"{outlook.file}, written for people and tools; what runs is the same")
    if pod.exact:
        page.row("mode", "the old image's, to the letter: nothing is mended")
    if pod.strict:
        page.row("mode", "strict: any doubt forbids the start")
    page.line()
    if outlook.stands:
        page.table(("ADDRESSES", "GROUP", "VRID", "PRIORITY", "HERE"), [_row(stand) for stand in outlook.stands])
    else:
        page.line("  no groups: nothing is served")
    if pod.pairs:
        page.line()
    for pair in pod.pairs:
        text = f"{pair.first} and {pair.second} move together; beside a pod of the old image each is elected alone"
        page.paragraph(text, 2)
    if outlook.findings:
        page.line()
        page.line("about the environment", "bold")
    return page.text() + render(outlook.findings, outlook.values, paint)


def document_pod(outlook: PodOutlook) -> dict[str, object]:
    """The same as plain values."""
    pod = outlook.pod
    return {
        "format": FORMAT,
        "starts": outlook.starts,
        "refusals": [str(refusal) for refusal in pod.refusals],
        "hostname": outlook.facts.hostname or None,
        "interface": {
            "name": pod.interface or None,
            "chosen_by": pod.interface_from,
            "waits_for": list(pod.waits_for),
        },
        "node_address": None if pod.node_address is None else str(pod.node_address),
        "slot": pod.slot,
        "replicas": outlook.replicas,
        "step": pod.step,
        "strict": pod.strict,
        "exact": pod.exact,
        "groups": [stand.as_json() for stand in outlook.stands],
        "pairs": [{"name": pair.name, "first": pair.first, "second": pair.second} for pair in pod.pairs],
        "families": [
            {
                "family": family_name(kind.family),
                "version": kind.instance.version,
                "unicast_peers": [str(peer) for peer in kind.instance.unicast_peers],
                "sends": kind.reach,
                "from": kind.source,
            }
            for kind in outlook.kinds
        ],
        "preemption": [
            {"groups": [stand.group.number for stand in stands], "does": text} for text, stands in outlook.preemptions
        ],
        "checks": list(_checks(outlook)),
        "tells": list(_tells(outlook)),
        "firewall_rule": pod.firewall_rule,
        "health": None if pod.health is None else str(pod.health),
        "hangup_reloads": pod.hangup_reloads,
        "file": outlook.file,
        "findings": [_finding(finding.as_json()) for finding in outlook.findings],
        "levels": {level.value: sum(each.level is level for each in outlook.findings) for level in Level},
    }


def _finding(found: dict[str, object]) -> dict[str, object]:
    """Its file is a variable."""
    return {"variable": found.pop("file"), **found}


def _interface(outlook: PodOutlook) -> str:
    pod = outlook.pod
    if pod.interface:
        return f"{pod.interface}, because of {pod.interface_from}"
    if pod.waits_for:
        return f"none yet: waits for {names(pod.waits_for, 'or')}, and serves nothing until then"
    return "none: nothing can be served"


def _address(outlook: PodOutlook) -> str:
    pod = outlook.pod
    if pod.node_address is None:
        return f"none of IPv4: slot {pod.slot}, and what checks a port asks 127.0.0.1"
    return f"{pod.node_address}, its last octet modulo 128 is slot {pod.slot}"


def _preferred(outlook: PodOutlook) -> str:
    pod, nodes = outlook.pod, outlook.replicas
    why = f"1 + slot {pod.slot} modulo {nodes} {'node' if nodes == 1 else 'nodes'} is {pod.step}"
    preferred = [stand for stand in outlook.stands if stand.group.preferred]
    if not preferred:
        return f"no group: {why}, and there are fewer groups" if outlook.stands else "no group: there is none"
    which = "all" if pod.step == 1 else f"those whose number {pod.step} divides"
    return f"group {numbers(preferred)}: {which}, for {why}"


def _checks(outlook: PodOutlook) -> tuple[str, ...]:
    """What can put the node's virtual routers into FAULT; the same for all of them, but for those of their own VIPs."""
    found: dict[str, None] = {}
    scripts = outlook.pod.configuration.scripts
    own = {script.name for script in scripts if script.only_as_master}
    vain = {script.name for script in scripts if script.command is not None and script.command.argv == (ALWAYS,)}
    for kind in outlook.kinds:
        for effect in kind.effects:
            if effect.watch.name not in own | vain:
                found[f"{effect.watch.wrong}: {effect.text} [{effect.watch.about}]"] = None
    if vain:
        found["no service: the port is 0"] = None
    if own:
        found["and the port on each virtual address, where it is served"] = None
    return tuple(found)


def _preemptions(outlook: PodOutlook) -> tuple[str, ...]:
    """What each group does about a MASTER of lower priority; without numbers where all do the same."""
    alike = outlook.preemptions
    return tuple(text if len(alike) == 1 else f"group {numbers(stands)}: {text}" for text, stands in alike)


def _tells(outlook: PodOutlook) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{event}: {command}" for kind in outlook.kinds for event, command in kind.notify))


def _health(where: Listening | None) -> str:
    return "pyvrrp health, pgrep keepalived" + (f"; over HTTP on {where}: /healthz, /readyz" if where else "")


def _row(stand: Stand) -> tuple[str, str, str, str, str]:
    return (
        ", ".join(stand.group.addresses),
        str(stand.group.number),
        str(stand.group.vrid),
        stand.priority,
        ", ".join(_here(stand)),
    )


def _here(stand: Stand) -> Iterator[str]:
    if not stand.served:
        yield "not served"
        return
    if stand.group.preferred:
        yield "preferred"
    if stand.master:
        yield "begins as MASTER"
    if stand.least == PRIORITY_OWNER:
        yield "as the addresses' owner"
    if len(stand.group.instances) > 1:
        yield "both families"
