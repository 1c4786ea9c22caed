"""
The model to statements: each row of the keyword table says the value of its target, so a new row comes along by itself.

What the model has in another shape than the rows is looked up in the `_..._VALUES` of its block. Defaults are those of
a block that says nothing, as the parser fills them in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final, TypeAlias

from pyvrrp.config.addresses import Peer
from pyvrrp.config.commands import DeletedScript, Script
from pyvrrp.config.complaints import Log
from pyvrrp.config.keywords import BY_BLOCK
from pyvrrp.config.lexer import Line
from pyvrrp.config.load import parse_text
from pyvrrp.config.model import (
    BfdInstance,
    Configuration,
    GlobalSettings,
    TrackFile,
    VrrpInstance,
    VrrpScript,
)
from pyvrrp.config.native.statement import ORDER, Statement, reader_of
from pyvrrp.config.native.words import SAYS
from pyvrrp.config.readers import BadValue, Flag, Reading
from pyvrrp.config.rows import Block, Row, Shape
from pyvrrp.errors import UsageError
from pyvrrp.protocol.constants import PRIORITY_OWNER

Values: TypeAlias = Mapping[str, Callable[[Any], Any]]
# The first keyword of a block: `track_file`, not the older `vrrp_track_file`.
_OPENERS: Final = {row.opens: row for row in reversed(BY_BLOCK[Block.ROOT].values()) if row.opens is not None}
# Whose defaults depend on each other and on the addresses, and what has none.
_ALWAYS: Final[Mapping[Block, frozenset[str]]] = {
    Block.INSTANCE: frozenset({"state", "priority", "vrid", "interface", "version", "virtual_addresses"}),
    Block.SCRIPT: frozenset({"command"}),
    Block.TRACK_FILE: frozenset({"path"}),
    Block.TRACK_PROCESS: frozenset({"process"}),
    Block.BFD: frozenset({"neighbour"}),
    Block.SYNC_GROUP: frozenset({"members"}),
    Block.TRACK_GROUP: frozenset({"members"}),
    Block.GARP_GROUP: frozenset({"interval_us", "interfaces"}),
}
_PLAIN: Final = """
vrrp_script s {
  script s
}
track_file f {
  file f
}
vrrp_track_process p {
  process p
}
bfd_instance b {
  neighbor_ip 192.0.2.1
}
vrrp_instance i {
  virtual_router_id 1
  interface i
  virtual_ipaddress {
    192.0.2.1
  }
}
vrrp_sync_group g {
  group {
    i
  }
}
track_group g {
  group {
    i
  }
}
garp_group {
  garp_interval 1
  interface i
}
"""


def statements(configuration: Configuration, *, full: bool = False) -> tuple[Statement, ...]:
    """
    Say a configuration.

    Args:
        configuration: What to say; of one that was built by code only values that a file can have.
        full: Defaults are said too.

    Raises:
        UsageError: Instances differ in what only `global_defs` can say.
    """
    top = _block(Block.ROOT, configuration, full=full)
    said = [each for each in top if each.row.shape is Shape.LINE]
    for block in ORDER:
        row = _OPENERS[block]
        for each in _parts(configuration, block):
            body = _block(block, each, full=full)
            if body or block is not Block.GLOBAL:
                said.append(Statement(row, (each.name,) if row.named else (), body=body))
        if block is Block.TRACK_GROUP:  # which static addresses, routes and rules name
            said += [each for each in top if each.row.shape is Shape.LINES]
    return tuple(said)


def _parts(configuration: Configuration, block: Block) -> tuple[Any, ...]:
    """The things of the model that blocks of that kind say."""
    found: dict[Block, tuple[Any, ...]] = {
        Block.GLOBAL: (configuration,),
        Block.TRACK_FILE: configuration.track_files,
        Block.TRACK_PROCESS: configuration.track_processes,
        Block.BFD: configuration.bfd_instances,
        Block.SCRIPT: configuration.scripts,
        Block.GARP_GROUP: configuration.garp_groups,
        Block.INSTANCE: configuration.instances,
        Block.TRACK_GROUP: configuration.track_groups,
        Block.SYNC_GROUP: configuration.sync_groups,
    }
    return found[block]


@cache
def _defaults(block: Block) -> Any:
    """A thing of that kind of which nothing was said that need not be."""
    plain = parse_text(_PLAIN).everything
    return plain if block is Block.ROOT else _parts(plain, block)[0]


# Where the model's shape is another than that of the rows.


def _pacing(name: str) -> Callable[[Configuration], int]:
    def common(configuration: Configuration) -> int:
        found = {getattr(instance.garp, name) for instance in configuration.instances}
        if len(found) > 1:
            raise UsageError(f"garp.{name} is one for all instances, these have {sorted(found)}")
        return found.pop() if found else 0

    return common


def _script_user(settings: GlobalSettings) -> tuple[str, str | None] | None:
    return None if settings.script_user is None else (settings.script_user, settings.script_group)


def _dynamic(settings: GlobalSettings) -> tuple[str, ...] | None:
    if not settings.dynamic_interfaces:
        return None
    return ("allow_if_changes",) if settings.interfaces_may_change else ()


def _of_globals(read: Callable[[GlobalSettings], Any]) -> Callable[[Configuration], Any]:
    return lambda configuration: read(configuration.globals)


def _fifo(name: str) -> Callable[[Configuration], Any]:
    def path(configuration: Configuration) -> Any:
        fifo = getattr(configuration.globals, name)
        return None if fifo.path is None else (fifo.path, fifo.user, fifo.group)

    return path


_GLOBAL_VALUES: Final[Values] = {
    "script_user": _of_globals(_script_user),
    "dynamic_interfaces": _of_globals(_dynamic),
    "notify_fifo.path": _fifo("notify_fifo"),
    "vrrp_notify_fifo.path": _fifo("vrrp_notify_fifo"),
    "reload.check_log": _of_globals(lambda it: (it.reload.check_log or "") if it.reload.check else None),
    "reload.mark_file": _of_globals(lambda it: (it.reload.mark_file or "") if it.reload.mark else None),
    "notification_email": _of_globals(lambda it: [(word,) for word in it.notification_email]),
    "garp.interval_us": _pacing("interval_us"),
    "garp.gna_interval_us": _pacing("gna_interval_us"),
    # Defaults of the instances, which the model has in each instance.
    **dict.fromkeys(
        (
            "version",
            "group4",
            "group6",
            "garp.master_delay_us",
            "garp.master_repeat",
            "garp.master_refresh_us",
            "garp.master_refresh_repeat",
            "garp.lower_prio_delay_us",
            "garp.lower_prio_repeat",
            "garp.extra",
            "min_garp",
            "down_timer_adverts",
            "lower_prio_no_advert",
            "higher_prio_send_advert",
            "check_unicast_source",
            "skip_address_check",
            "strict",
            "checksum_without_pseudo_header",
            "owner_ignore_adverts",
            "notify_priority_changes",
        ),
        lambda _configuration: None,
    ),
}


def _accept(instance: VrrpInstance) -> bool | None:
    """What strictness and ownership decide need not be said."""
    if instance.priority == PRIORITY_OWNER or instance.accept is not instance.strict:
        return None
    return instance.accept


def _peers(instance: VrrpInstance) -> list[Peer]:
    bounds = instance.unicast_ttl_bounds
    whole = bounds or ((0, 255),) * len(instance.unicast_peers)
    pairs = zip(instance.unicast_peers, whole, strict=True)
    return [Peer(address, least, most, bool(bounds)) for address, (least, most) in pairs]


def _of_hmac(name: str) -> Callable[[VrrpInstance], Any]:
    return lambda instance: None if instance.hmac is None else getattr(instance.hmac, name)


_INSTANCE_VALUES: Final[Values] = {
    "native_ipv6": lambda _instance: None,  # the addresses tell
    "mcast_source": lambda it: None if it.unicast else it.source,
    "unicast_source": lambda it: it.source if it.unicast else None,
    "peers": _peers,
    "accept": _accept,
    "auth_type": lambda it: it.authentication and it.authentication.auth_type,
    "auth_pass": lambda it: it.authentication and it.authentication.password,
    "check_unicast_source": lambda it: it.check_unicast_source and not it.unicast_ttl_bounds,
    "garp.interval_us": lambda _instance: None,
    "garp.extra": lambda it: (it.garp.extra_interval_us, it.garp.extra_all),
    "deleted": lambda it: (True, it.notify.deleted) if it.notify_deleted else None,
    **{f"hmac.{name}": _of_hmac(name) for name in ("keys", "active_key", "time_window_us", "anti_replay", "mode")},
}


def _weight(it: VrrpScript | TrackFile | BfdInstance) -> tuple[int, bool]:
    return it.weight, it.reverse


def _run_by(script: VrrpScript) -> tuple[str, str | None] | None:
    command = script.command
    return None if command is None or command.user is None else (command.user, command.group)


def _one_line(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(word,) for word in words]


_VALUES: Final[Mapping[Block, Values]] = {
    Block.ROOT: {},
    Block.GLOBAL: _GLOBAL_VALUES,
    Block.INSTANCE: _INSTANCE_VALUES,
    Block.AUTHENTICATION: _INSTANCE_VALUES,
    Block.AUTH_HMAC: _INSTANCE_VALUES,
    Block.SCRIPT: {"weight": _weight, "user": _run_by},
    Block.TRACK_FILE: {
        "weight": _weight,
        "init_file": lambda it: None if it.initial is None else (it.initial, it.overwrite),
    },
    Block.TRACK_PROCESS: {"weight": _weight, "delay_us": lambda _process: None},
    Block.BFD: {
        "weight": _weight,
        "vrrp": lambda it: it.for_vrrp and not it.for_checker,
        "checker": lambda it: it.for_checker and not it.for_vrrp,
    },
    Block.SYNC_GROUP: {"members": lambda it: _one_line(it.members)},
    Block.TRACK_GROUP: {"members": lambda it: _one_line(it.members)},
    Block.GARP_GROUP: {"interface": lambda _group: None, "interfaces": lambda it: _one_line(it.interfaces)},
}


def _value(block: Block, target: str, thing: Any) -> Any:
    """The value of a target, as its reader makes it."""
    read = _VALUES[block].get(target)
    if read is not None:
        return read(thing)
    if isinstance(thing, Configuration) and not hasattr(thing, target.partition(".")[0]):
        thing = thing.globals
    for name in target.split("."):
        thing = getattr(thing, name)
    return thing


# Statements of one block.


def _block(block: Block, thing: Any, *, full: bool) -> tuple[Statement, ...]:
    said: list[Statement] = []
    done: set[str] = set()
    for row in BY_BLOCK[block].values():
        if row.opens in (Block.AUTHENTICATION, Block.AUTH_HMAC):
            part = thing.authentication if row.opens is Block.AUTHENTICATION else thing.hmac
            if part is not None:
                said.append(Statement(row, body=_block(row.opens, thing, full=True)))
        elif row.target and row.target not in done:
            done.add(row.target)
            said += _keyword(row, thing, full=full)
    return tuple(said)


def _keyword(row: Row, thing: Any, *, full: bool) -> Iterator[Statement]:
    """The statements of one target; there are several if each adds something."""
    value = _value(row.block, row.target, thing)
    if value is None:
        return
    default = value == _value(row.block, row.target, _defaults(_home(row.block)))
    if default and not (full or row.target in _ALWAYS.get(row.block, ())):
        return
    reads = reader_of(row)
    if row.shape is Shape.LINES:
        if value:
            yield Statement(row, lines=tuple(tuple(SAYS[type(reads)](reads, item)) for item in value))
    elif row.repeats:
        for item in value:
            yield Statement(row, tuple(SAYS[type(reads)](reads, item)))
    elif isinstance(reads, Flag):
        yield _switch(row, value=value)
    elif isinstance(reads, Script):
        yield Statement(row, command=value if reads.with_user else replace(value, user=None, group=None))
    elif isinstance(reads, DeletedScript):
        yield Statement(row, command=value[1])
    else:
        words = tuple(SAYS[type(reads)](reads, value))
        if not (default and _is_unspoken(row, words)):
            yield Statement(row, words)


def _is_unspoken(row: Row, words: tuple[str, ...]) -> bool:
    """A default that its keyword would refuse: it is had by silence alone."""
    log = Log("")
    line = Line("", 1, 0, "", opens=False, closes=False)
    line.words = [row.keyword, *words]
    try:
        row.reads(Reading(log, line, "", []))
    except BadValue:
        return True
    return False


def _home(block: Block) -> Block:
    """The block with a thing of the model of its own."""
    return Block.INSTANCE if block in (Block.AUTHENTICATION, Block.AUTH_HMAC) else block


def _switch(row: Row, *, value: bool) -> Statement:
    """The keyword that means it, if there is one."""
    for each in BY_BLOCK[row.block].values():
        if each.target == row.target and reader_of(each).value is value:
            return Statement(each)
    return Statement(row, off=True)
