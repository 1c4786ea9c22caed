"""The global definitions of `keepalived.data` and `keepalived_parent.data`."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from pyvrrp.config.model import Command, Configuration, Fifo
from pyvrrp.daemon.dumps.picture import Picture
from pyvrrp.daemon.dumps.words import seconds

HEADING: Final = "------< Global definitions >------"

_Pair: TypeAlias = tuple[str, object]

_ANY: Final = Command(("any",))
"""A program that names no user."""


def lines(picture: Picture, *, parent: bool) -> Iterator[str]:
    """
    What holds for all instances, as keepalived gives it.

    Args:
        picture: What is known.
        parent: As keepalived's parent gives it, which knows no interface.
    """
    yield HEADING
    configuration = picture.configuration
    said = configuration.globals
    interface = said.default_interface or "eth0"
    yield from _shown(_names(configuration))
    yield from _shown(_mail_server(configuration))
    if said.notification_email:
        yield " Email notification to:"
        yield from (f"   {who}" for who in said.notification_email)
    yield from _shown(_alerts(configuration))
    yield " Checkers log all failures = false"
    yield " Test config before reload" if said.reload.check else " No test config before reload"
    if said.files.use_instance:
        yield " Use instance name in data dumps"
    yield from _shown(
        [
            ("Dynamic interfaces", _truth(said.dynamic_interfaces)),
            *([("Allow interface changes", _truth(said.interfaces_may_change))] if said.dynamic_interfaces else ()),
            *(() if parent else [("Default interface", interface)]),
            ("Disable local IGMP", "yes" if said.firewall.disable_local_igmp else "no"),
            ("LVS flush", "false"),
            ("LVS flush on stop", "disabled"),
            *_fifo("Global notify fifo", said.notify_fifo),
            *_fifo("VRRP notify fifo", said.vrrp_notify_fifo),
            ("FIFO write vrrp states on reload", _truth(said.write_states_on_reload)),
        ]
    )
    yield from _shown(_virtual_routers())
    yield from _shown(_processes(configuration))
    yield from (f" {what} disabled" for what in ("SNMP vrrp", "SNMP checker", "SNMP RFCv2", "SNMP RFCv3", "SNMP traps"))
    yield " SNMP socket = default (unix:/var/agentx/master)"
    yield " DBus disabled"
    yield " DBus service name = "
    yield f" Script security {'enabled' if said.enable_script_security else 'disabled'}"
    if said.script_user is not None:
        yield f" Default script uid:gid {picture.identity(_ANY)}"
    yield from _shown(_buffers(configuration, picture.umask))


def _shown(pairs: Iterable[_Pair]) -> Iterator[str]:
    return (f" {key} = {value}" for key, value in pairs)


def _truth(value: object) -> str:
    return "true" if value else "false"


def _names(configuration: Configuration) -> Iterator[_Pair]:
    said = configuration.globals
    yield "Network namespace", said.net_namespace or "(default)"
    yield "Network namespace ipvs", "(main namespace)"
    if said.instance_name:
        yield "Instance name", said.instance_name
    yield "Router ID", said.router_id or socket.gethostname()


def _mail_server(configuration: Configuration) -> Iterator[_Pair]:
    said = configuration.globals
    if said.smtp_server:
        yield "Smtp server", said.smtp_server
        yield "Smtp server connection timeout", seconds(said.smtp_connect_timeout_us)
    if said.notification_email_from:
        yield "Email notification from", said.notification_email_from


def _alerts(configuration: Configuration) -> Iterator[_Pair]:
    said = configuration.globals
    for what, value in (
        ("Default smtp_alert", said.smtp_alert),
        ("Default smtp_alert_vrrp", said.smtp_alert_vrrp),
        ("Default smtp_alert_checker", None),
    ):
        yield what, "unset" if value is None else "on" if value else "off"


def _fifo(what: str, fifo: Fifo) -> list[_Pair]:
    return [(what, fifo.path)] if fifo.path else []


def _virtual_routers() -> list[_Pair]:
    """Defaults for instances; what each came to is said of each."""
    return [
        ("VRRP notify priority changes", "false"),
        ("VRRP IPv4 mcast group", "224.0.0.18"),
        ("VRRP IPv6 mcast group", "ff02::12"),
        ("Gratuitous ARP delay", 5),
        ("Gratuitous ARP repeat", 5),
        ("Gratuitous ARP refresh timer", 0),
        ("Gratuitous ARP refresh repeat", 1),
        ("Gratuitous ARP lower priority delay", 5),
        ("Gratuitous ARP lower priority repeat", 5),
        ("Num adverts before down", 3),
        ("Gratuitous ARP for each secondary VMAC", "0s"),
        ("Send advert after receive lower priority advert", "true"),
        ("Send advert after receive higher priority advert", "false"),
        ("Gratuitous ARP interval", "0.000000"),
        ("Gratuitous NA interval", "0.000000"),
        ("VRRP default protocol version", 2),
        ("VRRP check unicast_src", "false"),
        ("VRRP skip check advert addresses", "false"),
        ("VRRP strict mode", "false"),
    ]


def _processes(configuration: Configuration) -> Iterator[_Pair]:
    said = configuration.globals
    yield "Max auto priority", said.max_auto_priority
    yield "Min auto priority delay", f"{said.auto_priority_delay_us} usecs"
    yield "VRRP process priority", said.process_priority
    yield "VRRP don't swap", _truth(said.no_swap)
    yield "VRRP realtime priority", said.rt_priority or 0
    limit_us = 10_000 if said.rlimit_rttime_us is None else said.rlimit_rttime_us
    yield "VRRP realtime limit", limit_us
    for what in ("Checker", "BFD"):
        yield f"{what} process priority", 0
        yield f"{what} don't swap", "false"
        yield f"{what} realtime priority", 0
        yield f"{what} realtime limit", 10_000


def _buffers(configuration: Configuration, umask: int) -> Iterator[_Pair]:
    said = configuration.globals.buffers
    yield "vrrp_netlink_cmd_rcv_bufs", said.command or 0
    yield "vrrp_netlink_cmd_rcv_bufs_force", int(said.command_force)
    yield "vrrp_netlink_monitor_rcv_bufs", said.monitor or 0
    yield "vrrp_netlink_monitor_rcv_bufs_force", int(said.monitor_force)
    yield "process_monitor_rcv_bufs", said.process or 0
    yield "process_monitor_rcv_bufs_force", int(said.process_force)
    for what in ("lvs_netlink_cmd", "lvs_netlink_monitor"):
        yield f"{what}_rcv_bufs", 0
        yield f"{what}_rcv_bufs_force", 0
    yield "rs_init_notifies", 0
    yield "no_checker_emails", 0
    yield "rx_bufs_multiples", said.multiplier
    yield "umask", f"0{umask:o}"
