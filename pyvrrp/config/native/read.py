"""
The native form to the model.

TOML is taken apart into the lines that keepalived.conf would have, each word with its place in the TOML text, and these
go the way of all lines: the same rows, readers, ranges and checks. What one form refuses, the other refuses too.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from decimal import Decimal
from typing import Any, Final

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Parsed, Severity, shown
from pyvrrp.config.load import judge
from pyvrrp.config.model import Configuration, Place
from pyvrrp.config.native.lines import native_lines
from pyvrrp.config.native.locate import Places
from pyvrrp.config.parser import read_lines

TEXT_MAX: Final = 4 * 1024 * 1024  # characters; all addresses that one interface can have need a third of it
_WHERE: Final = re.compile(r" \(at (?:line (?P<line>[0-9]+), column (?P<column>[0-9]+)|end of document)\)$")
_BEYOND: Final = 1000  # characters behind what the scan did not understand; enough for a good message


def parse_native(text: str, file: str = "<text>", interfaces: Collection[str] | None = None) -> Parsed:
    """
    Parse a configuration in the native form.

    Args:
        text: What stands in the file.
        file: Its name, as in messages.
        interfaces: Names of the interfaces that exist; None does not check them.

    Returns:
        As `load.parse_text`: never an exception, whatever the text.
    """
    log = Log(file)
    places = Places(text if len(text) <= TEXT_MAX else "")
    document = _document(text, places, log)
    if document is None:
        return Parsed(Configuration(), log.complaints())
    return judge(read_lines(native_lines(document, places, log), log), log, interfaces)


def _document(text: str, places: Places, log: Log) -> dict[str, Any] | None:
    """The values; None if it is no TOML, or more than is read."""
    lost = places.lost
    position = places.position(lost.at if lost is not None else 0)
    code = Code.TOO_MUCH
    if len(text) > TEXT_MAX:
        message = f"the text has more than {TEXT_MAX} characters"
    elif lost is not None and lost.too_deep:
        message = "nested deeper than any configuration is"
    else:
        code = Code.UNREADABLE
        message = "this is no TOML"
        try:
            document = tomllib.loads(text if lost is None else text[: lost.at + _BEYOND], parse_float=Decimal)
        except (ValueError, ArithmeticError) as error:  # also of a number or a date that cannot be
            message, position = _reason(error, text, places, position)
        else:
            if lost is None:
                return document
    log.add(Severity.UNUSABLE, Place(log.file, *position), message, dropped=True, code=code)
    return None


def _reason(error: Exception, text: str, places: Places, position: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """What is wrong, and where; `tomllib` counts lines and columns from 1 too."""
    said = shown(str(error))
    where = _WHERE.search(str(error))
    if where is None:
        return f"a value cannot be read: {said}", position
    message = shown(str(error)[: where.start()])
    if where["line"] is None:
        return f"{message} at the end of the text", places.position(len(text))
    return message, (int(where["line"]), int(where["column"]))
