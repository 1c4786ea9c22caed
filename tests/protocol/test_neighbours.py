"""Gratuitous ARP and unsolicited Neighbor Advertisements, octet by octet, with scapy as the judge."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from pyvrrp.errors import UsageError
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.neighbours import announcement, gratuitous_arp, unsolicited_na, vmac

VIP = IPv4Address("192.0.2.254")
VIP_V6 = IPv6Address("fe80::51:1")
VMAC = bytes.fromhex("00005e000133")
VMAC_V6 = bytes.fromhex("00005e000233")
GARP = bytes.fromhex(
    "ffffffffffff 00005e000133 0806"
    "0001 0800 06 04 0001"  # Ethernet, IPv4, their lengths, request
    "00005e000133 c00002fe"
    "ffffffffffff c00002fe"
)
# 8800+a000+fe80+0051+0001+0201+5e00+0233 = 8908; pseudo-header fe80+0051+0001+ff02+0001+0020+003a = fe30; together 8739
NA = bytes.fromhex(
    "333300000001 00005e000233 86dd"
    "60000000 0020 3a ff"
    "fe800000000000000000000000510001"
    "ff020000000000000000000000000001"
    "88 00 78c6 a0000000"  # R 1, S 0, O 1
    "fe800000000000000000000000510001"
    "02 01 00005e000233"
)


@pytest.mark.parametrize(
    ("vrid", "family", "octets"),
    [
        pytest.param(1, Family.V4, "00005e000101", id="MAC-01 lowest"),
        pytest.param(51, Family.V4, "00005e000133", id="MAC-01"),
        pytest.param(255, Family.V4, "00005e0001ff", id="MAC-01 highest"),
        pytest.param(51, Family.V6, "00005e000233", id="MAC-02"),
    ],
)
def test_vmac(vrid: int, family: Family, octets: str) -> None:
    assert vmac(vrid, family).hex() == octets


@pytest.mark.parametrize("vrid", [0, 256])
def test_no_vmac_for_an_impossible_vrid(vrid: int) -> None:
    with pytest.raises(UsageError, match=f"VRID {vrid}"):
        vmac(vrid, Family.V4)


def test_gratuitous_arp() -> None:
    """ARP-05, ARP-07: a request, broadcast, from the VIP to the VIP."""
    assert gratuitous_arp(VIP, VMAC) == GARP


def test_gratuitous_arp_in_the_form_of_the_rfc() -> None:
    """ARP-06: the target hardware address is the sender's."""
    assert gratuitous_arp(VIP, VMAC, target_is_sender=True) == GARP[:32] + VMAC + GARP[38:]


def test_unsolicited_na() -> None:
    """ND-05, ND-08, ND-12."""
    assert unsolicited_na(VIP_V6, VMAC_V6) == NA


def test_unsolicited_na_of_a_host() -> None:
    """Without the R flag 8000 leaves the sum: 0739, so the checksum is f8c6."""
    assert unsolicited_na(VIP_V6, VMAC_V6, router=False) == NA[:56] + bytes.fromhex("f8c6 20000000") + NA[62:]


def test_announcement_goes_by_family() -> None:
    assert announcement(VIP, VMAC) == GARP
    assert announcement(VIP_V6, VMAC_V6) == NA


def test_scapy_reads_the_arp() -> None:
    from scapy.layers.l2 import ARP, Ether

    ours = Ether(gratuitous_arp(VIP, VMAC))
    assert ours.dst == "ff:ff:ff:ff:ff:ff"
    arp = ours[ARP]
    assert (arp.op, arp.hwsrc, arp.psrc, arp.pdst) == (1, "00:00:5e:00:01:33", "192.0.2.254", "192.0.2.254")
    theirs = Ether(dst="ff:ff:ff:ff:ff:ff", src="00:00:5e:00:01:33") / ARP(
        op=1, hwsrc="00:00:5e:00:01:33", psrc="192.0.2.254", hwdst="ff:ff:ff:ff:ff:ff", pdst="192.0.2.254"
    )
    assert gratuitous_arp(VIP, VMAC) == bytes(theirs)


def test_scapy_builds_the_same_na() -> None:
    from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
    from scapy.layers.l2 import Ether

    vip = IPv6Address("2001:db8:0:1::51")
    theirs = (
        Ether(dst="33:33:00:00:00:01", src="00:00:5e:00:02:33")
        / IPv6(src=str(vip), dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(R=1, S=0, O=1, tgt=str(vip))
        / ICMPv6NDOptDstLLAddr(lladdr="00:00:5e:00:02:33")
    )
    assert unsolicited_na(vip, VMAC_V6) == bytes(theirs)


def test_the_wrong_family() -> None:
    with pytest.raises(UsageError, match="fe80::51:1 is not"):
        gratuitous_arp(VIP_V6, VMAC)
    with pytest.raises(UsageError, match=r"192\.0\.2\.254 is not"):
        unsolicited_na(VIP, VMAC)


@pytest.mark.parametrize("hardware_address", [b"", bytes(5), bytes(8), bytes(20)])
def test_links_without_ethernet_addresses(hardware_address: bytes) -> None:
    for vip in (VIP, VIP_V6):
        with pytest.raises(UsageError, match="6 octets"):
            announcement(vip, hardware_address)
