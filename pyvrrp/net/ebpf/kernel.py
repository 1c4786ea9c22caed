"""bpf(2): a table and a program are made by it, and who is refused is told why."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from typing import Final

from pyvrrp.errors import KernelError, NotPermitted
from pyvrrp.net import rights
from pyvrrp.net.ebpf.assembler import INSTRUCTION

_SYSCALLS: Final = {"x86_64": 321, "aarch64": 280}  # bpf(2)

# linux/bpf.h
_MAP_CREATE: Final = 0
_PROG_LOAD: Final = 5
_MAP_TYPE_ARRAY: Final = 2
_PROG_TYPE_SOCKET_FILTER: Final = 1
_F_MMAPABLE: Final = 1 << 10
_MAP_ATTRIBUTES: Final = struct.Struct("=5I8x16s")  # type, key, value, entries, flags; name
_PROG_ATTRIBUTES: Final = struct.Struct("=IIQQIIQ8x16s")  # type, count, code, licence; log level, size, place; name
_LICENCE: Final = b"MIT"  # of the program; since Linux 5.8 none of the helpers it calls asks for the GPL
_LOG_OCTETS: Final = 1 << 20

_REJECTED: Final = frozenset({errno.EINVAL, errno.EACCES})  # by the verifier, or by a kernel that knows it not

# linux/capability.h
_CAP_SYS_ADMIN: Final = 21
_CAP_BPF: Final = 39
_SINCE: Final = "needs Linux 5.8"  # CAP_BPF and the licence; BPF_F_MMAPABLE is of 5.5


def syscall_number() -> int:
    """
    The number of bpf(2) on this machine.

    Raises:
        KernelError: Not known, or the machine is none that the program is written for.
    """
    machine = os.uname().machine
    if sys.byteorder != "little":
        why = "the program is written for little-endian machines"
    elif machine not in _SYSCALLS or struct.calcsize("P") != 8:
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


def create_table(number: int, slots: int, octets: int) -> int:
    """
    Make an array that can be mapped.

    Args:
        number: Of bpf(2).
        slots: How many; the key is four octets.
        octets: Of each slot.

    Returns:
        Its descriptor.

    Raises:
        KernelError: Refused; NotPermitted if a right is missing.
    """
    attributes = _MAP_ATTRIBUTES.pack(_MAP_TYPE_ARRAY, 4, octets, slots, _F_MMAPABLE, b"vrrp_seen")
    try:
        return _bpf(number, _MAP_CREATE, attributes)
    except OSError as error:
        raise refused("create", "eBPF table", error) from error


def load_program(number: int, code: bytes) -> int:
    """
    Have the verifier look at a socket filter, and load it.

    Returns:
        Its descriptor.

    Raises:
        KernelError: Refused, with the verifier's last word; NotPermitted if a right is missing.
    """
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(_LICENCE)

    def load(log: ctypes.Array[ctypes.c_char] | None = None) -> int:
        attributes = _PROG_ATTRIBUTES.pack(
            _PROG_TYPE_SOCKET_FILTER,
            len(code) // INSTRUCTION.size,
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
            raise refused("load", "eBPF program", error) from error
    # The verifier said no: once more, to hear why.
    log = ctypes.create_string_buffer(_LOG_OCTETS)
    try:
        return load(log)
    except OSError as error:
        said = log.value.decode(errors="replace").strip().splitlines()[-2:-1]  # the last line is statistics
        raise refused("load", "eBPF program", error, ": ".join([_SINCE, *said])) from error


def refused(operation: str, subject: str, error: OSError, detail: str = "") -> KernelError:
    """What it means that the kernel refused something of eBPF: which right is missing, or since when it can be done."""
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
