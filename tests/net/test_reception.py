"""The three paths of reception on real sockets: they hear the same, and each falls back on the next."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import pytest

from pyvrrp.errors import KernelError, LinkNotReady, PacketError
from pyvrrp.net import filters, intake, offload, reception
from pyvrrp.net.links import find_link
from pyvrrp.net.linux import LinuxSystem
from pyvrrp.net.reception import BATCHES_MAX, OffloadedReception, SplitReception
from pyvrrp.net.sockets import RawSocketV4, RawSocketV6, open_raw_socket
from pyvrrp.net.system import Arrival, Datagram, ReceivePath
from pyvrrp.protocol.constants import Family, IPAddress
from pyvrrp.protocol.headers import IpHeader, build_ethernet
from tests.net.crafted import VRID, Wire, descriptors, header, message, packet, sender
from tests.netns import Network, until

pytestmark = pytest.mark.root

OTHER = 63
STRANGER = 99
LENGTH = 64
LONGEST = {Family.V4: 8 + 255 * 4, Family.V6: 8 + 255 * 16}


def why_refused() -> str | None:
    """Why this process may not use eBPF, or None if it may."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            offload.open_offload(sock, Family.V4, [1], 64).close()
        except KernelError as error:
            return str(error)
    return None


def now_us() -> int:
    return time.monotonic_ns() // 1000


@dataclass
class Receiver:
    """A socket that goes one path, and the wire it hears."""

    wire: Wire
    sock: RawSocketV4 | RawSocketV6

    @property
    def family(self) -> Family:
        return self.wire.family

    def datagram(self, payload: bytes, *, number: int = 1, ttl: int = 255) -> Datagram:
        return Datagram(header(self.family, number=number, ttl=ttl), payload)

    def say(self, *datagrams: Datagram) -> None:
        self.wire.send(*[packet(one.payload, one.header) for one in datagrams])

    def gather(self) -> list[Arrival]:
        """All that is handed up of what was sent until now; a marker of VRID 62 tells the end."""
        wire = self.wire
        wire._send([wire._mark()])
        last = wire._marker + wire._sent.to_bytes(4, "big")
        found: list[Arrival] = []

        def ended() -> bool:
            over = False
            for one in self.sock.read(now_us()):
                payload = one.datagram.payload if isinstance(one.datagram, Datagram) else b""
                over = over or payload == last
                if not payload.startswith(wire._marker):
                    found.append(one)
            return over and not self.sock.more

        until(ended, "the marker")
        return found

    def hears(self) -> list[Datagram | PacketError]:
        return [one.datagram for one in self.gather()]

    def settle(self) -> None:
        """Let the split path compile its filters anew, which it does when it reads, but not too often."""
        inner = self.sock._reception
        if isinstance(inner, SplitReception):
            until(lambda: self.gather() == [] and not inner._changed, "new filters")


def open_on(wire: Wire, path: ReceivePath, *, multicast: bool = True) -> RawSocketV4 | RawSocketV6:
    with wire.host.inside(), closing(LinuxSystem()) as system:
        link = find_link(system.links(), wire._interface)
        assert link is not None
        return open_raw_socket(link, wire.family, wire.family.group if multicast else None, path)


@contextlib.contextmanager
def receiver_on(network: Network, family: Family, path: ReceivePath, longest: int = LENGTH) -> Iterator[Receiver]:
    if path is ReceivePath.EBPF and (reason := why_refused()):
        pytest.skip(f"eBPF is refused here: {reason}")
    with Wire(network, family) as wire, closing(open_on(wire, path)) as sock:
        with wire.host.inside():
            sock.serve([VRID, OTHER], longest)
        assert sock.path is path
        assert sock.refused is None
        yield Receiver(wire, sock)


EVERY = [pytest.param((family, path), id=f"v{family:d}-{path}") for family in Family for path in ReceivePath]


@pytest.fixture(params=EVERY)
def there(request: pytest.FixtureRequest, network: Network) -> Iterator[Receiver]:
    """One of six: either family, every path."""
    family, path = request.param
    with receiver_on(network, family, path) as made:
        yield made


def in_some_order(found: Iterable[Datagram | PacketError]) -> list[tuple[bytes, IPAddress]]:
    """The split path knows no order within a microsecond, and packets of one system call come that fast."""
    assert all(isinstance(one, Datagram) for one in found)
    return sorted((one.payload, one.header.source) for one in found if isinstance(one, Datagram))


class SteadyClocks:
    """The clocks of stamps and of deadlines, asked at one moment: how far they are apart is always the same."""

    def __init__(self) -> None:
        self._ahead_ns = time.time_ns() - time.monotonic_ns()
        self._now_ns = 0

    def time_ns(self) -> int:
        self._now_ns = time.monotonic_ns()
        return self._now_ns + self._ahead_ns

    def monotonic_ns(self) -> int:
        return self._now_ns


def await_stamps(there: Receiver) -> None:
    """The kernel begins to stamp packets a moment after the first socket asks; before, it tells when they are read."""

    def stamped() -> bool:
        there.say(there.datagram(message(there.family)))
        sent_us = now_us()
        until(lambda: now_us() > sent_us + 1_000, "a moment")
        return [one.came_us <= sent_us for one in there.gather()] == [True]

    until(stamped, "stamps")


# Repetitions


def test_repetitions_are_kept_with_their_time(there: Receiver) -> None:
    good = there.datagram(message(there.family))
    there.say(good)
    [first] = there.gather()
    assert first.datagram == good
    assert there.sock.heard_us(VRID) == 0
    there.sock.arm(VRID, good, first.came_us)
    assert there.sock.heard_us(VRID) == first.came_us
    there.settle()
    for _ in range(3):
        before_us = now_us()
        there.say(good, good)
        assert there.gather() == []
        assert before_us <= there.sock.heard_us(VRID) <= now_us()
        assert there.sock.take_repetitions(VRID) == 2
    assert there.sock.take_repetitions(VRID) == 0
    assert there.sock.take_repetitions(OTHER) == 0


def test_they_are_kept_before_new_filters_are_there(there: Receiver) -> None:
    """On the split path they come by the other socket until then."""
    good = there.datagram(message(there.family))
    there.sock.arm(VRID, good, 1)
    there.say(good, good)
    assert there.gather() == []
    assert there.sock.take_repetitions(VRID) == 2


def test_one_bit_of_any_octet_is_handed_up(there: Receiver) -> None:
    payload = message(there.family)
    there.sock.arm(VRID, there.datagram(payload), 1)
    there.settle()
    changed = []
    for at in set(range(len(payload))) - {1}:  # another VRID is another matter
        octets = bytearray(payload)
        octets[at] ^= 1
        changed.append(there.datagram(bytes(octets)))
    there.say(*changed)
    assert in_some_order(there.hears()) == in_some_order(changed)
    assert there.sock.take_repetitions(VRID) == 0
    assert there.sock.heard_us(VRID) == 1


def test_what_else_differs_is_handed_up(there: Receiver) -> None:
    payload = message(there.family)
    there.sock.arm(VRID, there.datagram(payload), 1)
    there.settle()
    others = [
        there.datagram(payload, number=2),
        there.datagram(payload + b"\0"),
        there.datagram(payload[:-1]),
        there.datagram(message(there.family, priority=0)),
        there.datagram(message(there.family, OTHER)),
    ]
    there.say(*others)
    assert in_some_order(there.hears()) == in_some_order(others)
    assert there.sock.take_repetitions(VRID) == 0


def test_disarmed_all_is_handed_up_again(there: Receiver) -> None:
    good = there.datagram(message(there.family))
    there.sock.arm(VRID, good, 1)
    there.settle()
    there.say(good)
    assert there.gather() == []
    heard_us = there.sock.heard_us(VRID)
    there.sock.disarm(VRID)
    there.sock.disarm(VRID)
    there.sock.disarm(STRANGER)
    there.say(good, good)
    assert there.hears() == [good, good]
    assert there.sock.heard_us(VRID) == heard_us > 1
    assert there.sock.take_repetitions(VRID) == 1


def test_armed_anew_the_old_one_is_handed_up(there: Receiver) -> None:
    first, second = (there.datagram(message(there.family, priority=priority)) for priority in (100, 101))
    there.sock.arm(VRID, first, 1)
    there.settle()
    there.sock.arm(VRID, second, 2)
    there.say(first, second, first)
    assert there.hears() == [first, first]
    there.settle()
    there.say(first, second, first)
    assert there.hears() == [first, first]
    assert there.sock.take_repetitions(VRID) == 2


def test_each_vrid_has_its_own(there: Receiver) -> None:
    one, other = there.datagram(message(there.family)), there.datagram(message(there.family, OTHER), number=2)
    there.sock.arm(VRID, one, 1)
    there.sock.arm(OTHER, other, 2)
    assert there.sock.oldest_us([VRID, OTHER]) == 1
    there.settle()
    there.say(one, other, other)
    assert there.gather() == []
    assert [there.sock.take_repetitions(vrid) for vrid in (VRID, OTHER)] == [1, 2]
    assert there.sock.oldest_us([VRID, OTHER]) == there.sock.heard_us(VRID) <= there.sock.heard_us(OTHER)
    there.sock.disarm(VRID)
    there.say(one, other)
    assert there.hears() == [one]


def test_an_advertisement_as_long_as_can_be(network: Network) -> None:
    for family in Family:
        for path in ReceivePath:
            with receiver_on(network, family, path, LONGEST[family]) as there:
                good = there.datagram(message(family, count=255))
                there.sock.arm(VRID, good, 1)
                there.settle()
                changed = there.datagram(good.payload[:-1] + bytes((good.payload[-1] ^ 1,)))
                there.say(good, changed, good)
                assert there.hears() == [changed]
                assert there.sock.take_repetitions(VRID) == 2
            network.close()


def test_a_time_before_the_start_of_the_machine(network: Network) -> None:
    """As it comes of a clock that is set forward by years while a packet waits: a machine without a battery boots."""
    with receiver_on(network, Family.V4, ReceivePath.EBPF) as there:
        good = there.datagram(message(Family.V4))
        there.sock.arm(VRID, good, -1)
        there.say(good)
        assert there.gather() == []
        assert there.sock.take_repetitions(VRID) == 1


# Who it is for


def test_of_strangers_all_or_a_share(there: Receiver) -> None:
    strangers = [there.datagram(message(there.family, STRANGER, priority=n % 250 + 1)) for n in range(500)]
    assert there.sock.share == 1
    there.say(*strangers[:50])
    assert there.hears() == strangers[:50]
    there.sock.set_share(64)
    assert there.sock.share == 64
    there.sock.take_unheard()
    for begin in range(0, 500, 100):
        there.say(*strangers[begin : begin + 100])
    heard = there.gather()
    assert len(heard) < 100  # 8 are to be expected; the chance of 100 is nil
    if there.sock.path is ReceivePath.EBPF:
        assert {vrid: dict(counts) for vrid, counts in there.sock.take_unheard().items()} == {
            0: {"vrid-unknown": 500 - len(heard)}
        }
    assert there.sock.take_unheard() == {}
    there.sock.set_share(1)
    there.say(*strangers[:50])
    assert there.hears() == strangers[:50]


def test_a_wrong_ttl_is_like_a_stranger_and_never_a_repetition(there: Receiver) -> None:
    good = there.datagram(message(there.family))
    far = there.datagram(good.payload, ttl=254)
    there.sock.arm(VRID, good, 1)
    there.settle()
    there.say(far, good, far)
    assert there.hears() == [far, far]
    there.sock.set_share(1 << 30)
    there.say(*[far] * 20, good)
    assert there.hears() == []
    assert there.sock.take_repetitions(VRID) == 2
    unheard: Mapping[int, Mapping[str, int]] = {}
    if there.sock.path is ReceivePath.EBPF:
        unheard = {VRID: {"ttl": 20}}
    assert there.sock.take_unheard() == unheard


def test_other_vrids_from_now_on(there: Receiver) -> None:
    one, other, third = (there.datagram(message(there.family, vrid)) for vrid in (VRID, OTHER, STRANGER))
    there.sock.set_share(1 << 30)
    there.sock.arm(VRID, one, 1)
    there.sock.arm(OTHER, other, 2)
    there.say(third)
    assert there.hears() == []
    there.sock.serve([VRID, STRANGER], LENGTH)
    there.settle()
    there.say(one, other, third)
    assert there.hears() == [third]
    assert there.sock.take_repetitions(VRID) == 1
    there.sock.serve([VRID, OTHER], LENGTH)
    there.settle()
    there.say(one, other, third)
    assert there.hears() == [other]
    assert there.sock.heard_us(OTHER) == 2


def test_before_it_is_told_nothing_is_for_it(network: Network) -> None:
    with Wire(network, Family.V4) as wire, closing(open_on(wire, ReceivePath.OFF)) as sock:
        wire.send(packet(message(Family.V4), header(Family.V4)))
        wire.heard()
        assert sock.read(now_us()) == ()
        assert sock.heard_us(VRID) == 0


def test_longer_ones_than_thought(network: Network) -> None:
    """eBPF: a table with longer slots takes the place of the old one, and what was known stays known."""
    for family in Family:
        with receiver_on(network, family, ReceivePath.EBPF) as there:
            good, long = there.datagram(message(family)), there.datagram(message(family, OTHER, count=255))
            there.sock.arm(VRID, good, 1)
            there.say(good, good)
            assert there.gather() == []
            heard_us = there.sock.heard_us(VRID)
            inner = there.sock._reception
            assert isinstance(inner, OffloadedReception)

            # Longer than the table takes: kept all the same, but here.
            there.sock.arm(OTHER, long, 1)
            there.say(long)
            assert there.gather() == []
            assert inner._slots[OTHER].repetitions == 1
            assert there.sock.take_repetitions(OTHER) == 1
            assert there.sock.oldest_us([VRID, OTHER]) == heard_us

            there.sock.set_share(1 << 30)
            there.say(there.datagram(message(family, STRANGER)))
            assert there.gather() == []
            there.sock.serve([VRID, OTHER], LONGEST[family])
            assert there.sock.path is ReceivePath.EBPF
            assert there.sock.heard_us(VRID) == heard_us
            there.say(there.datagram(message(family, STRANGER)), good)
            assert there.hears() == [good]  # the new table has nothing armed; a new engine's turn
            assert there.sock.take_unheard() == {0: {"vrid-unknown": 2}}
            assert there.sock.take_repetitions(VRID) == 2
            there.sock.arm(VRID, good, heard_us)
            there.sock.arm(OTHER, long, 1)
            there.say(long, good)
            assert there.gather() == []
            assert inner._slots[OTHER].repetitions == 0  # the table took it
            assert there.sock.take_repetitions(OTHER) == 1
            assert there.sock.take_repetitions(VRID) == 1
        network.close()


def test_what_was_kept_beside_the_table_is_counted_once(network: Network) -> None:
    """Repetitions too long for the table, and then a longer table."""
    with receiver_on(network, Family.V4, ReceivePath.EBPF) as there:
        long = there.datagram(message(Family.V4, OTHER, count=255))
        there.sock.arm(OTHER, long, 1)
        there.say(long, long, long)
        assert there.gather() == []
        there.sock.serve([VRID, OTHER], LONGEST[Family.V4])
        assert there.sock.take_repetitions(OTHER) == 3


# Order and bounds


@pytest.mark.parametrize("family", list(Family))
def test_the_split_path_puts_both_sockets_in_order(
    network: Network, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "time", SteadyClocks())
    with receiver_on(network, family, ReceivePath.SPLIT) as there:
        await_stamps(there)
        there.sock.arm(VRID, there.datagram(message(family)), 1)
        there.settle()
        said = []
        for n in range(60):
            # By turns one as expected (sender and priority) and one that is not; each sent alone, so times differ.
            one = there.datagram(message(family, priority=100 if n % 2 else 150) + bytes((n,)))
            there.say(one)
            said.append(one)
        arrivals = there.gather()
        assert [one.datagram for one in arrivals] == said
        assert [one.came_us for one in arrivals] == sorted(one.came_us for one in arrivals)


class Preempted(SteadyClocks):
    """Another process runs for a moment between the one clock and the other: the first time they are asked."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = 0

    def monotonic_ns(self) -> int:
        self._asked += 1
        return super().monotonic_ns() + (1_000_000_000 if self._asked == 2 else 0)


def test_both_sockets_are_measured_by_one_clock(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """An advertisement, a moment later priority 0: read together, by a process that is not alone on its core."""
    with receiver_on(network, Family.V4, ReceivePath.SPLIT) as there:
        await_stamps(there)
        there.sock.arm(VRID, there.datagram(message(Family.V4)), 1)
        there.settle()
        as_expected, release = (
            there.datagram(message(Family.V4) + b"\0"),
            there.datagram(message(Family.V4, priority=0)),
        )
        there.say(as_expected)
        begin_us = now_us()
        until(lambda: now_us() - begin_us > 1_000, "a moment")
        there.say(release)
        there.wire.heard()
        monkeypatch.setattr(intake, "time", Preempted())
        found = [one.datagram for one in there.sock.read(now_us())]
        assert found.index(as_expected) < found.index(release)


@pytest.mark.parametrize("family", list(Family))
def test_only_what_is_not_as_expected_makes_the_split_path_readable(network: Network, family: Family) -> None:
    import select

    with receiver_on(network, family, ReceivePath.SPLIT) as there:
        good = there.datagram(message(family))
        there.sock.arm(VRID, good, 1)
        there.settle()
        plain = there.wire.sock
        there.wire.heard()
        there.gather()
        there.say(good)
        # A marker would be urgent: another socket says when the packet is there.
        until(lambda: any(one.datagram == good for one in plain.read(now_us())), "the packet")
        assert select.select([there.sock], [], [], 0)[0] == []
        assert there.sock.read(now_us()) == ()
        assert there.sock.take_repetitions(VRID) == 1
        assert there.sock.poll_us is not None
        there.say(there.datagram(message(family, priority=0)))
        assert select.select([there.sock], [], [], 30)[0] == [there.sock]


def test_a_read_is_bounded(there: Receiver) -> None:
    count = BATCHES_MAX * 64 + 10
    one = there.datagram(message(there.family))
    for begin in range(0, count, 100):
        there.say(*[one] * min(100, count - begin))
    there.wire.heard()
    found = list(there.sock.read(now_us()))
    assert len(found) == BATCHES_MAX * 64
    assert there.sock.more
    found += there.sock.read(now_us())
    assert not there.sock.more
    assert len([each for each in found if each.datagram == one]) == count


@pytest.mark.parametrize("path", [ReceivePath.SPLIT, ReceivePath.OFF], ids=str)
def test_a_buffer_that_ran_over_is_no_silence(network: Network, path: ReceivePath) -> None:
    """
    An engine that stood still: the queue holds the oldest packets, the newest were lost for want of room.

    Of masters that went on all the time it must not be said that they were last heard when the queue was full.
    """
    with receiver_on(network, Family.V4, path) as there:
        good = there.datagram(message(Family.V4))
        there.sock.arm(VRID, good, now_us())
        there.settle()
        for _ in range(200):
            there.say(*[good] * 100)
        late_us = now_us()
        there.say(good)
        until(lambda: (there.sock.read(now_us()), not there.sock.more)[1], "the end of the queue")
        assert there.sock.take_repetitions(VRID) < 20_000  # else nothing was lost and the test shows nothing
        assert there.sock.heard_us(VRID) >= late_us


# Unicast


@pytest.mark.parametrize("path", list(ReceivePath), ids=str)
def test_unicast_peers_may_be_beyond_routers(network: Network, path: ReceivePath) -> None:
    """No TTL is refused, and a repetition is one only with the same TTL."""
    if path is ReceivePath.EBPF and (reason := why_refused()):
        pytest.skip(f"eBPF is refused here: {reason}")
    with Wire(network, Family.V4) as wire, closing(open_on(wire, path, multicast=False)) as sock:
        sock.serve([VRID], LENGTH)
        sock.set_share(1 << 30)
        target = wire.host.hardware_address()
        payload = message(Family.V4)
        destination = IPv4Address("192.0.2.254")

        def say(*ttls: int) -> None:
            for ttl in ttls:
                octets = packet(payload, IpHeader(sender(Family.V4), destination, ttl))
                frame = build_ethernet(target, b"\x02\0\0\0\0\x01", 0x0800, octets)
                with wire._there.inside():
                    wire._sender.announce([(wire._index, frame)])

        def hear(count: int) -> list[int]:
            found: list[int] = []

            def all_came() -> bool:
                found.extend(
                    one.datagram.header.ttl for one in sock.read(now_us()) if isinstance(one.datagram, Datagram)
                )
                return len(found) >= count

            until(all_came, f"{count} packets")
            return found

        say(255, 64, 1)
        assert hear(3) == [255, 64, 1]
        sock.arm(VRID, Datagram(IpHeader(sender(Family.V4), destination, 64), payload), 1)
        say(64, 63, 64, 255)
        assert sorted(hear(2)) == [63, 255]
        until(lambda: sock.read(now_us()) == () and sock.heard_us(VRID) > 1, "the repetitions")
        assert sock.take_repetitions(VRID) == 2


# Falling back


def refuse(*_: object, **__: object) -> Any:
    raise KernelError("attach", "packet filter", errno.ENOMEM, "no room")


def _hears_ours(there: Receiver) -> None:
    """Repetitions are kept, the rest is handed up: whatever the path."""
    good, other = there.datagram(message(there.family)), there.datagram(message(there.family, OTHER))
    there.sock.arm(VRID, good, 1)
    there.say(good, other, good)
    assert there.hears() == [other]
    assert there.sock.take_repetitions(VRID) == 2
    there.sock.disarm(VRID)


@pytest.mark.parametrize("family", list(Family))
def test_ebpf_refused_it_is_split_and_that_refused_it_is_off(
    network: Network, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Wire(network, family) as wire:
        steps: list[tuple[Callable[[], None], ReceivePath]] = [
            (lambda: monkeypatch.setattr(reception, "open_offload", refuse), ReceivePath.SPLIT),
            (lambda: monkeypatch.setattr(filters, "attach_split", refuse), ReceivePath.OFF),
        ]
        for step, path in steps:
            step()
            before = descriptors()
            with closing(open_on(wire, ReceivePath.EBPF)) as sock:
                with wire.host.inside():
                    sock.serve([VRID, OTHER], LENGTH)
                assert sock.path is path
                assert sock.refused is not None
                assert "no room" in str(sock.refused)
                _hears_ours(Receiver(wire, sock))
            assert descriptors() == before


def test_no_filter_at_all_and_all_is_heard(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    with Wire(network, Family.V4) as wire, closing(open_on(wire, ReceivePath.EBPF)) as sock:
        monkeypatch.setattr(reception, "open_offload", refuse)
        monkeypatch.setattr(filters, "attach_split", refuse)
        monkeypatch.setattr(filters, "advertisement_filter", refuse)
        with wire.host.inside():
            sock.serve([VRID, OTHER], LENGTH)
        assert sock.path is ReceivePath.OFF
        there = Receiver(wire, sock)
        _hears_ours(there)
        stranger = there.datagram(message(Family.V4, STRANGER))
        there.say(stranger)
        assert there.hears() == [stranger]


def test_the_second_socket_refused_it_is_off(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    with Wire(network, Family.V4) as wire, closing(open_on(wire, ReceivePath.SPLIT)) as sock:

        def no_more(_: object) -> Any:
            raise LinkNotReady("open", "raw socket", errno.ENETDOWN)

        monkeypatch.setattr(RawSocketV4, "_open", no_more)
        sock.serve([VRID, OTHER], LENGTH)
        assert sock.path is ReceivePath.OFF
        assert isinstance(sock.refused, LinkNotReady)
        _hears_ours(Receiver(wire, sock))


@pytest.mark.parametrize("family", list(Family))
def test_split_refused_while_it_runs(network: Network, family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """New filters do not fit any more: what is armed stays armed, nothing is lost."""
    before = descriptors()
    with receiver_on(network, family, ReceivePath.SPLIT) as there:
        good, other = there.datagram(message(family)), there.datagram(message(family, OTHER), number=2)
        there.sock.arm(VRID, good, 1)
        there.settle()
        there.say(good)
        assert there.gather() == []
        monkeypatch.setattr(filters, "attach_split", refuse)
        there.sock.arm(OTHER, other, 2)
        until(lambda: (there.gather(), there.sock.path is ReceivePath.OFF)[1], "the fall")
        assert there.sock.poll_us is None
        assert "no room" in str(there.sock.refused)
        there.say(good, other, there.datagram(message(family, priority=0)))
        assert there.hears() == [there.datagram(message(family, priority=0))]
        assert there.sock.take_repetitions(VRID) == 2
        assert there.sock.take_repetitions(OTHER) == 1
    network.close()
    assert descriptors() == before


@pytest.mark.parametrize("family", list(Family))
def test_ebpf_refused_while_it_runs(network: Network, family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """A longer table is refused: what the old one knew is known on."""
    with receiver_on(network, family, ReceivePath.EBPF) as there:
        good = there.datagram(message(family))
        there.sock.arm(VRID, good, 1)
        there.say(good, good)
        assert there.gather() == []
        heard_us = there.sock.heard_us(VRID)
        monkeypatch.setattr(reception, "open_offload", refuse)
        with there.wire.host.inside():
            there.sock.serve([VRID, OTHER], LONGEST[family])
        assert there.sock.path is ReceivePath.SPLIT
        assert there.sock.heard_us(VRID) == heard_us
        assert there.sock.take_repetitions(VRID) == 2
        _hears_ours(there)


def test_counts_of_a_table_that_is_no_more_are_told(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver_on(network, Family.V4, ReceivePath.EBPF) as there:
        there.sock.set_share(1 << 30)
        there.say(*[there.datagram(message(Family.V4, STRANGER))] * 3)
        assert there.gather() == []
        monkeypatch.setattr(reception, "open_offload", refuse)
        with there.wire.host.inside():
            there.sock.serve([VRID, OTHER], LONGEST[Family.V4])
        assert there.sock.take_unheard() == {0: {"vrid-unknown": 3}}


# The end


def test_all_is_given_back(there: Receiver) -> None:
    before = descriptors()
    for _ in range(3):
        with closing(open_on(there.wire, there.sock.path)) as sock:
            with there.wire.host.inside():
                sock.serve([VRID], LENGTH)
                sock.serve([VRID, OTHER], LONGEST[there.family])
            sock.arm(VRID, there.datagram(message(there.family)), 1)
            sock.read(now_us())
            sock.close()
        assert descriptors() == before


def test_closed_it_says_what_it_knew_and_reads_no_more(there: Receiver) -> None:
    good = there.datagram(message(there.family))
    there.sock.arm(VRID, good, 1)
    there.say(good)
    assert there.gather() == []
    heard_us = there.sock.heard_us(VRID)
    there.sock.close()
    there.sock.close()
    assert there.sock.fileno() == -1
    assert there.sock.heard_us(VRID) == heard_us > 1
    assert there.sock.take_repetitions(VRID) == 1
    there.sock.disarm(VRID)
    with pytest.raises(KernelError, match="EBADF"):
        there.sock.read(now_us())
