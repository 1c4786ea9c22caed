"""Keywords outside of all blocks, and the small blocks that stand there."""

from __future__ import annotations

from typing import Final

from pyvrrp.config.addresses import VirtualAddress
from pyvrrp.config.interfaces import DelayLine, LinkbeatLine
from pyvrrp.config.readers import SECONDS_MAX, Flag, Integer
from pyvrrp.config.routes import RouteLine
from pyvrrp.config.rows import Block, Row
from pyvrrp.config.rules import RuleLine
from pyvrrp.config.tables.common import BLOCK, LINES, NO_EFFECT, NOT_YET, PACING, SKIP, many
from pyvrrp.config.texts import Interface, Word
from pyvrrp.protocol.constants import US_PER_S

_ROOT, _GARP = Block.ROOT, Block.GARP_GROUP

ROOT_ROWS: Final = (
    Row(_ROOT, "instance", Word(required=False), "instance_name", first_wins=True),
    Row(_ROOT, "net_namespace", Word(required=False), "net_namespace", first_wins=True),
    Row(_ROOT, "use_pid_dir", Flag(), "use_pid_dir", False),
    Row(
        _ROOT,
        "child_wait_time",
        Integer(0, SECONDS_MAX, unit=US_PER_S),
        "child_wait_time_us",
        5 * US_PER_S,
        status=NOT_YET,
    ),
    Row(_ROOT, "linkbeat_use_polling", Flag(), "linkbeat_use_polling", status=NOT_YET),
    Row(_ROOT, "net_namespace_ipvs", Word(optional=""), status=NO_EFFECT),
    Row(_ROOT, "namespace_with_ipsets", Flag(), status=NO_EFFECT),
    Row(_ROOT, "global_defs", shape=BLOCK, opens=Block.GLOBAL),
    Row(_ROOT, "vrrp_instance", shape=BLOCK, opens=Block.INSTANCE, named=True),
    Row(_ROOT, "vrrp_script", shape=BLOCK, opens=Block.SCRIPT, named=True),
    Row(_ROOT, "vrrp_sync_group", shape=BLOCK, opens=Block.SYNC_GROUP, named=True),
    Row(_ROOT, "vrrp_track_process", shape=BLOCK, opens=Block.TRACK_PROCESS, named=True, status=NOT_YET),
    Row(_ROOT, "track_file", shape=BLOCK, opens=Block.TRACK_FILE, named=True, status=NOT_YET),
    Row(_ROOT, "vrrp_track_file", shape=BLOCK, opens=Block.TRACK_FILE, named=True, status=NOT_YET),
    Row(_ROOT, "track_group", shape=BLOCK, opens=Block.TRACK_GROUP, named=True, status=NOT_YET),
    Row(_ROOT, "garp_group", shape=BLOCK, opens=_GARP, repeats=True, status=NOT_YET),
    Row(_ROOT, "bfd_instance", shape=BLOCK, opens=Block.BFD, named=True, status=NOT_YET),
    Row(_ROOT, "static_ipaddress", VirtualAddress(static=True), "static_addresses", shape=LINES, status=NOT_YET),
    Row(_ROOT, "static_routes", RouteLine(static=True), "static_routes", shape=LINES, status=NOT_YET),
    Row(_ROOT, "static_rules", RuleLine(static=True), "static_rules", shape=LINES, status=NOT_YET),
    Row(_ROOT, "linkbeat_interfaces", LinkbeatLine(), "linkbeat", shape=LINES, status=NOT_YET),
    Row(_ROOT, "interface_up_down_delays", DelayLine(), "interface_delays", shape=LINES, status=NOT_YET),
    *many(_ROOT, NO_EFFECT, "virtual_server virtual_server_group SSL local_address_group", shape=SKIP),
    # Small blocks.
    Row(Block.TRACK_GROUP, "group", target="members", shape=LINES, status=NOT_YET),
    Row(_GARP, "garp_interval", PACING, "interval_us", status=NOT_YET),
    Row(_GARP, "gna_interval", PACING, "gna_interval_us", status=NOT_YET),
    Row(_GARP, "interface", Interface(), "interface", status=NOT_YET),
    Row(_GARP, "interfaces", target="interfaces", shape=LINES, status=NOT_YET),
)
