# ruff: noqa: D102  what a call reads is said by its class

"""How keywords about interfaces are read: VMACs, ipvlans, announcements elsewhere, link states and their delays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from pyvrrp.config.addresses import read_address
from pyvrrp.config.codes import Code
from pyvrrp.config.model import InterfaceDelay, Ipvlan, Linkbeat, Vmac
from pyvrrp.config.readers import BadValue, Integer, Reading, Seconds, missing
from pyvrrp.config.texts import INTERFACE_LENGTH, interface_name, parse_address
from pyvrrp.protocol.constants import US_PER_S

MAC_LENGTH: Final = 6
EXTRA_MAX_S: Final = 86400  # a day
DELAY_MAX_US: Final = 255 * US_PER_S
MAC: Final = re.compile(r"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){4,5}")
_OWN_PREFIXES: Final = (b"\x00\x00\x5e\x00\x01", b"\x00\x00\x5e\x00\x02")  # RFC 9568 7.3, to be had without a MAC
MODES: Final = ("bridge", "private", "vepa")


def _is_name(word: str) -> bool:
    return 0 < len(word) <= INTERFACE_LENGTH and "/" not in word


class UseVmac:
    """`[[name] IF] [MAC] [netlink_notify_msg] [group GROUP]` in any order; a MAC of 5 octets gets the VRID as sixth."""

    def __call__(self, reading: Reading) -> Vmac:
        words = reading.words
        fields: dict[str, Any] = {}
        at = 1
        while at < len(words):
            word = words[at]
            if word in ("group", "name"):
                at += 1
                if at == len(words):
                    raise BadValue(f"use_vmac {word} needs a value", Code.MISSING_VALUE, word=at)
                fields[word] = words[at]
            elif word == "netlink_notify_msg":
                fields["notify"] = True
            elif MAC.fullmatch(word):
                mac = bytes(int(octet, 16) for octet in word.split(":"))
                if mac[0] & 1 or mac[:5] in _OWN_PREFIXES:
                    reading.lose(f"VMAC address {reading.shown(at)} cannot be used - ignoring", Code.VMAC, word=at)
                else:
                    fields["mac"] = mac
            elif "name" in fields:
                reading.lose(f"VMAC interface name already specified, {reading.shown(at)} ignored", Code.VMAC, word=at)
            else:
                fields["name"] = word
            at += 1
        if "name" in fields and not _is_name(fields["name"]):
            reading.lose(
                "VMAC interface name too long or invalid characters - ignoring",
                Code.BAD_INTERFACE,
                hint=f"1 to {INTERFACE_LENGTH} characters without '/'",
            )
            del fields["name"]
        return Vmac(**fields)


class UseIpvlan:
    """`[[name] IF] [ADDR] [bridge|private|vepa] [group GROUP]`."""

    def __call__(self, reading: Reading) -> Ipvlan:
        words = reading.words
        fields: dict[str, Any] = {}
        at = 1
        while at < len(words):
            word = words[at]
            if word in ("group", "name"):
                at += 1
                if at == len(words):
                    raise BadValue(f"use_ipvlan {word} needs a value", Code.MISSING_VALUE, word=at)
                fields[word] = words[at]
            elif word in MODES:
                fields["mode"] = word
            elif parse_address(word.partition("/")[0]) is not None:
                fields["address"] = read_address(reading, at, "ipvlan address")
            elif "name" not in fields and _is_name(word):
                fields["name"] = word
            else:
                reading.lose(f"unknown use_ipvlan option {reading.shown(at)} - ignoring", Code.UNKNOWN_OPTION, word=at)
            at += 1
        return Ipvlan(**fields)


@dataclass(frozen=True, slots=True)
class ExtraInterfaces:
    """`[all] N`, seconds up to a day: the period in microseconds, and whether on all interfaces; *low* is 0 or 1."""

    low: int

    def __call__(self, reading: Reading) -> tuple[int, bool]:
        words = reading.words
        everywhere = words[1:2] == ["all"]
        at = 2 if everywhere else 1
        if at >= len(words):
            raise missing(reading)
        seconds = Integer(self.low, EXTRA_MAX_S).number(reading, words[at], at)
        reading.end(at + 1)
        return seconds * US_PER_S, everywhere


class LinkbeatLine:
    """`IF [MII|ETHTOOL|IOCTL]`, a line of `linkbeat_interfaces`."""

    def __call__(self, reading: Reading) -> Linkbeat:
        words = reading.words
        name = interface_name(reading, 0)
        method = None
        if len(words) > 1:
            if words[1] in ("MII", "ETHTOOL", "IOCTL"):
                method = cast("Literal['MII', 'ETHTOOL', 'IOCTL']", words[1])
                reading.end(2)
            else:
                message = f"unknown linkbeat method {reading.shown()} - ignoring"
                reading.lose(message, Code.UNKNOWN_OPTION, hint="MII, ETHTOOL or IOCTL")
        return Linkbeat(name, method, reading.line.place(0))


class DelayLine:
    """`IF DOWN [UP]` in seconds, a line of `interface_up_down_delays`; what is not said is 0."""

    def __call__(self, reading: Reading) -> InterfaceDelay:
        name = interface_name(reading, 0)
        seconds = Seconds(0, DELAY_MAX_US)
        times = [seconds.number(reading, text, word) for word, text in enumerate(reading.words[1:3], 1)]
        reading.end(3)
        down_us, up_us = (*times, 0, 0)[:2]
        return InterfaceDelay(name, down_us, up_us, reading.line.place(0))
