"""Colours, where there is somebody to see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

Paint: TypeAlias = Callable[[str, str], str]
"""From a text and the name of what it is to the text with colours, or without."""

_COLOURS: Final = {
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "bold": "1",
    "dim": "2",
    "good": "32",
    "split": "1;31",
    "trap": "33",
}


def plain(text: str, what: str) -> str:  # noqa: ARG001  there are no colours
    """The text as it is."""
    return text


def coloured(text: str, what: str) -> str:
    """The text in the colour of what it is."""
    return f"\033[{_COLOURS[what]}m{text}\033[0m" if text else text


PLAIN: Final[Paint] = plain


def painter(*, terminal: bool, environment: Mapping[str, str]) -> Paint:
    """Colours on terminals only, and not where somebody does not want them (NO_COLOR, TERM=dumb)."""
    wanted = terminal and "NO_COLOR" not in environment and environment.get("TERM") != "dumb"
    return coloured if wanted else plain
