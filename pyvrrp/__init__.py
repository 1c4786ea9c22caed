"""VRRPv2 and VRRPv3 in pure Python: virtual IPs that survive their router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from pyvrrp.api import Instance

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


def __getattr__(name: str) -> Any:
    """Import `Instance` when it is asked for: it needs asyncio, which the engine's own process may do without."""
    if name == "Instance":
        from pyvrrp.api import Instance  # noqa: PLC0415  see above

        return Instance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
