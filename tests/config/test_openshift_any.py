"""Any environment gives a configuration that can be run and a file that can be written, never an exception."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.config.complaints import Severity
from pyvrrp.config.load import parse_text
from pyvrrp.config.openshift import PATH, NodeFacts, programs, read_environment
from pyvrrp.config.openshift.variables import DEFAULTS, PREEMPTION

PIECES = [
    *("10.0.0.1", "10.0.0.1-5", "10.0.0.9-2", "fd00::1", "FD00::A-F", "fd00::a-c", "256", "-", "::", "/24", "%eth0"),
    *("010", "-3", "abc", "1+1", "preempt_delay 300", "nopreempt", "preempt_nodelay 300", "true", "exact", "ens3"),
    *(
        '"',
        "'",
        "{",
        "}",
        "#",
        "!",
        "\\",
        "$",
        "${_ENV X}",
        "@a",
        "~SEQ(a,1,9)",
        "include /x",
        "\n",
        "\t",
        "\udcff",
    ),
    *("state BACKUP", "version 3", "strict_mode", "use_vmac", "virtual_router_id 7", "priority 255", "interface"),
    *(" ", ",", ";", "</dev/tcp/1/2", "/bin/true", "\u00e9", "\uff0c", "x" * 1100),
]
# The system has no NUL in a variable, and of surrogates only those that stand for octets.
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
VALUES = st.one_of(st.sampled_from(PIECES), st.lists(st.sampled_from(PIECES), max_size=5).map("".join), _TEXT)
ENVIRONMENTS = st.dictionaries(st.sampled_from([*DEFAULTS, "OPENSHIFT_HA_X\n"]), VALUES, max_size=12)
NODES = st.sampled_from(
    [
        NodeFacts(),
        NodeFacts("n", {"ens3": (IPv4Address("10.0.0.35"), IPv6Address("fe80::35"))}, "ens3", frozenset({"/bin/true"})),
        NodeFacts("n", {"br-ex": (IPv4Address("10.0.0.128"),)}, "br-ex"),
        NodeFacts("n", {"br-ex": ()}, "br-ex"),
    ]
)


@given(ENVIRONMENTS, NODES, st.integers(0, 31))
@settings(deadline=None, max_examples=400)
def test_any_environment(environment: dict[str, str], node: NodeFacts, drawn: int) -> None:
    pod = read_environment(environment, node, lambda _: drawn)
    pod.text.encode("utf-8", "surrogateescape")
    assert all(programs(environment))
    for one in pod.complaints:
        assert str(one).isprintable()
        assert one.message
    names = [instance.name for instance in pod.configuration.instances]
    assert sorted(name for group in pod.groups for name in group.instances) == sorted(names)
    for instance in pod.configuration.instances:
        assert 1 <= instance.vrid <= 255
        assert 1 <= instance.priority <= 255
        for track in instance.track_scripts:
            assert pod.configuration.script(track.name) is not None
    assert {name for pair in pod.pairs for name in (pair.first, pair.second)} <= set(names)
    if pod.exact:
        return
    addresses = [line.address for one in pod.configuration.instances for line in one.virtual_addresses]
    assert len(addresses) == len(set(addresses))
    # The file is sound, whatever the values are: at most such a value itself may be called wrong.
    lines = pod.text.split("\n")
    for one in parse_text(pod.text, PATH).complaints:
        if one.severity not in (Severity.NOTE, Severity.SECURITY) and not environment.get(PREEMPTION):
            assert lines[one.place.line - 1].split()[0] in ("script", "notify", "smtp_server", "interface"), one
