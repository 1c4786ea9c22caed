# ruff: noqa: D102  what a call reads is said by its class

"""How commands, and who runs them, are read; and the built-in check that needs no command."""

from __future__ import annotations

from dataclasses import dataclass

from pyvrrp.config.complaints import Severity
from pyvrrp.config.lexer import split_command
from pyvrrp.config.model import Command, TcpTarget
from pyvrrp.config.readers import BadValue, Integer, Reading, parse_address


@dataclass(frozen=True, slots=True)
class User:
    """`USER [[:]GROUP]`."""

    required: bool = True

    def __call__(self, reading: Reading) -> tuple[str, str | None]:
        if len(reading.words) < 2 and not self.required:
            raise BadValue("No script username specified", word=1)
        user = reading.word()
        reading.end(3)
        return user, _group(reading.words[2:])


def _group(words: list[str]) -> str | None:
    return (words[0].removeprefix(":") or None) if words else None


@dataclass(frozen=True, slots=True)
class Script:
    """
    A command in shell-like quotes; what follows it is the user and the group that run it.

    Attributes:
        required: keepalived exits when there is none.
        with_user: User and group may follow.
    """

    required: bool = True
    with_user: bool = True

    def __call__(self, reading: Reading) -> Command | None:
        keyword = reading.words[0]
        try:
            words = split_command(reading.line.command)
            argv = split_command(words[0]) if words else []
        except ValueError as error:
            raise BadValue(f"{keyword}: {error}") from None
        if not words:
            severity = Severity.MISSING if self.required else Severity.ERROR
            raise BadValue(f"{keyword} is missing its value", severity=severity)
        if any("\0" in word for word in argv):
            raise BadValue(f"{keyword}: a NUL octet cannot be part of a command")
        if not argv or not argv[0]:
            reading.complain(Severity.NOTE, f"{keyword} is empty: nothing is run")
            return None
        if argv[0].startswith("</"):  # keepalived leaves this form to the shell too
            argv = ["/bin/sh", "-c", words[0].strip()]
        if len(words) > (3 if self.with_user else 1):  # not shown: commands hold passwords
            reading.complain(Severity.NOTE, f"{keyword}: what follows is not used; arguments belong inside the quotes")
        if not self.with_user:
            return Command(tuple(argv))
        user = words[1] if len(words) > 1 else None
        return Command(tuple(argv), user, _group(words[2:]))


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """`PORT [ADDRESS]` of the built-in check."""

    def __call__(self, reading: Reading) -> TcpTarget:
        port = Integer(1, 65535).number(reading, reading.word())
        if not 1 <= port <= 65535:
            raise BadValue(f"tcp_check {reading.shown()} outside range [1, 65535]")
        address = None
        if len(reading.words) > 2:
            address = parse_address(reading.words[2])
            if address is None:
                raise BadValue(f"malformed tcp_check address {reading.shown(2)}", word=2)
        reading.end(3)
        return TcpTarget(port, address)
