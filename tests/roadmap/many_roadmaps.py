"""Many roadmaps with budgets, spend by day and an update each: for the portfolio's report and the fiscal year."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from accounts.access import Asker
from accounts.models import User
from metrics import identity, ledger
from metrics.ledger import PostedCell
from metrics.models import Backend, Receipt
from metrics.usage import FeedKind, SeriesKey
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import CostEntry, Phase, Roadmap, Update

DAY = timedelta(days=1)
NAMES = (
    "Contact-centre assistant", "Claims triage", "Letters",
    "Underwriting copilot for commercial property and marine cargo in the Benelux and the Nordic countries",
    "Code review", "Fraud", "Search over policy conditions", "Translation", "Meeting notes", "KYC",
    "Predictive maintenance of offshore wind turbines, with anomaly explanations for technicians in the field",
    "HR desk",
)  # fmt: skip
PROVIDERS = ("openai", "anthropic", "vllm", "mistral", "azure", "bedrock")
STATUSES = ("on_track", "on_track", "at_risk", "on_track", "off_track", "on_track")
SENTENCES = ("Goes as planned.", "Quality holds; the gate is near.", "Two milestones slip by a week.")


def spend_daily(
    roadmap: Roadmap | None, amount: Decimal | int | str, first: date, last: date, *, provider: str = "openai"
) -> None:
    """`amount` EUR on each day, through the ledger; `roadmap` None: unallocated."""
    backend, _ = Backend.objects.get_or_create(
        slug=f"push-{provider}", defaults={"name": provider, "connector": "push_only", "provider": provider}
    )
    wanted = identity.SeriesIdentity(
        SeriesKey(provider=provider, model="m1"),
        backend.pk,
        is_pushed=True,
        workload_id=roadmap.workload_id if roadmap else None,
    )
    series_id = identity.series_ids([wanted])[wanted]
    cells = []
    day = first
    while day <= last:
        at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
        sums = {"requests": 40, "errors": 0, "input_tokens": 40_000, "output_tokens": 9_000}
        cells.append(PostedCell(series_id, at, sums | {"estimated_cost": Decimal(amount)}, {}, "EUR"))
        day += DAY
    ledger.post(Receipt(kind=FeedKind.PUSH, backend=backend), ledger.feed(FeedKind.PUSH, backend), cells)


def many_roadmaps(
    admin: User, count: int, *, first: date, last: date, programme: str = "", names: tuple[str, ...] = NAMES
) -> list[Roadmap]:
    """`count` roadmaps with a PoC from `first` on; each spends by day to `last`, half as much before its last month.

    Every fifth has no budget, every seventh is over it.
    """
    made = []
    month = last.replace(day=1)
    for number in range(count):
        name = names[number % len(names)] + (f" {number // len(names) + 1}" if number >= len(names) else "")
        roadmap = make_roadmap(
            Asker(admin), name=name, owner=admin, start_on=first, currency="EUR", programme=programme
        )
        size = 10 + 7 * (number % 5)
        days = (first + timedelta(days=150) - first).days + 1
        budget = None if number % 5 == 4 else Decimal(size * days) / (2 if number % 7 == 6 else 1)
        Phase.objects.filter(roadmap=roadmap, kind="poc").update(
            budget_amount=budget, budget_currency="EUR", planned_end_on=first + timedelta(days=150)
        )
        provider = PROVIDERS[number % len(PROVIDERS)]
        spend_daily(roadmap, size // 2, first, month - DAY, provider=provider)
        spend_daily(roadmap, size, month, last, provider=provider)
        Update.objects.create(
            roadmap=roadmap,
            author=admin,
            status=STATUSES[number % len(STATUSES)],
            sentence=SENTENCES[number % len(SENTENCES)],
            created_at=datetime(last.year, last.month, 20, 9, tzinfo=UTC),
        )
        made.append(roadmap)
    CostEntry.objects.create(
        roadmap=made[0], name="Licences", category="licences", amount=Decimal(620), currency="EUR",
        start_on=month, end_on=last,
    )  # fmt: skip
    return made
