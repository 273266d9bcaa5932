"""The accounts app: who may do what for which workload."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and access"

    def ready(self) -> None:
        from accounts.api import schema  # noqa: F401 - registers how the API's pages describe signing in
