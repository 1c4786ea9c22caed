"""
From a request to the objects of the Kubernetes API, in the order in which they are applied.

What a pod needs: the node's network, NET_ADMIN and NET_RAW, and places to write: `/etc/keepalived` (the effective
configuration), `/run` (what a restarted container must know of its predecessor) and `/tmp` (dumps that were asked for).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Final

from pyvrrp.config.openshift import health_of
from pyvrrp.manifest.flags import KUBERNETES, OPENSHIFT
from pyvrrp.manifest.request import HOST_PORT, SCRIPTS, Request
from pyvrrp.manifest.text import Object, Value

HEALTH: Final = ("pyvrrp", "health")
READY: Final = (*HEALTH, "--ready")
ALIVE_PATH: Final = "/healthz"
READY_PATH: Final = "/readyz"
PGREP: Final = ("pgrep", "keepalived")
CAPABILITIES: Final = ("NET_ADMIN", "NET_RAW")
CONTAINER: Final = {OPENSHIFT: "openshift-ipfailover", KUBERNETES: "pyvrrp"}

_RBAC: Final = "rbac.authorization.k8s.io"
_SCC: Final = "security.openshift.io"
_QUANTITY: Final = re.compile(r"([0-9]+)(.*)")
_MEMORY_LIMIT: Final = 4  # of what is requested: room for users' scripts, which count

_WRITABLE: Final = (("configuration", "/etc/keepalived"), ("run", "/run"), ("tmp", "/tmp"))  # noqa: S108  in the pod
_OF_THE_NODE: Final = (
    ("lib-modules", "/lib/modules", "/lib/modules"),
    ("host-slash", "/", "/host"),
    ("etc-sysconfig", "/etc/sysconfig", "/etc/sysconfig"),
)


def objects(request: Request) -> list[Object]:
    """All objects; the one that makes pods is the last."""
    found = [_service_account(request)]
    if request.target == OPENSHIFT:
        found += _permission(request)
    if request.scripts:
        found.append(_config_map(request))
    return [*found, _workload(request)]


def _metadata(request: Request, name: str | None = None) -> dict[str, Value]:
    key, value = request.label
    return {"name": name or request.name, "namespace": request.namespace, "labels": {key: value}}


def _service_account(request: Request) -> Object:
    metadata = _metadata(request, request.account)
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata,
        "automountServiceAccountToken": request.token,
    }


def _permission(request: Request) -> list[Object]:
    """OpenShift's: the SCC, the built-in `privileged` or one with nothing to spare, and the right to use it."""
    name = "privileged" if request.privileged else f"{request.namespace}-{request.name}"
    role: Object = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": _metadata(request),
        "rules": [
            {
                "apiGroups": [_SCC],
                "resources": ["securitycontextconstraints"],
                "resourceNames": [name],
                "verbs": ["use"],
            }
        ],
    }
    binding: Object = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(request),
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": request.name},
        "subjects": [{"kind": "ServiceAccount", "name": request.account, "namespace": request.namespace}],
    }
    return [role, binding] if request.privileged else [_constraints(request, name), role, binding]


def _constraints(request: Request, name: str) -> Object:
    key, value = request.label
    return {
        "apiVersion": f"{_SCC}/v1",
        "kind": "SecurityContextConstraints",
        "metadata": {"name": name, "labels": {key: value}},
        "allowHostDirVolumePlugin": False,
        "allowHostIPC": False,
        "allowHostNetwork": True,
        "allowHostPID": False,
        "allowHostPorts": bool(_ports(request)),
        "allowPrivilegeEscalation": False,
        "allowPrivilegedContainer": False,
        "allowedCapabilities": _capabilities(request),
        "defaultAddCapabilities": [],
        "priority": 0,
        "readOnlyRootFilesystem": True,
        "requiredDropCapabilities": [],  # a pod that adds some of ALL would not be admitted
        "fsGroup": {"type": "RunAsAny"},
        "runAsUser": {"type": "RunAsAny"},
        "seLinuxContext": {"type": "RunAsAny"},
        "supplementalGroups": {"type": "RunAsAny"},
        "seccompProfiles": ["runtime/default"],
        "users": [],
        "groups": [],
        "volumes": ["configMap", "emptyDir", *(["projected"] if request.token else [])],
    }


def _config_map(request: Request) -> Object:
    texts: dict[str, Value] = {}
    octets: dict[str, Value] = {}
    for name, content in request.scripts.items():
        try:
            texts[name] = content.decode()
        except UnicodeDecodeError:
            octets[name] = base64.b64encode(content).decode("ascii")
    data: dict[str, Value] = {"data": texts} if texts else {}
    if octets:
        data["binaryData"] = octets
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(request, request.config_map), **data}


def _workload(request: Request) -> Object:
    key, value = request.label
    spec: dict[str, Value] = {
        "selector": {"matchLabels": {key: value}},
        "template": {"metadata": {"labels": {key: value}}, "spec": _pod(request)},
    }
    if request.kind == "DaemonSet":
        strategy: Value = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
        spec = {"updateStrategy": strategy, "minReadySeconds": 10, **spec}
    elif request.strategy == "Recreate":
        spec = {"replicas": request.replicas, "strategy": {"type": "Recreate"}, **spec}
    else:
        # One after the other, and never two on a node: while a pod is replaced its addresses are another's.
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
        spec = {"replicas": request.replicas, "strategy": strategy, "minReadySeconds": 10, **spec}
    return {"apiVersion": "apps/v1", "kind": request.kind, "metadata": _metadata(request), "spec": spec}


def _pod(request: Request) -> dict[str, Value]:
    pod: dict[str, Value] = {
        "serviceAccountName": request.account,
        "automountServiceAccountToken": request.token,
        "hostNetwork": True,
    }
    if request.node_selector:
        pod["nodeSelector"] = dict(request.node_selector)
    if request.kind == "Deployment":
        key, value = request.label
        term: Value = {"labelSelector": {"matchLabels": {key: value}}, "topologyKey": "kubernetes.io/hostname"}
        pod["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    if request.tolerations:
        pod["tolerations"] = list(_tolerations(request))
    if request.priority_class:
        pod["priorityClassName"] = request.priority_class
    if not request.privileged:
        pod["securityContext"] = {"seccompProfile": {"type": "RuntimeDefault"}}
    pod["containers"] = [_container(request)]
    pod["volumes"] = list(_volumes(request))
    if request.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in request.pull_secrets]
    return pod


def _tolerations(request: Request) -> Iterator[Value]:
    for one in request.tolerations:
        toleration: dict[str, Value] = {"key": one.key} if one.key else {}
        toleration["operator"] = "Exists" if one.value is None else "Equal"
        if one.value is not None:
            toleration["value"] = one.value
        if one.effect:
            toleration["effect"] = one.effect
        yield toleration


def _container(request: Request) -> dict[str, Value]:
    container: dict[str, Value] = {
        "name": CONTAINER[request.target],
        "image": request.image,
        "imagePullPolicy": request.pull_policy,
    }
    if ports := _ports(request):
        container["ports"] = ports
    container["env"] = [{"name": name, "value": value.replace("$", "$$")} for name, value in request.variables.items()]
    container["securityContext"] = _rights(request)
    count, unit = _QUANTITY.fullmatch(request.memory).groups()  # type: ignore[union-attr]  # a Request has checked it
    container["resources"] = {
        "requests": {"cpu": request.cpu, "memory": request.memory},
        "limits": {"memory": f"{int(count) * _MEMORY_LIMIT}{unit}"},
    }
    if request.liveness == "pgrep":
        container["livenessProbe"] = _probe(_program(PGREP))
    elif request.liveness != "none":
        container["livenessProbe"] = _probe(_health(request, request.liveness, ALIVE_PATH, HEALTH))
    if request.readiness != "none":
        container["readinessProbe"] = _probe(_health(request, request.readiness, READY_PATH, READY))
    container["volumeMounts"] = list(_mounts(request))
    return container


def _capabilities(request: Request) -> list[Value]:
    return [*CAPABILITIES, *(["BPF"] if request.bpf else [])]


def _rights(request: Request) -> dict[str, Value]:
    if request.privileged:
        return {"privileged": True}
    return {
        "runAsUser": 0,  # another user's process would get the capabilities only by those of its files
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": _capabilities(request)},
    }


def _ports(request: Request) -> list[Value]:
    """
    Ports that a node has once: no other pod that takes one of them comes to it.

    Whoever found another's daemon at its health port would be judged by that. In the node's network the container's
    port and the node's are one number.
    """
    ports: list[Value] = []
    if request.host_port is not None:
        ports.append({"containerPort": request.host_port, "hostPort": request.host_port})
    if (where := health_of(request.variables)) is not None:
        ports.append({"name": "health", "containerPort": where.port, "hostPort": where.port})
    return ports


def _probe(how: dict[str, Value]) -> dict[str, Value]:
    """How it is done and when; a busy node may take its time to start a program."""
    wait = 5 if "exec" in how else 2  # over HTTP there is an answer within a second
    return {**how, "initialDelaySeconds": 10, "periodSeconds": 10, "timeoutSeconds": wait}


def _program(command: tuple[str, ...]) -> dict[str, Value]:
    return {"exec": {"command": list(command)}}


def _health(request: Request, how: str, path: str, command: tuple[str, ...]) -> dict[str, Value]:
    """
    What a probe of our own health does.

    The kubelet asks from the node's own network, which is the pod's: at 127.0.0.1 it reaches the daemon and nobody
    else does. Where every address is served, the pod's own will do, which the kubelet takes by itself.
    """
    where = health_of(request.variables)
    if where is None or how == "exec":
        return _program(command)
    get: dict[str, Value] = {"path": path, "port": where.port}
    if not where.address.is_unspecified:
        get["host"] = str(where.address)
    return {"httpGet": get}


def _mounts(request: Request) -> Iterator[Value]:
    if request.privileged:
        for name, _, path in _OF_THE_NODE:
            mount: dict[str, Value] = {"name": name, "mountPath": path, "readOnly": True}
            if path == "/host":
                mount["mountPropagation"] = "HostToContainer"
            yield mount
    else:
        for name, path in _WRITABLE:
            yield {"name": name, "mountPath": path}
    if request.config_map:
        yield {"name": "config-volume", "mountPath": SCRIPTS, "readOnly": True}


def _volumes(request: Request) -> Iterator[Value]:
    if request.privileged:
        for name, path, _ in _OF_THE_NODE:
            yield {"name": name, "hostPath": {"path": path}}
    else:
        for name, _ in _WRITABLE:
            yield {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}
    if request.config_map:
        yield {"name": "config-volume", "configMap": {"name": request.config_map, "defaultMode": 0o755}}


def host_port(offset: str) -> int:
    """The port that `oc adm ipfailover` took for an offset: two deployments, which have two offsets, get two ports."""
    return HOST_PORT + int(offset)
