"""`[ADDRESS:]PORT`, on the command line and in the pod's environment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvrrp.config.complaints import Severity
from pyvrrp.config.listening import read_listening
from pyvrrp.config.openshift import NodeFacts, health_of, read_environment

VARIABLE = "PYVRRP_HEALTH_PORT"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080", "127.0.0.1:8080"),
        (" 1 ", "127.0.0.1:1"),
        ("65535", "127.0.0.1:65535"),
        ("0.0.0.0:8080", "0.0.0.0:8080"),
        ("192.0.2.1:08080", "192.0.2.1:8080"),
        ("[::]:8080", "[::]:8080"),
        ("[2001:DB8::1]:80", "[2001:db8::1]:80"),
    ],
)
def test_good(text: str, expected: str) -> None:
    assert str(read_listening(text)) == expected
    assert str(health_of({VARIABLE: text})) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http", "is no port, and no address with one"),
        ("", "is no port"),
        ("-1", "is no port"),
        ("80 81", "is no port"),
        ("8080/tcp", "is no port"),
        ("localhost:8080", "is no port, and no address with one"),
        ("::1:8080", "is no port"),
        ("[]:8080", "is no port"),
        ("٨٠", "is no port"),
        ("0", "a port that cannot be: 1 to 65535"),
        ("65536", "a port that cannot be: 1 to 65535"),
        ("999999", "is no port"),
        ("256.0.0.1:80", "an address that cannot be"),
        ("[::1::2]:80", "an address that cannot be"),
        ("[1.2.3.4]:80", "an address that cannot be"),
        ("224.0.0.18:80", "an address that no node has alone"),
        ("[ff02::12]:80", "an address that no node has alone"),
        ("63000", "nothing may listen: two pods are kept off one node by it"),
        ("0.0.0.0:1985", "nothing may listen: the image declares it"),
    ],
)
def test_bad(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_listening(text)


@given(st.text())
def test_any_text(text: str) -> None:
    """It is read or refused in one way."""
    try:
        found = read_listening(text)
    except ValueError:
        return
    assert read_listening(str(found)) == found


@pytest.mark.parametrize("mode", [{}, {"PYVRRP_COMPAT": "exact"}], ids=["mended", "exact"])
def test_in_a_pod(mode: dict[str, str]) -> None:
    """The old image has nothing like it, so that exactness does not forbid it; nonsense is one error."""
    environment = {"OPENSHIFT_HA_VIRTUAL_IPS": "10.0.0.1", **mode}

    def read(**more: str) -> tuple[str, list[str]]:
        pod = read_environment({**environment, **more}, NodeFacts("node", {"eth1": ()}), lambda _: 0)
        said = [one for one in pod.complaints if one.place.file == VARIABLE]
        assert all(one.severity is Severity.ERROR for one in said)
        return str(pod.health), [str(one) for one in said]

    assert read() == ("None", [])
    assert read(**{VARIABLE: ""}) == ("None", [])
    assert read(**{VARIABLE: "8080"}) == ("127.0.0.1:8080", [])
    assert read(**{VARIABLE: "on"}) == (
        "None",
        [
            (
                f"{VARIABLE}:1:1: 'on' is no port, and no address with one; nobody can ask over HTTP"
                " (8080, for example, or 192.0.2.1:8080)"
            )
        ],
    )
    assert health_of({VARIABLE: "on"}) is None
