"""What a model writes to the same prompts as it learns. Imports torch and transformers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from training.engine.context import Context
from training.engine.families import family_of
from training.engine.files import JSON
from training.engine.hyperparameters.making import Sampling
from training.engine.hyperparameters.shared import Shown
from training.engine.sampling import Request, Sampler

if TYPE_CHECKING:
    from training.engine.trainer import Session

FROM_ROWS = 3
"""Prompts taken from the rows where none are named."""


def is_shown(context: Context) -> bool:
    settings = context.spec.hyperparameters
    return isinstance(settings, Shown) and settings.show_every is not None


def prompts_of(context: Context) -> list[list[JSON]]:
    """The named ones; else those of the first rows that differ, held-out rows where the run has them."""
    named = context.spec.hyperparameters.show_prompts
    if named:
        return [[{"role": "user", "content": line}] for line in named.splitlines() if line.strip()]
    if "prompts" in context.spec.data:
        found = [row["messages"] for row in context.rows("prompts", "prompts")]
    else:
        role = "test" if "test" in context.spec.data else "train"
        found = [row["prompt"] for row in context.rows(role, "sft" if context.spec.method == "sft" else "preference")]
    different = {json.dumps(messages): messages for messages in found if messages}
    return list(different.values())[:FROM_ROWS]


class Show(TrainerCallback):
    """Writes before the first step, every `show_every` steps and after the last; the likeliest token each time, so that what
    differs was learned. Rank 0 alone, in eval mode, with no number of the run's random streams: training is as it would be.
    """

    def __init__(self, session: Session, trainer: Any) -> None:
        self.context, self.trainer = session.context, trainer
        self.settings: Shown = session.context.spec.hyperparameters
        self.requests: list[tuple[str, Request]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not self.context.world.is_main:
            return
        self.requests = self._requests()
        if state.global_step == 0:
            self._write(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        step = state.global_step
        if self.requests and (step % (self.settings.show_every or 1) == 0 or step >= state.max_steps):
            self._write(step)

    def _requests(self) -> list[tuple[str, Request]]:
        """Each with the words that people see. Prompts beyond max_length are left out and counted."""
        family = family_of(self.context.model_path("base"))
        encoded = [
            (messages, family.prompt(self.trainer.processing_class, messages)) for messages in prompts_of(self.context)
        ]
        short = [(messages, ids) for messages, ids in encoded if len(ids) <= self.settings.max_length]
        if len(short) < len(encoded):
            self.context.log.emit("warning", name="overlong_show_prompts", left_out=len(encoded) - len(short))
        return [
            (str(messages[-1]["content"]), Request(str(number), 0, tuple(ids)))
            for number, (messages, ids) in enumerate(short)
        ]

    def _write(self, step: int) -> None:
        model, sampling = self.trainer.model, Sampling(max_new_tokens=self.settings.show_tokens or 64, top_k=1)
        was_training = model.training
        self.context.log.doing("showing")
        model.eval()
        try:
            sampler = Sampler(model, self.trainer.processing_class, sampling, self.context.spec.seed)
            completions = sampler.write([request for _words, request in self.requests])
        finally:
            model.train(was_training)
        for (words, _request), completion in zip(self.requests, completions, strict=True):
            ended = completion.finish_reason == "stop"
            self.context.log.emit("sample", step=step, prompt=words, text=completion.text, fixed=True, ended=ended)
