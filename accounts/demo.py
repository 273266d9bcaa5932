"""Whether demo data is here. What it is made of, and how it goes, each app knows for its own rows."""

from django.http import HttpRequest

from accounts.models import Workload


def is_present(request: HttpRequest | None = None) -> bool:
    """Whether any workload is the demo's; asked once per request where one is given."""
    if request is None:
        return Workload.objects.filter(is_demo=True).exists()
    if not hasattr(request, "_demo_is_present"):
        remember(request, is_present=Workload.objects.filter(is_demo=True).exists())
    return bool(request._demo_is_present)  # type: ignore[attr-defined]


def remember(request: HttpRequest, *, is_present: bool) -> None:
    """Keep for the rest of the request what was asked together with something else."""
    request._demo_is_present = is_present  # type: ignore[attr-defined]
