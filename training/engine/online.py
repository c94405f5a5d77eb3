"""What GRPO and RLOO share: prompts, a reward model as the score, samples, and a model that TRL generates from.

Both write with transformers' own generation: TRL needs it there. Every setting that decides a completion is stated, as
`generate` fills what is left unset from the model's own generation_config.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset
from transformers import GenerationConfig

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.errors import EngineError
from training.engine.hyperparameters.online import Online, clip_range
from training.engine.ppo.method import read_prompts
from training.engine.ppo.networks import Judge, Scale, same_words, stored_scale, without_dropout
from training.engine.rows import Encoded, encode_prompt
from training.engine.sampling import stop_ids
from training.engine.trainer import Session, arguments, exporter, fit, load_dtype

Score = Callable[..., list[float]]


def train(context: Context, trainer: type[Any], config: type[Any], **method: Any) -> Outcome:
    """Build TRL's `trainer`, mixed with Sealed, and run it."""
    settings: Online = context.spec.hyperparameters
    base = context.model_path("base")
    tokenizer = models.load_tokenizer(base)
    prompts, counts = read_prompts(context, tokenizer)
    require_batch(settings, len(prompts))
    model = without_dropout(models.load_causal(base, load_dtype(context)))
    score = reward_function(context, tokenizer, stop_ids(model, tokenizer))
    model.generation_config = GenerationConfig(
        pad_token_id=tokenizer.pad_token_id, eos_token_id=stop_ids(model, tokenizer)
    )
    made = trainer(
        model=model,
        reward_funcs=[score],
        args=arguments(context, config, **stated(settings), **method),
        train_dataset=Dataset.from_list([{"prompt": prompt.messages, "prompt_id": prompt.id} for prompt in prompts]),
        processing_class=tokenizer,
        peft_config=models.lora_config(settings, "CAUSAL_LM"),
    )
    return fit(Session(context), made, counts, exporter(context, base, tokenizer))


def require_batch(settings: Online, prompts: int) -> None:
    """TRL leaves a batch out that it cannot fill, and with no whole batch it ends well, having learned nothing."""
    needed = settings.batch_size // settings.samples_per_prompt
    if prompts < needed:
        raise EngineError(
            "too_few_prompts",
            f"A step takes {needed} prompts (batch_size / samples_per_prompt), and there are {prompts}.",
            "Lower batch_size, raise samples_per_prompt, or give more prompts.",
        )


def stated(settings: Online) -> dict[str, Any]:
    """Arguments in TRL's names. Its beta is 0 by default for GRPO, which means no reference and no KL."""
    return {
        "num_generations": settings.samples_per_prompt,
        "max_completion_length": settings.max_new_tokens,
        "temperature": settings.temperature,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": None,
        "repetition_penalty": 1.0,
        "beta": settings.kl_coefficient,
        "num_iterations": settings.update_epochs,
        "epsilon": clip_range(settings),
        "disable_dropout": True,
        "remove_unused_columns": False,
        "log_completions": False,
    }


def reward_function(context: Context, tokenizer: Any, ends: Sequence[int]) -> Score:
    """The reward model as TRL wants to call it; on rank 0 the first completion of every call becomes a sample."""
    settings: Online = context.spec.hyperparameters
    judge = load_judge(context, tokenizer)

    def score(
        prompts: list[Any], completion_ids: list[list[int]], prompt_id: list[str], trainer_state: Any, **rest: Any
    ) -> list[float]:
        ended = [bool(ids) and ids[-1] in ends for ids in completion_ids]
        bodies = [ids[:-1] if end else ids for ids, end in zip(completion_ids, ended, strict=True)]
        rows = [
            Encoded(encode_prompt(tokenizer, prompt), list(body)) for prompt, body in zip(prompts, bodies, strict=True)
        ]
        texts = tokenizer.batch_decode(bodies, skip_special_tokens=True)
        scores = [
            value - (0.0 if end else settings.missing_eos_penalty)
            for value, end in zip(judge(prompts, rows, texts), ended, strict=True)
        ]
        rest["log_metric"]("eos_rate", sum(ended) / len(ended))
        context.log.emit(
            "sample",
            step=trainer_state.global_step,
            prompt_id=prompt_id[0],
            text=texts[0],
            score=scores[0],
            ended=ended[0],
        )
        return scores

    score.__name__ = "reward_model"
    return score


def load_judge(context: Context, tokenizer: Any) -> Judge:
    """The reward model reads a completion as it was trained to: with its own template, ended by EOS."""
    path = context.model_path("reward_model")
    own = models.load_tokenizer(path)
    model = models.load_reward(path, load_dtype(context)).to("cuda" if context.cuda else "cpu").eval()
    normalised = context.spec.hyperparameters.score_normalization == "reward_model"
    scale = stored_scale(model.config) if normalised else Scale()
    return Judge(model, own, scale, same_words(tokenizer, own), context.spec.micro_batch_size)
