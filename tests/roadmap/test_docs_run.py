"""docs/jira.md, docs/power-bi.md and docs/calendar.md say what is so: each call in them is made as it is printed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import AuditEvent, Membership, OrganisationRole, Role, User
from accounts.tokens import make_token
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.milestones import add_milestone
from roadmap.actions.roadmaps import make_roadmap

DOCS = Path(settings.BASE_DIR) / "docs"
PRINTED = "https://phaseline.example.org"


def blocks(name: str, language: str) -> list[str]:
    """What stands between the fences of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / name).read_text(), re.S | re.M)


@pytest.fixture
def plan(transactional_db, asker):
    owner = User.objects.create_user("ada", password="x", organisation_role=OrganisationRole.ADMIN)
    return make_roadmap(asker(owner), name="Claims", owner=owner, start_on=timezone.localdate(), currency="USD")


def run(command: str, live_server, **environment: str) -> str:
    """The command, in a shell that knows BASE, TOKEN and what is given."""
    done = subprocess.run(
        ["sh", "-euc", command],
        env={**os.environ, "BASE": live_server.url, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.django_db(transaction=True)
def test_jira_s_calls(plan, asker, live_server):
    """In the order of the page, under a token bound to the roadmap; its owner manages it."""
    alice = User.objects.create_user("alice", password="x")
    Membership.objects.create(user=alice, workload=plan.workload, role=Role.MANAGER)
    phase = plan.phases.get(kind="poc")
    milestone = add_milestone(asker(plan.owner), phase, name="Pilot", due_on=timezone.localdate() + timedelta(days=3))
    _, token = make_token(name="Jira", owner=alice, scopes=["manage"], workload=plan.workload)
    known = {"TOKEN": token, "MILESTONE": str(milestone.pk)}
    told = blocks("jira.md", "sh")
    assert "export" in told[0]
    key, find, tick, reopen, move = told[1:]
    assert json.loads(run(key, live_server, **known))["outside_key"] == "CLAIMS-17"
    found = json.loads(run(find, live_server, **known))["results"]
    assert [row["id"] for row in found] == [milestone.pk]
    for _ in range(2):
        done = json.loads(run(tick, live_server, **known))
        assert (done["state"], done["done_on"]) == ("done", timezone.localdate().isoformat())
    assert json.loads(run(reopen, live_server, **known))["state"] == "open"
    assert json.loads(run(move, live_server, **known))["milestone"]["due_on"] == "2027-03-01"
    told_by = AuditEvent.objects.filter(action="tick_milestone").first()
    assert told_by.actor_name == "alice (token Jira)"


def test_jira_s_rule_names_addresses_that_are_there(client, db):
    text = (DOCS / "jira.md").read_text()
    rule = text[text.index("## The rule") :]
    addresses = re.findall(rf"`{re.escape(PRINTED)}(/[^`]*)`", rule)
    assert len(addresses) == 2
    for address in addresses:
        filled = re.sub(r"\{\{[^}]*\.id\}\}", "1", address.replace("{{issue.key}}", "CLAIMS-17"))
        method = client.post if filled.endswith("/tick") else client.get
        # There, and asks who it is.
        assert method(filled).status_code == 401, filled


@pytest.fixture
def spent(plan, asker):
    add_cost_entry(
        asker(plan.owner), plan.phases.get(kind="poc"), name="Labels, and more", category="data",
        amount=Decimal("1234.50"), start_on=timezone.localdate(), currency="USD",
    )  # fmt: skip
    _, text = make_token(name="Power BI", owner=plan.owner, scopes=["read"])
    return text


def asked_by_power_query(text: str, token: str):
    """(path, query, headers) of Web.Contents as the M text has them."""
    assert f'Web.Contents("{PRINTED}", [' in text
    path = re.search(r'RelativePath = "([^"]*)"', text).group(1)
    query = dict(re.findall(r'(\w+) = "([^"]*)"', re.search(r"Query = \[(.*?)\]", text, re.S).group(1)))
    name, begins = re.search(r'Headers = \[(\w+) = "([^"]*)" & Token\]', text).groups()
    return f"/{path}", query, {name: begins + token}


@pytest.mark.django_db(transaction=True)
def test_power_bi_s_table_is_what_the_address_gives(spent, client):
    [text] = blocks("power-bi.md", "m")
    path, query, headers = asked_by_power_query(text, spent)
    answer = client.get(path, query, headers=headers)
    assert answer.status_code == 200
    body = answer.getvalue().decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(body, newline="")))
    # Each column that the text gives a type is there, and holds it.
    typed = dict(re.findall(r'\{"(\w+)", type (\w+)\}', text))
    assert set(typed) <= set(rows[0])
    for row in rows:
        for column, kind in typed.items():
            if row[column]:
                assert re.fullmatch(r"\d{4}-\d\d-\d\d" if kind == "date" else r"-?\d+(\.\d+)?", row[column])
    assert sum(Decimal(row["amount_USD"]) for row in rows) == Decimal("1234.5")
    # The address above it is the same one.
    pasted = blocks("power-bi.md", "")[0].strip().removeprefix(PRINTED)
    assert client.get(pasted, headers=headers).getvalue().decode() == body
    # Without the header, or with one that is none.
    assert client.get(pasted).status_code == 401
    assert client.get(pasted, headers={"Authorization": "Bearer pl_wrong"}).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_power_bi_s_call_and_its_other_tables(spent, client, live_server):
    [call] = blocks("power-bi.md", "sh")
    assert "1234.5" in run(call, live_server, TOKEN=spent)
    text = (DOCS / "power-bi.md").read_text()
    headers = {"Authorization": f"Bearer {spent}"}
    for path in sorted(set(re.findall(r"`(api/v1/[\w/-]+)`", text))):
        answer = client.get(f"/{path}", headers=headers)
        assert answer.status_code == 200, path
        if path.endswith("/"):
            assert {"results", "next"} <= answer.json().keys(), path


@pytest.mark.parametrize("name", ["jira.md", "power-bi.md", "calendar.md", "files.md"])
def test_a_page_leads_to_pages_that_are_there(name):
    for target in re.findall(r"\]\(([\w./-]+\.md)(?:#[\w-]+)?\)", (DOCS / name).read_text()):
        assert (DOCS / target).is_file(), target
