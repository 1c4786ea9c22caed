"""Each keyword of the table with a good and a bad value; a row of the table without a case here fails."""

from __future__ import annotations

import pytest

from pyvrrp.config.codes import Code
from pyvrrp.config.keywords import ROWS
from pyvrrp.config.load import parse_text
from pyvrrp.config.rows import Row, Shape, Status
from tests.config.cases import instance, root, settings, tracked
from tests.config.cases.common import AUTH, GLOBAL, HMAC, INSTANCE, ROOT, Case, look_up, text_with

CASES = (*root.CASES, *settings.CASES, *tracked.CASES, *instance.CASES)
# What a maker of complaints did not think about; each of ours has a code of its own.
THOUGHTLESS = {Code.REMARK, Code.MENDED, Code.DROPPED, Code.FATAL}

# Where the surroundings of the case contradict it, or a part of it is meant to be wrong.
NOT_CLEAN = {"INSTANCE-vrf": {Code.VMAC}, "SYNC_GROUP-group": {Code.NOT_FOUND}}


def name(one: Case) -> str:
    return one.name


def said_of(row: Row) -> str:
    return f"{row.block.name}-{row.keyword}"


@pytest.mark.parametrize("one", CASES, ids=name)
def test_good_value(one: Case) -> None:
    """The model has it, and nothing is dropped except an instance for what is not built yet."""
    result = parse_text(text_with(one.block, one.good, one.also))
    assert look_up(result, one.path) == one.value
    dropped = {complaint.code for complaint in result.drops}
    assert dropped <= {Code.REFUSED, *NOT_CLEAN.get(one.name, ())}


@pytest.mark.parametrize("one", CASES, ids=name)
def test_bad_value(one: Case) -> None:
    """It is complained about at its own line, whatever else follows from it, and with a code that tools can match."""
    text = text_with(one.block, one.bad, one.also)
    result = parse_text(text)
    found = [complaint for complaint in result.complaints if one.message in complaint.message]
    assert found, [str(complaint) for complaint in result.complaints]
    first = f"\n{text}\n".index(f"\n{one.bad}\n")
    first = text[:first].count("\n") + 1
    if "auth_hmac:" not in one.message:
        assert first <= found[0].place.line < first + len(one.bad.splitlines())
    assert not {complaint.code for complaint in found} & THOUGHTLESS


def test_every_keyword_has_a_case() -> None:
    assert {(row.block, row.keyword) for row in ROWS} - {(one.block, one.keyword) for one in CASES} == set()


def test_no_case_is_for_nothing() -> None:
    assert {(one.block, one.keyword) for one in CASES} - {(row.block, row.keyword) for row in ROWS} == set()


def arguments(row: Row) -> str:
    """Something that may stand behind the keyword."""
    if row.shape is Shape.LINE:
        return f"{row.keyword} 1"
    return (
        f"{row.keyword} I {{\n}}" if row.named else f"{row.keyword} {{\n}}" if row.opens else f"{row.keyword} {{\nx\n}}"
    )


@pytest.mark.parametrize("row", ROWS, ids=said_of)
def test_every_keyword_is_known(row: Row) -> None:
    """Whatever it may lack, no keyword of keepalived is called unknown."""
    text = {
        ROOT: arguments(row),
        AUTH: f"vrrp_instance I {{\nauthentication {{\n{arguments(row)}\n}}\n}}",
        HMAC: f"vrrp_instance I {{\nauth_hmac {{\n{arguments(row)}\n}}\n}}",
    }.get(row.block, f"{row.block} I {{\n{arguments(row)}\n}}")
    assert [str(one) for one in parse_text(text).complaints if one.code is Code.UNKNOWN_KEYWORD] == []


GOOD = {(one.block, one.keyword): one for one in CASES}


@pytest.mark.parametrize("row", [row for row in ROWS if row.refuses], ids=lambda row: row.keyword)
def test_what_would_serve_wrongly_is_refused(row: Row) -> None:
    """The instance is not run, and the complaint names the keyword at its place."""
    good = GOOD[row.block, row.keyword].good
    text = text_with(INSTANCE, good)
    result = parse_text(text)
    assert result.refused == ("I",)
    assert result.configuration.instances == ()
    assert [one.name for one in result.everything.instances] == ["I"]
    [refusal] = [complaint for complaint in result.complaints if complaint.code is Code.REFUSED]
    assert refusal.message.startswith(f"(I) {row.keyword} is not supported yet")
    assert refusal.dropped
    assert refusal.place.line == text.splitlines().index(good.splitlines()[0]) + 1


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in ROWS
        if row.block in (ROOT, GLOBAL, INSTANCE) and row.status is not Status.WORKS and not row.refuses
    ],
    ids=said_of,
)
def test_what_does_nothing_is_said_once(row: Row) -> None:
    """However often it stands there; and nobody is kept from starting."""
    one = GOOD[row.block, row.keyword]
    twice = f"{one.good}\n{one.good}" if row.block is not ROOT and not row.named else one.good
    result = parse_text(text_with(row.block, twice, one.also))
    codes = {Status.NO_EFFECT: Code.NO_EFFECT, Status.NOT_YET: Code.NOT_SUPPORTED}
    said = [each for each in result.complaints if each.code is codes[row.status]]
    assert len([each for each in said if each.message.startswith(f"{row.keyword}")]) == 1
    assert not result.fatal
