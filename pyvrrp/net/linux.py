"""
The kernel of a network namespace, behind `pyvrrp.net.system`.

The engine's process imports this, so it and what it imports stay lean: no pyroute2, logging, asyncio or ssl.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from pyvrrp.errors import KernelError, LinkNotReady, NotPermitted
from pyvrrp.net import addresses as virtual
from pyvrrp.net import rights
from pyvrrp.net.netlink import rtnetlink
from pyvrrp.net.netlink.client import Client, Monitor
from pyvrrp.net.netlink.wire import Answer, Request
from pyvrrp.net.refusals import CAP_NET_ADMIN, CAP_NET_RAW, refusal
from pyvrrp.net.system import (
    AdvertisementSocket,
    AssignedAddress,
    KernelMonitor,
    Link,
    ReceivePath,
    VirtualAddress,
)
from pyvrrp.protocol.constants import Family, IPAddress

if TYPE_CHECKING:
    from pyvrrp.net.batches import FrameSocket
    from pyvrrp.net.intake import Intake

_CAPABILITIES: Final = ((12, CAP_NET_ADMIN), (13, CAP_NET_RAW))  # linux/capability.h
_REQUESTS_MAX: Final = 8192  # laid out; beyond it the oldest is laid out again
_NOTHING: Final = Request(1, 0, b"")  # NLMSG_NOOP
_MARKS_SINCE: Final = (5, 18)
_NAMESPACES: Final = "/run/netns"  # where iproute2 mounts them
_CLONE_NEWNET: Final = 0x40000000  # linux/sched.h

# What says that an address is gone already: not on the link, no such link, no IPv6 on it.
_GONE: Final = frozenset({errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENXIO})
_THERE: Final = frozenset({errno.EEXIST})


def missing_capabilities() -> list[str]:
    """Which of the capabilities that pyvrrp needs are not effective in this process."""
    effective = rights.effective()
    return [name for bit, name in _CAPABILITIES if not effective >> bit & 1]


def require_capabilities() -> None:
    """
    See that this process may do what pyvrrp needs.

    Raises:
        NotPermitted: It may not; the text names what is missing.
    """
    missing = missing_capabilities()
    if missing:
        raise NotPermitted("run", "a virtual router", errno.EPERM, f"needs {' and '.join(missing)}")


def enter_namespace(name: str) -> None:
    """
    Move this process into a named network namespace, as `ip netns exec` does.

    Raises:
        KernelError: There is none of that name, or entering is refused.
    """
    path = f"{_NAMESPACES}/{name}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError("enter network namespace", path, error.errno or errno.EIO) from error
    try:
        libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise refusal("enter network namespace", path, ctypes.get_errno(), needs="CAP_SYS_ADMIN")
    finally:
        os.close(descriptor)


def _kernel_marks() -> bool:
    """Whether this kernel knows IFA_PROTO; an unspecified one is not told, so its absence proves nothing."""
    major, _, rest = os.uname().release.partition(".")
    minor = rest.partition(".")[0]
    return major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) >= _MARKS_SINCE


class LinuxSystem:
    """
    Links, addresses, sockets and announcements of one network namespace: that of the thread that makes the object.

    Every method is to be called in that namespace. `links`, `addresses`, `install` and `remove` may run in another
    thread than the rest: the lock of rtnetlink is global, and somebody else may hold it for tens of milliseconds.
    """

    threaded = True

    def __init__(self, *, mark: bool = True, path: ReceivePath | None = None) -> None:
        """
        Open the netlink sockets.

        Args:
            mark: Use IFA_PROTO; False behaves as on a kernel that lacks it.
            path: How advertisements are received; None is the best that this process may use.

        Raises:
            KernelError: The kernel gave no socket.
        """
        self._mark = mark
        self._marks = mark and _kernel_marks()
        # Two, so that a question does not wait behind a batch of changes.
        self._questions = Client()
        self._changes = Client()
        self._changing = threading.Lock()
        self._frames: FrameSocket | None = None
        # By identity, which is cheaper than a hash of all fields; the entry keeps its address, so no id comes twice.
        self._requests: dict[int, tuple[VirtualAddress, int, Request]] = {}
        self._requests_lock = threading.Lock()
        self._path = path
        self._intakes: dict[Family, Intake] = {}

    def receive_by(self, path: str) -> None:
        """How sockets opened from now on receive: the name of a `ReceivePath`, or `auto` for the best permitted."""
        self._path = None if path == "auto" else ReceivePath(path)

    def now_us(self) -> int:
        """Monotonic time in microseconds."""
        return time.monotonic_ns() // 1000

    def links(self) -> list[Link]:
        """
        All links.

        Raises:
            KernelError: The kernel did not tell.
        """
        found = [rtnetlink.read_link(message) for message in self._questions.dump(rtnetlink.get_links(), "links")]
        return [link for link in found if link is not None]

    def addresses(self, index: int | None = None) -> list[AssignedAddress]:
        """
        All addresses, or those of one link; none if there is no such link.

        Raises:
            KernelError: The kernel did not tell.
        """
        try:
            messages = self._questions.dump(rtnetlink.get_addresses(index or 0), "addresses")
        except LinkNotReady:
            return []
        found = [rtnetlink.read_address(message, marks=self._marks) for message in messages]
        return [one for one in found if one is not None and index in (None, one.index)]

    def monitor(self) -> KernelMonitor:
        """
        Start to listen for news of links and addresses.

        Raises:
            KernelError: The kernel gave no socket.
        """
        return Monitor(marks=self._marks)

    def open_socket(self, link: Link, family: Family, group: IPAddress | None) -> AdvertisementSocket:
        """
        Open a raw socket for protocol 112 on *link*.

        Args:
            link: Interface it is bound to.
            family: IPv4 or IPv6.
            group: Multicast group to join, or None for unicast.

        Raises:
            LinkNotReady: The interface is gone or down.
            NotPermitted: CAP_NET_RAW is missing.
        """
        from pyvrrp.net.intake import Intake  # noqa: PLC0415  here as below: the daemon's control opens none
        from pyvrrp.net.sockets import open_raw_socket  # noqa: PLC0415

        intake = self._intakes.get(family)
        if intake is None:
            intake = self._intakes[family] = Intake(family)
        return open_raw_socket(link, family, group, self._path, intake)

    def prepare(self, addresses: Sequence[VirtualAddress], frames: Iterable[tuple[int, bytes]]) -> None:
        """
        Lay out what may have to be installed and announced in a hurry; the same objects must be given then.

        Raises:
            KernelError: There is no packet socket to be had.
        """
        for address, index in _with_indexes(addresses):
            if index is not None:
                self._add_request(address, index)
        self._frame_socket().prepare(frames)

    def _add_request(self, address: VirtualAddress, index: int) -> Request:
        entry = self._requests.get(id(address))
        if entry is None or entry[1] != index:
            entry = (address, index, virtual.add_request(address, index, mark=self._mark))
            with self._requests_lock:
                if len(self._requests) >= _REQUESTS_MAX:
                    del self._requests[next(iter(self._requests))]
                self._requests[id(address)] = entry
        return entry[2]

    def install(self, addresses: Sequence[VirtualAddress]) -> list[KernelError | None]:
        """
        Put addresses on their interfaces, all in one batch.

        One that is there already is no error and stays as it is: its mark, lifetime and label remain those of whoever
        put it there.

        Returns:
            For each address None, or why it could not be installed.
        """
        operation = "add address"
        results: list[KernelError | None] = [None] * len(addresses)
        batch: list[tuple[int, Request]] = []
        for at, (address, index) in enumerate(_with_indexes(addresses)):
            if index is None:
                results[at] = refusal(operation, virtual.describe(address), errno.ENODEV)
            else:
                batch.append((at, self._add_request(address, index)))
        answers = self._change([request for _, request in batch])
        for (at, _), answer in zip(batch, answers, strict=True):
            if answer.errno and answer.errno not in _THERE:
                results[at] = refusal(
                    operation, virtual.describe(addresses[at]), answer.errno, needs=CAP_NET_ADMIN, detail=answer.text
                )
        return results

    def remove(self, addresses: Sequence[VirtualAddress]) -> list[KernelError | None]:
        """
        Take addresses away, all in one batch; one that is not there is no error.

        The kernel deletes the secondary IPv4 addresses of a subnet with its primary. Where a primary goes and others
        stay, promote_secondaries of that interface is set for the time of the batch, so that one of them takes its
        place; its value is put back by the last message of the batch.

        Returns:
            For each address None, or why it could not be removed.
        """
        operation = "remove address"
        results: list[KernelError | None] = [None] * len(addresses)
        there = [(at, address, index) for at, (address, index) in enumerate(_with_indexes(addresses)) if index]
        doomed = {virtual.key_of(address, index) for _, address, index in there}
        guarded, secondaries = self._guard({index for _, address, index in there if address.ip.version == 4}, doomed)
        # Secondaries first: with promotion the other order would move the subnet's route once for each address.
        there.sort(key=lambda one: virtual.key_of(one[1], one[2]) not in secondaries)
        answers = self._change(
            [rtnetlink.set_promote_secondaries(index, 1) for index in guarded]
            + [virtual.remove_request(address, index) for _, address, index in there]
            + [rtnetlink.set_promote_secondaries(index, 0) for index, was in guarded.items() if was == 0]
        )
        unguarded = {index: answer for index, answer in zip(guarded, answers, strict=False) if answer.errno}
        for (at, address, index), answer in zip(there, answers[len(guarded) :], strict=False):
            subject = virtual.describe(address)
            if answer.errno and answer.errno not in _GONE:
                results[at] = refusal(operation, subject, answer.errno, needs=CAP_NET_ADMIN, detail=answer.text)
            elif index in unguarded:
                results[at] = refusal(
                    "keep secondaries beside",
                    subject,
                    unguarded[index].errno,
                    needs=CAP_NET_ADMIN,
                    detail=unguarded[index].text,
                )
        return results

    def _change(self, requests: Sequence[Request]) -> list[Answer]:
        with self._changing:
            return self._changes.change(requests)

    def _guard(self, indexes: set[int], doomed: set[virtual.Key]) -> tuple[dict[int, int | None], set[virtual.Key]]:
        """
        Find where promote_secondaries must be set before *doomed* may go.

        Returns:
            The links to set it on, with its value (None: unknown, to be left set), and the keys of all secondaries.
        """
        guarded: dict[int, int | None] = {}
        secondaries: set[virtual.Key] = set()
        for index in indexes:
            try:
                found = self.addresses(index)
                secondaries |= {virtual.found_key(one) for one in found if one.secondary}
                if virtual.shaky_links(found, doomed):
                    answer = self._questions.ask(rtnetlink.get_link(index), f"link {index}")
                    value = rtnetlink.read_promote_secondaries(answer)
                    if value != 1:
                        guarded[index] = value
            except LinkNotReady:
                continue
            except KernelError:
                # Not knowing is no reason to keep a VIP, and promotion does no harm.
                guarded[index] = None
        return guarded, secondaries

    def announce(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """
        Send whole Ethernet frames, each on the interface with that index.

        Raises:
            KernelError: The first failure; those after it were tried all the same.
        """
        self._frame_socket().send(frames)

    def _frame_socket(self) -> FrameSocket:
        if self._frames is None:
            from pyvrrp.net.batches import FrameSocket  # noqa: PLC0415

            self._frames = FrameSocket()
        return self._frames

    def rehearse(self) -> None:
        """Go through the motions of `install` and `announce`, with a message that asks for nothing and no frames."""
        if self._changing.acquire(blocking=False):  # whoever changes something may be waiting for others
            try:
                self._changes.change([_NOTHING])
            finally:
                self._changing.release()
        self._frame_socket().send(())

    def close(self) -> None:
        """Give back the netlink sockets and the packet socket; closing twice is harmless."""
        self._questions.close()
        self._changes.close()
        if self._frames is not None:
            self._frames.close()


def _with_indexes(addresses: Sequence[VirtualAddress]) -> list[tuple[VirtualAddress, int | None]]:
    """Put the index of its interface beside each address, None where there is no such interface."""
    indexes: dict[str, int | None] = {}
    for name in {address.interface for address in addresses}:
        try:
            indexes[name] = socket.if_nametoindex(name)
        except (OSError, ValueError):  # ValueError: a NUL in the name
            indexes[name] = None
    return [(address, indexes[address.interface]) for address in addresses]
