"""What instances and groups track: names resolved, in the order of the file, each once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pyvrrp.config.assembly import Assembly, is_after
from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Severity, shown
from pyvrrp.config.lexer import Line
from pyvrrp.config.model import BfdInstance, Track, TrackFile, TrackProcess, VrrpScript
from pyvrrp.config.parser import Draft, Item
from pyvrrp.config.rows import Block
from pyvrrp.protocol.constants import PRIORITY_OWNER

# By target: keepalived's word, and the block that defines what is tracked.
_KINDS: Final = {
    "track_scripts": ("script", Block.SCRIPT),
    "track_files": ("file", Block.TRACK_FILE),
    "track_processes": ("process", Block.TRACK_PROCESS),
    "track_bfds": ("bfd", Block.BFD),
}


@dataclass(slots=True)
class Known:
    """
    What can be tracked, by name.

    Attributes:
        lines: Where each thing is defined, by the block that defines it and by name.
    """

    scripts: dict[str, VrrpScript] = field(default_factory=dict)
    files: dict[str, TrackFile] = field(default_factory=dict)
    processes: dict[str, TrackProcess] = field(default_factory=dict)
    bfds: dict[str, BfdInstance] = field(default_factory=dict)
    lines: dict[Block, dict[str, Line]] = field(default_factory=dict)


class TrackList:
    """The tracked things of one block; what is wrong with them goes to the log."""

    def __init__(self, draft: Draft, known: Known, log: Log) -> None:
        self._draft = draft
        self._known = known
        self._log = log

    def of(self, target: str) -> tuple[Track, ...]:
        """Those of one kind that are defined, and before they are named, as keepalived wants it."""
        kept: dict[str, Track] = {}
        what, block = _KINDS[target]
        lines = self._known.lines.get(block, {})
        for item in self._draft.items.get(target, ()):
            track: Track = item.value
            name = shown(track.name)
            defined = lines.get(track.name)
            missing = f"track {what} {name} not found, ignoring..."
            if defined is None:
                self._lose(missing, Code.NOT_FOUND, item, self._log.nearest(track.name, lines))
            elif is_after(defined, item.line):
                hint = f"it is defined further down, in {defined.seen_from(item.line)}; it must come first"
                self._lose(missing, Code.DEFINED_LATER, item, hint)
            elif track.name in kept:
                self._mend(f"duplicate track_{what} {name} - ignoring", Code.DUPLICATE, item)
            else:
                kept[track.name] = track
        return tuple(kept.values())

    def interfaces(self, own: str | None) -> tuple[Track, ...]:
        """Tracked interfaces; the own one is watched anyway."""
        kept: dict[str, Track] = {}
        for item in self._draft.items.get("track_interfaces", ()):
            track: Track = item.value
            name = shown(track.name)
            if track.name == own:
                self._mend(f"Ignoring track_interface {name} since own interface", Code.OWN_INTERFACE, item)
            elif track.name in kept:
                self._mend(f"duplicate track_interface {name} - ignoring", Code.DUPLICATE, item)
            else:
                kept[track.name] = track
        return tuple(kept.values())

    def _lose(self, message: str, code: Code, item: Item, hint: str) -> None:
        text = self._draft.label + message
        self._log.add(Severity.ERROR, item.line, text, hint=hint, dropped=True, code=code)

    def _mend(self, message: str, code: Code, item: Item) -> None:
        self._log.add(Severity.WARNING, item.line, self._draft.label + message, code=code)


def weight_of(track: Track, known: Mapping[str, VrrpScript] | Mapping[str, TrackFile]) -> int:
    """The weight that counts: the one given there, else that of what is tracked; an interface has none."""
    if track.weight is not None:
        return track.weight
    tracked = known.get(track.name)
    return 0 if tracked is None else tracked.weight


def without_weights(
    assembly: Assembly, target: str, tracks: tuple[Track, ...], scripts: Mapping[str, VrrpScript], priority: int
) -> tuple[Track, ...]:
    """An address owner's priority never changes: what has a weight is not tracked there, as in keepalived."""
    if priority != PRIORITY_OWNER:
        return tracks
    kept: list[Track] = []
    items = {item.value.name: item for item in reversed(assembly.draft.items.get(target, ()))}
    for track in tracks:
        if weight_of(track, scripts):
            message = f"ignoring tracked {shown(track.name)} with a weight: the priority of an address owner is fixed"
            assembly.mend(message, Code.WEIGHT, items[track.name], "weight 0 means FAULT")
        else:
            kept.append(track)
    return tuple(kept)
