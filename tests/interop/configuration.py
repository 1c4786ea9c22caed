"""Configuration files that keepalived and pyvrrp both read."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface

from tests.interop.lan import Node
from tests.interop.wire import IPAddress


@dataclass(frozen=True, slots=True)
class Form:
    """
    What two routers agree on.

    Attributes:
        name: For test ids.
        version: VRRP version.
        interval: `advert_int`, as written.
        vips: Addresses with prefix length.
        unicast: To the peer rather than to the group.
        password: `auth_pass`, or none.
    """

    name: str
    version: int = 2
    interval: str = "1"
    vips: tuple[str, ...] = ("192.0.2.100/24",)
    unicast: bool = False
    password: str = ""

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """The virtual addresses."""
        return tuple(ip_interface(vip).ip for vip in self.vips)

    @property
    def vip(self) -> IPAddress:
        """The first of them."""
        return self.addresses[0]


PLAIN = Form("v2")
QUICK = Form("v3-100ms", version=3, interval="0.1")
"""Where nothing depends on the interval."""


def instance(
    form: Form,
    node: Node,
    peer: Node,
    *,
    priority: int,
    more: tuple[str, ...] = (),
    name: str = "VI_1",
    vrid: int = 51,
) -> str:
    """One `vrrp_instance`; *more* are further lines in it."""
    lines = [
        "state BACKUP",
        "interface eth0",
        f"version {form.version}",
        f"virtual_router_id {vrid}",
        f"priority {priority}",
        f"advert_int {form.interval}",
        "virtual_ipaddress {",
        *(f"    {vip}" for vip in form.vips),
        "}",
        *more,
    ]
    if form.password:
        lines += ["authentication {", "    auth_type PASS", f"    auth_pass {form.password}", "}"]
    if form.unicast:
        lines += [f"unicast_src_ip {node.ipv4}", "unicast_peer {", f"    {peer.ipv4}", "}"]
    return "\n    ".join([f"vrrp_instance {name} {{", *lines]) + "\n}\n"


def whole(*blocks: str) -> str:
    """A whole file; *blocks* are instances and what they need."""
    return "global_defs {\n    enable_script_security\n    script_user root\n}\n" + "".join(blocks)
