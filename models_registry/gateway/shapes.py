"""OpenAI's shapes, with our few additions: `model_version` on the whole, `completion` on each choice."""

from collections.abc import Sequence
from typing import Any

from models_registry.data import Answer
from models_registry.gateway.backend import Said
from models_registry.gateway.body import ChatRequest
from models_registry.models import Completion


def answer_of(public_id: str, said: Said, milliseconds: int, request: ChatRequest, reason: str) -> Answer:
    usage: dict[str, Any] = {**said.usage, "milliseconds": milliseconds}
    if request.metadata:
        usage["metadata"] = request.metadata
    return Answer(public_id=public_id, text=said.text, finish_reason=reason, usage=usage)


def total_usage(said: Sequence[Said]) -> dict[str, int]:
    """The prompt counts once, as OpenAI counts it."""
    asked = max((one.usage.get("prompt_tokens", 0) for one in said), default=0)
    answered = sum(one.usage.get("completion_tokens", 0) for one in said)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def choice(index: int, public_id: str, text: str, finish: str) -> dict[str, Any]:
    return {
        "index": index,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish,
        "logprobs": None,
        "completion": public_id,
    }


def whole(
    public_id: str, created: int, model: str, version: str | None, choices: list[Any], usage: Any
) -> dict[str, Any]:
    return {
        "id": public_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "model_version": version,
        "choices": choices,
        "usage": usage,
    }


def stored(completion: Completion) -> dict[str, Any]:
    """A completion of any source, as if it were answered now."""
    version = completion.version
    counts = Said(usage={k: v for k, v in completion.usage.items() if k.endswith("_tokens")})
    return whole(
        completion.public_id,
        int(completion.created_at.timestamp()),
        completion.alias or (str(version) if version else completion.source),
        version.public_id if version else None,
        [choice(0, completion.public_id, completion.text, completion.finish_reason or "stop")],
        total_usage([counts]),
    )
