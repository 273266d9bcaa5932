"""Connections to addresses that the outbound policy has checked. Only metrics.http makes them."""

from __future__ import annotations

import ssl
from functools import lru_cache

import certifi
import httpx

from metrics.outbound import OutboundPolicy


class CheckedTransport(httpx.BaseTransport):
    """Connects to addresses that the policy has checked, keeping the host's name for Host, SNI and the certificate."""

    def __init__(self, policy: OutboundPolicy) -> None:
        self._policy = policy
        # One for each name: a connection whose certificate was checked for one is not used for another at its address.
        self._inner: dict[str, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        inner = self._inner.get(url.host)
        if inner is None:
            inner = self._inner[url.host] = httpx.HTTPTransport(verify=_tls(), trust_env=False)
        addresses = self._policy.checked_addresses(scheme=url.scheme, host=url.host, port=port)
        for position, address in enumerate(addresses, start=1):
            pinned = httpx.Request(
                request.method,
                url.copy_with(host=address, port=url.port),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": url.host},
            )
            try:
                return inner.handle_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if position == len(addresses):
                    raise
        raise AssertionError("checked_addresses never returns an empty list")

    def close(self) -> None:
        for transport in self._inner.values():
            transport.close()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The usual authorities and the machine's own, so that a company's authority can be installed there."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context
