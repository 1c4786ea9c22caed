"""
`pyvrrp check`, `keywords` and `explain` on the command line: files or a pod's variables in, answers out, nothing runs.

What is said is worked out in `explain/`, which is pure; here files are read and text is printed. All of it is imported
when it is asked for, `pyvrrp run` must not pay for it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from pyvrrp.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterable, Mapping

    from pyvrrp.config.complaints import Parsed
    from pyvrrp.config.openshift import NodeFacts
    from pyvrrp.explain.diagnostics import Finding
    from pyvrrp.explain.paint import Paint
    from pyvrrp.protocol.constants import IPAddress

DEFAULT_FILE: Final = "/etc/keepalived/keepalived.conf"
DEFAULT_INTERFACE: Final = "eth0"

EXIT_OK: Final = 0
EXIT_NOTHING: Final = 1  # also wrong usage, as of every command
EXIT_UNREADABLE: Final = 2

_CHECK: Final = """\
Show what is wrong with configurations, each mistake at its place with what would be right. Nothing is run, and
interfaces need not exist (--on-this-host asks for them). Unlike `run --config-test`, which keeps keepalived's ways.
"""
_CHECK_END: Final = """\
exit codes: 0 nothing wrong (notes at most), 1 wrong usage, 2 errors (something is not used, or a file cannot be read),
3 warnings (used, but not as it stands; or scripts run without script security).

--json prints a list of objects: file; line and column, from 1, null for a file as a whole; severity (error, warning,
note); code, which is stable and what tools should match; message; hint; dropped, true if something that was asked for
is not done.
"""
_KEYWORDS: Final = """\
Show the keywords of keepalived.conf and how far each has come in this release. With a WORD only those that have it in
them, or those of the block of that name.
"""
_EXPLAIN: Final = """\
Say what a configuration means and what will happen: every value and where it came from, timers, what each check does,
and the traps. With several files, one for each node: who is MASTER of each virtual router, who is next after each
failure, and what could split it. Nodes are named after their files, or their router_id where those are all alike.

With --env: what the OpenShift ipfailover pod would do here with this environment: interface, slot, preferred groups,
VRIDs, priorities, and everything that is mended. In a running pod: oc exec POD -- pyvrrp explain --env
"""
_EXPLAIN_END: Final = """\
exit codes: 0 explained, whatever is wrong with the files (ask `pyvrrp check`), 1 wrong usage, 2 a file cannot be read.
"""
_OF_A_POD: Final = ("env", "env_file", "node", "interface", "effective")


def add_parser(subparsers: Any) -> None:
    """
    Add `check`, `keywords` and `explain` to the commands of a parser.

    Args:
        subparsers: What `ArgumentParser.add_subparsers` gave. The parsed arguments get `command`, a function from
            these arguments to the exit status, which raises VrrpError.
    """
    check = _add(subparsers, "check", "what is wrong with configurations, and what would be right", _CHECK, _CHECK_END)
    check.add_argument("files", metavar="FILE", nargs="*", default=[DEFAULT_FILE], help=f"({DEFAULT_FILE})")
    check.add_argument("--strict", action="store_true", help="what `run --strict` refuses is an error")
    check.add_argument("-i", "--config-id", metavar="ID", help="as of this node: what `@ID` lines are compared with")
    check.add_argument("-e", "--all-config", action="store_true", help="whatever is included must be there")
    check.add_argument("--on-this-host", action="store_true", help="the interfaces must exist here")
    check.add_argument("--json", action="store_true", help="as JSON, see below")
    check.set_defaults(command=_check)

    keywords = _add(subparsers, "keywords", "which keywords work in this release", _KEYWORDS)
    keywords.add_argument("word", metavar="WORD", nargs="?", help="a part of a keyword, or the name of a block")
    keywords.add_argument("--json", action="store_true", help="as JSON: a list of objects")
    keywords.set_defaults(command=_keywords)

    explain = _add(
        subparsers, "explain", "what configurations mean, who wins, what could split", _EXPLAIN, _EXPLAIN_END
    )
    explain.add_argument("files", metavar="FILE", nargs="*", help="one for each node")
    explain.add_argument(
        "-i",
        "--config-id",
        metavar="ID",
        action="append",
        help="what `@ID` lines are compared with; of one file said several times, once for each node",
    )
    explain.add_argument("--all", action="store_true", help="also the values that are off or empty by default")
    explain.add_argument("--json", action="store_true", help="all of it as one JSON document")
    pod = explain.add_argument_group("instead of files")
    pod.add_argument("--env", action="store_true", help="the variables of the OpenShift ipfailover pod")
    pod.add_argument("--env-file", metavar="FILE", help="of this file (NAME=VALUE), not those of this process")
    pod.add_argument("--node", metavar="ADDRESS", type=_address, help="of another node than this one")
    pod.add_argument("--interface", metavar="NAME", help="that has the address there (the one that is named, or eth0)")
    pod.add_argument("--effective", action="store_true", help="also the configuration that comes out, as of a file")
    explain.set_defaults(command=_explain)


def _add(subparsers: Any, name: str, about: str, description: str, end: str = "") -> Any:
    from argparse import RawDescriptionHelpFormatter  # noqa: PLC0415  see the top of this file

    return subparsers.add_parser(
        name, help=about, description=description, epilog=end, formatter_class=RawDescriptionHelpFormatter
    )


def _print_json(value: object) -> None:
    import json  # noqa: PLC0415  see the top of this file

    print(json.dumps(value, indent=2, ensure_ascii=True))


def _print(text: str) -> None:
    """Names may hold what the terminal cannot show, and octets that are no UTF-8."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))


def _paint() -> Paint:
    from pyvrrp.explain.paint import painter  # noqa: PLC0415  see the top of this file

    return painter(terminal=sys.stdout.isatty(), environment=os.environ)


def _load(
    file: str, config_id: str | None, *, check_includes: bool = False, interfaces: Collection[str] | None = None
) -> Parsed:
    from pyvrrp.config.load import load  # noqa: PLC0415  see the top of this file

    return load(file, interfaces, config_id=config_id, check_includes=check_includes)


# check


def _check(chosen: argparse.Namespace) -> int:
    from pyvrrp.explain import diagnostics  # noqa: PLC0415  see the top of this file

    interfaces = _interfaces() if chosen.on_this_host else None
    files = list(dict.fromkeys(chosen.files))
    found: dict[Finding, None] = {}  # two files may include the same third
    for file in files:
        try:
            parsed = _load(file, chosen.config_id, check_includes=chosen.all_config, interfaces=interfaces)
        except ConfigError as error:
            found[_unreadable(file, error)] = None
        else:
            found.update(dict.fromkeys(diagnostics.findings_of(parsed, strict=chosen.strict)))
    findings = tuple(found)
    if chosen.json:
        _print_json([finding.as_json() for finding in findings])
    else:
        texts = _texts({finding.file for finding in findings if finding.line is not None})
        _print(diagnostics.render(findings, texts, _paint()))
        _print(f"{diagnostics.summary(findings, len(files))}\n")
    return diagnostics.exit_code(findings)


def _interfaces() -> frozenset[str]:
    import socket  # noqa: PLC0415  see the top of this file

    return frozenset(name for _index, name in socket.if_nameindex())


def _unreadable(file: str, error: ConfigError) -> Finding:
    from pyvrrp.config.codes import Code  # noqa: PLC0415  see the top of this file
    from pyvrrp.explain.diagnostics import Finding, Level  # noqa: PLC0415

    return Finding(file, None, None, Level.ERROR, Code.UNREADABLE.value, error.message, error.hint, dropped=True)


def _texts(files: Iterable[str]) -> dict[str, str]:
    """The files as they are now, to show lines of them; one that has gone since is left out."""
    from pyvrrp.config.host import SIZE_MAX, Unreadable  # noqa: PLC0415  see the top of this file
    from pyvrrp.config.load import ThisHost  # noqa: PLC0415

    texts: dict[str, str] = {}
    for file in files:
        try:
            texts[file] = ThisHost().read(file, SIZE_MAX).text
        except Unreadable:
            continue
    return texts


# keywords


def _keywords(chosen: argparse.Namespace) -> int:
    from pyvrrp.config.table import keyword_json, keyword_table  # noqa: PLC0415  see the top of this file
    from pyvrrp.explain import keywords  # noqa: PLC0415

    table = keyword_table()
    found = table if chosen.word is None else keywords.matching(table, chosen.word)
    if chosen.json:
        _print_json(keyword_json(found))
    elif found:
        _print(keywords.render(found, _paint()))
    if found:
        return EXIT_OK
    near = keywords.nearest(table, chosen.word)
    hint = f"; did you mean '{near}'?" if near else ""
    print(f"pyvrrp: no keyword has '{chosen.word}' in it{hint}", file=sys.stderr)
    return EXIT_NOTHING


# explain


def _address(text: str) -> IPAddress:
    from argparse import ArgumentTypeError  # noqa: PLC0415  see the top of this file
    from ipaddress import ip_address  # noqa: PLC0415

    try:
        return ip_address(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no address") from error


def _explain(chosen: argparse.Namespace) -> int:
    of_a_pod = any(getattr(chosen, name) for name in _OF_A_POD)
    if of_a_pod is bool(chosen.files) or (chosen.interface and not chosen.node):
        either = "--interface goes with --node" if chosen.interface and not chosen.node else "files, or --env"
        print(f"pyvrrp explain: {either}", file=sys.stderr)
        return EXIT_NOTHING
    return _explain_pod(chosen) if of_a_pod else _explain_files(chosen)


def _explain_pod(chosen: argparse.Namespace) -> int:
    from pyvrrp.explain.pod import pod_outlook  # noqa: PLC0415  see the top of this file
    from pyvrrp.explain.pod_page import document_pod, render_pod  # noqa: PLC0415
    from pyvrrp.explain.routers import nodes_of  # noqa: PLC0415

    environment: Mapping[str, str] = os.environ if chosen.env_file is None else _variables(chosen.env_file)
    outlook = pod_outlook(environment, _facts(environment, chosen.node, chosen.interface))
    nodes = nodes_of([("", outlook.file, outlook.parsed)]) if chosen.effective else ()
    if chosen.json:
        from pyvrrp.explain.cluster import cluster_of  # noqa: PLC0415  see the top of this file
        from pyvrrp.explain.document import document  # noqa: PLC0415

        _print_json(document_pod(outlook) | ({"configuration": document(cluster_of(nodes))} if nodes else {}))
        return EXIT_OK
    _print(render_pod(outlook, _paint()))
    if nodes:
        from pyvrrp.explain.render import render_node  # noqa: PLC0415  see the top of this file

        _print("\n" + render_node(nodes[0], _paint(), everything=chosen.all))
    return EXIT_OK


def _variables(file: str) -> dict[str, str]:
    from pyvrrp.config.host import SIZE_MAX, Unreadable  # noqa: PLC0415  see the top of this file
    from pyvrrp.config.load import ThisHost  # noqa: PLC0415
    from pyvrrp.explain.env_file import read_env_file  # noqa: PLC0415

    try:
        return read_env_file(ThisHost().read(file, SIZE_MAX).text, file)
    except Unreadable as error:
        raise ConfigError(f"cannot be read: {error}", file=file) from error


def _facts(environment: Mapping[str, str], address: IPAddress | None, interface: str | None) -> NodeFacts:
    """This node, or another of which no more is known than one address; what its pod mounts is taken to be there."""
    if address is None:
        from pyvrrp.pod.node import facts  # noqa: PLC0415  it asks the kernel

        return facts(environment)
    from pyvrrp.config.openshift import NodeFacts  # noqa: PLC0415  see the top of this file
    from pyvrrp.config.openshift.variables import NETWORK_INTERFACE  # noqa: PLC0415

    named = environment.get(NETWORK_INTERFACE, "").split()
    name = interface or (named[0] if named else DEFAULT_INTERFACE)
    return NodeFacts(addresses={name: (address,)}, route_interface=name)


def _explain_files(chosen: argparse.Namespace) -> int:
    from pyvrrp.explain.cluster import cluster_of  # noqa: PLC0415  see the top of this file
    from pyvrrp.explain.routers import nodes_of  # noqa: PLC0415

    ids = chosen.config_id or [None]
    if len(ids) > 1 and len(chosen.files) > 1:
        print("pyvrrp explain: several files, or several --config-id of one file", file=sys.stderr)
        return EXIT_NOTHING
    several = len(ids) > 1
    wanted = [(config_id, file) for file in chosen.files for config_id in ids]
    nodes = nodes_of([(config_id if several else "", file, _load(file, config_id)) for config_id, file in wanted])
    if chosen.json:
        from pyvrrp.explain.document import document  # noqa: PLC0415  see the top of this file

        _print_json(document(cluster_of(nodes)))
    else:
        from pyvrrp.explain.render import render_cluster, render_node  # noqa: PLC0415

        if len(nodes) == 1:
            _print(render_node(nodes[0], _paint(), everything=chosen.all))
        else:
            _print(render_cluster(cluster_of(nodes), _paint()))
    return EXIT_OK
