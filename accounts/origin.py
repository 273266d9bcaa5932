"""From where the change comes that is being made: set once by the middleware, the command line or the task runner, and
read by the audit trail, so that no call in between hands it on. Knows no framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_ORIGIN: ContextVar[str] = ContextVar("origin", default="")


def present_origin() -> str:
    """The address, command or task that is at work here; empty where nobody said."""
    return _ORIGIN.get()


@contextmanager
def coming_from(origin: str) -> Iterator[None]:
    """What happens inside comes from there."""
    token = _ORIGIN.set(origin)
    try:
        yield
    finally:
        _ORIGIN.reset(token)


def parse_proxies(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks of our own proxies. ValueError for one that is none."""
    return tuple(ip_network(text.strip(), strict=False) for text in texts if text.strip())


def client_address(remote: str, forwarded: str, proxies: Sequence[Network]) -> str:
    """The address that asks, as far as our own proxies vouch for it; empty where there is none (a Unix socket).

    `forwarded` is X-Forwarded-For, to which each proxy adds at the end whom it saw. Read from the end while the one who
    says it is a proxy of ours: what stands before was written by the client and may be anything.
    """
    address = _plain(remote)
    hops = [text for text in forwarded.split(",") if text.strip()]
    while hops and address and _is_among(address, proxies):
        seen = _plain(hops.pop())
        if not seen:
            break
        address = seen
    return address


def _plain(text: str) -> str:
    """The address without brackets, port and zone; empty where it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return ""


def _is_among(address: str, proxies: Sequence[Network]) -> bool:
    known = ip_address(address)
    return any(known in network for network in proxies)
