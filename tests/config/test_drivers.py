"""
What the programs that write keepalived.conf mean by it: one rendered file of each, and the model it must come to.

Whatever is not written here is the model's default, so that a value too many is noticed as well. Times are worked out
by hand from the file. What needs something that is not built yet is refused, with its meaning known.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Final

import pytest

from pyvrrp.config.complaints import Parsed, Severity
from pyvrrp.config.load import load
from pyvrrp.config.model import (
    AddressLine,
    Authentication,
    Command,
    GarpSettings,
    NextHop,
    Notify,
    Route,
    Rule,
    SyncGroup,
    Track,
    TrackProcess,
    Vmac,
    VrrpInstance,
    VrrpScript,
)
from pyvrrp.protocol.constants import Family
from tests.config.judge import CONFIG_ID, INTERFACES, path_of

S: Final = 1_000_000
MS: Final = 1_000
GARP: Final = GarpSettings(lower_prio_delay_us=5 * S, lower_prio_repeat=5)  # as after becoming MASTER: 5 s, 5 times
SCOPE_LINK: Final = 253
PROTOCOL_STATIC: Final = 4
TRUE: Final = Command(("/bin/true",))


@cache
def read(case: str) -> Parsed:
    return load(path_of(case), interfaces=INTERFACES, config_id=CONFIG_ID)


def vip(address: str, dev: str | None = None, **rest: object) -> AddressLine:
    return AddressLine(ip_interface(address), dev, **rest)  # type: ignore[arg-type]


def password(text: bytes) -> Authentication:
    return Authentication("PASS", text)


def route(destination: str, via: str | None = None, dev: str | None = None, **rest: object) -> Route:
    gateway = None if via is None else (IPv6Address(via) if ":" in via else IPv4Address(via))
    onlink = bool(rest.pop("onlink", False))
    return Route(ip_interface(destination), hops=(NextHop(gateway, dev, onlink=onlink),), **rest)  # type: ignore[arg-type]


def failover(number: int, priority: int, *addresses: str) -> VrrpInstance:
    """A group of the OpenShift image: offset 10, and eight characters of the name `ipfailover`."""
    return VrrpInstance(
        f"ipfailover_VIP_{number}",
        10 + number,
        "eth1",
        priority=priority,
        preempt=False,
        authentication=password(b"ipfailov"),
        virtual_addresses=tuple(vip(address, "eth1") for address in addresses),
        track_scripts=(Track("chk_ipfailover"),),
        garp=GARP,
    )


HA, QR, QG = "ha-0a1b2c3d-4e", "qr-0a1b2c3d-4e", "qg-0a1b2c3d-4e"

INSTANCES: dict[str, tuple[VrrpInstance, ...]] = {
    "ipfailover/groups": (  # node .35, two replicas: slot 35, step 2, so that group 2 is preferred: 255 - 35
        failover(1, 47, "10.0.0.100", "10.0.0.101", "10.0.0.102"),
        failover(2, 220, "10.0.0.103", "10.0.0.104"),
        failover(3, 61, "10.0.0.105", "10.0.0.106"),
    ),
    "ipfailover/defaults": tuple(  # state MASTER: preempt_delay 300 does not count
        VrrpInstance(
            f"OpenShift_IPFailover_VIP_{number}",
            10 + number,
            "ens3",
            state="MASTER",
            priority=priority,
            authentication=password(b"OpenShif"),
            virtual_addresses=(vip(f"10.0.0.{99 + number}", "ens3"),),
            track_scripts=(Track("chk_OpenShift_IPFailover"),),
            garp=GARP,
        )
        for number, priority in ((1, 220), (2, 36))
    ),
    "neutron/no_track": (
        VrrpInstance(
            "VR_7",
            7,
            HA,
            priority=50,
            advertisement_interval_us=2 * S,
            preempt=False,
            virtual_addresses=(vip("169.254.0.7/24", HA),),
            excluded_addresses=(
                vip("10.1.0.1/24", QR, no_track=True),
                vip("203.0.113.7/32", QG, no_track=True),
                vip("fe80::f816:3eff:fe0a:1/64", QR, no_track=True),  # `scope link` of IPv6 is said to be ignored
                vip("2001:db8:0:1::1/64", QR, no_track=True),
            ),
            routes=(
                route("0.0.0.0/0", "203.0.113.1", QG, protocol=PROTOCOL_STATIC, no_track=True),
                route("198.51.100.0/24", "10.1.0.9", QR, protocol=PROTOCOL_STATIC, no_track=True),
                route("::/0", "fe80::1", QG, protocol=PROTOCOL_STATIC, no_track=True),
                route("203.0.113.128/25", None, QG, scope=SCOPE_LINK, protocol=PROTOCOL_STATIC, no_track=True),
            ),
            garp=replace(GARP, master_delay_us=60 * S),
        ),
    ),
    "octavia/routes": (
        VrrpInstance(
            "1c2d3e4f5a6b47889900aabbccddeeff",
            1,
            "eth1",
            priority=90,
            preempt=False,
            authentication=password(b"7d2ab91"),
            source=IPv4Address("10.0.0.12"),
            unicast_peers=(IPv4Address("10.0.0.11"),),
            virtual_addresses=(vip("10.0.0.100/24"),),
            routes=(
                route("10.0.0.0/24", None, "eth1", source=IPv4Address("10.0.0.100"), scope=SCOPE_LINK, table=1),
                route("0.0.0.0/0", "10.0.0.1", "eth1", onlink=True, table=1),
                route("198.51.100.0/24", "10.0.0.250", "eth1", onlink=True, table=1),
            ),
            rules=(Rule(Family.V4, table=1, preference=100, from_network=ip_interface("10.0.0.100/32")),),
            track_scripts=(Track("check_script"),),
            garp=replace(GARP, master_refresh_us=5 * S, master_refresh_repeat=2),
        ),
    ),
    "mco/baremetal_api": (
        VrrpInstance(
            "cluster_API_0",
            83,
            "br-ex",
            priority=40,
            authentication=password(b"cluster_"),
            source=IPv4Address("192.168.111.20"),
            unicast_peers=(IPv4Address("192.168.111.21"), IPv4Address("192.168.111.22")),
            virtual_addresses=(vip("192.168.111.5/32", label="vip"),),
            track_scripts=(Track("chk_ocp_lb"), Track("chk_ocp_both")),
            garp=replace(GARP, master_refresh_us=60 * S),
        ),
        VrrpInstance(
            "cluster_INGRESS_0",
            84,
            "br-ex",
            priority=20,
            authentication=password(b"cluster_"),
            source=IPv4Address("192.168.111.20"),
            unicast_peers=tuple(IPv4Address(f"192.168.111.{last}") for last in (21, 22, 23)),
            virtual_addresses=(vip("192.168.111.4/32", label="vip"),),
            track_scripts=(Track("chk_default_ingress"),),
            garp=replace(GARP, master_refresh_us=60 * S),
        ),
    ),
    "mco/ipv6": (  # version 3: no password; IPv6: no label
        VrrpInstance(
            "ostest_INGRESS_1",
            10,
            "br-ex",
            version=3,
            priority=20,
            source=IPv6Address("fd00:db8::20"),
            unicast_peers=(IPv6Address("fd00:db8::21"),),
            virtual_addresses=(vip("fd00:db8::6/128", preferred_lifetime_s=0),),
            track_scripts=(Track("chk_default_ingress"),),
            garp=GARP,
        ),
    ),
    "vyos/authentication": (
        VrrpInstance(
            "foo",
            10,
            "eth0",
            priority=200,
            authentication=password(b"s3cr3t"),
            virtual_addresses=(vip("192.0.2.100/24"),),
            garp=GARP,
        ),
    ),
    "vyos/vmac": (
        VrrpInstance(
            "foo",
            10,
            "eth1",
            vmac=Vmac("eth1v10v4"),
            vmac_transmit_base=True,
            virtual_addresses=(vip("192.0.2.100/24"),),
            garp=GARP,
        ),
        VrrpInstance(
            "foo6",
            10,
            "eth1",
            version=3,
            vmac=Vmac("eth1v10v6"),
            vmac_transmit_base=True,
            virtual_addresses=(vip("fe80::db8:1/64"), vip("2001:db8::100/64")),
            garp=GARP,
        ),
    ),
    "vyos/unicast_vlan": (
        VrrpInstance(
            "bar",
            20,
            "eth0.20",
            priority=150,
            preempt_delay_us=30 * S,
            source=IPv4Address("198.51.100.1"),
            unicast_peers=(IPv4Address("198.51.100.2"),),
            virtual_addresses=(vip("203.0.113.1/24", "eth0.20"),),
            excluded_addresses=(vip("203.0.113.2/32"), vip("2001:db8::2/128", preferred_lifetime_s=0)),
            track_interfaces=(Track("eth1", 0, reverse=False), Track("eth2", 0, reverse=False)),
            garp=GARP,
        ),
    ),
    "vyos/vyatta_weights": (
        VrrpInstance(
            "vyatta-eth0-10",
            10,
            "eth0",
            version=3,
            advertisement_interval_us=2500 * MS,
            virtual_addresses=(vip("192.0.2.100/24"),),
            track_scripts=(Track("check_uplink"),),
            track_interfaces=(Track("eth1", 10, reverse=False),),
            garp=GARP,
        ),
    ),
    "vyos/dent_switch": (
        VrrpInstance(
            "vlan20",
            1,
            "eth0.20",
            version=3,
            priority=150,
            advertisement_interval_us=300 * MS,
            vmac=Vmac("vrrp4-20-1"),
            vmac_transmit_base=True,
            virtual_addresses=(vip("192.0.2.100/24"),),
            garp=replace(GARP, master_repeat=2, lower_prio_repeat=2),  # the global number of packets is for both
        ),
    ),
    "kolla/internal_vip": (
        VrrpInstance(
            "kolla_internal_vip_51",
            51,
            "eth0",
            priority=17,
            preempt=False,
            authentication=password(b"Zq3v8mXb"),
            virtual_addresses=(vip("192.0.2.254", "eth0"),),
            track_scripts=(Track("check_alive"),),
            garp=GARP,
        ),
    ),
    "ansible/role_all": (
        VrrpInstance(
            "VI_1",
            71,
            "eth0",
            priority=150,
            preempt=False,
            authentication=password(b"12345678"),
            source=IPv4Address("192.0.2.1"),
            unicast_peers=(IPv4Address("192.0.2.2"),),
            virtual_addresses=(vip("192.0.2.100/24", "eth0", label="eth0:1"),),
            excluded_addresses=(vip("10.0.0.100/24", "eth1"),),
            routes=(route("198.51.100.0/24", "192.0.2.254", "eth0"),),
            track_interfaces=(Track("eth1", 0, reverse=False),),
            track_scripts=(Track("chk_haproxy"),),
            track_processes=(Track("track_sshd"),),
            notify=Notify(
                **{
                    key: Command(("/bin/true", word), "root")
                    for key, word in (
                        ("any", "all"),
                        ("master", "master"),
                        ("backup", "backup"),
                        ("fault", "fault"),
                        ("stop", "stop"),
                    )
                }
            ),
            smtp_alert=True,
            garp=replace(GARP, master_refresh_us=30 * S),
        ),
    ),
    "salt/missing_members": (VrrpInstance("VI_OTHER", 9, "eth0", virtual_addresses=(vip("192.0.2.9"),), garp=GARP),),
    "puppet/wide_columns": (
        VrrpInstance(
            "VI_50",
            50,
            "eth1",
            state="MASTER",
            priority=101,
            authentication=password(b"secret"),
            virtual_addresses=(vip("10.0.0.1/29"), vip("10.0.0.2/29", "eth2")),
            excluded_addresses=(vip("10.0.1.1/24", "eth3"),),
            routes=(route("192.168.2.0/24", "10.0.0.254", "eth1"),),
            rules=(Rule(Family.V4, table=100, preference=1000, from_network=ip_interface("10.0.0.1/32")),),
            track_scripts=(Track("check_nginx"),),
            track_interfaces=(Track("eth2", 10, reverse=False),),  # its own interface is not tracked a second time
            track_primary=False,
            smtp_alert=True,
            garp=GARP,
        ),
    ),
    "chef/resources": (  # strict mode: no password, no accept, no announcements after lower priorities
        VrrpInstance(
            "inside_master",
            51,
            "eth0",
            priority=150,
            strict=True,
            accept=False,
            lower_prio_no_advert=True,
            virtual_addresses=(vip("192.168.0.1"),),
            smtp_alert=True,
            garp=GarpSettings(lower_prio_delay_us=0, lower_prio_repeat=0),
        ),
    ),
    "openwrt/uci": (  # the owner's priority never changes: its weighted check is left out
        VrrpInstance(
            "lan",
            1,
            "eth0",
            state="MASTER",
            priority=255,
            virtual_addresses=(vip("192.168.1.1/24", "eth0"),),
            notify=Notify(
                any=Command(
                    (
                        "/usr/bin/env",
                        "-i",
                        "ACTION=NOTIFY",
                        "TYPE=INSTANCE",
                        "NAME=lan",
                        "/bin/true",
                        "keepalived",
                    )
                )
            ),
            garp=GARP,
        ),
    ),
    "containers/osixia": (
        VrrpInstance(
            "VI_1",
            51,
            "eth0",
            priority=150,
            preempt=False,
            authentication=password(b"d0cker"),
            unicast_peers=(IPv4Address("192.168.1.10"), IPv4Address("192.168.1.11")),
            virtual_addresses=(vip("192.168.1.231"), vip("192.168.1.232")),
            notify=Notify(any=TRUE),
            garp=GARP,
        ),
    ),
    "containers/arcts": (
        VrrpInstance(
            "MAIN",
            1,
            "eth0",
            authentication=password(b"pwd1"),
            virtual_addresses=(vip("10.12.13.14/24", "eth0"),),
            excluded_addresses=(vip("172.16.1.20/24", "eth1"),),
            track_interfaces=(Track("eth1", 0, reverse=False),),
            track_scripts=(Track("chk_service"),),
            track_primary=False,
            notify=Notify(any=TRUE),
            # After lower priorities it is the global delay that counts, 1 s, not the instance's 2 s.
            garp=replace(GARP, master_delay_us=2 * S, master_refresh_us=60 * S, lower_prio_delay_us=1 * S),
        ),
    ),
    "k8s/keepalived_vip": (
        VrrpInstance(
            "vips",
            50,
            "eth0",
            version=3,
            priority=101,
            preempt=False,
            source=IPv4Address("10.4.0.3"),
            unicast_peers=(IPv4Address("10.4.0.4"), IPv4Address("10.4.0.5")),
            virtual_addresses=(vip("10.4.0.50"),),
            notify=Notify(any=TRUE),  # the first of the two
            garp=GARP,
        ),
    ),
    "k8s/operator_daemonset": (  # as node1
        VrrpInstance(
            "default/lb-router",
            1,
            "eth0",
            preempt=False,
            authentication=password(b"operator"),
            source=IPv4Address("10.0.0.11"),
            unicast_peers=(IPv4Address("10.0.0.12"),),
            virtual_addresses=(vip("192.168.131.129"), vip("192.168.131.130")),
            garp=GARP,
        ),
    ),
}

SCRIPTS: dict[str, tuple[VrrpScript, ...]] = {
    "ipfailover/groups": (
        VrrpScript(
            "chk_ipfailover",
            Command(("/usr/bin/timeout", "1", "bash", "-c", "</dev/tcp/10.0.0.35/22")),
            interval_us=5 * S,
        ),
    ),
    "neutron/health_check": (VrrpScript("ha_health_check_1", TRUE, interval_us=30 * S, rise=2, fall=2),),
    "octavia/routes": (VrrpScript("check_script", TRUE, interval_us=5 * S, rise=2, fall=2),),
    "mco/baremetal_api": (
        VrrpScript("chk_ocp_lb", Command(("/usr/bin/timeout", "1.9", "/bin/true")), weight=20, rise=3, fall=2),
        VrrpScript(
            "chk_ocp_both", Command(("/usr/bin/timeout", "1.9", "/bin/false", "both")), weight=5, rise=3, fall=2
        ),
        VrrpScript(
            "chk_default_ingress", Command(("/usr/bin/timeout", "4.9", "/bin/true")), interval_us=5 * S, weight=50
        ),
    ),
    "vyos/vyatta_weights": (VrrpScript("check_uplink", TRUE, interval_us=5 * S, weight=10),),
    "kolla/internal_vip": (VrrpScript("check_alive", TRUE, interval_us=2 * S, rise=10, fall=2),),
    "ansible/osa_haproxy": (
        VrrpScript(
            "haproxy_check_script",
            Command(("/bin/true", "-0", "haproxy")),
            interval_us=5 * S,
            timeout_us=2 * S,
            rise=6,
            fall=3,
        ),
        VrrpScript(
            "ping_check_script",
            Command(("/bin/true", "-c1", "192.0.2.1")),
            interval_us=10 * S,
            timeout_us=2 * S,
            rise=3,
            fall=3,
        ),
    ),
    "ansible/role_all": (
        VrrpScript("chk_haproxy", Command(("/bin/true",), "root", "root"), weight=-101, rise=2, fall=2, init_fail=True),
    ),
    "openwrt/track_weights": (VrrpScript("wan_up", TRUE, interval_us=5 * S),),
    "containers/health_shell": (
        VrrpScript(
            "chk_http",
            Command(("/bin/sh", "-c", "test -e /proc/self/stat || exit 1")),
            interval_us=2 * S,
            weight=-50,
        ),
    ),
}

NOT_BUILT: dict[str, str] = {
    "neutron/no_track": "virtual_routes",
    "octavia/routes": "virtual_routes",
    "vyos/vmac": "use_vmac",
    "vyos/dent_switch": "use_vmac",
    "ansible/role_all": "track_process",
    "puppet/wide_columns": "virtual_routes",
    "chef/resources": "no_accept",
    "salt/formula_pillar": "auth_type AH",
}


@pytest.mark.parametrize("case", INSTANCES)
def test_instances(case: str) -> None:
    assert read(case).everything.instances == INSTANCES[case]


@pytest.mark.parametrize("case", SCRIPTS)
def test_scripts(case: str) -> None:
    assert read(case).everything.scripts == SCRIPTS[case]


@pytest.mark.parametrize("case", sorted(INSTANCES.keys() | NOT_BUILT.keys()))
def test_what_runs(case: str) -> None:
    """All that is defined runs, or what is not built yet is named."""
    parsed = read(case)
    assert parsed.fatal == ()
    refused = {one.name for one in parsed.everything.instances} - {one.name for one in parsed.configuration.instances}
    assert refused == set(parsed.refused)
    reasons = [one.message for one in parsed.complaints if one.severity is Severity.UNSUPPORTED]
    if case in NOT_BUILT:
        assert refused
        assert any(NOT_BUILT[case] in reason for reason in reasons), reasons
    else:
        assert not refused


def test_sync_groups() -> None:
    """Members stand in the order of the group; trackers of a group are for all of them."""
    [group] = read("mco/openstack_dual_stack").everything.sync_groups
    assert group == SyncGroup("VG_api", ("ostest_API_0", "ostest_API_1"), track_scripts=(Track("chk_ocp_lb"),))
    [group] = read("ansible/osa_haproxy").everything.sync_groups
    assert group == SyncGroup("haproxy", ("external", "internal"))
    assert read("salt/missing_members").everything.sync_groups == ()  # neither member exists


def test_tracked_process() -> None:
    """`delay 2` is for processes that come and for those that go."""
    [process] = read("ansible/role_all").everything.track_processes
    assert process == TrackProcess("track_sshd", ("sshd",), weight=10, fork_delay_us=2 * S, terminate_delay_us=2 * S)


def test_reversed_weights() -> None:
    """A weight in the instance's list is the one that counts."""
    [lan] = read("openwrt/track_weights").everything.instances
    assert lan.track_interfaces == (Track("eth1", 10, reverse=True), Track("eth2", -10, reverse=False))
    assert lan.track_scripts == (Track("wan_up", 20, reverse=True),)


def test_route_without_interface() -> None:
    """salt-formulas writes iproute2's verb first; 2.2.7 cannot follow a route that names no interface."""
    [instance] = read("salt/formula_pillar").everything.instances
    assert instance.routes == (route("0.0.0.0/0", "10.0.0.1", action="add", no_track=True),)


def test_empty_blocks_of_octavia() -> None:
    """Blocks with nothing in them mean nothing, and are no mistake."""
    parsed = read("octavia/active_standby")
    [instance] = parsed.configuration.instances
    assert instance.excluded_addresses == ()
    assert instance.routes == ()
    assert instance.rules == ()
    assert {complaint.severity for complaint in parsed.complaints} == {Severity.SECURITY}


def test_no_peers_in_the_environment() -> None:
    """osixia leaves the block empty: multicast after all, with a warning."""
    [instance] = read("containers/osixia_no_peers").configuration.instances
    assert not instance.unicast


def test_password_beside_ipv6() -> None:
    """The OpenShift image writes one for every instance; version 3 has none."""
    [instance] = read("ipfailover/ipv6").configuration.instances
    assert (instance.version, instance.priority, instance.authentication) == (3, 255, None)
    assert instance.virtual_addresses == (vip("2001:db8:1abc::1f39/128", "eth0", preferred_lifetime_s=0),)
