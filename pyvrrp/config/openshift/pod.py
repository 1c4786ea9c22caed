"""
The environment of an OpenShift ipfailover pod to the model that keepalived.conf gives.

The file that the pod writes comes first: it is made of the environment, and the model is what our own parser makes of
it. So the two cannot say different things, and a raw line in the environment may hold any keyword. The built-in port
check alone is put in afterwards, since keepalived has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Final

from pyvrrp.config.complaints import Complaint, Parsed, Severity
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import Configuration, Notify, Place, SyncGroup, TcpTarget, Track, VrrpScript
from pyvrrp.config.openshift import variables as names
from pyvrrp.config.openshift.facts import FamilyPair, NodeFacts, PodConfiguration
from pyvrrp.config.openshift.groups import Draw, slot_of, step_of
from pyvrrp.config.openshift.health import read_health
from pyvrrp.config.openshift.plan import Node, Plan, always_the_same, plan_exactly, plan_mended, with_instances
from pyvrrp.config.openshift.reach import choose_interface, read_reach
from pyvrrp.config.openshift.rendering import PATH, GlobalText, Line, origin_of, render, text_of
from pyvrrp.config.openshift.scripts import Check, read_check, read_notify
from pyvrrp.config.openshift.settings import Settings, read_settings
from pyvrrp.config.openshift.variables import Remarks, Switches, Variables, in_order, read_switches, tell_unused

_LOOPBACK: Final = IPv4Address("127.0.0.1")  # where the port is checked on a node without an IPv4 address
_UNTOLD: Final = frozenset({Severity.NOTE, Severity.SECURITY})  # of our own file; nobody could change anything


def read_environment(environment: Mapping[str, str], facts: NodeFacts, draw: Draw) -> PodConfiguration:
    """
    What the pod does on this node.

    Args:
        environment: The variables of the old image, and ours; text with undecodable octets as surrogates.
        facts: The node.
        draw: A random number from 0 to 31 for the group of that number.

    Returns:
        The configuration, its text, and all that is to be said. Never an exception, whatever the environment.
    """
    variables, remarks = Variables(environment), Remarks()
    switches = read_switches(variables, remarks)
    settings = read_settings(variables, remarks)
    chosen = choose_interface(variables, facts, remarks)
    here = facts.addresses.get(chosen.name, ())
    address = next((one for one in here if isinstance(one, IPv4Address)), None)
    slot = 0 if address is None else slot_of(int(address) & 0xFF)
    own = {one for addresses in facts.addresses.values() for one in addresses}
    check = read_check(variables, address or _LOOPBACK, facts.missing_programs, remarks)
    notify, notify_missing = read_notify(variables, facts.missing_programs, remarks)
    node = Node(
        settings=settings,
        switches=switches,
        reach=read_reach(variables, own, remarks),
        interface=chosen.name,
        address=address,
        slot=slot,
        check_name=None if check is None else settings.check_name,
        notify=notify,
        draw=always_the_same(facts, address) if switches.stable_priorities else draw,
    )
    if switches.exact:
        plan = plan_exactly(variables, node, remarks)
    else:
        plan = plan_mended(variables, node, remarks) if chosen.name else Plan()
    health = read_health(variables, remarks)
    tell_unused(variables, remarks)
    lines = render(_global_text(settings, node, check), plan.instances)
    parsed = parse_text(text_of(lines), PATH)
    configuration = _complete(parsed.configuration, settings, check, notify_missing=notify_missing)
    running = {instance.name: instance for instance in configuration.instances}
    pairs = tuple(pair for pair in plan.pairs if pair.first in running and pair.second in running)
    configuration = _with_vip_checks(configuration, check, settings, switches, remarks)
    return PodConfiguration(
        configuration=_with_pairs(configuration, pairs),
        complaints=in_order((*remarks.complaints(), *_translated(parsed, lines, exact=switches.exact))),
        text=text_of([*lines, *(Line(_pair_comment(pair), names.VIP_GROUPS) for pair in pairs)]),
        strict=switches.strict,
        exact=switches.exact,
        interface=chosen.name,
        interface_from=chosen.why,
        waits_for=chosen.waits_for,
        node_address=address,
        slot=slot,
        step=step_of(slot, settings.replicas),
        groups=with_instances(plan, running),
        pairs=pairs,
        firewall_rule=variables.given(names.NFTABLES_RULE) or variables.given(names.IPTABLES_CHAIN),
        health=health,
        hangup_reloads=switches.hangup_reloads,
    )


def _global_text(settings: Settings, node: Node, check: Check | None) -> GlobalText:
    return GlobalText(
        router_id=settings.scrubbed,
        emails=settings.emails,
        smtp_server=settings.smtp_server,
        check_name=node.check_name,
        check="" if check is None else check.command,
        check_from=names.CHECK_SCRIPT if check is None else check.variable,
        interval=settings.interval,
    )


def _complete(
    configuration: Configuration, settings: Settings, check: Check | None, *, notify_missing: bool
) -> Configuration:
    """Put in what the text cannot say, and take out what this node cannot run."""
    scripts = configuration.scripts
    instances = configuration.instances
    if check is not None and check.missing:
        scripts = ()
        instances = tuple(replace(instance, track_scripts=()) for instance in instances)
    scripts = tuple(_complete_script(script, settings, check) for script in scripts)
    if notify_missing:
        instances = tuple(replace(instance, notify=Notify()) for instance in instances)
    return replace(configuration, scripts=scripts, instances=instances)


def _complete_script(script: VrrpScript, settings: Settings, check: Check | None) -> VrrpScript:
    # keepalived 2.2.7 knows whole seconds only, whatever our parser reads.
    script = replace(script, interval_us=settings.interval_us)
    if check is None or check.tcp is None:
        return script
    return replace(script, command=None, tcp=check.tcp)


def _with_pairs(configuration: Configuration, pairs: tuple[FamilyPair, ...]) -> Configuration:
    groups = tuple(SyncGroup(pair.name, (pair.first, pair.second), may_part=True) for pair in pairs)
    return replace(configuration, sync_groups=groups) if groups else configuration


def _pair_comment(pair: FamilyPair) -> str:
    """Not a vrrp_sync_group: beside an old pod, which runs one of them, keepalived would let both flap."""
    return f"! {pair.first} and {pair.second} move together"


def _translated(parsed: Parsed, lines: list[Line], *, exact: bool) -> list[Complaint]:
    """What the parser said about the file, said about the variables; each thing once, not for every instance."""
    origins = origin_of(lines)
    said: dict[tuple[Severity, str, str], Complaint] = {}
    for complaint in parsed.complaints:
        if complaint.severity in _UNTOLD and not exact:
            continue
        line = origins[complaint.place.line - 1]
        # The others run on without the instance that a fatal mistake is in.
        alone = complaint.severity is Severity.FATAL and line.instance in parsed.refused
        severity = Severity.ERROR if alone else complaint.severity
        message = complaint.message.removeprefix(f"({line.instance}) ")
        place = Place(line.variable, 1, 1)
        new = replace(complaint, severity=severity, place=place, message=message)
        said.setdefault((severity, line.variable, message), new)
    return list(said.values())


def _with_vip_checks(
    configuration: Configuration, check: Check | None, settings: Settings, switches: Switches, remarks: Remarks
) -> Configuration:
    """Put in a check of the port on every virtual address, each for the instance that serves it while it is MASTER."""
    if not switches.check_each_vip:
        return configuration
    if check is None or check.tcp is None:
        remarks.mend(names.CHECK_EACH_VIP, "has no effect: no port is checked")
        return configuration
    scripts, instances = list(configuration.scripts), []
    for instance in configuration.instances:
        own = [
            VrrpScript(
                name=f"chk_{instance.name}_{number}",
                tcp=TcpTarget(check.tcp.port, line.address.ip),
                interval_us=settings.interval_us,
                only_as_master=True,
            )
            for number, line in enumerate(instance.virtual_addresses, 1)
        ]
        scripts += own
        tracks = (*instance.track_scripts, *(Track(script.name) for script in own))
        instances.append(replace(instance, track_scripts=tracks))
    return replace(configuration, scripts=tuple(scripts), instances=tuple(instances))
