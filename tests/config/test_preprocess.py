# ruff: noqa: ISC004, Q003  each case is a list of lines

"""Conditions, definitions and repetitions: what lines become, as with keepalived 2.2.7, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pyvrrp.config import definitions, preprocess
from pyvrrp.config.complaints import Log, Parsed, Severity
from pyvrrp.config.host import Setting, Unreadable
from pyvrrp.config.keywords import COMMANDS
from pyvrrp.config.lexer import lex
from pyvrrp.config.load import parse_text
from tests.config.hosts import FakeHost

ENVIRONMENT = {"HOME": "/root", "EMPTY": ""}
ONE = "vrrp_instance I {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n192.0.2.1\n}\n}\n"


def expanded(text: str, files: Mapping[str, str | Unreadable] | None = None) -> tuple[list[str], Log]:
    """Logical lines after all that comes before them: number, words joined by a bar, and the brace."""
    log = Log("f")
    setting = Setting(FakeHost(files or {}, ENVIRONMENT), "node1")
    lines = lex(preprocess.preprocess(text, log, setting), COMMANDS)
    return [
        f"{line.number}:" + ("}" if line.closes else "|".join(line.words) + " {" * line.opens) for line in lines
    ], log


def complaints(text: str, files: Mapping[str, str | Unreadable] | None = None) -> list[str]:
    return [f"{one.severity}: {one}" for one in expanded(text, files)[1].complaints()]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        # Where `$NAME` counts, and where it is text.
        ("$A=1\nx$A\nx${A}y\nx$A,z$A)q\nx.$A.$A", ["2:x1", "3:x1y", "4:x1,z1)q", "5:x.$A.1"]),
        ("$A=1\nx$A$A\nx$A ,$A\n\"$A\" \"$A \" \"${A}\"", ["2:x$A1", "3:x1|,1", "4:$A|1 |1"]),
        ("$A = 1\n$=5\n$1=5\n$A-B=5\nx$A", ["1:$A|=|1", "2:$=5", "3:$1=5", "4:$A-B=5", "5:x$A"]),
        ("$A_1=4\n$a=5\nx$A_1 $a $Aa", ["3:x4|5|$Aa"]),
        ("$A=q\nx${A }z ${ A} ${A 1}", ["2:xqz|${|A}|${A|1}"]),
        (" \t$A= 1 2  3 \t# four\nx$A", ["2:x1|2|3"]),
        ("$A=\"1 # 2\"\nx $A", ["2:x|1 # 2"]),
        ("$A=\nx${A}z", ["2:xz"]),
        ("$A=1\r\nx$A\r\n", ["2:x1"]),
        ("x$A\n$A=1\nx$A", ["1:x$A", "3:x1"]),
        # Late, and again.
        ("$A=$B\n$B=7\nx$A\n$B=8\nx$A", ["3:x7", "5:x8"]),
        ("$A=1\n$B=$A\nx${B}y\nx${B}", ["3:x$Ay", "4:x1"]),
        ("$A=1\n$C=$\nx${C}A", ["3:x1"]),
        ("$E=\n$D=a$E\nx${D}${E}z", ["3:xa$Ez"]),
        ("$B=$C=5\n$B\nx$C", ["3:x5"]),
        ("$A=y\n$B=${A}${A}\nx${B}${A}", ["3:xyyy"]),
        ("$D=x { y } z\nx$D", ["2:xx {", "2:y", "2:}", "2:z"]),
        ("$A={\nx $A\ny\n$B=}\n$B", ["2:x {", "3:y", "5:}"]),
        # Several lines.
        ("$A= \\\nxa \\\nxb\\\nxc\n$A\ny$A\n$A z", ["5:xa", "5:xb", "5:xc", "6:yxa", "6:xb", "6:xc", "7:$A|z"]),
        ("$A=x\\\nxa\n$A", ["3:x", "3:xa"]),
        ("$A=\\\nxa\nx$A z", ["3:xxa|z"]),
        ("$A=\\\n# foo \\\nxa \\\n\nxb\n$A", ["5:xb", "6:xa"]),
        ("$A=x # foo \\\ny\n$A", ["3:x", "3:y"]),
        ("$A= \\ # one\nx \\ ! two\ny # three\n$A", ["4:x", "4:y"]),  # the comment is gone before
        ("$A=x\\\n$B=xb\\\nxc\n$A\n$B", ["4:x", "4:xc", "5:xb"]),
        ("$B=\\\n1 \\\n2\n$A=\\\na \\\n$B \\\nb\n$A", ["8:a", "8:1", "8:2", "8:b"]),
        ("$A=1 \\\n2\n$B=y$A \\\n3\n$B", ["5:y1", "5:2", "5:3"]),
        ("$A=\\\nv $N { \\\np $V \\\n}\n$N=i\n$V=1\n$A\n$N=j\n$A",
         ["7:v|i {", "7:p|1", "7:}", "9:v|j {", "9:p|1", "9:}"]),
        ("$A=x\\\ny { @node1 z\\\n}\n$A", ["4:x", "4:y {", "4:z", "4:}"]),
        ("$A=x\\", []),
        ("$A=\\\n\nx${A}y", ["3:xy"]),
        # Conditions.
        ("@node1 a\n@node2 b\n@^node1 c\n@^node2 d\n @node1\te", ["1:a", "4:d", "5:e"]),
        ("@node1\n@\n@^\n@ a\n@^ b", ["5:b"]),
        ("@node1 @node1 x", ["1:@node1|x"]),
        ("@node1 $P=5\n@node2 $P=6\nx$P", ["3:x5"]),
        ("@node1 x {\n@node2 y {\n}", ["1:x {", "3:}"]),
        ("x { y\n@node1 z }\n@node2 }", ["1:x {", "1:y", "2:z", "2:}"]),
        ("$A=@node1 x\n$A", ["2:x"]),
        ("a@b @node2 x@", ["1:a@b|@node2|x@"]),
        # Repetitions.
        ("~SEQ(n,1,3) x$n", ["1:x1", "1:x2", "1:x3"]),
        ("~SEQ(n,1,2) ~SEQ(m,$n,2) x${n}_$m", ["1:x1_1", "1:x1_2", "1:x2_2"]),
        ("~LST(a,p,q)~SEQ(m,2) x${a}_$m", ["1:xp_1", "1:xp_2", "1:xq_1", "1:xq_2"]),
        ("$S=~SEQ(n,1,2)\n$S x$n", ["2:x1", "2:x2"]),
        ("$L=1,2,5\n~LST(a,$L) x$a\n~SEQ(a,$L) x$a", ["2:x1,2,5", "3:x1", "3:x3", "3:x5"]),
        ("~SEQ(n,2) $B=5${n}\nx$B x$n", ["2:x52|x2"]),
        ("~SEQ(n,2) @node1 x$n\n@node1 ~SEQ(n,2) y$n\n@node2 ~SEQ(n,2) z$n", ["1:x1", "1:x2", "2:y1", "2:y2"]),
        ("x {\n~SEQ(n,2) y$n { z }\n}", ["1:x {", "2:y1 {", "2:z", "2:}", "2:y2 {", "2:z", "2:}", "3:}"]),
        ("x { ~SEQ(n,2) y$n\n}", ["1:x {", "1:y1", "1:y2", "2:}"]),
        ("$A=x$n\n~SEQ(n,2) $A", ["2:x1", "2:x2"]),
        ("$A=x\\\ny\n~SEQ(n,2) $A", ["3:x", "3:y", "3:x", "3:y"]),
        ("~SEQ(n,2)\nx$n", ["2:x2"]),
        ("x ~SEQ(n,2)", ["1:x|~SEQ(n,2)"]),
        # A definition or an include behind a brace.
        ("x { $A=5\ny$A\n}", ["1:x {", "2:y5", "3:}"]),
        ('x "{ $A=5" { y', ["1:x|{ $A=5 {", "1:y"]),
        # Built in.
        ("x${_INSTANCE} ${_PWD}", ["1:xnode1|/"]),
        ("$_PWD=/x\n$_PWD", ["2:/x"]),
        ("x${_ENV HOME} ${_ENV EMPTY}. ${_ENV NONE} ${_ENV} ${_PWD x}", ["1:x/root|.|${_ENV|NONE}|${_ENV}|${_PWD|x}"]),
        ("x \"${_HASH}1\" \"${_BANG}2\"", ["1:x|#1|!2"]),
        ("x${_RANDOM 5 5} ${_RANDOM  7  7} ${_RANDOM 0 0 0} ${_RANDOM a}",
         ["1:x5|7|${_RANDOM|0|0|0}|${_RANDOM|a}"]),
        # Comments, and lines that are nobody's business here.
        ("$A=1\n# $A\nx$A # y$A", ["3:x1"]),
        ("$A=1\nscript '$A #'  # x", ["2:script|'1|#'"]),
        ("\ufeff$A=1\nx$A", ["2:x1"]),
        ("$A=1\nx\\", ["2:x"]),
    ],
)  # fmt: skip
def test_lines(text: str, lines: list[str]) -> None:
    assert expanded(text)[0] == lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # What needs itself.
        ("$IF=$IF\nx $IF", ["error: f:2:3: $IF needs its own value (out of $IF, see line 1)"]),
        ("$A=1\n$A=${A}2\nx${A}", ["error: f:3:2: $A needs its own value (out of $A, see line 2)"]),
        ("$A=$B\n$B=y$A\nx $A", ["error: f:3:3: $A needs its own value (out of $A, see line 1)"]),
        ("$A=x\\\n$A\n$A", ["error: f:3:1: $A needs its own value (out of $A, see line 1)"]),
        ("$A=~SEQ(n,2) $A\n$A", ["error: f:2:1: $A needs its own value (out of $A, see line 1)"] * 2),
        ("$A=1,$A\n~SEQ(n,$A) x", ["error: f:2:1: $A needs its own value"]),
        # Too much.
        ("$A=" + "x" * 600 + "\ny${A}${A}", ["error: f:2:6: $A makes more than 1024 characters of this line"
                                             " (out of $A, see line 1)"]),
        ("$A0=\n" + "".join(f"$A{n}=${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 20)) + "${A19}",
         ["error: f:21:1: $A0 makes more than 1000 replacements of this line (out of $A0, see line 1)"]),
        # Repetitions that make no sense.
        ("x\n ~SEQ(n,20,5,10) x", ["error: f:2:2: ~SEQ never comes from 20 to 10 in steps of 5"]),
        ("~LST(a) x", ["error: f:1:1: ~LST wants (VAR, VALUE, ...) or ({VAR, VAR}, {VALUE, VALUE}, ...)"]),
        ("~SEQ(n,1,1000000000) x$n\ny", [
            "unusable: f:1:1: this makes 1000000000 lines; more than 20000 are not made, and the rest is not read"]),
        # Worth knowing.
        ("x${A} $B y$C\n$C=1\n$B=1\n${A}", [
            "warning: f:1:2: a parameter in braces is not defined, and read as text"
            " (keepalived takes such braces for those of a block)",
            "warning: f:1:7: $B is used before it is defined, and read as text",
            "warning: f:1:11: $C is used before it is defined, and read as text"]),
        ("$Z=1\n$Z x${A}", [
            "warning: f:2:5: a parameter in braces is not defined, and read as text"
            " (keepalived takes such braces for those of a block)"]),
        ("x { ~SEQ(n,2) y$n\n}", []),
        ("$A=1\nx$B", []),
        ("x${_HASH}y", ["warning: f:1:2: '#' begins a comment here, though it was put in"
                        " (quotes keep it; out of $_HASH)"]),
        ("$A=a\\#b\nx$A", ["warning: f:2:2: '\\#' in a line with parameters is '#' (keepalived begins a comment there;"
                           " quotes make both agree; out of $A, see line 1)"]),
        ("$A=1\nx\\# $A", ["warning: f:2:2: '\\#' in a line with parameters is '#' (keepalived begins a comment there;"
                           " quotes make both agree)"]),
        ("$A=\"x\ny$A", ["error: f:1:1: unterminated quote"]),
    ],
)  # fmt: skip
def test_said(text: str, expected: list[str]) -> None:
    _, log = expanded(text)
    problems = [
        f"error: {place}: {line.problem}" + (f" ({via})" if (via := getattr(place, "via", "")) else "")
        for line in lex(preprocess.preprocess(text, Log("f"), Setting(FakeHost({}), "node1")), COMMANDS)
        if line.problem and line.problem != "unterminated quote"
        for place in [line.place(0)]
    ]
    assert [f"{one.severity}: {one}" for one in log.complaints()] + problems == expected


def test_a_line_that_cannot_be_expanded_takes_its_block_along() -> None:
    result = parse_text(f"$A=$A\nvrrp_instance $A {{\nx\n}}\n{ONE}", "f")
    assert [str(one) for one in result.complaints] == ["f:2:15: $A needs its own value (out of $A, see line 1)"]
    assert [instance.name for instance in result.configuration.instances] == ["I"]


def test_places() -> None:
    """A complaint shows the column that somebody typed, and says if the text is not what stands there."""
    text = (
        "$P=300\n$LONG=much longer than its name\nvrrp_instance I {\n  priority   $P\n  prioritty $P\n  x ${LONG}\n}\n"
    )
    said = [str(one) for one in parse_text(text, "f").complaints if one.place.line > 3]
    assert said == [
        "f:4:14: (I) priority '300' outside range [1, 255] (out of $P, see line 1)",
        "f:5:3: Unknown keyword 'prioritty' (did you mean 'priority'?)",
        "f:6:3: Unknown keyword 'x'",
    ]


def test_a_word_behind_a_parameter_has_its_own_column() -> None:
    text = '$A=longer than that\nx $A y  ${A}z "$A " end\n'
    [line] = lex(preprocess.preprocess(text, Log("f"), Setting(FakeHost({}))), COMMANDS)
    assert [str(line.place(word)) for word in range(11)] == [
        *["f:2:1", "f:2:3", "f:2:3", "f:2:3", "f:2:6", "f:2:9", "f:2:9"],
        *["f:2:9", "f:2:15", "f:2:21", "f:2:24"],
    ]
    assert [bool(getattr(line.place(word), "via", "")) for word in range(10)] == [
        *[False, True, True, True, False, True, True, True, True, False],
    ]


def test_places_of_lines_that_were_made() -> None:
    text = "$A=\\\nx \\\n y $B\n$B=5\n  $A\n ~SEQ(n,2) q $n\n"
    lines = list(lex(preprocess.preprocess(text, Log("f"), Setting(FakeHost({}))), COMMANDS))
    assert [str(line.place(1)) for line in lines] == ["f:5:3", "f:5:3", "f:6:14", "f:6:14"]
    assert [getattr(line.place(1), "via", "") for line in lines] == [
        "out of $A, see line 1",
        "out of $B, see line 4",
        "out of $n, see line 6",
        "out of $n, see line 6",
    ]


def test_secrets_are_not_shown() -> None:
    """Neither a password out of a definition, nor a password that looks like a parameter."""
    text = (
        "$PW=s3cret\nvrrp_instance I {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n192.0.2.1\n}\n"
        "authentication {\nauth_type PASS\nauth_pass $PW x ${s3cret}\n}\n}\n"
    )
    result = parse_text(text, "f")
    authentication = result.configuration.instances[0].authentication
    assert authentication is not None
    assert authentication.password == b"s3cret"
    assert not [one for one in result.complaints if "s3cret" in str(one)]


def test_random_numbers() -> None:
    """Within their bounds, also when these are the wrong way round; `random_seed` makes them the same each time."""
    text = "global_defs {\nrandom_seed 7\n}\n" + "x $_RANDOM ${_RANDOM 9} ${_RANDOM 3 1}\n" * 50
    lines, _ = expanded(text)
    again, _ = expanded(text)
    assert lines == again
    numbers = [[int(word) for word in line.split("|")[1:]] for line in lines if "x|" in line]
    assert all(0 <= first <= 32767 and 9 <= second <= 32767 for first, second, _ in numbers)
    assert {third for *_, third in numbers} == {1, 2, 3}
    assert len({first for first, *_ in numbers}) > 10
    assert expanded("random_seed x\nx ${_RANDOM 4 4}")[0] == ["1:random_seed|x", "2:x|4"]


def test_a_value_that_keeps_growing_is_seen_through_files() -> None:
    files = {"g": "$A\n"}
    assert "$A needs its own value" in str(
        [
            line.problem
            for line in lex(
                preprocess.preprocess("$A=x\\\ninclude g\n$A", Log("f"), Setting(FakeHost(files))), COMMANDS
            )
        ]
    )


@pytest.mark.parametrize(
    "text",
    [
        "$A=x\\\nx\\\nx\n" + "$A\n" * 3,
        "~SEQ(a,2) ~SEQ(b,2) ~SEQ(c,2) x",
        "x { @node1 " * 9,
    ],
)
def test_lines_that_are_made_are_counted(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocess, "MADE_MAX", 5)
    [one] = expanded(text)[1].complaints()
    assert one.severity is Severity.UNUSABLE
    assert "more than 5" in one.message


@pytest.mark.parametrize(
    "text", ["x\n" * 6, "$A=1\n" * 6, "x\n" * 2 + "include g\n" + "x\n" * 2, "include g\n" + "x\n" * 6]
)
def test_lines_are_counted(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocess, "LINES_MAX", 5)
    lines, log = expanded(text, {"g": "y\ny"})
    assert len(lines) <= 5
    assert [one.message for one in log.complaints()] == ["more than 5 lines; the rest is not read"]


def test_replacements_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "STEPS", 5)
    lines, log = expanded("$A=1\n" + "x$A\n" * 9)
    assert len(lines) == 5
    assert [str(one) for one in log.complaints()] == ["f:7:1: more is replaced than any configuration needs"]


def test_late_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocess, "_LATE_MAX", 2)
    assert len(complaints("x${A}\nx${B}\nx${C}")) == 2


def test_long_lines_are_the_lexers() -> None:
    lines = list(lex(preprocess.preprocess("$A=1\n" + "x$A" * 400, Log("f"), Setting(FakeHost({}))), COMMANDS))
    assert [line.problem for line in lines] == ["the line has 1200 characters; more than 1024 are ignored"]


def test_without_a_configuration_id_there_is_nothing_to_match() -> None:
    log = Log("f")
    lines = lex(preprocess.preprocess("@a x\n@^a y\nz${_INSTANCE}", log, Setting(FakeHost({}))), COMMANDS)
    assert [line.words for line in lines] == [["y"], ["z"]]


def result_of(text: str) -> Parsed:
    return parse_text(text, "f", config_id="node1")


def test_a_whole_configuration() -> None:
    """As people write them: one file for all nodes."""
    text = (
        "@node1 $PRIO=150\n@^node1 $PRIO=100\n$IF=eth0\n$NET=192.0.2\n"
        "$COMMON= \\\ninterface $IF \\\nauthentication { \\\nauth_type PASS \\\nauth_pass x \\\n}\n"
        "~SEQ(n,1,3) vrrp_instance V$n { $VRID=5${n}\n"
    ).replace("~SEQ(n,1,3) ", "$n=1\n")
    text += (
        "$COMMON\nvirtual_router_id $VRID\npriority $PRIO\nvirtual_ipaddress {\n~SEQ(i,10,12) ${NET}.${i}/24\n}\n}\n"
    )
    result = result_of(text)
    [instance] = result.configuration.instances
    assert result.exit_code == 0
    assert (instance.name, instance.vrid, instance.priority, instance.interface) == ("V1", 51, 150, "eth0")
    assert [str(line.address) for line in instance.virtual_addresses] == [f"192.0.2.{n}/24" for n in (10, 11, 12)]
    assert parse_text(text, config_id="node2").configuration.instances[0].priority == 100
