"""OpenAI's inference API as far as programs call it: chat (streamed or not), responses, completions, embeddings.

Each kind of request uses what `USED` says, whatever it asks. The model `limited` is refused with 429, `broken` with
500. `told` is what was said, in order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.doubles.source_server import Asked, Reply

CREATED = 1_793_491_200
# Between the request and the first piece of a stream, and between two pieces.
FIRST_AFTER, PIECE_AFTER = 0.12, 0.03
REFUSALS = {"limited": (429, "rate_limit_exceeded"), "broken": (500, "server_error")}


@dataclass(frozen=True)
class Used:
    """Tokens as OpenAI counts them: input includes cached, output includes reasoning."""

    input_tokens: int
    cached: int = 0
    output_tokens: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class Told:
    """One answer: to which path, about which model, what it was said to use (None: refused)."""

    path: str
    model: str
    used: Used | None


USED = {
    "chat": Used(812, 256, 164, 64),
    "stream": Used(1020, 512, 48),
    "responses": Used(600, 100, 90, 30),
    "completions": Used(40, 0, 16),
    "embeddings": Used(33),
}


class OpenAIInference:
    """`play` answers one request."""

    def __init__(self, *, answer: str = "Noted.") -> None:
        self.answer = answer
        self.told: list[Told] = []

    def play(self, asked: Asked) -> Reply:
        body = json.loads(asked.body or "{}")
        model, what = body.get("model", ""), asked.path.rpartition("/v1/")[2]
        if model in REFUSALS:
            self.told.append(Told(what, model, None))
            status, code = REFUSALS[model]
            message = f"{code} for what was asked: {body.get('messages') or body.get('input') or body.get('prompt')}"
            return _json({"error": {"message": message, "type": code, "code": code, "param": None}}, status)
        answers = {
            "chat/completions": self._chat,
            "responses": self._response,
            "completions": self._completion,
            "embeddings": self._embeddings,
        }
        if what not in answers:
            return Reply(status=404)
        return answers[what](model, body)

    def _tell(self, what: str, model: str, kind: str) -> Used:
        self.told.append(Told(what, model, USED[kind]))
        return USED[kind]

    def _chat(self, model: str, body: Mapping[str, Any]) -> Reply:
        common = {"id": "chatcmpl-1", "created": CREATED, "model": f"{model}-2024-07-18", "service_tier": "default"}
        if not body.get("stream"):
            usage = _chat_usage(self._tell("chat/completions", model, "chat"))
            message = {"role": "assistant", "content": self.answer, "refusal": None}
            choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
            return _json({**common, "object": "chat.completion", "choices": [choice], "usage": usage})
        used = self._tell("chat/completions", model, "stream")
        words = self.answer.split(" ")
        chunks: list[dict[str, Any]] = [_chunk(common, {"role": "assistant", "content": ""})]
        chunks += [_chunk(common, {"content": f"{word} "}) for word in words]
        chunks.append(_chunk(common, {}, finish="stop"))
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks = [{**chunk, "usage": None} for chunk in chunks]
            chunks.append({**common, "object": "chat.completion.chunk", "choices": [], "usage": _chat_usage(used)})
        pieces = [(PIECE_AFTER, f"data: {json.dumps(chunk)}\n\n".encode()) for chunk in chunks]
        pieces[0] = (FIRST_AFTER, pieces[0][1])
        pieces.append((0.0, b"data: [DONE]\n\n"))
        return Reply(headers={"Content-Type": "text/event-stream"}, pieces=tuple(pieces))

    def _response(self, model: str, body: Mapping[str, Any]) -> Reply:
        used = self._tell("responses", model, "responses")
        content = [{"type": "output_text", "text": self.answer, "annotations": []}]
        message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}
        return _json(
            {
                "id": "resp_1",
                "object": "response",
                "created_at": CREATED,
                "status": "completed",
                "model": f"{model}-2024-07-18",
                "output": [message],
                "error": None,
                "incomplete_details": None,
                "instructions": None,
                "metadata": {},
                "parallel_tool_calls": True,
                "temperature": 1.0,
                "tool_choice": "auto",
                "tools": [],
                "top_p": 1.0,
                "service_tier": "default",
                "usage": {
                    "input_tokens": used.input_tokens,
                    "input_tokens_details": {"cached_tokens": used.cached},
                    "output_tokens": used.output_tokens,
                    "output_tokens_details": {"reasoning_tokens": used.reasoning},
                    "total_tokens": used.input_tokens + used.output_tokens,
                },
            }
        )

    def _completion(self, model: str, body: Mapping[str, Any]) -> Reply:
        used = self._tell("completions", model, "completions")
        choice = {"index": 0, "text": self.answer, "finish_reason": "stop", "logprobs": None}
        document = {"id": "cmpl-1", "object": "text_completion", "created": CREATED, "model": model}
        return _json({**document, "choices": [choice], "usage": _chat_usage(used)})

    def _embeddings(self, model: str, body: Mapping[str, Any]) -> Reply:
        used = self._tell("embeddings", model, "embeddings")
        row = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}
        usage = {"prompt_tokens": used.input_tokens, "total_tokens": used.input_tokens}
        return _json({"object": "list", "model": model, "data": [row], "usage": usage})


def _chunk(common: Mapping[str, Any], delta: Mapping[str, Any], *, finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return {**common, "object": "chat.completion.chunk", "choices": [choice]}


def _chat_usage(used: Used) -> dict[str, Any]:
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning, "audio_tokens": 0},
    }


def _json(document: Mapping[str, Any], status: int = 200) -> Reply:
    return Reply(json.dumps(document), status=status, headers={"Content-Type": "application/json"})
