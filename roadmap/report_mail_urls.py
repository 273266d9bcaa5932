"""Pages of reports by mail."""

from django.urls import path

from roadmap.views import report_unsubscribe

urlpatterns = [
    path("reports/unsubscribe/<str:token>/", report_unsubscribe.report_unsubscribe, name="report_unsubscribe"),
]
