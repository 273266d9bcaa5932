"""The audit trail's page in Dutch: every action and field that the sources record has words; files keep the codes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import translation

from accounts import audit
from accounts.access import Asker
from accounts.trail_fields import FIELDS, field_words
from accounts.trail_words import ACTIONS
from metrics.connectors import REGISTRY
from roadmap.actions import checklists, cost_entries, gates, kpis, milestones, phases, risks, roadmaps
from tests.dutch import dutch_page, visible_text

ROOT = Path(__file__).resolve().parents[2]
OF_THE_PLAN = (checklists, cost_entries, gates, kpis, milestones, phases, risks, roadmaps)
RECORDS = {"record", "_record", "audit.record"}


def _recorded() -> tuple[set[str], set[str]]:
    """Actions and fields that calls of `record` have as literals."""
    actions: set[str] = set()
    fields: set[str] = set()
    for folder in ("accounts", "metrics/actions", "roadmap"):
        for file in (ROOT / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not isinstance(call, ast.Call) or ast.unparse(call.func) not in RECORDS:
                    continue
                named = {one.arg: one.value for one in call.keywords}
                action = named.get("action") or (call.args[1] if len(call.args) > 1 else None)
                if isinstance(action, ast.Constant):
                    actions.add(action.value)
                for given in (*call.args[2:], named.get("before"), named.get("after")):
                    if isinstance(given, ast.Dict):
                        fields |= {key.value for key in given.keys if isinstance(key, ast.Constant)}
    return actions, fields


def test_every_action_and_field_that_is_recorded_has_words():
    actions, fields = _recorded()
    assert len(actions) > 60
    assert len(fields) > 40
    assert actions - set(ACTIONS) == set()
    assert fields - set(FIELDS) == set()


def test_every_field_that_people_change_has_words():
    of_the_plan = set().union(*(module.CHANGEABLE for module in OF_THE_PLAN))
    of_backends = {parameter.name for connector in REGISTRY for parameter in connector.parameters}
    assert (of_the_plan | of_backends) - set(FIELDS) == set()


@pytest.mark.django_db
def test_the_page_says_fields_in_dutch_and_files_their_codes(client, sign_in, adam, claims):
    audit.record(
        Asker(adam),
        action="change_milestone",
        subject=claims,
        workload=claims,
        before={"due_on": "2026-11-03", "of_somebody_s_own": "a"},
        after={"due_on": "2026-11-09", "of_somebody_s_own": "b"},
    )
    sign_in(adam)
    shown = visible_text(dutch_page(client, reverse("audit")))
    assert "uiterlijk op: 2026-11-03 2026-11-09" in shown
    assert "of somebody s own: a b" in shown
    answer = client.get(reverse("audit_csv"), headers={"accept-language": "nl"})
    assert "due_on: 2026-11-03" in b"".join(answer.streaming_content).decode()


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_english_is_the_code_taken_apart(name):
    with translation.override("en-gb"):
        assert field_words(name) == name.replace("_", " ")
