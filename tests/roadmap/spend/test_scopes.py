"""What a token may be used for at the addresses of spend and usage."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "url", ["/api/v1/spend", "/api/v1/spend?format=focus", "/api/v1/usage", "/api/v1/usage?format=csv"]
)
def test_who_reads_with_which_token(url, mixed, second, plan, api, client, adam, erin, alice, vera, oscar):
    assert client.get(url).status_code == 401
    assert api(vera, scopes=["read"]).get(url).status_code == 403
    for person in (adam, erin, alice):
        assert api(person, scopes=["push"]).get(url).status_code == 403
    for person, workload in ((adam, plan.workload), (erin, plan.workload), (alice, None)):
        answer = api(person, scopes=["read"], workload=workload).get(url)
        assert answer.status_code == 200
        text = b"".join(answer).decode()
        for word in ("Secret plan", "secret-plan", "66.66", "10.005", "4.445", "2.5000"):
            assert word not in text, (person, word)
    asked = api(alice, scopes=["read"]).get("/api/v1/spend?roadmap=secret-pla&backend=xx&by=roadmap")
    assert asked.status_code == 422
    assert "secret-plan" not in asked.content.decode().replace("'secret-pla'", "")
