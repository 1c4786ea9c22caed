"""The program of a `vrrp_script` block: exit status 0 is success, anything else failure, taking too long too."""

from __future__ import annotations

from pyvrrp.config.model import VrrpScript
from pyvrrp.errors import UsageError, VrrpError
from pyvrrp.trackers import children
from pyvrrp.trackers.base import Outcome, PeriodicCheck, Report
from pyvrrp.trackers.children import ChildResult, ScriptPolicy


class ScriptTracker(PeriodicCheck):
    """
    Runs a program every interval.

    A run that takes too long fails at that moment; the next one starts when nothing is left of it.
    """

    def __init__(
        self, script: VrrpScript, report: Report, policy: ScriptPolicy | None = None, *, up: bool | None = None
    ) -> None:
        if script.command is None:
            raise UsageError(f"script {script.name} has no command")
        super().__init__(script, report, up=up)
        self._command = script.command
        self._policy = policy or ScriptPolicy()
        self._warned = False

    async def check(self) -> None:
        """Run the program once."""
        try:
            child = children.start(self._command, self._policy, capture=True)
        except VrrpError as error:
            self.settle(Outcome(success=False, reason=str(error)))
            return
        async with child:
            child.expire_in(self.timeout_s)
            if child.warning and not self._warned:
                self._warned = True
                self.notice(child.warning)
            self.settle(outcome(await child.verdict()))
            await child.wait()


def outcome(result: ChildResult) -> Outcome:
    """What the end of a program means for its check."""
    return Outcome(
        result.succeeded,
        result.reason,
        result.exit_code,
        result.signal,
        result.timed_out,
        "" if result.succeeded else result.output,
    )
