"""
The second entry: what the old image's `remove-failover.sh` is, under its name and as `pyvrrp pod remove`.

In this order: a daemon of this container is asked to end, and waited for; the firewall table goes if the environment
asks for it; virtual addresses go. An address is taken away if a dead daemon of ours has written it down, or if it is
on the environment's list, on the interface, with the prefix length that a router gives it, and no live daemon of this
container claims it. The node's own address never is. Without variables, as in the documented Job, nothing is done; and
where a daemon does not end, it keeps its addresses and the rule by which it hears its peers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Final

from pyvrrp.config.openshift import PodConfiguration, read_environment
from pyvrrp.daemon import launch
from pyvrrp.daemon.locks import base_directory, namespace_inode
from pyvrrp.daemon.options import RunOptions
from pyvrrp.daemon.pidfile import is_daemon
from pyvrrp.daemon.runtime import (
    AlreadyRunning,
    LiveDaemon,
    RuntimeDirectory,
    leftovers,
    survey_daemons,
)
from pyvrrp.errors import KernelError, NotPermitted, VrrpError
from pyvrrp.net import rights
from pyvrrp.net.linux import LinuxSystem
from pyvrrp.net.system import System, VirtualAddress
from pyvrrp.pod.entry import say
from pyvrrp.pod.node import facts
from pyvrrp.pod.options import NAME, options_of_the_node, run_options
from pyvrrp.pod.source import in_words

END_S: Final = 10.0
"""How long a daemon that was asked to end may take; an orderly end takes one interval, 3 s at most."""

_LOOK_S: Final = 0.05


def remove() -> int:
    """
    Take away what a pod with this environment left on the node.

    Returns:
        0, also where nothing was to be done; else why something stays, as `pyvrrp run` would say it.
    """
    say("OpenShift IP Failover is removed")
    rights.take_effect()
    environment = dict(os.environ)  # the node's file may change ours
    options, _ = run_options(options_of_the_node()[0])
    pod = read_environment(environment, facts(environment), lambda _: 0)
    for complaint in pod.complaints:
        if complaint.dropped or complaint.fatal:
            say(f"ERROR: {in_words(complaint)}")
    failures = [*_end_daemon(options)]
    if not _lives(options):
        failures += _forget_rule(pod)
    failures += _addresses(pod, options)
    for error in failures:
        say(f"ERROR: {error}")
    return launch.exit_code(failures[0]) if failures else launch.EXIT_OK


def _end_daemon(options: RunOptions) -> Iterator[VrrpError]:
    """Ask a daemon to end and wait for it; if it is the first process of this container, that ends us, too."""
    base, name = base_directory(options.runtime_dir), options.name or NAME
    try:
        daemon = _running(name, options)
        if daemon is None:
            return
        if daemon.pid is None:
            yield VrrpError(f"a daemon runs, and {daemon.path} does not say which: it is not ended")
            return
        # Containers that share the directory need not share process numbers: theirs may be anybody's here.
        asked = daemon.pid != os.getpid() and is_daemon(daemon.pid)
        if asked:
            say(f"Ending the daemon, pid {daemon.pid}")
            os.kill(daemon.pid, signal.SIGTERM)
        end = time.monotonic() + END_S  # also where its number is nobody's any more: then its engine ends just now
        while time.monotonic() < end:
            if _running(name, options) is None:
                return
            time.sleep(_LOOK_S)
    except ProcessLookupError:
        return  # it ends just now
    except OSError as error:
        yield NotPermitted("end", "the daemon", error.errno or 0)
    except KernelError as error:
        yield error
    else:
        why = "" if asked else ": it is no process of this container"
        yield VrrpError(f"the daemon of {base} did not end within {END_S:g} s{why}")


def _running(name: str, options: RunOptions) -> LiveDaemon | None:
    found = survey_daemons(base_directory(options.runtime_dir), namespace_inode()).daemons
    return next((daemon for daemon in found if daemon.name == name), None)


def _lives(options: RunOptions) -> bool:
    """A daemon is there still; one that cannot be looked for has been said."""
    try:
        return _running(options.name or NAME, options) is not None
    except KernelError:
        return False


def _forget_rule(pod: PodConfiguration) -> Iterator[VrrpError]:
    if not pod.firewall_rule:
        return
    from pyvrrp.net import firewall  # noqa: PLC0415  for those who have asked for it

    try:
        if firewall.forget():
            say(f"Removed the firewall table inet {firewall.TABLE}")
    except KernelError as error:
        yield error


def _addresses(pod: PodConfiguration, options: RunOptions) -> Iterator[VrrpError]:
    with contextlib.ExitStack() as stack:
        system = stack.enter_context(contextlib.closing(LinuxSystem()))
        runtime: RuntimeDirectory | None = None
        try:
            base = base_directory(options.runtime_dir)
            runtime = stack.enter_context(RuntimeDirectory.acquire(base, options.name or NAME))
        except AlreadyRunning as error:
            yield VrrpError(f"{error}: its addresses stay")
            return
        except KernelError:  # nothing can be written here, so nothing was
            runtime = None
        wanted = _stray(pod, system, runtime)
        if not wanted:
            say("No virtual address is left here")
        for address, failure in zip(wanted, system.remove(wanted), strict=True):
            if failure is None:
                say(f"Removed {address.address} from {address.interface}")
            else:
                yield failure


def _stray(pod: PodConfiguration, system: System, runtime: RuntimeDirectory | None) -> list[VirtualAddress]:
    names = {link.index: link.name for link in system.links()}
    present = [(names.get(assigned.index, ""), assigned) for assigned in system.addresses()]
    configured = [
        VirtualAddress(line.dev or instance.interface or "", line.address)
        for instance in pod.configuration.instances
        for line in instance.virtual_addresses
        if line.address.ip != pod.node_address
    ]
    if runtime is None:
        return leftovers(present, None, configured, ())
    return leftovers(present, runtime.predecessor, configured, runtime.others())
