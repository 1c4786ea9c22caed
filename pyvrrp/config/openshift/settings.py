"""
The variables that are words and numbers: the name, the counts, preemption, mail.

Where the old image is followed to the letter, what it writes into the file is passed on as it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pyvrrp.config.complaints import Severity, shown
from pyvrrp.config.keywords import INCLUDES
from pyvrrp.config.load import parse_text
from pyvrrp.config.openshift import variables as names
from pyvrrp.config.openshift.shell import arithmetic, count
from pyvrrp.config.openshift.variables import Remarks, Variables
from pyvrrp.protocol.constants import AUTH_DATA_LENGTH, US_PER_S

WORD_MAX: Final = 200  # characters; more than any name needs, and far from the longest line that is read
INTERVAL_MAX_S: Final = 4294  # keepalived keeps microseconds in 32 bits

_MARK: Final = 4711  # a value that nobody sets
_SCRUBBED: Final = re.compile(r"[^A-Za-z0-9_-]")
_PLAIN: Final = re.compile(r"[^\s\"'{}#!$\\@~][^\s\"'{}#!$\\]*")  # stands for itself anywhere in the file
_FIRST_WORD: Final = re.compile(r"[ \t]*(?:\"(?P<quoted>[^\"\n\\]*)\"|(?P<bare>[^\s\"{}#!]+))")  # as keepalived reads
_ROUTER_ID: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_SECONDS: Final = re.compile(r"\s*\+?([0-9]{1,9})\s*", re.ASCII)
_VAIN_WHERE_MASTER: Final = re.compile(r"\s*(?:preempt_delay\s+[0-9.]+|nopreempt)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What was read.

    Attributes:
        scrubbed: The name as router id and in the instances' names.
        check_name: Name of the check.
        password: As it stands after `auth_pass`; None for no authentication.
        emails: Where mail would go.
        smtp_server: Through which server.
        wanted_groups: Number of groups; not above 0 is one for each address.
        offset: Added to a group's number gives its id.
        excluded: Ids that are passed over, as text.
        replicas: Number of nodes, at least 1.
        preemption: Line for each instance, empty for none.
        nopreempt: It is exactly that word, by which priorities differ.
        vain_where_master: The line does nothing under `state MASTER`.
        interval: The check's interval as it is written.
        interval_us: As it is meant.
    """

    scrubbed: str
    check_name: str
    password: str | None
    emails: tuple[str, ...]
    smtp_server: str
    wanted_groups: int
    offset: int
    excluded: frozenset[str]
    replicas: int
    preemption: str
    nopreempt: bool
    vain_where_master: bool
    interval: str
    interval_us: int


def read_settings(variables: Variables, remarks: Remarks) -> Settings:
    """Read them all."""
    exact = remarks.exact
    scrubbed, check_name, password = _names(variables[names.CONFIG_NAME], remarks)
    preemption = variables[names.PREEMPTION]
    seconds = _interval(variables[names.CHECK_INTERVAL], remarks)
    return Settings(
        scrubbed=scrubbed,
        check_name=check_name,
        password=password,
        emails=_emails(variables, remarks),
        smtp_server=_smtp_server(variables, remarks),
        wanted_groups=_wanted_groups(variables[names.VIP_GROUPS], remarks),
        offset=_offset(variables[names.VRRP_ID_OFFSET], remarks),
        excluded=_excluded(variables[names.EXCLUDED_VRRP_IDS], remarks),
        replicas=_replicas(variables[names.REPLICA_COUNT], remarks),
        preemption=preemption if exact else _preemption(preemption, remarks),
        nopreempt=preemption == "nopreempt",
        vain_where_master=bool(_VAIN_WHERE_MASTER.fullmatch(preemption)),
        interval=variables[names.CHECK_INTERVAL] if exact else str(seconds),
        interval_us=seconds * US_PER_S,
    )


def is_plain(text: str) -> bool:
    """It can stand anywhere in a configuration, also as first word of a line."""
    return len(text) <= WORD_MAX and bool(_PLAIN.fullmatch(text)) and text not in INCLUDES


def _names(name: str, remarks: Remarks) -> tuple[str, str, str | None]:
    scrubbed = _SCRUBBED.sub("", name).replace("-", "_")
    check_name = "chk_" + name.replace("-", "_")
    if remarks.exact:
        return scrubbed, check_name, name
    variable = names.CONFIG_NAME
    if len(scrubbed) > WORD_MAX:
        scrubbed = scrubbed[:WORD_MAX]
        remarks.mend(variable, f"is longer than {WORD_MAX} characters; the names made of it are cut")
    if not scrubbed:
        remarks.mend(variable, "holds no letter or digit: the instances are called _VIP_1 and so on")
    if is_plain(name):
        cut = _cut(name)
        if cut != name:
            remarks.note(variable, f"its first {AUTH_DATA_LENGTH} characters are the password of the advertisements")
        return scrubbed, check_name, cut
    match = _FIRST_WORD.match(name)
    word = (match["quoted"] or match["bare"] or "") if match else ""
    password = _cut(word or scrubbed)
    remarks.mend(
        variable,
        f"could break the configuration: the check is called chk_{scrubbed}, and the password is"
        + (" the first word, as keepalived reads it" if word else " made of the letters and digits"),
        "letters, digits, - and _",
    )
    if not password:
        return scrubbed, f"chk_{scrubbed}", None
    if "\\" in password:  # never quoted, where it would mean something; the comment keeps it from the line's end
        return scrubbed, f"chk_{scrubbed}", f"{password} !"
    return scrubbed, f"chk_{scrubbed}", password if is_plain(password) else f'"{password}"'


def _cut(password: str) -> str:
    octets = password.encode("utf-8", "surrogateescape")
    return octets[:AUTH_DATA_LENGTH].decode("utf-8", "surrogateescape")


def _emails(variables: Variables, remarks: Remarks) -> tuple[str, ...]:
    emails = variables[names.ADMIN_EMAILS].split()
    if remarks.exact:
        return tuple(emails)
    bad = [email for email in emails if not is_plain(email)]
    if bad:
        remarks.lose(names.ADMIN_EMAILS, f"'{shown(' '.join(bad))}' is no mail address and left out")
    return tuple(email for email in emails if email not in bad)


def _smtp_server(variables: Variables, remarks: Remarks) -> str:
    server = variables[names.SMTP_SERVER]
    if remarks.exact:
        return server
    words = server.split()
    if not words or not all(is_plain(word) for word in words):
        remarks.lose(names.SMTP_SERVER, f"'{shown(server)}' is no server and left out")
        return ""
    return " ".join(words)


def _wanted_groups(text: str, remarks: Remarks) -> int:
    wanted = count(text) if text else 0
    if wanted is None:
        remarks.lose(names.VIP_GROUPS, f"'{shown(text)}' is no number; every address is a group of its own")
        return 0
    if wanted < 0:
        remarks.mend(names.VIP_GROUPS, f"{wanted} is read as 0: every address is a group of its own")
    return wanted


def _replicas(text: str, remarks: Remarks) -> int:
    replicas = count(text)
    if replicas is None:
        remarks.lose(names.REPLICA_COUNT, f"'{shown(text)}' is no number; 1 is used", "the number of pods")
        return 1
    if replicas < 1:
        remarks.mend(names.REPLICA_COUNT, f"{replicas} is read as 1", "the number of pods")
    return max(replicas, 1)


def _offset(text: str, remarks: Remarks) -> int:
    offset = arithmetic(text)
    variable = names.VRRP_ID_OFFSET
    if offset is None:
        offset = count(text)
        if offset is None:
            offset = int(names.DEFAULTS[variable])
            remarks.insist(variable, f"'{shown(text)}' is no number; {offset} is used", "0 to 254")
        else:
            remarks.mend(variable, f"'{shown(text)}' is read as {offset}", "no leading zeros")
    elif str(offset) != text.strip():
        remarks.mend(variable, f"'{shown(text)}' is read as {offset}, as the shell of the old image did", "0 to 254")
    return offset


def _excluded(text: str, remarks: Remarks) -> frozenset[str]:
    excluded = [item for item in text.split(" ") if item]
    vain = [item for item in excluded if not _ROUTER_ID.fullmatch(item)]
    if vain:
        remarks.lose(
            names.EXCLUDED_VRRP_IDS,
            f"'{shown(' '.join(vain))}' excludes nothing, and must not: other nodes might count otherwise",
            "ids with a blank between them",
        )
    return frozenset(excluded)


def _preemption(text: str, remarks: Remarks) -> str:
    variable = names.PREEMPTION
    if text.split()[:1] == ["preempt_nodelay"]:
        remarks.mend(
            variable, "preempt_nodelay is no keyword; its place in the election is taken at once", "leave it out"
        )
        return ""
    if not _fits(text):
        remarks.lose(variable, "cannot be part of an instance and is not used; its place is taken at once")
        return ""
    if text != "nopreempt" and text.strip() == "nopreempt":
        remarks.mend(variable, "nopreempt has no effect where this node is preferred", "no blanks around it")
    return text


def _fits(text: str) -> bool:
    """The lines leave an instance as whole as it was: what follows them is still read, and read as part of it."""
    head = "interface probe0\nvirtual_router_id 1\nvirtual_ipaddress {\n192.0.2.1\n}"
    probe = parse_text(f"vrrp_instance probe {{\n{head}\n{text}\ngarp_master_repeat {_MARK}\n}}\n")
    if any(one.severity in (Severity.UNUSABLE, Severity.MISSING) for one in probe.complaints):
        return False
    marked = [instance.name for instance in probe.configuration.instances if instance.garp.master_repeat == _MARK]
    return marked == ["probe"] or "probe" in probe.refused


def _interval(text: str, remarks: Remarks) -> int:
    match = _SECONDS.fullmatch(text)
    seconds = int(match[1]) if match else -1
    if not 0 <= seconds <= INTERVAL_MAX_S:
        remarks.lose(names.CHECK_INTERVAL, f"'{shown(text)}' cannot be used; 1 second is", "whole seconds")
        return 1
    if not seconds:
        remarks.mend(names.CHECK_INTERVAL, "0 is read as 1 second")
    return max(seconds, 1)
