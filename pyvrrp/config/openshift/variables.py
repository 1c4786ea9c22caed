"""
The variables of the OpenShift ipfailover pod: their names, their defaults, and what is said about their values.

Empty and unset mean the same for every one of them. A complaint's place is the variable's name with line and column
in its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from pyvrrp.config.complaints import Complaint, Log, Severity, shown
from pyvrrp.config.model import Place

CONFIG_NAME: Final = "OPENSHIFT_HA_CONFIG_NAME"
VIRTUAL_IPS: Final = "OPENSHIFT_HA_VIRTUAL_IPS"
VIP_GROUPS: Final = "OPENSHIFT_HA_VIP_GROUPS"
NETWORK_INTERFACE: Final = "OPENSHIFT_HA_NETWORK_INTERFACE"
MONITOR_PORT: Final = "OPENSHIFT_HA_MONITOR_PORT"
REPLICA_COUNT: Final = "OPENSHIFT_HA_REPLICA_COUNT"
VRRP_ID_OFFSET: Final = "OPENSHIFT_HA_VRRP_ID_OFFSET"
EXCLUDED_VRRP_IDS: Final = "HA_EXCLUDED_VRRP_IDS"
CHECK_SCRIPT: Final = "OPENSHIFT_HA_CHECK_SCRIPT"
CHECK_INTERVAL: Final = "OPENSHIFT_HA_CHECK_INTERVAL"
NOTIFY_SCRIPT: Final = "OPENSHIFT_HA_NOTIFY_SCRIPT"
PREEMPTION: Final = "OPENSHIFT_HA_PREEMPTION"
UNICAST_PEERS: Final = "OPENSHIFT_HA_UNICAST_PEERS"
USE_UNICAST: Final = "OPENSHIFT_HA_USE_UNICAST"
NFTABLES_RULE: Final = "OPENSHIFT_HA_NFTABLES_RULE"
IPTABLES_CHAIN: Final = "OPENSHIFT_HA_IPTABLES_CHAIN"
ADMIN_EMAILS: Final = "OPENSHIFT_HA_ADMIN_EMAILS"
SMTP_SERVER: Final = "OPENSHIFT_HA_SMTP_SERVER"
SELECTOR: Final = "OPENSHIFT_HA_SELECTOR"
MULTICAST_SOURCE: Final = "MULTICAST_SOURCE_IPADDRESS"
UNICAST_SOURCE: Final = "UNICAST_SOURCE_IPADDRESS"
KEEPALIVED_CONFIG: Final = "KEEPALIVED_CONFIG"

# Ours; the image knows none of them.
STRICT: Final = "PYVRRP_STRICT"
COMPAT: Final = "PYVRRP_COMPAT"
STABLE_PRIORITIES: Final = "PYVRRP_STABLE_PRIORITIES"
DELAY_EVERYWHERE: Final = "PYVRRP_PREEMPT_DELAY_EVERYWHERE"
CHECK_EACH_VIP: Final = "PYVRRP_CHECK_EACH_VIP"
NEVER_OWNER: Final = "PYVRRP_NEVER_OWNER"
HEALTH_PORT: Final = "PYVRRP_HEALTH_PORT"
HUP: Final = "PYVRRP_HUP"

# In the order in which complaints are listed; a value is the default of the image's code.
DEFAULTS: Final[Mapping[str, str]] = {
    STRICT: "",
    COMPAT: "",
    STABLE_PRIORITIES: "",
    DELAY_EVERYWHERE: "",
    CHECK_EACH_VIP: "",
    NEVER_OWNER: "",
    HEALTH_PORT: "",
    HUP: "",
    CONFIG_NAME: "OpenShift-IPFailover",
    NETWORK_INTERFACE: "",
    VIRTUAL_IPS: "",
    VIP_GROUPS: "",
    VRRP_ID_OFFSET: "10",
    EXCLUDED_VRRP_IDS: "",
    REPLICA_COUNT: "1",
    PREEMPTION: "preempt_delay 300",
    USE_UNICAST: "",
    UNICAST_PEERS: "",
    MULTICAST_SOURCE: "",
    UNICAST_SOURCE: "",
    MONITOR_PORT: "80",
    CHECK_SCRIPT: "",
    CHECK_INTERVAL: "2",
    NOTIFY_SCRIPT: "",
    NFTABLES_RULE: "",
    IPTABLES_CHAIN: "",
    ADMIN_EMAILS: "root@localhost",
    SMTP_SERVER: "127.0.0.1",
    SELECTOR: "",
    KEEPALIVED_CONFIG: "",
}
_ORDER: Final = {name: number for number, name in enumerate(DEFAULTS)}
_PREFIX: Final = "OPENSHIFT_HA_"
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"", "0", "false", "no", "off"})


class Variables:
    """The environment, with the defaults filled in."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __getitem__(self, name: str) -> str:
        return self._environment.get(name) or DEFAULTS[name]

    def given(self, name: str) -> bool:
        """It is set, and not to nothing."""
        return bool(self._environment.get(name))

    def strangers(self) -> list[str]:
        """Names that look like the image's and are none of them, in order."""
        return sorted(
            name
            for name, value in self._environment.items()
            if value and name.startswith(_PREFIX) and name not in _ORDER
        )


class Remarks:
    """
    Collects what is said about the environment.

    Attributes:
        exact: The old image is followed to the letter, and that one said nothing.
    """

    def __init__(self) -> None:
        self.exact = False
        self._log = Log("environment")

    def note(self, variable: str, message: str, hint: str = "") -> None:
        """Worth knowing; nothing is changed and nothing lost."""
        self._add(Severity.NOTE, variable, message, hint)

    def mend(self, variable: str, message: str, hint: str = "", at: tuple[int, int] = (1, 1)) -> None:
        """The value is used, and what it is used as; *at* is line and column."""
        self._add(Severity.WARNING, variable, message, hint, at)

    def lose(self, variable: str, message: str, hint: str = "", at: tuple[int, int] = (1, 1)) -> None:
        """It cannot be understood, or not be done; the rest is served."""
        self._add(Severity.ERROR, variable, message, hint, at)

    def insist(self, variable: str, message: str, hint: str = "") -> None:
        """As `lose`, and also where the old image is followed: this it said too, or it cannot be followed."""
        self._add(Severity.ERROR, variable, message, hint, always=True)

    def _add(
        self,
        severity: Severity,
        variable: str,
        message: str,
        hint: str,
        at: tuple[int, int] = (1, 1),
        *,
        always: bool = False,
    ) -> None:
        if always or not self.exact:
            place = Place(variable, *at)
            self._log.add(severity, place, message, hint=hint, dropped=severity is Severity.ERROR)

    def complaints(self) -> tuple[Complaint, ...]:
        """All that was said, variable after variable."""
        return in_order(self._log.complaints())


def in_order(complaints: tuple[Complaint, ...]) -> tuple[Complaint, ...]:
    """Sorted by variable; the order within one is kept."""
    return tuple(sorted(complaints, key=lambda complaint: _ORDER.get(complaint.place.file, len(_ORDER))))


@dataclass(frozen=True, slots=True)
class Switches:
    """
    What is ours to switch on, all off by default.

    Attributes:
        strict: Refuse to start on any doubt.
        exact: Do what the old image does, to the letter.
        stable_priorities: The random part of a priority is always the same on this node.
        delay_everywhere: `preempt_delay` holds where this node is preferred, too.
        check_each_vip: Check the port on each address as well, while it is here.
        never_owner: Priority 255 becomes 254.
        hangup_reloads: SIGHUP has the node looked at again, where the old image ends.
    """

    strict: bool = False
    exact: bool = False
    stable_priorities: bool = False
    delay_everywhere: bool = False
    check_each_vip: bool = False
    never_owner: bool = False
    hangup_reloads: bool = False


def read_switches(variables: Variables, remarks: Remarks) -> Switches:
    """Our own variables; what cannot be understood is off. *remarks* falls silent if the old image is followed."""
    strict = _switch(STRICT, variables, remarks)
    compat = variables[COMPAT].strip().lower()
    if compat not in {"", "exact"}:
        remarks.lose(COMPAT, f"'{shown(variables[COMPAT])}' is not known, nothing is changed by it", "exact, or unset")
    options = {
        name: _switch(name, variables, remarks)
        for name in (STABLE_PRIORITIES, DELAY_EVERYWHERE, CHECK_EACH_VIP, NEVER_OWNER)
    }
    reloads = _read_hangup(variables, remarks)
    if compat != "exact":
        return Switches(
            strict, exact=False, hangup_reloads=reloads, **{_FIELDS[name]: on for name, on in options.items()}
        )
    for name, on in {**options, HUP: reloads}.items():
        if on:
            remarks.mend(name, f"has no effect: {COMPAT}=exact does what the old image does")
    remarks.exact = True
    return Switches(strict, exact=True)


_FIELDS: Final = {
    STABLE_PRIORITIES: "stable_priorities",
    DELAY_EVERYWHERE: "delay_everywhere",
    CHECK_EACH_VIP: "check_each_vip",
    NEVER_OWNER: "never_owner",
}


def _read_hangup(variables: Variables, remarks: Remarks) -> bool:
    word = variables[HUP].strip().lower()
    if word not in {"", "end", "reload"}:
        remarks.lose(HUP, f"'{shown(variables[HUP])}' is not known: SIGHUP ends the pod", "reload, or unset")
    return word == "reload"


def _switch(name: str, variables: Variables, remarks: Remarks) -> bool:
    text = variables[name].strip().lower()
    if text not in _TRUE | _FALSE:
        remarks.lose(name, f"'{shown(variables[name])}' is neither on nor off, off is used", "1 or 0")
    return text in _TRUE


def tell_unused(variables: Variables, remarks: Remarks) -> None:
    """What is set and does nothing."""
    for name in variables.strangers():
        near = get_close_matches(name, DEFAULTS, n=1, cutoff=0.8)
        remarks.note(shown(name), "is not known and does nothing", f"did you mean {near[0]}?" if near else "")
    if variables.given(KEEPALIVED_CONFIG):
        remarks.mend(KEEPALIVED_CONFIG, "is not followed: the file is written where it is read", "unset it")
