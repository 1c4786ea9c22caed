"""The table of keywords is made of the rows, and says what the parser does."""

from __future__ import annotations

import json

from pyvrrp.config.keywords import ROWS
from pyvrrp.config.load import parse_text
from pyvrrp.config.table import State, keyword_json, keyword_table
from pyvrrp.version import __version__


def test_a_line_for_each_row() -> None:
    table = keyword_table()
    assert [(one.block, one.keyword) for one in table] == [(row.block.value, row.keyword) for row in ROWS]
    assert {one.state for one in table} == set(State)
    assert all(one.note for one in table if one.state is State.IN_PART)


def test_states() -> None:
    states = {(one.block, one.keyword): one.state for one in keyword_table()}
    assert states["vrrp_instance", "priority"] is State.WORKS
    assert states["vrrp_instance", "old_unicast_checksum"] is State.IN_PART
    assert states["vrrp_instance", "use_vmac"] is State.REFUSED
    assert states["global_defs", "enable_dbus"] is State.NO_EFFECT
    assert states["global_defs", "notify_fifo"] is State.NOT_YET
    for keyword in ("vrrp_rt_priority", "vrrp_no_swap", "vrrp_priority", "max_auto_priority"):
        assert states["global_defs", keyword] is State.WORKS


def release(version: str) -> tuple[int, ...]:
    """Its three numbers."""
    return tuple(int(number) for number in version.split(".")[:3])


def test_no_status_holds_from_the_future_on() -> None:
    released = release(__version__)
    assert all(release(one.since) <= released for one in keyword_table())


def test_json() -> None:
    first = json.loads(json.dumps(keyword_json()))[0]
    assert first == {
        "block": "the top level",
        "keyword": "instance",
        "state": "works",
        "since": "0.1.0",
        "form": "arguments on its line",
        "note": "",
        "source": "keepalived.conf(5)",
    }


def test_what_refuses_says_so_in_a_file_too() -> None:
    """The table and the parser read the same row."""
    text = "vrrp_instance I {\ninterface eth0\nvirtual_router_id 1\nuse_vmac_addr\nvirtual_ipaddress {\n192.0.2.1\n}\n}"
    assert parse_text(text).refused == ("I",)
