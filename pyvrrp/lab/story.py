"""
Three routers and a client, the death of a MASTER, and what the client noticed of it.

What is printed is measured: who is MASTER comes from captured advertisements, who serves the address from the MAC
address in the answers, times from the kernel's stamps. What the RFC says stands beside it, computed.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyvrrp.errors import VrrpError
from pyvrrp.lab.capture import Capture, Sent
from pyvrrp.lab.console import Console, seconds
from pyvrrp.lab.holder import ENDING_SIGNALS, Holder, hold
from pyvrrp.lab.kept import Record
from pyvrrp.lab.options import CLIENT, Command, LabOptions
from pyvrrp.lab.probe import INTERVAL_US, Answer, Probe, now_us
from pyvrrp.lab.topology import DAEMONS, INTERFACE, ROUTERS, VERSION, Network, Plan, Router
from pyvrrp.protocol.constants import US_PER_CS, US_PER_S, Family

_START_LIMIT_US: Final = 10 * US_PER_S  # a cold Python on a slow machine
_SWITCH_LIMIT_US: Final = 5 * US_PER_S
_PROGRESS_US: Final = 100_000
_LOOK_US: Final = 10_000
_EXIT_LIMIT_US: Final = 10 * US_PER_S


class Watch:
    """Everything seen on the switch and by the client, taken in by one loop."""

    def __init__(self, network: Network, console: Console) -> None:
        self.network = network
        self.console = console
        self.probe: Probe | None = None
        self.last: dict[str, Sent] = {}
        self.master: str | None = None
        self.master_since_us = 0
        self.in_a_row = 0
        self.left_us: dict[str, int] = {}
        self.ending: set[str] = set()
        self._capture = Capture()

    def close(self) -> None:
        """Stop to watch and to probe."""
        self._capture.close()
        if self.probe:
            self.probe.close()

    def start_probe(self) -> Probe:
        """Let the client ask for the virtual address from now on."""
        with self.network.node(CLIENT).network():
            self.probe = Probe(self.network.plan.vip, INTERFACE)
        return self.probe

    def pump(self, limit_us: int) -> None:
        """Wait for something to happen, *limit_us* at most, and take it in."""
        sources: list[Any] = [self._capture, *(node for node in self.network.holder.nodes.values() if node.alive)]
        if self.probe:
            sources.append(self.probe)
            self.probe.send_due(now_us())
            limit_us = min(limit_us, self.probe.next_us - now_us())
        readable, _, _ = select.select(sources, [], [], max(0, limit_us) / US_PER_S)
        for source in readable:
            if source is self._capture:
                for seen in self._capture.receive([router.name for router in ROUTERS]):
                    if isinstance(seen, Sent):
                        self._heard(seen)
            elif source is self.probe:
                self.probe.receive()
            else:
                source.poll()

    def _heard(self, sent: Sent) -> None:
        if sent.advertisement.priority == 0:
            self.left_us[sent.router] = sent.at_us
            return
        self.last[sent.router] = sent
        if sent.router == self.master:
            self.in_a_row += 1
        else:
            self.master, self.master_since_us, self.in_a_row = sent.router, sent.at_us, 1

    def wait(self, condition: Callable[[], bool], limit_us: int, what: str, every_us: int = _PROGRESS_US) -> None:
        """
        Pump until *condition* holds; look at it when something happened, and *every_us* in any case.

        Raises:
            VrrpError: It did not within *limit_us*, or a daemon ended that nobody had told to.
        """
        start = now_us()
        shown = 0
        while not condition():
            now = now_us()
            if now - start > limit_us:
                raise VrrpError(f"waited {seconds(limit_us)} for {what} in vain{self._logs()}")
            if now - shown > _PROGRESS_US:
                shown = now
                self.console.progress(f"waiting for {what} ... {(now - start) / US_PER_S:.1f} s")
            self.pump(every_us)
            self._check_daemons()

    def sleep(self, us: int, what: str) -> None:
        """Watch for a while."""
        until = now_us() + us
        self.wait(lambda: now_us() >= until, us + US_PER_S, what)

    def _check_daemons(self) -> None:
        for router in ROUTERS:
            status = self.network.node(router.name).daemon_exit
            if status is not None and router.name not in self.ending:
                how = f"status {status}" if status >= 0 else signal.Signals(-status).name
                log = self.network.log_of(router) or "    (nothing)"
                raise VrrpError(f"the daemon of {router.name} ended with {how}; the last it said:\n{log}")

    def _logs(self) -> str:
        logs = {router.name: self.network.log_of(router, 4) for router in ROUTERS}
        return "".join(f"\n  {name} said last:\n{log or '    (nothing)'}" for name, log in logs.items())


# --- what happens


@dataclass
class Story:
    """One run: an election, a power cut, an orderly stop."""

    options: LabOptions
    network: Network
    watch: Watch
    console: Console
    result: dict[str, Any]

    def __post_init__(self) -> None:
        self.plan = self.network.plan
        self.alive = list(ROUTERS)
        self.listening_us: dict[str, int] = {}
        self.interval_us = self.plan.advertisement_interval_us

    def tell(self) -> None:
        """From the first election to the end of the second MASTER."""
        self.elect()
        master = self.the_master()
        self.watch.sleep(self.interval_us // 2, f"the middle of {master.name}'s interval")
        successor = self.cut(master)
        self.watch.sleep(self.interval_us // 2, f"the middle of {successor.name}'s interval")
        self.stop(successor)

    # election

    def elect(self) -> None:
        """Start the daemons and wait until the best of them is the only MASTER, heard twice and answering."""
        plan, console = self.plan, self.console
        started_us = now_us()
        for router in ROUTERS:
            self.network.start(router, command_of(self.options, router))
        best = ROUTERS[0]
        console.event(
            f"{self._who_runs_what()}; once up, all listen for a MASTER,"
            f" {best.name} for {seconds(plan.master_down_interval_us(best))}"
        )
        limit_us = plan.master_down_interval_us(ROUTERS[-1]) + _START_LIMIT_US
        self.watch.wait(self._all_listen, limit_us, "all daemons to be up", every_us=_LOOK_US)
        up_us = now_us()
        self.watch.wait(lambda: self.watch.master is not None, limit_us, "the first advertisement")
        self.watch.start_probe()
        # A router that heard nothing yet would count from its start, not from the last advertisement.
        self.watch.wait(lambda: self._heard_since(best, up_us), limit_us, f"all to hear {best.name}")
        self.settle(best, limit_us)
        console.event(self._is_master(best))
        self.table()
        self.result["election"] = {"master": best.name, "after_s": (self.watch.master_since_us - started_us) / US_PER_S}

    def _all_listen(self) -> bool:
        for router in ROUTERS:
            if router.name not in self.listening_us and self.network.listens(router):
                self.listening_us[router.name] = now_us()
        return len(self.listening_us) == len(ROUTERS)

    def _heard_since(self, router: Router, since_us: int) -> bool:
        sent = self.watch.last.get(router.name)
        return sent is not None and sent.at_us > since_us

    def _who_runs_what(self) -> str:
        programs: dict[str, list[str]] = {}
        for router in ROUTERS:
            programs.setdefault(self.options.daemon_of(router.name), []).append(router.name)
        return ", ".join(f"{listed(names)} {'run' if names[1:] else 'runs'} {what}" for what, names in programs.items())

    def settle(self, expected: Router, limit_us: int) -> None:
        """Wait until *expected* alone advertises, answers, and is whom the client believes to have the address."""

        def settled() -> bool:
            answers = self.watch.probe.answers if self.watch.probe else []
            return (
                self.watch.master == expected.name
                and self.watch.in_a_row >= 2
                and bool(answers)
                and answers[-1].source == expected.hardware_address
            )

        self.watch.wait(settled, limit_us, f"{expected.name} to be the only MASTER")
        neighbour = self.network.client_neighbour()
        if neighbour != expected.hardware_address:
            raise VrrpError(f"the client sends to {neighbour and neighbour.hex(':')}, which is not {expected.name}")

    def table(self) -> None:
        """Who is what."""
        plan, console = self.plan, self.console
        width = max(len(str(plan.address(router).ip)) for router in ROUTERS)
        console.row()
        console.row(console.paint(f"router  {'address':{width}}  priority  state   since", "bold"))
        origin_s = console.elapsed_s() - now_us() / US_PER_S
        for router in ROUTERS:
            state = "MASTER" if router.name == self.watch.master else "BACKUP"
            since_us = self.watch.master_since_us if state == "MASTER" else self.listening_us[router.name]
            heard = self.watch.last.get(router.name)
            priority = heard.advertisement.priority if heard else router.priority
            console.row(
                f"{router.name:6}  {plan.address(router).ip!s:{width}}  {priority:8}  {console.paint(state, state)}"
                f"  {origin_s + since_us / US_PER_S:.1f} s"
            )
        console.row()

    def the_master(self) -> Router:
        """Who advertises now."""
        return next(router for router in ROUTERS if router.name == self.watch.master)

    # power cut

    def cut(self, victim: Router) -> Router:
        """Cut the power of *victim* and wait for the next; the answer is who that is."""
        plan, console, watch = self.plan, self.console, self.watch
        watch.ending.add(victim.name)
        console.event(f"{victim.name} loses its power: {console.paint('cable pulled, every process killed', 'dead')}")
        self.network.cut_power(victim)
        cut_us = now_us()
        self.alive.remove(victim)
        taker, answer = self._next_owner(victim, cut_us)
        outage = self._probe().outage(answer)
        last_us = watch.last[victim.name].at_us
        silence_us = answer.received_us - last_us
        down_us = plan.master_down_interval_us(taker)
        off_us = silence_us - down_us
        off = f"{abs(off_us) / 1000:.1f} ms {'less' if off_us > 0 else 'more'}"
        formula = f"3 x {self._interval()} + {256 - taker.priority}/256 x {self._interval()}"
        self._figures(
            (silence_us, f"from the last advertisement of {victim.name} to the first answer of {taker.name}"),
            (down_us, f"is {taker.name}'s Master_Down_Interval, {formula}: {off}"),
            (
                outage.length_us,
                f"the client had no answer; the cut fell {seconds(cut_us - last_us)} after the last advertisement",
            ),
        )
        self.result["power_cut"] = {
            "router": victim.name,
            "successor": taker.name,
            "cut_after_advertisement_s": (cut_us - last_us) / US_PER_S,
            "last_advertisement_to_first_answer_s": silence_us / US_PER_S,
            "master_down_interval_s": down_us / US_PER_S,
            "client_outage_s": outage.length_us / US_PER_S,
            "lost_probes": outage.lost,
        }
        return self.the_master()

    # orderly stop

    def stop(self, leaving: Router) -> None:
        """Tell the MASTER to end and wait for the next."""
        plan, console, watch = self.plan, self.console, self.watch
        watch.ending.add(leaving.name)
        console.event(f"{leaving.name} is {console.paint('told to stop', 'stopped')} (SIGTERM)")
        told_us = now_us()
        node = self.network.node(leaving.name)
        node.stop()
        self.alive.remove(leaving)
        taker, answer = self._next_owner(leaving, told_us)
        watch.wait(lambda: node.daemon_exit is not None, _EXIT_LIMIT_US, f"the daemon of {leaving.name} to end")
        outage = self._probe().outage(answer)
        skew_us = plan.skew_time_us(taker)
        left_us = watch.left_us.get(leaving.name)
        formula = f"{256 - taker.priority}/256 x {self._interval()}"
        handed_over = f"no probe of the client was lost: {leaving.name} served on until {taker.name} did"
        self._figures(
            (answer.received_us - told_us, f"from SIGTERM to the first answer of {taker.name}"),
            (skew_us, f"is {taker.name}'s Skew_Time, {formula}: its wait after a goodbye (priority 0)"),
            (outage.length_us, f"the client had no answer; {outage.lost} probes lost" if outage.lost else handed_over),
        )
        self.result["graceful_stop"] = {
            "router": leaving.name,
            "successor": taker.name,
            "priority_zero_after_s": None if left_us is None else (left_us - told_us) / US_PER_S,
            "sigterm_to_first_answer_s": (answer.received_us - told_us) / US_PER_S,
            "skew_time_s": skew_us / US_PER_S,
            "client_outage_s": outage.length_us / US_PER_S,
            "lost_probes": outage.lost,
            "exit_status": node.daemon_exit,
        }

    def _probe(self) -> Probe:
        assert self.watch.probe is not None
        return self.watch.probe

    def _next_owner(self, before: Router, since_us: int) -> tuple[Router, Answer]:
        """
        Wait until the best router that is left is the only MASTER.

        Returns:
            Who answered first after *before*, and that answer. On a starved machine it need not be the best.
        """
        expected = self.alive[0]
        probe, found = self._probe(), list[Answer]()
        limit_us = self.plan.master_down_interval_us(self.alive[-1]) + _SWITCH_LIMIT_US

        def answered() -> bool:
            answer = probe.first_by_other(before.hardware_address, since_us)
            if answer:
                found.append(answer)
            return bool(found)

        self.watch.wait(answered, limit_us, f"{expected.name} to take over")
        taker = next(router for router in ROUTERS if router.hardware_address == found[0].source)
        self.console.event(self._is_master(taker))
        self.settle(expected, limit_us)
        if taker != expected:
            self.console.event(f"{self._is_master(expected)}: {taker.name} was early, and gave way to the better one")
        return taker, found[0]

    def _is_master(self, router: Router) -> str:
        return f"{router.name} is {self.console.paint('MASTER', 'MASTER')} and answers the client"

    def _interval(self) -> str:
        return f"{self.interval_us / US_PER_S:g} s"

    def _figures(self, *figures: tuple[int, str]) -> None:
        self.console.row()
        for value_us, meaning in figures:
            self.console.row(f"{self.console.paint(f'{seconds(value_us):>9}', 'bold')}  {meaning}")
        self.console.row()


def listed(names: Sequence[str]) -> str:
    """`r1, r2 and r3`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# --- one run


def command_of(options: LabOptions, router: Router) -> Command:
    """Command line of the program that *router* runs."""
    return options.commands.get(router.name) or DAEMONS[options.daemon_of(router.name)]


def run(options: LabOptions) -> int:
    """
    Run the lab.

    Returns:
        Exit status: 0, 1 after a complaint on standard error, 128 + signal if interrupted.
    """
    console = Console(sys.stderr if options.json else sys.stdout, time.monotonic())
    plan = Plan(Family(options.family), round(options.advert_int * 100) * US_PER_CS)
    for router in ROUTERS:
        command_of(options, router)(router.name, Path("/"))  # a missing program is said before anything is built
    if options.keep:
        status = _keep(plan, options, console)
    else:
        status = hold(lambda holder: _run(holder, plan, options, console))
        if status == 0:
            console.event("all is gone: no process, namespace or file is left")
    if status - 128 in ENDING_SIGNALS:
        with contextlib.suppress(OSError):
            print("\r\033[K" * sys.stderr.isatty() + "interrupted; all is gone", file=sys.stderr)
    return status


def _keep(plan: Plan, options: LabOptions, console: Console) -> int:
    record = Record.create()
    released = False
    try:
        status = hold(lambda holder: _run(holder, plan, options, console), record.descriptor)
        released = status == 0
    finally:
        if released:
            record.leave()
        else:
            record.remove()
    return status


def _run(holder: Holder, plan: Plan, options: LabOptions, console: Console) -> int:
    """What the holder does."""
    interval_s = plan.advertisement_interval_us / US_PER_S
    network = Network(holder, plan)
    console.event(
        f"{listed([router.name for router in ROUTERS] + ['a client'])} on one switch; virtual address {plan.vip},"
        f" VRRPv{VERSION}, {interval_s:g} s"
    )
    result: dict[str, Any] = {
        "family": int(plan.family),
        "version": VERSION,
        "advertisement_interval_s": interval_s,
        "virtual_address": str(plan.vip),
        "probe_interval_s": INTERVAL_US / US_PER_S,
        "routers": [
            {
                "name": router.name,
                "address": str(plan.address(router).ip),
                "priority": router.priority,
                "daemon": options.daemon_of(router.name),
            }
            for router in ROUTERS
        ],
    }
    watch = Watch(network, console)
    try:
        story = Story(options, network, watch, console, result)
        if options.keep:
            story.elect()
        else:
            story.tell()
    finally:
        console.clear()
        watch.close()
    result["duration_s"] = round(console.elapsed_s(), 3)
    if options.json:
        print(json.dumps(result, indent=2))
    if not options.keep:
        return 0
    _say_how_to_play(console, holder.home)
    holder.release(
        {"interval_us": plan.advertisement_interval_us, "home": str(holder.home), "family": int(plan.family)}
    )
    return holder.rest()


def _say_how_to_play(console: Console, home: Path) -> None:
    console.event("the lab runs on; try")
    for command, meaning in (
        ("pyvrrp lab status", "who is MASTER"),
        ("pyvrrp lab cut r1", "pull the cable of r1; `mend r1` plugs it in again"),
        (f"pyvrrp lab exec r1 -- cat {home}/daemon.log", "run a command in a router, in the client or at the switch"),
        ("pyvrrp lab stop", "end it"),
    ):
        console.row(f"{command:43}  {console.paint(meaning, 'dim')}")
