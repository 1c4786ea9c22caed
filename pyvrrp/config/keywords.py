"""
Every keyword of keepalived.conf that concerns VRRP, one row each, and those of other subsystems by name.

Ranges and defaults are keepalived's, as described in keepalived.conf(5) and as run with 2.2.7; `source` says where a
row is from a later release or our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pyvrrp.config.addresses import Tracked, UnicastPeer, VirtualAddress
from pyvrrp.config.commands import Script, TcpCheck, User
from pyvrrp.config.readers import (
    SECONDS_MAX,
    UINT_MAX,
    Address,
    Boolean,
    Choice,
    Flag,
    Integer,
    Interface,
    Reader,
    Seconds,
    Secret,
    Weight,
    Word,
    Words,
)
from pyvrrp.config.rows import Block, Row, Shape, Status
from pyvrrp.protocol.constants import US_PER_S, Family

_ROOT, _GLOBAL, _INSTANCE, _SCRIPT = Block.ROOT, Block.GLOBAL, Block.INSTANCE, Block.SCRIPT
_SYNC = Block.SYNC_GROUP
_BLOCK, _LINES, _SKIP = Shape.BLOCK, Shape.LINES, Shape.SKIP
_NO_EFFECT, _NOT_YET = Status.NO_EFFECT, Status.NOT_YET
_INT_MAX: Final = 2**31 - 1
_MS_DIGITS: Final = 3
_SECONDS: Final = Integer(0, SECONDS_MAX, unit=US_PER_S, lenient=True)
_REFRESH: Final = Integer(0, UINT_MAX, unit=US_PER_S, lenient=True)
_REPEAT: Final = Integer(1, UINT_MAX, zero=1, lenient=True)
_REPEAT_OR_NONE: Final = Integer(0, UINT_MAX, lenient=True)
_PACING: Final = Seconds(0, SECONDS_MAX * US_PER_S)  # the packaged sample says 0
_SCRIPT_TIME: Final = Seconds(1000, SECONDS_MAX * US_PER_S, digits=_MS_DIGITS, zero_us=US_PER_S)


def _many(block: Block, status: Status, words: str, reads: Reader | None = None, **fields: Any) -> Iterator[Row]:
    for word in words.split():
        yield (
            Row(block, word, status=status, **fields)
            if reads is None
            else Row(block, word, reads, status=status, **fields)
        )


_ROOT_ROWS: Final = (
    Row(_ROOT, "instance", Word(required=False), "instance_name", first_wins=True),
    Row(_ROOT, "net_namespace", Word(required=False), "net_namespace", first_wins=True),
    Row(_ROOT, "use_pid_dir", Flag(), "use_pid_dir", False),
    Row(_ROOT, "child_wait_time", Integer(0, SECONDS_MAX, unit=US_PER_S), "child_wait_time_us", 5 * US_PER_S),
    Row(_ROOT, "linkbeat_use_polling", Flag(), status=_NOT_YET),
    Row(_ROOT, "net_namespace_ipvs", Word(), status=_NO_EFFECT),
    Row(_ROOT, "namespace_with_ipsets", Flag(), status=_NO_EFFECT),
    Row(_ROOT, "global_defs", shape=_BLOCK, opens=_GLOBAL),
    Row(_ROOT, "vrrp_instance", shape=_BLOCK, opens=_INSTANCE, named=True),
    Row(_ROOT, "vrrp_script", shape=_BLOCK, opens=_SCRIPT, named=True),
    # Not NOT_YET: each member says so, and it is the members that are not run.
    Row(_ROOT, "vrrp_sync_group", shape=_BLOCK, opens=_SYNC, named=True),
    Row(_ROOT, "vrrp_track_process", shape=_BLOCK, opens=Block.TRACK_PROCESS, named=True, status=_NOT_YET),
    Row(_ROOT, "track_file", shape=_BLOCK, opens=Block.TRACK_FILE, named=True, status=_NOT_YET),
    Row(_ROOT, "vrrp_track_file", shape=_BLOCK, opens=Block.TRACK_FILE, named=True, status=_NOT_YET),
    Row(_ROOT, "track_group", shape=_BLOCK, opens=Block.TRACK_GROUP, named=True, status=_NOT_YET),
    Row(_ROOT, "garp_group", shape=_BLOCK, opens=Block.GARP_GROUP, status=_NOT_YET),
    Row(_ROOT, "bfd_instance", shape=_BLOCK, opens=Block.BFD, named=True, status=_NOT_YET),
    *_many(_ROOT, _NOT_YET, "static_ipaddress static_routes static_rules", shape=_LINES),
    *_many(_ROOT, _NOT_YET, "linkbeat_interfaces interface_up_down_delays", shape=_LINES),
    *_many(_ROOT, _NO_EFFECT, "virtual_server virtual_server_group SSL local_address_group", shape=_SKIP),
)

_GLOBAL_ROWS: Final = (
    Row(_GLOBAL, "router_id", Word(required=False), "router_id"),
    Row(_GLOBAL, "notification_email", target="notification_email", status=_NO_EFFECT, shape=_LINES),
    Row(_GLOBAL, "notification_email_from", Words(), "notification_email_from", status=_NO_EFFECT),
    Row(_GLOBAL, "smtp_server", Words(), "smtp_server", status=_NO_EFFECT),
    Row(
        _GLOBAL,
        "smtp_connect_timeout",
        Integer(0, SECONDS_MAX, unit=US_PER_S, zero=1),
        "smtp_connect_timeout_us",
        30 * US_PER_S,
        status=_NO_EFFECT,
    ),
    Row(_GLOBAL, "smtp_helo_name", Word(), status=_NO_EFFECT),
    *_many(_GLOBAL, _NO_EFFECT, "smtp_alert smtp_alert_vrrp smtp_alert_checker", Boolean()),
    *_many(_GLOBAL, _NO_EFFECT, "no_email_faults no_checker_emails", Flag()),
    # Defaults of the instances.
    Row(_GLOBAL, "vrrp_version", Integer(2, 3), "version"),
    Row(_GLOBAL, "vrrp_mcast_group4", Address(Family.V4, multicast=True), "group4"),
    Row(_GLOBAL, "vrrp_mcast_group6", Address(Family.V6, multicast=True), "group6"),
    Row(_GLOBAL, "vrrp_garp_master_delay", _SECONDS, "garp.master_delay_us"),
    Row(_GLOBAL, "vrrp_garp_master_repeat", _REPEAT, "garp.master_repeat", on_bad=1),
    Row(_GLOBAL, "vrrp_garp_master_refresh", _REFRESH, "garp.master_refresh_us"),
    Row(_GLOBAL, "vrrp_garp_master_refresh_repeat", _REPEAT, "garp.master_refresh_repeat", on_bad=1),
    Row(_GLOBAL, "vrrp_garp_lower_prio_delay", _SECONDS, "garp.lower_prio_delay_us"),
    Row(_GLOBAL, "vrrp_garp_lower_prio_repeat", _REPEAT_OR_NONE, "garp.lower_prio_repeat"),
    Row(_GLOBAL, "vrrp_garp_interval", _PACING, "garp.interval_us", 0),
    Row(_GLOBAL, "vrrp_gna_interval", _PACING, "garp.gna_interval_us", 0),
    Row(_GLOBAL, "vrrp_min_garp", Boolean(), "min_garp", False),
    Row(_GLOBAL, "vrrp_down_timer_adverts", Integer(1, 100), "down_timer_adverts", 3),
    Row(_GLOBAL, "vrrp_lower_prio_no_advert", Boolean(), "lower_prio_no_advert", False),
    Row(_GLOBAL, "vrrp_higher_prio_send_advert", Boolean(), "higher_prio_send_advert", False),
    Row(_GLOBAL, "vrrp_check_unicast_src", Flag(), "check_unicast_source", False),
    Row(_GLOBAL, "vrrp_skip_check_adv_addr", Boolean(), "skip_address_check", False),
    Row(_GLOBAL, "vrrp_strict", Boolean(), "strict", False),
    Row(
        _GLOBAL,
        "v3_checksum_as_v2",
        Boolean(),
        "checksum_without_pseudo_header",
        False,
        source="keepalived 2.2.8",
    ),
    Row(_GLOBAL, "vrrp_owner_ignore_adverts", Boolean(), status=_NOT_YET, source="keepalived 2.3.3"),
    *_many(_GLOBAL, _NOT_YET, "default_interface vrrp_garp_extra_if vrrp_vmac_garp_intvl vrrp_startup_delay"),
    *_many(_GLOBAL, _NOT_YET, "vrrp_delay_after_boot", source="keepalived 2.4.0"),
    *_many(_GLOBAL, _NOT_YET, "vrrp_notify_priority_changes", Boolean()),
    *_many(_GLOBAL, _NOT_YET, "log_unknown_vrids fifo_write_vrrp_states_on_reload", Flag()),
    Row(_GLOBAL, "dynamic_interfaces", Flag(options=("allow_if_changes",)), "dynamic_interfaces", False),
    # Scripts, files, processes.
    Row(_GLOBAL, "enable_script_security", Flag(), "enable_script_security", False),
    Row(_GLOBAL, "script_user", User(required=False), "script_user"),
    *_many(_GLOBAL, _NOT_YET, "startup_script shutdown_script notify_fifo_script vrrp_notify_fifo_script", Script()),
    *_many(_GLOBAL, _NOT_YET, "startup_script_timeout shutdown_script_timeout", Integer(1, 1000)),
    *_many(_GLOBAL, _NOT_YET, "notify_fifo vrrp_notify_fifo"),
    *_many(_GLOBAL, _NOT_YET, "use_symlink_paths", Boolean(), source="keepalived 2.3.0"),
    *_many(_GLOBAL, _NOT_YET, "set_supplementary_groups", Boolean(), source="keepalived 2.4.3"),
    Row(_GLOBAL, "vrrp_priority", Integer(-20, 19), "process_priority", 0, status=_NO_EFFECT),
    Row(_GLOBAL, "vrrp_rt_priority", Integer(1, 99), "rt_priority", on_bad=99, status=_NO_EFFECT),
    Row(_GLOBAL, "vrrp_no_swap", Flag(), "no_swap", False, status=_NO_EFFECT),
    Row(_GLOBAL, "max_auto_priority", Integer(-1, 99, optional=99), "max_auto_priority", 0, status=_NO_EFFECT),
    *_many(_GLOBAL, _NO_EFFECT, "min_auto_priority_delay", Integer(1, 10_000_000)),
    *_many(
        _GLOBAL,
        _NO_EFFECT,
        """process_names process_name vrrp_process_name bfd_process_name checker_process_name lvs_process_name
        vrrp_cpu_affinity vrrp_rlimit_rttime vrrp_rlimit_rtime vrrp_netlink_cmd_rcv_bufs
        vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force
        process_monitor_rcv_bufs process_monitor_rcv_bufs_force vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier umask
        random_seed reload_check_config include_check config_save_dir tmp_config_directory data_use_instance
        stats_dump_file json_dump_file nftables nftables_priority nftables_counters nftables_ifindex vrrp_iptables
        vrrp_ipsets disable_local_igmp vmac_prefix vmac_addr_prefix""",
    ),
    *_many(_GLOBAL, _NOT_YET, "reload_time_file reload_repeat reload_file"),
    *_many(_GLOBAL, _NOT_YET, "json_version", source="keepalived 2.2.8"),
    *_many(_GLOBAL, _NOT_YET, "state_dump_file", source="keepalived 2.4.3"),
    *_many(_GLOBAL, _NOT_YET, "iproute_usr_dir iproute_etc_dir", source="keepalived 2.3.2"),
    # Other subsystems.
    *_many(
        _GLOBAL,
        _NO_EFFECT,
        """snmp_socket enable_traps enable_snmp_vrrp enable_snmp_keepalived enable_snmp_rfc enable_snmp_rfcv2
        enable_snmp_rfcv3 enable_snmp_checker snmp_vs_stats_update_interval snmp_rs_stats_update_interval enable_dbus
        dbus_service_name dbus_no_interface_name lvs_sync_daemon lvs_timeouts lvs_flush lvs_flush_on_stop
        lvs_flush_onstop lvs_notify_fifo lvs_netlink_cmd_rcv_bufs lvs_netlink_cmd_rcv_bufs_force
        lvs_netlink_monitor_rcv_bufs lvs_netlink_monitor_rcv_bufs_force checker_priority checker_no_swap
        checker_rt_priority checker_cpu_affinity checker_rlimit_rttime checker_rlimit_rtime checker_log_all_failures
        bfd_priority bfd_no_swap bfd_rt_priority bfd_cpu_affinity bfd_rlimit_rttime bfd_rlimit_rtime rs_init_notifies
        nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark""",
    ),
    Row(_GLOBAL, "lvs_notify_fifo_script", Script(), status=_NO_EFFECT),
)

_SCRIPT_ROWS: Final = (
    Row(_SCRIPT, "script", Script(required=False, with_user=False), "command"),
    Row(_SCRIPT, "tcp_check", TcpCheck(), "tcp", source="pyvrrp"),
    Row(_SCRIPT, "interval", _SCRIPT_TIME, "interval_us", US_PER_S),
    Row(_SCRIPT, "timeout", _SCRIPT_TIME, "timeout_us"),
    Row(_SCRIPT, "weight", Weight(), "weight", (0, False)),
    Row(_SCRIPT, "rise", Integer(1, _INT_MAX), "rise", 1, on_bad=1),
    Row(_SCRIPT, "fall", Integer(1, _INT_MAX), "fall", 1, on_bad=1),
    Row(_SCRIPT, "user", User(), "user"),
    Row(_SCRIPT, "init_fail", Flag(), "init_fail", False),
)

_INSTANCE_ROWS: Final = (
    Row(_INSTANCE, "state", Choice(("MASTER", "BACKUP")), "state", on_bad="BACKUP", sticky="MASTER"),
    Row(_INSTANCE, "interface", Interface(), "interface"),
    Row(_INSTANCE, "virtual_router_id", Integer(1, 255), "vrid"),
    Row(_INSTANCE, "priority", Integer(1, 255), "priority", on_bad=100),
    Row(_INSTANCE, "advert_int", Seconds(10_000, 255 * US_PER_S), "advertisement_interval_us", US_PER_S),
    Row(_INSTANCE, "version", Integer(2, 3), "version", first_wins=True),
    Row(_INSTANCE, "native_ipv6", Flag(), "native_ipv6", False),
    Row(_INSTANCE, "authentication", shape=_BLOCK, opens=Block.AUTHENTICATION),
    Row(Block.AUTHENTICATION, "auth_type", Choice(("PASS", "AH")), "auth_type", secret=True),
    Row(Block.AUTHENTICATION, "auth_pass", Secret(), "auth_pass", secret=True),
    Row(_INSTANCE, "auth_hmac", shape=_SKIP, status=_NOT_YET, refuses=True, secret=True, source="keepalived 2.4.0"),
    # Source, destination, unicast.
    Row(_INSTANCE, "mcast_src_ip", Address(), "mcast_source"),
    Row(_INSTANCE, "unicast_src_ip", Address(), "unicast_source"),
    Row(_INSTANCE, "unicast_peer", UnicastPeer(), "peers", shape=_LINES),
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
    *_many(_INSTANCE, _NOT_YET, "unicast_fault_no_peer track_src_ip", Flag()),
    Row(_INSTANCE, "old_unicast_checksum", status=_NOT_YET, refuses=True),
    Row(_INSTANCE, "vrf", Word(), status=_NOT_YET, refuses=True),
    Row(_INSTANCE, "kernel_rx_buf_size", Integer(1, UINT_MAX), status=_NO_EFFECT),
    # Interfaces of its own.
    *_many(_INSTANCE, _NOT_YET, "use_vmac use_vmac_addr use_ipvlan", refuses=True),
    Row(_INSTANCE, "vmac_xmit_base", Flag(), status=_NOT_YET),
    Row(_INSTANCE, "dont_track_primary", Flag(value=False), "track_primary", True),
    # Addresses, routes, rules.
    Row(_INSTANCE, "virtual_ipaddress", VirtualAddress(), "virtual_addresses", shape=_LINES),
    Row(_INSTANCE, "virtual_ipaddress_excluded", VirtualAddress(), "excluded_addresses", shape=_LINES),
    Row(_INSTANCE, "no_virtual_ipaddress", Flag(), "no_addresses", False, source="keepalived 2.2.8"),
    *_many(_INSTANCE, _NOT_YET, "virtual_routes virtual_rules", shape=_LINES, refuses=True),
    Row(_INSTANCE, "promote_secondaries", Flag(), status=_NOT_YET),
    Row(_INSTANCE, "accept", Flag(), "accept"),
    Row(_INSTANCE, "no_accept", Flag(value=False), "accept", status=_NOT_YET, refuses=True),
    # Election and timing.
    Row(_INSTANCE, "nopreempt", Flag(value=False), "preempt", True),
    Row(_INSTANCE, "preempt", Flag(), "preempt", True),
    Row(_INSTANCE, "preempt_delay", Seconds(0, 1000 * US_PER_S), "preempt_delay_us", 0),
    Row(_INSTANCE, "down_timer_adverts", Integer(1, 100), "down_timer_adverts", 3, inherits="down_timer_adverts"),
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
    Row(_INSTANCE, "skip_check_adv_addr", Boolean(), "skip_address_check", False, inherits="skip_address_check"),
    Row(_INSTANCE, "strict_mode", Boolean(), "strict", False, inherits="strict"),
    *_many(_INSTANCE, _NOT_YET, "timer_expired_backup thread_timer_expired", source="keepalived 2.2.8"),
    *_many(_INSTANCE, _NOT_YET, "owner_ignore_adverts", Boolean(), source="keepalived 2.3.3"),
    # Announcements.
    Row(_INSTANCE, "garp_master_delay", _SECONDS, "garp.master_delay_us", inherits="garp.master_delay_us"),
    Row(_INSTANCE, "garp_master_repeat", _REPEAT, "garp.master_repeat", inherits="garp.master_repeat", on_bad=1),
    Row(_INSTANCE, "garp_master_refresh", _REFRESH, "garp.master_refresh_us", inherits="garp.master_refresh_us"),
    Row(
        _INSTANCE,
        "garp_master_refresh_repeat",
        _REPEAT,
        "garp.master_refresh_repeat",
        inherits="garp.master_refresh_repeat",
        on_bad=1,
    ),
    Row(_INSTANCE, "garp_lower_prio_delay", _SECONDS, "garp.lower_prio_delay_us", inherits="garp.lower_prio_delay_us"),
    Row(
        _INSTANCE,
        "garp_lower_prio_repeat",
        _REPEAT_OR_NONE,
        "garp.lower_prio_repeat",
        inherits="garp.lower_prio_repeat",
    ),
    *_many(_INSTANCE, _NOT_YET, "garp_extra_if vmac_garp_intvl"),
    # Tracking.
    Row(_INSTANCE, "track_script", Tracked("track_script"), "track_scripts", shape=_LINES),
    Row(
        _INSTANCE,
        "track_interface",
        Tracked("track_interface", weight=0, reverse=False, interface=True),
        "track_interfaces",
        shape=_LINES,
    ),
    *_many(_INSTANCE, _NOT_YET, "track_file track_process track_bfd", shape=_LINES, refuses=True),
    # Telling others.
    Row(_INSTANCE, "notify_master", Script(), "notify.master", first_wins=True),
    Row(_INSTANCE, "notify_backup", Script(), "notify.backup", first_wins=True),
    Row(_INSTANCE, "notify_fault", Script(), "notify.fault", first_wins=True),
    Row(_INSTANCE, "notify_stop", Script(), "notify.stop", first_wins=True),
    Row(_INSTANCE, "notify", Script(), "notify.any", first_wins=True),
    *_many(_INSTANCE, _NOT_YET, "notify_deleted notify_master_rx_lower_pri", Script()),
    *_many(_INSTANCE, _NOT_YET, "notify_priority_changes", Boolean()),
    *_many(_INSTANCE, _NO_EFFECT, "smtp_alert", Boolean()),
    *_many(_INSTANCE, _NO_EFFECT, "debug", Integer(0, 4)),
    *_many(_INSTANCE, _NO_EFFECT, "linkbeat_use_polling lvs_sync_daemon_interface"),
)

_OTHER_ROWS: Final = (
    Row(_SYNC, "group", target="members", shape=_LINES),
    *_many(_SYNC, _NOT_YET, "track_script", target="track_scripts", shape=_LINES),
    *_many(_SYNC, _NOT_YET, "track_interface track_file track_process track_bfd", shape=_LINES),
    *_many(_SYNC, _NOT_YET, "notify_master notify_backup notify_fault notify_stop notify", Script()),
    *_many(_SYNC, _NOT_YET, "notify_priority_changes smtp_alert", Boolean()),
    *_many(_SYNC, _NOT_YET, "global_tracking sync_group_tracking_weight", Flag()),
    *_many(
        Block.TRACK_PROCESS,
        _NOT_YET,
        "process param_match full_command weight quorum quorum_max delay fork_delay terminate_delay",
    ),
    *_many(Block.TRACK_FILE, _NOT_YET, "file weight init_file"),
    *_many(Block.TRACK_GROUP, _NOT_YET, "group", shape=_LINES),
    *_many(Block.GARP_GROUP, _NOT_YET, "garp_interval gna_interval interface"),
    *_many(Block.GARP_GROUP, _NOT_YET, "interfaces", shape=_LINES),
    *_many(
        Block.BFD,
        _NOT_YET,
        """neighbor_ip neighbour_ip source_ip min_rx min_tx idle_tx multiplier passive ttl hoplimit max_hops multihop
        weight vrrp checker""",
    ),
    *_many(
        Block.AUTH_HMAC,
        _NOT_YET,
        "key active_key time_window anti_replay mode",
        secret=True,
        source="keepalived 2.4.0",
    ),
)

ROWS: Final = (*_ROOT_ROWS, *_GLOBAL_ROWS, *_SCRIPT_ROWS, *_INSTANCE_ROWS, *_OTHER_ROWS)


def _by_block() -> dict[Block, dict[str, Row]]:
    found: dict[Block, dict[str, Row]] = {block: {} for block in Block}
    for row in ROWS:
        assert row.keyword not in found[row.block], row
        found[row.block][row.keyword] = row
    return found


BY_BLOCK: Final = _by_block()
COMMANDS: Final = frozenset(row.keyword for row in ROWS if isinstance(row.reads, Script))
INCLUDES: Final = frozenset({"include", "includer", "includem", "includew", "includeb", "includea"})
