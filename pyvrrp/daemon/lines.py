"""A line for the log, before anybody has written it: at the start lines are older than the log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line for the log.

    Attributes:
        level: `debug` lines are shown with `--log-detail` only.
        text: The sentence, without what is in *fields*.
        fields: Values, for JSON and for people who filter; `message` holds keepalived's words where ours differ.
        repeats: A cause that a peer can repeat as often as it likes: such lines are limited for each cause and peer.
    """

    level: Level
    text: str
    fields: dict[str, Any] = field(default_factory=dict)
    repeats: str = ""
