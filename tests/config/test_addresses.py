"""The lines of `virtual_ipaddress`, option by option."""

from __future__ import annotations

from dataclasses import fields
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from pyvrrp.config.complaints import Parsed
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import AddressLine


def parse(line: str) -> tuple[Parsed, AddressLine | None]:
    result = parse_text(
        "vrrp_instance I {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n192.0.2.250\n}\n"
        f"virtual_ipaddress_excluded {{\n{line}\n}}\n}}\n",
        "f",
    )
    found = result.configuration.instances[0].excluded_addresses if result.configuration.instances else ()
    return result, found[0] if found else None


def differing(line: AddressLine) -> dict[str, Any]:
    """The fields that are not as usual."""
    plain = AddressLine(line.address)
    return {
        each.name: getattr(line, each.name)
        for each in fields(line)
        if each.compare and getattr(line, each.name) != getattr(plain, each.name)
    }


@pytest.mark.parametrize(
    ("line", "address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1/32", {}),
        ("192.0.2.1/24", "192.0.2.1/24", {}),
        ("192.0.2.1/", "192.0.2.1/32", {}),
        ("192.0.2.1/0", "192.0.2.1/0", {}),
        ("192.0.2.1/24 dev eth1", "192.0.2.1/24", {"dev": "eth1"}),
        ("192.0.2.1 scope global", "192.0.2.1/32", {}),
        ("192.0.2.1 scope site", "192.0.2.1/32", {"scope": 200}),
        ("192.0.2.1 scope link", "192.0.2.1/32", {"scope": 253}),
        ("192.0.2.1 scope host", "192.0.2.1/32", {"scope": 254}),
        ("192.0.2.1 scope nowhere", "192.0.2.1/32", {"scope": 255}),
        ("192.0.2.1 scope 50", "192.0.2.1/32", {"scope": 50}),
        ("192.0.2.1/24 brd +", "192.0.2.1/24", {"broadcast": ip_address("192.0.2.255")}),
        ("192.0.2.1/24 broadcast -", "192.0.2.1/24", {"broadcast": ip_address("192.0.2.0")}),
        ("192.0.2.1/24 brd 1.2.3.4", "192.0.2.1/24", {"broadcast": ip_address("1.2.3.4")}),
        ("192.0.2.1 label eth0:1", "192.0.2.1/32", {"label": "eth0:1"}),
        ("192.0.2.1 label fifteenletters1", "192.0.2.1/32", {"label": "fifteenletters1"}),
        ("192.0.2.1/24 peer 192.0.2.9", "192.0.2.1/32", {"peer": ip_interface("192.0.2.9/32")}),
        ("192.0.2.1 peer 192.0.2.9/24", "192.0.2.1/32", {"peer": ip_interface("192.0.2.9/24")}),
        ("fe80::1/64 peer fe80::2", "fe80::1/128", {"peer": ip_interface("fe80::2/128")}),
        ("192.0.2.1 no_track noprefixroute", "192.0.2.1/32", {"no_track": True, "no_prefix_route": True}),
        ("192.0.2.1 preferred_lft 30", "192.0.2.1/32", {"preferred_lifetime_s": 30}),
        ("fe80::1", "fe80::1/128", {"preferred_lifetime_s": 0}),
        ("fe80::1/64", "fe80::1/64", {}),
        ("fe80::1/128 preferred_lft forever", "fe80::1/128", {}),
        ("fe80::1/64 preferred_lft 30", "fe80::1/64", {"preferred_lifetime_s": 30}),
        (
            "fe80::1/64 home mngtmpaddr autojoin -nodad",
            "fe80::1/64",
            {"home": True, "manage_temporary": True, "autojoin": True, "dad": True},
        ),
    ],
)
def test_options(line: str, address: str, expected: dict[str, Any]) -> None:
    result, found = parse(line)
    assert found is not None
    assert found.address == ip_interface(address)
    assert differing(found) == expected
    assert str(found.place) == "f:8:1"
    assert result.complaints == ()


@pytest.mark.parametrize(
    ("line", "address", "complaint"),
    [
        ("192.0.2.1/33", "192.0.2.1/32", "f:8:1: (I) Invalid address prefix len in '192.0.2.1/33' - using 32"),
        ("192.0.2.1/x", "192.0.2.1/32", "f:8:1: (I) Invalid address prefix len in '192.0.2.1/x' - using 32"),
        ("fe80::1/129", "fe80::1/128", "f:8:1: (I) Invalid address prefix len in 'fe80::1/129' - using 128"),
        ("192.0.2.1/24/", "192.0.2.1/24", "f:8:1: (I) Invalid address prefix len in '192.0.2.1/24/' - using 24"),
        (
            "192.0.2.1 scope moon",
            "192.0.2.1/32",
            "f:8:17: (I) Invalid scope 'moon' specified - ignoring (global, site, link, host, nowhere or 0-255)",
        ),
        ("192.0.2.1 scope 256", "192.0.2.1/32", "f:8:17: (I) Invalid scope '256' specified - ignoring (global"),
        ("fe80::1 scope link", "fe80::1/128", "f:8:15: (I) Cannot specify scope for IPv6 addresses - ignoring scope"),
        ("fe80::1 label x", "fe80::1/128", "f:8:15: (I) Cannot specify label for IPv6 addresses - ignoring label"),
        ("192.0.2.1 brd +", "192.0.2.1/32", "f:8:15: (I) Address prefix length 32 too long for broadcast"),
        ("192.0.2.1/31 brd -", "192.0.2.1/31", "f:8:18: (I) Address prefix length 31 too long for broadcast"),
        ("fe80::1 preferred_lft x", "fe80::1/128", "f:8:23: (I) preferred_lft 'x' is invalid"),
        (
            "192.0.2.1 labeel x dev eth1",
            "192.0.2.1/32",
            "f:8:11: (I) Unknown configuration entry 'labeel' for ip address - ignoring (did you mean 'label'?)",
        ),
        ("192.0.2.1 track_group x", "192.0.2.1/32", "f:8:23: (I) track_group is for static addresses - ignoring"),
    ],
)
def test_kept_with_a_complaint(line: str, address: str, complaint: str) -> None:
    result, found = parse(line)
    assert found is not None
    assert found.address == ip_interface(address)
    assert (found.dev == "eth1") == ("eth1" in line)
    assert str(result.complaints[0]).startswith(complaint)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("10.1", "f:8:1: (I) virtual address '10.1' is no IP address. skipping..."),
        ("010.0.0.1", "f:8:1: (I) virtual address '010.0.0.1' is no IP address. skipping..."),
        ("fe80::1%eth0", "f:8:1: (I) virtual address 'fe80::1%eth0' is no IP address. skipping..."),
        ("host", "f:8:1: (I) virtual address 'host' is no IP address. skipping..."),
        ("192.0.2.1 dev", "f:8:11: (I) No dev parameter specified for '192.0.2.1'"),
        ("192.0.2.1 dev a/b", "f:8:15: (I) 'a/b' cannot be the name of an interface"),
        ("192.0.2.1 label sixteen_letters_", "f:8:17: (I) Address label 'sixteen_letters_' is longer than maximum"),
        ("192.0.2.1 brd x", "f:8:15: (I) invalid broadcast address 'x'. skipping..."),
        ("192.0.2.1 brd fe80::1", "f:8:15: (I) invalid broadcast address 'fe80::1'. skipping..."),
        ("fe80::1 brd +", "f:8:13: (I) an IPv6 address has no broadcast address. skipping..."),
        ("192.0.2.1 peer fe80::1", "f:8:16: (I) peer 'fe80::1' is of another family. skipping..."),
        ("192.0.2.1 peer x", "f:8:16: (I) peer 'x' is no IP address. skipping..."),
        ("192.0.2.1 use_vmac", "f:8:11: (I) use_vmac is not supported yet"),
    ],
)
def test_dropped(line: str, complaint: str) -> None:
    result, found = parse(line)
    assert found is None
    assert [str(each)[: len(complaint)] for each in result.drops] == [complaint]
