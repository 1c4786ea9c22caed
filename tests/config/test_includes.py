# ruff: noqa: ISC004  each case is a list of lines

"""Which files an include line means, in which order they are read, and what is said of those that are not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pyvrrp.config import includes, preprocess
from pyvrrp.config.complaints import Log, Severity
from pyvrrp.config.host import NoHost, Setting, Unreadable
from pyvrrp.config.includes import alternatives
from pyvrrp.config.keywords import COMMANDS
from pyvrrp.config.lexer import lex
from pyvrrp.config.load import parse_text
from tests.config.hosts import FakeHost

FILES: Mapping[str, str | Unreadable] = {
    "d/a.conf": "a ${_PWD}\n",
    "d/b.conf": "b",
    "d/sub/one": "one ${_PWD}\ninclude two\nend\n",
    "d/sub/two": "two\n",
    "d/open": "x {\n",
    "d/define": "$Q=7\n",
    "d/half": "$Q=7\\\n",
    "d/self": "include self\n",
    "d/ping": "include pong\n",
    "d/pong": "include sub/../ping\n",
    "d/sub/../ping": "-> d/ping",
    "d/link": "-> d/self",
    "d/dir.d": Unreadable("is a directory", directory=True),
    "d/tool.d": Unreadable("is an executable file", hint="chmod a-x"),
    "d/empty": "",
    "d/checks": "include_check\ninclude none\n",
}


def read(text: str, *, check: bool = False) -> tuple[list[str], list[str]]:
    """Logical lines with their places, and what is said."""
    log = Log("d/f")
    setting = Setting(FakeHost(FILES), "node1", check_includes=check)
    lines = [
        f"{line.place(0)} " + ("}" if line.closes else " ".join(line.words))
        for line in lex(preprocess.preprocess(text, log, setting), COMMANDS)
    ]
    return [line.removeprefix("d/") for line in lines], [f"{one.severity}: {one}" for one in log.complaints()]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x\n  include a.conf # y\nz", ["f:1:1 x", "a.conf:1:1 a /d", "f:3:1 z"]),
        ("include {b,a}.conf", ["b.conf:1:1 b", "a.conf:1:1 a /d"]),
        ("include *.conf\nx", ["a.conf:1:1 a /d", "b.conf:1:1 b", "f:2:1 x"]),
        ("include sub/one", ["sub/one:1:1 one /d/sub", "sub/two:1:1 two", "sub/one:3:1 end"]),
        ("include open\ny\n}", ["open:1:1 x", "f:2:1 y", "f:3:1 }"]),
        ("x { include a.conf\n}", ["f:1:1 x", "a.conf:1:1 a /d", "f:2:1 }"]),
        ("include define\nx$Q", ["f:2:1 x7"]),
        ("include half\ny\nx$Q", ["f:3:1 x7", "f:3:2 y"]),
        ("$F=a.conf\n$I=include\n$I $F\ninclude ${F}", ["a.conf:1:1 a /d"] * 2),
        ("@node1 include a.conf\n@node2 include b.conf", ["a.conf:1:1 a /d"]),
        ("~LST(f,a,b) include ${f}.conf", ["a.conf:1:1 a /d", "b.conf:1:1 b"]),
        ("$M=x\\\ninclude b.conf\\\ny\n$M", ["f:4:1 x", "b.conf:1:1 b", "f:4:1 y"]),
        ("include empty", []),
        ("includer a.conf", ["a.conf:1:1 a /d"]),
        ("includex a.conf\ninclude\nmy_include x", ["f:1:1 includex a.conf", "f:2:1 include", "f:3:1 my_include x"]),
    ],
)  # fmt: skip
def test_what_is_read(text: str, lines: list[str]) -> None:
    assert read(text) == (lines, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # Nothing is wanted.
        ("include none", ["note: d/f:1:9: there is no file 'none'"]),
        ("include no*", ["note: d/f:1:9: no file matches 'no*'"]),
        ("include a b", ["note: d/f:1:9: there is no file 'a b' (quotes and blanks are part of the name)"]),
        ('include "a.conf"', ["note: d/f:1:9: there is no file '\"a.conf\"' (quotes and blanks are part of the name)"]),
        ("include *.d", ["note: d/f:1:9: 'd/dir.d' is a directory - skipping",
                         "note: d/f:1:9: 'd/tool.d' is an executable file - skipping (chmod a-x)"]),
        # More is wanted.
        ("includer none", ["note: d/f:1:10: there is no file 'none'"]),
        ("includem none", ["absent: d/f:1:10: there is no file 'none'"]),
        ("includem no*", ["note: d/f:1:10: no file matches 'no*'"]),
        ("includew no*", ["absent: d/f:1:10: no file matches 'no*'"]),
        ("includew none", ["absent: d/f:1:10: there is no file 'none'"]),
        ("includeb none", ["note: d/f:1:10: there is no file 'none'"]),
        ("includeb {empty,none}", ["absent: d/f:1:10: there is no file 'none'"]),
        ("includeb {empty,no*}", ["note: d/f:1:10: no file matches 'no*'"]),
        ("includem {empty,none}", ["note: d/f:1:10: there is no file 'none'"]),
        ("includea {empty,none}", ["absent: d/f:1:10: there is no file 'none'"]),
        ("includea no*", ["absent: d/f:1:10: no file matches 'no*'"]),
        ("includer tool.d", ["absent: d/f:1:10: 'd/tool.d' is an executable file - skipping (chmod a-x)"]),
        ("includem *ir.d", ["absent: d/f:1:10: 'd/dir.d' is a directory - skipping"]),
        # include_check.
        ("include_check\ninclude none", ["absent: d/f:2:9: there is no file 'none'"]),
        ("include_check match\ninclude none\ninclude no*\ninclude dir.d", [
            "absent: d/f:2:9: there is no file 'none'",
            "note: d/f:3:9: no file matches 'no*'",
            "note: d/f:4:9: 'd/dir.d' is a directory - skipping"]),
        ("include_check read\ninclude_check +match\ninclude none\ninclude dir.d", [
            "absent: d/f:3:9: there is no file 'none'",
            "absent: d/f:4:9: 'd/dir.d' is a directory - skipping"]),
        ("include_check\ninclude_check -match -readable\ninclude none", ["note: d/f:3:9: there is no file 'none'"]),
        ("include checks\ninclude none", ["note: d/f:2:9: there is no file 'none'",
                                          "absent: d/checks:2:9: there is no file 'none'"]),
        ("include_check frob", ["error: d/f:1:1: Unknown include_check type 'frob' - ignoring"
                                " (known: brace_match, match, read, wildcard_match)"]),
        # Circles, with their chain.
        ("include self", ["unusable: d/self:1:9: the file includes itself: d/self -> d/self"]),
        ("include link", ["unusable: d/link:1:9: the file includes itself: d/link -> d/self"]),
        ("include ping", ["unusable: d/pong:1:9: the file includes itself: d/ping -> d/pong -> d/sub/../ping"]),
        ("include f", ["note: d/f:1:9: there is no file 'f'"]),
    ],
)  # fmt: skip
def test_what_is_said(text: str, said: list[str]) -> None:
    assert read(text)[1] == said


def test_all_includes_can_be_checked() -> None:
    """--all-config."""
    assert read("include none", check=True)[1] == ["absent: d/f:1:9: there is no file 'none'"]


def test_what_is_lost_counts_for_a_reload() -> None:
    """A pattern may match nothing and directories; a file that somebody named is missed."""
    host = FakeHost(FILES)
    lost = parse_text("include none\ninclude tool.d\ninclude dir.d\n", "d/f", host=host)
    assert (len(lost.drops), lost.exit_code, lost.fatal) == (3, 0, ())
    assert not parse_text("include no*\ninclude *ir.d", "d/f", host=host).drops


def test_exit_codes() -> None:
    """As keepalived 2.2.7 exits with -t: 6 for an include that must be there, before anything but a missing value."""
    host = FakeHost(FILES)
    assert parse_text("includem none\nfoo", "d/f", host=host).exit_code == 6
    missing = parse_text("includem none\nglobal_defs {\nvrrp_version\n}", "d/f", host=host)
    assert missing.exit_code == 2
    assert Severity.ABSENT in {one.severity for one in missing.fatal}
    assert parse_text("include self", "d/f", host=host).exit_code == 4


def test_without_files_nothing_is_included() -> None:
    result = parse_text("include a\n", "f")
    assert [str(one) for one in result.fatal] == ["f:1:9: include is not possible here, this text is in no file"]
    with pytest.raises(NotImplementedError):
        NoHost().read("a", 1)
    lines = lex(preprocess.preprocess("x${_PWD} ${_ENV A}", Log("d/f"), Setting(NoHost())), COMMANDS)
    assert next(iter(lines)).words == ["xd", "${_ENV", "A}"]


def test_complaints_about_several_files() -> None:
    """File by file, the first one first; hints name the other file."""
    files: dict[str, str | Unreadable] = {
        "g": "vrrp_instance I {\n}\nfoo\n",
        "h": "vrrp_instance I {\npriority 1\n}\n}\n",
    }
    result = parse_text("include g\ninclude h\nbar\n", "f", host=FakeHost(files))
    assert [str(one) for one in result.complaints] == [
        "f:3:1: Unknown keyword 'bar'",
        "g:1:1: (I) the virtual router id must be set (virtual_router_id 1-255)",
        "g:3:1: Unknown keyword 'foo'",
        "h:1:15: vrrp_instance I already defined (in line 1 of g)",
        "h:4:1: Extra '}' found (nothing is open here)",
    ]


def test_a_secret_line_is_one_of_its_file() -> None:
    """What stands in the line of that number in another file is no part of a password."""
    files: dict[str, str | Unreadable] = {"g": "auth_type PASS\nauth_pass x\n}\n}\n", "h": "\nfrobnicate\n"}
    text = "vrrp_instance I {\nauthentication { include g\ninclude h\n"
    messages = [one.message for one in parse_text(text, "f", host=FakeHost(files)).complaints]
    assert "Unknown keyword 'frobnicate'" in messages


def test_worsening_regards_the_file() -> None:
    log = Log("f")
    for file in ("f", "g"):
        line = next(iter(lex([(file, 3, "x", None)], COMMANDS)))
        log.add(Severity.ERROR, line, "bad", dropped=True)
    assert not log.worsen(3, "h")
    assert log.worsen(3, "g")
    assert [one.severity for one in log.complaints()] == [Severity.ERROR, Severity.FATAL]
    assert log.worsen(3)
    assert {one.severity for one in log.complaints()} == {Severity.FATAL}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", ["a"]),
        ("{b,a}.c", ["b.c", "a.c"]),
        ("{a,b}{c,d}", ["ac", "ad", "bc", "bd"]),
        ("{foo/{,cat,dog},bar}", ["foo/", "foo/cat", "foo/dog", "bar"]),
        ("{a}{b,c}", ["{a}b", "{a}c"]),
        ("{{a,b}}", ["{a}", "{b}"]),
        ("{a,b", ["{a,b"]),
        ("a,b}", ["a,b}"]),
        ("{{a,b}", ["{a", "{b"]),
        ("{,}", ["", ""]),
    ],
)
def test_alternatives(pattern: str, expected: list[str]) -> None:
    assert alternatives(pattern, 100) == expected


def test_files_and_patterns_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert alternatives("{a,b}" * 7, 100) is None
    monkeypatch.setattr(includes, "PATTERNS_MAX", 3)
    assert read("include empty\n" * 5)[1] == ["unusable: d/f:4:9: more than 3 names and patterns are included"]
    monkeypatch.setattr(includes, "FILES_MAX", 1)
    assert read("include *.conf\nx") == (["f:2:1 x"], ["unusable: d/f:1:9: more than 1 files are included"])


def test_size_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(includes, "SIZE_MAX", 5)
    lines, said = read("include define\ninclude a.conf")
    assert not lines
    assert said == ["note: d/f:2:9: 'd/a.conf' is too large - skipping"]
