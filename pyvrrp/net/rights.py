"""
Which capabilities this process has, how it takes those it may have into effect, and why one is missing.

The interpreter of an image may carry capabilities, so that any user can run pyvrrp. They are permitted and not
effective: had the file the effective bit, the kernel would refuse to start it in a container that lacks one of them,
with no more than "Operation not permitted". So it starts everywhere, takes what there is, and names what is missing.
"""

from __future__ import annotations

import os
import sys
from typing import Final

_BITS: Final = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_BPF": 39}  # linux/capability.h
_VERSION_3: Final = 0x20080522
_WORDS: Final = 6  # effective, permitted and inheritable; bits 0-31, then bits 32-63


def take_effect() -> None:
    """Make effective what is permitted of that which pyvrrp can use. Root and the ambient set need nothing."""
    if os.geteuid() == 0:
        return
    sets = _status()
    asleep = sets["CapPrm"] & ~sets["CapEff"] & sum(1 << bit for bit in _BITS.values())
    if asleep:
        _raise(asleep)


def effective() -> int:
    """The capabilities in effect, a bit for each as in linux/capability.h."""
    return _status()["CapEff"]


def why_missing(missing: list[str]) -> str:
    """
    Say what to do about capabilities that are not effective.

    Args:
        missing: Their names, at least one.

    Returns:
        Part of a line.
    """
    sets = _status()
    withheld = [name for name in missing if not sets["CapBnd"] >> _BITS[name] & 1]
    if withheld:
        names = " and ".join(name.removeprefix("CAP_") for name in withheld)
        return f"not in the bounding set; add {names} to the container's capabilities"
    user = os.geteuid()
    if user == 0:
        return "this root has given it up, or runs in a user namespace that never had it"
    if sets["NoNewPrivs"]:
        return (
            f"no_new_privs is set (allowPrivilegeEscalation: false), so user {user} cannot get it from the file of the "
            "interpreter; allow that, or run as user 0"
        )
    return f"run as root, or grant it: setcap cap_net_admin,cap_net_raw+p {os.path.realpath(sys.executable)}"


def _status() -> dict[str, int]:
    """Sets of capabilities by their names in proc(5), and whether no_new_privs is set."""
    found: dict[str, int] = {}
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123  pathlib takes milliseconds to import
        for line in status:
            name, _, value = line.partition(":")
            if name in {"CapPrm", "CapEff", "CapBnd", "NoNewPrivs"}:
                found[name] = int(value, 16)
    return found


def _raise(bits: int) -> None:
    import ctypes  # noqa: PLC0415  only where it is needed

    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * _WORDS)()
    if libc.capget(header, data) == 0:
        data[0] |= bits & 0xFFFF_FFFF
        data[3] |= bits >> 32
        if libc.capset(header, data) == 0:
            return
    raise OSError(ctypes.get_errno(), f"capset: {os.strerror(ctypes.get_errno())}")
