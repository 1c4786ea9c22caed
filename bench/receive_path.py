"""
What does one accepted advertisement cost a BACKUP? From octets to a moved deadline, without the kernel.

    python bench/receive_path.py

Prints nanoseconds for each stage, the best of several rounds. Name the interpreter with any number you quote: builds
without profile-guided optimisation are up to twice as slow.
"""

from __future__ import annotations

import platform
import sys
import timeit
from ipaddress import IPv4Address

from pyvrrp.protocol.advertisement import Advertisement, encode
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.events import AdvertisementReceived, Startup
from pyvrrp.protocol.headers import IpHeader, build_ipv4, strip_ipv4
from pyvrrp.protocol.receive import Receiver, receive
from pyvrrp.protocol.router import VirtualRouter
from pyvrrp.protocol.settings import RouterSettings

ROUNDS, RUNS = 7, 20_000
VIP, OWN, PEER = IPv4Address("192.0.2.100"), IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")


def main() -> int:
    header = IpHeader(PEER, IPv4Address("224.0.0.18"))
    message = Advertisement(version=3, vrid=51, priority=200, max_advertise_interval_us=10_000, addresses=(VIP,))
    payload = encode(message, header)
    packet = build_ipv4(header, payload)
    receiver = Receiver(
        vrid=51, version=3, family=Family.V4, primary=OWN, addresses=(VIP,), advertisement_interval_us=10_000
    )
    receivers = {51: receiver}
    router = VirtualRouter(RouterSettings(51, Family.V4, advertisement_interval_us=10_000), OWN)
    router.handle(Startup(), 0)

    def handle() -> None:
        router.handle(AdvertisementReceived(message, PEER), 1)

    def all_of_it() -> None:
        stripped, octets = strip_ipv4(packet)
        received = receive(octets, stripped, receivers)
        router.handle(AdvertisementReceived(received.advertisement, stripped.source), 1)

    stages = {
        "strip the IP header": lambda: strip_ipv4(packet),
        "receive checks": lambda: receive(payload, header, receivers),
        "state machine": handle,
        "all of it": all_of_it,
    }
    print(f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})")
    for name, stage in stages.items():
        best_s = min(timeit.repeat(stage, number=RUNS, repeat=ROUNDS)) / RUNS
        print(f"{name:20} {best_s * 1e9:8.0f} ns")
    return 0


if __name__ == "__main__":
    sys.exit(main())
