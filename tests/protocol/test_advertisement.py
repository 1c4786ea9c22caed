"""The advertisement as a value and as octets: golden messages, every valid vector, scapy, and all that is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Literal

import pytest

from pyvrrp.errors import DropReason, PacketError, UsageError
from pyvrrp.protocol.advertisement import FORM_LADDER, Advertisement, decode, encode
from pyvrrp.protocol.checksum import ChecksumForm, verify
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.headers import IpHeader, build_ipv4, build_ipv6

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "adverts.json").read_text(encoding="utf-8")
)
VALID = [vector for vector in VECTORS if vector["valid"]]

NOT_CANONICAL = {
    "v2-noauth-nonzero-authdata": "V2-AUTH-01: we send zeros where Authentication Data is unused",
    "v3-ip4-reserved-nibble-f": "V3-PKT-06: we send reserved bits as zero",
    "v3-ip6-reserved-nibble-f": "V3-PKT-06: we send reserved bits as zero",
    "v3-ip4-cksum-is-ffff": "V3-CK-04: of the two zeros we send 0x0000",
}

V4 = IpHeader(IPv4Address("192.0.2.1"), IPv4Address("224.0.0.18"))
V6 = IpHeader(IPv6Address("fe80::1"), IPv6Address("ff02::12"))
VIP = IPv4Address("192.0.2.254")
VIP_V6 = IPv6Address("fe80::51:1")
SECOND = 1_000_000

# (value, header, pseudo-header asked for, octets): sums by hand in test_checksum.py
GOLDEN = [
    pytest.param(
        Advertisement(2, 51, 100, SECOND, (VIP,)),
        V4,
        True,
        "21 33 64 01 00 01 b7cb c00002fe 0000000000000000",
        id="V2-PKT-01",
    ),
    pytest.param(
        Advertisement(2, 51, 100, SECOND, (VIP,), 1, b"s3cr3tPW"),
        V4,
        False,
        "21 33 64 01 01 01 5c5a c00002fe 7333637233745057",
        id="V2-AUTH-02",
    ),
    pytest.param(
        Advertisement(2, 51, 100, SECOND, (VIP,), 1, b"abc"),
        V4,
        True,
        "21 33 64 01 01 01 f268 c00002fe 6162630000000000",
        id="V2-AUTH-03",
    ),
    pytest.param(
        Advertisement(2, 51, 100, 255 * SECOND, (VIP,)),
        V4,
        True,
        "21 33 64 01 00 ff b6cd c00002fe 0000000000000000",
        id="V2-PKT-07",
    ),
    pytest.param(Advertisement(3, 51, 100, SECOND, (VIP,)), V4, False, "31 33 64 01 0064 a768 c00002fe", id="V3-CK-01"),
    pytest.param(Advertisement(3, 51, 100, SECOND, (VIP,)), V4, True, "31 33 64 01 0064 04d8 c00002fe", id="V3-CK-02"),
    pytest.param(
        Advertisement(3, 51, 0, SECOND, (VIP,)), V4, False, "31 33 00 01 0064 0b69 c00002fe", id="V3-PKT-04 leaving"
    ),
    pytest.param(
        Advertisement(3, 51, 100, 40_950_000, (VIP,)), V4, False, "31 33 64 01 0fff 97cd c00002fe", id="V3-PKT-07"
    ),
    pytest.param(
        Advertisement(3, 51, 100, SECOND, (VIP_V6,)),
        V6,
        False,
        "31 33 64 01 0064 6d75 fe800000000000000000000000510001",
        id="V3-CK-05",
    ),
]


@pytest.mark.parametrize(("advertisement", "header", "pseudo_header", "octets"), GOLDEN)
def test_golden(advertisement: Advertisement, header: IpHeader, pseudo_header: bool, octets: str) -> None:
    """Out and in again, and with an octet too few or left over."""
    payload = bytes.fromhex(octets)
    assert encode(advertisement, header, pseudo_header=pseudo_header) == payload
    assert decode(payload, header) == advertisement
    with pytest.raises(PacketError):
        decode(payload[:-1], header)
    with pytest.raises(PacketError) as caught:
        decode(payload + b"\0", header)
    assert caught.value.reason is DropReason.TRAILING_BYTES


def header_of(vector: dict[str, Any]) -> IpHeader:
    return IpHeader(ip_address(vector["src"]), ip_address(vector["dst"]), vector["ttl"])


def value_of(vector: dict[str, Any]) -> Advertisement:
    """The message that the vector's decoded fields describe; what a receiver ignores is left out."""
    fields = vector["fields"]
    addresses = tuple(ip_address(address) for address in fields["addresses"])
    if fields["version"] == 3:
        return Advertisement(
            3, fields["vrid"], fields["priority"], fields["max_advertise_interval_cs"] * 10_000, addresses
        )
    auth_type = fields["auth_type"]
    return Advertisement(
        2,
        fields["vrid"],
        fields["priority"],
        fields["adver_int_s"] * SECOND,
        addresses,
        auth_type,
        bytes.fromhex(fields["auth_data_hex"]) if auth_type else b"",
    )


@pytest.mark.parametrize("vector", VALID, ids=lambda vector: vector["name"])
def test_valid_vector_decodes_to_its_fields(vector: dict[str, Any]) -> None:
    payload, header = bytes.fromhex(vector["payload_hex"]), header_of(vector)
    assert decode(payload, header) == value_of(vector)
    forms = {
        ("message",): ChecksumForm.MESSAGE,
        ("pseudo",): ChecksumForm.PSEUDO,
        ("message", "pseudo"): ChecksumForm.BOTH,
    }
    assert (
        verify(payload[0] >> 4, payload, header.source, header.destination) is forms[tuple(vector["checksum_forms_ok"])]
    )


@pytest.mark.parametrize("vector", VALID, ids=lambda vector: vector["name"])
def test_valid_vector_is_what_we_send(vector: dict[str, Any]) -> None:
    payload = bytes.fromhex(vector["payload_hex"])
    pseudo_header = "message" not in vector["checksum_forms_ok"]
    octets = encode(value_of(vector), header_of(vector), pseudo_header=pseudo_header)
    assert (octets == payload) is (vector["name"] not in NOT_CANONICAL)
    assert len(octets) == len(payload)


def test_the_exceptions_are_valid_vectors() -> None:
    assert set(NOT_CANONICAL) <= {vector["name"] for vector in VALID}


# Reasons that `decode` can give: the other vectors are wrong for a receiver, not in their form.
OF_FORM = {rung.reason.value for rung in FORM_LADDER}
# At fault for its receiver first (interval-mismatch), and with no receiver for its zero.
WITHOUT_RECEIVER = {"bad-v2-interval-0": "interval-zero"}


@pytest.mark.parametrize(
    "vector", [vector for vector in VECTORS if not vector["valid"]], ids=lambda vector: vector["name"]
)
def test_invalid_vector_with_no_receiver_in_mind(vector: dict[str, Any]) -> None:
    expected = WITHOUT_RECEIVER.get(vector["name"], vector["reason"])
    speaks_the_other_version = vector["name"] in {"bad-v2-at-v3-receiver", "bad-v3-at-v2-receiver"}
    payload = bytes.fromhex(vector["payload_hex"])
    if expected == "ttl" and vector["name"] == "order-ttl-before-version":
        expected = "version"
    if expected in OF_FORM and not speaks_the_other_version:
        with pytest.raises(PacketError) as caught:
            decode(payload, header_of(vector))
        assert caught.value.reason.value == expected
        assert caught.value.detail
        assert caught.value.vrid is None
    else:
        assert decode(payload, header_of(vector)) == value_of(vector)


def test_every_rung_of_form_has_its_complaint() -> None:
    """A vector exists for each reason, or the test above proves less than it says."""
    assert {vector["reason"] for vector in VECTORS} >= OF_FORM


@pytest.mark.parametrize(
    ("octets", "header", "detail"),
    [
        ("41336401000197cbc00002fe", V4, "VRRP version 4, not 2 or 3"),
        ("2133640100017dd0fe8000000000000000000000005100010000000000000000", V6, "VRRP version 2, not 3"),
        ("323364010064a668c00002fe", V4, "message type 2, not 1"),
        ("313364010064a7", V4, "7 octets, the fixed fields alone are 8"),
        ("313364010064a768", V4, "8 octets, 12 needed for a count of 1"),
        ("313364010064a768c00002fe00", V4, "1 octets after the message of 12"),
        ("313364010064b55cc00002fe", V4, "checksum 0xb55c, not 0x04d8 (with pseudo-header) or 0xa768 (without)"),
        ("213364010001b6cbc00002fe0000000000000000", V4, "checksum 0xb6cb, not 0xb7cb"),
        ("3133640100641111fe800000000000000000000000510001", V6, "checksum 0x1111, not 0x6d75"),
        (
            "3133640100646b94fe800000000000000000000000510001",
            V6,
            "checksum 0x6b94, not 0x6d75: the sender leaves out the IPv6 pseudo-header",
        ),
        ("21336401fe01b9cac00002fe0000000000000000", V4, "authentication type 254 (a vendor's MD5)"),
        ("213364010301b4cbc00002fe0000000000000000", V4, "authentication type 3"),
    ],
)
def test_the_complaint_says_what_is_wrong(octets: str, header: IpHeader, detail: str) -> None:
    with pytest.raises(PacketError) as caught:
        decode(bytes.fromhex(octets), header)
    assert caught.value.detail == detail


def test_keepalived_trailer_is_named() -> None:
    """RX-TRAIL-02."""
    payload = bytes.fromhex("313364010064a768c00002fe") + bytes(28)
    with pytest.raises(PacketError, match="as many as keepalived's auth_hmac appends"):
        decode(payload, V4)


def test_ignored_octets_are_gone() -> None:
    """V2-AUTH-01, V3-PKT-06."""
    garbage = decode(bytes.fromhex("213364010001177fc00002fe6761726261676521"), V4)
    assert garbage == Advertisement(2, 51, 100, SECOND, (VIP,))
    assert garbage.auth_data == bytes(8)
    reserved = decode(bytes.fromhex("31336401f064b767c00002fe"), V4)
    assert reserved == Advertisement(3, 51, 100, SECOND, (VIP,))


def test_family() -> None:
    assert Advertisement(3, 51, 100, SECOND, (VIP,)).family is Family.V4
    assert Advertisement(3, 51, 100, SECOND, (VIP_V6,)).family is Family.V6


def test_a_password_is_not_shown() -> None:
    assert "s3cr3t" not in repr(Advertisement(2, 51, 100, SECOND, (VIP,), 1, b"s3cr3tPW"))


def test_auth_data_of_version_2_is_always_8_octets() -> None:
    """V2-PKT-08, V2-AUTH-03."""
    assert Advertisement(2, 51, 100, SECOND, (VIP,)).auth_data == bytes(8)
    assert Advertisement(2, 51, 100, SECOND, (VIP,), 1, b"abc").auth_data == b"abc\0\0\0\0\0"
    assert Advertisement(3, 51, 100, SECOND, (VIP,)).auth_data == b""


V2 = Advertisement(2, 51, 100, SECOND, (VIP,))
V3 = Advertisement(3, 51, 100, SECOND, (VIP,))


@pytest.mark.parametrize(
    ("legal", "changes", "complaint"),
    [
        (V3, {"version": 4}, "version 4"),
        (V3, {"vrid": 0}, "VRID 0"),  # V3-PKT-03
        (V3, {"vrid": 256}, "VRID 256"),
        (V3, {"priority": -1}, "priority -1"),
        (V3, {"priority": 256}, "priority 256"),  # V3-PKT-04
        (V2, {"max_advertise_interval_us": 0}, "0 us"),  # V2-PKT-07
        (V2, {"max_advertise_interval_us": 256 * SECOND}, "1-255 whole seconds"),
        (V2, {"max_advertise_interval_us": 1_500_000}, "1500000 us"),
        (V3, {"max_advertise_interval_us": 0}, "0 us"),  # V3-PKT-07
        (V3, {"max_advertise_interval_us": 40_960_000}, "1-4095 whole centiseconds"),
        (V3, {"max_advertise_interval_us": 5_000}, "5000 us"),
        (V3, {"max_advertise_interval_us": 1_000_001}, "1000001 us"),
        (V3, {"addresses": ()}, "0 addresses"),  # V3-PKT-05
        (V3, {"addresses": (VIP,) * 256}, "256 addresses"),
        (V3, {"addresses": (VIP, VIP_V6)}, "IPv4 and IPv6"),  # V3-PKT-10
        (V2, {"addresses": (VIP_V6,)}, "VRRPv2 carries no IPv6"),  # IOP-11
        (V3, {"addresses": (IPv6Address("fe80::1%eth0"),)}, "has a zone"),
        (V3, {"auth_type": 1}, "VRRPv3 has no authentication"),  # SEC-02
        (V3, {"auth_data": b"x"}, "VRRPv3 has no authentication"),
        (V2, {"auth_type": 3}, "authentication type 3"),  # V2-AUTH-05
        (V2, {"auth_type": 1, "auth_data": b"ninechars"}, "a password of 9 octets"),  # V2-AUTH-03
        (V2, {"auth_type": 0, "auth_data": b"abc"}, "type 0 carries no data"),  # V2-AUTH-01
        (V2, {"auth_type": 2, "auth_data": b"abc"}, "type 2 carries no data"),  # V2-AUTH-04
    ],
)
def test_what_cannot_exist(legal: Advertisement, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        replace(legal, **changes)


@pytest.mark.parametrize(
    "header", [V6, IpHeader(V4.source, V6.destination), IpHeader(V6.source, V4.destination)], ids=str
)
def test_the_header_is_of_the_family_advertised(header: IpHeader) -> None:
    with pytest.raises(UsageError, match="an IPv4 advertisement from"):
        encode(V3, header)


def test_255_addresses() -> None:
    """V2-PKT-05, V3-PKT-05: 8 + 255 * 4 octets, and 8 more in version 2; 255 * 16 in IPv6."""
    v4 = tuple(IPv4Address("198.51.100.0") + at for at in range(1, 256))
    v6 = tuple(IPv6Address("fe80::") + at for at in range(1, 256))
    cases: list[tuple[Literal[2, 3], tuple[IPAddress, ...], IpHeader, int]] = [
        (2, v4, V4, 1036),
        (3, v4, V4, 1028),
        (3, v6, V6, 4088),
    ]
    for version, addresses, header, length in cases:
        advertisement = Advertisement(version, 51, 100, SECOND, addresses)
        octets = encode(advertisement, header)
        assert len(octets) == length
        assert decode(octets, header) == advertisement


@pytest.mark.parametrize("count", [1, 3, 20])
def test_scapy_builds_the_same_version_2(count: int) -> None:
    from scapy.layers.inet import IP
    from scapy.layers.vrrp import VRRP

    addresses = tuple(IPv4Address("192.0.2.100") + at for at in range(count))
    theirs = IP(src="192.0.2.1", dst="224.0.0.18", ttl=255, tos=0xC0, id=1) / VRRP(
        vrid=51,
        priority=200,
        adv=7,
        authtype=1,
        addrlist=[str(address) for address in addresses],
        auth1=int.from_bytes(b"s3cr", "big"),
        auth2=int.from_bytes(b"3tPW", "big"),
    )
    ours = encode(Advertisement(2, 51, 200, 7 * SECOND, addresses, 1, b"s3cr3tPW"), V4)
    assert build_ipv4(V4, ours, identification=1) == bytes(theirs)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_scapy_builds_the_same_version_3(count: int) -> None:
    """Scapy sums the pseudo-header in both families."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.vrrp import VRRPv3

    v4 = tuple(IPv4Address("192.0.2.100") + at for at in range(count))
    v6 = tuple(IPv6Address("fe80::100") + at for at in range(count))
    theirs = IP(src="192.0.2.1", dst="224.0.0.18", ttl=255, tos=0xC0, id=1) / VRRPv3(
        vrid=7, priority=1, adv=4095, addrlist=[str(address) for address in v4]
    )
    assert build_ipv4(V4, encode(Advertisement(3, 7, 1, 40_950_000, v4), V4), identification=1) == bytes(theirs)
    theirs = IPv6(src="fe80::1", dst="ff02::12", hlim=255, tc=0xC0) / VRRPv3(
        vrid=7, priority=255, adv=1, addrlist=[str(address) for address in v6]
    )
    assert build_ipv6(V6, encode(Advertisement(3, 7, 255, 10_000, v6), V6)) == bytes(theirs)


def test_scapy_reads_what_we_send() -> None:
    from scapy.layers.inet import IP
    from scapy.layers.vrrp import VRRPv3

    packet = IP(build_ipv4(V4, encode(V3, V4)))
    theirs = packet[VRRPv3]
    assert (theirs.version, theirs.type, theirs.vrid, theirs.priority) == (3, 1, 51, 100)
    assert (theirs.ipcount, theirs.res, theirs.adv, theirs.addrlist) == (1, 0, 100, ["192.0.2.254"])
    assert (packet.ttl, packet.proto, packet.tos, packet.flags) == (255, 112, 0xC0, 0)
