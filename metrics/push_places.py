"""Where pushed records belong: the workload of the roadmap they name, and the backend whose feed they join."""

from __future__ import annotations

import re
import time as clock
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import blake2b

from django.db import transaction

from accounts.access import Asker, can, can_send_unallocated, may_contribute_by_token, visible_workloads
from accounts.models import Role, Workload
from metrics import identity
from metrics.fold import DEFAULTS, Place, PlaceKey
from metrics.format import Batch, Rejection
from metrics.models import Allocation, Backend
from metrics.sources import NOT_PULLED, PUSH_ONLY
from metrics.usage import MeasuredAt
from metrics.visible import visible_backends

UNKNOWN_PROVIDER = "unknown"
# A backend that is added takes its provider's pushes over after at most this long.
REMEMBERED_SECONDS = 10.0
MAX_REMEMBERED = 1_000
MAX_PUSH_BACKENDS = 200
# Looking for the nearest name takes long; nobody reads more of them.
MAX_HINTS = 20

_by_provider: dict[str, tuple[float, Backend]] = {}
identity.caches.append(_by_provider)


@dataclass(slots=True)
class Places:
    """`found`: where each (roadmap, provider, backend) belongs; `refused`: code and sentence for the others."""

    found: dict[PlaceKey, Place] = field(default_factory=dict)
    refused: dict[PlaceKey, tuple[str, str]] = field(default_factory=dict)
    workloads: dict[int, Workload] = field(default_factory=dict)
    backends: dict[int, Backend] = field(default_factory=dict)


def find_places(asker: Asker, keys: Iterable[PlaceKey]) -> Places:
    """Where the records belong that the asker pushes. Makes the backend `push-<provider>` where there is none.

    A refused key costs no query of its own: names are looked up together.
    """
    keys = set(keys)
    places = Places()
    workloads, refused_roadmaps = _workloads(asker, {roadmap for roadmap, _, _ in keys if roadmap is not None})
    own = asker.token.workload if asker.token is not None else None
    refused_without = _refused_without_roadmap(asker, own) if any(roadmap is None for roadmap, _, _ in keys) else None
    named, refused_backends = _named_backends(asker, {backend for _, _, backend in keys if backend is not None})
    by_provider: dict[str, Backend] = {}
    for key in sorted(keys, key=str):
        roadmap, provider, slug = key
        problem = refused_without if roadmap is None else refused_roadmaps.get(roadmap)
        problem = problem or refused_backends.get(slug or "")
        if problem is not None:
            places.refused[key] = problem
            continue
        workload = own if roadmap is None else workloads[roadmap]
        if slug is not None:
            backend = named[slug]
        else:
            if provider not in by_provider:
                by_provider[provider] = _remembered_backend_of(provider)
            backend = by_provider[provider]
        places.found[key] = Place(backend.pk, workload.pk if workload is not None else None)
        places.backends[backend.pk] = backend
        if workload is not None:
            places.workloads[workload.pk] = workload
    return places


def refusals(batch: Batch, places: Places) -> list[Rejection]:
    """Of the records whose place is refused, why."""
    found = []
    for one, index in zip(batch.records, batch.indexes, strict=True):
        problem = places.refused.get((one.roadmap, one.provider or DEFAULTS["provider"], one.backend))
        if problem is not None:
            found.append(Rejection(index, *problem))
    return found


def may_go_through(asker: Asker, measured_at: MeasuredAt, backend: Backend) -> bool:
    """Whether the asker's pushes, measured there, may be linked with this backend.

    What an application measures gives way to the backend's own figures. What a gateway or server measures can take
    their place, so that its sender has to see them: admins, and those whose roadmaps it serves.
    """
    if measured_at == MeasuredAt.APPLICATION or asker.user.is_admin:
        return True
    mine = visible_workloads(asker).values("pk")
    if backend.default_workload_id is not None and mine.filter(pk=backend.default_workload_id).exists():
        return True
    return Allocation.objects.filter(series__backend=backend, workload__in=mine).exists()


def _refused_without_roadmap(asker: Asker, own: Workload | None) -> tuple[str, str] | None:
    """A token goes no further than its owner, also where their role was taken away after it was made."""
    if own is None:
        if can_send_unallocated(asker):
            return None
        return "roadmap_not_allowed", "roadmap: you contribute to no roadmap, so you cannot push usage of none either."
    if may_contribute_by_token(asker):
        return None
    return "roadmap_not_allowed", f"roadmap: this token's owner no longer contributes to '{own.slug}'."


def _workloads(asker: Asker, slugs: set[str]) -> tuple[dict[str, Workload], dict[str, tuple[str, str]]]:
    if not slugs:
        return {}, {}
    token = asker.token
    found = {workload.slug: workload for workload in visible_workloads(asker).filter(slug__in=slugs)}
    refused: dict[str, tuple[str, str]] = {}
    names: list[str] | None = None
    for slug in slugs:
        if slug in found:
            if not can(asker, Role.CONTRIBUTOR, found[slug]):
                refused[slug] = ("roadmap_not_allowed", f"roadmap: you may read '{slug}', not push to it.")
        elif token is not None and token.workload is not None:
            refused[slug] = (
                "roadmap_not_allowed",
                f"roadmap: this token is bound to '{token.workload.slug}' and cannot push to '{slug}'.",
            )
        else:
            if names is None:
                names = list(visible_workloads(asker).values_list("slug", flat=True))
            hint = _nearest(slug, names) if len(refused) < MAX_HINTS else ""
            refused[slug] = ("unknown_roadmap", f"roadmap: there is no '{slug}'.{hint}")
    return found, refused


def _named_backends(asker: Asker, slugs: set[str]) -> tuple[dict[str, Backend], dict[str, tuple[str, str]]]:
    if not slugs:
        return {}, {}
    # What is pushed stays when the demo goes, so that it cannot join the demo's backends.
    backends = Backend.objects.filter(is_demo=False, is_example=False)
    found = {backend.slug: backend for backend in backends.filter(slug__in=slugs)}
    missing = sorted(slugs - set(found))
    # Of the others a sender learns nothing, not even that they are there.
    visible = backends.filter(pk__in=visible_backends(asker).values("pk"))
    names = list(visible.values_list("slug", flat=True)) if missing else []
    hints = {slug: _nearest(slug, names) for slug in missing[:MAX_HINTS]}
    return found, {
        slug: (
            "unknown_backend",
            f"backend: there is no '{slug}'.{hints.get(slug, '')} Leave it out to go by provider.",
        )
        for slug in missing
    }


def _nearest(slug: str, names: list[str]) -> str:
    near = get_close_matches(slug, names, n=3, cutoff=0.4)
    return f" Nearest: {', '.join(near)}." if near else ""


def are_remembered(keys: Iterable[PlaceKey]) -> bool:
    """Whether `find_places` would make no backend: each key names one, or its provider's was found lately."""
    # A moment more, so that it is still remembered when it is asked.
    soon = clock.monotonic() + 1
    return all(
        backend is not None or ((known := _by_provider.get(provider)) is not None and known[0] > soon)
        for _, provider, backend in keys
    )


def _remembered_backend_of(provider: str) -> Backend:
    """As `_backend_of`, asked once in a while: a sender's provider is the same in each push."""
    known = _by_provider.get(provider)
    if known is not None and known[0] > clock.monotonic():
        return known[1]
    backend = _backend_of(provider)
    until = clock.monotonic() + REMEMBERED_SECONDS

    def remember() -> None:
        if len(_by_provider) >= MAX_REMEMBERED:
            _by_provider.clear()
        _by_provider[provider] = (until, backend)

    transaction.on_commit(remember)
    return backend


def _backend_of(provider: str) -> Backend:
    """The one backend of the provider that is pulled; where there are several or none, `push-<provider>`.

    Backends of the demo and the example do not count: what is pushed stays when they go. An unknown provider is
    nobody's.
    """
    if provider != UNKNOWN_PROVIDER:
        pulled = Backend.objects.filter(provider=provider, is_demo=False, is_example=False).exclude(
            connector__in=NOT_PULLED
        )
        candidates = list(pulled[:2])
        if len(candidates) == 1:
            return candidates[0]
    push_only = Backend.objects.filter(connector=PUSH_ONLY, is_demo=False)
    there = push_only.filter(provider=provider).order_by("pk").first()
    if there is None and provider != UNKNOWN_PROVIDER and push_only.count() >= MAX_PUSH_BACKENDS:
        # A sender that writes anything into `provider`: its series keep what it wrote, together under one backend.
        return _backend_of(UNKNOWN_PROVIDER)
    return there or _make_push_backend(provider)


def _make_push_backend(provider: str) -> Backend:
    plain = re.sub(r"[^a-z0-9]+", "-", provider.lower()).strip("-")
    digest = blake2b(provider.encode(), digest_size=4).hexdigest()
    slugs = [f"push-{plain}", f"push-{plain}-{digest}"] if plain else [f"push-{digest}"]
    for slug in slugs:
        # Two first pushes at once: the second waits here for the first, and finds its row.
        backend, _ = Backend.objects.get_or_create(
            slug=slug,
            defaults={
                "name": f"Pushed: {provider}",
                "connector": PUSH_ONLY,
                "provider": provider,
                "measured_at": MeasuredAt.APPLICATION,
                "is_enabled": False,
            },
        )
        if backend.connector == PUSH_ONLY and backend.provider == provider:
            return backend
    raise RuntimeError(f"no free slug for pushes of provider {provider!r}")
