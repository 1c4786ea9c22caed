"""Checks across blocks: duplicates, interfaces that exist, script security, sync groups."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest

from pyvrrp.config.check import check, check_interfaces
from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Log, Severity
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import AddressLine, Command, Configuration, Notify, VrrpInstance, VrrpScript


def instance(name: str, *lines: str, vrid: int = 51, interface: str = "eth0", vip: str = "192.0.2.1") -> str:
    return (
        "\n".join(
            (
                f"vrrp_instance {name} {{",
                f"interface {interface}",
                f"virtual_router_id {vrid}",
                "virtual_ipaddress {",
                vip,
                "}",
                *lines,
                "}",
            )
        )
        + "\n"
    )


@pytest.mark.parametrize(
    ("second", "clash"),
    [
        (instance("B"), True),
        (instance("B", "use_vmac"), True),
        (instance("B", vrid=52), False),
        (instance("B", interface="eth1"), False),
        (instance("B", vip="fe80::1"), False),
        (instance("B", "mcast_dst_ip 224.0.0.99"), False),
        (instance("B", "unicast_peer {\n192.0.2.9\n}"), False),
    ],
)
def test_duplicates(second: str, clash: bool) -> None:
    result = parse_text(instance("A") + second, "f")
    expected = "f:8:1: A and B both use VRID 51 with IPv4 on interface eth0 (the first is in line 1)"
    assert [str(complaint) for complaint in result.fatal] == ([expected] if clash else [])


def test_unicast_instances_are_told_apart_by_their_source() -> None:
    peers = "unicast_peer {\n192.0.2.9\n}"
    one = instance("A", "unicast_src_ip 192.0.2.7", peers)
    assert not parse_text(one + instance("B", "unicast_src_ip 192.0.2.8", peers)).fatal
    assert parse_text(one + instance("B", "unicast_src_ip 192.0.2.8", peers)).complaints == ()
    assert parse_text(one + instance("B", "unicast_src_ip 192.0.2.7", peers)).fatal


def test_unicast_instances_with_other_peers_are_not_told_apart_yet() -> None:
    """keepalived runs both; here the first runs, and all the others of the file with it."""
    text = "".join(
        instance(name, "unicast_src_ip 192.0.2.7", f"unicast_peer {{\n{peer}\n}}")
        for name, peer in (("A", "192.0.2.9"), ("B", "192.0.2.10"), ("C", "192.0.2.10"))
    )
    result = parse_text(text + instance("D", vrid=52), "f")
    assert [str(one) for one in result.fatal] == [
        "f:23:1: B and C both use VRID 51 with IPv4 on interface eth0 (the first is in line 12)"
    ]
    result = parse_text("".join(text.partition("vrrp_instance C")[:1]) + instance("D", vrid=52), "f")
    assert not result.fatal
    assert [one.name for one in result.configuration.instances] == ["A", "D"]
    [complaint] = result.complaints
    assert (complaint.severity, complaint.place.line, complaint.code) == (Severity.UNSUPPORTED, 12, Code.DUPLICATE_VRID)
    assert "so B is not run" in complaint.message


def test_interfaces() -> None:
    text = (
        instance(
            "A",
            "virtual_ipaddress_excluded {\n192.0.2.2 dev eth0\n192.0.2.3 dev eth3\n192.0.2.4 dev eth9\n}",
            "track_interface {\neth4\neth9\n}",
        )
        + "vrrp_instance B {\nvirtual_router_id 5\nunicast_src_ip 192.0.2.9\nunicast_peer {\n192.0.2.8\n}\n"
        "virtual_ipaddress {\n192.0.2.10\n}\n}\n"
    )
    result = parse_text(text, "f", {"eth9"})
    assert [str(complaint) for complaint in result.fatal] == [
        "f:2:1: (A) interface eth0 doesn't exist (did you mean 'eth9'?)",
        "f:9:1: (A) interface of 192.0.2.3/32 eth3 doesn't exist (did you mean 'eth9'?)",
        "f:13:1: (A) tracked interface eth4 doesn't exist (did you mean 'eth9'?)",
    ]
    assert not parse_text(text, "f", {"eth0", "eth3", "eth4", "eth9"}).complaints
    assert parse_text(instance("A"), "f", ()).fatal[0].hint == "dynamic_interfaces allows it to come later"


def test_dynamic_interfaces() -> None:
    result = parse_text("global_defs {\ndynamic_interfaces\n}\n" + instance("A"), "f", set())
    [complaint] = result.complaints
    assert complaint.severity is Severity.NOTE
    assert str(complaint) == "f:5:1: (A) interface eth0 doesn't exist - will use if created"


def test_configurations_that_come_from_code() -> None:
    """They have no places, and are checked all the same."""
    line = AddressLine(ip_interface("192.0.2.1/32"), dev="eth1")
    one = VrrpInstance("A", 51, "eth0", virtual_addresses=(line,), notify=Notify(any=Command(("/x",))))
    two = VrrpInstance("B", 51, "eth0", source=ip_address("192.0.2.9"))
    script = VrrpScript("chk", command=Command(("/x",)))
    configuration = Configuration(scripts=(script,), instances=(one, two))
    log = Log("f")
    check(configuration, (), log)
    check_interfaces(configuration, (), log)
    assert {str(complaint.place) for complaint in log.complaints()} == {"<configuration>:1:1"}
    assert [complaint.severity for complaint in log.complaints()] == [
        Severity.FATAL,
        Severity.SECURITY,
        *[Severity.FATAL] * 3,
    ]


def test_no_instances() -> None:
    result = parse_text("", "f")
    assert [str(complaint) for complaint in result.complaints] == ["f:1:1: there is no virtual router here"]
    assert not result.drops


def test_script_security_is_said_once() -> None:
    text = instance("A", "notify /bin/true") + instance("B", "notify /bin/true", vrid=52)
    [complaint] = parse_text(text, "f").complaints
    assert complaint.severity is Severity.SECURITY
    assert str(complaint) == (
        "f:1:1: SECURITY VIOLATION - scripts are being executed but script_security not enabled."
        " (enable_script_security in global_defs)"
    )


def test_members_of_sync_groups_run() -> None:
    """With the scripts that only the group names; who does not exist is left out."""
    text = (
        instance("A")
        + instance("B", vrid=52)
        + "vrrp_script chk {\ntcp_check 80\n}\n"
        + "vrrp_sync_group G {\ngroup {\nA A2\nB\n}\ntrack_script {\nchk\n}\nsmtp_alert\n}\n"
    )
    result = parse_text(text, "f")
    assert result.refused == ()
    assert [one.name for one in result.configuration.instances] == ["A", "B"]
    assert [one.name for one in result.configuration.scripts] == ["chk"]
    assert [group.members for group in result.configuration.sync_groups] == [("A", "B")]
    assert [str(complaint) for complaint in result.complaints] == [
        "f:20:3: (G) Virtual router A2 specified in sync group doesn't exist - ignoring",
        "f:26:1: smtp_alert: accepted, no effect here",
    ]


def test_what_a_group_cannot_do_without() -> None:
    """Its members would be served although they should not be: none of them is run, and with them the group goes."""
    text = (
        instance("A")
        + instance("B", vrid=52)
        + "track_file there {\nfile /tmp/there\n}\n"
        + "vrrp_sync_group G {\ngroup {\nA\n}\ntrack_file {\nthere\n}\n}\n"
    )
    result = parse_text(text, "f")
    assert result.refused == ("A",)
    assert result.configuration.sync_groups == ()
    assert [str(complaint) for complaint in result.drops] == [
        "f:1:15: (A) is a member of vrrp_sync_group G, which is not run",
        "f:22:1: (G) track_file is not supported yet; without it this would serve wrongly, so it is not run",
    ]


def test_a_group_without_a_member_that_is_not_run() -> None:
    text = (
        instance("A", "use_vmac")
        + instance("B", vrid=52)
        + instance("C", vrid=53)
        + "vrrp_sync_group G {\ngroup {\nA\nB\nC\n}\n}\n"
    )
    result = parse_text(text, "f")
    assert [group.members for group in result.configuration.sync_groups] == [("B", "C")]
    assert [group.members for group in result.everything.sync_groups] == [("A", "B", "C")]
    [complaint] = [one for one in result.complaints if one.code is Code.SYNC_GROUP]
    assert complaint.message == "Sync group G moves without A, not run here"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("global_defs {\nstartup_script /bin/true\n}\n", "f:2:1"),
        ("global_defs {\nvrrp_notify_fifo_script /bin/true\n}\n", "f:2:1"),
        ("vrrp_sync_group G {\ngroup {\nA\n}\nnotify /bin/true\n}\n", "f:1:1"),
    ],
)
def test_all_scripts_are_what_security_is_about(text: str, place: str) -> None:
    result = parse_text(text + instance("A"), "f")
    [complaint] = [one for one in result.complaints if one.severity is Severity.SECURITY]
    assert str(complaint.place) == place
    assert result.exit_code == 6


def test_interfaces_of_routes_and_rules() -> None:
    text = instance("A", "virtual_routes {\n10.0.0.0/8 dev eth7\n}", "virtual_rules {\niif eth8 table 5 priority 6\n}")
    result = parse_text(text, "f", {"eth0"})
    assert [str(complaint) for complaint in result.fatal] == [
        "f:8:1: (A) interface of route 10.0.0.0/8 eth7 doesn't exist (did you mean 'eth0'?)",
        "f:11:1: (A) interface of rule eth8 doesn't exist (did you mean 'eth0'?)",
    ]


def test_refused_and_fatal_instances_are_named_once() -> None:
    text = instance("A", "use_vmac", "use_vmac") + "vrrp_instance B {\n}\n"
    result = parse_text(text, "f")
    assert result.refused == ("A", "B")
    assert [complaint.place.line for complaint in result.drops] == [7, 10]
