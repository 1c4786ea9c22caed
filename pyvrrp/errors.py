"""Every exception of pyvrrp, one family; the type says whose fault it is."""

from __future__ import annotations

import enum
import errno as errno_codes
import os


class DropReason(enum.StrEnum):
    """Why a received packet was dropped; the value is the name of its counter in `status`."""

    TTL = "ttl"
    VERSION = "version"
    TYPE = "type"
    TRUNCATED = "truncated"
    COUNT_LENGTH_MISMATCH = "count-length-mismatch"
    TRAILING_BYTES = "trailing-bytes"
    CHECKSUM = "checksum"
    VRID_ZERO = "vrid-zero"
    VRID_UNKNOWN = "vrid-unknown"
    NOT_MULTICAST_DESTINATION = "not-multicast-destination"
    NOT_UNICAST_PEER = "not-unicast-peer"
    OWN_SOURCE = "own-source"
    RECEIVER_IS_OWNER = "receiver-is-owner"
    AUTH_TYPE_UNKNOWN = "auth-type-unknown"
    AUTH_TYPE_MISMATCH = "auth-type-mismatch"
    AUTH_FAILURE = "auth-failure"
    SOURCE_NOT_LINK_LOCAL = "source-not-link-local"
    COUNT_ZERO = "count-zero"
    FIRST_ADDRESS_NOT_LINK_LOCAL = "first-address-not-link-local"
    ADDRESS_LIST_MISMATCH = "address-list-mismatch"
    INTERVAL_ZERO = "interval-zero"
    INTERVAL_MISMATCH = "interval-mismatch"
    MALFORMED_IP = "malformed-ip"


class VrrpError(Exception):
    """Base of all errors that pyvrrp raises on purpose."""


class ConfigError(VrrpError):
    """The configuration cannot be used; the running one, if any, stays in force."""

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.hint = hint

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class PacketError(VrrpError):
    """A peer broke a rule of the protocol; the packet is dropped and counted by its reason."""

    def __init__(self, reason: DropReason, detail: str = "", *, vrid: int | None = None) -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail
        self.vrid = vrid


class UsageError(VrrpError, ValueError):
    """The caller of this library asked for something that cannot be; raised at the call."""


class KernelError(VrrpError):
    """The kernel refused an operation."""

    def __init__(self, operation: str, subject: str, errno: int, detail: str = "") -> None:
        self.operation = operation
        self.subject = subject
        self.errno = errno
        self.detail = detail
        name = errno_codes.errorcode.get(errno, str(errno))
        text = f"cannot {operation} {subject}: {os.strerror(errno)} ({name})"
        super().__init__(f"{text}: {detail}" if detail else text)


class LinkNotReady(KernelError):  # noqa: N818  the name says what to do: wait and dial again
    """The interface is absent, down or without a usable address; wait and try again."""


class NotPermitted(KernelError):  # noqa: N818  reads as the fact it is
    """The process lacks a right; final, and *detail* names the missing capability."""
