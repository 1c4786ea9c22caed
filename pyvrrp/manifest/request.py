"""What a manifest can be asked for, checked: everything here is something that Kubernetes takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pyvrrp.config.openshift import health_of
from pyvrrp.errors import UsageError
from pyvrrp.manifest.flags import KINDS, LIVENESS, PULL_POLICIES, READINESS, STRATEGIES, TARGETS

EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")

SCRIPTS: Final = "/etc/keepalive"
"""Where the pod finds its scripts: keepaliv*e*, as in the documented Deployment."""

HOST_PORT: Final = 63000
"""Taken and never listened on: it keeps two pods of one deployment off one node, and a node has it once."""

CONFIG_MAP_MAX: Final = 1 << 20  # octets; the API server takes no more

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, which also is a label's value
_LABEL_KEY: Final = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_FILE: Final = re.compile(r"[A-Za-z0-9_.-]{1,253}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUANTITY: Final = re.compile(r"[0-9]{1,9}(m|k|M|G|Ki|Mi|Gi)?")


@dataclass(frozen=True, slots=True)
class Toleration:
    """
    A taint that does not keep the pod away.

    Attributes:
        key: Of the taint; empty for every one.
        value: None for any.
        effect: One of `EFFECTS`, empty for all.
    """

    key: str
    value: str | None = None
    effect: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """
    One pod on each of some nodes.

    Attributes:
        target: One of `TARGETS`.
        image: With its tag or digest.
        variables: The environment of the pod, in order.
        replicas: Number of pods; of a DaemonSet, of nodes.
        kind: One of `KINDS`.
        name: Of every object.
        namespace: Where they live.
        label: Key and value by which the pods are found.
        node_selector: Labels of the nodes.
        tolerations: Taints that do not matter.
        scripts: File name to octets: what the ConfigMap holds.
        config_map: Its name; with *scripts* it is printed, without it is there already. Empty for none.
        host_port: See `HOST_PORT`; None for none.
        strategy: One of `STRATEGIES`, for a Deployment.
        privileged: As the documented Deployment: all rights, and the node's files.
        bpf: The right to load the filter that keeps the daemon asleep.
        liveness: One of `LIVENESS`.
        readiness: One of `READINESS`.
        service_account: Its name; None for that of the objects.
        token: Scripts may speak to the API server.
        pull_policy: One of `PULL_POLICIES`.
        pull_secrets: Names.
        cpu: Requested; there is no limit, for one would make advertisements late.
        memory: Requested, and the limit four times that.
        priority_class: Name; empty for the cluster's default.

    Raises:
        UsageError: Kubernetes would not take it.
    """

    target: str
    image: str
    variables: Mapping[str, str]
    replicas: int = 2
    kind: str = "Deployment"
    name: str = "ipfailover"
    namespace: str = "default"
    label: tuple[str, str] = ("ipfailover", "ipfailover")
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Toleration] = ()
    scripts: Mapping[str, bytes] = field(default_factory=dict)
    config_map: str = ""
    host_port: int | None = HOST_PORT
    strategy: str = "RollingUpdate"
    privileged: bool = False
    bpf: bool = False
    liveness: str = "health"
    readiness: str = "health"
    service_account: str | None = None
    token: bool = False
    pull_policy: str = "IfNotPresent"
    pull_secrets: Sequence[str] = ()
    cpu: str = "50m"
    memory: str = "64Mi"
    priority_class: str = ""

    def __post_init__(self) -> None:
        for what, value, known in (
            ("target", self.target, TARGETS),
            ("kind", self.kind, KINDS),
            ("strategy", self.strategy, STRATEGIES),
            ("liveness", self.liveness, LIVENESS),
            ("readiness", self.readiness, READINESS),
            ("pull policy", self.pull_policy, PULL_POLICIES),
            *(("effect", one.effect, ("", *EFFECTS)) for one in self.tolerations),
        ):
            if value not in known:
                raise UsageError(f"{what} {value!r} is none of {', '.join(filter(None, known))}")
        self._check_names()
        if not self.image or self.image.split() != [self.image]:
            raise UsageError(f"image {self.image!r} is no name of an image")
        if not 1 <= self.replicas <= 1000:
            raise UsageError(f"{self.replicas} replicas: from 1 to 1000")
        if self.host_port is not None and not 1 <= self.host_port <= 0xFFFF:
            raise UsageError(f"host port {self.host_port}: from 1 to 65535")
        if (health := health_of(self.variables)) is not None and health.port == self.host_port:
            raise UsageError(f"port {health.port} is the host port, on which nothing listens: another one for health")
        if self.scripts and not self.config_map:
            raise UsageError("scripts need a ConfigMap to be in")
        if sum(map(len, self.scripts.values())) > CONFIG_MAP_MAX:
            raise UsageError(f"the scripts are larger than the {CONFIG_MAP_MAX} octets that a ConfigMap holds")

    def _check_names(self) -> None:
        names = [self.name, self.namespace, self.account, *self.pull_secrets, self.config_map, self.priority_class]
        keys = [self.label[0], *self.node_selector, *(one.key for one in self.tolerations if one.key)]
        values = [self.label[1], *self.node_selector.values(), *(one.value or "" for one in self.tolerations)]
        for what, pattern, texts in (
            ("name", _NAME, filter(None, names)),
            ("label", _LABEL_KEY, keys),
            ("value of a label", _LABEL_VALUE, values),
            ("file of a ConfigMap", _FILE, self.scripts),
            ("variable", _VARIABLE, self.variables),
            ("quantity", _QUANTITY, (self.cpu, self.memory)),
        ):
            for text in texts:
                if not pattern.fullmatch(text):
                    raise UsageError(f"{text!r} cannot be a {what} in Kubernetes")
        if not (self.name and self.namespace and self.account):
            raise UsageError("an object without a name")

    @property
    def account(self) -> str:
        """Name of the service account."""
        return self.name if self.service_account is None else self.service_account
