"""A block while it is put together: its values with their defaults, their origins, and how to complain of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, TypeVar

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Severity, not_built
from pyvrrp.config.keywords import BY_BLOCK
from pyvrrp.config.lexer import Line
from pyvrrp.config.model import Place, VrrpInstance
from pyvrrp.config.origins import Record
from pyvrrp.config.parser import Draft, Item, Said
from pyvrrp.config.rows import Block, Row
from pyvrrp.config.values import Located

_ROWS: Final = tuple(
    row
    for block in (Block.INSTANCE, Block.AUTHENTICATION, Block.AUTH_HMAC)
    for row in BY_BLOCK[block].values()
    if row.target
)
_INHERITING: Final = tuple((row.target, row.inherits) for row in _ROWS if row.inherits)
# What the rows call it, and the field of the model that it becomes.
_FIELD_OF: Final = {
    "mcast_source": "source",
    "unicast_source": "source",
    "peers": "unicast_peers",
    "auth_type": "authentication",
    "auth_pass": "authentication",
    "native_ipv6": "version",
    "deleted": "notify_deleted",
    "garp.extra": "garp.extra_interval_us",
}
_NOT_SAID: Final = frozenset({"name", "place", "interface_place"})
_T = TypeVar("_T")


def fill(rows: Iterable[Row], spoken: Mapping[str, Said], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each target: what was said, else the inherited, else the default."""
    values: dict[str, Any] = {}
    for row in rows:
        said = spoken.get(row.target)
        if said is not None:
            values[row.target] = said.value
        elif values.get(row.target) is None:
            inherited = settings.get(row.inherits) if row.inherits else None
            values[row.target] = row.default if inherited is None else inherited
    return values


@cache
def _part(prefix: str) -> Mapping[str, str]:
    """The targets of one part of the model, in any block, and their names in it."""
    targets = [row.target for rows in BY_BLOCK.values() for row in rows.values()]
    return {target: target.removeprefix(prefix) for target in targets if target.startswith(prefix)}


def part(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The values of one part of the model, without its name."""
    return {name: values[target] for target, name in _part(prefix).items() if target in values}


def said_part(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The same, only what was said: of the others the model has the default."""
    return {name: value for target, name in _part(prefix).items() if (value := values.get(target)) is not None}


def compose(kind: type[_T], values: Mapping[str, Any], prefix: str = "") -> _T:
    """
    A part of the model of the values that have its fields' names; what nobody said keeps the default.

    Args:
        kind: A dataclass; fields whose default is one too are composed the same way.
        values: Values by target; None is not said.
        prefix: Begin of the targets.
    """
    fields: dict[str, Any] = {}
    for each in dataclasses.fields(kind):  # type: ignore[arg-type]
        target = prefix + each.name
        if values.get(target) is not None:
            fields[each.name] = values[target]
        elif dataclasses.is_dataclass(each.default):
            fields[each.name] = compose(type(each.default), values, f"{target}.")
    return kind(**fields)


def names_of(kind: type[Any], prefix: str = "") -> tuple[str, ...]:
    """The fields of a part of the model, those of its parts after a dot."""
    found: list[str] = []
    for each in dataclasses.fields(kind):
        if dataclasses.is_dataclass(each.default):
            found += names_of(type(each.default), f"{prefix}{each.name}.")
        elif each.name not in _NOT_SAID:
            found.append(prefix + each.name)
    return tuple(found)


_INSTANCE_FIELDS: Final = names_of(VrrpInstance)


def record_of(kind: type[Any], draft: Draft, field_of: Mapping[str, str] | None = None) -> Record:
    """What is known of the origins of a block that inherits nothing; *field_of* renames targets."""
    renamed = field_of or {}
    record = Record(names_of(kind))
    _note_said(record, draft, renamed)
    return record


def _note_said(record: Record, draft: Draft, renamed: Mapping[str, str]) -> None:
    for target, items in draft.items.items():
        record.said[renamed.get(target, target)] = items[0].line
    for target, said in draft.said.items():
        record.said[renamed.get(target, target)] = said.line


class Defaults:
    """
    What instances start from, worked out once for all of them.

    Attributes:
        settings: The values of `global_defs` by target.
        spoken: What of them was said.
        values: The values of an instance that says nothing, by target.
        inherited: Lines of `global_defs` by the field of the instance that has its value from there.
    """

    def __init__(self, settings: Mapping[str, Any], spoken: Mapping[str, Said]) -> None:
        self.settings = settings
        self.spoken = spoken
        self.values = fill(_ROWS, {}, settings)
        self.inherited: dict[str, Located] = {
            _FIELD_OF.get(target, target): spoken[inherits].line
            for target, inherits in _INHERITING
            if inherits in spoken
        }


class Assembly:
    """
    An instance while it is put together.

    Attributes:
        draft: What the block said.
        settings: The values of `global_defs` by target.
        spoken: What of them was said.
        log: Takes the complaints.
        values: The instance's values by target.
        strict: RFC strictness is on.
        usable: Nothing forbids to run it.
        record: Where its values came from.
    """

    def __init__(self, draft: Draft, defaults: Defaults, log: Log) -> None:
        self.draft = draft
        self.settings = defaults.settings
        self.spoken = defaults.spoken
        self.log = log
        self.values = {**defaults.values, **{target: said.value for target, said in draft.said.items()}}
        self.strict: bool = self.values["strict"]
        self.usable = not draft.refusals
        self.record = Record(_INSTANCE_FIELDS, inherited=defaults.inherited.copy())
        _note_said(self.record, draft, _FIELD_OF)

    def inherit(self, field: str, target: str) -> None:
        """Note that a value comes from `global_defs`, if it was said there."""
        said = self.spoken.get(target)
        if said is not None:
            self.record.inherited[field] = said.line

    def derive(self, field: str, why: str, about: str | Said | None = None) -> None:
        """Note that a value follows from something else, and from which line."""
        said = self.draft.said.get(about) if isinstance(about, str) else about
        self.record.derived[field] = why, said.line if said is not None else None

    def tell(
        self,
        severity: Severity,
        message: str,
        code: Code,
        about: str | Said | Item | None = None,
        hint: str = "",
        *,
        dropped: bool = False,
    ) -> None:
        """Complain about a target, or a value; without either about the instance."""
        said = self.draft.said.get(about) if isinstance(about, str) else about
        line = self.draft.line if said is None else said.line
        self.log.add(severity, line, self.draft.label + message, hint=hint, dropped=dropped, code=code)

    def mend(self, message: str, code: Code, about: str | Said | Item | None = None, hint: str = "") -> None:
        """The value is used, but not as it stands."""
        self.tell(Severity.WARNING, message, code, about, hint)

    def lose(self, message: str, code: Code, about: str | Said | Item | None = None, hint: str = "") -> None:
        """It is not used."""
        self.tell(Severity.ERROR, message, code, about, hint, dropped=True)

    def fatal(self, message: str, code: Code, about: str | Said | Item | None = None, hint: str = "") -> None:
        """Nothing can be started with this."""
        self.tell(Severity.FATAL, message, code, about, hint, dropped=True)
        self.usable = False

    def refuse(self, what: str, about: str | Item | None = None, hint: str = "") -> None:
        """The instance is not run for this."""
        self.tell(Severity.UNSUPPORTED, not_built(what), Code.REFUSED, about, hint, dropped=True)
        self.usable = False

    def place_of(self, target: str) -> Place:
        """Where a target was said, else where the instance begins."""
        said = self.draft.said.get(target)
        return said.line.place(0) if said is not None else self.draft.line.place(0)


def is_after(line: Line, other: Line) -> bool:
    """Whether a line is read after another one, over all files."""
    return (line.order, line.start) > (other.order, other.start)
