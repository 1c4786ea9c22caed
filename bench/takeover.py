"""
A backup, and a master that is killed: when does the backup announce its addresses, counted from its own deadline?

The master is a packet generator on another port, the same for both programs; it ends by SIGKILL.
"""

from __future__ import annotations

import time

from bench.daemons import Daemon, Plan, Program, Setting
from bench.generator import Generator
from bench.lan import Lan, Ring


def takeovers(
    setting: Setting, program: Program, plan: Plan, count: int, *, settle_s: float = 0.5
) -> list[dict[tuple[int, bytes], float]]:
    """
    Let a backup take over *count* times.

    Returns:
        For each time and each address of each router: from the deadline to its first announcement, in ms.
    """
    results = []
    expected = {(vrid, address.packed) for vrid in plan.vrids for address in plan.addresses(vrid)}
    owners = {address: vrid for vrid, address in expected}
    frames = 2 * max(4096, 12 * len(expected))
    with Lan() as lan, Ring(lan, "r1", frames=65536) as master, Ring(lan, "r2", frames=frames) as backup:
        generator = Generator(lan, "r1", plan.frames(), plan.interval_us, burst=True)
        try:
            with Daemon(setting, lan, "r2", program, plan.configuration(), realtime=True) as daemon:
                daemon.wait_joined(plan.family)
                for number in range(count):
                    if number:
                        generator = Generator(lan, "r1", plan.frames(), plan.interval_us, burst=True)
                    # One advertisement at least has to be heard, and the addresses of the last time have to go.
                    time.sleep(settle_s + 1.2 * plan.interval_us / 1e6)
                    generator.kill()
                    time.sleep(plan.deadline_us / 1e6 + 0.25)
                    last = {item.vrid: item.at_us for item in master.seen() if item.vrid and item.priority}
                    first: dict[tuple[int, bytes], float] = {}
                    killed_us = max(last.values())
                    for item in backup.seen():
                        vrid = owners.get(item.address)
                        if vrid is not None and item.at_us > killed_us:
                            late_us = item.at_us - last[vrid] - plan.deadline_us
                            first.setdefault((vrid, item.address), late_us / 1000)
                    if first.keys() != expected:
                        raise RuntimeError(f"{len(first)} of {len(expected)} addresses were announced")
                    results.append(first)
        finally:
            generator.kill()
    return results
