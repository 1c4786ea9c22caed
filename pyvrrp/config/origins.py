"""Where each effective value came from: a place in the file, `global_defs`, a default, or something derived."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pyvrrp.config.values import Located, Place


class OriginKind(enum.StrEnum):
    """Where a value came from."""

    SAID = "said"
    INHERITED = "global_defs"
    DEFAULT = "default"
    DERIVED = "derived"


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Where one value came from.

    Attributes:
        kind: Which way.
        place: Where it was said, in the block itself or in `global_defs`; of a derived value what it follows from.
        why: Of a derived value in a few words the reason, else empty.
    """

    kind: OriginKind
    place: Place | None = None
    why: str = ""

    def __str__(self) -> str:
        where = f"{self.place.file}:{self.place.line}" if self.place is not None else ""
        if self.kind is OriginKind.DEFAULT:
            return "default"
        if self.kind is OriginKind.SAID:
            return where
        first = f"derived: {self.why}" if self.kind is OriginKind.DERIVED else str(self.kind)
        return f"{first}, {where}" if where else first


DEFAULT: Final = Origin(OriginKind.DEFAULT)


@dataclass(slots=True)
class Record:
    """
    What was noted about one block while it was put together; places are worked out when somebody asks.

    Attributes:
        fields: All names of its values, as in the model; a part's after a dot (`garp.master_repeat`).
        said: Lines of the values that the block said.
        inherited: Lines of `global_defs` for values that it did not say.
        derived: Reasons for values that follow from others, with the line that they follow from.
    """

    fields: tuple[str, ...]
    said: dict[str, Located] = field(default_factory=dict)
    inherited: dict[str, Located] = field(default_factory=dict)
    derived: dict[str, tuple[str, Located | None]] = field(default_factory=dict)

    def origin(self, name: str) -> Origin:
        """Where that value came from."""
        if name in self.derived:
            why, line = self.derived[name]
            return Origin(OriginKind.DERIVED, line.place(0) if line is not None else None, why)
        for kind, lines in ((OriginKind.SAID, self.said), (OriginKind.INHERITED, self.inherited)):
            if name in lines:
                return Origin(kind, lines[name].place(0))
        return DEFAULT


class Origins:
    """
    The origins of all values of a configuration, by block and by the names that the model's fields have.

    A configuration that was built by code has none: then everything is a default.
    """

    __slots__ = ("_records",)

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], Record] = {}

    def add(self, block: str, name: str, record: Record) -> None:
        """Note a block; *name* is empty for `global_defs` and what stands outside of all blocks."""
        self._records[str(block), name] = record

    def derive(self, block: str, name: str, value: str, why: str) -> None:
        """Note afterwards that a value of a block that is known follows from something else."""
        self._records[str(block), name].derived[value] = why, None

    def blocks(self) -> Iterable[tuple[str, str]]:
        """Keyword and name of each block that is known, in the order of the file within each kind."""
        return self._records.keys()

    def of(self, block: str, name: str = "") -> Mapping[str, Origin]:
        """All origins of a block by field, `of("vrrp_instance", "V1")["priority"]`; empty for an unknown block."""
        record = self._records.get((str(block), name))
        return {} if record is None else {each: record.origin(each) for each in record.fields}

    def origin(self, block: str, name: str, value: str) -> Origin:
        """The origin of one value; the default's where nothing is known of it."""
        record = self._records.get((str(block), name))
        return DEFAULT if record is None else record.origin(value)
