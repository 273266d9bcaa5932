"""What is demo and what is not, by name, so that nobody fears the button."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.access import Asker, visible_workloads
from accounts.demo import is_present
from roadmap.models import Report


@dataclass(frozen=True, slots=True)
class DemoContents:
    """Names of what goes and what stays, as far as the asker sees it."""

    is_present: bool
    demo_roadmaps: list[str]
    demo_reports: int
    kept_roadmaps: list[str]


def demo_contents(asker: Asker) -> DemoContents:
    """Three queries, whatever there is."""
    rows = list(visible_workloads(asker).order_by("name").values_list("name", "is_demo"))
    return DemoContents(
        is_present=is_present(),
        demo_roadmaps=[name for name, is_demo in rows if is_demo],
        demo_reports=Report.objects.filter(is_demo=True).count(),
        kept_roadmaps=[name for name, is_demo in rows if not is_demo],
    )
