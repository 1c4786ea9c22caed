"""`~SEQ` and `~LST`, read alone: the values, and what makes no sense."""

from __future__ import annotations

import pytest

from pyvrrp.config.repeats import BadRepeat, read_repeat


def values(text: str) -> list[str]:
    repeat = read_repeat(text, 0, lambda numbers: numbers.replace("$N", "3"))
    rows = ["_".join(row) for row in repeat.rows]
    assert repeat.count == len(rows)
    assert text[repeat.end :].lstrip() == "x"
    return rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~SEQ(n,3) x", "1 2 3"),
        ("~SEQ(n,-3) x", "-1 -2 -3"),
        ("~SEQ(n,3,1) x", "3 2 1"),
        ("~SEQ(n,3,3)x", "3"),
        ("~SEQ(n,10,5,20) x", "10 15 20"),
        ("~SEQ(n,10,5,19) x", "10 15"),
        ("~SEQ(n,20,-5,10) x", "20 15 10"),
        ("~SEQ(n,0x10,0X12) x", "16 17 18"),
        ("~SEQ(n,010,011) x", "8 9"),
        ("~SEQx(n,9,11) x", "9 a b"),
        ("~SEQ \t( n , 1 , 2 ) x", "1 2"),
        ("~SEQ(n,,2) x", "0 1 2"),
        ("~SEQ(n,$N) x", "1 2 3"),
        ("~SEQ(n,+1,2) x", "1 2"),
        ("~LST(a,p,q) x", "p q"),
        ("~LST(a,p,,q) x", "p  q"),
        ("~LST(a,) x", ""),
        ("~LST( a, b , c) x", "b c"),
        ("~LST({v,w},{1,2},{3,4}) x", "1_2 3_4"),
        ("~LST({v, w},{1 , 2} , {3}) x", "1_2 3_"),
        ("~LST({v,w},1,2) x", "1_ 2_"),
    ],
)
def test_values(text: str, expected: str) -> None:
    assert values(text) == expected.split(" ")


def test_count_of_what_nobody_could_count() -> None:
    assert read_repeat("~SEQ(n,-9223372036854775807,9223372036854775807)", 0, str).count == 2**64 - 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("~SEQ", r"~SEQ wants \(VAR, \[START, \[STEP,\]\] END\)"),
        ("~SEQ(n) x", "~SEQ wants"),
        ("~SEQ() x", "~SEQ wants"),
        ("~SEQ(n,1,2 x", "~SEQ wants"),
        ("~SEQy(n,1,2) x", "~SEQ wants"),
        ("~SEQ(n,a,2) x", "'a' is no number for ~SEQ"),
        ("~SEQ(n,08) x", "'08' is no number for ~SEQ"),
        ("~SEQ(n,1.5) x", "'1.5' is no number for ~SEQ"),
        ("~SEQ(n,99999999999999999999) x", "'99999999999999999999' is too large for ~SEQ"),
        ("~SEQ(n,1,2,3,4) x", "~SEQ has too many numbers"),
        ("~SEQ(n,1,0,2) x", "~SEQ never comes from 1 to 2 in steps of 0"),
        ("~SEQ(n,20,5,10) x", "~SEQ never comes from 20 to 10 in steps of 5"),
        ("~SEQ(n,1,-1,10) x", "~SEQ never comes from 1 to 10 in steps of -1"),
        ("~SEQx(n,-1,2) x", "~SEQx is for positive numbers only"),
        ("~LST", "~LST wants"),
        ("~LST(a,b", "~LST wants"),
        ("~LST() x", "~LST wants"),
        ("~LST(a) x", "~LST wants"),
        ("~LST(,a) x", "~LST wants"),
        ("~LSTx(n,1,2) x", "~LST wants"),
        ('~LST(a,"b c",d) x', "a value of ~LST is no single word"),
        ("~LST(a,b c,d) x", "a value of ~LST is no single word"),
        ("~LST({a,b,{1,2}) x", "a value of ~LST is no single word"),
        ("~LST({v,w},{1,2,3}) x", "~LST has 3 values for 2 parameter"),
        ("~LST(v,{1,2}) x", "~LST has 2 values for 1 parameter"),
    ],
)
def test_what_makes_no_sense(text: str, message: str) -> None:
    with pytest.raises(BadRepeat, match=message):
        read_repeat(text, 0, str)
