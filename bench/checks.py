"""
200 checks a second: what does it cost to ask 200 times whether a port answers?

    python -m bench.checks

keepalived has no check of a port for VRRP, people write a line of bash. pyvrrp runs that line, too, and has
`tcp_check`. This is the one question where the files differ, in that word alone.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from functools import partial
from typing import Self

from bench.daemons import Daemon, Plan, Program, Setting
from bench.harness import Case, Question, Samples, main
from bench.lan import Lan
from bench.rows import Metric

CHECKS, PORT = 200, 8080
SCRIPT = f"script \"/bin/bash -c '</dev/tcp/127.0.0.1/{PORT}'\""


class Listener:
    """A port that takes connections."""

    def __init__(self, lan: Lan, host: str) -> None:
        with lan.hosts[host].inside():
            self._socket = socket.create_server(("127.0.0.1", PORT), backlog=512)
        self._socket.settimeout(0.2)
        self.taken = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                self._socket.accept()[0].close()
                self.taken += 1


def measure(built_in: bool, setting: Setting, program: Program, quick: bool) -> Samples:
    line = f"tcp_check {PORT} 127.0.0.1" if built_in and program is Program.PYVRRP else SCRIPT
    checks = "\n".join(f"vrrp_script c{n} {{\n    {line}\n    interval 1\n}}" for n in range(CHECKS))
    tracked = "    track_script {\n" + "\n".join(f"        c{n}" for n in range(CHECKS)) + "\n    }"
    plan = Plan(priority=200, interval_us=1_000_000, head="    script_user root", body=tracked)
    # The checks are defined before they are tracked, after the global definitions.
    glob, separator, instances = plan.configuration().partition("vrrp_instance")
    seconds = 2 if quick else 6
    with Lan() as lan, Listener(lan, "r2") as listener:
        with Daemon(setting, lan, "r2", program, f"{glob}{checks}\n{separator}{instances}") as daemon:
            daemon.wait_joined()
            time.sleep(1.5)
            began, cpu, taken = time.monotonic(), daemon.cpu_s(), listener.taken
            time.sleep(seconds)
            elapsed_s = time.monotonic() - began
            used, asked = daemon.cpu_s() - cpu, listener.taken - taken
        if asked < CHECKS * seconds * 0.7:
            raise RuntimeError(f"only {asked} of {CHECKS * seconds} checks were made")
        return {"cpu": [used / elapsed_s * 100], "each": [used / asked * 1000]}


def case(built_in: bool) -> Case:
    name = "tcp_check against bash" if built_in else "bash against bash"
    return Case(
        (
            Metric("cpu", f"200 checks a second, {name}: CPU", "% core", "≤ 0.1" if built_in else "≤ 1.5", 1),
            Metric("each", f"200 checks a second, {name}: CPU for each", "ms", "-"),
        ),
        partial(measure, built_in),
        (4.4, 9),
        turns=(2 if built_in else 1, 2),
    )


QUESTION = Question("Health checks", (case(True), case(False)))

if __name__ == "__main__":
    raise SystemExit(main([QUESTION]))
