"""Good and bad values of the keywords of `global_defs`."""

from __future__ import annotations

from ipaddress import ip_address

from pyvrrp.config.model import Command, Fifo, ReloadSettings
from tests.config.cases.common import GLOBAL, NOT_CARRIED, Case, boolean, flag, not_kept

CASES = (
    # global_defs
    Case(GLOBAL, "router_id r1", "globals.router_id", "r1", "router_id", "router_id is missing its value"),
    Case(GLOBAL, "vrrp_version 3", "instance.version", 3, "vrrp_version 4", "outside range [2, 3]"),
    Case(
        GLOBAL,
        "vrrp_mcast_group4 224.0.0.99",
        "instance.group",
        ip_address("224.0.0.99"),
        "vrrp_mcast_group4 10.0.0.1",
        "is not multicast. Skipping...",
    ),
    Case(
        GLOBAL,
        "vrrp_mcast_group6 ff02::99",
        "instance.group",
        ip_address("ff02::99"),
        "vrrp_mcast_group6 224.0.0.1",
        "is not IPv6. Skipping...",
        "virtual_ipaddress {\nfe80::1\n}",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_master_delay 7",
        "instance.garp.master_delay_us",
        7_000_000,
        "vrrp_garp_master_delay x",
        "invalid number 'x'",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_master_repeat 7",
        "instance.garp.master_repeat",
        7,
        "vrrp_garp_master_repeat 0",
        "must be greater than 0, setting to 1",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_master_refresh 7",
        "instance.garp.master_refresh_us",
        7_000_000,
        "vrrp_garp_master_refresh 5000000000",
        "outside range",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_master_refresh_repeat 7",
        "instance.garp.master_refresh_repeat",
        7,
        "vrrp_garp_master_refresh_repeat 0",
        "must be greater than 0, setting to 1",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_lower_prio_delay 7",
        "instance.garp.lower_prio_delay_us",
        7_000_000,
        "vrrp_garp_lower_prio_delay -1",
        "outside range [0, 4294]",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_lower_prio_repeat 0",
        "instance.garp.lower_prio_repeat",
        0,
        "vrrp_garp_lower_prio_repeat many",
        "invalid number 'many'",
    ),
    Case(
        GLOBAL,
        "vrrp_garp_interval 0.000001",
        "instance.garp.interval_us",
        1,
        "vrrp_garp_interval 4295",
        "outside range [0, 4294]",
    ),
    Case(
        GLOBAL,
        "vrrp_gna_interval .5",
        "instance.garp.gna_interval_us",
        500_000,
        "vrrp_gna_interval 1e0",
        "invalid number '1e0'",
    ),
    Case(GLOBAL, "vrrp_min_garp", "instance.garp.master_repeat", 1, "vrrp_min_garp 1", "invalid vrrp_min_garp '1'"),
    Case(
        GLOBAL,
        "vrrp_down_timer_adverts 5",
        "instance.down_timer_adverts",
        5,
        "vrrp_down_timer_adverts 101",
        "outside range [1, 100]",
    ),
    boolean(GLOBAL, "vrrp_lower_prio_no_advert", "instance.lower_prio_no_advert"),
    boolean(GLOBAL, "vrrp_higher_prio_send_advert", "instance.higher_prio_send_advert"),
    Case(
        GLOBAL,
        "vrrp_check_unicast_src",
        "instance.check_unicast_source",
        True,
        "vrrp_check_unicast_src off",
        "takes no value, and 'off' does not turn it off",
        "unicast_peer {\n192.0.2.8\n}",
    ),
    boolean(GLOBAL, "vrrp_skip_check_adv_addr", "instance.skip_address_check"),
    Case(
        GLOBAL,
        "vrrp_strict",
        "instance.strict",
        True,
        "vrrp_strict 1",
        "invalid vrrp_strict '1' specified",
        "priority 255",
    ),
    boolean(GLOBAL, "v3_checksum_as_v2", "instance.checksum_without_pseudo_header"),
    Case(
        GLOBAL,
        "dynamic_interfaces allow_if_changes",
        "globals.interfaces_may_change",
        True,
        "dynamic_interfaces sometimes",
        "Unknown dynamic_interfaces option 'sometimes'",
    ),
    Case(
        GLOBAL,
        "enable_script_security",
        "globals.enable_script_security",
        True,
        "enable_script_security off",
        "takes no value",
    ),
    Case(GLOBAL, "script_user daemon :adm", "globals.script_group", "adm", "script_user", "No script username"),
    # Mail.
    Case(
        GLOBAL,
        "notification_email {\na@x\nb@x\n}",
        "globals.notification_email",
        ("a@x", "b@x"),
        "notification_email x {\n}",
        "Block notification_email has extra parameters",
    ),
    Case(
        GLOBAL,
        "notification_email_from A B <a@x>",
        "globals.notification_email_from",
        "A B <a@x>",
        "notification_email_from",
        "is missing its value",
    ),
    Case(GLOBAL, "smtp_server mx 25", "globals.smtp_server", "mx 25", "smtp_server mx 99999", "range [1, 65535]"),
    Case(
        GLOBAL,
        "smtp_connect_timeout 9",
        "globals.smtp_connect_timeout_us",
        9_000_000,
        "smtp_connect_timeout 0",
        "must be greater than 0, setting to 1",
    ),
    Case(GLOBAL, "smtp_helo_name me", "globals.smtp_helo_name", "me", "smtp_helo_name a b", "'b' and what follows"),
    boolean(GLOBAL, "smtp_alert", "globals.smtp_alert"),
    boolean(GLOBAL, "smtp_alert_vrrp", "globals.smtp_alert_vrrp"),
    flag(GLOBAL, "no_email_faults", "globals.no_email_faults"),
    # More defaults of the instances.
    Case(GLOBAL, "vrrp_garp_extra_if all 9", "instance.garp.extra_all", True, "vrrp_garp_extra_if 0", "[1, 86400]"),
    Case(
        GLOBAL,
        "vrrp_vmac_garp_intvl 9",
        "instance.garp.extra_interval_us",
        9_000_000,
        "vrrp_vmac_garp_intvl",
        "vrrp_vmac_garp_intvl is missing its value",
    ),
    boolean(GLOBAL, "vrrp_owner_ignore_adverts", "instance.owner_ignore_adverts"),
    boolean(GLOBAL, "vrrp_notify_priority_changes", "instance.notify_priority_changes"),
    # How all of VRRP runs.
    Case(GLOBAL, "default_interface eth9", "globals.default_interface", "eth9", "default_interface", "is missing its"),
    Case(
        GLOBAL,
        "vrrp_startup_delay 5.5",
        "globals.startup_delay_us",
        5_500_000,
        "vrrp_startup_delay 0",
        "outside range [0.001, 4294]",
    ),
    Case(
        GLOBAL,
        "vrrp_delay_after_boot 60",
        "globals.boot_delay_us",
        60_000_000,
        "vrrp_delay_after_boot x",
        "invalid number 'x'",
    ),
    flag(GLOBAL, "log_unknown_vrids", "globals.log_unknown_vrids"),
    flag(GLOBAL, "fifo_write_vrrp_states_on_reload", "globals.write_states_on_reload"),
    Case(GLOBAL, "vmac_prefix vv", "globals.vmac_prefix", "vv", "vmac_prefix", "vmac_prefix is missing its value"),
    Case(
        GLOBAL, "vmac_addr_prefix va", "globals.vmac_address_prefix", "va", "vmac_addr_prefix", "is missing its value"
    ),
    # Scripts and processes.
    *(
        Case(
            GLOBAL,
            f'{word}_script "/bin/s x" root',
            f"globals.{word}_script",
            Command(("/bin/s", "x"), "root"),
            f"{word}_script",
            f"{word}_script is missing its value",
        )
        for word in ("startup", "shutdown")
    ),
    *(
        Case(
            GLOBAL,
            f"{word}_script_timeout 5",
            f"globals.{word}_timeout_us",
            5_000_000,
            f"{word}_script_timeout 1001",
            "outside range [1, 1000]",
        )
        for word in ("startup", "shutdown")
    ),
    *(
        Case(
            GLOBAL,
            f"{word} /run/p root :adm",
            f"globals.{word}",
            Fifo("/run/p", "root", "adm"),
            word,
            f"{word} is missing its value",
        )
        for word in ("notify_fifo", "vrrp_notify_fifo")
    ),
    *(
        Case(
            GLOBAL,
            f"{word}_script /bin/s",
            f"globals.{word}",
            Fifo(script=Command(("/bin/s",))),
            f"{word}_script '/bin/s",
            "missing terminating '",
        )
        for word in ("notify_fifo", "vrrp_notify_fifo")
    ),
    boolean(GLOBAL, "use_symlink_paths", "globals.use_symlink_paths"),
    boolean(GLOBAL, "set_supplementary_groups", "globals.supplementary_groups"),
    Case(GLOBAL, "vrrp_priority -20", "globals.process_priority", -20, "vrrp_priority -21", "outside range [-20, 19]"),
    Case(GLOBAL, "vrrp_rt_priority 5", "globals.rt_priority", 5, "vrrp_rt_priority 100", "[1, 99], using 99"),
    flag(GLOBAL, "vrrp_no_swap", "globals.no_swap"),
    Case(GLOBAL, "max_auto_priority", "globals.max_auto_priority", 99, "max_auto_priority 100", "range [-1, 99]"),
    Case(
        GLOBAL,
        "min_auto_priority_delay 7",
        "globals.auto_priority_delay_us",
        7,
        "min_auto_priority_delay 0",
        "outside range [1, 10000000]",
    ),
    Case(
        GLOBAL,
        "vrrp_cpu_affinity 0 2",
        "globals.cpu_affinity",
        frozenset({0, 2}),
        "vrrp_cpu_affinity 0 x",
        "invalid number 'x' for vrrp_cpu_affinity",
    ),
    *(
        Case(GLOBAL, f"{word} 10000", "globals.rlimit_rttime_us", 10_000, f"{word} 0", "outside range [1, 4294967295]")
        for word in ("vrrp_rlimit_rttime", "vrrp_rlimit_rtime")
    ),
    flag(GLOBAL, "process_names", "globals.process_names.standard"),
    Case(
        GLOBAL,
        "process_name p",
        "globals.process_names.parent",
        "p",
        "process_name abcdefghijklmnop",
        "is cut to 15 characters",
    ),
    Case(GLOBAL, "vrrp_process_name v", "globals.process_names.vrrp", "v", "vrrp_process_name", "is missing its value"),
    *(
        Case(GLOBAL, f"{word} 65536", f"globals.buffers.{name}", 65536, f"{word} x", f"invalid number 'x' for {word}")
        for word, name in (
            ("vrrp_netlink_cmd_rcv_bufs", "command"),
            ("vrrp_netlink_monitor_rcv_bufs", "monitor"),
            ("process_monitor_rcv_bufs", "process"),
            ("vrrp_rx_bufs_multiplier", "multiplier"),
        )
    ),
    boolean(GLOBAL, "vrrp_netlink_cmd_rcv_bufs_force", "globals.buffers.command_force"),
    boolean(GLOBAL, "vrrp_netlink_monitor_rcv_bufs_force", "globals.buffers.monitor_force"),
    boolean(GLOBAL, "process_monitor_rcv_bufs_force", "globals.buffers.process_force"),
    Case(
        GLOBAL,
        "vrrp_rx_bufs_policy MTU",
        "globals.buffers.policy",
        "MTU",
        "vrrp_rx_bufs_policy mtu",
        "invalid number 'mtu'",
    ),
    # Files and the firewall.
    Case(GLOBAL, "umask IRGRP|IWOTH", "globals.files.umask", 0o42, "umask 01000", "outside range [0, 0777]"),
    Case(GLOBAL, "random_seed 5", "globals.random_seed", 5, "random_seed -1", "outside range [0, 4294967295]"),
    Case(
        GLOBAL,
        "include_check +match -read",
        "globals.include_checks",
        ("+match", "-read"),
        "include_check foo",
        "Unknown include_check type 'foo' - ignoring",
    ),
    Case(
        GLOBAL,
        "reload_check_config /run/log",
        "globals.reload",
        ReloadSettings(check=True, check_log="/run/log"),
        "reload_check_config a b",
        "'b' and what follows is not used",
    ),
    Case(GLOBAL, "reload_time_file /run/t", "globals.reload.time_file", "/run/t", "reload_time_file", "is missing its"),
    flag(GLOBAL, "reload_repeat", "globals.reload.repeat"),
    Case(GLOBAL, "reload_file", "globals.reload", ReloadSettings(mark=True), "reload_file a b", "'b' and what follows"),
    Case(GLOBAL, "config_save_dir /x", "globals.files.save_directory", "/x", "config_save_dir", "is missing its value"),
    Case(
        GLOBAL,
        "tmp_config_directory /x",
        "globals.files.temporary_directory",
        "/x",
        "tmp_config_directory",
        "tmp_config_directory is missing its value",
    ),
    boolean(GLOBAL, "data_use_instance", "globals.files.use_instance"),
    Case(GLOBAL, "json_version 2", "globals.files.json_version", 2, "json_version 3", "outside range [1, 2]"),
    Case(GLOBAL, "state_dump_file /x", "globals.files.state_dump", "/x", "state_dump_file", "is missing its value"),
    *(
        Case(GLOBAL, f"{word} /x", NOT_CARRIED, None, word, f"{word} is missing its value")
        for word in ("stats_dump_file", "json_dump_file")
    ),
    Case(GLOBAL, "iproute_usr_dir /x", "globals.files.iproute_usr", "/x", "iproute_usr_dir", "is missing its value"),
    Case(GLOBAL, "iproute_etc_dir /x", "globals.files.iproute_etc", "/x", "iproute_etc_dir", "is missing its value"),
    Case(GLOBAL, "nftables", "globals.firewall.nftables", "keepalived", "nftables a b", "'b' and what follows"),
    Case(
        GLOBAL,
        "nftables_priority -5",
        "globals.firewall.nftables_priority",
        -5,
        "nftables_priority x",
        "invalid number 'x'",
    ),
    flag(GLOBAL, "nftables_counters", "globals.firewall.nftables_counters"),
    flag(GLOBAL, "nftables_ifindex", "globals.firewall.nftables_ifindex"),
    Case(
        GLOBAL,
        "vrrp_iptables A B",
        "globals.firewall.iptables",
        ("A", "B"),
        "vrrp_iptables A B C",
        "'C' and what follows",
    ),
    Case(GLOBAL, "vrrp_ipsets a", "globals.firewall.ipsets", ("a",), "vrrp_ipsets 1 2 3 4 5 6 7", "'7' and what"),
    flag(GLOBAL, "disable_local_igmp", "globals.firewall.disable_local_igmp"),
    # Other subsystems.
    *(
        boolean(GLOBAL, word, NOT_CARRIED, None)
        for word in (
            "smtp_alert_checker",
            "no_checker_emails",
            "checker_log_all_failures",
            "rs_init_notifies",
            "lvs_netlink_cmd_rcv_bufs_force",
            "lvs_netlink_monitor_rcv_bufs_force",
        )
    ),
    *(
        flag(GLOBAL, word, NOT_CARRIED, None)
        for word in (
            "enable_traps",
            "enable_snmp_vrrp",
            "enable_snmp_keepalived",
            "enable_snmp_rfc",
            "enable_snmp_rfcv2",
            "enable_snmp_rfcv3",
            "enable_snmp_checker",
            "enable_dbus",
            "dbus_no_interface_name",
            "lvs_flush",
            "checker_no_swap",
            "bfd_no_swap",
        )
    ),
    *(not_kept(word, "x", "", f"{word} is missing its value") for word in ("snmp_socket", "dbus_service_name")),
    *(
        not_kept(word, "x", "abcdefghijklmnop", "is cut to 15 characters")
        for word in ("bfd_process_name", "checker_process_name", "lvs_process_name")
    ),
    *(
        not_kept(word, "5", "x", "invalid number 'x'")
        for word in ("snmp_vs_stats_update_interval", "snmp_rs_stats_update_interval")
    ),
    not_kept("lvs_sync_daemon", "eth0 V1 id 3", "", "lvs_sync_daemon is missing its value"),
    not_kept("lvs_timeouts", "tcp 5", "", "lvs_timeouts is missing its value"),
    *(not_kept(word, "VS", "RS", f"unknown {word} 'RS', not VS") for word in ("lvs_flush_on_stop", "lvs_flush_onstop")),
    not_kept("lvs_notify_fifo", "/run/l", "", "lvs_notify_fifo is missing its value"),
    not_kept("lvs_notify_fifo_script", "/bin/s", "", "lvs_notify_fifo_script is missing its value"),
    *(
        not_kept(word, "5", "-1", "outside range [0, 4294967295]")
        for word in ("lvs_netlink_cmd_rcv_bufs", "lvs_netlink_monitor_rcv_bufs")
    ),
    *(not_kept(word, "5", "99", "outside range [-20, 19]") for word in ("checker_priority", "bfd_priority")),
    *(not_kept(word, "5", "0", "[1, 99], using 1") for word in ("checker_rt_priority", "bfd_rt_priority")),
    *(not_kept(word, "0 1", "", "is missing its value") for word in ("checker_cpu_affinity", "bfd_cpu_affinity")),
    *(
        not_kept(word, "5", "0", "outside range [1, 4294967295]")
        for word in ("checker_rlimit_rttime", "checker_rlimit_rtime", "bfd_rlimit_rttime", "bfd_rlimit_rtime")
    ),
    not_kept("nftables_ipvs", "t", "a b", "'b' and what follows"),
    not_kept("nftables_ipvs_priority", "5", "x", "invalid number 'x'"),
    not_kept("nftables_ipvs_start_fwmark", "5", "0", "outside range [1, 4294967295]"),
)
