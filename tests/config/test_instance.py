"""What an instance comes to: defaults, what cancels what, what is refused; values as seen with keepalived 2.2.7."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from pyvrrp.config.complaints import Parsed, Severity
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import Authentication, GarpSettings, Notify, VrrpInstance

BASE = "interface eth0\nvirtual_router_id 51"
VIP = "virtual_ipaddress {\n192.0.2.1\n}"
VIP6 = "virtual_ipaddress {\nfe80::1\n}"


def parse(*lines: str, vip: str = VIP, base: str = BASE, settings: str = "") -> Parsed:
    """An instance with these lines, between its interface and its addresses."""
    head = f"global_defs {{\n{settings}\n}}\n" if settings else ""
    body = "\n".join((base, *lines, vip))
    return parse_text(f"{head}vrrp_instance V1 {{\n{body}\n}}\n", "f")


def one(result: Parsed) -> VrrpInstance:
    [instance] = result.configuration.instances
    return instance


def said(result: Parsed) -> list[str]:
    return [complaint.message for complaint in result.complaints if complaint.severity is not Severity.NOTE]


def test_defaults() -> None:
    """keepalived's, and nothing to complain about."""
    result = parse()
    assert result.complaints == ()
    assert one(result) == VrrpInstance(
        name="V1",
        vrid=51,
        interface="eth0",
        virtual_addresses=one(result).virtual_addresses,
        garp=GarpSettings(lower_prio_delay_us=5_000_000, lower_prio_repeat=5),
    )
    assert one(result).notify == Notify()


@pytest.mark.parametrize(
    ("lines", "state", "priority"),
    [
        ([], "BACKUP", 100),
        (["state BACKUP"], "BACKUP", 100),
        (["state MASTER"], "MASTER", 255),
        (["state MASTER", "priority 100"], "MASTER", 100),
        (["priority 255"], "MASTER", 255),
        (["priority 255", "state BACKUP"], "BACKUP", 255),
        (["state MASTER", "priority 300"], "MASTER", 100),
        (["priority 5", "priority 300"], "BACKUP", 100),
        (["state MASTER", "state SLAVE", "priority 9"], "MASTER", 9),
    ],
)
def test_state_and_priority(lines: list[str], state: str, priority: int) -> None:
    instance = one(parse(*lines))
    assert (instance.state, instance.priority) == (state, priority)


NOPREEMPT_MASTER = "(V1) Warning - nopreempt will not work with initial state MASTER - clearing"
DELAY_MASTER = "(V1) Warning - preempt delay will not work with initial state MASTER - clearing"


@pytest.mark.parametrize(
    ("lines", "preempt", "delay", "complaints"),
    [
        (["nopreempt"], False, 0, []),
        (["preempt_delay 5"], True, 5_000_000, []),
        (
            ["nopreempt", "preempt_delay 5"],
            False,
            0,
            ["(V1) preempt_delay is incompatible with nopreempt mode - resetting"],
        ),
        (["state MASTER", "priority 9", "nopreempt"], True, 0, [NOPREEMPT_MASTER]),
        (["state MASTER", "priority 9", "preempt_delay 5"], True, 0, [DELAY_MASTER]),
        (
            ["priority 255", "nopreempt", "preempt_delay 5"],
            True,
            0,
            ["(V1) nopreempt is incompatible with priority 255. resetting nopreempt", DELAY_MASTER],
        ),
        (
            ["priority 255", "state BACKUP", "nopreempt", "preempt_delay 5"],
            True,
            5_000_000,
            ["(V1) nopreempt is incompatible with priority 255. resetting nopreempt"],
        ),
    ],
)
def test_preemption(lines: list[str], preempt: bool, delay: int, complaints: list[str]) -> None:
    result = parse(*lines)
    assert (one(result).preempt, one(result).preempt_delay_us) == (preempt, delay)
    assert said(result) == complaints
    assert not result.drops


@pytest.mark.parametrize(
    ("lines", "vip", "settings", "version"),
    [
        ([], VIP, "", 2),
        ([], VIP, "vrrp_version 3", 3),
        (["version 2"], VIP, "vrrp_version 3", 2),
        (["version 3"], VIP, "", 3),
        ([], VIP6, "", 3),
        ([], VIP6, "vrrp_version 2", 3),
        (["version 2"], VIP6, "", 2),
        (["native_ipv6"], VIP6, "", 3),
        ([], f"{VIP6}\nversion 3", "", 3),
    ],
)
def test_version(lines: list[str], vip: str, settings: str, version: int) -> None:
    result = parse(*lines, vip=vip, settings=settings)
    assert one(result).version == version
    assert said(result) == []


def test_version_2_after_an_ipv6_address_comes_too_late() -> None:
    result = parse(vip=f"{VIP6}\nversion 2")
    assert one(result).version == 3
    [complaint] = result.complaints
    assert str(complaint) == (
        "f:7:1: (V1) version 2 conflicts with the version 3 deduced from an IPv6 address; ignoring."
        " (version must come first)"
    )


@pytest.mark.parametrize(
    ("version", "said_interval", "interval", "complaint"),
    [
        (2, "1.0", 1_000_000, ""),
        (2, "+1.", 1_000_000, ""),
        (2, "0.5", 1_000_000, "VRRPv2 advertisement interval 0.500000s must be an integer. rounding"),
        (2, "0.4", 1_000_000, "VRRPv2 advertisement interval 0.400000s must be an integer. rounding"),
        (2, "1.4", 1_000_000, "VRRPv2 advertisement interval 1.400000s must be an integer. rounding"),
        (2, "2.5", 3_000_000, "VRRPv2 advertisement interval 2.500000s must be an integer. rounding"),
        (2, "255", 255_000_000, ""),
        (3, "0.01", 10_000, ""),
        (3, "0.5", 500_000, ""),
        (3, "0.504", 500_000, "VRRPv3 advertisement interval 0.504000s must be in units of 10ms - rounding"),
        (3, "0.505", 510_000, "VRRPv3 advertisement interval 0.505000s must be in units of 10ms - rounding"),
        (3, "40.95", 40_950_000, ""),
        (
            3,
            "41",
            40_950_000,
            "VRRPv3 advertisement interval 41.00s is out of range. Must be less than 40.96s. Setting to 40.95s",
        ),
        (2, "1.0000001", 1_000_000, "number '1.0000001' has too many decimal places for advert_int, 6 are used"),
    ],
)
def test_advertisement_interval(version: int, said_interval: str, interval: int, complaint: str) -> None:
    result = parse(f"version {version}", f"advert_int {said_interval}")
    assert one(result).advertisement_interval_us == interval
    assert said(result) == ([f"(V1) {complaint}"] if complaint else [])


@pytest.mark.parametrize("text", ["0", "-1", "1e0", "5x", ".", "", "0.001", "256"])
def test_bad_interval_is_dropped(text: str) -> None:
    result = parse("advert_int 2", f'advert_int "{text}"')
    assert one(result).advertisement_interval_us == 2_000_000
    assert len(result.drops) == 1


@pytest.mark.parametrize(
    ("lines", "vip", "authentication", "complaint"),
    [
        (["auth_type PASS", "auth_pass 1234"], VIP, Authentication("PASS", b"1234"), ""),
        (["auth_type PASS", "auth_pass \u00e9"], VIP, Authentication("PASS", b"\xc3\xa9"), ""),
        (
            ["auth_type PASS", "auth_pass 123456789"],
            VIP,
            Authentication("PASS", b"12345678"),
            "Truncating auth_pass to 8 characters",
        ),
        (["auth_pass 1234"], VIP, None, "auth_pass without auth_type: no authentication is used"),
        (["auth_type PASS"], VIP, None, "Authentication specified but no password given. Ignoring"),
        (
            ["auth_type PASS", 'auth_pass ""'],
            VIP,
            None,
            "Authentication specified but no password given. Ignoring",
        ),
        (["auth_type PASS", "auth_pass 1"], VIP6, None, "VRRP version 3 does not support authentication. Ignoring."),
        (["auth_type AH", "auth_pass 1"], VIP6, None, "VRRP version 3 does not support authentication. Ignoring."),
        ([], VIP, None, ""),
    ],
)
def test_authentication(lines: list[str], vip: str, authentication: Authentication | None, complaint: str) -> None:
    result = parse("authentication {", *lines, "}", vip=vip)
    assert one(result).authentication == authentication
    assert said(result) == ([f"(V1) {complaint}"] if complaint else [])
    assert not result.drops


def test_authentication_header_is_refused() -> None:
    result = parse("authentication {", "auth_type AH", "auth_pass 1", "}")
    assert result.refused == ("V1",)
    assert [complaint.place.line for complaint in result.drops] == [5]
    result = parse("version 2", "authentication {", "auth_type AH", "auth_pass 1", "}", vip=VIP6)
    assert one(result).authentication is None
    assert said(result) == ["(V1) auth_type AH does not support IPv6. Ignoring."]


@pytest.mark.parametrize(
    ("lines", "vip", "addresses", "complaint"),
    [
        ([], "virtual_ipaddress {\n192.0.2.1\nfe80::1\n}", ["192.0.2.1/32"], "f:6:1: (V1) address family must match"),
        ([], "virtual_ipaddress {\nfe80::1\n192.0.2.1\n}", ["fe80::1/128"], "f:6:1: (V1) address family must match"),
        (["mcast_src_ip fe80::9"], f"{VIP6}\n{VIP}", ["fe80::1/128"], "f:9:1: (V1) address family must match"),
        (["unicast_peer {", "192.0.2.9", "}"], f"{VIP6}\n{VIP}", ["192.0.2.1/32"], "f:8:1: (V1) address family must"),
        (["mcast_dst_ip ff02::99"], f"{VIP}\n{VIP6}", ["fe80::1/128"], "f:6:1: (V1) address family must match"),
        (
            ["virtual_ipaddress_excluded {", "fe80::9", "}"],
            VIP,
            ["192.0.2.1/32"],
            "",
        ),
    ],
)
def test_family_is_that_of_the_first_address(lines: list[str], vip: str, addresses: list[str], complaint: str) -> None:
    result = parse(*lines, vip=vip)
    assert [str(line.address) for line in one(result).virtual_addresses] == addresses
    assert [str(each)[: len(complaint)] for each in result.drops] == ([complaint] if complaint else [])


def test_addresses_that_do_not_fit_are_excluded() -> None:
    many = "\n".join(f"10.0.{number // 250}.{number % 250 + 1}" for number in range(300))
    result = parse(vip=f"virtual_ipaddress {{\n{many}\n}}\nvirtual_ipaddress_excluded {{\nfe80::1\n}}")
    assert len(one(result).virtual_addresses) == 255
    assert [str(line.address.ip) for line in one(result).excluded_addresses[-2:]] == ["10.0.1.50", "fe80::1"]
    assert said(result) == [
        (
            "(V1) Number of VIPs (300) exceeds maximum/space available in packet (max 255 addresses)"
            " - excess moved to eVIPs"
        )
    ]
    six = "\n".join(f"fe80::{number:x}" for number in range(1, 101))
    assert len(one(parse(vip=f"virtual_ipaddress {{\n{six}\n}}")).virtual_addresses) == 89


def test_duplicate_addresses() -> None:
    result = parse(
        vip="virtual_ipaddress {\n192.0.2.1\n192.0.2.1/24 dev eth1\n}\n"
        "virtual_ipaddress_excluded {\n192.0.2.1\n192.0.2.1 dev eth1\n192.0.2.1 dev eth1\n}"
    )
    assert len(one(result).virtual_addresses) == 1
    assert [line.dev for line in one(result).excluded_addresses] == ["eth1"]
    assert [complaint.place.line for complaint in result.complaints] == [6, 9, 11]
    assert not result.drops


NO_ADDRESSES = (
    "(V1) an instance without virtual addresses is not supported yet; without it this would serve wrongly, so it is not"
    " run"
)


@pytest.mark.parametrize(
    ("lines", "fatal", "complaints"),
    [
        ([], False, ["(V1) No VIP specified; at least one is sensible", NO_ADDRESSES]),
        (["version 3"], True, ["(V1) No VIP specified; at least one is required"]),
        (["strict_mode", "accept", "priority 255"], True, None),
        (["version 3", "no_virtual_ipaddress"], False, [NO_ADDRESSES]),
        (["no_virtual_ipaddress"], False, [NO_ADDRESSES]),
    ],
)
def test_no_addresses(lines: list[str], fatal: bool, complaints: list[str] | None) -> None:
    """The exit code is keepalived's, which would run it; the engine cannot, and that is said here already."""
    result = parse(*lines, vip="")
    assert bool(result.fatal) == fatal
    assert complaints is None or said(result) == complaints
    assert result.exit_code == (0 if "no_virtual_ipaddress" in lines else 5)
    assert result.refused == ("V1",)


def test_first_ipv6_address_should_be_link_local() -> None:
    """Said, and the order is left as it is."""
    result = parse(vip="virtual_ipaddress {\n2001:db8::1\nfe80::1\n}")
    [complaint] = result.complaints
    assert str(complaint) == "f:5:1: (V1) the first IPv6 address should be link-local"
    assert complaint.severity is Severity.NOTE
    assert str(one(result).virtual_addresses[0].address.ip) == "2001:db8::1"


def test_a_bad_router_id_is_one_fatal_line() -> None:
    """One line for one mistake: that the id is out of range, not also that there is none."""
    [complaint] = parse_text("vrrp_instance V1 {\ninterface eth0\nvirtual_router_id 300\n}\n", "f").complaints
    assert str(complaint) == "f:3:19: (V1) virtual_router_id '300' outside range [1, 255]"
    assert complaint.fatal


@pytest.mark.parametrize(
    ("base", "lines", "message"),
    [
        ("interface eth0", [], "f:1:1: (V1) the virtual router id must be set (virtual_router_id 1-255)"),
        ("virtual_router_id 1", [], "f:1:1: (V1) Unknown interface! (interface NAME)"),
        (
            "virtual_router_id 1",
            ["unicast_peer {", "192.0.2.9", "}"],
            "f:1:1: (V1) Unknown interface! (interface NAME, or unicast_src_ip)",
        ),
        ("virtual_router_id 1\ninterface lo", [], "f:1:1: (V1) Unknown interface! (interface NAME)"),
        (
            BASE,
            ["unicast_peer {", "192.0.2.9", "}", "strict_mode", "priority 255"],
            "f:4:1: (V1) unicast is incompatible with strict mode",
        ),
    ],
)
def test_fatal(base: str, lines: list[str], message: str) -> None:
    result = parse(*lines, base=base)
    assert [str(complaint) for complaint in result.fatal] == [message]
    assert result.refused == ("V1",)


def test_unicast() -> None:
    result = parse(
        "unicast_src_ip 192.0.2.9",
        "unicast_peer {",
        "192.0.2.7 min_ttl 10 max_ttl 20",
        "192.0.2.8",
        "192.0.2.8",
        "fe80::1",
        "}",
        base="virtual_router_id 51",
    )
    instance = one(result)
    assert instance.unicast
    assert instance.interface is None
    assert instance.source == ip_address("192.0.2.9")
    assert instance.unicast_peers == (ip_address("192.0.2.7"), ip_address("192.0.2.8"))
    assert instance.unicast_ttl_bounds == ((10, 20), (0, 255))
    assert instance.check_unicast_source
    assert [str(complaint) for complaint in result.complaints] == [
        "f:7:1: (V1) duplicate unicast peer 192.0.2.8 - ignoring",
        "f:8:1: (V1) unicast peer address fe80::1 is of another family. Skipping...",
    ]


def test_unicast_without_bounds_checks_no_source() -> None:
    instance = one(parse("unicast_peer {", "192.0.2.7", "}"))
    assert instance.unicast_ttl_bounds == ()
    assert not instance.check_unicast_source


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("192.0.2.7 192.0.2.8", "f:5:11: (V1) unknown unicast_peer option '192.0.2.8' - ignoring the rest of the line"),
        ("192.0.2.7 min_ttl", "f:5:11: (V1) min_ttl needs a number in [0, 255] - ignoring"),
        ("192.0.2.7 max_ttl 256", "f:5:11: (V1) max_ttl needs a number in [0, 255] - ignoring"),
        ("192.0.2.7 min_ttl 9 max_ttl 8", "f:5:1: (V1) min_ttl 9 > max_ttl 8 - all packets will be discarded"),
    ],
)
def test_unicast_peer_options(line: str, complaint: str) -> None:
    result = parse("unicast_peer {", line, "}")
    assert one(result).unicast_peers == (ip_address("192.0.2.7"),)
    assert [str(each).split(" (one")[0] for each in result.complaints] == [complaint]


FALLBACK = "(V1) A unicast keyword has been specified without any unicast peers. Defaulting to multicast."


@pytest.mark.parametrize(
    ("lines", "complaints"),
    [
        (["unicast_src_ip 192.0.2.9"], [(4, FALLBACK)]),
        (["unicast_peer {", "}"], [(4, FALLBACK)]),
        (["check_unicast_src"], [(4, FALLBACK)]),
        (["unicast_ttl 9"], [(4, "(V1) Cannot use unicast_ttl without unicast peers - resetting")]),
    ],
)
def test_unicast_without_peers_is_multicast(lines: list[str], complaints: list[tuple[int, str]]) -> None:
    result = parse(*lines)
    assert not one(result).unicast
    assert not one(result).check_unicast_source
    assert one(result).unicast_ttl is None
    assert [(complaint.place.line, complaint.message) for complaint in result.complaints] == complaints


@pytest.mark.parametrize(
    ("lines", "source", "complaint"),
    [
        (["mcast_src_ip 192.0.2.9"], "192.0.2.9", ""),
        (["mcast_src_ip 192.0.2.9", "unicast_src_ip 192.0.2.8", "unicast_peer {", "192.0.2.7", "}"], "192.0.2.8", ""),
        (["unicast_src_ip 192.0.2.8", "mcast_src_ip 192.0.2.9", "unicast_peer {", "192.0.2.7", "}"], "192.0.2.9", ""),
        (
            ["virtual_ipaddress {", "192.0.2.2", "}", "mcast_src_ip fe80::1"],
            None,
            "(V1) source address fe80::1 is of another family. Skipping...",
        ),
    ],
)
def test_source(lines: list[str], source: str | None, complaint: str) -> None:
    result = parse(*lines)
    assert one(result).source == (None if source is None else ip_address(source))
    assert said(result) == ([complaint] if complaint else [])


@pytest.mark.parametrize(
    ("lines", "vip", "settings", "group", "complaint"),
    [
        ([], VIP, "vrrp_mcast_group4 224.0.0.18", None, ""),
        ([], VIP, "vrrp_mcast_group4 224.0.0.9", "224.0.0.9", ""),
        (["mcast_dst_ip 224.0.0.8"], VIP, "vrrp_mcast_group4 224.0.0.9", "224.0.0.8", ""),
        ([], VIP6, "vrrp_mcast_group6 ff02::9", "ff02::9", ""),
        (
            [],
            VIP6,
            "vrrp_mcast_group6 ff05::9",
            "ff05::9",
            "vrrp_mcast_group6 'ff05::9' should be link-local multicast.",
        ),
        (
            ["unicast_peer {", "192.0.2.7", "}", "mcast_dst_ip 224.0.0.8"],
            VIP,
            "vrrp_mcast_group4 224.0.0.9",
            None,
            "(V1) multicast destination specified with unicast - ignoring",
        ),
        (
            [VIP6, "mcast_dst_ip 224.0.0.8"],
            "",
            "",
            None,
            "(V1) mcast_dst_ip 224.0.0.8 is of another family. Skipping...",
        ),
    ],
)
def test_group(lines: list[str], vip: str, settings: str, group: str | None, complaint: str) -> None:
    result = parse(*lines, vip=vip, settings=settings)
    assert one(result).group == (None if group is None else ip_address(group))
    assert said(result) == ([complaint] if complaint else [])


@pytest.mark.parametrize(
    ("lines", "settings", "expected"),
    [
        ([], "", (5, 5, 0, 1, 5, 5)),
        ([], "vrrp_garp_master_delay 9\nvrrp_garp_master_repeat 2", (9, 2, 0, 1, 9, 2)),
        (["garp_master_delay 9", "garp_master_repeat 2"], "", (9, 2, 0, 1, 5, 5)),
        (["garp_lower_prio_delay 0", "garp_lower_prio_repeat 0"], "", (5, 5, 0, 1, 0, 0)),
        ([], "vrrp_min_garp", (0, 1, 0, 1, 0, 1)),
        (["garp_master_repeat 7"], "vrrp_min_garp\nvrrp_garp_master_delay 3", (3, 7, 0, 1, 3, 1)),
        ([], "vrrp_min_garp off", (5, 5, 0, 1, 5, 5)),
        (["garp_master_refresh 60", "garp_master_refresh_repeat 2"], "", (5, 5, 60, 2, 5, 5)),
        (["garp_master_repeat x"], "", (5, 1, 0, 1, 5, 5)),
        (["garp_master_delay 7x"], "", (7, 5, 0, 1, 5, 5)),
    ],
)
def test_announcements(lines: list[str], settings: str, expected: tuple[int, ...]) -> None:
    """delay, repeat, refresh, refresh repeat, delay and repeat after a lower priority."""
    garp = one(parse(*lines, settings=settings)).garp
    found: tuple[Any, ...] = (
        garp.master_delay_us / 1e6,
        garp.master_repeat,
        garp.master_refresh_us / 1e6,
        garp.master_refresh_repeat,
        (garp.lower_prio_delay_us or 0) / 1e6,
        garp.lower_prio_repeat,
    )
    assert found == expected


@pytest.mark.parametrize(
    ("lines", "complaints"),
    [
        ([], []),
        (["state BACKUP"], ["(V1) State MASTER must match being address owner"]),
        (["preempt_delay 5"], ["(V1) preempt_delay is incompatible with strict mode - resetting"]),
        (
            ["authentication {", "auth_type PASS", "auth_pass x", "}"],
            ["(V1) Strict mode does not support authentication. Ignoring."],
        ),
        (
            ["accept"],
            ["(V1) warning - accept mode for VRRP version 2 does not comply with RFC3768 - resetting"],
        ),
        (
            [
                "down_timer_adverts 5",
                "garp_lower_prio_delay 4",
                "garp_lower_prio_repeat 3",
                "lower_prio_no_advert off",
                "higher_prio_send_advert",
            ],
            [
                "(V1) down_timer_adverts is incompatible with strict mode - resetting",
                "(V1) Strict mode requires no repeat garp delay. resetting",
                "(V1) Strict mode requires no repeat garps. resetting",
                "(V1) Strict mode requires lower_prio_no_advert. resetting",
                "(V1) strict mode requires higher_prio_send_advert to be clear. resetting",
            ],
        ),
    ],
)
def test_strict(lines: list[str], complaints: list[str]) -> None:
    """An owner can be strict without a firewall."""
    result = parse("priority 255", *lines, settings="vrrp_strict")
    instance = one(result)
    assert said(result) == complaints
    assert instance.state == "MASTER"
    assert instance.preempt_delay_us == 0
    assert instance.authentication is None
    assert instance.accept
    assert instance.lower_prio_no_advert
    assert not instance.higher_prio_send_advert
    assert instance.down_timer_adverts == 3
    assert (instance.garp.lower_prio_delay_us, instance.garp.lower_prio_repeat) == (0, 0)


@pytest.mark.parametrize(
    ("lines", "refused"),
    [
        (["strict_mode"], True),
        (["strict_mode", "state MASTER", "priority 100"], True),
        (["strict_mode", "accept"], True),
        (["strict_mode", "version 3"], True),
        (["strict_mode", "version 3", "accept"], False),
        (["strict_mode", "use_vmac"], True),
        (["strict_mode off"], False),
    ],
)
def test_strict_drops_packets_to_the_addresses(lines: list[str], refused: bool) -> None:
    """That needs a firewall, which is not built yet; said once."""
    result = parse(*lines)
    assert result.refused == (("V1",) if refused else ())
    assert len([one for one in result.complaints if "not supported yet" in one.message]) == refused


SCRIPTS = "vrrp_script chk {\nscript /bin/true\nweight 4 reverse\n}\n"


def test_track_scripts() -> None:
    text = (
        f"{SCRIPTS}vrrp_instance V1 {{\n{BASE}\n{VIP}\ntrack_script {{\nchk\nchk weight 3\nchkk\nlate\n}}\n}}\n"
        "vrrp_script late {\nscript /bin/true\n}\nvrrp_script idle {\nscript /bin/true\n}\n"
        "vrrp_script empty {\n}\nvrrp_script both {\nscript x\n tcp_check 80\n}"
    )
    result = parse_text(text, "f")
    assert [(track.name, track.weight, track.reverse) for track in one(result).track_scripts] == [("chk", None, None)]
    assert [script.name for script in result.configuration.scripts] == ["chk"]
    assert result.configuration.script("chk") is result.configuration.scripts[0]
    assert result.configuration.script("late") is None
    assert [str(complaint) for complaint in result.complaints if complaint.severity is not Severity.SECURITY] == [
        "f:13:1: (V1) duplicate track_script chk - ignoring",
        "f:14:1: (V1) track script chkk not found, ignoring... (did you mean 'chk'?)",
        (
            "f:15:1: (V1) track script late not found, ignoring..."
            " (it is defined further down, in line 18; it must come first)"
        ),
        "f:21:13: Warning - script idle is not used",
        'f:24:1: No script set for vrrp_script empty - removing (script "COMMAND", or tcp_check PORT)',
        "f:26:13: Warning - script both is not used",
        "f:28:2: (both) script is set too - ignoring tcp_check (one or the other)",
    ]


@pytest.mark.parametrize(
    ("line", "track", "complaint"),
    [
        ("chk", (None, None), ""),
        ("chk weight +10", (10, None), ""),
        ("chk weight 3 noreverse", (3, False), ""),
        ("chk weight 3 reverse", (3, True), ""),
        ("chk weight 300", (None, None), "(V1) track_script 'chk': weight must be between [-253..253] inclusive"),
        ("chk weight x", (None, None), "(V1) track_script 'chk': weight must be between [-253..253] inclusive"),
        ("chk weight 3 inverse", (3, None), "(V1) unknown track_script 'chk' weight option 'inverse' - ignoring"),
        ("chk weight", None, "(V1) weight without value specified for track_script 'chk' - ignoring"),
        ("chk reverse", None, "(V1) unknown track_script 'chk' option 'reverse' - ignoring"),
    ],
)
def test_track_script_weights(line: str, track: tuple[int | None, bool | None] | None, complaint: str) -> None:
    result = parse_text(
        f"global_defs {{\nenable_script_security\n}}\n{SCRIPTS}vrrp_instance V1 {{\n{BASE}\n{VIP}\ntrack_script {{\n"
        f"{line}\n}}\n}}"
    )
    found = [(each.weight, each.reverse) for each in one(result).track_scripts]
    assert found == ([] if track is None else [track])
    assert [each.message[: len(complaint)] for each in result.drops] == ([complaint] if complaint else [])


@pytest.mark.parametrize(("said", "used"), [("254", 253), ("-254", -253), ("7x", 7), ("254x", 253)])
def test_a_weight_is_brought_into_its_range(said: str, used: int) -> None:
    """As seen with 2.2.7: one more than the greatest is that, and what follows the digits is passed over."""
    result = parse("track_interface {", f"eth1 weight {said}", "}")
    assert [(each.name, each.weight) for each in one(result).track_interfaces] == [("eth1", used)]
    [complaint] = result.complaints
    assert complaint.severity is Severity.WARNING
    assert (
        complaint.message == f"(V1) track_interface 'eth1': weight must be between [-253..253] inclusive, using {used}"
    )


def test_track_interfaces() -> None:
    result = parse("track_interface {", "eth0", "eth1 weight -5 reverse", "eth1", "eth2 weight 3 noreverse", "}")
    found = [(each.name, each.weight, each.reverse) for each in one(result).track_interfaces]
    assert found == [("eth1", -5, True), ("eth2", 3, False)]
    assert [str(complaint) for complaint in result.complaints] == [
        "f:5:1: (V1) Ignoring track_interface eth0 since own interface",
        "f:7:1: (V1) duplicate track_interface eth1 - ignoring",
        "f:8:15: (V1) unknown track_interface 'eth2' weight option 'noreverse' - ignoring",
    ]


def test_commands() -> None:
    """The form `</path` is the shell's; an empty command is none."""
    result = parse("notify_master </dev/tcp/192.0.2.1/80", 'notify_backup ""', r'notify_fault "/x \0"', 'notify " "')
    notify = one(result).notify
    assert notify.master is not None
    assert notify.master.argv == ("/bin/sh", "-c", "</dev/tcp/192.0.2.1/80")
    assert (notify.backup, notify.fault, notify.any) == (None, None, None)
    assert [str(complaint) for complaint in result.complaints if complaint.place.line > 1] == [
        "f:5:15: (V1) notify_backup is empty: nothing is run",
        "f:6:14: (V1) notify_fault: a NUL octet cannot be part of a command",
        "f:7:8: (V1) notify is empty: nothing is run",
    ]


def test_settings() -> None:
    result = parse(
        settings="notification_email {\na b\nc\n}\nnotification_email_from A <a@b>\nsmtp_server 192.0.2.1 26\n"
        "smtp_connect_timeout 0\nmax_auto_priority\nvrrp_rt_priority 100\nvrrp_priority -5\nvrrp_no_swap\n"
        "script_user daemon\ndynamic_interfaces"
    )
    settings = result.configuration.globals
    assert settings.notification_email == ("a", "b", "c")
    assert settings.notification_email_from == "A <a@b>"
    assert settings.smtp_server == "192.0.2.1 26"
    assert settings.smtp_connect_timeout_us == 1_000_000
    assert (settings.max_auto_priority, settings.rt_priority, settings.process_priority) == (99, 99, -5)
    assert settings.no_swap
    assert (settings.script_user, settings.script_group) == ("daemon", None)
    assert settings.dynamic_interfaces


@pytest.mark.parametrize(
    ("line", "weight", "complaint"),
    [
        ("weight -253 reverse", (-253, True), ""),
        ("weight -300", (-253, False), "(chk) weight '-300' must be in [-253, 253], using -253"),
        ("weight 3 noreverse", (3, False), "(chk) unknown weight option 'noreverse'"),
        ("weight x", (0, False), "(chk) invalid number 'x' for weight"),
        ("tcp_check 80 localhost", (0, False), "(chk) malformed tcp_check address 'localhost'"),
        ("interval 0.0005", (0, False), "(chk) number '0.0005' has too many decimal places for interval, 3 are used"),
    ],
)
def test_scripts(line: str, weight: tuple[int, bool], complaint: str) -> None:
    result = parse_text(
        f"vrrp_script chk {{\ntcp_check 80\n{line}\n}}\n"
        f"vrrp_instance V1 {{\n{BASE}\n{VIP}\ntrack_script {{\nchk\n}}\n}}"
    )
    [script] = result.configuration.scripts
    assert (script.weight, script.reverse) == weight
    assert said(result)[:1] == ([complaint] if complaint else [])


def test_native_ipv6_does_not_go_with_ipv4() -> None:
    result = parse("native_ipv6")
    assert result.everything.instances[0].version == 3  # the word comes first, and decides
    result = parse_text(f"vrrp_instance V1 {{\n{BASE}\n{VIP}\nnative_ipv6\n}}\n", "f")
    assert one(result).version == 2
    assert [str(each) for each in result.drops] == ["f:7:1: (V1) Cannot specify native_ipv6 with IPv4 addresses"]


def test_no_peer_and_fault_is_not_multicast() -> None:
    """Who asked for FAULT would get a router in multicast."""
    result = parse("unicast_fault_no_peer", "unicast_peer {", "}")
    assert result.refused == ("V1",)
    assert result.exit_code == 0
    [complaint] = result.drops
    assert str(complaint).startswith("f:5:1: (V1) FAULT for want of a unicast peer (unicast_fault_no_peer)")


def test_authentication_header_and_state_master() -> None:
    """keepalived clears the state, and so nopreempt counts."""
    result = parse("authentication {", "auth_type AH", "auth_pass 1", "}", "state MASTER", "priority 9", "nopreempt")
    [instance] = result.everything.instances
    assert (instance.state, instance.preempt) == ("BACKUP", False)
    assert said(result)[-1] == "(V1) Initial state master is incompatible with AH authentication - clearing"


def test_notify_deleted_needs_no_command() -> None:
    instance = one(parse("notify_deleted"))
    assert instance.notify_deleted
    assert instance.notify == Notify()


def test_five_octets_of_a_vmac_get_the_vrid() -> None:
    [instance] = parse("use_vmac 02:00:00:00:01").everything.instances
    assert instance.vmac is not None
    assert instance.vmac.mac == bytes([2, 0, 0, 0, 1, 51])


def test_prefix_lengths_where_a_host_is_meant() -> None:
    """keepalived 2.2.7 passes over them in silence; without the peer this would speak to the group."""
    result = parse("unicast_src_ip 192.0.2.5/24", "unicast_peer {", "192.0.2.7/24", "}")
    assert one(result).source == ip_address("192.0.2.5")
    assert one(result).unicast_peers == (ip_address("192.0.2.7"),)
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("line", "field", "value"), [("version 3;", "version", 3), ("down_timer_adverts 4;", "down_timer_adverts", 4)]
)
def test_what_follows_a_number_is_passed_over(line: str, field: str, value: int) -> None:
    result = parse(line)
    assert getattr(one(result), field) == value
    assert result.exit_code == 5
