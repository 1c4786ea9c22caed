"""
Half an hour of everything at once: does anything false happen, and does anything grow?

    python -m bench.soak                      30 minutes; needs root; not part of `python -m bench`
    python -m bench.soak --minutes 2 --json soak.json

A master and a backup, 255 routers at 100 ms, with check scripts (one of which changes its mind every ten seconds), a
port check and notify scripts. Every 30 s both reload: a priority changes, or an address comes or goes, or one router
(and only that one) is to change its master. Every second both are asked for their status. Ends with 1 if the backup of
any other router ever advertised, a process ended or grew, a reload had no effect or a question no answer.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.checks import PORT, Listener
from bench.daemons import Daemon, Plan, Program, Setting, percentile, wait
from bench.harness import about, arguments, prepared, say
from bench.lan import PREFIX_V4, Lan, Ring
from bench.watch import Series, Wire, sample

NODES: Final = {"r1": 200, "r2": 100}
"""Their priorities; r1 is the master."""

CHANGED, MOVED, SWITCHED = 128, 64, 255
"""The routers whose priority, address and master are changed by reloads."""

JUDGED_S: Final = 600.0
"""A shorter run says nothing about growth: each kind of reload has to have been several times."""

SCRIPTS: Final = 4
FLIP_WEIGHT: Final = -2
SAMPLE_S: Final = 5.0
EFFECT_S: Final = 5.0
"""A reload that shows no effect after so long has failed."""

_CHECK: Final = "#!/bin/sh\nexit 0\n"
_FLIP: Final = "#!/bin/sh\ntest $(( $(date +%s) / 10 % 2 )) -eq 0\n"
_NOTIFY: Final = '#!/bin/sh\necho "$@" >>"{log}"\n'


@dataclass
class Wanted:
    """What the files say now."""

    changed: int = 200
    moved: bool = False
    switched: int = 200

    def next(self, number: int) -> str:
        """Change one thing; which is said."""
        match number % 3:
            case 0:
                self.changed = 210 if self.changed != 210 else 220
                return "priority"
            case 1:
                self.moved = not self.moved
                return "address"
            case _:
                self.switched = 50 if self.switched == 200 else 200
                return "master"


@dataclass
class Soak:
    """One run."""

    setting: Setting
    directory: Path
    plan: Plan
    reload_s: float
    wanted: Wanted = field(default_factory=Wanted)
    faults: list[str] = field(default_factory=list)
    status_ms: list[float] = field(default_factory=list)
    reloads: dict[str, int] = field(default_factory=dict)
    series: dict[tuple[str, int], Series] = field(default_factory=dict)
    ran_s: float = 0.0
    notified: dict[str, int] = field(default_factory=dict)
    cpu_s: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wire = Wire(self.plan.interval_us, SWITCHED)

    def fault(self, text: str) -> None:
        say(f"  {self.ran_s:7.1f} s  FALSE: {text}")
        self.faults.append(f"{self.ran_s:.1f} s: {text}")

    # Files

    def scripts(self) -> None:
        for name, text in (
            ("check", _CHECK),
            ("flip", _FLIP),
            *((f"notify-{node}", _NOTIFY.format(log=self.log(node))) for node in NODES),
        ):
            path = self.directory / name
            path.write_text(text)
            path.chmod(0o755)

    def log(self, node: str) -> Path:
        return self.directory / f"notified-{node}"

    def configuration(self, node: str) -> str:
        checks = [f"c{number}" for number in range(SCRIPTS)]
        blocks = [f'vrrp_script {name} {{\n    script "{self.directory}/check"\n    interval 1\n}}' for name in checks]
        flip = f'vrrp_script flip {{\n    script "{self.directory}/flip"\n    interval 1\n    weight {FLIP_WEIGHT}\n}}'
        port = f"vrrp_script port {{\n    tcp_check {PORT} 127.0.0.1\n    interval 1\n}}"
        tracked = "\n".join([*checks, "flip", "port"])
        plan = Plan(
            self.plan.routers,
            self.plan.interval_us,
            NODES[node],
            head="    script_user root",
            body=f'    track_script {{\n{tracked}\n    }}\n    notify "{self.directory}/notify-{node}"',
        )
        special = {CHANGED: self.wanted.changed, SWITCHED: self.wanted.switched} if node == "r1" else {}
        text = plan.configuration(special)
        if self.wanted.moved:
            own = f"{plan.addresses(MOVED)[0]}/16"
            text = text.replace(f"{own}\n", f"{own}\n{self.extra}/16\n")
        glob, separator, instances = text.partition("vrrp_instance")
        return "\n".join([glob, *blocks, flip, port, ""]) + separator + instances

    @property
    def extra(self) -> str:
        """The address that comes and goes."""
        return f"{PREFIX_V4}.2.{MOVED}"

    # The run

    def run(self, minutes: float) -> None:
        self.scripts()
        with ExitStack() as stack:
            lan = stack.enter_context(Lan())
            rings = {node: stack.enter_context(Ring(lan, node, frames=1 << 17)) for node in NODES}
            daemons: dict[str, Daemon] = {}
            for node in NODES:
                stack.enter_context(Listener(lan, node))
                daemon = Daemon(self.setting, lan, node, Program.PYVRRP, self.configuration(node))
                daemons[node] = stack.enter_context(daemon).wait_joined()
                if node == "r1":
                    self._wait_for_all(rings[node])
            time.sleep(2)
            for ring in rings.values():
                ring.seen()
            try:
                self._watch(lan, rings, daemons, minutes * 60)
            except KeyboardInterrupt:
                say("  ended early")
            self._end(lan, daemons)

    def _wait_for_all(self, ring: Ring) -> None:
        speaking: set[int] = set()

        def all_speak() -> bool:
            speaking.update(item.vrid for item in ring.seen())
            return speaking.issuperset(self.plan.vrids)

        wait(all_speak, "the master advertises all routers", 30)

    def _watch(self, lan: Lan, rings: dict[str, Ring], daemons: dict[str, Daemon], seconds: float) -> None:
        start = time.monotonic()
        query_s = sample_s = 0.0
        reload_s, check_s, said_s = self.reload_s, None, 60.0
        what, number = "", 0
        while (now_s := time.monotonic() - start) < seconds:
            self.ran_s = now_s
            self._listen(rings)
            if now_s >= sample_s:
                sample_s += SAMPLE_S
                self._sample(daemons)
            if check_s is not None and now_s >= check_s:
                check_s = None
                self._see_effect(what, lan)
            if now_s >= reload_s and seconds - now_s > EFFECT_S:
                reload_s += self.reload_s
                check_s = now_s + EFFECT_S
                what = self._reload(number, daemons)
                number += 1
            if now_s >= query_s:
                query_s = max(query_s + 1, now_s)
                for node, daemon in daemons.items():
                    self._ask(node, daemon)
            if now_s >= said_s:
                said_s += 60
                late_ms = self.wire.histogram.percentile_us(0.99) / 1000
                say(
                    f"  {now_s / 60:5.1f} min  {self.wire.heard} advertisements, {self.wire.missed} missed, "
                    f"99 % within {late_ms:g} ms; {sum(self.reloads.values())} reloads; {len(self.faults)} false"
                )
            time.sleep(0.1)
        self.ran_s = time.monotonic() - start
        self._listen(rings)
        self._sample(daemons)

    def _listen(self, rings: dict[str, Ring]) -> None:
        before = self.wire.false_count
        self.wire.feed((node, item) for node, ring in rings.items() for item in ring.seen())
        if self.wire.false_count > before:
            new = self.wire.false_count - before
            self.fault(f"false failover: {new} advertisements of the backup, of router {self.wire.false[-1][1]} first")
        silent = self.wire.silent(time.time_ns() / 1e3)
        if silent:
            self.fault(f"{len(silent)} routers are silent, {silent[0]} is the first")

    def _sample(self, daemons: dict[str, Daemon]) -> None:
        for node, daemon in daemons.items():
            self.cpu_s.setdefault(node, []).append(daemon.cpu_s())
            for role, pid in {"control": daemon.process.pid, "engine": daemon.engine}.items():
                known = [other for name, other in self.series if name == f"{node} {role}"]
                if known and pid not in known:
                    self.fault(f"{node}: its {role} was started anew")
                entry = self.series.setdefault((f"{node} {role}", pid), Series(f"{node} {role}"))
                try:
                    entry.samples.append(sample(pid, self.ran_s))
                except OSError as error:
                    raise RuntimeError(
                        f"{node}: its {role} ended ({error}): {daemon.log.read_text(errors='replace')[-600:]}"
                    ) from error

    def _ask(self, node: str, daemon: Daemon) -> None:
        began = time.monotonic()
        try:
            done = subprocess.run(
                daemon.ask(), env=self.setting.environment, capture_output=True, text=True, check=True, timeout=10
            )
            told = json.loads(done.stdout)["instances"]
        except (subprocess.SubprocessError, ValueError, KeyError) as error:
            said = getattr(error, "stderr", None) or error
            self.fault(f"{node}: no status: {str(said).strip()}")
            return
        self.status_ms.append((time.monotonic() - began) * 1000)
        right = "MASTER" if node == "r1" else "BACKUP"
        wrong = [one["name"] for one in told if one["state"] != right and one["vrid"] != SWITCHED]
        if wrong or len(told) != self.plan.routers:
            self.fault(f"{node}: {len(told)} routers in its status, {len(wrong)} not {right}: {', '.join(wrong[:3])}")

    def _reload(self, number: int, daemons: dict[str, Daemon]) -> str:
        what = self.wanted.next(number)
        self.reloads[what] = self.reloads.get(what, 0) + 1
        for node, daemon in daemons.items():
            daemon.file.write_text(self.configuration(node))
        if what == "priority":
            new = self.wanted.changed
            self.wire.expect(CHANGED, (new, new + FLIP_WEIGHT), time.time_ns() / 1e3)
        for daemon in daemons.values():
            daemon.signal(signal.SIGHUP)
        return what

    def _see_effect(self, what: str, lan: Lan) -> None:
        """A reload has had time enough: is it true now what the files say?"""
        if self.wire.outstanding():
            self.fault(f"reload: priority {self.wanted.changed} did not reach the wire")
        there = self.extra in lan.hosts["r1"].ip("addr show dev eth0")
        if there != self.wanted.moved:
            self.fault(f"reload: {self.extra} is {'still' if there else 'not'} there")
        right = "r1" if self.wanted.switched > NODES["r2"] else "r2"
        if self.wire.speaker != right:
            self.fault(f"reload ({what}): router {SWITCHED} is advertised by {self.wire.speaker}, not by {right}")

    def _end(self, lan: Lan, daemons: dict[str, Daemon]) -> None:
        switches = self.reloads.get("master", 0)
        if self.wire.changes != switches:
            self.fault(f"router {SWITCHED} changed its master {self.wire.changes} times, {switches} were asked for")
        for node, daemon in reversed(daemons.items()):
            daemon.signal(signal.SIGTERM)
            try:
                code = daemon.process.wait(15)
            except subprocess.TimeoutExpired:
                self.fault(f"{node}: does not end")
                continue
            if code:
                self.fault(f"{node}: ended with {code}")
            if f"{PREFIX_V4}.1." in lan.hosts[node].ip("addr show dev eth0"):
                self.fault(f"{node}: left addresses behind")
            self.notified[node] = len(self.log(node).read_text().splitlines()) if self.log(node).exists() else 0
            # Each router says that it starts as BACKUP; r1's become MASTER; and so do those that switch, in turns.
            least = self.plan.routers * (2 if node == "r1" else 1) + switches
            if self.notified[node] < least:
                self.fault(f"{node}: {self.notified[node]} notify scripts ran, {least} were due")
        if self.ran_s >= JUDGED_S:
            for series in self.series.values():
                self.faults += series.leaks()
        else:
            say(f"  shorter than {JUDGED_S / 60:g} minutes: nothing is said of growth")


def report(soak: Soak, described: str) -> str:
    """For people."""
    wire, histogram = soak.wire, soak.wire.histogram
    reached, asked = soak.wire.reached_ms or [0.0], soak.status_ms or [0.0]
    shares = ", ".join(f"{share:.1%} ≤ {histogram.percentile_us(share) / 1000:g} ms" for share in (0.5, 0.99, 0.999))
    reloads = ", ".join(f"{count} of a {what}" for what, count in soak.reloads.items()) or "none"
    verdict = [f"  {fault}" for fault in soak.faults] or ["  nothing: every check held"]
    return "\n".join(
        [
            described,
            f"{soak.ran_s / 60:.1f} minutes, {soak.plan.routers} routers at {soak.plan.interval_us // 1000} ms",
            "",
            f"false failovers     {wire.false_count} advertisements of a backup that had nothing to say",
            f"advertisements      {wire.heard} heard, {wire.missed} missed",
            (
                f"reloads             {reloads}; priority on the wire after "
                f"{min(reached):.1f} / {statistics.median(reached):.1f} / {max(reached):.1f} ms (min / median / max)"
            ),
            (
                f"status              {len(soak.status_ms)} answers in {statistics.median(asked):.0f} ms, "
                f"99 % {percentile(asked, 0.99):.0f}, longest {max(asked):.0f} (a process each time)"
            ),
            "notify scripts      " + ", ".join(f"{node} {count}" for node, count in sorted(soak.notified.items())),
            "",
            f"lateness on the wire, |time between two - interval|: {shares}, worst {histogram.worst_us / 1000:.2f} ms",
            *histogram.lines(),
            "",
            "processes (first / last / max)",
            *(series.line() for series in soak.series.values()),
            *(
                f"  {node:<12} with its scripts CPU {share:.2f} % of a core"
                for node, share in cpu_percent(soak).items()
            ),
            "",
            "what was false",
            *verdict,
        ]
    )


def cpu_percent(soak: Soak) -> dict[str, float]:
    """Of a core, of each node's whole process tree, the scripts included."""
    return {node: 100 * (all_s[-1] - all_s[0]) / max(1e-9, soak.ran_s) for node, all_s in soak.cpu_s.items()}


def as_json(soak: Soak, described: str) -> dict[str, Any]:
    wire = soak.wire
    return {
        "about": described,
        "seconds": soak.ran_s,
        "routers": soak.plan.routers,
        "interval_us": soak.plan.interval_us,
        "faults": soak.faults,
        "false_failovers": wire.false_count,
        "false": wire.false,
        "advertisements": wire.heard,
        "missed": wire.missed,
        "lateness_us": {"counts": wire.histogram.counts, "worst": wire.histogram.worst_us},
        "reloads": soak.reloads,
        "reload_to_wire_ms": wire.reached_ms,
        "status_ms": soak.status_ms,
        "notified": soak.notified,
        "cpu_percent": cpu_percent(soak),
        "processes": [series.as_json() for series in soak.series.values()],
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser: argparse.ArgumentParser = arguments("A long run of everything at once.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (30)")
    parser.add_argument("--reload", type=float, default=30.0, metavar="SECONDS", help="between reloads (30)")
    options = parser.parse_args(argv)
    if options.reload <= EFFECT_S:
        parser.error(f"between reloads more than {EFFECT_S:g} s are needed to see their effect")
    with prepared(options) as setting:
        described = about(setting)
        say(f"{described}\nA soak of {options.minutes:g} minutes.")
        soak = Soak(setting, setting.directory, Plan(routers=255, interval_us=100_000), options.reload)
        try:
            soak.run(options.minutes)
        except (OSError, RuntimeError) as error:
            soak.fault(str(error))
        print(report(soak, described))
        if options.json:
            options.json.write_text(json.dumps(as_json(soak, described), indent=1) + "\n")
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
