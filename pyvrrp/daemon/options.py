"""
The options of `pyvrrp run`, which are keepalived's: one table, read in two ways.

`quick` reads what is written plainly, without argparse, whose import and making of a parser would make the first
advertisement 10 ms later. Whatever it does not understand, mistakes and `--help` above all, is argparse's affair:
`add_to` gives it the same table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pyvrrp.engine.paths import PATHS

if TYPE_CHECKING:
    import argparse

    from pyvrrp.config.listening import Listening
    from pyvrrp.daemon.source import Source

DEFAULT_CONFIG: Final = "/etc/keepalived/keepalived.conf"

SIGNAL_NAMES: Final = ("STOP", "RELOAD", "DATA", "STATS", "JSON", "STATS_CLEAR")

_FORMATS: Final = ("console", "json", "keepalived")


@dataclass(slots=True)
class RunOptions:
    """
    What was said; file names as they were written, None where nothing was said.

    What is read instead of a file cannot be said: whoever starts the daemon puts in *source*, or *late_source*, which
    is asked for it after the engine's fork.
    """

    use_file: str = DEFAULT_CONFIG
    dont_fork: bool = False
    log_console: bool = False
    log_detail: int = 0
    log_facility: str = "daemon"
    log_file: str | None = None
    no_syslog: bool = False
    log_format: str | None = None
    config_test: str | None = None
    strict: bool = False
    config_id: str | None = None
    all_config: bool = False
    offload: str = "auto"
    pid: str | None = None
    vrrp_pid: str | None = None
    name: str | None = None
    runtime_dir: str | None = None
    namespace: str | None = None
    umask: int | None = None
    dont_release_vrrp: bool = False
    release_at_once: bool = False
    ignore_sigint: bool = False
    show_version: bool = False
    signum: str | None = None
    http_health: Listening | None = None
    source: Source | None = None
    late_source: Callable[[], Source] | None = None


def octal(text: str) -> int:
    """
    A file mode.

    Raises:
        ValueError: It is none.
    """
    with contextlib.suppress(ValueError):
        mode = int(text, 8)
        if 0 <= mode <= 0o777:
            return mode
    raise ValueError("is no mode, 0-777 in octal")


def listening(text: str) -> Listening:
    """
    A port, with an address or without.

    Raises:
        ValueError: It is none.
    """
    from pyvrrp.config.listening import read_listening  # noqa: PLC0415  for those who ask for it

    return read_listening(text)


@dataclass(frozen=True, slots=True)
class Option:
    """
    One option.

    Attributes:
        flags: As it is written.
        name: The attribute of `RunOptions`; empty for what is accepted and means nothing here.
        kind: Takes no word, counts, takes one, or may take one.
        help: For people; empty hides it.
        metavar: What the word is called.
        choices: The words it takes, where they are few.
        read: What makes a value of the word; a ValueError says what is wrong, to stand behind the word.
    """

    flags: tuple[str, ...]
    name: str
    kind: Literal["flag", "count", "word", "maybe"] = "flag"
    help: str = ""
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    read: Callable[[str], Any] = str


# Accepted for keepalived's sake; what they ask for is always so here, or does not concern VRRP.
_MEANINGLESS: Final = (
    ("-P", "--vrrp"), ("-C", "--check"), ("-B", "--no_bfd"), ("--all",), ("-X", "--release-vips"),
    ("-I", "--dont-release-ipvs"), ("-R", "--dont-respawn"), ("-a", "--address-monitoring"), ("-m", "--core-dump"),
    ("-x", "--snmp"), ("-d", "--dump-conf"), ("--flush-log-file",), ("--no-mem-check",),
)  # fmt: skip
_MEANINGLESS_WITH_WORD: Final = (
    ("-c", "--checkers_pid"), ("-b", "--bfd_pid"), ("-A", "--snmp-agent-socket"),
)  # fmt: skip

OPTIONS: Final = (
    Option(("-f", "--use-file"), "use_file", "word", f"configuration ({DEFAULT_CONFIG})", "FILE"),
    Option(("-n", "--dont-fork"), "dont_fork", help="stay in the foreground"),
    Option(("-l", "--log-console"), "log_console", help="log to standard error"),
    Option(("-D", "--log-detail"), "log_detail", "count", "detailed log messages"),
    Option(("-S", "--log-facility"), "log_facility", "word", "syslog facility: 0-7, local0-7, user, daemon", "N|NAME"),
    Option(("-g", "--log-file"), "log_file", "maybe", "log to a file", "FILE"),
    Option(("-G", "--no-syslog"), "no_syslog", help="do not log to syslog"),
    Option(("--log-format",), "log_format", "word", "how lines look (console)", choices=_FORMATS),
    Option(("-t", "--config-test"), "config_test", "maybe", "only check the configuration", "FILE"),
    Option(("--strict",), "strict", help="refuse a configuration with a mistake in it, rather than run the rest"),
    Option(("-i", "--config-id"), "config_id", "word", "lines for this id are read (the host's name)", "ID"),
    Option(("-e", "--all-config"), "all_config", help="what is included must be there"),
    Option(
        ("--offload",), "offload", "word", "how advertisements are received (auto: the best permitted)", choices=PATHS
    ),
    Option(("-p", "--pid"), "pid", "word", "pid file", "FILE"),
    Option(("-r", "--vrrp_pid"), "vrrp_pid", "word", "pid file of the VRRP process", "FILE"),
    Option(
        ("--name",), "name", "word", "name of this daemon, for several in one network namespace (that of the -p file)"
    ),
    Option(("--runtime-dir",), "runtime_dir", "word", "where running daemons keep what they know (/run/pyvrrp)", "DIR"),
    Option(("-s", "--namespace"), "namespace", "word", "network namespace to run in, as in `ip netns`", "NAME"),
    Option(("-u", "--umask"), "umask", "word", "file mode creation mask", "MODE", read=octal),
    Option(("-V", "--dont-release-vrrp"), "dont_release_vrrp", help="leave addresses in place at the end"),
    Option(("--release-at-once",), "release_at_once", help="at the end do not wait for a successor, as keepalived"),
    Option(("--ignore-sigint",), "ignore_sigint", help="do not end on SIGINT"),
    Option(
        ("--http-health",),
        "http_health",
        "word",
        "tell over HTTP how the daemon is: /healthz, /readyz (127.0.0.1)",
        "[ADDRESS:]PORT",
        read=listening,
    ),
    Option(("-v", "--version"), "show_version", help="print the version"),
    Option(("--signum",), "signum", "word", f"print the number of a signal: {', '.join(SIGNAL_NAMES)}", "NAME"),
    *(Option(flags, "") for flags in _MEANINGLESS),
    *(Option(flags, "", "word", metavar="X") for flags in _MEANINGLESS_WITH_WORD),
    Option(("-M", "--core-dump-pattern"), "", "maybe"),
    Option(("--debug",), "", "maybe"),
)


def quick(words: Sequence[str]) -> RunOptions | None:
    """
    Read a command line that is written plainly.

    Returns:
        The options; None where argparse has to look: a mistake, an abbreviation, a call for help, an option whose word
        may be missing.
    """
    options = RunOptions()
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            found = [(flag, value if equals else None)]
        elif len(word) > 1 and word[0] == "-":
            found = _cluster(word)
        else:
            return None
        for flag, attached in found:
            option = _BY_FLAG.get(flag)
            if option is None or not _take(options, option, attached, rest):
                return None
    return options


def _cluster(word: str) -> list[tuple[str, str | None]]:
    """`-nlf FILE` and `-nlfFILE`: letters, and what the first that takes a word has behind it."""
    found: list[tuple[str, str | None]] = []
    for at, letter in enumerate(word[1:], start=2):
        option = _BY_FLAG.get(f"-{letter}")
        if option is not None and option.kind == "word" and word[at:]:
            return [*found, (f"-{letter}", word[at:])]
        found.append((f"-{letter}", None))
    return found


def _take(options: RunOptions, option: Option, attached: str | None, rest: list[str]) -> bool:
    """Note one option; False if argparse has to look."""
    if option.kind in {"flag", "count"}:
        if attached is not None:
            return False
        if option.name:
            value = getattr(options, option.name) + 1 if option.kind == "count" else True
            setattr(options, option.name, value)
        return True
    if option.kind == "maybe":
        return False
    if attached is None:
        if not rest or rest[-1].startswith("-"):
            return False
        attached = rest.pop()
    elif attached.startswith("=") or not attached:
        return False
    if option.choices is not None and attached not in option.choices:
        return False
    try:
        value = option.read(attached)
    except ValueError:
        return False
    if option.name:
        setattr(options, option.name, value)
    return True


_BY_FLAG: Final = {flag: option for option in OPTIONS for flag in option.flags}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options."""
    import argparse  # noqa: PLC0415  whoever calls this has it

    defaults = RunOptions()
    for option in OPTIONS:
        more: dict[str, Any] = {"help": option.help or argparse.SUPPRESS}
        if option.name:
            more |= {"dest": option.name, "default": getattr(defaults, option.name)}
        else:
            more["dest"] = "_"
        if option.kind in {"flag", "count"}:
            more["action"] = "store_true" if option.kind == "flag" else "count"
        else:
            more |= {"metavar": option.metavar, "choices": option.choices, "type": _typed(option.read)}
            if option.kind == "maybe":
                more |= {"nargs": "?", "const": ""}
        parser.add_argument(*option.flags, **more)


def of_namespace(namespace: argparse.Namespace) -> RunOptions:
    """What argparse has read."""
    return RunOptions(**{option.name: getattr(namespace, option.name) for option in OPTIONS if option.name})


def _typed(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """With argparse's own error, which says what is wrong."""
    import argparse  # noqa: PLC0415  as in `add_to`

    def typed(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} {error}") from error

    return typed
