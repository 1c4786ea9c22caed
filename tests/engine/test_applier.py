"""What may take long is done in another thread, advertisements go on, and nobody hears of anything in another order."""

from __future__ import annotations

import errno
import itertools
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.engine import applier as applier_module
from pyvrrp.engine.applier import INLINE_CHANGES_MAX, LENIENT_INTERVAL_US, Applier
from pyvrrp.engine.commands import Ask, Configure, Stop
from pyvrrp.engine.instance import RETRY_US
from pyvrrp.engine.loop import NEWS_US
from pyvrrp.engine.reports import Entered, KernelFailed, Status, Stopped
from pyvrrp.errors import KernelError
from pyvrrp.net.linux import LinuxSystem
from pyvrrp.net.simulated import SimulatedSystem
from pyvrrp.net.system import VirtualAddress
from pyvrrp.protocol.states import State
from tests.engine.worlds import QUIET, VIP, RealLan, SimulatedHost, SimulatedLan, advertisement, settings, vip
from tests.netns import PATIENCE_S

SHORT_US = 10_000
"""An interval at which nothing may take long."""

PATIENCE_US = 1_000_000
"""Virtual time in which a silent LAN has a master."""

PEER = "192.0.2.9"
OTHER = "192.0.2.101/24"


class Gate:
    """Holds up calls of one method of a kernel, wherever they are made, until it is opened."""

    def __init__(self, kernel: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[str] = []
        self._reached = threading.Event()
        self._opened = threading.Event()
        self._real: Callable[..., Any] = getattr(kernel, name)
        monkeypatch.setattr(kernel, name, self._call)

    def _call(self, *arguments: object) -> object:
        self.threads.append(threading.current_thread().name)
        self._reached.set()
        assert self._opened.wait(PATIENCE_S)
        return self._real(*arguments)

    def reached(self) -> None:
        """Wait until somebody stands before it."""
        assert self._reached.wait(PATIENCE_S)

    def open(self) -> None:
        """Let everybody through from now on."""
        self._opened.set()


def finish(host: SimulatedHost) -> None:
    """Let the applier's thread do what it was given, and the engine collect it."""
    applier = host.engine._applier
    while applier.busy:
        poll = select.poll()
        poll.register(applier.fileno(), select.POLLIN)
        assert poll.poll(PATIENCE_S * 1e3)
        host.step()


@pytest.fixture
def a(simulated: SimulatedLan, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedHost]:
    """A host in memory whose kernel may take long."""
    monkeypatch.setattr(SimulatedSystem, "threaded", True)
    host = simulated.host("a", "192.0.2.1/24")
    yield host
    host.engine.close()


@pytest.fixture
def gate(a: SimulatedHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Before its `install`."""
    made = Gate(a.kernel, "install", monkeypatch)
    yield made
    made.open()


def stalled(lan: SimulatedLan, host: SimulatedHost, gate: Gate, **options: object) -> None:
    """The host has just become MASTER, its address is not there yet."""
    host.configure(settings(interval_us=SHORT_US, **options))  # type: ignore[arg-type]  # passed through
    lan.until(lambda: host.state() is State.MASTER, "master")
    gate.reached()
    host.forget()


def verbs(host: SimulatedHost) -> list[str]:
    """What it did, in order, repetitions left out."""
    journal = host.world.journal[host._read :]
    return [verb for verb, _ in itertools.groupby(entry.verb for entry in journal if entry.host == host.name)]


class TestStalled:
    def test_advertisements_go_on(self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate) -> None:
        """Its own, and those of another that takes over meanwhile; neither announces what is not there."""
        stalled(simulated, a, gate)
        a.command(
            Configure((settings(interval_us=SHORT_US), settings("VI_2", vrid=52, vips=[OTHER], interval_us=20_000)))
        )
        simulated.rest(1)
        vrids = [sent.vrid for sent in a.sent()]
        assert vrids.count(51) == 100
        assert vrids.count(52) > 40
        assert verbs(a) == ["sends"]
        assert gate.threads == ["pyvrrp-applier"]

    def test_nobody_hears_of_a_master_without_addresses(
        self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate
    ) -> None:
        stalled(simulated, a, gate)
        simulated.rest(1)
        assert a.moves() == ["BACKUP"]
        gate.open()
        finish(a)
        assert a.moves() == ["BACKUP", "MASTER"]
        assert a.addresses() == {"192.0.2.1/24", VIP}
        assert verbs(a) == ["sends", "installs", "announces"]
        assert a.announced() == ["192.0.2.100"]

    def test_later_reports_queue_behind(self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate) -> None:
        stalled(simulated, a, gate)
        a.configure(settings(interval_us=SHORT_US), settings("VI_2", vrid=52, vips=[OTHER], interval_us=SHORT_US))
        simulated.until(lambda: a.state("VI_2") is State.MASTER, "the other one")
        assert a.moves("VI_2") == []
        gate.open()
        finish(a)
        told = [(r.instance, str(r.transition.state)) for r in a.reports if isinstance(r, Entered)]
        assert told == [("VI_1", "BACKUP"), ("VI_1", "MASTER"), ("VI_2", "BACKUP"), ("VI_2", "MASTER")]

    def test_a_better_master_was_heard_meanwhile(self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate) -> None:
        """What it wanted to announce is another's now; the addresses come and go."""
        stalled(simulated, a, gate)
        a.kernel.sockets[0].put(advertisement(PEER, 200, interval_us=SHORT_US))
        a.step()
        assert a.state() is State.BACKUP
        gate.open()
        finish(a)
        assert a.moves() == ["BACKUP", "MASTER", "BACKUP"]
        assert a.announced() == []
        assert verbs(a)[-2:] == ["installs", "removes"]
        assert a.addresses() == {"192.0.2.1/24"}

    def test_master_once_more_before_the_first_time_is_through(
        self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate
    ) -> None:
        """Of the two reigns only the second is announced, and its addresses stay."""
        stalled(simulated, a, gate)
        a.kernel.sockets[0].put(advertisement(PEER, 200, interval_us=SHORT_US))
        a.step()
        simulated.until(lambda: a.state() is State.MASTER, "master again")
        gate.open()
        finish(a)
        assert a.moves() == ["BACKUP", "MASTER", "BACKUP", "MASTER"]
        assert a.announced() == ["192.0.2.100"]
        assert a.addresses() == {"192.0.2.1/24", VIP}

    def test_a_question_is_answered_when_it_is_done(
        self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate
    ) -> None:
        stalled(simulated, a, gate)
        a.command(Ask(7))
        simulated.rest(1)
        assert [report for report in a.reports if isinstance(report, Status)] == []
        gate.open()
        finish(a)
        (answer,) = (report for report in a.reports if isinstance(report, Status))
        assert [str(address) for address in answer.instances[0].addresses] == ["192.0.2.100"]

    def test_whoever_wants_to_know_that_all_is_done(
        self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate
    ) -> None:
        done: list[set[str]] = []
        a.engine.when_done(lambda: done.append(a.addresses()))
        stalled(simulated, a, gate)
        a.engine.when_done(lambda: done.append(a.addresses()))
        simulated.rest(1)
        gate.open()
        finish(a)
        assert done == [{"192.0.2.1/24"}, {"192.0.2.1/24", VIP}]

    @pytest.mark.parametrize("arp_interval_us", [0, 1_000])
    def test_many_of_which_a_reload_takes_some_away(
        self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate, arp_interval_us: int
    ) -> None:
        """What is in flight for them comes to nothing, and the others have all their turns."""
        texts = [f"10.9.0.{n}/32" for n in range(1, 151)]
        announcements = replace(QUIET, repeat=2, arp_interval_us=arp_interval_us)
        stalled(simulated, a, gate, vips=texts, announcements=announcements)
        a.configure(settings(vips=texts[1:-1], announcements=announcements, interval_us=SHORT_US))
        a.step()
        gate.open()
        finish(a)
        simulated.rest(1)
        assert a.addresses() == {"192.0.2.1/24", *texts[1:-1]}
        assert a.announced() == [text.removesuffix("/32") for text in texts[1:-1]] * 2
        assert a.moves() == ["BACKUP", "MASTER"]

    def test_links_are_heard_of(self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate) -> None:
        """An interface that goes down ends the reign, however long the kernel takes."""
        stalled(simulated, a, gate)
        a.set_link(up=False)
        simulated.rest(NEWS_US / 1e6)
        assert a.state() is State.FAULT
        gate.open()
        finish(a)
        assert a.moves() == ["BACKUP", "MASTER", "FAULT"]
        assert a.announced() == []

    def test_what_is_on_its_way_is_not_missing(self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate) -> None:
        """News while the address is not there yet are no reason to put it back."""
        stalled(simulated, a, gate)
        a.add_address("192.0.2.7/24")
        a.kernel.add_link("eth1")
        simulated.rest(1)
        gate.open()
        finish(a)
        simulated.rest(1)
        finish(a)
        assert len(gate.threads) == 1
        assert a.announced() == ["192.0.2.100"]

    def test_stop_waits(
        self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is over when the addresses are gone, and everything that was held back is told before."""
        stalled(simulated, a, gate)
        wait = a.engine._applier.wait

        def waiting(clock: Callable[[], int]) -> bool:
            assert a.moves() == ["BACKUP"]
            gate.open()
            return wait(clock)

        monkeypatch.setattr(a.engine._applier, "wait", waiting)
        a.command(Stop())
        simulated.rest(0)
        assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]
        assert a.reports[-1] == Stopped()
        assert a.addresses() == {"192.0.2.1/24"}
        assert a.announced() == []
        assert "pyvrrp-applier" not in {thread.name for thread in threading.enumerate()}

    def test_stop_does_not_wait_for_ever(
        self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is not known to be done is said."""
        monkeypatch.setattr(applier_module, "PATIENCE_S", 0.01)
        stalled(simulated, a, gate)
        a.command(Ask(7), Stop())
        simulated.rest(0)
        assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]
        assert [r.operation for r in a.reports if isinstance(r, KernelFailed)] == ["stop"]
        assert a.reports[-1] == Stopped()
        assert a.announced() == []
        gate.open()
        thread = a.engine._applier._thread
        assert thread is not None
        thread.join(PATIENCE_S)
        assert not thread.is_alive()

    def test_an_instance_that_a_reload_takes_away(self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate) -> None:
        """Its addresses are removed, and tried again when the kernel refuses, long after it is forgotten."""
        stalled(simulated, a, gate)
        a.kernel.refuse_removes = errno.EBUSY
        a.configure()
        simulated.rest(1)
        gate.open()
        finish(a)
        assert a.addresses() == {"192.0.2.1/24", VIP}
        a.kernel.refuse_removes = None
        simulated.rest(2 * RETRY_US / 1e6)
        finish(a)
        assert a.addresses() == {"192.0.2.1/24"}


class TestThread:
    def test_what_the_kernel_refused_is_tried_again(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        a.kernel.refuse_installs = errno.EPERM
        a.configure(settings(interval_us=SHORT_US))
        simulated.until(lambda: a.state() is State.MASTER, "master")
        finish(a)
        assert a.moves() == ["BACKUP", "MASTER"]
        assert [r.operation for r in a.reports if isinstance(r, KernelFailed)] == ["add address"]
        assert a.announced() == []
        a.kernel.refuse_installs = None
        simulated.rest(RETRY_US / 1e6 + 0.1)
        finish(a)
        assert a.announced() == ["192.0.2.100"]
        assert VIP in a.addresses()

    def test_a_refusal_that_is_older_than_a_success(
        self, simulated: SimulatedLan, a: SimulatedHost, gate: Gate
    ) -> None:
        """The first reign's addresses were refused, the second's were not, and one hears of both at once."""
        real, results = a.kernel.install, iter((errno.EPERM, None))

        def install(addresses: Sequence[VirtualAddress]) -> object:
            a.kernel.refuse_installs = next(results, None)
            return real(addresses)

        a.kernel.install = install  # type: ignore[method-assign,assignment]
        stalled(simulated, a, gate)
        a.kernel.sockets[0].put(advertisement(PEER, 200, interval_us=SHORT_US))
        a.step()
        simulated.until(lambda: a.state() is State.MASTER, "master again")
        gate.open()
        finish(a)
        assert a.announced() == ["192.0.2.100"]

    def test_a_crash_is_raised_by_the_step(
        self, simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def crash(_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(a.kernel, "install", crash)
        a.configure(settings(interval_us=SHORT_US))
        with pytest.raises(ZeroDivisionError):
            simulated.until(lambda: a.step() is None, "the crash")
        assert a.moves() == ["BACKUP"]

    def test_an_address_that_somebody_deletes_is_put_back(self, simulated: SimulatedLan, a: SimulatedHost) -> None:
        a.configure(settings(interval_us=SHORT_US))
        simulated.until(lambda: a.state() is State.MASTER, "master")
        finish(a)
        simulated.rest(1)
        finish(a)
        a.delete_address(VIP)
        simulated.rest(1)
        finish(a)
        assert VIP in a.addresses()
        assert a.moves() == ["BACKUP", "MASTER"]

    def test_a_list_of_links_that_was_overtaken_by_news(
        self, simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The kernel was asked while the interface was up; that it went down was heard before the answer was."""
        a.configure(settings(interval_us=SHORT_US))
        simulated.until(lambda: a.state() is State.MASTER, "master")
        finish(a)
        simulated.rest(1)
        finish(a)
        question = Gate(a.kernel, "addresses", monkeypatch)  # links are asked for first
        a.add_address("192.0.2.7/24")
        simulated.rest(0.001)
        question.reached()
        a.set_link(up=False)
        simulated.rest(NEWS_US / 1e6)
        question.open()
        finish(a)
        assert a.moves() == ["BACKUP", "MASTER", "FAULT"]
        simulated.rest(0.001)
        finish(a)
        assert a.moves() == ["BACKUP", "MASTER", "FAULT"]
        assert set(question.threads) == {"pyvrrp-applier"}

    def test_a_list_that_the_kernel_refused_is_asked_for_again(
        self, simulated: SimulatedLan, a: SimulatedHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a.configure(settings(interval_us=SHORT_US))
        simulated.until(lambda: a.state() is State.MASTER, "master")
        finish(a)
        simulated.rest(1)
        finish(a)

        def refuse() -> None:
            raise KernelError("list", "links", errno.EINTR)

        with monkeypatch.context() as patch:
            patch.setattr(a.kernel, "links", refuse)
            a.delete_address(VIP)
            simulated.rest(0.001)
            finish(a)
        assert [r.operation for r in a.reports if isinstance(r, KernelFailed)] == ["list"]
        assert VIP not in a.addresses()
        simulated.rest(1.1)
        finish(a)
        simulated.rest(0.1)
        finish(a)
        assert VIP in a.addresses()


class TestInline:
    @pytest.mark.parametrize(
        ("count", "interval_us", "threaded"),
        [
            (1, LENIENT_INTERVAL_US, False),
            (INLINE_CHANGES_MAX, LENIENT_INTERVAL_US, False),
            (INLINE_CHANGES_MAX + 1, LENIENT_INTERVAL_US, True),
            (1, LENIENT_INTERVAL_US - 10_000, True),
        ],
    )
    def test_who_installs(self, a: SimulatedHost, gate: Gate, count: int, interval_us: int, *, threaded: bool) -> None:
        gate.open()
        a.configure(settings(vips=[f"192.0.2.{100 + n}/24" for n in range(count)], interval_us=interval_us))
        a.world.run(PATIENCE_US)
        finish(a)
        assert gate.threads == ["pyvrrp-applier" if threaded else threading.current_thread().name]

    def test_where_it_is_short_or_much_the_thread_is_there_beforehand(self, a: SimulatedHost) -> None:
        a.configure(settings())
        a.step()
        while a.engine.prepare_next():
            pass
        assert a.engine._applier._thread is None
        a.configure(settings(interval_us=SHORT_US))
        a.step()
        while a.engine.prepare_next():
            pass
        assert a.engine._applier._thread is not None


class TestApplier:
    @pytest.fixture
    def applier(self) -> Iterator[Applier]:
        made = Applier(threaded=True)
        made.expect(SHORT_US, 1)
        yield made
        made.close()

    def test_in_order(self, applier: Applier) -> None:
        told: list[object] = []
        opened = threading.Event()
        applier.then(lambda _: told.append("at once"), 0)
        applier.do(partial(opened.wait, PATIENCE_S), lambda result, _: told.append(result), 0)
        applier.then(told.append, 0)
        applier.do(lambda: "second", lambda result, _: told.append(result), 0)
        applier.collect(1)
        assert told == ["at once"]
        assert applier.busy
        opened.set()
        assert applier.wait(lambda: 5)
        assert told == ["at once", True, 5, "second"]
        assert not applier.busy

    def test_one_that_fails_does_not_take_others_with_it(self, applier: Applier) -> None:
        """Whoever goes on after the error finds the rest."""
        told: list[object] = []
        applier.do(lambda: 1 // 0, lambda result, _: told.append(result), 0)
        applier.do(lambda: 1, lambda result, _: told.append(result), 0)
        with pytest.raises(ZeroDivisionError):
            applier.wait(lambda: 0)
        assert applier.wait(lambda: 0)
        assert told == [1]

    def test_finishing_one_may_give_the_next(self, applier: Applier) -> None:
        told: list[int] = []

        def again(result: int | None, now_us: int) -> None:
            told.append(result or 0)
            if len(told) < 3:
                applier.do(lambda: len(told), again, now_us)

        applier.do(lambda: 0, again, 0)
        assert applier.wait(lambda: 0)
        assert told == [0, 1, 2]

    def test_close_ends_the_thread(self, applier: Applier) -> None:
        applier.do(lambda: None, lambda *_: None, 0)
        thread = applier._thread
        assert thread is not None
        applier.close()
        applier.close()
        assert not thread.is_alive()
        assert applier.fileno() == -1
        told: list[int] = []
        applier.do(lambda: 3, lambda result, _: told.append(result or 0), 0)
        assert told == [3]

    def test_without_a_thread_there_is_nothing_to_poll(self) -> None:
        plain = Applier()
        plain.expect(SHORT_US, 1000)
        assert not plain.prepare()
        assert plain.fileno() == -1
        assert plain.wait(lambda: 0)


@pytest.mark.root
class TestKernel:
    def test_many_addresses(self, real: RealLan, monkeypatch: pytest.MonkeyPatch) -> None:
        """All are there, none is announced before it is, and the first are announced while the last are installed."""
        a = real.host("a", "192.0.2.1/24")
        texts = [f"10.9.0.{n}/32" for n in range(1, 251)]
        assert isinstance(a.system, LinuxSystem)
        announce, install = a.system.announce, a.system.install
        early: list[str] = []
        threads: list[str] = []

        def announced(frames: Iterable[tuple[int, bytes]]) -> None:
            frames = list(frames)
            there = {str(found.address.ip) for found in a.system.addresses()}
            told = (socket.inet_ntoa(frame[38:42]) for _, frame in frames)  # RFC 826: the target's protocol address
            early.extend(text for text in told if text not in there)
            announce(frames)

        def installed(addresses: Sequence[VirtualAddress]) -> list[KernelError | None]:
            threads.append(threading.current_thread().name)
            return install(addresses)

        monkeypatch.setattr(a.system, "announce", announced)
        monkeypatch.setattr(a.system, "install", installed)
        a.configure(settings(vips=texts))
        real.until(lambda: a.moves() == ["BACKUP", "MASTER"], "master")
        assert threads == ["pyvrrp-applier"] * 4  # 64 at a time
        assert set(texts) <= a.addresses()
        assert early == []
        real.until(lambda: len(a.announced()) == 250, "all announcements")
        assert a.announced() == [text.removesuffix("/32") for text in texts]
        a.command(Ask(99))
        real.until(lambda: any(isinstance(r, Status) and r.token == 99 for r in a.reports), "an answer")
        answer = next(r for r in a.reports if isinstance(r, Status) and r.token == 99)
        assert len(answer.instances[0].addresses) == 250
        a.command(Stop())
        real.until(lambda: Stopped() in a.reports, "the end")
        assert a.engine.stopped
        assert a.addresses() & {*texts} == set()

    def test_while_others_work(self, real: RealLan, tmp_path: Path) -> None:
        """Somebody adds and deletes links without a pause in another namespace: nothing is lost, order holds."""
        a = real.host("a", "192.0.2.1/24")
        elsewhere = real.network.namespace("elsewhere")
        enough = threading.Event()
        rounds: list[int] = []
        script = tmp_path / "links"

        def hammer() -> None:
            lines = "".join(f"link add d{n} type veth peer name e{n}\n" for n in range(20))
            lines += "".join(f"link del d{n}\n" for n in range(20))
            script.write_text(lines)
            while not enough.is_set():
                elsewhere.ip("-batch", str(script))
                rounds.append(1)

        busy = threading.Thread(target=hammer)
        busy.start()
        try:
            texts = [f"10.9.0.{n}/32" for n in range(1, 51)]
            a.configure(settings(vips=texts, interval_us=SHORT_US))
            real.until(lambda: a.moves() == ["BACKUP", "MASTER"], "master")
            assert set(texts) <= a.addresses()
            real.until(lambda: len(a.sent()) >= 100 and len(rounds) >= 2, "a hundred advertisements")
            assert a.announced() == [text.removesuffix("/32") for text in texts]
            a.command(Stop())
            real.until(lambda: Stopped() in a.reports, "the end")
        finally:
            enough.set()
            busy.join(PATIENCE_S)
        assert a.moves() == ["BACKUP", "MASTER", "INITIALIZE"]
        priorities = [sent.priority for sent in a.sent()]
        assert priorities == [100] * (len(priorities) - 1) + [0]
        assert a.addresses() & {*texts} == set()

    def test_a_rehearsal_does_not_wait_behind_a_change(self, real: RealLan) -> None:
        a = real.host("a", "192.0.2.1/24")
        assert isinstance(a.system, LinuxSystem)
        with a.namespace.inside(), a.system._changing:  # somebody changes something
            a.system.rehearse()
        with a.namespace.inside():
            a.system.rehearse()
            assert a.system.install([vip(VIP)]) == [None]


@pytest.mark.root
def test_a_real_engine_does_all_inline_where_nothing_is_short(real: RealLan) -> None:
    """One thread less for the many that have an address or two at a second's interval."""
    a = real.host("a", "192.0.2.1/24")
    a.configure(settings())
    real.until(lambda: a.is_master() and a.status_of().addresses, "master")
    assert a.engine._applier._thread is None
