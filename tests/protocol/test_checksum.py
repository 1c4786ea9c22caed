"""The Internet checksum and its pseudo-headers, against sums made by hand."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from pyvrrp.protocol.checksum import (
    ChecksumForm,
    checksum,
    complement,
    message_checksum,
    pseudo_sum,
    verify,
    word_sum,
)

SOURCE = IPv4Address("192.0.2.1")
GROUP = IPv4Address("224.0.0.18")
SOURCE_V6 = IPv6Address("fe80::1")
GROUP_V6 = IPv6Address("ff02::12")


@pytest.mark.parametrize(
    ("octets", "total"),
    [
        ("", 0x0000),
        ("0001f203f4f5f6f7", 0xDDF2),  # the example of RFC 1071 3
        ("ffff", 0x0000),  # the other zero
        ("ffff0001", 0x0001),
        ("80008000", 0x0001),  # 0x10000: the carry comes round
        ("01", 0x0100),  # an odd octet is padded on its right
        ("000102", 0x0201),
    ],
)
def test_word_sum(octets: str, total: int) -> None:
    assert word_sum(bytes.fromhex(octets)) == total


@pytest.mark.parametrize(
    ("octets", "field"),
    [
        ("0001f203f4f5f6f7", 0x220D),
        ("ffff", 0x0000),  # never 0xffff, its twin
        # 45c0+0028+ff70+c000+0201+e000+0012 = e76d with its carries
        ("45c0002800000000ff700000c0000201e0000012", 0x1892),
    ],
)
def test_checksum(octets: str, field: int) -> None:
    assert checksum(bytes.fromhex(octets)) == field


def test_complement_of_an_unreduced_sum() -> None:
    """0x1_0002 is 0x0003 with the carry brought round."""
    assert complement(0x10002) == 0xFFFC


def test_pseudo_header_of_ipv4_is_a_sum_of_six_words() -> None:
    """V3-CK-02: c000 + 0201 + e000 + 0012 + 0070 + 000c = a290 with its carries."""
    assert pseudo_sum(SOURCE, GROUP, 12) % 0xFFFF == 0xA290


def test_pseudo_header_of_ipv6() -> None:
    """V3-CK-05: fe80 + 0001 + ff02 + 0012 + 0018 + 0070 = fe1e with its carries."""
    assert pseudo_sum(SOURCE_V6, GROUP_V6, 24) % 0xFFFF == 0xFE1E


def test_pseudo_header_of_another_protocol() -> None:
    """ICMPv6 is 58, 0x3a: 0x70 - 0x3a = 0x36 less than VRRP's."""
    assert pseudo_sum(SOURCE_V6, GROUP_V6, 24, 58) % 0xFFFF == 0xFE1E - 0x36


@pytest.mark.parametrize(
    ("version", "message", "pseudo_header", "field"),
    [
        # 2133+6401+0001+c000+02fe = 4834
        pytest.param(2, "2133640100010000c00002fe0000000000000000", True, 0xB7CB, id="V2-CK-01"),
        # ... + 7333+6372+3374+5057 = a3a5 beyond the 4934 of Auth Type 1
        pytest.param(2, "2133640101010000c00002fe7333637233745057", True, 0x5C5A, id="V2-CK-01 with a password"),
        # 3133+6401+0064+c000+02fe = 5897
        pytest.param(3, "3133640100640000c00002fe", False, 0xA768, id="V3-CK-01"),
        # 5897 + a290 = fb27
        pytest.param(3, "3133640100640000c00002fe", True, 0x04D8, id="V3-CK-02"),
    ],
)
def test_message_checksum_in_ipv4(version: int, message: str, pseudo_header: bool, field: int) -> None:
    octets = bytes.fromhex(message)
    assert message_checksum(version, octets, SOURCE, GROUP, pseudo_header=pseudo_header) == field


@pytest.mark.parametrize("pseudo_header", [True, False])
def test_ipv6_has_its_pseudo_header_whatever_is_asked(pseudo_header: bool) -> None:
    """V3-CK-05: 3133+6401+0064+fe80+0051+0001 = 946b, + fe1e = 928a."""
    octets = bytes.fromhex("3133640100640000fe800000000000000000000000510001")
    assert message_checksum(3, octets, SOURCE_V6, GROUP_V6, pseudo_header=pseudo_header) == 0x6D75


@pytest.mark.parametrize(
    ("version", "message", "source", "form"),
    [
        pytest.param(2, "213364010001b7cbc00002fe0000000000000000", "192.0.2.1", ChecksumForm.MESSAGE, id="V2-CK-01"),
        pytest.param(2, "213364010001b6cbc00002fe0000000000000000", "192.0.2.1", ChecksumForm.NONE, id="v2 wrong"),
        pytest.param(3, "313364010064a768c00002fe", "192.0.2.1", ChecksumForm.MESSAGE, id="V3-CK-01"),
        pytest.param(3, "31336401006404d8c00002fe", "192.0.2.1", ChecksumForm.PSEUDO, id="V3-CK-02"),
        pytest.param(3, "3133640100644b660a001501", "10.0.21.113", ChecksumForm.BOTH, id="V3-CK-03"),
        pytest.param(3, "3133640100640000c000aa66", "192.0.2.1", ChecksumForm.MESSAGE, id="V3-CK-04 0x0000"),
        pytest.param(3, "313364010064ffffc000aa66", "192.0.2.1", ChecksumForm.MESSAGE, id="V3-CK-04 0xffff"),
        pytest.param(3, "3133640100640000c00002fe", "192.0.2.1", ChecksumForm.NONE, id="V3-CK-04 left zero"),
        pytest.param(3, "313364010064b55cc00002fe", "192.0.2.1", ChecksumForm.NONE, id="v3 wrong"),
    ],
)
def test_verify_in_ipv4(version: int, message: str, source: str, form: ChecksumForm) -> None:
    assert verify(version, bytes.fromhex(message), IPv4Address(source), GROUP) is form


@pytest.mark.parametrize(
    ("message", "form"),
    [
        ("3133640100646d75fe800000000000000000000000510001", ChecksumForm.PSEUDO),
        # the sum of the message alone, 946b: in IPv6 wrong in every RFC
        ("3133640100646b94fe800000000000000000000000510001", ChecksumForm.NONE),
    ],
)
def test_verify_in_ipv6(message: str, form: ChecksumForm) -> None:
    """V3-CK-05."""
    assert verify(3, bytes.fromhex(message), SOURCE_V6, GROUP_V6) is form
