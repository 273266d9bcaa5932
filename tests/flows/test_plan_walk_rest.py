"""A manager's walk over REST, each step refused for a viewer, an outsider and a token that only reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Membership, Role, Workload

DAY = timedelta(days=1)
SUCCESSORS = ("guardrails", "first users", "evaluation")


@pytest.fixture
def step(api, alice, vera, oscar) -> Callable[..., Any]:
    """`step(client, method, url, body)`: the answer; before it, everybody who may not is refused the same request."""
    viewer, outsider = api(vera, scopes=["manage"]), api(oscar, scopes=["manage"])
    reader = api(alice, scopes=["read"])

    def walk(client: Any, method: str, url: str, body: Any = None, status: int = 201) -> Any:
        def send(who: Any) -> Any:
            return getattr(who, method)(url, body, format="json")

        is_read = method == "get"
        assert send(viewer).status_code == (200 if is_read else 403), (method, url)
        assert send(reader).status_code == (200 if is_read else 403), (method, url)
        # What stands in an address is not found; a phase that is named in a body is unknown.
        assert send(outsider).status_code in ((404,) if "phase" not in (body or {}) else (404, 422)), (method, url)
        answer = send(client)
        assert answer.status_code == status, (method, url, answer.content)
        return answer.json() if answer.content else None

    return walk


def listed(client: Any, url: str) -> list[dict[str, Any]]:
    """The rows of a list, of all its pages."""
    rows: list[dict[str, Any]] = []
    following: str | None = url
    while following:
        page = client.get(following).json()
        rows += page["results"]
        following = page.get("next")
    return rows


def test_a_manager_walks_from_template_to_next_phase(step, api, adam, alice, vera, oscar):
    admin, manager = api(adam, scopes=["manage"]), api(alice, scopes=["manage"])
    today = timezone.localdate()
    new = {
        "name": "Credit memos",
        "template": "finance",
        "owner": "alice",
        "start_on": str(today - 30 * DAY),
        "budgets": {"poc": "90000.00"},
    }
    own = {name: value for name, value in new.items() if name != "owner"}
    assert api(vera, scopes=["manage"]).post("/api/v1/roadmaps/", own, format="json").status_code == 403
    # Oscar manages a roadmap of his own, so he may make another: not one of somebody else's.
    assert api(oscar, scopes=["manage"]).post("/api/v1/roadmaps/", new, format="json").status_code == 422
    made = admin.post("/api/v1/roadmaps/", new, format="json")
    assert made.status_code == 201, made.content
    slug = made.json()["slug"]
    assert made.json()["industry"] == "Finance and risk"
    Membership.objects.create(user=vera, workload=Workload.objects.get(slug=slug), role=Role.VIEWER)
    step(manager, "get", f"/api/v1/roadmaps/{slug}", status=200)
    phases = {row["kind"]: row for row in listed(manager, f"/api/v1/phases/?roadmap={slug}") if row["roadmap"] == slug}
    poc = phases["poc"]
    assert (poc["state"], phases["scale_up"]["state"]) == ("active", "planned")

    # A milestone that three others wait for moves by ten days, and they with it.
    def of_poc() -> dict[int, dict[str, Any]]:
        return {row["id"]: row for row in listed(manager, "/api/v1/milestones/") if row["phase"] == poc["id"]}

    before = of_poc()
    moved = next(row for row in before.values() if row["name"].startswith("Data cleaned"))
    waiting = [row for row in before.values() if any(word in row["name"].lower() for word in SUCCESSORS)]
    assert len(waiting) == 3
    due_on = date.fromisoformat(moved["due_on"]) + 10 * DAY
    preview = {"due_on": str(due_on), "move_successors": "all", "dry_run": True}
    shown = step(manager, "post", f"/api/v1/milestones/{moved['id']}/move", preview, status=200)["successors"]
    assert {row["id"] for row in shown} == {row["id"] for row in waiting}
    assert of_poc() == before
    change = {"due_on": str(due_on), "move_successors": "all", "version": moved["version"]}
    step(manager, "patch", f"/api/v1/milestones/{moved['id']}", change, status=200)
    after = of_poc()
    shifted = {moved["id"], *(row["id"] for row in waiting)}
    for pk, row in before.items():
        by = 10 * DAY if pk in shifted else 0 * DAY
        assert date.fromisoformat(after[pk]["due_on"]) - date.fromisoformat(row["due_on"]) == by, row["name"]
        assert after[pk]["baseline_due_on"] == row["baseline_due_on"], row["name"]
    # Who saw the date before is told, and changes nothing.
    assert manager.patch(f"/api/v1/milestones/{moved['id']}", change, format="json").status_code == 409

    # A KPI on p95, and a gate that asks for it among eight criteria.
    kpi = step(
        manager,
        "post",
        "/api/v1/kpis/",
        {
            "phase": poc["id"],
            "name": "p95 of the last four weeks",
            "direction": "lower",
            "source": "computed",
            "measure": "duration_p95",
            "window_days": 28,
            "minimum_sample": 200,
            "target": "2.5",
        },
    )
    gate = f"/api/v1/gates/{poc['gate']}"
    criteria = step(manager, "get", gate, status=200)["criteria"]
    asked = step(manager, "post", f"{gate}/criteria", {"kpi": kpi["id"]})["criteria"]
    assert len(asked) == len(criteria) + 1
    for surplus in [row for row in asked if row["subject_id"] != kpi["id"] or row["kind"] != "kpi"][7:]:
        step(manager, "delete", f"/api/v1/criteria/{surplus['id']}", status=204)
    state = step(manager, "get", gate, status=200)
    assert len(state["criteria"]) == 8
    # Nothing was measured yet, and nothing is said to be met.
    p95 = next(row for row in state["criteria"] if (row["kind"], row["subject_id"]) == ("kpi", kpi["id"]))
    assert (p95["value"], p95["target"] is not None) == (None, True)
    for row in state["criteria"]:
        if row["kind"] != "kpi":
            part = "milestones" if row["kind"] == "milestone" else "checklist"
            step(manager, "post", f"/api/v1/{part}/{row['subject_id']}/tick", {}, status=200)

    # Decided by somebody else than the phase's owner.
    decision = {
        "outcome": "conditional",
        "reason": "Good enough to go on; the figures follow.",
        "conditions": [{"name": "p95 on 200 requests", "due_on": str(today + 30 * DAY), "owner": "alice"}],
    }
    assert manager.post(f"{gate}/decide", decision, format="json").status_code == 403
    decided = step(admin, "post", f"{gate}/decide", decision)
    assert admin.post(f"{gate}/decide", decision, format="json").status_code in (409, 422)

    # The next phase is open, and holds the condition.
    state = {row["kind"]: row["state"] for row in listed(manager, "/api/v1/phases/") if row["roadmap"] == slug}
    assert (state["poc"], state["scale_up"]) == ("closed", "active")
    conditions = [row for row in listed(manager, "/api/v1/milestones/") if row["is_condition"]]
    assert [row["name"] for row in conditions] == ["p95 on 200 requests"]

    # The evidence, read by who may only look, is what was hashed.
    read = step(manager, "get", gate, status=200)["decisions"][0]
    assert read["id"] == decided["id"]
    assert read["is_intact"] is True
    text = json.dumps(read["evidence"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == read["evidence_sha256"]
    assert len(read["evidence"]["criteria"]) == 8
