"""Forms of people, tokens and the first admin. They check input; accounts.actions does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from allauth.account.forms import ChangePasswordForm, LoginForm
from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from accounts.access import Asker, visible_workloads
from accounts.models import OrganisationRole, Role, Token, User, Workload
from accounts.tokens import LAST_DAY, TOO_FAR_OFF
from web.forms import Form, LookMixin
from web.wording import Words

SCOPE_WORDS = (
    ("push", gettext_lazy("Push usage")),
    ("read", gettext_lazy("Read roadmaps and figures")),
    ("manage", gettext_lazy("Change what its owner may change")),
)


SIGNAL_HELP = gettext_lazy("An application that sends both is counted once, by this one; the other is acknowledged.")
STEP_TOKENS_LABEL = gettext_lazy("Count the tokens of agents and tools")
STEP_TOKENS_HELP = gettext_lazy(
    "Only where the calls below them are not reported: agents, tools and workflows repeat the tokens of their calls."
)


class FirstAdminForm(Form):
    """Who the first admin is."""

    username = forms.CharField(
        label=gettext_lazy("User name"),
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        help_text=gettext_lazy("Letters, digits and @ . + - _"),
    )
    first_name = forms.CharField(label=gettext_lazy("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=gettext_lazy("Last name"), max_length=150, required=False)
    email = forms.EmailField(label=gettext_lazy("E-mail"), required=False)
    password = forms.CharField(
        label=gettext_lazy("Password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("At least 10 characters."),
    )
    password_again = forms.CharField(
        label=gettext_lazy("Password again"), widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def clean_username(self) -> str:
        username = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=username).exists():
            raise forms.ValidationError(gettext("There is a person '%(username)s' already.") % {"username": username})
        return username

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        password = data.get("password")
        if password:
            try:
                validate_password(password, User(username=data.get("username", ""), email=data.get("email", "")))
            except forms.ValidationError as error:
                self.add_error("password", error)
            if data.get("password_again") and data["password_again"] != password:
                self.add_error("password_again", gettext_lazy("The two passwords differ."))
        return data


class SignInForm(LookMixin, LoginForm):
    """User name or e-mail, and the password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _name_fields(
            self,
            {
                "login": gettext_lazy("User name or e-mail"),
                "password": gettext_lazy("Password"),
                "remember": gettext_lazy("Stay signed in here"),
            },
        )
        self.fields["password"].help_text = ""


class LanguageForm(Form):
    """The language of one's pages and mails."""

    language = forms.ChoiceField(
        label=gettext_lazy("Language of pages and mails"), required=False, widget=forms.RadioSelect
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", gettext_lazy("What the browser asks for")), *settings.LANGUAGES]
        self.fields["language"].choices = choices  # type: ignore[attr-defined]


class NewPasswordForm(LookMixin, ChangePasswordForm):
    """The present password, and the new one twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = {
            "oldpassword": gettext_lazy("Present password"),
            "password1": gettext_lazy("New password"),
            "password2": gettext_lazy("New password again"),
        }
        _name_fields(self, names)
        self.fields["oldpassword"].help_text = ""
        self.fields["password1"].help_text = gettext_lazy(
            "At least 10 characters, not a common one, and not like your name."
        )


def _name_fields(form: Any, names: Mapping[str, Words]) -> None:
    for name, label in names.items():
        if name in form.fields:
            form.fields[name].label = label
            form.fields[name].widget.attrs.pop("placeholder", None)


class PersonForm(Form):
    """A person to add."""

    username = forms.CharField(label=gettext_lazy("User name"), max_length=150, validators=[UnicodeUsernameValidator()])
    first_name = forms.CharField(label=gettext_lazy("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=gettext_lazy("Last name"), max_length=150, required=False)
    email = forms.EmailField(label=gettext_lazy("E-mail"), required=False)
    organisation_role = forms.ChoiceField(
        label=gettext_lazy("In the whole organisation"),
        choices=OrganisationRole.choices,
        initial=OrganisationRole.MEMBER,
        help_text=gettext_lazy(
            "Admins change everything, executives read everything, members see the roadmaps they belong to."
        ),
    )


class PersonRolesForm(Form):
    """A person's name, organisation role, and a role per roadmap, one field each."""

    first_name = forms.CharField(label=gettext_lazy("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=gettext_lazy("Last name"), max_length=150, required=False)
    email = forms.EmailField(label=gettext_lazy("E-mail"), required=False)
    organisation_role = forms.ChoiceField(
        label=gettext_lazy("In the whole organisation"), choices=OrganisationRole.choices
    )
    is_active = forms.BooleanField(label=gettext_lazy("May sign in"), required=False)

    def __init__(self, *args: Any, person: User, **kwargs: Any) -> None:
        self.workloads = list(Workload.objects.all())
        held = dict(person.memberships.values_list("workload_id", "role"))
        initial: dict[str, Any] = {
            name: getattr(person, name)
            for name in ("first_name", "last_name", "email", "organisation_role", "is_active")
        }
        initial |= {f"role_{workload.pk}": held.get(workload.pk, "") for workload in self.workloads}
        super().__init__(*args, initial=initial, **kwargs)
        for workload in self.workloads:
            self.fields[f"role_{workload.pk}"] = forms.ChoiceField(
                label=workload.name,
                choices=[("", gettext_lazy("No role")), *Role.choices],
                required=False,
                initial=held.get(workload.pk, ""),
            )

    def role_fields(self) -> list[forms.BoundField]:
        """The fields of roles, one per roadmap."""
        return [self[f"role_{workload.pk}"] for workload in self.workloads]

    def roles(self) -> dict[Workload, str]:
        """The role chosen per workload, '' for none."""
        return {workload: self.cleaned_data[f"role_{workload.pk}"] for workload in self.workloads}


class TokenForm(Form):
    """A token to make."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("What uses it, such as 'claims bot, production'."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("It may"), choices=SCOPE_WORDS, widget=forms.CheckboxSelectMultiple, initial=["push"]
    )
    workload = forms.ModelChoiceField(
        label=gettext_lazy("Roadmap"),
        queryset=Workload.objects.none(),
        required=False,
        empty_label=gettext_lazy("Every roadmap of mine"),
        help_text=gettext_lazy("A token bound to one roadmap can neither push to nor read another."),
    )
    measured_at = forms.ChoiceField(
        label=gettext_lazy("Where it measures"),
        choices=Token.MeasuredAt.choices,
        help_text=gettext_lazy(
            "The same request can be seen by the application, a gateway and the server; one of them counts."
        ),
    )
    through = forms.SlugField(
        label=gettext_lazy("Its traffic goes through"),
        max_length=80,
        required=False,
        help_text=gettext_lazy("Slug of the gateway or backend behind it, where there is one."),
    )
    signal = forms.ChoiceField(
        label=gettext_lazy("OpenTelemetry signal that counts"),
        choices=Token.Signal.choices,
        required=False,
        help_text=SIGNAL_HELP,
    )
    counts_step_tokens = forms.BooleanField(label=STEP_TOKENS_LABEL, required=False, help_text=STEP_TOKENS_HELP)
    expires_on = forms.DateField(
        label=gettext_lazy("Last day"), required=False, help_text=gettext_lazy("Empty: it works until it is revoked.")
    )

    def __init__(self, *args: Any, asker: Asker, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["workload"].queryset = visible_workloads(asker)  # type: ignore[attr-defined]

    def clean_expires_on(self) -> date | None:
        day: date | None = self.cleaned_data["expires_on"]
        if day is not None and day > LAST_DAY:
            raise forms.ValidationError(TOO_FAR_OFF, code="too_far_off")
        return day

    def expires_at(self) -> datetime | None:
        """The end of the last day, in the reporting zone."""
        day = self.cleaned_data.get("expires_on")
        if day is None:
            return None
        return timezone.make_aware(datetime.combine(day + timedelta(days=1), time.min), settings.REPORTING_ZONE)

    def clean_signal(self) -> str:
        return self.cleaned_data.get("signal") or Token.Signal.METRICS


class TokenChangeForm(Form):
    """How the OpenTelemetry that arrives with a token counts."""

    signal = forms.ChoiceField(
        label=gettext_lazy("Signal that counts"), choices=Token.Signal.choices, help_text=SIGNAL_HELP
    )
    counts_step_tokens = forms.BooleanField(label=STEP_TOKENS_LABEL, required=False, help_text=STEP_TOKENS_HELP)
