"""The other variables: what is read, what is mended, and that nothing goes without a word."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pyvrrp.config.complaints import Severity
from pyvrrp.config.model import Command, TcpTarget, VrrpScript
from pyvrrp.config.openshift import NodeFacts, PodConfiguration, programs, read_environment
from pyvrrp.config.openshift.settings import is_plain
from pyvrrp.config.openshift.shell import arithmetic, count

HA = "OPENSHIFT_HA_"
BARE = ("PYVRRP_", "HA_", "MULTICAST_", "UNICAST_SOURCE", "KEEPALIVED_")
ENS3 = (ip_address("10.0.0.35"), ip_address("10.0.0.36"), ip_address("fe80::35"))
FACTS = NodeFacts("node", {"lo": (ip_address("127.0.0.1"),), "ens3": ENS3}, "ens3")
EXACT = {"PYVRRP_COMPAT": "exact"}


def environment(values: dict[str, str]) -> dict[str, str]:
    return {name if name.startswith(BARE) else HA + name: value for name, value in values.items()}


def read(facts: NodeFacts = FACTS, drawn: int = 0, /, **values: str) -> PodConfiguration:
    return read_environment(environment({"VIRTUAL_IPS": "10.0.0.100", **values}), facts, lambda _: drawn)


def said(pod: PodConfiguration, variable: str = "") -> list[str]:
    """Severity and message of what concerns that variable; without one, of all but notes."""
    return [
        f"{one.severity}: {one.message}"
        for one in pod.complaints
        if (one.place.file.removeprefix(HA) == variable if variable else one.severity is not Severity.NOTE)
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0),
        (" 12 ", 12),
        ("010", 8),
        ("0", 0),
        ("0x1F", 31),
        ("08", None),
        ("0x", None),
        ("abc", 0),
        ("-5", -5),
        ("+-+5", -5),
        ("2+3*4", 14),
        ("(2+3)*4-a", 20),
        ("7/-2", -3),
        ("-7%3", -1),
        ("7%3/2", 0),
        ("1/0", None),
        ("1+", None),
        ("(1", None),
        ("1)", None),
        ("1 2", None),
        ("5!", None),
        ("2#101", None),
        ("9223372036854775808", -(2**63)),
        ("1" * 65, None),
    ],
)
def test_arithmetic(text: str, value: int | None) -> None:
    """As bash computes it; None for what it refuses, and for what is not known here (bases)."""
    assert arithmetic(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("010", 10), (" -3 ", -3), ("+4", 4), ("x", None), ("1x", None), ("", None)]
)
def test_count(text: str, value: int | None) -> None:
    assert count(text) == value


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("VIP_GROUPS", "0", []),
        ("VIP_GROUPS", "-1", ["warning: -1 is read as 0: every address is a group of its own"]),
        ("VIP_GROUPS", "two", ["error: 'two' is no number; every address is a group of its own"]),
        ("REPLICA_COUNT", "0", ["warning: 0 is read as 1"]),
        ("REPLICA_COUNT", "x", ["error: 'x' is no number; 1 is used"]),
        ("VRRP_ID_OFFSET", " 12 ", []),
        ("VRRP_ID_OFFSET", "010", ["warning: '010' is read as 8, as the shell of the old image did"]),
        ("VRRP_ID_OFFSET", "08", ["warning: '08' is read as 8"]),
        ("VRRP_ID_OFFSET", "1 2", ["error: '1 2' is no number; 10 is used"]),
        ("CHECK_INTERVAL", "4294", []),
        ("CHECK_INTERVAL", "0", ["warning: 0 is read as 1 second"]),
        ("CHECK_INTERVAL", "4295", ["error: '4295' cannot be used; 1 second is"]),
        ("CHECK_INTERVAL", "2.5", ["error: '2.5' cannot be used; 1 second is"]),
        ("ADMIN_EMAILS", "a@b {x include", ["error: '{x include' is no mail address and left out"]),
        ("SMTP_SERVER", "mail 25", []),
        ("SMTP_SERVER", "a}b", ["error: 'a}b' is no server and left out"]),
        ("SMTP_SERVER", " ", ["error: ' ' is no server and left out"]),
        ("PREEMPTION", "preempt_nodelay 300", None),
        ("PREEMPTION", "\tnopreempt", ["warning: nopreempt has no effect where this node is preferred"]),
        ("PREEMPTION", "}", ["error: cannot be part of an instance and is not used; its place is taken at once"]),
        (
            "PREEMPTION",
            "track_interface {",
            ["error: cannot be part of an instance and is not used; its place is taken at once"],
        ),
        (
            "PREEMPTION",
            "priority",
            ["error: cannot be part of an instance and is not used; its place is taken at once"],
        ),
        ("PREEMPTION", "preemt", ["error: Unknown keyword 'preemt'"]),
        ("USE_UNICAST", "true", ["warning: changes nothing without peers: advertisements are multicast"]),
        ("USE_UNICAST", "maybe", ["note: 'maybe' changes nothing: peers alone decide"]),
        ("USE_UNICAST", "false", []),
        ("MONITOR_PORT", "tcp/443", ["warning: 'tcp/443' is read as 443"]),
        ("MONITOR_PORT", "00", ["warning: '00' is read as 0: nothing is checked"]),
        ("MONITOR_PORT", "any", ["warning: 'any' is read as 80"]),
        ("MONITOR_PORT", "80,443", ["error: '80,443' is no port: nothing is checked, this node serves"]),
        ("MONITOR_PORT", "80 44", ["error: '80 44' is no port: nothing is checked, this node serves"]),
        ("MONITOR_PORT", "65536", ["error: '65536' is no port: nothing is checked, this node serves"]),
        ("CHECK_SCRIPT", " ", ["error: is blank and not used"]),
        ("CHECK_SCRIPT", "'x", ["error: is no command and not used: missing terminating '"]),
        ("CHECK_SCRIPT", "''", ["error: names no program and is not used"]),
        (
            "CHECK_SCRIPT",
            "/x\n",
            ["warning: line breaks are read as blanks; the old image broke the configuration at them"],
        ),
        ("CHECK_SCRIPT", "/" + "x" * 500, ["error: is longer than 500 characters and not used"]),
        ("ADMIN_EMAILS", "x" * 201, ["error: '" + "x" * 64 + "...' is no mail address and left out"]),
        ("HA_EXCLUDED_VRRP_IDS", "7 9", []),
        ("KEEPALIVED_CONFIG", "/x", ["warning: is not followed: the file is written where it is read"]),
        ("VIRTUAL_IP", "1", ["note: is not known and does nothing"]),
        ("SELECTOR", "a=b", []),
        ("PYVRRP_COMPAT", "old", ["error: 'old' is not known, nothing is changed by it"]),
        ("PYVRRP_STRICT", "perhaps", ["error: 'perhaps' is neither on nor off, off is used"]),
        ("PYVRRP_CHECK_EACH_VIP", "1", []),
    ],
)
def test_complaint(variable: str, text: str, expected: list[str] | None) -> None:
    """Each once, at its variable, and nothing else is complained about."""
    pod = read(**{variable: text})
    if expected is None:
        expected = ["warning: preempt_nodelay is no keyword; its place in the election is taken at once"]
    assert said(pod, variable) == expected
    assert len(said(pod)) == sum(not one.startswith("note") for one in expected)
    assert len(pod.configuration.instances) == 1


def test_exact_is_silent() -> None:
    """The old image said nothing; only what cannot be followed is said, and what keepalived says of the file."""
    assert said(read(VIP_GROUPS="two", REPLICA_COUNT="x", VRRP_ID_OFFSET="010", NETWORK_INTERFACE="x", **EXACT)) == [
        "security: SECURITY VIOLATION - scripts are being executed but script_security not enabled.",
        "warning: Truncating auth_pass to 8 characters",
        "warning: Warning - preempt delay will not work with initial state MASTER - clearing",
    ]
    assert said(read(VRRP_ID_OFFSET="1 2", **EXACT), "VRRP_ID_OFFSET") == ["error: '1 2' is no number; 10 is used"]


@pytest.mark.parametrize("mode", [{}, EXACT], ids=["mended", "exact"])
def test_only_the_exact_word(mode: dict[str, str]) -> None:
    """With a blank beside it priorities alternate as without it: other nodes count on that."""
    values = {"VIRTUAL_IPS": "10.0.0.100-101", **mode}
    priorities = [group.priority for group in read(PREEMPTION="nopreempt ", **values).groups]
    assert priorities == [220, 36] != [group.priority for group in read(PREEMPTION="nopreempt", **values).groups]


def test_hint_for_unknown() -> None:
    [one] = [one for one in read(VIRTUAL_IP="1").complaints if one.place.file == HA + "VIRTUAL_IP"]
    assert one.hint == f"did you mean {HA}VIRTUAL_IPS?"
    [one] = [one for one in read(SERVICE_HOST="1").complaints if one.place.file == HA + "SERVICE_HOST"]
    assert one.hint == ""


def test_exclusion_is_as_before() -> None:
    """What excludes nothing in the old image must not here either: the ids would differ."""
    pod = read(HA_EXCLUDED_VRRP_IDS="11,13")
    assert [group.vrid for group in pod.groups] == [11]
    assert said(pod) == ["error: '11,13' excludes nothing, and must not: other nodes might count otherwise"]


@pytest.mark.parametrize(
    ("name", "instance", "check", "password"),
    [
        ("ipfailover", "ipfailover_VIP_1", "chk_ipfailover", b"ipfailov"),
        ("my svc.v2", "mysvcv2_VIP_1", "chk_mysvcv2", b"my"),
        ("a#b", "ab_VIP_1", "chk_ab", b"a"),
        ('a"b', "ab_VIP_1", "chk_ab", b"a"),
        ('"a b"', "ab_VIP_1", "chk_ab", b"a b"),
        ("a{b", "ab_VIP_1", "chk_ab", b"a"),
        ("}x", "x_VIP_1", "chk_x", b"x"),
        ("!", "_VIP_1", "chk_", None),
        ("...", "_VIP_1", "chk_...", b"..."),
        ("@x", "x_VIP_1", "chk_x", b"@x"),
        ("a\\b", "ab_VIP_1", "chk_ab", b"a\\b"),
        ("ab\\", "ab_VIP_1", "chk_ab", b"ab\\"),
        ("n\u00e4m\u00e9\u00fc", "nm_VIP_1", "chk_n\u00e4m\u00e9\u00fc", "n\u00e4m\u00e9\u00fc".encode()[:8]),
    ],
)
def test_name(name: str, instance: str, check: str, password: bytes | None) -> None:
    """The password is the one that keepalived 2.2.7 was seen to send; what would break the file is not in it."""
    pod = read(CONFIG_NAME=name)
    [built] = pod.configuration.instances
    assert built.name == instance
    assert [script.name for script in pod.configuration.scripts] == [check]
    assert (built.authentication.password if built.authentication else None) == password


def test_long_name() -> None:
    """A name that no line could hold is cut; the password is not concerned."""
    [built] = read(CONFIG_NAME="n" * 2000).configuration.instances
    assert built.name == "n" * 200 + "_VIP_1"
    assert built.authentication is not None
    assert built.authentication.password == b"n" * 8


def test_is_plain() -> None:
    assert is_plain("a@b.c")
    assert not any(is_plain(word) for word in ("", "@a", "a b", 'a"', "a{", "a#", "~SEQ", "$A", "include", "a\\"))


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("/check.sh a", ("/check.sh", "a")),
        (r"bash -c \"x y\"", ("bash", "-c", "x y")),
        ('bash -c "x y"', ("bash", "-c", "x y")),
        ("bash -c 'x y'", ("bash", "-c", "x y")),
        ("bash -c 'a \"b\" \\ c'", ("bash", "-c", 'a "b"  c')),
        ("</dev/tcp/10.0.0.1/80", ("/bin/sh", "-c", "</dev/tcp/10.0.0.1/80")),
    ],
)
def test_scripts(text: str, argv: tuple[str, ...]) -> None:
    """Quotes are read as meant, also those that broke the old file."""
    pod = read(CHECK_SCRIPT=text, NOTIFY_SCRIPT=text)
    [script] = pod.configuration.scripts
    assert script.command == Command(argv)
    assert pod.configuration.instances[0].notify.any == Command(argv)
    assert programs(environment({"CHECK_SCRIPT": text})) == (() if text[0] == "<" else (argv[0],))


def test_programs() -> None:
    """What must be looked for on the node; nothing that the file would not run."""
    values = environment({"CHECK_SCRIPT": "/c x", "NOTIFY_SCRIPT": "/n"})
    assert programs(values) == programs({**values, **EXACT}) == ("/c", "/n")
    assert programs(environment({"CHECK_SCRIPT": "'x", "NOTIFY_SCRIPT": "''", **EXACT})) == ()
    assert programs({}) == ()


@pytest.mark.parametrize("mode", [{}, EXACT], ids=["mended", "exact"])
def test_missing_scripts(mode: dict[str, str]) -> None:
    """QE case 41028: one clear error each, and the node serves."""
    facts = NodeFacts("node", {"ens3": ENS3}, "ens3", frozenset({"/c", "/n"}))
    pod = read(facts, CHECK_SCRIPT="/c x", NOTIFY_SCRIPT="/n", **mode)
    [instance] = pod.configuration.instances
    assert pod.configuration.scripts == instance.track_scripts == ()
    assert instance.notify.any is None
    assert said(pod, "CHECK_SCRIPT")[0] == "error: /c cannot be run: nothing is checked, this node serves"
    assert said(pod, "NOTIFY_SCRIPT")[0] == "error: /n cannot be run: nobody is told of transitions"
    assert ('script "/c x"' in pod.text) is ('notify "/n"' in pod.text) is bool(mode)


def test_port_check() -> None:
    """Bounded and without a shell; 0 always passes; a port that cannot be fails where the old image is followed."""
    node = ip_address("10.0.0.35")
    for mode in ({}, EXACT):
        assert read(MONITOR_PORT="443", **mode).configuration.scripts[0].tcp == TcpTarget(443, node)
        assert read(MONITOR_PORT="0", **mode).configuration.scripts[0].command == Command(("true",))
    assert read(MONITOR_PORT="00").configuration.scripts[0].command == Command(("true",))
    assert read(MONITOR_PORT="65536").configuration.scripts == ()
    for port in ("00", "65536", "80 443"):
        [script] = read(MONITOR_PORT=port, **EXACT).configuration.scripts
        target = f"</dev/tcp/10.0.0.35/{port.replace(' ', '')}"
        assert script.command == Command(("/bin/bash", "-c", target))


def test_check_each_vip() -> None:
    """By option only, beside that of the node's address; each is for its own instance, while that is MASTER."""
    pod = read(PYVRRP_CHECK_EACH_VIP="on", VIRTUAL_IPS="10.0.0.100-102", VIP_GROUPS="2", CHECK_INTERVAL="5")
    name = "OpenShift_IPFailover_VIP"
    vips = {f"chk_{name}_1_1": 100, f"chk_{name}_1_2": 101, f"chk_{name}_2_1": 102}
    [own, *others] = pod.configuration.scripts
    assert not own.only_as_master
    assert others == [
        VrrpScript(script, None, TcpTarget(80, ip_address(f"10.0.0.{end}")), 5_000_000, only_as_master=True)
        for script, end in vips.items()
    ]
    assert [[track.name for track in one.track_scripts] for one in pod.configuration.instances] == [
        [own.name, f"chk_{name}_1_1", f"chk_{name}_1_2"],
        [own.name, f"chk_{name}_2_1"],
    ]
    assert [script.only_as_master for script in read().configuration.scripts] == [False]
    pod = read(PYVRRP_CHECK_EACH_VIP="on", MONITOR_PORT="0")
    assert [script.name for script in pod.configuration.scripts] == [own.name]
    assert said(pod) == ["warning: has no effect: no port is checked"]


def test_priority_255() -> None:
    """The others hear the same number as before; the option changes it."""
    facts = NodeFacts("node", {"ens3": (ip_address("10.0.0.128"),)}, "ens3")
    pod = read(facts)
    assert pod.configuration.instances[0].priority == 255
    assert len(said(pod)) == 1
    assert "priority 255" in said(pod, "NETWORK_INTERFACE")[0]
    pod = read(facts, PYVRRP_NEVER_OWNER="1")
    assert pod.configuration.instances[0].priority == pod.groups[0].priority == 254
    assert said(pod) == []
    assert said(read(facts, **EXACT), "NETWORK_INTERFACE") == []


@pytest.mark.parametrize("mode", [{}, EXACT], ids=["mended", "exact"])
def test_priority_0(mode: dict[str, str]) -> None:
    """What comes out as 0 is keepalived's default."""
    facts = NodeFacts("node", {"ens3": (ip_address("10.0.0.64"),)}, "ens3")
    pod = read(facts, REPLICA_COUNT="3", **mode)
    assert pod.groups[0].drawn
    assert pod.configuration.instances[0].priority == pod.groups[0].priority == 100
    assert said(pod, "REPLICA_COUNT")


def test_stable_priorities() -> None:
    """The same at every start, another on another node or without an address by its name."""
    values = {"PYVRRP_STABLE_PRIORITIES": "1", "REPLICA_COUNT": "8", "VIRTUAL_IPS": "10.0.1.1-20"}
    first = [group.priority for group in read(**values).groups]
    assert first == [group.priority for group in read(FACTS, 31, **values).groups]
    assert len(set(first)) > 5
    assert all(35 <= group.priority <= 66 for group in read(**values).groups if group.drawn)
    nameless = NodeFacts("node", {"ens3": (ip_address("10.0.0.43"),)}, "ens3")
    assert first != [group.priority - 8 for group in read(nameless, **values).groups]
    assert read(NodeFacts("a", {"e": ()}, "e"), **values).node_address is None


def test_preempt_delay_everywhere() -> None:
    """By option the delay holds where the node is preferred, too."""
    pod = read(PYVRRP_PREEMPT_DELAY_EVERYWHERE="1")
    [instance] = pod.configuration.instances
    assert (instance.state, instance.preempt_delay_us, instance.priority) == ("BACKUP", 300_000_000, 220)
    assert said(pod, "PREEMPTION") == []


@pytest.mark.parametrize("option", ["STABLE_PRIORITIES", "PREEMPT_DELAY_EVERYWHERE", "CHECK_EACH_VIP", "NEVER_OWNER"])
def test_exact_takes_no_options(option: str) -> None:
    name = f"PYVRRP_{option}"
    pod = read(**{name: "1"}, **EXACT)
    assert said(pod, name) == ["warning: has no effect: PYVRRP_COMPAT=exact does what the old image does"]
    assert pod.configuration == read(**EXACT).configuration


@pytest.mark.parametrize(("value", "reloads"), [("", False), ("end", False), (" Reload ", True), ("yes", False)])
def test_hangup(value: str, reloads: bool) -> None:
    """It ends the pod as it did the old one, unless that is said otherwise."""
    pod = read(PYVRRP_HUP=value)
    assert pod.hangup_reloads is reloads
    wrong = ["error: 'yes' is not known: SIGHUP ends the pod"]
    assert said(pod, "PYVRRP_HUP") == (wrong if value == "yes" else [])
    exact = read(PYVRRP_HUP=value, **EXACT)
    assert not exact.hangup_reloads
    assert any("has no effect" in text for text in said(exact, "PYVRRP_HUP")) is reloads


def test_preemption_holds_any_keyword() -> None:
    """As in the old image; the groups show what comes of it."""
    pod = read(PREEMPTION="priority 77\n    advert_int 2\n    track_interface {\n lo\n }")
    [instance] = pod.configuration.instances
    assert (instance.priority, instance.advertisement_interval_us) == (77, 2_000_000)
    assert [track.name for track in instance.track_interfaces] == ["lo"]
    assert pod.groups[0].priority == 77


@pytest.mark.parametrize(
    ("named", "interfaces", "route", "mode", "expected"),
    [
        ("", "a ens3 eth1", "a", {}, "eth1"),
        ("", "ens3 enp0s8 enp0s3", "a", {}, "enp0s3"),
        ("", "a b", "b", {}, "b"),
        ("", "a b", None, {}, ""),
        ("b a", "a b", "a", {}, "b"),
        ("x a", "a b", "b", {}, "a"),
        ("x", "ens3 a", "a", EXACT, "ens3"),
        ("x", "a", "a", EXACT, "a"),
        ("x", "a", None, EXACT, ""),
    ],
)
def test_interface(named: str, interfaces: str, route: str | None, mode: dict[str, str], expected: str) -> None:
    facts = NodeFacts("node", dict.fromkeys(interfaces.split(), (ip_address("10.0.0.1"),)), route)
    pod = read(facts, NETWORK_INTERFACE=named, **mode)
    assert pod.interface == expected
    assert [one.interface for one in pod.configuration.instances] == [expected] * bool(expected)
    assert pod.waits_for == ()
    if not expected and not mode:
        assert said(pod) == ["error: there is no interface: none is named, and no route leads out"]


def test_absent_interface_is_waited_for() -> None:
    """No other is taken, and nothing is decided: the node's address makes the priorities."""
    pod = read(NETWORK_INTERFACE="br-ex br0")
    assert pod.waits_for == ("br-ex", "br0")
    assert pod.configuration.instances == pod.groups == ()
    assert said(pod) == [
        "warning: br-ex or br0 does not exist here: waiting for it, no other interface is taken",
    ]
    assert read(NodeFacts(), NETWORK_INTERFACE="br-ex").complaints[-1].hint


def test_unicast() -> None:
    """The node's own address is no peer; each family has its own peers and source."""
    pod = read(
        UNICAST_PEERS="10.0.0.36, 10.0.0.37 ,10.0.0.38,fd00::2",
        UNICAST_SOURCE_IPADDRESS="10.0.0.35",
        VIRTUAL_IPS="10.0.0.100,fd00::100",
        USE_UNICAST="true",
    )
    v4, v6 = pod.configuration.instances
    assert v4.unicast_peers == (ip_address("10.0.0.37"), ip_address("10.0.0.38"))
    assert (v4.source, v6.source) == (ip_address("10.0.0.35"), None)
    assert v6.unicast_peers == (ip_address("fd00::2"),)
    assert said(pod) == []
    assert said(pod, "UNICAST_PEERS") == ["note: 10.0.0.36 is this node itself and left out"]
    exact = read(UNICAST_PEERS="10.0.0.36, 10.0.0.37 ,", **EXACT)
    assert exact.configuration.instances[0].unicast_peers == (ip_address("10.0.0.36"), ip_address("10.0.0.37"))
    assert read(**EXACT).configuration.instances[0].unicast_peers == ()


@pytest.mark.parametrize(
    ("peers", "vips", "expected", "remarks"),
    [
        (
            "10.0.0.2 10.0.0.3",
            "10.0.0.9",
            ["10.0.0.2 10.0.0.3"],
            ["warning: commas separate peers; blanks and semicolons are read as such"],
        ),
        ("10.0.0.2,x", "10.0.0.9", ["10.0.0.2"], ["error: 'x' is no address and no peer"]),
        (
            "0.0.0.0",
            "10.0.0.9",
            [""],
            ["error: '0.0.0.0' is no address and no peer", "warning: no peer is left: advertisements are multicast"],
        ),
        (",", "10.0.0.9", [""], ["warning: no peer is left: advertisements are multicast"]),
        ("10.0.0.35", "10.0.0.9", ["10.0.0.35"], ["warning: no other node is a peer for IPv4: nobody hears this one"]),
        (
            "10.0.0.2",
            "10.0.0.9,fd00::9",
            ["10.0.0.2", ""],
            ["warning: there is no peer for IPv6: its advertisements are multicast"],
        ),
    ],
)
def test_peers(peers: str, vips: str, expected: list[str], remarks: list[str]) -> None:
    pod = read(UNICAST_PEERS=peers, VIRTUAL_IPS=vips)
    assert [" ".join(map(str, one.unicast_peers)) for one in pod.configuration.instances] == expected
    assert said(pod) == remarks


def test_family_of_the_first_half() -> None:
    """keepalived takes the family of what stands first in an instance: a source or a peer stands before the VIPs."""
    for more in ({"UNICAST_PEERS": "10.0.0.2"}, {"MULTICAST_SOURCE_IPADDRESS": " 10.0.0.35"}):
        pod = read(VIRTUAL_IPS="fd00::9,10.0.0.9", VIP_GROUPS="1", **more)
        [exact] = read(VIRTUAL_IPS="fd00::9,10.0.0.9", VIP_GROUPS="1", **more, **EXACT).configuration.instances
        assert [(one.name[-6:], one.version) for one in pod.configuration.instances] == [("_VIP_1", 2), ("1_IPv6", 3)]
        assert exact.virtual_addresses == pod.configuration.instances[0].virtual_addresses


def test_peers_against_the_word() -> None:
    pod = read(UNICAST_PEERS="10.0.0.2", USE_UNICAST="false")
    assert said(pod) == ["warning: changes nothing: there are peers, so advertisements are unicast"]


@pytest.mark.parametrize(
    ("multicast", "unicast", "peers", "source", "remarks"),
    [
        ("10.0.0.36", "", "", "10.0.0.36", []),
        (" 10.0.0.36 ", "", "10.0.0.2", "10.0.0.36", []),
        (
            "",
            "10.0.0.36",
            "",
            "10.0.0.36",
            ["warning: is used as the source of multicast advertisements: there are no peers"],
        ),
        (
            "10.0.0.36",
            "10.0.0.35",
            "10.0.0.2",
            "10.0.0.35",
            ["warning: is not used: UNICAST_SOURCE_IPADDRESS comes after it"],
        ),
        ("10.0.0.35", "10.0.0.35", "10.0.0.2", "10.0.0.35", []),
        ("fd00::1", "", "", None, []),
        (
            "x",
            "::",
            "10.0.0.2",
            None,
            ["error: 'x' is no address and not used", "error: '::' is no address and not used"],
        ),
    ],
)
def test_source(multicast: str, unicast: str, peers: str, source: str | None, remarks: list[str]) -> None:
    pod = read(MULTICAST_SOURCE_IPADDRESS=multicast, UNICAST_SOURCE_IPADDRESS=unicast, UNICAST_PEERS=peers)
    assert pod.configuration.instances[0].source == (source and ip_address(source))
    assert said(pod) == remarks
    if not remarks:
        exact = read(
            MULTICAST_SOURCE_IPADDRESS=multicast, UNICAST_SOURCE_IPADDRESS=unicast, UNICAST_PEERS=peers, **EXACT
        )
        assert ("mcast_src_ip" in exact.text) is bool(multicast)
        assert ("unicast_src_ip" in exact.text) is bool(unicast)


def test_firewall() -> None:
    assert not read().firewall_rule
    assert read(NFTABLES_RULE="x").firewall_rule
    assert read(IPTABLES_CHAIN="INPUT").firewall_rule
