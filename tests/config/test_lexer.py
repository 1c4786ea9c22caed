"""Text to logical lines, and commands to words; what keepalived 2.2.7 was seen to do."""

from __future__ import annotations

import pytest

from pyvrrp.config.lexer import LINE_LENGTH, Line, comment_at, lex, physical_lines, split_command

COMMANDS = frozenset({"script"})


def lines(text: str) -> list[Line]:
    return list(lex(physical_lines(text, "f"), COMMANDS))


def brief(text: str) -> list[str]:
    """Words joined by a bar, and the brace that ends the line."""
    return ["}" if line.closes else "|".join(line.words) + " {" * line.opens for line in lines(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \t \r\n\n", []),
        ("priority 100", ["priority|100"]),
        ("\tpriority\t100\t", ["priority|100"]),
        ("priority 100\r\nstate BACKUP\r\n", ["priority|100", "state|BACKUP"]),
        ("\ufeffpriority 100", ["priority|100"]),
        ("a # b\n! c\nd", ["a", "d"]),
        ("a b#c!d", ["a|b"]),
        (r"a b\#c \!d", ["a|b#c|!d"]),
        ('a "b # c ! { d }" e', ["a|b # c ! { d }|e"]),
        ('a "" b', ["a||b"]),
        ('a b"c d"e', ["a|b|c d|e"]),
        (r"a b\c", [r"a|b\c"]),
        ("a b\\", ["a|b"]),
        ("a b\\\\", ["a|b\\\\"]),
        ("a 'b c'", ["a|'b|c'"]),
        ("a {\nb\n}", ["a {", "b", "}"]),
        ("a\n\n# b\n{\nc\n}", ["a {", "c", "}"]),
        ("a { b } c", ["a {", "b", "}", "c"]),
        ("a{b}c{d}", ["a {", "b", "}", "c {", "d", "}"]),
        ("a { b { c } }", ["a {", "b {", "c", "}", "}"]),
        ("a {{\n}", ["a {", " {", "}"]),
        ("{", [" {"]),
        ("a }\nb", ["a", "}", "b"]),
        ("}\n{", ["}", " {"]),
        ("a { # {\n} # }", ["a {", "}"]),
        ("a b${C d}e", ["a|b${C|d}e"]),
        ("\u00a0a b\u2003c", ["\u00a0a|b\u2003c"]),
    ],
)
def test_logical_lines(text: str, expected: list[str]) -> None:
    assert brief(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('script "/x \\"{a}\\" # b"', ['"/x \\"{a}\\" # b"']),
        ("script '/x {a} # b' # c", ["'/x {a} # b' "]),
        ("vrrp_script a { script '}' }", ["a {", "'}' ", "}"]),
        (r"script /x\#y", [r"/x\#y"]),
    ],
)
def test_commands_keep_their_quotes_and_braces(text: str, expected: list[str]) -> None:
    found = ["}" if line.closes else line.command.strip(" ") + " {" * line.opens for line in lines(text)]
    assert [one.strip() for one in found] == [one.strip() for one in expected]


def test_places() -> None:
    """Line and column of every word, from 1; after the last one for a word that is not there."""
    text = 'a  b\n\tvrrp_x { "c d" e\n}'
    found = [(line.number, [line.place(word).column for word in range(3)]) for line in lines(text)]
    assert found == [(1, [1, 4, 5]), (2, [2, 8, 8]), (2, [11, 17, 18]), (3, [1, 2, 2])]
    assert str(lines("\n  {")[0].place(0)) == "f:2:1"
    assert str(lines("  {")[0].place(1)) == "f:1:1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('a "b', "unterminated quote"),
        ('a "b" "', "unterminated quote"),
        ('a "b { c', "unterminated quote"),
        (r'a "b\"', "unterminated quote"),
        (r"a \"b", "unterminated quote"),
        ("a\0b", "the line holds a NUL octet and is ignored"),
        ("a" + " b" * 512, f"the line has 1025 characters; more than {LINE_LENGTH} are ignored"),
        ("{" * 1025, f"the line has 1025 characters; more than {LINE_LENGTH} are ignored"),
        ('a "' + "b" * 1024 + '" { }', f"the line has 1032 characters; more than {LINE_LENGTH} are ignored"),
    ],
)
def test_problems(text: str, problem: str) -> None:
    assert lines(text)[0].problem == problem


@pytest.mark.parametrize(
    ("text", "words", "mended"),
    [
        ('a b "c d', ["a", "b"], True),
        ('a "b c" d"e', ["a", "b c", "d"], True),
        (r'a "b\" c', ["a", "b\\", "c"], True),
        ('"a b', [], False),
        ('script "/x', ["script", "", "/x"], False),
    ],
)
def test_an_open_quote_leaves_the_words_before_it(text: str, words: list[str], mended: bool) -> None:
    [line] = lines(text)
    assert (line.problem, line.words, line.mended) == ("unterminated quote", words, mended)


@pytest.mark.parametrize("text", ["a b\\", "a b # c \\", "a b {\\", "\\", "a }\\"])
def test_a_backslash_at_the_end_is_ignored_and_said(text: str) -> None:
    r"""keepalived takes it for a part of the last word: `priority 100 \\` is no number there."""
    last = lines(text)[-1]
    assert last.problem.startswith("a backslash at the end of a line")
    assert last.mended
    assert "\\" not in "".join(last.words)


@pytest.mark.parametrize("text", ['a "b\\', "a\0b\\"])
def test_a_worse_problem_wins(text: str) -> None:
    [line] = lines(text)
    assert line.problem
    assert "backslash" not in line.problem


@pytest.mark.parametrize(
    ("text", "end"), [("a b", 3), ("a #b", 2), ('a "#" !b', 6), (r"a \# b", 6), ('a " # b', 7), ("script '#' # b", 11)]
)
def test_comment_at(text: str, end: int) -> None:
    assert comment_at(text, COMMANDS) == end


def test_line_length_does_not_count_the_comment() -> None:
    assert lines("a" * LINE_LENGTH)[0].problem == ""
    assert lines("a # " + "b" * LINE_LENGTH)[0].problem == ""
    assert lines("a { # " + "b" * LINE_LENGTH)[0].problem == ""


def test_no_command() -> None:
    assert Line("f", 1, 0, "", opens=False, closes=False).command == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  /x   y ", ["/x", "y"]),
        ("/x 'a b' c", ["/x", "a b", "c"]),
        ('/x "a b" c', ["/x", "a b", "c"]),
        (r'/x "a \"b\" c"', ["/x", 'a "b" c']),
        (r"/x 'a\'b'", ["/x", "a'b"]),
        (r"/x a\ b", ["/x", "a b"]),
        ("/x 'a'b'c d'e", ["/x", "abc de"]),
        ("/x ''  y", ["/x", "", "y"]),
        (r"/x \x41\101\cA\e\q", ["/x", "AA\x01eq"]),
        (r"/x \a\b\E\f\r\t\v", ["/x", "\a\b\x1b\f\r\t\v"]),
        (r"/x \n", ["/x", "\n"]),
        (r"/x '\n'", ["/x", "\n"]),
        (r"/x \18 \1234 \xg", ["/x", "\x018", "S4", "xg"]),
        ("/x a\\", ["/x", "a"]),
        (r"/x \#a", ["/x", "#a"]),
        ("a\nb", ["a", "b"]),
    ],
)
def test_split_command(text: str, words: list[str]) -> None:
    assert split_command(text) == words


@pytest.mark.parametrize(("text", "quote"), [("/x 'a", "'"), ('/x "a', '"'), (r"'a\'", "'")])
def test_split_command_wants_its_quotes_closed(text: str, quote: str) -> None:
    with pytest.raises(ValueError, match=f"missing terminating {quote}"):
        split_command(text)
