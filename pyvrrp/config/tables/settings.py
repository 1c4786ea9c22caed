"""Keywords of `global_defs`."""

from __future__ import annotations

from typing import Final

from pyvrrp.config.commands import Script, User
from pyvrrp.config.interfaces import ExtraInterfaces
from pyvrrp.config.readers import SECONDS_MAX, UINT_MAX, Boolean, Flag, Integer, Numbers, Seconds
from pyvrrp.config.rows import Block, Row
from pyvrrp.config.system import BufferPolicy, Deprecated, FifoPath, IncludeChecks, Options, SmtpServer, Umask
from pyvrrp.config.tables.common import (
    INT_MAX,
    LINES,
    NO_EFFECT,
    NOT_YET,
    PACING,
    REFRESH,
    REPEAT,
    REPEAT_OR_NONE,
    SECONDS,
    SIZE,
    many,
)
from pyvrrp.config.texts import PROCESS_NAME_LENGTH, Address, Choice, Interface, Names, Word, Words
from pyvrrp.protocol.constants import US_PER_S, Family

_GLOBAL: Final = Block.GLOBAL
_CPU_MAX: Final = 8191  # CONFIG_NR_CPUS at its greatest; how many there are here is known at run time
_NICE: Final = Integer(-20, 19, required=False)
_RT: Final = Integer(1, 99, clamp=True, required=False)
_RTTIME: Final = Integer(1, UINT_MAX)
_NAME: Final = Word(length=PROCESS_NAME_LENGTH)
_TIMEOUT: Final = Integer(1, 1000, unit=US_PER_S, required=False)
_DELAY: Final = Seconds(1000, SECONDS_MAX * US_PER_S)
_INT32: Final = Integer(-INT_MAX - 1, INT_MAX)

_MAIL_ROWS: Final = (
    Row(_GLOBAL, "notification_email", target="notification_email", status=NO_EFFECT, shape=LINES),
    Row(_GLOBAL, "notification_email_from", Words(required=False), "notification_email_from", status=NO_EFFECT),
    Row(_GLOBAL, "smtp_server", SmtpServer(), "smtp_server", status=NO_EFFECT),
    Row(
        _GLOBAL,
        "smtp_connect_timeout",
        Integer(0, SECONDS_MAX, unit=US_PER_S, zero=1),
        "smtp_connect_timeout_us",
        30 * US_PER_S,
        status=NO_EFFECT,
    ),
    Row(_GLOBAL, "smtp_helo_name", Word(optional=""), "smtp_helo_name", status=NO_EFFECT),
    Row(_GLOBAL, "smtp_alert", Boolean(), "smtp_alert", status=NO_EFFECT),
    Row(_GLOBAL, "smtp_alert_vrrp", Boolean(), "smtp_alert_vrrp", status=NO_EFFECT),
    Row(_GLOBAL, "no_email_faults", Flag(), "no_email_faults", status=NO_EFFECT),
)

_DEFAULT_ROWS: Final = (  # defaults of the instances
    Row(_GLOBAL, "vrrp_version", Integer(2, 3, lenient=True), "version"),
    Row(_GLOBAL, "vrrp_mcast_group4", Address(Family.V4, multicast=True), "group4"),
    Row(_GLOBAL, "vrrp_mcast_group6", Address(Family.V6, multicast=True), "group6"),
    Row(_GLOBAL, "vrrp_garp_master_delay", SECONDS, "garp.master_delay_us"),
    Row(_GLOBAL, "vrrp_garp_master_repeat", REPEAT, "garp.master_repeat", on_bad=1),
    Row(_GLOBAL, "vrrp_garp_master_refresh", REFRESH, "garp.master_refresh_us"),
    Row(_GLOBAL, "vrrp_garp_master_refresh_repeat", REPEAT, "garp.master_refresh_repeat", on_bad=1),
    Row(_GLOBAL, "vrrp_garp_lower_prio_delay", SECONDS, "garp.lower_prio_delay_us"),
    Row(_GLOBAL, "vrrp_garp_lower_prio_repeat", REPEAT_OR_NONE, "garp.lower_prio_repeat"),
    Row(_GLOBAL, "vrrp_garp_interval", PACING, "garp.interval_us", 0),
    Row(_GLOBAL, "vrrp_gna_interval", PACING, "garp.gna_interval_us", 0),
    Row(_GLOBAL, "vrrp_garp_extra_if", ExtraInterfaces(1), "garp.extra", status=NOT_YET),
    Row(
        _GLOBAL,
        "vrrp_vmac_garp_intvl",
        Deprecated(ExtraInterfaces(1), "vrrp_garp_extra_if"),
        "garp.extra",
        status=NOT_YET,
    ),
    Row(_GLOBAL, "vrrp_min_garp", Boolean(), "min_garp", False),
    Row(_GLOBAL, "vrrp_down_timer_adverts", Integer(1, 100, lenient=True), "down_timer_adverts", 3),
    Row(_GLOBAL, "vrrp_lower_prio_no_advert", Boolean(), "lower_prio_no_advert", False),
    Row(_GLOBAL, "vrrp_higher_prio_send_advert", Boolean(), "higher_prio_send_advert", False),
    Row(_GLOBAL, "vrrp_check_unicast_src", Flag(), "check_unicast_source", False),
    # The lists are always compared, and one that differs is accepted with a warning (RFC 9568 7.1 leaves it open):
    # there is no drop that could be skipped.
    Row(_GLOBAL, "vrrp_skip_check_adv_addr", Boolean(), "skip_address_check", False, status=NO_EFFECT),
    Row(_GLOBAL, "vrrp_strict", Boolean(), "strict", False),
    Row(
        _GLOBAL,
        "v3_checksum_as_v2",
        Boolean(),
        "checksum_without_pseudo_header",
        False,
        source="keepalived 2.2.8",
    ),
    Row(
        _GLOBAL,
        "vrrp_owner_ignore_adverts",
        Boolean(),
        "owner_ignore_adverts",
        False,
        status=NOT_YET,
        source="keepalived 2.3.3",
    ),
    Row(_GLOBAL, "vrrp_notify_priority_changes", Boolean(), "notify_priority_changes", False, status=NOT_YET),
)

_VRRP_ROWS: Final = (  # how all of VRRP runs
    Row(_GLOBAL, "default_interface", Interface(required=False), "default_interface", status=NOT_YET),
    Row(_GLOBAL, "vrrp_startup_delay", _DELAY, "startup_delay_us", status=NOT_YET),
    Row(_GLOBAL, "vrrp_delay_after_boot", _DELAY, "boot_delay_us", status=NOT_YET, source="keepalived 2.4.0"),
    Row(_GLOBAL, "log_unknown_vrids", Flag(), "log_unknown_vrids", status=NOT_YET),
    Row(_GLOBAL, "fifo_write_vrrp_states_on_reload", Flag(), "write_states_on_reload", status=NOT_YET),
    Row(_GLOBAL, "dynamic_interfaces", Options(("allow_if_changes",)), "dynamic_interfaces"),
    Row(_GLOBAL, "vmac_prefix", Word(), "vmac_prefix", first_wins=True, status=NOT_YET),
    Row(_GLOBAL, "vmac_addr_prefix", Word(), "vmac_address_prefix", first_wins=True, status=NOT_YET),
)

_PROCESS_ROWS: Final = (  # scripts, processes
    Row(_GLOBAL, "enable_script_security", Flag(), "enable_script_security", False),
    Row(_GLOBAL, "script_user", User(required=False), "script_user"),
    Row(_GLOBAL, "startup_script", Script(required=False), "startup_script", first_wins=True, status=NOT_YET),
    Row(_GLOBAL, "shutdown_script", Script(required=False), "shutdown_script", first_wins=True, status=NOT_YET),
    Row(_GLOBAL, "startup_script_timeout", _TIMEOUT, "startup_timeout_us", status=NOT_YET),
    Row(_GLOBAL, "shutdown_script_timeout", _TIMEOUT, "shutdown_timeout_us", status=NOT_YET),
    Row(_GLOBAL, "notify_fifo", FifoPath(), "notify_fifo.path", first_wins=True, status=NOT_YET),
    Row(
        _GLOBAL,
        "notify_fifo_script",
        Script(required=False),
        "notify_fifo.script",
        first_wins=True,
        status=NOT_YET,
    ),
    Row(_GLOBAL, "vrrp_notify_fifo", FifoPath(), "vrrp_notify_fifo.path", first_wins=True, status=NOT_YET),
    Row(
        _GLOBAL,
        "vrrp_notify_fifo_script",
        Script(required=False),
        "vrrp_notify_fifo.script",
        first_wins=True,
        status=NOT_YET,
    ),
    Row(_GLOBAL, "use_symlink_paths", Boolean(), "use_symlink_paths", status=NOT_YET, source="keepalived 2.3.0"),
    Row(
        _GLOBAL,
        "set_supplementary_groups",
        Boolean(),
        "supplementary_groups",
        status=NOT_YET,
        source="keepalived 2.4.3",
    ),
    Row(_GLOBAL, "vrrp_priority", _NICE, "process_priority", 0),
    Row(_GLOBAL, "vrrp_rt_priority", _RT, "rt_priority"),
    Row(_GLOBAL, "vrrp_no_swap", Flag(), "no_swap", False),
    Row(_GLOBAL, "max_auto_priority", Integer(-1, 99, optional=99), "max_auto_priority", 0),
    Row(
        _GLOBAL,
        "min_auto_priority_delay",
        Integer(1, 10_000_000, required=False),
        "auto_priority_delay_us",
        status=NOT_YET,
    ),
    Row(_GLOBAL, "vrrp_cpu_affinity", Numbers(_CPU_MAX), "cpu_affinity"),
    # A mass take-over works longer than that without a pause, and would be killed for it.
    *many(_GLOBAL, NO_EFFECT, "vrrp_rlimit_rttime vrrp_rlimit_rtime", _RTTIME, target="rlimit_rttime_us"),
    Row(_GLOBAL, "process_names", Flag(), "process_names.standard", status=NO_EFFECT),
    Row(_GLOBAL, "process_name", _NAME, "process_names.parent", status=NO_EFFECT),
    Row(_GLOBAL, "vrrp_process_name", _NAME, "process_names.vrrp", status=NO_EFFECT),
    Row(_GLOBAL, "vrrp_netlink_cmd_rcv_bufs", SIZE, "buffers.command", status=NO_EFFECT),
    Row(_GLOBAL, "vrrp_netlink_cmd_rcv_bufs_force", Boolean(), "buffers.command_force", status=NO_EFFECT),
    Row(_GLOBAL, "vrrp_netlink_monitor_rcv_bufs", SIZE, "buffers.monitor", status=NO_EFFECT),
    Row(_GLOBAL, "vrrp_netlink_monitor_rcv_bufs_force", Boolean(), "buffers.monitor_force", status=NO_EFFECT),
    Row(_GLOBAL, "process_monitor_rcv_bufs", SIZE, "buffers.process", status=NO_EFFECT),
    Row(_GLOBAL, "process_monitor_rcv_bufs_force", Boolean(), "buffers.process_force", status=NO_EFFECT),
    Row(_GLOBAL, "vrrp_rx_bufs_policy", BufferPolicy(), "buffers.policy", status=NO_EFFECT),
    Row(
        _GLOBAL,
        "vrrp_rx_bufs_multiplier",
        Integer(1, UINT_MAX, required=False),
        "buffers.multiplier",
        status=NO_EFFECT,
    ),
)

_FILE_ROWS: Final = (  # files, the firewall
    Row(_GLOBAL, "umask", Umask(), "files.umask"),
    Row(_GLOBAL, "random_seed", Integer(0, UINT_MAX), "random_seed", status=NO_EFFECT),
    Row(_GLOBAL, "include_check", IncludeChecks(), "include_checks", status=NO_EFFECT),
    # A reload is always checked first, and a bad one refused.
    Row(_GLOBAL, "reload_check_config", Word(optional=""), "reload.check_log", status=NO_EFFECT),
    Row(_GLOBAL, "reload_time_file", Word(required=False), "reload.time_file", status=NOT_YET),
    Row(_GLOBAL, "reload_repeat", Flag(), "reload.repeat", status=NOT_YET),
    Row(_GLOBAL, "reload_file", Word(optional=""), "reload.mark_file", status=NOT_YET),
    Row(_GLOBAL, "config_save_dir", Word(), "files.save_directory", status=NO_EFFECT),
    Row(_GLOBAL, "tmp_config_directory", Word(required=False), "files.temporary_directory", status=NO_EFFECT),
    Row(_GLOBAL, "data_use_instance", Boolean(), "files.use_instance"),
    Row(_GLOBAL, "json_version", Integer(1, 2), "files.json_version", source="keepalived 2.2.8"),
    Row(_GLOBAL, "state_dump_file", Word(), "files.state_dump", source="keepalived 2.4.3"),
    *many(_GLOBAL, NO_EFFECT, "stats_dump_file json_dump_file", Word(), source="keepalived 2.4.3"),
    Row(_GLOBAL, "iproute_usr_dir", Word(), "files.iproute_usr", status=NOT_YET, source="keepalived 2.3.2"),
    Row(_GLOBAL, "iproute_etc_dir", Word(), "files.iproute_etc", status=NOT_YET, source="keepalived 2.3.2"),
    Row(_GLOBAL, "nftables", Word(optional="keepalived"), "firewall.nftables", first_wins=True, status=NO_EFFECT),
    Row(_GLOBAL, "nftables_priority", _INT32, "firewall.nftables_priority", status=NO_EFFECT),
    Row(_GLOBAL, "nftables_counters", Flag(), "firewall.nftables_counters", status=NO_EFFECT),
    Row(_GLOBAL, "nftables_ifindex", Flag(), "firewall.nftables_ifindex", status=NO_EFFECT),
    Row(_GLOBAL, "vrrp_iptables", Names(2), "firewall.iptables", first_wins=True, status=NO_EFFECT),
    Row(_GLOBAL, "vrrp_ipsets", Names(6), "firewall.ipsets", status=NO_EFFECT),
    Row(_GLOBAL, "disable_local_igmp", Flag(), "firewall.disable_local_igmp", status=NO_EFFECT),
)

_OTHER_ROWS: Final = (  # other subsystems: read as far as a mistake can be told, and not kept
    *many(_GLOBAL, NO_EFFECT, "smtp_alert_checker no_checker_emails checker_log_all_failures", Boolean()),
    *many(_GLOBAL, NO_EFFECT, "rs_init_notifies", Boolean()),
    *many(
        _GLOBAL,
        NO_EFFECT,
        """enable_traps enable_snmp_vrrp enable_snmp_keepalived enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3
        enable_snmp_checker enable_dbus lvs_flush checker_no_swap bfd_no_swap""",
        Flag(),
    ),
    *many(_GLOBAL, NO_EFFECT, "dbus_no_interface_name", Flag(), source="keepalived 2.3.0"),
    *many(_GLOBAL, NO_EFFECT, "snmp_socket dbus_service_name", Word(required=False)),
    *many(_GLOBAL, NO_EFFECT, "bfd_process_name checker_process_name lvs_process_name", _NAME),
    *many(
        _GLOBAL,
        NO_EFFECT,
        "snmp_vs_stats_update_interval snmp_rs_stats_update_interval",
        Integer(0, SECONDS_MAX),
        source="keepalived 2.4.0",
    ),
    *many(_GLOBAL, NO_EFFECT, "lvs_sync_daemon lvs_timeouts", Words(required=False)),
    *many(_GLOBAL, NO_EFFECT, "lvs_flush_on_stop lvs_flush_onstop", Choice(("VS",), optional="")),
    *many(_GLOBAL, NO_EFFECT, "lvs_notify_fifo", FifoPath()),
    *many(_GLOBAL, NO_EFFECT, "lvs_notify_fifo_script", Script(required=False)),
    *many(_GLOBAL, NO_EFFECT, "lvs_netlink_cmd_rcv_bufs lvs_netlink_monitor_rcv_bufs", SIZE),
    *many(_GLOBAL, NO_EFFECT, "lvs_netlink_cmd_rcv_bufs_force lvs_netlink_monitor_rcv_bufs_force", Boolean()),
    *many(_GLOBAL, NO_EFFECT, "checker_priority bfd_priority", _NICE),
    *many(_GLOBAL, NO_EFFECT, "checker_rt_priority bfd_rt_priority", _RT),
    *many(_GLOBAL, NO_EFFECT, "checker_cpu_affinity bfd_cpu_affinity", Numbers(_CPU_MAX)),
    *many(
        _GLOBAL,
        NO_EFFECT,
        "checker_rlimit_rttime checker_rlimit_rtime bfd_rlimit_rttime bfd_rlimit_rtime",
        _RTTIME,
    ),
    *many(_GLOBAL, NO_EFFECT, "nftables_ipvs", Word(optional="")),
    *many(_GLOBAL, NO_EFFECT, "nftables_ipvs_priority", _INT32),
    *many(_GLOBAL, NO_EFFECT, "nftables_ipvs_start_fwmark", Integer(1, UINT_MAX)),
)

SETTINGS_ROWS: Final = (
    Row(_GLOBAL, "router_id", Word(required=False), "router_id"),
    *_MAIL_ROWS,
    *_DEFAULT_ROWS,
    *_VRRP_ROWS,
    *_PROCESS_ROWS,
    *_FILE_ROWS,
    *_OTHER_ROWS,
)
