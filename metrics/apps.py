"""The metrics app: what inference did and what it cost."""

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    name = "metrics"
    verbose_name = "Usage"
