"""What the old wrapper gave to keepalived besides its configuration: KEEPALIVED_OPTIONS, as options of our daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NoReturn

from pyvrrp.daemon.options import RunOptions, add_to, of_namespace, quick

if TYPE_CHECKING:
    import argparse

SYSCONFIG: Final = "/etc/sysconfig/keepalived"
OPTIONS: Final = "KEEPALIVED_OPTIONS"

PID_DIRECTORIES: Final = ("/run", "/tmp", "/dev/shm")  # noqa: S108  keepalived's place, and others' where that is read-only
NAME: Final = "keepalived"

# What these ask for is another program's business, or decided by the pod itself.
_REFUSED: Final = {
    "use_file": "the configuration is made of the environment",
    "config_test": "a pod serves",
    "show_version": "a pod serves",
    "signum": "a pod serves",
    "dont_release_vrrp": "at its end the pod takes its addresses away, as the old wrapper did after keepalived",
}


def options_of_the_node() -> tuple[str, list[str]]:
    """
    Find KEEPALIVED_OPTIONS: in the node's file, or else in the environment; as after `.` in a shell.

    Returns:
        The options, as one text; and what is to be said.
    """
    words = os.environ.get(OPTIONS, "")
    if not os.path.isfile(SYSCONFIG):  # noqa: PTH113  pathlib takes milliseconds to import
        return words, []
    from pyvrrp.pod.sysconfig import read_sysconfig  # noqa: PLC0415  for those who have the file

    file = read_sysconfig(SYSCONFIG)
    for name, value in file.variables.items():
        if name in file.exported or name in os.environ:  # programs that are run see these
            os.environ[name] = value
    return file.variables.get(OPTIONS, words), list(file.complaints)


def run_options(words: str) -> tuple[RunOptions, list[str]]:
    """
    Options of the daemon in this pod.

    Args:
        words: KEEPALIVED_OPTIONS, which blanks separate; quotes mean nothing, as in the old wrapper.

    Returns:
        The options, with those that the pod gives itself; and what is to be said about the others.
    """
    options, complaints = _understood(words.split())
    given = RunOptions()
    for name, why in _REFUSED.items():
        if getattr(options, name) != getattr(given, name):
            complaints.append(f"{OPTIONS}: --{name.replace('_', '-')} is not followed: {why}")
            setattr(options, name, getattr(given, name))
    options.dont_fork = True
    options.log_console = True
    options.no_syslog = True  # a container has none, and its console is its log
    options.log_facility = RunOptions().log_facility  # so none can be wrong
    options.log_format = options.log_format or "keepalived"
    options.name = options.name or NAME
    return options, complaints


def choose_pid_files(options: RunOptions) -> list[str]:
    """
    Put pid files where keepalived has them, or where this container can be written to; answers what to say.

    Without such a place the start fails, and says so: then nothing could be known of a predecessor either.
    """
    if options.pid and options.vrrp_pid:
        return []
    usual = PID_DIRECTORIES[0]
    directory = next((each for each in PID_DIRECTORIES if _takes_files(each)), usual)
    options.pid = options.pid or f"{directory}/{NAME}.pid"
    options.vrrp_pid = options.vrrp_pid or f"{directory}/vrrp.pid"
    return [f"{usual} cannot be written to: pid files are in {directory}"] if directory != usual else []


def _takes_files(directory: str) -> bool:
    """Whether files can be written there: it may be read-only, or full."""
    if not os.access(directory, os.W_OK | os.X_OK):
        return False
    space = os.statvfs(directory)
    return space.f_bavail > 0 and (space.f_favail > 0 or not space.f_files)


def _understood(words: list[str]) -> tuple[RunOptions, list[str]]:
    options = quick(words)
    if options is not None:
        return options, []
    import argparse  # noqa: PLC0415  for what is not written plainly; 10 ms

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise ValueError(message)

    parser = Parser(add_help=False, allow_abbrev=False)
    add_to(parser)
    namespace: argparse.Namespace
    try:
        namespace, strange = parser.parse_known_args(words)
    except ValueError as error:
        return RunOptions(), [f"{OPTIONS}: not used: {error}"]
    unknown = [f"{OPTIONS}: {' '.join(strange)} is not known and not used"] if strange else []
    return of_namespace(namespace), unknown
