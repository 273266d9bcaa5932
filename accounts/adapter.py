"""How people come in: nobody signs up by themselves."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by an admin or the set-up link."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
