"""An instance while it is put together: its values with their defaults, and how to complain about each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pyvrrp.config.complaints import Log, Severity, not_built
from pyvrrp.config.keywords import BY_BLOCK
from pyvrrp.config.model import Place
from pyvrrp.config.parser import Draft, Item, Said
from pyvrrp.config.rows import Block, Row

_ROWS: Final = tuple(
    row for block in (Block.INSTANCE, Block.AUTHENTICATION) for row in BY_BLOCK[block].values() if row.target
)


def fill(rows: Iterable[Row], draft: Draft, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each target: what was said, else the inherited, else the default."""
    values: dict[str, Any] = {}
    for row in rows:
        said = draft.said.get(row.target)
        if said is not None:
            values[row.target] = said.value
        elif values.get(row.target) is None:
            inherited = settings.get(row.inherits) if row.inherits else None
            values[row.target] = row.default if inherited is None else inherited
    return values


def part(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The values of one part of the model, without its name."""
    return {target.removeprefix(prefix): value for target, value in values.items() if target.startswith(prefix)}


class Assembly:
    """
    An instance while it is put together.

    Attributes:
        draft: What the block said.
        settings: The values of `global_defs` by target.
        log: Takes the complaints.
        values: The instance's values by target.
        strict: RFC strictness is on.
        usable: Nothing forbids to run it.
    """

    def __init__(self, draft: Draft, settings: Mapping[str, Any], log: Log) -> None:
        self.draft = draft
        self.settings = settings
        self.log = log
        self.values = fill(_ROWS, draft, settings)
        self.strict: bool = self.values["strict"]
        self.usable = not draft.refusals

    def tell(
        self,
        severity: Severity,
        message: str,
        about: str | Said | Item | None = None,
        hint: str = "",
        *,
        dropped: bool = False,
    ) -> None:
        """Complain about a target, or a value; without either about the instance."""
        said = self.draft.said.get(about) if isinstance(about, str) else about
        line = self.draft.line if said is None else said.line
        self.log.add(severity, line, self.draft.label + message, hint=hint, dropped=dropped)

    def mend(self, message: str, about: str | Said | Item | None = None, hint: str = "") -> None:
        """The value is used, but not as it stands."""
        self.tell(Severity.WARNING, message, about, hint)

    def lose(self, message: str, about: str | Said | Item | None = None, hint: str = "") -> None:
        """It is not used."""
        self.tell(Severity.ERROR, message, about, hint, dropped=True)

    def fatal(self, message: str, about: str | Said | Item | None = None, hint: str = "") -> None:
        """Nothing can be started with this."""
        self.tell(Severity.FATAL, message, about, hint, dropped=True)
        self.usable = False

    def refuse(self, what: str, about: str | None = None, hint: str = "") -> None:
        """The instance is not run for this."""
        self.tell(Severity.UNSUPPORTED, not_built(what), about, hint, dropped=True)
        self.usable = False

    def place_of(self, target: str) -> Place:
        """Where a target was said, else where the instance begins."""
        said = self.draft.said.get(target)
        return said.line.place(0) if said is not None else self.draft.line.place(0)
