"""Numbers of VRRP, each with the section that defines it (RFC 9568 unless another is named)."""

from __future__ import annotations

import enum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address

IP_PROTOCOL: Final = 112  # 5.1.1.4, 5.1.2.4
TTL: Final = 255  # 5.1.1.3, 5.1.2.3: sent, and demanded of what is received
GROUP_V4: Final = IPv4Address("224.0.0.18")  # 5.1.1.2
GROUP_V6: Final = IPv6Address("ff02::12")  # 5.1.2.2
TRAFFIC_CLASS: Final = 0xC0  # CS6, the habit of routing protocols (keepalived too); 2.5 asks for precedence

ADVERTISEMENT_TYPE: Final = 1  # 5.2.2
PRIORITY_RELEASE: Final = 0  # 5.2.4: the MASTER has stopped taking part
PRIORITY_DEFAULT: Final = 100  # 5.2.4
PRIORITY_OWNER: Final = 255  # 5.2.4: the router whose own addresses these are
VRID_MIN: Final = 1  # 5.2.3
VRID_MAX: Final = 255

US_PER_S: Final = 1_000_000
US_PER_CS: Final = 10_000
INTERVAL_V2_MAX_US: Final = 255 * US_PER_S  # RFC 3768 5.3.7: one octet of seconds
INTERVAL_V3_MAX_US: Final = 4095 * US_PER_CS  # 5.2.7: twelve bits of centiseconds
INTERVAL_DEFAULT_US: Final = US_PER_S  # 6.1
DOWN_TIMER_ADVERTS: Final = 3  # 6.1: Master_Down_Interval is three intervals and the skew

AUTH_NONE: Final = 0  # RFC 3768 5.3.6.1
AUTH_PASS: Final = 1  # RFC 2338 5.3.6.2, reserved by RFC 3768
AUTH_AH: Final = 2  # RFC 2338 5.3.6.3, reserved by RFC 3768
AUTH_DATA_LENGTH: Final = 8  # RFC 3768 5.3.10
HEADER_LENGTH: Final = 8  # of a VRRP message, before its addresses; RFC 9568 5.1


class Family(enum.IntEnum):
    """Address family of a virtual router; the number is the IP version. The two VRID spaces are separate (6.1)."""

    V4 = 4
    V6 = 6

    @property
    def group(self) -> IPAddress:
        """The multicast group that advertisements of this family go to."""
        return GROUP_V4 if self is Family.V4 else GROUP_V6

    @property
    def address_length(self) -> int:
        """Octets of one address."""
        return 4 if self is Family.V4 else 16
