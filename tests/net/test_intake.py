"""Packets in batches off real sockets: all of them, whole, and with the time at which the kernel took them in."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from pyvrrp.errors import DropReason, PacketError
from pyvrrp.net import intake as intake_module
from pyvrrp.net import sockets as sockets_module
from pyvrrp.net.intake import BATCH, Intake, Known, Packet, ask_for_times
from pyvrrp.net.offload import fingerprint
from pyvrrp.net.system import Datagram
from pyvrrp.protocol.constants import Family
from tests.net.crafted import Wire, header, message, packet
from tests.netns import Network, until

pytestmark = pytest.mark.root


@pytest.fixture(params=list(Family), ids=["v4", "v6"])
def wire(request: pytest.FixtureRequest, network: Network) -> Iterator[Wire]:
    with Wire(network, request.param) as made:
        yield made


def now_us() -> int:
    return time.monotonic_ns() // 1000


def wait(wire: Wire) -> None:
    """Let what was sent arrive, as another socket of the receiver sees it."""
    wire.heard()


def read_all(intake: Intake, sock: socket.socket, known: dict[bytes, Known] | None = None) -> list[Packet]:
    found: list[Packet] = []
    while packets := intake.read(sock.fileno(), now_us(), known or {}):
        found += packets
    return found


def message_of(wire: Wire, one: Packet) -> bytes:
    return one.octets[20:] if wire.family is Family.V4 else one.octets


def numbered(wire: Wire, count: int) -> list[bytes]:
    return [packet(message(wire.family) + n.to_bytes(2, "big"), header(wire.family)) for n in range(count)]


def numbers(wire: Wire, packets: list[Packet]) -> list[int]:
    mark = wire._marker
    return [int.from_bytes(one.octets[-2:], "big") for one in packets if not message_of(wire, one).startswith(mark)]


def await_stamps(wire: Wire, sock: socket.socket) -> None:
    """The kernel begins to stamp packets a moment after the first socket asks; before, it tells when they are read."""
    intake = Intake(wire.family)

    def stamped() -> bool:
        wire.heard()
        sent_us = now_us()
        until(lambda: now_us() > sent_us + 1_000, "a moment")
        return max(one.came_us for one in read_all(intake, sock)) <= sent_us

    until(stamped, "stamps")


def test_times_are_between_sending_and_reading_and_do_not_run_backwards(wire: Wire) -> None:
    intake, sock = Intake(wire.family), wire.open()._socket
    await_stamps(wire, sock)
    before_us = now_us()
    for octets in numbered(wire, 10):
        wire.send(octets)
    wait(wire)
    packets = read_all(intake, sock)
    assert numbers(wire, packets) == list(range(10))
    times = [one.came_us for one in packets]
    assert times == sorted(times)
    assert before_us <= times[0]
    assert times[-1] <= now_us()
    # Read together, and yet each has its own time.
    assert len(set(times[:10])) > 1


def test_more_than_one_batch(wire: Wire) -> None:
    intake, sock = Intake(wire.family), wire.open()._socket
    count = 2 * BATCH + 22
    wire.send(*numbered(wire, count))
    wait(wire)
    seen, sizes = [], []
    while packets := intake.read(sock.fileno(), now_us(), {}):
        seen += numbers(wire, packets)
        sizes.append(len(packets))
        assert intake.full is (len(packets) == BATCH)
    assert seen == list(range(count))
    assert sizes[:2] == [BATCH, BATCH]
    assert intake.count == sum(sizes)


def test_short_ones_after_long_ones_are_whole(wire: Wire) -> None:
    """Memory is used again; nothing of an earlier packet sticks to a later one."""
    intake, sock = Intake(wire.family), wire.open()._socket
    for size in (255, 1, 14, 255, 1):
        wanted = [message(wire.family, priority=n + 10, count=size) for n in range(5)]
        wire.send(*[packet(payload, header(wire.family, number=n + 1)) for n, payload in enumerate(wanted)])
        wait(wire)
        found = read_all(intake, sock)
        got = [message_of(wire, one) for one in found]
        assert [one for one in got if not one.startswith(wire._marker)] == wanted
        if wire.family is Family.V6:
            assert [one.source for one in found[:5]] == [
                header(wire.family, number=n + 1).source.packed for n in range(5)
            ]
            assert {(one.destination, one.hops) for one in found} == {(wire.family.group.packed, 255)}


def test_nothing_is_there(wire: Wire) -> None:
    intake, sock = Intake(wire.family), wire.open()._socket
    wait(wire)
    read_all(intake, sock)
    assert intake.read(sock.fileno(), now_us(), {}) == []
    assert not intake.full


def test_a_closed_socket_and_the_next_one(wire: Wire) -> None:
    intake = Intake(wire.family)
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        intake.read(-1, now_us(), {})
    assert caught.value.errno == errno.EBADF
    assert not intake.full
    sock = wire.open()._socket
    wire.send(*numbered(wire, 3))
    wait(wire)
    assert numbers(wire, read_all(intake, sock)) == [0, 1, 2]


def test_a_packet_longer_than_any_advertisement(wire: Wire) -> None:
    """It is cut, refused for what is missing, and the next one is as it should be."""
    sock = wire.open()
    good = message(wire.family)
    wire.send(packet(good + bytes(8500), header(wire.family)), packet(good, header(wire.family)))
    arrivals: list[Datagram | PacketError] = []

    def both_came() -> bool:
        arrivals.extend(one.datagram for one in sock.read(now_us()))
        return len(arrivals) == 2

    until(both_came, "both packets")
    first, second = arrivals
    if wire.family is Family.V4:
        assert isinstance(first, PacketError)
        assert first.reason is DropReason.MALFORMED_IP
    else:
        assert isinstance(first, Datagram)
        assert len(first.payload) < len(good) + 8500
    assert second == Datagram(header(wire.family), good)


def test_repetitions_are_noted_and_the_rest_is_not(wire: Wire) -> None:
    intake, sock = Intake(wire.family), wire.open()._socket
    payload = message(wire.family)
    one = Known()
    one.key, one.ttl = fingerprint(header(wire.family), payload), 255
    same, other_ttl = packet(payload, header(wire.family)), packet(payload, header(wire.family, ttl=254))
    longer = packet(payload + b"\0", header(wire.family))
    before_us = now_us()
    wire.send(same, other_ttl, same, longer, same)
    wait(wire)
    found = read_all(intake, sock, {one.key: one})
    assert [message_of(wire, each) for each in found][:2] == [payload, payload + b"\0"]
    assert one.repetitions == 3
    assert before_us <= one.heard_us <= now_us()


def test_ipv4_options_are_not_taken_for_a_message(network: Network) -> None:
    """Header, options and message together may be the octets of a longer armed message behind a plain header."""
    with Wire(network, Family.V4) as wire:
        intake, sock = Intake(Family.V4), wire.open()._socket
        payload = message(Family.V4)
        one = Known()
        one.key, one.ttl = fingerprint(header(Family.V4), b"\x01\x01\x01\x01" + payload), 255
        wire.send(packet(payload, header(Family.V4), options=b"\x01\x01\x01\x01"))
        wait(wire)
        assert len(read_all(intake, sock, {one.key: one})) == 2
        assert one.repetitions == 0


def _unstamped(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    with monkeypatch.context() as patch:
        patch.setattr(sockets_module, "ask_for_times", lambda _: None)
        return wire.open()._socket


def test_without_stamps_the_time_is_that_of_reading(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    sock = _unstamped(wire, monkeypatch)
    wire.send(*numbered(wire, 3))
    wait(wire)
    packets = Intake(wire.family).read(sock.fileno(), 12345, {})
    assert numbers(wire, packets) == [0, 1, 2]
    assert {one.came_us for one in packets} == {12345}


def test_a_packet_without_stamp_does_not_take_that_of_another(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory was used for packets of another socket, which had stamps."""
    sock, stamped = _unstamped(wire, monkeypatch), wire.open()._socket
    await_stamps(wire, stamped)
    intake = Intake(wire.family)
    read_all(intake, sock)
    wire.send(*numbered(wire, 3))
    wait(wire)
    assert numbers(wire, read_all(intake, stamped)) == [0, 1, 2]
    present_us = now_us()
    assert {one.came_us for one in intake.read(sock.fileno(), present_us, {})} == {present_us}


class _Refuses:
    def __init__(self, number: int) -> None:
        self.number = number

    def setsockopt(self, *_: object) -> None:
        raise OSError(self.number, "refused")


def test_a_kernel_without_stamps_is_no_error_and_any_other_refusal_is() -> None:
    ask_for_times(cast("socket.socket", _Refuses(errno.ENOPROTOOPT)))
    with pytest.raises(OSError, match="refused"):
        ask_for_times(cast("socket.socket", _Refuses(errno.EBADF)))


def _set_clock(monkeypatch: pytest.MonkeyPatch, by_s: float) -> None:
    """From now on the time of day is another."""
    monkeypatch.setattr(
        intake_module,
        "time",
        SimpleNamespace(time_ns=lambda: time.time_ns() + round(by_s * 1e9), monotonic_ns=time.monotonic_ns),
    )


def test_a_clock_set_back_while_packets_wait(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """They cannot have come later than now."""
    intake, sock = Intake(wire.family), wire.open()._socket
    wire.send(*numbered(wire, 3))
    wait(wire)
    _set_clock(monkeypatch, -3600)
    present_us = now_us()
    assert {one.came_us for one in intake.read(sock.fileno(), present_us, {})} == {present_us}


@pytest.mark.parametrize("by_s", [5, 3600, 56 * 365 * 86400], ids=["seconds", "an hour", "from 1970"])
def test_a_clock_set_forward_while_packets_wait(wire: Wire, monkeypatch: pytest.MonkeyPatch, by_s: float) -> None:
    """
    They cannot have come before the socket was last found empty.

    Else masters that were just heard are silent since long ago, and a time before the machine's start cannot even be
    written into the eBPF table.
    """
    intake, sock = Intake(wire.family), wire.open()._socket
    await_stamps(wire, sock)
    empty_us = now_us()
    wire.send(*numbered(wire, 3))
    wait(wire)
    _set_clock(monkeypatch, by_s)
    packets = intake.read(sock.fileno(), now_us(), {})
    assert numbers(wire, packets) == [0, 1, 2]
    assert min(one.came_us for one in packets) >= empty_us - 1000
