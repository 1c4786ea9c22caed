"""Keywords of what is tracked: scripts, files, processes, BFD; and of the groups that move together."""

from __future__ import annotations

from typing import Final

from pyvrrp.config.addresses import Tracked
from pyvrrp.config.commands import Script, TcpCheck, User
from pyvrrp.config.readers import SECONDS_MAX, Boolean, Flag, Integer, Seconds, Weight
from pyvrrp.config.rows import Block, Row
from pyvrrp.config.system import Deprecated, InitFile, Process
from pyvrrp.config.tables.common import INT_MAX, LINES, MS_DIGITS, NO_EFFECT, NOT_YET, many
from pyvrrp.config.texts import Address, Choice, Word
from pyvrrp.protocol.constants import US_PER_S

_SCRIPT, _FILE, _PROCESS, _BFD, _SYNC = (
    Block.SCRIPT,
    Block.TRACK_FILE,
    Block.TRACK_PROCESS,
    Block.BFD,
    Block.SYNC_GROUP,
)
_US_PER_MS: Final = 1000
_SCRIPT_TIME: Final = Seconds(1000, SECONDS_MAX * US_PER_S, digits=MS_DIGITS, zero_us=US_PER_S, lenient=True)
_DELAY: Final = Seconds(1, 3600 * US_PER_S)
_BFD_MAX_US: Final = 4_294_967 * _US_PER_MS  # keepalived keeps microseconds in 32 bits
_BFD_TIME: Final = Seconds(_US_PER_MS, _BFD_MAX_US, digits=MS_DIGITS, unit=_US_PER_MS)
_BFD_IDLE: Final = Seconds(US_PER_S, _BFD_MAX_US, digits=MS_DIGITS, unit=_US_PER_MS)
_WEIGHT: Final = Weight(254, clamp=False, required=False)
# How instances and groups name what they track; files and processes have the wider range.
TRACK_SCRIPT: Final = Tracked("track_script")
TRACK_INTERFACE: Final = Tracked("track_interface", weight=0, reverse=False, interface=True)
TRACK_FILE: Final = Tracked("track_file", 254)
TRACK_PROCESS: Final = Tracked("track_process", 254)
TRACK_BFD: Final = Tracked("track_bfd")

TRACKED_ROWS: Final = (
    Row(_SCRIPT, "script", Script(required=False, with_user=False), "command"),
    Row(_SCRIPT, "tcp_check", TcpCheck(), "tcp", source="pyvrrp"),
    Row(_SCRIPT, "interval", _SCRIPT_TIME, "interval_us", US_PER_S),
    Row(_SCRIPT, "timeout", _SCRIPT_TIME, "timeout_us"),
    Row(_SCRIPT, "weight", Weight(), "weight", (0, False)),
    Row(_SCRIPT, "rise", Integer(1, INT_MAX, lenient=True), "rise", 1, on_bad=1),
    Row(_SCRIPT, "fall", Integer(1, INT_MAX, lenient=True), "fall", 1, on_bad=1),
    Row(_SCRIPT, "user", User(), "user"),
    Row(_SCRIPT, "init_fail", Flag(), "init_fail", False),
    Row(_SCRIPT, "only_as_master", Flag(), "only_as_master", False, source="pyvrrp"),
    Row(_FILE, "file", Word(required=False), "path", status=NOT_YET),
    Row(_FILE, "weight", _WEIGHT, "weight", (1, False), status=NOT_YET),
    Row(_FILE, "init_file", InitFile(), "init_file", (None, False), status=NOT_YET),
    Row(_PROCESS, "process", Process(), "process", status=NOT_YET),
    Row(
        _PROCESS,
        "param_match",
        Choice(("initial", "partial"), optional="exact"),
        "parameter_match",
        "exact",
        status=NOT_YET,
    ),
    Row(_PROCESS, "full_command", Flag(), "full_command", False, status=NOT_YET),
    Row(_PROCESS, "weight", _WEIGHT, "weight", (0, False), status=NOT_YET),
    Row(_PROCESS, "quorum", Integer(1, 65535), "quorum", 1, status=NOT_YET),
    Row(_PROCESS, "quorum_max", Integer(0, 65535), "quorum_max", status=NOT_YET),
    Row(_PROCESS, "delay", _DELAY, "delay_us", status=NOT_YET),
    Row(_PROCESS, "fork_delay", _DELAY, "fork_delay_us", status=NOT_YET),
    Row(_PROCESS, "terminate_delay", _DELAY, "terminate_delay_us", status=NOT_YET),
    *many(_BFD, NOT_YET, "neighbor_ip neighbour_ip", Address(), target="neighbour"),
    Row(_BFD, "source_ip", Address(), "source", status=NOT_YET),
    Row(_BFD, "min_rx", _BFD_TIME, "min_rx_us", 10 * _US_PER_MS, status=NOT_YET),
    Row(_BFD, "min_tx", _BFD_TIME, "min_tx_us", 10 * _US_PER_MS, status=NOT_YET),
    Row(_BFD, "idle_tx", _BFD_IDLE, "idle_tx_us", US_PER_S, status=NOT_YET),
    Row(_BFD, "multiplier", Integer(1, 255), "multiplier", 5, status=NOT_YET),
    Row(_BFD, "passive", Flag(), "passive", False, status=NOT_YET),
    *many(_BFD, NOT_YET, "ttl hoplimit", Integer(1, 255), target="ttl"),
    Row(_BFD, "max_hops", Integer(-1, 255), "max_hops", 0, status=NOT_YET),
    Row(_BFD, "multihop", Flag(), "multihop", False, status=NOT_YET, source="keepalived 2.2.8"),
    Row(_BFD, "weight", Weight(clamp=False), "weight", (0, False), status=NOT_YET),
    Row(_BFD, "vrrp", Flag(), "vrrp", False, status=NOT_YET),
    Row(_BFD, "checker", Flag(), "checker", False, status=NO_EFFECT),
    Row(_SYNC, "group", target="members", shape=LINES, first_wins=True),
    Row(_SYNC, "track_script", TRACK_SCRIPT, "track_scripts", shape=LINES),
    Row(_SYNC, "track_interface", TRACK_INTERFACE, "track_interfaces", shape=LINES),
    Row(_SYNC, "track_file", TRACK_FILE, "track_files", shape=LINES, status=NOT_YET, refuses=True),
    Row(_SYNC, "track_process", TRACK_PROCESS, "track_processes", shape=LINES, status=NOT_YET, refuses=True),
    Row(_SYNC, "track_bfd", TRACK_BFD, "track_bfds", shape=LINES, status=NOT_YET, refuses=True),
    Row(_SYNC, "notify_master", Script(), "notify.master", first_wins=True),
    Row(_SYNC, "notify_backup", Script(), "notify.backup", first_wins=True),
    Row(_SYNC, "notify_fault", Script(), "notify.fault", first_wins=True),
    Row(_SYNC, "notify_stop", Script(), "notify.stop", first_wins=True),
    Row(_SYNC, "notify", Script(), "notify.any", first_wins=True),
    Row(_SYNC, "notify_priority_changes", Boolean(), "notify_priority_changes", False, status=NOT_YET),
    Row(_SYNC, "smtp_alert", Boolean(), "smtp_alert", status=NO_EFFECT),
    Row(
        _SYNC,
        "global_tracking",
        Deprecated(Flag(), "track_interface, track_script or track_file in the group"),
        "global_tracking",
        False,
        status=NO_EFFECT,
    ),
    Row(_SYNC, "sync_group_tracking_weight", Flag(), "tracking_weight", False),
)
