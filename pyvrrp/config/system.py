# ruff: noqa: D102  what a call reads is said by its class

"""How keywords about processes, files, mail and keys are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, cast

from pyvrrp.config.codes import Code
from pyvrrp.config.commands import PORT_MAX, group_of
from pyvrrp.config.model import HmacKey
from pyvrrp.config.readers import UINT_MAX, BadValue, Integer, Reader, Reading, missing

UMASK_MAX: Final = 0o777
KEY_LENGTHS: Final = range(32, 65)  # octets, as keepalived 2.4 wants them
INIT_MAX: Final = 2**31 - 1
_INTEGER: Final = re.compile(r"[+-]?[0-9]++", re.ASCII)
_MODE_BITS: Final = {
    f"I{what}{who}": bit << shift
    for who, shift in (("USR", 6), ("GRP", 3), ("OTH", 0))
    for what, bit in (("R", 4), ("W", 2), ("X", 1))
}
_INCLUDE_CHECKS: Final = frozenset({"read", "readable", "match", "wildcard_match", "brace_match"})


@dataclass(frozen=True, slots=True)
class Deprecated:
    """A keyword that still works, with the advice to say something else."""

    reads: Reader
    instead: str

    def __call__(self, reading: Reading) -> object:
        value: object = self.reads(reading)
        reading.mend(f"{reading.words[0]} is deprecated", Code.DEPRECATED, word=0, hint=f"use {self.instead}")
        return value


@dataclass(frozen=True, slots=True)
class Options:
    """A keyword that may have some of these words after it; one that is not known is left out."""

    known: tuple[str, ...]

    def __call__(self, reading: Reading) -> tuple[str, ...]:
        for at, word in enumerate(reading.words[1:], 1):
            if word not in self.known:
                message = f"Unknown {reading.words[0]} option {reading.shown(at)}"
                reading.lose(message, Code.UNKNOWN_OPTION, word=at, hint="known: " + ", ".join(self.known))
        return tuple(word for word in reading.words[1:] if word in self.known)


class SmtpServer:
    """`HOST [PORT]` as one text."""

    def __call__(self, reading: Reading) -> str:
        host = reading.word()
        if len(reading.words) < 3:
            return host
        port = Integer(1, PORT_MAX).number(reading, reading.words[2], 2)
        reading.end(3)
        return f"{host} {port}"


class FifoPath:
    """`PATH [USER [[:]GROUP]]`."""

    def __call__(self, reading: Reading) -> tuple[str, str | None, str | None]:
        words = reading.words
        if len(words) < 2:
            raise missing(reading)
        reading.end(4)
        return words[1], words[2] if len(words) > 2 else None, group_of(words[3:])


class BufferPolicy:
    """`MTU`, `ADVERT`, or a number of octets."""

    def __call__(self, reading: Reading) -> int | Literal["MTU", "ADVERT"]:
        if len(reading.words) < 2:
            raise missing(reading)
        reading.end(2)
        word = reading.words[1]
        if word in ("MTU", "ADVERT"):
            return cast("Literal['MTU', 'ADVERT']", word)
        return Integer(0, UINT_MAX).number(reading, word)


class Umask:
    """A number (octal with a leading 0, hexadecimal with 0x), or names of bits like `IWGRP|IWOTH`."""

    def __call__(self, reading: Reading) -> int:
        text = reading.word()
        reading.end(2)
        if text[:1].isdigit():
            octal = text[0] == "0" and text[1:2].isdigit()
            try:
                mask = int(text, 8 if octal else 0)
            except ValueError:
                raise BadValue(f"invalid umask value {reading.shown()}", Code.BAD_NUMBER) from None
            if mask > UMASK_MAX:
                raise BadValue(f"umask {reading.shown()} outside range [0, 0777]", Code.VALUE_RANGE)
            return mask
        mask = 0
        for name in text.split("|"):
            if name not in _MODE_BITS:
                raise BadValue(f"Unknown umask bit in {reading.shown()}", hint="IRUSR, IWGRP, IXOTH..., joined by '|'")
            mask |= _MODE_BITS[name]
        return mask


class IncludeChecks:
    """`[[+|-]CHECK ...]`; none is all of them."""

    def __call__(self, reading: Reading) -> tuple[str, ...]:
        kept: list[str] = []
        for at, word in enumerate(reading.words[1:], 1):
            if word.lstrip("+-") in _INCLUDE_CHECKS:
                kept.append(word)
            else:
                known = ", ".join(sorted(_INCLUDE_CHECKS))
                message = f"Unknown include_check type {reading.shown(at)} - ignoring"
                reading.lose(message, Code.UNKNOWN_OPTION, word=at, hint=known)
        return tuple(kept)


class InitFile:
    """`[VALUE] [overwrite]`: the number to write, 0 if none is said, and whether also into a file that exists."""

    def __call__(self, reading: Reading) -> tuple[int, bool]:
        value, overwrite = 0, False
        for at, word in enumerate(reading.words[1:], 1):
            if word == "overwrite":
                overwrite = True
            elif _INTEGER.match(word):
                value = Integer(-INIT_MAX - 1, INIT_MAX).number(reading, word, at)
            else:
                reading.lose(f"Unknown track file init option {reading.shown(at)}", Code.UNKNOWN_OPTION, word=at)
        return value, overwrite


class Process:
    """`NAME [PARAMETER ...]`."""

    def __call__(self, reading: Reading) -> tuple[str, ...]:
        reading.word()
        return tuple(reading.words[1:])


class OldChecksum:
    """`old_unicast_checksum [never]`; only `never` is what pyvrrp does, so the other form refuses the instance."""

    def __call__(self, reading: Reading) -> Literal["force", "never"]:
        words = reading.words
        if len(words) > 1 and words[1] != "never":
            raise BadValue(f"Unknown old_unicast_checksum mode {reading.shown()} - ignoring", hint="never")
        if len(words) > 1:
            return "never"
        reading.refuse("old_unicast_checksum")
        return "force"


class Key:
    """`ID VALUE` of `auth_hmac`: text, `hex:...` of 32 to 64 octets, or `file:/path`."""

    def __call__(self, reading: Reading) -> HmacKey:
        number = Integer(1, 255).number(reading, reading.word())
        value = reading.word(2)
        octets = value.encode("utf-8", "surrogateescape")
        length = len(octets)
        if value.startswith("hex:"):
            try:
                length = len(bytes.fromhex(value[4:]))
            except ValueError:
                raise BadValue("the key is not hexadecimal", word=2) from None
        if not value.startswith("file:") and length not in KEY_LENGTHS:
            message = f"a key has {KEY_LENGTHS[0]} to {KEY_LENGTHS[-1]} octets, this one {length}"
            raise BadValue(message, Code.VALUE_RANGE, word=2)
        return HmacKey(number, octets)
