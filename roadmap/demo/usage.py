"""The demo's backends and the streams of usage that they serve."""

from decimal import Decimal

from metrics.demo import DemoBackend
from metrics.demo_streams import DEMO_MONTHS, Stream
from metrics.usage import MeasuredAt

DAYS = DEMO_MONTHS * 30
DOCUMENTS = "document-check"
CONTACT = "contact-centre-assistant"
WELDS = "weld-inspection"
CENTRE = "contact-centre"
DILIGENCE = "due-diligence"

# Months ago at which the phases of each roadmap started; the last one is running.
PHASE_STARTS = {DOCUMENTS: (27, 21, 6), CONTACT: (16, 10), WELDS: (4,)}

BACKENDS = (
    DemoBackend(
        slug="demo-litellm",
        name="LiteLLM gateway",
        connector="push_only",
        provider="openai",
        measured_at=MeasuredAt.GATEWAY,
    ),
    DemoBackend(
        slug="demo-openai",
        name="OpenAI",
        connector="openai",
        provider="openai",
        measured_at=MeasuredAt.SERVER,
        behind="demo-litellm",
        is_billed=True,
    ),
    DemoBackend(
        slug="demo-vllm-ams-1",
        name="vllm-ams-1",
        connector="metrics_endpoint",
        provider="vllm",
        measured_at=MeasuredAt.SERVER,
        hardware="NVIDIA H100",
        parameters={"preset": "vllm", "addresses": "http://vllm-ams-1.invalid:8000/metrics"},
        card={
            "kind": "rented",
            "units": Decimal(4),
            "unit_name": "NVIDIA H100",
            "currency": "USD",
            "rate_per_unit_hour": Decimal("2.49"),
        },
    ),
    DemoBackend(
        slug="demo-edge-line-3",
        name="edge-line-3",
        connector="push_only",
        provider="edge",
        measured_at=MeasuredAt.SERVER,
        hardware="NVIDIA L40S",
        purchased_days_ago=130,
        card={
            "kind": "owned",
            "units": Decimal(1),
            "unit_name": "NVIDIA L40S",
            "currency": "USD",
            "purchase_amount": Decimal("14800.00"),
            "amortisation_months": 36,
            "rated_watts": Decimal(350),
            "pue": Decimal("1.3"),
            "price_per_kwh": Decimal("0.24"),
        },
    ),
)

STREAMS = (
    # Through the gateway to OpenAI: the contact centre, its agent and tools, and the documents' hard cases.
    Stream(
        backend="demo-litellm", provider="openai", model="gpt-4.1", workload=CONTACT, team=CENTRE, seed=11,
        requests_per_day=34_000, starts_days_ago=480, growth=7.0, profile="service",
        input_tokens=2_350, output_tokens=310, cached_ratio=0.42, median_ms=3_050, median_ms_now=1_720, sigma=0.44,
        first_token_share=0.24, blocked_rate=0.006, quality=0.91, is_priced=True, measured_at="gateway",
    ),
    Stream(
        backend="demo-litellm", provider="openai", model="gpt-4.1-mini", workload=CONTACT, team=CENTRE, seed=12,
        requests_per_day=92_000, starts_days_ago=400, growth=9.0, profile="service",
        input_tokens=1_180, output_tokens=150, cached_ratio=0.35, median_ms=1_240, median_ms_now=820, sigma=0.42,
        first_token_share=0.3, blocked_rate=0.003, is_priced=True, measured_at="gateway",
    ),
    Stream(
        backend="demo-litellm", provider="openai", model="gpt-4.1", workload=CONTACT, seed=13,
        team=CENTRE, operation="invoke_agent",
        requests_per_day=5_200, starts_days_ago=150, growth=4.0, profile="service",
        median_ms=11_800, median_ms_now=8_200, sigma=0.5, error_rate=0.013, measured_at="gateway",
    ),
    Stream(
        backend="demo-litellm", provider="openai", model="gpt-4.1", workload=CONTACT, seed=14,
        team=CENTRE, operation="execute_tool",
        requests_per_day=16_400, starts_days_ago=150, growth=4.0, profile="service",
        median_ms=640, median_ms_now=420, sigma=0.7, error_rate=0.021, measured_at="gateway",
    ),
    Stream(
        backend="demo-litellm", provider="openai", model="gpt-4.1", workload=DOCUMENTS, team=DILIGENCE, seed=15,
        requests_per_day=7_800, starts_days_ago=DAYS, growth=0.55, profile="office",
        input_tokens=6_400, output_tokens=520, cached_ratio=0.2, median_ms=4_900, median_ms_now=3_900, sigma=0.4,
        first_token_share=0.22, quality=0.955, is_priced=True, measured_at="gateway",
    ),
    # What OpenAI itself reports of the same traffic: a cross-check, and the invoice.
    Stream(
        backend="demo-openai", provider="openai", model="gpt-4.1", workload=None, seed=11,
        requests_per_day=33_600, starts_days_ago=DAYS, growth=2.2, profile="service",
        input_tokens=3_620, output_tokens=379, cached_ratio=0.34, error_rate=None, is_priced=True,
    ),
    Stream(
        backend="demo-openai", provider="openai", model="gpt-4.1-mini", workload=None, seed=12,
        requests_per_day=92_000, starts_days_ago=400, growth=9.0, profile="service",
        input_tokens=1_200, output_tokens=152, cached_ratio=0.35, error_rate=None, is_priced=True,
    ),
    # The GPU server that two roadmaps share: busy by day, idle by night.
    Stream(
        backend="demo-vllm-ams-1", provider="vllm", model="llama-3.3-70b-instruct", workload=None, seed=21,
        requests_per_day=120_000, starts_days_ago=430, growth=1.8, profile="service",
        input_tokens=2_900, output_tokens=260, cached_ratio=0.31, median_ms=2_450, median_ms_now=1_480, sigma=0.38,
        first_token_share=0.2, error_rate=0.002, gpu_seconds_per_request=1.7, energy_wh_per_request=0.36, gpus=4,
        is_hourly=True,
    ),
    # Images on the factory floor, pushed by the line's own server.
    Stream(
        backend="demo-edge-line-3", provider="edge", model="weld-defects-v4", workload=WELDS, operation="classify",
        seed=31, requests_per_day=31_000, starts_days_ago=112, growth=3.5, profile="shifts",
        units_per_request=Decimal(1), median_ms=62, median_ms_now=41, sigma=0.3, error_rate=0.0015, quality=0.948,
        gpu_seconds_per_request=0.9, energy_wh_per_request=0.09, gpus=1, is_pushed=True,
    ),
)  # fmt: skip

SHARES = {
    "demo-vllm-ams-1": {DOCUMENTS: Decimal("0.65"), CONTACT: Decimal("0.25")},
    "demo-openai": {CONTACT: Decimal(1)},
}
