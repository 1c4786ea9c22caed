"""The library: `pyvrrp.Instance` in a simulated world and on a real interface."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

import pyvrrp
from pyvrrp import Cause, NotPermitted, State, Transition, UsageError, VrrpError
from pyvrrp.engine.reports import Dropped, Remarked, Report
from pyvrrp.net.simulated import World
from pyvrrp.net.system import ADDRESS_PROTOCOL, Datagram
from pyvrrp.protocol.advertisement import Advertisement, encode
from pyvrrp.protocol.constants import GROUP_V4, Family
from pyvrrp.protocol.headers import IpHeader
from tests.daemon.conftest import Waker, advertisements, eventually, play
from tests.netns import Capture, Network, network

__all__ = ["network"]

VIP = "192.0.2.100/24"


class Stage:
    """A host with an interface in a world of virtual time, and another host on its LAN."""

    def __init__(self) -> None:
        self.world = World()
        self.system = self.world.host("r1")
        self.system.add_link("eth0", ip_interface("192.0.2.1/24"))
        self.peer = self.world.host("r2")
        self.peer.add_link("eth0", ip_interface("192.0.2.2/24"))

    def instance(self, *arguments: Any, **more: Any) -> pyvrrp.Instance:
        names = ("interface", "vrid", "addresses")
        settings = dict(zip(names, arguments or ("eth0", 51, [VIP]), strict=True)) | {"advertisement_interval_s": 0.1}
        return pyvrrp.Instance(**{**settings, **more}, system=self.system)

    @asynccontextmanager
    async def running(self, **more: Any) -> AsyncIterator[pyvrrp.Instance]:
        made = self.instance(**more)
        async with made as instance:
            assert instance is made
            assert instance._driver is not None
            self.world.attach("r1", Waker(instance._driver.wake))
            yield instance

    def has_vip(self) -> bool:
        return self.system.has_address(ip_address("192.0.2.100"))

    def sent(self) -> list[int]:
        """Priorities of its advertisements."""
        return [
            entry.subject.payload[2]  # type: ignore[attr-defined]
            for entry in self.world.journal
            if (entry.host, entry.verb) == ("r1", "sends")
        ]

    def hear(self, priority: int, *, vrid: int = 51) -> None:
        """Let the other host advertise."""
        message = Advertisement(3, vrid, priority, 100_000, (ip_address("192.0.2.100"),))
        header = IpHeader(ip_address("192.0.2.2"), GROUP_V4, 255)
        sock = self.peer.open_socket(self.peer.links()[0], Family.V4, GROUP_V4)
        sock.send([Datagram(header, encode(message, header))])
        sock.close()


def test_transitions_are_iterated_until_it_has_stopped() -> None:
    """The first one included, and what was not read yet is kept."""
    stage = Stage()

    async def scene() -> list[tuple[State, Cause]]:
        seen = []
        async with stage.running() as instance:
            async for transition in instance:
                seen.append((transition.state, transition.cause))
                assert instance.state is transition.state
                if transition.state is State.MASTER:
                    assert stage.has_vip()
                    break
            assert stage.world.now_us == pytest.approx(360_937, abs=3_000)  # 3 * 0.1 + 156/256 * 0.1 s
        assert [transition.state async for transition in instance] == [State.INITIALIZE]
        assert [transition async for transition in instance] == []
        assert instance.state is State.INITIALIZE
        return seen

    assert play(stage.world, scene()) == [(State.BACKUP, Cause.STARTUP), (State.MASTER, Cause.MASTER_TIMEOUT)]
    assert not stage.has_vip()
    assert stage.sent()[-1] == 0


async def enters(transitions: AsyncIterator[Transition], state: State) -> Transition:
    async with asyncio.timeout(60):
        async for transition in transitions:
            if transition.state is state:
                return transition
    raise AssertionError(f"it ended before it was {state}")


def test_priority_and_faults() -> None:
    stage = Stage()

    async def scene() -> None:
        async with stage.running() as instance:
            news = aiter(instance)
            await enters(news, State.MASTER)
            instance.set_priority(50)
            await eventually(lambda: 50 in stage.sent(), "the new priority is advertised")
            instance.raise_fault("database", "no answer from the database")
            instance.raise_fault("disk")
            transition = await enters(news, State.FAULT)
            assert transition.reason == "no answer from the database"
            status = await instance.status()
            assert status.faults == {"database": "no answer from the database", "disk": "disk"}
            instance.clear_fault("database")
            instance.clear_fault("never raised")
            assert (await instance.status()).state is State.FAULT
            instance.clear_fault("disk")
            assert (await enters(news, State.BACKUP)).cause is Cause.RECOVERY
            stage.hear(100)
            status = await instance.status()
            assert (status.base_priority, status.effective_priority) == (100, 50)
            await eventually(lambda: stage.world.now_us > 0, "time passes")
            assert (await instance.status()).master == ip_address("192.0.2.2")

    play(stage.world, scene())


def test_status() -> None:
    stage = Stage()

    async def scene() -> None:
        async with stage.running(name="web", excluded=["2001:db8::1/64"]) as instance:
            await enters(aiter(instance), State.MASTER)
            one, two = await asyncio.gather(instance.status(), instance.status())
            assert one == two
            assert (one.name, one.state, one.interface, one.vrid) == ("web", State.MASTER, "eth0", 51)
            assert set(one.addresses) == {ip_address("192.0.2.100"), ip_address("2001:db8::1")}
            assert one.counters["became-master"] == 1

    play(stage.world, scene())


def test_other_reports_go_to_the_callback() -> None:
    """Drops and remarks; a callback that fails is the loop's to tell, and the router lives on."""
    stage = Stage()
    heard: list[Report] = []

    def hear(report: Report) -> None:
        heard.append(report)
        raise ValueError("a fault of the caller")

    async def scene() -> list[str]:
        told: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
        async with stage.running(on_report=hear) as instance:
            await enters(aiter(instance), State.MASTER)
            stage.hear(100, vrid=9)
            stage.hear(50)
            await eventually(lambda: any(isinstance(report, Remarked) for report in heard), "a remark")
            await eventually(lambda: any(isinstance(report, Dropped) for report in heard), "a drop")
            assert (await instance.status()).state is State.MASTER
        return told

    assert set(play(stage.world, scene())) == {"a fault of the caller"}


def test_an_error_in_the_body_ends_it_in_order() -> None:
    stage = Stage()

    async def scene() -> None:
        async with stage.running(priority=255) as instance:
            await enters(aiter(instance), State.MASTER)
            raise LookupError("the caller's")

    with pytest.raises(LookupError):
        play(stage.world, scene())
    assert not stage.has_vip()
    assert stage.sent()[-1] == 0


def test_cancelled_again_while_it_ends_it_still_ends_in_order() -> None:
    """Nothing at the end is waited for, so nothing can be cut short."""
    stage = Stage()

    async def scene() -> None:
        entered = asyncio.Event()

        async def body() -> None:
            try:
                async with stage.running(priority=255) as instance:
                    await enters(aiter(instance), State.MASTER)
                    entered.set()
                    await asyncio.Event().wait()
            finally:
                assert not stage.has_vip()

        task = asyncio.create_task(body())
        await entered.wait()
        task.cancel()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    play(stage.world, scene())
    assert not stage.has_vip()
    assert stage.sent()[-1] == 0


def test_an_engine_that_fails_is_an_error_and_leaves_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits is told: the iteration and a question under way."""
    stage = Stage()

    def broken() -> None:
        raise RuntimeError("our own fault")

    async def scene() -> None:
        async with stage.running() as instance:
            news = aiter(instance)
            await enters(news, State.MASTER)
            monkeypatch.setattr(stage.system, "links", broken)
            with pytest.raises(VrrpError, match="the engine failed: RuntimeError"):
                await instance.status()
            with pytest.raises(VrrpError, match="the engine failed: RuntimeError") as caught:
                await enters(news, State.BACKUP)
            assert isinstance(caught.value.__cause__, RuntimeError)
            assert not stage.has_vip()
            assert instance.state is State.INITIALIZE
            with pytest.raises(UsageError, match="not running"):
                await instance.status()
            assert [transition async for transition in instance] == []

    play(stage.world, scene())
    assert not stage.has_vip()


def test_an_owners_own_address_survives_a_failure_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    vips = ["192.0.2.1/24", "192.0.2.100/24"]

    async def scene() -> None:
        async with stage.running(addresses=vips, priority=255) as instance:
            await enters(aiter(instance), State.MASTER)
            monkeypatch.setattr(stage.system, "announce", lambda _: 1 / 0)
            stage.system.delete_address("eth0", ip_interface("192.0.2.100/24"))
            await eventually(lambda: instance._stopped, "it fails")

    play(stage.world, scene())
    assert [assigned.address for assigned in stage.system.addresses()] == [ip_interface("192.0.2.1/24")]


@pytest.mark.parametrize(
    ("arguments", "more", "complaint"),
    [
        (("eth0", 51, []), {}, "at least one address"),
        (("eth0", 51, VIP), {}, "a list of at least one address"),
        (("eth0", 51, ["nonsense"]), {}, "nonsense"),
        (("eth0", 0, [VIP]), {}, "vrid 0"),
        (("eth0", 256, [VIP]), {}, "vrid 256"),
        (("eth0", 51, [VIP]), {"priority": 0}, "priority 0"),
        (("eth0", 51, [VIP]), {"priority": 256}, "priority 256"),
        (("eth0", 51, [VIP]), {"version": 4}, "version"),
        (("eth0", 51, [VIP]), {"advertisement_interval_s": 0}, "interval"),
        (("eth0", 51, [VIP]), {"advertisement_interval_s": 41}, "interval"),
        (("eth0", 51, [VIP]), {"advertisement_interval_s": float("nan")}, "advertisement_interval_s nan"),
        (("eth0", 51, [VIP]), {"preempt_delay_s": float("inf")}, "preempt_delay_s inf"),
        (("eth0", 51, [VIP]), {"preempt_delay_s": -1}, "preempt_delay"),
        (("eth0", 51, [VIP]), {"version": 2, "advertisement_interval_s": 0.5}, "interval"),
        (("eth0", 51, [VIP]), {"source": "2001:db8::1"}, "2001:db8::1"),
        (("eth0", 51, [VIP]), {"unicast_peers": ["x"]}, "x"),
        (("eth0", 51, [VIP, "2001:db8::1/64"]), {}, "IPv4 and IPv6"),
        (("eth0", 51, ["2001:db8::1/64"]), {"version": 2}, "VRRPv2 carries no IPv6"),
        (("eth0", 51, [VIP]), {"password": "abc"}, "password"),
        (("eth0", 51, [VIP]), {"version": 2, "password": "123456789"}, "password"),
    ],
)
def test_arguments_that_cannot_be(arguments: tuple[Any, ...], more: dict[str, Any], complaint: str) -> None:
    """They are the caller's fault, said at the call."""
    with pytest.raises(UsageError, match=complaint):
        Stage().instance(*arguments, **{"advertisement_interval_s": 1, **more})


def test_a_password_is_not_shown() -> None:
    instance = Stage().instance(version=2, advertisement_interval_s=1, password="geheim")
    assert instance.settings.auth_data == b"geheim\0\0"
    assert "geheim" not in repr(instance.settings)


def test_misuse() -> None:
    stage = Stage()

    async def scene() -> None:
        idle = stage.instance()
        assert idle.state is State.INITIALIZE
        with pytest.raises(UsageError, match="not running"):
            idle.set_priority(1)
        with pytest.raises(UsageError, match="not running"):
            idle.raise_fault("x")
        with pytest.raises(UsageError, match="not running"):
            idle.clear_fault("x")
        with pytest.raises(UsageError, match="not running"):
            await idle.status()
        async with stage.running() as instance:
            for priority in (0, 255):
                with pytest.raises(UsageError, match=f"priority {priority} is not within 1-254"):
                    instance.set_priority(priority)
            with pytest.raises(UsageError, match="runs once"):
                await instance.__aenter__()
        with pytest.raises(UsageError, match="not running"):
            instance.set_priority(1)
        with pytest.raises(UsageError, match="not running"):
            await instance.status()
        with pytest.raises(UsageError, match="runs once"):
            async with instance:
                raise AssertionError

    play(stage.world, scene())


def test_the_public_names() -> None:
    assert all(getattr(pyvrrp, name) is not None for name in pyvrrp.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        pyvrrp.nonsense  # noqa: B018  the access is what is tested


def test_without_the_right_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyvrrp.net.linux.missing_capabilities", lambda: ["CAP_NET_RAW"])

    async def scene() -> None:
        async with pyvrrp.Instance("eth0", 51, [VIP]):
            raise AssertionError

    with pytest.raises(NotPermitted, match="CAP_NET_RAW"):
        asyncio.run(scene())


def test_leftovers_of_a_killed_program_go_first() -> None:
    """Its own, by the mark; what an operator put there stays."""
    stage = Stage()
    stage.system.add_address("eth0", ip_interface(VIP), ADDRESS_PROTOCOL)
    stage.system.add_address("eth0", ip_interface("192.0.2.77/24"))

    async def scene() -> None:
        async with stage.running():
            assert not stage.has_vip()
            assert stage.system.has_address(ip_address("192.0.2.77"))

    play(stage.world, scene())


def test_drain_serves_until_nobody_takes_over() -> None:
    """Make before break: priority 0 at once, the address for an interval longer, then the iteration ends."""
    stage = Stage()

    async def scene() -> list[State]:
        async with stage.running() as router:
            await eventually(lambda: router.state is State.MASTER, "it is MASTER")
            draining = asyncio.create_task(router.drain())
            await eventually(lambda: stage.sent()[-1] == 0, "it has said goodbye")
            assert stage.has_vip()
            await draining
            assert not stage.has_vip()
            with pytest.raises(UsageError):
                await router.status()
            return [transition.state async for transition in router]

    assert play(stage.world, scene()) == [State.BACKUP, State.MASTER, State.INITIALIZE]
    assert stage.sent().count(0) == 1


@pytest.mark.root
def test_on_a_real_interface(network: Network) -> None:
    """Advertised, installed, and gone afterwards; no socket is left open."""
    router, peer = network.namespace("router"), network.namespace("peer")
    network.veth(router, "eth0", peer, "eth0")
    router.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")

    async def scene() -> list[State]:
        seen = []
        async with pyvrrp.Instance("eth0", 51, [VIP], advertisement_interval_s=0.05) as instance:
            async for transition in instance:
                seen.append(transition.state)
                if transition.state is State.MASTER:
                    break
            assert (await instance.status()).addresses == (ip_address("192.0.2.100"),)
        return seen

    with Capture(peer) as capture:
        assert router.call(asyncio.run, scene()) == [State.BACKUP, State.MASTER]
        heard = advertisements(capture)
    assert heard[0] == (51, 100)
    assert heard[-1] == (51, 0)
    assert router.addresses() == {"192.0.2.1/24"}
    gc.collect()  # a socket that nobody closed is a warning now, and warnings are errors


@pytest.mark.root
def test_an_interface_that_does_not_exist_yet(network: Network) -> None:
    """A defined state with a reason, not an error."""
    router = network.namespace("router")

    async def scene() -> None:
        async with pyvrrp.Instance("eth0", 51, [VIP], advertisement_interval_s=0.05) as instance:
            async for transition in instance:
                if transition.state is State.FAULT:
                    assert transition.reason == "interface eth0 does not exist"
                    await asyncio.to_thread(appear)
                if transition.state is State.MASTER:
                    break

    def appear() -> None:
        peer = network.namespace("peer")
        network.veth(router, "eth0", peer, "eth0")
        router.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")

    router.call(asyncio.run, scene())
