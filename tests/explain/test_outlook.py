"""What is foretold of one virtual router: timers by hand, checks and what their failure does, where things go."""

from __future__ import annotations

import pytest

from pyvrrp.explain.effective import effective
from pyvrrp.explain.outlook import Outlook, headline
from tests.explain.nodes import CHECK, SECURE, instance, outlook, read


@pytest.mark.parametrize(
    ("version", "interval", "priority", "skew", "down"),
    [
        (2, "1", 150, "(256 - 150) x 1000 ms / 256 = 414.062 ms", "3 x 1000 ms + 414.062 ms = 3414.062 ms"),
        (2, "2", 100, "(256 - 100) x 1000 ms / 256 = 609.375 ms", "3 x 2000 ms + 609.375 ms = 6609.375 ms"),
        (3, "2", 100, "(256 - 100) x 2000 ms / 256 = 1218.75 ms", "3 x 2000 ms + 1218.75 ms = 7218.75 ms"),
        (3, "0.01", 254, "(256 - 254) x 10 ms / 256 = 0.078 ms", "3 x 10 ms + 0.078 ms = 30.078 ms"),
    ],
)
def test_timers(version: int, interval: str, priority: int, skew: str, down: str) -> None:
    """TM-01, TM-02 (version 3), TM-03 (version 2: the skew does not grow with the interval), D14."""
    timers = outlook(SECURE + instance(f" version {version}\n advert_int {interval}", priority=priority)).timers
    assert (timers.skew_formula, timers.down_formula) == (skew, down)


def checked(weight: str, priority: int = 100) -> Outlook:
    return outlook(SECURE + CHECK + instance(f" track_script {{\n  chk weight {weight}\n }}", priority=priority))


@pytest.mark.parametrize(
    ("weight", "priority", "normal", "text"),
    [
        ("0", 100, 100, "FAULT: it gives the addresses up and takes no part"),
        ("20", 100, 120, "priority 120 -> 100: a router with 101-119 that may preempt takes over"),
        ("-20", 100, 100, "priority 100 -> 80: a router with 81-99 that may preempt takes over"),
        ("-2", 100, 100, "priority 100 -> 98: a router with 99 that may preempt takes over"),
        ("-1", 100, 100, "priority 100 -> 99: no priority lies between, no other router takes over"),
        ("20 reverse", 100, 100, "priority 100 -> 80: a router with 81-99 that may preempt takes over"),
        ("-20 reverse", 100, 120, "priority 120 -> 100: a router with 101-119 that may preempt takes over"),
        ("0 reverse", 100, 100, "FAULT: it gives the addresses up and takes no part"),
        ("10", 254, 254, "nothing: the priority stays 254"),
    ],
)
def test_what_a_check_does(weight: str, priority: int, normal: int, text: str) -> None:
    """keepalived 3.6: the table of weights, within 1-254."""
    found = checked(weight, priority)
    (own, check) = found.effects
    assert own.watch.wrong == "interface eth0 is down"
    assert (found.priority, check.text) == (normal, text)


def test_how_soon_a_check_notices() -> None:
    """2 failures 2 s apart, the second up to 2 s long: 6 s."""
    (_, check) = checked("0").effects
    assert check.watch.about == "/bin/true; every 2 s, noticed within 6 s"
    assert check.watch.wrong == "check chk fails"


def test_what_is_checked_only_as_master_is_confirmed_before_it_counts() -> None:
    """A failure 2 s after the last look, up to 2 s long, and half a second until it is believed."""
    script = "vrrp_script t {\n tcp_check 80 192.0.2.1\n interval 2\n only_as_master\n}\n"
    (_, check) = outlook(SECURE + script + instance(" track_script {\n  t\n }\n")).effects
    assert check.watch.about == "TCP port 80 of 192.0.2.1; every 2 s while MASTER, noticed within 4.5 s"


def test_everything_that_can_be_tracked() -> None:
    text = (
        'track_file f {\n file "/f"\n weight 2\n}\ntrack_file g {\n file "/g"\n weight 0\n}\n'
        "vrrp_track_process p {\n process nginx\n quorum_max 3\n}\n"
        "bfd_instance b {\n neighbor_ip 10.0.0.9\n}\n"
        "vrrp_script t {\n tcp_check 80\n rise 2\n}\n"
    )
    tracks = "".join(
        f" track_{kind} {{\n{names}\n }}\n"
        for kind, names in (("file", "f\ng"), ("process", "p"), ("bfd", "b"), ("script", "t"), ("interface", "eth1"))
    )
    told = [f"{each.watch.wrong}: {each.watch.about}" for each in outlook(SECURE + text + instance(tracks)).effects]
    assert told == [
        "interface eth0 is down: noticed at once",
        (
            "check t fails: TCP port 80 of the own address; every 1 s, noticed within 2 s,"
            " well again after 2 successes in a row"
        ),
        "interface eth1 is down: noticed at once",
        "file f says other than 0: the number in /f",
        "file g says other than 0: the number in /g",
        "process p is gone: at least 1, at most 3 of nginx",
        "BFD session b is down: to 10.0.0.9; noticed after 50 ms or more, as both ends agree",
    ]


def test_whom_it_speaks_to() -> None:
    found = outlook(SECURE + instance())
    assert found.reach == "multicast to 224.0.0.18, TTL 255"
    assert found.source == "the primary address of eth0, whatever it is then"
    unicast = " unicast_src_ip 10.0.0.1\n unicast_peer {\n  10.0.0.2\n  10.0.0.3\n }\n check_unicast_src"
    found = outlook(SECURE + instance(unicast))
    assert found.reach == "unicast to 10.0.0.2 and 10.0.0.3, TTL 255, and takes nothing from others"
    assert found.source == "10.0.0.1 (unicast_src_ip)"
    found = outlook(SECURE + instance(vips="fe80::51/64"))
    assert (found.reach, found.source[:24]) == ("multicast to ff02::12, TTL 255", "the link-local address o")
    assert headline(found) == "VRID 51, IPv6, VRRPv3, every 1 s"


def test_how_it_begins() -> None:
    """keepalived 3.2: BACKUP whatever state says, an owner apart."""
    assert outlook(SECURE + instance(" state MASTER")).start.startswith("as BACKUP; MASTER after 3609.375 ms")
    assert outlook(SECURE + instance(priority=255)).start.startswith("MASTER at once")
    assert outlook(SECURE + instance(" state BACKUP", priority=255)).start.startswith("as BACKUP")
    assert checked("0").start.endswith("it waits for the first verdict of chk")


@pytest.mark.parametrize(
    ("lines", "priority", "words"),
    [
        ("", 100, "takes over from a MASTER of lower priority when"),
        (" nopreempt", 100, "leaves a MASTER of lower priority alone"),
        (" preempt_delay 2.5", 100, "2.5 s after it is first heard"),
        ("", 255, "always takes over"),
    ],
)
def test_preemption(lines: str, priority: int, words: str) -> None:
    assert words in outlook(SECURE + instance(lines, priority=priority)).preemption


def test_announcements_addresses_and_programs() -> None:
    lines = (
        " garp_master_refresh 60\n garp_master_delay 0\n garp_master_repeat 1\n notify_master /bin/m\n notify /bin/n\n"
        ' notify_master_rx_lower_pri "/bin/low x"\n virtual_ipaddress_excluded {\n  2001:db8::1/64 dev eth1\n }'
    )
    found = outlook(SECURE + instance(lines))
    assert found.announcements == (
        "1 gratuitous ARP for each address on becoming MASTER, 1 every 60 s, 5 when a lower priority is heard"
    )
    assert (found.addresses, found.excluded) == (("192.0.2.100/24 on eth0",), ("2001:db8::1/64 dev eth1",))
    told = dict(found.notify)
    assert (told["MASTER"], told["all states"]) == ("/bin/m", "/bin/n")
    assert told["a lower priority is heard"].startswith("/bin/low x")


def test_every_value_has_an_origin() -> None:
    text = "global_defs {\n vrrp_garp_master_repeat 2\n}\n" + instance(
        " state MASTER\n nopreempt\n garp_master_delay 1"
    )
    (block,) = [each for each in effective(read(text).everything) if each.block == "vrrp_instance"]
    told = {each.keyword: (each.text, str(each.origin)) for each in block.settings}
    assert told["priority"] == ("100", "a.conf:7")
    assert told["garp_master_repeat"] == ("2", "global_defs, a.conf:2")
    assert told["advert_int"] == ("1 s", "default")
    assert told["preempt"] == ("yes", "derived: state MASTER cancels what was said, a.conf:12")
    assert block.setting("garp.master_delay_us").as_json() == {
        "field": "garp.master_delay_us",
        "keyword": "garp_master_delay",
        "value": 1_000_000,
        "origin": {"kind": "said", "place": {"file": "a.conf", "line": 13, "column": 2}, "why": ""},
    }
