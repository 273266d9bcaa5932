"""How a REST request says who it is: a bearer token, or the browser's session."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.access import Asker
from accounts.models import Token, User
from accounts.tokens import find_token


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`. An unknown token is not told apart from an expired one."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("Send the header 'Authorization: Bearer <token>' with one token.")
        try:
            token = find_token(parts[1].decode("ascii"))
        except UnicodeDecodeError:
            token = None
        if token is None:
            raise AuthenticationFailed("This token is unknown, revoked or expired. Make a new one under Send data.")
        return token.owner, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BrowserSessionAuthentication(SessionAuthentication):
    """The browser's session, with Django's CSRF check. A request with neither is answered 401, not 403."""

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def asker_of(request: HttpRequest | Request) -> Asker:
    """Who asks, from a Django or DRF request whose user is signed in."""
    token = getattr(request, "auth", None)
    return Asker(user=cast(User, request.user), token=token if isinstance(token, Token) else None)
