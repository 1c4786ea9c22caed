"""
The OpenShift ipfailover pod: its environment as a configuration.

`read_environment` is all of it; `legacy.py` is the old image's way with addresses, `vips.py` ours, `groups.py` the
numbers that both share, `variables.py` the names.
"""

from pyvrrp.config.openshift.facts import FamilyPair, NodeFacts, PodConfiguration, PodGroup
from pyvrrp.config.openshift.health import health_of
from pyvrrp.config.openshift.pod import read_environment
from pyvrrp.config.openshift.rendering import PATH
from pyvrrp.config.openshift.scripts import programs

__all__ = [
    "PATH",
    "FamilyPair",
    "NodeFacts",
    "PodConfiguration",
    "PodGroup",
    "health_of",
    "programs",
    "read_environment",
]
