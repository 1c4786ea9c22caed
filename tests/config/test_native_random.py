"""Any configuration goes through both forms and comes back the same; any text gives a model or located complaints."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pyvrrp.config.complaints import Severity
from pyvrrp.config.keywords import ROWS
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import Configuration
from pyvrrp.config.native.read import parse_native
from pyvrrp.config.native.toml import to_native
from pyvrrp.config.write import to_keepalived
from pyvrrp.convert import differences
from tests.config.models import MADE, configurations, fields_of

# Not shrunk: of a model with a hundred fields that takes minutes, and the difference names the field.
SLOW = settings(
    max_examples=40, deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
)
PIECES = [
    *(f"{row.keyword} = " for row in ROWS),
    *(f"[[{row.keyword}]]\n" for row in ROWS if row.named or row.repeats),
    *(f"[{row.keyword}]\n" for row in ROWS if row.opens is not None),
    *('name = "a"\n', "1\n", "1.5\n", "-1\n", "true\n", "false\n", '"eth0"\n', '"192.0.2.1/24"\n', "[]\n", "[1, 2]\n"),
    *(
        '["a b"]\n',
        "[true]\n",
        "[[1]]\n",
        "[{}]\n",
        "{}\n",
        "{ x = 1 }\n",
        '{ name = "a", weight = 1 }\n',
        "1979-05-27\n",
    ),
    *(
        '{ address = "192.0.2.1", dev = 3 }\n',
        '{ command = "a b", user = "u" }\n',
        "inf\n",
        "nan\n",
        "1e99\n",
        "0x" + "f" * 50,
    ),
    *(
        "# c\n",
        "\n",
        "=",
        ".",
        '"',
        "'",
        '"""',
        "'''",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\\",
        "\0",
        "\udcff",
        "é",
        "a",
        "\r\n",
        "\t",
    ),
]
TEXTS = st.one_of(
    st.text(), st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=40).map("".join)
)


@SLOW
@given(configurations(), st.booleans())
def test_through_toml(configuration: Configuration, full: bool) -> None:
    text = to_native(configuration, full=full)
    again = parse_native(text).everything
    assert list(differences(configuration, again)) == []
    assert to_native(again, full=full) == text


@SLOW
@given(configurations(), st.booleans())
def test_through_keepalived_conf(configuration: Configuration, full: bool) -> None:
    text = to_keepalived(configuration, full=full)
    again = parse_text(text).everything
    assert list(differences(configuration, again)) == []
    assert to_keepalived(again, full=full) == text


def _parts(kind: Any, seen: set[type[Any]]) -> Iterator[type[Any]]:
    """All dataclasses that values of that type are made of."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind not in seen:
        seen.add(kind)
        yield kind
        hints = typing.get_type_hints(kind)
        for name in fields_of(kind):
            yield from _parts(hints[name], seen)
    for argument in typing.get_args(kind):
        yield from _parts(argument, seen)


def test_every_field_is_tried() -> None:
    """A field that the strategies leave alone could be one that neither form can say."""

    @settings(max_examples=120, derandomize=True, database=None, suppress_health_check=list(HealthCheck), deadline=None)
    @given(configurations())
    def fill(_configuration: Configuration) -> None:
        """So that all of them were made once."""

    fill()
    kinds = list(_parts(Configuration, set()))
    assert len(kinds) > 30
    assert {kind.__name__: fields_of(kind) - MADE.get(kind, frozenset()) for kind in kinds} == {
        kind.__name__: frozenset() for kind in kinds
    }


@given(TEXTS)
def test_any_text(text: str) -> None:
    result = parse_native(text, "f.toml")
    lines = text.split("\n")
    for complaint in result.complaints:
        assert complaint.place.file == "f.toml"
        assert 1 <= complaint.place.line <= len(lines)
        assert 1 <= complaint.place.column <= len(lines[complaint.place.line - 1]) + 1
        assert complaint.message
        assert str(complaint).isprintable()
        assert complaint.dropped or complaint.severity is not Severity.ERROR
    assert result.exit_code in (0, 2, 4, 5, 6)
    again = parse_native(to_native(result.everything)).everything
    assert list(differences(result.everything, again)) == []
    again = parse_text(to_keepalived(result.everything)).everything
    assert list(differences(result.everything, again)) == []
