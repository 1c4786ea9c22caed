# ruff: noqa: D102  what a call reads is said by its class

"""How commands, and who runs them, are read; and the built-in check that needs no command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Severity
from pyvrrp.config.lexer import split_command
from pyvrrp.config.model import Command, TcpTarget
from pyvrrp.config.readers import BadValue, Integer, Reading
from pyvrrp.config.texts import parse_address

PORT_MAX: Final = 65535


@dataclass(frozen=True, slots=True)
class User:
    """`USER [[:]GROUP]`."""

    required: bool = True

    def __call__(self, reading: Reading) -> tuple[str, str | None]:
        if len(reading.words) < 2 and not self.required:
            raise BadValue("No script username specified", Code.MISSING_VALUE)
        user = reading.word()
        reading.end(3)
        return user, group_of(reading.words[2:])


def group_of(words: list[str]) -> str | None:
    """The group of `USER [[:]GROUP]`, of the words after the user."""
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
            raise BadValue(f"{keyword}: {error}", Code.BAD_COMMAND) from None
        if not words:
            severity = Severity.MISSING if self.required else Severity.ERROR
            raise BadValue(f"{keyword} is missing its value", Code.MISSING_VALUE, severity=severity)
        if any("\0" in word for word in argv):
            raise BadValue(f"{keyword}: a NUL octet cannot be part of a command", Code.BAD_COMMAND)
        if not argv or not argv[0]:
            reading.complain(Severity.NOTE, f"{keyword} is empty: nothing is run", code=Code.BAD_COMMAND)
            return None
        if argv[0].startswith("</"):  # keepalived leaves this form to the shell too
            argv = ["/bin/sh", "-c", words[0].strip()]
        if len(words) > (3 if self.with_user else 1):  # not shown: commands hold passwords
            message = f"{keyword}: what follows is not used; arguments belong inside the quotes"
            reading.complain(Severity.NOTE, message, code=Code.EXTRA_WORDS)
        if not self.with_user:
            return Command(tuple(argv))
        user = words[1] if len(words) > 1 else None
        return Command(tuple(argv), user, group_of(words[2:]))


class TcpCheck:
    """`PORT [ADDRESS]` of the built-in check."""

    def __call__(self, reading: Reading) -> TcpTarget:
        port = Integer(1, PORT_MAX).number(reading, reading.word())
        address = None
        if len(reading.words) > 2:
            address = parse_address(reading.words[2])
            if address is None:
                raise BadValue(f"malformed tcp_check address {reading.shown(2)}", Code.BAD_ADDRESS, word=2)
        reading.end(3)
        return TcpTarget(port, address)


class DeletedScript:
    """`notify_deleted`, which may have a command; its first part says that the keyword was there."""

    def __call__(self, reading: Reading) -> tuple[bool, Command | None]:
        return True, Script()(reading) if reading.line.command.strip() else None
