"""
The VRRPv2 and VRRPv3 message: the dataclass, its octets, and the checks that its form must pass.

Rules:

* an `Advertisement` that exists is legal and can be emitted;
* octets become an `Advertisement` or a `PacketError`, nothing else, and nothing is allocated because they say so;
* the checks of form are rungs; `decode` climbs them alone, `receive.py` sets them among those that need a receiver.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Generic, Literal, TypeVar

from pyvrrp.errors import DropReason, PacketError, UsageError
from pyvrrp.protocol.checksum import ChecksumForm, checksum, message_checksum, verify
from pyvrrp.protocol.constants import (
    ADVERTISEMENT_TYPE,
    AUTH_AH,
    AUTH_DATA_LENGTH,
    AUTH_NONE,
    AUTH_PASS,
    INTERVAL_V2_MAX_US,
    INTERVAL_V3_MAX_US,
    US_PER_CS,
    US_PER_S,
    VRID_MAX,
    VRID_MIN,
    Family,
    IPAddress,
)
from pyvrrp.protocol.headers import IpHeader

ADDRESS_COUNT_MAX: Final = 255  # RFC 9568 5.2.5: one octet
PRIORITY_MAX: Final = 255  # RFC 9568 5.2.4
INTERVAL_MASK: Final = 0x0FFF  # RFC 9568 5.2.6, 5.2.7: the four bits above are reserved, sent as 0 and ignored
_FIXED: Final = struct.Struct("!BBBBHH")  # version and type, VRID, priority, count, auth type and interval, checksum
_CHECKSUM: Final = slice(6, 8)
_NO_AUTH_DATA: Final = bytes(AUTH_DATA_LENGTH)
_AUTH_VENDOR_MD5: Final = 254  # Cisco's, known to no RFC
_AUTH_TYPES: Final = frozenset({AUTH_NONE, AUTH_PASS, AUTH_AH})
_FAMILY_VERSIONS: Final = {4: (2, 3), 6: (3,)}  # RFC 3768 1.2: VRRPv2 is IPv4 only
_HMAC_TRAILER_LENGTH: Final = 28  # draft-cassen-vrrp-auth-hmac, sent by keepalived 2.4


@dataclass(frozen=True, slots=True)
class Advertisement:
    """
    One VRRP advertisement.

    Attributes:
        version: 2 or 3; version 2 is IPv4 only.
        vrid: Virtual Router Identifier, 1-255.
        priority: 0-255; 0 is "I leave", 255 the address owner.
        max_advertise_interval_us: The sender's interval: whole seconds 1-255 (v2), whole centiseconds 1-4095 (v3).
        addresses: The virtual addresses, 1-255 of one family, in the order of the wire, without a zone.
        auth_type: v2 only: 0 none, 1 password, 2 IP AH.
        auth_data: v2 only: 8 octets, filled up with zeros; all zero unless *auth_type* is 1.

    Raises:
        UsageError: A field is not legal, or does not go with another.

    Source:
        RFC 9568 5.2; RFC 3768 5.3; RFC 2338 5.3.6 (authentication).
    """

    version: Literal[2, 3]
    vrid: int
    priority: int
    max_advertise_interval_us: int
    addresses: tuple[IPAddress, ...]
    auth_type: int = AUTH_NONE
    auth_data: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        check_version(self.version)
        check_vrid(self.vrid)
        if not 0 <= self.priority <= PRIORITY_MAX:
            raise UsageError(f"priority {self.priority} is not in 0-255")
        check_interval(self.version, self.max_advertise_interval_us)
        check_addresses(self.version, self.addresses)
        object.__setattr__(self, "auth_data", check_auth(self.version, self.auth_type, self.auth_data))

    @property
    def family(self) -> Family:
        """Address family of the virtual router."""
        return Family(self.addresses[0].version)


def check_version(version: int) -> None:
    """
    Refuse a VRRP version that does not exist.

    Raises:
        UsageError: It is neither 2 nor 3.
    """
    if version not in {2, 3}:
        raise UsageError(f"VRRP version {version} is neither 2 nor 3")


def check_vrid(vrid: int) -> None:
    """
    Refuse a VRID that cannot be.

    Raises:
        UsageError: It is not in 1-255.
    """
    if not VRID_MIN <= vrid <= VRID_MAX:
        raise UsageError(f"VRID {vrid} is not in 1-255")


def check_interval(version: int, interval_us: int) -> None:
    """
    Refuse an interval that the field of *version* cannot hold exactly.

    Raises:
        UsageError: Not 1-255 whole seconds (v2) or 1-4095 whole centiseconds (v3).
    """
    unit, highest, words = (
        (US_PER_S, INTERVAL_V2_MAX_US, "1-255 whole seconds")
        if version == 2
        else (US_PER_CS, INTERVAL_V3_MAX_US, "1-4095 whole centiseconds")
    )
    if not unit <= interval_us <= highest or interval_us % unit:
        raise UsageError(f"an interval of {interval_us} us is not {words}, as VRRPv{version} needs")


def check_addresses(version: int, addresses: tuple[IPAddress, ...]) -> None:
    """
    Refuse a list of virtual addresses that no message can carry.

    Raises:
        UsageError: None or more than 255, mixed families, IPv6 in version 2, or an address with a zone.
    """
    if not 1 <= len(addresses) <= ADDRESS_COUNT_MAX:
        raise UsageError(f"{len(addresses)} addresses, an advertisement carries 1-255")
    families = {address.version for address in addresses}
    if len(families) > 1:
        raise UsageError("IPv4 and IPv6 addresses in one advertisement")
    if version == 2 and 6 in families:
        raise UsageError("VRRPv2 carries no IPv6 addresses")
    zoned = [address for address in addresses if isinstance(address, IPv6Address) and address.scope_id is not None]
    if zoned:
        raise UsageError(f"{zoned[0]} has a zone, which an advertisement cannot carry")


def check_auth(version: int, auth_type: int, auth_data: bytes) -> bytes:
    """
    Refuse authentication that *version* does not have.

    Returns:
        The authentication data as it stands in the message: 8 octets in version 2, none in version 3.

    Raises:
        UsageError: Any authentication in version 3, an unknown type, too much data, or data without a password.
    """
    if version == 3:
        if auth_type != AUTH_NONE or any(auth_data):
            raise UsageError("VRRPv3 has no authentication")
        return b""
    if auth_type not in _AUTH_TYPES:
        raise UsageError(f"authentication type {auth_type} is not 0, 1 or 2")
    if len(auth_data) > AUTH_DATA_LENGTH:
        raise UsageError(f"a password of {len(auth_data)} octets, VRRPv2 carries 8")
    if auth_type != AUTH_PASS and any(auth_data):
        raise UsageError(f"authentication type {auth_type} carries no data")
    return auth_data.ljust(AUTH_DATA_LENGTH, b"\0")


def encode(advertisement: Advertisement, header: IpHeader, *, pseudo_header: bool = True) -> bytes:
    """
    The octets of an advertisement.

    Args:
        advertisement: What to say.
        header: Source and destination it will be sent with: they are under the checksum.
        pseudo_header: IPv4 VRRPv3 only: sum the pseudo-header too, as RFC 5798 was read by keepalived and FRR; False
            is RFC 9568's form. Receivers like ours take both.

    Returns:
        The message that follows the IP header.

    Raises:
        UsageError: The header's addresses are of another family than those advertised.

    Source:
        RFC 9568 5.2, 7.2; RFC 3768 5.3, 7.2.
    """
    family = advertisement.addresses[0].version
    if header.source.version != family or header.destination.version != family:
        raise UsageError(f"an IPv{family} advertisement from {header.source} to {header.destination}")
    version = advertisement.version
    if version == 2:
        word = advertisement.auth_type << 8 | advertisement.max_advertise_interval_us // US_PER_S
    else:
        word = advertisement.max_advertise_interval_us // US_PER_CS
    octets = b"".join(
        (
            _FIXED.pack(
                version << 4 | ADVERTISEMENT_TYPE,
                advertisement.vrid,
                advertisement.priority,
                len(advertisement.addresses),
                word,
                0,
            ),
            *[address.packed for address in advertisement.addresses],
            advertisement.auth_data,
        )
    )
    field_value = message_checksum(version, octets, header.source, header.destination, pseudo_header=pseudo_header)
    return octets[: _CHECKSUM.start] + field_value.to_bytes(2, "big") + octets[_CHECKSUM.stop :]


def decode(payload: bytes, header: IpHeader) -> Advertisement:
    """
    Read one advertisement with no receiver in mind: whether it is well formed, not whether anyone should act on it.

    TTL, destination and all that depends on a configuration are for `receive`.

    Args:
        payload: Octets after the IP header.
        header: Source and destination as received.

    Returns:
        The message; every field legal. What RFC 9568 and RFC 3768 have a receiver ignore (reserved bits,
        authentication data of type 0) is gone.

    Raises:
        PacketError: The peer broke a rule. *reason* names the first, in the order of `FORM_LADDER`.

    Source:
        RFC 9568 5.2, 7.1 (VRRPv3); RFC 3768 5.3, 7.1 (VRRPv2).
    """
    message = Message(payload, header)
    for rung in FORM_LADDER:
        if rung.version is not None and rung.version != message.version:
            continue
        complaint = rung.check(message)
        if complaint:
            raise PacketError(rung.reason, complaint)
    return message.advertisement(message.unpack_addresses())


# What the __init__ of a frozen dataclass does, without checks that the rungs have made already: a third of the time.
_new: Final = object.__new__
_set_version, _set_vrid, _set_priority, _set_interval, _set_addresses, _set_auth_type, _set_auth_data = (
    getattr(Advertisement, name).__set__ for name in Advertisement.__slots__
)


class Message:
    """
    A payload taken apart but not yet believed.

    Fields beyond the end of a short payload read as zero; the rungs see to it that nobody acts on them.

    Attributes:
        payload: Octets after the IP header.
        header: The IP header they came with.
        versions: VRRP versions that are welcome.
        version, type, vrid, priority, count: Fields as they stand.
        word: The two octets that are type of authentication and interval in v2, reserved bits and interval in v3.
        address_length: Octets of one address in the family of the IP header.
        needed: Octets that such a count of addresses asks for.
        form: Checksum forms that verified; there is none before the checksum rung has been climbed.
    """

    __slots__ = (
        "address_length",
        "count",
        "form",
        "header",
        "needed",
        "payload",
        "priority",
        "type",
        "version",
        "versions",
        "vrid",
        "word",
    )

    payload: bytes
    header: IpHeader
    versions: tuple[int, ...]
    version: int
    type: int
    vrid: int
    priority: int
    count: int
    word: int
    address_length: int
    needed: int
    form: ChecksumForm

    def __init__(self, payload: bytes, header: IpHeader, versions: tuple[int, ...] | None = None) -> None:
        fixed = payload if len(payload) >= _FIXED.size else payload.ljust(_FIXED.size, b"\0")
        first, self.vrid, self.priority, self.count, self.word, _ = _FIXED.unpack_from(fixed)
        self.version = first >> 4
        self.type = first & 0xF
        self.payload = payload
        self.header = header
        family = header.source.version
        self.versions = versions or _FAMILY_VERSIONS[family]
        self.address_length = length = 4 if family == 4 else 16
        self.needed = _FIXED.size + self.count * length + (AUTH_DATA_LENGTH if self.version == 2 else 0)

    @property
    def auth_type(self) -> int:
        """Type of authentication; meant for version 2."""
        return self.word >> 8

    @property
    def interval_us(self) -> int:
        """The interval field in microseconds, the unit by version."""
        return (self.word & 0xFF) * US_PER_S if self.version == 2 else (self.word & INTERVAL_MASK) * US_PER_CS

    def verify(self) -> ChecksumForm:
        """Checksum forms that hold over as many octets as the count asks for."""
        payload = self.payload if len(self.payload) == self.needed else self.payload[: self.needed]
        return verify(self.version, payload, self.header.source, self.header.destination)

    def address_block(self) -> bytes:
        """The octets of all addresses."""
        return self.payload[_FIXED.size : _FIXED.size + self.count * self.address_length]

    def advertisement(self, addresses: tuple[IPAddress, ...]) -> Advertisement:
        """The message as a value, once every rung of form has been climbed: they leave nothing illegal in it."""
        advertisement = _new(Advertisement)
        auth_type, auth_data = self.auth()
        _set_version(advertisement, self.version)
        _set_vrid(advertisement, self.vrid)
        _set_priority(advertisement, self.priority)
        _set_interval(advertisement, self.interval_us)
        _set_addresses(advertisement, addresses)
        _set_auth_type(advertisement, auth_type)
        _set_auth_data(advertisement, auth_data)
        return advertisement

    def auth(self) -> tuple[int, bytes]:
        """Type and data of authentication as an `Advertisement` has them: data that is to be ignored is gone."""
        if self.version == 3:
            return AUTH_NONE, b""
        auth_type = self.auth_type
        return auth_type, self.payload[-AUTH_DATA_LENGTH:] if auth_type == AUTH_PASS else _NO_AUTH_DATA

    def unpack_addresses(self) -> tuple[IPAddress, ...]:
        """The addresses, in the order of the wire."""
        block = self.address_block()
        if self.address_length == 4:
            return tuple([IPv4Address(block[at : at + 4]) for at in range(0, len(block), 4)])
        return tuple([IPv6Address(block[at : at + 16]) for at in range(0, len(block), 16)])


M_contra = TypeVar("M_contra", bound=Message, contravariant=True)


@dataclass(frozen=True, slots=True)
class Rung(Generic[M_contra]):
    """
    One receive check.

    Attributes:
        reason: The one reason that a packet which fails it is dropped for.
        source: Where the check is written down, or "policy".
        check: Says what is wrong with a message, in words for the log; the empty string if nothing is.
        version: The VRRP version it is for, None for both.
        family: The address family it is for, None for both.
    """

    reason: DropReason
    source: str
    check: Callable[[M_contra], str]
    version: Literal[2, 3] | None = None
    family: Family | None = None


def _no_octets(message: Message) -> str:
    return "" if message.payload else "no octets at all"


def _version(message: Message) -> str:
    if message.version in message.versions:
        return ""
    return f"VRRP version {message.version}, not {' or '.join(map(str, message.versions))}"


def _type(message: Message) -> str:
    return "" if message.type == ADVERTISEMENT_TYPE else f"message type {message.type}, not {ADVERTISEMENT_TYPE}"


def _truncated(message: Message) -> str:
    length = len(message.payload)
    if length >= message.needed:
        return ""
    if length < _FIXED.size:
        return f"{length} octets, the fixed fields alone are {_FIXED.size}"
    addresses = length - _FIXED.size - (AUTH_DATA_LENGTH if message.version == 2 else 0)
    # A whole number of addresses was not cut on its way: there the count is wrong.
    if addresses > 0 and addresses % message.address_length == 0:
        return ""
    return f"{length} octets, {message.needed} needed for a count of {message.count}"


def _count_length(message: Message) -> str:
    extra = len(message.payload) - message.needed
    if not extra or (extra > 0 and (extra % message.address_length or _whole_by_itself(message))):
        return ""
    return f"{len(message.payload)} octets, {message.needed} needed for a count of {message.count}"


def _whole_by_itself(message: Message) -> bool:
    """Whether what the count asks for is a message: then octets after it are no addresses, however many they are."""
    if not message.verify():
        return False
    # In version 2 the last octets are mostly zeros, which no sum misses: there a count too small shows as addresses
    # where zeros should be.
    trailer = message.payload[message.needed - AUTH_DATA_LENGTH : message.needed]
    return message.version == 3 or message.auth_type != AUTH_NONE or not any(trailer)


def _trailing(message: Message) -> str:
    extra = len(message.payload) - message.needed
    if not extra:
        return ""
    keepalived = ", as many as keepalived's auth_hmac appends" if extra == _HMAC_TRAILER_LENGTH else ""
    return f"{extra} octets after the message of {message.needed}{keepalived}"


def _checksum(message: Message) -> str:
    message.form = form = message.verify()
    if form is not ChecksumForm.NONE:
        return ""
    payload, header = message.payload, message.header
    blank = payload[: _CHECKSUM.start] + b"\0\0" + payload[_CHECKSUM.stop :]
    expected = message_checksum(message.version, blank, header.source, header.destination)
    text = f"checksum 0x{payload[_CHECKSUM].hex()}, not {expected:#06x}"
    if message.version == 2:
        return text
    plain = checksum(blank)
    if header.source.version == 4:
        return f"{text} (with pseudo-header) or {plain:#06x} (without)"
    if payload[_CHECKSUM] == plain.to_bytes(2, "big"):
        return f"{text}: the sender leaves out the IPv6 pseudo-header"
    return text


def _vrid_zero(message: Message) -> str:
    return "" if message.vrid else "VRID 0 cannot be"


def _auth_type_unknown(message: Message) -> str:
    if message.auth_type in _AUTH_TYPES:
        return ""
    vendor = " (a vendor's MD5)" if message.auth_type == _AUTH_VENDOR_MD5 else ""
    return f"authentication type {message.auth_type}{vendor}"


def _count_zero(message: Message) -> str:
    return "" if message.count else "it lists no address"


def _interval_zero(message: Message) -> str:
    return "" if message.interval_us else "its interval is 0"


NO_OCTETS: Final = Rung(DropReason.TRUNCATED, "RFC 9568 7.1, RFC 3768 7.1", _no_octets)
VERSION: Final = Rung(DropReason.VERSION, "RFC 9568 7.1, RFC 3768 7.1", _version)
TYPE: Final = Rung(DropReason.TYPE, "RFC 9568 7.1, 5.2.2, RFC 3768 5.3.2", _type)
TRUNCATED: Final = Rung(DropReason.TRUNCATED, "RFC 9568 7.1, RFC 3768 7.1", _truncated)
COUNT_LENGTH: Final = Rung(DropReason.COUNT_LENGTH_MISMATCH, "RFC 9568 7.1, RFC 3768 7.1", _count_length)
TRAILING: Final = Rung(DropReason.TRAILING_BYTES, "policy", _trailing)
CHECKSUM: Final = Rung(DropReason.CHECKSUM, "RFC 9568 7.1, 5.2.8, RFC 3768 7.1", _checksum)
VRID_ZERO: Final = Rung(DropReason.VRID_ZERO, "RFC 9568 5.2.3, RFC 3768 5.3.3", _vrid_zero)
AUTH_TYPE_UNKNOWN: Final = Rung(DropReason.AUTH_TYPE_UNKNOWN, "RFC 3768 5.3.6", _auth_type_unknown, version=2)
COUNT_ZERO: Final = Rung(DropReason.COUNT_ZERO, "RFC 9568 5.2.5, erratum 8299; policy in version 2", _count_zero)
INTERVAL_ZERO: Final = Rung(DropReason.INTERVAL_ZERO, "RFC 9568 erratum 8301", _interval_zero)

FORM_LADDER: Final[tuple[Rung[Message], ...]] = (
    NO_OCTETS,
    VERSION,
    TYPE,
    TRUNCATED,
    COUNT_LENGTH,
    TRAILING,
    CHECKSUM,
    VRID_ZERO,
    AUTH_TYPE_UNKNOWN,
    COUNT_ZERO,
    INTERVAL_ZERO,
)
"""The checks that need no receiver, in the order in which `decode` makes them."""
