"""What the manager says."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.models import Role
from roadmap.actions.changes import check, record, require, text_required
from roadmap.models import Roadmap, Update


@transaction.atomic
def post_update(asker: Asker, roadmap: Roadmap, *, status: str, sentence: str) -> Update:
    """The manager's status and sentence; earlier ones stay."""
    require(asker, Role.MANAGER, roadmap)
    update = Update(
        roadmap=roadmap,
        status=status,
        sentence=text_required(sentence, field="sentence", what=gettext("a sentence")),
        author=asker.user,
        created_at=timezone.now(),
    )
    check(update)
    update.save()
    record(asker, "post_update", update, roadmap, None, {"status": status, "sentence": update.sentence})
    return update
