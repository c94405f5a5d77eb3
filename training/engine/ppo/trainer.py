"""The loop of PPO: write, score, compare with the reference, learn; exactly resumable.

All randomness comes from one generator that every rank holds in the same state, and every statistic from the whole
batch, which all ranks have. So neither the number of ranks nor the micro-batch size changes what is computed.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.engine.context import Context
from training.engine.errors import EngineError
from training.engine.files import write_json
from training.engine.hyperparameters.ppo import PPO, kl_horizon, value_coefficient
from training.engine.models import torch_dtype
from training.engine.ppo import maths
from training.engine.ppo.learners import Learner
from training.engine.ppo.networks import Policy
from training.engine.ppo.rollouts import (
    Batch,
    Prompt,
    Response,
    by_length,
    judged,
    packed,
    prompt_at,
    summary,
    with_numbers,
    write,
)

RATIO_TOLERANCE = 1e-3  # |ratio - 1| before any update; float32 gives 1e-6
SHOWN = 2  # responses in a `sample` event
Score = Callable[[Sequence[Response]], list[float]]


@dataclass
class State:
    """What a checkpoint holds beside the networks and optimizers."""

    step: int
    cursor: int
    kl_coefficient: float
    generator: torch.Generator


@dataclass
class Parts:
    """The networks of a run. Without `critic` the policy has the value head; without `reference` it has adapters."""

    policy: Learner
    critic: Learner | None
    reference: Any
    score: Score
    text: Callable[[list[int]], str]
    pad: int

    @property
    def learners(self) -> dict[str, Learner]:
        return {"policy": self.policy} | ({"value": self.critic} if self.critic else {})


@dataclass
class Tally:
    """Sums over the tokens that this rank learned from in one step."""

    sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    first_error: float = 0.0
    norms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, mask: Tensor, **values: Tensor) -> None:
        """One wait for the device, whatever is counted."""
        counted = torch.stack([mask.double(), *(value.detach().double() * mask for value in values.values())])
        for name, total in zip(("tokens", *values), counted.sum((1, 2)).tolist(), strict=True):
            self.sums[name] += total


class Trainer:
    def __init__(self, context: Context, prompts: list[Prompt], parts: Parts) -> None:
        settings: PPO = context.spec.hyperparameters
        self.context, self.prompts, self.parts, self.settings = context, prompts, parts, settings
        self.device = torch.device("cuda" if context.cuda else "cpu")
        self.dtype = torch_dtype(settings.dtype, cuda=context.cuda)
        generator = torch.Generator().manual_seed(context.spec.seed)
        self.state = State(0, 0, settings.kl_coefficient, generator)
        self.seconds: dict[str, float] = defaultdict(float)

    @property
    def policy(self) -> Policy:
        found: Policy = self.parts.policy.module
        return found

    def step(self, rate: float) -> dict[str, float]:
        """One batch of responses and the passes over it, at `rate` times the peak learning rates; its metrics."""
        began = time.monotonic()
        self.seconds.clear()
        batch = judged(self.rollout(), self.state.kl_coefficient, self.settings)
        metrics = summary(batch) | {"kl_coefficient": self.state.kl_coefficient}
        self.require_bounded(metrics["kl"])
        for learner in self.parts.learners.values():
            learner.set_rate(rate)
        metrics |= self.learn(batch)
        self.adapt(metrics["kl"])
        self.state.step += 1
        self.show(batch)
        return metrics | self.speed(batch, time.monotonic() - began)

    # Writing and scoring

    def rollout(self) -> list[Response]:
        """Responses of all ranks with everything known about them before learning."""
        own = self.written(*self.share())
        with self.clock("score"):
            own = self.scored(own)
        own = self.measured(own)
        self.state.cursor += self.settings.batch_size
        gathered = self.context.world.gather(own)
        return sorted((response for part in gathered for response in part), key=lambda response: response.number)

    def share(self) -> tuple[list[int], Tensor]:
        """The places in the step's batch that are this rank's, and the uniform numbers of the whole batch."""
        size = (self.settings.batch_size, self.settings.max_new_tokens)
        uniforms = torch.rand(size, generator=self.state.generator, dtype=torch.float64)
        world = self.context.world
        return list(range(world.rank, self.settings.batch_size, world.size)), uniforms

    def written(self, numbers: list[int], uniforms: Tensor) -> list[Response]:
        seed, count = self.context.spec.seed, len(self.prompts)
        prompts = {number: self.prompts[prompt_at(self.state.cursor + number, count, seed)] for number in numbers}
        ordered = sorted(numbers, key=lambda number: (len(prompts[number].ids), number))
        size = self.settings.rollout_batch_size or len(ordered)
        responses: list[Response] = []
        with self.clock("write"), torch.no_grad(), self.parts.policy.whole() as policy, self.autocast():
            policy.eval()  # activation checkpointing, on while training, would switch the cache off
            for at in range(0, len(ordered), size):
                some = ordered[at : at + size]
                chosen = [prompts[number] for number in some]
                responses += write(policy, chosen, some, uniforms[some], self.settings, self.parts.pad)
            policy.train()
        return responses

    def scored(self, responses: list[Response]) -> list[Response]:
        scores = self.parts.score(responses)
        for response, score in zip(responses, scores, strict=True):
            if not math.isfinite(score):
                raise EngineError(
                    "non_finite_score",
                    f"The reward model gave {score} to a response to prompt {response.prompt.id}.",
                    "Check the reward model: its scores must be numbers. float32 as its dtype may help.",
                )
        return [replace(response, score=score) for response, score in zip(responses, scores, strict=True)]

    def measured(self, responses: list[Response]) -> list[Response]:
        """Reference log-probabilities, and what sampling did not give: values of a trunk; everything where it rounds."""
        done: list[Response] = []
        for group in by_length(responses, self.micro):
            ids, mask, width = packed(group, self.parts.pad, self.device)
            with self.clock("reference"), torch.no_grad(), self.autocast():
                columns = {"reference": self.reference(ids, mask, width)}
            with self.clock("old"), torch.no_grad(), self.autocast():
                columns |= self.old(ids, mask, width)
            for row, response in enumerate(group):
                done.append(with_numbers(response, **{name: column[row] for name, column in columns.items()}))
        return done

    def reference(self, ids: Tensor, mask: Tensor, width: int) -> Tensor:
        found = self.parts.reference
        own = nullcontext() if found is not None else self.policy.language_model.disable_adapter()
        with own:
            logps: Tensor = (found or self.parts.policy.network)(ids, mask, width)[0]
        return logps

    def old(self, ids: Tensor, mask: Tensor, width: int) -> dict[str, Tensor]:
        """In float32 sampling's own numbers are kept: they equal those of a forward pass to 1e-6."""
        found: dict[str, Tensor] = {}
        if self.dtype is not torch.float32:
            logps, values = self.parts.policy.network(ids, mask, width)
            found = {"policy": logps} | ({"values": values} if values is not None else {})
        if self.parts.critic is not None:
            found["values"] = self.parts.critic.network(ids, mask, width)
        return found

    # Learning

    @property
    def rows_of_minibatch(self) -> int:
        return self.settings.batch_size // self.settings.minibatches

    @property
    def micro(self) -> int:
        return micro_batch(self.settings, self.context.world.size)

    def learn(self, batch: Batch) -> dict[str, float]:
        tally, passes = Tally(), 0
        for number in range(self.settings.update_epochs):
            order = torch.randperm(len(batch.responses), generator=self.state.generator).tolist()
            for at in range(0, len(order), self.rows_of_minibatch):
                rows = [batch.responses[index] for index in order[at : at + self.rows_of_minibatch]]
                self.one_minibatch(batch, rows, tally, first=number == 0 and at == 0)
            passes += 1
            if self.moved_enough(tally):
                break
        return self.learned(tally) | {"passes": passes}

    def one_minibatch(self, batch: Batch, rows: list[Response], tally: Tally, *, first: bool) -> None:
        """Micro-batches of similar length, dealt out so that all ranks have the same work at the same time."""
        tokens, world = sum(map(len, rows)), self.context.world
        for group in by_length(rows, self.micro * world.size):
            with self.clock("learn"):
                self.one_micro_batch(batch, group[world.rank :: world.size], tokens, tally, first=first)
        with self.clock("optimizer"):
            for name, learner in self.parts.learners.items():
                tally.norms[name].append(learner.step())

    def one_micro_batch(self, batch: Batch, rows: list[Response], tokens: int, tally: Tally, *, first: bool) -> None:
        settings, parts = self.settings, self.parts
        ids, attention, width = packed(rows, parts.pad, self.device)
        column = {
            name: batch.of(name, rows, width, self.device)
            for name in ("mask", "policy", "values", "advantages", "returns")
        }
        mask = column["mask"]
        with self.autocast():
            logps, values = parts.policy.network(ids, attention, width)
            if parts.critic is not None:
                values = parts.critic.network(ids, attention, width)
        logps = torch.where(mask, logps, column["policy"])  # padding may hold anything, but its ratio must be 1
        losses, clipped = maths.policy_losses(logps, column["policy"], column["advantages"], settings.clip_range)
        errors, held = maths.value_losses(values, column["values"], column["returns"], settings.value_clip_range)
        policy_loss, value_loss = (losses * mask).sum() / tokens, (errors * mask).sum() / tokens
        if parts.critic is not None:
            parts.critic.backward(value_loss * parts.critic.scale)
        else:
            policy_loss = policy_loss + value_coefficient(settings) * value_loss
        parts.policy.backward(policy_loss * parts.policy.scale)
        change = (logps - column["policy"]).detach()
        tally.add(mask, loss=losses, value_loss=errors, clipped=clipped, value_clipped=held, moved=change.square() / 2)
        if first:
            tally.first_error = max(tally.first_error, float((change.exp() - 1).abs().max()))

    def moved_enough(self, tally: Tally) -> bool:
        """Ranks decide alike: from the sums of all of them."""
        if self.settings.update_kl_limit is None:
            return False
        sums = self.all_sums(tally)
        return sums["moved"] / sums["tokens"] > self.settings.update_kl_limit

    def all_sums(self, tally: Tally) -> dict[str, float]:
        parts = self.context.world.gather(dict(tally.sums))
        return {name: sum(part[name] for part in parts) for name in parts[0]}

    def learned(self, tally: Tally) -> dict[str, float]:
        sums = self.all_sums(tally)
        error = max(self.context.world.gather(tally.first_error))
        if error > RATIO_TOLERANCE * (1 if self.dtype is torch.float32 else 100):
            self.context.log.emit("warning", name="ratio_before_update", step=self.state.step + 1, error=error)
        norms = {name: sum(values) / len(values) for name, values in tally.norms.items()}
        metrics = {
            "loss": sums["loss"] / sums["tokens"],
            "value_loss": sums["value_loss"] / sums["tokens"],
            "clip_share": sums["clipped"] / sums["tokens"],
            "value_clip_share": sums["value_clipped"] / sums["tokens"],
            "update_kl": sums["moved"] / sums["tokens"],
            "ratio_error": error,
            "grad_norm": norms["policy"],
            **({"value_grad_norm": norms["value"]} if "value" in norms else {}),
        }
        self.require_finite(metrics)
        return metrics

    def adapt(self, divergence: float) -> None:
        settings = self.settings
        if settings.kl_target is not None:
            self.state.kl_coefficient = maths.adapted_coefficient(
                self.state.kl_coefficient, divergence, settings.kl_target, settings.batch_size, kl_horizon(settings)
            )

    # Alarms and reports

    def require_bounded(self, divergence: float) -> None:
        ceiling = self.settings.kl_ceiling
        if ceiling is not None and divergence > ceiling:
            raise EngineError(
                "kl_ceiling",
                f"The policy is {divergence:.3g} nats per response away from its reference at step "
                f"{self.state.step + 1}; kl_ceiling is {ceiling:g}.",
                "Raise kl_coefficient or lower learning_rate, then start from the base again.",
            )

    def require_finite(self, metrics: dict[str, float]) -> None:
        broken = [name for name, value in metrics.items() if not math.isfinite(value)]
        if broken:
            raise EngineError(
                "non_finite_loss",
                f"{', '.join(broken)} is not a number at step {self.state.step + 1}.",
                "Start it again with a lower learning_rate or with dtype float32. Going on repeats the same steps from the last"
                " good checkpoint.",
            )

    def speed(self, batch: Batch, seconds: float) -> dict[str, float]:
        tokens = sum(response.total for response in batch.responses)
        spent = {f"seconds_{name}": round(value, 4) for name, value in self.seconds.items()}
        return {
            "samples_per_second": round(len(batch.responses) / seconds, 3),
            "tokens_per_second": round(tokens / seconds, 1),
            **spent,
        }

    def show(self, batch: Batch) -> None:
        """Token by token: what was written, what it cost, what it was worth."""
        if (self.state.step - 1) % self.settings.sample_every or not self.context.world.is_main:
            return
        for row, response in enumerate(batch.responses[:SHOWN]):
            columns = {
                name: [round(value, 5) for value in getattr(batch, source)[row, : len(response)].tolist()]
                for name, source in (
                    ("log_probability", "policy"),
                    ("kl", "divergence"),
                    ("value", "values"),
                    ("reward", "rewards"),
                    ("advantage", "advantages"),
                )
            }
            self.context.log.emit(
                "sample",
                step=self.state.step,
                prompt_id=response.prompt.id,
                text=self.parts.text(response.tokens),
                score=response.score,
                tokens=response.tokens,
                **columns,
            )

    @contextmanager
    def clock(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - began

    def autocast(self) -> AbstractContextManager[Any]:
        """DeepSpeed holds the weights in the run's format; a plain run computes in it over float32 weights."""
        if self.context.world.is_distributed or self.dtype is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    # Checkpoints

    def save(self, staging: Path) -> None:
        """All ranks; the caller seals."""
        for name, learner in self.parts.learners.items():
            learner.save(staging, name)
        if self.context.world.is_main:
            state = self.state
            torch.save(state.generator.get_state(), staging / "rng.pt")
            write_json(
                staging / "state.json",
                {"step": state.step, "cursor": state.cursor, "kl_coefficient": state.kl_coefficient},
            )

    def load(self, checkpoint: Path) -> None:
        for name, learner in self.parts.learners.items():
            learner.load(checkpoint, name)
        generator = torch.Generator()
        generator.set_state(torch.load(checkpoint / "rng.pt", weights_only=True))
        self.state = State(generator=generator, **json.loads((checkpoint / "state.json").read_text(encoding="utf-8")))


def micro_batch(settings: PPO, world_size: int) -> int:
    """Responses per process and forward pass."""
    return settings.micro_batch_size or settings.batch_size // settings.minibatches // world_size
