"""
Fuzzing by mutation, with nothing but the standard library: the parsers of both forms and the packet decoder.

    python -m tests.fuzz parser --seconds 600
    python -m tests.fuzz native --seconds 600
    python -m tests.fuzz decoder --seconds 600 --seed 7
    python -m tests.fuzz parser --replay 123456

Inputs are sample files (or octets of good advertisements) that are cut, joined, repeated and littered with what has a
meaning. Each input depends on its own number alone: `--seed` is the first one, a finding names its number, and
`--replay` runs that one and shows the input. The exit code is 1 if anything was found.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from pyvrrp.config.complaints import Parsed
from pyvrrp.config.host import Unreadable
from pyvrrp.config.keywords import ROWS
from pyvrrp.config.lexer import split_command
from pyvrrp.config.load import parse_text
from pyvrrp.config.native.read import parse_native
from pyvrrp.config.native.toml import to_native
from pyvrrp.config.write import to_keepalived
from pyvrrp.convert import differences
from pyvrrp.errors import PacketError
from pyvrrp.protocol.advertisement import Advertisement, decode, encode
from pyvrrp.protocol.checksum import checksum
from pyvrrp.protocol.headers import IpHeader, strip_ethernet, strip_ip
from tests.config.hosts import FakeHost

FINDINGS_MAX: Final = 10  # who has ten has enough to do
HANG_S: Final = 5.0  # far above what any input of this size takes on a laden machine
SAMPLES: Final = Path(__file__).parent / "config" / "samples"


class Finding(Exception):  # noqa: N818  says what was found
    """The result of an input breaks a rule, though nothing was raised."""


# The parsers of keepalived.conf and of the native form

_SPECIALS: Final = (
    *(
        "{",
        "}",
        "\n",
        "\n",
        " ",
        "\t",
        '"',
        "'",
        "\\",
        "\\\n",
        "#",
        "!",
        "\0",
        "\r\n",
        "\ufeff",
        "\udcff",
        "\u2028",
        ",",
        ")",
    ),
    *("$A", "${A}", "$A=", "$A=\\\n", "$B=${A}$A", "${_PWD}", "${_INSTANCE}", "${_RANDOM 1 9}", "${_ENV HOME}"),
    *("${_HASH}", "${_BANG}", "@node1 ", "@^node1 ", "@other ", "~SEQ(A,1,3) ", "~SEQx(A,9,-2,1) ", "~LST(A,x,y) "),
    *("~LST({A,B},{1,2},{3}) ", "~SEQ(A,99999999) ", "include g", "include {g,h}*", "includea none", "include f"),
    *("include_check +match", "random_seed 5", "0", "-1", "255", "256", "1.5", "99999999999999999999", "5x"),
    *("192.0.2.1", "192.0.2.1/24", "fe80::1", "::/0", "224.0.0.18", "eth0", "dev", "label", "weight", "reverse"),
    *("MASTER", "BACKUP", "PASS", "AH", "on", "off", "x" * 1000),
)
_KEYWORDS: Final = tuple(row.keyword for row in ROWS)
_SKELETON: Final = (
    "$A=1\nglobal_defs {\n  router_id r\n}\nvrrp_script s {\n  script /bin/true\n}\n"
    "vrrp_instance I {\n  interface eth0\n  virtual_router_id ${A}1\n  authentication {\n    auth_type PASS\n"
    "    auth_pass secret\n  }\n  virtual_ipaddress {\n    ~SEQ(n,3) 192.0.2.${n}/24 dev eth0\n  }\n"
    "  track_script {\n    s\n  }\n}\n"
)


_TOML_SPECIALS: Final = (
    *(
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        " = ",
        ",",
        ".",
        "\n",
        "\n\n",
        " ",
        "\t",
        "\r\n",
        "\r",
        "#",
        "\0",
        "\udcff",
        "\ufeff",
    ),
    *('"', "'", '"""', "'''", "\\", '"\\u0000"', '"\\ud800"', '"\\U0010ffff"', '"\u2028"', '""'),
    *(
        "0",
        "-0",
        "+1",
        "1_000",
        "0xff",
        "0o7",
        "0b1",
        "99999999999999999999",
        "1" * 5000,
        "1.5",
        "1e999999",
        "-1e-9",
        ".5",
    ),
    *("inf", "-inf", "nan", "true", "false", "1979-05-27T07:32:00Z", "1979-02-31", "07:32:00", "24:00:00"),
    *("{ a = { b = 1 } }", "[" * 200, "{a=" * 200, "[[vrrp_instance]]\n", "[vrrp_instance]\n", "[vrrp_instance.x]\n"),
    *(
        "name = ",
        'name = "I"\n',
        "[1, 2]",
        '["192.0.2.1"]',
        '[{ address = "192.0.2.1/24", dev = "eth0" }]',
        "[[]]",
        "[{}]",
    ),
)


def parser_seeds() -> list[str]:
    """Sample files, and one text that uses all of the language that stands before the keywords."""
    return [path.read_text() for path in sorted(SAMPLES.glob("*.conf"))] + [_SKELETON] * 3


def native_seeds() -> list[str]:
    """The same configurations in the native form, and with all defaults written."""
    read = [parse_text(text).everything for text in parser_seeds()]
    return [to_native(each, full=full) for each in read for full in (False, True)]


def make_text(number: int, seeds: list[str], specials: tuple[str, ...] = _SPECIALS) -> str:
    """The text of that number."""
    dice = random.Random(number)
    text = dice.choice(seeds)
    for _ in range(dice.choice((1, 2, 4, 8, 30))):
        at, to = sorted((dice.randint(0, len(text)), dice.randint(0, len(text))))
        match dice.randrange(9):
            case 0:
                text = text[:at] + text[min(to, at + dice.randint(1, 20)) :]
            case 1:
                other = dice.choice(seeds)
                begin = dice.randint(0, len(other))
                text = text[:at] + other[begin : begin + dice.randint(1, 200)] + text[at:]
            case 2:
                text = text[:at] + text[at : at + dice.randint(1, 60)] * dice.randint(2, 5) + text[at:]
            case 3:
                text = text[:at] + dice.choice(_KEYWORDS) + dice.choice((" ", "\n", " {\n", " x\n")) + text[at:]
            case 4:
                lines = text.split("\n")
                dice.shuffle(lines)
                text = "\n".join(lines)
            case 5:
                text = text[:at] + chr(dice.choice((dice.randrange(128), dice.randrange(0x3000)))) + text[at:]
            case _:
                text = text[:at] + dice.choice(specials) + text[at:]
    return text[:20_000]


def try_text(number: int, seeds: list[str]) -> None:
    """
    Parse the text of that number, and another as a file that it may include.

    Raises:
        Finding: What came out is no legal result.
    """
    text = make_text(number, seeds)
    other = make_text(number + 1, seeds) if number % 3 == 0 else "$B=\\\nx \\\n$A\n"
    files: Mapping[str, str | Unreadable] = {"f": text, "g": other, "h": Unreadable("is a directory", directory=True)}
    result = parse_text(text, "f", {"eth0"}, host=FakeHost(files, {"HOME": "/root"}), config_id="node1")
    _judge(result, {"f": text, "g": other})
    if number % 7 == 0:
        try:
            split_command(text)
        except ValueError as error:
            if not str(error).startswith("missing terminating "):
                raise


def try_native(number: int, seeds: list[str]) -> None:
    """
    Parse the text of that number as native form; what is understood of it, written in either form, says the same.

    Raises:
        Finding: What came out is no legal result, or another after it was written.
    """
    text = make_text(number, seeds, _TOML_SPECIALS)
    result = parse_native(text, "f", {"eth0"})
    _judge(result, {"f": text})
    for written, read in ((to_native, parse_native), (to_keepalived, parse_text)):
        again = read(written(result.everything)).everything
        if different := list(differences(result.everything, again)):
            raise Finding(f"{written.__name__} loses {different}")


def _judge(result: Parsed, texts: Mapping[str, str]) -> None:
    """
    Look at what a parser said of texts, by the names of their files.

    Raises:
        Finding: A complaint that nobody could follow, or an instance that cannot be.
    """
    lengths = {name: [len(line) for line in text.split("\n")] for name, text in texts.items()}
    for complaint in result.complaints:
        place = complaint.place
        if not 1 <= place.line <= len(lengths[place.file]):
            raise Finding(f"no such line: {complaint!r}")
        if not 1 <= place.column <= lengths[place.file][place.line - 1] + 1:
            raise Finding(f"no such column: {complaint!r}")
        if not str(complaint).isprintable() or not complaint.message:
            raise Finding(f"cannot be shown: {complaint!r}")
    names = {instance.name for instance in result.configuration.instances}
    if names & set(result.refused):
        raise Finding(f"refused, and run: {sorted(names)}")
    for instance in result.configuration.instances:
        legal = 1 <= instance.vrid <= 255 and 1 <= instance.priority <= 255 and len(instance.virtual_addresses) <= 255
        if not legal:
            raise Finding(f"not legal: {instance!r}")


# The decoder

_V4: Final = IpHeader(IPv4Address("192.0.2.2"), IPv4Address("224.0.0.18"), 255)
_V6: Final = IpHeader(IPv6Address("fe80::2"), IPv6Address("ff02::12"), 255)


def decoder_seeds() -> list[bytes]:
    """Good advertisements of each kind."""
    v4 = tuple(IPv4Address(0xC0000201 + n) for n in range(20))
    v6 = (IPv6Address("fe80::1"), *(IPv6Address(f"2001:db8::{n}") for n in range(1, 8)))
    return [
        encode(Advertisement(2, 51, 100, 1_000_000, v4[:1]), _V4),
        encode(Advertisement(2, 51, 100, 1_000_000, v4, 1, b"secret"), _V4),
        encode(Advertisement(3, 51, 255, 10_000, v4[:3]), _V4),
        encode(Advertisement(3, 51, 0, 40_950_000, v6), _V6),
    ]


def make_octets(number: int, seeds: list[bytes]) -> bytes:
    """The octets of that number; the checksum is put right in most, or few would come far."""
    dice = random.Random(number)
    octets = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((0, 1, 1, 2, 5))):
        at = dice.randint(0, len(octets))
        match dice.randrange(5):
            case 0:
                del octets[at:]
            case 1:
                octets[at:at] = dice.randbytes(dice.choice((1, 4, 16, 200)))
            case 2:
                octets += octets[:at]
            case _ if at < len(octets):
                octets[at] = dice.choice((0, 1, 0x21, 0x31, 0xFF, dice.randrange(256)))
            case _:
                octets.append(dice.randrange(256))
    if len(octets) >= 8 and dice.randrange(3):
        octets[6:8] = b"\0\0"
        octets[6:8] = checksum(bytes(octets)).to_bytes(2, "big")
    return bytes(octets[:2000])


def try_octets(number: int, seeds: list[bytes]) -> None:
    """
    Decode the octets of that number; what is decoded, encoded again decodes to the same.

    Raises:
        Finding: It does not.
    """
    octets = make_octets(number, seeds)
    for header in (_V4, _V6):
        try:
            found = decode(octets, header)
        except PacketError:
            continue
        again = decode(encode(found, header), header)
        if again != found:
            raise Finding(f"{found!r} comes back as {again!r}")
    for strip in (strip_ip, strip_ethernet):
        try:
            strip(octets)
        except PacketError:
            continue


# The loop


@dataclass(frozen=True, slots=True)
class Target:
    """What is fuzzed: runs the input of a number, and shows it."""

    run: Callable[[int], None]
    show: Callable[[int], str | bytes]


def target(name: str) -> Target:
    """The target of that name."""
    if name == "parser":
        texts = parser_seeds()
        return Target(lambda number: try_text(number, texts), lambda number: make_text(number, texts))
    if name == "native":
        natives = native_seeds()
        return Target(
            lambda number: try_native(number, natives), lambda number: make_text(number, natives, _TOML_SPECIALS)
        )
    packets = decoder_seeds()
    return Target(lambda number: try_octets(number, packets), lambda number: make_octets(number, packets))


@dataclass(slots=True)
class Tally:
    """How many inputs were run, and what they found, by number."""

    executions: int
    findings: dict[int, str]


def fuzz(what: Target, numbers: Iterator[int], seconds: float) -> Tally:
    """Run inputs until the time or the numbers are over, or there are enough findings."""
    tally = Tally(0, {})
    end = time.monotonic() + seconds
    for number in numbers:
        begin = time.monotonic()
        if begin >= end or len(tally.findings) >= FINDINGS_MAX:
            break
        try:
            what.run(number)
        except Exception:  # noqa: BLE001  any exception is a finding
            tally.findings[number] = traceback.format_exc()
        else:
            taken = time.monotonic() - begin
            if taken > HANG_S:
                tally.findings[number] = f"took {taken:.1f} s"
        tally.executions += 1
    return tally


def main(arguments: list[str]) -> int:
    """Run the command line; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz a part of pyvrrp by mutation.")
    parser.add_argument("target", choices=("parser", "native", "decoder"))
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--seed", type=int, default=0, help="number of the first input (0)")
    parser.add_argument("--replay", type=int, metavar="NUMBER", help="run one input, and show it")
    options = parser.parse_args(arguments)
    what = target(options.target)
    if options.replay is not None:
        print(repr(what.show(options.replay)))
        tally = fuzz(what, iter((options.replay,)), HANG_S)
    else:
        tally = fuzz(what, iter(range(options.seed, sys.maxsize)), options.seconds)
    for number, finding in tally.findings.items():
        print(f"\n== {options.target} --replay {number}\n{finding}")
    print(f"{options.target}: {tally.executions} inputs from {options.seed} on, {len(tally.findings)} findings")
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
