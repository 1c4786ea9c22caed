"""
What one row of the keyword table says; the table itself is `keywords.py`, what works on it `parser.py`.

A new keyword is a new row. A block that is built later changes the status of its rows, and gets a builder.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from pyvrrp.config.readers import Anything, Reader

_ANYTHING = Anything()


class Block(enum.StrEnum):
    """The blocks that hold keywords; the value is how people know them."""

    ROOT = "the top level"
    GLOBAL = "global_defs"
    INSTANCE = "vrrp_instance"
    AUTHENTICATION = "authentication"
    AUTH_HMAC = "auth_hmac"
    SCRIPT = "vrrp_script"
    SYNC_GROUP = "vrrp_sync_group"
    TRACK_PROCESS = "vrrp_track_process"
    TRACK_FILE = "track_file"
    TRACK_GROUP = "track_group"
    GARP_GROUP = "garp_group"
    BFD = "bfd_instance"


class Status(enum.StrEnum):
    """How far a keyword has come."""

    WORKS = "works"
    NO_EFFECT = "accepted, no effect here"
    NOT_YET = "not supported yet"


class Shape(enum.Enum):
    """What stands behind a keyword."""

    LINE = "arguments on its line"
    LINES = "a block of values, one on a line"
    BLOCK = "a block of keywords"
    SKIP = "a block that is passed over"


@dataclass(frozen=True, slots=True)
class Row:
    """
    One keyword of the language.

    Attributes:
        block: Where it may stand.
        keyword: As it is typed.
        reads: Reader of its arguments, or of each line of its block.
        target: Where the value goes; a name of the model, after a dot one of a part of it.
        default: Value when it is not said.
        status: How far it has come.
        shape: What stands behind it.
        opens: The keywords of its block are those of this one.
        named: Its block has a name, and is a thing of its own.
        inherits: Target of the keyword of `global_defs` that holds its default.
        on_bad: Value that a bad one is replaced by, as keepalived does; None keeps what was said before.
        first_wins: A second, different one is complained about and not used; a second block of values is used.
        sticky: A value that a later one does not replace.
        refuses: Without it the instance would serve wrongly, so the instance is not run.
        repeats: Each one counts, none replaces another; of a block without a name each is a thing of its own.
        secret: Nothing on its line is ever shown.
        partly: What of it does not work, where the rest does.
        since: Release of pyvrrp from which on its status holds.
        source: Where it is described.
    """

    block: Block
    keyword: str
    reads: Reader = _ANYTHING
    target: str = ""
    default: Any = None
    status: Status = Status.WORKS
    shape: Shape = Shape.LINE
    opens: Block | None = None
    named: bool = False
    inherits: str = ""
    on_bad: Any = None
    first_wins: bool = False
    sticky: Any = None
    refuses: bool = False
    repeats: bool = False
    secret: bool = False
    partly: str = ""
    since: str = "0.1.0"
    source: str = "keepalived.conf(5)"
