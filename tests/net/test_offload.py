"""The eBPF filter on real sockets: what it swallows, what it must not, what it counts, and how it is refused."""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from pyvrrp.errors import KernelError, UsageError
from pyvrrp.net import offload as offload_module
from pyvrrp.net.filters import advertisement_filter, attach
from pyvrrp.net.offload import Offload, fingerprint, open_offload
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.headers import IpHeader
from tests.net.crafted import VRID, Wire, descriptors, header, message, packet, payloads
from tests.netns import Namespace, Network

BOTH = pytest.mark.parametrize("wire", [(Family.V4, False), (Family.V6, False)], indirect=True, ids=["v4", "v6"])
EVERY_WIRE = pytest.mark.parametrize(
    "wire",
    [(Family.V4, False), (Family.V6, False), (Family.V4, True), (Family.V6, True)],
    indirect=True,
    ids=["v4", "v6", "v4-macvlan", "v6-macvlan"],
)
pytestmark = pytest.mark.root

LONGEST = {Family.V4: 8 + 255 * 4, Family.V6: 8 + 255 * 16}

Open = Callable[..., Offload]


def why_refused() -> str | None:
    """Why this process may not use eBPF, or None if it may."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            open_offload(sock, Family.V4, [1], 64).close()
        except KernelError as error:
            return str(error)
    return None


@pytest.fixture
def wire(request: pytest.FixtureRequest, network: Network) -> Iterator[Wire]:
    if reason := why_refused():
        pytest.skip(f"eBPF is refused here: {reason}")
    family, macvlan = getattr(request, "param", (Family.V4, False))
    with Wire(network, family, macvlan=macvlan) as made:
        yield made


@pytest.fixture
def opened(wire: Wire) -> Iterator[Open]:
    """Opens the filter on the wire's socket; nothing passes that is not for us, unless asked otherwise."""
    made: list[Offload] = []

    def open_it(*vrids: int, longest: int = 64, sample: int = 0, ttl: int | None = 255) -> Offload:
        made.append(open_offload(wire.raw, wire.family, vrids or (VRID,), longest, sample=sample, ttl=ttl))
        return made[-1]

    yield open_it
    for one in made:
        one.close()


def arm(wire: Wire, offload: Offload, payload: bytes, vrid: int = VRID, *, number: int = 1) -> None:
    assert offload.arm(vrid, fingerprint(header(wire.family, number=number), payload), time.monotonic_ns() // 1000)


@EVERY_WIRE
@pytest.mark.parametrize("count", [1, 14, 15, 90, 255])
def test_the_same_again_is_swallowed_and_its_time_stored(wire: Wire, opened: Open, count: int) -> None:
    """14 and 15 IPv4 addresses are a message of one chunk of 64 octets, and of one more."""
    payload = message(wire.family, count=count)
    offload = opened(longest=LONGEST[wire.family])
    octets = packet(payload, header(wire.family))
    wire.send(octets)
    assert payloads(wire.heard()) == [payload]
    assert offload.last_seen_us(VRID) == 0

    assert offload.arm(VRID, fingerprint(header(wire.family), payload), 12345)
    assert offload.last_seen_us(VRID) == 12345
    for hits in (1, 2, 3):
        before = time.monotonic_ns() // 1000
        wire.send(octets)
        assert wire.heard() == []
        assert before <= offload.last_seen_us(VRID) <= time.monotonic_ns() // 1000
        assert offload.hits(VRID) == hits
    assert not any(offload.dropped().values())


@EVERY_WIRE
def test_one_bit_of_any_octet_of_the_message_passes(wire: Wire, opened: Open) -> None:
    payload = message(wire.family)
    arm(wire, opened(), payload)
    changed = []
    for at in set(range(len(payload))) - {1}:  # another VRID is another matter
        octets = bytearray(payload)
        octets[at] ^= 1
        changed.append(bytes(octets))
    wire.send(*[packet(octets, header(wire.family)) for octets in changed])
    assert payloads(wire.heard()) == changed


@BOTH
def test_one_bit_anywhere_in_a_long_message_passes(wire: Wire, opened: Open) -> None:
    payload = message(wire.family, count=255)
    offload = opened(longest=LONGEST[wire.family])
    arm(wire, offload, payload)
    edges = {edge + by for edge in range(64, len(payload), 64) for by in (-1, 0)} | {2, len(payload) - 1}
    for at in sorted(edges):
        octets = bytearray(payload)
        octets[at] ^= 0x80
        wire.send(packet(bytes(octets), header(wire.family)))
    assert len(wire.heard()) == len(edges)
    assert offload.hits(VRID) == 0


@EVERY_WIRE
def test_another_length_passes(wire: Wire, opened: Open) -> None:
    """Not even zeros may be missing or too many: chunks are filled up with zeros to be compared."""
    payload = message(wire.family) + bytes(4)
    arm(wire, opened(longest=128), payload)
    longer = [payload + bytes(1), payload + bytes(64 - len(payload)), payload + bytes(64), payload[:2] + payload]
    others = [payload[:-1], payload[:-4], *longer]
    wire.send(*[packet(other, header(wire.family)) for other in others])
    assert payloads(wire.heard()) == others


@EVERY_WIRE
def test_what_a_backup_must_hear_passes(wire: Wire, opened: Open) -> None:
    family = wire.family
    payload = message(family)
    offload = opened()
    arm(wire, offload, payload)
    wire.send(packet(message(family, priority=0), header(family)))
    wire.send(packet(message(family, priority=101), header(family)))
    wire.send(packet(message(family, count=2), header(family)))
    assert [octets[2] for octets in payloads(wire.heard())] == [0, 101, 100]
    wire.send(packet(payload, header(family, number=2)))
    assert [datagram.header for datagram in wire.heard()] == [header(family, number=2)]
    assert offload.hits(VRID) == 0


@BOTH
def test_another_destination_passes(wire: Wire, opened: Open) -> None:
    """A socket hears its host's own addresses, too, and an IPv6 one every group."""
    offload = opened()
    arm(wire, offload, message(wire.family))
    elsewhere = ip_address("192.0.2.254" if wire.family is Family.V4 else "ff02::1")
    wire.send(packet(message(wire.family), IpHeader(header(wire.family).source, elsewhere)))
    assert [datagram.header.destination for datagram in wire.heard()] == [elsewhere]
    assert offload.hits(VRID) == 0


@BOTH
def test_what_changes_from_packet_to_packet_does_not_matter(wire: Wire, opened: Open) -> None:
    payload = message(wire.family)
    offload = opened()
    arm(wire, offload, payload)
    for identification, traffic_class in ((1, 0), (0xFFFF, 0xFF), (77, 0xC0)):
        octets = packet(payload, header(wire.family), identification=identification, traffic_class=traffic_class)
        wire.send(octets)
    assert wire.heard() == []
    assert offload.hits(VRID) == 3


@BOTH
def test_options_and_extension_headers(wire: Wire, opened: Open) -> None:
    """The same message behind them is no match, and without a match the VRID decides, wherever it is."""
    family = wire.family
    offload = opened()
    arm(wire, offload, message(family))
    options = bytes.fromhex("01010101" if family is Family.V4 else "00 0104 00000000")
    wire.send(*[packet(message(family, vrid), header(family), options=options) for vrid in (1, VRID, 63)])
    assert payloads(wire.heard()) == [message(family)]
    assert offload.hits(VRID) == 0
    assert offload.dropped(1)["vrid-unknown"] == offload.dropped(63)["vrid-unknown"] == 1


@EVERY_WIRE
def test_another_ttl_is_dropped_and_counted(wire: Wire, opened: Open) -> None:
    family = wire.family
    offload = opened()
    arm(wire, offload, message(family))
    wire.send(*[packet(message(family), header(family, ttl=ttl)) for ttl in (254, 64, 1)])
    wire.send(packet(message(family, 9), header(family, ttl=254)))
    assert wire.heard() == []
    assert offload.hits(VRID) == 0
    assert offload.dropped() == {"ttl": 4, "truncated": 0, "vrid-zero": 0, "vrid-unknown": 0}
    assert offload.dropped(VRID)["ttl"] == 3
    assert offload.dropped(9)["ttl"] == 1


@EVERY_WIRE
def test_other_vrids_are_dropped_and_counted(wire: Wire, opened: Open) -> None:
    family = wire.family
    offload = opened(VRID, 1)
    everyone = [packet(bytes([0x31, vrid]) + message(family)[2:], header(family)) for vrid in range(256)]
    wire.send(*everyone, everyone[63], everyone[63])
    assert [octets[1] for octets in payloads(wire.heard())] == [1, VRID]
    assert offload.dropped() == {"ttl": 0, "truncated": 0, "vrid-zero": 1, "vrid-unknown": 255}
    assert offload.dropped(63)["vrid-unknown"] == 3


@BOTH
def test_what_has_no_vrid_is_dropped_and_counted(wire: Wire, opened: Open) -> None:
    short = [packet(octets, header(wire.family)) for octets in (b"", b"\x31")]
    offload = opened()
    wire.send(*short, packet(b"", header(wire.family, ttl=254)))
    assert wire.heard() == []
    assert offload.dropped() == {"ttl": 1, "truncated": 2, "vrid-zero": 0, "vrid-unknown": 0}
    opened(sample=1)
    wire.send(*short)
    assert payloads(wire.heard()) == [b"", b"\x31"]


@BOTH
def test_faults_of_ours_pass(wire: Wire, opened: Open) -> None:
    good = message(wire.family)
    faults = [good[:6] + bytes([good[6] ^ 1]) + good[7:], b"\x71" + good[1:], good[:2], good + b"x"]
    opened()
    wire.send(*[packet(fault, header(wire.family)) for fault in faults])
    assert payloads(wire.heard()) == faults


def test_every_packet_is_heard_or_counted(wire: Wire, opened: Open) -> None:
    """2,000 draws of one in four: 500 of them, and with a standard deviation of 19 it is never 150 off."""
    offload = opened(sample=4)
    found = 0
    for _ in range(4):
        wire.send(*[packet(message(wire.family, 63), header(wire.family))] * 500)
        found += len(wire.heard())
    assert 350 < found < 650
    assert found + offload.dropped()["vrid-unknown"] == 2000


@BOTH
def test_disarm_and_arm_again(wire: Wire, opened: Open) -> None:
    family = wire.family
    offload = opened(VRID, 63)
    octets = {vrid: packet(message(family, vrid), header(family)) for vrid in (VRID, 63)}

    def heard() -> list[int]:
        wire.send(*octets.values())
        return [payload[1] for payload in payloads(wire.heard())]

    assert heard() == [VRID, 63]
    for vrid in octets:
        arm(wire, offload, message(family, vrid), vrid)
    assert heard() == []
    seen = offload.last_seen_us(VRID)
    offload.disarm(VRID)
    assert heard() == [VRID]
    assert offload.last_seen_us(VRID) == seen
    assert offload.last_seen_us(63) > seen
    arm(wire, offload, message(family), VRID)
    assert heard() == []
    assert (offload.hits(VRID), offload.hits(63)) == (2, 3)

    other = message(family, priority=101)
    arm(wire, offload, other, VRID)
    assert heard() == [VRID]
    wire.send(packet(other, header(family)))
    assert wire.heard() == []


@BOTH
def test_a_short_message_after_a_long_one(wire: Wire, opened: Open) -> None:
    """Nothing of the long one may be left where the short one ends."""
    offload = opened(longest=LONGEST[wire.family])
    for count in (255, 20, 1):
        payload = message(wire.family, count=count)
        arm(wire, offload, payload)
        wire.send(packet(payload, header(wire.family)))
    assert wire.heard() == []
    assert offload.hits(VRID) == 3


def test_what_is_longer_than_the_slots_is_not_armed(wire: Wire, opened: Open) -> None:
    offload = opened(longest=60)
    arm(wire, offload, message(wire.family, count=14))
    longer = message(wire.family, count=15)
    assert not offload.arm(VRID, fingerprint(header(wire.family), longer), 0)
    for count in (14, 15):
        wire.send(packet(message(wire.family, count=count), header(wire.family)))
    assert len(wire.heard()) == 2


def test_the_oldest_of_some(opened: Open) -> None:
    offload = opened(1, 2, 255)
    assert offload.oldest_us([]) is None
    for vrid, now_us in ((1, 300), (2, 200), (255, 100)):
        offload.arm(vrid, fingerprint(header(Family.V4), message(Family.V4, vrid)), now_us)
    assert offload.oldest_us([1, 2, 255]) == 100
    assert offload.oldest_us({1, 2}) == 200
    assert offload.oldest_us([3]) == 0


@BOTH
def test_vrids_come_and_go(wire: Wire, opened: Open) -> None:
    family = wire.family
    offload = opened(1, 2)
    for vrid in (1, 2):
        arm(wire, offload, message(family, vrid), vrid)
    offload.serve([2, 3, VRID])
    octets = [packet(message(family, vrid), header(family)) for vrid in (1, 2, 3)]
    wire.send(*octets)
    assert [payload[1] for payload in payloads(wire.heard())] == [3]
    assert offload.hits(2) == offload.dropped(1)["vrid-unknown"] == 1
    offload.serve([1, VRID])
    wire.send(*octets)
    assert [payload[1] for payload in payloads(wire.heard())] == [1]  # and is no longer armed
    with pytest.raises(UsageError, match="VRID 256"):
        offload.serve([256])


def test_a_unicast_socket_takes_any_ttl_and_swallows_the_one_it_was_armed_with(wire: Wire, opened: Open) -> None:
    payload = message(wire.family)
    offload = opened(ttl=None)
    offload.arm(VRID, fingerprint(header(wire.family), payload), 0, ttl=64)
    wire.send(*[packet(payload, header(wire.family, ttl=ttl)) for ttl in (63, 64, 65, 255)])
    assert [datagram.header.ttl for datagram in wire.heard()] == [63, 65, 255]
    assert offload.hits(VRID) == 1
    assert not any(offload.dropped().values())


@BOTH
def test_closed_it_swallows_and_drops_nothing_and_keeps_nothing(wire: Wire) -> None:
    family = wire.family
    before = descriptors()
    for _ in range(3):
        offload = open_offload(wire.raw, family, [VRID], 64, sample=0)
        assert descriptors() == before + 1
        arm(wire, offload, message(family))
        offload.close()
        offload.close()
    assert descriptors() == before
    wire.send(*[packet(message(family, vrid), header(family)) for vrid in (VRID, 63)])
    assert [payload[1] for payload in payloads(wire.heard())] == [VRID, 63]


def test_it_takes_the_place_of_a_classic_filter_and_the_other_way_round(wire: Wire, opened: Open) -> None:
    family = wire.family
    octets = [packet(message(family, vrid), header(family)) for vrid in (VRID, 63)]
    attach(wire.raw, advertisement_filter(family, [VRID, 63], 0))
    offload = opened()
    wire.send(*octets)
    assert [payload[1] for payload in payloads(wire.heard())] == [VRID]
    arm(wire, offload, message(family))
    attach(wire.raw, advertisement_filter(family, [VRID, 63], 0))
    wire.send(*octets)
    assert [payload[1] for payload in payloads(wire.heard())] == [VRID, 63]
    assert offload.hits(VRID) == 0


def test_the_socket_may_be_closed_first(wire: Wire) -> None:
    offload = open_offload(wire.raw, wire.family, [VRID], 64)
    wire.sock.close()
    offload.close()


@pytest.mark.parametrize(
    ("vrids", "options", "complaint"), [([0], {}, "VRID 0"), ([256], {}, "VRID 256"), ([1], {"sample": -1}, "no share")]
)
def test_wrong_numbers(wire: Wire, vrids: list[int], options: dict[str, int], complaint: str) -> None:
    before = descriptors()
    with pytest.raises(UsageError, match=complaint):
        open_offload(wire.raw, wire.family, vrids, 64, **options)
    assert descriptors() == before
    offload = open_offload(wire.raw, wire.family, [1], 64)
    with pytest.raises(UsageError, match="VRID 256"):
        offload.arm(256, bytes(20), 0)
    offload.close()


# Refusals


def test_what_the_verifier_said_is_told_and_the_filter_before_it_stays(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors()
    attach(wire.raw, advertisement_filter(wire.family, [VRID], 0))
    endless = bytes.fromhex("0500ffff00000000 9500000000000000")
    monkeypatch.setattr(offload_module, "build_program", lambda *_: endless)
    with pytest.raises(KernelError, match=r"cannot load eBPF program: .*needs Linux 5.8: .*unreachable") as caught:
        open_offload(wire.raw, wire.family, [VRID], 64)
    assert caught.value.errno == errno.EINVAL
    assert descriptors() == before
    wire.send(*[packet(message(wire.family, vrid), header(wire.family)) for vrid in (VRID, 63)])
    assert [payload[1] for payload in payloads(wire.heard())] == [VRID]


def test_a_socket_that_does_not_take_it(wire: Wire) -> None:
    before = descriptors()
    wire.sock.close()
    with pytest.raises(KernelError, match="cannot attach eBPF program") as caught:
        open_offload(wire.raw, wire.family, [VRID], 64)
    assert descriptors() == before - 1  # though the traceback keeps all that was made alive
    assert caught.value.errno == errno.EBADF


OPEN = """
import socket, sys
from pyvrrp.errors import KernelError
from pyvrrp.net.offload import open_offload
from pyvrrp.protocol.constants import Family

with socket.socket(socket.AF_INET, socket.SOCK_RAW, 112) as sock:
    try:
        open_offload(sock, Family.V4, [1], 1028).close()
        print("opened")
    except KernelError as error:
        print(type(error).__name__, error, sep=": ")
"""

FORBID_BPF = """
import ctypes, struct
from pyvrrp.net.ebpf.kernel import syscall_number
rules = struct.pack(
    "=HBBIHBBIHBBIHBBI",
    0x20, 0, 0, 0,                       # the number of the system call
    0x15, 0, 1, syscall_number(),
    0x06, 0, 0, 0x00050001,              # SECCOMP_RET_ERRNO, EPERM
    0x06, 0, 0, 0x7FFF0000,
)
memory = ctypes.create_string_buffer(rules, len(rules))
program = ctypes.create_string_buffer(struct.pack("@HP", 4, ctypes.addressof(memory)))
assert ctypes.CDLL(None).prctl(22, 2, program) == 0
"""


def opening(namespace: Namespace, *wrapper: str, before: str = "") -> str:
    return namespace.run([*wrapper, sys.executable, "-c", before + OPEN]).strip()


def setpriv(*capabilities: str) -> list[str]:
    listed = ",".join(capabilities)
    return ["setpriv", f"--bounding-set={listed}", f"--inh-caps={listed}"]


def test_refused_it_says_why(wire: Wire) -> None:
    host = wire.host
    denied = "NotPermitted: cannot create eBPF table: Operation not permitted (EPERM): "
    assert opening(host) == "opened"
    assert opening(host, *setpriv("-all", "+net_raw", "+bpf")) == "opened"
    assert opening(host, *setpriv("-bpf", "-sys_admin")) == denied + "needs CAP_BPF"
    assert (
        opening(host, "unshare", "--user", "--map-root-user", "--net")
        == denied + "needs CAP_BPF of the host; that of a user namespace does not count"
    )
    forbidden = opening(host, before=FORBID_BPF)
    assert forbidden == denied + "CAP_BPF is there, but a seccomp filter forbids bpf(2)"
