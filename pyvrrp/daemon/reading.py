"""Reading the configuration for `pyvrrp run`: at the start, at a reload, and for `--config-test` alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from pyvrrp.errors import ConfigError, VrrpError

if TYPE_CHECKING:
    from pathlib import Path

    from pyvrrp.config.complaints import Parsed
    from pyvrrp.daemon.options import RunOptions

EXIT_MISTAKE: Final = 5  # keepalived's, of --config-test
EXIT_NO_CONFIG: Final = 6


def enter_namespace(name: str) -> None:
    """
    Work in another network namespace from now on.

    Raises:
        KernelError: There is none of that name, or entering is refused.
    """
    from pyvrrp.net import linux  # noqa: PLC0415  here as below: not before the engine is forked

    linux.enter_namespace(name)


def interface_names() -> frozenset[str]:
    """Those of this network namespace."""
    import socket  # noqa: PLC0415

    return frozenset(name for _, name in socket.if_nameindex())


def load(path: str | Path, options: RunOptions) -> Parsed:
    """
    Read the configuration for the interfaces that there are, and of it what can be run.

    Args:
        path: The file, absolute where the daemon has changed its directory.
        options: Of them the configuration id, and whether includes are checked.

    Raises:
        ConfigError: The file cannot be read.
    """
    from dataclasses import replace  # noqa: PLC0415

    from pyvrrp.config import load as config  # noqa: PLC0415
    from pyvrrp.config.origins import Origins  # noqa: PLC0415

    parsed = config.load(
        path, interfaces=interface_names(), config_id=options.config_id, check_includes=options.all_config
    )
    # Where each value came from is for those who explain; of 255 instances that is a megabyte.
    run = replace(parsed.configuration, origins=Origins())
    return replace(parsed, configuration=run, everything=run)


def load_first(options: RunOptions) -> tuple[Parsed, bool]:
    """Read the configuration, in the network namespace that it names if the command line names none: then True."""
    parsed = load(options.use_file, options)
    named = parsed.configuration.globals.net_namespace
    if named is None or options.namespace is not None:
        return parsed, False
    enter_namespace(named)
    return load(options.use_file, options), True  # its interfaces are others


def check(options: RunOptions) -> int:
    """
    Say what is wrong with a configuration, on standard error or in a file.

    Returns:
        The exit code, which is keepalived's.

    Raises:
        VrrpError: The file for it cannot be written.
    """
    try:
        parsed, _ = load_first(options)
    except ConfigError as error:
        lines, code = [str(error)], EXIT_NO_CONFIG
    else:
        troubles = _script_troubles(parsed)
        lines = [*map(str, parsed.complaints), *troubles]
        code = parsed.exit_code or (EXIT_MISTAKE if troubles else 0)
    if options.config_test:
        try:
            with open(options.config_test, "a", encoding="utf-8", errors="backslashreplace") as report:  # noqa: PTH123
                report.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            raise VrrpError(f"cannot write to {options.config_test}: {error.strerror}") from error
    else:
        for line in lines:
            print(line, file=sys.stderr)
    return code


def _script_troubles(parsed: Parsed) -> list[str]:
    """Check scripts that a start would leave out: missing, not executable, or not safe to be run as root."""
    from pyvrrp.trackers.children import ScriptPolicy, command_trouble  # noqa: PLC0415

    try:
        policy = ScriptPolicy.of(parsed.configuration.globals)
    except ConfigError as error:
        return [str(error)]
    return [
        f"{script.place}: track script {script.name}: {trouble}"
        for script in parsed.configuration.scripts
        if script.command is not None and (trouble := command_trouble(script.command, policy))
    ]
