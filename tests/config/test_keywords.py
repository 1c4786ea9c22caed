"""Each keyword that works, with a good and a bad value; a row of the table without a case here fails."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from pyvrrp.config.keywords import ROWS
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import AddressLine, Authentication, Command, TcpTarget, Track
from pyvrrp.config.rows import Block, Row, Shape, Status

ROOT, GLOBAL, INSTANCE, SCRIPT = Block.ROOT, Block.GLOBAL, Block.INSTANCE, Block.SCRIPT
AUTH, SYNC = Block.AUTHENTICATION, Block.SYNC_GROUP
TRUE = Command(("/bin/true",))


@dataclass(frozen=True)
class Case:
    """The good text makes *path* of the result *value*; the bad one is complained about."""

    block: Block
    good: str
    path: str
    value: Any
    bad: str
    message: str
    also: str = ""
    first: str = ""

    @property
    def keyword(self) -> str:
        return self.first or self.good.split(maxsplit=1)[0]


def boolean(block: Block, keyword: str, path: str) -> Case:
    return Case(block, keyword, path, True, f"{keyword} perhaps", f"invalid {keyword} 'perhaps' specified")


def notify(keyword: str, path: str) -> Case:
    good = f"{keyword} \"/bin/n 'a b'\" root :adm"
    value = Command(("/bin/n", "a b"), "root", "adm")
    return Case(INSTANCE, good, f"instance.notify.{path}", value, f'{keyword} "/bin/n \'x"', "missing terminating '")


CASES = (
    Case(ROOT, "instance blue", "globals.instance_name", "blue", "instance", "instance is missing its value"),
    Case(ROOT, "net_namespace red", "globals.net_namespace", "red", "net_namespace", "is missing its value"),
    Case(ROOT, "use_pid_dir", "globals.use_pid_dir", True, "use_pid_dir no", "takes no value, and 'no' does not"),
    Case(ROOT, "child_wait_time 9", "globals.child_wait_time_us", 9_000_000, "child_wait_time -1", "range [0, 4294]"),
    Case(
        ROOT, "global_defs {\nrouter_id r\n}", "globals.router_id", "r", "global_defs", "Missing '{' at the beginning"
    ),
    Case(
        ROOT,
        "vrrp_instance I {\ninterface eth0\nvirtual_router_id 9\n}",
        "instance.name",
        "I",
        "vrrp_instance {\n}",
        "vrrp_instance must have a name",
    ),
    Case(
        ROOT,
        "vrrp_script S {\nscript /bin/true\n}\nvrrp_instance I {\ninterface e\nvirtual_router_id 9\ntrack_script {\nS"
        "\n}\n}",
        "script.name",
        "S",
        "vrrp_script a b {\n}",
        "vrrp_script must have a name",
    ),
    Case(
        ROOT,
        "vrrp_sync_group G {\ngroup {\n}\n}",
        "globals.router_id",
        None,
        "vrrp_sync_group {\n}",
        "vrrp_sync_group must have a name",
    ),
    Case(
        SYNC, "group {\n}", "globals.router_id", None, "group {\nnobody\n}", "Virtual router nobody specified in sync"
    ),
    # global_defs
    Case(GLOBAL, "router_id r1", "globals.router_id", "r1", "router_id", "router_id is missing its value"),
    Case(GLOBAL, "vrrp_version 3", "instance.version", 3, "vrrp_version 4", "outside range [2, 3]"),
    Case(
        GLOBAL,
        "vrrp_mcast_group4 224.0.0.99",
        "instance.group",
        ip_address("224.0.0.99"),
        "vrrp_mcast_group4 10.0.0.1",
        "is not multicast. Skipping...",
    ),
    Case(
        GLOBAL,
        "vrrp_mcast_group6 ff02::99",
        "instance.group",
        ip_address("ff02::99"),
        "vrrp_mcast_group6 224.0.0.1",
        "is not IPv6. Skipping...",
        "virtual_ipaddress {\nfe80::1\n}",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_master_delay 7",
        "instance.garp.master_delay_us",
        7_000_000,
        "vrrp_garp_master_delay x",
        "invalid number 'x'",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_master_repeat 7",
        "instance.garp.master_repeat",
        7,
        "vrrp_garp_master_repeat 0",
        "must be greater than 0, setting to 1",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_master_refresh 7",
        "instance.garp.master_refresh_us",
        7_000_000,
        "vrrp_garp_master_refresh 5000000000",
        "outside range",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_master_refresh_repeat 7",
        "instance.garp.master_refresh_repeat",
        7,
        "vrrp_garp_master_refresh_repeat 0",
        "must be greater than 0, setting to 1",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_lower_prio_delay 7",
        "instance.garp.lower_prio_delay_us",
        7_000_000,
        "vrrp_garp_lower_prio_delay -1",
        "outside range [0, 4294]",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_lower_prio_repeat 0",
        "instance.garp.lower_prio_repeat",
        0,
        "vrrp_garp_lower_prio_repeat many",
        "invalid number 'many'",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_interval 0.000001",
        "instance.garp.interval_us",
        1,
        "vrrp_garp_interval 4295",
        "outside range [0, 4294]",
    ),
    Case(
        GLOBAL,
        "vrrp_gna_interval .5",
        "instance.garp.gna_interval_us",
        500_000,
        "vrrp_gna_interval 1e0",
        "invalid number '1e0'",
    ),
    Case(GLOBAL, "vrrp_min_garp", "instance.garp.master_repeat", 1, "vrrp_min_garp 1", "invalid vrrp_min_garp '1'"),
    Case(
        GLOBAL,
        "vrrp_down_timer_adverts 5",
        "instance.down_timer_adverts",
        5,
        "vrrp_down_timer_adverts 101",
        "outside range [1, 100]",
    ),
    boolean(GLOBAL, "vrrp_lower_prio_no_advert", "instance.lower_prio_no_advert"),
    boolean(GLOBAL, "vrrp_higher_prio_send_advert", "instance.higher_prio_send_advert"),
    Case(
        GLOBAL,
        "vrrp_check_unicast_src",
        "instance.check_unicast_source",
        True,
        "vrrp_check_unicast_src off",
        "takes no value, and 'off' does not turn it off",
        "unicast_peer {\n192.0.2.8\n}",
    ),
    boolean(GLOBAL, "vrrp_skip_check_adv_addr", "instance.skip_address_check"),
    Case(
        GLOBAL,
        "vrrp_strict",
        "instance.strict",
        True,
        "vrrp_strict 1",
        "invalid vrrp_strict '1' specified",
        "priority 255",
    ),
    boolean(GLOBAL, "v3_checksum_as_v2", "instance.checksum_without_pseudo_header"),
    Case(
        GLOBAL,
        "dynamic_interfaces allow_if_changes",
        "globals.dynamic_interfaces",
        True,
        "dynamic_interfaces sometimes",
        "Unknown dynamic_interfaces option 'sometimes'",
    ),
    Case(
        GLOBAL,
        "enable_script_security",
        "globals.enable_script_security",
        True,
        "enable_script_security off",
        "takes no value",
    ),
    Case(GLOBAL, "script_user daemon :adm", "globals.script_group", "adm", "script_user", "No script username"),
    # vrrp_script
    Case(SCRIPT, 'script "/bin/c -x"', "script.command", Command(("/bin/c", "-x")), 'script "/bin/c \'"', "missing"),
    Case(
        SCRIPT,
        "tcp_check 80 192.0.2.1",
        "script.tcp",
        TcpTarget(80, ip_address("192.0.2.1")),
        "tcp_check 65536",
        "outside range [1, 65535]",
    ),
    Case(SCRIPT, "interval 0.25", "script.interval_us", 250_000, "interval 0", "setting to 1"),
    Case(SCRIPT, "timeout 3", "script.timeout_us", 3_000_000, "timeout never", "invalid number 'never'"),
    Case(SCRIPT, "weight +10 reverse", "script.reverse", True, "weight 254", "must be in [-253, 253], using 253"),
    Case(SCRIPT, "rise 3", "script.rise", 3, "rise 0", "outside range"),
    Case(SCRIPT, "fall 3", "script.fall", 3, "fall x", "invalid number 'x'"),
    Case(SCRIPT, "user nobody", "script.command", Command(("/bin/true",), "nobody"), "user", "user is missing its"),
    Case(SCRIPT, "init_fail", "script.init_fail", True, "init_fail off", "does not turn it off"),
    # vrrp_instance
    Case(INSTANCE, "state MASTER", "instance.state", "MASTER", "state SLAVE", "unknown state 'SLAVE', not MASTER or"),
    Case(INSTANCE, "interface bond0", "instance.interface", "bond0", "interface lo", "cannot use a loopback"),
    Case(INSTANCE, "virtual_router_id 255", "instance.vrid", 255, "virtual_router_id 300", "range [1, 255]"),
    Case(INSTANCE, "priority 254", "instance.priority", 254, "priority 5x", "invalid number '5x' for priority"),
    Case(
        INSTANCE,
        "advert_int 3",
        "instance.advertisement_interval_us",
        3_000_000,
        "advert_int 256",
        "outside range [0.01, 255]",
    ),
    Case(INSTANCE, "version 3", "instance.version", 3, "version 1", "outside range [2, 3]"),
    Case(
        INSTANCE,
        "native_ipv6",
        "instance.version",
        3,
        "native_ipv6 off",
        "takes no value",
        "virtual_ipaddress {\nfe80::1\n}",
    ),
    Case(
        INSTANCE,
        "authentication {\nauth_type PASS\nauth_pass x\n}",
        "instance.authentication",
        Authentication("PASS", b"x"),
        "authentication",
        "Missing '{' at the beginning of block authentication",
    ),
    Case(
        AUTH,
        "auth_type PASS\nauth_pass 1",
        "instance.authentication",
        Authentication("PASS", b"1"),
        "auth_type pass",
        "unknown auth_type '***', not PASS or AH",
    ),
    Case(
        AUTH,
        'auth_pass "a b"\nauth_type PASS',
        "instance.authentication",
        Authentication("PASS", b"a b"),
        "auth_type PASS\nauth_pass a b",
        "auth_pass is one word; what follows is not used",
    ),
    Case(
        INSTANCE,
        "mcast_src_ip 192.0.2.9",
        "instance.source",
        ip_address("192.0.2.9"),
        "mcast_src_ip 192.0.2",
        "malformed mcast_src_ip address '192.0.2'. Skipping...",
    ),
    Case(
        INSTANCE,
        "unicast_src_ip 192.0.2.9\nunicast_peer {\n192.0.2.8\n}",
        "instance.source",
        ip_address("192.0.2.9"),
        "unicast_src_ip fe80::1%eth0",
        "malformed unicast_src_ip address",
    ),
    Case(
        INSTANCE,
        "unicast_peer {\n192.0.2.8\n192.0.2.7\n}",
        "instance.unicast_peers",
        (ip_address("192.0.2.8"), ip_address("192.0.2.7")),
        "unicast_peer {\nother\n}",
        "malformed unicast peer address 'other'. Skipping...",
    ),
    Case(
        INSTANCE,
        "unicast_ttl 64\nunicast_peer {\n192.0.2.8\n}",
        "instance.unicast_ttl",
        64,
        "unicast_ttl 256",
        "outside range [0, 255]",
    ),
    Case(
        INSTANCE,
        "check_unicast_src yes\nunicast_peer {\n192.0.2.8\n}",
        "instance.check_unicast_source",
        True,
        "check_unicast_src 1",
        "invalid check_unicast_src '1' specified",
    ),
    boolean(INSTANCE, "v3_checksum_as_v2", "instance.checksum_without_pseudo_header"),
    Case(
        INSTANCE,
        "mcast_dst_ip 224.0.0.50",
        "instance.group",
        ip_address("224.0.0.50"),
        "mcast_dst_ip 10.0.0.1",
        "is not multicast. Skipping...",
    ),
    Case(INSTANCE, "dont_track_primary", "instance.track_primary", False, "dont_track_primary no", "takes no value"),
    Case(
        INSTANCE,
        "virtual_ipaddress {\n192.0.2.2/24\n}",
        "instance.virtual_addresses",
        (AddressLine(ip_interface("192.0.2.1/32")), AddressLine(ip_interface("192.0.2.2/24"))),
        "virtual_ipaddress {\n10.1\n}",
        "virtual address '10.1' is no IP address",
    ),
    Case(
        INSTANCE,
        "virtual_ipaddress_excluded {\nfe80::1/64\n}",
        "instance.excluded_addresses",
        (AddressLine(ip_interface("fe80::1/64")),),
        "virtual_ipaddress_excluded {\n192.0.2.9 dev\n}",
        "No dev parameter specified for '192.0.2.9'",
    ),
    Case(INSTANCE, "no_virtual_ipaddress", "instance.vrid", 51, "no_virtual_ipaddress off", "takes no value"),
    Case(INSTANCE, "accept", "instance.accept", True, "accept false", "takes no value"),
    Case(INSTANCE, "nopreempt", "instance.preempt", False, "nopreempt false", "takes no value"),
    Case(INSTANCE, "nopreempt\npreempt", "instance.preempt", True, "preempt off", "takes no value", first="preempt"),
    Case(
        INSTANCE,
        "preempt_delay 1.5",
        "instance.preempt_delay_us",
        1_500_000,
        "preempt_delay 1001",
        "outside range [0, 1000]",
    ),
    Case(INSTANCE, "down_timer_adverts 4", "instance.down_timer_adverts", 4, "down_timer_adverts 0", "range [1, 100]"),
    boolean(INSTANCE, "lower_prio_no_advert", "instance.lower_prio_no_advert"),
    boolean(INSTANCE, "higher_prio_send_advert", "instance.higher_prio_send_advert"),
    boolean(INSTANCE, "skip_check_adv_addr", "instance.skip_address_check"),
    Case(INSTANCE, "strict_mode off", "instance.strict", False, "strict_mode 2", "invalid strict_mode '2' specified"),
    Case(
        INSTANCE,
        "garp_master_delay 0",
        "instance.garp.master_delay_us",
        0,
        "garp_master_delay -1",
        "outside range [0, 4294]",
    ),
    Case(
        INSTANCE,
        "garp_master_repeat 9",
        "instance.garp.master_repeat",
        9,
        "garp_master_repeat 0",
        "must be greater than 0, setting to 1",
    ),
    Case(
        INSTANCE,
        "garp_master_refresh 60",
        "instance.garp.master_refresh_us",
        60_000_000,
        "garp_master_refresh 1.5",
        "invalid number '1.5' for garp_master_refresh, using 1",
    ),
    Case(
        INSTANCE,
        "garp_master_refresh_repeat 2",
        "instance.garp.master_refresh_repeat",
        2,
        "garp_master_refresh_repeat x",
        "invalid number 'x'",
    ),
    Case(
        INSTANCE,
        "garp_lower_prio_delay 2",
        "instance.garp.lower_prio_delay_us",
        2_000_000,
        "garp_lower_prio_delay x",
        "invalid number 'x'",
    ),
    Case(
        INSTANCE,
        "garp_lower_prio_repeat 2",
        "instance.garp.lower_prio_repeat",
        2,
        "garp_lower_prio_repeat -1",
        "outside range",
    ),
    Case(
        INSTANCE,
        "track_script {\nchk weight -5 reverse\n}",
        "instance.track_scripts",
        (Track("chk", -5, reverse=True),),
        "track_script {\nchk weightt 5\n}",
        "unknown track_script 'chk' option 'weightt' - ignoring",
    ),
    Case(
        INSTANCE,
        "track_interface {\neth1 weight 5\n}",
        "instance.track_interfaces",
        (Track("eth1", 5, reverse=False),),
        "track_interface {\naninterfacenametoolong\n}",
        "cannot be the name of an interface",
    ),
    notify("notify_master", "master"),
    notify("notify_backup", "backup"),
    notify("notify_fault", "fault"),
    notify("notify_stop", "stop"),
    notify("notify", "any"),
)


def text_with(block: Block, extra: str, also: str = "") -> str:
    """A configuration that is clean without the extra, which stands in that block; *also* stands in the instance."""
    if block is ROOT:
        return extra
    inside = dict.fromkeys(Block, "")
    inside[block] = extra
    script = inside[SCRIPT]
    if not script.startswith(("script", "tcp_check")):
        script += "\nscript /bin/true"
    addresses = "" if "virtual_ipaddress {" in also else "virtual_ipaddress {\n192.0.2.1\n}"
    track = "" if extra.startswith("track_script") else "track_script {\nchk\n}"
    authentication = f"authentication {{\n{extra}\n}}" if block is AUTH else ""
    group = f"vrrp_sync_group G {{\n{extra}\n}}" if block is SYNC else ""
    return f"""global_defs {{
enable_script_security
{inside[GLOBAL]}
}}
vrrp_script chk {{
{script}
}}
vrrp_instance I {{
interface eth0
virtual_router_id 51
{addresses}
{track}
{inside[INSTANCE]}
{also}
{authentication}
}}
{group}
"""


def look_up(result: Any, path: str) -> Any:
    configuration = result.configuration
    first, *rest = path.split(".")
    if first == "globals":
        found = configuration.globals
    else:
        found = (configuration.instances if first == "instance" else configuration.scripts)[0]
    for name in rest:
        found = getattr(found, name)
    return found


def name(one: Case) -> str:
    return f"{one.block.name}-{one.keyword}"


@pytest.mark.parametrize("one", CASES, ids=name)
def test_good_value(one: Case) -> None:
    result = parse_text(text_with(one.block, one.good, one.also))
    assert look_up(result, one.path) == one.value
    assert not result.drops


@pytest.mark.parametrize("one", CASES, ids=name)
def test_bad_value(one: Case) -> None:
    """It is complained about at its own line, whatever else follows from it."""
    text = text_with(one.block, one.bad, one.also)
    result = parse_text(text)
    found = [complaint for complaint in result.complaints if one.message in complaint.message]
    assert found, [str(complaint) for complaint in result.complaints]
    first = f"\n{text}\n".index(f"\n{one.bad}\n")
    first = text[:first].count("\n") + 1
    assert first <= found[0].place.line < first + len(one.bad.splitlines())


def test_every_working_keyword_has_a_case() -> None:
    working = {(row.block, row.keyword) for row in ROWS if row.status is Status.WORKS}
    assert working - {(one.block, one.keyword) for one in CASES} == set()


def arguments(row: Row) -> str:
    """Something that may stand behind the keyword."""
    if row.shape is Shape.LINE:
        return f"{row.keyword} 1"
    return (
        f"{row.keyword} I {{\n}}" if row.named else f"{row.keyword} {{\n}}" if row.opens else f"{row.keyword} {{\nx\n}}"
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.block.name}-{row.keyword}")
def test_every_keyword_is_known(row: Row) -> None:
    """Whatever it may lack, no keyword of keepalived is called unknown."""
    text = {
        Block.ROOT: arguments(row),
        AUTH: f"vrrp_instance I {{\nauthentication {{\n{arguments(row)}\n}}\n}}",
        Block.AUTH_HMAC: f"vrrp_instance I {{\nauth_hmac {{\n{arguments(row)}\n}}\n}}",
    }.get(row.block, f"{row.block} I {{\n{arguments(row)}\n}}")
    assert [str(one) for one in parse_text(text).complaints if "Unknown keyword" in one.message] == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.refuses], ids=lambda row: row.keyword)
def test_what_would_serve_wrongly_is_refused(row: Row) -> None:
    """The instance is not run, the complaint names the keyword, and `-t` stays what keepalived says: 0."""
    text = text_with(INSTANCE, arguments(row))
    result = parse_text(text)
    assert result.refused == ("I",)
    assert result.configuration.instances == ()
    [refusal] = [complaint for complaint in result.complaints if "not supported yet" in complaint.message]
    assert refusal.message.startswith(f"(I) {row.keyword} is not supported yet")
    assert refusal.dropped
    assert refusal.place.line == text.splitlines().index(arguments(row).splitlines()[0]) + 1


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.block in (GLOBAL, INSTANCE) and row.status is not Status.WORKS and not row.refuses],
    ids=lambda row: row.keyword,
)
def test_what_does_nothing_is_said_once(row: Row) -> None:
    line = arguments(row)
    if parse_text(text_with(row.block, row.keyword)).exit_code == 0:
        line = row.keyword
    result = parse_text(text_with(row.block, f"{line}\n{line}"))
    said = [complaint for complaint in result.complaints if complaint.message.startswith(row.keyword)]
    assert len(said) == 1
    assert not result.drops
    assert result.exit_code == 0
