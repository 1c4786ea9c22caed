"""The native form read: what each shape of value means, and where its mistakes are."""

from __future__ import annotations

import tomllib

import pytest

from pyvrrp.config.codes import Code
from pyvrrp.config.complaints import Severity
from pyvrrp.config.keywords import ROWS
from pyvrrp.config.load import is_native, load, parse_text
from pyvrrp.config.native.forms import TABLES
from pyvrrp.config.native.locate import DEPTH_MAX, Places
from pyvrrp.config.native.read import TEXT_MAX, parse_native
from pyvrrp.config.native.schema import _SCHEMAS, schema
from pyvrrp.config.native.statement import reader_of
from pyvrrp.config.native.toml import string, to_native
from pyvrrp.config.native.words import SAYS
from pyvrrp.config.rows import Shape
from tests.config.judge import CONFIG_ID, corpus, path_of

CASES = corpus()

TOML = """\
use_pid_dir = true
linkbeat_interfaces = ["eth0 MII", { interface = "eth1" }]
interface_up_down_delays = [{ interface = "eth0", down = 1.5, up = 2 }]
static_routes = ["198.51.100.0/24 via 192.0.2.1 dev eth0"]

[[vrrp_instance]]  # before what it tracks: the order is free
name = "V1"
interface = "eth0"
virtual_router_id = 51
state = "MASTER"
priority = 150
advert_int = 1
accept = true
dont_track_primary = false
preempt = false
smtp_alert = false
unicast_src_ip = "192.0.2.3"
unicast_peer = [{ address = "192.0.2.2", min_ttl = 254 }]
virtual_ipaddress = ["192.0.2.9/24 dev eth0", { address = "192.0.2.10/24", label = "eth0:1", home = false }]
track_script = ["chk", { name = "other", weight = 10, reverse = false }]
notify = ["/bin/echo", "a b"]
notify_master = { command = "/bin/echo 'a b'", user = "u", group = "g" }
notify_backup = "</dev/null"
notify_deleted = true
authentication = { auth_type = "PASS", auth_pass = "secret" }

[vrrp_instance.auth_hmac]
key = [{ id = 1, secret = "0123456789012345678901234567890123456789" }]
active_key = 1

[[vrrp_script]]
name = "chk"
tcp_check = { port = 80, address = "192.0.2.7" }
interval = 0.5

[[vrrp_script]]
name = "other"
script = "true"
weight = { weight = -5, reverse = true }

[garp_group]
garp_interval = 0.25
interfaces = ["eth0", "eth1"]

[global_defs]
umask = 0o022
vrrp_cpu_affinity = [1, 2]
nftables = true
startup_script = true
"""
CONF = """\
use_pid_dir
linkbeat_interfaces {
eth0 MII
eth1
}
interface_up_down_delays {
eth0 1.5 2
}
static_routes {
198.51.100.0/24 via 192.0.2.1 dev eth0
}
vrrp_script chk {
tcp_check 80 192.0.2.7
interval 0.5
}
vrrp_script other {
script true
weight -5 reverse
}
vrrp_instance V1 {
interface eth0
virtual_router_id 51
state MASTER
priority 150
advert_int 1
accept
nopreempt
smtp_alert off
unicast_src_ip 192.0.2.3
unicast_peer {
192.0.2.2 min_ttl 254
}
virtual_ipaddress {
192.0.2.9/24 dev eth0
192.0.2.10/24 label eth0:1
}
track_script {
chk
other weight 10 noreverse
}
notify "/bin/echo 'a b'"
notify_master "/bin/echo 'a b'" u g
notify_backup "</dev/null"
notify_deleted
authentication {
auth_type PASS
auth_pass secret
}
auth_hmac {
key 1 0123456789012345678901234567890123456789
active_key 1
}
}
garp_group {
garp_interval 0.25
interfaces {
eth0
eth1
}
}
global_defs {
umask 022
vrrp_cpu_affinity 1 2
nftables
startup_script
}
"""


def test_says_what_keepalived_conf_says() -> None:
    native, conf = parse_native(TOML), parse_text(CONF)
    assert native.everything == conf.everything
    # Places differ, and so does the order; nothing else is said of the one than of the other.
    assert sorted((one.code, one.message) for one in native.complaints) == sorted(
        (one.code, one.message) for one in conf.complaints
    )
    assert native.refused == conf.refused


def test_places() -> None:
    """The model's places are those of the TOML text."""
    instance = parse_native(TOML, "f.toml").everything.instances[0]
    assert str(instance.place) == "f.toml:6:1"
    assert str(instance.interface_place) == "f.toml:8:1"
    assert [str(line.place) for line in instance.virtual_addresses] == ["f.toml:19:22", "f.toml:19:59"]


V1 = '[[vrrp_instance]]\nname = "V1"\ninterface = "eth0"\nvirtual_router_id = 1\nvirtual_ipaddress = ["192.0.2.1"]\n'


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("prioriti = 3", "6:1", "Unknown keyword 'prioriti' (did you mean 'priority'?)"),
        ("priority = 300", "6:12", "(V1) priority '300' outside range [1, 255]"),
        ('priority = "high"', "6:12", "(V1) invalid number 'high' for priority"),
        ("priority = 0x" + "f" * 40, "6:12", "(V1) invalid number '0xffff"),
        ("priority = 1.5", "6:12", "(V1) invalid number '1.5' for priority"),
        ("priority = false", "6:12", "priority cannot be turned off (leave it out)"),
        ("priority = {}", "6:12", "priority is no table"),
        ("priority = 1979-05-27", "6:12", "neither a text nor a number"),
        ("priority = true", "6:1", "(V1) priority is missing its value"),
        ("advert_int = 0.001", "6:14", "(V1) advert_int '0.001' outside range [0.01, 255]"),
        ("advert_int = inf", "6:14", "(V1) invalid number 'Infinity' for advert_int"),
        ("advert_int = 1e60", "6:14", "(V1) invalid number '1E+60' for advert_int"),
        ("unicast_peer = 3", "6:16", "unicast_peer is a list (unicast_peer = [...])"),
        ("unicast_peer = [\n 3]", "7:2", "(V1) malformed unicast peer address '3'"),
        ("unicast_peer = [true]", "6:17", "this says nothing in unicast_peer"),
        ('unicast_peer = [""]', "6:17", "a value of unicast_peer is one line of words"),
        ('unicast_peer = ["192.0.2.1 {"]', "6:17", "a value of unicast_peer is one line of words"),
        ("unicast_peer = [[]]", "6:17", "a value of unicast_peer is no list"),
        ("unicast_peer = [{ min_ttl = 3 }]", "6:17", "unicast_peer needs 'address'"),
        ("unicast_peer = [{ addr = 3 }]", "6:19", "unicast_peer has no 'addr' (did you mean 'address'?)"),
        ("unicast_peer = [{ x = 3 }]", "6:19", "unicast_peer has no 'x' (known: address, min_ttl, max_ttl)"),
        ('unicast_peer = [{ address = "x" }]', "6:29", "(V1) malformed unicast peer address 'x'"),
        ('virtual_ipaddress_excluded = [{ address = "192.0.2.1", home = 1 }]', "6:63", "home is true or false"),
        ("notify = 3", "6:10", "notify is a text, or a list of words"),
        ('notify = "a \'b"', "6:10", "notify: missing terminating '"),
        ('notify = ["</x"]', "6:10", "notify: the command cannot stand in a line"),
        ("notify = []", "6:10", "(V1) notify is empty: nothing is run"),
        ('notify = { command = "x", as = "u" }', "6:27", "notify has no 'as'"),
        ("notify = true", "6:1", "notify is missing its value"),
        ('vrf = "a\\"b"', "6:7", "vrf: a value cannot stand in a line of keepalived.conf"),
        ("track_script = ['a\"b']", "6:17", 'a"b: a value'),
        ("authentication = 3", "6:18", "authentication is a table ([authentication])"),
        ("[vrrp_script]\nscript = 'x'", "6:1", "vrrp_script must have a name"),
        ("vrrp_script = 3", "6:1", "Unknown keyword 'vrrp_script' (it belongs in the top level)"),
        ("[[vrrp_script]]\nname = 'x'\nscript = { command = 'x', user = 'u' }", "8:27", "script has no 'user'"),
        ("[[vrrp_script]]\nname = []", "7:8", "neither a text nor a number"),
        ("[[global_defs]]", "6:1", "global_defs is a table ([global_defs])"),
        ("[vrrp_sync_group]\nname = 'x'\n[[vrrp_track_process.x]]", "8:1", "vrrp_track_process must have a name"),
        ("[virtual_server]", "6:1", "virtual_server has no native form, and no effect in pyvrrp"),
    ],
)
def test_mistakes(text: str, place: str, message: str) -> None:
    found = [
        (f"{one.place.line}:{one.place.column}", str(one).split(" ", 1)[1])
        for one in parse_native(V1 + text).complaints
    ]
    assert any(where == place and message in said for where, said in found), found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ('"a\\nb"', "a value cannot stand in a line of keepalived.conf"),
        ("[]", "neither a text nor a number"),
    ],
)
def test_a_name_that_cannot_be_said_costs_its_own_block_only(name: str, message: str) -> None:
    """Of several with one key the others are read."""
    result = parse_native(
        f"[[vrrp_script]]\nname = {name}\nscript = '/x'\n[[vrrp_script]]\nname = 'b'\nscript = '/y'\n"
    )
    assert [script.name for script in result.everything.scripts] == ["b"]
    (complaint,) = (one for one in result.complaints if message in one.message)
    assert (complaint.place.line, complaint.severity, complaint.dropped) == (2, Severity.ERROR, True)


@pytest.mark.parametrize(
    ("text", "place", "message", "code"),
    [
        ("a = ", "1:5", "Invalid value at the end of the text", Code.UNREADABLE),
        ("a = 1\nb = 2 3", "2:7", "Expected newline or end of document after a statement", Code.UNREADABLE),
        ("a = 1\na = 2", "2:6", "Cannot overwrite a value at the end of the text", Code.UNREADABLE),
        ("a = " + "9" * 5000, "1:1", "a value cannot be read: Exceeds the limit", Code.UNREADABLE),
        ("a = 1e" + "9" * 30, "1:1", "a value cannot be read: ", Code.UNREADABLE),
        ("a." * 99, "1:34", "nested deeper than any configuration is", Code.TOO_MUCH),
        ("a = " + "[" * 99, "1:21", "nested deeper than any configuration is", Code.TOO_MUCH),
        ("#" * (TEXT_MAX + 1), "1:1", f"the text has more than {TEXT_MAX} characters", Code.TOO_MUCH),
    ],
)
def test_no_toml(text: str, place: str, message: str, code: Code) -> None:
    result = parse_native(text)
    assert [(f"{one.place.line}:{one.place.column}", one.severity, one.code) for one in result.complaints] == [
        (place, Severity.UNUSABLE, code)
    ]
    assert result.complaints[0].message.startswith(message)
    assert result.exit_code == 4


def test_scan_that_is_lost_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """If ever the scan gives up on something that is TOML, that is said rather than read without places."""
    monkeypatch.setattr(tomllib, "loads", lambda _text, **_options: {})
    assert [str(one) for one in parse_native("x = 1\n= 2").complaints] == ["<text>:2:1: this is no TOML"]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("a.b = 1", {("a",): 0, ("a", "b"): 0}),
        ("'a.b' = 1", {("a.b",): 0}),
        ('"\\u0061\\n\\q" = [[1], {x = """\n""", y = \'\'}]\nb = 1', {("a\nq",): 0, ("a\nq", 1, "y"): 35, ("b",): 44}),
        ('"\\UFFFFFFFF" = 1', {("\\UFFFFFFFF",): 0}),
        ("[[a]]\n[[a]]\n[a.b]\nc = [\n1, # ]\n2,\n]\n", {("a", 1): 6, ("a", 1, "b"): 12, ("a", 1, "b", "c"): 18}),
        ("a = {}\nb = [ ]\nc = {x = []}", {("a",): 0, ("b",): 7, ("c", "x"): 20}),
    ],
)
def test_scan(text: str, paths: dict[tuple[str | int, ...], int]) -> None:
    places = Places(text)
    assert places.lost is None
    assert {path: places.keys[path] for path in paths} == paths
    assert places.key((*next(iter(paths)), "unknown")) == next(iter(paths.values()))
    assert places.value(("unknown",)) == 0


def test_scan_ends_where_toml_ends() -> None:
    for text in ("[a", "[[a]", "a", "a = {b 1}", "a = ]"):
        assert Places(text).lost is not None, text
    assert DEPTH_MAX > 5


def test_strings() -> None:
    for text in ("", "a b", '"', "\\", "'\"", "\n\t\r\0\x7f", "é\u2028", '"' * 4):
        assert tomllib.loads(f"x = {string(text)}") == {"x": text}
    assert string("a\\b") == "'a\\b'"
    assert string("\b'") == '"\\u0008\'"'


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("full", [False, True], ids=["plain", "full"])
def test_corpus_comes_back(case: str, full: bool) -> None:
    everything = load(path_of(case), config_id=CONFIG_ID).everything
    assert parse_native(to_native(everything, full=full)).everything == everything


def test_written() -> None:
    text = to_native(parse_text(CONF).everything)
    assert "advert_int" not in text  # a default
    assert "\nvirtual_router_id = 51\n" in text
    assert "\ngarp_interval = 0.25  # seconds\n" in text
    assert "\numask = 0o022\n" in text
    assert 'auth_pass = "secret"' in text
    assert "\nadvert_int = 1  # seconds\n" in to_native(parse_text(CONF).everything, full=True)
    assert "\npreempt = true\n" in to_native(parse_text(CONF).everything, full=True)


def test_load_tells_by_the_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("native") / "node.toml"
    path.write_text(TOML, encoding="utf-8")
    assert is_native(path)
    assert not is_native("/etc/keepalived/keepalived.conf")
    parsed = load(path, interfaces=())
    assert parsed.everything == parse_text(CONF).everything
    assert any(one.code is Code.INTERFACE_MISSING for one in parsed.complaints)


def test_every_reader_is_known_to_both_forms() -> None:
    readers = {type(reader_of(row)) for row in ROWS if row.shape in (Shape.LINE, Shape.LINES)}
    assert readers == set(_SCHEMAS)
    spoken = {type(reader_of(row)) for row in ROWS if row.target}
    assert {kind.__name__ for kind in spoken - set(SAYS)} == {"Script", "DeletedScript", "Anything"} - {"Anything"}
    assert set(TABLES) <= readers


def test_schema() -> None:
    """What is written is what the schema describes, and it knows the ranges."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    for case in CASES:
        everything = load(path_of(case), config_id=CONFIG_ID).everything
        for full in (False, True):
            document = tomllib.loads(to_native(everything, full=full))
            assert [error.message for error in validator.iter_errors(document)] == [], case
    assert not list(
        validator.iter_errors(
            tomllib.loads(
                TOML.replace("startup_script = true\n", "").replace("[garp", "[[garp").replace("group]", "group]]")
            )
        )
    )
    for wrong in (
        "priority = 0",
        "priority = 'x'",
        "prioriti = 1",
        "advert_int = 0.001",
        "state = 'master'",
        "notify = 1",
    ):
        assert list(validator.iter_errors(tomllib.loads(V1 + wrong))), wrong
    assert list(validator.iter_errors({"vrrp_instance": [{}]}))
