"""The roadmap app: what was planned, promised and decided."""

from django.apps import AppConfig


class RoadmapConfig(AppConfig):
    name = "roadmap"
    verbose_name = "Roadmaps"

    def ready(self) -> None:
        """Has the sentences of its spreadsheets recognised where pages show them."""
        from metrics.kept import know
        from roadmap.imports.kept import HELP, ROWS

        know((*HELP, *ROWS))
