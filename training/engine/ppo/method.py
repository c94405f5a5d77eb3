"""A PPO run: networks and prompts from the spec, the loop with its checkpoints, the policy as an artifact."""

from __future__ import annotations

import gc
import math
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.errors import Cancelled, EngineError
from training.engine.hyperparameters.ppo import PPO, value_learning_rate
from training.engine.hyperparameters.shared import epochs, scheduler_arguments
from training.engine.memory import held
from training.engine.ppo.learners import frozen, learner
from training.engine.ppo.networks import (
    Choice,
    Judge,
    Policy,
    Scale,
    Value,
    same_words,
    stored_scale,
    without_dropout,
)
from training.engine.ppo.rollouts import Prompt, Response
from training.engine.ppo.trainer import Parts, Score, Trainer, micro_batch
from training.engine.rows import Encoded, encode_prompt
from training.engine.sampling import stop_ids
from training.engine.trainer import Session, exporter, load_dtype, peak

LAST = 10  # steps whose mean score stands in the result


def run(context: Context) -> Outcome:
    tokenizer = models.load_tokenizer(context.model_path("base"))
    prompts, counts = read_prompts(context, tokenizer)
    trainer = Trainer(context, prompts, build(context, tokenizer))
    write = exporter(context, context.model_path("base"), tokenizer)
    metrics = loop(Session(context), trainer)
    artifact = export(context, trainer, write)
    return Outcome({**counts, **metrics}, trainer.state.step, artifact)


def read_prompts(context: Context, tokenizer: Any) -> tuple[list[Prompt], dict[str, int]]:
    """Prompts that leave room for a whole response; the others are counted."""
    settings: PPO = context.spec.hyperparameters
    rows = context.rows("prompts", "prompts")
    encoded = [Prompt(row["id"], row["messages"], encode_prompt(tokenizer, row["messages"])) for row in rows]
    kept = [prompt for prompt in encoded if len(prompt.ids) + settings.max_new_tokens <= settings.max_length]
    counts = {"prompts": len(rows), "prompts_dropped": len(rows) - len(kept)}
    if counts["prompts_dropped"]:
        context.log.emit("warning", name="overlong_prompts", **counts)
    if not kept:
        raise EngineError(
            "no_prompts_left",
            "No prompt leaves room for max_new_tokens within max_length.",
            "Raise max_length or lower max_new_tokens.",
        )
    return kept, counts


def build(context: Context, tokenizer: Any, score: Score | None = None) -> Parts:
    """Every network of the run. `score` stands in for the reward model where the caller has no such model."""
    settings: PPO = context.spec.hyperparameters
    micro = micro_batch(settings, context.world.size)
    accumulation = settings.batch_size // (settings.minibatches * micro * context.world.size)
    make = partial(learner, context=context, micro=micro, accumulation=accumulation)
    torch.manual_seed(context.spec.seed)  # new adapters, the same on every rank
    rate = peak(context)
    rates = (rate, value_learning_rate(settings, rate))
    base = context.model_path("base")
    language_model = without_dropout(models.load_causal(base, load_dtype(context)))
    choice = Choice(settings.temperature, tuple(stop_ids(language_model, tokenizer)), settings.min_new_tokens)
    reference = None
    if settings.lora_r:
        language_model = with_adapters(language_model, settings)
    else:
        copy = without_dropout(models.load_causal(base, load_dtype(context)))
        reference = frozen(Policy(copy, choice, head=False), context, micro)
    if settings.activation_checkpointing:
        language_model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    policy = make(Policy(language_model, choice, head=not settings.has_value_trunk), rates)
    critic = make(value_network(context, tokenizer), (rates[1], rates[1])) if settings.has_value_trunk else None
    text = partial(tokenizer.decode, skip_special_tokens=True)
    return Parts(policy, critic, reference, score or judge(context, tokenizer), text, tokenizer.pad_token_id)


def with_adapters(language_model: Any, settings: PPO) -> Any:
    from peft import get_peft_model

    if settings.activation_checkpointing:
        language_model.enable_input_require_grads()
    return get_peft_model(language_model, models.lora_config(settings, "CAUSAL_LM"))


def value_network(context: Context, tokenizer: Any) -> Value:
    settings: PPO = context.spec.hyperparameters
    fits = same_words(tokenizer, models.load_tokenizer(context.model_path("reward_model")))
    if settings.value_init == "reward_model" and not fits:
        raise EngineError(
            "value_init",
            "The reward model has other words than the policy, so the value function cannot start from it.",
            "Set value_init to base, or train a reward model from the same base.",
        )
    name = "reward_model" if fits and settings.value_init != "base" else "base"
    trunk = without_dropout(models.load_trunk(context.model_path(name), load_dtype(context)))
    if settings.activation_checkpointing:
        trunk.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return Value(trunk)


def judge(context: Context, tokenizer: Any) -> Score:
    """The reward model as a function of responses."""
    settings: PPO = context.spec.hyperparameters
    path = context.model_path("reward_model")
    own, micro = models.load_tokenizer(path), micro_batch(settings, context.world.size)
    model = models.load_reward(path, load_dtype(context))
    scale = stored_scale(model.config) if settings.score_normalization == "reward_model" else Scale()
    judging = Judge(frozen(model, context, micro), own, scale, same_words(tokenizer, own), micro)

    def score(responses: Sequence[Response]) -> list[float]:
        bodies = [response.tokens[:-1] if response.ended else response.tokens for response in responses]
        rows = [Encoded(response.prompt.ids, body) for response, body in zip(responses, bodies, strict=True)]
        texts = tokenizer.batch_decode(bodies, skip_special_tokens=True)
        return judging([response.prompt.messages for response in responses], rows, texts)

    return score


def steps_of(settings: PPO, prompts: int) -> int:
    return settings.max_steps or math.ceil(epochs(settings) * prompts / settings.batch_size)


def schedule(settings: PPO, steps: int) -> Callable[[int], float]:
    """Learning rate by step, as a part of its peak: a pure function, so that a resumed run needs no state for it."""
    from transformers import get_scheduler

    nothing = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    warm = math.ceil(settings.warmup_ratio * steps)
    made: Any = get_scheduler(
        settings.lr_scheduler, nothing, warm, steps, scheduler_specific_kwargs=scheduler_arguments(settings)
    )
    factor: Callable[[int], float] = made.lr_lambdas[0]
    return factor


def loop(session: Session, trainer: Trainer) -> dict[str, Any]:
    """From the newest checkpoint, or the start, to the last step; the run's final numbers."""
    context, settings = session.context, trainer.settings
    steps = steps_of(settings, len(trainer.prompts))
    factor, rate = schedule(settings, steps), peak(context)
    point = session.resume_point()
    if point is not None:
        trainer.load(point.path)
        context.log.phase("resumed", step=point.step, checkpoint=point.path.name)
    context.log.phase("training", step=trainer.state.step, steps=steps)
    began, rows = time.monotonic(), []
    while trainer.state.step < steps:
        part = factor(trainer.state.step)
        rows.append(trainer.step(part))
        step = trainer.state.step
        numbers = {"learning_rate": part * rate, **rows[-1], **held(cuda=context.cuda)}
        context.log.emit("metric", step=step, steps=steps, **numbers)
        due, stop = session.wishes(step, steps)
        if due:
            keep(session, trainer)
        if stop:
            raise Cancelled(session.stopped_at)
    last = rows[-LAST:]
    means = {f"{name}_last": sum(row[name] for row in last) / len(last) for name in ("score", "kl")} if last else {}
    return {**(rows[-1] if rows else {}), **means, "train_seconds": round(time.monotonic() - began, 2)}


def keep(session: Session, trainer: Trainer) -> None:
    step = trainer.state.step
    staging = session.staging(step)
    trainer.save(staging)
    session.seal(staging, step)


def export(context: Context, trainer: Trainer, write: Callable[[Path], dict[str, Any]]) -> dict[str, Any] | None:
    """The policy alone: its reference, values and reward model stay behind."""
    world, trained = context.world, context.run.work / "trained"
    context.log.phase("exporting")
    with trainer.parts.policy.whole() as policy:
        if world.is_main:
            policy.language_model.save_pretrained(trained)
    world.barrier()
    release(trainer)
    artifact = write(trained) if world.is_main else None
    world.barrier()
    if world.is_main:
        shutil.rmtree(context.run.work)
    return artifact


def release(trainer: Trainer) -> None:
    """Give the memory of four networks back before the export holds one more."""
    del trainer.parts
    gc.collect()
