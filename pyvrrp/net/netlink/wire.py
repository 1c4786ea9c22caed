"""
Netlink's framing: messages and attributes, packed and parsed.

Parsing is total and bounded: any octets give a result or a `KernelError` with EBADMSG.
"""

from __future__ import annotations

import errno
import struct
from typing import Final, NamedTuple

from pyvrrp.errors import KernelError

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3

NLM_F_REQUEST: Final = 0x01
NLM_F_ACK: Final = 0x04
NLM_F_DUMP_INTR: Final = 0x10
NLM_F_EXCL: Final = 0x200
NLM_F_DUMP: Final = 0x300
NLM_F_CREATE: Final = 0x400
NLM_F_CAPPED: Final = 0x100  # of an answer: the request is not repeated in it
NLM_F_ACK_TLVS: Final = 0x200  # of an answer: attributes follow

NLA_F_NESTED: Final = 0x8000
_NLA_TYPE_MASK: Final = 0x3FFF

_NLMSGERR_ATTR_MSG: Final = 1

_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
_ERROR: Final = struct.Struct("=i")
_U32: Final = struct.Struct("=I")
HEADER_OCTETS: Final = _HEADER.size
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")


class Request(NamedTuple):
    """A message to the kernel, without what the socket adds: length, sequence and NLM_F_REQUEST."""

    kind: int
    flags: int
    payload: bytes


class Message(NamedTuple):
    """A message from the kernel."""

    kind: int
    flags: int
    sequence: int
    payload: bytes


class Answer(NamedTuple):
    """The kernel's verdict on a request: errno, 0 for success, and its own words if it had any."""

    errno: int
    text: str


def malformed(detail: str) -> KernelError:
    """Make the error for octets that are not what the kernel would send."""
    return KernelError("read", "netlink message", errno.EBADMSG, detail)


def pack_message(request: Request, sequence: int, extra_flags: int = 0) -> bytes:
    """Put the header before a request; its payload must be padded to four octets, as attributes are."""
    kind, flags, payload = request
    return _HEADER.pack(len(payload) + 16, kind, flags | extra_flags | NLM_F_REQUEST, sequence, 0) + payload


def pack_attribute(kind: int, value: bytes) -> bytes:
    """Pack one attribute, padded to four octets."""
    length = len(value)
    return _ATTRIBUTE.pack(length + 4, kind) + value + _PADDING[length & 3]


def pack_u32(kind: int, value: int) -> bytes:
    """Pack an attribute that holds a 32-bit number."""
    return _ATTRIBUTE.pack(8, kind) + _U32.pack(value)


def parse_messages(data: bytes) -> list[Message]:
    """
    Split what one receive gave into messages.

    Raises:
        KernelError: A length is impossible (EBADMSG).
    """
    found: list[Message] = []
    at = 0
    end = len(data)
    while end - at >= HEADER_OCTETS:
        length, kind, flags, sequence, _port = _HEADER.unpack_from(data, at)
        if not HEADER_OCTETS <= length <= end - at:
            raise malformed(f"message length {length} with {end - at} octets left")
        found.append(Message(kind, flags, sequence, data[at + HEADER_OCTETS : at + length]))
        at += (length + 3) & ~3
    if at < end:
        raise malformed(f"{end - at} octets after the last message")
    return found


def parse_attributes(data: bytes, start: int = 0) -> dict[int, bytes]:
    """
    Read the attributes from *start*; of one that comes twice the last counts, as in the kernel.

    Raises:
        KernelError: A length is impossible (EBADMSG).
    """
    return dict(split_attributes(data, start))


def split_attributes(data: bytes, start: int = 0) -> list[tuple[int, bytes]]:
    """
    Read the attributes from *start* as a list, in which one kind may come more than once.

    Raises:
        KernelError: A length is impossible (EBADMSG).
    """
    found: list[tuple[int, bytes]] = []
    at = start
    end = len(data)
    # Fewer than four octets at the end are padding, for the kernel too.
    while end - at >= 4:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not 4 <= length <= end - at:
            raise malformed(f"attribute length {length} with {end - at} octets left")
        found.append((kind & _NLA_TYPE_MASK, data[at + 4 : at + length]))
        at += (length + 3) & ~3
    return found


def read_u32(value: bytes) -> int:
    """
    Read a 32-bit number.

    Raises:
        KernelError: It is not four octets long (EBADMSG).
    """
    if len(value) != 4:
        raise malformed(f"{len(value)} octets where a 32-bit number was expected")
    number: int = _U32.unpack(value)[0]
    return number


def parse_answer(message: Message) -> Answer:
    """
    Read the verdict in an NLMSG_ERROR, which an acknowledgement is too, or in an NLMSG_DONE.

    Raises:
        KernelError: It is too short, or says an impossible error (EBADMSG).
    """
    payload = message.payload
    if len(payload) < 4:
        if message.kind == NLMSG_DONE:
            return Answer(0, "")
        raise malformed(f"answer of {len(payload)} octets")
    number: int = -_ERROR.unpack_from(payload)[0]
    if number < 0:
        raise malformed(f"answer with error {-number}")
    at = 4
    if message.kind == NLMSG_ERROR:
        at = 4 + HEADER_OCTETS
        if not message.flags & NLM_F_CAPPED and len(payload) >= at:
            at = 4 + ((max(_U32.unpack_from(payload, 4)[0], HEADER_OCTETS) + 3) & ~3)
    text = b""
    if message.flags & NLM_F_ACK_TLVS:
        text = parse_attributes(payload, at).get(_NLMSGERR_ATTR_MSG, b"")
    return Answer(number, text.split(b"\0", 1)[0].decode("utf-8", "replace"))
