"""
The filter of `offload.py` as a program: which advertisement it swallows, what it counts, what it drops and passes.

It has a table in common with the process, with a slot for each VRID.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pyvrrp.net.ebpf.assembler import (
    ADD,
    AND,
    CONTEXT,
    CURSOR,
    EQUAL,
    GREATER,
    LEFT,
    LESS,
    MODULO,
    MOVE,
    NOT_EQUAL,
    NOT_GREATER,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    SHIFT_LEFT,
    SLOT,
    STACK,
    SUBTRACT,
    Assembler,
    Helper,
)
from pyvrrp.protocol.constants import IP_PROTOCOL, VRID_MAX, Family

# linux/bpf.h
_HDR_START_NET: Final = 1
_SKB_LENGTH: Final = 0  # in struct __sk_buff

# A slot, in octets from its beginning; the slot of VRID 0, which is nobody's, also counts what has no VRID at all.
SEEN: Final = 0  # nanoseconds of the last match
HITS: Final = 8
WRONG_TTL: Final = 16
FOREIGN: Final = 24
SHORT: Final = 32
OURS: Final = 40
SHARE: Final = 48  # one in so many of what is not for us passes
LENGTH: Final = 56  # four octets, of the armed message; 0 is disarmed
_TTL: Final = 60  # four octets, of the armed message
ADDRESSES: Final = 64  # source and destination: twice 4 or 16 octets
MESSAGE: Final = 96  # zeros up to a multiple of CHUNK

SLOTS: Final = VRID_MAX + 1
WORD: Final = 8
CHUNK: Final = 64  # octets compared at once: what a stack of 512 octets bears easily


class _Form(NamedTuple):
    """
    An IP header as the filter sees it.

    Attributes:
        length: Its octets; they end with the addresses.
        included: How many of them are part of the packet that the socket is handed.
        ttl_at: Where the TTL is.
        addresses_at: Where source and destination are.
        plain_at, plain: Which octet tells that the message follows at once, and by what value.
    """

    length: int
    included: int
    ttl_at: int
    addresses_at: int
    plain_at: int
    plain: int


_FORMS: Final = {Family.V4: _Form(20, 20, 8, 12, 0, 0x45), Family.V6: _Form(40, 0, 7, 8, 6, IP_PROTOCOL)}


def build_program(table: int, family: Family, capacity: int, ttl: int | None) -> bytes:
    """
    Assemble the filter; it is as long for a long message as for a short one, for a socket bears only so much.

    Args:
        table: Descriptor of the map.
        family: IPv4 or IPv6.
        capacity: Octets of a message that a slot holds, a multiple of 64.
        ttl: What has another TTL is not for us; None where any will do.
    """
    form = _FORMS[family]
    # On the stack: first the IP header, laid so that its addresses are aligned as the verifier demands; then in its
    # place the chunk under comparison; below both the VRID, which is the key of the map.
    chunk = -CHUNK
    header = chunk + -form.addresses_at % WORD
    key = chunk - WORD
    asm = Assembler()
    asm.do(MOVE, CONTEXT, R1)

    # The packet begins with its IPv4 header, but after its IPv6 header, which is reached from the network layer. The
    # helper that does so sees no further than a packet's first piece, but there all IP headers are.
    asm.do(MOVE, R5, _HDR_START_NET)
    helper = Helper.SKB_LOAD_BYTES if family is Family.V4 else Helper.SKB_LOAD_BYTES_RELATIVE
    _copy(asm, 0, header, form.length, helper)
    asm.jump(NOT_EQUAL, R0, 0, "pass")
    asm.store(4, STACK, key, 0)
    if family is Family.V4:
        asm.load(1, R2, STACK, header)
        asm.do(AND, R2, 0x0F)
        asm.do(SHIFT_LEFT, R2, 2)
        asm.do(ADD, R2, 1)
        _copy(asm, None, key, 1)
    else:
        _copy(asm, 1, key, 1)
    asm.do(MOVE, LEFT, R0)  # not 0: the packet ends before its VRID
    asm.load_map(R1, table)
    asm.do(MOVE, R2, STACK)
    asm.do(ADD, R2, key)
    asm.call(Helper.MAP_LOOKUP_ELEM)
    asm.jump(EQUAL, R0, 0, "pass")
    asm.do(MOVE, SLOT, R0)

    # In the order of the receive checks.
    if ttl is not None:
        asm.load(1, R1, STACK, header + form.ttl_at)
        asm.jump(NOT_EQUAL, R1, ttl, "wrong TTL")
    asm.jump(NOT_EQUAL, LEFT, 0, "short")
    asm.load(8, R1, SLOT, OURS)
    asm.jump(EQUAL, R1, 0, "foreign")

    _compare_headers(asm, form, header, capacity)
    _compare_message(asm, chunk)
    asm.call(Helper.KTIME_GET_NS)
    asm.store(8, SLOT, SEEN, R0)
    asm.count(SLOT, HITS)
    asm.leave(0)

    _count_dropped(asm)
    asm.label("pass")
    asm.leave(-1)
    return asm.assemble()


def _copy(asm: Assembler, at: int | None, to: int, octets: int | None, helper: Helper = Helper.SKB_LOAD_BYTES) -> None:
    """Copy octets of the packet to the stack; R0 is 0 if they are there. None means what R2 or R4 say already."""
    asm.do(MOVE, R1, CONTEXT)
    if at is not None:
        asm.do(MOVE, R2, at)
    asm.do(MOVE, R3, STACK)
    asm.do(ADD, R3, to)
    if octets is not None:
        asm.do(MOVE, R4, octets)
    asm.call(helper)


def _compare_headers(asm: Assembler, form: _Form, header: int, capacity: int) -> None:
    """Go on if the slot is armed and all but the message is equal; leave the length of the message in LEFT."""
    # Bounds as inequalities: before Linux 6.8 the verifier learns nothing from "not 0".
    asm.load(4, LEFT, SLOT, LENGTH)
    asm.jump(LESS, LEFT, 1, "pass")
    asm.jump(GREATER, LEFT, capacity, "pass")
    asm.load(4, R1, CONTEXT, _SKB_LENGTH)
    asm.do(SUBTRACT, R1, form.included)
    asm.jump(NOT_EQUAL, R1, LEFT, "pass")
    asm.load(1, R1, STACK, header + form.plain_at)
    asm.jump(NOT_EQUAL, R1, form.plain, "pass")
    asm.load(1, R1, STACK, header + form.ttl_at)
    asm.load(4, R2, SLOT, _TTL)
    asm.jump(NOT_EQUAL, R1, R2, "pass")
    for at in range(0, form.length - form.addresses_at, WORD):
        asm.load(8, R1, STACK, header + form.addresses_at + at)
        asm.load(8, R2, SLOT, ADDRESSES + at)
        asm.jump(NOT_EQUAL, R1, R2, "pass")


def _compare_message(asm: Assembler, chunk: int) -> None:
    """Go on if the message is equal; LEFT counts down the octets still to compare, CURSOR moves along the slot."""
    asm.do(MOVE, CURSOR, SLOT)
    asm.label("next chunk")
    for at in range(0, CHUNK, WORD):
        asm.store(8, STACK, chunk + at, 0)
    asm.load(4, R2, CONTEXT, _SKB_LENGTH)
    asm.do(SUBTRACT, R2, LEFT)  # the packet ends where the message does
    asm.do(MOVE, R4, CHUNK)
    asm.jump(GREATER, LEFT, CHUNK, "full chunk")
    asm.do(MOVE, R4, LEFT)
    asm.label("full chunk")
    _copy(asm, None, chunk, None)
    asm.jump(NOT_EQUAL, R0, 0, "pass")
    for at in range(0, CHUNK, WORD):
        asm.load(8, R1, STACK, chunk + at)
        asm.load(8, R2, CURSOR, MESSAGE + at)
        asm.jump(NOT_EQUAL, R1, R2, "pass")
    asm.jump(NOT_GREATER, LEFT, CHUNK, "equal")
    asm.do(SUBTRACT, LEFT, CHUNK)
    asm.do(ADD, CURSOR, CHUNK)
    asm.go("next chunk")
    asm.label("equal")


def _count_dropped(asm: Assembler) -> None:
    """What is not for us: let a share pass, count the others and drop them."""
    for name, counter in (("wrong TTL", WRONG_TTL), ("short", SHORT), ("foreign", FOREIGN)):
        if name in asm.wanted:
            asm.label(name)
            asm.load(8, LEFT, SLOT, SHARE)
            asm.do(ADD, SLOT, counter)  # a constant: the verifier trusts no sum of two registers
            asm.go("not for us")
    asm.label("not for us")
    asm.jump(EQUAL, LEFT, 0, "drop")
    asm.call(Helper.GET_PRANDOM_U32)
    asm.do(MODULO, R0, LEFT)
    asm.jump(EQUAL, R0, 0, "pass")
    asm.label("drop")
    asm.count(SLOT, 0)
    asm.leave(0)
