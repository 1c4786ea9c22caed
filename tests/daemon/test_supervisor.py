"""The daemon: real ones in network namespaces, and the same supervisor in a simulated world."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.config.load import parse_text
from pyvrrp.config.model import Configuration
from pyvrrp.daemon import words
from pyvrrp.daemon.keeper import CRASHES_MAX, START_AGAIN_S, STARTS_MAX, EngineGoneError
from pyvrrp.daemon.locks import namespace_inode
from pyvrrp.daemon.runtime import InstalledAddress, RuntimeDirectory, RuntimeState
from pyvrrp.daemon.supervisor import EXIT_INTERNAL, Options, Supervisor
from pyvrrp.errors import ConfigError, KernelError
from pyvrrp.net.simulated import SimulatedSystem, World
from pyvrrp.net.system import ADDRESS_PROTOCOL, Datagram, VirtualAddress
from pyvrrp.protocol.advertisement import Advertisement, encode
from pyvrrp.protocol.constants import GROUP_V4, Family
from pyvrrp.protocol.headers import IpHeader
from tests.daemon.conftest import (
    Daemons,
    Lines,
    Waker,
    advertisements,
    alive,
    block,
    eventually,
    executable,
    instance,
    lines,
    play,
)
from tests.netns import Capture, until

VIP = "192.0.2.100/24"
OWN = "192.0.2.1/24"
FOREIGN = "192.0.2.77/24"

root = pytest.mark.root


# Start, status, end


@root
def test_a_life_in_keepalived_lines(daemons: Daemons) -> None:
    """What operators match on, in this order; the log has no other lines than these."""
    daemon = daemons.start(instance(interval=0.5)).enters("MASTER")  # its start takes less, or the order is another
    assert daemon.end() == 0
    assert [re.sub(r"v\d\S+", "vX", line) for line in daemon.messages] == [
        "Starting pyvrrp vX",
        f"Configuration file {daemon.file}",
        "(VI_1) Entering BACKUP STATE (init)",
        "Startup complete",
        daemon.messages[4],
        "(VI_1) Entering MASTER STATE",
        "Stopping",
        "(VI_1) sent 0 priority",
        "(VI_1) asked to stop, and no successor was heard",
        "(VI_1) Stopped",
        "Stopped pyvrrp vX",
    ]
    assert re.fullmatch(r"\(VI_1\) Receive advertisement timeout: no master heard for \d\.\d{3} s", daemon.messages[4])


@root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_is_orderly(daemons: Daemons, number: int) -> None:
    """Priority 0 goes out, the addresses, pid files and the runtime directory are gone, the exit code is 0."""
    pid, vrrp_pid = daemons.directory / "pid", daemons.directory / "vrrp_pid"
    with Capture(daemons.peer) as capture:
        daemon = daemons.start(instance(), "-p", str(pid), "-r", str(vrrp_pid)).enters("MASTER")
        until(lambda: VIP in daemons.namespace.addresses(), "the address is there")
        assert pid.read_text() == f"{daemon.pid}\n"
        engine = int(vrrp_pid.read_text())
        assert engine == daemon.status()["daemon"]["engine_pid"] != daemon.pid
        assert daemon.end(number) == 0
        heard = advertisements(capture)
    assert heard[0] == (51, 100)
    assert heard.count((51, 0)) == 1
    assert heard[-1] == (51, 0)
    assert daemons.namespace.addresses() == {OWN}
    assert not pid.exists()
    assert not vrrp_pid.exists()
    assert not list(daemons.runtime.glob("*/*"))


@root
def test_sigint_can_be_ignored(daemons: Daemons) -> None:
    daemon = daemons.serve(instance(), "--ignore-sigint").send(signal.SIGINT)
    daemon.reload(instance())
    assert daemon.end() == 0


@root
def test_more_sigterms_change_nothing(daemons: Daemons) -> None:
    """Not even when one comes in the last moments, after the event loop."""
    slow = executable(daemons.directory / "slow", "sleep 0.3")
    pid = daemons.directory / "pid"
    daemon = daemons.serve(instance(f"notify_stop {slow}"), "-p", str(pid)).enters("MASTER")
    daemon.send(signal.SIGTERM)
    while daemon.process.poll() is None:
        daemon.send(signal.SIGTERM)
        time.sleep(0.001)  # a thousand a second; without a pause the daemon would do nothing but count them
    assert daemon.wait() == 0, daemon.text
    assert daemons.namespace.addresses() == {OWN}
    assert not pid.exists()


@root
def test_a_signal_during_the_start_leaves_nothing_behind(daemons: Daemons) -> None:
    """Whenever it comes: before there are handlers the process just ends, afterwards it ends in order."""
    started = [
        daemons.start(instance(vrid=vrid, vips=[f"192.0.2.{vrid}/24"], priority=255), name=f"d{vrid}")
        for vrid in range(101, 109)
    ]
    for number, daemon in enumerate(started):
        if number:
            until(lambda n=number, d=daemon: n < 5 or "Starting" in d.text, "it begins")  # type: ignore[misc]  # lambda defaults
        daemon.send(signal.SIGTERM)
    assert {daemon.wait() for daemon in started} <= {0, -signal.SIGTERM}
    assert daemons.namespace.addresses() == {OWN}


@root
def test_addresses_stay_if_told_to(daemons: Daemons) -> None:
    daemon = daemons.start(instance(), "-V").enters("MASTER")
    assert daemon.end() == 0
    assert VIP in daemons.namespace.addresses()


@root
def test_keepalived_dump_signals_do_not_kill(daemons: Daemons) -> None:
    """Scripts send them; by default they would end the process and leave its addresses behind."""
    daemon = daemons.serve(instance(), environment={"TMPDIR": str(daemons.directory)})
    for number, what in {
        signal.SIGUSR1: "Printing VRRP data",
        signal.SIGUSR2: "Printing VRRP stats",
        signal.SIGRTMIN + 2: "Printing VRRP as json",
        signal.SIGRTMAX - 1: "Printing and clearing VRRP stats",
    }.items():
        daemon.send(number).says(rf"{what} for process\(\d+\) on signal")
    assert daemon.end() == 0


@root
def test_status(daemons: Daemons) -> None:
    daemon = daemons.start(instance(), "-D").enters("MASTER")
    ask = ("status", "--runtime-dir", str(daemons.runtime))
    text = daemons.run(*ask).stdout
    assert re.search(r"^VI_1  MASTER  for [\d.]+ s \(no master heard for [\d.]+ s\)$", text, re.MULTILINE)
    assert "VRID 51 on eth0, VRRPv3 IPv4, priority 100, source 192.0.2.1" in text
    assert "192.0.2.100 installed" in text
    status = json.loads(daemons.run(*ask, "--json", "--name", "one").stdout)
    assert status["daemon"]["pid"] == daemon.pid
    (one,) = status["instances"]
    assert (one["state"], one["cause"], one["addresses"]) == ("MASTER", "master-timeout", ["192.0.2.100"])
    assert one["master"] == {
        "address": "192.0.2.1", "priority": 100, "self": True, "last_advertisement_age_s": None,
    }  # fmt: skip
    assert one["counters"]["became-master"] == 1
    assert daemon.end() == 0
    nobody = daemons.run(*ask, check=False)
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "is running" in nobody.stderr


# Reload


@root
def test_a_reload_disturbs_only_what_changed(daemons: Daemons) -> None:
    """The MASTER that did not change sends no priority 0 and keeps state and counters."""
    log = daemons.directory / "notified"
    notify = executable(daemons.directory / "notify", f'echo "$@" >> {log}')
    kept = instance(f"notify {notify}")
    with Capture(daemons.peer) as capture:
        first = kept + instance(name="VI_2", vrid=52, vips=["192.0.2.102/24"])
        daemon = daemons.start(first).enters("MASTER").enters("MASTER", "VI_2")
        until(lambda: len(lines(log)) == 2, "notified")
        before = daemon.instance()
        second = kept + instance(name="VI_3", vrid=53, vips=["192.0.2.103/24"])
        daemon.reload(second).enters("MASTER", "VI_3")
        after = daemon.instance()
        assert after["since_s"] > before["since_s"]
        assert after["counters"]["became-master"] == 1
        assert after["counters"]["advertisements-sent"] > before["counters"]["advertisements-sent"]
        assert daemons.namespace.addresses() == {OWN, VIP, "192.0.2.103/24"}
        assert [one["name"] for one in daemon.status()["instances"]] == ["VI_1", "VI_3"]
        daemon.reload(kept.replace("priority 100", "priority 120"))
        until(lambda: (51, 120) in advertisements(capture), "the new priority is advertised")
        assert daemon.instance()["counters"]["became-master"] == 1
        assert "priority-zero-sent" not in daemon.instance()["counters"]
    assert daemon.text.count("(VI_1) Entering") == 2
    assert lines(log) == ["INSTANCE VI_1 BACKUP 100", "INSTANCE VI_1 MASTER 100"]
    assert daemon.end() == 0


@root
def test_an_instance_that_a_reload_takes_away_says_farewell(daemons: Daemons) -> None:
    with Capture(daemons.peer) as capture:
        daemon = daemons.start(instance() + instance(name="VI_2", vrid=52, vips=["192.0.2.102/24"]))
        daemon.enters("MASTER", "VI_2").reload(instance())
        assert (52, 0) in advertisements(capture)
    assert daemon.end() == 0


@root
def test_a_bad_reload_is_refused_with_its_place(daemons: Daemons) -> None:
    """The old configuration runs on, its checks too."""
    flag = daemons.directory / "flag"
    flag.touch()
    check = block("vrrp_script chk", f"script '/usr/bin/test -e {flag}'", "interval 0.05", "weight -20")
    good = check + instance("track_script {", "    chk", "}")
    daemon = daemons.start(good).enters("MASTER").says(r"VRRP_Script\(chk\) succeeded")
    for mistake, place in (
        ("virtual_router_id 300", r"one\.conf:9:\d+: .*300"),
        ("interface nosuch0", r"one\.conf:8:\d+: .*nosuch0"),
    ):
        keyword = mistake.split()[0]
        text = re.sub(rf"{keyword} \S+", mistake, instance())
        daemon.reload(block("global_defs", *["# a line"] * 3) + text, "Reload refused")
        assert re.search(place, daemon.text)
        assert daemon.instance()["state"] == "MASTER"
    daemon.write(good[:-2]).send(signal.SIGHUP).says("Reload refused", 3)
    daemon.file.unlink()
    daemon.send(signal.SIGHUP).says("Reload refused", 4).says(r"one\.conf: cannot be read")
    assert "reload refused" in daemon.status()["daemon"]["warnings"][0]
    flag.unlink()
    daemon.says(r"Changing effective priority from 100 to 80")
    daemon.reload(good)
    assert daemon.status()["daemon"]["warnings"] == []
    assert daemon.text.count("Entering") == 2
    assert daemon.end() == 0


@root
def test_many_reloads_at_once_and_one_at_the_end(daemons: Daemons) -> None:
    """An owner's addresses must not come back because a SIGHUP came right behind the SIGTERM."""
    daemon = daemons.start(instance(priority=255)).enters("MASTER")
    for _ in range(20):
        daemon.send(signal.SIGHUP)
    daemon.says("Reload complete")
    os.kill(daemon.pid, signal.SIGTERM)
    for _ in range(3):
        daemon.send(signal.SIGHUP)
    assert daemon.wait() == 0
    assert daemons.namespace.addresses() == {OWN}


# Background, pid files, two daemons


@root
def test_a_second_sigterm_does_not_wait_for_a_successor(daemons: Daemons) -> None:
    """At 10 s a handover would take 3 s; asked again, the daemon lets go at once, with one priority 0 in all."""
    daemon = daemons.serve(instance("advert_int 10", "priority 255")).enters("MASTER")
    with Capture(daemons.peer) as capture:
        daemon.send(signal.SIGTERM).says("sent 0 priority")
        assert VIP in daemons.namespace.addresses()
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
        assert [priority for _, priority in advertisements(capture)].count(0) == 1
    assert "no successor" in daemon.text
    assert daemons.namespace.addresses() == {OWN}


@root
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_engine_is_started_again(daemons: Daemons, number: int) -> None:
    """A dead engine: its addresses go, another takes its place, and the pid file follows."""
    vrrp_pid = daemons.directory / "vrrp_pid"
    daemon = daemons.start(instance(), "-r", str(vrrp_pid)).enters("MASTER")
    first = int(vrrp_pid.read_text())
    os.kill(first, number)
    daemon.says(f"the engine failed: .*its process {first} has ended")
    daemon.enters("BACKUP", count=2).enters("MASTER", count=2)
    second = int(vrrp_pid.read_text())
    assert second != first
    assert daemon.status()["daemon"]["engine_pid"] == second
    assert VIP in daemons.namespace.addresses()
    assert daemon.end() == 0
    assert daemons.namespace.addresses() == {OWN}


@root
def test_control_dies_and_the_engine_lets_go(daemons: Daemons) -> None:
    """Nobody is left to tell it anything: priority 0, the address gone, and no process remains."""
    daemon = daemons.start(instance()).enters("MASTER")
    engine = daemon.status()["daemon"]["engine_pid"]
    with Capture(daemons.peer) as capture:
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait()
        until(lambda: not alive(engine), "the engine ends")
        assert [priority for _, priority in advertisements(capture)][-1] == 0
    assert daemons.namespace.addresses() == {OWN}


@root
def test_a_successor_waits_for_the_orphaned_engine(daemons: Daemons) -> None:
    """Control is killed; whoever is started at once must not take its engine, which hands over, for a daemon."""
    options = ("-p", str(daemons.directory / "pid"))
    first = daemons.start(instance("advert_int 10", "priority 255"), *options).enters("MASTER")
    engine = first.status()["daemon"]["engine_pid"]
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert alive(engine)
    second = daemons.start(instance("advert_int 10", "priority 255"), *options).enters("MASTER")
    assert not alive(engine)
    assert VIP in daemons.namespace.addresses()
    assert second.end() == 0


@root
def test_into_the_background(daemons: Daemons) -> None:
    """The starter returns when the daemon serves; the pid files name it and go with it."""
    pid, vrrp_pid = daemons.directory / "pid", daemons.directory / "vrrp.pid"
    options = ("-p", "pid", "-r", "vrrp.pid", "-g", "--log-format", "keepalived")
    options = (*options[:4], "-gdaemon.log", *options[5:])
    starter = daemons.start(instance(), *options, foreground=False)
    assert starter.wait() == 0
    number = int(pid.read_text())
    try:
        engine = int(vrrp_pid.read_text())
        assert len({engine, number, starter.pid}) == 3
        assert alive(number)
        assert alive(engine)
        assert Path(f"/proc/{number}/cwd").readlink() == Path("/")
        log = daemons.directory / "daemon.log"
        until(lambda: "Entering MASTER STATE" in log.read_text(), "it is MASTER")
        again = daemons.start(instance(), *options, foreground=False)
        assert again.wait() == 0
        assert "daemon is already running" in again.text
        (daemons.directory / "one.conf").write_text(instance(priority=120))
        os.kill(number, signal.SIGHUP)
        until(lambda: "Reload complete" in log.read_text(), "it reads the same file again")
    finally:
        os.kill(number, signal.SIGTERM)
        until(lambda: not alive(number) and not alive(engine), "they end")
    assert not pid.exists()
    assert not vrrp_pid.exists()
    assert daemons.namespace.addresses() == {OWN}


@root
def test_a_start_in_the_background_that_fails_tells_the_starter(daemons: Daemons) -> None:
    blocked = daemons.directory / "file"
    blocked.touch()
    starter = daemons.start(instance(), "-p", "pid", "--runtime-dir", str(blocked), foreground=False)
    assert starter.wait() == 1
    assert str(blocked) in starter.text
    assert not (daemons.directory / "pid").exists()


@root
def test_the_same_name_twice(daemons: Daemons) -> None:
    first = daemons.serve(instance())
    second = daemons.start(instance())
    assert second.wait() == 0
    assert f"daemon is already running (pid {first.pid}" in second.text
    assert first.end() == 0


@root
def test_the_same_virtual_router_twice(daemons: Daemons) -> None:
    """The second one says who runs it and ends; the first is not disturbed."""
    first = daemons.start(instance()).enters("MASTER")
    with Capture(daemons.peer) as capture:
        second = daemons.start(instance(priority=200), name="two")
        assert second.wait() == 2
        reason = f"(VI_1) virtual router 51 on eth0 is already run by pid {first.pid} (daemon one)"
        assert second.messages.count(reason) == 1
        starter = daemons.start(instance(), "-p", "two.pid", name="two", foreground=False)
        assert starter.wait() == 2
        assert reason in starter.text
        assert all(heard == (51, 100) for heard in advertisements(capture))
    assert first.instance()["state"] == "MASTER"
    assert VIP in daemons.namespace.addresses()
    assert first.text.count("Entering") == 2
    third = daemons.serve(instance() + instance(name="VI_2", vrid=52, vips=["192.0.2.102/24"]), name="three")
    third.enters("MASTER", "VI_2")
    assert reason in third.status()["daemon"]["warnings"]
    assert third.end() == 0
    assert VIP in daemons.namespace.addresses()
    assert first.end() == 0


@root
def test_two_daemons_leave_each_others_addresses_alone(daemons: Daemons) -> None:
    other = daemons.start(instance(name="VI_2", vrid=52, vips=["192.0.2.102/24"]), name="two").enters("MASTER", "VI_2")
    text = instance(vips=[VIP])
    one = daemons.start(text).enters("MASTER")
    one.kill()
    one = daemons.start(text)
    one.says("removed leftover 192.0.2.100/24 from eth0").enters("MASTER")
    assert one.end() == 0
    assert daemons.namespace.addresses() == {OWN, "192.0.2.102/24"}
    assert other.text.count("Entering") == 2
    assert other.end() == 0


@root
def test_a_killed_predecessors_address_is_gone_before_the_first_packet(daemons: Daemons) -> None:
    """Also if the file names another now, or a priority that never takes over; a foreign address stays."""
    daemons.namespace.ip("addr", "add", FOREIGN, "dev", "eth0")
    daemon = daemons.start(instance(vips=[VIP, "192.0.2.101/24"])).enters("MASTER")
    until(lambda: "192.0.2.101/24" in daemons.namespace.addresses(), "the addresses are there")
    daemon.kill()
    assert daemons.namespace.addresses() == {OWN, FOREIGN, VIP, "192.0.2.101/24"}
    with Capture(daemons.peer) as capture:
        daemon = daemons.serve(instance(vips=[VIP], interval=40))
        assert daemons.namespace.addresses() == {OWN, FOREIGN}
        assert advertisements(capture) == []
    text = daemon.text
    assert text.index("removed leftover 192.0.2.100/24") < text.index("(VI_1) Entering BACKUP STATE (init)")
    assert daemon.end() == 0
    assert daemons.namespace.addresses() == {OWN, FOREIGN}


# What can go wrong around it


@root
def test_an_interface_that_vanishes_and_comes_back(daemons: Daemons) -> None:
    daemon = daemons.start(instance()).enters("MASTER")
    daemons.namespace.ip("link", "del", "eth0")
    # The kernel takes it down first, and says so.
    daemon.says(r"\(VI_1\) entering FAULT state \(interface eth0 (is down|does not exist)\)").enters("FAULT")
    until(lambda: daemon.instance()["faults"] == {"interface": "interface eth0 does not exist"}, "the fault")
    assert daemon.instance()["state"] == "FAULT"
    daemons.plug()
    daemon.enters("BACKUP", count=2).enters("MASTER", count=2)
    until(lambda: VIP in daemons.namespace.addresses(), "the address is back")
    daemons.peer.ip("link", "set", "eth0", "down")
    daemon.says(r"entering FAULT state \(interface eth0 has no carrier\)").enters("FAULT", count=2)
    assert VIP not in daemons.namespace.addresses()
    assert daemon.end() == 0


@root
def test_an_interface_that_does_not_exist(daemons: Daemons) -> None:
    """Fatal at the start, unless it may come later."""
    text = instance(interface="eth7")
    daemon = daemons.start(text)
    assert daemon.wait() == 2
    assert re.search(r"one\.conf:3:\d+: \(VI_1\) interface eth7 doesn't exist", daemon.text)
    daemon = daemons.serve(block("global_defs", "dynamic_interfaces") + text).says(r"Entering FAULT STATE \(init\)")
    daemons.namespace.ip("link", "set", "eth0", "down")
    daemons.namespace.ip("link", "set", "eth0", "name", "eth7")
    daemons.namespace.ip("link", "set", "eth7", "up")
    daemon.enters("MASTER")
    assert daemon.end() == 0


@root
def test_scripts_that_are_missing(daemons: Daemons) -> None:
    """At the start the check is left out, as keepalived does, and both are named; a reload is refused for it."""
    check = block("vrrp_script chk", "script /nowhere/check", "interval 0.1")
    daemon = daemons.start(check + instance("track_script {", "    chk", "}", "notify_fault /nowhere/notify"))
    daemon.enters("MASTER")
    disabled = "Disabling track script chk: cannot run /nowhere/check: No such file or directory (ENOENT)"
    assert disabled in daemon.messages
    assert "(VI_1) notify script: cannot run /nowhere/notify: No such file or directory (ENOENT)" in daemon.messages
    assert disabled in daemon.status()["daemon"]["warnings"]
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("Reload refused")
    assert daemon.instance()["state"] == "MASTER"
    assert daemon.end() == 0


@root
def test_notify_scripts(daemons: Daemons) -> None:
    """Which ones, with which words, and in which order."""
    log = daemons.directory / "notified"
    script = executable(daemons.directory / "notify", f'echo "$@" >> {log}')
    words = [f'notify_{state} "{script} {state}"' for state in ("master", "backup", "fault", "stop")]
    daemon = daemons.start(instance(*words, f'notify "{script} any"')).enters("MASTER")
    daemons.peer.ip("link", "set", "eth0", "down")
    daemon.enters("FAULT")
    daemons.peer.ip("link", "set", "eth0", "up")
    daemon.enters("BACKUP", count=2).enters("MASTER", count=2)
    assert daemon.end() == 0
    expected = []
    for state in ("backup", "master", "fault", "backup", "master", "stop"):
        expected += [state, f"any INSTANCE VI_1 {state.upper()} 100"]
    assert lines(log) == expected


@root
def test_a_check_with_weight_and_one_without(daemons: Daemons) -> None:
    weighted, vital = daemons.directory / "weighted", daemons.directory / "vital"
    weighted.touch()
    vital.touch()
    text = "".join(
        block(f"vrrp_script {path.name}", f"script '/usr/bin/test -e {path}'", "interval 0.05", more)
        for path, more in ((weighted, "weight -30"), (vital, ""))
    ) + instance("track_script {", "    weighted", "    vital", "}")
    with Capture(daemons.peer) as capture:
        daemon = daemons.start(text).enters("MASTER")
        weighted.unlink()
        daemon.says(r"VRRP_Script\(weighted\) failed \(exited with status 1\)")
        daemon.says(r"\(VI_1\) Changing effective priority from 100 to 70")
        until(lambda: (51, 70) in advertisements(capture), "the lower priority is advertised")
        daemon.reload(text.replace("advert_int 0.05", "advert_int 0.06"))
        assert daemon.instance()["effective_priority"] == 70
        vital.unlink()
        daemon.says(r"\(VI_1\) entering FAULT state \(script vital: exited with status 1\)").enters("FAULT")
        until(lambda: (51, 0) in advertisements(capture), "priority 0 is sent")
        assert daemons.namespace.addresses() == {OWN}
        daemon.reload(text)
        vital.touch()
        weighted.touch()
        daemon.enters("MASTER", count=2)
        until(lambda: (51, 100) in advertisements(capture), "the full priority is advertised")
    assert daemon.text.count("Entering FAULT") == 1
    assert daemon.end() == 0


@root
def test_an_unweighted_check_holds_the_start_and_may_be_dropped_by_a_reload(daemons: Daemons) -> None:
    """A fault whose check is no longer configured ends with it."""
    check = block("vrrp_script chk", "script /bin/false", "interval 0.1")
    daemon = daemons.start(check + instance("track_script {", "    chk", "}")).says(r"Entering FAULT STATE \(init\)")
    daemon.reload(check + instance("track_script {", "    chk", "}", "garp_master_repeat 2"))
    daemon.reload(check + instance("track_script {", "    chk weight 10", "}")).enters("MASTER")
    daemon.reload(check + instance("track_script {", "    chk", "}")).enters("FAULT", count=2)
    daemon.reload(instance()).enters("MASTER", count=2)
    assert daemon.end() == 0


@root
def test_the_built_in_port_check(daemons: Daemons) -> None:
    """Without an address it is the router's own."""
    text = block("vrrp_script port", "tcp_check 8080", "interval 0.05", "timeout 1") + instance(
        "track_script {", "    port", "}"
    )
    daemon = daemons.start(text).says(r"entering FAULT state \(script port: connection to 192\.0\.2\.1.* refused\)")
    with daemons.namespace.inside():
        server = socket.create_server(("192.0.2.1", 8080))
    with server:
        daemon.enters("MASTER")
        (check,) = daemon.instance()["checks"]
        assert (check["name"], check["up"]) == ("port", True)
    daemon.enters("FAULT", count=2)
    assert daemon.end() == 0


@root
def test_another_interface(daemons: Daemons) -> None:
    """With a weight it moves the priority, without one it is a fault, from the first moment on."""
    for name in ("spare0", "spare1"):
        daemons.namespace.ip("link", "add", name, "type", "veth", "peer", "name", f"{name}p")
        daemons.namespace.ip("link", "set", f"{name}p", "up")
    daemons.namespace.ip("link", "set", "spare0", "up")
    text = instance("track_interface {", "    spare0 weight -10", "    spare1", "}")
    daemon = daemons.serve(text).says(r"Entering FAULT STATE \(init\)")
    assert "Entering BACKUP" not in daemon.text
    daemons.namespace.ip("link", "set", "spare1", "up")
    daemon.says("Netlink reports spare1 up").enters("MASTER")
    daemons.namespace.ip("link", "set", "spare0p", "down")
    daemon.says("Netlink reports spare0 down").says("Changing effective priority from 100 to 90")
    daemons.namespace.ip("link", "del", "spare1")
    daemon.says(r"entering FAULT state \(interface spare1 ").enters("FAULT", count=2)
    daemon.reload(text.replace("spare1\n", "\n")).enters("MASTER", count=2)
    assert daemon.end() == 0


@root
@pytest.mark.parametrize("capability", ["net_admin", "net_raw"])
def test_a_missing_capability_is_named(daemons: Daemons, capability: str) -> None:
    daemon = daemons.start(
        instance(), wrapper=("setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}")
    )
    assert daemon.wait() == 4
    why = f"not in the bounding set; add {capability.upper()} to the container's capabilities"
    assert daemon.text == f"pyvrrp: cannot run without CAP_{capability.upper()}: {why}\n"


@root
def test_systemd_is_told(daemons: Daemons) -> None:
    path = daemons.directory / "notify.sock"
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(0.01)

        def told(pattern: str) -> bool:
            try:
                heard.append(manager.recv(4096).decode())
            except TimeoutError:
                return False
            return re.search(pattern, heard[-1]) is not None

        environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "100000"}
        daemon = daemons.start(instance(interval=0.5), environment=environment)
        for pattern in ("^READY=1\nSTATUS=1 BACKUP$", "^WATCHDOG=1$", "^STATUS=1 MASTER$", "^WATCHDOG=1$"):
            until(lambda: told(pattern), pattern)  # noqa: B023  called at once
        daemon.reload(instance())
        until(lambda: told(r"^RELOADING=1\nMONOTONIC_USEC=\d+"), "RELOADING")
        until(lambda: told("^READY=1\nSTATUS=1 MASTER$"), "READY")
        daemon.reload(instance(vrid=0), "Reload refused")
        until(lambda: told("^RELOADING=1"), "RELOADING")
        until(lambda: told("^READY=1\nSTATUS=1 MASTER$"), "READY")
        daemon.send(signal.SIGTERM)
        until(lambda: told("^STOPPING=1"), "STOPPING")
        assert daemon.wait() == 0
    assert sum("READY=1" in message for message in heard) == 3


@root
def test_without_a_place_for_the_control_socket_it_serves_all_the_same(daemons: Daemons) -> None:
    inode = daemons.namespace.call(namespace_inode)
    (daemons.runtime / str(inode) / "one" / "control.sock").mkdir(parents=True)
    daemon = daemons.start(instance()).says("nobody can ask this daemon").enters("MASTER")
    assert daemon.end() == 0
    assert daemons.namespace.addresses() == {OWN}


@root
def test_a_runtime_directory_of_a_very_long_name(daemons: Daemons) -> None:
    """A socket's path has 107 octets."""
    long = daemons.directory / ("x" * 120)
    daemon = daemons.serve(instance(), "--runtime-dir", str(long))
    status = daemons.run("status", "--runtime-dir", str(long)).stdout
    assert "VI_1" in status
    assert daemon.end() == 0


@root
def test_started_with_standard_error_closed(daemons: Daemons) -> None:
    """The log goes nowhere, and certainly not into the pid file."""
    pid = daemons.directory / "pid"
    shell = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    daemon = daemons.start(instance(), "-p", str(pid), "-g", str(daemons.directory / "log"), wrapper=shell)
    log = daemons.directory / "log"
    until(lambda: "Entering MASTER STATE" in "".join(lines(log)), "it is MASTER")
    assert pid.read_text() == f"{daemon.pid}\n"
    assert daemon.end() == 0
    assert daemon.text == ""


@root
def test_a_missing_file(daemons: Daemons) -> None:
    daemon = daemons.start("", "-f", "nowhere.conf")
    assert daemon.wait() == 6
    assert "nowhere.conf: cannot be read: No such file or directory" in daemon.text


@root
def test_a_script_user_that_does_not_exist(daemons: Daemons) -> None:
    """One line, a defined exit code."""
    text = block("global_defs", "script_user nosuchuser") + instance()
    daemon = daemons.start(text)
    assert daemon.wait() == 2
    assert "nosuchuser" in daemon.text
    assert daemons.namespace.addresses() == {OWN}


# The supervisor in a simulated world


CONFIGURATION = parse_text(instance()).configuration


class Stage:
    """
    A supervisor on host `r1` of a world with a second host, on which nothing runs.

    Attributes:
        configuration: What a reload gets; an exception is raised instead.
    """

    def __init__(self, configuration: Configuration = CONFIGURATION, runtime: Any = None) -> None:
        self.world = World()
        self.system = self.world.host("r1")
        self.system.add_link("eth0", ip_interface(OWN))
        self.peer = self.world.host("r2")
        self.peer.add_link("eth0", ip_interface("192.0.2.2/24"))
        self.log = Lines()
        self.readies = 0
        self.configuration: Configuration | Exception = configuration
        self._first = configuration
        self._runtime = runtime
        self.supervisor: Supervisor

    def load(self) -> Configuration:
        if isinstance(self.configuration, Exception):
            raise self.configuration
        return self.configuration

    def ready(self) -> None:
        self.readies += 1

    def make(self) -> Supervisor:
        options = Options("test.conf", self.load, self.ready)
        self.supervisor = Supervisor(self._first, self.system, self._runtime, self.log, options)

        def wake() -> None:
            if self.supervisor._keeper.driver is not None:
                self.supervisor._keeper.driver.wake()

        self.world.attach("r1", Waker(wake))
        return self.supervisor

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[asyncio.Task[int]]:
        """Run it; whoever did not stop it before the end stops it there."""
        task = asyncio.create_task(self.make().run())
        await eventually(lambda: self.readies or task.done(), "ready")
        try:
            yield task
        finally:
            self.supervisor.stop()
            await asyncio.wait([task])

    async def entered(self, state: str, count: int = 1) -> None:
        await eventually(lambda: sum(f"Entering {state} STATE" in text for text in self.log.texts) >= count, state)

    def has_vip(self) -> bool:
        return self.system.has_address(ip_address("192.0.2.100"))

    def sent(self) -> list[int]:
        """Priorities of the advertisements so far."""
        return [
            entry.subject.payload[2]  # type: ignore[attr-defined]
            for entry in self.world.journal
            if (entry.host, entry.verb) == ("r1", "sends")
        ]

    def hear(self, priority: int, source: str = "192.0.2.2", interval_us: int = 50_000) -> None:
        """Let the peer advertise."""
        message = Advertisement(3, 51, priority, interval_us, (ip_address("192.0.2.100"),))
        header = IpHeader(ip_address(source), GROUP_V4, 255)
        sock = self.peer.open_socket(self.peer.links()[0], Family.V4, GROUP_V4)
        sock.send([Datagram(header, encode(message, header))])
        sock.close()


def test_simulated_life() -> None:
    """The same daemon over a LAN in memory, where it is MASTER after exactly Master_Down_Interval."""
    stage = Stage()

    async def scene() -> int:
        async with stage.serving() as task:
            await stage.entered("MASTER")
            assert stage.has_vip()
            status = await stage.supervisor.status()
            assert [one["state"] for one in status["instances"]] == ["MASTER"]
            assert status["daemon"]["config"] == "test.conf"
        return task.result()

    assert play(stage.world, scene()) == 0
    assert not stage.has_vip()
    assert stage.sent()[0] == 100
    assert stage.sent()[-1] == 0
    # 3 * 0.05 + 156/256 * 0.05 s, and a millisecond of the loop
    assert stage.log.has(r"no master heard for 0\.18[01] s")
    assert stage.readies == 1


def break_next(system: SimulatedSystem, method: str, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> list[int]:
    """Let a method of the kernel raise what no kernel raises, so many times; answers how often it did."""
    original: Callable[..., Any] = getattr(system, method)
    raised: list[int] = []

    def broken(*arguments: Any) -> Any:
        if len(raised) < times:
            raised.append(1)
            raise RuntimeError("our own fault")
        return original(*arguments)

    monkeypatch.setattr(system, method, broken)
    return raised


def test_an_engine_that_crashes_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its addresses go first; a question under way is answered by the next one; no traceback without `-D`."""
    stage = Stage()

    async def scene() -> int:
        async with stage.serving() as task:
            await stage.entered("MASTER")
            break_next(stage.system, "announce", monkeypatch)
            break_next(stage.system, "links", monkeypatch)
            stage.system.delete_address("eth0", ip_interface(VIP))
            status = await stage.supervisor.status()
            assert status["instances"][0]["state"] == "BACKUP"
            assert not stage.has_vip()
            await stage.entered("MASTER", 2)
            assert stage.has_vip()
        return task.result()

    assert play(stage.world, scene()) == 0
    assert "the engine failed: RuntimeError('our own fault')" in stage.log.of("error")
    assert all("exc_info" not in fields for level, _, fields in stage.log.kept if level != "debug")
    assert stage.log.texts.count("(VI_1) Entering BACKUP STATE (init)") >= 2


def test_an_engine_that_crashes_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks meanwhile gets an answer, and no address is left behind."""
    stage = Stage(parse_text(instance(priority=255)).configuration)

    async def scene() -> int:
        async with stage.serving() as task:
            await stage.entered("MASTER")
            break_next(stage.system, "announce", monkeypatch, 100)
            stage.system.delete_address("eth0", ip_interface(VIP))
            with pytest.raises(EngineGoneError):
                await stage.supervisor.status()
            return await task

    assert play(stage.world, scene()) == EXIT_INTERNAL
    assert sum("the engine failed" in text for text in stage.log.texts) == CRASHES_MAX
    assert "the engine fails again and again: giving up" in stage.log.texts
    assert not stage.has_vip()


@pytest.mark.parametrize("method", ["announce", "remove", "monitor", "install"])
def test_an_engine_that_never_works(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """It ends with the code for internal errors, or says what is wrong; it is never half alive, and never ready."""
    stage = Stage(parse_text(instance(priority=255)).configuration)
    monkeypatch.setattr(stage.system, method, lambda *_: 1 / 0)
    if method == "remove":
        break_next(stage.system, "announce", monkeypatch, 100)

    async def scene() -> int:
        return await asyncio.wait_for(stage.make().run(), 50)

    if method == "monitor":
        with pytest.raises(ZeroDivisionError):
            play(stage.world, scene())
    else:
        assert play(stage.world, scene()) == EXIT_INTERNAL
        assert stage.log.has("giving up")
    assert stage.readies == 0


def test_a_restart_of_the_engine_may_fail_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()

    async def scene() -> int:
        async with stage.serving() as task:
            await stage.entered("MASTER")
            break_next(stage.system, "monitor", monkeypatch, 2)
            break_next(stage.system, "announce", monkeypatch)
            stage.system.delete_address("eth0", ip_interface(VIP))
            await stage.entered("MASTER", 2)
        return task.result()

    assert play(stage.world, scene()) == 0
    assert sum("the engine failed" in text for text in stage.log.texts) == 1
    assert sum("the engine cannot be started" in text for text in stage.log.texts) == 2


def test_an_engine_that_cannot_be_started_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at once: what is lacking, descriptors or memory, may be there a moment later."""
    stage = Stage()

    async def scene() -> int:
        async with stage.serving() as task:
            await stage.entered("MASTER")
            break_next(stage.system, "monitor", monkeypatch, 1000)
            break_next(stage.system, "announce", monkeypatch)
            stage.system.delete_address("eth0", ip_interface(VIP))
            return await task

    before_us = stage.world.now_us
    assert play(stage.world, scene()) == EXIT_INTERNAL
    assert stage.world.now_us - before_us >= (STARTS_MAX - 1) * START_AGAIN_S * 1e6
    assert sum("the engine cannot be started" in text for text in stage.log.texts) == STARTS_MAX
    assert "the engine fails again and again: giving up" in stage.log.texts
    assert not stage.has_vip()


def test_an_engine_that_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its addresses are taken away all the same."""
    stage = Stage()

    async def scene() -> int:
        async with stage.serving() as task:
            await stage.entered("MASTER")
            driver = stage.supervisor._keeper.driver
            assert driver is not None
            monkeypatch.setattr(driver, "command", lambda _: None)
        return task.result()

    assert play(stage.world, scene()) == EXIT_INTERNAL
    assert "the engine did not stop within 5 s" in stage.log.of("error")
    assert not stage.has_vip()


def test_a_start_that_fails_half_way_leaves_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever raises: an owner has installed its addresses by then."""
    stage = Stage(parse_text(instance(priority=255)).configuration)

    def ready() -> None:
        assert stage.has_vip()
        raise OSError("nobody to tell")

    monkeypatch.setattr(stage, "ready", ready)

    async def scene() -> int:
        return await stage.make().run()

    with pytest.raises(OSError, match="nobody to tell"):
        play(stage.world, scene())
    assert not stage.has_vip()
    assert stage.sent()[-1] == 0


def test_a_report_that_cannot_be_told_does_not_silence_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    of_report = words.of_report

    def broken(report: Any, own: Any) -> Any:
        if own.state == "BACKUP":
            raise ValueError("no words")
        return of_report(report, own)

    monkeypatch.setattr(words, "of_report", broken)

    async def scene() -> None:
        async with stage.serving():
            await eventually(lambda: stage.log.has("cannot tell Entered.*no words"), "the log says so")
            stage.hear(200)
            await eventually(lambda: stage.supervisor._keeper.driver is not None, "it lives")
            assert (await stage.supervisor.status())["instances"]

    play(stage.world, scene())
    assert stage.log.has(r"Entering BACKUP STATE \(init\)")


def test_a_task_that_dies_is_said() -> None:
    stage = Stage()

    async def broken() -> None:
        raise ValueError("gone")

    async def scene() -> None:
        async with stage.serving():
            stage.supervisor._keep(broken(), "something")
            await eventually(lambda: "something failed: ValueError('gone')" in stage.log.of("error"), "the log says so")

    play(stage.world, scene())


def test_a_tracker_that_crashes_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it knows something the instance waits, since it may have to be in FAULT."""
    stage = Stage(parse_text(instance("track_interface {", "    eth1", "}")).configuration)
    stage.system.add_link("eth1")
    original = stage.system.monitor
    calls: list[int] = []

    def monitor() -> Any:
        calls.append(1)
        if len(calls) == 2:  # the first one is the engine's
            raise KernelError("listen for", "news", 105)
        return original()

    monkeypatch.setattr(stage.system, "monitor", monitor)

    async def scene() -> None:
        async with stage.serving():
            (one,) = (await stage.supervisor.status())["instances"]
            assert (one["state"], one["waits_for"]) == ("INITIALIZE", ["interface:eth1"])
            await stage.entered("MASTER")

    play(stage.world, scene())
    assert stage.log.has("tracker interface failed: KernelError.* it is started again")


def two(first: str = "VI_1", **more: Any) -> Configuration:
    text = instance(name=first, **more) + instance(name="VI_2", vrid=52, vips=["192.0.2.102/24"])
    return parse_text(text).configuration


def notified(configuration: Configuration, script: Path) -> Configuration:
    text = instance(f"notify {script}") + instance(f"notify {script}", name="VI_2", vrid=52, vips=["192.0.2.102/24"])
    both = parse_text(text).configuration
    return replace(both, instances=both.instances[: len(configuration.instances)])


def test_an_instance_that_a_reload_removes_tells_its_general_script(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = executable(tmp_path / "notify", f'echo "$@" >> {log}')
    stage = Stage(notified(two(), script))
    stage.configuration = notified(CONFIGURATION, script)

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER", 2)
            assert await stage.supervisor.reload()
            assert [one["name"] for one in (await stage.supervisor.status())["instances"]] == ["VI_1"]
            assert not stage.system.has_address(ip_address("192.0.2.102"))
            await eventually(lambda: "INSTANCE VI_2 FAULT 100" in lines(log), "the script is told")

    play(stage.world, scene())
    assert [line for line in lines(log) if "VI_2" in line] == [
        "INSTANCE VI_2 BACKUP 100",
        "INSTANCE VI_2 MASTER 100",
        "INSTANCE VI_2 FAULT 100",
    ]


def test_an_instance_that_only_has_another_name_goes_on(tmp_path: Path) -> None:
    """Identity is interface, VRID and group (keepalived 3.10): nobody is told of a state it never left."""
    log = tmp_path / "log"
    script = executable(tmp_path / "notify", f'echo "$@" >> {log}')
    stage = Stage(parse_text(instance(f"notify {script}")).configuration)
    stage.configuration = parse_text(instance(f"notify {script}", name="NEW")).configuration

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER")
            await eventually(lambda: len(lines(log)) == 2, "the script is told")
            assert await stage.supervisor.reload()
            assert stage.supervisor._teller.summary() == "1 MASTER"
            (one,) = (await stage.supervisor.status())["instances"]
            assert (one["name"], one["state"]) == ("NEW", "MASTER")
            assert 0 not in stage.sent()

    play(stage.world, scene())
    assert lines(log)[2:] == ["INSTANCE NEW STOP 100"]


def test_a_refused_reload_leaves_the_checks_running(tmp_path: Path) -> None:
    """Also when it is refused late, after the new file was found good."""
    flag = tmp_path / "flag"
    check = block("vrrp_script chk", f"script '/usr/bin/test -e {flag}'", "interval 0.05")
    stage = Stage(parse_text(check + instance("track_script {", "    chk", "}")).configuration)
    unicast = instance("unicast_src_ip 192.0.2.9", "unicast_peer {", "    192.0.2.2", "}")
    stage.configuration = parse_text(unicast.replace("interface eth0", "")).configuration

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("FAULT")
            assert not await stage.supervisor.reload()
            assert stage.log.has("no interface has the source address 192.0.2.9")
            assert (await stage.supervisor.status())["instances"][0]["checks"][0]["name"] == "chk"
            flag.touch()
            await stage.entered("MASTER")

    play(stage.world, scene())


def test_a_reload_that_cannot_be_read_for_other_reasons_is_refused_too() -> None:
    stage = Stage()
    stage.configuration = KernelError("list", "links", 24)

    async def scene() -> None:
        async with stage.serving():
            assert not await stage.supervisor.reload()
            assert (await stage.supervisor.status())["daemon"]["warnings"] == [f"reload refused: {stage.configuration}"]
            stage.configuration = ConfigError("two\nlines")
            assert not await stage.supervisor.reload()
            assert stage.log.of("error")[-3:] == ["two", "lines", "Reload refused, the old configuration runs on"]

    play(stage.world, scene())


def test_a_reload_after_the_stop_does_nothing() -> None:
    """An owner's addresses must not come back."""
    stage = Stage(parse_text(instance(priority=255)).configuration)

    async def scene() -> int:
        async with stage.serving() as task:
            await stage.entered("MASTER")
            reload = asyncio.create_task(stage.supervisor.reload())
            stage.supervisor.stop()
            assert not await reload
            stage.supervisor._reload_soon()
        return task.result()

    assert play(stage.world, scene()) == 0
    assert not stage.has_vip()
    assert stage.sent()[-1] == 0
    assert stage.log.texts.count("(VI_1) Entering MASTER STATE") == 1


def test_reloads_that_come_together_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that runs, and one more for what changed meanwhile."""
    stage = Stage()
    go = threading.Event()

    def load() -> Configuration:
        assert go.wait(60)
        return CONFIGURATION

    monkeypatch.setattr(stage, "load", load)

    async def scene() -> None:
        async with stage.serving():
            stage.supervisor._reload_soon()
            await eventually(lambda: stage.log.has("Reloading"), "it reloads")
            for _ in range(10):
                stage.supervisor._reload_soon()
                await asyncio.sleep(0)
            go.set()
            await eventually(lambda: stage.log.texts.count("Reload complete") == 2, "both are done")
            await asyncio.sleep(1)

    play(stage.world, scene())
    assert stage.log.texts.count("Reloading ...") == stage.log.texts.count("Reload complete") == 2


def test_a_peer_cannot_flood_the_log() -> None:
    """A router of lower priority that never gives up is said five times a minute, and then how often more."""
    stage = Stage()

    async def scene() -> None:
        async with stage.serving():
            await stage.entered("MASTER")
            for _ in range(70):
                for _ in range(5):
                    stage.hear(50)
                    await asyncio.sleep(0.2)

    play(stage.world, scene())
    said = [text for text in stage.log.texts if "forcing new election" in text]
    assert said[0] == "(VI_1) Received advert from 192.0.2.2 with lower priority 50, ours 100, forcing new election"
    assert len(said) == 6
    assert re.search(r"\(\d+ similar suppressed\)$", said[-1])


def test_state_is_saved_before_addresses_are_there_and_emptied_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a crash in between leaves is a note about an address that is not there, never the reverse."""
    story: list[str] = []
    with RuntimeDirectory.acquire(tmp_path / "run", "test", namespace=1) as runtime:
        stage = Stage(runtime=runtime)
        save, install, remove = runtime.save, stage.system.install, stage.system.remove

        def saving(state: Any) -> None:
            story.append(f"saves {' '.join(str(one.address) for one in state.addresses)}")
            save(state)

        def installing(addresses: Any) -> Any:
            story.append("installs")
            return install(addresses)

        def removing(addresses: Any) -> Any:
            story.append("removes")
            return remove(addresses)

        monkeypatch.setattr(runtime, "save", saving)
        monkeypatch.setattr(stage.system, "install", installing)
        monkeypatch.setattr(stage.system, "remove", removing)

        async def scene() -> None:
            async with stage.serving():
                await stage.entered("MASTER")

        play(stage.world, scene())
    assert [entry for number, entry in enumerate(story) if story[number - 1 : number] != [entry]] == [
        f"saves {VIP}",
        "installs",
        "removes",
        "saves ",
    ]


def test_a_state_that_cannot_be_saved_is_said_and_served_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RuntimeDirectory.acquire(tmp_path / "run", "test", namespace=1) as runtime:
        stage = Stage(runtime=runtime)

        def full(_: Any) -> None:
            raise KernelError("write", "state.json", 28)

        monkeypatch.setattr(runtime, "save", full)

        async def scene() -> None:
            async with stage.serving():
                await stage.entered("MASTER")
                assert stage.has_vip()

        play(stage.world, scene())
    assert stage.log.has("cannot write state.json.*a successor could not tell our addresses")


def test_leftovers_that_cannot_be_removed_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RuntimeDirectory.acquire(tmp_path / "run", "test", namespace=1) as runtime:
        stage = Stage(runtime=runtime)
        stage.system.add_address("eth0", ip_interface(VIP))
        refusal = KernelError("remove address", VIP, 1)

        def refuse(addresses: list[VirtualAddress]) -> list[KernelError | None]:
            return [refusal for _ in addresses]

        with monkeypatch.context() as patch:
            patch.setattr(stage.system, "remove", refuse)

            async def scene() -> None:
                async with stage.serving():
                    assert str(refusal) in stage.log.of("error")

            play(stage.world, scene())


def test_nothing_to_run() -> None:
    """keepalived runs on without a virtual router; so do we."""
    stage = Stage(Configuration())

    async def scene() -> int:
        async with stage.serving() as task:
            assert (await stage.supervisor.status())["instances"] == []
        return task.result()

    assert play(stage.world, scene()) == 0
    assert stage.supervisor._teller.summary() == "no instances"


def test_an_owners_own_addresses_are_never_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were there before, without our mark: not at the start, not after a crash, not at the end."""
    own = parse_text(instance(priority=255, vips=[OWN, "192.0.2.8/24"])).configuration
    left = RuntimeState(tuple(InstalledAddress("eth0", ip_interface(text)) for text in (OWN, "192.0.2.8/24")))
    with RuntimeDirectory.acquire(tmp_path / "run", "test", namespace=1) as runtime:
        runtime.predecessor = left
        stage = Stage(own, runtime=runtime)
        stage.system.add_address("eth0", ip_interface("192.0.2.8/24"), ADDRESS_PROTOCOL)

        async def scene() -> None:
            async with stage.serving():
                await stage.entered("MASTER")
                break_next(stage.system, "links", monkeypatch)
                await stage.supervisor.status()
                await stage.entered("MASTER", 2)

        play(stage.world, scene())
    assert stage.log.has("removed leftover 192.0.2.8/24")
    assert stage.log.has("the engine failed")
    assert [assigned.address for assigned in stage.system.addresses()] == [ip_interface(OWN)]
    assert not any(
        ip_address("192.0.2.1") in entry.subject  # type: ignore[operator]
        for entry in stage.world.journal
        if entry.verb == "removes"
    )
