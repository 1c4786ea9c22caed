"""
The nftables messages for a table, a chain and rules that accept: requests as octets, what the kernel says as values.

The octets are those that the `nft` program sends for the same text, so that it lists the same text of them. Numbers
are in network byte order, other than in rtnetlink.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from pyvrrp.errors import KernelError
from pyvrrp.net.netlink import wire
from pyvrrp.net.netlink.wire import Message, Request
from pyvrrp.protocol.constants import GROUP_V4, GROUP_V6, IP_PROTOCOL, IPAddress

# linux/netfilter/nfnetlink.h
_SUBSYSTEM: Final = 10  # NFNL_SUBSYS_NFTABLES, the upper octet of a message's type
NFNL_MSG_BATCH_BEGIN: Final = 16
NFNL_MSG_BATCH_END: Final = 17
_NFNL_BATCH_GENID: Final = 1

# linux/netfilter/nf_tables.h
NEW_TABLE: Final = _SUBSYSTEM << 8 | 0
DEL_TABLE: Final = _SUBSYSTEM << 8 | 2
NEW_CHAIN: Final = _SUBSYSTEM << 8 | 3
NEW_RULE: Final = _SUBSYSTEM << 8 | 6
GET_RULE: Final = _SUBSYSTEM << 8 | 7
GET_GENERATION: Final = _SUBSYSTEM << 8 | 16

_TABLE_NAME: Final = 1
_TABLE_FLAGS: Final = 2
_CHAIN_TABLE: Final = 1
_CHAIN_NAME: Final = 3
_CHAIN_HOOK: Final = 4
_CHAIN_POLICY: Final = 5
_CHAIN_TYPE: Final = 7
_HOOK_NUMBER: Final = 1
_HOOK_PRIORITY: Final = 2
_RULE_TABLE: Final = 1
_RULE_CHAIN: Final = 2
_RULE_EXPRESSIONS: Final = 4
_LIST_ELEMENT: Final = 1
_EXPRESSION_NAME: Final = 1
_EXPRESSION_DATA: Final = 2
_GENERATION_ID: Final = 1

_INET: Final = 1  # NFPROTO_INET: both families
_LOCAL_IN: Final = 1  # NF_INET_LOCAL_IN, the hook "input"
_ACCEPT: Final = 1  # NF_ACCEPT
_APPEND: Final = 0x800  # NLM_F_APPEND
_REGISTER: Final = 1
_VERDICT_REGISTER: Final = 0
_META_FAMILY: Final = 15  # NFT_META_NFPROTO
_META_PROTOCOL: Final = 16  # NFT_META_L4PROTO
_NETWORK_HEADER: Final = 1
_EQUAL: Final = 0

_HEADER: Final = struct.Struct("!BBH")  # nfgenmsg: family, version, resource
_U32: Final = struct.Struct("!I")

_FAMILIES: Final = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}  # NFPROTO_IPV4 and _IPV6 are the same numbers
_SOURCE: Final = {4: 12, 6: 8}  # octets into the IP header
_DESTINATION: Final = {4: 16, 6: 24}

Tree: TypeAlias = "bytes | tuple[tuple[int, Tree], ...]"
"""The value of an attribute: octets, or the attributes nested in it."""


class Expression(NamedTuple):
    """One step of a rule: its kind, and what it works on."""

    name: str
    data: Tree


class Rule(NamedTuple):
    """A rule that accepts; *text* is what `nft list` shows of it."""

    text: str
    expressions: tuple[Expression, ...]


class ListedRule(NamedTuple):
    """A rule of the kernel's list: where it stands, and its expressions as name and packed attributes."""

    table: str
    chain: str
    expressions: tuple[tuple[str, bytes], ...]


def accept_group(version: int) -> Rule:
    """Let in what is sent to VRRP's multicast group of IP *version*."""
    group: IPAddress = GROUP_V4 if version == 4 else GROUP_V6
    text = f"{_word(version)} daddr {group} accept"
    return Rule(text, (*_address(group, _DESTINATION[version]), _accept()))


def accept_peer(peer: IPAddress) -> Rule:
    """Let in VRRP from one unicast peer; the zone of a link-local address is no part of the rule."""
    plain = str(peer).partition("%")[0]
    text = f"{_word(peer.version)} saddr {plain} meta l4proto vrrp accept"
    protocol = (_meta(_META_PROTOCOL), _equal(bytes([IP_PROTOCOL])))
    return Rule(text, (*_address(peer, _SOURCE[peer.version]), *protocol, _accept()))


def batch(requests: Sequence[Request], generation: int | None) -> list[Request]:
    """
    Put requests between the marks that make them one change, which is made whole or not at all.

    Args:
        requests: What to change.
        generation: Refuse (ERESTART) unless the rules are still those of that generation; None changes any.
    """
    known = b"" if generation is None else _number(_NFNL_BATCH_GENID, generation)
    return [
        Request(NFNL_MSG_BATCH_BEGIN, 0, _HEADER.pack(socket.AF_UNSPEC, 0, _SUBSYSTEM) + known),
        *requests,
        Request(NFNL_MSG_BATCH_END, 0, _HEADER.pack(socket.AF_UNSPEC, 0, _SUBSYSTEM)),
    ]


def get_generation() -> Request:
    """Ask for the number that changes with every change of any rule."""
    return Request(GET_GENERATION, 0, _HEADER.pack(socket.AF_UNSPEC, 0, 0))


def read_generation(message: Message) -> int:
    """
    Read the answer to that.

    Raises:
        KernelError: It is none (EBADMSG).
    """
    value = wire.parse_attributes(message.payload, _HEADER.size).get(_GENERATION_ID, b"")
    if len(value) != 4:
        raise wire.malformed(f"generation of {len(value)} octets")
    number: int = _U32.unpack(value)[0]
    return number


def add_table(table: str) -> Request:
    """Make a table of family inet; one that is there stays."""
    attributes = ((_TABLE_NAME, _text(table)), (_TABLE_FLAGS, _U32.pack(0)))
    return Request(NEW_TABLE, 0, _payload(attributes))


def delete_table(table: str) -> Request:
    """Delete a table of family inet with all that is in it."""
    return Request(DEL_TABLE, 0, _payload(((_TABLE_NAME, _text(table)),)))


def add_chain(table: str, chain: str) -> Request:
    """Make a chain of type filter on hook input, priority 0, policy accept; one that is there stays."""
    hook = ((_HOOK_NUMBER, _U32.pack(_LOCAL_IN)), (_HOOK_PRIORITY, _U32.pack(0)))
    attributes: tuple[tuple[int, Tree], ...] = (
        (_CHAIN_TABLE, _text(table)),
        (_CHAIN_NAME, _text(chain)),
        (_CHAIN_TYPE, _text("filter")),
        (_CHAIN_POLICY, _U32.pack(_ACCEPT)),
        (_CHAIN_HOOK, hook),
    )
    return Request(NEW_CHAIN, wire.NLM_F_CREATE, _payload(attributes))


def add_rule(table: str, chain: str, rule: Rule) -> Request:
    """Put a rule at the end of a chain."""
    expressions = tuple(
        (_LIST_ELEMENT, ((_EXPRESSION_NAME, _text(name)), (_EXPRESSION_DATA, data))) for name, data in rule.expressions
    )
    attributes: tuple[tuple[int, Tree], ...] = (
        (_RULE_TABLE, _text(table)),
        (_RULE_CHAIN, _text(chain)),
        (_RULE_EXPRESSIONS, expressions),
    )
    return Request(NEW_RULE, wire.NLM_F_CREATE | _APPEND, _payload(attributes))


def get_rules(table: str, chain: str) -> Request:
    """Ask for the rules of a chain; an old kernel answers with those of all chains."""
    return Request(GET_RULE, 0, _payload(((_RULE_TABLE, _text(table)), (_RULE_CHAIN, _text(chain)))))


def read_rule(message: Message) -> ListedRule | None:
    """
    Read one rule of the answer to that; None for a message that is none.

    Raises:
        KernelError: A length is impossible (EBADMSG).
    """
    if message.kind != NEW_RULE:
        return None
    attributes = wire.parse_attributes(message.payload, _HEADER.size)
    found = []
    for _, element in wire.split_attributes(attributes.get(_RULE_EXPRESSIONS, b"")):
        parts = wire.parse_attributes(element)
        found.append((_read_text(parts.get(_EXPRESSION_NAME, b"")), parts.get(_EXPRESSION_DATA, b"")))
    table, chain = (_read_text(attributes.get(kind, b"")) for kind in (_RULE_TABLE, _RULE_CHAIN))
    return ListedRule(table, chain, tuple(found))


def same(rule: Rule, listed: ListedRule) -> bool:
    """
    Whether a listed rule does what *rule* does: the same steps in the same order, whoever put it there.

    Attributes that we do not send, as a later kernel may add, make no difference.
    """
    if len(rule.expressions) != len(listed.expressions):
        return False
    pairs = zip(rule.expressions, listed.expressions, strict=True)
    try:
        return all(ours.name == name and _within(ours.data, data) for ours, (name, data) in pairs)
    except KernelError:  # not nested where ours is: something else
        return False


def _within(expected: Tree, octets: bytes) -> bool:
    if isinstance(expected, bytes):
        return expected == octets
    found = wire.parse_attributes(octets)
    return all(kind in found and _within(value, found[kind]) for kind, value in expected)


def _word(version: int) -> str:
    return "ip" if version == 4 else "ip6"


def _meta(key: int) -> Expression:
    return Expression("meta", ((2, _U32.pack(key)), (1, _U32.pack(_REGISTER))))


def _load(offset: int, octets: int) -> Expression:
    values = (_REGISTER, _NETWORK_HEADER, offset, octets)
    return Expression("payload", tuple((kind, _U32.pack(value)) for kind, value in enumerate(values, 1)))


def _equal(value: bytes) -> Expression:
    return Expression("cmp", ((1, _U32.pack(_REGISTER)), (2, _U32.pack(_EQUAL)), (3, ((1, value),))))


def _accept() -> Expression:
    return Expression("immediate", ((1, _U32.pack(_VERDICT_REGISTER)), (2, ((2, ((1, _U32.pack(_ACCEPT)),)),))))


def _address(address: IPAddress, offset: int) -> tuple[Expression, ...]:
    """The packet is of the address's family, and has the address there."""
    packed = address.packed
    family = bytes([_FAMILIES[address.version]])
    return _meta(_META_FAMILY), _equal(family), _load(offset, len(packed)), _equal(packed)


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def _read_text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode("utf-8", "replace")


def _number(kind: int, value: int) -> bytes:
    return wire.pack_attribute(kind, _U32.pack(value))


def _payload(attributes: tuple[tuple[int, Tree], ...]) -> bytes:
    return _HEADER.pack(_INET, 0, 0) + _pack(attributes)


def _pack(attributes: tuple[tuple[int, Tree], ...]) -> bytes:
    return b"".join(
        wire.pack_attribute(kind, value)
        if isinstance(value, bytes)
        else wire.pack_attribute(kind | wire.NLA_F_NESTED, _pack(value))
        for kind, value in attributes
    )
