"""The list of virtual addresses: what the old image makes of it, and what is meant."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from pyvrrp.config.openshift import NodeFacts, PodConfiguration, read_environment
from pyvrrp.config.openshift.groups import arrange, router_ids, split
from pyvrrp.config.openshift.legacy import COUNT_MAX
from pyvrrp.protocol.constants import IPAddress

VIPS = "OPENSHIFT_HA_VIRTUAL_IPS"
FACTS = NodeFacts("node", {"ens3": (ip_address("192.0.2.35"),)}, "ens3")


def read(value: str, mode: str = "", **more: str) -> PodConfiguration:
    return read_environment({VIPS: value, "PYVRRP_COMPAT": mode, **more}, FACTS, lambda _: 0)


def listed(pod: PodConfiguration) -> str:
    return " ".join(address for group in pod.groups for address in group.addresses)


def remarks(pod: PodConfiguration) -> str:
    """W for a warning, E for an error."""
    return "".join(one.severity[0].upper() for one in pod.complaints if one.place.file == VIPS)


def test_the_nodes_own_address_is_no_virtual_one() -> None:
    """It is left alone, loudly; ids and priorities of the others stay as the other nodes have them."""
    pod = read("192.0.2.35,192.0.2.36", "", OPENSHIFT_HA_VRRP_ID_OFFSET="0")
    assert [(group.number, group.vrid, group.addresses) for group in pod.groups] == [(2, 2, ("192.0.2.36",))]
    assert [one.message for one in pod.complaints if one.dropped] == [
        "192.0.2.35 is this node's own address and cannot be a virtual one: it would go with a failover"
    ]
    exact = read("192.0.2.35", "exact")
    assert listed(exact) == "192.0.2.35"


LONG = " ".join(f"10.1.1.{number}" for number in range(100, 201))
# What is given; what the old image makes of it; what we do ("=" for the same) in the order of the groups; remarks.
LISTS = [
    ("1.1.1.1-2", "1.1.1.1 1.1.1.2", "=", ""),
    ("1.2.3.4-6,1.2.3.9", "1.2.3.4 1.2.3.5 1.2.3.6 1.2.3.9", "=", ""),
    (
        "1.1.1.1, 2.2.2.2,3.3.3.3-4  4.4.4.4",
        "1.1.1.1 2.2.2.2 3.3.3.3 3.3.3.4",
        "1.1.1.1 2.2.2.2 3.3.3.3 3.3.3.4 4.4.4.4",
        "W",
    ),
    (
        "10.1.1.100-102 10.1.1.200-200 10.42.42.42",
        LONG,
        "10.1.1.100 10.1.1.101 10.1.1.102 10.42.42.42 10.1.1.200",
        "W",
    ),
    ("10.0.0.5/24", "", "10.0.0.5", "W"),
    ("10.0.0.5/2", "10.0.0.52", "10.0.0.5", "W"),
    ("10.0.0.1/24", "10.0.0.124", "10.0.0.1", "W"),
    ("1.2.3.4;5", "1.2.3.45", "1.2.3.4", "EW"),
    ("1.2.3.4 ; 1.2.3.5", "", "1.2.3.4 1.2.3.5", "W"),
    ("1.1.1.1\uff0c1.1.1.2", "", "1.1.1.1 1.1.1.2", "W"),
    ("10.1.1.5-10.1.1.8", "10.1.1.5 10.1.1.6 10.1.1.7 10.1.1.8", "=", ""),
    ("10.1.1.5-10.1.2.6", "10.1.1.5 10.1.1.6", "=", "W"),
    ("10.1.1.5 - 6", "10.1.1.5 10.1.1.6", "=", ""),
    ("10.1.1.250-10.1.2.5", "", "", "E"),
    ("10.1.1.5-3", "", "", "E"),
    ("256.1.1.1", "", "", "E"),
    ("1.2.3", "", "", "E"),
    ("-10.1.1.1", "", "", "E"),
    ("10.1.1.1-a", "", "", "E"),
    ("10.1.1.254-257", "10.1.1.254 10.1.1.255 10.1.1.256 10.1.1.257", "10.1.1.254 10.1.1.255", "W"),
    ("10.1.1.08-11", "10.1.1.8 10.1.1.9 10.1.1.10 10.1.1.11", "=", "W"),
    ("010.001.001.001", "010.001.001.001", "", "E"),
    ("10.1.1.1-2-9", "10.1.1.1 10.1.1.2", "=", "W"),
    ("10.1.1.1-", "10.1.1.1", "=", "W"),
    ("10.1.1.1,,10.1.1.2,", "10.1.1.1 10.1.1.2", "=", ""),
    ("1.1.1.1,1.1.1.1", "1.1.1.1 1.1.1.1", "1.1.1.1", "W"),
    ("1.1.1.1 1.1.1.1", "", "1.1.1.1", "WW"),
    ("10.1.1.1\n10.1.1.2", "10.1.1.1 10.1.1.2", "=", ""),
    ("10.0.0.1-3/2", " ".join(f"10.0.0.{last}" for last in range(1, 33)), "10.0.0.1 10.0.0.2 10.0.0.3", "W"),
    ("10.0.0.1/33", "10.0.0.133", "", "E"),
    ("10.1.2.1/24 10.1.2.2/24", "", "10.1.2.1 10.1.2.2", "W"),
    ("10.0.0.1/x", "10.0.0.1", "", "E"),
    ("0.0.0.0", "0.0.0.0", "", "E"),
    ('["1.1.1.1", "1.1.1.2"]', "1.1.1.1 1.1.1.2", "=", "WW"),
    ('"",1.1.1.1', "1.1.1.1", "=", ""),
    ("10.0.0.1-x", "10.0.0.1", "", "E"),
    (
        "2001:DB8:1ABC::1F39-1F3A",
        "2001:DB8:1ABC::1F39 2001:DB8:1ABC::1F3A",
        "2001:db8:1abc::1f39 2001:db8:1abc::1f3a",
        "",
    ),
    (
        "2001:DB8::FFFE-10001",
        "2001:DB8::FFFE 2001:DB8::FFFF 2001:DB8::10000 2001:DB8::10001",
        "2001:db8::fffe 2001:db8::ffff",
        "W",
    ),
    (
        "2001:db8::9-12",
        " ".join(f"2001:db8::{last}" for last in [9, *"ABCDEF", 10, 11, 12]),
        " ".join(f"2001:db8::{last}" for last in [9, *"abcdef", 10, 11, 12]),
        "",
    ),
    ("2001:db8::8-b", "", "2001:db8::8 2001:db8::9 2001:db8::a 2001:db8::b", "W"),
    ("2001:db8::a-c", "2001:db8::0", "2001:db8::a 2001:db8::b 2001:db8::c", "W"),
    ("2001:db8:1abc::1f39-1f3a", "", "2001:db8:1abc::1f39 2001:db8:1abc::1f3a", "W"),
    ("2001:DB8::1-2001:DB8::3", "2001:DB8::1", "2001:db8::1 2001:db8::2 2001:db8::3", "W"),
    ("2001:DB8::1-2001:DB8::1:3", "2001:DB8::1", "", "E"),
    ("2001:DB8::1-3.4", "", "", "E"),
    ("2001:DB8::3-1", "", "", "E"),
    ("2001:DB8::-1", "", "", "E"),
    ("2001:DB8::0-FFFF", "*", "", "E"),
    ("fe80::1%eth0", "fe80::1e0", "fe80::1", "W"),
    ("::1", "::1", "=", ""),
    ("1:2:3:4:5:6::8", "1:2:3:4:5:6::8", "1:2:3:4:5:6:0:8", ""),
    ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", "=", ""),
    ("1:2:3:4:5:6:7::8", "", "", "E"),
    ("12345::1", "", "", "E"),
    ("::", "", "", "E"),
    ("fe80::", "", "fe80::", "W"),
    ("::ffff:10.1.1.1", "", "", "E"),
    ("2001::DB8::1", "", "", "E"),
    ("host.example.com", "", "", "E"),
]


@pytest.mark.parametrize(("value", "old", "ours", "said"), LISTS)
def test_list(value: str, old: str, ours: str, said: str) -> None:
    exact = read(value, "exact")
    if old == "*":
        assert len(exact.groups) == COUNT_MAX
    else:
        assert listed(exact) == old
        assert [group.vrid for group in exact.groups] == list(range(11, 11 + len(old.split())))
    mended = read(value)
    assert listed(mended) == (old if ours == "=" else ours)
    assert remarks(mended) == said
    served = [str(line.address.ip) for one in mended.configuration.instances for line in one.virtual_addresses]
    assert served == listed(mended).split()


def test_place_in_the_list() -> None:
    """A complaint points at its item: line and column."""
    pod = read("10.0.0.1, 10.0.0.2,\n  10.0.0.3, bad,10.0.0.4/24")
    assert [str(one) for one in pod.complaints if one.place.file == VIPS] == [
        f"{VIPS}:2:13: 'bad' is no address; it is not served",
        (
            f"{VIPS}:2:17: '10.0.0.4/24' is read as 10.0.0.4; the old image made nothing of it"
            " (a virtual address has no prefix length here)"
        ),
    ]


def test_too_many_addresses() -> None:
    """The list has a bound, and what lies beyond it is said."""
    value = ",".join(f"10.0.{number}.0-255" for number in range(17))
    mended, exact = read(value, OPENSHIFT_HA_VIP_GROUPS="255"), read(value, "exact", OPENSHIFT_HA_VIP_GROUPS="255")
    for pod in (mended, exact):
        assert sum(len(group.addresses) for group in pod.groups) == COUNT_MAX
        assert any("more than 4096 addresses" in one.message for one in pod.complaints)
    endless = read("10.0.0.1-99999999999999999999", "exact", OPENSHIFT_HA_VIP_GROUPS="255")
    assert sum(len(group.addresses) for group in endless.groups) == COUNT_MAX
    assert remarks(read("10.0.0.1-" + "9" * 5000)) == "E"


def test_served_addresses_keep_their_id() -> None:
    """An address that an old pod serves has the same id here, whatever is mended around it."""
    pod = read("10.0.0.5/24,10.0.0.6,10.0.0.6,10.0.0.7,10.1.1.255-256,10.0.0.8,2001:db8::a-b")
    assert {group.addresses[0]: group.vrid for group in pod.groups} == {
        "10.0.0.6": 11,  # the first that the old image finds
        "10.0.0.5": 12,  # of the second 10.0.0.6
        "10.0.0.7": 13,
        "10.1.1.255": 14,
        "2001:db8::a": 15,  # of 10.1.1.256
        "10.0.0.8": 16,
        "2001:db8::b": 17,  # of 2001:db8::0
    }


def addresses(words: str) -> list[IPAddress | None]:
    return [None if word == "-" else ip_address(f"10.0.0.{word}") for word in words.split()]


@pytest.mark.parametrize(
    ("old", "new", "wanted", "offset", "expected"),
    [
        ("1 2 3", "1 2 3", 0, 0, ["1", "2", "3"]),
        ("1 2 3", "1 2 3", 2, 0, ["1 2", "3"]),
        ("", "1 2 3", 2, 0, ["1 2", "3"]),
        ("", "", 2, 0, []),
        ("9", "1 2 3", 2, 0, ["1 2", "3"]),  # nothing stays, so it is split anew
        ("1 - 2", "1 2 3", 0, 0, ["1", "3", "2"]),
        ("1 - 2", "1 2", 0, 0, ["1", "", "2"]),
        ("1 1 2", "1 2", 2, 0, ["1", "2"]),
        ("1 2 3 4", "1 2 3 4 5", 2, 0, ["1 2 5", "3 4"]),
        ("1", "1 2 3 4", 2, 0, ["1 3", "2 4"]),
        ("1", "1 2 3", 0, 0, ["1", "2", "3"]),
        ("1 2 3", "1 2 3", 0, 254, ["1", "2", "3"]),  # the last two cannot be served, and stay where they are
        ("1 - 9 2", "1 2", 0, 252, ["1", "2", "", ""]),  # the last could not, but there is a place
        ("1 1 2", "1 2", 0, -1, ["", "1", "2"]),  # group 1 has no id, its address has a second place
        ("1 2", "1 2", 0, 300, ["1", "2"]),
        ("1 2", "1 2 3", 0, -1, ["1", "2", "3"]),
    ],
)
def test_arrange(old: str, new: str, wanted: int, offset: int, expected: Sequence[str]) -> None:
    given = [address for address in addresses(new) if address is not None]
    result = arrange(addresses(old), given, wanted, router_ids(offset, ()))
    assert [" ".join(str(address).rpartition(".")[2] for address in group) for group in result] == list(expected)


def test_split() -> None:
    """N div G each, the first N mod G one more."""
    assert split([], 3) == []
    assert split("abcdefg", 3) == [["a", "b", "c"], ["d", "e"], ["f", "g"]]
    assert split("ab", 9) == split("ab", 0) == split("ab", -1) == [["a"], ["b"]]
