"""
The options of `pyvrrp manifest`, named as those of `oc adm ipfailover` where it had them.

Light to import: every command that makes a parser pays for it. A flag wins over the environment (the OPENSHIFT_HA_
variables of a pod), which wins over the default in the help; `options.py` makes a request of them.
"""

from __future__ import annotations

from typing import Any, Final

OPENSHIFT: Final = "openshift"
KUBERNETES: Final = "kubernetes"
TARGETS: Final = (OPENSHIFT, KUBERNETES)
KINDS: Final = ("Deployment", "DaemonSet")
STRATEGIES: Final = ("RollingUpdate", "Recreate")
LIVENESS: Final = ("health", "exec", "pgrep", "none")
READINESS: Final = ("health", "exec", "none")
PULL_POLICIES: Final = ("IfNotPresent", "Always", "Never")

FLAGS: Final = (
    (("--vip", "--virtual-ips"), "OPENSHIFT_HA_VIRTUAL_IPS", "LIST", "what to serve: 192.0.2.10-12,2001:db8::1"),
    (("--interface",), "OPENSHIFT_HA_NETWORK_INTERFACE", "NAME", "where the addresses go (br-ex with OVN-Kubernetes)"),
    (("--vip-groups",), "OPENSHIFT_HA_VIP_GROUPS", "N", "put the addresses into so many groups (one for each)"),
    (("--vrid-offset", "--vrrp-id-offset"), "OPENSHIFT_HA_VRRP_ID_OFFSET", "N", "first router id less one (10)"),
    (("--watch-port",), "OPENSHIFT_HA_MONITOR_PORT", "PORT", "a node serves while it is open; 0: always (80)"),
    (("--check-interval",), "OPENSHIFT_HA_CHECK_INTERVAL", "SECONDS", "between two checks (2)"),
    (("--preemption-strategy",), "OPENSHIFT_HA_PREEMPTION", "WORDS", "nopreempt, or preempt_delay and seconds"),
    (("--unicast-peers",), "OPENSHIFT_HA_UNICAST_PEERS", "LIST", "the nodes, where multicast does not pass"),
    (("--health-port",), "PYVRRP_HEALTH_PORT", "[ADDRESS:]PORT", "health over HTTP, for the probes too (127.0.0.1)"),
    (("--iptables-chain",), "OPENSHIFT_HA_IPTABLES_CHAIN", "NAME", "not empty: let VRRP through the node's firewall"),
)  # fmt: skip
"""Flags, the variable of the pod, what stands for the word, and help."""


def add_to(parser: Any) -> None:
    """Give a parser the options."""
    add = parser.add_argument
    add("--image", required=True, help="of this version, where your nodes can pull it")
    for flags, variable, metavar, about in FLAGS:
        add(*flags, dest=variable, metavar=metavar, help=about)
    add("--preempt-delay", type=int, metavar="SECONDS", help="short for --preemption-strategy 'preempt_delay SECONDS'")
    add("--check-script", metavar="FILE", help="decides whether a node serves; goes into the ConfigMap")
    add("--notify-script", metavar="FILE", help="is told of transitions; goes into the ConfigMap")
    add("--env", action="append", default=[], metavar="NAME=VALUE", help="another variable of the pod; may be repeated")
    add("--replicas", type=int, metavar="N", help="how many nodes (2)")
    add("--kind", choices=KINDS, help="(OpenShift: Deployment; Kubernetes: DaemonSet)")
    add("--name", default="ipfailover", help="of every object (ipfailover)")
    add("--config-name", metavar="NAME", help="its first 8 characters are the password of the advertisements (NAME)")
    add("--namespace", default="default", help="(default)")
    add("--label", metavar="KEY=VALUE", help="by which the pods are found (ipfailover=NAME)")
    add(
        "--selector",
        metavar="KEY=VALUE,...",
        help="labels of the nodes (OpenShift: workers; Kubernetes: Linux)",
    )
    add("--toleration", action="append", default=[], metavar="KEY[=VALUE][:EFFECT]", help="may be repeated")
    add("--config-map", metavar="NAME", help="of the scripts (NAME-scripts); without a script: it exists, mount it")
    add("--host-port", type=int, metavar="PORT", help="keeps two pods off one node (63000 and the offset); 0: none")
    add("--strategy", choices=STRATEGIES, default="RollingUpdate", help="of a Deployment (RollingUpdate)")
    add("--privileged", action="store_true", help="all rights and the node's files, as the old Deployment")
    add("--bpf", action="store_true", help="with the right to load a packet filter; saves time at many advertisements")
    add("--liveness", choices=LIVENESS, default="health", help="(health: over HTTP at a --health-port, else a program)")
    add("--readiness", choices=READINESS, default="health", help="(health)")
    add("--service-account", metavar="NAME", help="(NAME)")
    add("--service-account-token", action="store_true", help="scripts may speak to the API server")
    add("--pull-policy", choices=PULL_POLICIES, default="IfNotPresent", help="(IfNotPresent)")
    add("--pull-secret", action="append", default=[], metavar="NAME", help="may be repeated")
    add("--cpu", default="50m", help="requested (50m); there is no limit")
    add("--memory", default="64Mi", help="requested (64Mi); the limit is four times that")
    add("--priority-class", default="", metavar="NAME", help="system-node-critical, for example")
    add("--json", action="store_true", help="one JSON document, a List")
