"""What the demo's three roadmaps planned, promised and decided, as plain values. Offsets are days from today."""

from dataclasses import dataclass, field
from decimal import Decimal

from roadmap.demo.usage import CONTACT, DOCUMENTS, WELDS


@dataclass(frozen=True, slots=True)
class KpiPlan:
    """Target and baseline of one KPI of the running phase, by the measure or, for read ones, the name."""

    subject: str
    target: Decimal
    baseline: Decimal | None = None
    name: str = ""
    unit: str = ""
    rate: Decimal | None = None
    readings: tuple[tuple[int, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class CostPlan:
    """A cost entry; `days` back and forth from today. Amount for the whole period."""

    name: str
    category: str
    amount: Decimal
    start: int
    end: int | None = None
    kind: str = "opex"
    status: str = "actual"


@dataclass(frozen=True, slots=True)
class RoadmapPlan:
    """One roadmap of the demo."""

    slug: str
    name: str
    summary: str
    programme: str
    industry: str
    business_unit: str
    cost_centre: str
    unit_of_work: str
    risk_class: str
    data_class: str
    budgets: dict[str, Decimal]
    # (days ago, status, sentence)
    updates: tuple[tuple[int, str, str], ...]
    kpis: tuple[KpiPlan, ...]
    costs: tuple[CostPlan, ...]
    # In the running phase: (part of the milestone's name, new due date in days from today).
    slips: tuple[tuple[str, int], ...] = ()
    # In the running phase: milestones and checklist items that are done, by position.
    done_milestones: int = 0
    ticked: int = 0
    notes: tuple[tuple[int, str], ...] = ()
    risks: tuple[tuple[str, int, int], ...] = field(default=())


def _weekly(values: tuple[int, ...]) -> tuple[tuple[int, Decimal], ...]:
    """Weekly readings, the last one 3 days ago."""
    return tuple((3 + 7 * (len(values) - 1 - place), Decimal(value)) for place, value in enumerate(values))


PLANS = (
    RoadmapPlan(
        slug=DOCUMENTS,
        name="Document check",
        summary="Reads a new customer's documents, compares them with the file, drafts the check for a person.",
        programme="Risk and finance",
        industry="Finance and risk",
        business_unit="Customer due diligence",
        cost_centre="CC-2140",
        unit_of_work="token",
        risk_class="high",
        data_class="personal",
        budgets={"poc": Decimal(90_000), "scale_up": Decimal(420_000), "optimise": Decimal(400_000)},
        updates=(
            (160, "on_track", "Optimisation has begun; the gateway's figures are the baseline."),
            (95, "at_risk", "The FP8 build slipped by a month; own GPUs stand idle at night."),
            (61, "on_track", "The FP8 build is live and answers a third faster."),
            (33, "on_track", "Half of the hard cases now go to the small model; quality holds."),
            (3, "on_track", "Cost per million tokens falls; idle nights on the GPUs are the next step."),
        ),
        kpis=(
            KpiPlan("quality", Decimal("0.93"), Decimal("0.88")),
            KpiPlan("cost_per_million_tokens", Decimal("3.50"), Decimal("6.00")),
            KpiPlan("duration_p95", Decimal("8.0"), Decimal("12.0")),
            KpiPlan("tokens_per_second_per_dollar", Decimal("20"), Decimal("8")),
            KpiPlan("utilisation", Decimal(45), Decimal(20)),
            KpiPlan("idle_share", Decimal(25), Decimal(45)),
            KpiPlan("cache_hit_ratio", Decimal(30), Decimal(10)),
            KpiPlan("Portability loss", Decimal(15), Decimal(30), readings=((40, Decimal(22)), (12, Decimal(17)))),
            KpiPlan(
                "Tasks automated",
                Decimal(11_000),
                Decimal(4_000),
                name="Files checked",
                unit="files",
                rate=Decimal("6.50"),
                readings=_weekly((1_710, 1_840, 1_905, 2_010, 2_090, 2_155, 2_240, 2_310, 2_395, 2_420, 2_515, 2_604)),
            ),
        ),
        costs=(
            CostPlan("Team of four", "people", Decimal(228_000), -180, 184),
            CostPlan("Evaluation set, labelled again", "data", Decimal(14_500), -120, -90),
            CostPlan("Tracing licences", "licences", Decimal(9_600), -180, 184),
        ),
        slips=(("Inference tuned", -61), ("Caching", 18), ("second provider", 40)),
        done_milestones=2,
        ticked=7,
        notes=((150, "Baseline frozen"), (61, "FP8 build")),
        risks=(("Rules for this use change while it runs", 3, 4),),
    ),
    RoadmapPlan(
        slug=CONTACT,
        name="Contact-centre assistant",
        summary="Suggests answers on the phone and in chat, looks things up with tools, writes the notes.",
        programme="Customer",
        industry="Content and development tools",
        business_unit="Customer service",
        cost_centre="CC-3310",
        unit_of_work="token",
        risk_class="limited",
        data_class="confidential",
        budgets={"poc": Decimal(60_000), "scale_up": Decimal(248_000), "optimise": Decimal(300_000)},
        updates=(
            (290, "on_track", "Two teams use it daily; the gateway carries all traffic."),
            (190, "on_track", "Vector search is live; answers quote their source."),
            (96, "on_track", "The agent looks up contracts in production."),
            (40, "at_risk", "Volume grows faster than planned; the budget gets tight."),
            (2, "at_risk", "The budget ends before the gate unless complaints go to the small model."),
        ),
        kpis=(
            KpiPlan("quality", Decimal("0.90"), Decimal("0.82")),
            KpiPlan("cost_per_million_tokens", Decimal("2.40"), Decimal("4.00")),
            KpiPlan("duration_p95", Decimal("4.0"), Decimal("6.0")),
            KpiPlan("error_rate", Decimal("0.8"), Decimal("0.5")),
            KpiPlan("override_rate", Decimal("2.0"), Decimal("1.0")),
            KpiPlan(
                "Tasks automated",
                Decimal(60_000),
                Decimal(10_000),
                name="Conversations assisted",
                unit="conversations",
                rate=Decimal("1.10"),
                readings=_weekly((9_400, 10_100, 10_900, 11_300, 12_250, 12_900, 13_300, 13_850, 14_200, 14_900)),
            ),
        ),
        costs=(
            CostPlan("Team of three", "people", Decimal(171_000), -300, 64),
            CostPlan("Training of 240 people", "training", Decimal(18_400), -150, -60),
            CostPlan("Prompt review by an outside expert", "people", Decimal(7_500), -34),
            CostPlan("Roll-out to the last two teams", "training", Decimal(9_800), 20, 60, status="planned"),
        ),
        slips=(("Runbook", 12), ("Rolled out", 55), ("Agents and tool calls", -96)),
        done_milestones=5,
        ticked=8,
        notes=((205, "Prompt cache on"), (96, "Agent in production"), (48, "Smaller model for notes")),
        risks=(("One provider or runtime becomes hard to leave", 4, 4),),
    ),
    RoadmapPlan(
        slug=WELDS,
        name="Weld inspection",
        summary="Looks at every weld of line 3 with a camera and stops the line for a person when it sees a crack.",
        programme="Factory",
        industry="Manufacturing and robotics",
        business_unit="Body shop",
        cost_centre="CC-7020",
        unit_of_work="image",
        risk_class="minimal",
        data_class="internal",
        budgets={"poc": Decimal(70_000), "scale_up": Decimal(260_000), "optimise": Decimal(150_000)},
        updates=(
            (80, "on_track", "Cameras hang; the first thousand welds are labelled."),
            (34, "on_track", "The model sees 94 of 100 cracks; false alarms fall."),
            (6, "on_track", "Line 3 runs with it in all shifts; people still look at every stop."),
        ),
        kpis=(
            KpiPlan("quality", Decimal("0.95"), Decimal("0.90")),
            KpiPlan("cost_per_1000_units", Decimal("0.80"), Decimal("3.00")),
            KpiPlan("duration_p95", Decimal("0.1"), Decimal("0.2")),
            KpiPlan(
                "Tasks automated",
                Decimal(500),
                Decimal(150),
                name="Inspection hours saved",
                unit="h",
                rate=Decimal(38),
                readings=_weekly((41, 58, 66, 79, 88, 97, 104, 112, 121)),
            ),
        ),
        costs=(
            CostPlan("Cameras and lights", "hardware", Decimal(21_600), -110, kind="capex"),
            CostPlan("Two engineers, part time", "people", Decimal(39_000), -118, 62),
            CostPlan("Labelling of 12,000 welds", "data", Decimal(6_900), -100, -70),
        ),
        slips=(("Evaluation against", 34),),
        done_milestones=4,
        ticked=6,
        notes=((52, "TensorRT build"),),
    ),
)
