"""Looking from inside: second looks, time limits, and one look for all who share it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pyvrrp.daemon import looks
from pyvrrp.daemon.looks import Looks
from pyvrrp.errors import UsageError, VrrpError

pytestmark = pytest.mark.asyncio

VIP = "192.0.2.100"


def master(**more: Any) -> dict[str, Any]:
    return {
        "name": "VI_1", "state": "MASTER", "since_s": 9.0, "base_priority": 100, "master": None, "wakes_in_s": 0.5,
        "virtual_addresses": [VIP], "addresses": [VIP], "drained": False, "waits_for": [], "faults": {}, "reason": "",
        **more,
    }  # fmt: skip


WELL = [master()]
WITHOUT = [master(addresses=[])]
FAULT = [master(state="FAULT", addresses=[], faults={"script:chk": "exited with 1"})]


class Daemon:
    """Answers with these instances, one list a look, the last one again and again; None hangs, an error is raised."""

    def __init__(self, *answers: Sequence[Mapping[str, Any]] | Exception | None) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.go = asyncio.Event()
        self.go.set()

    async def status(self) -> Mapping[str, Any]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        await self.go.wait()
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return {"daemon": {"idle": ""}, "instances": answer}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "CONFIRM_S", 0.0)


class TestLook:
    async def test_a_healthy_daemon_is_asked_once(self) -> None:
        daemon = Daemon(WELL)
        assert (await Looks(daemon.status).look(60)).as_json() == {
            "alive": True, "ready": True, "instances": {"MASTER": 1}, "reasons": [],
        }  # fmt: skip
        assert daemon.asked == 1

    async def test_an_address_that_is_back_at_the_second_look(self) -> None:
        daemon = Daemon(WITHOUT, WELL)
        verdict = await Looks(daemon.status).look(60)
        assert (verdict.alive, verdict.ready, daemon.asked) == (True, True, 2)

    async def test_an_address_that_stays_away(self) -> None:
        verdict = await Looks(Daemon(WITHOUT).status).look(60)
        assert (verdict.alive, verdict.ready) == (False, False)
        assert [reason.text for reason in verdict.reasons] == [f"VI_1 is MASTER without {VIP} on the interface"]

    async def test_between_two_looks_a_moment_passes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Half a second, and less where that is not there."""
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        monkeypatch.setattr(looks, "CONFIRM_S", 0.5)
        monkeypatch.setattr("pyvrrp.daemon.looks.asyncio.sleep", sleep)
        await Looks(Daemon(WITHOUT).status).look(60)
        await Looks(Daemon(WITHOUT).status).look(0.9)
        assert slept[0] == 0.5
        assert 0 < slept[1] <= 0.45

    async def test_a_fault_is_the_worlds(self) -> None:
        daemon = Daemon(FAULT)
        verdict = await Looks(daemon.status).look(60)
        assert (verdict.alive, verdict.ready, verdict.states, daemon.asked) == (True, False, {"FAULT": 1}, 1)

    @pytest.mark.parametrize("answers", [[None], [WITHOUT, None]], ids=["first", "second"])
    async def test_a_look_that_gets_no_answer(self, answers: list[Any]) -> None:
        verdict = await Looks(Daemon(*answers).status).look(0.02)
        assert verdict.as_json() == {
            "alive": False, "ready": None, "instances": {}, "reasons": [{
                "code": "timeout", "instance": None, "liveness": True,
                "message": "no status within 0.02 s: the engine is stuck",
            }],
        }  # fmt: skip

    async def test_an_engine_that_is_no_more(self) -> None:
        verdict = await Looks(Daemon(VrrpError("the engine has failed")).status).look(60)
        assert [(reason.code, reason.text) for reason in verdict.reasons] == [("no-status", "the engine has failed")]
        assert not verdict.alive


class TestCommand:
    async def test_verdict(self) -> None:
        assert (await Looks(Daemon(WELL).status).command({}))["ready"] is True

    async def test_a_part_of_the_time_is_for_the_way(self) -> None:
        told = await Looks(Daemon(None).status).command({"within_s": 0.02})
        assert told["reasons"][0]["message"] == "no status within 0.018 s: the engine is stuck"

    @pytest.mark.parametrize("within_s", [0, -1, 1e9, "soon", None, float("nan")])
    async def test_what_is_no_time(self, within_s: object) -> None:
        with pytest.raises(UsageError, match="within_s is a number of seconds"):
            await Looks(Daemon(WELL).status).command({"within_s": within_s})


class TestShared:
    async def test_many_who_ask_at_once_are_one_question(self) -> None:
        daemon = Daemon(WELL)
        daemon.go.clear()
        shared = Looks(daemon.status)
        asking = [asyncio.create_task(shared.shared()) for _ in range(50)]
        await asyncio.sleep(0)
        asking[0].cancel()  # the one who began it
        await asyncio.sleep(0)
        daemon.go.set()
        verdicts = await asyncio.gather(*asking[1:])
        assert daemon.asked == 1
        assert all(verdict.ready for verdict in verdicts)
        assert asking[0].cancelled()

    async def test_an_old_look_is_not_told_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        daemon = Daemon(WELL, FAULT)
        shared = Looks(daemon.status)
        monkeypatch.setattr(looks, "FRESH_S", 3600.0)
        assert (await shared.shared()).ready
        assert (await shared.shared()).ready
        assert daemon.asked == 1
        monkeypatch.setattr(looks, "FRESH_S", 0.0)
        assert not (await shared.shared()).ready
        assert daemon.asked == 2

    async def test_the_end_of_a_look_that_is_under_way(self) -> None:
        shared = Looks(Daemon(None).status)
        asking = asyncio.create_task(shared.shared())
        await asyncio.sleep(0)
        await shared.close()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await shared.close()
