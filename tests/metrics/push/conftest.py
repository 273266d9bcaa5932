"""A push with a bound token."""

from __future__ import annotations

import json

import pytest

from tests.metrics.push.pushing import URL


@pytest.fixture
def push(api, alice, claims):
    """`push(record, ...)`: pushes with a token of alice's bound to `claims`; `push.client` is its client."""
    client = api(alice, scopes=["push", "read"], workload=claims)

    def _push(*records, content_type="application/json", body=None, **headers):
        data = body if body is not None else json.dumps({"records": records}).encode()
        return client.post(URL, data, content_type=content_type, headers=headers or None)

    _push.client = client
    return _push
