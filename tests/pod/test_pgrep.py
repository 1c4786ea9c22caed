"""So much of pgrep as the old manifest's liveness probe asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvrrp.pod import pgrep

Capsys = pytest.CaptureFixture[str]

# Number, name, command line, and when it was started; a name may hold anything.
PROCESSES = (
    (1, "keepalived", "keepalived", 20),
    (7, "keepalived_vrrp", "keepalived", 30),
    (9, "bash", "bash -c keepalived", 10),
    (12, "a) (b", "", 5),
)


@pytest.fixture
def proc(tmp_path: Path) -> str:
    for pid, name, line, since in PROCESSES:
        (tmp_path / str(pid)).mkdir()
        fields = ["S", *("0",) * 18, str(since), "0"]
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
        (tmp_path / str(pid) / "cmdline").write_text("\0".join([*line.split(), ""]) if line else "")
    (tmp_path / "99").mkdir()  # it has ended
    (tmp_path / "self").mkdir()
    return str(tmp_path)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("keepalived", [1, 7]),
        ("-x keepalived", [1]),
        ("-o keepalived", [1]),
        ("-n keepalived", [7]),
        ("-f keepalived", [1, 7, 9]),
        ("-of keepalived", [9]),
        ("-f ^bash.-c.keepalived$", [9]),
        (r"\(b", [12]),
        ("-fx a..\\(b", [12]),
        ("nothing", []),
    ],
)
def test_found(proc: str, words: str, found: list[int], capsys: Capsys) -> None:
    assert pgrep.main(words.split(), proc) == (0 if found else 1)
    assert [int(line) for line in capsys.readouterr().out.split()] == found


@pytest.mark.parametrize("words", ["", "a b", "-u root keepalived", "--help", "-no keepalived", "("])
def test_not_understood(proc: str, words: str, capsys: Capsys) -> None:
    assert pgrep.main(words.split(), proc) == 2
    told = capsys.readouterr()
    assert (told.out, bool(told.err)) == ("", True)


def test_oneself_is_not_found(capsys: Capsys) -> None:
    assert pgrep.main(["-f", "test_oneself_is_not_found_by_this_name"]) == 1
    assert capsys.readouterr().out == ""
