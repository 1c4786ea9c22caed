"""`pyvrrp convert`: both directions, what is said of losses, and files that hold secrets."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyvrrp import convert
from pyvrrp.config.keywords import ROWS
from pyvrrp.config.load import load, parse_text
from pyvrrp.config.model import Configuration, GlobalSettings, VrrpInstance
from pyvrrp.config.rows import Block, Shape, Status
from pyvrrp.convert import EXIT_NOT_WRITTEN, EXIT_OK, differences
from pyvrrp.errors import ConfigError

CONF = """\
vrrp_instance V1 {
    interface eth0
    virtual_router_id 51
    advert_int 2
    virtual_ipaddress {
        192.0.2.9
    }
}
"""
SECRET = CONF.replace("advert_int 2", "authentication {\nauth_type PASS\nauth_pass hunter2\n}")


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    convert.add_parser(parser.add_subparsers())
    chosen = parser.parse_args(["convert", *map(str, words)])
    code: int = chosen.command(chosen)
    return code


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "keepalived.conf"
    path.write_text(CONF, encoding="utf-8")
    return path


def test_there_and_back(conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    native, again = tmp_path / "a.toml", tmp_path / "again.conf"
    assert run(conf, "-o", native) == EXIT_OK
    assert run(native, "-o", again) == EXIT_OK
    assert load(native).everything == load(again).everything == load(conf).everything
    assert capsys.readouterr().err == f"{native}: comments are not carried over\n"
    assert run(native) == EXIT_OK
    assert capsys.readouterr().out == again.read_text(encoding="utf-8")


def test_to_and_full(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(conf, "--to", "keepalived", "--full") == EXIT_OK
    said = capsys.readouterr()
    assert "    down_timer_adverts 3\n" in said.out
    assert said.err == ""


def test_nothing_is_lost_silently(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf.write_text(
        "! a comment\nglobal_defs {\nenable_traps\nnonsense\n}\nvirtual_server 192.0.2.1 80 {\n}\n"
        + CONF.replace("advert_int 2", "advert_int 0.5\ngarp_master_repeat 0\nuse_vmac"),
        encoding="utf-8",
    )
    assert run(conf) == EXIT_OK
    rounded = "(V1) VRRPv2 advertisement interval 0.500000s must be an integer. rounding (version 3 knows fractions)"
    assert capsys.readouterr().err.splitlines() == [
        f"not carried over: {conf}:3:1: enable_traps: accepted, no effect here",
        f"not carried over: {conf}:4:1: Unknown keyword 'nonsense'",
        f"not carried over: {conf}:6:1: virtual_server: accepted, no effect here",
        f"written as mended: {conf}:11:5: {rounded}",
        f"written as mended: {conf}:12:20: (V1) garp_master_repeat must be greater than 0, setting to 1",
        f"{conf}: {convert._ASIDE['keepalived'][1]}",
    ]


def test_every_keyword_that_is_not_kept_is_named() -> None:
    """As far as its block is told of; a row without a target says nothing in the model."""
    for row in ROWS:
        if row.target or row.opens or row.shape is Shape.BLOCK or row.block not in (Block.ROOT, Block.GLOBAL):
            continue
        assert row.status is Status.NO_EFFECT, row
        line = f"{row.keyword} 1" if row.shape is Shape.LINE else f"{row.keyword} {{\n}}"
        text = f"global_defs {{\n{line}\n}}\n" if row.block is Block.GLOBAL else line
        assert any(map(convert._is_lost, parse_text(text).complaints)), row.keyword


def test_fatal_complaints_are_said_and_nothing_is_written(
    conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conf.write_text(CONF.replace("51", "900"), encoding="utf-8")
    out = tmp_path / "out.toml"
    assert run(conf, "-o", out) == EXIT_NOT_WRITTEN
    assert capsys.readouterr().err == f"{conf}:3:23: (V1) virtual_router_id '900' outside range [1, 255]\n"
    assert not out.exists()


def test_never_overwrites_unless_told(conf: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.toml"
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"out\.toml: exists; nothing was written \(--force overwrites it\)"):
        run(conf, "-o", out)
    assert out.read_text(encoding="utf-8") == "mine"
    assert run(conf, "-o", out, "--force") == EXIT_OK
    assert load(out).everything == load(conf).everything
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keepalived.conf", "out.toml"]


@pytest.mark.parametrize(("text", "mode"), [(CONF, 0o644), (SECRET, 0o600)])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_password_is_for_its_owner(conf: Path, tmp_path: Path, text: str, mode: int, force: list[str]) -> None:
    conf.write_text(text, encoding="utf-8")
    before = os.umask(0o022)
    try:
        assert run(conf, "-o", tmp_path / "out.toml", *force) == EXIT_OK
    finally:
        os.umask(before)
    assert (tmp_path / "out.toml").stat().st_mode & 0o777 == mode
    assert ("hunter2" in (tmp_path / "out.toml").read_text(encoding="utf-8")) is (text is SECRET)


def test_octets_that_are_no_utf8(conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf.write_bytes(SECRET.encode().replace(b"hunter2", b"h\xe9nter"))
    out = tmp_path / "out.toml"
    assert run(conf, "-o", out) == EXIT_OK
    assert b'"h\xe9nter"' in out.read_bytes()
    assert load(out).everything == load(conf).everything
    assert "no UTF-8" in capsys.readouterr().err


def test_what_cannot_be_read_or_written(conf: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        run(tmp_path / "none.conf")
    with pytest.raises(ConfigError, match=r"none/out: cannot be written: No such file"):
        run(conf, "-o", tmp_path / "none" / "out")


def test_half_a_file_is_none(conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    for force in ([], ["--force"]):
        with pytest.raises(ConfigError, match="No space left"):
            run(conf, "-o", tmp_path / "out", *force)
    assert [path.name for path in tmp_path.iterdir()] == ["keepalived.conf"]


def test_what_would_change_is_not_written(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyvrrp.config.native.toml.to_native", lambda *_configuration, **_options: "")
    with pytest.raises(ConfigError, match="would not mean the same any more: instances"):
        run(conf)


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--schema") == EXIT_OK
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$defs"]["vrrp_instance"]["properties"]["priority"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 255,
    }


def test_a_file_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run()
    assert "FILE is missing" in capsys.readouterr().err


@dataclass(frozen=True)
class Other:
    """Not of the model."""


def test_differences() -> None:
    instance = VrrpInstance("a", 1, "eth0")
    one = Configuration(instances=(instance,))
    two = Configuration(instances=(VrrpInstance("a", 1, "eth1", priority=3),))
    assert list(differences(one, one)) == []
    assert list(differences(one, two)) == ["instances.0.interface", "instances.0.priority"]
    assert list(differences(one, Configuration(globals=GlobalSettings(router_id="x")))) == [
        "globals.router_id",
        "instances",
    ]
    assert list(differences(one, Other())) == [""]
