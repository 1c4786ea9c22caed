"""The OpenShift pod's environment: the golden examples of the old image, and what is mended of its traps."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

import pytest

from pyvrrp.config.complaints import Severity
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import Command, SyncGroup, TcpTarget
from pyvrrp.config.openshift import PATH, FamilyPair, NodeFacts, PodConfiguration, read_environment

HA = "OPENSHIFT_HA_"
EXACT = {"PYVRRP_COMPAT": "exact"}
OUR_NAMES = ("PYVRRP_", "HA_", "MULTICAST_", "UNICAST_SOURCE", "KEEPALIVED_")


def environment(**values: str) -> dict[str, str]:
    """The names without their common begin."""
    return {name if name.startswith(OUR_NAMES) else HA + name: value for name, value in values.items()}


def node(*addresses: str, interface: str = "ens3") -> NodeFacts:
    return NodeFacts("node", {interface: tuple(ip_address(one) for one in addresses)}, interface)


def read(address: str = "10.0.0.35", drawn: int = 0, interface: str = "ens3", /, **values: str) -> PodConfiguration:
    facts = node(*([address] if address else []), interface=interface)
    return read_environment(environment(**values), facts, lambda _: drawn)


def groups(pod: PodConfiguration) -> str:
    """As the golden examples are written: VRID, priority, M for MASTER."""
    states = {instance.name: instance.state for instance in pod.configuration.instances}
    return " · ".join(
        f"{group.vrid} {'r' if group.drawn else 'p'}{group.priority}"
        + (" M" if group.instances and states[group.instances[0]] == "MASTER" else "")
        for group in pod.groups
    )


def said(pod: PodConfiguration, *severities: Severity) -> list[str]:
    wanted = severities or (Severity.WARNING, Severity.ERROR, Severity.FATAL, Severity.MISSING, Severity.UNUSABLE)
    return [f"{one.severity} {one}".replace(HA, "", 1) for one in pod.complaints if one.severity in wanted]


THREE = "10.0.0.100-102"
SEVEN = "10.0.0.100-106"
# Node, settings, and what each group gets; where a number is drawn, the least one.
GOLDEN = [
    ("10.0.0.35", {"VIRTUAL_IPS": THREE}, "11 p220 M · 12 p36 M · 13 p220 M"),
    (
        "10.0.0.35",
        {"VIRTUAL_IPS": "1.1.1.1-2", "VIP_GROUPS": "10", "VRRP_ID_OFFSET": "0", "REPLICA_COUNT": "2"},
        "1 r35 · 2 p220 M",
    ),
    ("10.0.0.35", {"VIRTUAL_IPS": SEVEN, "VIP_GROUPS": "3", "REPLICA_COUNT": "2"}, "11 r35 · 12 p220 M · 13 r35"),
    (
        "10.0.0.35",
        {"VIRTUAL_IPS": SEVEN, "REPLICA_COUNT": "3"},
        "11 r35 · 12 r35 · 13 p220 M · 14 r35 · 15 r35 · 16 p36 M · 17 r35",
    ),
    (
        "10.0.0.35",
        {"VIRTUAL_IPS": SEVEN, "REPLICA_COUNT": "4"},
        "11 r35 · 12 r35 · 13 r35 · 14 p220 M · 15 r35 · 16 r35 · 17 r35",
    ),
    ("10.0.0.35", {"VIRTUAL_IPS": "10.0.0.1-4", "PREEMPTION": "nopreempt"}, "11 p220 · 12 p220 · 13 p220 · 14 p220"),
    (
        "10.0.0.35",
        {"VIRTUAL_IPS": "10.0.0.1-4", "HA_EXCLUDED_VRRP_IDS": "11 13"},
        "12 p220 M · 14 p36 M · 15 p220 M · 16 p36 M",
    ),
    (
        "10.0.0.35",
        {"VIRTUAL_IPS": "10.0.0.1-4", "HA_EXCLUDED_VRRP_IDS": "12 13 14"},
        "11 p220 M · 15 p36 M · 16 p220 M · 17 p36 M",
    ),
    ("10.0.0.35", {"VIRTUAL_IPS": "10.0.0.1-2", "VRRP_ID_OFFSET": "254"}, "255 p220 M · 256 p36"),
    ("10.0.0.35", {"VIRTUAL_IPS": "10.0.0.1-2", "VRRP_ID_OFFSET": "-5"}, "-4 p220 · -3 p36"),
    ("10.0.0.35", {"VIRTUAL_IPS": "10.0.0.1-2", "VRRP_ID_OFFSET": "abc"}, "1 p220 M · 2 p36 M"),
    ("10.0.0.35", {"VIRTUAL_IPS": "10.0.0.1-2", "VRRP_ID_OFFSET": "010"}, "9 p220 M · 10 p36 M"),
    (
        "10.0.0.41",
        {"VIRTUAL_IPS": "10.0.0.1-2", "REPLICA_COUNT": "2", "CONFIG_NAME": "ipfailover", "MONITOR_PORT": "0"},
        "11 r41 · 12 p214 M",
    ),
    (
        "10.0.0.42",
        {"VIRTUAL_IPS": "10.0.0.1-2", "REPLICA_COUNT": "2", "CONFIG_NAME": "ipfailover", "MONITOR_PORT": "0"},
        "11 p213 M · 12 p43 M",
    ),
    (
        "10.0.0.128",
        {"VIRTUAL_IPS": "10.0.0.1-5", "REPLICA_COUNT": "2"},
        "11 p255 M · 12 p1 M · 13 p255 M · 14 p1 M · 15 p255 M",
    ),
    ("10.0.0.129", {"VIRTUAL_IPS": "10.0.0.1", "REPLICA_COUNT": "2"}, "11 r1"),
    ("10.0.0.200", {"VIRTUAL_IPS": "10.0.0.1"}, "11 p183 M"),
    ("", {"VIRTUAL_IPS": "10.0.0.1"}, "11 p255 M"),
]


@pytest.mark.parametrize("mode", [{}, EXACT], ids=["mended", "exact"])
@pytest.mark.parametrize(("address", "settings", "expected"), GOLDEN)
def test_golden(address: str, settings: dict[str, str], expected: str, mode: Mapping[str, str]) -> None:
    """Ids, priorities and preferred node are the same whether traps are mended or not."""
    assert groups(read(address, **settings, **mode)) == expected


def test_golden_drawn() -> None:
    """A number that is drawn reaches 31 above the least."""
    pod = read("10.0.0.35", 31, VIRTUAL_IPS="1.1.1.1-2", REPLICA_COUNT="2")
    assert [(group.priority, group.drawn) for group in pod.groups] == [(66, True), (220, False)]


@pytest.mark.parametrize("mode", [{}, EXACT], ids=["mended", "exact"])
def test_golden_split(mode: Mapping[str, str]) -> None:
    pod = read(VIRTUAL_IPS=SEVEN, VIP_GROUPS="3", REPLICA_COUNT="2", **mode)
    assert [[address.rpartition(".")[2] for address in group.addresses] for group in pod.groups] == [
        ["100", "101", "102"],
        ["103", "104"],
        ["105", "106"],
    ]


@pytest.mark.parametrize("mode", [{}, EXACT], ids=["mended", "exact"])
def test_golden_238_groups(mode: Mapping[str, str]) -> None:
    """QE case 41029; case 49214 looks for ids in the file."""
    pod = read(VIRTUAL_IPS="192.168.254.1-255", VIP_GROUPS="238", VRRP_ID_OFFSET="0", **mode)
    assert [len(group.addresses) for group in pod.groups] == [2] * 17 + [1] * 221
    assert pod.groups[-1].vrid == 238
    assert pod.groups[-1].addresses == ("192.168.254.255",)
    assert len(pod.configuration.instances) == 238
    pod = read(VIRTUAL_IPS="192.168.254.1-254", HA_EXCLUDED_VRRP_IDS="9", VRRP_ID_OFFSET="0", **mode)
    ids = [line.split()[1] for line in pod.text.splitlines() if "virtual_router_id" in line]
    assert len(ids) == 254
    assert "9" not in ids


@pytest.mark.parametrize("mode", [{}, EXACT], ids=["mended", "exact"])
def test_golden_loopback(mode: Mapping[str, str]) -> None:
    """The numbers are given; no instance runs on `lo`, as with keepalived."""
    pod = read("127.0.0.1", 0, "lo", NETWORK_INTERFACE="lo", VIRTUAL_IPS="10.0.0.1-2", **mode)
    assert groups(pod) == "11 p254 · 12 p2"
    assert pod.configuration.instances == ()
    assert "error NETWORK_INTERFACE:1:1: cannot use a loopback interface (lo) for vrrp - ignoring" in said(pod)


def test_golden_no_ipv4() -> None:
    """Without an IPv4 address the slot is 0 and the port is looked for on the loopback."""
    pod = read("fe80::1", VIRTUAL_IPS="2001:db8::5")
    assert groups(pod) == "11 p255 M"
    assert pod.node_address is None
    assert pod.configuration.scripts[0].tcp == TcpTarget(80, ip_address("127.0.0.1"))
    assert pod.configuration.instances[0].version == 3
    assert pod.configuration.instances[0].authentication is None


NAMED = """\
! Configuration of the OpenShift IP failover pod, made from its environment by pyvrrp
global_defs {
    max_auto_priority 99
    notification_email {
        a@b.c
        d@e.f
    }
    notification_email_from ipfailover@openshift.local
    smtp_server 127.0.0.1
    smtp_connect_timeout 30
    router_id my_svcv2
}

vrrp_script chk_my_svc.v2 {
    script "/bin/bash -c '</dev/tcp/10.0.0.35/80'"
    interval 2
}

vrrp_instance my_svcv2_VIP_1 {
    interface ens3
    state MASTER
    virtual_router_id 11
    priority 220
    preempt_delay 300
    authentication {
        auth_type PASS
        auth_pass my-svc.v2
    }
    track_script {
        chk_my_svc.v2
    }
    virtual_ipaddress {
        10.0.0.1 dev ens3
    }
}
"""


def test_golden_name() -> None:
    """The exact text; the mended one differs by what keepalived drops with a message."""
    settings = {"CONFIG_NAME": "my-svc.v2", "ADMIN_EMAILS": "a@b.c d@e.f", "VIRTUAL_IPS": "10.0.0.1"}
    exact = read(**settings, **EXACT)
    assert exact.text == NAMED
    mended = read(**settings)
    assert mended.text == NAMED.replace("    preempt_delay 300\n", "").replace("my-svc.v2\n", "my-svc.v\n")
    assert mended.configuration == exact.configuration
    [instance] = mended.configuration.instances
    assert instance.authentication is not None
    assert instance.authentication.password == b"my-svc.v"
    assert mended.configuration.globals.notification_email == ("a@b.c", "d@e.f")


MIXED = {"VIRTUAL_IPS": "10.0.0.100,2001:db8::5,10.0.0.7,2001:db8::6", "VIP_GROUPS": "2"}


def test_golden_mixed_families() -> None:
    """keepalived drops what is not of the first address's family."""
    pod = read(**MIXED, **EXACT)
    assert [[str(line.address) for line in one.virtual_addresses] for one in pod.configuration.instances] == [
        ["10.0.0.100/32"],
        ["10.0.0.7/32"],
    ]
    assert pod.pairs == ()
    assert pod.configuration.sync_groups == ()


def test_mixed_families_are_two_routers() -> None:
    """Both families are served, under one id, and belong together."""
    pod = read(**MIXED)
    name = "OpenShift_IPFailover_VIP_1"
    assert [
        (one.name, one.vrid, one.version, one.priority, [str(line.address) for line in one.virtual_addresses])
        for one in pod.configuration.instances
        if one.vrid == 11
    ] == [(name, 11, 2, 220, ["10.0.0.100/32"]), (f"{name}_IPv6", 11, 3, 220, ["2001:db8::5/128"])]
    assert pod.groups[0].instances == (name, f"{name}_IPv6")
    assert pod.pairs[0] == FamilyPair(f"{name}_both", name, f"{name}_IPv6")
    assert pod.configuration.sync_groups[0] == SyncGroup(f"{name}_both", (name, f"{name}_IPv6"), may_part=True)
    assert f"! {name} and {name}_IPv6 move together\n" in pod.text
    assert said(pod) == [
        (
            "warning VIP_GROUPS:1:1: both families in group 1, 2: two virtual routers with one id, which move together;"
            " beside a pod of the old image each is elected alone"
        ),
    ]
    assert read(VIRTUAL_IPS="fe80::5,10.0.0.1", VIP_GROUPS="1").pairs[0].second.endswith("_VIP_1_IPv4")


SEED = {
    "CONFIG_NAME": "ipfailover",
    "VIRTUAL_IPS": "1.1.1.1-2",
    "VIP_GROUPS": "10",
    "NETWORK_INTERFACE": "ens3",
    "MONITOR_PORT": "30060",
    "VRRP_ID_OFFSET": "0",
    "REPLICA_COUNT": "2",
    "USE_UNICAST": "false",
    "IPTABLES_CHAIN": "INPUT",
    "CHECK_SCRIPT": "/etc/keepalive/mycheckscript.sh",
    "PREEMPTION": "preempt_delay 300",
    "CHECK_INTERVAL": "2",
}


def test_documented_manifest() -> None:
    """Nothing to doubt: it starts in strict mode too, and only notes are made."""
    pod = read(**SEED, PYVRRP_STRICT="1")
    assert pod.refusals == ()
    assert said(pod, Severity.NOTE) == [
        "note CONFIG_NAME:1:1: its first 8 characters are the password of the advertisements",
        (
            "note PREEMPTION:1:1: has no effect in the groups that this node is preferred for: they start as MASTER"
            " (PYVRRP_PREEMPT_DELAY_EVERYWHERE=1 keeps the delay)"
        ),
    ]
    assert len(pod.complaints) == 2
    assert pod.firewall_rule
    assert (pod.interface, pod.interface_from, pod.slot, pod.step) == ("ens3", HA + "NETWORK_INTERFACE", 35, 2)
    [script] = pod.configuration.scripts
    assert script.command == Command(("/etc/keepalive/mycheckscript.sh",))
    assert script.interval_us == 2_000_000
    first, second = pod.configuration.instances
    assert (first.preempt_delay_us, second.preempt_delay_us) == (300_000_000, 0)
    assert [track.name for track in first.track_scripts] == ["chk_ipfailover"]
    assert first.place is not None
    assert first.place.file == PATH


def test_text_is_the_model() -> None:
    """Who reads the written file gets the same model, up to the built-in port check."""
    pod = read(VIRTUAL_IPS="10.0.0.1-3,10.0.0.9/24", REPLICA_COUNT="2", MONITOR_PORT="443", NOTIFY_SCRIPT="/n a")
    parsed = parse_text(pod.text, PATH)
    assert parsed.configuration.instances == pod.configuration.instances
    assert parsed.configuration.globals == pod.configuration.globals
    [script] = parsed.configuration.scripts
    assert script.command == Command(("/bin/bash", "-c", "</dev/tcp/10.0.0.35/443"))
    assert [one for one in parsed.complaints if one.severity not in (Severity.NOTE, Severity.SECURITY)] == []


def test_nothing_to_serve() -> None:
    """As in the old image it runs; that nothing is served is said."""
    for mode in ({}, EXACT):
        pod = read(**mode)
        assert pod.configuration.instances == pod.groups == pod.configuration.scripts == ()
        assert pod.refusals == ()
    assert said(read()) == ["warning VIRTUAL_IPS:1:1: there is no address: nothing is served"]


def test_strict() -> None:
    """Any doubt refuses; notes do not."""
    pod = read(VIRTUAL_IPS="10.0.0.1/24", PYVRRP_STRICT="yes")
    assert [one.place.file for one in pod.refusals] == [HA + "VIRTUAL_IPS"]
    assert read(VIRTUAL_IPS="10.0.0.1/24").refusals == ()
    assert read(VIRTUAL_IPS="10.0.0.1", PYVRRP_STRICT="1").refusals == ()


def test_fatal_refuses_always() -> None:
    """What makes the file unreadable as a whole stops the old image too."""
    pod = read_environment(environment(VIRTUAL_IPS="10.0.0.1", **EXACT), NodeFacts(), lambda _: 0)
    assert pod.configuration.instances == ()
    assert [one.severity for one in pod.refusals][:1] == [Severity.MISSING]


def test_never_an_id_beyond_255() -> None:
    pod = read(VIRTUAL_IPS="10.0.0.1-9", VRRP_ID_OFFSET="252")
    assert [one.vrid for one in pod.configuration.instances] == [253, 254, 255]
    assert said(pod) == [
        (
            "error VRRP_ID_OFFSET:1:1: no virtual router can have id 256 ... 261 (6 addresses): 10.0.0.4 ... 10.0.0.9"
            " (6 addresses) cannot be served (0 to 254, and one id for each group)"
        ),
    ]
    exact = read(VIRTUAL_IPS="10.0.0.1-9", VRRP_ID_OFFSET="252", **EXACT)
    assert [one.vrid for one in exact.configuration.instances] == [253, 254, 255]
    assert any(one.severity is Severity.ERROR for one in exact.complaints)
    assert exact.refusals == ()
