"""Our YAML, read back by PyYAML, which knows version 1.1 with all its traps."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pyvrrp.errors import UsageError
from pyvrrp.manifest.text import Object, Value, to_yaml

TRAPS = (
    "", " ", "yes", "NO", "On", "y", "n", "null", "~", "true", "False", "1", "0x10", "010", "1_000", "1e3", ".5",
    ".inf", ".nan", "1:30", "12:30:45", "2026-11-22", "=", "<<", "-", "- a", "a: b", "a:", "a #b", "#", "&a", "*a",
    "!a", "|", ">", "%", "@", "`", "{", "[", "'", '"', "\\", "a\\nb", "a\nb", "a\n", "a\n\n", "\na", " a\nb",
    "\ta\nb", "a\n b\n", "a \n", "a\n \nb", "a\r\nb", "\n", "---\na", "...\n", "a\n---\n", "\u0085", "a\u2028b\n",
    "\ufeff", "\ufffe", "😀", "😀\n\n\n", "\x00", "\x7f", "\u200b", "\U000e0001", "中文\u3000\n", "a\u00a0b",
    "preempt_delay 300", "2001:db8::1", "::1",
)  # fmt: skip


@pytest.mark.parametrize("text", TRAPS)
def test_a_string_stays_what_it_is(text: str) -> None:
    """As key, as value, in a list, in a mapping of a list, and beside others."""
    value: Object = {text: text, "list": [text, {text: text, "more": text}], "deep": {"deeper": {text: text}}}
    (back,) = yaml.safe_load_all(to_yaml([value]))
    assert back == value


values: st.SearchStrategy[Value] = st.recursive(
    st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab: #\n-'", max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "yes"]), values, min_size=1), min_size=1, max_size=3))
@example([{"a": [{}, [], {"b": {}}]}])
@example([{"a": [{"b": "x\n\ny\n"}, ["x\ny"]]}])
def test_any_value_comes_back(documents: list[Object]) -> None:
    assert list(yaml.safe_load_all(to_yaml(documents))) == documents


def test_scripts_stand_as_they_are() -> None:
    """People read and change them there."""
    assert to_yaml([{"data": {"a.sh": "#!/bin/sh\n\n  exit 0\n"}}]) == (
        "data:\n  a.sh: |\n    #!/bin/sh\n\n      exit 0\n"
    )


def test_plain_words_stand_bare() -> None:
    assert to_yaml([{"image": "quay.io/a/b:v1.2", "n": 1, "list": [True, "a b", {"c": {}}]}]) == (
        'image: quay.io/a/b:v1.2\n"n": 1\nlist:\n  - true\n  - "a b"\n  - c: {}\n'
    )


def test_octets_that_are_no_text_are_refused() -> None:
    with pytest.raises(UsageError, match="no UTF-8"):
        to_yaml([{"a": "\udcff"}])
