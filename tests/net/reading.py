"""One packet at a time off a socket that hands them up in batches."""

from __future__ import annotations

import time
from collections import deque
from weakref import WeakKeyDictionary

from pyvrrp.errors import PacketError
from pyvrrp.net.sockets import RawSocket
from pyvrrp.net.system import AdvertisementSocket, Arrival, Datagram

_LEFT: WeakKeyDictionary[AdvertisementSocket, deque[Arrival]] = WeakKeyDictionary()


def take(sock: AdvertisementSocket | RawSocket) -> Datagram | None:
    """The next packet, None if none is there; what cannot be read is raised."""
    left = _LEFT.setdefault(sock, deque())
    if not left:
        left.extend(sock.read(time.monotonic_ns() // 1000))
    if not left:
        return None
    datagram = left.popleft().datagram
    if isinstance(datagram, PacketError):
        raise datagram
    return datagram
