"""`manage.py create_token`: prints the text alone on its last line, under the page's rules."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.tokens import find_token


def make(*arguments: str) -> str:
    out = StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue()


def test_it_prints_the_text_alone_on_the_last_line(bob, claims):
    printed = make("--name", "ci", "--owner", "bob", "--scope", "push", "--scope", "read", "--roadmap", "claims")
    token = find_token(printed.splitlines()[-1])
    assert (token.owner, token.workload, token.scopes) == (bob, claims, ["push", "read"])


def test_it_sets_expiry_and_where_it_measures(bob):
    printed = make(
        "--name", "x", "--owner", "bob", "--scope", "push", "--expires-days", "30", "--measured-at", "gateway"
    )
    token = find_token(printed.splitlines()[-1])
    assert token.measured_at == "gateway"
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--owner", "nobody", "--scope", "push"], "no person 'nobody'"),
        (["--owner", "bob", "--scope", "push", "--roadmap", "claim"], "Known: Claims|Known: claims"),
        (["--owner", "bob", "--scope", "fly"], "invalid choice"),
        (["--owner", "bob", "--scope", "push", "--expires-days", "9999999"], "up to 2099"),
        (["--owner", "bob", "--scope", "push", "--expires-days", "99999"], "up to 2099"),
        (["--owner", "vera", "--scope", "push", "--roadmap", "claims"], "may only read"),
        (["--owner", "oscar", "--scope", "read", "--roadmap", "claims"], "may only read"),
    ],
)
def test_it_says_what_is_wrong(bob, vera, oscar, arguments, message):
    with pytest.raises(CommandError, match=message):
        make("--name", "x", *arguments)
