"""What holds for any octets and any advertisement."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pyvrrp.errors import DropReason, PacketError
from pyvrrp.protocol.advertisement import Advertisement, decode, encode
from pyvrrp.protocol.checksum import ChecksumForm, checksum, verify, word_sum
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.headers import IpHeader, build_ip, strip_ethernet, strip_ip
from pyvrrp.protocol.receive import Receiver, receive

# One kind of example costs little; a laden CI machine must not fail for its clock.
relaxed = settings(deadline=None, max_examples=200)

v4 = st.integers(0, 2**32 - 1).map(IPv4Address)
v6 = st.integers(0, 2**128 - 1).map(IPv6Address)
headers_v4 = st.builds(IpHeader, v4, v4, st.integers(0, 255))
headers_v6 = st.builds(IpHeader, v6, v6, st.integers(0, 255))
headers = headers_v4 | headers_v6
seconds = st.integers(1, 255).map(lambda s: s * 1_000_000)
centiseconds = st.integers(1, 4095).map(lambda cs: cs * 10_000)
vrids = st.integers(1, 255)
priorities = st.integers(0, 255)
lists_v4 = st.lists(v4, min_size=1, max_size=20).map(tuple)
lists_v6 = st.lists(v6, min_size=1, max_size=8).map(tuple)
advertisements_v2 = st.builds(Advertisement, st.just(2), vrids, priorities, seconds, lists_v4) | st.builds(
    Advertisement, st.just(2), vrids, priorities, seconds, lists_v4, st.just(1), st.binary(max_size=8)
)
advertisements_v3 = st.builds(Advertisement, st.just(3), vrids, priorities, centiseconds, lists_v4)
advertisements_v6 = st.builds(Advertisement, st.just(3), vrids, priorities, centiseconds, lists_v6)
sendable = (
    st.tuples(advertisements_v2, headers_v4)
    | st.tuples(advertisements_v3, headers_v4)
    | st.tuples(advertisements_v6, headers_v6)
)


@st.composite
def nearly_right(draw: st.DrawFn) -> bytes:
    """Octets that get far up the ladder: version and type, count and length are plausible, the checksum may hold."""
    version = draw(st.sampled_from([2, 3]))
    address_length = draw(st.sampled_from([4, 16]))
    count = draw(st.integers(0, 4))
    fixed = bytes((version << 4 | 1, draw(st.integers(0, 255)), draw(priorities), count)) + draw(
        st.binary(min_size=2, max_size=2)
    )
    body = draw(st.binary(min_size=count * address_length, max_size=count * address_length))
    message = fixed + b"\0\0" + body + (draw(st.binary(min_size=8, max_size=8)) if version == 2 else b"")
    return message[:6] + checksum(message).to_bytes(2, "big") + message[8:] + draw(st.binary(max_size=1))


octets = st.binary(max_size=64) | nearly_right()


def receiver_for(advertisement: Advertisement) -> Receiver:
    family = advertisement.family
    return Receiver(
        vrid=advertisement.vrid,
        version=advertisement.version,
        family=family,
        primary=IPv4Address("192.0.2.2") if family is Family.V4 else IPv6Address("fe80::2"),
        addresses=advertisement.addresses,
        advertisement_interval_us=advertisement.max_advertise_interval_us,
        auth_type=advertisement.auth_type,
        auth_data=advertisement.auth_data,
    )


@relaxed
@given(octets, headers)
def test_any_octets_are_an_advertisement_or_a_packet_error(payload: bytes, header: IpHeader) -> None:
    """RX-FUZZ-01; and what comes out is legal: its constructor, which decode leaves out, agrees."""
    try:
        advertisement = decode(payload, header)
    except PacketError:
        return
    assert replace(advertisement) == advertisement
    assert advertisement.family is header.family


@relaxed
@given(octets, headers, sendable)
def test_any_octets_are_received_or_dropped(
    payload: bytes, header: IpHeader, other: tuple[Advertisement, IpHeader]
) -> None:
    """RX-FUZZ-01; a drop is attributed exactly where the second octet names a virtual router."""
    advertisement, _ = other
    assume(advertisement.family is header.family)
    try:
        received = receive(payload, header, {advertisement.vrid: receiver_for(advertisement)})
    except PacketError as caught:
        error = caught
    else:
        assert received.advertisement == decode(payload, header)
        return
    assert error.detail
    assert error.vrid == (advertisement.vrid if payload[1:2] == bytes((advertisement.vrid,)) else None)


@relaxed
@given(st.binary(max_size=120))
def test_any_octets_strip_or_are_malformed(packet: bytes) -> None:
    """RX-FUZZ-01."""
    for strip in (strip_ip, strip_ethernet):
        reason = DropReason.MALFORMED_IP
        try:
            strip(packet)
        except PacketError as error:
            reason = error.reason
        assert reason is DropReason.MALFORMED_IP


@relaxed
@given(headers, st.binary(max_size=64), st.binary(max_size=18))
def test_what_is_built_strips(header: IpHeader, payload: bytes, padding: bytes) -> None:
    """RX-PAD-01."""
    assert strip_ip(build_ip(header, payload) + padding) == (header, payload)


@relaxed
@given(sendable, st.booleans())
def test_decode_undoes_encode(sent: tuple[Advertisement, IpHeader], pseudo_header: bool) -> None:
    """V2-PKT-01, V3-PKT-01, TX-02."""
    advertisement, header = sent
    payload = encode(advertisement, header, pseudo_header=pseudo_header)
    assert decode(payload, header) == advertisement
    form = verify(advertisement.version, payload, header.source, header.destination)
    if advertisement.version == 2 or (header.family is Family.V4 and not pseudo_header):
        assert form in {ChecksumForm.MESSAGE, ChecksumForm.BOTH}
    else:
        assert form in {ChecksumForm.PSEUDO, ChecksumForm.BOTH}


@relaxed
@given(sendable)
def test_encode_undoes_decode(sent: tuple[Advertisement, IpHeader]) -> None:
    """The wire has one canonical form for each advertisement and checksum form."""
    advertisement, header = sent
    payload = encode(advertisement, header)
    assert encode(decode(payload, header), header) == payload


@relaxed
@given(sendable)
def test_receive_accepts_what_a_peer_in_agreement_sends(sent: tuple[Advertisement, IpHeader]) -> None:
    advertisement, _ = sent
    receiver = replace(receiver_for(advertisement), check_first_link_local=False)
    source = IPv4Address("192.0.2.1") if receiver.family is Family.V4 else IPv6Address("fe80::1")
    header = IpHeader(source, receiver.family.group)
    received = receive(encode(advertisement, header), header, {receiver.vrid: receiver})
    assert received.advertisement == advertisement
    assert received.warnings == ()


@relaxed
@given(sendable, st.data())
def test_every_strict_prefix_is_refused(sent: tuple[Advertisement, IpHeader], data: st.DataObject) -> None:
    """V2-RX-04, V3-RX-05."""
    advertisement, header = sent
    payload = encode(advertisement, header)
    length = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(PacketError) as caught:
        decode(payload[:length], header)
    assert caught.value.reason in {DropReason.TRUNCATED, DropReason.COUNT_LENGTH_MISMATCH}


@relaxed
@given(sendable, st.binary(min_size=1, max_size=40))
def test_every_longer_message_is_refused(sent: tuple[Advertisement, IpHeader], more: bytes) -> None:
    """RX-TRAIL-01."""
    advertisement, header = sent
    with pytest.raises(PacketError) as caught:
        decode(encode(advertisement, header) + more, header)
    assert caught.value.reason in {DropReason.TRAILING_BYTES, DropReason.COUNT_LENGTH_MISMATCH}


@relaxed
@given(sendable, st.booleans(), st.data())
def test_a_flipped_bit_never_goes_unseen(
    sent: tuple[Advertisement, IpHeader], pseudo_header: bool, data: st.DataObject
) -> None:
    """
    V2-RX-05, V3-RX-06: RFC 1071 sees every single flipped bit.

    What is left is the price of taking both forms in IPv4 VRRPv3 (D1): the damaged message may hold in the other one.
    """
    advertisement, header = sent
    payload = bytearray(encode(advertisement, header, pseudo_header=pseudo_header))
    before = verify(advertisement.version, bytes(payload), header.source, header.destination)
    bit = data.draw(st.integers(0, len(payload) * 8 - 1))
    payload[bit // 8] ^= 1 << bit % 8
    try:
        decode(bytes(payload), header)
    except PacketError:
        return
    after = verify(payload[0] >> 4, bytes(payload), header.source, header.destination)
    assert before is not ChecksumForm.BOTH
    assert after is not before


@relaxed
@given(st.binary(max_size=64), st.binary(max_size=64))
def test_sums_of_even_parts_add_up(first: bytes, second: bytes) -> None:
    """RFC 1071 2(B): why a pseudo-header may be added as a number."""
    even = first[: len(first) & ~1]
    assert word_sum(even + second) == (word_sum(even) + word_sum(second)) % 0xFFFF
