"""REST addresses under /api/v1/."""

from django.urls import path

from accounts.api import schema  # noqa: F401  says how one signs in, by being imported
from accounts.api.tokens import TokenListView, TokenView
from accounts.api.trail import AuditTrailView

urlpatterns = [
    path("audit/", AuditTrailView.as_view(), name="api_audit"),
    path("tokens/", TokenListView.as_view(), name="api_tokens"),
    path("tokens/<int:pk>/", TokenView.as_view(), name="api_token"),
]
