"""REST addresses of roadmaps, phases, gates and reports, under /api/v1/."""

from django.urls import URLPattern, URLResolver, include, path

from roadmap.api import (
    dashboard,
    fiscal_year,
    me,
    report_comparison,
    report_life,
    report_links,
    report_mail,
    reports,
    spend,
    templates,
    usage,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("roadmap.api.plan_urls")),
    path("fiscal-year", fiscal_year.FiscalYearView.as_view(), name="api_fiscal_year"),
    path("report-subscribers/", report_mail.SubscriberList.as_view(), name="api_report_subscribers"),
    path("report-subscribers/<uuid:uuid>/", report_mail.SubscriberDetail.as_view(), name="api_report_subscriber"),
    path("reports/", reports.ReportList.as_view(), name="api_reports"),
    path("reports/close/", report_life.CloseMonth.as_view(), name="api_close_month"),
    path("reports/<uuid:uuid>/", reports.ReportDetail.as_view(), name="api_report"),
    path("reports/<uuid:uuid>/words/", report_life.ReportWordsView.as_view(), name="api_report_words"),
    path("reports/<uuid:uuid>/publish/", report_life.ReportPublish.as_view(), name="api_report_publish"),
    path("reports/<uuid:uuid>/revise/", report_life.ReportRevise.as_view(), name="api_report_revise"),
    path("reports/<uuid:uuid>/report.<slug:kind>", reports.ReportFileView.as_view(), name="api_report_file"),
    path("reports/compare/", report_comparison.ReportComparison.as_view(), name="api_report_comparison"),
    path(
        "reports/compare/comparison.<slug:kind>",
        report_comparison.ReportComparisonFile.as_view(),
        name="api_report_comparison_file",
    ),
    path("reports/<uuid:uuid>/links/", report_links.ReportLinkList.as_view(), name="api_report_links"),
    path("reports/<uuid:uuid>/links/<int:pk>", report_links.ReportLinkDetail.as_view(), name="api_report_link"),
    # GET reads by roadmaps and phases; POST is the push of metrics.api.usage.
    path("usage", usage.UsageView.as_view(), name="api_usage"),
    path("spend", spend.SpendReadView.as_view(), name="api_spend"),
    path("phases/<int:pk>/dashboard", dashboard.PhaseDashboardView.as_view(), name="api_phase_dashboard"),
    path("me", me.MyWeekView.as_view(), name="api_my_week"),
    path("portfolio", dashboard.PortfolioView.as_view(), name="api_portfolio"),
    path("templates/", templates.TemplateList.as_view(), name="api_templates"),
    path("templates/<slug:slug>", templates.TemplateDetail.as_view(), name="api_template"),
    path("templates/<slug:slug>/yaml", templates.TemplateYaml.as_view(), name="api_template_yaml"),
]
