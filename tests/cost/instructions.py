"""
A master and a backup on a LAN in memory, for as many advertisement intervals as the argument says.

Run by `test_instructions.py` under callgrind, twice: the difference is what advertisements cost, without the start.
"""

from __future__ import annotations

import gc
import sys

from tests.engine.worlds import INTERVAL_US, SimulatedLan, settings

VRIDS = range(1, 21)


def main(intervals: int) -> None:
    lan = SimulatedLan()
    a, b = lan.host("a", "192.0.2.1/24"), lan.host("b", "192.0.2.2/24")
    for host, priority in ((a, 200), (b, 100)):
        wanted = (settings(f"VI_{n}", vrid=n, priority=priority, vips=[f"192.0.2.{100 + n}/24"]) for n in VRIDS)
        host.configure(*wanted)
    lan.until(lambda: all(a.is_master(f"VI_{n}") for n in VRIDS), "the election")
    gc.freeze()
    gc.disable()
    lan.rest(intervals * INTERVAL_US / 1e6)
    assert b.moves() == ["BACKUP"]


if __name__ == "__main__":
    main(int(sys.argv[1]))
