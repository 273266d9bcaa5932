"""The words of a manager for a month: asked for before it is published, changed until then."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.access import Asker, can
from accounts.audit import NAME_LENGTH
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.changes import record
from roadmap.models import Report, ReportWords
from roadmap.models.report_words import LONGEST_ACTION, LONGEST_WORDS
from roadmap.rules.moved import CAUSES
from roadmap.rules.report_life import day_of_life, is_provisional


class WordsChanged(RuleViolation):
    """Somebody else saved words since these were opened; `held` is what is saved now. Nothing was overwritten."""

    def __init__(self, held: ReportWords) -> None:
        text = _("%(name)s has changed the words since you opened them. Yours are not saved yet.")
        super().__init__("words_changed", text % {"name": held.changed_by_name or _("Somebody")})
        self.held = held


def may_give_words(asker: Asker, report: Report) -> bool:
    """Managers of the roadmap; reports of programmes and the portfolio have no words of their own."""
    return report.roadmap is not None and can(asker, Role.MANAGER, report.roadmap.workload)


def give_words(
    asker: Asker, report: Report, *, text: str, next_actions: Mapping[str, str], is_ready: bool, version: int
) -> ReportWords:
    """Saves the words of a report that is not published. `version`: the one that was changed, 0 for the first.

    `next_actions`: a sentence for each cause of change (`roadmap.rules.moved.CAUSES`). Raises WordsChanged where
    another version was saved since, RuleViolation for what is too long or of no cause, and once it is published.
    """
    if not may_give_words(asker, report) or report.roadmap is None:
        raise PermissionDenied(_("Only a manager of the roadmap gives a report its words."))
    given = {"text": _said(text), "next_actions": _actions(next_actions), "is_ready": is_ready}
    with transaction.atomic():
        row = Report.objects.select_for_update(of=("self",)).get(pk=report.pk)
        if row.is_published:
            raise RuleViolation("already_published", _("The report is published; its words stay as they are."))
        words = ReportWords.objects.filter(report=row).first() or ReportWords(report=row)
        if words.version != version:
            raise WordsChanged(words)
        changed = [name for name, value in given.items() if getattr(words, name) != value]
        before = {name: getattr(words, name) for name in changed}
        for name in changed:
            setattr(words, name, given[name])
        words.version += 1
        words.changed_at, words.changed_by, words.changed_by_name = (
            timezone.now(),
            asker.user,
            asker.name[:NAME_LENGTH],
        )
        words.save()
        complete = is_provisional(
            row.gaps,
            is_ready=is_ready,
            today=timezone.localdate(),
            provisional_on=day_of_life(row.month, settings.REPORT_PROVISIONAL_DAY),
        )
        # Before it was drawn for the first time, nothing is known of its gaps.
        row.state = Report.State.PROVISIONAL if complete and (is_ready or row.drawn_at) else Report.State.DRAFT
        row.save(update_fields=["state"])
        record(asker, "give_report_words", row, report.roadmap, before, {name: given[name] for name in changed})
    return words


def _said(text: str) -> str:
    said = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").strip().split("\n"))
    if len(said) > LONGEST_WORDS:
        raise RuleViolation("too_long", _too_long(LONGEST_WORDS), "text")
    return said


def _actions(actions: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for cause, sentence in actions.items():
        if cause not in CAUSES:
            text = _("'%(cause)s' is nothing that spend moves by.") % {"cause": cause}
            raise RuleViolation("unknown_cause", text, "next_actions")
        said = " ".join(sentence.split())
        if len(said) > LONGEST_ACTION:
            raise RuleViolation("too_long", _too_long(LONGEST_ACTION), f"next_{cause}")
        if said:
            found[cause] = said
    return found


def _too_long(most: int) -> str:
    return _("Say it in at most %(count)d characters.") % {"count": most}
