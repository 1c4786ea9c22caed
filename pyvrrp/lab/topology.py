"""
The lab's network: three routers and a client, each on a cable to one switch, with addresses that never leave it.

    r1 --.
    r2 ---- switch -- client
    r3 --'

The far end of a cable is `eth0` of its machine; the near end is a port of the switch and has the machine's name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from pyvrrp.errors import KernelError, UsageError, VrrpError
from pyvrrp.lab.holder import Holder, Node
from pyvrrp.lab.options import CLIENT, ROUTER_NAMES, SWITCH, Command
from pyvrrp.net.system import IPInterface
from pyvrrp.protocol.constants import GROUP_V4, GROUP_V6, US_PER_S, Family, IPAddress
from pyvrrp.protocol.timing import master_down_interval_us, skew_time_us

INTERFACE: Final = "eth0"
VRID: Final = 51
VERSION: Final = 3
CONFIGURATION: Final = "keepalived.conf"

_ADDRESS_FAMILY: Final = {Family.V4: int(socket.AF_INET), Family.V6: int(socket.AF_INET6)}
_GROUPS: Final = {Family.V4: "igmp", Family.V6: "igmp6"}
# As those two files have it: a number of the machine's own octet order, and plain octets.
_GROUP: Final = {
    Family.V4: f"{int.from_bytes(GROUP_V4.packed, sys.byteorder):08X}",
    Family.V6: GROUP_V6.packed.hex(),
}
_IFA_F_NODAD: Final = 0x02
_ADDR_GEN_MODE_NONE: Final = {"attrs": [["AF_INET6", {"attrs": [["IFLA_INET6_ADDR_GEN_MODE", 1]]}]]}
_CARRIER_LIMIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Machine:
    """A router or the client; *number* is the last part of all its addresses."""

    name: str
    number: int

    @property
    def hardware_address(self) -> bytes:
        """MAC address of its `eth0`: locally administered, and easy to tell apart."""
        return bytes((2, 0, 0, 0, 0, self.number))


@dataclass(frozen=True, slots=True)
class Router(Machine):
    """A router with the priority of its configuration."""

    priority: int


ROUTERS: Final = tuple(
    Router(name, number, priority)
    for name, number, priority in zip(ROUTER_NAMES, (1, 2, 3), (150, 120, 100), strict=True)
)
CLIENT_MACHINE: Final = Machine(CLIENT, 10)


@dataclass(frozen=True, slots=True)
class Plan:
    """
    Addresses and timing of a lab.

    Attributes:
        family: Address family of the virtual router.
        advertisement_interval_us: As configured on all routers.
    """

    family: Family
    advertisement_interval_us: int

    @property
    def vip(self) -> IPAddress:
        """The virtual address that the client uses."""
        return IPv4Address("192.0.2.100") if self.family is Family.V4 else IPv6Address("2001:db8::100")

    def vips(self) -> list[str]:
        """All virtual addresses as the configuration has them; IPv6 begins with a link-local one (RFC 9568 5.2.9)."""
        return [f"{self.vip}/24"] if self.family is Family.V4 else ["fe80::100/64", f"{self.vip}/64"]

    def address(self, machine: Machine) -> IPInterface:
        """Own address of a machine."""
        if self.family is Family.V4:
            return IPv4Interface(f"192.0.2.{machine.number}/24")
        # Decimal digits on purpose: the client is ::10 to the reader, whatever number that is.
        return IPv6Interface(f"2001:db8::{machine.number}/64")

    def master_down_interval_us(self, router: Router) -> int:
        """How long *router* waits for an advertisement before it takes over."""
        return master_down_interval_us(VERSION, router.priority, self.advertisement_interval_us)

    def skew_time_us(self, router: Router) -> int:
        """How long *router* waits after the MASTER has said that it leaves."""
        return skew_time_us(VERSION, router.priority, self.advertisement_interval_us)

    def configuration(self, router: Router) -> str:
        """The keepalived.conf of *router*."""
        vips = "\n".join(f"        {vip}" for vip in self.vips())
        return f"""\
global_defs {{
    router_id {router.name}
}}

vrrp_instance VI_1 {{
    state BACKUP
    interface {INTERFACE}
    virtual_router_id {VRID}
    priority {router.priority}
    version {VERSION}
    advert_int {self.advertisement_interval_us / US_PER_S:g}
    virtual_ipaddress {{
{vips}
    }}
}}
"""


def pyvrrp_command(_name: str, home: Path) -> Sequence[str]:
    """How a router runs this pyvrrp."""
    daemon = [sys.executable, "-m", "pyvrrp", "run", "-n", "-l"]
    return [*daemon, "-f", str(home / CONFIGURATION), "--runtime-dir", str(home / "pyvrrp")]


def keepalived_command(_name: str, home: Path) -> Sequence[str]:
    """
    How a router runs keepalived.

    Raises:
        UsageError: It is not installed.
    """
    # An ordinary user's PATH lacks the place where it is.
    path = shutil.which(
        "keepalived", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    )
    if path is None:
        raise UsageError("keepalived is not installed")
    pid_files = ["-p", str(home / "keepalived.pid"), "-r", str(home / "keepalived_vrrp.pid")]
    return [path, "-n", "-l", "-G", "-P", "-f", str(home / CONFIGURATION), *pid_files]


DAEMONS: Final[Mapping[str, Command]] = {"pyvrrp": pyvrrp_command, "keepalived": keepalived_command}


class Network:
    """The running network, as its holder has it."""

    def __init__(self, holder: Holder, plan: Plan) -> None:
        """
        Build it: machines, switch, cables and addresses; every cable has carrier when this returns.

        Raises:
            KernelError: The kernel refused a part of it.
        """
        self.plan = plan
        self.holder = holder
        for machine in (*ROUTERS, CLIENT_MACHINE):
            holder.node(machine.name)
        with _netlink("build", "the switch") as netlink:
            netlink.link("add", ifname=SWITCH, kind="bridge", br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0)
            switch = _index(netlink, SWITCH)
            _up(netlink, switch)
            for machine in (*ROUTERS, CLIENT_MACHINE):
                self._lay_cable(netlink, machine, switch)
        for machine in (*ROUTERS, CLIENT_MACHINE):
            self._address(machine)
        # A probe must find the entry it had before, not an entry that the kernel is about to verify.
        with self.node(CLIENT).network():
            for name, value in (("base_reachable_time_ms", 3_600_000), ("delay_first_probe_time", 3600)):
                setting = Path(f"/proc/sys/net/ipv{int(plan.family)}/neigh/{INTERFACE}/{name}")
                with contextlib.suppress(OSError):  # read-only in some containers; then a long outage may read shorter
                    setting.write_text(str(value), "ascii")

    def node(self, name: str) -> Node:
        """The machine of that name."""
        return self.holder.nodes[name]

    def _lay_cable(self, netlink: Any, machine: Machine, switch: int) -> None:
        far = {
            "ifname": INTERFACE,
            "net_ns_fd": self.node(machine.name).network_descriptor,
            "address": machine.hardware_address.hex(":"),
        }
        netlink.link("add", ifname=machine.name, kind="veth", peer=far)
        port = _index(netlink, machine.name)
        netlink.link("set", index=port, master=switch)
        _up(netlink, port)

    def _address(self, machine: Machine) -> None:
        """Give a machine its addresses, without the second of duplicate detection, and wait for its carrier."""
        with self.node(machine.name).network(), _netlink("set up", machine.name) as netlink:
            netlink.link("set", index=_index(netlink, "lo"), state="up")
            eth0 = _index(netlink, INTERFACE)
            _up(netlink, eth0)
            addresses: list[IPInterface] = [self.plan.address(machine)]
            if self.plan.family is Family.V6:
                addresses.insert(0, IPv6Interface(f"fe80::{machine.number}/64"))
            for address in addresses:
                flags = _IFA_F_NODAD if address.version == 6 else 0
                netlink.addr(
                    "add", index=eth0, address=str(address.ip), prefixlen=address.network.prefixlen, flags=flags
                )
            limit = time.monotonic() + _CARRIER_LIMIT_S
            while netlink.get_links(eth0)[0].get_attr("IFLA_OPERSTATE") != "UP":
                if time.monotonic() > limit:
                    raise VrrpError(f"the cable of {machine.name} has no carrier after {_CARRIER_LIMIT_S:g} s")
                time.sleep(0.002)

    def start(self, router: Router, command: Command) -> None:
        """Write the configuration of *router* and start its daemon."""
        node = self.node(router.name)
        home = self.holder.home
        (node.directory / CONFIGURATION).write_text(self.plan.configuration(router), "ascii")
        # keepalived's dump files go to the temporary directory, which machines share.
        node.start(command(router.name, home), {**os.environ, "TMPDIR": str(home)})

    def listens(self, router: Router) -> bool:
        """Whether the daemon of *router* is up: it has joined the group that advertisements go to."""
        with self.node(router.name).network(), contextlib.suppress(FileNotFoundError):
            return _GROUP[self.plan.family] in Path("/proc/thread-self/net", _GROUPS[self.plan.family]).read_text(
                "ascii"
            )
        return False

    def cut_power(self, router: Router) -> None:
        """End all of a router at once; the cable first, for its kernel would answer on."""
        pull_cable(router.name)
        self.node(router.name).kill()

    def client_neighbour(self) -> bytes | None:
        """The MAC address that the client has for the virtual address."""
        with self.node(CLIENT).network(), _netlink("read", "the client's neighbours") as netlink:
            for entry in netlink.get_neighbours(family=_ADDRESS_FAMILY[self.plan.family]):
                if entry.get_attr("NDA_DST") == str(self.plan.vip) and entry.get_attr("NDA_LLADDR"):
                    return bytes.fromhex(entry.get_attr("NDA_LLADDR").replace(":", ""))
        return None

    def log_of(self, router: Router, lines: int = 10) -> str:
        """The end of what the daemon of *router* said."""
        with contextlib.suppress(FileNotFoundError):
            log = (self.node(router.name).directory / "daemon.log").read_text("utf-8", "replace")
            return "\n".join(f"    {line}" for line in log.splitlines()[-lines:])
        return ""


def pull_cable(name: str) -> None:
    """Take the cable of a machine out of the switch whose network namespace we are in: both ends lose carrier."""
    with _netlink("pull", f"the cable of {name}") as netlink:
        netlink.link("set", index=_index(netlink, name), state="down")


def plug_cable(name: str) -> None:
    """Plug the cable of a machine in again."""
    with _netlink("plug in", f"the cable of {name}") as netlink:
        netlink.link("set", index=_index(netlink, name), state="up")


def plugged_cables() -> set[str]:
    """Names of the machines whose cable is plugged in."""
    with _netlink("read", "the switch") as netlink:
        return {link.get_attr("IFLA_IFNAME") for link in netlink.get_links() if link["flags"] & 1}


@contextlib.contextmanager
def _netlink(operation: str, subject: str) -> Iterator[Any]:
    try:
        with IPRoute() as netlink:
            yield netlink
    except NetlinkError as error:
        raise KernelError(operation, subject, error.code) from None


def _index(netlink: Any, name: str) -> int:
    found: list[int] = netlink.link_lookup(ifname=name)
    if not found:
        raise VrrpError(f"there is no interface {name}")
    return found[0]


def _up(netlink: Any, index: int) -> None:
    # Link-local addresses that nobody asked for would be announced in the midst of a capture.
    with contextlib.suppress(NetlinkError):  # a kernel without IPv6
        netlink.link("set", index=index, IFLA_AF_SPEC=_ADDR_GEN_MODE_NONE)
    netlink.link("set", index=index, state="up")
