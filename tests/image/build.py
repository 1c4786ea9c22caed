"""
The image built from the Containerfile with Debian's tools and no registry of images, once for each state of its inputs.

The base comes from mmdebstrap and this machine's own Debian mirror; pip in the build reaches what pip here reaches.
What was built is kept in the user's cache directory, outside of the checkout: root file systems by target, and what
the image says about itself.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyvrrp.version import __version__

REPOSITORY: Final = Path(__file__).parents[2]
INPUTS: Final = ("Containerfile", ".containerignore", "pyproject.toml", "README.md", "LICENSE", "pyvrrp")
TARGETS: Final = ("slim", "default")  # the second is made of the first
TOOLS: Final = ("buildah", "mmdebstrap")

BASE_AGE_MAX_S: Final = 7 * 86400.0
"""A base that is older is made anew: the image would have last week's packages."""

STORAGE_MAX: Final = 4 << 30
"""Octets of layers, which make the next build short, until they are thrown away."""

_BASE: Final = "localhost/pyvrrp-test-base"
_BASE_PACKAGES: Final = "ca-certificates,libcap2-bin,python3-venv"
_SETTING: Final = re.compile(r"(?:[\w.:-]*)\.([a-z-]+)=(.*)")
_FILES: Final = frozenset({"cert", "client-cert"})
_SETTINGS: Final = _FILES | {"index-url", "extra-index-url", "default-timeout", "timeout", "proxy", "trusted-host"}


@dataclass(frozen=True, slots=True)
class Image:
    """
    One target.

    Attributes:
        root: Its root file system, to be read only: `runtime.py` lays something above it.
        about: Its OCI configuration.
        size: Octets, of all layers.
        built_s: What the building took; 0 for one that was there.
    """

    root: Path
    about: Any
    size: int
    built_s: float


def build() -> dict[str, Image]:
    """
    All targets.

    Raises:
        subprocess.CalledProcessError: A tool failed; its output is in the note.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyvrrp-test-image"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = cache / "sources"
        _snapshot(sources)
        done = cache / _digest(sources)
        seconds = {} if done.is_dir() else _build_into(cache, sources, done)
    return {target: _image(done / target, seconds.get(target, 0.0)) for target in TARGETS}


def _image(directory: Path, built_s: float) -> Image:
    about = json.loads((directory / "about.json").read_text())
    return Image(directory / "root", about, int((directory / "size").read_text()), built_s)


def _snapshot(sources: Path) -> None:
    """The inputs as they are now: both targets are built of the same, whoever edits meanwhile."""
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir()
    for name in INPUTS:
        given = REPOSITORY / name
        if given.is_dir():
            shutil.copytree(given, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(given, sources / name)


def _digest(sources: Path) -> str:
    """Of all that the image is made of; packages excepted, which are last week's at most."""
    found = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(sources.rglob("*")):
        if path.is_file():
            found.update(f"{path.relative_to(sources)} {path.stat().st_mode} {path.stat().st_size}\n".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


def _build_into(cache: Path, sources: Path, done: Path) -> dict[str, float]:
    """Build, and put what came out in the place of what was there."""
    began = time.monotonic()
    place = cache / "storage"
    if place.exists() and int(run(["du", "--summarize", "--block-size=1", str(place)]).split()[0]) > STORAGE_MAX:
        shutil.rmtree(place)
    storage = _Storage(place)
    storage.run("rm", "--all")  # of builds that failed
    _make_base(cache, storage)
    seconds = {"base": time.monotonic() - began}
    for old in cache.iterdir():
        if re.fullmatch(r"[0-9a-f]{64}(\.part)?", old.name):
            shutil.rmtree(old)
    part = done.with_suffix(".part")
    with _settings_of_pip(cache / "pip") as volumes:
        for target in TARGETS:
            began = time.monotonic()
            (part / target).mkdir(parents=True)
            name = f"localhost/pyvrrp-test-{target}"
            storage.run(
                *("build", "--isolation", "chroot", "--layers", "--pull-never", "--tag", name),
                *("--build-arg", f"BASE={_BASE}", "--build-arg", f"VERSION={__version__}"),
                *(word for volume in volumes for word in ("--volume", volume)),
                *(["--target", target] if target != "default" else []),
                *("--file", str(sources / "Containerfile"), str(sources)),
            )
            storage.export(name, part / target)
            seconds[target] = time.monotonic() - began
    part.rename(done)
    return seconds


class _Storage:
    """Where buildah keeps its images: ours alone, nobody else's images are seen or touched."""

    def __init__(self, directory: Path) -> None:
        # vfs copies everything for each layer, and works where overlays of overlays do not.
        for driver in ("overlay", "vfs"):
            place = directory / driver
            self._prefix = [
                *("buildah", "--storage-driver", driver, "--root", str(place / "root")),
                *("--runroot", str(place / "run")),
            ]
            with contextlib.suppress(subprocess.CalledProcessError):
                self.run("rm", self.run("from", "scratch"))
                return
        self.run("from", "scratch")

    def run(self, *arguments: str) -> str:
        return run([*self._prefix, *arguments])

    def export(self, name: str, directory: Path) -> None:
        """Files, configuration and size of an image."""
        container = self.run("from", "--pull-never", name)
        shutil.rmtree(directory / "root", ignore_errors=True)
        run(["cp", "--archive", self.run("mount", container), str(directory / "root")])
        self.run("rm", container)
        told = json.loads(self.run("inspect", "--type", "image", name))
        (directory / "about.json").write_text(json.dumps(told["OCIv1"], indent=1))
        octets = run(["du", "--summarize", "--apparent-size", "--bytes", str(directory / "root")]).split()[0]
        (directory / "size").write_text(octets)


def _make_base(cache: Path, storage: _Storage) -> None:
    """The base as an image, not older than `BASE_AGE_MAX_S` and of this machine's own release."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    mirrors = _mirrors(release)
    stamp = cache / "base"
    made_of = "\n".join([release, _BASE_PACKAGES, *mirrors])
    there = storage.run("images", "--quiet", "--filter", f"reference={_BASE}")
    if there and stamp.is_file() and time.time() - stamp.stat().st_mtime < BASE_AGE_MAX_S:  # noqa: SIM102
        if stamp.read_text() == made_of:
            return
    archive = cache / "base.tar"
    run(["mmdebstrap", "--quiet", "--variant=apt", f"--include={_BASE_PACKAGES}", release, str(archive), *mirrors])
    container = storage.run("from", "scratch")
    storage.run("add", "--quiet", container, str(archive), "/")
    storage.run("commit", "--quiet", container, _BASE)
    storage.run("rm", container)
    archive.unlink()
    stamp.write_text(made_of)


def _mirrors(release: str) -> list[str]:
    """Lines of sources.list for this machine's Debian, as apt here is told; none where apt's words are unusual."""
    told = run(
        ["apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    )
    return sorted({line for line in told.splitlines() if re.match(rf"deb \S+ {release}(-updates|-security)? ", line)})


@contextlib.contextmanager
def _settings_of_pip(directory: Path) -> Iterator[list[str]]:
    """
    Have pip in the build ask the servers that pip here asks; what lies on this machine's disk stays out.

    Yields:
        Volumes for the build.
    """
    settings: dict[str, str] = {}
    for line in run([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        if (match := _SETTING.fullmatch(line)) and match[1] in _SETTINGS:
            words = str(ast.literal_eval(match[2])).split()
            settings[match[1]] = " ".join(word for word in words if not word.startswith("file:"))
    directory.mkdir(exist_ok=True)
    file = directory / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items() if value))
    volumes = {f"{settings[name]}:{settings[name]}:ro" for name in _FILES & settings.keys()}
    try:
        yield [f"{file}:/etc/pip.conf:ro", *sorted(volumes)]
    finally:
        shutil.rmtree(directory)


def run(arguments: Sequence[str]) -> str:
    """Run a program and return what it printed."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        error = subprocess.CalledProcessError(done.returncode, arguments)
        error.add_note((done.stdout + done.stderr)[-4000:])
        raise error
    return done.stdout.strip()
