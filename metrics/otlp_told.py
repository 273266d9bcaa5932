"""Which metrics count what, and what the attributes of a point say. docs/push.md has the table.

An application has a few sets of attributes and sends them every minute, so that what a set says is worked out once. Of
it nothing leaves this process but what is named here: all attributes together are part of a stream's digest alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from metrics.genai import OPERATIONS, provider_name, service_tier
from metrics.otlp import BadAttribute, Values, first_of, text_of, text_of_all, wanted_values
from metrics.usage import STEP_OPERATIONS

MAX_ATTRIBUTES = 128
NO_MODEL = "no model"
TOKENS, DURATION, FIRST, BETWEEN = "tokens", "duration", "time_to_first_token", "inter_token"


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a metric counts. Generation 2 stands in for 1 where one scope sends both. `operation`: a fixed one."""

    measure: str
    is_server: bool = False
    generation: int = 0
    operation: str = ""

    @property
    def kind(self) -> str:
        """What it stands in for: one latency, or tokens."""
        return self.measure if self.measure in LATENCIES else TOKENS


_USAGE = "gen_ai.client.inference.usage."
INSTRUMENTS = {
    "gen_ai.client.token.usage": Instrument(TOKENS, generation=1),
    f"{_USAGE}input_tokens": Instrument("input_tokens", generation=2),
    f"{_USAGE}output_tokens": Instrument("output_tokens", generation=2),
    f"{_USAGE}cache_read.input_tokens": Instrument("cached_input_tokens", generation=2),
    f"{_USAGE}cache_write.input_tokens": Instrument("cache_write_input_tokens", generation=2),
    "gen_ai.client.operation.duration": Instrument(DURATION, generation=1),
    "gen_ai.client.inference.duration": Instrument(DURATION, generation=2),
    "gen_ai.client.operation.time_to_first_chunk": Instrument(FIRST, generation=1),
    "gen_ai.client.inference.time_to_first_chunk": Instrument(FIRST, generation=2),
    "gen_ai.server.request.duration": Instrument(DURATION, is_server=True),
    "gen_ai.server.time_to_first_token": Instrument(FIRST, is_server=True),
    "gen_ai.server.time_per_output_token": Instrument(BETWEEN, is_server=True),
    "gen_ai.invoke_agent.duration": Instrument(DURATION, operation="invoke_agent"),
    "gen_ai.execute_tool.duration": Instrument(DURATION, operation="execute_tool"),
    "gen_ai.invoke_workflow.duration": Instrument(DURATION, operation="invoke_workflow"),
}
LATENCIES = (DURATION, FIRST, BETWEEN)
_TOKEN_TYPES = {
    "input": "input_tokens",
    "prompt": "input_tokens",
    "output": "output_tokens",
    "completion": "output_tokens",
}
MODELS = ("gen_ai.response.model", "gen_ai.request.model")
PROVIDERS = ("gen_ai.provider.name", "gen_ai.system")
OPERATION_NAME, TOKEN_TYPE, ERROR_TYPE = "gen_ai.operation.name", "gen_ai.token.type", "error.type"
TIERS = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
READ = frozenset({*MODELS, *PROVIDERS, *TIERS, OPERATION_NAME, TOKEN_TYPE, ERROR_TYPE})


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a set of attributes says. `text`: all of them, whatever their order, for digests.

    `measure`: what such points count; "" where it is nothing of ours. `problem`: code and sentence of why they cannot.
    """

    text: bytes
    measure: str = ""
    provider: str | None = None
    model: str = ""
    operation: str = ""
    service_tier: str | None = None
    is_error: bool = False
    problem: tuple[str, str] | None = None

    @property
    def series(self) -> tuple[str | None, str, str, str | None]:
        """What of it tells series apart."""
        return self.provider, self.model, self.operation, self.service_tier


# --- What is remembered

# Of all metrics together. A set is remembered where its key is short, so that this is 20 MB at most.
MAX_REMEMBERED = 10_000
MAX_KEY_BYTES = 1_000
MAX_KEY_ATTRIBUTES = 32
_remembered: dict[str, dict[Hashable, Told]] = {name: {} for name in INSTRUMENTS}


def remembered(name: str) -> dict[Hashable, Told]:
    """What is remembered of this metric, by key. Only to be looked at."""
    return _remembered[name]


def told_of(name: str, key: tuple[bytes, ...], attributes: Callable[[], Iterable[Any]]) -> Told:
    """What the attributes say, as points of this metric; `key` stands for them all, and for no others."""
    known = _remembered[name].get(key)
    if known is not None:
        return known
    told = read(name, list(attributes()))
    if len(key) <= MAX_KEY_ATTRIBUTES and sum(map(len, key)) <= MAX_KEY_BYTES:
        if sum(map(len, _remembered.values())) >= MAX_REMEMBERED:
            for held in _remembered.values():
                held.clear()
        _remembered[name][key] = told
    return told


# --- What it says


def read(name: str, attributes: list[Any]) -> Told:
    """What the attributes (OTLP's KeyValue) say, as points of this metric."""
    text = text_of_all(attributes)
    if len(attributes) > MAX_ATTRIBUTES:
        return Told(text, problem=("too_many_attributes", f"{name}: a point has at most {MAX_ATTRIBUTES} attributes."))
    try:
        return _read(name, INSTRUMENTS[name], text, wanted_values(attributes, READ))
    except BadAttribute as bad:
        return Told(text, problem=(bad.code, bad.detail))


def _read(name: str, instrument: Instrument, text: bytes, values: Values) -> Told:
    operation = _operation(values, instrument)
    if operation is None:
        return Told(text)
    measure = instrument.measure
    if measure == TOKENS:
        token_type = text_of(values, (TOKEN_TYPE,), most=60)
        measure = _TOKEN_TYPES.get((token_type or "").lower(), "")
        if not measure:
            return Told(text)
    model = text_of(values, MODELS, most=200)
    is_error = first_of(values, (ERROR_TYPE,)) is not None
    if model is None:
        # An instrumentation may know nothing of a call that failed but that it failed.
        if operation not in STEP_OPERATIONS and not (is_error and measure == DURATION):
            raise BadAttribute("missing_model", f"{name}: {MODELS[0]} is missing, and {MODELS[1]} too.")
        model = NO_MODEL
    provider = text_of(values, PROVIDERS, most=60)
    return Told(
        text=text,
        measure=measure,
        provider=provider and provider_name(provider),
        model=model,
        operation=operation,
        service_tier=service_tier(text_of(values, TIERS, most=40) or ""),
        is_error=is_error,
    )


def _operation(values: Values, instrument: Instrument) -> str | None:
    if instrument.operation:
        return instrument.operation
    name = text_of(values, (OPERATION_NAME,), most=100)
    return "chat" if name is None else OPERATIONS.get(name.lower())
