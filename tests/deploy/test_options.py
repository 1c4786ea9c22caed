"""What is asked for: flags before the environment before defaults, doubts said, mistakes refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pyvrrp.config.openshift import variables
from pyvrrp.errors import UsageError
from pyvrrp.manifest.flags import FLAGS, KUBERNETES
from pyvrrp.manifest.request import Request
from tests.deploy.conftest import Print, run

IMAGE = ("kubernetes", "--image", "image:1")
VIP = ("--vip", "192.0.2.10", "--interface", "eth0")


def test_a_flag_wins_over_the_environment(printed: Print, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "OPENSHIFT_HA_VIRTUAL_IPS": "192.0.2.99",
        "OPENSHIFT_HA_CONFIG_NAME": "ours",
        "OPENSHIFT_HA_REPLICA_COUNT": "5",
        "OPENSHIFT_HA_SELECTOR": "zone=b",
        "OPENSHIFT_HA_MONITOR_PORT": "",  # as unset
        "HA_EXCLUDED_VRRP_IDS": "11 13",
        "KEEPALIVED_OPTIONS": "-D",
        "KEEPALIVED_CONFIG": "/no/effect",
        "UNRELATED": "1",
    }.items():
        monkeypatch.setenv(name, value)
    made = printed("openshift", *VIP)
    assert made.variables == {
        "OPENSHIFT_HA_CONFIG_NAME": "ours",
        "OPENSHIFT_HA_NETWORK_INTERFACE": "eth0",
        "OPENSHIFT_HA_VIRTUAL_IPS": "192.0.2.10",
        "HA_EXCLUDED_VRRP_IDS": "11 13",
        "OPENSHIFT_HA_REPLICA_COUNT": "5",
        "KEEPALIVED_OPTIONS": "-D",
    }
    assert made.of("Deployment")["spec"]["replicas"] == 5
    assert made.pod["nodeSelector"] == {"zone": "b"}
    made = printed("openshift", *VIP, "--replicas", "3", "--selector", "zone=c", "--config-name", "mine")
    assert made.variables["OPENSHIFT_HA_REPLICA_COUNT"] == "3"
    assert made.variables["OPENSHIFT_HA_CONFIG_NAME"] == "mine"
    assert made.of("Deployment")["spec"]["replicas"] == 3
    assert made.pod["nodeSelector"] == {"zone": "c"}


@pytest.mark.parametrize(
    ("words", "doubt"),
    [
        (("--vip", "10.0.0.1/24", "--interface", "eth0"), "'10.0.0.1/24' is read as 10.0.0.1"),
        (("--vip", "192.0.2.10"), "no --interface: each node takes the one it finds first"),
        ((*VIP, "--env", "OPENSHIFT_HA_USE_UNICAST=true"), "OPENSHIFT_HA_USE_UNICAST"),
        ((*VIP, "--env", "OPENSHIFT_HA_NOTIFY_SCRIPT=/etc/keepalive/a"), "nothing is mounted at /etc/keepalive"),
    ],
)
def test_doubts_are_said_and_it_is_printed(printed: Print, words: tuple[str, ...], doubt: str) -> None:
    """What a pod would say is said here, where somebody reads it."""
    made = printed("kubernetes", *words)
    assert doubt in made.doubts
    assert len(made.doubts.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "no address to serve: name one with --vip"),
        (("--vip", " , "), "nothing of it can be served"),
        (("--vip", "10.0.0.300"), "has an octet above 255; it is not served"),
        (("--vip", "192.0.2.10,host.example.com"), "is no address; it is not served"),
        ((*VIP, "--watch-port", "99999"), "is no port"),
        (("--vip", "192.0.2.10", "--vrid-offset", "255"), "256"),
        ((*VIP, "--replicas", "0"), "0 replicas"),
        ((*VIP, "--env", "OPENSHIFT_HA_REPLICA_COUNT=two"), "'two' is no number of pods"),
        ((*VIP, "--env", "novalue"), "--env novalue: NAME=VALUE is wanted"),
        ((*VIP, "--env", "a b=c"), "'a b' cannot be a variable"),
        ((*VIP, "--env", "TZ=\udcff"), "no UTF-8"),
        ((*VIP, "--name", "Edge"), "'Edge' cannot be a name"),
        ((*VIP, "--namespace", ""), "an object without a name"),
        ((*VIP, "--selector", "a b=c"), "'a b' cannot be a label"),
        ((*VIP, "--selector", "a=b c"), "'b c' cannot be a value of a label"),
        ((*VIP, "--toleration", "a:Never"), "effect 'Never' is none of NoSchedule, "),
        ((*VIP, "--host-port", "70000"), "host port 70000"),
        ((*VIP, "--health-port", "63000"), "a port on which nothing may listen"),
        ((*VIP, "--health-port", "http"), "'http' is no port"),
        ((*VIP, "--health-port", "63010", "--kind", "Deployment"), "port 63010 is the host port"),
        ((*VIP, "--memory", "lots"), "'lots' cannot be a quantity"),
        ((*VIP, "--preempt-delay", "5", "--preemption-strategy", "nopreempt"), "two words for one thing"),
        ((*VIP, "--check-script", "/nonexistent/check"), "cannot read the script /nonexistent/check: No such file"),
        ((*VIP, "--check-script", "TMP/text"), "does not begin with #!"),
        ((*VIP, "--check-script", "TMP/a/same", "--notify-script", "TMP/b/same"), "two scripts are called same"),
        ((*VIP, "--check-script", "TMP/a b"), "'a b' cannot be a file of a ConfigMap"),
        ((*VIP, "--check-script", "TMP/big"), "larger than the 1048576 octets"),
    ],
)
@pytest.mark.usefixtures("printed")
def test_mistakes_are_refused(
    words: tuple[str, ...], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With nothing printed: half a manifest would be applied."""
    for name, text in {
        "text": "exit 0",
        "a/same": "#!a",
        "b/same": "#!b",
        "a b": "#!",
        "big": "#!" + "x" * 2**20,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with pytest.raises(UsageError) as caught:
        run(*IMAGE, *(word.replace("TMP", str(tmp_path)) for word in words))
    assert why in str(caught.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("image", ["", "a b", "a\n"])
def test_an_image_is_one_word(image: str) -> None:
    with pytest.raises(UsageError, match="is no name of an image"):
        Request(target=KUBERNETES, image=image, variables={})


@pytest.mark.parametrize("field", ["target", "kind", "strategy", "liveness", "readiness", "pull_policy"])
def test_a_choice_is_one_of_few(field: str) -> None:
    words = {"target": KUBERNETES, "image": "image:1"} | {field: "other"}
    with pytest.raises(UsageError, match="'other' is none of "):
        Request(variables={}, **words)  # type: ignore[arg-type]  # mypy takes every field for what it might be


def test_flags_stand_for_variables_of_the_pod() -> None:
    assert {variable for _, variable, _, _ in FLAGS} <= set(variables.DEFAULTS)


def test_help_does_not_cost_every_command_the_whole_configuration() -> None:
    """All commands make all parsers, a probe's too."""
    code = "import sys, pyvrrp.manifest.run; print(*(m for m in sys.modules if m.startswith('pyvrrp.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("pyvrrp.manifest")}
    assert ours == {"pyvrrp.manifest", "pyvrrp.manifest.run", "pyvrrp.manifest.flags"}
    assert not any(name.startswith("pyvrrp.config") for name in done.stdout.split())


def test_scripts_need_a_place() -> None:
    with pytest.raises(UsageError, match="need a ConfigMap"):
        Request(target=KUBERNETES, image="image:1", variables={}, scripts={"a": b"#!"})
