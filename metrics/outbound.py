"""Where this installation may connect to. Pure but for asking the name service; knows no HTTP.

Our own database and broker, link-local, metadata and multicast addresses are refused always. Public addresses are for
https only. Private and loopback addresses only where the operator's allow-list names them.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from metrics.errors import ConnectorError

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

# Cloud metadata services that hand out credentials: AWS, Google and Azure share 169.254.169.254 (link-local).
METADATA = frozenset(ipaddress.ip_address(text) for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200"))
NAT64 = ipaddress.ip_network("64:ff9b::/96")
THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host name in the name service's order. Raises OSError."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def parse_networks(entries: Sequence[str]) -> tuple[IpNetwork, ...]:
    """Return networks from 'a.b.c.d', 'a.b.c.d/n' and their IPv6 forms. Raises ValueError."""
    return tuple(ipaddress.ip_network(entry.strip(), strict=False) for entry in entries if entry.strip())


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """`allow`: private networks that may be called. `forbidden_endpoints`: (host, port) of our own servers."""

    allow: tuple[IpNetwork, ...] = ()
    forbidden_endpoints: tuple[tuple[str, int], ...] = ()
    resolver: Resolver = resolve

    def checked_addresses(self, *, scheme: str, host: str, port: int) -> list[str]:
        """Return the addresses to connect to, each of them allowed. Raises ConnectorError, permanent where refused.

        One address that may not be called refuses the host: a name that points to both is not a mistake to be kind to.
        """
        if scheme not in {"http", "https"}:
            raise ConnectorError(f"{scheme}:// addresses are not called, only http:// and https://.", permanent=True)
        try:
            texts = list(self.resolver(host, port))
        except (OSError, UnicodeError):
            texts = []
        if not texts:
            raise ConnectorError(
                f"The name {host} is not known to the name service (DNS).",
                permanent=False,
                hint="Check its spelling, and that it can be resolved where the worker runs.",
            )
        for text in texts:
            self._check(_plain(text), scheme=scheme, host=host, port=port)
        return texts

    def _check(self, address: IpAddress, *, scheme: str, host: str, port: int) -> None:
        where = f"{host} ({address})" if str(address) != host else host
        if self._is_own_server(address, port):
            raise ConnectorError(
                f"{where} port {port} is Phaseline's own database or broker, which is never called.", permanent=True
            )
        if _is_never_called(address):
            raise ConnectorError(
                f"{where} is a link-local, metadata, multicast or reserved address, which is never called.",
                permanent=True,
            )
        if address.is_global:
            if scheme != "https":
                raise ConnectorError(
                    f"{where} is a public address, and those are called over https only.",
                    permanent=True,
                    hint="Change the address to https://.",
                )
        elif not any(address in network for network in self.allow if network.version == address.version):
            kind = "this machine itself" if address.is_loopback else "a private address"
            entries = ",".join([*(str(network) for network in self.allow), str(ipaddress.ip_network(address))])
            raise ConnectorError(
                f"{where} is {kind}, and this installation may not call it.",
                permanent=True,
                hint=f"To allow it, put this line into .env and restart: OUTBOUND_ALLOW={entries}",
            )

    def _is_own_server(self, address: IpAddress, port: int) -> bool:
        for forbidden_host, forbidden_port in self.forbidden_endpoints:
            if forbidden_port != port:
                continue
            try:
                own = [_plain(text) for text in self.resolver(forbidden_host, forbidden_port)]
            except (OSError, UnicodeError):
                continue
            # A server on loopback mostly listens on all of 127.0.0.0/8 and on ::1.
            if address in own or (address.is_loopback and any(there.is_loopback for there in own)):
                return True
        return False


def _plain(text: str) -> IpAddress:
    """Return the address that is really meant: without scope, IPv4 where it is wrapped into IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if wrapped is None and address in NAT64:
            wrapped = IPv4Address(int(address) & 0xFFFFFFFF)
        return wrapped or address
    return address


def _is_never_called(address: IpAddress) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in METADATA
        or (address.is_reserved and not address.is_loopback)
        or (address.version == 4 and address in THIS_NETWORK)
    )
