"""From an errno of Linux to the exception that says what to do about it."""

from __future__ import annotations

import errno
from typing import Final

from pyvrrp.errors import KernelError, LinkNotReady, NotPermitted

CAP_NET_ADMIN: Final = "CAP_NET_ADMIN"
CAP_NET_RAW: Final = "CAP_NET_RAW"

# What a missing, downed or address-less interface answers. EADDRNOTAVAIL is a source address that is not there,
# ENETUNREACH a device that is down; EHOSTUNREACH is not here: there it is the peer that is missing.
_NOT_READY: Final = frozenset({errno.ENODEV, errno.ENXIO, errno.ENETDOWN, errno.ENETUNREACH, errno.EADDRNOTAVAIL})


def refusal(operation: str, subject: str, number: int | None, *, needs: str = "", detail: str = "") -> KernelError:
    """
    Make the error for a refused operation.

    Args:
        operation: What was tried: "add address".
        subject: On what: "192.0.2.100/24 on eth0".
        number: The errno; None, which `OSError` allows, becomes EIO.
        needs: Capability that the operation asks for.
        detail: The kernel's own words, if it gave any.

    Returns:
        `NotPermitted` for EPERM, `LinkNotReady` if waiting for the interface may help, else `KernelError`.
    """
    number = errno.EIO if number is None else number
    # EACCES is no missing right here: it is what an interface with IPv6 switched off answers.
    if number == errno.EPERM:
        return NotPermitted(operation, subject, number, f"needs {needs}" if needs else detail)
    kind = LinkNotReady if number in _NOT_READY else KernelError
    return kind(operation, subject, number, detail)
