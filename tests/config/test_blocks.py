"""What scripts, files, processes, BFD sessions and groups come to; judgements as seen with keepalived 2.2.7."""

from __future__ import annotations

import pytest

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Parsed, Severity
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import BfdInstance, Fifo, GlobalSettings, ReloadSettings, Track, TrackProcess, Vmac


def instance(name: str, *lines: str, vrid: int = 51) -> str:
    vip = f"virtual_ipaddress {{\n192.0.2.{vrid}\n}}"
    return (
        "\n".join((f"vrrp_instance {name} {{", "interface eth0", f"virtual_router_id {vrid}", vip, *lines, "}")) + "\n"
    )


def process(*lines: str) -> tuple[Parsed, TrackProcess]:
    result = parse_text("\n".join(("vrrp_track_process P {", "process haproxy", *lines, "}")), "f")
    [found] = result.everything.track_processes
    return result, found


def bfd(*lines: str) -> tuple[Parsed, tuple[BfdInstance, ...]]:
    result = parse_text("\n".join(("bfd_instance B {", *lines, "}")), "f")
    return result, result.everything.bfd_instances


@pytest.mark.parametrize(
    ("lines", "fork_us", "terminate_us"),
    [
        (["delay 1"], 1_000_000, 1_000_000),
        (["delay 1", "fork_delay 2"], 2_000_000, 1_000_000),
        (["fork_delay 2", "delay 1"], 1_000_000, 1_000_000),
        (["terminate_delay 3"], 0, 3_000_000),
    ],
)
def test_delay_sets_both(lines: list[str], fork_us: int, terminate_us: int) -> None:
    """And what is said later counts."""
    _result, found = process(*lines)
    assert (found.fork_delay_us, found.terminate_delay_us) == (fork_us, terminate_us)


def test_quorums_that_contradict_each_other() -> None:
    result, found = process("quorum 5", "quorum_max 3")
    assert (found.quorum, found.quorum_max) == (5, None)
    [complaint] = result.drops
    assert str(complaint) == "f:4:1: (P) quorum_max is less than quorum - ignoring"
    assert process("quorum_max 0")[1].quorum_max == 0


def test_param_match_alone_is_exact() -> None:
    assert process("param_match")[1].parameter_match == "exact"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["source_ip 192.0.2.1"], "BFD instance B has no neighbor address set, disabling instance"),
        (
            ["neighbor_ip 192.0.2.1", "source_ip fe80::1"],
            "BFD instance B: source and neighbor address are not of the same family, disabling instance",
        ),
    ],
)
def test_bfd_that_cannot_work_is_left_out(lines: list[str], message: str) -> None:
    result, found = bfd(*lines)
    assert found == ()
    assert [one.message for one in result.drops] == [message]
    assert result.exit_code == 5


def test_bfd_names_are_short() -> None:
    result = parse_text(f"bfd_instance {'b' * 32} {{\nneighbor_ip 192.0.2.1\n}}", "f")
    assert result.everything.bfd_instances == ()
    assert [one.code for one in result.drops] == [Code.NAME_LENGTH]


def test_bfd_is_for_both_unless_one_is_named() -> None:
    for lines, expected in (([], (True, True)), (["vrrp"], (True, False)), (["vrrp", "checker"], (True, True))):
        _result, [found] = bfd("neighbor_ip 192.0.2.1", *lines)
        assert (found.for_vrrp, found.for_checker) == expected


def complaints(text: str, *severities: Severity) -> list[str]:
    return [str(one) for one in parse_text(text, "f").complaints if one.severity in severities]


def test_an_instance_is_in_one_group() -> None:
    text = instance("A") + instance("B", vrid=52)
    text += "vrrp_sync_group G {\ngroup {\nA\nB\n}\n}\nvrrp_sync_group H {\ngroup {\nB\n}\n}\n"
    result = parse_text(text, "f")
    assert [(group.name, group.members) for group in result.everything.sync_groups] == [("G", ("A", "B"))]
    assert [str(one) for one in result.drops if one.code is Code.SYNC_GROUP] == [
        "f:21:1: Sync group H has no virtual router(s). removing",
        "f:23:1: (H) Virtual router B cannot exist in more than one sync group - ignoring (it is in G)",
    ]


def test_a_group_of_one_is_warned_about() -> None:
    text = instance("A") + "vrrp_sync_group G {\ngroup {\nA\n}\n}\n"
    assert complaints(text, Severity.WARNING) == [
        "f:8:17: Sync group G has only 1 virtual router(s) - this probably isn't what you want"
    ]


WEIGHTY = "vrrp_script S {\ntcp_check 80\nweight 5\n}\n"


@pytest.mark.parametrize(("word", "said"), [("", 3), ("sync_group_tracking_weight", 0)])
def test_weights_of_members_do_not_count(word: str, said: int) -> None:
    """A priority of their own would tear them apart, unless the group says that it is meant."""
    text = (
        WEIGHTY
        + "track_file F {\nfile /run/f\n}\n"
        + instance("A", "track_script {\nS\n}", "track_interface {\neth1 weight 3\neth2\n}", "track_file {\nF\n}")
        + instance("B", vrid=52)
        + "vrrp_instance C {\n}\n"
        + f"vrrp_sync_group G {{\ngroup {{\nA\nB\nC\n}}\n{word}\n}}\n"
    )
    found = [one for one in parse_text(text, "f").complaints if one.code is Code.WEIGHT]
    assert [one.place.line for one in found] == [15, 18, 22][:said]


def test_members_begin_as_backup() -> None:
    text = instance("A", "state MASTER", "priority 150") + instance("B", "priority 255", vrid=52)
    result = parse_text(text + "vrrp_sync_group G {\ngroup {\nA\nB\n}\n}\n", "f")
    assert [one.state for one in result.everything.instances] == ["BACKUP", "MASTER"]
    assert str(result.origins.of("vrrp_instance", "A")["state"]) == "derived: member of a sync group"


def test_weights_of_an_owner_do_not_count() -> None:
    lines = ["priority 255", "track_script {\nS\n}", "track_interface {\neth1 weight 3\neth2\n}"]
    result = parse_text(WEIGHTY + instance("A", *lines), "f")
    [owner] = result.configuration.instances
    assert owner.track_scripts == ()
    assert owner.track_interfaces == (Track("eth2", 0, reverse=False),)
    assert [one.place.line for one in result.complaints if one.code is Code.WEIGHT] == [13, 16]


def test_static_groups() -> None:
    """One that is not defined is left out; the instances of one that is used are not run, as they would not fail."""
    text = (
        "track_group T {\ngroup {\nA nobody A\n}\n}\nstatic_ipaddress {\n192.0.2.1 dev eth0 track_group T\n"
        "192.0.2.2 dev eth0 track_group TT\n}\n"
    )
    result = parse_text(text + instance("A") + instance("B", vrid=52), "f")
    assert [group.members for group in result.everything.track_groups] == [("A",)]
    assert [line.track_group for line in result.everything.static_addresses] == ["T", None]
    assert result.refused == ("A",)
    assert [str(one) for one in result.drops] == [
        "f:8:1: track_group TT not found",
        "f:10:15: (A) track_group is not supported yet; without it this would serve wrongly, so it is not run",
    ]


def test_garp_groups() -> None:
    text = (
        "garp_group {\ngarp_interval 1\ninterface eth0\ninterfaces {\neth1 eth0\n}\n}\n"
        "garp_group {\ngna_interval 1\ninterfaces {\n}\n}\n"
    )
    result = parse_text(text, "f")
    assert [group.interfaces for group in result.everything.garp_groups] == [("eth0", "eth1"), ()]
    assert [str(one) for one in result.complaints if one.severity in (Severity.ERROR, Severity.WARNING)] == [
        "f:5:6: garp_group already specified for eth0 - ignoring",
        "f:10:1: Warning - empty garp_group interfaces block",
    ]


def settings(*lines: str) -> GlobalSettings:
    text = "\n".join(("global_defs {", *lines, "}"))
    return parse_text(text, "f").configuration.globals


def test_settings_that_are_made_of_several_values() -> None:
    assert settings() == GlobalSettings()
    made = settings("notify_fifo /run/a root", "notify_fifo_script /bin/s", "reload_check_config", "dynamic_interfaces")
    assert made.notify_fifo.path == "/run/a"
    assert made.notify_fifo.script is not None
    assert made.vrrp_notify_fifo == Fifo()
    assert made.reload == ReloadSettings(check=True)
    assert (made.dynamic_interfaces, made.interfaces_may_change) == (True, False)
    assert settings("dynamic_interfaces sometimes").dynamic_interfaces
    assert settings("umask 0x12").files.umask == 0x12
    assert settings("umask 077").files.umask == 0o77
    assert settings("vrrp_rx_bufs_policy 1000").buffers.policy == 1000


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("umask 09", Code.BAD_NUMBER),
        ("umask IXUSR|WHAT", Code.BAD_VALUE),
        ("vrrp_rx_bufs_policy", Code.MISSING_VALUE),
        ("vrrp_rt_priority", Code.MISSING_VALUE),
        ("vrrp_startup_delay 99999999999999999999999999999999", Code.VALUE_RANGE),
        ("vrrp_priority -99999999999999999999999999999999", Code.VALUE_RANGE),
    ],
)
def test_settings_that_are_dropped(line: str, code: Code) -> None:
    result = parse_text(f"global_defs {{\n{line}\n}}\n", "f")
    assert [one.code for one in result.drops] == [code]
    assert result.exit_code == 5


@pytest.mark.parametrize(
    ("line", "vmac", "codes"),
    [
        ("use_vmac", Vmac(), []),
        ("use_vmac name v1 netlink_notify_msg group 5", Vmac("v1", notify=True, group="5"), []),
        ("use_vmac v1 2:1:2:3:4:5", Vmac("v1", bytes.fromhex("020102030405")), []),
        ("use_vmac aNameThatIsTooLong", Vmac(), [Code.BAD_INTERFACE]),
        ("use_vmac 01:00:5e:00:00:01", Vmac(), [Code.VMAC]),
        ("use_vmac 00:00:5e:00:01:07", Vmac(), [Code.VMAC]),
        ("use_vmac name", None, [Code.MISSING_VALUE]),
        ("use_ipvlan 192.0.2.1/24 group x name ipv", None, []),
        ("use_ipvlan group", None, [Code.MISSING_VALUE]),
    ],
)
def test_interfaces_of_its_own(line: str, vmac: Vmac | None, codes: list[Code]) -> None:
    result = parse_text(instance("A", line), "f")
    [found] = result.everything.instances
    assert found.vmac == vmac
    assert [one.code for one in result.drops if one.code is not Code.REFUSED] == codes


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["vmac_xmit_base"], Code.VMAC),
        (["use_vmac", "unicast_peer {\n192.0.2.9\n}"], Code.VMAC),
        (["use_ipvlan"], Code.VMAC),
        (["use_vmac_addr", "virtual_ipaddress_excluded {\n192.0.2.9 dev eth1\n192.0.2.8 dev eth1 use_vmac\n}"],
         Code.DUPLICATE),
    ],
)  # fmt: skip
def test_interfaces_that_do_not_fit(lines: list[str], code: Code) -> None:
    result = parse_text(instance("A", *lines), "f")
    [complaint] = [one for one in result.complaints if one.severity is Severity.WARNING]
    assert complaint.code is code
    assert result.exit_code == 5
    assert result.everything.instances[0].vmac_transmit_base == ("use_vmac" in lines)


def test_old_checksum() -> None:
    """What pyvrrp does anyway is taken; the other form refuses the instance."""
    peers = "unicast_peer {\n192.0.2.9\n}"
    assert not parse_text(instance("A", "old_unicast_checksum never", peers), "f").refused
    result = parse_text(instance("A", "old_unicast_checksum", peers), "f")
    assert result.refused == ("A",)
    assert result.everything.instances[0].old_unicast_checksum == "force"


def test_vrf_without_interface() -> None:
    text = "vrrp_instance A {\nvrf red\nvirtual_router_id 1\nunicast_src_ip 192.0.2.1\nunicast_peer {\n192.0.2.2\n}\n}"
    result = parse_text(text, "f")
    assert result.everything.instances[0].vrf == "red"
    assert [one.code for one in result.drops] == [Code.REFUSED, Code.REFUSED]


KEY = "k" * 32


@pytest.mark.parametrize(
    ("lines", "keys", "codes"),
    [
        (f"key 1 {KEY}\nkey 1 hex:{'00' * 32}\nactive_key 1", [KEY.encode()], [Code.DUPLICATE]),
        (f"key 1 {KEY}", [KEY.encode()], [Code.AUTHENTICATION]),
        ("key 1 hex:xy", None, [Code.BAD_VALUE]),
        ("key 1", None, [Code.MISSING_VALUE]),
    ],
)
def test_hmac(lines: str, keys: list[bytes] | None, codes: list[Code]) -> None:
    result = parse_text(instance("A", f"auth_hmac {{\n{lines}\n}}"), "f")
    hmac = result.everything.instances[0].hmac
    assert (None if hmac is None else [key.secret for key in hmac.keys]) == keys
    assert [one.code for one in result.drops if one.code is not Code.REFUSED] == codes
