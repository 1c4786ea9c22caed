"""What of the eBPF filter needs no kernel: the shape of the program, and machines and kernels that cannot run it."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv6Address

import pytest

from pyvrrp.errors import KernelError, NotPermitted
from pyvrrp.net import rights
from pyvrrp.net.ebpf import kernel
from pyvrrp.net.ebpf.program import build_program
from pyvrrp.net.offload import fingerprint, open_offload
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.headers import IpHeader
from tests.net.crafted import header

EVERY_PROGRAM = [pytest.param(family, ttl, id=f"v{family:d}-{ttl}") for family in Family for ttl in (255, None)]


def refused(reason: str) -> KernelError:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, pytest.raises(KernelError, match=reason) as caught:
        open_offload(sock, Family.V4, [1], 64)
    return caught.value


def test_a_fingerprint_is_both_addresses_and_the_message() -> None:
    assert fingerprint(header(Family.V4), b"1>").hex() == "c0000201e0000012313e"
    zoned = IpHeader(IPv6Address("fe80::1%eth0"), IPv6Address("ff02::12"))
    assert fingerprint(zoned, b"1>") == fingerprint(header(Family.V6), b"1>")
    assert len(fingerprint(zoned, b"")) == 32


@pytest.mark.parametrize(("family", "ttl"), EVERY_PROGRAM)
def test_every_instruction_is_reached_and_every_path_ends(family: Family, ttl: int | None) -> None:
    """The verifier takes nothing less."""
    code = list(struct.iter_unpack("<BBhi", build_program(3, family, 64, ttl)))
    reached: set[int] = set()
    ahead = [0]
    while ahead:
        at = ahead.pop()
        if at in reached:
            continue
        operation, _, distance, _ = code[at]
        reached.add(at)
        if operation == 0x18:  # an address takes two
            reached.add(at + 1)
            ahead.append(at + 2)
        elif operation == 0x05:
            ahead.append(at + 1 + distance)
        elif operation != 0x95:
            ahead.append(at + 1)
            if operation & 7 == 5 and operation != 0x85:
                ahead.append(at + 1 + distance)
    assert reached == set(range(len(code)))


@pytest.mark.parametrize("family", list(Family))
def test_it_is_no_longer_for_long_messages(family: Family) -> None:
    """A socket bears 20 KiB of programs at first, the old and the new one together while they change."""
    assert len(build_program(3, family, 64, 255)) == len(build_program(3, family, 4160, 255)) < 1024


@pytest.mark.parametrize(
    ("what", "value", "reason"),
    [
        ("os.uname", lambda: os.uname_result(("Linux", "", "6.1", "", "riscv64")), "64-bit programs on riscv64"),
        ("sys.byteorder", "big", "little-endian"),
    ],
)
def test_a_machine_it_does_not_know(monkeypatch: pytest.MonkeyPatch, what: str, value: object, reason: str) -> None:
    monkeypatch.setattr(what, value)
    error = refused(reason)
    assert error.errno == errno.ENOSYS
    assert not isinstance(error, NotPermitted)


def answer(number: int) -> Callable[..., int]:
    def refuse(*_: object) -> int:
        raise OSError(number, "")

    return refuse


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.E2BIG])
def test_a_kernel_without_what_it_needs(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(kernel, "_bpf", answer(number))
    monkeypatch.setattr(kernel, "_capable", lambda: True)
    error = refused(r"cannot create eBPF table: .*needs Linux 5.8")
    assert error.errno == number
    assert not isinstance(error, NotPermitted)


STATUS = "Name:\tpyvrrp\nSeccomp:\t{}\n"
HOST = "         0          0 4294967295\n"


@pytest.mark.parametrize(
    ("number", "status", "uid_map", "reason"),
    [
        (errno.EPERM, (0x3000, 0), HOST, "needs CAP_BPF$"),
        (errno.EINVAL, (0x3000, 0), HOST, "needs CAP_BPF$"),  # unprivileged_bpf_disabled = 0
        (errno.EPERM, (0x80_0000_0000, 0), "0 1000 1\n", "that of a user namespace does not count"),
        (errno.EPERM, (0x80_0000_0000, 2), HOST, "a seccomp filter forbids"),
        (errno.EPERM, (0x20_0000, 0), HOST, "security module.*RLIMIT_MEMLOCK"),  # CAP_SYS_ADMIN
        (errno.EPERM, (0, 0), "", "needs CAP_BPF$"),
    ],
)
def test_which_right_is_missing(
    monkeypatch: pytest.MonkeyPatch, number: int, status: tuple[int, int], uid_map: str, reason: str
) -> None:
    effective, seccomp = status
    files = {"status": STATUS.format(seccomp), "uid_map": uid_map}
    monkeypatch.setattr(rights, "effective", lambda: effective)
    monkeypatch.setattr(kernel, "_bpf", answer(number))
    monkeypatch.setattr(kernel, "_read", files.__getitem__)
    assert isinstance(refused(reason), NotPermitted)
