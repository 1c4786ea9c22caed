"""The environment as the daemon's configuration: what is said, what is written, what is waited for."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.config.openshift import NodeFacts
from pyvrrp.errors import ConfigError, KernelError
from pyvrrp.net import firewall
from pyvrrp.net.netlink import client
from pyvrrp.pod import source
from pyvrrp.pod.files import write_configuration
from pyvrrp.pod.source import Draws, PodSource
from tests.daemon.conftest import Lines

NODE = NodeFacts("node", {"lo": (ip_address("127.0.0.1"),), "eth0": (ip_address("10.0.0.35"),)}, "eth0")
ENVIRONMENT = {
    "OPENSHIFT_HA_VIRTUAL_IPS": "10.0.0.100",
    "OPENSHIFT_HA_NETWORK_INTERFACE": "eth0",
    "OPENSHIFT_HA_MONITOR_PORT": "0",
}


@pytest.fixture(autouse=True)
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A node that is always the same, and where the file goes."""
    monkeypatch.setattr(source, "facts", lambda _: NODE)
    monkeypatch.setattr(source, "PATH", str(tmp_path / "etc" / "keepalived.conf"))
    return tmp_path / "etc" / "keepalived.conf"


def begun(environment: Mapping[str, str], said: tuple[str, ...] = (), **more: Any) -> tuple[PodSource, Lines]:
    """A source that has begun, and what it said."""
    made, lines = PodSource({**ENVIRONMENT, **environment}, said, **more), Lines()
    made.load()
    made.begun(lines)
    return made, lines


def test_it_says_what_is_mended_and_writes_the_file(node: Path) -> None:
    """One line each, with a word for its level where the log shows none; what is merely a remark has none."""
    made, lines = begun({"OPENSHIFT_HA_VIRTUAL_IPS": "10.0.0.100/24,host"}, ("something else",), levels=True)
    assert lines.of("error") == ["ERROR: OPENSHIFT_HA_VIRTUAL_IPS:1:15: 'host' is no address; it is not served"]
    assert lines.of("warning")[0] == "WARNING: something else"
    assert lines.of("warning")[1].startswith("WARNING: OPENSHIFT_HA_VIRTUAL_IPS: '10.0.0.100/24' is read as")
    assert [text for text in lines.of("info") if "OPENSHIFT" in text]
    assert not lines.has(r"(?<!ERROR: )(?<!WARNING: )OPENSHIFT_HA_VIRTUAL")
    assert lines.texts[-1] == (
        "Interface eth0 (OPENSHIFT_HA_NETWORK_INTERFACE), node address 10.0.0.35: 1 virtual addresses in 1 groups,"
        " preferred for 1"
    )
    assert made.warnings[0] == "something else"
    assert len(made.warnings) == 3
    assert node.read_text() == made.pod.text
    assert stat.S_IMODE(node.stat().st_mode) == 0o644


def test_levels_are_not_said_where_the_log_has_them() -> None:
    _, lines = begun({"OPENSHIFT_HA_VIRTUAL_IPS": "host,10.0.0.1"}, ("something else",))
    assert lines.of("error") == ["OPENSHIFT_HA_VIRTUAL_IPS: 'host' is no address; it is not served"]
    assert lines.of("warning") == ["something else"]


def test_again_says_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload looks at the node; what was complained about before need not be said again."""
    made, before = begun({"OPENSHIFT_HA_VIRTUAL_IPS": "host,10.0.0.100"})
    assert before.of("error")
    monkeypatch.setattr(source, "facts", lambda _: NodeFacts("node", {"eth1": ()}, None))
    lines = Lines()
    configuration = made.again(lines)
    assert configuration.instances == ()
    assert lines.of("error") == []
    assert lines.has("eth0 does not exist here: waiting for it")
    assert lines.texts[-1] == "Waiting for interface eth0"


def test_strict_refuses() -> None:
    """Every line that is the reason, and nothing else."""
    with pytest.raises(ConfigError) as raised:
        PodSource({**ENVIRONMENT, "OPENSHIFT_HA_VIRTUAL_IPS": "a,b,10.0.0.100", "PYVRRP_STRICT": "1"}).load()
    assert str(raised.value).splitlines() == [
        "OPENSHIFT_HA_VIRTUAL_IPS: 'a' is no address; it is not served",
        "OPENSHIFT_HA_VIRTUAL_IPS:1:3: 'b' is no address; it is not served",
    ]


def test_strict_refuses_a_reload(monkeypatch: pytest.MonkeyPatch, node: Path) -> None:
    """The node has changed, and what ran goes on: also what is said of it."""
    made, lines = begun({"PYVRRP_STRICT": "1"})
    before, written = made.pod, node.read_text()
    monkeypatch.setattr(source, "facts", lambda _: replace(NODE, addresses={"eth0": (ip_address("10.0.0.128"),)}))
    with pytest.raises(ConfigError, match="gives priority 255"):
        made.again(lines)
    assert made.pod is before
    assert node.read_text() == written


@pytest.mark.usefixtures("node")
def test_a_reload_without_the_nodes_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a moment it has none; a priority of 255 would stay for ever."""
    made, lines = begun({})
    before = made.pod
    monkeypatch.setattr(source, "facts", lambda _: replace(NODE, addresses={"eth0": ()}))
    with pytest.raises(ConfigError, match="eth0 has lost its IPv4 address"):
        made.again(lines)
    assert made.pod is before


def test_no_interface_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "facts", lambda _: NodeFacts())
    _, lines = begun({"OPENSHIFT_HA_NETWORK_INTERFACE": ""})
    assert lines.texts[-1] == "Waiting for an interface"


def test_a_check_that_always_passes_is_not_run() -> None:
    """Port 0: the file has it as in the old image; nobody runs `true` every two seconds, or lacks it."""
    made = PodSource(ENVIRONMENT)
    running = made.load().configuration
    assert (running.scripts, running.instances[0].track_scripts) == ((), ())
    assert [script.name for script in made.pod.configuration.scripts] == ["chk_OpenShift_IPFailover"]
    assert 'script "true"' in made.pod.text
    checked = PodSource({**ENVIRONMENT, "OPENSHIFT_HA_MONITOR_PORT": "80"})
    assert checked.load().configuration == checked.pod.configuration
    assert checked.pod.configuration.instances[0].track_scripts


def test_an_interface_without_an_address_is_given_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    One that was waited for: its address may come later than itself, and if none comes it serves all the same.

    Where nothing can be run then, it is tried again; so it is when the kernel did not tell what is there.
    """
    for name in ("LOOK_S", "ADDRESS_S", "AGAIN_S"):
        monkeypatch.setattr(source, name, 0.01)
    looks: list[NodeFacts | KernelError] = [NodeFacts(), KernelError("list", "links", 4), NodeFacts("", {"eth0": ()})]
    attempts = [False, True]

    def look(_: object) -> NodeFacts:
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(found, KernelError):
            raise found
        return found

    monkeypatch.setattr(source, "facts", look)
    made, lines = begun({})

    async def scene() -> None:
        over = asyncio.Event()

        async def reload() -> bool:
            made.again(lines)
            served = attempts.pop(0)
            if served:
                over.set()
            return served

        attending = asyncio.create_task(made.attend(reload))
        async with asyncio.timeout(30):
            await over.wait()
        assert made.pod.interface == "eth0"
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)

    asyncio.run(scene())
    assert lines.texts[-1].startswith("Interface eth0 (OPENSHIFT_HA_NETWORK_INTERFACE), node address unknown: 1")


def test_news_do_not_bring_attempts_about_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be run on the interface, every pod that comes or goes on the node makes news."""
    readable, writable = os.pipe()
    os.write(writable, b"news")

    class Chatter:
        """A monitor that always has some."""

        def __init__(self, *, marks: bool) -> None:
            assert marks

        def fileno(self) -> int:
            return readable

        def receive(self) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(client, "Monitor", Chatter)
    monkeypatch.setattr(source, "LOOK_S", 0.1)
    monkeypatch.setattr(source, "facts", lambda _: NodeFacts())
    made, lines = begun({})
    monkeypatch.setattr(source, "facts", lambda _: NODE)
    attempts: list[float] = []

    async def scene() -> None:
        enough = asyncio.Event()

        async def reload() -> bool:
            made.again(lines)
            attempts.append(asyncio.get_running_loop().time())
            if len(attempts) == 4:
                enough.set()
            return False

        attending = asyncio.create_task(made.attend(reload))
        async with asyncio.timeout(30):
            await enough.wait()
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)

    try:
        asyncio.run(scene())
    finally:
        os.close(readable)
        os.close(writable)
    assert attempts[3] - attempts[0] > 0.25


def test_hangup() -> None:
    assert PodSource({}).hangup_ends
    assert begun({})[0].hangup_ends
    assert not begun({"PYVRRP_HUP": "reload"})[0].hangup_ends


def test_draws() -> None:
    """From 0 to 31, each once for a group, and not always the same."""
    draws = Draws()
    found = [draws(group) for group in range(1000)]
    assert set(found) == set(range(32))
    assert found == [draws(group) for group in range(1000)]
    assert found != [Draws()(group) for group in range(1000)]


def test_the_old_variable_for_the_file(tmp_path: Path, node: Path) -> None:
    """Followed where the old image is followed to the letter, and only there."""
    elsewhere = {"KEEPALIVED_CONFIG": str(tmp_path / "elsewhere")}
    begun(elsewhere)
    assert node.exists()
    assert not (tmp_path / "elsewhere").exists()
    node.unlink()
    begun({**elsewhere, "PYVRRP_COMPAT": "exact"})
    assert (tmp_path / "elsewhere").exists()
    assert not node.exists()


def test_the_firewall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by either variable; what was added is said, and a refusal is one warning."""
    answers: list[tuple[str, ...]] = [("a rule",), ()]

    def allow() -> tuple[str, ...]:
        if not answers:
            raise KernelError("change", "nftables", 1)
        return answers.pop(0)

    monkeypatch.setattr(firewall, "allow_vrrp", allow)
    begun({})
    assert len(answers) == 2
    assert begun({"OPENSHIFT_HA_NFTABLES_RULE": "x"})[1].texts[-1] == "Firewall: a rule"
    assert not begun({"OPENSHIFT_HA_IPTABLES_CHAIN": "INPUT"})[1].has("irewall")
    _, lines = begun({"OPENSHIFT_HA_NFTABLES_RULE": "x"}, levels=True)
    assert lines.of("warning")[-1].startswith(
        "WARNING: the firewall rule that lets VRRP in is not there: cannot change"
    )


def test_octets_that_are_no_text(node: Path) -> None:
    """They are written as they came."""
    begun({"OPENSHIFT_HA_NOTIFY_SCRIPT": "/a/\udcff", "PYVRRP_COMPAT": "exact"})
    assert b'notify "/a/\xff"' in node.read_bytes()


def test_a_file_that_is_mounted_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be replaced, so it is written over."""

    def refuse(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    file = tmp_path / "keepalived.conf"
    file.write_text("something that is longer than what comes")
    monkeypatch.setattr(os, "replace", refuse)
    assert write_configuration(str(file), "short") == ""
    assert file.read_text() == "short"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "directory"])
def test_nothing_but_a_plain_file_is_written_over(tmp_path: Path, kind: str) -> None:
    """Whoever may write to the directory can hinder us; he shall not have us write elsewhere, or wait for ever."""
    other, place = tmp_path / "other", tmp_path / "etc"
    other.write_text("somebody's")
    place.mkdir()
    file = place / "keepalived.conf"
    (place / f"keepalived.conf.{os.getpid()}").mkdir()  # where the new one would be written
    match kind:
        case "link":
            file.symlink_to(other)
        case "hard link":
            file.hardlink_to(other)
        case "pipe":
            os.mkfifo(file)
        case _:
            file.mkdir()
    assert write_configuration(str(file), "text") == f"{file} cannot be written: Is a directory"
    assert other.read_text() == "somebody's"


def test_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says why; nothing is left behind."""
    (tmp_path / "etc").touch()
    trouble = write_configuration(str(tmp_path / "etc" / "keepalived.conf"), "text")
    assert trouble == f"{tmp_path}/etc/keepalived.conf cannot be written: File exists"
    monkeypatch.setattr(source, "PATH", str(tmp_path / "etc" / "keepalived.conf"))
    _, lines = begun({}, levels=True)
    assert lines.of("warning")[-1] == f"WARNING: {trouble}; the pod serves all the same"


def test_what_a_killed_predecessor_left_is_no_hindrance(tmp_path: Path) -> None:
    """The first process has always the same number, so its file aside has always the same name."""
    (tmp_path / f"file.{os.getpid()}").write_text("half of")
    assert write_configuration(str(tmp_path / "file"), "text") == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
