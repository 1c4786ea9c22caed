# ruff: noqa: SIM905  words read better without a comma after each

"""Any text gives a `Parsed`, with complaints that have their place, in bounded memory; never another exception."""

from __future__ import annotations

import tracemalloc
from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.config.complaints import LIMIT, Parsed, Severity
from pyvrrp.config.keywords import ROWS
from pyvrrp.config.lexer import split_command
from pyvrrp.config.load import parse_text
from pyvrrp.config.rows import Shape
from tests.config.hosts import FakeHost

WORDS = [
    *(row.keyword for row in ROWS),
    *(row.keyword + " {" for row in ROWS if row.shape is not Shape.LINE),
    *"{ } \n # ! \" ' \\ $ @ ~SEQ(a,1,2) $A= ${A} include I eth0 lo 0 1 -1 255 256 1.5 5x".split(" "),
    *"$A=x\\\n $A $B=${A}$A $B ~SEQ(A,3) ~LST({A,B},{1,2},3) @n @^n @m ${_HASH} ${_RANDOM} ${_PWD} \\\n".split(" "),
    *("include f", "include g", "include {g,h}*", "includea none", "include_check +read", "$A=~SEQ(B,2) ", "{ $A=1"),
    *"MASTER BACKUP PASS AH 192.0.2.1 192.0.2.1/24 fe80::1 ::/0 224.0.0.18 dev brd + scope".split(" "),
    *'label peer weight reverse 99999999999999999999 on off \'a "b" \\x41'.split(" "),
    *"\udcff \0 \u2028 vrrp_instance\tI\t{ }}} {{{".split(" "),
]
FRAGMENTS = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=4)), max_size=60)
FILES = {"g": "${A} {\n$A\n}\n@n $B=\\\n", "h": "include g\nx $A \\\n"}
TEXTS = st.one_of(st.text(), st.builds(" ".join, FRAGMENTS), st.builds("\n".join, FRAGMENTS))


def parse(text: str, interfaces: Collection[str] | None = None) -> Parsed:
    """With files that can be included, one of which uses what the text defines."""
    return parse_text(text, "f", interfaces, host=FakeHost({"f": text, **FILES}), config_id="n")


def inspect(text: str, result: Parsed) -> None:
    files = {"f": text, **FILES}
    for complaint in result.complaints:
        lines = files[complaint.place.file].split("\n")
        assert 1 <= complaint.place.line <= len(lines)
        assert 1 <= complaint.place.column <= len(lines[complaint.place.line - 1]) + 1
        assert complaint.message
        assert str(complaint).isprintable()
        assert complaint.dropped or complaint.severity is not Severity.ERROR
    for file in files:
        places = [(one.place.line, one.place.column) for one in result.complaints if one.place.file == file]
        assert places == sorted(places)
    assert result.exit_code in (0, 2, 4, 5, 6)
    names = [instance.name for instance in result.configuration.instances]
    assert not set(names) & set(result.refused)
    for instance in result.configuration.instances:
        assert 1 <= instance.vrid <= 255
        assert 1 <= instance.priority <= 255
        assert 10_000 <= instance.advertisement_interval_us <= 255_000_000
        assert len(instance.virtual_addresses) <= 255
        assert instance.interface is not None or instance.unicast
        for track in instance.track_scripts:
            assert result.configuration.script(track.name) is not None


@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_any_text(text: str) -> None:
    inspect(text, parse(text, {"eth0"}))


@given(FRAGMENTS)
@settings(deadline=None, max_examples=200)
def test_any_instance(fragments: list[str]) -> None:
    inside = "\n".join(fragments)
    text = (
        f"vrrp_instance I {{\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {{\n192.0.2.1\n}}\n{inside}\n}}\n"
    )
    inspect(text, parse(text))


@given(st.text())
def test_any_command(text: str) -> None:
    try:
        words = split_command(text)
    except ValueError as error:
        assert str(error).startswith("missing terminating ")  # noqa: PT017  both ends are right
    else:
        assert sum(map(len, words)) <= len(text)


@given(st.lists(st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cc"]), min_size=1)))
def test_quoted_words_come_back(words: list[str]) -> None:
    assert split_command(" ".join(f'"{word}"' for word in words)) == words


def doubling(value: str) -> str:
    """Definitions A1 to A29; in each value {0} is the number before."""
    return "".join(f"$A{number}={value.format(number - 1)}\n" for number in range(1, 30))


IN_ADDRESSES = "vrrp_instance I {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x\n" * 10_000, id="unknown words"),
        pytest.param("{\n" * 10_000, id="braces"),
        pytest.param("a {\n" * 10_000, id="blocks in blocks"),
        pytest.param("global_defs {" * 10_000, id="a long line of blocks"),
        pytest.param("}\n" * 10_000, id="closing braces"),
        pytest.param('"\n' * 10_000, id="quotes"),
        pytest.param("script '\n" * 10_000, id="quotes of commands"),
        pytest.param("vrrp_instance I {\n" * 10_000, id="instances in instances"),
        pytest.param('"' + "x " * 10_000, id="a long quote"),
        pytest.param(IN_ADDRESSES + "192.0.2.1\n" * 10_000, id="one address"),
        pytest.param(IN_ADDRESSES + "\n".join(f"::{n:x}" for n in range(1, 10_000)), id="addresses"),
        pytest.param("".join(f"vrrp_instance I{n} {{\n}}\n" for n in range(5_000)), id="instances"),
        pytest.param("$A=$A$A\n" * 10_000, id="parameters"),
        pytest.param("${" * 10_000, id="begins of parameters"),
        pytest.param("\\" * 20_000, id="backslashes"),
        pytest.param("$A=$A\nx$A\n" * 5_000, id="a value that needs itself"),
        pytest.param("$A=x \\\n$A\n$A\n" * 5_000, id="a value of lines that needs itself"),
        pytest.param(doubling("${{A{0}}}${{A{0}}}") + "${A29}\n" * 1_000, id="values that double to nothing"),
        pytest.param("$A0=x\n" + doubling("${{A{0}}}${{A{0}}}") + "${A29}\n" * 1_000, id="values that double"),
        pytest.param("$A0=x\\\ny\n" + doubling("\\\n$A{0} \\\n$A{0}") + "$A29\n" * 99, id="lines that double"),
        pytest.param("".join(f"$A{n}=x$A{n + 1}\n" for n in range(9_000)) + "$A0\n" * 999, id="a chain of values"),
        pytest.param("".join(f"$A{n}=\\\nx\\\n$A{n + 1}\n" for n in range(9_000)) + "$A0\n", id="a chain of lines"),
        pytest.param("$A=\\\n" + "x\\\n" * 50_000 + "\n$A\n" * 20, id="a value of many lines"),
        pytest.param(IN_ADDRESSES + "~SEQ(n,1,1000000000) 10.0.0.$n", id="a long repetition"),
        pytest.param("~SEQ(a,2)" * 99 + " x\n", id="repetitions in repetitions"),
        pytest.param("~SEQ(a,99) ~SEQ(b,99) ~SEQ(c,99) x$a\n" * 99, id="many repetitions"),
        pytest.param("~LST(a," + ",".join("b" * 500) + ") x$a\n" * 99, id="long lists"),
        pytest.param(("{ @n " * 200 + "\n") * 500, id="conditions behind braces"),
        pytest.param("include f\n" * 5_000, id="a file that includes itself"),
        pytest.param("include g\n" * 5_000, id="a file again and again"),
        pytest.param("include " + "{g,h}" * 200 + "\n", id="alternatives"),
        pytest.param("x${A} $B\n" * 9_000, id="nothing defined"),
        pytest.param("x${_HASH}\n" * 9_000, id="comments that are put in"),
    ],
)
def test_hostile_texts_stay_bounded(text: str) -> None:
    """Braces cost no recursion, mistakes no more than a thousand complaints, and memory stays in proportion."""
    tracemalloc.start()
    try:
        result = parse(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(result.complaints) <= LIMIT + 20
    assert peak < 8_000_000 + 200 * len(text)
