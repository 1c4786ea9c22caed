"""The check and the notify program: commands, the built-in port check, and what is missing on this node."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from pyvrrp.config.complaints import shown
from pyvrrp.config.lexer import split_command
from pyvrrp.config.model import TcpTarget
from pyvrrp.config.openshift import variables as names
from pyvrrp.config.openshift.variables import Remarks, Variables, read_switches
from pyvrrp.protocol.constants import IPAddress

PORT_MAX: Final = 65535
COMMAND_MAX: Final = 500  # characters; the file's lines have 1024, and quotes may double what stands in them
ALWAYS: Final = "true"  # the command that stands for no check

_BARE_QUOTE: Final = re.compile(r'(?<!\\)(?:\\\\)*"')  # one that ends the file's own quotes
_DIGITS: Final = re.compile(r"[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Check:
    """
    What is checked.

    Attributes:
        command: Ready to stand in double quotes; for a port it is what keepalived would run.
        variable: Where it comes from.
        tcp: The built-in check that is done instead.
        missing: The program is not there: the check is written down and dropped.
    """

    command: str
    variable: str
    tcp: TcpTarget | None = None
    missing: bool = False


def programs(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Check and notify programs of the environment; whoever knows the node finds out which of them are missing."""
    variables, remarks = Variables(environment), Remarks()
    read_switches(variables, remarks)
    found = (_program(_command(variables, name, remarks)) for name in (names.CHECK_SCRIPT, names.NOTIFY_SCRIPT))
    return tuple(program for program in found if program)


def read_check(variables: Variables, address: IPAddress, missing: Collection[str], remarks: Remarks) -> Check | None:
    """
    The check of this node.

    Args:
        variables: The environment.
        address: The node's, for the port.
        missing: Programs that are not there.
        remarks: Told what is mended.

    Returns:
        The check; None if there is none, and a remark says why.
    """
    if not variables.given(names.CHECK_SCRIPT):
        return _port_check(variables[names.MONITOR_PORT], address, remarks)
    command = _command(variables, names.CHECK_SCRIPT, remarks)
    if not command:
        return None
    program = _program(command)
    if program in missing:
        hint = "keys of a ConfigMap are its files; mode 0755"
        message = f"{shown(program)} cannot be run: nothing is checked, this node serves"
        remarks.insist(names.CHECK_SCRIPT, message, hint)
        return Check(command, names.CHECK_SCRIPT, missing=True) if remarks.exact else None
    return Check(command, names.CHECK_SCRIPT)


def read_notify(variables: Variables, missing: Collection[str], remarks: Remarks) -> tuple[str, bool]:
    """The notify command, ready to stand in double quotes, or empty; and whether its program is missing."""
    command = _command(variables, names.NOTIFY_SCRIPT, remarks)
    program = _program(command)
    if not program or program not in missing:
        return command, False
    remarks.insist(names.NOTIFY_SCRIPT, f"{shown(program)} cannot be run: nobody is told of transitions")
    return (command if remarks.exact else ""), True


def _command(variables: Variables, name: str, remarks: Remarks) -> str:
    """The text that stands between the double quotes of the file."""
    text = variables[name]
    if remarks.exact:
        return text
    flat = text.replace("\n", " ").strip()
    if not flat:
        if text:
            remarks.lose(name, "is blank and not used")
        return ""
    if len(flat) > COMMAND_MAX:
        remarks.lose(name, f"is longer than {COMMAND_MAX} characters and not used", "put it into a script")
        return ""
    broken = _BARE_QUOTE.search(flat) is not None
    try:
        argv = split_command(flat if broken else split_command(f'"{flat}"')[0])
    except ValueError as error:
        remarks.lose(name, f"is no command and not used: {error}")
        return ""
    if not argv or not argv[0]:
        remarks.lose(name, "names no program and is not used")
        return ""
    if broken:
        remarks.mend(name, "its quotes are read as a shell would; the old image broke the command at them")
        return flat.replace("\\", "\\\\").replace('"', '\\"')
    if "\n" in text:
        remarks.mend(name, "line breaks are read as blanks; the old image broke the configuration at them")
    return flat


def _program(command: str) -> str:
    """First word of what stands between double quotes; empty if that cannot be said."""
    try:
        whole = split_command(f'"{command}"')
        argv = split_command(whole[0])
    except ValueError:
        return ""
    return argv[0] if argv and not argv[0].startswith("</") else ""  # that form is left to the shell


def _port_check(text: str, address: IPAddress, remarks: Remarks) -> Check | None:
    variable = names.MONITOR_PORT
    runs = _DIGITS.findall(text)
    digits = "".join(runs) or names.DEFAULTS[variable]
    port = digits.lstrip("0") or "0"
    possible = len(port) <= 5 and int(port) <= PORT_MAX
    if not remarks.exact:
        if len(runs) > 1 or not possible:
            remarks.lose(variable, f"'{shown(text)}' is no port: nothing is checked, this node serves", "1 to 65535")
            return None
        if port == "0" and digits != "0":
            remarks.mend(variable, f"'{shown(text)}' is read as 0: nothing is checked", "0")
        elif port != text.strip():
            remarks.mend(variable, f"'{shown(text)}' is read as {port}", "digits only")
        digits = port
    if digits == "0":
        return Check(ALWAYS, variable)
    # A port that cannot be is never open: the command fails, as it did in the old image.
    tcp = TcpTarget(int(port), address) if possible and port != "0" else None
    return Check(f"/bin/bash -c '</dev/tcp/{address}/{digits}'", variable, tcp)
