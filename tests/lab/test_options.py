"""What can be asked of the lab, and the plan that comes of it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from pyvrrp.errors import UsageError
from pyvrrp.lab.options import DAEMON_NAMES, LabOptions
from pyvrrp.lab.run import add_parser
from pyvrrp.lab.topology import CLIENT_MACHINE, DAEMONS, ROUTERS, Plan, pyvrrp_command
from pyvrrp.protocol.constants import Family

V4 = Plan(Family.V4, 1_000_000)
V6 = Plan(Family.V6, 100_000)


@pytest.mark.parametrize("interval", [0.01, 0.1, 0.29, 1, 1.13, 40.95])
def test_intervals(interval: float) -> None:
    assert LabOptions(advert_int=interval).advert_int == interval


@pytest.mark.parametrize("interval", [0, -1, 0.001, 0.015, 40.96, float("nan"), float("inf")])
def test_intervals_that_cannot_be(interval: float) -> None:
    with pytest.raises(UsageError, match=r"0\.01-40\.95 s"):
        LabOptions(advert_int=interval)


def test_other_options_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="family 5"):
        LabOptions(family=5)
    with pytest.raises(UsageError, match="frr is none of"):
        LabOptions(peer="frr")


def test_peer() -> None:
    """Only the router that takes over first is somebody else's."""
    options = LabOptions(peer="keepalived")
    assert [options.daemon_of(router.name) for router in ROUTERS] == ["pyvrrp", "keepalived", "pyvrrp"]


def test_daemon_names() -> None:
    assert set(DAEMON_NAMES) == set(DAEMONS)


def test_timing() -> None:
    """Worked out by hand: 3 s + 136/256 s and 156/256 s; 0.3 s + 13.6/256 s."""
    _, r2, r3 = ROUTERS
    assert V4.master_down_interval_us(r2) == 3_531_250
    assert V4.skew_time_us(r3) == 609_375
    assert V6.master_down_interval_us(r2) == 353_125


def test_addresses() -> None:
    assert [str(V4.address(router)) for router in ROUTERS] == ["192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24"]
    assert str(V6.address(CLIENT_MACHINE)) == "2001:db8::10/64"
    assert V6.vips() == ["fe80::100/64", "2001:db8::100/64"]


def test_configuration() -> None:
    assert Plan(Family.V4, 290_000).configuration(ROUTERS[1]) == (
        """\
global_defs {
    router_id r2
}

vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 120
    version 3
    advert_int 0.29
    virtual_ipaddress {
        192.0.2.100/24
    }
}
"""
    )


def test_own_daemon() -> None:
    command = " ".join(pyvrrp_command("r1", Path("/run")))
    assert command == f"{sys.executable} -m pyvrrp run -n -l -f /run/keepalived.conf --runtime-dir /run/pyvrrp"


def test_command_line_is_light() -> None:
    """`pyvrrp run` must not pay for the lab."""
    heavy = ["pyroute2", "ctypes", "socket", "scapy"]
    program = f"import sys, pyvrrp.lab.run; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_arguments() -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    chosen = parser.parse_args(["lab", "exec", "r1", "--", "ls", "-l", "--", "x"])
    assert (chosen.machine, chosen.words) in [("r1", ["--", "ls", "-l", "--", "x"]), ("r1", ["ls", "-l", "--", "x"])]
    chosen = parser.parse_args(["lab", "--advert-int", "0.1", "--family", "6", "--peer", "keepalived"])
    assert (chosen.advert_int, chosen.family, chosen.peer, chosen.keep) == (0.1, 6, "keepalived", False)
