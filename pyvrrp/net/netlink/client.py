"""
The netlink sockets: one that asks and is answered, one that listens.

Both take nothing that the kernel did not send: any process may write to a netlink port.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Sequence
from typing import Final

from pyvrrp.errors import KernelError
from pyvrrp.net.netlink import rtnetlink, wire
from pyvrrp.net.netlink.wire import Answer, Message, Request
from pyvrrp.net.refusals import refusal
from pyvrrp.net.system import KernelEvent, Resynchronise

# linux/netlink.h; the socket module of 3.11 has none of these
_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK: Final = 10
_NETLINK_EXT_ACK: Final = 11
_NETLINK_GET_STRICT_CHK: Final = 12
_SO_RCVBUFFORCE: Final = 33  # asm-generic/socket.h

_RECEIVE_OCTETS: Final = 65536  # twice the largest message that the kernel puts into a dump
_BATCH: Final = 256  # a failure of each, about 1 KiB in the kernel, still fits a default receive buffer
_ANSWER_WITHIN_S: Final = 5.0  # the kernel answers before send returns; without an answer by then it was lost
_DUMP_TRIES: Final = 16  # a table that changes during that many dumps in a row is not read again
_MONITOR_BUFFER: Final = 8 << 20  # some thousand changes while the engine is busy; beyond it ENOBUFS
_MONITOR_BOUND: Final = 4096  # datagrams for one call; the rest keeps the socket readable

SUBJECT: Final = "rtnetlink"


def _enlarge(sock: socket.socket, octets: int) -> None:
    # Without CAP_NET_ADMIN the kernel's rmem_max is the limit, which is no reason to stop.
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, octets)
    except OSError:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)


def _open(groups: int, protocol: int = socket.NETLINK_ROUTE, subject: str = SUBJECT) -> socket.socket:
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        raise refusal("open", subject, error.errno) from error
    try:
        for option in (_NETLINK_EXT_ACK, _NETLINK_CAP_ACK, _NETLINK_GET_STRICT_CHK):
            # Older kernels lack them one by one; what is lost is a text, some octets, a filter we apply as well.
            with contextlib.suppress(OSError):
                sock.setsockopt(_SOL_NETLINK, option, 1)
        sock.bind((0, groups))
    except OSError as error:
        sock.close()
        raise refusal("bind", subject, error.errno) from error
    return sock


def _from_kernel(sock: socket.socket) -> bytes:
    """Read the next datagram that the kernel sent; OSError as from `recv`, EMSGSIZE for one cut short."""
    while True:
        data, _ancillary, flags, sender = sock.recvmsg(_RECEIVE_OCTETS)
        if sender[0] != 0:
            continue
        if flags & socket.MSG_TRUNC:
            raise OSError(errno.EMSGSIZE, "netlink message larger than the buffer")
        return data


class Client:
    """
    Requests and their answers, one caller at a time; safe to call from several threads.

    The socket belongs to the network namespace of the thread that makes it.

    Args:
        protocol: Netlink family.
        subject: Its name, as errors shall say it.
        needs: Capability without which this family does not even answer.
    """

    def __init__(self, protocol: int = socket.NETLINK_ROUTE, subject: str = SUBJECT, needs: str = "") -> None:
        self._subject = subject
        self._needs = needs
        self._lock = threading.Lock()
        self._sequence = 0
        self._socket = _open(0, protocol, subject)
        self._socket.settimeout(_ANSWER_WITHIN_S)

    def close(self) -> None:
        """Give the socket back; closing twice is harmless."""
        self._socket.close()

    def _next(self) -> int:
        self._sequence = self._sequence % 0xFFFFFFFF + 1
        return self._sequence

    def _receive(self) -> list[Message]:
        try:
            data = _from_kernel(self._socket)
        except TimeoutError as error:
            raise refusal("hear from", self._subject, errno.ETIMEDOUT) from error
        except OSError as error:
            raise refusal("hear from", self._subject, error.errno) from error
        return wire.parse_messages(data)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            raise refusal("write to", self._subject, error.errno) from error

    def dump(self, request: Request, subject: str) -> list[Message]:
        """
        Ask for a table, again if it changed while it was read.

        Args:
            request: The question.
            subject: What is asked for, as errors shall say it.

        Raises:
            KernelError: The kernel refused, or the table did not come to rest (EINTR).
        """
        with self._lock:
            for _ in range(_DUMP_TRIES):
                found = self._dump(request, subject)
                if found is not None:
                    return found
        raise KernelError("list", subject, errno.EINTR, f"it changed during each of {_DUMP_TRIES} attempts")

    def _dump(self, request: Request, subject: str) -> list[Message] | None:
        sequence = self._next()
        self._send(wire.pack_message(request, sequence, wire.NLM_F_DUMP))
        found: list[Message] = []
        interrupted = 0
        while True:
            for message in self._receive():
                if message.sequence != sequence:
                    continue
                interrupted |= message.flags & wire.NLM_F_DUMP_INTR
                if message.kind not in (wire.NLMSG_ERROR, wire.NLMSG_DONE):
                    found.append(message)
                    continue
                answer = wire.parse_answer(message)
                if answer.errno:
                    raise refusal("list", subject, answer.errno, needs=self._needs, detail=answer.text)
                return None if interrupted else found

    def ask(self, request: Request, subject: str) -> Message:
        """
        Ask for one thing.

        Raises:
            KernelError: The kernel refused; `LinkNotReady` for a link that is not there.
        """
        with self._lock:
            sequence = self._next()
            self._send(wire.pack_message(request, sequence))
            while True:
                for message in self._receive():
                    if message.sequence != sequence:
                        continue
                    if message.kind != wire.NLMSG_ERROR:
                        return message
                    answer = wire.parse_answer(message)
                    number = answer.errno or errno.ENODATA
                    raise refusal("read", subject, number, needs=self._needs, detail=answer.text)

    def transact(self, requests: Sequence[Request]) -> tuple[int, Answer]:
        """
        Carry out requests of a family that makes all of a send's changes or none (nfnetlink).

        Args:
            requests: Two at least: the first and the last mark the beginning and the end.

        Returns:
            The place in *requests* of the first that failed, and why; if none did, of the last change, with errno 0.

        Raises:
            KernelError: Not sent, or no answer was heard: nothing is known.
        """
        with self._lock:
            sequences = [self._next() for _ in requests]
            flags = [0] * len(requests)
            flags[-2] = wire.NLM_F_ACK  # the end itself is acknowledged by late kernels only
            together = zip(requests, sequences, flags, strict=True)
            self._send(b"".join(wire.pack_message(*one) for one in together))
            while True:
                for message in self._receive():
                    if message.kind == wire.NLMSG_ERROR and message.sequence in sequences:
                        answer, at = wire.parse_answer(message), sequences.index(message.sequence)
                        # A failure to commit is said of the beginning, and before all acknowledgements.
                        if answer.errno or at == len(requests) - 2:
                            return at, answer

    def change(self, requests: Sequence[Request]) -> list[Answer]:
        """
        Carry out requests in order, as many as 256 in one send.

        The kernel goes on after one that fails, says which by its sequence number, and acknowledges the last.

        Returns:
            For each request the kernel's answer, errno 0 for success.
        """
        answers: list[Answer] = []
        with self._lock:
            for start in range(0, len(requests), _BATCH):
                answers += self._change(requests[start : start + _BATCH])
        return answers

    def _change(self, requests: Sequence[Request]) -> list[Answer]:
        sequences = [self._next() for _ in requests]
        last = sequences[-1]
        octets = [wire.pack_message(request, sequence) for request, sequence in zip(requests, sequences, strict=True)]
        octets[-1] = wire.pack_message(requests[-1], last, wire.NLM_F_ACK)
        answers: dict[int, Answer] = {}
        unheard = Answer(0, "")
        try:
            self._send(b"".join(octets))
            while last not in answers:
                for message in self._receive():
                    if message.kind == wire.NLMSG_ERROR:
                        answers[message.sequence] = wire.parse_answer(message)
        except KernelError as error:
            # Not sent, or an answer lost: silence then proves nothing of those that were not named.
            unheard = Answer(error.errno, error.detail or "the kernel's answer was not heard")
        return [answers.get(sequence, unheard) for sequence in sequences]


class Monitor:
    """News of links and addresses, in the kernel's order, nothing left out or put together."""

    def __init__(self, *, marks: bool) -> None:
        """
        Start to listen, in the network namespace of the calling thread.

        Args:
            marks: The kernel knows IFA_PROTO.

        Raises:
            KernelError: The kernel gave no socket.
        """
        self._marks = marks
        self._socket = _open(rtnetlink.GROUPS)
        self._socket.setblocking(False)
        _enlarge(self._socket, _MONITOR_BUFFER)

    def fileno(self) -> int:
        """File descriptor to poll, -1 once closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening; closing twice is harmless."""
        self._socket.close()

    def receive(self) -> Sequence[KernelEvent]:
        """
        Read all that is known since the last call, oldest first; empty when there is nothing.

        After an overrun the answer is `Resynchronise` alone: what was still queued is older than what `links()` and
        `addresses()` will say, and would undo it.

        Raises:
            KernelError: The socket is broken.
        """
        events: list[KernelEvent] = []
        lost = False
        for _ in range(_MONITOR_BOUND):
            try:
                data = _from_kernel(self._socket)
                news = [rtnetlink.read_event(message, marks=self._marks) for message in wire.parse_messages(data)]
            except BlockingIOError:
                break
            except KernelError:
                # Octets we cannot read are news we lack.
                lost = True
            except OSError as error:
                if error.errno not in (errno.ENOBUFS, errno.EMSGSIZE):
                    raise refusal("hear from", SUBJECT, error.errno) from error
                lost = True
            else:
                events += [event for event in news if event is not None]
        return [Resynchronise()] if lost else events
