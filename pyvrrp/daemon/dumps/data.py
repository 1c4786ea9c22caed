"""`keepalived.data`: the configuration and the state of everything, line by line as keepalived writes it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pyvrrp.config.model import Notify, Route, Rule, SyncGroup, Track, VrrpInstance, VrrpScript
from pyvrrp.daemon.dumps import definitions, words
from pyvrrp.daemon.dumps.picture import WORDS, Picture, Router, state_of
from pyvrrp.daemon.tracking import Check
from pyvrrp.net.system import Link
from pyvrrp.protocol.constants import US_PER_S, Family, IPAddress
from pyvrrp.protocol.states import State

_NONE: Final = {Family.V4: "0.0.0.0", Family.V6: "::"}  # noqa: S104  what keepalived shows for no address

_NOT_TRACKED: Final = 255  # what keepalived shows for `dont_track_primary`

_AUTHENTICATION: Final[Mapping[str, str]] = {"PASS": "SIMPLE_PASSWORD", "AH": "IPSEC_AH"}


def text(picture: Picture) -> str:
    """The whole file."""
    return "\n".join(_lines(picture)) + "\n"


def parents(picture: Picture) -> str:
    """`keepalived_parent.data`: the global definitions as keepalived's parent knows them."""
    return "\n".join(definitions.lines(picture, parent=True)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield from definitions.lines(picture, parent=False)
    configuration = picture.configuration
    yield "------< VRRP Topology >------"
    for one in picture.routers:
        yield from _router(one, picture)
    yield "------< VRRP Sockpool >------"
    yield from _sockets(picture.routers)
    groups = [group for group in configuration.sync_groups if picture.members(group)]
    if groups:
        yield "------< VRRP Sync groups >------"
        for group in groups:
            yield from _group(group, picture)
    if scripts := [script for script in configuration.scripts if picture.watchers(script.name)]:
        yield "------< VRRP Scripts >------"
        for script in scripts:
            yield from _script(script, picture)
    if configuration.track_files:
        yield "------< VRRP Track files >------"
        for file in configuration.track_files:
            yield f" Track file = {file.name}"
            yield f"   File = {file.path}"
            yield f"   Weight = {file.weight}{_reverse(file.reverse)}"
    if configuration.track_processes:
        yield "------< VRRP Track processes >------"
        for process in configuration.track_processes:
            yield f" VRRP Track process = {process.name}"
            yield f"   Process = {' '.join(process.process)}"
            yield f"   Min processes = {process.quorum}"
            yield f"   Weight = {process.weight}{_reverse(process.reverse)}"
    yield "------< Interfaces >------"
    for link in picture.links:
        yield from _link(link, picture)


def _enabled(value: object) -> str:
    return "enabled" if value else "disabled"


def _truth(value: object) -> str:
    return "true" if value else "false"


def _reverse(value: object) -> str:
    return " reverse" if value else ""


# An instance


def _router(one: Router, picture: Picture) -> Iterator[str]:
    instance, status = one.instance, one.status
    yield f" VRRP Instance = {instance.name}"
    yield f"   VRRP Version = {status.version}"
    if one.group is not None:
        yield f"   Sync group = {one.group}"
    if status.family is Family.V6:
        yield "   Using Native IPv6"
    yield f"   State = {WORDS[one.state]}"
    if one.state is State.BACKUP:
        yield f"   Master router = {_NONE[status.family] if status.master is None else status.master}"
        yield f"   Master priority = {status.master_priority or 0}"
        if status.version == 3:
            yield f"   Master advert int = {status.master_adver_interval_us / US_PER_S:.2f} sec"
    yield from _flags(instance)
    yield f"   Wantstate = {WORDS[one.wanted]}"
    yield "   Number of config faults = 0"
    yield f"   Number of interface and track script faults = {len(status.faults)}"
    yield f"   Number of track scripts init = {len(status.held)}"
    yield f"   Last transition = {words.moment(one.since_us)}"
    yield f"   Read timeout = {'DISABLED' if one.wakes_us is None else words.moment(one.wakes_us)}"
    yield f"   Master down timer = {status.master_down_interval_us} usecs"
    yield f"   Interface = {status.interface}"
    if not instance.track_primary:
        yield "   VRRP interface tracking disabled"
    if instance.skip_address_check:
        yield "   Skip checking advert IP addresses"
    if instance.strict:
        yield "   Enforcing strict VRRP compliance"
    yield f"   Using src_ip = {_source(one)}"
    if (group := one.settings.destination) is not None:
        index = next((link.index for link in picture.links if link.name == status.interface), 0)
        yield f"   Multicast address {group}" + (f", ifindex {index}" if group.version == 6 else "")
    yield from _timers(one)
    yield from _authentication(one)
    yield from _addresses(one)
    yield from _unicast(one)
    yield "   fd_in -1, fd_out -1"
    yield from _listed("Virtual Routes :", map(words.route, _routes(instance)))
    yield from _listed("Virtual Rules :", map(words.rule, _rules(instance)))
    yield from _tracked(one, picture)
    yield f"   Using smtp notification = {'yes' if one.smtp else 'no'}"
    yield f"   Notify deleted = {'Deleted' if instance.notify_deleted else 'Fault'}"
    yield from _programs(instance.notify, picture)
    yield f"   Notify priority changes = {_truth(instance.notify_priority_changes)}"


def _routes(instance: VrrpInstance) -> tuple[Route, ...]:
    return instance.routes


def _rules(instance: VrrpInstance) -> tuple[Rule, ...]:
    return instance.rules


def _listed(heading: str, items: Iterable[str]) -> Iterator[str]:
    """A list under its heading; nothing if it is empty."""
    for number, item in enumerate(items):
        if number == 0:
            yield f"   {heading}"
        yield f"     {item}"


def _flags(instance: VrrpInstance) -> Iterator[str]:
    """keepalived names some of its flags, and of the others says only that there are any."""
    others = (
        not instance.preempt,
        not instance.track_primary,
        instance.skip_address_check,
        instance.promote_secondaries,
        instance.vmac is not None,
    )
    if not instance.unicast and not any(others):
        yield "   Flags: none"
        return
    yield "   Flags:"
    if instance.unicast:
        yield "     Using unicast"


def _source(one: Router) -> str:
    if one.instance.source is not None:
        return f"{one.instance.source} (from configuration)"
    return _NONE[one.status.family] if one.status.source is None else str(one.status.source)


def _timers(one: Router) -> Iterator[str]:
    instance, status = one.instance, one.status
    yield from _announcements(one)
    yield f"   Down timer adverts = {instance.down_timer_adverts}"
    yield f"   Send advert after receive lower priority advert = {_truth(not instance.lower_prio_no_advert)}"
    yield f"   Send advert after receive higher priority advert = {_truth(instance.higher_prio_send_advert)}"
    yield f"   Virtual Router ID = {status.vrid}"
    yield f"   Priority = {status.base_priority}"
    yield f"   Effective priority = {status.effective_priority}"
    yield f"   Total priority = {status.effective_priority}"
    if status.version == 2:
        yield f"   Advert interval = {words.seconds(status.advertisement_interval_us)} sec"
    else:
        yield f"   Advert interval = {status.advertisement_interval_us // 1000} milli-sec"
        if one.state is State.BACKUP:
            yield f"   Master advert interval = {status.master_adver_interval_us // 1000} milli-sec"
    yield f"   Accept = {_enabled(instance.accept)}"
    yield f"   Preempt = {_enabled(instance.preempt)}"
    if instance.preempt_delay_us:
        yield f"   Preempt delay = {words.seconds(instance.preempt_delay_us)} secs"
    yield f"   Promote_secondaries = {_enabled(instance.promote_secondaries)}"


def _announcements(one: Router) -> Iterator[str]:
    plan = one.settings.announcements
    yield f"   Gratuitous ARP delay = {words.seconds(plan.delay_us)}"
    yield f"   Gratuitous ARP repeat = {plan.repeat}"
    yield f"   Gratuitous ARP refresh = {words.seconds(plan.refresh_us)}"
    yield f"   Gratuitous ARP refresh repeat = {plan.refresh_repeat}"
    yield f"   Gratuitous ARP lower priority delay = {words.seconds(plan.lower_delay_us)}"
    yield f"   Gratuitous ARP lower priority repeat = {plan.lower_repeat}"


def _authentication(one: Router) -> Iterator[str]:
    if one.status.version != 2:
        return
    said = one.instance.authentication
    yield f"   Authentication type = {'none' if said is None else _AUTHENTICATION[said.auth_type]}"
    if said is not None and said.auth_type == "PASS":
        yield f"   Password = {words.SECRET}"


def _addresses(one: Router) -> Iterator[str]:
    instance, there = one.instance, set(one.status.addresses)
    yield from _listed(f"Virtual IP ({len(instance.virtual_addresses)}):", addresses(one, there))
    yield from _listed("Virtual IP Excluded :", addresses(one, there, excluded=True))


def addresses(one: Router, there: set[IPAddress], *, excluded: bool = False) -> Iterator[str]:
    """The addresses of an instance, or those that are not advertised."""
    instance = one.instance
    for line in instance.excluded_addresses if excluded else instance.virtual_addresses:
        yield words.address(line, one.status.interface, installed=line.address.ip in there)


def _unicast(one: Router) -> Iterator[str]:
    instance = one.instance
    if not instance.unicast:
        return
    if instance.unicast_ttl is not None or one.status.family is Family.V4:
        yield f"   Unicast TTL = {255 if instance.unicast_ttl is None else instance.unicast_ttl}"
    yield f"   Check unicast src : {'yes' if instance.check_unicast_source else 'no'}"
    bounds = instance.unicast_ttl_bounds or ((0, 255),) * len(instance.unicast_peers)
    peers = zip(instance.unicast_peers, bounds, strict=True)
    yield from _listed("Unicast Peer :", (f"{peer} min_ttl {least} max_ttl {most}" for peer, (least, most) in peers))
    yield f"   Unicast checksum compatibility = {instance.old_unicast_checksum or 'no'}"


def _tracked(one: Router, picture: Picture) -> Iterator[str]:
    instance, configuration = one.instance, picture.configuration
    yield from _listed("Tracked interfaces :", map(_weighted, one.interfaces))
    yield from _listed("Tracked scripts :", map(_weighted, one.scripts))
    files = {file.name: file.weight for file in configuration.track_files}
    yield from _listed("Tracked files :", (_track(track, files) for track in instance.track_files))
    processes = {process.name: process.weight for process in configuration.track_processes}
    yield from _listed("Tracked processes :", (_track(track, processes) for track in instance.track_processes))


def _weighted(check: Check) -> str:
    return f"{check.name} weight {check.weight}{_reverse(check.reverse)}"


def _track(track: Track, weights: Mapping[str, int]) -> str:
    weight = weights.get(track.name, 0) if track.weight is None else track.weight
    return f"{track.name}, weight {weight}{_reverse(track.reverse)}"


def _programs(notify: Notify, picture: Picture) -> Iterator[str]:
    for what, command in (
        ("Backup", notify.backup),
        ("Master", notify.master),
        ("Fault", notify.fault),
        ("Stop", notify.stop),
        ("Deleted", notify.deleted),
        ("Generic", notify.any),
        ("Master rx lower pri", notify.lower_priority),
    ):
        if command is not None:
            identity = picture.identity(command)
            yield f"   {what} state transition script = {words.program(command.argv)}, uid:gid {identity}"


# The rest


def _sockets(routers: Iterable[Router]) -> Iterator[str]:
    """One for each interface, family and way of sending, and who uses it."""
    pools: dict[tuple[str, Family, IPAddress | None, IPAddress | None], list[Router]] = {}
    for one in routers:
        own = one.status.source if one.instance.unicast else None
        pools.setdefault((one.status.interface, one.status.family, one.settings.destination, own), []).append(one)
    for (interface, family, destination, source), users in pools.items():
        yield " fd_in -1 fd_out = -1"
        yield f"   Interface = {interface}"
        yield f"   Family = IPv{family:d}"
        yield "   Protocol = VRRP"
        yield f"   Type = {'Unicast' if destination is None else 'Multicast'}"
        if destination is None:
            yield f"   Address = {source}"
        yield "   Rx buf size = 0"
        yield "   VRRP instances"
        yield from (f"     {one.instance.name} vrid {one.status.vrid}" for one in users)


def _group(group: SyncGroup, picture: Picture) -> Iterator[str]:
    members, settings = picture.members(group), picture.configuration.globals
    alert = next(
        (one for one in (group.smtp_alert, settings.smtp_alert_vrrp, settings.smtp_alert) if one is not None), False
    )
    faults = sum(bool(one.status.faults) for one in members)
    yield f" VRRP Sync Group = {group.name}, {WORDS[state_of(members)]}"
    yield f"   Num member fault {faults}, num member init {sum(bool(one.status.held) for one in members)}"
    yield from _listed("VRRP member instances :", (one.instance.name for one in members))
    if group.tracking_weight:
        yield "   sync group tracking weight set"
    yield f"   Using smtp notification = {'yes' if alert else 'no'}"
    scripts = {script.name: script.weight for script in picture.configuration.scripts}
    interfaces = (f"{track.name} weight {track.weight or 0}" for track in group.track_interfaces)
    yield from _listed("Tracked interfaces :", interfaces)
    yield from _listed("Tracked scripts :", (_track(track, scripts).replace(",", "") for track in group.track_scripts))
    yield from _programs(group.notify, picture)


def _script(script: VrrpScript, picture: Picture) -> Iterator[str]:
    watchers = picture.watchers(script.name)
    up = watchers[0][1].up
    yield f" VRRP Script = {script.name}"
    yield f"   Command = {script_words(script)}"
    yield f"   Interval = {words.seconds(script.interval_us)} sec"
    yield f"   Timeout = {words.seconds(script.timeout_us or 0)} sec"
    yield f"   Weight = {script.weight}{_reverse(script.reverse)}"
    yield f"   Rise = {script.rise}"
    yield f"   Fall = {script.fall}"
    yield f"   Result = {script.rise + script.fall - 1 if up else 0}"
    yield "   Insecure = no"
    yield f"   Init state = {'INIT' if up is None else 'unknown'}"
    yield f"   Status = {'GOOD' if up else 'BAD'}"
    if script.command is not None:
        yield f"   Script uid:gid = {picture.identity(script.command)}"
    yield "   VRRP instances :"
    yield from _listed(
        "Tracking instances :",
        (f"{one.instance.name}, weight {check.weight}{_reverse(check.reverse)}" for one, check in watchers),
    )
    yield "   State = idle"


def script_words(script: VrrpScript) -> str:
    """What a check runs; the built-in one as the shell would write it."""
    if script.command is not None:
        return words.program(script.command.argv)
    assert script.tcp is not None
    return words.program([f"</dev/tcp/{script.tcp.address or ''}/{script.tcp.port}"])


def _link(link: Link, picture: Picture) -> Iterator[str]:
    vips = {address for one in picture.routers for address in one.status.vips}
    here = [one.address.ip for one in picture.addresses if one.index == link.index and one.address.ip not in vips]
    first = next((ip for ip in here if ip.version == 4), "(none)")
    own = next((ip for ip in here if ip.version == 6 and ip.is_link_local), "(none)")
    state = [f"{'' if link.up else 'not '}UP", f"{'' if link.running else 'not '}RUNNING"]
    yield f" Name = {link.name}"
    yield f"   index = {link.index}"
    yield f"   IPv4 address = {first}"
    yield f"   IPv6 address = {own}"
    if not link.loopback:
        yield f"   MAC = {link.hardware_address.hex(':')}"
        yield "   MAC broadcast = ff:ff:ff:ff:ff:ff"
    yield f"   State = {', '.join([*state, *(['no broadcast', 'loopback', 'no multicast'] if link.loopback else [])])}"
    yield f"   Seen up = {int(link.up)}"
    yield "   Delayed state change running = false"
    yield "   Up debounce timer = 0us"
    yield "   Down debounce timer = 0us"
    yield f"   MTU = {link.mtu}"
    yield f"   HW Type = {'LOOPBACK' if link.loopback else 'ETHERNET'}"
    yield "   NIC netlink status update"
    yield "   Reset ARP config counter 0"
    yield "   Original arp_ignore 0"
    yield "   Original arp_filter 0"
    yield "   Original promote_secondaries 0"
    yield "   Reset promote_secondaries counter 0"
    yield from _listed("Tracking VRRP instances :", _trackers(link, picture))


def _trackers(link: Link, picture: Picture) -> Iterator[str]:
    for one in picture.routers:
        if one.status.interface == link.name:
            yield f"{one.instance.name}, weight {0 if one.instance.track_primary else _NOT_TRACKED}"
        for check in one.interfaces:
            if check.name == link.name:
                yield f"{one.instance.name}, weight {check.weight}{_reverse(check.reverse)}"
