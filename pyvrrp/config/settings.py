"""What `global_defs`, and the lines outside of all blocks, come to. Frozen values, times in microseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pyvrrp.config.values import Command


@dataclass(frozen=True, slots=True)
class Fifo:
    """
    A named pipe that state changes are written to.

    Attributes:
        path: None for no pipe.
        user: Owner, None for keepalived's own.
        group: Group, None for the user's.
        script: Program that is started to read it.
    """

    path: str | None = None
    user: str | None = None
    group: str | None = None
    script: Command | None = None


@dataclass(frozen=True, slots=True)
class ReloadSettings:
    """
    How reloads go.

    Attributes:
        check: `reload_check_config`; here a reload is always checked first.
        check_log: File for what the check says.
        time_file: File with the time of the next reload.
        repeat: It is kept, and a time without date comes back every day.
        mark: `reload_file`: a file is there while configuration files are read.
        mark_file: Its name; None is `keepalived.reload` beside the pid file.
    """

    check: bool = False
    check_log: str | None = None
    time_file: str | None = None
    repeat: bool = False
    mark: bool = False
    mark_file: str | None = None


@dataclass(frozen=True, slots=True)
class Firewall:
    """
    Which firewall `no_accept` and VMACs use.

    Attributes:
        nftables: Name of the table; None leaves the choice.
        nftables_priority: Of the base chains.
        nftables_counters: Rules count.
        nftables_ifindex: Rules match the number of an interface, not its name.
        iptables: Input and output chain; None is not asked for.
        ipsets: Names of the sets; None is not asked for.
        disable_local_igmp: The kernel sends no IGMP for 224.0.0.0/24.
    """

    nftables: str | None = None
    nftables_priority: int = -1
    nftables_counters: bool = False
    nftables_ifindex: bool = False
    iptables: tuple[str, ...] | None = None
    ipsets: tuple[str, ...] | None = None
    disable_local_igmp: bool = False


@dataclass(frozen=True, slots=True)
class Buffers:
    """
    Sizes of receive buffers in octets, None for the kernel's; *_force* may exceed the system's limit.

    Attributes:
        command: Netlink socket that asks.
        monitor: Netlink socket that listens.
        process: Socket that hears of processes.
        policy: Of VRRP sockets: a number, or the interface's MTU or our advertisements' length times *multiplier*.
    """

    command: int | None = None
    command_force: bool = False
    monitor: int | None = None
    monitor_force: bool = False
    process: int | None = None
    process_force: bool = False
    policy: int | Literal["MTU", "ADVERT"] | None = None
    multiplier: int = 3


@dataclass(frozen=True, slots=True)
class ProcessNames:
    """Names that processes show; *standard* is keepalived's `process_names`, None leaves a name as it is."""

    standard: bool = False
    parent: str | None = None
    vrrp: str | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """
    Where things are written and read.

    Attributes:
        umask: For files that are written; None is keepalived's.
        save_directory: Copies of the configuration for debugging.
        temporary_directory: Where the copy lives that is worked with.
        use_instance: Names of dump files hold the name of the daemon.
        state_dump: Name of the data dump.
        json_version: Shape of the JSON dump.
        iproute_usr: Directory of rt_tables and the like, as they came with the system.
        iproute_etc: The same, as changed here.
    """

    umask: int | None = None
    save_directory: str | None = None
    temporary_directory: str | None = None
    use_instance: bool = False
    state_dump: str | None = None
    json_version: Literal[1, 2] = 1
    iproute_usr: str | None = None
    iproute_etc: str | None = None


@dataclass(frozen=True, slots=True)
class GlobalSettings:
    """
    `global_defs` and what stands outside of all blocks, as far as it is not already part of each instance.

    Attributes:
        instance_name: `instance`: one of several daemons on this host.
        net_namespace: Network namespace to work in.
        use_pid_dir: Pid files go to a directory of their own.
        child_wait_time_us: How long to wait for children at the end.
        rt_priority: SCHED_RR priority; None is none.
        max_auto_priority: Highest SCHED_RR priority that may be taken when timers run late; 0 is none.
        process_priority: Nice value.
        no_swap: Lock the memory.
        cpu_affinity: Numbers of the CPUs to run on; empty is all.
        rlimit_rttime_us: CPU time that may be used in SCHED_RR without a system call that waits; None is not said.
        auto_priority_delay_us: Lateness at which *max_auto_priority* begins to work.
        interfaces_may_change: `dynamic_interfaces allow_if_changes`: one that comes back may be of another kind.
        default_interface: For static addresses without `dev`.
        startup_delay_us: Instances wait this long before they take part.
        boot_delay_us: The same, since the boot of the host; the longer one counts.
        log_unknown_vrids: Say when a VRID is heard that is not ours.
        write_states_on_reload: Pipes are told all states after a reload.
        smtp_alert: Default of mail; None is not said.
        smtp_alert_vrrp: The same for virtual routers, and wins.
        random_seed: For `${_RANDOM}`; None is the time.
        include_checks: Words of `include_check`; None is not said, empty is all checks.
        linkbeat_use_polling: Ask all interfaces for their link state, rather than listen.
        vmac_prefix: Begin of the names of VMACs.
        vmac_address_prefix: The same of those for single addresses; None is *vmac_prefix*.
    """

    router_id: str | None = None
    script_user: str | None = None
    script_group: str | None = None
    enable_script_security: bool = False
    notification_email: tuple[str, ...] = ()
    notification_email_from: str | None = None
    smtp_server: str | None = None
    smtp_connect_timeout_us: int = 30_000_000
    dynamic_interfaces: bool = False
    instance_name: str | None = None
    net_namespace: str | None = None
    use_pid_dir: bool = False
    child_wait_time_us: int = 5_000_000
    rt_priority: int | None = None
    max_auto_priority: int = 0
    process_priority: int = 0
    no_swap: bool = False
    cpu_affinity: frozenset[int] = frozenset()
    rlimit_rttime_us: int | None = None
    auto_priority_delay_us: int = 1_000_000
    interfaces_may_change: bool = False
    default_interface: str | None = None
    startup_delay_us: int = 0
    boot_delay_us: int = 0
    log_unknown_vrids: bool = False
    write_states_on_reload: bool = False
    notify_fifo: Fifo = Fifo()
    vrrp_notify_fifo: Fifo = Fifo()
    startup_script: Command | None = None
    startup_timeout_us: int = 10_000_000
    shutdown_script: Command | None = None
    shutdown_timeout_us: int = 10_000_000
    use_symlink_paths: bool = False
    supplementary_groups: bool = False
    smtp_helo_name: str | None = None
    smtp_alert: bool | None = None
    smtp_alert_vrrp: bool | None = None
    no_email_faults: bool = False
    random_seed: int | None = None
    include_checks: tuple[str, ...] | None = None
    linkbeat_use_polling: bool = False
    vmac_prefix: str = "vrrp"
    vmac_address_prefix: str | None = None
    process_names: ProcessNames = ProcessNames()
    reload: ReloadSettings = ReloadSettings()
    firewall: Firewall = Firewall()
    buffers: Buffers = Buffers()
    files: Files = Files()


SETTINGS_DEFAULTS: Final = GlobalSettings()
