"""REST addresses under /api/v1/."""

from django.urls import URLPattern, path

from metrics.api import backends, imports, prices, rules, series
from metrics.api.receipts import ReceiptListView, ReceiptReverseView, ReceiptView
from metrics.api.remote_write import RemoteWriteView
from metrics.api.usage import LiteLLMView

urlpatterns: list[URLPattern] = [
    path("backends/", backends.BackendListView.as_view(), name="api_backends"),
    path("backends/test", backends.BackendTestView.as_view(), name="api_backend_test"),
    path("backends/discover", backends.CandidatesView.as_view(), name="api_backend_discover"),
    path("backends/<slug:slug>/", backends.BackendView.as_view(), name="api_backend"),
    path("backends/<slug:slug>/pulls", backends.BackendPullsView.as_view(), name="api_backend_pulls"),
    path("backends/<slug:slug>/link", backends.BackendLinkView.as_view(), name="api_backend_link"),
    path("backends/<slug:slug>/backfill", backends.BackendBackfillView.as_view(), name="api_backend_backfill"),
    path("backends/<slug:slug>/rate-cards/", prices.RateCardListView.as_view(), name="api_rate_cards"),
    path("backends/<slug:slug>/rate-cards/<int:pk>/", prices.RateCardView.as_view(), name="api_rate_card"),
    path("prices/reprice", prices.RepriceView.as_view(), name="api_reprice"),
    path("prices/", prices.OwnPriceListView.as_view(), name="api_own_prices"),
    path("prices/<int:pk>/", prices.OwnPriceView.as_view(), name="api_own_price"),
    path("rules/", rules.RuleListView.as_view(), name="api_rules"),
    path("rules/order", rules.RuleOrderView.as_view(), name="api_rules_order"),
    path("rules/preview", rules.RulePreviewView.as_view(), name="api_rules_preview"),
    path("rules/<int:pk>/", rules.RuleView.as_view(), name="api_rule"),
    path("series/", series.SeriesListView.as_view(), name="api_series"),
    path("series/<int:pk>/allocation", series.AllocationView.as_view(), name="api_series_allocation"),
    path(
        "series/<int:pk>/allocation/by-rules",
        series.AllocationByRulesView.as_view(),
        name="api_series_allocation_by_rules",
    ),
    path("series/<int:pk>/through", series.ThroughView.as_view(), name="api_series_through"),
    path("imports", imports.ImportListView.as_view(), name="api_imports"),
    path("imports/<uuid:uuid>", imports.ImportView.as_view(), name="api_import"),
    path("imports/<uuid:uuid>/confirm", imports.ImportConfirmView.as_view(), name="api_import_confirm"),
    path("look-alikes/", series.LookAlikeListView.as_view(), name="api_look_alikes"),
    path("look-alikes/<int:pk>/", series.LookAlikeView.as_view(), name="api_look_alike"),
    path("prometheus/write", RemoteWriteView.as_view(), name="api_prometheus_write"),
    path("usage/litellm", LiteLLMView.as_view(), name="api_usage_litellm"),
    path("receipts/", ReceiptListView.as_view(), name="api_receipts"),
    path("receipts/<uuid:uuid>", ReceiptView.as_view(), name="api_receipt"),
    path("receipts/<uuid:uuid>/reverse", ReceiptReverseView.as_view(), name="api_receipt_reverse"),
]
