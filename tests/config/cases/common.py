"""What a keyword's case says, texts that hold a keyword in its block, and where the model keeps the value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyvrrp.config.complaints import Parsed
from pyvrrp.config.model import Command
from pyvrrp.config.rows import Block

ROOT, GLOBAL, INSTANCE, SCRIPT = Block.ROOT, Block.GLOBAL, Block.INSTANCE, Block.SCRIPT
AUTH, HMAC, SYNC = Block.AUTHENTICATION, Block.AUTH_HMAC, Block.SYNC_GROUP
FILE, PROCESS, BFD, TRACKS, GARP = (
    Block.TRACK_FILE,
    Block.TRACK_PROCESS,
    Block.BFD,
    Block.TRACK_GROUP,
    Block.GARP_GROUP,
)
TRUE = Command(("/bin/true",))
NOT_CARRIED = "globals.router_id"  # a path for words that the model does not keep: their value there is None
PEER = "unicast_peer {\n192.0.2.8\n}"


@dataclass(frozen=True)
class Case:
    """The good text makes *path* of the model *value*; the bad one is complained about."""

    block: Block
    good: str
    path: str
    value: Any
    bad: str
    message: str
    also: str = ""
    first: str = ""

    @property
    def keyword(self) -> str:
        return self.first or self.good.split(maxsplit=1)[0]

    @property
    def name(self) -> str:
        return f"{self.block.name}-{self.keyword}"


def flag(block: Block, keyword: str, path: str, value: Any = True, also: str = "") -> Case:
    """A keyword without a value: nothing but extra words can be wrong with it."""
    return Case(block, keyword, path, value, f"{keyword} extra", "'extra' and what follows is not used", also)


def boolean(block: Block, keyword: str, path: str, value: Any = True) -> Case:
    return Case(block, keyword, path, value, f"{keyword} perhaps", f"invalid {keyword} 'perhaps' specified")


def notify(block: Block, keyword: str, path: str) -> Case:
    good = f"{keyword} \"/bin/n 'a b'\" root :adm"
    value = Command(("/bin/n", "a b"), "root", "adm")
    return Case(block, good, path, value, f'{keyword} "/bin/n \'x"', "missing terminating '")


def not_kept(keyword: str, good: str, bad: str, message: str) -> Case:
    """A word of `global_defs` that belongs to another subsystem."""
    return Case(GLOBAL, f"{keyword} {good}".strip(), NOT_CARRIED, None, f"{keyword} {bad}".strip(), message)


INSIDE = {
    FILE: ("track_file F {", "file /run/f"),
    PROCESS: ("vrrp_track_process P {", "process haproxy"),
    BFD: ("bfd_instance B {", "neighbor_ip 192.0.2.7"),
    TRACKS: ("track_group T {", ""),
    GARP: ("garp_group {", "garp_interval 1"),
    SYNC: ("vrrp_sync_group G {", "group {\nI\nJ\n}"),
}


def text_with(block: Block, extra: str, also: str = "") -> str:
    """A configuration that is clean without the extra, which stands in that block; *also* stands in the instance."""
    if block is ROOT:
        return extra
    inside = dict.fromkeys(Block, "")
    inside[block] = extra
    script = inside[SCRIPT]
    if not script.startswith(("script", "tcp_check")):
        script += "\nscript /bin/true"
    addresses = "" if "virtual_ipaddress {" in also else "virtual_ipaddress {\n192.0.2.1\n}"
    track = "" if extra.startswith("track_script") else "track_script {\nchk\n}"
    authentication = f"authentication {{\n{extra}\n}}" if block is AUTH else ""
    hmac = f"auth_hmac {{\n{extra}\n}}" if block is HMAC else ""
    around = ""
    if block in INSIDE:
        head, needed = INSIDE[block]
        if extra.split(maxsplit=1)[0] == needed.partition(" ")[0]:
            needed = ""
        around = f"{head}\n{needed}\n{extra}\n}}\n"
    if block is SYNC:
        around += "vrrp_instance J {\ninterface eth0\nvirtual_router_id 52\nvirtual_ipaddress {\n192.0.2.2\n}\n}\n"
    return f"""global_defs {{
enable_script_security
{inside[GLOBAL]}
}}
vrrp_script chk {{
{script}
}}
track_file known_file {{
file /run/known
}}
vrrp_track_process known_process {{
process haproxy
}}
bfd_instance known_bfd {{
neighbor_ip 192.0.2.7
}}
{around if block is not SYNC else ""}
vrrp_instance I {{
interface eth0
virtual_router_id 51
{addresses}
{track}
{inside[INSTANCE]}
{also}
{authentication}
{hmac}
}}
{around if block is SYNC else ""}
"""


def look_up(result: Parsed, path: str) -> Any:
    """What the model has under that path: the kind of thing, then fields; of several things the last."""
    everything = result.everything
    kind, *rest = path.split(".")
    things: dict[str, Any] = {
        "globals": (everything.globals,),
        "all": (everything,),
        "instance": everything.instances[:1],
        "script": everything.scripts,
        "file": everything.track_files,
        "process": everything.track_processes,
        "bfd": everything.bfd_instances,
        "sync": everything.sync_groups,
        "track_group": everything.track_groups,
        "garp_group": everything.garp_groups,
    }
    found = things[kind][-1]
    for name in rest:
        found = getattr(found, name)
    return found
