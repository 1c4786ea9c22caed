"""Netlink framing: octets worked by hand, and any octets at all."""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvrrp.errors import KernelError
from pyvrrp.net.netlink import wire
from pyvrrp.net.netlink.wire import Answer, Message, Request

T = TypeVar("T")

little_endian = pytest.mark.skipif(
    sys.byteorder != "little", reason="netlink is in host order, the octets here are not"
)


@little_endian
def test_a_message_is_its_header_and_payload() -> None:
    octets = wire.pack_message(Request(20, 0x600, b"\x02\x18\x00\x00"), 7, wire.NLM_F_ACK)
    #                     length    type  flags sequence port     payload
    assert octets.hex() == "1400000014000506070000000000000002180000"
    assert wire.parse_messages(octets) == [Message(20, 0x605, 7, b"\x02\x18\x00\x00")]


@little_endian
@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (b"", "04000300"),
        (b"a", "0500030061000000"),
        (b"ab", "0600030061620000"),
        (b"abc", "0700030061626300"),
        (b"abcd", "0800030061626364"),
    ],
)
def test_an_attribute_is_padded_but_its_length_is_not(value: bytes, octets: str) -> None:
    assert wire.pack_attribute(3, value).hex() == octets
    assert wire.parse_attributes(bytes.fromhex(octets)) == {3: value}


def test_several_messages_in_one_datagram_keep_their_order() -> None:
    octets = b"".join(wire.pack_message(Request(16, 0, bytes(4 * n)), n) for n in (1, 2, 3))
    assert [message.sequence for message in wire.parse_messages(octets)] == [1, 2, 3]


def test_flags_in_an_attribute_type_are_masked() -> None:
    assert wire.parse_attributes(wire.pack_attribute(26 | wire.NLA_F_NESTED, b"abcd")) == {26: b"abcd"}


def test_the_last_of_two_equal_attributes_counts() -> None:
    assert wire.parse_attributes(wire.pack_attribute(1, b"old.") + wire.pack_attribute(1, b"new.")) == {1: b"new."}


@pytest.mark.parametrize("length", [0, 15, 17, 0xFFFFFFFF])
def test_a_message_of_impossible_length_is_refused(length: int) -> None:
    with pytest.raises(KernelError) as caught:
        wire.parse_messages(struct.pack("=IHHII", length, 16, 0, 1, 0))
    assert caught.value.errno == errno.EBADMSG


@pytest.mark.parametrize("length", [0, 3, 9, 0xFFFF])
def test_an_attribute_of_impossible_length_is_refused(length: int) -> None:
    with pytest.raises(KernelError) as caught:
        wire.parse_attributes(struct.pack("=HHI", length, 1, 0))
    assert caught.value.errno == errno.EBADMSG


def test_octets_after_the_last_message_are_refused() -> None:
    with pytest.raises(KernelError, match="2 octets after the last message"):
        wire.parse_messages(wire.pack_message(Request(16, 0, b""), 1) + b"\0\0")


REQUEST_HEADER = struct.pack("=IHHII", 24, 20, 5, 9, 0)
TEXT = wire.pack_attribute(1, b"Nexthop has invalid gateway\0")


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (Message(wire.NLMSG_ERROR, 0, 9, struct.pack("=i", 0) + REQUEST_HEADER), Answer(0, "")),
        (Message(wire.NLMSG_ERROR, 0, 9, struct.pack("=i", -17) + REQUEST_HEADER + bytes(8)), Answer(17, "")),
        (
            # The whole request comes back before the attributes, unless it is capped.
            Message(
                wire.NLMSG_ERROR, wire.NLM_F_ACK_TLVS, 9, struct.pack("=i", -22) + REQUEST_HEADER + bytes(8) + TEXT
            ),
            Answer(22, "Nexthop has invalid gateway"),
        ),
        (
            Message(
                wire.NLMSG_ERROR,
                wire.NLM_F_ACK_TLVS | wire.NLM_F_CAPPED,
                9,
                struct.pack("=i", -22) + REQUEST_HEADER + TEXT,
            ),
            Answer(22, "Nexthop has invalid gateway"),
        ),
        (Message(wire.NLMSG_DONE, 0, 9, struct.pack("=i", 0)), Answer(0, "")),
        (
            Message(wire.NLMSG_DONE, wire.NLM_F_ACK_TLVS, 9, struct.pack("=i", -19) + TEXT[:]),
            Answer(19, TEXT[4:-1].decode()),
        ),
        (Message(wire.NLMSG_DONE, 0, 9, b""), Answer(0, "")),
    ],
)
def test_answers(message: Message, answer: Answer) -> None:
    assert wire.parse_answer(message) == answer


@pytest.mark.parametrize("payload", [b"", b"\0\0\0", struct.pack("=i", 1)])
def test_an_impossible_answer_is_refused(payload: bytes) -> None:
    with pytest.raises(KernelError):
        wire.parse_answer(Message(wire.NLMSG_ERROR, 0, 1, payload))


def unless_malformed(read: Callable[[], T]) -> T | None:
    """What was read, or None for the one error that a parser may end with; any other passes through."""
    try:
        return read()
    except KernelError as error:
        if error.errno != errno.EBADMSG:
            raise
        return None


@given(st.binary(max_size=200))
def test_any_octets_give_messages_or_a_kernel_error(octets: bytes) -> None:
    messages = unless_malformed(lambda: wire.parse_messages(octets))
    if messages is not None:
        assert sum(16 + len(message.payload) for message in messages) <= len(octets)


@given(st.binary(max_size=200), st.integers(0, 210))
def test_any_octets_give_attributes_or_a_kernel_error(octets: bytes, start: int) -> None:
    attributes = unless_malformed(lambda: wire.parse_attributes(octets, start))
    if attributes is not None:
        assert sum(4 + len(value) for value in attributes.values()) <= len(octets)


@given(st.sampled_from([wire.NLMSG_ERROR, wire.NLMSG_DONE]), st.integers(0, 0xFFFF), st.binary(max_size=80))
def test_any_octets_give_an_answer_or_a_kernel_error(kind: int, flags: int, payload: bytes) -> None:
    answer = unless_malformed(lambda: wire.parse_answer(Message(kind, flags, 1, payload)))
    assert answer is None or answer.errno >= 0
