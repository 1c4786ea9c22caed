"""
The node's `/etc/sysconfig/keepalived`, mounted into the pod: it may set KEEPALIVED_OPTIONS.

The old wrapper ran it as shell; here assignments are read and nothing is run. `$`, backquotes and whatever else is more
than an assignment is not understood, and said.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_LENGTH_MAX: Final = 1 << 16  # octets of the file; more is not what it should be
_ASSIGNMENT: Final = re.compile(r"(?P<export>export\s+)?(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.ASCII)
_SHELL: Final = re.compile(r"[$`;&|<>()]")  # what a shell would do something about, outside of single quotes
_NUL: Final = "\0"  # no variable can hold it
_SINGLE_QUOTED: Final = re.compile(r"'[^']*'")


@dataclass(frozen=True, slots=True)
class Sysconfig:
    """
    What the file sets.

    Attributes:
        variables: All assignments, in order.
        exported: Names that programs which are run get to see, if they did not before.
        complaints: What was not understood; one line for all of it.
    """

    variables: Mapping[str, str]
    exported: frozenset[str] = frozenset()
    complaints: tuple[str, ...] = ()


def read_sysconfig(path: str) -> Sysconfig:
    """Read the file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123  pathlib takes milliseconds
            text = file.read(_LENGTH_MAX + 1)
    except OSError as error:
        return Sysconfig({}, complaints=(f"{path}: cannot be read: {error.strerror}",))
    if len(text) > _LENGTH_MAX:
        return Sysconfig({}, complaints=(f"{path}: is too long to be a list of assignments, and not used",))
    return parse_sysconfig(text, path)


def parse_sysconfig(text: str, path: str) -> Sysconfig:
    """
    Read assignments as a shell would.

    Args:
        text: Lines `NAME=VALUE`, with `export` or without, quoted or not; and comments.
        path: For complaints.
    """
    variables: dict[str, str] = {}
    exported: set[str] = set()
    strange: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(bare)
        value = None if match is None else _value(match["value"])
        if match is None or value is None:
            strange.append(number)
            continue
        variables[match["name"]] = value
        if match["export"]:
            exported.add(match["name"])
    if not strange:
        return Sysconfig(variables, frozenset(exported))
    lines = ", ".join(map(str, strange[:5])) + (", ..." if len(strange) > 5 else "")
    complaint = f"{path}: line {lines}: only assignments are understood, no shell is run; not used"
    return Sysconfig(variables, frozenset(exported), (complaint,))


def _value(text: str) -> str | None:
    """The value of an assignment; None for what takes a shell."""
    if _NUL in text or _SHELL.search(_SINGLE_QUOTED.sub("", text)):
        return None
    try:
        words = shlex.split(text, comments=True)
    except ValueError:  # a quote that is not closed: it may go on in the next line
        return None
    return None if len(words) > 1 else "".join(words)
