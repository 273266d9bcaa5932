"""The metrics app: what inference did and what it cost."""

from pathlib import Path

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    name = "metrics"
    verbose_name = "Usage"

    def ready(self) -> None:
        """Offer the operator's presets, too; what is wrong with them a system check says (config/checks.py)."""
        from django.conf import settings  # noqa: PLC0415

        from metrics.connectors.presets.catalogue import use_folder  # noqa: PLC0415

        use_folder(Path(settings.PRESET_FOLDER) if settings.PRESET_FOLDER else None)
