"""Keywords of `vrrp_instance` and of the blocks in it."""

from __future__ import annotations

from typing import Final

from pyvrrp.config.addresses import UnicastPeer, VirtualAddress
from pyvrrp.config.commands import DeletedScript, Script
from pyvrrp.config.interfaces import ExtraInterfaces, UseIpvlan, UseVmac
from pyvrrp.config.readers import UINT_MAX, Boolean, Flag, Integer, Seconds
from pyvrrp.config.routes import RouteLine
from pyvrrp.config.rows import Block, Row
from pyvrrp.config.rules import RuleLine
from pyvrrp.config.system import Deprecated, Key, OldChecksum
from pyvrrp.config.tables.common import (
    BLOCK,
    LINES,
    NO_EFFECT,
    NOT_YET,
    REFRESH,
    REPEAT,
    REPEAT_OR_NONE,
    SECONDS,
    many,
)
from pyvrrp.config.tables.tracked import TRACK_BFD, TRACK_FILE, TRACK_INTERFACE, TRACK_PROCESS, TRACK_SCRIPT
from pyvrrp.config.texts import Address, Choice, Interface, Secret
from pyvrrp.protocol.constants import US_PER_S

_INSTANCE, _AUTH, _HMAC = Block.INSTANCE, Block.AUTHENTICATION, Block.AUTH_HMAC
_HMAC_SOURCE: Final = "keepalived 2.4.0"
_USE_VMAC: Final = "use_vmac refuses the instance"

_CORE_ROWS: Final = (
    Row(_INSTANCE, "state", Choice(("MASTER", "BACKUP")), "state", on_bad="BACKUP", sticky="MASTER"),
    Row(_INSTANCE, "interface", Interface(loopback=False), "interface"),
    Row(_INSTANCE, "virtual_router_id", Integer(1, 255), "vrid"),
    Row(_INSTANCE, "priority", Integer(1, 255), "priority", on_bad=100),
    Row(_INSTANCE, "advert_int", Seconds(10_000, 255 * US_PER_S), "advertisement_interval_us", US_PER_S),
    Row(_INSTANCE, "version", Integer(2, 3, lenient=True), "version", first_wins=True),
    Row(_INSTANCE, "native_ipv6", Flag(), "native_ipv6", False),
    Row(_INSTANCE, "authentication", shape=BLOCK, opens=_AUTH),
    Row(_AUTH, "auth_type", Choice(("PASS", "AH")), "auth_type", secret=True, partly="PASS; AH refuses the instance"),
    Row(_AUTH, "auth_pass", Secret(), "auth_pass", secret=True),
    Row(
        _INSTANCE,
        "auth_hmac",
        shape=BLOCK,
        opens=_HMAC,
        status=NOT_YET,
        refuses=True,
        secret=True,
        source=_HMAC_SOURCE,
    ),
    Row(_HMAC, "key", Key(), "hmac.keys", repeats=True, secret=True, status=NOT_YET, source=_HMAC_SOURCE),
    Row(_HMAC, "active_key", Integer(1, 255), "hmac.active_key", secret=True, status=NOT_YET, source=_HMAC_SOURCE),
    Row(
        _HMAC,
        "time_window",
        Integer(1, 300, unit=US_PER_S),
        "hmac.time_window_us",
        secret=True,
        status=NOT_YET,
        source=_HMAC_SOURCE,
    ),
    Row(
        _HMAC,
        "anti_replay",
        Choice(("time", "monotonic")),
        "hmac.anti_replay",
        secret=True,
        status=NOT_YET,
        source=_HMAC_SOURCE,
    ),
    Row(
        _HMAC,
        "mode",
        Choice(("enforce", "permissive", "receive-only")),
        "hmac.mode",
        secret=True,
        status=NOT_YET,
        source=_HMAC_SOURCE,
    ),
)

_REACH_ROWS: Final = (  # source, destination, unicast, interfaces of its own
    Row(_INSTANCE, "mcast_src_ip", Address(), "mcast_source"),
    Row(_INSTANCE, "unicast_src_ip", Address(), "unicast_source"),
    Row(_INSTANCE, "unicast_peer", UnicastPeer(), "peers", shape=LINES),
    Row(_INSTANCE, "unicast_ttl", Integer(0, 255), "unicast_ttl"),
    Row(
        _INSTANCE,
        "check_unicast_src",
        Boolean(),
        "check_unicast_source",
        False,
        inherits="check_unicast_source",
    ),
    Row(
        _INSTANCE,
        "v3_checksum_as_v2",
        Boolean(),
        "checksum_without_pseudo_header",
        False,
        inherits="checksum_without_pseudo_header",
        source="keepalived 2.2.8",
    ),
    Row(_INSTANCE, "mcast_dst_ip", Address(multicast=True), "group"),
    Row(
        _INSTANCE,
        "unicast_fault_no_peer",
        Flag(),
        "unicast_fault_no_peer",
        False,
        partly="with peers; without any the instance is refused",
    ),
    Row(_INSTANCE, "track_src_ip", Flag(), "track_source", False, status=NOT_YET),
    Row(
        _INSTANCE,
        "old_unicast_checksum",
        OldChecksum(),
        "old_unicast_checksum",
        partly="never; without it the instance is refused",
    ),
    Row(_INSTANCE, "vrf", Interface(), "vrf", status=NOT_YET, refuses=True),
    Row(_INSTANCE, "kernel_rx_buf_size", Integer(0, UINT_MAX, required=False), "receive_buffer", status=NO_EFFECT),
    Row(_INSTANCE, "use_vmac", UseVmac(), "vmac", status=NOT_YET, refuses=True),
    Row(_INSTANCE, "use_vmac_addr", Flag(), "vmac_addresses", False, status=NOT_YET, refuses=True),
    Row(_INSTANCE, "use_ipvlan", UseIpvlan(), "ipvlan", status=NOT_YET, refuses=True),
    Row(_INSTANCE, "vmac_xmit_base", Flag(), "vmac_transmit_base", False, status=NOT_YET),
    Row(_INSTANCE, "dont_track_primary", Flag(value=False), "track_primary", True),
)

_ADDRESS_ROWS: Final = (  # addresses, routes, rules
    Row(_INSTANCE, "virtual_ipaddress", VirtualAddress(), "virtual_addresses", shape=LINES, partly=_USE_VMAC),
    Row(
        _INSTANCE,
        "virtual_ipaddress_excluded",
        VirtualAddress(),
        "excluded_addresses",
        shape=LINES,
        partly=_USE_VMAC,
    ),
    Row(
        _INSTANCE,
        "no_virtual_ipaddress",
        Flag(),
        "no_addresses",
        False,
        partly="an instance without addresses is not run",
        source="keepalived 2.2.8",
    ),
    Row(_INSTANCE, "virtual_routes", RouteLine(), "routes", shape=LINES, status=NOT_YET, refuses=True),
    Row(_INSTANCE, "virtual_rules", RuleLine(), "rules", shape=LINES, status=NOT_YET, refuses=True),
    Row(_INSTANCE, "promote_secondaries", Flag(), "promote_secondaries", False, status=NOT_YET),
    Row(_INSTANCE, "accept", Flag(), "accept"),
    Row(_INSTANCE, "no_accept", Flag(value=False), "accept", status=NOT_YET, refuses=True),
)

_ELECTION_ROWS: Final = (
    Row(_INSTANCE, "nopreempt", Flag(value=False), "preempt", True),
    Row(_INSTANCE, "preempt", Flag(), "preempt", True),
    Row(_INSTANCE, "preempt_delay", Seconds(0, 1000 * US_PER_S), "preempt_delay_us", 0),
    Row(
        _INSTANCE,
        "down_timer_adverts",
        Integer(1, 100, lenient=True),
        "down_timer_adverts",
        3,
        inherits="down_timer_adverts",
    ),
    Row(
        _INSTANCE,
        "lower_prio_no_advert",
        Boolean(),
        "lower_prio_no_advert",
        False,
        inherits="lower_prio_no_advert",
    ),
    Row(
        _INSTANCE,
        "higher_prio_send_advert",
        Boolean(),
        "higher_prio_send_advert",
        False,
        inherits="higher_prio_send_advert",
    ),
    Row(
        _INSTANCE,
        "skip_check_adv_addr",
        Boolean(),
        "skip_address_check",
        False,
        inherits="skip_address_check",
        status=NO_EFFECT,
    ),
    Row(_INSTANCE, "strict_mode", Boolean(), "strict", False, inherits="strict"),
    *many(
        _INSTANCE,
        NOT_YET,
        "timer_expired_backup thread_timer_expired",
        Integer(1, 254, optional=254),
        target="timer_expired_backup",
        source="keepalived 2.2.8",
    ),
    Row(
        _INSTANCE,
        "owner_ignore_adverts",
        Boolean(),
        "owner_ignore_adverts",
        False,
        inherits="owner_ignore_adverts",
        status=NOT_YET,
        source="keepalived 2.3.3",
    ),
)

_ANNOUNCEMENT_ROWS: Final = (
    Row(_INSTANCE, "garp_master_delay", SECONDS, "garp.master_delay_us", inherits="garp.master_delay_us"),
    Row(_INSTANCE, "garp_master_repeat", REPEAT, "garp.master_repeat", inherits="garp.master_repeat", on_bad=1),
    Row(_INSTANCE, "garp_master_refresh", REFRESH, "garp.master_refresh_us", inherits="garp.master_refresh_us"),
    Row(
        _INSTANCE,
        "garp_master_refresh_repeat",
        REPEAT,
        "garp.master_refresh_repeat",
        inherits="garp.master_refresh_repeat",
        on_bad=1,
    ),
    Row(_INSTANCE, "garp_lower_prio_delay", SECONDS, "garp.lower_prio_delay_us", inherits="garp.lower_prio_delay_us"),
    Row(
        _INSTANCE,
        "garp_lower_prio_repeat",
        REPEAT_OR_NONE,
        "garp.lower_prio_repeat",
        inherits="garp.lower_prio_repeat",
    ),
    Row(_INSTANCE, "garp_extra_if", ExtraInterfaces(0), "garp.extra", inherits="garp.extra", status=NOT_YET),
    Row(
        _INSTANCE,
        "vmac_garp_intvl",
        Deprecated(ExtraInterfaces(0), "garp_extra_if"),
        "garp.extra",
        inherits="garp.extra",
        status=NOT_YET,
    ),
)

_TRACK_ROWS: Final = (
    Row(_INSTANCE, "track_script", TRACK_SCRIPT, "track_scripts", shape=LINES),
    Row(_INSTANCE, "track_interface", TRACK_INTERFACE, "track_interfaces", shape=LINES),
    Row(_INSTANCE, "track_file", TRACK_FILE, "track_files", shape=LINES, status=NOT_YET, refuses=True),
    Row(_INSTANCE, "track_process", TRACK_PROCESS, "track_processes", shape=LINES, status=NOT_YET, refuses=True),
    Row(_INSTANCE, "track_bfd", TRACK_BFD, "track_bfds", shape=LINES, status=NOT_YET, refuses=True),
)

_NOTIFY_ROWS: Final = (
    Row(_INSTANCE, "notify_master", Script(), "notify.master", first_wins=True),
    Row(_INSTANCE, "notify_backup", Script(), "notify.backup", first_wins=True),
    Row(_INSTANCE, "notify_fault", Script(), "notify.fault", first_wins=True),
    Row(_INSTANCE, "notify_stop", Script(), "notify.stop", first_wins=True),
    Row(_INSTANCE, "notify", Script(), "notify.any", first_wins=True),
    Row(_INSTANCE, "notify_deleted", DeletedScript(), "deleted", first_wins=True, status=NOT_YET),
    Row(
        _INSTANCE,
        "notify_master_rx_lower_pri",
        Script(),
        "notify.lower_priority",
        first_wins=True,
        status=NOT_YET,
    ),
    Row(
        _INSTANCE,
        "notify_priority_changes",
        Boolean(),
        "notify_priority_changes",
        False,
        inherits="notify_priority_changes",
        status=NOT_YET,
    ),
    Row(_INSTANCE, "smtp_alert", Boolean(), "smtp_alert", status=NO_EFFECT),
    Row(_INSTANCE, "debug", Integer(0, 4), status=NO_EFFECT),
    Row(
        _INSTANCE,
        "linkbeat_use_polling",
        Deprecated(Flag(), "a linkbeat_interfaces block"),
        "linkbeat_use_polling",
        False,
        status=NOT_YET,
    ),
    Row(
        _INSTANCE,
        "lvs_sync_daemon_interface",
        Deprecated(Interface(), "lvs_sync_daemon in global_defs"),
        status=NO_EFFECT,
    ),
)

INSTANCE_ROWS: Final = (
    *_CORE_ROWS,
    *_REACH_ROWS,
    *_ADDRESS_ROWS,
    *_ELECTION_ROWS,
    *_ANNOUNCEMENT_ROWS,
    *_TRACK_ROWS,
    *_NOTIFY_ROWS,
)
