"""VRRPv2 and VRRPv3 in pure Python: virtual IPs that survive their router."""

from __future__ import annotations

TYPE_CHECKING = False  # as the `typing` module has it; a daemon's start does without the rest of it here

if TYPE_CHECKING:
    from typing import Any

    from pyvrrp.api import Instance
    from pyvrrp.errors import (
        ConfigError,
        DropReason,
        KernelError,
        LinkNotReady,
        NotPermitted,
        PacketError,
        UsageError,
        VrrpError,
    )
    from pyvrrp.protocol.actions import Cause, Transition
    from pyvrrp.protocol.advertisement import Advertisement, decode, encode
    from pyvrrp.protocol.constants import Family
    from pyvrrp.protocol.headers import IpHeader
    from pyvrrp.protocol.states import State
    from pyvrrp.version import __version__

__all__ = [
    "Advertisement",
    "Cause",
    "ConfigError",
    "DropReason",
    "Family",
    "Instance",
    "IpHeader",
    "KernelError",
    "LinkNotReady",
    "NotPermitted",
    "PacketError",
    "State",
    "Transition",
    "UsageError",
    "VrrpError",
    "__version__",
    "decode",
    "encode",
]

_HOMES = {
    "pyvrrp.api": ("Instance",),
    "pyvrrp.errors": (
        "ConfigError",
        "DropReason",
        "KernelError",
        "LinkNotReady",
        "NotPermitted",
        "PacketError",
        "UsageError",
        "VrrpError",
    ),
    "pyvrrp.protocol.actions": ("Cause", "Transition"),
    "pyvrrp.protocol.advertisement": ("Advertisement", "decode", "encode"),
    "pyvrrp.protocol.constants": ("Family",),
    "pyvrrp.protocol.headers": ("IpHeader",),
    "pyvrrp.protocol.states": ("State",),
    "pyvrrp.version": ("__version__",),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: every module of the daemon comes by here, and needs none of them."""
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module  # noqa: PLC0415  see above

            value = globals()[name] = getattr(import_module(home), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
