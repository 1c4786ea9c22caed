"""Where effective values came from."""

from __future__ import annotations

import pickle

import pytest

from pyvrrp.config.load import parse_text
from pyvrrp.config.model import Configuration, Origin, OriginKind, Place, VrrpInstance

TEXT = """global_defs {
    vrrp_version 3
    vrrp_garp_master_repeat 2
    vrrp_min_garp
    vrrp_mcast_group4 224.0.0.99
    script_user nobody
    notification_email {
        a@x
    }
}
instance blue
vrrp_script chk {
    tcp_check 80
}
vrrp_instance A {
    state MASTER
    interface eth0
    virtual_router_id 51
    mcast_src_ip 192.0.2.9
    advert_int 0.505
    nopreempt
    preempt_delay 5
    authentication {
        auth_type PASS
        auth_pass x
    }
    virtual_ipaddress {
        192.0.2.1
    }
    track_script {
        chk
    }
    notify /bin/true
}
vrrp_instance B {
    use_vmac
    strict_mode
    down_timer_adverts 5
    mcast_dst_ip ff02::99
    virtual_router_id 7
}
"""


@pytest.mark.parametrize(
    ("name", "field", "origin"),
    [
        ("A", "vrid", "k.conf:18"),
        ("A", "interface", "k.conf:17"),
        ("A", "state", "k.conf:16"),
        ("A", "source", "k.conf:19"),
        ("A", "priority", "derived: state MASTER and no priority, k.conf:16"),
        ("A", "advertisement_interval_us", "derived: rounded from 0.505000 s, k.conf:20"),
        ("A", "preempt", "derived: priority 255 cancels what was said, k.conf:21"),
        ("A", "preempt_delay_us", "derived: state MASTER cancels what was said, k.conf:22"),
        ("A", "authentication", "derived: what was said cannot be used, k.conf:24"),
        ("A", "virtual_addresses", "k.conf:28"),
        ("A", "track_scripts", "k.conf:31"),
        ("A", "notify.any", "k.conf:33"),
        ("A", "version", "global_defs, k.conf:2"),
        ("A", "group", "global_defs, k.conf:5"),
        ("A", "garp.master_repeat", "global_defs, k.conf:3"),
        ("A", "garp.master_delay_us", "derived: vrrp_min_garp, k.conf:4"),
        ("A", "garp.master_refresh_repeat", "default"),
        ("A", "down_timer_adverts", "default"),
        ("B", "vmac", "k.conf:36"),
        ("B", "down_timer_adverts", "derived: RFC strictness, k.conf:38"),
        ("B", "lower_prio_no_advert", "derived: RFC strictness"),
        ("B", "version", "derived: IPv6 is version 3"),
    ],
)
def test_origins_of_instances(name: str, field: str, origin: str) -> None:
    """Also of an instance that is refused."""
    result = parse_text(TEXT, "k.conf")
    assert str(result.origins.of("vrrp_instance", name)[field]) == origin


def test_every_field_has_an_origin() -> None:
    """What `explain` asks for is there: each field of the model but names and places."""
    fields = parse_text(TEXT, "k.conf").origins.of("vrrp_instance", "A").keys()
    names = {field.partition(".")[0] for field in fields}
    assert names == set(VrrpInstance.__slots__) - {"name", "place", "interface_place"}
    assert {"garp.master_delay_us", "notify.master"} <= set(fields)


def test_origins_of_other_blocks() -> None:
    origins = parse_text(TEXT, "k.conf").origins
    assert list(origins.blocks()) == [
        ("vrrp_script", "chk"),
        ("vrrp_instance", "A"),
        ("vrrp_instance", "B"),
        ("global_defs", ""),
    ]
    settings = origins.of("global_defs")
    assert str(settings["script_user"]) == str(settings["script_group"]) == "k.conf:6"
    assert str(settings["notification_email"]) == "k.conf:8"
    assert str(settings["instance_name"]) == "k.conf:11"
    assert settings["reload.check"].kind is OriginKind.DEFAULT
    assert str(origins.of("vrrp_script", "chk")["tcp"]) == "k.conf:13"
    assert str(origins.origin("vrrp_script", "chk", "tcp")) == "k.conf:13"


def test_nothing_is_known_of_what_was_built_by_code() -> None:
    origins = Configuration().origins
    assert origins.of("vrrp_instance", "A") == {}
    assert origins.origin("vrrp_instance", "A", "priority") == Origin(OriginKind.DEFAULT)
    assert Configuration() == Configuration()


def test_configurations_are_values() -> None:
    """They can be sent to another process, origins and all."""
    result = parse_text(TEXT, "k.conf")
    copy = pickle.loads(pickle.dumps(result))
    assert copy.everything == result.everything
    assert copy.origins.of("vrrp_instance", "A") == result.origins.of("vrrp_instance", "A")


def test_texts() -> None:
    here = Place("f", 3, 4)
    assert str(Origin(OriginKind.SAID, here)) == "f:3"
    assert str(Origin(OriginKind.INHERITED, here)) == "global_defs, f:3"
    assert str(Origin(OriginKind.DERIVED, None, "priority 255")) == "derived: priority 255"
