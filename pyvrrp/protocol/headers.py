"""IP and Ethernet headers around a VRRP message, built and stripped."""

from __future__ import annotations

from dataclasses import dataclass

from pyvrrp.protocol.constants import TTL, Family, IPAddress


@dataclass(frozen=True, slots=True)
class IpHeader:
    """
    What the receive checks need of an IP header.

    Attributes:
        source: Sender's address.
        destination: The group, or our own address in unicast mode.
        ttl: TTL or Hop Limit as received, 0-255.
    """

    source: IPAddress
    destination: IPAddress
    ttl: int = TTL

    @property
    def family(self) -> Family:
        """Address family of the packet."""
        return Family(self.source.version)
