"""
The nftables rules that let VRRP in, without the nft program.

They are those of the OpenShift ipfailover image: table `inet keepalived`, chain `filter` on the hook "input" with
policy accept, and rules that accept. They say what is wanted and can be seen in `nft list ruleset`; what another table
drops stays dropped, for a packet passes only if every chain on its way accepts it.

* The kernel takes all of a change or nothing of it.
* A rule that the chain has is not added again, whether we or nft put it there; also not by two that start at once.
* Nothing waits for longer than a few seconds.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Sequence
from typing import Final

from pyvrrp.errors import KernelError
from pyvrrp.net.netlink import nftables
from pyvrrp.net.netlink.client import Client
from pyvrrp.net.netlink.nftables import Rule
from pyvrrp.net.netlink.wire import Request
from pyvrrp.net.refusals import CAP_NET_ADMIN, refusal
from pyvrrp.protocol.constants import IPAddress

TABLE: Final = "keepalived"
CHAIN: Final = "filter"

_TABLE: Final = f"table inet {TABLE}"
_CHAIN: Final = f"chain inet {TABLE} {CHAIN}"
_SUBJECT: Final = "nftables"
_NETLINK_NETFILTER: Final = 12  # linux/netlink.h; the socket module of 3.11 lacks it
_TRIES: Final = 16  # rules that change between our look and our change that many times in a row are not changed
# What an errno means of these, where the kernel has no words for it.
_WHY: Final = {
    (errno.EPERM, _TABLE): "it belongs to another program",
    (errno.EOPNOTSUPP, _CHAIN): "is it there with another type, hook or priority?",
    (errno.EEXIST, _CHAIN): "is it there with another type, hook or priority?",
}
# What a kernel answers that lacks nf_tables, its family inet or one of the parts of a rule.
_LACKING: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOENT})


def allow_vrrp(*, ipv6: bool = False, peers: Sequence[IPAddress] = ()) -> tuple[str, ...]:
    """
    See that the rules are there, in the network namespace of the calling thread.

    The rule for 224.0.0.18 is one of them in unicast mode also, as in the old image.

    Args:
        ipv6: Also what comes to ff02::12.
        peers: Also VRRP from these unicast peers.

    Returns:
        The rules that were added, as nft lists them; none if all were there.

    Raises:
        NotPermitted: CAP_NET_ADMIN is missing.
        KernelError: The kernel refused; nothing has been changed.
    """
    groups = [nftables.accept_group(version) for version in ((4, 6) if ipv6 else (4,))]
    wanted = list(dict.fromkeys([*groups, *(nftables.accept_peer(peer) for peer in peers)]))
    with _client() as client:
        for _ in range(_TRIES):
            generation = nftables.read_generation(client.ask(nftables.get_generation(), "nftables generation"))
            missing = _missing(client, wanted)
            if not missing:
                return ()
            changes = [
                (nftables.add_table(TABLE), _TABLE),
                (nftables.add_chain(TABLE, CHAIN), _CHAIN),
                *((nftables.add_rule(TABLE, CHAIN, rule), f"rule {rule.text} to {_CHAIN}") for rule in missing),
            ]
            if _change(client, "add", changes, generation, unless=errno.ERESTART) is None:
                return tuple(rule.text for rule in missing)
    raise KernelError("change", _TABLE, errno.EBUSY, f"the rules changed during each of {_TRIES} attempts")


def forget() -> bool:
    """
    Delete the table with all that is in it, in the network namespace of the calling thread; no other is touched.

    Returns:
        Whether there was one.

    Raises:
        NotPermitted: CAP_NET_ADMIN is missing.
        KernelError: The kernel refused; nothing has been changed.
    """
    with _client() as client:
        return _change(client, "delete", [(nftables.delete_table(TABLE), _TABLE)], None, unless=errno.ENOENT) is None


@contextlib.contextmanager
def _client() -> Iterator[Client]:
    try:
        with contextlib.closing(Client(_NETLINK_NETFILTER, _SUBJECT, CAP_NET_ADMIN)) as client:
            yield client
    except KernelError as error:
        if error.errno in _LACKING and not error.detail:
            detail = "does this kernel have nf_tables, and its family inet?"
            raise KernelError(error.operation, error.subject, error.errno, detail) from error
        raise


def _missing(client: Client, wanted: Sequence[Rule]) -> list[Rule]:
    """Those of the wanted rules that the chain does not have."""
    try:
        messages = client.dump(nftables.get_rules(TABLE, CHAIN), f"rules of {_CHAIN}")
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
        return list(wanted)  # no such table or chain yet
    listed = [rule for message in messages if (rule := nftables.read_rule(message)) is not None]
    here = [rule for rule in listed if (rule.table, rule.chain) == (TABLE, CHAIN)]
    return [rule for rule in wanted if not any(nftables.same(rule, one) for one in here)]


def _change(
    client: Client, operation: str, changes: Sequence[tuple[Request, str]], generation: int | None, *, unless: int
) -> KernelError | None:
    """
    Make all changes or none.

    Returns:
        None once they are made, and the error if its number is *unless*.

    Raises:
        KernelError: Any other; it names the change that was refused.
    """
    at, answer = client.transact(nftables.batch([request for request, _ in changes], generation))
    if not answer.errno:
        return None
    if at == 0:  # the beginning stands for all: no right, no nf_tables, another generation, not committed
        error = refusal("change", _SUBJECT, answer.errno, needs=CAP_NET_ADMIN, detail=answer.text)
    else:
        subject = changes[at - 1][1]
        error = KernelError(operation, subject, answer.errno, answer.text or _WHY.get((answer.errno, subject), ""))
    if answer.errno == unless:
        return error
    raise error
