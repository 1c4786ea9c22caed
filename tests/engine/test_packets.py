"""From the socket to the event: who gets a packet, what is counted, what is said and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import Any

import pytest

from pyvrrp.engine.batch import Batch
from pyvrrp.engine.commands import RaiseFault
from pyvrrp.engine.listener import REPORT_INTERVAL_US, Complaints
from pyvrrp.engine.reports import Dropped, KernelFailed, Noticed, Report
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.errors import DropReason, PacketError
from pyvrrp.net.system import Arrival, Datagram
from pyvrrp.protocol.advertisement import Advertisement, encode
from pyvrrp.protocol.checksum import message_checksum
from pyvrrp.protocol.receive import Notice
from pyvrrp.protocol.settings import ListMismatch
from pyvrrp.protocol.states import State
from tests.engine.worlds import INTERVAL_US, SimulatedHost, SimulatedLan, advertisement, settings

PEER = "192.0.2.9"
PEER6 = "fe80::9"

V2 = settings(version=2, interval_us=1_000_000)
V2_STRICT = replace(V2, list_mismatch=ListMismatch.DROP)
V2_PASSWORD = replace(V2, auth_type=1, auth_data=b"secret\0\0")
V3 = settings()
V6 = settings(vips=["fe80::100/64"])
UNICAST = replace(settings(peers=[PEER]), check_unicast_source=True, ttl_bounds={ip_address(PEER): (200, 255)})


def v2(priority: int = 200, **changes: Any) -> Datagram:
    return advertisement(PEER, priority, version=2, interval_us=changes.pop("interval_us", 1_000_000), **changes)


def octets(good: Datagram, at: int, value: int, *, mend: bool = True) -> Datagram:
    """With another octet, the checksum right again or not."""
    payload = bytearray(good.payload)
    payload[at] = value
    if mend:
        header, version = good.header, payload[0] >> 4
        payload[6:8] = bytes(2)
        form = 2 if version not in {2, 3} else version
        payload[6:8] = message_checksum(
            form, bytes(payload), header.source, header.destination, pseudo_header=True
        ).to_bytes(2, "big")
    return replace(good, payload=bytes(payload))


def password(word: bytes) -> Datagram:
    good = v2()
    message = Advertisement(2, 51, 200, 1_000_000, (ip_address("192.0.2.100"),), 1, word)
    return replace(good, payload=encode(message, good.header))


def v3(priority: int = 200, **changes: Any) -> Datagram:
    return advertisement(PEER, priority, **changes)


def v6(priority: int = 200, *, source: str = PEER6, vips: tuple[str, ...] = ("fe80::100/64",)) -> Datagram:
    return advertisement(source, priority, vips=vips)


R = DropReason
CASES: list[tuple[DropReason, InstanceSettings, Datagram | PacketError]] = [
    (R.TTL, V3, v3(ttl=254)),
    (R.TTL, UNICAST, v3(ttl=199, destination="192.0.2.1")),
    (R.VERSION, V3, v2()),
    (R.VERSION, V2, v3()),
    (R.VERSION, V3, octets(v3(), 0, 0x41)),
    (R.TYPE, V3, octets(v3(), 0, 0x32)),
    (R.TRUNCATED, V3, replace(v3(), payload=b"")),
    (R.TRUNCATED, V3, replace(v3(), payload=v3().payload[:7])),
    (R.COUNT_LENGTH_MISMATCH, V3, octets(v3(), 3, 2)),
    (R.TRAILING_BYTES, V3, replace(v3(), payload=v3().payload + bytes(4))),
    (R.CHECKSUM, V3, octets(v3(), 2, 250, mend=False)),
    (R.CHECKSUM, V2, octets(v2(), 2, 250, mend=False)),
    (R.VRID_ZERO, V3, octets(v3(), 1, 0)),
    (R.VRID_UNKNOWN, V3, v3(vrid=52)),
    (R.NOT_MULTICAST_DESTINATION, V3, v3(destination="192.0.2.1")),
    (R.NOT_UNICAST_PEER, UNICAST, advertisement("192.0.2.8", 200, destination="192.0.2.1")),
    (R.NOT_UNICAST_PEER, UNICAST, v3()),
    (R.OWN_SOURCE, V3, advertisement("192.0.2.1", 200)),
    (R.AUTH_TYPE_UNKNOWN, V2, octets(v2(), 4, 7)),
    (R.AUTH_TYPE_MISMATCH, V2, password(b"secret")),
    (R.AUTH_FAILURE, V2_PASSWORD, password(b"wrong")),
    (R.SOURCE_NOT_LINK_LOCAL, V6, v6(source="2001:db8::9")),
    (R.COUNT_ZERO, V3, Datagram(v3().header, octets(replace(v3(), payload=v3().payload[:8]), 3, 0).payload)),
    (R.FIRST_ADDRESS_NOT_LINK_LOCAL, V6, v6(vips=("2001:db8::1/64", "fe80::100/64"))),
    (R.ADDRESS_LIST_MISMATCH, V2_STRICT, v2(vips=["192.0.2.77/24"])),
    (R.INTERVAL_ZERO, V3, octets(octets(v3(), 4, 0), 5, 0)),
    (R.INTERVAL_MISMATCH, V2, v2(interval_us=2_000_000)),
    (R.MALFORMED_IP, V3, PacketError(R.MALFORMED_IP, "too short")),
]


def host(lan: SimulatedLan, one: InstanceSettings, priority: int) -> SimulatedHost:
    made = lan.host("a", "192.0.2.1/24", "fe80::1/64")
    made.configure(replace(one, router=replace(one.router, priority=priority)))
    lan.rest(0.001)
    return made


def picture(lan: SimulatedLan, made: SimulatedHost) -> dict[str, object]:
    """All that a packet could change, counters aside."""
    runner = made.engine._runners["VI_1"]
    router = runner.router
    kept = {name: getattr(router, name) for name in router.__slots__ if name not in {"_actions", "_now_us"}}
    kept["faults"], kept["_asserted"] = dict(router.faults), dict(router._asserted)
    there = made.addresses()
    return kept | {"world": len(lan.world.journal), "there": there, "source": runner.source, "plan": runner._plan}


def inject(made: SimulatedHost, packet: Datagram | PacketError, monkeypatch: pytest.MonkeyPatch) -> None:
    sock = made.kernel.sockets[0]
    if isinstance(packet, Datagram):
        sock.put(packet)
        made.step()
        return
    came = Arrival(made.kernel.now_us(), packet)
    with monkeypatch.context() as patch:
        patch.setattr(sock, "read", lambda _: [came])
        made.step()


@pytest.mark.parametrize("state", [State.MASTER, State.BACKUP])
@pytest.mark.parametrize(
    ("reason", "one", "packet"), CASES, ids=lambda value: value.value if isinstance(value, DropReason) else ""
)
def test_a_dropped_packet_changes_nothing_but_a_counter(  # noqa: PLR0917  a fixture each
    simulated: SimulatedLan,
    monkeypatch: pytest.MonkeyPatch,
    state: State,
    reason: DropReason,
    one: InstanceSettings,
    packet: Datagram | PacketError,
) -> None:
    made = host(simulated, one, 100)
    if state is State.MASTER:
        simulated.until(made.is_master, "master")
    before, said = picture(simulated, made), len(made.reports)
    deadline_us = made.engine.next_router_deadline_us
    inject(made, packet, monkeypatch)
    after = picture(simulated, made)
    assert after == before
    assert made.state() is state
    assert made.engine.next_router_deadline_us == deadline_us
    reports = made.reports[said:]
    answer = made.status()
    counters = {**answer.instances[0].counters, **answer.interfaces["eth0"]}
    assert counters[reason.value] == 1
    assert sum(counters.get(other.value, 0) for other in DropReason) == 1
    if reason is DropReason.OWN_SOURCE:
        assert reports == []
    else:
        assert [(type(r), r.reason, r.count) for r in reports if isinstance(r, Dropped)] == [(Dropped, reason, 1)]


def test_every_reason_is_tried() -> None:
    """All but the one that the engine never asks for: an owner listens (erratum 8298)."""
    assert {reason for reason, _, _ in CASES} == set(DropReason) - {DropReason.RECEIVER_IS_OWNER}


@pytest.mark.parametrize("state", [State.MASTER, State.BACKUP])
def test_a_thousand_bad_packets(simulated: SimulatedLan, state: State) -> None:
    """They change neither schedule nor states of a pair, whatever is wrong with them."""
    made = host(simulated, V3, 200)
    peer = simulated.host("b", "192.0.2.2/24")
    peer.configure(settings(priority=100))
    simulated.until(lambda: made.is_master() and peer.state() is State.BACKUP, "the election")
    victim = made if state is State.MASTER else peer
    made.forget()
    start_us = simulated.world.now_us
    bad = [
        packet
        for reason, one, packet in CASES
        if one is V3 and isinstance(packet, Datagram) and reason is not DropReason.OWN_SOURCE
    ]

    def arrive(number: int) -> None:
        victim.kernel.sockets[0].put(bad[number % len(bad)])
        victim.wake()

    for number in range(1000):
        simulated.world.at(start_us + number * 1_000, partial(arrive, number))
    simulated.rest(1.5)
    assert len(made.sent()) == 15
    assert (made.moves(), peer.moves()) == (["BACKUP", "MASTER"], ["BACKUP"])
    dropped = [report for report in victim.reports if isinstance(report, Dropped)]
    # Each kind is told of at first, and once more with the rest of the second.
    kinds = {(report.instance, report.reason) for report in dropped}
    assert len(dropped) == 2 * len(kinds)
    assert len(kinds) == 13
    assert sum(report.count for report in dropped) == 1000


def test_an_owner_listens(simulated: SimulatedLan) -> None:
    """Erratum 8298: with a notice."""
    made = host(simulated, V3, 255)
    made.kernel.sockets[0].put(v3())
    made.step()
    assert [r.notice for r in made.reports if isinstance(r, Noticed)] == [Notice.RECEIVER_IS_OWNER]
    assert made.status_of().counters["noticed-receiver-is-owner"] == 1
    assert made.status_of().counters["advertisements-received"] == 1


def test_a_notice(simulated: SimulatedLan) -> None:
    """Told at most once a second, counted always; the packet is believed."""
    made = host(simulated, V3, 100)
    for _ in range(5):
        made.kernel.sockets[0].put(v3(interval_us=2 * INTERVAL_US, vips=["192.0.2.77/24"]))
        made.wake()
        simulated.rest(0.1)
    simulated.rest(1)
    notices = [report for report in made.reports if isinstance(report, Noticed)]
    assert [(notice.notice, notice.count) for notice in notices] == [
        (Notice.INTERVAL_MISMATCH, 1),
        (Notice.ADDRESS_LIST_MISMATCH, 1),
        (Notice.INTERVAL_MISMATCH, 4),
        (Notice.ADDRESS_LIST_MISMATCH, 4),
    ]
    assert {str(notice.source) for notice in notices} == {PEER}
    assert made.status_of().counters["noticed-interval-mismatch"] == 5


def test_priority_zero_is_counted(simulated: SimulatedLan) -> None:
    made = host(simulated, V3, 100)
    made.kernel.sockets[0].put(v3(0))
    made.step()
    assert made.status_of().counters == {"advertisements-received": 1, "priority-zero-received": 1}


def test_a_fault_hears_nothing(simulated: SimulatedLan) -> None:
    made = host(simulated, V3, 100)
    made.command(RaiseFault("VI_1", "x", "x"))
    made.step()
    before = picture(simulated, made)
    made.kernel.sockets[0].put(v3())
    made.step()
    assert picture(simulated, made) == before


def test_what_is_meant_for_another_socket(simulated: SimulatedLan) -> None:
    """A raw socket may hear it too; it is neither taken nor counted there."""
    made = simulated.host("a", "192.0.2.1/24")
    made.configure(settings(), settings("VI_U", peers=[PEER], vips=["192.0.2.101/24"]))
    simulated.rest(0.001)
    group, unicast = made.kernel.sockets
    packet = advertisement(PEER, 200, destination="192.0.2.1")
    group.put(packet)
    unicast.put(packet)
    made.step()
    assert made.status_of().counters == {}
    assert set(made.status_of("VI_U").counters) == {"advertisements-received", "noticed-address-list-mismatch"}
    assert made.status().interfaces["eth0"] == {}


def test_what_changes_by_a_reload_is_what_is_checked(simulated: SimulatedLan) -> None:
    """No receiver of the old settings is kept."""
    made = host(simulated, V2_STRICT, 100)
    other = v2(vips=["192.0.2.77/24"])
    made.configure(settings(version=2, interval_us=1_000_000, vips=["192.0.2.77/24"]))
    simulated.rest(0.001)
    made.kernel.sockets[0].put(other)
    made.step()
    assert made.status_of().counters == {"advertisements-received": 1}


class TestComplaints:
    @staticmethod
    def told(take: Callable[[Batch], None]) -> list[Report]:
        reports: list[Report] = []
        batch = Batch()
        take(batch)
        batch.carry_out(None, 0, reports.append)  # type: ignore[arg-type]  # there is nothing for a kernel
        return reports

    @staticmethod
    def make(count: int) -> Report:
        return KernelFailed(None, "x", "x", count)

    def test_first_at_once_then_once_a_second(self) -> None:
        complaints = Complaints()

        def add(at_us: int, kind: str = "x") -> list[Report]:
            return self.told(lambda batch: complaints.add((None, kind), at_us, self.make, batch))

        def flush(at_us: int) -> list[Report]:
            return self.told(lambda batch: complaints.flush(at_us, batch))

        def due() -> int | None:
            return complaints.next_deadline_us

        assert add(0) == [self.make(1)]
        assert due() is None
        assert add(10) == add(20) == []
        assert due() == REPORT_INTERVAL_US
        assert add(30, "y") == [self.make(1)]
        assert flush(REPORT_INTERVAL_US - 1) == []
        assert flush(REPORT_INTERVAL_US) == [self.make(2)]
        assert due() is None
        assert add(REPORT_INTERVAL_US + 1) == []
        assert add(2 * REPORT_INTERVAL_US) == [self.make(2)]

    def test_nothing_is_kept_of_what_is_over(self) -> None:
        complaints = Complaints()
        batch = Batch()
        for number in range(1000):
            complaints.add((f"VI_{number}", "x"), number, self.make, batch)
        complaints.flush(3 * REPORT_INTERVAL_US, batch)
        assert not complaints._pending
