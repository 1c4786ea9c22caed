"""Where the pod tells over HTTP how it is; the old image has nothing like it, so that its exactness is not touched."""

from __future__ import annotations

from collections.abc import Mapping

from pyvrrp.config.complaints import shown
from pyvrrp.config.listening import Listening, read_listening
from pyvrrp.config.openshift import variables as names
from pyvrrp.config.openshift.variables import Remarks, Variables


def read_health(variables: Variables, remarks: Remarks) -> Listening | None:
    """Address and port; None where none is asked for, or what is asked for cannot be."""
    text = variables[names.HEALTH_PORT].strip()
    if not text:
        return None
    try:
        return read_listening(text)
    except ValueError as error:
        message = f"'{shown(text)}' {error}; nobody can ask over HTTP"
        remarks.insist(names.HEALTH_PORT, message, "8080, for example, or 192.0.2.1:8080")
        return None


def health_of(environment: Mapping[str, str]) -> Listening | None:
    """The same, for whoever needs nothing else of the environment."""
    return read_health(Variables(environment), Remarks())
