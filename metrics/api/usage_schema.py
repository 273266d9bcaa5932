"""What the OpenAPI pages say of pushing usage: the fields of a record, examples, answers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from metrics.format import TAKES

_HISTOGRAM = {
    "type": "object",
    "required": ["bounds_ms", "counts"],
    "properties": {
        "bounds_ms": {"type": "array", "items": {"type": "number", "minimum": 0, "exclusiveMinimum": True}},
        "counts": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    },
}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**12}
_AMOUNT = {"type": "number", "minimum": 0, "maximum": 10**12}
_MILLISECONDS = {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 86_400_000}
_TYPES: dict[str, dict[str, Any]] = {
    "timestamp": {"type": "string", "format": "date-time"},
    "model": {"type": "string", "minLength": 1, "maxLength": 200},
    "provider": {"type": "string", "maxLength": 60, "default": "unknown"},
    "operation": {"type": "string", "maxLength": 60, "default": "chat"},
    "service_tier": {"type": "string", "maxLength": 40, "default": "standard"},
    "requests": {"type": "integer", "minimum": 1, "maximum": 10**12, "default": 1},
    "errors": {**_COUNT, "default": 0},
    **dict.fromkeys(("roadmap", "backend", "error_type", "id"), {"type": "string"}),
    **dict.fromkeys(("units", "gpu_busy_seconds", "energy_wh", "quality_sum"), _AMOUNT),
    **dict.fromkeys(("duration_ms", "time_to_first_token_ms", "inter_token_ms"), _MILLISECONDS),
    **dict.fromkeys(("duration_histogram", "time_to_first_token_histogram", "inter_token_histogram"), _HISTOGRAM),
    "cost": {"type": "string", "pattern": r"^(0|[1-9]\d{0,9})(\.\d{1,10})?$"},
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "quality": {"type": "number", "minimum": 0, "maximum": 1},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 8},
}
RECORD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["timestamp", "model"],
    "additionalProperties": False,
    "properties": {
        name: {**_TYPES.get(name, _COUNT), "description": takes.capitalize() + "."} for name, takes in TAKES.items()
    },
}
_RECORD = {
    "timestamp": "2026-11-22T14:00:00Z",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "input_tokens": 812,
    "cached_input_tokens": 512,
    "output_tokens": 164,
    "duration_ms": 1840,
    "time_to_first_token_ms": 310,
    "id": "chatcmpl-9f2",
    "labels": {"team": "claims", "environment": "production"},
}
_ANSWER = {
    "receipt": "5b0f6f0e-4f0e-4f8c-9a53-0c6f2f1b9a10",
    "accepted": 1,
    "duplicates": 0,
    "rejected": [],
    "warnings": [],
    "not_priced": 0,
    "see": "https://phaseline.example.org/roadmaps/claims/dashboard/",
}
_PROBLEM = {
    "type": "urn:phaseline:malformed",
    "title": "Bad request",
    "status": 400,
    "detail": "The body is not JSON: Input data was truncated.",
    "code": "malformed",
}


class RejectedSerializer(serializers.Serializer[Any]):
    """Why a record does not count; `index` is its place in the push, from 0."""

    index = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()


class WarningSerializer(serializers.Serializer[Any]):
    """What was done with some records other than they may expect."""

    code = serializers.CharField()
    detail = serializers.CharField()
    records = serializers.IntegerField()


class PushAnswerSerializer(serializers.Serializer[Any]):
    """What a push is answered."""

    receipt = serializers.UUIDField()
    accepted = serializers.IntegerField(help_text="Records that count from now on.")
    duplicates = serializers.IntegerField(help_text="Records whose id was counted before.")
    rejected = RejectedSerializer(many=True)
    warnings = WarningSerializer(many=True)
    not_priced = serializers.IntegerField(help_text="Accepted records that no price is known for.")
    see = serializers.URLField(help_text="Where the figures show.")


class ProblemErrorSerializer(serializers.Serializer[Any]):
    """What is wrong with one part of a request."""

    pointer = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """An RFC 9457 problem document."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    errors = ProblemErrorSerializer(many=True, required=False)  # type: ignore[assignment]


def problem_answer(description: str) -> OpenApiResponse:
    """A problem document, described."""
    return OpenApiResponse(ProblemSerializer, description)


_DOCUMENT = {
    "type": "object",
    "required": ["records"],
    "properties": {"records": {"type": "array", "items": RECORD_SCHEMA, "minItems": 1, "maxItems": 10_000}},
}

PUSH_SCHEMA: dict[str, Any] = {
    "operation_id": "push_usage",
    "tags": ["usage"],
    "summary": "Push usage records",
    "description": (
        'One document `{"records": [...]}`, or one record a line as `application/x-ndjson`, or rows of '
        "`text/csv`, whose columns are the fields; gzip accepted. 1 to 10,000 "
        "records and 16 MiB decoded a request. One bad record never loses the others. The answer is sent after the "
        "commit. The same body again within 24 hours, or the same `Idempotency-Key`, gets the first answer."
    ),
    "parameters": [
        OpenApiParameter(
            "Idempotency-Key",
            str,
            OpenApiParameter.HEADER,
            required=False,
            description="1 to 255 characters, kept 24 hours. Without it the digest of the body stands in.",
        ),
        OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, required=False, enum=["gzip"]),
    ],
    "request": {
        "application/json": _DOCUMENT,
        "application/x-ndjson": RECORD_SCHEMA,
        "text/csv": {"type": "string", "description": "A header of field names in any order, then one record a row."},
    },
    "responses": {
        201: OpenApiResponse(
            PushAnswerSerializer, "Counted. `Location` is the receipt; `Idempotency-Replayed: true` on a repeat."
        ),
        400: problem_answer("The body cannot be read: malformed, empty, truncated, broken gzip."),
        401: problem_answer("No token, or one that is unknown, revoked or expired."),
        403: problem_answer("The token lacks the scope `push`."),
        409: problem_answer("The same key is being worked on; `Retry-After: 1`."),
        413: problem_answer("More than 10,000 records or 16 MiB decoded."),
        415: problem_answer("Another content type or encoding."),
        422: problem_answer(
            "Every record was rejected and nothing is remembered, or the key was used for another body."
        ),
        429: problem_answer("Too many pushes of this token in flight; see `Retry-After`."),
        503: problem_answer("The database does not answer; see `Retry-After`."),
    },
    "examples": [
        OpenApiExample("One request", value={"records": [_RECORD]}, request_only=True, media_type="application/json"),
        OpenApiExample(
            "A sum of an hour",
            value={
                "records": [
                    {
                        "timestamp": "2026-11-22T14:59:59Z",
                        "provider": "vllm",
                        "model": "llama-3.1-8b",
                        "requests": 1200,
                        "errors": 3,
                        "input_tokens": 960_000,
                        "output_tokens": 210_000,
                        "duration_histogram": {"bounds_ms": [500, 1000, 2000], "counts": [220, 610, 340, 27]},
                    }
                ]
            },
            request_only=True,
            media_type="application/json",
        ),
        OpenApiExample("Counted", value=_ANSWER, response_only=True, status_codes=["201"]),
        OpenApiExample(
            "Cut off", value=_PROBLEM, response_only=True, status_codes=["400"], media_type="application/json"
        ),
    ],
}

LITELLM_SCHEMA: dict[str, Any] = {
    **PUSH_SCHEMA,
    "operation_id": "push_litellm",
    "summary": "Post from a LiteLLM proxy",
    "description": (
        "What LiteLLM's `generic_api` callback posts: a list of its standard logging payloads (or one a line). "
        "Prompts, answers and users are not read. A request is told from its repeats by its id. Answers are those of "
        "pushed records; LiteLLM sends again only after a 5xx, so that 409 and 429 are 503 here."
    ),
    "request": {
        "application/json": {
            "type": "array",
            "minItems": 1,
            "maxItems": 10_000,
            "items": {
                "type": "object",
                "description": "LiteLLM's StandardLoggingPayload",
                "additionalProperties": True,
            },
        }
    },
    "examples": [OpenApiExample("Counted", value=_ANSWER, response_only=True, status_codes=["201"])],
}


class ReceiptSerializer(serializers.Serializer[Any]):
    """What became of one push or import."""

    receipt = serializers.UUIDField()
    kind = serializers.CharField()
    created_at = serializers.DateTimeField()
    roadmap = serializers.CharField(allow_null=True)
    token = serializers.CharField(allow_null=True)
    sent_by = serializers.CharField(allow_null=True)
    first_timestamp = serializers.DateTimeField(allow_null=True)
    last_timestamp = serializers.DateTimeField(allow_null=True)
    stands_for = serializers.IntegerField(help_text="More than 1: an old one that has the numbers of others of its day")
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    rejected = RejectedSerializer(many=True)
    rejected_count = serializers.IntegerField()
    warnings = WarningSerializer(many=True)
    not_priced = serializers.IntegerField()
    note = serializers.CharField(allow_blank=True)
    reverses = serializers.UUIDField(allow_null=True)
    reversed_by = serializers.UUIDField(allow_null=True)
