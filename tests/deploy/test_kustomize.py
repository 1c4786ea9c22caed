"""The kustomize base is what `pyvrrp manifest kubernetes` prints, in files, with its settings in a ConfigMap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import pyvrrp
from pyvrrp.config.openshift import variables
from tests.deploy.conftest import Print, judge

BASE = Path(pyvrrp.__file__).parent / "deploy" / "kustomize"
KUSTOMIZATION = yaml.safe_load((BASE / "kustomization.yaml").read_text("utf-8"))
SETTINGS, SCRIPTS = KUSTOMIZATION["configMapGenerator"]


def load(name: str) -> Any:
    return yaml.safe_load((BASE / name).read_text("utf-8"))


def settings() -> dict[str, str]:
    """What the generator makes of the settings: lines `NAME=VALUE`, and comments."""
    (name,) = SETTINGS["envs"]
    lines = (BASE / name).read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_it_is_what_is_printed(printed: Print) -> None:
    """Change one, and this says that the other is to be changed."""
    made = printed("kubernetes", "--vip", "192.0.2.10", "--interface", "eth0", "--config-map", "ipfailover-scripts")
    made.container["image"] = "pyvrrp"
    del made.container["env"]
    made.container["envFrom"] = [{"configMapRef": {"name": "ipfailover-settings"}}]
    for one in made.objects:
        del one["metadata"]["namespace"]
    assert [load(name) for name in KUSTOMIZATION["resources"]] == made.objects


def test_kubernetes_takes_it() -> None:
    for name in KUSTOMIZATION["resources"]:
        judge(load(name))


def test_its_config_maps_are_those_that_the_pod_names() -> None:
    """Kustomize adds a hash to a name where it finds it, and is silent where it does not."""
    pod = load("daemonset.yaml")["spec"]["template"]["spec"]
    (source,) = pod["containers"][0]["envFrom"]
    assert source["configMapRef"]["name"] == SETTINGS["name"]
    assert pod["volumes"][-1]["configMap"]["name"] == SCRIPTS["name"]


def test_settings_are_variables_of_the_pod() -> None:
    found = settings()
    assert set(found) <= set(variables.DEFAULTS)
    assert found[variables.VIRTUAL_IPS] == found[variables.NETWORK_INTERFACE] == ""
    assert found[variables.NOTIFY_SCRIPT] == "/etc/keepalive/notify.sh"
    assert "scripts/notify.sh" in SCRIPTS["files"]


def test_scripts_can_be_started() -> None:
    """By the shell that even a small image has."""
    assert {f"scripts/{path.name}" for path in (BASE / "scripts").iterdir()} == set(SCRIPTS["files"])
    for name in SCRIPTS["files"]:
        assert (BASE / name).read_text("utf-8").startswith("#!/bin/sh\n")


def test_nothing_lies_about() -> None:
    """Every file is used."""
    named = {"kustomization.yaml", *KUSTOMIZATION["resources"], *SETTINGS["envs"], *SCRIPTS["files"]}
    assert {str(path.relative_to(BASE)) for path in BASE.rglob("*") if path.is_file()} == named
