"""What is in the image, and what is not."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from pathlib import Path

import pytest

from pyvrrp.version import __version__
from tests.image.build import TARGETS, Image
from tests.image.runtime import Runtime, Spec
from tests.netns import Network

pytestmark = [pytest.mark.root]

Images = dict[str, Image]

# ipfailover.md, section 8: what the old image has, and users' scripts call.
PROMISED = [
    "awk",
    "bash",
    "cat",
    "curl",
    "cut",
    "date",
    "dig",
    "env",
    "fuser",
    "gawk",
    "grep",
    "head",
    "hostname",
    "id",
    "ifconfig",
    "ip",
    "ipset",
    "kill",
    "killall",
    "logger",
    "ls",
    "lsmod",
    "lsof",
    "nc",
    "ncat",
    "nft",
    "pgrep",
    "pkill",
    "ps",
    "python3",
    "readlink",
    "sed",
    "sh",
    "sleep",
    "socat",
    "sort",
    "ss",
    "stat",
    "tail",
    "tee",
    "test",
    "timeout",
    "tr",
    "true",
    "uname",
    "wc",
    "wget",
    "which",
    "xargs",
    "find",
]
PATH = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
ENVIRONMENT = {"PATH": ":".join(f"/{one}" for one in PATH)}
INTERPRETER = "opt/pyvrrp/bin/python3"
LINKS = (
    "usr/bin/pyvrrp",
    "usr/sbin/keepalived",
    "var/lib/ipfailover/keepalived/monitor.sh",
    "var/lib/ipfailover/keepalived/remove-failover.sh",
)
VFS_CAP_REVISION_2 = 0x0200_0000  # linux/capability.h; the lowest bit would make the capabilities effective
NET_ADMIN, NET_RAW, BPF = 12, 13, 39


def programs(root: Path) -> set[str]:
    """Names of all programs on the PATH."""
    return {one.name for place in PATH if (root / place).is_dir() for one in (root / place).iterdir()}


def inside(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run something with that root and nothing mounted."""
    return subprocess.run(
        ["chroot", str(root), *arguments], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_image_says_of_itself(images: Images, target: str) -> None:
    about = images[target].about
    told = about["config"]
    assert told["Entrypoint"] == ["/var/lib/ipfailover/keepalived/monitor.sh"]
    assert told["WorkingDir"] == "/var/lib/ipfailover"
    assert set(told["ExposedPorts"]) == {"1985/tcp"}
    assert told["StopSignal"] == "SIGTERM"
    assert "User" not in told
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in told["Labels"].items()}
    assert (labels["title"], labels["licenses"], labels["version"]) == ("pyvrrp", "MIT", __version__)
    assert {"description", "revision", "io.k8s.description", "io.k8s.display-name"} <= labels.keys()
    assert about["os"] == "linux"


def test_the_tools_are_a_layer_above_slim(images: Images) -> None:
    slim, default = (images[target].about["rootfs"]["diff_ids"] for target in TARGETS)
    assert len(slim) == 1
    assert default[:1] == slim
    assert len(default) == 2


def test_sizes(images: Images) -> None:
    """Generous bounds: the interpreter and the C library are most of the one, ICU (for dig) of the other."""
    assert images["slim"].size < 60e6
    assert images["default"].size < 200e6


def test_what_users_scripts_rely_on_is_there(images: Images) -> None:
    assert set(PROMISED) - programs(images["default"].root) == set()


def test_awk_nc_and_sh_are_those_of_the_old_image(images: Images) -> None:
    root = images["default"].root
    for command, words in (
        ("awk --version", "GNU Awk"),
        ("nc --version", "Ncat"),
        ("sh --version", "GNU bash"),
        ("pgrep --version", "procps"),
    ):
        done = inside(root, "/bin/bash", "-c", command)
        assert words in done.stdout + done.stderr


def test_tools_load_all_their_libraries(images: Images) -> None:
    """Packages were left out by name: whatever needed one of them would show here."""
    root = images["default"].root
    (loader,) = {one.resolve().relative_to(root) for one in (root / "usr/lib").rglob("ld-linux*.so*")}
    found = 0
    for path in root.rglob("*"):
        if path.is_symlink() or not path.is_file() or not (os.access(path, os.X_OK) or ".so" in path.name):
            continue
        with path.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        done = inside(root, f"/{loader}", "--list", f"/{path.relative_to(root)}")
        assert "not found" not in done.stdout, f"{path}: {done.stdout}"
        found += 1
    assert found > 200


def test_python_of_the_tools_has_its_whole_library(images: Images) -> None:
    modules = "ssl, hashlib, sqlite3, curses, readline, bz2, lzma, uuid, dbm.ndbm, unittest, xmlrpc.client, venv"
    done = inside(images["default"].root, "/usr/bin/python3", "-c", f"import {modules}; ssl.create_default_context()")
    assert (done.returncode, done.stderr) == (0, "")


def test_https_of_the_tools_knows_authorities(images: Images) -> None:
    bundle = images["default"].root / "etc/ssl/certs/ca-certificates.crt"
    assert bundle.read_text().count("BEGIN CERTIFICATE") > 50


def test_slim_has_none_of_the_tools(images: Images) -> None:
    """pgrep is a name only: what the old manifest's liveness probe asks, answered by pyvrrp itself."""
    root = images["slim"].root
    assert programs(root) == {"pyvrrp", "keepalived", "pgrep"}
    assert (root / "usr/bin/pgrep").read_text().startswith("#!/opt/pyvrrp/bin/python3\n")
    assert {one.name for one in (root / "opt/pyvrrp/bin").iterdir()} == {"python3", "pyvrrp"}


def test_what_slim_kept_of_the_library_loads(images: Images) -> None:
    """Each extension module finds its libraries; and so does all of pyvrrp that a container can use."""
    root = images["slim"].root
    extensions = [one.name.split(".")[0] for one in root.glob("usr/lib/python3.*/lib-dynload/*.so")]
    assert len(extensions) > 10
    own = [
        ".".join(one.relative_to(root / "opt/pyvrrp/lib").with_suffix("").parts[2:])
        for one in root.glob("opt/pyvrrp/lib/python3.*/site-packages/pyvrrp/**/*.py")
    ]
    own = [
        name.removesuffix(".__init__") for name in own if not name.startswith("pyvrrp.lab") and "__main__" not in name
    ]
    assert len(own) > 150
    code = "import importlib, sys, warnings; warnings.simplefilter('ignore')\n"
    code += "for name in sys.argv[1:]: importlib.import_module(name)"
    done = inside(root, f"/{INTERPRETER}", "-c", code, *extensions, *own)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("target", TARGETS)
def test_the_old_names_are_links_to_one_program(images: Images, target: str) -> None:
    """No shell logic of ours: the only program of ours is the console script, in Python."""
    root = images[target].root
    assert {name: (root / name).readlink().as_posix() for name in LINKS} == dict.fromkeys(
        LINKS, "/opt/pyvrrp/bin/pyvrrp"
    )
    assert (root / "opt/pyvrrp/bin/pyvrrp").read_text().startswith(f"#!/{INTERPRETER}\n")
    assert not [
        one for one in (root / "opt").rglob("*") if one.suffix in {".sh", ".bash"} and "deploy" not in one.parts
    ]


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_that_only_builds_or_tests(images: Images, target: str) -> None:
    root = images[target].root
    packages = {one.name for one in root.glob("opt/pyvrrp/lib/python3.*/site-packages/*") if one.suffix != ".dist-info"}
    assert packages == {"asyncio_dgram", "pyroute2", "pr2modules", "pyvrrp", "structlog"} & packages | {"pyvrrp"}
    licences = "".join(one.read_text() for one in root.glob("opt/**/*.dist-info/METADATA"))
    assert "scapy" not in packages
    assert not re.search(r"^(License|License-Expression): GPL-(2|3)[^\n]*only", licences, re.MULTILINE)
    for name in ("pip", "setuptools", "hatchling", "scapy", "hypothesis", "pytest"):
        assert not list(root.glob(f"**/site-packages/{name}"))
        assert not list(root.glob(f"**/dist-packages/{name}"))
    gone = {"apt", "apt-get", "dpkg", "perl", "mount", "su", "gcc", "cc", "pip", "pip3", "openssl"}
    assert gone & programs(root) == set()
    for name in ("src", "build", "debs", "var/cache", "usr/share/man", "usr/share/locale", "opt/pyvrrp/lib/tests"):
        assert not (root / name).exists(), name


@pytest.mark.parametrize("target", TARGETS)
def test_nobody_becomes_root_by_a_file(images: Images, target: str) -> None:
    root = images[target].root
    assert not [
        one for one in root.rglob("*") if not one.is_symlink() and one.is_file() and one.stat().st_mode & 0o6000
    ]


@pytest.mark.parametrize("target", TARGETS)
def test_capabilities_are_on_our_interpreter_alone(images: Images, target: str) -> None:
    """Permitted, not effective: see test_rights.py for what the other would do."""
    root = images[target].root
    found = {}
    for one in root.rglob("*"):
        if one.is_file() and not one.is_symlink() and "security.capability" in os.listxattr(one):
            found[one.relative_to(root).as_posix()] = os.getxattr(one, "security.capability")
    low, high = 1 << NET_ADMIN | 1 << NET_RAW, 1 << BPF - 32
    assert found == {INTERPRETER: struct.pack("<5I", VFS_CAP_REVISION_2, low, 0, high, 0)}
    assert not (root / INTERPRETER).is_symlink()


@pytest.mark.parametrize("target", TARGETS)
def test_all_is_compiled(images: Images, target: str) -> None:
    """A root that is read-only would compile at every start; and files' times may be what they like."""
    root = images[target].root
    sources = [one for one in root.rglob("*.py") if "python3" in one.as_posix() and "lib" in one.parts]
    assert len(sources) > 500
    for source in sources:
        compiled = list((source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc"))
        assert [one for one in compiled if one.read_bytes()[4:8] == b"\x01\0\0\0"], source


@pytest.mark.parametrize("target", TARGETS)
def test_scanners_are_told_what_is_in_it(images: Images, target: str) -> None:
    """Each package that was unpacked, as images without a package manager list them; with its licence."""
    root = images[target].root
    assert "ID=debian" in (root / "etc/os-release").read_text()
    packages = {one.name for one in (root / "var/lib/dpkg/status.d").iterdir()}
    assert "libc6" in packages
    assert ("bash" in packages) is (target == "default")
    for name in packages:
        assert re.search(r"^Version: \S", (root / "var/lib/dpkg/status.d" / name).read_text(), re.MULTILINE)


@pytest.mark.parametrize("target", TARGETS)
def test_commands_work_in_it(images: Images, runtime: Runtime, network: Network, target: str) -> None:
    """Those that need no daemon, as any user, with no right and a root that cannot be written to."""
    node = network.namespace("node")

    def says(*arguments: str) -> str:
        spec = Spec(images[target].root, arguments, user=(4711, 4711), capabilities=(), read_only=True)
        code, text = runtime.run("command", spec, node)
        assert code == 0, text
        return text

    assert says("pyvrrp", "--version").split() == ["pyvrrp", __version__]
    assert says("keepalived", "--version").split()[1].startswith("v")
    assert "virtual_router_id" in says("pyvrrp", "keywords")
    assert "kind: Deployment" in says("pyvrrp", "manifest", "openshift", "--image", "x", "--vip", "192.0.2.1")
