"""
The pod's main entry: what the old image's `monitor.sh` is, under its name and as `pyvrrp pod run`.

What the old wrapper did, step by step, and what becomes of it:

1. It loads `ip_vs`: not done, nothing here uses it.
2. The firewall rule: by netlink, once the engine works.
3. It writes the configuration: we too, for whoever reads it; what runs is the same model, not the file.
4. The node's `/etc/sysconfig/keepalived`: read, not run (`options.py`).
5. It kills any keepalived with SIGKILL, so that a restarted container finds no old one. Nothing is killed here: when
   the first process of a container dies the kernel ends all others in it, so that of a predecessor only addresses are
   left, and these are removed before the first advertisement (`daemon/runtime.py`), also keepalived's, which bear no
   mark. A keepalived that lives is somebody's: in a container of its own it cannot be seen from here, and in this one
   the lock or the pid file says that a daemon runs.
6. It starts keepalived as a child and waits: here the first process is the daemon's control itself.

No environment is left out: what keepalived would say and go on is said, and the rest is served.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from pyvrrp.daemon import launch
from pyvrrp.daemon.daemonise import SUPERVISED_SIGNALS
from pyvrrp.daemon.drop_in import KEEPALIVED

if TYPE_CHECKING:
    from pyvrrp.daemon.source import Source


def run() -> int:
    """
    Be the pod until told to end.

    Returns:
        The exit code: 0 after an orderly end, else that of `pyvrrp run`.
    """
    # To the first process of a container a signal that is neither handled nor blocked never comes.
    signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISED_SIGNALS)
    sys.argv[0] = KEEPALIVED  # names, pid files and lines are keepalived's, as for one who starts us by that name
    from pyvrrp.pod.options import choose_pid_files, options_of_the_node, run_options  # noqa: PLC0415

    say("OpenShift IP Failover starts")
    environment = dict(os.environ)  # steps 3 and 4: the node's file is read when the variables have been
    words, said = options_of_the_node()
    options, complaints = run_options(words)
    said += [*complaints, *choose_pid_files(options)]

    def source() -> Source:  # when the engine has been forked, as all that is heavy
        from pyvrrp.config.openshift import health_of  # noqa: PLC0415
        from pyvrrp.pod.source import PodSource  # noqa: PLC0415

        options.http_health = options.http_health or health_of(environment)
        return PodSource(environment, said, levels=options.log_format == "keepalived")

    options.late_source = source
    try:
        return launch.run(options)
    finally:
        say("OpenShift IP Failover service terminated.")


def say(text: str) -> None:
    """A line of the wrapper: indented, on standard output."""
    with contextlib.suppress(OSError, ValueError):  # a reader that went away is no reason not to go on
        print(f"  - {text}", flush=True)
