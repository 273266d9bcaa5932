"""What bin/up does with Django: who owns the first roadmap, when the demo is made, the token that stays."""

import json
import stat
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import get_commands
from django.utils import timezone

from accounts.models import Membership, OrganisationRole, Token, User, Workload
from accounts.tokens import find_token
from config import prepare
from roadmap.models import Roadmap

pytestmark = pytest.mark.django_db


@pytest.fixture
def called(monkeypatch) -> list[str]:
    """Names of the commands that were called; migrations and the demo are not run again."""
    names: list[str] = []
    real = prepare._call

    def call(name: str, *arguments: str) -> str:
        names.append(name)
        return "" if name in {"migrate", "seed_demo"} else real(name, *arguments)

    monkeypatch.setattr(prepare, "_call", call)
    return names


def test_every_command_that_it_calls_is_there():
    wanted = {"build_charts", "collectstatic", "migrate", "seed_demo", "first_roadmap", "create_token", "setup_link"}
    assert wanted <= set(get_commands())


def test_the_first_start_makes_the_demo_and_the_next_does_not(var, called):
    prepare.prepare_data(var=var, demo="first")
    assert "seed_demo" in called
    called.clear()
    prepare.prepare_data(var=var, demo="first")
    assert "seed_demo" not in called


def test_it_never_adds_the_demo_to_a_database_in_use_unless_asked(var, called):
    User.objects.create_user("anna", password="correct horse battery")
    prepare.prepare_data(var=var, demo="first")
    assert "seed_demo" not in called
    prepare.prepare_data(var=var, demo="yes")
    assert "seed_demo" in called


def test_the_first_roadmap_and_its_token_are_not_the_demo_s(var, called):
    found = prepare.prepare_data(var=var, demo="no")
    roadmap = Roadmap.objects.get(workload__slug=found["slug"])
    token = find_token(found["token"])
    assert token is not None
    assert token.workload == roadmap.workload
    assert token.scopes == ["push"]
    assert not any(thing.is_demo for thing in (roadmap.workload, roadmap.owner, token, token.owner))


def test_nobody_can_sign_in_as_their_owner_and_it_may_nothing_else(var, called):
    prepare.prepare_data(var=var, demo="no")
    owner = User.objects.get(username=prepare.FIRST_OWNER)
    assert not owner.has_usable_password()
    assert not owner.is_superuser
    assert not owner.is_staff
    assert owner.organisation_role == OrganisationRole.MEMBER


def test_every_start_prints_the_same_curl(var, called):
    first = prepare.prepare_data(var=var, demo="no")
    second = prepare.prepare_data(var=var, demo="no")
    assert (second["token"], second["sent_at"]) == (first["token"], first["sent_at"])
    assert Token.objects.count() == 1
    assert stat.S_IMODE((var / "first-token.json").stat().st_mode) == 0o600


def test_it_starts_without_a_token_where_its_account_was_taken_off_the_roadmap(var, called):
    prepare.prepare_data(var=var, demo="no")
    Token.objects.update(revoked_at=timezone.now())
    Membership.objects.filter(user__username=prepare.FIRST_OWNER).delete()
    found = prepare.prepare_data(var=var, demo="no")
    assert (found["token"], found["slug"]) == ("", "my-first-roadmap")


def test_a_revoked_token_is_replaced(var, called):
    first = prepare.prepare_data(var=var, demo="no")
    Token.objects.update(revoked_at=datetime.now(UTC))
    second = prepare.prepare_data(var=var, demo="no")
    assert second["token"] != first["token"]
    assert find_token(second["token"]) is not None


def test_a_curl_too_old_for_its_id_gets_a_new_time(var, called):
    first = prepare.prepare_data(var=var, demo="no")
    old = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    (var / "first-token.json").write_text(json.dumps({"token": first["token"], "sent_at": old}))
    again = prepare.prepare_data(var=var, demo="no")
    assert again["token"] == first["token"]
    assert again["sent_at"] > old


def test_a_link_for_the_first_admin_is_made_until_there_is_one(var, called):
    assert "/setup/" in prepare.prepare_data(var=var, demo="no")["setup_link"]
    User.objects.create_user("anna", organisation_role=OrganisationRole.ADMIN)
    assert "setup_link" not in prepare.prepare_data(var=var, demo="no")


def test_it_says_whether_the_demo_is_there(var, called):
    assert prepare.prepare_data(var=var, demo="no")["demo_present"] is False
    Workload.objects.create(slug="demo", name="Demo", is_demo=True)
    assert prepare.prepare_data(var=var, demo="no")["demo_present"] is True


def test_its_steps_are_told_as_they_run(capsys):
    with prepare._step("Migrations"):
        pass
    begin, end = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert begin == {"begin": "Migrations"}
    assert end["step"] == "Migrations"
