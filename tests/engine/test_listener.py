"""Octets that passed the receive checks once are not checked again, and nothing else gets by for it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_interface

import pytest

from pyvrrp.engine.commands import Configure
from pyvrrp.engine.loop import Engine
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.net.simulated import SimulatedSystem, World
from pyvrrp.net.system import Datagram, VirtualAddress
from pyvrrp.protocol import receive as receive_module
from pyvrrp.protocol.advertisement import Advertisement, encode
from pyvrrp.protocol.constants import GROUP_V4, Family
from pyvrrp.protocol.headers import IpHeader
from pyvrrp.protocol.settings import RouterSettings

HEADER = IpHeader(IPv4Address("192.0.2.2"), GROUP_V4)
MESSAGE = Advertisement(
    version=3,
    vrid=51,
    priority=200,
    max_advertise_interval_us=1_000_000,
    addresses=(IPv4Address("192.0.2.100"),),
)


def advertise(header: IpHeader) -> Datagram:
    return Datagram(header, encode(MESSAGE, header))


GOOD = advertise(HEADER)
SETTINGS = InstanceSettings(
    name="VI_1",
    interface="eth0",
    router=RouterSettings(vrid=51, family=Family.V4),
    vips=(VirtualAddress("eth0", ip_interface("192.0.2.100/24")),),
)


class Host:
    """A BACKUP on a simulated host, and what came to its ladder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checked = 0
        self.system: SimulatedSystem = World().host("a")
        self.system.add_link("eth0", ip_interface("192.0.2.1/24"))
        self.engine = Engine(self.system, lambda _: None)
        self.configure(SETTINGS)
        real = receive_module.receive

        def count(*arguments: object) -> object:
            self.checked += 1
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr("pyvrrp.engine.listener.receive", count)

    def configure(self, settings: InstanceSettings) -> None:
        self.engine.command(Configure((settings,)))
        self.engine.step()

    def hear(self, *datagrams: Datagram) -> dict[str, int]:
        self.system.sockets[0].put(*datagrams)
        self.engine.step()
        (runner,) = self.engine._runners.values()
        return dict(runner.counters)


def test_the_same_octets_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch)
    assert host.hear(*[GOOD] * 5) == {"advertisements-received": 5}
    assert host.checked == 1


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (replace(GOOD, header=replace(HEADER, ttl=254)), "ttl"),
        (advertise(replace(HEADER, destination=IPv4Address("192.0.2.1"))), "not-multicast-destination"),
        (advertise(replace(HEADER, source=IPv4Address("192.0.2.1"))), "own-source"),
        (replace(GOOD, payload=GOOD.payload[:-1] + b"\xff"), "checksum"),
        (replace(GOOD, payload=GOOD.payload + b"\0"), "trailing-bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_differs_is_checked(monkeypatch: pytest.MonkeyPatch, other: Datagram, reason: str) -> None:
    assert Host(monkeypatch).hear(GOOD, other, GOOD) == {"advertisements-received": 2, reason: 1}


def test_new_settings_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload that changes what is accepted: octets that passed before are judged by the new settings."""
    host = Host(monkeypatch)
    host.hear(GOOD)
    host.configure(replace(SETTINGS, vips=(VirtualAddress("eth0", ip_interface("192.0.2.101/24")),)))
    assert host.hear(GOOD)["noticed-address-list-mismatch"] == 1
    assert host.checked == 2
