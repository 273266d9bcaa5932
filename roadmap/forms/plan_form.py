"""What every form of the plan shares: input is checked here, rules and saving are the actions'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy

from accounts.models import OrganisationRole, User
from roadmap.models import Roadmap
from web.forms import ModelForm

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

_EVIDENCE, _PROOF = gettext_lazy("Evidence"), gettext_lazy("A link to what proves it.")


class PlanForm(ModelForm):
    """A model's form whose constraints are the action's to refuse, in words."""

    def _post_clean(self) -> None:
        """Fields are clean by now; neither the instance nor the database is touched."""


class PersonField(forms.ModelChoiceField):
    """A person by name; nobody is allowed unless `required`."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("queryset", User.objects.none())
        kwargs.setdefault("empty_label", gettext_lazy("Nobody yet"))
        super().__init__(**kwargs)

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.display_name)


def link_field(label: _StrOrPromise = _EVIDENCE, help_text: _StrOrPromise = _PROOF) -> forms.URLField:
    """A web address, https where no scheme is typed."""
    return forms.URLField(label=label, help_text=help_text, required=False, max_length=200, assume_scheme="https")


def people_of(roadmap: Roadmap) -> QuerySet[User]:
    """Who can be named in a roadmap: its members, admins and executives."""
    return (
        User.objects.filter(
            Q(memberships__workload=roadmap.workload_id)
            | Q(organisation_role__in=[OrganisationRole.ADMIN, OrganisationRole.EXECUTIVE])
            | Q(is_superuser=True),
            is_active=True,
        )
        .distinct()
        .order_by("first_name", "last_name", "username")
    )


def days_or_phase(value: int | None) -> str:
    """'28' for a window in days, 'phase' for the phase to date."""
    return "phase" if value is None else str(value)
