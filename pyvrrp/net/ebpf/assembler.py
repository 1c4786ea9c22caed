"""Instructions of eBPF with labels to jump to, as `Documentation/bpf/standardization/instruction-set.rst` has them."""

from __future__ import annotations

import enum
import struct
from collections.abc import Collection
from typing import Final, TypeAlias

INSTRUCTION: Final = struct.Struct("<BBhi")  # code, source and destination, offset, immediate


class Register(enum.IntEnum):
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


class Helper(enum.IntEnum):
    """Functions of the kernel, linux/bpf.h."""

    MAP_LOOKUP_ELEM = 1
    KTIME_GET_NS = 5
    GET_PRANDOM_U32 = 7
    SKB_LOAD_BYTES = 26
    SKB_LOAD_BYTES_RELATIVE = 68


R0, R1, R2, R3, R4, R5, CONTEXT, SLOT, CURSOR, LEFT, STACK = Register
Operand: TypeAlias = Register | int

# linux/bpf_common.h and linux/bpf.h: 64-bit arithmetic, jumps, and sizes of memory accesses
ADD: Final = 0x07
SUBTRACT: Final = 0x17
AND: Final = 0x57
SHIFT_LEFT: Final = 0x67
MODULO: Final = 0x97
MOVE: Final = 0xB7
EQUAL: Final = 0x15
NOT_EQUAL: Final = 0x55
LESS: Final = 0xA5
GREATER: Final = 0x25
NOT_GREATER: Final = 0xB5
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


class Assembler:
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

    def do(self, operation: int, register: Register, operand: Operand) -> None:
        """Change a register by a register or a number."""
        self._operate(operation, register, operand)

    def go(self, label: str) -> None:
        """Go on at a label."""
        self._jumps[len(self._code)] = label
        self._emit(_GO)

    def jump(self, condition: int, register: Register, operand: Operand, label: str) -> None:
        """Go on at a label if the comparison of register and operand holds."""
        self._jumps[len(self._code)] = label
        self._operate(condition, register, operand)

    def load(self, size: int, register: Register, base: Register, offset: int) -> None:
        """Load 1, 4 or 8 octets of memory into a register."""
        self._emit(_LOAD | _SIZES[size], register, base, offset)

    def store(self, size: int, base: Register, offset: int, value: Operand) -> None:
        """Store a register or a number in 1, 4 or 8 octets of memory."""
        if isinstance(value, Register):
            self._emit(_STORE | _SIZES[size], base, value, offset)
        else:
            self._emit(_STORE_VALUE | _SIZES[size], base, 0, offset, value)

    def count(self, base: Register, offset: int) -> None:
        """Add one to eight octets of memory at once, whatever other cores do; R1 is lost."""
        self.do(MOVE, R1, 1)
        self._emit(_ATOMIC_ADD, base, R1, offset)

    def load_map(self, register: Register, descriptor: int) -> None:
        """Load the address of the map with that descriptor."""
        self._emit(_LOAD_ADDRESS, register, _MAP_DESCRIPTOR, 0, descriptor)
        self._emit(0)

    def call(self, helper: Helper) -> None:
        """Call a function of the kernel; its result is in R0."""
        self._emit(_CALL, immediate=helper)

    def leave(self, verdict: int) -> None:
        """End with how many octets of the packet pass; -1 is all."""
        self.do(MOVE, R0, verdict)
        self._emit(_EXIT)

    def assemble(self) -> bytes:
        """The program, an array of struct bpf_insn."""
        parts = []
        for at, (code, register, source, offset, immediate) in enumerate(self._code):
            reach = self._labels[self._jumps[at]] - at - 1 if at in self._jumps else offset
            parts.append(INSTRUCTION.pack(code, source << 4 | register, reach, immediate))
        return b"".join(parts)

    def _operate(self, operation: int, register: Register, operand: Operand) -> None:
        if isinstance(operand, Register):
            self._emit(operation | _BY_REGISTER, register, operand)
        else:
            self._emit(operation, register, immediate=operand)

    def _emit(self, code: int, register: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> None:
        self._code.append((code, register, source, offset, immediate))
