"""Short ways to write the file of a node, and to explain several."""

from __future__ import annotations

from pyvrrp.config.complaints import Parsed
from pyvrrp.config.load import parse_text
from pyvrrp.explain.cluster import Cluster, RouterReport, cluster_of
from pyvrrp.explain.outlook import Outlook
from pyvrrp.explain.routers import Node, nodes_of

SECURE = "global_defs {\n enable_script_security\n script_user root\n}\n"
CHECK = 'vrrp_script chk {\n script "/bin/true"\n interval 2\n fall 2\n}\n'


def instance(
    lines: str = "", *, name: str = "V", vrid: int = 51, priority: int | None = 100, vips: str = "192.0.2.100/24"
) -> str:
    """A block that runs."""
    said = f" priority {priority}\n" if priority is not None else ""
    return (
        f"vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n{said}"
        f" virtual_ipaddress {{\n  {vips}\n }}\n{lines}\n}}\n"
    )


def read(text: str, file: str = "a.conf") -> Parsed:
    """As `pyvrrp explain` reads it."""
    return parse_text(text, file, config_id="a")


def node(text: str) -> Node:
    """One node."""
    return nodes_of([("", "a.conf", read(text))])[0]


def outlook(text: str) -> Outlook:
    """The one virtual router of a file."""
    (one,) = node(text).outlooks
    return one


def cluster(*texts: str) -> Cluster:
    """One node for each text, named a, b, c."""
    files = [f"{name}.conf" for name in "abcdefgh"[: len(texts)]]
    return cluster_of(nodes_of([("", file, read(text, file)) for file, text in zip(files, texts, strict=True)]))


def router(*texts: str) -> RouterReport:
    """The one virtual router of several nodes."""
    (one,) = cluster(*texts).routers
    return one
