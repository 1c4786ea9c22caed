"""What is printed, judged by the schemas of Kubernetes, a table for OpenShift's own object, and the old Deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pyvrrp.config.openshift import NodeFacts, read_environment
from tests.deploy.conftest import SCC, Print, judge, run

DOCUMENTED = yaml.safe_load(Path(__file__).with_name("documented.yaml").read_text("utf-8"))
VIP = ("--vip", "192.0.2.10-11", "--interface", "eth0")

# The fields of SecurityContextConstraints (security.openshift.io/v1), by hand from its definition.
REQUIRED = {
    "allowHostDirVolumePlugin": bool,
    "allowHostIPC": bool,
    "allowHostNetwork": bool,
    "allowHostPID": bool,
    "allowHostPorts": bool,
    "allowPrivilegedContainer": bool,
    "allowedCapabilities": list,
    "defaultAddCapabilities": list,
    "priority": int,
    "readOnlyRootFilesystem": bool,
    "requiredDropCapabilities": list,
    "volumes": list,
}
OPTIONAL = {
    "apiVersion": str,
    "kind": str,
    "metadata": dict,
    "allowPrivilegeEscalation": bool,
    "fsGroup": dict,
    "groups": list,
    "runAsUser": dict,
    "seLinuxContext": dict,
    "seccompProfiles": list,
    "supplementalGroups": dict,
    "users": list,
}
STRATEGIES = {"fsGroup", "runAsUser", "seLinuxContext", "supplementalGroups"}


def refused_by(constraints: Any, pod: Any) -> list[str]:
    """What of a pod the constraints do not allow, as the admission of OpenShift looks at it."""
    (container,) = pod["containers"]
    context = container["securityContext"]
    added, dropped = (set(context.get("capabilities", {}).get(what, ())) for what in ("add", "drop"))
    sources = {next(key for key in volume if key != "name") for volume in pod["volumes"]}
    profile = pod.get("securityContext", {}).get("seccompProfile", {}).get("type", "")
    wrong = {
        "host network": pod.get("hostNetwork", False) and not constraints["allowHostNetwork"],
        "host ports": any("hostPort" in port for port in container.get("ports", ()))
        and not constraints["allowHostPorts"],
        "privileged": context.get("privileged", False) and not constraints["allowPrivilegedContainer"],
        "escalation": context.get("allowPrivilegeEscalation", True) and not constraints["allowPrivilegeEscalation"],
        "capabilities": not added <= set(constraints["allowedCapabilities"]),
        "dropped": not set(constraints["requiredDropCapabilities"]) <= dropped,
        "volumes": not sources <= set(constraints["volumes"]),
        "root file system": constraints["readOnlyRootFilesystem"] and not context.get("readOnlyRootFilesystem"),
        "seccomp": profile != "RuntimeDefault" or "runtime/default" not in constraints["seccompProfiles"],
    }
    return [what for what, is_wrong in wrong.items() if is_wrong]


@pytest.mark.parametrize(
    ("target", "kind", "kinds"),
    [
        ("openshift", "Deployment", ["ServiceAccount", SCC, "Role", "RoleBinding", "Deployment"]),
        ("kubernetes", "DaemonSet", ["ServiceAccount", "DaemonSet"]),
    ],
)
def test_the_least_that_can_be_said(printed: Print, target: str, kind: str, kinds: list[str]) -> None:
    made = printed(target, *VIP)
    assert [one["kind"] for one in made.objects] == kinds
    assert made.doubts == ""
    assert made.pod["hostNetwork"] is True
    assert made.container["image"] == "image:1"
    assert made.container["securityContext"] == {
        "runAsUser": 0,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
    }
    assert made.variables == {
        "OPENSHIFT_HA_CONFIG_NAME": "ipfailover",
        "OPENSHIFT_HA_NETWORK_INTERFACE": "eth0",
        "OPENSHIFT_HA_VIRTUAL_IPS": "192.0.2.10-11",
        "OPENSHIFT_HA_REPLICA_COUNT": "2",
    }
    assert made.container["livenessProbe"]["exec"] == {"command": ["pyvrrp", "health"]}
    assert made.container["readinessProbe"]["exec"] == {"command": ["pyvrrp", "health", "--ready"]}
    assert "cpu" not in made.container["resources"]["limits"]
    assert made.of(kind)["spec"]["selector"]["matchLabels"] == {"ipfailover": "ipfailover"}
    assert "defaultMode" not in made.text


@pytest.mark.parametrize("target", ["openshift", "kubernetes"])
def test_all_that_can_be_said(printed: Print, target: str, script: Path, tmp_path: Path) -> None:
    notify = tmp_path / "notify"
    notify.write_bytes(b"\x7fELF\xff\x00")
    made = printed(
        target, *VIP, "--vip-groups", "2", "--vrid-offset", "20", "--watch-port", "0", "--check-interval", "3",
        "--preempt-delay", "60", "--unicast-peers", "192.0.2.1,192.0.2.2", "--iptables-chain", "INPUT",
        "--check-script", str(script), "--notify-script", str(notify), "--env", "PYVRRP_STABLE_PRIORITIES=1",
        "--env", "TZ=UTC", "--replicas", "3", "--kind", "Deployment", "--name", "edge", "--namespace", "failover",
        "--selector", "zone=a,role", "--toleration", "node-role.kubernetes.io/master:NoSchedule",
        "--toleration", "dedicated=edge", "--toleration", "", "--bpf", "--liveness", "pgrep", "--service-account-token",
        "--pull-policy", "Always", "--pull-secret", "one", "--pull-secret", "two", "--cpu", "1", "--memory", "1Gi",
        "--priority-class", "system-node-critical",
    )  # fmt: skip
    assert made.doubts == ""
    workload = made.of("Deployment")
    assert workload["metadata"] == {"name": "edge", "namespace": "failover", "labels": {"ipfailover": "edge"}}
    assert workload["spec"]["replicas"] == 3
    assert workload["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert made.variables == {
        "OPENSHIFT_HA_CONFIG_NAME": "edge",
        "OPENSHIFT_HA_NETWORK_INTERFACE": "eth0",
        "OPENSHIFT_HA_VIRTUAL_IPS": "192.0.2.10-11",
        "OPENSHIFT_HA_VIP_GROUPS": "2",
        "OPENSHIFT_HA_VRRP_ID_OFFSET": "20",
        "OPENSHIFT_HA_MONITOR_PORT": "0",
        "OPENSHIFT_HA_CHECK_INTERVAL": "3",
        "OPENSHIFT_HA_CHECK_SCRIPT": "/etc/keepalive/mycheckscript.sh",
        "OPENSHIFT_HA_NOTIFY_SCRIPT": "/etc/keepalive/notify",
        "OPENSHIFT_HA_PREEMPTION": "preempt_delay 60",
        "OPENSHIFT_HA_UNICAST_PEERS": "192.0.2.1,192.0.2.2",
        "OPENSHIFT_HA_IPTABLES_CHAIN": "INPUT",
        "OPENSHIFT_HA_REPLICA_COUNT": "3",
        "PYVRRP_STABLE_PRIORITIES": "1",
        "TZ": "UTC",
    }
    assert made.pod["nodeSelector"] == {"zone": "a", "role": ""}
    assert made.pod["tolerations"] == [
        {"key": "node-role.kubernetes.io/master", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "dedicated", "operator": "Equal", "value": "edge"},
        {"operator": "Exists"},
    ]
    assert made.pod["priorityClassName"] == "system-node-critical"
    assert made.pod["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert made.container["imagePullPolicy"] == "Always"
    assert made.container["securityContext"]["capabilities"]["add"] == ["NET_ADMIN", "NET_RAW", "BPF"]
    assert made.container["ports"] == [{"containerPort": 63020, "hostPort": 63020}]
    assert made.container["livenessProbe"]["exec"] == {"command": ["pgrep", "keepalived"]}
    assert made.container["resources"] == {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "4Gi"}}
    configuration = made.of("ConfigMap")
    assert configuration["metadata"]["name"] == "edge-scripts"
    assert configuration["data"] == {"mycheckscript.sh": script.read_text("utf-8")}
    assert configuration["binaryData"] == {"notify": "f0VMRv8A"}
    assert made.pod["volumes"][-1] == {
        "name": "config-volume",
        "configMap": {"name": "edge-scripts", "defaultMode": 0o755},
    }


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_two_pods_never_share_a_node(printed: Print, kind: str) -> None:
    """A DaemonSet cannot put them there; a Deployment is kept from it."""
    made = printed("kubernetes", *VIP, "--kind", kind)
    assert ("affinity" in made.pod) == (kind == "Deployment")
    assert ("ports" in made.container) == (kind == "Deployment")
    assert "ports" not in printed("kubernetes", *VIP, "--kind", kind, "--host-port", "0").container


def test_without_probes(printed: Print) -> None:
    made = printed("kubernetes", *VIP, "--liveness", "none", "--readiness", "none")
    assert not any("Probe" in key for key in made.container)


@pytest.mark.parametrize(
    "more", [(), ("--bpf",), ("--service-account-token",), ("--host-port", "0"), ("--kind", "DaemonSet")]
)
def test_constraints_of_openshift(printed: Print, more: tuple[str, ...]) -> None:
    """Every required field is there, none that the definition lacks, each of its type; and the pod passes them."""
    made = printed("openshift", *VIP, "--namespace", "failover", *more)
    constraints = made.of(SCC)
    assert constraints["apiVersion"] == "security.openshift.io/v1"
    assert constraints["metadata"]["name"] == "failover-ipfailover"
    assert "namespace" not in constraints["metadata"]  # it is the cluster's
    assert set(REQUIRED) <= set(constraints) <= set(REQUIRED) | set(OPTIONAL)
    for field, value in constraints.items():
        assert type(value) is (REQUIRED | OPTIONAL)[field], field
    for field in STRATEGIES:
        assert constraints[field] == {"type": "RunAsAny"}
    assert refused_by(constraints, made.pod) == []
    spared = {
        field for field in constraints if field.startswith("allow") and constraints[field] is True
    } - {"allowHostPorts"}  # fmt: skip
    assert spared == {"allowHostNetwork"}
    assert not set(constraints["allowedCapabilities"]) & set(constraints["requiredDropCapabilities"])


def test_constraints_refuse_what_they_should(printed: Print) -> None:
    """The judge above can say no."""
    constraints = printed("openshift", *VIP).of(SCC)
    greedy = printed("openshift", *VIP, "--privileged").pod
    assert refused_by(constraints, greedy) == [
        "privileged", "escalation", "volumes", "root file system", "seccomp",
    ]  # fmt: skip
    assert refused_by(constraints, printed("openshift", *VIP, "--bpf").pod) == ["capabilities"]


@pytest.mark.parametrize(("more", "name"), [((), "default-ipfailover"), (("--privileged",), "privileged")])
def test_the_service_account_may_use_them(printed: Print, more: tuple[str, ...], name: str) -> None:
    made = printed("openshift", *VIP, "--service-account", "vrrp", *more)
    (rule,) = made.of("Role")["rules"]
    assert (rule["resourceNames"], rule["verbs"]) == ([name], ["use"])
    assert made.of("RoleBinding")["subjects"] == [{"kind": "ServiceAccount", "name": "vrrp", "namespace": "default"}]
    assert made.of("RoleBinding")["roleRef"]["name"] == made.of("Role")["metadata"]["name"]
    assert made.of("ServiceAccount")["metadata"]["name"] == made.pod["serviceAccountName"] == "vrrp"
    assert (SCC in {one["kind"] for one in made.objects}) == (not more)


def test_json_says_the_same(printed: Print, script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("openshift", *VIP, "--check-script", str(script))
    made = printed(*words)
    assert run(*words, "--image", "image:1", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["apiVersion"], document["kind"]) == ("v1", "List")
    assert document["items"] == made.objects


def test_the_judge_can_say_no(printed: Print) -> None:
    made = printed("kubernetes", *VIP)
    made.pod["privileged"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        judge(made.objects[-1])


# The documented Deployment


def lacking(documented: Any, ours: Any, path: str = "") -> list[str]:
    """Places where *ours* does not say what the documented object says; entries of a list are found by their name."""
    if isinstance(documented, dict) and isinstance(ours, dict):
        return [
            place
            for key, value in documented.items()
            for place in (lacking(value, ours[key], f"{path}/{key}") if key in ours else [f"{path}/{key}"])
        ]
    if isinstance(documented, list) and isinstance(ours, list) and all(isinstance(one, dict) for one in documented):
        named = {one.get("name"): one for one in ours}
        return [
            place
            for one in documented
            for place in lacking(one, named.get(one.get("name")), f"{path}[{one.get('name')}]")
        ]
    return [] if documented == ours else [path]


AS_DOCUMENTED = (
    "--name", "ipfailover-keepalived", "--service-account", "ipfailover", "--label", "ipfailover=hello-openshift",
    "--privileged", "--strategy", "Recreate", "--liveness", "pgrep", "--readiness", "none",
    "--config-map", "keepalived-checkscript", "--pull-secret", "openshift-pull-secret",
)  # fmt: skip
ENVIRONMENT = {one["name"]: one["value"] for one in DOCUMENTED["spec"]["template"]["spec"]["containers"][0]["env"]}


def test_the_documented_deployment_by_flags(printed: Print, script: Path) -> None:
    """All of it but the image, which is what changes; and nothing more in the environment."""
    made = printed(
        "openshift", *AS_DOCUMENTED, "--config-name", "ipfailover", "--vip", "1.1.1.1-2", "--vip-groups", "10",
        "--interface", "ens3", "--watch-port", "30060", "--vrrp-id-offset", "0", "--replicas", "2",
        "--env", "OPENSHIFT_HA_USE_UNICAST=false", "--iptables-chain", "INPUT", "--check-script", str(script),
        "--preemption-strategy", "preempt_delay 300", "--check-interval", "2",
    )  # fmt: skip
    place = "/spec/template/spec/containers[openshift-ipfailover]/image"
    assert lacking(DOCUMENTED, made.of("Deployment")) == [place]
    assert made.variables == ENVIRONMENT
    assert made.of("ConfigMap")["data"] == {"mycheckscript.sh": script.read_text("utf-8")}


def test_the_documented_deployment_by_its_environment(printed: Print, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed in its pod, for example; the ConfigMap is there already."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    made = printed("openshift", *AS_DOCUMENTED)
    place = "/spec/template/spec/containers[openshift-ipfailover]/image"
    assert lacking(DOCUMENTED, made.of("Deployment")) == [place]
    assert made.variables == ENVIRONMENT
    assert "ConfigMap" not in {one["kind"] for one in made.objects}


def test_what_runs_is_the_same(printed: Print, script: Path) -> None:
    """The environment printed from our words gives the virtual routers of the golden example."""
    made = printed(
        "openshift", "--config-name", "ipfailover", "--vip", "1.1.1.1-2", "--vip-groups", "10", "--interface", "ens3",
        "--vrid-offset", "0", "--check-script", str(script),
    )  # fmt: skip
    facts = NodeFacts(addresses={"ens3": ()}, route_interface="ens3")
    groups = read_environment(made.variables, facts, lambda _: 0).groups
    assert [(group.vrid, group.addresses) for group in groups] == [(1, ("1.1.1.1",)), (2, ("1.1.1.2",))]


def test_dollars_reach_the_pod(printed: Print) -> None:
    """Of `$(NAME)` and `$$` in a value Kubernetes makes something else, but of `$$` for each `$`."""
    said = "/bin/sh -c 'echo $$ $(OPENSHIFT_HA_VIRTUAL_IPS) $1'"
    made = printed(
        "kubernetes", "--vip", "10.0.0.100", "--interface", "e", "--env", f"OPENSHIFT_HA_CHECK_SCRIPT={said}"
    )
    assert made.variables["OPENSHIFT_HA_CHECK_SCRIPT"] == said.replace("$", "$$")


@pytest.mark.parametrize(("where", "host"), [("8112", "127.0.0.1"), ("[::1]:8112", "::1"), ("0.0.0.0:8112", None)])
def test_probes_over_http(printed: Print, where: str, host: str | None) -> None:
    """The daemon serves what the kubelet asks for, and no other pod gets to a node where it would be asked instead."""
    made = printed("openshift", *VIP, "--health-port", where)
    assert made.doubts == ""
    assert made.variables["PYVRRP_HEALTH_PORT"] == where
    expected = {"port": 8112} | ({} if host is None else {"host": host})
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert made.container[probe] == {
            "httpGet": {"path": path, **expected}, "initialDelaySeconds": 10, "periodSeconds": 10, "timeoutSeconds": 2,
        }  # fmt: skip
    served = read_environment(made.variables, NodeFacts("node", {"eth0": ()}), lambda _: 0).health
    assert served is not None
    assert served.port == 8112
    assert served.address.is_unspecified if host is None else str(served.address) == host
    assert {"name": "health", "containerPort": 8112, "hostPort": 8112} in made.container["ports"]
    assert refused_by(made.of(SCC), made.pod) == []


def test_a_port_for_others_than_the_probes(printed: Print) -> None:
    made = printed("kubernetes", *VIP, "--health-port", "8112", "--liveness", "pgrep", "--readiness", "exec")
    assert made.container["livenessProbe"]["exec"] == {"command": ["pgrep", "keepalived"]}
    assert made.container["readinessProbe"]["exec"] == {"command": ["pyvrrp", "health", "--ready"]}
    assert made.container["ports"] == [{"name": "health", "containerPort": 8112, "hostPort": 8112}]
