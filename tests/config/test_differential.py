"""
keepalived's judgement and ours over the corpus, file by file.

What keepalived says is written down in `corpus/verdicts.json`, so that the comparison needs neither root nor
keepalived; where both are there, its exit codes are checked against the real one. Where we differ on purpose,
`corpus/differences.toml` names the file and the reason, and an entry that is no difference any more fails. To take the
verdicts anew, run as root with `PYVRRP_REWRITE_VERDICTS=1` and read the diff.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

import pytest

from pyvrrp.config.complaints import Parsed
from pyvrrp.config.keywords import ROWS
from pyvrrp.config.load import load
from pyvrrp.config.rows import Shape
from tests.config.judge import (
    CONFIG_ID,
    CORPUS,
    HANG_S,
    HANGS,
    INTERFACES,
    Verdict,
    corpus,
    described,
    exit_code,
    furnish,
    path_of,
    record,
    recorded,
    runs,
    why_no_judge,
)
from tests.netns import PATIENCE_S, Namespace, why_impossible

REWRITE = "PYVRRP_REWRITE_VERDICTS"
AT_ONCE = 3
LEAST_FILES = 150
NOT_CONFIGURATION = {"conf.d", "parts"}  # what corpus files include
WITHOUT_COMMENT = {"lexical/empty"}  # whose point it is

CASES = corpus()


@dataclass(frozen=True, slots=True)
class Difference:
    """
    An entry of the table.

    Attributes:
        files: Patterns of `style/name`.
        why: One sentence.
        code: keepalived's exit code and ours, if they differ.
        runs: What becomes of the virtual routers differs: one starts and the other does not, or not the same ones run.
    """

    files: tuple[str, ...]
    why: str
    code: tuple[int | str, int] | None = None
    runs: bool = False

    def covers(self, case: str) -> bool:
        """Whether it is about that file."""
        return any(fnmatchcase(case, pattern) for pattern in self.files)


def _difference(files: list[str], why: str, code: list[int] | None = None, runs: bool = False) -> Difference:
    return Difference(tuple(files), why, None if code is None else (code[0], code[1]), runs)


def _table() -> list[Difference]:
    table = tomllib.loads((CORPUS / "differences.toml").read_text(encoding="utf-8"))
    return [_difference(**entry) for kind in ("difference", "fault") for entry in table.get(kind, ())]


DIFFERENCES = _table()


def allowed(case: str) -> tuple[tuple[int | str, int] | None, bool]:
    """The exit codes that may differ, keepalived's and ours, and whether the virtual routers may."""
    about = [one for one in DIFFERENCES if one.covers(case)]
    codes = [one.code for one in about if one.code is not None]
    assert len(codes) <= 1, f"{case}: more than one entry about the exit code"
    return (codes[0] if codes else None), any(one.runs for one in about)


@cache
def verdicts() -> dict[str, Verdict]:
    """What is written down; read only when it is needed, as it may be rewritten first."""
    return recorded()


@cache
def ours(case: str) -> Parsed:
    return load(path_of(case), interfaces=INTERFACES, config_id=CONFIG_ID)


def our_runs(case: str) -> dict[str, str] | None:
    """
    The virtual routers that we would run in keepalived's place; None if we would not start.

    Those are among them that need what is not built yet: what they mean is known.
    """
    parsed = ours(case)
    everything = parsed.everything
    return None if parsed.fatal else {one.name: described(one, everything) for one in everything.instances}


def their_runs(case: str) -> dict[str, str] | None:
    """The virtual routers that keepalived runs."""
    found = verdicts()[case].runs
    return None if found is None else dict(found)


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    """The interfaces of the corpus, and keepalived to be asked there."""
    reason = why_impossible() or why_no_judge()
    if reason is not None:
        pytest.skip(reason)
    made = Namespace("corpus")
    yield furnish(made)
    made.close()


def test_recorded_verdicts(namespace: Namespace) -> None:
    """What is written down is what keepalived says; what it would run is taken anew only on demand."""
    rewrite = bool(os.environ.get(REWRITE))
    known = {} if rewrite else verdicts()

    def ask(case: str) -> Verdict:
        before = known.get(case)
        hangs = before is not None and before.code == HANGS
        code = exit_code(namespace, case, HANG_S if rewrite or hangs else PATIENCE_S)
        if rewrite:
            return Verdict(code, None if code == HANGS else runs(case))
        return Verdict(code, before.runs if before else None)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(CASES, pool.map(ask, CASES), strict=True))
    if rewrite:
        record(found)
    else:
        assert {case: one.code for case, one in found.items() if one != known.get(case)} == {}


def test_every_file_has_a_verdict() -> None:
    assert sorted(verdicts()) == CASES
    assert len(CASES) >= LEAST_FILES


@pytest.mark.parametrize("case", CASES)
def test_same_exit_code(case: str) -> None:
    theirs = verdicts()[case].code
    pair, _ = allowed(case)
    said = "\n".join(f"{complaint.severity}: {complaint}" for complaint in ours(case).complaints)
    assert (theirs, ours(case).exit_code) == (pair or (theirs, theirs)), said


@pytest.mark.parametrize("case", CASES)
def test_same_routers(case: str) -> None:
    """The same start or refusal, and the same virtual routers with the same values."""
    _, differs = allowed(case)
    if differs:
        assert our_runs(case) != their_runs(case), "they are the same: the entry in differences.toml is stale"
    else:
        assert our_runs(case) == their_runs(case)


def test_differences_are_differences() -> None:
    """Every pattern finds a file, every pair of codes differs, every reason is one sentence."""
    for one in DIFFERENCES:
        for pattern in one.files:
            assert any(fnmatchcase(case, pattern) for case in CASES), pattern
        assert one.code is not None or one.runs, one
        assert one.code is None or one.code[0] != one.code[1], one
        assert one.why.endswith("."), one


def test_files_say_what_they_are() -> None:
    """The first line of each is a comment."""
    for case in CASES:
        first = path_of(case).read_bytes().removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
        assert first[:1] in (b"#", b"!") or case in WITHOUT_COMMENT, case


def test_corpus_opens_every_block() -> None:
    text = b"\n".join(path.read_bytes() for path in CORPUS.rglob("*") if path.suffix in {".conf", ".inc"})
    words = set(text.decode("utf-8", "replace").split())
    blocks = {row.keyword for row in ROWS if row.shape is not Shape.LINE}
    assert blocks - words == set()
