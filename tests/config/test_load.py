"""Files that can be read, and those that cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyvrrp.config import load as module
from pyvrrp.config.load import load
from pyvrrp.errors import ConfigError

TEXT = b"vrrp_instance \xff\xc3\xa9 {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n192.0.2.1\n}\n}\n"


def test_load(tmp_path: Path) -> None:
    file = tmp_path / "keepalived.conf"
    file.write_bytes(TEXT)
    result = load(file, {"eth1"})
    assert result.configuration.instances[0].name == "\udcff\u00e9"
    assert [str(complaint) for complaint in result.fatal] == [
        rf"{file}:2:1: (\udcffé) interface eth0 doesn't exist (did you mean 'eth1'?)"
    ]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file") as caught:
        load(tmp_path / "none.conf")
    assert caught.value.file == str(tmp_path / "none.conf")
    assert caught.value.hint == "create it, or name another one"


def test_impossible_name() -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: .*embedded null"):
        load("a\0b")


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        load(tmp_path)


def test_pipe(tmp_path: Path) -> None:
    """Nobody writes into it, and yet it does not block."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is not a regular file"):
        load(tmp_path / "pipe")


def test_no_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied") as caught:
        load(tmp_path / "x")
    assert caught.value.hint == "this user may not read it"


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "large"
    file.write_bytes(TEXT)
    monkeypatch.setattr(module, "SIZE_MAX", len(TEXT))
    load(file)
    monkeypatch.setattr(module, "SIZE_MAX", len(TEXT) - 1)
    with pytest.raises(ConfigError, match="is larger than"):
        load(file)


def test_error_while_reading() -> None:
    """Files of /proc open and then refuse."""
    with pytest.raises(ConfigError, match="cannot be read: "):
        load("/proc/self/mem")


def test_parsing_imports_little() -> None:
    """The daemon parses before it forks; what is imported then costs both processes."""
    program = (
        "import sys; from pyvrrp.config.load import parse_text; parse_text('vrrp_instance I {\\ninterface e\\n}');"
        "print(*sorted({'asyncio', 'logging', 'argparse', 'difflib', 'typing_extensions', 'socket', 'pyroute2',"
        " 'structlog', 'json', 'inspect'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() in ([], ["inspect"])  # dataclasses import it, in all versions up to 3.13
