"""Good and bad values of the keywords outside of all blocks, and of the small blocks there."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

from pyvrrp.config.model import (
    AddressLine,
    BfdInstance,
    GarpGroup,
    InterfaceDelay,
    Linkbeat,
    NextHop,
    Route,
    Rule,
    TrackFile,
    TrackGroup,
    TrackProcess,
)
from pyvrrp.protocol.constants import Family
from tests.config.cases.common import GARP, NOT_CARRIED, ROOT, TRACKS, Case, flag

VRRP = "vrrp_instance I {\ninterface eth0\nvirtual_router_id 9\nvirtual_ipaddress {\n192.0.2.1\n}\n"

CASES = (
    Case(ROOT, "instance blue", "globals.instance_name", "blue", "instance", "instance is missing its value"),
    Case(ROOT, "net_namespace red", "globals.net_namespace", "red", "net_namespace", "is missing its value"),
    Case(ROOT, "use_pid_dir", "globals.use_pid_dir", True, "use_pid_dir no", "takes no value, and 'no' does not"),
    Case(ROOT, "child_wait_time 9", "globals.child_wait_time_us", 9_000_000, "child_wait_time -1", "range [0, 4294]"),
    flag(ROOT, "linkbeat_use_polling", "globals.linkbeat_use_polling"),
    Case(ROOT, "net_namespace_ipvs x", NOT_CARRIED, None, "net_namespace_ipvs x y", "'y' and what follows"),
    flag(ROOT, "namespace_with_ipsets", NOT_CARRIED, None),
    Case(
        ROOT, "global_defs {\nrouter_id r\n}", "globals.router_id", "r", "global_defs", "Missing '{' at the beginning"
    ),
    Case(ROOT, f"{VRRP}}}", "instance.name", "I", "vrrp_instance {\n}", "vrrp_instance must have a name"),
    Case(
        ROOT,
        f"vrrp_script S {{\ntcp_check 80\n}}\n{VRRP}track_script {{\nS\n}}\n}}",
        "script.name",
        "S",
        "vrrp_script {\n}",
        "vrrp_script must have a name",
    ),
    Case(
        ROOT,
        f"vrrp_sync_group G {{\ngroup {{\nI\n}}\n}}\n{VRRP}}}",
        "sync.members",
        ("I",),
        "vrrp_sync_group {\n}",
        "vrrp_sync_group must have a name",
    ),
    Case(
        ROOT,
        "vrrp_track_process P {\nprocess a\n}",
        "process",
        TrackProcess("P", ("a",)),
        "vrrp_track_process P {\n}",
        "track process 'P' process name not specified",
    ),
    Case(
        ROOT,
        "track_file F {\nfile /run/f\n}",
        "file",
        TrackFile("F", "/run/f"),
        "track_file F {\n}",
        "No file set for track_file F - ignoring",
    ),
    Case(
        ROOT,
        "vrrp_track_file F {\nfile /run/f\n}",
        "file",
        TrackFile("F", "/run/f"),
        "vrrp_track_file {\n}",
        "vrrp_track_file must have a name",
    ),
    Case(
        ROOT,
        f"track_group T {{\ngroup {{\nI other\n}}\n}}\n{VRRP}}}",
        "track_group",
        TrackGroup("T", ("I",)),
        "track_group {\n}",
        "track_group must have a name",
    ),
    Case(
        ROOT,
        "garp_group {\ninterface eth0\ngarp_interval .5\n}\ngarp_group {\ninterface eth1\ngna_interval 1\n}",
        "all.garp_groups",
        (GarpGroup(("eth0",), 500_000, None), GarpGroup(("eth1",), None, 1_000_000)),
        "garp_group {\ninterface eth0\n}",
        "garp_group does not have any delay set - removing",
    ),
    Case(
        ROOT,
        "bfd_instance B {\nneighbor_ip 192.0.2.7\n}",
        "bfd",
        BfdInstance("B", ip_address("192.0.2.7")),
        "bfd_instance B {\n}",
        "BFD instance B has no neighbor address set, disabling instance",
    ),
    Case(
        ROOT,
        "static_ipaddress {\n192.0.2.1/24 dev eth0\n}",
        "all.static_addresses",
        (AddressLine(ip_interface("192.0.2.1/24"), dev="eth0"),),
        "static_ipaddress {\n192.0.2.1/24 use_vmac\n}",
        "Unknown configuration entry 'use_vmac' for ip address - ignoring",
    ),
    Case(
        ROOT,
        "static_routes {\n192.0.2.0/24 dev eth0\n}",
        "all.static_routes",
        (Route(ip_interface("192.0.2.0/24"), hops=(NextHop(dev="eth0"),)),),
        "static_routes {\nvia 192.0.2.1 dev eth0\n}",
        "Route must have a destination",
    ),
    Case(
        ROOT,
        "static_rules {\nfrom 192.0.2.0/24 table 5 priority 6\n}",
        "all.static_rules",
        (Rule(Family.V4, table=5, preference=6, from_network=ip_interface("192.0.2.0/24")),),
        "static_rules {\nfrom 192.0.2.0/24 priority 6\n}",
        "No action specified for rule - ignoring",
    ),
    Case(
        ROOT,
        "linkbeat_interfaces {\neth0\neth1 ETHTOOL\n}",
        "all.linkbeat",
        (Linkbeat("eth0"), Linkbeat("eth1", "ETHTOOL")),
        "linkbeat_interfaces {\neth0 GUESS\n}",
        "unknown linkbeat method 'GUESS' - ignoring",
    ),
    Case(
        ROOT,
        "interface_up_down_delays {\neth0\neth1 1.5\neth2 1 2\n}",
        "all.interface_delays",
        (InterfaceDelay("eth0"), InterfaceDelay("eth1", 1_500_000), InterfaceDelay("eth2", 1_000_000, 2_000_000)),
        "interface_up_down_delays {\neth0 256\n}",
        "eth0 '256' outside range [0, 255]",
    ),
    *(
        Case(ROOT, f"{block} a 1 {{\nx {{\n}}\n}}", NOT_CARRIED, None, block, f"beginning of block {block}")
        for block in ("virtual_server", "virtual_server_group", "SSL", "local_address_group")
    ),
    # Small blocks.
    Case(TRACKS, "group {\nI\n}", "track_group.members", ("I",), "group x {\n}", "Block group has extra parameters"),
    Case(GARP, "garp_interval 0.5", "garp_group.interval_us", 500_000, "garp_interval x", "invalid number 'x'"),
    Case(GARP, "gna_interval 0.5", "garp_group.gna_interval_us", 500_000, "gna_interval -1", "outside range [0, 4294]"),
    Case(GARP, "interface eth1", "garp_group.interfaces", ("eth1",), "interface", "interface is missing its value"),
    Case(
        GARP,
        "interfaces {\neth1 eth2\neth3\n}",
        "garp_group.interfaces",
        ("eth1", "eth2", "eth3"),
        "interfaces {\neth1\neth1\n}",
        "garp_group already specified for eth1 - ignoring",
    ),
)
