"""
The text of keepalived.conf: the old image's blocks, keywords and order, each setting on a line of its own.

Every line knows which variable it comes from, so that what the parser says of it can be told to whom it concerns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pyvrrp.config.openshift import variables as names

PATH: Final = "/etc/keepalived/keepalived.conf"
_HEADER: Final = "! Configuration of the OpenShift IP failover pod, made from its environment by pyvrrp"


class Line(NamedTuple):
    """A line of the file, the variable it comes from, and the instance it belongs to."""

    text: str
    variable: str
    instance: str = ""


@dataclass(frozen=True, slots=True)
class GlobalText:
    """
    What is said once.

    Attributes:
        router_id: Empty leaves the line out.
        emails: One on each line.
        smtp_server: Empty leaves the line out.
        check_name: Name of the check, None for no check.
        check: Its command, ready to stand in double quotes.
        check_from: The variable that the check comes from.
        interval: As it is written.
    """

    router_id: str
    emails: tuple[str, ...]
    smtp_server: str
    check_name: str | None
    check: str
    check_from: str
    interval: str


@dataclass(frozen=True, slots=True)
class InstanceText:
    """
    One instance.

    Attributes:
        state: The word after `state`, or empty.
        preemption: A line, or several, as given; empty for none.
        password: As it stands after `auth_pass`, quotes and all; None for no authentication.
        check_name: The check that it tracks, None for none.
        notify: Command, ready to stand in double quotes; empty for none.
        sources: Lines with source addresses, and their variables.
        peers: Unicast peers; None for multicast.
        addresses: Without `dev`.
    """

    name: str
    interface: str
    state: str
    vrid: int
    priority: int
    preemption: str
    password: str | None
    check_name: str | None
    notify: str
    sources: tuple[tuple[str, str], ...]
    peers: tuple[str, ...] | None
    addresses: tuple[str, ...]


def render(settings: GlobalText, instances: Iterable[InstanceText]) -> list[Line]:
    """All lines of the file; a line may hold line breaks only if its variable does."""
    lines = [Line(_HEADER, names.VIRTUAL_IPS), *_globals(settings)]
    if settings.check_name is not None:
        lines += _script(settings, settings.check_name)
    for instance in instances:
        lines += _instance(instance)
    return lines


def text_of(lines: Sequence[Line]) -> str:
    """The lines as the file holds them."""
    return "".join(f"{line.text}\n" for line in lines)


def origin_of(lines: Sequence[Line]) -> list[Line]:
    """For each line of the file, the one here that it is, or is a part of."""
    return [line for line in lines for _ in range(line.text.count("\n") + 1)]


def _globals(settings: GlobalText) -> list[Line]:
    lines = [
        Line("global_defs {", names.CONFIG_NAME),
        Line("    max_auto_priority 99", names.CONFIG_NAME),
        Line("    notification_email {", names.ADMIN_EMAILS),
        *(Line(f"        {email}", names.ADMIN_EMAILS) for email in settings.emails),
        Line("    }", names.ADMIN_EMAILS),
        Line("    notification_email_from ipfailover@openshift.local", names.ADMIN_EMAILS),
    ]
    if settings.smtp_server:
        lines.append(Line(f"    smtp_server {settings.smtp_server}", names.SMTP_SERVER))
    lines.append(Line("    smtp_connect_timeout 30", names.SMTP_SERVER))
    if settings.router_id:
        lines.append(Line(f"    router_id {settings.router_id}", names.CONFIG_NAME))
    return [*lines, Line("}", names.CONFIG_NAME)]


def _script(settings: GlobalText, name: str) -> list[Line]:
    return [
        Line("", names.CONFIG_NAME),
        Line(f"vrrp_script {name} {{", names.CONFIG_NAME),
        Line(f'    script "{settings.check}"', settings.check_from),
        Line(f"    interval {settings.interval}", names.CHECK_INTERVAL),
        Line("}", names.CONFIG_NAME),
    ]


def _instance(instance: InstanceText) -> list[Line]:
    def line(text: str, variable: str) -> Line:
        return Line(text, variable, instance.name)

    lines = [
        line("", names.CONFIG_NAME),
        line(f"vrrp_instance {instance.name} {{", names.VIRTUAL_IPS),
        line(f"    interface {instance.interface}", names.NETWORK_INTERFACE),
    ]
    if instance.state:
        lines.append(line(f"    state {instance.state}", names.REPLICA_COUNT))
    lines += [
        line(f"    virtual_router_id {instance.vrid}", names.VRRP_ID_OFFSET),
        line(f"    priority {instance.priority}", names.REPLICA_COUNT),
    ]
    if instance.preemption:
        lines.append(line(f"    {instance.preemption}", names.PREEMPTION))
    if instance.password is not None:
        lines += [
            line("    authentication {", names.CONFIG_NAME),
            line("        auth_type PASS", names.CONFIG_NAME),
            line(f"        auth_pass {instance.password}", names.CONFIG_NAME),
            line("    }", names.CONFIG_NAME),
        ]
    if instance.check_name is not None:
        lines += [
            line("    track_script {", names.CONFIG_NAME),
            line(f"        {instance.check_name}", names.CONFIG_NAME),
            line("    }", names.CONFIG_NAME),
        ]
    if instance.notify:
        lines.append(line(f'    notify "{instance.notify}"', names.NOTIFY_SCRIPT))
    lines += [line(f"    {text}", variable) for text, variable in instance.sources]
    if instance.peers is not None:
        lines += [
            line("    unicast_peer {", names.UNICAST_PEERS),
            *(line(f"        {peer}", names.UNICAST_PEERS) for peer in instance.peers),
            line("    }", names.UNICAST_PEERS),
        ]
    return [
        *lines,
        line("    virtual_ipaddress {", names.VIRTUAL_IPS),
        *(line(f"        {address} dev {instance.interface}", names.VIRTUAL_IPS) for address in instance.addresses),
        line("    }", names.VIRTUAL_IPS),
        line("}", names.CONFIG_NAME),
    ]
