"""
The language before the keywords, judged by keepalived itself: which words come out, and the exit code of `-t`.

Each line's first word is one that nobody knows, so both complain about it by name, and that shows what was read.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from pyvrrp.config.load import load

KEEPALIVED: Final = "v2.2.7"
# Texts are told apart by a line of `=`. `foo` is the configuration id.
AGREED: Final = r"""
xa"b c"d
====
$A=1
x$A
x${A}y
x$A,z$A)q
x.$A.$A
====
$A = 1
x$A
====
 $A=1 2  3
x$A
====
$A="1 2"
x$A
y"${A}"
====
$A=$B
$B=7
x$A
$B=8
x$A
====
x$A
$A=1
x$A
====
@foo xfoo
@bar xbar
@^foo xnfoo
@^bar xnbar
@foo
@
@^
@ foo x
@foo	xtab
 @foo xlead
====
~SEQ(n,1,3) x$n
~SEQ(n,3) x$n
~SEQ(n,-3) x$n
~SEQ(n,3,1) x$n
~SEQ(n,10,5,20) x$n
~SEQ(n,20,5,10) x$n
~SEQ(n,20,-5,10) x$n
~SEQ(n,0x10,0x12) x$n
~SEQx(n,9,11) x$n
~SEQx(n,0x9,0xb) x${n}y
~SEQ(n, 1, 2) x$n
~SEQ(n,1,2)x$n
~SEQ(n,1,0,2) x$n
~SEQ(n,a,2) x$n
~SEQ(n) x$n
~SEQ() x$n
~SEQ(n,1,2,3,4) x$n
====
~SEQ(n,1,2) ~SEQ(m,$n,2) x${n}_$m
~SEQ(n,1,2)~SEQ(m,1,2) x${n}_$m
~LST(a,p,q) ~SEQ(m,1,2) x${a}_$m
~LST(a,p,q) x$a
~LST(a,p,,q) x${a}z
~LST({v,w},{1,2},{3,4}) x${v}_$w
~LST({v,w},{1},{3,4}) x${v}_$w
~LST({v,w},1,2) x${v}_$w
~LST(a,) x${a}z
~LST(a, b , c) x${a}z
~LST( a,b) x${a}z
~LST({a,b},p,q) x${a}_${b}z
====
$S=~SEQ(n,1,2)
$S x$n
x ~SEQ(n,1,2) $n
$L=1,2,3
~LST(a,$L) x$a
~SEQ(a,$L) x$a
~FOO x
~
~SEQ
====
~SEQ(n,1,2) $B=5${n}
x$B
~SEQ(n,1,2) @foo x$n
@foo ~SEQ(n,1,2) x$n
@bar ~SEQ(n,1,2) x$n
x$n
====
$A= \
xa \
xb \
xc
$A
y $A
y$A
$A z
${A}
y ${A}
====
$B=\
xb1 \
xb2
$A=\
xa1 \
$B \
xa2
$A
~SEQ(n,1,2) $A
~SEQ(n,1,2) $C=p$n \
xb
x$C
====
$A=\
# foo \
xa \

xb
$A
====
$A=x\
xa
$A
====
$A=x\
$B=xb\
xc
$A
$B
====
$B=1
global_defs {
vrrp_version a\#b
vrrp_version a$B #c
vrrp_version "a#${B}"
}
====
$A=1
$B=$A
x${B}y
x${B}
$C=$
x${C}A
====
$E=
x$E
$D=a$E
x${D}${E}z
====
$A=\
vrrp_instance $N { \
 xpriority $N \
 virtual_router_id $V \
}
$N=i
$V=1
$A
$N=j
$V=2
$A
====
@foo @bar xx
@foo @foo xx
====
$A=\
xa
$B=q
x$A z
$C=
x${C}z
====
~SEQ(n,1,2) $A
$A=x$n
~SEQ(n,1,2) $A
====
$A=1
x$A$A
x$A ,$A
x${A}$A
x"$A"
x"$A "
x"$A,"
====
$A=\
x1 \
x2 \
x3
$B=y \
$A
$B
z$B
====
$A_1=4
$a=5
x$A_1
x$a
x$Aa
====
include a.conf
xend
====
include nonexist
xend
====
includer nonexist
====
includem nonexist
====
includew zz*
====
includew zz
====
includeb {empty,zz*}
====
includem {zz,empty}
====
includea zz*
====
include {b,a}.conf
====
include {a,b,x{c,d}}.conf
====
include *.conf
====
includer *.conf
====
include sub/one
xend
====
include
====
include a.conf b.conf
====
include "a.conf" # foo
====
include a.conf }
====
includex a.conf
====
@foo include a.conf
@bar include b.conf
====
$F=a.conf
include $F
include ${_PWD}/b.conf
====
$I=include
$I a.conf
====
~LST(f,a,b) include $f.conf
====
include exec.conf
====
includer exec.conf
====
include dir.conf
====
includem dir.conf
====
include defs
y$Q
====
$V=5
include uses
y$V
====
include empty
====
global_defs {
 include a.conf
}
====
global_defs { include a.conf
}
====
global_defs {
include_check
}
include nonexist
====
global_defs {
include_check +match
}
include nonexist
include *nonex
====
global_defs {
include_check foo
}
====
   include a.conf
	include	a.conf
====
$M=x\
include a.conf
$M
====
include e[mn]pty
include e?pty
====
include ./sub/../a.conf
include sub//one
"""
# What we do on purpose in another way, and why.
DIFFERENT: Final = {
    "$A=a\\#b\nx${A}z": "an escaped # stays what it was meant to be, with a warning",
    "xa\\": "a backslash at the end of a line is no part of its last word, with a warning",
    "x {\ny }": "an unknown block is passed over as a block",
    "$A=x\\\n$A\n$A": "what needs itself is refused; there it is repeated for ever",
}
FILES: Final = {
    "a.conf": "xa\n",
    "b.conf": "xb\n",
    "sub/one": "xsub\ninclude two\n",
    "sub/two": "xtwo\n",
    "defs": "$Q=7\nx$Q\n",
    "uses": "x$V\n$V=8\n",
    "openm": "$M=q\\\n",
    "empty": "",
}
_UNKNOWN: Final = re.compile(r"\((?:(\S+): )?Line (\d+)\) Unknown keyword '(.*)'")


def installed() -> bool:
    """Whether the judge is here, and may judge."""
    if os.geteuid() or shutil.which("keepalived") is None:
        return False
    return KEEPALIVED in subprocess.run(["keepalived", "--version"], capture_output=True, text=True, check=False).stderr


pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not installed(), reason=f"keepalived {KEEPALIVED} is not here, or may not be started"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """With files that can be included, and some that cannot."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "exec.conf").write_text("xexec\n")
    (tmp_path / "exec.conf").chmod(0o755)
    (tmp_path / "dir.conf").mkdir()
    return tmp_path


def theirs(file: Path) -> tuple[set[tuple[int, str]], int | None]:
    """Line and word of each complaint, and the exit code; None if it never ends."""
    try:
        done = subprocess.run(
            ["keepalived", "-t", "-P", "-i", "foo", "-f", str(file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=2,
        )
    except subprocess.TimeoutExpired:
        return set(), None
    found = [_UNKNOWN.match(line) for line in done.stderr.splitlines()]
    # A `}` that belongs to nothing is said once as such, and once as a word.
    return {(int(match[2]), match[3]) for match in found if match and match[3] != "}"}, done.returncode


def ours(file: Path) -> tuple[set[tuple[int, str]], int]:
    """The same of pyvrrp."""
    result = load(file, config_id="foo")
    unknown = [(one.place.line, re.match(r"Unknown keyword '(.*)'", one.message)) for one in result.complaints]
    return {(line, match[1]) for line, match in unknown if match}, result.exit_code


@pytest.mark.parametrize("text", AGREED.strip("\n").split("\n====\n"))
def test_agreed(text: str, directory: Path) -> None:
    file = directory / "main"
    file.write_text(text + "\n")
    assert ours(file) == theirs(file)


@pytest.mark.parametrize("text", DIFFERENT, ids=DIFFERENT.values())
def test_different_on_purpose(text: str, directory: Path) -> None:
    """A difference that has gone should go from the list."""
    file = directory / "main"
    file.write_text(text + "\n")
    assert ours(file) != theirs(file)
