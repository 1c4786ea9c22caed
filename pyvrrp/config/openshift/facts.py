"""What goes in beside the environment, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyvrrp.config.complaints import Complaint, Severity
from pyvrrp.config.listening import Listening
from pyvrrp.config.model import Configuration
from pyvrrp.protocol.constants import IPAddress


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """
    What the pod sees of its node.

    Attributes:
        hostname: The node's name.
        addresses: Addresses of every interface that exists, in the kernel's order; none is an empty tuple.
        route_interface: Interface of the route to 8.8.8.8, None without one.
        missing_programs: Those of `programs` that cannot be run.
    """

    hostname: str = ""
    addresses: Mapping[str, tuple[IPAddress, ...]] = field(default_factory=dict)
    route_interface: str | None = None
    missing_programs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PodGroup:
    """
    A group of addresses on this node.

    Attributes:
        number: From 1, as in the instances' names.
        vrid: Virtual router id; outside of 1-255 nothing is served.
        priority: As it is advertised.
        preferred: This node is meant to serve the group.
        drawn: A part of the priority is random, drawn at this start.
        addresses: Its addresses, as they stand in the file.
        instances: Names of the instances that serve it: none, one, or one for each family.
    """

    number: int
    vrid: int
    priority: int
    preferred: bool
    drawn: bool
    addresses: tuple[str, ...]
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FamilyPair:
    """
    Two instances with one VRID that serve the IPv4 and the IPv6 addresses of a group.

    They are members of the sync group *name*, with a difference: they move together while the other side is heard to
    run both. An old pod runs only *first*; beside it each is elected alone.
    """

    name: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class PodConfiguration:
    """
    What the environment comes to on this node.

    Attributes:
        configuration: What can be run; without instances while *waits_for* is not empty.
        complaints: Every mend and every loss, variable after variable.
        text: The effective keepalived.conf; octets that are no UTF-8 as surrogates.
        strict: `PYVRRP_STRICT` is on.
        exact: `PYVRRP_COMPAT=exact`.
        interface: The chosen one; empty if there is none.
        interface_from: Why that one, for people.
        waits_for: Interfaces that are named and absent: ask again when one of them is there.
        node_address: First IPv4 address of the interface, None without one.
        slot: The node's place in the election, 0-127.
        step: It is preferred for every so many groups.
        groups: In order; a number is left out where an old group would be empty.
        pairs: See `FamilyPair`.
        firewall_rule: The rule that lets VRRP in is wanted.
        health: Where health is told over HTTP, None for nowhere.
        hangup_reloads: SIGHUP has the node looked at again; else it ends the pod, as it does the old image.
    """

    configuration: Configuration
    complaints: tuple[Complaint, ...]
    text: str
    strict: bool
    exact: bool
    interface: str
    interface_from: str
    waits_for: tuple[str, ...]
    node_address: IPAddress | None
    slot: int
    step: int
    groups: tuple[PodGroup, ...]
    pairs: tuple[FamilyPair, ...]
    firewall_rule: bool
    hangup_reloads: bool = False
    health: Listening | None = None

    @property
    def refusals(self) -> tuple[Complaint, ...]:
        """The complaints that forbid a start; in strict mode every doubt does."""
        harmless = {Severity.NOTE, Severity.SECURITY}
        return tuple(one for one in self.complaints if one.fatal or (self.strict and one.severity not in harmless))
