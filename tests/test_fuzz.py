"""A short run of each fuzz target, and that the loop finds, counts and ends."""

from __future__ import annotations

from itertools import count

import pytest

from tests import fuzz


@pytest.mark.parametrize(("name", "inputs"), [("parser", 300), ("native", 300), ("decoder", 2000)])
def test_a_short_run_finds_nothing(name: str, inputs: int) -> None:
    """The numbers are always the same, so a failure here is no chance; longer runs are `python -m tests.fuzz`."""
    tally = fuzz.fuzz(fuzz.target(name), iter(range(inputs)), 60.0)
    assert tally.findings == {}
    assert tally.executions == inputs


def test_inputs_depend_on_their_number_alone() -> None:
    texts = fuzz.parser_seeds()
    assert fuzz.make_text(5, texts) == fuzz.make_text(5, texts)
    packets = fuzz.decoder_seeds()
    assert len({fuzz.make_octets(number, packets) for number in range(100)}) > 50


def test_findings_are_kept_and_counted() -> None:
    def run(number: int) -> None:
        if number % 2:
            raise ValueError(f"input {number}")

    tally = fuzz.fuzz(fuzz.Target(run, str), count(), 60.0)
    assert len(tally.findings) == fuzz.FINDINGS_MAX
    assert "ValueError: input 1" in tally.findings[1]


def test_the_time_ends() -> None:
    assert fuzz.fuzz(fuzz.Target(lambda _: None, str), count(), 0.0).executions == 0


def test_what_takes_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "HANG_S", -1.0)
    assert list(fuzz.fuzz(fuzz.Target(lambda _: None, str), iter((7,)), 60.0).findings) == [7]


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["decoder", "--replay", "3"]) == 0
    assert fuzz.main(["decoder", "--seconds", "0", "--seed", "9"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("b'")
    assert shown.endswith("decoder: 0 inputs from 9 on, 0 findings\n")
    with pytest.raises(SystemExit):
        fuzz.main(["nothing"])


def test_a_finding_ends_in_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(number: int) -> None:
        raise fuzz.Finding(f"broken {number}")

    monkeypatch.setattr(fuzz, "target", lambda _: fuzz.Target(run, str))
    assert fuzz.main(["parser", "--replay", "4"]) == 1
    assert "== parser --replay 4" in capsys.readouterr().out
