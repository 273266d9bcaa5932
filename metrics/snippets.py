"""What a team pastes to send its first record, filled in with this address and this token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from metrics.words import N_

NO_TOKEN = "<make a token first>"  # noqa: S105 - stands where a token will


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way of sending: a title, a sentence, and the text to paste."""

    slug: str
    title: str
    hint: str
    text: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where each kind of sender sends to: absolute, without a slash at the end."""

    usage: str
    litellm: str
    otlp: str
    prometheus: str


def snippets(addresses: Addresses, *, token: str, at: datetime) -> list[Snippet]:
    """One for each way of sending. `at` is the time of the example record, aware UTC."""
    return [
        Snippet(
            "curl", "curl", N_("Paste it into a terminal: one record arrives, timed now."), curl(addresses, token, at)
        ),
        Snippet("python", "Python", N_("Needs nothing but Python's standard library."), _python(addresses, token)),
        Snippet("node", "Node", N_("Needs Node 18 or newer."), _node(addresses, token)),
        Snippet(
            "opentelemetry",
            "OpenTelemetry",
            N_(
                "Variables of a program that is instrumented with OpenTelemetry's GenAI conventions, Traceloop or "
                "OpenInference. Nothing else changes."
            ),
            _otel_variables(addresses, token),
        ),
        Snippet(
            "collector",
            "OpenTelemetry Collector",
            N_("An exporter for the Collector's configuration, and the pipelines that use it."),
            _collector(addresses, token),
        ),
        Snippet(
            "litellm",
            "LiteLLM",
            N_("Goes into the proxy's config.yaml; each request arrives some seconds after it ended."),
            _litellm(addresses, token),
        ),
        Snippet(
            "prometheus",
            "Prometheus",
            N_(
                "Goes into prometheus.yml, where Phaseline may not call your servers: your Prometheus writes what it "
                "scrapes of vLLM. Counting starts with the first samples."
            ),
            _prometheus(addresses, token),
        ),
        Snippet(
            "csv",
            "CSV",
            N_("Sends a file usage.csv, one record a row; the header names the fields of a record."),
            _csv(addresses, token, at),
        ),
    ]


def curl(addresses: Addresses, token: str, at: datetime) -> str:
    """A command that sends one record of a request that ended at `at`."""
    record = (
        f'{{"timestamp": "{at:%Y-%m-%dT%H:%M:%SZ}", "provider": "openai", "model": "gpt-4o-mini", '
        '"input_tokens": 812, "output_tokens": 164, "duration_ms": 1840}'
    )
    return (
        f"curl -sS {addresses.usage} \\\n"
        f"  -H 'Authorization: Bearer {token}' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{{\"records\": [{record}]}}'"
    )


def _python(addresses: Addresses, token: str) -> str:
    return f'''import json, urllib.request
from datetime import datetime, timezone

record = {{
    "timestamp": datetime.now(timezone.utc).isoformat(),
    "provider": "openai",
    "model": "gpt-4o-mini",
    "input_tokens": 812,
    "output_tokens": 164,
    "duration_ms": 1840,
}}
request = urllib.request.Request(
    "{addresses.usage}",
    data=json.dumps({{"records": [record]}}).encode(),
    headers={{"Authorization": "Bearer {token}", "Content-Type": "application/json"}},
)
print(urllib.request.urlopen(request).read().decode())
'''


def _node(addresses: Addresses, token: str) -> str:
    return f"""const record = {{
  timestamp: new Date().toISOString(),
  provider: "openai",
  model: "gpt-4o-mini",
  input_tokens: 812,
  output_tokens: 164,
  duration_ms: 1840,
}};
fetch("{addresses.usage}", {{
  method: "POST",
  headers: {{ Authorization: "Bearer {token}", "Content-Type": "application/json" }},
  body: JSON.stringify({{ records: [record] }}),
}}).then(async (answer) => console.log(answer.status, await answer.text()));
"""


def _otel_variables(addresses: Addresses, token: str) -> str:
    # The specification has header values percent-encoded: a space is %20.
    return f"""export OTEL_EXPORTER_OTLP_ENDPOINT={addresses.otlp}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20{quote(token, safe="")}
"""


def _collector(addresses: Addresses, token: str) -> str:
    return f"""receivers:
  otlp:
    protocols:
      http:
        endpoint: localhost:4318
      grpc:
        endpoint: localhost:4317

exporters:
  otlphttp/phaseline:
    endpoint: {addresses.otlp}
    headers:
      Authorization: "Bearer {token}"

service:
  pipelines:
    metrics:
      receivers: [otlp]
      exporters: [otlphttp/phaseline]
    traces:
      receivers: [otlp]
      exporters: [otlphttp/phaseline]
"""


def _litellm(addresses: Addresses, token: str) -> str:
    return f"""litellm_settings:
  callbacks: ["phaseline"]
  # Keeps prompts and answers out of all callbacks. Phaseline reads none of them either way.
  turn_off_message_logging: true

callback_settings:
  phaseline:
    callback_type: generic_api
    endpoint: {addresses.litellm}
    headers:
      Authorization: "Bearer {token}"
    # Without retries LiteLLM forgets what it could not deliver; these reach over four minutes.
    max_retries: 8
    retry_delay: 1
"""


def _prometheus(addresses: Addresses, token: str) -> str:
    return f"""remote_write:
  - url: {addresses.prometheus}?preset=vllm
    authorization:
      credentials: {token}
    # Of all that is scraped, what is read of vLLM; docs/push.md has the line for other servers.
    write_relabel_configs:
      - source_labels: [__name__]
        regex: vllm[:_](request_success|prompt_tokens|generation_tokens|.*prefix_cache_hits|e2e_request|time_|inter_).*
        action: keep
    queue_config:
      max_samples_per_send: 2000
      batch_send_deadline: 30s
"""


def _csv(addresses: Addresses, token: str, at: datetime) -> str:
    return f"""cat > usage.csv <<'END'
timestamp,provider,model,requests,input_tokens,output_tokens,cost,currency,labels.team
{at:%Y-%m-%dT%H:%M:%SZ},openai,gpt-4o-mini,1200,960000,210000,0.27,USD,claims
END
curl -sS {addresses.usage} \\
  -H 'Authorization: Bearer {token}' \\
  -H 'Content-Type: text/csv' \\
  --data-binary @usage.csv
"""
