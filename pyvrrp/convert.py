"""
`pyvrrp convert` on the command line: keepalived.conf to the native form and back, with a word for all that is lost.

What is written is read back before anybody gets it, and must be the same configuration.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyvrrp.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from pyvrrp.config.complaints import Complaint, Parsed
    from pyvrrp.config.model import Configuration

EXIT_OK: Final = 0
EXIT_NOT_WRITTEN: Final = 2
TOML: Final = "toml"
KEEPALIVED: Final = "keepalived"

_MODE: Final = 0o666  # less the umask
_SECRET_MODE: Final = 0o600
_ASIDE: Final = {
    KEEPALIVED: (
        re.compile(rb"[#!]|^\s*(?:[@$]|include|~SEQ|~LST)|\$\{?\w", re.MULTILINE),
        "comments, definitions, conditions and includes are not carried over; what they came to is",
    ),
    TOML: (re.compile(rb"#"), "comments are not carried over"),
}
_ABOUT: Final = """\
Write the same configuration in the native form (TOML), or back as keepalived.conf. The kind of FILE is told by its
name: native is what ends in .toml, and `pyvrrp run`, `check` and `explain` take either. What cannot be carried over is
said on standard error. Passwords are written; a file that holds one can be read by its owner alone.
"""
_END: Final = """\
exit codes: 0 written, 1 wrong usage, 2 not written: FILE cannot be read or started with, or OUT exists.
"""


def add_parser(subparsers: Any) -> None:
    """
    Add `convert` to the commands of a parser.

    Args:
        subparsers: What `ArgumentParser.add_subparsers` gave. The parsed arguments get `command`, a function from
            these arguments to the exit status, which raises VrrpError.
    """
    from argparse import RawDescriptionHelpFormatter  # noqa: PLC0415  here as below: `pyvrrp run` must not pay for it

    convert = subparsers.add_parser(
        "convert",
        help="keepalived.conf to TOML and back",
        description=_ABOUT,
        epilog=_END,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = convert.add_argument
    add("file", metavar="FILE", nargs="?", help="what to convert")
    add("-o", "--output", metavar="OUT", type=Path, help="where to write it (standard output)")
    add("--to", choices=(TOML, KEEPALIVED), help="what to write (the other kind)")
    add("--full", action="store_true", help="write defaults too")
    add("--force", action="store_true", help="overwrite OUT")
    add("-i", "--config-id", metavar="ID", help="as of this node: what `@ID` lines are compared with")
    add("--schema", action="store_true", help="print the JSON Schema of the native form, and end")
    convert.set_defaults(command=lambda chosen: _main(chosen, convert))


def _main(chosen: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if chosen.schema:
        import json  # noqa: PLC0415  as above

        from pyvrrp.config.native.schema import schema  # noqa: PLC0415

        print(json.dumps(schema(), indent=2))
        return EXIT_OK
    if chosen.file is None:
        parser.error("FILE is missing")
    from pyvrrp.config.load import is_native, load  # noqa: PLC0415

    parsed = load(chosen.file, config_id=chosen.config_id)
    if parsed.fatal:
        for complaint in parsed.fatal:
            _say(str(complaint))
        return EXIT_NOT_WRITTEN
    kind = TOML if is_native(chosen.file) else KEEPALIVED
    to = chosen.to or (KEEPALIVED if kind == TOML else TOML)
    text = _written(parsed.everything, to, full=chosen.full)
    octets = text.encode("utf-8", "surrogateescape")
    for line in _losses(parsed, to, text):
        _say(line)
    pattern, aside = _ASIDE[kind]
    if pattern.search(Path(chosen.file).read_bytes()):
        _say(f"{chosen.file}: {aside}")
    if chosen.output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
    else:
        _write(chosen.output, octets, _SECRET_MODE if holds_secret(parsed.everything) else _MODE, force=chosen.force)
    return EXIT_OK


def _say(line: str) -> None:
    print(line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)


def holds_secret(configuration: Configuration) -> bool:
    """Whether its text holds a password or a key."""
    return any(instance.authentication or instance.hmac for instance in configuration.instances)


def _written(configuration: Configuration, to: str, *, full: bool) -> str:
    """The text, which means the same: it was read back."""
    from pyvrrp.config.load import parse_text  # noqa: PLC0415  as above
    from pyvrrp.config.native.read import parse_native  # noqa: PLC0415
    from pyvrrp.config.native.toml import to_native  # noqa: PLC0415
    from pyvrrp.config.write import to_keepalived  # noqa: PLC0415

    if to == TOML:
        text = to_native(configuration, full=full)
        again = parse_native(text)
    else:
        text = to_keepalived(configuration, full=full)
        again = parse_text(text)
    changed = ", ".join(differences(configuration, again.everything))
    if changed:
        message = f"this would not mean the same any more: {changed}"
        raise ConfigError(message, hint="please report it; nothing was written")
    return text


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """
    The values in which two parts of the model differ, by the names of their fields (`instances.0.priority`).

    Places and origins do not count, as in `==`.
    """
    if one == other:
        return
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        for each in dataclasses.fields(one):
            if each.compare:
                yield from differences(getattr(one, each.name), getattr(other, each.name), f"{path}.{each.name}")
    elif isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{path}.{number}")
    else:
        yield path.removeprefix(".")


def _losses(parsed: Parsed, to: str, text: str) -> Iterator[str]:
    """What was said in the file and is not in the text, or not as it was said; a line each."""
    from pyvrrp.config.complaints import Severity  # noqa: PLC0415  as above

    for complaint in parsed.complaints:
        if _is_lost(complaint):
            yield f"not carried over: {complaint}"
        elif complaint.severity is Severity.WARNING:
            yield f"written as mended: {complaint}"
    if to == TOML and any("\udc80" <= letter <= "\udcff" for letter in text):
        yield "a value holds octets that are no UTF-8: pyvrrp reads the written file, other readers of TOML do not"


def _is_lost(complaint: Complaint) -> bool:
    """It is about something that is not in the model."""
    from pyvrrp.config.codes import Code  # noqa: PLC0415  as above
    from pyvrrp.config.keywords import ROWS  # noqa: PLC0415

    if complaint.code is Code.NO_EFFECT:
        word = complaint.message.partition(":")[0]
        return any(row.keyword == word and not row.target for row in ROWS)
    return complaint.dropped and complaint.code is not Code.REFUSED  # what is refused is in the model


def _write(out: Path, octets: bytes, mode: int, *, force: bool) -> None:
    """
    Write a file at once or not at all.

    Raises:
        ConfigError: It exists, or cannot be written.
    """
    target = out.with_name(f".{out.name}.{os.getpid()}") if force else out
    try:
        with open(target, "xb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, mode)) as file:
            try:
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
                if force:
                    target.replace(out)
            except OSError:
                target.unlink()  # half a configuration is none
                raise
    except FileExistsError as error:
        raise ConfigError("exists; nothing was written", file=str(target), hint="--force overwrites it") from error
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=str(out)) from error
