"""`keepalived.json`: state, configuration and counters of each instance, as keepalived writes them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pyvrrp.config.model import Notify
from pyvrrp.daemon.dumps import words
from pyvrrp.daemon.dumps.data import addresses, script_words
from pyvrrp.daemon.dumps.picture import NUMBERS, Picture, Router
from pyvrrp.protocol.constants import US_PER_S
from pyvrrp.protocol.states import State

_AUTHENTICATION: Final[Mapping[str, int]] = {"PASS": 1, "AH": 2}


def text(picture: Picture) -> str:
    """
    The whole file: one line.

    Slashes are escaped as keepalived escapes them, for those who read it with text tools.
    """
    instances = [{"data": _data(one, picture), "stats": one.statistics.by_name()} for one in picture.routers]
    of_version_2 = picture.configuration.globals.files.json_version == 2
    whole = {"vrrp": instances, "track_process": []} if of_version_2 else instances
    return json.dumps(whole, separators=(",", ":")).replace("/", "\\/") + "\n"


def _data(one: Router, picture: Picture) -> dict[str, Any]:
    instance, status, plan = one.instance, one.status, one.settings.announcements
    there, said = set(status.addresses), instance.authentication if status.version == 2 else None
    scripts = {script.name: script for script in picture.configuration.scripts}
    lists = {
        "vips": list(addresses(one, there)),
        "evips": list(addresses(one, there, excluded=True)),
        "vroutes": [words.route(route) for route in instance.routes],
        "vrules": [words.rule(rule) for rule in instance.rules],
        "track_ifp": [check.name for check in one.interfaces],
        "track_script": [script_words(scripts[check.name]) for check in one.scripts],
        "track_process": [track.name for track in instance.track_processes],
    }
    return {
        "iname": instance.name,
        "dont_track_primary": int(not instance.track_primary),
        "skip_check_adv_addr": int(instance.skip_address_check),
        "strict_mode": int(instance.strict),
        "vmac_ifname": "",
        "ifp_ifname": status.interface,
        "master_priority": 0 if status.state is State.MASTER else status.master_priority or 0,
        "last_transition": one.since_us / US_PER_S,
        "garp_delay": _number(plan.delay_us),
        "garp_refresh": _number(plan.refresh_us),
        "garp_rep": plan.repeat,
        "garp_refresh_rep": plan.refresh_repeat,
        "garp_lower_prio_delay": _number(plan.lower_delay_us),
        "garp_lower_prio_rep": plan.lower_repeat,
        "lower_prio_no_advert": int(instance.lower_prio_no_advert),
        "higher_prio_send_advert": int(instance.higher_prio_send_advert),
        "vrid": status.vrid,
        "base_priority": status.base_priority,
        "effective_priority": status.effective_priority,
        "vipset": status.state is State.MASTER,
        "promote_secondaries": instance.promote_secondaries,
        "adver_int": _number(status.advertisement_interval_us),
        "master_adver_int": _number(status.master_adver_interval_us),
        "accept": int(instance.accept),
        "nopreempt": not instance.preempt,
        "preempt_delay": instance.preempt_delay_us // US_PER_S,
        "state": NUMBERS[one.state],
        "wantstate": NUMBERS[one.wanted],
        "version": status.version,
        "smtp_alert": one.smtp,
        "notify_deleted": instance.notify_deleted,
        **dict(_programs(instance.notify)),
        **{name: items for name, items in lists.items() if items},
        "auth_type": 0 if said is None else _AUTHENTICATION[said.auth_type],
        **({} if said is None else {"auth_data": words.SECRET}),
    }


def _programs(notify: Notify) -> Iterator[tuple[str, str]]:
    for name, command in (
        ("script_backup", notify.backup),
        ("script_master", notify.master),
        ("script_fault", notify.fault),
        ("script_stop", notify.stop),
        ("script_deleted", notify.deleted),
        ("script", notify.any),
        ("script_master_rx_lower_pri", notify.lower_priority),
    ):
        if command is not None:
            yield name, words.program(command.argv)


def _number(us: int) -> int | float:
    """Seconds, without a fraction if there is none: readers expect whole numbers."""
    return us // US_PER_S if us % US_PER_S == 0 else us / US_PER_S
