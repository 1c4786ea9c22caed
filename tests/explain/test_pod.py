"""What the ipfailover pod would do, as it is printed: golden examples, whatever else it says, any environment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyvrrp.config.openshift import NodeFacts
from pyvrrp.config.openshift.variables import DEFAULTS
from pyvrrp.errors import ConfigError
from pyvrrp.explain.env_file import read_env_file
from pyvrrp.explain.paint import coloured
from pyvrrp.explain.pod import PodOutlook, pod_outlook
from pyvrrp.explain.pod_page import document_pod, render_pod
from tests.explain.test_render import too_long

OUR_NAMES = ("HA_", "PYVRRP_", "MULTICAST_SOURCE", "UNICAST_SOURCE")


def outlook(address: str = "10.0.0.35", interface: str = "ens3", **values: str) -> PodOutlook:
    environment = {
        name if name.startswith(OUR_NAMES) else f"OPENSHIFT_HA_{name}": value for name, value in values.items()
    }
    here = (ip_address(address),) if address else ()
    return pod_outlook(environment, NodeFacts("worker-1", {interface: here}, interface))


def table(page: str) -> list[str]:
    """The rows of groups, as `VRID PRIORITY HERE ADDRESSES`."""
    (block,) = (each for each in page.split("\n\n") if each.lstrip().startswith("ADDRESSES"))
    text = re.sub(r"\n {4,}", " ", block)  # what was wrapped
    rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[1:]]
    return [" ".join([vrid, priority, *(f"({word})" for word in here)]) for _, _, vrid, priority, *here in rows]


def paragraph(page: str, label: str) -> str:
    """What stands beside a label, unwrapped."""
    match = re.search(rf"^  {label} .*(?:\n {{26}}.*)*", page, re.MULTILINE)
    assert match is not None, page
    return " ".join(match[0].split())


PREFERRED = "(preferred, begins as MASTER)"


@pytest.mark.parametrize(
    ("address", "values", "expected"),
    [
        (
            "10.0.0.35",
            {"VIRTUAL_IPS": "10.0.0.100-102"},
            [f"11 220 {PREFERRED}", f"12 36 {PREFERRED}", f"13 220 {PREFERRED}"],
        ),
        (
            "10.0.0.35",
            {"VIRTUAL_IPS": "1.1.1.1-2", "VIP_GROUPS": "10", "VRRP_ID_OFFSET": "0", "REPLICA_COUNT": "2"},
            ["1 35-66, drawn", f"2 220 {PREFERRED}"],
        ),
        (
            "10.0.0.35",
            {"VIRTUAL_IPS": "10.0.0.1-4", "PREEMPTION": "nopreempt"},
            [f"{vrid} 220 (preferred)" for vrid in (11, 12, 13, 14)],
        ),
        (
            "10.0.0.35",
            {"VIRTUAL_IPS": "10.0.0.1-4", "HA_EXCLUDED_VRRP_IDS": "12 13 14"},
            [f"11 220 {PREFERRED}", f"15 36 {PREFERRED}", f"16 220 {PREFERRED}", f"17 36 {PREFERRED}"],
        ),
        (
            "10.0.0.35",
            {"VIRTUAL_IPS": "10.0.0.1-2", "VRRP_ID_OFFSET": "254"},
            [f"255 220 {PREFERRED}", "256 36 (not served)"],
        ),
        ("10.0.0.41", {"VIRTUAL_IPS": "10.0.0.1-2", "REPLICA_COUNT": "2"}, ["11 41-72, drawn", f"12 214 {PREFERRED}"]),
        (
            "10.0.0.42",
            {"VIRTUAL_IPS": "10.0.0.1-2", "REPLICA_COUNT": "2"},
            [f"11 213 {PREFERRED}", f"12 43 {PREFERRED}"],
        ),
        (
            "10.0.0.128",
            {"VIRTUAL_IPS": "10.0.0.1-2", "REPLICA_COUNT": "2"},
            ["11 255 (preferred, begins as MASTER, as the addresses' owner)", f"12 1 {PREFERRED}"],
        ),
        ("10.0.0.129", {"VIRTUAL_IPS": "10.0.0.1", "REPLICA_COUNT": "2"}, ["11 1-32, drawn"]),
        ("10.0.0.192", {"VIRTUAL_IPS": "10.0.0.1", "REPLICA_COUNT": "3"}, ["11 1-31 or 100, drawn"]),
        (
            "",
            {"VIRTUAL_IPS": "10.0.0.1"},
            ["11 255 (preferred, begins as MASTER, as the addresses' owner)"],
        ),
    ],
)
@pytest.mark.parametrize("mode", [{}, {"PYVRRP_COMPAT": "exact"}], ids=["mended", "exact"])
def test_golden(address: str, values: dict[str, str], expected: list[str], mode: dict[str, str]) -> None:
    """Ids and priorities of ipfailover.md 14, as they are printed."""
    assert table(render_pod(outlook(address, **values, **mode))) == expected


def test_a_page() -> None:
    """All of it, for the manifest that most people have."""
    values = {
        "VIRTUAL_IPS": "1.1.1.1-2", "VIP_GROUPS": "10", "VRRP_ID_OFFSET": "0", "REPLICA_COUNT": "2",
        "NETWORK_INTERFACE": "ens3", "CONFIG_NAME": "ipfailover", "CHECK_SCRIPT": "/etc/keepalive/check.sh",
        "NOTIFY_SCRIPT": "/etc/keepalive/notify.sh now", "PREEMPTION": "preempt_delay 300",
    }  # fmt: skip
    page = render_pod(outlook(**values, PYVRRP_HEALTH_PORT="8112", NFTABLES_RULE="INPUT"))
    assert page.startswith("ipfailover pod on worker-1\n")
    assert paragraph(page, "interface") == "interface ens3, because of OPENSHIFT_HA_NETWORK_INTERFACE"
    assert paragraph(page, "node address") == "node address 10.0.0.35, its last octet modulo 128 is slot 35"
    assert paragraph(page, "preferred for") == (
        "preferred for group 2: those whose number 2 divides, for 1 + slot 35 modulo 2 nodes is 2"
    )
    assert paragraph(page, "IPv4").startswith("IPv4 VRRPv2, every 1 s; multicast to 224.0.0.18")
    assert "check chk_ipfailover fails: FAULT" in paragraph(page, "checks")
    assert "/etc/keepalive/check.sh; every 2 s" in paragraph(page, "checks")
    assert "group 1: takes over from a MASTER of lower priority, 300 s after" in paragraph(page, "preemption")
    assert paragraph(page, "tells") == "tells all states: /etc/keepalive/notify.sh now"
    assert paragraph(page, "firewall") == "firewall a rule that lets VRRP in is put in"
    assert paragraph(page, "health").endswith("over HTTP on 127.0.0.1:8112: /healthz, /readyz")
    assert "OPENSHIFT_HA_PREEMPTION:1:1: note: has no effect in the groups that this node is preferred for" in page
    assert not too_long(page.partition("about the environment")[0])


def test_a_mend_is_shown_in_its_value() -> None:
    page = render_pod(outlook(VIRTUAL_IPS="10.0.0.7,10.0.0.1/24"), coloured)
    assert "'10.0.0.1/24' is read as 10.0.0.1; the old image made 10.0.0.124 of it" in page
    lines = re.sub(r"\033\[[0-9;]*m", "", page).splitlines()
    at = lines.index("     1 | 10.0.0.7,10.0.0.1/24")
    assert lines[at + 1] == "       |          ^~~~~~~~~~~"


def test_unicast() -> None:
    page = render_pod(outlook(VIRTUAL_IPS="10.0.0.100", UNICAST_PEERS="10.0.0.35,10.0.0.36"))
    assert "unicast to 10.0.0.36, TTL 255" in paragraph(page, "IPv4")
    assert "10.0.0.35 is this node itself and left out" in page


def test_no_port_is_no_check() -> None:
    page = render_pod(outlook(VIRTUAL_IPS="10.0.0.100", MONITOR_PORT="0"))
    assert paragraph(page, "checks").endswith("[noticed at once] no service: the port is 0")


def test_both_families() -> None:
    values = {"VIRTUAL_IPS": "10.0.0.100,2001:db8::5", "VIP_GROUPS": "1", "CONFIG_NAME": "edge"}
    told = outlook(**values, PYVRRP_CHECK_EACH_VIP="1")
    page = render_pod(told)
    assert table(page) == ["11 220 (preferred, begins as MASTER, both families)"]
    assert paragraph(page, "IPv6").startswith("IPv6 VRRPv3, every 1 s; multicast to ff02::12")
    assert "edge_VIP_1 and edge_VIP_1_IPv6 move together" in page
    assert paragraph(page, "checks").endswith("and the port on each virtual address, where it is served")
    assert document_pod(told)["pairs"] == [
        {"name": "edge_VIP_1_both", "first": "edge_VIP_1", "second": "edge_VIP_1_IPv6"}
    ]


def test_an_interface_that_is_waited_for() -> None:
    told = outlook(VIRTUAL_IPS="10.0.0.100", NETWORK_INTERFACE="br-ex bond0", PYVRRP_STRICT="1")
    page = render_pod(told)
    assert paragraph(page, "interface") == (
        "interface none yet: waits for br-ex or bond0, and serves nothing until then"
    )
    assert "  ! does not start: OPENSHIFT_HA_NETWORK_INTERFACE:1:1: " in page
    assert "no groups: nothing is served" in page
    assert "slot" not in page
    document: Mapping[str, Any] = document_pod(told)
    assert (document["starts"], document["interface"]["waits_for"]) == (False, ["br-ex", "bond0"])


def test_stable_priorities_are_not_drawn() -> None:
    told = outlook(VIRTUAL_IPS="10.0.0.1-2", REPLICA_COUNT="2", PYVRRP_STABLE_PRIORITIES="1")
    assert not any(stand.random for stand in told.stands)
    assert 35 <= told.stands[0].least <= 66


def test_document() -> None:
    """Everything that the page says."""
    told: Any = json.loads(json.dumps(document_pod(outlook(VIRTUAL_IPS="10.0.0.1,x", REPLICA_COUNT="2"))))
    assert told["groups"] == [
        {
            "number": 1, "vrid": 11, "priority": {"least": 35, "greatest": 66, "random": True}, "preferred": False,
            "begins_as_master": False, "served": True, "instances": ["OpenShift_IPFailover_VIP_1"],
            "addresses": ["10.0.0.1"],
        }
    ]  # fmt: skip
    assert (told["slot"], told["replicas"], told["step"], told["node_address"]) == (35, 2, 2, "10.0.0.35")
    (lost,) = (each for each in told["findings"] if each["severity"] == "error")
    assert (lost["variable"], lost["column"], lost["dropped"]) == ("OPENSHIFT_HA_VIRTUAL_IPS", 10, True)
    assert told["levels"]["error"] == 1
    assert told["preemption"][0]["groups"] == [1]


WORDS = st.text() | st.sampled_from(
    ["1", "on", "10.0.0.1-9", "2001:db8::1-f", "10.0.0.1/24,::1", "254", "nopreempt", "exact", "0", "10.0.0.36", "8112"]
)


@example({"OPENSHIFT_HA_VIRTUAL_IPS": "10.0.0.1", "OPENSHIFT_HA_NETWORK_INTERFACE": "a\x1b[2Jb"}, "10.0.0.35")
@example({"OPENSHIFT_HA_VIRTUAL_IPS": "10.0.0.1", "OPENSHIFT_HA_NOTIFY_SCRIPT": "/x\x1b[2J \x85y"}, "10.0.0.35")
@given(st.dictionaries(st.sampled_from(sorted(DEFAULTS)), WORDS), st.sampled_from(["10.0.0.35", "10.0.0.128", ""]))
@settings(max_examples=150, deadline=None)
def test_any_environment(environment: dict[str, str], address: str) -> None:
    """It is explained, on paper and as JSON; the page shows nothing that does something to a terminal."""
    here = (ip_address(address),) if address else ()
    told = pod_outlook(environment, NodeFacts("node", {"eth1": here}))
    page = render_pod(told)
    assert all(line.replace("\t", " ").isprintable() for line in page.split("\n"))
    assert json.loads(json.dumps(document_pod(told)))["starts"] is told.starts
    assert len(told.stands) == len(told.pod.groups)


class TestEnvFile:
    def test_lines(self) -> None:
        text = "\ufeff# oc set env --list\n\nA=1\nexport B = no\n".replace("export B = no", "export B=two words \r")
        assert read_env_file(text + "C='q # x'\nD=\"\nE=\nA=a=b\n", "f") == {
            "A": "a=b", "B": "two words", "C": "q # x", "D": '"', "E": "",
        }  # fmt: skip

    @pytest.mark.parametrize("line", ["A", "=1", "1A=x", "A B=1", "- name: A"])
    def test_no_assignment(self, line: str) -> None:
        with pytest.raises(ConfigError, match="is no assignment") as caught:
            read_env_file(f"A=1\n{line}\n", "f")
        assert (caught.value.file, caught.value.line) == ("f", 2)
