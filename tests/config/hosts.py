"""A host in memory for the tests of what a configuration asks of the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from pyvrrp.config.host import Included, Unreadable


class FakeHost:
    """Files by name: their text, or why they cannot be read; links are names of other files after an arrow."""

    def __init__(self, files: Mapping[str, str | Unreadable], environment: Mapping[str, str] | None = None) -> None:
        self.files = dict(files)
        self.environment = dict(environment or {})

    def find(self, pattern: str, beside: str, most: int) -> Sequence[str]:
        whole = self._join(beside, pattern)
        return sorted(name for name in self.files if fnmatchcase(name, whole))[:most]

    def read(self, name: str, most: int) -> Included:
        found = self.files[self.identity(name)]
        if isinstance(found, Unreadable):
            raise found
        if len(found) > most:
            raise Unreadable("is too large")
        return Included(found, len(found))

    def identity(self, name: str) -> str:
        found = self.files.get(name)
        return found.removeprefix("-> ") if isinstance(found, str) and found.startswith("-> ") else name

    def directory(self, name: str) -> str:
        return str(PurePosixPath("/", name).parent)

    def variable(self, name: str) -> str | None:
        return self.environment.get(name)

    @staticmethod
    def _join(beside: str, pattern: str) -> str:
        directory = str(PurePosixPath(beside).parent)
        return pattern if pattern.startswith("/") or directory == "." else f"{directory}/{pattern}"
