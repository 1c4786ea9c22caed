"""
`pgrep` for an image without tools: the old manifest's liveness probe runs `pgrep keepalived` and would end the pod.

So much of procps' program as probes use: a pattern for names of processes, or with -f for their command lines.
`pyvrrp health` is the better probe: it looks at more than a name.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Final

EXIT_NONE: Final = 1
EXIT_USAGE: Final = 2

_USAGE: Final = "usage: pgrep [-fnox] PATTERN; for more, an image with procps, or `pyvrrp health`"


def main(words: Sequence[str], proc: str = "/proc") -> int:
    """
    Print the number of each process whose name matches; oneself excepted.

    Args:
        words: Options and the pattern.
        proc: Where processes are listed.

    Returns:
        0 if there was one, else 1; 2 for what is not understood.
    """
    flags = "".join(word[1:] for word in words if word.startswith("-"))
    patterns = [word for word in words if not word.startswith("-")]
    if len(patterns) != 1 or set(flags) - set("fnox") or {"n", "o"} <= set(flags):
        print(_USAGE, file=sys.stderr)
        return EXIT_USAGE
    try:
        pattern = re.compile(patterns[0])
    except re.error as error:
        print(f"pgrep: {patterns[0]}: {error}", file=sys.stderr)
        return EXIT_USAGE
    matches = pattern.fullmatch if "x" in flags else pattern.search
    found = sorted((since, pid) for since, pid, text in _processes(proc, whole="f" in flags) if matches(text))
    if "o" in flags:
        found = found[:1]
    elif "n" in flags:
        found = found[-1:]
    for pid in sorted(pid for _, pid in found):
        print(pid)
    return 0 if found else EXIT_NONE


def _processes(proc: str, *, whole: bool) -> Iterator[tuple[int, int, str]]:
    """When it was started, its number, and its name or command line."""
    for name in os.listdir(proc):  # noqa: PTH208  pathlib takes milliseconds to import
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"{proc}/{name}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123  as above
                stat = file.read()
            text = stat[stat.index("(") + 1 : stat.rindex(")")]
            if whole:
                with open(f"{proc}/{name}/cmdline", encoding="utf-8", errors="replace") as file:  # noqa: PTH123  as above
                    text = file.read().rstrip("\0").replace("\0", " ") or text
        except OSError:  # it has ended
            continue
        yield int(stat[stat.rindex(")") + 2 :].split()[19]), int(name), text
