"""The table of all keywords for people, at most 100 columns wide, and the part of it that somebody asks for."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import groupby
from typing import Final

from pyvrrp.config.table import Keyword, State
from pyvrrp.explain.paint import PLAIN, Paint

WIDTH: Final = 100
_MANUAL: Final = "keepalived.conf(5)"  # where nearly all are described; others are worth a word
_COLOUR: Final = {
    State.WORKS: "good",
    State.IN_PART: "note",
    State.NO_EFFECT: "dim",
    State.NOT_YET: "warning",
    State.REFUSED: "error",
}


def matching(table: Sequence[Keyword], word: str) -> tuple[Keyword, ...]:
    """The keywords that have a word in them, and those of the block of that name."""
    return tuple(each for each in table if word in each.keyword or word == each.block)


def nearest(table: Sequence[Keyword], word: str) -> str:
    """The keyword that is most like a word, or empty."""
    return next(iter(get_close_matches(word, {each.keyword for each in table}, n=1, cutoff=0.7)), "")


def render(table: Sequence[Keyword], paint: Paint = PLAIN) -> str:
    """A heading for each block, a line for each keyword with its state and since when, the sums at the end."""
    return "".join(f"{line}\n" for line in _lines(table, paint))


def _lines(table: Sequence[Keyword], paint: Paint) -> Iterator[str]:
    blocks = list(dict.fromkeys(each.block for each in table))
    width = max((len(each.keyword) for each in table), default=0)
    wide = max((len(each.state) for each in table), default=0)
    for block, group in groupby(sorted(table, key=lambda each: blocks.index(each.block)), lambda each: each.block):
        yield paint(block, "bold")
        for each in group:
            head = f"  {each.keyword:<{width}}  "
            yield f"{head}{paint(f'{each.state:<{wide}}', _COLOUR[each.state])}  since {each.since}"
            remarks = [each.note] if each.note else []
            if each.source != _MANUAL:
                remarks.append(f"from {each.source}")
            if remarks:
                yield from textwrap.wrap(
                    f"({'; '.join(remarks)})", WIDTH, initial_indent=" " * len(head), subsequent_indent=" " * len(head)
                )
        yield ""
    counts = [f"{number} {state}" for state in State if (number := sum(each.state is state for each in table))]
    total = "1 keyword" if len(table) == 1 else f"{len(table)} keywords"
    yield from textwrap.wrap(f"{total}: {'; '.join(counts)}", WIDTH)
