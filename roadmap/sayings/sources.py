"""What would fill a measure that nothing fills."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from roadmap.saying import Words, words

SAYINGS: dict[str, Words] = {
    "needs_usage": words(_("Connect a backend or push usage.")),
    "needs_backend_or_entry": words(_("Connect a backend or add a cost entry.")),
    "needs_tokens_and_price": words(
        _("Needs input and output tokens, and a price, a rate card or a provider's statement.")
    ),
    "needs_requests_and_price": words(_("Needs requests, and a price, a rate card or a provider's statement.")),
    "needs_output_tokens_and_price": words(
        _("Needs output tokens, and a price, a rate card or a provider's statement.")
    ),
    "needs_units_and_cost": words(_("Push 'units' with each record, and its 'cost' or connect the backend.")),
    "needs_units": words(_("Push 'units' with each record.")),
    "needs_gpu_with_rate_card": words(_("Needs a GPU backend with a rate card.")),
    "needs_output_tokens": words(_("Needs a source of output tokens.")),
    "needs_cached_tokens": words(_("Needs a source of cached input tokens.")),
    "needs_busy_seconds": words(
        _("Needs GPU busy seconds: connect Prometheus with DCGM, or push 'gpu_busy_seconds'; and a rate card.")
    ),
    "needs_energy": words(_("Push 'energy_wh', or connect a source that reports it.")),
    "needs_errors": words(_("Needs a source of errors.")),
    "needs_quality": words(_("Push 'quality' scores of an evaluation with the records.")),
    "needs_guardrails": words(
        _("Push the guardrail's counts with the records: 'blocked', 'overridden', 'false_alarms'.")
    ),
    "needs_latency": words(
        _("Needs a source of latency: a gateway, a server's /metrics with histograms, OpenTelemetry, or a push.")
    ),
    "needs_value_kpi": words(_("Needs a value KPI whose readings are summed, and its readings.")),
}
