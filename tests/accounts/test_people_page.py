"""`/settings/people/`: admins add people and set their roles."""

import re

import pytest

from accounts.models import AuditEvent, Membership, Role, User

NEW = {"username": "nora", "first_name": "Nora", "last_name": "New", "email": "", "organisation_role": "member"}


def person_form(person: User, **change) -> dict:
    return {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "organisation_role": person.organisation_role,
        "is_active": "on",
        **change,
    }


@pytest.mark.parametrize("address", ["/settings/people/", "/settings/people/1/"])
@pytest.mark.parametrize("who", ["alice", "vera", "oscar", "erin"])
def test_it_is_for_admins(sign_in, request, who, address):
    assert sign_in(request.getfixturevalue(who)).get(address).status_code == 403


def test_nobody_else_gives_themselves_a_role(sign_in, vera, claims):
    answer = sign_in(vera).post(f"/settings/people/{vera.pk}/", person_form(vera, organisation_role="admin"))
    assert answer.status_code == 403
    vera.refresh_from_db()
    assert not vera.is_admin


def test_it_adds_a_person_with_a_password_shown_once(sign_in, adam, client):
    answer = sign_in(adam).post("/settings/people/", NEW)
    password = re.search(r"<code>([a-z2-9]{18})</code>", answer.content.decode()).group(1)
    client.logout()
    answer = client.post("/accounts/login/", {"login": "nora", "password": password})
    assert answer.status_code == 302
    assert client.session["_auth_user_id"] == str(User.objects.get(username="nora").pk)


def test_a_name_is_taken_whatever_its_case(sign_in, adam, bob):
    answer = sign_in(adam).post("/settings/people/", {**NEW, "username": "BOB"})
    assert answer.status_code == 422
    assert "username" in answer.context["form"].errors


def test_it_sets_and_takes_roles_and_writes_them_down(sign_in, adam, vera, claims, other):
    client = sign_in(adam)
    change = {f"role_{claims.pk}": "", f"role_{other.pk}": "manager"}
    answer = client.post(f"/settings/people/{vera.pk}/", person_form(vera, **change))
    assert answer.status_code == 303
    assert list(Membership.objects.filter(user=vera).values_list("workload__slug", "role")) == [("other", Role.MANAGER)]
    assert AuditEvent.objects.filter(action="set_role").count() == 2


def test_saving_without_a_change_writes_nothing(sign_in, adam, vera, claims):
    sign_in(adam).post(f"/settings/people/{vera.pk}/", person_form(vera, **{f"role_{claims.pk}": "viewer"}))
    assert not AuditEvent.objects.exists()
    assert Membership.objects.get(user=vera).role == Role.VIEWER


def test_the_last_admin_stays(sign_in, adam):
    client = sign_in(adam)
    for change in ({"organisation_role": "member"}, {"is_active": ""}):
        answer = client.post(f"/settings/people/{adam.pk}/", person_form(adam, **change))
        assert answer.status_code == 422
        assert "This is the only admin" in answer.content.decode()
    adam.refresh_from_db()
    assert adam.is_admin


def test_a_person_who_may_not_sign_in_is_out_at_once(client, adam, vera):
    from django.test import Client

    client.force_login(vera)
    assert client.get("/tokens/").status_code == 200
    admin = Client()
    admin.force_login(adam)
    admin.post(f"/settings/people/{vera.pk}/", person_form(vera, is_active=""))
    assert client.get("/tokens/").status_code == 302


def test_a_new_password_ends_sessions(client, adam, vera):
    from django.test import Client

    client.force_login(vera)
    admin = Client()
    admin.force_login(adam)
    answer = admin.post(f"/settings/people/{vera.pk}/password/")
    password = re.search(r"<code>([a-z2-9]{18})</code>", answer.content.decode()).group(1)
    assert client.get("/tokens/").status_code == 302
    vera.refresh_from_db()
    assert vera.check_password(password)


def test_the_list_costs_the_same_queries_with_more_people(sign_in, adam, vera, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = sign_in(adam)
    with CaptureQueriesContext(connection) as few:
        client.get("/settings/people/")
    for index in range(5):
        User.objects.create_user(username=f"p{index}", password="x")
    with django_assert_num_queries(len(few)):
        client.get("/settings/people/")
