"""
How the monitors of keepalived read its dump files, written down anew from what drivers are known to rely on.

Indentation carries the structure of the two texts: in `keepalived.data` an instance's heading begins with one blank,
its keys with three, members of its lists with five, and any other line ends it; in `keepalived.stats` headings begin
with two and end in a colon, counters below them with four. An unreadable number is an error, not a zero.
"""

from __future__ import annotations

import json
import re
from typing import Any

STATES = ["INIT", "BACKUP", "MASTER", "FAULT"]

_WHOLE = ("State", "Wantstate", "Interface", "Gratuitous ARP delay", "Virtual Router ID")


def read_data(text: str) -> dict[str, dict[str, Any]]:
    """Instances of `keepalived.data` by name, with what a monitor looks at; VIPs as (address, device)."""
    found: dict[str, dict[str, Any]] = {}
    current: dict[str, Any] | None = None
    listed = ""
    for line in text.splitlines():
        if match := re.fullmatch(r" VRRP Instance = (.+)", line):
            current = found[match[1]] = {"vips": []}
        elif current is None or not line.startswith("   "):
            current = None
        elif line.startswith("     "):
            if listed.startswith("Virtual IP ("):
                address, _, device, *_ = line.split()
                current["vips"].append((address, device))
        else:
            listed = line.strip()
            key, equals, value = listed.partition(" = ")
            if equals and key in _WHOLE:
                current[key] = value
            elif key == "Last transition":
                current[key] = float(value.split()[0])
    for one in found.values():
        one["State"], one["Wantstate"] = STATES.index(one["State"]), STATES.index(one["Wantstate"])
        one["Virtual Router ID"] = int(one["Virtual Router ID"])
        one["Gratuitous ARP delay"] = int(one["Gratuitous ARP delay"])
    return found


def read_scripts(text: str) -> dict[str, tuple[str, str]]:
    """Status and state of the check scripts in `keepalived.data`."""
    return {
        match[1]: (match[2], match[3])
        for match in re.finditer(
            r"^ VRRP Script = (.+)\n(?:   .*\n)*?   Status = (.+)\n(?:   .*\n)*?   State = (.+)$", text, re.MULTILINE
        )
    }


def read_stats(text: str) -> dict[str, dict[str, int]]:
    """Counters of `keepalived.stats` by instance, each with its heading before it."""
    found: dict[str, dict[str, int]] = {}
    heading = ""
    for line in text.splitlines():
        key, colon, value = line.strip().partition(":")
        assert colon, line
        if not line.startswith(" "):
            current = found[value.strip()] = {}
        elif not value:
            heading = key
        elif line.startswith("    "):
            current[f"{heading}/{key}"] = int(value)
        else:
            current[key] = int(value)
    return found


def read_json(text: str) -> dict[str, tuple[dict[str, Any], dict[str, int]]]:
    """Data and counters of `keepalived.json` by instance; the types are those that a typed reader insists on."""
    found = {}
    for one in json.loads(text):
        data, stats = one["data"], one["stats"]
        for key in ("vrid", "state", "wantstate", "garp_delay"):
            assert type(data[key]) is int, key
        assert all(type(count) is int for count in stats.values())
        assert isinstance(data["last_transition"], float)
        assert all(len(vip.split()) >= 3 for vip in data.get("vips", []))
        found[data["iname"]] = data, stats
    return found


def version(text: str) -> str:
    """The version that an exporter takes from `--version`: word 2 of the first line without its first letter."""
    first, *others = text.splitlines()
    assert others
    return first.split()[1][1:]
