"""How the lab speaks: a story with times, a line that shows what is being waited for, colours on terminals only."""

from __future__ import annotations

import os
import time
from typing import Final, TextIO

from pyvrrp.protocol.constants import US_PER_S


class Console:
    """The story, line by line with its time, and a last line that shows what is being waited for."""

    _COLOURS: Final = {"MASTER": "1;32", "BACKUP": "36", "dead": "31", "stopped": "33", "bold": "1", "dim": "2"}

    def __init__(self, stream: TextIO, started: float) -> None:
        self._stream = stream
        self._started = started
        self._terminal = stream.isatty()
        self._colours = self._terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self._waiting = False

    def elapsed_s(self) -> float:
        """Seconds since the command was started."""
        return time.monotonic() - self._started

    def paint(self, text: str, colour: str) -> str:
        """*text* in a colour, where there are any."""
        return f"\033[{self._COLOURS[colour]}m{text}\033[0m" if self._colours and colour in self._COLOURS else text

    def say(self, text: str = "") -> None:
        """A line of its own."""
        self.clear()
        print(text, file=self._stream, flush=True)

    def event(self, text: str) -> None:
        """Something happened now."""
        self.say(f"{self.paint(f'{self.elapsed_s():5.1f} s', 'dim')}  {text}")

    def row(self, text: str = "") -> None:
        """A line that belongs to the event above it."""
        self.say(f"         {text}" if text else "")

    def progress(self, text: str) -> None:
        """What is going on, on a terminal only; the next line replaces it."""
        if self._terminal:
            stamp = self.paint(f"{self.elapsed_s():5.1f} s", "dim")
            print(f"\r\033[K{stamp}  {self.paint(text, 'dim')}", end="", file=self._stream, flush=True)
            self._waiting = True

    def clear(self) -> None:
        """Take the progress line away."""
        if self._waiting:
            print("\r\033[K", end="", file=self._stream, flush=True)
            self._waiting = False


def seconds(us: int) -> str:
    """Microseconds, for a person."""
    return f"{us / US_PER_S:.3f} s"
