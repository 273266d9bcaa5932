"""Files between being looked at and being imported: kept in the database, where every web process finds them."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.access import Asker, spending_memberships
from roadmap.imports.cells import Choices
from roadmap.imports.run import look_at, run_import
from roadmap.imports.telling import document_of
from roadmap.models import PlanImport

# A file that nobody confirms is forgotten after this; what became of an import, after the other.
KEPT_FOR = timedelta(days=1)
RESULTS_KEPT_FOR = timedelta(days=90)
# Waiting files of one person: the oldest makes room.
MAX_WAITING = 10
# Rows of each outcome that a result keeps.
ROWS_KEPT = 500


def may_import(asker: Asker) -> bool:
    """Admins, managers and contributors; what of a file they may do is asked row by row."""
    user = asker.user
    return user.is_active and (user.is_admin or spending_memberships(user).exists())


def require_may_import(asker: Asker) -> None:
    """PermissionDenied for who can change no roadmap."""
    if not may_import(asker):
        raise PermissionDenied("Only admins, and who manages or contributes to a roadmap, may import a plan.")


def keep_file(asker: Asker, *, name: str, content: bytes) -> PlanImport:
    """Keeps a file to look at. RuleViolation, field 'file', for what is no spreadsheet."""
    require_may_import(asker)
    look = look_at(content, Choices(), name=name)
    if look.problem is not None and look.problem.field == "file":
        raise look.problem
    forget_old()
    waiting = PlanImport.objects.filter(user=asker.user, imported_at=None)
    PlanImport.objects.filter(pk__in=list(waiting.values_list("pk", flat=True)[MAX_WAITING - 1 :])).delete()
    return PlanImport.objects.create(
        user=asker.user,
        name=clean_name(name),
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        choices=Choices().as_json(),
    )


def import_file(asker: Asker, kept: PlanImport, *, digest: str) -> PlanImport:
    """Imports a kept file as its preview said. One that is imported already stays as it is.

    RuleViolation `conflict_changed_meanwhile` where the plan has changed since the preview.
    """
    with transaction.atomic():
        kept = PlanImport.objects.select_for_update().get(pk=kept.pk)
        if kept.imported_at is not None or kept.content is None:
            return kept
        result = run_import(
            asker, bytes(kept.content), Choices.of(kept.choices), dry_run=False, name=kept.name, expected=digest
        )
        _done(asker, kept, document_of(result, most=ROWS_KEPT))
    return kept


def import_at_once(
    asker: Asker, *, name: str, content: bytes, choices: Choices, takes_part: bool
) -> tuple[dict[str, Any], PlanImport | None]:
    """Imports a file without a look at it before: the result, and the row that keeps it.

    Unless it `takes_part`, a refused row stops it: then nothing is changed and the row is None.
    """
    require_may_import(asker)
    with transaction.atomic():
        result = run_import(asker, content, choices, dry_run=False, name=name)
        if result.counts["refused"] and not takes_part:
            transaction.set_rollback(True)
            return document_of(result), None
        kept = PlanImport(
            user=asker.user,
            name=clean_name(name),
            sha256=hashlib.sha256(content).hexdigest(),
            choices=choices.as_json(),
        )
        _done(asker, kept, document_of(result, most=ROWS_KEPT))
    return document_of(result), kept


def forget_old() -> None:
    """Deletes files that nobody confirmed, and results that are old."""
    now = timezone.now()
    PlanImport.objects.filter(imported_at=None, created_at__lt=now - KEPT_FOR).delete()
    PlanImport.objects.filter(imported_at__lt=now - RESULTS_KEPT_FOR).delete()


def clean_name(name: str) -> str:
    """A file's name without a path and what cannot be shown."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable()).strip()[:200] or "plan"


def _done(asker: Asker, kept: PlanImport, document: dict[str, Any]) -> None:
    kept.content, kept.result, kept.imported_at = None, document, timezone.now()
    kept.save()
    audit.record(asker, action="import_plan", subject=kept, after={"rows": document["words"], "sha256": kept.sha256})
