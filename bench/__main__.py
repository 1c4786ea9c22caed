"""
All questions about speed, pyvrrp and keepalived in turns on the same machine.

    python -m bench                       under 30 minutes; needs root
    python -m bench --quick               under 5
    python -m bench --json out.json --plot out.svg --markdown table.md
    python -m bench --offload split       every row with that receive path of pyvrrp

Each question runs alone, too: `python -m bench.failover --quick`.
"""

from __future__ import annotations

from bench import (
    addresses,
    backup_cpu,
    checks,
    failover,
    flood,
    handover,
    mass_failover,
    master_cpu,
    reload,
    start,
    starved,
)
from bench.harness import main

QUESTIONS = [
    module.QUESTION
    for module in (
        failover,
        handover,
        start,
        backup_cpu,
        master_cpu,
        addresses,
        mass_failover,
        checks,
        flood,
        starved,
        reload,
    )
]

if __name__ == "__main__":
    raise SystemExit(main(QUESTIONS))
