"""The netlink sockets against a kernel that answers by script, and against the real one where it must be provoked."""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import ip_interface
from typing import Any

import pytest

from pyvrrp.errors import KernelError, LinkNotReady
from pyvrrp.net.linux import LinuxSystem
from pyvrrp.net.netlink import rtnetlink, wire
from pyvrrp.net.netlink.client import Client, Monitor
from pyvrrp.net.netlink.wire import Answer, Request
from pyvrrp.net.system import AddressAdded, KernelEvent, LinkChanged, Resynchronise, VirtualAddress
from tests.netns import Network, until

QUESTION = Request(rtnetlink.RTM_GETLINK, 0, bytes(16))
CHANGE = Request(rtnetlink.RTM_NEWADDR, 0, bytes(8))

Reply = tuple[bytes, int] | OSError
"""Octets and the port that sent them, or what the receive fails with."""


Answering = Callable[[list[int]], list[Reply]]
"""What a kernel says to a send, told its sequence numbers."""


class Script:
    """A socket whose kernel answers what the test says; it is asked once for each send."""

    def __init__(self, *answers: Answering) -> None:
        self._answers = list(answers)
        self._queue: list[Reply] = []
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> int:
        self.sent.append(data)
        sequences = [message.sequence for message in wire.parse_messages(data)]
        self._queue += self._answers.pop(0)(sequences)
        return len(data)

    def recvmsg(self, _size: int) -> tuple[bytes, list[Any], int, tuple[int, int]]:
        if not self._queue:
            raise TimeoutError
        reply = self._queue.pop(0)
        if isinstance(reply, OSError):
            raise reply
        data, port = reply
        return data, [], 0, (port, 0)

    def close(self) -> None:
        pass


def message(kind: int, sequence: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload


def verdict(sequence: int, number: int = 0, kind: int = wire.NLMSG_ERROR) -> bytes:
    return message(kind, sequence, struct.pack("=i", -number) + (bytes(16) if kind == wire.NLMSG_ERROR else b""))


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client()
    made._socket.close()
    yield made
    made.close()


def play(client: Client, *answers: Answering) -> Script:
    script = Script(*answers)
    client._socket = script  # type: ignore[assignment]  # only what the client uses of a socket
    return script


def test_a_dump_that_was_interrupted_is_made_again(client: Client) -> None:
    script = play(
        client,
        lambda s: [(message(16, s[0], b"old.", wire.NLM_F_DUMP_INTR) + verdict(s[0], kind=wire.NLMSG_DONE), 0)],
        lambda s: [(message(16, s[0], b"old."), 0), (message(3, s[0], bytes(4), wire.NLM_F_DUMP_INTR), 0)],
        lambda s: [(message(16, s[0], b"new."), 0), (verdict(s[0], kind=wire.NLMSG_DONE), 0)],
    )
    assert [found.payload for found in client.dump(QUESTION, "links")] == [b"new."]
    assert len(script.sent) == 3


def test_a_table_that_never_rests_is_an_error_in_the_end(client: Client) -> None:
    def restless(s: list[int]) -> list[Reply]:
        return [(message(3, s[0], bytes(4), wire.NLM_F_DUMP_INTR), 0)]

    play(client, *[restless] * 16)
    with pytest.raises(KernelError) as caught:
        client.dump(QUESTION, "links")
    assert (caught.value.operation, caught.value.subject, caught.value.errno) == ("list", "links", errno.EINTR)


def test_answers_to_other_questions_are_passed_over(client: Client) -> None:
    play(client, lambda s: [(message(16, s[0] + 1, b"else") + message(16, s[0], b"mine") + verdict(s[0], 0, 3), 0)])
    assert [found.payload for found in client.dump(QUESTION, "links")] == [b"mine"]


def test_what_the_kernel_did_not_send_is_passed_over(client: Client) -> None:
    play(client, lambda s: [(verdict(s[0], errno.EIO), 4711), (message(16, s[0], b"mine"), 0)])
    assert client.ask(QUESTION, "link 2").payload == b"mine"


def test_a_refused_dump_is_a_kernel_error(client: Client) -> None:
    play(client, lambda s: [(verdict(s[0], errno.ENODEV, wire.NLMSG_DONE), 0)], lambda s: [(verdict(s[0], 95), 0)])
    with pytest.raises(LinkNotReady):
        client.dump(QUESTION, "addresses")
    with pytest.raises(KernelError) as caught:
        client.dump(QUESTION, "addresses")
    assert caught.value.errno == errno.EOPNOTSUPP


def test_a_kernel_that_does_not_answer_is_a_kernel_error(client: Client) -> None:
    play(client, lambda _: [])
    with pytest.raises(KernelError) as caught:
        client.ask(QUESTION, "link 2")
    assert caught.value.errno == errno.ETIMEDOUT


def test_a_batch_asks_for_one_acknowledgement_and_matches_errors_by_sequence(client: Client) -> None:
    script = play(client, lambda s: [(verdict(s[1], errno.EEXIST), 0), (verdict(s[2]), 0)])
    assert client.change([CHANGE] * 3) == [Answer(0, ""), Answer(errno.EEXIST, ""), Answer(0, "")]
    [sent] = script.sent
    assert [found.flags & wire.NLM_F_ACK for found in wire.parse_messages(sent)] == [0, 0, wire.NLM_F_ACK]


def test_more_than_a_batch_goes_in_several(client: Client) -> None:
    def first_fails(s: list[int]) -> list[Reply]:
        return [(verdict(s[0], errno.EIO), 0), (verdict(s[-1]), 0)]

    script = play(client, first_fails, first_fails)
    answers = client.change([CHANGE] * 300)
    assert [at for at, answer in enumerate(answers) if answer.errno] == [0, 256]
    assert len(script.sent) == 2


def test_after_a_lost_answer_silence_is_no_success(client: Client) -> None:
    play(client, lambda s: [(verdict(s[0], errno.EINVAL), 0), OSError(errno.ENOBUFS, "")])
    assert [answer.errno for answer in client.change([CHANGE] * 3)] == [errno.EINVAL, errno.ENOBUFS, errno.ENOBUFS]


def test_nothing_to_change_asks_nothing(client: Client) -> None:
    script = play(client)
    assert client.change([]) == []
    assert script.sent == []


def test_sequence_numbers_begin_again_at_one(client: Client) -> None:
    client._sequence = 0xFFFFFFFE
    assert [client._next(), client._next()] == [0xFFFFFFFF, 1]


def test_a_closed_client_says_so_as_a_kernel_error() -> None:
    client = Client()
    client.close()
    client.close()
    with pytest.raises(KernelError):
        client.dump(QUESTION, "links")
    assert [answer.errno for answer in client.change([CHANGE])] == [errno.EBADF]


def read(monitor: Monitor) -> list[KernelEvent]:
    """Wait for news; those of one moment may come in several calls."""
    until(lambda: select.select([monitor], [], [], 0.1)[0], "news")
    return list(monitor.receive())


@pytest.mark.root
def test_an_overrun_is_one_resynchronise_and_then_all_goes_on(network: Network) -> None:
    host = network.namespace()
    host.ip("link", "add", "eth0", "type", "bridge")
    with host.inside(), closing(Monitor(marks=True)) as monitor, closing(LinuxSystem()) as system:
        assert list(monitor.receive()) == []
        monitor._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        vips = [VirtualAddress("eth0", ip_interface(f"192.0.2.{host}/32")) for host in range(1, 251)]
        assert not any(system.install(vips))
        assert read(monitor) == [Resynchronise()]
        assert list(monitor.receive()) == []
        system.remove(vips[:1])
        system.install(vips[:1])
        assert [event.address.address for event in read(monitor) if isinstance(event, AddressAdded)] == [
            vips[0].address
        ]


@pytest.mark.root
def test_forged_news_are_not_believed(network: Network) -> None:
    host = network.namespace()
    host.ip("link", "add", "eth0", "type", "bridge")
    with host.inside(), closing(Monitor(marks=True)) as monitor:
        port = monitor._socket.getsockname()[0]
        forged = message(
            rtnetlink.RTM_NEWLINK,
            0,
            struct.pack("=BxHiII", 0, 1, 99, 1, 0)
            + wire.pack_attribute(rtnetlink.IFLA_IFNAME, b"forged\0")
            + wire.pack_u32(rtnetlink.IFLA_MTU, 1500),
        )
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as forger:
            forger.sendto(forged, (port, 0))
        host.ip("link", "set", "eth0", "up")
        events = [event for event in read(monitor) if isinstance(event, LinkChanged)]
        assert {event.link.name for event in events} == {"eth0"}


@pytest.mark.root
def test_octets_that_cannot_be_read_are_news_we_lack(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    with network.namespace().inside(), closing(Monitor(marks=True)) as monitor:
        octets = iter([b"\x05\0\0\0" + bytes(12)])

        def received(_socket: socket.socket) -> bytes:
            for data in octets:
                return data
            raise BlockingIOError

        monkeypatch.setattr("pyvrrp.net.netlink.client._from_kernel", received)
        assert list(monitor.receive()) == [Resynchronise()]
