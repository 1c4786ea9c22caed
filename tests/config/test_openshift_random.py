"""
2,000 random environments, sensible and absurd, against the rules of the old image coded a second time.

Nothing of the package is used to say what must come out: each value stands in a table beside what it means, the rest is
straight code. In a table's row come the text, then what the old image makes of it, then what it is mended to.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from pyvrrp.config.complaints import Severity
from pyvrrp.config.model import VrrpInstance
from pyvrrp.config.openshift import NodeFacts, PodConfiguration, read_environment

BATCHES = 20
IN_A_BATCH = 100
SAME = object()

# Item of the list; what the old image writes; what is meant.
ITEMS: list[tuple[str, list[str], Any]] = [
    ("10.1.0.1", ["10.1.0.1"], SAME),
    (" 10.1.0.2 ", ["10.1.0.2"], SAME),
    ("10.1.0.3-5", ["10.1.0.3", "10.1.0.4", "10.1.0.5"], SAME),
    ("10.1.0.6-10.1.0.7", ["10.1.0.6", "10.1.0.7"], SAME),
    ("10.1.0.3-7", [f"10.1.0.{last}" for last in (3, 4, 5, 6, 7)], SAME),
    ("10.1.1.1-40", [f"10.1.1.{last}" for last in range(1, 41)], SAME),
    ("10.1.2.1/24", ["10.1.2.124"], ["10.1.2.1"]),
    ("10.1.2.5/24", [], ["10.1.2.5"]),
    ("10.1.3.1 10.1.3.2", [], ["10.1.3.1", "10.1.3.2"]),
    ("10.1.3.8-9 10.1.3.20", [f"10.1.3.{last}" for last in range(8, 21)], ["10.1.3.8", "10.1.3.9", "10.1.3.20"]),
    ("10.1.4.250-258", [f"10.1.4.{last}" for last in range(250, 259)], [f"10.1.4.{last}" for last in range(250, 256)]),
    ("10.1.4.9-3", [], []),
    ("10.1.4.250-10.1.5.3", [], []),
    ("10.1.5.08-10", ["10.1.5.8", "10.1.5.9", "10.1.5.10"], SAME),
    ("010.001.001.001", ["010.001.001.001"], []),
    ("10.1.6.1-2-9", ["10.1.6.1", "10.1.6.2"], SAME),
    ("10.1.6.7-", ["10.1.6.7"], SAME),
    ("10.1.7.1;2", ["10.1.7.12"], ["10.1.7.1"]),
    ("300.1.1.1", [], []),
    ("vip.example.com", [], []),
    ("", [], []),
    ("FD00::1", ["FD00::1"], SAME),
    ("fd00::2:9-11", [f"fd00::2:{n:X}" for n in range(9, 18)], SAME),
    ("FD00::3:A-C", ["FD00::3:A", "FD00::3:B", "FD00::3:C"], SAME),
    ("fd00::4:a-c", ["fd00::4:0"], ["fd00::4:a", "fd00::4:b", "fd00::4:c"]),
    ("fd00::4:1a-1b", [], ["fd00::4:1a", "fd00::4:1b"]),
    ("FD00::5:1-FD00::5:2", ["FD00::5:1"], ["fd00::5:1", "fd00::5:2"]),
    ("fe80::6%eth0", ["fe80::6e0"], ["fe80::6"]),
    ("fd00:7::", [], ["fd00:7::"]),
    ("::", [], []),
]
OFFSETS = [
    ("", 10),
    ("0", 0),
    ("9", 9),
    ("010", 8),
    ("word", 0),
    ("-3", -3),
    ("250", 250),
    ("0x20", 32),
    ("2*(3+4)", 14),
]
GROUPS = [("", 0), ("1", 1), ("2", 2), ("3", 3), ("10", 10), ("0", 0), ("-4", 0), ("many", 0), ("007", 7)]
REPLICAS = [("", 1), ("1", 1), ("2", 2), ("3", 3), ("5", 5), ("0", 1), ("-2", 1), ("x", 1)]
EXCLUDED = [("", []), ("11", [11]), ("1 2 12", [1, 2, 12]), ("11,12", []), ("13  14", [13, 14]), ("x 15", [15])]
INTERVALS = [("", 2), ("5", 5), ("0", 1), ("4294", 4294), ("4295", 1), ("1.5", 1), ("soon", 1)]
# Text; it is nopreempt to the formula; what the instances do: preempt, delay in seconds.
PREEMPTIONS = [
    ("", False, True, 300),
    ("preempt_delay 120", False, True, 120),
    ("nopreempt", True, False, 0),
    ("preempt_nodelay 300", False, True, 0),
    ("preempt", False, True, 0),
    ("gibberish", False, True, 0),
]
# Text; in the old image's file a port, "true" or a command; mended the same, None for no check.
PORTS: list[tuple[str, Any, Any]] = [
    ("", 80, 80),
    ("30060", 30060, 30060),
    ("0", "true", "true"),
    ("tcp/443", 443, 443),
    ("none", 80, 80),
    ("00", "</dev/tcp/{}/00", "true"),
    ("70000", "</dev/tcp/{}/70000", None),
    ("80,443", "</dev/tcp/{}/80443", None),
]
SCRIPTS: list[tuple[str, Any]] = [
    ("", None),
    ("/etc/keepalive/check.sh", ("/etc/keepalive/check.sh",)),
    ("/etc/keepalive/check.sh -v 'a b'", ("/etc/keepalive/check.sh", "-v", "a b")),
    ("/missing.sh x", "missing"),
]
NAMES = [("", "OpenShift_IPFailover"), ("ipfailover", "ipfailover"), ("my-svc.v2", "my_svcv2"), ("a", "a")]
PEERS = [
    ("", ""),
    ("10.0.0.2, 10.0.0.3", "10.0.0.2 10.0.0.3"),
    ("10.0.0.2,{own}", "10.0.0.2"),
    ("fd00::99", "fd00::99"),
]


@dataclass
class Case:
    """A random environment, and what each of its values means."""

    exact: bool
    octet: int | None
    env: dict[str, str] = field(default_factory=dict)
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    means: dict[str, Any] = field(default_factory=dict)


def pick(rng: random.Random, case: Case, key: str, name: str, table: list[Any]) -> None:
    text, *meaning = rng.choice(table)
    case.means[key] = meaning[0] if len(meaning) == 1 else meaning
    if text or rng.random() < 0.3:
        case.env[name] = text


def make(rng: random.Random) -> Case:
    case = Case(
        exact=rng.random() < 0.4,
        octet=rng.choice([None, 0, 1, 35, 63, 64, 127, 128, 129, 200, 255, rng.randrange(256)]),
    )
    items = [rng.choice(ITEMS) for _ in range(rng.choice([0, 1, 1, 2, 3, 5, 8]))]
    text = ""
    for number, (item, old, new) in enumerate(items):
        text += (rng.choice([",", ",", ",", "\n"]) if number else "") + item
        case.old += old
        case.new += old if new is SAME else new
    case.env["OPENSHIFT_HA_VIRTUAL_IPS"] = text
    pick(rng, case, "offset", "OPENSHIFT_HA_VRRP_ID_OFFSET", OFFSETS)
    pick(rng, case, "groups", "OPENSHIFT_HA_VIP_GROUPS", GROUPS)
    pick(rng, case, "replicas", "OPENSHIFT_HA_REPLICA_COUNT", REPLICAS)
    pick(rng, case, "excluded", "HA_EXCLUDED_VRRP_IDS", EXCLUDED)
    pick(rng, case, "interval", "OPENSHIFT_HA_CHECK_INTERVAL", INTERVALS)
    pick(rng, case, "preemption", "OPENSHIFT_HA_PREEMPTION", PREEMPTIONS)
    pick(rng, case, "port", "OPENSHIFT_HA_MONITOR_PORT", PORTS)
    pick(rng, case, "check", "OPENSHIFT_HA_CHECK_SCRIPT", SCRIPTS)
    pick(rng, case, "notify", "OPENSHIFT_HA_NOTIFY_SCRIPT", SCRIPTS)
    pick(rng, case, "name", "OPENSHIFT_HA_CONFIG_NAME", NAMES)
    pick(rng, case, "peers", "OPENSHIFT_HA_UNICAST_PEERS", PEERS)
    own = "10.0.0.2" if case.octet is None else f"10.0.0.{case.octet}"
    if "OPENSHIFT_HA_UNICAST_PEERS" in case.env:
        case.env["OPENSHIFT_HA_UNICAST_PEERS"] = case.env["OPENSHIFT_HA_UNICAST_PEERS"].replace("{own}", own)
    if rng.random() < 0.2:
        case.env["OPENSHIFT_HA_USE_UNICAST"] = rng.choice(["true", "false", "?"])
    if rng.random() < 0.5:
        case.env["OPENSHIFT_HA_NETWORK_INTERFACE"] = rng.choice(["br-ex", "absent0 br-ex"])
    if case.exact:
        case.env["PYVRRP_COMPAT"] = "exact"
    return case


def chunks(count: int, wanted: int) -> list[list[int]]:
    """Indexes of each group: N div G, the first N mod G one more."""
    if wanted < 1 or wanted > count:
        wanted = count
    found, at = [], 0
    for number in range(wanted):
        size = count // wanted + (number < count % wanted)
        found.append(list(range(at, at + size)))
        at += size
    return found


def vrids(count: int, means: dict[str, Any]) -> list[int]:
    found: list[int] = []
    candidate = means["offset"]
    while len(found) < count:
        candidate += 1
        if candidate not in means["excluded"]:
            found.append(candidate)
    return found


def usable(text: str) -> Any:
    try:
        return ip_address(text)
    except ValueError:
        return None


def mended_groups(case: Case) -> list[list[Any]]:
    """Who was served stays; the others fill what is free, then new groups, then the smallest."""
    wanted = case.means["groups"]
    new = list(dict.fromkeys(ip_address(text) for text in case.new))
    layout = chunks(len(case.old), wanted)
    ids = vrids(len(layout), case.means)
    seats: dict[int, Any] = {}
    for good in (True, False):  # first those whose group has an id
        for indexes, vrid in zip(layout, ids, strict=True):
            for index in indexes:
                address = usable(case.old[index])
                if (1 <= vrid <= 255) is good and address in new and address not in seats.values():
                    seats[index] = address
    valid = [index for indexes, vrid in zip(layout, ids, strict=True) if 1 <= vrid <= 255 for index in indexes]
    if not any(index in seats for index in valid):
        return [[new[index] for index in indexes] for indexes in chunks(len(new), wanted)]
    free = [index for index in valid if index not in seats]
    strangers = []
    for address in new:
        seat = next((index for index, who in seats.items() if who == address), None)
        if seat in valid:
            continue
        if free:
            if seat is not None:
                del seats[seat]
            seats[free.pop(0)] = address
        elif seat is None:
            strangers.append(address)
    groups = [[seats[index] for index in indexes if index in seats] for indexes in layout]
    for address in strangers:
        if wanted < 1 or len(groups) < wanted:
            groups.append([address])
        else:
            groups[[len(group) for group in groups].index(min(len(group) for group in groups))].append(address)
    return groups


def election(number: int, case: Case) -> tuple[int, bool]:
    """Priority, and whether `state MASTER` is set."""
    slot = 0 if case.octet is None else case.octet % 128
    step = slot % case.means["replicas"] + 1
    if number % step:
        return slot % 64 + number % 32, False  # the draw of the tests
    if case.means["preemption"][0]:
        return 255 - slot, False
    return (255 - slot if number // step % 2 == 1 else slot + 1), True


def families(case: Case, members: list[Any]) -> list[tuple[str, int, list[Any]]]:
    """Name's end, family and addresses of each instance of a group."""
    if not case.exact:
        first = members[0].version
        peers = case.means["peers"].split()
        if peers and ip_address(peers[0]).version in [address.version for address in members]:
            first = ip_address(peers[0]).version
        other = 10 - first
        rest = [address for address in members if address.version == other]
        same = [address for address in members if address.version == first]
        return [("", first, same)] + ([(f"_IPv{other}", other, rest)] if rest else [])
    peers = case.means["peers"].split()
    known = [address for address in map(usable, members) if address is not None]
    family = ip_address(peers[0]).version if peers else known[0].version if known else 4
    kept: list[Any] = []
    for address in known:
        if address.version == family and address not in kept:
            kept.append(address)
    return [("", family, kept)]


def expected(case: Case) -> list[dict[str, Any]]:
    """The instances that must run, as plain values."""
    means = case.means
    old = chunks(len(case.old), means["groups"])
    groups: list[list[Any]] = (
        [[case.old[index] for index in part] for part in old] if case.exact else mended_groups(case)
    )
    found = []
    for number, (members, vrid) in enumerate(zip(groups, vrids(len(groups), means), strict=True), 1):
        if not members or not 1 <= vrid <= 255:
            continue
        priority, master = election(number, case)
        for end, family, addresses in families(case, members):
            if not addresses:
                continue  # see compare
            owner = priority == 255
            _, preempt, delay = means["preemption"]
            peers = [peer for peer in means["peers"].split() if ip_address(peer).version == family]
            found.append(
                {
                    "name": f"{means['name']}_VIP_{number}{end}",
                    "vrid": vrid,
                    "interface": "br-ex",
                    "version": 2 if family == 4 else 3,
                    "state": "MASTER" if master or owner else "BACKUP",
                    "priority": priority or 100,
                    "preempt": preempt or owner,
                    "delay": 0 if master or owner else delay,
                    "addresses": sorted(addresses, key=lambda one: (one.version, int(one)))
                    if case.exact
                    else addresses,
                    "peers": peers,
                    "password": password(case) if family == 4 else None,
                }
            )
    return found


def password(case: Case) -> bytes:
    return (case.env.get("OPENSHIFT_HA_CONFIG_NAME") or "OpenShift-IPFailover")[:8].encode()


def actual(case: Case, instance: VrrpInstance, own: str) -> dict[str, Any]:
    lines = (*instance.virtual_addresses, *instance.excluded_addresses)
    addresses = [line.address.ip for line in lines]
    assert all(line.dev == "br-ex" for line in lines)
    assert all(line.address.network.num_addresses == 1 for line in lines)
    peers = [str(peer) for peer in instance.unicast_peers]
    if case.exact and own in peers:
        peers.remove(own)  # keepalived keeps it, and does not hear itself
    return {
        "name": instance.name,
        "vrid": instance.vrid,
        "interface": instance.interface,
        "version": instance.version,
        "state": instance.state,
        "priority": instance.priority,
        "preempt": instance.preempt,
        "delay": instance.preempt_delay_us // 1_000_000,
        "addresses": sorted(addresses, key=lambda one: (one.version, int(one))) if case.exact else addresses,
        "peers": peers,
        "password": instance.authentication.password if instance.authentication else None,
    }


def expected_script(case: Case) -> Any:
    """What is checked: a port, an argument list, or None."""
    check = case.means["check"]
    if check is not None:
        return None if check == "missing" else check
    where = "127.0.0.1" if case.octet is None else f"10.0.0.{case.octet}"
    port = case.means["port"][0 if case.exact else 1]
    if port == "true":
        return ("true",)
    if isinstance(port, str):
        return ("/bin/bash", "-c", port.format(where))
    return port if port is None else (where, port)


def compare(case: Case, pod: PodConfiguration) -> None:
    own = f"10.0.0.{case.octet}"
    instances = pod.configuration.instances
    # keepalived runs an instance of which it drops every address; whether ours does is the parser's affair.
    serving = [instance for instance in instances if instance.virtual_addresses]
    assert [actual(case, instance, own) for instance in serving] == expected(case), case
    wanted = expected_script(case)
    notify = case.means["notify"]
    for instance in instances:
        assert (instance.notify.any.argv if instance.notify.any else None) == (None if notify == "missing" else notify)
        assert len(instance.track_scripts) == (wanted is not None)
        assert instance.advertisement_interval_us == 1_000_000
        assert instance.source is None
    assert len(pod.configuration.scripts) == (wanted is not None and bool(instances))
    for script in pod.configuration.scripts:
        found = script.command.argv if script.command else script.tcp and (str(script.tcp.address), script.tcp.port)
        assert found == wanted
        assert script.interval_us == case.means["interval"] * 1_000_000
        assert (script.weight, script.rise, script.fall, script.timeout_us) == (0, 1, 1, None)
    served = [instance for group in pod.groups for instance in group.instances]
    assert served == [instance.name for instance in instances]


def check_complaints(case: Case, pod: PodConfiguration) -> None:
    """Nothing is mended without a word, nothing said without a reason."""
    about = {one.place.file for one in pod.complaints if one.severity in (Severity.WARNING, Severity.ERROR)}
    as_listed = [usable(text) for text in case.old] == [ip_address(text) for text in case.new]
    if not case.exact and not as_listed:
        assert "OPENSHIFT_HA_VIRTUAL_IPS" in about, case
    assert not [one for one in pod.complaints if one.fatal], case


@pytest.mark.parametrize("seed", range(BATCHES))
def test_random_environments(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(IN_A_BATCH):
        case = make(rng)
        link_local: tuple[IPv4Address | IPv6Address, ...] = (IPv6Address("fe80::1"),)
        own = () if case.octet is None else (IPv4Address(f"10.0.0.{case.octet}"),)
        facts = NodeFacts("n", {"br-ex": (*link_local, *own)}, "br-ex", frozenset({"/missing.sh"}))
        pod = read_environment(case.env, facts, lambda number: number % 32)
        compare(case, pod)
        check_complaints(case, pod)
