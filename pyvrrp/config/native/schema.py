"""
The schema of the native form, JSON Schema draft 2020-12, made of the keyword rows: what editors of TOML can use.

Ranges are those of the readers. What a reader mends (a number above a bound that clamps, for example) the schema takes
as a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pyvrrp.config.addresses import Tracked, UnicastPeer, VirtualAddress
from pyvrrp.config.commands import PORT_MAX, DeletedScript, Script, TcpCheck, User
from pyvrrp.config.interfaces import EXTRA_MAX_S, DelayLine, ExtraInterfaces, LinkbeatLine, UseIpvlan, UseVmac
from pyvrrp.config.keywords import BY_BLOCK
from pyvrrp.config.native.forms import TABLES, Part, unit_of
from pyvrrp.config.native.statement import reader_of
from pyvrrp.config.readers import UINT_MAX, Anything, Boolean, Flag, Integer, Numbers, Seconds, Weight
from pyvrrp.config.routes import RouteLine
from pyvrrp.config.rows import Block, Row, Shape, Status
from pyvrrp.config.rules import RuleLine
from pyvrrp.config.system import (
    INIT_MAX,
    UMASK_MAX,
    BufferPolicy,
    FifoPath,
    IncludeChecks,
    InitFile,
    Key,
    OldChecksum,
    Options,
    Process,
    SmtpServer,
    Umask,
)
from pyvrrp.config.texts import INTERFACE_LENGTH, Address, Choice, Interface, Names, Secret, Word, Words

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
Schema: TypeAlias = dict[str, Any]

_STRING: Final[Schema] = {"type": "string"}
_WORDS: Final[Schema] = {"type": "array", "items": {"type": "string"}}
_INTERFACE: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": INTERFACE_LENGTH, "pattern": "^[^/]+$"}


def schema() -> Schema:
    """The schema of a whole document."""
    return {
        "$schema": DIALECT,
        "title": "pyvrrp configuration, native form",
        **_block(Block.ROOT),
        "$defs": {block.value: _block(block, named=named) for block, named in _opened().items()},
    }


def _opened() -> dict[Block, bool]:
    """The blocks that stand in others, and whether they have names."""
    rows = (row for rows in BY_BLOCK.values() for row in rows.values())
    return {row.opens: row.named for row in rows if row.opens is not None}


def _block(block: Block, *, named: bool = False) -> Schema:
    properties: dict[str, Schema] = {"name": _STRING} if named else {}
    for keyword, row in BY_BLOCK[block].items():
        if row.shape is not Shape.SKIP:
            properties[keyword] = {**_said_about(row), **_keyword(row)}
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": ["name"]} if named else found


def _said_about(row: Row) -> Schema:
    """Unit and how far it has come, for people."""
    status = "" if row.status is Status.WORKS else row.status.value
    source = "" if row.source == "keepalived.conf(5)" else row.source
    said = "; ".join(each for each in (unit_of(row), row.partly, status, source) if each)
    return {"description": said} if said else {}


def _keyword(row: Row) -> Schema:
    if row.shape is Shape.BLOCK:
        assert row.opens is not None
        reference = {"$ref": f"#/$defs/{row.opens.value}"}
        several = row.named or row.repeats
        return {"type": "array", "items": reference} if several else reference
    reads = reader_of(row)
    value = _SCHEMAS[type(reads)](reads)
    return {"type": "array", "items": value} if row.shape is Shape.LINES or row.repeats else value


def _any_of(*choices: Schema) -> Schema:
    return choices[0] if len(choices) == 1 else {"anyOf": list(choices)}


def _or_true(*choices: Schema, possible: bool) -> Schema:
    """`true` is the keyword without a value."""
    return _any_of(*choices, {"const": True}) if possible else _any_of(*choices)


def _number(low: float, high: float, kind: str = "integer") -> Schema:
    return {"type": kind, "minimum": low, "maximum": high}


def _integer(reads: Integer) -> Schema:
    return _or_true(_number(reads.low, reads.high), possible=reads.optional is not None)


def _seconds(reads: Seconds) -> Schema:
    return _number(reads.low_us / reads.unit, reads.high_us / reads.unit, "number")


def _word(reads: Word) -> Schema:
    length = {"maxLength": reads.length} if reads.length else {}
    return _or_true({**_STRING, **length}, possible=reads.optional is not None)


def _address(reads: Address) -> Schema:
    return {**_STRING, "format": f"ipv{reads.family:d}"} if reads.family is not None else _STRING


def _part(part: Part) -> Schema:
    said = {"description": part.unit} if part.unit else {}
    if part.switch:
        return {"type": "boolean", **said}
    return {**({"type": ["number", "string"]} if part.number else _STRING), **said}


def _table(kind: type[Any], *, scalar: Schema | None = None, **parts: Schema) -> Schema:
    """A table, or the scalar that says its first part alone; *parts* say more of a key."""
    properties = {part.key: {**_part(part), **parts.get(part.key, {})} for part in TABLES[kind]}
    table: Schema = {
        "type": "object",
        "properties": properties,
        "required": [part.key for part in TABLES[kind] if part.required],
        "additionalProperties": False,
    }
    return _any_of(table) if scalar is None else _any_of(scalar, table)


def _command(reads: Script | DeletedScript) -> Schema:
    words: tuple[Schema, ...] = (_STRING, {**_WORDS, "minItems": 1})
    with_user = isinstance(reads, DeletedScript) or reads.with_user
    keys = {"command": _any_of(*words), **({"user": _STRING, "group": _STRING} if with_user else {})}
    table = {"type": "object", "properties": keys, "required": ["command"], "additionalProperties": False}
    return _or_true(*words, table, possible=isinstance(reads, DeletedScript))


def _numbers(reads: Numbers) -> Schema:
    number = _number(0, reads.high)
    return _any_of(number, {"type": "array", "items": number, "minItems": 1})


def _weight(reads: Weight) -> Schema:
    number = _number(-reads.high, reads.high)
    return _table(Weight, scalar=number, weight=number)


def _tracked(reads: Tracked) -> Schema:
    name = _INTERFACE if reads.interface else _STRING
    return _table(Tracked, scalar=name, name=name, weight=_number(-reads.high, reads.high))


def _init_file(_reads: InitFile) -> Schema:
    number = _number(-INIT_MAX - 1, INIT_MAX)
    return _any_of(number, {"const": True}, _table(InitFile, value=number))


def _extra(reads: ExtraInterfaces) -> Schema:
    number = _number(reads.low, EXTRA_MAX_S)
    return _table(ExtraInterfaces, scalar=number, interval=number)


def _tcp(_reads: TcpCheck) -> Schema:
    port = _number(1, PORT_MAX)
    return _table(TcpCheck, scalar=port, port=port)


def _peer(_reads: UnicastPeer) -> Schema:
    ttl = _number(0, 255)
    return _table(UnicastPeer, scalar=_STRING, min_ttl=ttl, max_ttl=ttl)


def _own_interface(kind: type[UseVmac | UseIpvlan]) -> Callable[[Any], Schema]:
    return lambda _reads: _any_of({"const": True}, _INTERFACE, _table(kind, name=_INTERFACE))


def _always(found: Schema) -> Callable[[Any], Schema]:
    return lambda _reads: found


_LINE: Final[Schema] = {**_STRING, "description": "words as in keepalived.conf"}
_SCHEMAS: Final[Mapping[type[Any], Callable[[Any], Schema]]] = {
    Address: _address,
    Anything: _always(_STRING),
    Boolean: _always({"type": "boolean"}),
    BufferPolicy: _always(_any_of(_number(0, UINT_MAX), {"enum": ["MTU", "ADVERT"]})),
    Choice: lambda reads: _or_true({"enum": list(reads.words)}, possible=reads.optional is not None),
    DelayLine: _always(_table(DelayLine, scalar=_LINE)),
    DeletedScript: _command,
    ExtraInterfaces: _extra,
    FifoPath: _always(_table(FifoPath, scalar=_STRING)),
    Flag: _always({"type": "boolean"}),
    IncludeChecks: _always(_any_of({"const": True}, _STRING, _WORDS)),
    InitFile: _init_file,
    Integer: _integer,
    Interface: _always(_INTERFACE),
    Key: _always(_table(Key, id=_number(1, 255))),
    LinkbeatLine: _always(_table(LinkbeatLine, scalar=_LINE)),
    Names: lambda reads: _any_of({"const": True}, {**_WORDS, "maxItems": reads.most}),
    Numbers: _numbers,
    OldChecksum: _always({"enum": [True, "never"]}),
    Options: lambda reads: _any_of({"const": True}, {"enum": list(reads.known)}),
    Process: _always(_any_of(_STRING, {**_WORDS, "minItems": 1})),
    RouteLine: _always(_LINE),
    RuleLine: _always(_LINE),
    Script: _command,
    Seconds: _seconds,
    Secret: _always(_STRING),
    SmtpServer: _always(_table(SmtpServer, scalar=_STRING, port=_number(1, PORT_MAX))),
    TcpCheck: _tcp,
    Tracked: _tracked,
    Umask: _always(_any_of(_number(0, UMASK_MAX), _STRING)),
    UnicastPeer: _peer,
    UseIpvlan: _own_interface(UseIpvlan),
    UseVmac: _own_interface(UseVmac),
    User: _always(_table(User, scalar=_STRING)),
    VirtualAddress: _always(_table(VirtualAddress, scalar=_LINE)),
    Weight: _weight,
    Word: _word,
    Words: _always(_STRING),
}
