"""A file of variables as `podman run --env-file` and `oc set env --list` have them: NAME=VALUE, a line each."""

from __future__ import annotations

import re
from typing import Final

from pyvrrp.errors import ConfigError

_LINE: Final = re.compile(r"(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)", re.ASCII)
_QUOTED: Final = re.compile(r"""(["'])(?P<value>.*)\1""")


def read_env_file(text: str, file: str) -> dict[str, str]:
    """
    Read the variables; of one that is set twice the last value counts.

    Args:
        text: Empty lines and lines that begin with `#` say nothing. A value ends with its line and is taken as it
            stands, except that quotes around all of it are not part of it.
        file: Its name.

    Raises:
        ConfigError: A line is something else.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        match = _LINE.fullmatch(bare)
        if match is None:
            raise ConfigError("is no assignment", file=file, line=number, column=1, hint="NAME=VALUE")
        quoted = _QUOTED.fullmatch(match["value"])
        found[match["name"]] = match["value"] if quoted is None else quoted["value"]
    return found
