"""Rows that are roadmaps. A roadmap's key is its address: it is given once and stays."""

from __future__ import annotations

from typing import Any, ClassVar

from accounts.access import can
from accounts.models import Membership, Role, User
from metrics.errors import RuleViolation
from roadmap.actions.changes import check_currency
from roadmap.actions.people import set_membership
from roadmap.actions.phases import change_phase
from roadmap.actions.roadmaps import change_roadmap, make_roadmap
from roadmap.imports.columns import Column, Given
from roadmap.imports.lookup import Done, Importer, Lookup, once, one_of, slug_of, told
from roadmap.imports.outcome import FieldChange, Missing
from roadmap.models import Phase, Roadmap
from roadmap.queries.templates import template_named
from roadmap.template import PHASE_KINDS, PhaseTemplate, Template

# A roadmap without a template gets what the file brings, and nothing else.
MONTHS = (3, 6, 12)
EMPTY = Template(
    slug="empty",
    name="Empty",
    summary="",
    phases=tuple(PhaseTemplate(kind, months, (), (), (), ()) for kind, months in zip(PHASE_KINDS, MONTHS, strict=True)),
    risks=(),
)
_TEXTS = ("summary", "business_unit", "cost_centre", "industry")
_CHOICES = ("risk_class", "data_class", "unit_of_work")
_ROLES = {"managers": Role.MANAGER, "contributors": Role.CONTRIBUTOR, "viewers": Role.VIEWER}
_NOBODY = "is nobody here. Write a user name or an e-mail; an admin can invite people."


def _per_phase() -> tuple[Column, ...]:
    found = []
    for kind, months in zip(PHASE_KINDS, MONTHS, strict=True):
        label = str(Phase.Kind(kind).label)
        what = f"How long {label} is; {months} where it is empty. For new roadmaps."
        found.append(Column(f"{kind}_months", f"{label} months", "whole", help=what, example=months))
    for kind in PHASE_KINDS:
        label = str(Phase.Kind(kind).label)
        found.append(
            Column(f"{kind}_budget", f"{label} budget", "number", help="In the budget currency.", can_clear=True)
        )
    return tuple(found)


class Roadmaps(Importer):
    """Roadmaps: found by key, or by name where a row has no key."""

    columns: ClassVar[tuple[Column, ...]] = (
        Column("name", "Name", names=("Roadmap", "Roadmap name", "Use case", "Title"), example="Claims assistant"),
        Column(
            "key",
            "Key",
            names=("Roadmap key", "Slug", "ID", "Outside key", "Roadmap"),
            help="Becomes the roadmap's address. A second import finds it by this.",
            example="claims",
        ),
        Column("summary", "Summary", names=("Description", "Goal"), can_clear=True),
        Column("owner", "Owner", names=("Roadmap owner", "Manager", "Lead"), help="Empty: who imports."),
        Column("sponsor", "Sponsor", can_clear=True),
        Column("programme", "Programme", names=("Program", "Portfolio"), can_clear=True, example="Service"),
        Column("business_unit", "Business unit", names=("Department", "Unit"), can_clear=True),
        Column("cost_centre", "Cost centre", names=("Cost center",), can_clear=True),
        Column("industry", "Industry", can_clear=True),
        Column("unit_of_work", "Unit of work", "choice", choices=dict(Roadmap.UnitOfWork.choices), example="Request"),
        Column("risk_class", "Risk class", "choice", choices=dict(Roadmap.RiskClass.choices)),
        Column("data_class", "Data class", "choice", choices=dict(Roadmap.DataClass.choices)),
        Column(
            "start_on",
            "Starts on",
            "day",
            names=("Start", "Start date", "Starts", "Planned start"),
            help="First day of the PoC. For new roadmaps; today where it is empty.",
            example="2027-01-04",
        ),
        *_per_phase(),
        Column("currency", "Budget currency", names=("Currency",), help="For new roadmaps.", example="EUR"),
        Column(
            "template", "Template", help="A template's address, such as finance. Empty: only what this file brings."
        ),
        Column("managers", "Managers", "people", help="User names or e-mails, with semicolons between."),
        Column("contributors", "Contributors", "people", names=("Members", "Team"), help="The same."),
        Column("viewers", "Viewers", "people", help="The same."),
    )
    ignored = (
        *("State", "Status", "Sentence", "Phase", "From", "To", "Demo", "Created at"),
        *("Next milestone", "Next milestone on", "Next gate on", "Criteria met", "Criteria"),
    )

    def __init__(self, lookup: Lookup) -> None:
        super().__init__(lookup)
        self.seen: dict[str, int] = {}
        self._everybody: list[User] | None = None

    def take(self, row: Given) -> Done:
        found = self._find(row)
        if found is not None:
            once(self.seen, found.slug, row.line, f"The roadmap '{found.name}'")
        done, roadmap = self._change(found, row) if found else self._add(row)
        self.lookup.add(roadmap)
        self.seen[roadmap.slug] = row.line
        return done

    def missing(self) -> list[Missing]:
        return [
            Missing(roadmap.name, roadmap.slug)
            for roadmap in self.lookup.roadmaps.values()
            if roadmap.slug not in self.seen
            and not roadmap.workload.is_demo
            and can(self.asker, Role.MANAGER, roadmap.workload)
        ]

    def _find(self, row: Given) -> Roadmap | None:
        key, name = str(row.get("key", "")), str(row.get("name", ""))
        if not key and not name:
            raise RuleViolation("missing", "Give the roadmap a key or a name.", "name")
        if key:
            if not slug_of(key):
                raise RuleViolation("bad_key", f"'{key[:40]}' has no letter or digit from a to z and 0 to 9.", "key")
            if slug_of(key) in self.lookup.roadmaps:
                return self.lookup.roadmaps[slug_of(key)]
            same = [roadmap for roadmap in self.lookup.named(name) if roadmap.slug not in self.seen]
            if name and same:
                raise RuleViolation(
                    "already_there",
                    f"The roadmap '{same[0].name}' has the key {same[0].slug}. Write that key, or another name.",
                    "key",
                )
            return None
        same = self.lookup.named(name)
        if len(same) > 1:
            raise RuleViolation("ambiguous_roadmap", f"More than one roadmap is called '{name}'. Write its key.", "key")
        return same[0] if same else None

    def _add(self, row: Given) -> tuple[Done, Roadmap]:
        self.needed(row, "name")
        owner = self._anybody(str(row.get("owner")), "owner") if row.get("owner") else self.asker.user
        if not self.asker.user.is_admin and owner != self.asker.user:
            raise RuleViolation("not_allowed", "Only an admin makes a roadmap for somebody else.", "owner")
        fields: dict[str, Any] = {name: row.get(name) for name in (*_TEXTS, *_CHOICES) if row.get(name)}
        if row.get("sponsor"):
            fields["sponsor"] = self._anybody(str(row.get("sponsor")), "sponsor")
            if not self._may_sponsor(fields["sponsor"]):
                raise RuleViolation("not_allowed", "A sponsor is an admin or executive.", "sponsor")
        template = template_named(str(row.get("template"))) if row.get("template") else EMPTY
        months = zip(PHASE_KINDS, template.months, strict=True)
        roadmap = make_roadmap(
            self.asker,
            name=str(row.get("name")),
            owner=owner,
            start_on=row.get("start_on"),
            template=template,
            months=[row.get(f"{kind}_months", length) for kind, length in months],
            slug=slug_of(str(row.get("key", ""))),
            programme=str(row.get("programme", "")),
            currency=str(row.get("currency", "")),
            budgets={kind: row.get(f"{kind}_budget") for kind in PHASE_KINDS},
            **fields,
        )
        joined = self._people(roadmap, row)
        return Done("added", roadmap.name, roadmap.slug, joined), roadmap

    def _change(self, roadmap: Roadmap, row: Given) -> tuple[Done, Roadmap]:
        wanted: dict[str, Any] = {name: row.get(name, "") for name in (*_TEXTS, *_CHOICES, "name") if name in row}
        for name in ("owner", "sponsor"):
            if name in row:
                text = row.get(name)
                wanted[name] = self.lookup.person(roadmap, str(text), field=name) if text else None
        changes, words = self.differences(roadmap, wanted)
        held = roadmap.programme.name if roadmap.programme else ""
        if "programme" in row and held.casefold() != str(row.get("programme", "")).casefold():
            changes["programme"] = str(row.get("programme", ""))
            words.append(FieldChange(self.labels["programme"], held, changes["programme"]))
        if changes:
            roadmap = change_roadmap(self.asker, roadmap, **changes)
        words += self._budgets(roadmap, row)
        words += self._people(roadmap, row)
        outcome = "changed" if words else "unchanged"
        return Done(outcome, roadmap.name, roadmap.slug, words, self._notes(roadmap, row)), roadmap  # type: ignore[arg-type]

    def _budgets(self, roadmap: Roadmap, row: Given) -> list[FieldChange]:
        words = []
        for kind, phase in self.lookup.phases(roadmap).items():
            name = f"{kind}_budget"
            if name not in row or phase.budget_amount == row.get(name):
                continue
            before = told(phase.budget_amount)
            change_phase(self.asker, phase, budget_amount=row.get(name))
            words.append(FieldChange(self.labels[name], before, told(row.get(name))))
        return words

    def _people(self, roadmap: Roadmap, row: Given) -> list[FieldChange]:
        """Gives each person the role that the row says; who is not named keeps theirs."""
        words = []
        held = dict(Membership.objects.filter(workload=roadmap.workload).values_list("user_id", "role"))
        for name, role in _ROLES.items():
            for text in row.get(name, ()):
                person = self._anybody(text, name)
                before = held.get(person.pk, "")
                if before == role:
                    continue
                set_membership(self.asker, roadmap, user=person, role=role)
                held[person.pk] = role
                was = str(Role(before).label) if before else ""
                words.append(FieldChange(person.display_name, was, str(role.label)))
        return words

    def _notes(self, roadmap: Roadmap, row: Given) -> list[str]:
        """What a row says that an import does not change."""
        first = self.lookup.phases(roadmap)[PHASE_KINDS[0]]
        notes = []
        if row.get("start_on") and row.get("start_on") not in (first.planned_start_on, first.baseline_start_on):
            notes.append(
                f"Its start stays {told(first.planned_start_on)}: dates are changed under Settings and people."
            )
        if row.get("currency") and check_currency(str(row.get("currency"))) != first.budget_currency:
            notes.append(f"Its budgets stay in {first.budget_currency}.")
        return notes

    def _may_sponsor(self, person: User) -> bool:
        return self.asker.user.is_admin or person == self.asker.user or person.reads_all

    def _anybody(self, text: str, field: str) -> User:
        """Anybody who can sign in; by full name for admins, who see everybody's."""
        if self._everybody is None:
            self._everybody = list(User.objects.filter(is_active=True))
        return one_of(self._everybody, text, field=field, otherwise=_NOBODY, by_full_name=self.asker.user.is_admin)
