"""From the configuration's words to the engine's values; the one place that knows both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pyvrrp.config.model import AddressLine, GarpSettings, SyncGroup, VrrpInstance
from pyvrrp.daemon.runtime import InstalledAddress, RuntimeState, ServedRouter
from pyvrrp.engine.settings import InstanceSettings
from pyvrrp.net.system import VirtualAddress
from pyvrrp.protocol.constants import AUTH_DATA_LENGTH, AUTH_NONE, AUTH_PASS, PRIORITY_OWNER
from pyvrrp.protocol.settings import AnnouncementSettings, RouterSettings

if TYPE_CHECKING:
    from pyvrrp.protocol.sync_group import GroupSettings


def engine_settings(
    instance: VrrpInstance, interface: str, awaited: Iterable[str] = (), *, grouped: bool = False
) -> InstanceSettings:
    """
    What the engine is told of an instance.

    Args:
        instance: The checked block.
        interface: Its interface, also where the block names none (unicast by source address).
        awaited: Causes of which the first word is awaited before the start.
        grouped: It is a member of a sync group: the group decides when it is MASTER.
    """
    authentication = instance.authentication
    return InstanceSettings(
        name=instance.name,
        interface=interface,
        router=RouterSettings(
            vrid=instance.vrid,
            family=instance.family,
            version=instance.version,
            priority=instance.priority,
            advertisement_interval_us=instance.advertisement_interval_us,
            preempt=instance.preempt,
            preempt_delay_us=instance.preempt_delay_us,
            down_timer_adverts=instance.down_timer_adverts,
            answer_lower_priority=not instance.lower_prio_no_advert,
            last_word=instance.higher_prio_send_advert,
            owner_starts_as_master=_starts_as_master(instance) and not grouped,
            grouped=grouped,
        ),
        vips=tuple(_address(line, interface) for line in instance.virtual_addresses),
        excluded=tuple(_address(line, interface) for line in instance.excluded_addresses),
        source=instance.source,
        group=instance.group,
        unicast_peers=instance.unicast_peers,
        unicast_ttl=instance.unicast_ttl,
        ttl_bounds=dict(zip(instance.unicast_peers, instance.unicast_ttl_bounds, strict=False)),
        check_unicast_source=instance.check_unicast_source,
        auth_type=AUTH_NONE if authentication is None else AUTH_PASS,
        auth_data=b"" if authentication is None else authentication.password.ljust(AUTH_DATA_LENGTH, b"\0"),
        pseudo_header=not instance.checksum_without_pseudo_header,
        announcements=_announcements(instance.garp),
        track_interface=instance.track_primary,
        awaited=frozenset(awaited),
    )


def group_settings(group: SyncGroup, instances: Mapping[str, VrrpInstance]) -> GroupSettings:
    """
    What the engine is told of a sync group.

    Args:
        group: The checked block; each of its members is run.
        instances: These, by name.
    """
    from pyvrrp.protocol.sync_group import GroupSettings  # noqa: PLC0415  not at the start of who has no group

    return GroupSettings(
        name=group.name,
        members=group.members,
        owners_start_as_master=all(
            instances[name].priority == PRIORITY_OWNER and _starts_as_master(instances[name]) for name in group.members
        ),
        may_part=group.may_part,
    )


def _starts_as_master(instance: VrrpInstance) -> bool:
    return instance.state == "MASTER"


def claims(settings: Iterable[InstanceSettings]) -> RuntimeState:
    """
    What the daemon claims in its state file: written before the engine may install anything.

    What is in several of *settings*, as before and after a reload, is claimed once: the same claims, the same state.
    """
    addresses: dict[InstalledAddress, None] = {}
    routers: dict[ServedRouter, None] = {}
    for one in settings:
        for address in installed(one):
            addresses[InstalledAddress(address.interface, address.address)] = None
        router = ServedRouter(
            interface=one.interface,
            vrid=one.router.vrid,
            family=one.router.family,
            instance=one.name,
            group=one.destination,
            source=one.source if one.unicast_peers else None,
        )
        routers[router] = None
    return RuntimeState(tuple(addresses), tuple(routers))


def installed(settings: InstanceSettings) -> tuple[VirtualAddress, ...]:
    """All addresses that an instance installs."""
    return (*settings.vips, *settings.excluded)


def _address(line: AddressLine, interface: str) -> VirtualAddress:
    return VirtualAddress(
        interface=line.dev or interface,
        address=line.address,
        scope=line.scope,
        broadcast=line.broadcast,
        label=line.label,
        dad=line.dad,
        preferred_lifetime_s=line.preferred_lifetime_s,
        no_prefix_route=line.no_prefix_route,
        home=line.home,
        peer=line.peer,
        manage_temporary=line.manage_temporary,
        autojoin=line.autojoin,
        tracked=not line.no_track,
    )


def _announcements(garp: GarpSettings) -> AnnouncementSettings:
    lower_delay_us, lower_repeat = garp.lower_prio_delay_us, garp.lower_prio_repeat
    return AnnouncementSettings(
        delay_us=garp.master_delay_us,
        repeat=garp.master_repeat,
        refresh_us=garp.master_refresh_us,
        refresh_repeat=garp.master_refresh_repeat,
        lower_delay_us=garp.master_delay_us if lower_delay_us is None else lower_delay_us,
        lower_repeat=garp.master_repeat if lower_repeat is None else lower_repeat,
        arp_interval_us=garp.interval_us,
        na_interval_us=garp.gna_interval_us,
    )
