"""The effective configuration: every value of every block, the keyword that sets it, and where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from pyvrrp.config.assembly import names_of
from pyvrrp.config.model import Configuration, Origin, OriginKind, Origins, VrrpInstance
from pyvrrp.config.rows import Block
from pyvrrp.explain.wording import json_of, keyword_of, text_of

_HIDDEN = frozenset({"name", "place", "interface_place"})


@dataclass(frozen=True, slots=True)
class Setting:
    """
    One value.

    Attributes:
        field: Its name in the model, a part's after a dot.
        keyword: What sets it.
        value: As in the model.
        origin: Where it came from.
    """

    field: str
    keyword: str
    value: Any
    origin: Origin

    @property
    def text(self) -> str:
        """The value as people read it."""
        return text_of(self.field, self.value)

    @property
    def by_default(self) -> bool:
        """Nobody said anything."""
        return self.origin.kind is OriginKind.DEFAULT

    @property
    def empty(self) -> bool:
        """Nothing, off, or not at all: what goes without saying where it is a default."""
        return not self.value

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        origin = self.origin
        return {
            "field": self.field,
            "keyword": self.keyword,
            "value": json_of(self.value),
            "origin": {"kind": origin.kind.value, "place": json_of(origin.place), "why": origin.why},
        }


@dataclass(frozen=True, slots=True)
class EffectiveBlock:
    """A block with all its values; *name* is empty for `global_defs`, to which the top level belongs."""

    block: str
    name: str
    settings: tuple[Setting, ...]

    def setting(self, field: str) -> Setting:
        """One of them by the field's name."""
        return next(each for each in self.settings if each.field == field)

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {"block": self.block, "name": self.name, "values": [each.as_json() for each in self.settings]}


def effective(configuration: Configuration) -> tuple[EffectiveBlock, ...]:
    """All blocks that have values, in keepalived's order: settings, what is tracked, groups, instances."""
    return tuple(_blocks(configuration))


def _blocks(configuration: Configuration) -> Iterator[EffectiveBlock]:
    origins = configuration.origins
    yield _block(Block.GLOBAL, "", configuration.globals, origins)
    named: tuple[tuple[Block, Iterable[Any]], ...] = (
        (Block.SCRIPT, configuration.scripts),
        (Block.TRACK_FILE, configuration.track_files),
        (Block.TRACK_PROCESS, configuration.track_processes),
        (Block.BFD, configuration.bfd_instances),
        (Block.TRACK_GROUP, configuration.track_groups),
        (Block.SYNC_GROUP, configuration.sync_groups),
        (Block.INSTANCE, configuration.instances),
    )
    for block, things in named:
        for thing in things:
            yield _block(block, thing.name, thing, origins)
    for garp in configuration.garp_groups:
        yield _block(Block.GARP_GROUP, " ".join(garp.interfaces), garp, origins)


def _block(block: Block, name: str, thing: Any, origins: Origins) -> EffectiveBlock:
    known = origins.of(block, name)
    fields = known or dict.fromkeys(field for field in names_of(type(thing)) if field not in _HIDDEN)
    renamed = {"source": "unicast_src_ip"} if isinstance(thing, VrrpInstance) and thing.unicast else {}
    settings = (
        Setting(
            field,
            renamed.get(field, keyword_of(block, field)),
            attrgetter(field)(thing),
            origins.origin(block, name, field),
        )
        for field in fields
    )
    return EffectiveBlock(block.value, name, tuple(settings))
