"""From what was said, on the command line and in the environment, to a request."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pyvrrp.config.openshift import variables as names
from pyvrrp.errors import UsageError
from pyvrrp.manifest import request as wanted
from pyvrrp.manifest.environment import merge
from pyvrrp.manifest.flags import FLAGS, KUBERNETES, OPENSHIFT
from pyvrrp.manifest.objects import host_port
from pyvrrp.manifest.request import Request, Toleration

DEFAULT_REPLICAS: Final = 2

_SELECTORS: Final = {
    OPENSHIFT: "node-role.kubernetes.io/worker=",
    KUBERNETES: "kubernetes.io/os=linux",
}
_KIND: Final = {OPENSHIFT: "Deployment", KUBERNETES: "DaemonSet"}


def read(options: argparse.Namespace, target: str, environment: Mapping[str, str]) -> Request:
    """
    Make a request of what was said.

    Raises:
        UsageError: It cannot be, or a script cannot be read.
    """
    flags = {variable: value for _, variable, _, _ in FLAGS if (value := getattr(options, variable)) is not None}
    if options.preempt_delay is not None:
        if names.PREEMPTION in flags:
            raise UsageError("--preempt-delay and --preemption-strategy are two words for one thing")
        flags[names.PREEMPTION] = f"preempt_delay {options.preempt_delay}"
    scripts: dict[str, bytes] = {}
    for variable, file in ((names.CHECK_SCRIPT, options.check_script), (names.NOTIFY_SCRIPT, options.notify_script)):
        if file is not None:
            path = Path(file)
            content = _content(path)
            if scripts.get(path.name, content) != content:
                raise UsageError(f"two scripts are called {path.name}")
            scripts[path.name] = content
            flags[variable] = f"{wanted.SCRIPTS}/{path.name}"
    if options.config_name is not None:
        flags[names.CONFIG_NAME] = options.config_name
    flags |= dict(_pair(text, "--env") for text in options.env)
    replicas = _replicas(options.replicas, flags.get(names.REPLICA_COUNT) or environment.get(names.REPLICA_COUNT))
    flags[names.REPLICA_COUNT] = str(replicas)
    flags.setdefault(names.CONFIG_NAME, environment.get(names.CONFIG_NAME) or options.name)
    variables = merge(environment, flags)
    selector = options.selector or environment.get(names.SELECTOR) or _SELECTORS[target]
    kind = options.kind or _KIND[target]
    return Request(
        target=target,
        image=options.image,
        variables=variables,
        replicas=replicas,
        kind=kind,
        name=options.name,
        namespace=options.namespace,
        label=_pair(options.label, "--label") if options.label else ("ipfailover", options.name),
        node_selector=dict(_label(text) for text in selector.split(",")),
        tolerations=tuple(_toleration(text) for text in options.toleration),
        scripts=scripts,
        config_map=options.config_map or (f"{options.name}-scripts" if scripts else ""),
        host_port=_host_port(options.host_port, kind, variables),
        strategy=options.strategy,
        privileged=options.privileged,
        bpf=options.bpf,
        liveness=options.liveness,
        readiness=options.readiness,
        service_account=options.service_account,
        token=options.service_account_token,
        pull_policy=options.pull_policy,
        pull_secrets=tuple(options.pull_secret),
        cpu=options.cpu,
        memory=options.memory,
        priority_class=options.priority_class,
    )


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the script {path}: {error.strerror}") from error
    if not content.startswith((b"#!", b"\x7fELF")):
        raise UsageError(f"{path} does not begin with #!: the pod could not start it")
    return content


def _replicas(asked: int | None, variable: str | None) -> int:
    if asked is not None:
        return asked
    if not variable:
        return DEFAULT_REPLICAS
    if not (variable.isascii() and variable.isdigit() and len(variable) < 10):
        raise UsageError(f"{names.REPLICA_COUNT}: {variable!r} is no number of pods")
    return int(variable)


def _host_port(asked: int | None, kind: str, variables: Mapping[str, str]) -> int | None:
    """A DaemonSet has one pod on a node anyway."""
    if asked is not None:
        return asked or None
    if kind == "DaemonSet":
        return None
    offset = variables.get(names.VRRP_ID_OFFSET) or names.DEFAULTS[names.VRRP_ID_OFFSET]
    return host_port(offset) if offset.isascii() and offset.isdigit() and len(offset) < 4 else wanted.HOST_PORT


def _pair(text: str, flag: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"{flag} {text}: NAME=VALUE is wanted")
    return name, value


def _label(text: str) -> tuple[str, str]:
    """`KEY=VALUE`; a key alone has the empty value."""
    key, _, value = text.strip().partition("=")
    return key, value


def _toleration(text: str) -> Toleration:
    taint, _, effect = text.partition(":")
    key, equals, value = taint.partition("=")
    return Toleration(key, value if equals else None, effect)
