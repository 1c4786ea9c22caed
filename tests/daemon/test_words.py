"""Sentences of the log; those of keepalived to the letter where operators match on them (keepalived.md 7)."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from pyvrrp.daemon import words
from pyvrrp.daemon.lines import Line
from pyvrrp.daemon.notify import Notification, NotifyReport
from pyvrrp.daemon.words import Own
from pyvrrp.engine.reports import (
    Dropped,
    Entered,
    GroupEntered,
    Hastened,
    KernelFailed,
    Noticed,
    Remarked,
    Status,
    Stopped,
)
from pyvrrp.errors import DropReason
from pyvrrp.protocol.actions import Cause, Note, Remark, Transition
from pyvrrp.protocol.receive import Notice
from pyvrrp.protocol.states import State
from pyvrrp.trackers.base import TrackerNotice, TrackerResult
from pyvrrp.trackers.children import ChildResult

INITIALIZE, BACKUP, MASTER, FAULT = State.INITIALIZE, State.BACKUP, State.MASTER, State.FAULT
PEER = ip_address("10.0.0.2")


def entered(previous: State, state: State, cause: Cause, **more: Any) -> list[Line]:
    transition = Transition(previous, state, cause, at_us=0, priority=150, **more)
    return list(words.of_report(Entered("V1", transition), Own(previous, 150)))


def texts(found: list[Line]) -> list[str]:
    return [line.text for line in found]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (entered(INITIALIZE, BACKUP, Cause.STARTUP), ["(V1) Entering BACKUP STATE (init)"]),
        (
            entered(INITIALIZE, FAULT, Cause.FAULT, detail="no IPv4 address for interface"),
            ["(V1) entering FAULT state (no IPv4 address for interface)", "(V1) Entering FAULT STATE (init)"],
        ),
        (
            entered(INITIALIZE, MASTER, Cause.OWNER),
            ["(V1) owner of the addresses (priority 255)", "(V1) Entering MASTER STATE"],
        ),
        (
            entered(BACKUP, MASTER, Cause.MASTER_TIMEOUT, silent_us=3_414_062, peer=PEER, peer_priority=200),
            [
                "(V1) Receive advertisement timeout: 10.0.0.2 (priority 200) not heard for 3.414 s",
                "(V1) Entering MASTER STATE",
            ],
        ),
        (
            entered(BACKUP, MASTER, Cause.MASTER_RELEASED, peer=PEER, peer_priority=0),
            ["(V1) 10.0.0.2 released the addresses (priority 0)", "(V1) Entering MASTER STATE"],
        ),
        (
            entered(BACKUP, MASTER, Cause.LOWER_PRIORITY_MASTER, peer=PEER, peer_priority=100),
            ["(V1) 10.0.0.2 (priority 100) has a lower priority than ours, 150", "(V1) Entering MASTER STATE"],
        ),
        (
            entered(MASTER, BACKUP, Cause.HIGHER_PRIORITY, peer=PEER, peer_priority=200),
            [
                "(V1) Master received advert from 10.0.0.2 with higher priority 200, ours 150",
                "(V1) Entering BACKUP STATE",
            ],
        ),
        (
            entered(MASTER, BACKUP, Cause.HIGHER_ADDRESS, peer=PEER, peer_priority=150),
            [
                "(V1) Master received advert from 10.0.0.2 with same priority 150 but higher IP address than ours",
                "(V1) Entering BACKUP STATE",
            ],
        ),
        (
            entered(MASTER, FAULT, Cause.FAULT, detail="interface eth1 is down"),
            [
                "(V1) entering FAULT state (interface eth1 is down)",
                "(V1) Entering FAULT STATE",
            ],
        ),
        (
            entered(BACKUP, FAULT, Cause.FAULT, detail="interface eth1 is down"),
            ["(V1) entering FAULT state (interface eth1 is down)", "(V1) Entering FAULT STATE"],
        ),
        (entered(FAULT, BACKUP, Cause.RECOVERY), ["(V1) all faults are gone", "(V1) Entering BACKUP STATE"]),
        (entered(MASTER, INITIALIZE, Cause.SHUTDOWN), ["(V1) Stopped"]),
        (entered(BACKUP, INITIALIZE, Cause.SHUTDOWN), ["(V1) Stopped"]),
        (entered(FAULT, INITIALIZE, Cause.SHUTDOWN), ["(V1) Stopped"]),
    ],
)
def test_transitions(found: list[Line], expected: list[str]) -> None:
    assert texts(found) == expected
    assert {line.level for line in found} == {"info"}
    # keepalived's form shows `message` instead of the text: none here may replace what operators match on.
    assert all("message" not in line.fields for line in found)


def test_every_transition_into_a_state_is_matched_by_the_alert_pattern() -> None:
    """Whatever the cause: one such line, the last one, with all values as fields."""
    for cause in Cause:
        for state in (BACKUP, MASTER, FAULT):
            found = entered(INITIALIZE, state, cause, peer=PEER, peer_priority=1, silent_us=1, detail="why")
            assert [bool(re.search("Entering (MASTER|BACKUP|FAULT) STATE", text)) for text in texts(found)].count(
                True
            ) == 1
            fields = found[-1].fields
            assert f"Entering {state} STATE" in found[-1].text
            assert (fields["instance"], fields["state"], fields["cause"]) == ("V1", str(state), str(cause))
            assert (fields["peer"], fields["peer_priority"], fields["priority"]) == ("10.0.0.2", 1, 150)
            assert fields["reason"]


def remarked(note: Note, own: Own | None = None, **more: Any) -> Line:
    (line,) = words.of_report(Remarked("V1", Remark(note, **more)), own or Own(BACKUP, 150))
    return line


MASTER_150 = Own(MASTER, 150)


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        (
            remarked(Note.LOWER_PRIORITY, peer=PEER, priority=100),
            "info",
            "(V1) received lower priority (100) advert from 10.0.0.2 - discarding",
        ),
        (
            remarked(Note.LOWER_PRIORITY, MASTER_150, peer=PEER, priority=100),
            "info",
            "(V1) Received advert from 10.0.0.2 with lower priority 100, ours 150, forcing new election",
        ),
        (
            remarked(Note.SAME_ADDRESS, MASTER_150, peer=PEER, priority=150),
            "warning",
            "(V1) advert of our priority 150 from our own address 10.0.0.2: is it used twice?",
        ),
        (remarked(Note.NEW_MASTER, peer=PEER, priority=200), "info", "(V1) master set to 10.0.0.2"),
        (
            remarked(Note.INTERVAL_LEARNED, peer=PEER, before=2_000_000, value_us=300_000),
            "info",
            "(V1) advertisement interval updated from 2000ms to 300ms by master",
        ),
        (remarked(Note.PREEMPT_DELAY_STARTED, value_us=5_000_000), "info", "(V1) start preempt delay (5.000000)"),
        (remarked(Note.PREEMPT_DELAY_STOPPED), "debug", "(V1) stop preempt delay"),
        (
            remarked(Note.PRIORITY, priority=130, before=150),
            "info",
            "(V1) Changing effective priority from 150 to 130",
        ),
        (remarked(Note.FAULT, detail="script a"), "info", "(V1) one more fault: script a"),
        (remarked(Note.FAULT_CLEARED, detail="script b"), "info", "(V1) a fault is gone, what remains: script b"),
        (
            remarked(Note.OVERSLEPT, MASTER_150, value_us=4_200_000),
            "warning",
            "(V1) this process did not run for 4.200 s; silent until it is clear who is MASTER",
        ),
    ],
)
def test_remarks(line: Line, level: str, text: str) -> None:
    assert (line.level, line.text) == (level, text)
    assert line.fields["instance"] == "V1"


def test_every_note_has_words() -> None:
    for note in Note:
        assert remarked(note, peer=PEER, priority=1, before=2, value_us=3, detail="x").text.startswith("(V1) ")


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (Own(BACKUP, 150), "(V1) Backup received priority 0 advertisement"),
        (MASTER_150, "(V1) Master received priority 0 message"),
    ],
)
def test_priority_0(own: Own, theirs: str) -> None:
    """We say from whom; keepalived's form of the log has its own words."""
    line = remarked(Note.RELEASE_HEARD, own, peer=PEER, priority=0)
    assert line.text == f"{theirs} from 10.0.0.2"
    assert line.fields["message"] == theirs


def test_what_a_peer_can_repeat_is_limited() -> None:
    """By instance and kind; what happens to ourselves is never kept back."""
    limited = {note for note in Note if remarked(note, peer=PEER, priority=1, before=2, value_us=3).repeats}
    assert limited == {
        Note.LOWER_PRIORITY,
        Note.SAME_ADDRESS,
        Note.RELEASE_HEARD,
        Note.NEW_MASTER,
        Note.INTERVAL_LEARNED,
        Note.PREEMPT_DELAY_STARTED,
        Note.PREEMPT_DELAY_STOPPED,
    }
    assert not any(line.repeats for line in entered(MASTER, BACKUP, Cause.HIGHER_PRIORITY, peer=PEER))


def one(report: Any) -> Line:
    (line,) = words.of_report(report, Own())
    return line


def test_dropped_packets() -> None:
    dropped = Dropped("eth0", "V1", DropReason.AUTH_FAILURE, PEER, "password differs", 1)
    line = one(dropped)
    assert (line.level, line.text) == ("warning", "(V1) dropped a packet from 10.0.0.2, auth-failure: password differs")
    assert line.fields == {
        "instance": "V1", "interface": "eth0", "drop": "auth-failure", "peer": "10.0.0.2", "count": 1,
    }  # fmt: skip
    many = replace(dropped, instance=None, source=None, detail="", count=7, reason=DropReason.MALFORMED_IP)
    assert one(many).text == "eth0 dropped a packet from an unreadable sender, malformed-ip (7 packets)"


def test_notices_and_refusals_of_the_kernel() -> None:
    notice = next(iter(Notice))
    assert one(Noticed("V1", notice, PEER, "it differs", 1)).text == "(V1) advertisement from 10.0.0.2: it differs"
    assert one(Noticed("V1", notice, PEER, "it differs", 3)).text.endswith("it differs (3 times)")
    line = one(KernelFailed("V1", "add address", "cannot add address"))
    assert (line.level, line.text) == ("error", "(V1) cannot add address")
    assert one(KernelFailed(None, "list links", "cannot list links")) == Line("error", "cannot list links")
    assert line.repeats == ""
    assert one(KernelFailed("V1", "send to", "cannot send to 224.0.0.18")).repeats  # each interval, of each router


@pytest.mark.parametrize(
    ("previous", "state", "said"),
    [
        (INITIALIZE, BACKUP, False),  # keepalived says so of the instances alone
        (INITIALIZE, FAULT, True),
        (BACKUP, MASTER, True),
        (MASTER, MASTER, False),  # members have parted or met
        (MASTER, INITIALIZE, False),
    ],
)
def test_sync_groups(previous: State, state: State, said: bool) -> None:
    found = list(words.of_report(GroupEntered("G1", previous, state, parted=False, at_us=0), Own()))
    assert texts(found) == [f"VRRP_Group(G1) Syncing instances to {state} state"] * said


def test_answers_have_no_words() -> None:
    assert list(words.of_report(Status(1, 0, (), {}), Own())) == []
    assert list(words.of_report(Stopped(), Own())) == []


@pytest.mark.parametrize(
    ("kind", "report", "level", "text"),
    [
        ("script", TrackerResult("chk", up=True, reason="exited with status 0"), "info", "VRRP_Script(chk) succeeded"),
        (
            "script",
            TrackerResult("chk", up=False, reason="exited with status 1", exit_code=1),
            "warning",
            "VRRP_Script(chk) failed (exited with status 1)",
        ),
        (
            "script",
            TrackerResult("chk", up=False, reason="timed out after 1 s", timed_out=True),
            "warning",
            "VRRP_Script(chk) timed_out",
        ),
        ("script", TrackerResult("chk", up=None, reason="waits"), "info", "VRRP_Script(chk) waits"),
        ("script", TrackerNotice("chk", "is slow"), "warning", "chk: is slow"),
        ("interface", TrackerResult("eth0", up=False, reason="it is down"), "info", "Netlink reports eth0 down"),
        ("interface", TrackerResult("eth0", up=True, reason="it is up"), "info", "Netlink reports eth0 up"),
    ],
)
def test_trackers(kind: str, report: Any, level: str, text: str) -> None:
    line = words.of_tracker(kind, report)
    assert (line.level, line.text) == (level, text)


def test_a_script_that_a_signal_ended() -> None:
    """keepalived: `failed (due to signal 9)`."""
    line = words.of_tracker("script", TrackerResult("chk", up=False, reason="ended by signal 9 (SIGKILL)", signal=9))
    assert line.text == "VRRP_Script(chk) failed (ended by signal 9 (SIGKILL))"
    assert line.fields["message"] == "VRRP_Script(chk) failed (due to signal 9)"


def test_what_a_failing_check_printed_is_a_field() -> None:
    line = words.of_tracker("script", TrackerResult("chk", up=False, reason="exited with status 1", output="no route"))
    assert line.fields == {"tracker": "chk", "kind": "script", "output": "no route"}


def test_notify_scripts() -> None:
    told = Notification("V1", "MASTER", 100)
    good = NotifyReport(told, ("/n", "x"), "exited with status 0, 0.1 s after its start", ChildResult(("/n",), 0))
    assert words.of_notify(good) == Line(
        "debug",
        "(V1) notify MASTER /n: exited with status 0, 0.1 s after its start",
        {"instance": "V1", "state": "MASTER", "script": "/n"},
    )
    bad = NotifyReport(told, ("/n",), "exited with status 1", ChildResult(("/n",), 1))
    assert words.of_notify(bad).level == "warning"
    dropped = NotifyReport(told, (), "not told: the daemon stops")
    assert words.of_notify(dropped) == Line(
        "warning", "(V1) notify MASTER: not told: the daemon stops", {"instance": "V1", "state": "MASTER"}
    )


def test_the_goodbye_is_told_when_it_went_out() -> None:
    """A state alone does not say so: the interface may have been gone."""
    assert remarked(Note.RELEASE_SENT).text == "(V1) sent 0 priority"
    assert remarked(Note.HANDOVER, value_us=1_010_000).text == "(V1) serving until a successor is heard, 1.01 s at most"


def test_priority_that_was_taken_for_lateness() -> None:
    (line,) = words.of_report(Hastened(3, 31_415), Own())
    assert (line.level, line.text) == ("warning", "the engine woke up 31.4 ms late and takes real-time priority 3")
    assert line.fields == {"rt_priority": 3, "late_us": 31_415}
