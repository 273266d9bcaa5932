"""What instrumentations call operations, providers and service tiers, in our words: OpenTelemetry's newest names.

Sources: OpenTelemetry's GenAI conventions (both generations), `opentelemetry-semantic-conventions-ai` 0.5.1
(Traceloop), `openinference-semantic-conventions` 0.1.42. Holds no Django, no clock and no settings.
"""

from __future__ import annotations

from metrics.usage import STEP_OPERATIONS

INFERENCE_OPERATIONS = frozenset({"chat", "generate_content", "text_completion", "embeddings"})

# gen_ai.operation.name, and Traceloop's llm.request.type. What is not here is not about inference.
OPERATIONS = {
    **{name: name for name in INFERENCE_OPERATIONS | STEP_OPERATIONS},
    "completion": "text_completion",
    "embedding": "embeddings",
    "llm_request": "chat",
    "vector_db_retrieve": "retrieval",
    "rerank": "retrieval",
}
# openinference.span.kind
OPENINFERENCE_KINDS = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "AGENT": "invoke_agent",
    "CHAIN": "invoke_workflow",
    "TOOL": "execute_tool",
    "RETRIEVER": "retrieval",
    "RERANKER": "retrieval",
}
# traceloop.span.kind
TRACELOOP_KINDS = {
    "agent": "invoke_agent",
    "workflow": "invoke_workflow",
    "task": "execute_task",
    "tool": "execute_tool",
}
# Names of providers before gen_ai.provider.name, and OpenInference's llm.provider and llm.system.
_PROVIDERS = {
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "gcp": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
# What OpenAI and Anthropic call the tier that everybody gets.
_STANDARD_TIERS = frozenset({"default", "auto", "standard", "standard_only", ""})


def provider_name(text: str) -> str:
    """OpenTelemetry's name of a provider, for any of the names in use."""
    plain = text.strip().lower()
    return _PROVIDERS.get(plain, plain)


def service_tier(text: str) -> str | None:
    """The tier, None for the one that everybody gets."""
    plain = text.strip().lower()
    return None if plain in _STANDARD_TIERS else plain
