"""`pyvrrp manifest` as somebody types it, and the schemas that judge what it prints."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pyvrrp.config.openshift import variables
from pyvrrp.manifest.run import add_parser

VERSIONS = ("1.25", kubernetes_validate.latest_version())
SCC = "SecurityContextConstraints"


@dataclass
class Printed:
    """What came out."""

    text: str
    doubts: str
    objects: list[Any]

    def of(self, kind: str) -> Any:
        """The one object of a kind."""
        (found,) = (one for one in self.objects if one["kind"] == kind)
        return found

    @property
    def pod(self) -> Any:
        """What the pods are made after."""
        return self.objects[-1]["spec"]["template"]["spec"]

    @property
    def container(self) -> Any:
        (found,) = self.pod["containers"]
        return found

    @property
    def variables(self) -> dict[str, str]:
        """Environment of the container."""
        return {one["name"]: one["value"] for one in self.container["env"]}


def judge(found: Any) -> None:
    """An object is what the API of the oldest and the newest known version takes, with no unknown field."""
    for version in VERSIONS:
        kubernetes_validate.validate(found, version, strict=True)


def run(*words: str) -> int:
    """`pyvrrp manifest` and words, in this process."""
    parser = argparse.ArgumentParser(prog="pyvrrp")
    add_parser(parser.add_subparsers())
    options = parser.parse_args(["manifest", *words])
    status: int = options.command(options)
    return status


Print = Callable[..., Printed]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Print:
    """Print a manifest for the image `image:1`, with no variable of a pod around; Kubernetes has judged it."""
    for name in variables.DEFAULTS:
        monkeypatch.delenv(name, raising=False)

    def printed(*words: str) -> Printed:
        assert run(*words, "--image", "image:1") == 0
        text, doubts = capsys.readouterr()
        found = list(yaml.safe_load_all(text))
        for one in found:
            if one["kind"] != SCC:
                judge(one)
        return Printed(text, doubts, found)

    return printed


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A check script."""
    path = tmp_path / "mycheckscript.sh"
    path.write_text("#!/bin/bash\n\n  curl -s localhost |\n\tgrep ok # 检查\u3000服务\n")
    return path
