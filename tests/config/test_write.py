"""The model as keepalived.conf: the corpus comes back the same, and keepalived thinks no worse of it."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyvrrp.config.load import load, parse_text
from pyvrrp.config.model import Command, Configuration, GarpSettings, GlobalSettings, VrrpInstance, VrrpScript
from pyvrrp.config.write import to_keepalived
from pyvrrp.errors import UsageError
from tests.config.judge import CONFIG_ID, corpus, furnish, path_of, recorded, why_no_judge
from tests.netns import PATIENCE_S, Namespace, why_impossible

CASES = corpus()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("full", [False, True], ids=["plain", "full"])
def test_corpus_comes_back(case: str, full: bool) -> None:
    everything = load(path_of(case), config_id=CONFIG_ID).everything
    again = parse_text(to_keepalived(everything, full=full))
    assert again.everything == everything


def _asked(namespace: Namespace, path: Path) -> int:
    """What `keepalived -t` exits with, in a session of its own: 2.2.7 sends signals about."""
    with subprocess.Popen(
        namespace.command(["keepalived", "-t", "-f", str(path)]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        return process.wait(PATIENCE_S)


@pytest.mark.root
def test_keepalived_takes_what_is_written(tmp_path: Path) -> None:
    """No worse than it takes the original: whoever starts, starts; a mistake that was mended may be gone."""
    reason = why_impossible() or why_no_judge()
    if reason:
        pytest.skip(reason)
    namespace = furnish(Namespace("written"))

    def worse(case: str) -> tuple[str, int | str, int] | None:
        parsed = load(path_of(case), config_id=CONFIG_ID)
        before = recorded()[case].code
        if parsed.fatal or before not in (0, 5, 6):
            return None
        path = tmp_path / f"{case.replace('/', '-')}.conf"
        path.write_bytes(to_keepalived(parsed.everything).encode("utf-8", "surrogateescape"))
        after = _asked(namespace, path)
        # 6 is a word on script security, that a mistake (5) in the original goes before.
        return None if after in (0, 6, before) else (case, before, after)

    try:
        with ThreadPoolExecutor(3) as pool:
            assert [found for found in pool.map(worse, CASES) if found is not None] == []
    finally:
        namespace.close()


def test_text() -> None:
    text = """
global_defs {
    router_id "a b"
}

vrrp_script chk {
    script "/bin/sh -c 'echo \\"x\\"'"
    weight -20 reverse
}

vrrp_instance V1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 0.25
    version 3
    unicast_peer {
        192.0.2.2
    }
    virtual_ipaddress {
        192.0.2.100/24 dev eth1 scope link label eth1:1
        192.0.2.101
    }
    nopreempt
    track_script {
        chk weight 5 noreverse
    }
}
"""
    everything = parse_text(text).everything
    assert to_keepalived(everything).split() == text.replace("192.0.2.101", "192.0.2.101/32").split()
    assert "\n    priority 100\n" in to_keepalived(everything)


@pytest.mark.parametrize("user", ["u", None])
def test_groups_that_begin_with_a_colon(user: str | None) -> None:
    command = Command(("a",), user, ":g" if user else None)
    configuration = Configuration(globals=GlobalSettings(startup_script=command))
    assert parse_text(to_keepalived(configuration)).everything == configuration


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a\0b", "$_PWD", "${_HASH}", "a\\", "x" * 2000])
def test_what_no_line_can_hold(name: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in a line"):
        to_keepalived(Configuration(scripts=(VrrpScript(name, Command(("true",))),)))


@pytest.mark.parametrize("argv", [("x" * 2000,), ("</dev/null",), ("a\0b",)])
def test_commands_that_no_line_can_hold(argv: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="script: the command cannot stand in a line"):
        to_keepalived(Configuration(scripts=(VrrpScript("s", Command(argv)),)))


@pytest.mark.parametrize(
    "word", ["$_PWD", "${_HASH}", "$HOME", "a\tb\n", "é", "'", '"', "\\", "#!{}", "", "`~", "\\044"]
)
def test_arguments_stay_what_they_are(word: str) -> None:
    configuration = Configuration(scripts=(VrrpScript("s", Command(("true", word))),))
    assert parse_text(to_keepalived(configuration)).everything == configuration


def test_pacing_is_one_for_all() -> None:
    instances = tuple(
        VrrpInstance(name, 1, "eth0", garp=GarpSettings(interval_us=interval))
        for name, interval in (("a", 1), ("b", 2))
    )
    with pytest.raises(UsageError, match=r"garp.interval_us is one for all instances"):
        to_keepalived(Configuration(instances=instances))
