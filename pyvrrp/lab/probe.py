"""
Echo requests from the client to the virtual address, and who answered which of them when.

The kernel of the router that holds the address answers, so nothing of ours has to run there. Requests go out through
the client's own neighbour table, as anybody's packets would.
"""

from __future__ import annotations

import bisect
import contextlib
import socket
import struct
import time
from dataclasses import dataclass
from typing import Final

from pyvrrp.lab.capture import (
    AT_ETHER_TYPE,
    AT_ICMP_V4,
    AT_ICMP_V6,
    AT_NEXT_HEADER,
    AT_PROTOCOL_V4,
    JUMP_IF_EQUAL,
    LOAD_HALF,
    LOAD_OCTET,
    RETURN,
    WHOLE,
    Instruction,
    Tap,
)
from pyvrrp.protocol.checksum import checksum
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.headers import ETHER_TYPE_IPV4, ETHER_TYPE_IPV6

INTERVAL_US: Final = 2000

_ICMP: Final = 1
_ICMPV6: Final = 58
_REQUEST: Final = {Family.V4: 8, Family.V6: 128}  # RFC 792, RFC 4443 4.1
_REPLY: Final = {Family.V4: 0, Family.V6: 129}
_MESSAGE: Final = struct.Struct("!BBHHHQ")  # type, code, checksum, identifier, sequence, our number
_IDENTIFIER: Final = 0x5652
_LATE_US: Final = 100_000
_SOL_RAW: Final = 255
_ICMP_FILTER: Final = 1  # linux/icmp.h, linux/icmpv6.h: the same number for both


def _filter(family: Family) -> tuple[Instruction, ...]:
    ether_type, at_protocol, protocol, at_icmp = (
        (ETHER_TYPE_IPV4, AT_PROTOCOL_V4, _ICMP, AT_ICMP_V4)
        if family is Family.V4
        else (ETHER_TYPE_IPV6, AT_NEXT_HEADER, _ICMPV6, AT_ICMP_V6)
    )
    return (
        (LOAD_HALF, 0, 0, AT_ETHER_TYPE),
        (JUMP_IF_EQUAL, 0, 5, ether_type),
        (LOAD_OCTET, 0, 0, at_protocol),
        (JUMP_IF_EQUAL, 0, 3, protocol),
        (LOAD_OCTET, 0, 0, at_icmp),
        (JUMP_IF_EQUAL, 0, 1, _REPLY[family]),
        (RETURN, 0, 0, WHOLE),
        (RETURN, 0, 0, 0),
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """One answered probe: when it was sent, when its answer was back, and the MAC address that answered."""

    number: int
    sent_us: int
    received_us: int
    source: bytes


@dataclass(frozen=True, slots=True)
class Outage:
    """What the client noticed of a switch: *before* is its last answer before it, *after* its first one since."""

    before: Answer
    after: Answer

    @property
    def lost(self) -> int:
        """Probes that nobody answered."""
        return self.after.number - self.before.number - 1

    @property
    def length_us(self) -> int:
        """From the last answered probe to the next answered one, by the times they were sent; 0 if none was lost."""
        return self.after.sent_us - self.before.sent_us if self.lost else 0


class Probe:
    """A stream of numbered echo requests; make it in the client's network namespace."""

    def __init__(self, target: IPAddress, interface: str) -> None:
        self.answers: list[Answer] = []
        self.next_us = now_us()
        self._target = str(target)
        self._family = Family(target.version)
        self._sent_us: list[int] = []
        family, protocol = (
            (socket.AF_INET, _ICMP) if self._family is Family.V4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
        )
        self._socket = socket.socket(family, socket.SOCK_RAW, protocol)
        self._socket.setblocking(False)
        # Answers are read from the tap, which knows their MAC address; here they would only fill the queue.
        if self._family is Family.V4:
            self._socket.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("@I", 0xFFFF_FFFF))
        else:
            self._socket.setsockopt(socket.IPPROTO_ICMPV6, _ICMP_FILTER, b"\xff" * 32)
        self._tap = Tap(_filter(self._family), interface)

    def fileno(self) -> int:
        """Becomes readable when there are answers."""
        return self._tap.fileno()

    def close(self) -> None:
        """Send no more."""
        self._tap.close()
        self._socket.close()

    def send_due(self, now: int) -> None:
        """Send the probe that is due at *now*, if one is; after a long sleep those missed are left out."""
        if now < self.next_us:
            return
        self.next_us += INTERVAL_US
        if now - self.next_us > _LATE_US:
            self.next_us = now + INTERVAL_US
        number = len(self._sent_us)
        fields = (_REQUEST[self._family], 0, 0, _IDENTIFIER, number & 0xFFFF, number)
        message = _MESSAGE.pack(*fields)
        if self._family is Family.V4:  # the kernel fills in that of ICMPv6, which needs the source address
            message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
        self._sent_us.append(now_us())
        with contextlib.suppress(OSError):  # no neighbour answers: that is what is measured
            self._socket.sendto(message, (self._target, 0))

    def receive(self) -> None:
        """Take in the answers that are there."""
        at = AT_ICMP_V4 if self._family is Family.V4 else AT_ICMP_V6
        for frame in self._tap.receive():
            if len(frame.octets) < at + _MESSAGE.size:
                continue
            _, _, _, identifier, _, number = _MESSAGE.unpack_from(frame.octets, at)
            if identifier == _IDENTIFIER and number < len(self._sent_us):
                self.answers.append(Answer(number, self._sent_us[number], frame.at_us, frame.source))

    def first_by_other(self, source: bytes, after_us: int) -> Answer | None:
        """The first answer since *after_us* that did not come from *source*."""
        start = bisect.bisect_left(self.answers, after_us, key=lambda answer: answer.received_us)
        return next((answer for answer in self.answers[start:] if answer.source != source), None)

    def outage(self, after: Answer) -> Outage:
        """
        The gap that ends with *after*.

        Raises:
            ValueError: There is no answer before it.
        """
        place = self.answers.index(after)
        if place == 0:
            raise ValueError("the first answer ends no outage")
        return Outage(self.answers[place - 1], after)


def now_us() -> int:
    """Microseconds of the clock that the kernel stamps packets with."""
    return time.time_ns() // 1000
