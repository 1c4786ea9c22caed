"""Complaints as a compiler shows them, and what is never shown."""

from __future__ import annotations

import pytest

from pyvrrp.config.complaints import Severity
from pyvrrp.config.load import parse_text
from pyvrrp.explain.diagnostics import Finding, Level, exit_code, findings_of, render, summary
from pyvrrp.explain.paint import coloured, painter
from tests.explain.nodes import SECURE, instance


def shown(text: str) -> str:
    return render(findings_of(parse_text(text, "k.conf")), {"k.conf": text})


def one(line: str, column: int, hint: str = "") -> list[str]:
    """How one complaint about a line of its own is shown."""
    finding = Finding("k.conf", 1, column, Level.ERROR, "code", "message", hint)
    return render([finding], {"k.conf": line}).splitlines()


def test_a_typing_mistake() -> None:
    assert shown(SECURE + instance(" prioritty 7")) == (
        "k.conf:12:2: error: Unknown keyword 'prioritty' [unknown-keyword]\n"
        "    12 |  prioritty 7\n"
        "       |  ^~~~~~~~~\n"
        "       = hint: did you mean 'priority'?\n"
    )


@pytest.mark.parametrize(
    ("line", "column", "under"),
    [
        ("abc def", 5, "    ^~~"),
        ("a", 1, "^"),
        ("\tabc", 2, "\t^~~"),
        ('x "a b" c', 3, "  ^~~~~"),
        ("x ${AB}c", 3, "  ^~~~~"),
        ("a{", 2, " ^"),
        ("", 1, "^"),
        ("日本 ab", 4, "     ^~"),  # two columns each
    ],
)
def test_the_word_is_underlined(line: str, column: int, under: str) -> None:
    assert one(line, column)[2] == f"       | {under}"


def test_a_line_that_is_not_there() -> None:
    finding = Finding("k.conf", 9, 1, Level.NOTE, "code", "message")
    assert render([finding], {"k.conf": "a\n"}) == "k.conf:9:1: note: message [code]\n"
    assert render([finding], {}) == "k.conf:9:1: note: message [code]\n"


def test_a_file_as_a_whole() -> None:
    finding = Finding("k.conf", None, None, Level.ERROR, "unreadable", "cannot be read")
    assert render([finding], {}) == "k.conf: error: cannot be read [unreadable]\n"


@pytest.mark.parametrize("column", [1, 300, 500, 990])
def test_a_long_line_is_cut_around_the_word(column: int) -> None:
    line = ("word " * 200).strip()
    _head, text, under = one(line, column // 5 * 5 + 1)
    assert len(text) <= 100
    assert text[under.index("^") :].startswith("word")


def test_a_long_hint_is_wrapped() -> None:
    lines = one("a", 1, "many words " * 30)
    assert all(len(line) <= 100 for line in lines)
    assert len(lines) > 5


def test_what_cannot_be_printed() -> None:
    assert one("a\x1b[31mb\udcff", 1)[1] == "     1 | a\ufffd[31mb\ufffd"


@pytest.mark.parametrize(
    "text",
    [
        "authentication {\nauth_pass hunter2\n}",
        "authentication { auth_type PASS auth_pass hunter2 }",
        "authentication\n{\nauth_type hunter2\n}",
        "authentication {\nauth_pas hunter2\n}",
        "authentication { hunter2 }",
        "auth_hmac {\nkey 1 hunter2\n}",
        "$PASSWORD=hunter2",
        "$AUTH_PASS=hunter2",
        "auth_pass $X hunter2",
        '"auth_pass" hunter2',
    ],
)
def test_secrets_are_not_shown(text: str) -> None:
    """Whichever word of whichever line is complained of."""
    lines = text.split("\n")
    places = [(row, column) for row, line in enumerate(lines, 1) for column in range(1, len(line) + 1)]
    findings = [Finding("k.conf", row, column, Level.ERROR, "code", "message") for row, column in places]
    out = render(findings, {"k.conf": text})
    assert "hunter2" not in out
    assert "********" in out


@pytest.mark.parametrize("line", ["auth_type PASS", "}", "interface eth0"])
def test_what_is_no_secret_is_shown(line: str) -> None:
    text = f"authentication {{\nauth_type PASS\n}}\n{line}"
    finding = Finding("k.conf", 4, 1, Level.ERROR, "code", "message")
    assert f"     4 | {line}\n" in render([finding], {"k.conf": text})


@pytest.mark.parametrize("severity", Severity)
def test_levels(severity: Severity) -> None:
    """What does not stop a start and is not lost is no error."""
    from pyvrrp.config.complaints import Complaint, Parsed
    from pyvrrp.config.model import Configuration, Place

    (finding,) = findings_of(Parsed(Configuration(), (Complaint(severity, Place("k", 1, 1), "m"),)))
    mild = {"note": Level.NOTE, "unsupported": Level.WARNING, "security": Level.WARNING, "warning": Level.WARNING}
    assert finding.level is mild.get(severity.value, Level.ERROR)


def test_strict_is_what_run_refuses() -> None:
    parsed = parse_text(SECURE + instance(" state MASTER\n nopreempt"), "k.conf")
    assert [each.level for each in findings_of(parsed)] == [Level.WARNING]
    assert [each.level for each in findings_of(parsed, strict=True)] == [Level.ERROR]


def test_sums_and_exit_codes() -> None:
    error, warning, note = (Finding("k", 1, 1, level, "c", "m") for level in Level)
    assert summary([], 1) == "1 file: nothing to complain of"
    assert summary([error, error, note], 2) == "2 files: 2 errors, 1 note"
    assert [exit_code(found) for found in ([], [note], [note, warning], [warning, error])] == [0, 0, 3, 2]


def test_colours_on_terminals_only() -> None:
    paint = painter(terminal=True, environment={})
    assert paint("x", "error") == coloured("x", "error") == "\033[1;31mx\033[0m"
    assert paint("", "error") == ""
    for terminal, environment in ((False, {}), (True, {"NO_COLOR": "1"}), (True, {"TERM": "dumb"})):
        assert painter(terminal=terminal, environment=environment)("x", "error") == "x"
