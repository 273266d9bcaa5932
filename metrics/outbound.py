"""Where this installation may connect to. Pure but for asking the name service; knows no HTTP.

Our own database and broker, link-local, metadata and multicast addresses are refused always. Public addresses are for
https only. Private and loopback addresses only where the operator's allow-list names them.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import psutil

from metrics.errors import ConnectorError
from metrics.words import N_, phrase

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

# Cloud metadata services that hand out credentials and lie outside 169.254.0.0/16 and fe80::/10, where most are: AWS
# (also its resolver and EKS), Google, Alibaba, Azure's host, Oracle, Scaleway.
METADATA = tuple(
    ipaddress.ip_network(text)
    for text in (
        "fd00:ec2::/32",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:42::42",
    )
)
# Not on the internet, whatever this version of Python says of them: IETF's own, 6to4 relays, site-local, documentation.
NOT_PUBLIC = tuple(
    ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "3fff::/20", "2001::/23")
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host name in the name service's order. Raises OSError."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def own_addresses() -> list[str]:
    """Return the addresses of this machine's network interfaces, without scope."""
    return [
        one.address.partition("%")[0]
        for interface in psutil.net_if_addrs().values()
        for one in interface
        if one.family in (socket.AF_INET, socket.AF_INET6)
    ]


def parse_networks(entries: Sequence[str]) -> tuple[IpNetwork, ...]:
    """Return networks from 'a.b.c.d', 'a.b.c.d/n' and their IPv6 forms. Raises ValueError."""
    return tuple(ipaddress.ip_network(entry.strip(), strict=False) for entry in entries if entry.strip())


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """`allow`: private networks that may be called. `forbidden_endpoints`: (host, port) of our own servers."""

    allow: tuple[IpNetwork, ...] = ()
    forbidden_endpoints: tuple[tuple[str, int], ...] = ()
    resolver: Resolver = resolve
    local_addresses: Callable[[], Sequence[str]] = own_addresses

    def checked_addresses(self, *, scheme: str, host: str, port: int) -> list[str]:
        """Return the addresses to connect to, each of them allowed. Raises ConnectorError, permanent where refused.

        One address that may not be called refuses the host: a name that points to both is not a mistake to be kind to.
        """
        if scheme not in {"http", "https"}:
            kind = f"{scheme}:// addresses are" if scheme else "An address without http:// or https:// is"
            raise ConnectorError(
                phrase("%(kind)s not called, only http:// and https:// ones.", kind=kind), permanent=True
            )
        if not host:
            raise ConnectorError(
                N_("The address has no host."), permanent=True, hint=N_("Write it as http://10.0.0.5:8000.")
            )
        try:
            texts = list(self.resolver(host, port))
        except (OSError, UnicodeError):
            texts = []
        if not texts:
            raise ConnectorError(
                phrase("The name %(host)s is not known to the name service (DNS).", host=host),
                permanent=False,
                hint=N_("Check its spelling, and that it can be resolved where the worker runs."),
            )
        for text in texts:
            self._check(_plain(text), scheme=scheme, host=host, port=port)
        return texts

    def _check(self, address: IpAddress, *, scheme: str, host: str, port: int) -> None:
        where = f"{host} ({address})" if str(address) != host else host
        if self._is_own_server(address, port):
            raise ConnectorError(
                phrase(
                    "%(where)s port %(port)s is Phaseline's own database or broker, which is never called.",
                    where=where,
                    port=port,
                ),
                permanent=True,
            )
        if _is_never_called(address):
            raise ConnectorError(
                phrase(
                    "%(where)s is a link-local, metadata, multicast or reserved address, which is never called.",
                    where=where,
                ),
                permanent=True,
            )
        if is_public(address):
            if scheme != "https":
                raise ConnectorError(
                    phrase("%(where)s is a public address, and those are called over https only.", where=where),
                    permanent=True,
                    hint=N_("Change the address to https://."),
                )
        elif not _is_in(address, self.allow):
            kind = "this machine itself" if address.is_loopback else "a private address"
            entries = ",".join([*(str(network) for network in self.allow), str(ipaddress.ip_network(address))])
            raise ConnectorError(
                phrase("%(where)s is %(kind)s, and this installation may not call it.", where=where, kind=kind),
                permanent=True,
                hint=phrase(
                    "To allow it, put this line into .env and restart: OUTBOUND_ALLOW=%(entries)s", entries=entries
                ),
            )

    def _is_own_server(self, address: IpAddress, port: int) -> bool:
        for forbidden_host, forbidden_port in self.forbidden_endpoints:
            if forbidden_port != port:
                continue
            try:
                own = [_plain(text) for text in self.resolver(forbidden_host, forbidden_port)]
            except (OSError, UnicodeError):
                continue
            if address in own:
                return True
            # A server on this machine mostly listens on all of its addresses, and on all of 127.0.0.0/8 and ::1.
            if self._is_here(address) and any(self._is_here(there) for there in own):
                return True
        return False

    def _is_here(self, address: IpAddress) -> bool:
        return address.is_loopback or any(address == _plain(text) for text in self.local_addresses())


def _plain(text: str) -> IpAddress:
    """Return the address that is really meant: without scope, IPv4 where it is wrapped into IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if wrapped is None and address in NAT64:
            wrapped = IPv4Address(int(address) & 0xFFFFFFFF)
        return wrapped or address
    return address


def is_public(address: IpAddress) -> bool:
    """Whether the address is one of the internet's."""
    return address.is_global and not _is_in(address, NOT_PUBLIC)


def _is_in(address: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _is_never_called(address: IpAddress) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or _is_in(address, METADATA)
        or (address.is_reserved and not address.is_loopback)
        or (address.version == 4 and address in THIS_NETWORK)
    )
