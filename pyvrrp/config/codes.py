"""
The stable codes of complaints: what tools match instead of the words of a message.

A code is never renamed, nor given another meaning; messages and hints may be worded better at any time.
"""

from __future__ import annotations

import enum
from typing import Self


class Code(enum.StrEnum):
    """A code, and in one line what it means."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Self:
        """Keep the meaning beside the text."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    # Given to a complaint whose maker named none: the same words as its severity.
    REMARK = "remark", "something worth knowing; nothing is lost"
    MENDED = "mended", "used, but not as it stands"
    DROPPED = "dropped", "not used; the rest runs"
    FATAL = "fatal", "nothing can be started with this"
    UNREADABLE = "unreadable", "the text could not be read as a whole"

    # The text.
    UNKNOWN_KEYWORD = "unknown-keyword", "no keyword of that block"
    MISSING_BRACE = "missing-brace", "a block has no beginning, or no end"
    EXTRA_BRACE = "extra-brace", "a brace where none may be"
    MISPLACED_BLOCK = "misplaced-block", "a block inside of one that cannot hold it"
    QUOTE = "unterminated-quote", "a quote is not closed"
    LINE_LENGTH = "line-length", "a line is longer than is read"
    NUL_OCTET = "nul-octet", "a NUL octet stands in the text"
    TOO_MUCH = "too-much", "more of something than is kept"
    MORE_COMPLAINTS = "more-complaints", "the list of complaints is cut short here"
    INCLUDE = "include", "an included file is missing, cannot be read, or includes itself"
    PARAMETER = "parameter", "a `$NAME` or `~SEQ` cannot be replaced"
    CONDITION = "condition", "an `@ID` line cannot be understood"

    # Names of blocks.
    MISSING_NAME = "missing-name", "a block needs a name, and one name only"
    DUPLICATE_NAME = "duplicate-name", "a block of that name exists already"
    NAME_LENGTH = "name-length", "a name is longer than it may be"

    # Values.
    MISSING_VALUE = "missing-value", "a keyword lacks its value"
    VALUE_RANGE = "value-range", "a number outside of its range"
    BAD_NUMBER = "bad-number", "no number, or more than a number"
    BAD_VALUE = "bad-value", "a word that the keyword does not know"
    BAD_ADDRESS = "bad-address", "no IP address, or one that cannot be used here"
    BAD_PREFIX = "bad-prefix", "the prefix length of an address is impossible"
    BAD_INTERFACE = "bad-interface", "the name of no interface that could be used"
    BAD_COMMAND = "bad-command", "a command that cannot be split into words"
    BAD_LINE = "bad-line", "a route, a rule or another line of a block that makes no sense"
    UNKNOWN_OPTION = "unknown-option", "an option that is not known there"
    FAMILY = "address-family", "IPv4 and IPv6 are mixed where one family is needed"
    TRUNCATED = "truncated", "a value is cut to the length that is used"
    ROUNDED = "rounded", "an interval that cannot be sent as it stands"
    EXTRA_WORDS = "extra-words", "words that mean nothing here"
    NO_SWITCH = "no-switch", "a keyword that takes no value cannot be turned off by one"
    ALREADY_SAID = "already-said", "said before, and the first one stays"
    DUPLICATE = "duplicate", "the same again"
    DEPRECATED = "deprecated", "an old word; a newer one means the same"

    # How far pyvrrp is.
    NO_EFFECT = "no-effect", "accepted, and does nothing in pyvrrp"
    NOT_SUPPORTED = "not-supported", "not built yet"
    REFUSED = "refused", "not built yet, and the instance would serve wrongly without it: it is not run"

    # What an instance comes to.
    NO_ROUTER = "no-router", "there is no virtual router"
    NO_VRID = "no-vrid", "an instance has no virtual_router_id"
    NO_INTERFACE = "no-interface", "an instance has no interface"
    NO_ADDRESS = "no-address", "an instance has no virtual address"
    TOO_MANY_ADDRESSES = "too-many-addresses", "more virtual addresses than an advertisement holds"
    LINK_LOCAL = "link-local-first", "the first IPv6 address should be link-local"
    STATE = "state", "the state does not fit the priority"
    PREEMPTION = "preemption", "state, nopreempt and preempt_delay contradict each other"
    VERSION = "version-conflict", "the version does not fit the addresses"
    AUTHENTICATION = "authentication", "the authentication that is asked for is not used"
    UNICAST = "unicast", "unicast is half configured, or does not fit other keywords"
    GROUP = "multicast-group", "the multicast group does not fit other keywords"
    STRICT = "strict-mode", "RFC strictness forbids it"
    ACCEPT = "accept-mode", "accept mode does not fit other keywords"
    WEIGHT = "weight", "a weight that cannot count there"
    VMAC = "vmac", "the VMAC or ipvlan that is asked for does not fit other keywords"

    # What refers to something else.
    NOT_FOUND = "not-found", "nothing of that name is defined"
    DEFINED_LATER = "defined-later", "it is defined further down, and must come first"
    UNUSED = "unused", "defined, and nobody uses it"
    INCOMPLETE = "incomplete", "a block lacks what it cannot do without, and is removed"
    SYNC_GROUP = "sync-group", "a sync group is empty, small, or its members contradict it"
    OWN_INTERFACE = "own-interface", "the own interface need not be tracked"
    DUPLICATE_VRID = "duplicate-vrid", "two instances could not be told apart by who receives them"
    INTERFACE_MISSING = "interface-missing", "an interface does not exist"
    SCRIPT_SECURITY = "script-security", "scripts run without script security"
