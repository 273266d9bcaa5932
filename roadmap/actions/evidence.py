"""Files as evidence of a milestone: adding and removing them."""

from __future__ import annotations

import hashlib

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext

from accounts.access import Asker, can
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.changes import record, require
from roadmap.models import EvidenceContent, EvidenceFile, GateDecision, Milestone
from roadmap.rules.evidence import MEBIBYTE, MOST_BYTES_A_MILESTONE, clean_name, kind_of


@transaction.atomic
def add_evidence(asker: Asker, milestone: Milestone, *, name: str, data: bytes) -> EvidenceFile:
    """Keeps a file with a milestone. The same bytes twice are refused; the name is cleaned, the bytes never opened."""
    roadmap = milestone.phase.roadmap
    require(asker, Role.CONTRIBUTOR, roadmap)
    name = clean_name(name)
    kind = kind_of(name, data)
    # One upload of a milestone after the other, so that the sum holds.
    Milestone.objects.select_for_update().get(pk=milestone.pk)
    sha256 = hashlib.sha256(data).hexdigest()
    same = EvidenceFile.objects.filter(milestone=milestone, sha256=sha256).first()
    if same is not None:
        raise RuleViolation(
            "conflict_same_file", gettext("This file is here already, as '%(name)s'.") % {"name": same.name}, "file"
        )
    held = EvidenceFile.objects.filter(milestone=milestone).aggregate(sum=Sum("size"))["sum"] or 0
    if held + len(data) > MOST_BYTES_A_MILESTONE:
        most = MOST_BYTES_A_MILESTONE // MEBIBYTE
        raise RuleViolation(
            "too_much",
            gettext("The files of a milestone have at most %(most)s MiB together. Remove one that is not needed.")
            % {"most": most},
            "file",
        )
    file = EvidenceFile.objects.create(
        milestone=milestone,
        name=name,
        kind=kind,
        size=len(data),
        sha256=sha256,
        added_by=asker.user,
        added_by_name=asker.user.display_name,
    )
    EvidenceContent.objects.create(file=file, data=data)
    record(asker, "add_evidence", file, roadmap, None, _facts(file, milestone))
    return file


@transaction.atomic
def remove_evidence(asker: Asker, file: EvidenceFile) -> None:
    """Gone with its bytes: by who added it or a manager. Name and SHA-256 stay on the audit trail.

    Raises RuleViolation where a decision's evidence names it.
    """
    milestone = file.milestone
    roadmap = milestone.phase.roadmap
    require(asker, Role.CONTRIBUTOR, roadmap)
    if not may_remove(asker, file):
        raise PermissionDenied(gettext("Only who added a file, or a manager, removes it."))
    if is_frozen(file):
        raise RuleViolation(
            "conflict_frozen", gettext("A decision rests on this file: it stays as long as the roadmap.")
        )
    record(asker, "remove_evidence", file, roadmap, _facts(file, milestone), None)
    file.delete()


def is_frozen(file: EvidenceFile) -> bool:
    """Whether the evidence of a decision names the file."""
    named = [{"files": [{"sha256": file.sha256}]}]
    decisions = GateDecision.objects.filter(gate__phase__roadmap=file.milestone.phase.roadmap_id)
    return decisions.filter(evidence__criteria__contains=named).exists()


def may_remove(asker: Asker, file: EvidenceFile) -> bool:
    """Who added it while they contribute, and managers of the roadmap."""
    workload = file.milestone.phase.roadmap.workload
    is_own = file.added_by_id == asker.user.pk and can(asker, Role.CONTRIBUTOR, workload)
    return is_own or can(asker, Role.MANAGER, workload)


def _facts(file: EvidenceFile, milestone: Milestone) -> dict[str, object]:
    return {"milestone": milestone.name, "size": file.size, "sha256": file.sha256}
