"""The one-time link with which the first admin is made."""

from datetime import timedelta
from io import StringIO

from django.core.management import call_command
from django.utils import timezone

from accounts.models import SetupLink, User

FORM = {"username": "root-of-it", "password": "a long password 7", "password_again": "a long password 7"}


def link(settings) -> str:
    settings.BASE_URL = "http://testserver"
    out = StringIO()
    call_command("setup_link", stdout=out)
    return out.getvalue().strip().removeprefix("http://testserver")


def test_it_makes_an_admin_once_and_signs_them_in(client, db, settings):
    address = link(settings)
    assert client.get(address).status_code == 200
    assert client.post(address, FORM).status_code == 303
    person = User.objects.get()
    assert person.is_admin
    assert client.session["_auth_user_id"] == str(person.pk)
    assert client.post(address, {**FORM, "username": "second"}).status_code == 410
    assert User.objects.count() == 1


def test_an_old_or_unknown_link_says_how_to_get_another(client, db, settings):
    address = link(settings)
    SetupLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for place in (address, "/setup/nothing/"):
        answer = client.get(place)
        assert answer.status_code == 410
        assert "manage.py setup_link" in answer.content.decode()
        assert client.post(place, FORM).status_code == 410
    assert not User.objects.exists()


def test_a_mistake_does_not_use_it_up(client, db, settings):
    address = link(settings)
    answer = client.post(address, {**FORM, "password_again": "another"})
    assert answer.status_code == 422
    assert "differ" in answer.content.decode()
    assert client.post(address, {**FORM, "password": "short", "password_again": "short"}).status_code == 422
    assert client.post(address, FORM).status_code == 303


def test_the_text_of_a_link_is_not_stored(db, settings):
    text = link(settings).split("/")[2]
    assert bytes(SetupLink.objects.get().digest) != text.encode()
