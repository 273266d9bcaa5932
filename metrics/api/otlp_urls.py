"""Addresses under /otlp/v1/, as OpenTelemetry's exporters make them from OTEL_EXPORTER_OTLP_ENDPOINT."""

from django.urls import URLPattern, path

from metrics.api.otlp import export_view
from metrics.otlp_messages import Signal

urlpatterns: list[URLPattern] = [
    path(str(signal), export_view(signal).as_view(), name=f"otlp_{signal}") for signal in Signal
]
