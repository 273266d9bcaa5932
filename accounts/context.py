"""What every page's template is given: the menu of this person, the demo's label, currency and zone."""

from typing import Any

from django.conf import settings
from django.db.models import Exists
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.access import Asker, can_see_rules, spending_memberships
from accounts.demo import is_present, remember
from accounts.models import Role, User, Workload


def page(request: HttpRequest) -> dict[str, Any]:
    """`menu`, `user_menu`, `demo_present`, `reporting_currency`, `reporting_time_zone`."""
    context: dict[str, Any] = {
        "reporting_currency": settings.REPORTING_CURRENCY,
        "reporting_time_zone": settings.REPORTING_TIME_ZONE,
        "menu": [],
        "user_menu": [],
        "demo_present": False,
        "demo_url": "/settings/demo/",
    }
    user = getattr(request, "user", None)
    if isinstance(user, User) and user.is_authenticated:
        sees_backends, reads_trail = _rights(request, user)
        context |= {
            "menu": _menu(request, sees_backends=sees_backends),
            "user_menu": _user_menu(user, reads_trail=reads_trail),
            "demo_present": is_present(request),
        }
    return context


def _rights(request: HttpRequest, user: User) -> tuple[bool, bool]:
    """As accounts.access.can_see_backends and can_read_trail, in the query that finds whether there is a demo."""
    if user.reads_all:
        return True, True
    demo = Exists(Workload.objects.filter(is_demo=True))
    manages = Exists(user.memberships.filter(role=Role.MANAGER))
    sees, reads, is_demo = (
        User.objects.filter(pk=user.pk).values_list(Exists(spending_memberships(user)), manages, demo).get()
    )
    remember(request, is_present=is_demo)
    return bool(user.is_active and sees), bool(user.is_active and reads)


def _menu(request: HttpRequest, *, sees_backends: bool) -> list[dict[str, Any]]:
    """Portfolio and Reports for all; Spend, Backends and Send data for those whose work they are."""
    entries: list[tuple[str, str, tuple[str, ...]]] = [
        (_("Portfolio"), "/", ("/roadmaps/", "/gates/", "/plan-imports/"))
    ]
    if sees_backends:
        entries += [
            (_("Spend"), "/spend/", ()),
            (_("Backends"), "/backends/", ("/imports/",)),
            (_("Send data"), "/send/", ("/receipts/",)),
        ]
    entries.append((_("Reports"), "/reports/", ()))
    return [
        {"text": text, "url": url, "is_current": _is_current(request.path, url, below)} for text, url, below in entries
    ]


def _is_current(path: str, url: str, below: tuple[str, ...]) -> bool:
    return path == url or (url != "/" and path.startswith(url)) or path.startswith(below or ("\0",))


def _user_menu(user: User, *, reads_trail: bool) -> list[dict[str, str]]:
    entries = [
        (_("My week"), "/me/"),
        (_("Notifications"), "/me/notifications/"),
        (_("Tokens"), "/tokens/"),
        (_("API docs"), "/api/v1/docs/"),
        (_("Language"), "/language/"),
        (_("Password"), "/accounts/password/change/"),
    ]
    if can_see_rules(Asker(user)):
        entries.append((_("Prices"), "/prices/"))
        entries.append((_("Allocation rules"), "/rules/"))
    if user.is_admin:
        entries.append((_("People"), "/settings/people/"))
    if reads_trail:
        entries += [(_("Templates"), "/settings/templates/"), (_("Audit trail"), "/settings/audit/")]
    return [{"text": text, "url": url} for text, url in entries]
