"""keepalived's counters of a virtual router: what of ours is one of them, since when, and `keepalived.stats`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final, Self

from pyvrrp.errors import DropReason
from pyvrrp.protocol.receive import Notice

_REASONS: Final[Mapping[str, tuple[str, ...]]] = {
    "advert_rcvd": ("advertisements-received",),
    "advert_sent": ("advertisements-sent",),
    "become_master": ("became-master",),
    "release_master": ("released-master",),
    "packet_len_err": (DropReason.TRUNCATED, DropReason.COUNT_LENGTH_MISMATCH, DropReason.TRAILING_BYTES),
    "advert_interval_err": (
        DropReason.INTERVAL_MISMATCH,
        DropReason.INTERVAL_ZERO,
        f"noticed-{Notice.INTERVAL_MISMATCH}",
    ),
    "ip_ttl_err": (DropReason.TTL,),
    "invalid_type_rcvd": (DropReason.TYPE,),
    "addr_list_err": (
        DropReason.ADDRESS_LIST_MISMATCH,
        DropReason.COUNT_ZERO,
        DropReason.FIRST_ADDRESS_NOT_LINK_LOCAL,
        f"noticed-{Notice.ADDRESS_LIST_MISMATCH}",
    ),
    "invalid_authtype": (DropReason.AUTH_TYPE_UNKNOWN,),
    "authtype_mismatch": (DropReason.AUTH_TYPE_MISMATCH,),
    "auth_failure": (DropReason.AUTH_FAILURE,),
    "pri_zero_rcvd": ("priority-zero-received",),
    "pri_zero_sent": ("priority-zero-sent",),
}
"""Counters of `status` that make up one of keepalived's; it has none for checksums, versions and unknown VRIDs."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """The counters, by keepalived's names for programs and in its order."""

    advert_rcvd: int = 0
    advert_sent: int = 0
    become_master: int = 0
    release_master: int = 0
    packet_len_err: int = 0
    advert_interval_err: int = 0
    ip_ttl_err: int = 0
    invalid_type_rcvd: int = 0
    addr_list_err: int = 0
    invalid_authtype: int = 0
    authtype_mismatch: int = 0
    auth_failure: int = 0
    pri_zero_rcvd: int = 0
    pri_zero_sent: int = 0

    @classmethod
    def of(cls, counters: Mapping[str, int], before: Mapping[str, int]) -> Self:
        """
        From the counters of `status`.

        Args:
            counters: As they are now.
            before: As they were when they were cleared.
        """
        return cls(
            **{
                name: sum(counters.get(reason, 0) - before.get(reason, 0) for reason in reasons)
                for name, reasons in _REASONS.items()
            }
        )

    def by_name(self) -> dict[str, int]:
        """All of them, in their order."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class Cleared:
    """Where counting began, for the signal that clears: the engine goes on counting, and `status` with it."""

    def __init__(self) -> None:
        self._before: dict[str, Counter[str]] = {}

    def statistics(self, instance: str, counters: Mapping[str, int]) -> Statistics:
        """The counters of an instance since it was cleared; an engine that was started anew counts from 0."""
        before = self._before.get(instance)
        if before is None:
            return Statistics.of(counters, {})
        if any(count > counters.get(name, 0) for name, count in before.items()):
            del self._before[instance]
            return Statistics.of(counters, {})
        return Statistics.of(counters, before)

    def clear(self, instances: Iterable[tuple[str, Mapping[str, int]]]) -> None:
        """Count from here on, for exactly these instances."""
        self._before = {name: Counter(counters) for name, counters in instances}


def text(instances: Iterable[tuple[str, Statistics]]) -> str:
    """`keepalived.stats`."""
    return "".join(_block(name, one) for name, one in instances)


def _block(name: str, one: Statistics) -> str:
    return f"""\
VRRP Instance: {name}
  Advertisements:
    Received: {one.advert_rcvd}
    Sent: {one.advert_sent}
  Became master: {one.become_master}
  Released master: {one.release_master}
  Packet Errors:
    Length: {one.packet_len_err}
    TTL: {one.ip_ttl_err}
    Invalid Type: {one.invalid_type_rcvd}
    Advertisement Interval: {one.advert_interval_err}
    Address List: {one.addr_list_err}
  Authentication Errors:
    Invalid Type: {one.invalid_authtype}
    Type Mismatch: {one.authtype_mismatch}
    Failure: {one.auth_failure}
  Priority Zero:
    Received: {one.pri_zero_rcvd}
    Sent: {one.pri_zero_sent}
"""
