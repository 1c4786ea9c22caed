"""`[ADDRESS:]PORT`: where the daemon tells over HTTP how it is, on the command line and in a pod's environment."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

LOOPBACK: Final = IPv4Address("127.0.0.1")
"""Whom nobody has named an address for: what is told is for this node, and the kubelet is on it too."""

PORT_MAX: Final = 65535

RESERVED: Final = {63000: "two pods are kept off one node by it", 1985: "the image declares it"}
"""Ports of the ipfailover pod on which nothing may listen, and why."""

_FORM: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]:|(?P<v4>[0-9.]{7,15}):)?(?P<port>[0-9]{1,5})", re.ASCII)


class Listening(NamedTuple):
    """A TCP port, and the address of this node on which it is served; the unspecified one is every address."""

    address: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


def read_listening(text: str) -> Listening:
    """
    Read it.

    Args:
        text: `8080`, `192.0.2.1:8080`, `0.0.0.0:8080`, `[::]:8080`.

    Raises:
        ValueError: It is none; the text says why, to stand behind the value.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError("is no port, and no address with one")
    try:
        address = IPv6Address(match["v6"]) if match["v6"] else IPv4Address(match["v4"]) if match["v4"] else LOOPBACK
    except ValueError as error:
        raise ValueError("has an address that cannot be") from error
    if address.is_multicast:
        raise ValueError("has an address that no node has alone")
    port = int(match["port"])
    if not 1 <= port <= PORT_MAX:
        raise ValueError(f"has a port that cannot be: 1 to {PORT_MAX}")
    if port in RESERVED:
        raise ValueError(f"has a port on which nothing may listen: {RESERVED[port]}")
    return Listening(address, port)
