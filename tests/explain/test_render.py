"""What people and tools are shown: no file crashes it, no line is too long, no secret is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyvrrp.config.load import load
from pyvrrp.config.table import State, keyword_table
from pyvrrp.explain import keywords
from pyvrrp.explain.cluster import cluster_of
from pyvrrp.explain.diagnostics import findings_of, render
from pyvrrp.explain.document import document
from pyvrrp.explain.paint import coloured
from pyvrrp.explain.render import render_cluster, render_node
from pyvrrp.explain.routers import nodes_of
from tests.explain.nodes import CHECK, SECURE, cluster, instance, node

CONFIG = Path(__file__).parents[1] / "config"
FILES = sorted([*CONFIG.glob("corpus/**/*.conf"), *CONFIG.glob("samples/*.conf")])


def too_long(text: str) -> list[str]:
    """Lines that could have been broken: more than a sign and one word."""
    return [line for line in text.splitlines() if len(line) > 100 and len(line.split()) > 2]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CONFIG)))
def test_no_file_crashes_it(file: Path) -> None:
    parsed = load(file, config_id="node1")
    one = nodes_of([("", str(file.name), parsed)])
    text = render_node(one[0], everything=True)
    assert not too_long(text)
    assert render_node(one[0])
    excerpts = render(findings_of(parsed), {str(file): file.read_text(errors="surrogateescape")})
    assert not too_long("\n".join(line for line in excerpts.splitlines() if line.startswith(" ")))
    twice = cluster_of(nodes_of([("", "x/a.conf", parsed), ("", "x/b.conf", parsed)]))
    together = render_cluster(twice, coloured)
    assert together
    said = json.dumps(document(twice))
    for each in parsed.everything.instances:
        if each.authentication is not None:
            password = each.authentication.password.decode("latin-1")
            assert len(password) < 4 or password not in text.split()
            assert "********" in said


def test_there_are_files() -> None:
    assert len(FILES) > 300


def test_one_file() -> None:
    text = render_node(node(SECURE + CHECK + instance(" track_script {\n  chk weight -60\n }", priority=150)))
    assert text.startswith(
        """\
a.conf
  node a, 1 virtual router

vrrp_instance V: VRID 51, IPv4, VRRPv2, every 1 s
  sends                   multicast to 224.0.0.18, TTL 255
  from                    the primary address of eth0, whatever it is then
  priority                150
"""
    )
    assert "  Master_Down_Interval    3 x 1000 ms + 414.062 ms = 3414.062 ms\n" in text
    assert "    priority                  150                                       a.conf:13\n" in text
    assert "other values off or empty (--all)" in " ".join(text.split())


def test_several_files() -> None:
    texts = [
        SECURE + CHECK + instance(" track_script {\n  chk weight -60\n }", priority=priority) for priority in (150, 100)
    ]
    assert (
        render_cluster(cluster(*texts))
        == """\
a                         a.conf: nothing to complain of
b                         b.conf: nothing to complain of

VRID 51, IPv4, VRRPv2: 192.0.2.100
  node  instance  interface  priority  preempts  Skew_Time   Master_Down_Interval
  a     V         eth0       150       yes       414.062 ms  3414.062 ms
  b     V         eth0       100       yes       609.375 ms  3609.375 ms
  MASTER                  a
  when                               MASTER  within       well again
  a: dead                            b       3609.375 ms  a
  a: interface eth0 is down (FAULT)  b       3609.375 ms  a
  a: check chk fails (150 -> 90)     b       3609.375 ms  a
  check chk fails on all nodes       a                    stays so
  why so long             3609.375 ms: Master_Down_Interval
                          3609.375 ms: Master_Down_Interval: lower priorities are not listened to
  changes nothing         b: dead; b: interface eth0 is down (FAULT); b: check chk fails (100 -> 40)
"""
    )


def test_a_split_is_shown_first() -> None:
    text = render_cluster(cluster(SECURE + instance(priority=150), SECURE + instance(" version 3\n state MASTER")))
    assert "  MASTER                  a and b at once: they do not hear each other\n" in text
    assert "    ! a speaks VRRPv2 and b VRRPv3: each drops the other's [another-version]\n" in text
    assert "Traps of b.conf" in text


def test_the_document() -> None:
    one = document(cluster(SECURE + instance()))
    assert (one["format"], one["virtual_routers"], one["splits"]) == (1, [], [])
    several = json.loads(json.dumps(document(cluster(SECURE + instance(priority=150), SECURE + instance()))))
    (router,) = several["virtual_routers"]
    assert (router["vrid"], router["masters"], router["failures"][0]["after_us"]) == (51, ["a"], 3_609_375)
    timers = several["nodes"][0]["routers"][0]["timers"]
    assert (timers["skew_time_us"], timers["master_down_interval_us"]) == (414_062, 3_414_062)


def test_the_table_of_keywords() -> None:
    table = keyword_table()
    text = keywords.render(table)
    assert not [line for line in text.splitlines() if len(line) > 100]
    assert all(f"  {each.keyword} " in text for each in table)
    assert {each.keyword for each in keywords.matching(table, "auth_pass")} == {"auth_pass"}
    assert {each.block for each in keywords.matching(table, "garp_group")} >= {"garp_group"}
    assert keywords.nearest(table, "prioritty") == "priority"
    assert keywords.nearest(table, "zzzzzz") == ""
    assert f"{len(table)} keywords: " in text
    one = keywords.render([each for each in table if each.state is State.WORKS][:1], coloured)
    assert "\033[32mworks" in one
    assert one.endswith("1 keyword: 1 works\n")
