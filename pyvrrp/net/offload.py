"""
An eBPF socket filter that hears, instead of us, the advertisement that changes nothing.

Rules:

* it swallows what equals, octet by octet, the advertisement that a virtual router is armed with, and stores the time;
* it treats everything else as `filters.advertisement_filter` does, but counts exactly what it drops;
* whoever is refused it (`NotPermitted`, `KernelError`) loses speed and nothing else.

Kernel and process share one table with a slot for each VRID. Arming, disarming and asking are plain memory accesses.
The time is the kernel's CLOCK_MONOTONIC, which is that of `time.monotonic_ns`.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
from collections.abc import Collection, Iterable
from typing import Final

from pyvrrp.errors import DropReason
from pyvrrp.net.ebpf.kernel import create_table, load_program, refused, syscall_number
from pyvrrp.net.ebpf.program import (
    ADDRESSES,
    CHUNK,
    FOREIGN,
    HITS,
    LENGTH,
    MESSAGE,
    OURS,
    SEEN,
    SHARE,
    SHORT,
    SLOTS,
    WORD,
    WRONG_TTL,
    build_program,
)
from pyvrrp.net.filters import SAMPLE, check_sample, detach
from pyvrrp.protocol.advertisement import check_vrid
from pyvrrp.protocol.constants import TTL, Family
from pyvrrp.protocol.headers import IpHeader

_SO_ATTACH_BPF: Final = 50  # asm-generic/socket.h
_NS_PER_US: Final = 1000


def fingerprint(header: IpHeader, payload: bytes) -> bytes:
    """
    What must be equal in the next advertisement: source, destination and message as they were received.

    The rest of the IP header changes from packet to packet, or says nothing to VRRP; the TTL is compared apart.
    """
    return header.source.packed + header.destination.packed + payload


class Offload:
    """
    The filter on one socket, as `open_offload` made it.

    A virtual router may be armed with an advertisement that did nothing but restart its Master_Down_Interval: it would
    do the same again. Whatever changes what the next one would do must disarm it first. Not for use after `close`.
    """

    def __init__(
        self,
        sock: socket.socket,
        family: Family,
        vrids: Iterable[int],
        sample: int,
        *,
        table: mmap.mmap,
        slot: int,
        program: int,
    ) -> None:
        """
        Take over the table and put the filter on the socket.

        Args:
            sock: The socket.
            family: Its family.
            vrids: Our VRIDs.
            sample: One in so many of the packets that are not for us passes.
            table: The mapped table, all zeros.
            slot: Octets of one slot.
            program: Descriptor of the loaded program.

        Raises:
            KernelError: The socket does not take the filter; the table is given back.
        """
        self._socket = sock
        self._table = table
        self._slot = slot
        self._addresses = 2 * family.address_length
        # A view of 64-bit words because each access to one is a single load or store, which the filter finds done or
        # not done. struct writes octet by octet: half a length would be the length of another message.
        self._words = memoryview(table).cast("Q")
        self._step = slot // WORD
        self._seen = self._words[SEEN // WORD :: self._step]
        # Before the filter is there: until it knows what is ours, it would drop it.
        self.serve(vrids)
        self.set_share(sample)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, program)
        except OSError as error:
            self._release()
            raise refused("attach", "eBPF program", error) from error

    def serve(self, vrids: Iterable[int]) -> None:
        """
        Say which VRIDs are ours from now on; the others are disarmed.

        Raises:
            UsageError: A VRID is not in 1-255.
        """
        ours = set(vrids)
        for vrid in ours:
            check_vrid(vrid)
        for vrid in range(SLOTS):
            if vrid not in ours:
                self.disarm(vrid)
            self._words[vrid * self._step + OURS // WORD] = vrid in ours

    def set_share(self, sample: int) -> None:
        """
        Let one in so many of the packets that are not for us pass; 0 is none, 1 is all.

        Raises:
            UsageError: It is out of range.
        """
        check_sample(sample)
        for vrid in range(SLOTS):
            self._words[vrid * self._step + SHARE // WORD] = sample

    def arm(self, vrid: int, fingerprint: bytes, now_us: int, *, ttl: int = TTL) -> bool:
        """
        Swallow what equals an advertisement that was heard and believed.

        Args:
            vrid: VRID of the message.
            fingerprint: What `fingerprint` made of the advertisement.
            now_us: When it was heard.
            ttl: The TTL it came with.

        Returns:
            Whether it is armed; False and disarmed if the message is longer than the slots.

        Raises:
            UsageError: The VRID is not in 1-255.
        """
        check_vrid(vrid)
        self.disarm(vrid)
        addresses, message = fingerprint[: self._addresses], fingerprint[self._addresses :]
        room = self._slot - MESSAGE
        if not 0 < len(message) <= room:
            return False
        # The filter may be at work on another core, having seen the slot armed just before. What it then compares with
        # is partly old, partly new: nothing but the old or the new advertisement equals both parts, save for a packet
        # made for these nanoseconds. Either is a sign of life.
        at = vrid * self._slot
        self._table[at + ADDRESSES : at + ADDRESSES + len(addresses)] = addresses
        self._table[at + MESSAGE : at + self._slot] = message.ljust(room, b"\0")
        self._seen[vrid] = max(0, now_us) * _NS_PER_US
        self._words[vrid * self._step + LENGTH // WORD] = ttl << 32 | len(message)
        return True

    def disarm(self, vrid: int) -> None:
        """Let every advertisement of a VRID through; the time of the last one stays to be asked for."""
        self._words[vrid * self._step + LENGTH // WORD] = 0

    def last_seen_us(self, vrid: int) -> int:
        """When an armed advertisement was last heard, by us or by the filter; 0 if the VRID never was armed."""
        return self._seen[vrid] // _NS_PER_US

    def oldest_us(self, vrids: Collection[int]) -> int | None:
        """The least of `last_seen_us`, None of no VRIDs."""
        return min(map(self._seen.__getitem__, vrids)) // _NS_PER_US if vrids else None

    def hits(self, vrid: int) -> int:
        """How many advertisements of a VRID were swallowed since the filter was opened."""
        return self._words[vrid * self._step + HITS // WORD]

    def dropped(self, vrid: int | None = None) -> dict[str, int]:
        """
        How many packets the filter dropped because they were not for us, not counting those it let through.

        Args:
            vrid: Those of one VRID; 0 is for those without any, too. None for all.

        Returns:
            Numbers by the reason that the receive checks would have given, were nothing else wrong with the packet.
        """
        slots = range(SLOTS) if vrid is None else (vrid,)

        def count(counter: int, of: Iterable[int] = slots) -> int:
            return sum(self._words[one * self._step + counter // WORD] for one in of)

        return {
            DropReason.TTL.value: count(WRONG_TTL),
            DropReason.TRUNCATED.value: count(SHORT),
            DropReason.VRID_ZERO.value: count(FOREIGN, [one for one in slots if one == 0]),
            DropReason.VRID_UNKNOWN.value: count(FOREIGN, [one for one in slots if one != 0]),
        }

    def close(self) -> None:
        """
        Take the filter off its socket, which then hears everything, and give the table back; twice is harmless.

        If another filter is to follow, attach it afterwards.
        """
        if not self._table.closed:
            detach(self._socket)
            self._release()

    def _release(self) -> None:
        self._seen.release()
        self._words.release()
        self._table.close()


def open_offload(
    sock: socket.socket,
    family: Family,
    vrids: Iterable[int],
    max_payload: int,
    *,
    sample: int = SAMPLE,
    ttl: int | None = TTL,
) -> Offload:
    """
    Put the filter on a raw socket, in place of the one that is there; no VRID is armed yet.

    Args:
        sock: A raw socket for protocol 112.
        family: Its family.
        vrids: Our VRIDs.
        max_payload: Octets of the longest message to swallow; longer ones pass.
        sample: One in so many of the packets that are not for us passes; 0 is none, 1 is all.
        ttl: What has another TTL or Hop Limit is not for us; None for unicast sockets.

    Raises:
        NotPermitted: It needs CAP_BPF, which this process has not, or not here; *detail* says which.
        KernelError: This machine or kernel cannot; *detail* says why. What was on the socket is there still.
        UsageError: A number is out of range.
    """
    check_sample(sample)
    ours = frozenset(vrids)
    for vrid in ours:
        check_vrid(vrid)
    capacity = max(1, -(-max_payload // CHUNK)) * CHUNK
    slot = MESSAGE + capacity
    number = syscall_number()
    # The mapping and the socket keep what they need alive; no descriptor of ours is to stay.
    with contextlib.ExitStack() as descriptors:
        table = create_table(number, SLOTS, slot)
        descriptors.callback(os.close, table)
        program = load_program(number, build_program(table, family, capacity, ttl))
        descriptors.callback(os.close, program)
        try:
            mapped = mmap.mmap(table, -(-SLOTS * slot // mmap.PAGESIZE) * mmap.PAGESIZE)
        except OSError as error:
            raise refused("map", "eBPF table", error) from error
        return Offload(sock, family, ours, sample, table=mapped, slot=slot, program=program)
