"""`pyvrrp explain` for people: one file with all its values, or a table for each virtual router of several."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

from pyvrrp.config.model import Origin, OriginKind, Place
from pyvrrp.config.rows import Block
from pyvrrp.explain.cluster import Cluster, RouterReport
from pyvrrp.explain.diagnostics import Level, findings_of, summary
from pyvrrp.explain.effective import EffectiveBlock, effective
from pyvrrp.explain.election import Scenario, What
from pyvrrp.explain.hearing import Split
from pyvrrp.explain.layout import Layout
from pyvrrp.explain.outlook import Outlook, headline
from pyvrrp.explain.paint import PLAIN, Paint
from pyvrrp.explain.routers import Node
from pyvrrp.explain.traps import Warned
from pyvrrp.explain.wording import family_name, milliseconds, names, seconds
from pyvrrp.protocol.constants import PRIORITY_OWNER

_ADDRESSES_SHOWN: Final = 6
__all__ = ["render_cluster", "render_node"]


def render_node(node: Node, paint: Paint = PLAIN, *, everything: bool = False) -> str:
    """
    One file: what will happen, what surprises, and the values with their origins.

    Args:
        node: The file.
        paint: Puts colours in, or does not.
        everything: Also the values that are off or empty by default.
    """
    page = Layout(paint)
    findings = findings_of(node.parsed)
    page.line(node.file, "bold")
    page.paragraph(f"node {node.name}, {_count(len(node.outlooks), 'virtual router')}", 2)
    if any(finding.level is not Level.NOTE for finding in findings):
        page.paragraph(f"{summary(findings, 1).partition(': ')[2]}; pyvrrp check shows them", 2)
    for complaint in node.parsed.fatal:
        page.paragraph(f"nothing of it can be started: {complaint}", 0, "! ", "error")
    blocks = effective(node.parsed.everything)
    values = {block.name: block for block in blocks if block.block == Block.INSTANCE}
    for outlook in node.outlooks:
        page.line()
        _outlook(page, outlook)
        _traps(page, [trap for trap in node.traps if trap.instance == outlook.instance.name], node.file)
        page.line("  values")
        _values(page, values[outlook.instance.name], node.file, everything=everything)
    for block in blocks:
        if block.block != Block.INSTANCE:
            page.line()
            page.line(f"{block.block} {block.name}".rstrip(), "bold")
            _values(page, block, node.file, everything=everything)
    return page.text()


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _outlook(page: Layout, outlook: Outlook) -> None:
    instance, timers = outlook.instance, outlook.timers
    page.line(f"vrrp_instance {instance.name}: {headline(outlook)}", "bold")
    if outlook.refused:
        text = "this release of pyvrrp does not run it (pyvrrp check says why); what follows is what would happen"
        page.paragraph(text, 2, "! ", "error")
    page.row("sends", outlook.reach)
    page.row("from", outlook.source)
    if outlook.group:
        page.row("moves with", f"sync group {outlook.group}: all its members are MASTER on one node, or none is")
    effective_now = f", {outlook.priority} while all is well" if outlook.priority != instance.priority else ""
    page.row("priority", f"{instance.priority}{effective_now}")
    page.row("begins", outlook.start)
    page.row("preemption", outlook.preemption)
    page.row("Advertisement_Interval", milliseconds(timers.interval_us))
    page.row("Skew_Time", timers.skew_formula)
    page.row("Master_Down_Interval", timers.down_formula)
    page.row("preempt_delay", seconds(instance.preempt_delay_us) if instance.preempt_delay_us else "none")
    page.row("announces", outlook.announcements)
    page.rows("addresses", outlook.addresses or ("none",))
    page.rows("not advertised", outlook.excluded)
    if not outlook.effects:
        page.row("watches", "nothing, not even its interface")
    page.rows(
        "watches",
        [f"{effect.watch.wrong}: {effect.text} [{effect.watch.about}]" for effect in outlook.effects],
    )
    page.rows("tells", [f"{event}: {command}" for event, command in outlook.notify])


def _short(place: Place, file: str) -> str:
    """File and line; of the file that is explained its name will do."""
    return f"{PurePath(file).name if place.file == file else place.file}:{place.line}"


def _origin(origin: Origin, file: str) -> str:
    where = "" if origin.place is None else _short(origin.place, file)
    kind = "" if origin.kind is OriginKind.SAID else f"derived: {origin.why}" if origin.why else origin.kind.value
    return ", ".join(filter(None, (kind, where)))


def _traps(page: Layout, traps: Iterable[Warned], file: str) -> None:
    for number, trap in enumerate(traps):
        if not number:
            page.line("  traps")
        where = f" ({_short(trap.place, file)})" if trap.place is not None else ""
        page.paragraph(f"{trap.text}{where} [{trap.code}]", 4, "! ", "trap")
        if trap.hint:
            page.paragraph(trap.hint, 6, "hint: ", "dim")


def _values(page: Layout, block: EffectiveBlock, file: str, *, everything: bool) -> None:
    defaults = [setting for setting in block.settings if setting.by_default]
    for setting in block.settings:
        if not setting.by_default:
            page.value(setting.keyword, setting.text, _origin(setting.origin, file))
    told = [setting for setting in defaults if everything or not setting.empty]
    texts = [f"{setting.keyword} {setting.text}" for setting in told]
    if len(told) < len(defaults):
        texts.append(f"{_count(len(defaults) - len(told), 'other value')} off or empty (--all)")
    if texts:
        page.paragraph("; ".join(texts), 4, "default: ", "dim")


def render_cluster(cluster: Cluster, paint: Paint = PLAIN) -> str:
    """Several files: who wins each virtual router, who is next, what could split; then the traps of each file."""
    page = Layout(paint)
    for node in cluster.nodes:
        findings = findings_of(node.parsed)
        page.row(node.name, f"{node.file}: {summary(findings, 1).partition(': ')[2]}", 0)
    for split in cluster.splits:
        _split(page, split, 0)
    for report in cluster.routers:
        page.line()
        _router(page, report)
    for node in cluster.nodes:
        if node.traps:
            page.line()
            page.line(f"Traps of {PurePath(node.file).name} (pyvrrp explain {node.file} shows all)", "bold")
            for trap in node.traps:
                where = f"{trap.instance}: " if trap.instance else ""
                page.paragraph(f"{where}{trap.text} [{trap.code}]", 2, "- ", "trap")
    return page.text()


def _router(page: Layout, report: RouterReport) -> None:
    router, election = report.election.router, report.election
    shown = [str(address) for address in router.addresses[:_ADDRESSES_SHOWN]]
    more = len(router.addresses) - len(shown)
    listed = (", ".join(shown) + (f" and {more} more" if more else "")) if shown else "no addresses"
    versions = names((f"VRRPv{v}" for v in sorted({each.outlook.instance.version for each in router.members})), "or")
    page.line(f"VRID {router.vrid}, {family_name(router.family)}, {versions}: {listed}", "bold")
    rows = []
    for member in router.members:
        outlook, instance = member.outlook, member.outlook.instance
        preempts = "always" if instance.priority == PRIORITY_OWNER else "yes" if instance.preempt else "no"
        if instance.preempt_delay_us:
            preempts = f"after {seconds(instance.preempt_delay_us)}"
        rows.append(
            (
                member.node,
                instance.name,
                instance.interface or str(instance.source),
                str(outlook.priority),
                preempts,
                milliseconds(outlook.timers.skew_us),
                milliseconds(outlook.timers.down_us),
            )
        )
    page.table(("node", "instance", "interface", "priority", "preempts", "Skew_Time", "Master_Down_Interval"), rows)
    split = len(election.normal.masters) > 1
    page.row("MASTER", f"{election.normal.text}{' at once: they do not hear each other' if split else ''}")
    if election.normal.tied:
        page.row("", "equal in all that decides: whoever is first; at the same moment the greater source address")
    _scenarios(page, election.scenarios, election.normal.masters)
    if report.splits:
        page.line("  what could split it, or surprise")
        for each in report.splits:
            _split(page, each, 4)


def _scenarios(page: Layout, scenarios: Iterable[Scenario], normal: tuple[str, ...]) -> None:
    rows, quiet = [], []
    for scenario in scenarios:
        where = f"{scenario.node}: " if scenario.node else ""
        changed = scenario.outcome.masters != normal or scenario.outcome.tied or scenario.what is What.EVERYWHERE
        if not changed:
            quiet.append(f"{where}{scenario.text}")
            continue
        back = "stays so" if scenario.back == scenario.outcome else scenario.back.text
        rows.append(
            (
                f"{where}{scenario.text}",
                scenario.outcome.text,
                "" if scenario.after_us is None else milliseconds(scenario.after_us),
                back,
                scenario.how,
            )
        )
    if rows:
        page.table(("when", "MASTER", "within", "well again"), [row[:4] for row in rows])
        reasons = dict.fromkeys((row[2], row[4]) for row in rows if row[2])
        page.rows("why so long", [f"{within}: {how}" for within, how in reasons])
    if quiet:
        page.row("changes nothing", "; ".join(quiet))


def _split(page: Layout, split: Split, indent: int) -> None:
    page.paragraph(
        f"{split.text} [{split.code}]", indent, "! " if split.splits else "- ", "split" if split.splits else "trap"
    )
    if split.hint:
        page.paragraph(split.hint, indent + 2, "hint: ", "dim")
