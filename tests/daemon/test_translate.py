"""From configuration to engine: every field, each with a value that is not its default."""

from __future__ import annotations

from dataclasses import fields, replace
from ipaddress import ip_address, ip_interface

import pytest

from pyvrrp.config.model import AddressLine, Authentication, GarpSettings, Notify, Track, VrrpInstance
from pyvrrp.daemon.runtime import InstalledAddress, RuntimeState, ServedRouter
from pyvrrp.daemon.translate import claims, engine_settings, installed
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.net.system import Scope, VirtualAddress
from pyvrrp.protocol.constants import AUTH_NONE, AUTH_PASS, Family
from pyvrrp.protocol.settings import AnnouncementSettings, RouterSettings

PEER = ip_address("192.0.2.2")
OTHER = ip_address("192.0.2.3")

INSTANCE = VrrpInstance(
    name="VI_1",
    vrid=51,
    interface="eth0",
    version=2,
    state="MASTER",
    priority=150,
    advertisement_interval_us=2_000_000,
    preempt=False,
    preempt_delay_us=5_000_000,
    authentication=Authentication("PASS", b"abc"),
    source=ip_address("192.0.2.1"),
    unicast_peers=(PEER, OTHER),
    group=ip_address("224.0.0.99"),
    virtual_addresses=(
        AddressLine(
            ip_interface("192.0.2.100/24"),
            dev="eth1",
            scope=Scope.LINK,
            broadcast=ip_address("192.0.2.255"),
            label="eth1:vip",
            dad=True,
            preferred_lifetime_s=0,
            no_prefix_route=True,
            home=True,
            peer=ip_interface("192.0.2.101/32"),
        ),
        AddressLine(ip_interface("192.0.2.102/32")),
    ),
    excluded_addresses=(AddressLine(ip_interface("2001:db8::1/64")),),
    track_scripts=(Track("chk"),),
    track_interfaces=(Track("eth2"),),
    track_primary=False,
    notify=Notify(),
    garp=GarpSettings(
        master_delay_us=1, master_repeat=2, master_refresh_us=3, master_refresh_repeat=4, lower_prio_delay_us=5,
        lower_prio_repeat=6, interval_us=7, gna_interval_us=8,
    ),
    down_timer_adverts=4,
    lower_prio_no_advert=True,
    higher_prio_send_advert=True,
    checksum_without_pseudo_header=True,
    unicast_ttl=64,
    check_unicast_source=True,
    unicast_ttl_bounds=((1, 64), (63, 255)),
)  # fmt: skip

SETTINGS = InstanceSettings(
    name="VI_1",
    interface="eth0",
    router=RouterSettings(
        vrid=51,
        family=Family.V4,
        version=2,
        priority=150,
        advertisement_interval_us=2_000_000,
        preempt=False,
        preempt_delay_us=5_000_000,
        down_timer_adverts=4,
        answer_lower_priority=False,
        last_word=True,
        owner_starts_as_master=True,
    ),
    vips=(
        VirtualAddress(
            "eth1",
            ip_interface("192.0.2.100/24"),
            scope=Scope.LINK,
            broadcast=ip_address("192.0.2.255"),
            label="eth1:vip",
            dad=True,
            preferred_lifetime_s=0,
            no_prefix_route=True,
            home=True,
            peer=ip_interface("192.0.2.101/32"),
        ),
        VirtualAddress("eth0", ip_interface("192.0.2.102/32")),
    ),
    excluded=(VirtualAddress("eth0", ip_interface("2001:db8::1/64")),),
    source=ip_address("192.0.2.1"),
    group=ip_address("224.0.0.99"),
    unicast_peers=(PEER, OTHER),
    unicast_ttl=64,
    ttl_bounds={PEER: (1, 64), OTHER: (63, 255)},
    check_unicast_source=True,
    auth_type=AUTH_PASS,
    auth_data=b"abc\0\0\0\0\0",
    pseudo_header=False,
    announcements=AnnouncementSettings(
        delay_us=1, repeat=2, refresh_us=3, refresh_repeat=4, lower_delay_us=5, lower_repeat=6, arp_interval_us=7,
        na_interval_us=8,
    ),
    track_interface=False,
    awaited=frozenset({"script:chk"}),
)  # fmt: skip


def test_every_field() -> None:
    assert engine_settings(INSTANCE, "eth0", ["script:chk"]) == SETTINGS


def test_no_field_of_the_engine_is_forgotten() -> None:
    """What the test above leaves at its default is either not from the configuration, or has its own test."""
    plain = InstanceSettings("VI_1", "eth0", SETTINGS.router)
    same = {one.name for one in fields(InstanceSettings) if getattr(plain, one.name) == getattr(SETTINGS, one.name)}
    assert same == {"name", "interface", "router", "list_mismatch"}
    router = RouterSettings(1, Family.V6)
    same = {
        one.name for one in fields(RouterSettings) if getattr(router, one.name) == getattr(SETTINGS.router, one.name)
    }
    assert same == {"owner_starts_as_master", "grouped"}


def test_defaults_of_a_bare_instance() -> None:
    bare = VrrpInstance("V", 7, "eth0", virtual_addresses=(AddressLine(ip_interface("192.0.2.100/32")),))
    settings = engine_settings(bare, "eth0")
    assert settings.router == RouterSettings(7, Family.V4, version=2, owner_starts_as_master=False)
    assert (settings.auth_type, settings.auth_data) == (AUTH_NONE, b"")
    assert settings.announcements == AnnouncementSettings()
    assert settings.awaited == frozenset()
    assert settings.pseudo_header
    settings.check()


def test_a_second_burst_after_a_lower_priority_is_as_the_first_if_not_said() -> None:
    """keepalived: garp_lower_prio_* default to garp_master_*."""
    garp = GarpSettings(master_delay_us=9, master_repeat=8)
    announcements = engine_settings(replace(INSTANCE, garp=garp), "eth0").announcements
    assert (announcements.lower_delay_us, announcements.lower_repeat) == (9, 8)
    garp = replace(garp, lower_prio_delay_us=0, lower_prio_repeat=0)
    announcements = engine_settings(replace(INSTANCE, garp=garp), "eth0").announcements
    assert (announcements.lower_delay_us, announcements.lower_repeat) == (0, 0)


def test_the_interface_may_be_known_by_the_source_alone() -> None:
    settings = engine_settings(replace(INSTANCE, interface=None), "eth9")
    assert settings.interface == "eth9"
    assert [vip.interface for vip in settings.vips] == ["eth1", "eth9"]


@pytest.mark.parametrize(
    ("instance", "family"),
    [
        (INSTANCE, Family.V4),
        (VrrpInstance("V", 1, "e", virtual_addresses=(AddressLine(ip_interface("fe80::1/64")),)), Family.V6),
        (VrrpInstance("V", 1, "e", source=ip_address("2001:db8::1")), Family.V6),
        (VrrpInstance("V", 1, "e", unicast_peers=(ip_address("2001:db8::2"),)), Family.V6),
        (VrrpInstance("V", 1, "e", group=ip_address("ff02::99")), Family.V6),
        (VrrpInstance("V", 1, "e"), Family.V4),
    ],
)
def test_family(instance: VrrpInstance, family: Family) -> None:
    assert instance.family is family


def test_the_password_is_shown_nowhere() -> None:
    assert "abc" not in repr(INSTANCE)
    assert "abc" not in repr(engine_settings(INSTANCE, "eth0"))


def test_claims() -> None:
    """All addresses with their own interfaces, each once; in unicast mode the source tells routers apart."""
    multicast = replace(SETTINGS, name="VI_2", unicast_peers=(), group=None)
    assert claims([SETTINGS, multicast]) == RuntimeState(
        addresses=tuple(
            InstalledAddress(interface, ip_interface(address))
            for interface, address in (
                ("eth1", "192.0.2.100/24"), ("eth0", "192.0.2.102/32"), ("eth0", "2001:db8::1/64"),
            )
        ),
        routers=(
            ServedRouter("eth0", 51, Family.V4, "VI_1", group=None, source=ip_address("192.0.2.1")),
            ServedRouter("eth0", 51, Family.V4, "VI_2", group=ip_address("224.0.0.18"), source=None),
        ),
    )  # fmt: skip
    assert claims([]) == RuntimeState()


def test_installed() -> None:
    assert [str(address.ip) for address in installed(SETTINGS)] == ["192.0.2.100", "192.0.2.102", "2001:db8::1"]
