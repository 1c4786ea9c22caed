"""
What is asked of a program called keepalived besides serving: its version, numbers of signals, its name as a process.

Whoever starts us by that name gets the answers here in keepalived's form, for the programs that read them; in words
they say what we are.
"""

from __future__ import annotations

import os
import sys
from typing import Final

KEEPALIVED: Final = "keepalived"

STANDS_FOR: Final = "2.2.7"
"""The version of keepalived whose configuration, options, files and signals these are; drivers compare it."""

_PR_SET_NAME: Final = 15  # linux/prctl.h
_NAME_MAX: Final = 15  # octets that the kernel keeps of it


def version_text() -> str:
    """
    What `keepalived --version` says, on standard error.

    Readers take the number of the first line, look for `--enable-json` before they use that signal, and want a line
    of options. What stands there is what we have.
    """
    from pyvrrp.version import __version__  # noqa: PLC0415  for this alone

    machine = os.uname()
    return f"""\
Keepalived v{STANDS_FOR} (pyvrrp v{__version__} in its place)

This is pyvrrp, an implementation of VRRP of its own. It does as keepalived {STANDS_FOR} does and has none of its code.

Running on {machine.sysname} {machine.release} {machine.version}
Python {sys.version.split()[0]}

configure options: --enable-json

Config options:  VRRP VRRP_AUTH JSON SYSTEMD_NOTIFY
"""


def signals() -> dict[str, int]:
    """Numbers of the signals that `--signum` knows, by what keepalived calls what they ask for."""
    import signal  # noqa: PLC0415  as above

    return {
        "STOP": int(signal.SIGTERM),
        "RELOAD": int(signal.SIGHUP),
        "DATA": int(signal.SIGUSR1),
        "STATS": int(signal.SIGUSR2),
        "JSON": signal.SIGRTMIN + 2,
        "STATS_CLEAR": signal.SIGRTMAX - 1,
    }


def answer(signum: str | None, *, as_keepalived: bool) -> int:
    """
    Answer `--signum`, or `--version` if that was not asked.

    Args:
        signum: Its word.
        as_keepalived: We were started by that name.

    Returns:
        The exit code.
    """
    if signum is None:
        from pyvrrp.version import __version__  # noqa: PLC0415  as above

        print(version_text() if as_keepalived else f"pyvrrp v{__version__}\n", end="", file=sys.stderr)
        return 0
    known = signals()
    if signum in known:
        print(known[signum])
        return 0
    ours = f"pyvrrp: no signal is called {signum!r}: {', '.join(known)}"
    print(f"Unknown sigfunc {signum}" if as_keepalived else ours, file=sys.stderr)
    return 1


def take_name(name: str) -> None:
    """
    Call this process *name*, so that `pgrep -x` and `ps` find it by that, whatever interpreter and path started it.

    For the first thread, which the process is known by. Processes that are forked later have the name, too.
    """
    octets = os.fsencode(name)[:_NAME_MAX]
    try:
        descriptor = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:  # no /proc, or a program with file capabilities, which does not own this file
        import ctypes  # noqa: PLC0415  5 ms

        ctypes.CDLL(None).prctl(_PR_SET_NAME, octets, 0, 0, 0)
        return
    try:
        os.write(descriptor, octets)
    finally:
        os.close(descriptor)
