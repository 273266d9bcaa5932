"""Settings, URLs, Celery: what wires the apps together. No app imports this package."""

from config import checks
from config.celery import app as celery_app

__all__ = ["celery_app", "checks"]
