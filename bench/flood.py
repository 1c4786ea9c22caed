"""
20,000 packets a second that are none of our business: what do they cost, and does the master change?

    python -m bench.flood

A third each has a VRID that is not ours, a TTL that shows a router in between, or no sense. With them, in a row of its
own, come 1,000 a second of our own VRID with a wrong checksum. Both routers run the same program. How keepalived fares
with packets that fail a check is not for publication: those rows are private.
"""

from __future__ import annotations

import random
import time
from functools import partial
from ipaddress import IPv4Address
from itertools import pairwise

from bench.daemons import Daemon, Plan, Program, Setting, frame
from bench.generator import Generator
from bench.harness import Case, Question, Samples, main
from bench.lan import Lan, Ring
from bench.rows import Metric

RATE, BAD_RATE, BATCH = 20_000, 1_000, 240
VRID = 1


def harmless() -> list[bytes]:
    """A round of the flood."""
    chance = random.Random(112)
    foreign = [frame("client", 2 + n % 250, 150, 100_000, (IPv4Address("10.77.9.9"),)) for n in range(BATCH // 3)]
    distant = [frame("client", VRID, 150, 100_000, (IPv4Address("10.77.1.1"),), ttl=64)] * (BATCH // 3)
    garbage = [one[:34] + chance.randbytes(len(one) - 34) for one in foreign]
    return [one for three in zip(foreign, distant, garbage, strict=True) for one in three]


def damaged() -> list[bytes]:
    """Advertisements for our VRID whose checksum is wrong."""
    whole = frame("client", VRID, 150, 100_000, (IPv4Address("10.77.1.1"),))
    return [whole[:40] + bytes((whole[40] ^ 0xFF,)) + whole[41:]] * 10


def measure(bad: bool, setting: Setting, program: Program, quick: bool) -> Samples:
    plan = Plan()
    seconds = 2.0 if quick else 6.0
    with Lan() as lan, Ring(lan, "r1") as first, Ring(lan, "r2") as second:
        with (
            Daemon(setting, lan, "r1", program, plan.configuration({VRID: 200})) as master,
            Daemon(setting, lan, "r2", program, plan.configuration()) as backup,
        ):
            master.wait_joined()
            backup.wait_joined()
            time.sleep(0.6)
            floods = [Generator(lan, "client", harmless(), BATCH * 1e6 / RATE, urgent=False)]
            if bad:
                floods.append(Generator(lan, "client", damaged(), 10 * 1e6 / BAD_RATE, urgent=False))
            try:
                time.sleep(0.3)
                began, cpu, sent = time.monotonic(), (master.cpu_s(), backup.cpu_s()), lan.hosts["client"].sent()
                time.sleep(seconds)
                elapsed_s = time.monotonic() - began
                used = (master.cpu_s() - cpu[0], backup.cpu_s() - cpu[1])
                rate = (lan.hosts["client"].sent() - sent) / elapsed_s
            finally:
                for flood in floods:
                    flood.kill()
        if rate < 0.9 * RATE:
            raise RuntimeError(f"the flood was {rate:.0f} packets a second only")
        from_us = (time.time() - seconds - 2) * 1e6
        order = sorted(
            (item.at_us, name)
            for name, ring in (("r1", first), ("r2", second))
            for item in ring.seen()
            if item.vrid and item.priority and item.at_us > from_us
        )
        senders = [name for _, name in order]
        changes = sum(1 for before, after in pairwise(senders) if (before, after) == ("r1", "r2"))
        return {
            "master": [used[0] / elapsed_s * 100],
            "backup": [used[1] / elapsed_s * 100],
            "changes": [changes * 10 / seconds],
        }


def case(bad: bool) -> Case:
    name = "flood of 20,000 a second" + (" and 1,000 with a bad checksum" if bad else "")
    return Case(
        (
            Metric("master", f"{name}: master CPU", "% core", "≤ 0.15", 1, private=bad),
            Metric("backup", f"{name}: backup CPU", "% core", "≤ 0.15", 1, private=bad),
            Metric("changes", f"{name}: false failovers", "in 10 s", "0", 0, private=True),
        ),
        partial(measure, bad),
        (4.1, 8.5),
        quick=bad,  # the other flood is part of it
        turns=(2, 2),
    )


QUESTION = Question("Floods", (case(False), case(True)))

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
