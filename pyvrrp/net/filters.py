"""
Classic BPF for the raw sockets of advertisements: which packets are worth a wake-up.

Rules:

* a packet with one of our VRIDs passes whatever else is wrong with it, for the receive checks count such faults
  exactly; only its TTL is looked at first, as they do;
* of all the rest a random share passes, so that `status` can estimate how much there is and name who sends it;
* what is too short to name a VRID belongs to the rest. A program never loads beyond the end of a packet: the kernel
  would drop that packet whatever these rules say;
* programs are octets and made without I/O. To attach one needs no right but to own the socket.

The protocol is not looked at: a raw socket is handed what has its own, 112, and nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from pyvrrp.errors import UsageError
from pyvrrp.net.refusals import refusal
from pyvrrp.protocol.advertisement import check_vrid
from pyvrrp.protocol.constants import TTL, Family, IPAddress

SAMPLE: Final = 64
"""One in so many of the packets that are not for us is let through."""

# asm-generic/socket.h; the socket module has none of these
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27

# linux/bpf_common.h and linux/filter.h: operation, size and mode, or operation, kind and operand
_LD_BYTE: Final = 0x30  # A = packet[k]
_LD_WORD: Final = 0x20
_LD_BYTE_AT_X: Final = 0x50  # A = packet[X + k]
_LD_HALF_AT_X: Final = 0x48
_LD_LENGTH: Final = 0x80  # A = octets of the packet
_LD_MEMORY: Final = 0x60  # A = M[k]
_ST_MEMORY: Final = 0x02  # M[k] = A
_LDX: Final = 0x01  # X = k
_LDX_HEADER_LENGTH: Final = 0xB1  # X = 4 * (packet[k] & 15)
_ADD: Final = 0x04  # A += k
_SUBTRACT: Final = 0x14
_MODULO: Final = 0x94
_TAX: Final = 0x07  # X = A
_TXA: Final = 0x87
_GO: Final = 0x05
_IF_EQUAL: Final = 0x15  # A == k
_IF_GREATER: Final = 0x25
_IF_NOT_LESS: Final = 0x35
_IF_GREATER_THAN_X: Final = 0x2D
_RETURN: Final = 0x06

_NETWORK_HEADER: Final = 0xFFF00000  # SKF_NET_OFF: for IPv6 the packet begins after its header, this is the header
_RANDOM: Final = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM: 32 random bits instead of packet octets

_INSTRUCTION: Final = struct.Struct("=HBBI")  # struct sock_filter: code, jump if true, if false, k
_PROGRAM: Final = struct.Struct("@HP")  # struct sock_fprog
_ACCEPT: Final = _INSTRUCTION.pack(_RETURN, 0, 0, 0xFFFFFFFF)  # so many octets of the packet pass
_REFUSE: Final = _INSTRUCTION.pack(_RETURN, 0, 0, 0)
_REACH: Final = 0xFF  # of a conditional jump; that of an unconditional one is k
_WORD: Final = 4
_NEXT: Final = -1  # the label of the next instruction

_TTL_AT: Final = {Family.V4: 8, Family.V6: _NETWORK_HEADER + 7}
_SOURCE_AT: Final = {Family.V4: 12, Family.V6: _NETWORK_HEADER + 8}

_Label = int
_Run: TypeAlias = tuple[int, int]


NOTHING: Final = _REFUSE
"""The program that passes nothing: what a socket has until it is known what it is for."""


class Expected(NamedTuple):
    """What the next advertisement of a virtual router will be, if nothing happens."""

    source: IPAddress
    priority: int


class Split(NamedTuple):
    """
    Programs for two sockets that share the work of one.

    Attributes:
        urgent: Passes advertisements of ours that are not as expected.
        rest: Passes those that are, and the random share of what is not for us.
        widened: Passes all of ours: what *urgent* is while nothing is expected.
    """

    urgent: bytes
    rest: bytes
    widened: bytes


class _Assembler:
    """
    Instructions with labels to jump to, forward only.

    A conditional jump reaches 255 instructions. Where a label is further away it jumps to long jumps behind it, so
    whoever writes a program need not know how long it becomes.

    Attributes:
        exits: Labels of the instructions that will follow the program, one each: its verdicts.
    """

    def __init__(self, exits: int) -> None:
        # Instructions with the labels where they go if true and if false, and among them labels where they stand.
        self._steps: list[tuple[int, int, _Label, _Label] | _Label] = []
        self._labels = exits
        self.exits = range(exits)

    def label(self) -> _Label:
        """A label that is not placed yet."""
        self._labels += 1
        return self._labels - 1

    def place(self, label: _Label) -> None:
        """Let *label* mean the next instruction."""
        self._steps.append(label)

    def do(self, code: int, k: int = 0) -> None:
        self._steps.append((code, k, _NEXT, _NEXT))

    def go(self, label: _Label) -> None:
        self._steps.append((_GO, 0, label, _NEXT))

    def jump(self, code: int, k: int = 0, *, then: _Label = _NEXT, otherwise: _Label = _NEXT) -> None:
        self._steps.append((code, k, then, otherwise))

    def assemble(self) -> bytes:
        """The program without its exits, an array of struct sock_filter."""
        # From the end, for all jumps go forward: then every distance is known when it is needed.
        backwards: list[bytes] = []
        behind = {label: -label for label in self.exits}  # how many instructions there are from a label on
        pack = _INSTRUCTION.pack
        for step in reversed(self._steps):
            if isinstance(step, _Label):
                behind[step] = len(backwards)
                continue
            code, k, *targets = step
            then, otherwise = (0 if label == _NEXT else len(backwards) - behind[label] for label in targets)
            if code == _GO:
                backwards.append(pack(_GO, 0, 0, then))
            elif max(then, otherwise) <= _REACH:
                backwards.append(pack(code, then, otherwise, k))
            else:
                backwards += [pack(_GO, 0, 0, otherwise), pack(_GO, 0, 0, then + 1), pack(code, 0, 1, k)]
        return b"".join(reversed(backwards))


def advertisement_filter(family: Family, vrids: Iterable[int], sample: int = SAMPLE, *, ttl: int | None = TTL) -> bytes:
    """
    Make the program that passes our advertisements and a share of the rest.

    Args:
        family: IPv4 or IPv6.
        vrids: Our VRIDs, any set of 1-255.
        sample: One in so many of the rest passes; 0 is none, 1 is all.
        ttl: What has another TTL or Hop Limit belongs to the rest; None for unicast sockets, whose peers may be beyond
            routers.

    Returns:
        The program, to be attached.

    Raises:
        UsageError: A VRID or the share is out of range.
    """
    asm = _Assembler(2)
    ours, other = asm.exits
    _find_vrid(asm, family, ttl, other)
    _search(asm, _runs(_checked(vrids)), ours, other)
    return asm.assemble() + _ACCEPT + _share(sample)


def split_filters(
    family: Family,
    vrids: Iterable[int],
    expected: Mapping[int, Expected],
    sample: int = SAMPLE,
    *,
    ttl: int | None = TTL,
) -> Split:
    """
    Make the programs that split our advertisements by whether they may change anything.

    What passes one of the two is what passes `advertisement_filter`, and none of ours passes both. A packet of ours
    without a priority octet, or of a VRID for which nothing is expected, is urgent.

    Args:
        family: IPv4 or IPv6.
        vrids: Our VRIDs.
        expected: What is expected, by VRID.
        sample: As for `advertisement_filter`.
        ttl: As for `advertisement_filter`.

    Raises:
        UsageError: A number is out of range, or something is expected of a VRID that is not ours.
    """
    ours = _checked(vrids)
    keys: dict[IPAddress, set[int]] = {}
    for vrid, (source, priority) in expected.items():
        if vrid not in ours:
            raise UsageError(f"VRID {vrid} is not among ours, so nothing can be expected of it")
        if source.version != family:
            raise UsageError(f"{source} is not of IPv{family:d}")
        if not 0 <= priority <= 0xFF:
            raise UsageError(f"priority {priority} is not in 0-255")
        keys.setdefault(source, set()).add(vrid << 8 | priority)

    asm = _Assembler(3)
    as_expected, differs, other = asm.exits
    mine = asm.label()
    _find_vrid(asm, family, ttl, other)
    _search(asm, _runs(ours), mine, other)
    asm.place(mine)
    _compare(asm, family, keys, as_expected, differs)
    program = asm.assemble()
    return Split(
        urgent=program + _REFUSE + _ACCEPT + _REFUSE,
        rest=program + _ACCEPT + _REFUSE + _share(sample),
        widened=advertisement_filter(family, ours, 0, ttl=ttl),
    )


def attach(sock: socket.socket, program: bytes) -> None:
    """
    Put a program on a socket, in place of the one that is there, of whichever kind: no packet sees neither or both.

    What is in the receive queue already stays there.

    Raises:
        KernelError: The kernel refused.
    """
    memory = ctypes.create_string_buffer(program, len(program))
    record = _PROGRAM.pack(len(program) // _INSTRUCTION.size, ctypes.addressof(memory))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, record)
    except OSError as error:
        detail = "net.core.optmem_max is too small for it" if error.errno == errno.ENOMEM else ""
        raise refusal("attach", "packet filter", error.errno, detail=detail) from error


def attach_split(urgent: socket.socket, rest: socket.socket, split: Split) -> None:
    """
    Put the two programs of a split on their sockets, in place of those that are there.

    Two sockets cannot change at one moment. So the urgent one takes all of ours in between: an advertisement that
    comes just then may be read twice, which changes nothing, but none is lost.

    Raises:
        KernelError: The kernel refused; all of ours still pass one of the two.
    """
    attach(urgent, split.widened)
    attach(rest, split.rest)
    attach(urgent, split.urgent)


def detach(sock: socket.socket) -> None:
    """Take a program off a socket, of whichever kind; harmless if there is none or the socket is closed."""
    # ENOENT, EBADF; EPERM is SO_LOCK_FILTER, which is never set here.
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def check_sample(sample: int) -> None:
    """
    Refuse a share that cannot be drawn.

    Raises:
        UsageError: It is negative, or beyond 31 bits.
    """
    if not 0 <= sample < 1 << 31:
        raise UsageError(f"one in {sample} packets is no share")


def _checked(vrids: Iterable[int]) -> set[int]:
    found = set(vrids)
    for vrid in found:
        check_vrid(vrid)
    return found


def _runs(numbers: Iterable[int]) -> list[_Run]:
    """First and last of each run of numbers without a gap."""
    runs: list[_Run] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _share(sample: int) -> bytes:
    """The exit of what is not for us: accept one in so many."""
    check_sample(sample)
    if sample < 2:
        return _ACCEPT if sample else _REFUSE
    draw = ((_LD_WORD, 0, 0, _RANDOM), (_MODULO, 0, 0, sample), (_IF_EQUAL, 0, 1, 0))
    return b"".join([_INSTRUCTION.pack(*part) for part in draw]) + _ACCEPT + _REFUSE


def _find_vrid(asm: _Assembler, family: Family, ttl: int | None, other: _Label) -> None:
    """Leave the VRID in A and its place in X."""
    if ttl is not None:
        asm.do(_LD_BYTE, _TTL_AT[family])
        asm.jump(_IF_EQUAL, ttl, otherwise=other)
    if family is Family.V4:
        asm.do(_LDX_HEADER_LENGTH, 0)
        asm.do(_TXA)
        asm.do(_ADD, 1)
        asm.do(_TAX)
    else:
        asm.do(_LDX, 1)
    asm.do(_LD_LENGTH)
    asm.jump(_IF_GREATER_THAN_X, otherwise=other)
    asm.do(_LD_BYTE_AT_X)


def _search(asm: _Assembler, runs: Sequence[_Run], hit: _Label, miss: _Label) -> None:
    """Go to *hit* if A is in one of the runs, in ascending order: a binary search, eight comparisons for 128 runs."""
    if not runs:
        asm.go(miss)
    elif len(runs) == 1:
        [(first, last)] = runs
        if first == last:
            asm.jump(_IF_EQUAL, first, then=hit, otherwise=miss)
        else:
            asm.jump(_IF_NOT_LESS, first, otherwise=miss)
            asm.jump(_IF_GREATER, last, then=miss, otherwise=hit)
    else:
        middle = len(runs) // 2
        upper = asm.label()
        asm.jump(_IF_NOT_LESS, runs[middle][0], then=upper)
        _search(asm, runs[:middle], hit, miss)
        asm.place(upper)
        _search(asm, runs[middle:], hit, miss)


def _compare(
    asm: _Assembler, family: Family, keys: Mapping[IPAddress, Iterable[int]], as_expected: _Label, differs: _Label
) -> None:
    """Go on by whether source, VRID and priority are expected together; X is the place of the VRID."""
    asm.do(_LD_LENGTH)
    asm.do(_SUBTRACT, 1)
    asm.jump(_IF_GREATER_THAN_X, otherwise=differs)
    words = range(family.address_length // _WORD)
    for word in words:
        asm.do(_LD_WORD, _SOURCE_AT[family] + word * _WORD)
        asm.do(_ST_MEMORY, word)
    for source, wanted in keys.items():
        another = asm.label()
        # From the end: link-local addresses begin alike.
        for word in reversed(words):
            asm.do(_LD_MEMORY, word)
            asm.jump(_IF_EQUAL, int.from_bytes(source.packed[word * _WORD :][:_WORD], "big"), otherwise=another)
        asm.do(_LD_HALF_AT_X)
        _search(asm, _runs(wanted), as_expected, differs)
        asm.place(another)
    asm.go(differs)
