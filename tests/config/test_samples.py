"""Files in the style of the programs that write them: read as they are, with no other complaints than these."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvrrp.config.complaints import Severity
from pyvrrp.config.load import load

SAMPLES = Path(__file__).parent / "samples"
INSECURE = "SECURITY VIOLATION - scripts are being executed but script_security not enabled."


def expected() -> dict[str, tuple[int, list[str], list[str]]]:
    """For each file the exit code of `-t`, what is said (notes left out), and the instances that run."""
    return {
        "packaged": (0, [], ["VI_1 51 v2 100"]),
        "neutron": (
            6,
            [
                f"5:1: {INSECURE}",
                "25:9: (VR_1) Ignoring track_interface ha-8a7bd6c6-1f since own interface",
                "33:60: (VR_1) Cannot specify scope for IPv6 addresses - ignoring scope",
                (
                    "36:5: (VR_1) virtual_routes is not supported yet; without it this would serve wrongly,"
                    " so it is not run"
                ),
            ],
            [],
        ),
        "octavia": (6, [f"1:1: {INSECURE}"], ["0f4c5b8d7ae84b3c9d6a5e4f3c2b1a09 1 v2 100"]),
        "openshift-ipfailover": (
            6,
            [
                f"14:1: {INSECURE}",
                "29:5: (ipfailover_VIP_1) Warning - preempt delay will not work with initial state MASTER - clearing",
                "32:9: (ipfailover_VIP_1) Truncating auth_pass to 8 characters",
                "51:9: (ipfailover_VIP_2) VRRP version 3 does not support authentication. Ignoring.",
            ],
            ["ipfailover_VIP_1 1 v2 254", "ipfailover_VIP_2 2 v3 253"],
        ),
        "openshift-onprem": (
            5,
            [
                "42:9: (cluster_API_0) Truncating auth_pass to 8 characters",
                "63:9: (cluster_INGRESS_1) VRRP version 3 does not support authentication. Ignoring.",
                "67:37: (cluster_INGRESS_1) Cannot specify label for IPv6 addresses - ignoring label",
            ],
            ["cluster_API_0 83 v2 40", "cluster_INGRESS_1 84 v3 20"],
        ),
        "vyos": (
            6,
            [
                "9:5: notify_fifo is not supported yet and is ignored",
                "10:5: notify_fifo_script is not supported yet and is ignored",
                f"14:1: {INSECURE}",
                "33:5: (foo) use_vmac is not supported yet; without it this would serve wrongly, so it is not run",
                "34:5: vmac_xmit_base is not supported yet and is ignored",
            ],
            ["bar 20 v2 150"],
        ),
        "kolla": (
            6,
            [f"1:1: {INSECURE}", "20:9: (kolla_internal_vip_51) Truncating auth_pass to 8 characters"],
            ["kolla_internal_vip_51 51 v2 17"],
        ),
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in SAMPLES.glob("*.conf")))
def test_sample(name: str) -> None:
    code, said, instances = expected()[name]
    path = SAMPLES / f"{name}.conf"
    result = load(path)
    assert [
        f"{one.place.line}:{one.place.column}: {one.message}"
        for one in result.complaints
        if one.severity is not Severity.NOTE
    ] == said
    assert [f"{one.name} {one.vrid} v{one.version} {one.priority}" for one in result.configuration.instances] == (
        instances
    )
    assert result.exit_code == code
    assert {one.place.file for one in result.complaints} <= {str(path)}


def test_details_of_samples() -> None:
    """What is easily read wrongly in them."""
    [octavia] = load(SAMPLES / "octavia.conf").configuration.instances
    assert octavia.accept
    assert not octavia.preempt
    assert octavia.excluded_addresses == ()
    failover = load(SAMPLES / "openshift-ipfailover.conf").configuration
    quoted = failover.script("chk_quoted")
    assert quoted is not None
    assert quoted.command is not None
    assert quoted.command.argv == (
        "/bin/bash",
        "-c",
        "/usr/bin/timeout 1 bash -c '</dev/tcp/127.0.0.1/8080'",
    )
    notify = failover.instances[0].notify.any
    assert notify is not None
    assert notify.argv == ("/var/lib/ipfailover/keepalived/notify.sh", "ipfailover")
    onprem = load(SAMPLES / "openshift-onprem.conf").configuration
    assert onprem.instances[0].garp.master_refresh_us == 60_000_000
    assert onprem.instances[0].virtual_addresses[0].label == "vip"
    assert len(onprem.instances[0].unicast_peers) == 2
