"""The pod from its environment to its end, in namespaces as a container runtime would give it."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.daemon.conftest import advertised, executable, lines
from tests.netns import Capture, network, process_tree, until
from tests.pod.conftest import QUICK, Cluster, Node, cluster, node

__all__ = ["cluster", "network", "node"]

pytestmark = pytest.mark.root

ONE = {"VIRTUAL_IPS": "10.0.0.100", "NETWORK_INTERFACE": "eth0", "MONITOR_PORT": "0", "CONFIG_NAME": "ipfailover"}
VIP = "10.0.0.100/32"
FAST = {**ONE, **QUICK}


def test_a_golden_start(node: Node) -> None:
    """
    The first line of the table of golden examples: three addresses on 10.0.0.35.

    One instance after another says what the vendor's acceptance tests look for, the file is there, and `pgrep
    keepalived` finds control and engine by name.
    """
    pod = node.start(**ONE | {"VIRTUAL_IPS": "10.0.0.100-102"})
    pod.enters("MASTER", 1).enters("MASTER", 2).enters("MASTER", 3).serves()
    until(lambda: node.vips == {"10.0.0.100/32", "10.0.0.101/32", "10.0.0.102/32"}, "addresses")
    entering = [line for line in pod.text.splitlines() if "Entering" in line]
    form = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}: \(ipfailover_VIP_\d\) Entering MASTER STATE"
    assert re.fullmatch(form, entering[-1])
    assert re.findall(r"virtual_router_id (\d+)", pod.file()) == ["11", "12", "13"]
    assert re.findall(r" priority (\d+)", pod.file()) == ["220", "36", "220"]
    found = pod.run("pgrep", "-l", "keepalived").stdout.splitlines()
    assert [line.split()[1] for line in found] == ["keepalived", "keepalived_vrrp"]
    assert found[0].split()[0] == pod.file("/run/keepalived.pid").strip() == "1"
    assert found[1].split()[0] == pod.file("/run/vrrp.pid").strip()
    status = json.loads(pod.pyvrrp("status", "--json").stdout)
    assert status["daemon"]["name"] == "keepalived"
    assert pod.pyvrrp("health").returncode == 0
    assert pod.end() == 0
    assert node.vips == set()
    assert pod.text.startswith("  - OpenShift IP Failover starts\n")
    assert pod.text.endswith("  - OpenShift IP Failover service terminated.\n")


def test_the_command_is_the_same(node: Node) -> None:
    """`pyvrrp pod run`: another word for the same, and another process name would be no use to a probe."""
    pod = node.start(*node.program("pod", "run"), **FAST).enters("MASTER")
    assert pod.run("pgrep", "-c", "keepalived").stdout == "2\n"
    assert pod.end() == 0


def test_complaints_are_lines_and_the_rest_is_served(node: Node) -> None:
    """One line for each, with its word; `status` has them, too."""
    pod = node.start(**FAST | {"VIRTUAL_IPS": "10.0.0.100/24,host", "UNICAST_PEERS": "", "USE_UNICAST": "true"})
    pod.enters("MASTER")
    assert node.vips == {VIP}
    assert len(re.findall(r": WARNING: OPENSHIFT_HA_USE_UNICAST: changes nothing without peers", pod.text)) == 1
    assert len(re.findall(r": WARNING: OPENSHIFT_HA_VIRTUAL_IPS: '10.0.0.100/24' is read as", pod.text)) == 1
    assert len(re.findall(r": ERROR: OPENSHIFT_HA_VIRTUAL_IPS:1:15: 'host' is no address", pod.text)) == 1
    warnings = json.loads(pod.pyvrrp("status", "--json").stdout)["daemon"]["warnings"]
    assert {"OPENSHIFT_HA_VIRTUAL_IPS", "OPENSHIFT_HA_USE_UNICAST"} <= {text.split(":")[0] for text in warnings}


def test_strict_refuses(node: Node) -> None:
    """On any doubt: an exit code that is not 0, and the lines that say why."""
    pod = node.start(**ONE | {"VIRTUAL_IPS": "10.0.0.100/24", "PYVRRP_STRICT": "1"})
    assert pod.wait() == 2
    assert "pyvrrp: OPENSHIFT_HA_VIRTUAL_IPS: '10.0.0.100/24' is read as 10.0.0.100" in pod.text
    assert pod.text.endswith("  - OpenShift IP Failover service terminated.\n")
    assert node.vips == set()


def test_nothing_to_serve(node: Node) -> None:
    """An empty list: the pod runs and does nothing, and is found healthy, over HTTP too where that is asked for."""
    pod = node.start(**ONE | {"VIRTUAL_IPS": ""}, PYVRRP_HEALTH_PORT="8099").serves()
    assert "WARNING: OPENSHIFT_HA_VIRTUAL_IPS: there is no address: nothing is served" in pod.text
    assert pod.pyvrrp("health").returncode == 0
    assert "vrrp_instance" not in pod.file()
    code = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8099/healthz').status)"
    assert pod.run(sys.executable, "-c", code).stdout == "200\n"
    assert pod.end() == 0


def test_json(node: Node) -> None:
    """By KEEPALIVED_OPTIONS of the node's file, which wins over the environment; the words stand there, too."""
    (node.directory / "sysconfig").write_text(
        '# options\nKEEPALIVED_OPTIONS="-D --log-format json --nonsense"\nulimit 1\n'
    )
    pod = node.start(**FAST, KEEPALIVED_OPTIONS="--nothing-of-this").enters("MASTER").serves()
    entries = [json.loads(line) for line in pod.text.splitlines() if line.startswith("{")]
    entering = [entry for entry in entries if "Entering" in json.dumps(entry)]
    assert "(ipfailover_VIP_1) Entering MASTER STATE" in json.dumps(entering[-1])
    warned = [entry["event"] for entry in entries if entry["level"] == "warning"]
    assert "/etc/sysconfig/keepalived: line 3: only assignments are understood, no shell is run; not used" in warned
    assert "KEEPALIVED_OPTIONS: --nonsense is not known and not used" in warned
    assert pod.end() == 0


def test_the_check_and_notify_scripts(node: Node) -> None:
    """They run as in the old image; one that is missing is an error, and does not keep the node from serving."""
    script = executable(node.directory / "check", f"test ! -e {node.directory}/closed")
    notify = executable(node.directory / "notify", f'echo "$@" >> {node.directory}/told')
    pod = node.start(**FAST, CHECK_SCRIPT=str(script), NOTIFY_SCRIPT=str(notify), CHECK_INTERVAL="1").enters("MASTER")
    (node.directory / "closed").touch()
    pod.enters("FAULT")
    until(lambda: not node.vips, "the address goes")
    (node.directory / "closed").unlink()
    pod.enters("MASTER", count=2)
    assert pod.end() == 0
    told = lines(node.directory / "told")
    assert [line.split()[2] for line in told] == ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", "STOP"]
    assert told[1] == "INSTANCE ipfailover_VIP_1 MASTER 220"
    pod = node.start(**FAST, CHECK_SCRIPT="/nowhere/check", NOTIFY_SCRIPT="/nowhere/notify").enters("MASTER")
    assert len(re.findall(r"ERROR: OPENSHIFT_HA_CHECK_SCRIPT: /nowhere/check cannot be run", pod.text)) == 1
    assert len(re.findall(r"ERROR: OPENSHIFT_HA_NOTIFY_SCRIPT: /nowhere/notify cannot be run", pod.text)) == 1


def test_read_only_places(node: Node) -> None:
    """The file and the pid files cannot be written: one warning each, and the pod serves and is healthy."""
    (node.directory / "before").write_text(
        "mount -t tmpfs -o ro tmpfs /etc/keepalived\nmount -t tmpfs -o ro tmpfs /run\n"
        # A /tmp of its own in which all that was there is still found: the interpreter may be in it.
        "mkdir layers/tmp layers/tmp-work\n"
        "mount -t overlay overlay -o lowerdir=/tmp,upperdir=layers/tmp,workdir=layers/tmp-work /tmp\n"
    )
    pod = node.start(sys.executable, "-m", "pyvrrp", "pod", "run", **FAST).enters("MASTER").serves()
    assert len(re.findall("WARNING: /etc/keepalived/keepalived.conf cannot be written: Read-only", pod.text)) == 1
    assert len(re.findall("WARNING: /run cannot be written to: pid files are in /tmp", pod.text)) == 1
    assert pod.file("/tmp/keepalived.pid") == "1\n"
    assert pod.pyvrrp("health").returncode == 0
    assert pod.end() == 0
    assert node.vips == set()


def test_a_right_that_is_missing(node: Node) -> None:
    """The exit code is not 0, and one line names the right."""
    bounded = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
    pod = node.start(*bounded, *node.program("pod", "run"), **FAST)
    assert pod.wait() == 4
    (line,) = [line for line in pod.text.splitlines() if not line.startswith("  - ")]
    assert line.startswith("pyvrrp: cannot run without CAP_NET_ADMIN: ")


def test_it_waits_for_an_interface(node: Node) -> None:
    """
    One that is named and absent: no other is taken; the pod lives and is healthy.

    When it comes it may be without an address for a moment, and the priority follows from the address.
    """
    pod = node.start(**FAST | {"NETWORK_INTERFACE": "br-ex"}).serves()
    assert "WARNING: OPENSHIFT_HA_NETWORK_INTERFACE: br-ex does not exist here: waiting for it" in pod.text
    assert "Waiting for interface br-ex" in pod.text
    assert pod.pyvrrp("health").returncode == 0
    assert pod.pyvrrp("health", "--ready", check=False).returncode == 3  # or a roll-out went on to the next node
    node.namespace.ip("link", "add", "br-ex", "type", "veth", "peer", "name", "other")
    node.namespace.ip("link", "set", "other", "up")
    node.namespace.ip("link", "set", "br-ex", "up")
    node.namespace.ip("addr", "add", "10.0.0.50/24", "dev", "br-ex")
    pod.enters("MASTER")
    assert node.namespace.addresses("br-ex") == {"10.0.0.50/24", VIP}
    assert re.findall(r" priority (\d+)", pod.file()) == [str(255 - 50)]
    assert pod.pyvrrp("health").returncode == 0
    assert pod.end() == 0


def test_it_waits_for_a_route(node: Node) -> None:
    """Nothing is named and nothing leads out: as soon as something does, that is taken."""
    pod = node.start(**FAST | {"NETWORK_INTERFACE": ""}).serves()
    assert "ERROR: OPENSHIFT_HA_NETWORK_INTERFACE: there is no interface" in pod.text
    node.namespace.ip("route", "add", "default", "via", "10.0.0.1")
    pod.enters("MASTER")
    assert node.vips == {VIP}


def test_hangup_by_option(node: Node) -> None:
    """
    `PYVRRP_HUP=reload`: the node is looked at again; what was drawn stays drawn.

    An interface that is gone by then is waited for as at the start.
    """
    pod = node.start(**FAST | {"VIRTUAL_IPS": "10.0.0.100-101", "REPLICA_COUNT": "2"}, PYVRRP_HUP="reload")
    pod.enters("MASTER", 2)
    before = pod.file()
    node.namespace.ip("addr", "add", "10.0.0.99/24", "dev", "eth0")
    pod.send(signal.SIGHUP).says("Reload complete")
    assert pod.file() == before
    node.namespace.ip("link", "set", "eth0", "name", "eth1")
    pod.send(signal.SIGHUP).says("Waiting for interface eth0").says("Reload complete", 2)
    node.namespace.ip("link", "set", "eth1", "name", "eth0")
    pod.says("Reload complete", 3).enters("MASTER", 2, 2)
    assert pod.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_in_order(node: Node, number: signal.Signals) -> None:
    """Priority 0 is out and the address gone before the exit; the exit code is 0."""
    pod = node.start(**FAST).enters("MASTER")
    with Capture(node.namespace, outgoing=True) as capture:
        assert pod.end(number) == 0
        assert node.vips == set()
        sent = [found for frame in capture.pending() if (found := advertised(frame)) is not None]
    assert sent[-1] == (11, 0)


def test_a_second_signal_ends_at_once(node: Node) -> None:
    """After the first one it waits for a successor, 3 s with this interval; asked twice it goes, and leaves nothing."""
    pod = node.start(**ONE | {"PREEMPTION": "priority 255\n advert_int 10"}).enters("MASTER")
    pod.send(signal.SIGTERM).says("Stopping")
    assert pod.end(signal.SIGTERM) == 0
    assert node.vips == set()


def test_a_signal_during_the_start(node: Node) -> None:
    """
    Sent again and again from the first moment on, so that one of them meets every stage of the start.

    Before the interpreter runs our first line the kernel drops it, as the first process of a container has it.
    """
    pod = node.start(**ONE)
    first = pod.first
    while pod.process.poll() is None:
        try:
            os.kill(first, signal.SIGTERM)
        except ProcessLookupError:
            break
        time.sleep(0.001)  # a flood would only try how an event loop bears it
    assert pod.wait() == 0, pod.text
    assert node.vips == set()
    assert pod.text.endswith("  - OpenShift IP Failover service terminated.\n")


def test_two_signals_during_the_start(node: Node) -> None:
    """
    Of different kinds, so that both wait until they are listened to: then the pod is told twice before it is there.

    The engine has ended before it answers for the first time.
    """
    pod = node.start(**ONE).says("OpenShift IP Failover starts")
    assert pod.end(signal.SIGTERM, signal.SIGINT) == 0
    assert node.vips == set()


def test_both_families_in_a_group(node: Node) -> None:
    """Two virtual routers with one id, which move together; the file shows both."""
    pod = node.start(**FAST | {"VIRTUAL_IPS": "10.0.0.100,2001:db8::5", "VIP_GROUPS": "1"})
    pod.says(r"ipfailover_VIP_1\) Entering MASTER").says(r"ipfailover_VIP_1_IPv6\) Entering MASTER")
    assert node.vips == {VIP, "2001:db8::5/128"}
    assert re.findall(r"virtual_router_id (\d+)", pod.file()) == ["11", "11"]
    assert pod.end() == 0
    assert node.vips == set()


def test_killed_and_started_again(node: Node) -> None:
    """
    In the same network namespace: what was left is removed before the new pod speaks, also after the files are gone.

    The pid files of the predecessor say the numbers that the new processes have again.
    """
    pod = node.start(**FAST).enters("MASTER")
    pod.kill()
    assert node.vips == {VIP}
    pod = node.start(**FAST | {"VIRTUAL_IPS": "10.0.0.101"}).enters("MASTER")
    assert "removed leftover 10.0.0.100/32 from eth0" in pod.text
    assert node.vips == {"10.0.0.101/32"}
    pod.kill()
    (node.directory / "run").rename(node.directory / "gone")  # the next container has a /run of its own
    (node.directory / "run").mkdir()
    pod = node.start(**FAST | {"VIRTUAL_IPS": "10.0.0.101"}).serves()
    assert "removed leftover 10.0.0.101/32 from eth0" in pod.text
    assert pod.enters("MASTER").end() == 0
    assert node.vips == set()


def test_a_priority_of_255_makes_no_owner(cluster: Cluster) -> None:
    """On a node whose address ends in 0 or 128: what a dead predecessor left is not the node's own, and goes."""
    (node,) = cluster.make("10.0.0.128/24")
    script = executable(node.directory / "check", f"test ! -e {node.directory}/closed")
    pod = node.start(**FAST, CHECK_SCRIPT=str(script), CHECK_INTERVAL="1").enters("MASTER")
    pod.kill()
    assert node.vips == {VIP}
    (node.directory / "run").rename(node.directory / "gone")
    (node.directory / "run").mkdir()
    (node.directory / "closed").touch()
    pod = node.start(**FAST, CHECK_SCRIPT=str(script), CHECK_INTERVAL="1").enters("FAULT")
    assert "removed leftover 10.0.0.100/32 from eth0" in pod.text
    assert node.vips == set()


def test_orphans_are_reaped(node: Node) -> None:
    """Notify scripts leave children that end later, a hundred of them; results of checks are right all the while."""
    check = executable(node.directory / "check", f"(exit 3) & echo >> {node.directory}/checked; exit 0")
    notify = executable(node.directory / "notify", "i=0; while [ $i -lt 100 ]; do (sleep 0.2 &) ; i=$((i+1)); done")
    pod = node.start(**FAST, CHECK_SCRIPT=str(check), NOTIFY_SCRIPT=str(notify), CHECK_INTERVAL="1").enters("MASTER")
    until(lambda: len(lines(node.directory / "checked")) > 2, "checks")

    def zombies() -> list[int]:
        found = []
        for pid in process_tree(pod.first):
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += [pid] if state == "Z" else []
        return found

    until(lambda: len(process_tree(pod.first)) <= 3 and not zombies(), "nobody is left over")
    assert "FAULT" not in pod.text
    assert "failed" not in pod.text
    assert pod.end() == 0


def test_an_engine_that_dies_is_replaced(node: Node) -> None:
    """By the first process of a container, too, which must not take its end for an orphan's."""
    pod = node.start(**FAST).enters("MASTER")
    engine = int(pod.file("/run/vrrp.pid"))
    pod.run("kill", "-KILL", str(engine))
    pod.enters("MASTER", count=2)
    assert pod.run("pgrep", "-l", "keepalived").stdout.count("keepalived_vrrp") == 1
    assert pod.file("/run/vrrp.pid") != f"{engine}\n"
    assert pod.end() == 0
    assert node.vips == set()


def test_an_engine_is_replaced_without_its_pid_file(node: Node) -> None:
    """Somebody has removed it; that is said, and the node serves."""
    pod = node.start(**FAST).enters("MASTER")
    engine = pod.file("/run/vrrp.pid").strip()
    pod.run("rm", "/run/vrrp.pid")
    pod.run("kill", "-KILL", engine)
    pod.enters("MASTER", count=2).says("cannot write pid file /run/vrrp.pid")
    assert pod.end() == 0
    assert node.vips == set()


def test_the_firewall_rule(node: Node) -> None:
    """It is there while it is asked for, stays when the pod ends, and the second entry takes it away."""
    pod = node.start(**FAST, NFTABLES_RULE="INPUT").enters("MASTER")
    assert "ip daddr 224.0.0.18 accept" in node.namespace.run(["nft", "list", "table", "inet", "keepalived"])
    assert pod.end() == 0
    removal = node.start(*node.program(name="remove-failover.sh"), **FAST, NFTABLES_RULE="INPUT")
    assert removal.wait() == 0
    assert "Removed the firewall table inet keepalived" in removal.text
    assert "keepalived" not in node.namespace.run(["nft", "list", "ruleset"])
