"""Files that can be read, and those that cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyvrrp.config import load as module
from pyvrrp.config.codes import Code
from pyvrrp.config.load import ThisHost, load
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


def test_includes(tmp_path: Path) -> None:
    """Beside the including file, whatever the working directory is; what is read first comes first."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "main.conf").write_text("include conf.d/*.conf\nfoo\n")
    (tmp_path / "conf.d" / "b.conf").write_text("include ../c\n")
    (tmp_path / "conf.d" / "a.conf").write_bytes(TEXT)
    (tmp_path / "conf.d" / ".hidden.conf").write_text("hidden\n")
    (tmp_path / "c").write_text("x${_PWD}\n")
    result = load(tmp_path / "main.conf")
    assert [instance.name for instance in result.configuration.instances] == ["\udcff\u00e9"]
    assert [str(one) for one in result.complaints] == [
        f"{tmp_path}/main.conf:2:1: Unknown keyword 'foo'",
        f"{tmp_path}/conf.d/../c:1:1: Unknown keyword 'x{tmp_path}' (out of $_PWD)",
    ]


def test_patterns_in_many_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In directories, too, but not in the name of the directory that the including file is in; sorted as a whole."""
    here = tmp_path / "a[b]"
    for name in ("x-y/k.conf", "x/k.conf", "x/.hidden/k.conf", "z", "x/other"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(f"foo{name.replace('/', '_').replace('.', '_').replace('-', '_')}\n")
    monkeypatch.chdir(tmp_path)
    main = here / "main.conf"
    for pattern, found in {
        "x*/k.conf": ["x-y/k.conf", "x/k.conf"],
        "*/.h*/k.conf": ["x/.hidden/k.conf"],
        "*/*/k.conf": [],
        "?": ["x", "z"],
        "[z]": ["z"],
        "x//k*": ["x/k.conf"],
        f"{tmp_path}/?*/z": ["z"],
        "*/nothing": [],
    }.items():
        main.write_text(f"include {pattern}\n")
        for name in (str(main), "a[b]/main.conf"):
            files = {one.place.file for one in load(name).complaints if "Unknown" in one.message}
            read = {file.removeprefix(f"{here}/").removeprefix("a[b]/") for file in files}
            assert read == {each for each in found if each != "x"}, (pattern, name)


def test_what_patterns_look_through_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        (tmp_path / f"{number}.conf").write_text("")
    monkeypatch.setattr(module, "NAMES_MAX", 22)
    main = tmp_path / "main"
    main.write_text("include *.conf\ninclude 1*.conf\n")
    assert not load(main).fatal
    main.write_text("include *.conf\ninclude 1*.conf\ninclude 2*.conf\n")
    [fatal] = load(main).fatal
    assert (fatal.place.line, fatal.code) == (3, Code.TOO_MUCH)
    monkeypatch.setattr(module, "NAMES_MAX", 5)
    with pytest.raises(ConfigError, match="looks through more than 5 names"):
        load(tmp_path / "*.conf")


def test_a_pattern_instead_of_a_file(tmp_path: Path) -> None:
    """As keepalived's `-f`: all that match are read in turn, and more than one is worth a warning."""
    (tmp_path / "b.conf").write_bytes(TEXT)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "*.cfg")
    assert load(tmp_path / "*.conf").complaints == load(tmp_path / "b.conf").complaints
    (tmp_path / "a.conf").write_text("foo\n")
    result = load(tmp_path / "*.conf")
    assert len(result.configuration.instances) == 1
    assert [str(one) for one in result.complaints][:2] == [
        f"{tmp_path}/*.conf:1:1: 2 files match, all are read",
        f"{tmp_path}/a.conf:1:1: Unknown keyword 'foo'",
    ]
    assert result.exit_code == 5
    (tmp_path / "*.conf").write_text("")  # a file of that very name is meant
    assert load(tmp_path / "*.conf").everything.instances == ()


def test_includes_beside_a_relative_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("main.conf").write_text("include [a].conf\ninclude b.conf\n")
    Path("a.conf").write_text("foo\n")
    Path("b.conf").write_text("bar\n")
    assert [str(one) for one in load("main.conf").drops] == [
        "a.conf:1:1: Unknown keyword 'foo'",
        "b.conf:1:1: Unknown keyword 'bar'",
    ]


def test_what_cannot_be_included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing blocks, nothing is read that is no file of text; a link to oneself is a circle."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("a.pipe")
    Path("b.dir").mkdir()
    Path("c.tool").write_text("foo\n")
    Path("c.tool").chmod(0o755)
    Path("d.dangling").symlink_to("nowhere")
    Path("e.link").symlink_to("main")
    Path("main").write_text("include [a-e].*\ninclude \0\ninclude z\ninclude /dev/zero\n")
    assert [str(one) for one in load("main").complaints if one.place.column > 1] == [
        "main:1:9: 'a.pipe' is not a regular file - skipping",
        "main:1:9: 'b.dir' is a directory - skipping (name a file in it)",
        "main:1:9: 'c.tool' is an executable file - skipping (chmod a-x)",
        "main:1:9: 'd.dangling' cannot be read: No such file or directory - skipping (create it, or name another one)",
        "main:1:9: the file includes itself: main -> e.link",
        r"main:2:9: there is no file '\x00'",
        "main:3:9: there is no file 'z'",
        "main:4:9: '/dev/zero' is not a regular file - skipping",
    ]


def test_a_name_that_is_none() -> None:
    assert ThisHost().identity("a\0b") == "a\0b"
    assert not ThisHost().find("\0*", "f", 5)


def test_thousands_of_files(tmp_path: Path) -> None:
    """More than keepalived could open are refused before any of them is read."""
    for number in range(1100):
        (tmp_path / f"{number}.conf").write_text("foo\n")
    (tmp_path / "main").write_text("include *.conf\n")
    [one] = load(tmp_path / "main").drops
    assert str(one) == f"{tmp_path}/main:1:9: more than 1000 files are included"


def test_configuration_id_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f"
    monkeypatch.setenv("WORD", "word")
    file.write_text(f"@{os.uname().nodename.partition('.')[0]} here\n@other there\nx${{_ENV WORD}}\n")
    found = [[one.message for one in parsed.drops] for parsed in (load(file), load(file, config_id="other"))]
    assert found == [
        ["Unknown keyword 'here'", "Unknown keyword 'xword'"],
        ["Unknown keyword 'there'", "Unknown keyword 'xword'"],
    ]


def test_all_includes_can_be_checked(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("include none\n")
    assert load(file).exit_code == 0
    assert load(file, check_includes=True).exit_code == 6
