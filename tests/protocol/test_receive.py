"""The receive checks: every vector with its verdict and reason, the order of the ladder, and each setting."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyvrrp.errors import DropReason, PacketError, UsageError
from pyvrrp.protocol.advertisement import FORM_LADDER, Advertisement, encode
from pyvrrp.protocol.checksum import ChecksumForm
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.headers import IpHeader, strip_ethernet, strip_ip
from pyvrrp.protocol.receive import COUNTERS, LADDER, Notice, Received, Receiver, is_link_local, receive
from pyvrrp.protocol.settings import ListMismatch

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "adverts.json").read_text(encoding="utf-8")
)
SECOND = 1_000_000
GROUP = IPv4Address("224.0.0.18")
HEADER = IpHeader(IPv4Address("192.0.2.1"), GROUP)
HEADER_V6 = IpHeader(IPv6Address("fe80::1"), IPv6Address("ff02::12"))
VIP = IPv4Address("192.0.2.254")
VIPS_V6 = (IPv6Address("fe80::51:1"), IPv6Address("2001:db8:0:1::51"))

V2 = Receiver(
    vrid=51,
    version=2,
    family=Family.V4,
    primary=IPv4Address("192.0.2.2"),
    addresses=(VIP,),
    advertisement_interval_us=SECOND,
)
V3 = replace(V2, version=3)
V6 = replace(V3, family=Family.V6, primary=IPv6Address("fe80::2"), addresses=VIPS_V6)


def receiver_of(vector: dict[str, Any]) -> Receiver:
    """The receiver that the verdict is for, in the RFCs' settings: list mismatch drops, an owner discards."""
    said = vector["receiver"]
    version: Literal[2, 3] = said["version"]
    primary = ip_address(said["primary"])
    return Receiver(
        vrid=said["vrid"],
        version=version,
        family=Family(primary.version),
        primary=primary,
        addresses=tuple(ip_address(address) for address in said["addresses"]),
        advertisement_interval_us=(
            said["advert_interval_s"] * SECOND if version == 2 else said["advertise_interval_cs"] * 10_000
        ),
        owner=said["owner"],
        auth_type=said["auth_type"] if version == 2 else 0,
        auth_data=bytes.fromhex(said["auth_data_hex"]) if version == 2 else b"",
        unicast_peers=(ip_address(vector["src"]),) if said["mode"] == "unicast" else (),
        list_mismatch=ListMismatch.DROP,
        erratum_8298=said.get("erratum_8298", False),
    )


def reason_of(payload: bytes, header: IpHeader, receiver: Receiver) -> DropReason:
    with pytest.raises(PacketError) as caught:
        receive(payload, header, {receiver.vrid: receiver})
    return caught.value.reason


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    """The whole frame is stripped to the payload, and the payload gets its verdict."""
    payload = bytes.fromhex(vector["payload_hex"])
    header = IpHeader(ip_address(vector["src"]), ip_address(vector["dst"]), vector["ttl"])
    frame = strip_ethernet(bytes.fromhex(vector["frame_hex"]))
    assert frame.ether_type == {4: 0x0800, 6: 0x86DD}[vector["ip_version"]]
    assert strip_ip(frame.payload) == (header, payload)

    receiver = receiver_of(vector)
    if vector["valid"]:
        received = receive(payload, header, {receiver.vrid: receiver})
        fields = vector["fields"]
        assert received.receiver is receiver
        assert received.advertisement.priority == fields["priority"]
        assert [str(address) for address in received.advertisement.addresses] == fields["addresses"]
        assert [notice.value for notice in received.warnings] == ([vector["warn"]] if vector["warn"] else [])
        forms = {name: ChecksumForm[name.upper()] for name in ("message", "pseudo")}
        expected = ChecksumForm.NONE
        for name in vector["checksum_forms_ok"]:
            expected |= forms[name]
        assert received.checksum_form is expected
        return

    with pytest.raises(PacketError) as caught:
        receive(payload, header, {receiver.vrid: receiver})
    assert caught.value.reason.value == vector["reason"]
    assert caught.value.detail
    assert caught.value.vrid == (51 if payload[1:2] == b"\x33" else None)
    # the names of RFC 2787 stand in brackets behind those that RFC 8347 does not have
    counter = vector["counter"].split(" ")[0] if vector["counter"] else None
    assert COUNTERS[caught.value.reason] == counter


def test_the_order_of_the_ladder() -> None:
    """V2-RX-01, V3-RX-01, written out by hand."""
    assert [rung.reason.value for rung in LADDER] == [
        "ttl",
        "truncated",  # no octet at all: there is no version to read
        "version",
        "type",
        "truncated",
        "count-length-mismatch",
        "trailing-bytes",
        "checksum",
        "vrid-zero",
        "vrid-unknown",
        "not-multicast-destination",
        "not-unicast-peer",
        "own-source",
        "receiver-is-owner",
        "auth-type-unknown",
        "auth-type-mismatch",
        "auth-failure",
        "source-not-link-local",
        "count-zero",
        "first-address-not-link-local",
        "address-list-mismatch",
        "interval-mismatch",
        "interval-zero",
    ]


def test_the_ladder_holds_the_rungs_of_form_in_their_order() -> None:
    assert [rung for rung in LADDER if rung in FORM_LADDER] == list(FORM_LADDER)


def test_every_reason_has_a_rung_and_a_counter() -> None:
    """MALFORMED_IP is the header's, not the ladder's."""
    assert {rung.reason for rung in LADDER} == set(DropReason) - {DropReason.MALFORMED_IP}
    assert set(COUNTERS) == set(DropReason)
    assert all(rung.source for rung in LADDER)


def test_notices_move_counters() -> None:
    """STAT-09, STAT-13."""
    assert {notice: notice.counter for notice in Notice} == {
        Notice.INTERVAL_MISMATCH: "interval-errors",
        Notice.ADDRESS_LIST_MISMATCH: "address-list-errors",
        Notice.RECEIVER_IS_OWNER: None,
    }


# The order again, with packets: each fault alone gives its reason, and of many the first in this list is said.
FAULTS_V2 = [
    DropReason.TTL,
    DropReason.VERSION,
    DropReason.TYPE,
    DropReason.COUNT_LENGTH_MISMATCH,
    DropReason.CHECKSUM,
    DropReason.VRID_UNKNOWN,
    DropReason.NOT_MULTICAST_DESTINATION,
    DropReason.OWN_SOURCE,
    DropReason.RECEIVER_IS_OWNER,
    DropReason.AUTH_TYPE_MISMATCH,
    DropReason.ADDRESS_LIST_MISMATCH,
    DropReason.INTERVAL_MISMATCH,
]
FAULTS_V6 = [
    DropReason.TTL,
    DropReason.VERSION,
    DropReason.TYPE,
    DropReason.TRAILING_BYTES,
    DropReason.CHECKSUM,
    DropReason.VRID_ZERO,
    DropReason.NOT_MULTICAST_DESTINATION,
    DropReason.RECEIVER_IS_OWNER,
    DropReason.SOURCE_NOT_LINK_LOCAL,
    DropReason.FIRST_ADDRESS_NOT_LINK_LOCAL,
    DropReason.INTERVAL_ZERO,
]


def seal(message: bytes, pseudo_header: bytes = b"") -> bytes:
    """Fill in the checksum word by word, as RFC 1071 4.1 does it in C."""
    total = 0
    octets = pseudo_header + message
    for at in range(0, len(octets), 2):
        total += octets[at] << 8 | octets[at + 1]
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return message[:6] + (~total & 0xFFFF).to_bytes(2, "big") + message[8:]


@settings(deadline=None, max_examples=400)
@given(st.sets(st.sampled_from(FAULTS_V2), min_size=1))
@example({DropReason.AUTH_TYPE_MISMATCH, DropReason.INTERVAL_MISMATCH})
def test_the_first_fault_is_the_reason_in_version_2(faults: set[DropReason]) -> None:
    """V2-RX-01."""
    first = (4 if DropReason.VERSION in faults else 2) << 4 | (2 if DropReason.TYPE in faults else 1)
    message = bytes(
        (
            first,
            52 if DropReason.VRID_UNKNOWN in faults else 51,
            100,
            3 if DropReason.COUNT_LENGTH_MISMATCH in faults else 1,
            1 if DropReason.AUTH_TYPE_MISMATCH in faults else 0,
            9 if DropReason.INTERVAL_MISMATCH in faults else 1,
            0,
            0,
        )
    ) + bytes((192, 0, 2, 250 if DropReason.ADDRESS_LIST_MISMATCH in faults else 254))
    payload = seal(message + bytes(8))
    if DropReason.CHECKSUM in faults:
        payload = payload[:6] + bytes((payload[6] ^ 1, payload[7])) + payload[8:]
    header = IpHeader(
        IPv4Address("192.0.2.2" if DropReason.OWN_SOURCE in faults else "192.0.2.1"),
        IPv4Address("192.0.2.2") if DropReason.NOT_MULTICAST_DESTINATION in faults else GROUP,
        64 if DropReason.TTL in faults else 255,
    )
    receiver = replace(
        V2,
        owner=DropReason.RECEIVER_IS_OWNER in faults,
        erratum_8298=False,
        list_mismatch=ListMismatch.DROP,
    )
    assert reason_of(payload, header, receiver) is min(faults, key=FAULTS_V2.index)


@settings(deadline=None, max_examples=400)
@given(st.sets(st.sampled_from(FAULTS_V6), min_size=1))
def test_the_first_fault_is_the_reason_in_ipv6(faults: set[DropReason]) -> None:
    """V3-RX-01."""
    first = (2 if DropReason.VERSION in faults else 3) << 4 | (0 if DropReason.TYPE in faults else 1)
    message = bytes(
        (
            first,
            0 if DropReason.VRID_ZERO in faults else 51,
            100,
            2,
            0xF0,
            0 if DropReason.INTERVAL_ZERO in faults else 100,
            0,
            0,
        )
    )
    addresses = VIPS_V6[::-1] if DropReason.FIRST_ADDRESS_NOT_LINK_LOCAL in faults else VIPS_V6
    message += b"".join(address.packed for address in addresses)
    source = IPv6Address("2001:db8::1" if DropReason.SOURCE_NOT_LINK_LOCAL in faults else "fe80::1")
    destination = IPv6Address("fe80::2" if DropReason.NOT_MULTICAST_DESTINATION in faults else "ff02::12")
    payload = seal(message, source.packed + destination.packed + bytes((0, 0, 0, len(message), 0, 0, 0, 112)))
    if DropReason.CHECKSUM in faults:
        payload = payload[:6] + bytes((payload[6] ^ 1, payload[7])) + payload[8:]
    if DropReason.TRAILING_BYTES in faults:
        payload += b"\0"
    receiver = replace(V6, owner=DropReason.RECEIVER_IS_OWNER in faults, erratum_8298=False)
    header = IpHeader(source, destination, 64 if DropReason.TTL in faults else 255)
    assert reason_of(payload, header, receiver) is min(faults, key=FAULTS_V6.index)


def advertise(receiver: Receiver, header: IpHeader, **changes: Any) -> bytes:
    """What a peer of *receiver* sends, priority 100, with some of it changed."""
    legal = Advertisement(
        receiver.version,
        receiver.vrid,
        100,
        receiver.advertisement_interval_us,
        receiver.addresses,
        receiver.auth_type,
        receiver.auth_data,
    )
    return encode(replace(legal, **changes), header)


def heard(receiver: Receiver, header: IpHeader, **changes: Any) -> Received:
    return receive(advertise(receiver, header, **changes), header, {receiver.vrid: receiver})


def test_a_peer_in_agreement() -> None:
    received = heard(V3, HEADER)
    assert received == Received(V3, Advertisement(3, 51, 100, SECOND, (VIP,)), (), ChecksumForm.PSEUDO)


def test_the_usual_list_is_not_parsed_again() -> None:
    """The receiver's own tuple stands in the advertisement: 25,500 times a second it would be built for nothing."""
    assert heard(V3, HEADER).advertisement.addresses is V3.addresses


def test_each_virtual_router_hears_its_own() -> None:
    """V3-RX-07."""
    other = replace(V3, vrid=52)
    receivers = {51: V3, 52: other}
    for receiver in receivers.values():
        assert receive(advertise(receiver, HEADER), HEADER, receivers).receiver is receiver


@pytest.mark.parametrize("version", [2, 3])
def test_an_unknown_vrid_in_any_version_of_its_family(version: Literal[2, 3]) -> None:
    """V3-RX-07: where no virtual router says which version it speaks, both are good enough to be unknown."""
    stranger = replace(V2, version=version, vrid=52)
    with pytest.raises(PacketError, match="VRID 52 is not configured here") as caught:
        receive(advertise(stranger, HEADER), HEADER, {51: V3})
    assert caught.value.reason is DropReason.VRID_UNKNOWN
    assert caught.value.vrid is None


def test_an_unknown_vrid_of_version_2_in_ipv6() -> None:
    """V3-RX-03, IOP-11."""
    payload = bytes.fromhex("2133640100017dd0fe8000000000000000000000005100010000000000000000")
    with pytest.raises(PacketError, match="VRRP version 2, not 3"):
        receive(payload, HEADER_V6, {})


@pytest.mark.parametrize("ttl", [0, 1, 254])
def test_ttl(ttl: int) -> None:
    """V2-RX-02, V3-RX-02; attributed to the virtual router where the packet names one."""
    header = replace(HEADER, ttl=ttl)
    with pytest.raises(PacketError, match=f"TTL {ttl}, not 255") as caught:
        receive(advertise(V3, header), header, {51: V3})
    assert caught.value.vrid == 51
    with pytest.raises(PacketError, match=f"TTL {ttl}") as caught:
        receive(advertise(V3, header), header, {})
    assert caught.value.vrid is None
    assert reason_of(b"", header, V3) is DropReason.TTL


def test_ttl_of_unicast_peers() -> None:
    """D13, keepalived 3.4.4: a peer may be beyond routers; where it has bounds they hold."""
    header = IpHeader(HEADER.source, V3.primary, 61)
    anywhere = replace(V3, unicast_peers=(HEADER.source,))
    assert heard(anywhere, header).receiver is anywhere
    bounded = replace(anywhere, ttl_bounds={HEADER.source: (60, 62)})
    assert heard(bounded, header).receiver is bounded
    for ttl in (59, 63):
        off = replace(header, ttl=ttl)
        with pytest.raises(PacketError, match=f"TTL {ttl} is not within 60-62, as set for this peer"):
            receive(advertise(bounded, off), off, {51: bounded})


def test_another_group() -> None:
    """V3-RX-13: the group is a setting."""
    group = IPv4Address("224.0.0.99")
    grouped = replace(V3, group=group)
    assert heard(grouped, replace(HEADER, destination=group)).receiver is grouped
    assert reason_of(advertise(grouped, HEADER), HEADER, grouped) is DropReason.NOT_MULTICAST_DESTINATION


UNICAST = replace(V3, unicast_peers=(IPv4Address("192.0.2.1"),))
TO_US = IpHeader(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
FROM_ELSEWHERE = replace(TO_US, source=IPv4Address("192.0.2.77"))


def test_unicast() -> None:
    """V3-RX-13."""
    assert heard(UNICAST, TO_US).receiver is UNICAST


def test_multicast_at_a_unicast_receiver() -> None:
    with pytest.raises(PacketError, match=r"sent to the group 224\.0\.0\.18, but we are in unicast mode") as caught:
        heard(UNICAST, HEADER)
    assert caught.value.reason is DropReason.NOT_UNICAST_PEER


def test_unicast_at_a_multicast_receiver() -> None:
    with pytest.raises(PacketError, match=r"sent to 192\.0\.2\.2, not to the group 224\.0\.0\.18") as caught:
        heard(V3, TO_US)
    assert caught.value.reason is DropReason.NOT_MULTICAST_DESTINATION


def test_unicast_sources_are_checked_on_demand() -> None:
    """keepalived's check_unicast_src, off by default."""
    assert heard(UNICAST, FROM_ELSEWHERE).receiver is UNICAST
    strict = replace(UNICAST, check_unicast_source=True)
    assert heard(strict, TO_US).receiver is strict
    with pytest.raises(PacketError, match=r"192\.0\.2\.77 is not one of the unicast peers") as caught:
        heard(strict, FROM_ELSEWHERE)
    assert caught.value.reason is DropReason.NOT_UNICAST_PEER


@pytest.mark.parametrize("receiver", [V2, V3])
def test_an_owner_listens_by_default(receiver: Receiver) -> None:
    """V3-RX-09: erratum 8298; in version 2 the same setting, whose strict side is RFC 3768's."""
    owner = replace(receiver, owner=True)
    received = heard(owner, HEADER)
    assert received.warnings == (Notice.RECEIVER_IS_OWNER,)
    assert (
        received.explain(Notice.RECEIVER_IS_OWNER) == "we are the address owner, priority 255, yet somebody advertises"
    )
    assert (
        reason_of(advertise(owner, HEADER), HEADER, replace(owner, erratum_8298=False)) is DropReason.RECEIVER_IS_OWNER
    )


def test_version_2_lists_are_warned_about_by_default() -> None:
    """V2-RX-08 relaxed: dropping makes two masters while a new list is rolled out."""
    theirs = (VIP, *(IPv4Address("192.0.2.10") + at for at in range(5)))
    received = heard(V2, HEADER, addresses=theirs)
    assert received.advertisement.addresses == theirs
    assert received.warnings == (Notice.ADDRESS_LIST_MISMATCH,)
    assert received.explain(Notice.ADDRESS_LIST_MISMATCH) == (
        "6 addresses, ours are 1: it adds 192.0.2.10, 192.0.2.11, 192.0.2.12 and 2 more"
    )


def test_version_2_lists_are_dropped_in_the_strict_setting_unless_from_the_owner() -> None:
    """V2-RX-08."""
    strict = replace(V2, list_mismatch=ListMismatch.DROP)
    other = (IPv4Address("192.0.2.250"),)
    assert heard(strict, HEADER).warnings == ()
    with pytest.raises(PacketError) as caught:
        heard(strict, HEADER, addresses=other)
    assert caught.value.reason is DropReason.ADDRESS_LIST_MISMATCH
    assert caught.value.detail == "1 addresses, ours are 1: it adds 192.0.2.250; it lacks 192.0.2.254"
    assert heard(strict, HEADER, addresses=other, priority=255).warnings == (Notice.ADDRESS_LIST_MISMATCH,)


def test_version_3_lists_are_never_dropped() -> None:
    """V3-RX-12, whatever the setting; order is no difference (V3-PKT-09), repetition is."""
    strict = replace(V3, list_mismatch=ListMismatch.DROP, addresses=(VIP, IPv4Address("192.0.2.253")))
    assert heard(strict, HEADER, addresses=strict.addresses[::-1]).warnings == ()
    assert heard(strict, HEADER, addresses=(VIP,)).warnings == (Notice.ADDRESS_LIST_MISMATCH,)
    repeated = heard(strict, HEADER, addresses=(*strict.addresses, VIP))
    assert repeated.warnings == (Notice.ADDRESS_LIST_MISMATCH,)
    assert repeated.explain(Notice.ADDRESS_LIST_MISMATCH) == "3 addresses, ours are 2: one is repeated"


def test_version_2_intervals_must_agree() -> None:
    """V2-RX-09."""
    with pytest.raises(PacketError) as caught:
        heard(V2, HEADER, max_advertise_interval_us=3 * SECOND)
    assert caught.value.reason is DropReason.INTERVAL_MISMATCH
    assert caught.value.detail == "an interval of 3 s, ours is 1 s"


def test_version_3_intervals_are_only_warned_about() -> None:
    """V3-RX-11."""
    received = heard(V3, HEADER, max_advertise_interval_us=250_000)
    assert received.advertisement.max_advertise_interval_us == 250_000
    assert received.warnings == (Notice.INTERVAL_MISMATCH,)
    assert received.explain(Notice.INTERVAL_MISMATCH) == "an interval of 0.25 s, ours is 1 s"


def test_all_notices_at_once() -> None:
    received = heard(replace(V3, owner=True), HEADER, max_advertise_interval_us=10_000, addresses=(GROUP,))
    assert received.warnings == tuple(Notice)


def test_a_complaint_about_a_password_does_not_show_it() -> None:
    """V2-AUTH-02."""
    ours = replace(V2, auth_type=1, auth_data=b"s3cr3tPW")
    assert "s3cr" not in repr(ours)
    with pytest.raises(PacketError) as caught:
        heard(ours, HEADER, auth_data=b"S3CR3TPW")
    assert (caught.value.reason, caught.value.detail) == (DropReason.AUTH_FAILURE, "another password")
    assert heard(ours, HEADER).advertisement.auth_data == b"s3cr3tPW"


def test_a_short_password_is_compared_with_its_zeros() -> None:
    """V2-AUTH-03."""
    ours = replace(V2, auth_type=1, auth_data=b"abc")
    assert heard(ours, HEADER, auth_data=b"abc\0\0\0\0\0").receiver is ours
    assert reason_of(advertise(ours, HEADER, auth_data=b"abcd"), HEADER, ours) is DropReason.AUTH_FAILURE


def test_first_address_check_can_be_relaxed() -> None:
    """V3-RX-15: some estates configure globals alone."""
    payload = advertise(V6, HEADER_V6, addresses=VIPS_V6[::-1])
    assert reason_of(payload, HEADER_V6, V6) is DropReason.FIRST_ADDRESS_NOT_LINK_LOCAL
    assert receive(payload, HEADER_V6, {51: replace(V6, check_first_link_local=False)}).warnings == ()


def test_source_check_can_be_relaxed() -> None:
    """V3-RX-16."""
    header = replace(HEADER_V6, source=IPv6Address("2001:db8:0:1::1"))
    assert reason_of(advertise(V6, header), header, V6) is DropReason.SOURCE_NOT_LINK_LOCAL
    assert heard(replace(V6, check_source_link_local=False), header).warnings == ()


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("fe80::", True),
        ("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", True),
        ("fe7f:ffff::1", False),
        ("fec0::1", False),
        ("::", False),
        ("2001:db8::1", False),
    ],
)
def test_link_local(address: str, answer: bool) -> None:
    """fe80::/10 ends at febf."""
    assert is_link_local(IPv6Address(address)) is answer


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"vrid": 0}, "VRID 0"),
        ({"version": 1}, "version 1"),
        ({"addresses": ()}, "0 addresses"),
        ({"addresses": VIPS_V6}, "fe80::51:1 is not of IPv4"),
        ({"primary": IPv6Address("fe80::2")}, "fe80::2 is not of IPv4"),
        ({"group": IPv6Address("ff02::12")}, "ff02::12 is not of IPv4"),
        ({"unicast_peers": (IPv6Address("fe80::3"),)}, "fe80::3 is not of IPv4"),
        ({"family": Family.V6}, r"192\.0\.2\.254 is not of IPv6"),
        ({"advertisement_interval_us": 40_960_000}, "1-4095 whole centiseconds"),
        ({"auth_type": 1}, "VRRPv3 has no authentication"),
        ({"version": 2, "auth_type": 1, "auth_data": b"ninechars"}, "9 octets"),
    ],
)
def test_a_receiver_that_cannot_be(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        replace(V3, **changes)


@pytest.mark.parametrize("changes", [{"primary": IPv6Address("fe80::2%eth0")}, {"group": IPv6Address("ff02::12%2")}])
def test_a_receiver_has_no_zones(changes: dict[str, Any]) -> None:
    """With one its own source would never be recognised: what is received has none."""
    with pytest.raises(UsageError, match="has a zone"):
        replace(V6, **changes)
