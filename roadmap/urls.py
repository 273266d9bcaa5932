"""Pages of roadmaps, phases, gates and reports."""

from django.urls import URLPattern, URLResolver, include, path

import web.file_tables  # noqa: F401  says what 'file_form' in an address is, by being imported
from roadmap.views import calendars, demo, me, phase, portfolio, reports, spend, templates

urlpatterns: list[URLPattern | URLResolver] = [
    path("", portfolio.portfolio_page, name="portfolio"),
    path("me/", me.my_week_page, name="my_week"),
    path("me/calendar/", calendars.calendar_addresses, name="calendar_addresses"),
    path("me/calendar/<int:pk>/renew/", calendars.calendar_renew, name="calendar_renew"),
    path("me/calendar/<int:pk>/revoke/", calendars.calendar_revoke, name="calendar_revoke"),
    path("calendar/<str:secret>.ics", calendars.calendar_file, name="calendar_file"),
    path("portfolio.<file_form:form>", portfolio.portfolio_file, name="portfolio_file"),
    path("spend/", spend.spend, name="spend"),
    path("spend/moved/", spend.spend_moved, name="spend_moved"),
    path("spend/reconcile/", spend.spend_reconcile, name="spend_reconcile"),
    path("spend/unallocated/", spend.spend_unallocated, name="spend_unallocated"),
    path("spend/idle/", spend.spend_idle, name="spend_idle"),
    path("spend/prices/", spend.spend_prices, name="spend_prices"),
    path("spend/anomalies/", spend.spend_anomalies, name="spend_anomalies"),
    path("spend/spend.csv", spend.spend_csv, name="spend_csv"),
    path("spend/spend.xlsx", spend.spend_xlsx, name="spend_xlsx"),
    path("spend/focus.csv", spend.spend_focus, name="spend_focus"),
    path("", include("roadmap.notice_urls")),
    path("", include("roadmap.plan_urls")),
    path("settings/templates/", templates.templates, name="templates"),
    path("settings/templates/<slug:slug>/", templates.template, name="template"),
    path("settings/templates/<slug:slug>/template.yaml", templates.template_yaml, name="template_yaml"),
    path("settings/templates/<slug:slug>/retire/", templates.template_retire, name="template_retire"),
    path("settings/demo/", demo.demo_page, name="demo"),
    path("settings/demo/remove/", demo.demo_remove, name="demo_remove"),
    path("reports/", reports.reports, name="reports"),
    path("reports/close/", reports.report_close, name="report_close"),
    path("reports/<uuid:uuid>/", reports.report, name="report"),
    path("reports/<uuid:uuid>/report.<slug:kind>", reports.report_file, name="report_file"),
    path("roadmaps/<slug:slug>/dashboard/", phase.present_phase, name="roadmap_dashboard"),
    path("roadmaps/<slug:slug>/<slug:kind>/", phase.phase, name="phase"),
]
