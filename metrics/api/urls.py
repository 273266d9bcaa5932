"""REST addresses under /api/v1/."""

from django.urls import URLPattern, path

from metrics.api.receipts import ReceiptListView, ReceiptReverseView, ReceiptView
from metrics.api.usage import UsageView

urlpatterns: list[URLPattern] = [
    path("usage", UsageView.as_view(), name="api_usage"),
    path("receipts/", ReceiptListView.as_view(), name="api_receipts"),
    path("receipts/<uuid:uuid>", ReceiptView.as_view(), name="api_receipt"),
    path("receipts/<uuid:uuid>/reverse", ReceiptReverseView.as_view(), name="api_receipt_reverse"),
]
