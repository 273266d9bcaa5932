"""`manage.py verify_decisions`: check that the evidence of each gate decision is the one its hash was made of."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from roadmap.models import GateDecision
from roadmap.queries.gate_state import is_intact


class Command(BaseCommand):
    """Exits 1 and names each decision whose evidence does not match its hash."""

    help = "Check the hash of every gate decision's evidence"

    def handle(self, *args: Any, **options: Any) -> None:
        count, bare, broken = 0, 0, 0
        for decision in GateDecision.objects.select_related("gate__phase__roadmap").iterator():
            intact = is_intact(decision)
            count += intact is not None
            bare += intact is None
            if intact is False:
                broken += 1
                self.stdout.write(f"{decision} on {decision.decided_on} ({decision.uuid}): the evidence does not match")
            elif options["verbosity"] > 1 and intact:
                self.stdout.write(f"{decision} on {decision.decided_on}: {decision.evidence_sha256}")
        later = f" {bare} recorded later have none." if bare else ""
        if broken:
            raise CommandError(f"{broken} of {count} decisions do not match their hash.{later}")
        self.stdout.write(f"{count} decisions match their hash.{later}")
