"""
Scenarios as text: commands above the dashes, below them all that happened, in virtual time over the LAN in memory.

Each `*.txt` beside this file is run and compared whole. To accept a change, run with `PYVRRP_REWRITE_TRACES=1` and read
the diff. Commands, one a line:

    routers a=200 b=100 interval=1s [version=2|3] [family=4|6] [delay=2ms] [preempt=no] [preempt_delay=5s] [state=...]
        hosts and what they are configured to; `b.nopreempt` style options are `NAME.OPTION=VALUE`
    startup NAME...|all        start the engine of a host
    shutdown NAME              end it in order, at once
    drain NAME                 end it in order, make before break
    kill NAME                  power off: programs gone, cable dead
    cut NAME / mend NAME       pull the cable at the switch / plug it in
    link NAME up|down          the host's own interface
    freeze NAME / thaw NAME    stop its programs / let them run on
    priority NAME N            its trackers' weights give another effective priority
    fault NAME CAUSE / clear NAME CAUSE
    delete NAME                somebody removes the virtual address
    run until=SECONDS          let time pass
"""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from pathlib import Path

import pytest

from pyvrrp.engine.commands import ClearFault, Configure, RaiseFault, SetPriority, Stop
from pyvrrp.engine.loop import Engine
from pyvrrp.engine.reports import Entered, Remarked, Report
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.net.simulated import World
from pyvrrp.net.system import Datagram, ReceivePath, VirtualAddress
from pyvrrp.protocol.actions import Note
from pyvrrp.protocol.advertisement import decode
from pyvrrp.protocol.constants import Family
from pyvrrp.protocol.settings import AnnouncementSettings, RouterSettings

OFF, SPLIT, EBPF = ReceivePath.OFF, ReceivePath.SPLIT, ReceivePath.EBPF
HERE = Path(__file__).parent
TRACES = sorted(HERE.glob("*.txt"))
VIPS = {Family.V4: "192.0.2.100/24", Family.V6: "fe80::100/64"}
SOURCES = {Family.V4: "192.0.2.{}/24", Family.V6: "fe80::{}/64"}


def microseconds(text: str) -> int:
    """`1s`, `100ms`, `2.5` (seconds)."""
    if text.endswith("ms"):
        return round(float(text[:-2]) * 1_000)
    return round(float(text.removesuffix("s")) * 1_000_000)


class Teller:
    """Runs a scenario and tells it, one line for each host and moment."""

    def __init__(self, path: ReceivePath, *, packets: bool) -> None:
        self.packets = packets
        self.world = World(path=path)
        self.engines: dict[str, Engine] = {}
        self.settings: dict[str, InstanceSettings] = {}
        self.names: dict[object, str] = {}
        self.lines: list[str] = []
        self._said: list[str] = []
        self._read = 0

    # Commands

    def routers(self, words: list[str]) -> None:
        options = dict(word.split("=", 1) for word in words)
        common = {key: options.pop(key) for key in list(options) if not options[key].isdigit() or key in KEYS}
        version, family = int(common.get("version", "3")), Family(int(common.get("family", "4")))
        self.world.delay_us = microseconds(common.get("delay", "0"))
        for number, (name, priority) in enumerate(options.items(), start=1):
            own = {key.split(".", 1)[1]: value for key, value in common.items() if key.startswith(f"{name}.")}
            chosen = common | own
            system = self.world.host(name)
            address = ip_interface(SOURCES[family].format(number))
            assert isinstance(address, IPv4Interface | IPv6Interface)
            system.add_link("eth0", address)
            self.names[address.ip] = name
            assert version in {2, 3}
            router = RouterSettings(
                vrid=51,
                family=family,
                version=2 if version == 2 else 3,
                priority=int(priority),
                advertisement_interval_us=microseconds(chosen.get("interval", "1s")),
                preempt=chosen.get("preempt", "yes") == "yes",
                preempt_delay_us=microseconds(chosen.get("preempt_delay", "0")),
            )
            self.settings[name] = InstanceSettings(
                name="VI_1",
                interface="eth0",
                router=router,
                vips=(VirtualAddress("eth0", ip_interface(VIPS[family])),),
                announcements=AnnouncementSettings(repeat=1, delay_us=0, lower_repeat=1, lower_delay_us=0),
            )

    def startup(self, words: list[str]) -> None:
        for name in self.settings if words == ["all"] else words:
            system = self.world.hosts[name]
            engine = self.engines[name] = Engine(system, self._hear())
            engine.command(Configure((self.settings[name],)))
            self.world.attach(name, Told(engine, name, self))

    def shutdown(self, words: list[str]) -> None:
        self._command(words[0], Stop())

    def drain(self, words: list[str]) -> None:
        self._command(words[0], Stop(handover=True))

    def kill(self, words: list[str]) -> None:
        self.world.kill(words[0])
        self.engines.pop(words[0]).close()

    def cut(self, words: list[str]) -> None:
        self.world.cut(words[0])

    def mend(self, words: list[str]) -> None:
        self.world.mend(words[0])

    def link(self, words: list[str]) -> None:
        self.world.hosts[words[0]].set_link("eth0", up=words[1] == "up")

    def freeze(self, words: list[str]) -> None:
        self.world.freeze(words[0])

    def thaw(self, words: list[str]) -> None:
        self.world.thaw(words[0])

    def priority(self, words: list[str]) -> None:
        self._command(words[0], SetPriority("VI_1", int(words[1])))

    def fault(self, words: list[str]) -> None:
        self._command(words[0], RaiseFault("VI_1", words[1], f"{words[1]} failed"))

    def clear(self, words: list[str]) -> None:
        self._command(words[0], ClearFault("VI_1", words[1]))

    def delete(self, words: list[str]) -> None:
        vip = self.settings[words[0]].vips[0]
        self.world.hosts[words[0]].delete_address("eth0", vip.address)

    def run(self, words: list[str]) -> None:
        self.world.run(microseconds(words[0].removeprefix("until=")))

    # What is told

    def step(self, name: str, engine: Engine) -> int | None:
        heard = [
            f"hears priority {message.priority} from {self.names[datagram.header.source]}"
            for sock in self.world.hosts[name].sockets
            for _, datagram in sock.queue
            for message in [decode(datagram.payload, datagram.header)]
        ]
        self._said = []
        self._read = len(self.world.journal)
        before_us = engine.next_router_deadline_us
        wake_us = engine.step()
        clauses = self._said + self._did(name)
        after_us = engine.next_router_deadline_us
        if self.packets:
            clauses = heard + clauses
            if after_us is not None and after_us != before_us:
                clauses.append(f"wakes at {after_us / 1e6:.3f}")
        if clauses:
            self.lines.append(f"{self.world.now_us / 1e6:.3f} {name} {', '.join(clauses)}")
        return wake_us

    def _did(self, name: str) -> list[str]:
        clauses = []
        announced = 0
        for entry in self.world.journal[self._read :]:
            if entry.host != name:
                continue
            if entry.verb == "sends":
                assert isinstance(entry.subject, Datagram)
                message = decode(entry.subject.payload, entry.subject.header)
                clauses.append(f"sends priority {message.priority}")
            elif entry.verb == "announces":
                announced += 1
            else:
                assert isinstance(entry.subject, tuple)
                clauses.append(f"{entry.verb} {' '.join(str(a) for a in entry.subject)}")
        if announced:
            clauses.append("announces" if announced == 1 else f"announces {announced} times")
        return clauses

    def _hear(self) -> Callable[[Report], None]:
        def hear(report: Report) -> None:
            match report:
                case Entered(_, transition):
                    self._said.append(f"{transition.previous} -> {transition.state} ({self._known(transition.reason)})")
                case Remarked(_, remark) if remark.note in REMARKS:
                    self._said.append(REMARKS[remark.note].format((remark.value_us or 0) / 1e6))

        return hear

    def _known(self, text: str) -> str:
        for address, name in self.names.items():
            text = text.replace(f"{address} ", f"{name} ")
        return text

    def _command(self, name: str, command: SetPriority | RaiseFault | ClearFault | Stop) -> None:
        self.engines[name].command(command)
        self.world.wake(self.world.hosts[name])


class Told:
    """An engine whose steps are told."""

    def __init__(self, engine: Engine, name: str, teller: Teller) -> None:
        self.engine, self.name, self.teller = engine, name, teller

    def step(self) -> int | None:
        return self.teller.step(self.name, self.engine)


KEYS = {"version", "family"}
REMARKS = {
    Note.PREEMPT_DELAY_STARTED: "starts preempt delay {:.3f}",
    Note.PREEMPT_DELAY_STOPPED: "stops preempt delay",
    Note.INTERVAL_LEARNED: "learns interval {:.3f}",
    Note.OVERSLEPT: "overslept {:.3f}",
    Note.HANDOVER: "hands over within {:.3f}",
}


def tell(script: str, path: ReceivePath = ReceivePath.OFF, *, packets: bool = True) -> str:
    """
    Run a scenario.

    Args:
        script: Its commands.
        path: How packets are received.
        packets: Tell each packet that is heard, and what it did to the timer, too.
    """
    teller = Teller(path, packets=packets)
    for line in script.splitlines():
        command, *words = line.split("#")[0].split() or [""]
        if command:
            getattr(teller, command)(words)
    return "\n".join(teller.lines) + "\n"


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_trace(path: Path) -> None:
    script, _, expected = path.read_text(encoding="utf-8").partition("----\n")
    told = tell(script)
    if os.environ.get("PYVRRP_REWRITE_TRACES"):
        path.write_text(f"{script}----\n{told}", encoding="utf-8")
    else:
        assert told == expected


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_the_same_happens_on_all_receive_paths(path: Path) -> None:
    script = path.read_text(encoding="utf-8").partition("----\n")[0]
    off, split, ebpf = (tell(script, one, packets=False) for one in (OFF, SPLIT, EBPF))
    assert off == split
    assert off == ebpf


def test_a_run_repeats_itself() -> None:
    script = TRACES[0].read_text(encoding="utf-8").partition("----\n")[0]
    assert tell(script) == tell(script)


def test_there_are_traces() -> None:
    assert len(TRACES) >= 15
