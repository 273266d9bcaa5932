"""The kinds of backend to pull from, in the order of the offer. A new one is a file here and a line below."""

from __future__ import annotations

from metrics.connector import Connector
from metrics.connectors.anthropic import Anthropic
from metrics.connectors.azure_openai import AzureOpenAI
from metrics.connectors.bedrock import Bedrock
from metrics.connectors.langfuse import Langfuse
from metrics.connectors.litellm import LiteLLM
from metrics.connectors.metrics_endpoint import MetricsEndpoint
from metrics.connectors.openai import OpenAI
from metrics.connectors.openrouter import OpenRouter
from metrics.connectors.prometheus_server import PrometheusServer
from metrics.connectors.vertex import VertexAI
from metrics.errors import RuleViolation
from metrics.words import phrase

REGISTRY: tuple[type[Connector], ...] = (
    MetricsEndpoint,
    PrometheusServer,
    OpenAI,
    Anthropic,
    Bedrock,
    AzureOpenAI,
    VertexAI,
    LiteLLM,
    OpenRouter,
    Langfuse,
)


def connector_for(kind: str) -> type[Connector]:
    """Return the connector of this kind. Raises RuleViolation."""
    for connector in REGISTRY:
        if connector.kind == kind:
            return connector
    raise RuleViolation("unknown_connector", phrase("There is no connector of the kind %(kind)s.", kind=kind), "kind")
