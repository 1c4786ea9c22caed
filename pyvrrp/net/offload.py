"""
An eBPF socket filter that hears, instead of us, the advertisement that changes nothing.

Rules:

* it swallows what equals, octet by octet, the advertisement that a virtual router is armed with, and stores the time;
* it treats everything else as `filters.advertisement_filter` does, but counts exactly what it drops;
* whoever is refused it (`NotPermitted`, `KernelError`) loses speed and nothing else.

Kernel and process share one table with a slot for each VRID. Arming, disarming and asking are plain memory accesses.
The time is the kernel's CLOCK_MONOTONIC, which is that of `time.monotonic_ns`.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import errno
import mmap
import os
import socket
import struct
import sys
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple, TypeAlias

from pyvrrp.errors import DropReason, KernelError, NotPermitted
from pyvrrp.net import rights
from pyvrrp.net.filters import SAMPLE, check_sample, detach
from pyvrrp.protocol.advertisement import check_vrid
from pyvrrp.protocol.constants import IP_PROTOCOL, TTL, VRID_MAX, Family
from pyvrrp.protocol.headers import IpHeader

_SO_ATTACH_BPF: Final = 50  # asm-generic/socket.h
_SYSCALLS: Final = {"x86_64": 321, "aarch64": 280}  # bpf(2)

# linux/bpf.h
_MAP_CREATE: Final = 0
_PROG_LOAD: Final = 5
_MAP_TYPE_ARRAY: Final = 2
_PROG_TYPE_SOCKET_FILTER: Final = 1
_F_MMAPABLE: Final = 1 << 10
_HDR_START_NET: Final = 1
_SKB_LENGTH: Final = 0  # in struct __sk_buff
_MAP_ATTRIBUTES: Final = struct.Struct("=5I8x16s")  # type, key, value, entries, flags; name
_PROG_ATTRIBUTES: Final = struct.Struct("=IIQQIIQ8x16s")  # type, count, code, licence; log level, size, place; name
_INSTRUCTION: Final = struct.Struct("<BBhi")  # code, source and destination, offset, immediate
_LICENCE: Final = b"MIT"  # of the program; since Linux 5.8 none of the helpers it calls asks for the GPL
_LOG_OCTETS: Final = 1 << 20

_REJECTED: Final = frozenset({errno.EINVAL, errno.EACCES})  # by the verifier, or by a kernel that knows it not

# linux/capability.h
_CAP_SYS_ADMIN: Final = 21
_CAP_BPF: Final = 39
_SINCE: Final = "needs Linux 5.8"  # CAP_BPF and the licence; BPF_F_MMAPABLE is of 5.5

# A slot, in octets from its beginning; the slot of VRID 0, which is nobody's, also counts what has no VRID at all.
_SEEN: Final = 0  # nanoseconds of the last match
_HITS: Final = 8
_WRONG_TTL: Final = 16
_FOREIGN: Final = 24
_SHORT: Final = 32
_OURS: Final = 40
_SHARE: Final = 48  # one in so many of what is not for us passes
_LENGTH: Final = 56  # four octets, of the armed message; 0 is disarmed
_TTL: Final = 60  # four octets, of the armed message
_ADDRESSES: Final = 64  # source and destination: twice 4 or 16 octets
_MESSAGE: Final = 96  # zeros up to a multiple of _CHUNK

_SLOTS: Final = VRID_MAX + 1
_WORD: Final = 8
_CHUNK: Final = 64  # octets compared at once: what a stack of 512 octets bears easily
_NS_PER_US: Final = 1000


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


class _Register(enum.IntEnum):
    """R0 is what a call returns, R1 to R5 are its arguments and lost by it, R10 is the end of the stack."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4
    R5 = 5
    R6 = 6
    R7 = 7
    R8 = 8
    R9 = 9
    R10 = 10


class _Helper(enum.IntEnum):
    """Functions of the kernel, linux/bpf.h."""

    MAP_LOOKUP_ELEM = 1
    KTIME_GET_NS = 5
    GET_PRANDOM_U32 = 7
    SKB_LOAD_BYTES = 26
    SKB_LOAD_BYTES_RELATIVE = 68


_R0, _R1, _R2, _R3, _R4, _R5, _CONTEXT, _SLOT, _CURSOR, _LEFT, _STACK = _Register
_Operand: TypeAlias = _Register | int

# linux/bpf_common.h and linux/bpf.h: 64-bit arithmetic, jumps, and sizes of memory accesses
_ADD: Final = 0x07
_SUBTRACT: Final = 0x17
_AND: Final = 0x57
_SHIFT_LEFT: Final = 0x67
_MODULO: Final = 0x97
_MOVE: Final = 0xB7
_EQUAL: Final = 0x15
_NOT_EQUAL: Final = 0x55
_LESS: Final = 0xA5
_GREATER: Final = 0x25
_NOT_GREATER: Final = 0xB5
_BY_REGISTER: Final = 0x08
_GO: Final = 0x05
_CALL: Final = 0x85
_EXIT: Final = 0x95
_LOAD_ADDRESS: Final = 0x18
_MAP_DESCRIPTOR: Final = 1  # BPF_PSEUDO_MAP_FD: what kind of address
_ATOMIC_ADD: Final = 0xDB  # eight octets
_SIZES: Final = {1: 0x10, 4: 0x00, 8: 0x18}
_LOAD: Final = 0x61
_STORE: Final = 0x63
_STORE_VALUE: Final = 0x62


class _Assembler:
    """Instructions of eBPF with labels to jump to."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int, int]] = []
        self._labels: dict[str, int] = {}
        self._jumps: dict[int, str] = {}

    @property
    def wanted(self) -> Collection[str]:
        """Labels that something jumps to."""
        return self._jumps.values()

    def label(self, name: str) -> None:
        """Let *name* mean the next instruction."""
        self._labels[name] = len(self._code)

    def do(self, operation: int, register: _Register, operand: _Operand) -> None:
        self._operate(operation, register, operand)

    def go(self, label: str) -> None:
        self._jumps[len(self._code)] = label
        self._emit(_GO)

    def jump(self, condition: int, register: _Register, operand: _Operand, label: str) -> None:
        self._jumps[len(self._code)] = label
        self._operate(condition, register, operand)

    def load(self, size: int, register: _Register, base: _Register, offset: int) -> None:
        self._emit(_LOAD | _SIZES[size], register, base, offset)

    def store(self, size: int, base: _Register, offset: int, value: _Operand) -> None:
        if isinstance(value, _Register):
            self._emit(_STORE | _SIZES[size], base, value, offset)
        else:
            self._emit(_STORE_VALUE | _SIZES[size], base, 0, offset, value)

    def count(self, base: _Register, offset: int) -> None:
        """Add one to eight octets of memory at once, whatever other cores do; R1 is lost."""
        self.do(_MOVE, _R1, 1)
        self._emit(_ATOMIC_ADD, base, _R1, offset)

    def load_map(self, register: _Register, descriptor: int) -> None:
        self._emit(_LOAD_ADDRESS, register, _MAP_DESCRIPTOR, 0, descriptor)
        self._emit(0)

    def call(self, helper: _Helper) -> None:
        self._emit(_CALL, immediate=helper)

    def leave(self, verdict: int) -> None:
        """End with how many octets of the packet pass; -1 is all."""
        self.do(_MOVE, _R0, verdict)
        self._emit(_EXIT)

    def assemble(self) -> bytes:
        """The program, an array of struct bpf_insn."""
        parts = []
        for at, (code, register, source, offset, immediate) in enumerate(self._code):
            reach = self._labels[self._jumps[at]] - at - 1 if at in self._jumps else offset
            parts.append(_INSTRUCTION.pack(code, source << 4 | register, reach, immediate))
        return b"".join(parts)

    def _operate(self, operation: int, register: _Register, operand: _Operand) -> None:
        if isinstance(operand, _Register):
            self._emit(operation | _BY_REGISTER, register, operand)
        else:
            self._emit(operation, register, immediate=operand)

    def _emit(self, code: int, register: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> None:
        self._code.append((code, register, source, offset, immediate))


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
    chunk = -_CHUNK
    header = chunk + -form.addresses_at % _WORD
    key = chunk - _WORD
    asm = _Assembler()
    asm.do(_MOVE, _CONTEXT, _R1)

    # The packet begins with its IPv4 header, but after its IPv6 header, which is reached from the network layer. The
    # helper that does so sees no further than a packet's first piece, but there all IP headers are.
    asm.do(_MOVE, _R5, _HDR_START_NET)
    helper = _Helper.SKB_LOAD_BYTES if family is Family.V4 else _Helper.SKB_LOAD_BYTES_RELATIVE
    _copy(asm, 0, header, form.length, helper)
    asm.jump(_NOT_EQUAL, _R0, 0, "pass")
    asm.store(4, _STACK, key, 0)
    if family is Family.V4:
        asm.load(1, _R2, _STACK, header)
        asm.do(_AND, _R2, 0x0F)
        asm.do(_SHIFT_LEFT, _R2, 2)
        asm.do(_ADD, _R2, 1)
        _copy(asm, None, key, 1)
    else:
        _copy(asm, 1, key, 1)
    asm.do(_MOVE, _LEFT, _R0)  # not 0: the packet ends before its VRID
    asm.load_map(_R1, table)
    asm.do(_MOVE, _R2, _STACK)
    asm.do(_ADD, _R2, key)
    asm.call(_Helper.MAP_LOOKUP_ELEM)
    asm.jump(_EQUAL, _R0, 0, "pass")
    asm.do(_MOVE, _SLOT, _R0)

    # In the order of the receive checks.
    if ttl is not None:
        asm.load(1, _R1, _STACK, header + form.ttl_at)
        asm.jump(_NOT_EQUAL, _R1, ttl, "wrong TTL")
    asm.jump(_NOT_EQUAL, _LEFT, 0, "short")
    asm.load(8, _R1, _SLOT, _OURS)
    asm.jump(_EQUAL, _R1, 0, "foreign")

    _compare_headers(asm, form, header, capacity)
    _compare_message(asm, chunk)
    asm.call(_Helper.KTIME_GET_NS)
    asm.store(8, _SLOT, _SEEN, _R0)
    asm.count(_SLOT, _HITS)
    asm.leave(0)

    _count_dropped(asm)
    asm.label("pass")
    asm.leave(-1)
    return asm.assemble()


def _copy(
    asm: _Assembler, at: int | None, to: int, octets: int | None, helper: _Helper = _Helper.SKB_LOAD_BYTES
) -> None:
    """Copy octets of the packet to the stack; R0 is 0 if they are there. None means what R2 or R4 say already."""
    asm.do(_MOVE, _R1, _CONTEXT)
    if at is not None:
        asm.do(_MOVE, _R2, at)
    asm.do(_MOVE, _R3, _STACK)
    asm.do(_ADD, _R3, to)
    if octets is not None:
        asm.do(_MOVE, _R4, octets)
    asm.call(helper)


def _compare_headers(asm: _Assembler, form: _Form, header: int, capacity: int) -> None:
    """Go on if the slot is armed and all but the message is equal; leave the length of the message in LEFT."""
    # Bounds as inequalities: before Linux 6.8 the verifier learns nothing from "not 0".
    asm.load(4, _LEFT, _SLOT, _LENGTH)
    asm.jump(_LESS, _LEFT, 1, "pass")
    asm.jump(_GREATER, _LEFT, capacity, "pass")
    asm.load(4, _R1, _CONTEXT, _SKB_LENGTH)
    asm.do(_SUBTRACT, _R1, form.included)
    asm.jump(_NOT_EQUAL, _R1, _LEFT, "pass")
    asm.load(1, _R1, _STACK, header + form.plain_at)
    asm.jump(_NOT_EQUAL, _R1, form.plain, "pass")
    asm.load(1, _R1, _STACK, header + form.ttl_at)
    asm.load(4, _R2, _SLOT, _TTL)
    asm.jump(_NOT_EQUAL, _R1, _R2, "pass")
    for at in range(0, form.length - form.addresses_at, _WORD):
        asm.load(8, _R1, _STACK, header + form.addresses_at + at)
        asm.load(8, _R2, _SLOT, _ADDRESSES + at)
        asm.jump(_NOT_EQUAL, _R1, _R2, "pass")


def _compare_message(asm: _Assembler, chunk: int) -> None:
    """Go on if the message is equal; LEFT counts down the octets still to compare, CURSOR moves along the slot."""
    asm.do(_MOVE, _CURSOR, _SLOT)
    asm.label("next chunk")
    for at in range(0, _CHUNK, _WORD):
        asm.store(8, _STACK, chunk + at, 0)
    asm.load(4, _R2, _CONTEXT, _SKB_LENGTH)
    asm.do(_SUBTRACT, _R2, _LEFT)  # the packet ends where the message does
    asm.do(_MOVE, _R4, _CHUNK)
    asm.jump(_GREATER, _LEFT, _CHUNK, "full chunk")
    asm.do(_MOVE, _R4, _LEFT)
    asm.label("full chunk")
    _copy(asm, None, chunk, None)
    asm.jump(_NOT_EQUAL, _R0, 0, "pass")
    for at in range(0, _CHUNK, _WORD):
        asm.load(8, _R1, _STACK, chunk + at)
        asm.load(8, _R2, _CURSOR, _MESSAGE + at)
        asm.jump(_NOT_EQUAL, _R1, _R2, "pass")
    asm.jump(_NOT_GREATER, _LEFT, _CHUNK, "equal")
    asm.do(_SUBTRACT, _LEFT, _CHUNK)
    asm.do(_ADD, _CURSOR, _CHUNK)
    asm.go("next chunk")
    asm.label("equal")


def _count_dropped(asm: _Assembler) -> None:
    """What is not for us: let a share pass, count the others and drop them."""
    for name, counter in (("wrong TTL", _WRONG_TTL), ("short", _SHORT), ("foreign", _FOREIGN)):
        if name in asm.wanted:
            asm.label(name)
            asm.load(8, _LEFT, _SLOT, _SHARE)
            asm.do(_ADD, _SLOT, counter)  # a constant: the verifier trusts no sum of two registers
            asm.go("not for us")
    asm.label("not for us")
    asm.jump(_EQUAL, _LEFT, 0, "drop")
    asm.call(_Helper.GET_PRANDOM_U32)
    asm.do(_MODULO, _R0, _LEFT)
    asm.jump(_EQUAL, _R0, 0, "pass")
    asm.label("drop")
    asm.count(_SLOT, 0)
    asm.leave(0)


def fingerprint(header: IpHeader, payload: bytes) -> bytes:
    """
    What must be equal in the next advertisement: source, destination and message as they were received.

    The rest of the IP header changes from packet to packet, or says nothing to VRRP; the TTL is compared apart.
    """
    return header.source.packed + header.destination.packed + payload


class Offload:
    """
    The filter on one socket, as `open_offload` made it.

    A virtual router may be armed with an advertisement that did nothing but restart its Master_Down_Interval: it would
    do the same again. Whatever changes what the next one would do must disarm it first. Not for use after `close`.
    """

    def __init__(
        self,
        sock: socket.socket,
        family: Family,
        vrids: Iterable[int],
        sample: int,
        *,
        table: mmap.mmap,
        slot: int,
        program: int,
    ) -> None:
        """
        Take over the table and put the filter on the socket.

        Args:
            sock: The socket.
            family: Its family.
            vrids: Our VRIDs.
            sample: One in so many of the packets that are not for us passes.
            table: The mapped table, all zeros.
            slot: Octets of one slot.
            program: Descriptor of the loaded program.

        Raises:
            KernelError: The socket does not take the filter; the table is given back.
        """
        self._socket = sock
        self._table = table
        self._slot = slot
        self._addresses = 2 * family.address_length
        # A view of 64-bit words because each access to one is a single load or store, which the filter finds done or
        # not done. struct writes octet by octet: half a length would be the length of another message.
        self._words = memoryview(table).cast("Q")
        self._step = slot // _WORD
        self._seen = self._words[_SEEN // _WORD :: self._step]
        # Before the filter is there: until it knows what is ours, it would drop it.
        self.serve(vrids)
        self.set_share(sample)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, program)
        except OSError as error:
            self._release()
            raise _refused("attach", "eBPF program", error) from error

    def serve(self, vrids: Iterable[int]) -> None:
        """
        Say which VRIDs are ours from now on; the others are disarmed.

        Raises:
            UsageError: A VRID is not in 1-255.
        """
        ours = set(vrids)
        for vrid in ours:
            check_vrid(vrid)
        for vrid in range(_SLOTS):
            if vrid not in ours:
                self.disarm(vrid)
            self._words[vrid * self._step + _OURS // _WORD] = vrid in ours

    def set_share(self, sample: int) -> None:
        """
        Let one in so many of the packets that are not for us pass; 0 is none, 1 is all.

        Raises:
            UsageError: It is out of range.
        """
        check_sample(sample)
        for vrid in range(_SLOTS):
            self._words[vrid * self._step + _SHARE // _WORD] = sample

    def arm(self, vrid: int, fingerprint: bytes, now_us: int, *, ttl: int = TTL) -> bool:
        """
        Swallow what equals an advertisement that was heard and believed.

        Args:
            vrid: VRID of the message.
            fingerprint: What `fingerprint` made of the advertisement.
            now_us: When it was heard.
            ttl: The TTL it came with.

        Returns:
            Whether it is armed; False and disarmed if the message is longer than the slots.

        Raises:
            UsageError: The VRID is not in 1-255.
        """
        check_vrid(vrid)
        self.disarm(vrid)
        addresses, message = fingerprint[: self._addresses], fingerprint[self._addresses :]
        room = self._slot - _MESSAGE
        if not 0 < len(message) <= room:
            return False
        # The filter may be at work on another core, having seen the slot armed just before. What it then compares with
        # is partly old, partly new: nothing but the old or the new advertisement equals both parts, save for a packet
        # made for these nanoseconds. Either is a sign of life.
        at = vrid * self._slot
        self._table[at + _ADDRESSES : at + _ADDRESSES + len(addresses)] = addresses
        self._table[at + _MESSAGE : at + self._slot] = message.ljust(room, b"\0")
        self._seen[vrid] = max(0, now_us) * _NS_PER_US
        self._words[vrid * self._step + _LENGTH // _WORD] = ttl << 32 | len(message)
        return True

    def disarm(self, vrid: int) -> None:
        """Let every advertisement of a VRID through; the time of the last one stays to be asked for."""
        self._words[vrid * self._step + _LENGTH // _WORD] = 0

    def last_seen_us(self, vrid: int) -> int:
        """When an armed advertisement was last heard, by us or by the filter; 0 if the VRID never was armed."""
        return self._seen[vrid] // _NS_PER_US

    def oldest_us(self, vrids: Collection[int]) -> int | None:
        """The least of `last_seen_us`, None of no VRIDs."""
        return min(map(self._seen.__getitem__, vrids)) // _NS_PER_US if vrids else None

    def hits(self, vrid: int) -> int:
        """How many advertisements of a VRID were swallowed since the filter was opened."""
        return self._words[vrid * self._step + _HITS // _WORD]

    def dropped(self, vrid: int | None = None) -> dict[str, int]:
        """
        How many packets the filter dropped because they were not for us, not counting those it let through.

        Args:
            vrid: Those of one VRID; 0 is for those without any, too. None for all.

        Returns:
            Numbers by the reason that the receive checks would have given, were nothing else wrong with the packet.
        """
        slots = range(_SLOTS) if vrid is None else (vrid,)

        def count(counter: int, of: Iterable[int] = slots) -> int:
            return sum(self._words[one * self._step + counter // _WORD] for one in of)

        return {
            DropReason.TTL.value: count(_WRONG_TTL),
            DropReason.TRUNCATED.value: count(_SHORT),
            DropReason.VRID_ZERO.value: count(_FOREIGN, [one for one in slots if one == 0]),
            DropReason.VRID_UNKNOWN.value: count(_FOREIGN, [one for one in slots if one != 0]),
        }

    def close(self) -> None:
        """
        Take the filter off its socket, which then hears everything, and give the table back; twice is harmless.

        If another filter is to follow, attach it afterwards.
        """
        if not self._table.closed:
            detach(self._socket)
            self._release()

    def _release(self) -> None:
        self._seen.release()
        self._words.release()
        self._table.close()


def open_offload(
    sock: socket.socket,
    family: Family,
    vrids: Iterable[int],
    max_payload: int,
    *,
    sample: int = SAMPLE,
    ttl: int | None = TTL,
) -> Offload:
    """
    Put the filter on a raw socket, in place of the one that is there; no VRID is armed yet.

    Args:
        sock: A raw socket for protocol 112.
        family: Its family.
        vrids: Our VRIDs.
        max_payload: Octets of the longest message to swallow; longer ones pass.
        sample: One in so many of the packets that are not for us passes; 0 is none, 1 is all.
        ttl: What has another TTL or Hop Limit is not for us; None for unicast sockets.

    Raises:
        NotPermitted: It needs CAP_BPF, which this process has not, or not here; *detail* says which.
        KernelError: This machine or kernel cannot; *detail* says why. What was on the socket is there still.
        UsageError: A number is out of range.
    """
    check_sample(sample)
    ours = frozenset(vrids)
    for vrid in ours:
        check_vrid(vrid)
    capacity = max(1, -(-max_payload // _CHUNK)) * _CHUNK
    slot = _MESSAGE + capacity
    number = _syscall_number()
    # The mapping and the socket keep what they need alive; no descriptor of ours is to stay.
    with contextlib.ExitStack() as descriptors:
        table = _create_table(number, slot)
        descriptors.callback(os.close, table)
        program = _load_program(number, build_program(table, family, capacity, ttl))
        descriptors.callback(os.close, program)
        try:
            mapped = mmap.mmap(table, -(-_SLOTS * slot // mmap.PAGESIZE) * mmap.PAGESIZE)
        except OSError as error:
            raise _refused("map", "eBPF table", error) from error
        return Offload(sock, family, ours, sample, table=mapped, slot=slot, program=program)


def _syscall_number() -> int:
    machine = os.uname().machine
    if sys.byteorder != "little":
        why = "the program is written for little-endian machines"
    elif machine not in _SYSCALLS or struct.calcsize("P") != _WORD:
        why = f"the number of bpf(2) is not known for {struct.calcsize('P') * 8}-bit programs on {machine}"
    else:
        return _SYSCALLS[machine]
    raise KernelError("load", "eBPF program", errno.ENOSYS, why)


def _bpf(number: int, command: int, attributes: bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    memory = ctypes.create_string_buffer(attributes, len(attributes))
    result = libc.syscall(ctypes.c_long(number), ctypes.c_long(command), memory, ctypes.c_ulong(len(attributes)))
    if result < 0:
        failure = ctypes.get_errno()
        raise OSError(failure, os.strerror(failure))
    return int(result)


def _create_table(number: int, slot: int) -> int:
    attributes = _MAP_ATTRIBUTES.pack(_MAP_TYPE_ARRAY, 4, slot, _SLOTS, _F_MMAPABLE, b"vrrp_seen")
    try:
        return _bpf(number, _MAP_CREATE, attributes)
    except OSError as error:
        raise _refused("create", "eBPF table", error) from error


def _load_program(number: int, code: bytes) -> int:
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(_LICENCE)

    def load(log: ctypes.Array[ctypes.c_char] | None = None) -> int:
        attributes = _PROG_ATTRIBUTES.pack(
            _PROG_TYPE_SOCKET_FILTER,
            len(code) // _INSTRUCTION.size,
            ctypes.addressof(instructions),
            ctypes.addressof(licence),
            int(log is not None),
            0 if log is None else len(log),
            0 if log is None else ctypes.addressof(log),
            b"vrrp_seen",
        )
        return _bpf(number, _PROG_LOAD, attributes)

    try:
        return load()
    except OSError as error:
        if error.errno not in _REJECTED or not _capable():
            raise _refused("load", "eBPF program", error) from error
    # The verifier said no: once more, to hear why.
    log = ctypes.create_string_buffer(_LOG_OCTETS)
    try:
        return load(log)
    except OSError as error:
        said = log.value.decode(errors="replace").strip().splitlines()[-2:-1]  # the last line is statistics
        raise _refused("load", "eBPF program", error, ": ".join([_SINCE, *said])) from error


def _refused(operation: str, subject: str, error: OSError, detail: str = "") -> KernelError:
    number = error.errno or errno.EIO
    # Where anybody may use eBPF, the verifier forbids loops to all but the capable.
    if number == errno.EPERM or (number in _REJECTED and not _capable()):
        return NotPermitted(operation, subject, number, _why_forbidden())
    if not detail and number in {errno.EINVAL, errno.ENOSYS, errno.E2BIG}:
        detail = _SINCE
    return KernelError(operation, subject, number, detail)


def _why_forbidden() -> str:
    """Which right is missing; EPERM has many fathers."""
    if not _capable():
        return "needs CAP_BPF"
    if _read("uid_map").split() not in ([], ["0", "0", "4294967295"]):
        return "needs CAP_BPF of the host; that of a user namespace does not count"
    if _status("Seccomp") not in {"", "0"}:
        return "CAP_BPF is there, but a seccomp filter forbids bpf(2)"
    return "CAP_BPF is there; a security module forbids bpf(2), or before Linux 5.11 RLIMIT_MEMLOCK is too small"


def _capable() -> bool:
    return bool(rights.effective() & (1 << _CAP_BPF | 1 << _CAP_SYS_ADMIN))


def _status(key: str) -> str:
    """A line of the process's status, empty if there is none."""
    return next(
        (line.partition(":")[2].strip() for line in _read("status").splitlines() if line.startswith(key + ":")), ""
    )


def _read(name: str) -> str:
    try:
        with open(f"/proc/self/{name}", encoding="ascii", errors="replace") as file:  # noqa: PTH123  pathlib takes milliseconds to import
            return file.read()
    except OSError:
        return ""
