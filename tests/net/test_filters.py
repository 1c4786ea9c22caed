"""
Classic BPF on the sockets: judged by an interpreter that forgives nothing, and by the kernel.

The interpreter refuses what the kernel would turn into a silent drop: a load beyond the end of the packet.
"""

from __future__ import annotations

import errno
import itertools
import random
import socket
import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import cast

import pytest

from pyvrrp.errors import KernelError, UsageError
from pyvrrp.net import filters
from pyvrrp.net.filters import Expected, Split, advertisement_filter, attach, attach_split, detach, split_filters
from pyvrrp.protocol.constants import Family
from tests.net.crafted import VRID, Wire, header, message, packet, payloads, sender
from tests.net.reading import take
from tests.netns import Network

BOTH = pytest.mark.parametrize("family", [Family.V4, Family.V6])

VRID_SETS: dict[str, Collection[int]] = {
    "none": (),
    "one": (62,),
    "lowest and highest": (1, 255),
    "all": range(1, 256),
    "all but one": set(range(1, 256)) - {128},
    "odd, 128 runs": range(1, 256, 2),
    "even, 127 runs": range(2, 256, 2),
    "runs and singles": {1, 2, 3, 7, *range(100, 121), 200, 254, 255},
    "every third": range(3, 256, 3),
}


def interpret(program: bytes, octets: bytes, *, drawn: int = 1) -> int:
    """
    Run a classic program on an IP packet as a raw socket's filter sees it.

    Args:
        program: An array of struct sock_filter.
        octets: The IP packet; IPv6 is seen from behind the header, which stays within reach.
        drawn: What the random number is.

    Returns:
        How many octets pass.
    """
    data = octets if octets[0] >> 4 == 4 else octets[40 if octets[6] == 112 else 40 + 8 * (octets[41] + 1) :]
    code: list[tuple[int, int, int, int]] = list(struct.iter_unpack("=HBBI", program))
    assert 0 < len(code) <= 4096
    a = x = 0
    memory: dict[int, int] = {}

    def load(at: int, size: int) -> int:
        if at >= 0xFFFFF000:
            assert at == 0xFFFFF000 + 56
            return drawn
        source, at = (octets, at - 0xFFF00000) if at >= 0xFFF00000 else (data, at)
        if at + size > len(source):
            raise IndexError("a load beyond the end of the packet")
        return int.from_bytes(source[at : at + size], "big")

    at = 0
    while True:
        operation, then, otherwise, k = code[at]
        at += 1
        match operation:
            case 0x20 | 0x30:
                a = load(k, 4 if operation == 0x20 else 1)
            case 0x48 | 0x50:
                a = load(x + k, 2 if operation == 0x48 else 1)
            case 0x80:
                a = len(data)
            case 0x60:
                a = memory[k]
            case 0x02:
                assert k < 16
                memory[k] = a
            case 0x01:
                x = k
            case 0xB1:
                x = 4 * (load(k, 1) & 15)
            case 0x04 | 0x14:
                a = (a + k if operation == 0x04 else a - k) % 2**32
            case 0x94:
                a %= k
            case 0x07:
                x = a
            case 0x87:
                a = x
            case 0x05:
                at += k
            case 0x15 | 0x25 | 0x35 | 0x2D:
                true = {0x15: a == k, 0x25: a > k, 0x35: a >= k, 0x2D: a > x}[operation]
                at += then if true else otherwise
            case 0x06:
                assert k in {0, 0xFFFFFFFF}
                return k
            case _:
                raise AssertionError(f"instruction {operation:#x}")


def passes(program: bytes, octets: bytes, drawn: int = 1) -> bool:
    return interpret(program, octets, drawn=drawn) != 0


def octets_of(family: Family, vrid: int, *, priority: int = 100, number: int = 1, ttl: int = 255) -> bytes:
    """A packet with any VRID, legal or not."""
    body = bytearray(message(family, priority=priority))
    body[1] = vrid
    return packet(bytes(body), header(family, number=number, ttl=ttl))


@BOTH
@pytest.mark.parametrize("vrids", VRID_SETS.values(), ids=VRID_SETS)
def test_ours_pass_and_no_others(family: Family, vrids: Collection[int]) -> None:
    program = advertisement_filter(family, vrids, 0)
    assert [vrid for vrid in range(256) if passes(program, octets_of(family, vrid))] == sorted(vrids)


@BOTH
def test_many_small_sets_of_vrids(family: Family) -> None:
    chance = random.Random(1)
    for _ in range(40):
        vrids = chance.sample(range(1, 256), chance.randrange(1, 60))
        program = advertisement_filter(family, vrids, 0)
        assert [vrid for vrid in range(256) if passes(program, octets_of(family, vrid))] == sorted(vrids)


@BOTH
def test_a_run_is_two_comparisons_and_a_single_vrid_is_one(family: Family) -> None:
    sizes = [len(advertisement_filter(family, vrids, 0)) // 8 for vrids in ([62], range(10, 200), range(1, 256, 2))]
    assert sizes[1] == sizes[0] + 1
    assert sizes[2] < sizes[0] + 3 * 128


@BOTH
def test_ttl(family: Family) -> None:
    strict, any_ttl = advertisement_filter(family, [VRID], 0), advertisement_filter(family, [VRID], 0, ttl=None)
    packets = [octets_of(family, VRID, ttl=ttl) for ttl in range(256)]
    assert [ttl for ttl, octets in enumerate(packets) if passes(strict, octets)] == [255]
    assert all(passes(any_ttl, octets) for octets in packets)
    assert not passes(any_ttl, octets_of(family, VRID + 1))


@BOTH
def test_a_share_of_the_rest_passes(family: Family) -> None:
    rest = [octets_of(family, VRID + 1), octets_of(family, VRID, ttl=254), packet(b"\x31", header(family))]
    program = advertisement_filter(family, [VRID], 64)
    for octets in rest:
        assert [drawn for drawn in range(256) if passes(program, octets, drawn)] == [0, 64, 128, 192]
        assert passes(program, octets, 0xFFFFFFC0)
        assert not passes(advertisement_filter(family, [VRID], 0), octets, 0)
        assert passes(advertisement_filter(family, [VRID], 1), octets)
    assert passes(program, octets_of(family, VRID))


@BOTH
@pytest.mark.parametrize("octets", [0, 1])
def test_what_is_too_short_to_name_a_vrid_belongs_to_the_rest(family: Family, octets: int) -> None:
    short = packet(message(family)[:octets], header(family))
    for vrids in ([VRID], range(1, 256)):
        assert not passes(advertisement_filter(family, vrids, 0), short)
        assert passes(advertisement_filter(family, vrids, 1), short)


@BOTH
@pytest.mark.parametrize("octets", range(2, 12))
def test_a_truncated_message_of_ours_passes(family: Family, octets: int) -> None:
    assert passes(advertisement_filter(family, [VRID], 0), packet(message(family)[:octets], header(family)))


@pytest.mark.parametrize("words", range(11))
def test_ipv4_options_are_stepped_over(words: int) -> None:
    program = advertisement_filter(Family.V4, [VRID], 0)
    options = bytes([1]) * 4 * words  # No Operation; were they read as a message, its VRID would be 1
    assert passes(program, packet(message(Family.V4), header(Family.V4), options=options))
    assert not passes(program, packet(message(Family.V4, 1), header(Family.V4), options=options))
    assert not passes(program, packet(b"\x31", header(Family.V4), options=options))


def test_ipv6_extension_headers_are_no_part_of_what_the_socket_sees() -> None:
    program = advertisement_filter(Family.V6, [VRID], 0)
    padding = bytes.fromhex("00 0104 00000000")
    assert passes(program, packet(message(Family.V6), header(Family.V6), options=padding))
    assert not passes(program, packet(message(Family.V6, 1), header(Family.V6), options=padding))
    assert not passes(program, packet(message(Family.V6), header(Family.V6, ttl=254), options=padding))


@pytest.mark.parametrize("vrids", [[0], [256], [-1]])
def test_vrids_that_cannot_be(vrids: list[int]) -> None:
    with pytest.raises(UsageError, match="VRID"):
        advertisement_filter(Family.V4, vrids)


@pytest.mark.parametrize("sample", [-1, 1 << 31])
def test_shares_that_cannot_be(sample: int) -> None:
    with pytest.raises(UsageError, match="no share"):
        advertisement_filter(Family.V4, [1], sample)


EXPECTATIONS: dict[str, Mapping[int, tuple[int, int]]] = {
    # VRID: number of the source, priority
    "nothing": {},
    "one": {62: (1, 100)},
    "one master, one priority": dict.fromkeys(range(1, 256), (1, 100)),
    "two masters": {vrid: (1 + vrid % 2, 200 - vrid % 2) for vrid in range(1, 200)},
    "all differ": {vrid: (vrid % 250 + 1, vrid) for vrid in range(1, 256)},
}


def split_of(family: Family, expected: Mapping[int, tuple[int, int]], sample: int = 0) -> tuple[Split, list[int]]:
    vrids = sorted({1, 7, 62, 254, 255, *expected})
    wanted = {vrid: Expected(sender(family, number), priority) for vrid, (number, priority) in expected.items()}
    return split_filters(family, vrids, wanted, sample), vrids


@BOTH
@pytest.mark.parametrize("expected", EXPECTATIONS.values(), ids=EXPECTATIONS)
def test_ours_pass_exactly_one_of_two(family: Family, expected: Mapping[int, tuple[int, int]]) -> None:
    split, vrids = split_of(family, expected)
    whole = advertisement_filter(family, vrids, 0)
    for vrid in range(256):
        number, priority = expected.get(vrid, (1, 100))
        for other_number, other_priority in itertools.product((number, number % 250 + 1), (priority, 0, 255)):
            octets = octets_of(family, vrid, priority=other_priority, number=other_number)
            urgent, rest = passes(split.urgent, octets), passes(split.rest, octets)
            assert (urgent or rest) == passes(whole, octets) == passes(split.widened, octets)
            assert rest == (expected.get(vrid) == (other_number, other_priority))
            assert not (urgent and rest)


@BOTH
def test_what_is_not_for_us_is_never_urgent(family: Family) -> None:
    split, _ = split_of(family, EXPECTATIONS["one"], 64)
    for octets in (octets_of(family, 63), octets_of(family, 62, ttl=254), packet(b"", header(family))):
        assert not any(passes(split.urgent, octets, drawn) for drawn in range(64))
        assert [drawn for drawn in range(64) if passes(split.rest, octets, drawn)] == [0]


@BOTH
def test_without_a_priority_octet_it_is_urgent(family: Family) -> None:
    split, _ = split_of(family, EXPECTATIONS["one"])
    octets = packet(message(family)[:2], header(family))
    assert passes(split.urgent, octets)
    assert not passes(split.rest, octets)


def test_every_word_of_an_ipv6_source_counts() -> None:
    family, source = Family.V6, IPv6Address("fe80::1:2:3:4")
    rest = split_filters(family, [VRID], {VRID: Expected(source, 100)}, 0).rest
    for bit in range(128):
        other = IPv6Address(int(source) ^ 1 << bit)
        assert not passes(rest, packet(message(family), type(header(family))(other, family.group)))
    assert passes(rest, packet(message(family), type(header(family))(source, family.group)))


@pytest.mark.parametrize(
    ("expected", "complaint"),
    [
        ({63: Expected(IPv4Address("192.0.2.1"), 100)}, "VRID 63 is not among ours"),
        ({62: Expected(ip_address("fe80::1"), 100)}, "fe80::1 is not of IPv4"),
        ({62: Expected(IPv4Address("192.0.2.1"), 256)}, "priority 256"),
    ],
)
def test_what_cannot_be_expected(expected: dict[int, Expected], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        split_filters(Family.V4, [62], expected)


def test_a_jump_goes_as_far_as_it_must() -> None:
    """The octet of a conditional jump holds 255; one more needs a long jump, on either side and through both."""
    accept, refuse = filters._ACCEPT, filters._REFUSE
    for distance in (254, 255, 256, 257, 600):
        for forward in (True, False):
            asm = filters._Assembler(2)
            near, far = asm.exits
            asm.jump(0x15, 0, **{"then" if forward else "otherwise": far})
            for _ in range(distance - 1):
                asm.do(0x04, 1)
            asm.go(near)
            program = asm.assemble() + refuse + accept
            assert len(program) // 8 == distance + 3 + 2 * (distance + 1 > 255)
            assert passes(program, bytes([0x40])) == forward


def test_while_a_split_is_replaced_the_urgent_socket_hears_all_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """In any other order something may be expected by the one and not yet by the other, and be lost."""
    steps: list[tuple[str, bytes]] = []
    monkeypatch.setattr(filters, "attach", lambda sock, program: steps.append((sock, program)))
    split = Split(b"urgent", b"rest", b"widened")
    attach_split(cast("socket.socket", "first"), cast("socket.socket", "second"), split)
    assert steps == [("first", b"widened"), ("second", b"rest"), ("first", b"urgent")]


# Against the kernel


@pytest.fixture(params=[Family.V4, Family.V6], ids=["v4", "v6"])
def wire(request: pytest.FixtureRequest, network: Network) -> Iterator[Wire]:
    with Wire(network, request.param) as made:
        yield made


@pytest.mark.root
def test_the_kernel_agrees(wire: Wire) -> None:
    family = wire.family
    attach(wire.raw, advertisement_filter(family, range(2, 256, 2), 0))
    wire.send(*[octets_of(family, vrid) for vrid in range(256)])
    assert [payload[1] for payload in payloads(wire.heard())] == list(range(2, 256, 2))
    wire.send(*[octets_of(family, VRID, ttl=ttl) for ttl in (0, 1, 64, 254, 255)])
    assert [datagram.header.ttl for datagram in wire.heard()] == [255]


@pytest.mark.root
def test_faults_of_ours_pass(wire: Wire) -> None:
    """A wrong checksum above all: for IPv6 the kernel may look at it itself once a socket has a filter."""
    family = wire.family
    attach(wire.raw, advertisement_filter(family, [VRID], 0))
    good = message(family)
    faults = [
        good[:6] + bytes([good[6] ^ 1]) + good[7:],  # checksum
        b"\x71" + good[1:],  # version
        good[:2],
        good + b"x",
    ]
    wire.send(*[packet(fault, header(family)) for fault in faults])
    assert payloads(wire.heard()) == faults


@pytest.mark.root
def test_what_is_too_short_is_dropped_or_passes_whole(wire: Wire) -> None:
    short = [packet(message(wire.family)[:octets], header(wire.family)) for octets in (1, 0)]
    attach(wire.raw, advertisement_filter(wire.family, [VRID], 0))
    wire.send(*short)
    assert wire.heard() == []
    attach(wire.raw, advertisement_filter(wire.family, [VRID], 1))
    wire.send(*short)
    assert payloads(wire.heard()) == [b"\x31", b""]


@pytest.mark.root
def test_options_and_extension_headers(wire: Wire) -> None:
    family = wire.family
    options = bytes.fromhex("01010101" if family is Family.V4 else "00 0104 00000000")
    attach(wire.raw, advertisement_filter(family, [VRID], 0))
    wire.send(*[packet(message(family, vrid), header(family), options=options) for vrid in (1, VRID, 63)])
    assert payloads(wire.heard()) == [message(family)]


@pytest.mark.root
def test_a_program_is_replaced_and_taken_off(wire: Wire) -> None:
    family = wire.family
    packets = [octets_of(family, vrid) for vrid in (62, 63)]

    def heard() -> list[int]:
        wire.send(*packets)
        return [payload[1] for payload in payloads(wire.heard())]

    attach(wire.raw, advertisement_filter(family, [62], 0))
    assert heard() == [62]
    attach(wire.raw, advertisement_filter(family, [62, 63], 0))
    assert heard() == [62, 63]
    attach(wire.raw, advertisement_filter(family, [62], 0))
    detach(wire.raw)
    detach(wire.raw)
    assert heard() == [62, 63]


@pytest.mark.root
def test_the_share_is_about_what_was_asked_for(wire: Wire) -> None:
    """2,000 draws of one in four: 500 of them, and with a standard deviation of 19 it is never 150 off."""
    attach(wire.raw, advertisement_filter(wire.family, [VRID], 4))
    found = 0
    for _ in range(4):
        wire.send(*[octets_of(wire.family, VRID + 1)] * 500)
        found += len(wire.heard())
    assert 350 < found < 650


@pytest.mark.root
def test_two_sockets_share_what_one_would_hear(wire: Wire) -> None:
    family, wanted = wire.family, {62: Expected(sender(wire.family, 1), 100), 63: Expected(sender(wire.family, 2), 50)}
    urgent, rest = wire.sock, wire.open()
    attach_split(urgent._socket, rest._socket, split_filters(family, [62, 63, 64], wanted, 0))
    as_expected = [octets_of(family, 62), octets_of(family, 63, number=2, priority=50)]
    differing = [
        octets_of(family, 62, priority=0),
        octets_of(family, 62, priority=101),
        octets_of(family, 62, number=2),
        octets_of(family, 63, priority=50),
        octets_of(family, 64),
    ]
    wire.send(*as_expected, octets_of(family, 65), *differing, octets_of(family, 62, ttl=254))
    found = wire.heard(urgent)  # its marker is not as expected, so it is not among the rest
    assert len(found) == len(differing)
    assert [take(rest) is not None for _ in range(3)] == [True, True, False]

    attach_split(urgent._socket, rest._socket, split_filters(family, [62, 63, 64], {}, 0))
    wire.send(*as_expected, *differing)
    assert len(wire.heard(urgent)) == len(as_expected) + len(differing)
    assert take(rest) is None


@pytest.mark.root
def test_the_kernel_takes_the_largest_programs(wire: Wire) -> None:
    """Another source and priority for each of 255 routers; replacing counts both programs against the limit."""
    family = wire.family
    wanted = {vrid: Expected(sender(family, vrid % 250 + 1), vrid) for vrid in range(1, 256)}
    split = split_filters(family, range(1, 256), wanted)
    with closing(wire.open()) as rest:
        for _ in range(2):
            attach_split(wire.raw, rest._socket, split)
        octets = octets_of(family, 255, priority=255, number=255 % 250 + 1)
        wire.send(octets)
        assert wire.heard() == []
        assert take(rest) is not None


@pytest.mark.root
def test_refusals(wire: Wire) -> None:
    with pytest.raises(KernelError, match="cannot attach packet filter: Invalid argument") as caught:
        attach(wire.raw, struct.pack("=HBBI", 0x04, 0, 0, 1))  # it never returns
    assert caught.value.errno == errno.EINVAL
    wire.sock.close()
    with pytest.raises(KernelError, match="EBADF"):
        attach(wire.raw, advertisement_filter(wire.family, [VRID]))
    detach(wire.raw)
