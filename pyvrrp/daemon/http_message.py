"""
HTTP/1.1 as far as a health check needs it: the head of one request read, one answer written. Pure.

Whoever can reach the port can send anything. So reading is bounded, ends with a `Request` or with `BadRequest` and
nothing else, and looks at no more than it must: the body of a request, if there is one, is never read.

Source:
    RFC 9112 (messages), RFC 9110 (methods, status codes, Date), RFC 9111 (Cache-Control).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

HEAD_LIMIT: Final = 8 << 10  # octets; what a probe sends is a few hundred, and browsers fit as well

METHODS: Final = ("GET", "HEAD")

REASONS: Final[Mapping[int, str]] = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_REQUEST_LINE: Final = re.compile(
    rb"(?P<method>%(token)s{1,32}) (?P<target>[!-~]++) HTTP/(?P<major>[0-9])\.(?P<minor>[0-9])" % {b"token": _TOKEN}
)
_FIELD: Final = re.compile(rb"(?P<name>%(token)s++):[ \t]*+(?P<value>[\t -~\x80-\xff]*+)" % {b"token": _TOKEN})
_END: Final = re.compile(rb"\r?\n\r?\n")
_ABSOLUTE: Final = re.compile(r"(?i:http)://[^/?#]++")


class BadRequest(Exception):  # noqa: N818  the name it has in the RFC
    """The client broke a rule; *status* says which."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """
    What is asked for.

    Attributes:
        method: As it was sent; not one of `METHODS` perhaps.
        path: Without the query, as it was sent.
    """

    method: str
    path: str


def end_of_head(octets: bytes | bytearray) -> int | None:
    """Length of the head with the empty line that ends it; None if that has not come yet."""
    match = _END.search(octets)
    return None if match is None else match.end()


def read_request(head: bytes) -> Request:
    """
    Read the head of a request.

    Args:
        head: All octets up to and with the empty line.

    Raises:
        BadRequest: It is none.
    """
    if len(head) > HEAD_LIMIT:
        raise BadRequest(431)
    lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    match = _REQUEST_LINE.fullmatch(lines[0]) if lines else None
    if match is None:
        raise BadRequest(400)
    if match["major"] != b"1":
        raise BadRequest(505)
    hosts = 0
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise BadRequest(400)
        hosts += field["name"].lower() == b"host"
    if hosts > 1 or (not hosts and match["minor"] != b"0"):
        raise BadRequest(400)  # RFC 9112 3.2
    target = match["target"].decode("ascii")
    path = _ABSOLUTE.sub("", target, count=1) or "/" if _ABSOLUTE.match(target) else target
    return Request(match["method"].decode("ascii"), path.partition("?")[0])


def write_answer(status: int, body: bytes, *, head_only: bool = False, now_s: float | None = None) -> bytes:
    """
    Write an answer, after which the connection ends.

    Args:
        status: One of `REASONS`.
        body: JSON.
        head_only: The question was HEAD.
        now_s: Seconds since 1970; None for the clock's.
    """
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now_s))  # English: nobody sets a locale
    lines = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        f"Date: {date}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        *([f"Allow: {', '.join(METHODS)}"] if status == 405 else []),
        "Connection: close",
        "\r\n",
    ]
    return "\r\n".join(lines).encode("ascii") + (b"" if head_only else body)
