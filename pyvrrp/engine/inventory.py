"""What the kernel has, as it was last heard: links by name, addresses by link and by what makes them one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyvrrp.net.addresses import Key, found_key, key_of
from pyvrrp.net.system import ADDRESS_PROTOCOL, AssignedAddress, Link, VirtualAddress


class Inventory:
    """
    Links and addresses of the namespace; worked out once, for all instances look at it after every piece of news.

    Attributes:
        links: By name.
    """

    __slots__ = ("_by_key", "_by_link", "links")

    def __init__(self) -> None:
        self.links: dict[str, Link] = {}
        self._by_link: dict[int, list[AssignedAddress]] = {}
        self._by_key: dict[Key, AssignedAddress] = {}

    def replace(self, links: Iterable[Link], addresses: Iterable[AssignedAddress]) -> None:
        """All is as said here."""
        before = self.links
        # The same object while it is the same link: others know by it that nothing has changed.
        self.links = {link.name: before[link.name] if before.get(link.name) == link else link for link in links}
        self._by_link = {}
        self._by_key = {}
        for assigned in addresses:
            self._by_link.setdefault(assigned.index, []).append(assigned)
            self._by_key[found_key(assigned)] = assigned

    def change(self, link: Link) -> None:
        """A link is new or another; it may have been renamed."""
        self.remove(link.index)
        self.links[link.name] = link

    def remove(self, index: int) -> None:
        """A link is gone."""
        self.links = {name: link for name, link in self.links.items() if link.index != index}

    def name_of(self, index: int) -> str | None:
        """Name that the link of that index has now."""
        return next((link.name for link in self.links.values() if link.index == index), None)

    def addresses_of(self, link: Link) -> Sequence[AssignedAddress]:
        """Addresses of a link, in the kernel's order."""
        return self._by_link.get(link.index, ())

    def find(self, address: VirtualAddress) -> AssignedAddress | None:
        """The address on its interface, whoever put it there."""
        link = self.links.get(address.interface)
        return None if link is None else self._by_key.get(key_of(address, link.index))

    def is_native(self, address: VirtualAddress) -> bool:
        """Whether it is there without our mark."""
        found = self.find(address)
        return found is not None and found.protocol != ADDRESS_PROTOCOL
