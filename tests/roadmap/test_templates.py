"""Templates: what comes with the product, own ones, YAML in and out, and the page on which one is chosen."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from metrics.errors import RuleViolation
from roadmap.actions.kpis import change_kpi
from roadmap.actions.milestones import add_milestone, change_milestone, drop_milestone
from roadmap.actions.roadmaps import make_roadmap
from roadmap.actions.templates import import_template, rename_template, retire_template, save_as_template
from roadmap.models import Kpi, PlanTemplate, Roadmap
from roadmap.queries.templates import own_template
from roadmap.template import MAX_BYTES
from roadmap.template_files import find_template, load_templates, read_template, write_template

# The article's industries with their use cases (product.md).
INDUSTRIES = {
    "Manufacturing and robotics": {"Visual inspection", "Digital twin"},
    "Finance and risk": {"Document summary and KYC", "Fraud detection"},
    "Health care and life sciences": {"Medical imaging", "Drug discovery"},
    "Content and development tools": {"Code copilot", "Multimodal creation"},
}
SLUGS = sorted(item.slug for item in load_templates())
MINIMAL = """
format: 2
name: Ours
phases:
  - {kind: poc, months: 3, milestones: [{key: a, name: A, at: 0.5}, {key: b, name: B, at: 1, after: [a]}]}
  - {kind: scale_up, months: 6, kpis: [{key: k, name: K, direction: higher, example: 2.5}]}
  - {kind: optimise, months: 9, milestones: [{key: c, name: C, at: 1, after: [poc.b]}]}
"""


class TestWhatComesWithIt:
    def test_there_is_one_for_each_industry_and_use_case_of_the_article(self):
        found: dict[str, set[str]] = {}
        for item in load_templates():
            found.setdefault(item.industry, set()).add(item.use_case)
        assert found == {"": {""}} | {name: {"", *cases} for name, cases in INDUSTRIES.items()}

    @pytest.mark.parametrize("slug", SLUGS)
    def test_each_is_complete(self, slug):
        template = find_template(slug)
        assert {risk.category for risk in template.risks} == {
            "supply",
            "lock_in",
            "safety",
            "privacy",
            "quality",
            "adoption",
        }
        for phase in template.phases:
            assert sum(kpi.is_value for kpi in phase.kpis) == 1
            assert len({item.category for item in phase.checklist}) == 5
            assert any(item.is_must for item in phase.criteria)
            assert [item.at for item in phase.milestones] == sorted(item.at for item in phase.milestones)
            # Quality, cost and latency each measured: for the unit of work that it is for.
            unit = template.unit_of_work
            measures = {kpi.measure for kpi in phase.kpis if not unit or not kpi.units or unit in kpi.units}
            assert "duration_p95" in measures
            assert {"cost_per_million_tokens", "cost_per_1000_requests", "cost_per_1000_units"} & measures

    @pytest.mark.parametrize("slug", SLUGS)
    def test_each_survives_writing_and_reading(self, slug):
        template = find_template(slug)
        assert read_template(write_template(template), slug=slug) == template

    @pytest.mark.parametrize("slug", SLUGS)
    def test_each_makes_a_roadmap_without_promising_anything(self, slug, adam, asker):
        made = make_roadmap(asker(adam), name="New", owner=adam, template=slug)
        template = find_template(slug)
        assert not Kpi.objects.filter(phase__roadmap=made, target__isnull=False).exists()
        assert made.risk_class == (template.risk_class or "limited")
        assert made.phases.get(kind="poc").milestones.count() == len(template.phases[0].milestones)

    def test_examples_become_targets_where_somebody_says_so(self, adam, asker):
        made = make_roadmap(asker(adam), name="New", owner=adam, template="finance_fraud", example_targets=True)
        kpi = Kpi.objects.get(phase__roadmap=made, phase__kind="poc", name__startswith="Share of fraud")
        assert kpi.target == 70

    def test_an_example_stays_in_sight_until_there_is_a_target(self, adam, asker, sign_in):
        made = make_roadmap(asker(adam), name="New", owner=adam, template="finance_fraud")
        poc = made.phases.get(kind="poc")
        kpi = poc.kpis.get(name__startswith="Share of fraud")
        assert (kpi.target, kpi.example) == (None, 70)
        client, words = sign_in(adam), "≥ 70"
        assert f"example {words}" in client.get(poc.get_absolute_url()).content.decode()
        assert f"example of the template: {words}" in client.get(reverse("kpi", args=[kpi.pk])).content.decode()
        assert f"Example of the template: {words}." in client.get(reverse("kpi_edit", args=[kpi.pk])).content.decode()
        change_kpi(asker(adam), kpi, target=Decimal(60))
        assert f"example {words}" not in client.get(poc.get_absolute_url()).content.decode()
        assert f"Example of the template: {words}." in client.get(reverse("kpi_edit", args=[kpi.pk])).content.decode()
        # Kept as a template, a target of one's own comes before the example, and an example before nothing.
        saved = read_template(save_as_template(asker(adam), made, name="Ours").document, slug="ours").phases[0]
        examples = {item.name: item.example for item in saved.kpis}
        assert examples[kpi.name] == 60
        assert examples[poc.kpis.get(name__startswith="False alarms").name] == 10

    def test_what_waits_for_what_comes_along(self, adam, asker):
        made = make_roadmap(asker(adam), name="New", owner=adam, template="finance")
        poc = made.phases.get(kind="poc")
        users = poc.milestones.get(name__startswith="First users")
        assert [item.name for item in users.depends_on.all()] == ["Prompts and guardrails set up"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("format: 2", "format: 3"), "has format 3, of a newer Phaseline"),
        (("format: 2", "format: 2.5"), "format"),
        (("format: 2", "extends: general\nformat: 2"), "unknown entry: 'extends'"),
        (("name: Ours", "name: Ours\ncolour: red"), "unknown entry: 'colour'"),
        (
            ("name: A, at: 0.5", "name: A, at: 0.5, owner: alice"),
            "Phase poc, milestones 1 has an unknown entry: 'owner'",
        ),
        (("at: 0.5", "at: 2"), "'at' has to be a number from 0 to 1"),
        (("at: 0.5", "at: .nan"), "'at' has to be a number"),
        (("at: 0.5", "at: soon"), "'at' has to be a number"),
        (("after: [a]", "after: [z]"), "waits for 'z', which is not there"),
        (("at: 0.5}", "at: 0.5, after: [b]}"), "waits for itself"),
        (("key: b", "key: a"), "a key stands twice"),
        (("months: 3", "months: 61"), "from 1 to 60"),
        (("months: 3", "months: 2.5"), "whole number"),
        (("direction: higher", "direction: up"), "one of higher, lower"),
        (("direction: higher", "measure: magic"), "no measure 'magic'"),
        (("direction: higher", "direction: higher, formula: k + 1"), "k"),
        (("kind: scale_up", "kind: poc"), "stands twice"),
        (("name: Ours", "name: &a Ours\nsummary: *a"), "references"),
        (("name: Ours", "name: !!python/object/apply:os.system [ls]"), "not YAML"),
        (("name: Ours", "name: [x]"), "'name' is missing"),
        (("name: Ours", f"name: {'x' * 121}"), "at most 120"),
        (("name: Ours", f"summary: {'x' * MAX_BYTES}"), "at most 256 KiB"),
        (("phases:", "phases: 5\nothers:"), "has to be a list"),
    ],
)
def test_it_says_what_is_wrong(change, says):
    text = MINIMAL.replace(*change)
    assert text != MINIMAL
    with pytest.raises(RuleViolation) as caught:
        read_template(text, slug="x")
    assert says in caught.value.message


class TestOwn:
    def test_a_roadmap_saved_as_one_makes_the_same_plan(self, plan, poc, alice, adam, asker):
        a = asker(alice)
        first = add_milestone(a, poc, name="Contract signed", due_on=poc.planned_start_on)
        change_milestone(a, poc.milestones.get(name__startswith="First users"), depends_on=[first])
        dropped = add_milestone(a, poc, name="Given up", due_on=poc.planned_start_on)
        drop_milestone(a, dropped, reason="x")
        kpi = poc.kpis.get(measure="duration_p95")
        kpi.target = Decimal(900)
        kpi.save()
        row = save_as_template(a, plan, name="House style")
        assert "alice" not in row.document.lower()
        made = make_roadmap(
            asker(adam), name="Next", owner=adam, template=row.slug, start_on=poc.planned_start_on, example_targets=True
        )
        again = made.phases.get(kind="poc")
        held = poc.milestones.exclude(state="dropped").order_by("name")
        assert [(item.name, item.due_on) for item in again.milestones.order_by("name")] == [
            (item.name, item.due_on) for item in held
        ]
        assert again.milestones.get(name__startswith="First users").depends_on.get().name == "Contract signed"
        assert again.kpis.get(measure="duration_p95").target == 900
        assert again.gate.criteria.count() == poc.gate.criteria.count()
        assert [phase.planned_end_on for phase in made.phases.order_by("position")] == [
            phase.planned_end_on for phase in plan.phases.order_by("position")
        ]
        assert read_template(row.document, slug=row.slug, base=None).months == (6, 12, 18)

    def test_names_are_taken_once(self, plan, alice, asker):
        row = save_as_template(asker(alice), plan, name="House style")
        for name in ("house style", "General", " "):
            with pytest.raises(RuleViolation):
                save_as_template(asker(alice), plan, name=name)
        rename_template(asker(alice), row, name="House style")
        assert PlanTemplate.objects.count() == 1

    def test_a_retired_one_is_not_offered(self, plan, alice, adam, asker, sign_in):
        row = save_as_template(asker(alice), plan, name="House style")
        client = sign_in(adam)
        assert "House style" in client.get(reverse("roadmap_new")).content.decode()
        retire_template(asker(alice), row)
        assert "House style" not in client.get(reverse("roadmap_new")).content.decode()
        with pytest.raises(RuleViolation, match="is retired"):
            make_roadmap(asker(adam), name="Next", owner=adam, template=row.slug)

    def test_others_may_read_and_not_change_it(self, plan, alice, bob, oscar, asker):
        row = save_as_template(asker(alice), plan, name="House style")
        for person in (bob, oscar):
            with pytest.raises(PermissionDenied):
                rename_template(asker(person), row, name="Mine")
        with pytest.raises(PermissionDenied):
            import_template(asker(bob), MINIMAL)
        with pytest.raises(PermissionDenied):
            save_as_template(asker(bob), plan, name="Mine")


class TestPages:
    @pytest.mark.parametrize("slug", SLUGS)
    def test_choosing_one_shows_what_one_gets(self, slug, adam, sign_in):
        answer = sign_in(adam).get(f"{reverse('roadmap_new')}?template={slug}")
        text = answer.content.decode()
        assert answer.status_code == 200
        assert f"Template: {find_template(slug).name}" in text
        assert 'aria-current="true"' in text
        assert f'value="{slug}"' in text

    def test_an_unknown_one_shows_the_general_one(self, adam, sign_in):
        assert "Template: General" in sign_in(adam).get(reverse("roadmap_new") + "?template=%00x").content.decode()

    def test_pages_by_role(self, plan, alice, bob, vera, oscar, adam, asker, client):
        row = save_as_template(asker(alice), plan, name="House style")
        for person in (alice, bob, vera, oscar, adam):
            client.force_login(person)
            for url in (
                reverse("templates"),
                reverse("template", args=[row.slug]),
                reverse("template", args=["finance"]),
                reverse("template_yaml", args=[row.slug]),
            ):
                assert client.get(url).status_code == 200, (person, url)
            may = person in (alice, adam)
            answer = client.post(reverse("template", args=[row.slug]), {"name": ""})
            assert answer.status_code == (422 if may else 403)
            if not may:
                assert client.post(reverse("template_retire", args=[row.slug])).status_code == 403
            expected = 422 if person in (alice, adam, oscar) else 403
            assert client.post(reverse("templates"), {}).status_code == expected
        assert client.post(reverse("template", args=["finance"]), {"name": "x"}).status_code == 403
        assert client.get(reverse("template", args=["nothing"])).status_code == 404
        client.logout()
        assert client.get(reverse("templates")).status_code == 302

    def test_export_and_import_make_the_same(self, plan, alice, asker, sign_in):
        row = save_as_template(asker(alice), plan, name="House style")
        client = sign_in(alice)
        answer = client.get(reverse("template_yaml", args=[row.slug]))
        assert "attachment" in answer["Content-Disposition"]
        file = SimpleUploadedFile("x.yaml", answer.content)
        answer = client.post(reverse("templates"), {"file": file, "name": "From elsewhere"})
        assert answer.status_code == 303
        made = PlanTemplate.objects.get(name="From elsewhere")
        assert own_template(made).phases == own_template(row).phases

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            ({}, "one of the two"),
            ({"pasted": "{"}, "not YAML"),
            ({"pasted": MINIMAL.replace("format: 2", "format: 9")}, "of a newer Phaseline"),
            ({"file": SimpleUploadedFile("x.yaml", b"\xff\xfe")}, "not UTF-8"),
            ({"file": SimpleUploadedFile("x.yaml", b"a" * (MAX_BYTES + 1))}, "at most 256 KiB"),
        ],
        ids=["nothing", "broken", "newer", "binary", "large"],
    )
    def test_a_bad_import_says_why(self, adam, sign_in, data, says):
        answer = sign_in(adam).post(reverse("templates"), data)
        assert answer.status_code == 422
        assert says in answer.content.decode()
        assert not PlanTemplate.objects.exists()


class TestRest:
    def test_the_whole_way(self, plan, alice, api):
        client = api(alice, scopes=["manage"])
        made = client.post(f"/api/v1/roadmaps/{plan.slug}/template", {"name": "House style"}, format="json")
        assert made.status_code == 201
        text = client.get("/api/v1/templates/house-style/yaml").content.decode()
        body = {"document": text, "name": "Copied"}
        assert client.post("/api/v1/templates/", body, format="json").status_code == 201
        assert client.post("/api/v1/templates/", body, format="json").json()["code"] == "already_named"
        rows = {row["slug"]: row for row in client.get("/api/v1/templates/").json()["results"]}
        assert set(rows) == {*SLUGS, "house-style", "copied"}
        renamed = client.patch("/api/v1/templates/copied", {"name": "Copied again"}, format="json")
        assert renamed.json()["name"] == "Copied again"
        assert client.patch("/api/v1/templates/copied", {"is_retired": True}, format="json").json()["is_retired"]
        body = {"name": "From it", "template": "copied"}
        assert client.post("/api/v1/roadmaps/", body, format="json").json()["code"] == "template_retired"
        body = {"name": "From it", "template": "house-style", "example_targets": True}
        assert client.post("/api/v1/roadmaps/", body, format="json").status_code == 201
        assert Roadmap.objects.count() == 2

    @pytest.mark.parametrize("body", [{}, {"document": 5}, {"document": "format: 3\nname: x"}, {"documents": "x"}])
    def test_bad_input(self, alice, api, plan, body):
        answer = api(alice, scopes=["manage"]).post("/api/v1/templates/", body, format="json")
        assert answer.status_code in (400, 422)

    def test_by_role_and_scope(self, plan, alice, vera, asker, api):
        save_as_template(asker(alice), plan, name="House style")
        reader, viewer = api(alice, scopes=["read"]), api(vera, scopes=["manage"])
        assert reader.get("/api/v1/templates/").status_code == 200
        for client in (reader, viewer):
            assert client.post("/api/v1/templates/", {"document": MINIMAL}, format="json").status_code == 403
            assert client.patch("/api/v1/templates/house-style", {"name": "x"}, format="json").status_code == 403
        assert viewer.patch("/api/v1/templates/general", {"name": "x"}, format="json").status_code == 404
        assert api(alice, scopes=["push"]).get("/api/v1/templates/").status_code == 403
