"""The pod's variables: flags before the environment, and what the pod would say about them, said before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Final

from pyvrrp.config.complaints import Severity
from pyvrrp.config.openshift import NodeFacts, read_environment
from pyvrrp.config.openshift import variables as names
from pyvrrp.errors import UsageError

OPTIONS: Final = "KEEPALIVED_OPTIONS"

_HARMLESS: Final = frozenset({Severity.NOTE, Severity.SECURITY})
_OF_THE_COMMAND: Final = frozenset({names.KEEPALIVED_CONFIG, names.SELECTOR})  # these do nothing in a pod
_KNOWN: Final = (*(name for name in names.DEFAULTS if name not in _OF_THE_COMMAND), OPTIONS)
_NODE: Final = IPv4Address("127.0.0.1")  # stands for the address of whatever node it will be


def merge(environment: Mapping[str, str], flags: Mapping[str, str]) -> dict[str, str]:
    """
    The variables of the pod.

    Args:
        environment: Of this process; what is no variable of the pod is ignored.
        flags: What was said on the command line, by variable; wins, and may hold any variable.
    """
    chosen = {name: environment[name] for name in _KNOWN if environment.get(name)} | dict(flags)
    order = {name: number for number, name in enumerate(_KNOWN)}
    return {name: chosen[name] for name in sorted(chosen, key=lambda name: order.get(name, len(order)))}


def judge(variables: Mapping[str, str], *, scripts: str = "") -> list[str]:
    """
    Ask what a pod with these variables would complain about.

    Args:
        variables: Of the pod.
        scripts: Directory that will be empty, because nothing is mounted there; empty for none.

    Returns:
        Sentences: what would be used otherwise than it is written.

    Raises:
        UsageError: There is nothing to serve, or something of it would not be served.
    """
    if not variables.get(names.VIRTUAL_IPS, "").strip():
        raise UsageError(f"no address to serve: name one with --vip, or set {names.VIRTUAL_IPS}")
    said: list[str] = []
    interfaces = variables.get(names.NETWORK_INTERFACE, "").split()
    if not interfaces:
        said.append("no --interface: each node takes the one it finds first, which need not be the same everywhere")
        interfaces = ["eth0"]
    facts = NodeFacts("node", dict.fromkeys(interfaces, (_NODE,)), interfaces[0])
    pod = read_environment(variables, facts, lambda _: 0)
    lost = [one for one in pod.complaints if one.fatal or one.severity is Severity.ERROR]
    if lost:
        raise UsageError("\n".join(str(one) for one in lost))
    if not pod.configuration.instances:
        raise UsageError(f"{names.VIRTUAL_IPS}: nothing of it can be served")
    said += [
        f"{name}: nothing is mounted at {scripts}; name the script's file, or the ConfigMap that has it"
        for name in (names.CHECK_SCRIPT, names.NOTIFY_SCRIPT)
        if scripts and f"{scripts}/" in variables.get(name, "")
    ]
    return said + [str(one) for one in pod.complaints if one.severity not in _HARMLESS]
