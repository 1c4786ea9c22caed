"""Good and bad values of the keywords of what is tracked, and of sync groups."""

from __future__ import annotations

from ipaddress import ip_address

from pyvrrp.config.model import Command, TcpTarget, Track
from tests.config.cases.common import BFD, FILE, PROCESS, SCRIPT, SYNC, Case, boolean, flag, notify

CASES = (
    # vrrp_script
    Case(SCRIPT, 'script "/bin/c -x"', "script.command", Command(("/bin/c", "-x")), 'script "/bin/c \'"', "missing"),
    Case(
        SCRIPT,
        "tcp_check 80 192.0.2.1",
        "script.tcp",
        TcpTarget(80, ip_address("192.0.2.1")),
        "tcp_check 65536",
        "outside range [1, 65535]",
    ),
    Case(SCRIPT, "interval 0.25", "script.interval_us", 250_000, "interval 0", "setting to 1"),
    Case(SCRIPT, "timeout 3", "script.timeout_us", 3_000_000, "timeout never", "invalid number 'never'"),
    Case(SCRIPT, "weight +10 reverse", "script.reverse", True, "weight 254", "must be in [-253, 253], using 253"),
    Case(SCRIPT, "rise 3", "script.rise", 3, "rise 0", "outside range"),
    Case(SCRIPT, "fall 3", "script.fall", 3, "fall x", "invalid number 'x'"),
    Case(SCRIPT, "user nobody", "script.command", Command(("/bin/true",), "nobody"), "user", "user is missing its"),
    Case(SCRIPT, "init_fail", "script.init_fail", True, "init_fail off", "does not turn it off"),
    Case(SCRIPT, "only_as_master", "script.only_as_master", True, "only_as_master off", "does not turn it off"),
    # track_file
    Case(FILE, "file /run/x", "file.path", "/run/x", "file", "file is missing its value"),
    Case(FILE, "weight -5 reverse", "file.weight", -5, "weight 255", "weight '255' must be in [-254, 254]"),
    Case(FILE, "init_file 3 overwrite", "file.initial", 3, "init_file x", "Unknown track file init option 'x'"),
    # vrrp_track_process
    Case(PROCESS, 'process "a b" c', "process.process", ("a b", "c"), "process", "process is missing its value"),
    Case(PROCESS, "param_match partial", "process.parameter_match", "partial", "param_match x", "unknown param_match"),
    flag(PROCESS, "full_command", "process.full_command"),
    Case(PROCESS, "weight 5 reverse", "process.reverse", True, "weight", "weight is missing its value"),
    Case(PROCESS, "quorum 2", "process.quorum", 2, "quorum 0", "outside range [1, 65535]"),
    Case(PROCESS, "quorum_max 0", "process.quorum_max", 0, "quorum_max 65536", "outside range [0, 65535]"),
    Case(PROCESS, "delay 1", "process.fork_delay_us", 1_000_000, "delay 0", "outside range [1e-06, 3600]"),
    Case(PROCESS, "fork_delay .5", "process.fork_delay_us", 500_000, "fork_delay x", "invalid number 'x'"),
    Case(
        PROCESS,
        "terminate_delay 3600",
        "process.terminate_delay_us",
        3_600_000_000,
        "terminate_delay 3601",
        "outside range",
    ),
    # bfd_instance
    Case(BFD, "neighbor_ip fe80::1", "bfd.neighbour", ip_address("fe80::1"), "neighbor_ip x", "malformed neighbor_ip"),
    Case(BFD, "neighbour_ip 192.0.2.9", "bfd.neighbour", ip_address("192.0.2.9"), "neighbour_ip", "is missing its"),
    Case(BFD, "source_ip 192.0.2.9", "bfd.source", ip_address("192.0.2.9"), "source_ip x", "malformed source_ip"),
    Case(BFD, "min_rx 50.5", "bfd.min_rx_us", 50_500, "min_rx 0.5", "outside range [1, 4294967]"),
    Case(BFD, "min_tx 20", "bfd.min_tx_us", 20_000, "min_tx x", "invalid number 'x'"),
    Case(BFD, "idle_tx 2000", "bfd.idle_tx_us", 2_000_000, "idle_tx 999", "outside range [1000, 4294967]"),
    Case(BFD, "multiplier 3", "bfd.multiplier", 3, "multiplier 256", "outside range [1, 255]"),
    flag(BFD, "passive", "bfd.passive"),
    Case(BFD, "ttl 64", "bfd.ttl", 64, "ttl 0", "outside range [1, 255]"),
    Case(BFD, "hoplimit 64", "bfd.ttl", 64, "hoplimit 256", "outside range [1, 255]"),
    Case(BFD, "max_hops -1", "bfd.max_hops", -1, "max_hops 256", "outside range [-1, 255]"),
    flag(BFD, "multihop", "bfd.multihop"),
    Case(BFD, "weight 5 reverse", "bfd.reverse", True, "weight 254", "weight '254' must be in [-253, 253]"),
    flag(BFD, "vrrp", "bfd.for_checker", False),
    flag(BFD, "checker", "bfd.for_vrrp", False),
    # vrrp_sync_group
    Case(
        SYNC,
        "group {\nJ\nI nobody\n}",
        "sync.members",
        ("J", "I"),
        "group {\nI\nJ\nI\n}",
        "Virtual router I is there twice - ignoring",
    ),
    *(
        Case(
            SYNC,
            f"{word} {{\n{known} weight 5\n}}",
            f"sync.{field}",
            (Track(known, 5, reverse=None),),
            f"{word} {{\n{known} weight 999\n}}",
            "weight must be between",
        )
        for word, known, field in (
            ("track_script", "chk", "track_scripts"),
            ("track_file", "known_file", "track_files"),
            ("track_process", "known_process", "track_processes"),
            ("track_bfd", "known_bfd", "track_bfds"),
        )
    ),
    Case(
        SYNC,
        "track_interface {\neth1\n}",
        "sync.track_interfaces",
        (Track("eth1", 0, reverse=False),),
        "track_interface {\neth1\neth1\n}",
        "duplicate track_interface eth1 - ignoring",
    ),
    notify(SYNC, "notify_master", "sync.notify.master"),
    notify(SYNC, "notify_backup", "sync.notify.backup"),
    notify(SYNC, "notify_fault", "sync.notify.fault"),
    notify(SYNC, "notify_stop", "sync.notify.stop"),
    notify(SYNC, "notify", "sync.notify.any"),
    boolean(SYNC, "notify_priority_changes", "sync.notify_priority_changes"),
    boolean(SYNC, "smtp_alert", "sync.smtp_alert"),
    flag(SYNC, "global_tracking", "sync.global_tracking"),
    flag(SYNC, "sync_group_tracking_weight", "sync.tracking_weight"),
)
