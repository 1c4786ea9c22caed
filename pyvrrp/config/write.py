r"""
The model to the text of a `keepalived.conf` that means the same, to pyvrrp and to keepalived.

Definitions, includes and comments do not come back: the model has what they came to. The text names each thing before
it is used. A word is written as it is, or in quotes; a command in quotes, with shell-like escapes inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from pyvrrp.config.commands import Script
from pyvrrp.config.complaints import Log, shown
from pyvrrp.config.host import NoHost, Setting
from pyvrrp.config.keywords import COMMANDS
from pyvrrp.config.lexer import LINE_LENGTH, Line, lex
from pyvrrp.config.model import Command, Configuration
from pyvrrp.config.native.say import statements
from pyvrrp.config.native.statement import Statement
from pyvrrp.config.preprocess import preprocess
from pyvrrp.config.readers import BadValue, Reading
from pyvrrp.config.rows import Shape
from pyvrrp.errors import UsageError

INDENT: Final = "    "
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:,%+=&*?<>()\[\]|^;'-]+", re.ASCII)
# At the begin of a line of values these would be looked at before the line is.
_SPOKEN: Final = re.compile(r"include[rmwba]?|include_check|random_seed")
_SHELL_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:,%+=@^-]+", re.ASCII)
_BUILT_IN: Final = re.compile(r"\$\{?_")  # is replaced wherever it stands
# What no line can hold, and what would be replaced by the value of a parameter.
_CODED: Final = re.compile(r"[\0-\x1f\x7f]|\$(?=[{_])")


def to_keepalived(configuration: Configuration, *, full: bool = False) -> str:
    """
    Write a configuration.

    Args:
        configuration: What to write, usually `Parsed.everything`.
        full: Defaults are written too, as far as there is a word for them.

    Raises:
        UsageError: It holds what a file cannot say; no configuration that was read does.
    """
    return "".join(line + "\n" for line in _lines(statements(configuration, full=full), 0))


def _lines(said: tuple[Statement, ...], depth: int) -> Iterator[str]:
    indent = INDENT * depth
    for each in said:
        if each.off:
            continue
        keyword = each.row.keyword
        if each.row.shape is Shape.LINE:
            yield indent + statement_text(each)
            continue
        if not depth and each.row.shape is Shape.BLOCK:
            yield ""
        yield f"{indent}{_line(keyword, each.words)} {{"
        yield from _lines(each.body, depth + 1)
        for words in each.lines:
            yield indent + INDENT + line_text(words)
        yield indent + "}"


def statement_text(said: Statement) -> str:
    """
    The line of a keyword that is no block.

    Raises:
        UsageError: No line can say it.
    """
    keyword = said.row.keyword
    if said.command is None:
        return _line(keyword, said.words)
    command = said.command
    words = [keyword, _shell_quoted(shell_text(command.argv))]
    if command.user is not None:
        group = command.group
        marked = f":{group}" if group is not None and group.startswith(":") else group
        words += [_shell(word) for word in (command.user, marked) if word is not None]
    text = " ".join(words)
    line = _read_back(text)
    if line is None or not _means(line, command):
        raise UsageError(f"{keyword}: the command cannot stand in a line of {LINE_LENGTH} characters")
    return text


def line_text(words: Sequence[str]) -> str:
    """
    Words as a line of a block of values.

    Raises:
        UsageError: A word cannot stand in a line.
    """
    first = words[0]
    return _line(f'"{first}"' if _SPOKEN.fullmatch(first) else _quoted(first), words[1:], first)


def _line(begin: str, words: Sequence[str], first: str = "") -> str:
    text = " ".join((begin, *map(_quoted, words)))
    if '"' in text or len(text) > LINE_LENGTH:
        line = _read_back(text)
        if line is None or line.words != [first or begin, *words] or _BUILT_IN.search(text):
            raise UsageError(f"{shown(first or begin)}: a value cannot stand in a line of keepalived.conf")
    return text


def _quoted(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else f'"{word}"'


def _read_back(text: str) -> Line | None:
    """The line as it will be read; None if that goes wrong."""
    log = Log("")
    lines = list(lex(preprocess(text, log, Setting(NoHost())), COMMANDS))
    whole = len(lines) == 1 and not (lines[0].problem or lines[0].opens or lines[0].closes)
    return lines[0] if whole and not log.complaints() else None


def _means(line: Line, command: Command) -> bool:
    try:
        return Script()(Reading(Log(""), line, "", [])) == command
    except BadValue:
        return False


def shell_text(argv: Sequence[str]) -> str:
    """Program and arguments as one text, as a shell would take it apart."""
    return " ".join(map(_shell, argv))


def _shell_quoted(text: str) -> str:
    """Text in double quotes, as `split_command` takes it apart."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _shell(word: str) -> str:
    """A word of a command: as it is, in single quotes, or with escapes."""
    if _SHELL_PLAIN.fullmatch(word):
        return word
    if not ("'" in word or "\\" in word or _CODED.search(word)):
        return f"'{word}'"
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CODED.sub(lambda found: f"\\{ord(found.group()):03o}", escaped) + '"'
