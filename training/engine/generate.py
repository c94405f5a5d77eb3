"""Write several different completions for every prompt. Whole batches are on disk before the next one starts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.errors import EngineError
from training.engine.families import family_of
from training.engine.files import JSON, append_jsonl, drop_torn_tail, read_jsonl, write_jsonl
from training.engine.hyperparameters.making import Sampling
from training.engine.sampling import Completion, Request, Sampler, duplicates

SHOWN = 3  # completions shown as `sample` events


def run(context: Context) -> Outcome:
    settings = context.spec.hyperparameters
    target = context.run.output / "completions.jsonl"
    metrics = write_completions(context, "base", target, settings.max_redraws)
    return Outcome(metrics, metrics["batches"])


def write_completions(context: Context, model: str, target: Path, redraws: int) -> dict[str, Any]:
    """Complete `target` with `samples_per_prompt` completions of every prompt by the named model of the spec."""
    settings = context.spec.hyperparameters
    path = context.model_path(model)
    family = family_of(path)
    tokenizer = family.tokenizer(path)
    prompts = context.rows("prompts", "prompts")
    encoded = {row["id"]: tuple(family.prompt(tokenizer, row["messages"])) for row in prompts}
    if len(encoded) != len(prompts):
        raise EngineError("bad_row", "Two prompts have the same id.", "Give every prompt an id of its own.")
    batches = planned(encoded, settings, settings.samples_per_prompt)
    counts = {
        "prompts": len(prompts),
        "prompts_dropped": len(prompts) - sum(len(batch) for batch in batches) // settings.samples_per_prompt,
    }
    if counts["prompts_dropped"]:
        context.log.emit("warning", name="overlong_prompts", **counts)
    done = finished_batches(target, batches)
    context.log.phase("generating", model=model, batch=done, batches=len(batches))
    began, written = time.monotonic(), 0
    if done < len(batches):
        dtype = models.torch_dtype(settings.dtype, cuda=context.cuda)
        network = family.network(path, dtype).to("cuda" if context.cuda else "cpu").eval()
        sampler = Sampler(network, tokenizer, settings, context.spec.seed)
        for number in range(done, len(batches)):
            context.check_stop()
            written += one_batch(context, sampler, batches[number], target, redraws, number + 1, len(batches))
    seconds = time.monotonic() - began
    return {**counts, **summary(target), "batches": len(batches), "tokens_per_second": round(written / seconds, 1)}


def planned(prompts: dict[str, tuple[int, ...]], settings: Sampling, samples: int) -> list[list[Request]]:
    """Batches, decided before the first starts: prompts by length, all samples of a prompt together."""
    short = {name: ids for name, ids in prompts.items() if len(ids) <= settings.max_prompt_tokens}
    ordered = sorted(short, key=lambda name: (len(short[name]), name))
    width = settings.batch_size // samples
    return [
        [Request(name, sample, short[name]) for name in ordered[at : at + width] for sample in range(samples)]
        for at in range(0, len(ordered), width)
    ]


def finished_batches(target: Path, batches: list[list[Request]]) -> int:
    """How many leading batches `target` holds whole; rows after them (a kill in the middle) are cut off."""
    drop_torn_tail(target)
    rows = list(read_jsonl(target)) if target.exists() else []
    done = whole = 0
    for batch in batches:
        keys = [(row["prompt_id"], row["sample"]) for row in rows[whole : whole + len(batch)]]
        if keys != [(request.prompt_id, request.sample) for request in batch]:
            break
        done, whole = done + 1, whole + len(batch)
    if whole != len(rows):
        write_jsonl(target, rows[:whole])
    return done


def one_batch(
    context: Context, sampler: Sampler, batch: list[Request], target: Path, redraws: int, number: int, batches: int
) -> int:
    """Write one batch and append it durably; returns its completion tokens."""
    began = time.monotonic()
    completions = sampler.write(batch, redraws)
    append_jsonl(target, [as_row(completion, sampler) for completion in completions])
    tokens = sum(len(completion.tokens) for completion in completions)
    context.log.emit(
        "metric",
        step=number,
        steps=batches,
        completions=len(completions),
        duplicates=len(duplicates(completions)),
        tokens_per_second=round(tokens / (time.monotonic() - began), 1),
        mean_completion_tokens=round(tokens / len(completions), 2),
    )
    if number == 1:
        for completion in completions[:SHOWN]:
            context.log.emit("sample", prompt_id=completion.request.prompt_id, text=completion.text)
    return tokens


def as_row(completion: Completion, sampler: Sampler) -> JSON:
    settings = sampler.settings
    return {
        "prompt_id": completion.request.prompt_id,
        "sample": completion.request.sample,
        "text": completion.text,
        "tokens": list(completion.tokens),
        "finish_reason": completion.finish_reason,
        "prompt_tokens": len(completion.request.ids),
        "completion_tokens": len(completion.tokens),
        "seed": completion.seed,
        "attempt": completion.request.attempt,
        "sampling": {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "top_k": settings.top_k,
            "max_new_tokens": settings.max_new_tokens,
            "do_sample": True,
            "dtype": str(sampler.model.dtype).removeprefix("torch."),
        },
    }


def summary(target: Path) -> dict[str, Any]:
    """Counts over the whole file, so that a resumed run reports what a run without interruption does."""
    rows = list(read_jsonl(target)) if target.exists() else []
    texts = {(row["prompt_id"], row["text"]) for row in rows}
    tokens = sum(row["completion_tokens"] for row in rows)
    return {
        "completions": len(rows),
        "duplicates": len(rows) - len(texts),
        "redrawn": sum(row["attempt"] > 0 for row in rows),
        "finished_by_eos": sum(row["finish_reason"] == "stop" for row in rows),
        "completion_tokens": tokens,
        "mean_completion_tokens": round(tokens / max(1, len(rows)), 2),
    }
