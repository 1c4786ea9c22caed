"""
keepalived as the judge of the corpus: what it says of each file, and what it would run.

A verdict is taken in a network namespace that has the corpus's interfaces and nothing else. The exit code of `-t` costs
a hundredth of a second for each file; what would be run is read from the dump of a daemon that is ended at once, so it
is taken only when the recorded verdicts are rewritten.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Final

from pyvrrp.config.model import AddressLine, Configuration, Track, TrackFile, TrackProcess, VrrpInstance, VrrpScript
from tests.netns import PATIENCE_S, Namespace

CORPUS: Final = Path(__file__).parent / "corpus"
VERDICTS: Final = CORPUS / "verdicts.json"
CONFIG_ID: Final = "node1"  # `@node1` lines count
INTERFACES: Final = (
    *(f"eth{number}" for number in range(6)),
    *("eth0.20", "br-ex", "ens3", "ha-0a1b2c3d-4e", "qr-0a1b2c3d-4e", "qg-0a1b2c3d-4e"),
)
KEEPALIVED: Final = "2.2.7"
HANGS: Final = "hangs"
HANG_S: Final = 1.0  # for a file that is known to hang; any other may take PATIENCE_S

_DUMP_ENDS: Final = "------< Interfaces >------"
_NOTHING_TO_DO: Final = "Warning - keepalived has no configuration to run"
_GARP: Final = (
    "delay",
    "repeat",
    "refresh",
    "refresh repeat",
    "lower priority delay",
    "lower priority repeat",
)
_READINGS: Final = 10
_STAMP: Final = len("Sun Nov 22 13:24:35 2026: ")


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What keepalived makes of a file.

    Attributes:
        code: Exit code of `-t`; negative when a signal ended it, `hangs` when nothing did.
        runs: The virtual routers that a daemon runs, by name; None when it does not start.
    """

    code: int | str
    runs: Mapping[str, str] | None


def corpus() -> list[str]:
    """The files of the corpus, as `style/name`."""
    return sorted(f"{path.parent.name}/{path.stem}" for path in CORPUS.glob("*/*.conf"))


def path_of(case: str) -> Path:
    """Where a file of the corpus is."""
    return CORPUS / f"{case}.conf"


def recorded() -> dict[str, Verdict]:
    """The verdicts that are written down."""
    found: dict[str, list[object]] = json.loads(VERDICTS.read_text(encoding="utf-8"))
    return {case: Verdict(*verdict) for case, verdict in found.items()}  # type: ignore[arg-type]


def record(verdicts: Mapping[str, Verdict]) -> None:
    """Write them down, one file of the corpus on each line."""
    lines = [f"  {json.dumps(case)}: {json.dumps([one.code, one.runs])}" for case, one in sorted(verdicts.items())]
    VERDICTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def why_no_judge() -> str | None:
    """Why there is no keepalived to ask, or None if there is."""
    if shutil.which("keepalived") is None:
        return "needs keepalived"
    said = subprocess.run(["keepalived", "--version"], capture_output=True, text=True, check=True).stderr
    if said.split()[1:2] != [f"v{KEEPALIVED}"]:
        return f"the verdicts are those of keepalived {KEEPALIVED}"
    return None


def furnish(namespace: Namespace) -> Namespace:
    """Give a namespace the interfaces, each up, with an IPv4 address."""
    batch = [
        line
        for number, name in enumerate(INTERFACES, 1)
        for line in (
            f"link add {name} type veth peer name other{number}",
            f"link set {name} up",
            f"link set other{number} up",
            f"addr add 192.0.2.{number}/24 dev {name}",
        )
    ]
    command = namespace.command(["ip", "-batch", "-"])
    subprocess.run(command, input="\n".join(batch), text=True, check=True, capture_output=True)
    return namespace


def exit_code(namespace: Namespace, case: str, patience_s: float = PATIENCE_S) -> int | str:
    """What `keepalived -t` exits with."""
    command = namespace.command(["keepalived", "-t", "-i", CONFIG_ID, "-f", str(path_of(case))])
    # A session of its own: 2.2.7 sends signals about when a script has another user.
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/"
    ) as process:
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return HANGS


def runs(case: str) -> dict[str, str] | None:
    """
    The virtual routers that a daemon runs; None if it ends instead.

    Parent and child write into one log without waiting for each other: a reading counts if the next one agrees.
    """
    last: object = "nothing read"
    for _ in range(_READINGS):
        try:
            found = _reading(case)
        except (LookupError, ValueError):
            continue
        if found == last:
            return found
        last = found
    raise AssertionError(f"{case}: no two readings agree")


def _reading(case: str) -> dict[str, str] | None:
    namespace = furnish(Namespace(case))  # its own: a killed daemon leaves things behind
    options = ["-n", "-l", "-d", "-G", "-R", "-P", "-i", CONFIG_ID, "-p", "/run/k.pid", "-r", "/run/v.pid"]
    inner = ["sh", "-c", 'mount -t tmpfs none /run && exec keepalived "$@"', "sh", *options, "-f", str(path_of(case))]
    process = namespace.popen(
        ["unshare", "--mount", *inner],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        start_new_session=True,
        cwd="/",
    )
    said: list[str] = []
    watchdog = threading.Timer(PATIENCE_S, _end, [process])
    watchdog.start()
    try:
        for line in process.stderr or ():
            said.append(line.rstrip("\n")[_STAMP:])
            if said[-1] in (_DUMP_ENDS, _NOTHING_TO_DO):
                return read_dump(said)
        assert watchdog.is_alive(), f"{case}: neither a dump nor an end"
        return None
    finally:
        watchdog.cancel()
        _end(process)
        process.communicate()
        namespace.close()


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def read_dump(said: Iterable[str]) -> dict[str, str]:
    """The virtual routers of keepalived's dump, each in the words of `described`."""
    found: dict[str, dict[str, list[str]]] = {}
    values: dict[str, list[str]] = {}
    member: list[str] = []
    for line in said:
        if line.startswith("------<"):
            values = {}
        elif line.startswith(" VRRP Instance = "):
            values = found.setdefault(line.partition(" = ")[2], {})
        elif line.startswith("     "):
            member.append(line.strip())
        elif line.startswith("   "):
            key, separator, value = line.strip().partition(" = ")
            member = values.setdefault(key.partition(" (")[0].rstrip(" :"), [])
            if separator:
                member.append(value)
    return {name: _dumped(values) for name, values in found.items()}


def _dumped(values: Mapping[str, list[str]]) -> str:
    amount, unit = values["Advert interval"][0].split()
    addresses, excluded = (
        [f"{ip_interface(line.split()[0])} {_base(line.split(' dev ')[1].split()[0])}" for line in values.get(key, ())]
        for key in ("Virtual IP", "Virtual IP Excluded")
    )
    source = values.get("Using src_ip", ["none"])[0].split()
    return _sentence(
        first=(
            f"vrid {values['Virtual Router ID'][0]} version {values['VRRP Version'][0]}"
            f" on {values.get('Interface', ['none'])[0].rpartition(' on ')[2].partition(',')[0]},"
            f" {values['Wantstate'][0]} {values['Priority'][0]},"
            f" every {int(amount) * {'sec': 1000, 'milli-sec': 1}[unit]} ms"
        ),
        flags={
            "nopreempt": values["Preempt"][0] == "disabled",
            "no_accept": values["Accept"][0] == "disabled",
            "lower_prio_no_advert": values["Send advert after receive lower priority advert"][0] == "false",
            "higher_prio_send_advert": values["Send advert after receive higher priority advert"][0] == "true",
        },
        delay_s=float(values.get("Preempt delay", ["0"])[0].split()[0]),
        down_timer_adverts=int(values["Down timer adverts"][0]),
        garp=[int(values[f"Gratuitous ARP {key}"][0]) for key in _GARP],
        lists={
            "password": values.get("Password", []),
            "source": [str(ip_address(source[0]))] if source[1:] else [],
            "peers": [str(ip_address(line.split()[0])) for line in values.get("Unicast Peer", ())],
            "addresses": addresses,
            "excluded": excluded,
            **{
                f"tracks {kind}": [line.replace(",", "").replace(" weight ", " ") for line in values.get(key, ())]
                for kind, key in (
                    ("interfaces", "Tracked interfaces"),
                    ("scripts", "Tracked scripts"),
                    ("files", "Tracked files"),
                    ("processes", "Tracked processes"),
                )
            },
        },
    )


def _base(device: str) -> str:
    """The interface below a VMAC: `vrrp.51@eth0` is on eth0."""
    return device.rpartition("@")[2]


def described(instance: VrrpInstance, configuration: Configuration) -> str:
    """One of ours, in the same words."""
    authentication = instance.authentication
    password = authentication.password if authentication and authentication.auth_type == "PASS" else b""
    garp = instance.garp
    return _sentence(
        first=(
            f"vrid {instance.vrid} version {instance.version} on {instance.interface or 'none'},"
            f" {instance.state} {instance.priority}, every {instance.advertisement_interval_us // 1000} ms"
        ),
        flags={
            "nopreempt": not instance.preempt,
            "no_accept": not instance.accept,
            "lower_prio_no_advert": instance.lower_prio_no_advert,
            "higher_prio_send_advert": instance.higher_prio_send_advert,
        },
        delay_s=instance.preempt_delay_us / 1e6,
        down_timer_adverts=instance.down_timer_adverts,
        garp=[
            garp.master_delay_us // 1_000_000,
            garp.master_repeat,
            garp.master_refresh_us // 1_000_000,
            garp.master_refresh_repeat,
            (garp.lower_prio_delay_us or 0) // 1_000_000,
            garp.lower_prio_repeat or 0,
        ],
        lists={
            "password": [password.decode("utf-8", "surrogateescape")] if password else [],
            "source": [str(instance.source)] if instance.source else [],
            "peers": [str(peer) for peer in instance.unicast_peers],
            "addresses": [_address(line, instance) for line in instance.virtual_addresses],
            "excluded": [_address(line, instance) for line in instance.excluded_addresses],
            "tracks interfaces": [_track(track, ()) for track in instance.track_interfaces],
            "tracks scripts": [_track(track, configuration.scripts) for track in instance.track_scripts],
            "tracks files": [_track(track, configuration.track_files) for track in instance.track_files],
            "tracks processes": [_track(track, configuration.track_processes) for track in instance.track_processes],
        },
    )


def _address(line: AddressLine, instance: VrrpInstance) -> str:
    return f"{line.address} {line.dev or instance.interface}"


def _track(track: Track, trackers: Iterable[VrrpScript | TrackFile | TrackProcess]) -> str:
    """Name and weight, which is the tracker's own if the instance names none."""
    own = next((tracker for tracker in trackers if tracker.name == track.name), None)
    weight = track.weight if track.weight is not None else own.weight if own else 0
    reverse = track.reverse if track.reverse is not None else own.reverse if own else False
    return f"{track.name} {weight}{' reverse' if reverse else ''}"


def _sentence(
    *,
    first: str,
    flags: Mapping[str, bool],
    delay_s: float,
    down_timer_adverts: int,
    garp: list[int],
    lists: Mapping[str, list[str]],
) -> str:
    """All that matters of a virtual router in one line; what is as usual is left out."""
    parts = [first, *(flag for flag, on in flags.items() if on)]
    parts += [f"preempt_delay {delay_s:g} s"] if delay_s else []
    parts += [f"down_timer_adverts {down_timer_adverts}"] if down_timer_adverts != 3 else []
    parts += [f"garp {' '.join(map(str, garp))}"] if garp != [5, 5, 0, 1, 5, 5] else []
    parts += [f"{what} {', '.join(items)}" for what, items in lists.items() if items]
    return "; ".join(parts)
