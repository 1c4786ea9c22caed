"""The firewall's rules: octet by octet as nft sends them, then in a kernel with nft as the judge."""

from __future__ import annotations

import errno
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from ipaddress import ip_address
from typing import Any

import pytest

from pyvrrp.errors import KernelError, NotPermitted
from pyvrrp.net import firewall
from pyvrrp.net.netlink import nftables, wire
from pyvrrp.net.netlink.client import Client
from pyvrrp.net.netlink.nftables import ListedRule, Rule
from pyvrrp.net.netlink.wire import Message, Request
from tests.netns import PATIENCE_S, Namespace, Network

needs_nft = pytest.mark.skipif(shutil.which("nft") is None, reason="needs the program nft")

V4 = "ip daddr 224.0.0.18 accept"
V6 = "ip6 daddr ff02::12 accept"
PEER = "ip saddr 192.0.2.2 meta l4proto vrrp accept"
PEER6 = "ip6 saddr fe80::2 meta l4proto vrrp accept"
PEERS = (ip_address("192.0.2.2"), ip_address("fe80::2%eth0"))

# What nft 1.0.6 sends after the header of each message, as `nft --debug=mnl` shows it on a little-endian machine.
TABLE = "01000000 0f0001006b656570616c697665640000 0800020000000000"
CHAIN = """
    01000000 0f0001006b656570616c697665640000 0b00030066696c7465720000 0b00070066696c7465720000 0800050000000001
    14000480 0800010000000001 0800020000000000
"""
RULE_V4 = """
    01000000 0f0001006b656570616c697665640000 0b00020066696c7465720000 e4000480
    24000180 090001006d65746100000000 14000280 080002000000000f 0800010000000001
    2c000180 08000100636d7000 20000280 0800010000000001 0800020000000000 0c000380 0500010002000000
    34000180 0c0001007061796c6f616400 24000280
        0800010000000001 0800020000000001 0800030000000010 0800040000000004
    2c000180 08000100636d7000 20000280 0800010000000001 0800020000000000 0c000380 08000100e0000012
    30000180 0e000100696d6d656469617465000000 1c000280 0800010000000000 10000280 0c000280 0800010000000001
"""
RULE_PEER6 = """
    01000000 0f0001006b656570616c697665640000 0b00020066696c7465720000 40010480
    24000180 090001006d65746100000000 14000280 080002000000000f 0800010000000001
    2c000180 08000100636d7000 20000280 0800010000000001 0800020000000000 0c000380 050001000a000000
    34000180 0c0001007061796c6f616400 24000280
        0800010000000001 0800020000000001 0800030000000008 0800040000000010
    38000180 08000100636d7000 2c000280 0800010000000001 0800020000000000
        18000380 14000100fe800000000000000000000000000001
    24000180 090001006d65746100000000 14000280 0800020000000010 0800010000000001
    2c000180 08000100636d7000 20000280 0800010000000001 0800020000000000 0c000380 0500010070000000
    30000180 0e000100696d6d656469617465000000 1c000280 0800010000000000 10000280 0c000280 0800010000000001
"""


@pytest.mark.parametrize(
    ("request_", "kind", "flags", "octets"),
    [
        (nftables.add_table("keepalived"), 0xA00, 0, TABLE),
        (nftables.add_chain("keepalived", "filter"), 0xA03, 0x400, CHAIN),
        (nftables.add_rule("keepalived", "filter", nftables.accept_group(4)), 0xA06, 0xC00, RULE_V4),
        (
            nftables.add_rule("keepalived", "filter", nftables.accept_peer(ip_address("fe80::1%eth0"))),
            0xA06,
            0xC00,
            RULE_PEER6,
        ),
        (nftables.delete_table("keepalived"), 0xA02, 0, TABLE[:-16]),
    ],
    ids=["table", "chain", "rule for the group", "rule for a peer", "delete"],
)
def test_octets(request_: Request, kind: int, flags: int, octets: str) -> None:
    assert (request_.kind, request_.flags) == (kind, flags)
    assert request_.payload.hex() == bytes.fromhex(octets).hex()


def test_a_batch_says_where_it_begins_and_ends_and_what_it_was_made_for() -> None:
    change = nftables.delete_table("keepalived")
    begin, middle, end = nftables.batch([change], 7)
    assert (begin.kind, begin.payload.hex()) == (16, "0000000a" + "0800010000000007")
    assert middle == change
    assert (end.kind, end.payload.hex()) == (17, "0000000a")
    assert nftables.batch([change], None)[0].payload.hex() == "0000000a"


def listed(rule: Rule, table: str = "keepalived") -> ListedRule:
    """The rule as the kernel would list it."""
    found = nftables.read_rule(Message(0xA06, 0, 1, nftables.add_rule(table, "filter", rule).payload))
    assert found is not None
    return found


def test_a_rule_is_told_from_others() -> None:
    rules = [nftables.accept_group(4), nftables.accept_group(6), *(nftables.accept_peer(peer) for peer in PEERS)]
    assert [rule.text for rule in rules] == [V4, V6, PEER, PEER6]
    for ours in rules:
        assert [nftables.same(ours, listed(other)) for other in rules] == [ours is other for other in rules]
    assert listed(rules[0])[:2] == ("keepalived", "filter")
    assert nftables.read_rule(Message(wire.NLMSG_DONE, 0, 1, b"")) is None


def test_a_rule_with_more_attributes_is_the_same_and_one_with_other_nesting_is_not() -> None:
    """A later kernel may tell more; a kernel that tells something else is not believed to mean the same."""
    rule = nftables.accept_group(4)
    table, chain, expressions = listed(rule)
    more = tuple((name, data + wire.pack_attribute(99, b"1234")) for name, data in expressions)
    assert nftables.same(rule, ListedRule(table, chain, more))
    flat = tuple((name, b"\1\0\0\0") for name, _ in expressions)
    assert not nftables.same(rule, ListedRule(table, chain, flat))


@pytest.mark.parametrize("payload", ["00000000", "00000000 06000100 00070000"])
def test_an_answer_without_a_generation_is_an_error(payload: str) -> None:
    with pytest.raises(KernelError, match="EBADMSG"):
        nftables.read_generation(Message(0xA0F, 0, 1, bytes.fromhex(payload)))


# A kernel that answers by script

Answers = Callable[[list[Message]], list[tuple[int, int]]]
"""What is answered to a send: sequence numbers and errors."""


class Kernel:
    """A socket whose kernel answers every send in the same way, or is silent when that is nothing."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._queue: list[bytes] = []

    def settimeout(self, _seconds: float) -> None:
        pass

    def send(self, data: bytes) -> int:
        for sequence, number in self._answers(wire.parse_messages(data)):
            self._queue.append(struct.pack("=IHHIIi", 36, wire.NLMSG_ERROR, 0, sequence, 0, -number) + bytes(16))
        return len(data)

    def recvmsg(self, _size: int) -> tuple[bytes, list[Any], int, tuple[int, int]]:
        if not self._queue:
            raise TimeoutError
        return self._queue.pop(0), [], 0, (0, 0)

    def close(self) -> None:
        pass


def answering(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> None:
    monkeypatch.setattr("pyvrrp.net.netlink.client._open", lambda *_: Kernel(answers))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_kernel_without_nf_tables_is_said(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    answering(monkeypatch, lambda messages: [(messages[0].sequence, number)])
    name = errno.errorcode[number]
    with pytest.raises(KernelError, match=rf"cannot read nftables generation: .* \({name}\): does this kernel have"):
        firewall.allow_vrrp()
    with pytest.raises(KernelError, match=rf"cannot change nftables: .* \({name}\): does this kernel have nf_tables"):
        firewall.forget()


def test_a_kernel_without_netfilter_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> socket.socket:
        raise OSError(errno.EPROTONOSUPPORT, "")

    monkeypatch.setattr("pyvrrp.net.netlink.client.socket.socket", refuse)
    with pytest.raises(KernelError, match=r"cannot open nftables: .* \(EPROTONOSUPPORT\): does this kernel have"):
        firewall.allow_vrrp()


def test_a_kernel_that_does_not_answer_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda _: [])
    for function in (firewall.allow_vrrp, firewall.forget):
        with pytest.raises(KernelError, match=r"cannot hear from nftables: .* \(ETIMEDOUT\)"):
            function()


def test_a_failure_to_commit_is_one_though_every_change_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says it of the beginning, and acknowledges the changes after that."""
    answering(monkeypatch, lambda messages: [(messages[0].sequence, errno.ENOMEM), (messages[1].sequence, 0)])
    with pytest.raises(KernelError, match=r"cannot change nftables: .* \(ENOMEM\)"):
        firewall.forget()


def test_rules_that_never_come_to_rest_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda messages: [(messages[0].sequence, errno.ERESTART)])
    monkeypatch.setattr(Client, "ask", lambda *_: Message(0xA0F, 0, 1, bytes.fromhex("000000000800010000000007")))
    monkeypatch.setattr(Client, "dump", lambda *_: [])
    with pytest.raises(KernelError, match="the rules changed during each of 16 attempts"):
        firewall.allow_vrrp()


# The kernel, with nft as the judge


def nft(host: Namespace, *lines: str) -> None:
    host.run(["nft", "; ".join(lines)])


def ruleset(host: Namespace) -> str:
    return host.run(["nft", "list", "ruleset"])


def by_nft(host: Namespace) -> None:
    """What the old image does, in one batch."""
    nft(
        host,
        "add table inet keepalived",
        "add chain inet keepalived filter { type filter hook input priority 0; policy accept; }",
        f"add rule inet keepalived filter {V4}",
    )


@pytest.mark.root
@needs_nft
def test_the_list_is_that_of_the_old_image(network: Network) -> None:
    ours, theirs = network.namespace("ours"), network.namespace("theirs")
    assert ours.call(firewall.allow_vrrp) == (V4,)
    by_nft(theirs)
    assert ruleset(ours) == ruleset(theirs)
    assert f"\n\t\t{V4}\n" in ruleset(ours)


@pytest.mark.root
@needs_nft
def test_a_rule_that_is_there_is_not_added_again(network: Network) -> None:
    """Whoever put it there: we, or nft in the old image."""
    ours, theirs = network.namespace("ours"), network.namespace("theirs")
    ours.call(firewall.allow_vrrp)
    by_nft(theirs)
    for host in (ours, theirs):
        before = ruleset(host)
        assert host.call(firewall.allow_vrrp) == ()
        assert ruleset(host) == before


@pytest.mark.root
@needs_nft
def test_rules_by_option(network: Network) -> None:
    """Only those that are missing are added; the zone of a peer's address is no part of its rule."""
    host = network.namespace()
    host.call(firewall.allow_vrrp)
    assert host.call(firewall.allow_vrrp, ipv6=True, peers=(*PEERS, PEERS[0])) == (V6, PEER, PEER6)
    assert host.call(firewall.allow_vrrp, ipv6=True, peers=PEERS) == ()
    rules = [line.strip() for line in ruleset(host).splitlines() if line.endswith(" accept")]
    assert rules == [V4, V6, PEER, PEER6]


@pytest.mark.root
@needs_nft
def test_what_looks_alike_does_not_count(network: Network) -> None:
    """The same rule in another table or chain, one that also counts, one that drops."""
    host = network.namespace()
    by_nft(host)
    nft(host, "flush chain inet keepalived filter")
    nft(host, "add chain inet keepalived other", f"add rule inet keepalived other {V4}")
    nft(host, "add table inet else", "add chain inet else filter", f"add rule inet else filter {V4}")
    for text in ("ip daddr 224.0.0.18 counter accept", "ip daddr 224.0.0.18 drop", "ip saddr 224.0.0.18 accept"):
        nft(host, f"add rule inet keepalived filter {text}")
    assert host.call(firewall.allow_vrrp) == (V4,)
    assert host.call(firewall.allow_vrrp) == ()


@pytest.mark.root
@needs_nft
def test_forget_deletes_the_table_and_no_other(network: Network) -> None:
    host = network.namespace()
    nft(host, "add table inet else", "add chain inet else filter", "add table ip keepalived")
    before = ruleset(host)
    assert host.call(firewall.forget) is False
    host.call(firewall.allow_vrrp, ipv6=True)
    assert ruleset(host) != before
    assert host.call(firewall.forget) is True
    assert ruleset(host) == before


@pytest.mark.root
@needs_nft
def test_a_change_is_made_whole_or_not_at_all(network: Network) -> None:
    """The error names what was refused: here the chain, which is there on another hook."""
    host = network.namespace()
    nft(host, "add table inet keepalived")
    nft(host, "add chain inet keepalived filter { type filter hook forward priority 0; policy accept; }")
    before = ruleset(host)
    with pytest.raises(KernelError, match=r"cannot add chain inet keepalived filter: .* another type, hook or prio"):
        host.call(firewall.allow_vrrp)
    assert ruleset(host) == before


@pytest.mark.root
@needs_nft
def test_a_rule_that_comes_while_we_look_is_not_added_twice(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pods that start at once: the batch of the slower one is refused, and it looks again."""
    host = network.namespace()
    look = firewall._missing
    looks = []

    def slow(client: Client, wanted: Sequence[Rule]) -> list[Rule]:
        looks.append(look(client, wanted))
        if len(looks) == 1:
            by_nft(host)
        return looks[-1]

    monkeypatch.setattr(firewall, "_missing", slow)
    assert host.call(firewall.allow_vrrp) == ()
    assert [len(missing) for missing in looks] == [1, 0]
    assert ruleset(host).count(V4) == 1


@pytest.mark.root
def test_a_table_of_another_program_is_not_taken_for_a_missing_right(network: Network) -> None:
    """A table with an owner (flag 2), which closes its socket at the end of the test."""
    name = wire.pack_attribute(1, b"keepalived\0")
    owned = Request(nftables.NEW_TABLE, 0, b"\1\0\0\0" + name + wire.pack_attribute(2, b"\0\0\0\2"))
    with network.namespace().inside(), closing(Client(12, "nftables")) as owner:
        assert owner.transact(nftables.batch([owned], None))[1].errno == 0
        with pytest.raises(KernelError, match="belongs to another program") as caught:
            firewall.forget()
        assert not isinstance(caught.value, NotPermitted)


_WITHOUT = """
from pyvrrp.errors import NotPermitted
from pyvrrp.net import firewall
for function in (firewall.allow_vrrp, firewall.forget):
    try:
        function()
    except NotPermitted as error:
        print(error)
"""


@pytest.mark.root
def test_without_the_right_it_is_said_at_once(network: Network) -> None:
    host = network.namespace()
    wrapper = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    done = subprocess.run(
        host.command([*wrapper, sys.executable, "-c", _WITHOUT]),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.stdout.splitlines() == [
        "cannot read nftables generation: Operation not permitted (EPERM): needs CAP_NET_ADMIN",
        "cannot change nftables: Operation not permitted (EPERM): needs CAP_NET_ADMIN",
    ], done.stderr


# Packets


class Wire:
    """Two hosts on a cable; what the sender sends, the receiver's program hears unless a firewall drops it."""

    def __init__(self, network: Network) -> None:
        self.sender, self.receiver = network.namespace("sender"), network.namespace("receiver")
        network.veth(self.sender, "eth0", self.receiver, "eth0")
        for host, number in ((self.receiver, 1), (self.sender, 2)):
            host.ip("addr", "add", f"192.0.2.{number}/24", "dev", "eth0")
            host.ip("addr", "add", f"fe80::{number}/64", "dev", "eth0", "nodad")

    def heard(self, family: socket.AddressFamily, destination: str) -> bool:
        """Whether a packet of protocol 112 comes through; the mark after it, of protocol 253, must."""
        sources = {socket.AF_INET: "192.0.2.2", socket.AF_INET6: "fe80::2"}
        nft(self.receiver, "insert rule inet keepalived filter meta l4proto 253 accept")
        with (
            self.receiver.call(socket.socket, family, socket.SOCK_RAW, 112) as receiving,
            self.receiver.call(socket.socket, family, socket.SOCK_RAW, 253) as marks,
            self.sender.call(socket.socket, family, socket.SOCK_RAW, 112) as sending,
            self.sender.call(socket.socket, family, socket.SOCK_RAW, 253) as marking,
        ):
            self._join(receiving, family)
            marks.settimeout(PATIENCE_S)
            receiving.setblocking(False)
            for sender in (sending, marking):
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
                sender.bind((sources[family], 0))  # for IPv6 the interface is that of the option before
            sending.sendto(b"advertisement", (destination, 0))
            target = "192.0.2.1" if family == socket.AF_INET else "fe80::1"
            marking.sendto(b"mark", (target, 0))
            marks.recv(100)
            try:
                return receiving.recv(100).endswith(b"advertisement")
            except BlockingIOError:
                return False

    def _join(self, receiving: socket.socket, family: int) -> None:
        index = self.receiver.index()
        if family == socket.AF_INET:
            group = socket.inet_aton("224.0.0.18") + socket.inet_aton("0.0.0.0") + struct.pack("=i", index)
            receiving.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        else:
            group = socket.inet_pton(family, "ff02::12") + struct.pack("=i", index)
            receiving.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)


@pytest.mark.root
@needs_nft
def test_vrrp_passes_where_the_rest_of_the_chain_drops(network: Network) -> None:
    """And only what was asked for; ARP and neighbour discovery are let in, or nothing would be sent."""
    cable = Wire(network)
    by_nft(cable.receiver)
    nft(
        cable.receiver,
        "flush chain inet keepalived filter",
        "add rule inet keepalived filter meta l4proto icmpv6 accept",
    )
    v4, v6 = (socket.AF_INET, "224.0.0.18"), (socket.AF_INET6, "ff02::12")
    unicast, unicast6 = (socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "fe80::1")
    drop = "add rule inet keepalived filter drop"

    def allow(**more: Any) -> None:
        """Our rules at the end, a drop after them."""
        cable.receiver.call(firewall.allow_vrrp, **more)
        nft(cable.receiver, drop)

    allow()
    assert [cable.heard(*one) for one in (v4, v6, unicast, unicast6)] == [True, False, False, False]
    cable.receiver.call(firewall.forget)
    by_nft(cable.receiver)
    nft(cable.receiver, "add rule inet keepalived filter meta l4proto icmpv6 accept")
    allow(ipv6=True, peers=PEERS)
    assert [cable.heard(*one) for one in (v4, v6, unicast, unicast6)] == [True, True, True, True]


@pytest.mark.root
@needs_nft
def test_what_another_table_drops_stays_dropped(network: Network) -> None:
    """An accept ends the way through its own chain only: the rules document what is wanted, they override nothing."""
    cable = Wire(network)
    cable.receiver.call(firewall.allow_vrrp)
    assert cable.heard(socket.AF_INET, "224.0.0.18")
    nft(
        cable.receiver,
        "add table inet site",
        "add chain inet site input { type filter hook input priority 10; policy accept; }",
        "add rule inet site input ip protocol 112 drop",
    )
    assert not cable.heard(socket.AF_INET, "224.0.0.18")
